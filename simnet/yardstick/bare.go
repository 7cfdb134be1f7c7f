package main

import (
	"math"
	"math/bits"
)

// The model: power of two choices with threshold 2 over nodes with one slot and room for ten tasks. Probe, answer,
// forward and result take a hundredth of the mean service time each.
const (
	capacity  = 10
	threshold = 2
	load      = 0.9
	delay     = 0.01
)

// bare simulates jobs of the model on n nodes with nothing but what the mean needs, and returns the mean sojourn time
// and the share of jobs that were forwarded.
func bare(n, jobs int) (sojourn, forwarded float64) {
	l := &loop{n: uint32(n), random: newXoshiro(1), nodes: make([]node, n)}
	l.queue = newCalendar(float64(n)*3.24, 3*n, 64*n+4096)
	l.jobs = make([]job, n, 8*n)
	for i := range l.jobs {
		l.jobs[i] = job{entry: uint32(i), event: arrival}
		l.queue.push(l.random.exp()/load, uint32(i))
	}
	for l.arrived < jobs {
		l.step(leastLoaded{})
	}
	return l.sum / float64(l.served), float64(l.forwards) / float64(l.arrived)
}

// policy is what a user would write, called through an interface.
type policy interface {
	onArrival(l *loop, node uint32) (peer uint32, probe bool)
	onReply(own, peer int) (forward bool)
}

type leastLoaded struct{}

func (leastLoaded) onArrival(l *loop, i uint32) (uint32, bool) {
	if l.nodes[i].jobs < threshold {
		return 0, false
	}
	p := l.random.below(l.n - 1)
	if p >= i {
		p++
	}
	return p, true
}

func (leastLoaded) onReply(own, peer int) bool { return own > peer }

type node struct{ jobs, head, tail uint32 }

type job struct {
	arrived           float64
	entry, node, next uint32
	reply             uint16
	event             event
	remote            bool
}

type event uint8

const (
	arrival event = iota
	probe
	reply
	forward
	completion
	result
)

type loop struct {
	n        uint32
	random   *xoshiro
	queue    *calendar
	nodes    []node
	jobs     []job
	free     []uint32
	now, sum float64

	arrived, served, forwards int
}

func (l *loop) step(p policy) {
	var id uint32
	l.now, id = l.queue.pop()
	j := &l.jobs[id]
	switch j.event {
	case arrival:
		l.arrived++
		i := j.entry
		l.queue.push(l.now+l.random.exp()/load, id)
		k := l.take()
		l.jobs[k] = job{arrived: l.now, entry: i, node: i}
		if peer, ask := p.onArrival(l, i); ask {
			l.jobs[k].node, l.jobs[k].event = peer, probe
			l.queue.push(l.now+delay, k)
		} else {
			l.enqueue(k, i)
		}
	case probe:
		j.reply, j.event = uint16(l.nodes[j.node].jobs), reply
		l.queue.push(l.now+delay, id)
	case reply:
		if !p.onReply(int(l.nodes[j.entry].jobs), int(j.reply)) {
			l.enqueue(id, j.entry)
			return
		}
		l.forwards++
		j.remote, j.event = true, forward
		l.queue.push(l.now+delay, id)
	case forward:
		l.enqueue(id, j.node)
	case completion:
		x := &l.nodes[j.node]
		if x.jobs--; x.jobs > 0 {
			x.head = j.next
			l.jobs[x.head].event = completion
			l.queue.push(l.now+l.random.exp(), x.head)
		}
		if !j.remote {
			l.done(id)
			return
		}
		j.event = result
		l.queue.push(l.now+delay, id)
	case result:
		l.done(id)
	}
}

func (l *loop) take() uint32 {
	if k := len(l.free); k > 0 {
		id := l.free[k-1]
		l.free = l.free[:k-1]
		return id
	}
	l.jobs = append(l.jobs, job{})
	return uint32(len(l.jobs) - 1)
}

