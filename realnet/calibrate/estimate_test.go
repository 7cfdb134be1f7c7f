package calibrate

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet/processor"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// A spread has a hundred values that are means of hundredths, whatever the number of samples, and keeps the mean.
func TestSpread(t *testing.T) {
	var times []time.Duration
	for i := range 250 {
		times = append(times, time.Duration((i*101)%250)*time.Microsecond)
	}
	s, err := spreadOf("it", times)
	if err != nil {
		t.Fatal(err)
	}
	if len(s) != 100 || s.Mean() != 124500*time.Nanosecond {
		t.Errorf("%d values with the mean %v, want 100 and 124.5µs", len(s), s.Mean())
	}
	// A hundredth is two and a half values: 0, 1 and half of 2; half of 2, 3 and 4.
	if s[0] != 800*time.Nanosecond || s[1] != 3200*time.Nanosecond || s[99] != 248200*time.Nanosecond {
		t.Errorf("the values are %v, %v ... %v", s[0], s[1], s[99])
	}
	if _, err := spreadOf("it", times[:199]); err == nil {
		t.Error("199 samples make a spread")
	}
}

// What counts by weight counts so, however many samples it has.
func TestSpreadOfWeights(t *testing.T) {
	var w weighted
	w.add(make([]time.Duration, 50), 0.75)
	ones := make([]time.Duration, 300)
	for i := range ones {
		ones[i] = time.Second
	}
	w.add(ones, 0.25)
	s, err := w.spread("it")
	if err != nil {
		t.Fatal(err)
	}
	if s[74] != 0 || s[75] != time.Second || s.Mean() != time.Second/4 {
		t.Errorf("the values around three quarters are %v and %v, the mean %v", s[74], s[75], s.Mean())
	}
}

// Sen's example of 1968 in small: slopes by hand.
func TestSlope(t *testing.T) {
	x, y := []float64{1, 2, 3, 4}, []float64{1, 3, 5, 100} // one value is far off
	m, low, high := slope(x, y, 0.5)
	// 2, 2, 2 between the first three; 33, 48.5 and 95 to the last. C = 0.6745 sqrt(4 3 13/18) = 1.99: ranks 2 and 4 of 0 to 5.
	if m != 17.5 || low != 2 || high != 48.5 {
		t.Errorf("the slope is %v, from %v to %v; want 17.5, from 2 to 48.5", m, low, high)
	}
}

func TestStretch(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sample := func(stretch float64) (demands, times []float64) {
		for range 300 {
			d := 0.01 + 0.09*r.Float64()
			late := 0.0005 * r.ExpFloat64()
			if r.IntN(20) == 0 {
				late += 0.05 // a busy machine
			}
			demands, times = append(demands, d), append(times, 0.0003+late+stretch*d)
		}
		return demands, times
	}
	if s := stretchOf(sample(1)); s != 1 {
		t.Errorf("the stretch of exact times is %v", s)
	}
	if s := stretchOf(sample(1.05)); math.Abs(s-1.05) > 0.002 {
		t.Errorf("the stretch is %v, want 1.05", s)
	}
}

// The test of Mann and Whitney by hand: ranks 1, 2.5 and 5 of 6 sum to 8.5, 2 less than the mean; the variance is 9/12 (7 - 6/30).
func TestDiffer(t *testing.T) {
	want := math.Erfc(2 / math.Sqrt(0.75*6.8) / math.Sqrt2)
	if p := differ([]float64{1, 2, 5}, []float64{2, 3, 9}); math.Abs(p-want) > 1e-12 {
		t.Errorf("p is %v, want %v", p, want)
	}
	if p := differ([]float64{1, 1}, []float64{1, 1}); p != 1 {
		t.Errorf("p of equal constants is %v", p)
	}
}

func TestFactors(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	node := func(n int, f float64) (times []float64) {
		for range n {
			times = append(times, f*math.Exp(0.02*r.NormFloat64()))
		}
		return times
	}
	if f := factors([][]float64{node(80, 1), node(80, 1), nil, node(80, 1.01)}); f != nil {
		t.Errorf("nodes that hardly differ have the factors %v", f)
	}
	f := factors([][]float64{node(80, 1), node(80, 1), nil, node(80, 1.3)})
	if len(f) != 4 || f[2] != 1 || math.Abs(f[3]-1.3) > 0.04 || f[0] != 1 {
		t.Errorf("the factors are %v, want 1.3 for the slow node, and 1 for others, which are most", f)
	}
	if f := factors([][]float64{node(80, 1), node(5, 2)}); f != nil {
		t.Errorf("a node of five times has a factor: %v", f)
	}
}

// The share of a core is what makes the model fit.
func TestCPUOfSlowdown(t *testing.T) {
	var s []scenarios.Slowdown
	for _, n := range []int{1, 2, 4, 8} {
		s = append(s, scenarios.Slowdown{AtOnce: n, Factor: slowed(n, 2, 0.4, 0)})
	}
	if s[1].Factor != 1 || s[3].Factor != 1+0.4*3 {
		t.Errorf("the model says %v", s)
	}
	if share, ok := cpuOf(s, 2); !ok || math.Abs(share-0.4) > 1e-12 {
		t.Errorf("the share is %v, want 0.4", share)
	}
	if share, ok := cpuOf(s, 16); ok {
		t.Errorf("on 16 cores the share of 8 jobs is %v", share)
	}
}

// A model of executions at once on two cores: those beside which others compute take longer, where there are too few cores.
func TestSlowed(t *testing.T) {
	for _, c := range []struct {
		n                int
		cpu, costs, want float64
	}{{1, 1, 0.1, 1}, {2, 1, 0, 1}, {2, 1, 0.1, 1.1}, {4, 1, 0, 2}, {4, 1, 0.1, 2.2}, {8, 0.5, 0, 2.5}, {8, 0, 0.1, 1}} {
		if got := slowed(c.n, 2, c.cpu, c.costs); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%d at once with %v, %v: %v, want %v", c.n, c.cpu, c.costs, got, c.want)
		}
	}
}

// Usage at two rates is divided exactly where it is a line, and what is used without requests bounds the rest.
func TestDivide(t *testing.T) {
	request := processor.Usage{Generator: 300 * time.Microsecond, Nodes: 500 * time.Microsecond, Functions: 6 * time.Millisecond}
	own := processor.Usage{Generator: time.Millisecond, Nodes: 40 * time.Millisecond, Functions: 5 * time.Millisecond}
	at := func(rate float64) processor.Usage { return own.Plus(request.Times(rate)) }
	near := func(a, b processor.Usage) bool {
		d := a.Minus(b)
		return max(d.Generator.Abs(), d.Nodes.Abs(), d.Functions.Abs()) < time.Microsecond
	}
	if r, o := divide(at(16), at(90), 16, 90, own.Times(2)); !near(r, request) || !near(o, own) {
		t.Errorf("it is divided into %v and %v, want %v and %v", r, o, request, own)
	}
	if r, o := divide(at(16), at(90), 16, 90, own.Times(0.5)); !near(r, request) || !near(o, own.Times(0.5)) {
		t.Errorf("with half of that without requests, %v and %v", r, o)
	}
	if _, o := divide(processor.Usage{}, at(90), 16, 90, own); o != (processor.Usage{}) {
		t.Errorf("nodes use %v by themselves, which is less than nothing", o)
	}
}
