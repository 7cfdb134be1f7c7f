package theory

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/p2pfaas/p2pfaas/results"
)

// The tables of single nodes, and of nodes between which the traffic is divided blindly.

// queue is a node with Poisson arrivals.
func queue(lam float64, service law, slots, places int) model {
	return model{cluster: node(slots, places), functions: function(service), workload: poisson(lam), scheduler: alone,
		rate: lam, slots: slots, relax: relaxation(exponential(1/lam), service, slots, places), measures: onFIFO()}
}

// renewal replaces the arrivals of a node.
func renewal(gap, service law, slots, places int) model {
	m := queue(1/gap.mean, service, slots, places)
	m.workload = "arrivals: renewal, gap: " + gap.yaml
	m.relax = relaxation(gap, service, slots, places)
	return m
}

// shared makes the running tasks of m share one core.
func (m model) shared(variant string, places int) model {
	m.variant = variant
	m.cluster = "slots: unlimited, service_mode: processor-sharing"
	if places > 0 {
		m.cluster = fmt.Sprintf("slots: %d, queue: 0, service_mode: processor-sharing", places)
	}
	return m
}

// insensitive are service laws of one mean for which an insensitive queue does the same.
func insensitive(mean float64) map[string]law {
	return map[string]law{"deterministic": constant(mean),
		"lognormal":        {distribution("lognormal", "mean", seconds(mean), "scv", "1"), mean, 1},
		"hyperexponential": {distribution("hyperexponential", "mean", seconds(mean), "scv", "4"), mean, 4}}
}

var laws = []string{"deterministic", "lognormal", "hyperexponential"}

func mm1(p *params) []model {
	m := queue(p.positive("lam"), exponential(1/p.positive("mu")), 1, 0)
	m.measures["N_var"] = loadVariance
	return []model{m}
}

// mmck is M/M/c/K. With one slot, M/G/1/K under processor sharing has the same blocking and means for every law.
func mmck(p *params) []model {
	lam, mean, slots, places := p.positive("lam"), 1/p.positive("mu"), p.int("c"), p.int("K")
	m := queue(lam, exponential(mean), slots, places)
	m.measures["p0"] = exactly(0)
	if slots > 1 {
		return []model{m}
	}
	m.measures["p0"] = idle
	all := []model{m}
	for _, name := range laws {
		s := queue(lam, insensitive(mean)[name], slots, places).shared("processor sharing, "+name, places)
		s.measures = measures{"PB": rate("drop_rate"), "T": metric("latency.mean"), "L": inSystem, "X": throughput}
		all = append(all, s)
	}
	return all
}

// erlangB is M/G/c/c: the same for every law.
func erlangB(p *params) []model {
	lam, slots := p.positive("a"), p.int("c")
	all := []model{queue(lam, exponential(1), slots, slots)}
	for _, name := range laws {
		m := queue(lam, insensitive(1)[name], slots, slots)
		m.variant = name
		all = append(all, m)
	}
	return all
}

// mmc is M/M/c: nodes by themselves, and those that have the function among three times as many. What clients call the others
// for goes to a random one of these: thinned and merged, Poisson streams remain such.
func mmc(p *params) []model {
	lam, service, slots := p.positive("lam"), exponential(1/p.positive("mu")), p.int("c")
	m := queue(lam, service, slots, 0)
	placed := m
	placed.variant = "on a third of the nodes"
	placed.nodes, placed.rate = 12, lam/3
	placed.functions, placed.workload = function(service, "placement: {copies: 4}"), poisson(lam/3)
	placed.measures = measures{}
	for _, name := range []string{"T", "T_p50", "T_p95", "T_p99", "Wq", "Wq_p95", "Wq_p99"} {
		placed.measures[name] = m.measures[name]
	}
	return []model{m, placed}
}

func mg1(p *params) []model {
	lam, service := p.positive("lam"), p.law("G")
	sharing := queue(lam, service, 1, 0).shared("processor sharing", 0)
	sharing.measures = measures{"T_PS": metric("latency.mean")}
	return []model{queue(lam, service, 1, 0), sharing}
}

func mg1Lognormal(p *params) []model {
	service := p.parseLaw("params", "LN/"+p.text("mean")+"/"+p.text("cv"))
	return []model{queue(p.positive("lam"), service, 1, 0)}
}

func mg1k(p *params) []model {
	m := queue(p.positive("lam"), p.law("G"), 1, p.int("K"))
	m.measures["p0"] = idle
	return []model{m}
}

func gim1(p *params) []model {
	return []model{renewal(p.law("A"), exponential(1/p.positive("mu")), 1, 0)}
}

