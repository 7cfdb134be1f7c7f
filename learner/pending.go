package learner

import "math/rand/v2"

type network struct{ w []float64 }

func (n *network) weights() []float64                     { return n.w }
func (n *network) values(s []float64) []float64           { return nil }
func (n *network) learn(s []float64, a int, step float64) {}

type dqn struct {
	agent
	online *network
}

func (c *Config) newDQN(r *rand.Rand) agent        { panic("") }
func (c *Config) newNetwork(r *rand.Rand) function { panic("") }
