package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/results"
)

// Figures are those of a report: the overview of all points, then those of each point.
func Figures(c *Comparison) []*results.Figure {
	all := c.overview()
	for i := range c.Points {
		all = append(all, c.figuresOf(i)...)
	}
	return all
}

// overviewRows is how many points one figure of the overview shows.
const overviewRows = 20

// overview draws the relative differences of the latency at all points, and the differences of the drop rate where
// requests were dropped.
func (c *Comparison) overview() (figures []*results.Figure) {
	a, b := c.sideNames()
	metrics := []string{"latency.mean", "latency.p50", "latency.p95"}
	chunk := 0
	for points := range slices.Chunk(c.Points, overviewRows) {
		chunk++
		name := func(what string) string {
			if len(c.Points) > overviewRows {
				return fmt.Sprintf("overview-%s-%d", what, chunk)
			}
			return "overview-" + what
		}
		latency := c.rows(points, "difference of the latency", "%", metrics...)
		figures = append(figures, latency.Figure(name("latency"), fmt.Sprintf("Difference of the latency in %s from that in %s at each "+
			"point, in per cent, with 90 %% intervals.%s", b, a, c.behind())))
		if slices.ContainsFunc(points, func(p Point) bool { return p.drops() }) {
			drops := c.rows(points, "difference of the drop rate", "pp", "drop_rate")
			figures = append(figures, drops.Figure(name("drops"), fmt.Sprintf("Difference of the drop rate in %s from that in %s at each "+
				"point, in percentage points, with 90 %% intervals.%s", b, a, c.behind())))
		}
	}
	return drawn(figures)
}

// drawn leaves out what there was nothing to draw of.
func drawn(figures []*results.Figure) []*results.Figure {
	return slices.DeleteFunc(figures, func(f *results.Figure) bool { return f == nil })
}

// drops reports whether requests were dropped on a side.
func (p *Point) drops() bool {
	m := p.metric("drop_rate")
	return m != nil && (m.A > 0 || m.B > 0)
}

// behind says what is drawn behind the differences.
func (c *Comparison) behind() (text string) {
	if len(c.Margins) > 0 {
		text = " Shaded: the margin."
	}
	if c.Floor != nil {
		a, _ := c.sideNames()
		text += " Grey: the interval of a repetition of " + a + ", compared with it."
	}
	return text
}

// rows are differences of metrics that are written in one unit, at the points.
func (c *Comparison) rows(points []Point, what, unit string, metrics ...string) *results.Rows {
	a, _ := c.sideNames()
	r := &results.Rows{What: what, Unit: unit, Margin: "margin", Floor: a + " repeated"}
	for i := range points {
		r.Labels = append(r.Labels, points[i].Label)
	}
	for _, metric := range metrics {
		s := results.RowSeries{}
		if len(metrics) > 1 {
			s.Label = shortTitle(metric)
		}
		for i := range points {
			s.Marks = append(s.Marks, c.mark(&points[i], metric, unit))
		}
		r.Series = append(r.Series, s)
	}
	return r
}

// mark is the difference of a metric in per cent of A, or in percentage points; none where it is not written in that unit.
func (c *Comparison) mark(p *Point, metric, unit string) results.RowMark {
	nan := math.NaN()
	mark := results.RowMark{Value: nan, Lo: nan, Hi: nan, Margin: nan, FloorLo: nan, FloorHi: nan}
	if m := p.metric(metric); m != nil && m.scaleOfDifference().Unit == unit {
		by := m.scaleOfDifference().Factor
		mark.Value, mark.Lo, mark.Hi, mark.Margin = m.Difference*by, m.Lo*by, m.Hi*by, m.Margin*by
	}
	if f := c.floorOf(p); f != nil {
		if m := f.metric(metric); m != nil && m.scaleOfDifference().Unit == unit {
			by := m.scaleOfDifference().Factor
			mark.FloorLo, mark.FloorHi = m.Lo*by, m.Hi*by
		}
	}
	return mark
}

