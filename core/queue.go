package core

// The waiting room. FIFO and LIFO are a linked list through the tasks themselves; the ordered disciplines are a
// binary heap. Ties are served in order of entry.

// admit lets a task execute here: in a slot, in the waiting room, or not at all. At most K + Q tasks are in hand.
func (n *Node) admit(t *Task) {
	switch c := n.cfg; {
	case n.lacks(n.id, t):
		n.misplaced(t)
	case n.running < c.Slots:
		n.start(t)
	case n.queued < c.Room:
		n.enqueue(t)
	default:
		n.end(t, NoRoom)
	}
}

// start begins the execution of t.
func (n *Node) start(t *Task) {
	e := n.cfg.eng
	t.Timing.Waiting += e.now.Sub(t.since)
	t.since = e.now
	t.state = stateRunning
	t.flags |= flagRan
	t.gen++ // the token of this execution
	n.running++
	n.count(t.Type, 1, 0)
	e.host.Start(n.id, t)
	if t.flags&flagNotifyStart != 0 {
		n.notifyStart(t)
	}
}

// enqueue puts t into the waiting room.
func (n *Node) enqueue(t *Task) {
	e := n.cfg.eng
	t.state = stateWaiting
	n.queued++
	n.count(t.Type, 0, 1)
	switch n.cfg.Discipline {
	case FIFO:
		t.next = nil
		if n.tail == nil {
			n.head = t
		} else {
			n.tail.next = t
		}
		n.tail = t
	case LIFO:
		t.next = n.head
		n.head = t
		if n.tail == nil {
			n.tail = t
		}
	default:
		e.seq++
		n.heapPush(waiting{t, e.seq})
	}
	if n.cfg.Abandon && t.Deadline != Never {
		e.host.Arm(n.id, max(t.Deadline, e.now), e.tokenOf(t))
	}
}

// dequeue takes the task out that is next in turn.
func (n *Node) dequeue() *Task {
	var t *Task
	if n.cfg.Discipline <= LIFO {
		t = n.head
		n.head = t.next
		if n.head == nil {
			n.tail = nil
		}
		t.next = nil
	} else {
		t = n.x.heap[0].task
		n.heapRemove(0)
	}
	n.left(t)
	return t
}

// unqueue takes t out of the waiting room wherever it stands.
func (n *Node) unqueue(t *Task) {
	if n.cfg.Discipline > LIFO {
		for i, u := range n.x.heap {
			if u.task == t {
				n.heapRemove(i)
				break
			}
		}
	} else {
		var before *Task
		u := n.head
		for u != t {
			before, u = u, u.next
		}
		if before == nil {
			n.head = t.next
		} else {
			before.next = t.next
		}
		if n.tail == t {
			n.tail = before
		}
		t.next = nil
	}
	n.left(t)
	t.Timing.Waiting += n.cfg.eng.now.Sub(t.since)
	t.since = n.cfg.eng.now
}

func (n *Node) left(t *Task) {
	n.queued--
	n.count(t.Type, 0, -1)
	if n.cfg.Abandon && t.Deadline != Never {
		n.cfg.eng.host.Disarm(n.id, t.Token())
		t.gen++
	}
	t.state = stateNew
}

// drain starts waiting tasks while there are free slots.
func (n *Node) drain() {
	for n.queued > 0 && n.running < n.cfg.Slots {
		n.start(n.dequeue())
	}
}

// waiting is a task in an ordered waiting room, and when it came in.
type waiting struct {
	task *Task
	seq  uint64
}

// before is the total order of the ordered disciplines.
func (d Discipline) before(x, y waiting) bool {
	a, b := x.task, y.task
	switch d {
	case ByPriority:
		if a.Priority != b.Priority {
			return a.Priority < b.Priority
		}
	case EarliestDeadline:
		if a.Deadline != b.Deadline {
			return a.Deadline < b.Deadline
		}
	case ShortestJob:
		if a.Demand != b.Demand {
			return a.Demand < b.Demand
		}
	}
	return x.seq < y.seq
}

func (n *Node) heapPush(t waiting) {
	n.x.heap = append(n.x.heap, t)
	n.siftUp(len(n.x.heap) - 1)
}

func (n *Node) heapRemove(i int) {
	h := n.x.heap
	last := len(h) - 1
	h[i] = h[last]
	h[last] = waiting{}
	n.x.heap = h[:last]
	if i < last {
		n.siftDown(i)
		n.siftUp(i)
	}
}

func (n *Node) siftUp(i int) {
	h, d := n.x.heap, n.cfg.Discipline
	for i > 0 {
		p := (i - 1) / 2
		if !d.before(h[i], h[p]) {
			return
		}
		h[i], h[p] = h[p], h[i]
		i = p
	}
}

func (n *Node) siftDown(i int) {
	h, d := n.x.heap, n.cfg.Discipline
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && d.before(h[c+1], h[c]) {
			c++
		}
		if !d.before(h[c], h[i]) {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}
