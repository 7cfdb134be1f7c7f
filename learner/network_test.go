package learner

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// cityNetwork has 5 numbers in, two hidden layers of 32, and 14 actions.
func cityNetwork(activation string, o optimizer) networkConfig {
	return networkConfig{dims: city("dqn", "network").Dims, hidden: []int{32, 32}, actions: 14, activation: activation,
		optimizer: o}
}

func sgd(alpha float64) optimizer { return optimizer{kind: "sgd", alpha: alpha} }

// bare is Q(s, 0) = w·s + b, with the given w and b.
func bare(o optimizer, w, b float64) *network {
	n := blankNetwork(networkConfig{dims: make([]Dim, 1), actions: 1, optimizer: o})
	copy(n.w, []float64{w, b})
	return n
}

// Numbers are scaled by their bounds, which hold; a category has an input for each value.
func TestNetworkInputs(t *testing.T) {
	n := blankNetwork(networkConfig{dims: []Dim{{Lo: -2, Hi: 6}, {}, {Lo: 1, Hi: 3, Category: true}}, actions: 1})
	x := n.layers[0].x
	for _, c := range []struct{ s, want []float64 }{
		{[]float64{0, 5, 1}, []float64{-0.5, 5, 1, 0, 0}},
		{[]float64{6, -7, 3}, []float64{1, -7, 0, 0, 1}},
		{[]float64{-9, 0.25, 2}, []float64{-1, 0.25, 0, 1, 0}},
		{[]float64{9, 0, 99}, []float64{1, 0, 0, 0, 1}},
	} {
		if n.encode(c.s, x); !slices.Equal(x, c.want) {
			t.Errorf("%v becomes %v, want %v", c.s, x, c.want)
		}
	}
}

// At first weights lie between their bounds and fill them, biases are 0, and values are about 0.
func TestNetworkInitialWeights(t *testing.T) {
	for activation, want := range map[string][]float64{
		"tanh": {math.Sqrt(6. / (6 + 32)), math.Sqrt(6. / (32 + 32)), 0.003}, // the task type is a category of two
		"relu": {math.Sqrt(6. / 6), math.Sqrt(6. / 32), 0.003},
	} {
		n := newNetwork(cityNetwork(activation, sgd(1)), rand.New(rand.NewPCG(1, 1)))
		for i, l := range n.layers {
			bound := max(slices.Max(l.w), -slices.Min(l.w))
			if bound > want[i] || bound < 0.97*want[i] {
				t.Errorf("%s: the weights of layer %d reach %g, want %g", activation, i, bound, want[i])
			}
			if slices.Max(l.b) != 0 || slices.Min(l.b) != 0 {
				t.Errorf("%s: the biases of layer %d are %v", activation, i, l.b)
			}
		}
		if n.w[len(n.w)-15] == 0 || len(n.w) != 7*32+33*32+33*14 {
			t.Errorf("%s: the layers do not fill the %d weights", activation, len(n.w))
		}
		for _, q := range n.values([]float64{1, 2, 3, 4, 0}) {
			if math.Abs(q) > 0.05 {
				t.Errorf("%s: the value of a new network is %g", activation, q)
			}
		}
	}
}

func TestNetworkTanh(t *testing.T) {
	for x := -25.0; x <= 25; x += 1. / 64 {
		if d := tanh(x) - math.Tanh(x); math.Abs(d) > 4e-16 {
			t.Errorf("tanh(%g) is off by %g", x, d)
		}
	}
	for x, want := range map[float64]float64{0: 0, 1e300: 1, -1e300: -1, math.Inf(1): 1, math.Inf(-1): -1} {
		if tanh(x) != want {
			t.Errorf("tanh(%g) is %g", x, tanh(x))
		}
	}
}

// What is accumulated is the gradient: the same as central differences of the values.
func TestNetworkGradient(t *testing.T) {
	for _, activation := range []string{"tanh", "relu"} {
		for _, hidden := range [][]int{nil, {7}, {7, 5}, {4, 6, 3}} {
			t.Run(fmt.Sprint(activation, hidden), func(t *testing.T) {
				r := rand.New(rand.NewPCG(2, 7))
				n := newNetwork(networkConfig{dims: []Dim{{Hi: 4}, {}, {Hi: 2, Category: true}}, hidden: hidden, actions: 3,
					activation: activation}, r)
				for k := range n.w { // biases and last layer too
					n.w[k] = 2*r.Float64() - 1
				}
				for range 20 {
					s, a := []float64{4 * r.Float64(), 2*r.Float64() - 1, float64(r.IntN(3))}, r.IntN(3)
					clear(n.g)
					n.values(s)
					n.accumulate(a, 1)
					n.values(s)
					n.accumulate(a, -3)
					for k, w := range n.w {
						const h = 1e-6
						n.w[k] = w + h
						up := n.values(s)[a]
						n.w[k] = w - h
						down := n.values(s)[a]
						n.w[k] = w
						if want := -2 * (up - down) / (2 * h); math.Abs(n.g[k]-want) > 1e-8 {
							t.Fatalf("weight %d in %v, action %d: the gradient is %.10g, want %.10g", k, s, a, n.g[k], want)
						}
					}
				}
			})
		}
	}
}

