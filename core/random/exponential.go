package random

import (
	"fmt"
	"math/rand/v2"
)

// ziggurat holds, per layer of the exponential density, the width of the layer scaled to 53 random bits and the
// number of those below which a point certainly lies under the curve. Heights serve the wedges.
var (
	ziggurat [256]struct {
		width float64
		under int64
	}
	zigguratEdge, zigguratHeight [257]float64
)

// Start of the tail and area of a layer, for 256 layers (Marsaglia and Tsang, Journal of Statistical Software 5(8),
// 2000).
const (
	zigguratTail = 7.69711747013104972
	zigguratArea = 3.949659822581572e-3
)

func init() {
	x := &zigguratEdge
	x[0] = zigguratArea / Exp(-zigguratTail)
	x[1] = zigguratTail
	for i := 2; i < 256; i++ {
		x[i] = -Log(Exp(-x[i-1]) + zigguratArea/x[i-1])
	}
	x[256] = 0
	for i := range ziggurat {
		ziggurat[i].width = x[i] / (1 << 53)
		ziggurat[i].under = int64(x[i+1] / x[i] * (1 << 53))
	}
	for i := range x {
		zigguratHeight[i] = Exp(-x[i])
	}
}

// Exp1 returns an exponential variate of mean 1.
func Exp1(r *rand.Rand) float64 {
	u := r.Uint64()
	z := &ziggurat[u&255]
	k := int64(u >> 11)
	if k < z.under {
		return float64(float64(k) * z.width)
	}
	return exp1Slow(r, u)
}

// exp1Slow settles the one draw in a hundred that falls outside the layers' certain parts.
func exp1Slow(r *rand.Rand, u uint64) float64 {
	tail := 0.0
	for {
		i := u & 255
		k := int64(u >> 11)
		x := float64(float64(k) * ziggurat[i].width)
		switch {
		case k < ziggurat[i].under:
			return tail + x
		case i == 0:
			tail += zigguratTail // the tail of an exponential is one again
		default:
			y := zigguratHeight[i] + float64(Unit(r)*(zigguratHeight[i+1]-zigguratHeight[i]))
			if y < Exp(-x) {
				return tail + x
			}
		}
		u = r.Uint64()
	}
}

// Exponential is the memoryless distribution.
type Exponential struct{ mean float64 }

// NewExponential returns the exponential distribution of a mean > 0.
func NewExponential(mean float64) Exponential {
	positive("exponential", "mean", mean)
	return Exponential{mean}
}

func (d Exponential) Sample(r *rand.Rand) float64 { return float64(d.mean * Exp1(r)) }
func (d Exponential) Mean() float64               { return d.mean }
func (d Exponential) Var() float64                { return float64(d.mean * d.mean) }
func (d Exponential) String() string              { return fmt.Sprintf("exponential(mean %g)", d.mean) }

// ShiftedExponential is a constant plus an exponential.
type ShiftedExponential struct{ shift, mean float64 }

// NewShiftedExponential returns shift (>= 0) plus an exponential of mean > 0; the mean of the whole is their sum.
func NewShiftedExponential(shift, mean float64) ShiftedExponential {
	nonNegative("shifted exponential", "shift", shift)
	positive("shifted exponential", "mean", mean)
	return ShiftedExponential{shift, mean}
}

func (d ShiftedExponential) Sample(r *rand.Rand) float64 { return d.shift + float64(d.mean*Exp1(r)) }
func (d ShiftedExponential) Mean() float64               { return d.shift + d.mean }
func (d ShiftedExponential) Var() float64                { return float64(d.mean * d.mean) }
func (d ShiftedExponential) String() string {
	return fmt.Sprintf("shifted-exponential(shift %g, mean %g)", d.shift, d.mean)
}

// Hyperexponential is a mixture of exponentials: bursts of short and long ones.
type Hyperexponential struct {
	upTo  []float64 // cumulative probabilities
	means []float64
}

// NewHyperexponential returns the mixture of exponentials with these means (> 0), the i-th taken with probability
// probs[i]; the probabilities sum to 1.
func NewHyperexponential(probs, means []float64) Hyperexponential {
	if len(probs) != len(means) || len(probs) == 0 {
		panic(fmt.Sprintf("random: hyperexponential with %d probabilities and %d means", len(probs), len(means)))
	}
	d := Hyperexponential{upTo: make([]float64, len(probs)), means: append([]float64(nil), means...)}
	sum := 0.0
	for i, p := range probs {
		nonNegative("hyperexponential", "probability", p)
		positive("hyperexponential", "mean", means[i])
		sum += p
		d.upTo[i] = sum
	}
	if sum < 1-1e-9 || sum > 1+1e-9 {
		panic(fmt.Sprintf("random: the probabilities of a hyperexponential sum to %g, not 1", sum))
	}
	d.upTo[len(probs)-1] = 1
	return d
}

// NewBalancedHyperexponential returns the two-phase hyperexponential of a mean > 0 and a squared coefficient of
// variation scv >= 1, with balanced means: both phases contribute the same to the mean.
func NewBalancedHyperexponential(mean, scv float64) Hyperexponential {
	positive("hyperexponential", "mean", mean)
	if !(scv >= 1) {
		panic(fmt.Sprintf("random: a hyperexponential has scv >= 1, not %g", scv))
	}
	p := float64(0.5 * (1 + sqrt((scv-1)/(scv+1))))
	return NewHyperexponential([]float64{p, 1 - p}, []float64{mean / (2 * p), mean / (2 * (1 - p))})
}

func (d Hyperexponential) Sample(r *rand.Rand) float64 {
	u := Unit(r)
	i := 0
	for u >= d.upTo[i] {
		i++
	}
	return float64(d.means[i] * Exp1(r))
}

func (d Hyperexponential) moments() (m1, m2 float64) {
	last := 0.0
	for i, c := range d.upTo {
		p := c - last
		last = c
		m1 += float64(p * d.means[i])
		m2 += float64(2 * p * float64(d.means[i]*d.means[i]))
	}
	return m1, m2
}

func (d Hyperexponential) Mean() float64 { m, _ := d.moments(); return m }
func (d Hyperexponential) Var() float64  { m1, m2 := d.moments(); return m2 - float64(m1*m1) }
func (d Hyperexponential) String() string {
	return fmt.Sprintf("hyperexponential(mean %g, scv %g)", d.Mean(), SCV(d))
}
