package learner

// linear is a value function that is linear in features of the state: Q(s, a) is the sum of w(i, a)·x(i) over the
// features x(i) of s. With one feature per state it is a table.
type linear struct {
	features features
	actions  int
	initial  float64   // Q of a state never seen
	fill     float64   // a new weight, which makes that
	w        []float64 // row by feature
	q        []float64
}

func newLinear(f features, actions int, initial float64) *linear {
	l := &linear{features: f, actions: actions, initial: initial, q: make([]float64, actions)}
	if _, grows := f.(*rows); grows {
		l.fill = initial
	} else {
		l.fill = initial / f.norm()
		if _, ok := f.(*plain); ok {
			l.fill = 0
		}
		l.grow()
		if p, ok := f.(*plain); ok && p.count > 0 { // the constant carries the initial value
			for a := range actions {
				l.w[a] = initial
			}
		}
	}
	return l
}

// grow makes the weights of new features.
func (l *linear) grow() {
	for n := l.features.size() * l.actions; len(l.w) < n; {
		l.w = append(l.w, l.fill)
	}
}

func (l *linear) values(s []float64) []float64 { return l.valuesOf(l.features.of(s, false)) }

func (l *linear) valuesOf(x []feature) []float64 {
	n := l.actions
	if len(x) == 1 && x[0].index*n >= len(l.w) {
		l.grow() // another function has found the state
	}
	if len(x) == 1 && x[0].value == 1 {
		i := x[0].index * n
		return l.w[i : i+n : i+n]
	}
	if len(x) == 0 { // a state never seen
		for a := range l.q {
			l.q[a] = l.initial
		}
		return l.q
	}
	clear(l.q)
	for _, f := range x {
		row := l.w[f.index*n : f.index*n+n]
		for a, w := range row {
			l.q[a] += float64(w * f.value)
		}
	}
	return l.q
}

func (l *linear) learn(s []float64, a int, step float64) {
	x := l.features.of(s, true)
	l.grow()
	step /= l.features.norm()
	for _, f := range x {
		l.w[f.index*l.actions+a] += float64(step * f.value)
	}
}
