package membership

import "github.com/p2pfaas/p2pfaas/core"

// pull is the comparison of lists that is under way: page after page of another member's.
type pull struct {
	from   core.NodeID // whose list
	cursor uint32      // of the page that is asked for
	tries  int         // that were made for it
	active bool
	done   bool   // one has come to its end since the Join
	at     uint64 // period of the next comparison
	gap    uint64 // periods from that to the one after
}

const (
	pageTries = 3 // in as many periods; then the comparison is given up
	firstGap  = 4 // periods between the first two comparisons; the gap doubles up to Options.Sync
)

// sync begins the comparison when it is time: more often after a Join, since who comes when others come misses some of
// the news. Until the first one is done, and while nobody is there, it goes on trying.
func (m *Machine) sync() {
	p := &m.pull
	switch {
	case p.active && p.tries < pageTries:
		if p.tries++; p.tries > 1 { // nothing came since the last period
			m.send(p.from, Pull, p.cursor, core.NoNode)
		}
	case !p.done || len(m.live) == 0:
		m.askSeed()
	case m.ticks >= p.at:
		p.at = m.ticks + p.gap
		p.gap = min(2*p.gap, uint64(m.opt.Sync/m.opt.Period))
		m.pullFrom(m.live[m.rng.IntN(len(m.live))])
	}
}

// askSeed begins with the next of the seeds; after the last of them, with any member.
func (m *Machine) askSeed() {
	if m.seed < len(m.seeds) {
		m.seed++
		m.pullFrom(m.seeds[m.seed-1])
		return
	}
	m.seed = 0
	if len(m.live) > 0 {
		m.pullFrom(m.live[m.rng.IntN(len(m.live))])
	}
}

func (m *Machine) pullFrom(id core.NodeID) {
	p := &m.pull
	p.from, p.cursor, p.tries, p.active = id, 0, 1, true
	m.send(id, Pull, 0, core.NoNode)
}

// sendPage answers a Pull: the members from the cursor on, by number, this machine among them.
func (m *Machine) sendPage(to core.NodeID, cursor uint32) {
	m.begin(to, Page, 0, core.NoNode)
	id := int(min(cursor, uint32(len(m.table))))
	for ; id < len(m.table) && len(m.out.Entries) < MaxEntries; id++ {
		if x := &m.table[id]; x.state != Unknown && core.NodeID(id) != to {
			m.out.Entries = append(m.out.Entries, m.entry(core.NodeID(id)))
		}
	}
	if id < len(m.table) {
		m.out.Sequence = uint32(id)
	}
	m.host.Send(to, &m.out)
}

// turnPage asks for the next page. Where the cursor does not advance, the page came twice.
func (m *Machine) turnPage(from core.NodeID, cursor uint32) {
	p := &m.pull
	switch {
	case !p.active || from != p.from:
	case cursor == 0:
		p.active, p.done = false, true
	case cursor > p.cursor:
		p.cursor, p.tries = cursor, 0
		m.send(from, Pull, cursor, core.NoNode)
	}
}
