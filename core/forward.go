package core

import (
	"fmt"
	"time"
)

// From the arrival of a task at a node to its end there: the decision, the forward and its fallback, the answer.

// arrive takes a task in hand and has it decided, where there is something to decide.
func (n *Node) arrive(t *Task) {
	c := n.cfg
	e := c.eng
	t.Arrived, t.since, t.node = e.now, e.now, n.id
	switch {
	case n.down:
		n.done(t, LostNodeDown)
	case t.flags&flagDirect != 0 || t.flags&flagSteered == 0 && c.Scheduler == nil && n.scheduler() == nil:
		n.admit(t)
	case t.Hops > 0 && int(t.Hops) >= c.Forwarding.MaxHops:
		n.atLimit(t)
	default:
		t.state = stateDeciding
		e.begin(n, activitySchedule, t)
	}
}

// resume goes on with a suspended activity and accounts the time that it was suspended for.
func (n *Node) resume(a *activity) {
	e := n.cfg.eng
	if a.kind == activitySchedule {
		t := a.task
		d := e.now.Sub(t.since)
		t.since = e.now
		if a.wait == waitReplies || a.wait == waitHandover {
			t.Timing.Probing += d
		} else {
			t.Timing.Scheduling += d
		}
	}
	e.wake(a)
}

// decided carries out a verdict.
func (n *Node) decided(t *Task, v *Verdict) {
	e := n.cfg.eng
	if e.OnVerdict != nil {
		e.OnVerdict(e.now, n.id, t, *v)
	}
	if t.flags&flagCancelled != 0 {
		n.end(t, LostClientGone)
		return
	}
	t.flags |= flagDecided
	switch v.kind {
	case verdictExecute:
		n.admit(t)
	case verdictForward:
		if len(v.peers) > 0 {
			p := e.tripOf(t)
			p.targets = append(p.targets[:0], v.peers...)
		}
		n.forward(t, v.peer)
	case verdictReplicate:
		n.replicate(t, v)
	case verdictReject:
		o := Outcome(v.how)
		if o != NoRoom {
			o = Rejected
		}
		n.end(t, o)
	default:
		n.fault(t, "Schedule returned no verdict: return Execute, Forward, Replicate or Reject")
	}
}

// fault reports a verdict that cannot be carried out; the task is rejected.
func (n *Node) fault(t *Task, format string, args ...any) {
	e := n.cfg.eng
	e.host.Fault(&Fault{Node: n.id, Task: t.ID, Now: e.now, Cause: fmt.Sprintf(format, args...)})
	n.end(t, Rejected)
}

func (n *Node) atLimit(t *Task) {
	if n.cfg.Forwarding.AtLimit == LimitLose {
		n.end(t, LostHopLimit)
		return
	}
	n.admit(t)
}

// forward sends t to peer and keeps it until the answer.
func (n *Node) forward(t *Task, peer NodeID) {
	e := n.cfg.eng
	switch {
	case peer == n.id:
		n.admit(t)
		return
	case n.gone(peer):
		e.tripOf(t)
		n.fallback(t, LostNodeDown)
		return
	case !n.knows(peer):
		n.fault(t, "Forward to node %d, which is no neighbour", peer)
		return
	case int(t.Hops) >= n.cfg.Forwarding.MaxHops:
		n.atLimit(t)
		return
	case n.lacks(peer, t):
		e.tripOf(t).target = peer
		n.fallback(t, NoFunction)
		return
	}
	c := n.handedOn(t, peer)
	m := e.message(MsgForward, n, peer)
	m.Task = c
	e.host.Send(m)
}

// handedOn marks t as being in the hands of peer, and returns the copy that travels.
func (n *Node) handedOn(t *Task, peer NodeID) *Task {
	e := n.cfg.eng
	t.state = stateForwarded
	p := e.tripOf(t)
	p.target, p.pulled = peer, false
	k := e.tokenOf(t)
	if d := n.cfg.Forwarding.AnswerTimeout; d > 0 {
		e.host.Arm(n.id, e.now.Add(d), k)
	}
	c := n.copyOf(t, k)
	p.copy = c.slot
	c.Hops++
	return c
}

// copyOf returns a copy of t for another node, with what that node needs to answer. Its deadline is relative until
// it arrives: the nodes' clocks differ.
func (n *Node) copyOf(t *Task, k Token) *Task {
	e := n.cfg.eng
	c := e.NewTask()
	c.ID, c.Demand, c.Type, c.Priority, c.Hops = t.ID, t.Demand, t.Type, t.Priority, t.Hops
	c.Timing, c.Probes, c.Retries, c.Arrived = t.Timing, t.Probes, t.Retries, t.Arrived
	p := e.tripOf(c)
	p.from, p.fromToken = n.id, k
	p.visited = append(append(p.visited, t.Visited()...), n.id)
	if t.trip != nil {
		p.function = t.trip.function
	}
	if t.Deadline != Never {
		c.Deadline = t.Deadline - e.now
	}
	t.since = e.now
	return c
}

// accept takes a task that another node sent.
func (n *Node) accept(t *Task, m *Msg) {
	t.Timing.Forwarding += m.Transit
	if t.Deadline != Never {
		t.Deadline = n.cfg.eng.now.Add(time.Duration(t.Deadline) - m.Transit)
	}
	if t.flags&flagReplica != 0 {
		x := n.more()
		x.replicas = append(x.replicas, t)
	}
	n.arrive(t)
}

