package sched

import (
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// JBT is JBT(d), join below threshold. Every Period a node draws D nodes among all, itself included, and takes the
// least of their loads as its threshold. As long as its own load is at most the threshold it is on the list of one
// dispatcher, drawn at random. A task goes to a random node of its dispatcher's list, which is taken off and may enlist
// again, or to any random node where the list is empty. With the threshold 0 this is JIQ. A dispatcher that restarts has
// an empty list: who was on it enlists again when its load has passed the threshold.
//
//	D            nodes that the threshold is the least load of (default 2)
//	Period       time between two thresholds (default 1s)
//	Dispatchers  nodes 0 to Dispatchers-1 have lists (default 0: every node has)
//
// Source: Zhou, Wu, Tan, Sun and Shroff, Designing low-complexity heavy-traffic delay-optimal load balancing schemes,
// POMACS 1(2), 2017, arXiv 1710.04357, where one dispatcher sets the threshold; here each node does so for itself.
type JBT struct {
	D           int           `param:"d" unit:"nodes" min:"1" max:"65535" doc:"their least load is the threshold"`
	Period      time.Duration `param:"period" min:"1us" doc:"time between two thresholds"`
	Dispatchers int           `param:"dispatchers" unit:"nodes" min:"0" doc:"the first so many have lists; 0 = all"`

	bench     bench
	threshold int
}

// Check reports dispatchers that do not exist.
func (s *JBT) Check(w World) error { return checkDispatchers(s.Dispatchers, w) }

// Schedule implements core.Scheduler.
func (s *JBT) Schedule(env core.Env, _ *core.Task) core.Verdict {
	p, ok := s.bench.call(env, true)
	if !ok {
		return give(env, env.Neighbours().SampleAll(1)[0])
	}
	if p != env.Self() {
		env.Tell(p, core.Note{Kind: noteCalled})
	}
	return give(env, p)
}

// Start implements core.Starter: it keeps the threshold.
func (s *JBT) Start(env core.Env) {
	for {
		replies := env.Probe(env.Neighbours().SampleAll(s.D)...)
		own(env, replies)
		if rank(env.Rand(), replies, 1, noBound, total) > 0 {
			s.threshold = replies[0].Load.Total()
		}
		s.Changed(env)
		env.Sleep(s.Period)
	}
}

// Changed implements core.Watcher: it puts the node on a list or takes it off.
func (s *JBT) Changed(env core.Env) {
	switch low := env.Load().Total() <= s.threshold; {
	case low && !s.bench.seated:
		if ds := s.bench.dispatchers(env, 1, s.Dispatchers); len(ds) > 0 {
			s.bench.sit(env, ds[0])
		}
	case !low && s.bench.seated:
		s.bench.getUp(env)
	}
}

// Receive implements core.Receiver.
func (s *JBT) Receive(_ core.View, from core.NodeID, n core.Note) core.Note {
	return s.bench.receive(from, n)
}

func init() {
	Register(Entry{
		Name:    "JBT",
		Summary: "go to a node that has reported a load below a slowly adapted threshold, else to a random one",
		Doc: "JBT(d), join below threshold: as JIQ, but a node enlists while its load is at most a threshold, the " +
			"least load of d nodes that it draws once per period. Under high load, when hardly a node is idle, there is " +
			"still somebody on the lists. The decision asks nobody; enlisting costs at most three messages per task, and " +
			"the threshold 2d per node and period.",
		Source: "Zhou, Wu, Tan, Sun and Shroff, Designing low-complexity heavy-traffic delay-optimal load balancing " +
			"schemes, POMACS 1(2), 2017, arXiv 1710.04357",
		New: func() core.Scheduler { return &JBT{D: 2, Period: time.Second} },
	})
}
