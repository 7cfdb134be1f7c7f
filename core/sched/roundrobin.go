package sched

import "github.com/p2pfaas/p2pfaas/core"

// RoundRobin gives the tasks that arrive at a node to its peers in turn, in ascending order of their numbers around the
// circle, beginning with the one after itself. The node's own turn comes when the peer with the highest number has had its
// own: of four nodes, node 1 gives to 2, 3, 1, 0.
//
//	IncludeSelf  the node itself has its turn (default true); false: its peers alone
//
// Source: classic; with one dispatcher of Poisson arrivals and N servers, each server is E_N/M/1 (Kleinrock, Queueing
// Systems vol. 1, 1975).
type RoundRobin struct {
	IncludeSelf bool `param:"include_self" doc:"the node itself has its turn, too"`

	next    int
	started bool
}

// Schedule implements core.Scheduler.
func (s *RoundRobin) Schedule(env core.Env, _ *core.Task) core.Verdict {
	nb := env.Neighbours()
	n := nb.Len()
	turns := n
	if s.IncludeSelf {
		turns++ // the last turn is its own
	}
	if turns == 0 {
		return core.Execute()
	}
	if !s.started {
		s.started, s.next = true, below(nb, env.Self())
	}
	i := s.next % turns
	s.next = i + 1
	if i == n {
		return core.Execute()
	}
	return core.Forward(nb.At(i))
}

func init() {
	Register(Entry{
		Name:    "RoundRobin",
		Summary: "give the tasks to the nodes in turn",
		Doc: "Each node deals its own tasks out in a circle. With one dispatcher the servers see more regular gaps " +
			"between tasks than random dispatching gives, and up to half the wait; with many dispatchers that do not " +
			"know of each other most of that is gone. Loads are ignored; it costs a hop and no probe.",
		Source: "classic; Kleinrock, Queueing Systems vol. 1, 1975, for E_N/M/1",
		New:    func() core.Scheduler { return &RoundRobin{IncludeSelf: true} },
	})
}
