package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// service compares how long executions of one function take, cold ones left out.
//
// Where the time follows the demand it is a straight line: its slope is how long a second of demand takes, its height what a
// call costs beyond that. The lines are fitted by least squares to what is left when outliers are taken out, requests that the
// machine held up for long. Where nobody knows the demand, or the time does not follow it, or all demands are equal, one mean
// is all there is (where they are paired, of the tasks that both completed), and its ratio is called a service time's.
type service struct {
	function string
	scale    *scale
	share    float64 // of A's completed requests
	line     bool
	demand   float64 // mean of A, in seconds; 1 where demands play no role
	sides    [2]serviceColumns
	paired   bool
}

// serviceColumns are the sums of one side.
type serviceColumns struct {
	n, x, y, xx, xy column
	requests, asked column // all requests of the function, and their demands, or 1 each where these play no role
}

// execution is one that is compared, in seconds.
type execution struct{ demand, time float64 }

// follows is the least coefficient of determination of a line that is believed.
const follows = 0.5

// newService returns nil where a side has too few executions.
func newService(p *pair, s *scale, function int32) *service {
	counts := func(r *request) bool { return r.function == function && r.completed() && !r.cold }
	d := &service{function: p.functions[function], scale: s, paired: p.paired}
	tracks := [2]*track{p.a, p.b}
	factors := [2]float64{1, p.factor[function]}
	var lists [2][]execution
	for k, t := range tracks {
		completed := 0
		for _, r := range t.at {
			if r == nil || r.function != function || !r.completed() {
				continue
			}
			completed++
			if !r.cold {
				lists[k] = append(lists[k], execution{float64(r.demand) / factors[k] * nanosecond, float64(r.parts[executing]) * nanosecond})
			}
		}
		if len(lists[k]) < fewest {
			return nil
		}
		if k == 0 {
			d.share = float64(completed) / s.completed
		}
	}
	lines := [2]line{fit(lists[0]), fit(lists[1])}
	told := lines[0].follows && lines[1].follows
	equal := lines[0].equal && lines[1].equal
	d.line = told && !equal
	x := func(k int) func(*request) float64 {
		if !told && !equal {
			return func(*request) float64 { return 1 }
		}
		return func(r *request) float64 { return float64(r.demand) / factors[k] * nanosecond }
	}
	y := func(r *request) float64 { return float64(r.parts[executing]) * nanosecond }
	single := map[*request]bool{} // the other side has nothing to compare it with
	if p.paired && !told {
		for i, r := range p.a.at {
			if s := p.b.at[i]; r == nil || s == nil || !counts(r) || !counts(s) {
				single[r], single[s] = true, true
			}
		}
	}
	warm := func(r *request) (int32, bool) { return r.executor, counts(r) && !single[r] }
	var weights [2]func(*request) float64
	weights[0], weights[1] = standardise(p, warm)
	for k, t := range tracks {
		x := x(k)
		weight := func(r *request) float64 {
			if _, ok := warm(r); !ok || told && lines[k].outlier(execution{x(r), y(r)}) {
				return 0
			}
			return weights[k](r)
		}
		c := &d.sides[k]
		c.n = weighted(t, weight, func(*request) float64 { return 1 })
		c.x, c.y = weighted(t, weight, x), weighted(t, weight, y)
		c.xx = weighted(t, weight, func(r *request) float64 { return x(r) * x(r) })
		c.xy = weighted(t, weight, func(r *request) float64 { return x(r) * y(r) })
		c.requests = newColumn(t, func(r *request) (float64, bool) { return 1, r.function == function })
		c.asked = newColumn(t, func(r *request) (float64, bool) { return x(r), r.function == function })
	}
	all := once(p.a.spans)
	d.demand = all.sum(d.sides[0].x) / all.sum(d.sides[0].n)
	return d
}

// line is what a fit says.
type line struct {
	slope, height float64
	equal         bool    // all demands are known and about the same: there is a mean, and no line
	follows       bool    // the time follows the demand
	far           float64 // distance from the line beyond which an execution is an outlier
}

func (l *line) outlier(e execution) bool { return math.Abs(e.time-l.height-l.slope*e.demand) > l.far }

