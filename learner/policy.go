package learner

import (
	"math"
	"math/rand/v2"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// Policy says how a learner chooses among the actions it has values for.
type Policy struct {
	// Kind is "epsilon-greedy" or "softmax".
	Kind string `json:"kind"`
	// Epsilon is the probability of an action drawn uniformly: of epsilon-greedy.
	Epsilon Schedule `json:"epsilon"`
	// Temperature of softmax: action a is chosen with a probability proportional to exp(Q(a)/Temperature).
	Temperature Schedule `json:"temperature"`
}

// Schedule is a quantity that falls from Start to Min with the number n of decisions made so far.
type Schedule struct {
	// Kind says how it falls:
	//
	//	constant     Start
	//	geometric    Start · Decay^n, as in v1
	//	linear       Start - (Start-Min)·n/Decay: in Decay decisions
	//	harmonic     Start / (1 + n/Decay): half of it after Decay decisions
	Kind  string  `json:"kind"`
	Start float64 `json:"start"`
	Min   float64 `json:"min"`
	Decay float64 `json:"decay"`
}

// decay is a schedule with what it has come to.
type decay struct {
	Schedule
	n     uint64
	value float64
}

func (d *decay) begin(s Schedule) { *d = decay{Schedule: s, value: s.Start} }

// next moves on by one decision.
func (d *decay) next() {
	d.n++
	switch d.Kind {
	case "geometric":
		// v1 stops below the minimum, not at it.
		if d.value > d.Min {
			d.value *= d.Decay
		}
	case "linear":
		d.value = max(d.Min, d.Start-float64((d.Start-d.Min)*(float64(d.n)/d.Decay)))
	case "harmonic":
		d.value = max(d.Min, d.Start/(1+float64(d.n)/d.Decay))
	}
}

// policy chooses actions.
type policy struct {
	rand   *rand.Rand
	soft   bool
	decay  decay
	lowest bool // of equal values, the action with the lowest number, as v1 does; otherwise one of them at random
	p      []float64
}

func newPolicy(p Policy, r *rand.Rand, actions int) *policy {
	c := &policy{rand: r, soft: p.Kind == "softmax", p: make([]float64, actions)}
	if c.soft {
		c.decay.begin(p.Temperature)
	} else {
		c.decay.begin(p.Epsilon)
	}
	return c
}

// choose draws an action, given the values of all.
func (c *policy) choose(q []float64) int {
	if !c.soft {
		if c.decay.value > 0 && c.rand.Float64() < c.decay.value {
			return c.rand.IntN(len(q))
		}
		return c.greedy(q)
	}
	u := c.rand.Float64()
	p := c.probabilities(q)
	last := 0
	for a, pa := range p {
		if pa > 0 {
			if u < pa {
				return a
			}
			u -= pa
			last = a
		}
	}
	return last
}

// greedy is the action of the highest value; ties as the policy breaks them.
func (c *policy) greedy(q []float64) int {
	best, ties := 0, 1
	for a := 1; a < len(q); a++ {
		if q[a] > q[best] {
			best, ties = a, 1
		} else if q[a] == q[best] {
			ties++
		}
	}
	if ties == 1 || c.lowest {
		return best
	}
	k := c.rand.IntN(ties)
	for a := best; ; a++ {
		if q[a] == q[best] {
			if k == 0 {
				return a
			}
			k--
		}
	}
}

// probabilities are those with which choose would choose now; the slice is valid until the next call.
func (c *policy) probabilities(q []float64) []float64 {
	highest, ties := q[0], 0
	for _, x := range q {
		highest = max(highest, x)
	}
	if !c.soft {
		for _, x := range q {
			if x == highest {
				ties++
			}
		}
		each, more := c.decay.value/float64(len(q)), (1-c.decay.value)/float64(ties)
		for a, x := range q {
			c.p[a] = each
			if x == highest {
				c.p[a] += more
				if c.lowest {
					more = 0
				}
			}
		}
		return c.p
	}
	sum := 0.0
	for a, x := range q {
		c.p[a] = softened(x, highest, c.decay.value)
		sum += c.p[a]
	}
	for a := range c.p {
		c.p[a] /= sum
	}
	return c.p
}

// softened is exp((x-highest)/temperature); in the limit of a temperature of zero, 1 for the highest and 0 for others.
func softened(x, highest, temperature float64) float64 {
	switch {
	case x == highest:
		return 1
	case temperature <= 0 || math.IsInf(x, -1):
		return 0
	}
	return random.Exp((x - highest) / temperature)
}
