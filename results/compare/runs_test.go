package compare

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/results"
)

// record is the request as a run records it.
func (r *request) record(replication int) results.Record {
	part := func(k int) time.Duration { return time.Duration(r.parts[k]) }
	return results.Record{Replication: replication, ID: core.TaskID(r.id), Node: core.NodeID(r.node), Function: core.TaskType(r.function),
		Arrival: core.Time(r.arrival), Late: time.Duration(r.late), Outcome: r.outcome, Executor: core.NodeID(r.executor), Hops: int(r.hops),
		Probes: int(r.probes), Retries: int(r.retries), Cold: r.cold, ColdStart: time.Duration(r.coldStart), Demand: time.Duration(r.demand),
		Latency: time.Duration(r.latency), Client: part(client), Timing: core.Timing{Scheduling: part(scheduling), Probing: part(probing),
			Forwarding: part(forwarding), Waiting: part(waiting), Executing: part(executing), Returning: part(returning)}}
}

// setting is a point of a run that is made up.
type setting struct {
	rate, scheduler string
	replications    []cluster
}

// stored makes up a run, stores it and opens it again.
func stored(t *testing.T, keep results.Keep, settings ...setting) *results.Run {
	t.Helper()
	run := &results.Run{Name: "made-up", Scenario: []byte("name: made-up\n"), Seed: 7, World: "sim", Version: "v2.0.0", Host: "a host",
		Algorithms: "abc", Started: time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC), Swept: []string{"workload.rate", "scheduler"}, Keep: keep}
	for i, s := range settings {
		run.Points = append(run.Points, &results.Point{Index: i, Values: []string{s.rate, s.scheduler}, Scheduler: s.scheduler, Wanted: len(s.replications)})
	}
	w, err := results.Create(t.TempDir(), run)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range settings {
		for k, c := range s.replications {
			if err := w.Save(run.Points[i], c.replication(k)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	opened, err := results.Open(run.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// replication is a run of the cluster as the results have it.
func (c cluster) replication(index int) *results.Replication {
	list := c.run().replications[0].requests
	r := &results.Replication{Index: index, Tally: results.NewTally("work"), Measured: time.Duration(list[len(list)-1].arrival),
		Series: &results.Series{Every: time.Second, Nodes: []core.NodeID{0, 2}, Mean: []float64{1, 2, 3, 4},
			PerNode: [][]int32{{1, 2, 3, 4}, {0, 0, 1, 1}}, Rate: []float64{1, 1, 1, 1}, Latency: []float64{math.NaN(), 1, 1, 1},
			Dropped: []float64{0, 0, 0, 0}}}
	if c.link > 0.002 { // the other side was sampled at other instants
		r.Series.Every = 1500 * time.Millisecond
	}
	for range c.nodes {
		r.Nodes = append(r.Nodes, results.NodeStat{Nodes: 1, Slots: c.slots})
	}
	for i := range list {
		rec := list[i].record(index)
		r.Tally.Add(&rec)
		r.Records = append(r.Records, rec)
		if rec.Executor >= 0 {
			r.Nodes[rec.Executor].Executed++
			r.Nodes[rec.Executor].Busy += rec.Timing.Executing
		}
	}
	return r
}

var all = results.Keep{Mode: results.All, Format: results.Parquet}

// few is a cluster of few requests.
func few(seed uint64) cluster {
	c := usual()
	c.requests, c.arrivals, c.luck, c.rate = 600, seed, seed, 200
	return c
}

func different(c cluster) cluster {
	c.link, c.stretch, c.luck = 0.004, 1.1, c.luck+50
	return c
}

func TestRuns(t *testing.T) {
	a := stored(t, all, setting{"30/s", "JSQ", []cluster{few(1), few(2)}}, setting{"30/s", "Random", []cluster{few(3), few(4)}},
		setting{"50/s", "JSQ", []cluster{few(5)}})
	b := stored(t, all, setting{"30/s", "Random", []cluster{different(few(3)), different(few(4))}},
		setting{"30/s", "JSQ", []cluster{different(few(8)), different(few(9))}}, setting{"70/s", "JSQ", []cluster{few(6)}})
	b.Algorithms = "def"
	c, err := Runs(a, b, Options{Resamples: fewestResamples, Seed: 5, Margins: Margins(Margin{Metric: "latency.p75", Value: 0.01}, Margin{Metric: "waiting.mean", Value: 0.001})})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Unmatched, []string{"workload.rate = 50/s, JSQ (only in A)", "workload.rate = 70/s, JSQ (only in B)"}) {
		t.Errorf("unmatched are %q", c.Unmatched)
	}
	if !slices.Equal(c.Notes, []string{"The code of the algorithms is not the same in both runs."}) {
		t.Errorf("notes are %q", c.Notes)
	}
	if c.A.Dir != a.Dir || c.B.World != "sim" || c.A.Seed != 7 || !c.A.Started.Equal(a.Started) {
		t.Errorf("sides are %+v and %+v", c.A, c.B)
	}
	if len(c.Points) != 2 || c.Points[0].Label != "workload.rate = 30/s, JSQ" || c.Points[0].Paired || !c.Points[1].Paired ||
		c.Points[1].Scheduler != "Random" || c.Points[1].Values[0] != "30/s" {
		t.Fatalf("points are %+v", c.Points)
	}
	for i, p := range c.Points {
		x, y := a.Points[i], b.Points[1-i]
		for _, m := range p.Metrics {
			for k, side := range []*results.Point{x, y} {
				want, got := side.Interval(m.Name, 0.95).Mean, []float64{m.A, m.B}[k]
				tolerance := 1e-12
				if strings.Contains(m.Name, ".p") {
					tolerance = 1e-3 * want // the histogram's
				}
				if math.Abs(got-want) > tolerance {
					t.Errorf("%s: %s of side %d is %v, in the summary %v", p.Label, m.Name, k, got, want)
				}
			}
			if m.Difference != m.B-m.A || m.Lo > m.Difference || m.Hi < m.Difference {
				t.Errorf("%s: %s differs by %g, from %g to %g", p.Label, m.Name, m.Difference, m.Lo, m.Hi)
			}
		}
		if last := p.Metrics[len(p.Metrics)-2:]; last[0].Name != "latency.p75" || last[0].Verdict == "" || last[1].Name != "waiting.mean" {
			t.Errorf("%s: what margins name is not among %+v", p.Label, p.Metrics)
		}
		sum := 0.0
		for _, part := range p.Parts {
			sum += part.Difference
			if part.Lo > part.Difference || part.Hi < part.Difference {
				t.Errorf("%s: %+v", p.Label, part)
			}
		}
		if math.Abs(sum-p.Metrics[0].Difference) > 1e-15 {
			t.Errorf("%s: parts add up to %v, the mean differs by %v", p.Label, sum, p.Metrics[0].Difference)
		}
		if !slices.IsSortedFunc(p.Quantiles, func(x, y Quantile) int {
			if x.Share < y.Share && x.A <= y.A && x.B <= y.B {
				return -1
			}
			return 1
		}) {
			t.Errorf("%s: quantiles are not ascending", p.Label)
		}
	}
	if p := c.Points[1]; p.Common != 1200 || p.Decisions == nil || p.Decisions.Outcome < 0.9 || c.Points[0].Decisions != nil {
		t.Errorf("paired: %d in common, decisions %+v", p.Common, p.Decisions)
	}
}

// What a real run warns of is repeated, and so is that the runs are of different scenarios; a simulation's clock is never late.
func TestNotesOfRuns(t *testing.T) {
	a, b := stored(t, all, setting{"30/s", "JSQ", []cluster{few(1)}}), stored(t, all, setting{"30/s", "JSQ", []cluster{few(2)}})
	a.World, b.Name = "real", "other"
	for _, r := range []*results.Run{a, b} {
		r.Points[0].Replications[0].Reality = &results.Reality{Others: 1.5}
	}
	c, err := Runs(a, b, Options{Resamples: fewestResamples})
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(c.Notes, "\n")
	for _, want := range []string{"different names: made-up in run A, other in run B", "Of run A: Other programs kept up to 1.50 cores", "Of run A: Only one replication"} {
		if !strings.Contains(said, want) {
			t.Errorf("the notes are %q; they should have %q", said, want)
		}
	}
	if strings.Contains(said, "Of run B") {
		t.Errorf("the notes are %q", said)
	}
}

func TestNodesAndLoad(t *testing.T) {
	a := stored(t, all, setting{"30/s", "JSQ", []cluster{few(1), few(2), few(3)}})
	b := stored(t, all, setting{"30/s", "JSQ", []cluster{different(few(1)), different(few(2))}})
	c, err := Runs(a, b, Options{Resamples: fewestResamples})
	if err != nil {
		t.Fatal(err)
	}
	p := c.Points[0]
	third, fourth := b.Points[0].Replications[0], b.Points[0].Replications[1]
	first, second := a.Points[0].Replications[0], a.Points[0].Replications[1]
	seconds := (first.Measured + second.Measured).Seconds()
	busy := (first.Nodes[3].Busy + second.Nodes[3].Busy).Seconds()
	if n := p.Nodes[3]; len(p.Nodes) != 6 || n.ID != 3 || math.Abs(n.ExecutedA-float64(first.Nodes[3].Executed+second.Nodes[3].Executed)/seconds) > 1e-9 ||
		math.Abs(n.UtilisationA-busy/4/seconds) > 1e-9 || math.Abs(n.UtilisationB-(third.Nodes[3].Busy+fourth.Nodes[3].Busy).Seconds()/4/(third.Measured+fourth.Measured).Seconds()) > 1e-9 {
		t.Errorf("node 3 is %+v of %d", n, len(p.Nodes))
	}
	// Samples every second in A, every 1.5 s in B: at 1.5 s the last one of A is that of 1 s, at 3 s that of 3 s.
	if l := p.Load; l == nil || l.Every != 1500*time.Millisecond || !slices.Equal(l.A, []float64{1, 3}) || !slices.Equal(l.B, []float64{1, 2}) ||
		len(l.Nodes) != 2 || l.Nodes[1].ID != 2 || !slices.Equal(l.Nodes[1].A, []float64{0, 1}) || !slices.Equal(l.Nodes[1].B, []float64{0, 0}) {
		t.Errorf("load is %+v", p.Load)
	}
	if !slices.Contains(p.Notes, "What is compared is of the replications that both sides have, 2 of the 3 in A and of the 2 in B.") ||
		!slices.Equal(p.Replications, []int{0, 1}) {
		t.Errorf("replications are %v, notes are %q", p.Replications, p.Notes)
	}
}

func TestRunsErrors(t *testing.T) {
	one := setting{"30/s", "JSQ", []cluster{few(1)}}
	a := stored(t, all, one)
	said := func(b *results.Run, o Options, want ...string) {
		t.Helper()
		_, err := Runs(a, b, o)
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%v, want %q", err, w)
			}
		}
	}
	sampled := stored(t, results.Keep{Mode: results.Sample, Format: results.CSV}, one)
	said(sampled, Options{}, sampled.Dir+" has records of a sample of its requests", "run it again with --records all")
	said(stored(t, results.Keep{Mode: results.None, Format: results.CSV}, one), Options{}, "has records of none of its requests")
	said(stored(t, all, setting{"31/s", "JSQ", []cluster{few(1)}}), Options{}, "no point in common", "workload.rate = 30/s, JSQ", "workload.rate = 31/s, JSQ")
	said(a, Options{Points: []string{"workload.rate = 30/s, JQS"}}, `neither run has a point "workload.rate = 30/s, JQS": the nearest is "workload.rate = 30/s, JSQ"`)
	said(a, Options{Resamples: 10, Margins: []Margin{{Metric: "latency.men", Value: 1}}}, "10 resamples", "latency.mean")
	gone := stored(t, all, one)
	if err := os.Remove(gone.Requests()); err != nil {
		t.Fatal(err)
	}
	said(gone, Options{}, "the records of "+gone.Dir)
	short := stored(t, all, one)
	short.Points[0].Replications[0].Tally.Add(&results.Record{Outcome: core.Rejected, Executor: -1})
	said(short, Options{}, "600 records of replication 0 of point 0, in which 601 requests ended")
}

func TestPointsOption(t *testing.T) {
	a := stored(t, all, setting{"30/s", "JSQ", []cluster{few(1)}}, setting{"30/s", "Random", []cluster{few(3)}})
	c, err := Runs(a, a, Options{Resamples: fewestResamples, Points: []string{"workload.rate = 30/s, Random"}})
	if err != nil || len(c.Points) != 1 || c.Points[0].Scheduler != "Random" || c.Unmatched != nil {
		t.Fatalf("%+v, %v", c, err)
	}
	p := c.Points[0]
	if !p.Paired || p.Causes != nil || p.Metrics[0].Verdict != Equivalent || p.Metrics[0].Lo != 0 || p.Metrics[0].Hi != 0 || p.Distances[0].Value != 0 {
		t.Errorf("a run and itself: %+v", p)
	}
}

// A side where nothing completed has no latency; that fails a margin, and nothing else.
func TestNothingCompleted(t *testing.T) {
	nothing := few(1)
	nothing.slots, nothing.queue = 0, 0
	a, b := stored(t, all, setting{"30/s", "JSQ", []cluster{few(1)}}), stored(t, all, setting{"30/s", "JSQ", []cluster{nothing}})
	c, err := Runs(a, b, Options{Resamples: fewestResamples, Margins: Margins(Margin{Metric: "latency.p95", Value: 0.05, Relative: true})})
	if err != nil {
		t.Fatal(err)
	}
	p := c.Points[0]
	if !math.IsNaN(p.Metrics[0].B) || p.Metrics[0].Verdict != Undecided || p.Metrics[6].B != 1 || p.Metrics[6].Verdict != Different || p.Quantiles != nil {
		t.Errorf("%+v", p.Metrics)
	}
	if e := c.Exceeded(); len(e) != 1 || e[0].Metric.Name != "latency.p95" {
		t.Errorf("exceeded are %v", e)
	}
}

// The same seed gives the same comparison, byte for byte; another one other intervals of the same values.
func TestRunsRepeat(t *testing.T) {
	a := stored(t, all, setting{"30/s", "JSQ", []cluster{few(1)}}, setting{"30/s", "Random", []cluster{few(2)}})
	b := stored(t, all, setting{"30/s", "JSQ", []cluster{different(few(1))}}, setting{"30/s", "Random", []cluster{different(few(5))}})
	write := func(seed uint64) (*Comparison, string) {
		c, err := Runs(a, b, Options{Resamples: fewestResamples, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return c, string(data)
	}
	x, first := write(1)
	_, again := write(1)
	y, other := write(2)
	if first != again {
		t.Error("the same seed gave another comparison")
	}
	if first == other || x.Points[0].Metrics[0].Difference != y.Points[0].Metrics[0].Difference || x.Points[0].Metrics[0].Lo == y.Points[0].Metrics[0].Lo {
		t.Error("another seed is to give other intervals, and the same differences")
	}
}
