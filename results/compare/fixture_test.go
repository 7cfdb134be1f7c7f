package compare

import (
	"fmt"
	"math"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// madeUp is a comparison of a simulation with reality in fifteen points. Latencies are log-logistic, and grow with the load as
// those of a queue; at load 0.9, PowerOfN is undecided, and LearningScheduler different: its executions take longer.
func madeUp() *Comparison {
	c := &Comparison{
		A: Side{Name: "fidelity", World: "real", Dir: "runs/fidelity-20300506-070809", Host: "linux/amd64, 2 cores",
			Version: "v2.0.0", Algorithms: "5f2c9a0e", Seed: 7, Started: time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC)},
		B: Side{Name: "fidelity", World: "sim", Dir: "runs/fidelity-20300506-073001", Host: "linux/amd64, 2 cores",
			Version: "v2.0.0", Algorithms: "5f2c9a0e", Seed: 7, Started: time.Date(2030, 5, 6, 7, 30, 1, 0, time.UTC)},
		Margins: []Margin{{Metric: "latency.mean", Value: 0.05, Relative: true}, {Metric: "latency.p50", Value: 0.05, Relative: true},
			{Metric: "latency.p95", Value: 0.05, Relative: true}, {Metric: "drop_rate", Value: 0.01}},
		Calibration: &Provenance{File: "calibration.yaml", Host: "linux/amd64, 2 cores", Target: "local",
			At: time.Date(2030, 5, 6, 6, 0, 0, 0, time.UTC), Seed: 1234, Requests: 4200},
		Replays: []Replay{{Log: "record/node-0.log", Node: 0, Inputs: 120_000, Verdicts: 8_400, Equal: true},
			{Log: "record/node-1.log", Node: 1, Inputs: 118_400, Verdicts: 8_311, Equal: true}},
	}
	for k, point := range []string{"workload.load = 0.3, JSQ(2)", "workload.load = 0.9, JSQ(2)"} {
		for _, parameter := range []string{"costs.client", "functions.work.cpu", "cluster.links.latency"} {
			for _, metric := range []string{"latency.mean", "latency.p95", "drop_rate"} {
				effect := float64(len(parameter)-9) * float64(len(metric)) / 2000 * float64(1+k)
				c.Sensitivity = append(c.Sensitivity, Sensitivity{Point: point, Parameter: parameter, Change: 0.1, Metric: metric, Effect: effect})
			}
		}
	}
	repeated := *c
	repeated.B = c.A
	repeated.B.Dir, repeated.Calibration, repeated.Replays, repeated.Sensitivity = "runs/fidelity-20300506-081500", nil, nil, nil
	for i, load := range []float64{0.3, 0.6, 0.9} {
		for j, scheduler := range []string{"NoScheduler", "PowerOfN(fanout=1, threshold=2)", "RoundRobin(master)", "JSQ(2)", "LearningScheduler"} {
			off := 0.004 * float64((3*i+5*j)%7-3)
			var causes []Cause
			switch {
			case load == 0.9 && scheduler == "LearningScheduler":
				off = 0.13
				causes = []Cause{
					{Component: "service-time", Function: "work", Says: "an execution of work takes 1.08 times as long in B", Unit: "s",
						A: 0.1, B: 0.108, Lo: 1.07, Hi: 1.09, Direct: 0.008, Explains: []Explained{
							{Metric: "latency.mean", Before: 0.0415, After: 0.0062}, {Metric: "drop_rate", Before: 0.0182, After: -0.0009}}},
					{Component: "link", Says: "a message between nodes takes 0.4 ms longer in B, one way", Unit: "s", A: 0.0006, B: 0.001,
						Lo: 0.0003, Hi: 0.0005, Absolute: true, Direct: math.NaN()}}
			case load == 0.9 && j == 1:
				off = 0.045
			}
			c.Points = append(c.Points, madePoint(load, scheduler, off, causes))
			repeated.Points = append(repeated.Points, madePoint(load, scheduler, 0.003*float64((2*i+j)%5-2), nil))
		}
	}
	c.Floor = &repeated
	return c
}

// latencyAt is the quantile of a made up latency.
func latencyAt(share, load, off float64) float64 {
	return 0.1 * (1 + off) * math.Exp((0.12+0.25*load)*math.Log(share/(1-share))) / (1 - 0.75*load)
}

