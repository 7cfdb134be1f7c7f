package learner

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/p2pfaas/p2pfaas/core/spelling"
)

// Config is everything that a learner is made of. Default has values for all of it.
type Config struct {
	// Algorithm is one of Algorithms.
	Algorithm string `json:"algorithm"`
	// Actions is how many there are, numbered from 0.
	Actions int `json:"actions"`
	// Dims are the numbers of a state.
	Dims []Dim `json:"dims"`
	// Names are those of the actions, for people to read; nil: they are numbered.
	Names []string `json:"action_names,omitempty"`

	// Alpha is the step size: how much of an error a value moves by. Of a linear function it is the step of the weights, as of a
	// network: the value moves by 1+Σx² as much, where x are the numbers of the state, between 0 and 1 (a category counts 1).
	Alpha float64 `json:"alpha"`
	Beta  float64 `json:"beta"` // step size of the average reward
	// Average makes rewards count by how much better than the average one they are (a continuing task); otherwise later
	// rewards are discounted by Gamma.
	Average bool    `json:"average_reward"`
	Gamma   float64 `json:"gamma"`
	Steps   int     `json:"steps"`  // n: after how many actions a value is updated
	Lambda  float64 `json:"lambda"` // of eligibility traces; 0 = none

	Function Function `json:"function"`
	Policy   Policy   `json:"policy"`
	Bandit   Bandit   `json:"bandit"`
	Replay   Replay   `json:"replay"`

	Window   int `json:"window_size"`                // consecutive entries that training waits for
	Patience int `json:"entry_missing_max_attempts"` // entries after a missing one, until it is given up
	Capacity int `json:"capacity"`                   // how far apart the numbers of entries that are held may be

	// V1 repeats what the first P2PFaaS computes.
	V1 Compat `json:"v1_compat"`
}

// Compat are the errors of the first P2PFaaS's learner, for who wants to repeat what was measured with it.
type Compat struct {
	AverageReward bool `json:"average_reward,omitempty"` // becomes r + beta·delta, and is not moved by it
	LastEntry     bool `json:"last_entry,omitempty"`     // of a window is thrown away
	StateKey      bool `json:"state_key,omitempty"`      // is the digits of the state's whole parts: states are taken for one another
	LowestAction  bool `json:"lowest_action,omitempty"`  // of equal values is chosen: in a state never seen, action 0
	LateChange    bool `json:"late_change,omitempty"`    // alpha and beta change with the next reset
}

// V1 has all errors of the first P2PFaaS.
var V1 = Compat{AverageReward: true, LastEntry: true, StateKey: true, LowestAction: true, LateChange: true}

// Function says what the values are kept in.
type Function struct {
	Kind    string  `json:"kind"`    // table, tiles, linear or network
	Initial float64 `json:"initial"` // value of a state that was never seen (not of a network)
	States  int     `json:"states"`  // table: how many it may grow to

	Tilings int   `json:"tilings,omitempty"` // tiles
	Tiles   []int `json:"tiles,omitempty"`   // tiles of one tiling, by dimension; one number: of each
	Hash    int   `json:"hash,omitempty"`    // tiles: weights that all tiles share by a hash; 0 = each has its own

	Hidden     []int   `json:"hidden,omitempty"`     // network: units of each hidden layer
	Activation string  `json:"activation,omitempty"` // tanh or relu
	Optimizer  string  `json:"optimizer,omitempty"`  // adam or sgd
	Clip       float64 `json:"clip,omitempty"`       // bound of the gradient's norm; 0 = none
}

// Bandit is what algorithms have that look at one action alone.
type Bandit struct {
	PerState bool    `json:"per_state"` // statistics of each state, not one for all
	C        float64 `json:"c"`         // width of the confidence bound of UCB1 and LinUCB
	Scale    float64 `json:"scale"`     // Thompson: standard deviation of a reward; 0: rewards between 0 and 1
}

// Replay is what a deep Q-network has.
type Replay struct {
	Capacity int  `json:"capacity"` // transitions remembered
	Batch    int  `json:"batch"`    // of them in one step of the optimiser
	Every    int  `json:"every"`    // transitions between two steps
	Warmup   int  `json:"warmup"`   // transitions before the first
	Target   int  `json:"target"`   // steps between two copies to the target network
	Double   bool `json:"double"`   // double DQN
}

