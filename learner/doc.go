// Package learner is what learns. It does no I/O and reads no clock: the same learner, fed with the same states, actions
// and rewards, holds the same values bit for bit in the simulator, on a laptop and on a Raspberry Pi.
package learner
