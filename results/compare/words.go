package compare

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/p2pfaas/p2pfaas/results"
)

// sideNames are what texts call the sides: reality and simulation where these are compared; otherwise the runs' names, or
// those of their directories, whichever tell them apart.
func (c *Comparison) sideNames() (a, b string) {
	worlds := map[string]string{"real": "reality", "sim": "simulation"}
	for _, names := range [][2]string{
		{worlds[c.A.World], worlds[c.B.World]},
		{c.A.Name, c.B.Name},
		{filepath.Base(c.A.Dir), filepath.Base(c.B.Dir)},
	} {
		if names[0] != names[1] && names[0] != "" && names[1] != "" {
			return names[0], names[1]
		}
	}
	return "A", "B"
}

// heading names what is compared.
func (c *Comparison) heading() string {
	a, b := c.sideNames()
	if c.A.Name != c.B.Name || c.A.Name == "" {
		return b + " compared with " + a
	}
	return c.A.Name + ": " + b + " compared with " + a
}

var inSide = regexp.MustCompile(`\bin [AB]\b`)

// named puts the names of the sides into a text about A and B.
func (c *Comparison) named(text string) string {
	a, b := c.sideNames()
	return inSide.ReplaceAllStringFunc(text, func(in string) string {
		if in == "in A" {
			return "in " + a
		}
		return "in " + b
	})
}

// verdict is that of all metrics with a margin: different where one is, else undecided where one is; empty where no metric
// has a margin.
func (p *Point) verdict() Verdict {
	worst := Verdict("")
	for _, v := range []Verdict{Equivalent, Undecided, Different} {
		if slices.ContainsFunc(p.Metrics, func(m Metric) bool { return m.Verdict == v }) {
			worst = v
		}
	}
	return worst
}

// symbol is a verdict in one character.
func (v Verdict) symbol() string {
	switch v {
	case Equivalent:
		return "="
	case Different:
		return "≠"
	case Undecided:
		return "?"
	}
	return ""
}

const namedPoints = 3 // how many points a sentence names at most

