package results

import (
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Rows are differences with their intervals, beneath each other: of many settings, or of the parts of a sum.
type Rows struct {
	What, Unit string   // of the axis; the unit is one of metrics: "s", "share", or another
	Labels     []string // of the rows
	Series     []RowSeries
	Bars       bool   // a difference is a bar from 0
	Sum        bool   // the last row is the sum of the others
	Margin     string // what the legend calls the margins
	Floor      string // what the legend calls the floors
}

// RowSeries is one kind of differences, with one of each row.
type RowSeries struct {
	Label string
	Marks []RowMark
}

// RowMark is a difference. NaN stands for what there is not.
type RowMark struct {
	Value, Lo, Hi    float64
	Margin           float64 // shaded on both sides of 0
	FloorLo, FloorHi float64 // another interval, in grey beneath the mark: what the difference is to be judged by
}

// The measures of a figure of rows.
const (
	rowsOutside  = 44 * vg.Length(1) // the axis and its label
	rowLeast     = 15 * vg.Length(1)
	rowPerMark   = 8 * vg.Length(1)
	rowFilled    = 0.8 // share of a row that its marks take
	floorWidth   = 3.4 * vg.Length(1)
	arrowLength  = 5 * vg.Length(1)
	rowsTolerate = 6 // margins or medians: a difference further away must not squeeze all others
)

var (
	floorColor = color.Gray{Y: 0xb0}
	barColor   = palette[6]
	sumColor   = color.Gray{Y: 0xb8}
)

// Figure draws the rows; nil where no difference is known.
func (r *Rows) Figure(name, caption string) *Figure {
	lo, hi, limit, ok := r.span()
	if !ok {
		return nil
	}
	sc := ScaleOf(r.Unit, max(-lo, hi))
	p := newPlot(sc.Label(r.What), "")
	p.Add(grid{x: true})
	row := categoryAxis(p, r.Labels)
	p.X.Min, p.X.Max = lo*sc.Factor, hi*sc.Factor
	for range 2 { // a wider axis may have wider steps
		step := niceStep(p.X.Max-p.X.Min, maxTicks)
		p.X.Min = math.Floor(p.X.Min/step+1e-9) * step
		p.X.Max = max(math.Ceil(p.X.Max/step-1e-9)*step, p.X.Min+step)
	}
	p.Add(&rowsPlot{r, sc, limit})
	f := &Figure{Name: name, Caption: caption, draw: p.Draw,
		height: rowsOutside + vg.Length(len(r.Labels))*max(row, rowLeast, rowPerMark*vg.Length(len(r.Series)))}
	for j, s := range r.Series {
		if len(r.Series) > 1 || s.Label != "" {
			f.legend = append(f.legend, entry{s.Label, &curve{line: &line{}, style: j}})
		}
	}
	if r.has(func(m RowMark) float64 { return m.Margin }) {
		f.legend = append(f.legend, entry{r.Margin, swatch{marginColor}})
	}
	if r.has(func(m RowMark) float64 { return m.FloorLo }) {
		f.legend = append(f.legend, entry{r.Floor, floorSample{}})
	}
	return f
}

func (r *Rows) has(what func(RowMark) float64) bool {
	return slices.ContainsFunc(r.Series, func(s RowSeries) bool {
		return slices.ContainsFunc(s.Marks, func(m RowMark) bool { return !math.IsNaN(what(m)) })
	})
}

// span is the range of the axis, and how far from 0 a difference is drawn in its place; ok: there is one.
func (r *Rows) span() (lo, hi, limit float64, ok bool) {
	var far []float64
	margin := 0.0
	for _, s := range r.Series {
		for _, m := range s.Marks {
			if !math.IsNaN(m.Value) {
				far = append(far, math.Abs(m.Value))
			}
			margin = max(margin, positive(m.Margin))
		}
	}
	if len(far) == 0 {
		return 0, 0, 0, false
	}
	slices.Sort(far)
	limit = math.Inf(1)
	if margin > 0 {
		limit = rowsTolerate * max(margin, far[(len(far)-1)/2])
	}
	reach := margin
	for _, v := range far {
		if v <= limit {
			reach = max(reach, v)
		}
	}
	longest := math.Inf(1)
	if margin > 0 {
		longest = 1.5 * reach // a longer interval goes on beyond the axis
	}
	lo, hi = -margin, margin
	extend := func(v, by float64) {
		if !math.IsNaN(v) {
			lo, hi = min(lo, max(v, -by)), max(hi, min(v, by))
		}
	}
	beyond := [2]bool{}
	for _, s := range r.Series {
		for _, m := range s.Marks {
			extend(m.Value, reach)
			ends := []float64{m.FloorLo, m.FloorHi}
			switch {
			case m.Value < -limit:
				beyond[0] = true
			case m.Value > limit:
				beyond[1] = true
			default:
				ends = append(ends, m.Lo, m.Hi)
			}
			for _, v := range ends {
				extend(v, longest)
			}
		}
	}
	room := 0.2 * (hi - lo) // for the number of what is beyond
	if beyond[0] {
		lo -= room
	}
	if beyond[1] {
		hi += room
	}
	return lo, hi, limit, true
}

// marginColor is that of margins.
var marginColor = color.RGBA{0xdd, 0xec, 0xf5, 0xff}

// rowsPlot draws rows.
type rowsPlot struct {
	*Rows
	scale Scale
	limit float64
}

// Plot implements plot.Plotter.
func (r *rowsPlot) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	x := func(v float64) vg.Length { return min(max(trX(v*r.scale.Factor), c.Min.X), c.Max.X) }
	n := float64(len(r.Series))
	place := func(row, series int) float64 { return -float64(row) - (float64(series)-(n-1)/2)*rowFilled/n }
	for j, s := range r.Series {
		for i, m := range s.Marks {
			if m.Margin > 0 {
				half := rowFilled / n / 2
				y0, y1 := trY(place(i, j)-half)-0.2, trY(place(i, j)+half)+0.2 // no seam between equal ones
				x0, x1 := x(-m.Margin), x(m.Margin)
				c.FillPolygon(marginColor, []vg.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}})
			}
		}
	}
	for i := 1; i < len(r.Labels); i++ {
		y := trY(-float64(i) + 0.5)
		sty := draw.LineStyle{Color: grey, Width: hairline}
		if r.Sum && i == len(r.Labels)-1 {
			sty.Color = black
		}
		c.StrokeLine2(sty, c.Min.X, y, c.Max.X, y)
	}
	c.StrokeLine2(draw.LineStyle{Color: black, Width: 0.6}, x(0), c.Min.Y, x(0), c.Max.Y)
	for j, s := range r.Series {
		for i, m := range s.Marks {
			y := trY(place(i, j))
			if m.FloorLo <= m.FloorHi {
				c.StrokeLine2(draw.LineStyle{Color: floorColor, Width: floorWidth}, x(m.FloorLo), y, max(x(m.FloorHi), x(m.FloorLo)+1), y)
			}
			switch {
			case math.IsNaN(m.Value):
			case math.Abs(m.Value) > r.limit:
				r.arrow(c, j, m.Value, y)
			default:
				r.mark(c, p, j, i, m, vg.Point{X: x(m.Value), Y: y}, vg.Point{X: x(0), Y: trY(place(i, j) - rowFilled/n/2)})
			}
		}
	}
}

