package simnet

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// ErrInterrupted says that a replication was given up on request.
var ErrInterrupted = errors.New("interrupted")

// stats is what a world counts. What concerns requests is counted when they end, what concerns nodes when an
// execution ends; queue lengths and utilisation follow from the stamps on the tasks.
type stats struct {
	measured *results.Window

	jobs      uint64 // requests that left their clients
	submitted uint64 // that reached their entry node
	ended     uint64
	events    uint64
	reported  uint64 // jobs, to the progress
	messages  uint64 // in the measured part
	instant   int    // events of this instant
	digest    uint64 // of the inputs of nodes
	requests  uint64 // of what the clients sent

	node      []nodeStat
	sentBytes []int64 // by node; nil where sending costs no energy

	every   time.Duration
	watched []core.NodeID
	spread  []core.NodeID // nodes whose loads make up the mean
	series  results.Series
	bin     bin

	each    func(*results.Record)
	one     results.Record // the one that is being counted
	wanted  int            // records
	seen    int
	records []results.Record
	lottery *rand.Rand
}

// nodeStat is what a node or a group did in the measured part.
type nodeStat struct {
	busy     int64 // nanoseconds of execution within the measured part, summed over slots
	executed uint64
	arrivals uint64
}

// bin is what happened since the last sample.
type bin struct {
	arrived, ended, completed, dropped int
	latency                            time.Duration
	reward                             float64
}

const (
	samples      = 200  // of a run
	watchedNodes = 64   // whose loads are kept one by one
	spreadNodes  = 4096 // whose loads make up the mean
)

func (w *World) newStats(o Options, nodes int) {
	s := w.scenario
	names := s.FunctionNames()
	batches := 0
	if s.Replications == 1 && s.Precision == nil {
		batches = results.Batches // of one long run: they take the place of replications
	}
	w.measured = results.NewWindow(w.warm, w.end, batches, names...)
	w.digest = s.Seed
	if !w.large {
		w.node = make([]nodeStat, nodes)
	}
	sending := s.Cluster.Cloud != nil && s.Cluster.Cloud.Power.JoulesPerByte > 0
	for i := range s.Cluster.Groups {
		sending = sending || s.Cluster.Groups[i].Power.JoulesPerByte > 0
	}
	if sending {
		w.sentBytes = make([]int64, nodes)
	}
	w.every = max(1, s.Duration/samples)
	own := s.Cluster.Nodes() // without the cloud, which no real run asks for its load
	w.watched, w.spread = evenly(own, watchedNodes), evenly(own, spreadNodes)
	w.series = results.Series{Every: w.every, Nodes: w.watched, PerNode: make([][]int32, len(w.watched))}
	w.wanted, w.each = o.Sample, o.Each
	w.lottery = rand.New(random.Stream(s.Seed, w.replication, random.Records, 0))
}

// evenly picks at most k of the nodes 0..n-1, at equal distances.
func evenly(n, k int) []core.NodeID {
	k = min(n, k)
	ids := make([]core.NodeID, k)
	for i := range ids {
		ids[i] = core.NodeID(i * n / k)
	}
	return ids
}

// The inputs that the digest folds.
const (
	inputSubmit = iota + 1
	inputDeliver
	inputFire
	inputFinish
	inputAnswer
	inputEntry
	inputFault
	inputCancel
	inputPeers
)

// fold takes an input of a node into the digest.
func (w *World) fold(kind uint64, n core.NodeID, what uint64) {
	w.digest = random.Fold(w.digest, uint64(w.now)^kind<<56^uint64(n)<<32, what)
}

// busy accounts an execution that ends now, as far as it fell into the measured part.
func (w *World) busy(n core.NodeID, t *core.Task) {
	if from, to := max(t.Since(), w.warm), min(w.now, w.end); to > from {
		w.statOf(n).busy += int64(to - from)
	}
}

func (w *World) executed(n core.NodeID) {
	if w.now >= w.warm && w.now < w.end {
		w.statOf(n).executed++
	}
}

// statOf is where a node's share is counted: its own place or, in a large world, its group's.
func (w *World) statOf(n core.NodeID) *nodeStat {
	if !w.large {
		return &w.node[n]
	}
	return &w.groupOf(n).stat
}

// record counts a request that has ended.
func (w *World) record(r *results.Record) {
	w.inFlight--
	w.bin.ended++
	if r.Outcome == core.Completed {
		w.bin.completed++
		w.bin.latency += r.Latency
	} else {
		w.bin.dropped++
	}
	w.bin.reward += r.Reward
	if w.observer != nil {
		w.observer.Ended(r)
	}
	if !w.measured.Add(r) {
		return
	}
	w.statOf(r.Node).arrivals++
	if w.wanted > 0 {
		w.keep(r)
	}
	if w.each != nil {
		w.each(r)
	}
}

// keep draws a uniform sample of the requests (Vitter's algorithm R, ACM TOMS 11(1), 1985).
func (w *World) keep(r *results.Record) {
	w.seen++
	if len(w.records) < w.wanted {
		w.records = append(w.records, *r)
	} else if i := w.lottery.IntN(w.seen); i < w.wanted {
		w.records[i] = *r
	}
}

