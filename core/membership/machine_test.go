package membership_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/membership"
)

// host keeps what a machine sends and says.
type host struct {
	sent   []membership.Message
	to     []core.NodeID
	events []string
}

func (h *host) Send(to core.NodeID, m *membership.Message) {
	c := *m
	c.Entries = append([]membership.Entry(nil), m.Entries...)
	h.sent, h.to = append(h.sent, c), append(h.to, to)
}

func (h *host) Changed(id core.NodeID, s membership.State, v1 bool) {
	h.events = append(h.events, fmt.Sprint(id, " ", s, " ", v1))
}

func (*host) Key(id core.NodeID) uint64 { return uint64(id) << 32 }

// about returns the entries about a member in what was sent to another.
func (h *host) about(to, id core.NodeID) (found []membership.Entry) {
	for i, m := range h.sent {
		for _, e := range m.Entries {
			if h.to[i] == to && e.Member == id {
				found = append(found, e)
			}
		}
	}
	return found
}

func (h *host) kinds(to core.NodeID, k membership.Kind) int {
	n := 0
	for i, m := range h.sent {
		if h.to[i] == to && m.Kind == k {
			n++
		}
	}
	return n
}

const second = core.Time(time.Second)

// fixture is machine 0 among others, whom the test plays.
type fixture struct {
	*testing.T
	*membership.Machine
	host *host
	now  core.Time
	seq  uint32
}

func newFixture(t *testing.T, members int, change func(*membership.Options)) *fixture {
	o := membership.DefaultOptions(0)
	o.Members = 256
	if change != nil {
		change(&o)
	}
	h := &host{}
	f := &fixture{T: t, Machine: membership.New(o, h, rand.New(rand.NewPCG(1, 2))), host: h}
	f.Join(0, nil)
	for id := 1; id <= members; id++ {
		f.hear(core.NodeID(id), membership.Gossip, 0)
	}
	return f
}

func (f *fixture) hear(from core.NodeID, k membership.Kind, incarnation uint32, entries ...membership.Entry) {
	f.seq++
	f.Receive(f.now, from, &membership.Message{Kind: k, Sequence: f.seq, Incarnation: incarnation, About: core.NoNode, Entries: entries})
}

func (f *fixture) state(id core.NodeID, want membership.State) {
	f.Helper()
	if s, _ := f.Member(id); s != want {
		f.Fatalf("at %v member %d is %v, want %v", f.now, id, s, want)
	}
}

// run fires the machine until an instant. All members but the silent ones answer at once, directly and for others.
func (f *fixture) run(until core.Time, silent ...core.NodeID) {
	quiet := map[core.NodeID]bool{}
	for _, id := range silent {
		quiet[id] = true
	}
	for f.Next() <= until {
		f.now = f.Next()
		first := len(f.host.sent)
		f.Fire(f.now)
		for i := first; i < len(f.host.sent); i++ {
			m, to := f.host.sent[i], f.host.to[i]
			if quiet[to] {
				continue
			}
			switch m.Kind {
			case membership.Ping:
				f.Receive(f.now, to, &membership.Message{Kind: membership.Ack, Sequence: m.Sequence, About: core.NoNode})
			case membership.Pull:
				f.Receive(f.now, to, &membership.Message{Kind: membership.Page, About: core.NoNode})
			}
		}
	}
	f.now = until
}

func suspect(id core.NodeID, incarnation uint32, by core.NodeID) membership.Entry {
	return membership.Entry{Member: id, State: membership.Suspect, Incarnation: incarnation, By: by}
}

func entry(id core.NodeID, s membership.State, incarnation uint32) membership.Entry {
	return membership.Entry{Member: id, State: s, Incarnation: incarnation, By: core.NoNode}
}

// Of two entries the higher incarnation holds, and of one incarnation the greater state.
func TestPrecedence(t *testing.T) {
	states := []membership.State{membership.Alive, membership.Suspect, membership.Dead, membership.Left}
	for _, a := range states {
		for _, b := range states {
			for inc := uint32(4); inc <= 6; inc++ {
				f := newFixture(t, 2, nil)
				f.hear(1, membership.Gossip, 0, entry(2, membership.Alive, 5), entry(2, a, 5))
				f.state(2, a)
				f.hear(1, membership.Gossip, 0, entry(2, b, inc))
				want := a
				if inc == 6 || inc == 5 && b > a {
					want = b
				}
				f.state(2, want)
			}
		}
	}
}

