package theory

import (
	"fmt"
	"hash/fnv"
	"math"
	"strings"
)

// model is what an experiment simulates: a scenario but for its length and the number of its nodes, where that does not
// matter. Texts are those of a scenario file.
type model struct {
	variant   string  // among those of its case; "" where there is one
	nodes     int     // 0: of nodes that do not know of each other as many as serve run side by side
	groups    string  // entries of cluster.groups; "": all nodes are equal
	cluster   string  // keys of cluster
	functions string  // entries of functions
	workload  string  // keys of workload
	scheduler string  // keys of scheduler
	rate      float64 // arrivals per second, of a node or, where there are several, their mean
	slots     int     // of a node; 0: one
	relax     float64 // seconds in which the distance to the steady state falls to 1/e, about
	align     float64 // seconds: the measured part is a multiple of it; 0: any
	horizon   float64 // seconds: measure from the empty system until then; 0: the steady state
	measures  measures
}

// effort says how long to simulate.
type effort struct {
	replications int
	least, most  float64 // requests per experiment that are measured
	precision    float64 // relative half-width of an interval that is worth no more than least
}

var (
	full = effort{replications: 32, least: 2e6, most: 8e6, precision: 0.0125}
	fast = effort{replications: 16, least: 4e5, most: 1e6, precision: 0.05}
)

const (
	forget    = 5    // relaxation times of warm-up
	remember  = 20   // and at least so many are measured: the bias of the start is below e^-5/20, 0.03 %
	recall    = 8    // instead, where the mean over the nodes takes part in that over time: 0.08 %
	fewer     = 100  // nodes are enough for that
	maxCopies = 16   // of a node that runs alone
	manyNodes = 1000 // for the limit of many nodes
)

// length are the nodes, the warm-up and the measured part, in seconds.
func (m *model) length(e effort) (nodes int, warmup, measured float64) {
	// The mean sojourn time of M/M/1 has a relative variance of about relax*rate over the number of requests, the others
	// about as much or less; 6 standard errors are the interval of a test among thousands.
	wanted := m.relax * m.rate / float64(max(1, m.slots)) * 36 / (e.precision * e.precision)
	perNode := min(max(wanted, e.least), e.most) / float64(e.replications) / m.rate // seconds of one node
	enough := remember * m.relax
	switch {
	case m.horizon > 0:
		enough = m.horizon
	case m.nodes >= fewer:
		enough = recall * m.relax
	}
	nodes = m.nodes
	if nodes == 0 {
		nodes = min(maxCopies, max(1, int(perNode/enough)))
	}
	if m.horizon > 0 {
		return nodes, 0, m.horizon
	}
	warmup = m.round(forget * m.relax)
	return nodes, warmup, m.round(max(perNode/float64(nodes), enough))
}

// round rounds a number of seconds up to a short one.
func (m *model) round(x float64) float64 {
	if m.align > 0 {
		return math.Ceil(x/m.align) * m.align
	}
	unit := math.Pow(10, math.Floor(math.Log10(x))-1)
	return math.Ceil(x/unit) * unit
}

// body is the scenario but for its name, with everything that decides what happens in it.
func (m *model) body(e effort, seed uint64) string {
	nodes, warmup, measured := m.length(e)
	var b strings.Builder
	fmt.Fprintf(&b, "duration: %s\nwarmup: %s\n", seconds(warmup+measured), seconds(warmup))
	fmt.Fprintf(&b, "replications: %d\n", e.replications)
	who := fmt.Sprintf("nodes: %d", nodes)
	if m.groups != "" {
		who = "groups: [" + m.groups + "]"
	}
	fmt.Fprintf(&b, "cluster: {%s, %s}\n", who, m.cluster)
	fmt.Fprintf(&b, "functions: [%s]\nworkload: {%s}\nscheduler: {%s}\n", m.functions, m.workload, m.scheduler)
	h := fnv.New32a()
	h.Write([]byte(b.String()))
	return fmt.Sprintf("seed: %d\n", seed+uint64(h.Sum32())) + b.String()
}

// node are the keys of nodes with so many slots and places, waiting ones included; 0 places: no bound.
func node(slots, places int) string {
	if places == 0 {
		return fmt.Sprintf("slots: %d", slots)
	}
	return fmt.Sprintf("slots: %d, queue: %d", slots, places-slots)
}

// function is the only function, of a service law; more are further keys.
func function(service law, more ...string) string {
	return fmt.Sprintf("{%s}", strings.Join(append([]string{"name: f", "service: " + service.yaml}, more...), ", "))
}

func poisson(rate float64) string { return "rate: " + perSecond(rate) }

const alone = "name: NoScheduler"

// relaxation is about the relaxation time of a node, in seconds: that of M/M/1/K, of which the generator has the
// eigenvalue -mu(1+rho-2*sqrt(rho)*cos(pi/(K+1))) next to 0 (Morse, Queues, Inventories and Maintenance, 1958), on a
// server so many times as fast as there are slots, stretched by the variability of gaps and services as in heavy
// traffic; never less than a service. 0 places: no bound.
func relaxation(arrivals, services law, slots, places int) float64 {
	rho := services.mean / arrivals.mean / float64(slots)
	bend := 1.0
	if places > 0 {
		bend = math.Cos(math.Pi / float64(places-slots+2))
	}
	gap := 1 + rho - 2*math.Sqrt(rho)*bend
	variability := max(0.5, (arrivals.scv+services.scv)/2)
	return services.mean * max(1, (1+services.scv)/2, variability/(float64(slots)*gap))
}
