package theory

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/results"
)

// The tables of many nodes that know of each other. Messages take no time, unless said otherwise.

// unit is the service time of nearly all of them.
var unit = exponential(1)

// together is a cluster of n nodes with lam arrivals per second at each.
func together(n int, lam float64, slots, places int, scheduler string) model {
	m := queue(lam, unit, slots, places)
	m.nodes, m.scheduler = n, scheduler
	m.measures.also(measures{"L_per_node": inSystem, "p0": exactly(0), "probe": rate("probing_share"),
		"fwd": rate("forwarded_share"), "msgs": metric("probes_per_request")})
	if places > 0 {
		m.measures["pK"] = exactly(places)
	}
	for i := 1; i <= 5; i++ {
		m.measures["s"+strconv.Itoa(i)] = atLeast(i)
	}
	return m
}

// pooled shortens the relaxation time where nodes share their load: what is too much drains from all of them.
func (m model) pooled(lam float64) model {
	if lam < 1 {
		m.relax = min(m.relax, 1.5/(1-lam))
	}
	return m
}

// blind leaves fewer nodes where tasks go to random ones: these do as well as many, and each has to warm up.
func (m model) blind() model {
	m.nodes = int(max(2, min(50, 20_000/m.relax)))
	return m
}

func jsqOf(p *params, n, places int, more string) model {
	// Where all d are full the task is lost; the node that it came to has no part in that.
	return together(n, p.positive("lam"), 1, places, fmt.Sprintf("name: JSQ, d: %d%s, on_failure: fail", p.int("d"), more))
}

func jsq(p *params) []model {
	m := jsqOf(p, manyNodes, 0, "")
	if p.int("d") == 1 {
		return []model{m.blind()}
	}
	return []model{m.pooled(m.rate)}
}

// jsqBounded has the limit of LL(d-1,0).
func jsqBounded(p *params) []model {
	d, places := p.int("d"), p.int("K")
	m := jsqOf(p, manyNodes, places, "")
	if d == 1 {
		return []model{m.blind()}
	}
	m.relax = newLimit(m.rate, 1, places, d-1, 0).relax
	return []model{m}
}
func jsqFinite(p *params) []model { return []model{jsqOf(p, p.int("N"), 0, "")} }

func jsqRefined(p *params) []model {
	m := jsqOf(p, p.int("N"), 0, ", replacement: true")
	m = m.pooled(m.rate)
	m.measures = measures{"T_N_approx": m.measures["T"], "L_N_approx": m.measures["L"]}
	return []model{m}
}

func powerOfN(fanout, threshold int) string {
	return fmt.Sprintf("name: PowerOfNScheduler, fanout: %d, threshold: %d", fanout, threshold)
}

// leastLoaded is LL(F,T): a node with T tasks or more probes F others and forwards to the least loaded one if that has
// strictly less.
func leastLoaded(p *params, n int) model {
	lam, slots, places, fanout, threshold := p.positive("lam"), p.int("c"), p.int("K"), p.int("F"), p.int("T")
	m := together(n, lam, slots, places, powerOfN(fanout, threshold))
	m.relax = newLimit(lam, slots, places, fanout, threshold).relax
	return m
}

func ll(p *params) []model       { return []model{leastLoaded(p, manyNodes)} }
func llFinite(p *params) []model { return []model{leastLoaded(p, p.int("N"))} }

// llRefined has the numbers of nodes in the names of its values: T_N100.
func llRefined(p *params) []model {
	var all []model
	seen := map[int]bool{}
	for _, v := range p.of.Values {
		_, after, ok := strings.Cut(v.Metric, "_N")
		n, err := strconv.Atoi(after)
		if !ok || err != nil || seen[n] {
			continue
		}
		seen[n] = true
		m := leastLoaded(p, n)
		m.variant = after + " nodes"
		m.measures = measures{"T_N" + after: m.measures["T"], "PB_N" + after: m.measures["PB"]}
		all = append(all, m)
	}
	return all
}

// llClasses has a group per class.
func llClasses(p *params) []model {
	weights, lams, places, slots := p.floats("w"), p.floats("lam"), p.floats("K"), p.floats("c")
	if len(lams) != len(weights) || len(places) != len(weights) || len(slots) != len(weights) {
		p.wrong("w", p.text("w"), "as many classes as in lam, K and c")
		return nil
	}
	var groups, rates []string
	m := together(manyNodes, 1, 1, 0, powerOfN(p.int("F"), p.int("T")))
	m.relax, m.rate, m.nodes = 0, 0, 0
	for i, w := range weights {
		n, c, k := int(math.Round(w*manyNodes)), int(slots[i]), int(places[i])
		groups = append(groups, fmt.Sprintf("{name: class%d, nodes: %d, %s}", i, n, node(c, k)))
		rates = append(rates, fmt.Sprintf("class%d: %s", i, perSecond(lams[i])))
		m.nodes += n
		m.rate += w * lams[i]
		m.relax = max(m.relax, relaxation(exponential(1/lams[i]), unit, c, k))
		m.measures[fmt.Sprintf("util%d", i)] = groupUtilisation(i)
		m.measures[fmt.Sprintf("L%d", i)] = groupLoad(i)
	}
	// Classes that share the load of all may be slower to fill than each of them.
	m.relax = max(m.relax, newLimit(m.rate, int(slots[0]), int(places[0]), p.int("F"), p.int("T")).relax)
	m.groups, m.cluster = strings.Join(groups, ", "), "topology: full-mesh"
	m.workload = "rate: {groups: {" + strings.Join(rates, ", ") + "}}"
	return []model{m}
}

