package learner

import "math/rand/v2"

// td learns by temporal differences: Q(s, a) moves towards the rewards of the next n actions and the value of where
// they led. With n = 1 and a discount gamma the error is
//
//	delta = r + gamma·V(s') - Q(s, a)
//
// and with average rewards, where what counts is how much better than usual an action is,
//
//	delta = r - Rbar + V(s') - Q(s, a),  Rbar += beta·delta.
//
// V(s') is Q(s', a') of the action that was chosen (Sarsa), its mean over the policy (expected Sarsa), its maximum
// (Q-learning), or the value that one of two functions gives to what is best in the other (double Q-learning).
//
// Sources: Sutton and Barto, Reinforcement Learning, 2nd ed. 2018, chapters 6, 7, 10 and 12; van Hasselt 2010 for double
// Q; Wan, Naik and Sutton 2021 for differential Q-learning.
type td struct {
	f, g   function // g: the second one of double Q-learning; nil otherwise
	form   tdForm
	policy *policy
	rand   *rand.Rand // which of two functions learns

	alpha, beta, gamma float64
	average            bool
	rbar               float64
	assign             bool // v1's mistake: Rbar becomes r + beta·delta

	steps  int // n
	traces *traces
	last   ring // the actions of which the values of the successors are not known yet
	sum    []float64
}

type tdForm uint8

const (
	sarsa tdForm = iota
	expectedSarsa
	qLearning
	doubleQ
)

// values implements agent.
func (t *td) values(s []float64) []float64 {
	if t.g == nil {
		return t.f.values(s)
	}
	copy(t.sum, t.f.values(s))
	for a, q := range t.g.values(s) {
		t.sum[a] = float64(0.5 * (t.sum[a] + q))
	}
	return t.sum
}

func (t *td) averageReward() float64 { return t.rbar }

func (t *td) assume(averageReward float64) { t.rbar = averageReward }

func (t *td) start(s []float64, a int) {
	t.last.clear()
	t.last.push(s, a)
	if t.traces != nil {
		t.traces.clear()
	}
}

func (t *td) step(r float64, s []float64, a int) {
	t.last.newest().reward = r
	if t.traces != nil {
		t.trace(r, s, a)
		t.last.clear()
		t.last.push(s, a)
		return
	}
	if t.last.len() == t.steps {
		t.learn(t.steps, s, a, false)
		t.last.drop()
	}
	t.last.push(s, a)
}

func (t *td) end(r float64) {
	t.last.newest().reward = r
	if t.traces != nil {
		t.trace(r, nil, 0)
		t.traces.clear()
		t.last.clear()
		return
	}
	for t.last.len() > 0 {
		t.learn(t.last.len(), nil, 0, true)
		t.last.drop()
	}
}

// cut lets the actions whose n successors are not all known learn from those that are.
func (t *td) cut() {
	if t.last.len() == 0 {
		return
	}
	newest := t.last.newest()
	if t.traces == nil {
		for t.last.len() > 1 {
			t.learn(t.last.len()-1, newest.state, newest.action, false)
			t.last.drop()
		}
	}
	t.last.clear()
}

// learn moves the value of the oldest action by the rewards of the oldest n, and by the value of s and a, to which they
// led; ended: there is nothing after them.
func (t *td) learn(n int, s []float64, a int, ended bool) {
	target, discount := 0.0, 1.0
	for i := range n {
		r := t.last.at(i).reward
		if t.average {
			target += r - t.rbar
		} else {
			target += float64(discount * r)
			discount *= t.gamma
		}
	}
	f, g := t.f, t.g
	if g != nil && t.rand.Uint64()&1 == 1 {
		f, g = g, f
	}
	if !ended {
		target += float64(discount * t.ahead(f, g, s, a))
	}
	o := t.last.at(0)
	delta := target - f.values(o.state)[o.action]
	t.rate(o.reward, delta)
	f.learn(o.state, o.action, float64(t.alpha*delta))
}

// rate learns the average reward.
func (t *td) rate(r, delta float64) {
	switch {
	case !t.average:
	case t.assign:
		t.rbar = r + float64(t.beta*delta)
	default:
		t.rbar += float64(t.beta * delta)
	}
}