// Algorithms are the names of what learns.
var Algorithms = []string{"sarsa", "expected-sarsa", "q-learning", "double-q", "dqn", "sample-average", "ucb1", "linucb",
	"thompson"}

// Explores reports whether an algorithm sees to exploration itself, by bounds of what is known or by draws from it. A random
// action now and then, on top of that, costs it what it has a bound for.
func Explores(algorithm string) bool {
	return algorithm == "ucb1" || algorithm == "linucb" || algorithm == "thompson"
}

// Default is v1's learner, with v1's parameters: Sarsa with average rewards and a table.
func Default() Config {
	return Config{Algorithm: "sarsa", Alpha: 0.01, Beta: 0.01, Average: true, Gamma: 0.9, Steps: 1,
		Function: Function{Kind: "table", States: 1_000_000, Tilings: 8, Tiles: []int{8}, Hidden: []int{32, 32},
			Activation: "tanh", Optimizer: "adam", Clip: 1},
		Policy: Policy{Kind: "epsilon-greedy", Epsilon: Schedule{Kind: "geometric", Start: 0.9, Min: 0.1, Decay: 0.99},
			Temperature: Schedule{Kind: "constant", Start: 0.1, Min: 0.01, Decay: 10_000}},
		Bandit: Bandit{C: math.Sqrt2},
		Replay: Replay{Capacity: 10_000, Batch: 32, Every: 4, Warmup: 500, Target: 250, Double: true},
		Window: 5, Patience: 100, Capacity: 10_000}
}

// Check reports everything that is wrong with the configuration.
func (c *Config) Check() error {
	var problems []error
	wrong := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	oneOf := func(what, is string, of ...string) {
		wrong(slices.Contains(of, is), "%s %q: use %s", what, is, strings.Join(spelling.Nearest(is, of), ", "))
	}
	oneOf("algorithm", c.Algorithm, Algorithms...)
	wrong(c.Actions > 0 && c.Actions <= maxActions, "actions: there must be 1 to %d, not %d", maxActions, c.Actions)
	wrong(c.Names == nil || len(c.Names) == c.Actions, "action_names: there are %d for %d actions", len(c.Names), c.Actions)
	wrong(len(c.Dims) > 0 || c.Function.Kind == "table" && c.Algorithm != "linucb", "dims: only a table can do without")
	wrong(len(c.Dims) <= maxDims, "dims: a state has at most %d numbers, not %d", maxDims, len(c.Dims))
	for _, d := range c.Dims {
		wrong(finite(d.Lo) && finite(d.Hi) && d.Lo <= d.Hi, "dims: %s is bounded by %g and %g", d.Name, d.Lo, d.Hi)
		wrong(!d.Category || d.Hi-d.Lo < maxCategories, "dims: %s has more than %d categories", d.Name, maxCategories)
	}
	unit := func(what string, x float64) {
		wrong(x >= 0 && x <= 1, "%s must be between 0 and 1, is %g", what, x)
	}
	wrong(c.Alpha > 0 && c.Alpha <= 2, "alpha must be above 0 and at most 2, is %g", c.Alpha)
	unit("beta", c.Beta)
	unit("gamma", c.Gamma)
	unit("lambda", c.Lambda)
	wrong(c.Steps >= 1 && c.Steps <= maxSteps, "steps must be 1 to %d, is %d", maxSteps, c.Steps)
	linear := c.Function.Kind != "network"
	wrong(c.Lambda == 0 || c.Steps == 1, "lambda and steps: traces already look ahead more than one step: leave one out")
	wrong(c.Lambda == 0 || linear && (c.Algorithm == "sarsa" || c.Algorithm == "q-learning"),
		"lambda: traces are for sarsa and q-learning with table, tiles or linear")
	wrong(c.Steps == 1 || c.Algorithm == "sarsa" || c.Algorithm == "expected-sarsa",
		"steps: more than one is for sarsa and expected-sarsa")
	wrong(c.Algorithm != "dqn" || !linear, "dqn needs a function of kind network")
	c.Function.check(c, oneOf, wrong)
	oneOf("policy", c.Policy.Kind, "epsilon-greedy", "softmax")
	c.Policy.Epsilon.check("epsilon", 1, oneOf, wrong)
	c.Policy.Temperature.check("temperature", math.MaxFloat64, oneOf, wrong)
	wrong(c.Bandit.C >= 0 && finite(c.Bandit.C), "c must not be negative, is %g", c.Bandit.C)
	wrong(c.Bandit.Scale >= 0 && finite(c.Bandit.Scale), "scale must not be negative, is %g", c.Bandit.Scale)
	if r := c.Replay; c.Algorithm == "dqn" {
		wrong(r.Batch >= 1 && r.Batch <= r.Capacity && r.Capacity <= maxStates,
			"replay: 1 <= batch <= capacity <= %d must hold; batch is %d, capacity %d", maxStates, r.Batch, r.Capacity)
		wrong(r.Every >= 1 && r.Target >= 1 && r.Warmup >= 0,
			"replay: every and target must be at least 1, warmup not negative; are %d, %d, %d", r.Every, r.Target, r.Warmup)
	}
	wrong(c.Window >= 1 && c.Window <= c.Capacity, "window_size must be 1 to capacity (%d), is %d", c.Capacity, c.Window)
	wrong(c.Patience >= 1 && c.Patience < c.Capacity,
		"entry_missing_max_attempts must be 1 to below capacity (%d), is %d", c.Capacity, c.Patience)
	wrong(c.Capacity <= maxStates, "capacity must be at most %d, is %d", maxStates, c.Capacity)
	if len(problems) == 0 {
		kept, replay := c.numbers()
		wrong(kept+replay <= maxWeights, "%.3g numbers are too many for one learner, which has at most %d: take fewer actions, dimensions, "+
			"tiles (or a hash), or units, or a smaller replay", kept+replay, maxWeights)
	}
	return errors.Join(problems...)
}

