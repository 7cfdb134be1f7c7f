package sched

import (
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// JSQAll is join the shortest queue: the least loaded of all nodes gets the task. It asks all neighbours at every
// decision or, with a Period, from time to time, and decides on what it knows; the own load is always known exactly.
//
//	Period    age that the known loads may reach (default 0s: ask at every decision)
//	Ties      random (default), or local: the node itself comes first
//	CountOwn  a task forwarded counts for its peer's known load until the next refresh (default true)
//
// Source: Winston, Optimality of the shortest line discipline, J. Appl. Prob. 14, 1977; stale knowledge: Mitzenmacher,
// How useful is old information?, IEEE TPDS 11(1), 2000; counting: van der Boor, Borst and van Leeuwaarden,
// Hyper-scalable JSQ with sparse feedback, 2019, arXiv 1903.02337.
type JSQAll struct {
	Period   time.Duration `param:"period" min:"0s" doc:"age that known loads may reach; 0s = ask at every decision"`
	Ties     string        `param:"ties" oneof:"random|local" doc:"who gets the task among equally loaded nodes"`
	CountOwn bool          `param:"count_own" doc:"count own forwards for the known loads until the next refresh"`

	scratch scratch
	known   []known
}

// Start implements core.Starter: it keeps the known loads fresh.
func (s *JSQAll) Start(env core.Env) {
	for s.Period > 0 {
		replies := s.ask(env)
		s.known = s.known[:0]
		for i := range replies {
			if r := &replies[i]; r.Err == nil && r.Peer != env.Self() {
				s.known = append(s.known, known{peer: r.Peer, load: int32(r.Load.Total())})
			}
		}
		env.Sleep(s.Period)
	}
}

// ask probes all neighbours, and the node itself.
func (s *JSQAll) ask(env core.Env) []core.Reply {
	nb := env.Neighbours()
	nodes := s.scratch.list(nb.Len() + 1)
	for i := range nb.Len() {
		nodes[i] = nb.At(i)
	}
	nodes[nb.Len()] = env.Self()
	return env.Probe(nodes...)
}

// Schedule implements core.Scheduler.
func (s *JSQAll) Schedule(env core.Env, _ *core.Task) core.Verdict {
	if s.Period > 0 {
		return s.fromKnown(env)
	}
	replies := s.ask(env)
	if s.Ties == "local" {
		own(env, replies)
		n := rank(env.Rand(), replies, 1+maxAlternatives, bound{float64(env.Load().Total()), false}, total)
		if n == 0 {
			return core.Execute()
		}
		return s.scratch.forward(env, replies, n)
	}
	return s.scratch.least(env, replies)
}

func (s *JSQAll) fromKnown(env core.Env) core.Verdict {
	var i int
	i, s.known = chooseKnown(env, s.known, int32(env.Load().Total()), s.Ties == "random")
	if i < 0 {
		return core.Execute()
	}
	if s.CountOwn {
		s.known[i].load++
	}
	return core.Forward(s.known[i].peer)
}

func init() {
	Register(Entry{
		Name:    "JSQAll",
		Summary: "go to the least loaded of all nodes, known exactly or as of the last refresh",
		Doc: "Join the shortest queue. With period 0s each decision asks all N-1 neighbours: the best that can be " +
			"done without knowing service times, at 2(N-1) messages per task. With a period each node asks them all once " +
			"per period and decides on that; the older the knowledge, the more nodes send to the same peer at once, " +
			"until it is worse than random. count_own softens this.",
		Source: "Winston, J. Appl. Prob. 14, 1977; Mitzenmacher, How useful is old information?, IEEE TPDS 11(1), " +
			"2000; van der Boor et al., 2019, arXiv 1903.02337",
		New: func() core.Scheduler { return &JSQAll{Ties: "random", CountOwn: true} },
	})
}
