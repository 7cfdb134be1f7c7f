package core

import (
	"slices"
	"sort"
)

// neighbours implements Neighbours for the node of an activity: computed for a full mesh, a row of the topology
// otherwise, or the node's own list; or those of them that have a function. They stay as they were when the activity asked,
// whatever changes meanwhile.
type neighbours struct {
	view    *activity
	list    []NodeID
	mesh    bool
	without bool     // the node itself lacks the function, and others have it
	skip    int      // index in the list of the node itself, which is none of them; beyond the list: it is not there
	chosen  []NodeID // where the list is kept that is nobody else's
	sample  []NodeID
}

// row is the list of the node's neighbours; nil and true for a full mesh.
func (n *Node) row() (list []NodeID, mesh bool) {
	if n.x != nil && n.x.peers != nil {
		return n.x.peers, false
	}
	topo := n.cfg.eng.topo
	if int(n.id) >= topo.Nodes {
		return nil, false // the cloud has no neighbours
	}
	if topo.Offsets == nil {
		return nil, true
	}
	return topo.Edges[topo.Offsets[n.id]:topo.Offsets[n.id+1]], false
}

// knows reports whether the node may send to p: a neighbour or the cloud.
func (n *Node) knows(p NodeID) bool {
	topo := n.cfg.eng.topo
	if p < 0 || p == n.id {
		return false
	}
	if p == topo.Cloud {
		return true
	}
	list, mesh := n.row()
	if mesh {
		return int(p) < topo.Nodes
	}
	i := sort.Search(len(list), func(i int) bool { return list[i] >= p })
	return i < len(list) && list[i] == p
}

// gone reports whether p may have left: it is none of the node's neighbours, and these change.
func (n *Node) gone(p NodeID) bool {
	return p >= 0 && n.x != nil && n.x.peers != nil && !n.knows(p)
}

// everybody makes b all neighbours of its node.
func (b *neighbours) everybody() {
	b.list, b.mesh = b.view.node.row()
	b.skip, b.without = len(b.list), false
}

// having makes b those that have the function of t.
func (b *neighbours) having(t *Task) {
	b.everybody()
	n := b.view.node
	told := n.x != nil && n.x.known != nil
	holders := b.view.eng.topo.holders(t.Function())
	if !told && holders == nil {
		return
	}
	if self, is := slices.BinarySearch(holders, n.id); b.mesh && !told {
		b.list, b.mesh, b.skip = holders, false, self // shared by all nodes
		if !is {
			b.skip = len(holders)
		}
		b.without = !is && len(holders) > 0
		return
	}
	chosen := b.chosen[:0]
	for i := range b.Len() {
		if p := b.At(i); n.has(p, t) {
			chosen = append(chosen, p)
		}
	}
	b.chosen, b.list, b.mesh, b.skip = chosen, chosen, false, len(chosen)
	b.without = len(chosen) > 0 && !n.has(n.id, t)
}

// find returns the index of p.
func (b *neighbours) find(p NodeID) (int, bool) {
	i := sort.Search(b.Len(), func(i int) bool { return b.At(i) >= p })
	return i, i < b.Len() && b.At(i) == p
}

func (b *neighbours) Len() int {
	if b.mesh {
		return max(0, b.view.eng.topo.Nodes-1)
	}
	if b.skip < len(b.list) {
		return len(b.list) - 1
	}
	return len(b.list)
}

func (b *neighbours) At(i int) NodeID {
	if !b.mesh {
		if i >= b.skip {
			i++
		}
		return b.list[i]
	}
	if NodeID(i) >= b.view.node.id {
		return NodeID(i + 1)
	}
	return NodeID(i)
}

func (b *neighbours) Has(p NodeID) bool {
	if p == b.view.node.id {
		return !b.without
	}
	_, is := b.find(p)
	return is
}

func (b *neighbours) Sample(k int) []NodeID { return b.draw(k, 0) }

func (b *neighbours) SampleAll(k int) []NodeID { return b.draw(k, 1) }

// draw returns k distinct nodes of the neighbours, and of the node itself where self is 1 (its index is Len).
func (b *neighbours) draw(k, self int) []NodeID {
	if b.without {
		self = 0
	}
	n := b.Len() + self
	k = max(0, min(k, n))
	r := b.view.eng.rand
	if cap(b.sample) < k {
		b.sample = make([]NodeID, 0, max(8, k))
	}
	s := b.sample[:0]
	switch {
	case k == 1:
		s = append(s, NodeID(r.IntN(n)))
	case k > 32 && k > n/k: // Floyd's would cost k*k

		s = shuffled(b.sample, n, r.IntN)
		b.sample = s
		s = s[:k]
	default:
		// Floyd's sampling (Bentley and Floyd, CACM 30(9), 1987), each new index put at a random place, so that
		// the order is uniform too.
		for j := n - k; j < n; j++ {
			v := NodeID(r.IntN(j + 1))
			for _, w := range s {
				if w == v {
					v = NodeID(j)
					break
				}
			}
			s = append(s, v)
			if i := r.IntN(len(s)); i < len(s)-1 {
				s[i], s[len(s)-1] = s[len(s)-1], s[i]
			}
		}
	}
	for i, v := range s {
		if int(v) == n-1 && self == 1 {
			s[i] = b.view.node.id
		} else {
			s[i] = b.At(int(v))
		}
	}
	return s
}

// shuffled returns 0..n-1 in random order.
func shuffled(buf []NodeID, n int, intN func(int) int) []NodeID {
	if cap(buf) < n {
		buf = make([]NodeID, n)
	}
	buf = buf[:n]
	for i := range buf {
		j := intN(i + 1)
		buf[i] = buf[j]
		buf[j] = NodeID(i)
	}
	return buf
}
