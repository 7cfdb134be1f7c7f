package results

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/palette/brewer"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/p2pfaas/p2pfaas/core"
)

// maxCases is how many cases one detailed figure shows: with more, nobody tells the lines apart.
const maxCases = 8

// detail picks the points that the detailed figures show: the schedulers of one setting, that three quarters through
// the sweep, where the load usually tells them apart; or, with one scheduler, points along the main swept key.
func (r *Run) detail() (cases []*Point, labels []string, where string) {
	groups := r.settings()
	keys := r.sweepable()
	switch {
	case len(groups) == 0:
		return nil, nil, ""
	case len(groups[0]) > 1:
		keys = []string{schedulerKey}
		cases, where = groups[(len(groups)-1)*3/4], strings.Join(r.where(groups[(len(groups)-1)*3/4][0]), ", ")
	case len(r.Points) <= maxCases:
		cases = r.Points
	default:
		keys = []string{r.mainAxis()}
		cases, where = r.slice(keys[0])
	}
	if n := len(cases); n > maxCases {
		all := cases
		cases = nil
		for i := range maxCases {
			cases = append(cases, all[i*(n-1)/(maxCases-1)])
		}
	}
	cases = slices.DeleteFunc(slices.Clone(cases), func(p *Point) bool { return len(p.Replications) == 0 })
	if len(keys) == 0 {
		keys = []string{schedulerKey}
	}
	for _, p := range cases {
		labels = append(labels, r.caseLabel(p, keys))
	}
	return cases, labels, where
}

// at is the end of a caption that says where a figure was taken.
func at(where string) string {
	if where == "" {
		return "."
	}
	return " at " + where + "."
}

// path draws a line of many points, with a few markers that tell it apart in grey.
type path struct {
	xs, ys []float64
	style  int
	half   []float64 // of the confidence interval; nil: none is drawn
	marks  int       // 0 = none
}

// Plot implements plot.Plotter.
func (l *path) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	var pts []vg.Point
	sty := lineStyle(l.style)
	sty.Width = 0.8
	flush := func() {
		c.StrokeLines(sty, c.ClipLinesX(pts)...)
		pts = nil
	}
	for i, x := range l.xs {
		if math.IsNaN(l.ys[i]) {
			flush()
			continue
		}
		pts = append(pts, vg.Point{X: trX(max(x, p.X.Min)), Y: trY(l.ys[i])})
	}
	flush()
	if l.marks == 0 {
		return
	}
	// Markers at equal distances of y, shifted from line to line, so that they do not hide each other.
	for k := range l.marks {
		y := p.Y.Min + (p.Y.Max-p.Y.Min)*(float64(k)+0.25+0.5*float64(l.style%5)/5)/float64(l.marks)
		if i, _ := slices.BinarySearch(l.ys, y); i > 0 && i < len(l.ys) && l.xs[i] <= p.X.Max {
			c.DrawGlyph(glyphStyle(l.style), vg.Point{X: trX(l.xs[i]), Y: trY(l.ys[i])})
		}
	}
}

// DataRange implements plot.DataRanger.
func (l *path) DataRange() (xmin, xmax, ymin, ymax float64) {
	xmin, xmax, ymin, ymax = math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for i, y := range l.ys {
		if !math.IsNaN(y) {
			xmin, xmax = min(xmin, l.xs[i]), max(xmax, l.xs[i])
			ymin, ymax = min(ymin, y), max(ymax, y)
		}
	}
	return xmin, xmax, ymin, ymax
}

// Thumbnail implements plot.Thumbnailer.
func (l *path) Thumbnail(c *draw.Canvas) {
	c.StrokeLine2(lineStyle(l.style), c.Min.X, c.Center().Y, c.Max.X, c.Center().Y)
	if l.marks > 0 {
		c.DrawGlyph(glyphStyle(l.style), c.Center())
	}
}

