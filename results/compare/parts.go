package compare

import "slices"

// partMetrics are the means of the parts, as metrics.
var partMetrics = func() (names []string) {
	for _, p := range partNames {
		names = append(names, p+".mean")
	}
	return names
}()

// partsOf says where the mean latency went on both sides; e is of figures(partMetrics, a, b). The differences add up to that of
// the mean latency.
func partsOf(e *estimates) []Part {
	list := make([]Part, numParts)
	for i, name := range partNames {
		p := Part{Name: name, A: e.value[i], B: e.value[numParts+i]}
		p.Difference, p.Lo, p.Hi = e.difference(i, numParts+i, Confidence)
		list[i] = p
	}
	return list
}

// quantilesOf are quantiles of the latencies of all completed requests, close to each other towards both ends.
func quantilesOf(a, b *ledger) []Quantile {
	x, y := a.sorted(), b.sorted()
	if len(x) == 0 || len(y) == 0 {
		return nil
	}
	var list []Quantile
	for _, share := range curve {
		list = append(list, Quantile{share, float64(x[rank(share, len(x))]) * nanosecond, float64(y[rank(share, len(y))]) * nanosecond})
	}
	return list
}

// curve are the shares of the quantiles.
var curve = func() []float64 {
	shares := []float64{0.001, 0.0025}
	for i := 1; i < 200; i++ {
		shares = append(shares, float64(i)/200)
	}
	return append(shares, 0.996, 0.997, 0.998, 0.999, 0.9995, 1)
}()

// sorted are the latencies of all completed requests, ascending.
func (l *ledger) sorted() []int64 {
	var all []int64
	for _, list := range l.ascending {
		for _, v := range list {
			all = append(all, v.latency)
		}
	}
	slices.Sort(all)
	return all
}
