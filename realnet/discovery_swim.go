package realnet

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/membership"
)

// The host of membership.Machine: its messages travel as UDP datagrams, its timer is a timer. The format of a datagram is
// in docs/wire/membership.md.

const (
	datagramVersion = 1
	maxDatagram     = 1200
	flagV1          = 0x80
)

// datagram is a message with addresses in place of numbers.
type datagram struct {
	kind        membership.Kind
	sequence    uint32
	incarnation uint32
	from        netip.AddrPort
	scheduler   uint16         // port of the sender's scheduler service
	about       netip.AddrPort // zero: nobody
	entries     []datagramEntry
}

type datagramEntry struct {
	state       membership.State
	v1          bool
	incarnation uint32
	member      netip.AddrPort
	scheduler   uint16         // 0: the sender does not know it
	by          netip.AddrPort // zero: nobody
}

func appendAddress(b []byte, a netip.AddrPort) []byte {
	switch {
	case !a.IsValid():
		return append(b, 0)
	case a.Addr().Is4():
		ip := a.Addr().As4()
		b = append(append(b, 4), ip[:]...)
	default:
		ip := a.Addr().As16()
		b = append(append(b, 6), ip[:]...)
	}
	return binary.BigEndian.AppendUint16(b, a.Port())
}

// append writes the datagram behind b.
func (d *datagram) append(b []byte) []byte {
	b = append(b, 'P', '2', datagramVersion, byte(d.kind))
	b = binary.BigEndian.AppendUint32(b, d.sequence)
	b = binary.BigEndian.AppendUint32(b, d.incarnation)
	b = appendAddress(b, d.from)
	b = binary.BigEndian.AppendUint16(b, d.scheduler)
	b = appendAddress(b, d.about)
	b = append(b, byte(len(d.entries)))
	for i := range d.entries {
		e := &d.entries[i]
		state := byte(e.state)
		if e.v1 {
			state |= flagV1
		}
		b = append(b, state)
		b = binary.BigEndian.AppendUint32(b, e.incarnation)
		b = appendAddress(b, e.member)
		b = binary.BigEndian.AppendUint16(b, e.scheduler)
		b = appendAddress(b, e.by)
	}
	return b
}

var errDatagram = errors.New("the datagram is malformed")

// datagramReader takes a datagram apart; failed stays true once something was wrong.
type datagramReader struct {
	rest   []byte
	failed bool
}

func (r *datagramReader) take(n int) []byte {
	if len(r.rest) < n {
		r.failed, r.rest = true, nil
		return make([]byte, n)
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *datagramReader) uint32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }
func (r *datagramReader) uint16() uint16 { return binary.BigEndian.Uint16(r.take(2)) }

// address reads an address, in the one form that it has: an IPv4 one is not written as IPv6.
func (r *datagramReader) address(optional bool) netip.AddrPort {
	var ip netip.Addr
	switch kind := r.take(1)[0]; {
	case kind == 0 && optional:
		return netip.AddrPort{}
	case kind == 4:
		ip = netip.AddrFrom4([4]byte(r.take(4)))
	case kind == 6:
		ip = netip.AddrFrom16([16]byte(r.take(16)))
	}
	a := netip.AddrPortFrom(ip, r.uint16())
	if !ip.IsValid() || ip.Is4In6() || ip.IsUnspecified() || ip.IsMulticast() || a.Port() == 0 {
		r.failed = true
	}
	return a
}

// parseDatagram reads a datagram. What is not exactly as append writes it is an error.
func parseDatagram(b []byte) (d datagram, err error) {
	if len(b) > maxDatagram {
		return d, errDatagram
	}
	r := datagramReader{rest: b}
	if head := r.take(3); head[0] != 'P' || head[1] != '2' || head[2] != datagramVersion {
		return d, errDatagram
	}
	d.kind = membership.Kind(r.take(1)[0])
	d.sequence, d.incarnation = r.uint32(), r.uint32()
	d.from = r.address(false)
	d.scheduler = r.uint16()
	d.about = r.address(true)
	n := int(r.take(1)[0])
	if r.failed || d.kind < membership.Ping || d.kind > membership.Gossip || d.scheduler == 0 || n > membership.MaxEntries {
		return d, errDatagram
	}
	d.entries = make([]datagramEntry, n)
	for i := range d.entries {
		e := &d.entries[i]
		state := r.take(1)[0]
		e.v1, e.state = state&flagV1 != 0, membership.State(state&^flagV1)
		e.incarnation = r.uint32()
		e.member = r.address(false)
		e.scheduler = r.uint16()
		e.by = r.address(true)
		if r.failed || e.state < membership.Alive || e.state > membership.Left {
			return d, errDatagram
		}
	}
	if len(r.rest) > 0 {
		return d, errDatagram
	}
	return d, nil
}

// discoveryHost is the service as its machine sees it. All is called while the service is locked.
type discoveryHost DiscoveryService

func (h *discoveryHost) addressOf(id core.NodeID) netip.AddrPort {
	if id < 0 || int(id) >= len(h.members) {
		return netip.AddrPort{}
	}
	return h.members[id].address
}

