package simnet

import (
	"slices"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// Observer watches a world while it runs. It changes nothing: a run is the same with it and without.
type Observer interface {
	// Host returns what stands in the place of the world under its nodes, and hands on every call.
	Host(world core.Host) core.Host
	// Event is called between two events, and after the last: all that the one before had for a consequence at its instant has
	// happened, and the next one is due at next. An error ends the run.
	Event(next core.Time) error
	// Ended takes every request when it has ended, also those of the warm-up.
	Ended(*results.Record)
}

// What an observer may look at, at any time.

// Now is the instant of the last event.
func (w *World) Now() core.Time { return w.now }

// Arrived is how many requests have left their clients.
func (w *World) Arrived() int { return int(w.jobs) }

// Load is what a node has in hand.
func (w *World) Load(n core.NodeID) core.Load { return w.nodes[n].Load() }

// Tasks calls f for every task that is in the cluster: with a node, or in a message.
func (w *World) Tasks(f func(*core.Task)) { w.engine.Tasks(f) }

// Underway calls f for every request that is on its way to the node of its entry, or waits until that takes it, or got lost on
// the way while its client still waits.
func (w *World) Underway(f func(core.TaskID)) {
	a := &w.access
	for i := range a.waiting.items {
		if !slices.Contains(a.waiting.free, uint32(i)) {
			f(a.waiting.items[i].id)
		}
	}
	for id, x := range a.open {
		if x.lost {
			f(id)
		}
	}
}

// Down reports whether a node is gone.
func (w *World) Down(n core.NodeID) bool { return w.faults != nil && w.faults.down(n) }

// Paused reports whether a node stands still.
func (w *World) Paused(n core.NodeID) bool {
	return w.faults != nil && w.faults.lies(n, scenarios.Pause) > 0
}

// Pending is how many entries wait in the window of a node's learner; 0 where that is not in this process.
func (w *World) Pending(n core.NodeID) int {
	if !w.learning.asks() || int(n) >= len(w.learning.nodes) {
		return 0
	}
	if l, ok := w.learning.nodes[n].(*learner.Learner); ok {
		return l.Stats().Pending
	}
	return 0
}

// Silent reports whether something lies on a node, or on links, that keeps messages of the living from arriving soon.
func (w *World) Silent() bool {
	if w.faults == nil {
		return false
	}
	for i := range w.faults.nodes {
		if w.Paused(core.NodeID(i)) {
			return true
		}
	}
	return w.faults.links.OfLinks()
}

// Members is whom a node holds to be there, by number; nil where the world has no membership.
func (w *World) Members(n core.NodeID) []bool {
	if w.peers == nil {
		return nil
	}
	return w.peers.nodes[n].has
}

// under is what the nodes of a world have for their host.
func (w *World) under(o Options) core.Host {
	if o.Observer == nil {
		return w
	}
	w.observer = o.Observer(w)
	return w.observer.Host(w)
}

// observe lets the observer look at the world before the event of instant next.
func (w *World) observe(next core.Time) {
	if w.observer == nil {
		return
	}
	if err := w.observer.Event(next); err != nil && w.err == nil {
		w.err = err
	}
}
