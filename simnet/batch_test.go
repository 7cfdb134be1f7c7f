package simnet_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/simnet"
)

// A stopping rule gives the same replications however many workers there are; what they began in vain is not seen.
func TestPrecision(t *testing.T) {
	for _, c := range []struct{ enough, most, want int }{{5, 9, 5}, {1, 9, 3}, {100, 7, 7}} {
		for _, workers := range []int{1, 2, 5} {
			points := small.points(t)
			points[0].Scenario.Replications = 3
			points[0].Scenario.Precision = &scenarios.Precision{Replications: c.most}
			var mu sync.Mutex
			var done []int
			batch := simnet.Batch{Points: points, Workers: workers,
				Done: func(_ int, r *results.Replication) error {
					mu.Lock()
					defer mu.Unlock()
					done = append(done, r.Index)
					return nil
				},
				Enough: func(_ int, rs []*results.Replication) bool { return len(rs) >= c.enough }}
			if err := batch.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			slices.Sort(done)
			if !slices.Equal(done, []int{0, 1, 2, 3, 4, 5, 6, 7, 8}[:c.want]) {
				t.Errorf("%+v, %d workers: replications %v", c, workers, done)
			}
		}
	}
}

// What Done finds wrong ends the batch.
func TestDoneFails(t *testing.T) {
	full := errors.New("no space left")
	batch := simnet.Batch{Points: small.points(t), Workers: 2,
		Done: func(int, *results.Replication) error { return full }}
	if err := batch.Run(context.Background()); !errors.Is(err, full) {
		t.Errorf("the batch says %v", err)
	}
}
