package calibrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/loadgen"
	"github.com/p2pfaas/p2pfaas/realnet/precise"
	"github.com/p2pfaas/p2pfaas/realnet/processor"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// Options are what is measured, and how long.
type Options struct {
	// Scenario is what the nodes were made of: with the links that they emulate, and its own seed.
	Scenario *scenarios.Scenario
	Cluster  Cluster
	Seed     uint64 // of the experiments; not the scenario's
	Entries  int    // nodes that requests are sent to, the first ones; 0: 4 at most
	Requests int    // of an experiment; 0: DefaultRequests or, where Duration is 0, as many as tell the entries apart
	// Duration of an experiment, in which its requests are spread; 0: as long as low load wants.
	Duration time.Duration
	Cores    int // of the machine, or of each machine, that the nodes are on
	// Payloads are bodies of requests by the name of their function, as for loadgen.Generate.
	Payloads map[string][][]byte
	Timeout  time.Duration       // of a request; 0: 1 min
	Progress func(what string)   // told what begins; nil: nobody is
	Warn     func(remark string) // told what casts doubt on the result; nil: nobody is

	// Of scenarios.Measured.
	Host, Version, Target string
}

// Cluster is the nodes that are measured. They run, and know each other.
type Cluster struct {
	Targets     []loadgen.Target     // by node, without the cloud
	Credentials *realnet.Credentials // that the nodes ask for; nil: none
	Cloud       string               // address of the cloud's scheduler service; empty: there is none
	Known       []string             // addresses by which the nodes know each other, by number, the cloud's last
	// Processes are those of the nodes, where they are on this machine; nil: they are elsewhere, and processor time is not known.
	Processes []int
}

// LeastRequests make a spread. DefaultRequests are some more, since some are left out.
const (
	LeastRequests   = leastSamples
	DefaultRequests = 320
	mostByItself    = 2000 // that nobody asked for
)

// requestsFor is how many requests of an experiment tell so many nodes apart: half of them are long, and some are left out.
func requestsFor(entries int) int { return entries * leastOfANode * 5 / 2 }

const (
	someEntries = 4
	ofARound    = 80  // requests: experiments take turns
	manySlots   = 128 // of a node, so that nothing waits
	shortGap    = 20 * time.Millisecond
	longGap     = 60 * time.Millisecond // for functions that compute for as long as they are told
	idleness    = 3                     // gaps are so many times as long as a request keeps a core busy
	longSleep   = 200 * time.Millisecond
	leastDemand = 200 * time.Microsecond
)

// measurement is one invocation of Measure.
type measurement struct {
	Options
	scenario  scenarios.Scenario // as requests are sent; its workload is that of each experiment
	functions []*function
	carriers  []*function // that are requested where the function does not matter
	speed     float64     // of the slowest node
	delay     time.Duration
	clock     *precise.Clock
	processes *processor.Processes // nil: not known
	idle      processor.Usage      // in idleFor
	idleFor   time.Duration
	looks     time.Duration // that a generator's looks at the loads of nodes use in a second
	others    time.Duration // processor time of other programs, in watched
	watched   time.Duration
	sent      int
	waited    int
	late      time.Duration
	drawn     int // schedules
	notes     []string
}

// function is one of the scenario's.
type function struct {
	*scenarios.Function
	typ         core.TaskType
	told        bool          // its demand
	entries     []core.NodeID // that have it and are sent requests
	turns       []core.NodeID // those that have not had theirs
	short, long time.Duration // demands that are asked for
	takes       time.Duration // on a node of speed 1, where it is not told
	gap         time.Duration
	dense       time.Duration   // gap where processor time is measured; 0: not by itself
	own         processor.Usage // in a second, of what is used without requests; where dense is not 0

	phases []*phase // of local requests of this function alone
	client []time.Duration
	calls  []time.Duration
	local  time.Duration // processor time of a local request, of generator and nodes
	result scenarios.CalibratedFunction
}

