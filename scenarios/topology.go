package scenarios

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
)

// topologyDoc says who is whose neighbour; links are in both directions. The name of a kind by itself is a topology.
type topologyDoc struct {
	Kind         choice    `key:"kind" kind:"true"`
	Rows         *count    `key:"rows" min:"1"`
	Arity        count     `key:"arity" default:"2" min:"1"`
	Degree       *count    `key:"degree" min:"1" max:"1000"`
	Probability  *share    `key:"probability"`
	Rewire       *share    `key:"rewire"`
	Attach       *count    `key:"attach" min:"1" max:"1000"`
	File         *dataFile `key:"file"`
	Acyclic      boolean   `key:"acyclic" default:"false"`
	Disconnected boolean   `key:"allow_disconnected" default:"false"`
}

func (topologyDoc) variants() []variant {
	return []variant{
		{"full-mesh", "", ""},
		{"ring", "", ""},
		{"line", "", ""},
		{"star", "", ""},
		{"grid", "", "rows"},
		{"torus", "", "rows"},
		{"tree", "", "arity"},
		{"k-regular", "degree", "allow_disconnected"},
		{"erdos-renyi", "probability", "allow_disconnected"},
		{"watts-strogatz", "degree rewire", "allow_disconnected"},
		{"barabasi-albert", "attach", ""},
		{"edges", "file", "acyclic allow_disconnected"},
	}
}

func (*topologyDoc) expand(n *yaml.Node) *yaml.Node { return expansion(n, "kind", n.Value) }

func (*topologyDoc) short() *jsonschema.Schema {
	fields := fieldsOf(reflect.TypeFor[topologyDoc]())
	kinds := slices.Clone(fields[0].oneOf)
	for _, f := range fields {
		kinds = slices.DeleteFunc(kinds, func(k string) bool { return slices.Contains(f.needed, k) })
	}
	return enum(kinds)
}

// edgeLimit bounds the links of a topology: at 4 bytes and two directions, 512 MiB.
const edgeLimit = 1 << 26

type edge struct{ a, b int32 }

// resolve returns the topology without its rows, which connect makes: a graph of a million nodes takes seconds.
func (t *topologyDoc) resolve(b *builder, seed uint64, nodes int) Topology {
	r := Topology{Kind: string(t.Kind)}
	if !b.sound(t) || nodes == 0 {
		return r
	}
	t.check(b, nodes)
	if t.Kind == "edges" {
		t.links(b, nodes)
	}
	if !b.connect || t.Kind == "full-mesh" || !b.sound(t) {
		return r
	}
	key := fmt.Sprint(seed, nodes, string(writeYAML(encodeValue(reflect.ValueOf(t)))))
	g, ok := b.graphs[key]
	if !ok {
		g = newGraph(nodes, t.edges(b, rand.New(random.Stream(seed, 0, random.Topology, 0)), nodes))
		b.graphs[key] = g
	}
	r.Offsets, r.Edges = g.offsets, g.edges
	if g.parts > 1 && !bool(t.Disconnected) {
		b.wrong(t, "the graph falls into %d parts, node %d has no path to node 0: add links "+
			"(for a random graph: a higher degree or another seed), or write allow_disconnected: true", g.parts, g.lonely)
	}
	return r
}

