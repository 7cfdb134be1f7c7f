package calibrate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/results/fit"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// What functions take, each by itself.

const (
	blocks     = 4  // of short and long demands, in turn
	warming    = 12 // requests
	warmGap    = 10 * time.Millisecond
	pilots     = 9     // requests that tell how long a function takes
	leastCPU   = 0.005 // share of a core; less is what was not subtracted exactly
	leastShare = 1e-9  // of the workload, so that functions which nobody requests are not nothing
	clearance  = 1.5   // least gap, over what a function takes
)

// measureFunctions measures every function, without a scheduler.
func (m *measurement) measureFunctions(ctx context.Context, c *scenarios.Calibration) error {
	var call weighted
	callCPU, shares := 0.0, 0.0
	for _, f := range m.functions {
		var err error
		if f.told {
			err = m.measureTold(ctx, f)
		} else {
			err = m.measureOther(ctx, f)
		}
		if err != nil {
			return fmt.Errorf("measuring the function %s: %w", f.Name, err)
		}
		if f.told {
			share := max(f.Share, leastShare)
			call.add(f.calls, share)
			callCPU, shares = callCPU+share*float64(f.result.Call.CPU), shares+share
		}
	}
	if shares > 0 {
		var err error
		if c.Costs.Call.Time, err = call.spread("what a call costs"); err != nil {
			return err
		}
		c.Costs.Call.CPU = time.Duration(callCPU / shares)
	}
	return nil
}

// warm are requests of a function that nothing is learned from.
func (m *measurement) warm(f *function, n int) *phase {
	p := m.spaced(n, max(warmGap, f.gap), func(a *scenarios.Arrival, r *rand.Rand) { *a = m.anywhere(f, f.short, r, a.At) })
	return &p
}

// anywhere is a request of a function at one of its entries.
func (m *measurement) anywhere(f *function, demand time.Duration, r *rand.Rand, at core.Time) scenarios.Arrival {
	a := f.task(f.entries[r.IntN(len(f.entries))], demand)
	a.At = at
	return a
}

// measureTold measures a function that is told its demand, with short and long ones.
func (m *measurement) measureTold(ctx context.Context, f *function) error {
	all := []*phase{m.warm(f, warming)}
	for k := range blocks {
		demand := f.short
		if k%2 == 1 {
			demand = f.long
		}
		n := m.Requests*(k+1)/blocks - m.Requests*k/blocks
		p := m.spaced(n, f.gap, func(a *scenarios.Arrival, r *rand.Rand) {
			*a = m.anywhere(f, time.Duration((0.75+0.5*r.Float64())*float64(demand)), r, a.At)
		})
		all = append(all, &p)
	}
	if err := m.run(ctx, 0, all...); err != nil {
		return err
	}
	f.phases = all[1:]
	var records []results.Record
	var demands, times []float64
	for _, p := range f.phases {
		for _, r := range p.good() {
			records = append(records, r)
			demands = append(demands, r.Demand.Seconds()/m.speedOf(r.Executor))
			times = append(times, r.Timing.Executing.Seconds())
		}
	}
	if len(records) < leastSamples {
		return fmt.Errorf("%d of %d requests were executed as they were to be: %d are the fewest", len(records), m.Requests, leastSamples)
	}
	f.result.Stretch = stretchOf(demands, times)
	byNode := make([][]float64, m.Scenario.Cluster.Nodes())
	for i, r := range records {
		f.client = append(f.client, max(0, r.Client))
		service := demands[i] * f.result.Stretch
		f.calls = append(f.calls, max(0, time.Duration((times[i]-service)*1e9)))
		if service > f.short.Seconds()*2 {
			byNode[r.Executor] = append(byNode[r.Executor], times[i]/service)
		}
	}
	f.result.Nodes = factors(byNode)
	var err error
	if f.result.Call.Time, err = spreadOf("what a call costs", f.calls); err != nil {
		return err
	}
	return m.processorOf(ctx, f)
}

