package sched

import "github.com/p2pfaas/p2pfaas/core"

// Redundancy is Redundancy-d: copies of a task go to d nodes drawn among all, the node itself included, and the others
// are cancelled when the first of them completes, or starts.
//
//	D       copies (default 2); 1 is Random
//	Cancel  completion (default), or start
//
// Source: Gardner, Harchol-Balter, Scheller-Wolf, Velednitsky and Zbarsky, Redundancy-d: the power of d choices for
// redundancy, Operations Research 65(4), 2017; cancellation on start: late binding of Ousterhout, Wendell, Zaharia and
// Stoica, Sparrow, SOSP 2013.
type Redundancy struct {
	D      int    `param:"d" unit:"copies" min:"1" max:"255" doc:"copies, at nodes drawn among all"`
	Cancel string `param:"cancel" oneof:"completion|start" doc:"what the first copy does when the others are cancelled"`
}

// Schedule implements core.Scheduler.
func (s *Redundancy) Schedule(env core.Env, _ *core.Task) core.Verdict {
	nodes := env.Neighbours().SampleAll(s.D)
	if len(nodes) == 1 {
		return give(env, nodes[0])
	}
	if s.Cancel == "start" {
		return core.Replicate(core.CancelOnStart, nodes...)
	}
	return core.Replicate(core.CancelOnCompletion, nodes...)
}

func init() {
	Register(Entry{
		Name:    "Redundancy",
		Summary: "send copies to d random nodes; the first to complete, or to start, cancels the others",
		Doc: "Redundancy-d: the task waits in d queues at once and takes whichever serves first. With cancel: " +
			"completion copies run side by side, which shortens highly variable service times, and overloads the nodes " +
			"where the copies take equally long (the function's replicas: same). With cancel: start only one of them " +
			"runs, as if the task had known which queue is the shortest. It costs d messages and as many cancellations " +
			"per task, and no probe.",
		Source:     "Gardner et al., Redundancy-d, Operations Research 65(4), 2017; Ousterhout et al., Sparrow, SOSP 2013",
		Stateless:  true,
		Replicates: true,
		New:        func() core.Scheduler { return &Redundancy{D: 2, Cancel: "completion"} },
	})
}
