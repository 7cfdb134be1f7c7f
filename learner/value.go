package learner

// function is a value function: Q(s, a) for every action a.
type function interface {
	// values returns Q(s, ·), one per action. The slice is valid until the next call of a method.
	values(s []float64) []float64
	// learn moves Q(s, a): the weights change by step times the gradient of Q(s, a), or as an optimiser makes of that.
	// For a table Q(s, a) grows by step.
	learn(s []float64, a int, step float64)
}

// agent learns from a trajectory of states, actions and rewards.
type agent interface {
	// values returns what the agent expects of each action in s: its policy chooses by them. The slice is valid until
	// the next call of a method.
	values(s []float64) []float64
	// start begins a trajectory with action a in state s.
	start(s []float64, a int)
	// step says that the last action brought reward r and the state s, in which a was chosen.
	step(r float64, s []float64, a int)
	// end says that the last action brought reward r and ended the trajectory (an episode).
	end(r float64)
	// cut says that what followed the last action is not known: nothing is learned from it.
	cut()
	// averageReward is what has been learned of it; 0 where rewards are discounted.
	averageReward() float64
	// assume sets it: that of a learner whose values were taken over.
	assume(averageReward float64)
}
