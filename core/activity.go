package core

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// activity is a piece of an algorithm that runs: a decision, a Start, a Changed. It is the Env that the algorithm sees.
// Activities are pooled with their buffers.
type activity struct {
	eng  *Engine
	node *Node
	task *Task // activitySchedule; nil for the others

	kind      activityKind
	state     activityState
	dead      bool // its node crashed, or the engine closes: the call that suspended it panics with errDead
	slot      uint32
	gen       uint32 // of the token of the current wait
	missing   int32  // answers still to come
	afterlife int32  // suspensions while dead
	wait      waitKind
	asking    bool // the answers that it waits for are an Ask's
	since     Time

	replies []Reply
	nb, all neighbours
	action  Action
	err     error
	count   int

	lane *lane     // where its stack waits while it is suspended
	next *activity // that is to run after it
}

type activityKind uint8

const (
	activitySchedule activityKind = iota
	activityStart
	activityChanged
)

type activityState uint8

const (
	activityIdle      activityState = iota
	activityReady                   // runs at the end of the input, or is running
	activitySuspended               // waits for an input
)

type waitKind uint8

const (
	waitSleep waitKind = iota
	waitReplies
	waitHandover
	waitAction
)

// errDead unwinds an activity whose node crashed.
type errDead struct{}

const maxAfterlife = 1000

const calledGoexit = "the algorithm called runtime.Goexit (testing's FailNow and SkipNow do)"

// begin lets an activity run at the end of the input.
func (e *Engine) begin(n *Node, kind activityKind, t *Task) {
	var a *activity
	if k := len(e.idle); k > 0 {
		a = e.idle[k-1]
		e.idle = e.idle[:k-1]
	} else {
		a = &activity{eng: e, slot: uint32(len(e.activities))}
		a.nb.view, a.all.view = a, a
		e.activities = append(e.activities, a)
	}
	a.node, a.kind, a.task, a.dead = n, kind, t, false
	e.wake(a)
}

// wake lets a go on at the end of the input.
func (e *Engine) wake(a *activity) {
	a.state, a.next = activityReady, nil
	if e.ready == nil {
		e.ready = a
	} else {
		e.lastReady.next = a
	}
	e.lastReady = a
}

// serve runs an activity that is no decision.
func (a *activity) serve() {
	switch s := a.node.scheduler(); a.kind {
	case activityStart:
		s.(Starter).Start(a)
	case activityChanged:
		s.(Watcher).Changed(a)
	}
}

// conclude carries out what an activity has decided.
func (e *Engine) conclude(a *activity, v *Verdict) {
	n := a.node
	a.state, e.active = activityIdle, nil
	e.idle = append(e.idle, a)
	switch {
	case a.dead:
		return
	case a.kind == activitySchedule:
		n.decided(a.task, v)
	case a.kind == activityChanged:
		n.x.watching = false
	}
	if n.cfg.faces&faceWatcher != 0 {
		n.watch()
	}
}

// failed ends an activity that panicked with cause; nil: it called runtime.Goexit.
func (e *Engine) failed(a *activity, cause any) {
	if _, ok := cause.(errDead); !ok {
		f := &Fault{Node: a.node.id, Now: e.now, Cause: cause, Stack: debug.Stack()}
		if cause == nil {
			f.Cause = calledGoexit
		}
		if a.kind == activitySchedule && !a.dead {
			f.Task = a.task.ID
		}
		e.host.Fault(f)
	}
	v := Reject(Rejected)
	e.conclude(a, &v)
}

// suspend gives control back to the driver until something resumes the activity.
func (a *activity) suspend(w waitKind) {
	e := a.eng
	a.wait, a.state, a.since = w, activitySuspended, e.now
	a.lane = e.rest()
	e.active = nil
	a.lane.swap()
	e.active = a
	a.mortal()
}

// mortal is called before and after each wait: it unwinds a where it is dead. An algorithm that recovers from that is
// stopped sooner or later.
func (a *activity) mortal() {
	e := a.eng
	if a == &e.passive {
		panic("core: Observe and Receive may not suspend: they were given a View")
	}
	if !a.dead {
		return
	}
	if a.afterlife++; a.afterlife > maxAfterlife {
		e.host.Fault(&Fault{Node: a.node.id, Now: e.now,
			Cause: "the algorithm recovers from the crash of its node and goes on"})
		e.conclude(a, nil)
		e.abandon()
	}
	panic(errDead{})
}

// token names the wait that is about to begin.
func (a *activity) token() Token {
	a.gen++
	return Token(a.slot)<<32 | Token(a.gen)
}

// kill ends a at the end of the input: the call that suspended it does not return.
func (a *activity) kill() {
	a.dead, a.afterlife = true, 0
	if a.state == activitySuspended {
		a.eng.wake(a)
	}
}

// The View.

func (a *activity) Now() Time        { return a.eng.now }
func (a *activity) Rand() *rand.Rand { return a.eng.rand }
func (a *activity) Self() NodeID     { return a.node.id }
func (a *activity) Load() Load       { return a.node.load() }

func (a *activity) LoadOf(t TaskType) (running, queued int) { return a.node.loadOf(t) }

func (a *activity) Types() int { return max(1, a.node.cfg.Types) }

