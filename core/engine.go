package core

import (
	"fmt"
	"math/rand/v2"
	"time"
	"unsafe"
)

// Engine is what the nodes of one loop share: the host, the table of tasks, the stacks under their decisions,
// and one random generator that always points at the stream of the node that is being driven. A simulation has one
// engine for all its nodes; a real node has one for itself. An Engine is driven by one goroutine.
type Engine struct {
	host  Host
	topo  *Topology
	nodes func(NodeID) *Node // nil entries: nodes that live elsewhere

	now    Time
	rand   *rand.Rand
	source nodeSource
	out    Msg // scratch of send

	chunks   []*[taskChunk]Task
	freeTask *Task
	freeTrip *trip
	inUse    int
	seq      uint64 // of entries into ordered waiting rooms

	activities []*activity
	idle       []*activity
	ready      *activity // to run at the end of the input, chained
	lastReady  *activity
	passive    activity // the View of code that may not suspend

	active *activity   // whose code is running; nil: none
	lanes  []*lane     // where goroutines wait to go on with the loop
	home   *lane       // where the goroutine waits that drives the engine
	step   func() bool // of Drive
	driven bool        // by Drive
	broken broken
	closed bool

	// OnVerdict, where set, sees every decision: for traces and for replay.
	OnVerdict func(now Time, n NodeID, t *Task, v Verdict)
}

// nodeSource is a rand.Source that draws from the stream of the node being driven.
type nodeSource struct{ pcg *rand.PCG }

func (s *nodeSource) Uint64() uint64 { return s.pcg.Uint64() }

// Topology says who may forward to whom, and who has which function. It is shared by all nodes of an engine and never
// changes; a node that learns otherwise carries its own lists (Change.Peers, Change.Functions).
type Topology struct {
	Nodes   int      // ids 0..Nodes-1, the cloud not counted
	Offsets []uint32 // compressed rows of neighbours; nil: full mesh
	Edges   []NodeID // ascending within a row
	Cloud   NodeID   // NoNode: none
	// Holders are by function the nodes that have it, ascending. A nil list, and one that is not there: all of them. The
	// cloud has every function. Nil: every node does.
	Holders [][]NodeID `json:",omitempty"`
}

const taskChunk = 1024

// NewEngine returns an engine over h. Engine.Init makes its nodes, which may lie in one slice.
func NewEngine(h Host, topo *Topology) *Engine {
	e := &Engine{host: h, topo: topo}
	e.source.pcg = rand.NewPCG(0, 0)
	e.rand = rand.New(&e.source)
	e.passive.eng = e
	e.passive.nb.view, e.passive.all.view = &e.passive, &e.passive
	return e
}

// Now is the instant of the last input.
func (e *Engine) Now() Time { return e.now }

// NewTask returns a task from the engine's table: Deadline Never, everything else zero or none.
func (e *Engine) NewTask() *Task {
	t := e.freeTask
	if t == nil {
		t = e.grow()
	}
	e.freeTask = t.next
	e.inUse++
	t.next, t.state, t.flags = nil, stateNew, 0
	t.Hops, t.Copy, t.Priority, t.Type = 0, 0, 0, 0
	t.Deadline, t.Demand = Never, 0
	t.Timing = Timing{}
	t.Probes, t.Retries = 0, 0
	return t
}

func (e *Engine) grow() *Task {
	c := new([taskChunk]Task)
	base := len(e.chunks) * taskChunk
	e.chunks = append(e.chunks, c)
	for i := range c {
		c[i].slot = uint32(base + i)
		if i+1 < taskChunk {
			c[i].next = &c[i+1]
		}
	}
	return &c[0]
}

// Free gives a task back to the table.
func (e *Engine) Free(t *Task) {
	if t.state == stateFree {
		panic("core: task freed twice")
	}
	if p := t.trip; p != nil {
		p.next = e.freeTrip
		e.freeTrip = p
		t.trip = nil
	}
	t.state = stateFree
	t.next = e.freeTask
	e.freeTask = t
	e.inUse--
}

// tripOf returns what t has with it on its travels, and gives it one where it has none.
func (e *Engine) tripOf(t *Task) *trip {
	if t.trip != nil {
		return t.trip
	}
	p := e.freeTrip
	if p == nil {
		slab := make([]trip, taskChunk/8)
		for i := range slab[1:] {
			slab[i].next = &slab[i+1]
		}
		p = &slab[0]
	}
	e.freeTrip = p.next
	p.fromToken, p.from, p.target, p.executor = 0, NoNode, NoNode, NoNode
	p.pending, p.winner, p.pulled, p.outcome, p.asked, p.by, p.function = 0, -1, false, InFlight, false, 0, 0
	p.coldStart = 0
	if p.targets = p.targets[:0]; cap(p.visited) == 0 {
		p.visited = p.few[:]
	}
	p.visited = p.visited[:0]
	t.trip = p
	return p
}

// SetCold is the host's: the execution of t begins with a cold start that takes d, which may be known at its end only.
func (e *Engine) SetCold(t *Task, d time.Duration) {
	t.flags |= flagCold
	e.tripOf(t).coldStart = d
}

