package swarm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/core/sched"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// attempts bounds how often a scenario of a seed is drawn. What is drawn of an algorithm's parameters, its learner and
// its faults may not fit each other or the cluster; the scenario's own rules say so, and it is drawn again.
const attempts = 200

// Draw makes the scenario of a seed: the document, and the scenario that it resolves to. The algorithm is the seed's
// alone, so that those which fit few clusters are as frequent as others.
func Draw(seed uint64) (*yaml.Node, *scenarios.Scenario, error) {
	names := sched.Names()
	name := names[rand.New(rand.NewPCG(seed, attempts)).IntN(len(names))]
	var last error
	for attempt := range uint64(attempts) {
		d := drawer{Rand: rand.New(rand.NewPCG(seed, attempt))}
		doc := d.scenario(seed, name)
		s, err := resolve(doc)
		if err == nil {
			return doc, s, nil
		}
		last = err
	}
	return nil, nil, fmt.Errorf("seed %d: no scenario with %s was right in %d attempts, the last one because of: %w", seed, name, attempts, last)
}

// resolve makes the scenario of a document.
func resolve(doc *yaml.Node) (*scenarios.Scenario, error) {
	text, err := yaml.Marshal(doc)
	if err != nil {
		return nil, err
	}
	f, err := scenarios.Parse("swarm.yaml", text, nil)
	if err != nil {
		return nil, err
	}
	points, err := f.Points()
	if err != nil {
		return nil, err
	}
	return points[0].Scenario, nil
}

// drawer draws the parts of one scenario.
type drawer struct {
	*rand.Rand
	nodes     int
	slots     int
	functions []string
	busy      time.Duration // that requests arrive, and faults begin
	length    time.Duration // of the run
	faults    bool
	cloud     bool
}

func (d *drawer) scenario(seed uint64, algorithm string) *yaml.Node {
	d.nodes = d.size()
	d.busy = d.between(5*time.Second, 25*time.Second)
	d.length = d.busy + d.between(time.Second, 5*time.Second)
	if d.chance(0.5) {
		d.length = d.busy + settled + 2*time.Second // so that memberships are looked at
	}
	d.faults = d.chance(0.85)
	d.cloud = d.chance(0.2)
	for i := range 1 + d.IntN(3) {
		d.functions = append(d.functions, fmt.Sprintf("f%d", i))
	}
	hosts := d.chance(0.07)
	doc := mapping("name", fmt.Sprintf("swarm-%d", seed), "seed", strconv.FormatUint(seed, 10), "duration", d.length,
		"warmup", "0s", "replications", 1, "cluster", d.cluster(hosts))
	service := d.service()
	var functions []any
	for _, f := range d.functions {
		functions = append(functions, d.function(f, service))
	}
	add(doc, "functions", list(functions...))
	add(doc, "workload", d.workload(service))
	add(doc, "client", d.client())
	entry, err := sched.Lookup(algorithm)
	if err != nil {
		panic(err) // the name is of the registry
	}
	add(doc, "scheduler", d.scheduler(entry))
	if _, asks := entry.New().(sched.Learning); asks || d.chance(0.15) {
		add(doc, "learner", d.learner())
	}
	if d.faults {
		var faults []any
		for range 1 + d.IntN(5) {
			faults = append(faults, d.fault())
		}
		add(doc, "faults", list(faults...))
	}
	if hosts {
		add(doc, "hosts", list(mapping("name", "host", "cores", 1+d.IntN(4), "nodes", "all", "load", d.chance(0.5))))
	}
	flow(doc)
	return doc
}

// size is how many nodes there are: few, mostly, since these meet more in the time.
func (d *drawer) size() int {
	switch x := d.Float64(); {
	case x < 0.05:
		return 1
	case x < 0.6:
		return 2 + d.IntN(5)
	case x < 0.9:
		return 7 + d.IntN(9)
	}
	return 16 + d.IntN(25)
}

