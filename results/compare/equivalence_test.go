package compare

import (
	"math"
	"strings"
	"testing"
)

func TestParseMargins(t *testing.T) {
	for text, want := range map[string]Margin{
		"p95=5%":              {Metric: "latency.p95", Value: 0.05, Relative: true},
		"latency.p95=5%":      {Metric: "latency.p95", Value: 0.05, Relative: true},
		"p75 = 2.5 %":         {Metric: "latency.p75", Value: 0.025, Relative: true},
		"drop_rate=1pp":       {Metric: "drop_rate", Value: 0.01},
		"forwarded_share=2pp": {Metric: "forwarded_share", Value: 0.02},
		"mean=10ms":           {Metric: "latency.mean", Value: 0.01},
		"waiting.mean=1.5ms":  {Metric: "waiting.mean", Value: 0.0015},
		"hops.mean=0.1":       {Metric: "hops.mean", Value: 0.1},
		"hops.mean=10%":       {Metric: "hops.mean", Value: 0.1, Relative: true},
	} {
		got, err := ParseMargins(text)
		if err != nil || len(got) != 1 || got[0].Metric != want.Metric || math.Abs(got[0].Value-want.Value) > 1e-12 ||
			got[0].Relative != want.Relative || got[0].Default {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"p95":              "it has no =",
		"lateny.mean=5%":   `no metric "lateny.mean": the nearest are latency.mean`,
		"mean=5":           "5%, 10ms",
		"mean=0%":          "above 0",
		"p95=-5%":          "above 0",
		"mean=NaN%":        "above 0",
		"drop_rate=1%":     "write drop_rate=1pp",
		"drop_rate=0.01":   "write drop_rate=1pp",
		"hops.mean=1pp":    "a number",
		"latency.p100=5%":  "no metric",
		"energy=5%":        "any percentile of the latency",
		"probes_per=10%":   "probes_per_request",
		"latency.std=10ms": "no metric",
	} {
		if _, err := ParseMargins(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
	_, err := ParseMargins("p95=5%", "latency.p95=6%", "mean=x", "p50=3%")
	if err == nil || !strings.Contains(err.Error(), "latency.p95 has two margins") || !strings.Contains(err.Error(), `margin "mean=x"`) {
		t.Errorf("not all that is wrong was said: %v", err)
	}
}

func TestMargins(t *testing.T) {
	stated, err := ParseMargins("p95=2%", "p99=10%")
	if err != nil {
		t.Fatal(err)
	}
	all := Margins(stated...)
	if len(all) != 5 || all[2].Metric != "latency.p95" || all[2].Default || all[2].Value != 0.02 || all[4].Metric != "latency.p99" || !all[0].Default {
		t.Errorf("margins are %+v", all)
	}
}

func TestVerdicts(t *testing.T) {
	margins := []Margin{{Metric: "latency.p95", Value: 0.05, Relative: true}, {Metric: "drop_rate", Value: 0.01}}
	nan := math.NaN()
	for _, c := range []struct {
		name      string
		a, lo, hi float64
		want      Verdict
	}{
		{"latency.p95", 1, -0.04, 0.03, Equivalent},
		{"latency.p95", 1, -0.05, 0.05, Equivalent},
		{"latency.p95", 1, 0.01, 0.06, Undecided},
		{"latency.p95", 1, -0.07, 0.07, Undecided},
		{"latency.p95", 1, 0.06, 0.09, Different},
		{"latency.p95", 1, -0.09, -0.051, Different},
		{"latency.p95", 2, 0.06, 0.09, Equivalent},
		{"latency.p95", 1, nan, nan, Undecided},
		{"latency.p95", nan, nan, nan, Undecided},
		{"drop_rate", 0, -0.002, 0.002, Equivalent},
		{"drop_rate", 0, 0.02, 0.03, Different},
		{"latency.p50", 1, 0.5, 0.6, ""},
	} {
		m := Metric{Name: c.name, A: c.a, Lo: c.lo, Hi: c.hi, Margin: nan}
		if m.judge(margins); m.Verdict != c.want {
			t.Errorf("%+v: %q, want %q", c, m.Verdict, c.want)
		}
	}
}

func TestExceeded(t *testing.T) {
	c := &Comparison{Margins: Margins(Margin{Metric: "latency.p95", Value: 0.05, Relative: true}, Margin{Metric: "latency.p99", Value: 0.01})}
	point := func(p95, p99, drops float64) Point {
		p := Point{Label: "JSQ", Metrics: []Metric{
			{Name: "latency.p95", Unit: "s", A: 1, B: 1 + p95, Difference: p95, Lo: p95 - 0.1, Hi: p95 + 0.1},
			{Name: "latency.p99", Unit: "s", A: 1, B: 1 + p99, Difference: p99, Lo: math.NaN(), Hi: math.NaN()},
			{Name: "drop_rate", A: 0, B: drops, Difference: drops, Lo: drops, Hi: drops}}}
		for i := range p.Metrics {
			p.Metrics[i].judge(c.Margins)
		}
		return p
	}
	c.Points = []Point{point(0.04, 0.009, 0.5), point(-0.06, 0.009, 0), point(0, math.NaN(), 0)}
	got := c.Exceeded()
	if len(got) != 2 || got[0].Metric.Difference != -0.06 || got[1].Metric.Name != "latency.p99" {
		t.Fatalf("exceeded are %v", got) // a default margin is not among them, nor one that is undecided
	}
	if c.Points[0].Metrics[0].Verdict != Undecided || c.Points[0].Metrics[2].Verdict != Different {
		t.Errorf("verdicts are %v and %v", c.Points[0].Metrics[0].Verdict, c.Points[0].Metrics[2].Verdict)
	}
	if text := got[0].String(); text != "JSQ: latency.p95 is 1 s in A and 0.94 s in B: the difference, -0.06 s (90 % interval -0.16 to 0.04), "+
		"exceeds the margin of 0.05 s" {
		t.Error(text)
	}
	hops := Exceedance{Point: "JSQ", Metric: Metric{Name: "hops.mean", A: 1.5, B: 1.8, Difference: 0.3, Lo: 0.25, Hi: 0.35, Margin: 0.1}}
	if text := hops.String(); text != "JSQ: hops.mean is 1.5 in A and 1.8 in B: the difference, 0.3 (90 % interval 0.25 to 0.35), exceeds the margin of 0.1" {
		t.Error(text)
	}
	drops := Exceedance{Point: "JSQ", Metric: Metric{Name: "drop_rate", A: 0.01, B: 0.03, Difference: 0.02, Lo: 0.01, Hi: 0.03, Margin: 0.01}}
	if text := drops.String(); text != "JSQ: drop_rate is 1 % in A and 3 % in B: the difference, 2 pp (90 % interval 1 to 3), exceeds the margin of 1 pp" {
		t.Error(text)
	}
	if text := got[1].String(); text != "JSQ: latency.p99 cannot be compared: it is 1 in A and NaN in B" {
		t.Error(text)
	}
}
