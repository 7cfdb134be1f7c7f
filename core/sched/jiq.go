package sched

import (
	"fmt"

	"github.com/p2pfaas/p2pfaas/core"
)

// JIQ is join the idle queue. A node that becomes idle (it has no task at all) enters the idle queue of one dispatcher,
// drawn at random or the one with the shortest of Choices queues. A task goes to the idle node that entered its
// dispatcher's queue first, or to a random node, any of all, where the queue is empty. An idle node that is hit by such
// a random task leaves the queue that it is in.
//
//	Dispatchers  nodes 0 to Dispatchers-1 have idle queues (default 0: every node has). Where tasks of clients arrive at
//	             so few of N nodes only, there are r = N/Dispatchers servers per dispatcher
//	Choices      dispatchers that a node compares (default 1: random; 2 is JIQ-SQ(2))
//
// Source: Lu et al., Join-Idle-Queue: a novel load balancing algorithm for dynamically scalable web services,
// Performance Evaluation 68(11), 2011.
type JIQ struct {
	Dispatchers int `param:"dispatchers" unit:"nodes" min:"0" doc:"the first so many have idle queues; 0 = all"`
	Choices     int `param:"choices" unit:"dispatchers" min:"1" max:"255" doc:"that an idle node compares"`

	bench bench
}

// Check reports dispatchers that do not exist.
func (s *JIQ) Check(w World) error { return checkDispatchers(s.Dispatchers, w) }

func checkDispatchers(n int, w World) error {
	if n > w.Nodes {
		return fmt.Errorf("dispatchers is %d, but there are %d nodes", n, w.Nodes)
	}
	return nil
}

// Schedule implements core.Scheduler.
func (s *JIQ) Schedule(env core.Env, _ *core.Task) core.Verdict {
	if p, ok := s.bench.call(env, false); ok {
		return give(env, p)
	}
	return give(env, env.Neighbours().SampleAll(1)[0])
}

// Changed implements core.Watcher: the node enters an idle queue when it is idle, and leaves it when it is not.
func (s *JIQ) Changed(env core.Env) {
	for {
		switch idle := env.Load().Total() == 0; {
		case idle == s.bench.seated:
			return
		case idle:
			if !s.enter(env) {
				return
			}
		default:
			s.bench.getUp(env)
		}
	}
}

// enter takes the node to an idle queue, unless a task comes while it asks for their lengths. It returns false where
// there is no dispatcher.
func (s *JIQ) enter(env core.Env) bool {
	ds := s.bench.dispatchers(env, s.Choices, s.Dispatchers)
	if len(ds) == 0 {
		return false
	}
	d := ds[0]
	if len(ds) > 1 {
		replies := env.Ask(core.Note{Kind: noteLength}, ds...)
		if rank(env.Rand(), replies, 1, noBound, answered) > 0 {
			d = replies[0].Peer
		}
	}
	if env.Load().Total() == 0 {
		s.bench.sit(env, d)
	}
	return true
}

// Receive implements core.Receiver.
func (s *JIQ) Receive(_ core.View, from core.NodeID, n core.Note) core.Note {
	return s.bench.receive(from, n)
}

func init() {
	Register(Entry{
		Name:    "JIQ",
		Summary: "go to a node that has reported itself idle to the task's node, else to a random one",
		Doc: "Join the idle queue: idle nodes enlist at one dispatcher each, and a task takes the longest enlisted " +
			"node from its dispatcher's queue, or a random node where there is none. The decision asks nobody, so that " +
			"it takes no time; enlisting and leaving cost at most two messages per task. With as many dispatchers as " +
			"nodes, the default, most queues are empty at high load and it approaches random; with many nodes per " +
			"dispatcher it is nearly as good as join the shortest queue.",
		Source: "Lu, Xie, Kliot, Geller, Larus and Greenberg, Join-Idle-Queue, Performance Evaluation 68(11), 2011",
		New:    func() core.Scheduler { return &JIQ{Choices: 1} },
	})
}
