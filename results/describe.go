package results

import (
	"math/rand/v2"

	"github.com/montanaflynn/stats"
)

// Description describes a set of values: of records, say. It says nothing about how sure one may be of it.
type Description struct {
	N                   int
	Mean, Std           float64 // of the sample, with n-1
	Min, Q1, Median, Q3 float64
	P95, P99, Max       float64
}

// Describe describes the values; without any, all but N is NaN. A percentile is the value of nearest rank, the
// smallest one that at least so many percent of the values do not exceed: always one that occurred, and by the
// definition of the histograms. Quartiles are the 25th, 50th and 75th percentile.
func Describe(values []float64) (d Description) {
	s := stats.Float64Data(values)
	d.N = s.Len()
	for _, f := range []struct {
		to *float64
		of func(stats.Float64Data) (float64, error)
	}{
		{&d.Mean, stats.Mean}, {&d.Std, stats.StandardDeviationSample}, {&d.Min, stats.Min}, {&d.Max, stats.Max},
		{&d.Q1, nearestRank(25)}, {&d.Median, nearestRank(50)}, {&d.Q3, nearestRank(75)},
		{&d.P95, nearestRank(95)}, {&d.P99, nearestRank(99)},
	} {
		*f.to, _ = f.of(s) // fails on no values alone, with NaN
	}
	return d
}

func nearestRank(percent float64) func(stats.Float64Data) (float64, error) {
	return func(s stats.Float64Data) (float64, error) { return stats.PercentileNearestRank(s, percent) }
}

// reservoir keeps a uniform sample of the values that pass (J. Vitter, "Random sampling with a reservoir", ACM TOMS
// 11(1), 1985, algorithm R); the same sample of the same values every time.
type reservoir struct {
	kept []float64
	seen int
	rng  *rand.Rand
}

// described is how many values of records a description rests on at most.
const described = 20_000

func (r *reservoir) add(v float64) {
	if r.rng == nil {
		r.rng = rand.New(rand.NewPCG(0, 0))
	}
	r.seen++
	if len(r.kept) < described {
		r.kept = append(r.kept, v)
	} else if i := r.rng.IntN(r.seen); i < described {
		r.kept[i] = v
	}
}
