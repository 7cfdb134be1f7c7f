package sched

import "github.com/p2pfaas/p2pfaas/core"

// JSQ is JSQ(d), join the shortest of d queues: d nodes are drawn among all, the node itself included, and the least
// loaded of those that answer gets the task, ties at random. Load is running plus queued.
//
//	D            nodes drawn (default 2); 1 is Random
//	Replacement  they are drawn with replacement (default false)
//
// Source: Vvedenskaya, Dobrushin and Karpelevich, Problems Inform. Transm. 32(1), 1996; Mitzenmacher, The power of two
// choices in randomized load balancing, IEEE TPDS 12(10), 2001.
type JSQ struct {
	D           int  `param:"d" unit:"nodes" min:"1" max:"65535" doc:"nodes drawn among all, itself included"`
	Replacement bool `param:"replacement" doc:"draw them with replacement"`

	scratch scratch
}

// Schedule implements core.Scheduler.
func (s *JSQ) Schedule(env core.Env, _ *core.Task) core.Verdict {
	var nodes []core.NodeID
	if s.Replacement {
		nodes = s.scratch.drawn(env, s.D, true)
	} else {
		nodes = env.Neighbours().SampleAll(s.D)
	}
	if len(nodes) == 1 {
		return give(env, nodes[0])
	}
	return s.scratch.least(env, env.Probe(nodes...))
}

// least gives the task to the least loaded of the nodes that answered, ties at random; to the own one if none did.
func (s *scratch) least(env core.Env, replies []core.Reply) core.Verdict {
	own(env, replies)
	n := rank(env.Rand(), replies, 1+maxAlternatives, noBound, total)
	if n == 0 {
		return core.Execute()
	}
	return s.forward(env, replies, n)
}

func init() {
	Register(Entry{
		Name:    "JSQ",
		Summary: "draw d nodes among all, itself included, and go to the least loaded of them",
		Doc: "JSQ(d), the power of d choices: d nodes are drawn uniformly among all of them, the node itself " +
			"included, and the least loaded gets the task. d = 2 makes the tail of the queue lengths doubly exponential; " +
			"d = 1 is random; d = the number of nodes is join the shortest queue. It costs about 2d messages and a round " +
			"trip for every task, also at low load, where PowerOfNScheduler with a threshold probes seldom.",
		Source: "Vvedenskaya, Dobrushin and Karpelevich, Problems Inform. Transm. 32(1), 1996; Mitzenmacher, The " +
			"power of two choices in randomized load balancing, IEEE TPDS 12(10), 2001",
		Stateless: true,
		New:       func() core.Scheduler { return &JSQ{D: 2} },
	})
}
