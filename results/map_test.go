package results

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// mapOf is a map with the categories and values of a formula.
func mapOf(categories, wide, high int) *Map {
	m := &Map{X: Axis{Label: "running 0", Lo: -0.5, Hi: float64(wide) - 0.5, Cells: wide, Whole: true},
		Y: Axis{Label: "latency", Lo: 0, Hi: 2, Cells: high}, Titles: [2]string{"best action", "its value"}}
	for k := range categories {
		m.Categories = append(m.Categories, fmt.Sprintf("action %d", k))
	}
	for i := range wide * high {
		x, y := i%wide, i/wide
		switch {
		case x+y > (wide+high)*4/5:
			m.Of, m.Values = append(m.Of, Unseen), append(m.Values, math.NaN())
		case x == y:
			m.Of, m.Values = append(m.Of, Tied), append(m.Values, 0)
		default:
			m.Of, m.Values = append(m.Of, (x/2+y/2)%categories), append(m.Values, float64(x-y)/10)
		}
	}
	return m
}

// The figure names what it shows. With FIGURES=DIR, it is there as PNG, to be looked at.
func TestMapFigure(t *testing.T) {
	f := mapOf(3, 9, 9).Figure("map", "A map.")
	labels := texts(t, svgOf(t, f))
	for _, want := range []string{"running 0", "latency", "best action", "its value", "action 0", "action 2", "several equal",
		"never seen", "0", "8", "1.5"} {
		if !slices.Contains(labels, want) {
			t.Errorf("no label %q in %q", want, labels)
		}
	}
	if svgOf(t, f) != svgOf(t, mapOf(3, 9, 9).Figure("map", "A map.")) {
		t.Error("it differs when drawn again")
	}
	if dir := os.Getenv("FIGURES"); dir != "" {
		for _, m := range []*Map{mapOf(3, 9, 9), mapOf(14, 33, 40), mapOf(8, 5, 1)} {
			fig := m.Figure(fmt.Sprintf("map-%d", len(m.Categories)), "A map.")
			if err := fig.Save(filepath.Join(dir, fig.Name+".png")); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Where there are more categories than colours, the most frequent have them.
func TestMapColors(t *testing.T) {
	m := mapOf(14, 33, 40)
	f := &Figure{}
	colors := m.colors(f)
	if len(f.legend) != len(areas)+3 {
		t.Errorf("%d entries in the legend", len(f.legend))
	}
	if f.legend[len(areas)].label != "6 others" {
		t.Errorf("the others are called %q", f.legend[len(areas)].label)
	}
	if _, ok := colors[Unseen]; ok {
		t.Error("what was never seen has a colour")
	}
}

// A map of one value, or of none, is drawn too.
func TestMapWithoutRange(t *testing.T) {
	m := &Map{X: Axis{Label: "x", Lo: 0, Hi: 1, Cells: 2}, Y: Axis{Lo: -0.5, Hi: 0.5, Cells: 1, Whole: true},
		Categories: []string{"a"}, Of: []int{0, 0}, Values: []float64{1e20, 1e20}}
	_ = svgOf(t, m.Figure("one", ""))
	m.Of, m.Values = []int{Unseen, Unseen}, []float64{math.NaN(), math.NaN()}
	if lo, hi := m.Range(); lo != 0 || hi != 0 {
		t.Errorf("no values range from %g to %g", lo, hi)
	}
	_ = svgOf(t, m.Figure("none", ""))
}

func TestAxisCells(t *testing.T) {
	for _, a := range []Axis{{Lo: -1.5, Hi: 8.5, Cells: 10, Whole: true}, {Lo: 0, Hi: 24, Cells: 40}} {
		for k := range a.Cells {
			if got := a.Cell(a.Center(k)); got != k {
				t.Errorf("the middle of cell %d lies in cell %d", k, got)
			}
		}
		if a.Cell(a.Lo) != 0 || a.Cell(a.Hi) != a.Cells-1 || a.Cell(a.Lo-1) != -1 || a.Cell(a.Hi+1) != -1 || a.Cell(math.NaN()) != -1 {
			t.Errorf("edges of %+v", a)
		}
	}
	whole := Axis{Lo: -1.5, Hi: 2.5, Cells: 4, Whole: true}
	if got := whole.ticks(); !slices.Equal(got, []float64{-1, 0, 1, 2}) || math.Signbit(got[1]) {
		t.Errorf("ticks at %g", got)
	}
}