// sample looks at the loads, and closes the bin.
func (w *World) sample() {
	s := &w.series
	total := 0
	for _, id := range w.spread {
		total += w.nodes[id].Load().Total()
	}
	s.Mean = append(s.Mean, float64(total)/float64(len(w.spread)))
	for i, id := range w.watched {
		s.PerNode[i] = append(s.PerNode[i], int32(w.nodes[id].Load().Total()))
	}
	b := &w.bin
	s.Rate = append(s.Rate, float64(b.arrived)/w.every.Seconds())
	s.Latency = append(s.Latency, b.latency.Seconds()/float64(b.completed))
	s.Dropped = append(s.Dropped, float64(b.dropped)/float64(b.ended))
	if w.learning != nil {
		s.Reward = append(s.Reward, b.reward/float64(b.ended))
	}
	*b = bin{}
	if len(s.Mean)%(samples/4) == 0 {
		w.conserved()
	}
	w.report()
	w.stopped()
	if len(s.Mean) < samples {
		w.calendar.push(w.now.Add(w.every), evSample, 0, 0, 0)
	}
}

// report tells the progress since the last report.
func (w *World) report() {
	if w.progress != nil {
		w.progress(int(w.jobs - w.reported))
	}
	w.reported = w.jobs
}

// stopped asks whether to give up.
func (w *World) stopped() bool {
	if w.err == nil && w.interrupted() {
		w.err = ErrInterrupted
	}
	return w.err != nil
}

// conserved checks the invariants that hold at every instant.
func (w *World) conserved() {
	if in := uint64(w.engine.Entered()); w.submitted != w.ended+in {
		w.err = fmt.Errorf("tasks are not conserved at %v: %d submitted, %d ended, %d in flight", w.now, w.submitted, w.ended, in)
	}
	within := func(id core.NodeID) {
		if l := w.nodes[id].Load(); l.Running > l.Slots || l.Queued > l.Room {
			w.err = fmt.Errorf("node %d holds more than it may at %v: %+v", id, w.now, l)
		}
	}
	for _, id := range w.spread {
		within(id)
	}
	if w.scenario.Cluster.Cloud != nil {
		within(core.NodeID(len(w.nodes) - 1))
	}
}

// Fault implements core.Host: a simulation does not go on with a broken algorithm.
func (w *World) Fault(f *core.Fault) {
	if w.err == nil {
		w.err = f
	}
}

// finish puts the results together.
func (w *World) finish(wall time.Duration) (*results.Replication, error) {
	w.conserved()
	if w.err != nil {
		return nil, w.err
	}
	w.engine.Tasks(func(t *core.Task) {
		if n, running := t.Executing(); running {
			w.busy(n, t) // what did not end was busy all the same
		}
	})
	w.measured.Pack()
	measured := w.scenario.Duration - w.scenario.Warmup
	r := &results.Replication{Index: w.replication, Measured: measured, Tally: w.measured.Tally, Series: &w.series,
		Digest: w.digest, Requests: w.requests, Events: w.events, Jobs: w.jobs, WallTime: wall, InFlight: w.inFlight,
		Submitted: w.jobs, Ended: w.jobs - uint64(w.inFlight),
		Messages: w.messages, Batches: w.measured.Batches}
	w.nodeStats(r, measured)
	if w.faults != nil {
		r.Faults = w.faults.counts
	}
	sort.Slice(w.records, func(i, j int) bool { return w.records[i].ID < w.records[j].ID })
	r.Records = w.records
	return r, nil
}

// manyNodes is the number of nodes above which only groups are counted: a line per node is not read, and memory that
// every request touches is what decides the speed of a large world.
const manyNodes = 1024

func (w *World) nodeStats(r *results.Replication, measured time.Duration) {
	for i := range w.groups {
		g := &w.groups[i]
		sum, sent := g.stat, int64(0)
		for k := range g.nodes {
			id := g.first + core.NodeID(k)
			bytes := int64(0)
			if w.sentBytes != nil {
				bytes = w.sentBytes[id]
			}
			sent += bytes
			if w.node == nil {
				continue
			}
			one := w.node[id]
			sum.arrivals += one.arrivals
			sum.executed += one.executed
			sum.busy += one.busy
			r.Nodes = append(r.Nodes, g.result(fmt.Sprintf("%s-%d", g.name, k), 1, one, bytes, measured))
		}
		r.Groups = append(r.Groups, g.result(g.name, g.nodes, sum, sent, measured))
	}
}

func (g *group) result(name string, nodes int, s nodeStat, sent int64, measured time.Duration) results.NodeStat {
	busy := time.Duration(s.busy)
	joules := float64(g.power.IdleWatts * measured.Seconds() * float64(nodes))
	joules += float64(g.power.BusyWatts * busy.Seconds())
	joules += float64(g.power.JoulesPerByte * float64(sent))
	slots := g.slots
	if slots >= scenarios.Unlimited {
		slots = 0
	}
	return results.NodeStat{Name: name, Nodes: nodes, Slots: slots, Speed: g.speed, Arrivals: s.arrivals,
		Executed: s.executed, Busy: busy, EnergyJ: joules}
}
