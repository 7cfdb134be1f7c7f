package sched

import (
	"fmt"

	"github.com/p2pfaas/p2pfaas/core"
)

// AdaptiveThreshold is LL(F,T) with a threshold that each node adapts. A task that finds fewer tasks here than the
// threshold stays; otherwise Fanout random peers are probed and the least loaded gets it if it has strictly less than
// here. After every Window decisions with probes the threshold falls by 1 if the share of those that found such a peer
// was at least High, as asking is worth it, and rises by 1 if it was at most Low. It stays between 0 and K+Q, where
// only a full node asks.
//
//	Fanout     peers probed (default 1)
//	Threshold  to begin with (default 2)
//	Window     decisions with probes between two adaptations (default 20)
//	Low, High  shares of successful ones that make it rise and fall (defaults 0.2 and 0.6)
//
// Source: the idea of a threshold that follows the ratio of refused to accepted transfers is that of Beraldi, Canali,
// Lancellotti and Proietti Mattia, FMEC 2020, 10.1109/FMEC49853.2020.9144962; the steps are this project's.
type AdaptiveThreshold struct {
	Fanout    int     `param:"fanout" unit:"peers" min:"1" max:"65535" doc:"peers that are probed"`
	Threshold int     `param:"threshold" unit:"tasks" min:"0" doc:"least own load at which peers are probed, at first"`
	Window    int     `param:"window" unit:"decisions" min:"1" doc:"decisions with probes between two adaptations"`
	Low       float64 `param:"low" min:"0" max:"1" doc:"share of successful ones at which the threshold rises"`
	High      float64 `param:"high" min:"0" max:"1" doc:"share of successful ones at which it falls"`

	scratch     scratch
	change      int // of the threshold, so far
	tries, hits int // in this window
}

// Validate reports bounds in the wrong order.
func (s *AdaptiveThreshold) Validate() error {
	if s.Low >= s.High {
		return fmt.Errorf("low must be less than high, but they are %g and %g", s.Low, s.High)
	}
	return nil
}

// Schedule implements core.Scheduler.
func (s *AdaptiveThreshold) Schedule(env core.Env, _ *core.Task) core.Verdict {
	if env.Load().Total() < s.Threshold+s.change {
		return core.Execute()
	}
	replies := env.Probe(env.Neighbours().Sample(s.Fanout)...)
	n := rank(env.Rand(), replies, 1+maxAlternatives, bound{score: float64(env.Load().Total())}, total)
	s.learn(n > 0, env.Load())
	if n == 0 {
		return core.Execute()
	}
	return s.scratch.forward(env, replies, n)
}

// learn counts a decision with probes, and adapts the threshold at the end of a window.
func (s *AdaptiveThreshold) learn(hit bool, l core.Load) {
	s.tries++
	if hit {
		s.hits++
	}
	if s.tries < s.Window {
		return
	}
	share := float64(s.hits) / float64(s.tries)
	threshold := s.Threshold + s.change
	switch {
	case share >= s.High:
		threshold--
	case share <= s.Low:
		threshold++
	}
	s.change = min(max(0, threshold), int(l.Slots)+int(l.Room)) - s.Threshold
	s.tries, s.hits = 0, 0
}

func init() {
	Register(Entry{
		Name:    "AdaptiveThreshold",
		Summary: "PowerOfNScheduler with a threshold that falls while probing is worth it and rises while it is in vain",
		Doc: "LL(F,T) without a T to choose: each node lowers its threshold while most of its probes find a less " +
			"loaded peer, and raises it while hardly one does. In a cluster of unequal load the overloaded nodes ask " +
			"early and the idle ones never; when everybody is full, hardly anybody asks in vain.",
		Source: "the idea: Beraldi, Canali, Lancellotti and Proietti Mattia, FMEC 2020, " +
			"10.1109/FMEC49853.2020.9144962; the steps are this project's",
		New: func() core.Scheduler {
			return &AdaptiveThreshold{Fanout: 1, Threshold: 2, Window: 20, Low: 0.2, High: 0.6}
		},
	})
}