func madePoint(load float64, scheduler string, off float64, causes []Cause) Point {
	p := Point{Label: fmt.Sprintf("workload.load = %g, %s", load, scheduler), Scheduler: scheduler,
		Values: []string{fmt.Sprint(load), scheduler}, Paired: true, RequestsA: 6000, RequestsB: 6000, Common: 6000, Block: 85,
		Causes: causes, Decisions: &Decisions{Outcome: 0.984, Executor: 0.71, Hops: 0.88}}
	mean := latencyAt(0.58, load, 0)
	half := 0.004 + 0.03*load*load
	add := func(name, unit string, a, b, half, margin float64) {
		m := Metric{Name: name, Unit: unit, A: a, B: b, Difference: b - a, Lo: b - a - half, Hi: b - a + half, Margin: margin}
		switch {
		case math.IsNaN(margin):
		case m.Lo >= -margin && m.Hi <= margin:
			m.Verdict = Equivalent
		case m.Lo > margin || m.Hi < -margin:
			m.Verdict = Different
		default:
			m.Verdict = Undecided
		}
		p.Metrics = append(p.Metrics, m)
	}
	add("latency.mean", "s", mean, mean*(1+off), mean*half, 0.05*mean)
	for _, q := range []struct {
		name   string
		share  float64
		margin bool
	}{{"p50", 0.5, true}, {"p90", 0.9, false}, {"p95", 0.95, true}, {"p99", 0.99, false}, {"p99.9", 0.999, false}} {
		a := latencyAt(q.share, load, 0)
		margin := math.NaN()
		if q.margin {
			margin = 0.05 * a
		}
		add("latency."+q.name, "s", a, a*(1+off*(0.5+q.share)), a*half*(0.7+q.share/2+0.002/(1-q.share)), margin)
	}
	drops := 0.0
	if load > 0.5 {
		drops = 0.14*load - 0.08
	}
	add("drop_rate", "", drops, drops*(1+3*off), 0.004, 0.01)
	add("forwarded_share", "", 0.3*load, 0.3*load*(1-off/2), 0.006, math.NaN())
	add("hops.mean", "", 0.35*load, 0.35*load*(1-off/2), 0.008, math.NaN())

	of := []float64{0.0006, 0.0001, 0.0012 * load, 0.001 * load, mean - 0.1032, 0.1, 0.0008 * load}
	for i, name := range []string{"client", "scheduling", "probing", "forwarding", "waiting", "executing", "returning"} {
		part := Part{Name: name, A: of[i], B: of[i]}
		switch name {
		case "executing":
			part.B *= 1 + off/2
		case "waiting":
			part.B += mean*off - 0.05*off
		}
		part.Difference = part.B - part.A
		part.Lo, part.Hi = part.Difference-0.04*part.A*load-2e-5, part.Difference+0.04*part.A*load+2e-5
		p.Parts = append(p.Parts, part)
	}
	for _, d := range []Distance{{Name: "Kolmogorov-Smirnov", Value: 0.011}, {Name: "Anderson-Darling", Value: 1.7}, {Name: "Wasserstein (s)", Value: 0.0013}} {
		d.Value *= 1 + 30*math.Abs(off)
		d.Lo, d.Hi, d.Chance = 0.7*d.Value, 1.4*d.Value, 0.012*d.Value/0.011
		p.Distances = append(p.Distances, d)
	}
	for i := 1; i < 200; i++ {
		share := float64(i) / 200
		p.Quantiles = append(p.Quantiles, Quantile{share, latencyAt(share, load, 0), latencyAt(share, load, off*(0.5+share))})
	}
	for _, share := range []float64{0.996, 0.998, 0.999, 0.9995} {
		p.Quantiles = append(p.Quantiles, Quantile{share, latencyAt(share, load, 0), latencyAt(share, load, off*(0.5+share))})
	}
	p.Load = &Load{Every: time.Second}
	for id := range core.NodeID(12) {
		busy := load * (1 - 0.03*float64(id%4))
		p.Nodes = append(p.Nodes, Node{id, 10 * busy, 10 * busy * (1 - off/4), busy, busy * (1 + off/3)})
		p.Load.Nodes = append(p.Load.Nodes, NodeLoad{ID: id})
	}
	for k := range 60 {
		sum := [2]float64{}
		for n := range p.Load.Nodes {
			x := load * (1 - math.Exp(-float64(k)/6)) * (2 + 2*math.Sin(float64(k*(n+3))/9+float64(n)))
			l := &p.Load.Nodes[n]
			l.A, l.B = append(l.A, math.Round(2*x)), append(l.B, math.Round(2*x*(1+off)+0.2*math.Sin(float64(k+n))))
			sum[0], sum[1] = sum[0]+l.A[k]/12, sum[1]+max(0, l.B[k])/12
		}
		p.Load.A, p.Load.B = append(p.Load.A, sum[0]), append(p.Load.B, sum[1])
	}
	return p
}
