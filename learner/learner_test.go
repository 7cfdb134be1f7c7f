package learner

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// city is a learner like that of a node with four slots and two task types: 5 numbers, 14 actions.
func city(algorithm, function string) Config {
	c := Default()
	c.Algorithm, c.Actions, c.Function.Kind = algorithm, 14, function
	c.Dims = []Dim{{Name: "type", Hi: 1, Category: true}, {Name: "running 0", Hi: 4}, {Name: "running 1", Hi: 4},
		{Name: "queued 0", Hi: 4}, {Name: "queued 1", Hi: 4}}
	c.Function.Tiles = []int{4}
	return c
}

// every is a configuration of each kind.
func every() map[string]Config {
	all := map[string]Config{}
	for _, f := range []string{"table", "tiles", "linear"} {
		for _, a := range []string{"sarsa", "expected-sarsa", "q-learning", "double-q"} {
			all[a+" "+f] = city(a, f)
		}
		c := city("sarsa", f)
		c.Lambda = 0.7
		all["sarsa(lambda) "+f] = c
		c.Lambda, c.Steps = 0, 4
		all["4-step sarsa "+f] = c
		c.Average, c.Policy.Kind = false, "softmax"
		all["discounted softmax 4-step sarsa "+f] = c
	}
	for _, a := range []string{"sample-average", "ucb1", "thompson", "linucb"} {
		c := city(a, "table")
		all[a] = c
		c.Bandit.PerState = a != "linucb"
		all[a+" per state"] = c
	}
	for _, activation := range []string{"tanh", "relu"} {
		for _, a := range []string{"sarsa", "double-q", "dqn"} {
			c := city(a, "network")
			c.Function.Hidden, c.Function.Activation = []int{8, 6}, activation
			c.Function.Optimizer = map[string]string{"sarsa": "sgd", "double-q": "adam", "dqn": "adam"}[a]
			c.Replay.Warmup, c.Replay.Capacity, c.Replay.Target = 100, 700, 50
			all[a+" "+activation] = c
		}
	}
	c := city("sarsa", "table")
	c.V1 = V1
	all["v1"] = c
	c = city("q-learning", "tiles")
	c.Function.Hash = 512
	all["hashed tiles"] = c
	return all
}

