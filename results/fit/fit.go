package fit

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// Options say how goodness of fit is judged.
type Options struct {
	Seed uint64
	// Resamples are drawn from each fit for its P; 0: 199, or fewer where there are many values, but 99 at least.
	Resamples int
}

// What a bootstrap may cost, in values drawn.
const (
	mostResamples  = 199
	leastResamples = 99
	mostDrawn      = 200_000
)

// leastValues is how many values a fit rests on at least.
const leastValues = 20

// Fit is a family that was fitted to a sample.
type Fit struct {
	Family        string // as a scenario names it
	Parameters    int    // that were fitted
	LogLikelihood float64
	AIC           float64 // less is better
	KS            float64 // distance of Kolmogorov and Smirnov
	P             float64 // of that distance: below 0.05 the family does not fit
	model
}

// Families fits every family to times in seconds, all above 0, and returns those that have a fit, the best one first.
func Families(seconds []float64, o Options) ([]Fit, error) {
	if len(seconds) < leastValues {
		return nil, fmt.Errorf("%d values: %d are the fewest that distributions are fitted to", len(seconds), leastValues)
	}
	s := newSample(seconds)
	switch first, last := s.values[0], s.values[len(s.values)-1]; {
	case math.IsNaN(first) || !(first > 0) || math.IsInf(last, 1):
		return nil, fmt.Errorf("there are times from %g to %g s: distributions are fitted to such above 0", first, last)
	case first == last:
		return nil, fmt.Errorf("all %d values are %g s: there is nothing to fit", len(seconds), first)
	}
	if o.Resamples == 0 {
		o.Resamples = max(leastResamples, min(mostResamples, mostDrawn/len(seconds)))
	}
	var fits []Fit
	for _, f := range families {
		m, ok := f.fit(s)
		if !ok {
			continue
		}
		x := Fit{Family: f.name, Parameters: f.parameters, LogLikelihood: m.logLikelihood(s), model: m}
		x.AIC = 2 * (float64(f.parameters) - x.LogLikelihood)
		x.KS = m.distance(s)
		x.P = f.p(m, x.KS, len(seconds), o)
		fits = append(fits, x)
	}
	slices.SortStableFunc(fits, func(a, b Fit) int { return cmp.Compare(a.AIC, b.AIC) })
	return fits, nil
}

// p is (1+f)/(1+n), where n samples of a fit had a fit of their own and f of them were at least as far from it.
func (f *family) p(m model, distance float64, n int, o Options) float64 {
	r := rand.New(random.Stream(o.Seed, 0, "fit "+f.name, 0))
	values := make([]float64, n)
	further, drawn := 0, 0
	for range o.Resamples {
		for i := range values {
			values[i] = m.Sample(r)
		}
		s := newSample(values)
		again, ok := f.fit(s)
		if !ok { // the sample is of another shape than the family: it says nothing
			continue
		}
		drawn++
		if again.distance(s) >= distance {
			further++
		}
	}
	return float64(1+further) / float64(1+drawn)
}

// sample is what families are fitted to.
type sample struct {
	values      []float64 // ascending
	mean        float64
	meanLog     float64
	varianceLog float64 // with n
	scv         float64 // squared coefficient of variation, with n
}

func newSample(values []float64) *sample {
	s := &sample{values: slices.Sorted(slices.Values(values))}
	n := float64(len(values))
	for _, v := range s.values {
		s.mean += v / n
		s.meanLog += math.Log(v) / n
	}
	for _, v := range s.values {
		d, l := v-s.mean, math.Log(v)-s.meanLog
		s.scv += d * d / n
		s.varianceLog += l * l / n
	}
	s.scv /= s.mean * s.mean
	return s
}

// logLikelihood of a sample.
func (m model) logLikelihood(s *sample) float64 {
	sum := 0.0
	for _, v := range s.values {
		sum += m.logProb(v)
	}
	return sum
}

// distance of Kolmogorov and Smirnov between a distribution and a sample.
func (m model) distance(s *sample) float64 {
	n, d := float64(len(s.values)), 0.0
	for i, v := range s.values {
		f := m.cdf(v)
		d = max(d, f-float64(i)/n, float64(i+1)/n-f)
	}
	return d
}
