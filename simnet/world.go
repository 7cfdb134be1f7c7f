package simnet

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
	"unsafe"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/simnet/prefetch"
)

// World is one replication of one scenario: nodes, network and clients on one virtual clock. It is driven by one
// goroutine.
type World struct {
	scenario    *scenarios.Scenario
	replication int

	engine *core.Engine
	nodes  []core.Node
	groups []group

	now      core.Time
	calendar *calendar
	timeouts []timeouts
	net      network
	arrivals *scenarios.Arrivals
	arrival  scenarios.Arrival // the next one, where more is true
	more     bool
	access   access
	learning *learning // nil: nothing learns, and nothing has a reward

	end      core.Time // no arrivals after it
	warm     core.Time // requests that arrive before it are not measured
	inFlight int
	large    bool // too large for the caches: what events will need is prefetched, and groups are counted, not nodes

	stats
	progress    func(jobs int) // told by how many requests the run has advanced; may be nil
	interrupted func() bool    // asked now and then whether to give up
	cold        *cold          // nil: instances are always warm
	machines    *machines      // nil: everything has cores of its own
	costs       *costs         // nil: what is not in the scenario takes no time
	faults      *faults        // nil: all goes well
	peers       *peers         // nil: neighbours stay what they are
	observer    Observer       // nil: nobody watches
	powerless   bool           // no node draws power
	err         error
	trace       *trace
}

// Options are what a replication does besides simulating.
type Options struct {
	Sample int                   // how many requests to keep as Replication.Records, drawn uniformly
	Each   func(*results.Record) // takes every measured request when it has ended; nil: nobody does
	Trace  io.Writer             // one line per event; nil: none
	// Learner makes what a node asks and trains, where that is outside the process (scenarios.External).
	Learner func(core.NodeID) (Learner, error)
	// Observer makes what watches the world; nil: nothing does.
	Observer func(*World) Observer
	// Learned takes the nodes' learners when the run has ended; nil: nobody does.
	Learned func(core.NodeID, *learner.Learner) error
}

// New builds the world of one replication.
func New(s *scenarios.Scenario, replication int, o Options) (*World, error) {
	w := &World{scenario: s, replication: replication, calendar: newCalendar(),
		end: core.Time(s.Duration), warm: core.Time(s.Warmup)}
	n := s.Cluster.Nodes()
	topo := &core.Topology{Nodes: n, Cloud: core.NoNode, Holders: s.Holders()}
	if !s.Cluster.Topology.FullMesh() {
		topo.Offsets, topo.Edges = s.Cluster.Topology.Offsets, s.Cluster.Topology.Edges
	}
	total := n
	if s.Cluster.Cloud != nil {
		topo.Cloud = core.NodeID(n)
		total++
	}
	w.engine = core.NewEngine(w.under(o), topo)
	w.nodes = make([]core.Node, total)
	w.engine.Attach(func(id core.NodeID) *core.Node { return &w.nodes[id] })
	w.large = total > manyNodes
	w.newStats(o, total)
	if err := w.addNodes(); err != nil {
		return nil, err
	}
	w.machines, w.costs, w.faults = newMachines(w), newCosts(w), newFaults(w)
	w.net.init(w)
	w.access.init(w)
	w.peers = newPeers(w)
	w.cold = newCold(w)
	if err := w.newLearning(o); err != nil {
		return nil, err
	}
	w.newTimeouts()
	if w.large {
		w.calendar.ahead = w.prefetch
	}
	if o.Trace != nil {
		w.trace = newTrace(o.Trace, w)
	}
	w.arrivals = s.Arrivals(replication)
	w.more = w.arrivals.Next(&w.arrival)
	return w, nil
}

// addNodes makes the nodes group by group, the cloud last.
func (w *World) addNodes() error {
	s := w.scenario
	mean := make([]time.Duration, len(s.Functions))
	for i := range s.Functions {
		mean[i] = s.Functions[i].MeanService
	}
	copyDemand := func(t *core.Task, i int) time.Duration {
		return s.CopyDemand(w.replication, t.ID, t.Type, i, t.Demand)
	}
	w.powerless = s.Cluster.Cloud == nil || s.Cluster.Cloud.Power == scenarios.Power{}
	for i := range s.Cluster.Groups {
		g := &s.Cluster.Groups[i]
		w.powerless = w.powerless && g.Power == scenarios.Power{}
		cfg := &core.Config{Slots: int32(g.Slots), Room: int32(g.Queue), Speed: float32(g.Speed),
			Discipline: g.Discipline, Abandon: g.Abandon, Types: len(s.Functions),
			Forwarding: s.Scheduler.Forwarding, MeanService: mean, CopyDemand: copyDemand}
		if err := w.addGroup(g.Name, g.Nodes, g.Speed, cfg, newExecutor(w, g), g.Power); err != nil {
			return err
		}
	}
	if c := s.Cluster.Cloud; c != nil {
		cfg := &core.Config{Slots: int32(c.Slots), Speed: float32(c.Speed), Types: len(s.Functions),
			Forwarding: s.Scheduler.Forwarding, MeanService: mean, CopyDemand: copyDemand}
		w.groups = append(w.groups, group{name: "cloud", first: core.NodeID(len(w.nodes) - 1), nodes: 1,
			speed: c.Speed, power: c.Power, slots: c.Slots})
		w.engine.Init(&w.nodes[len(w.nodes)-1], core.NodeID(len(w.nodes)-1), cfg, rand.PCG{}, nil)
	}
	return nil
}

