package core

// Taking back: tasks whose client is gone, forwards that nobody waits for any more, replicas that have lost.

// abandon ends a task of this node's own clients whatever it is doing.
func (n *Node) abandon(t *Task, o Outcome) {
	if n.withdraw(t) {
		n.end(t, o)
		n.drain()
	}
}

// withdraw stops whatever is being done for t. It returns false where a decision must end first.
func (n *Node) withdraw(t *Task) bool {
	e := n.cfg.eng
	switch t.state {
	case stateDeciding:
		t.flags |= flagCancelled
		return false
	case stateWaiting:
		n.unqueue(t)
	case stateRunning:
		e.host.Stop(n.id, t)
		t.Timing.Executing += e.now.Sub(t.since)
		n.running--
		n.count(t.Type, -1, 0)
	case stateForwarded, stateReplicated:
		n.recall(t)
	}
	t.state = stateNew
	return true
}

// recall tells the peers that have t, or its replicas, that it is not wanted any more. Answers still under way are
// dropped.
func (n *Node) recall(t *Task) {
	k := t.Token()
	n.cfg.eng.host.Disarm(n.id, k)
	if t.state == stateReplicated {
		n.cancelOthers(t, k, -1)
	} else {
		n.cancelAt(t.trip.target, k, wholeTask)
	}
	t.gen++
}

// cancelAt tells the node p to drop the copy that it got under k.
func (n *Node) cancelAt(p NodeID, k Token, copy int32) {
	e := n.cfg.eng
	m := e.message(MsgCancel, n, p)
	m.Token, m.Item = k, copy
	if copy == wholeTask {
		m.Note.Int = int64(e.place(k).trip.copy)
	}
	if p == n.id {
		n.cancelCopy(m)
		return
	}
	e.host.Send(m)
}

// cancelCopy drops a copy that this node holds for another one.
func (n *Node) cancelCopy(m *Msg) {
	t := n.copyUnder(m)
	if t == nil {
		return // it has ended, or never came
	}
	if t.flags&flagReplica != 0 {
		n.forgetReplica(t)
	}
	if n.withdraw(t) {
		n.observe(t, LostClientGone)
		n.cfg.eng.Free(t)
		n.drain()
	}
}

// wholeTask is the Item of a MsgCancel that means a forward, not a replica.
const wholeTask = -1

// copyUnder finds the copy of a task by what its forwarder knows it by, which m says. Replicas have a list of their own. A
// forward is where a forwarder of this engine says; where it came from elsewhere, it is looked for among all tasks, few of
// which are other nodes' then.
func (n *Node) copyUnder(m *Msg) *Task {
	e := n.cfg.eng
	if m.Item != wholeTask {
		if n.x == nil {
			return nil
		}
		for _, t := range n.x.replicas {
			if t.trip.fromToken == m.Token && t.trip.from == m.From && int32(t.Copy) == m.Item {
				return t
			}
		}
		return nil
	}
	is := func(t *Task) bool {
		return t.node == n.id && t.state > stateNew && t.foreign() && t.trip.from == m.From && t.trip.fromToken == m.Token
	}
	if e.nodes != nil && e.nodes(m.From) != nil {
		if t := e.at(uint32(m.Note.Int)); t != nil && is(t) {
			return t
		}
		return nil
	}
	var found *Task
	e.Tasks(func(t *Task) {
		if is(t) {
			found = t
		}
	})
	return found
}
