package sched

import (
	"slices"

	"github.com/p2pfaas/p2pfaas/core"
)

// RandomWalk passes a task on to a random neighbour as long as it finds more than Threshold tasks, max_hops times at
// most; where the walk ends it executes.
//
//	Threshold  load up to which a node keeps a task (default 1)
//	Revisit    the walk may come back to nodes where it was (default true)
//
// Source: sequential forwarding of Beraldi, Canali, Lancellotti and Proietti Mattia, FMEC 2020,
// 10.1109/FMEC49853.2020.9144962.
type RandomWalk struct {
	Threshold int  `param:"threshold" unit:"tasks" min:"0" doc:"load up to which a node keeps a task"`
	Revisit   bool `param:"revisit" doc:"the walk may come back to nodes where it was"`
}

// Schedule implements core.Scheduler.
func (s *RandomWalk) Schedule(env core.Env, t *core.Task) core.Verdict {
	if env.Load().Total() <= s.Threshold {
		return core.Execute()
	}
	if s.Revisit {
		return step(env, nil)
	}
	return step(env, t.Visited())
}

// step forwards to a random neighbour that is not one of those visited; where there is none the walk ends.
func step(env core.Env, visited []core.NodeID) core.Verdict {
	for _, p := range env.Neighbours().Sample(1 + len(visited)) {
		if !slices.Contains(visited, p) {
			return core.Forward(p)
		}
	}
	return core.Execute()
}

func init() {
	Register(Entry{
		Name:    "RandomWalk",
		Summary: "pass the task on to a random neighbour while the load exceeds a threshold, max_hops times at most",
		Doc: "No probes: a task that meets too many others goes on to a random neighbour, until it finds a node with " +
			"at most threshold tasks or has made max_hops hops. Each hop carries the whole task, which is dear where " +
			"payloads are large, and at high load most walks end where they must, not where they should.",
		Source: "Beraldi, Canali, Lancellotti and Proietti Mattia, FMEC 2020, 10.1109/FMEC49853.2020.9144962: " +
			"sequential forwarding",
		MaxHops:   4,
		Stateless: true,
		New:       func() core.Scheduler { return &RandomWalk{Threshold: 1, Revisit: true} },
	})
}
