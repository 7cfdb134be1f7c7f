package results

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/p2pfaas/p2pfaas/core"
)

const ms = time.Millisecond

// completed is a record of a request that waited, then executed at its entry node.
func completed(waiting, executing time.Duration) *Record {
	return &Record{Outcome: core.Completed, Latency: waiting + executing,
		Timing: core.Timing{Waiting: waiting, Executing: executing}}
}

func wantMetric(t *testing.T, m interface{ Metric(string) (float64, bool) }, name string, want float64) {
	t.Helper()
	got, ok := m.Metric(name)
	switch {
	case !ok:
		t.Errorf("%s is not known", name)
	case math.IsNaN(want) && math.IsNaN(got):
	case !(math.Abs(got-want) <= 1e-12*math.Abs(want)):
		t.Errorf("%s = %v, want %v", name, got, want)
	}
}

func TestTallyOfAFewRequests(t *testing.T) {
	tally := NewTally("face-detect", "echo")
	a := completed(100*ms, 300*ms)
	a.Node, a.Executor, a.Hops, a.Probes, a.Deadline, a.Cold, a.ColdStart = 1, 2, 2, 3, 400*ms, true, 60*ms
	a.EnergyJ = 1.5
	b := completed(0, 200*ms)
	b.Deadline = 199 * ms
	c := completed(50*ms, 10*ms)
	c.Function, c.Client, c.Latency = 1, 4*ms, 64*ms
	tally.Add(a)
	tally.Add(b)
	tally.Add(c)
	for _, o := range []core.Outcome{core.Rejected, core.NoRoom, core.NoFunction, core.LostNodeDown, core.LostHopLimit,
		core.Expired, core.LostClientGone} {
		tally.Add(&Record{Function: 1, Outcome: o, Executor: core.NoNode, Retries: 1, Latency: time.Hour})
	}
	for name, want := range map[string]float64{
		"requests": 10, "completed": 3,
		"latency.mean": (0.4 + 0.2 + 0.064) / 3, "latency.max": 0.4, "latency.p100": 0.4,
		"latency.mean[face-detect]": 0.3, "latency.mean[echo]": 0.064, "latency.std[face-detect]": 0.1,
		"waiting.mean": 0.05, "waiting.max": 0.1, "executing.mean": 0.17, "client.mean": 0.004 / 3, "probing.mean": 0,
		"drop_rate": 0.7, "drop_rate[face-detect]": 0, "drop_rate[echo]": 7. / 8, "rejected_rate": 0.1, "no_room_rate": 0.1,
		"no_function_rate": 0.1, "expired_rate": 0.1, "lost_rate": 0.3, "deadline_share": 0.2, "forwarded_share": 0.1, "probing_share": 0.1,
		"probes_per_request": 0.3, "retry_rate": 0.7, "hops.mean": 0.2, "cold_share": 1. / 3, "cold_start.mean": 0.06,
		"cold_start.mean[echo]": math.NaN(), "energy_per_request": 0.15,
	} {
		wantMetric(t, tally, name, want)
	}
	for _, name := range []string{"latency", "latency.p0", "latency.p101", "latency.pX", "hops.p50",
		"latency.mean[nobody]", "latency.mean[echo", ""} {
		if v, ok := tally.Metric(name); ok {
			t.Errorf("%q is known: %v", name, v)
		}
	}
}

func TestTallyOfNothing(t *testing.T) {
	tally := NewTally("f")
	wantMetric(t, tally, "requests", 0)
	for _, name := range []string{"latency.mean", "latency.p95", "latency.p42", "latency.max", "latency.std", "drop_rate",
		"cold_share", "cold_start.mean"} {
		wantMetric(t, tally, name, math.NaN())
	}
	if cdf := LatencyCDF(tally); cdf != nil {
		t.Errorf("distribution of nothing: %v", cdf)
	}
}

