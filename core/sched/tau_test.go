package sched

import (
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestPowerOfNTau(t *testing.T) {
	running := core.Load{Running: 3, Capacity: core.Capacity{Slots: 4}}
	queued := core.Load{Running: 1, Queued: 4, Capacity: core.Capacity{Slots: 1}}
	both := core.Load{Running: 2, Queued: 5, Capacity: core.Capacity{Slots: 2}} // the peer has two tasks: as many as run here
	for _, c := range []struct {
		gloss string
		own   core.Load
		rtt   time.Duration
		want  core.Verdict
		slept []time.Duration
	}{
		{"queued tasks do not count", queued, 0, core.Execute(), nil},
		{"it sleeps for what is missing of tau", running, 30 * time.Millisecond, core.Forward(1),
			[]time.Duration{170 * time.Millisecond}},
		{"nor for the comparison", both, time.Second, core.Execute(), nil},
		{"probing took longer than tau", running, time.Second, core.Forward(1), nil},
	} {
		t.Run(c.gloss, func(t *testing.T) {
			w := coretest.NewScript(0, 0, 2)
			w.Own, w.Naps = c.own, 1
			probed := false
			w.Meanwhile = func(w *coretest.Script) {
				if !probed {
					probed = true
					w.Clock = w.Clock.Add(c.rtt)
				}
			}
			s := with(t, "PowerOfNSchedulerTau", params{"tau": "200ms"})
			wantVerdict(t, s.Schedule(w, task()), c.want)
			if len(w.Slept) != len(c.slept) || len(w.Slept) > 0 && w.Slept[0] != c.slept[0] {
				t.Errorf("slept %v, want %v", w.Slept, c.slept)
			}
		})
	}
}
