package coretest

import (
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// Setup is a cluster of equal nodes in a full mesh.
type Setup struct {
	Nodes       int
	Slots, Room int32 // K and Q of each node
	Discipline  core.Discipline
	Abandon     bool
	Types       int             // task types that nodes count apart; 0 and 1 = one
	Holders     [][]core.NodeID // by task type: who has its function; nil lists: all
	Forwarding  core.Forwarding
	Latency     time.Duration                    // of a message, one way
	Scheduler   func(core.NodeID) core.Scheduler // makes a node's value of the algorithm, again after a crash
}

// Config is the configuration of one node.
func (s *Setup) Config() *core.Config {
	return &core.Config{Slots: s.Slots, Room: s.Room, Speed: 1, Discipline: s.Discipline, Abandon: s.Abandon,
		Types: s.Types, Forwarding: s.Forwarding}
}

// Topology is that of the cluster.
func (s *Setup) Topology() *core.Topology {
	return &core.Topology{Nodes: s.Nodes, Cloud: core.NoNode, Holders: s.Holders}
}

// Request is what a client asks for.
type Request struct {
	Service  time.Duration // how long its execution takes
	Budget   time.Duration // until its deadline; 0 = none
	Priority int16
	Type     core.TaskType
}

// Fill makes t the task of r, which reaches its node at the instant at.
func (r Request) Fill(t *core.Task, id core.TaskID, at core.Time) {
	t.ID, t.Type, t.Demand, t.Priority = id, r.Type, r.Service, r.Priority
	if r.Budget > 0 {
		t.Deadline = at.Add(r.Budget)
	}
}

// Result is how a request ended.
type Result struct {
	Outcome  core.Outcome // InFlight: it has not
	Executor core.NodeID
	Hops     int
	Probes   int
	Retries  int
	Timing   core.Timing
	Latency  time.Duration // from its arrival at the entry node to its end there
}

// Cluster is a host with nodes, as the conformance tests drive it. First the script is written: what the world does
// to the nodes, and when. Then Run plays it.
type Cluster interface {
	// Submit has a client call node n, and returns the number of the request: 0, 1, 2, ...
	Submit(at core.Time, n core.NodeID, r Request) int
	Configure(at core.Time, n core.NodeID, c core.Change)
	Crash(at core.Time, n core.NodeID)
	Restart(at core.Time, n core.NodeID)
	// Cancel has the client hang up that sent the request to node n.
	Cancel(at core.Time, n core.NodeID, request int)

	// Run plays the script, waits until every request has ended, and stops the nodes. What the algorithms wrote may
	// be read afterwards. The results are in order of Submit.
	Run() []Result
	// Faults are those that happened during Run.
	Faults() []*core.Fault
	Limits() Limits
}

// Limits say where a host may differ from the reference.
type Limits struct {
	Tolerance   time.Duration // instants and durations may be off by so much
	FaultEnds   bool          // a fault ends the run, as in a simulation
	HidesDemand bool          // nodes do not know how long an execution will take
}

// Func is a scheduler that is only a function.
type Func func(core.Env, *core.Task) core.Verdict

// Schedule implements core.Scheduler.
func (f Func) Schedule(env core.Env, t *core.Task) core.Verdict { return f(env, t) }

// Everywhere gives every node the same function.
func Everywhere(f Func) func(core.NodeID) core.Scheduler {
	return func(core.NodeID) core.Scheduler { return f }
}

// Local executes every task where it arrives.
func Local(core.Env, *core.Task) core.Verdict { return core.Execute() }