// Three steps of Adam from 0.5 with alpha 0.1 in the directions 1, 3 and -2, calculated by hand.
func TestNetworkAdam(t *testing.T) {
	n := bare(adam(0.1), 0.5, 0)
	for i, c := range []struct{ direction, want float64 }{
		{1, 0.599999999}, {3, 0.6917781104876677}, {-2, 0.7175684908778259},
	} {
		n.learn([]float64{1}, 0, 0.1*c.direction)
		if math.Abs(n.w[0]-c.want) > 1e-14 {
			t.Errorf("after step %d the weight is %.16g, want %.16g", i+1, n.w[0], c.want)
		}
	}
}

// Gradient descent moves by the step times the gradient, and at most by alpha times the bound of the norm.
func TestNetworkSGD(t *testing.T) {
	o := sgd(0.1)
	for _, c := range []struct{ clip, step, w, b float64 }{
		{0, 0.5, 2 + 0.5*3, 1 + 0.5}, {math.Sqrt(10) * 5, 0.5, 2 + 0.5*3, 1 + 0.5},
		{math.Sqrt(10), 0.5, 2 + 0.1*3, 1 + 0.1}, {math.Sqrt(10), -7, 2 - 0.1*3, 1 - 0.1},
	} {
		o.clip = c.clip
		n := bare(o, 2, 1)
		n.learn([]float64{3}, 0, c.step)
		if math.Abs(n.w[0]-c.w) > 1e-14 || math.Abs(n.w[1]-c.b) > 1e-14 {
			t.Errorf("%+v: the weights are %v", c, n.w)
		}
	}
}

// The means of a weight that is out of use do not become subnormal.
func TestNetworkSubnormal(t *testing.T) {
	n := bare(adam(0.1), 0, 0)
	n.learn([]float64{1}, 0, 0.1)
	for range 800_000 {
		n.update()
		for _, x := range []float64{n.m[0], n.v[0]} {
			if x != 0 && math.Abs(x) < 0x1p-1022 {
				t.Fatalf("a mean is %g", x)
			}
		}
	}
	if n.m[0] != 0 || n.v[0] != 0 {
		t.Errorf("the means are %g and %g", n.m[0], n.v[0])
	}
}

// A network learns what is not linear: exclusive or, and two functions of two numbers.
func TestNetworkFits(t *testing.T) {
	for _, activation := range []string{"tanh", "relu"} {
		for _, o := range []optimizer{adam(0.01), sgd(0.05)} {
			r := rand.New(rand.NewPCG(5, 1))
			n := newNetwork(networkConfig{dims: []Dim{{Hi: 1}, {Hi: 1}}, hidden: []int{8}, actions: 1, activation: activation,
				optimizer: o}, r)
			at := func(i int) ([]float64, float64) {
				return []float64{float64(i >> 1 & 1), float64(i & 1)}, float64(i>>1&1 ^ i&1)
			}
			for range 8000 {
				s, want := at(r.IntN(4))
				n.learn(s, 0, o.alpha*(want-n.values(s)[0]))
			}
			for i := range 4 {
				if s, want := at(i); math.Abs(n.values(s)[0]-want) > 0.02 {
					t.Errorf("%s, %s: %v gives %g, want %g", activation, o.kind, s, n.values(s)[0], want)
				}
			}
		}

		r := rand.New(rand.NewPCG(6, 1))
		n := newNetwork(networkConfig{dims: []Dim{{Lo: -1, Hi: 1}, {Lo: -1, Hi: 1}}, hidden: []int{32, 32}, actions: 2,
			activation: activation, optimizer: adam(0.001)}, r)
		targets := func() ([]float64, [2]float64) {
			x, y := 2*r.Float64()-1, 2*r.Float64()-1
			return []float64{x, y}, [2]float64{x * y, math.Abs(x) - y*y}
		}
		for range 2000 {
			for range 32 {
				s, want := targets()
				a := r.IntN(2)
				n.accumulate(a, (want[a]-n.values(s)[a])/32)
			}
			n.update()
		}
		square := 0.0
		for range 1000 {
			s, want := targets()
			for a, q := range n.values(s) {
				square += (q - want[a]) * (q - want[a]) / 2000
			}
		}
		if rms := math.Sqrt(square); rms > 0.05 {
			t.Errorf("%s: the regression is off by %g", activation, rms)
		}
	}
}