func (d *drawer) cluster(hosts bool) *yaml.Node {
	d.slots = 1 + d.IntN(4)
	c := mapping("slots", d.slots)
	if d.chance(0.05) {
		set(c, "slots", "unlimited") // a node that never refuses, and lets nothing wait, meets little
	}
	add(c, "queue", d.bound(0))
	if d.chance(0.3) {
		add(c, "speed", d.number(0.3, 4))
	}
	add(c, "discipline", d.word("fifo", "fifo", "lifo", "priority", "deadline", "shortest"))
	if !hosts && d.chance(0.3) {
		add(c, "service_mode", d.word("processor-sharing", "preemptive-priority", "preemptive-lifo", "preemptive-shortest"))
		add(c, "cores", 1+d.IntN(3))
	}
	add(c, "abandon", d.chance(0.3))
	if d.chance(0.2) {
		add(c, "power", mapping("idle", "2W", "busy", "3W", "sent", "50nJ/B"))
	}
	if d.nodes > 2 && d.chance(0.3) {
		first := 1 + d.IntN(d.nodes-1)
		add(c, "groups", list(
			mapping("name", "a", "nodes", first, "slots", 1+d.IntN(4)),
			mapping("name", "b", "nodes", d.nodes-first, "queue", d.bound(0), "speed", d.number(0.3, 4), "abandon", d.chance(0.5))))
	} else {
		add(c, "nodes", d.nodes)
	}
	add(c, "topology", d.topology())
	links := d.link(20 * time.Millisecond)
	if d.faults && d.chance(0.2) {
		add(links, "loss", d.number(0.001, 0.05))
	}
	add(c, "links", links)
	if d.cloud {
		add(c, "cloud", mapping("link", d.link(100*time.Millisecond), "speed", d.number(0.5, 4)))
	}
	return c
}

// bound is a count of at least least, or no bound.
func (d *drawer) bound(least int) any {
	if d.chance(0.3) {
		return "unlimited"
	}
	return least + d.IntN(5)
}

func (d *drawer) topology() any {
	switch d.IntN(8) {
	case 0:
		return d.word("ring", "line", "star")
	case 1:
		return mapping("kind", "tree", "arity", 1+d.IntN(4))
	case 2:
		return mapping("kind", "erdos-renyi", "probability", d.number(0.3, 1), "allow_disconnected", true)
	case 3:
		return mapping("kind", "barabasi-albert", "attach", 1+d.IntN(2))
	}
	return "full-mesh"
}

// link is one that loses nothing, of latencies that the failure detector is made for (docs/adr/0011).
func (d *drawer) link(longest time.Duration) *yaml.Node {
	l := mapping("latency", d.distribution(d.between(0, longest), 1))
	if d.chance(0.3) {
		add(l, "jitter", mapping("distribution", "uniform", "min", "0s", "max", d.between(time.Millisecond, longest)))
	}
	if d.chance(0.3) {
		add(l, "bandwidth", d.word("1Mbit/s", "10Mbit/s", "1Gbit/s"))
	}
	return l
}

// service is a mean time to execute by which about requests requests keep the nodes busy for a share of the time, below
// saturation and above.
func (d *drawer) service() time.Duration {
	requests, load := float64(10+d.IntN(250)), 0.2+float64(1.3*d.Float64())
	s := load * float64(d.slots*d.nodes) * d.busy.Seconds() / requests
	return min(3*time.Second, time.Duration(s*1e9))
}

func (d *drawer) function(name string, service time.Duration) *yaml.Node {
	f := mapping("name", name, "service", d.distribution(service, 3))
	if d.chance(0.5) {
		add(f, "payload", "28kB")
		add(f, "reply", "1kB")
	}
	if d.chance(0.5) {
		add(f, "deadline", d.distribution(d.between(service, 5*service), 1))
	}
	if d.chance(0.3) {
		add(f, "priority", d.IntN(3))
	}
	if d.chance(0.25) {
		add(f, "cold_start", mapping("time", d.distribution(d.between(10*time.Millisecond, time.Second), 1), "keep_alive", d.between(0, 5*time.Second)))
	}
	if d.chance(0.25) {
		add(f, "placement", mapping("copies", 1+d.IntN(d.nodes)))
	}
	add(f, "replicas", d.word("iid", "same"))
	return f
}

// distribution is one with a mean, of up to kinds kinds from the simplest on.
func (d *drawer) distribution(mean time.Duration, kinds int) any {
	mean = max(mean, time.Microsecond)
	switch d.IntN(2 * kinds) {
	case 0:
		return mean
	case 1:
		return mapping("distribution", "exponential", "mean", mean)
	case 2:
		return mapping("distribution", "hyperexponential", "mean", mean, "scv", 4)
	case 3:
		return mapping("distribution", "uniform", "min", mean/2, "max", 3*mean/2)
	case 4:
		return mapping("distribution", "pareto", "shape", 1.5, "min", mean/3, "max", 20*mean)
	}
	return mapping("distribution", "lognormal", "mean", mean, "scv", 2)
}

