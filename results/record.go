package results

import (
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/learner"
)

// Record is one request, the same in simulation and in reality. Durations are as the entry node saw them: no
// duration is the difference of two machines' clocks.
type Record struct {
	Replication int
	ID          core.TaskID
	Node        core.NodeID // entry
	Function    core.TaskType
	Arrival     core.Time     // at the client: when the request was meant to leave
	Late        time.Duration // how much later it left, which is part of Client; 0 in simulation
	Outcome     core.Outcome
	Executor    core.NodeID // core.NoNode where it was not executed
	Hops        int
	Probes      int
	Retries     int
	Cold        bool          // the execution began with a cold start
	ColdStart   time.Duration // how long that took, which is part of Timing.Executing
	Demand      time.Duration // 0 = not known
	Latency     time.Duration // as the client saw it: Client + the parts of Timing
	Client      time.Duration // on the client's own link, both ways; in reality, all that its node does not see
	Timing      core.Timing
	Deadline    time.Duration // relative; 0 = none
	EnergyJ     float64       // joules above idle that this request cost: busy slot and bytes sent
	Rewarded    bool          // the scenario says what an answer is worth to a learner's client
	Reward      float64       // that
}

// InTime reports whether the request completed within its deadline (always, if it completed and had none).
func (r *Record) InTime() bool {
	return r.Outcome == core.Completed && (r.Deadline == 0 || r.Latency <= r.Deadline)
}

// Energy is what the request cost above the idle power of the nodes, as far as its record says: without the copies of it that did not win, all bytes sent
// as by its entry node, one payload per retry. What nodes spent is in NodeStat. Its executor has so many busyWatts, if it has one, its entry node so many
// joulesPerByte; payload and reply are the function's.
func (r *Record) Energy(busyWatts, joulesPerByte float64, payload, reply int) float64 {
	sent := float64((r.Hops+r.Retries)*payload + r.Hops*reply)
	return float64(busyWatts*r.Timing.Executing.Seconds()) + float64(sent*joulesPerByte)
}

// Answer makes a what the client knows of its request, to say what that is worth to a learner: of the function with that name, after that action; -1
// where no learner was asked.
func (r *Record) Answer(a *learner.Answer, function string, action int) {
	// Every field, one by one: a literal is built elsewhere and copied.
	a.Completed, a.InTime = r.Outcome == core.Completed, r.InTime()
	a.Rejected = r.Outcome == core.Rejected || r.Outcome == core.NoRoom || r.Outcome == core.NoFunction
	a.Forwarded = r.Executor != core.NoNode && r.Executor != r.Node
	a.Latency, a.Deadline, a.Energy = r.Latency.Seconds(), r.Deadline.Seconds(), r.EnergyJ
	a.Hops, a.Type, a.Function, a.Action = r.Hops, int(r.Function), function, action
}
