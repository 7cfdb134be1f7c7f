package theory

import (
	"fmt"
	"math"
)

// limit is the steady state of LL(F,T) among infinitely many M/M/c/K nodes of service rate 1: the fixed point of
//
//	flow from j to j+1 tasks = lam*x[j]*(1 if j < T, else u[j]^F) + lam*u[max(T,j+1)]*(u[j]^F - u[j+1]^F)
//	flow from j+1 to j tasks = min(j+1,c)*x[j+1]
//
// x[j] being the share of nodes with j tasks and u[j] that with j or more (method: Mitzenmacher, IEEE TPDS 12(10), 2001;
// rule: Beraldi and Proietti Mattia, IEEE TCC 2020).
type limit struct {
	lam                   float64
	slots, places, fanout int // c, K, F
	threshold             int // T
	x                     []float64
	relax                 float64 // seconds in which the mean load comes nearer to its limit by 1/e, from empty on
}

func newLimit(lam float64, slots, places, fanout, threshold int) *limit {
	l := &limit{lam: lam, slots: slots, places: places, fanout: fanout, threshold: threshold, x: make([]float64, places+1)}
	l.x[0] = 1
	// Heun's method, in steps well below the fastest time constant, until nothing changes any more.
	h := 0.1 / (2*lam + float64(slots))
	y := make([]float64, places+1)
	var loads []float64
	for moved := 1.0; moved > 1e-11; {
		loads = append(loads, l.load())
		a := l.drift()
		for j := range y {
			y[j] = l.x[j]
			l.x[j] += h * a[j]
		}
		b := l.drift()
		moved = 0
		for j := range y {
			d := (a[j] + b[j]) / 2
			l.x[j] = y[j] + h*d
			moved = max(moved, math.Abs(d))
		}
	}
	near := len(loads)
	for near > 0 && math.Abs(loads[near-1]-l.load()) < l.load()*math.Exp(-forget) {
		near--
	}
	l.relax = max(1, float64(near)*h/forget) // never less than a service
	return l
}

// above is u[j].
func (l *limit) above(j int) float64 {
	sum := 0.0
	for _, x := range l.x[min(j, len(l.x)):] {
		sum += x
	}
	return sum
}

func (l *limit) allAbove(j int) float64 { return math.Pow(l.above(j), float64(l.fanout)) }

func (l *limit) drift() []float64 {
	d := make([]float64, len(l.x))
	for j := range l.places {
		stays := 1.0
		if j >= l.threshold {
			stays = l.allAbove(j)
		}
		up := l.lam*l.x[j]*stays + l.lam*l.above(max(l.threshold, j+1))*(l.allAbove(j)-l.allAbove(j+1))
		flow := up - float64(min(j+1, l.slots))*l.x[j+1]
		d[j] -= flow
		d[j+1] += flow
	}
	return d
}

func (l *limit) load() float64 {
	sum := 0.0
	for j, x := range l.x {
		sum += float64(j) * x
	}
	return sum
}

func (l *limit) values() map[string]float64 {
	full := l.x[l.places]
	blocking := full
	if l.threshold <= l.places {
		blocking *= l.allAbove(l.places)
	}
	load, forwarded := l.load(), 0.0
	for j, x := range l.x {
		if j >= l.threshold {
			forwarded += x * (1 - l.allAbove(j))
		}
	}
	probing := l.above(l.threshold)
	return map[string]float64{"PB": blocking, "L": load, "T": load / (l.lam * (1 - blocking)), "probe": probing,
		"fwd": forwarded, "msgs": float64(l.fanout) * probing, "p0": l.x[0], "pK": full}
}

// smallRooms are cases of LL(F,T) at nodes with so few places that many tasks are refused.
func smallRooms() []Case {
	var cases []Case
	for _, s := range []struct {
		lam                              float64
		slots, places, fanout, threshold int
	}{
		{0.8, 1, 1, 1, 0}, {0.8, 1, 1, 2, 1}, {1.5, 1, 1, 1, 1}, {0.8, 1, 2, 1, 0}, {0.8, 1, 2, 1, 1}, {0.8, 1, 2, 1, 2},
		{0.8, 1, 2, 1, 3}, {1.2, 1, 2, 3, 1}, {0.9, 1, 3, 1, 0}, {0.9, 1, 3, 1, 2}, {0.9, 1, 3, 2, 3}, {1, 1, 3, 1, 1},
		{1, 1, 5, 1, 4}, {1.2, 1, 5, 2, 2}, {1.8, 2, 2, 1, 0}, {1.8, 2, 2, 1, 2}, {1.8, 2, 4, 1, 2}, {4, 4, 5, 2, 3},
	} {
		values := newLimit(s.lam, s.slots, s.places, s.fanout, s.threshold).values()
		c := Case{ID: fmt.Sprintf("LLSMALL-P%03d", len(cases)+1), Table: "LLSMALL", Model: "LL(F,T) M/M/c/K nodes, N->inf",
			Params: fmt.Sprintf("lam=%g;K=%d;c=%d;F=%d;T=%d", s.lam, s.places, s.slots, s.fanout, s.threshold)}
		for _, name := range []string{"PB", "L", "T", "probe", "fwd", "msgs", "p0", "pK"} {
			c.Values = append(c.Values, Value{name, values[name], "meanfield", "fixed point computed by this program"})
		}
		cases = append(cases, c)
	}
	return cases
}
