package simnet

import (
	"container/heap"
	"math"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// machines are the hosts of a scenario: each shares its cores equally among all that computes on it, whichever node it is
// of (processor sharing). What is on no host has cores of its own.
type machines struct {
	all       []machine
	nodes     []*machine // by node; nil: on no host
	functions []*machine // by function, that of those which run there for all nodes; nil: where their node is
	load      *machine   // of the load generator; nil: on no host
	cloud     core.NodeID
}

// machine is a host. Operating systems let a process go first that has just woken up, and a machine does the same with the short
// jobs that a request waits for on its way: they share the cores, and all other jobs share what they leave.
type machine struct {
	world      *World
	index      int
	cores      float64
	yield      []float64 // by the number of others, the last for more: their share of what sharing without loss would leave of the cores
	first      class     // what a request waits for on its way: see World.spend
	others     class     // executions, and what goes on when nobody waits any more
	last       core.Time
	generation uint64 // of the event that ends the next job
	started    uint64 // jobs
}

// class is jobs that share cores equally. All advance by the same, so progress counts, in nanoseconds, how far a job
// has come that was there from the beginning.
type class struct {
	jobs     jobHeap
	progress float64
}

// rate at which each job advances where they have so many cores.
func (c *class) rate(cores float64) float64 { return min(1, cores/float64(max(1, len(c.jobs)))) }

// left is how long it takes until the next of the jobs ends at that rate; false: none will.
func (c *class) left(rate float64) (time.Duration, bool) {
	if len(c.jobs) == 0 || rate == 0 {
		return 0, false
	}
	return time.Duration(math.Ceil(max(0, c.jobs[0].until-c.progress) / rate)), true
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
		functions: make([]*machine, len(s.Functions)), cloud: core.NodeID(s.Cluster.Nodes())}
	for i := range s.Hosts {
		h := &s.Hosts[i]
		x := &m.all[i]
		*x = machine{world: w, index: i, cores: float64(h.Cores), yield: yieldOf(s.Calibration, s.Functions)}
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

// of is the machine that executes a function for a node; nil: one of its own, as the cloud always has.
func (m *machines) of(n core.NodeID, f core.TaskType) *machine {
	switch {
	case m == nil || n == m.cloud:
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

// rates at which each of the first and each of the other jobs advances.
func (m *machine) rates() (first, others float64) {
	first, others = m.first.rate(m.cores), m.others.rate(max(0, m.cores-float64(len(m.first.jobs))))
	if len(m.yield) > 0 {
		others *= m.yield[min(len(m.others.jobs), len(m.yield)-1)]
	}
	return first, others
}

// leastComputing is the share of its time that a function computes for, of which executions at once tell what cores
// yield: others may wait for each other elsewhere.
const leastComputing = 0.5

// yieldOf is what was measured of executions at once, as shares of what sharing without loss gives: systems do not
// always notice at once that a core is free. Between the numbers that were measured it is interpolated; of the
// functions it is that which computes most.
func yieldOf(c *scenarios.Calibration, functions []scenarios.Function) []float64 {
	if c == nil {
		return nil
	}
	var of *scenarios.CalibratedFunction
	for i := range functions {
		f, known := c.Functions[functions[i].Name]
		if known && f.CPU >= leastComputing && len(f.Slowdown) > 0 && (of == nil || f.CPU > of.CPU) {
			of = &f
		}
	}
	if of == nil {
		return nil
	}
	// On the cores an execution takes so many times as long as one by itself, of its time in all.
	shared := func(n int) float64 { return float64(of.CPU * max(1, float64(n)/float64(c.Cores))) }
	yield, before := []float64{1, 1}, 1.0
	for i, s := range of.Slowdown {
		takes, more := shared(s.AtOnce), s.Factor-s.Model
		if s.AtOnce > c.Cores {
			// When the last of them end, they are few again. What more of them take more is without that.
			switch {
			case i > 0 && of.Slowdown[i-1].AtOnce > c.Cores:
				fewer := of.Slowdown[i-1]
				takes, more = takes-shared(fewer.AtOnce), more-(fewer.Factor-fewer.Model)
			case i+1 < len(of.Slowdown):
				continue
			}
		}
		now, from := takes/(takes+max(0, more)), len(yield)-1
		for n := from + 1; n <= s.AtOnce; n++ {
			yield = append(yield, before+float64((now-before)*(float64(n-from)/float64(s.AtOnce-from))))
		}
		before = now
	}
	return yield
}

// slow is how much longer than alone a job that goes first takes if it begins now and nothing else changes.
func (m *machine) slow() float64 { return max(1, float64(len(m.first.jobs)+1)/m.cores) }

// advance brings the progress up to now.
func (m *machine) advance() {
	done := float64(m.world.now - m.last)
	m.last = m.world.now
	first, others := m.rates()
	m.first.progress += float64(done * first)
	m.others.progress += float64(done * others)
}

// run gives the machine a job of d on one core.
func (m *machine) run(c *class, j work, d time.Duration) {
	m.advance()
	m.started++
	j.until, j.order = c.progress+float64(d), m.started
	heap.Push(&c.jobs, j)
	m.schedule()
}

// next is the class whose job ends next, and when; nil: none will.
func (m *machine) next() (c *class, d time.Duration) {
	first, others := m.rates()
	d, any := m.first.left(first)
	if any {
		c = &m.first
	}
	if other, more := m.others.left(others); more && (!any || other < d) {
		return &m.others, other
	}
	return c, d
}

// schedule arms the end of the next job.
func (m *machine) schedule() {
	m.generation++
	if c, d := m.next(); c != nil {
		m.world.calendar.push(m.world.now.Add(d), evMachine, core.NodeID(m.index), 0, m.generation)
	}
}

// wake ends the next job.
func (m *machine) wake(generation uint64) {
	if generation != m.generation {
		return
	}
	c, _ := m.next()
	m.advance()
	j := heap.Pop(&c.jobs).(work)
	m.schedule()
	if j.token == 0 {
		return
	}
	m.world.calendar.push(m.world.now.Add(j.then), evFinish, j.node, 0, uint64(j.token))
}

// stop gives up the execution with that token, where it is still computing.
func (m *machine) stop(k core.Token) {
	jobs := &m.others.jobs
	for i := range *jobs {
		if (*jobs)[i].token == k {
			m.advance()
			heap.Remove(jobs, i)
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
