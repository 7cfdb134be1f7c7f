package learner

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/p2pfaas/p2pfaas/core"
)

// Learner is the learner of one node: it chooses actions, and learns from what they were worth. It is used by one
// goroutine.
type Learner struct {
	config Config
	stream rand.PCG
	frozen bool

	rand   *rand.Rand
	policy *policy
	agent  agent
	bandit bandit // in place of an agent
	window *window

	moved move // the last step, of Start and Step

	decisions uint64
	trained   uint64
	runs      uint64
	rewards   float64 // of the entries, in the order of their coming
	last      uint64  // number of the last entry trained on
}

// New makes a learner that draws from the stream.
func New(c Config, stream rand.PCG) (*Learner, error) {
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("learner: %w", err)
	}
	l := &Learner{config: c, stream: stream}
	l.Reset()
	return l, nil
}

// Reset forgets everything: values, counters, entries, and what exploration has come to.
func (l *Learner) Reset() {
	stream, frozen := l.stream, l.frozen
	c := l.config
	*l = Learner{config: c, stream: stream, frozen: frozen, rand: rand.New(&stream)}
	l.policy = newPolicy(c.Policy, l.rand, c.Actions)
	l.policy.lowest = c.V1.LowestAction
	l.agent, l.bandit = c.newAgent(l.policy, l.rand)
	l.window = newWindow(c.Window, c.Patience, c.Capacity)
	l.window.lossy = c.V1.LastEntry
}

// Draw has the learner draw from another stream, from its next Reset on.
func (l *Learner) Draw(stream rand.PCG) { l.stream = stream }

// Freeze makes the learner learn nothing more and choose the best action that it knows always.
func (l *Learner) Freeze() { l.frozen = true }

// Config is the configuration as it is now.
func (l *Learner) Config() Config { return l.config }

// Act chooses an action in a state. Epsilon of the answer is how probable a random one was.
func (l *Learner) Act(state []float64) (core.Action, error) {
	if err := l.checkState(state); err != nil {
		return core.Action{}, err
	}
	l.decisions++
	q := l.valuesOf(state)
	if l.frozen {
		return core.Action{Index: l.policy.greedy(q)}, nil
	}
	a := core.Action{Index: l.policy.choose(q)}
	if !l.policy.soft {
		a.Epsilon = l.policy.decay.value
	}
	l.policy.decay.next()
	return a, nil
}

// Values are what the learner expects of each action in a state: as its policy sees them. The slice is valid until the
// next call of a method.
func (l *Learner) Values(state []float64) ([]float64, error) {
	if err := l.checkState(state); err != nil {
		return nil, err
	}
	return l.valuesOf(state), nil
}

func (l *Learner) valuesOf(state []float64) []float64 {
	if l.bandit != nil {
		return l.bandit.values(state)
	}
	return l.agent.values(state)
}

// ErrNotFinite is a state or a reward that is no number.
var ErrNotFinite = errors.New("not a finite number")

func (l *Learner) checkState(s []float64) error {
	if n := len(l.config.Dims); len(s) != n && n > 0 {
		return fmt.Errorf("learner: the state has %d numbers, this learner's has %d", len(s), n)
	}
	for i, x := range s {
		if !finite(x) {
			return fmt.Errorf("learner: number %d of the state: %w: %g", i, ErrNotFinite, x)
		}
	}
	return nil
}

// maxEID leaves room above every number.
const maxEID = 1 << 62

// Train takes an entry. It is learned from when those before it are there, or have been given up. A refused entry is as
// one that never came.
func (l *Learner) Train(e Entry) error {
	if err := l.checkState(e.State); err != nil {
		return err
	}
	switch {
	case !finite(e.Reward):
		return fmt.Errorf("learner: the reward of entry %d: %w: %g", e.EID, ErrNotFinite, e.Reward)
	case e.Action < 0 || e.Action >= l.config.Actions:
		return fmt.Errorf("learner: entry %d has the action %d: there are 0 to %d", e.EID, e.Action, l.config.Actions-1)
	case e.EID > maxEID:
		return fmt.Errorf("learner: no entry has the number %d", e.EID)
	}
	if !l.frozen {
		l.rewards += e.Reward
		l.window.add(e, l.learn)
	}
	return nil
}

// Start begins a trajectory for who drives a learner step by step, without entries: it chooses the first action. Such a
// learner takes no entries.
func (l *Learner) Start(state []float64) (int, error) {
	a, err := l.Act(state)
	if err == nil && !l.frozen {
		l.follow(nil, 0, state, a.Index)
	}
	return a.Index, err
}

// Step tells the reward of the last action and the state that it led to, and chooses the next one.
func (l *Learner) Step(reward float64, state []float64) (int, error) {
	if !finite(reward) {
		return 0, fmt.Errorf("learner: the reward: %w: %g", ErrNotFinite, reward)
	}
	a, err := l.Act(state)
	if err == nil && !l.frozen {
		l.follow(&reward, l.moved.action, state, a.Index)
	}
	return a.Index, err
}

// End tells the reward of the last action, after which there is nothing: an episode has ended.
func (l *Learner) End(reward float64) error {
	switch {
	case !finite(reward):
		return fmt.Errorf("learner: the reward: %w: %g", ErrNotFinite, reward)
	case l.frozen:
		return nil
	}
	l.rewards += reward
	l.trained++
	if l.bandit != nil {
		l.bandit.reward(l.moved.state, l.moved.action, reward)
	} else {
		l.agent.end(reward)
	}
	return nil
}