// figuresOf are the figures of one point.
func (c *Comparison) figuresOf(i int) []*results.Figure {
	p := &c.Points[i]
	name := func(what string) string { return fmt.Sprintf("point-%d-%s", i+1, what) }
	return drawn([]*results.Figure{
		c.cdf(p, name("latency-cdf")), c.qq(p, name("latency-qq")), c.percentiles(p, name("percentiles")),
		c.breakdown(p, name("parts")), c.gapFigure(p, name("gap")),
		c.loads(p, name("load-over-time")), c.nodeLoads(p, name("load-per-node")),
	})
}

// cdf draws the two distributions of the latency on each other.
func (c *Comparison) cdf(p *Point, name string) *results.Figure {
	a, b := c.sideNames()
	sides := []results.Distribution{{Label: a}, {Label: b}}
	for _, q := range p.Quantiles {
		for k, v := range []float64{q.A, q.B} {
			if !math.IsNaN(v) {
				sides[k].Values, sides[k].Shares = append(sides[k].Values, v), append(sides[k].Shares, q.Share)
			}
		}
	}
	if len(p.Quantiles) < 2 {
		return nil // one point is no curve
	}
	caption := fmt.Sprintf("Distributions of the latency of completed requests in %s and in %s, at %s.", a, b, p.Label)
	return results.NewCDF(name, caption, sides...)
}

// qq draws the quantiles of both sides against each other.
func (c *Comparison) qq(p *Point, name string) *results.Figure {
	a, b := c.sideNames()
	q := &results.QQ{XLabel: "latency in " + a, YLabel: "latency in " + b, Band: "margin"}
	for _, x := range p.Quantiles {
		if x.A > 0 && x.B > 0 && x.Share < 1 { // a single longest latency would make all others small
			q.X, q.Y = append(q.X, x.A), append(q.Y, x.B)
		}
	}
	var margins []*Metric
	for i := range p.Metrics {
		m := &p.Metrics[i]
		of, isPercentile := strings.CutPrefix(m.Name, "latency.p")
		if !isPercentile || !(m.A > 0 && m.B > 0) {
			continue
		}
		q.Named = append(q.Named, results.QQPoint{Name: "p" + of, X: m.A, Y: m.B})
		if m.Margin > 0 {
			margins = append(margins, m)
		}
	}
	caption := fmt.Sprintf("Quantiles of the latency in %s against those in %s, at %s: on the diagonal they are equal.", b, a, p.Label)
	if len(margins) > 0 {
		caption += " Shaded: the margin of the percentiles that have one, between them interpolated."
		slices.SortStableFunc(margins, func(x, y *Metric) int { return cmp.Compare(x.A, y.A) })
		for _, x := range q.X {
			share := marginAt(margins, x)
			q.Lo, q.Hi = append(q.Lo, x*(1-share)), append(q.Hi, x*(1+share))
		}
	}
	return q.Figure(name, caption)
}

// marginAt is the margin of a latency, as a share of it: interpolated between those of the percentiles.
func marginAt(ascending []*Metric, latency float64) float64 {
	share := func(m *Metric) float64 { return m.Margin / m.A }
	i, _ := slices.BinarySearchFunc(ascending, latency, func(m *Metric, x float64) int { return cmp.Compare(m.A, x) })
	switch {
	case i == 0:
		return share(ascending[0])
	case i == len(ascending):
		return share(ascending[i-1])
	}
	lo, hi := ascending[i-1], ascending[i]
	return share(lo) + (share(hi)-share(lo))*(latency-lo.A)/(hi.A-lo.A)
}

// percentiles draws the relative differences of the mean and the percentiles.
func (c *Comparison) percentiles(p *Point, name string) *results.Figure {
	a, b := c.sideNames()
	r := &results.Rows{What: fmt.Sprintf("latency of %s relative to %s", b, a), Unit: "%", Margin: "margin", Floor: a + " repeated"}
	s := results.RowSeries{}
	for _, m := range p.Metrics {
		if strings.HasPrefix(m.Name, "latency.") {
			r.Labels, s.Marks = append(r.Labels, strings.TrimSuffix(shortTitle(m.Name), " latency")), append(s.Marks, c.mark(p, m.Name, "%"))
		}
	}
	r.Series = []results.RowSeries{s}
	return r.Figure(name, fmt.Sprintf("Difference of the latency in %s from that in %s, in per cent, with 90 %% intervals, at %s.%s",
		b, a, p.Label, c.behind()))
}