// processorOf finds the processor time of a function that is told its demand: what long demands use more than short ones is the
// share of the demand that it computes for, and the rest is the call's.
func (m *measurement) processorOf(ctx context.Context, f *function) error {
	if m.processes == nil {
		return nil
	}
	var short, long []*phase
	for k, p := range f.phases {
		if k%2 == 0 {
			short = append(short, p)
		} else {
			long = append(long, p)
		}
	}
	more := m.perRequest(long...).Functions - m.perRequest(short...).Functions
	share := max(0, min(1, more.Seconds()/(m.demandOf(long)-m.demandOf(short))))
	if share < leastCPU {
		share = 0
	}
	f.result.CPU = share
	dense, err := m.denser(ctx, f, short)
	if err != nil {
		return err
	}
	used := m.perRequest(dense...)
	f.local = used.Generator + used.Nodes
	f.result.Call.CPU = max(0, used.Functions-time.Duration(share*m.demandOf(dense)*1e9))
	return nil
}

// How dense requests are for the sake of their processor time: with the mean demand they would keep a third of the cores busy, as far as is
// known from those at low load, unless these are almost as dense.
const (
	densePart  = 3
	leastDense = time.Millisecond
	almost     = 0.7
)

// denser sends requests of a function that are denser than those of phases at low load, and returns their phase; the others,
// where they are dense already.
func (m *measurement) denser(ctx context.Context, f *function, low []*phase) ([]*phase, error) {
	computes := time.Duration(f.result.CPU * max(0, f.takes.Seconds()-m.demandOf(low)) * 1e9) // more than these did
	f.dense = max(leastDense, (m.perRequest(low...).Total()+computes)*densePart/time.Duration(m.Cores))
	if float64(f.dense) > almost*float64(f.gap) {
		f.dense = 0
		return low, nil
	}
	p := m.spaced(m.Requests, f.dense, func(a *scenarios.Arrival, r *rand.Rand) { *a = m.anywhere(f, f.short, r, a.At) })
	return []*phase{&p}, m.run(ctx, 0, m.warm(f, warming), &p)
}

// demandOf is the mean demand of the tasks of phases on the nodes that they were sent to, seconds.
func (m *measurement) demandOf(phases []*phase) float64 {
	sum, n := 0.0, 0
	for _, p := range phases {
		for _, a := range p.tasks {
			sum += a.Demand.Seconds() / m.speedOf(a.Node)
			n++
		}
	}
	return sum / float64(n)
}

// measureOther measures a function whose demand nobody tells it.
func (m *measurement) measureOther(ctx context.Context, f *function) error {
	f.gap = idleness * f.takes
	pilot := m.warm(f, pilots)
	if err := m.run(ctx, 0, pilot); err != nil {
		return err
	}
	var took []time.Duration
	for _, r := range pilot.good() {
		took = append(took, r.Timing.Executing)
	}
	if len(took) < pilots/2 {
		return fmt.Errorf("%d of %d requests were executed as they were to be", len(took), pilots)
	}
	slices.Sort(took)
	f.takes = took[len(took)/2]
	f.gap = m.Duration / time.Duration(m.Requests)
	switch least := time.Duration(clearance * float64(f.takes)); {
	case f.gap == 0:
		f.gap = max(shortGap, idleness*f.takes)
	case f.gap < least:
		return fmt.Errorf("it takes %v, so that %d requests at a distance need %v: give the experiments more time",
			f.takes.Round(time.Millisecond), m.Requests, (least * time.Duration(m.Requests)).Round(time.Second))
	}
	p := m.spaced(m.Requests, f.gap, func(a *scenarios.Arrival, r *rand.Rand) { *a = m.anywhere(f, f.long, r, a.At) })
	if err := m.run(ctx, 0, m.warm(f, pilots), &p); err != nil {
		return err
	}
	f.phases = []*phase{&p}
	records := p.good()
	byNode := make([][]float64, m.Scenario.Cluster.Nodes())
	var times []time.Duration
	var seconds []float64
	mean := 0.0
	for _, r := range records {
		f.client = append(f.client, max(0, r.Client))
		t := r.Timing.Executing.Seconds() * m.speedOf(r.Executor) // a simulation divides by the speed
		times, seconds = append(times, time.Duration(t*1e9)), append(seconds, t)
		byNode[r.Executor] = append(byNode[r.Executor], t)
		mean += r.Timing.Executing.Seconds() / float64(len(records))
	}
	f.result.Stretch = 1
	f.result.Nodes = factors(byNode) // which are not in the service time, too
	if f.result.Nodes != nil {
		for i, r := range records {
			seconds[i] /= f.result.Nodes[r.Executor]
			times[i] = time.Duration(seconds[i] * 1e9)
		}
	}
	var err error
	if f.result.Service, err = spreadOf("its execution", times); err != nil {
		return err
	}
	fits, err := fit.Families(seconds, fit.Options{Seed: m.Seed})
	if err != nil {
		return err
	}
	for _, x := range fits {
		f.result.Fits = append(f.result.Fits, scenarios.Fit{Distribution: x.String(), AIC: x.AIC, KS: x.KS, P: x.P})
	}
	if m.processes == nil {
		return nil
	}
	if f.Backend.Kind != "url" { // whose process is somebody else's
		f.result.CPU = max(0, min(1, m.perRequest(&p).Functions.Seconds()/mean))
	}
	dense, err := m.denser(ctx, f, f.phases)
	if err != nil {
		return err
	}
	used := m.perRequest(dense...)
	f.local = used.Generator + used.Nodes
	return nil
}

