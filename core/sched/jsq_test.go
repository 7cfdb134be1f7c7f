package sched

import (
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestJSQShares(t *testing.T) {
	for _, c := range []struct {
		gloss string
		named params
		tasks []int
		want  []float64
	}{
		{"alone", params{}, []int{3}, []float64{1}},
		{"d = 1 is random, whatever the loads", params{"d": 1}, []int{9, 0, 5}, []float64{1. / 3, 1. / 3, 1. / 3}},
		{"d = N is join the shortest queue", params{"d": 3}, []int{2, 1, 3}, []float64{0, 1, 0}},
		{"d beyond N", params{"d": 9}, []int{2, 1, 3}, []float64{0, 1, 0}},
		{"ties are random, also with the node itself", params{"d": 3}, []int{1, 1, 1}, []float64{1. / 3, 1. / 3, 1. / 3}},
		// Of the 3 pairs of 3 nodes the idle one is in 2; the pair without it goes to the less loaded of the two.
		{"d = 2 of 3", params{"d": 2}, []int{1, 0, 2}, []float64{1. / 3, 2. / 3, 0}},
		// Of the 9 ordered draws with replacement, 5 have the idle node, 3 of the others have node 0.
		{"with replacement", params{"d": 2, "replacement": true}, []int{1, 0, 2}, []float64{3. / 9, 5. / 9, 1. / 9}},
		{"two nodes", params{"d": 2}, []int{0, 1}, []float64{1, 0}},
	} {
		t.Run(c.gloss, func(t *testing.T) {
			w := coretest.NewScript(0, c.tasks...)
			wantShares(t, shares(t, 20000, len(c.tasks), with(t, "JSQ", c.named), w), c.want...)
		})
	}
}

func TestJSQSeesItsOwnLoadAfterProbing(t *testing.T) {
	w := coretest.NewScript(0, 0, 2)
	w.Meanwhile = func(w *coretest.Script) { w.Own = coretest.Loaded(5) }
	wantVerdict(t, with(t, "JSQ", nil).Schedule(w, task()), core.Forward(1, 0))
}

func TestJSQWithOneNodeDoesNotAsk(t *testing.T) {
	w := coretest.NewScript(0, 1, 1)
	with(t, "JSQ", params{"d": 1}).Schedule(w, task())
	if len(w.Asked) > 0 {
		t.Errorf("asked %v", w.Asked)
	}
}
