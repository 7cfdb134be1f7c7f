package core

// Redundancy: copies of one task at several nodes, of which the first to start or to complete cancels the others.

// replicate sends the copies out. Each executes where it arrives, without another decision.
func (n *Node) replicate(t *Task, v *Verdict) {
	e := n.cfg.eng
	if len(v.peers) == 0 || len(v.peers) > 255 {
		n.fault(t, "Replicate to %d nodes: between 1 and 255 are possible", len(v.peers))
		return
	}
	r := e.tripOf(t)
	r.targets = r.targets[:0]
	why := LostNodeDown
	for _, p := range v.peers {
		switch {
		case n.lacks(p, t):
			why = NoFunction
		case p == n.id || n.knows(p):
			r.targets = append(r.targets, p)
		case !n.gone(p):
			n.fault(t, "Replicate to node %d, which is no neighbour", p)
			return
		}
	}
	if int(t.Hops) >= n.cfg.Forwarding.MaxHops {
		n.atLimit(t)
		return
	}
	if len(r.targets) == 0 {
		n.fallback(t, why)
		return
	}
	t.state = stateReplicated
	r.winner, r.pending, r.outcome = -1, int16(len(r.targets)), InFlight
	k := e.tokenOf(t)
	if d := n.cfg.Forwarding.AnswerTimeout; d > 0 {
		e.host.Arm(n.id, e.now.Add(d), k)
	}
	flags := flagReplica | flagDirect
	if CancelAt(v.how) == CancelOnStart {
		flags |= flagNotifyStart
	}
	for i, p := range r.targets {
		if p == n.id {
			continue
		}
		c := n.replica(t, k, i, flags)
		c.Hops++
		m := e.message(MsgForward, n, p)
		m.Task = c
		e.host.Send(m)
	}
	// The own copies come last: one that starts at once may end the whole.
	for i := 0; i < len(r.targets) && e.taskOf(k) == t; i++ {
		if r.targets[i] != n.id || r.winner >= 0 {
			continue
		}
		c := n.replica(t, k, i, flags)
		if c.Deadline != Never {
			c.Deadline += e.now
		}
		n.more().replicas = append(n.more().replicas, c)
		n.arrive(c)
	}
}

func (n *Node) replica(t *Task, k Token, i int, flags taskFlags) *Task {
	c := n.copyOf(t, k)
	c.Copy = uint8(i)
	c.flags |= flags
	if draw := n.cfg.CopyDemand; draw != nil && i > 0 {
		c.Demand = draw(t, i)
	}
	return c
}

// replicaStarted takes note that copy i of the task under k began to execute: the first one wins.
func (n *Node) replicaStarted(m *Msg) {
	t := n.cfg.eng.taskOf(m.Token)
	k, i := m.Token, m.Item
	if t == nil || t.node != n.id || t.state != stateReplicated || i < 0 || int(i) >= len(t.trip.targets) ||
		t.trip.targets[i] != m.From {
		return
	}
	switch {
	case t.trip.winner < 0:
		t.trip.winner = i
		n.cancelOthers(t, k, i)
	case t.trip.winner != i:
		n.cancelAt(m.From, k, i)
	}
}

// notifyStart tells the forwarder that replica t began to execute.
func (n *Node) notifyStart(t *Task) {
	e := n.cfg.eng
	m := e.message(MsgStarted, n, t.trip.from)
	m.Token, m.Item = t.trip.fromToken, int32(t.Copy)
	if t.trip.from == n.id {
		n.replicaStarted(m)
		return
	}
	e.host.Send(m)
}

// replicaEnded takes the outcome of one copy. The first that completes ends the task, and so does one whose client has gone,
// since it is that of all. Where none does, the task has expired if one of them has; otherwise it ended as the last one did.
func (n *Node) replicaEnded(t, c *Task, o Outcome) {
	e := n.cfg.eng
	k, i := c.trip.fromToken, int32(c.Copy)
	r := t.trip
	r.pending--
	if r.outcome != Expired {
		r.outcome = o
	}
	final := o == Completed || o == LostClientGone
	if !final && r.pending > 0 && r.winner != i {
		e.Free(c)
		return
	}
	e.host.Disarm(n.id, k)
	if final && r.winner != i {
		r.winner = i
		n.cancelOthers(t, k, i)
	}
	t.gen++
	t.state = stateNew
	n.merge(t, c, o)
	e.Free(c)
	switch {
	case o == Completed:
		n.end(t, o)
	case r.outcome == Expired:
		n.end(t, Expired)
	case o == LostClientGone:
		n.end(t, o)
	default:
		r.targets = r.targets[:0]
		n.fallback(t, o)
	}
}

// cancelOthers drops every copy but number keep.
func (n *Node) cancelOthers(t *Task, k Token, keep int32) {
	for i, p := range t.trip.targets {
		if int32(i) != keep {
			n.cancelAt(p, k, int32(i))
		}
	}
}

func (n *Node) forgetReplica(t *Task) {
	for i, u := range n.x.replicas {
		if u == t {
			last := len(n.x.replicas) - 1
			n.x.replicas[i] = n.x.replicas[last]
			n.x.replicas[last] = nil
			n.x.replicas = n.x.replicas[:last]
			return
		}
	}
}
