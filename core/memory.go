package core

// memory keeps the last load heard of up to limit peers; the longest unheard makes room for a new one.
type memory struct {
	limit   int
	entries []memo
	index   map[NodeID]int32
}

type memo struct {
	peer NodeID
	at   Time
	load Load
}

func (n *Node) heard(p NodeID) (Load, Time, bool) {
	if n.x == nil {
		return Load{}, 0, false
	}
	i, ok := n.x.memory.index[p]
	if !ok {
		return Load{}, 0, false
	}
	m := &n.x.memory.entries[i]
	return m.load, m.at, true
}

func (m *memory) put(x memo) {
	if i, ok := m.index[x.peer]; ok {
		m.entries[i] = x
		return
	}
	if m.limit <= 0 {
		return
	}
	if m.index == nil {
		m.index = make(map[NodeID]int32)
	}
	if len(m.entries) < m.limit {
		m.index[x.peer] = int32(len(m.entries))
		m.entries = append(m.entries, x)
		return
	}
	oldest := 0
	for i := range m.entries {
		if m.entries[i].at < m.entries[oldest].at {
			oldest = i
		}
	}
	delete(m.index, m.entries[oldest].peer)
	m.entries[oldest] = x
	m.index[x.peer] = int32(oldest)
}

func (m *memory) forget() { m.entries, m.index = nil, nil }
