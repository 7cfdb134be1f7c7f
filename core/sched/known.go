package sched

import (
	"slices"

	"github.com/p2pfaas/p2pfaas/core"
)

// known is what a node remembers of a peer's load.
type known struct {
	at   core.Time // when it was heard of
	peer core.NodeID
	load int32
}

// chooseKnown returns the index of the least loaded of the remembered peers if it has less than the own load, ties at
// random; otherwise -1. With tie, the own node is one of those that tie. It passes over peers that lack the task's
// function, forgets those that have ceased to be neighbours, and returns what remains.
func chooseKnown(env core.Env, peers []known, own int32, tie bool) (int, []known) {
	able, all := env.Neighbours(), env.AllNeighbours()
	i := leastKnown(env, peers, own, tie)
	if i < 0 || able.Has(peers[i].peer) {
		return i, peers
	}
	peers = slices.DeleteFunc(peers, func(k known) bool { return !all.Has(k.peer) })
	n := 0 // of those that may be chosen, in front
	for k := range peers {
		if able.Has(peers[k].peer) {
			peers[n], peers[k] = peers[k], peers[n]
			n++
		}
	}
	return leastKnown(env, peers[:n], own, tie), peers
}

func leastKnown(v core.View, peers []known, own int32, tie bool) int {
	best, at, ties := own, -1, 0
	if tie {
		ties = 1
	}
	for i := range peers {
		switch l := peers[i].load; {
		case l < best:
			best, at, ties = l, i, 1
		case l == best && ties > 0:
			ties++
			if v.Rand().IntN(ties) == 0 {
				at = i
			}
		}
	}
	return at
}