// A machine refutes what is said against it, and what is known of an earlier life, by a higher incarnation.
func TestRefutation(t *testing.T) {
	for _, c := range []struct {
		entry membership.Entry
		want  uint32
	}{
		{suspect(0, 0, 2), 1},
		{entry(0, membership.Dead, 7), 8},
		{entry(0, membership.Left, 7), 8},
		{entry(0, membership.Alive, 7), 8},
		{entry(0, membership.Alive, 0), 0},
		{membership.Entry{Member: 0, State: membership.Alive, V1: true, Incarnation: 9}, 0},
		{entry(0, membership.Dead, 1<<32-1), 0}, // there is no higher one
	} {
		f := newFixture(t, 2, nil)
		f.hear(1, membership.Ping, 0, c.entry)
		last := f.host.sent[len(f.host.sent)-1]
		if f.Incarnation() != c.want || last.Kind != membership.Ack || last.Incarnation != c.want {
			t.Errorf("%+v: incarnation %d and the answer %+v, want %d", c.entry, f.Incarnation(), last, c.want)
		}
	}
}

// A suspect lives on in the list, is asked, and is alive again with a higher incarnation; with the old one it is not.
func TestSuspectRefutes(t *testing.T) {
	f := newFixture(t, 5, nil)
	f.hear(1, membership.Gossip, 0, suspect(5, 0, 1))
	f.state(5, membership.Suspect)
	f.run(2*second, 5)
	if n := f.host.kinds(5, membership.Ping); n < 2 {
		t.Errorf("the suspect was asked %d times in 2 s", n)
	}
	if e := f.host.about(5, 5); len(e) == 0 || e[0].State != membership.Suspect {
		t.Errorf("it was not told: %v", e)
	}
	f.hear(5, membership.Ack, 0)
	f.state(5, membership.Suspect)
	f.hear(5, membership.Ack, 1)
	f.state(5, membership.Alive)
	f.run(20 * second)
	f.state(5, membership.Alive)
}

// A silent member is found, asked for by helpers, suspected, asked, and dead; all others stay.
func TestDetection(t *testing.T) {
	f := newFixture(t, 8, nil)
	f.run(5 * second)
	from := f.now
	f.host.events = nil
	for f.run(f.now.Add(100*time.Millisecond), 3); ; f.run(f.now.Add(100*time.Millisecond), 3) {
		if s, _ := f.Member(3); s == membership.Dead {
			break
		}
		if f.now.Sub(from) > 20*time.Second {
			t.Fatal("it never died")
		}
	}
	if got := fmt.Sprint(f.host.events); got != "[3 suspect false 3 dead false]" {
		t.Errorf("events %s", got)
	}
	asked := 0
	for _, m := range f.host.sent {
		if m.Kind == membership.Ask && m.About == 3 {
			asked++
		}
	}
	if asked < 3 {
		t.Errorf("%d helpers were asked", asked)
	}
}

// The more witnesses, the shorter the suspicion; the same witness twice counts once.
func TestConfirmations(t *testing.T) {
	length := func(witnesses ...core.NodeID) time.Duration {
		f := newFixture(t, 9, nil)
		f.run(5 * second)
		from := f.now
		for _, w := range witnesses {
			f.hear(1, membership.Gossip, 0, suspect(9, 0, w))
		}
		for {
			f.run(f.now.Add(10*time.Millisecond), 9)
			if s, _ := f.Member(9); s == membership.Dead {
				return f.now.Sub(from)
			}
		}
	}
	o := membership.DefaultOptions(0)
	one, same, all := length(1), length(1, 1, 1, 1), length(1, 2, 3, 4)
	// The machine itself becomes a witness too, and a verdict waits for the next question.
	if one != same || one < o.SuspectMax-(o.SuspectMax-o.SuspectMin)/3 || one > o.SuspectMax+o.Period {
		t.Errorf("one witness: %v, said four times: %v", one, same)
	}
	if all < o.SuspectMin || all > o.SuspectMin+o.Period+10*time.Millisecond {
		t.Errorf("four witnesses: %v, want about %v", all, o.SuspectMin)
	}
}

