package sched

import "github.com/p2pfaas/p2pfaas/core"

// RejectScheduler refuses every task, deliberately.
//
// Source: RejectScheduler of P2PFaaS v1.
type RejectScheduler struct{}

// Schedule implements core.Scheduler.
func (*RejectScheduler) Schedule(core.Env, *core.Task) core.Verdict {
	return core.Reject(core.Rejected)
}

func init() {
	Register(Entry{
		Name:    "RejectScheduler",
		Summary: "refuse every task",
		Doc: "Every task ends as rejected at once. It serves to drain a node, and to measure what a request costs " +
			"that is not executed.",
		Source:     "P2PFaaS v1 (Proietti Mattia and Beraldi, SoftwareX 21, 2023)",
		Positional: []string{},
		MaxHops:    2, // never made: of a task that a peer sends, the rule is to decide, not the engine's limit
		Stateless:  true,
		New:        func() core.Scheduler { return &RejectScheduler{} },
	})
}
