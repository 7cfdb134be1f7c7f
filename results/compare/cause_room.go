package compare

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/p2pfaas/p2pfaas/core"
)

// room finds how many requests a node executes and holds at most, on both sides:
//
//   - While a request waits, its node executes as many as it has slots: so many execute in the middle of most waits.
//   - When a request finds no room at the node that it came to, that node holds as many as it has slots and places to wait.
//   - Where too few wait or find no room, a limit shows as an edge: one side reaches a number as often as may be expected, the
//     other, which reaches the one below as often, does not.
//
// Instants are those of the client's clock, and right up to half of what its link takes. So one request alone says nothing:
// what most say counts, and not a number that errors of the instants may have made.
type room struct {
	slots, places bound
	noQueue       bool // nobody waits on either side: what a node holds are its slots
}

// bound is one kind of limit.
type bound struct {
	sides  [2]witnesses
	once   [2]*weights
	judged int    // nodes whose limits are known on both sides
	differ []node // those of them whose limits differ
	edge   *edge  // what differs at all nodes, where too few of them are known; nil: nothing
}

// witnesses is what the requests of a side have seen, at each node and at all of them.
type witnesses struct {
	nodes map[int32]*evidence
	all   *evidence
}

// evidence is how many there were at once.
type evidence struct {
	limited []seen // when a request had to wait, or found no room
	busy    []seen // at other instants
}

// seen is how many there were, as the request at a position has it.
type seen struct{ many, at int }

// node is one whose limits differ.
type node struct {
	id     int32
	weight float64
	offset [2]int // what is taken off the limits
}

// edge is a number that one side does not exceed, and the other does.
type edge struct {
	number int
	higher int // index of the other side
	level  int // that the other reaches often, above number
	offset [2]int
}

// limit is what evidence says: the number that most of those saw who were limited.
type limit struct {
	value, witnesses int
	say              float64 // share of those who say so
}

const (
	fewestWitnesses = 10  // of a limit
	fewestOfNode    = 3   // of that of one node, among others
	mostSay         = 0.5 // share of them that say the same
	sureSay         = 0.8 // where a node says what others do not

	edgeReached  = 20   // requests of the higher side that reach a number
	edgeShare    = 0.1  // of those that reach the one below
	edgeExpected = 30   // requests of the lower side that are to be expected there
	edgeLeft     = 0.25 // share of them that are there at most
	edgeBlur     = 0.05 // blur of the lower side, beyond which an edge cannot be told
	edgeAlike    = 0.5  // share of those of the higher side one below that the lower side has at least
)

func (l limit) known() bool { return l.value > 0 && l.witnesses >= fewestOfNode && l.say >= mostSay }

func (l limit) sure() bool { return l.known() && l.witnesses >= fewestWitnesses && l.say >= sureSay }

// limit is that of the evidence, each request taken as often as was drawn; none where more are often there.
func (v *evidence) limit(w *weights) limit {
	if v == nil {
		return limit{}
	}
	counts, total := count(v.limited, w)
	best := 0
	for number, n := range counts {
		if n > counts[best] {
			best = number
		}
	}
	if r := reached(v.busy, w); r.times(best+1) > mostSay*r.times(best) {
		return limit{}
	}
	return limit{best, total, float64(counts[best]) / float64(max(1, total))}
}

// count counts by number.
func count(list []seen, w *weights) (counts []int, total int) {
	counts = make([]int, 1)
	for _, s := range list {
		for s.many >= len(counts) {
			counts = append(counts, 0)
		}
		counts[s.many] += int(w.times[s.at])
		total += int(w.times[s.at])
	}
	return counts, total
}

// levels are how many saw a number or more.
type levels []int

func reached(list []seen, w *weights) levels {
	counts, _ := count(list, w)
	for number := len(counts) - 1; number > 0; number-- {
		counts[number-1] += counts[number]
	}
	return counts
}

func (l levels) times(number int) float64 {
	if number >= len(l) {
		return 0
	}
	return float64(l[number])
}

