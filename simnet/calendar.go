package simnet

import (
	"cmp"
	"math/bits"
	"slices"
	"sort"
	"unsafe"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/simnet/prefetch"
)

// event is something that will happen to a node. It holds no pointer, so that the collector never looks at the queue.
type event struct {
	at   core.Time
	aux  uint64
	next uint32 // link of the bucket or of the free list
	node core.NodeID
	ref  uint32 // index of a message or a request
	kind eventKind
}

type eventKind uint8

const (
	evFinish   eventKind = iota // aux: token of the execution
	evMessage                   // ref: index of the message
	evTimer                     // aux: token
	evService                   // the executor of the node has work; aux: its generation
	evSample                    // take a sample of the loads
	evAnswer                    // ref: index of what a learner has answered
	evEntries                   // ref: index of a message with entries for a learner
	evArrive                    // ref: index of an arrival that is on the client's link
	evMachine                   // node: index of the machine whose next job ends; aux: its generation
	evFault                     // ref: index of the event of the plan of faults
	evDatagram                  // ref: index of a message between machines of the membership
	evWatch                     // a machine of the membership wants to be woken; aux: the instant
	evGiveUp                    // aux: number of the request whose client has waited long enough; ref: its task's slot, plus 1, where the node alone has to learn it
)

const nothing = ^uint32(0)

// calendar is a calendar queue (Brown, CACM 31(10), 1988): buckets of equal width, each the list of what falls into
// it, this year and later ones. When the clock comes to a bucket, what is due in it is taken out at once and sorted:
// the world can then fetch what those events will need, all at a time. Events of equal time leave in the order in
// which they came.
type calendar struct {
	today []event // sorted, from first on; what is before first has left
	first int
	until core.Time     // events before it belong into today
	ahead func([]event) // told what today will bring; may be nil

	events  []event
	free    uint32
	heads   []uint32
	mask    uint64
	shift   uint   // bucket width is 1<<shift nanoseconds
	current uint64 // the bucket after today's
	size    int    // events in buckets
	scout   uint32 // where the walk through the next bucket is that goes ahead of it

	// What the next layout goes by.
	popped int
	since  core.Time // when popped was 0
	last   core.Time // of the last event that left
}

const (
	minBuckets   = 1 << 8
	reviewPeriod = 1 << 14 // events that leave between two looks at the layout
	perBucket    = 3       // events of one bucket and year, as the binary logarithm: 8 to 16
	few          = 1 << 6  // events that are sorted as they come
	crowd        = 1 << 8  // events of today, above which its bucket was far too wide
	narrower     = 4       // how much narrower buckets become then, as the binary logarithm
)

func newCalendar() *calendar {
	c := &calendar{free: nothing, scout: nothing}
	c.layout(minBuckets, 20)
	return c
}

// push schedules an event, at or after the time of the last one that left.
func (c *calendar) push(at core.Time, kind eventKind, node core.NodeID, ref uint32, aux uint64) {
	if at < c.until {
		c.insert(event{at: at, aux: aux, node: node, ref: ref, kind: kind})
		if len(c.today)-c.first > crowd {
			c.split()
		}
		return
	}
	i := c.free
	if i == nothing {
		i = uint32(len(c.events))
		c.events = append(c.events, event{})
	} else {
		c.free = c.events[i].next
	}
	h := &c.heads[uint64(at)>>c.shift&c.mask]
	e := &c.events[i]
	e.at, e.aux, e.node, e.ref, e.kind = at, aux, node, ref, kind
	e.next, *h = *h, i
	c.size++
	if c.size > 2*len(c.heads)<<perBucket {
		c.review()
	}
}

// insert puts an event among those of today, after the ones of the same time.
func (c *calendar) insert(e event) {
	if len(c.today) == cap(c.today) && c.first > len(c.today)/2 {
		c.today = c.today[:copy(c.today, c.today[c.first:])]
		c.first = 0
	}
	c.today = append(c.today, e)
	i := len(c.today) - 1
	for i > c.first && c.today[i-1].at > e.at {
		c.today[i] = c.today[i-1]
		i--
	}
	c.today[i] = e
}

// split puts what is late today back into buckets, narrower ones: a burst after a quiet time comes down in a bucket that
// was made for the quiet. Where all of today is one instant there is nothing to split.
func (c *calendar) split() {
	rest := c.today[c.first:]
	at := rest[len(rest)>>narrower].at
	early := sort.Search(len(rest), func(i int) bool { return rest[i].at >= at })
	if early == 0 { // the first of them are all due at one instant
		early = sort.Search(len(rest), func(i int) bool { return rest[i].at > at })
	}
	if early == len(rest) || c.shift < narrower {
		return
	}
	at = rest[early].at
	c.until = at
	c.layout(len(c.heads), c.shift-narrower)
	late := slices.Clone(rest[early:])
	c.today, c.first = append(c.today[:0], rest[:early]...), 0
	for _, e := range late {
		c.push(e.at, e.kind, e.node, e.ref, e.aux)
	}
}

