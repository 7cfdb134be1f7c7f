package problem

import (
	"math"
	"math/rand/v2"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// Testbed is the k-armed testbed: a bandit whose arms bring normal rewards of variance 1, around means that Reset draws
// from the standard normal distribution. It has one state, which no number describes, and goes on for ever.
//
// Source: Sutton and Barto 2018, section 2.3, with 10 arms.
type Testbed struct {
	Arms int // k

	means []float64
}

func (p *Testbed) Name() string               { return "k-armed testbed" }
func (p *Testbed) Actions() int               { return p.Arms }
func (p *Testbed) Dim() int                   { return 0 }
func (p *Testbed) Range(int) (lo, hi float64) { return 0, 0 }
func (p *Testbed) State([]float64)            {}
func (p *Testbed) Validate() error            { return count("k", p.Arms, mostStates) }

func (p *Testbed) Reset(r *rand.Rand) {
	p.means = make([]float64, p.Arms)
	for a := range p.means {
		p.means[a] = random.Normal(r)
	}
}

func (p *Testbed) Step(a int, r *rand.Rand) (reward, dt float64, ended bool) {
	return p.means[a] + random.Normal(r), 1, false
}

// Best is the action with the highest mean, after Reset.
func (p *Testbed) Best() int { return highest(p.means) }

// Optimum is the expected reward of the best arm, the mean of the largest of k standard normal variables. Since the mean
// of an arm is 0, a learner that explores with probability epsilon tends to 1-epsilon of it.
func (p *Testbed) Optimum() float64 {
	// The largest is at most x with probability F(x)^k. Its mean is the integral of 1 - F^k above 0, less that of F^k
	// below, here by Simpson's rule; beyond the range there is less than 1e-15 of a variable.
	const limit, steps = 9.0, 2000
	integrand := func(i int) float64 {
		x := limit * float64(i) / steps
		return 1 - power(normalCDF(x), p.Arms) - power(normalCDF(-x), p.Arms)
	}
	sum := integrand(0) + integrand(steps)
	for i := 1; i < steps; i++ {
		sum += float64(float64(2+2*(i%2)) * integrand(i))
	}
	return float64(sum*(limit/steps)) / 3
}

// normalCDF is the distribution function of the standard normal variable.
//
// Source: Marsaglia, Journal of Statistical Software 11(4), 2004.
func normalCDF(x float64) float64 {
	square := float64(x * x)
	sum, last, term := x, 0.0, x
	for i := 3.0; sum != last; i += 2 {
		term = float64(term*square) / i
		sum, last = sum+term, sum
	}
	return 0.5 + float64(sum*random.Exp(float64(-0.5*square)))/math.Sqrt(2*math.Pi)
}

// power is x to the n.
func power(x float64, n int) float64 {
	y := 1.0
	for range n {
		y = float64(y * x)
	}
	return y
}
