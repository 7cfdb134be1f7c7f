package membership

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// Options are the parameters of a machine. All machines of a cluster should have the same, but for Self and Incarnation.
type Options struct {
	Self        core.NodeID
	Incarnation uint32        // to begin with. 0 does; a number greater than in the life before spares a refutation
	Period      time.Duration // between two probes
	Timeout     time.Duration // for the direct answer, then helpers are asked; below Period
	Helpers     int           // that are asked to probe in our name
	SuspectMin  time.Duration // from suspicion to death, where enough others confirm it
	SuspectMax  time.Duration // where nobody does
	Sync        time.Duration // between two comparisons of the whole list with some member's
	Keep        time.Duration // how long the dead are remembered, so that gossip does not resurrect them
	Members     int           // bound of the table, self included. Numbers of members are below it
}

// DefaultOptions returns the parameters that detection within 10 s at 5 % loss was measured with.
func DefaultOptions(self core.NodeID) Options {
	return Options{Self: self, Period: 500 * time.Millisecond, Timeout: 200 * time.Millisecond, Helpers: 3,
		SuspectMin: 3500 * time.Millisecond, SuspectMax: 6 * time.Second, Sync: 30 * time.Second, Keep: 10 * time.Minute,
		Members: 4096}
}

// Validate says what is wrong with the options; nil where nothing is.
func (o Options) Validate() error {
	switch {
	case o.Period <= 0 || o.Timeout <= 0 || o.Timeout >= o.Period:
		return fmt.Errorf("membership: the timeout of a probe, %v, must be > 0 and below the period, %v", o.Timeout, o.Period)
	case o.Helpers < 0 || o.Helpers > maxHelpers:
		return fmt.Errorf("membership: %d helpers of a probe: from 0 to %d are possible", o.Helpers, maxHelpers)
	case o.SuspectMin < 2*o.Period || o.SuspectMax < o.SuspectMin:
		return fmt.Errorf("membership: a suspicion of %v to %v: it must last two periods (%v) or more, and the longest no "+
			"less than the shortest", o.SuspectMin, o.SuspectMax, o.Period)
	case o.Sync < o.Period:
		return fmt.Errorf("membership: a comparison of lists every %v: no more often than a probe (%v)", o.Sync, o.Period)
	case o.Keep < o.SuspectMax:
		return fmt.Errorf("membership: the dead are remembered for %v: no less than a suspicion lasts (%v)", o.Keep, o.SuspectMax)
	case o.Members < 2 || o.Members > maxMembers:
		return fmt.Errorf("membership: a table of %d members: from 2 to %d are possible", o.Members, maxMembers)
	case o.Self < 0 || int(o.Self) >= o.Members:
		return fmt.Errorf("membership: own number %d: it must be from 0 to %d", o.Self, o.Members-1)
	}
	return nil
}

const (
	maxHelpers = 8
	maxMembers = 1 << 20
	maxSeeds   = 64
)

// Host is the world of a machine. Its methods are called during an input, must not block, and must not call the machine.
type Host interface {
	// Send puts a message on its way. It may get lost, come late, or twice. The message and its entries are the machine's and
	// are used again: copy or encode them.
	Send(to core.NodeID, m *Message)
	// Changed says that the machine believes something else of a member: Unknown where it has been forgotten, and its number may
	// be used for another one. v1 members are the host's to poll (Machine.Report).
	Changed(id core.NodeID, s State, v1 bool)
	// Key is a number of the member's that is the same on all machines, and unlike others': a hash of its address. It gives
	// every member the same two predecessors everywhere, who watch it.
	Key(id core.NodeID) uint64
}

