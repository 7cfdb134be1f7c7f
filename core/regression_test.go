package core_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

// What fuzzing and reading have found wrong once.

const second = 1000 * ms

// request is a request for so much service.
func request(service core.Time) coretest.Request {
	return coretest.Request{Service: time.Duration(service)}
}

// wantOutcome checks how request i ended and where it was executed.
func wantOutcome(t *testing.T, rs []coretest.Result, i int, o core.Outcome, executor core.NodeID) {
	t.Helper()
	if r := rs[i]; r.Outcome != o || r.Executor != executor {
		t.Errorf("request %d: %v at node %d, want %v at %d", i, r.Outcome, r.Executor, o, executor)
	}
}

func wantNoFault(t *testing.T, w *coretest.World) {
	t.Helper()
	if f := w.Faults(); len(f) > 0 {
		t.Errorf("%d faults: %v", len(f), f[0])
	}
}

// A decision that dies with its node suspends once while it is dead; however often, it is no fault.
func TestManyCrashes(t *testing.T) {
	w := coretest.NewWorld(t, coretest.Setup{Nodes: 1, Slots: 1,
		Scheduler: coretest.Everywhere(func(env core.Env, _ *core.Task) core.Verdict {
			env.Sleep(time.Second)
			return core.Execute()
		})}, 1)
	for i := range core.Time(1100) {
		w.Submit(10*i*ms, 0, request(ms))
		w.Crash((10*i+5)*ms, 0)
		w.Restart((10*i+6)*ms, 0)
	}
	w.Run()
	wantNoFault(t, w)
}

// The deadline of a task that a crash ended does not end the task that got its place in the table.
func TestDeadlineAfterCrash(t *testing.T) {
	w := coretest.NewWorld(t, coretest.Setup{Nodes: 1, Slots: 1, Room: 9, Abandon: true,
		Scheduler: coretest.Everywhere(coretest.Local)}, 1)
	w.Submit(1*ms, 0, request(second))
	for i := range core.Time(2) {
		w.Submit((2+i)*ms, 0, coretest.Request{Service: time.Second, Budget: 100 * time.Millisecond})
	}
	w.Crash(10*ms, 0)
	w.Restart(11*ms, 0)
	for i := range core.Time(4) {
		w.Submit((20+i)*ms, 0, request(second))
	}
	for i, r := range w.Run()[3:] {
		if r.Outcome != core.Completed {
			t.Errorf("request %d, which has no deadline: %v", i+3, r.Outcome)
		}
	}
}

// looping wakes up every 10 ms for ever, and remembers loads.
type looping struct {
	coretest.Func
	started, woken int
}

func (s *looping) Start(env core.Env) {
	for s.started++; ; s.woken++ {
		env.Sleep(10 * time.Millisecond)
	}
}

// A new algorithm ends the Start of the old one. At a node that is down it waits for the restart.
func TestStartOfReplacedScheduler(t *testing.T) {
	first, second, third := &looping{Func: coretest.Local}, &looping{Func: coretest.Local}, &looping{Func: coretest.Local}
	w := coretest.NewWorld(t, coretest.Setup{Nodes: 1, Slots: 1,
		Scheduler: func(core.NodeID) core.Scheduler { return first }}, 1)
	w.Configure(55*ms, 0, core.Change{Scheduler: second})
	w.Crash(105*ms, 0)
	w.Configure(155*ms, 0, core.Change{Scheduler: third})
	w.Submit(205*ms, 0, request(ms))
	w.Run()
	for i, s := range []struct{ got, started, woken int }{
		{first.started, 1, 5}, {second.started, 1, 4}, {third.started, 0, 0},
	} {
		woken := []int{first.woken, second.woken, third.woken}[i]
		if s.got != s.started || woken != s.woken {
			t.Errorf("scheduler %d started %d times and woke up %d times, want %d and %d", i, s.got, woken, s.started, s.woken)
		}
	}
}

// remembering remembers up to 3 loads.
type remembering struct{ coretest.Func }

func (remembering) Remember() int { return 3 }