// pop takes out the earliest event if it is not later than limit. The event is readable until the next push or pop.
func (c *calendar) pop(limit core.Time) *event {
	if c.first == len(c.today) && !c.turn(limit) {
		return nil
	}
	e := &c.today[c.first]
	if e.at > limit {
		return nil
	}
	c.first++
	if c.scout != nothing {
		c.scout = c.events[c.scout].next
		c.look()
	}
	c.last = e.at
	c.popped++
	return e
}

// look asks for the event where the scout is. One step per event that leaves, it goes through the list that is to be
// collected next: a walk from one place in memory to another, none of which a large world's cache holds.
func (c *calendar) look() {
	if c.scout != nothing {
		prefetch.Line(unsafe.Pointer(&c.events[c.scout]))
	}
}

// peek returns the event that will be popped after i others if it is one of today's, nil otherwise.
func (c *calendar) peek(i int) *event {
	if c.first+i >= len(c.today) {
		return nil
	}
	return &c.today[c.first+i]
}

// turn goes on to the next bucket with events before or at limit; it reports whether there is one.
func (c *calendar) turn(limit core.Time) bool {
	c.today, c.first = c.today[:0], 0
	if c.popped >= reviewPeriod {
		c.review()
	}
	if c.size == 0 {
		return false
	}
	last := uint64(limit) >> c.shift
	for passed := 0; c.current <= last; passed++ {
		c.collect()
		if len(c.today) > 0 {
			if c.ahead != nil {
				c.ahead(c.today)
				c.scout = c.heads[c.current&c.mask]
				c.look()
			}
			return true
		}
		if passed > len(c.heads) {
			next := c.earliest()
			if next > last {
				return false // what comes before it must still find its bucket: today is not there yet
			}
			c.open(next)
			passed = 0
		}
	}
	return false
}

// open makes b the next bucket to collect.
func (c *calendar) open(b uint64) {
	c.current = b
	c.until = core.Time(b << c.shift)
	if b >= 1<<(63-c.shift) {
		c.until = core.Never
	}
}

// collect moves what is due in the current bucket to today, and goes on to the next one.
func (c *calendar) collect() {
	link := &c.heads[c.current&c.mask]
	c.open(c.current + 1)
	for i := *link; i != nothing; i = *link {
		e := &c.events[i]
		if e.at >= c.until {
			link = &e.next
			continue
		}
		*link = e.next
		c.size--
		// The list has the newest in front: an older one of the same time goes before it.
		c.today = append(c.today, *e)
		if k := len(c.today) - 1; k < few {
			for k > 0 && c.today[k-1].at >= e.at {
				c.today[k] = c.today[k-1]
				k--
			}
			c.today[k] = *e
		}
		e.next = c.free
		c.free = i
	}
	if n := len(c.today); n > few { // the first few are sorted, the others the newest in front
		slices.Reverse(c.today)
		slices.Reverse(c.today[n-few:])
		slices.SortStableFunc(c.today, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	}
}

// earliest is the bucket of the earliest event: the way out of a year without events.
func (c *calendar) earliest() uint64 {
	at := core.Never
	for _, h := range c.heads {
		for i := h; i != nothing; i = c.events[i].next {
			at = min(at, c.events[i].at)
		}
	}
	return uint64(at) >> c.shift
}

// review lays the queue out anew where the number of events, or the rate at which they leave, has changed.
func (c *calendar) review() {
	shift := c.shift
	if c.popped > reviewPeriod/2 && c.last > c.since {
		gap := uint64(c.last-c.since) / uint64(c.popped) // the mean distance of two events
		if s := uint(bits.Len64(gap)) + perBucket; s+1 < shift || s > shift {
			shift = min(s, 62)
		}
	}
	buckets := max(minBuckets, 1<<bits.Len(uint(c.size>>(perBucket-2))))
	if buckets < len(c.heads) && buckets*4 > len(c.heads) {
		buckets = len(c.heads) // shrink late
	}
	c.popped, c.since = 0, c.last
	if shift != c.shift || buckets != len(c.heads) {
		c.layout(buckets, shift)
	}
}

// layout moves every event into new buckets, the oldest of each bucket first, so that equal times keep their order.
func (c *calendar) layout(buckets int, shift uint) {
	old := c.heads
	c.heads = make([]uint32, buckets)
	for i := range c.heads {
		c.heads[i] = nothing
	}
	c.mask, c.shift = uint64(buckets-1), shift
	// Events before until are in today, whatever their bucket is now; the buckets begin where until is.
	c.current = uint64(c.until) >> shift
	for _, h := range old {
		rev := nothing // turn the list round: then the oldest comes first
		for i := h; i != nothing; {
			next := c.events[i].next
			c.events[i].next = rev
			rev = i
			i = next
		}
		for i := rev; i != nothing; {
			e := &c.events[i]
			next := e.next
			h := &c.heads[uint64(e.at)>>shift&c.mask]
			e.next = *h
			*h = i
			i = next
		}
	}
}
