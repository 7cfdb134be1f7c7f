package results

import (
	"fmt"
	"slices"
	"strings"
)

// Warnings says in words what the reader of a run's metrics has to know before believing them. What is to be said of percentiles depends on
// which are shown: see Sparse.
func (r *Run) Warnings() []string {
	var all []string
	if n := r.missing(); n > 0 {
		w := fmt.Sprintf("The run is not complete: %d replications are missing.", n)
		if r.World == "sim" {
			w += " --resume completes it."
		}
		all = append(all, w)
	}
	all = slices.Concat(all, r.unlike(), r.gone(), r.unrecovered(), r.grown(), r.othersNote(), r.losses(), r.faulty())
	for _, w := range []struct {
		says  string
		holds func(*Point) bool
	}{
		{"Only one replication, and no batches of it: there are no confidence intervals.",
			func(p *Point) bool { return len(p.Replications) == 1 && len(p.Replications[0].Batches) < 2 }},
		{fmt.Sprintf("Fewer than %d replications: the confidence intervals are wide, and their width is itself uncertain.",
			MinReplications), func(p *Point) bool { n := len(p.Replications); return n > 1 && n < MinReplications }},
		{"The batch means of the latency are correlated (von Neumann's test at 5 %): the run is too short for its interval, which " +
			"is too narrow.", batchesCorrelated},
		{"The load was still growing at the end: there is no steady state, and all means depend on the duration.", growing},
		{"Utilisation of 98 % or more: close to saturation, averages settle slowly, and without a bound of the waiting " +
			"room there is no steady state.", saturated},
		{"More than 1 % of the requests had not ended when the run did. They are not counted, and those that take long " +
			"are among them: latencies come out too short.", unfinished},
		{"No request completed: there are no latencies.", func(p *Point) bool {
			return len(p.Replications) > 0 && p.empty() == len(p.Replications)
		}},
		{"In some replications no request completed: their latencies are left out of the means.", func(p *Point) bool {
			return p.empty() > 0 && p.empty() < len(p.Replications)
		}},
		{"These are the requests of one share of the load: counts and throughput are of it alone, load.mean and the load over " +
			"time of the whole cluster. What would need the requests of all shares has no value: utilisation, fairness, energy, " +
			"energy_per_completed and messages_per_request.", partial},
		{"The load generator was late: more than 1 % of the requests left later than 1 ms and 2 % of the mean latency after " +
			"they were to. The load was not the scenario's: take fewer nodes on this machine or lower rates, or share the load " +
			"among machines.", late(sent)},
		{"The emulated links were late: more than 1 % of the messages took longer than they were to by more than 1 ms and " +
			"2 % of the mean latency. This machine cannot emulate these links under this load.", late(links)},
		{"Some nodes do not emulate links, or do not say so: their messages took what the real network takes. Start them with " +
			"p2pfaas node --scenario and the same settings, or leave cluster.links out.",
			someLinks(func(l *Links) bool { return l.Others > l.Unlike })},
		{"Some nodes emulate other links than the scenario's: their messages took what those take. Start them with p2pfaas node " +
			"--scenario and the same settings.", someLinks(func(l *Links) bool { return l.Unlike > 0 })},
		{"Some messages were sent to or from machines of whose links the scenario says nothing, or had a length that nobody " +
			"had announced: what they took is not what the scenario says.",
			someLinks(func(l *Links) bool { return l.Unknown > 0 })},
		{"Some durations could not be (negative, or longer than 146 years) and were counted as the nearest that can.",
			clamped},
	} {
		var where []string
		for _, p := range r.Points {
			if w.holds(p) {
				where = append(where, r.Label(p))
			}
		}
		if len(where) > 0 {
			all = append(all, w.says+r.places(where))
		}
	}
	return all
}

// reportWarnings are those of a report, with its percentiles.
func (r *Run) reportWarnings() []string {
	metrics := r.reportMetrics()
	if functions := r.Functions(); len(functions) > 1 {
		for _, f := range functions {
			metrics = append(metrics, "latency.p95["+f+"]")
		}
	}
	return append(r.Warnings(), r.Sparse(metrics...)...)
}

// places names the points that a warning is about, or how many they are.
func (r *Run) places(where []string) string {
	const shown = 3
	switch n := len(where); {
	case n == len(r.Points):
		return ""
	case n > shown:
		return fmt.Sprintf(" At %s, and %d points more.", strings.Join(where[:shown], "; "), n-shown)
	}
	return " At " + strings.Join(where, "; ") + "."
}

func batchesCorrelated(p *Point) bool {
	return len(p.Replications) == 1 && correlated(p.Replications[0].batches("latency.mean"))
}

// growing compares the last third of the measured part with the first: the load has grown, the arrivals have not.
func growing(p *Point) bool {
	for _, rep := range p.Replications {
		s := rep.Series
		if s == nil || s.Every <= 0 {
			return false
		}
		n := min(len(s.Mean), len(s.Rate), int(rep.Measured/s.Every))
		load, load2 := thirds(s.Mean, n)
		rate, rate2 := thirds(s.Rate, n)
		if n < 6 || load2 < 1.5*load || load2 < load+1 || rate2 > 1.1*rate {
			return false
		}
	}
	return len(p.Replications) > 0
}

// thirds are the means of the first and of the last third of the last n values.
func thirds(values []float64, n int) (first, last float64) {
	values = values[len(values)-n:]
	for i := range n / 3 {
		first += values[i] / float64(n/3)
		last += values[n-1-i] / float64(n/3)
	}
	return first, last
}

func saturated(p *Point) bool { return p.Interval("utilisation", Confidence).Mean >= 0.98 }

func unfinished(p *Point) bool {
	flying, submitted := 0, uint64(0)
	for _, rep := range p.Replications {
		flying += rep.InFlight
		submitted += rep.Submitted
	}
	return float64(flying) > 0.01*float64(submitted)
}

// empty is how many replications completed no request.
func (p *Point) empty() (n int) {
	for _, rep := range p.Replications {
		if rep.Tally.total().completed() == 0 {
			n++
		}
	}
	return n
}

func clamped(p *Point) bool {
	for _, rep := range p.Replications {
		if rep.Tally.Clamped() > 0 {
			return true
		}
	}
	return false
}
