package simnet

import (
	"math"
	"slices"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// Start implements core.Host: it executes t on node n.
func (w *World) Start(n core.NodeID, t *core.Task) {
	g := w.groupOf(n)
	d := t.Demand
	if g.speed != 1 {
		d = time.Duration(float64(d) / g.speed)
	}
	cold := time.Duration(0)
	if w.cold != nil && w.scenario.Functions[t.Type].ColdStart != nil {
		cold = w.cold.start(w, n, t)
	}
	if w.trace != nil {
		w.trace.start(n, t)
	}
	if w.faults != nil && w.faults.hangs(n, t) {
		return
	}
	service, call := w.service(n, t, d)
	if g.executor != nil {
		g.executor.start(n, t, service+call+cold)
		return
	}
	w.execute(n, t, service, call+cold)
}

// execute executes t on node n for the time of its service, d, on the machine where its function runs: for the share of it that
// keeps a core busy, the machine's cores are shared. more is what follows.
func (w *World) execute(n core.NodeID, t *core.Task, d, more time.Duration) {
	f := &w.scenario.Functions[t.Type]
	if m := w.machines.of(n, t.Type); m != nil && f.CPU > 0 {
		busy := time.Duration(float64(d) * f.CPU)
		m.run(&m.others, work{token: t.Token(), node: n, then: d - busy + more}, busy)
		return
	}
	w.calendar.push(w.now.Add(d+more), evFinish, n, 0, uint64(t.Token()))
}

// Stop implements core.Host: the execution of t is given up. The finish that is already scheduled finds a dead token.
func (w *World) Stop(n core.NodeID, t *core.Task) {
	if w.trace != nil {
		w.trace.stop(n, t)
	}
	w.busy(n, t)
	if g := w.groupOf(n); g.executor != nil {
		g.executor.stop(n, t)
	} else if m := w.machines.of(n, t.Type); m != nil {
		m.stop(t.Token())
	}
	if w.cold != nil && !t.Cold() {
		w.cold.finish(w, n, t.Type)
	}
}

// finished ends an execution.
func (w *World) finished(n core.NodeID, t *core.Task) {
	w.busy(n, t)
	w.executed(n)
	if w.faults != nil {
		w.faults.executed(n, t)
	}
	if w.cold != nil {
		w.cold.finish(w, n, t.Type)
	}
	w.fold(inputFinish, n, uint64(t.ID)<<8|uint64(t.Copy))
	if w.trace != nil {
		w.trace.finish(n, t)
	}
	w.nodes[n].Finish(w.now, t)
}

// executor is a processor that the running tasks of a node share, one value per group.
type executor interface {
	start(n core.NodeID, t *core.Task, demand time.Duration)
	stop(n core.NodeID, t *core.Task)
	wake(n core.NodeID, generation uint64)
	pace(n core.NodeID, share float64) // from now on, of the node's speed
}

func newExecutor(w *World, g *scenarios.Group) executor {
	paced := slices.ContainsFunc(w.scenario.Faults, func(f scenarios.Fault) bool {
		return f.Kind == scenarios.Pause || f.Kind == scenarios.Slow
	})
	if g.Service == scenarios.DedicatedSlots && !paced {
		return nil
	}
	first := core.NodeID(0)
	for i := range w.groups {
		first += core.NodeID(w.groups[i].nodes)
	}
	x := &shared{world: w, first: first, cores: float64(g.Cores), processors: make([]processor, g.Nodes)}
	if x.mode = g.Service; x.mode == scenarios.DedicatedSlots { // a core for each slot
		x.mode, x.cores = scenarios.ProcessorSharing, math.Inf(1)
	}
	for i := range x.processors {
		x.processors[i].share = 1
	}
	return x
}

// shared lets the running tasks of a node share its cores: equally (processor sharing), or the first in an order, one
// core each, and the others resume later (preemptive resume).
type shared struct {
	world      *World
	first      core.NodeID
	cores      float64
	mode       scenarios.ServiceMode
	processors []processor
}

// processor is one node's: its running tasks and when the next of them finishes.
type processor struct {
	jobs       []job // processor sharing: in order of start; otherwise in the order in which they get the cores
	last       core.Time
	generation uint64
	share      float64 // of the node's speed
}

type job struct {
	task *core.Task
	left float64 // nanoseconds of work
}

func (x *shared) start(n core.NodeID, t *core.Task, demand time.Duration) {
	p := &x.processors[n-x.first]
	x.work(p)
	j := job{task: t, left: float64(demand)}
	i := len(p.jobs)
	for i > 0 && x.before(j, p.jobs[i-1]) {
		i--
	}
	p.jobs = append(p.jobs, job{})
	copy(p.jobs[i+1:], p.jobs[i:])
	p.jobs[i] = j
	x.schedule(n, p)
}

// before reports whether a new job gets a core before one that has begun.
func (x *shared) before(j, other job) bool {
	switch x.mode {
	case scenarios.PreemptivePriority:
		return j.task.Priority < other.task.Priority
	case scenarios.PreemptiveLIFO:
		return true
	case scenarios.PreemptiveShortest:
		return j.left < other.left
	}
	return false
}

func (x *shared) stop(n core.NodeID, t *core.Task) {
	p := &x.processors[n-x.first]
	x.work(p)
	for i := range p.jobs {
		if p.jobs[i].task == t {
			p.remove(i)
			break
		}
	}
	x.schedule(n, p)
}

func (p *processor) remove(i int) {
	copy(p.jobs[i:], p.jobs[i+1:])
	p.jobs[len(p.jobs)-1] = job{}
	p.jobs = p.jobs[:len(p.jobs)-1]
}

// served is how many of the jobs are being worked on, and at which rate each.
func (x *shared) served(p *processor) (jobs int, rate float64) {
	n := len(p.jobs)
	if x.mode == scenarios.ProcessorSharing {
		return n, min(1, x.cores/float64(max(1, n))) * p.share
	}
	return min(n, int(x.cores)), p.share
}

func (x *shared) pace(n core.NodeID, share float64) {
	p := &x.processors[n-x.first]
	x.work(p)
	p.share = share
	x.schedule(n, p)
}

// work brings the work that is left up to now.
func (x *shared) work(p *processor) {
	done := float64(x.world.now - p.last)
	p.last = x.world.now
	k, rate := x.served(p)
	for i := range p.jobs[:k] {
		p.jobs[i].left -= float64(done * rate)
	}
}

// schedule arms the next finish.
func (x *shared) schedule(n core.NodeID, p *processor) {
	p.generation++
	k, rate := x.served(p)
	if k == 0 || rate == 0 {
		return
	}
	least := math.Inf(1)
	for i := range p.jobs[:k] {
		least = min(least, p.jobs[i].left)
	}
	d := time.Duration(math.Ceil(max(0, least) / rate))
	x.world.calendar.push(x.world.now.Add(d), evService, n, 0, p.generation)
}

// wake finishes the job with the least work left.
func (x *shared) wake(n core.NodeID, generation uint64) {
	p := &x.processors[n-x.first]
	if generation != p.generation {
		return
	}
	x.work(p)
	k, _ := x.served(p)
	best := 0
	for i := range p.jobs[:k] {
		if p.jobs[i].left < p.jobs[best].left {
			best = i
		}
	}
	t := p.jobs[best].task
	p.remove(best)
	x.schedule(n, p)
	x.world.finished(n, t)
}

// cold keeps the instances of functions that are warm, per node and function.
type cold struct {
	streams *streams
	types   int
	idle    [][]core.Time // [node*types+type]: since when each warm instance is idle, the longest first
}

func newCold(w *World) *cold {
	any := false
	for i := range w.scenario.Functions {
		any = any || w.scenario.Functions[i].ColdStart != nil
	}
	if !any {
		return nil
	}
	types := len(w.scenario.Functions)
	return &cold{streams: newStreams(w, random.ColdStart), types: types,
		idle: make([][]core.Time, types*len(w.nodes))}
}

// start takes the instance that became idle last, or a new one: then it returns the time that its start-up takes.
func (c *cold) start(w *World, n core.NodeID, t *core.Task) time.Duration {
	f := w.scenario.Functions[t.Type].ColdStart
	idle := &c.idle[int(n)*c.types+int(t.Type)]
	if k := len(*idle); k > 0 {
		last := (*idle)[k-1]
		if w.now.Sub(last) <= f.KeepAlive {
			*idle = (*idle)[:k-1]
			return 0
		}
		*idle = (*idle)[:0] // the others have been idle for longer
	}
	d := random.Duration(f.Time, c.streams.of(int(n)))
	w.engine.SetCold(t, d)
	return d
}

// lose forgets the instances of a node.
func (c *cold) lose(n core.NodeID) {
	clear(c.idle[int(n)*c.types : (int(n)+1)*c.types])
}

func (c *cold) finish(w *World, n core.NodeID, typ core.TaskType) {
	if w.scenario.Functions[typ].ColdStart == nil {
		return
	}
	idle := &c.idle[int(n)*c.types+int(typ)]
	*idle = append(*idle, w.now)
}
