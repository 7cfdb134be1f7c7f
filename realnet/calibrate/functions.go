package calibrate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/processor"
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
	}
	own, n := time.Duration(0), time.Duration(0)
	for _, f := range m.functions {
		if f.dense > 0 {
			own, n = own+f.own.Total(), n+1
		}
	}
	if n > 0 {
		c.Idle = (own/n + m.looks).Seconds() / float64(len(m.processes.Nodes))
	}
	return nil
}

// together finds what the way of a client and a call cost, of all functions; calls are of those that are told their demand.
func (m *measurement) together(c *scenarios.Calibration) error {
	var client, call weighted
	var clientCPU, callCPU, all, told float64
	for _, f := range m.functions {
		share := max(f.Share, leastShare)
		client.add(f.client, share)
		clientCPU, all = clientCPU+share*float64(f.local), all+share
		if f.told {
			call.add(f.calls, share)
			callCPU, told = callCPU+share*float64(f.result.Call.CPU), told+share
		}
	}
	var err, other error
	c.Costs.Client.Time, err = client.spread("the way between client and node")
	c.Costs.Client.CPU = max(0, time.Duration(clientCPU/all))
	if told > 0 {
		c.Costs.Call.Time, other = call.spread("what a call costs")
		c.Costs.Call.CPU = time.Duration(callCPU / told)
	}
	return errors.Join(err, other)
}

// warm are requests of a function that nothing is learned from, one for each of its entries at least.
func (m *measurement) warm(f *function, n int) *phase {
	p := m.spaced(max(n, len(f.entries)), max(warmGap, f.gap), func(a *scenarios.Arrival, r *rand.Rand) { *a = m.anywhere(f, f.short, r, a.At) })
	return &p
}

// anywhere is a request of a function at one of its entries. Each has its turn before one has another, so that as much is known of all.
func (m *measurement) anywhere(f *function, demand time.Duration, r *rand.Rand, at core.Time) scenarios.Arrival {
	if len(f.turns) == 0 {
		f.turns = slices.Clone(f.entries)
		r.Shuffle(len(f.turns), func(i, j int) { f.turns[i], f.turns[j] = f.turns[j], f.turns[i] })
	}
	a := f.task(f.turns[0], demand)
	f.turns = f.turns[1:]
	a.At = at
	return a
}

// measureTold measures a function that is told its demand.
func (m *measurement) measureTold(ctx context.Context, f *function) error {
	warm := m.warm(f, warming)
	f.phases = m.blocks(f)
	if err := m.run(ctx, 0, append([]*phase{warm}, f.phases...)...); err != nil {
		return err
	}
	if err := m.timesOf(f); err != nil {
		return err
	}
	return m.processorOf(ctx, f)
}

// blocks are requests of a function that is told its demand, of short and long ones.
func (m *measurement) blocks(f *function) (all []*phase) {
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
	return all
}

// timesOf finds what a function takes that is told its demand, on which nodes, and what a call costs.
func (m *measurement) timesOf(f *function) (err error) {
	var records []results.Record
	var long []bool
	var demands, times []float64
	for k, p := range f.phases {
		for _, r := range p.good() {
			records, long = append(records, r), append(long, k%2 == 1)
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
		if long[i] { // short ones are made of what a call costs, too
			byNode[r.Executor] = append(byNode[r.Executor], times[i]/service)
		}
	}
	f.result.Nodes = m.factorsOf(f, byNode)
	f.result.Call.Time, err = spreadOf("what a call costs", f.calls)
	return err
}

// factorsOf are the factors of nodes, from the times of a function by node. It says which of those that are sent requests are left out.
func (m *measurement) factorsOf(f *function, byNode [][]float64) []float64 {
	var few []string
	for _, n := range f.entries {
		if len(byNode[n]) < leastOfANode {
			few = append(few, strconv.Itoa(int(n)))
		}
	}
	if len(f.entries) > 1 && few != nil {
		m.Warn(fmt.Sprintf("whether the nodes %s are slower than others for the function %s is not known, for lack of requests: send more (--requests %d)",
			strings.Join(few, ", "), f.Name, max(2*m.Requests, requestsFor(len(f.entries)))))
	}
	return factors(byNode)
}

// processorOf finds the processor time of a function that is told its demand: what long demands use more than short ones is that
// of the service time, of which it is a share, and the rest is the call's.
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
	stretch := f.result.Stretch
	share := max(0, min(1, more.Seconds()/(m.demandOf(long)-m.demandOf(short))/stretch))
	if share < leastCPU {
		share = 0
	}
	f.result.CPU = share
	used, err := m.dense(ctx, f, short)
	if err != nil {
		return err
	}
	f.local = used.Generator + used.Nodes
	f.result.Call.CPU = max(0, used.Functions-time.Duration(share*stretch*m.demandOf(short)*1e9))
	return nil
}

