package learner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
)

// Weights are all that a learner has learned, as a file keeps it: JSON, in which every number is exact.
type Weights struct {
	Format        string      `json:"format"` // WeightsFormat
	Config        Config      `json:"config"`
	Decisions     uint64      `json:"decisions"`
	Trained       uint64      `json:"trained"`
	Epsilon       float64     `json:"epsilon"`
	AverageReward float64     `json:"average_reward"`
	Rewards       float64     `json:"rewards"`
	States        [][]float64 `json:"states,omitempty"` // of a table, in the order in which they were seen
	Keys          []string    `json:"keys,omitempty"`   // in place of them, with v1's state keys
	// Values are, of a table or of a bandit with a context for each state, a row of actions by state; of the other linear
	// functions, a row of actions by feature; of a network, its weights in one row. Second is the other function of double
	// Q-learning.
	Values [][]float64 `json:"values,omitempty"`
	Second [][]float64 `json:"second,omitempty"`
	Pulls  [][]float64 `json:"pulls,omitempty"`   // of bandits: how often each action was tried, as Values has their means
	Matrix [][]float64 `json:"inverse,omitempty"` // of LinUCB: A⁻¹ by action; Values has b
}

// WeightsFormat is what a file of weights calls itself.
const WeightsFormat = "p2pfaas-learner/1"

// Weights returns what has been learned.
func (l *Learner) Weights() *Weights {
	w := &Weights{Format: WeightsFormat, Config: l.config, Decisions: l.decisions, Trained: l.trained,
		Epsilon: l.policy.decay.value, AverageReward: l.AverageReward(), Rewards: l.rewards}
	if r := l.table(); r != nil {
		l.widen() // a state may be known to one of two functions alone
		for i := range r.size() {
			if r.joint {
				w.Keys = append(w.Keys, r.keys[i])
			} else {
				w.States = append(w.States, r.state(i))
			}
		}
	}
	l.parts(func(part string, at *[]float64, width int) error {
		rows := slices.Collect(slices.Chunk(*at, width))
		*w.part(part) = rows
		return nil
	})
	return w
}

// part is where the file keeps something.
func (w *Weights) part(name string) *[][]float64 {
	switch name {
	case "second":
		return &w.Second
	case "pulls":
		return &w.Pulls
	case "inverse":
		return &w.Matrix
	}
	return &w.Values
}

// parts calls f for each slice of numbers that a learner consists of, with how many make a row.
func (l *Learner) parts(f func(part string, at *[]float64, width int) error) error {
	n := l.config.Actions
	var errs []error
	function := func(part string, v function) {
		switch v := v.(type) {
		case *linear:
			errs = append(errs, f(part, &v.w, n))
		case *network:
			x := v.weights()
			errs = append(errs, f(part, &x, len(x)))
		}
	}
	statistics := func(b *arms) {
		errs = append(errs, f("values", &b.mean, n), f("pulls", &b.pulls, n))
	}
	switch a := l.agent.(type) {
	case *td:
		function("values", a.f)
		function("second", a.g)
	case *dqn:
		function("values", a.online)
	}
	switch b := l.bandit.(type) {
	case *sampleAverage:
		statistics(&b.arms)
	case *ucb:
		statistics(&b.arms)
	case *thompson:
		statistics(&b.arms)
	case *linUCB:
		d := b.features.size()
		errs = append(errs, f("values", &b.b, d), f("inverse", &b.inverse, d*d))
	}
	return errors.Join(errs...)
}

// Load takes over what w has learned: a warm start. Counters, exploration and the window begin anew, and the learner's
// own configuration holds; only its shape must be that of w. Where that fails, nothing is changed.
func (l *Learner) Load(w *Weights) error {
	if err := w.check(); err != nil {
		return err
	}
	if err := l.config.sameShape(&w.Config); err != nil {
		return fmt.Errorf("learner: the weights do not fit: %w", err)
	}
	fresh := *l
	fresh.Reset()
	if r := fresh.table(); r != nil {
		for _, s := range w.States {
			r.of(s, true)
		}
		for _, k := range w.Keys {
			r.add(k)
		}
		fresh.widen()
	}
	err := fresh.parts(func(part string, at *[]float64, width int) error {
		rows := *w.part(part)
		flat := slices.Concat(rows...)
		if len(flat) != len(*at) {
			return fmt.Errorf("learner: the weights have %d numbers in %q, this learner has %d", len(flat), part, len(*at))
		}
		copy(*at, flat)
		return nil
	})
	if err != nil {
		return err
	}
	if b := fresh.arms(); b != nil {
		b.count()
	}
	if fresh.agent != nil {
		fresh.agent.assume(w.AverageReward)
	}
	*l = fresh
	return nil
}

