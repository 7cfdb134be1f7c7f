package learner

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// network is a value function: a multilayer perceptron with one linear output for each action. Its loops are written
// out, in a fixed order and without fused operations, so that it computes the same on every machine.
//
// Sources: Glorot and Bengio, AISTATS 2010, and He et al., ICCV 2015, for the first weights; Kingma and Ba, ICLR 2015,
// for Adam.
type network struct {
	dims  []Dim
	relu  bool
	sizes []int     // units of each layer, the inputs first
	w     []float64 // layer by layer and unit by unit: the weights of its inputs, then its bias

	out   [][]float64 // of each layer
	error [][]float64 // at each layer: the gradient by what its units add up
	grad  []float64

	rate     float64 // alpha: a step of learn is alpha times an error
	clip     float64 // bound of the gradient's norm; 0 = none
	adam     bool
	mean     []float64 // Adam's moments
	square   []float64
	forget1  float64 // beta1 and beta2 to the power of the steps made
	forget2  float64
	examples int // whose gradients have been added up
}

// Adam's constants, those of its paper.
const (
	adamBeta1   = 0.9
	adamBeta2   = 0.999
	adamEpsilon = 1e-8
)

func (c *Config) newNetwork(r *rand.Rand) function { return c.perceptron(r) }

func (c *Config) perceptron(r *rand.Rand) *network {
	f := &c.Function
	n := &network{dims: c.Dims, relu: f.Activation == "relu", rate: c.Alpha, clip: f.Clip, adam: f.Optimizer == "adam",
		forget1: 1, forget2: 1}
	inputs := 0
	for d := range c.Dims {
		if c.Dims[d].Category {
			inputs += c.Dims[d].categories()
		} else {
			inputs++
		}
	}
	n.sizes = append(append([]int{inputs}, f.Hidden...), c.Actions)
	for l := range n.sizes {
		n.out = append(n.out, make([]float64, n.sizes[l]))
		n.error = append(n.error, make([]float64, n.sizes[l]))
		if l > 0 {
			n.draw(n.sizes[l-1], n.sizes[l], l == len(n.sizes)-1, r)
		}
	}
	n.grad = make([]float64, len(n.w))
	if n.adam {
		n.mean, n.square = make([]float64, len(n.w)), make([]float64, len(n.w))
	}
	return n
}

// draw makes the weights of a layer: uniform, with the variance that keeps that of the signals. The last layer begins
// near zero, so that no action is preferred at first.
func (n *network) draw(in, units int, last bool, r *rand.Rand) {
	bound := math.Sqrt(6 / float64(in+units))
	switch {
	case last:
		bound *= 0.01
	case n.relu:
		bound = math.Sqrt(6 / float64(in))
	}
	for range units {
		for range in {
			n.w = append(n.w, float64(bound*(float64(2*random.Unit(r))-1)))
		}
		n.w = append(n.w, 0)
	}
}

// inputs writes the state: numbers between -1 and 1, a category as a one among zeros.
func (n *network) inputs(s []float64) {
	x := n.out[0]
	clear(x)
	at := 0
	for d := range n.dims {
		dim := &n.dims[d]
		switch {
		case dim.Category:
			x[at+dim.category(s[d])] = 1
			at += dim.categories()
			continue
		case dim.Hi > dim.Lo:
			x[at] = float64(2*dim.scaled(s[d])) - 1
		default:
			x[at] = s[d]
		}
		at++
	}
}

func (n *network) values(s []float64) []float64 {
	n.inputs(s)
	w := n.w
	for l := 1; l < len(n.sizes); l++ {
		x, y := n.out[l-1], n.out[l]
		hidden := l < len(n.sizes)-1
		for j := range y {
			sum := dot(w[:len(x)], x) + w[len(x)]
			w = w[len(x)+1:]
			switch {
			case !hidden:
			case n.relu:
				sum = max(0, sum)
			default:
				sum = tanh(sum)
			}
			y[j] = sum
		}
	}
	return n.out[len(n.out)-1]
}

// dot is the inner product, added up in four parts: the processor does these at once.
func dot(w, x []float64) float64 {
	var a, b, c, d float64
	w = w[:len(x)]
	i := 0
	for ; i+4 <= len(x); i += 4 {
		a += float64(w[i] * x[i])
		b += float64(w[i+1] * x[i+1])
		c += float64(w[i+2] * x[i+2])
		d += float64(w[i+3] * x[i+3])
	}
	for ; i < len(x); i++ {
		a += float64(w[i] * x[i])
	}
	return (a + b) + (c + d)
}

func tanh(x float64) float64 {
	if x > 20 {
		return 1
	}
	return 1 - 2/(random.Exp(2*x)+1)
}

func (n *network) learn(s []float64, a int, step float64) {
	n.values(s)
	n.add(a, step/n.rate)
	n.apply()
}

// add adds the gradient of Q(s, a) times delta, after values(s).
func (n *network) add(a int, delta float64) {
	last := len(n.sizes) - 1
	clear(n.error[last])
	n.error[last][a] = delta
	end := len(n.w)
	for l := last; l > 0; l-- {
		x, e := n.out[l-1], n.error[l]
		begin := end - len(e)*(len(x)+1)
		back := n.error[l-1]
		clear(back)
		for j, ej := range e {
			if ej == 0 {
				continue
			}
			at := begin + j*(len(x)+1)
			row, g := n.w[at:at+len(x)], n.grad[at:at+len(x)+1]
			for i, xi := range x {
				g[i] += float64(ej * xi)
			}
			g[len(x)] += ej
			if l > 1 {
				for i, w := range row {
					back[i] += float64(ej * w)
				}
			}
		}
		if l > 1 {
			for i, y := range x { // the derivative, by the output
				switch {
				case !n.relu:
					back[i] = float64(back[i] * (1 - float64(y*y)))
				case y == 0:
					back[i] = 0
				}
			}
		}
		end = begin
	}
	n.examples++
}

// apply makes one step of the optimiser along the mean of the gradients that were added, and forgets them.
func (n *network) apply() {
	scale := 1 / float64(n.examples)
	if n.clip > 0 {
		square := 0.0
		for _, g := range n.grad {
			square += float64(g * g)
		}
		if norm := float64(math.Sqrt(square) * scale); norm > n.clip {
			scale *= n.clip / norm
		}
	}
	n.examples = 0
	if !n.adam {
		for i, g := range n.grad {
			n.w[i] += float64(float64(n.rate*scale) * g)
		}
		clear(n.grad)
		return
	}
	n.forget1 = float64(n.forget1 * adamBeta1)
	n.forget2 = float64(n.forget2 * adamBeta2)
	unbias1, unbias2 := 1/(1-n.forget1), 1/(1-n.forget2)
	for i := range n.grad {
		g := float64(n.grad[i] * scale)
		m := float64(adamBeta1*n.mean[i]) + float64((1-adamBeta1)*g)
		v := float64(adamBeta2*n.square[i]) + float64((1-adamBeta2)*float64(g*g))
		n.mean[i], n.square[i] = m, v
		n.w[i] += float64(n.rate*float64(m*unbias1)) / (math.Sqrt(float64(v*unbias2)) + adamEpsilon)
	}
	clear(n.grad)
}

// weights are all of them, in the network's own memory.
func (n *network) weights() []float64 { return n.w }

// copyFrom takes over the weights of another network of the same shape.
func (n *network) copyFrom(o *network) {
	if copy(n.w, o.w) != len(n.w) || len(n.w) != len(o.w) {
		panic(fmt.Sprintf("learner: a network of %d weights copied from one of %d", len(n.w), len(o.w)))
	}
}