// Every answer to a probe is remembered, not only the last one.
func TestRememberAllReplies(t *testing.T) {
	heard := 0
	w := coretest.NewWorld(t, coretest.Setup{Nodes: 4, Slots: 1, Scheduler: func(core.NodeID) core.Scheduler {
		return remembering{func(env core.Env, _ *core.Task) core.Verdict {
			env.Probe(1, 2, 3)
			for p := range core.NodeID(4) {
				if l, _, ok := env.Heard(p); ok && l.Slots == 1 {
					heard++
				}
			}
			return core.Execute()
		}}
	}}, 1)
	w.Submit(ms, 0, request(ms))
	w.Run()
	if heard != 3 {
		t.Errorf("%d of 3 answers are remembered", heard)
	}
}

// A replicated task that nobody answers is not forwarded to one of those who were silent.
func TestSilentReplicas(t *testing.T) {
	w := coretest.NewWorld(t, coretest.Setup{Nodes: 3, Slots: 1,
		Forwarding: core.Forwarding{MaxHops: 9, OnFailure: core.FallbackNext, AnswerTimeout: 100 * time.Millisecond},
		Scheduler: coretest.Everywhere(func(core.Env, *core.Task) core.Verdict {
			return core.Replicate(core.CancelOnCompletion, 1, 2)
		})}, 1)
	w.Crash(0, 1)
	w.Crash(0, 2)
	i := w.Submit(ms, 0, request(10*ms))
	rs := w.Run()
	wantOutcome(t, rs, i, core.Completed, 0)
	if want := 110 * time.Millisecond; rs[i].Latency != want {
		t.Errorf("it took %v, want %v", rs[i].Latency, want)
	}
}

// Where two copies start before either hears of the other, the one that completes first ends the other, whichever was
// the first to start.
func TestCompletionCancelsWinner(t *testing.T) {
	w := coretest.NewWorld(t, coretest.Setup{Nodes: 3, Slots: 1, Room: 9, Forwarding: core.Forwarding{MaxHops: 1},
		Scheduler: func(id core.NodeID) core.Scheduler {
			return coretest.Func(func(core.Env, *core.Task) core.Verdict {
				if id == 0 {
					return core.Replicate(core.CancelOnStart, 1, 2)
				}
				return core.Execute()
			})
		}}, 1)
	// Node 1 is near to hear from, but is told late; node 2 is fast, and what is sent to it now is late.
	w.Latency = func(m *core.Msg) time.Duration {
		switch {
		case m.Kind == core.MsgCancel && m.To == 2:
			return time.Second
		case m.Kind == core.MsgStarted && m.From == 2:
			return 50 * time.Millisecond
		case m.Kind == core.MsgForward && m.To == 1:
			return 20 * time.Millisecond
		}
		return 5 * time.Millisecond
	}
	w.Submit(10*ms, 0, request(200*ms))
	behind := w.Submit(50*ms, 1, request(10*ms))
	rs := w.Run()
	wantOutcome(t, rs, 0, core.Completed, 2)
	// The copy at node 1 ran from 30 and would have until 230; node 0 has the answer of node 2 at 220.
	if want := 185 * time.Millisecond; rs[behind].Latency != want {
		t.Errorf("the task behind the copy took %v, want %v", rs[behind].Latency, want)
	}
}

// A copy that the cancellation overtook is cancelled when it starts.
func TestCancelOvertakesReplica(t *testing.T) {
	w := coretest.NewWorld(t, coretest.Setup{Nodes: 3, Slots: 1, Room: 9, Latency: 5 * time.Millisecond,
		Forwarding: core.Forwarding{MaxHops: 1},
		Scheduler: func(id core.NodeID) core.Scheduler {
			return coretest.Func(func(core.Env, *core.Task) core.Verdict {
				if id == 0 {
					return core.Replicate(core.CancelOnStart, 1, 2)
				}
				return core.Execute()
			})
		}}, 1)
	w.Latency = func(m *core.Msg) time.Duration {
		if m.Kind == core.MsgForward && m.To == 2 {
			return 100 * time.Millisecond
		}
		return 5 * time.Millisecond
	}
	i := w.Submit(10*ms, 0, request(200*ms))
	behind := w.Submit(115*ms, 2, request(10*ms))
	rs := w.Run()
	wantOutcome(t, rs, i, core.Completed, 1)
	if want := 15 * time.Millisecond; rs[behind].Latency != want { // from 120, when the copy is cancelled
		t.Errorf("the task behind the late copy took %v, want %v", rs[behind].Latency, want)
	}
}