// task is a request of the function.
func (f *function) task(node core.NodeID, demand time.Duration) scenarios.Arrival {
	return scenarios.Arrival{Node: node, Type: f.typ, Demand: demand}
}

// Measure measures the nodes of a cluster, and gives them their own scheduler and slots back in the end.
func Measure(ctx context.Context, o Options) (_ *scenarios.Calibration, err error) {
	m, err := newMeasurement(o)
	if err != nil {
		return nil, err
	}
	m.clock = precise.New()
	defer m.clock.Close()
	defer func() {
		restore, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, loadgen.Configure(restore, o.Scenario, 0, m.Cluster.Targets, o.Cluster.Known, m.Cluster.Credentials))
	}()
	c := &scenarios.Calibration{Cores: o.Cores, Functions: map[string]scenarios.CalibratedFunction{},
		Measured: scenarios.Measured{Host: o.Host, Version: o.Version, Scenario: o.Scenario.Name, Target: o.Target, Seed: o.Seed}}
	for _, step := range []struct {
		what string
		do   func(context.Context, *scenarios.Calibration) error
	}{
		{"timers, and the bare network", m.bare},
		{"idle nodes", m.idleNodes},
		{"functions", m.measureFunctions},
		{"local requests, probes and forwards", m.ways},
		{"executions at once", m.slowdowns},
	} {
		m.Progress(step.what)
		if err := step.do(ctx, c); err != nil {
			return nil, err
		}
	}
	m.doubts()
	c.Measured.Notes = m.notes
	c.Measured.At, c.Measured.Requests = time.Now().UTC().Truncate(time.Second), m.sent
	return c, nil
}

