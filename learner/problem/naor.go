package problem

import (
	"math"
	"math/rand/v2"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// Naor is admission to an M/M/1 queue. An arriving job is accepted (action 1), which brings a reward, or turned away
// (action 0), for nothing; a job in the system costs something per unit time. The state is the number of jobs that are
// there.
//
// The cost is charged on acceptance, for the expected time (n+1)/mu that a job will stay which finds n before it: action
// 1 brings R - C·(n+1)/mu. By Little's law the gain is the same as if it were charged as time passes: with a threshold
// at which p is the probability to be turned away and L the mean number of jobs, lambda·R·(1-p) - C·L per unit time, and
// the lambda-th part of it per decision. Whoever looks only at the reward acts like Naor's selfish customers, and
// accepts as long as n < Individual(); the optimum accepts fewer, since a job makes those wait that come later.
//
// Source: Naor, The regulation of queue size by levying tolls, Econometrica 37(1), 1969.
type Naor struct {
	Lambda float64 // lam: arrivals per unit time
	Mu     float64 // mu: services per unit time
	Reward float64 // R: of an accepted job
	Cost   float64 // C: per job and unit time
	Places int     // K: a job that finds so many is turned away

	jobs int
}

// Individual is the threshold at which a job no longer gains by joining; 1e9 where that is higher.
func (p *Naor) Individual() int { return int(min(1e9, math.Floor(float64(p.Reward*p.Mu)/p.Cost))) }

func (p *Naor) Name() string                { return "Naor's admission" }
func (p *Naor) Actions() int                { return 2 }
func (p *Naor) Dim() int                    { return 1 }
func (p *Naor) Range(int) (lo, hi float64)  { return 0, float64(p.Places) }
func (p *Naor) State(s []float64)           { s[0] = float64(p.jobs) }
func (p *Naor) Reset(*rand.Rand)            { p.jobs = 0 }
func (p *Naor) accepts(a, jobs int) bool    { return a == 1 && jobs < p.Places }
func (p *Naor) acceptance(jobs int) float64 { return p.Reward - float64(p.Cost*float64(jobs+1))/p.Mu }

func (p *Naor) Step(a int, r *rand.Rand) (reward, dt float64, ended bool) {
	if p.accepts(a, p.jobs) {
		reward = p.acceptance(p.jobs)
		p.jobs++
	}
	dt = random.Exp1(r) / p.Lambda
	p.jobs = serve(p.jobs, p.Mu, dt, r)
	return reward, dt, false
}

// Model numbers the states by jobs.
func (p *Naor) Model() *Model {
	m := &Model{Start: []Transition{{0, 1}}}
	for jobs := range p.Places + 1 {
		m.States = append(m.States, []float64{float64(jobs)})
		row := make([]Outcome, 2)
		for a := range row {
			after := jobs
			if p.accepts(a, jobs) {
				row[a].Reward = p.acceptance(jobs)
				after++
			}
			row[a].Time = 1 / p.Lambda
			row[a].Next = transitions(left(after, p.Lambda, p.Mu))
		}
		m.Outcomes = append(m.Outcomes, row)
	}
	return m
}

// Validate implements Problem.
func (p *Naor) Validate() error {
	return all(positive("lam", p.Lambda), positive("mu", p.Mu), positive("R", p.Reward), nonNegative("C", p.Cost),
		count("K", p.Places, mostStates))
}
