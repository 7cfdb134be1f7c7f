package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
)

// placed is the plain scenario whose first function has a placement.
func placed(placement string) string {
	return strings.Replace(strings.Replace(plain, "mean: 1s}", "mean: 1s}, placement: "+placement, 1), "{nodes: 4}",
		"{groups: [{name: small, nodes: 3}, {name: big, nodes: 5}]}", 1)
}

func TestPlacement(t *testing.T) {
	for text, want := range map[string][]core.NodeID{
		"all": nil, "{nodes: [7, 0-2, 1]}": {0, 1, 2, 7}, "{groups: [big]}": {3, 4, 5, 6, 7}, "{nodes: [0-7]}": nil,
		"{groups: [big, small]}": nil, "{copies: 8}": nil,
	} {
		s := pointsOf(t, parse(t, placed(text)))[0].Scenario
		if got := s.Functions[0].Nodes; !slices.Equal(got, want) || got == nil != (want == nil) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
		if h := s.Holders(); (h == nil) != (want == nil) || h != nil && (len(h) != 2 || h[1] != nil) {
			t.Errorf("%s: holders %v", text, h)
		}
	}
}

// Copies are on as many nodes as they say, on any of them, by the seed and the function alone.
func TestPlacementCopies(t *testing.T) {
	drawn := map[string]bool{}
	seen := make([]bool, 8)
	for seed := range 40 {
		f := parse(t, placed("{copies: 3}"))
		if err := f.Set("seed", fmt.Sprint(seed)); err != nil {
			t.Fatal(err)
		}
		nodes := pointsOf(t, f)[0].Scenario.Functions[0].Nodes
		if again := pointsOf(t, f)[0].Scenario.Functions[0].Nodes; !slices.Equal(again, nodes) {
			t.Errorf("seed %d: %v and then %v", seed, nodes, again)
		}
		if len(nodes) != 3 || !slices.IsSorted(nodes) || len(slices.Compact(slices.Clone(nodes))) != 3 {
			t.Errorf("seed %d: %v are no three nodes", seed, nodes)
		}
		drawn[fmt.Sprint(nodes)] = true
		for _, n := range nodes {
			seen[n] = true
		}
	}
	if len(drawn) < 20 || slices.Contains(seen, false) {
		t.Errorf("%d of 56 triples came in 40 draws, of nodes %v", len(drawn), seen)
	}
}

// The key is set and swept as others are, also below the word that it stands for by default.
func TestPlacementIsSweptAndShown(t *testing.T) {
	f := parse(t, placed("all")+"\nsweep: {functions.f.placement.copies: [1, 3], functions.g.placement: [all, {nodes: [0-2]}]}")
	var got []string
	for _, p := range pointsOf(t, f) {
		got = append(got, fmt.Sprint(len(p.Scenario.Functions[0].Nodes), len(p.Scenario.Functions[1].Nodes)))
	}
	if want := []string{"1 0", "1 3", "3 0", "3 3"}; !slices.Equal(got, want) {
		t.Errorf("copies of f, nodes of g: %q, want %q", got, want)
	}
	shown := parse(t, string(f.Resolved()))
	if len(pointsOf(t, shown)) != 4 || string(shown.Resolved()) != string(f.Resolved()) {
		t.Errorf("what is shown is not the same:\n%s", f.Resolved())
	}
	f = parse(t, plain)
	if err := f.Set("functions.g.placement.nodes", "[0-1]"); err != nil {
		t.Fatal(err)
	}
	if s := pointsOf(t, f)[0].Scenario; s.Functions[1].On(2, &s.Cluster) || !s.Functions[1].On(1, &s.Cluster) ||
		!s.Functions[1].On(4, &s.Cluster) || !s.Functions[0].On(2, &s.Cluster) {
		t.Errorf("node 1 has g, 2 has not, the cloud, 4, has all: %v", s.Functions[1].Nodes)
	}
}