func (d *drawer) workload(service time.Duration) *yaml.Node {
	rate := float64(10+d.IntN(250)) / d.busy.Seconds() / float64(d.nodes)
	perNode := fmt.Sprintf("%.4g/s", rate)
	w := mapping("arrivals", d.word("poisson", "poisson", "deterministic", "renewal", "mmpp"))
	switch w.Content[1].Value {
	case "mmpp":
		add(w, "states", list(mapping("rate", fmt.Sprintf("%.4g/s", 2*rate), "stay", d.between(time.Second, 5*time.Second)),
			mapping("rate", fmt.Sprintf("%.4g/s", rate/4), "stay", d.between(time.Second, 5*time.Second))))
		return w
	case "renewal":
		add(w, "gap", mapping("distribution", "gamma", "mean", service, "shape", d.number(0.5, 4)))
	case "deterministic":
		add(w, "phase", d.word("random", "aligned"))
	}
	if d.chance(0.3) {
		add(w, "rate", perNode)
		return w
	}
	// Then all is quiet, and the faults and what they leave behind have their end.
	points := list(mapping("at", "0s", "rate", perNode), mapping("at", d.busy, "rate", perNode), mapping("at", d.busy+time.Millisecond, "rate", "0/s"))
	add(w, "curve", mapping("period", 2*d.length, "points", points))
	return w
}

func (d *drawer) client() *yaml.Node {
	c := mapping()
	if d.faults || d.chance(0.5) { // without faults every request ends by itself
		add(c, "timeout", d.between(time.Second, 10*time.Second))
	}
	if d.chance(0.3) {
		link := d.link(20 * time.Millisecond)
		if d.chance(0.3) {
			add(link, "loss", d.number(0.001, 0.1))
		}
		add(c, "link", link)
	}
	return c
}

func (d *drawer) scheduler(e sched.Entry) *yaml.Node {
	s := mapping("name", e.Name)
	for _, p := range e.Parameters() {
		if p.Required || d.chance(0.6) {
			add(s, p.Name, d.parameter(&p))
		}
	}
	hops := 1 // most algorithms' own
	if d.chance(0.6) {
		hops = 1 + d.IntN(6)
		add(s, "max_hops", hops)
	}
	add(s, "on_failure", d.word("execute", "next", "fail"))
	add(s, "on_refusal", d.word("execute", "next", "fail"))
	if limit := d.word("execute", "lose"); hops > 1 {
		add(s, "at_hop_limit", limit)
	}
	if d.faults || d.chance(0.5) {
		add(s, "probe_timeout", d.between(50*time.Millisecond, time.Second))
		add(s, "answer_timeout", d.between(500*time.Millisecond, 10*time.Second))
	}
	return s
}

// parameter is a value by what the parameter says of itself.
func (d *drawer) parameter(p *sched.Param) any {
	switch p.Type {
	case sched.Boolean:
		return d.chance(0.5)
	case sched.Integer:
		least, _ := strconv.Atoi(p.Min)
		return min(least+d.IntN(6), most(p.Max))
	case sched.Number:
		least, _ := strconv.ParseFloat(p.Min, 64)
		return d.number(least, min(float64(most(p.Max)), least+1))
	case sched.Duration:
		if p.Min == "0s" && d.chance(0.5) {
			return "0s"
		}
		return d.between(50*time.Millisecond, 2*time.Second)
	case sched.Node:
		return d.IntN(d.nodes)
	case sched.Words:
		words := slices.Clone(p.Choices)
		d.Shuffle(len(words), func(i, k int) { words[i], words[k] = words[k], words[i] })
		var some []any
		for _, w := range words[:1+d.IntN(len(words))] {
			some = append(some, w)
		}
		return list(some...)
	case sched.Matrix:
		return list(d.split())
	}
	return d.word(p.Choices...)
}

// most is the upper bound of a parameter.
func most(bound string) int {
	if x, err := strconv.ParseFloat(bound, 64); err == nil {
		return int(x)
	}
	return math.MaxInt32
}

// split are shares of the nodes, in thousandths.
func (d *drawer) split() *yaml.Node {
	left := 1000
	var row []any
	for i := range d.nodes {
		part := left
		if i < d.nodes-1 {
			part = d.IntN(left + 1)
		}
		left -= part
		row = append(row, fmt.Sprintf("%.3f", float64(part)/1000))
	}
	return list(row...)
}

func (d *drawer) learner() *yaml.Node {
	l := mapping("algorithm", d.word(learner.Algorithms...), "window_size", 1+d.IntN(8), "entry_missing_max_attempts", 1+d.IntN(30))
	switch l.Content[1].Value {
	case "dqn":
		add(l, "function", "network")
		add(l, "hidden", list(4))
		add(l, "replay", mapping("batch", 4, "warmup", 8))
	case "sarsa", "expected-sarsa", "q-learning", "double-q":
		add(l, "function", d.word("table", "table", "tiles", "linear"))
		add(l, "average_reward", d.chance(0.5))
		add(l, "tilings", 2)
		add(l, "tiles", list(3))
		add(l, "hash", 256) // a tile for each state of many numbers would take gigabytes
		if d.chance(0.3) {
			add(l, "lambda", 0.5)
		}
	}
	if policy := d.word("epsilon-greedy", "softmax"); !learner.Explores(l.Content[1].Value) {
		add(l, "policy", policy)
	}
	add(l, "reward", d.word("deadline", "latency", "energy"))
	add(l, "v1_compat", d.chance(0.1))
	add(l, "entries", mapping("batch", 1+d.IntN(4)))
	if d.chance(0.5) {
		set(l, "entries", mapping("batch", 1+d.IntN(4), "delay", d.distribution(d.between(0, time.Second), 1), "loss", d.number(0, 0.2)))
	}
	if d.chance(0.4) {
		add(l, "inference", d.distribution(d.between(time.Millisecond, 100*time.Millisecond), 1))
	}
	return l
}

