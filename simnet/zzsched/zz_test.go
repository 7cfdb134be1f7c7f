package zzsched

import (
	"fmt"
	"os"
	"testing"
	"testing/fstest"

	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/simnet"
)

type cs struct {
	name    string
	n       int
	lam     float64
	dur     float64
	sched   string
	extra   string
	want    float64
}

func run(t *testing.T, c cs) {
	cl := fmt.Sprintf("{nodes: %d, slots: 1, queue: unlimited}", c.n)
	y := fmt.Sprintf(`name: a
seed: 7
duration: %gs
warmup: %gs
replications: 4
cluster: %s
functions: [{name: f, service: {distribution: exponential, mean: 1s}}]
workload: {rate: %g/s}
scheduler: %s
`, c.dur, c.dur/4, cl, c.lam, c.sched)
	if c.extra != "" {
		y = c.extra
	}
	f, err := scenarios.Parse("a.yaml", []byte(y), fstest.MapFS{})
	if err != nil {
		t.Fatal(err)
	}
	ps, err := f.Points()
	if err != nil {
		t.Fatal(err)
	}
	var xs []float64
	jobs := 0.0
	for r := 0; r < 4; r++ {
		w, err := simnet.New(ps[0].Scenario, r, simnet.Options{})
		if err != nil {
			t.Fatal(err)
		}
		res, err := w.Run(func() bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		m, _ := res.Tally.Metric("latency.mean")
		xs = append(xs, m)
		jobs += float64(res.Jobs)
	}
	mean := (xs[0] + xs[1] + xs[2] + xs[3]) / 4
	fmt.Printf("%-40s want %.5f got %.5f  (%+.2f%%) %v jobs %.0f\n", c.name, c.want, mean, 100*(mean/c.want-1), xs, jobs)
}

func TestAll(t *testing.T) {
	only := os.Getenv("ONLY")
	for _, c := range []cs{
		{"JIQ .5", 1000, .5, 500, "{name: JIQ}", "", 1.46177325},
		{"JIQ .9", 1000, .9, 800, "{name: JIQ}", "", 5.42625262},
		{"JIQ r=10 .5", 1000, .5, 500, "{name: JIQ, dispatchers: 100}", "x10", 1.07095297},
		{"WS .5", 1000, .5, 500, "{name: WorkStealing}", "", 1.61803399},
		{"WS .9", 1000, .9, 1000, "{name: WorkStealing}", "", 3.54138127},
		{"WSR .7 g.5", 1000, .7, 600, "{name: WorkStealing, on_empty: false, retry: 2s}", "", 2.55555556},
		{"WSR .9 g5", 1000, .9, 600, "{name: WorkStealing, on_empty: false, retry: 200ms}", "", 2.5},
		{"STALEI .5 P1", 1000, .5, 500, "{name: StaleJSQ, period: 1s, epochs: exponential}", "", 1.54143504},
		{"STALEI .9 P5", 1000, .9, 1000, "{name: StaleJSQ, period: 5s, epochs: exponential}", "", 5.2716561},
		{"STALEI .9 P.1", 1000, .9, 600, "{name: StaleJSQ, period: 100ms, epochs: exponential}", "", 2.68287728},
		{"STALEP d1 .5 P1", 1000, .5, 500, "{name: StaleJSQ, period: 1s, d: 1}", "", 2},
		{"STALEP d2 .9 P1", 1000, .9, 800, "{name: StaleJSQ, period: 1s, d: 2}", "", staleP("lam=0.9;d=2;P=1.0")},
		{"STALEP d2 .9 P5", 1000, .9, 1000, "{name: StaleJSQ, period: 5s, d: 2}", "", staleP("lam=0.9;d=2;P=5.0")},
		{"RED d2 k10 .9", 10, .9, 40000, "{name: Redundancy, d: 2}", "", 2.14329806},
		{"RED d3 k100 .7", 100, .7, 3000, "{name: Redundancy, d: 3}", "", 0.644623665},
		{"JSQ2 .9", 1000, .9, 600, "{name: JSQ}", "", staleP("jsq")},
		{"JSQALL N3 .7", 3, .7, 100000, "{name: JSQAll}", "", 1.70887609},
		{"JSQALL N2 .9", 2, .9, 400000, "{name: JSQAll}", "", 5.47491282},
		{"RR N2 .8", 2, .8, 100000, "{name: RoundRobin}", "one", 3.84397977},
	} {
		if only != "" && only != c.name {
			continue
		}
		switch c.extra {
		case "one":
			c.extra = fmt.Sprintf(`name: a
seed: 7
duration: 200000s
warmup: 20000s
cluster:
  groups:
    - {name: d, nodes: 1, slots: 1, queue: unlimited}
    - {name: s, nodes: 1, slots: 1, queue: unlimited}
functions: [{name: f, service: {distribution: exponential, mean: 1s}}]
workload: {rate: {groups: {d: 1.6/s, s: 0/s}}}
scheduler: %s
`, c.sched)
		case "x10":
			c.extra = fmt.Sprintf(`name: a
seed: 7
duration: 500s
warmup: 100s
cluster:
  groups:
    - {name: d, nodes: 100, slots: 1, queue: unlimited}
    - {name: s, nodes: 900, slots: 1, queue: unlimited}
functions: [{name: f, service: {distribution: exponential, mean: 1s}}]
workload: {rate: {groups: {d: 5/s, s: 0/s}}}
scheduler: %s
`, c.sched)
		}
		run(t, c)
	}
}

func staleP(k string) float64 {
	return map[string]float64{"jsq": 2.614, "lam=0.9;d=2;P=1.0": 2.93592356, "lam=0.9;d=2;P=5.0": 3.9703238}[k]
}
