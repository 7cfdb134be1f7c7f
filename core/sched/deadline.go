package sched

import (
	"math"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// DeadlinePowerOfD forwards a task only to where its deadline can be met. A task that is expected to end here by its
// deadline stays. Otherwise D random peers are probed, and of those where it is expected to end in time, the answer's
// way back included, the earliest gets it. If there is none, the task goes to the cloud, where Cloud allows it and
// there is one, or is treated as Otherwise says. A task without a deadline stays.
//
// The expectation is that of exponential service times: what a task finds must leave first, at the rate of the slots.
// Where the mean service time is unknown, a node is in time if it has a free slot.
//
//	D          peers probed (default 2)
//	Margin     time that must be left to the deadline (default 0s)
//	Service    mean service time on a node of speed 1 (default 0s: that of the task's function)
//	Cloud      hand over to the cloud what cannot end in time here or at a peer (default false)
//	Otherwise  execute (default) or reject what can end in time nowhere
//
// Source: the combination of the power of d choices (Mitzenmacher 2001) with admission by predicted finish, as in
// deadline-aware edge computing (arXiv 2212.03802).
type DeadlinePowerOfD struct {
	D         int           `param:"d" unit:"peers" min:"1" max:"65535" doc:"peers that are probed"`
	Margin    time.Duration `param:"margin" min:"0s" doc:"time that must be left to the deadline"`
	Service   time.Duration `param:"service" min:"0s" doc:"mean service time at speed 1; 0s = as the function says"`
	Cloud     bool          `param:"cloud" doc:"hand over to the cloud what cannot end in time here or at a peer"`
	Otherwise string        `param:"otherwise" oneof:"execute|reject" doc:"what becomes of a task that is late everywhere"`

	scratch scratch
}

// Schedule implements core.Scheduler.
func (s *DeadlinePowerOfD) Schedule(env core.Env, t *core.Task) core.Verdict {
	mean := meanService(env, t, s.Service)
	if t.Deadline == core.Never || predicted(env.Load(), mean) <= s.left(env, t) {
		return core.Execute()
	}
	replies := env.Probe(env.Neighbours().Sample(s.D)...)
	n := rank(env.Rand(), replies, 1+maxAlternatives, bound{s.left(env, t), true}, func(r *core.Reply) float64 {
		return r.RTT.Seconds() + predicted(r.Load, mean) // to the peer and, with the answer, back
	})
	if n > 0 {
		return s.scratch.forward(env, replies, n)
	}
	if cloud, ok := env.Cloud(); ok && s.Cloud {
		return core.Forward(cloud)
	}
	if s.Otherwise == "reject" && predicted(env.Load(), mean) > s.left(env, t) {
		return core.Reject(core.Rejected)
	}
	return core.Execute()
}

// left is the time in seconds that t may still take.
func (s *DeadlinePowerOfD) left(env core.Env, t *core.Task) float64 {
	return (t.Deadline.Sub(env.Now()) - s.Margin).Seconds()
}

// predicted is the time to the end of a task that comes now; without a mean it is none where a slot is free.
func predicted(l core.Load, mean float64) float64 {
	switch {
	case mean > 0:
		return expected(l, mean)
	case l.Free() > 0:
		return 0
	}
	return math.Inf(1)
}

func init() {
	Register(Entry{
		Name:    "DeadlinePowerOfD",
		Summary: "stay if the deadline can be met here, else go to the probed peer where it is met earliest, if it is",
		Doc: "Forwards only what gains from it: a task that is expected to end in time stays, and one that is not " +
			"goes to the earliest of d random peers where it would be, the link counted. It suits functions with " +
			"deadlines and nodes of different speed, and is only as good as the mean service times that it is told. " +
			"otherwise: reject sheds at once what would be late anyway.",
		Source: "power of d choices: Mitzenmacher, IEEE TPDS 12(10), 2001; admission by predicted finish: arXiv " +
			"2212.03802",
		Stateless: true,
		New:       func() core.Scheduler { return &DeadlinePowerOfD{D: 2, Otherwise: "execute"} },
	})
}
