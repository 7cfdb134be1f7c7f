package compare

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
)

// someRequests makes up requests of which some are dropped and some forwarded.
func someRequests(rng *rand.Rand, n int) []request {
	list := make([]request, n)
	for i := range list {
		r := &list[i]
		r.id, r.arrival, r.node, r.executor = int64(i), int64(i)*1e6, int32(rng.IntN(3)), int32(rng.IntN(3))
		r.outcome, r.probes = core.Completed, int32(rng.IntN(3))
		if r.node != r.executor {
			r.hops = 1
		}
		for k := range r.parts {
			r.parts[k] = rng.Int64N(1e7)
			r.latency += r.parts[k]
		}
		if rng.IntN(10) == 0 {
			r.outcome, r.executor, r.hops = core.NoRoom, int32(core.NoNode), 0
		}
	}
	return list
}

// Metrics are those of the definitions, means over the replications; of a resample those of a sample in which every request is
// as often as it was drawn.
func TestMetrics(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	x := &sample{replications: []replication{{index: 0, requests: someRequests(rng, 300)}, {index: 1, requests: someRequests(rng, 200)}}}
	y := &sample{replications: []replication{{index: 0, requests: someRequests(rng, 250)}}}
	p := &pair{a: newTrack(x), b: newTrack(y)}
	metrics := slices.Concat(standardMetrics, partMetrics, []string{"latency.p75"})
	e := figures(metrics, newLedger(p.a), newLedger(p.b))
	wa, wb := once(p.a.spans), once(p.b.spans)
	out := make([]float64, e.figures)
	for draw := range 5 {
		if draw > 0 {
			wa.draw(rng, 6)
			wb.draw(rng, 6)
		}
		e.of(wa, wb, out)
		for i, m := range metrics {
			for k, want := range []float64{slowly(p.a, wa, m), slowly(p.b, wb, m)} {
				if got := out[k*len(metrics)+i]; math.Abs(got-want) > 1e-12 {
					t.Errorf("draw %d, side %d: %s is %v, want %v", draw, k, m, got, want)
				}
			}
		}
	}
}

// slowly computes a metric from the requests as they were drawn, one by one.
func slowly(tr *track, w *weights, metric string) float64 {
	sum := 0.0
	for _, s := range tr.spans {
		var all, completed []*request
		for p := s.from; p < s.to; p++ {
			for range w.times[p] {
				all = append(all, tr.at[p])
				if tr.at[p].outcome == core.Completed {
					completed = append(completed, tr.at[p])
				}
			}
		}
		mean := func(list []*request, of func(*request) float64) float64 {
			sum := 0.0
			for _, r := range list {
				sum += of(r)
			}
			return sum / float64(len(list))
		}
		count := func(is func(*request) bool) float64 {
			return mean(all, func(r *request) float64 {
				if is(r) {
					return 1
				}
				return 0
			})
		}
		share, percentile := percentileOf(metric)
		part, ofPart := partOf(metric)
		switch {
		case percentile:
			slices.SortFunc(completed, func(a, b *request) int { return int(a.latency - b.latency) })
			sum += float64(completed[int(math.Ceil(share*float64(len(completed))-1e-9))-1].latency) * 1e-9
		case ofPart:
			sum += mean(completed, func(r *request) float64 { return float64(r.parts[part]) * 1e-9 })
		case metric == "latency.mean":
			sum += mean(completed, func(r *request) float64 { return float64(r.latency) * 1e-9 })
		case metric == "drop_rate":
			sum += count(func(r *request) bool { return r.outcome != core.Completed })
		case metric == "forwarded_share":
			sum += count(func(r *request) bool { return r.executor >= 0 && r.executor != r.node })
		case metric == "hops.mean":
			sum += mean(all, func(r *request) float64 { return float64(r.hops) })
		case metric == "probes_per_request":
			sum += mean(all, func(r *request) float64 { return float64(r.probes) })
		default:
			panic(metric)
		}
	}
	return sum / float64(len(tr.spans))
}

// Newcombe's example: 56 of 70 and 48 of 80, of which 95 % intervals are given (table II, method 10).
func TestScoreInterval(t *testing.T) {
	const z = 1.959964
	for _, c := range []struct{ x, n, y, k, lo, hi float64 }{
		{48, 80, 56, 70, 0.0524, 0.3339},
		{3, 10, 9, 10, 0.1705, 0.8090},
		{0, 20, 10, 10, 0.6791, 1.0000},
		{0, 20, 0, 10, -0.1611, 0.2775},
	} {
		lo, hi := score(c.x, c.n, c.y, c.k, z)
		if math.Abs(lo-c.lo) > 1e-4 || math.Abs(hi-c.hi) > 1e-4 {
			t.Errorf("%g/%g - %g/%g: %.4f to %.4f, want %.4f to %.4f", c.y, c.k, c.x, c.n, lo, hi, c.lo, c.hi)
		}
	}
}

// Where nobody was dropped, resampling says that nobody ever is; the interval does not.
func TestNobodyDropped(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	p := &pair{a: trackOf(lognormal(autoregressive(rng, 400, 0), 1e6)), b: trackOf(lognormal(autoregressive(rng, 400, 0), 1e6))}
	a, b := newLedger(p.a), newLedger(p.b)
	names := []string{"drop_rate", "latency.p99", "latency.p99.9"}
	e := bootstrap(p, 5, 200, rng, []estimator{figures(names, a, b)})
	m := metricsOf(names, &e[0], a, b)
	if drops := m[0]; drops.Difference != 0 || math.Abs(drops.Hi-0.0067) > 1e-4 || drops.Lo != -drops.Hi {
		t.Errorf("no drops of 400: %g to %g, want 0.0067 both ways", drops.Lo, drops.Hi) // z^2/(n+z^2)
	}
	for _, m := range m[1:] { // four and no requests beyond it
		if !math.IsNaN(m.Lo) || !math.IsNaN(m.Hi) || math.IsNaN(m.Difference) {
			t.Errorf("%s of 400 requests: %g, from %g to %g; want no interval", m.Name, m.Difference, m.Lo, m.Hi)
		}
	}
}
