package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Difference is how far two settings are apart in one metric: B minus A.
type Difference struct {
	A, B   string   // labels of the two
	Where  []string // values of the swept keys that they share, as "key = value"
	Metric string
	Base   float64 // the metric of A, mean over the replications that the difference is of
	Interval
	Paired bool // on common random numbers; otherwise the interval is Welch's
	// Replications are how many A and B have. Where they are paired, base and difference are of N of each alone.
	Replications [2]int
}

// Relative is the difference over A's value.
func (d *Difference) Relative() float64 { return d.Mean / math.Abs(d.Base) }

// MarshalJSON implements json.Marshaler; null stands for NaN.
func (d Difference) MarshalJSON() ([]byte, error) {
	number := func(v float64) json.RawMessage { return appendFloat(nil, v) }
	return json.Marshal(struct {
		A            string          `json:"a"`
		B            string          `json:"b"`
		Where        []string        `json:"where"`
		Metric       string          `json:"metric"`
		Base         json.RawMessage `json:"a_mean"`
		Difference   Interval        `json:"difference"`
		Relative     json.RawMessage `json:"relative"`
		Paired       bool            `json:"paired"`
		Replications [2]int          `json:"replications"` // of a and b; the difference of pairs is of n of each
	}{d.A, d.B, d.Where, d.Metric, number(d.Base), d.Interval, number(d.Relative()), d.Paired, d.Replications})
}

// Partial reports whether some replications have no pair, and are left out.
func (d *Difference) Partial() bool {
	return d.Paired && (d.N < d.Replications[0] || d.N < d.Replications[1])
}

// Clear reports whether the interval excludes 0.
func (d *Difference) Clear() bool { return math.Abs(d.Mean) > d.Half }

// ErrTooFew says that there are too few replications for an interval of a difference.
var ErrTooFew = errors.New("an interval of a difference needs at least two replications of each")

// Common are the replications of equal index that two points have.
func Common(a, b *Point) (x, y []*Replication) {
	for _, r := range a.Replications {
		if s := b.Replication(r.Index); s != nil {
			x, y = append(x, r), append(y, s)
		}
	}
	return x, y
}

// Paired is b's metric minus a's, over the differences between replications of equal index: those that only one of the two has, or in which one
// has no value, say nothing, neither of the difference nor of what it is relative to. Where both ran with the same seed these met the same
// requests (common random numbers), and the interval is mostly much narrower than those of the two.
func Paired(a, b *Point, metric string, confidence float64) (Difference, error) {
	d := Difference{Metric: metric, Paired: true, Replications: [2]int{len(a.Replications), len(b.Replications)}}
	var bases, differences []float64
	common, others := Common(a, b)
	for k, r := range common {
		x, ok := r.Metric(metric)
		y, also := others[k].Metric(metric)
		if !ok || !also {
			return d, fmt.Errorf("there is no metric %q", metric)
		}
		if !math.IsNaN(y - x) {
			bases, differences = append(bases, x), append(differences, y-x)
		}
	}
	d.Base, d.Interval = stat.Mean(bases, nil), Student(differences, confidence)
	if d.N < 2 {
		return d, ErrTooFew
	}
	return d, nil
}

// Welch is b's metric minus a's where their replications are independent of each other and may vary differently (B. L. Welch, "The
// generalization of Student's problem", Biometrika 34, 1947).
func Welch(a, b *Point, metric string, confidence float64) (Difference, error) {
	d := Difference{Metric: metric, Replications: [2]int{len(a.Replications), len(b.Replications)}}
	x, ok := a.PerReplication(metric)
	y, also := b.PerReplication(metric)
	if !ok || !also {
		return d, fmt.Errorf("there is no metric %q", metric)
	}
	x, y = defined(x), defined(y)
	d.Base = stat.Mean(x, nil)
	d.Interval = Interval{stat.Mean(y, nil) - d.Base, math.NaN(), min(len(x), len(y)), NoInterval}
	if d.N < 2 {
		return d, ErrTooFew
	}
	d.Half, d.Method = 0, FromReplications
	vx := stat.Variance(x, nil) / float64(len(x))
	vy := stat.Variance(y, nil) / float64(len(y))
	if v := vx + vy; v > 0 {
		freedom := v * v / (vx*vx/float64(len(x)-1) + vy*vy/float64(len(y)-1))
		d.Half = quantileT(confidence, freedom) * math.Sqrt(v)
	}
	return d, nil
}

// sameRequests reports whether two points faced the same requests in the replications that both have.
func sameRequests(a, b *Point) bool {
	x, y := Common(a, b)
	for k, r := range x {
		if r.Requests == 0 || r.Requests != y[k].Requests {
			return false
		}
	}
	return len(x) > 0
}

// difference compares two points.
func difference(a, b *Point, metric string) (Difference, error) {
	how := Welch
	if sameRequests(a, b) {
		how = Paired
	}
	d, err := how(a, b, metric, Confidence)
	if errors.Is(err, ErrTooFew) {
		err = nil
	}
	return d, err
}

// CompareSchedulers compares, at every setting of the other swept keys, each scheduler of the run with the first one.
// Where there are too few replications, the differences have no interval.
func CompareSchedulers(r *Run, metrics ...string) ([]Difference, error) {
	var all []Difference
	for _, group := range r.settings() {
		for _, p := range group[1:] {
			for _, metric := range metrics {
				d, err := difference(group[0], p, metric)
				if err != nil {
					return nil, err
				}
				d.A, d.B, d.Where = group[0].Scheduler, p.Scheduler, r.where(p)
				all = append(all, d)
			}
		}
	}
	return all, nil
}

// settings are the points grouped by the values of the swept keys other than the scheduler, in order of appearance.
func (r *Run) settings() [][]*Point {
	var groups [][]*Point
	for _, p := range r.Points {
		i := slices.IndexFunc(groups, func(g []*Point) bool { return slices.Equal(r.where(g[0]), r.where(p)) })
		if i < 0 {
			groups = append(groups, []*Point{p})
			continue
		}
		groups[i] = append(groups[i], p)
	}
	return groups
}

// where is the setting of p but for its scheduler: "workload.rate = 8/s".
func (r *Run) where(p *Point) []string {
	var where []string
	for i, key := range r.Swept {
		if key != schedulerKey {
			where = append(where, key+" = "+p.Values[i])
		}
	}
	return where
}

// CompareRuns compares the points of two runs that have the same scheduler and the same values of the swept keys;
// in pairs where both faced the same requests, otherwise as independent ones. Points that only one of the runs has are
// in unmatched.
func CompareRuns(a, b *Run, metrics ...string) (all []Difference, unmatched []string, err error) {
	for _, metric := range metrics {
		err = errors.Join(err, CheckMetric(metric, a.Functions()))
	}
	if err != nil {
		return nil, nil, err
	}
	all, unmatched = []Difference{}, []string{}
	of := map[string]*Point{}
	for _, p := range a.Points {
		of[a.Label(p)] = p
	}
	for _, p := range b.Points {
		label := b.Label(p)
		q := of[label]
		if q == nil {
			unmatched = append(unmatched, label+" (only in the second)")
			continue
		}
		delete(of, label)
		for _, metric := range metrics {
			d, err := difference(q, p, metric)
			if err != nil {
				return nil, nil, err
			}
			d.A, d.B, d.Where = a.Name, b.Name, []string{label}
			all = append(all, d)
		}
	}
	for _, p := range a.Points {
		if of[a.Label(p)] != nil {
			unmatched = append(unmatched, a.Label(p)+" (only in the first)")
		}
	}
	return all, unmatched, nil
}
