package problem

// Solution is what a policy brings.
type Solution struct {
	Policy Policy
	// Gain is the reward per unit time in the long run, from Model.Start on; 0 where episodes end.
	Gain float64
	// Return is the expected sum of rewards until the episode ends, from Model.Start on. Where none ends it has no
	// meaning.
	Return float64
	// Gains holds the gain from each state on. They are all equal, unless the policy divides the states into classes
	// between which it does not move.
	Gains []float64
	// Values holds, by state, how much more is brought from there than the gain alone would: in episodes the expected
	// return, otherwise relative to one state of the class in which the policy settles, which has value 0.
	Values []float64
	// Q holds the values of each action in each state: r - g·t + the mean of Values over where it leads, with the gain g
	// of the state.
	Q [][]float64
}

// Evaluate says exactly what a policy brings.
func (m *Model) Evaluate(p Policy) *Solution {
	c := newChain(m, p)
	c.eliminate()
	c.substitute()
	n := len(m.States)
	s := &Solution{Policy: p, Gains: c.gain[:n], Values: c.value[:n], Q: make([][]float64, n)}
	s.Gain, s.Return = mean(m.Start, s.Gains), mean(m.Start, s.Values)
	for i, row := range m.Outcomes {
		s.Q[i] = make([]float64, len(row))
		for a := range row {
			o := &row[a]
			s.Q[i][a] = o.Reward - float64(s.Gains[i]*o.Time) + mean(o.Next, s.Values)
		}
	}
	return s
}

// Solve returns an optimal policy, and what it brings.
func (m *Model) Solve() *Solution { return m.EpsilonGreedy(0) }

// EpsilonGreedy returns the best of the policies that draw one of all actions with probability epsilon, and what it
// brings: the most that a learner can earn while it explores. Solution.Policy.Action is what it does otherwise.
//
// It is policy iteration: evaluate, then take in each state the action of the highest value, until nothing changes. An
// action that leads to a class of higher gain comes first, so that it begins well with any policy.
//
// Sources: Howard, Dynamic Programming and Markov Processes, 1960; Puterman, Markov Decision Processes, 1994, sections
// 9.2 and 11.4; for epsilon, Sutton and Barto 2018, section 5.4.
func (m *Model) EpsilonGreedy(epsilon float64) *Solution {
	actions := make([]int, len(m.States))
	for {
		s := m.Evaluate(m.taking(actions).Explore(epsilon))
		if !m.improve(s, actions) {
			return s
		}
	}
}

// improve changes those actions to which another is better, given what s brings, and says whether there were any.
func (m *Model) improve(s *Solution, actions []int) (improved bool) {
	gains := make([]float64, m.Actions())
	ofGain, ofValue := rounding(s.Gains), rounding(s.Values)
	for i, row := range m.Outcomes {
		for a := range row {
			gains[a] = mean(row[a].Next, s.Gains)
		}
		best := actions[i]
		for a := range row {
			more := gains[a] - gains[best]
			if more > ofGain || more > -ofGain && s.Q[i][a]-s.Q[i][best] > ofValue {
				best = a
			}
		}
		if best != actions[i] {
			actions[i] = best
			improved = true
		}
	}
	return improved
}

// rounding is more than what numbers like x may be wrong by.
func rounding(x []float64) float64 {
	most := 1.0
	for _, x := range x {
		most = max(most, x, -x)
	}
	return float64(1e-10 * most)
}

// mean is the mean of x over where transitions lead; an end counts as 0.
func mean(ts []Transition, x []float64) float64 {
	sum := 0.0
	for _, t := range ts {
		sum += float64(t.P * x[t.State])
	}
	return sum
}

// chain is the Markov reward process that a policy makes of a model. Its last state stands for the end.
//
// It is solved by eliminating the states one by one: what passes through an eliminated state is attributed to the
// transitions between those that are left. A state that leads nowhere any more but to itself stands for a whole
// recurrent class, and its gain is the reward of a cycle over its time. Probabilities are never subtracted, so that they
// lose no digits, and zero stays zero. The state that is most likely to be left comes first: then no other leads to it
// with a higher probability than that, nothing grows, and what stands for a class is a state in which it often is.
//
// Source: Grassmann, Taksar and Heyman, Operations Research 33(5), 1985, here with a choice of the state.
type chain struct {
	p            [][]float64 // transition probabilities to other states that remain, or did when the state was eliminated
	reward, time []float64   // until the next such state
	exit         []float64   // probability of a state to lead to one of them
	order        []int       // of elimination
	gain, value  []float64
}

func newChain(m *Model, policy Policy) *chain {
	n := len(m.States)
	c := &chain{p: make([][]float64, n), reward: make([]float64, n), time: make([]float64, n), exit: make([]float64, n),
		gain: make([]float64, n+1), value: make([]float64, n+1)}
	for i, row := range m.Outcomes {
		c.p[i] = make([]float64, n+1)
		for a := range row {
			o, pa := &row[a], policy[i][a]
			c.reward[i] += float64(pa * o.Reward)
			c.time[i] += float64(pa * o.Time)
			c.p[i][n] += float64(pa * o.End)
			for _, t := range o.Next {
				c.p[i][t.State] += float64(pa * t.P)
			}
		}
		c.leave(i)
	}
	return c
}

// leave forgets how i leads to itself, and finds its exit probability.
func (c *chain) leave(i int) {
	c.p[i][i] = 0
	sum := 0.0
	for _, p := range c.p[i] {
		sum += p
	}
	c.exit[i] = sum
}

// targets are the other states to which k leads.
func (c *chain) targets(k int) []int {
	var to []int
	for j, p := range c.p[k] {
		if p > 0 {
			to = append(to, j)
		}
	}
	return to
}

// eliminate leaves one state of each recurrent class, and the end.
func (c *chain) eliminate() {
	remains := make([]bool, len(c.p))
	for i := range remains {
		remains[i] = true
	}
	for {
		k := -1
		for i, e := range c.exit {
			if remains[i] && e > 0 && (k < 0 || e > c.exit[k]) {
				k = i
			}
		}
		if k < 0 {
			break
		}
		remains[k] = false
		c.order = append(c.order, k)
		to := c.targets(k)
		for i, row := range c.p {
			if !remains[i] || row[k] == 0 {
				continue
			}
			visits := row[k] / c.exit[k]
			row[k] = 0
			c.reward[i] += float64(visits * c.reward[k])
			c.time[i] += float64(visits * c.time[k])
			for _, j := range to {
				row[j] += float64(visits * c.p[k][j])
			}
			c.leave(i)
		}
	}
	for i := range c.p {
		if remains[i] {
			c.gain[i] = c.reward[i] / c.time[i]
		}
	}
}

// substitute finds the gains and values of the eliminated states, the last one first.
func (c *chain) substitute() {
	for n := len(c.order) - 1; n >= 0; n-- {
		k := c.order[n]
		gain, value := 0.0, 0.0
		for j, p := range c.p[k] {
			gain += float64(p * c.gain[j])
			value += float64(p * c.value[j])
		}
		c.gain[k] = gain / c.exit[k]
		c.value[k] = (value + c.reward[k] - float64(c.gain[k]*c.time[k])) / c.exit[k]
	}
}