// slowdowns sends several requests at once to one node.
func (m *measurement) slowdowns(ctx context.Context, c *scenarios.Calibration) error {
	if err := m.alone(ctx); err != nil {
		return err
	}
	for _, f := range m.functions {
		if err := m.slowdown(ctx, f); err != nil {
			return fmt.Errorf("measuring executions of the function %s at once: %w", f.Name, err)
		}
		c.Functions[f.Name] = f.result
	}
	return nil
}

// How many executions at once are measured, how often, and with which demands.
const (
	leastAtOnce, mostAtOnce = 8, 64 // the greatest number
	leastTimes, mostTimes   = 3, 12
	atOnceSleep, atOnceLoop = 50 * time.Millisecond, 20 * time.Millisecond
)

func (m *measurement) slowdown(ctx context.Context, f *function) error {
	demand, alone, shared := f.long, f.takes, f.takes
	switch f.Backend.Kind {
	case "sleep":
		demand = min(atOnceSleep, 4*f.long)
		alone, shared = demand, 0
	case "loop":
		demand = atOnceLoop
		alone, shared = demand, demand
	}
	if f.told {
		alone, shared = time.Duration(float64(alone)/m.speed), time.Duration(float64(shared)/m.speed)
	}
	most := max(leastAtOnce, min(mostAtOnce, 2*m.Cores))
	var numbers []int
	for n := 1; n <= most; n *= 2 {
		numbers = append(numbers, n)
	}
	atOnce := map[core.Time]int{} // by the instant in the phase
	p := phase{}
	batch := func(n int) {
		at := core.Time(p.length)
		atOnce[at] = n
		for range n {
			a := f.task(f.entries[0], demand)
			a.At = at
			p.tasks = append(p.tasks, a)
		}
		p.length += alone + time.Duration(float64(shared)*(1.5*max(1, float64(n)/float64(m.Cores))-1)) + tail
	}
	batch(numbers[len(numbers)-1])
	first := p.length // connections are opened
	times := 1
	for k := 0; k < times; k++ {
		before := p.length
		for _, n := range numbers {
			batch(n)
		}
		if k == 0 {
			times = max(leastTimes, min(mostTimes, int(time.Duration(m.Requests)*f.gap/(p.length-before))))
		}
	}
	if err := m.run(ctx, 0, &p); err != nil {
		return err
	}
	took := map[core.Time][]float64{}
	for _, r := range p.good() {
		if at := r.Arrival.Add(-p.begin); time.Duration(at) >= first {
			took[at] = append(took[at], r.Timing.Executing.Seconds())
		}
	}
	means := map[int][]float64{}
	for at, seconds := range took {
		if n := atOnce[at]; len(seconds) == n {
			means[n] = append(means[n], stat.Mean(seconds, nil))
		}
	}
	for _, n := range numbers {
		if len(means[n]) == 0 {
			return fmt.Errorf("none of the requests of which %d were at once was executed as it was to be", n)
		}
		slices.Sort(means[n])
		f.result.Slowdown = append(f.result.Slowdown, scenarios.Slowdown{AtOnce: n, Factor: median(means[n]) / median(means[1])})
	}
	if m.processes == nil || f.Backend.Kind == "url" {
		share, ok := cpuOf(f.result.Slowdown, m.Cores)
		if !ok {
			share = f.CPU
		}
		f.result.CPU = share
	}
	for i := range f.result.Slowdown {
		s := &f.result.Slowdown[i]
		s.Model = slowed(s.AtOnce, m.Cores, f.result.CPU)
	}
	return nil
}
