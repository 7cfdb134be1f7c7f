package results

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Figure is a drawing as wide as a column of a paper.
type Figure struct {
	Name    string // of the file, without extension
	Caption string
	height  vg.Length // without the legend
	legend  []entry
	draw    func(draw.Canvas)
}

// entry is one of a legend.
type entry struct {
	label string
	plot.Thumbnailer
}

// The measures of all figures: a column of two on A4, text of 8 points as captions have it.
const (
	figureWidth  = 252 * vg.Length(1)
	plotHeight   = 156 * vg.Length(1)
	labelSize    = 8
	tickSize     = 7
	thumbWidth   = 22 * vg.Length(1)
	legendRow    = 10.5 * vg.Length(1)
	legendGap    = 4 * vg.Length(1)
	pixelsPerIn  = 300
	hairline     = 0.4 * vg.Length(1)
	categoryWrap = 22 // characters
	maxTicks     = 7
)

var (
	black = color.Gray{}
	grey  = color.Gray{Y: 0xd8}
	pale  = color.Gray{Y: 0xee}
	white = color.Gray{Y: 0xff}
)

// palette is Okabe and Ito's, which the colour-blind can tell apart ("Color universal design", 2008), without its
// yellow, which is not seen on white; the order keeps neighbours apart in grey too.
var palette = []color.Color{
	color.RGBA{0x00, 0x72, 0xb2, 0xff}, // blue
	color.RGBA{0xd5, 0x5e, 0x00, 0xff}, // vermillion
	color.RGBA{0x00, 0x9e, 0x73, 0xff}, // bluish green
	color.RGBA{0x00, 0x00, 0x00, 0xff}, // black
	color.RGBA{0xe6, 0x9f, 0x00, 0xff}, // orange
	color.RGBA{0xcc, 0x79, 0xa7, 0xff}, // reddish purple
	color.RGBA{0x56, 0xb4, 0xe9, 0xff}, // sky blue
}

// markers and dashes tell lines apart where colours do not.
var (
	markers = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, diamond{}, draw.RingGlyph{},
		draw.SquareGlyph{}, draw.TriangleGlyph{}, draw.CrossGlyph{}}
	dashes = [][]vg.Length{nil, {5, 2}, {1.5, 1.5}, {6, 1.5, 1.5, 1.5}, {3, 1.5}}
)

type diamond struct{}

// DrawGlyph implements draw.GlyphDrawer.
func (diamond) DrawGlyph(c *draw.Canvas, sty draw.GlyphStyle, pt vg.Point) {
	r := sty.Radius * 1.2
	c.FillPolygon(sty.Color, []vg.Point{{X: pt.X - r, Y: pt.Y}, {X: pt.X, Y: pt.Y + r}, {X: pt.X + r, Y: pt.Y},
		{X: pt.X, Y: pt.Y - r}})
}

// lineStyle and glyphStyle are those of the i-th line of a figure.
func lineStyle(i int) draw.LineStyle {
	return draw.LineStyle{Color: palette[i%len(palette)], Width: 1, Dashes: dashes[i%len(dashes)]}
}

func glyphStyle(i int) draw.GlyphStyle {
	return draw.GlyphStyle{Color: palette[i%len(palette)], Radius: 2.2, Shape: markers[i%len(markers)]}
}

func textStyle(size float64) text.Style {
	return text.Style{Color: black, Font: font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, vg.Length(size)),
		Handler: plot.DefaultTextHandler}
}

// newPlot is an empty plot in the style of all figures.
func newPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = x, y
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font = textStyle(labelSize).Font
		a.Label.Padding = 2
		a.Tick.Label.Font = textStyle(tickSize).Font
		a.Tick.Length = 3
		a.Tick.LineStyle.Width = hairline
		a.LineStyle.Width = hairline
		a.Tick.Marker = ticks{}
		a.Padding = 3
	}
	return p
}

