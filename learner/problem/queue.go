package problem

import (
	"math/rand/v2"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// The nodes of Naor, Deadline and TwoNodes serve one job at a time, for exponential times of rate mu, and decisions are
// made at the arrivals of a Poisson process. Since neither arrivals nor services remember, the numbers of jobs at the
// arrivals are a Markov chain.

// serve draws how many of n jobs are left after time t.
func serve(n int, mu, t float64, r *rand.Rand) int {
	for n > 0 {
		t -= random.Exp1(r) / mu
		if t < 0 {
			break
		}
		n--
	}
	return n
}

// left holds the probabilities that 0..n of n jobs are left at the next arrival.
func left(n int, lambda, mu float64) []float64 {
	p := make([]float64, n+1)
	reached := 1.0 // the probability that so few are left before the arrival
	for i := n; i > 0; i-- {
		p[i] = float64(reached*lambda) / (lambda + mu)
		reached = float64(reached*mu) / (lambda + mu)
	}
	p[0] = reached
	return p
}

// transitions lead to state i with probability p[i].
func transitions(p []float64) []Transition {
	ts := make([]Transition, len(p))
	for i := range p {
		ts[i] = Transition{i, p[i]}
	}
	return ts
}
