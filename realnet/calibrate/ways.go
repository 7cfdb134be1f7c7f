package calibrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/sched"
	"github.com/p2pfaas/p2pfaas/realnet/loadgen"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// What the ways of a request cost: to its node, to peers, to a learner; and what nodes do without requests.

// configure gives the nodes another algorithm and, for experiments, slots for whatever comes.
func (m *measurement) configure(ctx context.Context, x scenarios.Scheduler, slots []scenarios.Group) error {
	m.scenario.Scheduler = x
	s := m.scenario
	s.Cluster.Groups = slots
	return loadgen.Configure(ctx, &s, 0, m.Cluster.Targets, m.Cluster.Known, m.Cluster.Credentials)
}

// algorithm is one with these parameters.
func algorithm(name string, parameters map[string]any, hops int) scenarios.Scheduler {
	spec, err := sched.Parse(name, parameters)
	if err != nil {
		panic(fmt.Sprintf("calibrate: %v", err))
	}
	return scenarios.Scheduler{Label: name, Spec: spec, Forwarding: core.Forwarding{MaxHops: hops}}
}

// alone has the nodes execute by themselves whatever comes.
func (m *measurement) alone(ctx context.Context) error {
	return m.configure(ctx, algorithm("NoScheduler", nil, 0), m.scenario.Cluster.Groups)
}

// Idle nodes are watched for a part of what an experiment takes, but so long at least that some looks at their loads are among it.
const (
	idlePart  = 4
	someLooks = 4
)

// idleNodes measures what nodes do without requests: by themselves, which is subtracted from what requests use, and with a
// generator that looks at their loads.
func (m *measurement) idleNodes(ctx context.Context, c *scenarios.Calibration) error {
	if err := m.alone(ctx); err != nil {
		return err
	}
	if err := m.run(ctx, 0, m.warm(m.functions[0], warming)); err != nil || m.processes == nil {
		return err
	}
	alone := phase{length: time.Duration(m.Requests) * cmp.Or(m.carriers[0].gap, shortGap) / idlePart}
	if err := m.run(ctx, 0, &alone); err != nil {
		return err
	}
	m.idle, m.idleFor = alone.used, alone.length
	every := loadgen.SampleInterval(m.Scenario.Duration)
	watched := phase{length: max(alone.length, someLooks*every)}
	if err := m.run(ctx, every, &watched); err != nil {
		return err
	}
	usage, _ := usageOf(&alone)
	looking, _ := usageOf(&watched)
	m.looks = max(0, looking.Minus(usage).Total())
	c.Idle = watched.used.Total().Seconds() / watched.length.Seconds() / float64(len(m.processes.Nodes))
	return nil
}

// experiment is an algorithm that requests are sent to.
type experiment struct {
	scheduler scenarios.Scheduler
	slots     []scenarios.Group
	warming   int      // requests of the first round that nothing is learned from
	phases    []*phase // by round
	dense     []*phase // by round, where processor time is measured; they may be phases
}

// ways measures what the ways of a request cost.
func (m *measurement) ways(ctx context.Context, c *scenarios.Calibration) error {
	local := &experiment{scheduler: algorithm("NoScheduler", nil, 0), slots: m.scenario.Cluster.Groups, warming: warming}
	all := []*experiment{local}
	carriers, pairs := m.neighbours()
	var probes, forwards, acts *experiment
	if len(carriers) == 0 {
		m.Warn("no two nodes that are neighbours have the same function: what probes and forwards cost is not measured")
		carriers = m.carriers
	} else {
		n := min(warmMost, warmPairs*pairs) // every connection between nodes is opened before it matters, but for few
		probes = &experiment{algorithm("PowerOfNScheduler", map[string]any{"fanout": 1, "threshold": 0}, 1), local.slots, n, nil, nil}
		forwards = &experiment{algorithm("ForwardScheduler", nil, 1), local.slots, n, nil, nil}
		all = append(all, probes, forwards)
	}
	if m.Scenario.Learner.Asks() {
		acts = &experiment{m.Scenario.Scheduler, m.Scenario.Cluster.Groups, warming, nil, nil}
		all = append(all, acts)
	}
	rounds := max(2, m.Requests/ofARound)
	for round := range rounds {
		for _, x := range all {
			if err := m.configure(ctx, x.scheduler, x.slots); err != nil {
				return err
			}
			if round > 0 {
				x.warming = warming
			}
			if err := m.round(ctx, x, carriers, m.Requests*(round+1)/rounds-m.Requests*round/rounds); err != nil {
				return err
			}
		}
	}
	var problems []error
	measure := func(to *scenarios.Spread, what string, x *experiment, of func(*results.Record) (time.Duration, bool)) {
		var times []time.Duration
		for _, p := range x.phases {
			for _, r := range p.good() {
				if d, is := of(&r); is {
					times = append(times, max(0, d))
				}
			}
		}
		var err error
		*to, err = spreadOf(what, times)
		problems = append(problems, err)
	}
	m.clients(local)
	way := time.Duration(0) // there and back, of the processors
	if forwards != nil {
		once := func(r *results.Record) bool { return r.Hops == 1 && r.Retries == 0 }
		measure(&c.Costs.Probe.Time, "a probe", probes, func(r *results.Record) (time.Duration, bool) {
			return r.Timing.Probing - 2*m.delay, r.Probes == 1
		})
		measure(&c.Costs.Forward.Time, "a forward", forwards, func(r *results.Record) (time.Duration, bool) {
			return r.Timing.Forwarding - m.delay, once(r)
		})
		measure(&c.Costs.Return.Time, "the way back of a forward", forwards, func(r *results.Record) (time.Duration, bool) {
			return r.Timing.Returning - m.delay, once(r)
		})
		way = m.beyond(forwards, local, func(*phase) time.Duration { return 0 })
		c.Costs.Forward.CPU, c.Costs.Return.CPU = way/2, way-way/2
		c.Costs.Probe.CPU = m.beyond(probes, local, func(p *phase) time.Duration {
			_, hops := p.moved()
			return time.Duration(hops * float64(way))
		})
	}
	if acts != nil {
		inference := m.Scenario.Learner.Inference
		if inference != nil && inference.Var() > 0 {
			return errors.New("the learner's inference takes a random time, so that what asking it costs cannot be told: have none, " +
				"as --set learner.inference=0s")
		}
		thinks := time.Duration(0)
		if inference != nil {
			thinks = time.Duration(inference.Mean() * 1e9)
		}
		measure(&c.Costs.Act.Time, "asking a learner", acts, func(r *results.Record) (time.Duration, bool) {
			return r.Timing.Scheduling - thinks, true
		})
		c.Costs.Act.CPU = m.beyond(acts, local, func(p *phase) time.Duration {
			probes, hops := p.moved()
			return time.Duration(probes*float64(c.Costs.Probe.CPU) + hops*float64(way))
		})
	}
	return errors.Join(problems...)
}

