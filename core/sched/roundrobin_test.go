package sched

import (
	"slices"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestRoundRobin(t *testing.T) {
	for _, c := range []struct {
		gloss string
		self  bool
		node  core.NodeID
		nodes int
		want  []core.NodeID
	}{
		{"from the own number on, itself after the last peer", true, 1, 4, []core.NodeID{2, 3, 1, 0, 2, 3, 1, 0, 2}},
		{"peers alone", false, 1, 4, []core.NodeID{2, 3, 0, 2, 3, 0}},
		{"the last node begins with the first", false, 3, 4, []core.NodeID{0, 1, 2, 0}},
		{"two nodes", true, 0, 2, []core.NodeID{1, 0, 1, 0}},
		{"alone", true, 0, 1, []core.NodeID{0, 0}},
		{"alone, peers only", false, 0, 1, []core.NodeID{0, 0}},
	} {
		w := coretest.NewScript(c.node, make([]int, c.nodes)...)
		s := with(t, "RoundRobin", params{"include_self": c.self})
		var got []core.NodeID
		for range c.want {
			got = append(got, target(t, s.Schedule(w, task()), c.node))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.gloss, got, c.want)
		}
	}
}

// When a peer leaves the circle closes.
func TestRoundRobinFollowsMembership(t *testing.T) {
	w := coretest.NewScript(0, 0, 0, 0, 0)
	s := with(t, "RoundRobin", params{"include_self": false})
	for range 3 {
		s.Schedule(w, task())
	}
	w.Peers = w.Peers[:1]
	for range 3 {
		if p := target(t, s.Schedule(w, task()), 0); p != 1 {
			t.Errorf("forwarded to %d, which is gone", p)
		}
	}
}
