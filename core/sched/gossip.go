package sched

import (
	"slices"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// LeastLoadedGossip decides on loads that it heard of. Every Period each node tells its load to Fanout random peers,
// and remembers what the last Memory ones told it. A task that finds fewer than Threshold tasks here stays; otherwise
// it goes to the peer with the least remembered load (ties at random) if that is strictly less than the own one.
//
//	Threshold  own load from which on a task may leave, T (default 2)
//	Period     time between two rounds of gossip (default 100ms)
//	Fanout     peers told per round (default 1)
//	Memory     peers remembered (default 16); the longest unheard makes room
//	MaxAge     older loads do not count (default 0s: all count)
//	CountOwn   a task forwarded counts for its peer's remembered load until that is heard of again (default true)
//
// Source: gossip: Demers et al., Epidemic algorithms for replicated database maintenance, PODC 1987; counting: van der
// Boor, Borst and van Leeuwaarden, Hyper-scalable JSQ with sparse feedback, 2019, arXiv 1903.02337.
type LeastLoadedGossip struct {
	Threshold int           `param:"threshold" unit:"tasks" min:"0" doc:"least own load at which a task may leave (T)"`
	Period    time.Duration `param:"period" min:"1us" doc:"time between two rounds of gossip"`
	Fanout    int           `param:"fanout" unit:"peers" min:"1" max:"65535" doc:"peers told per round"`
	Memory    int           `param:"memory" unit:"peers" min:"1" max:"65535" doc:"peers whose load is remembered"`
	MaxAge    time.Duration `param:"max_age" min:"0s" doc:"older loads do not count; 0s = all count"`
	CountOwn  bool          `param:"count_own" doc:"count own forwards for the remembered loads"`

	known []known
}

// noteLoad tells the sender's load.
const noteLoad = 1

// Start implements core.Starter: it gossips.
func (s *LeastLoadedGossip) Start(env core.Env) {
	for {
		n := core.Note{Kind: noteLoad, Int: int64(env.Load().Total())}
		for _, p := range env.Neighbours().Sample(s.Fanout) {
			env.Tell(p, n)
		}
		env.Sleep(s.Period)
	}
}

// Receive implements core.Receiver: it remembers.
func (s *LeastLoadedGossip) Receive(v core.View, from core.NodeID, n core.Note) core.Note {
	k := known{peer: from, load: int32(n.Int), at: v.Now()}
	oldest := -1
	for i := range s.known {
		if s.known[i].peer == from {
			s.known[i] = k
			return core.Note{}
		}
		if oldest < 0 || s.known[i].at < s.known[oldest].at {
			oldest = i
		}
	}
	if len(s.known) < s.Memory {
		s.known = append(s.known, k)
	} else {
		s.known[oldest] = k
	}
	return core.Note{}
}

// Schedule implements core.Scheduler.
func (s *LeastLoadedGossip) Schedule(env core.Env, _ *core.Task) core.Verdict {
	load := env.Load().Total()
	if load < s.Threshold {
		return core.Execute()
	}
	if s.MaxAge > 0 {
		now := env.Now()
		s.known = slices.DeleteFunc(s.known, func(k known) bool { return now.Sub(k.at) > s.MaxAge })
	}
	var i int
	if i, s.known = chooseKnown(env, s.known, int32(load), false); i < 0 {
		return core.Execute()
	}
	if s.CountOwn {
		s.known[i].load++
	}
	return core.Forward(s.known[i].peer)
}

func init() {
	Register(Entry{
		Name:    "LeastLoadedGossip",
		Summary: "stay below a threshold, else go to the peer with the least load heard of, if that is less than here",
		Doc: "Nodes tell their load to a few random peers once per period, and decide on what they remember, without " +
			"asking. A decision takes no time; the price is stale knowledge and a traffic of fanout messages per node " +
			"and period, with or without tasks. max_age drops what is too old to be trusted; count_own keeps a node from " +
			"sending burst after burst to the same peer.",
		Source: "Demers et al., Epidemic algorithms for replicated database maintenance, PODC 1987; van der Boor et " +
			"al., 2019, arXiv 1903.02337",
		New: func() core.Scheduler {
			return &LeastLoadedGossip{Threshold: 2, Period: 100 * time.Millisecond, Fanout: 1, Memory: 16, CountOwn: true}
		},
	})
}