func gim1k(p *params) []model {
	return []model{renewal(p.law("A"), exponential(1/p.positive("mu")), 1, p.int("K"))}
}

func gimcc(p *params) []model {
	c := p.int("c")
	return []model{renewal(p.law("A"), exponential(1/p.positive("mu")), c, c)}
}

// roundRobin deals the arrivals of one node out to all.
func roundRobin(p *params) []model {
	lam, service, n := p.positive("lam"), exponential(1/p.positive("mu")), p.int("N")
	m := queue(lam, service, 1, 0)
	m.scheduler = "name: RoundRobin"
	m.dispatched(1, n, lam)
	gap := law{mean: 1 / lam, scv: 1 / float64(n)}
	m.relax = relaxation(gap, service, 1, 0)
	return []model{m}
}

// dispatched makes the first k of n nodes take all requests, lam per node of all.
func (m *model) dispatched(k, n int, lam float64) {
	m.nodes = n
	if k == n {
		return
	}
	m.groups = fmt.Sprintf("{name: dispatchers, nodes: %d}, {name: servers, nodes: %d}", k, n-k)
	m.workload = fmt.Sprintf("rate: {groups: {dispatchers: %s, servers: 0/s}}", perSecond(lam*float64(n)/float64(k)))
}

func mdc(p *params) []model {
	return []model{queue(p.positive("lam"), constant(p.positive("D")), p.int("c"), 0)}
}

func mmpp(p *params) []model {
	l1, l2, r12, r21 := p.float("lam1"), p.float("lam2"), p.positive("r12"), p.positive("r21")
	slots, places := p.int("c"), p.int("K")
	lam := (l1*r21 + l2*r12) / (r12 + r21)
	m := queue(lam, exponential(1/p.positive("mu")), slots, places)
	m.workload = fmt.Sprintf("arrivals: mmpp, states: [{rate: %s, stay: %s}, {rate: %s, stay: %s}]", perSecond(l1),
		seconds(1/r12), perSecond(l2), seconds(1/r21))
	m.relax = max(m.relax, 1/(r12+r21))
	m.measures.also(measures{"lam_mean": offered, "P_full_time": exactly(places)})
	return []model{m}
}

// priorities has a function per class.
func priorities(p *params) []model {
	lams := p.floats("lams")
	services := strings.Fields(p.text("S"))
	if len(services) != len(lams) {
		p.wrong("S", p.text("S"), fmt.Sprintf("%d laws, separated by spaces", len(lams)))
		return nil
	}
	total := 0.0
	for _, l := range lams {
		total += l
	}
	m := model{workload: poisson(total), scheduler: alone, rate: total, measures: measures{}}
	var functions []string
	mean, square := 0.0, 0.0
	for i, text := range services {
		s := p.parseLaw("S", text)
		share := lams[i] / total
		mean, square = mean+share*s.mean, square+share*s.mean*s.mean*(1+s.scv)
		functions = append(functions, fmt.Sprintf("{name: class%d, service: %s, priority: %d, share: %s}", i, s.yaml, i,
			plain(share)))
		m.measures[fmt.Sprintf("T_class%d", i)] = metric(fmt.Sprintf("latency.mean[class%d]", i))
	}
	m.functions = strings.Join(functions, ", ")
	m.relax = relaxation(exponential(1/total), law{mean: mean, scv: square/(mean*mean) - 1}, 1, 0)
	m.cluster = "slots: 1, discipline: priority"
	if !strings.Contains(p.of.Model, "non-preemptive") {
		m.cluster = "slots: unlimited, service_mode: preemptive-priority"
	}
	return []model{m}
}

func sizeBased(p *params) []model {
	lam, service := p.positive("lam"), exponential(1/p.positive("mu"))
	fifo := queue(lam, service, 1, 0)
	fifo.measures = measures{"T_FIFO": metric("latency.mean")}
	shortest := fifo
	shortest.variant, shortest.cluster = "shortest job first", "slots: 1, discipline: shortest"
	shortest.measures = measures{"T_SJF_nonpreemptive": metric("latency.mean")}
	remaining := fifo
	remaining.variant = "shortest remaining time first"
	remaining.cluster = "slots: unlimited, service_mode: preemptive-shortest"
	remaining.measures = measures{"T_SRPT": metric("latency.mean")}
	sharing := fifo.shared("processor sharing", 0)
	sharing.measures = measures{"T_PS": metric("latency.mean"), "PS_T_var": sojournVariance}
	return []model{fifo, shortest, remaining, sharing}
}

