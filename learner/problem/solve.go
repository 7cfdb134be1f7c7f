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
	for i, row := range m.Outcomes {
		for a := range row {
			gains[a] = mean(row[a].Next, s.Gains)
		}
		best := actions[i]
		for a := range row {
			switch {
			case less(gains[best], gains[a]):
				best = a
			case !less(gains[a], gains[best]) && less(s.Q[i][best], s.Q[i][a]):
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

// less says whether x < y by more than rounding.
func less(x, y float64) bool { return y-x > float64(1e-10*(1+max(x, -x)+max(y, -y))) }

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
// It is solved by eliminating the states one by one, the last first: what passes through an eliminated state is
// attributed to the transitions between those that are left. A state that is left only for itself then stands for a whole
// recurrent class, and its gain is the reward of a cycle over its time. Nothing is ever subtracted, so that no digits are
// lost and a probability of zero stays zero.
//
// Source: Grassmann, Taksar and Heyman, Operations Research 33(5), 1985.
type chain struct {
	p            [][]float64 // transition probabilities
	reward, time []float64   // until the next state that is left
	closed       []bool      // stands for a recurrent class, or the end
	exit         []float64   // probability to leave a state, when it was eliminated
	gain, value  []float64
}

func newChain(m *Model, policy Policy) *chain {
	n := len(m.States)
	c := &chain{p: make([][]float64, n), reward: make([]float64, n), time: make([]float64, n), closed: make([]bool, n+1),
		exit: make([]float64, n), gain: make([]float64, n+1), value: make([]float64, n+1)}
	c.closed[n] = true
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
	}
	return c
}

// targets are the states to which k leads once those after it are eliminated.
func (c *chain) targets(k int) []int {
	var to []int
	for j, p := range c.p[k] {
		if p > 0 && (j < k || j > k && c.closed[j]) {
			to = append(to, j)
		}
	}
	return to
}

func (c *chain) eliminate() {
	for k := len(c.p) - 1; k >= 0; k-- {
		to := c.targets(k)
		if len(to) == 0 {
			c.closed[k] = true
			c.gain[k] = c.reward[k] / c.time[k]
			continue
		}
		for _, j := range to {
			c.exit[k] += c.p[k][j]
		}
		for i := range k {
			visits := c.p[i][k] / c.exit[k]
			if visits == 0 {
				continue
			}
			c.reward[i] += float64(visits * c.reward[k])
			c.time[i] += float64(visits * c.time[k])
			for _, j := range to {
				c.p[i][j] += float64(visits * c.p[k][j])
			}
		}
	}
}

// substitute finds the gains and values of the eliminated states, the first one first.
func (c *chain) substitute() {
	for k := range c.p {
		if c.closed[k] {
			continue
		}
		gain, value := 0.0, 0.0
		for _, j := range c.targets(k) {
			gain += float64(c.p[k][j] * c.gain[j])
			value += float64(c.p[k][j] * c.value[j])
		}
		c.gain[k] = gain / c.exit[k]
		c.value[k] = (value + c.reward[k] - float64(c.gain[k]*c.time[k])) / c.exit[k]
	}
}
