package problem

import (
	"math/rand/v2"

	"github.com/p2pfaas/p2pfaas/learner"
)

// Optimum is what can be reached on a problem by who explores with probability epsilon.
type Optimum struct {
	Problem Finite
	Epsilon float64
	Model   *Model
	Best    *Solution // for one who explores
	Visits  []float64 // share of the decisions that the best policy makes in each state, as a simulation counts it
}

// visitSteps is how long the visits of an optimum are counted.
const visitSteps = 200_000

// NewOptimum solves p.
func NewOptimum(p Finite, epsilon float64) *Optimum {
	m := p.Model()
	o := &Optimum{Problem: p, Epsilon: epsilon, Model: m, Best: m.EpsilonGreedy(epsilon)}
	index := make(map[string]int, len(m.States))
	for i, s := range m.States {
		index[key(s)] = i
	}
	o.Visits = make([]float64, len(m.States))
	r := rand.New(rand.NewPCG(1, 1))
	s := make([]float64, p.Dim())
	p.Reset(r)
	for range visitSteps {
		p.State(s)
		i := index[key(s)]
		o.Visits[i] += 1.0 / visitSteps
		a := o.Best.Policy.Action(i)
		if r.Float64() < epsilon {
			a = r.IntN(p.Actions())
		}
		if _, _, ended := p.Step(a, r); ended {
			p.Reset(r)
		}
	}
	return o
}

func key(s []float64) string {
	b := make([]byte, 0, 8*len(s))
	for _, x := range s {
		n := int64(x * 1024) // features of finite problems are small numbers
		for range 8 {
			b = append(b, byte(n))
			n >>= 8
		}
	}
	return string(b)
}

// Choice is what a learner does in a state, beside the best.
type Choice struct {
	State         []float64
	Best, Learned int     // actions
	Regret        float64 // what the learned one is worth less, by the exact values
	Visits        float64 // share of the decisions
}

// Right reports whether the learned action is as good as the best one.
func (c *Choice) Right() bool { return c.Regret <= 1e-9 }

// Choices compares what l would do in each state, without exploring, with the best, state by state.
func (o *Optimum) Choices(l *learner.Learner) ([]Choice, error) {
	choices := make([]Choice, len(o.Model.States))
	for i, s := range o.Model.States {
		q, err := l.Values(s)
		if err != nil {
			return nil, err
		}
		c := Choice{State: s, Best: o.Best.Policy.Action(i), Learned: highest(q), Visits: o.Visits[i]}
		c.Regret = o.Best.Q[i][c.Best] - o.Best.Q[i][c.Learned]
		choices[i] = c
	}
	return choices, nil
}

// Agreement is the share of the decisions in which the learned action is as good as the best.
func Agreement(choices []Choice) float64 {
	share := 0.0
	for i := range choices {
		if choices[i].Right() {
			share += choices[i].Visits
		}
	}
	return share
}

// Gain is the reward per unit of time of a score.
func (s Score) Gain() float64 { return s.Reward / s.Time }
