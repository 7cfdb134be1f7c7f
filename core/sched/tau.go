package sched

import (
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// PowerOfNSchedulerTau is PowerOfNScheduler with an own load that counts running tasks alone, and a decision that falls
// no earlier than Tau after the task's arrival: after probing it sleeps for what is missing. The answers are older by
// then, the own load is the one after the sleep. A task that finds fewer than Threshold running ones stays at once.
//
//	Tau  least time from arrival to decision where peers are probed (default 0s)
//
// and the parameters of PowerOfNScheduler.
//
// Source: PowerOfNSchedulerTau of P2PFaaS v1.
type PowerOfNSchedulerTau struct {
	PowerOfNScheduler
	Tau time.Duration `param:"tau" min:"0s" doc:"least time from arrival to decision, where peers are probed"`
}

// Schedule implements core.Scheduler.
func (s *PowerOfNSchedulerTau) Schedule(env core.Env, t *core.Task) core.Verdict {
	if int(env.Load().Running) < s.Threshold {
		return s.stay(env)
	}
	replies := env.Probe(s.sample(env)...)
	if rest := s.Tau - env.Now().Sub(t.Arrived); rest > 0 {
		env.Sleep(rest)
	}
	return s.choose(env, replies, int(env.Load().Running))
}

func init() {
	Register(Entry{
		Name:    "PowerOfNSchedulerTau",
		Summary: "PowerOfNScheduler on the running tasks alone, deciding no earlier than tau after the arrival",
		Doc: "PowerOfNScheduler in which the own load counts running tasks alone, and every decision with probes " +
			"takes at least tau from the arrival of the task. It shows what acting on old answers costs: within tau the " +
			"probed peers have changed their loads.",
		Source: "P2PFaaS v1; compare Beraldi et al., MSWiM 2020, 10.1145/3416010.3423244, on random probing with " +
			"stale information",
		Positional: []string{"fanout", "threshold", "loss", "max_hops", "tau"},
		Stateless:  true,
		New:        func() core.Scheduler { return &PowerOfNSchedulerTau{PowerOfNScheduler: newPowerOfN()} },
	})
}
