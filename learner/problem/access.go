package problem

import (
	"math/rand/v2"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// AccessControl is the access-control queuing task. A queue of customers that is never empty asks for a number of
// servers, one customer in each step. Action 1 gives the customer at its head a free server, which brings the customer's
// priority; action 0 turns them away, for nothing; so does action 1 where no server is free. Then each busy server
// becomes free with a given probability.
//
// The state is the number of free servers and the priority of the customer. It begins with all servers busy: states with
// many free ones are hardly ever visited, and a learner that knows little about them is not to be scored from there.
//
// Source: Sutton and Barto 2018, example 10.2, with 10 servers, probability 0.06, and priorities 1, 2, 4 and 8, all
// equally likely. They do not say whether a server may become free in the step in which it was assigned.
type AccessControl struct {
	Servers       int       // servers
	PFree         float64   // p_free: probability that a busy server becomes free
	Priorities    []float64 // prios
	Probabilities []float64 // probs: of the priorities; they sum to 1
	SameStep      bool      // assigned_can_free_same_step

	free     int
	customer int // index into Priorities
}

func (p *AccessControl) Name() string { return "access control" }
func (p *AccessControl) Actions() int { return 2 }
func (p *AccessControl) Dim() int     { return 2 }

func (p *AccessControl) Range(d int) (lo, hi float64) {
	if d == 0 {
		return 0, float64(p.Servers)
	}
	lo, hi = p.Priorities[0], p.Priorities[0]
	for _, x := range p.Priorities {
		lo, hi = min(lo, x), max(hi, x)
	}
	return lo, hi
}

func (p *AccessControl) State(s []float64) { s[0], s[1] = float64(p.free), p.Priorities[p.customer] }

func (p *AccessControl) Reset(r *rand.Rand) {
	p.free = 0
	p.customer = draw(p.Probabilities, r)
}

func (p *AccessControl) Step(a int, r *rand.Rand) (reward, dt float64, ended bool) {
	accepted, mayFree := p.accept(a, p.free)
	if accepted {
		reward = p.Priorities[p.customer]
		p.free--
	}
	for range mayFree {
		if random.Unit(r) < p.PFree {
			p.free++
		}
	}
	p.customer = draw(p.Probabilities, r)
	return reward, 1, false
}

// accept says whether action a accepts a customer when free servers are free, and how many servers may then become free.
func (p *AccessControl) accept(a, free int) (accepted bool, mayFree int) {
	accepted, mayFree = a == 1 && free > 0, p.Servers-free
	if accepted && p.SameStep {
		mayFree++
	}
	return accepted, mayFree
}

// Model numbers the states by free servers, then priorities.
func (p *AccessControl) Model() *Model {
	m := &Model{}
	for c, prob := range p.Probabilities {
		m.Start = append(m.Start, Transition{c, prob})
	}
	for free := range p.Servers + 1 {
		for _, priority := range p.Priorities {
			m.States = append(m.States, []float64{float64(free), priority})
			row := make([]Outcome, 2)
			for a := range row {
				accepted, mayFree := p.accept(a, free)
				left := free
				if accepted {
					row[a].Reward = priority
					left--
				}
				row[a].Time = 1
				for n, pn := range binomial(mayFree, p.PFree) {
					for c, prob := range p.Probabilities {
						row[a].Next = append(row[a].Next, Transition{(left+n)*len(p.Priorities) + c, float64(pn * prob)})
					}
				}
			}
			m.Outcomes = append(m.Outcomes, row)
		}
	}
	return m
}

// binomial holds the probabilities of 0..n successes in n trials.
func binomial(n int, p float64) []float64 {
	b := make([]float64, n+1)
	b[0] = 1
	for i := range n {
		for k := i + 1; k > 0; k-- {
			b[k] = float64(b[k]*(1-p)) + float64(b[k-1]*p)
		}
		b[0] = float64(b[0] * (1 - p))
	}
	return b
}

// draw returns an index with these probabilities, which sum to 1.
func draw(probabilities []float64, r *rand.Rand) int {
	u := random.Unit(r)
	last := len(probabilities) - 1
	for i, p := range probabilities[:last] {
		if u < p {
			return i
		}
		u -= p
	}
	return last
}

// Validate implements Problem.
func (p *AccessControl) Validate() error {
	errs := []error{
		count("servers", p.Servers, mostStates), count("(servers+1)*prios", (p.Servers+1)*len(p.Priorities), mostStates),
		check(p.PFree > 0 && p.PFree <= 1, "p_free", p.PFree, "a probability above 0"),
		check(len(p.Priorities) == len(p.Probabilities), "probs", p.Probabilities, "one probability for each of prios"),
	}
	sum := 0.0
	for _, x := range p.Probabilities {
		errs = append(errs, probability("probs", x))
		sum += x
	}
	return all(append(errs, check(sum > 1-1e-9 && sum < 1+1e-9, "sum of probs", sum, "1"))...)
}