// careless panics in the faces that run on the driver's own stack.
type careless struct{ coretest.Func }

func (careless) Receive(core.View, core.NodeID, core.Note) core.Note { panic("Receive") }

func (careless) Observe(core.View, *core.Task, core.Outcome) { panic("Observe") }

// A panic in Observe or in Receive is a fault too, and the node goes on.
func TestPanicOnDriver(t *testing.T) {
	w := coretest.NewWorld(t, coretest.Setup{Nodes: 2, Slots: 1, Scheduler: func(core.NodeID) core.Scheduler {
		return careless{func(env core.Env, _ *core.Task) core.Verdict {
			env.Ask(core.Note{}, 1)
			return core.Execute()
		}}
	}}, 1)
	i := w.Submit(ms, 0, request(ms))
	wantOutcome(t, w.Run(), i, core.Completed, 0)
	var causes []string
	for _, f := range w.Faults() {
		causes = append(causes, fmt.Sprintf("%v at %d, task %d, stack %t", f.Cause, f.Node, f.Task, f.Stack != nil))
	}
	want := "[Receive at 1, task 0, stack true Observe at 0, task 0, stack true]"
	if got := fmt.Sprint(causes); got != want {
		t.Errorf("faults %s, want %s", got, want)
	}
}

// The optional faces are looked up once per Config: algorithms that differ in them need one each.
func TestConfigOfTwoAlgorithms(t *testing.T) {
	cfg := &core.Config{Slots: 1}
	defer func() {
		if recover() == nil {
			t.Error("the second algorithm is taken for the first one")
		}
	}()
	e := core.NewEngine(nil, &core.Topology{Nodes: 2, Cloud: core.NoNode})
	var nodes [2]core.Node
	e.Init(&nodes[0], 0, cfg, *rand.NewPCG(1, 1), coretest.Func(coretest.Local))
	e.Init(&nodes[1], 1, cfg, *rand.NewPCG(1, 2), careless{coretest.Local})
}

// A peer that left while a decision was suspended is one that refuses, not a mistake of the algorithm; the neighbours
// are those that it asked for.
func TestPeersLeaveDuringDecision(t *testing.T) {
	for _, c := range []struct {
		name     string
		verdict  func(core.Neighbours) core.Verdict
		executor core.NodeID
		retries  int
	}{
		{"forward", func(nb core.Neighbours) core.Verdict { return core.Forward(nb.At(2)) }, 0, 1},
		{"next", func(nb core.Neighbours) core.Verdict { return core.Forward(nb.At(2), nb.At(1), nb.At(0)) }, 1, 2},
		{"all replicas", func(nb core.Neighbours) core.Verdict {
			return core.Replicate(core.CancelOnCompletion, nb.At(1), nb.At(2))
		}, 0, 1},
		{"a replica", func(nb core.Neighbours) core.Verdict {
			return core.Replicate(core.CancelOnCompletion, nb.At(0), nb.At(2))
		}, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := coretest.NewWorld(t, coretest.Setup{Nodes: 4, Slots: 1,
				Forwarding: core.Forwarding{MaxHops: 1, OnFailure: core.FallbackNext},
				Scheduler: coretest.Everywhere(func(env core.Env, _ *core.Task) core.Verdict {
					nb := env.Neighbours()
					env.Sleep(10 * time.Millisecond)
					return c.verdict(nb)
				})}, 1)
			w.Configure(5*ms, 0, core.Change{Peers: &[]core.NodeID{1, 2, 3}})
			i := w.Submit(10*ms, 0, request(ms))
			w.Configure(15*ms, 0, core.Change{Peers: &[]core.NodeID{1}})
			rs := w.Run()
			wantNoFault(t, w)
			wantOutcome(t, rs, i, core.Completed, c.executor)
			if rs[i].Retries != c.retries {
				t.Errorf("%d retries, want %d", rs[i].Retries, c.retries)
			}
		})
	}
}

