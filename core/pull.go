package core

// Pull: waiting tasks change hands because the node that takes them asked.

// handOver gives waiting tasks to the node that asks for them, the next in turn first, and answers with their chain.
func (n *Node) handOver(m *Msg) {
	e := n.cfg.eng
	thief, k, above, most := m.From, m.Token, int(m.Item), int(m.Note.Int)
	var first, last *Task
	for i := 0; i < most && int(n.running)+int(n.queued) > above; i++ {
		t := n.movable(thief)
		if t == nil {
			break
		}
		n.unqueue(t)
		c := n.handedOn(t, thief)
		t.trip.pulled, t.trip.targets = true, t.trip.targets[:0]
		c.flags |= flagDirect
		if last == nil {
			first = c
		} else {
			last.next = c
		}
		last = c
	}
	r := e.message(MsgHandover, n, thief)
	r.Token, r.Task = k, first
	e.host.Send(r)
}

// movable is the waiting task next in turn that may make another hop, to a node that has its function. A replica stays: its
// forwarder knows where it is.
func (n *Node) movable(to NodeID) *Task {
	may := func(t *Task) bool {
		return int(t.Hops) < n.cfg.Forwarding.MaxHops && t.flags&flagReplica == 0 && !n.lacks(to, t)
	}
	if n.cfg.Discipline <= LIFO {
		for t := n.head; t != nil; t = t.next {
			if may(t) {
				return t
			}
		}
		return nil
	}
	var best waiting
	for _, w := range n.x.heap {
		if (best.task == nil || n.cfg.Discipline.before(w, best)) && may(w.task) {
			best = w
		}
	}
	return best.task
}

// takeOver executes the tasks that a Pull brought, and resumes it.
func (n *Node) takeOver(m *Msg) {
	e := n.cfg.eng
	count := 0
	for t := m.Task; t != nil; {
		next := t.next
		t.next = nil
		before := n.running + n.queued
		n.accept(t, m)
		if n.running+n.queued > before {
			count++ // otherwise it was refused: its node takes it back
		}
		t = next
	}
	if a := e.activityOf(m.Token); a != nil && a.wait == waitHandover {
		a.count, a.err = count, nil
		if m.Outcome == LostNodeDown {
			a.err = ErrNoPeer
		}
		e.host.Disarm(n.id, m.Token)
		n.resume(a)
	}
}