// mark draws a difference in its place; corner is that of its bar at 0.
func (r *rowsPlot) mark(c draw.Canvas, p *plot.Plot, series, row int, m RowMark, at, corner vg.Point) {
	clr := lineStyle(series).Color
	if r.Bars {
		fill := barColor
		if r.Sum && row == len(r.Labels)-1 {
			fill = sumColor
		}
		fillBox(c, fill, min(at.X, corner.X), corner.Y, max(at.X, corner.X), 2*at.Y-corner.Y)
		clr = black
	}
	if m.Lo <= m.Hi {
		rowInterval(c, p, clr, m.Lo*r.scale.Factor, m.Hi*r.scale.Factor, at.Y)
	}
	if !r.Bars {
		c.DrawGlyphNoClip(glyphStyle(series), at)
	}
}

// arrow points to a difference beyond the axis, and says which it is.
func (r *rowsPlot) arrow(c draw.Canvas, series int, v float64, y vg.Length) {
	tip, tail, align := c.Max.X, -arrowLength, text.XRight
	if v < 0 {
		tip, tail, align = c.Min.X, arrowLength, text.XLeft
	}
	clr := lineStyle(series).Color
	c.FillPolygon(clr, []vg.Point{{X: tip, Y: y}, {X: tip + tail, Y: y + 2.6}, {X: tip + tail, Y: y - 2.6}})
	sty := textStyle(tickSize)
	sty.XAlign, sty.YAlign = align, text.YCenter
	number := strings.Replace(strconv.FormatFloat(v*r.scale.Factor, 'f', 0, 64), "-", "\u2212", 1)
	c.FillText(sty, vg.Point{X: tip + tail*1.4, Y: y + 0.6}, number+" "+r.scale.Unit)
}

// floorSample is a legend's sample of a floor.
type floorSample struct{}

// Thumbnail implements plot.Thumbnailer.
func (floorSample) Thumbnail(c *draw.Canvas) {
	c.StrokeLine2(draw.LineStyle{Color: floorColor, Width: floorWidth}, c.Min.X+3, c.Center().Y, c.Max.X-3, c.Center().Y)
}
