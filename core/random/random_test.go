package random

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestStreamsDifferByEveryPartOfTheKey(t *testing.T) {
	seen := map[uint64]string{}
	purposes := []string{Arrivals, Demand, Network, Algorithm, Learner, Faults, Topology}
	for seed := uint64(0); seed < 4; seed++ {
		for rep := range 4 {
			for _, p := range purposes {
				for node := range 40 {
					key := fmt.Sprint(seed, rep, p, node)
					first := Stream(seed, rep, p, node).Uint64()
					if other, ok := seen[first]; ok {
						t.Fatalf("streams %s and %s begin alike", key, other)
					}
					seen[first] = key
					if again := Stream(seed, rep, p, node).Uint64(); again != first {
						t.Fatalf("stream %s gave %x, then %x", key, first, again)
					}
				}
			}
		}
	}
}

// Streams of neighbouring keys are uncorrelated: the correlation of n pairs has standard deviation 1/sqrt(n).
func TestStreamsAreUncorrelated(t *testing.T) {
	const n = 20000
	draw := func(seed uint64, rep int, p string, node int) []float64 {
		r := rand.New(Stream(seed, rep, p, node))
		x := make([]float64, n)
		for i := range x {
			x[i] = Unit(r) - 0.5
		}
		return x
	}
	base := draw(1, 0, Arrivals, 0)
	for name, other := range map[string][]float64{
		"seed":        draw(2, 0, Arrivals, 0),
		"replication": draw(1, 1, Arrivals, 0),
		"purpose":     draw(1, 0, Demand, 0),
		"node":        draw(1, 0, Arrivals, 1),
	} {
		for lag := range 3 {
			sum := 0.0
			for i := lag; i < n; i++ {
				sum += base[i-lag] * other[i]
			}
			if c := sum * 12 / n; math.Abs(c) > 4/math.Sqrt(n) {
				t.Errorf("streams that differ in %s correlate at lag %d: %.4f", name, lag, c)
			}
		}
	}
}

func TestKeyIsAFunctionOfEveryPart(t *testing.T) {
	base := Key(1, 2, Demand, 3, 4)
	for i, k := range []uint64{Key(2, 2, Demand, 3, 4), Key(1, 3, Demand, 3, 4),
		Key(1, 2, Network, 3, 4), Key(1, 2, Demand, 4, 4), Key(1, 2, Demand, 3, 5)} {
		if k == base {
			t.Errorf("key %d does not differ", i)
		}
	}
	if Key(1, 2, Demand, 3, 4) != base {
		t.Error("Key is not a function")
	}
}

// ulps is the distance of two floats in units of the last place of b.
func ulps(a, b float64) float64 {
	if a == b {
		return 0
	}
	u := math.Nextafter(math.Abs(b), math.Inf(1)) - math.Abs(b)
	return math.Abs(a-b) / u
}

func TestElementaryFunctionsAgreeWithMath(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	worst := map[string]float64{}
	note := func(name string, x, got, want float64) {
		if d := ulps(got, want); d > worst[name] {
			worst[name] = d
		}
	}
	for range 1_000_000 {
		x := math.Exp(1400*r.Float64() - 700)
		note("log", x, Log(x), math.Log(x))
		x = 0.5 + r.Float64() // near the zero of the logarithm
		note("log near 1", x, Log(x), math.Log(x))
		x = 1400*r.Float64() - 700
		note("exp", x, Exp(x), math.Exp(x))
		x = 2*r.Float64() - 1
		note("exp near 0", x, Exp(x), math.Exp(x))
		x = r.Float64()
		if d := math.Abs(Sin2Pi(x) - math.Sin(2*math.Pi*x)); d > 1e-15 {
			t.Fatalf("Sin2Pi(%v) = %v, math.Sin gives %v", x, Sin2Pi(x), math.Sin(2*math.Pi*x))
		}
		y := 8*r.Float64() - 4
		want := math.Pow(x, y)
		if d := ulps(Pow(x, y), want); d > 3*(1+math.Abs(y*math.Log(x))) {
			t.Fatalf("Pow(%v, %v) is off by %.1f ulp", x, y, d)
		}
	}
	for name, limit := range map[string]float64{"log": 2, "log near 1": 2, "exp": 2, "exp near 0": 2} {
		if worst[name] > limit {
			t.Errorf("%s is off by up to %.2f ulp, allowed %.0f", name, worst[name], limit)
		}
	}
}

