package random

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Dist is a probability distribution on the numbers >= 0.
type Dist interface {
	Sample(r *rand.Rand) float64
	Mean() float64
	Var() float64   // variance
	String() string // for a person: name and parameters
}

// SCV is the squared coefficient of variation, Var/Mean²: 0 for a constant, 1 for an exponential.
func SCV(d Dist) float64 {
	m := d.Mean()
	if m == 0 {
		return 0
	}
	return d.Var() / float64(m*m)
}

// Duration draws from d, in seconds, and rounds to the nanosecond.
func Duration(d Dist, r *rand.Rand) time.Duration { return Seconds(d.Sample(r)) }

// Seconds converts a number of seconds >= 0 to a Duration, to the nearest nanosecond, saturating at the longest one.
func Seconds(s float64) time.Duration {
	ns := float64(s*1e9) + 0.5
	if ns >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(ns)
}

// Unit returns a number uniform on [0, 1). (Unlike rand.Rand.Float64, it is not fused with what the caller adds.)
func Unit(r *rand.Rand) float64 { return float64(float64(int64(r.Uint64()>>11)) * 0x1p-53) }

func sqrt(x float64) float64 { return math.Sqrt(x) } // correctly rounded by IEEE 754, hence portable

func positive(dist, name string, x float64) {
	if !(x > 0) || math.IsInf(x, 0) {
		panic(fmt.Sprintf("random: %s of %s must be > 0 and finite, is %g", name, dist, x))
	}
}

func nonNegative(dist, name string, x float64) {
	if !(x >= 0) || math.IsInf(x, 0) {
		panic(fmt.Sprintf("random: %s of %s must be >= 0 and finite, is %g", name, dist, x))
	}
}

// Constant always takes the same value.
type Constant struct{ value float64 }

// NewConstant returns the constant value >= 0.
func NewConstant(value float64) Constant {
	nonNegative("constant", "value", value)
	return Constant{value}
}

func (d Constant) Sample(*rand.Rand) float64 { return d.value }
func (d Constant) Mean() float64             { return d.value }
func (d Constant) Var() float64              { return 0 }
func (d Constant) String() string            { return fmt.Sprintf("constant(%g)", d.value) }

// Uniform is equally likely everywhere between two bounds.
type Uniform struct{ min, width float64 }

// NewUniform returns the uniform distribution on [min, max), 0 <= min < max.
func NewUniform(min, max float64) Uniform {
	nonNegative("uniform", "min", min)
	positive("uniform", "max - min", max-min)
	return Uniform{min, max - min}
}

func (d Uniform) Sample(r *rand.Rand) float64 { return d.min + float64(d.width*Unit(r)) }
func (d Uniform) Mean() float64               { return d.min + float64(d.width*0.5) }
func (d Uniform) Var() float64                { return float64(d.width*d.width) / 12 }
func (d Uniform) String() string              { return fmt.Sprintf("uniform(min %g, max %g)", d.min, d.min+d.width) }

// Gamma is the gamma distribution; Erlang's where its shape is a whole number.
type Gamma struct {
	shape, scale float64
	d, c         float64 // of Marsaglia and Tsang's method
	sum          int     // > 0: a sum of so many exponentials is quicker
}

// NewGamma returns the gamma distribution of a shape > 0 and a mean > 0. Its scv is 1/shape.
func NewGamma(shape, mean float64) Gamma {
	positive("gamma", "shape", shape)
	positive("gamma", "mean", mean)
	g := Gamma{shape: shape, scale: mean / shape}
	if n := math.Floor(shape); n == shape && n <= 8 {
		g.sum = int(n)
	}
	s := shape
	if s < 1 {
		s++
	}
	g.d = s - 1.0/3
	g.c = 1 / sqrt(9*g.d)
	return g
}

// NewErlang returns the distribution of the sum of k >= 1 equal exponentials, of a mean > 0 in all.
func NewErlang(k int, mean float64) Gamma {
	if k < 1 {
		panic(fmt.Sprintf("random: an Erlang distribution has k >= 1 phases, not %d", k))
	}
	return NewGamma(float64(k), mean)
}

