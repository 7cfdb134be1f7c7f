package scenarios

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
)

// world is a scenario of n nodes with one function of mean 1 s.
func world(n int, d time.Duration, w Workload) *Scenario {
	return &Scenario{
		Seed: 1, Duration: d,
		Cluster:   Cluster{Groups: []Group{{Name: "nodes", Nodes: n, Slots: 1, Speed: 1}}},
		Functions: []Function{{Name: "f", Service: random.NewExponential(1), Share: 1}},
		Workload:  w,
	}
}

func collect(t testing.TB, s *Scenario, replication int) []Arrival {
	t.Helper()
	var all []Arrival
	a := s.Arrivals(replication)
	var x Arrival
	last := core.Time(0)
	for a.Next(&x) {
		if x.At < last || x.At >= core.Time(s.Duration) {
			t.Fatalf("arrival %d at %v, after one at %v, in a run of %v", len(all), x.At, last, s.Duration)
		}
		if x.Node < 0 || int(x.Node) >= s.Cluster.Nodes() {
			t.Fatalf("arrival %d at node %d of %d", len(all), x.Node, s.Cluster.Nodes())
		}
		last = x.At
		all = append(all, x)
	}
	return all
}

// within fails where got is more than four standard errors of a Poisson count from want.
func within(t *testing.T, what string, got int, want float64) {
	t.Helper()
	if math.Abs(float64(got)-want) > 4*math.Sqrt(want)+1 {
		t.Errorf("%s: %d, want about %.0f", what, got, want)
	}
}

func perNode(all []Arrival, n int) []int {
	counts := make([]int, n)
	for _, x := range all {
		counts[x.Node]++
	}
	return counts
}

// gaps are the times between arrivals of one node, in seconds.
func gaps(all []Arrival, node core.NodeID) (gs []float64) {
	last := core.Time(-1)
	for _, x := range all {
		if x.Node == node {
			if last >= 0 {
				gs = append(gs, x.At.Sub(last).Seconds())
			}
			last = x.At
		}
	}
	return gs
}

func meanSCV(xs []float64) (mean, scv float64) {
	for _, x := range xs {
		mean += x / float64(len(xs))
	}
	for _, x := range xs {
		scv += (x - mean) * (x - mean) / float64(len(xs))
	}
	return mean, scv / (mean * mean)
}

func TestPoissonArrivals(t *testing.T) {
	s := world(5, 10_000*time.Second, Workload{Rate: 4})
	all := collect(t, s, 0)
	within(t, "arrivals", len(all), 200_000)
	if e := s.ExpectedTasks(); e != 200_000 {
		t.Errorf("ExpectedTasks is %v", e)
	}
	for node, k := range perNode(all, 5) {
		within(t, fmt.Sprint("node ", node), k, 40_000)
		mean, scv := meanSCV(gaps(all, core.NodeID(node)))
		if math.Abs(mean-0.25) > 0.005 || math.Abs(scv-1) > 0.05 {
			t.Errorf("gaps of node %d have mean %.4f and scv %.4f, want 0.25 and 1", node, mean, scv)
		}
	}
	demand := 0.0
	for _, x := range all {
		demand += x.Demand.Seconds() / float64(len(all))
	}
	if math.Abs(demand-1) > 0.01 {
		t.Errorf("mean demand %.4f, want 1", demand)
	}
}

// Twice the rate halves the times; nodes and demands stay. The same with several groups, gaps and states.
func TestScalingTheRateScalesTheGaps(t *testing.T) {
	erlang := random.NewErlang(3, 7)
	for name, w := range map[string]func(k float64) Workload{
		"poisson":       func(k float64) Workload { return Workload{Rate: 2 * k} },
		"deterministic": func(k float64) Workload { return Workload{Process: Deterministic, Rate: 2 * k} },
		"renewal":       func(k float64) Workload { return Workload{Process: Renewal, Gap: erlang, Rate: 2 * k} },
	} {
		slow := collect(t, world(3, 1000*time.Second, w(1)), 0)
		fast := collect(t, world(3, 500*time.Second, w(2)), 0)
		n := min(len(slow), len(fast))
		if n < 5000 || math.Abs(float64(len(slow)-len(fast))) > 1 {
			t.Fatalf("%s: %d and %d arrivals", name, len(slow), len(fast))
		}
		for i := range n {
			a, b := slow[i], fast[i]
			if d := a.At - 2*b.At; d < -2 || d > 2 || a.Node != b.Node || a.Demand != b.Demand {
				t.Fatalf("%s: arrival %d is %+v, at twice the rate %+v", name, i, a, b)
			}
		}
	}
}