// cdfFigure draws the distribution of the latency.
func (r *Run) cdfFigure() *Figure {
	cases, labels, where := r.detail()
	var all []Distribution
	for i, p := range cases {
		var tallies []*Tally
		for _, rep := range p.Replications {
			tallies = append(tallies, rep.Tally)
		}
		d := Distribution{Label: labels[i]}
		for _, s := range LatencyCDF(tallies...) {
			d.Values, d.Shares = append(d.Values, s.Value.Seconds()), append(d.Shares, s.Share)
		}
		all = append(all, d)
	}
	return NewCDF("latency-cdf", "Distribution of the latency of completed requests"+at(where), all...)
}

// Distribution is that of a latency: which share of the requests, between 0 and 1, is answered within so many seconds.
type Distribution struct {
	Label          string
	Values, Shares []float64 // both ascending
}

// quantile is the smallest value that at least this share does not exceed.
func (d *Distribution) quantile(share float64) float64 {
	k, _ := slices.BinarySearch(d.Shares, share)
	return d.Values[min(k, len(d.Values)-1)]
}

// NewCDF draws distributions on each other; nil where none has a value. The axis of latency is logarithmic where they
// span much.
func NewCDF(name, caption string, all ...Distribution) *Figure {
	f := &Figure{Name: name, height: plotHeight}
	top, low := 0.0, math.Inf(1)
	var lines []*path
	for i, d := range all {
		if len(d.Values) == 0 {
			continue
		}
		top, low = max(top, d.quantile(0.995)), min(low, d.quantile(0.05))
		l := &path{style: i, marks: 6, xs: slices.Clone(d.Values)}
		for _, share := range d.Shares {
			l.ys = append(l.ys, 100*share)
		}
		lines = append(lines, l)
		f.legend = append(f.legend, entry{d.Label, l})
	}
	if len(lines) == 0 || top == 0 {
		return nil
	}
	sc := ScaleOf("s", top)
	p := newPlot(sc.Label("latency"), "completed requests (%)")
	p.Add(grid{y: true})
	for _, l := range lines {
		l.scaleAndThin(sc.Factor)
		p.Add(l)
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, top*sc.Factor, 0, 100
	if low > 0 && top > 100*low {
		p.X.Min, p.X.Scale, p.X.Tick.Marker = low*sc.Factor, plot.LogScale{}, ticks{log: true}
	}
	f.draw = drawer(p)
	f.Caption = caption + " The axis ends at the longest 99.5th percentile."
	return f
}

// scaleAndThin puts xs into another unit, and leaves out points that no print resolves.
func (l *path) scaleAndThin(factor float64) {
	var xs, ys []float64
	for i, x := range l.xs {
		if n := len(ys); n > 1 && i < len(l.xs)-1 && l.ys[i]-ys[n-1] < 0.1 && x < xs[n-1]/factor*1.02 {
			continue
		}
		xs, ys = append(xs, x*factor), append(ys, l.ys[i])
	}
	l.xs, l.ys = xs, ys
}

// parts are those of a latency, in the order in which they pass. Their greys differ too.
var parts = []struct {
	name, label string
	color       color.Color
}{
	{"client", "client's link", white},
	{"scheduling", "scheduling", black},
	{"probing", "probing", palette[6]},
	{"forwarding", "forwarding", palette[1]},
	{"waiting", "waiting", yellow},
	{"executing", "executing", palette[0]},
	{"returning", "returning", palette[5]},
}

// yellow is the one of the palette that serves for areas alone.
var yellow = color.RGBA{0xf0, 0xe4, 0x42, 0xff}

// swatch is a legend's sample of a filled area.
type swatch struct{ color.Color }

// Thumbnail implements plot.Thumbnailer.
func (s swatch) Thumbnail(c *draw.Canvas) { fillBox(*c, s.Color, c.Min.X+8, c.Min.Y, c.Max.X, c.Max.Y) }

func fillBox(c draw.Canvas, clr color.Color, x0, y0, x1, y1 vg.Length) {
	box := []vg.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}}
	c.FillPolygon(clr, box)
	if x1-x0 > 1.5 { // of a narrow one, the line would be all that is seen
		c.StrokeLines(draw.LineStyle{Color: black, Width: hairline}, append(box, box[0]))
	}
}