// numbers is how many numbers a learner with a configuration that is right in its parts has from the beginning: those that
// a file of its weights keeps, and those of its replay memory. What grows with the states that are seen is not counted.
func (c *Config) numbers() (kept, replay float64) {
	actions, features := float64(c.Actions), float64(1+inputs(c.Dims))
	switch c.Algorithm {
	case "sample-average", "ucb1", "thompson":
		if c.Bandit.PerState {
			return 0, 0
		}
		return 2 * actions, 0
	case "linucb":
		return actions * features * (features + 1), 0
	}
	switch f := &c.Function; f.Kind {
	case "tiles":
		kept = float64(f.Hash)
		if f.Hash == 0 {
			kept = f.cells(c.Dims)
		}
		kept *= actions
	case "linear":
		kept = features * actions
	case "network":
		in := features - 1
		for _, n := range append(slices.Clone(f.Hidden), c.Actions) {
			kept += float64((in + 1) * float64(n))
			in = float64(n)
		}
	}
	switch c.Algorithm {
	case "double-q":
		kept *= 2
	case "dqn":
		replay = 2 * float64(c.Replay.Capacity) * float64(len(c.Dims))
	}
	return kept, replay
}

// cells is how many tiles there are, without a hash.
func (f *Function) cells(dims []Dim) float64 {
	n := float64(f.Tilings)
	for d := range dims {
		if dims[d].Category {
			n *= float64(dims[d].categories())
		} else {
			n *= float64(f.Tiles[min(d, len(f.Tiles)-1)] + 1)
		}
	}
	return n
}

