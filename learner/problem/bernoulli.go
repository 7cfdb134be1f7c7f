package problem

import (
	"math/rand/v2"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// Bernoulli is a bandit whose arms bring 1 with a probability of their own, and otherwise 0. It has one state, which no
// number describes, and goes on for ever.
type Bernoulli struct {
	Arms []float64 // arms: the probability of a reward, by action
}

func (p *Bernoulli) Name() string               { return "Bernoulli bandit" }
func (p *Bernoulli) Actions() int               { return len(p.Arms) }
func (p *Bernoulli) Dim() int                   { return 0 }
func (p *Bernoulli) Range(int) (lo, hi float64) { return 0, 0 }
func (p *Bernoulli) State([]float64)            {}
func (p *Bernoulli) Reset(*rand.Rand)           {}

func (p *Bernoulli) Step(a int, r *rand.Rand) (reward, dt float64, ended bool) {
	if random.Unit(r) < p.Arms[a] {
		reward = 1
	}
	return reward, 1, false
}

// Model has one state.
func (p *Bernoulli) Model() *Model {
	row := make([]Outcome, len(p.Arms))
	for a, mean := range p.Arms {
		row[a] = Outcome{Reward: mean, Time: 1, Next: []Transition{{0, 1}}}
	}
	return &Model{States: [][]float64{{}}, Start: []Transition{{0, 1}}, Outcomes: [][]Outcome{row}}
}

// LaiRobbins is the constant C of their lower bound: the regret of a learner that does well on all such bandits grows
// at least like C·ln t in t pulls. It is the sum over the arms of their gap to the best one, divided by the
// Kullback-Leibler divergence of the best one from them. Thompson sampling attains it (Kaufmann, Korda and Munos, ALT
// 2012).
//
// Source: Lai and Robbins, Advances in Applied Mathematics 6, 1985.
func (p *Bernoulli) LaiRobbins() float64 {
	best := p.Arms[highest(p.Arms)]
	c := 0.0
	for _, mean := range p.Arms {
		if mean < best {
			c += (best - mean) / (divergence(mean, best) + divergence(1-mean, 1-best))
		}
	}
	return c
}

// divergence is the part p·ln(p/q) of a Kullback-Leibler divergence.
func divergence(p, q float64) float64 {
	if p == 0 {
		return 0
	}
	return float64(p * random.Log(p/q))
}

// Validate implements Problem.
func (p *Bernoulli) Validate() error {
	errs := []error{check(len(p.Arms) > 0, "arms", p.Arms, "one probability or more")}
	for _, mean := range p.Arms {
		errs = append(errs, probability("arms", mean))
	}
	return all(errs...)
}
