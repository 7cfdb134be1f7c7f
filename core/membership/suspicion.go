package membership

import (
	"slices"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

const (
	confirmations = 3  // by others, that make a suspicion as short as it gets
	enoughAsks    = 2  // own ones without an answer, to confirm a suspicion, or to declare a member dead
	maxAsks       = 10 // by all suspicions together in a period
)

// suspicion is the case against a member. It is asked directly, once a period, whether it lives; the question carries
// the accusation, so that the answer refutes it.
type suspicion struct {
	since     core.Time
	next      core.Time // question, or verdict
	member    core.NodeID
	witnesses [1 + confirmations]core.NodeID
	n         int
	asked     int
}

// witness is who is named when the suspicion is passed on: oneself, where one has asked in vain.
func (s *suspicion) witness(self core.NodeID) core.NodeID {
	if slices.Contains(s.witnesses[:s.n], self) {
		return self
	}
	return s.witnesses[0]
}

// suspicion finds the case against a member; -1: none.
func (m *Machine) suspicion(id core.NodeID) int {
	return slices.IndexFunc(m.suspicions, func(s suspicion) bool { return s.member == id })
}

// accuse opens the case. Who has no answer itself asks again at once; the others ask spread over two periods, so that
// they do not all ask at once and most need not ask at all.
func (m *Machine) accuse(now core.Time, id, by core.NodeID) {
	s := suspicion{since: now, next: now, member: id, n: 1}
	s.witnesses[0] = by
	if by != m.opt.Self {
		s.next = now.Add(time.Duration(m.rng.Int64N(int64(2 * m.opt.Period))))
	}
	m.suspicions = append(m.suspicions, s)
}

// acquit closes the case.
func (m *Machine) acquit(id core.NodeID) {
	i, last := m.suspicion(id), len(m.suspicions)-1
	m.suspicions[i] = m.suspicions[last]
	m.suspicions = m.suspicions[:last]
}

// confirm adds a witness. Who has become one itself says so.
func (m *Machine) confirm(id, by core.NodeID) {
	s := &m.suspicions[m.suspicion(id)]
	if !slices.Contains(s.witnesses[:s.n], by) && s.n < len(s.witnesses) {
		s.witnesses[s.n] = by
		s.n++
		if by == m.opt.Self {
			m.gossip(id)
		}
	}
}

// patience is how long the suspicion lasts, with the witnesses that there are.
func (m *Machine) patience(s *suspicion) time.Duration {
	return m.opt.SuspectMax - (m.opt.SuspectMax-m.opt.SuspectMin)*time.Duration(s.n-1)/confirmations
}

// step asks the suspect once more, or declares it dead.
func (m *Machine) step(now core.Time, i int) {
	s := &m.suspicions[i]
	id := s.member
	if s.asked >= enoughAsks {
		if now >= s.since.Add(m.patience(s)) {
			m.set(now, Entry{Member: id, State: Dead, Incarnation: m.table[id].incarnation, By: core.NoNode})
			return
		}
		m.confirm(id, m.opt.Self)
	}
	s.next = now.Add(m.opt.Period)
	if s.asked < enoughAsks && m.asks > 0 || m.asks > maxAsks/2 { // first those who have not been asked
		m.asks--
		s.asked++
		m.sequence++
		m.send(id, Ping, m.sequence, core.NoNode)
	}
}
