package compare

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/floats"
)

// Requests of one run are not independent, so they are resampled in blocks: stretches of requests in order of arrival, drawn
// with replacement on the circle of each replication (D. N. Politis and J. P. Romano, "A circular block-resampling procedure for
// stationary data", in Exploring the Limits of Bootstrap, 1992). Replications are strata: each is resampled to its own length.
// Where the sides are paired, both have the same blocks, so that what is common to the same tasks cancels.
//
// Intervals are percentile intervals of the resampled differences. They respect the range of what they are of, hold for any
// monotone scale of it, and are what is known to work for quantiles of dependent data; BCa would need the jackknife of blocks
// for an acceleration that differences of two like sides hardly have.

// weights say how often each position of a track was drawn.
type weights struct {
	spans []span
	drawn [][]span // of each replication: the stretches that were drawn
	times []int32  // by position
}

// once draws every position once: estimates instead of resamples.
func once(spans []span) *weights {
	w := &weights{spans: spans, drawn: make([][]span, len(spans))}
	for i, s := range spans {
		w.drawn[i] = []span{s}
		w.times = append(w.times, slices.Repeat([]int32{1}, s.len())...)
	}
	return w
}

// draw draws anew, in blocks of a length.
func (w *weights) draw(rng *rand.Rand, block int) {
	clear(w.times)
	for i, s := range w.spans {
		w.drawn[i] = w.drawn[i][:0]
		for left := s.len(); left > 0; {
			n := min(block, left)
			left -= n
			from := s.from + rng.IntN(s.len())
			if over := from + n - s.to; over > 0 {
				w.take(i, span{from, s.to})
				w.take(i, span{s.from, s.from + over})
				continue
			}
			w.take(i, span{from, from + n})
		}
	}
}

func (w *weights) take(i int, s span) {
	w.drawn[i] = append(w.drawn[i], s)
	for p := s.from; p < s.to; p++ {
		w.times[p]++
	}
}

// column is a quantity of every request, as sums up to each position: the sum over a block is one subtraction.
type column []float64

// newColumn makes the column of what of says; requests for which it says false have nothing.
func newColumn(t *track, of func(*request) (float64, bool)) column {
	c := make(column, len(t.at)+1)
	for i, r := range t.at {
		c[i+1] = c[i]
		if r != nil {
			if v, ok := of(r); ok {
				c[i+1] += v
			}
		}
	}
	return c
}

// in is the sum over what was drawn of replication i.
func (w *weights) in(i int, c column) float64 {
	sum := 0.0
	for _, s := range w.drawn[i] {
		sum += c[s.to] - c[s.from]
	}
	return sum
}

// sum is the sum over all that was drawn.
func (w *weights) sum(c column) float64 {
	sum := 0.0
	for i := range w.spans {
		sum += w.in(i, c)
	}
	return sum
}

// estimator computes figures from what was drawn of both sides.
type estimator struct {
	figures int
	of      func(a, b *weights, out []float64)
}

// estimates are the figures of an estimator, and what resampling makes of them.
type estimates struct {
	value     []float64
	resampled [][]float64 // by figure
}

// bootstrap resamples a pair in blocks of a length for all estimators at once.
func bootstrap(p *pair, block, resamples int, rng *rand.Rand, of []estimator) []estimates {
	a, b := once(p.a.spans), once(p.b.spans)
	if p.paired {
		b = a
	}
	all := make([]estimates, len(of))
	out := make([][]float64, len(of))
	for i, e := range of {
		all[i] = estimates{value: make([]float64, e.figures), resampled: make([][]float64, e.figures)}
		out[i] = make([]float64, e.figures)
		e.of(a, b, all[i].value)
	}
	for range resamples {
		a.draw(rng, block)
		if !p.paired {
			b.draw(rng, block)
		}
		for i, e := range of {
			e.of(a, b, out[i])
			for k, v := range out[i] {
				all[i].resampled[k] = append(all[i].resampled[k], v)
			}
		}
	}
	return all
}

// difference is figure y minus figure x, and its percentile interval.
func (e *estimates) difference(x, y int, confidence float64) (value, lo, hi float64) {
	d := make([]float64, len(e.resampled[x]))
	floats.SubTo(d, e.resampled[y], e.resampled[x])
	lo, hi = percentiles(d, confidence)
	return e.value[y] - e.value[x], lo, hi
}

// interval is the percentile interval of a figure.
func (e *estimates) interval(i int, confidence float64) (lo, hi float64) {
	return percentiles(e.resampled[i], confidence)
}