// Zero, a year and what cannot be: all are counted, and what cannot be is counted as such.
func TestTallyExtremeLatencies(t *testing.T) {
	tally := NewTally("f")
	for _, d := range []time.Duration{0, 0, 365 * 24 * time.Hour, math.MaxInt64, -1} {
		tally.Add(completed(0, d))
	}
	wantMetric(t, tally, "completed", 5)
	wantMetric(t, tally, "latency.p50", 0)
	if p, _ := tally.Metric("latency.p80"); math.Abs(p/(365*24*3600)-1) > 1e-3 {
		t.Errorf("p80 = %v s", p)
	}
	if tally.Clamped() != 2 {
		t.Errorf("clamped %d, want 2", tally.Clamped())
	}
	wantMetric(t, tally, "latency.mean", (365*24*3600+(math.MaxInt64-1)/1e9)/5)
}

// Tallies that older programs stored do not say what completed in the measured part.
func TestTallyOfOlderPrograms(t *testing.T) {
	r := replicationOf(0, 100)
	data, err := json.Marshal(r.Tally)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		tally string
		want  float64
	}{{string(data), 1}, {strings.Replace(string(data), `"completions"`, `"unknown"`, 1), math.NaN()}} {
		if err := json.Unmarshal([]byte(c.tally), r.Tally); err != nil {
			t.Fatal(err)
		}
		wantMetric(t, r, "throughput", c.want)
		wantMetric(t, r, "completed", 1)
	}
}

func TestNanosBeyond64Bits(t *testing.T) {
	var n nanos
	for range 8 {
		n.add(math.MaxInt64)
	}
	if want := 8 * float64(math.MaxInt64) / 1e9; n.seconds() != want {
		t.Errorf("sum is %v s, want %v", n.seconds(), want)
	}
	for range 8 {
		n.add(-math.MaxInt64)
	}
	n.add(-5)
	if n.seconds() != -5e-9 {
		t.Errorf("sum is %v s, want -5e-9", n.seconds())
	}
}

// A percentile of the histogram is within one part in a thousand of the exact one (nearest rank).
func TestPercentileErrorBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 1<<50), 1, 200).Draw(t, "values")
		p := rapid.Float64Range(0.01, 100).Draw(t, "p")
		h := histogram{digits: 3}
		for _, v := range values {
			h.add(v)
		}
		slices.Sort(values)
		exact := float64(values[max(0, int(math.Ceil(p/100*float64(len(values))-1e-9))-1)])
		if got := float64(h.percentile(p)); math.Abs(got-exact) > 1e-3*exact {
			t.Fatalf("p%v = %v, exact %v", p, got, exact)
		}
	})
}

func randomTally(rng *rand.Rand, n int, functions ...string) *Tally {
	t := NewTally(functions...)
	for range n {
		r := completed(time.Duration(rng.ExpFloat64()*1e8), time.Duration(rng.ExpFloat64()*3e8))
		r.Function = core.TaskType(rng.IntN(len(functions)))
		r.EnergyJ = rng.Float64()
		if rng.IntN(10) == 0 {
			r.Outcome, r.Executor = core.NoRoom, core.NoNode
		}
		t.Add(r)
	}
	return t
}

// A tally that was packed, or that went through a file, says bit for bit the same.
func TestTallyPackAndRoundTrip(t *testing.T) {
	tally := randomTally(rand.New(rand.NewPCG(1, 2)), 5000, "a", "b")
	names := []string{"latency.mean", "latency.p50", "latency.p97.5", "latency.p99.9", "waiting.p95", "latency.std",
		"latency.p95[b]", "drop_rate[a]", "energy_per_request", "waiting.p42[a]"}
	before := map[string]float64{}
	for _, name := range names {
		before[name], _ = tally.Metric(name)
	}
	cdf := LatencyCDF(tally)
	data, err := json.Marshal(tally)
	if err != nil {
		t.Fatal(err)
	}
	var read Tally
	if err := json.Unmarshal(data, &read); err != nil {
		t.Fatal(err)
	}
	tally.Pack()
	for _, other := range []*Tally{tally, &read} {
		for _, name := range names {
			if v, ok := other.Metric(name); !ok || v != before[name] {
				t.Errorf("%s = %v, was %v", name, v, before[name])
			}
		}
		if !slices.Equal(LatencyCDF(other), cdf) {
			t.Error("the distribution of the latency changed")
		}
	}
	again, _ := json.Marshal(&read)
	if string(again) != string(data) {
		t.Error("written again, it differs")
	}
	if len(data) > 60_000 {
		t.Errorf("%d bytes for 5000 requests", len(data))
	}
}