// linkSteps is into how many equally likely values the exponential delay of a link is cut.
const linkSteps = 64

// llDelayed forwards over links that take an exponential time, but probes in none. A message takes the time of what it
// carries: as many functions of equal shares as there are steps differ in their payloads alone, the means of the
// exponential distribution within its quantiles.
func llDelayed(p *params) []model {
	m := together(manyNodes, p.positive("lam"), p.int("c"), p.int("K"), powerOfN(1, p.int("T"))+", on_failure: fail")
	nu := p.positive("nu")
	m.relax = newLimit(m.rate, m.slots, p.int("K"), 1, p.int("T")).relax + 1/nu
	const bytesPerSecond = 1e7
	var functions []string
	for i := range linkSteps {
		functions = append(functions, fmt.Sprintf("{name: f%d, service: %s, payload: %.0fB}", i, unit.yaml,
			exponentialStep(i, linkSteps)/nu*bytesPerSecond))
	}
	m.functions = strings.Join(functions, ", ")
	m.cluster += ", links: {bandwidth: 10MB/s}"
	underway := estimator{records: true, of: func(r *results.Replication) float64 { return onLinks(r, false) }}
	m.measures = measures{"PB": rate("drop_rate"), "PB_remote": rate("retry_rate"),
		"PB_local": {share: true, of: func(r *results.Replication) float64 {
			return value("drop_rate")(r) - value("retry_rate")(r)
		}},
		"L": inSystem, "inflight": underway, "probe": rate("probing_share"),
		"fwd": {share: true, of: func(r *results.Replication) float64 {
			return value("forwarded_share")(r) + value("retry_rate")(r)
		}},
		// By Little's law over all that is under way: the time on the link of those dropped at its end counts.
		"T": {records: true, of: func(r *results.Replication) float64 {
			return value("latency.mean")(r) + onLinks(r, true)*nodes(r)*r.Measured.Seconds()/value("completed")(r)
		}}}
	return []model{m}
}

// exponentialStep is the mean of an exponential variable of mean 1 within the i-th of n equally likely intervals.
func exponentialStep(i, n int) float64 {
	// The integral of x*e^-x from a to b is (a+1)e^-a - (b+1)e^-b, and e^-a = 1-i/n.
	part := func(tail float64) float64 {
		if tail == 0 {
			return 0
		}
		return (1 - math.Log(tail)) * tail
	}
	return float64(n) * (part(1-float64(i)/float64(n)) - part(1-float64(i+1)/float64(n)))
}

// onLinks is the mean number of requests per node that are on a link; of those alone that are dropped at its end.
func onLinks(r *results.Replication, dropped bool) float64 {
	sum := 0.0
	for i := range r.Records {
		if x := &r.Records[i]; !dropped || x.Outcome != core.Completed {
			sum += x.Timing.Forwarding.Seconds()
		}
	}
	return sum / float64(len(r.Records)) * offered.of(r)
}

// idleQueues is join-idle-queue with r servers per dispatcher.
func idleQueues(p *params) []model {
	r, lam := p.int("r"), p.positive("lam")
	dispatchers := max(manyNodes/r, manyNodes/10)
	n := dispatchers * r
	m := together(n, lam, 1, 0, fmt.Sprintf("name: JIQ, dispatchers: %d", dispatchers))
	m.dispatched(dispatchers, n, lam)
	// A busy server gets what dispatchers with an empty queue send to random ones, at the rate 1-1/T.
	m.relax = relaxation(exponential(1/(1-1/p.given("T_random"))), unit, 1, 0) + 1/(1-lam)
	m.measures = measures{"T_random": metric("latency.mean")}
	return []model{m}
}

func stealing(p *params, lam float64, scheduler string) model {
	m := together(manyNodes, lam, 1, 0, "name: WorkStealing, "+scheduler)
	m.relax = min(m.relax, 5/(1-lam))
	m.measures.also(measures{"pi2": m.measures["s2"],
		"tail_ratio": measured(func(r *results.Replication) float64 { return atLeast(3).of(r) / atLeast(2).of(r) })})
	return m
}

func stealingOnce(p *params) []model {
	return []model{stealing(p, p.positive("lam"), "on_empty: true, threshold: 2")}
}

func stealingAgain(p *params) []model {
	return []model{stealing(p, p.positive("lam"), fmt.Sprintf("on_empty: false, retry: %s, threshold: %d",
		seconds(1/p.positive("gamma")), p.int("thr")))}
}

// redundancy has k servers, "inf" for the limit of many.
func redundancy(p *params) []model {
	k, limit := manyNodes, p.text("k") == "inf"
	if !limit {
		k = p.int("k")
	}
	lam, d := p.positive("lam"), p.int("d")
	m := together(k, lam, 1, 0, fmt.Sprintf("name: Redundancy, d: %d", d))
	switch {
	case d > 1:
		m = m.pooled(lam)
	case limit:
		m = m.blind()
	}
	return []model{m}
}

func stale(p *params, epochs string) model {
	period, lam, d := p.positive("P"), p.positive("lam"), p.int("d")
	m := together(manyNodes, lam, 1, 0,
		fmt.Sprintf("name: StaleJSQ, d: %d, period: %s, epochs: %s", d, seconds(period), epochs))
	if d == 1 {
		return m.blind()
	}
	m = m.pooled(lam)
	m.relax += period
	return m
}

func stalePeriodic(p *params) []model {
	m := stale(p, "periodic")
	m.align = p.positive("P")
	return []model{m}
}

func staleExponential(p *params) []model { return []model{stale(p, "exponential")} }
