package core_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

// handHost is a host that does nothing by itself: it keeps what the nodes want, and the test plays the world.
type handHost struct {
	engine  *core.Engine
	nodes   []core.Node
	sent    []core.Msg
	armed   []core.Token
	unarmed []core.Token
	started []core.Token
	stopped int
	done    []core.Outcome
	demand  time.Duration // of the last one done
	retries uint16        // of that one
	faults  []*core.Fault
}

func newHandHost(topo *core.Topology, cfg *core.Config, s func(core.NodeID) core.Scheduler) *handHost {
	h := &handHost{nodes: make([]core.Node, max(topo.Nodes, int(topo.Cloud)+1))}
	h.engine = core.NewEngine(h, topo)
	h.engine.Attach(func(id core.NodeID) *core.Node { return &h.nodes[id] })
	for i := range h.nodes {
		own := *cfg
		h.engine.Init(&h.nodes[i], core.NodeID(i), &own, *rand.NewPCG(1, uint64(i)), s(core.NodeID(i)))
	}
	return h
}

func (h *handHost) Send(m *core.Msg)                             { h.sent = append(h.sent, *m) }
func (h *handHost) Arm(_ core.NodeID, _ core.Time, k core.Token) { h.armed = append(h.armed, k) }
func (h *handHost) Disarm(_ core.NodeID, k core.Token)           { h.unarmed = append(h.unarmed, k) }
func (h *handHost) Start(_ core.NodeID, t *core.Task)            { h.started = append(h.started, t.Token()) }
func (h *handHost) Stop(core.NodeID, *core.Task)                 { h.stopped++ }
func (h *handHost) Fault(f *core.Fault)                          { h.faults = append(h.faults, f) }
func (h *handHost) Done(_ core.NodeID, t *core.Task, o core.Outcome) {
	h.done, h.demand, h.retries = append(h.done, o), t.Demand, t.Retries
}
func (h *handHost) Act(core.NodeID, core.Token, []float64) (core.Action, bool, error) {
	return core.Action{}, true, core.ErrNoActor
}

// submit brings a task to node n.
func (h *handHost) submit(n core.NodeID) {
	h.nodes[n].Submit(h.engine.Now(), h.engine.NewTask())
}

// take removes the first message that was sent.
func (h *handHost) take(tb testing.TB, kind core.MsgKind) *core.Msg {
	tb.Helper()
	if len(h.sent) == 0 || h.sent[0].Kind != kind {
		tb.Fatalf("sent %v, want a %v", h.sent, kind)
	}
	m := h.sent[0]
	h.sent = h.sent[1:]
	return &m
}

func (h *handHost) deliver(m *core.Msg) { h.nodes[m.To].Deliver(h.engine.Now(), m) }

// wantDone checks the outcomes so far.
func (h *handHost) wantDone(tb testing.TB, want ...core.Outcome) {
	tb.Helper()
	if len(h.done) != len(want) {
		tb.Fatalf("ended: %v, want %v", h.done, want)
	}
	for i, o := range want {
		if h.done[i] != o {
			tb.Errorf("ended: %v, want %v", h.done, want)
		}
	}
}

func forwarding(d time.Duration) core.Forwarding {
	return core.Forwarding{MaxHops: 3, ProbeTimeout: d, AnswerTimeout: d}
}

var mesh3 = &core.Topology{Nodes: 3, Cloud: core.NoNode}

// An answer counts once; the one for a task that was given up, and the timer of one that was answered, not at all.
func TestAnswerTokens(t *testing.T) {
	h := newHandHost(mesh3, &core.Config{Slots: 1, Room: 9, Speed: 1, Forwarding: forwarding(time.Second)},
		coretest.Everywhere(func(env core.Env, _ *core.Task) core.Verdict { return core.Forward(1) }))
	defer h.engine.Close()
	h.submit(0)
	m := h.take(t, core.MsgForward)
	h.deliver(m)
	h.nodes[1].Finish(h.engine.Now(), h.engine.Executing(h.started[0]))
	answer := h.take(t, core.MsgAnswer)
	// Somebody else's answer to the same question.
	other := *answer
	other.To, other.Task = 2, h.engine.NewTask()
	h.deliver(&other)
	h.wantDone(t)
	again := *answer
	again.Task = h.engine.NewTask()
	h.deliver(answer)
	h.wantDone(t, core.Completed)
	h.deliver(&again)
	h.wantDone(t, core.Completed)
	if n := h.engine.InUse(); n != 0 {
		t.Errorf("%d tasks are left in the table", n)
	}
	// The place in the table has another task now, whose answer is not due.
	h.submit(0)
	h.nodes[0].Fire(h.engine.Now(), h.armed[0])
	if h.wantDone(t, core.Completed); len(h.started) != 1 {
		t.Error("the late timer of an answered task ended the wait of the next one")
	}
	h.nodes[0].Fire(h.engine.Now(), h.armed[1])
	if len(h.started) != 2 {
		t.Error("the timer of the task did not make it execute here")
	}
	h.deliver(h.take(t, core.MsgForward))
	late := *answer
	late.Token, late.Task = h.armed[1], h.engine.NewTask()
	h.deliver(&late)
	h.wantDone(t, core.Completed)
}

