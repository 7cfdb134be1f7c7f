package results

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Confidence is the level of the intervals of summaries, tables and plots.
const Confidence = 0.95

// Batches is the number of batches into which a host divides the measured part of a single replication. Between 10
// and 30 serve, whatever the length (B. Schmeiser, "Batch size effects in the analysis of simulation output",
// Operations Research 30(3), 1982).
const Batches = 20

// MinReplications is how many replications the stopping rule wants before it believes an interval: with fewer, the
// estimated variance is small by luck too often (A. Law, Simulation Modeling and Analysis, section 9.4.1).
const MinReplications = 5

// Method is where an interval comes from.
type Method string

// The methods of an interval.
const (
	NoInterval       Method = "none"
	FromReplications Method = "replications" // Student t over independent replications
	FromBatches      Method = "batch means"  // Student t over the batches of one replication
)

// Interval is an estimate with its confidence interval, Mean plus or minus Half.
type Interval struct {
	Mean   float64
	Half   float64 // NaN where there is no interval
	N      int     // replications or batches that it rests on
	Method Method
}

// Lo is the lower end of the interval.
func (i Interval) Lo() float64 { return i.Mean - i.Half }

// Hi is the upper end of the interval.
func (i Interval) Hi() float64 { return i.Mean + i.Half }

// MarshalJSON implements json.Marshaler; null stands for NaN.
func (i Interval) MarshalJSON() ([]byte, error) {
	out := appendFloat([]byte(`{"mean":`), i.Mean)
	out = appendFloat(append(out, `,"lo":`...), i.Lo())
	out = appendFloat(append(out, `,"hi":`...), i.Hi())
	method, err := json.Marshal(i.Method)
	return fmt.Appendf(out, `,"n":%d,"method":%s}`, i.N, method), err
}

// Student is the interval of the mean of independent, identically distributed values, by Student's t distribution.
// NaN among the values is left out.
func Student(values []float64, confidence float64) Interval {
	values = defined(values)
	n := len(values)
	if n < 2 {
		return Interval{stat.Mean(values, nil), math.NaN(), n, NoInterval}
	}
	mean, std := stat.MeanStdDev(values, nil)
	return Interval{mean, quantileT(confidence, float64(n-1)) * std / math.Sqrt(float64(n)), n, FromReplications}
}

// quantileT is the two-sided quantile of Student's t distribution.
func quantileT(confidence, freedom float64) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: freedom}.Quantile(1 - (1-confidence)/2)
}

func defined(values []float64) []float64 {
	var kept []float64
	for _, v := range values {
		if !math.IsNaN(v) {
			kept = append(kept, v)
		}
	}
	return kept
}

// PerReplication are a metric's values, one per replication; false where there is no such metric.
func (p *Point) PerReplication(metric string) ([]float64, bool) {
	values := make([]float64, len(p.Replications))
	for i, r := range p.Replications {
		v, ok := r.Metric(metric)
		if !ok {
			return nil, false
		}
		values[i] = v
	}
	return values, true
}

// Interval is the estimate of a metric at this point, with its interval: over the replications where there are
// several; over the batches of the only one, where it has some and the metric is one of a tally; otherwise without.
// It is never taken over single requests, which are not independent.
func (p *Point) Interval(metric string, confidence float64) Interval {
	values, ok := p.PerReplication(metric)
	switch {
	case !ok || len(values) == 0:
		return Interval{math.NaN(), math.NaN(), 0, NoInterval}
	case len(values) > 1:
		return Student(values, confidence)
	}
	rep := p.Replications[0]
	batches := rep.batches(metric)
	if len(batches) < 2 {
		return Interval{values[0], math.NaN(), 1, NoInterval}
	}
	i := Student(batches, confidence)
	i.Mean, i.Method = values[0], FromBatches
	return i
}

// batches are a metric's values by batch; nil where batches say nothing about it.
func (r *Replication) batches(metric string) []float64 {
	if d, ok := definitionOf(metric); !ok || d.whole || d.extensive {
		return nil
	}
	if len(r.Batches) > 0 && tooFew(metric, r.inABatch(metric)) {
		return nil // a batch's percentile would be nearer to the median than the run's
	}
	var values []float64
	for _, t := range r.Batches {
		part := Replication{Tally: t, Measured: r.Measured / time.Duration(len(r.Batches))}
		v, _ := part.Metric(metric)
		values = append(values, v)
	}
	return defined(values)
}

// correlated is von Neumann's test at 5 %: it reports whether neighbouring values are nearer to each other than those of
// independent ones would be. The ratio of the squares of their differences to those of the deviations from the mean then has
// the mean 2 and the variance 4(n-2)/(n^2-1), and is about normal (J. von Neumann, "Distribution of the ratio of the mean
// square successive difference to the variance", Annals of Mathematical Statistics 12(4), 1941; of batch means: G. S. Fishman,
// "Grouping observations in digital simulation", Management Science 24(5), 1978).
func correlated(values []float64) bool {
	n := float64(len(values))
	mean := stat.Mean(values, nil)
	differences, deviations := 0.0, 0.0
	for i, v := range values {
		deviations += (v - mean) * (v - mean)
		if i > 0 {
			differences += (v - values[i-1]) * (v - values[i-1])
		}
	}
	return differences/deviations < 2+2*math.Sqrt((n-2)/(n*n-1))*distuv.UnitNormal.Quantile(0.05)
}

// Enough is the stopping rule of `precision:`. It looks for the shortest prefix of the replications by index, at least
// MinReplications of which have the metric, over which the interval's half-width is at most relative times the
// estimate, and returns its length and true. Otherwise it returns the length of the longest prefix without a gap, and
// false. The rule looks at indices alone, so it says the same however many cores ran them: replications beyond the
// prefix are to be dropped.
func Enough(p *Point, metric string, relative, confidence float64) (n int, ok bool) {
	var values []float64
	for n < len(p.Replications) && p.Replications[n].Index == n {
		v, known := p.Replications[n].Metric(metric)
		if !known {
			return n, false
		}
		values = append(values, v)
		n++
		if i := Student(values, confidence); i.N >= MinReplications && i.Half <= relative*math.Abs(i.Mean) {
			return n, true
		}
	}
	return n, false
}