// group is what the nodes of a group share in this world.
type group struct {
	name     string
	first    core.NodeID
	nodes    int
	slots    int
	speed    float64
	power    scenarios.Power
	executor executor // nil: dedicated slots
	stat     nodeStat // in a large world
}

func (w *World) addGroup(name string, nodes int, speed float64, cfg *core.Config, x executor, p scenarios.Power) error {
	spec := w.scenario.Scheduler.Spec
	first := core.NodeID(0)
	if k := len(w.groups); k > 0 {
		first = w.groups[k-1].first + core.NodeID(w.groups[k-1].nodes)
	}
	w.groups = append(w.groups, group{name: name, first: first, nodes: nodes, slots: int(cfg.Slots), speed: speed,
		power: p, executor: x})
	if spec.Stateless() {
		cfg.Scheduler = spec.New()
	}
	for i := range nodes {
		id := first + core.NodeID(i)
		var own core.Scheduler
		if cfg.Scheduler == nil {
			own = spec.New()
		}
		rng := random.Stream(w.scenario.Seed, w.replication, random.Algorithm, int(id))
		w.engine.Init(&w.nodes[id], id, cfg, *rng, own)
	}
	return nil
}

// groupOf is the group of a node.
func (w *World) groupOf(id core.NodeID) *group {
	if len(w.groups) == 1 {
		return &w.groups[0]
	}
	lo, hi := 0, len(w.groups)-1
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if w.groups[mid].first <= id {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return &w.groups[lo]
}

// Run simulates until every request has ended, or, where they do not end, for the scenario's duration once more.
// interrupted is asked now and then whether to give up.
func (w *World) Run(interrupted func() bool) (*results.Replication, error) {
	defer w.engine.Close()
	defer w.learning.close()
	began := time.Now()
	for i := range w.nodes {
		w.nodes[i].Boot(0)
	}
	w.calendar.push(core.Time(w.every), evSample, 0, 0, 0)
	w.interrupted = interrupted
	last := w.end + w.end
	w.engine.Drive(func() bool { return w.step(last) })
	w.observe(w.now)
	if w.trace != nil {
		if err := w.trace.out.Flush(); err != nil {
			return nil, fmt.Errorf("writing the trace: %w", err)
		}
	}
	w.report()
	if w.err == nil {
		w.err = w.learning.end()
	}
	if errors.Is(w.err, ErrInterrupted) {
		return nil, w.err
	}
	if w.err != nil {
		return nil, fmt.Errorf("%s, replication %d, seed %d: %w", w.scenario.Name, w.replication, w.scenario.Seed, w.err)
	}
	return w.finish(time.Since(began))
}

// prefetch asks for the tasks and nodes of the executions that end next: in a large world each is a cache miss.
func (w *World) prefetch(batch []event) {
	for i := range batch {
		if e := &batch[i]; e.kind == evFinish {
			prefetch.Lines(w.engine.Place(core.Token(e.aux)))
			prefetch.Line(unsafe.Pointer(&w.nodes[e.node]))
		}
	}
}

// prefetchMore asks for what the task and the node lead to of an execution that ends soon.
func (w *World) prefetchMore() {
	const soon = 2 // events before it
	if e := w.calendar.peek(soon); e != nil && e.kind == evFinish {
		trip, next := w.engine.Beyond(core.Token(e.aux), &w.nodes[e.node])
		prefetch.Lines(trip)
		prefetch.Lines(next)
	}
}

// step processes the next event, if it is not later than last: of what is due at the same instant, first what the
// calendar holds (executions that end), then messages, then timeouts, then arrivals; within each, first come first
// served. It reports whether the run goes on.
func (w *World) step(last core.Time) bool {
	if w.faults != nil {
		w.faults.look()
	}
	at, source := last, fromNowhere
	switch {
	case w.more:
		at, source = min(at, w.arrival.At), fromClients
	case w.events&0xffff == 0 && w.stopped():
		return false
	case w.inFlight == 0 && w.now >= w.end:
		return false
	case w.inFlight == 0:
		at = w.end // what else the nodes do is measured until then
	}
	for i := range w.timeouts {
		if q := &w.timeouts[i]; q.due <= at && w.live(q) && q.due <= at {
			at, source = q.due, fromTimeouts+due(i)
		}
	}
	if r := &w.net.inOrder; !r.empty() && r.front().at <= at {
		at, source = r.front().at, fromMessages
	}
	if e := w.calendar.pop(at); e != nil {
		w.advance(e.at)
		if w.faults != nil {
			w.faults.last = e.node
		}
		w.handle(e)
		return w.err == nil
	}
	w.advance(at)
	switch source {
	case fromClients:
		if w.faults != nil {
			w.faults.last = w.arrival.Node
		}
		w.arrive()
	case fromMessages:
		w.deliverInOrder()
	case fromNowhere:
		return false
	default:
		f := w.timeouts[source-fromTimeouts].take()
		if w.faults != nil {
			w.faults.last = f.node
		}
		if w.faults == nil || !w.faults.hold(&event{kind: evTimer, node: f.node, aux: uint64(f.token)}) {
			w.fire(f.node, f.token)
		}
	}
	return w.err == nil
}

type due int

const (
	fromNowhere due = iota
	fromClients
	fromMessages
	fromTimeouts // + index of the ring
)

// advance moves the clock.
func (w *World) advance(at core.Time) {
	if w.observer != nil {
		w.observe(at)
	}
	w.events++
	if at != w.now {
		w.now, w.instant = at, 0
		return
	}
	w.instant++
	if w.instant > maxPerInstant+100*len(w.nodes) {
		w.err = fmt.Errorf("%d events at the instant %v: does the algorithm Sleep(0) in a loop?", w.instant, at)
	}
}

// maxPerInstant bounds the events of one instant; every node adds 100 to it.
const maxPerInstant = 10_000_000

// handle processes an event of the calendar.
func (w *World) handle(e *event) {
	if w.faults != nil && e.kind != evGiveUp && w.faults.hold(e) {
		return
	}
	switch e.kind {
	case evFinish:
		if w.large {
			w.prefetchMore()
		}
		if t := w.engine.Executing(core.Token(e.aux)); t != nil {
			w.finished(e.node, t)
		}
	case evMessage:
		w.deliverLate(e.ref)
	case evTimer:
		w.fire(e.node, core.Token(e.aux))
	case evService:
		w.groupOf(e.node).executor.wake(e.node, e.aux)
	case evSample:
		w.sample()
	case evAnswer:
		w.answer(e.node, e.ref)
	case evEntries:
		w.entries(e.node, e.ref)
	case evArrive:
		w.entered(e.ref)
	case evMachine:
		w.machines.all[e.node].wake(e.aux)
	case evFault:
		w.faults.change(e.ref)
	case evDatagram:
		w.peers.receive(e.node, e.ref)
	case evWatch:
		w.peers.wake(e.node, core.Time(e.aux))
	case evGiveUp:
		w.giveUp(*e)
	}
}

func (w *World) fire(n core.NodeID, k core.Token) {
	w.fold(inputFire, n, uint64(k))
	if w.trace != nil && w.engine.Live(k) {
		w.trace.fire(n)
	}
	w.nodes[n].Fire(w.now, k)
}

// arrive lets the next request leave its client.
func (w *World) arrive() {
	id := core.TaskID(w.jobs)
	w.jobs++
	w.inFlight++
	w.bin.arrived++
	w.requests = w.arrival.Fold(w.requests)
	if w.access.none {
		w.submit(&w.arrival, id)
	} else {
		w.access.send(&w.arrival, id)
	}
	w.more = w.arrivals.Next(&w.arrival)
	if w.more && w.large {
		prefetch.Line(unsafe.Pointer(&w.nodes[w.arrival.Node]))
	}
}

// submit hands a request to its entry node.
func (w *World) submit(a *scenarios.Arrival, id core.TaskID) {
	t := w.engine.NewTask()
	t.ID, t.Type, t.Demand = id, a.Type, a.Demand
	t.Priority = int16(w.scenario.Functions[a.Type].Priority)
	if a.Deadline > 0 {
		t.Deadline = a.At.Add(a.Deadline)
	}
	w.submitted++
	w.fold(inputSubmit, a.Node, uint64(id))
	if w.trace != nil {
		w.trace.submit(a.Node, t)
	}
	if !w.access.none {
		w.access.enter(t)
	}
	w.nodes[a.Node].Submit(w.now, t)
}
