package theory

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/results"
)

// estimator measures one number of one replication. Replications are independent, so that the mean of its values has a
// standard error.
type estimator struct {
	share   bool // a probability or a share: where it is rare, only too much of it can be seen
	records bool // it needs a sample of the requests
	of      func(r *results.Replication) float64
}

// measures are the estimators of an experiment, by the name of what they measure.
type measures map[string]estimator

// also returns m with those of more.
func (m measures) also(more measures) measures {
	for name, e := range more {
		m[name] = e
	}
	return m
}

func measured(of func(r *results.Replication) float64) estimator { return estimator{of: of} }

// metric is one of results.Definitions.
func metric(name string) estimator { return measured(value(name)) }

func value(name string) func(r *results.Replication) float64 {
	return func(r *results.Replication) float64 {
		v, ok := r.Metric(name)
		if !ok {
			panic("theory: there is no metric " + name)
		}
		return v
	}
}

// rate is a metric that is a share of requests or of time.
func rate(name string) estimator { return estimator{share: true, of: value(name)} }

func nodes(r *results.Replication) float64 {
	n := 0
	for i := range r.Groups {
		n += r.Groups[i].Nodes
	}
	return float64(n)
}

// presence is the mean number of requests per node that are in the phases of which the metrics are the mean times: what
// they spent there together, over the time that was measured. But for the edges it is the time average of their number.
func presence(phases ...string) estimator {
	return measured(func(r *results.Replication) float64 {
		sum := 0.0
		for _, name := range phases {
			if v := value(name)(r); !math.IsNaN(v) {
				sum += v
			}
		}
		return sum * value("completed")(r) / r.Measured.Seconds() / nodes(r)
	})
}

var (
	inSystem = presence("waiting.mean", "executing.mean")
	waiting  = presence("waiting.mean")

	throughput = measured(func(r *results.Replication) float64 { return value("throughput")(r) / nodes(r) })
	offered    = measured(func(r *results.Replication) float64 {
		return value("requests")(r) / r.Measured.Seconds() / nodes(r)
	})
	sojournVariance = measured(func(r *results.Replication) float64 {
		s := value("latency.std")(r)
		return s * s
	})
	idle = estimator{share: true, of: func(r *results.Replication) float64 { return 1 - value("utilisation")(r) }}

	// waited is the share of the completed requests that waited.
	waited = estimator{share: true, records: true, of: func(r *results.Replication) float64 {
		n, k := 0, 0
		for i := range r.Records {
			if x := &r.Records[i]; x.Outcome == core.Completed {
				n++
				if x.Timing.Waiting > 0 {
					k++
				}
			}
		}
		return float64(k) / float64(n)
	}}
	waitingVariance = estimator{records: true, of: func(r *results.Replication) float64 {
		n, mean, m2 := 0.0, 0.0, 0.0 // Welford's recursion
		for i := range r.Records {
			if x := &r.Records[i]; x.Outcome == core.Completed {
				n++
				d := x.Timing.Waiting.Seconds() - mean
				mean += d / n
				m2 += d * (x.Timing.Waiting.Seconds() - mean)
			}
		}
		return m2 / n
	}}
)

// onFIFO are the measures that most single nodes have.
func onFIFO() measures {
	return measures{
		"T": metric("latency.mean"), "Wq": metric("waiting.mean"), "L": inSystem, "Lq": waiting, "X": throughput,
		"util": rate("utilisation"), "rho": rate("utilisation"), "PB": rate("drop_rate"),
		"T_var": sojournVariance, "Wq_var": waitingVariance,
		"P_wait": waited, "ErlangC": waited, "P_wait_acc": waited,
		"T_p50": metric("latency.p50"), "T_p95": metric("latency.p95"), "T_p99": metric("latency.p99"),
		"Wq_p50": metric("waiting.p50"), "Wq_p95": metric("waiting.p95"), "Wq_p99": metric("waiting.p99"),
	}
}