func TestReplicationsAndSeedsDiffer(t *testing.T) {
	s := world(3, 100*time.Second, Workload{Rate: 2})
	first := collect(t, s, 0)
	if again := collect(t, s, 0); !slices.Equal(first, again) {
		t.Error("the same replication twice is not the same")
	}
	if other := collect(t, s, 1); other[0] == first[0] {
		t.Error("two replications begin alike")
	}
	s.Seed = 2
	if other := collect(t, s, 0); other[0] == first[0] {
		t.Error("two seeds begin alike")
	}
}

func TestDeterministicArrivals(t *testing.T) {
	s := world(4, 100*time.Second, Workload{Process: Deterministic, Rate: 2})
	all := collect(t, s, 0)
	firsts := map[time.Duration]bool{}
	for node := range 4 {
		for _, g := range gaps(all, core.NodeID(node)) {
			if math.Abs(g-0.5) > 2e-9 {
				t.Fatalf("node %d has a gap of %v", node, g)
			}
		}
	}
	for _, x := range all[:4] {
		if x.At > core.Time(500*time.Millisecond) {
			t.Errorf("the first arrival of node %d is at %v", x.Node, x.At)
		}
		firsts[time.Duration(x.At)] = true
	}
	if len(firsts) != 4 {
		t.Error("two nodes have the same phase")
	}
	s.Workload.Aligned = true
	for i, x := range collect(t, s, 0) {
		if want := core.Time(i/4+1) * core.Time(500*time.Millisecond); x.At != want || int(x.Node) != i%4 {
			t.Fatalf("aligned arrival %d is at %v on node %d, want %v on %d", i, x.At, x.Node, want, i%4)
		}
	}
}

func TestRenewalArrivalsHaveTheRateAndTheShapeOfTheGap(t *testing.T) {
	for _, gap := range []random.Dist{random.NewErlang(4, 1), random.NewLognormal(3, 0.5), random.NewUniform(1, 3),
		random.NewBalancedHyperexponential(0.1, 4)} {
		s := world(2, 50_000*time.Second, Workload{Process: Renewal, Gap: gap, Rate: 2})
		mean, scv := meanSCV(gaps(collect(t, s, 0), 1))
		if math.Abs(mean-0.5) > 0.01 || math.Abs(scv-random.SCV(gap)) > 0.05*(0.2+random.SCV(gap)) {
			t.Errorf("%v: gaps have mean %.4f and scv %.4f, want 0.5 and %.4f", gap, mean, scv, random.SCV(gap))
		}
	}
}

func TestGroupsHaveTheirOwnRates(t *testing.T) {
	s := world(2, 10_000*time.Second, Workload{GroupRates: []float64{1, 0, 5}})
	s.Cluster.Groups = append(s.Cluster.Groups, Group{Name: "idle", Nodes: 3}, Group{Name: "busy", Nodes: 2})
	counts := perNode(collect(t, s, 0), 7)
	for node, want := range []float64{10_000, 10_000, 0, 0, 0, 50_000, 50_000} {
		within(t, fmt.Sprint("node ", node), counts[node], want)
	}
	if e := s.ExpectedTasks(); e != 120_000 {
		t.Errorf("ExpectedTasks is %v", e)
	}
}

// The first P2PFaaS redraws gaps below 10 ms: asked for 30/s it offers 23.1/s.
func TestMinGapLowersTheRate(t *testing.T) {
	s := world(2, 20_000*time.Second, Workload{Rate: 30, MinGap: 10 * time.Millisecond})
	all := collect(t, s, 0)
	want := 20_000 * 2 / (0.01 + 1.0/30)
	if math.Abs(float64(len(all))-want) > 0.005*want {
		t.Errorf("%d arrivals, want %.0f", len(all), want)
	}
	if math.Abs(s.ExpectedTasks()-want) > 1e-6*want {
		t.Errorf("ExpectedTasks is %v, want %v", s.ExpectedTasks(), want)
	}
	if g := slices.Min(gaps(all, 0)); g < 0.01 {
		t.Errorf("a gap of %v s", g)
	}
}

