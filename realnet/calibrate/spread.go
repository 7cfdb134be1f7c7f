package calibrate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/p2pfaas/p2pfaas/scenarios"
)

const (
	spreadValues = 100
	leastSamples = 200 // of a spread
)

// weighted are times with the weight that each has.
type weighted struct {
	times   []time.Duration
	weights []float64
}

// add adds times that weigh so much together.
func (w *weighted) add(times []time.Duration, weight float64) {
	for _, t := range times {
		w.times, w.weights = append(w.times, t), append(w.weights, weight/float64(len(times)))
	}
}

// spread is the distribution of what was measured; what names it in errors.
func (w *weighted) spread(what string) (scenarios.Spread, error) {
	if len(w.times) < leastSamples {
		return nil, fmt.Errorf("%s was measured %d times, and %d are the fewest: send more requests", what, len(w.times), leastSamples)
	}
	order := make([]int, len(w.times))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(w.times[a], w.times[b]) })
	upTo, sums := make([]float64, 1, len(order)+1), make([]float64, 1, len(order)+1) // of weights, and of weighted times
	for k, i := range order {
		upTo = append(upTo, upTo[k]+w.weights[i])
		sums = append(sums, sums[k]+w.weights[i]*float64(w.times[i]))
	}
	total := upTo[len(order)]
	until := func(share float64) float64 { // the sum over the least times of that share of the weight
		k := sort.SearchFloat64s(upTo[1:], share*total)
		if k == len(order) {
			return sums[k]
		}
		return sums[k] + (share*total-upTo[k])*float64(w.times[order[k]])
	}
	s := make(scenarios.Spread, spreadValues)
	for k := range s {
		sum := until(float64(k+1)/spreadValues) - until(float64(k)/spreadValues)
		s[k] = time.Duration(math.Round(sum / total * spreadValues))
	}
	slices.Sort(s) // rounding may have put equal values out of order
	return s, nil
}

// spreadOf is that of equally likely times.
func spreadOf(what string, times []time.Duration) (scenarios.Spread, error) {
	var w weighted
	w.add(times, 1)
	return w.spread(what)
}
