package sched

import (
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestPowerOfN(t *testing.T) {
	for _, c := range []struct {
		gloss string
		named params
		tasks []int // of node 0, which decides, and of the others
		want  core.Verdict
		asked int
	}{
		{"below the threshold nobody is asked", params{"threshold": 2}, []int{1, 0}, core.Execute(), 0},
		{"at the threshold a less loaded peer gets it", params{"threshold": 2}, []int{2, 1}, core.Forward(1), 1},
		{"an equally loaded peer does not", params{"threshold": 2}, []int{2, 2}, core.Execute(), 1},
		{"without strict it does", params{"threshold": 2, "strict": false}, []int{2, 2}, core.Forward(1), 1},
		{"a more loaded one never", params{"threshold": 2, "strict": false}, []int{2, 3}, core.Execute(), 1},
		{"threshold 0 always asks", params{"threshold": 0}, []int{0, 0}, core.Execute(), 1},
		{"K+1 is no cooperation", params{"threshold": 5}, []int{4, 0}, core.Execute(), 0},
		{"the least of all, then the next", params{"fanout": 3}, []int{9, 5, 1, 3}, core.Forward(2, 3, 1), 3},
		{"alternatives have less than here, too", params{"fanout": 3}, []int{4, 5, 1, 3}, core.Forward(2, 3), 3},
		{"fan-out beyond the neighbours", params{"fanout": 9}, []int{9, 5, 1}, core.Forward(2, 1), 2},
		{"v1: least is not least", params{"pick": pickNotMoreLoaded, "fanout": 1}, []int{3, 1}, core.Forward(1), 1},
		{"v1: strict in the first step", params{"pick": pickNotMoreLoaded, "fanout": 2}, []int{3, 3, 3}, core.Execute(), 2},
		{"loss where it stays", params{"loss": "enforce", "threshold": 5}, []int{1, 0}, core.Reject(core.NoRoom), 0},
		{"loss but a free slot", params{"loss": "enforce"}, []int{0, 0}, core.Execute(), 0},
		{"loss after probing", params{"loss": "enforce"}, []int{2, 2}, core.Reject(core.NoRoom), 1},
		{"loss and a better peer", params{"loss": "enforce"}, []int{2, 0}, core.Forward(1), 1},
		{"v1: loss without effect", params{"loss": "announce"}, []int{2, 2}, core.Execute(), 1},
		{"alone", params{}, []int{7}, core.Execute(), 0},
	} {
		t.Run(c.gloss, func(t *testing.T) {
			w := coretest.NewScript(0, c.tasks...)
			wantVerdict(t, with(t, "PowerOfNScheduler", c.named).Schedule(w, task()), c.want)
			if len(w.Asked) != c.asked {
				t.Errorf("asked %v, want %d peers", w.Asked, c.asked)
			}
		})
	}
}

// The own load is the one after probing; the one before decides about probing alone.
func TestPowerOfNComparesTheLoadAfterProbing(t *testing.T) {
	for _, c := range []struct {
		before, after int
		want          core.Verdict
	}{{4, 2, core.Execute()}, {2, 4, core.Forward(1)}, {1, 9, core.Execute()}} {
		w := coretest.NewScript(0, c.before, 3)
		w.Meanwhile = func(w *coretest.Script) { w.Own = coretest.Loaded(c.after) }
		wantVerdict(t, with(t, "PowerOfNScheduler", nil).Schedule(w, task()), c.want)
	}
}

func TestPowerOfNShares(t *testing.T) {
	for _, c := range []struct {
		gloss string
		named params
		tasks []int
		want  []float64
	}{
		{"one peer", params{}, []int{5, 0}, []float64{0, 1}},
		{"two peers", params{}, []int{5, 0, 0}, []float64{0, .5, .5}},
		{"three peers, one more loaded", params{}, []int{5, 0, 9, 4}, []float64{1. / 3, 1. / 3, 0, 1. / 3}},
		{"ties", params{"fanout": 4}, []int{5, 1, 1, 2, 1}, []float64{0, 1. / 3, 1. / 3, 0, 1. / 3}},
		{"v1 picks any that is not more loaded", params{"fanout": 4, "pick": pickNotMoreLoaded}, []int{5, 1, 5, 9, 2},
			[]float64{0, 1. / 3, 1. / 3, 0, 1. / 3}},
		{"with replacement the idle peer is missed at times", params{"fanout": 2, "replacement": true}, []int{5, 9, 0, 9},
			[]float64{4. / 9, 0, 5. / 9, 0}},
		{"v1 takes the whole list where it is as long as the fan-out", params{"fanout": 3, "replacement": true},
			[]int{5, 9, 0, 9}, []float64{0, 0, 1, 0}},
	} {
		t.Run(c.gloss, func(t *testing.T) {
			w := coretest.NewScript(0, c.tasks...)
			wantShares(t, shares(t, 20000, len(c.tasks), with(t, "PowerOfNScheduler", c.named), w), c.want...)
		})
	}
}
