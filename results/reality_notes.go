package results

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/p2pfaas/p2pfaas/core"
)

// What is said of real runs that no figure shows.

// shownMost is how much of a list a note has.
const shownMost = 5

// realities calls f with what is known about each real replication of a point.
func (p *Point) realities(f func(*Replication, *Reality)) {
	for _, rep := range p.Replications {
		if rep.Reality != nil {
			f(rep, rep.Reality)
		}
	}
}

// faulty says which functions answered with an HTTP status that is an error: a line for each function.
func (r *Run) faulty() (notes []string) {
	for _, name := range r.Functions() {
		var by []Faulty // status
		var where []string
		answers := uint64(0)
		for _, p := range r.Points {
			before := len(where)
			p.realities(func(rep *Replication, reality *Reality) {
				completed, _ := rep.Tally.Metric("completed[" + name + "]")
				answers += uint64(completed)
				for _, f := range reality.Faulty {
					if f.Function != name {
						continue
					}
					if len(where) == before {
						where = append(where, r.Label(p))
					}
					if i := slices.IndexFunc(by, func(b Faulty) bool { return b.Status == f.Status }); i >= 0 {
						by[i].Count += f.Count
					} else {
						by = append(by, f)
					}
				}
			})
		}
		if len(by) == 0 {
			continue
		}
		slices.SortStableFunc(by, func(a, b Faulty) int { return cmp.Compare(b.Count, a.Count) })
		said := listed(by, "; ", func(f Faulty) string {
			return fmt.Sprintf("%d of %d answers of function %s had status %d (the first said: %q)", f.Count, answers, name, f.Status, f.Said)
		})
		notes = append(notes, said+". They count as completed."+r.places(where))
	}
	return notes
}

// losses says why requests were lost.
func (r *Run) losses() []string {
	var all []Loss // by reason
	var where []string
	total := uint64(0)
	for _, p := range r.Points {
		before := total
		p.realities(func(_ *Replication, reality *Reality) {
			for _, l := range reality.Losses {
				total += l.Count
				i := slices.IndexFunc(all, func(a Loss) bool { return a.Reason == l.Reason && a.Outcome == l.Outcome })
				if i < 0 {
					i = len(all)
					all = append(all, Loss{Outcome: l.Outcome, Reason: l.Reason})
				}
				all[i].Count += l.Count
				all[i].Nodes = append(all[i].Nodes, l.Nodes...)
			}
		})
		if total > before {
			where = append(where, r.Label(p))
		}
	}
	if total == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b Loss) int { return cmp.Compare(b.Count, a.Count) })
	said := listed(all, "; ", func(l Loss) string {
		slices.Sort(l.Nodes)
		return fmt.Sprintf("%d of %s (%v): %s", l.Count, numbered(slices.Compact(l.Nodes)), l.Outcome, l.Reason)
	})
	return []string{fmt.Sprintf("%d requests were lost or turned away, not by the decision of an algorithm: %s.%s", total,
		strings.TrimRight(said, "."), r.places(where))}
}

// gone says which nodes stopped answering.
func (r *Run) gone() []string {
	var all []Address
	var where []string
	for _, p := range r.Points {
		before := len(all)
		p.realities(func(_ *Replication, reality *Reality) { all = append(all, reality.Gone...) })
		if len(all) > before {
			where = append(where, r.Label(p))
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b Address) int { return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Address, b.Address)) })
	said := listed(slices.Compact(all), ", ", func(a Address) string { return fmt.Sprintf("node %d at %s", a.Node, a.Address) })
	return []string{fmt.Sprintf("Nodes did not answer at the end of the run, and did before: %s.%s", said, r.places(where))}
}

// listed writes the first of a list, and how many more there are.
func listed[T any](all []T, between string, write func(T) string) string {
	var parts []string
	for _, x := range all[:min(len(all), shownMost)] {
		parts = append(parts, write(x))
	}
	if n := len(all) - shownMost; n > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(parts, between)
}

// numbered writes ascending numbers of nodes: "node 2", "nodes 0-3, 7".
func numbered(nodes []core.NodeID) string {
	var runs [][2]core.NodeID
	for _, n := range nodes {
		if k := len(runs) - 1; k >= 0 && runs[k][1]+1 == n {
			runs[k][1] = n
		} else {
			runs = append(runs, [2]core.NodeID{n, n})
		}
	}
	said := listed(runs, ", ", func(r [2]core.NodeID) string {
		if r[0] == r[1] {
			return fmt.Sprint(r[0])
		}
		return fmt.Sprintf("%d-%d", r[0], r[1])
	})
	if len(nodes) == 1 {
		return "node " + said
	}
	return "nodes " + said
}