func newRoom(p *pair) *room {
	d := &room{}
	waits := 0
	for k, t := range []*track{p.a, p.b} {
		w := once(t.spans)
		for _, b := range []*bound{&d.slots, &d.places} {
			b.once[k] = w
			b.sides[k] = witnesses{map[int32]*evidence{}, &evidence{}}
		}
		for _, s := range t.spans {
			waits += t.look(s, &d.slots.sides[k], &d.places.sides[k])
		}
	}
	d.noQueue = waits < fewestWitnesses
	var blur [2]float64 // share of requests that see more at once than there are slots, by errors of the instants
	var slots [2]limit
	for k := range blur {
		v, w := d.slots.sides[k].all, d.slots.once[k]
		if slots[k] = v.limit(w); slots[k].known() {
			r := reached(v.busy, w)
			blur[k] = r.times(slots[k].value+1) / max(1, r.times(slots[k].value))
		}
	}
	d.slots.judge(blur, func(int32) [2]int { return [2]int{} })
	d.places.judge(blur, func(n int32) (offset [2]int) {
		a, b := d.slots.of(n, d.slots.once[0], d.slots.once[1])
		switch {
		case d.noQueue:
		case a.known() && b.known():
			offset = [2]int{a.value, b.value}
		case slots[0].known() && slots[1].known():
			offset = [2]int{slots[0].value, slots[1].value}
		case d.slots.edge != nil:
			offset = d.slots.edge.values()
		}
		return offset
	})
	return d
}

// of are the limits of a node on both sides.
func (b *bound) of(n int32, x, y *weights) (limit, limit) {
	return b.sides[0].nodes[n].limit(x), b.sides[1].nodes[n].limit(y)
}

// judge finds the nodes whose limits differ beyond their offsets: all that do, if most of the evidence is theirs; otherwise
// those of which that is sure. Where there is too little evidence it looks for an edge.
func (b *bound) judge(blur [2]float64, offset func(int32) [2]int) {
	var differ, sure []node
	total, against := 0.0, 0.0
	for n := range b.sides[0].nodes {
		x, y := b.of(n, b.once[0], b.once[1])
		if !x.known() || !y.known() {
			continue
		}
		v := node{n, float64(min(x.witnesses, y.witnesses)), offset(n)}
		b.judged++
		total += v.weight
		if y.value-v.offset[1] != x.value-v.offset[0] {
			against += v.weight
			differ = append(differ, v)
			if x.sure() && y.sure() {
				sure = append(sure, v)
			}
		}
	}
	switch {
	case total < fewestWitnesses:
		b.judged = 0
		b.edge = b.findEdge(blur, offset(everywhere))
		return
	case against < total/2:
		differ = sure
	}
	slices.SortFunc(differ, func(x, y node) int { return int(x.id - y.id) })
	b.differ = differ
}

// everywhere is no node.
const everywhere = -1

// findEdge looks for the least number that one side does not exceed while the other does; nil where there is none.
func (b *bound) findEdge(blur [2]float64, offset [2]int) *edge {
	var r [2]levels
	for k := range r {
		r[k] = reached(b.sides[k].all.busy, b.once[k])
	}
	for number := 1; number < max(len(r[0]), len(r[1])); number++ {
		for k := range r {
			often := func(number int) bool { // on the higher side, and not by errors
				return r[k].times(number) >= max(edgeReached, max(edgeShare, 3*blur[k])*r[k].times(number-1))
			}
			if l := b.sides[k].all.limit(b.once[k]); l.known() && l.witnesses >= fewestWitnesses && l.value <= number {
				continue // its own requests say that it does not reach more
			}
			if !often(number+1) || !isEdge(r[k], r[1-k], number, blur[1-k]) {
				continue
			}
			e := &edge{number: number, higher: k, level: number + 1, offset: offset}
			for often(e.level + 1) {
				e.level++
			}
			if v := e.values(); v[0] == v[1] {
				return nil
			}
			return e
		}
	}
	return nil
}

// isEdge reports whether the lower side, whose instants blur so many, reaches a number as the higher side does and then no more.
func isEdge(high, low levels, number int, blur float64) bool {
	expected := expected(high, low, number)
	return blur <= edgeBlur && low.times(number) >= edgeAlike*high.times(number) && expected >= edgeExpected &&
		low.times(number+1) <= min(edgeLeft*expected, max(1, 2*blur*low.times(number)))
}

