package sched

import (
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestSequentialProbingStopsAtTheFirst(t *testing.T) {
	s := with(t, "SequentialProbing", params{"fanout": 3})
	for range 100 {
		w := coretest.NewScript(0, 2, 0, 5, 1)
		p := target(t, s.Schedule(w, task()), 0)
		if p == 2 || w.Asked[len(w.Asked)-1] != p {
			t.Fatalf("went to %d after asking %v, want the last asked, below the threshold", p, w.Asked)
		}
		for _, q := range w.Asked[:len(w.Asked)-1] {
			if q != 2 {
				t.Fatalf("went on after %d, which would have taken the task: %v", q, w.Asked)
			}
		}
	}
}

func TestSequentialProbing(t *testing.T) {
	for _, c := range []struct {
		gloss string
		named params
		tasks []int
		cloud bool
		want  core.Verdict
		asked int
	}{
		{"below the threshold", params{}, []int{1, 0}, false, core.Execute(), 0},
		{"nobody below it", params{}, []int{2, 2, 2, 2}, false, core.Execute(), 2},
		{"all asked", params{"fanout": 9}, []int{2, 2, 2, 2}, false, core.Execute(), 3},
		{"less loaded is not below", params{}, []int{9, 3}, false, core.Execute(), 1},
		{"the cloud takes it", params{"cloud": true}, []int{2, 2}, true, core.Forward(2), 1},
		{"if it may", params{}, []int{2, 2}, true, core.Execute(), 1},
		{"and is there", params{"cloud": true}, []int{2, 2}, false, core.Execute(), 1},
		{"alone", params{}, []int{9}, false, core.Execute(), 0},
	} {
		w := coretest.NewScript(0, c.tasks...)
		if c.cloud {
			w.Far = core.NodeID(len(c.tasks))
		}
		got := with(t, "SequentialProbing", c.named).Schedule(w, task())
		if got.String() != c.want.String() || len(w.Asked) != c.asked {
			t.Errorf("%s: %s after asking %v, want %s after %d", c.gloss, got, w.Asked, c.want, c.asked)
		}
	}
}

// A slot has become free here while it asked.
func TestSequentialProbingLooksHomeward(t *testing.T) {
	w := coretest.NewScript(0, 2, 0, 0)
	w.Meanwhile = func(w *coretest.Script) { w.Own = coretest.Loaded(1) }
	wantVerdict(t, with(t, "SequentialProbing", nil).Schedule(w, task()), core.Execute())
	if len(w.Asked) != 1 {
		t.Errorf("asked %v, want one", w.Asked)
	}
}