// breakdownFigure draws where the time went.
func (r *Run) breakdownFigure() *Figure {
	cases, labels, where := r.detail()
	return NewBreakdown("latency-breakdown", "Where the time of completed requests went, mean over them"+at(where), labels,
		func(bar int, part string) float64 { return cases[bar].Interval(part+".mean", Confidence).Mean })
}

// NewBreakdown draws a bar per label, of the mean parts of a latency: client, scheduling, probing, forwarding, waiting,
// executing and returning, in seconds. What is NaN is not drawn; nil where there is nothing to draw.
func NewBreakdown(name, caption string, labels []string, of func(bar int, part string) float64) *Figure {
	bars := make([][]float64, len(labels))
	top := 0.0
	for i := range labels {
		total := 0.0
		for _, part := range parts {
			v := positive(of(i, part.name)) // not defined where nothing completed
			bars[i] = append(bars[i], v)
			total += v
		}
		top = max(top, total)
	}
	if !(top > 0) {
		return nil
	}
	sc := ScaleOf("s", top)
	p := newPlot(sc.Label("mean latency of completed requests"), "")
	p.Add(grid{x: true})
	f := &Figure{Name: name, Caption: caption, height: 44 + max(18, categoryAxis(p, labels))*vg.Length(len(labels))}
	for k, part := range parts {
		if slices.ContainsFunc(bars, func(b []float64) bool { return b[k] > top/1000 }) {
			f.legend = append(f.legend, entry{part.label, swatch{part.color}})
		}
	}
	for i, b := range bars {
		for k := range b {
			bars[i][k] *= sc.Factor
		}
	}
	p.Add(stacks(bars))
	p.X.Min, p.X.Max = 0, top*sc.Factor
	roundUp(&p.X)
	f.draw = p.Draw
	return f
}

// stacks are horizontal bars, each of parts, the first on top.
type stacks [][]float64

// Plot implements plot.Plotter.
func (s stacks) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	for i, bar := range s {
		from := 0.0
		for k, v := range bar {
			if v > 0 {
				y := -float64(i)
				fillBox(c, parts[k].color, trX(from), trY(y-0.32), trX(from+v), trY(y+0.32))
				from += v
			}
		}
	}
}

// overTime draws what the samples of the runs' series say, mean over the replications.
func (r *Run) overTime(name, what, unit string, pick func(*Series) []float64) *Figure {
	cases, labels, where := r.detail()
	var all []Timeline
	var warm time.Duration
	for i, c := range cases {
		t := Timeline{Label: labels[i]}
		t.Values, t.half, t.Every = meanSeries(c, pick)
		if n := len(t.Values); n > 0 {
			warm = max(warm, t.Every*time.Duration(n)-c.Replications[0].Measured)
		}
		all = append(all, t)
	}
	caption := capital(what) + " over time" + at(where)
	if len(cases) > 0 && len(cases[0].Replications) > 1 {
		caption += " Mean over the replications, with its 95 % confidence interval."
	}
	return NewTimelines(name, caption, what, unit, warm, all...)
}

// Timeline is a quantity over time.
type Timeline struct {
	Label  string
	Every  time.Duration // distance of the values, the first of which is at its end
	Values []float64     // NaN where there is none
	half   []float64     // half-widths of their confidence intervals; nil: none is drawn
}

