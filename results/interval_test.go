package results

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/p2pfaas/p2pfaas/core"
)

// replicationOf is one whose mean latency is that many milliseconds.
func replicationOf(index int, latencyMS float64) *Replication {
	w := NewWindow(0, core.Time(time.Second), 0, "f")
	w.Add(completed(0, time.Duration(latencyMS*1e6)))
	return &Replication{Index: index, Measured: time.Second, Tally: w.Tally}
}

func pointOf(latenciesMS ...float64) *Point {
	p := &Point{Scheduler: "JSQ"}
	for i, l := range latenciesMS {
		p.Add(replicationOf(i, l))
	}
	p.Wanted = len(p.Replications)
	return p
}

func near(a, b, relative float64) bool { return math.Abs(a-b) <= relative*math.Abs(b) }

// Quantiles of any table of Student's distribution.
func TestQuantileT(t *testing.T) {
	for _, c := range []struct{ confidence, freedom, want float64 }{
		{0.95, 1, 12.7062}, {0.95, 4, 2.77645}, {0.95, 9, 2.26216},
		{0.95, 19, 2.09302}, {0.99, 9, 3.24984}, {0.9, 29, 1.69913},
	} {
		if got := quantileT(c.confidence, c.freedom); !near(got, c.want, 1e-5) {
			t.Errorf("t(%v, %v) = %v, want %v", c.confidence, c.freedom, got, c.want)
		}
	}
}

func TestStudent(t *testing.T) {
	i := Student([]float64{1, 2, math.NaN(), 3, 4, 5}, 0.95)
	if half := 2.7764451 * math.Sqrt(2.5) / math.Sqrt(5); i.Mean != 3 || !near(i.Half, half, 1e-7) || i.N != 5 ||
		i.Method != FromReplications {
		t.Errorf("got %+v, want 3 ± %v", i, half)
	}
	if i := Student([]float64{7}, 0.95); i.Mean != 7 || !math.IsNaN(i.Half) || i.Method != NoInterval {
		t.Errorf("of one value: %+v", i)
	}
	if i := Student(nil, 0.95); !math.IsNaN(i.Mean) {
		t.Errorf("of none: %+v", i)
	}
}

// An interval of 95 % covers the mean in about 95 % of the cases.
func TestStudentCoverage(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	covered := 0
	const cases = 20_000
	for range cases {
		values := make([]float64, 5)
		for k := range values {
			values[k] = 10 + rng.NormFloat64()
		}
		if i := Student(values, 0.95); i.Lo() <= 10 && 10 <= i.Hi() {
			covered++
		}
	}
	if share := float64(covered) / cases; math.Abs(share-0.95) > 4*math.Sqrt(0.95*0.05/cases) {
		t.Errorf("covered in %v of the cases", share)
	}
}

func TestIntervalJSON(t *testing.T) {
	got, err := json.Marshal(map[string]Interval{"m": {0.5, math.NaN(), 1, NoInterval}})
	if err != nil || string(got) != `{"m":{"mean":0.5,"lo":null,"hi":null,"n":1,"method":"none"}}` {
		t.Errorf("%s, %v", got, err)
	}
}

func TestPointInterval(t *testing.T) {
	i := pointOf(100, 200, 300).Interval("latency.mean", 0.95)
	if !near(i.Mean, 0.2, 1e-12) || !near(i.Half, 4.302653*0.1/math.Sqrt(3), 1e-6) || i.N != 3 {
		t.Errorf("got %+v", i)
	}
	if i := pointOf(100).Interval("latency.mean", 0.95); i.Mean != 0.1 || i.Method != NoInterval {
		t.Errorf("of one replication: %+v", i)
	}
	if i := pointOf(100, 200).Interval("nonsense", 0.95); !math.IsNaN(i.Mean) {
		t.Errorf("of no metric: %+v", i)
	}
}

// With one replication, the interval is that of its batches, around the value over all of it.
func TestBatchMeans(t *testing.T) {
	p := pointOf(100)
	rep := p.Replications[0]
	rep.Measured = 20 * time.Second
	for k := range Batches {
		b := replicationOf(k, float64(90+k))
		rep.Batches = append(rep.Batches, b.Tally)
	}
	i := p.Interval("latency.mean", 0.95)
	if std := math.Sqrt(35) * 1e-3; i.Mean != 0.1 || i.Method != FromBatches || i.N != Batches ||
		!near(i.Half, 2.093024*std/math.Sqrt(20), 1e-6) {
		t.Errorf("got %+v", i)
	}
	if i := p.Interval("throughput[f]", 0.95); i.Mean != 1./20 || i.Half != 0 || i.N != Batches {
		t.Errorf("throughput: %+v", i)
	}
	for _, m := range []string{"requests", "energy", "load.mean", "latency.max", "latency.p95"} {
		if i := p.Interval(m, 0.95); i.Method != NoInterval {
			t.Errorf("%s has no batches: %+v", m, i)
		}
	}
}

