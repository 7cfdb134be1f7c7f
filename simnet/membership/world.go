// Package membership runs many machines of core/membership on one virtual clock, and measures them: when the last list
// has a node that died or came back, who was held dead without being so, and what it costs.
package membership

import (
	"math/rand/v2"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/membership"
	"github.com/p2pfaas/p2pfaas/core/random"
)

// Net is what happens to the messages.
type Net struct {
	Loss       float64       // share that gets lost
	MinLatency time.Duration // one way, uniform
	MaxLatency time.Duration
}

// Count is what a world counts.
type Count struct {
	Sent, Received int64 // messages
	Bytes, Entries int64 // of the messages sent
	Largest        int   // message, in bytes
	False          int64 // times that a list lost a node that was up, on the same side of a partition, and not just back
}

// grace is how long after a start the news of the end of a node's life before may still strike it from a list.
const grace = 10 * time.Second

// World is a cluster of machines.
type World struct {
	Count

	seed   uint64
	net    Net
	now    core.Time
	rng    *rand.Rand // of latency and loss
	nodes  []node
	queue  queue
	free   []*envelope
	groups []int8 // of the nodes; messages between different ones are lost
	lives  int    // so far, of all nodes
}

// node is one machine and what the world knows about it.
type node struct {
	world   *World
	id      core.NodeID
	machine *membership.Machine
	up      bool
	since   core.Time // when it came up
	life    int       // messages and timers of an earlier one are nobody's
	armed   core.Time // the timer that is in the queue
	lists   int       // of nodes that are up: how many have this one
	has     []bool    // this node's list
	listed  int       // how many are in it
	sent    int64     // messages
}

// envelope is a message on its way.
type envelope struct {
	msg     membership.Message
	from    core.NodeID
	entries [membership.MaxEntries]membership.Entry
}

// NewWorld returns n nodes that are down.
func NewWorld(n int, net Net, seed uint64) *World {
	w := &World{seed: seed, net: net, rng: rand.New(random.Stream(seed, 0, random.Network, 0)),
		nodes: make([]node, n), groups: make([]int8, n)}
	for i := range w.nodes {
		w.nodes[i] = node{world: w, id: core.NodeID(i), armed: core.Never, has: make([]bool, n)}
	}
	return w
}

// Now returns the instant up to which the world has run.
func (w *World) Now() core.Time { return w.now }

// Up says whether a node is.
func (w *World) Up(id int) bool { return w.nodes[id].up }

// Start starts a node that is down, without memory of a life before, with these seeds.
func (w *World) Start(id int, seeds ...core.NodeID) {
	x := &w.nodes[id]
	if x.up {
		panic("membership: a node that is up is started")
	}
	w.lives++
	o := membership.DefaultOptions(core.NodeID(id))
	o.Members = max(2, len(w.nodes))
	x.machine = membership.New(o, x, rand.New(random.Stream(w.seed, w.lives, random.Faults, id)))
	x.up, x.since, x.armed = true, w.now, core.Never
	x.machine.Join(w.now, seeds)
	w.arm(x)
}

// Crash takes a node down; Leave makes it say goodbye before.
func (w *World) Crash(id int) { w.stop(&w.nodes[id]) }

// Leave takes a node down that says goodbye.
func (w *World) Leave(id int) {
	x := &w.nodes[id]
	x.up = false // it forgets the others, who are up
	x.machine.Leave(w.now)
	w.stop(x)
}

func (w *World) stop(x *node) {
	x.up = false
	x.life++
	x.listed = 0
	for j, has := range x.has {
		if has {
			w.nodes[j].lists--
			x.has[j] = false
		}
	}
}

// Partition puts the nodes into groups that do not reach each other; nil heals it.
func (w *World) Partition(group func(id int) int) {
	for i := range w.groups {
		w.groups[i] = 0
		if group != nil {
			w.groups[i] = int8(group(i))
		}
	}
}

// Lists returns how many nodes have this one in their list.
func (w *World) Lists(id int) int { return w.nodes[id].lists }

// Listed returns how many this node has in its list.
func (w *World) Listed(id int) int { return w.nodes[id].listed }

// Busiest returns the most messages that one node has sent.
func (w *World) Busiest() int64 {
	most := int64(0)
	for i := range w.nodes {
		most = max(most, w.nodes[i].sent)
	}
	return most
}

// Machine returns a node's.
func (w *World) Machine(id int) *membership.Machine { return w.nodes[id].machine }