// How connections between nodes are opened, before they matter: nodes draw their peers at random.
const (
	warmPairs = 3
	warmMost  = 400
	warmFast  = 5 * time.Millisecond
)

// neighbours are the functions to be requested where nodes talk to each other: each at entries with a neighbour that has it. pairs
// is how many of these nodes there are.
func (m *measurement) neighbours() (found []*function, pairs int) {
	cluster := &m.Scenario.Cluster
	for _, f := range m.carriers {
		x := *f
		x.entries = nil
		for _, n := range f.entries {
			near := 0
			row := cluster.Topology.Neighbours(n)
			for k := range core.NodeID(cluster.Nodes()) {
				if k != n && f.On(k, cluster) && (row == nil || slices.Contains(row, k)) {
					near++
				}
			}
			if near > 0 {
				x.entries = append(x.entries, n)
				pairs += near
			}
		}
		if len(x.entries) > 0 {
			found = append(found, &x)
		}
	}
	return found, pairs
}

// round sends an experiment's requests of a round.
func (m *measurement) round(ctx context.Context, x *experiment, carriers []*function, n int) error {
	shares, gap, dense, sum, busy := []float64{}, time.Duration(0), time.Duration(0), 0.0, false
	demands := map[*function]time.Duration{} // where processor time is measured
	for _, f := range carriers {
		sum += max(f.Share, leastShare)
		shares = append(shares, sum)
		demand, often := f.short, cmp.Or(f.dense, f.gap)
		if f.told && f.result.CPU > 0 {
			demand, often = m.busy(f, f.entries)
			busy = true
		}
		demands[f], gap, dense = demand, max(gap, f.gap), max(dense, often)
	}
	draw := func(demand func(*function) time.Duration) func(*scenarios.Arrival, *rand.Rand) {
		return func(a *scenarios.Arrival, r *rand.Rand) {
			i, _ := slices.BinarySearch(shares, r.Float64()*sum)
			f := carriers[min(i, len(carriers)-1)]
			*a = m.anywhere(f, demand(f), r, a.At)
		}
	}
	warm := m.spaced(x.warming, min(gap, warmFast), draw(func(f *function) time.Duration { return f.short }))
	p := m.spaced(n, gap, draw(func(f *function) time.Duration { return f.long }))
	q := &p
	phases := []*phase{&warm, &p}
	if m.processes != nil && (busy || dense < gap) {
		often := m.spaced(n*asMany(gap, dense), dense, draw(func(f *function) time.Duration { return demands[f] }))
		often.busy = busy
		q = &often
		phases = append(phases, q)
	}
	x.phases, x.dense = append(x.phases, &p), append(x.dense, q)
	return m.run(ctx, 0, phases...)
}

// moved is how many probes and hops a request had, on average.
func (p *phase) moved() (probes, hops float64) {
	for _, r := range p.records {
		probes, hops = probes+float64(r.Probes), hops+float64(r.Hops)
	}
	n := float64(max(1, len(p.records)))
	return probes / n, hops / n
}

// beyond is how much more a request of x used of the processors than a local one, and than is known otherwise, functions aside, to which it
// is all the same: the median over the rounds, since one may be spoilt.
func (m *measurement) beyond(x, local *experiment, known func(*phase) time.Duration) time.Duration {
	var differences []float64
	for k, p := range x.dense {
		with, without := m.perRequest(p), m.perRequest(local.dense[k])
		d := with.Generator + with.Nodes - without.Generator - without.Nodes - known(p)
		differences = append(differences, float64(d))
	}
	slices.Sort(differences)
	return max(0, time.Duration(median(differences)))
}

// unsteady is how much the two halves of an experiment may differ before that is remarked, and how sure that is.
const (
	unsteady      = 1.25
	unsteadyLevel = 0.01
)

// clients takes what is between clients and nodes, of all local requests.
func (m *measurement) clients(local *experiment) {
	var halves [2][]float64
	for k, p := range local.phases {
		for _, r := range p.good() {
			f := m.functions[r.Function]
			f.client = append(f.client, max(0, r.Client))
			half := &halves[2*k/len(local.phases)]
			*half = append(*half, r.Client.Seconds())
		}
	}
	slices.Sort(halves[0])
	slices.Sort(halves[1])
	if ratio := median(halves[1]) / median(halves[0]); max(ratio, 1/ratio) > unsteady && differ(halves[0], halves[1]) < unsteadyLevel {
		m.Warn(fmt.Sprintf("what is between clients and nodes took %.2f times as long in the second half as in the first: the "+
			"machine is busy with other things, and what is measured spoilt", ratio))
	}
}
