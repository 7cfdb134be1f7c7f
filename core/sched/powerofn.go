package sched

import "github.com/p2pfaas/p2pfaas/core"

// PowerOfNScheduler is LL(F,T), the power of random choices with a threshold. A task that finds fewer than Threshold
// tasks here stays. Otherwise Fanout random peers are probed, and the task goes to the least loaded of them (ties at
// random) if its load is strictly less than the own load as it is after probing; otherwise it stays. Load is running
// plus queued. A peer that does not answer is no candidate.
//
//	Fanout       peers probed, F (default 1)
//	Threshold    tasks from which on peers are probed, T (default 2); 0 always probes
//	Loss         what becomes of a task that stays and finds no free slot: none and announce let it wait, enforce refuses
//	             it (default none). In v1's list of parameters, announce is true, which had no effect there either
//	Pick         least (default), or random-not-more-loaded: if a probed peer has less than the own load, any of those
//	             that have at most the own load
//	Strict       a peer must have less than the own load (default true); false: as much will do
//	Replacement  peers are drawn with replacement, unless Fanout is just their number (default false)
//
// v1 is Pick random-not-more-loaded with Replacement.
//
// Source: Beraldi and Proietti Mattia, Power of random choices made efficient for fog computing, IEEE TCC 2020;
// PowerOfNScheduler of P2PFaaS v1.
type PowerOfNScheduler struct {
	Fanout      int    `param:"fanout" unit:"peers" min:"1" max:"65535" doc:"peers that are probed (F)"`
	Threshold   int    `param:"threshold" unit:"tasks" min:"0" doc:"least own load at which peers are probed (T)"`
	Loss        string `param:"loss" oneof:"none|announce|enforce" positional:"false|true|true" doc:"enforce: refuse a task that stays and finds no free slot"`
	Pick        string `param:"pick" oneof:"least|random-not-more-loaded" doc:"which of the probed peers; v1: the latter"`
	Strict      bool   `param:"strict" doc:"a peer must have less than the own load; false: as much will do"`
	Replacement bool   `param:"replacement" doc:"draw the peers with replacement (v1)"`

	scratch scratch
}

// Values of Loss.
const (
	lossNone     = "none"
	lossEnforced = "enforce"
)

// Values of PowerOfNScheduler.Pick.
const (
	pickLeast         = "least"
	pickNotMoreLoaded = "random-not-more-loaded"
)

// Schedule implements core.Scheduler.
func (s *PowerOfNScheduler) Schedule(env core.Env, _ *core.Task) core.Verdict {
	if env.Load().Total() < s.Threshold {
		return s.stay(env)
	}
	replies := env.Probe(s.sample(env)...)
	return s.choose(env, replies, env.Load().Total())
}

func (s *PowerOfNScheduler) stay(env core.Env) core.Verdict { return stay(env, s.Loss == lossEnforced) }

func (s *PowerOfNScheduler) sample(env core.Env) []core.NodeID {
	nb := env.Neighbours()
	if s.Replacement && s.Fanout != nb.Len() {
		return s.scratch.drawn(env, s.Fanout, false)
	}
	return nb.Sample(s.Fanout)
}

// choose decides with the answers at hand; own is the own load.
func (s *PowerOfNScheduler) choose(env core.Env, replies []core.Reply, own int) core.Verdict {
	b := bound{float64(own), !s.Strict}
	if s.Pick == pickLeast {
		n := rank(env.Rand(), replies, 1+maxAlternatives, b, total)
		if n == 0 {
			return s.stay(env)
		}
		return s.scratch.forward(env, replies, n)
	}
	// v1's way: one may get the task that has as much as here, but only where another has less.
	if rank(env.Rand(), replies, 1, b, total) == 0 {
		return s.stay(env)
	}
	one := func(r *core.Reply) float64 {
		if r.Load.Total() <= own {
			return 0
		}
		return 1
	}
	return s.scratch.forward(env, replies, rank(env.Rand(), replies, 1+maxAlternatives, bound{0, true}, one))
}

func init() {
	Register(Entry{
		Name:    "PowerOfNScheduler",
		Summary: "stay below a threshold, else probe random peers and go to the least loaded if it has less than here",
		Doc: "LL(F,T): a task that finds fewer than T tasks at its node stays; otherwise F random peers are probed " +
			"and the least loaded gets the task if its load is strictly less than the own one. LL(1,0) is the power of " +
			"two choices. A threshold just below the number of slots spares most of the probes at little cost in " +
			"blocking when the load is high. It costs 2F messages whenever the threshold is reached, and one round trip " +
			"before the task can start. P2PFaaS v1 chooses otherwise: that is pick: random-not-more-loaded with " +
			"replacement.",
		Source: "Beraldi and Proietti Mattia, Power of random choices made efficient for fog computing, IEEE TCC " +
			"2020, 10.1109/TCC.2020.2968443; P2PFaaS v1",
		Positional: []string{"fanout", "threshold", "loss", "max_hops"},
		Stateless:  true,
		New: func() core.Scheduler {
			s := newPowerOfN()
			return &s
		},
	})
}

// newPowerOfN returns the defaults of PowerOfNScheduler and its variant.
func newPowerOfN() PowerOfNScheduler {
	return PowerOfNScheduler{Fanout: 1, Threshold: 2, Loss: lossNone, Pick: pickLeast, Strict: true}
}