func (l *loop) enqueue(id, at uint32) {
	x := &l.nodes[at]
	if x.jobs >= capacity {
		l.free = append(l.free, id)
		return
	}
	l.jobs[id].node = at
	if x.jobs == 0 {
		x.head, x.tail = id, id
		l.jobs[id].event = completion
		l.queue.push(l.now+l.random.exp(), id)
	} else {
		l.jobs[x.tail].next = id
		x.tail = id
	}
	x.jobs++
}

func (l *loop) done(id uint32) {
	l.served++
	l.sum += l.now - l.jobs[id].arrived
	l.free = append(l.free, id)
}

// calendar is a calendar queue whose links lie in the slots of the jobs.
type calendar struct {
	heads   []uint32
	slots   []slot
	mask    uint64
	width   float64
	current uint64
}

type slot struct {
	at   float64
	next uint32
}

const none = ^uint32(0)

func newCalendar(rate float64, pending, slots int) *calendar {
	buckets := 1 << bits.Len(uint(4*pending-1))
	c := &calendar{width: 1.4 / rate, heads: make([]uint32, buckets), slots: make([]slot, slots), mask: uint64(buckets - 1)}
	for i := range c.heads {
		c.heads[i] = none
	}
	return c
}

func (c *calendar) push(at float64, id uint32) {
	b := uint64(at * (1 / c.width))
	h := &c.heads[b&c.mask]
	c.slots[id] = slot{at, *h}
	*h = id
	c.current = min(c.current, b)
}

func (c *calendar) pop() (float64, uint32) {
	s := c.slots
	for {
		h := &c.heads[c.current&c.mask]
		at := float64(c.current+1) * c.width
		best, before, prev := none, none, none
		for i := *h; i != none; i = s[i].next {
			if s[i].at < at {
				at, best, before = s[i].at, i, prev
			}
			prev = i
		}
		switch {
		case best == none:
			c.current++
			continue
		case before == none:
			*h = s[best].next
		default:
			s[before].next = s[best].next
		}
		return at, best
	}
}

// xoshiro is xoshiro256++ (Blackman and Vigna, ACM TOMS 47(4), 2021), which the compiler inlines.
type xoshiro struct{ s [4]uint64 }

func newXoshiro(seed uint64) *xoshiro {
	x := &xoshiro{}
	for i := range x.s {
		seed += 0x9e3779b97f4a7c15
		z := seed
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		x.s[i] = z ^ z>>31
	}
	return x
}

func (x *xoshiro) next() uint64 {
	s := &x.s
	r := bits.RotateLeft64(s[0]+s[3], 23) + s[0]
	t := s[1] << 17
	s[2] ^= s[0]
	s[3] ^= s[1]
	s[1] ^= s[2]
	s[0] ^= s[3]
	s[2] ^= t
	s[3] = bits.RotateLeft64(s[3], 45)
	return r
}

func (x *xoshiro) below(n uint32) uint32 { return uint32((x.next() >> 32) * uint64(n) >> 32) }

// The ziggurat for exponential variates (Marsaglia and Tsang, J. Stat. Software 5(8), 2000).
var zigX, zigY [257]float64

func init() {
	const r, area = 7.69711747013104972, 3.949659822581572e-3
	zigX[0], zigX[1] = area/math.Exp(-r), r
	for i := 2; i < 256; i++ {
		zigX[i] = -math.Log(math.Exp(-zigX[i-1]) + area/zigX[i-1])
	}
	for i := range zigY {
		zigY[i] = math.Exp(-zigX[i])
	}
}

func (x *xoshiro) exp() float64 {
	u := x.next()
	i := u & 255
	z := float64(u>>11) * 0x1p-53 * zigX[i]
	if z < zigX[i+1] {
		return z
	}
	return x.expSlow(i, z)
}

//go:noinline
func (x *xoshiro) expSlow(i uint64, z float64) float64 {
	for {
		if i == 0 {
			return zigX[1] + x.exp()
		}
		y := zigY[i] + float64(x.next()>>11)*0x1p-53*(zigY[i+1]-zigY[i])
		if y < math.Exp(-z) {
			return z
		}
		u := x.next()
		i = u & 255
		z = float64(u>>11) * 0x1p-53 * zigX[i]
		if z < zigX[i+1] {
			return z
		}
	}
}
