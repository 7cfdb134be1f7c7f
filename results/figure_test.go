package results

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/plot"
)

// texts are those of a drawing, which must be well-formed.
func texts(t *testing.T, svg string) (all []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for in := false; ; {
		token, err := d.Token()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			in = x.Name.Local == "text"
		case xml.CharData:
			if in {
				all = append(all, string(x))
			}
		case xml.EndElement:
			in = false
		}
	}
}

func svgOf(t *testing.T, f *Figure) string {
	t.Helper()
	var b bytes.Buffer
	if err := f.WriteTo(&b, "svg"); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The figures of a sweep say what they show; drawn twice, they are the same. With FIGURES=DIR, they are there as PNG,
// to be looked at.
func TestFigures(t *testing.T) {
	f := small
	if os.Getenv("FIGURES") != "" {
		f = fixture{rates: []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}, replications: 5, requests: 4000,
			nodes: 12, schedulers: []string{"NoScheduler", "Random", "PowerOfNScheduler(fanout=1, threshold=2)", "JSQ(2)",
				"LeastLoadedGossip"}}
	}
	r := f.filled()
	var names []string
	for _, fig := range Figures(r) {
		names = append(names, fig.Name)
		svg := svgOf(t, fig)
		if !slices.Contains(texts(t, svg), "JSQ(2)") {
			t.Errorf("%s does not name the scheduler", fig.Name)
		}
		if !strings.HasSuffix(fig.Caption, ".") {
			t.Errorf("caption of %s: %q", fig.Name, fig.Caption)
		}
		if dir := os.Getenv("FIGURES"); dir != "" {
			if err := fig.Save(filepath.Join(dir, fig.Name+".png")); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := []string{"latency-mean-workload-rate", "latency-p95-workload-rate", "drop-rate-workload-rate",
		"deadline-share-workload-rate", "forwarded-share-workload-rate", "latency-cdf", "latency-breakdown", "load-over-time",
		"latency-over-time", "load-per-node"}
	if !slices.Equal(names, want) {
		t.Errorf("figures %v", names)
	}
	again := Figures(f.filled())
	for i, fig := range Figures(r) {
		if svgOf(t, fig) != svgOf(t, again[i]) {
			t.Errorf("%s differs when drawn again", fig.Name)
		}
	}
	text := texts(t, svgOf(t, again[0]))
	for _, label := range []string{"workload.rate (1/s)", "mean latency (ms)", "4", "8", "12"} {
		if !slices.Contains(text, label) {
			t.Errorf("no label %q in %q", label, text)
		}
	}
}

func TestPlotXY(t *testing.T) {
	r := small.filled()
	for _, c := range []struct{ x, y, by, want string }{
		{"", "latency.mean", "", "workload.rate (1/s)"},
		{"workload.rate", "drop_rate", "scheduler", "drop rate (%)"},
		{"workload.rate", "latency.p99[echo]", "", "99th percentile of latency of echo (s)"},
		{"scheduler", "utilisation", "workload.rate", "rate = 8/s"},
		{"messages_per_request", "latency.p95", "", "messages per request"},
	} {
		path := filepath.Join(t.TempDir(), "figure.svg")
		if err := PlotXY(r, c.x, c.y, c.by, path); err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		if text := texts(t, read(t, path)); !slices.Contains(text, c.want) {
			t.Errorf("%+v: %q", c, text)
		}
	}
	for _, c := range []struct{ x, y, by, path, want string }{
		{"workload.rat", "latency.mean", "", "f.svg", "workload.rate, scheduler"},
		{"workload.rate", "latencymean", "", "f.svg", "latency.mean"},
		{"workload.rate", "latency.mean[nobody]", "", "f.svg", "no metric"},
		{"workload.rate", "latency.mean", "colour", "f.svg", "colour"},
		{"scheduler", "latency.mean", "scheduler", "f.svg", "--by scheduler,workload.rate"},
		{"workload.rate", "latency.mean", "", "f.bmp", "svg, pdf or png"},
	} {
		err := PlotXY(r, c.x, c.y, c.by, filepath.Join(t.TempDir(), c.path))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestFigureFormats(t *testing.T) {
	fig := Figures(small.filled())[0]
	for format, magic := range map[string]string{"svg": "<?xml", "pdf": "%PDF-", "png": "\x89PNG"} {
		path := filepath.Join(t.TempDir(), "figure."+strings.ToUpper(format))
		if err := fig.Save(path); err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); !strings.HasPrefix(got, magic) {
			t.Errorf("%s begins with %q", format, got[:8])
		}
		if format == "png" {
			img, err := png.DecodeConfig(strings.NewReader(read(t, path)))
			if err != nil || img.Width != 1050 { // 3.5 inches at 300 per inch
				t.Errorf("%d pixels wide, %v", img.Width, err)
			}
		}
	}
}

// What is drawn where there is little to draw: one point, no completed request, no series.
func TestFiguresOfLittle(t *testing.T) {
	if figures := Figures(&Run{}); len(figures) != 0 {
		t.Errorf("%d figures of nothing", len(figures))
	}
	r := &Run{Points: []*Point{pointOf(100, 120)}}
	for _, fig := range Figures(r) {
		svgOf(t, fig)
	}
	empty := &Point{Scheduler: "JSQ", Replications: []*Replication{{Tally: NewTally("f"), Series: &Series{}}}}
	r = &Run{Swept: []string{"workload.rate"}, Points: []*Point{empty, pointOf(0)}}
	empty.Values, r.Points[1].Values = []string{"1/s"}, []string{"2/s"}
	for _, fig := range Figures(r) {
		svgOf(t, fig)
	}
	if len(r.Warnings()) == 0 {
		t.Error("no word about it")
	}
}

// What is not defined of one case, or without an interval, leaves the others' units, axes and figures alone.
func TestFiguresOfUndefined(t *testing.T) {
	nothing := &Point{Scheduler: "Reject", Values: []string{"Reject"}, Replications: []*Replication{{Tally: NewTally("f")}}}
	slow := pointOf(7000)
	slow.Values = []string{slow.Scheduler}
	r := &Run{Swept: []string{"scheduler"}, Points: []*Point{slow, nothing}}
	if r.breakdownFigure() == nil {
		t.Error("nothing completed in one case, and the breakdown of all is missing")
	}
	f, err := r.plotXY(r.Points, "scheduler", "latency.mean", nil)
	if err != nil {
		t.Fatal(err)
	}
	if labels := texts(t, svgOf(t, f)); !slices.Contains(labels, "7") {
		t.Errorf("7 s without an interval are beyond the axis: %q", labels)
	}
	run := small.filled() // its series begin with NaN
	for _, p := range run.Points {
		p.Replications[0].Series = &Series{Every: time.Second, PerNode: make([][]int32, 2)} // no sample was taken
	}
	if run.heatFigure() != nil {
		t.Error("a figure of no samples")
	}
	run = small.filled()
	f = run.overTime("latency-over-time", "mean latency", "s", func(s *Series) []float64 { return s.Latency })
	if labels := texts(t, svgOf(t, f)); !slices.Contains(labels, "mean latency (ms)") {
		t.Errorf("latencies of 300 ms are not in milliseconds: %q", labels)
	}
}

// No entry of a legend leaves the figure or meets another.
func TestLegendLayout(t *testing.T) {
	labels := []string{"NoScheduler", "Random", "PowerOfNScheduler(fanout=1, threshold=2)", "JSQ", "LeastLoadedGossip",
		"JIQ"}
	for n := range len(labels) + 1 {
		f := &Figure{}
		for _, l := range labels[:n] {
			f.legend = append(f.legend, entry{label: l})
		}
		placed, height := f.layLegend()
		for i, e := range placed {
			right := e.x + thumbWidth + 4 + textStyle(tickSize).Width(e.label)
			if e.x < 0 || right > figureWidth-4 || e.y > height {
				t.Errorf("%d entries: %s at %v to %v, %v below the top", n, e.label, e.x, right, e.y)
			}
			if i > 0 && e.y == placed[i-1].y && e.x <= placed[i-1].x+thumbWidth+4+textStyle(tickSize).Width(placed[i-1].label) {
				t.Errorf("%d entries: %s covers the one before", n, e.label)
			}
		}
	}
}

func TestTicks(t *testing.T) {
	label := func(ticks []plot.Tick) string {
		var labels []string
		for _, tick := range ticks {
			if tick.Label != "" {
				labels = append(labels, tick.Label)
			}
		}
		return strings.Join(labels, " ")
	}
	for _, c := range []struct {
		ticks  ticks
		lo, hi float64
		want   string
	}{
		{ticks{}, 0, 700, "0 100 200 300 400 500 600 700"},
		{ticks{}, 1, 14, "2 4 6 8 10 12 14"},
		{ticks{}, 0, 0.05, "0.00 0.01 0.02 0.03 0.04 0.05"},
		{ticks{}, -0.1, 0.1, "-0.10 -0.05 0.00 0.05 0.10"},
		{ticks{}, 0, 3e-7, "0 5e-08 1e-07 1.5e-07 2e-07 2.5e-07 3e-07"},
		{ticks{at: []float64{0.7, 0.95}}, 0.7, 0.95, "0.7 0.95"},
		{ticks{log: true}, 0.5, 60, "0.5 1 2 5 10 20 50"},
		{ticks{log: true}, 1, 1e5, "1 10 100 1000 10000 100000"},
	} {
		if got := label(c.ticks.Ticks(c.lo, c.hi)); got != c.want {
			t.Errorf("%v to %v: %s, want %s", c.lo, c.hi, got, c.want)
		}
	}
}

func TestQuantities(t *testing.T) {
	for _, c := range []struct {
		values, unit string
		want         []float64
	}{
		{"8/s 10/s 0.5/s", "1/s", []float64{8, 10, 0.5}},
		{"1 2 8", "", []float64{1, 2, 8}},
		{"100ms 1s 0", "s", []float64{0.1, 1, 0}},
		{"100ms 200ms", "ms", []float64{100, 200}},
		{"2min 1h", "min", []float64{2, 60}},
		{"20% 50%", "%", []float64{20, 50}},
		{"fifo lifo", "", nil},
		{"4 unlimited", "", nil},
		{"1/s 60/min", "", nil},
	} {
		got, unit, ok := quantities(strings.Fields(c.values))
		same := func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }
		if ok != (c.want != nil) || ok && (unit != c.unit || !slices.EqualFunc(got, c.want, same)) {
			t.Errorf("%s: %v %q %v", c.values, got, unit, ok)
		}
	}
}

func TestWrap(t *testing.T) {
	for label, want := range map[string]string{
		"JSQ": "JSQ",
		"PowerOfNScheduler(fanout=1, threshold=2)": "PowerOfNScheduler\n(fanout=1,\nthreshold=2)",
		"discipline = fifo, abandon = true":        "discipline = fifo,\nabandon = true",
	} {
		if got := wrap(label, categoryWrap); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Palette and heat map can be told apart in grey: the darker, the more.
func TestHeatColorsAreMonotone(t *testing.T) {
	grey := func(i int) float64 {
		c := heatColors[i]
		return 0.299*float64(c.R) + 0.587*float64(c.G) + 0.114*float64(c.B)
	}
	for i := 1; i < len(heatColors); i++ {
		if grey(i) > grey(i-1) {
			t.Fatalf("colour %d is lighter than the one before", i)
		}
	}
	if heatColor(-1, 5) != heatColors[0] || heatColor(99, 5) != heatColors[255] {
		t.Error("a load beyond the scale")
	}
}

// Eight lines of one figure differ in their markers, whatever becomes of the colours.
func TestMarkersDiffer(t *testing.T) {
	for i := range markers {
		for j := range i {
			if glyphStyle(i).Shape == glyphStyle(j).Shape {
				t.Errorf("lines %d and %d have one marker", j, i)
			}
		}
	}
}