// The cloud is no member of the mesh.
func TestCloudHasNoNeighbours(t *testing.T) {
	h := newHandHost(&core.Topology{Nodes: 2, Cloud: 2}, &core.Config{Slots: 1}, coretest.Everywhere(
		func(env core.Env, _ *core.Task) core.Verdict {
			if n := env.Neighbours().Len(); (n > 0) != (env.Self() < 2) {
				t.Errorf("node %d has %d neighbours", env.Self(), n)
			}
			return core.Execute()
		}))
	for id := range core.NodeID(3) {
		h.submit(id)
	}
	if len(h.faults) > 0 {
		t.Error(h.faults[0])
	}
}

// A restart with another algorithm finds the faces of that one, and a node that is up is left alone.
func TestRestartAdopts(t *testing.T) {
	plain, loop := coretest.Func(coretest.Local), &looping{Func: coretest.Local}
	h := newHandHost(&core.Topology{Nodes: 1, Cloud: core.NoNode}, &core.Config{Slots: 1},
		func(core.NodeID) core.Scheduler { return plain })
	h.nodes[0].Boot(0)
	h.nodes[0].Restart(1*ms, loop)
	if loop.started != 0 {
		t.Error("a node that was up has been restarted")
	}
	h.nodes[0].Crash(2 * ms)
	h.nodes[0].Restart(3*ms, loop)
	h.nodes[0].Restart(4*ms, nil)
	if loop.started != 1 {
		t.Errorf("the new algorithm was started %d times", loop.started)
	}
	h.engine.Close()
}

// counting counts the outcomes that it sees.
type counting struct {
	coretest.Func
	seen map[core.Outcome]int
}

func (c counting) Observe(_ core.View, _ *core.Task, o core.Outcome) { c.seen[o]++ }

// A forward that its sender gave up waiting for is over for the peer's algorithm too.
func TestCancelledCopyIsObserved(t *testing.T) {
	seen := map[core.Outcome]int{}
	w := coretest.NewWorld(t, coretest.Setup{Nodes: 2, Slots: 1,
		Forwarding: core.Forwarding{MaxHops: 2, AnswerTimeout: 50 * time.Millisecond},
		Scheduler: func(id core.NodeID) core.Scheduler {
			if id == 0 {
				return coretest.Func(func(core.Env, *core.Task) core.Verdict { return core.Forward(1) })
			}
			return counting{coretest.Local, seen}
		}}, 1)
	w.Submit(ms, 0, request(100*ms))
	w.Run()
	if want := "map[lost-client-gone:1]"; fmt.Sprint(seen) != want {
		t.Errorf("observed %v, want %v", seen, want)
	}
}

// An algorithm that survives the end of its node again and again is left behind, with one fault.
func TestImmortal(t *testing.T) {
	for _, ends := range []string{"crash", "close"} {
		t.Run(ends, func(t *testing.T) {
			h := newHandHost(&core.Topology{Nodes: 1, Cloud: core.NoNode}, &core.Config{Slots: 1},
				coretest.Everywhere(func(env core.Env, _ *core.Task) core.Verdict {
					for {
						func() {
							defer func() { _ = recover() }()
							env.Sleep(time.Second)
						}()
					}
				}))
			h.submit(0)
			if ends == "crash" {
				h.nodes[0].Crash(ms)
				h.wantDone(t, core.LostNodeDown)
			}
			h.engine.Close()
			if len(h.faults) != 1 {
				t.Errorf("%d faults, want 1", len(h.faults))
			}
		})
	}
}

// A task one replica of which has expired is not executed again because another was refused later.
func TestExpiredReplica(t *testing.T) {
	w := coretest.NewWorld(t, coretest.Setup{Nodes: 3, Slots: 1, Room: 1, Abandon: true,
		Forwarding: core.Forwarding{MaxHops: 1}, Latency: time.Millisecond,
		Scheduler: coretest.Everywhere(func(_ core.Env, t *core.Task) core.Verdict {
			if t.Deadline == core.Never {
				return core.Execute()
			}
			return core.Replicate(core.CancelOnCompletion, 1, 2)
		})}, 1)
	w.Latency = func(m *core.Msg) time.Duration {
		if m.Kind == core.MsgForward && m.To == 2 {
			return 30 * time.Millisecond
		}
		return time.Millisecond
	}
	for _, n := range []core.NodeID{1, 2, 2} { // one place is left at node 1, none at node 2
		w.Submit(ms, n, request(second))
	}
	i := w.Submit(2*ms, 0, coretest.Request{Service: time.Millisecond, Budget: 20 * time.Millisecond})
	wantOutcome(t, w.Run(), i, core.Expired, core.NoNode)
}

