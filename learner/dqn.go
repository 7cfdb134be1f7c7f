package learner

import "math/rand/v2"

// dqn is a deep Q-network: it remembers transitions and learns from random ones among them, against the values of a
// network that follows behind. With average rewards the error is that of differential Q-learning, and the average
// reward moves by beta times the mean error of a batch.
//
// Sources: Mnih et al., Nature 518, 2015; van Hasselt, Guez and Silver, AAAI 2016, for the double form; Wan, Naik and
// Sutton, ICML 2021, for the average reward.
type dqn struct {
	Replay
	online, target *network
	rand           *rand.Rand

	gamma, beta float64
	average     bool
	rbar        float64

	last    move // the action of which the successor is not known yet
	begun   bool
	memory  []transition // a ring
	states  []float64    // of the transitions: from, to
	next    int          // place in the ring
	seen    int          // transitions
	trained int          // steps of the optimiser
}

type transition struct {
	action int
	reward float64
	ended  bool
}

func (c *Config) newDQN(r *rand.Rand) agent {
	d := &dqn{Replay: c.Replay, online: c.perceptron(r), target: c.perceptron(r), rand: r, gamma: c.Gamma, beta: c.Beta,
		average: c.Average}
	d.target.copyFrom(d.online)
	return d
}

func (d *dqn) values(s []float64) []float64 { return d.online.values(s) }
func (d *dqn) averageReward() float64       { return d.rbar }

func (d *dqn) assume(averageReward float64) {
	d.rbar = averageReward
	d.target.copyFrom(d.online) // the values were taken over too
}

func (d *dqn) start(s []float64, a int) {
	d.last.state, d.last.action, d.begun = append(d.last.state[:0], s...), a, true
}

func (d *dqn) step(r float64, s []float64, a int) {
	d.remember(r, s)
	d.start(s, a)
}

func (d *dqn) end(r float64) {
	d.remember(r, nil)
	d.begun = false
}

func (d *dqn) cut() { d.begun = false }

// remember keeps the last action with what it led to; s is nil at the end of an episode. It learns every so often.
func (d *dqn) remember(r float64, s []float64) {
	if !d.begun {
		return
	}
	n := len(d.last.state)
	if len(d.memory) < d.Capacity {
		d.memory = append(d.memory, transition{})
		d.states = append(d.states, make([]float64, 2*n)...)
	}
	d.memory[d.next] = transition{d.last.action, r, s == nil}
	at := d.states[d.next*2*n:]
	copy(at[:n], d.last.state)
	copy(at[n:2*n], s)
	if d.next++; d.next == d.Capacity {
		d.next = 0
	}
	d.seen++
	if d.seen >= max(d.Warmup, d.Batch) && d.seen%d.Every == 0 {
		d.learn()
	}
}

// learn makes one step of the optimiser on a batch.
func (d *dqn) learn() {
	n, total := len(d.last.state), 0.0
	for range d.Batch {
		i := d.rand.IntN(len(d.memory))
		t, from, to := &d.memory[i], d.states[i*2*n:][:n], d.states[i*2*n+n:][:n]
		target := t.reward
		if d.average {
			target -= d.rbar
		}
		if !t.ended {
			target += d.ahead(to)
		}
		delta := target - d.online.values(from)[t.action]
		d.online.add(t.action, delta)
		total += delta
	}
	d.online.apply()
	if d.average {
		d.rbar += float64(d.beta*total) / float64(d.Batch)
	}
	if d.trained++; d.trained%d.Target == 0 {
		d.target.copyFrom(d.online)
	}
}

// ahead is the discounted value of a state.
func (d *dqn) ahead(s []float64) float64 {
	best := -1
	if d.Double {
		best = highest(d.online.values(s))
	}
	q := d.target.values(s)
	if best < 0 {
		best = highest(q)
	}
	if d.average {
		return q[best]
	}
	return float64(d.gamma * q[best])
}
