package realnet

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
	"github.com/p2pfaas/p2pfaas/core/random"
)

func TestConformance(t *testing.T) {
	coretest.Run(t, func(tb testing.TB, s coretest.Setup) coretest.Cluster {
		// Goexit costs a coroutine, which a bubble does not let be left behind.
		return &play{t: tb.(*testing.T), setup: s, wall: strings.Contains(tb.Name(), "goexit")}
	})
}

// play is a coretest.Cluster of mailboxes: in a bubble, whose fake clock makes every instant exact, or on the wall
// clock.
type play struct {
	t     *testing.T
	setup coretest.Setup
	wall  bool
	acts  []act

	mu      sync.Mutex
	results []coretest.Result
	faults  []*core.Fault
	open    sync.WaitGroup // requests that have not ended
}

// act is a line of the script.
type act struct {
	at   core.Time
	node core.NodeID
	in   core.Input
}

func (p *play) add(at core.Time, n core.NodeID, in core.Input) {
	p.acts = append(p.acts, act{at, n, in})
}

// Submit implements coretest.Cluster.
func (p *play) Submit(at core.Time, n core.NodeID, r coretest.Request) int {
	var t core.Task
	t.Deadline = core.Never
	i := len(p.results)
	r.Fill(&t, core.TaskID(i), at)
	p.results = append(p.results, coretest.Result{Executor: core.NoNode})
	p.add(at, n, core.Input{Kind: core.InputSubmit,
		Task: &core.TaskValue{ID: t.ID, Type: t.Type, Demand: t.Demand, Priority: t.Priority, Deadline: t.Deadline}})
	return i
}

// Configure implements coretest.Cluster.
func (p *play) Configure(at core.Time, n core.NodeID, c core.Change) {
	p.add(at, n, core.Input{Kind: core.InputConfigure, Slots: c.Slots, Room: c.Room, Peers: c.Peers, Functions: c.Functions,
		Own: c.Scheduler})
}

// Crash implements coretest.Cluster.
func (p *play) Crash(at core.Time, n core.NodeID) { p.add(at, n, core.Input{Kind: core.InputCrash}) }

// Restart implements coretest.Cluster.
func (p *play) Restart(at core.Time, n core.NodeID) {
	p.add(at, n, core.Input{Kind: core.InputRestart, Own: p.setup.Scheduler(n)})
}

// Cancel implements coretest.Cluster.
func (p *play) Cancel(at core.Time, n core.NodeID, request int) {
	p.add(at, n, core.Input{Kind: core.InputCancel, ID: core.TaskID(request)})
}

// Run implements coretest.Cluster.
func (p *play) Run() []coretest.Result {
	slices.SortStableFunc(p.acts, func(a, b act) int { return cmp.Compare(a.at, b.at) })
	if p.wall {
		p.run(p.t)
	} else {
		synctest.Test(p.t, p.run)
	}
	return p.results
}

func (p *play) run(*testing.T) {
	transport := NewMemory(func(_, _ core.NodeID) time.Duration { return p.setup.Latency })
	defer transport.Close()
	topo := p.setup.Topology()
	nodes := make([]*Mailbox, p.setup.Nodes)
	p.open.Add(len(p.results))
	for i := range nodes {
		id := core.NodeID(i)
		nodes[i] = OpenMailbox(MailboxOptions{ID: id, Config: *p.setup.Config(), Topology: topo, Scheduler: p.setup.Scheduler(id),
			Stream: *random.Stream(1, 0, random.Algorithm, i), Transport: transport, Done: p.done, Fault: p.fault})
		defer nodes[i].Close()
		transport.Connect(nodes[i])
	}
	for _, a := range p.acts {
		time.Sleep(a.at.Sub(nodes[a.node].Now()))
		nodes[a.node].Post(a.in)
	}
	p.open.Wait()
}

func (p *play) done(now core.Time, t *core.Task, o core.Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.results[t.ID] = coretest.Result{Outcome: o, Executor: t.Executor(), Hops: int(t.Hops), Probes: int(t.Probes),
		Retries: int(t.Retries), Timing: t.Timing, Latency: now.Sub(t.Arrived)}
	p.open.Done()
}

func (p *play) fault(f *core.Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, f)
}

// Faults implements coretest.Cluster.
func (p *play) Faults() []*core.Fault { return p.faults }

// Limits implements coretest.Cluster.
func (p *play) Limits() coretest.Limits {
	if p.wall {
		return coretest.Limits{Tolerance: 10 * time.Second} // the machine may be busy; of a panic the bubble has the same instants, exactly
	}
	return coretest.Limits{}
}
