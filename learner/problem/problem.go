package problem

import "math/rand/v2"

// Problem is a Markov decision process to learn on: a world in some state, in which an action brings a reward and leads
// to a next state. It must be Reset before the first Step.
type Problem interface {
	// Name says which problem it is.
	Name() string
	// Actions is how many actions there are. All can be taken in every state: one that is impossible (to accept where
	// there is no room) is carried out as the one that remains (to reject).
	Actions() int
	// Dim is how many numbers describe a state; 0 where there is only one state.
	Dim() int
	// Range is between what a number d < Dim() of the state lies.
	Range(d int) (lo, hi float64)
	// State writes the present state into s, of length Dim().
	State(s []float64)
	// Step carries out action a and draws what follows: the reward, and the time that passes until the next decision (1
	// in discrete time). Where the episode ended, Reset begins the next one.
	Step(a int, r *rand.Rand) (reward, dt float64, ended bool)
	// Reset draws a first state.
	Reset(r *rand.Rand)
	// Validate says what is wrong with the parameters.
	Validate() error
}

// mostStates bounds what is counted in a problem, since solving one takes time as the cube of its states.
const mostStates = 1000

// Finite is a problem of finitely many states, which can be solved exactly.
type Finite interface {
	Problem
	// Model returns the exact laws that State, Step and Reset follow. The parameters must be valid.
	Model() *Model
}
