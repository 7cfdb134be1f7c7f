package problem

import (
	"math/rand/v2"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// Deadline is an M/M/1/K node whose jobs have a deadline, with a cloud behind it. An arriving job is rejected (action
// 0), for nothing; put into the node's queue, first in first out (action 1), which brings 1 if it will be done in time;
// or sent to the cloud (action 2), which brings a given reward and leaves the node alone. A node that is full rejects
// what is put into its queue. The state is the number of jobs in the node.
//
// A job that finds n others is in time with probability P(Erlang(n+1, mu) <= D). Whether it is, is drawn on the spot,
// with that probability; the gain is the same as if it came out when the job is done.
type Deadline struct {
	Lambda float64 // lam: arrivals per unit time
	Mu     float64 // mu: services per unit time
	Places int     // K: jobs in the node, the one in service included
	Limit  float64 // D: the time from arrival in which a job is to be done
	Cloud  float64 // r_cloud: the reward of the cloud

	jobs int
}

func (p *Deadline) Name() string               { return "deadline node with a cloud" }
func (p *Deadline) Actions() int               { return 3 }
func (p *Deadline) Dim() int                   { return 1 }
func (p *Deadline) Range(int) (lo, hi float64) { return 0, float64(p.Places) }
func (p *Deadline) State(s []float64)          { s[0] = float64(p.jobs) }
func (p *Deadline) Reset(*rand.Rand)           { p.jobs = 0 }

// outcome is the expected reward of action a, and whether the job joins the queue.
func (p *Deadline) outcome(a, jobs int) (reward float64, joins bool) {
	switch {
	case a == 1 && jobs < p.Places:
		return erlang(jobs+1, float64(p.Mu*p.Limit)), true
	case a == 2:
		return p.Cloud, false
	}
	return 0, false
}

func (p *Deadline) Step(a int, r *rand.Rand) (reward, dt float64, ended bool) {
	reward, joins := p.outcome(a, p.jobs)
	if joins {
		p.jobs++
		if random.Unit(r) < reward {
			reward = 1
		} else {
			reward = 0
		}
	}
	dt = random.Exp1(r) / p.Lambda
	p.jobs = serve(p.jobs, p.Mu, dt, r)
	return reward, dt, false
}

// Model numbers the states by jobs.
func (p *Deadline) Model() *Model {
	m := &Model{Start: []Transition{{0, 1}}}
	for jobs := range p.Places + 1 {
		m.States = append(m.States, []float64{float64(jobs)})
		row := make([]Outcome, 3)
		for a := range row {
			reward, joins := p.outcome(a, jobs)
			after := jobs
			if joins {
				after++
			}
			row[a] = Outcome{Reward: reward, Time: 1 / p.Lambda, Next: transitions(left(after, p.Lambda, p.Mu))}
		}
		m.Outcomes = append(m.Outcomes, row)
	}
	return m
}

// erlang is the probability that the sum of k exponential times of mean 1 is at most x: that a Poisson process has k
// events or more in x.
func erlang(k int, x float64) float64 {
	term := random.Exp(-x)
	fewer := 0.0
	for i := range k {
		fewer += term
		term = float64(term*x) / float64(i+1)
	}
	return 1 - fewer
}

// Validate implements Problem.
func (p *Deadline) Validate() error {
	return all(positive("lam", p.Lambda), positive("mu", p.Mu), count("K", p.Places, mostStates), positive("D", p.Limit),
		finite("r_cloud", p.Cloud))
}
