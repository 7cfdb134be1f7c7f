package scenarios

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/p2pfaas/p2pfaas/core"
)

// build resolves a topology of n nodes.
func build(t testing.TB, n int, text string, files fstest.MapFS) Topology {
	t.Helper()
	yaml := strings.Replace(plain, "cluster: {nodes: 4}", fmt.Sprintf("cluster: {nodes: %d, topology: %s}", n, text), 1)
	f, err := Parse("test.yaml", []byte(yaml), files)
	if err != nil {
		t.Fatal(err)
	}
	return pointsOf(t, f)[0].Scenario.Cluster.Topology
}

func rows(topo Topology) (rows [][]core.NodeID) {
	for i := range len(topo.Offsets) - 1 {
		rows = append(rows, topo.Edges[topo.Offsets[i]:topo.Offsets[i+1]])
	}
	return rows
}

// sane fails where a row is not ascending, a link has one direction only, or a node is its own neighbour.
func sane(t *testing.T, name string, topo Topology) {
	t.Helper()
	all := rows(topo)
	for i, row := range all {
		for j, v := range row {
			if int(v) == i || j > 0 && row[j-1] >= v || !slices.Contains(all[v], core.NodeID(i)) {
				t.Fatalf("%s: row %d is %v, row %d is %v", name, i, row, v, all[v])
			}
		}
	}
}

func TestRegularTopologies(t *testing.T) {
	edges := fstest.MapFS{"e.csv": {Data: []byte("2,0\n0,1\n3,1\n")}}
	for _, c := range []struct {
		n          int
		text, want string
	}{
		{5, "ring", "[[1 4] [0 2] [1 3] [2 4] [0 3]]"},
		{2, "ring", "[[1] [0]]"},
		{1, "ring", "[[]]"},
		{4, "line", "[[1] [0 2] [1 3] [2]]"},
		{4, "star", "[[1 2 3] [0] [0] [0]]"},
		{6, "tree", "[[1 2] [0 3 4] [0 5] [1] [1] [2]]"},
		{5, "{kind: tree, arity: 3}", "[[1 2 3] [0 4] [0] [0] [1]]"},
		{6, "grid", "[[1 3] [0 2 4] [1 5] [0 4] [1 3 5] [2 4]]"},
		{6, "{kind: grid, rows: 3}", "[[1 2] [0 3] [0 3 4] [1 2 5] [2 5] [3 4]]"},
		{9, "torus", "[[1 2 3 6] [0 2 4 7] [0 1 5 8] [0 4 5 6] [1 3 5 7] [2 3 4 8] [0 3 7 8] [1 4 6 8] [2 5 6 7]]"},
		{4, "{kind: edges, file: e.csv}", "[[1 2] [0 3] [0] [1]]"},
		{4, "{kind: edges, file: e.csv, acyclic: true}", "[[1 2] [0 3] [0] [1]]"},
		{6, "{kind: watts-strogatz, degree: 2, rewire: 0}", "[[1 5] [0 2] [1 3] [2 4] [3 5] [0 4]]"},
		{4, "{kind: erdos-renyi, probability: 1}", "[[1 2 3] [0 2 3] [0 1 3] [0 1 2]]"},
		{3, "{kind: erdos-renyi, probability: 0, allow_disconnected: true}", "[[] [] []]"},
		{3, "{kind: erdos-renyi, probability: 1e-17, allow_disconnected: true}", "[[] [] []]"},
		{3, "{kind: barabasi-albert, attach: 2}", "[[1 2] [0] [0]]"},
		{3, "grid", "[[1] [0 2] [1]]"},
		{5, "{kind: grid, rows: 1}", "[[1] [0 2] [1 3] [2 4] [3]]"},
	} {
		topo := build(t, c.n, c.text, edges)
		if got := fmt.Sprint(rows(topo)); got != c.want {
			t.Errorf("%s of %d nodes is %s, want %s", c.text, c.n, got, c.want)
		}
	}
	if topo := build(t, 1_000_000, "full-mesh", nil); !topo.FullMesh() || topo.Offsets != nil || topo.Edges != nil {
		t.Error("a full mesh has a list")
	}
}