// NewTimelines draws a quantity in the unit of a metric over time, shading the warm-up; nil where there is no value.
func NewTimelines(name, caption, what, unit string, warm time.Duration, all ...Timeline) *Figure {
	f := &Figure{Name: name, Caption: caption, height: plotHeight * 0.85}
	var lines []*path
	var end time.Duration
	top := 0.0
	for i, series := range all {
		l := &path{style: i, ys: slices.Clone(series.Values), half: slices.Clone(series.half)}
		for k, y := range l.ys {
			l.xs = append(l.xs, (time.Duration(k+1) * series.Every).Seconds())
			top = max(top, positive(y))
		}
		if len(l.ys) == 0 {
			continue
		}
		end = max(end, series.Every*time.Duration(len(l.ys)))
		lines = append(lines, l)
		f.legend = append(f.legend, entry{series.Label, l})
	}
	if len(lines) == 0 {
		return nil
	}
	t, v := ScaleOf("s", end.Seconds()), ScaleOf(unit, top)
	p := newPlot(t.Label("time"), v.Label(what))
	p.Add(band{0, warm.Seconds() * t.Factor}, grid{y: true})
	for _, l := range lines {
		for i := range l.xs {
			l.xs[i] *= t.Factor
			l.ys[i] *= v.Factor
		}
		for i := range l.half {
			l.half[i] *= v.Factor
		}
		if l.half != nil {
			p.Add(ribbon{l})
		}
		p.Add(l)
	}
	p.X.Min, p.X.Max = 0, end.Seconds()*t.Factor
	fitY(p, unit, false)
	f.draw = p.Draw
	if warm > 0 {
		f.Caption += " The shaded part is the warm-up, which is not measured."
	}
	return f
}

// meanSeries is the mean over the replications of one of their series, the half-width of its confidence interval, and
// the distance of the samples.
func meanSeries(p *Point, pick func(*Series) []float64) (mean, half []float64, every time.Duration) {
	var values [][]float64 // by sample
	for _, r := range p.Replications {
		if r.Series == nil {
			continue
		}
		every = r.Series.Every
		for k, v := range pick(r.Series) {
			if k == len(values) {
				values = append(values, nil)
			}
			if !math.IsNaN(v) {
				values[k] = append(values[k], v)
			}
		}
	}
	for _, v := range values {
		i := Student(v, Confidence)
		mean, half = append(mean, i.Mean), append(half, i.Half)
	}
	return mean, half, every
}

// ribbon is the confidence interval around a path.
type ribbon struct{ *path }

// Plot implements plot.Plotter.
func (r ribbon) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	red, green, blue, _ := palette[r.style%len(palette)].RGBA()
	light := color.NRGBA{uint8(red >> 8), uint8(green >> 8), uint8(blue >> 8), 0x38}
	at := func(i int, side float64) vg.Point {
		y := min(p.Y.Max, max(p.Y.Min, r.ys[i]+side*r.half[i]))
		return vg.Point{X: trX(max(r.xs[i], p.X.Min)), Y: trY(y)}
	}
	for from, to := 0, 0; from < len(r.xs); from = to + 1 { // each part without a gap is one polygon
		var below, above []vg.Point
		for to = from; to < len(r.xs) && !math.IsNaN(r.ys[to]) && !math.IsNaN(r.half[to]); to++ {
			below, above = append(below, at(to, -1)), append(above, at(to, 1))
		}
		if slices.Reverse(above); len(below) > 1 {
			c.FillPolygon(light, append(below, above...))
		}
	}
}

// band shades a part of the x axis.
type band struct{ from, to float64 }

// Plot implements plot.Plotter.
func (b band) Plot(c draw.Canvas, p *plot.Plot) {
	trX, _ := p.Transforms(&c)
	x0, x1 := trX(b.from), trX(b.to)
	if x1 > x0 {
		c.FillPolygon(pale, []vg.Point{{X: x0, Y: c.Min.Y}, {X: x1, Y: c.Min.Y}, {X: x1, Y: c.Max.Y}, {X: x0, Y: c.Max.Y}})
	}
}

// The measures of a heat map.
const (
	maxPanels   = 6
	panelTitle  = 11 * vg.Length(1)
	panelAxis   = 26 * vg.Length(1) // beneath the last panel
	panelLeft   = 30 * vg.Length(1)
	barWidth    = 8 * vg.Length(1)
	barLabels   = 22 * vg.Length(1)
	panelHeight = 44 * vg.Length(1)
)

