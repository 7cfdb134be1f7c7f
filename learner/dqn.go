package learner

import "math/rand/v2"

// dqnConfig is what a deep Q-network is made of. The values in brackets are those of Mnih et al. for Atari games, of which
// a problem with few dimensions needs a hundredth or less.
type dqnConfig struct {
	network networkConfig

	capacity int  // transitions remembered, >= 1 [1 000 000]
	batch    int  // transitions in one update, >= 1 [32]
	every    int  // transitions between two updates, >= 1 [4]
	warmup   int  // transitions before the first update, >= 0 [50 000]
	target   int  // updates between two copies to the target network, >= 1 [10 000]
	double   bool // double DQN: see dqn

	// clip bounds the error delta of a transition: the loss grows linearly beyond it, as Huber's (1964); 0 = no bound [1].
	// What is learned then is the mean of the targets only where they spread by less than the bound; of skewed ones that
	// spread by more it lies towards the median, and so does the average reward.
	clip float64

	gamma   float64 // discount, 0 to 1 [0.99]
	average bool    // average rewards, in place of the discount
	beta    float64 // step size of the average reward, in one update
}

func (c *Config) newDQN(r *rand.Rand) agent {
	p := c.Replay
	return newDQN(dqnConfig{network: c.networkConfig(), capacity: p.Capacity, batch: p.Batch, every: p.Every,
		warmup: p.Warmup, target: p.Target, double: p.Double, gamma: c.Gamma, average: c.Average, beta: c.Beta}, r)
}

// dqn is a deep Q-network: Q-learning with a network that learns from minibatches of remembered transitions (s, a, r, s').
// With a discount gamma the error of one is
//
//	delta = r + gamma·V(s') - Q(s, a)
//
// and with average rewards
//
//	delta = r - Rbar + V(s') - Q(s, a),  Rbar += beta·(mean of delta over the minibatch).
//
// V(s') is a maximum over the actions, of the values that the target network has for them: an older copy of the network,
// which does not run after each of its changes. Double DQN takes the value there of the action that is best in the network
// itself: the maximum alone overestimates.
//
// Rbar follows the same errors as the weights do, those of the minibatch as they were clipped. This is what makes
// differential Q-learning learn the average reward of the best policy from the actions of any other one; were it to follow
// other errors, those of the two need not vanish together, and the values would drift without end. And a mean over the
// minibatch has less variance than the error of the last transition.
//
// Sources: Mnih et al., Human-level control through deep reinforcement learning, Nature 518, 2015; van Hasselt, Guez and
// Silver, Deep reinforcement learning with double Q-learning, AAAI 2016; Wan, Naik and Sutton, Learning and planning in
// average-reward Markov decision processes, ICML 2021.
type dqn struct {
	config         dqnConfig
	online, target *network
	memory         *memory
	rand           *rand.Rand // draws minibatches
	last           move       // the action of which the successor is not known yet
	open           bool       // whether there is one
	rbar           float64
	stored         int // transitions so far
	updates        int // of the network so far
}

// newDQN draws the initial weights, and later the minibatches, from r.
func newDQN(c dqnConfig, r *rand.Rand) *dqn {
	d := &dqn{config: c, online: newNetwork(c.network, r), target: blankNetwork(c.network),
		memory: newMemory(c.capacity, len(c.network.dims)), rand: r}
	d.synchronise()
	return d
}

// synchronise copies the network to the target network.
func (d *dqn) synchronise() { copy(d.target.w, d.online.w) }

// values implements agent.
func (d *dqn) values(s []float64) []float64 { return d.online.values(s) }

func (d *dqn) averageReward() float64 { return d.rbar }

func (d *dqn) assume(averageReward float64) {
	d.rbar = averageReward
	d.synchronise()
}

func (d *dqn) start(s []float64, a int) {
	d.last.state, d.last.action = append(d.last.state[:0], s...), a
	d.open = true
}

func (d *dqn) step(r float64, s []float64, a int) {
	d.store(r, s)
	d.start(s, a)
}

func (d *dqn) end(r float64) {
	d.store(r, nil)
	d.open = false
}

func (d *dqn) cut() { d.open = false }

// store remembers the transition from the last action to s, nil at the end of an episode, and learns when it is time to.
func (d *dqn) store(r float64, s []float64) {
	if !d.open {
		return
	}
	d.memory.add(d.last.state, d.last.action, r, s)
	d.stored++
	if d.stored >= d.config.warmup && d.stored%d.config.every == 0 {
		d.train()
	}
}

// train learns from one minibatch, drawn uniformly and with replacement.
func (d *dqn) train() {
	sum := 0.0
	for range d.config.batch {
		t := d.memory.at(d.rand.IntN(d.memory.n))
		target := t.reward
		if d.config.average {
			target -= d.rbar
		}
		if !t.ended {
			target += d.ahead(t.next)
		}
		delta := target - d.online.values(t.state)[t.action]
		if c := d.config.clip; c > 0 {
			delta = max(-c, min(c, delta))
		}
		d.online.accumulate(t.action, delta/float64(d.config.batch))
		sum += delta
	}
	d.online.update()
	if d.config.average {
		d.rbar += float64(d.config.beta*sum) / float64(d.config.batch)
	}
	if d.updates++; d.updates%d.config.target == 0 {
		d.synchronise()
	}
}

// ahead is V(s), discounted.
func (d *dqn) ahead(s []float64) float64 {
	q := d.target.values(s)
	judge := q // of which action is best
	if d.config.double {
		judge = d.online.values(s)
	}
	v := q[highest(judge)]
	if d.config.average {
		return v
	}
	return float64(d.config.gamma * v)
}

// memory is a ring of transitions: the newest takes the place of the oldest. A transition takes 16 bytes for each
// dimension of the state, and 17 more.
type memory struct {
	dims    int
	states  []float64 // a row of dims numbers for each transition
	nexts   []float64 // likewise
	actions []int
	rewards []float64
	ended   []bool
	n       int // how many there are
	oldest  int // whose place is taken next, once the ring is full
}

// transition is one of a memory's; its slices are parts of that.
type transition struct {
	state, next []float64 // next means nothing where ended
	action      int
	reward      float64
	ended       bool
}

func newMemory(capacity, dims int) *memory {
	return &memory{dims: dims, states: make([]float64, capacity*dims), nexts: make([]float64, capacity*dims),
		actions: make([]int, capacity), rewards: make([]float64, capacity), ended: make([]bool, capacity)}
}

func (m *memory) at(i int) transition {
	from, to := i*m.dims, (i+1)*m.dims
	return transition{m.states[from:to], m.nexts[from:to], m.actions[i], m.rewards[i], m.ended[i]}
}

// add copies a transition into the ring; next is nil where it ended an episode.
func (m *memory) add(s []float64, a int, r float64, next []float64) {
	i := m.oldest
	if m.n < len(m.actions) {
		i = m.n
		m.n++
	} else if m.oldest++; m.oldest == m.n {
		m.oldest = 0
	}
	copy(m.states[i*m.dims:], s)
	copy(m.nexts[i*m.dims:], next)
	m.actions[i], m.rewards[i], m.ended[i] = a, r, next == nil
}
