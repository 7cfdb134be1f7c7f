package results

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// fixture is a run whose replications are made up, by a queue that is about right: a node of four slots with a
// waiting room of four, of which a scheduler sees so much of the load of others that it escapes.
type fixture struct {
	rates        []float64
	schedulers   []string
	replications int
	requests     int
	nodes        int
}

var small = fixture{rates: []float64{4, 8, 12}, schedulers: []string{"NoScheduler", "JSQ(2)"}, replications: 3,
	requests: 200, nodes: 6}

func (f fixture) run() *Run {
	r := &Run{Name: "lambda-sweep", Scenario: []byte("name: lambda-sweep\nseed: 7\n"), Seed: 7, World: "sim",
		Command: []string{"p2pfaas", "sim", "scenarios/lambda-sweep.yaml"}, Version: "v2.0.0", Host: "linux/amd64, 2 cores",
		Started: time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC), Swept: []string{"workload.rate", "scheduler"},
		Keep: Keep{Sample, Parquet}}
	for _, rate := range f.rates {
		for _, s := range f.schedulers {
			r.Points = append(r.Points, &Point{Index: len(r.Points), Scheduler: s, Wanted: f.replications,
				Values: []string{strconv.FormatFloat(rate, 'g', -1, 64) + "/s", s}})
		}
	}
	return r
}

// filled is the run with all its replications in memory.
func (f fixture) filled() *Run {
	r := f.run()
	for _, p := range r.Points {
		for i := range p.Wanted {
			p.Add(f.replication(r, p, i))
		}
	}
	return r
}

// replication makes up replication i of p: the same every time.
func (f fixture) replication(r *Run, p *Point, i int) *Replication {
	var rate float64
	fmt.Sscanf(p.Values[0], "%g/s", &rate)
	cooperation := float64(slices.Index(f.schedulers, p.Scheduler)) / float64(len(f.schedulers))
	rng := rand.New(rand.NewPCG(r.Seed, uint64(i)))
	length := time.Duration(float64(f.requests) / rate / float64(f.nodes) * 1e9)
	window := NewWindow(0, core.Time(length), 0, "face-detect", "echo")
	rep := &Replication{Index: i, Measured: length, Tally: window.Tally, Digest: rng.Uint64(),
		Events: uint64(f.requests * 4), Jobs: uint64(f.requests), Requests: r.Seed + uint64(i),
		Submitted: uint64(f.requests), WallTime: time.Second,
		Messages: uint64(float64(f.requests) * 4 * cooperation)}
	for n := range f.nodes {
		rep.Nodes = append(rep.Nodes, NodeStat{Name: fmt.Sprintf("edge-%d", n), Nodes: 1, Slots: 4})
	}
	load := rate * 0.3 / 4
	escape := 1 - cooperation*(1-math.Pow(load, 4))
	for k := range f.requests {
		rec := f.record(rng, k, load, escape)
		rec.Replication = i
		rec.Arrival = core.Time(length / time.Duration(f.requests) * time.Duration(k))
		window.Add(&rec)
		if k%5 == 0 {
			rep.Records = append(rep.Records, rec)
		}
		if n := &rep.Nodes[max(0, int(rec.Executor))]; rec.Outcome == core.Completed {
			n.Busy += rec.Timing.Executing
			n.Executed++
		}
	}
	all := NodeStat{Name: "edge", Nodes: f.nodes, Slots: 4}
	for i := range rep.Nodes {
		rep.Nodes[i].EnergyJ = 2*length.Seconds() + 3*rep.Nodes[i].Busy.Seconds()
		all.Busy += rep.Nodes[i].Busy
		all.EnergyJ += rep.Nodes[i].EnergyJ
	}
	rep.Groups = []NodeStat{all}
	rep.Ended = rep.Submitted
	rep.Series = f.series(rng, length, rate, load, escape)
	return rep
}

func (f fixture) record(rng *rand.Rand, k int, load, escape float64) Record {
	node := core.NodeID(rng.IntN(f.nodes))
	rec := Record{ID: core.TaskID(k), Node: node, Executor: node, Outcome: core.Completed, Deadline: 600 * ms,
		Function: core.TaskType(rng.IntN(2)), Demand: time.Duration(rng.ExpFloat64() * 3e8)}
	busy, luck := rng.Float64() < load, rng.Float64()
	if rng.Float64() > 0.9*(1-load)+0.1 && busy && luck > escape {
		rec.Executor = core.NodeID(rng.IntN(f.nodes))
		rec.Hops, rec.Probes = 1, 2
		rec.Timing.Probing, rec.Timing.Forwarding, rec.Timing.Returning = 4*ms, 3*ms, 2*ms
		busy = rng.Float64() < load*escape
	}
	rec.Timing.Scheduling = 50 * time.Microsecond
	if busy {
		rec.Timing.Waiting = time.Duration(rng.ExpFloat64() * load / 4 * escape * 1e9)
	}
	rec.Timing.Executing = rec.Demand
	rec.EnergyJ = rec.Demand.Seconds() * 3
	rec.Latency = rec.Timing.Total()
	if rng.Float64() < math.Pow(load, 6)/3*escape {
		rec.Outcome, rec.Executor, rec.Timing, rec.EnergyJ = core.NoRoom, core.NoNode, core.Timing{}, 0
		rec.Latency = 0
	}
	return rec
}

func (f fixture) series(rng *rand.Rand, length time.Duration, rate, load, escape float64) *Series {
	const samples = 100
	s := &Series{Every: length * 10 / 9 / samples, PerNode: make([][]int32, f.nodes)}
	at := make([]float64, f.nodes)
	for n := range f.nodes {
		s.Nodes = append(s.Nodes, core.NodeID(n))
		s.PerNode[n] = make([]int32, samples)
	}
	for k := range samples {
		sum := 0.0
		for n := range at {
			at[n] += (4*load*(0.6+0.8*float64(n)/float64(f.nodes))-at[n])*0.2 + rng.NormFloat64()*0.8*escape
			at[n] = min(max(at[n], 0), 8)
			s.PerNode[n][k] = int32(math.Round(at[n]))
			sum += float64(s.PerNode[n][k])
		}
		s.Mean = append(s.Mean, sum/float64(f.nodes))
		s.Rate = append(s.Rate, rate*float64(f.nodes)*(0.9+0.2*rng.Float64()))
		s.Latency = append(s.Latency, 0.3+0.1*load*rng.Float64())
		s.Dropped = append(s.Dropped, load/10)
	}
	s.Latency[0], s.Dropped[0] = math.NaN(), math.NaN()
	return s
}

// stored is the run in a directory, finished.
func (f fixture) stored(t testing.TB, keep Keep) *Run {
	t.Helper()
	r := f.run()
	r.Keep = keep
	w, err := Create(t.TempDir(), r)
	if err != nil {
		t.Fatal(err)
	}
	f.save(t, w, r, func(*Point, int) bool { return true })
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	return r
}

// save makes up and stores the replications that are wanted and not there, in an order that no host would have.
func (f fixture) save(t testing.TB, w *Writer, r *Run, choose func(*Point, int) bool) {
	t.Helper()
	points := slices.SortedFunc(slices.Values(r.Points), func(a, b *Point) int { return cmp.Compare(b.Index, a.Index) })
	for _, p := range points {
		for _, i := range p.Missing() {
			if !choose(p, i) {
				continue
			}
			if err := w.Save(p, f.replication(r, p, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
}