// Machine is the membership of one node: a state machine without I/O, driven one input at a time (Join, Leave, Receive,
// Fire, Report), each of which says what time it is. After an input, Next says when it wants a Fire.
type Machine struct {
	opt  Options
	host Host
	rng  *rand.Rand

	table []member // by number
	live  []core.NodeID
	ring  [watched]core.NodeID // whom this machine watches; see successors
	stale bool                 // the ring must be computed anew
	turn  int                  // next of live to be probed in random order

	incarnation uint32
	up          bool // joined, and not left
	tick        core.Time
	ticks       uint64
	heard       core.Time // when anything was received
	deaf        int       // probes in a row during which nothing was
	sequence    uint32
	probe       probe
	suspicions  []suspicion
	asks        int // that suspicions may still send before the next tick
	seeds       []core.NodeID
	seed        int // next to be asked
	pull        pull
	corpse      core.NodeID // last of the dead that was probed
	doubt       core.NodeID // dead to us and alive to others: asked at the next tick

	queue, spare []core.NodeID // members whose entries are to be sent; see gossip
	out          Message
	buffer       [MaxEntries]Entry
}

// New returns a machine that does nothing until Join. It panics where Options.Validate finds something wrong.
func New(o Options, h Host, rng *rand.Rand) *Machine {
	if err := o.Validate(); err != nil {
		panic(err)
	}
	m := &Machine{opt: o, host: h, rng: rng, incarnation: o.Incarnation, tick: core.Never}
	m.doubt, m.corpse = core.NoNode, core.NoNode
	m.idle()
	return m
}

// The inputs.

// Join begins: the machine probes, answers and asks the seeds for their members, again and again until one has answered.
// No seeds are needed where others have this machine as a seed. After a Leave, it begins anew.
func (m *Machine) Join(now core.Time, seeds []core.NodeID) {
	if !m.up {
		m.up = true
		m.tick = now.Add(time.Duration(m.rng.Int64N(int64(m.opt.Period))))
		m.heard = now
		x := m.grow(m.opt.Self)
		x.state, x.incarnation, x.key = Alive, m.incarnation, m.host.Key(m.opt.Self)
		m.gossip(m.opt.Self)
	}
	m.enter(now)
	for _, s := range seeds {
		if m.valid(s) && s != m.opt.Self && len(m.seeds) < maxSeeds && !slices.Contains(m.seeds, s) {
			m.seeds = append(m.seeds, s)
		}
	}
	m.pull = pull{at: m.ticks + firstGap, gap: firstGap}
	m.askSeed()
}

// Leave says goodbye to some members, who tell the others. Then the machine is silent and deaf until a Join.
func (m *Machine) Leave(now core.Time) {
	if !m.up {
		return
	}
	m.enter(now)
	m.table[m.opt.Self].state = Left
	m.hush(m.opt.Self)
	m.gossip(m.opt.Self) // the first of the news
	var friends [farewells]core.NodeID
	for _, id := range m.some(friends[:], core.NoNode) {
		m.send(id, Gossip, 0, core.NoNode)
	}
	for id := range m.table {
		if x := &m.table[id]; x.state != Unknown && core.NodeID(id) != m.opt.Self {
			m.forget(core.NodeID(id))
		}
	}
	m.up, m.tick = false, core.Never
	m.queue, m.suspicions, m.pull, m.turn = m.queue[:0], m.suspicions[:0], pull{}, 0
	m.table[m.opt.Self].sends = 0
	m.incarnation++
	m.idle()
}

const farewells = 8