// Of independent values the test says in 5 % of the cases that they are correlated, whatever their distribution; of correlated
// ones in most.
func TestCorrelated(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const cases = 20_000
	share := func(next func(before float64) float64) float64 {
		found := 0
		values := make([]float64, Batches)
		for range cases {
			x := next(0)
			for k := range values {
				x = next(x)
				values[k] = x
			}
			if correlated(values) {
				found++
			}
		}
		return float64(found) / cases
	}
	normal := func(float64) float64 { return rng.NormFloat64() }
	skewed := func(float64) float64 { return rng.ExpFloat64() }
	for name, next := range map[string]func(float64) float64{"normal": normal, "exponential": skewed} {
		if got := share(next); math.Abs(got-0.05) > 0.01 {
			t.Errorf("of independent %s values %.3f are called correlated, want 0.05", name, got)
		}
	}
	if got := share(func(before float64) float64 { return 0.6*before + rng.NormFloat64() }); got < 0.75 {
		t.Errorf("of values with a correlation of 0.6 %.3f are called correlated", got)
	}
	for _, values := range [][]float64{nil, {1}, {1, 2}, {3, 3, 3, 3}} {
		if correlated(values) {
			t.Errorf("%v say nothing", values)
		}
	}
}

func TestEnough(t *testing.T) {
	p := pointOf(100, 101, 99, 100, 100, 100, 100)
	if n, ok := Enough(p, "latency.mean", 0.05, 0.95); n != MinReplications || !ok {
		t.Errorf("narrow from the start: %d, %v", n, ok)
	}
	if n, ok := Enough(p, "latency.mean", 0.0055, 0.95); n != 7 || !ok {
		t.Errorf("narrow with the seventh: %d, %v", n, ok)
	}
	if n, ok := Enough(p, "latency.mean", 0.001, 0.95); n != 7 || ok {
		t.Errorf("never narrow: %d, %v", n, ok)
	}
	p.Replications = slices.Delete(p.Replications, 2, 3)
	if n, ok := Enough(p, "latency.mean", 0.05, 0.95); n != 2 || ok {
		t.Errorf("with a gap at 2: %d, %v", n, ok)
	}
	if n, ok := Enough(pointOf(5, 5, 5, 5, 5), "drop_rate", 0.05, 0.95); n != 5 || !ok {
		t.Errorf("always zero: %d, %v", n, ok)
	}
	p = pointOf(100, 100, 100, 100, 100)
	for _, r := range p.Replications[2:] {
		r.Tally = NewTally("f") // nothing completed: the latency is not defined
	}
	if n, ok := Enough(p, "latency.mean", 0.05, 0.95); n != 5 || ok {
		t.Errorf("two values in five replications: %d, %v", n, ok)
	}
}

// The order in which replications come changes nothing, and those beyond the prefix neither.
func TestEnoughLooksAtIndicesAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		latencies := rapid.SliceOfN(rapid.Float64Range(90, 110), 1, 12).Draw(t, "latencies")
		p := pointOf(latencies...)
		n, ok := Enough(p, "latency.mean", 0.05, 0.95)
		q := &Point{}
		for _, i := range rapid.Permutation(p.Replications).Draw(t, "order") {
			q.Add(i)
		}
		if m, also := Enough(q, "latency.mean", 0.05, 0.95); m != n || also != ok {
			t.Fatalf("%d, %v in order; %d, %v otherwise", n, ok, m, also)
		}
		if ok {
			q.Replications = q.Replications[:n]
			if m, also := Enough(q, "latency.mean", 0.05, 0.95); m != n || !also {
				t.Fatalf("%d, then %d, %v without the rest", n, m, also)
			}
		}
	})
}

// Common random numbers: the difference is sharp where the two are not.
func TestPaired(t *testing.T) {
	a, b := pointOf(100, 200, 300, 400), pointOf(111, 209, 311, 409, 77)
	i, err := Paired(a, b, "latency.mean", 0.95)
	if err != nil || !near(i.Mean, 0.010, 1e-9) || i.N != 4 || i.Replications != [2]int{4, 5} || !near(i.Half, 3.182446*math.Sqrt(4./3)*1e-3/2, 1e-6) {
		t.Errorf("%+v, %v", i, err)
	}
	if w, err := Welch(a, b, "latency.mean", 0.95); err != nil || w.Half < 20*i.Half {
		t.Errorf("unpaired: %+v, %v", w, err)
	}
	if back, err := Paired(b, a, "latency.mean", 0.95); err != nil || !near(back.Base, 0.260, 1e-9) || !near(back.Base+back.Mean, i.Base, 1e-9) {
		t.Errorf("the other way round, base and difference are of the same four: %+v, %v", back, err)
	}
	none := pointOf(211, 0, 411, 511)
	none.Replications[1].Tally = NewTally("f") // in which nothing completed
	if d, err := Paired(a, none, "latency.mean", 0.95); err != nil || d.N != 3 || !near(d.Base, 0.8/3, 1e-9) || !near(d.Mean, 0.111, 1e-9) {
		t.Errorf("with a replication without a value: %+v, %v", d, err)
	}
	if _, err := Paired(a, pointOf(1), "latency.mean", 0.95); !errors.Is(err, ErrTooFew) {
		t.Errorf("one pair: %v", err)
	}
	if _, err := Paired(a, b, "latency", 0.95); err == nil {
		t.Error("a metric that is not known")
	}
}

