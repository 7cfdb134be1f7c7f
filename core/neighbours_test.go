package core_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

// sampled draws many samples at node id and counts how often each node came at each place.
func sampled(t *testing.T, topo *core.Topology, own *[]core.NodeID, id core.NodeID, k, draws int, self bool) [][]int {
	return sampledAmong(t, topo, &core.Change{Peers: own}, id, k, draws, self)
}

func sampledAmong(t *testing.T, topo *core.Topology, c *core.Change, id core.NodeID, k, draws int, self bool) [][]int {
	var counts [][]int
	h := newHandHost(topo, &core.Config{Slots: 1}, coretest.Everywhere(func(env core.Env, _ *core.Task) core.Verdict {
		for range draws {
			s := env.Neighbours().Sample(k)
			if self {
				s = env.Neighbours().SampleAll(k)
			}
			for counts == nil {
				counts = make([][]int, len(s))
				for i := range counts {
					counts[i] = make([]int, topo.Nodes)
				}
			}
			if len(s) != len(counts) {
				t.Fatalf("a sample of %d nodes, and one of %d", len(counts), len(s))
			}
			for i, p := range s {
				counts[i][p]++
			}
			if s = slices.Clone(s); len(slices.Compact(sorted(s))) != len(counts) {
				t.Errorf("a node twice in the sample %v", s)
			}
		}
		return core.Execute()
	}))
	defer h.engine.Close()
	h.nodes[id].Configure(0, *c)
	h.submit(id)
	for _, f := range h.faults {
		t.Error(f)
	}
	return counts
}

func sorted(s []core.NodeID) []core.NodeID {
	slices.Sort(s)
	return s
}

// rows is a topology in which the nodes before id and after the others have no neighbours, and id has these.
func rows(nodes int, id core.NodeID, peers ...core.NodeID) *core.Topology {
	topo := &core.Topology{Nodes: nodes, Cloud: core.NoNode, Offsets: make([]uint32, nodes+1), Edges: peers}
	for i := int(id) + 1; i <= nodes; i++ {
		topo.Offsets[i] = uint32(len(peers))
	}
	return topo
}

// Every neighbour is as likely as any other to be drawn, at every place of the sample.
func TestSampleUniform(t *testing.T) {
	mesh := func(n int) *core.Topology { return &core.Topology{Nodes: n, Cloud: core.NoNode} }
	even := []core.NodeID{0, 2, 6, 8}
	for _, c := range []struct {
		name  string
		topo  *core.Topology
		own   *[]core.NodeID
		id    core.NodeID
		peers []core.NodeID // nil: all but id
	}{
		{"mesh of 1", mesh(1), nil, 0, nil},
		{"mesh of 2", mesh(2), nil, 1, nil},
		{"mesh of 3", mesh(3), nil, 1, nil},
		{"mesh of 6, the first", mesh(6), nil, 0, nil},
		{"mesh of 6, the last", mesh(6), nil, 5, nil},
		{"mesh of 101", mesh(101), nil, 50, nil},
		{"row", rows(9, 4, even...), nil, 4, even},
		{"row without neighbours", rows(9, 4, even...), nil, 5, []core.NodeID{}},
		{"own list", mesh(9), &even, 4, even},
		{"own list instead of a row", rows(9, 4, 1, 3), &even, 4, even},
	} {
		for _, self := range []bool{false, true} {
			peers := slices.Clone(c.peers)
			for p := range core.NodeID(c.topo.Nodes) {
				if c.peers == nil && p != c.id {
					peers = append(peers, p)
				}
			}
			if self {
				peers = append(peers, c.id)
			}
			for _, k := range []int{0, 1, 2, 4, 40, 60, 200} {
				t.Run(fmt.Sprintf("%s/self=%t/k=%d", c.name, self, k), func(t *testing.T) {
					const draws = 3000
					counts := sampled(t, c.topo, c.own, c.id, k, draws, self)
					wantUniform(t, counts, peers, min(k, len(peers)), draws)
				})
			}
		}
	}
}

// wantUniform checks that the samples have size places, and that each of the peers came to each of them equally often:
// within five standard deviations, which chance exceeds once in a million.
func wantUniform(t *testing.T, counts [][]int, peers []core.NodeID, size, draws int) {
	t.Helper()
	if len(counts) != size {
		t.Fatalf("samples of %d nodes, want %d", len(counts), size)
	}
	for place, byNode := range counts {
		p := 1 / float64(len(peers))
		mean, sd := float64(draws)*p, math.Sqrt(float64(draws)*p*(1-p))
		for id, n := range byNode {
			isPeer := slices.Contains(peers, core.NodeID(id))
			if !isPeer && n > 0 || isPeer && math.Abs(float64(n)-mean) > 5*sd+1e-9 {
				t.Errorf("node %d came %d times in %d to place %d; peer: %t, mean %.0f", id, n, draws, place, isPeer, mean)
			}
		}
	}
}

// Two places of a sample are independent but for being different: all ordered pairs are equally frequent.
func TestSamplePairs(t *testing.T) {
	const draws = 20_000
	pairs := map[[2]core.NodeID]int{}
	h := newHandHost(&core.Topology{Nodes: 6, Cloud: core.NoNode}, &core.Config{Slots: 1},
		coretest.Everywhere(func(env core.Env, _ *core.Task) core.Verdict {
			for range draws {
				s := env.Neighbours().Sample(3)
				pairs[[2]core.NodeID{s[0], s[2]}]++
			}
			return core.Execute()
		}))
	defer h.engine.Close()
	h.submit(2)
	if len(pairs) != 20 {
		t.Errorf("%d pairs of 20 came", len(pairs))
	}
	mean, sd := draws/20.0, math.Sqrt(draws/20.0*0.95)
	for p, n := range pairs {
		if math.Abs(float64(n)-mean) > 5*sd {
			t.Errorf("the pair %v came %d times, want about %.0f", p, n, mean)
		}
	}
}

// At counts the neighbours in ascending order, and the cloud is none of them, though it may be asked.
func TestNeighbours(t *testing.T) {
	var list []core.NodeID
	var cloud, stranger error
	h := newHandHost(&core.Topology{Nodes: 4, Cloud: 3}, &core.Config{Slots: 1, Forwarding: forwarding(1)},
		coretest.Everywhere(func(env core.Env, _ *core.Task) core.Verdict {
			b := env.Neighbours()
			for i := range b.Len() {
				list = append(list, b.At(i))
			}
			far, _ := env.Cloud()
			r := env.Probe(far, 1, -1)
			cloud, stranger = r[0].Err, r[1].Err
			if r[2].Err == nil {
				t.Error("NoNode answers")
			}
			return core.Execute()
		}))
	defer h.engine.Close()
	h.nodes[2].Configure(0, core.Change{Peers: &[]core.NodeID{0}})
	h.submit(2)
	h.deliver(h.take(t, core.MsgProbe))
	h.deliver(h.take(t, core.MsgReply))
	if !slices.Equal(list, []core.NodeID{0}) || cloud != nil || stranger == nil {
		t.Errorf("neighbours %v, cloud %v, stranger %v; want [0], no error, an error", list, cloud, stranger)
	}
}