// Receive takes a message of the member from. What makes no sense is ignored.
func (m *Machine) Receive(now core.Time, from core.NodeID, msg *Message) {
	if !m.up || !m.valid(from) || from == m.opt.Self || msg.Kind == 0 || msg.Kind >= kinds || len(msg.Entries) > MaxEntries {
		return
	}
	m.enter(now)
	if !m.learn(now, Entry{Member: from, State: Alive, Incarnation: msg.Incarnation, By: core.NoNode}) {
		return
	}
	m.heard, m.deaf = now, 0
	for _, e := range msg.Entries {
		if msg.Kind == Page && e.State == Dead && e.Member != m.opt.Self {
			// An old list, perhaps from the other side of a partition: no reason to strike somebody who is here.
			if m.get(e.Member) == nil {
				continue
			}
			e.State, e.By = Suspect, from
		}
		m.learn(now, e)
	}
	switch msg.Kind {
	case Ping:
		m.send(from, Ack, msg.Sequence, core.NoNode)
	case Ack:
		m.answered(from, msg.Sequence)
	case Ask:
		switch {
		case m.table[from].place < 0: // dead to us: in its name we do nothing before it has refuted
			m.send(from, Gossip, 0, core.NoNode)
		case m.known(msg.About) && msg.About != from:
			m.sendFor(msg.About, Probe, msg.Sequence, from)
		}
	case Probe:
		m.send(from, Answer, msg.Sequence, msg.About)
	case Answer:
		if m.table[from].place >= 0 && m.known(msg.About) && msg.About != from {
			m.sendFor(msg.About, Relay, msg.Sequence, from)
		}
	case Relay:
		m.answered(msg.About, msg.Sequence)
	case Pull:
		m.sendPage(from, msg.Sequence)
	case Page:
		m.turnPage(from, msg.Sequence)
	}
}

// Fire says that the instant of Next has come. At any other time it does nothing.
func (m *Machine) Fire(now core.Time) {
	if !m.up {
		return
	}
	m.enter(now)
	if m.probe.indirect <= now {
		m.askHelpers()
	}
	for i := len(m.suspicions) - 1; i >= 0; i-- {
		if m.suspicions[i].next <= now {
			m.step(now, i)
		}
	}
	if m.tick <= now {
		m.period(now)
	}
}

// Next returns the instant at which the machine wants a Fire; core.Never where none.
func (m *Machine) Next() core.Time {
	next := min(m.tick, m.probe.indirect)
	for i := range m.suspicions {
		next = min(next, m.suspicions[i].next)
	}
	return next
}

// Report says what the host found of a member that speaks the first P2PFaaS's protocol only, and which this machine
// therefore does not probe. Others hear of it, but each polls for itself. Of a member that is alive and speaks to this
// machine, a Report is ignored.
func (m *Machine) Report(now core.Time, id core.NodeID, alive bool) {
	if !m.up || !m.valid(id) || id == m.opt.Self {
		return
	}
	m.enter(now)
	if x := m.get(id); x != nil && !x.v1 && (x.state == Alive || x.state == Suspect) {
		return
	}
	x := m.add(id)
	if x == nil {
		return
	}
	old := *x
	x.v1, x.incarnation = true, 0
	x.state = Dead
	if alive {
		x.state = Alive
		if old.state != Alive {
			m.gossip(id)
		}
	} else if old.state != Dead {
		x.since = now
	}
	if x.state != old.state || !old.v1 {
		m.host.Changed(id, x.state, true)
	}
}

// What may be asked at any time.

// Member returns what the machine believes of a member, and whether it is a v1 one.
func (m *Machine) Member(id core.NodeID) (s State, v1 bool) {
	if x := m.get(id); x != nil {
		return x.state, x.v1
	}
	return Unknown, false
}

// Incarnation returns the machine's own.
func (m *Machine) Incarnation() uint32 { return m.incarnation }

// enter begins an input. A machine that was stopped for a while (its process, its computer) has heard nobody and judges
// nobody for that time.
func (m *Machine) enter(now core.Time) {
	next := m.Next()
	if next.Add(m.opt.Period) >= now {
		return
	}
	late := now.Sub(next)
	m.tick = now
	m.idle()
	for i := range m.suspicions {
		s := &m.suspicions[i]
		s.since, s.next = s.since.Add(late), s.next.Add(late)
	}
}

// period does what is done once in every period.
func (m *Machine) period(now core.Time) {
	m.judge(now)
	m.ticks++
	m.asks = maxAsks
	m.startProbe(now)
	if m.ticks%corpseTicks == 0 {
		m.bury(now)
	}
	m.askDead()
	m.sync()
	m.tick = m.tick.Add(m.opt.Period)
}