func TestFunctionsHaveTheirShares(t *testing.T) {
	s := world(3, 30_000*time.Second, Workload{Rate: 1})
	s.Functions = []Function{
		{Name: "a", Service: random.NewConstant(1), Share: 0.3, Deadline: 2 * time.Second},
		{Name: "b", Service: random.NewConstant(2), Share: 0.7, Deadline: 3 * time.Second,
			DeadlineDist: random.NewExponential(3)},
	}
	all := collect(t, s, 0)
	counts := [2]int{}
	deadline := 0.0
	for _, x := range all {
		counts[x.Type]++
		if x.Demand != time.Duration(x.Type+1)*time.Second {
			t.Fatalf("a task of type %d has the demand %v", x.Type, x.Demand)
		}
		if x.Type == 1 {
			deadline += x.Deadline.Seconds()
		} else if x.Deadline != 2*time.Second {
			t.Fatalf("a deadline of %v", x.Deadline)
		}
	}
	within(t, "first function", counts[0], 0.3*float64(len(all)))
	if m := deadline / float64(counts[1]); math.Abs(m-3) > 0.05 {
		t.Errorf("mean deadline %v, want 3", m)
	}
}

func TestModulatedArrivals(t *testing.T) {
	states := []State{
		{Rate: 1, Stay: 10 * time.Second, Next: []float64{0, 1}},
		{Rate: 9, Stay: 30 * time.Second, Next: []float64{1, 0}},
	}
	s := world(20, 20_000*time.Second, Workload{Process: MMPP, States: states})
	if share := s.Workload.stationary(); math.Abs(share[0]-0.25) > 1e-12 || math.Abs(share[1]-0.75) > 1e-12 {
		t.Errorf("stationary shares %v, want 1/4 and 3/4", share)
	}
	if e := s.ExpectedTasks(); math.Abs(e-20*20_000*7) > 1 {
		t.Errorf("ExpectedTasks is %v", e)
	}
	// Variance of the count over its mean, for long windows (Fischer and Meier-Hellstern, Performance Evaluation 18(2),
	// 1993): 1 + 2(l1-l2)²·r1·r2 / ((r1+r2)²(l1·r2+l2·r1)), r the rates of leaving the states.
	r1, r2 := 0.1, 1.0/30
	want := 1 + 2*64*r1*r2/((r1+r2)*(r1+r2)*(1*r2+9*r1))
	const window = 500
	counts := make([]float64, 20*20_000/window)
	for _, x := range collect(t, s, 0) {
		counts[int(x.Node)*20_000/window+int(x.At.Seconds())/window]++
	}
	mean, scv := meanSCV(counts)
	if math.Abs(mean-7*window) > 0.02*7*window {
		t.Errorf("mean count %.1f, want %d", mean, 7*window)
	}
	if idc := scv * mean; math.Abs(idc-want) > 0.2*want {
		t.Errorf("index of dispersion %.1f, want %.1f", idc, want)
	}
}

func TestStationarySharesOfThreeStates(t *testing.T) {
	w := Workload{States: []State{
		{Stay: time.Second, Next: []float64{0, 0.5, 0.5}},
		{Stay: 2 * time.Second, Next: []float64{1, 0, 0}},
		{Stay: 4 * time.Second, Next: []float64{0.5, 0.5, 0}},
	}}
	// Embedded chain: p1 = p0/2 + p2/2, p2 = p0/2, hence (4, 3, 2)/9; weighted by the stays (4, 6, 8)/18.
	for i, want := range []float64{4.0 / 18, 6.0 / 18, 8.0 / 18} {
		if got := w.stationary()[i]; math.Abs(got-want) > 1e-12 {
			t.Errorf("state %d has the share %v, want %v", i, got, want)
		}
	}
}

func testCurves() map[string]*Curve {
	return map[string]*Curve{
		"ramp": NewCurve([]CurvePoint{{0, 0}, {50 * time.Second, 10}}, 100*time.Second, 0),
		"step": NewCurve([]CurvePoint{{0, 2}, {30 * time.Second, 2}, {30 * time.Second, 8}, {60 * time.Second, 8},
			{60 * time.Second, 0}, {80 * time.Second, 0}, {80 * time.Second, 2}}, 100*time.Second, 20*time.Second),
		"flat":     NewCurve([]CurvePoint{{0, 3}}, 100*time.Second, 0),
		"sinusoid": NewSinusoid(5, 5, 100*time.Second, 30*time.Second),
	}
}

