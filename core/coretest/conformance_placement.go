package coretest

import (
	"slices"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// What it means that not every node has every function. The functions are the task types.

// of has a client ask node n for so many milliseconds of a function.
func (b *bench) of(millis int, n core.NodeID, f core.TaskType, service int) int {
	return b.Submit(at(millis), n, Request{Service: ms * time.Duration(service), Type: f})
}

// seen are the neighbours that a View shows.
func seen(nb core.Neighbours) (ids []core.NodeID) {
	for i := range nb.Len() {
		ids = append(ids, nb.At(i))
	}
	return ids
}

func testPlacedNeighbours(b *bench) {
	var decided, all, started, drawn, has []core.NodeID
	b.set(Setup{Nodes: 4, Slots: 1, Room: 9, Types: 2, Holders: [][]core.NodeID{nil, {0, 1, 3}},
		Scheduler: only(&facing{schedule: func(env core.Env, t *core.Task) core.Verdict {
			if t.Type == 1 {
				decided, all = seen(env.Neighbours()), seen(env.AllNeighbours())
				for p := range core.NodeID(5) {
					if env.Neighbours().Has(p) {
						has = append(has, p)
					}
				}
				drawn = slices.Sorted(slices.Values(env.Neighbours().SampleAll(9)))
			}
			return core.Execute()
		}, start: func(env core.Env) { started = seen(env.Neighbours()) }})})
	b.of(10, 0, 1, 10)
	b.play()
	for _, c := range []struct {
		what      string
		got, want []core.NodeID
	}{{"of the decision", decided, []core.NodeID{1, 3}}, {"all of them", all, []core.NodeID{1, 2, 3}},
		{"of a Start", started, []core.NodeID{1, 2, 3}}, {"drawn with the node itself", drawn, []core.NodeID{0, 1, 3}},
		{"that it has", has, []core.NodeID{0, 1, 3}}} {
		if !slices.Equal(c.got, c.want) {
			b.Errorf("neighbours %s: %v, want %v", c.what, c.got, c.want)
		}
	}
}

// facing has a Schedule and a Start.
type facing struct {
	schedule func(core.Env, *core.Task) core.Verdict
	start    func(core.Env)
}

func (f *facing) Schedule(env core.Env, t *core.Task) core.Verdict { return f.schedule(env, t) }
func (f *facing) Start(env core.Env)                               { f.start(env) }

func testPlacedExecute(b *bench) {
	b.set(Setup{Nodes: 3, Slots: 1, Room: 9, Types: 2, Forwarding: core.Forwarding{MaxHops: 1}, Holders: [][]core.NodeID{{2}}})
	away, here, other := b.of(10, 0, 0, 50), b.of(20, 2, 0, 50), b.of(30, 0, 1, 50)
	b.play()
	b.ended(away, core.Completed, 2, 60)
	equal(b, "hops", b.results[away].Hops, 1)
	b.ended(here, core.Completed, 2, 95)
	b.ended(other, core.Completed, 0, 50)
}

func testNoFunction(b *bench) {
	b.set(Setup{Nodes: 3, Slots: 1, Types: 2, Holders: [][]core.NodeID{{}, {2}}, // hops: none
		Scheduler: Everywhere(func(env core.Env, _ *core.Task) core.Verdict {
			if env.Neighbours().SampleAll(1)[0] != env.Self() {
				return core.Forward(env.Neighbours().At(0))
			}
			return core.Execute()
		})})
	nobody, limit := b.of(10, 0, 0, 50), b.of(20, 0, 1, 50)
	b.play()
	b.ended(nobody, core.NoFunction, core.NoNode, 0)
	b.ended(limit, core.NoFunction, core.NoNode, 0)
}

func testPlacedRefusal(b *bench) {
	to := map[core.TaskType]core.NodeID{0: 1, 1: 2}
	b.set(Setup{Nodes: 3, Slots: 1, Types: 2, Forwarding: core.Forwarding{MaxHops: 1},
		Holders: [][]core.NodeID{{0, 2}, {2}}, Scheduler: only(Func(func(_ core.Env, t *core.Task) core.Verdict {
			return core.Forward(to[t.Type])
		}))})
	b.fill(2)
	back := b.of(10, 0, 0, 50) // node 1 lacks it: that is a refusal, and it executes here
	full := b.of(80, 0, 1, 50) // node 2 has no room, and here it cannot execute
	b.play()
	b.ended(back, core.Completed, 0, 50)
	equal(b, "retries", b.results[back].Retries, 1)
	b.ended(full, core.NoRoom, core.NoNode, 10)
}

func testPlacedReplicas(b *bench) {
	b.set(Setup{Nodes: 3, Slots: 1, Types: 2, Forwarding: core.Forwarding{MaxHops: 1}, Holders: [][]core.NodeID{{1}, {}},
		Scheduler: only(Func(func(core.Env, *core.Task) core.Verdict {
			return core.Replicate(core.CancelOnCompletion, 0, 1, 2)
		}))})
	one, none := b.of(10, 0, 0, 50), b.of(80, 0, 1, 50)
	b.play()
	b.ended(one, core.Completed, 1, 60)
	b.ended(none, core.NoFunction, core.NoNode, 0)
}

func testPlacedPull(b *bench) {
	pulled := -1
	b.set(Setup{Nodes: 2, Slots: 1, Room: 9, Types: 2, Forwarding: core.Forwarding{MaxHops: 1}, Holders: [][]core.NodeID{{0}},
		Scheduler: func(id core.NodeID) core.Scheduler {
			if id == 0 {
				return Func(Local)
			}
			return &facing{schedule: Local, start: func(env core.Env) {
				env.Sleep(50 * ms)
				pulled, _ = env.Pull(0, 9, 0)
			}}
		}})
	b.of(10, 0, 0, 200)
	stays, goes := b.of(20, 0, 0, 20), b.of(30, 0, 1, 20)
	b.play()
	equal(b, "pulled", pulled, 1)
	b.ended(stays, core.Completed, 0, 210)
	equal(b, "executor", b.results[goes].Executor, 1)
}

// A function moves from node 0 to node 1: what executes goes on, what waits and what is new follows it.
func testMovedFunction(b *bench) {
	b.set(Setup{Nodes: 3, Slots: 1, Room: 9, Forwarding: core.Forwarding{MaxHops: 1}, Holders: [][]core.NodeID{{0}}})
	f := []core.FunctionID{0}
	runs, waits, remote := b.of(10, 0, 0, 100), b.of(20, 0, 0, 30), b.of(30, 2, 0, 30)
	for n := range core.NodeID(2) {
		b.Configure(at(50+10*int(n)), 1-n, core.Change{Functions: []core.Inventory{{Node: 0}, {Node: 1, Functions: f}}})
	}
	stale := b.of(70, 2, 0, 30) // node 2 has not heard of it: node 0 refuses, and nobody else is known
	b.Configure(at(100), 2, core.Change{Functions: []core.Inventory{{Node: 0}, {Node: 1, Functions: f}}})
	fresh := b.of(150, 0, 0, 30)
	follows := b.of(300, 2, 0, 30)
	b.play()
	b.ended(runs, core.Completed, 0, 100)
	b.ended(waits, core.Completed, 1, 80) // from 65 to 95, and the way back
	equal(b, "outcome of one that waits for node 2", b.results[remote].Outcome, core.NoFunction)
	b.ended(stale, core.NoFunction, core.NoNode, 10)
	b.ended(fresh, core.Completed, 1, 40)
	b.ended(follows, core.Completed, 1, 40)
}