// check refuses parameters that no graph of this size has.
func (t *topologyDoc) check(b *builder, nodes int) {
	switch t.Kind {
	case "grid", "torus":
		switch rows := t.rows(nodes); {
		case nodes%rows != 0:
			b.wrong(t.Rows, "%d nodes do not fill %d rows: write a divisor of %d", nodes, rows, nodes)
		case t.Rows == nil && rows == 1 && nodes > 3:
			b.wrong(t, "%d nodes, a prime number, fill one row alone: write another number of nodes or, if that is meant, rows: 1", nodes)
		}
	case "k-regular":
		k := int(*t.Degree)
		if k >= nodes {
			b.wrong(t.Degree, "a node cannot have %d neighbours among %d nodes: write %d at most", k, nodes, nodes-1)
		} else if k*nodes%2 != 0 {
			b.wrong(t.Degree, "no graph has %d nodes of degree %d, both odd: make one of them even", nodes, k)
		}
		t.bound(b, float64(k)*float64(nodes)/2)
	case "watts-strogatz":
		k := int(*t.Degree)
		if k%2 != 0 || k >= nodes {
			b.wrong(t.Degree, "the degree %d is odd or not below the number of nodes, %d: write an even number below it", k,
				nodes)
		}
		t.bound(b, float64(k)*float64(nodes)/2)
	case "erdos-renyi":
		t.bound(b, float64(*t.Probability)*float64(nodes)*float64(nodes-1)/2)
	case "barabasi-albert":
		if int(*t.Attach) >= nodes {
			b.wrong(t.Attach, "a new node cannot attach to %d of %d nodes: write less", *t.Attach, nodes)
		}
		t.bound(b, float64(*t.Attach)*float64(nodes))
	}
}

func (t *topologyDoc) bound(b *builder, edges float64) {
	if edges > edgeLimit {
		b.wrong(t, "the graph would have about %.3g links: write parameters for %d at most, "+
			"or full-mesh, which needs no list", edges, edgeLimit)
	}
}

// edges lists the links of the graph; some kinds list a link twice, which newGraph forgives.
func (t *topologyDoc) edges(b *builder, r *rand.Rand, n int) []edge {
	switch t.Kind {
	case "ring":
		return append(line(n), edge{int32(n - 1), 0})
	case "line":
		return line(n)
	case "star":
		return tree(n, n)
	case "tree":
		return tree(n, int(t.Arity))
	case "grid", "torus":
		return t.lattice(n)
	case "k-regular":
		return regular(r, n, int(*t.Degree))
	case "erdos-renyi":
		return erdosRenyi(r, n, float64(*t.Probability))
	case "watts-strogatz":
		return wattsStrogatz(r, n, int(*t.Degree), float64(*t.Rewire))
	case "barabasi-albert":
		return barabasiAlbert(r, n, int(*t.Attach))
	}
	return t.links(b, n)
}

func line(n int) []edge {
	var es []edge
	for i := 1; i < n; i++ {
		es = append(es, edge{int32(i - 1), int32(i)})
	}
	return es
}

func tree(n, arity int) []edge {
	var es []edge
	for i := 1; i < n; i++ {
		es = append(es, edge{int32((i - 1) / arity), int32(i)})
	}
	return es
}

// rows are those of a grid of n nodes: as the scenario says, or as many as make it nearly square.
func (t *topologyDoc) rows(n int) int {
	if t.Rows != nil {
		return int(*t.Rows)
	}
	rows := int(math.Sqrt(float64(n)))
	for n%rows != 0 {
		rows--
	}
	return rows
}

// lattice is a grid in rows, closed in both directions for a torus.
func (t *topologyDoc) lattice(n int) []edge {
	rows := t.rows(n)
	columns := n / rows
	wrap := t.Kind == "torus"
	var es []edge
	for i := range n {
		row, column := i/columns, i%columns
		if column+1 < columns {
			es = append(es, edge{int32(i), int32(i + 1)})
		} else if wrap {
			es = append(es, edge{int32(i), int32(row * columns)})
		}
		if row+1 < rows {
			es = append(es, edge{int32(i), int32(i + columns)})
		} else if wrap {
			es = append(es, edge{int32(i), int32(column)})
		}
	}
	return es
}

// circulant links every node to the k/2 nodes after it on a ring, and for an odd k to the one opposite.
func circulant(n, k int) []edge {
	var es []edge
	for i := range n {
		for d := 1; d <= k/2; d++ {
			es = append(es, edge{int32(i), int32((i + d) % n)})
		}
		if k%2 == 1 && i < n/2 {
			es = append(es, edge{int32(i), int32(i + n/2)})
		}
	}
	return es
}

