package simnet

import (
	"container/heap"
	"math"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// machines are the hosts of a scenario: each shares its cores equally among all that computes on it, whichever node it is
// of (processor sharing). What is on no host has cores of its own.
type machines struct {
	all       []machine
	nodes     []*machine // by node; nil: on no host
	functions []*machine // by function, that of those which run there for all nodes; nil: where their node is
	load      *machine   // of the load generator; nil: on no host
}

// machine is a host. Of n jobs each advances at the rate min(1, cores/n), so all by the same: progress counts, in
// nanoseconds, how far a job has come that was there from the beginning.
type machine struct {
	world      *World
	index      int
	cores      float64
	jobs       jobHeap
	progress   float64
	last       core.Time
	generation uint64 // of the event that ends the next job
	started    uint64 // jobs
}

// work is a job of a machine. Where nobody waits for it, its token is 0.
type work struct {
	until float64 // progress at which it ends
	order uint64  // of its start: jobs that end together end in this order
	token core.Token
	node  core.NodeID
	then  time.Duration // how long after the work the execution ends
}

// newMachines makes the machines of a scenario; nil where it has none.
func newMachines(w *World) *machines {
	s := w.scenario
	if len(s.Hosts) == 0 {
		return nil
	}
	m := &machines{all: make([]machine, len(s.Hosts)), nodes: make([]*machine, len(w.nodes)),
		functions: make([]*machine, len(s.Functions))}
	for i := range s.Hosts {
		h := &s.Hosts[i]
		x := &m.all[i]
		*x = machine{world: w, index: i, cores: float64(h.Cores)}
		for _, n := range h.Nodes {
			m.nodes[n] = x
		}
		for _, f := range h.Functions {
			m.functions[f] = x
		}
		if h.Load {
			m.load = x
		}
		if s.Calibration != nil { // what nodes do by themselves is not there for requests
			x.cores = max(x.cores-float64(s.Calibration.Idle*float64(len(h.Nodes))), leastCores)
		}
	}
	return m
}

// leastCores is what a machine has that its nodes would keep busy without any request.
const leastCores = 0.01

// of is the machine that executes a function for a node; nil: one of its own.
func (m *machines) of(n core.NodeID, f core.TaskType) *machine {
	switch {
	case m == nil:
		return nil
	case m.functions[f] != nil:
		return m.functions[f]
	}
	return m.nodes[n]
}

// at is the machine of a node; nil: one of its own.
func (m *machines) at(n core.NodeID) *machine {
	if m == nil {
		return nil
	}
	return m.nodes[n]
}

// rate at which each job advances.
func (m *machine) rate() float64 { return min(1, m.cores/float64(max(1, len(m.jobs)))) }

// slow is how much longer than alone a job takes that begins now, if nothing else changes.
func (m *machine) slow() float64 { return max(1, float64(len(m.jobs)+1)/m.cores) }

// advance brings the progress up to now.
func (m *machine) advance() {
	done := float64(m.world.now - m.last)
	m.last = m.world.now
	m.progress += float64(done * m.rate())
}

// run gives the machine a job of d on one core.
func (m *machine) run(j work, d time.Duration) {
	m.advance()
	m.started++
	j.until, j.order = m.progress+float64(d), m.started
	heap.Push(&m.jobs, j)
	m.schedule()
}

// schedule arms the end of the next job.
func (m *machine) schedule() {
	m.generation++
	if len(m.jobs) == 0 {
		return
	}
	left := max(0, m.jobs[0].until-m.progress)
	d := time.Duration(math.Ceil(left / m.rate()))
	m.world.calendar.push(m.world.now.Add(d), evMachine, core.NodeID(m.index), 0, m.generation)
}

// wake ends the next job.
func (m *machine) wake(generation uint64) {
	if generation != m.generation {
		return
	}
	m.advance()
	j := heap.Pop(&m.jobs).(work)
	m.schedule()
	if j.token == 0 {
		return
	}
	m.world.calendar.push(m.world.now.Add(j.then), evFinish, j.node, 0, uint64(j.token))
}

// stop gives up the execution with that token, where it is still computing.
func (m *machine) stop(k core.Token) {
	for i := range m.jobs {
		if m.jobs[i].token == k {
			m.advance()
			heap.Remove(&m.jobs, i)
			m.schedule()
			return
		}
	}
}

// jobHeap has the job on top that ends first.
type jobHeap []work

func (h jobHeap) Len() int { return len(h) }
func (h jobHeap) Less(i, j int) bool {
	return h[i].until < h[j].until || h[i].until == h[j].until && h[i].order < h[j].order
}
func (h jobHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *jobHeap) Push(x any) { *h = append(*h, x.(work)) }

// Pop implements heap.Interface.
func (h *jobHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}

// execute executes t on node n for the time of its service, d, on the machine where its function runs: for the share of it that
// keeps a core busy, the machine's cores are shared. more is what follows.
func (w *World) execute(n core.NodeID, t *core.Task, d, more time.Duration) {
	f := &w.scenario.Functions[t.Type]
	if m := w.machines.of(n, t.Type); m != nil && f.CPU > 0 {
		busy := time.Duration(float64(d) * f.CPU)
		m.run(work{token: t.Token(), node: n, then: d - busy + more}, busy)
		return
	}
	w.calendar.push(w.now.Add(d+more), evFinish, n, 0, uint64(t.Token()))
}