func patience(p *params) []model {
	lam, mean := p.positive("lam"), 1/p.positive("mu")
	d := p.positive("D")
	m := queue(lam, exponential(mean), 1, 0)
	m.cluster += ", abandon: true"
	m.functions = function(exponential(mean), "deadline: "+seconds(d))
	// Nobody waits for longer than D: about the relaxation of so many places.
	m.relax = relaxation(exponential(1/lam), exponential(mean), 1, 2+int(d/mean))
	m.measures = measures{"P_loss": rate("expired_rate"), "p0": idle, "Wq_served": metric("waiting.mean"),
		"T_served": metric("latency.mean")}
	return []model{m}
}

func deadlines(p *params) []model {
	service := exponential(1 / p.positive("mu"))
	m := queue(p.positive("lam"), service, p.int("c"), p.int("K"))
	m.functions = function(service, "deadline: "+seconds(p.positive("Dl")))
	m.measures.also(measures{"in_deadline_rate": rate("deadline_share"),
		"miss_given_accepted": {share: true, of: func(r *results.Replication) float64 {
			return 1 - value("deadline_share")(r)*value("requests")(r)/value("completed")(r)
		}}})
	return []model{m}
}

// coldStarts has the start-up of an instance in the execution; theory has it in the wait.
func coldStarts(p *params) []model {
	lam, service, start := p.positive("lam"), p.law("S"), constant(p.positive("EI"))
	if p.text("I") == "exp" {
		start = exponential(start.mean)
	}
	m := queue(lam, service, 1, 0)
	m.functions = function(service, fmt.Sprintf("cold_start: {time: %s, keep_alive: %s}", start.yaml,
		seconds(p.float("keepalive_tau"))))
	m.relax += start.mean
	m.measures.also(measures{"frac_cold": rate("cold_share"),
		"Wq": measured(func(r *results.Replication) float64 { return value("latency.mean")(r) - service.mean })})
	return []model{m}
}

// routing divides one Poisson stream among nodes of different speed: in fixed shares, and as latency levelling does.
func routing(p *params) []model {
	mus, lam := p.floats("mus"), p.positive("Lam")
	slices.SortFunc(mus, func(a, b float64) int { return int(math.Copysign(1, b-a)) })
	n := len(mus)
	var groups, proportional, social, wardrop []string
	flows := measures{}
	total := 0.0
	for _, mu := range mus {
		total += mu
	}
	for i, mu := range mus {
		groups = append(groups, fmt.Sprintf("{name: n%d, nodes: 1, speed: %s}", i, plain(mu)))
		proportional = append(proportional, plain(mu/total))
		name := fmt.Sprintf("lam_mu%s_%d", plain(mu), i)
		social = append(social, plain(p.given("social_"+name)/lam))
		wardrop = append(wardrop, plain(p.given("wardrop_"+name)/lam))
		flows["wardrop_"+name] = groupThroughput(i)
	}
	m := model{nodes: n, groups: strings.Join(groups, ", "), cluster: "slots: 1", functions: function(exponential(1)),
		workload: poisson(lam / float64(n)), rate: lam / float64(n)}
	split := func(variant, metricName string, shares []string) model {
		s := m
		s.variant, s.scheduler = variant, "name: ProbabilisticSplit, matrix: [["+strings.Join(shares, ", ")+"]]"
		s.measures = measures{metricName: metric("latency.mean")}
		s.relax = slowest(mus, shares, lam)
		return s
	}
	all := []model{split("proportional split", "T_proportional", proportional), split("social split", "T_social", social),
		split("Wardrop split", "T_wardrop", wardrop)}
	all[1].measures.also(socialFlows(mus))
	return append(all, levelling(all[2], lam, p.given("T_wardrop"), flows))
}

// slowest is the longest relaxation time among parallel nodes.
func slowest(mus []float64, shares []string, lam float64) float64 {
	longest := 1.0
	for i, mu := range mus {
		var share float64
		fmt.Sscan(shares[i], &share)
		if share > 0 {
			longest = max(longest, relaxation(exponential(1/(share*lam)), exponential(1/mu), 1, 0))
		}
	}
	return longest
}

func socialFlows(mus []float64) measures {
	flows := measures{}
	for i, mu := range mus {
		flows[fmt.Sprintf("social_lam_mu%s_%d", plain(mu), i)] = groupThroughput(i)
	}
	return flows
}