// drawer draws a plot. The library makes room for the label of a logarithmic axis as if it stood at the arithmetic middle, so
// this writes it itself, in the middle of the axis.
func drawer(p *plot.Plot) func(draw.Canvas) {
	const room = labelSize*1.2 + 2
	label := func(a *plot.Axis) (text string) {
		if _, log := a.Scale.(plot.LogScale); log {
			text, a.Label.Text = a.Label.Text, ""
		}
		return text
	}
	x, y := label(&p.X), label(&p.Y)
	return func(c draw.Canvas) {
		inner := c
		if x != "" {
			inner.Min.Y += room
		}
		if y != "" {
			inner.Min.X += room
		}
		p.Draw(inner)
		data := p.DataCanvas(inner)
		middle := data.Center()
		sty := textStyle(labelSize)
		sty.XAlign, sty.YAlign = text.XCenter, text.YBottom
		c.FillText(sty, vg.Point{X: middle.X, Y: c.Min.Y}, x)
		sty.Rotation, sty.YAlign = math.Pi/2, text.YTop
		c.FillText(sty, vg.Point{X: c.Min.X, Y: middle.Y}, y)
	}
}

// WriteTo draws the figure in a format: svg, pdf or png (300 pixels per inch).
func (f *Figure) WriteTo(w io.Writer, format string) error {
	legend, legendHeight := f.layLegend()
	width, height := figureWidth, f.height+legendHeight
	var canvas vg.CanvasWriterTo
	switch format {
	case "svg":
		canvas = vgsvg.New(width, height)
	case "png":
		canvas = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(pixelsPerIn))}
	case "pdf":
		var err error
		if canvas, err = draw.NewFormattedCanvas(width, height, format); err != nil {
			return err
		}
	default:
		return fmt.Errorf("figures are written as svg, pdf or png, not %q", format)
	}
	c := draw.NewCanvas(canvas, width, height)
	c.FillPolygon(white, []vg.Point{c.Min, {X: c.Max.X, Y: c.Min.Y}, c.Max, {X: c.Min.X, Y: c.Max.Y}})
	c = draw.Crop(c, 2, -4, 2, -2)
	for _, e := range legend {
		e.draw(c)
	}
	f.draw(draw.Crop(c, 0, 0, 0, -legendHeight))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return err
	}
	out := b.Bytes()
	if format == "svg" {
		out = svgFixes(out)
	}
	_, err := w.Write(out)
	return err
}

// svgFixes mends what the library leaves open in a file of SVG: fonts of the same widths where the first is not
// installed, and pictures that fill their places.
func svgFixes(svg []byte) []byte {
	for _, fix := range [][2]string{
		{"font-family:Liberation Sans;", "font-family:'Liberation Sans',Arimo,Arial,Helvetica,sans-serif;"},
		{"data:image/jpg;", "data:image/png;"},
		{"<image ", `<image preserveAspectRatio="none" style="image-rendering:pixelated" `},
	} {
		svg = bytes.ReplaceAll(svg, []byte(fix[0]), []byte(fix[1]))
	}
	return svg
}