// ahead is V(s), as the form has it, where a was chosen.
func (t *td) ahead(f, g function, s []float64, a int) float64 {
	q := f.values(s)
	switch t.form {
	case sarsa:
		return q[a]
	case expectedSarsa:
		v := 0.0
		for a, p := range t.policy.probabilities(q) {
			v += float64(p * q[a])
		}
		return v
	case doubleQ:
		best := highest(q)
		return g.values(s)[best]
	}
	return q[highest(q)]
}

// highest is the first of the highest values.
func highest(q []float64) int {
	best := 0
	for a, x := range q {
		if x > q[best] {
			best = a
		}
	}
	return best
}

// trace learns with eligibility traces: every feature that was active lately gets its part of the error. s is nil at
// the end of an episode.
func (t *td) trace(r float64, s []float64, a int) {
	o := t.last.newest()
	l := t.f.(*linear)
	x := l.features.of(o.state, true)
	l.grow()
	target := r
	if t.average {
		target -= t.rbar
	}
	q := l.valuesOf(x)[o.action]
	if t.form == qLearning && q < l.valuesOf(x)[highest(l.valuesOf(x))] {
		t.traces.clear() // Watkins: what an exploring action brings says nothing about those before it
	}
	t.traces.visit(x, l.actions, o.action)
	discount := 1.0
	if s != nil {
		if !t.average {
			discount = t.gamma
		}
		target += float64(discount * t.ahead(t.f, nil, s, a))
	}
	delta := target - q
	t.rate(r, delta)
	t.traces.apply(l.w, float64(t.alpha*delta)/l.features.norm(), float64(discount*t.traces.lambda))
}

// traces are replacing eligibility traces of the weights of a linear function.
type traces struct {
	lambda float64
	active []int     // weights
	value  []float64 // of the active ones
	at     []int     // by weight: 1 + its place in active; 0 = none
}

// negligible is when a trace ends.
const negligible = 1e-4

func (e *traces) clear() {
	for _, w := range e.active {
		e.at[w] = 0
	}
	e.active, e.value = e.active[:0], e.value[:0]
}

// visit sets the traces of the features that are active with action a.
func (e *traces) visit(x []feature, actions, a int) {
	for _, f := range x {
		w := f.index*actions + a
		for w >= len(e.at) {
			e.at = append(e.at, 0)
		}
		if i := e.at[w]; i > 0 {
			e.value[i-1] = f.value
			continue
		}
		e.active, e.value = append(e.active, w), append(e.value, f.value)
		e.at[w] = len(e.active)
	}
}

// apply moves the weights by step times their traces, and lets these fade.
func (e *traces) apply(w []float64, step, fade float64) {
	for i := 0; i < len(e.active); {
		at := e.active[i]
		w[at] += float64(step * e.value[i])
		if e.value[i] *= fade; e.value[i] >= negligible || e.value[i] <= -negligible {
			i++
			continue
		}
		e.at[at] = 0
		last := len(e.active) - 1
		if i < last {
			e.active[i], e.value[i] = e.active[last], e.value[last]
			e.at[e.active[i]] = i + 1
			// The one that was moved here has not had its turn.
		}
		e.active, e.value = e.active[:last], e.value[:last]
	}
}

// move is an action in a state, and the reward that it brought.
type move struct {
	state  []float64
	action int
	reward float64
}

// ring holds the last moves, the oldest first. It keeps its memory.
type ring struct {
	buf  []move
	head int
	n    int
}

func newRing(capacity int) ring { return ring{buf: make([]move, capacity)} }

func (r *ring) len() int { return r.n }

func (r *ring) at(i int) *move {
	i += r.head
	if i >= len(r.buf) {
		i -= len(r.buf)
	}
	return &r.buf[i]
}

func (r *ring) newest() *move { return r.at(r.n - 1) }

// push adds a move, of which the state is copied. There must be room.
func (r *ring) push(s []float64, a int) {
	m := r.at(r.n)
	m.state, m.action, m.reward = append(m.state[:0], s...), a, 0
	r.n++
}

func (r *ring) drop() {
	r.n--
	if r.head++; r.head == len(r.buf) {
		r.head = 0
	}
}

func (r *ring) clear() { r.n, r.head = 0, 0 }
