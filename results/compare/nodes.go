package compare

import (
	"math"
	"slices"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/results"
)

// nodesOf is what the nodes did on both sides, over the replications; nil where they were not counted one by one.
func nodesOf(a, b []*results.Replication) []Node {
	x, y := work(a), work(b)
	if len(x) == 0 || len(x) != len(y) {
		return nil
	}
	list := make([]Node, len(x))
	for i := range list {
		list[i] = Node{core.NodeID(i), x[i].rate(), y[i].rate(), x[i].utilisation(), y[i].utilisation()}
	}
	return list
}

// worked is what one node did.
type worked struct {
	executed             uint64
	busy, time, capacity float64 // in seconds; capacity is that of the slots
}

func (w *worked) rate() float64 { return float64(w.executed) / w.time }

// utilisation is NaN where slots are without limit.
func (w *worked) utilisation() float64 {
	if w.capacity == 0 {
		return math.NaN()
	}
	return w.busy / w.capacity
}

func work(replications []*results.Replication) []worked {
	var list []worked
	for _, r := range replications {
		if list == nil {
			list = make([]worked, len(r.Nodes))
		}
		if len(r.Nodes) != len(list) {
			return nil
		}
		for i := range r.Nodes {
			n := &r.Nodes[i]
			list[i].executed += n.Executed
			list[i].busy += n.Busy.Seconds()
			list[i].time += r.Measured.Seconds()
			list[i].capacity += float64(n.Slots) * r.Measured.Seconds()
		}
	}
	return list
}

// loadOf is the load over time: the mean of the nodes over the replications, and each node's in the first, the only one of
// which it is kept. Times are those of the side that was sampled less often; nil where a side was not sampled.
func loadOf(a, b []*results.Replication) *Load {
	x, y := seriesOf(a), seriesOf(b)
	if len(x) == 0 || len(y) == 0 {
		return nil
	}
	every := max(x[0].Every, y[0].Every)
	l := &Load{Every: every}
	l.A, l.B = together(meanLoad(x, every), meanLoad(y, every))
	for i, id := range x[0].Nodes {
		if j := slices.Index(y[0].Nodes, id); j >= 0 {
			n := NodeLoad{ID: id}
			n.A, n.B = together(resampled(x[0].PerNode[i], x[0].Every, every), resampled(y[0].PerNode[j], y[0].Every, every))
			l.Nodes = append(l.Nodes, n)
		}
	}
	return l
}

// together are both lists as far as the shorter one goes.
func together(a, b []float64) ([]float64, []float64) {
	n := min(len(a), len(b))
	return a[:n], b[:n]
}

func seriesOf(replications []*results.Replication) []*results.Series {
	var list []*results.Series
	for _, r := range replications {
		if r.Series != nil && r.Series.Every > 0 && len(r.Series.Mean) > 0 {
			list = append(list, r.Series)
		}
	}
	return list
}

// meanLoad is the mean of the series, as far as the shortest goes.
func meanLoad(list []*results.Series, every time.Duration) []float64 {
	var sum []float64
	for i, s := range list {
		one := resampled(s.Mean, s.Every, every)
		if i == 0 {
			sum = one
			continue
		}
		sum = sum[:min(len(sum), len(one))]
		for k := range sum {
			sum[k] += one[k]
		}
	}
	for k := range sum {
		sum[k] /= float64(len(list))
	}
	return sum
}

// resampled takes, at the end of each interval of the wanted length, the last sample until then. Sample k was taken at the end
// of interval k.
func resampled[T int32 | float64](samples []T, has, wanted time.Duration) []float64 {
	var list []float64
	for at := wanted; ; at += wanted {
		if at > has*time.Duration(len(samples)) {
			return list
		}
		list = append(list, float64(samples[at/has-1]))
	}
}
