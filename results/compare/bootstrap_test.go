package compare

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
)

// trackOf makes a track of completed requests with such latencies, in nanoseconds, all of one node.
func trackOf(replications ...[]float64) *track {
	t := &track{}
	for _, latencies := range replications {
		from := len(t.at)
		for _, v := range latencies {
			t.at = append(t.at, &request{outcome: core.Completed, latency: int64(v)})
		}
		t.spans = append(t.spans, span{from, len(t.at)})
	}
	return t
}

// autoregressive is a stationary series of the first order with standard normal marginals.
func autoregressive(rng *rand.Rand, n int, correlation float64) []float64 {
	x := make([]float64, n)
	x[0] = rng.NormFloat64()
	for i := 1; i < n; i++ {
		x[i] = correlation*x[i-1] + math.Sqrt(1-correlation*correlation)*rng.NormFloat64()
	}
	return x
}

func lognormal(x []float64, scale float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = scale * math.Exp(0.5*v)
	}
	return y
}

func mix(x, y []float64, share float64) []float64 {
	z := make([]float64, len(x))
	for i := range x {
		z[i] = math.Sqrt(share)*x[i] + math.Sqrt(1-share)*y[i]
	}
	return z
}

// Of a dependent process whose differences are known, about as many intervals hold the truth as they say; of a bootstrap of
// single requests, clearly fewer.
func TestCoverage(t *testing.T) {
	const n = 1000
	runs := 240
	if testing.Short() {
		runs = 24
	}
	luck := func(share float64) float64 { return 3 * math.Sqrt(share*(1-share)/float64(runs)) } // three standard deviations
	metrics := []string{"latency.mean", "latency.p50", "latency.p95"}
	// B is 1.1 times as long as A, whose latencies are exp(Z/2) milliseconds with Z standard normal.
	truth := []float64{1e-4 * math.Exp(0.125), 1e-4, 1e-4 * math.Exp(0.5*1.6448536)}
	for _, paired := range []bool{false, true} {
		rng := rand.New(rand.NewPCG(1, 2))
		blocks, single := make([]int, len(metrics)), make([]int, len(metrics))
		for range runs {
			x, y := autoregressive(rng, n, 0.6), autoregressive(rng, n, 0.6)
			if paired {
				y = mix(x, y, 0.8)
			}
			p := &pair{a: trackOf(lognormal(x, 1e6)), b: trackOf(lognormal(y, 1.1e6)), paired: paired}
			a, b := newLedger(p.a), newLedger(p.b)
			covers := func(block int, counts []int) {
				e := bootstrap(p, block, 200, rng, []estimator{figures(metrics, a, b)})
				for i := range metrics {
					if _, lo, hi := e[0].difference(i, len(metrics)+i, Confidence); lo <= truth[i] && truth[i] <= hi {
						counts[i]++
					}
				}
			}
			covers(blockLength(p), blocks)
			covers(1, single)
		}
		for i, m := range metrics {
			if share := float64(blocks[i]) / float64(runs); math.Abs(share-0.9) > luck(0.9) {
				t.Errorf("paired %t: the interval of %s holds the truth in %.0f %% of the runs, want 90 %%", paired, m, 100*share)
			}
		}
		if share := float64(single[0]) / float64(runs); share > 0.6+luck(0.6) {
			t.Errorf("paired %t: without blocks the interval of the mean holds the truth in %.0f %% of the runs: why blocks?", paired, 100*share)
		}
	}
}

// What is drawn has the length of each replication, in stretches on its circle, and no position is preferred.
func TestDraw(t *testing.T) {
	spans := []span{{0, 10}, {10, 33}}
	w := once(spans)
	sum := make([]float64, 33)
	rng := rand.New(rand.NewPCG(3, 4))
	const draws = 20000
	for range draws {
		w.draw(rng, 4)
		for i, s := range spans {
			n, lengths := 0, 0
			for p := s.from; p < s.to; p++ {
				n += int(w.times[p])
				sum[p] += float64(w.times[p])
			}
			for _, d := range w.drawn[i] {
				lengths += d.len()
				if d.from < s.from || d.to > s.to || d.len() > 4 {
					t.Fatalf("drew %v of %v", d, s)
				}
			}
			if n != s.len() || lengths != s.len() {
				t.Fatalf("drew %d positions in stretches of %d of a replication of %d", n, lengths, s.len())
			}
		}
	}
	for p, v := range sum {
		if math.Abs(v/draws-1) > 0.05 {
			t.Errorf("position %d was drawn %.3f times in the mean, want once", p, v/draws)
		}
	}
}

