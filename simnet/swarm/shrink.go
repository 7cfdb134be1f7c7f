package swarm

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/scenarios"
)

// shrinkRuns bounds the simulations of one shrinking.
const shrinkRuns = 400

// Shrink makes the scenario of a failure smaller for as long as the same invariant does not hold, and a panic or an
// error is the same one: fewer faults, nodes, functions and requests, a shorter run, and no key that is not needed. It
// tries the same in the same order every time.
func Shrink(ctx context.Context, f *Failure) (smallest *Failure, runs int) {
	return shrink(f, func(s *scenarios.Scenario) *Violation {
		v, err := Check(ctx, s, 0, f.Violation.Invariant == Determinism, nil)
		if err != nil {
			return nil // it says nothing of the failure
		}
		return v
	})
}

func shrink(f *Failure, check func(*scenarios.Scenario) *Violation) (smallest *Failure, runs int) {
	smallest = f
	for progress := true; progress; {
		progress = false
		edits := editsOf(smallest)
		for i := 0; i < len(edits) && runs < shrinkRuns; i++ {
			doc := clone(smallest.Document)
			if !edits[i](doc) {
				continue
			}
			flow(doc)
			s, err := resolve(doc)
			if err != nil {
				continue // it is needed
			}
			runs++
			v := check(s)
			if v == nil || !v.like(f.Violation) {
				continue
			}
			smallest, progress = &Failure{f.Seed, doc, v}, true
			edits = editsOf(smallest)
			i-- // what was behind it has moved up
		}
	}
	return smallest, runs
}

var digits = regexp.MustCompile(`[0-9]+`)

// like reports whether two violations may have one cause. Of panics and errors there are many; what they say first
// tells them apart, but for the numbers in it.
func (v *Violation) like(other *Violation) bool {
	says := func(v *Violation) string {
		line, _, _ := strings.Cut(v.Text, "\n")
		return digits.ReplaceAllString(line, "")
	}
	return v.Invariant == other.Invariant && (v.Invariant != Sound || says(v) == says(other))
}

// edit changes a document into a smaller one; false: there is nothing to change.
type edit func(doc *yaml.Node) bool

// editsOf are what may be tried, what promises most first.
func editsOf(f *Failure) []edit {
	end := time.Duration(f.Violation.At) + time.Millisecond
	edits := []edit{shorten(end), shorten(end / 2)}
	for _, n := range []int{1, 2, 3, 4, 6, 8, 12, 16, 24, 32} {
		edits = append(edits, nodes(n))
	}
	walk(f.Document, nil, func(path []int, parent *yaml.Node) {
		step := 1
		if parent.Kind == yaml.MappingNode {
			step = 2
		}
		for i := len(parent.Content) - step; i >= 0; i -= step {
			if key := parent.Content[i].Value; len(path) > 0 || key != "name" && key != "seed" {
				edits = append(edits, drop(path, i, step))
			}
		}
		edits = append(edits, plain(path))
	})
	return append(edits, fewer)
}

// walk visits the mappings and lists of a document, those above before those below.
func walk(n *yaml.Node, path []int, visit func(path []int, n *yaml.Node)) {
	if n.Kind == yaml.ScalarNode {
		return
	}
	visit(slices.Clone(path), n)
	for i, c := range n.Content {
		walk(c, append(path, i), visit)
	}
}

func follow(n *yaml.Node, path []int) *yaml.Node {
	for _, i := range path {
		n = n.Content[i]
	}
	return n
}

// drop leaves out an entry of a list, or a key with its value.
func drop(path []int, i, step int) edit {
	return func(doc *yaml.Node) bool {
		n := follow(doc, path)
		n.Content = slices.Delete(n.Content, i, i+step)
		return len(n.Content) > 0
	}
}

// plain puts the mean in the place of a distribution.
func plain(path []int) edit {
	return func(doc *yaml.Node) bool {
		n := follow(doc, path)
		mean := at(n, "mean")
		if mean == nil || at(n, "distribution") == nil {
			return false
		}
		*n = *mean
		return true
	}
}

// shorten ends the run earlier.
func shorten(to time.Duration) edit {
	return func(doc *yaml.Node) bool {
		d, err := time.ParseDuration(at(doc, "duration").Value)
		if err != nil || to.Truncate(time.Millisecond) >= d {
			return false
		}
		set(doc, "duration", to.Truncate(time.Millisecond))
		return true
	}
}

// nodes makes the cluster one of so many nodes, all alike. Faults of others befall the last one.
func nodes(n int) edit {
	return func(doc *yaml.Node) bool {
		cluster := at(doc, "cluster")
		if is := at(cluster, "nodes"); is != nil {
			if had, err := strconv.Atoi(is.Value); err == nil && n >= had {
				return false
			}
			set(cluster, "nodes", n)
		} else {
			i := slices.IndexFunc(cluster.Content, func(c *yaml.Node) bool { return c.Value == "groups" })
			cluster.Content = slices.Delete(cluster.Content, i, i+2)
			add(cluster, "nodes", n) // which may be more: then it is no shorter to write, and still simpler
		}
		walk(doc, nil, func(_ []int, m *yaml.Node) {
			for _, key := range []string{"nodes", "between"} {
				if l := at(m, key); l != nil && l.Kind == yaml.SequenceNode && m != cluster {
					below(l, n)
				}
			}
			for _, key := range []string{"random", "copies"} {
				if x := at(m, key); x != nil {
					if k, err := strconv.Atoi(x.Value); err == nil && k > n {
						set(m, key, n)
					}
				}
			}
		})
		return true
	}
}

// below makes the numbers in a list, and in those below it, less than n, each of them once.
func below(l *yaml.Node, n int) {
	seen := map[string]bool{}
	var kept []*yaml.Node
	for _, c := range l.Content {
		if c.Kind == yaml.SequenceNode {
			below(c, n)
			kept = append(kept, c)
			continue
		}
		if k, err := strconv.Atoi(c.Value); err == nil {
			c.Value = strconv.Itoa(min(k, n-1))
		}
		if !seen[c.Value] {
			kept = append(kept, c)
		}
		seen[c.Value] = true
	}
	l.Content = kept
}

var rate = regexp.MustCompile(`^([0-9.]+)/s$`)

// fewer halves all rates.
func fewer(doc *yaml.Node) bool {
	changed := false
	walk(doc, nil, func(_ []int, n *yaml.Node) {
		for _, c := range n.Content {
			if m := rate.FindStringSubmatch(c.Value); m != nil && c.Kind == yaml.ScalarNode {
				if x, err := strconv.ParseFloat(m[1], 64); err == nil && x > 0.01 {
					c.Value = strconv.FormatFloat(x/2, 'f', 3, 64) + "/s"
					changed = true
				}
			}
		}
	})
	return changed
}