// invert is the inverse of area, and area the integral of rate.
func TestCurvesInvertTheirIntegral(t *testing.T) {
	for name, c := range testCurves() {
		area, step := 0.0, c.period/100_000
		for i := range 100_000 {
			u := (float64(i) + 0.5) * step
			area += c.shape.rate(u) * step
			if i%1000 == 0 {
				if got := c.shape.area(u + step/2); math.Abs(got-area) > 1e-3*(1+area) {
					t.Fatalf("%s: area(%v) = %v, integral %v", name, u+step/2, got, area)
				}
			}
		}
		for i := range 1000 {
			a := c.perTurn * (float64(i) + 0.5) / 1000
			u := c.shape.invert(a)
			if back := c.shape.area(u); math.Abs(back-a) > 1e-9*c.perTurn {
				t.Fatalf("%s: area(invert(%v)) = %v", name, a, back)
			}
		}
	}
}

func TestArrivalsFollowTheCurve(t *testing.T) {
	for name, c := range testCurves() {
		for _, process := range []Process{Poisson, Deterministic} {
			const turns, bins = 100, 20
			s := world(3, turns*100*time.Second, Workload{Process: process, Curves: []*Curve{c}})
			all := collect(t, s, 0)
			want := c.perTurn * turns * 3
			if math.Abs(s.ExpectedTasks()-want) > 1e-6*want {
				t.Errorf("%s: ExpectedTasks is %v, want %v", name, s.ExpectedTasks(), want)
			}
			within(t, name, len(all), want)
			var counts [bins]int
			for _, x := range all {
				counts[int(math.Mod(x.At.Seconds(), 100)/(100/bins))]++
			}
			for i, k := range counts {
				from := math.Mod(float64(i)*100/bins+c.start, 100)
				want := c.shape.area(from+100/bins) - c.shape.area(from) // per node and turn
				if process == Poisson {
					within(t, fmt.Sprintf("%s, bin %d", name, i), k, want*turns*3)
				} else if got := float64(k) / (turns * 3); math.Abs(got-want) > 1 { // equal gaps: the same in each turn
					t.Errorf("%s, bin %d: %.2f per node and turn, want %.2f", name, i, got, want)
				}
				if r := c.Rate(core.Time((float64(i)*100/bins + 0.1) * 1e9)); math.Abs(r-c.shape.rate(from+0.1)) > 1e-9 {
					t.Errorf("%s: Rate is %v at bin %d", name, r, i)
				}
			}
		}
	}
}

// At any hour of a day with 1,000,000 requests per second, gaps of a microsecond stay what they are.
func TestArrivalsOfALargeCurveAscend(t *testing.T) {
	for hour := range 24 {
		c := NewSinusoid(1e6, 5e5, 24*time.Hour, time.Duration(hour)*time.Hour)
		s := world(1, 5*time.Millisecond, Workload{Curves: []*Curve{c}})
		within(t, fmt.Sprint("hour ", hour), len(collect(t, s, 0)), s.ExpectedTasks())
	}
}

func TestNodesHaveTheirOwnCurves(t *testing.T) {
	curves := []*Curve{NewCurve([]CurvePoint{{0, 1}}, time.Minute, 0), NewCurve([]CurvePoint{{0, 6}}, time.Minute, 0)}
	s := world(3, 10_000*time.Second, Workload{Curves: curves})
	counts := perNode(collect(t, s, 0), 3)
	for node, want := range []float64{10_000, 60_000, 10_000} {
		within(t, fmt.Sprint("node ", node), counts[node], want)
	}
	if e := s.ExpectedTasks(); math.Abs(e-80_000) > 1e-3 {
		t.Errorf("ExpectedTasks is %v", e)
	}
}

func TestNobodyCallsARateOfZero(t *testing.T) {
	for name, w := range map[string]Workload{
		"poisson":       {Rate: 0},
		"deterministic": {Process: Deterministic},
		"curve":         {Curves: []*Curve{NewCurve([]CurvePoint{{0, 0}}, time.Second, 0)}},
		"mmpp": {Process: MMPP, States: []State{{Stay: time.Second, Next: []float64{0, 1}},
			{Stay: time.Second, Next: []float64{1, 0}}}},
	} {
		if all := collect(t, world(2, 1000*time.Second, w), 0); len(all) != 0 {
			t.Errorf("%s: %d arrivals", name, len(all))
		}
	}
}

