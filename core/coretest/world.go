package coretest

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// World is the reference host: obvious rather than fast. Nodes lie on one engine; messages, timers, executions and what
// clients do are functions in one heap, in order of time and then of scheduling. The service time of a task is its
// Demand. Timers are never taken back, so that every dead one fires. After each input the World checks what must hold
// at every instant.
type World struct {
	// Latency is how long m is on its way; nil: Setup.Latency.
	Latency func(m *core.Msg) time.Duration
	// Lose says that m gets lost; nil: none does.
	Lose func(m *core.Msg) bool
	// Twice says that m arrives twice, where it carries no task; nil: none does.
	Twice func(m *core.Msg) bool

	Engine *core.Engine
	Nodes  []core.Node

	tb       testing.TB
	setup    Setup
	events   events
	seq      int
	script   int // inputs of the script that are still to come
	clock    core.Time
	results  []Result
	asked    []core.Time // when each request reached its node
	entered  int
	ended    int
	lastLoad []core.Load
	faults   []*core.Fault
	own      map[core.NodeID]core.Inventory // what nodes were told that they have
	crashed  bool                           // a node, ever
	failed   bool
}

// NewWorld returns the cluster of s as a World. Its nodes draw from streams of the seed.
func NewWorld(tb testing.TB, s Setup, seed uint64) *World {
	w := &World{tb: tb, setup: s, own: map[core.NodeID]core.Inventory{}, Nodes: make([]core.Node, s.Nodes), lastLoad: make([]core.Load, s.Nodes)}
	w.Engine = core.NewEngine(w, s.Topology())
	w.Engine.Attach(func(id core.NodeID) *core.Node { return &w.Nodes[id] })
	for i := range w.Nodes {
		w.Engine.Init(&w.Nodes[i], core.NodeID(i), s.Config(), *rand.NewPCG(seed, uint64(i)), s.Scheduler(core.NodeID(i)))
	}
	return w
}

// Submit implements Cluster.
func (w *World) Submit(at core.Time, n core.NodeID, r Request) int {
	i := len(w.results)
	w.results = append(w.results, Result{Executor: core.NoNode})
	w.asked = append(w.asked, at)
	w.play(at, n, func() {
		t := w.Engine.NewTask()
		r.Fill(t, core.TaskID(i), at)
		w.entered++
		w.Nodes[n].Submit(w.clock, t)
	})
	return i
}

// Configure implements Cluster.
func (w *World) Configure(at core.Time, n core.NodeID, c core.Change) {
	w.play(at, n, func() {
		for _, v := range c.Functions {
			if v.Node == n {
				w.own[n] = v
			}
		}
		w.Nodes[n].Configure(w.clock, c)
	})
}

// Crash implements Cluster.
func (w *World) Crash(at core.Time, n core.NodeID) {
	w.crashed = true
	w.play(at, n, func() { w.Nodes[n].Crash(w.clock) })
}

// Restart implements Cluster.
func (w *World) Restart(at core.Time, n core.NodeID) {
	w.play(at, n, func() { w.Nodes[n].Restart(w.clock, w.setup.Scheduler(n)) })
}

// Cancel implements Cluster.
func (w *World) Cancel(at core.Time, n core.NodeID, request int) {
	w.play(at, n, func() { w.Nodes[n].Cancel(w.clock, core.TaskID(request)) })
}

// horizon is when the World gives up waiting for the end of requests.
const horizon = core.Time(time.Hour)

// Run implements Cluster: it goes on until the script has been played and nothing is left of any request, or until
// nothing happens any more.
func (w *World) Run() []Result {
	for i := range w.Nodes {
		w.Nodes[i].Boot(0)
		w.check(core.NodeID(i))
	}
	for !w.failed && len(w.events) > 0 && w.events[0].at < horizon && (w.script > 0 || w.Engine.InUse() > 0) {
		e := heap.Pop(&w.events).(event)
		w.clock = e.at
		e.do()
		w.check(e.node)
	}
	if !w.failed && w.Ends() && w.Engine.InUse() > 0 {
		w.wrong("%d tasks are left over", w.Engine.InUse())
	}
	w.Engine.Close()
	return w.results
}

// Ends reports whether every request must end: nothing gets lost, or who waits for it gives up.
func (w *World) Ends() bool {
	f := w.setup.Forwarding
	return w.Lose == nil && !w.crashed || f.ProbeTimeout > 0 && f.AnswerTimeout > 0
}

// Faults implements Cluster.
func (w *World) Faults() []*core.Fault { return w.faults }

// Limits implements Cluster.
func (w *World) Limits() Limits { return Limits{} }

// check is what holds after every input of node n.
func (w *World) check(n core.NodeID) {
	if in := w.Engine.Entered(); w.entered != w.ended+in {
		w.wrong("%d requests entered, %d ended, %d are in hand", w.entered, w.ended, in)
	}
	// More than K or Q is possible where they were reduced; then it does not grow.
	l, before := w.Nodes[n].Load(), w.lastLoad[n]
	if l.Running < 0 || l.Running > max(l.Slots, before.Running) {
		w.wrong("node %d runs %d tasks in %d slots (%d before)", n, l.Running, l.Slots, before.Running)
	}
	if l.Queued < 0 || l.Queued > max(l.Room, before.Queued) {
		w.wrong("%d tasks wait at node %d with room for %d (%d before)", l.Queued, n, l.Room, before.Queued)
	}
	if l.Queued > 0 && l.Running < l.Slots {
		w.wrong("%d tasks wait at node %d, where %d slots are free", l.Queued, n, l.Free())
	}
	w.lastLoad[n] = l
}

