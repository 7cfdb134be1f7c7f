package coretest

import (
	"slices"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// What nodes do together. Algorithms write only what belongs to their own node: a host may drive nodes in parallel.

// probing is an algorithm whose node 0 looks at the other nodes at some instants and executes what it has.
type probing struct {
	when    []int // milliseconds, ascending
	peers   []core.NodeID
	replies [][]core.Reply
}

func (p *probing) Schedule(core.Env, *core.Task) core.Verdict { return core.Execute() }

func (p *probing) Start(env core.Env) {
	for _, w := range p.when {
		env.Sleep(at(w).Sub(env.Now()))
		p.replies = append(p.replies, slices.Clone(env.Probe(p.peers...)))
	}
}

// only gives node 0 the algorithm s; the others execute what they get.
func only(s core.Scheduler) func(core.NodeID) core.Scheduler {
	return func(id core.NodeID) core.Scheduler {
		if id == 0 {
			return s
		}
		return Func(Local)
	}
}

func testProbe(b *bench) {
	p := &probing{when: []int{50}, peers: []core.NodeID{2, 0, 1}}
	b.set(Setup{Nodes: 3, Slots: 1, Room: 7, Scheduler: only(p)})
	for i := range 3 {
		b.submit(10+10*i, 1, 100)
	}
	b.submit(10, 0, 100)
	b.play()
	want := []core.Load{{}, {Running: 1}, {Running: 1, Queued: 2}}
	if len(p.replies) != 1 || len(p.replies[0]) != len(want) {
		b.Fatalf("replies %v, want one to each of three questions", p.replies)
	}
	for i, r := range p.replies[0] {
		l := want[i]
		l.Slots, l.Room, l.Speed = 1, 7, 1
		equal(b, "peer", r.Peer, p.peers[i])
		equal(b, "error", r.Err, nil)
		equal(b, "load", r.Load, l)
		if r.Peer == 0 {
			equal(b, "round trip to oneself", r.RTT, 0)
		} else {
			b.near("round trip", r.RTT, 10)
		}
	}
}

func testSilentPeer(b *bench) {
	var replies []core.Reply
	var started core.Time
	b.set(Setup{Nodes: 3, Slots: 1, Room: 9, Scheduler: only(Func(func(env core.Env, _ *core.Task) core.Verdict {
		started = env.Now()
		replies = slices.Clone(env.Probe(1, 2, 7))
		return core.Execute()
	}))})
	b.Crash(0, 1)
	b.submit(10, 2, 300)
	i := b.submit(50, 0, 20)
	b.play()
	if len(replies) != 3 {
		b.Fatalf("replies %v, want one to each of three questions", replies)
	}
	for _, k := range []int{0, 2} {
		if r := replies[k]; r.Err == nil || r.Load != (core.Load{}) {
			b.Errorf("the reply of node %d is %+v, want an error and no load", r.Peer, r)
		}
	}
	equal(b, "error of the peer that answered", replies[1].Err, nil)
	equal(b, "its load", replies[1].Load.Running, 1)
	if p := b.results[i].Timing.Probing; p > 60*ms+b.Limits().Tolerance {
		b.Errorf("probing took %v, longer than the timeout (it began at %v)", p, started)
	}
	equal(b, "outcome", b.results[i].Outcome, core.Completed)
	equal(b, "probes", b.results[i].Probes, 2)
}

func testPath(b *bench) {
	visited := make([][]core.NodeID, 4)
	entry := make([]core.NodeID, 4)
	b.set(Setup{Nodes: 4, Slots: 1, Forwarding: core.Forwarding{MaxHops: 5},
		Scheduler: Everywhere(func(env core.Env, t *core.Task) core.Verdict {
			visited[env.Self()] = slices.Clone(t.Visited())
			entry[env.Self()] = t.Entry()
			if env.Self() < 3 {
				return core.Forward(env.Self() + 1)
			}
			return core.Execute()
		})})
	i := b.submit(10, 0, 100)
	b.play()
	b.ended(i, core.Completed, 3, 130)
	r := b.results[i]
	equal(b, "hops", r.Hops, 3)
	b.near("executing", r.Timing.Executing, 100)
	b.near("forwarding", r.Timing.Forwarding, 15)
	b.near("returning", r.Timing.Returning, 15)
	b.near("the sum of all parts, less the latency", r.Timing.Total()-r.Latency, 0)
	for k, want := range [][]core.NodeID{nil, {0}, {0, 1}, {0, 1, 2}} {
		if !slices.Equal(visited[k], want) || entry[k] != 0 {
			b.Errorf("node %d saw the path %v from %d, want %v from 0", k, visited[k], entry[k], want)
		}
	}
}

// pingpong forwards what it gets to the other one of two nodes.
func pingpong(env core.Env, _ *core.Task) core.Verdict { return core.Forward(1 - env.Self()) }

func testLimitExecute(b *bench) {
	b.set(Setup{Nodes: 2, Slots: 1, Forwarding: core.Forwarding{MaxHops: 3}, Scheduler: Everywhere(pingpong)})
	i := b.submit(10, 0, 50)
	b.play()
	b.ended(i, core.Completed, 1, 80)
	equal(b, "hops", b.results[i].Hops, 3)
}

func testLimitLose(b *bench) {
	b.set(Setup{Nodes: 2, Slots: 1, Scheduler: Everywhere(pingpong),
		Forwarding: core.Forwarding{MaxHops: 3, AtLimit: core.LimitLose, OnFailure: core.FallbackExecute}})
	i := b.submit(10, 0, 50)
	b.play()
	b.ended(i, core.LostHopLimit, core.NoNode, 30)
}

func testRefusal(b *bench) {
	for _, c := range []struct {
		fallback core.Fallback
		outcome  core.Outcome
		executor core.NodeID
		latency  int
	}{
		{core.FallbackExecute, core.Completed, 0, 110},
		{core.FallbackNext, core.Completed, 2, 120},
		{core.FallbackFail, core.NoRoom, core.NoNode, 10},
	} {
		b.set(Setup{Nodes: 3, Slots: 1, Forwarding: core.Forwarding{MaxHops: 1, OnRefusal: c.fallback, OnFailure: core.FallbackFail - c.fallback},
			Scheduler: only(Func(func(core.Env, *core.Task) core.Verdict { return core.Forward(1, 2) }))})
		b.fill(1)
		i := b.submit(20, 0, 100)
		b.play()
		b.ended(i, c.outcome, c.executor, c.latency)
		equal(b, "retries", b.results[i].Retries, 1)
	}
}

func testSilence(b *bench) {
	for _, c := range []struct {
		fallback core.Fallback
		executor core.NodeID
	}{
		{core.FallbackExecute, 0}, {core.FallbackNext, 2}, {core.FallbackFail, core.NoNode},
	} {
		b.set(Setup{Nodes: 3, Slots: 1,
			Forwarding: core.Forwarding{MaxHops: 1, OnRefusal: core.FallbackFail - c.fallback, OnFailure: c.fallback, AnswerTimeout: 200 * ms},
			Scheduler:  only(Func(func(core.Env, *core.Task) core.Verdict { return core.Forward(1, 2) }))})
		b.Crash(0, 1)
		i := b.submit(20, 0, 50)
		b.play()
		r := b.results[i]
		equal(b, "executor", r.Executor, c.executor)
		if ok := r.Outcome == core.Completed; ok != (c.executor != core.NoNode) || !ok && !r.Outcome.Lost() {
			b.Errorf("outcome %v with fallback %d", r.Outcome, c.fallback)
		}
		if r.Latency > 260*ms+b.Limits().Tolerance {
			b.Errorf("it took %v to give the silent peer up", r.Latency)
		}
	}
}

// thief pulls from node 1 at 60 ms.
type thief struct {
	Func
	count int
	err   error
}

func (s *thief) Start(env core.Env) {
	env.Sleep(60 * ms)
	s.count, s.err = env.Pull(1, 9, 2)
}

func testPull(b *bench) {
	s := &thief{Func: Local}
	b.set(Setup{Nodes: 2, Slots: 1, Room: 9, Forwarding: core.Forwarding{MaxHops: 1}, Scheduler: only(s)})
	b.slots(0, 2)
	runs := b.submit(10, 1, 300)
	next := b.submit(20, 1, 50)
	second := b.submit(30, 1, 50)
	last := b.submit(40, 1, 50)
	b.play()
	equal(b, "error", s.err, nil)
	equal(b, "tasks that came", s.count, 2) // there were four, and two are to stay
	b.ended(runs, core.Completed, 1, 300)
	b.ended(next, core.Completed, 0, 105) // asked at 65, there at 70, executed until 120, back at 125
	b.ended(second, core.Completed, 0, 95)
	b.ended(last, core.Completed, 1, 320)
	equal(b, "hops", b.results[next].Hops, 1)
}

// replicating sends what node 0 gets to nodes 1 and 2, and looks at them later.
type replicating struct {
	probing
	when core.CancelAt
}

func (s *replicating) Schedule(core.Env, *core.Task) core.Verdict {
	return core.Replicate(s.when, 1, 2)
}

func testReplicateCompletion(b *bench) {
	s := &replicating{when: core.CancelOnCompletion}
	s.probing = probing{when: []int{80, 200}, peers: []core.NodeID{1, 2}}
	b.set(Setup{Nodes: 3, Slots: 1, Room: 9, Forwarding: core.Forwarding{MaxHops: 1}, Scheduler: only(s)})
	b.submit(10, 1, 400)
	i := b.submit(50, 0, 100)
	b.play()
	b.ended(i, core.Completed, 2, 110)
	var total []int
	for _, rs := range s.replies {
		for _, r := range rs {
			total = append(total, r.Load.Total())
		}
	}
	if want := []int{2, 1, 1, 0}; !slices.Equal(total, want) {
		b.Errorf("tasks at nodes 1 and 2, with both copies and with none: %v, want %v", total, want)
	}
}

func testReplicateQueued(b *bench) {
	s := &replicating{when: core.CancelOnStart}
	s.probing = probing{when: []int{100}, peers: []core.NodeID{1, 2}}
	b.set(Setup{Nodes: 3, Slots: 1, Room: 9, Forwarding: core.Forwarding{MaxHops: 1}, Scheduler: only(s)})
	b.submit(10, 1, 400)
	i := b.submit(50, 0, 200)
	b.play()
	b.ended(i, core.Completed, 2, 210)
	for _, r := range s.replies[0] {
		equal(b, "tasks at the node, after one copy had started and the waiting one was cancelled", r.Load.Total(), 1)
	}
}

func testReplicateStart(b *bench) {
	s := &replicating{when: core.CancelOnStart}
	s.probing = probing{when: []int{100}, peers: []core.NodeID{1, 2}}
	b.set(Setup{Nodes: 3, Slots: 1, Room: 9, Forwarding: core.Forwarding{MaxHops: 1}, Scheduler: only(s)})
	i := b.submit(50, 0, 200)
	b.play()
	executor := b.results[i].Executor
	if executor != 1 && executor != 2 {
		b.Errorf("executed at node %d, want 1 or 2", executor)
	}
	b.ended(i, core.Completed, executor, 210)
	running := 0
	for _, r := range s.replies[0] {
		running += r.Load.Total()
	}
	equal(b, "copies left after one had started", running, 1)
}

// talking counts what it is told, and answers with one more than it is asked.
type talking struct {
	Func
	heard   core.Note
	sender  core.NodeID
	answers []core.Reply
}

func (s *talking) Receive(v core.View, from core.NodeID, n core.Note) core.Note {
	if n.Kind == 1 {
		s.heard, s.sender = n, from
	}
	n.Int++
	n.Float /= 2
	return n
}

func testNotes(b *bench) {
	nodes := make([]*talking, 3)
	for i := range nodes {
		nodes[i] = &talking{Func: Local}
	}
	nodes[0].Func = func(env core.Env, _ *core.Task) core.Verdict {
		env.Tell(2, core.Note{Kind: 1, Int: -1 << 40, Float: 0.1})
		nodes[0].answers = slices.Clone(env.Ask(core.Note{Kind: 2, Int: 1 << 40, Float: 0.5}, 1, 0))
		return core.Execute()
	}
	b.set(Setup{Nodes: 3, Slots: 1, Scheduler: func(id core.NodeID) core.Scheduler { return nodes[id] }})
	i := b.submit(20, 0, 50)
	b.play()
	b.ended(i, core.Completed, 0, 60)
	b.near("time of asking", b.results[i].Timing.Probing, 10)
	equal(b, "note that was told", nodes[2].heard, core.Note{Kind: 1, Int: -1 << 40, Float: 0.1})
	equal(b, "its sender", nodes[2].sender, 0)
	if len(nodes[0].answers) != 2 {
		b.Fatalf("answers %v, want two", nodes[0].answers)
	}
	for k, p := range []core.NodeID{1, 0} {
		r := nodes[0].answers[k]
		equal(b, "peer", r.Peer, p)
		equal(b, "error", r.Err, nil)
		equal(b, "answer", r.Note, core.Note{Kind: 2, Int: 1<<40 + 1, Float: 0.25})
		equal(b, "slots of the peer", r.Load.Slots, 1)
	}
}

// watching needs 60 ms for each change of the own load.
type watching struct {
	Func
	inside  bool
	overlap bool
	calls   []core.Time
	loads   []int
}

func (s *watching) Changed(env core.Env) {
	s.overlap = s.overlap || s.inside
	s.inside = true
	s.calls = append(s.calls, env.Now())
	s.loads = append(s.loads, env.Load().Total())
	env.Sleep(60 * ms)
	s.inside = false
}

func testWatcher(b *bench) {
	s := &watching{Func: Local}
	b.set(Setup{Nodes: 1, Slots: 4, Room: 9, Scheduler: only(s)})
	for i := range 4 {
		b.submit(100+10*i, 0, 200+200*i)
	}
	b.play()
	if s.overlap {
		b.Errorf("calls overlap")
	}
	// At the beginning; with the first request; with the three that came meanwhile; with the end of each.
	if want := []int{0, 1, 4, 3, 2, 1}; len(s.loads) < len(want) || !slices.Equal(s.loads[:len(want)], want) {
		b.Fatalf("the watcher saw the loads %v, want %v", s.loads, want)
	}
	for i, want := range []int{0, 100, 160, 300, 510, 720} {
		b.near("call of the watcher", time.Duration(s.calls[i]), want)
	}
}

// starting wakes up every 20 ms, five times.
type starting struct {
	Func
	woken []core.Time
}

func (s *starting) Start(env core.Env) {
	for range 5 {
		env.Sleep(20 * ms)
		s.woken = append(s.woken, env.Now())
	}
}

func testStarter(b *bench) {
	s := &starting{Func: Local}
	b.set(Setup{Nodes: 1, Slots: 1, Scheduler: only(s)})
	i := b.submit(50, 0, 150)
	b.play()
	b.ended(i, core.Completed, 0, 150)
	equal(b, "times that it woke up", len(s.woken), 5)
	for k, w := range s.woken {
		if late := w.Sub(at(20 * (k + 1))); late < 0 || late > time.Duration(k+1)*b.Limits().Tolerance {
			b.Errorf("it woke up at %v, want %d ms", w, 20*(k+1))
		}
	}
}
