package sched

import (
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// LLg is LL_g(T), the low latency algorithm for nodes of different speed behind links that are not negligible. A task
// that finds fewer than Threshold tasks here stays. Otherwise Fanout random peers are probed, and the task goes to the
// one with the least expected delay (ties at random) if that is strictly less than the expected delay here. The delay
// of a node is the wait for a slot and the service at its speed; that of a peer has the round trip on top, as the probe
// measured it.
//
//	Fanout     peers probed (default 1)
//	Threshold  own load from which on peers are probed, T (default 2)
//	Service    mean service time on a node of speed 1 (default 0s: that of the task's function)
//
// Where the mean service time is unknown, delays are compared in units of it and links are left out.
//
// Source: Beraldi and Proietti Mattia, A randomized low latency resource sharing algorithm for fog, DS-RT 2019,
// 10.1109/DS-RT47707.2019.8958709; the formula of the delay is this project's.
type LLg struct {
	Fanout    int           `param:"fanout" unit:"peers" min:"1" max:"65535" doc:"peers that are probed"`
	Threshold int           `param:"threshold" unit:"tasks" min:"0" doc:"least own load at which peers are probed (T)"`
	Service   time.Duration `param:"service" min:"0s" doc:"mean service time at speed 1; 0s = as the function says"`

	scratch scratch
}

// Schedule implements core.Scheduler.
func (s *LLg) Schedule(env core.Env, t *core.Task) core.Verdict {
	if env.Load().Total() < s.Threshold {
		return core.Execute()
	}
	mean, link := meanService(env, t, s.Service), 1.0
	if mean == 0 {
		mean, link = 1, 0
	}
	replies := env.Probe(env.Neighbours().Sample(s.Fanout)...)
	here := bound{score: expected(env.Load(), mean)}
	n := rank(env.Rand(), replies, 1+maxAlternatives, here, func(r *core.Reply) float64 {
		return expected(r.Load, mean) + float64(link*r.RTT.Seconds())
	})
	if n == 0 {
		return core.Execute()
	}
	return s.scratch.forward(env, replies, n)
}

func init() {
	Register(Entry{
		Name:    "LLg",
		Summary: "PowerOfNScheduler on expected delays, speed and link included, instead of loads",
		Doc: "LL_g(T): as PowerOfNScheduler, but what is compared is the delay that a task may expect here and there: " +
			"the wait for a slot and the service at the node's speed, plus the round trip to the peer. With equal nodes " +
			"of one slot and fast links it decides as PowerOfNScheduler does; with unequal ones it does not send tasks " +
			"to an idle but slow or distant node.",
		Source: "Beraldi and Proietti Mattia, A randomized low latency resource sharing algorithm for fog, DS-RT " +
			"2019, 10.1109/DS-RT47707.2019.8958709; the formula of the delay is this project's",
		Stateless: true,
		New:       func() core.Scheduler { return &LLg{Fanout: 1, Threshold: 2} },
	})
}