func TestElementaryFunctionsAtTheEdges(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"log 0", Log(0), -inf}, {"log inf", Log(inf), inf}, {"log 1", Log(1), 0}, {"log 2", Log(2), math.Ln2},
		{"log -1", Log(-1), math.NaN()}, {"log nan", Log(math.NaN()), math.NaN()},
		{"log subnormal", Log(5e-324), -744.4400719213812},
		{"exp 0", Exp(0), 1}, {"exp 710", Exp(710), inf}, {"exp -746", Exp(-746), 0}, {"exp -inf", Exp(-inf), 0},
		{"exp inf", Exp(inf), inf}, {"exp nan", Exp(math.NaN()), math.NaN()}, {"exp -744", Exp(-744), math.Exp(-744)},
		{"pow 0 0", Pow(0, 0), 1}, {"pow 0 2", Pow(0, 2), 0}, {"pow 1 y", Pow(1, 1e300), 1}, {"pow 4 .5", Pow(4, 0.5), 2},
		{"sin 0", Sin2Pi(0), 0}, {"sin 1/4", Sin2Pi(0.25), 1}, {"sin 1/2", Sin2Pi(0.5), 0}, {"sin 3/4", Sin2Pi(0.75), -1},
		{"sin -1/4", Sin2Pi(-0.25), -1}, {"sin 1/8", Sin2Pi(0.125), math.Sqrt2 / 2}, {"sin 1000.25", Sin2Pi(1000.25), 1},
		{"gamma 1", gamma(1), 1}, {"gamma 5", gamma(5), 24}, {"gamma 3/2", gamma(1.5), math.Sqrt(math.Pi) / 2},
	} {
		same := c.got == c.want || math.IsNaN(c.got) && math.IsNaN(c.want) || math.Abs(c.got-c.want) <= 1e-14*math.Abs(c.want)
		if !same {
			t.Errorf("%s = %v, want %v", c.name, c.got, c.want)
		}
	}
}

// The constants of the argument reduction add up to ln 2 to twice the precision.
func TestSplitLogarithmOfTwo(t *testing.T) {
	want, _, _ := big.ParseFloat("0.6931471805599453094172321214581765680755", 10, 200, big.ToNearestEven)
	sum := new(big.Float).SetPrec(200).Add(big.NewFloat(ln2Hi), big.NewFloat(ln2Lo))
	diff, _ := sum.Sub(sum, want).Float64()
	if math.Abs(diff) > 1.4e-26 {
		t.Errorf("ln2Hi + ln2Lo is off by %g", diff)
	}
}

// A golden sequence: it must be the same on every architecture.
func TestSamplesArePortable(t *testing.T) {
	h := uint64(14695981039346656037)
	for _, c := range distributions {
		r := rand.New(Stream(7, 0, Demand, 0))
		for range 2000 {
			h = (h ^ math.Float64bits(c.d.Sample(r))) * 1099511628211
		}
	}
	const want = 0x6a1ef494249bb389
	if h != want {
		t.Errorf("digest of the samples is %#x, want %#x", h, uint64(want))
	}
}

