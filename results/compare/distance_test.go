package compare

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// apartBy are the distances of two samples.
func apartBy(x, y []float64) [numDistances]float64 {
	var p pooled
	for i, v := range x {
		p = append(p, pooledValue{value: v, at: int32(i)})
	}
	for i, v := range y {
		p = append(p, pooledValue{value: v, at: int32(i), b: true})
	}
	p.sort()
	d, _ := p.distances(slices.Repeat([]int32{1}, len(x)), slices.Repeat([]int32{1}, len(y)))
	return d
}

// statistic is Anderson and Darling's A^2, of which the distance is a multiple.
func statistic(x, y []float64) float64 {
	n, m := float64(len(x)), float64(len(y))
	return apartBy(x, y)[andersonDarling] * n * m / (n + m)
}

// Examples by hand.
func TestDistances(t *testing.T) {
	for _, c := range []struct {
		x, y   []float64
		ks, w1 float64
	}{
		{[]float64{1, 2, 3}, []float64{1, 2, 3}, 0, 0},
		{[]float64{1, 2, 3}, []float64{4, 5, 6}, 1, 3},
		{[]float64{1, 2, 3, 4}, []float64{3, 4, 5, 6}, 0.5, 2},
		{[]float64{0, 1}, []float64{0, 0, 1, 3}, 0.25, 0.5},      // |F-G|: 0 on [0,1), 1/4 on [1,3)
		{[]float64{1, 1, 2}, []float64{1, 2, 2}, 1. / 3, 1. / 3}, // ties
		{[]float64{2}, []float64{1, 3}, 0.5, 1},
	} {
		d := apartBy(c.x, c.y)
		if math.Abs(d[kolmogorovSmirnov]-c.ks) > 1e-12 || math.Abs(d[wasserstein]-c.w1) > 1e-12 {
			t.Errorf("%v and %v: Kolmogorov-Smirnov %g, Wasserstein %g; want %g, %g", c.x, c.y, d[kolmogorovSmirnov], d[wasserstein], c.ks, c.w1)
		}
		if back := apartBy(c.y, c.x); math.Abs(back[andersonDarling]-d[andersonDarling]) > 1e-12 || back[kolmogorovSmirnov] != d[kolmogorovSmirnov] {
			t.Errorf("%v and %v are not as far apart as the other way round: %v, %v", c.x, c.y, d, back)
		}
	}
	// A^2 of {1} and {2}: (N-1)/N (1/n + 1/m) sum l/N (N M - n B)^2 / (B (N-B) - N l/4) with B = 1/2, 3/2 and M = 1/2, 1.
	if got, want := statistic([]float64{1}, []float64{2}), 0.5*2*(0.5*0.25/0.25+0.5*0.25/0.25); math.Abs(got-want) > 1e-12 {
		t.Errorf("A^2 of 1 and 2 is %g, want %g", got, want)
	}
}

// Scholz and Stephens' example, the smoothness of paper as four laboratories measured it, has ties, and A^2 = 8.3926 of all
// four. That statistic is the sum over the samples of (1 - n/N) A^2 of each and all others.
func TestAndersonDarlingPublished(t *testing.T) {
	laboratories := [][]float64{
		{38.7, 41.5, 43.8, 44.5, 45.5, 46.0, 47.7, 58.0},
		{39.2, 39.3, 39.7, 41.4, 41.8, 42.9, 43.3, 45.8},
		{34.0, 35.0, 39.0, 40.0, 43.0, 43.0, 44.0, 45.0},
		{34.0, 34.8, 34.8, 35.4, 37.2, 37.8, 41.2, 42.8},
	}
	sum := 0.0
	for i, x := range laboratories {
		var others []float64
		for k, y := range laboratories {
			if k != i {
				others = append(others, y...)
			}
		}
		sum += 0.75 * statistic(x, others)
	}
	if math.Abs(sum-8.3926) > 5e-5 {
		t.Errorf("A^2 is %.4f, want 8.3926", sum)
	}
}

// The distance of Anderson and Darling does not grow with the samples. That of uniform variates on [0, 1] and [0, 2] is known:
// F-G is x/2 up to 1, then 1-x/2, H 3x/4, then 1/2+x/4.
func TestAndersonDarlingDistance(t *testing.T) {
	want, steps := 0.0, 200000
	for i := range steps {
		x := 2 * (float64(i) + 0.5) / float64(steps)
		f, h, density := x/2, 0.75*x, 0.75
		if x > 1 {
			f, h, density = 1-x/2, 0.5+x/4, 0.25
		}
		want += f * f / (h * (1 - h)) * density * 2 / float64(steps)
	}
	for _, n := range []int{1000, 20000} {
		x, y := make([]float64, n), make([]float64, n)
		for i := range n {
			x[i], y[i] = (float64(i)+0.5)/float64(n), 2*(float64(i)+0.5)/float64(n)
		}
		if got := apartBy(x, y)[andersonDarling]; math.Abs(got/want-1) > 0.01 {
			t.Errorf("%d values: %.4f, want %.4f", n, got, want)
		}
	}
}