// A tally goes on after it was packed.
func TestTallyAddAfterPack(t *testing.T) {
	tally := NewTally("f")
	tally.Add(completed(0, 100*ms))
	tally.Pack()
	tally.Add(completed(0, time.Hour))
	wantMetric(t, tally, "latency.mean", 1800.05)
	wantMetric(t, tally, "latency.p100", 3600)
	wantMetric(t, tally, "latency.max", 3600)
	if p, _ := tally.Metric("latency.p50"); math.Abs(p/0.1-1) > 1e-3 {
		t.Errorf("p50 = %v", p)
	}
}

// Merging is as if all had been added to one, whatever the ranges.
func TestHistogramMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.Int64Range(0, 1<<60))
		var parts, whole histogram
		parts.digits, whole.digits = 3, 3
		for _, some := range rapid.SliceOfN(values, 1, 4).Draw(t, "parts") {
			part := histogram{digits: 3}
			for _, v := range some {
				part.add(v)
				whole.add(v)
			}
			if rapid.Bool().Draw(t, "packed") {
				part.pack()
			}
			parts.merge(&part)
		}
		if parts.empty() != whole.empty() || parts.min != whole.min || parts.max != whole.max {
			t.Fatalf("merged %v to %v, added %v to %v", parts.min, parts.max, whole.min, whole.max)
		}
		if !whole.empty() && !slices.Equal(parts.live().Distribution(), whole.live().Distribution()) {
			t.Fatal("the merged distribution differs")
		}
	})
}

func TestUnpackRefusesDamage(t *testing.T) {
	h := histogram{digits: 3}
	h.add(5)
	h.pack()
	for _, bad := range [][]byte{nil, {1}, {0x80}, append(slices.Clone(h.packed), 1),
		append(slices.Clone(h.packed), 0xff, 0xff, 0xff, 0xff, 7, 1)} {
		if _, err := unpackCounts(bad, 3); err == nil {
			t.Errorf("%v is unpacked", bad)
		}
	}
	var read histogram
	if err := json.Unmarshal([]byte(`{"digits":99,"counts":"AAAA"}`), &read); err == nil {
		t.Error("99 digits are read")
	}
}

func TestLatencyCDF(t *testing.T) {
	a, b := NewTally("f"), NewTally("f")
	a.Add(completed(0, 1))
	b.Add(completed(0, 3))
	b.Add(completed(0, 3))
	b.Add(completed(0, 7))
	want := []Step{{1, 0}, {1, 0.25}, {3, 0.75}, {7, 1}}
	if got := LatencyCDF(a, b); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func BenchmarkTallyAdd(b *testing.B) {
	for _, c := range []struct {
		name      string
		functions []string
	}{{"functions=1", []string{"f"}}, {"functions=4", []string{"a", "b", "c", "d"}}} {
		b.Run(c.name, func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			tally := NewTally(c.functions...)
			records := make([]Record, 4096)
			for i := range records {
				records[i] = *completed(time.Duration(rng.ExpFloat64()*1e8), time.Duration(rng.ExpFloat64()*3e8))
				records[i].Function = core.TaskType(rng.IntN(len(c.functions)))
				tally.Add(&records[i])
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				tally.Add(&records[i%len(records)])
			}
		})
	}
}
