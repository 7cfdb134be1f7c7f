package simnet_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/sched"
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

// leaving ends the goroutine where it must not.
type leaving struct{}

func (leaving) Schedule(core.Env, *core.Task) core.Verdict  { return core.Execute() }
func (leaving) Observe(core.View, *core.Task, core.Outcome) { runtime.Goexit() }

// unlucky panics at tasks of one demand.
type unlucky struct{}

var unluckyDemand atomic.Int64

func (unlucky) Schedule(_ core.Env, t *core.Task) core.Verdict {
	if int64(t.Demand) == unluckyDemand.Load() {
		panic("unlucky")
	}
	return core.Execute()
}

func init() {
	for name, s := range map[string]core.Scheduler{"testLeaving": &leaving{}, "testUnlucky": &unlucky{}} {
		sched.Register(sched.Entry{Name: name, Summary: "for a test", Doc: "For a test.", Source: "none", Stateless: true,
			New: func() core.Scheduler { return s }})
	}
}

// An algorithm that ends the goroutine of its world is found, wherever it does.
func TestGoexit(t *testing.T) {
	batch := simnet.Batch{Points: small.scheduled("name: testLeaving").points(t), Workers: 2}
	if err := batch.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "Goexit") {
		t.Errorf("the batch says %v", err)
	}
}

// A replication that nobody wanted cannot fail a batch, however many workers there are.
func TestFaultInVain(t *testing.T) {
	defer unluckyDemand.Store(0) // nobody's
	w := small.scheduled("name: testUnlucky")
	w.replicate(t, 3, simnet.Options{Each: func(r *results.Record) {
		if r.ID == 0 {
			unluckyDemand.Store(int64(r.Demand))
		}
	}})
	for _, c := range []struct {
		enough int
		fails  bool
	}{{3, false}, {4, true}} {
		for _, workers := range []int{1, 2, 4} {
			points := w.points(t)
			points[0].Scenario.Replications, points[0].Scenario.Precision = 3, &scenarios.Precision{Replications: 9}
			batch := simnet.Batch{Points: points, Workers: workers,
				Enough: func(_ int, rs []*results.Replication) bool { return len(rs) >= c.enough }}
			if err := batch.Run(context.Background()); (err != nil) != c.fails {
				t.Errorf("%d wanted, %d workers: %v", c.enough, workers, err)
			}
		}
	}
}
