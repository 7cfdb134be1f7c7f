package problem

import (
	"fmt"
	"math"
	"testing"
)

// cases are one problem of each table.
var cases = []struct{ table, params string }{
	{"ACCESS", "servers=10;p_free=0.06;prios=1/2/4/8;probs=uniform;assigned_can_free_same_step=1"},
	{"ACCESS", "servers=3;p_free=0.2;prios=1/5;probs=0.7/0.3;assigned_can_free_same_step=0"},
	{"NAOR", "lam=0.9;mu=1;R=10;C=1"},
	{"DEADMDP", "lam=0.9;mu=1;K=10;D=3.0;r_cloud=0.3"},
	{"TWONODE", "lam1=0.9;lam2=0.6;mu1=1;mu2=2;K=6;R=1;h=0.05;f=0.05"},
	{"WINDY", "wind=0001112210;start=3,0;goal=3,7;moves=9"},
	{"CLIFF", ""},
	{"RW5", ""},
	{"LAIROB", "arms=0.9/0.8/0.7"},
	{"TB", "k=10"},
	{"MOUNTAINCAR", ""},
}

// The probabilities of every outcome sum to 1, and states lie in their range.
func TestModels(t *testing.T) {
	for _, c := range cases {
		p, err := Parse(c.table, c.params)
		if err != nil {
			t.Fatal(err)
		}
		f, ok := p.(Finite)
		if !ok {
			continue
		}
		m := f.Model()
		if m.Actions() != p.Actions() || len(m.Outcomes) != len(m.States) {
			t.Errorf("%s: %d states, outcomes of %d, %d actions", c.table, len(m.States), len(m.Outcomes), m.Actions())
		}
		near(t, c.table+": the sum of Start", sum(m.Start), 1)
		for i, s := range m.States {
			if len(s) != p.Dim() {
				t.Errorf("%s: state %v has not %d numbers", c.table, s, p.Dim())
			}
			for d, x := range s {
				if lo, hi := p.Range(d); x < lo || x > hi {
					t.Errorf("%s: state %v: number %d is not in [%g, %g]", c.table, s, d, lo, hi)
				}
			}
			for a, o := range m.Outcomes[i] {
				near(t, fmt.Sprint(c.table, ": the sum of ", s, a), sum(o.Next)+o.End, 1)
				if o.Time <= 0 {
					t.Errorf("%s: %v %d takes time %g", c.table, s, a, o.Time)
				}
			}
		}
	}
}

func sum(ts []Transition) float64 {
	p := 0.0
	for _, t := range ts {
		p += t.P
	}
	return p
}

// What Evaluate finds solves the evaluation equations: the value of a state is the mean of Q, its gain that of the
// states it leads to. What Solve finds solves Bellman's.
func TestEquations(t *testing.T) {
	for _, c := range cases {
		p, err := Parse(c.table, c.params)
		if err != nil {
			t.Fatal(err)
		}
		f, ok := p.(Finite)
		if !ok {
			continue
		}
		m := f.Model()
		for _, s := range []*Solution{m.Solve(), m.EpsilonGreedy(0.3), m.Evaluate(m.Uniform())} {
			for i := range m.States {
				gain, value := 0.0, 0.0
				for a, pa := range s.Policy[i] {
					gain += pa * mean(m.Outcomes[i][a].Next, s.Gains)
					value += pa * s.Q[i][a]
				}
				near(t, fmt.Sprint(c.table, ": the gain of ", m.States[i]), s.Gains[i], gain)
				near(t, fmt.Sprint(c.table, ": the value of ", m.States[i]), s.Values[i], value)
			}
		}
		best := m.Solve()
		for i, q := range best.Q {
			near(t, fmt.Sprint(c.table, ": the best of ", m.States[i]), best.Values[i], q[highest(q)])
		}
	}
}

// Of two ways to earn, the one that brings more per unit time is optimal, and the other one per decision.
func TestContinuousTime(t *testing.T) {
	m := &Model{
		States:   [][]float64{{}},
		Start:    []Transition{{0, 1}},
		Outcomes: [][]Outcome{{{Reward: 3, Time: 2, Next: []Transition{{0, 1}}}, {Reward: 2, Time: 1, Next: []Transition{{0, 1}}}}},
	}
	near(t, "gain", m.Solve().Gain, 2)
	near(t, "gain per decision", m.PerDecision().Solve().Gain, 3)
	near(t, "gain of chance", m.Evaluate(m.Uniform()).Gain, 5.0/3)
	near(t, "gain with exploration", m.EpsilonGreedy(0.5).Gain, 2.25/1.25)
}

// A first decision for good, between a class that pays 1, one that pays 2 after a price, and a chance of the end.
func TestClasses(t *testing.T) {
	m := &Model{
		States: [][]float64{{0}, {1}, {2}},
		Start:  []Transition{{0, 1}},
		Outcomes: [][]Outcome{
			{
				{Reward: 100, Time: 1, Next: []Transition{{1, 1}}},
				{Reward: -100, Time: 1, Next: []Transition{{2, 1}}},
				{Reward: 7, Time: 1, Next: []Transition{{2, 0.5}}, End: 0.5},
			},
			{{Reward: 1, Time: 1, Next: []Transition{{1, 1}}}, {Reward: 0, Time: 1, Next: []Transition{{1, 1}}}, {Time: 1, End: 1}},
			{{Reward: 0, Time: 1, Next: []Transition{{2, 1}}}, {Reward: 4, Time: 2, Next: []Transition{{2, 1}}}, {Time: 1, End: 1}},
		},
	}
	s := m.Solve()
	near(t, "gain", s.Gain, 2)
	if a := s.Policy.Action(0); a != 1 {
		t.Errorf("the first action is %d", a)
	}
	half := m.Evaluate(m.Deterministic(func(s []float64) int { return []int{2, 0, 1}[int(s[0])] }))
	near(t, "gain with a chance of the end", half.Gain, 1)
	near(t, "gain of chance, which ends", m.Evaluate(m.Uniform()).Gain, 0)
}

// With more servers than are ever needed, states of which some are visited once in 10^50 steps do no harm.
func TestRareStates(t *testing.T) {
	for _, servers := range []int{50, 200} {
		for same := range 2 {
			m := model(t, "ACCESS", fmt.Sprintf("servers=%d;p_free=0.06;prios=1/2/4/8;probs=uniform;assigned_can_free_same_step=%d",
				servers, same))
			near(t, fmt.Sprint("the gain with servers ", servers), m.Solve().Gain, 3.75)
			near(t, fmt.Sprint("with exploration and servers ", servers), m.EpsilonGreedy(0.1).Gain, 3.75*0.95)
		}
	}
}

// Who drives up against the wall for ever loses one a step; there is no return.
func TestNeverEnds(t *testing.T) {
	m := (&Cliff{}).Model()
	s := m.Evaluate(m.Deterministic(func([]float64) int { return 0 }))
	near(t, "gain", s.Gain, -1)
}

func TestErlang(t *testing.T) {
	near(t, "P(Exp <= 1)", erlang(1, 1), 1-1/math.E)
	near(t, "P(Erlang(2) <= 3)", erlang(2, 3), 1-4*math.Exp(-3))
}

func TestNormalCDF(t *testing.T) {
	for x := -9.0; x <= 9; x += 0.25 {
		near(t, fmt.Sprint("at ", x), normalCDF(x), 0.5*math.Erfc(-x/math.Sqrt2))
	}
}