var distributions = []struct {
	d         Dist
	mean, vr  float64
	heaviness float64 // multiplies the tolerance of the variance
}{
	{NewConstant(3), 3, 0, 1},
	{NewExponential(0.3), 0.3, 0.09, 1},
	{NewShiftedExponential(0.01, 0.5), 0.51, 0.25, 1},
	{NewErlang(1, 2), 2, 4, 1},
	{NewErlang(4, 2), 2, 1, 1},
	{NewErlang(20, 2), 2, 0.2, 1},
	{NewGamma(0.5, 3), 3, 18, 1},
	{NewGamma(2.5, 3), 3, 3.6, 1},
	{NewHyperexponential([]float64{0.25, 0.75}, []float64{4, 1}), 1.75, 2*(0.25*16+0.75) - 1.75*1.75, 1},
	{NewBalancedHyperexponential(1, 4), 1, 4, 1},
	{NewBalancedHyperexponential(2, 1), 2, 4, 1},
	{NewLognormal(2, 1.5), 2, 6, 5},
	{NewLognormal(0.1, 0.25), 0.1, 0.0025, 1},
	{NewWeibull(1, 2), 2, 4, 1},
	{NewWeibull(2, 1), 1, 4/math.Pi - 1, 1},
	{NewWeibull(0.7, 1), 1, math.Gamma(1+2/0.7)/(math.Gamma(1+1/0.7)*math.Gamma(1+1/0.7)) - 1, 2},
	{NewBoundedPareto(1.5, 1, 100), 3 * (1 - 0.1) / (1 - 0.001), paretoVar(1.5, 1, 100), 5},
	{NewBoundedPareto(1, 1, 10), math.Log(10) / 0.9, 10 - math.Pow(math.Log(10)/0.9, 2), 1},
	{NewBoundedPareto(2, 1, 10), 2 * 0.9 / 0.99, 2*math.Log(10)/0.99 - math.Pow(2*0.9/0.99, 2), 1},
	{NewUniform(1, 4), 2.5, 0.75, 1},
	{NewEmpirical([]float64{1, 2, 6}, nil), 3, 14.0 / 3, 1},
	{NewEmpirical([]float64{0, 1, 10}, []float64{5, 4, 1}), 1.4, (4.0+100)/10 - 1.96, 1},
	{NewEmpirical([]float64{5, 7}, []float64{0, 2}), 7, 0, 1},
}

func paretoVar(a, l, h float64) float64 {
	c := a / (1 - math.Pow(l/h, a)) * math.Pow(l, a)
	m1 := c * (math.Pow(l, 1-a) - math.Pow(h, 1-a)) / (a - 1)
	m2 := c * (math.Pow(l, 2-a) - math.Pow(h, 2-a)) / (a - 2)
	return m2 - m1*m1
}

func TestMoments(t *testing.T) {
	for _, c := range distributions {
		if m := c.d.Mean(); math.Abs(m-c.mean) > 1e-12*(1+c.mean) {
			t.Errorf("%v: Mean is %v, want %v", c.d, m, c.mean)
		}
		if v := c.d.Var(); math.Abs(v-c.vr) > 1e-9*(1+c.vr) {
			t.Errorf("%v: Var is %v, want %v", c.d, v, c.vr)
		}
		const n = 400_000
		r := rand.New(Stream(3, 0, Demand, 0))
		s1, s2 := 0.0, 0.0
		for range n {
			x := c.d.Sample(r)
			if !(x >= 0) || math.IsInf(x, 0) {
				t.Fatalf("%v: sample %v", c.d, x)
			}
			s1 += x - c.mean
			s2 += (x - c.mean) * (x - c.mean)
		}
		if off := math.Abs(s1 / n); off > 4*math.Sqrt(c.vr/n)+1e-12 {
			t.Errorf("%v: sample mean is off by %v, four standard errors are %v", c.d, off, 4*math.Sqrt(c.vr/n))
		}
		if v := s2 / n; math.Abs(v-c.vr) > 0.02*c.heaviness*c.vr+1e-12 {
			t.Errorf("%v: sample variance %v, want %v", c.d, v, c.vr)
		}
	}
}

