package results

import (
	"cmp"
	"image"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Map is a plane divided into cells, of which each has a category and a value: what a learner prefers in each state, and
// what it expects of it.
type Map struct {
	X, Y       Axis
	Categories []string
	Of         []int     // category by cell, or Unseen, or Tied: rows of X, from the lowest Y
	Values     []float64 // by cell; NaN where there is none
	Titles     [2]string // of the map of categories, and of that of values
}

// Axis is one side of a Map.
type Axis struct {
	Label  string
	Lo, Hi float64 // the edges of the outermost cells
	Cells  int
	Whole  bool // each cell is one whole number, in its middle
}

// What a cell is that has no category.
const (
	Unseen = -1 // nothing is known of it
	Tied   = -2 // several are equally good
)

// Center is the middle of a cell.
func (a *Axis) Center(cell int) float64 {
	return a.Lo + (float64(cell)+0.5)*(a.Hi-a.Lo)/float64(a.Cells)
}

// Cell is the one that x lies in, -1 where it lies outside of all.
func (a *Axis) Cell(x float64) int {
	if !(x >= a.Lo && x <= a.Hi) {
		return -1
	}
	return min(int((x-a.Lo)/(a.Hi-a.Lo)*float64(a.Cells)), a.Cells-1)
}

// Range is that of the values; (0, 0) where there is none.
func (m *Map) Range() (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, v := range m.Values {
		if !math.IsNaN(v) {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	if lo > hi {
		return 0, 0
	}
	return lo, hi
}

// The measures of a figure of maps.
const (
	mapHeight = 92 * vg.Length(1)
	mapTicks  = 4
	mapGap    = 10 * vg.Length(1)
	mapBar    = 40 * vg.Length(1) // beside the values: their scale
	mapPixels = 480               // of a picture's side, at least
)

// areas are the colours of categories, the palette's in an order that keeps the first few apart in grey; tiedColor and
// othersColor are those of what has none of its own.
var (
	areas = []color.Color{palette[0], palette[4], palette[2], yellow, palette[1], palette[6], palette[5], palette[3]}

	tiedColor   = white
	othersColor = color.Gray{Y: 0x80}
	hatchColor  = color.Gray{Y: 0x90}
)

// Figure draws the categories on the left and the values on the right.
func (m *Map) Figure(name, caption string) *Figure {
	f := &Figure{Name: name, Caption: caption, height: panelTitle + mapHeight + panelAxis}
	colors := m.colors(f)
	f.draw = func(c draw.Canvas) {
		c.Min.X += m.left()
		c.Max.X -= mapBar
		width := (c.Max.X - c.Min.X - mapGap) / 2
		left, right := c, c
		left.Max.X, right.Min.X = c.Min.X+width, c.Max.X-width
		m.panel(left, m.Titles[0], true, func(cell int) (color.Color, bool) {
			clr, ok := colors[m.Of[cell]]
			return clr, ok
		})
		lo, hi := m.Range()
		if lo == hi { // a scale needs two ends
			half := max(0.5, math.Abs(lo)/100)
			lo, hi = lo-half, hi+half
		}
		m.panel(right, m.Titles[1], false, func(cell int) (color.Color, bool) {
			v := m.Values[cell]
			if math.IsNaN(v) {
				return nil, false
			}
			return heatColors[int(math.Round(255*(v-lo)/(hi-lo)))], true
		})
		valueBar(right, lo, hi)
	}
	return f
}

// colors gives the categories that occur a colour each, and the figure their legend. Where there are more categories
// than colours, the most frequent ones get them. What is unseen has no colour.
func (m *Map) colors(f *Figure) map[int]color.Color {
	cells := map[int]int{}
	for _, k := range m.Of {
		cells[k]++
	}
	var shown, others []int
	for k := range m.Categories {
		if cells[k] > 0 || len(m.Categories) <= len(areas) {
			shown = append(shown, k)
		}
	}
	if len(shown) > len(areas) {
		slices.SortStableFunc(shown, func(a, b int) int { return cmp.Compare(cells[b], cells[a]) })
		shown, others = shown[:len(areas)], shown[len(areas):]
		slices.Sort(shown)
	}
	colors := map[int]color.Color{Tied: tiedColor}
	add := func(label string, clr color.Color) { f.legend = append(f.legend, entry{label, swatch{clr}}) }
	for i, k := range shown {
		colors[k] = areas[i]
		if cells[k] > 0 {
			add(m.Categories[k], areas[i])
		}
	}
	for _, k := range others {
		colors[k] = othersColor
	}
	if len(others) > 0 {
		add(strconv.Itoa(len(others))+" others", othersColor)
	}
	if cells[Tied] > 0 {
		add("several equal", tiedColor)
	}
	if cells[Unseen] > 0 {
		f.legend = append(f.legend, entry{"never seen", hatching{}})
	}
	return colors
}

// left is the room for the labels of the vertical axis.
func (m *Map) left() vg.Length {
	if m.Y.Label == "" {
		return 4
	}
	widest := vg.Length(0)
	for _, t := range m.Y.ticks() {
		widest = max(widest, textStyle(tickSize).Width(formatNumber(t)))
	}
	return widest + 5 + 1.5*labelSize
}

// ticks are the values that are labelled.
func (a *Axis) ticks() (at []float64) {
	lo, hi := a.Lo, a.Hi
	if a.Whole {
		lo, hi = a.Center(0), a.Center(a.Cells-1)
	}
	step := niceStep(hi-lo, mapTicks)
	if a.Whole {
		step = max(1, step)
	}
	for k := math.Ceil(lo/step - 1e-9); k*step <= hi+step*1e-9; k++ {
		at = append(at, k*step+0) // minus zero is zero
	}
	return at
}

func formatNumber(x float64) string { return strconv.FormatFloat(x, 'g', 4, 64) }

// panel draws one map; the left one has the labels of the vertical axis.
func (m *Map) panel(c draw.Canvas, title string, left bool, colorOf func(cell int) (color.Color, bool)) {
	sty := textStyle(labelSize)
	sty.XAlign, sty.YAlign = text.XCenter, text.YTop
	c.FillText(sty, vg.Point{X: c.Center().X, Y: c.Max.Y}, title)
	c.Max.Y -= panelTitle
	c.Min.Y += panelAxis
	c.DrawImage(c.Rectangle, m.image(colorOf))
	hair := draw.LineStyle{Color: black, Width: hairline}
	c.StrokeLines(hair, []vg.Point{c.Min, {X: c.Max.X, Y: c.Min.Y}, c.Max, {X: c.Min.X, Y: c.Max.Y}, c.Min})

	small := textStyle(tickSize)
	small.XAlign, small.YAlign = text.XCenter, text.YTop
	for _, t := range m.X.ticks() {
		x := c.X((t - m.X.Lo) / (m.X.Hi - m.X.Lo))
		c.StrokeLine2(hair, x, c.Min.Y, x, c.Min.Y-2)
		c.FillText(small, vg.Point{X: x, Y: c.Min.Y - 4}, formatNumber(t))
	}
	c.FillText(sty, vg.Point{X: c.Center().X, Y: c.Min.Y - 13}, m.X.Label)
	if m.Y.Label == "" {
		return
	}
	small.XAlign, small.YAlign = text.XRight, text.YCenter
	for _, t := range m.Y.ticks() {
		y := c.Y((t - m.Y.Lo) / (m.Y.Hi - m.Y.Lo))
		c.StrokeLine2(hair, c.Min.X-2, y, c.Min.X, y)
		if left {
			c.FillText(small, vg.Point{X: c.Min.X - 4, Y: y}, formatNumber(t))
		}
	}
	if left {
		sty.Rotation, sty.YAlign = math.Pi/2, text.YTop
		c.FillText(sty, vg.Point{X: c.Min.X - m.left(), Y: c.Center().Y}, m.Y.Label)
	}
}

// image is the map's picture, many pixels to a cell: for the hatching, and so that viewers do not blur it.
func (m *Map) image(colorOf func(cell int) (color.Color, bool)) image.Image {
	wide, high := (mapPixels-1)/m.X.Cells+1, (mapPixels-1)/m.Y.Cells+1
	img := image.NewRGBA(image.Rect(0, 0, wide*m.X.Cells, high*m.Y.Cells))
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			clr, ok := colorOf((m.Y.Cells-1-y/high)*m.X.Cells + x/wide)
			if !ok {
				clr = white
				if (x+y)%20 < 4 {
					clr = hatchColor
				}
			}
			img.Set(x, y, clr)
		}
	}
	return img
}

// hatching is a legend's sample of what is unseen.
type hatching struct{}

// Thumbnail implements plot.Thumbnailer.
func (hatching) Thumbnail(c *draw.Canvas) {
	x0, x1, y0, y1 := c.Min.X+8, c.Max.X, c.Min.Y, c.Max.Y
	fillBox(*c, white, x0, y0, x1, y1)
	for x := x0; x < x1; x += 3.5 {
		end := min(x+y1-y0, x1)
		c.StrokeLine2(draw.LineStyle{Color: hatchColor, Width: 0.7}, x, y0, end, y0+end-x)
	}
}

// valueBar draws the scale of the values at the right of their panel.
func valueBar(c draw.Canvas, lo, hi float64) {
	c.Min.X, c.Max.X = c.Max.X+6, c.Max.X+6+barWidth
	c.Min.Y, c.Max.Y = c.Min.Y+panelAxis, c.Max.Y-panelTitle
	img := image.NewRGBA(image.Rect(0, 0, 1, len(heatColors)))
	for i, clr := range heatColors {
		img.SetRGBA(0, len(heatColors)-1-i, clr)
	}
	c.DrawImage(c.Rectangle, img)
	sty := textStyle(tickSize)
	sty.YAlign = text.YCenter
	for _, t := range (ticks{}).Ticks(lo, hi) {
		y := c.Y((t.Value - lo) / (hi - lo))
		c.StrokeLine2(draw.LineStyle{Color: black, Width: hairline}, c.Max.X, y, c.Max.X+2, y)
		c.FillText(sty, vg.Point{X: c.Max.X + 4, Y: y}, t.Label)
	}
}
