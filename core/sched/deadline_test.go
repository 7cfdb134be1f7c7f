package sched

import (
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestDeadlinePowerOfD(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		gloss    string
		named    params
		mean     time.Duration
		tasks    []int
		rtt      time.Duration
		deadline time.Duration // 0 = none
		cloud    bool
		want     core.Verdict
		asked    int
	}{
		{"no deadline", nil, s, []int{9, 0}, 0, 0, false, core.Execute(), 0},
		{"in time here", nil, s, []int{2, 0}, 0, 3 * s, false, core.Execute(), 0},
		{"only there", nil, s, []int{3, 0}, 0, 3 * s, false, core.Forward(1), 1},
		{"the earliest, then the next", params{"d": 3}, s, []int{9, 2, 0, 1}, 0, 2 * s, false, core.Forward(2, 3), 3},
		{"the way counts", nil, s, []int{3, 1}, s + 1, 3 * s, false, core.Execute(), 1},
		{"but may be had", nil, s, []int{3, 1}, s, 3 * s, false, core.Forward(1), 1},
		{"nowhere", nil, s, []int{3, 3}, 0, 3 * s, false, core.Execute(), 1},
		{"nowhere: shed", params{"otherwise": "reject"}, s, []int{3, 3}, 0, 3 * s, false, core.Reject(core.Rejected), 1},
		{"nowhere: cloud", params{"cloud": true}, s, []int{3, 3}, 0, 3 * s, true, core.Forward(2), 1},
		{"cloud not allowed", nil, s, []int{3, 3}, 0, 3 * s, true, core.Execute(), 1},
		{"no cloud there", params{"cloud": true, "otherwise": "reject"}, s, []int{3, 3}, 0, 3 * s, false,
			core.Reject(core.Rejected), 1},
		{"margin", params{"margin": "500ms"}, s, []int{2, 0}, 0, 3 * s, false, core.Forward(1), 1},
		{"the parameter is the mean", params{"service": "2s"}, s, []int{1, 0}, 0, 3 * s, false, core.Forward(1), 1},
		{"unknown mean, free slot here", nil, 0, []int{0, 0}, 0, 3 * s, false, core.Execute(), 0},
		{"unknown mean, free slot there", nil, 0, []int{1, 0}, 0, 3 * s, false, core.Forward(1), 1},
		{"unknown mean, none", nil, 0, []int{1, 1}, 0, 3 * s, false, core.Execute(), 1},
		{"alone", nil, s, []int{5}, 0, 3 * s, false, core.Execute(), 0},
	} {
		t.Run(c.gloss, func(t *testing.T) {
			w := coretest.NewScript(0, c.tasks...)
			w.Mean, w.Clock = c.mean, core.Time(7*s)
			for i := range w.Peers {
				w.Peers[i].RTT = c.rtt
			}
			if c.cloud {
				w.Far = core.NodeID(len(c.tasks))
			}
			k := task()
			if c.deadline > 0 {
				k.Deadline = w.Clock.Add(c.deadline)
			}
			wantVerdict(t, with(t, "DeadlinePowerOfD", c.named).Schedule(w, k), c.want)
			if len(w.Asked) != c.asked {
				t.Errorf("asked %v, want %d peers", w.Asked, c.asked)
			}
		})
	}
}

// Probing takes time: what is left to the deadline is counted when the answers are there.
func TestDeadlineIsNearerAfterProbing(t *testing.T) {
	w := coretest.NewScript(0, 3, 1)
	w.Mean = time.Second
	w.Meanwhile = func(w *coretest.Script) { w.Clock = w.Clock.Add(1500 * time.Millisecond) }
	k := task()
	k.Deadline = core.Time(3 * time.Second)
	wantVerdict(t, with(t, "DeadlinePowerOfD", nil).Schedule(w, k), core.Execute())
}