// heatFigure draws the load of the nodes over time, a panel per case.
func (r *Run) heatFigure() *Figure {
	cases, labels, where := r.detail()
	var panels []NodeLoads
	for i, c := range cases {
		s := c.Replications[0].Series
		if s == nil || len(s.PerNode) < 2 || len(s.PerNode[0]) == 0 || len(panels) == maxPanels {
			continue
		}
		h := NodeLoads{Label: labels[i], Every: s.Every}
		for k, row := range s.PerNode {
			h.Nodes = append(h.Nodes, s.node(k))
			h.Loads = append(h.Loads, make([]float64, len(row)))
			for j, load := range row {
				h.Loads[k][j] = float64(load)
			}
		}
		panels = append(panels, h)
	}
	return NewNodeLoads("load-per-node",
		"Load (tasks running and queued) of single nodes over time, first replication"+at(where), panels...)
}

// node is the k-th of those whose loads are kept.
func (s *Series) node(k int) core.NodeID {
	if k < len(s.Nodes) {
		return s.Nodes[k]
	}
	return core.NodeID(k)
}

// NodeLoads is the load of nodes over time.
type NodeLoads struct {
	Label string
	Every time.Duration // distance of the values
	Nodes []core.NodeID // at least one
	Loads [][]float64   // by node, as many of each; NaN where there is none
}

// NewNodeLoads draws loads of nodes as heat maps of one scale beneath each other; nil where there is none.
func NewNodeLoads(name, caption string, panels ...NodeLoads) *Figure {
	if len(panels) == 0 {
		return nil
	}
	// A single node far above the others, such as the cloud, must not make all others look idle.
	top := clipAt(panels)
	f := &Figure{Name: name, Caption: caption, height: panelAxis + (panelTitle+panelHeight)*vg.Length(len(panels))}
	f.draw = func(c draw.Canvas) {
		drawColorBar(c, top)
		c = draw.Crop(c, panelLeft, -barWidth-barLabels, 0, 0)
		for i, h := range panels {
			panel := c
			panel.Max.Y -= (panelTitle + panelHeight) * vg.Length(i)
			panel.Min.Y = panel.Max.Y - panelTitle - panelHeight
			h.draw(panel, top, i == len(panels)-1)
		}
	}
	return f
}

// clipAt is the load that no more than one sample in a thousand exceeds, at least 1.
func clipAt(panels []NodeLoads) float64 {
	var all []float64
	for _, h := range panels {
		for _, row := range h.Loads {
			all = append(all, defined(row)...)
		}
	}
	if slices.Sort(all); len(all) == 0 {
		return 1
	}
	return max(1, all[(len(all)-1)*999/1000])
}

// heatColors go from light (idle) to dark, so that they print in grey: ColorBrewer's YlGnBu, smoothed.
var heatColors = func() (colors [256]color.RGBA) {
	p, err := brewer.GetPalette(brewer.TypeSequential, "YlGnBu", 9)
	if err != nil {
		panic(err) // it is one of the library's
	}
	stops := p.Colors()
	for i := range colors {
		x := float64(i) / 255 * float64(len(stops)-1)
		k := min(int(x), len(stops)-2)
		r0, g0, b0, _ := stops[k].RGBA()
		r1, g1, b1, _ := stops[k+1].RGBA()
		mix := func(a, b uint32) uint8 { return uint8((float64(a) + (float64(b)-float64(a))*(x-float64(k))) / 257) }
		colors[i] = color.RGBA{mix(r0, r1), mix(g0, g1), mix(b0, b1), 0xff}
	}
	return colors
}()

func heatColor(load, top float64) color.RGBA { return heatColors[int(min(max(0, load), top)*255/top)] }