// keysOfFaults are how the keys are drawn that kinds of faults have. A kind with a key that is required and not here is
// not drawn, which a test finds.
var keysOfFaults = map[string]func(*drawer) any{
	"factor":      func(d *drawer) any { return d.number(1.5, 10) },
	"probability": func(d *drawer) any { return d.number(0.05, 1) },
	"latency":     func(d *drawer) any { return d.distribution(d.between(10*time.Millisecond, 2*time.Second), 1) },
	"one_way":     func(d *drawer) any { return d.chance(0.5) },
	"functions":   func(d *drawer) any { return list(d.word(d.functions...)) },
	"status":      func(d *drawer) any { return 400 + d.IntN(200) },
	"by":          func(d *drawer) any { return d.word("-1h", "-1s", "1s", "1h") },
}

// fault draws an entry of the list of faults. The kinds are those that scenarios know.
func (d *drawer) fault() *yaml.Node {
	forms := scenarios.FaultForms()
	form := forms[d.IntN(len(forms))]
	f := mapping("kind", string(form.Kind))
	ofLinks := slices.Contains(form.Optional, "between")
	for _, key := range form.Required {
		add(f, key, keysOfFaults[key](d))
	}
	for _, key := range form.Optional {
		if draw := keysOfFaults[key]; draw != nil && d.chance(0.4) {
			add(f, key, draw(d))
		}
	}
	switch x := d.Float64(); {
	case x < 0.1:
		add(f, "when", mapping("arrivals", 1+d.IntN(40)))
		add(f, "for", d.between(100*time.Millisecond, 10*time.Second))
	case x < 0.2:
		add(f, "when", mapping("load", 1+d.IntN(4)))
		add(f, "for", d.between(100*time.Millisecond, 10*time.Second))
		ofLinks = false // it befalls a node
	case x < 0.65:
		at := d.between(0, d.busy)
		add(f, "at", at)
		add(f, "for", d.between(100*time.Millisecond, max(d.busy-at, time.Second)))
	case x < 0.8:
		add(f, "at", d.between(0, d.busy))
	default:
		add(f, "every", d.between(2*time.Second, d.busy))
		add(f, "for", d.between(100*time.Millisecond, 5*time.Second))
	}
	d.target(f, ofLinks)
	return f
}

// target says whom a fault befalls; ofLinks: it may lie between two sets of nodes.
func (d *drawer) target(f *yaml.Node, ofLinks bool) {
	numbers := func(all []int) *yaml.Node {
		l := list()
		for _, n := range all {
			l.Content = append(l.Content, node(n))
		}
		return l
	}
	few := func() *yaml.Node { return numbers(d.Perm(d.nodes)[:1+d.IntN(max(1, d.nodes/2))]) }
	switch x := d.Float64(); {
	case ofLinks && (x < 0.3 || d.nodes == 1):
		add(f, "between", list("all", "all"))
	case ofLinks && x < 0.5 && at(f, "kind").Value == string(scenarios.Partition): // nobody is on both sides
		all, one := d.Perm(d.nodes), 1+d.IntN(d.nodes/2)
		add(f, "between", list(numbers(all[:one]), numbers(all[one:one+1+d.IntN(d.nodes-one)])))
	case ofLinks && x < 0.5:
		add(f, "between", list(few(), few()))
	case x < 0.75:
		add(f, "nodes", few())
	default:
		add(f, "random", 1+d.IntN(max(1, d.nodes/2)))
	}
}

func (d *drawer) chance(p float64) bool { return d.Float64() < p }

func (d *drawer) word(words ...string) string { return words[d.IntN(len(words))] }

// between is a duration, in whole microseconds.
func (d *drawer) between(least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return least + time.Duration(d.Int64N(int64(most-least))).Truncate(time.Microsecond)
}

// number is one from least to most, with a few digits.
func (d *drawer) number(least, most float64) string {
	return strconv.FormatFloat(least+float64((most-least)*d.Float64()), 'g', 3, 64)
}