// How dense requests are for the sake of their processor time: short ones keep a third of the cores busy, unless that is almost what they do
// at low load. They are more then, as what nodes do by themselves is subtracted, which is not the same at all times.
const (
	densePart  = 3
	leastDense = time.Millisecond
	almost     = 0.7
	mostMore   = 4 // times as many
)

// dense sends requests of a function that are denser than those of phases at low load, and says what each of those that came in addition
// used more; where they are dense already, what each used beyond what is used without requests. What a machine does by itself takes
// it longer where it does nothing else, so that the former is more exact. What is left at low load is what nodes do by themselves, no more than
// without requests.
func (m *measurement) dense(ctx context.Context, f *function, low []*phase) (processor.Usage, error) {
	used := m.perRequest(low...)
	f.dense = max(leastDense, used.Total()*densePart/time.Duration(m.Cores))
	if f.Backend.Kind == "url" { // what it computes itself is not among that
		f.dense = max(f.dense, f.takes)
	}
	if float64(f.dense) > almost*float64(f.gap) {
		f.dense = 0
		return used, nil
	}
	p := m.spaced(m.Requests*asMany(f.gap, f.dense), f.dense, func(a *scenarios.Arrival, r *rand.Rand) { *a = m.anywhere(f, f.short, r, a.At) })
	if err := m.run(ctx, 0, m.warm(f, warming), &p); err != nil {
		return used, err
	}
	usage, rate := usageOf(low...)
	denseUsage, denseRate := usageOf(&p)
	used, f.own = divide(usage, denseUsage, rate, denseRate, m.idle.Times(1/m.idleFor.Seconds()))
	return used, nil
}

// usageOf is what all processes used in a second of phases, and how many requests came in one.
func usageOf(phases ...*phase) (used processor.Usage, rate float64) {
	length := 0.0
	for _, p := range phases {
		used, length, rate = used.Plus(p.used), length+p.length.Seconds(), rate+float64(len(p.tasks))
	}
	return used.Times(1 / length), rate / length
}

// asMany is how many times as many requests there are at the denser of two gaps.
func asMany(gap, dense time.Duration) int { return int(max(1, min(mostMore, gap/dense))) }

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
	f.result.Nodes = m.factorsOf(f, byNode) // which are not in the service time, too
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
	used, err := m.dense(ctx, f, f.phases)
	if err != nil {
		return err
	}
	f.local = used.Generator + used.Nodes
	return nil
}

// slowdowns sends several requests at once.
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
	return m.together(c)
}

// How many executions at once are measured, how often, and with which demands at most.
const (
	leastAtOnce, mostAtOnce = 8, 64 // the greatest number
	leastRounds, mostRounds = 3, 12
	atOnceSleep, atOnceLoop = 50 * time.Millisecond, 100 * time.Millisecond
)