// Save draws the figure into a file; its extension says the format.
func (f *Figure) Save(path string) error {
	var b bytes.Buffer
	if err := f.WriteTo(&b, strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return WriteFile(path, b.Bytes())
}

// placed is an entry of a legend with its place: from the left edge, and from the top.
type placed struct {
	entry
	x, y vg.Length
}

// layLegend puts the legend above the plot, where it covers no data: in columns or, where a long label would leave
// only few of them, one entry after the other.
func (f *Figure) layLegend() (legend []placed, height vg.Length) {
	if len(f.legend) == 0 {
		return nil, legendGap
	}
	const room = figureWidth - 6
	var widths []vg.Length
	for i := range f.legend {
		e := &f.legend[i]
		e.label = fitted(e.label, room-thumbWidth-4)
		widths = append(widths, thumbWidth+4+textStyle(tickSize).Width(e.label)+9)
	}
	column := slices.Max(widths)
	columns := max(1, min(int((room+9)/column), len(f.legend)))
	x, row := vg.Length(0), 0
	for i, e := range f.legend {
		if x > 0 && x+widths[i] > room+9 {
			x, row = 0, row+1
		}
		legend = append(legend, placed{e, x, legendRow * (vg.Length(row) + 0.5)})
		x += widths[i]
	}
	if rows := (len(f.legend) + columns - 1) / columns; rows <= row+1 {
		row = rows - 1
		left := (room + 9 - column*vg.Length(columns)) / 2
		for i := range legend {
			legend[i].x, legend[i].y = max(0, left)+column*vg.Length(i%columns), legendRow*(vg.Length(i/columns)+0.5)
		}
	}
	return legend, legendRow*vg.Length(row+1) + legendGap
}

// fitted is a label that is no wider than room: what is too long ends in an ellipsis.
func fitted(label string, room vg.Length) string {
	sty := textStyle(tickSize)
	if sty.Width(label) <= room {
		return label
	}
	letters := []rune(label)
	for len(letters) > 0 && sty.Width(string(letters)+"…") > room {
		letters = letters[:len(letters)-1]
	}
	return string(letters) + "…"
}

func (e *placed) draw(c draw.Canvas) {
	at := vg.Point{X: c.Min.X + e.x, Y: c.Max.Y - e.y}
	e.Thumbnail(&draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{Min: vg.Point{X: at.X, Y: at.Y - 3.5},
		Max: vg.Point{X: at.X + thumbWidth, Y: at.Y + 3.5}}})
	sty := textStyle(tickSize)
	sty.YAlign = text.YCenter
	c.FillText(sty, vg.Point{X: at.X + thumbWidth + 4, Y: at.Y + 0.8}, e.label)
}

// ticks are labelled at multiples of 1, 2 or 5 times a power of ten; with at, only there.
type ticks struct {
	at     []float64
	labels []string // of at; nil: the numbers
	log    bool
}

// Ticks implements plot.Ticker.
func (t ticks) Ticks(lo, hi float64) []plot.Tick {
	if t.log {
		return logTicks(lo, hi)
	}
	at := t.at
	step := niceStep(hi-lo, maxTicks)
	if at == nil {
		for k := math.Ceil(lo/step - 1e-9); k*step <= hi+step*1e-9; k++ {
			at = append(at, k*step)
		}
	}
	var out []plot.Tick
	for i, v := range at {
		label := formatTick(v, step)
		if t.labels != nil {
			label = t.labels[i]
		} else if t.at != nil {
			label = strconv.FormatFloat(v, 'g', 6, 64)
		}
		out = append(out, plot.Tick{Value: v, Label: label})
	}
	return out
}

// niceStep divides a span into at most n steps of 1, 2 or 5 times a power of ten.
func niceStep(span float64, n int) float64 {
	if !(span > 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(span/float64(n))))
	for _, m := range []float64{1, 2, 5} {
		if span/(m*power) <= float64(n)*(1+1e-9) {
			return m * power
		}
	}
	return 10 * power
}

func formatTick(v, step float64) string {
	digits := max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
	if math.Abs(v) < step/2 {
		v = 0
	}
	if digits > 4 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

// logTicks labels the powers of ten, and 2 and 5 times them where there is room.
func logTicks(lo, hi float64) (out []plot.Tick) {
	decades := math.Log10(hi / lo)
	for k := math.Floor(math.Log10(lo)); k <= math.Ceil(math.Log10(hi)); k++ {
		for m := 1.; m < 10; m++ {
			v := m * math.Pow(10, k)
			if v < lo*(1-1e-9) || v > hi*(1+1e-9) {
				continue
			}
			t := plot.Tick{Value: v}
			if m == 1 || decades < 2.5 && (m == 2 || m == 5) {
				t.Label = strconv.FormatFloat(v, 'g', 6, 64)
			}
			out = append(out, t)
		}
	}
	return out
}

// grid draws hairlines at the labelled ticks of the axes, under the data.
type grid struct{ x, y bool }

// Plot implements plot.Plotter.
func (g grid) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	sty := draw.LineStyle{Color: grey, Width: hairline}
	if g.y {
		for _, t := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
			if y := trY(t.Value); t.Label != "" && c.ContainsY(y) {
				c.StrokeLine2(sty, c.Min.X, y, c.Max.X, y)
			}
		}
	}
	if g.x {
		for _, t := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
			if x := trX(t.Value); t.Label != "" && c.ContainsX(x) {
				c.StrokeLine2(sty, x, c.Min.Y, x, c.Max.Y)
			}
		}
	}
}