// expected is how many of the lower side would exceed a number if as large a share did as on the higher one.
func expected(high, low levels, number int) float64 {
	return low.times(number) * high.times(number+1) / max(1, high.times(number))
}

// values are the limits of both sides, as far as they are known.
func (e *edge) values() [2]int {
	v := [2]int{e.number, e.number}
	v[e.higher] = e.level
	return [2]int{v[0] - e.offset[0], v[1] - e.offset[1]}
}

// apart is how much higher the limits of B are, mean of the nodes that differ, as resampled: 0 where an edge is not there, NaN
// where a resample has nobody of these nodes who was limited.
func (b *bound) apart(x, y *weights) float64 {
	if e := b.edge; e != nil {
		w := [2]*weights{x, y}
		high, low := reached(b.sides[e.higher].all.busy, w[e.higher]), reached(b.sides[1-e.higher].all.busy, w[1-e.higher])
		if low.times(e.number+1) > 2*edgeLeft*expected(high, low, e.number) {
			return 0
		}
		v := e.values()
		return float64(v[1] - v[0])
	}
	sum, weight := 0.0, 0.0
	for _, n := range b.differ {
		if a, c := b.of(n.id, x, y); min(a.witnesses, c.witnesses) > 0 && min(a.say, c.say) >= mostSay {
			sum += n.weight * float64(c.value-n.offset[1]-a.value+n.offset[0])
			weight += n.weight
		}
	}
	return sum / weight
}

func (d *room) estimator() estimator {
	return estimator{2, func(a, b *weights, out []float64) {
		out[0], out[1] = d.slots.apart(a, b), d.places.apart(a, b)
	}}
}

func (d *room) causes(e *estimates) []Cause {
	var found []Cause
	for i, b := range []*bound{&d.slots, &d.places} {
		told := slices.DeleteFunc(slices.Clone(e.resampled[i]), math.IsNaN)
		lo, hi := percentiles(told, causeConfidence)
		if 2*len(told) < len(e.resampled[i]) || !differs(lo, hi, 0) {
			continue
		}
		component, says := SlotsCause, "%s execute %s requests at once in A, %s in B"
		switch {
		case b == &d.slots || d.noQueue:
		case b.alone():
			component, says = QueueCause, "%s let %s requests wait in A, %s in B"
		default:
			component, says = QueueCause, "%s hold %s requests in A, %s in B, waiting or executing"
		}
		values, texts := b.limits()
		found = append(found, Cause{Component: component, A: values[0], B: values[1], Lo: lo, Hi: hi, Absolute: true, Direct: math.NaN(),
			Nodes: b.some(), Says: fmt.Sprintf(says, b.who(), texts[0], texts[1])})
	}
	if d.noQueue && len(found) > 1 {
		return found[1:] // the same, of those who found no room: the better evidence
	}
	return found
}

// alone reports whether the limits are those of queues, without the slots.
func (b *bound) alone() bool {
	if b.edge != nil {
		return b.edge.offset[0] > 0
	}
	return !slices.ContainsFunc(b.differ, func(n node) bool { return n.offset[0] == 0 })
}

// some are the nodes that differ; nil where all do that can be judged.
func (b *bound) some() []core.NodeID {
	if b.edge != nil || len(b.differ) == b.judged {
		return nil
	}
	var ids []core.NodeID
	for _, n := range b.differ {
		ids = append(ids, core.NodeID(n.id))
	}
	return ids
}

// who names the nodes that differ.
func (b *bound) who() string {
	switch {
	case len(b.differ) == b.judged:
		return "nodes"
	case len(b.differ) == 1:
		return fmt.Sprintf("1 of %d nodes, node %d, is to", b.judged, b.differ[0].id)
	}
	return fmt.Sprintf("%d of %d nodes", len(b.differ), b.judged)
}