// Bounds that keep a mistyped number from taking all memory.
const (
	maxActions    = 1 << 12
	maxDims       = 1 << 12
	maxCategories = 1 << 12
	maxSteps      = 1 << 12
	maxStates     = 1 << 24
	maxWeights    = 1 << 27
)

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func (f *Function) check(c *Config, oneOf func(string, string, ...string), wrong func(bool, string, ...any)) {
	oneOf("function", f.Kind, "table", "tiles", "linear", "network")
	wrong(finite(f.Initial), "initial must be finite")
	switch f.Kind {
	case "table":
		wrong(f.States >= 1 && f.States <= maxStates, "states must be 1 to %d, is %d", maxStates, f.States)
	case "tiles":
		wrong(f.Tilings >= 1 && f.Tilings <= 1024, "tilings must be 1 to 1024, is %d", f.Tilings)
		wrong(len(f.Tiles) == 1 || len(f.Tiles) == len(c.Dims), "tiles must be one number, or one for each of %d dimensions; are %d",
			len(c.Dims), len(f.Tiles))
		for _, n := range f.Tiles {
			wrong(n >= 1 && n <= 1<<16, "tiles must be 1 to 65536, is %d", n)
		}
		for d := range c.Dims {
			wrong(c.Dims[d].Category || c.Dims[d].Hi > c.Dims[d].Lo, "tiles need bounds: %s has none", c.Dims[d].Name)
		}
		wrong(f.Hash >= 0 && f.Hash <= maxWeights, "hash must be at most %d, is %d", maxWeights, f.Hash)
	case "network":
		for _, n := range append(slices.Clone(f.Hidden), c.Actions) {
			wrong(n >= 1 && n <= 1<<16, "hidden: a layer must have 1 to 65536 units, not %d", n)
		}
		oneOf("activation", f.Activation, "tanh", "relu")
		oneOf("optimizer", f.Optimizer, "adam", "sgd")
		wrong(f.Clip >= 0 && finite(f.Clip), "clip must not be negative, is %g", f.Clip)
	}
}

func (s *Schedule) check(what string, most float64, oneOf func(string, string, ...string), wrong func(bool, string, ...any)) {
	oneOf(what, s.Kind, "constant", "geometric", "linear", "harmonic")
	wrong(s.Start >= 0 && s.Start <= most, "%s must start between 0 and %g, starts at %g", what, most, s.Start)
	wrong(s.Min >= 0 && s.Min <= most, "%s_min must be between 0 and %g, is %g", what, most, s.Min)
	switch s.Kind {
	case "geometric":
		wrong(s.Decay > 0 && s.Decay <= 1, "%s_decay must be above 0 and at most 1, is %g", what, s.Decay)
	case "linear", "harmonic":
		wrong(s.Decay >= 1 && finite(s.Decay), "%s_decay must be at least 1 decision, is %g", what, s.Decay)
	}
}

// newAgent makes what learns. The configuration has been checked.
func (c *Config) newAgent(p *policy, r *rand.Rand) (agent, bandit) {
	contexts := func() *rows {
		if !c.Bandit.PerState {
			return nil
		}
		return newRows(len(c.Dims), c.Function.States)
	}
	switch c.Algorithm {
	case "sample-average":
		return nil, &sampleAverage{newArms(c.Actions, contexts())}
	case "ucb1":
		return nil, &ucb{newArms(c.Actions, contexts()), c.Bandit.C}
	case "thompson":
		return nil, &thompson{arms: newArms(c.Actions, contexts()), rand: r, scale: c.Bandit.Scale}
	case "linucb":
		return nil, newLinUCB(c.Dims, c.Actions, c.Bandit.C)
	case "dqn":
		return c.newDQN(r), nil
	}
	t := &td{f: c.newFunction(r), form: tdForm(slices.Index(Algorithms, c.Algorithm)), policy: p, rand: r,
		alpha: c.Alpha, beta: c.Beta, gamma: c.Gamma, average: c.Average, assign: c.V1.AverageReward,
		steps: c.Steps, last: newRing(c.Steps + 1), sum: make([]float64, c.Actions)}
	if t.form == doubleQ {
		t.g = c.newFunction(r)
		if f, ok := t.f.(*linear); ok { // the two number states alike
			t.g.(*linear).features = f.features
		}
	}
	if c.Lambda > 0 {
		t.traces = &traces{lambda: c.Lambda}
	}
	return t, nil
}

func (c *Config) newFunction(r *rand.Rand) function {
	switch f := &c.Function; f.Kind {
	case "table":
		t := newRows(len(c.Dims), f.States)
		t.joint = c.V1.StateKey
		return newLinear(t, c.Actions, f.Initial)
	case "tiles":
		per := make([]int, len(c.Dims))
		for d := range per {
			per[d] = f.Tiles[min(d, len(f.Tiles)-1)]
		}
		return newLinear(newTiles(c.Dims, f.Tilings, per, f.Hash), c.Actions, f.Initial)
	case "linear":
		return newLinear(newPlain(c.Dims), c.Actions, f.Initial)
	}
	return c.newNetwork(r)
}