// Send implements membership.Host.
func (h *discoveryHost) Send(to core.NodeID, m *membership.Message) {
	at := h.addressOf(to)
	if !at.IsValid() {
		return
	}
	if m.Kind == membership.Ping {
		h.members[to].sequence, h.members[to].pinged = m.Sequence, time.Now()
	}
	d := datagram{kind: m.Kind, sequence: m.Sequence, incarnation: m.Incarnation, from: h.members[0].address,
		scheduler: h.members[0].scheduler, about: h.addressOf(m.About), entries: make([]datagramEntry, 0, len(m.Entries))}
	for _, e := range m.Entries {
		if a := h.addressOf(e.Member); a.IsValid() {
			d.entries = append(d.entries, datagramEntry{state: e.State, v1: e.V1, incarnation: e.Incarnation, member: a,
				scheduler: h.members[e.Member].scheduler, by: h.addressOf(e.By)})
		}
	}
	h.metrics.sent.Inc()
	text := d.append(make([]byte, 0, maxDatagram))
	text = append(text, h.options.Credentials.seal(text)...)
	write := func() {
		if _, err := h.conn.WriteToUDPAddrPort(text, at); err != nil {
			slog.Debug("a datagram of discovery cannot be sent", "to", at, "error", err) // as if it had got lost
		}
	}
	h.options.Faults.carry(h.members[to].schedulerAddress(), write)
}

// Changed implements membership.Host.
func (h *discoveryHost) Changed(id core.NodeID, state membership.State, v1 bool) {
	x := &h.members[id]
	h.metrics.transitions[state].Inc()
	slog.Debug("discovery", "machine", x.address, "is", state.String(), "v1", v1)
	x.state, x.changed, x.v1 = state, time.Now(), v1
	switch {
	case state == membership.Unknown:
		x.v1 = false
		h.gone = append(h.gone, id)
	case state == membership.Left:
		x.next, x.tries = time.Now().Add(h.options.PollTime), 0
	case state == membership.Alive:
		x.answers()
		x.heard, x.deadPolls = time.Now(), 0
		if v1 {
			x.next = time.Time{} // gossip says so: we ask ourselves
		}
	}
	kick(h.changed)
}

// Key implements membership.Host.
func (h *discoveryHost) Key(id core.NodeID) uint64 {
	sum := sha256.Sum256(appendAddress(nil, h.addressOf(id)))
	return binary.BigEndian.Uint64(sum[:8])
}

// receive takes datagrams until the socket is closed.
func (s *DiscoveryService) receive() {
	buffer := make([]byte, maxDatagram+1)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buffer)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // such as an ICMP answer to one that was sent
			slog.Debug("discovery cannot receive", "error", err)
			continue
		}
		s.metrics.received.Inc()
		text, ok := s.options.Credentials.unseal(buffer[:n])
		if !ok {
			s.unsealed.Do(func() {
				slog.Warn("datagrams without the seal of this cluster's token are dropped: does another machine have another token, or none?", "first", from)
			})
		}
		d, err := parseDatagram(text)
		if err != nil || !ok {
			s.malformed.Add(1)
			continue
		}
		s.take(&d)
	}
}

// take gives a datagram to the machine.
func (s *DiscoveryService) take(d *datagram) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.machine == nil || s.closed {
		return
	}
	from := s.number(d.from)
	if from <= 0 {
		return // it is said to be ours, or there are too many machines
	}
	met := []core.NodeID{from}
	x := &s.members[from]
	if x.scheduler != d.scheduler {
		x.scheduler = d.scheduler
		kick(s.changed)
	}
	x.heard, x.mute = time.Now(), 0
	if d.kind == membership.Ack && d.sequence == x.sequence && !x.pinged.IsZero() {
		x.ping, x.pinged = time.Since(x.pinged), time.Time{}
	}
	m := membership.Message{Kind: d.kind, Sequence: d.sequence, Incarnation: d.incarnation, About: s.numberOr(d.about),
		Entries: make([]membership.Entry, 0, len(d.entries))}
	for i := range d.entries {
		e := &d.entries[i]
		id := s.number(e.member)
		if id == core.NoNode {
			continue
		}
		met = append(met, id)
		if y := &s.members[id]; y.scheduler == 0 && id != 0 && !e.v1 {
			y.scheduler = e.scheduler
		}
		m.Entries = append(m.Entries, membership.Entry{Member: id, State: e.state, V1: e.v1, Incarnation: e.incarnation,
			By: s.numberOr(e.by)})
	}
	s.machine.Receive(s.now(), from, &m)
	for _, id := range met { // who is none of the members has no number, unless somebody asks for it over HTTP
		if y := &s.members[id]; id != 0 && y.address.IsValid() && y.state == membership.Unknown && y.next.IsZero() && !y.seed && !y.polling {
			s.release(id)
		}
	}
	s.settle()
}

// numberOr is the number of a known machine; NoNode: there is none.
func (s *DiscoveryService) numberOr(a netip.AddrPort) core.NodeID {
	if id, known := s.numbers[a]; known {
		return id
	}
	return core.NoNode
}

// drive wakes the machine when it wants to be.
func (s *DiscoveryService) drive() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.life.Done():
			return
		case <-timer.C:
		case <-s.wake:
		}
		s.mu.Lock()
		next := core.Never
		if s.machine != nil && !s.closed {
			if s.machine.Next() <= s.now() {
				s.machine.Fire(s.now())
				s.settle()
			}
			next = s.machine.Next()
		}
		wait := time.Minute // core.Never is no duration
		if now := s.now(); next != core.Never {
			wait = min(wait, next.Sub(now))
		}
		s.mu.Unlock()
		timer.Reset(wait)
	}
}
