package calibrate

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/p2pfaas/p2pfaas/realnet/processor"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// stretchConfidence is that of the interval in which 1 is taken for the stretch.
const stretchConfidence = 0.99

// median of values in ascending order.
func median(sorted []float64) float64 { return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2 }

// slope is the one of y in x by the estimator of Theil and Sen, with its interval: the median of the slopes between all
// pairs, and those so far from it in rank as Kendall's statistic varies where there is no dependence (Sen, JASA 63, 1968).
func slope(x, y []float64, confidence float64) (middle, low, high float64) {
	slopes := make([]float64, 0, len(x)*(len(x)-1)/2)
	for i := range x {
		for j := range i {
			if x[i] != x[j] {
				slopes = append(slopes, (y[i]-y[j])/(x[i]-x[j]))
			}
		}
	}
	slices.Sort(slopes)
	n, pairs := float64(len(x)), float64(len(slopes))
	z := distuv.UnitNormal.Quantile(0.5 + confidence/2)
	c := z * math.Sqrt(n*(n-1)*(2*n+5)/18)
	at := func(rank float64) float64 { return slopes[int(max(0, min(pairs-1, math.Round(rank))))] }
	return median(slopes), at((pairs - c) / 2), at((pairs + c) / 2)
}

// stretchOf is the slope of times in demands, or 1 where its interval has that.
func stretchOf(demands, times []float64) float64 {
	s, low, high := slope(demands, times, stretchConfidence)
	if low <= 1 && 1 <= high {
		return 1
	}
	return s
}

// When a node has a factor of its own.
const (
	leastFactor  = 0.02 // that it differs by
	nodesLevel   = 0.01 // of the test, for all nodes together
	leastOfANode = 20   // values
)

// factors are those of the times of nodes, by node; nil where none is clear. The times of a node may be none.
func factors(times [][]float64) []float64 {
	tests := 0
	for _, ts := range times {
		if len(ts) >= leastOfANode {
			tests++
		}
	}
	all := slices.Concat(times...)
	slices.Sort(all)
	found, clear := make([]float64, len(times)), false
	for i, own := range times {
		found[i] = 1
		others := slices.Concat(slices.Concat(times[:i]...), slices.Concat(times[i+1:]...))
		if len(own) < leastOfANode || len(others) < leastOfANode {
			continue
		}
		f := median(slices.Sorted(slices.Values(own))) / median(all)
		if math.Abs(f-1) >= leastFactor && differ(own, others) < nodesLevel/float64(tests) {
			found[i], clear = f, true
		}
	}
	if !clear {
		return nil
	}
	return found
}

// differ is the two-sided p-value of the hypothesis that two samples are of one distribution, by the test of Mann and Whitney
// (Annals of Mathematical Statistics 18, 1947), in its normal approximation with ties: what a busy machine delays now and then
// does not matter to it.
func differ(a, b []float64) float64 {
	n, k := float64(len(a)), float64(len(b))
	all := slices.Concat(a, b)
	slices.Sort(all)
	ranks, ties := map[float64]float64{}, 0.0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j] == all[i] {
			j++
		}
		t := float64(j - i)
		ranks[all[i]], ties = float64(i+j+1)/2, ties+t*t*t-t
		i = j
	}
	sum := 0.0
	for _, x := range a {
		sum += ranks[x]
	}
	variance := n * k / 12 * (n + k + 1 - ties/((n+k)*(n+k-1)))
	if variance <= 0 { // all are equal
		return 1
	}
	z := (sum - n*(n+k+1)/2) / math.Sqrt(variance)
	return 2 * distuv.UnitNormal.Survival(math.Abs(z))
}

// divide divides the usage of a second, low and dense with so many requests in it, into that of a request and that without any, which is
// no more than what was used without requests.
func divide(low, dense processor.Usage, lowRate, denseRate float64, idle processor.Usage) (request, own processor.Usage) {
	request = dense.Minus(low).Times(1 / (denseRate - lowRate))
	return request, low.Minus(request.Times(lowRate)).Within(idle)
}

// slowed is how much longer n jobs take on so many cores than one, which keeps a core busy for a share cpu of its time and
// waits for the rest: cores are shared equally. Where it computes, others do so for it, for the share costs of its time, which matters where
// there are too few cores.
func slowed(n, cores int, cpu, costs float64) float64 {
	if cpu == 0 {
		return 1
	}
	return 1 + max(0, (cpu+costs)*float64(n)/float64(cores)-cpu)
}

// cpuOf is the share that makes slowed fit what was measured, by least squares; ok is false where no more executions were at once than
// there are cores.
func cpuOf(measured []scenarios.Slowdown, cores int) (cpu float64, ok bool) {
	product, square := 0.0, 0.0
	for _, s := range measured {
		a := slowed(s.AtOnce, cores, 1, 0) - 1
		product, square = product+a*(s.Factor-1), square+a*a
	}
	if square == 0 {
		return 0, false
	}
	return max(0, min(1, product/square)), true
}
