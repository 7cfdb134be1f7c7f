package sched

import (
	"fmt"

	"github.com/p2pfaas/p2pfaas/core"
)

// RoundRobinWithMasterScheduler sends every task through one node, the master, which gives them to its peers in turn,
// the one that the task came from included. The master takes no tasks of clients itself: it refuses them as if it had
// no room. A task makes two hops.
//
//	Master      the node that deals out (default 0)
//	IsMaster    this node is the master, whatever Master says: v1's way, where each node is configured by itself
//	            (default false)
//	Loss        as that of PowerOfNScheduler, where the task ends up (default none)
//
// Source: RoundRobinWithMasterScheduler of P2PFaaS v1.
type RoundRobinWithMasterScheduler struct {
	Master   core.NodeID `param:"master" doc:"the node that deals the tasks out"`
	IsMaster bool        `param:"is_master" doc:"this node is the master, whatever the parameter master says"`
	Loss     string      `param:"loss" oneof:"none|announce|enforce" positional:"false|true|true" doc:"enforce: refuse a task that finds no free slot where it ends up"`

	next int
}

// Schedule implements core.Scheduler.
func (s *RoundRobinWithMasterScheduler) Schedule(env core.Env, t *core.Task) core.Verdict {
	master := s.IsMaster || env.Self() == s.Master
	nb := env.Neighbours()
	switch {
	case master && (t.Hops == 0 || nb.Len() == 0):
		return core.Reject(core.NoRoom)
	case master:
		i := s.next % nb.Len()
		s.next = i + 1
		return core.Forward(nb.At(i))
	case t.Hops == 0:
		return core.Forward(s.Master)
	default:
		return stay(env, s.Loss == lossEnforced)
	}
}

// Check reports a master that does not exist or is not everybody's neighbour, and a limit of hops that keeps tasks at the master.
func (s *RoundRobinWithMasterScheduler) Check(w World) error {
	if int(s.Master) >= w.Nodes {
		return fmt.Errorf("master is node %d, but the nodes are 0 to %d", s.Master, w.Nodes-1)
	}
	if w.MaxHops < 2 {
		return fmt.Errorf("max_hops must be at least 2, to the master and on, is %d", w.MaxHops)
	}
	for n := range core.NodeID(w.Nodes) {
		if w.Linked != nil && n != s.Master && !w.Linked(n, s.Master) {
			return fmt.Errorf("master is node %d, which is no neighbour of node %d: it must be one of all", s.Master, n)
		}
	}
	return nil
}

func init() {
	Register(Entry{
		Name:    "RoundRobinWithMasterScheduler",
		Summary: "send every task to one master node, which gives them to its peers in turn",
		Doc: "A centralised dispatcher for comparison: the master forwards each task that a peer sends it to the next " +
			"of its peers in the circle, and refuses tasks of clients of its own. Two hops per task, and the cluster " +
			"stands and falls with one node.",
		Source:     "P2PFaaS v1 (Proietti Mattia and Beraldi, SoftwareX 21, 2023)",
		Positional: []string{"is_master", "master", "loss"},
		MaxHops:    3, // a third is never made: where the task ends up, the rule is to apply loss, not the engine's limit
		New:        func() core.Scheduler { return &RoundRobinWithMasterScheduler{Loss: lossNone} },
	})
}
