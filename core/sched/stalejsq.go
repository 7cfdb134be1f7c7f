package sched

import (
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
)

// StaleJSQ is JSQ(d) on a bulletin board: d nodes are drawn among all, itself included, and the one with the least
// posted load gets the task, ties at random. A node's posted load is the one that it had at its last epoch. The board
// has no place of its own: a node that is asked answers what it posted.
//
//	D       nodes drawn (default 2)
//	Period  time between two epochs (default 1s)
//	Epochs  periodic (default): all nodes at the multiples of Period (real nodes each by its own clock, so that their epochs are
//	        as far apart as their beginnings); exponential: each node by itself, in gaps with
//	        this mean
//
// Source: Mitzenmacher, How useful is old information?, IEEE TPDS 11(1), 2000: periodic and individual updates.
type StaleJSQ struct {
	D      int           `param:"d" unit:"nodes" min:"1" max:"65535" doc:"nodes drawn among all, itself included"`
	Period time.Duration `param:"period" min:"1us" doc:"time between two posts of a node, or its mean"`
	Epochs string        `param:"epochs" oneof:"periodic|exponential" doc:"all nodes at once, or each by itself"`

	scratch scratch
	posted  int
}

// noteBoard asks what the node has posted.
const noteBoard = 1

// Start implements core.Starter: it posts.
func (s *StaleJSQ) Start(env core.Env) {
	for {
		s.posted = env.Load().Total()
		if s.Epochs == "exponential" {
			env.Sleep(exponential(env, s.Period))
		} else {
			env.Sleep(s.Period - time.Duration(env.Now())%s.Period)
		}
	}
}

// exponential draws a duration with that mean.
func exponential(v core.View, mean time.Duration) time.Duration {
	return time.Duration(float64(mean) * random.Exp1(v.Rand()))
}

// Receive implements core.Receiver.
func (s *StaleJSQ) Receive(core.View, core.NodeID, core.Note) core.Note {
	return core.Note{Kind: noteBoard, Int: int64(s.posted)}
}

// Schedule implements core.Scheduler.
func (s *StaleJSQ) Schedule(env core.Env, _ *core.Task) core.Verdict {
	nodes := env.Neighbours().SampleAll(s.D)
	if len(nodes) == 1 {
		return give(env, nodes[0])
	}
	replies := env.Ask(core.Note{Kind: noteBoard}, nodes...)
	n := rank(env.Rand(), replies, 1+maxAlternatives, noBound, answered)
	if n == 0 {
		return core.Execute()
	}
	return s.scratch.forward(env, replies, n)
}

func init() {
	Register(Entry{
		Name:    "StaleJSQ",
		Summary: "JSQ(d) on the loads that the nodes posted at their last epoch",
		Doc: "JSQ(d) with old information: every node posts its load at epochs, all at the multiples of a period or " +
			"each by itself at exponential gaps, and decisions see posted loads alone, the own one included. The longer " +
			"the period, the more tasks run after the same posted low loads: beyond a few service times a small d, at " +
			"last random, is better than a large one. It costs about 2d messages per task.",
		Source: "Mitzenmacher, How useful is old information?, IEEE TPDS 11(1), 2000",
		New:    func() core.Scheduler { return &StaleJSQ{D: 2, Period: time.Second, Epochs: "periodic"} },
	})
}
