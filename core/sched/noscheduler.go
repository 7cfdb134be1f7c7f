package sched

import "github.com/p2pfaas/p2pfaas/core"

// NoScheduler executes every task where it arrives: no cooperation. With Loss (default false) a task that finds no
// free slot is refused, although the waiting room may have a place.
//
// Source: NoScheduler of P2PFaaS v1.
type NoScheduler struct {
	Loss bool `param:"loss" doc:"refuse a task that finds no free slot, instead of letting it wait"`
}

// Schedule implements core.Scheduler.
func (s *NoScheduler) Schedule(env core.Env, _ *core.Task) core.Verdict {
	return stay(env, s.Loss)
}

// stay executes the task here or, with loss, refuses it where it would have to wait.
func stay(env core.Env, loss bool) core.Verdict {
	if loss && env.Load().Free() == 0 {
		return core.Reject(core.NoRoom)
	}
	return core.Execute()
}

func init() {
	Register(Entry{
		Name:    "NoScheduler",
		Summary: "execute every task where it arrives",
		Doc: "No cooperation: a task executes at the node that its client called, or waits there, or is refused for " +
			"lack of room. The baseline that every other algorithm must beat; it costs no message.",
		Source:     "P2PFaaS v1 (Proietti Mattia and Beraldi, SoftwareX 21, 2023)",
		Positional: []string{"loss"},
		MaxHops:    2, // never made: of a task that a peer sends, the rule is to decide, not the engine's limit
		Bare:       true,
		Stateless:  true,
		New:        func() core.Scheduler { return &NoScheduler{} },
	})
}
