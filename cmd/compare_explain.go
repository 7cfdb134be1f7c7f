package cmd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/results/compare"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/simnet"
)

// What a comparison asks the simulator: how much of a gap a cause explains, and which parameter moves which metric.

// explained are the metrics that are asked for.
var explained = []string{"latency.mean", "latency.p50", "latency.p95", "drop_rate"}

// explain simulates each point again with each of its causes put right.
func explain(ctx context.Context, c *compare.Comparison, m *model) error {
	var points []scenarios.Point
	var causes []*compare.Cause
	var of []*compare.Point
	for i := range m.points {
		p := comparedPoint(c, &m.points[i])
		if p == nil {
			continue
		}
		for j := range p.Causes {
			s := *m.points[i].Scenario
			s.Replications, s.Precision = slices.Max(p.Replications)+1, nil
			if right(&s, &p.Causes[j]) {
				points = append(points, scenarios.Point{Index: len(points), Scenario: &s})
				causes, of = append(causes, &p.Causes[j]), append(of, p)
			}
		}
	}
	got, err := simulateAll(ctx, points)
	if err != nil {
		return err
	}
	for i, cause := range causes {
		got[i].Replications = slices.DeleteFunc(got[i].Replications, func(r *results.Replication) bool { return !slices.Contains(of[i].Replications, r.Index) })
		for _, metric := range explained {
			k := slices.IndexFunc(of[i].Metrics, func(x compare.Metric) bool { return x.Name == metric })
			if k < 0 {
				continue
			}
			before := &of[i].Metrics[k]
			mean := got[i].Interval(metric, results.Confidence).Mean
			cause.Explains = append(cause.Explains, compare.Explained{Metric: metric, Before: before.Difference, After: mean - before.A})
		}
	}
	return nil
}

// comparedPoint is the comparison of a point of the model; nil: it is not compared.
func comparedPoint(c *compare.Comparison, p *scenarios.Point) *compare.Point {
	i := slices.IndexFunc(c.Points, func(x compare.Point) bool {
		return x.Scheduler == p.Scenario.Scheduler.Label && slices.Equal(x.Values, p.Values)
	})
	if i < 0 {
		return nil
	}
	return &c.Points[i]
}

// right gives a scenario what a cause says of A; false: a simulation has no such parameter.
func right(s *scenarios.Scenario, c *compare.Cause) bool {
	switch c.Component {
	case compare.ServiceCause:
		calibrated(s, func(k *scenarios.Calibration) {
			for i := range s.Functions {
				if name := s.Functions[i].Name; c.Function == "" || c.Function == name {
					f := k.Functions[name]
					f.Stretch *= c.A / c.B
					k.Functions[name] = f
				}
			}
		})
	case compare.CallCause:
		calibrated(s, func(k *scenarios.Calibration) {
			for name, f := range k.Functions {
				if c.Function == "" || c.Function == name {
					f.Call.Time = shifted(f.Call.Time, c.A-c.B)
					k.Functions[name] = f
				}
			}
		})
	case compare.ClientCause:
		calibrated(s, func(k *scenarios.Calibration) { k.Costs.Client.Time = shifted(k.Costs.Client.Time, c.A-c.B) })
	case compare.LinkCause:
		k := scenarios.Calibration{}
		parts := map[string]*scenarios.Cost{"forwarding": &k.Costs.Forward, "returning": &k.Costs.Return, "probing": &k.Costs.Probe}
		if s.Calibration != nil {
			k = *s.Calibration
		}
		if cost := parts[c.Part]; cost != nil && c.A-c.B > -cost.Time.Mean().Seconds() {
			cost.Time = shifted(cost.Time, c.A-c.B)
			s.Calibration = &k
			break
		}
		if c.Part == "probing" { // there and back
			half := *c
			half.A, half.B = c.A/2, c.B/2
			c = &half
		}
		l := &s.Cluster.Links
		l.Default.Latency = delayed{l.Default.Latency, c.A - c.B}
		l.Latency = slices.Clone(l.Latency)
		for i, row := range l.Latency {
			l.Latency[i] = slices.Clone(row)
			for j := range row {
				l.Latency[i][j] = max(0, row[j]+random.Seconds(c.A)-random.Seconds(c.B))
			}
		}
	case compare.SlotsCause, compare.QueueCause:
		if c.Nodes != nil { // a group may have others
			return false
		}
		more := int(math.Round(c.A - c.B))
		s.Cluster.Groups = slices.Clone(s.Cluster.Groups)
		for i := range s.Cluster.Groups {
			if g := &s.Cluster.Groups[i]; c.Component == compare.SlotsCause {
				g.Slots = max(1, g.Slots+more)
			} else {
				g.Queue = max(0, g.Queue+more)
			}
		}
	default:
		return false
	}
	return true
}

