package compare

import (
	"cmp"
	"math"
	"slices"
)

// The distances between two distributions of latency.
const (
	kolmogorovSmirnov = iota
	andersonDarling
	wasserstein
	numDistances
)

var distanceNames = [numDistances]string{"Kolmogorov-Smirnov", "Anderson-Darling", "Wasserstein"}

// pooled are values of two samples together, ascending.
type pooled []pooledValue

type pooledValue struct {
	value float64
	at    int32 // position in its track
	b     bool  // it is of the second sample
	last  bool  // the next value is another
}

func (p pooled) sort() {
	slices.SortFunc(p, func(x, y pooledValue) int { return cmp.Compare(x.value, y.value) })
	for i := range p {
		p[i].last = i+1 == len(p) || p[i+1].value != p[i].value
	}
}

// pool puts the latencies of both sides together, in seconds.
func pool(a, b *ledger) pooled {
	var p pooled
	for k, l := range []*ledger{a, b} {
		for _, list := range l.ascending {
			for _, v := range list {
				p = append(p, pooledValue{value: float64(v.latency) * nanosecond, at: v.at, b: k == 1})
			}
		}
	}
	p.sort()
	return p
}

// distances computes the distances of the two samples, each value taken as often as was drawn; NaN where one is empty.
//
// Of Anderson and Darling's it is the distance that their statistic is an estimate of, the mean of (F-G)^2 / (H(1-H)) over H, the
// distribution of both together: the statistic itself grows with the number of requests, whatever the distributions. That is
// A^2 (n+m)/(nm), with A^2 for two samples with ties (F. W. Scholz and M. A. Stephens, "K-sample Anderson-Darling tests",
// J. American Statistical Association 82(399), 1987, equation 7).
//
// Wasserstein's is that of first order: the area between the two distribution functions.
func (p pooled) distances(a, b []int32) (d [numDistances]float64) {
	n, m := 0, 0
	for i := range p {
		if p[i].b {
			m += int(b[p[i].at])
		} else {
			n += int(a[p[i].at])
		}
	}
	if n == 0 || m == 0 {
		return [numDistances]float64{math.NaN(), math.NaN(), math.NaN()}
	}
	fn, fm, total := float64(n), float64(m), float64(n+m)
	belowA, belowB, ties, tiesA := 0, 0, 0, 0 // below the value and equal to it
	sum, before := 0.0, 0.0
	for i := range p {
		v := &p[i]
		if v.b {
			ties += int(b[v.at])
		} else {
			ties += int(a[v.at])
			tiesA += int(a[v.at])
		}
		if !v.last || ties == 0 {
			continue
		}
		gap := math.Abs(float64(belowA)/fn - float64(belowB)/fm)
		if belowA+belowB > 0 {
			d[wasserstein] += gap * (v.value - before)
		}
		l := float64(ties)
		middle, middleA := float64(belowA+belowB)+l/2, float64(belowA)+float64(tiesA)/2
		if denominator := middle*(total-middle) - total*l/4; denominator > 0 {
			e := total*middleA - fn*middle
			sum += l / total * e * e / denominator
		}
		belowA, belowB = belowA+tiesA, belowB+ties-tiesA
		d[kolmogorovSmirnov] = max(d[kolmogorovSmirnov], math.Abs(float64(belowA)/fn-float64(belowB)/fm))
		ties, tiesA, before = 0, 0, v.value
	}
	d[andersonDarling] = (total - 1) / total * sum * (total / fn / fm) * (total / fn / fm)
	return d
}

func (p pooled) estimator() estimator {
	return estimator{numDistances, func(a, b *weights, out []float64) {
		d := p.distances(a.times, b.times)
		copy(out, d[:])
	}}
}

// distancesOf are the distances with their intervals. A resample is further from another than the samples are, by as much as
// these are further apart than the truth: the interval is the basic one, 2d - d* (A. C. Davison and D. V. Hinkley, Bootstrap
// Methods and their Application, 1997, section 5.2.1), which takes that off, as far as 0. It is made to include the distance
// itself.
func distancesOf(e *estimates, floor [numDistances]float64) []Distance {
	list := make([]Distance, numDistances)
	for i, name := range distanceNames {
		d := e.value[i]
		lo, hi := e.interval(i, Confidence)
		list[i] = Distance{Name: name, Value: d, Lo: max(0, min(d, 2*d-hi)), Hi: max(d, 2*d-lo), Floor: floor[i]}
	}
	return list
}

// floorOf are the distances between two halves of a side: every other block of it, and the rest.
func floorOf(t *track, block int) [numDistances]float64 {
	var p pooled
	for _, s := range t.spans {
		for i, r := range t.at[s.from:s.to] {
			if r != nil && r.completed() {
				p = append(p, pooledValue{value: float64(r.latency) * nanosecond, at: int32(s.from + i), b: i/block%2 == 1})
			}
		}
	}
	p.sort()
	all := once(t.spans).times
	return p.distances(all, all)
}