// Sample adds exponentials, or uses the method of Marsaglia and Tsang, ACM Transactions on Mathematical Software
// 26(3), 2000: a shape below 1 is reached from shape+1 by a power of a uniform variate.
func (g Gamma) Sample(r *rand.Rand) float64 {
	if g.sum > 0 {
		s := 0.0
		for range g.sum {
			s += Exp1(r)
		}
		return float64(g.scale * s)
	}
	for {
		x := Normal(r)
		v := 1 + float64(g.c*x)
		if v <= 0 {
			continue
		}
		v = float64(float64(v*v) * v)
		// Accept where log U < x²/2 + d - d·v + d·log v; -log U is exponential.
		if Exp1(r)+float64(0.5*float64(x*x))+g.d-float64(g.d*v)+float64(g.d*Log(v)) <= 0 {
			continue
		}
		y := float64(g.scale * float64(g.d*v))
		if g.shape < 1 {
			y = float64(y * Exp(-Exp1(r)/g.shape))
		}
		return y
	}
}

func (g Gamma) Mean() float64 { return float64(g.shape * g.scale) }
func (g Gamma) Var() float64  { return float64(g.shape * float64(g.scale*g.scale)) }
func (g Gamma) String() string {
	return fmt.Sprintf("gamma(shape %g, mean %g)", g.shape, g.Mean())
}

// Normal returns a normal variate of mean 0 and variance 1, by Marsaglia's polar method.
func Normal(r *rand.Rand) float64 {
	for {
		u := float64(2*Unit(r)) - 1
		v := float64(2*Unit(r)) - 1
		s := float64(u*u) + float64(v*v)
		if s < 1 && s > 0 {
			return float64(u * sqrt(float64(-2*Log(s))/s))
		}
	}
}

// Lognormal is the exponential of a normal variable.
type Lognormal struct{ mu, sigma float64 }

// NewLognormal returns the lognormal distribution of a mean > 0 and a squared coefficient of variation scv > 0.
func NewLognormal(mean, scv float64) Lognormal {
	positive("lognormal", "mean", mean)
	positive("lognormal", "scv", scv)
	s2 := Log(1 + scv)
	return Lognormal{Log(mean) - float64(0.5*s2), sqrt(s2)}
}

func (d Lognormal) Sample(r *rand.Rand) float64 { return Exp(d.mu + float64(d.sigma*Normal(r))) }
func (d Lognormal) Mean() float64               { return Exp(d.mu + float64(0.5*float64(d.sigma*d.sigma))) }
func (d Lognormal) Var() float64 {
	m := d.Mean()
	return float64(float64(m*m) * (Exp(float64(d.sigma*d.sigma)) - 1))
}
func (d Lognormal) String() string {
	return fmt.Sprintf("lognormal(mean %g, scv %g)", d.Mean(), SCV(d))
}

// Weibull is the distribution of a power of an exponential variable: heavier than it for shape < 1.
type Weibull struct{ inverse, scale float64 }

// NewWeibull returns the Weibull distribution of a shape > 0 and a mean > 0.
func NewWeibull(shape, mean float64) Weibull {
	positive("weibull", "shape", shape)
	positive("weibull", "mean", mean)
	inverse := 1 / shape
	return Weibull{inverse, mean / gamma(1+inverse)}
}

func (d Weibull) Sample(r *rand.Rand) float64 { return float64(d.scale * Pow(Exp1(r), d.inverse)) }
func (d Weibull) Mean() float64               { return float64(d.scale * gamma(1+d.inverse)) }
func (d Weibull) Var() float64 {
	m := d.Mean()
	return float64(float64(d.scale*d.scale)*gamma(1+float64(2*d.inverse))) - float64(m*m)
}
func (d Weibull) String() string {
	return fmt.Sprintf("weibull(shape %g, mean %g)", 1/d.inverse, d.Mean())
}

