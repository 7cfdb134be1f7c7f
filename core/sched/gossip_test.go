package sched

import (
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

// hear tells s the loads of peers 1, 2, ...
func hear(s *LeastLoadedGossip, w *coretest.Script, loads ...int64) {
	for i, l := range loads {
		s.Receive(w, core.NodeID(i+1), core.Note{Kind: noteLoad, Int: l})
	}
}

func TestGossipTells(t *testing.T) {
	w := coretest.NewScript(0, 3, 0, 0, 0)
	w.Naps = 2
	w.Run(with(t, "LeastLoadedGossip", params{"fanout": 2, "period": "50ms"}).(*LeastLoadedGossip).Start)
	if len(w.Told) != 6 || w.Slept[0] != 50*time.Millisecond {
		t.Fatalf("told %v and slept %v; want two peers in each of three rounds", w.Told, w.Slept)
	}
	for i, told := range w.Told {
		if told.Note.Int != 3 || i%2 == 1 && told.To == w.Told[i-1].To {
			t.Errorf("told %v, want the load 3 to two different peers", w.Told)
		}
	}
}

func TestGossipChooses(t *testing.T) {
	for _, c := range []struct {
		gloss string
		own   int
		heard []int64
		want  []float64
	}{
		{"below the threshold it stays", 1, []int64{0, 0, 0}, []float64{1, 0, 0, 0}},
		{"nothing heard", 5, nil, []float64{1, 0, 0, 0}},
		{"the least", 5, []int64{4, 2, 3}, []float64{0, 0, 1, 0}},
		{"ties at random", 5, []int64{2, 4, 2}, []float64{0, .5, 0, .5}},
		{"strictly less than here", 4, []int64{4, 5, 6}, []float64{1, 0, 0, 0}},
	} {
		w := coretest.NewScript(0, c.own, 9, 9, 9)
		s := with(t, "LeastLoadedGossip", params{"count_own": false}).(*LeastLoadedGossip)
		hear(s, w, c.heard...)
		t.Run(c.gloss, func(t *testing.T) { wantShares(t, shares(t, 10000, 4, s, w), c.want...) })
	}
}

func TestGossipMemory(t *testing.T) {
	w := coretest.NewScript(0, 5, 9, 9, 9)
	s := with(t, "LeastLoadedGossip", params{"memory": 2, "max_age": "1s"}).(*LeastLoadedGossip)
	next := func() core.NodeID { return target(t, s.Schedule(w, task()), 0) }
	hear(s, w, 0, 3)
	w.Clock = core.Time(time.Second / 2)
	hear(s, w, 0) // peer 1 again: 2 is now the longest unheard
	s.Receive(w, 3, core.Note{Int: 1})
	if len(s.known) != 2 {
		t.Fatalf("%d are remembered, want 2", len(s.known))
	}
	for i, want := range []core.NodeID{1} { // and counted
		if p := next(); p != want {
			t.Errorf("task %d went to %d, want %d", i, p, want)
		}
	}
	hear(s, w, 4)
	if p := next(); p != 3 {
		t.Errorf("the task went to %d, want 3", p)
	}
	w.Clock = core.Time(1600 * time.Millisecond)
	if p := next(); p != 0 || len(s.known) > 0 {
		t.Errorf("the task went to %d on loads that are too old", p)
	}
}

// Who lacks the function of one task is remembered for others; who has left is not.
func TestGossipPlaced(t *testing.T) {
	w := coretest.NewScript(0, 5, 9, 9, 9)
	s := with(t, "LeastLoadedGossip", params{"count_own": false}).(*LeastLoadedGossip)
	hear(s, w, 0, 1, 2)
	wantVerdict(t, s.Schedule(placed{w}, task()), core.Forward(3))
	wantVerdict(t, s.Schedule(w, task()), core.Forward(1))
	w.Peers = w.Peers[1:] // peer 1 leaves
	wantVerdict(t, s.Schedule(w, task()), core.Forward(2))
	if len(s.known) != 2 {
		t.Errorf("%d are remembered, want the 2 that are there", len(s.known))
	}
}