// drawColorBar draws the scale of colours at the right.
func drawColorBar(c draw.Canvas, top float64) {
	x0, x1 := c.Max.X-barLabels, c.Max.X-barLabels+barWidth
	y0, y1 := c.Min.Y+panelAxis, c.Max.Y-panelTitle
	img := image.NewRGBA(image.Rect(0, 0, 1, len(heatColors)))
	for i, clr := range heatColors {
		img.SetRGBA(0, len(heatColors)-1-i, clr)
	}
	c.DrawImage(vg.Rectangle{Min: vg.Point{X: x0, Y: y0}, Max: vg.Point{X: x1, Y: y1}}, img)
	sty := textStyle(tickSize)
	sty.YAlign = text.YCenter
	for _, t := range (ticks{}).Ticks(0, top) {
		if t.Value == math.Trunc(t.Value) {
			y := y0 + (y1-y0)*vg.Length(t.Value/top)
			c.StrokeLine2(draw.LineStyle{Color: black, Width: hairline}, x1, y, x1+2, y)
			c.FillText(sty, vg.Point{X: x1 + 4, Y: y}, t.Label)
		}
	}
	sty.XAlign = text.XCenter
	c.FillText(sty, vg.Point{X: (x0 + x1) / 2, Y: c.Max.Y - panelTitle/2}, "load")
}

// draw draws one panel; the last has the axis of time.
func (h *NodeLoads) draw(c draw.Canvas, top float64, last bool) {
	sty := textStyle(tickSize)
	sty.YAlign = text.YTop
	c.FillText(sty, vg.Point{X: c.Min.X, Y: c.Max.Y - 1}, h.Label)
	c.Max.Y -= panelTitle
	if !last {
		c.Min.Y += 3
	}
	c.DrawImage(c.Rectangle, h.image(top))
	frame := []vg.Point{c.Min, {X: c.Max.X, Y: c.Min.Y}, c.Max, {X: c.Min.X, Y: c.Max.Y}, c.Min}
	hair := draw.LineStyle{Color: black, Width: hairline}
	c.StrokeLines(hair, frame)
	sty.YAlign, sty.XAlign = text.YCenter, text.XRight
	n := len(h.Nodes)
	for _, k := range []int{0, n - 1} {
		y := c.Max.Y - (c.Max.Y-c.Min.Y)*vg.Length((float64(k)+0.5)/float64(n))
		c.FillText(sty, vg.Point{X: c.Min.X - 3, Y: y}, fmt.Sprint(h.Nodes[k]))
	}
	label := textStyle(labelSize)
	label.Rotation, label.XAlign, label.YAlign = math.Pi/2, text.XCenter, text.YBottom
	c.FillText(label, vg.Point{X: c.Min.X - 16, Y: c.Center().Y}, "node")
	if !last {
		return
	}
	whole := h.Every * time.Duration(len(h.Loads[0]))
	sc := ScaleOf("s", whole.Seconds())
	sty.XAlign, sty.YAlign = text.XCenter, text.YTop
	for _, t := range (ticks{}).Ticks(0, whole.Seconds()*sc.Factor) {
		x := c.Min.X + (c.Max.X-c.Min.X)*vg.Length(t.Value/(whole.Seconds()*sc.Factor))
		c.StrokeLine2(hair, x, c.Min.Y, x, c.Min.Y-2)
		c.FillText(sty, vg.Point{X: x, Y: c.Min.Y - 4}, t.Label)
	}
	label.Rotation, label.YAlign = 0, text.YTop
	c.FillText(label, vg.Point{X: c.Center().X, Y: c.Min.Y - 13}, sc.Label("time"))
}

// image is the panel's picture, each sample some pixels wide and high, so that viewers do not blur it.
func (h *NodeLoads) image(top float64) image.Image {
	const wide = 3
	high := max(1, 120/len(h.Loads))
	img := image.NewRGBA(image.Rect(0, 0, wide*len(h.Loads[0]), high*len(h.Loads)))
	for n, row := range h.Loads {
		for k, load := range row {
			clr := color.RGBA{0xff, 0xff, 0xff, 0xff} // no load is known
			if !math.IsNaN(load) {
				clr = heatColor(load, top)
			}
			for x := range wide {
				for y := range high {
					img.SetRGBA(k*wide+x, n*high+y, clr)
				}
			}
		}
	}
	return img
}
