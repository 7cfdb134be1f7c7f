package results

import (
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want := read(t, path); got != want {
		t.Errorf("%s differs; go test ./results -update rewrites it. Got:\n%s", name, got)
	}
}

// exact is a run of a few numbers that every machine adds up alike.
func exact() *Run {
	r := &Run{Swept: []string{"workload.rate", "scheduler"}, Points: []*Point{pointOf(100, 200, 300), pointOf(250)}}
	for i, p := range r.Points {
		p.Index, p.Values = i, []string{[]string{"4/s", "8/s"}[i], "JSQ"}
	}
	return r
}

func TestSummaryGolden(t *testing.T) { golden(t, "summary.csv", summaryOf(t, exact())) }

func TestSummaryRoundTrip(t *testing.T) {
	r := small.filled()
	r.Points[0].Replications = r.Points[0].Replications[:1] // no interval
	r.Points[1].Replications = nil                          // nothing at all
	want := Summarise(r)
	got, err := ReadSummary(strings.NewReader(summaryOf(t, r)))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Keys, want.Keys) || !slices.Equal(got.Metrics, want.Metrics) || len(got.Rows) != len(want.Rows) {
		t.Fatalf("keys %v, metrics %v, %d rows", got.Keys, got.Metrics, len(got.Rows))
	}
	same := func(a, b float64) bool { return math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= 1e-6*math.Abs(a) }
	for i, row := range got.Rows {
		w := want.Rows[i]
		if row.Point != w.Point || !slices.Equal(row.Values, w.Values) || row.Replications != w.Replications {
			t.Errorf("row %d: %+v", i, row)
		}
		for k, x := range row.Intervals {
			y := w.Intervals[k]
			if !same(x.Mean, y.Mean) || !same(x.Lo(), y.Lo()) || !same(x.Hi(), y.Hi()) || x.Method != y.Method {
				t.Errorf("row %d, %s: %+v, want %+v", i, got.Metrics[k], x, y)
			}
		}
	}
}

func TestReadSummaryRefuses(t *testing.T) {
	for _, c := range []string{"", "a,b\n1,2\n", "point,scheduler,replications,interval,m,m_lo\n",
		"point,scheduler,replications,interval,m,m_lo,m_hi\n0,JSQ,x,none,1,2,3\n",
		"point,scheduler,replications,interval,m,m_lo,m_hi\n0,JSQ,1,none,one,2,3\n"} {
		if s, err := ReadSummary(strings.NewReader(c)); err == nil {
			t.Errorf("%q is read as %+v", c, s)
		}
	}
}

// The scheduler is a column even where it is not swept.
func TestSummaryWithoutSweep(t *testing.T) {
	r := &Run{Points: []*Point{pointOf(100, 200)}}
	s := Summarise(r, "latency.mean")
	if !slices.Equal(s.Keys, []string{"scheduler"}) || s.Rows[0].Values[0] != "JSQ" {
		t.Errorf("%+v", s)
	}
}

// The definition of percentiles and quartiles: nearest rank. (Interpolation would give 3.25, 17.35 and 43.)
func TestDescribe(t *testing.T) {
	d := Describe([]float64{50, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	want := Description{N: 10, Mean: 9.5, Std: 14.462595, Min: 1, Q1: 3, Median: 5, Q3: 8, P95: 50, P99: 50, Max: 50}
	if d.Std = math.Round(d.Std*1e6) / 1e6; d != want {
		t.Errorf("got %+v\nwant %+v", d, want)
	}
	d = Describe([]float64{15, 20, 35, 40, 50}) // the textbook case: the 25th is the second, the 50th the third
	if d.Q1 != 20 || d.Median != 35 || d.Q3 != 40 || d.P95 != 50 {
		t.Errorf("got %+v", d)
	}
	if d := Describe([]float64{3}); d.Median != 3 || d.P99 != 3 {
		t.Errorf("of one value: %+v", d)
	}
	if d := Describe(nil); d.N != 0 || !math.IsNaN(d.Median) {
		t.Errorf("of nothing: %+v", d)
	}
}

// Histogram and description agree on what a percentile is.
func TestDescribeAgreesWithTally(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	tally := NewTally("f")
	var values []float64
	for range 3001 {
		r := completed(0, time.Duration(rng.ExpFloat64()*3e8))
		tally.Add(r)
		values = append(values, r.Latency.Seconds())
	}
	d := Describe(values)
	for name, want := range map[string]float64{"latency.p25": d.Q1, "latency.p50": d.Median, "latency.p75": d.Q3,
		"latency.p95": d.P95, "latency.p99": d.P99, "latency.max": d.Max} {
		if got, _ := tally.Metric(name); !near(got, want, 1e-3) {
			t.Errorf("%s = %v, described as %v", name, got, want)
		}
	}
}

func TestReservoir(t *testing.T) {
	var r reservoir
	const n = 5 * described
	for i := range n {
		r.add(float64(i))
	}
	d := Describe(r.kept)
	if d.N != described || math.Abs(d.Mean/n-0.5) > 0.01 || math.Abs(d.Q1/n-0.25) > 0.02 {
		t.Errorf("not uniform: %+v", d)
	}
}