// Resampled distances are those of the samples in which each value is as often as it was drawn.
func TestDistancesOfResamples(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	p := &pair{a: trackOf(lognormal(autoregressive(rng, 60, 0.5), 1e6)), b: trackOf(lognormal(autoregressive(rng, 40, 0.5), 2e6))}
	pooled := pool(newLedger(p.a), newLedger(p.b))
	wa, wb := once(p.a.spans), once(p.b.spans)
	wa.draw(rng, 5)
	wb.draw(rng, 5)
	repeat := func(t *track, w *weights) (list []float64) {
		for i, r := range t.at {
			for range w.times[i] {
				list = append(list, float64(r.latency)*nanosecond)
			}
		}
		return list
	}
	got, _ := pooled.distances(wa.times, wb.times)
	want := apartBy(repeat(p.a, wa), repeat(p.b, wb))
	for i := range got {
		if math.Abs(got[i]-want[i]) > 1e-12 {
			t.Errorf("%s: %g, want %g", distanceNames[i], got[i], want[i])
		}
	}
	if d, _ := pooled.distances(make([]int32, 60), wb.times); !math.IsNaN(d[wasserstein]) {
		t.Errorf("nothing was drawn of A: %v, want NaN", d)
	}
}

// Of equal distributions the interval of a distance reaches down to 0; of different ones it holds the true distance, and not what
// chance makes of it.
func TestDistanceIntervals(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	const n, runs = 2000, 30
	zero, holds, above := 0, 0, 0
	for range runs {
		sample := func(scale float64) *track { return trackOf(lognormal(autoregressive(rng, n, 0.5), scale)) }
		of := func(b *track) []Distance {
			p := &pair{a: sample(1e8), b: b}
			block := blockLength(p)
			e := bootstrap(p, block, 100, rng, []estimator{pool(newLedger(p.a), newLedger(p.b)).estimator()})
			return distancesOf(&e[0])
		}
		if d := of(sample(1e8))[wasserstein]; d.Lo < 1e-3 {
			zero++
		}
		d := of(sample(1.2e8))[wasserstein]
		if truth := 0.02 * math.Exp(0.125); d.Lo <= truth && truth <= d.Hi { // distributions that differ by a factor: the difference of the means
			holds++
		}
		if d.Lo > d.Chance {
			above++
		}
	}
	if zero < runs*8/10 || holds < runs*8/10 || above < runs*8/10 {
		t.Errorf("of %d: %d reach 0, %d hold the truth, %d are above chance", runs, zero, holds, above)
	}
}

// Of equal distributions about one distance in twenty is above what chance makes of it, whether or not requests depend on each
// other and the sides have the same tasks; of different ones most are.
func TestChance(t *testing.T) {
	const n, runs, resamples = 1000, 100, 100
	rng := rand.New(rand.NewPCG(7, 7))
	var alarms [numDistances]int // of equal distributions
	for _, c := range []struct {
		correlation float64
		paired      bool
		scale       float64
		least, most int // of the runs
	}{
		{0, false, 1, 0, 12}, // three standard deviations beyond 5
		{0.5, false, 1, 0, 12},
		{0.5, true, 1, 0, 12},
		{0.5, false, 1.2, 90, runs},
		{0.5, true, 1.1, 90, runs},
	} {
		var above [numDistances]int
		for range runs {
			x, y := autoregressive(rng, n, c.correlation), autoregressive(rng, n, c.correlation)
			if c.paired {
				y = mix(x, y, 0.8)
			}
			p := &pair{a: trackOf(lognormal(x, 1e8)), b: trackOf(lognormal(y, 1e8*c.scale)), paired: c.paired}
			e := bootstrap(p, blockLength(p), resamples, rng, []estimator{pool(newLedger(p.a), newLedger(p.b)).estimator()})
			for i, d := range distancesOf(&e[0]) {
				if d.Value > d.Chance {
					above[i]++
				}
			}
		}
		for i, k := range above {
			if c.scale == 1 {
				alarms[i] += k
			}
			if k < c.least || k > c.most {
				t.Errorf("correlation %g, paired %t, B %g times as long: %d of %d distances of %s are above chance, want %d to %d", c.correlation,
					c.paired, c.scale, k, runs, distanceNames[i], c.least, c.most)
			}
		}
	}
	for i, k := range alarms {
		if k < 4 { // of 300 runs: 15 are expected
			t.Errorf("%d of %d distances of %s between equal distributions are above chance: one in twenty is to be", k, 3*runs, distanceNames[i])
		}
	}
}