func TestCopyDemand(t *testing.T) {
	s := world(1, time.Second, Workload{Rate: 1})
	original := 123 * time.Millisecond
	if d := s.CopyDemand(0, 7, 0, 0, original); d != original {
		t.Errorf("copy 0 has the demand %v", d)
	}
	sum, seen := 0.0, map[time.Duration]bool{}
	for id := range core.TaskID(20_000) {
		for c := 1; c <= 2; c++ {
			d := s.CopyDemand(0, id, 0, c, original)
			if again := s.CopyDemand(0, id, 0, c, original); again != d {
				t.Fatalf("copy %d of task %d has two demands", c, id)
			}
			seen[d] = true
			sum += d.Seconds()
		}
	}
	if mean := sum / 40_000; math.Abs(mean-1) > 0.02 || len(seen) < 39_990 {
		t.Errorf("copies have the mean demand %.4f and %d different ones, want 1 and 40000", mean, len(seen))
	}
	if s.CopyDemand(1, 7, 0, 1, original) == s.CopyDemand(0, 7, 0, 1, original) {
		t.Error("the replication makes no difference")
	}
	s.Functions[0].Replicas = ReplicasSame
	if d := s.CopyDemand(0, 7, 0, 1, original); d != original {
		t.Errorf("with replicas: same a copy has the demand %v", d)
	}
}

// The same on every architecture, and until somebody means to change it.
func TestArrivalsAreGolden(t *testing.T) {
	states := []State{{Rate: 1, Stay: time.Second, Next: []float64{0, 1}},
		{Rate: 9, Stay: time.Minute, Next: []float64{1, 0}}}
	h := fnv.New64a()
	for _, w := range []Workload{
		{Rate: 4}, {Rate: 4, MinGap: time.Millisecond}, {Process: Deterministic, Rate: 3}, {Process: MMPP, States: states},
		{Process: Renewal, Gap: random.NewWeibull(0.5, 1), Rate: 3}, {Curves: []*Curve{testCurves()["sinusoid"]}},
		{Process: Renewal, Gap: random.NewLognormal(1, 1), Curves: []*Curve{testCurves()["step"]}},
	} {
		s := world(3, 1000*time.Second, w)
		s.Functions = append(s.Functions,
			Function{Service: random.NewGamma(0.7, 3), Share: 1, DeadlineDist: random.NewErlang(2, 1)})
		for _, x := range collect(t, s, 3) {
			fmt.Fprintln(h, x)
		}
	}
	if got, want := h.Sum64(), uint64(0x5048bdaef04e6f2a); got != want {
		t.Errorf("digest %#x, want %#x", got, want)
	}
}

func BenchmarkArrivals(b *testing.B) {
	erlang := random.NewErlang(2, 1)
	curve := NewSinusoid(0.9, 0.5, time.Hour, 0)
	two := world(100, time.Hour, Workload{Rate: 0.9})
	two.Functions = append(two.Functions, two.Functions[0])
	two.Functions[0].Share, two.Functions[1].Share = 0.5, 0.5
	for _, c := range []struct {
		name string
		s    *Scenario
	}{
		{"poisson/nodes=100", world(100, time.Hour, Workload{Rate: 0.9})},
		{"poisson/nodes=1000000", world(1_000_000, time.Hour, Workload{Rate: 0.9})},
		{"poisson,two functions/nodes=100", two},
		{"deterministic/nodes=100", world(100, time.Hour, Workload{Process: Deterministic, Rate: 0.9})},
		{"erlang/nodes=100", world(100, time.Hour, Workload{Process: Renewal, Gap: erlang, Rate: 0.9})},
		{"erlang/nodes=100000", world(100_000, time.Hour, Workload{Process: Renewal, Gap: erlang, Rate: 0.9})},
		{"sinusoid/nodes=100", world(100, time.Hour, Workload{Curves: []*Curve{curve}})},
	} {
		b.Run(c.name, func(b *testing.B) {
			c.s.Duration = math.MaxInt64
			a := c.s.Arrivals(0)
			var x Arrival
			b.ReportAllocs()
			for b.Loop() {
				if !a.Next(&x) {
					b.Fatal("the stream ended")
				}
			}
		})
	}
}
