package scenarios

import (
	"math/rand/v2"
	"reflect"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
)

// placementDoc says which nodes have a function: all, or what one of the keys says.
type placementDoc struct {
	Nodes  []nodeRange `key:"nodes"`
	Groups []label     `key:"groups"`
	Copies *count      `key:"copies" min:"1"`

	all bool
}

const placements = "write all, or {nodes: [0-3, 7]}, {groups: [big]} or {copies: 3}"

func (p *placementDoc) decode(d *decoder, n *yaml.Node, path string) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Value == "all":
		p.all = true
	case n.Kind == yaml.ScalarNode:
		d.bad(n, path, "%q is no placement: %s", short(n.Value), placements)
	case n.Kind != yaml.MappingNode:
		d.bad(n, path, "found %s where a placement belongs: %s", nodeKind(n), placements)
	default:
		d.object(n, reflect.ValueOf(p).Elem(), path)
	}
}

func (p *placementDoc) encode() *yaml.Node {
	if p.all {
		return textNode("all")
	}
	return (&encoder{}).object(reflect.ValueOf(p).Elem())
}

// expand implements shorthand: all is what is left where no key says otherwise.
func (p *placementDoc) expand(n *yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: n.Line, Column: n.Column}
}

func (p *placementDoc) short() *jsonschema.Schema { return enum([]string{"all"}) }

// resolve returns the nodes of a cluster that function number has, ascending; nil: all.
func (p *placementDoc) resolve(b *builder, s *Scenario, number int) []core.NodeID {
	total := s.Cluster.Nodes()
	if p == nil || p.all || !b.sound(p) || total == 0 {
		return nil
	}
	given := 0
	for _, is := range []bool{p.Nodes != nil, p.Groups != nil, p.Copies != nil} {
		if is {
			given++
		}
	}
	switch {
	case given == 0:
		b.wrong(p, "the function is nowhere: %s", placements)
		return nil
	case given > 1:
		b.wrong(p, "nodes, groups and copies each say where the function is: leave all but one out")
		return nil
	}
	var nodes []core.NodeID
	add := func(first, end int) {
		for i := first; i < end; i++ {
			nodes = append(nodes, core.NodeID(i))
		}
	}
	for i := range p.Nodes {
		r := &p.Nodes[i]
		if r.last >= total {
			b.wrong(r, "there is no node %d: the cluster has nodes 0 to %d, write one of them", r.last, total-1)
			return nil
		}
		add(r.first, r.last+1)
	}
	for i := range p.Groups {
		if !p.group(b, &s.Cluster, &p.Groups[i], add) {
			return nil
		}
	}
	if c := p.Copies; c != nil {
		switch k := int(*c); {
		case k > total:
			b.wrong(c, "%d copies on %d nodes: a node has one at most, write %d or less", k, total, total)
			return nil
		case k < total && b.connect:
			nodes = drawn(rand.New(random.Stream(s.Seed, 0, random.Placement, number)), k, total)
		}
	}
	slices.Sort(nodes)
	if nodes = slices.Compact(nodes); len(nodes) == total {
		return nil
	}
	return nodes
}

// group adds the nodes of a group by its name.
func (p *placementDoc) group(b *builder, c *Cluster, name *label, add func(first, end int)) bool {
	var names []string
	first := 0
	for i := range c.Groups {
		g := &c.Groups[i]
		if g.Name == string(*name) {
			add(first, first+g.Nodes)
			return true
		}
		names = append(names, g.Name)
		first += g.Nodes
	}
	b.wrong(name, "there is no group %s: %s", *name, suggest(string(*name), names))
	return false
}

// drawn are k of the numbers below n (Floyd's sampling).
func drawn(r *rand.Rand, k, n int) []core.NodeID {
	nodes := make([]core.NodeID, 0, k)
	has := make(map[core.NodeID]bool, k)
	for j := n - k; j < n; j++ {
		v := core.NodeID(r.IntN(j + 1))
		if has[v] {
			v = core.NodeID(j)
		}
		has[v] = true
		nodes = append(nodes, v)
	}
	return nodes
}

// On reports whether a node has the function; the cloud has every one.
func (f *Function) On(n core.NodeID, c *Cluster) bool {
	if f.Nodes == nil || int(n) >= c.Nodes() {
		return true
	}
	_, is := slices.BinarySearch(f.Nodes, n)
	return is
}

// Holders are by function the nodes that have it, as core.Topology has them; nil: every node has every function.
func (s *Scenario) Holders() [][]core.NodeID {
	holders := make([][]core.NodeID, len(s.Functions))
	placed := false
	for i := range s.Functions {
		holders[i] = s.Functions[i].Nodes
		placed = placed || holders[i] != nil
	}
	if !placed {
		return nil
	}
	return holders
}