// BoundedPareto is a power law between two bounds.
type BoundedPareto struct{ shape, min, max, tail float64 }

// NewBoundedPareto returns the Pareto distribution of a shape > 0, truncated to [min, max], 0 < min < max.
func NewBoundedPareto(shape, min, max float64) BoundedPareto {
	positive("bounded pareto", "shape", shape)
	positive("bounded pareto", "min", min)
	positive("bounded pareto", "max - min", max-min)
	return BoundedPareto{shape, min, max, 1 - Pow(min/max, shape)}
}

func (d BoundedPareto) Sample(r *rand.Rand) float64 {
	return d.min * Pow(1-float64(Unit(r)*d.tail), -1/d.shape)
}

// moment is the k-th moment about zero.
func (d BoundedPareto) moment(k float64) float64 {
	c := d.shape / d.tail
	if d.shape == k {
		return float64(c * float64(Pow(d.min, k)*Log(d.max/d.min)))
	}
	return float64(c*Pow(d.min, k)) * (1 - Pow(d.min/d.max, d.shape-k)) / (d.shape - k)
}

func (d BoundedPareto) Mean() float64 { return d.moment(1) }
func (d BoundedPareto) Var() float64 {
	m := d.moment(1)
	return d.moment(2) - float64(m*m)
}
func (d BoundedPareto) String() string {
	return fmt.Sprintf("pareto(shape %g, min %g, max %g)", d.shape, d.min, d.max)
}

// Empirical takes one of a number of given values.
type Empirical struct {
	values    []float64
	alias     []int32 // nil: all equally likely
	threshold []float64
	mean, vr  float64
}

// NewEmpirical returns the distribution over values >= 0 with the given weights >= 0; nil weights are equal ones.
func NewEmpirical(values, weights []float64) Empirical {
	if len(values) == 0 || weights != nil && len(weights) != len(values) {
		panic(fmt.Sprintf("random: empirical distribution of %d values with %d weights", len(values), len(weights)))
	}
	d := Empirical{values: append([]float64(nil), values...)}
	total := 0.0
	for i := range values {
		nonNegative("empirical", "value", values[i])
		total += d.weight(weights, i)
	}
	positive("empirical", "sum of weights", total)
	for i, v := range values {
		d.mean += float64(v*d.weight(weights, i)) / total
	}
	for i, v := range values {
		d.vr += float64(float64((v-d.mean)*(v-d.mean))*d.weight(weights, i)) / total
	}
	if weights != nil {
		d.build(weights, total)
	}
	return d
}

func (d *Empirical) weight(weights []float64, i int) float64 {
	if weights == nil {
		return 1
	}
	nonNegative("empirical", "weight", weights[i])
	return weights[i]
}

// build makes the alias table (Walker; Vose, IEEE Transactions on Software Engineering 17(9), 1991).
func (d *Empirical) build(weights []float64, total float64) {
	n := len(weights)
	d.alias, d.threshold = make([]int32, n), make([]float64, n)
	var small, large []int32
	for i, w := range weights {
		d.threshold[i] = w / total * float64(n)
		d.alias[i] = int32(i)
		if d.threshold[i] < 1 {
			small = append(small, int32(i))
		} else {
			large = append(large, int32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		d.alias[s] = l
		d.threshold[l] -= 1 - d.threshold[s]
		if d.threshold[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, i := range append(small, large...) { // what is left is 1 but for rounding
		d.threshold[i] = 1
	}
}

// Index draws the index of a value.
func (d Empirical) Index(r *rand.Rand) int {
	i := r.IntN(len(d.values))
	if d.alias != nil && Unit(r) >= d.threshold[i] {
		return int(d.alias[i])
	}
	return i
}

func (d Empirical) Sample(r *rand.Rand) float64 { return d.values[d.Index(r)] }
func (d Empirical) Mean() float64               { return d.mean }
func (d Empirical) Var() float64                { return d.vr }
func (d Empirical) String() string {
	return fmt.Sprintf("empirical(%d values, mean %g)", len(d.values), d.mean)
}
