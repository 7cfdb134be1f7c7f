package results

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

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

// losses says why requests were lost that no fault of the scenario explains.
func (r *Run) losses() []string {
	total, why, where := r.lost(false)
	if total == 0 {
		return nil
	}
	by := "by the decision of an algorithm"
	if n, _, _ := r.lost(true); n > 0 {
		by += ", nor by a fault of the scenario"
	}
	return []string{fmt.Sprintf("%d requests were lost or turned away, not %s: %s.%s", total, by, strings.TrimRight(why, "."), r.places(where))}
}

// lost are the requests that were lost, those that faults explain or the others: how many, why, in words, and at which points.
func (r *Run) lost(byFault bool) (total uint64, why string, where []string) {
	var all []Loss // by reason
	for _, p := range r.Points {
		before := total
		p.realities(func(_ *Replication, reality *Reality) {
			for _, l := range reality.Losses {
				if l.ByFault != byFault {
					continue
				}
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
	slices.SortStableFunc(all, func(a, b Loss) int { return cmp.Compare(b.Count, a.Count) })
	return total, listed(all, "; ", func(l Loss) string {
		slices.Sort(l.Nodes)
		return fmt.Sprintf("%d of %s (%v): %s", l.Count, numbered(slices.Compact(l.Nodes)), l.Outcome, l.Reason)
	}), where
}

// muchOfOthers is how many cores other programs may keep busy before that matters.
const muchOfOthers = 0.1

// Others is the most cores that other programs kept busy in a replication; 0 where they kept so few that it does not matter, or that is
// not known. where are the points in which they kept more.
func (r *Run) Others() (most float64, where []string) {
	for _, p := range r.Points {
		here := false
		p.realities(func(_ *Replication, reality *Reality) {
			if reality.Others > muchOfOthers {
				most, here = max(most, reality.Others), true
			}
		})
		if here {
			where = append(where, r.Label(p))
		}
	}
	return most, where
}

// othersNote says where other programs took the machine's cores.
func (r *Run) othersNote() []string {
	most, where := r.Others()
	if most == 0 {
		return nil
	}
	return []string{fmt.Sprintf("Other programs kept up to %.2f cores of the machine busy, which were not there for the nodes: what computes takes longer "+
		"than it does by itself. End them, and repeat.%s", most, r.places(where))}
}

// Befallen says in words how faults were carried out on real nodes, and how the cluster came out of them; empty where there were none.
func (r *Run) Befallen() string {
	late, ok := r.worst(func(x *Reality) Lateness { return x.befallen().Late })
	if !ok {
		return ""
	}
	said := fmt.Sprintf("half began or ended %s late, 99 %% at most %s (worst replication)", brief(late.P50), brief(late.P99))
	if again, ok := r.worst(func(x *Reality) Lateness { return x.befallen().Restarts }); ok {
		said += fmt.Sprintf("; nodes that had crashed answered %s after they were to be back, the latest %s", brief(again.P50), brief(again.Max))
	}
	recovery, n := time.Duration(0), 0
	var before, after NodeUse // sums
	for _, p := range r.Points {
		p.realities(func(_ *Replication, reality *Reality) {
			f := reality.befallen()
			recovery = max(recovery, f.Recovery)
			for _, u := range f.Nodes {
				before.Goroutines, after.Goroutines = before.Goroutines+u.Before.Goroutines, after.Goroutines+u.After.Goroutines
				before.MemoryBytes, after.MemoryBytes = before.MemoryBytes+u.Before.MemoryBytes, after.MemoryBytes+u.After.MemoryBytes
				n++
			}
		})
	}
	if len(r.unrecovered()) == 0 {
		said += fmt.Sprintf("; %s after the last one all nodes knew each other and served", brief(recovery))
	}
	if n > 0 {
		use := func(u NodeUse) string {
			return fmt.Sprintf("%d goroutines and %d MB", u.Goroutines/n, u.MemoryBytes/int64(n)/1e6)
		}
		said += fmt.Sprintf("; nodes began with %s, ended with %s (mean)", use(before), use(after))
	}
	if n, why, _ := r.lost(true); n > 0 {
		said += fmt.Sprintf("; they explain %d requests that were lost: %s", n, strings.TrimRight(why, "."))
	}
	return said
}

// befallen is empty where there were no faults.
func (x *Reality) befallen() *Faults {
	if x.Faults == nil {
		return &Faults{}
	}
	return x.Faults
}

// unrecovered says what faults have left behind.
func (r *Run) unrecovered() []string {
	var all, where []string
	for _, p := range r.Points {
		before := len(all)
		p.realities(func(_ *Replication, reality *Reality) { all = append(all, reality.befallen().Unrecovered...) })
		if len(all) > before {
			where = append(where, r.Label(p))
		}
	}
	if len(all) == 0 {
		return nil
	}
	return []string{"After the last fault the cluster did not become what it was: " + listed(all, "; ", func(s string) string { return s }) + "." +
		r.places(where)}
}

// grown says which nodes used more in the end than in the beginning.
func (r *Run) grown() []string {
	var all []NodeUses
	var where []string
	for _, p := range r.Points {
		before := len(all)
		p.realities(func(_ *Replication, reality *Reality) {
			for _, u := range reality.befallen().Nodes {
				if u.grown() {
					all = append(all, u)
				}
			}
		})
		if len(all) > before {
			where = append(where, r.Label(p))
		}
	}
	if len(all) == 0 {
		return nil
	}
	use := func(u NodeUse) string { return fmt.Sprintf("%d goroutines and %d MB", u.Goroutines, u.MemoryBytes/1e6) }
	return []string{"Some nodes used much more when the faults were over than before: " + listed(all, "; ", func(u NodeUses) string {
		return fmt.Sprintf("node %d began with %s, and ended with %s", u.Node, use(u.Before), use(u.After))
	}) + "." + r.places(where)}
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

// unlike says which nodes were not as the scenario says, and of which that is not known.
func (r *Run) unlike() (notes []string) {
	were := r.settingsOf("; ", func(u Unlike) string {
		switch {
		case u.Has == "":
			return ""
		case u.What == Neighbours && len(u.Nodes) > 1:
			return fmt.Sprintf("%s of %s: %s at node %d, in the scenario %s", u.What, numbered(u.Nodes), u.Has, u.Nodes[0], u.Wants)
		}
		return fmt.Sprintf("%s of %s: %s, in the scenario %s", u.What, numbered(u.Nodes), u.Has, u.Wants)
	})
	for _, w := range were {
		notes = append(notes, "The nodes were not as the scenario says, and the figures are of what they were: "+w.says+
			". load --configure gives nodes slots, queue, scheduler, max_hops and forwarding; neighbours are what node --scenario "+
			"or --peers says."+r.places(w.where))
	}
	silent := r.settingsOf(" and ", func(u Unlike) string {
		if u.Has != "" {
			return ""
		}
		return u.What + " of " + numbered(u.Nodes)
	})
	for _, w := range silent {
		notes = append(notes, "Whether the nodes were as the scenario says is not known, because they do not tell: "+w.says+"."+
			r.places(w.where))
	}
	return notes
}

// saying is what is to be said of some points.
type saying struct {
	says  string
	where []string
}

// say adds that something is to be said of a point.
func say(all []saying, says, where string) []saying {
	i := slices.IndexFunc(all, func(s saying) bool { return s.says == says })
	if i < 0 {
		i = len(all)
		all = append(all, saying{says: says})
	}
	if !slices.Contains(all[i].where, where) {
		all[i].where = append(all[i].where, where)
	}
	return all
}

// settingsOf writes the settings of each replication, each text once, with the points that have it; what is written as
// nothing is left out.
func (r *Run) settingsOf(between string, write func(Unlike) string) (all []saying) {
	for _, p := range r.Points {
		p.realities(func(_ *Replication, reality *Reality) {
			var parts []string
			for _, u := range reality.Unlike {
				if text := write(u); text != "" {
					parts = append(parts, text)
				}
			}
			if len(parts) == 0 {
				return
			}
			all = say(all, listed(parts, between, func(s string) string { return s }), r.Label(p))
		})
	}
	return all
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
