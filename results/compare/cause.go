package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// What causes a gap is looked for in quantities in which waiting plays no role: where they differ the two sides do so by
// themselves, and not since one of them has more load. A cause is told where the interval of its difference excludes equality and
// the difference is large enough to matter.
const (
	// causeConfidence is that of the intervals of causes: higher than that of metrics, since many are looked at.
	causeConfidence = 0.99
	// leastFactor is how far a factor is from 1 at least.
	leastFactor = 0.01
	// leastDirect is what a time adds to the mean latency at least, as a share of A's.
	leastDirect = 0.005
	// leastShare is by how much the share of forwarded requests, and hops and probes per request, differ at least.
	leastShare = 0.01
	// fewest is how many requests of each side a quantity is taken of at least.
	fewest = 30
)

// The components of causes.
const (
	ServiceCause    = "service-time"
	CallCause       = "call"
	ColdCause       = "cold-start"
	LinkCause       = "link"
	SlotsCause      = "slots"
	QueueCause      = "queue"
	ArrivalsCause   = "arrivals"
	ClientCause     = "client"
	SchedulingCause = "scheduling"
	DecisionsCause  = "decisions"
)

// detector looks for causes of one kind.
type detector interface {
	estimator() estimator
	causes(e *estimates) []Cause
}

// scale is what causes are measured against: A's completed requests and their mean latency in seconds.
type scale struct{ completed, latency float64 }

// matters reports whether what a cause adds to the mean latency is worth telling.
func (s *scale) matters(direct float64) bool { return math.Abs(direct) >= leastDirect*s.latency }

// detectors are those for a pair.
func detectors(p *pair, a, b *ledger) []detector {
	w := once(a.spans)
	s := &scale{w.sum(a.completed), w.sum(a.latency) / w.sum(a.completed) * nanosecond}
	var all []detector
	for f := range p.functions {
		if d := newService(p, s, int32(f)); d != nil {
			all = append(all, d)
		}
	}
	all = append(all, newMessages(p, s), newRoom(p))
	all = append(all, additions(p, a, b, s)...)
	if !p.paired {
		all = append(all, newArrivals(p))
	}
	return all
}

// differs reports whether an interval excludes a value.
func differs(lo, hi, value float64) bool { return lo > value || hi < value }

// ranked orders causes by how much of a gap they can explain, to first order: what they add by themselves and, where they change
// the load, the difference of the waiting in the same direction. Of what limits how many execute or wait at once, the effect is
// all in the waiting (and in the drops): where there is such a cause, the waiting is its.
func ranked(causes []Cause, waits, drops float64) []Cause {
	limited := slices.ContainsFunc(causes, func(c Cause) bool { return c.Component == SlotsCause || c.Component == QueueCause })
	explains := func(c Cause) float64 {
		switch c.Component {
		case SlotsCause, QueueCause:
			return math.Abs(waits) + math.Abs(drops)
		case ArrivalsCause, DecisionsCause:
			if math.IsNaN(c.Direct) {
				return math.Abs(waits)
			}
		case ServiceCause, CallCause, ColdCause:
			if !limited && waits*c.Direct > 0 {
				return math.Abs(c.Direct) + math.Abs(waits)
			}
		}
		return math.Abs(c.Direct)
	}
	slices.SortStableFunc(causes, func(x, y Cause) int { return cmp.Compare(explains(y), explains(x)) })
	return causes
}

// addition is a time that is part of every latency: its mean on both sides.
type addition struct {
	sums, completed [2]column // of A and B
	scale           *scale
	component       string
	says            string // with room for how long, and for more or less
	// Most of the difference of a client's way may be the load generator's lateness, where just one side knows that by itself: the
	// other, a simulation, has it in the way. late is that of A and B; nil: both know it, or it is another time.
	late *[2]float64
}

