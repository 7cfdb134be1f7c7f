package learner

import (
	"math"
	"math/rand/v2"
	"testing"
)

// perceptron is a small network.
func perceptron(t *testing.T, activation, optimizer string, alpha float64, hidden ...int) (*network, *Config) {
	t.Helper()
	c := city("sarsa", "network")
	c.Actions, c.Alpha = 3, alpha
	c.Dims = []Dim{{Name: "x", Lo: -1, Hi: 1}, {Name: "y", Lo: -1, Hi: 1}, {Name: "kind", Hi: 2, Category: true}}
	c.Function.Hidden, c.Function.Activation, c.Function.Optimizer, c.Function.Clip = hidden, activation, optimizer, 0
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	return c.perceptron(rand.New(rand.NewPCG(1, 1))), &c
}

// The gradient is that of central differences.
func TestNetworkGradient(t *testing.T) {
	for _, activation := range []string{"tanh", "relu"} {
		n, _ := perceptron(t, activation, "sgd", 1, 7, 5)
		r := rand.New(rand.NewPCG(2, 2))
		for i := range n.w { // the last layer begins near zero
			n.w[i] += 0.3 * (r.Float64() - 0.5)
		}
		s, a := []float64{0.3, -0.7, 2}, 1
		n.values(s)
		n.add(a, 1)
		const h = 1e-6
		for i := range n.w {
			w := n.w[i]
			n.w[i] = w + h
			up := n.values(s)[a]
			n.w[i] = w - h
			down := n.values(s)[a]
			n.w[i] = w
			if slope := (up - down) / (2 * h); math.Abs(slope-n.grad[i]) > 1e-7 {
				t.Errorf("%s: the gradient by weight %d is %g, want %g", activation, i, n.grad[i], slope)
			}
		}
	}
}

// A step of gradient descent moves the weights by step times the gradient; one of Adam by alpha, at first.
func TestNetworkStep(t *testing.T) {
	s := []float64{0.3, -0.7, 1}
	n, _ := perceptron(t, "tanh", "sgd", 0.1, 4)
	before := append([]float64(nil), n.w...)
	n.values(s)
	n.add(2, 1)
	grad := append([]float64(nil), n.grad...)
	clear(n.grad)
	n.examples = 0
	n.learn(s, 2, 0.1*0.5)
	for i := range n.w {
		if want := before[i] + 0.05*grad[i]; math.Abs(n.w[i]-want) > 1e-15 {
			t.Errorf("weight %d is %g, want %g", i, n.w[i], want)
		}
	}
	n, _ = perceptron(t, "tanh", "adam", 0.1, 4)
	before = append(before[:0], n.w...)
	n.learn(s, 2, 0.1*0.5)
	for i := range n.w {
		if moved := math.Abs(n.w[i] - before[i]); grad[i] != 0 && math.Abs(moved-0.1) > 1e-4 {
			t.Errorf("Adam moves weight %d by %g at first, want alpha", i, moved)
		}
	}
	// By hand, with beta1 = 0.9, beta2 = 0.999: gradients 1 and then -0.5 of one weight.
	one := &network{w: []float64{0}, grad: []float64{1}, mean: []float64{0}, square: []float64{0}, adam: true, rate: 0.1,
		forget1: 1, forget2: 1, examples: 1}
	one.apply()
	one.grad[0], one.examples = -0.5, 1
	one.apply()
	m, v := (0.9*0.1-0.05)/(1-0.81), (0.999*0.001+0.001*0.25)/(1-0.999*0.999)
	if want := 0.1 + 0.1*m/math.Sqrt(v); math.Abs(one.w[0]-want) > 1e-8 {
		t.Errorf("after two steps of Adam the weight is %g, want %g", one.w[0], want)
	}
}

// The norm of a step is bounded by the clip.
func TestNetworkClip(t *testing.T) {
	n, _ := perceptron(t, "relu", "sgd", 1, 4)
	n.clip = 0.25
	before := append([]float64(nil), n.w...)
	n.learn([]float64{0.9, 0.9, 0}, 0, 1000)
	norm := 0.0
	for i := range n.w {
		norm += (n.w[i] - before[i]) * (n.w[i] - before[i])
	}
	if math.Abs(math.Sqrt(norm)-0.25) > 1e-12 {
		t.Errorf("the step is %g long", math.Sqrt(norm))
	}
}

// A network learns what no linear function can: exclusive or.
func TestNetworkXOR(t *testing.T) {
	for _, activation := range []string{"tanh", "relu"} {
		n, c := perceptron(t, activation, "adam", 0.01, 8)
		for i := range 8000 {
			x, y := float64(i&1), float64(i>>1&1)
			s := []float64{float64(2*x - 1), float64(2*y - 1), 0}
			want := math.Abs(x - y)
			n.learn(s, 1, c.Alpha*(want-n.values(s)[1]))
		}
		for i := range 4 {
			x, y := float64(i&1), float64(i>>1&1)
			if got := n.values([]float64{2*x - 1, 2*y - 1, 0})[1]; math.Abs(got-math.Abs(x-y)) > 0.05 {
				t.Errorf("%s: %g xor %g is %g", activation, x, y, got)
			}
		}
	}
}

