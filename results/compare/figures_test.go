package compare

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/results"
)

func drawnSVG(t *testing.T, f *results.Figure) string {
	t.Helper()
	var b bytes.Buffer
	if err := f.WriteTo(&b, "svg"); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The figures say what they show; drawn twice, they are the same. With FIGURES=DIR, they are there as PNG, to be looked at.
func TestFiguresOfComparison(t *testing.T) {
	c := madeUp()
	all, again := Figures(c), Figures(c)
	names := map[string]bool{}
	for i, f := range all {
		if names[f.Name] {
			t.Errorf("two figures are called %s", f.Name)
		}
		names[f.Name] = true
		if dir := os.Getenv("FIGURES"); dir != "" {
			if err := f.Save(filepath.Join(dir, f.Name+".png")); err != nil {
				t.Fatal(err)
			}
		}
		if !strings.HasSuffix(f.Caption, ".") || !strings.Contains(f.Caption, "reality") {
			t.Errorf("caption of %s: %q", f.Name, f.Caption)
		}
		if drawnSVG(t, f) != drawnSVG(t, again[i]) {
			t.Errorf("%s differs when drawn again", f.Name)
		}
	}
	if len(all) != 2+15*7 {
		t.Errorf("%d figures", len(all))
	}
	for name, want := range map[string][]string{
		"overview-latency":        {"mean latency", "p95 latency", "margin", "reality repeated", "difference of the latency (%)"},
		"overview-drops":          {"difference of the drop rate (pp)"},
		"point-15-latency-cdf":    {"reality", "simulation", "latency (s)"},
		"point-15-latency-qq":     {"latency in reality (s)", "latency in simulation (s)", "p50", "p99", "equal", "margin"},
		"point-15-percentiles":    {"mean", "p50", "p90", "p95", "p99", "p99.9", "margin", "reality repeated"},
		"point-15-parts":          {"reality", "simulation", "waiting", "executing"},
		"point-15-gap":            {"waiting", "executing", "latency", "mean of simulation minus that of reality (ms)"},
		"point-15-load-over-time": {"reality", "simulation", "mean load of a node"},
		"point-15-load-per-node":  {"reality", "simulation", "11", "load"},
	} {
		i := slices.IndexFunc(all, func(f *results.Figure) bool { return f.Name == name })
		if i < 0 {
			t.Errorf("there is no figure %s", name)
			continue
		}
		svg := drawnSVG(t, all[i])
		for _, text := range want {
			if !strings.Contains(svg, ">"+text+"<") {
				t.Errorf("%s does not say %q", name, text)
			}
		}
	}
}

func TestMarginAt(t *testing.T) {
	margins := []*Metric{{A: 0.1, Margin: 0.01}, {A: 0.3, Margin: 0.015}}
	for latency, want := range map[float64]float64{0.05: 0.1, 0.1: 0.1, 0.2: 0.075, 0.3: 0.05, 9: 0.05} {
		if got := marginAt(margins, latency); math.Abs(got-want) > 1e-12 {
			t.Errorf("the margin of %g s is %g of it, want %g", latency, got, want)
		}
	}
}

// strange are comparisons of which there is little to draw, or that have much of it.
func strange() map[string]*Comparison {
	nan := math.NaN()
	with := func(change func(*Point)) *Comparison {
		c := madeUp()
		c.Points = c.Points[14:]
		change(&c.Points[0])
		return c
	}
	all := map[string]*Comparison{
		"nothing completed in B": with(func(p *Point) {
			for i := range p.Metrics {
				if m := &p.Metrics[i]; m.Unit == "s" {
					m.B, m.Difference, m.Lo, m.Hi, m.Verdict = nan, nan, nan, nan, Undecided
				}
			}
			for i := range p.Parts {
				p.Parts[i].B, p.Parts[i].Difference, p.Parts[i].Lo, p.Parts[i].Hi = nan, nan, nan, nan
			}
			for i := range p.Quantiles {
				p.Quantiles[i].B = nan
			}
			p.Distances, p.Causes = nil, nil
		}),
		"no intervals": with(func(p *Point) {
			for i := range p.Metrics {
				p.Metrics[i].Lo, p.Metrics[i].Hi = nan, nan
			}
			for i := range p.Parts {
				p.Parts[i].Lo, p.Parts[i].Hi = nan, nan
			}
			for i := range p.Distances {
				p.Distances[i].Lo, p.Distances[i].Hi, p.Distances[i].Chance = nan, nan, nan
			}
			for i := range p.Causes {
				p.Causes[i].Lo, p.Causes[i].Hi = nan, nan
			}
		}),
		"one quantile":    with(func(p *Point) { p.Quantiles = p.Quantiles[99:100] }),
		"nothing at all":  with(func(p *Point) { *p = Point{Label: p.Label} }),
		"no points":       with(func(*Point) {}),
		"empty":           {},
		"equal latencies": with(func(p *Point) { p.Quantiles = slices.Repeat([]Quantile{{0.5, 0.1, 0.1}}, 9) }),
		"uneven loads": with(func(p *Point) {
			p.Load.A, p.Load.Nodes[3].A, p.Load.Nodes[4].B = p.Load.A[:10], p.Load.Nodes[3].A[:7], nil
		}),
		"no samples": with(func(p *Point) { p.Load = &Load{Every: time.Second, Nodes: []NodeLoad{{}}} }),
		"64 nodes": with(func(p *Point) {
			for id := len(p.Nodes); id < 64; id++ {
				n, l := p.Nodes[id%12], p.Load.Nodes[id%12]
				n.ID, l.ID = core.NodeID(id), core.NodeID(id)
				p.Nodes, p.Load.Nodes = append(p.Nodes, n), append(p.Load.Nodes, l)
			}
		}),
		"far away": with(func(p *Point) {
			for i := range p.Metrics {
				m := &p.Metrics[i]
				m.B, m.Difference, m.Lo, m.Hi = m.A*40, m.A*39, m.A*38, m.A*40
			}
		}),
	}
	all["no points"].Points = nil
	many := madeUp()
	many.Points = slices.Concat(many.Points, many.Points, many.Points)
	all["45 points"] = many
	return all
}

// pictures are those within a drawing, in letters of any kind.
var pictures = regexp.MustCompile(`base64,[^"]*`)

// Whatever a comparison lacks, what there is is drawn, and no drawing has a coordinate that is none.
func TestFiguresOfTheStrange(t *testing.T) {
	for what, c := range strange() {
		var names []string
		for _, f := range Figures(c) {
			names = append(names, f.Name)
			if svg := pictures.ReplaceAllString(drawnSVG(t, f), ""); strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
				t.Errorf("%s: %s has coordinates that are none", what, f.Name)
			}
			if dir := os.Getenv("FIGURES"); dir != "" && what != "45 points" {
				if err := f.Save(filepath.Join(dir, strings.ReplaceAll(what, " ", "-")+"-"+f.Name+".png")); err != nil {
					t.Fatal(err)
				}
			}
		}
		has := func(name string) bool { return slices.Contains(names, name) }
		switch what {
		case "nothing completed in B":
			if !has("point-1-latency-cdf") || has("point-1-latency-qq") || has("point-1-gap") || !has("point-1-parts") {
				t.Errorf("%s: %q", what, names)
			}
		case "one quantile":
			if has("point-1-latency-cdf") || has("point-1-latency-qq") || !has("point-1-percentiles") {
				t.Errorf("%s: %q", what, names)
			}
		case "nothing at all", "no points", "empty":
			if len(names) != 0 {
				t.Errorf("%s: %q", what, names)
			}
		case "45 points":
			if !has("overview-latency-1") || !has("overview-latency-3") || has("overview-latency-4") {
				t.Errorf("%s: %q", what, names[:4])
			}
		}
	}
}
