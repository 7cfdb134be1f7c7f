package sched

import (
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestJSQAllShares(t *testing.T) {
	for _, c := range []struct {
		gloss string
		named params
		tasks []int
		want  []float64
	}{
		{"alone", params{}, []int{5}, []float64{1}},
		{"the least of all", params{}, []int{4, 3, 2, 5}, []float64{0, 0, 1, 0}},
		{"ties are random", params{}, []int{1, 1, 2, 1}, []float64{1. / 3, 1. / 3, 0, 1. / 3}},
		{"local ties", params{"ties": "local"}, []int{1, 1, 2, 1}, []float64{1, 0, 0, 0}},
		{"local ties are among the least only", params{"ties": "local"}, []int{1, 0, 2, 0}, []float64{0, .5, 0, .5}},
		{"stale, random ties", params{"period": "1s", "count_own": false}, []int{1, 1, 2, 1},
			[]float64{1. / 3, 1. / 3, 0, 1. / 3}},
		{"stale, local ties", params{"period": "1s", "count_own": false, "ties": "local"}, []int{1, 1, 2, 1},
			[]float64{1, 0, 0, 0}},
	} {
		t.Run(c.gloss, func(t *testing.T) {
			w := coretest.NewScript(0, c.tasks...)
			s := with(t, "JSQAll", c.named)
			boot(s, w)
			wantShares(t, shares(t, 20000, len(c.tasks), s, w), c.want...)
		})
	}
}

// The node judges itself by what it has when the peers have answered.
func TestJSQAllHasGotATaskMeanwhile(t *testing.T) {
	for _, ties := range []string{"random", "local"} {
		w := coretest.NewScript(0, 0, 1, 2)
		w.Meanwhile = func(w *coretest.Script) { w.Own = coretest.Loaded(3) }
		if p := target(t, with(t, "JSQAll", params{"ties": ties}).Schedule(w, task()), 0); p != 1 {
			t.Errorf("ties %s: the task went to %d, want 1", ties, p)
		}
	}
}

func TestJSQAllKnowsWhatItLastAsked(t *testing.T) {
	w := coretest.NewScript(0, 9, 0, 2, 3)
	s := with(t, "JSQAll", params{"period": "2s"}).(*JSQAll)
	wantVerdict(t, s.Schedule(w, task()), core.Execute()) // nothing is known yet
	w.Run(s.Start)
	w.Peer(1).Load = coretest.Loaded(7) // it does not know
	for i, want := range []core.NodeID{1, 1} {
		if p := target(t, s.Schedule(w, task()), 0); p != want {
			t.Errorf("task %d went to %d, want %d", i, p, want)
		}
	}
	// It counts its own two: peer 1 has two tasks for all that it knows, as many as peer 2.
	if s.known[0].load != 2 {
		t.Errorf("peer 1 is known to have %d tasks, want 2", s.known[0].load)
	}
	w.Naps = 1
	w.Run(s.Start)
	if p := target(t, s.Schedule(w, task()), 0); p != 2 {
		t.Errorf("after the refresh the task went to %d, want 2", p)
	}
	if w.Slept[0] != 2*time.Second {
		t.Errorf("slept %v, want the period", w.Slept)
	}
	w.Peers = w.Peers[:1] // peers 2 and 3 leave
	if p := target(t, s.Schedule(w, task()), 0); p != 1 {
		t.Errorf("the task went to %d, want 1, the only peer that is left", p)
	}
}
