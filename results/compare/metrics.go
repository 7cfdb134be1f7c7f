package compare

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/results"
)

// standardMetrics are those that every comparison has. Beyond them it has what a margin names: another percentile of the latency,
// the mean of a part.
var standardMetrics = []string{"latency.mean", "latency.p50", "latency.p90", "latency.p95", "latency.p99", "latency.p99.9",
	"drop_rate", "forwarded_share", "hops.mean", "probes_per_request"}

// shares are the metrics between 0 and 1.
var shares = []string{"drop_rate", "forwarded_share"}

const latencyPercentile = "latency.p"

// percentileOf is the share that latency.p95 names: 0.95.
func percentileOf(metric string) (share float64, ok bool) {
	digits, ok := strings.CutPrefix(metric, latencyPercentile)
	p, err := strconv.ParseFloat(digits, 64)
	return p / 100, ok && err == nil && p > 0 && p < 100
}

// partOf is the part that waiting.mean is the mean of.
func partOf(metric string) (part int, ok bool) {
	name, ok := strings.CutSuffix(metric, ".mean")
	part = slices.Index(partNames[:], name)
	return part, ok && part >= 0
}

// unitOf is the unit of a metric of a comparison: s, or empty.
func unitOf(metric string) string {
	_, percentile := percentileOf(metric)
	_, part := partOf(metric)
	if percentile || part || metric == "latency.mean" {
		return "s"
	}
	return ""
}

const nanosecond = 1e-9 // in seconds

// ledger has the columns of one side.
type ledger struct {
	spans                                      []span
	requests, completed, latency               column
	dropped, forwarded, hops, probes           column
	parts                                      [numParts]column
	ascending                                  [][]arrived // latencies of completed requests, of each replication
	completedCount, droppedCount, forwardCount int
}

// arrived is a latency of the request at a position.
type arrived struct {
	latency int64
	at      int32
}

func newLedger(t *track) *ledger {
	l := &ledger{spans: t.spans}
	ofAll := func(of func(*request) float64) column {
		return newColumn(t, func(r *request) (float64, bool) { return of(r), true })
	}
	ofCompleted := func(of func(*request) float64) column {
		return newColumn(t, func(r *request) (float64, bool) { return of(r), r.completed() })
	}
	one := func(is bool) float64 {
		if is {
			return 1
		}
		return 0
	}
	l.requests = ofAll(func(*request) float64 { return 1 })
	l.completed = ofCompleted(func(*request) float64 { return 1 })
	l.latency = ofCompleted(func(r *request) float64 { return float64(r.latency) })
	l.dropped = ofAll(func(r *request) float64 { return one(!r.completed()) })
	l.forwarded = ofAll(func(r *request) float64 { return one(r.executor != int32(core.NoNode) && r.executor != r.node) })
	l.hops = ofAll(func(r *request) float64 { return float64(r.hops) })
	l.probes = ofAll(func(r *request) float64 { return float64(r.probes) })
	for k := range l.parts {
		l.parts[k] = ofCompleted(func(r *request) float64 { return float64(r.parts[k]) })
	}
	for _, s := range t.spans {
		var list []arrived
		for i, r := range t.at[s.from:s.to] {
			if r != nil && r.completed() {
				list = append(list, arrived{r.latency, int32(s.from + i)})
			}
		}
		slices.SortFunc(list, func(a, b arrived) int { return cmp.Compare(a.latency, b.latency) })
		l.ascending = append(l.ascending, list)
	}
	last := func(c column) int { return int(c[len(c)-1]) }
	l.completedCount, l.droppedCount, l.forwardCount = last(l.completed), last(l.dropped), last(l.forwarded)
	return l
}

// mean is a metric that is a sum over a count, in replication i.
func (l *ledger) mean(metric string, w *weights, i int) float64 {
	if part, ok := partOf(metric); ok {
		return w.in(i, l.parts[part]) / w.in(i, l.completed) * nanosecond
	}
	switch metric {
	case "latency.mean":
		return w.in(i, l.latency) / w.in(i, l.completed) * nanosecond
	case "drop_rate":
		return w.in(i, l.dropped) / w.in(i, l.requests)
	case "forwarded_share":
		return w.in(i, l.forwarded) / w.in(i, l.requests)
	case "hops.mean":
		return w.in(i, l.hops) / w.in(i, l.requests)
	case "probes_per_request":
		return w.in(i, l.probes) / w.in(i, l.requests)
	}
	panic("compare: there is no metric " + metric)
}

