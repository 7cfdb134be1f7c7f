package learner

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// networkConfig is what a network is made of.
type networkConfig struct {
	dims       []Dim  // the numbers of a state
	hidden     []int  // units of each hidden layer, from the input on; none: Q is linear in the inputs
	actions    int    // outputs
	activation string // of the hidden units: tanh or relu
	optimizer  optimizer
}

// optimizer says how the weights w follow the direction g = delta·∇Q(s, a), which lowers the squared error delta²/2 of
// Q(s, a), or the mean of such directions over a minibatch:
//
//	sgd     w += alpha·g
//	adam    w += alpha·m'/(√v' + epsilon)
//
// where m' and v' are running means of g and of g², with the weights beta1 and beta2, corrected for their start at zero.
//
// Source: Kingma and Ba, Adam: a method for stochastic optimization, ICLR 2015, algorithm 1.
type optimizer struct {
	kind  string  // adam or sgd
	alpha float64 // step size; of Adam, about how far a weight moves in one step; > 0

	beta1, beta2, epsilon float64 // of Adam; see adam

	// clip bounds the Euclidean norm of g; 0 = no bound. Source: Pascanu, Mikolov and Bengio 2013.
	clip float64
}

// adam is the optimizer with the constants that its authors recommend; their alpha is 0.001.
func adam(alpha float64) optimizer {
	return optimizer{kind: "adam", alpha: alpha, beta1: 0.9, beta2: 0.999, epsilon: 1e-8}
}

func (c *Config) newNetwork(r *rand.Rand) function { return newNetwork(c.networkConfig(), r) }

func (c *Config) networkConfig() networkConfig {
	f := &c.Function
	o := optimizer{kind: f.Optimizer, alpha: c.Alpha}
	if f.Optimizer == "adam" {
		o = adam(c.Alpha)
	}
	o.clip = f.Clip
	return networkConfig{dims: c.Dims, hidden: f.Hidden, actions: c.Actions, activation: f.Activation, optimizer: o}
}

// network is a value function: a multilayer perceptron with one linear output for each action. Its inputs are the
// numbers of the state, those with bounds scaled to [-1, 1]; a category has an input for each of its values, 1 or 0.
type network struct {
	config networkConfig
	layers []layer
	w, g   []float64 // all weights, and the direction that they will follow: see optimizer
	m, v   []float64 // Adam's means of g and g²
	// beta1 and beta2 to the power of the number of updates.
	power1, power2 float64
}

// layer is a matrix of weights and a bias. In the matrix the weights of one input are neighbours.
type layer struct {
	x, y   []float64 // inputs and outputs; the outputs of a layer are the inputs of the next one
	dx, dy []float64 // the same for derivatives by them
	w, b   []float64 // parts of the network's weights
	gw, gb []float64 // parts of its g
}

// outputBound bounds the initial weights of the last layer, such that all values are about 0 at first. Source: Lillicrap
// et al., Continuous control with deep reinforcement learning, ICLR 2016, section 7.
const outputBound = 3e-3

// newNetwork draws the initial weights uniformly between bounds that keep the variance of what passes through the layers
// about even: Glorot and Bengio 2010 for tanh, He et al. 2015 for relu. Biases are 0.
func newNetwork(c networkConfig, r *rand.Rand) *network {
	n := blankNetwork(c)
	for i, l := range n.layers {
		in, out := float64(len(l.x)), float64(len(l.y))
		bound := math.Sqrt(6 / (in + out))
		switch {
		case i == len(c.hidden):
			bound = outputBound
		case n.relu():
			bound = math.Sqrt(6 / in)
		}
		for k := range l.w {
			l.w[k] = float64(bound * (float64(2*random.Unit(r)) - 1))
		}
	}
	return n
}

// blankNetwork makes a network of which all weights are 0.
func blankNetwork(c networkConfig) *network {
	widths := append(append([]int{inputs(c.dims)}, c.hidden...), c.actions)
	size := 0
	for i, in := range widths[:len(widths)-1] {
		size += (in + 1) * widths[i+1]
	}
	n := &network{config: c, w: make([]float64, size), g: make([]float64, size), power1: 1, power2: 1}
	if c.optimizer.kind == "adam" {
		n.m, n.v = make([]float64, size), make([]float64, size)
	}
	x, dx := make([]float64, widths[0]), make([]float64, widths[0])
	w, g := n.w, n.g
	for _, out := range widths[1:] {
		l := layer{x: x, y: make([]float64, out), dx: dx, dy: make([]float64, out)}
		matrix, all := len(x)*out, (len(x)+1)*out
		l.w, l.b, w = w[:matrix], w[matrix:all], w[all:]
		l.gw, l.gb, g = g[:matrix], g[matrix:all], g[all:]
		n.layers = append(n.layers, l)
		x, dx = l.y, l.dy
	}
	return n
}

func (n *network) relu() bool { return n.config.activation == "relu" }

// inputs is how many inputs the dimensions of a state make.
func inputs(dims []Dim) int {
	count := 0
	for d := range dims {
		if dims[d].Category {
			count += dims[d].categories()
		} else {
			count++
		}
	}
	return count
}