// answered ends the wait for a forwarded or replicated task; c is the copy that comes back.
func (n *Node) answered(k Token, c *Task, o Outcome) {
	e := n.cfg.eng
	t := e.taskOf(k)
	if t == nil || t.node != n.id || t.state != stateForwarded && t.state != stateReplicated {
		e.Free(c) // too late, or twice
		return
	}
	if t.state == stateReplicated {
		n.replicaEnded(t, c, o)
		return
	}
	e.host.Disarm(n.id, k)
	t.gen++
	t.state = stateNew
	n.merge(t, c, o)
	hops := c.Hops
	e.Free(c)
	switch o {
	case NoRoom, Rejected, NoFunction, LostNodeDown: // the last is the host's, where it cannot reach the peer
		n.fallback(t, o)
	default:
		t.Hops = hops
		n.end(t, o)
	}
}

// merge takes over what c says about the time since t was handed on. What its node did not account for was the way
// there and back: Forwarding has the way there as the peer knows it, Returning the rest.
func (n *Node) merge(t, c *Task, o Outcome) {
	elapsed := n.cfg.eng.now.Sub(t.since)
	t.since = n.cfg.eng.now
	t.Probes, t.Retries = c.Probes, c.Retries
	if o != Completed && o != Expired {
		t.Timing.Forwarding += elapsed
		return
	}
	before := t.Timing
	rest := elapsed - (c.Timing.Total() - before.Total())
	t.Timing = c.Timing
	t.Timing.Returning += max(0, rest)
	if rest < 0 { // the clocks of the peers run fast, or the way there was estimated too long
		t.Timing.shorten(-rest, before)
	}
	t.trip.executor, t.Hops, t.Demand = c.Executor(), c.Hops, c.Demand
	t.flags |= c.flags & (flagCold | flagRan)
	t.trip.coldStart = c.ColdStart()
}

// shorten takes d off what t has more than before, the way there first: no part becomes less than it was before, by which
// the node before this one would know that something is wrong.
func (t *Timing) shorten(d time.Duration, before Timing) {
	for _, part := range []struct {
		now    *time.Duration
		before time.Duration
	}{{&t.Forwarding, before.Forwarding}, {&t.Returning, before.Returning}, {&t.Waiting, before.Waiting},
		{&t.Executing, before.Executing}, {&t.Probing, before.Probing}, {&t.Scheduling, before.Scheduling}} {
		off := min(d, max(0, *part.now-part.before))
		*part.now -= off
		d -= off
	}
}

// unanswered gives up waiting for a forwarded or replicated task.
func (n *Node) unanswered(t *Task) {
	e := n.cfg.eng
	n.recall(t)
	t.Timing.Forwarding += e.now.Sub(t.since)
	t.since = e.now
	if t.state == stateReplicated {
		t.trip.targets = t.trip.targets[:0] // who had a copy is no alternative
	}
	t.state = stateNew
	n.fallback(t, LostNoAnswer)
}

// fallback is what a node does when a peer refused its task or did not answer.
func (n *Node) fallback(t *Task, o Outcome) {
	t.Retries++
	f := n.cfg.Forwarding.OnFailure
	if o == NoRoom || o == Rejected || o == NoFunction {
		f = n.cfg.Forwarding.OnRefusal
	}
	switch {
	case t.trip.pulled:
		n.admit(t) // it was waiting here; its place may be taken
	case f == FallbackFail:
		n.end(t, o)
	case f == FallbackNext && len(t.trip.targets) > 0:
		list := t.trip.targets
		p := list[0]
		t.trip.targets = append(list[:0], list[1:]...)
		n.forward(t, p)
	case o != NoFunction && n.lacks(n.id, t):
		n.end(t, o) // it cannot execute here, and who could has refused it
	default:
		n.admit(t)
	}
}

// end is the end of a task at this node: the outcome goes to the client or, with the task, back to the forwarder.
func (n *Node) end(t *Task, o Outcome) {
	if !t.foreign() {
		n.done(t, o)
		return
	}
	if t.flags&flagReplica != 0 {
		n.forgetReplica(t)
	}
	n.observe(t, o)
	t.state = stateNew
	if t.trip.from == n.id {
		n.answered(t.trip.fromToken, t, o)
		return
	}
	e := n.cfg.eng
	m := e.message(MsgAnswer, n, t.trip.from)
	m.Token, m.Outcome, m.Task = t.trip.fromToken, o, t
	e.host.Send(m)
}

// done hands the outcome to the host and gives the task back.
func (n *Node) done(t *Task, o Outcome) {
	n.observe(t, o)
	e := n.cfg.eng
	e.host.Done(n.id, t, o)
	e.Free(t)
}

func (n *Node) observe(t *Task, o Outcome) {
	if n.cfg.faces&faceObserver != 0 && t.flags&flagDecided != 0 && !n.down {
		n.show(t, o)
	}
}

// show calls the algorithm's Observe.
func (n *Node) show(t *Task, o Outcome) {
	returned := false
	defer n.caught(t.ID, &returned)
	n.scheduler().(Observer).Observe(n.view(), t, o)
	returned = true
}
