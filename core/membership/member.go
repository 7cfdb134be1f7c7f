package membership

import (
	"math"
	"slices"

	"github.com/p2pfaas/p2pfaas/core"
)

// member is what a machine holds of a member.
type member struct {
	key         uint64
	since       core.Time // of Dead and Left: when it heard
	incarnation uint32
	place       int32 // in live; -1: not there
	state       State
	v1          bool
	sends       uint8 // how often its entry is still to be sent; in the queue where > 0
}

func (m *Machine) valid(id core.NodeID) bool { return id >= 0 && int(id) < m.opt.Members }

// known says that a machine that speaks this protocol has the number.
func (m *Machine) known(id core.NodeID) bool {
	x := m.get(id)
	return x != nil && !x.v1 && id != m.opt.Self
}

// get returns a member that has been heard of; nil: none.
func (m *Machine) get(id core.NodeID) *member {
	if id < 0 || int(id) >= len(m.table) || m.table[id].state == Unknown {
		return nil
	}
	return &m.table[id]
}

// grow makes room for a number.
func (m *Machine) grow(id core.NodeID) *member {
	for int(id) >= len(m.table) {
		m.table = append(m.table, member{place: -1})
	}
	return &m.table[id]
}

// add returns the member of a number, a new one where it was unknown. New ones have the state Unknown, which the caller
// replaces.
func (m *Machine) add(id core.NodeID) *member {
	x := m.grow(id)
	if x.state == Unknown {
		*x = member{place: -1, key: m.host.Key(id)}
	}
	return x
}

// learn takes what somebody believes of a member, or what the member says itself. It is false where the entry makes no
// sense.
func (m *Machine) learn(now core.Time, e Entry) bool {
	if !m.valid(e.Member) || e.State == Unknown || e.State > Left || e.Incarnation == math.MaxUint32 {
		return false
	}
	if e.Member == m.opt.Self {
		m.defend(e)
		return true
	}
	x := m.get(e.Member)
	switch {
	case e.V1:
		if x == nil && e.State == Alive {
			x = m.add(e.Member)
			x.state, x.v1 = Alive, true
			m.gossip(e.Member)
			m.host.Changed(e.Member, Alive, true)
		}
	case x == nil || x.v1:
		if e.State < Dead { // of the dead that we have never met, or forgotten, we do not want to know
			m.set(now, e)
		}
	case e.Incarnation > x.incarnation || e.Incarnation == x.incarnation && e.State > x.state:
		m.set(now, e)
	case e.State == Suspect && x.state == Suspect && e.Incarnation == x.incarnation:
		m.confirm(e.Member, e.By)
	case e.State == Alive && x.state == Dead:
		m.doubt = e.Member
	}
	return true
}

// set makes the entry what the machine believes of its member, and spreads it.
func (m *Machine) set(now core.Time, e Entry) {
	x := m.add(e.Member)
	old := *x
	x.state, x.incarnation, x.v1 = e.State, e.Incarnation, false
	if old.state == Suspect {
		m.acquit(e.Member)
	}
	if e.State < Dead && x.place < 0 {
		m.enlist(e.Member, x)
	}
	if e.State == Suspect {
		m.accuse(now, e.Member, e.By)
	}
	if e.State >= Dead {
		m.strike(x)
		x.since = now
	}
	m.stale = true
	m.gossip(e.Member)
	if e.State != old.state || old.v1 {
		m.host.Changed(e.Member, e.State, false)
	}
}

// defend answers what others believe of this machine: an accusation, or what they know of an earlier life of it, makes
// a higher incarnation, which refutes it.
func (m *Machine) defend(e Entry) {
	if e.V1 || e.Incarnation < m.incarnation || e.Incarnation == m.incarnation && e.State == Alive {
		return
	}
	m.incarnation = e.Incarnation + 1
	m.table[m.opt.Self].incarnation = m.incarnation
	m.gossip(m.opt.Self)
}

// enlist puts a member among those that are probed, at a random place of what is left of the round.
func (m *Machine) enlist(id core.NodeID, x *member) {
	x.place = int32(len(m.live))
	m.live = append(m.live, id)
	if m.turn < len(m.live) {
		m.swap(len(m.live)-1, m.turn+m.rng.IntN(len(m.live)-m.turn))
	}
}

// strike takes a member from those that are probed.
func (m *Machine) strike(x *member) {
	if x.place < 0 {
		return
	}
	last := len(m.live) - 1
	m.swap(int(x.place), last)
	m.live = m.live[:last]
	x.place = -1
	m.stale = true
}

func (m *Machine) swap(i, j int) {
	m.live[i], m.live[j] = m.live[j], m.live[i]
	m.table[m.live[i]].place, m.table[m.live[j]].place = int32(i), int32(j)
}

// some fills chosen with different live members at random, without one, and returns what it has filled: less where there
// are not so many.
func (m *Machine) some(chosen []core.NodeID, without core.NodeID) []core.NodeID {
	n := 0
	for tries := 0; n < len(chosen) && tries < 4*len(chosen) && len(m.live) > 0; tries++ {
		id := m.live[m.rng.IntN(len(m.live))]
		if id != without && !slices.Contains(chosen[:n], id) {
			chosen[n] = id
			n++
		}
	}
	return chosen[:n]
}

// bury forgets those who have been dead for long.
func (m *Machine) bury(now core.Time) {
	for id := range m.table {
		if x := &m.table[id]; x.state >= Dead && x.since.Add(m.opt.Keep) <= now && core.NodeID(id) != m.opt.Self {
			m.forget(core.NodeID(id))
		}
	}
}

func (m *Machine) forget(id core.NodeID) {
	x := &m.table[id]
	m.strike(x)
	v1 := x.v1
	x.state, x.v1 = Unknown, false
	m.hush(id)
	m.host.Changed(id, Unknown, v1)
}
