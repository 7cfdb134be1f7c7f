package simnet

import (
	"fmt"
	"slices"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// faults carry out the plan of a scenario's faults.
type faults struct {
	world   *World
	plan    []scenarios.FaultEvent // index = evFault's ref; what a load begins is added when it does
	loads   []scenarios.FaultEvent // that a load begins, which was not there yet
	last    core.NodeID            // of the last event
	links   *scenarios.Disturbances
	streams *streams // of messages, by sender
	fails   *streams // of executions
	failed  map[failure]bool
	nodes   []faulty             // but for the cloud, which nothing befalls
	counts  []results.FaultCount // by entry of the scenario's list
}

// faulty is what lies on a node.
type faulty struct {
	lying []int   // indices of faults; several of one kind may overlap
	held  []event // its inputs, while it stands still
}

// failure is an execution that ended without an answer.
type failure struct {
	task core.TaskID
	node core.NodeID
}

// newFaults is nil where all goes well.
func newFaults(w *World) *faults {
	s := w.scenario
	if s.Faults == nil {
		return nil
	}
	f := &faults{world: w, plan: s.FaultPlan(w.replication), links: s.Disturbances(), streams: newStreams(w, random.Disturbance),
		fails: newStreams(w, random.Failure), failed: map[failure]bool{}, nodes: make([]faulty, s.Cluster.Nodes())}
	for i := range s.Faults {
		f.counts = append(f.counts, results.FaultCount{Fault: s.Faults[i].String()})
	}
	for i := range f.plan {
		if e := &f.plan[i]; e.At == core.Never {
			f.loads = append(f.loads, *e)
		} else {
			w.calendar.push(e.At, evFault, 0, uint32(i), 0)
		}
	}
	return f
}

// look begins what the load of a node begins. It is for the top of a step: only then has all run that the last event
// woke, decisions too, and an event changes the load of its own node alone.
func (f *faults) look() {
	w, n := f.world, f.last
	f.loads = slices.DeleteFunc(f.loads, func(e scenarios.FaultEvent) bool {
		_, is := slices.BinarySearch(e.Nodes, n)
		if !is || w.now >= w.end || w.nodes[n].Load().Total() < w.scenario.Faults[e.Fault].When.Load {
			return false
		}
		for _, e := range w.scenario.Occurs(e, w.now, n) {
			w.calendar.push(e.At, evFault, 0, uint32(len(f.plan)), 0)
			f.plan = append(f.plan, e)
		}
		return true
	})
}

// change carries out an event of the plan.
func (f *faults) change(i uint32) {
	w, e := f.world, &f.plan[i]
	f.links.Change(*e)
	if e.Begin {
		f.counts[e.Fault].Begins(time.Duration(w.now), w.scenario.Faults[e.Fault].Upon(e.Nodes))
	}
	fault := &w.scenario.Faults[e.Fault]
	kind := fault.Kind
	if w.trace != nil && fault.Between != nil {
		w.trace.between(fault, e.Begin)
	}
	for _, n := range e.Nodes {
		x, what := &f.nodes[n], uint64(e.Fault)<<1
		if e.Begin {
			what++
			x.lying = append(x.lying, e.Fault)
		} else { // an entry lies on a node once at a time
			i := slices.Index(x.lying, e.Fault)
			x.lying = slices.Delete(x.lying, i, i+1)
		}
		w.fold(inputFault, n, what)
		if w.trace != nil {
			w.trace.fault(n, kind, e.Begin)
		}
		switch lies := f.lies(n, kind); kind {
		case scenarios.Crash:
			if e.Begin && lies == 1 {
				f.crash(n)
			} else if lies == 0 {
				f.restart(n)
			}
		case scenarios.Pause:
			if lies == 0 {
				f.release(n)
			}
			f.pace(n)
		case scenarios.Slow:
			f.pace(n)
		}
	}
}

// faultsOf are the indices of the faults that lie on a node.
func (f *faults) faultsOf(n core.NodeID) []int {
	if int(n) < len(f.nodes) {
		return f.nodes[n].lying
	}
	return nil // the cloud
}

// lies is how many faults of a kind lie on a node: it is down, or stands still, until the last of them ends.
func (f *faults) lies(n core.NodeID, kind scenarios.FaultKind) int {
	count := 0
	for _, i := range f.faultsOf(n) {
		if f.world.scenario.Faults[i].Kind == kind {
			count++
		}
	}
	return count
}

func (f *faults) crash(n core.NodeID) {
	w := f.world
	w.nodes[n].Crash(w.now)
	if w.cold != nil {
		w.cold.lose(n)
	}
	w.forget(n)
	if w.peers != nil {
		w.peers.crash(n)
	}
	f.release(n) // what waited for it is refused
}

func (f *faults) restart(n core.NodeID) {
	w := f.world
	var own core.Scheduler
	if spec := w.scenario.Scheduler.Spec; !spec.Stateless() {
		own = spec.New()
	}
	w.nodes[n].Restart(w.now, own)
	if w.peers != nil {
		w.peers.restart(n)
	}
}

// pace tells the processor of a node how fast it is, as a share of how fast it is without faults.
func (f *faults) pace(n core.NodeID) {
	pace := 1.0
	for _, i := range f.nodes[n].lying {
		switch x := &f.world.scenario.Faults[i]; x.Kind {
		case scenarios.Slow:
			pace /= x.Factor
		case scenarios.Pause:
			pace = 0
		}
	}
	f.world.groupOf(n).executor.pace(n, pace)
}

// down reports whether a node is gone.
func (f *faults) down(n core.NodeID) bool { return f.lies(n, scenarios.Crash) > 0 }

// hold keeps an input for a node that stands still until it goes on, and reports whether it does.
func (f *faults) hold(e *event) bool {
	switch e.kind {
	case evMessage, evTimer, evAnswer, evArrive, evDatagram, evWatch, evGiveUp:
	case evEntries:
		if f.world.learning.spec.External != nil {
			return false // that learner does not stand still with the node
		}
	default:
		return false
	}
	if f.lies(e.node, scenarios.Pause) == 0 || f.down(e.node) {
		return false
	}
	x := &f.nodes[e.node]
	x.held = append(x.held, *e)
	return true
}

// release gives a node the inputs that were kept, in the order in which they came.
func (f *faults) release(n core.NodeID) {
	x := &f.nodes[n]
	for i := range x.held {
		e := &x.held[i]
		f.world.calendar.push(f.world.now, e.kind, e.node, e.ref, e.aux)
	}
	x.held = x.held[:0]
}

// refuse answers a message to a node that is gone, as its machine does, whose connections are refused: whoever waits
// for an answer learns it after the way there and back.
func (w *World) refuse(m *core.Msg) {
	back := core.Msg{From: m.To, To: m.From, Token: m.Token, Item: m.Item, Outcome: core.LostNodeDown,
		Load: core.Load{Capacity: core.Capacity{Slots: -1}}}
	switch m.Kind {
	case core.MsgProbe, core.MsgAsk:
		back.Kind = core.MsgReply
	case core.MsgPull:
		back.Kind = core.MsgHandover
	case core.MsgForward:
		back.Kind, back.Task = core.MsgAnswer, m.Task
		_, back.Token = m.Task.Forwarder()
	default:
		w.engine.FreeChain(m.Task)
		return
	}
	w.carry(&back)
}

// answers reports whether a message is what a node answers to a peer.
func answers(m *core.Msg) bool {
	return m.Kind == core.MsgReply || m.Kind == core.MsgHandover || m.Kind == core.MsgAnswer
}

// spoil makes of an answer what its receiver makes of one that it cannot use: as if the sender were gone.
func (w *World) spoil(m *core.Msg) {
	if m.Kind == core.MsgHandover {
		w.engine.FreeChain(m.Task)
		m.Task = nil
	}
	m.Load, m.Outcome = core.Load{Capacity: core.Capacity{Slots: -1}}, core.LostNodeDown
}

// hangs reports whether an execution that begins does not end.
func (f *faults) hangs(n core.NodeID, t *core.Task) bool {
	for _, i := range f.faultsOf(n) {
		if x := &f.world.scenario.Faults[i]; x.Kind == scenarios.FunctionHangs && x.Of(t.Type) {
			return true
		}
	}
	return false
}

// executed draws whether an execution that ends has failed.
func (f *faults) executed(n core.NodeID, t *core.Task) {
	for _, i := range f.faultsOf(n) {
		x := &f.world.scenario.Faults[i]
		if x.Kind == scenarios.FunctionFails && x.Of(t.Type) && f.fails.of(int(n)).Float64() < x.Probability {
			f.failed[failure{t.ID, n}] = true
			if f.world.trace != nil {
				f.world.trace.line(n, "fail", t, fmt.Sprintf("status %d", x.Status))
			}
		}
	}
}

// unanswered reports whether the execution that completed a request has failed.
func (f *faults) unanswered(t *core.Task) bool {
	x := failure{t.ID, t.Executor()}
	failed := f.failed[x]
	delete(f.failed, x)
	return failed
}

// fault is a line about what befalls a node.
func (t *trace) fault(n core.NodeID, kind scenarios.FaultKind, begins bool) {
	t.line(n, "fault", nil, fmt.Sprintf("%s %s", kind, turn(begins)))
}

// between is a line about what lies between two sets of nodes: it is no node's own.
func (t *trace) between(f *scenarios.Fault, begins bool) {
	fmt.Fprintf(t.out, "%13.9f  %-11s  %-9s %-8s %s %s %s\n", t.w.now.Seconds(), "-", "fault", "", f.Kind, f.Whom(), turn(begins))
}

func turn(begins bool) string {
	if begins {
		return "begins"
	}
	return "ends"
}
