package simnet

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/membership"
	"github.com/p2pfaas/p2pfaas/core/random"
)

// peers is the membership of a world where something goes wrong: on every node the machine of core/membership, as on
// real nodes. It makes the neighbours of a node from those that it holds to be there.
type peers struct {
	world   *World
	nodes   []watcher
	streams *streams // of what becomes of datagrams, by sender
	late    slab[datagram]
}

// watcher is the machine of a node; nil while the node is down.
type watcher struct {
	peers   *peers
	id      core.NodeID
	machine *membership.Machine
	armed   core.Time // for which its timer is set
	lives   int
	has     []bool // whom it holds to be there, by number
	changed bool
}

// datagram is a message of a machine on its way.
type datagram struct {
	from core.NodeID
	msg  membership.Message
}

// newPeers starts the machines of all nodes, each of which knows all others: real runs begin when they do. It is nil
// where all goes well, in large worlds, since machines take memory with the square of the nodes, and of a node by
// itself.
func newPeers(w *World) *peers {
	n := w.scenario.Cluster.Nodes()
	if w.faults == nil || w.large || n < 2 {
		return nil
	}
	p := &peers{world: w, nodes: make([]watcher, n), streams: newStreams(w, random.Gossip)}
	for i := range p.nodes {
		x := &p.nodes[i]
		*x = watcher{peers: p, id: core.NodeID(i), has: make([]bool, n)}
		p.start(x)
		heard := membership.Message{Kind: membership.Gossip, About: core.NoNode}
		for k := range n {
			heard.Entries = append(heard.Entries, membership.Entry{Member: core.NodeID(k), State: membership.Alive, By: core.NoNode})
			if len(heard.Entries) == membership.MaxEntries || k == n-1 {
				x.machine.Receive(0, core.NodeID((i+1)%n), &heard)
				heard.Entries = heard.Entries[:0]
			}
		}
		x.changed = false // its neighbours are the scenario's
		p.arm(x)
	}
	return p
}

// start begins a life of a node's machine, which asks all others who is there.
func (p *peers) start(x *watcher) {
	w, n := p.world, len(p.nodes)
	o := membership.DefaultOptions(x.id)
	o.Members = n
	rng := random.Stream(w.scenario.Seed, w.replication, random.Membership, int(x.id)+x.lives*n)
	x.lives++
	x.machine, x.armed = membership.New(o, x, rand.New(rng)), core.Never
	seeds := make([]core.NodeID, 0, n-1)
	for k := 1; k < n; k++ {
		seeds = append(seeds, core.NodeID((int(x.id)+k)%n))
	}
	x.machine.Join(w.now, seeds)
}

// crash ends a life.
func (p *peers) crash(n core.NodeID) {
	x := &p.nodes[n]
	x.machine, x.armed = nil, core.Never
	clear(x.has)
	p.tell(x)
}

// restart begins another one, which knows nobody.
func (p *peers) restart(n core.NodeID) {
	x := &p.nodes[n]
	p.start(x)
	p.arm(x)
}

// Send implements membership.Host.
func (x *watcher) Send(to core.NodeID, m *membership.Message) {
	p := x.peers
	w, r := p.world, p.streams.of(int(x.id))
	x.send(to, m, r)
	if w.faults.links.Twice(x.id, to, r) {
		x.send(to, m, r)
	}
}

// send sends a datagram once.
func (x *watcher) send(to core.NodeID, m *membership.Message, r *rand.Rand) {
	p := x.peers
	w := p.world
	d, lost := w.net.Transit(x.id, to, 0, r)
	if !lost {
		var more time.Duration
		more, lost = w.faults.links.Transit(x.id, to, r)
		d += more
	}
	if lost {
		return
	}
	c := datagram{from: x.id, msg: *m}
	c.msg.Entries = append([]membership.Entry(nil), m.Entries...)
	w.calendar.push(w.now.Add(d), evDatagram, to, p.late.put(c), 0)
}

// Changed implements membership.Host.
func (x *watcher) Changed(id core.NodeID, s membership.State, _ bool) {
	has := s == membership.Alive || s == membership.Suspect
	if x.has[id] == has {
		return
	}
	x.has[id], x.changed = has, true
	what := uint64(id) << 1
	if has {
		what++
	}
	x.peers.world.fold(inputPeers, x.id, what)
}

// Key implements membership.Host.
func (x *watcher) Key(id core.NodeID) uint64 {
	w := x.peers.world
	return random.Key(w.scenario.Seed, w.replication, random.Membership, int(id), 0)
}

// receive brings a datagram to the machine of a node.
func (p *peers) receive(n core.NodeID, i uint32) {
	c := p.late.take(i)
	x := &p.nodes[n]
	if x.machine == nil {
		return
	}
	x.machine.Receive(p.world.now, c.from, &c.msg)
	p.after(x)
}

// wake wakes the machine of a node, where its timer is still set for that instant.
func (p *peers) wake(n core.NodeID, at core.Time) {
	x := &p.nodes[n]
	if x.armed != at {
		return
	}
	x.armed = core.Never
	x.machine.Fire(p.world.now)
	p.after(x)
}

func (p *peers) after(x *watcher) {
	p.arm(x)
	if x.changed {
		p.tell(x)
	}
}

// arm sets the timer of a machine, unless it is set for an instant before.
func (p *peers) arm(x *watcher) {
	if next := x.machine.Next(); next < x.armed {
		x.armed = next
		p.world.calendar.push(max(next, p.world.now), evWatch, x.id, 0, uint64(next))
	}
}

// tell gives a node its neighbours: those of the scenario that are there.
func (p *peers) tell(x *watcher) {
	w := p.world
	x.changed = false
	list := make([]core.NodeID, 0, len(p.nodes))
	add := func(id core.NodeID) {
		if id != x.id && x.has[id] {
			list = append(list, id)
		}
	}
	if t := &w.scenario.Cluster.Topology; t.FullMesh() {
		for id := range p.nodes {
			add(core.NodeID(id))
		}
	} else {
		for _, id := range t.Neighbours(x.id) {
			add(id)
		}
	}
	if w.trace != nil {
		w.trace.line(x.id, "peers", nil, fmt.Sprint(list))
	}
	w.nodes[x.id].Configure(w.now, core.Change{Peers: &list})
}