// What carries no task may arrive twice: whatever the algorithm does, each task executes and ends once.
func TestMessagesThatArriveTwice(t *testing.T) {
	for name, of := range map[string]func(core.Env, *core.Task) core.Verdict{
		"probes": func(env core.Env, _ *core.Task) core.Verdict {
			env.Probe(1, 2)
			return core.Forward(env.Ask(core.Note{}, 1, 2)[1].Peer)
		},
		"copies, of which the first to start stays": func(core.Env, *core.Task) core.Verdict {
			return core.Replicate(core.CancelOnStart, 1, 2)
		},
		"copies, of which the first to complete stays": func(core.Env, *core.Task) core.Verdict {
			return core.Replicate(core.CancelOnCompletion, 1, 2)
		},
		"pulls": func(env core.Env, task *core.Task) core.Verdict {
			if env.Self() > 0 {
				if _, err := env.Pull(0, 1, 1); err != nil {
					t.Error(err)
				}
			}
			return core.Execute()
		},
	} {
		h := newHandHost(mesh3, &core.Config{Slots: 1, Room: 99, Speed: 1, Forwarding: forwarding(time.Second)}, coretest.Everywhere(of))
		pump := func() {
			for len(h.sent) > 0 {
				m := h.sent[0]
				h.sent = h.sent[1:]
				again := m
				h.deliver(&m)
				if again.Task == nil {
					h.deliver(&again)
				}
			}
		}
		const each = 4
		for range each {
			for n := range core.NodeID(3) {
				h.submit(n)
				pump()
			}
		}
		for i := 0; i < len(h.started); i++ { // which grows, as what waits begins
			if task := h.engine.Executing(h.started[i]); task != nil {
				n, _ := task.Executing()
				h.nodes[n].Finish(h.engine.Now(), task)
				pump()
			}
		}
		executed := len(h.started) - h.stopped
		if len(h.done) != 3*each || slices.ContainsFunc(h.done, func(o core.Outcome) bool { return o != core.Completed }) || executed != 3*each {
			t.Errorf("%s: %d of %d tasks, executed %d times, ended: %v", name, len(h.done), 3*each, executed, h.done)
		}
		if n := h.engine.InUse(); n != 0 || len(h.faults) > 0 {
			t.Errorf("%s: %d tasks are left in the table, faults: %v", name, n, h.faults)
		}
		h.engine.Close()
	}
}

// A copy that no node can take, since the client has gone, ends its task and the other copies: nothing is tried instead.
func TestReplicaWithoutClient(t *testing.T) {
	for _, fallback := range []core.Fallback{core.FallbackExecute, core.FallbackNext, core.FallbackFail} {
		rules := forwarding(time.Second)
		rules.OnFailure = fallback
		h := newHandHost(mesh3, &core.Config{Slots: 1, Room: 9, Speed: 1, Forwarding: rules},
			coretest.Everywhere(func(core.Env, *core.Task) core.Verdict { return core.Replicate(core.CancelOnCompletion, 1, 2) }))
		h.submit(0)
		m := h.take(t, core.MsgForward)
		h.deliver(h.take(t, core.MsgForward))
		h.deliver(&core.Msg{Kind: core.MsgAnswer, From: 1, To: 0, Token: h.armed[0], Outcome: core.LostClientGone, Task: m.Task})
		h.wantDone(t, core.LostClientGone)
		h.deliver(h.take(t, core.MsgCancel))
		if h.stopped != 1 || h.retries != 0 || len(h.started) != 1 || len(h.sent) > 0 || h.engine.InUse() != 0 {
			t.Errorf("%v: %d of %d executions are stopped, %d retries, sent %v, %d tasks are left", fallback, h.stopped, len(h.started), h.retries,
				h.sent, h.engine.InUse())
		}
		h.engine.Close()
	}
}