func (a *activity) MeanService(t TaskType) time.Duration {
	if m := a.node.cfg.MeanService; int(t) < len(m) {
		return m[t]
	}
	return 0
}

func (a *activity) Neighbours() Neighbours {
	if a.node.cfg.placed && a.task != nil {
		a.nb.having(a.task)
	} else {
		a.nb.everybody()
	}
	return &a.nb
}

func (a *activity) AllNeighbours() Neighbours {
	a.all.everybody()
	return &a.all
}

func (a *activity) Cloud() (NodeID, bool) {
	c := a.eng.topo.Cloud
	return c, c != NoNode && c != a.node.id
}

func (a *activity) Heard(p NodeID) (Load, Time, bool) { return a.node.heard(p) }

func (a *activity) Tell(p NodeID, note Note) {
	switch n := a.node; {
	case n.down || n.gone(p):
		return
	case !n.knows(p):
		panic(fmt.Errorf("Tell: %w: %d of %d", ErrNotPeer, p, n.id))
	}
	m := a.eng.message(MsgTell, a.node, p)
	m.Note = note
	a.eng.host.Send(m)
}

// The rest of the Env.

func (a *activity) Probe(peers ...NodeID) []Reply { return a.question(MsgProbe, Note{}, peers) }

func (a *activity) Ask(note Note, peers ...NodeID) []Reply { return a.question(MsgAsk, note, peers) }

// question sends one message per peer and waits for all the answers.
func (a *activity) question(kind MsgKind, note Note, peers []NodeID) []Reply {
	a.mortal()
	e, n := a.eng, a.node
	if cap(a.replies) < len(peers) {
		a.replies = make([]Reply, len(peers))
	}
	rs := a.replies[:len(peers)]
	a.replies = rs
	if len(peers) == 0 {
		return rs
	}
	k := a.token()
	a.missing, a.asking = 0, kind == MsgAsk
	for i, p := range peers {
		rs[i] = Reply{Peer: p, Err: ErrNoAnswer}
		if p == n.id {
			rs[i].Err = nil
			rs[i].Load = n.load()
			if kind == MsgAsk {
				rs[i].Note = n.receive(n.id, note)
			}
			continue
		}
		if !n.knows(p) {
			rs[i].Err = fmt.Errorf("%w: %d of %d", ErrNotPeer, p, n.id)
			continue
		}
		m := e.message(kind, n, p)
		m.Token, m.Item = k, int32(i)
		if kind == MsgAsk {
			m.Note = note
		}
		a.missing++
		e.host.Send(m)
	}
	if a.missing == 0 {
		return rs
	}
	a.charge(int(a.missing))
	if d := n.cfg.Forwarding.ProbeTimeout; d > 0 {
		e.host.Arm(n.id, e.now.Add(d), k)
	}
	a.suspend(waitReplies)
	return rs
}

// charge counts messages that were sent on behalf of the task.
func (a *activity) charge(probes int) {
	if a.kind == activitySchedule {
		a.task.Probes += uint16(min(probes, 1<<16-1-int(a.task.Probes)))
	}
}

// replied takes the answer to question m.Item. It reports whether it was the last one.
func (a *activity) replied(m *Msg) bool {
	if a.wait != waitReplies || m.Item < 0 || int(m.Item) >= len(a.replies) {
		return false
	}
	r := &a.replies[m.Item]
	if r.Err != ErrNoAnswer || r.Peer != m.From {
		return false // a duplicate
	}
	if m.Outcome == LostNodeDown {
		r.Err = ErrNoPeer
	} else {
		r.Load, r.Err = m.Load, nil
		if a.asking {
			r.Note = m.Note
		}
	}
	r.RTT = a.eng.now.Sub(a.since)
	a.missing--
	return a.missing == 0
}

func (a *activity) Pull(p NodeID, most, above int) (int, error) {
	a.mortal()
	e, n := a.eng, a.node
	if p == n.id || most <= 0 {
		return 0, nil
	}
	if !n.knows(p) {
		return 0, fmt.Errorf("%w: %d of %d", ErrNotPeer, p, n.id)
	}
	m := e.message(MsgPull, n, p)
	k := a.token()
	m.Token, m.Item, m.Note.Int = k, int32(max(math.MinInt32, min(above, math.MaxInt32))), int64(most)
	a.count, a.err = 0, ErrNoAnswer
	e.host.Send(m)
	a.charge(1)
	if d := n.cfg.Forwarding.ProbeTimeout; d > 0 {
		e.host.Arm(n.id, e.now.Add(d), k)
	}
	a.suspend(waitHandover)
	return a.count, a.err
}

func (a *activity) Sleep(d time.Duration) {
	a.mortal()
	a.eng.host.Arm(a.node.id, a.eng.now.Add(max(0, d)), a.token())
	a.suspend(waitSleep)
}

func (a *activity) Act(state []float64) (Action, error) {
	a.mortal()
	deciding := a.kind == activitySchedule
	if deciding {
		a.eng.lessonOf(a.task).keep(state)
	}
	act, now, err := a.eng.host.Act(a.node.id, a.token(), state)
	if !now && err == nil {
		a.suspend(waitAction)
		act, err = a.action, a.err
	}
	if deciding && err == nil {
		a.node.learned(a.task, act)
	}
	return act, err
}
