package core_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

// The neighbours that have a function are drawn uniformly, and the node itself with them where it has it: from the list that
// all nodes share, from rows, from what the node was told.
func TestPlacedSampleUniform(t *testing.T) {
	ids := func(ids ...core.NodeID) []core.NodeID { return ids }
	mesh := &core.Topology{Nodes: 9, Cloud: core.NoNode, Holders: [][]core.NodeID{ids(1, 3, 4, 8)}}
	placedRows := rows(9, 4, 0, 3, 5, 8)
	placedRows.Holders = mesh.Holders
	nobody := &core.Topology{Nodes: 9, Cloud: core.NoNode, Holders: [][]core.NodeID{{}}}
	told := []core.Inventory{{Node: 0, Functions: []core.FunctionID{0, 7}}, {Node: 3}, {Node: 8, Any: true}}
	for _, c := range []struct {
		name  string
		topo  *core.Topology
		told  []core.Inventory
		id    core.NodeID
		peers []core.NodeID
		self  bool // the node has it, too
	}{
		{"mesh, a holder", mesh, nil, 4, ids(1, 3, 8), true},
		{"mesh, the last holder", mesh, nil, 8, ids(1, 3, 4), true},
		{"mesh, none", mesh, nil, 2, ids(1, 3, 4, 8), false},
		{"mesh, nobody", nobody, nil, 2, ids(), true},
		{"row", placedRows, nil, 4, ids(3, 8), true},
		{"mesh, told", mesh, told, 2, ids(0, 1, 4, 8), false},
		{"row, told", placedRows, told, 4, ids(0, 8), true},
		{"told, otherwise all", &core.Topology{Nodes: 4, Cloud: core.NoNode}, told, 1, ids(0, 2), true},
	} {
		for _, self := range []bool{false, true} {
			for _, k := range []int{1, 2, 40} {
				t.Run(fmt.Sprintf("%s/self=%t/k=%d", c.name, self, k), func(t *testing.T) {
					const draws = 3000
					counts := sampledAmong(t, c.topo, &core.Change{Functions: c.told}, c.id, k, draws, self)
					peers := slices.Clone(c.peers)
					if self && c.self {
						peers = append(peers, c.id)
					}
					wantUniform(t, counts, peers, min(k, len(peers)), draws)
				})
			}
		}
	}
}

// A task that is to execute where its function is not goes to each of the neighbours that have it alike; one that has
// just refused it, because it has it no longer, is passed over.
func TestMisplacedUniform(t *testing.T) {
	const draws = 6000
	h := newHandHost(&core.Topology{Nodes: 5, Cloud: core.NoNode, Holders: [][]core.NodeID{{1, 2, 4}}},
		&core.Config{Slots: 1, Forwarding: forwarding(0)}, coretest.Everywhere(coretest.Local))
	defer h.engine.Close()
	first, second := make([]int, 5), make([]int, 5)
	for range draws {
		h.submit(0)
		m := h.take(t, core.MsgForward)
		first[m.To]++
		no := core.Msg{Kind: core.MsgAnswer, From: m.To, To: 0, Outcome: core.NoFunction, Task: m.Task}
		_, no.Token = m.Task.Forwarder()
		h.deliver(&no)
		again := h.take(t, core.MsgForward)
		second[again.To]++
		if again.To == m.To {
			t.Fatalf("node %d has refused the task, and gets it again", m.To)
		}
		again.Kind, again.Outcome, again.From, again.To = core.MsgAnswer, core.NoRoom, again.To, 0
		_, again.Token = again.Task.Forwarder()
		h.deliver(again)
	}
	for _, p := range []core.NodeID{1, 2, 4} {
		for _, n := range []int{first[p], second[p]} {
			if mean, sd := draws/3.0, math.Sqrt(draws/3.0*2/3); math.Abs(float64(n)-mean) > 5*sd {
				t.Errorf("node %d got the task %d times in %d, want a third", p, n, draws)
			}
		}
	}
	if slices.ContainsFunc(h.done, func(o core.Outcome) bool { return o != core.NoRoom }) || len(h.done) != draws {
		t.Errorf("%d tasks have ended, want %d without room: who cannot execute them has no other fallback", len(h.done), draws)
	}
}

// A task does not go round for ever among nodes that all say that they lack what they are thought to have.
func TestMisplacedEnds(t *testing.T) {
	h := newHandHost(&core.Topology{Nodes: 5, Cloud: core.NoNode, Holders: [][]core.NodeID{{1, 2, 4}}},
		&core.Config{Slots: 1, Forwarding: forwarding(0)}, coretest.Everywhere(coretest.Local))
	defer h.engine.Close()
	h.submit(0)
	forwards := 0
	for ; len(h.sent) > 0; forwards++ {
		m := h.take(t, core.MsgForward)
		m.Kind, m.Outcome, m.From, m.To = core.MsgAnswer, core.NoFunction, m.To, 0
		_, m.Token = m.Task.Forwarder()
		h.deliver(m)
	}
	h.wantDone(t, core.NoFunction)
	if forwards != 5 {
		t.Errorf("the task was forwarded %d times, want 5", forwards)
	}
}

