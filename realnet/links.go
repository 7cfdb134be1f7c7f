package realnet

import (
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/realnet/precise"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// links emulates the links of a scenario, and what faults make of them: each message that this node sends to a peer is held for as long
// as it would be on its way, or is lost. What the real network takes comes on top. A nil links holds nothing.
type links struct {
	network *scenarios.Network // nil: messages take what the real network takes
	faults  *Faults
	from    core.NodeID
	clock   *precise.Clock

	mu      sync.Mutex
	rand    *rand.Rand
	late    *results.Punctuality
	own     *results.Punctuality
	lost    uint64 // messages, as was drawn
	unknown uint64 // messages of whose link or length nothing is known
}

// LinkStatus is what a node's emulated links have achieved since it began.
type LinkStatus struct {
	Network string               `json:"network"` // what is emulated, as scenarios.Network describes it
	Late    *results.Punctuality `json:"late"`    // of the messages that were held, when they were let go
	Own     *results.Punctuality `json:"own"`     // what the real network takes, one way: half of what pings between nodes took
	Lost    uint64               `json:"lost"`    // messages, as was drawn
	Unknown uint64               `json:"unknown"` // messages of whose link or length nothing is known
}

// newLinks is nil where there is nothing to emulate.
func newLinks(o *NodeOptions) *links {
	network := o.Network
	if network != nil {
		if latency, ok := network.Constant(); ok && latency == 0 {
			network = nil
		}
	}
	if network == nil && o.Faults == nil {
		return nil
	}
	return &links{network: network, faults: o.Faults, from: o.Number, clock: precise.New(),
		rand: rand.New(random.Stream(o.Seed, o.Replication, random.Network, int(o.Number))),
		late: results.NewPunctuality(), own: results.NewPunctuality()}
}

// travel says what faults may do to a message.
type travel uint8

const (
	once    travel = 1 << iota // it has a connection of its own, which throws away what comes a second time
	answers                    // it is an answer to a peer
)

// pass calls then when a message of so many bytes (-1: not known) has passed the link to a peer: at once where that takes
// no time, otherwise on the clock's goroutine, which it must not block. It is told for how long the message was held.
// Where the message is lost pass returns false, and then is never called; nor is it when the links are closed before. Where it arrives
// twice, which only one may that does not travel once, then is called twice.
func (l *links) pass(to core.NodeID, bytes int64, how travel, then func(held time.Duration)) bool {
	if l == nil {
		then(0)
		return true
	}
	hesitates := time.Duration(0)
	if how&answers != 0 {
		hesitates = l.faults.hesitates()
	}
	d, lost := l.draw(to, bytes)
	if l.faults.twice(to) {
		again, gone := l.draw(to, bytes)
		switch {
		case how&once == 0 && !gone && !lost:
			l.hold(hesitates+again, then)
		case lost || !gone && again < d:
			d, lost = again, gone
		}
	}
	if !lost {
		l.hold(hesitates+d, then)
	}
	return !lost
}

// hold calls then in so much time.
func (l *links) hold(d time.Duration, then func(held time.Duration)) {
	if d == 0 {
		then(0)
		return
	}
	sent := time.Now()
	due := sent.Add(d)
	l.clock.After(due, func() {
		now := time.Now()
		l.mu.Lock()
		l.late.Add(now.Sub(due))
		l.mu.Unlock()
		then(now.Sub(sent))
	})
}

// draw says what becomes of a message that is sent now.
func (l *links) draw(to core.NodeID, bytes int64) (d time.Duration, lost bool) {
	if l.network != nil {
		d, lost = l.drawHealthy(to, bytes)
	}
	if !lost {
		var more time.Duration
		more, lost = l.faults.transit(to)
		d += more
	}
	return d, lost
}

// drawHealthy says what becomes of it without faults.
func (l *links) drawHealthy(to core.NodeID, bytes int64) (d time.Duration, lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	has := l.network.Has(l.from, to)
	if !has || bytes < 0 && l.network.Weighs(l.from, to) {
		if l.unknown++; l.unknown == 1 {
			slog.Warn("a message cannot be held as the scenario says: its link or its length is not known", "to", to, "bytes", bytes)
		}
	}
	if has {
		d, lost = l.network.Transit(l.from, to, int(bytes), l.rand)
	}
	if lost {
		l.lost++
	}
	return d, lost
}

// measured takes what the real network takes, one way, as a link between two nodes was timed.
func (l *links) measured(half time.Duration) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.own.Add(half)
}

// status is nil where no links of a scenario are emulated.
func (l *links) status() *LinkStatus {
	if l == nil || l.network == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &LinkStatus{Network: l.network.String(), Late: results.NewPunctuality(), Own: results.NewPunctuality(), Lost: l.lost, Unknown: l.unknown}
	s.Late.Merge(l.late)
	s.Own.Merge(l.own)
	return s
}

// close loses what is on the links. When it has returned, nothing is let go any more.
func (l *links) close() {
	if l != nil {
		l.clock.Close()
	}
}
