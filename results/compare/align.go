package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// agreeing is the share of tasks that have to be the same on both sides for these to be paired. Some may differ: a simulation
// ends with requests in flight, of which it has no record.
const agreeing = 0.99

// pair are the two sides of a point. Where they are paired, position i of both tracks is the same task.
type pair struct {
	a, b      *track
	paired    bool
	common    int
	functions names
	factor    []float64 // of each function: demand in B over that in A, where paired; 1 otherwise
	notes     []string
}

// align pairs the tasks of two samples that are the same on both sides: of equal replication and number, equal arrival, entry
// node and function, and of equal demand where both know it. Demands may differ by one factor per function: the same
// random numbers with another mean.
func align(a, b *sample, functions names) *pair {
	p := &pair{a: newTrack(a), b: newTrack(b), functions: functions, factor: slices.Repeat([]float64{1}, len(functions))}
	x, y := &track{}, &track{}
	shared := 0 // replications
	for i := range a.replications {
		j := slices.IndexFunc(b.replications, func(r replication) bool { return r.index == a.replications[i].index })
		if j < 0 {
			continue
		}
		shared++
		from := len(x.at)
		merge(x, y, a.replications[i].requests, b.replications[j].requests)
		x.spans = append(x.spans, span{from, len(x.at)})
	}
	y.spans = x.spans
	least := min(x.requests(), y.requests())
	if least == 0 {
		p.notes = append(p.notes, "Not paired: no replication has requests on both sides.")
		return p
	}
	factor := demandFactors(x, y, len(functions))
	same, apart := compareTasks(x, y, factor)
	if share := float64(same) / float64(least); share < agreeing {
		if share > 0 {
			p.notes = append(p.notes, fmt.Sprintf("Not paired: only %s of the tasks are the same on both sides; the others differ in %s.",
				percent(share), apart))
		} else {
			p.notes = append(p.notes, "Not paired: no task is the same on both sides; they differ in "+apart+".")
		}
		return p
	}
	if n, m := len(a.replications), len(b.replications); shared < max(n, m) {
		p.notes = append(p.notes, fmt.Sprintf("What is compared is of the replications that both sides have, %d of the %d in A and of the %d in B.", shared, n, m))
	}
	for f, k := range factor {
		if k != 1 {
			p.notes = append(p.notes, fmt.Sprintf("The tasks of %s are the same but for their demand, which is %.4g times as long in B.",
				functions[f], k))
		}
	}
	if most := max(x.requests(), y.requests()); float64(same) < agreeing*float64(most) {
		p.notes = append(p.notes, fmt.Sprintf("%d tasks are the same on both sides, of %d in A and %d in B.", same,
			x.requests(), y.requests()))
	}
	p.a, p.b, p.paired, p.common, p.factor = x, y, true, same, factor
	return p
}

// merge lays out the requests of one replication of both sides, in order of their numbers.
func merge(x, y *track, a, b []request) {
	for i, j := 0, 0; i < len(a) || j < len(b); {
		var r, s *request
		if j == len(b) || i < len(a) && a[i].id <= b[j].id {
			r = &a[i]
		}
		if i == len(a) || j < len(b) && b[j].id <= a[i].id {
			s = &b[j]
		}
		if r != nil {
			i++
		}
		if s != nil {
			j++
		}
		x.at, y.at = append(x.at, r), append(y.at, s)
	}
}

// demandFactors are, per function, the medians of the demand in B over that in A; 1 where that is not known.
func demandFactors(x, y *track, functions int) []float64 {
	ratios := make([][]float64, functions)
	for i, r := range x.at {
		if s := y.at[i]; r != nil && s != nil && r.function == s.function && r.demand > 0 && s.demand > 0 {
			ratios[r.function] = append(ratios[r.function], float64(s.demand)/float64(r.demand))
		}
	}
	factors := make([]float64, functions)
	for f, all := range ratios {
		factors[f] = 1
		if len(all) > 0 {
			slices.Sort(all)
			if k := all[len(all)/2]; math.Abs(k-1) > 1e-6 {
				factors[f] = k
			}
		}
	}
	return factors
}

// compareTasks counts the tasks that are the same, and says in what the others differ.
func compareTasks(x, y *track, factor []float64) (same int, apart string) {
	differ := [...]struct {
		what  string
		count int
	}{{what: "arrival"}, {what: "entry node"}, {what: "function"}, {what: "demand"}}
	for i, r := range x.at {
		s := y.at[i]
		if r == nil || s == nil {
			continue
		}
		switch {
		case r.arrival != s.arrival:
			differ[0].count++
		case r.node != s.node:
			differ[1].count++
		case r.function != s.function:
			differ[2].count++
		case !sameDemand(r, s, factor[r.function]):
			differ[3].count++
		default:
			same++
		}
	}
	var names []string
	for _, d := range differ {
		if d.count > 0 {
			names = append(names, d.what)
		}
	}
	if names == nil {
		return same, "their numbers"
	}
	return same, strings.Join(names, ", ")
}

// sameDemand allows for what rounding to nanoseconds leaves.
func sameDemand(a, b *request, factor float64) bool {
	return a.demand == 0 || b.demand == 0 || math.Abs(float64(b.demand)-factor*float64(a.demand)) <= 1+factor+1e-6*float64(b.demand)
}

func percent(share float64) string { return fmt.Sprintf("%.3g %%", 100*share) }