// Scale is how values are shown: in which unit, and the factor from their own.
type Scale struct {
	Unit   string
	Factor float64
}

// ScaleOf picks the unit in which values up to top are easy to read. Their own is one of metrics: "s", "share", or another.
func ScaleOf(unit string, top float64) Scale {
	switch {
	case unit == "share":
		return Scale{"%", 100}
	case unit != "s":
		return Scale{unit, 1}
	case top >= 2*3600:
		return Scale{"h", 1. / 3600}
	case top >= 600:
		return Scale{"min", 1. / 60}
	case top >= 1 || !(top > 0):
		return Scale{"s", 1}
	case top >= 1e-3:
		return Scale{"ms", 1e3}
	case top >= 1e-6:
		return Scale{"µs", 1e6}
	}
	return Scale{"ns", 1e9}
}

// Label is a name with the unit: "mean latency (ms)".
func (s Scale) Label(name string) string {
	if s.Unit == "" {
		return name
	}
	return name + " (" + s.Unit + ")"
}

// Title is a metric's name as a figure spells it: "95th percentile of latency".
func Title(metric string) string {
	base, function, per := cutFunction(metric)
	if !per {
		base = metric
	}
	base = strings.ReplaceAll(base, "_", " ")
	if of, what, ok := strings.Cut(base, "."); ok {
		switch {
		case what == "mean":
			base = "mean " + of
		case what == "max":
			base = "longest " + of
		case what == "std":
			base = "standard deviation of " + of
		case strings.HasPrefix(what, "p"):
			base = what[1:] + "th percentile of " + of
			if what == "p50" {
				base = "median " + of
			}
		}
	}
	if per {
		base += " of " + function
	}
	return base
}

// quantities reads values like "8/s", "300ms" or "4" as numbers of one unit. Durations may differ in theirs.
func quantities(values []string) (numbers []float64, unit string, ok bool) {
	for i, v := range values {
		n, u, ok := quantity(v)
		if i > 0 && u != unit {
			return durations(values)
		}
		if !ok {
			return nil, "", false
		}
		numbers, unit = append(numbers, n), u
	}
	if strings.HasPrefix(unit, "/") {
		unit = "1" + unit
	}
	return numbers, unit, len(numbers) > 0
}

func quantity(s string) (v float64, unit string, ok bool) {
	end := strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune("+-.0123456789", r) })
	if end < 0 {
		end = len(s)
	}
	v, err := strconv.ParseFloat(s[:end], 64)
	return v, strings.TrimSpace(s[end:]), err == nil
}

// secondsIn are the units of durations in scenario files.
var secondsIn = map[string]float64{"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600,
	"d": 86400}

func durations(values []string) (numbers []float64, unit string, ok bool) {
	for _, s := range values {
		v, u, ok := quantity(s)
		if u == "" && v == 0 {
			u = "s"
		}
		if !ok || secondsIn[u] == 0 {
			return nil, "", false
		}
		numbers = append(numbers, v*secondsIn[u])
	}
	sc := ScaleOf("s", slices.Max(numbers))
	for i := range numbers {
		numbers[i] *= sc.Factor
	}
	return numbers, sc.Unit, true
}

// wrap breaks a long label into lines, after spaces and before parentheses.
func wrap(label string, width int) string {
	var lines []string
	line := ""
	for _, part := range strings.SplitAfter(strings.ReplaceAll(label, "(", "\v("), "\v") {
		for word := range strings.SplitAfterSeq(strings.TrimSuffix(part, "\v"), " ") {
			if line != "" && len(line)+len(strings.TrimSpace(word)) > width {
				lines, line = append(lines, strings.TrimSpace(line)), ""
			}
			line += word
		}
	}
	return strings.Join(append(lines, strings.TrimSpace(line)), "\n")
}
