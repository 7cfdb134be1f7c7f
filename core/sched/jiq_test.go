package sched

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestJIQDispatcher(t *testing.T) {
	w := coretest.NewScript(0, 9, 9, 9, 9)
	s := with(t, "JIQ", nil).(*JIQ)
	sit, up := core.Note{Kind: noteSit}, core.Note{Kind: noteGetUp}
	for _, from := range []core.NodeID{2, 1, 3, 2} { // 2 says it twice
		s.Receive(w, from, sit)
	}
	s.Receive(w, 1, up)
	s.Receive(w, 1, up) // and 1, too
	for i, want := range []core.NodeID{2, 3} {
		if p := target(t, s.Schedule(w, task()), 0); p != want {
			t.Errorf("task %d went to %d, want %d, in order of entry", i, p, want)
		}
	}
	wantShares(t, shares(t, 20000, 4, s, w), .25, .25, .25, .25) // nobody is idle: at random, itself included

	s.Receive(w, 3, sit)
	w.Peers = w.Peers[:2] // 3 leaves the cluster
	if p := target(t, s.Schedule(w, task()), 0); p == 3 {
		t.Error("a task went to a node that has left")
	}
}

func TestJIQServer(t *testing.T) {
	w := coretest.NewScript(0, 0, 0)
	w.Peers = w.Peers[:1]
	s := with(t, "JIQ", params{"dispatchers": 1}).(*JIQ) // node 0, this one
	s.Changed(w)
	if !slices.Equal(s.bench.nodes, []core.NodeID{0}) || len(w.Told) > 0 {
		t.Errorf("its own queue holds %v, told %v; want itself there, without a message", s.bench.nodes, w.Told)
	}
	wantVerdict(t, s.Schedule(w, task()), core.Execute())
	w.Own = coretest.Loaded(1)
	s.Changed(w)
	if s.bench.seated || len(s.bench.nodes) > 0 {
		t.Error("it takes itself for idle")
	}

	w = coretest.NewScript(1, 0, 0)
	s = with(t, "JIQ", params{"dispatchers": 1}).(*JIQ) // node 0, the other one
	for _, tasks := range []int{0, 0, 1, 2, 1, 0, 3} {
		w.Own = coretest.Loaded(tasks)
		s.Changed(w)
	}
	want := []uint32{noteSit, noteGetUp, noteSit, noteGetUp}
	for i, told := range w.Told {
		if len(w.Told) != len(want) || told.To != 0 || told.Note.Kind != want[i] {
			t.Fatalf("told %v, want node 0 to hear of idle, busy, idle, busy", w.Told)
		}
	}
}

func TestJIQJoinsTheShorterQueue(t *testing.T) {
	length := func(n int64) func(core.Note) core.Note { return func(core.Note) core.Note { return core.Note{Int: n} } }
	w := coretest.NewScript(0, 0, 0, 0, 0)
	w.Answer = length(9)
	w.Peer(1).Answer, w.Peer(2).Answer, w.Peer(3).Err = length(3), length(2), core.ErrNoAnswer
	s := with(t, "JIQ", params{"choices": 4}).(*JIQ)
	s.Changed(w)
	if len(w.Told) != 1 || w.Told[0].To != 2 {
		t.Errorf("told %v, want node 2, which has the shortest queue of those that answer", w.Told)
	}
	if n := s.Receive(w, 1, core.Note{Kind: noteLength}).Int; n != 0 {
		t.Errorf("its own queue is said to be %d long, want 0", n)
	}
	// A task comes while it asks: it is idle no longer, and must not say so.
	w = coretest.NewScript(0, 0, 0, 0, 0)
	w.Answer = length(9)
	w.Meanwhile = func(w *coretest.Script) { w.Own = coretest.Loaded(1) }
	s = with(t, "JIQ", params{"choices": 2}).(*JIQ)
	s.Changed(w)
	if s.bench.seated || len(w.Told) > 0 {
		t.Errorf("a busy node told %v", w.Told)
	}
}

func TestJIQDispatchersAreDrawnEvenly(t *testing.T) {
	w := coretest.NewScript(3, 0, 0, 0, 0, 0)
	var b bench
	counts := make([]int, 5)
	for range 20000 {
		counts[b.dispatchers(w, 1, 4)[0]]++
	}
	wantShares(t, counts, .25, .25, .25, .25, 0)
	if d := b.dispatchers(w, 9, 2); len(d) != 2 || d[0] == d[1] {
		t.Errorf("drew %v of the dispatchers 0 and 1", d)
	}
}

func TestDispatchersMustExist(t *testing.T) {
	for _, name := range []string{"JIQ", "JBT"} {
		s, err := Parse(name, params{"dispatchers": 3})
		if err != nil {
			t.Fatal(err)
		}
		if s.Check(World{Nodes: 3}) != nil {
			t.Errorf("%s: 3 dispatchers of 3 nodes are fine", name)
		}
		if err := s.Check(World{Nodes: 2}); err == nil || !strings.Contains(err.Error(), "dispatchers is 3") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nodes 0 and 1 have one function, 2 and 3 the other. The queue of the dispatcher, node 0, keeps who lacks that of the task at
// hand, itself too.
func TestIdleQueueOfTwoFunctions(t *testing.T) {
	for name, order := range map[string][]core.NodeID{"JIQ": {2, 3, 0, 1}, "JBT": nil} {
		w := coretest.NewWorld(t, coretest.Setup{Nodes: 4, Slots: 1, Room: 9, Types: 2,
			Holders:    [][]core.NodeID{{0, 1}, {2, 3}},
			Forwarding: core.Forwarding{MaxHops: 1}, Latency: time.Millisecond,
			Scheduler: func(core.NodeID) core.Scheduler { return with(t, name, params{"dispatchers": 1}) }}, 1)
		for i, f := range []core.TaskType{1, 1, 0, 0} {
			w.Submit(core.Time((i+1)*100)*core.Time(time.Millisecond), 0, coretest.Request{Service: 2 * time.Second, Type: f})
		}
		var went []core.NodeID
		for _, r := range w.Run() {
			went = append(went, r.Executor)
		}
		if order == nil { // any that has enlisted
			slices.Sort(went)
			order = []core.NodeID{0, 1, 2, 3}
		}
		if !slices.Equal(went, order) {
			t.Errorf("%s: the tasks went to %v, want %v, one to each node", name, went, order)
		}
	}
}
