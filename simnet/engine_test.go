package simnet

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/core/sched"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// powerOfTwo is the model of scenarios/bench-power-of-two.yaml: one slot and nine places per node, power of two
// choices with threshold 2, 10 ms for every message, load 0.9.
func powerOfTwo(tb testing.TB, nodes int, duration time.Duration) *scenarios.Scenario {
	tb.Helper()
	spec, err := sched.Parse("PowerOfNScheduler", map[string]any{"fanout": 1, "threshold": 2})
	if err != nil {
		tb.Fatal(err)
	}
	return &scenarios.Scenario{Name: "power-of-two", Seed: 1, Duration: duration, Warmup: duration / 10,
		Cluster: scenarios.Cluster{
			Groups:   []scenarios.Group{{Name: "node", Nodes: nodes, Slots: 1, Queue: 9, Speed: 1}},
			Topology: scenarios.Topology{Kind: "full-mesh"},
			Links:    scenarios.Links{Default: scenarios.Link{Latency: random.NewConstant(0.01)}},
		},
		Functions: []scenarios.Function{{Name: "f", Service: random.NewExponential(1), Share: 1}},
		Workload:  scenarios.Workload{Rate: 0.9},
		Scheduler: scenarios.Scheduler{Spec: spec, Forwarding: core.Forwarding{MaxHops: 1}},
	}
}

func never() bool { return false }

// BenchmarkEngine is the model of the yardstick through the full engine.
func BenchmarkEngine(b *testing.B) {
	for _, nodes := range []int{100, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			// A run of b.N jobs, so that building the world is not counted.
			d := time.Duration(float64(b.N) / (0.9 * float64(nodes)) * 1e9)
			w, err := New(powerOfTwo(b, nodes, max(d, time.Second)), 0, Options{})
			if err != nil {
				b.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			b.ResetTimer()
			r, err := w.Run(never)
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			runtime.ReadMemStats(&after)
			s := b.Elapsed().Seconds()
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(r.Events), "allocs/event")
			b.ReportMetric(float64(r.Jobs)/s, "jobs/s")
			b.ReportMetric(float64(r.Events)/s, "events/s")
		})
	}
}
