package scenarios

import (
	"math"
	"sort"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
)

// Curve is an arrival rate that changes with time and repeats after a period. Arrivals follow it exactly, by
// inversion of its integral (Çinlar, Introduction to Stochastic Processes, 1975; with other gaps than exponential
// ones: Gerhardt and Nelson, INFORMS Journal on Computing 21(4), 2009).
type Curve struct {
	period  float64 // seconds
	start   float64 // where in the period a run begins, seconds
	begun   float64 // expected arrivals from 0 to start
	shape   shape
	perTurn float64 // expected arrivals in a period
}

// shape is a rate over one period; times are seconds in [0, period].
type shape interface {
	rate(u float64) float64
	area(u float64) float64   // expected arrivals from 0 to u
	invert(a float64) float64 // the u whose area is a
}

func newCurve(s shape, period, start time.Duration) *Curve {
	c := &Curve{period: period.Seconds(), shape: s}
	c.perTurn = s.area(c.period)
	c.start = math.Mod(start.Seconds(), c.period)
	c.begun = s.area(c.start)
	return c
}

// CurvePoint is a rate, per second, at a time since the curve's beginning.
type CurvePoint struct {
	At   time.Duration
	Rate float64
}

// NewCurve returns the curve that interpolates linearly between points, and from the last to the first at the end of
// the period. Their times ascend, from 0, and stay below the period; two equal times make a step. A run begins at
// start.
func NewCurve(points []CurvePoint, period, start time.Duration) *Curve {
	l := &linear{}
	for _, p := range points {
		l.at = append(l.at, p.At.Seconds())
		l.rates = append(l.rates, p.Rate)
	}
	l.at = append(l.at, period.Seconds())
	l.rates = append(l.rates, l.rates[0])
	l.areas = make([]float64, len(l.at))
	for i := 1; i < len(l.at); i++ {
		l.areas[i] = l.areas[i-1] + float64((l.at[i]-l.at[i-1])*0.5*(l.rates[i]+l.rates[i-1]))
	}
	return newCurve(l, period, start)
}

// NewSinusoid returns the curve mean + amplitude·sin(2π·t/period), rates per second, amplitude <= mean. A run begins
// at start.
func NewSinusoid(mean, amplitude float64, period, start time.Duration) *Curve {
	return newCurve(&sinusoid{mean, amplitude, period.Seconds()}, period, start)
}

// Rate is the rate, per second, at an instant of the run.
func (c *Curve) Rate(t core.Time) float64 {
	u := math.Mod(t.Seconds()+c.start, c.period)
	return c.shape.rate(u)
}

// expected is the mean number of arrivals in the first d of a run.
func (c *Curve) expected(d time.Duration) float64 {
	u := d.Seconds() + c.start
	turns := math.Floor(u / c.period)
	return float64(turns*c.perTurn) + c.shape.area(u-float64(turns*c.period)) - c.begun
}

// position is how far a source has come along its curve: whole periods, and expected arrivals within the current
// one. Keeping them apart loses no precision in a long run.
type position struct {
	turns  float64
	within float64
}

// after moves p on by a expected arrivals and returns the time since the run began, in ns.
func (c *Curve) after(p *position, a float64) float64 {
	p.within += a
	if p.within >= c.perTurn {
		k := math.Floor(p.within / c.perTurn)
		p.turns += k
		p.within = max(0, p.within-float64(k*c.perTurn))
	}
	return float64((float64(p.turns*c.period) + c.shape.invert(p.within) - c.start) * 1e9)
}

// linear interpolates between points.
type linear struct{ at, rates, areas []float64 }

func (l *linear) slope(i int) float64 {
	return (l.rates[i+1] - l.rates[i]) / (l.at[i+1] - l.at[i])
}

func (l *linear) rate(u float64) float64 {
	i := max(0, sort.SearchFloat64s(l.at, u)-1)
	if l.at[i+1] == l.at[i] {
		return l.rates[i+1]
	}
	return l.rates[i] + float64((u-l.at[i])*l.slope(i))
}

func (l *linear) area(u float64) float64 {
	i := max(0, sort.SearchFloat64s(l.at, u)-1)
	if l.at[i+1] == l.at[i] {
		return l.areas[i]
	}
	d := u - l.at[i]
	return l.areas[i] + float64(d*(l.rates[i]+float64(0.5*float64(d*l.slope(i)))))
}

func (l *linear) invert(a float64) float64 {
	i := min(len(l.at)-2, max(0, sort.SearchFloat64s(l.areas, a)-1))
	for i < len(l.at)-2 && l.areas[i+1] <= a {
		i++ // no arrival falls where the rate is 0
	}
	// a - areas[i] = rate·d + slope·d²/2, solved without cancellation.
	left := a - l.areas[i]
	if left <= 0 {
		return l.at[i]
	}
	r, s := l.rates[i], l.slope(i)
	root := math.Sqrt(max(0, float64(r*r)+float64(float64(2*s)*left)))
	return min(l.at[i+1], l.at[i]+float64(2*left)/(r+root))
}

type sinusoid struct{ mean, amplitude, period float64 }

func (s *sinusoid) rate(u float64) float64 {
	return s.mean + float64(s.amplitude*random.Sin2Pi(u/s.period))
}

func (s *sinusoid) area(u float64) float64 {
	wave := 1 - random.Sin2Pi(u/s.period+0.25)
	return float64(s.mean*u) + float64(float64(float64(s.amplitude*s.period)/(2*math.Pi))*wave)
}

// invert is Newton's method, kept within a bracket by bisection.
func (s *sinusoid) invert(a float64) float64 {
	lo, hi := 0.0, s.period
	u := min(hi, a/s.mean)
	for range 100 {
		f := s.area(u) - a
		if f > 0 {
			hi = u
		} else {
			lo = u
		}
		next := u - f/s.rate(u)
		if next == u {
			return u // it is an end of the bracket now, and may be the wrong one
		}
		if !(next > lo && next < hi) {
			next = float64(0.5 * (lo + hi))
		}
		if math.Abs(next-u) <= float64(1e-12*s.period) {
			return next
		}
		u = next
	}
	return u
}
