package results

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func markOf(value, half, margin float64) RowMark {
	return RowMark{Value: value, Lo: value - half, Hi: value + half, Margin: margin, FloorLo: math.NaN(), FloorHi: math.NaN()}
}

func rowsOf(marks ...RowMark) *Rows {
	r := &Rows{What: "latency of B relative to A", Unit: "%", Margin: "margin", Floor: "A repeated", Series: []RowSeries{{Marks: marks}}}
	for i := range marks {
		r.Labels = append(r.Labels, string(rune('a'+i)))
	}
	return r
}

// look keeps a figure as PNG where FIGURES says so, to be looked at.
func look(t *testing.T, f *Figure) {
	t.Helper()
	if dir := os.Getenv("FIGURES"); dir != "" {
		if err := f.Save(filepath.Join(dir, f.Name+".png")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRowsFigure(t *testing.T) {
	r := rowsOf(markOf(1.2, 2, 5), markOf(-3, 1, 5), markOf(7, 1, 5))
	r.Series[0].Label = "mean"
	r.Series[0].Marks[1].FloorLo, r.Series[0].Marks[1].FloorHi = -1, 1
	r.Series = append(r.Series, RowSeries{Label: "p95", Marks: r.Series[0].Marks})
	f := r.Figure("rows", "Rows.")
	labels := texts(t, svgOf(t, f))
	for _, want := range []string{"a", "b", "c", "mean", "p95", "margin", "A repeated", "latency of B relative to A (%)", "-6", "0", "8"} {
		if !slices.Contains(labels, want) {
			t.Errorf("no label %q in %q", want, labels)
		}
	}
	look(t, f)
	if labels := texts(t, svgOf(t, rowsOf(markOf(1, 1, math.NaN())).Figure("rows", ""))); slices.Contains(labels, "margin") ||
		slices.Contains(labels, "A repeated") {
		t.Errorf("the legend has what there is not: %q", labels)
	}
}

// An estimate far beyond the others does not squeeze them: it has an arrow and a number. Without a margin, every one is in its
// place.
func TestRowsBeyond(t *testing.T) {
	r := rowsOf(markOf(1, 1, 5), markOf(-2, 1, 5), markOf(3, 1, 5), markOf(300, 10, 5), markOf(-250, 10, 5))
	f := r.Figure("rows-beyond", "")
	look(t, f)
	labels := texts(t, svgOf(t, f))
	if !slices.Contains(labels, "300 %") || !slices.Contains(labels, "\u2212250 %") || slices.Contains(labels, "20") {
		t.Errorf("labels %q", labels)
	}
	for i := range r.Series[0].Marks {
		r.Series[0].Marks[i].Margin = math.NaN()
	}
	if labels := texts(t, svgOf(t, r.Figure("rows", ""))); slices.Contains(labels, "300 %") || !slices.Contains(labels, "300") {
		t.Errorf("without a margin: %q", labels)
	}
}

func TestRowsSpan(t *testing.T) {
	for _, c := range []struct {
		marks  []RowMark
		lo, hi float64
	}{
		{[]RowMark{markOf(1, 0.5, 5)}, -5, 5},
		{[]RowMark{markOf(1, 1000, 5)}, -7.5, 7.5}, // an interval that long says nothing
		{[]RowMark{markOf(8, 1, 5), markOf(0, math.NaN(), 5)}, -5, 9},
		{[]RowMark{markOf(-0.02, 0.01, math.NaN())}, -0.03, 0},
		{[]RowMark{markOf(0, 3, math.NaN())}, -3, 3},
	} {
		lo, hi, _, ok := rowsOf(c.marks...).span()
		if !ok || math.Abs(lo-c.lo) > 1e-9 || math.Abs(hi-c.hi) > 1e-9 {
			t.Errorf("%+v: %g to %g, want %g to %g", c.marks, lo, hi, c.lo, c.hi)
		}
	}
}

// A figure of nothing is none; one of zeros is.
func TestRowsOfLittle(t *testing.T) {
	nan := math.NaN()
	if rowsOf().Figure("none", "") != nil || rowsOf(RowMark{nan, nan, nan, 5, -1, 1}).Figure("none", "") != nil {
		t.Error("a figure of no difference")
	}
	r := rowsOf(markOf(0, 0, nan), RowMark{nan, nan, nan, nan, nan, nan})
	r.Bars, r.Sum = true, true
	if svg := svgOf(t, r.Figure("zero", "")); strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		t.Error("the drawing has numbers that are none")
	}
}

func TestQQFigure(t *testing.T) {
	q := &QQ{XLabel: "latency in A", YLabel: "latency in B", Band: "margin"}
	for i := 1; i <= 100; i++ {
		x := 0.001 * float64(i)
		q.X, q.Y = append(q.X, x), append(q.Y, 1.1*x)
		q.Lo, q.Hi = append(q.Lo, 0.95*x), append(q.Hi, 1.05*x)
	}
	q.Named = []QQPoint{{"p50", 0.05, 0.055}, {"p51", 0.051, 0.0561}, {"p95", 0.095, 0.1045}}
	f := q.Figure("qq", "")
	look(t, f)
	labels := texts(t, svgOf(t, f))
	for _, want := range []string{"latency in A (ms)", "latency in B (ms)", "equal", "margin", "p50", "p95", "100"} {
		if !slices.Contains(labels, want) {
			t.Errorf("no label %q in %q", want, labels)
		}
	}
	if slices.Contains(labels, "p51") {
		t.Error("a name is written over another")
	}
	for _, q := range []QQ{{}, {X: []float64{1}, Y: []float64{1}}, {X: []float64{1, 1}, Y: []float64{1, 1}}, {X: []float64{0, 1}, Y: []float64{1, 2}}} {
		if q.Figure("none", "") != nil {
			t.Errorf("a figure of %v", q.X)
		}
	}
}

// The label of a logarithmic axis stands in its middle, and takes no room from the drawing.
func TestLabelOfLogarithmicAxis(t *testing.T) {
	d := Distribution{Label: "wide"}
	for i := range 100 {
		d.Values, d.Shares = append(d.Values, math.Pow(10, float64(i)/20-4)), append(d.Shares, float64(i+1)/100)
	}
	f := NewCDF("cdf-log", "A wide distribution.", d)
	look(t, f)
	if labels := texts(t, svgOf(t, f)); !slices.Contains(labels, "latency (s)") || !slices.Contains(labels, "0.001") {
		t.Errorf("labels %q", labels)
	}
	if NewCDF("none", "", Distribution{Label: "empty"}) != nil {
		t.Error("a figure of no latency")
	}
}

// What is not known of a node is white, and no load of 0.
func TestNodeLoadsWithGaps(t *testing.T) {
	h := NodeLoads{Loads: [][]float64{{0, math.NaN()}}}
	img := h.image(5)
	r, g, b, _ := img.At(img.Bounds().Max.X-1, 0).RGBA()
	if r != 0xffff || g != 0xffff || b != 0xffff {
		t.Errorf("no load is of colour %x %x %x", r, g, b)
	}
	if NewNodeLoads("none", "") != nil {
		t.Error("a figure of no nodes")
	}
}