// calibrated changes the calibration of a scenario alone; of one that has none, a calibration that costs nothing.
func calibrated(s *scenarios.Scenario, change func(*scenarios.Calibration)) {
	k := scenarios.Calibration{}
	if s.Calibration != nil {
		k = *s.Calibration
	}
	k.Functions = maps.Clone(k.Functions)
	if k.Functions == nil {
		k.Functions = map[string]scenarios.CalibratedFunction{}
	}
	for i := range s.Functions {
		if _, known := k.Functions[s.Functions[i].Name]; !known {
			k.Functions[s.Functions[i].Name] = scenarios.CalibratedFunction{Stretch: 1, Call: k.Costs.Call}
		}
	}
	change(&k)
	s.Calibration = &k
}

// shifted is a spread that takes so many seconds more, or less, but never less than nothing.
func shifted(s scenarios.Spread, seconds float64) scenarios.Spread {
	if len(s) == 0 {
		s = scenarios.Spread{0}
	}
	s = slices.Clone(s)
	for i := range s {
		s[i] = max(0, s[i]+time.Duration(seconds*1e9))
	}
	return s
}

// delayed is a latency that takes so many seconds more, or less.
type delayed struct {
	random.Dist
	seconds float64
}

// Sample implements random.Dist.
func (d delayed) Sample(r *rand.Rand) float64 { return max(0, d.Dist.Sample(r)+d.seconds) }

// Mean implements random.Dist.
func (d delayed) Mean() float64 { return max(0, d.Dist.Mean()+d.seconds) }

// String implements random.Dist.
func (d delayed) String() string { return fmt.Sprintf("%v%+g", d.Dist, d.seconds) }

// simulateAll simulates all replications of points, and keeps what was counted.
func simulateAll(ctx context.Context, points []scenarios.Point) ([]*results.Point, error) {
	got := make([]*results.Point, len(points))
	for i := range got {
		got[i] = &results.Point{}
	}
	var mu sync.Mutex
	batch := simnet.Batch{Points: points, Workers: runtime.GOMAXPROCS(0), Done: func(point int, r *results.Replication) error {
		mu.Lock()
		defer mu.Unlock()
		got[point].Add(r)
		return nil
	}}
	return got, batch.Run(ctx)
}

// parameter is one of those that are calibrated, or that a calibration stands beside.
type parameter struct {
	name   string
	change func(s *scenarios.Scenario, by float64)
}

