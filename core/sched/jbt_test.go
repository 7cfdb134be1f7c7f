package sched

import (
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestJBTThreshold(t *testing.T) {
	for _, c := range []struct {
		gloss string
		tasks []int
		down  core.NodeID
		want  int
	}{
		{"the least load of those drawn", []int{7, 5, 4, 6}, core.NoNode, 4},
		{"its own load is one of them", []int{3, 5, 4, 6}, core.NoNode, 3},
		{"a silent node has no load", []int{7, 5, 4, 6}, 2, 5},
		{"alone", []int{4}, core.NoNode, 4},
	} {
		w := coretest.NewScript(0, c.tasks...)
		if c.down != core.NoNode {
			*w.Peer(c.down) = coretest.Peer{ID: c.down, Err: core.ErrNoAnswer}
		}
		s := with(t, "JBT", params{"d": 4}).(*JBT)
		w.Run(s.Start)
		if s.threshold != c.want {
			t.Errorf("%s: the threshold is %d, want %d", c.gloss, s.threshold, c.want)
		}
	}
}

func TestJBTServer(t *testing.T) {
	w := coretest.NewScript(1, 0, 9)
	s := with(t, "JBT", params{"dispatchers": 1}).(*JBT)
	s.threshold = 2
	for _, c := range []struct {
		gloss string
		tasks int
		told  uint32 // 0 = nothing
	}{
		{"above", 3, 0}, {"at the threshold", 2, noteSit}, {"below", 1, 0}, {"at it again", 2, 0}, {"above", 3, noteGetUp},
		{"above", 4, 0}, {"below", 0, noteSit},
	} {
		w.Told, w.Own = nil, coretest.Loaded(c.tasks)
		s.Changed(w)
		if (len(w.Told) > 0) != (c.told > 0) || c.told > 0 && w.Told[0].Note.Kind != c.told {
			t.Errorf("%s, with %d tasks: told %v, want kind %d", c.gloss, c.tasks, w.Told, c.told)
		}
	}
	// A task was sent to it from the list: it is off the list, and enlists anew when the task has come.
	s.Receive(w, 0, core.Note{Kind: noteCalled})
	w.Told, w.Own = nil, coretest.Loaded(1)
	s.Changed(w)
	if len(w.Told) != 1 || w.Told[0].Note.Kind != noteSit {
		t.Errorf("told %v, want it to enlist again", w.Told)
	}
}

// A node that calls itself off its own list may enlist again, too.
func TestJBTCallsItself(t *testing.T) {
	w := coretest.NewScript(0, 0)
	s := with(t, "JBT", nil).(*JBT)
	s.threshold = 2
	for tasks := range 2 {
		w.Own = coretest.Loaded(tasks)
		s.Changed(w)
		if len(s.bench.nodes) != 1 {
			t.Fatalf("with %d tasks %v are on the list, want the node itself", tasks, s.bench.nodes)
		}
		wantVerdict(t, s.Schedule(w, task()), core.Execute())
	}
}

func TestJBTSeesItsOwnLoadAfterProbing(t *testing.T) {
	w := coretest.NewScript(0, 1, 5)
	w.Meanwhile = func(w *coretest.Script) { w.Own = coretest.Loaded(3) }
	s := with(t, "JBT", nil).(*JBT)
	w.Run(s.Start)
	if s.threshold != 3 {
		t.Errorf("the threshold is %d, want 3", s.threshold)
	}
}

func TestJBTDispatcher(t *testing.T) {
	w := coretest.NewScript(0, 9, 9, 9, 9)
	s := with(t, "JBT", nil).(*JBT)
	counts := make([]int, 4)
	for range 20000 {
		for p := core.NodeID(1); p < 4; p++ {
			s.Receive(w, p, core.Note{Kind: noteSit})
		}
		w.Told = w.Told[:0]
		p := target(t, s.Schedule(w, task()), 0)
		counts[p]++
		if len(w.Told) != 1 || w.Told[0] != (coretest.Told{To: p, Note: core.Note{Kind: noteCalled}}) {
			t.Fatalf("told %v, want node %d to know that it was called", w.Told, p)
		}
		if len(s.bench.nodes) != 2 {
			t.Fatalf("%v are on the list, want the two others", s.bench.nodes)
		}
	}
	wantShares(t, counts, 0, 1./3, 1./3, 1./3)
	s.bench.nodes = nil
	wantShares(t, shares(t, 20000, 4, s, w), .25, .25, .25, .25)
}