func TestRandomTopologies(t *testing.T) {
	for _, c := range []struct {
		n      int
		text   string
		degree float64 // mean
		sigma  float64 // of the mean degree
	}{
		{1000, "{kind: k-regular, degree: 5}", 5, 0},
		{51, "{kind: k-regular, degree: 50}", 50, 0},
		{1000, "{kind: watts-strogatz, degree: 6, rewire: 30%}", 6, 0},
		{1000, "{kind: barabasi-albert, attach: 3}", 2 * (3 + 996*3) / 1000.0, 0},
		{1000, "{kind: erdos-renyi, probability: 0.02}", 19.98, 2 * math.Sqrt(499_500*0.02*0.98) / 1000},
	} {
		topo := build(t, c.n, c.text, nil)
		sane(t, c.text, topo)
		mean := float64(len(topo.Edges)) / float64(c.n)
		if math.Abs(mean-c.degree) > 4*c.sigma+1e-9 {
			t.Errorf("%s: mean degree %v, want %v", c.text, mean, c.degree)
		}
		if again := build(t, c.n, c.text, nil); !slices.Equal(again.Edges, topo.Edges) {
			t.Errorf("%s: the same seed makes another graph", c.text)
		}
		if strings.Contains(c.text, "k-regular") {
			for i, row := range rows(topo) {
				if float64(len(row)) != c.degree {
					t.Fatalf("%s: node %d has degree %d", c.text, i, len(row))
				}
			}
		}
	}
}

// A random regular graph is not the ring that it was made from, and each pair is as likely as any other.
func TestRegularGraphsAreMixed(t *testing.T) {
	near, pairs := 0, 0
	topo := build(t, 2000, "{kind: k-regular, degree: 4}", nil)
	for i, row := range rows(topo) {
		for _, v := range row {
			if d := (int(v) - i + 2000) % 2000; d <= 2 || d >= 1998 {
				near++
			}
			pairs++
		}
	}
	if want := float64(pairs) * 4 / 1999; math.Abs(float64(near)-want) > 6*math.Sqrt(want) {
		t.Errorf("%d of %d links are those of the ring, want about %.0f", near, pairs, want)
	}
}

// Rewiring shortens the ways: with degree 6 and n = 1000 a ring has a mean distance of 84.
func TestSmallWorld(t *testing.T) {
	if d := meanDistance(build(t, 1000, "{kind: watts-strogatz, degree: 6, rewire: 0}", nil)); math.Abs(d-83.8) > 0.5 {
		t.Errorf("mean distance on the ring %v, want 83.8", d)
	}
	if d := meanDistance(build(t, 1000, "{kind: watts-strogatz, degree: 6, rewire: 0.1}", nil)); d > 10 {
		t.Errorf("mean distance after rewiring %v, want less than 10", d)
	}
}

func meanDistance(topo Topology) float64 {
	all := rows(topo)
	far := make([]int, len(all))
	for i := range far {
		far[i] = -1
	}
	far[0] = 0
	sum := 0
	for queue := []core.NodeID{0}; len(queue) > 0; queue = queue[1:] {
		for _, v := range all[queue[0]] {
			if far[v] < 0 {
				far[v] = far[queue[0]] + 1
				sum += far[v]
				queue = append(queue, v)
			}
		}
	}
	return float64(sum) / float64(len(all)-1)
}

func TestPreferentialAttachmentMakesHubs(t *testing.T) {
	most := 0
	for _, row := range rows(build(t, 5000, "{kind: barabasi-albert, attach: 2}", nil)) {
		most = max(most, len(row))
	}
	if most < 80 { // the largest degree grows as m·sqrt(n), a random graph's would be near 15
		t.Errorf("the largest degree is %d", most)
	}
}

func BenchmarkTopology(b *testing.B) {
	for _, text := range []string{"{kind: k-regular, degree: 4}", "{kind: barabasi-albert, attach: 2}", "torus"} {
		b.Run(text, func(b *testing.B) {
			for b.Loop() {
				build(b, 100_000, text, nil)
			}
		})
	}
}