// Send implements membership.Host.
func (x *node) Send(to core.NodeID, m *membership.Message) {
	w := x.world
	size := Size(m)
	w.Sent++
	w.Bytes += int64(size)
	w.Entries += int64(len(m.Entries))
	w.Largest = max(w.Largest, size)
	x.sent++
	if w.groups[x.id] != w.groups[to] || random.Unit(w.rng) < w.net.Loss {
		return
	}
	var e *envelope
	if n := len(w.free); n > 0 {
		e, w.free = w.free[n-1], w.free[:n-1]
	} else {
		e = &envelope{}
	}
	e.from = x.id
	e.msg = *m
	e.msg.Entries = e.entries[:copy(e.entries[:], m.Entries)]
	spread := w.net.MaxLatency - w.net.MinLatency
	latency := w.net.MinLatency + time.Duration(float64(random.Unit(w.rng)*float64(spread)))
	w.queue.push(event{at: w.now.Add(latency), node: int32(to), life: int32(w.nodes[to].life), message: e})
}

// Changed implements membership.Host.
func (x *node) Changed(id core.NodeID, s membership.State, _ bool) {
	w := x.world
	has := s == membership.Alive || s == membership.Suspect
	if has == x.has[id] {
		return
	}
	x.has[id] = has
	y := &w.nodes[id]
	if has {
		y.lists++
		x.listed++
		return
	}
	y.lists--
	x.listed--
	if x.up && y.up && w.groups[id] == w.groups[x.id] && (y.life == 0 || w.now.Sub(y.since) > grace) {
		w.False++
	}
}

// Key implements membership.Host.
func (*node) Key(id core.NodeID) uint64 { return random.Key(0, 0, random.Topology, int(id), 0) }

// Size is the length of a message on the wire with IPv4 addresses and ports: 7 bytes an address (its kind, 4, 2).
func Size(m *membership.Message) int {
	const address, state, incarnation = 7, 1, 4
	size := 4 + 1 + 4 + 4 + 1 // magic and version, kind, sequence, incarnation, number of entries
	if m.About != core.NoNode {
		size += address
	}
	for i := range m.Entries {
		size += address + state + incarnation
		if m.Entries[i].By != core.NoNode {
			size += address
		}
	}
	return size
}

// arm puts the wake-up of a node into the queue, unless one is there that comes first.
func (w *World) arm(x *node) {
	if next := x.machine.Next(); next < x.armed {
		x.armed = next
		w.queue.push(event{at: next, node: int32(x.id), life: int32(x.life)})
	}
}

// Run lets the world run up to an instant, or until a condition holds, which is checked after every event.
func (w *World) Run(until core.Time, done func() bool) {
	for len(w.queue.heap) > 0 && w.queue.heap[0].at <= until {
		if done != nil && done() {
			return
		}
		e := w.queue.pop()
		w.now = e.at
		x := &w.nodes[e.node]
		live := x.up && int(e.life) == x.life
		if e.message != nil {
			if live {
				w.Received++
				x.machine.Receive(w.now, e.message.from, &e.message.msg)
				w.arm(x)
			}
			w.free = append(w.free, e.message)
			continue
		}
		if live && x.armed == e.at {
			x.armed = core.Never
			if x.machine.Next() <= w.now {
				x.machine.Fire(w.now)
			}
			w.arm(x)
		}
	}
	w.now = until
}

// event is a message that arrives or a timer. Events of one instant come in the order of their pushes.
type event struct {
	at      core.Time
	order   uint64
	message *envelope // nil: a timer
	node    int32
	life    int32
}

func (e *event) before(f *event) bool { return e.at < f.at || e.at == f.at && e.order < f.order }

// queue is a heap of events, with four children to a parent.
type queue struct {
	heap  []event
	order uint64
}

func (q *queue) push(e event) {
	q.order++
	e.order = q.order
	q.heap = append(q.heap, e)
	h, i := q.heap, len(q.heap)-1
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(&h[parent]) {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = e
}

func (q *queue) pop() event {
	h := q.heap
	top, last := h[0], h[len(h)-1]
	h[len(h)-1].message = nil
	h = h[:len(h)-1]
	q.heap = h
	i := 0
	for {
		child := 4*i + 1
		if child >= len(h) {
			break
		}
		for c := child + 1; c < min(child+4, len(h)); c++ {
			if h[c].before(&h[child]) {
				child = c
			}
		}
		if !h[child].before(&last) {
			break
		}
		h[i] = h[child]
		i = child
	}
	if len(h) > 0 {
		h[i] = last
	}
	return top
}