// names of the map in order: tests are reproducible.
func sortedNames(m map[string]Config) []string {
	var names []string
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// trained is a learner after n entries of a made-up world.
func trained(t testing.TB, c Config, n int) *Learner {
	t.Helper()
	l, err := New(c, *rand.NewPCG(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for i := range n {
		s := randomState(r)
		a, err := l.Act(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Train(Entry{EID: uint64(i), State: s, Action: a.Index, Reward: float64(a.Index%3) - s[1]/4}); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func randomState(r *rand.Rand) []float64 {
	return []float64{float64(r.IntN(2)), float64(r.IntN(5)), float64(r.IntN(5)), float64(r.IntN(5)), float64(r.IntN(5))}
}

// digest of what a learner thinks of some states.
func digest(t testing.TB, l *Learner) uint64 {
	h := fnv.New64a()
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		q, err := l.Values(randomState(r))
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range q {
			fmt.Fprintf(h, "%x ", math.Float64bits(x))
		}
	}
	fmt.Fprintf(h, "%x", math.Float64bits(l.AverageReward()))
	return h.Sum64()
}

var update = flag.Bool("update", false, "rewrite the golden files")

// The same on every machine: these numbers hold on amd64 and on arm64.
func TestGolden(t *testing.T) {
	all := every()
	var b strings.Builder
	for _, name := range sortedNames(all) {
		fmt.Fprintf(&b, "%-36s %016x\n", name, digest(t, trained(t, all[name], 3000)))
	}
	path := filepath.Join("testdata", "values.golden")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != b.String() {
		t.Errorf("the values differ (%v); if that is meant, run go test -update and read the difference:\n%s", err, b.String())
	}
}

// What is written and read again is the same, bit for bit, and goes on in the same way.
func TestWeights(t *testing.T) {
	all := every()
	for _, name := range sortedNames(all) {
		t.Run(name, func(t *testing.T) {
			l := trained(t, all[name], 2000)
			var file bytes.Buffer
			if err := l.Weights().Write(&file); err != nil {
				t.Fatal(err)
			}
			w, err := ReadWeights(bytes.NewReader(file.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			again, err := NewFrom(w, *rand.NewPCG(1, 2))
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(name, "thompson") { // its values are draws
				first, _ := json.Marshal(l.Weights().Values)
				second, _ := json.Marshal(again.Weights().Values)
				if !bytes.Equal(first, second) {
					t.Error("the means are others")
				}
				return
			}
			if digest(t, again) != digest(t, l) {
				t.Error("the values are others")
			}
			l.Freeze()
			again.Freeze()
			if l.policy.lowest { // otherwise ties are drawn
				r := rand.New(rand.NewPCG(7, 8))
				for range 100 {
					s := randomState(r)
					a, _ := l.Act(s)
					if b, _ := again.Act(s); a != b {
						t.Errorf("in %v one does %v, the other %v", s, a, b)
					}
				}
			}
		})
	}
}

// Of double Q-learning's functions, one may know a state that the other does not.
func TestWeightsOfTwo(t *testing.T) {
	for n := range 12 {
		l := trained(t, city("double-q", "table"), 5+n)
		l.Flush()
		if _, err := NewFrom(l.Weights(), *rand.NewPCG(1, 2)); err != nil {
			t.Errorf("after %d entries: %v", 5+n, err)
		}
	}
}

// A file that is cut, damaged, or from another learner is refused by name, and the learner stays as it was.
func TestBadWeights(t *testing.T) {
	l := trained(t, city("sarsa", "table"), 500)
	var file bytes.Buffer
	if err := l.Weights().Write(&file); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 100, file.Len() / 2, file.Len() - 3} {
		if _, err := ReadWeights(bytes.NewReader(file.Bytes()[:n])); err == nil || !strings.Contains(err.Error(), "cut") {
			t.Errorf("cut after %d bytes of %d: %v", n, file.Len(), err)
		}
	}
	for damage, says := range map[string][2]string{
		"damaged":     {`"alpha":0.01`, `"alpha":"x"`},
		"format":      {WeightsFormat, "other/1"},
		"states":      {`"states":1000000`, `"states":3`},
		"unknown":     {`"alpha"`, `"alfa"`},
		"goes on":     {"}\n", "} {}"},
		"below alpha": {`"alpha":0.01`, `"alpha":0`},
	} {
		text := strings.Replace(file.String(), says[0], says[1], 1)
		if text == file.String() {
			t.Fatalf("%s: nothing was damaged", damage)
		}
		if _, err := ReadWeights(strings.NewReader(text)); err == nil {
			t.Errorf("%s: no error", damage)
		}
	}
	w := l.Weights()
	before := digest(t, l)
	for says, change := range map[string]func(*Config){
		"dimensions": func(c *Config) { c.Dims = c.Dims[:4] },
		"actions":    func(c *Config) { c.Actions = 3 },
		"function":   func(c *Config) { c.Function.Kind = "tiles" },
		"algorithm":  func(c *Config) { c.Algorithm = "ucb1" },
	} {
		c := city("sarsa", "table")
		change(&c)
		other, err := New(c, *rand.NewPCG(1, 2))
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Load(w); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	w.Values = w.Values[:len(w.Values)-1]
	if err := l.Load(w); err == nil || digest(t, l) != before {
		t.Errorf("a row is missing: %v; changed: %v", err, digest(t, l) != before)
	}
}

// What is no number is refused and loses nothing else.
func TestNotFinite(t *testing.T) {
	clean, dirty := trained(t, city("sarsa", "table"), 0), trained(t, city("sarsa", "table"), 0)
	r := rand.New(rand.NewPCG(9, 9))
	for i := range uint64(1000) {
		s := randomState(r)
		e := Entry{EID: i, State: s, Action: r.IntN(14), Reward: r.Float64()}
		for _, bad := range []Entry{
			{EID: i, State: s, Action: e.Action, Reward: math.NaN()},
			{EID: i, State: s, Action: e.Action, Reward: math.Inf(-1)},
			{EID: i, State: []float64{0, 0, math.Inf(1), 0, 0}, Action: e.Action},
			{EID: i, State: s[:3], Action: e.Action},
			{EID: i, State: s, Action: 14},
			{EID: i, State: s, Action: -1},
			{EID: math.MaxUint64, State: s, Action: 1},
		} {
			if err := dirty.Train(bad); err == nil {
				t.Fatalf("%+v is taken", bad)
			} else if (math.IsNaN(bad.Reward) || math.IsInf(bad.Reward, 0)) && !errors.Is(err, ErrNotFinite) {
				t.Errorf("%v", err)
			}
		}
		if err := errors.Join(clean.Train(e), dirty.Train(e)); err != nil {
			t.Fatal(err)
		}
	}
	if digest(t, clean) != digest(t, dirty) || dirty.Stats().Trained < 990 {
		t.Errorf("what was refused has left something behind: %+v", dirty.Stats())
	}
	if _, err := dirty.Act([]float64{0, 0, 0, 0, math.NaN()}); !errors.Is(err, ErrNotFinite) {
		t.Errorf("a state of no number: %v", err)
	}
}

// States are told apart, but where v1's key is asked for.
func TestStateKeys(t *testing.T) {
	r := newRows(3, 100)
	for i, s := range [][]float64{{1, 11, 0}, {11, 1, 0}, {111, 0, 0}, {1, 1, 10}, {0.5, 0, 0}, {0, 0.5, 0}, {-1, 0, 0}} {
		if x := r.of(s, true); x[0].index != i {
			t.Errorf("%v is taken for state %d", s, x[0].index)
		}
	}
	if r.of([]float64{math.Copysign(0, -1), 0.5, 0}, true)[0].index != 5 {
		t.Error("minus zero is another state than zero")
	}
	r.joint = true
	if a, b := r.of([]float64{1, 11, 0}, true)[0], r.of([]float64{11, 1, 0.9}, true)[0]; a != b {
		t.Error("v1's keys are told apart")
	}
	r = newRows(1, 2)
	for i := range 5 {
		r.of([]float64{float64(i)}, true)
	}
	if r.size() != 2 || r.full != 3 || r.of([]float64{1}, true) == nil {
		t.Errorf("a table of 2 states has %d, refused %d", r.size(), r.full)
	}
}

// Weakness 15: what the first P2PFaaS learns is not what its formulas say. Each of its errors can be had, and is none of the
// default.
func TestWeakness15(t *testing.T) {
	base := Default()
	base.Actions, base.Alpha, base.Beta, base.Window = 4, 0.5, 0.1, 2
	base.Policy.Epsilon = Schedule{Kind: "constant"}
	train := func(l *Learner, states ...[]float64) {
		for _, s := range states {
			if err := l.Train(Entry{EID: l.Stats().Entries.Received, State: s, Reward: 1}); err != nil {
				t.Fatal(err)
			}
		}
	}
	value := func(l *Learner, s ...float64) float64 {
		q, err := l.Values(s)
		if err != nil {
			t.Fatal(err)
		}
		return q[0]
	}
	for _, c := range []struct {
		what     string
		v1       Compat
		seen     func(l *Learner) any
		want, as any // here, and in v1
	}{
		{"the average reward after one update with an error of 1", Compat{AverageReward: true}, func(l *Learner) any {
			train(l, []float64{0}, []float64{1})
			return l.AverageReward()
		}, 0.1, 1.1},
		{"entries learned from, of ten in five windows", Compat{LastEntry: true}, func(l *Learner) any {
			learned := 0
			for i := range 10 {
				train(l, []float64{float64(i)})
			}
			for i := range 10 {
				if value(l, float64(i)) != 0 {
					learned++
				}
			}
			return learned
		}, 9, 5},
		{"the value of a state with the same digits as one that was seen", Compat{StateKey: true}, func(l *Learner) any {
			train(l, []float64{1, 11}, []float64{3, 3})
			return value(l, 11, 1)
		}, 0.0, 0.5},
		{"actions chosen in a state never seen", Compat{LowestAction: true}, func(l *Learner) any {
			chosen := map[int]bool{}
			for range 200 {
				a, err := l.Act([]float64{7})
				if err != nil {
					t.Fatal(err)
				}
				chosen[a.Index] = true
			}
			return len(chosen)
		}, 4, 1},
		{"the value after an update with an alpha that was set to 1 before", Compat{LateChange: true}, func(l *Learner) any {
			next := l.Config()
			next.Alpha = 1
			if err := l.Configure(next); err != nil {
				t.Fatal(err)
			}
			train(l, []float64{0}, []float64{1})
			return value(l, 0)
		}, 1.0, 0.5},
	} {
		for _, v1 := range []bool{false, true} {
			config, want := base, c.want
			if v1 {
				config.V1, want = c.v1, c.as
			}
			l, err := New(config, *rand.NewPCG(1, 1))
			if err != nil {
				t.Fatal(err)
			}
			if got := c.seen(l); got != want {
				t.Errorf("%s: %v, want %v (with v1's error: %v)", c.what, got, want, v1)
			}
		}
	}
	// What cannot be reached in v1: Q-learning, and tiles.
	config := base
	config.Algorithm, config.Average, config.Gamma = "q-learning", false, 0.5
	l, err := New(config, *rand.NewPCG(1, 1))
	if err != nil {
		t.Fatal(err)
	}
	train(l, []float64{1}, []float64{0}, []float64{1}) // Q(1) = 0.5, then Q(0) = 0.5·(1 + 0.5·0.5)
	if q := value(l, 0); q != 0.625 {
		t.Errorf("Q-learning has the value %v, want 0.625", q)
	}
	config.Function.Kind, config.Dims = "tiles", []Dim{{Name: "load", Hi: 8}}
	if l, err = New(config, *rand.NewPCG(1, 1)); err != nil {
		t.Fatal(err)
	}
	train(l, []float64{1}, []float64{8})
	if near, far := value(l, 1.1), value(l, 6); near <= 0 || far != 0 {
		t.Errorf("tiles give a state nearby the value %v, and one far away %v", near, far)
	}
}

// Schedules fall as they say.
func TestSchedules(t *testing.T) {
	for _, c := range []struct {
		s    Schedule
		n    int
		want float64
	}{
		{Schedule{"constant", 0.3, 0.1, 0.5}, 100, 0.3},
		{Schedule{"geometric", 0.9, 0.1, 0.99}, 1, 0.9 * 0.99},
		{Schedule{"geometric", 0.9, 0.1, 0.5}, 100, 0.9 / 16}, // v1 stops below the minimum
		{Schedule{"linear", 0.9, 0.1, 100}, 50, 0.5},
		{Schedule{"linear", 0.9, 0.1, 100}, 500, 0.1},
		{Schedule{"harmonic", 0.8, 0.1, 100}, 100, 0.4},
		{Schedule{"harmonic", 0.8, 0.1, 100}, 10000, 0.1},
	} {
		var d decay
		d.begin(c.s)
		for range c.n {
			d.next()
		}
		if math.Abs(d.value-c.want) > 1e-12 {
			t.Errorf("%+v is %g after %d decisions, want %g", c.s, d.value, c.n, c.want)
		}
	}
}

// A policy chooses with the probabilities that it names: checked by the chi-square statistic with 4 degrees of freedom.
func TestPolicies(t *testing.T) {
	q := []float64{0.5, 1, 1, -1, 0.9}
	for name, c := range map[string]struct {
		p    Policy
		want []float64
	}{
		"epsilon": {Policy{Kind: "epsilon-greedy", Epsilon: Schedule{Kind: "constant", Start: 0.2}},
			[]float64{0.04, 0.44, 0.44, 0.04, 0.04}},
		"softmax": {Policy{Kind: "softmax", Temperature: Schedule{Kind: "constant", Start: 0.5}}, func() []float64 {
			sum, p := 0.0, make([]float64, len(q))
			for i, x := range q {
				p[i] = random.Exp(x / 0.5)
				sum += p[i]
			}
			for i := range p {
				p[i] /= sum
			}
			return p
		}()},
		"cold": {Policy{Kind: "softmax"}, []float64{0, 0.5, 0.5, 0, 0}},
	} {
		const n = 100_000
		p := newPolicy(c.p, rand.New(rand.NewPCG(1, 1)), len(q))
		counts := make([]float64, len(q))
		for range n {
			counts[p.choose(q)]++
		}
		chi := 0.0
		for a, pa := range p.probabilities(q) {
			if math.Abs(pa-c.want[a]) > 1e-12 {
				t.Errorf("%s: action %d has the probability %g, want %g", name, a, pa, c.want[a])
			}
			if pa == 0 && counts[a] > 0 {
				t.Errorf("%s: action %d is chosen", name, a)
			} else if pa > 0 {
				chi += (counts[a] - n*pa) * (counts[a] - n*pa) / (n * pa)
			}
		}
		if chi > 18.5 { // one in a thousand
			t.Errorf("%s: chi-square is %.1f", name, chi)
		}
	}
	low := newPolicy(Policy{Kind: "epsilon-greedy"}, rand.New(rand.NewPCG(1, 1)), 3)
	low.lowest = true
	for range 20 {
		if a := low.choose([]float64{0, 0, 0}); a != 0 {
			t.Errorf("v1 chooses action %d among equals", a)
		}
	}
}

// A parameter takes effect at once, but where v1's way is asked for; what would need other values is refused.
func TestConfigure(t *testing.T) {
	for _, v1 := range []bool{false, true} {
		c := city("sarsa", "table")
		c.Window, c.Average, c.Gamma, c.V1.LateChange = 2, false, 0, v1
		l := trained(t, c, 0)
		c.Alpha = 1
		if err := l.Configure(c); err != nil {
			t.Fatal(err)
		}
		s := []float64{0, 0, 0, 0, 0}
		for i := range uint64(2) {
			if err := l.Train(Entry{EID: i, State: s, Action: 3, Reward: 1}); err != nil {
				t.Fatal(err)
			}
		}
		l.Flush()
		if q, _ := l.Values(s); (q[3] == 1) == v1 {
			t.Errorf("late change %v: the value is %g", v1, q[3])
		}
	}
	l := trained(t, city("sarsa", "table"), 100)
	c := l.Config()
	c.Actions = 3
	if err := l.Configure(c); err == nil {
		t.Error("the number of actions has changed under the values")
	}
	c = l.Config()
	c.Policy.Epsilon = Schedule{Kind: "constant"}
	if err := l.Configure(c); err != nil {
		t.Fatal(err)
	}
	if a, _ := l.Act([]float64{0, 0, 0, 0, 0}); a.Epsilon != 0 {
		t.Errorf("epsilon is %g", a.Epsilon)
	}
}

// Every problem of a configuration is named.
func TestCheck(t *testing.T) {
	c := city("sarse", "tabel")
	c.Alpha, c.Beta, c.Window, c.Policy.Kind = 0, 2, 0, "greedy"
	err := c.Check()
	for _, want := range []string{`"sarse": use sarsa`, `"tabel": use table`, "alpha", "beta", "window_size", `"greedy"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("nothing about %s in: %v", want, err)
		}
	}
	for name, change := range map[string]func(*Config){
		"traces of double Q": func(c *Config) { c.Algorithm, c.Lambda = "double-q", 0.5 },
		"n-step Q":           func(c *Config) { c.Algorithm, c.Steps = "q-learning", 3 },
		"both":               func(c *Config) { c.Lambda, c.Steps = 0.5, 3 },
		"dqn in a table":     func(c *Config) { c.Algorithm = "dqn" },
		"tiles unbounded":    func(c *Config) { c.Function.Kind, c.Dims[1].Hi = "tiles", 0 },
		"too many tiles":     func(c *Config) { c.Function.Kind, c.Function.Tiles = "tiles", []int{5000} },
		"no dims":            func(c *Config) { c.Function.Kind, c.Dims = "linear", nil },
		"names":              func(c *Config) { c.Names = []string{"a"} },
		"no layer":           func(c *Config) { c.Function.Kind, c.Function.Hidden = "network", []int{0} },
	} {
		c := city("sarsa", "table")
		change(&c)
		if c.Check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Rewards are what they say.
func TestReward(t *testing.T) {
	late := Answer{Completed: true, Latency: 2, Deadline: 1, Energy: 5, Type: 1, Function: "f", Action: 3}
	intime := late
	intime.InTime, intime.Latency = true, 0.5
	lost := Answer{Type: 0}
	for _, c := range []struct {
		r    Reward
		a    Answer
		want float64
	}{
		{Reward{Kind: "deadline"}, intime, 1}, {Reward{Kind: "deadline"}, late, 0}, {Reward{Kind: "deadline"}, lost, 0},
		{Reward{Kind: "latency", Penalty: -9}, late, -2}, {Reward{Kind: "latency", Penalty: -9}, lost, -9},
		{Reward{Kind: "energy", Penalty: -9}, late, -5}, {Reward{Kind: "deadline", Weights: []float64{1, 4}}, intime, 4},
		{Reward{Kind: "formula", Formula: "in_time ? 1 : -latency"}, late, -2},
		{Reward{Kind: "formula", Formula: `function == "f" && action == 3 ? 7 : max(1, 2)`}, late, 7},
		{Reward{Kind: "formula", Formula: "deadline - latency"}, late, -1},
	} {
		if err := c.r.Compile(); err != nil {
			t.Fatal(err)
		}
		if got, err := c.r.Of(&c.a); got != c.want || err != nil {
			t.Errorf("%+v of %+v is %g, %v; want %g", c.r, c.a, got, err, c.want)
		}
	}
	for _, bad := range []Reward{{Kind: "fun"}, {Kind: "formula", Formula: "latncy"}, {Kind: "formula", Formula: "1 +"},
		{Kind: "formula", Formula: `"text"`}, {Kind: "latency", Penalty: math.NaN()}} {
		if bad.Compile() == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

// Each of these is to be read beside the bare look-up, on the same machine.

func BenchmarkMapLookup(b *testing.B) {
	m := map[string]int{}
	r := newRows(5, 1000)
	states, _ := states()
	for i, s := range states {
		m[string(r.keyOf(s))] = i
	}
	sum := 0
	for i := range b.N {
		sum += m[string(r.keyOf(states[i&255]))]
	}
	_ = sum
}

func states() ([][]float64, *rand.Rand) {
	r := rand.New(rand.NewPCG(1, 1))
	list := make([][]float64, 256)
	for i := range list {
		list[i] = randomState(r)
	}
	return list, r
}

func BenchmarkAct(b *testing.B) {
	for _, f := range []string{"table", "tiles", "linear", "network"} {
		b.Run(f, func(b *testing.B) {
			l := trained(b, city("sarsa", f), 5000)
			states, _ := states()
			b.ReportAllocs()
			for i := range b.N {
				if _, err := l.Act(states[i&255]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEntry(b *testing.B) {
	for _, a := range []string{"sarsa", "q-learning", "double-q", "expected-sarsa", "ucb1", "linucb"} {
		b.Run(a, func(b *testing.B) {
			l := trained(b, city(a, "table"), 0)
			states, _ := states()
			b.ReportAllocs()
			for i := range b.N {
				if err := l.Train(Entry{EID: uint64(i), State: states[i&255], Action: i % 14, Reward: 1}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
