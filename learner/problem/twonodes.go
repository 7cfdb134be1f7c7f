package problem

import (
	"math/rand/v2"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// TwoNodes is routing between two M/M/1/K nodes, each with Poisson arrivals of its own. An arriving job is rejected
// (action 0), for nothing, or run at node 1 or 2 (action 1 or 2), which brings a reward, less a price where that is not
// the node at which it arrived; a job in either node costs something per unit time. A node that is full rejects what it is
// to run, and then nothing is paid. Forwarding takes no time. The state is the number of jobs in node 1, that in node
// 2, and at which of them a job has arrived: all is known, so the optimum bounds what nodes can do that know less.
//
// As in Naor, the cost is charged on acceptance, for the expected time (n+1)/mu that a job stays which finds n before
// it in a node of rate mu, and the gain is the same as if it were charged as time passes.
type TwoNodes struct {
	Lambda  [2]float64 // lam1, lam2: arrivals per unit time
	Mu      [2]float64 // mu1, mu2: services per unit time
	Places  int        // K: jobs in a node, the one in service included
	Reward  float64    // R: of an accepted job
	Cost    float64    // h: per job and unit time
	Forward float64    // f: of running a job elsewhere than where it arrived

	jobs [2]int
	at   int // where a job has arrived: 0 or 1
}

func (p *TwoNodes) Name() string { return "two nodes" }
func (p *TwoNodes) Actions() int { return 3 }
func (p *TwoNodes) Dim() int     { return 3 }

func (p *TwoNodes) Range(d int) (lo, hi float64) {
	if d == 2 {
		return 1, 2
	}
	return 0, float64(p.Places)
}

func (p *TwoNodes) State(s []float64) {
	s[0], s[1], s[2] = float64(p.jobs[0]), float64(p.jobs[1]), float64(p.at+1)
}

func (p *TwoNodes) Reset(r *rand.Rand) {
	p.jobs = [2]int{}
	p.arrive(r)
}

func (p *TwoNodes) arrive(r *rand.Rand) {
	p.at = 0
	if float64(random.Unit(r)*p.rate()) >= p.Lambda[0] {
		p.at = 1
	}
}

// rate is that of all arrivals.
func (p *TwoNodes) rate() float64 { return p.Lambda[0] + p.Lambda[1] }

// run is what action a brings for a job that arrived at a node, and the jobs after it.
func (p *TwoNodes) run(a int, jobs [2]int, at int) (reward float64, after [2]int) {
	node := a - 1
	if a == 0 || jobs[node] == p.Places {
		return 0, jobs
	}
	jobs[node]++
	reward = p.Reward - float64(p.Cost*float64(jobs[node]))/p.Mu[node]
	if node != at {
		reward -= p.Forward
	}
	return reward, jobs
}

func (p *TwoNodes) Step(a int, r *rand.Rand) (reward, dt float64, ended bool) {
	reward, p.jobs = p.run(a, p.jobs, p.at)
	dt = random.Exp1(r) / p.rate()
	for i := range p.jobs {
		p.jobs[i] = serve(p.jobs[i], p.Mu[i], dt, r)
	}
	p.arrive(r)
	return reward, dt, false
}

// number is that of a state.
func (p *TwoNodes) number(jobs [2]int, at int) int { return (jobs[0]*(p.Places+1)+jobs[1])*2 + at }

// arrival leads, with probability prob, to these jobs and an arrival.
func (p *TwoNodes) arrival(jobs [2]int, prob float64) []Transition {
	first := p.Lambda[0] / p.rate()
	return []Transition{{p.number(jobs, 0), float64(prob * first)}, {p.number(jobs, 1), float64(prob * (1 - first))}}
}

// Model numbers the states by the jobs in node 1, then those in node 2, then where the job arrived.
func (p *TwoNodes) Model() *Model {
	m := &Model{Start: p.arrival([2]int{}, 1)}
	for n1 := range p.Places + 1 {
		for n2 := range p.Places + 1 {
			for at := range 2 {
				m.States = append(m.States, []float64{float64(n1), float64(n2), float64(at + 1)})
				row := make([]Outcome, 3)
				for a := range row {
					reward, after := p.run(a, [2]int{n1, n2}, at)
					row[a] = Outcome{Reward: reward, Time: 1 / p.rate(), Next: p.next(after)}
				}
				m.Outcomes = append(m.Outcomes, row)
			}
		}
	}
	return m
}

// next is what the next arrival finds, by following the services until then.
func (p *TwoNodes) next(jobs [2]int) []Transition {
	reached := make([][]float64, jobs[0]+1) // the probability of having so few jobs before the arrival
	for i := range reached {
		reached[i] = make([]float64, jobs[1]+1)
	}
	reached[jobs[0]][jobs[1]] = 1
	var ts []Transition
	for i := jobs[0]; i >= 0; i-- {
		for j := jobs[1]; j >= 0; j-- {
			total := p.rate()
			if i > 0 {
				total += p.Mu[0]
			}
			if j > 0 {
				total += p.Mu[1]
			}
			here := reached[i][j] / total
			if i > 0 {
				reached[i-1][j] += float64(here * p.Mu[0])
			}
			if j > 0 {
				reached[i][j-1] += float64(here * p.Mu[1])
			}
			ts = append(ts, p.arrival([2]int{i, j}, float64(here*p.rate()))...)
		}
	}
	return ts
}

// Validate implements Problem.
func (p *TwoNodes) Validate() error {
	return all(nonNegative("lam1", p.Lambda[0]), nonNegative("lam2", p.Lambda[1]), positive("lam1+lam2", p.rate()),
		positive("mu1", p.Mu[0]), positive("mu2", p.Mu[1]), count("K", p.Places, 30), finite("R", p.Reward),
		nonNegative("h", p.Cost), nonNegative("f", p.Forward))
}