// additions are those times whose difference is a cause by itself.
func additions(p *pair, a, b *ledger, s *scale) []detector {
	var all []detector
	seconds := func(of func(*request) int64) [2]column {
		f := func(r *request) (float64, bool) { return float64(of(r)) * nanosecond, r.completed() }
		return [2]column{newColumn(p.a, f), newColumn(p.b, f)}
	}
	late := seconds(func(r *request) int64 { return r.late })
	mean := func(c column, of *ledger) float64 { return c[len(c)-1] / of.completed[len(of.completed)-1] }
	lateA, lateB := mean(late[0], a), mean(late[1], b)
	apart := lateA > 0 == (lateB > 0)
	for _, x := range []struct {
		component, says string
		of              func(*request) int64
	}{
		{ClientCause, clientSays, func(r *request) int64 {
			if !apart {
				return r.parts[client]
			}
			return r.parts[client] - r.late
		}},
		{ArrivalsCause, lateSays, func(r *request) int64 {
			if !apart {
				return 0 // it is in the client's way
			}
			return r.late
		}},
		{SchedulingCause, "decisions take %s %s a request in B, probing not counted",
			func(r *request) int64 { return r.parts[scheduling] }},
		{ColdCause, "cold starts take %s %s a request in B", func(r *request) int64 { return r.coldStart }},
	} {
		d := &addition{seconds(x.of), [2]column{a.completed, b.completed}, s, x.component, x.says, nil}
		if x.component == ClientCause && !apart {
			d.late = &[2]float64{lateA, lateB}
		}
		all = append(all, d)
	}
	return all
}

const (
	clientSays = "the client's link takes %s %s in B, both ways together"
	lateSays   = "the load generator sends a request %s %s late in B"
)

func (d *addition) estimator() estimator {
	return estimator{2, func(a, b *weights, out []float64) {
		out[0] = a.sum(d.sums[0]) / a.sum(d.completed[0])
		out[1] = b.sum(d.sums[1]) / b.sum(d.completed[1])
	}}
}

func (d *addition) causes(e *estimates) []Cause {
	direct, lo, hi := e.difference(0, 1, causeConfidence)
	if !d.scale.matters(direct) || !differs(lo, hi, 0) {
		return nil
	}
	component, says, a, b := d.component, d.says, e.value[0], e.value[1]
	if d.late != nil && (d.late[1]-d.late[0])/direct > 0.5 {
		component, says, a, b = ArrivalsCause, lateSays, d.late[0], d.late[1]
	}
	return []Cause{{Component: component, Says: fmt.Sprintf(says, brief(direct), moreOrLess(direct)), Unit: "s", A: a, B: b, Lo: lo, Hi: hi,
		Absolute: true, Direct: direct}}
}

// arrivals are the requests per second of both sides, where these did not get the same ones.
type arrivals struct{ gaps, counts [2]column }

func newArrivals(p *pair) *arrivals {
	d := &arrivals{}
	for k, t := range []*track{p.a, p.b} {
		d.gaps[k], d.counts[k] = make(column, len(t.at)+1), make(column, len(t.at)+1)
		for _, s := range t.spans {
			for i := s.from; i < s.to; i++ {
				gap, count := 0.0, 0.0
				if i > s.from {
					gap, count = float64(t.at[i].arrival-t.at[i-1].arrival)*nanosecond, 1
				}
				d.gaps[k][i+1], d.counts[k][i+1] = d.gaps[k][i]+gap, d.counts[k][i]+count
			}
		}
	}
	return d
}

func (d *arrivals) estimator() estimator {
	return estimator{3, func(a, b *weights, out []float64) {
		out[0] = a.sum(d.counts[0]) / a.sum(d.gaps[0])
		out[1] = b.sum(d.counts[1]) / b.sum(d.gaps[1])
		out[2] = out[1] / out[0]
	}}
}

