package results

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The figure has the points, both parts of the curve and the line between the halves. With FIGURES=DIR, it is there as PNG, to be
// looked at.
func TestPredictionFigure(t *testing.T) {
	model := func(x float64) float64 { return 3 / (1 + math.Exp(5-x)) }
	f := &Prediction{X: "arrival rate (1/s)", Y: "mean delay (s)", Split: 5.25}
	for i := range 91 {
		x := 1 + float64(i)/10
		f.Measured = append(f.Measured, Spot{X: x, Y: model(x) * (1 + 0.1*math.Sin(float64(7*i)))})
		f.Model = append(f.Model, Spot{X: x, Y: model(x)})
		if i%10 == 0 {
			f.Simulated = append(f.Simulated, Spot{x, model(x), 0.1})
		}
	}
	svg := svgOf(t, f.Figure("prediction", "A prediction."))
	labels := texts(t, svg)
	for _, want := range []string{"arrival rate (1/s)", "mean delay (s)", "measured", "simulated, with 95 % intervals", "formula, fitted",
		"formula, predicted", "fitted", "predicted", "10", "3.5"} {
		if !slices.Contains(labels, want) {
			t.Errorf("no label %q in %q", want, labels)
		}
	}
	f.Measured = f.Measured[1:]
	if less := svgOf(t, f.Figure("prediction", "A prediction.")); strings.Count(svg, "<path") != strings.Count(less, "<path")+1 {
		t.Errorf("%d shapes, and with one measurement less %d", strings.Count(svg, "<path"), strings.Count(less, "<path"))
	}
	if dir := os.Getenv("FIGURES"); dir != "" {
		if err := f.Figure("prediction", "A prediction.").Save(filepath.Join(dir, "prediction.png")); err != nil {
			t.Fatal(err)
		}
	}
}