// The distribution functions, by the statistic of Kolmogorov and Smirnov; its 0.1 % critical value is 1.95/sqrt(n).
func TestDistributionFunctions(t *testing.T) {
	const n = 200_000
	for _, c := range []struct {
		d   Dist
		cdf func(x float64) float64
	}{
		{NewExponential(1), func(x float64) float64 { return 1 - math.Exp(-x) }},
		{NewErlang(2, 2), func(x float64) float64 { return 1 - (1+x)*math.Exp(-x) }},
		{NewGamma(0.5, 0.5), func(x float64) float64 { return math.Erf(math.Sqrt(x)) }},
		{NewGamma(9, 9), func(x float64) float64 {
			s, term := 0.0, 1.0
			for k := range 9 {
				s += term
				term *= x / float64(k+1)
			}
			return 1 - math.Exp(-x)*s
		}},
		{NewLognormal(math.Exp(0.5), math.E-1), func(x float64) float64 { return 0.5 * math.Erfc(-math.Log(x)/math.Sqrt2) }},
		{NewWeibull(2, math.Sqrt(math.Pi)/2), func(x float64) float64 { return 1 - math.Exp(-x*x) }},
		{NewBoundedPareto(1.2, 1, 50), func(x float64) float64 {
			return (1 - math.Pow(x, -1.2)) / (1 - math.Pow(50, -1.2))
		}},
		{NewUniform(1, 3), func(x float64) float64 { return (x - 1) / 2 }},
	} {
		r := rand.New(Stream(11, 0, Demand, 0))
		const bins = 2000
		var count [bins]int
		for range n {
			count[min(bins-1, int(c.cdf(c.d.Sample(r))*bins))]++
		}
		sum, worst := 0, 0.0
		for i, k := range count {
			sum += k
			worst = max(worst, math.Abs(float64(sum)/n-float64(i+1)/bins))
		}
		if worst > 1.95/math.Sqrt(n) {
			t.Errorf("%v: the distribution function is off by %.5f, allowed %.5f", c.d, worst, 1.95/math.Sqrt(n))
		}
	}
}

// The tail beyond the ziggurat's last layer is reached and has the right weight.
func TestExponentialTail(t *testing.T) {
	r := rand.New(Stream(5, 0, Demand, 0))
	const n = 4_000_000
	beyond := 0
	for range n {
		if Exp1(r) > zigguratTail {
			beyond++
		}
	}
	want := n * math.Exp(-zigguratTail)
	if math.Abs(float64(beyond)-want) > 4*math.Sqrt(want) {
		t.Errorf("%d of %d beyond the tail's start, want %.0f", beyond, n, want)
	}
}

func TestSeconds(t *testing.T) {
	for _, c := range []struct {
		s    float64
		want int64
	}{{0, 0}, {1.4e-9, 1}, {1.6e-9, 2}, {3, 3e9}, {1e12, math.MaxInt64}, {math.Inf(1), math.MaxInt64}} {
		if got := int64(Seconds(c.s)); got != c.want {
			t.Errorf("Seconds(%v) = %d ns, want %d", c.s, got, c.want)
		}
	}
}

func TestConstructorsPanicOutsideTheDomain(t *testing.T) {
	nan := math.NaN()
	for name, f := range map[string]func(){
		"exponential 0":        func() { NewExponential(0) },
		"exponential NaN":      func() { NewExponential(nan) },
		"exponential infinite": func() { NewExponential(math.Inf(1)) },
		"constant negative":    func() { NewConstant(-1) },
		"erlang 0":             func() { NewErlang(0, 1) },
		"gamma":                func() { NewGamma(-1, 1) },
		"scv < 1":              func() { NewBalancedHyperexponential(1, 0.5) },
		"probabilities":        func() { NewHyperexponential([]float64{0.5, 0.4}, []float64{1, 2}) },
		"lengths":              func() { NewHyperexponential([]float64{1}, []float64{1, 2}) },
		"uniform":              func() { NewUniform(2, 2) },
		"pareto":               func() { NewBoundedPareto(1, 2, 1) },
		"empirical":            func() { NewEmpirical(nil, nil) },
		"weights":              func() { NewEmpirical([]float64{1}, []float64{0}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func BenchmarkSample(b *testing.B) {
	for _, d := range []Dist{NewConstant(1), NewExponential(1), NewErlang(4, 1), NewLognormal(1, 1), NewGamma(2.5, 1),
		NewWeibull(0.7, 1), NewBoundedPareto(1.5, 1, 100), NewBalancedHyperexponential(1, 4),
		NewEmpirical([]float64{1, 2, 3}, []float64{1, 2, 3})} {
		b.Run(d.String(), func(b *testing.B) {
			r := rand.New(Stream(1, 0, Demand, 0))
			sum := 0.0
			for b.Loop() {
				sum += d.Sample(r)
			}
			_ = sum
		})
	}
}

func BenchmarkStream(b *testing.B) {
	node := 0
	for b.Loop() {
		node++
		_ = Stream(1, 0, Algorithm, node).Uint64()
	}
}