func (d *arrivals) causes(e *estimates) []Cause {
	lo, hi := e.interval(2, causeConfidence)
	ratio := e.value[2]
	if !(math.Abs(ratio-1) >= leastFactor) || !differs(lo, hi, 1) {
		return nil
	}
	return []Cause{{Component: ArrivalsCause, Says: fmt.Sprintf("%.4g requests a second arrive in B, %.4g in A", e.value[1], e.value[0]),
		Unit: "1/s", A: e.value[0], B: e.value[1], Lo: lo, Hi: hi, Direct: math.NaN()}}
}

// decided is the difference of what was decided: the last cause to name, since decisions follow from loads, which follow from all
// the others. e is of figures(names, a, b).
func decided(names []string, e *estimates) []Cause {
	for _, x := range []struct{ metric, says string }{
		{"forwarded_share", "%[2]s of the requests are forwarded in B, %[1]s in A, and nothing else that is looked at differs"},
		{"hops.mean", "a request is forwarded %[2]s times in B, %[1]s times in A, and nothing else that is looked at differs"},
		{"probes_per_request", "%[2]s peers are probed for a request in B, %[1]s in A, and nothing else that is looked at differs"},
	} {
		i := slices.Index(names, x.metric)
		difference, lo, hi := e.difference(i, len(names)+i, causeConfidence)
		if !(math.Abs(difference) >= leastShare) || !differs(lo, hi, 0) {
			continue
		}
		a, b := e.value[i], e.value[len(names)+i]
		write := func(v float64) string { return fmt.Sprintf("%.3g", v) }
		if slices.Contains(shares, x.metric) {
			write = percent
		}
		return []Cause{{Component: DecisionsCause, Says: fmt.Sprintf(x.says, write(a), write(b)), A: a, B: b, Lo: lo, Hi: hi,
			Absolute: true, Direct: math.NaN()}}
	}
	return nil
}

// standardise weighs the requests of both sides so that strata have the same shares in both, those of A: what differs is then
// not that one side used other nodes more often. Strata that one side lacks are left out. Where they have few requests each,
// all weigh 1.
func standardise[K comparable](p *pair, stratum func(*request) (K, bool)) (a, b func(*request) float64) {
	var counts [2]map[K]float64
	var totals [2]float64
	for k, t := range []*track{p.a, p.b} {
		counts[k] = map[K]float64{}
		for _, r := range t.at {
			if r != nil {
				if s, ok := stratum(r); ok {
					counts[k][s]++
					totals[k]++
				}
			}
		}
	}
	equal := func(r *request) float64 {
		if _, ok := stratum(r); !ok {
			return 0
		}
		return 1
	}
	const each = 5
	if min(totals[0]/float64(len(counts[0])), totals[1]/float64(len(counts[1]))) < each {
		return equal, equal
	}
	a = func(r *request) float64 {
		if s, ok := stratum(r); !ok || counts[1][s] == 0 {
			return 0
		}
		return 1
	}
	b = func(r *request) float64 {
		s, ok := stratum(r)
		if !ok {
			return 0
		}
		return counts[0][s] / totals[0] / (counts[1][s] / totals[1])
	}
	return a, b
}

// weighted is the column of a quantity of requests that weigh so much.
func weighted(t *track, weight, of func(*request) float64) column {
	return newColumn(t, func(r *request) (float64, bool) {
		w := weight(r)
		if w == 0 {
			return 0, false
		}
		return w * of(r), true
	})
}

// brief writes how long a difference is, with about two digits.
func brief(seconds float64) string {
	s := math.Abs(seconds)
	for _, u := range []struct {
		is   float64
		name string
	}{{1, "s"}, {1e-3, "ms"}} {
		if v := s / u.is; v >= 9.95 {
			return fmt.Sprintf("%.0f %s", v, u.name)
		} else if v >= 0.995 {
			return fmt.Sprintf("%.1f %s", v, u.name)
		}
	}
	return fmt.Sprintf("%.0f µs", s*1e6)
}

func moreOrLess(difference float64) string {
	if difference < 0 {
		return "less"
	}
	return "more"
}
