package realnet

import (
	"container/heap"
	"fmt"
	"sync"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// Memory is a Transport between mailboxes of one process. Messages of one link arrive in the order in which they were
// sent.
type Memory struct {
	latency func(from, to core.NodeID) time.Duration

	mu        sync.Mutex
	mailboxes map[core.NodeID]*Mailbox
	flights   flights
	sent      uint64
	closed    bool
	wake      chan struct{} // holds one: the first flight may be another one, or Memory is closed
	ended     chan struct{}
}

// NewMemory returns a transport whose links have these latencies. Close ends it.
func NewMemory(latency func(from, to core.NodeID) time.Duration) *Memory {
	n := &Memory{latency: latency, mailboxes: make(map[core.NodeID]*Mailbox), wake: make(chan struct{}, 1),
		ended: make(chan struct{})}
	go n.carry()
	return n
}

// Connect makes m reachable. What is sent to a node before that is lost, as on a network where nobody listens; so is
// what is sent to one that was closed.
func (n *Memory) Connect(m *Mailbox) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mailboxes[m.options.ID] = m
}

// Send implements Transport.
func (n *Memory) Send(p core.Parcel) {
	p.Transit = n.latency(p.From, p.To)
	if p.Transit < 0 {
		panic(fmt.Sprintf("realnet: latency %v from %d to %d", p.Transit, p.From, p.To))
	}
	n.mu.Lock()
	heap.Push(&n.flights, flight{at: time.Now().Add(p.Transit), seq: n.sent, parcel: p})
	n.sent++
	n.mu.Unlock()
	n.rouse()
}

// Close ends the transport; messages on the way are lost.
func (n *Memory) Close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.rouse()
	<-n.ended
}

func (n *Memory) rouse() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// carry is the transport's goroutine: it delivers what is due and sleeps until something is.
func (n *Memory) carry() {
	defer close(n.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		n.mu.Lock()
		for len(n.flights) > 0 && !n.flights[0].at.After(time.Now()) {
			p := heap.Pop(&n.flights).(flight).parcel
			if m := n.mailboxes[p.To]; m != nil {
				m.Post(core.Input{Kind: core.InputDeliver, Message: &p})
			}
		}
		closed := n.closed
		var due <-chan time.Time // nil: nothing is under way
		if len(n.flights) > 0 {
			timer.Reset(time.Until(n.flights[0].at))
			due = timer.C
		}
		n.mu.Unlock()
		if closed {
			return
		}
		select {
		case <-due:
		case <-n.wake:
		}
	}
}

// flight is a message on its way.
type flight struct {
	at     time.Time
	seq    uint64 // among those of one instant, the first sent arrives first
	parcel core.Parcel
}

// flights are a heap, earliest first.
type flights []flight

func (f flights) Len() int { return len(f) }

func (f flights) Less(i, j int) bool {
	if !f[i].at.Equal(f[j].at) {
		return f[i].at.Before(f[j].at)
	}
	return f[i].seq < f[j].seq
}

func (f flights) Swap(i, j int) { f[i], f[j] = f[j], f[i] }

func (f *flights) Push(x any) { *f = append(*f, x.(flight)) }

func (f *flights) Pop() any {
	last := len(*f) - 1
	x := (*f)[last]
	(*f)[last] = flight{}
	*f = (*f)[:last]
	return x
}
