package theory

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

const (
	slack = 0.005  // of the expected value, beside the standard errors
	level = 0.0027 // of 3 standard errors of the normal distribution, for all comparisons of a run together
	rare  = 1e-3   // a share below this is tested from above alone
)

// Verdict is the outcome of a comparison.
type Verdict string

// The verdicts.
const (
	OK      Verdict = "ok"
	Fail    Verdict = "FAIL"
	Skipped Verdict = "skipped"
)

// Row is one value of a case beside what the simulator did.
type Row struct {
	Case     string  `json:"case"`
	Table    string  `json:"table"`
	Variant  string  `json:"variant,omitempty"` // of the experiment, where the case has several
	Metric   string  `json:"metric"`
	Expected float64 `json:"expected"`
	Measured float64 `json:"measured"`       // mean over the replications
	Error    float64 `json:"standard_error"` // standard error of Measured
	Interval float64 `json:"interval"`       // half-width of the interval around Measured
	Allowed  float64 `json:"allowed"`        // distance that passes: Interval + 0.5 % of Expected
	OneSided bool    `json:"one_sided"`      // a rare share: only too much of it fails
	Verdict  Verdict `json:"verdict"`
	Reason   string  `json:"reason,omitempty"`   // why it was skipped
	Scenario string  `json:"scenario,omitempty"` // the scenario file that was simulated
}

// judge compares the values of independent replications with what is expected of them:
//
//	|mean - expected| <= t * standard error + 0.5 % of expected
//
// t is the quantile of Student's distribution at which, were all of so many comparisons right and exact, any of them
// would fail with a probability of 0.27 %, that of 3 standard errors for a single one (Bonferroni's inequality). A
// share below 0.001 may be missed in all replications by chance; it fails from above alone.
func (r *Row) judge(values []float64, share bool, comparisons int) {
	n := float64(len(values))
	mean, deviation := stat.MeanStdDev(values, nil)
	r.Measured, r.Error = mean, deviation/math.Sqrt(n)
	r.Interval = quantile(comparisons, n-1) * r.Error
	r.Allowed = r.Interval + slack*math.Abs(r.Expected)
	r.OneSided = share && r.Expected < rare
	distance := r.Measured - r.Expected
	if !r.OneSided {
		distance = math.Abs(distance)
	}
	r.Verdict = Fail
	// Values that do not vary differ by the rounding of their sum. NaN fails.
	if distance <= r.Allowed+1e-12*math.Abs(mean) {
		r.Verdict = OK
	}
}

// quantile is the two-sided quantile of Student's distribution for so many comparisons.
func quantile(comparisons int, freedom float64) float64 {
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: freedom}
	return -t.Quantile(level / 2 / float64(max(1, comparisons)))
}

// Total counts the verdicts of a table.
type Total struct {
	Table   string // "": of all
	Cases   int
	OK      int
	Failed  int
	Skipped int
	// Beyond is the share of the comparisons in which Measured is further than 2 standard errors from Expected. Where all
	// is right it is about 5 %, and more only by the bias that 0.5 % allow for: it shows what no single comparison does.
	Beyond float64
}

// Totals counts by table, in the order of the rows, and all together last.
func Totals(rows []Row) []Total {
	totals := []Total{{}}
	cases := map[string]bool{}
	beyond := map[string]float64{}
	for i := range rows {
		r := &rows[i]
		at := slices.IndexFunc(totals, func(t Total) bool { return t.Table == r.Table })
		if at < 0 {
			at = len(totals)
			totals = append(totals, Total{Table: r.Table})
		}
		far := math.Abs(r.Measured-r.Expected) > 2*r.Error && !r.OneSided
		for _, t := range []*Total{&totals[0], &totals[at]} {
			if !cases[r.Case] {
				t.Cases++
			}
			switch r.Verdict {
			case OK:
				t.OK++
			case Fail:
				t.Failed++
			case Skipped:
				t.Skipped++
			}
			if far && r.Verdict != Skipped && r.Error > 0 {
				beyond[t.Table]++
			}
		}
		cases[r.Case] = true
	}
	for i := range totals {
		t := &totals[i]
		t.Beyond = beyond[t.Table] / float64(max(1, t.OK+t.Failed))
	}
	return append(totals[1:], totals[0])
}
