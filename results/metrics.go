package results

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/p2pfaas/p2pfaas/core/spelling"
)

// Definition says what a metric is.
type Definition struct {
	Name    string `json:"name"`
	Unit    string `json:"unit"` // "s", "1/s", "J", "share" (0 to 1), or "" for a plain number
	Meaning string `json:"meaning"`

	whole     bool // of the whole cluster only: neither per function nor per batch
	extensive bool // grows with the length of the run
}

// Definitions are the metrics of a replication, in the order of summaries. "Requests" are those that arrived at their
// clients in the measured part and ended within the run; "completions" are those of the measured part, whenever their
// requests arrived.
var Definitions = []Definition{
	{Name: "requests", extensive: true, Meaning: "requests that ended"},
	{Name: "completed", extensive: true, Meaning: "requests that were executed and whose answer came back"},
	{Name: "throughput", Unit: "1/s", Meaning: "completions per second of the measured part, whenever the requests arrived, whole cluster"},
	{Name: "latency.mean", Unit: "s", Meaning: "mean latency of completed requests, as the client saw it"},
	{Name: "latency.std", Unit: "s", Meaning: "standard deviation of the latency of completed requests"},
	{Name: "latency.p50", Unit: "s", Meaning: "median latency of completed requests"},
	{Name: "latency.p90", Unit: "s", Meaning: "90th percentile of the latency of completed requests"},
	{Name: "latency.p95", Unit: "s", Meaning: "95th percentile of the latency of completed requests"},
	{Name: "latency.p99", Unit: "s", Meaning: "99th percentile of the latency of completed requests"},
	{Name: "latency.p99.9", Unit: "s", Meaning: "99.9th percentile of the latency of completed requests"},
	{Name: "latency.max", extensive: true, Unit: "s", Meaning: "longest latency of a completed request"},
	{Name: "client.mean", Unit: "s", Meaning: "mean time on the client's own link, both ways, of completed requests"},
	{Name: "scheduling.mean", Unit: "s", Meaning: "mean time in decisions, probing not counted, of completed requests"},
	{Name: "probing.mean", Unit: "s", Meaning: "mean time waiting for the answers of probed peers, of completed requests"},
	{Name: "forwarding.mean", Unit: "s",
		Meaning: "mean time on the way to the executing node, failed attempts included, of completed requests"},
	{Name: "waiting.mean", Unit: "s", Meaning: "mean time in waiting rooms, of completed requests"},
	{Name: "waiting.p50", Unit: "s", Meaning: "median time in waiting rooms, of completed requests"},
	{Name: "waiting.p95", Unit: "s", Meaning: "95th percentile of the time in waiting rooms, of completed requests"},
	{Name: "waiting.p99", Unit: "s", Meaning: "99th percentile of the time in waiting rooms, of completed requests"},
	{Name: "waiting.max", extensive: true, Unit: "s", Meaning: "longest time in waiting rooms of a completed request"},
	{Name: "executing.mean", Unit: "s", Meaning: "mean time in a slot, cold start included, of completed requests"},
	{Name: "returning.mean", Unit: "s",
		Meaning: "mean time of the answer's way back between nodes, of completed requests"},
	{Name: "drop_rate", Unit: "share", Meaning: "requests that did not complete, whatever the reason, over all"},
	{Name: "rejected_rate", Unit: "share", Meaning: "requests that the algorithm rejected on purpose, over all"},
	{Name: "no_room_rate", Unit: "share",
		Meaning: "requests refused for lack of a free slot and of room to wait, over all"},
	{Name: "no_function_rate", Unit: "share", Meaning: "requests refused because their function was not where they might execute, over all"},
	{Name: "expired_rate", Unit: "share", Meaning: "requests abandoned because their deadline passed, over all"},
	{Name: "lost_rate", Unit: "share", Meaning: "requests lost (node down, no answer, hop limit, client gone), over all"},
	{Name: "deadline_share", Unit: "share",
		Meaning: "requests that completed within their deadline (or completed, having none), over all"},
	{Name: "reward.mean", Meaning: "what an answer was worth, mean over all requests; only where a scenario defines it"},
	{Name: "forwarded_share", Unit: "share",
		Meaning: "requests whose execution began at another node than the one their client called, over all"},
	{Name: "probing_share", Unit: "share", Meaning: "requests on whose behalf at least one peer was probed, over all"},
	{Name: "probes_per_request", Meaning: "peers probed or asked on behalf of a request, mean over all"},
	{Name: "messages_per_request", whole: true,
		Meaning: "messages between nodes in the measured part, of any kind, over the requests"},
	{Name: "hops.mean", Meaning: "forwards of a request, mean over all"},
	{Name: "retry_rate", Meaning: "forwards that were refused or not answered and fell back, over the requests"},
	{Name: "cold_share", Unit: "share", Meaning: "executions that began with a cold start, over all executions"},
	{Name: "cold_start.mean", Unit: "s", Meaning: "mean time that cold starts took, of the executions that began with one"},
	{Name: "utilisation", Unit: "share", whole: true,
		Meaning: "share of the slots' time that was spent executing, over all nodes with a limited number of slots"},
	{Name: "fairness", Unit: "share", whole: true,
		Meaning: "Jain's index of the nodes' utilisations, (sum u)^2 / (n sum u^2): 1 = all equal, 1/n = one node does all"},
	{Name: "load.mean", whole: true, Meaning: "tasks running and queued at a node, mean over nodes and time"},
	{Name: "energy", Unit: "J", whole: true, Meaning: "energy of all nodes in the measured part, idle power included"},
	{Name: "energy_per_request", Unit: "J",
		Meaning: "energy above idle that a request cost (busy slot, bytes sent), mean over all"},
	{Name: "energy_per_completed", Unit: "J", whole: true,
		Meaning: "energy of all nodes in the measured part, idle power included, over the completions in it"},
}

