package sched

import "github.com/p2pfaas/p2pfaas/core"

// ForwardScheduler forwards every task to a random peer, without asking it; a task that has made its last hop executes
// where it is. Without a peer it executes here.
//
// Alternatives (peers, default 0) is how many other random peers to name, for on_failure: next.
//
// Source: ForwardScheduler of P2PFaaS v1.
type ForwardScheduler struct {
	Alternatives int `param:"alternatives" unit:"peers" min:"0" max:"16" doc:"further peers for on_failure: next"`
}

// Schedule implements core.Scheduler.
func (s *ForwardScheduler) Schedule(env core.Env, _ *core.Task) core.Verdict {
	peers := env.Neighbours().Sample(1 + s.Alternatives)
	if len(peers) == 0 {
		return core.Execute()
	}
	return core.Forward(peers[0], peers[1:]...)
}

func init() {
	Register(Entry{
		Name:    "ForwardScheduler",
		Summary: "forward every task to a random peer, max_hops times",
		Doc: "Blind load sharing: a task is passed on to a uniformly drawn neighbour until it has made max_hops hops, " +
			"and executes where it is then. It levels the arrival rates of nodes and ignores their loads: one hop per " +
			"task and nothing gained among equally loaded nodes.",
		Source:     "P2PFaaS v1 (Proietti Mattia and Beraldi, SoftwareX 21, 2023)",
		Positional: []string{"max_hops"},
		Stateless:  true,
		New:        func() core.Scheduler { return &ForwardScheduler{} },
	})
}