// regular is a random graph in which all nodes have degree k: a circulant graph after ten swaps per link, each of
// which exchanges the ends of two links drawn at random (Taylor, Combinatorial Mathematics VIII, 1981).
func regular(r *rand.Rand, n, k int) []edge {
	es := circulant(n, k)
	rows := make([]int32, n*k) // neighbours of node i at i*k, in no order
	fill := make([]int, n)
	put := func(a, b int32) { rows[int(a)*k+fill[a]] = b; fill[a]++ }
	for _, e := range es {
		put(e.a, e.b)
		put(e.b, e.a)
	}
	row := func(a int32) []int32 { return rows[int(a)*k : int(a)*k+k] }
	replace := func(a, old, with int32) { row(a)[slices.Index(row(a), old)] = with }
	for range 10 * len(es) {
		i, j := below(r, uint64(len(es))), below(r, uint64(len(es)))
		e, f := es[i], es[j]
		if r.Uint64()&1 == 0 {
			f.a, f.b = f.b, f.a
		}
		if e.a == f.a || e.a == f.b || e.b == f.a || e.b == f.b || slices.Contains(row(e.a), f.b) ||
			slices.Contains(row(f.a), e.b) {
			continue
		}
		replace(e.a, e.b, f.b)
		replace(f.b, f.a, e.a)
		replace(f.a, f.b, e.b)
		replace(e.b, e.a, f.a)
		es[i], es[j] = edge{e.a, f.b}, edge{f.a, e.b}
	}
	return es
}

// erdosRenyi has each possible link with probability p. It skips from one to the next by geometric steps (Batagelj and
// Brandes, Physical Review E 71, 036113, 2005).
func erdosRenyi(r *rand.Rand, n int, p float64) []edge {
	var es []edge
	if p == 0 {
		return nil
	}
	scale := 0.0 // p = 1: every step is 1
	switch {
	case 1-p == 1:
		scale = 1 / p // of which the next line is the limit
	case p < 1:
		scale = -1 / random.Log(1-p)
	}
	v, w := 1, -1
	for v < n {
		w += 1 + int(min(float64(random.Exp1(r)*scale), 1<<60))
		for w >= v && v < n {
			w -= v
			v++
		}
		if v < n {
			es = append(es, edge{int32(w), int32(v)})
		}
	}
	return es
}

// wattsStrogatz is a ring of degree k each of whose links has its far end moved to a random node with probability p
// (Watts and Strogatz, Nature 393, 1998).
func wattsStrogatz(r *rand.Rand, n, k int, p float64) []edge {
	es := circulant(n, k)
	known := make(map[edge]bool, len(es))
	for _, e := range es {
		known[e.ordered()] = true
	}
	for i, e := range es {
		if random.Unit(r) >= p {
			continue
		}
		to := edge{e.a, int32(below(r, uint64(n)))}
		if to.a == to.b || known[to.ordered()] {
			continue
		}
		delete(known, e.ordered())
		known[to.ordered()] = true
		es[i] = to
	}
	return es
}

func (e edge) ordered() edge { return edge{min(e.a, e.b), max(e.a, e.b)} }

// barabasiAlbert grows the graph: after a star of m+1 nodes, each new one links to m different nodes drawn in
// proportion to their degree (Barabási and Albert, Science 286, 1999).
func barabasiAlbert(r *rand.Rand, n, m int) []edge {
	var es []edge
	var ends []int32 // each node as often as its degree
	for i := 1; i <= m; i++ {
		es = append(es, edge{0, int32(i)})
		ends = append(ends, 0, int32(i))
	}
	chosen := make([]int32, 0, m)
	for v := m + 1; v < n; v++ {
		chosen = chosen[:0]
		for len(chosen) < m {
			if u := ends[below(r, uint64(len(ends)))]; !slices.Contains(chosen, u) {
				chosen = append(chosen, u)
			}
		}
		for _, u := range chosen {
			es = append(es, edge{u, int32(v)})
			ends = append(ends, u, int32(v))
		}
	}
	return es
}