// A reply counts once, from the peer that was asked, and until the timeout.
func TestReplyTokens(t *testing.T) {
	var got []core.Reply
	h := newHandHost(mesh3, &core.Config{Slots: 9, Speed: 1, Forwarding: forwarding(time.Second)},
		coretest.Everywhere(func(env core.Env, _ *core.Task) core.Verdict {
			got = append([]core.Reply(nil), env.Probe(1, 2)...)
			return core.Execute()
		}))
	defer h.engine.Close()
	ask := func() (one, two *core.Msg) {
		got = nil
		h.submit(0)
		h.deliver(h.take(t, core.MsgProbe))
		h.deliver(h.take(t, core.MsgProbe))
		return h.take(t, core.MsgReply), h.take(t, core.MsgReply)
	}
	one, two := ask()
	h.deliver(one)
	h.deliver(one)
	liar := *two
	liar.From = 1
	h.deliver(&liar)
	liar = *two
	liar.Item = 7
	h.deliver(&liar)
	if got != nil {
		t.Fatal("the decision goes on before the second peer has answered")
	}
	h.deliver(two)
	if len(got) != 2 || got[0].Err != nil || got[1].Err != nil {
		t.Fatalf("replies %v, want two without an error", got)
	}
	h.deliver(two)

	three, four := ask()
	h.deliver(two) // the question is over that it answers
	h.deliver(three)
	h.nodes[0].Fire(h.engine.Now(), h.armed[0])
	if got != nil {
		t.Fatal("the timer of an answered question ended the next one")
	}
	h.nodes[0].Fire(h.engine.Now(), h.armed[1])
	if len(got) != 2 || got[0].Err != nil || got[1].Err != core.ErrNoAnswer || got[1].Load != (core.Load{}) {
		t.Fatalf("replies %v, want one and one that has not come", got)
	}
	h.deliver(four)
	if got[1].Err == nil || len(h.started) != 2 || len(h.faults) != 0 {
		t.Errorf("an answer after the timeout changed %v", got)
	}
}

// A host that says where the task of a client is that has gone means that task alone, whoever has its place by then.
func TestCancelSlot(t *testing.T) {
	h := newHandHost(mesh3, &core.Config{Slots: 1, Room: 9, Speed: 1}, coretest.Everywhere(coretest.Local))
	defer h.engine.Close()
	task := h.engine.NewTask()
	task.ID = 7
	slot := task.Slot()
	h.nodes[0].Submit(0, task)
	h.nodes[0].CancelSlot(0, 8, slot)  // another task
	h.nodes[1].CancelSlot(0, 7, slot)  // another node's
	h.nodes[0].CancelSlot(0, 7, 1<<20) // no slot at all
	if len(h.done) > 0 {
		t.Fatal("a task ended that was not meant")
	}
	h.nodes[0].CancelSlot(0, 7, slot)
	h.wantDone(t, core.LostClientGone)
	h.nodes[0].CancelSlot(0, 7, slot)
	if len(h.done) != 1 {
		t.Errorf("%d tasks ended", len(h.done))
	}
}

// An execution that was stopped has no end any more, whoever has its place in the table.
func TestExecutionTokens(t *testing.T) {
	h := newHandHost(mesh3, &core.Config{Slots: 1, Room: 9, Speed: 1}, coretest.Everywhere(coretest.Local))
	defer h.engine.Close()
	h.submit(0)
	h.nodes[0].Cancel(0, 0)
	h.wantDone(t, core.LostClientGone)
	if h.stopped != 1 || h.engine.Executing(h.started[0]) != nil {
		t.Errorf("stopped %d executions, and the first one: %v", h.stopped, h.engine.Executing(h.started[0]))
	}
	h.submit(0)
	if h.engine.Executing(h.started[0]) != nil || h.engine.Executing(h.started[1]) == nil {
		t.Error("the token of a stopped execution is that of the next one")
	}
	h.nodes[0].Crash(0)
	if h.stopped != 2 {
		t.Errorf("%d executions were stopped, want the cancelled one and the one that the crash ended", h.stopped)
	}
	h.nodes[0].Restart(0, nil)
	h.submit(0)
	if h.engine.Executing(h.started[1]) != nil {
		t.Error("the token of an execution before the crash is that of one after it")
	}
	defer func() {
		if recover() == nil {
			t.Error("freeing a task twice goes unnoticed")
		}
	}()
	task := h.engine.NewTask()
	h.engine.Free(task)
	h.engine.Free(task)
}

