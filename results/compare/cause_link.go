package compare

import (
	"fmt"
	"math"
)

// messages compares how long messages between nodes take: a request's way to a peer and the answer's way back, per hop, of
// requests that no peer refused; and a round of probes, there and back.
type messages struct {
	scale *scale
	ways  [3]way
}

// way is one kind of message.
type way struct {
	part   int
	what   string
	oneWay float64 // how many ways one of them is
	sides  [2]struct{ time, count column }
	known  bool    // both sides have enough of them
	each   float64 // how many a completed request of A has
}

func newMessages(p *pair, s *scale) *messages {
	d := &messages{scale: s, ways: [3]way{
		{part: forwarding, what: "the way of a request to a peer takes", oneWay: 1},
		{part: returning, what: "the way of an answer back from a peer takes", oneWay: 1},
		{part: probing, what: "a round of probes takes", oneWay: 2},
	}}
	for i := range d.ways {
		w := &d.ways[i]
		stratum, count := hop, func(r *request) float64 { return float64(r.hops) }
		if w.part == probing {
			stratum, count = round, func(*request) float64 { return 1 }
		}
		time := func(r *request) float64 { return float64(r.parts[w.part]) * nanosecond }
		a, b := standardise(p, stratum)
		w.known = true
		for k, t := range []*track{p.a, p.b} {
			weight := a
			if k == 1 {
				weight = b
			}
			w.sides[k].time, w.sides[k].count = weighted(t, weight, time), weighted(t, weight, count)
			n := 0
			for _, r := range t.at {
				if r != nil && weight(r) > 0 {
					n++
				}
			}
			w.known = w.known && n >= fewest
		}
		for _, r := range p.a.at {
			if r == nil || !r.completed() {
				continue
			}
			if w.part != probing {
				w.each += float64(r.hops) / s.completed
			} else if r.probes > 0 {
				w.each += 1 / s.completed
			}
		}
	}
	return d
}

// hop is the stratum of a request that was forwarded and not refused: how long that takes depends on from where to where.
func hop(r *request) (key [3]int32, ok bool) {
	return [3]int32{r.node, r.executor, r.hops}, r.completed() && r.hops > 0 && r.retries == 0
}

// round is the stratum of a request for which peers were probed: the more, the longer the last answer takes.
func round(r *request) (key [3]int32, ok bool) {
	return [3]int32{r.probes}, r.completed() && r.probes > 0 && r.retries == 0
}

// The figures of messages: per way A and B, then the mean way of one message.
const (
	messageA       = 6
	messageB       = 7
	messageFigures = 8
)

func (d *messages) estimator() estimator {
	return estimator{messageFigures, func(a, b *weights, out []float64) {
		kinds := 0.0
		out[messageA], out[messageB] = 0, 0
		for i := range d.ways {
			w := &d.ways[i]
			out[2*i] = a.sum(w.sides[0].time) / a.sum(w.sides[0].count)
			out[2*i+1] = b.sum(w.sides[1].time) / b.sum(w.sides[1].count)
			if w.known {
				kinds++
				out[messageA] += out[2*i] / w.oneWay
				out[messageB] += out[2*i+1] / w.oneWay
			}
		}
		out[messageA] /= kinds
		out[messageB] /= kinds
	}}
}

// causes is one cause where all kinds of messages differ by about as much one way; otherwise one for each kind that differs.
func (d *messages) causes(e *estimates) []Cause {
	one, oneLo, oneHi := e.difference(messageA, messageB, causeConfidence)
	var found []Cause
	kinds, alike, all := 0, 0, 0.0
	for i := range d.ways {
		w := &d.ways[i]
		if !w.known {
			continue
		}
		kinds++
		difference, lo, hi := e.difference(2*i, 2*i+1, causeConfidence)
		direct := difference * w.each
		all += one * w.oneWay * w.each
		if !differs(lo, hi, 0) {
			continue
		}
		if math.Abs(difference/w.oneWay-one) <= math.Abs(one)/2 {
			alike++
		}
		if d.scale.matters(direct) {
			found = append(found, Cause{Component: LinkCause, Part: partNames[w.part], Unit: "s", A: e.value[2*i], B: e.value[2*i+1],
				Lo: lo, Hi: hi, Absolute: true, Direct: direct, Says: fmt.Sprintf("%s %s %s in B", w.what, brief(difference), moreOrLess(difference))})
		}
	}
	if kinds > 1 && alike == kinds && d.scale.matters(all) {
		return []Cause{{Component: LinkCause, Unit: "s", A: e.value[messageA], B: e.value[messageB], Lo: oneLo, Hi: oneHi,
			Absolute: true, Direct: all, Says: fmt.Sprintf("a message between nodes takes %s %s in B, one way", brief(one), moreOrLess(one))}}
	}
	return found
}