// Who is held dead learns it from the first answer, and is back with a higher incarnation; a message of the old one does
// not bring it back.
func TestDeadAndBack(t *testing.T) {
	for _, s := range []membership.State{membership.Dead, membership.Left} {
		f := newFixture(t, 3, nil)
		f.hear(1, membership.Gossip, 0, entry(3, s, 4))
		f.hear(3, membership.Ping, 0)
		f.state(3, s)
		last := f.host.sent[len(f.host.sent)-1]
		if last.Kind != membership.Ack || len(last.Entries) == 0 || last.Entries[0] != entry(3, s, 4) {
			t.Errorf("the answer was %+v", last)
		}
		f.hear(3, membership.Ping, 5)
		f.state(3, membership.Alive)
	}
}

// The dead are remembered, so that old news do not bring them back, and forgotten in the end; then news of their death are
// none. Whom others believe alive is asked.
func TestDeadAreKept(t *testing.T) {
	keep := 30 * time.Second
	f := newFixture(t, 3, func(o *membership.Options) { o.Keep = keep })
	f.hear(1, membership.Gossip, 0, entry(3, membership.Dead, 0))
	f.hear(1, membership.Gossip, 0, entry(3, membership.Alive, 0))
	f.state(3, membership.Dead)
	f.run(second, 3)
	if f.host.kinds(3, membership.Ping) != 1 {
		t.Error("it was not asked")
	}
	f.run(20*second, 3)
	if n := f.host.kinds(3, membership.Ping); n < 4 || n > 7 {
		t.Errorf("one of the dead was asked %d times in 20 s", n)
	}
	f.state(3, membership.Dead)
	f.run(core.Time(keep)+5*second, 3)
	f.state(3, membership.Unknown)
	f.hear(1, membership.Gossip, 0, entry(3, membership.Dead, 0))
	f.state(3, membership.Unknown)
	f.hear(1, membership.Gossip, 0, entry(3, membership.Alive, 0))
	f.state(3, membership.Alive)
}

// A machine that leaves says so, forgets, and is silent until it joins again.
func TestLeave(t *testing.T) {
	f := newFixture(t, 4, nil)
	f.run(3 * second)
	f.host.sent, f.host.to = nil, nil
	f.Leave(f.now)
	if len(f.host.sent) == 0 || f.Next() != core.Never {
		t.Fatalf("%d farewells, next at %v", len(f.host.sent), f.Next())
	}
	for _, m := range f.host.sent {
		if m.Entries[0] != entry(0, membership.Left, 0) {
			t.Errorf("a farewell is %+v", m)
		}
	}
	f.host.sent, f.host.to = nil, nil
	f.hear(1, membership.Ping, 0)
	f.Fire(f.now.Add(time.Hour))
	f.state(1, membership.Unknown)
	if len(f.host.sent) > 0 {
		t.Errorf("it still sends: %+v", f.host.sent)
	}
	f.now = f.now.Add(2 * time.Hour)
	f.Join(f.now, []core.NodeID{1})
	if f.Incarnation() != 1 || len(f.host.sent) != 1 || f.host.sent[0].Kind != membership.Pull {
		t.Errorf("incarnation %d, sent %+v", f.Incarnation(), f.host.sent)
	}
}

// A piece of news is sent so often and no more; a message holds MaxEntries, and a page is followed by the next.
func TestGossipIsBounded(t *testing.T) {
	f := newFixture(t, 200, nil)
	f.run(60 * second)
	f.host.sent, f.host.to = nil, nil
	f.hear(1, membership.Gossip, 0, entry(2, membership.Alive, 1))
	said := 0
	f.run(120 * second)
	for i, m := range f.host.sent {
		if len(m.Entries) > membership.MaxEntries {
			t.Fatalf("a message of %d entries", len(m.Entries))
		}
		for _, e := range m.Entries {
			if e.Member == 2 && f.host.to[i] != 2 {
				said++
			}
		}
	}
	if said != 24 { // 3 times the bits of 201
		t.Errorf("a piece of news was sent %d times", said)
	}
	seen, cursor := map[core.NodeID]bool{}, uint32(0)
	for page := 0; page == 0 || cursor > 0; page++ {
		f.Receive(f.now, 1, &membership.Message{Kind: membership.Pull, Sequence: cursor, About: core.NoNode})
		m := f.host.sent[len(f.host.sent)-1]
		for _, e := range m.Entries {
			seen[e.Member] = true
		}
		if cursor = m.Sequence; page > 20 {
			t.Fatal("the pages have no end")
		}
	}
	if len(seen) != 200 { // but for the one who asked
		t.Errorf("the pages have %d members", len(seen))
	}
}