// levelling lets the nodes find the split. The algorithm moves a share by step*(difference of latencies)/latency in a
// period, and near the equilibrium the latency T of a node grows by T² per unit of flow; at first every node keeps all.
// Its flows are those of the equilibrium. Its mean latency is longer, as the flows go on moving and the latency is
// convex.
func levelling(m model, lam, latency float64, flows measures) model {
	const period, step = 100, 0.005
	m.variant = "latency levelling"
	m.scheduler = fmt.Sprintf("name: LatencyLevelling, period: %ds, step: %g, explore: 0.0001", period, step)
	m.measures = flows
	m.relax = max(m.relax, period/step/2, period/(step*lam*latency))
	return m
}

// forwarding sends a share of the requests of each node to another one, blindly. Theory ends a request where it was
// executed: the answer's way back does not count.
func forwarding(p *params) []model {
	lams, mean := p.floats("lams"), 1/p.positive("mu")
	sojourn := func(x *results.Record) float64 { return (x.Latency - x.Timing.Returning).Seconds() }
	here := func(x *results.Record) float64 { return (x.Timing.Waiting + x.Timing.Executing).Seconds() }
	m := model{nodes: len(lams), functions: function(exponential(mean)),
		measures: measures{"T_mean": measured(func(r *results.Replication) float64 {
			return value("latency.mean")(r) - value("returning.mean")(r)
		})},
		cluster:   fmt.Sprintf("slots: 1, links: {latency: %s}", seconds(p.float("delay"))),
		scheduler: fmt.Sprintf("name: Random, probability: %s, include_self: false", plain(p.float("p")))}
	var groups, rates []string
	busiest := 0.0
	for i, lam := range lams {
		groups = append(groups, fmt.Sprintf("{name: n%d, nodes: 1}", i))
		rates = append(rates, fmt.Sprintf("n%d: %s", i, perSecond(lam)))
		m.rate += lam / float64(len(lams))
		busiest = max(busiest, lam)
		m.measures[fmt.Sprintf("T_node%d", i)] = meanOf(func(x *results.Record) bool { return int(x.Executor) == i }, here)
		m.measures[fmt.Sprintf("T_origin%d", i)] = meanOf(func(x *results.Record) bool { return int(x.Node) == i }, sojourn)
	}
	m.groups = strings.Join(groups, ", ")
	m.workload = "rate: {groups: {" + strings.Join(rates, ", ") + "}}"
	m.relax = relaxation(exponential(1/busiest), exponential(mean), 1, 0)
	apart := m
	apart.variant, apart.scheduler = "no cooperation", alone
	apart.measures = measures{"T_nocoop_mean": metric("latency.mean")}
	return []model{m, apart}
}

// curves takes the rate of a node from a file of the first P2PFaaS, which does not come with the program.
func curves(p *params) []model {
	slots, places, mean := p.int("c"), p.int("K"), 1/p.positive("mu")
	horizon, peak := p.positive("horizon_s"), p.positive("max_load")
	m := queue(p.given("exp_arrivals")/horizon, exponential(mean), slots, places)
	m.horizon = horizon
	m.workload = fmt.Sprintf("curve: {period: %s, min: 0/s, max: %s, file: %q}", seconds(p.positive("period_s")),
		perSecond(peak), filepath.Join(p.traffic, fmt.Sprintf("traffic_node_%s.csv", p.text("node"))))
	perNode := func(name string) estimator {
		return measured(func(r *results.Replication) float64 {
			return value("requests")(r) * value(name)(r) / nodes(r)
		})
	}
	m.measures = measures{"PB": rate("drop_rate"), "L_timeavg": inSystem, "T_little": metric("latency.mean"),
		"exp_blocked":  perNode("drop_rate"),
		"exp_arrivals": measured(func(r *results.Replication) float64 { return value("requests")(r) / nodes(r) })}
	return []model{m}
}

// infinite is M_t/M/inf.
func infinite(p *params) []model {
	l0, g, mean := p.positive("l0"), p.positive("g"), 1/p.positive("mu")
	period := 2 * math.Pi / g
	m := queue(l0, exponential(mean), 1, 0)
	m.nodes, m.cluster, m.relax = 100, "slots: unlimited", max(mean, period)
	m.workload = fmt.Sprintf("curve: {period: %s, sinusoid: {mean: %s, amplitude: %s}}", seconds(period), perSecond(l0),
		perSecond(l0*p.float("b")))
	level, amplitude, lag := wave(period)
	m.measures = measures{"m_mean": measured(level), "m_amp": measured(amplitude), "peak_lag": measured(lag),
		"m_max": measured(func(r *results.Replication) float64 { return level(r) + amplitude(r) })}
	return []model{m}
}