// rewarded reports whether the scenario says what an answer is worth.
func (r *Run) rewarded() bool {
	return slices.ContainsFunc(r.means(r.Points, "reward.mean"), func(x float64) bool { return !math.IsNaN(x) })
}

// definitionOf finds the definition of a metric by name, with or without its function. Percentiles that are not in the
// list have one too.
func definitionOf(name string) (Definition, bool) {
	base, function, per := cutFunction(name)
	if !per {
		base = name
	}
	i := slices.IndexFunc(Definitions, func(d Definition) bool { return d.Name == base })
	var d Definition
	switch {
	case i >= 0:
		d = Definitions[i]
	case strings.Contains(base, ".p"):
		if _, _, ok := percentileOf(base); !ok {
			return Definition{}, false
		}
		of, p, _ := strings.Cut(base, ".p")
		d = Definition{Unit: "s", Meaning: p + "th percentile of the " + of + " time of completed requests"}
	default:
		return Definition{}, false
	}
	if per {
		d.Meaning += "; only function " + function
	}
	d.Name = name
	return d, !per || !d.whole
}

// Unit is a metric's unit: "s", "1/s", "J", "share", or "".
func Unit(metric string) string {
	d, _ := definitionOf(metric)
	return d.Unit
}

// Metric returns one of Definitions by name, of all functions together or of one ("latency.mean[face-detect]"), and
// false where there is none of that name. It is NaN where it is not defined: a mean over nothing, the fairness of
// nodes that were not counted one by one, or what would need the requests of all shares of a load.
func (r *Replication) Metric(name string) (float64, bool) {
	if d, _ := definitionOf(name); d.whole && name != "load.mean" && r.partial() {
		return math.NaN(), true
	}
	switch name {
	case "messages_per_request":
		if r.Reality != nil && r.Reality.Silent > 0 {
			return math.NaN(), true
		}
		return float64(r.Messages) / float64(r.Tally.total().requests()), true
	case "utilisation":
		return r.utilisation(), true
	case "fairness":
		return r.fairness(), true
	case "load.mean":
		return r.load(), true
	case "energy":
		return r.energy(), true
	case "energy_per_completed":
		return r.energy() / r.Tally.completions(name), true
	}
	if _, base, ok := r.Tally.of(name); ok && base == "throughput" {
		return r.Tally.completions(name) / r.Measured.Seconds(), true
	}
	return r.Tally.Metric(name)
}

// capacity is the slots' time in seconds.
func (s *NodeStat) capacity(r *Replication) float64 {
	return float64(s.Nodes) * float64(s.Slots) * r.Measured.Seconds()
}

func (r *Replication) utilisation() float64 {
	busy, capacity := 0.0, 0.0
	for i := range r.Groups {
		if c := r.Groups[i].capacity(r); c > 0 {
			busy, capacity = busy+r.Groups[i].Busy.Seconds(), capacity+c
		}
	}
	return busy / capacity
}

// fairness is Jain's index (R. Jain, D. Chiu, W. Hawe, "A quantitative measure of fairness and discrimination for
// resource allocation in shared computer systems", DEC-TR-301, 1984).
func (r *Replication) fairness() float64 {
	sum, squares, n := 0.0, 0.0, 0
	for i := range r.Nodes {
		if c := r.Nodes[i].capacity(r); c > 0 {
			u := r.Nodes[i].Busy.Seconds() / c
			sum, squares, n = sum+u, squares+float64(u*u), n+1
		}
	}
	return sum * sum / (float64(n) * squares)
}

// load is the mean over the samples of the measured part: the last ones of the series.
func (r *Replication) load() float64 {
	if r.Series == nil || r.Series.Every <= 0 {
		return math.NaN()
	}
	n := min(len(r.Series.Mean), int(r.Measured/r.Series.Every))
	sum := 0.0
	for _, v := range r.Series.Mean[len(r.Series.Mean)-n:] {
		sum += v
	}
	return sum / float64(n)
}

func (r *Replication) energy() float64 {
	sum := 0.0
	for i := range r.Groups {
		sum += r.Groups[i].EnergyJ
	}
	return sum
}

// perFunction are the metrics that summaries give for every function too, where there are several.
var perFunction = []string{"requests", "completed", "throughput", "latency.mean", "latency.p50", "latency.p90",
	"latency.p95", "latency.p99", "waiting.mean", "executing.mean", "drop_rate", "deadline_share", "forwarded_share",
	"energy_per_request"}

// Metrics are the names of the metrics that a summary of the run has.
func (r *Run) Metrics() []string {
	names := make([]string, 0, len(Definitions))
	for _, d := range Definitions {
		names = append(names, d.Name)
	}
	if functions := r.Functions(); len(functions) > 1 {
		for _, f := range functions {
			for _, m := range perFunction {
				names = append(names, m+"["+f+"]")
			}
		}
	}
	return names
}

// CheckMetric returns an error, with the nearest names, where replications of functions of these names have no metric
// of that name.
func CheckMetric(name string, functions []string) error {
	if _, known := definitionOf(name); known {
		_, function, per := cutFunction(name)
		if !per || slices.Contains(functions, function) {
			return nil
		}
		return fmt.Errorf("there is no metric %q: the functions are %s", name, strings.Join(spelling.Nearest(function, functions), ", "))
	}
	var names []string
	for _, d := range Definitions {
		names = append(names, d.Name)
	}
	return fmt.Errorf("there is no metric %q: the nearest are %s", name,
		strings.Join(spelling.Nearest(name, names)[:3], ", "))
}
