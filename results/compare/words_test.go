package compare

import (
	"math"
	"strings"
	"testing"
)

func TestSideNames(t *testing.T) {
	for _, c := range []struct {
		a, b       Side
		wantA      string
		wantB      string
		wantedHead string
	}{
		{Side{Name: "f", World: "real"}, Side{Name: "f", World: "sim"}, "reality", "simulation", "f: simulation compared with reality"},
		{Side{Name: "f", World: "sim"}, Side{Name: "g", World: "sim"}, "f", "g", "g compared with f"},
		{Side{Name: "f", World: "real", Dir: "runs/1"}, Side{Name: "f", World: "real", Dir: "runs/2"}, "1", "2", "f: 2 compared with 1"},
		{Side{}, Side{}, "A", "B", "B compared with A"},
	} {
		x := &Comparison{A: c.a, B: c.b}
		if a, b := x.sideNames(); a != c.wantA || b != c.wantB || x.heading() != c.wantedHead {
			t.Errorf("%+v and %+v are %q and %q, with heading %q", c.a, c.b, a, b, x.heading())
		}
	}
	c := &Comparison{A: Side{World: "real"}, B: Side{World: "sim"}}
	if got := c.named("f takes 2 s in B, 1 s in A; BIN A and in Berlin stay"); got != "f takes 2 s in simulation, 1 s in reality; BIN A and in Berlin stay" {
		t.Error(got)
	}
}

// judged is a point with metrics of these verdicts.
func judged(label string, verdicts ...Verdict) Point {
	p := Point{Label: label}
	for i, v := range verdicts {
		p.Metrics = append(p.Metrics, Metric{Name: []string{"latency.mean", "latency.p95", "drop_rate"}[i], Verdict: v})
	}
	return p
}

func TestHeadline(t *testing.T) {
	e, d, u := judged("e", Equivalent, Equivalent), judged("d", Equivalent, Different, Undecided), judged("u", Undecided, "")
	for _, c := range []struct {
		points []Point
		want   string
	}{
		{nil, "The runs have no point in common, so nothing is compared."},
		{[]Point{e}, "The only point is equivalent within its margins."},
		{[]Point{d}, "The only point is different: p95 latency."},
		{[]Point{e, e}, "All 2 points are equivalent within their margins."},
		{[]Point{e, d, u}, "1 of 3 points is equivalent within its margins; 1 is different (d); 1 is undecided (u)."},
		{[]Point{d, d, d, d, u}, "None of the 5 points is equivalent within its margins; 4 are different; 1 is undecided (u)."},
		{[]Point{e, judged("x")}, "1 of 2 points is equivalent within its margins; 1 is without a margin (x)."},
		{[]Point{judged("x", ""), judged("y", "")}, "2 points are compared without a margin, hence without a verdict."},
	} {
		if got := (&Comparison{Points: c.points}).headline(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestSigned(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.001: "0", -0.004: "0", 0.8: "+0.80", -0.25: "−0.25", 4.44: "+4.4", -13: "−13.0", 312.4: "+312"} {
		if got := signed(v); got != want {
			t.Errorf("%g is %q, want %q", v, got, want)
		}
	}
	if got := signed(math.NaN()); got != "-" {
		t.Error(got)
	}
}

func TestReading(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		m    Metric
		want reading
	}{
		{Metric{Name: "latency.p95", Unit: "s", A: 0.2, B: 0.21, Difference: 0.01, Lo: 0.004, Hi: 0.016, Margin: 0.01, Verdict: Undecided},
			reading{"95th percentile of latency", "200.0", "210.0", "ms", "+5.0 %", "[+2.0, +8.0]", "±5 %", Undecided}},
		{Metric{Name: "drop_rate", A: 0.021, B: 0.029, Difference: 0.008, Lo: -0.001, Hi: 0.017, Margin: 0.01},
			reading{"drop rate", "2.10", "2.90", "%", "+0.80 pp", "[−0.10, +1.7]", "±1 pp", ""}},
		{Metric{Name: "drop_rate", Difference: 0, Lo: 0, Hi: 0, Margin: nan}, reading{"drop rate", "0", "0", "%", "0 pp", "[0, 0]", "", ""}},
		{Metric{Name: "latency.mean", Unit: "s", A: nan, B: 1.5, Difference: nan, Lo: nan, Hi: nan, Margin: nan},
			reading{"mean latency", "-", "1.500", "s", "-", "", "", ""}},
		{Metric{Name: "waiting.mean", Unit: "s", A: 0, B: 0.003, Difference: 0.003, Lo: 0.002, Hi: 0.004, Margin: nan}, // no share of nothing
			reading{"mean waiting", "0.000", "3.000", "ms", "+3.0 ms", "[+2.0, +4.0]", "", ""}},
		{Metric{Name: "hops.mean", A: 0.4, B: 0.3, Difference: -0.1, Lo: nan, Hi: nan, Margin: nan},
			reading{"mean hops", "0.400", "0.300", "", "−25.0 %", "", "", ""}},
	} {
		if got := c.m.reading(); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.m.Name, got, c.want)
		}
	}
}

