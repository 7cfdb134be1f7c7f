package scenarios

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"

	"github.com/google/jsonschema-go/jsonschema"
	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/core"
)

// Host is a machine whose cores several parts of a cluster share.
type Host struct {
	Name      string
	Cores     int
	Nodes     []core.NodeID   // that run here, ascending, and with them the functions that they call
	Functions []core.TaskType // that run here, whatever node calls them
	Load      bool            // the load generator runs here
}

// hostDoc is a machine, and what of the scenario shares its cores.
type hostDoc struct {
	Name      label    `key:"name"`
	Cores     count    `key:"cores" min:"1"`
	Nodes     *nodeSet `key:"nodes"`
	Functions []label  `key:"functions"`
	Load      boolean  `key:"load" default:"false"`
}

// nodeSet is all nodes, or a list of numbers and ranges.
type nodeSet struct {
	all    bool
	ranges []nodeRange
}

const nodeSets = "write all, or numbers and ranges like [0-3, 7]"

func (s *nodeSet) decode(d *decoder, n *yaml.Node, path string) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Value == "all":
		s.all = true
	case n.Kind == yaml.SequenceNode:
		d.list(n, reflect.ValueOf(&s.ranges).Elem(), &field{}, path)
	case n.Kind == yaml.ScalarNode:
		d.bad(n, path, "%q is no list of nodes: %s", short(n.Value), nodeSets)
	default:
		d.bad(n, path, "found %s where nodes belong: %s", nodeKind(n), nodeSets)
	}
}

func (s *nodeSet) encode() *yaml.Node {
	if s.all {
		return textNode("all")
	}
	return encodeValue(reflect.ValueOf(s.ranges))
}

func (s *nodeSet) schema() *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Const: jsonschema.Ptr[any]("all")},
		{Type: "array", Items: nodeRange{}.schema(), MinItems: jsonschema.Ptr(1)}}}
}

// resolve returns the nodes of a cluster of so many, ascending.
func (s *nodeSet) resolve(b *builder, total int) (nodes []core.NodeID) {
	ranges := s.ranges
	if s.all {
		ranges = []nodeRange{{0, total - 1}}
	}
	for i := range ranges {
		r := &ranges[i]
		if r.last >= total {
			b.wrong(r, "there is no node %d: the cluster has nodes 0 to %d, write one of them", r.last, total-1)
			continue
		}
		for n := r.first; n <= r.last; n++ {
			nodes = append(nodes, core.NodeID(n))
		}
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// nodeRange is a node's number, or the first and the last of several.
type nodeRange struct{ first, last int }

var nodeRanges = regexp.MustCompile(`^([0-9]{1,8})(?:-([0-9]{1,8}))?$`)

func (r *nodeRange) parse(n *yaml.Node) error {
	m := nodeRanges.FindStringSubmatch(n.Value)
	if m == nil {
		return fmt.Errorf("%q is no node: write its number, from 0, or a range like 0-3", short(n.Value))
	}
	r.first, _ = strconv.Atoi(m[1]) // the expression has made sure
	if r.last = r.first; m[2] != "" {
		r.last, _ = strconv.Atoi(m[2])
	}
	if r.last < r.first {
		return fmt.Errorf("%s has no nodes: write %d-%d", n.Value, r.last, r.first)
	}
	return nil
}

func (r nodeRange) String() string {
	if r.first == r.last {
		return strconv.Itoa(r.first)
	}
	return fmt.Sprintf("%d-%d", r.first, r.last)
}

func (r nodeRange) schema() *jsonschema.Schema {
	return &jsonschema.Schema{Types: []string{"string", "integer"}, Pattern: nodeRanges.String()}
}

// sharing is who shares which machine, as far as the hosts are resolved.
type sharing struct {
	nodes     []*hostDoc // by node
	functions []*hostDoc // by function
	load      *hostDoc
}

// resolveHosts makes the hosts of a scenario, whose cluster and functions are resolved.
func resolveHosts(b *builder, docs []hostDoc, s *Scenario) []Host {
	if docs == nil || s.Cluster.Nodes() == 0 || len(s.Functions) == 0 {
		return nil
	}
	on := &sharing{nodes: make([]*hostDoc, s.Cluster.Nodes()), functions: make([]*hostDoc, len(s.Functions))}
	names := map[label]bool{}
	var hosts []Host
	for i := range docs {
		h := &docs[i]
		if names[h.Name] && b.sound(&h.Name) {
			b.wrong(&h.Name, "two hosts are called %s: give them different names", h.Name)
		}
		names[h.Name] = true
		hosts = append(hosts, h.resolve(b, s, on))
	}
	return hosts
}

func (h *hostDoc) resolve(b *builder, s *Scenario, on *sharing) Host {
	r := Host{Name: string(h.Name), Cores: int(h.Cores), Load: bool(h.Load)}
	if h.Nodes == nil && h.Functions == nil && !bool(h.Load) && b.sound(h) {
		b.wrong(h, "nothing is on host %s: write nodes, functions or load: true, or leave the host out", h.Name)
	}
	if h.Nodes != nil && b.sound(h.Nodes) {
		r.Nodes = h.nodes(b, &s.Cluster, on)
	}
	for i := range h.Functions {
		name := &h.Functions[i]
		at := slices.Index(s.FunctionNames(), string(*name))
		switch {
		case !b.sound(name):
		case at < 0:
			b.wrong(name, "there is no function %s: %s", *name, suggest(string(*name), s.FunctionNames()))
		case on.functions[at] != nil:
			b.wrong(name, "function %s is on host %s already: leave it out here or there", *name, on.functions[at].Name)
		default:
			on.functions[at] = h
			r.Functions = append(r.Functions, core.TaskType(at))
		}
	}
	slices.Sort(r.Functions)
	if h.Load {
		if on.load != nil {
			b.wrong(&h.Load, "the load generator is on host %s already: leave load out here or there", on.load.Name)
		}
		on.load = h
	}
	return r
}

// nodes are those on the host, ascending.
func (h *hostDoc) nodes(b *builder, c *Cluster, on *sharing) (nodes []core.NodeID) {
	total := c.Nodes()
	add := func(at any, first, last int) bool {
		for i := first; i <= last; i++ {
			if other := on.nodes[i]; other != nil && other != h {
				b.wrong(at, "node %d is on host %s already: leave it out here or there", i, other.Name)
				return false
			}
			on.nodes[i] = h
			nodes = append(nodes, core.NodeID(i))
		}
		return true
	}
	if h.Nodes.all && !add(h.Nodes, 0, total-1) {
		return nil
	}
	for i := range h.Nodes.ranges {
		r := &h.Nodes.ranges[i]
		if r.last >= total {
			b.wrong(r, "there is no node %d: the cluster has nodes 0 to %d, write one of them", r.last, total-1)
			continue
		}
		add(r, r.first, r.last)
	}
	slices.Sort(nodes)
	nodes = slices.Compact(nodes)
	first := 0
	for i := range c.Groups {
		g := &c.Groups[i]
		next, _ := slices.BinarySearch(nodes, core.NodeID(first))
		if first += g.Nodes; g.Service != DedicatedSlots && next < len(nodes) && int(nodes[next]) < first {
			b.wrong(h.Nodes, "node %d shares cores of its own by its service_mode, and on host %s those of the machine, which are "+
				"two models of one processor: write service_mode: slots, or take the node off the host", nodes[next], h.Name)
		}
	}
	return nodes
}