// bitsOf is a digest of numbers, bit for bit.
func bitsOf(x []float64) string {
	h := fnv.New64a()
	for _, x := range x {
		fmt.Fprintf(h, "%x ", math.Float64bits(x))
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// The same on every machine: these digests of weights hold on amd64 and on arm64.
func TestNetworkGolden(t *testing.T) {
	clipped := adam(0.001)
	clipped.clip = 0.5
	for _, c := range []struct {
		activation string
		o          optimizer
		want       string
	}{
		{"tanh", clipped, "161845e4a7c8699f"},
		{"relu", clipped, "5e4085984a705c5e"},
		{"tanh", sgd(0.01), "84fd161081c6bf06"},
		{"relu", sgd(0.01), "59b6c0d74cd2f212"},
	} {
		r := rand.New(rand.NewPCG(3, 9))
		n := newNetwork(cityNetwork(c.activation, c.o), r)
		for range 1000 {
			s, a := randomState(r), r.IntN(14)
			n.learn(s, a, c.o.alpha*(float64(a%3)-s[1]/4-n.values(s)[a]))
		}
		if got := bitsOf(n.w); got != c.want {
			t.Errorf("%s, %s: the weights are %s, want %s", c.activation, c.o.kind, got, c.want)
		}
	}
}

// Loaded weights give the same values, and a network that learns on from them begins Adam anew, as a new one does.
func TestNetworkLoad(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	c := cityNetwork("tanh", adam(0.01))
	n, again, used := newNetwork(c, r), newNetwork(c, r), newNetwork(c, r)
	for range 100 {
		n.learn(randomState(r), r.IntN(14), 0.01)
		used.learn(randomState(r), r.IntN(14), 0.01)
	}
	for _, m := range []*network{again, used} {
		if err := m.load(slices.Clone(n.weights())); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		s, a := randomState(r), r.IntN(14)
		if again.values(s)[a] != used.values(s)[a] {
			t.Fatal("two networks with the same weights differ")
		}
		again.learn(s, a, 0.01)
		used.learn(s, a, 0.01)
	}
	before := bitsOf(n.w)
	err := n.load(make([]float64, 3))
	if err == nil || !strings.Contains(err.Error(), "3 weights") || !strings.Contains(err.Error(), fmt.Sprint(len(n.w))) {
		t.Errorf("3 weights: %v", err)
	}
	if bitsOf(n.w) != before {
		t.Error("weights that were refused have changed the network")
	}
}

func TestNetworkAllocations(t *testing.T) {
	s := []float64{1, 2, 3, 4, 0}
	for _, o := range []optimizer{adam(0.01), sgd(0.01)} {
		o.clip = 1
		n := newNetwork(cityNetwork("tanh", o), rand.New(rand.NewPCG(1, 1)))
		if a := testing.AllocsPerRun(100, func() {
			n.values(s)
			n.learn(s, 3, 0.1)
		}); a != 0 {
			t.Errorf("%s: %g allocations", o.kind, a)
		}
	}
}

func BenchmarkNetworkValues(b *testing.B) {
	for _, activation := range []string{"tanh", "relu"} {
		b.Run(activation, func(b *testing.B) {
			n := newNetwork(cityNetwork(activation, adam(0.001)), rand.New(rand.NewPCG(1, 1)))
			states, _ := states()
			b.ReportAllocs()
			for i := range b.N {
				n.values(states[i&255])
			}
		})
	}
}

func BenchmarkNetworkLearn(b *testing.B) {
	for _, activation := range []string{"tanh", "relu"} {
		for _, o := range []optimizer{adam(0.001), sgd(0.001)} {
			b.Run(activation+"/"+o.kind, func(b *testing.B) {
				n := newNetwork(cityNetwork(activation, o), rand.New(rand.NewPCG(1, 1)))
				states, _ := states()
				b.ReportAllocs()
				for i := range b.N {
					n.learn(states[i&255], i%14, 1e-6)
				}
			})
		}
	}
}