func newMeasurement(o Options) (*measurement, error) {
	s := o.Scenario
	if o.Requests == 0 {
		o.Requests = DefaultRequests
		if o.Duration == 0 {
			o.Requests = max(o.Requests, min(mostByItself, requestsFor(o.Entries)))
		}
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	m := &measurement{scenario: *s, speed: s.Cluster.Groups[0].Speed}
	warn := o.Warn
	o.Warn = func(remark string) {
		m.notes = append(m.notes, remark)
		if warn != nil {
			warn(remark)
		}
	}
	m.Options = o
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if o.Seed == s.Seed {
		wrong("the seed %d is the scenario's own, whose requests are not to be met: choose another one", o.Seed)
	}
	if o.Requests < leastSamples {
		wrong("%d requests for an experiment: %d are the fewest that make a spread", o.Requests, leastSamples)
	}
	if o.Cores < 1 {
		wrong("the machine of the nodes has %d cores: say how many", o.Cores)
	}
	if o.Entries < 0 || o.Entries > s.Cluster.Nodes() {
		wrong("requests for %d nodes of %d: choose some, or 0", o.Entries, s.Cluster.Nodes())
	}
	var err error
	if m.delay, err = delayOf(s); err != nil {
		problems = append(problems, err)
	}
	if len(o.Cluster.Processes) > 0 {
		m.processes = &processor.Processes{Nodes: o.Cluster.Processes}
	}
	m.Cluster.Targets = slices.Clone(o.Cluster.Targets)
	for i := range m.Cluster.Targets {
		m.Cluster.Targets[i].Learner = "" // learners are left as they are
	}
	v := &m.scenario
	v.Faults = nil // of healthy nodes
	v.Seed, v.Warmup, v.Replications, v.Precision, v.Learner, v.Hosts, v.Calibration = o.Seed, 0, 1, nil, nil, nil, nil
	v.Cluster.Groups = slices.Clone(s.Cluster.Groups)
	for i := range v.Cluster.Groups {
		g := &v.Cluster.Groups[i]
		g.Slots, g.Queue = manySlots, manySlots
		m.speed = min(m.speed, g.Speed)
	}
	for i := range s.Functions {
		f, err := m.function(i)
		if err != nil {
			problems = append(problems, err)
		}
		m.functions = append(m.functions, f)
	}
	m.carriers = slices.DeleteFunc(slices.Clone(m.functions), func(f *function) bool { return !f.told })
	if len(m.carriers) == 0 {
		m.carriers = m.functions
	}
	return m, errors.Join(problems...)
}

// delayOf is how long the emulated links of a scenario hold a message, which is subtracted from what is measured.
func delayOf(s *scenarios.Scenario) (time.Duration, error) {
	c := s.Cluster
	c.Cloud = nil // no request gets there
	d, constant := c.Network().Constant()
	if !constant {
		return 0, fmt.Errorf("the nodes emulate links (%v) that differ from message to message, so that what the network itself costs "+
			"cannot be told: have links of constant latency, as --set cluster.links.latency=0s", c.Network())
	}
	return d, nil
}

// function says how a function is to be measured.
func (m *measurement) function(i int) (*function, error) {
	f := &function{Function: &m.Scenario.Functions[i], typ: core.TaskType(i)}
	f.told = f.Backend.Kind == "sleep" || f.Backend.Kind == "loop"
	most := m.Entries
	if most == 0 {
		most = someEntries
	}
	for n := range core.NodeID(m.Scenario.Cluster.Nodes()) {
		if len(f.entries) < most && f.On(n, &m.Scenario.Cluster) {
			f.entries = append(f.entries, n)
		}
	}
	mean := random.Seconds(f.Service.Mean())
	f.takes = time.Duration(float64(mean) / m.speed)
	f.gap = m.Duration / time.Duration(m.Requests)
	switch f.Backend.Kind {
	case "sleep":
		if f.gap == 0 {
			f.gap = shortGap
		}
		f.long = min(mean, longSleep)
	case "loop":
		if f.gap == 0 {
			f.gap = max(shortGap, min(longGap, idleness*f.takes))
		}
		f.long = min(mean, time.Duration(float64(f.gap)/idleness*m.speed))
	default: // the gap is chosen when it is known what the function takes
		f.long = max(mean, 1)
	}
	f.long = max(f.long, leastDemand)
	f.short = f.long / 4
	if len(f.entries) == 0 {
		return f, fmt.Errorf("no node has the function %s: place it, or leave it out", f.Name)
	}
	return f, nil
}

// expected is how long a task will execute.
func (m *measurement) expected(a *scenarios.Arrival) time.Duration {
	if f := m.functions[a.Type]; !f.told {
		return 2 * f.takes
	}
	return time.Duration(float64(a.Demand) / m.speed)
}

// speedOf is that of the node that executed a task.
func (m *measurement) speedOf(n core.NodeID) float64 {
	if g := m.scenario.Cluster.GroupOf(n); g != nil {
		return g.Speed
	}
	return m.scenario.Cluster.Cloud.Speed
}

// perRequest is what a request of these phases used of the processors, beyond what is used without requests.
func (m *measurement) perRequest(phases ...*phase) processor.Usage {
	var used processor.Usage
	n := 0
	for _, p := range phases {
		used = used.Plus(p.used)
		if m.idleFor > 0 {
			used = used.Minus(m.idle.Times(float64(p.length) / float64(m.idleFor)))
		}
		n += len(p.tasks)
	}
	return used.Times(1 / float64(n))
}

// doubts tells what casts doubt on the result.
func (m *measurement) doubts() {
	if m.processes == nil {
		m.Warn("the processes of the nodes are not on this machine, or not known: processor time is 0, and the shares of functions " +
			"come from their slowdown")
	} else if busy := m.others.Seconds() / m.watched.Seconds(); busy > 0.05*float64(m.Cores) {
		m.Warn(fmt.Sprintf("other programs kept %.2f of %d cores busy meanwhile, which spoils what is measured: end them, and repeat",
			busy, m.Cores))
	}
	if m.late > time.Millisecond {
		m.Warn(fmt.Sprintf("more than 1 %% of the requests left %v late, or later: the machine is busy, and what is measured spoilt",
			m.late.Round(10*time.Microsecond)))
	}
	if m.waited > m.sent/100 {
		m.Warn(fmt.Sprintf("%d of %d requests waited for a slot, and were left out", m.waited, m.sent))
	}
}