// headline says in one sentence how the comparison ends.
func (c *Comparison) headline() string {
	labels := map[Verdict][]string{}
	for i := range c.Points {
		v := c.Points[i].verdict()
		labels[v] = append(labels[v], c.Points[i].Label)
	}
	judged := len(c.Points) - len(labels[""])
	switch {
	case len(c.Points) == 0:
		return "The runs have no point in common, so nothing is compared."
	case judged == 0:
		return fmt.Sprintf("%s compared without a margin, hence without a verdict.", counted(len(c.Points), "point is", "points are"))
	case len(c.Points) == 1:
		return fmt.Sprintf("The only point is %s%s.", c.Points[0].verdict(), c.Points[0].which())
	case len(labels[Equivalent]) == len(c.Points):
		return fmt.Sprintf("All %d points are equivalent within their margins.", len(c.Points))
	}
	n := len(labels[Equivalent])
	var parts []string
	switch n {
	case 0:
		parts = append(parts, fmt.Sprintf("None of the %d points is equivalent within its margins", len(c.Points)))
	case 1:
		parts = append(parts, fmt.Sprintf("1 of %d points is equivalent within its margins", len(c.Points)))
	default:
		parts = append(parts, fmt.Sprintf("%d of %d points are equivalent within their margins", n, len(c.Points)))
	}
	for _, v := range []Verdict{Different, Undecided, ""} {
		n := len(labels[v])
		if n == 0 {
			continue
		}
		what := string(v)
		if v == "" {
			what = "without a margin"
		}
		part := counted(n, "is ", "are ") + what
		if n <= namedPoints {
			part += " (" + strings.Join(labels[v], "; ") + ")"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ") + "."
}

// which says of a point in which metrics it has its verdict.
func (p *Point) which() string {
	v := p.verdict()
	if v == Equivalent {
		return " within its margins"
	}
	var names []string
	for _, m := range p.Metrics {
		if m.Verdict == v {
			names = append(names, shortTitle(m.Name))
		}
	}
	return ": " + strings.Join(names, ", ")
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// shortTitle is a metric's name in a narrow place: "mean latency", "p95 latency", "drop rate".
func shortTitle(metric string) string {
	of, what, ok := strings.Cut(metric, ".")
	if ok && strings.HasPrefix(what, "p") && !strings.Contains(metric, "[") {
		return what + " " + of
	}
	return results.Title(metric)
}

// marginsText lists the margins.
func (c *Comparison) marginsText() string {
	var list []string
	for _, m := range c.Margins {
		sc := results.ScaleOf(results.Unit(m.Metric), m.Value)
		switch {
		case m.Relative:
			sc = results.Scale{Unit: "%", Factor: 100}
		case results.Unit(m.Metric) == "share":
			sc = results.Scale{Unit: "pp", Factor: 100}
		}
		list = append(list, shortTitle(m.Metric)+" "+withUnit("±"+results.Significant(m.Value*sc.Factor, 3), sc.Unit))
	}
	return strings.Join(list, ", ")
}

// signed writes a difference with its sign: two decimals below 1, one below 100, none beyond; "-" for NaN.
func signed(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	decimals := 1
	switch a := math.Abs(v); {
	case a < 1:
		decimals = 2
	case a >= 100:
		decimals = 0
	}
	s := fmt.Sprintf("%+.*f", decimals, v)
	if strings.Trim(s, "+-0.") == "" {
		return "0"
	}
	return strings.Replace(s, "-", "\u2212", 1)
}

// interval writes one; empty where there is none.
func interval(lo, hi, factor float64) string {
	if math.IsNaN(lo) || math.IsNaN(hi) {
		return ""
	}
	return "[" + signed(lo*factor) + ", " + signed(hi*factor) + "]"
}

// measure is the unit of a metric as package results has it: share where it is one.
func (m *Metric) measure() string {
	if m.Unit != "" {
		return m.Unit
	}
	return results.Unit(m.Name)
}

// scaleOfDifference says how a difference is written: in percentage points where the metric is a share, in per cent of A where
// A has a value other than 0, otherwise in the metric's unit.
func (m *Metric) scaleOfDifference() results.Scale {
	switch {
	case m.measure() == "share":
		return results.Scale{Unit: "pp", Factor: 100}
	case m.A != 0 && !math.IsNaN(m.A):
		return results.Scale{Unit: "%", Factor: 100 / math.Abs(m.A)}
	}
	return results.ScaleOf(m.measure(), math.Abs(m.Difference))
}

// reading is a metric as a person reads it.
type reading struct {
	Name       string
	A, B       string // in Unit
	Unit       string
	Difference string // with its unit
	Interval   string // in that unit; empty: there is none
	Margin     string // with its unit; empty: none is stated
	Verdict    Verdict
}

func (m *Metric) reading() reading {
	by := m.scaleOfDifference()
	r := reading{Name: results.Title(m.Name), Difference: withUnit(signed(m.Difference*by.Factor), by.Unit),
		Interval: interval(m.Lo, m.Hi, by.Factor), Verdict: m.Verdict}
	r.A, r.B, r.Unit = beside(m.A, m.B, m.measure())
	if m.Margin > 0 {
		r.Margin = withUnit("±"+results.Significant(m.Margin*by.Factor, 3), by.Unit)
	}
	return r
}

// beside writes two values of one kind in one unit, with as many decimals: so many that the larger has four digits.
func beside(a, b float64, measure string) (first, second, unit string) {
	top := max(math.Abs(orZero(a)), math.Abs(orZero(b)))
	sc := results.ScaleOf(measure, top)
	decimals := 0
	if top > 0 {
		decimals = min(max(0, 3-int(math.Floor(math.Log10(top*sc.Factor)))), 3)
	}
	if measure == "share" {
		decimals = min(decimals, 2)
	}
	write := func(v float64) string {
		if math.IsNaN(v) {
			return "-"
		}
		return strconv.FormatFloat(v*sc.Factor, 'f', decimals, 64)
	}
	return write(a), write(b), sc.Unit
}

func orZero(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

// withUnit appends a unit to a number, if it is one.
func withUnit(number, unit string) string {
	if unit == "" || number == "-" {
		return number
	}
	return number + " " + unit
}

// moreSeconds writes a difference of times in a unit that suits it.
func moreSeconds(v float64) string {
	sc := results.ScaleOf("s", math.Abs(v))
	return withUnit(signed(v*sc.Factor), sc.Unit)
}

// metric finds a metric by name; nil where the point has none of that name.
func (p *Point) metric(name string) *Metric {
	i := slices.IndexFunc(p.Metrics, func(m Metric) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return &p.Metrics[i]
}

// floorOf is the point of the floor with the same label; nil where there is none.
func (c *Comparison) floorOf(p *Point) *Point {
	if c.Floor == nil {
		return nil
	}
	i := slices.IndexFunc(c.Floor.Points, func(f Point) bool { return f.Label == p.Label })
	if i < 0 {
		return nil
	}
	return &c.Floor.Points[i]
}

// columns are the metrics of overviews: the usual four, and what else has a margin.
func (c *Comparison) columns() []string {
	list := []string{"latency.mean", "latency.p50", "latency.p95", "drop_rate"}
	for _, m := range c.Margins {
		if !slices.Contains(list, m.Metric) {
			list = append(list, m.Metric)
		}
	}
	return list
}

// gapped reports whether a point is to be explained: it is not equivalent or, without a margin, its interval of the mean
// latency excludes 0.
func (p *Point) gapped() bool {
	switch p.verdict() {
	case Different, Undecided:
		return true
	case Equivalent:
		return false
	}
	m := p.metric("latency.mean")
	return m != nil && (m.Lo > 0 || m.Hi < 0)
}

// mayBeEqual reports whether the interval of the difference of the mean latencies contains 0.
func (p *Point) mayBeEqual() bool {
	m := p.metric("latency.mean")
	return m != nil && m.Lo <= 0 && m.Hi >= 0
}

// gap says which part accounts for most of the difference of the mean latencies; empty where none can be told.
func (p *Point) gap() string {
	m := p.metric("latency.mean")
	if m == nil || math.IsNaN(m.Difference) || m.Difference == 0 || p.mayBeEqual() || len(p.Parts) == 0 {
		return ""
	}
	total := m.Difference
	most := slices.MaxFunc(p.Parts, func(x, y Part) int {
		return cmp.Compare(orZero(x.Difference)*total, orZero(y.Difference)*total)
	})
	return fmt.Sprintf("%s accounts for %s of %s (%.0f %%) of the difference of the mean latency", most.Name,
		moreSeconds(most.Difference), moreSeconds(total), 100*most.Difference/total)
}

// explained says what a simulation with the cause put right showed; empty where there was none.
func (c *Cause) explained() string {
	var list []string
	for _, e := range c.Explains {
		m := Metric{Name: e.Metric, Difference: e.Before}
		sc := results.ScaleOf(m.measure(), max(math.Abs(e.Before), math.Abs(e.After)))
		if m.measure() == "share" {
			sc.Unit = "pp"
		}
		text := fmt.Sprintf("the difference of the %s goes from %s to %s", shortTitle(e.Metric), signed(e.Before*sc.Factor),
			withUnit(signed(e.After*sc.Factor), sc.Unit))
		switch closed := e.closed(); {
		case math.IsNaN(closed) || math.IsInf(closed, 0):
		case closed < 0:
			text += ", which is further away: this cause alone does not explain it"
		default:
			text += fmt.Sprintf(", which closes %.0f %% of it", 100*closed)
		}
		list = append(list, text)
	}
	if len(list) == 0 {
		return ""
	}
	return "With it put right, " + strings.Join(list, "; ") + "."
}

// closed is the share of the difference that goes away.
func (e *Explained) closed() float64 { return 1 - math.Abs(e.After)/math.Abs(e.Before) }

// direct is what the cause adds to the difference of the mean latencies by itself; empty where it does so by waiting alone.
func (c *Cause) direct() string {
	if math.IsNaN(c.Direct) || c.Direct == 0 {
		return ""
	}
	return moreSeconds(c.Direct)
}
