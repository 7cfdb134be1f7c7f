package simnet

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// The simulator conforms, on its fast paths (messages in a ring, dedicated slots) and on the others.
func TestConformance(t *testing.T) {
	t.Run("ring", func(t *testing.T) {
		coretest.Run(t, func(tb testing.TB, s coretest.Setup) coretest.Cluster { return newConforming(tb, s, false) })
	})
	t.Run("calendar", func(t *testing.T) {
		coretest.Run(t, func(tb testing.TB, s coretest.Setup) coretest.Cluster { return newConforming(tb, s, true) })
	})
}

// conforming drives a World by a script instead of by a workload.
type conforming struct {
	*World
	tb      testing.TB
	setup   coretest.Setup
	script  []scripted
	results []coretest.Result
}

// scripted is what happens to a node, and when.
type scripted struct {
	at core.Time
	do func(now core.Time)
}

func newConforming(tb testing.TB, s coretest.Setup, general bool) *conforming {
	x := powerOfTwo(tb, s.Nodes, time.Hour)
	x.Warmup = 0
	x.Functions[0].Replicas = scenarios.ReplicasSame
	x.Scheduler.Forwarding = s.Forwarding
	x.Functions = slices.Repeat(x.Functions, max(1, s.Types, len(s.Holders)))
	for f, nodes := range s.Holders {
		x.Functions[f].Nodes = nodes
	}
	latency := make([][]time.Duration, s.Nodes)
	for i := range latency {
		latency[i] = make([]time.Duration, s.Nodes)
		for j := range latency[i] {
			latency[i][j] = s.Latency
		}
	}
	x.Cluster.Links.Default.Latency = random.NewConstant(s.Latency.Seconds())
	if general {
		x.Cluster.Links.Latency = latency
		x.Cluster.Groups[0].Service, x.Cluster.Groups[0].Cores = scenarios.ProcessorSharing, 1000
	}
	c := &conforming{tb: tb, setup: s}
	w, err := New(x, 0, Options{Each: c.ended})
	if err != nil {
		tb.Fatal(err)
	}
	if w.net.uniform == general {
		tb.Fatalf("messages go through the ring: %t, want %t", w.net.uniform, !general)
	}
	for i := range w.nodes {
		id := core.NodeID(i)
		w.engine.Init(&w.nodes[i], id, s.Config(), *rand.NewPCG(1, uint64(i)), s.Scheduler(id))
	}
	w.more = false
	w.interrupted = never
	c.World = w
	return c
}

func (c *conforming) play(at core.Time, do func(now core.Time)) {
	c.script = append(c.script, scripted{at, do})
}

// Submit implements coretest.Cluster.
func (c *conforming) Submit(at core.Time, n core.NodeID, r coretest.Request) int {
	i := len(c.results)
	c.results = append(c.results, coretest.Result{Executor: core.NoNode})
	c.play(at, func(now core.Time) {
		t := c.engine.NewTask()
		r.Fill(t, core.TaskID(i), now)
		c.submitted++
		c.nodes[n].Submit(now, t)
	})
	return i
}

// Configure implements coretest.Cluster.
func (c *conforming) Configure(at core.Time, n core.NodeID, x core.Change) {
	c.play(at, func(now core.Time) { c.nodes[n].Configure(now, x) })
}

// Crash implements coretest.Cluster.
func (c *conforming) Crash(at core.Time, n core.NodeID) {
	c.play(at, func(now core.Time) { c.nodes[n].Crash(now) })
}

// Restart implements coretest.Cluster.
func (c *conforming) Restart(at core.Time, n core.NodeID) {
	c.play(at, func(now core.Time) { c.nodes[n].Restart(now, c.setup.Scheduler(n)) })
}

// Cancel implements coretest.Cluster.
func (c *conforming) Cancel(at core.Time, n core.NodeID, request int) {
	c.play(at, func(now core.Time) { c.nodes[n].Cancel(now, core.TaskID(request)) })
}

// Run implements coretest.Cluster.
func (c *conforming) Run() []coretest.Result {
	w := c.World
	defer w.engine.Close()
	for i := range w.nodes {
		w.nodes[i].Boot(0)
	}
	sort.SliceStable(c.script, func(i, j int) bool { return c.script[i].at < c.script[j].at })
	w.inFlight = len(c.results) + 1 // the script is in flight too
	for _, s := range c.script {
		for w.step(s.at) {
		}
		if w.err == nil {
			s.do(w.now)
		}
	}
	w.inFlight--
	for w.step(w.end) {
	}
	if w.err == nil {
		w.conserved()
	}
	var f *core.Fault
	if w.err != nil && !errors.As(w.err, &f) {
		c.tb.Error(w.err)
	}
	return c.results
}

// ended takes the record of a request.
func (c *conforming) ended(r *results.Record) {
	c.results[r.ID] = coretest.Result{Outcome: r.Outcome, Executor: r.Executor, Hops: r.Hops, Probes: r.Probes,
		Retries: r.Retries, Timing: r.Timing, Latency: r.Latency}
}

// Faults implements coretest.Cluster.
func (c *conforming) Faults() []*core.Fault {
	var f *core.Fault
	if errors.As(c.err, &f) {
		return []*core.Fault{f}
	}
	return nil
}

// Limits implements coretest.Cluster.
func (c *conforming) Limits() coretest.Limits { return coretest.Limits{FaultEnds: true} }
