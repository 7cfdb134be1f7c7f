package problem

import (
	"fmt"
	"math/rand/v2"

	"github.com/p2pfaas/p2pfaas/learner"
)

// Score is how a learner did on a problem.
type Score struct {
	Reward float64 // per step, over the last tenth of the steps
	Time   float64 // per step, likewise: Reward/Time is the gain per unit of time
	// Learned is the average reward as the learner has estimated it, mean over the last tenth; 0 where it discounts.
	Learned float64
}

// Train lets a learner with the configuration c learn on p for so many steps, and scores it while it learns: exploration
// is part of it. Number of actions and dimensions of the state are the problem's. What follows depends on the seed alone.
func Train(p Problem, c learner.Config, steps int, seed uint64) (Score, *learner.Learner, error) {
	c.Actions = p.Actions()
	c.Dims = Dims(p)
	l, err := learner.New(c, *rand.NewPCG(seed, 1))
	if err != nil {
		return Score{}, nil, fmt.Errorf("%s: %w", p.Name(), err)
	}
	r := rand.New(rand.NewPCG(seed, 2))
	p.Reset(r)
	s := make([]float64, p.Dim())
	p.State(s)
	a, err := l.Start(s)
	var score Score
	counted := 0
	for i := 0; i < steps && err == nil; i++ {
		reward, dt, ended := p.Step(a, r)
		if i >= steps-max(1, steps/10) {
			score.Reward += reward
			score.Time += dt
			score.Learned += l.AverageReward()
			counted++
		}
		if ended {
			err = l.End(reward)
			p.Reset(r)
			p.State(s)
			if err == nil {
				a, err = l.Start(s)
			}
			continue
		}
		p.State(s)
		a, err = l.Step(reward, s)
	}
	if err != nil {
		return Score{}, nil, fmt.Errorf("%s: %w", p.Name(), err)
	}
	n := float64(max(1, counted))
	return Score{score.Reward / n, score.Time / n, score.Learned / n}, l, nil
}

// Dims are the dimensions of a problem's state, with their bounds.
func Dims(p Problem) []learner.Dim {
	dims := make([]learner.Dim, p.Dim())
	for d := range dims {
		dims[d].Name = fmt.Sprintf("x%d", d)
		dims[d].Lo, dims[d].Hi = p.Range(d)
	}
	return dims
}
