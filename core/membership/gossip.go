package membership

import (
	"math/bits"
	"slices"

	"github.com/p2pfaas/p2pfaas/core"
)

// spread times the logarithm of the number of members is how often each machine sends a piece of news.
const spread = 3

// gossip makes the next messages carry what is believed of a member. News come first; where there are more than a
// message holds, the messages take turns.
func (m *Machine) gossip(id core.NodeID) {
	x := &m.table[id]
	if x.sends == 0 {
		m.queue = slices.Insert(m.queue, 0, id)
	}
	x.sends = uint8(spread * bits.Len(uint(len(m.live)+1)))
}

// hush ends the gossip about a member.
func (m *Machine) hush(id core.NodeID) {
	if x := &m.table[id]; x.sends > 0 {
		x.sends = 0
		m.queue = slices.DeleteFunc(m.queue, func(q core.NodeID) bool { return q == id })
	}
}

// entry is what the machine believes of a member.
func (m *Machine) entry(id core.NodeID) Entry {
	x := &m.table[id]
	e := Entry{Member: id, State: x.state, V1: x.v1, Incarnation: x.incarnation, By: core.NoNode}
	if x.state == Suspect {
		e.By = m.suspicions[m.suspicion(id)].witness(m.opt.Self)
	}
	return e
}

// send sends a message. Its first entry is what the receiver must refute, if there is anything.
func (m *Machine) send(to core.NodeID, k Kind, sequence uint32, about core.NodeID) {
	m.begin(to, k, sequence, about)
	m.finish(to)
}

// sendFor sends a Probe or a Relay for another member, with what is believed of that one: it is news to the receiver
// that it lives, or that it has a new incarnation.
func (m *Machine) sendFor(to core.NodeID, k Kind, sequence uint32, about core.NodeID) {
	m.begin(to, k, sequence, about)
	m.out.Entries = append(m.out.Entries, m.entry(about))
	m.finish(to)
}

func (m *Machine) begin(to core.NodeID, k Kind, sequence uint32, about core.NodeID) {
	m.out = Message{Kind: k, Sequence: sequence, Incarnation: m.incarnation, About: about, Entries: m.buffer[:0]}
	if x := m.get(to); x != nil && x.state > Alive && !x.v1 {
		m.out.Entries = append(m.out.Entries, m.entry(to))
	}
}

// finish fills the message with news and sends it. Who may be dead gets none: it would be lost for the others.
func (m *Machine) finish(to core.NodeID) {
	if x := m.get(to); x != nil && x.state > Alive {
		m.host.Send(to, &m.out)
		return
	}
	looked := 0
	for _, id := range m.queue {
		if len(m.out.Entries) == MaxEntries {
			break
		}
		looked++
		if id != to {
			m.out.Entries = append(m.out.Entries, m.entry(id))
			m.table[id].sends--
		}
	}
	if looked > 0 {
		m.rotate(looked)
	}
	m.host.Send(to, &m.out)
}

// rotate drops those of the first n of the queue that have been sent often enough, and puts the others of them behind
// the rest.
func (m *Machine) rotate(n int) {
	next := append(m.spare[:0], m.queue[n:]...)
	for _, id := range m.queue[:n] {
		if m.table[id].sends > 0 {
			next = append(next, id)
		}
	}
	m.queue, m.spare = next, m.queue[:0]
}
