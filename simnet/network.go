package simnet

import (
	"time"
	"unsafe"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/simnet/prefetch"
)

// network carries messages between nodes, as the scenario's network says. Where every link has one constant latency and
// nothing else, messages arrive in the order in which they were sent, and a first-in first-out ring takes the place of
// the calendar.
type network struct {
	*scenarios.Network
	streams *streams // by sender; nil where links are uniform

	uniform bool // every link: this latency, no jitter, no bandwidth, no loss, no cost
	latency time.Duration
	inOrder ring[flight]

	late slab[core.Msg] // messages that the calendar refers to
}

// flight is a message on its way.
type flight struct {
	at  core.Time
	msg core.Msg
}

func (n *network) init(w *World) {
	n.Network = w.scenario.Cluster.Network()
	if n.latency, n.uniform = n.Constant(); w.costs != nil || w.faults != nil {
		n.uniform = false
	}
	if !n.uniform {
		n.streams = newStreams(w, random.Network)
	}
}

// bytes is what a message carries beyond its header.
func (w *World) bytes(m *core.Msg) int {
	b := 0
	switch m.Kind {
	case core.MsgForward, core.MsgHandover:
		for t := m.Task; t != nil; t = t.Next() {
			b += w.scenario.Functions[t.Type].Payload
		}
	case core.MsgAnswer:
		if m.Outcome == core.Completed {
			b = w.scenario.Functions[m.Task.Type].Reply
		}
	}
	return b
}

// Send implements core.Host.
func (w *World) Send(m *core.Msg) {
	n := &w.net
	if w.now >= w.warm && w.now < w.end {
		w.messages++
		if w.sentBytes != nil {
			w.sentBytes[m.From] += int64(w.bytes(m))
		}
	}
	if n.uniform {
		f := n.inOrder.push()
		f.at = w.now.Add(n.latency)
		f.msg = *m
		f.msg.Transit = n.latency
		if w.trace != nil {
			w.trace.send(m, n.latency, false)
		}
		return
	}
	w.carry(m)
}

// carry takes a message over its link, which has something of its own.
func (w *World) carry(m *core.Msg) {
	hesitates := time.Duration(0)
	if w.faults != nil && answers(m) && !w.faults.down(m.From) {
		if w.faults.lies(m.From, scenarios.Garbage) > 0 {
			w.spoil(m)
		}
		hesitates = w.faults.links.Hesitation(m.From, w.faults.streams.of(int(m.From)))
	}
	d, lost := w.transit(m)
	if w.faults != nil && w.faults.links.Twice(m.From, m.To, w.faults.streams.of(int(m.From))) {
		again, gone := w.transit(m)
		switch {
		case m.Task == nil:
			w.fly(m, hesitates+again, gone)
		case lost || !gone && again < d: // its connection throws away what comes second
			d, lost = again, gone
		}
	}
	w.fly(m, hesitates+d, lost)
}

// transit says what becomes of a message that is sent now.
func (w *World) transit(m *core.Msg) (d time.Duration, lost bool) {
	n := &w.net
	d, lost = n.Transit(m.From, m.To, w.bytes(m), n.streams.of(int(m.From)))
	if w.faults == nil || lost {
		return d, lost
	}
	more, lost := w.faults.links.Transit(m.From, m.To, w.faults.streams.of(int(m.From)))
	return d + more, lost
}

// fly takes a message to where it arrives so much later, and what it costs, or loses it.
func (w *World) fly(m *core.Msg, d time.Duration, lost bool) {
	if w.costs != nil && !lost {
		d += w.messageCost(m)
	}
	if w.trace != nil {
		w.trace.send(m, d, lost)
	}
	if lost {
		w.engine.FreeChain(m.Task)
		return
	}
	late := *m
	late.Transit = d
	w.calendar.push(w.now.Add(d), evMessage, m.To, w.net.late.put(late), 0)
}

// lookAhead is how many messages before its own the node of a message is asked for (see World.prefetch).
const lookAhead = 4

func (w *World) deliverInOrder() {
	r := &w.net.inOrder
	if w.large && r.len() > lookAhead {
		m := &r.at(lookAhead).msg
		prefetch.Line(unsafe.Pointer(&w.nodes[m.To]))
		if m.Kind == core.MsgAnswer {
			prefetch.Lines(w.engine.Place(m.Token))
		}
	}
	m := &r.front().msg // stays in place until it is dropped
	w.delivered(m)
	w.nodes[m.To].Deliver(w.now, m)
	r.drop()
}

func (w *World) deliverLate(i uint32) {
	m := w.net.late.take(i)
	if w.faults != nil && w.faults.down(m.To) {
		w.refuse(&m)
		return
	}
	w.delivered(&m)
	w.nodes[m.To].Deliver(w.now, &m)
}

// delivered takes note of a message that arrives.
func (w *World) delivered(m *core.Msg) {
	w.fold(inputDeliver, m.To, uint64(m.Token)^uint64(m.Kind)<<40)
	if w.trace != nil {
		w.trace.deliver(m)
	}
}