// encode writes the inputs of a state to x.
func (n *network) encode(s, x []float64) {
	at := 0
	for d := range n.config.dims {
		switch dim := &n.config.dims[d]; {
		case dim.Category:
			one := x[at : at+dim.categories()]
			clear(one)
			one[dim.category(s[d])] = 1
			at += len(one)
		case dim.Hi > dim.Lo:
			x[at] = float64(2*dim.scaled(s[d])) - 1
			at++
		default:
			x[at] = s[d]
			at++
		}
	}
}

// values implements function.
func (n *network) values(s []float64) []float64 {
	n.encode(s, n.layers[0].x)
	top := len(n.layers) - 1
	for i := range n.layers {
		l := &n.layers[i]
		l.forward()
		switch {
		case i == top:
		case n.relu():
			for j, y := range l.y {
				l.y[j] = max(0, y)
			}
		default:
			for j, y := range l.y {
				l.y[j] = tanh(y)
			}
		}
	}
	return n.layers[top].y
}

// tanh is the hyperbolic tangent, equal bit for bit on every architecture, within 4e-16.
func tanh(x float64) float64 { return 1 - 2/(random.Exp(2*x)+1) }

// forward computes y, without the activation. It takes two inputs at a time, which halves the traffic of y.
func (l *layer) forward() {
	x, y, w := l.x, l.y, l.w
	copy(y, l.b)
	for ; len(x) >= 2; x = x[2:] {
		x0, x1 := x[0], x[1]
		w0, w1 := w[:len(y)], w[len(y):][:len(y)]
		for j := range y {
			y[j] = y[j] + float64(x0*w0[j]) + float64(x1*w1[j])
		}
		w = w[2*len(y):]
	}
	if len(x) == 1 {
		for j, w := range w {
			y[j] += float64(x[0] * w)
		}
	}
}

// learn implements function: one step of the optimizer. Step is alpha·delta, where alpha is the optimizer's.
func (n *network) learn(s []float64, a int, step float64) {
	n.values(s)
	n.accumulate(a, step/n.config.optimizer.alpha)
	n.update()
}

// accumulate adds delta·∇Q(s, a) to the direction of the next update, by backpropagation; s is the state of the last call
// of values.
func (n *network) accumulate(a int, delta float64) {
	top := len(n.layers) - 1
	l := &n.layers[top]
	l.gb[a] += delta
	for i, x := range l.x { // only the weights of output a have a part in Q(s, a)
		k := i*len(l.y) + a
		l.gw[k] += float64(x * delta)
		l.dx[i] = float64(l.w[k] * delta)
	}
	for i := top - 1; i >= 0; i-- {
		l := &n.layers[i]
		if n.relu() {
			for j, y := range l.y {
				if y == 0 {
					l.dy[j] = 0
				}
			}
		} else {
			for j, y := range l.y {
				l.dy[j] *= 1 - float64(y*y)
			}
		}
		l.backward()
	}
}

// backward adds to gw and gb, and computes dx.
func (l *layer) backward() {
	dy := l.dy
	for j, d := range dy {
		l.gb[j] += d
	}
	for i, x := range l.x {
		w, gw := l.w[i*len(dy):][:len(dy)], l.gw[i*len(dy):][:len(dy)]
		sum := 0.0
		for j, d := range dy {
			gw[j] += float64(x * d)
			sum += float64(w[j] * d)
		}
		l.dx[i] = sum
	}
}

// update takes one step of the optimizer in the direction that has been accumulated, and begins a new one.
func (n *network) update() {
	o := &n.config.optimizer
	if o.clip > 0 {
		if norm := math.Sqrt(squares(n.g)); norm > o.clip {
			scale := o.clip / norm
			for k := range n.g {
				n.g[k] *= scale
			}
		}
	}
	if o.kind == "adam" {
		n.adam(o)
	} else {
		for k, g := range n.g {
			n.w[k] += float64(o.alpha * g)
		}
	}
	clear(n.g)
}

func (n *network) adam(o *optimizer) {
	n.power1 = float64(n.power1 * o.beta1)
	n.power2 = float64(n.power2 * o.beta2)
	rate, correct := o.alpha/(1-n.power1), 1/(1-n.power2)
	w, m, v := n.w[:len(n.g)], n.m[:len(n.g)], n.v[:len(n.g)]
	for k, g := range n.g {
		m[k] = normal(m[k] + float64((1-o.beta1)*(g-m[k])))
		v[k] = normal(v[k] + float64((1-o.beta2)*(float64(g*g)-v[k])))
		w[k] += float64(rate*m[k]) / (math.Sqrt(float64(correct*v[k])) + o.epsilon)
	}
}

// normal is x, or 0 in place of a subnormal number: the means of a weight that is out of use for long become such
// numbers, with which some processors calculate twenty times slower.
func normal(x float64) float64 {
	if math.Abs(x) < 0x1p-1000 {
		return 0
	}
	return x
}

func squares(x []float64) float64 {
	sum := 0.0
	for _, x := range x {
		sum += float64(x * x)
	}
	return sum
}

// weights are the network's own: for each layer, from the input on, a row of weights for each input, then the biases.
func (n *network) weights() []float64 { return n.w }

// load takes over the weights of a network of the same shape. The optimizer begins anew.
func (n *network) load(w []float64) error {
	if len(w) != len(n.w) {
		return fmt.Errorf("learner: %d weights for a network that has %d", len(w), len(n.w))
	}
	copy(n.w, w)
	clear(n.g)
	clear(n.m)
	clear(n.v)
	n.power1, n.power2 = 1, 1
	return nil
}
