package results

import (
	"fmt"
	"math"
	"strings"
)

// Warnings says in words what the reader of a run's figures has to know before believing them.
func (r *Run) Warnings() []string {
	var all []string
	if n := r.missing(); n > 0 {
		all = append(all, fmt.Sprintf("The run is not complete: %d replications are missing. --resume completes it.", n))
	}
	for _, w := range []struct {
		says  string
		holds func(*Point) bool
	}{
		{"Only one replication, and no batches of it: there are no confidence intervals.",
			func(p *Point) bool { return len(p.Replications) == 1 && len(p.Replications[0].Batches) < 2 }},
		{fmt.Sprintf("Fewer than %d replications: the confidence intervals are wide, and their width is itself uncertain.",
			MinReplications), func(p *Point) bool { n := len(p.Replications); return n > 1 && n < MinReplications }},
		{"The batch means of the latency are correlated: the run is too short for its interval, which is too narrow.",
			correlated},
		{"The load was still growing at the end: there is no steady state, and all means depend on the duration.", growing},
		{"Utilisation of 98 % or more: close to saturation, averages settle slowly, and without a bound of the waiting " +
			"room there is no steady state.", saturated},
		{"More than 1 % of the requests had not ended when the run did. They are not counted, and those that take long " +
			"are among them: latencies come out too short.", unfinished},
		{"In some replications no request completed: their latencies are left out of the means.", nothingCompleted},
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

// correlated applies von Neumann's test to the batch means of the latency, at the level of about 5 %.
func correlated(p *Point) bool {
	if len(p.Replications) != 1 {
		return false
	}
	batches := p.Replications[0].batches("latency.mean")
	return autocorrelation(batches) > 2/math.Sqrt(float64(len(batches)))
}

// growing compares the mean load in the first and in the last third of the measured part.
func growing(p *Point) bool {
	for _, rep := range p.Replications {
		s := rep.Series
		if s == nil || s.Every <= 0 {
			continue
		}
		n := min(len(s.Mean), int(rep.Measured/s.Every))
		measured := s.Mean[len(s.Mean)-n:]
		first, last := 0.0, 0.0
		for i := range n / 3 {
			first += measured[i]
			last += measured[n-1-i]
		}
		if n < 6 || last < 1.5*first || last-first < float64(n/3) {
			return false
		}
	}
	return len(p.Replications) > 0 && p.Replications[0].Series != nil
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

func nothingCompleted(p *Point) bool {
	for _, rep := range p.Replications {
		if rep.Tally.total().completed() == 0 {
			return true
		}
	}
	return false
}

func clamped(p *Point) bool {
	for _, rep := range p.Replications {
		if rep.Tally.Clamped() > 0 {
			return true
		}
	}
	return false
}
