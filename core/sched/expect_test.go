package sched

import (
	"math"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
)

func TestExpected(t *testing.T) {
	for _, c := range []struct {
		gloss string
		l     core.Load
		want  float64 // mean service times
	}{
		{"one slot, idle", core.Load{Capacity: core.Capacity{Slots: 1, Speed: 1}}, 1},
		{"one slot, n tasks: (n+1) E[S]", core.Load{Running: 1, Queued: 3, Capacity: core.Capacity{Slots: 1, Speed: 1}}, 5},
		{"free slots", core.Load{Running: 3, Capacity: core.Capacity{Slots: 4, Speed: 1}}, 1},
		{"all slots busy, the next departure frees one", core.Load{Running: 4, Capacity: core.Capacity{Slots: 4, Speed: 1}}, 1.25},
		{"two wait", core.Load{Running: 4, Queued: 2, Capacity: core.Capacity{Slots: 4, Speed: 1}}, 1.75},
		{"twice as fast", core.Load{Running: 1, Queued: 1, Capacity: core.Capacity{Slots: 1, Speed: 2}}, 1.5},
		{"no speed is speed 1", core.Load{Capacity: core.Capacity{Slots: 1}}, 1},
		{"no slots", core.Load{Capacity: core.Capacity{Speed: 1}}, math.Inf(1)},
	} {
		if got := expected(c.l, 2); got != 2*c.want {
			t.Errorf("%s: %v, want %v", c.gloss, got, 2*c.want)
		}
	}
}
