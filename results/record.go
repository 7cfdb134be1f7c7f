package results

import (
	"time"

	"github.com/p2pfaas/p2pfaas/core"
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