// percentiles are the latencies, in seconds, of nearest rank for ascending shares, in replication i.
func (l *ledger) percentiles(shares []float64, w *weights, i int, out []float64) {
	total := w.in(i, l.completed)
	if total == 0 {
		for k := range shares {
			out[k] = math.NaN()
		}
		return
	}
	k, below := 0, 0
	next := rank(shares[0], int(total))
	for _, v := range l.ascending[i] {
		below += int(w.times[v.at])
		for below > next {
			out[k] = float64(v.latency) * nanosecond
			if k++; k == len(shares) {
				return
			}
			next = rank(shares[k], int(total))
		}
	}
}

// figures computes metrics of both sides: those of A first, then those of B. As in a summary each is the mean over
// the replications that have it.
func figures(metrics []string, a, b *ledger) estimator {
	var means, percentiles []int // indices
	for i, m := range metrics {
		if _, ok := percentileOf(m); ok {
			percentiles = append(percentiles, i)
		} else {
			means = append(means, i)
		}
	}
	share := func(i int) float64 {
		s, _ := percentileOf(metrics[i])
		return s
	}
	slices.SortFunc(percentiles, func(i, j int) int { return cmp.Compare(share(i), share(j)) })
	ascending := make([]float64, len(percentiles))
	for k, i := range percentiles {
		ascending[k] = share(i)
	}
	values, counts := make([]float64, len(percentiles)), make([]float64, len(metrics))
	side := func(l *ledger, w *weights, out []float64) {
		clear(out)
		clear(counts)
		add := func(m int, v float64) {
			if !math.IsNaN(v) {
				out[m] += v
				counts[m]++
			}
		}
		for i := range l.spans {
			for _, m := range means {
				add(m, l.mean(metrics[m], w, i))
			}
			if len(percentiles) > 0 {
				l.percentiles(ascending, w, i, values)
				for k, m := range percentiles {
					add(m, values[k])
				}
			}
		}
		for m := range out {
			out[m] /= counts[m] // NaN where no replication has it
		}
	}
	n := len(metrics)
	return estimator{2 * n, func(x, y *weights, out []float64) {
		side(a, x, out[:n])
		side(b, y, out[n:])
	}}
}

// metricsOf are the metrics with their intervals; e is of figures(names, a, b).
func metricsOf(names []string, e *estimates, a, b *ledger) []Metric {
	list := make([]Metric, len(names))
	for i, name := range names {
		m := Metric{Name: name, Unit: unitOf(name), A: e.value[i], B: e.value[len(names)+i], Margin: math.NaN()}
		m.Difference, m.Lo, m.Hi = e.difference(i, len(names)+i, Confidence)
		if share, ok := percentileOf(name); ok && !(a.reaches(share) && b.reaches(share)) {
			m.Lo, m.Hi = math.NaN(), math.NaN()
		}
		switch name {
		case "drop_rate":
			m.widen(a.droppedCount, b.droppedCount, a, b)
		case "forwarded_share":
			m.widen(a.forwardCount, b.forwardCount, a, b)
		}
		list[i] = m
	}
	return list
}

// reaches reports whether enough requests are beyond a percentile for its interval, in every replication: a resample's percentile
// never exceeds the longest latency that there was, so that with fewer the interval would end too early.
func (l *ledger) reaches(share float64) bool {
	for _, list := range l.ascending {
		if !results.Reaches(len(list), share) {
			return false
		}
	}
	return len(l.ascending) > 0
}

// rare is how many requests have to be in a share, and out of it, for resampling to tell how it varies.
const rare = 10

// widen makes the interval of a share at least as wide as the one for independent requests, where so few are in it (or out of
// it) that resampling says too little: nothing at all where nobody was dropped. That is the score interval (R. G. Newcombe,
// "Interval estimation for the difference between independent proportions", Statistics in Medicine 17(8), 1998, method 10).
func (m *Metric) widen(x, y int, a, b *ledger) {
	n, k := a.count(), b.count()
	if min(x, n-x, y, k-y) >= rare || n == 0 || k == 0 {
		return
	}
	z := distuv.UnitNormal.Quantile(1 - (1-Confidence)/2)
	lo, hi := score(float64(x), float64(n), float64(y), float64(k), z)
	m.Lo, m.Hi = min(m.Lo, lo), max(m.Hi, hi)
}

// score is the interval of y/k - x/n.
func score(x, n, y, k, z float64) (lo, hi float64) {
	p, q := x/n, y/k
	pl, pu := wilson(p, n, z)
	ql, qu := wilson(q, k, z)
	return q - p - math.Hypot(q-ql, pu-p), q - p + math.Hypot(qu-q, p-pl)
}

// count is the number of requests.
func (l *ledger) count() int { return l.completedCount + l.droppedCount }

// wilson is the score interval of a share p of n (E. B. Wilson, J. American Statistical Association 22, 1927).
func wilson(p, n, z float64) (lo, hi float64) {
	middle := p + z*z/(2*n)
	half := z * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return (middle - half) / (1 + z*z/n), (middle + half) / (1 + z*z/n)
}