// fit finds a line that outliers do not bend: its slope is the median of those between the lower and the upper half of the
// demands (H. Theil, "A rank-invariant method of linear and polynomial regression analysis", Proc. Koninklijke Nederlandse
// Akademie van Wetenschappen A 53, 1950, the incomplete method).
func fit(list []execution) line {
	n := len(list)
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b execution) int { return cmp.Compare(a.demand, b.demand) })
	lowest, highest, middle := list[0].demand, list[n-1].demand, list[n/2].demand
	if lowest == 0 {
		return line{}
	}
	if highest-lowest < 0.05*middle {
		return line{equal: true}
	}
	var slopes []float64
	for i := range n / 2 {
		if x := list[i+n/2].demand - list[i].demand; x > 0 {
			slopes = append(slopes, (list[i+n/2].time-list[i].time)/x)
		}
	}
	l := line{slope: quantile(slopes, 0.5)}
	rest := make([]float64, n)
	mean := 0.0
	for i, e := range list {
		rest[i] = e.time - l.slope*e.demand
		mean += e.time / float64(n)
	}
	l.height = quantile(rest, 0.5)
	l.far = 10*(quantile(rest, 0.75)-quantile(rest, 0.25)) + 0.01*mean
	unexplained, total := 0.0, 0.0
	for _, e := range list {
		if !l.outlier(e) {
			off := e.time - l.height - l.slope*e.demand
			unexplained += off * off
			total += (e.time - mean) * (e.time - mean)
		}
	}
	l.follows = l.slope > 0 && unexplained <= (1-follows)*total
	return l
}

// quantile is the one of nearest rank.
func quantile(values []float64, share float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[rank(share, len(sorted))]
}

// of is the slope and the height of the line through what was drawn; without a line, the ratio of the means and 0.
func (c *serviceColumns) of(w *weights, isLine bool) (slope, height float64) {
	n, x, y := w.sum(c.n), w.sum(c.x), w.sum(c.y)
	if !isLine {
		return y / x, 0
	}
	slope = (n*w.sum(c.xy) - x*y) / (n*w.sum(c.xx) - x*x)
	return slope, (y - slope*x) / n
}

// The figures of a service.
const (
	slopeA = iota
	slopeB
	heightA
	heightB
	slopeRatio
	demandRatio
	bothRatio
	serviceFigures
)

func (d *service) estimator() estimator {
	return estimator{serviceFigures, func(a, b *weights, out []float64) {
		out[slopeA], out[heightA] = d.sides[0].of(a, d.line)
		out[slopeB], out[heightB] = d.sides[1].of(b, d.line)
		out[slopeRatio] = out[slopeB] / out[slopeA]
		out[demandRatio] = 1 // where they are paired, slopes are those over A's demand
		if !d.paired {
			x, y := &d.sides[0], &d.sides[1]
			out[demandRatio] = b.sum(y.asked) / b.sum(y.requests) / (a.sum(x.asked) / a.sum(x.requests))
		}
		out[bothRatio] = out[slopeRatio] * out[demandRatio]
	}}
}

func (d *service) causes(e *estimates) []Cause {
	var found []Cause
	clear := func(figure int) bool {
		lo, hi := e.interval(figure, causeConfidence)
		return math.Abs(e.value[figure]-1) >= leastFactor && differs(lo, hi, 1)
	}
	ratio := slopeRatio
	if clear(demandRatio) {
		ratio = bothRatio
	}
	if clear(ratio) {
		lo, hi := e.interval(ratio, causeConfidence)
		time := e.value[slopeA] * d.demand
		found = append(found, Cause{Component: ServiceCause, Function: d.function, Unit: "s", A: time, B: time * e.value[ratio],
			Lo: lo, Hi: hi, Says: fmt.Sprintf("an execution of %s takes %.3g times as long in B", d.function, e.value[ratio]),
			Direct: time * (e.value[ratio] - 1) * d.share})
	}
	if !d.line {
		return found
	}
	more, lo, hi := e.difference(heightA, heightB, causeConfidence)
	if direct := more * d.share; d.scale.matters(direct) && differs(lo, hi, 0) {
		found = append(found, Cause{Component: CallCause, Function: d.function, Unit: "s", A: e.value[heightA], B: e.value[heightB],
			Lo: lo, Hi: hi, Absolute: true, Direct: direct,
			Says: fmt.Sprintf("a call of %s costs %s %s in B, beyond its service time", d.function, brief(more), moreOrLess(more))})
	}
	return found
}