// A deep Q-network finds the values of a chain: from cell i of five, action 1 leads to i+1 and at the end to a reward of
// 1, action 0 back to the first one. With a discount of 0.8, going on is worth 0.8 to the power of what lies ahead.
func TestDQNChain(t *testing.T) {
	c := city("dqn", "network")
	c.Actions, c.Dims = 2, []Dim{{Name: "cell", Hi: 4, Category: true}}
	c.Average, c.Gamma, c.Alpha = false, 0.8, 0.003
	c.Function.Hidden = []int{16}
	c.Policy.Epsilon = Schedule{Kind: "constant", Start: 0.3}
	c.Replay = Replay{Capacity: 2000, Batch: 16, Every: 1, Warmup: 100, Target: 100, Double: true}
	l, err := New(c, *rand.NewPCG(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	cell := 0.0
	a, _ := l.Start([]float64{cell})
	for range 20_000 {
		switch {
		case a == 0:
			cell = 0
		case cell == 4:
			cell = 0
			if err := l.End(1); err != nil {
				t.Fatal(err)
			}
			a, _ = l.Start([]float64{cell})
			continue
		default:
			cell++
		}
		a, _ = l.Step(0, []float64{cell})
	}
	for i := range 5 {
		q, _ := l.Values([]float64{float64(i)})
		on, back := math.Pow(0.8, float64(4-i)), math.Pow(0.8, 5)
		if math.Abs(q[1]-on) > 0.04 || math.Abs(q[0]-back) > 0.04 {
			t.Errorf("cell %d: going on is worth %.3f, want %.3f; going back %.3f, want %.3f", i, q[1], on, q[0], back)
		}
	}
}

// With average rewards: staying in cell 0 brings 1 each time, the way through cell 1 brings 0 and then 4. The gain is 2.
func TestDQNAverageReward(t *testing.T) {
	c := city("dqn", "network")
	c.Actions, c.Dims = 2, []Dim{{Name: "cell", Hi: 1, Category: true}}
	c.Alpha, c.Beta = 0.003, 0.01
	c.Function.Hidden = []int{8}
	c.Policy.Epsilon = Schedule{Kind: "constant", Start: 0.2}
	c.Replay = Replay{Capacity: 1000, Batch: 16, Every: 1, Warmup: 50, Target: 50}
	l, err := New(c, *rand.NewPCG(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	cell := 0.0
	a, _ := l.Start([]float64{cell})
	for range 20_000 {
		r := 0.0
		switch {
		case cell == 1:
			cell, r = 0, 4
		case a == 0:
			r = 1
		default:
			cell = 1
		}
		a, _ = l.Step(r, []float64{cell})
	}
	if g := l.AverageReward(); math.Abs(g-2) > 0.1 {
		t.Errorf("the average reward is learned as %.3f, want 2", g)
	}
	if q, _ := l.Values([]float64{0}); q[1] < q[0]+0.5 {
		t.Errorf("the way is worth %.3f, staying %.3f: want 1 more", q[1], q[0])
	}
}

// Of a transition whose successor is not known nothing is remembered; the ring forgets the oldest.
func TestDQNMemory(t *testing.T) {
	c := city("dqn", "network")
	c.Replay = Replay{Capacity: 10, Batch: 1, Every: 1, Warmup: 100, Target: 1}
	d := c.newDQN(rand.New(rand.NewPCG(1, 1))).(*dqn)
	s := []float64{0, 0, 0, 0, 0}
	d.start(s, 1)
	d.cut()
	d.step(1, s, 2) // has nothing before it
	if len(d.memory) != 0 {
		t.Errorf("%d transitions are remembered", len(d.memory))
	}
	for i := range 25 {
		d.step(float64(i), s, 3)
	}
	d.end(25)
	if len(d.memory) != 10 || d.memory[5].reward != 25 || !d.memory[5].ended || d.memory[6].reward != 16 {
		t.Errorf("the memory is %+v", d.memory)
	}
}

// Nothing is allocated in passing.
func TestNetworkAllocations(t *testing.T) {
	for _, a := range []string{"sarsa", "dqn"} {
		c := city(a, "network")
		c.Replay.Warmup, c.Replay.Capacity = 0, 64
		l := trained(t, c, 500)
		s := []float64{1, 2, 0, 0, 3}
		if _, err := l.Start(s); err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(200, func() { _, _ = l.Step(1, s) }); n > 0 {
			t.Errorf("%s: %g allocations per step", a, n)
		}
	}
}

func BenchmarkNetworkStep(b *testing.B) {
	for _, a := range []string{"sarsa", "dqn"} {
		b.Run(a, func(b *testing.B) {
			l := trained(b, city(a, "network"), 1000)
			states, _ := states()
			_, _ = l.Start(states[0])
			for i := range b.N {
				_, _ = l.Step(1, states[i&255])
			}
		})
	}
}