// Each replica has a demand of its own where the host draws one: the waiting room orders by it, and the task that is
// done tells that of the replica that was executed.
func TestDemandOfReplicas(t *testing.T) {
	cfg := &core.Config{Slots: 1, Room: 9, Discipline: core.ShortestJob, Forwarding: core.Forwarding{MaxHops: 1},
		CopyDemand: func(_ *core.Task, i int) time.Duration { return time.Duration(i) * time.Second }}
	h := newHandHost(&core.Topology{Nodes: 2, Cloud: core.NoNode}, cfg, coretest.Everywhere(
		func(core.Env, *core.Task) core.Verdict { return core.Replicate(core.CancelOnCompletion, 1, 1, 1) }))
	h.submit(0)
	for i, want := range []time.Duration{0, time.Second, 2 * time.Second} {
		if d := h.sent[i].Task.Demand; d != want {
			t.Errorf("replica %d has a demand of %v, want %v", i, d, want)
		}
	}
	last := h.sent[2]
	h.sent = nil
	h.deliver(&last)
	h.nodes[1].Finish(h.engine.Now(), h.engine.Executing(h.started[0]))
	h.deliver(h.take(t, core.MsgAnswer))
	if h.demand != 2*time.Second {
		t.Errorf("the task that is done tells a demand of %v", h.demand)
	}
}

// A note to a stranger is a mistake of the algorithm; one to a peer that has left goes nowhere.
func TestTellStranger(t *testing.T) {
	for _, peers := range [][]core.NodeID{nil, {1}} {
		h := newHandHost(&core.Topology{Nodes: 3, Offsets: []uint32{0, 1, 3, 4}, Edges: []core.NodeID{1, 0, 2, 1},
			Cloud: core.NoNode}, &core.Config{Slots: 1}, coretest.Everywhere(func(env core.Env, _ *core.Task) core.Verdict {
			env.Tell(2, core.Note{})
			return core.Execute()
		}))
		if peers != nil {
			h.nodes[0].Configure(0, core.Change{Peers: &peers})
		}
		h.submit(0)
		if len(h.sent) > 0 || (len(h.faults) > 0) == (peers != nil) {
			t.Errorf("own peers %v: sent %v, faults %v", peers, h.sent, h.faults)
		}
	}
}

// The timer of a deadline is taken back when the task leaves the waiting room in time: a real host would keep it.
func TestDeadlineDisarmed(t *testing.T) {
	h := newHandHost(&core.Topology{Nodes: 1, Cloud: core.NoNode}, &core.Config{Slots: 1, Room: 1, Abandon: true},
		coretest.Everywhere(coretest.Local))
	for range 2 {
		task := h.engine.NewTask()
		task.Deadline = second
		h.nodes[0].Submit(0, task)
	}
	h.nodes[0].Finish(ms, h.engine.Executing(h.started[0]))
	if len(h.armed) != 1 || !slices.Equal(h.armed, h.unarmed) {
		t.Errorf("armed %v, taken back %v", h.armed, h.unarmed)
	}
}

// Every message tells the load of its sender, a forward too.
func TestRememberForward(t *testing.T) {
	var heard bool
	w := coretest.NewWorld(t, coretest.Setup{Nodes: 2, Slots: 1, Forwarding: core.Forwarding{MaxHops: 2},
		Scheduler: func(id core.NodeID) core.Scheduler {
			return remembering{func(env core.Env, _ *core.Task) core.Verdict {
				if id == 0 {
					return core.Forward(1)
				}
				_, _, heard = env.Heard(0)
				return core.Execute()
			}}
		}}, 1)
	w.Submit(ms, 0, request(ms))
	w.Run()
	if !heard {
		t.Error("the node that forwards has not been heard of")
	}
}