// wrong reports what may not be, and ends the run. It may be called on a coroutine of an algorithm, where Fatalf may not.
func (w *World) wrong(format string, args ...any) {
	w.tb.Errorf("at %v: "+format, append([]any{w.clock}, args...)...)
	w.failed = true
}

// event is something that happens at node at the instant at.
type event struct {
	at   core.Time
	seq  int
	node core.NodeID
	do   func()
}

// schedule lets f happen at the instant at; what is past happens now.
func (w *World) schedule(at core.Time, n core.NodeID, f func()) {
	w.seq++
	heap.Push(&w.events, event{max(at, w.clock), w.seq, n, f})
}

// play is schedule for what the script says.
func (w *World) play(at core.Time, n core.NodeID, f func()) {
	w.script++
	w.schedule(at, n, func() {
		w.script--
		f()
	})
}

// The Host.

// Send implements core.Host.
func (w *World) Send(m *core.Msg) {
	for t := m.Task; t != nil; t = t.Next() {
		if m.Kind != core.MsgAnswer && int(t.Hops) > w.setup.Forwarding.MaxHops {
			w.wrong("task %d makes hop %d of %d", t.ID, t.Hops, w.setup.Forwarding.MaxHops)
		}
	}
	if w.Lose != nil && w.Lose(m) {
		w.Engine.FreeChain(m.Task)
		return
	}
	w.deliver(m)
	if m.Task == nil && w.Twice != nil && w.Twice(m) {
		w.deliver(m)
	}
}

func (w *World) deliver(m *core.Msg) {
	d := w.setup.Latency
	if w.Latency != nil {
		d = w.Latency(m)
	}
	c := *m
	c.Transit = d
	w.schedule(w.clock.Add(d), m.To, func() { w.Nodes[c.To].Deliver(w.clock, &c) })
}

// Arm implements core.Host.
func (w *World) Arm(n core.NodeID, at core.Time, k core.Token) {
	w.schedule(at, n, func() { w.Nodes[n].Fire(w.clock, k) })
}

// Disarm implements core.Host: the timer fires all the same.
func (w *World) Disarm(core.NodeID, core.Token) {}

// Start implements core.Host.
func (w *World) Start(n core.NodeID, t *core.Task) {
	if !w.has(n, t.Function()) {
		w.wrong("node %d executes task %d, whose function %d it lacks", n, t.ID, t.Function())
	}
	k := t.Token()
	w.schedule(w.clock.Add(t.Demand), n, func() {
		if t := w.Engine.Executing(k); t != nil {
			w.Nodes[n].Finish(w.clock, t)
		}
	})
}

// has reports whether node n has function f.
func (w *World) has(n core.NodeID, f core.FunctionID) bool {
	if v, told := w.own[n]; told {
		return v.Any || slices.Contains(v.Functions, f)
	}
	return int(f) >= len(w.setup.Holders) || w.setup.Holders[f] == nil || slices.Contains(w.setup.Holders[f], n)
}

// Stop implements core.Host: the end of the execution will find a dead token.
func (w *World) Stop(core.NodeID, *core.Task) {}

// Act implements core.Host: there is no learner.
func (w *World) Act(core.NodeID, core.Token, []float64) (core.Action, bool, error) {
	return core.Action{}, true, core.ErrNoActor
}

// Done implements core.Host.
func (w *World) Done(n core.NodeID, t *core.Task, o core.Outcome) {
	r := &w.results[t.ID]
	if r.Outcome != core.InFlight || o == core.InFlight {
		w.wrong("request %d ends as %v after it has ended as %v", t.ID, o, r.Outcome)
	}
	w.ended++
	*r = Result{Outcome: o, Executor: t.Executor(), Hops: int(t.Hops), Probes: int(t.Probes),
		Retries: int(t.Retries), Timing: t.Timing, Latency: w.clock.Sub(w.asked[t.ID])}
	if sum := r.Timing.Total(); o == core.Completed && sum != r.Latency {
		w.wrong("request %d took %v, its parts add up to %v: %+v", t.ID, r.Latency, sum, r.Timing)
	}
	if o == core.Expired && (!w.setup.Abandon || w.clock < t.Deadline) {
		w.wrong("request %d, which is due at %v, has expired", t.ID, t.Deadline)
	}
	if o == core.Completed && r.Executor == core.NoNode {
		w.wrong("request %d is completed, and no node executed it", t.ID)
	}
	if r.Hops > w.setup.Forwarding.MaxHops {
		w.wrong("request %d made %d hops of %d", t.ID, r.Hops, w.setup.Forwarding.MaxHops)
	}
}

// Fault implements core.Host.
func (w *World) Fault(f *core.Fault) { w.faults = append(w.faults, f) }

// events is a heap in order of time, first come first served.
type events []event

func (h events) Len() int      { return len(h) }
func (h events) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h events) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h *events) Push(x any) { *h = append(*h, x.(event)) }
func (h *events) Pop() any {
	e := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return e
}
