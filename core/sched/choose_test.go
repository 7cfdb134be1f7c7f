package sched

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

// answers are the replies of peers 1, 2, ... with these loads; -1 is a peer that does not answer.
func answers(loads ...int) []core.Reply {
	rs := make([]core.Reply, len(loads))
	for i, l := range loads {
		rs[i] = core.Reply{Peer: core.NodeID(i + 1), Load: coretest.Loaded(max(0, l))}
		if l < 0 {
			rs[i].Err = core.ErrNoAnswer
		}
	}
	return rs
}

func TestRank(t *testing.T) {
	for _, c := range []struct {
		gloss string
		loads []int
		most  int
		b     bound
		want  []core.NodeID
	}{
		{"nobody answers", []int{-1, -1}, 4, noBound, nil},
		{"nobody is asked", nil, 4, noBound, nil},
		{"ascending", []int{3, 1, 2, 0}, 4, noBound, []core.NodeID{4, 2, 3, 1}},
		{"the silent are passed over", []int{3, -1, 2, -1}, 4, noBound, []core.NodeID{3, 1}},
		{"the best only", []int{3, 1, 2, 0}, 2, noBound, []core.NodeID{4, 2}},
		{"strictly below", []int{3, 1, 2, 0}, 4, bound{2, false}, []core.NodeID{4, 2}},
		{"at most", []int{3, 1, 2, 0}, 4, bound{2, true}, []core.NodeID{4, 2, 3}},
		{"none below", []int{3, 2, 2}, 4, bound{2, false}, nil},
		{"an idle peer is below", []int{0}, 1, bound{1, false}, []core.NodeID{1}},
	} {
		rs := answers(c.loads...)
		n := rank(rand.New(rand.NewPCG(1, 2)), rs, c.most, c.b, total)
		var got []core.NodeID
		for _, r := range rs[:n] {
			got = append(got, r.Peer)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.gloss, got, c.want)
		}
	}
}

func TestRankBreaksTiesEvenly(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	first, second := make([]int, 5), make([]int, 5)
	for range 20000 {
		rs := answers(1, 0, 0, 7, 0)
		if n := rank(r, rs, 2, noBound, total); n != 2 {
			t.Fatalf("%d ranked, want 2", n)
		}
		first[rs[0].Peer-1]++
		second[rs[1].Peer-1]++
	}
	wantShares(t, first, 0, 1./3, 1./3, 0, 1./3)
	wantShares(t, second, 0, 1./3, 1./3, 0, 1./3)
}

func TestDrawnIsWithReplacement(t *testing.T) {
	w := coretest.NewScript(1, 0, 0, 0)
	var s scratch
	counts := make([]int, 3)
	twice := 0
	for range 10000 {
		d := s.drawn(w, 2, true)
		counts[d[0]]++
		if d[0] == d[1] {
			twice++
		}
	}
	wantShares(t, counts, 1./3, 1./3, 1./3)
	wantShares(t, []int{twice, 10000 - twice}, 1./3, 2./3)
	if d := s.drawn(coretest.NewScript(0, 0), 3, false); len(d) != 0 {
		t.Errorf("drew %v where there are no neighbours", d)
	}
}