// loads calls see with the sampled loads of the watched nodes in the measured part.
func loads(r *results.Replication, see func(n core.NodeID, load int32)) {
	k := min(len(r.Series.Mean), int(r.Measured/r.Series.Every))
	for i, samples := range r.Series.PerNode {
		for _, load := range samples[len(samples)-k:] {
			see(r.Series.Nodes[i], load)
		}
	}
}

// occupied is the share of node and time in which the load is in a set.
func occupied(in func(load int) bool) estimator {
	return estimator{share: true, of: func(r *results.Replication) float64 {
		n, k := 0, 0
		loads(r, func(_ core.NodeID, load int32) {
			n++
			if in(int(load)) {
				k++
			}
		})
		return float64(k) / float64(n)
	}}
}

func exactly(load int) estimator { return occupied(func(l int) bool { return l == load }) }
func atLeast(load int) estimator { return occupied(func(l int) bool { return l >= load }) }

var loadVariance = measured(func(r *results.Replication) float64 {
	n, mean, m2 := 0.0, 0.0, 0.0
	loads(r, func(_ core.NodeID, load int32) {
		n++
		d := float64(load) - mean
		mean += d / n
		m2 += d * (float64(load) - mean)
	})
	return m2 / n
})

// ofGroup are the measures of the nodes of one group.
func groupLoad(g int) estimator {
	return measured(func(r *results.Replication) float64 {
		first := core.NodeID(0)
		for i := range g {
			first += core.NodeID(r.Groups[i].Nodes)
		}
		last := first + core.NodeID(r.Groups[g].Nodes)
		n, sum := 0.0, 0.0
		loads(r, func(id core.NodeID, load int32) {
			if first <= id && id < last {
				n++
				sum += float64(load)
			}
		})
		return sum / n
	})
}

func groupUtilisation(g int) estimator {
	return estimator{share: true, of: func(r *results.Replication) float64 {
		s := &r.Groups[g]
		return s.Busy.Seconds() / (float64(s.Nodes*s.Slots) * r.Measured.Seconds())
	}}
}

func groupThroughput(g int) estimator {
	return measured(func(r *results.Replication) float64 {
		return float64(r.Groups[g].Executed) / r.Measured.Seconds()
	})
}

// meanOf is the mean of a time over the recorded requests that are in a set and completed, in seconds.
func meanOf(in func(x *results.Record) bool, time func(x *results.Record) float64) estimator {
	return estimator{records: true, of: func(r *results.Replication) float64 {
		n, sum := 0.0, 0.0
		for i := range r.Records {
			if x := &r.Records[i]; x.Outcome == core.Completed && in(x) {
				n++
				sum += time(x)
			}
		}
		return sum / n
	}}
}

// wave fits mean + amplitude*sin(2π(t-lag)/period) to the sampled mean load by least squares.
func wave(period float64) (mean, amplitude, lag func(r *results.Replication) float64) {
	fit := func(r *results.Replication) (c [3]float64) {
		k := min(len(r.Series.Mean), int(r.Measured/r.Series.Every))
		a, b := mat.NewDense(k, 3, nil), mat.NewVecDense(k, nil)
		for i := range k {
			j := len(r.Series.Mean) - k + i
			sin, cos := math.Sincos(2 * math.Pi * float64(j+1) * r.Series.Every.Seconds() / period)
			a.SetRow(i, []float64{1, sin, cos})
			b.SetVec(i, r.Series.Mean[j])
		}
		x := mat.NewVecDense(3, c[:])
		if err := x.SolveVec(a, b); err != nil {
			return [3]float64{math.NaN(), math.NaN(), math.NaN()}
		}
		return c
	}
	mean = func(r *results.Replication) float64 { return fit(r)[0] }
	amplitude = func(r *results.Replication) float64 { c := fit(r); return math.Hypot(c[1], c[2]) }
	lag = func(r *results.Replication) float64 {
		c := fit(r)
		return math.Atan2(-c[2], c[1]) * period / (2 * math.Pi)
	}
	return mean, amplitude, lag
}