// NewFrom makes the learner that w was saved from: frozen, it decides as that one would without exploring.
func NewFrom(w *Weights, stream rand.PCG) (*Learner, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	l, err := New(w.Config, stream)
	if err != nil {
		return nil, err
	}
	return l, l.Load(w)
}

// maxFile bounds a file of weights, in bytes.
const maxFile = 1 << 30

// ReadWeights reads a file of weights. Errors say where it is cut or damaged.
func ReadWeights(r io.Reader) (*Weights, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading weights: %w", err)
	case len(data) == maxFile:
		return nil, fmt.Errorf("the file of weights is larger than %d bytes", maxFile-1)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	w := &Weights{}
	err = d.Decode(w)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return nil, fmt.Errorf("the file of weights ends after %d bytes, in the middle: it is cut", len(data))
	case err != nil:
		return nil, fmt.Errorf("the file of weights is damaged at byte %d: %w", d.InputOffset(), err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the file of weights goes on after its end, at byte %d", d.InputOffset())
	}
	return w, w.check()
}

// Write writes w as a file.
func (w *Weights) Write(out io.Writer) error {
	text, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("writing weights: %w", err)
	}
	_, err = out.Write(append(text, '\n'))
	return err
}

// check reports what is wrong with a file of weights in itself.
func (w *Weights) check() error {
	if w.Format != WeightsFormat {
		return fmt.Errorf("this is no file of weights: its format is %q, not %q", w.Format, WeightsFormat)
	}
	if err := w.Config.Check(); err != nil {
		return fmt.Errorf("the file of weights: %w", err)
	}
	count := func(rows [][]float64) (n float64) {
		for _, r := range rows {
			n += float64(len(r))
		}
		return n
	}
	has := count(w.Values) + count(w.Second) + count(w.Pulls) + count(w.Matrix)
	if kept, _ := w.Config.numbers(); kept > has { // before a learner is made of that size
		return fmt.Errorf("the file of weights has %g numbers: a learner as it describes has %g", has, kept)
	}
	if len(w.States) > w.Config.Function.States || len(w.Keys) > w.Config.Function.States {
		return fmt.Errorf("the file of weights has %d states, more than the %d that it allows",
			max(len(w.States), len(w.Keys)), w.Config.Function.States)
	}
	for i, s := range w.States {
		if n := len(w.Config.Dims); len(s) != n && n > 0 {
			return fmt.Errorf("the file of weights: state %d has %d numbers, not %d", i, len(s), n)
		}
	}
	return nil
}

// sameShape reports how the values of a learner with the configuration o cannot be those of one with c.
func (c *Config) sameShape(o *Config) error {
	var problems []error
	differ := func(what string, here, there any) {
		if !reflect.DeepEqual(here, there) {
			problems = append(problems, fmt.Errorf("%s: %v here, %v there", what, here, there))
		}
	}
	differ("algorithm", c.Algorithm, o.Algorithm)
	differ("actions", c.Actions, o.Actions)
	differ("dimensions of the state", names(c.Dims), names(o.Dims))
	if f, g := c.Function, o.Function; len(problems) == 0 {
		differ("function", f.Kind, g.Kind)
		switch f.Kind {
		case "tiles":
			differ("bounds of the state", c.Dims, o.Dims)
			differ("tilings", f.Tilings, g.Tilings)
			differ("tiles", f.Tiles, g.Tiles)
			differ("hash", f.Hash, g.Hash)
		case "linear":
			differ("bounds of the state", c.Dims, o.Dims)
		case "network":
			differ("bounds of the state", c.Dims, o.Dims)
			differ("hidden", f.Hidden, g.Hidden)
			differ("activation", f.Activation, g.Activation)
		}
		differ("per_state", c.Bandit.PerState, o.Bandit.PerState)
		differ("v1's state key", c.V1.StateKey, o.V1.StateKey)
	}
	return errors.Join(problems...)
}

func names(dims []Dim) []string {
	s := make([]string, len(dims))
	for i := range dims {
		s[i] = dims[i].Name
	}
	return s
}
