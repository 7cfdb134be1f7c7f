package problem

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// Step, Reset and State do what the model says: over a long run rewards come at the gain of the policy, and episodes
// bring its return, within four standard errors.
func TestSimulation(t *testing.T) {
	const batches, decisions = 50, 8000
	for _, c := range cases {
		p, err := Parse(c.table, c.params)
		if err != nil {
			t.Fatal(err)
		}
		f, ok := p.(Finite)
		if !ok {
			continue
		}
		t.Run(c.table, func(t *testing.T) {
			m := f.Model()
			number := map[string]int{}
			for i, s := range m.States {
				number[fmt.Sprint(s)] = i
			}
			at := make([]float64, p.Dim())
			state := func() int {
				p.State(at)
				i, ok := number[fmt.Sprint(at)]
				if !ok {
					t.Fatalf("the model has no state %v", at)
				}
				return i
			}
			for _, s := range []*Solution{m.EpsilonGreedy(0.1), m.Evaluate(m.Uniform())} {
				r := rand.New(rand.NewPCG(1, 2))
				p.Reset(r)
				i := state()
				episode, excess := series{}, series{}
				sum, more, time := 0.0, 0.0, 0.0
				for n := range batches * decisions {
					reward, dt, ended := p.Step(draw(s.Policy[i], r), r)
					sum += reward
					more += reward - s.Gain*dt
					time += dt
					if ended {
						episode.add(sum)
						sum = 0
						p.Reset(r)
					}
					i = state()
					if n%decisions == decisions-1 {
						excess.add(more / decisions)
						more = 0
					}
				}
				if episode.n > 0 {
					episode.agrees(t, "return", s.Return)
					continue
				}
				excess.agrees(t, "reward above the gain", 0)
				per := m.PerDecision().Evaluate(s.Policy).Gain / s.Gain
				if passed := time / (batches * decisions); math.Abs(passed/per-1) > 0.01 {
					t.Errorf("a decision takes %g, want %g", passed, per)
				}
			}
		})
	}
}

// series is the mean of what is added, and its standard error.
type series struct{ n, sum, squares float64 }

func (s *series) add(x float64) {
	s.n++
	s.sum += x
	s.squares += x * x
}

func (s *series) agrees(t *testing.T, what string, want float64) {
	t.Helper()
	mean := s.sum / s.n
	se := math.Sqrt((s.squares/s.n - mean*mean) / (s.n - 1))
	if !(math.Abs(mean-want) <= 4*se) {
		t.Errorf("%s is %g ± %g, want %g", what, mean, se, want)
	}
}

func TestTestbedSimulation(t *testing.T) {
	p := &Testbed{Arms: 10}
	r := rand.New(rand.NewPCG(1, 2))
	var best, first series
	for range 20000 {
		p.Reset(r)
		x, _, _ := p.Step(p.Best(), r)
		best.add(x)
		x, _, _ = p.Step(0, r)
		first.add(x)
	}
	best.agrees(t, "the reward of the best arm", p.Optimum())
	first.agrees(t, "that of any", 0)
}

// The car cannot drive up the slope from rest, but can by swinging; what it does is as in the book.
func TestMountainCar(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	p, s := &MountainCar{}, make([]float64, 2)
	steps := func(choose func() int) int {
		for n := range 1000 {
			p.State(s)
			a := choose()
			reward, dt, ended := p.Step(a, r)
			if reward != -1 || dt != 1 {
				t.Fatalf("reward %g, time %g", reward, dt)
			}
			x, v := s[0], min(0.07, max(-0.07, s[1]+0.001*float64(a-1)-0.0025*math.Cos(3*s[0])))
			if x += v; x < -1.2 {
				x, v = -1.2, 0
			}
			p.State(s)
			if math.Abs(s[0]-x) > 1e-12 || math.Abs(s[1]-v) > 1e-12 || ended != (x >= 0.5) {
				t.Fatalf("position and velocity are %v, ended %t; want %g, %g", s, ended, x, v)
			}
			if ended {
				return n + 1
			}
		}
		return 1000
	}
	for range 100 {
		p.Reset(r)
		if p.State(s); s[0] < -0.6 || s[0] >= -0.4 || s[1] != 0 {
			t.Fatalf("begins at %v", s)
		}
		if n := steps(func() int { return 2 }); n < 1000 {
			t.Fatalf("at the goal after %d steps forward", n)
		}
		p.Reset(r)
		swing := steps(func() int {
			if s[1] < 0 {
				return 0
			}
			return 2
		})
		if swing < 80 || swing > 200 {
			t.Fatalf("at the goal after %d steps", swing)
		}
	}
}

// A step allocates nothing.
func TestAllocations(t *testing.T) {
	for _, c := range cases {
		p, err := Parse(c.table, c.params)
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(1, 2))
		p.Reset(r)
		s := make([]float64, p.Dim())
		if n := testing.AllocsPerRun(100, func() {
			p.State(s)
			if _, _, ended := p.Step(r.IntN(p.Actions()), r); ended {
				p.Reset(r)
			}
		}); n > 0 {
			t.Errorf("%s: %g allocations", c.table, n)
		}
	}
}
