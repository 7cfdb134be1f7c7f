package results

import (
	"cmp"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// estimate is a point of a line: a metric with its interval at an x, which is a number or a category.
type estimate struct {
	x float64
	Interval
}

// line is one of a figure.
type line struct {
	label  string
	points []estimate
}

// PlotXY draws a metric, with its intervals, against a swept key (or against another metric, such as drop_rate
// against probes_per_request), one line per value of by: a swept key, several with commas between, or "" for all keys
// that are swept and are not x. Without x, it is the swept key with most numbers. The extension of path, .svg, .pdf
// or .png, says the format.
func PlotXY(r *Run, x, y, by, path string) error {
	if x == "" {
		x = r.mainAxis()
	}
	if err := CheckMetric(y, r.Functions()); err != nil {
		return err
	}
	keys, err := r.linesBy(x, by)
	if err != nil {
		return err
	}
	f, err := r.plotXY(r.Points, x, y, keys)
	if err != nil {
		return err
	}
	return f.Save(path)
}

// mainAxis is the swept key with most numbers; without any, that with most values.
func (r *Run) mainAxis() string {
	best, most := schedulerKey, 1
	for _, numeric := range []bool{true, false} {
		for _, key := range r.Swept {
			var values []string
			for _, p := range r.Points {
				if v := r.Value(p, key); !slices.Contains(values, v) {
					values = append(values, v)
				}
			}
			_, _, ok := quantities(values)
			if ok == numeric && key != schedulerKey && len(values) > most {
				best, most = key, len(values)
			}
		}
		if most > 1 {
			break
		}
	}
	return best
}

// maxLines is how many lines a figure of the report has at most.
const maxLines = 10

// sweepFigures draw the usual metrics against the main swept key.
func (r *Run) sweepFigures() (figures []*Figure) {
	if len(r.Points) < 2 {
		return nil
	}
	x := r.mainAxis()
	by := slices.DeleteFunc(r.sweepable(), func(key string) bool { return key == x })
	points, where := r.Points, ""
	var labels []string
	for _, p := range points {
		if l := r.caseLabel(p, by); !slices.Contains(labels, l) {
			labels = append(labels, l)
		}
	}
	if len(labels) > maxLines {
		points, where = r.slice(x)
		by = []string{schedulerKey}
	}
	for _, y := range []string{"latency.mean", "latency.p95", "drop_rate", "deadline_share", "forwarded_share"} {
		if r.tellsNothing(points, y) {
			continue
		}
		f, err := r.plotXY(points, x, y, by)
		if err != nil {
			continue // nothing completed
		}
		if where != "" {
			f.Caption += " The other swept keys are fixed" + at(where)
		}
		figures = append(figures, f)
	}
	return figures
}

// tellsNothing reports whether a metric's figure would repeat what is known: no task is ever forwarded, or there are no
// deadlines.
func (r *Run) tellsNothing(points []*Point, metric string) bool {
	for _, p := range points {
		v := p.Interval(metric, Confidence).Mean
		switch metric {
		case "forwarded_share":
			if v > 0 {
				return false
			}
		case "deadline_share":
			if math.Abs(v+p.Interval("drop_rate", Confidence).Mean-1) > 1e-9 {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// slice are the points that share all swept keys but x and the scheduler with one three quarters through the sweep.
func (r *Run) slice(x string) (points []*Point, where string) {
	others := slices.DeleteFunc(slices.Clone(r.Swept), func(key string) bool { return key == x || key == schedulerKey })
	groups := r.settings()
	reference := r.caseLabel(groups[(len(groups)-1)*3/4][0], others)
	for _, p := range r.Points {
		if r.caseLabel(p, others) == reference {
			points = append(points, p)
		}
	}
	return points, reference
}

// Figures are those of a report.
func Figures(r *Run) []*Figure {
	figures := r.sweepFigures()
	figures = append(figures, r.cdfFigure(), r.breakdownFigure(),
		r.overTime("load-over-time", "mean load of a node", "", func(s *Series) []float64 { return s.Mean }),
		r.overTime("latency-over-time", "mean latency", "s", func(s *Series) []float64 { return s.Latency }),
		r.overTime("reward-over-time", "mean reward", "", func(s *Series) []float64 { return s.Reward }),
		r.heatFigure())
	return slices.DeleteFunc(figures, func(f *Figure) bool { return f == nil })
}

// sweepable are the keys whose values tell the points apart.
func (r *Run) sweepable() (keys []string) {
	all := r.Swept
	if !slices.Contains(all, schedulerKey) {
		all = append(slices.Clone(all), schedulerKey)
	}
	for _, key := range all {
		for _, p := range r.Points {
			if r.Value(p, key) != r.Value(r.Points[0], key) {
				keys = append(keys, key)
				break
			}
		}
	}
	return keys
}

// linesBy finds the keys that tell the lines of a figure apart.
func (r *Run) linesBy(x, by string) ([]string, error) {
	known := slices.Contains(r.Swept, x) || x == schedulerKey
	if !known {
		if err := CheckMetric(x, r.Functions()); err != nil {
			return nil, fmt.Errorf("x: %q is neither swept in this run (%s) nor a metric", x,
				strings.Join(r.sweepable(), ", "))
		}
	}
	rest := slices.DeleteFunc(r.sweepable(), func(key string) bool { return key == x })
	if by == "" {
		if !known && len(rest) > 0 {
			rest = rest[len(rest)-1:] // the line goes through the values of the others
		}
		return rest, nil
	}
	keys := strings.Split(by, ",")
	for _, key := range keys {
		if !slices.Contains(r.Swept, key) && key != schedulerKey {
			return nil, fmt.Errorf("by: %q is not swept in this run: choose of %s", key, strings.Join(r.sweepable(), ", "))
		}
	}
	for _, key := range rest {
		if known && !slices.Contains(keys, key) {
			return nil, fmt.Errorf("by: the points differ in %s too: give --by %s,%s", key, by, key)
		}
	}
	return keys, nil
}

// caseLabel is what p has of the keys.
func (r *Run) caseLabel(p *Point, keys []string) string {
	var parts []string
	for _, key := range keys {
		if key == schedulerKey {
			parts = append(parts, p.Scheduler)
		} else {
			parts = append(parts, r.shortKey(key)+" = "+r.Value(p, key))
		}
	}
	return strings.Join(parts, ", ")
}

// shortKey is the shortest end of a dotted key that no other swept key shares: "rate" for workload.rate.
func (r *Run) shortKey(key string) string {
	words := strings.Split(key, ".")
	for n := 1; n < len(words); n++ {
		short := strings.Join(words[len(words)-n:], ".")
		if !slices.ContainsFunc(r.Swept, func(k string) bool { return k != key && strings.HasSuffix("."+k, "."+short) }) {
			return short
		}
	}
	return key
}

// plotXY draws y against x for the points, a line per case of by.
func (r *Run) plotXY(points []*Point, x, y string, by []string) (*Figure, error) {
	axis := r.axisOf(points, x)
	var lines []*line
	top := 0.0
	for _, p := range points {
		e := estimate{axis.at(p), p.Interval(y, Confidence)}
		if math.IsNaN(e.Mean) || math.IsNaN(e.x) {
			continue
		}
		label := r.caseLabel(p, by)
		i := slices.IndexFunc(lines, func(l *line) bool { return l.label == label })
		if i < 0 {
			i = len(lines)
			lines = append(lines, &line{label: label})
		}
		lines[i].points = append(lines[i].points, e)
		top = max(top, math.Abs(e.Mean))
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("no point of the run has a value of %s", y)
	}
	sc := ScaleOf(Unit(y), top)
	for _, l := range lines {
		for i := range l.points {
			l.points[i].Mean *= sc.Factor
			l.points[i].Half *= sc.Factor
		}
		if axis.categories == nil {
			slices.SortStableFunc(l.points, func(a, b estimate) int { return cmp.Compare(a.x, b.x) })
		}
	}
	f := &Figure{Name: fileName(y + "-" + x), height: plotHeight}
	if len(lines) > 1 || lines[0].label != "" {
		for i, l := range lines {
			f.legend = append(f.legend, entry{l.label, &curve{line: l, style: i, joined: axis.categories == nil}})
		}
	}
	f.Caption = fmt.Sprintf("%s against %s%s.", capital(Title(y)), axis.name, r.caption(points))
	if axis.categories != nil {
		f.drawRows(axis, lines, sc.Label(Title(y)))
	} else {
		f.drawCurves(axis, lines, sc.Label(Title(y)), Unit(y))
	}
	return f, nil
}

// caption says what the intervals of a figure or a table are.
func (r *Run) caption(points []*Point) string {
	least, most, batches := math.MaxInt, 0, false
	for _, p := range points {
		n := len(p.Replications)
		least, most = min(least, n), max(most, n)
		batches = batches || n == 1 && len(p.Replications[0].Batches) > 1
	}
	number := fmt.Sprint(most)
	if least < most {
		number = fmt.Sprintf("%d to %d", least, most)
	}
	switch {
	case most > 1:
		return fmt.Sprintf("; mean and %.0f %% confidence interval over %s independent replications", 100*Confidence, number)
	case batches:
		return fmt.Sprintf("; one replication, %.0f %% confidence interval by batch means", 100*Confidence)
	}
	return "; one replication, hence no confidence intervals"
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// fileName makes a name that every file system takes.
func fileName(s string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-':
			return r
		case r == '[':
			return '-'
		case r == ']':
			return -1
		}
		return '-'
	}, s), "-")
}

// xAxis is what points are drawn against.
type xAxis struct {
	name       string // the key or metric, spelled out
	label      string
	at         func(*Point) float64
	values     []float64 // distinct, ascending; of a swept key
	categories []string  // in order of appearance; nil: numbers
	log        bool
}

func (r *Run) axisOf(points []*Point, x string) *xAxis {
	a := &xAxis{name: x}
	if !slices.Contains(r.Swept, x) && x != schedulerKey {
		sc := ScaleOf(Unit(x), slices.Max(append(defined(r.means(points, x)), 0)))
		a.name, a.label = Title(x), sc.Label(Title(x))
		a.at = func(p *Point) float64 { return p.Interval(x, Confidence).Mean * sc.Factor }
		return a
	}
	var values []string
	for _, p := range points {
		if v := r.Value(p, x); !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	numbers, unit, ok := quantities(values)
	index := func(p *Point) int { return slices.Index(values, r.Value(p, x)) }
	if !ok || x == schedulerKey {
		a.categories, a.label = values, x
		a.at = func(p *Point) float64 { return float64(index(p)) }
		return a
	}
	a.label = Scale{Unit: unit}.Label(x)
	a.values = slices.Sorted(slices.Values(numbers))
	a.log = logarithmic(a.values)
	a.at = func(p *Point) float64 { return numbers[index(p)] }
	return a
}

func (r *Run) means(points []*Point, metric string) []float64 {
	var means []float64
	for _, p := range points {
		means = append(means, p.Interval(metric, Confidence).Mean)
	}
	return means
}

// logarithmic reports whether the values span so much that a linear axis shows nothing of the small ones.
func logarithmic(ascending []float64) bool {
	return len(ascending) > 2 && ascending[0] > 0 && ascending[len(ascending)-1] > 50*ascending[0]
}

// drawCurves draws the lines against a numeric axis.
func (f *Figure) drawCurves(a *xAxis, lines []*line, yLabel, unit string) {
	p := newPlot(a.label, yLabel)
	p.Add(grid{y: true})
	var ys []float64
	for i, l := range lines {
		p.Add(&curve{line: l, style: i, joined: true})
		for _, e := range l.points {
			ys = append(ys, e.Mean)
		}
	}
	slices.Sort(ys)
	fitY(p, unit, unit == "s" && logarithmic(ys))
	if a.log {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ticks{log: true}
	} else if len(a.values) > 0 && len(a.values) <= 8 {
		p.X.Tick.Marker = ticks{at: a.values}
	}
	f.draw = drawer(p)
}

// fitY sets the range of the y axis: from zero, unless it is logarithmic, up to a labelled tick.
func fitY(p *plot.Plot, unit string, log bool) {
	if log {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, ticks{log: true}
		return
	}
	p.Y.Min = min(0, p.Y.Min)
	if unit == "share" {
		p.Y.Min, p.Y.Max = 0, min(p.Y.Max, 100)
	}
	if !(p.Y.Max > p.Y.Min) {
		p.Y.Max = p.Y.Min + 1
	}
	step := niceStep(p.Y.Max-p.Y.Min, maxTicks)
	p.Y.Max = math.Ceil(p.Y.Max/step-1e-9) * step
}

// curve draws a line with markers and error bars.
type curve struct {
	*line
	style  int
	joined bool
}

// Plot implements plot.Plotter.
func (l *curve) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	var path []vg.Point
	for _, e := range l.points {
		path = append(path, vg.Point{X: trX(e.x), Y: trY(e.Mean)})
	}
	l.bars(c, p, lineStyle(l.style).Color)
	c.StrokeLines(lineStyle(l.style), path)
	for _, at := range path {
		c.DrawGlyphNoClip(glyphStyle(l.style), at)
	}
}

// bars draws the error bars.
func (l *line) bars(c draw.Canvas, p *plot.Plot, clr color.Color) {
	trX, trY := p.Transforms(&c)
	sty := draw.LineStyle{Color: clr, Width: 0.7}
	for _, e := range l.points {
		if !(e.Half > 0) {
			continue
		}
		x := trX(e.x)
		lo, hi := max(trY(max(e.Lo(), p.Y.Min)), c.Min.Y), min(trY(e.Hi()), c.Max.Y)
		c.StrokeLine2(sty, x, lo, x, hi)
		// An interval that goes on beyond the axis has no end to be marked.
		if e.Lo() >= p.Y.Min {
			c.StrokeLine2(sty, x-capHalf, lo, x+capHalf, lo)
		}
		if e.Hi() <= p.Y.Max {
			c.StrokeLine2(sty, x-capHalf, hi, x+capHalf, hi)
		}
	}
}

// capHalf is half the width of the ends of error bars.
const capHalf = 1.8

// DataRange implements plot.DataRanger: the intervals are within, unless they are much longer than the estimates.
func (l *line) DataRange() (xmin, xmax, ymin, ymax float64) {
	xmin, xmax, ymin, ymax = math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, e := range l.points {
		half := 0.0
		if e.Half > 0 {
			half = min(e.Half, math.Abs(e.Mean))
		}
		xmin, xmax = min(xmin, e.x), max(xmax, e.x)
		ymin, ymax = min(ymin, e.Mean-half), max(ymax, e.Mean+half)
	}
	return xmin, xmax, ymin, ymax
}

// Thumbnail implements plot.Thumbnailer.
func (l *curve) Thumbnail(c *draw.Canvas) {
	if l.joined {
		c.StrokeLine2(lineStyle(l.style), c.Min.X, c.Center().Y, c.Max.X, c.Center().Y)
	}
	c.DrawGlyph(glyphStyle(l.style), c.Center())
}

// drawRows draws categories as rows from top to bottom, long names being legible there, with markers and error bars.
func (f *Figure) drawRows(a *xAxis, lines []*line, xLabel string) {
	p := newPlot(xLabel, "")
	p.Add(grid{x: true})
	p.X.Min, p.X.Max = 0, 0
	for i, l := range lines {
		p.Add(&rowMarks{line: l, style: i, offset: (float64(i) - float64(len(lines)-1)/2) * 0.7 / float64(len(lines))})
		for _, e := range l.points {
			p.X.Min, p.X.Max = min(p.X.Min, e.Mean), max(p.X.Max, e.Mean+min(positive(e.Half), math.Abs(e.Mean)))
		}
	}
	roundUp(&p.X)
	row := categoryAxis(p, a.categories)
	f.height = 44 + vg.Length(len(a.categories))*max(row, 20, 7*vg.Length(len(lines)))
	f.draw = p.Draw
}

// roundUp ends a linear axis at a labelled tick.
func roundUp(a *plot.Axis) {
	if !(a.Max > a.Min) {
		a.Max = a.Min + 1
	}
	step := niceStep(a.Max-a.Min, maxTicks)
	a.Max = math.Ceil(a.Max/step-1e-9) * step
}

// categoryAxis makes the y axis one of categories, the first on top, at 0, -1, -2 and so on; it returns how high a row
// must be for its label.
func categoryAxis(p *plot.Plot, categories []string) (row vg.Length) {
	t := ticks{}
	for i, c := range categories {
		label := wrap(c, categoryWrap)
		t.at, t.labels = append(t.at, -float64(i)), append(t.labels, label)
		row = max(row, 4+7*vg.Length(1+strings.Count(label, "\n")))
	}
	p.Y.Min, p.Y.Max = -float64(len(categories))+0.5, 0.5
	p.Y.Tick.Marker, p.Y.Tick.Length, p.Y.Tick.LineStyle.Width = t, 4, 0
	p.Y.Tick.Label.XAlign, p.Y.Tick.Label.YAlign = text.XRight, text.YCenter
	p.Y.LineStyle.Width = 0
	p.X.Padding, p.Y.Padding = 0, 4
	return row
}

// rowMarks draws the estimates of one line, a row each.
type rowMarks struct {
	*line
	style  int
	offset float64
}

// Plot implements plot.Plotter.
func (l *rowMarks) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	for _, e := range l.points {
		at := vg.Point{X: trX(e.Mean), Y: trY(-e.x - l.offset)}
		if e.Half > 0 {
			rowInterval(c, p, lineStyle(l.style).Color, e.Lo(), e.Hi(), at.Y)
		}
		c.DrawGlyphNoClip(glyphStyle(l.style), at)
	}
}

// rowInterval draws an interval at the height y. Where it goes on beyond the axis it has no end to be marked.
func rowInterval(c draw.Canvas, p *plot.Plot, clr color.Color, lo, hi float64, y vg.Length) {
	trX, _ := p.Transforms(&c)
	sty := draw.LineStyle{Color: clr, Width: 0.7}
	x0, x1 := min(max(trX(lo), c.Min.X), c.Max.X), max(min(trX(hi), c.Max.X), c.Min.X)
	c.StrokeLine2(sty, x0, y, x1, y)
	if lo >= p.X.Min {
		c.StrokeLine2(sty, x0, y-capHalf, x0, y+capHalf)
	}
	if hi <= p.X.Max {
		c.StrokeLine2(sty, x1, y-capHalf, x1, y+capHalf)
	}
}
