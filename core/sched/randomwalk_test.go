package sched

import (
	"testing"

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