// parametersOf are those of a scenario.
func parametersOf(s *scenarios.Scenario) []parameter {
	var all []parameter
	add := func(name string, change func(*scenarios.Scenario, float64)) {
		all = append(all, parameter{name, change})
	}
	if s.Calibration != nil {
		for _, x := range []struct {
			name string
			of   func(*scenarios.Costs) *scenarios.Cost
		}{
			{"client", func(c *scenarios.Costs) *scenarios.Cost { return &c.Client }},
			{"probe", func(c *scenarios.Costs) *scenarios.Cost { return &c.Probe }},
			{"forward", func(c *scenarios.Costs) *scenarios.Cost { return &c.Forward }},
			{"return", func(c *scenarios.Costs) *scenarios.Cost { return &c.Return }},
			{"act", func(c *scenarios.Costs) *scenarios.Cost { return &c.Act }},
		} {
			if cost := x.of(&s.Calibration.Costs); cost.Time.Mean() == 0 && cost.CPU == 0 {
				continue
			}
			add("costs."+x.name, func(s *scenarios.Scenario, by float64) {
				calibrated(s, func(k *scenarios.Calibration) { grow(x.of(&k.Costs), by) })
			})
		}
	}
	for i := range s.Functions {
		name := s.Functions[i].Name
		of := func(s *scenarios.Scenario, change func(*scenarios.CalibratedFunction)) {
			calibrated(s, func(k *scenarios.Calibration) {
				f := k.Functions[name]
				change(&f)
				k.Functions[name] = f
			})
		}
		add("functions."+name+".stretch", func(s *scenarios.Scenario, by float64) {
			of(s, func(f *scenarios.CalibratedFunction) { f.Stretch *= 1 + by })
		})
		if s.Calibration != nil {
			add("functions."+name+".call", func(s *scenarios.Scenario, by float64) {
				of(s, func(f *scenarios.CalibratedFunction) { grow(&f.Call, by) })
			})
		}
		if len(s.Hosts) > 0 && s.Functions[i].CPU > 0 {
			add("functions."+name+".cpu", func(s *scenarios.Scenario, by float64) {
				s.Functions = slices.Clone(s.Functions)
				s.Functions[i].CPU *= 1 + by
			})
		}
	}
	if s.Cluster.Links.Default.Latency.Mean() > 0 {
		add("cluster.links.latency", func(s *scenarios.Scenario, by float64) {
			d := s.Cluster.Links.Default.Latency
			s.Cluster.Links.Default.Latency = delayed{d, d.Mean() * by}
		})
	}
	return all
}

// grow makes a cost greater by a share of it.
func grow(c *scenarios.Cost, by float64) {
	c.CPU = time.Duration(float64(c.CPU) * (1 + by))
	c.Time = slices.Clone(c.Time)
	for i := range c.Time {
		c.Time[i] = time.Duration(float64(c.Time[i]) * (1 + by))
	}
}

// How the sensitivity is measured: a parameter is 10 % less (a share of a core cannot be more than all of it), in several replications
// of a short run, on the same requests.
const (
	sensitivityChange       = -0.1
	sensitivityReplications = 6
	sensitivityTasks        = 4000
)

// sensitivity says which parameter moves which metric of each point.
func sensitivity(ctx context.Context, c *compare.Comparison, m *model) ([]compare.Sensitivity, error) {
	var points []scenarios.Point
	type variant struct {
		label string
		parameter
		base int // index of the point that it is compared with
	}
	var variants []variant
	put := func(s scenarios.Scenario) {
		points = append(points, scenarios.Point{Index: len(points), Scenario: &s})
	}
	for i := range m.points {
		p := comparedPoint(c, &m.points[i])
		if p == nil {
			continue
		}
		s := *m.points[i].Scenario
		s.Replications, s.Precision, s.Records = sensitivityReplications, nil, string(results.None)
		if tasks := s.ExpectedTasks(); tasks > sensitivityTasks {
			s.Duration = time.Duration(float64(s.Duration) * sensitivityTasks / tasks)
			s.Warmup = s.Duration / 10
		}
		base := len(points)
		put(s)
		variants = append(variants, variant{base: -1})
		for _, x := range parametersOf(&s) {
			changed := s
			x.change(&changed, sensitivityChange)
			put(changed)
			variants = append(variants, variant{p.Label, x, base})
		}
	}
	got, err := simulateAll(ctx, points)
	if err != nil {
		return nil, err
	}
	var all []compare.Sensitivity
	for i, v := range variants {
		if v.base < 0 {
			continue
		}
		for _, metric := range explained {
			d, err := results.Paired(got[v.base], got[i], metric, results.Confidence)
			if err != nil && !errors.Is(err, results.ErrTooFew) {
				return nil, err
			}
			effect := d.Mean
			if results.Unit(metric) == "s" {
				effect /= d.Base
			}
			if err != nil || math.Abs(d.Mean) <= d.Half {
				effect = math.NaN()
			}
			all = append(all, compare.Sensitivity{Point: v.label, Parameter: v.name, Change: sensitivityChange, Metric: metric, Effect: effect})
		}
	}
	return all, nil
}
