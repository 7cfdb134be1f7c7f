package sched

import "github.com/p2pfaas/p2pfaas/core"

// Random forwards a task with probability Probability to a node drawn uniformly, without asking it.
//
//	Probability   that the task is given away at all (default 1)
//	IncludeSelf   the node itself may be drawn (default true); false: one of its peers
//	Alternatives  other random peers to name for on_failure: next (default 0)
//
// Source: Eager, Lazowska and Zahorjan, Adaptive load sharing in homogeneous distributed systems, IEEE TSE 12(5), 1986.
type Random struct {
	Probability  float64 `param:"probability" min:"0" max:"1" doc:"that the task is given away at all"`
	IncludeSelf  bool    `param:"include_self" doc:"the node itself may be drawn"`
	Alternatives int     `param:"alternatives" unit:"peers" min:"0" max:"16" doc:"further peers for on_failure: next"`
}

// Schedule implements core.Scheduler.
func (s *Random) Schedule(env core.Env, _ *core.Task) core.Verdict {
	if s.Probability < 1 && env.Rand().Float64() >= s.Probability {
		return core.Execute()
	}
	nb := env.Neighbours()
	var nodes []core.NodeID
	if s.IncludeSelf {
		nodes = nb.SampleAll(1 + s.Alternatives)
	} else {
		nodes = nb.Sample(1 + s.Alternatives)
	}
	if len(nodes) == 0 || nodes[0] == env.Self() {
		return core.Execute()
	}
	return core.Forward(nodes[0], nodes[1:]...)
}

func init() {
	Register(Entry{
		Name:    "Random",
		Summary: "give the task to a random node with a given probability",
		Doc: "With probability p the task goes to a node drawn uniformly, otherwise it stays. Drawn among all nodes, " +
			"itself included, this is the random policy that JSQ(d) is compared with, and JSQ(1) is the same. It levels " +
			"unequal arrival rates and ignores loads; it costs a hop and no probe.",
		Source: "Eager, Lazowska and Zahorjan, Adaptive load sharing in homogeneous distributed systems, IEEE TSE " +
			"12(5), 1986",
		Stateless: true,
		New:       func() core.Scheduler { return &Random{Probability: 1, IncludeSelf: true} },
	})
}