// links reads the edge list. A link that is there twice, a link of a node with itself and, where asked for, a cycle are
// problems of their line.
func (t *topologyDoc) links(b *builder, nodes int) []edge {
	return keep(b, t.File, "edges", func() (es []edge, sums []string) {
		seen := map[edge]int{}
		parts := newForest(nodes)
		sum := b.read(t.File, string(t.File.Path), func(tab *table) {
			e, ok := t.link(tab, nodes)
			if !ok {
				return
			}
			switch before, again := seen[e.ordered()]; {
			case e.a == e.b:
				tab.bad(0, "node %d is linked to itself: delete the row", e.a)
			case again:
				tab.bad(0, "the link of %d and %d is in line %d already; links have both directions: delete the row",
					e.a, e.b, before)
			case len(es) >= edgeLimit:
				tab.bad(0, "the file has more than %d links: write fewer", edgeLimit)
			case !parts.join(e.a, e.b) && bool(t.Acyclic):
				tab.bad(0, "the link of %d and %d closes a cycle: delete the row, or leave acyclic out", e.a, e.b)
			}
			seen[e.ordered()] = tab.line
			es = append(es, e)
		})
		return es, []string{sum}
	}, nodes, t.Acyclic)
}

func (t *topologyDoc) link(tab *table, nodes int) (edge, bool) {
	if len(tab.cells) != 2 {
		tab.bad(0, "the row has %d columns: write the numbers of two nodes", len(tab.cells))
		return edge{}, false
	}
	var ends [2]int32
	for i := range ends {
		v, ok := tab.number(i)
		if !ok {
			return edge{}, false
		}
		if v != math.Trunc(v) || v < 0 || v >= float64(nodes) {
			tab.bad(i+1, "%g is not a node: write a whole number from 0 to %d", v, nodes-1)
			return edge{}, false
		}
		ends[i] = int32(v)
	}
	return edge{ends[0], ends[1]}, true
}

// forest is a union-find structure.
type forest []int32

func newForest(n int) forest {
	f := make(forest, n)
	for i := range f {
		f[i] = int32(i)
	}
	return f
}

func (f forest) root(i int32) int32 {
	for f[i] != i {
		f[i] = f[f[i]]
		i = f[i]
	}
	return i
}

// join reports whether a and b were apart.
func (f forest) join(a, b int32) bool {
	a, b = f.root(a), f.root(b)
	f[a] = b
	return a != b
}

// graph is an undirected graph in compressed rows.
type graph struct {
	offsets []uint32
	edges   []core.NodeID
	parts   int // connected components
	lonely  int // a node that has no path to node 0, where there is one
}

func newGraph(n int, es []edge) *graph {
	g := &graph{offsets: make([]uint32, n+1), edges: make([]core.NodeID, 2*len(es))}
	for _, e := range es {
		g.offsets[e.a]++
		g.offsets[e.b]++
	}
	total := uint32(0)
	for i, k := range g.offsets { // where each row begins
		g.offsets[i] = total
		total += k
	}
	for _, e := range es {
		g.edges[g.offsets[e.a]] = core.NodeID(e.b)
		g.edges[g.offsets[e.b]] = core.NodeID(e.a)
		g.offsets[e.a]++
		g.offsets[e.b]++
	}
	// Each offset is now the end of its row. Sort the rows, and drop loops and repetitions.
	from, to := uint32(0), uint32(0)
	for i := range n {
		row := g.edges[from:g.offsets[i]]
		from = g.offsets[i]
		slices.Sort(row)
		start := to
		for j, v := range row {
			if int(v) != i && (j == 0 || v != row[j-1]) {
				g.edges[to] = v
				to++
			}
		}
		g.offsets[i] = start
	}
	g.offsets[n] = to
	g.edges = g.edges[:to]
	g.components()
	return g
}

// components counts the connected parts.
func (g *graph) components() {
	n := len(g.offsets) - 1
	f := newForest(n)
	g.parts = n
	for i := range n {
		for _, v := range g.edges[g.offsets[i]:g.offsets[i+1]] {
			if f.join(int32(i), int32(v)) {
				g.parts--
			}
		}
	}
	for i := n - 1; i >= 0; i-- {
		if f.root(int32(i)) != f.root(0) {
			g.lonely = i
		}
	}
}