// A load above which nobody can be asks for nothing, and one that everybody is above asks for what waits, however large or small it is.
func TestPullAboveAnyLoad(t *testing.T) {
	for above, handed := range map[int]bool{1 << 32: false, -1<<31 - 1: true, -1 << 32: true} {
		s := &thief{pull: func(env core.Env) { _, _ = env.Pull(1, 5, above) }}
		h := newHandHost(mesh3, &core.Config{Slots: 1, Room: 9, Speed: 1, Forwarding: forwarding(0)}, func(id core.NodeID) core.Scheduler {
			if id == 0 {
				return s
			}
			return coretest.Func(coretest.Local)
		})
		h.submit(1)
		h.submit(1)
		h.nodes[0].Boot(0)
		h.deliver(h.take(t, core.MsgPull))
		if m := h.take(t, core.MsgHandover); (m.Task != nil) != handed {
			t.Errorf("above %d a task is handed over: %v", above, m.Task != nil)
		}
		h.engine.Close()
	}
}

// What a Pull brings after its timeout executes all the same: nobody else has it.
func TestLateHandover(t *testing.T) {
	var count int
	var err error
	s := &thief{pull: func(env core.Env) { count, err = env.Pull(1, 5, 0) }}
	h := newHandHost(mesh3, &core.Config{Slots: 1, Room: 9, Speed: 1, Forwarding: forwarding(time.Second)},
		func(id core.NodeID) core.Scheduler {
			if id == 0 {
				return s
			}
			return coretest.Func(coretest.Local)
		})
	defer h.engine.Close()
	h.submit(1)
	h.submit(1)
	h.submit(1)
	h.nodes[0].Boot(0)
	h.deliver(h.take(t, core.MsgPull))
	h.nodes[0].Fire(0, h.armed[0])
	if count != 0 || err != core.ErrNoAnswer {
		t.Errorf("the pull brought %d tasks, error %v, want none and no answer", count, err)
	}
	h.deliver(h.take(t, core.MsgHandover))
	if l := h.nodes[0].Load(); l.Running != 1 || l.Queued != 1 {
		t.Errorf("the load is %+v, want one task running and one waiting", l)
	}
}

// thief is an algorithm that pulls when it starts.
type thief struct{ pull func(core.Env) }

func (s *thief) Schedule(core.Env, *core.Task) core.Verdict { return core.Execute() }
func (s *thief) Start(env core.Env)                         { s.pull(env) }

// A node remembers the last load of so many peers as its algorithm wants; the longest unheard goes first, and a crash
// forgets them all.
func TestMemory(t *testing.T) {
	var heard []core.NodeID
	cfg := &core.Config{Slots: 9, Speed: 1}
	h := newHandHost(&core.Topology{Nodes: 5, Cloud: core.NoNode}, cfg, func(core.NodeID) core.Scheduler {
		return remembering{func(env core.Env, _ *core.Task) core.Verdict {
			heard = heard[:0]
			for p := range core.NodeID(5) {
				if l, at, ok := env.Heard(p); ok {
					heard = append(heard, p)
					if at.Sub(0) != time.Duration(l.Queued) {
						t.Errorf("what was heard of node %d at %d is dated %d", p, l.Queued, at)
					}
				}
			}
			return core.Execute()
		}}
	})
	defer h.engine.Close()
	tell := func(at int32, from core.NodeID) {
		m := core.Msg{Kind: core.MsgTell, From: from, Load: core.Load{Queued: at}}
		h.nodes[0].Deliver(core.Time(at), &m)
	}
	want := func(peers ...core.NodeID) {
		t.Helper()
		if h.submit(0); !slices.Equal(heard, peers) {
			t.Errorf("at %d node 0 remembers %v, want %v", h.engine.Now(), heard, peers)
		}
	}
	tell(1, 1)
	tell(2, 2)
	tell(3, 3)
	want(1, 2, 3)
	tell(4, 1)
	tell(5, 4) // node 2 makes room
	want(1, 3, 4)
	tell(6, 2) // node 3 does
	want(1, 2, 4)
	h.nodes[0].Crash(7)
	h.nodes[0].Restart(7, nil)
	want()
	tell(8, 2)
	want(2)
}