func (m *measurement) slowdown(ctx context.Context, f *function) error {
	demand, alone, shared := f.long, f.takes, f.takes
	switch f.Backend.Kind {
	case "sleep":
		demand = min(atOnceSleep, 4*f.long)
		alone, shared = demand, 0
	case "loop":
		demand = min(atOnceLoop, 4*f.long)
		alone, shared = demand, demand
	}
	if f.told {
		alone, shared = time.Duration(float64(alone)/m.speed), time.Duration(float64(shared)/m.speed)
	}
	most := max(leastAtOnce, min(mostAtOnce, 4*m.Cores))
	var numbers []int
	for n := 1; n <= most; n *= 2 {
		numbers = append(numbers, n)
	}
	on := m.hostsOf(f)
	batchLength := func(n int) time.Duration {
		return alone + time.Duration(float64(shared)*(1.5*max(1, float64(n)/float64(m.Cores))-1)) + tail
	}
	atOnce := map[core.Time]int{} // by the instant in the phase
	p := phase{}
	batch := func(n int) {
		at := core.Time(p.length)
		atOnce[at] = n
		for range n {
			a := f.task(on[len(p.tasks)%len(on)], demand)
			a.At = at
			p.tasks = append(p.tasks, a)
		}
		p.length += batchLength(n)
	}
	for len(p.tasks) < len(on) { // connections are opened
		batch(most)
	}
	first := p.length
	rounds := 1
	for k := 0; k < rounds; k++ {
		before := p.length
		for _, n := range numbers {
			batch(n)
		}
		if k == 0 {
			rounds = max(leastRounds, min(mostRounds, int(time.Duration(m.Requests)*f.gap/(p.length-before))))
		}
	}
	p.busy = shared > 0
	if err := m.run(ctx, 0, &p); err != nil {
		return err
	}
	took := map[core.Time][]float64{}
	for _, r := range p.good() {
		if at := r.Arrival.Add(-p.begin); time.Duration(at) >= first {
			took[at] = append(took[at], r.Timing.Executing.Seconds())
		}
	}
	times := map[int][]float64{}
	for at, seconds := range took {
		switch n := atOnce[at]; {
		case len(seconds) < n:
		case n <= m.Cores:
			times[n] = append(times[n], stat.Mean(seconds, nil))
		default:
			times[n] = append(times[n], slices.Max(seconds))
		}
	}
	for _, n := range numbers {
		if len(times[n]) == 0 {
			return fmt.Errorf("none of the requests of which %d were at once was executed as it was to be", n)
		}
		slices.Sort(times[n])
		f.result.Slowdown = append(f.result.Slowdown, scenarios.Slowdown{AtOnce: n, Factor: median(times[n]) / median(times[1])})
	}
	if m.processes == nil || f.Backend.Kind == "url" {
		share, ok := cpuOf(f.result.Slowdown, m.Cores)
		if !ok {
			share = f.CPU
		}
		f.result.CPU = share
	}
	if m.processes != nil && f.told && f.result.CPU > 0 {
		if err := m.onBusyCores(ctx, f, on); err != nil {
			return err
		}
	}
	for i := range f.result.Slowdown {
		s := &f.result.Slowdown[i]
		s.Model = slowed(s.AtOnce, m.Cores, f.result.CPU, max(0, f.local).Seconds()/median(times[1]))
	}
	return nil
}

// onBusyCores finds the processor time of a request of a function that computes, beyond that. On idle cores the threads of nodes and
// functions look for work, at a cost to nobody; where others compute they do not.
func (m *measurement) onBusyCores(ctx context.Context, f *function, on []core.NodeID) error {
	demand, gap := m.busy(f, on)
	p := m.spaced(m.Requests, gap, func(a *scenarios.Arrival, r *rand.Rand) {
		at := a.At
		*a = f.task(on[r.IntN(len(on))], demand)
		a.At = at
	})
	p.busy = true
	p.length += busyAfter
	if err := m.run(ctx, 0, m.warm(f, warming), &p); err != nil {
		return err
	}
	own := f.own
	if f.dense == 0 {
		own = m.idle.Times(1 / m.idleFor.Seconds())
	}
	used, rate := usageOf(&p)
	used = used.Minus(own).Times(1 / rate)
	f.local = max(0, used.Generator+used.Nodes)
	computed := f.result.CPU * f.result.Stretch * m.demandOf([]*phase{&p})
	f.result.Call.CPU = max(0, used.Functions-time.Duration(computed*1e9))
	return nil
}

// How busy the cores are kept by functions that compute, and how long is waited for the last.
const (
	busyPart  = 0.8
	busyAfter = time.Second
)

// busy are the demand and the gap of requests of a function that computes, to these nodes, which keep the cores busy with what is known of
// their costs before. Very short ones do so on few cores alone: more than a thousand requests a second are not sent.
func (m *measurement) busy(f *function, on []core.NodeID) (demand, gap time.Duration) {
	demand = min(atOnceLoop, time.Duration(float64(f.takes)*m.speed))
	slowness := 0.0
	for _, n := range on {
		slowness += 1 / m.speedOf(n) / float64(len(on))
	}
	computes := demand.Seconds()*slowness*f.result.Stretch*f.result.CPU + (f.local + f.result.Call.CPU).Seconds()
	return demand, max(leastDense, time.Duration(computes/float64(m.Cores)/busyPart*1e9))
}

// hostsOf are the nodes that executions at once are on. As in a run, they are on many: the processes of a function on each of them
// have something to do besides executing. Where it is not known which nodes share a machine, it is one.
func (m *measurement) hostsOf(f *function) (on []core.NodeID) {
	if m.processes == nil {
		return f.entries[:1]
	}
	for n := range core.NodeID(m.Scenario.Cluster.Nodes()) {
		if f.On(n, &m.Scenario.Cluster) {
			on = append(on, n)
		}
	}
	return on
}
