package problem

import "math/rand/v2"

// RandomWalk is a row of states, from the middle of which one goes left or right with probability 1/2 each, until one
// leaves it: to the right with reward 1, to the left with none. There is only one action; what is to be learned is the
// value of the states, i/(n+1) for the i-th of n. The state is i, from 1.
//
// Source: Sutton and Barto 2018, example 6.2, with 5 states.
type RandomWalk struct {
	States int // states: an odd number

	at int
}

func (p *RandomWalk) Name() string               { return "random walk" }
func (p *RandomWalk) Actions() int               { return 1 }
func (p *RandomWalk) Dim() int                   { return 1 }
func (p *RandomWalk) Range(int) (lo, hi float64) { return 1, float64(p.States) }
func (p *RandomWalk) State(s []float64)          { s[0] = float64(p.at) }
func (p *RandomWalk) Reset(*rand.Rand)           { p.at = (p.States + 1) / 2 }

func (p *RandomWalk) Step(_ int, r *rand.Rand) (reward, dt float64, ended bool) {
	p.at += 2*r.IntN(2) - 1
	switch p.at {
	case 0:
		return 0, 1, true
	case p.States + 1:
		return 1, 1, true
	}
	return 0, 1, false
}

// Model numbers the states from left to right.
func (p *RandomWalk) Model() *Model {
	m := &Model{Start: []Transition{{p.States / 2, 1}}}
	for i := range p.States {
		o := Outcome{Time: 1}
		if i > 0 {
			o.Next = append(o.Next, Transition{i - 1, 0.5})
		} else {
			o.End += 0.5
		}
		if i < p.States-1 {
			o.Next = append(o.Next, Transition{i + 1, 0.5})
		} else {
			o.Reward = 0.5
			o.End += 0.5
		}
		m.States = append(m.States, []float64{float64(i + 1)})
		m.Outcomes = append(m.Outcomes, []Outcome{o})
	}
	return m
}

// Validate implements Problem.
func (p *RandomWalk) Validate() error {
	return check(p.States > 0 && p.States <= mostStates && p.States%2 == 1, "states", p.States, "an odd number below 1000")
}
