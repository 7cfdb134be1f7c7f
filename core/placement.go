package core

import (
	"cmp"
	"slices"
)

// Who has which function. A task executes only where its function is (docs/adr/0014-placement.md). What a node knows is the
// topology's, which all share, but for what it was told since.

// Inventory is what a node has.
type Inventory struct {
	Node      NodeID
	Any       bool         `json:",omitzero"`  // whatever is asked for
	Functions []FunctionID `json:",omitempty"` // otherwise these; ascending
}

// lacks reports whether p, as far as this node knows, has not got the function of t. Where every node has every function
// that is one comparison.
func (n *Node) lacks(p NodeID, t *Task) bool { return n.cfg.placed && !n.has(p, t) }

func (n *Node) has(p NodeID, t *Task) bool {
	topo, f := n.cfg.eng.topo, t.Function()
	if p == topo.Cloud {
		return true
	}
	if x := n.x; x != nil && x.known != nil {
		if i, told := inventoryOf(x.known, p); told {
			return x.known[i].has(f)
		}
	}
	holders := topo.holders(f)
	if holders == nil {
		return true
	}
	_, is := slices.BinarySearch(holders, p)
	return is
}

// holders are the nodes that have a function; nil: all.
func (t *Topology) holders(f FunctionID) []NodeID {
	if int(f) < len(t.Holders) {
		return t.Holders[f]
	}
	return nil
}

func (v *Inventory) has(f FunctionID) bool {
	if v.Any {
		return true
	}
	_, is := slices.BinarySearch(v.Functions, f)
	return is
}

// inventoryOf returns where in a list that of p is, or would be.
func inventoryOf(known []Inventory, p NodeID) (int, bool) {
	return slices.BinarySearchFunc(known, p, func(v Inventory, p NodeID) int { return cmp.Compare(v.Node, p) })
}

// takeStock takes note of what nodes have from now on.
func (n *Node) takeStock(told []Inventory) {
	x := n.more()
	for _, v := range told {
		v.Functions = slices.Clone(v.Functions)
		if i, is := inventoryOf(x.known, v.Node); is {
			x.known[i] = v
		} else {
			x.known = slices.Insert(x.known, i, v)
		}
	}
	if !n.cfg.placed {
		own := *n.cfg
		own.placed = true
		n.cfg = &own
	}
	n.evict()
}

// evict takes the tasks out of the waiting room whose function the node has no longer, and lets them go on as if they had
// to execute here just now.
func (n *Node) evict() {
	if n.queued == 0 {
		return
	}
	var leaving []*Task
	for t := n.head; t != nil; t = t.next {
		if n.lacks(n.id, t) {
			leaving = append(leaving, t)
		}
	}
	for _, w := range n.x.heap {
		if n.lacks(n.id, w.task) {
			leaving = append(leaving, w.task)
		}
	}
	for _, t := range leaving {
		n.unqueue(t)
	}
	for _, t := range leaving {
		n.misplaced(t)
	}
}

// mostElsewhere bounds how often a task goes on to another node because the one before did not have its function after all.
const mostElsewhere = 4

// misplaced deals with a task that is to execute here, where its function is not: one of the neighbours that have it gets
// the task, and the cloud does where none has. Whoever meant this very node hears that it has not.
func (n *Node) misplaced(t *Task) {
	e := n.cfg.eng
	if t.flags&(flagDirect|flagSteered) != 0 || int(t.Hops) >= n.cfg.Forwarding.MaxHops || t.Retries > mostElsewhere {
		n.end(t, NoFunction)
		return
	}
	nb := &n.view().nb
	nb.having(t)
	k, refused := nb.Len(), -1
	if t.Retries > 0 && t.trip != nil {
		if i, is := nb.find(t.trip.target); is {
			k, refused = k-1, i // not again to who has just said no
		}
	}
	switch c := e.topo.Cloud; {
	case k > 0:
		i := e.rand.IntN(k)
		if refused >= 0 && i >= refused {
			i++
		}
		n.forward(t, nb.At(i))
	case c != NoNode && c != n.id:
		n.forward(t, c)
	default:
		n.end(t, NoFunction)
	}
}
