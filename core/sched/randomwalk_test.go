package sched

import (
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestRandomWalk(t *testing.T) {
	for _, c := range []struct {
		gloss string
		named params
		tasks []int
		want  []float64
	}{
		{"at the threshold it ends", params{"threshold": 2}, []int{2, 0, 0}, []float64{1, 0, 0}},
		{"above it goes on, wherever", params{"threshold": 2}, []int{3, 0, 9}, []float64{0, .5, .5}},
		{"without revisiting, at the first node", params{"revisit": false}, []int{3, 0, 9}, []float64{0, .5, .5}},
		{"alone", params{}, []int{9}, []float64{1}},
	} {
		t.Run(c.gloss, func(t *testing.T) {
			w := coretest.NewScript(0, c.tasks...)
			wantShares(t, shares(t, 10000, len(c.tasks), with(t, "RandomWalk", c.named), w), c.want...)
		})
	}
}

func TestRandomWalkAvoidsWhereItWas(t *testing.T) {
	w := coretest.NewScript(2, 9, 9, 9, 9, 9)
	counts := make([]int, 5)
	for range 10000 {
		counts[target(t, step(w, []core.NodeID{0, 3}), 2)]++
	}
	wantShares(t, counts, 0, .5, 0, 0, .5)
	if p := target(t, step(w, []core.NodeID{0, 1, 3, 4}), 2); p != 2 {
		t.Errorf("a walk that has been everywhere went to %d", p)
	}
}