func TestGap(t *testing.T) {
	p := Point{Metrics: []Metric{{Name: "latency.mean", Unit: "s", A: 0.1, B: 0.08, Difference: -0.02, Lo: -0.03, Hi: -0.01}},
		Parts: []Part{{Name: "waiting", Difference: -0.025}, {Name: "executing", Difference: 0.008}, {Name: "client", Difference: -0.003}}}
	if got := p.gap(); got != "waiting accounts for −25.0 ms of −20.0 ms (125 %) of the difference of the mean latency" || !p.gapped() {
		t.Errorf("%q, %t", got, p.gapped())
	}
	p.Metrics[0].Hi = 0.01
	if p.gap() != "" || p.gapped() || !p.mayBeEqual() {
		t.Error("a gap is explained that may be none")
	}
	p.Metrics[0].Verdict = Undecided
	if got := new(Comparison).explanations(&p); len(got) != 1 || !strings.Contains(got[0], "contains 0") {
		t.Errorf("%q", got)
	}
	if (&Point{}).gap() != "" || (&Point{}).gapped() {
		t.Error("a gap of nothing")
	}
}

func TestExplained(t *testing.T) {
	for _, c := range []struct {
		of   Explained
		want string
	}{
		{Explained{"latency.mean", 0.02, 0.005}, "With it put right, the difference of the mean latency goes from +20.0 to +5.0 ms, which closes 75 % of it."},
		{Explained{"latency.p95", 0.02, -0.03}, "With it put right, the difference of the p95 latency goes from +20.0 to −30.0 ms, which is further away: this cause alone does not explain it."},
		{Explained{"drop_rate", 0.02, 0}, "With it put right, the difference of the drop rate goes from +2.0 to 0 pp, which closes 100 % of it."},
		{Explained{"drop_rate", 0, 0}, "With it put right, the difference of the drop rate goes from 0 to 0 pp."},
	} {
		if got := (&Cause{Explains: []Explained{c.of}}).explained(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if (&Cause{}).explained() != "" {
		t.Error("what was not simulated is explained")
	}
}

func TestMarginsText(t *testing.T) {
	c := &Comparison{Margins: []Margin{{Metric: "latency.mean", Value: 0.05, Relative: true}, {Metric: "latency.p99", Value: 0.02},
		{Metric: "drop_rate", Value: 0.005}, {Metric: "hops.mean", Value: 0.1}}}
	if got := c.marginsText(); got != "mean latency ±5 %, p99 latency ±20 ms, drop rate ±0.5 pp, mean hops ±0.1" {
		t.Error(got)
	}
	if got := strings.Join(c.columns(), " "); got != "latency.mean latency.p50 latency.p95 drop_rate latency.p99 hops.mean" {
		t.Error(got)
	}
}
