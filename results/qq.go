package results

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// QQ are the quantiles of two latencies in seconds, to be drawn against each other (M. B. Wilk and R. Gnanadesikan,
// "Probability plotting methods for the analysis of data", Biometrika 55(1), 1968): equal distributions lie on the
// diagonal.
type QQ struct {
	XLabel, YLabel string
	X, Y           []float64 // ascending, in pairs, above 0
	Lo, Hi         []float64 // of the band that is shaded, by X; nil: there is none
	Band           string    // what the legend calls it
	Named          []QQPoint // those that are marked
}

// QQPoint is a quantile with a name: p95.
type QQPoint struct {
	Name string
	X, Y float64
}

// qqHeight makes the plot about square.
const qqHeight = 214 * vg.Length(1)

// Figure draws the quantiles; nil where there are fewer than two.
func (q *QQ) Figure(name, caption string) *Figure {
	if len(q.X) < 2 {
		return nil
	}
	lo, hi := min(q.X[0], q.Y[0]), max(q.X[len(q.X)-1], q.Y[len(q.Y)-1])
	if !(lo > 0 && hi > lo) {
		return nil
	}
	sc := ScaleOf("s", hi)
	p := newPlot(sc.Label(q.XLabel), sc.Label(q.YLabel))
	p.Add(grid{x: true, y: true}, &qqPlot{q, sc.Factor})
	if hi > 20*lo {
		lo, hi = lo/1.1, hi*1.1
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ticks{log: true}
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, ticks{log: true}
	} else {
		room := 0.05 * (hi - lo)
		lo, hi = max(0, lo-room), hi+room
	}
	p.X.Min, p.X.Max = lo*sc.Factor, hi*sc.Factor
	p.Y.Min, p.Y.Max = p.X.Min, p.X.Max
	f := &Figure{Name: name, Caption: caption, height: qqHeight, draw: drawer(p)}
	f.legend = append(f.legend, entry{"quantiles", &path{}}, entry{"equal", diagonal{}})
	if q.Lo != nil {
		f.legend = append(f.legend, entry{q.Band, swatch{marginColor}})
	}
	return f
}

// qqPlot draws quantiles.
type qqPlot struct {
	*QQ
	factor float64
}

// Plot implements plot.Plotter.
func (q *qqPlot) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	at := func(x, y float64) vg.Point {
		within := func(v float64) float64 { return min(max(v*q.factor, p.X.Min), p.X.Max) }
		return vg.Point{X: trX(within(x)), Y: trY(within(y))}
	}
	if q.Lo != nil {
		var around []vg.Point
		for i, x := range q.X {
			around = append(around, at(x, q.Lo[i]))
		}
		for i := len(q.X) - 1; i >= 0; i-- {
			around = append(around, at(q.X[i], q.Hi[i]))
		}
		c.FillPolygon(marginColor, around)
	}
	c.StrokeLine2(diagonalStyle, c.Min.X, c.Min.Y, c.Max.X, c.Max.Y)
	var line []vg.Point
	for i, x := range q.X {
		line = append(line, at(x, q.Y[i]))
	}
	sty := lineStyle(0)
	c.StrokeLines(sty, line)
	below := vg.Length(math.Inf(-1))
	for _, n := range q.Named {
		pt := at(n.X, n.Y)
		c.DrawGlyphNoClip(glyphStyle(0), pt)
		if pt.Y-below < tickSize+1 {
			continue // its name would be over that of the one before
		}
		below = pt.Y
		sty, place := textStyle(tickSize), vg.Point{X: pt.X + 4, Y: pt.Y - 1}
		sty.XAlign, sty.YAlign = text.XLeft, text.YTop
		if place.X+sty.Width(n.Name) > c.Max.X {
			sty.XAlign, sty.YAlign, place = text.XRight, text.YBottom, vg.Point{X: pt.X - 4, Y: pt.Y + 1}
		}
		c.FillText(sty, place, n.Name)
	}
}

// diagonalStyle is that of the line on which quantiles are equal.
var diagonalStyle = draw.LineStyle{Color: black, Width: hairline, Dashes: []vg.Length{3, 2}}

// diagonal is a legend's sample of it.
type diagonal struct{}

// Thumbnail implements plot.Thumbnailer.
func (diagonal) Thumbnail(c *draw.Canvas) {
	c.StrokeLine2(diagonalStyle, c.Min.X, c.Center().Y, c.Max.X, c.Center().Y)
}