// The dead of an old list are suspects here, since they may live on this side of a partition.
func TestPagesAccuseOnly(t *testing.T) {
	f := newFixture(t, 3, nil)
	f.hear(1, membership.Page, 0, entry(2, membership.Dead, 0), entry(7, membership.Dead, 0))
	f.state(2, membership.Suspect)
	f.state(7, membership.Unknown)
}

// Helpers pass questions and answers on, but nothing in the name of the dead.
func TestHelping(t *testing.T) {
	f := newFixture(t, 3, nil)
	f.host.sent, f.host.to = nil, nil
	for _, k := range []membership.Kind{membership.Ask, membership.Answer} {
		f.Receive(f.now, 1, &membership.Message{Kind: k, Sequence: 77, About: 2})
	}
	if f.host.kinds(2, membership.Probe) != 1 || f.host.kinds(2, membership.Relay) != 1 || f.host.sent[0].Sequence != 77 ||
		f.host.sent[0].About != 1 {
		t.Errorf("sent %+v", f.host.sent)
	}
	f.hear(3, membership.Gossip, 0, entry(1, membership.Dead, 0))
	f.host.sent, f.host.to = nil, nil
	f.Receive(f.now, 1, &membership.Message{Kind: membership.Ask, Sequence: 78, About: 2})
	f.Receive(f.now, 1, &membership.Message{Kind: membership.Ask, Sequence: 79, About: 99})
	if f.host.kinds(2, membership.Probe) != 0 || len(f.host.about(1, 1)) == 0 {
		t.Errorf("sent %+v", f.host.sent)
	}
}

// A machine that was stopped for a while condemns nobody for that time.
func TestStoppedMachine(t *testing.T) {
	f := newFixture(t, 5, nil)
	f.run(3 * second)
	f.hear(1, membership.Gossip, 0, suspect(5, 0, 1))
	f.now = f.now.Add(time.Minute)
	f.Fire(f.now)
	f.state(5, membership.Suspect)
	f.run(f.now.Add(2*time.Second), 5)
	f.state(5, membership.Suspect)
	for id := core.NodeID(1); id < 5; id++ {
		f.state(id, membership.Alive)
	}
}

// v1 machines are the host's to judge, and everybody hears of them; one that speaks is none any more.
func TestV1(t *testing.T) {
	f := newFixture(t, 2, nil)
	f.Report(f.now, 9, true)
	f.hear(1, membership.Ping, 0)
	if e := f.host.about(1, 9); len(e) == 0 || !e[0].V1 || e[0].State != membership.Alive {
		t.Errorf("the others hear %v", e)
	}
	f.hear(1, membership.Gossip, 0, membership.Entry{Member: 8, State: membership.Alive, V1: true, By: core.NoNode})
	f.Report(f.now, 9, false)
	f.hear(1, membership.Gossip, 0, membership.Entry{Member: 9, State: membership.Alive, V1: true, By: core.NoNode})
	f.state(9, membership.Dead)
	f.run(20*second, 8, 9)
	f.state(8, membership.Alive)
	if f.host.kinds(8, membership.Ping)+f.host.kinds(9, membership.Ping) > 0 {
		t.Error("a v1 machine was probed")
	}
	f.hear(9, membership.Ping, 0)
	f.Report(f.now, 9, false) // it speaks: no longer the host's business
	f.state(9, membership.Alive)
	if _, v1 := f.Member(9); v1 {
		t.Error("a member that speaks is held for a v1 one")
	}
}