// follow learns from a step; r is nil for the first.
func (l *Learner) follow(r *float64, last int, s []float64, a int) {
	switch {
	case r == nil && l.agent != nil:
		l.agent.start(s, a)
	case r != nil && l.agent != nil:
		l.agent.step(*r, s, a)
	case r != nil:
		l.bandit.reward(l.moved.state, last, *r)
	}
	if r != nil {
		l.rewards += *r
		l.trained++
	}
	l.moved.state, l.moved.action = append(l.moved.state[:0], s...), a
}

// Flush learns from all entries that are there, whether or not some before them are missing: nothing more will come.
func (l *Learner) Flush() { l.window.finish(l.learn) }

// learn takes a run of entries from the window.
func (l *Learner) learn(run func(int) *Entry, n int, again, goesOn bool) {
	l.runs++
	for i := range n {
		e := run(i)
		known := i == 0 && again
		switch {
		case l.bandit != nil:
			if !known {
				l.bandit.reward(e.State, e.Action, e.Reward)
				l.trained++
			}
		case i == 0 && !again:
			l.agent.start(e.State, e.Action)
		case i > 0:
			l.agent.step(run(i-1).Reward, e.State, e.Action)
			l.trained++
		}
		l.last = e.EID
	}
	if !goesOn && l.agent != nil {
		l.agent.cut()
	}
}

// Stats are a learner's counters.
type Stats struct {
	Decisions     uint64  `json:"inferences"`
	Trained       uint64  `json:"trained_items"` // entries that were learned from
	Runs          uint64  `json:"episodes"`      // runs of consecutive entries
	Pending       int     `json:"pending_entries"`
	LastTrained   uint64  `json:"eid_last_trained"`
	Epsilon       float64 `json:"epsilon"`        // or the temperature, of softmax; 0 of one that is frozen
	AverageReward float64 `json:"average_reward"` // as learned; 0 where rewards are discounted
	Rewards       float64 `json:"rewards"`        // sum over all entries
	States        int     `json:"states"`         // that a table has rows for
	StatesRefused uint64  `json:"states_refused"` // visits of states that the table had no row left for
	Entries       counts  `json:"entries"`
}

// AverageReward is what has been learned of the average reward; 0 where rewards are discounted.
func (l *Learner) AverageReward() float64 {
	if l.agent == nil {
		return 0
	}
	return l.agent.averageReward()
}

// Stats returns the counters.
func (l *Learner) Stats() Stats {
	s := Stats{Decisions: l.decisions, Trained: l.trained, Runs: l.runs, Pending: l.window.pending, LastTrained: l.last,
		AverageReward: l.AverageReward(), Rewards: l.rewards, Entries: l.window.entries}
	if !l.frozen {
		s.Epsilon = l.policy.decay.value
	}
	if r := l.table(); r != nil {
		s.States, s.StatesRefused = r.size(), r.full
	}
	return s
}

// table are the rows of a learner that has a place for each state.
func (l *Learner) table() *rows {
	if b := l.arms(); b != nil {
		return b.contexts
	}
	if t, ok := l.agent.(*td); ok {
		if f, ok := t.f.(*linear); ok {
			r, _ := f.features.(*rows)
			return r
		}
	}
	return nil
}

// widen makes the values of states that were added to the table.
func (l *Learner) widen() {
	if b := l.arms(); b != nil {
		b.grow(b.contexts.size())
		return
	}
	t := l.agent.(*td)
	t.f.(*linear).grow()
	if t.g != nil {
		t.g.(*linear).grow()
	}
}

// arms are the statistics of a bandit that has some for each action.
func (l *Learner) arms() *arms {
	switch b := l.bandit.(type) {
	case *sampleAverage:
		return &b.arms
	case *ucb:
		return &b.arms
	case *thompson:
		return &b.arms
	}
	return nil
}

// Configure changes the parameters of a learner that is at work, at once: step sizes, exploration, the window. What the
// values are kept in, and the algorithm, cannot change under them: that takes a new learner.
func (l *Learner) Configure(c Config) error {
	if err := c.Check(); err != nil {
		return fmt.Errorf("learner: %w", err)
	}
	if err := l.config.sameShape(&c); err != nil {
		return fmt.Errorf("learner: %w", err)
	}
	if c.Policy != l.config.Policy {
		n := l.policy.decay.n
		p := newPolicy(c.Policy, l.rand, c.Actions)
		p.lowest, p.decay.n = c.V1.LowestAction, n
		if c.Policy.Epsilon.Start == l.config.Policy.Epsilon.Start && !p.soft {
			p.decay.value = l.policy.decay.value // goes on from where it is
		}
		*l.policy = *p
	}
	l.window.size, l.window.patience, l.window.capacity = c.Window, c.Patience, c.Capacity
	if !c.V1.LateChange {
		switch a := l.agent.(type) {
		case *td:
			a.alpha, a.beta, a.gamma = c.Alpha, c.Beta, c.Gamma
			for _, f := range []function{a.f, a.g} {
				if n, ok := f.(*network); ok {
					n.config.optimizer.alpha = c.Alpha
				}
			}
		case *dqn:
			a.online.config.optimizer.alpha = c.Alpha
			a.config.beta, a.config.gamma = c.Beta, c.Gamma
		}
	}
	l.config = c
	return nil
}
