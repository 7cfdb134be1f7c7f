package results

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Prediction is a plane in which a model is held against measurements: it was fitted to those on the left of Split, and
// predicts those on the right.
type Prediction struct {
	X, Y      string  // labels of the axes, with their units
	Measured  []Spot  // drawn as points
	Model     []Spot  // drawn as a curve, by ascending X
	Simulated []Spot  // drawn as points with their intervals
	Split     float64 // between two X
}

// Spot is a value at X, with the half-width of its interval; 0: there is none.
type Spot struct{ X, Y, Half float64 }

// The two parts of the curve, the dots of the measurements, and the marks of the simulation.
var (
	fittedStyle    = draw.LineStyle{Color: palette[0], Width: 1.2}
	predictedStyle = draw.LineStyle{Color: palette[1], Width: 1.2, Dashes: dashes[1]}
	measuredStyle  = draw.GlyphStyle{Color: black, Radius: 1.6, Shape: draw.RingGlyph{}}
	simulatedStyle = draw.GlyphStyle{Color: palette[2], Radius: 2.2, Shape: draw.PyramidGlyph{}}
)

// Figure draws it.
func (f *Prediction) Figure(name, caption string) *Figure {
	fitted, predicted := &stroke{&line{}, fittedStyle}, &stroke{&line{}, predictedStyle}
	for _, s := range f.Model {
		part := predicted
		if s.X < f.Split {
			part = fitted
		}
		part.points = append(part.points, s.estimate())
	}
	measured, simulated := &marks{&line{}, measuredStyle}, &marks{&line{}, simulatedStyle}
	for _, s := range f.Measured {
		measured.points = append(measured.points, s.estimate())
	}
	for _, s := range f.Simulated {
		simulated.points = append(simulated.points, s.estimate())
	}
	p := newPlot(f.X, f.Y)
	p.Add(grid{y: true}, &split{f.Split}, measured, fitted, predicted, simulated)
	fitY(p, "", false)
	return &Figure{Name: name, Caption: caption, height: plotHeight, draw: p.Draw, legend: []entry{{"measured", measured},
		{"simulated, with 95 % intervals", simulated}, {"formula, fitted", fitted}, {"formula, predicted", predicted}}}
}

func (s Spot) estimate() estimate { return estimate{s.X, Interval{Mean: s.Y, Half: s.Half}} }

// marks draws the points of a line, with their error bars.
type marks struct {
	*line
	sty draw.GlyphStyle
}

// Plot implements plot.Plotter.
func (m *marks) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	m.bars(c, p, m.sty.Color)
	for _, e := range m.points {
		c.DrawGlyphNoClip(m.sty, vg.Point{X: trX(e.x), Y: trY(e.Mean)})
	}
}

// Thumbnail implements plot.Thumbnailer.
func (m *marks) Thumbnail(c *draw.Canvas) { c.DrawGlyph(m.sty, c.Center()) }

// stroke draws a line without its points.
type stroke struct {
	*line
	sty draw.LineStyle
}

// Plot implements plot.Plotter.
func (s *stroke) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	var path []vg.Point
	for _, e := range s.points {
		path = append(path, vg.Point{X: trX(e.x), Y: trY(e.Mean)})
	}
	c.StrokeLines(s.sty, path)
}

// Thumbnail implements plot.Thumbnailer.
func (s *stroke) Thumbnail(c *draw.Canvas) {
	c.StrokeLine2(s.sty, c.Min.X, c.Center().Y, c.Max.X, c.Center().Y)
}

// split draws the line between the two halves, and says which is which.
type split struct{ x float64 }

// Plot implements plot.Plotter.
func (s *split) Plot(c draw.Canvas, p *plot.Plot) {
	trX, _ := p.Transforms(&c)
	x := trX(s.x)
	c.StrokeLine2(draw.LineStyle{Color: color.Gray{Y: 0x80}, Width: 2 * hairline, Dashes: []vg.Length{2, 2}}, x, c.Min.Y, x, c.Max.Y)
	sty := textStyle(tickSize)
	c.FillText(sty, vg.Point{X: x + 3, Y: c.Min.Y + 3}, "predicted") // below the curve, which is high by then
	sty.XAlign = text.XRight
	c.FillText(sty, vg.Point{X: x - 3, Y: c.Min.Y + 3}, "fitted")
}

// DataRange implements plot.DataRanger.
func (s *split) DataRange() (xmin, xmax, ymin, ymax float64) {
	return s.x, s.x, math.Inf(1), math.Inf(-1)
}