func TestWelch(t *testing.T) {
	i, err := Welch(pointOf(1, 2, 3), pointOf(10, 14), "latency.mean", 0.95)
	// variances of the means: 1/3 and 8/2 = 4; freedom = (13/3)^2 / ((1/9)/2 + 16/1) = 1.16955
	half := quantileT(0.95, 1.169550173) * math.Sqrt(13./3) * 1e-3
	if err != nil || !near(i.Mean, 0.010, 1e-9) || !near(i.Half, half, 1e-6) {
		t.Errorf("%+v, %v", i, err)
	}
}

func TestReplicationMetrics(t *testing.T) {
	r := replicationOf(0, 100)
	r.Measured = 10 * time.Second
	r.Messages = 7
	r.Nodes = []NodeStat{
		{Name: "a", Nodes: 1, Slots: 2, Busy: 10 * time.Second},
		{Name: "b", Nodes: 1, Slots: 1, Busy: 0},
		{Name: "cloud", Nodes: 1, Busy: 99 * time.Second},
	}
	r.Groups = []NodeStat{{Name: "edge", Nodes: 2, Slots: 2, Busy: 30 * time.Second, EnergyJ: 5},
		{Name: "cloud", Nodes: 1, Busy: 99 * time.Second, EnergyJ: 2}}
	r.Series = &Series{Every: time.Second, Mean: []float64{100, 100, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}}
	for name, want := range map[string]float64{
		"throughput": 0.1, "throughput[f]": 0.1, "utilisation": 0.75, "fairness": 0.5, "load.mean": 5.5, "energy": 7,
		"energy_per_completed": 7, "messages_per_request": 7,
	} {
		wantMetric(t, r, name, want)
	}
	r.Nodes, r.Series = nil, nil
	wantMetric(t, r, "fairness", math.NaN())
	wantMetric(t, r, "load.mean", math.NaN())
}

func TestEveryMetricIsDefined(t *testing.T) {
	r := replicationOf(0, 100)
	run := &Run{Points: []*Point{{Replications: []*Replication{r}}}}
	for _, m := range run.Metrics() {
		if _, ok := r.Metric(m); !ok {
			t.Errorf("%s is defined and not computed", m)
		}
	}
	for m := range tallyMetrics {
		if _, ok := definitionOf(m); !ok {
			t.Errorf("%s is computed and not defined", m)
		}
	}
}

func TestCheckMetric(t *testing.T) {
	for _, name := range []string{"latency.mean", "latency.p97", "drop_rate[f]"} {
		if err := CheckMetric(name, []string{"f"}); err != nil {
			t.Errorf("%s is known: %v", name, err)
		}
	}
	for _, name := range []string{"latency.mean[g]", "energy[f]", "latency.p0", "latencymean"} {
		if err := CheckMetric(name, []string{"f"}); err == nil {
			t.Errorf("%s is not known", name)
		} else if name == "latencymean" && !strings.Contains(err.Error(), "nearest are latency.mean,") {
			t.Errorf("%v", err)
		} else if name == "latency.mean[g]" && !strings.Contains(err.Error(), "the functions are f") {
			t.Errorf("%v", err)
		}
	}
}

func TestSeriesAndDigestRoundTrip(t *testing.T) {
	r := replicationOf(3, 100)
	r.Digest = math.MaxUint64 - 1
	r.Series = &Series{Every: time.Second, Nodes: []core.NodeID{4}, Mean: []float64{0.1}, PerNode: [][]int32{{3}},
		Rate: []float64{5}, Latency: []float64{math.NaN(), 0.25}, Dropped: []float64{0, math.NaN()}}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var read Replication
	if err := json.Unmarshal(data, &read); err != nil {
		t.Fatal(err)
	}
	if read.Digest != r.Digest || read.Index != 3 || read.Series.PerNode[0][0] != 3 || read.Series.Latency[1] != 0.25 ||
		!math.IsNaN(read.Series.Latency[0]) || !math.IsNaN(read.Series.Dropped[1]) {
		t.Errorf("read %+v %+v", read, read.Series)
	}
	wantMetric(t, &read, "latency.mean", 0.1)
}
