// Package learner is what learns. It does no I/O, starts no goroutine and reads no clock: the same learner, fed with the
// same states, actions and rewards, holds the same values bit for bit in the simulator, on a laptop and on a Raspberry Pi.
//
// # A learner
//
// A Learner belongs to one node. Act chooses an action in a state, by its Policy and the values of the actions. What
// the action was worth comes back later as an Entry, from the client, in any order or never: Train takes it, and learns
// when the window has consecutive ones. Who drives a learner step by step, without entries, uses Start, Step and End.
//
// A Config says what it is made of:
//
//	Algorithm  sarsa, expected-sarsa, q-learning, double-q   temporal differences (td.go)
//	           dqn                                           with a replay memory (dqn.go)
//	           sample-average, ucb1, linucb, thompson        bandits: they do not look ahead (bandit.go)
//	Function   table, tiles, linear, network                 where values are kept (linear.go, features.go, network.go)
//	Policy     epsilon-greedy, softmax, with schedules       (policy.go); for ucb1, linucb and thompson, which explore by
//	                                                         themselves (Explores), epsilon-greedy with a constant 0
//	Window     how entries are put in order                  (window.go)
//
// Reward says what an answer is worth to the client (reward.go). Weights are all that was learned, as a file
// (weights.go). Package problem has problems of which the optimum is known.
//
// # Average rewards
//
// A node schedules for ever, and no decision is the last one: by default a reward counts by how much better it is than
// the average one (Sutton and Barto 2018, section 10.3), and the learner estimates that average beside the values. With
// Average false, later rewards are discounted by Gamma.
//
// # Determinism
//
// Products that are added to something are rounded first, logarithms and exponentials are those of core/random, sums
// have one order, and nothing ranges over a map: values.golden in testdata holds on amd64 and arm64.
package learner
