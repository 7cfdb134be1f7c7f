package learner

import (
	"math"
	"math/rand/v2"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// bandit learns what each action brings, and does not look further ahead than that. It is an agent to whom the order
// of the moves does not matter.
type bandit interface {
	values(s []float64) []float64
	// reward says what action a brought in state s.
	reward(s []float64, a int, r float64)
}

// arms are sample statistics of each action, in one context or in each state that was seen.
type arms struct {
	contexts *rows // nil: one context for all states
	actions  int
	pulls    []float64
	mean     []float64
	total    []float64 // pulls by context
	score    []float64
}

func newArms(actions int, contexts *rows) arms {
	a := arms{contexts: contexts, actions: actions, score: make([]float64, actions)}
	if contexts == nil {
		a.grow(1)
	}
	return a
}

func (b *arms) grow(contexts int) {
	for len(b.total) < contexts {
		b.total = append(b.total, 0)
		for range b.actions {
			b.pulls, b.mean = append(b.pulls, 0), append(b.mean, 0)
		}
	}
}

// count adds up the pulls, which came from a file.
func (b *arms) count() {
	for c := range b.total {
		b.total[c] = 0
		for _, n := range b.pulls[c*b.actions : (c+1)*b.actions] {
			b.total[c] += n
		}
	}
}

// context is the number of s, -1 where it was never seen.
func (b *arms) context(s []float64, grow bool) int {
	if b.contexts == nil {
		return 0
	}
	x := b.contexts.of(s, grow)
	if len(x) == 0 {
		return -1
	}
	b.grow(b.contexts.size())
	return x[0].index
}

func (b *arms) reward(s []float64, a int, r float64) {
	c := b.context(s, true)
	if c < 0 {
		return
	}
	i := c*b.actions + a
	b.total[c]++
	b.pulls[i]++
	b.mean[i] += (r - b.mean[i]) / b.pulls[i]
}

// row is where the statistics of a context begin; scores are the zeros, where it was never seen.
func (b *arms) row(s []float64) (c, row int, seen bool) {
	c = b.context(s, false)
	if c < 0 {
		clear(b.score)
		return 0, 0, false
	}
	return c, c * b.actions, true
}

// sampleAverage values an action by the mean of what it brought.
//
// Source: Sutton and Barto, Reinforcement Learning, 2nd ed. 2018, section 2.4.
type sampleAverage struct{ arms }

func (b *sampleAverage) values(s []float64) []float64 {
	if _, row, seen := b.row(s); seen {
		return b.mean[row : row+b.actions : row+b.actions]
	}
	return b.score
}

// ucb values an action by an upper confidence bound of its mean: mean + c·sqrt(ln t / n) after n of t pulls. An action
// that was never tried comes first. UCB1 is c = sqrt(2), for rewards between 0 and 1.
//
// Source: Auer, Cesa-Bianchi and Fischer, Machine Learning 47, 2002.
type ucb struct {
	arms
	c float64
}

func (b *ucb) values(s []float64) []float64 {
	c, row, seen := b.row(s)
	if !seen {
		return b.score
	}
	ln := random.Log(max(1, b.total[c]))
	for a := range b.score {
		if n := b.pulls[row+a]; n == 0 {
			b.score[a] = math.Inf(1)
		} else {
			b.score[a] = b.mean[row+a] + float64(b.c*math.Sqrt(ln/n))
		}
	}
	return b.score
}

// thompson values an action by a draw from what its mean may be, given what it brought. The prior is that of a success
// probability, uniform, or of the mean of normal rewards of variance scale².
//
// Sources: Thompson, Biometrika 25, 1933; Agrawal and Goyal, COLT 2012, whose coin makes successes of rewards between 0
// and 1; Agrawal and Goyal, AISTATS 2013, for the normal one.
type thompson struct {
	arms
	rand  *rand.Rand
	scale float64 // 0: successes
}

func (b *thompson) reward(s []float64, a int, r float64) {
	if b.scale == 0 { // a coin that falls on the side of success with probability r
		if r = min(1, max(0, r)); r > 0 && r < 1 {
			if random.Unit(b.rand) < r {
				r = 1
			} else {
				r = 0
			}
		}
	}
	b.arms.reward(s, a, r)
}

func (b *thompson) values(s []float64) []float64 {
	_, row, seen := b.row(s)
	for a := range b.score {
		n, mean := 0.0, 0.0
		if seen {
			n, mean = b.pulls[row+a], b.mean[row+a]
		}
		if b.scale > 0 {
			b.score[a] = mean + float64(b.scale*random.Normal(b.rand))/math.Sqrt(n+1)
			continue
		}
		wins := float64(mean * n)
		x := random.NewGamma(1+wins, 1+wins).Sample(b.rand)
		y := random.NewGamma(1+n-wins, 1+n-wins).Sample(b.rand)
		b.score[a] = x / (x + y)
	}
	return b.score
}

// linUCB values an action by an upper confidence bound of what ridge regression on the features x of the state
// predicts of it: theta·x + c·sqrt(x'·A⁻¹·x), with A = I + the sum of x·x' over its pulls.
//
// Source: Li, Chu, Langford and Schapire, WWW 2010, algorithm 1 (disjoint models).
type linUCB struct {
	features *plain
	c        float64
	inverse  []float64 // A⁻¹, d x d by action
	b        []float64 // the sum of r·x, d by action
	x, y     []float64 // scratch: the features, and A⁻¹·x
	score    []float64
}

func newLinUCB(dims []Dim, actions int, c float64) *linUCB {
	f := newPlain(dims)
	d := f.size()
	l := &linUCB{features: f, c: c, inverse: make([]float64, actions*d*d), b: make([]float64, actions*d),
		x: make([]float64, d), y: make([]float64, d), score: make([]float64, actions)}
	for a := range actions {
		for i := range d {
			l.inverse[a*d*d+i*d+i] = 1
		}
	}
	return l
}

// solve writes the features of s, and A⁻¹ times them for action a; it returns x'·A⁻¹·x.
func (l *linUCB) solve(s []float64, a int) (spread float64) {
	clear(l.x)
	for _, f := range l.features.of(s, false) {
		l.x[f.index] = f.value
	}
	d := len(l.x)
	for i := range d {
		row := l.inverse[a*d*d+i*d : a*d*d+i*d+d]
		sum := 0.0
		for j, x := range l.x {
			sum += float64(row[j] * x)
		}
		l.y[i] = sum
		spread += float64(sum * l.x[i])
	}
	return spread
}

func (l *linUCB) values(s []float64) []float64 {
	d := len(l.x)
	for a := range l.score {
		spread := l.solve(s, a)
		mean := 0.0 // theta·x = b'·A⁻¹·x
		for i, y := range l.y {
			mean += float64(l.b[a*d+i] * y)
		}
		l.score[a] = mean + float64(l.c*math.Sqrt(max(0, spread)))
	}
	return l.score
}

// reward updates A⁻¹ by the formula of Sherman and Morrison.
func (l *linUCB) reward(s []float64, a int, r float64) {
	by := 1 + l.solve(s, a)
	d := len(l.x)
	for i := range d {
		row := l.inverse[a*d*d+i*d : a*d*d+i*d+d]
		for j := range row {
			row[j] -= float64(l.y[i]*l.y[j]) / by
		}
		l.b[a*d+i] += float64(r * l.x[i])
	}
}
