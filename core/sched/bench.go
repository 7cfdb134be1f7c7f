package sched

import (
	"slices"
	"sort"

	"github.com/p2pfaas/p2pfaas/core"
)

// JIQ and JBT have this in common: a node that takes tasks of clients (a dispatcher) keeps a bench, where nodes sit
// that have room: idle ones, or those below a threshold. A node sits on one bench at most, and gets up when it has no
// room.

// Notes of JIQ and JBT.
const (
	noteSit    = 1 + iota // put me on your bench
	noteGetUp             // take me off
	noteLength            // how long is your bench?
	noteCalled            // I took you off, a task is on its way
)

// bench is both sides of it.
type bench struct {
	nodes   []core.NodeID // who sits on the own bench, in order of entry
	seated  bool          // this node sits on a bench
	at      core.NodeID   // whose
	scratch scratch
}

// receive takes the notes of both sides.
func (b *bench) receive(from core.NodeID, n core.Note) core.Note {
	switch n.Kind {
	case noteSit:
		if !slices.Contains(b.nodes, from) {
			b.nodes = append(b.nodes, from)
		}
	case noteGetUp:
		b.remove(from)
	case noteLength:
		return core.Note{Kind: noteLength, Int: int64(len(b.nodes))}
	case noteCalled:
		if b.seated && b.at == from {
			b.seated = false
		}
	}
	return core.Note{}
}

func (b *bench) remove(p core.NodeID) {
	if i := slices.Index(b.nodes, p); i >= 0 {
		b.nodes = slices.Delete(b.nodes, i, i+1)
	}
}

// call takes a node off the own bench: the one that sat down first, or any with anyone. It returns false where the
// bench has nobody with the task's function. Nodes that have ceased to be neighbours are dropped; those that merely lack
// this function keep their seats.
func (b *bench) call(env core.Env, anyone bool) (core.NodeID, bool) {
	able, all := env.Neighbours(), env.AllNeighbours()
	for passed := 0; passed < len(b.nodes); { // those before it lack the function
		i := passed
		if anyone {
			i += env.Rand().IntN(len(b.nodes) - passed)
		}
		p := b.nodes[i]
		if !able.Has(p) && all.Has(p) {
			b.nodes[i], b.nodes[passed] = b.nodes[passed], p
			passed++
			continue
		}
		b.nodes = slices.Delete(b.nodes, i, i+1)
		if able.Has(p) {
			b.seated = b.seated && p != env.Self()
			return p, true
		}
	}
	return core.NoNode, false
}

// sit puts this node on the bench of dispatcher p.
func (b *bench) sit(v core.View, p core.NodeID) {
	b.seated, b.at = true, p
	if p == v.Self() {
		b.nodes = append(b.nodes, p)
		return
	}
	v.Tell(p, core.Note{Kind: noteSit})
}

// getUp takes this node off the bench where it sits.
func (b *bench) getUp(v core.View) {
	b.seated = false
	if b.at == v.Self() {
		b.remove(b.at)
		return
	}
	v.Tell(b.at, core.Note{Kind: noteGetUp})
}

// dispatchers draws k of the nodes that this one can reach, itself included, whose number is below limit; limit 0 is no
// limit.
func (b *bench) dispatchers(v core.View, k, limit int) []core.NodeID {
	nb := v.Neighbours()
	if limit == 0 {
		return nb.SampleAll(k)
	}
	m := sort.Search(nb.Len(), func(i int) bool { return int(nb.At(i)) >= limit })
	all := m
	if int(v.Self()) < limit {
		all++
	}
	k = min(k, all)
	drawn := b.scratch.list(k)[:0]
	for len(drawn) < k {
		p := v.Self()
		if i := v.Rand().IntN(all); i < m {
			p = nb.At(i)
		}
		if !slices.Contains(drawn, p) {
			drawn = append(drawn, p)
		}
	}
	return drawn
}
