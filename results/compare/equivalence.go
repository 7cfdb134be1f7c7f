package compare

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/p2pfaas/p2pfaas/core/spelling"
)

// Confidence is the level of the intervals of a comparison. An interval of 90 % within the margin is what two one-sided
// tests at 5 % say.
const Confidence = 0.9

// DefaultMargins are those of a comparison for which nobody stated any: 5 % of the mean latency, its median and its 95th
// percentile, and one percentage point of the drop rate.
func DefaultMargins() []Margin {
	return []Margin{
		{Metric: "latency.mean", Value: 0.05, Relative: true, Default: true},
		{Metric: "latency.p50", Value: 0.05, Relative: true, Default: true},
		{Metric: "latency.p95", Value: 0.05, Relative: true, Default: true},
		{Metric: "drop_rate", Value: 0.01, Default: true},
	}
}

// Margins are the default ones, in whose place those are put that were stated.
func Margins(stated ...Margin) []Margin {
	all := DefaultMargins()
	for _, m := range stated {
		if i := slices.IndexFunc(all, func(d Margin) bool { return d.Metric == m.Metric }); i >= 0 {
			all[i] = m
			continue
		}
		all = append(all, m)
	}
	return all
}

// ParseMargins reads margins as a command line has them: latency.p95=5%, drop_rate=1pp, mean=10ms. A percentage is of A's
// value; of a share of requests, margins are percentage points. Of the latency's metrics the last word is enough. The error
// says all that is wrong.
func ParseMargins(texts ...string) ([]Margin, error) {
	var all []Margin
	var problems []error
	for _, text := range texts {
		m, err := parseMargin(text)
		if err == nil && slices.ContainsFunc(all, func(o Margin) bool { return o.Metric == m.Metric }) {
			err = fmt.Errorf("%s has two margins: give one", m.Metric)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("margin %q: %w", text, err))
			continue
		}
		all = append(all, m)
	}
	return all, errors.Join(problems...)
}

func parseMargin(text string) (Margin, error) {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return Margin{}, errors.New("it has no =: write METRIC=MARGIN, as in p95=5%")
	}
	m := Margin{Metric: strings.TrimSpace(name)}
	if full := "latency." + m.Metric; known(full) {
		m.Metric = full
	}
	if err := checkMetric(m.Metric); err != nil {
		return Margin{}, err
	}
	value = strings.TrimSpace(value)
	var err error
	share := slices.Contains(shares, m.Metric)
	switch {
	case share && strings.HasSuffix(value, "pp"):
		m.Value, err = number(strings.TrimSuffix(value, "pp"))
		m.Value /= 100
	case share:
		return Margin{}, fmt.Errorf("%s is a share, whose margins are percentage points: write %s=1pp", m.Metric, m.Metric)
	case strings.HasSuffix(value, "%"):
		m.Value, err = number(strings.TrimSuffix(value, "%"))
		m.Value, m.Relative = m.Value/100, true
	case unitOf(m.Metric) == "s":
		var d time.Duration
		d, err = time.ParseDuration(value)
		m.Value = d.Seconds()
	default:
		m.Value, err = number(value)
	}
	if err != nil || !(m.Value > 0) || math.IsInf(m.Value, 0) {
		return Margin{}, fmt.Errorf("%q is no margin of %s: write %s", value, m.Metric, example(m.Metric))
	}
	return m, nil
}

func number(text string) (float64, error) { return strconv.ParseFloat(strings.TrimSpace(text), 64) }

func example(metric string) string {
	if unitOf(metric) == "s" {
		return "a percentage of A's value or a time, above 0: 5%, 10ms"
	}
	if slices.Contains(shares, metric) {
		return "percentage points above 0: 1pp"
	}
	return "a percentage of A's value or a number, above 0: 5%, 0.1"
}

// known reports whether a comparison can have that metric.
func known(metric string) bool {
	_, percentile := percentileOf(metric)
	return percentile || slices.Contains(knownMetrics(), metric)
}

func knownMetrics() []string { return slices.Concat(standardMetrics, partMetrics) }

func checkMetric(metric string) error {
	if known(metric) {
		return nil
	}
	all := knownMetrics()
	return fmt.Errorf("a comparison has no metric %q: the nearest are %s. It has %s, and any percentile of the latency", metric,
		strings.Join(spelling.Nearest(metric, all)[:3], ", "), strings.Join(all, ", "))
}

// in is the margin in the metric's unit, where the metric of A has a value.
func (m *Margin) in(a float64) float64 {
	if m.Relative {
		return m.Value * math.Abs(a)
	}
	return m.Value
}

// judge gives a metric its margin and its verdict: two one-sided tests, of which both reject that the difference is beyond the
// margin where the interval lies within it (D. J. Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15(6), 1987).
func (m *Metric) judge(margins []Margin) {
	i := slices.IndexFunc(margins, func(g Margin) bool { return g.Metric == m.Name })
	if i < 0 {
		return
	}
	m.Margin = margins[i].in(m.A)
	switch {
	case m.Lo >= -m.Margin && m.Hi <= m.Margin:
		m.Verdict = Equivalent
	case m.Lo > m.Margin || m.Hi < -m.Margin:
		m.Verdict = Different
	default:
		m.Verdict = Undecided
	}
}

// Exceedance is a stated margin that a metric exceeds.
type Exceedance struct {
	Point  string // label
	Metric Metric
	Margin Margin
}

// String says it in one line.
func (e Exceedance) String() string {
	m := &e.Metric
	if math.IsNaN(m.Difference) {
		return fmt.Sprintf("%s: %s cannot be compared: it is %g in A and %g in B", e.Point, m.Name, m.A, m.B)
	}
	factor, unit, points := 1.0, "", ""
	switch {
	case m.measure() == "share":
		factor, unit, points = 100, " %", " pp"
	case m.Unit != "":
		unit, points = " "+m.Unit, " "+m.Unit
	}
	interval := "no interval"
	if !math.IsNaN(m.Lo) {
		interval = fmt.Sprintf("90 %% interval %.3g to %.3g", factor*m.Lo, factor*m.Hi)
	}
	return fmt.Sprintf("%s: %s is %.4g%s in A and %.4g%s in B: the difference, %.3g%s (%s), exceeds the margin of %.3g%s", e.Point, m.Name,
		factor*m.A, unit, factor*m.B, unit, factor*m.Difference, points, interval, factor*m.Margin, points)
}

// Exceeded are the margins that somebody stated (not the default ones) and that are exceeded: the difference itself is beyond
// them, whatever its interval. A margin within which an interval does not lie is undecided, and not exceeded; one of which no
// difference can be told, since a side has no value, is.
func (c *Comparison) Exceeded() []Exceedance {
	var all []Exceedance
	for i := range c.Points {
		p := &c.Points[i]
		for _, m := range p.Metrics {
			k := slices.IndexFunc(c.Margins, func(g Margin) bool { return g.Metric == m.Name && !g.Default })
			if k >= 0 && !(math.Abs(m.Difference) <= m.Margin) {
				all = append(all, Exceedance{p.Label, m, c.Margins[k]})
			}
		}
	}
	return all
}