// limits are those of both sides, means of the nodes that differ, and in words.
func (b *bound) limits() (values [2]float64, texts [2]string) {
	if b.edge != nil {
		for k, v := range b.edge.values() {
			values[k], texts[k] = float64(v), fmt.Sprintf("at most %d", v)
		}
		texts[b.edge.higher] = fmt.Sprintf("%d and more", b.edge.values()[b.edge.higher])
		return values, texts
	}
	for k := range values {
		lowest, highest := math.MaxInt, 0
		for _, n := range b.differ {
			v := b.sides[k].nodes[n.id].limit(b.once[k]).value - n.offset[k]
			values[k] += float64(v)
			lowest, highest = min(lowest, v), max(highest, v)
		}
		values[k] /= float64(len(b.differ))
		texts[k] = fmt.Sprintf("at most %d", lowest)
		if lowest < highest {
			texts[k] += fmt.Sprintf(" to %d", highest)
		}
	}
	return values, texts
}

// look collects the evidence of one replication, and says how many waited.
//
// Its beginning and its end are left out, each as long as almost all latencies are: there, requests execute that have no record,
// since they arrived before or had not ended.
func (t *track) look(s span, slots, places *witnesses) (waits int) {
	var latencies []int64
	var first, last *request
	mean := 0.0
	for _, r := range t.at[s.from:s.to] {
		if r == nil {
			continue
		}
		if first == nil {
			first = r
		}
		last = r
		if r.completed() {
			latencies = append(latencies, r.latency)
			mean += float64(r.parts[executing])
		}
	}
	if len(latencies) == 0 {
		return 0
	}
	mean /= float64(len(latencies))
	slices.Sort(latencies)
	margin := latencies[rank(0.99, len(latencies))]
	nodes := t.occupancy(s)
	for i := s.from; i < s.to; i++ {
		r := t.at[i]
		if r == nil {
			continue
		}
		begin := r.arrival + r.before()
		if begin < first.arrival+margin || begin > last.arrival-margin {
			continue
		}
		if r.completed() {
			o, wait := nodes[r.executor], r.parts[waiting]
			if float64(wait) >= 0.1*mean { // less is the hand-over to a free slot
				waits++
				slots.limited(r.executor, seen{o.executing.at(begin + wait/2), i})
			}
			slots.busy(r.executor, seen{o.executing.at(begin + wait + r.parts[executing]/2), i})
			places.busy(r.executor, seen{o.executing.at(begin) + o.waiting.at(begin), i})
		} else if o := nodes[r.node]; o != nil && r.outcome == core.NoRoom && r.hops == 0 && r.retries == 0 {
			places.limited(r.node, seen{o.executing.at(begin) + o.waiting.at(begin), i})
		}
	}
	return waits
}

func (w *witnesses) limited(node int32, s seen) {
	for _, v := range []*evidence{w.of(node), w.all} {
		v.limited = append(v.limited, s)
	}
}

func (w *witnesses) busy(node int32, s seen) {
	for _, v := range []*evidence{w.of(node), w.all} {
		v.busy = append(v.busy, s)
	}
}

func (w *witnesses) of(node int32) *evidence {
	if w.nodes[node] == nil {
		w.nodes[node] = &evidence{}
	}
	return w.nodes[node]
}

// occupied is when requests were at a node.
type occupied struct{ waiting, executing intervals }

type intervals struct{ from, to []int64 } // ascending, each

func (v *intervals) add(from, to int64) {
	v.from, v.to = append(v.from, from), append(v.to, to)
}

// at is how many hold at an instant.
func (v *intervals) at(instant int64) int {
	begun := func(list []int64) int { return sort.Search(len(list), func(i int) bool { return list[i] > instant }) }
	return begun(v.from) - begun(v.to)
}

// occupancy is that of the nodes in one replication.
func (t *track) occupancy(s span) map[int32]*occupied {
	nodes := map[int32]*occupied{}
	for _, r := range t.at[s.from:s.to] {
		if r == nil || !r.completed() {
			continue
		}
		o := nodes[r.executor]
		if o == nil {
			o = &occupied{}
			nodes[r.executor] = o
		}
		begin := r.arrival + r.before()
		start := begin + r.parts[waiting]
		o.waiting.add(begin, start)
		o.executing.add(start, start+r.parts[executing])
	}
	for _, o := range nodes {
		for _, list := range [][]int64{o.waiting.from, o.waiting.to, o.executing.from, o.executing.to} {
			slices.Sort(list)
		}
	}
	return nodes
}