// A sum over blocks is the sum over positions, as often as they were drawn.
func TestColumn(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	tr := trackOf(lognormal(autoregressive(rng, 50, 0.5), 1e6), lognormal(autoregressive(rng, 30, 0.5), 1e6))
	tr.at[7], tr.at[79] = nil, nil
	c := newColumn(tr, func(r *request) (float64, bool) { return float64(r.latency), r.latency > 9e5 })
	w := once(tr.spans)
	for range 20 {
		w.draw(rng, 7)
		for i, s := range tr.spans {
			want := 0.0
			for p := s.from; p < s.to; p++ {
				if r := tr.at[p]; r != nil && r.latency > 9e5 {
					want += float64(w.times[p]) * float64(r.latency)
				}
			}
			if got := w.in(i, c); got != want {
				t.Fatalf("replication %d: %v, want %v", i, got, want)
			}
		}
	}
}

// For an autoregressive process of the first order the best length is known: G = 2r/(1-r)^2 and g = (1+r)/(1-r) in units of the
// variance, hence (3/2 (2r/(1-r^2))^2 n)^(1/3).
func TestPolitisWhite(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, r := range []float64{0.3, 0.5, 0.8} {
		const n, runs = 10000, 20
		want := math.Cbrt(1.5 * math.Pow(2*r/(1-r*r), 2) * n)
		sum := 0.0
		for range runs {
			sum += politisWhite(autoregressive(rng, n, r))
		}
		if got := sum / runs; math.Abs(got/want-1) > 0.15 {
			t.Errorf("correlation %g: blocks of %.1f in the mean, want %.1f", r, got, want)
		}
	}
	sum := 0.0
	for range 20 {
		sum += politisWhite(autoregressive(rng, 10000, 0))
	}
	if sum/20 > 4 {
		t.Errorf("independent values: blocks of %.1f in the mean", sum/20)
	}
	if got := politisWhite(make([]float64, 100)); got != 1 {
		t.Errorf("equal values: blocks of %g, want 1", got)
	}
}

// Requests that depend on the one before at their own node, of 12, need blocks 12 times as long as at one node.
func TestBlockLengthOfManyNodes(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	const nodes, each = 12, 1000
	var series [nodes][]float64
	for k := range series {
		series[k] = autoregressive(rng, each, 0.8)
	}
	one := trackOf(lognormal(series[0], 1e6))
	all := &track{spans: []span{{0, nodes * each}}}
	for i := range each {
		for k := range series {
			all.at = append(all.at, &request{outcome: core.Completed, node: int32(k), latency: int64(1e6 * math.Exp(0.5*series[k][i]))})
		}
	}
	short, long := one.blockLength(one.spans[0]), all.blockLength(all.spans[0])
	if ratio := float64(long) / float64(short); ratio < nodes/2 || ratio > nodes*2 {
		t.Errorf("blocks of %d requests at one node and %d at %d", short, long, nodes)
	}
}

func TestBlockLengthBounds(t *testing.T) {
	few := trackOf([]float64{1, 2, 3})
	if got := few.blockLength(few.spans[0]); got != 1 {
		t.Errorf("three requests: blocks of %d", got)
	}
	trend := make([]float64, 200)
	for i := range trend {
		trend[i] = float64(i)
	}
	long := trackOf(trend)
	if got := long.blockLength(long.spans[0]); got != 200/fewestBlocks {
		t.Errorf("a trend: blocks of %d, want %d", got, 200/fewestBlocks)
	}
}

func TestPercentiles(t *testing.T) {
	values := make([]float64, 100)
	for i := range values {
		values[i] = float64(100 - i)
	}
	if lo, hi := percentiles(values, 0.9); lo != 5 || hi != 96 { // 4 are below, 4 above
		t.Errorf("%g to %g, want 5 to 96", lo, hi)
	}
	for i := range 6 {
		values[i] = math.NaN()
	}
	if lo, hi := percentiles(values, 0.9); !math.IsNaN(lo) || !math.IsNaN(hi) {
		t.Errorf("%g to %g of values of which more than 5 %% are undefined, want none", lo, hi)
	}
}
