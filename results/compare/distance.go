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
	value     float64
	at        int32   // position in its track
	b         bool    // it is of the second sample
	last      bool    // the next value is another
	gap, half float64 // where it is the last: F-G of the samples there, and in the middle of the step
}

func (p pooled) sort() {
	slices.SortFunc(p, func(x, y pooledValue) int { return cmp.Compare(x.value, y.value) })
	n, m := 0., 0.
	for i := range p {
		p[i].last = i+1 == len(p) || p[i+1].value != p[i].value
		if p[i].b {
			m++
		} else {
			n++
		}
	}
	x, y, before := 0., 0., 0.
	for i := range p {
		v := &p[i]
		if v.b {
			y++
		} else {
			x++
		}
		if v.last {
			v.gap = x/n - y/m
			v.half = (before + v.gap) / 2
			before = v.gap
		}
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

// distances computes the distances of the two samples, each value taken as often as was drawn; NaN where one is empty. And it
// computes those that chance made of it: between F* - F and G* - G, by which the distribution functions of what was drawn are off
// those of the samples, as these are off the truth. That is how far apart samples of one distribution are (J. P. Romano, "A
// bootstrap revival of some nonparametric distance tests", J. American Statistical Association 83(403), 1988).
//
// Of Anderson and Darling's it is the distance that their statistic is an estimate of, the mean of (F-G)^2 / (H(1-H)) over H, the
// distribution of both together: the statistic itself grows with the number of requests, whatever the distributions. That is
// A^2 (n+m)/(nm), with A^2 for two samples with ties (F. W. Scholz and M. A. Stephens, "K-sample Anderson-Darling tests",
// J. American Statistical Association 82(399), 1987, equation 7).
//
// Wasserstein's is that of first order: the area between the two distribution functions.
func (p pooled) distances(a, b []int32) (d, chance [numDistances]float64) {
	n, m := 0, 0
	for i := range p {
		if p[i].b {
			m += int(b[p[i].at])
		} else {
			n += int(a[p[i].at])
		}
	}
	if n == 0 || m == 0 {
		none := [numDistances]float64{math.NaN(), math.NaN(), math.NaN()}
		return none, none
	}
	fn, fm, total := float64(n), float64(m), float64(n+m)
	belowA, belowB, ties, tiesA := 0, 0, 0, 0 // below the value and equal to it
	sum, sumOff := 0.0, 0.0
	gap, off, before := 0.0, 0.0, p[0].value // F*-G*, and by how much that is off F-G, up to the value
	for i := range p {
		v := &p[i]
		if v.b {
			ties += int(b[v.at])
		} else {
			ties += int(a[v.at])
			tiesA += int(a[v.at])
		}
		if !v.last {
			continue
		}
		d[wasserstein] += math.Abs(gap) * (v.value - before)
		chance[wasserstein] += math.Abs(off) * (v.value - before)
		before = v.value
		if ties > 0 {
			l := float64(ties)
			middle, middleA := float64(belowA+belowB)+l/2, float64(belowA)+float64(tiesA)/2
			if denominator := middle*(total-middle) - total*l/4; denominator > 0 {
				e := total*middleA - fn*middle
				eOff := e - fn*fm*v.half
				sum += l / total * e * e / denominator
				sumOff += l / total * eOff * eOff / denominator
			}
			belowA, belowB = belowA+tiesA, belowB+ties-tiesA
			gap = float64(belowA)/fn - float64(belowB)/fm
			ties, tiesA = 0, 0
		}
		off = gap - v.gap
		d[kolmogorovSmirnov] = max(d[kolmogorovSmirnov], math.Abs(gap))
		chance[kolmogorovSmirnov] = max(chance[kolmogorovSmirnov], math.Abs(off))
	}
	scale := (total - 1) / total * (total / fn / fm) * (total / fn / fm)
	d[andersonDarling], chance[andersonDarling] = scale*sum, scale*sumOff
	return d, chance
}

func (p pooled) estimator() estimator {
	return estimator{2 * numDistances, func(a, b *weights, out []float64) {
		d, chance := p.distances(a.times, b.times)
		copy(out, d[:])
		copy(out[numDistances:], chance[:])
	}}
}

// distancesOf are the distances with their intervals. A resample is further from another than the samples are, by as much as
// these are further apart than the truth: the interval is the basic one, 2d - d* (A. C. Davison and D. V. Hinkley, Bootstrap
// Methods and their Application, 1997, section 5.2.1), which takes that off, as far as 0. It is made to include the distance
// itself. What chance makes of it is above the upper end of its own interval in 5 % of the resamples.
func distancesOf(e *estimates) []Distance {
	list := make([]Distance, numDistances)
	for i, name := range distanceNames {
		d := e.value[i]
		lo, hi := e.interval(i, Confidence)
		_, chance := e.interval(numDistances+i, 0.9)
		list[i] = Distance{Name: name, Value: d, Lo: max(0, min(d, 2*d-hi)), Hi: max(d, 2*d-lo), Chance: chance}
	}
	return list
}
