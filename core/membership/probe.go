package membership

import "github.com/p2pfaas/p2pfaas/core"

const (
	watched     = 2 // successors on the ring that a machine watches; every third probe is to a random member
	deafness    = 2 // probes that count for nothing because nothing at all was heard
	corpseTicks = 8 // periods between two probes of the dead
)

// probe is the one that is under way.
type probe struct {
	target   core.NodeID
	sequence uint32
	sent     core.Time
	indirect core.Time // when helpers are asked; Never once it is answered, or they are
	answered bool
}

// idle means that no probe is under way.
func (m *Machine) idle() { m.probe = probe{target: core.NoNode, indirect: core.Never} }

// startProbe probes the next member.
func (m *Machine) startProbe(now core.Time) {
	target := m.probe.target // after a deaf period: the same again
	if target == core.NoNode {
		target = m.choose()
	}
	m.idle()
	if target == core.NoNode {
		return
	}
	m.sequence++
	m.probe = probe{target: target, sequence: m.sequence, sent: now, indirect: now.Add(m.opt.Timeout)}
	m.send(target, Ping, m.sequence, core.NoNode)
}

// choose returns whom to probe: the successors in turn, then somebody of a random order in which all have their turn.
func (m *Machine) choose() core.NodeID {
	if len(m.live) == 0 {
		return core.NoNode
	}
	if i := m.ticks % (watched + 1); i < watched {
		m.successors()
		if id := m.ring[i]; id != core.NoNode {
			return id
		}
	}
	if m.turn >= len(m.live) {
		m.turn = 0
		for i := len(m.live) - 1; i > 0; i-- {
			m.swap(i, m.rng.IntN(i+1))
		}
	}
	m.turn++
	return m.live[m.turn-1]
}

// successors finds whom to watch: the next on the ring of the keys. Suspects are asked anyway; those behind them are
// watched meanwhile.
func (m *Machine) successors() {
	if !m.stale {
		return
	}
	m.stale = false
	own := m.table[m.opt.Self].key
	distance := func(id core.NodeID) uint64 { return m.table[id].key - own } // around the ring
	m.ring = [watched]core.NodeID{core.NoNode, core.NoNode}
	for _, id := range m.live {
		if m.table[id].state == Suspect {
			continue
		}
		for i := range m.ring {
			if m.ring[i] == core.NoNode || distance(id) < distance(m.ring[i]) {
				copy(m.ring[i+1:], m.ring[i:])
				m.ring[i] = id
				break
			}
		}
	}
}

// askHelpers asks others to probe for us, when there is no direct answer.
func (m *Machine) askHelpers() {
	m.probe.indirect = core.Never
	var helpers [maxHelpers]core.NodeID
	for _, h := range m.some(helpers[:m.opt.Helpers], m.probe.target) {
		m.send(h, Ask, m.probe.sequence, m.probe.target)
	}
}

// answered notes that the target of the probe has answered.
func (m *Machine) answered(id core.NodeID, sequence uint32) {
	if id == m.probe.target && sequence == m.probe.sequence {
		m.probe.answered, m.probe.indirect = true, core.Never
	}
}

// judge ends the probe of the period that is over. Where nothing at all was heard, the fault may be here: it is
// repeated.
func (m *Machine) judge(now core.Time) {
	p := m.probe
	if p.target == core.NoNode {
		return
	}
	x := m.get(p.target)
	if x == nil || x.place < 0 || p.answered {
		m.idle()
		return
	}
	if m.heard < p.sent && m.deaf < deafness {
		m.deaf++
		return
	}
	m.idle()
	m.learn(now, Entry{Member: p.target, State: Suspect, Incarnation: x.incarnation, By: m.opt.Self})
}

// askDead probes one of the dead now and then, and at once one that others believe alive. It learns from the first entry
// what it is believed to be; so partitions that have healed find each other.
func (m *Machine) askDead() {
	id := m.doubt
	m.doubt = core.NoNode
	if id == core.NoNode && m.ticks%corpseTicks == 0 {
		for range m.table {
			m.corpse = (m.corpse + 1) % core.NodeID(len(m.table))
			if x := &m.table[m.corpse]; x.state == Dead && !x.v1 {
				id = m.corpse
				break
			}
		}
	}
	if x := m.get(id); x != nil && x.state == Dead && !x.v1 {
		m.sequence++
		m.send(id, Ping, m.sequence, core.NoNode)
	}
}
