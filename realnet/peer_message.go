package realnet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// The messages that nodes of this project exchange on their links, byte by byte (docs/wire/peers.md). A message carries
// no number of a node: who sent it is known from the link.

// maxMessage bounds a message, in bytes.
const maxMessage = 256

// What a message has beyond its head, as bits.
const (
	hasLoad = 1 << iota
	hasNote
)

// onLinks are the kinds of messages that travel on links: those without a task.
var onLinks = map[core.MsgKind]bool{core.MsgProbe: true, core.MsgAsk: true, core.MsgReply: true, core.MsgTell: true,
	core.MsgPull: true, core.MsgHandover: true, core.MsgStarted: true}

// appendMessage appends m; Transit is how long the emulated link has held it.
func appendMessage(b []byte, m *core.Parcel) []byte {
	has := byte(0)
	if m.Load.Slots >= 0 {
		has |= hasLoad
	}
	if !m.Note.IsZero() {
		has |= hasNote
	}
	b = append(b, byte(m.Kind), byte(m.Outcome), has)
	b = binary.AppendUvarint(b, uint64(m.Token))
	b = binary.AppendVarint(b, int64(m.Item))
	b = binary.AppendUvarint(b, uint64(m.Transit))
	if has&hasLoad != 0 {
		for _, x := range []int32{m.Load.Running, m.Load.Queued, m.Load.Slots, m.Load.Room} {
			b = binary.AppendUvarint(b, uint64(x))
		}
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(m.Load.Speed))
	}
	if has&hasNote != 0 {
		b = binary.AppendUvarint(b, uint64(m.Note.Kind))
		b = binary.AppendVarint(b, m.Note.Int)
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(m.Note.Float))
	}
	return b
}

// parseMessage reads a message whole; its From and To are the caller's to fill in.
func parseMessage(b []byte) (core.Parcel, error) {
	if len(b) > maxMessage {
		return core.Parcel{}, fmt.Errorf("it has %d bytes: %d are possible", len(b), maxMessage)
	}
	r := reader{left: b}
	m := core.Parcel{Kind: core.MsgKind(r.byte()), Outcome: core.Outcome(r.byte()), Load: unknown}
	has := r.byte()
	m.Token = core.Token(r.unsigned(math.MaxUint64))
	m.Item = int32(r.signed(math.MinInt32, math.MaxInt32))
	m.Transit = time.Duration(r.unsigned(uint64(maxTransit)))
	if has&hasLoad != 0 {
		for _, x := range []*int32{&m.Load.Running, &m.Load.Queued, &m.Load.Slots, &m.Load.Room} {
			*x = int32(r.unsigned(math.MaxInt32))
		}
		if m.Load.Speed = math.Float32frombits(uint32(r.fixed(4))); !validSpeed(m.Load.Speed) {
			r.broken = true
		}
	}
	if has&hasNote != 0 {
		m.Note.Kind = uint32(r.unsigned(math.MaxUint32))
		m.Note.Int = r.signed(math.MinInt64, math.MaxInt64)
		m.Note.Float = math.Float64frombits(r.fixed(8))
	}
	switch {
	case r.broken || len(r.left) > 0 || has > hasLoad|hasNote:
		return m, errors.New("it is cut off, or has too much, or a number is out of bounds")
	case !onLinks[m.Kind]:
		return m, fmt.Errorf("its kind is %d", m.Kind)
	case m.Outcome != core.InFlight:
		return m, fmt.Errorf("its outcome is %d", m.Outcome)
	}
	return m, nil
}

// maxTransit bounds what a peer may say about the time on its emulated links.
const maxTransit = time.Hour

// validSpeed reports whether x can be the speed of a node.
func validSpeed(x float32) bool { return x > 0 && x <= math.MaxFloat32 }

// reader takes a message apart. Once it is broken it yields zeros.
type reader struct {
	left   []byte
	broken bool
}

func (r *reader) byte() byte { return byte(r.fixed(1)) }

// fixed reads so many bytes, the lowest first.
func (r *reader) fixed(n int) uint64 {
	if r.broken = r.broken || len(r.left) < n; r.broken {
		return 0
	}
	x := uint64(0)
	for i := range n {
		x |= uint64(r.left[i]) << (8 * i)
	}
	r.left = r.left[n:]
	return x
}

func (r *reader) unsigned(most uint64) uint64 {
	x, n := binary.Uvarint(r.left)
	if r.broken = r.broken || n <= 0 || x > most; r.broken {
		return 0
	}
	r.left = r.left[n:]
	return x
}

func (r *reader) signed(least, most int64) int64 {
	x, n := binary.Varint(r.left)
	if r.broken = r.broken || n <= 0 || x < least || x > most; r.broken {
		return 0
	}
	r.left = r.left[n:]
	return x
}