// Options that cannot work are refused.
func TestOptions(t *testing.T) {
	if err := membership.DefaultOptions(0).Validate(); err != nil {
		t.Error(err)
	}
	for i, change := range []func(*membership.Options){
		func(o *membership.Options) { o.Timeout = o.Period },
		func(o *membership.Options) { o.Helpers = 9 },
		func(o *membership.Options) { o.SuspectMax = o.SuspectMin - 1 },
		func(o *membership.Options) { o.Sync = 0 },
		func(o *membership.Options) { o.Keep = 0 },
		func(o *membership.Options) { o.Members = 1 },
		func(o *membership.Options) { o.Self = core.NodeID(o.Members) },
	} {
		o := membership.DefaultOptions(0)
		if change(&o); o.Validate() == nil {
			t.Errorf("change %d was accepted", i)
		}
	}
}

// drive makes inputs of bytes, checks what must hold after each, and returns everything that the machine did.
func drive(t *testing.T, data []byte) string {
	o := membership.DefaultOptions(0)
	o.Members = 64
	h := &host{}
	m := membership.New(o, h, rand.New(rand.NewPCG(1, 2)))
	now, incarnation := core.Time(0), uint32(0)
	m.Join(now, []core.NodeID{1, 2, 0, -5, 64})
	listed := map[core.NodeID]membership.State{}
	checked := 0
	for len(data) >= 8 && now < 1000*second {
		b := data[:8]
		data = data[8:]
		now = now.Add(time.Duration(binary.LittleEndian.Uint16(b)) * 100 * time.Microsecond)
		switch b[2] % 16 {
		case 0:
			m.Leave(now)
		case 1:
			m.Join(now, []core.NodeID{core.NodeID(int8(b[3]))})
		case 2:
			m.Report(now, core.NodeID(int8(b[3])), b[4]&1 == 0)
		case 3, 4, 5, 6:
			m.Fire(now)
		default:
			msg := membership.Message{Kind: membership.Kind(b[4] % 12), Sequence: uint32(b[5]), Incarnation: uint32(b[6]),
				About: core.NodeID(int8(b[7]))}
			for range min(int(b[2]>>4), len(data)/5) {
				e := data[:5]
				data = data[5:]
				msg.Entries = append(msg.Entries, membership.Entry{Member: core.NodeID(int8(e[0])), State: membership.State(e[1] % 6),
					V1: e[2]&7 == 0, Incarnation: uint32(e[3]), By: core.NodeID(int8(e[4]))})
			}
			m.Receive(now, core.NodeID(int8(b[3])), &msg)
		}
		if m.Incarnation() < incarnation {
			t.Fatalf("the incarnation goes back from %d to %d", incarnation, m.Incarnation())
		}
		incarnation = m.Incarnation()
		for _, s := range h.sent[checked:] {
			if len(s.Entries) > membership.MaxEntries {
				t.Fatalf("%d entries", len(s.Entries))
			}
			for _, e := range s.Entries {
				if e.Member < 0 || int(e.Member) >= o.Members || e.State == membership.Unknown || e.State > membership.Left {
					t.Fatalf("sent %+v", e)
				}
			}
		}
		for _, to := range h.to[checked:] {
			if to <= 0 || int(to) >= o.Members {
				t.Fatalf("sent to %d", to)
			}
		}
		checked = len(h.sent)
		if len(h.to) > 20000 {
			t.Fatal("more messages than inputs can cause")
		}
	}
	for _, e := range h.events { // who hears of the changes knows the states
		var id core.NodeID
		var name, v1 string
		if _, err := fmt.Sscan(e, &id, &name, &v1); err != nil {
			t.Fatal(err)
		}
		for s := membership.Unknown; s <= membership.Left; s++ {
			if s.String() == name {
				listed[id] = s
			}
		}
	}
	for id := core.NodeID(1); id < 64; id++ {
		if s, _ := m.Member(id); s != listed[id] {
			t.Fatalf("member %d is %v, and the host was told %v", id, s, listed[id])
		}
	}
	return fmt.Sprint(h.sent, h.to, h.events, m.Next())
}

// Any inputs keep what must hold, and equal inputs make equal outputs.
func TestRandomInputs(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		data := make([]byte, 4000)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		first, again := drive(t, data), drive(t, data)
		if first != again {
			t.Fatalf("seed %d: equal inputs, unequal outputs", seed)
		}
	}
}

func FuzzMachine(f *testing.F) {
	f.Add([]byte("a machine takes whatever the network brings, and keeps what it promised"))
	f.Fuzz(func(t *testing.T, data []byte) { drive(t, data[:min(len(data), 4000)]) })
}