// percentiles are the ends of the interval that leaves out as many values below as above; NaN where more of them are undefined
// than it leaves out.
func percentiles(values []float64, confidence float64) (lo, hi float64) {
	tail := (1 - confidence) / 2
	sorted := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if n := float64(len(values)); len(sorted) == 0 || float64(len(sorted)) < (1-tail)*n {
		return math.NaN(), math.NaN()
	}
	slices.Sort(sorted)
	below := rank(tail, len(sorted))
	return sorted[below], sorted[len(sorted)-1-below]
}

// rank is the index of the nearest rank: of the smallest of n values that at least a share of them do not exceed.
func rank(share float64, n int) int { return min(n, max(1, int(math.Ceil(share*float64(n)-1e-9)))) - 1 }

// fewestBlocks is how many blocks a replication has at least.
const fewestBlocks = 10

// blockLength is the length of a block for a pair, in requests: the median over the replications of what the sides need, the
// longer where they differ.
//
// The rule of Politis and White is applied to the latencies of completed requests, averaged over as many consecutive ones as
// there are entry nodes. A request depends on those that the same node had before, and neighbours in order of arrival are
// mostly at others: their correlations are many and each too small to be told from none. A block is no shorter than one such
// round and than the cube root of the requests, the order of the best length, and no longer than a tenth of them.
func blockLength(p *pair) int {
	var lengths []int
	for i := range max(len(p.a.spans), len(p.b.spans)) {
		length := 0
		for _, t := range []*track{p.a, p.b} {
			if i < len(t.spans) {
				length = max(length, t.blockLength(t.spans[i]))
			}
		}
		lengths = append(lengths, length)
	}
	slices.Sort(lengths)
	return max(1, lengths[len(lengths)/2])
}

func (t *track) blockLength(s span) int {
	var latencies []float64
	nodes := map[int32]bool{}
	for _, r := range t.at[s.from:s.to] {
		if r != nil {
			nodes[r.node] = true
			if r.completed() {
				latencies = append(latencies, float64(r.latency))
			}
		}
	}
	round := max(1, min(len(nodes), len(latencies)/100))
	var means []float64
	for chunk := range slices.Chunk(latencies, round) {
		if len(chunk) == round {
			means = append(means, floats.Sum(chunk)/float64(round))
		}
	}
	length := max(round, int(math.Cbrt(float64(s.len()))))
	if len(means) > 1 {
		length = max(length, int(math.Ceil(politisWhite(means)))*round)
	}
	return min(length, max(1, s.len()/fewestBlocks))
}

// politisWhite is the best length of the blocks of a circular block bootstrap for the mean of a stationary series (D. N. Politis
// and H. White, "Automatic block-length selection for the dependent bootstrap", Econometric Reviews 23(1), 2004, with the
// correction of A. Patton, D. N. Politis and H. White, Econometric Reviews 28(4), 2009).
func politisWhite(series []float64) float64 {
	n := len(series)
	mean := floats.Sum(series) / float64(n)
	covariance := func(lag int) float64 {
		sum := 0.0
		for i := lag; i < n; i++ {
			sum += (series[i] - mean) * (series[i-lag] - mean)
		}
		return sum / float64(n)
	}
	variance := covariance(0)
	if variance == 0 {
		return 1
	}
	// m is the smallest lag after which correlations are negligible, in so many lags one after the other.
	many := max(5, int(math.Ceil(math.Sqrt(math.Log10(float64(n))))))
	most := min(n-1, int(math.Ceil(math.Sqrt(float64(n))))+many)
	negligible := 2 * math.Sqrt(math.Log10(float64(n))/float64(n))
	m, small := 0, 0
	for lag := 1; lag <= most && small < many; lag++ {
		small++
		if math.Abs(covariance(lag)/variance) >= negligible {
			m, small = lag, 0
		}
	}
	width := min(2*max(1, m), most) // of the flat-top window
	spectrum, slope := variance, 0.0
	for lag := 1; lag <= width; lag++ {
		c := 2 * flatTop(float64(lag)/float64(width)) * covariance(lag)
		spectrum += c
		slope += float64(lag) * c
	}
	best := math.Cbrt(1.5*slope*slope/(spectrum*spectrum)) * math.Cbrt(float64(n)) // 2 G^2 / (4/3 g^2)
	return max(1, min(best, math.Ceil(min(3*math.Sqrt(float64(n)), float64(n)/3))))
}

// flatTop is the lag window of Politis and Romano: 1 up to the middle, then down to 0.
func flatTop(t float64) float64 { return min(1, 2*(1-t)) }