// FreeChain frees t and the tasks chained to it: what a message carried that did not arrive.
func (e *Engine) FreeChain(t *Task) {
	for t != nil {
		next := t.next
		e.Free(t)
		t = next
	}
}

// Tasks calls f for every task of the table that is in use, in order of slots. f may free the task that it was given,
// and makes none.
func (e *Engine) Tasks(f func(*Task)) {
	left := e.inUse // the slots behind the last one are not looked at
	for _, c := range e.chunks {
		for i := range c {
			if left == 0 {
				return
			}
			if c[i].state != stateFree {
				left--
				f(&c[i])
			}
		}
	}
}

// InUse is the number of tasks that are not free, copies and messages included.
func (e *Engine) InUse() int { return e.inUse }

// Tokens: bit 63 tells a task's from an activity's; then 31 bits of slot and 32 of generation.
const taskToken Token = 1 << 63

func (e *Engine) tokenOf(t *Task) Token {
	t.gen++
	return t.Token()
}

// Executing returns the task whose execution was started under k, or nil where that is over.
func (e *Engine) Executing(k Token) *Task {
	if t := e.taskOf(k); t != nil && t.state == stateRunning {
		return t
	}
	return nil
}

// Held returns the task that was forwarded or replicated under k, while it waits for its answer; nil otherwise.
func (e *Engine) Held(k Token) *Task {
	if t := e.taskOf(k); t != nil && (t.state == stateForwarded || t.state == stateReplicated) {
		return t
	}
	return nil
}

// Deciding returns the task that is being decided about while the host is called; nil: none is.
func (e *Engine) Deciding() *Task {
	if a := e.active; a != nil && a.kind == activitySchedule {
		return a.task
	}
	return nil
}

// taskOf returns the task that waits under k, or nil if k is dead.
func (e *Engine) taskOf(k Token) *Task {
	if t := e.place(k); t != nil && t.gen == uint32(k) && t.state != stateFree {
		return t
	}
	return nil
}

func (e *Engine) activityOf(k Token) *activity {
	slot := uint32(k >> 32)
	if k&taskToken != 0 || int(slot) >= len(e.activities) {
		return nil
	}
	a := e.activities[slot]
	if a.gen != uint32(k) || a.state != activitySuspended {
		return nil
	}
	return a
}

// Live reports whether something still waits under k. A host may drop timers of dead tokens.
func (e *Engine) Live(k Token) bool {
	if k&taskToken != 0 {
		return e.taskOf(k) != nil
	}
	return e.activityOf(k) != nil
}

// message returns the engine's scratch message with its kind, its addresses and the sender's load. Note is what it
// was: only the kinds that carry one read it.
func (e *Engine) message(kind MsgKind, n *Node, to NodeID) *Msg {
	m := &e.out
	m.Kind, m.Outcome, m.Item = kind, InFlight, 0
	m.From, m.To, m.Token, m.Task = n.id, to, 0, nil
	m.Load = n.load()
	return m
}

// Fault is a mistake of an algorithm.
type Fault struct {
	Node  NodeID
	Task  TaskID
	Now   Time
	Cause any    // what it panicked with, or an error
	Stack []byte // nil where it did not panic
}

// Error implements error.
func (f *Fault) Error() string {
	s := fmt.Sprintf("scheduler of node %d, task %d, at %v: %v", f.Node, f.Task, f.Now, f.Cause)
	if f.Stack != nil {
		s += "\n" + string(f.Stack)
	}
	return s
}

// Entered counts the tasks that came from clients of the engine's nodes and have not ended: copies at peers and in
// messages are not counted. Submitted tasks = ended ones + Entered, always.
func (e *Engine) Entered() int {
	count := 0
	e.Tasks(func(t *Task) {
		if !t.foreign() {
			count++
		}
	})
	return count
}

// Place is where in memory the task of k lies, and Beyond where that lies which the end of its execution on n leads to:
// its trip and the task next in turn there (nil: none). With these a host that knows what is to come can ask the
// processor for it. Place reads nothing that may be far away; Beyond reads the task and the node.
func (e *Engine) Place(k Token) unsafe.Pointer { return unsafe.Pointer(e.place(k)) }

// Beyond: see Place.
func (e *Engine) Beyond(k Token, n *Node) (trip, next unsafe.Pointer) {
	if t := e.place(k); t != nil {
		trip = unsafe.Pointer(t.trip)
	}
	return trip, unsafe.Pointer(n.head)
}

// place is the task of the table that k names, dead or alive; nil where k is no task's.
func (e *Engine) place(k Token) *Task {
	if k&taskToken == 0 {
		return nil
	}
	return e.at(uint32(k >> 32 & 0x7fffffff))
}

// at is the task of the table in that slot, dead or alive; nil where the table is not as large.
func (e *Engine) at(slot uint32) *Task {
	if int(slot/taskChunk) >= len(e.chunks) {
		return nil
	}
	return &e.chunks[slot/taskChunk][slot%taskChunk]
}
