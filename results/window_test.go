package results

import (
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// Of a second to three, in two batches: latencies are of the requests that arrived in it, throughput is of those that completed in it.
func TestWindow(t *testing.T) {
	w := NewWindow(core.Time(time.Second), core.Time(3*time.Second), 2, "f", "g")
	rep := &Replication{Measured: 2 * time.Second, Tally: w.Tally, Batches: w.Batches, Groups: []NodeStat{{EnergyJ: 12}}}
	for _, c := range []struct {
		arrival, latency time.Duration
		counts           bool
	}{
		{0, 500 * ms, false},         // before it, both
		{500 * ms, 500 * ms, false},  // completes as it begins
		{900 * ms, 1500 * ms, false}, // arrives before it
		{1500 * ms, 1 * ms, true},    // within it
		{1900 * ms, 200 * ms, true},  // within it, in the other batch
		{2500 * ms, 500 * ms, true},  // completes when it is over
		{2900 * ms, 9000 * ms, true}, // long after
	} {
		r := completed(0, c.latency)
		r.Arrival = core.Time(c.arrival)
		if w.Add(r) != c.counts {
			t.Errorf("a request that arrives at %v is counted: %t, want %t", c.arrival, !c.counts, c.counts)
		}
	}
	w.Add(&Record{Arrival: core.Time(2 * time.Second), Outcome: core.NoRoom})
	for name, want := range map[string]float64{"requests": 5, "completed": 4, "throughput": 2, "throughput[f]": 2, "throughput[g]": 0,
		"energy_per_completed": 3} {
		wantMetric(t, rep, name, want)
	}
	for i, want := range []float64{2, 2} {
		wantMetric(t, &Replication{Measured: time.Second, Tally: w.Batches[i]}, "throughput", want)
	}
}
