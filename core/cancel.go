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
	if p == n.id {
		n.cancelCopy(m)
		return
	}
	e.host.Send(m)
}

// cancelCopy drops a copy that this node holds for another one.
func (n *Node) cancelCopy(m *Msg) {
	from, k, item := m.From, m.Token, m.Item
	t := n.copyUnder(from, k, item)
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

// copyUnder finds the copy of a task by what its forwarder knows it by. Cancelled replicas are everyday business and
// have a list of their own; a forward that was not answered in time is not, and costs a walk over the tasks.
func (n *Node) copyUnder(from NodeID, k Token, item int32) *Task {
	if n.x != nil && item != wholeTask {
		for _, t := range n.x.replicas {
			if t.trip.fromToken == k && t.trip.from == from && int32(t.Copy) == item {
				return t
			}
		}
	}
	if item != wholeTask {
		return nil
	}
	var found *Task
	n.cfg.eng.Tasks(func(t *Task) {
		if t.node == n.id && t.state > stateNew && t.foreign() && t.trip.from == from && t.trip.fromToken == k {
			found = t
		}
	})
	return found
}