// The cloud has every function; it gets what no neighbour can execute.
func TestCloudHasEveryFunction(t *testing.T) {
	h := newHandHost(&core.Topology{Nodes: 3, Cloud: 3, Holders: [][]core.NodeID{{}}},
		&core.Config{Slots: 1, Forwarding: forwarding(0)}, func(id core.NodeID) core.Scheduler {
			if id == 3 {
				return nil
			}
			return coretest.Func(coretest.Local)
		})
	defer h.engine.Close()
	h.submit(1)
	m := h.take(t, core.MsgForward)
	if m.To != 3 {
		t.Fatalf("the task went to node %d, want the cloud", m.To)
	}
	h.deliver(m)
	if len(h.started) != 1 {
		t.Error("the cloud does not execute it")
	}
}

// What a task runs is its type or, where the host says so, another number; it travels with the task.
func TestFunctionApartFromType(t *testing.T) {
	h := newHandHost(&core.Topology{Nodes: 2, Cloud: core.NoNode, Holders: [][]core.NodeID{{0}, {1}}},
		&core.Config{Slots: 1, Types: 2, Forwarding: forwarding(0)}, coretest.Everywhere(coretest.Local))
	defer h.engine.Close()
	h.nodes[0].Apply(core.Input{Kind: core.InputSubmit, Task: &core.TaskValue{Type: 0, Function: 1 + 1, Deadline: core.Never}})
	m := h.take(t, core.MsgForward)
	if f := m.Task.Function(); m.To != 1 || m.Task.Type != 0 || f != 1 {
		t.Errorf("the task went to node %d with type %d and function %d, want 1, 0 and 1", m.To, m.Task.Type, f)
	}
	p := h.engine.Pack(m)
	h.nodes[1].Apply(core.Input{Kind: core.InputDeliver, Message: &p})
	if len(h.started) != 1 {
		t.Error("node 1, which has the function, does not execute it")
	}
}

// What waits for a function that the node gives up leaves in the order of the waiting room, whatever that is.
func TestGivenUpFunction(t *testing.T) {
	for d := core.FIFO; d <= core.ShortestJob; d++ {
		h := newHandHost(mesh3, &core.Config{Slots: 1, Room: 9, Types: 2, Discipline: d, Forwarding: forwarding(0)},
			coretest.Everywhere(coretest.Local))
		for i := range 5 {
			h.nodes[0].Apply(core.Input{Kind: core.InputSubmit, Task: &core.TaskValue{ID: core.TaskID(i), Type: core.TaskType(i % 2),
				Deadline: core.Never}})
		}
		h.nodes[0].Configure(0, core.Change{Functions: []core.Inventory{{Node: 0, Functions: []core.FunctionID{0}}}})
		l := h.nodes[0].Load()
		if len(h.sent) != 2 || l.Running != 1 || l.Queued != 2 {
			t.Errorf("discipline %d: %d tasks were forwarded, %d run, %d wait, want 2, 1 and 2", d, len(h.sent), l.Running, l.Queued)
		}
		for _, m := range h.sent {
			if m.Task.Type != 1 {
				t.Errorf("discipline %d: a task of type %d has left", d, m.Task.Type)
			}
		}
		h.engine.Close()
	}
}

// In a mesh of a million nodes a decision costs no list.
func TestPlacedMeshAllocates(t *testing.T) {
	const nodes = 1_000_000
	holders := make([]core.NodeID, nodes/2)
	for i := range holders {
		holders[i] = core.NodeID(2 * i)
	}
	var allocated float64
	h := &quietHost{}
	e := core.NewEngine(h, &core.Topology{Nodes: nodes, Cloud: core.NoNode, Holders: [][]core.NodeID{holders}})
	defer e.Close()
	h.engine = e
	var n core.Node
	e.Init(&n, nodes/2, &core.Config{Slots: 1}, rand.PCG{}, coretest.Func(func(env core.Env, _ *core.Task) core.Verdict {
		allocated = testing.AllocsPerRun(100, func() { env.Neighbours().Sample(2) })
		if l := env.Neighbours().Len(); l != nodes/2-1 {
			t.Errorf("%d neighbours, want %d", l, nodes/2-1)
		}
		return core.Execute()
	}))
	n.Submit(0, e.NewTask())
	if allocated > 0 {
		t.Errorf("a sample allocates %v times", allocated)
	}
}
