package sched

import (
	"testing"

	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestRandom(t *testing.T) {
	for _, c := range []struct {
		gloss string
		named params
		nodes int
		want  []float64
	}{
		{"alone", params{}, 1, []float64{1}},
		{"alone, among its peers", params{"include_self": false}, 1, []float64{1}},
		{"uniform over all", params{}, 4, []float64{.25, .25, .25, .25}},
		{"two nodes", params{}, 2, []float64{.5, .5}},
		{"uniform over the peers", params{"include_self": false}, 4, []float64{1. / 3, 1. / 3, 0, 1. / 3}},
		{"at times", params{"include_self": false, "probability": 0.3}, 4, []float64{.1, .1, .7, .1}},
		{"never", params{"probability": 0}, 4, []float64{0, 0, 1, 0}},
	} {
		t.Run(c.gloss, func(t *testing.T) {
			w := coretest.NewScript(0, make([]int, c.nodes)...)
			if c.nodes > 2 {
				w = coretest.NewScript(2, make([]int, c.nodes)...)
			}
			wantShares(t, shares(t, 20000, c.nodes, with(t, "Random", c.named), w), c.want...)
		})
	}
}