// breakdown draws where the time went on both sides.
func (c *Comparison) breakdown(p *Point, name string) *results.Figure {
	a, b := c.sideNames()
	caption := fmt.Sprintf("Where the time of completed requests went in %s and in %s, mean over them, at %s.", a, b, p.Label)
	return results.NewBreakdown(name, caption, []string{a, b}, func(bar int, part string) float64 {
		i := slices.IndexFunc(p.Parts, func(x Part) bool { return x.Name == part })
		if i < 0 {
			return math.NaN()
		}
		return []float64{p.Parts[i].A, p.Parts[i].B}[bar]
	})
}

// gapFigure draws the difference of each part, whose sum is that of the latency.
func (c *Comparison) gapFigure(p *Point, name string) *results.Figure {
	a, b := c.sideNames()
	nan := math.NaN()
	r := &results.Rows{What: fmt.Sprintf("mean of %s minus that of %s", b, a), Unit: "s", Bars: true}
	var s results.RowSeries
	for _, x := range p.Parts {
		if x.A == 0 && x.B == 0 {
			continue // no request had such a part
		}
		r.Labels = append(r.Labels, x.Name)
		s.Marks = append(s.Marks, results.RowMark{Value: x.Difference, Lo: x.Lo, Hi: x.Hi, Margin: nan, FloorLo: nan, FloorHi: nan})
	}
	if m := p.metric("latency.mean"); m != nil && len(s.Marks) > 0 {
		r.Labels, r.Sum = append(r.Labels, "latency"), true
		s.Marks = append(s.Marks, results.RowMark{Value: m.Difference, Lo: m.Lo, Hi: m.Hi, Margin: nan, FloorLo: nan, FloorHi: nan})
	}
	r.Series = []results.RowSeries{s}
	return r.Figure(name, fmt.Sprintf("What explains the gap: the difference of each part of the mean latency, %s minus %s, with 90 %% "+
		"intervals, at %s. The differences of the parts add up to that of the latency.", b, a, p.Label))
}

// loads draws the mean load of the nodes over time.
func (c *Comparison) loads(p *Point, name string) *results.Figure {
	if p.Load == nil {
		return nil
	}
	a, b := c.sideNames()
	caption := fmt.Sprintf("Load (tasks running and waiting) over time in %s and in %s, mean over the nodes, at %s.", a, b, p.Label)
	return results.NewTimelines(name, caption, "mean load of a node", "", 0,
		results.Timeline{Label: a, Every: p.Load.Every, Values: p.Load.A},
		results.Timeline{Label: b, Every: p.Load.Every, Values: p.Load.B})
}

// nodeLoads draws the load of each node over time, a side above the other.
func (c *Comparison) nodeLoads(p *Point, name string) *results.Figure {
	if p.Load == nil {
		return nil
	}
	a, b := c.sideNames()
	samples := 0
	var nodes []core.NodeID
	for _, n := range p.Load.Nodes {
		nodes = append(nodes, n.ID)
		samples = max(samples, len(n.A), len(n.B))
	}
	if samples == 0 {
		return nil
	}
	sides := []results.NodeLoads{{Label: a, Every: p.Load.Every, Nodes: nodes}, {Label: b, Every: p.Load.Every, Nodes: nodes}}
	for _, n := range p.Load.Nodes {
		for k, loads := range [][]float64{n.A, n.B} {
			lacking := slices.Repeat([]float64{math.NaN()}, samples-len(loads))
			sides[k].Loads = append(sides[k].Loads, slices.Concat(loads, lacking))
		}
	}
	caption := fmt.Sprintf("Load (tasks running and waiting) of single nodes over time, above in %s, below in %s, at %s.", a, b, p.Label)
	return results.NewNodeLoads(name, caption, sides...)
}