// A decision that probes, forwards and gets its answer allocates nothing once the pools are filled.
func TestAllocations(t *testing.T) {
	h := newHandHost(mesh3, &core.Config{Slots: 4, Room: 9, Speed: 1, Forwarding: forwarding(time.Second)},
		coretest.Everywhere(func(env core.Env, task *core.Task) core.Verdict {
			if task.Hops > 0 {
				return core.Execute()
			}
			best := core.NoNode
			for _, r := range env.Probe(env.Neighbours().Sample(2)...) {
				if r.Err == nil && best == core.NoNode {
					best = r.Peer
				}
			}
			return core.Forward(best)
		}))
	defer h.engine.Close()
	queue := make([]core.Msg, 0, 64)
	round := func() {
		h.submit(0)
		for len(h.sent) > 0 || len(h.started) > 0 {
			queue = append(queue[:0], h.sent...)
			h.sent = h.sent[:0]
			for i := range queue {
				h.deliver(&queue[i])
			}
			for _, k := range h.started {
				task := h.engine.Executing(k)
				h.nodes[task.Executor()].Finish(h.engine.Now(), task)
			}
			h.started = h.started[:0]
		}
		h.armed, h.done = h.armed[:0], h.done[:0]
	}
	for range 10 {
		round()
	}
	if n := testing.AllocsPerRun(1000, round); n != 0 {
		t.Errorf("%v allocations per request, want none", n)
	}
	if h.engine.InUse() != 0 {
		t.Errorf("%d tasks are left", h.engine.InUse())
	}
}

// A peer whose clock runs fast takes longer than the answer took to come. The parts of the task then add up all the same, and
// none is less than when the task was sent: the node before this one would call that nonsense, and execute the task again.
func TestAnswerOfFastClock(t *testing.T) {
	sent := core.Timing{Scheduling: 1, Probing: 2, Forwarding: 40}
	for _, x := range []struct{ said, want core.Timing }{
		{core.Timing{Scheduling: 1, Probing: 2, Forwarding: 50, Executing: 90}, core.Timing{Scheduling: 1, Probing: 2, Forwarding: 50, Executing: 90}},
		{core.Timing{Scheduling: 1, Probing: 2, Forwarding: 50, Executing: 95}, core.Timing{Scheduling: 1, Probing: 2, Forwarding: 45, Executing: 95}},
		{core.Timing{Scheduling: 1, Probing: 2, Forwarding: 50, Executing: 104}, core.Timing{Scheduling: 1, Probing: 2, Forwarding: 40, Executing: 100}},
		{core.Timing{Scheduling: 3, Probing: 9, Forwarding: 40, Waiting: 20, Executing: 80, Returning: 7},
			core.Timing{Scheduling: 3, Probing: 9, Forwarding: 40, Waiting: 11, Executing: 80}},
		{core.Timing{Scheduling: 300, Probing: 2, Forwarding: 40}, core.Timing{Scheduling: 101, Probing: 2, Forwarding: 40}},
	} {
		h := newHandHost(mesh3, &core.Config{Slots: 1, Speed: 1, Forwarding: forwarding(time.Second)},
			coretest.Everywhere(func(core.Env, *core.Task) core.Verdict { return core.Forward(2) }))
		h.nodes[1].Apply(core.Input{Kind: core.InputDeliver, Message: &core.Parcel{Kind: core.MsgForward, From: 0, To: 1,
			Tasks: []core.TaskValue{{Hops: 1, Timing: sent, Deadline: core.Never, Trip: &core.TripValue{Executor: core.NoNode}}}}})
		c := h.take(t, core.MsgForward)
		h.nodes[1].Apply(core.Input{Kind: core.InputDeliver, At: 100, Message: &core.Parcel{Kind: core.MsgAnswer, From: 2, To: 1,
			Token: func() core.Token { _, k := c.Task.Forwarder(); return k }(), Outcome: core.Completed,
			Tasks: []core.TaskValue{{Timing: x.said, Trip: &core.TripValue{Executor: 2}}}}})
		if got := h.take(t, core.MsgAnswer).Task.Timing; got != x.want || got.Total() != sent.Total()+100 {
			t.Errorf("the peer says %+v: %+v, want %+v, %d in all", x.said, got, x.want, sent.Total()+100)
		}
		h.engine.Close()
	}
}
