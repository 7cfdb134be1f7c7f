package problem

// Model is a finite Markov decision process in discrete or continuous time. The states have numbers from 0.
type Model struct {
	// States holds what Problem.State writes, by state.
	States [][]float64
	// Start is the distribution of the first state.
	Start []Transition
	// Outcomes holds what comes of an action, by state and action.
	Outcomes [][]Outcome
}

// Outcome is what comes of an action in a state.
type Outcome struct {
	Reward float64      // expected
	Time   float64      // expected time until the next decision
	Next   []Transition // a state may occur more than once
	End    float64      // probability that the episode ends; with those of Next it sums to 1
}

// Transition leads to a state with a probability.
type Transition struct {
	State int
	P     float64
}

// Policy holds the probability of each action, by state and action.
type Policy [][]float64

// Actions is how many actions there are.
func (m *Model) Actions() int { return len(m.Outcomes[0]) }

// Uniform is the policy that draws one of all actions.
func (m *Model) Uniform() Policy { return m.Deterministic(func([]float64) int { return 0 }).Explore(1) }

// Deterministic is the policy that takes action choose(s) in state s.
func (m *Model) Deterministic(choose func(s []float64) int) Policy {
	actions := make([]int, len(m.States))
	for i, s := range m.States {
		actions[i] = choose(s)
	}
	return m.taking(actions)
}

// taking is the policy that takes these actions, by state.
func (m *Model) taking(actions []int) Policy {
	p := make(Policy, len(actions))
	for i, a := range actions {
		p[i] = make([]float64, m.Actions())
		p[i][a] = 1
	}
	return p
}

// Explore is the policy that draws one of all actions with probability epsilon, and otherwise does as p does.
func (p Policy) Explore(epsilon float64) Policy {
	q := make(Policy, len(p))
	for i, row := range p {
		q[i] = make([]float64, len(row))
		for a, pa := range row {
			q[i][a] = float64((1-epsilon)*pa) + epsilon/float64(len(row))
		}
	}
	return q
}

// Action is the most probable action in a state; of several, the one with the lowest number.
func (p Policy) Action(state int) int { return highest(p[state]) }

// highest is the first of the highest values.
func highest(x []float64) int {
	best := 0
	for i := range x {
		if x[i] > x[best] {
			best = i
		}
	}
	return best
}

// PerDecision is the same process, with every decision taking time 1: gains are then per decision.
func (m *Model) PerDecision() *Model {
	d := &Model{m.States, m.Start, make([][]Outcome, len(m.Outcomes))}
	for i, row := range m.Outcomes {
		d.Outcomes[i] = append([]Outcome(nil), row...)
		for a := range row {
			d.Outcomes[i][a].Time = 1
		}
	}
	return d
}
