package core

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
)

// Node is one node of the cluster: a state machine without I/O. It starts no goroutine, takes no lock, reads no
// clock, and draws only from the stream it was given. Its host drives it one input at a time; each input says what
// time it is. A Node is 64 bytes, so that a million of them lie in one slice.
type Node struct {
	cfg        *Config
	x          *extra // what few nodes need; nil otherwise
	rng        rand.PCG
	head, tail *Task // waiting room of FIFO and LIFO
	running    int32
	queued     int32
	id         NodeID
	down       bool
}

// extra is what a node has beyond the minimum.
type extra struct {
	own      Scheduler   // its own value of the algorithm; nil: the group's
	peers    []NodeID    // its own list of neighbours; nil: the topology's
	known    []Inventory // what nodes have, where that is not as the topology says; ascending by node
	heap     []waiting   // waiting room of the ordered disciplines
	counts   []int32     // per task type: running, queued
	replicas []*Task     // copies held for other nodes' Replicate
	memory   memory
	lessons  uint64 // decisions that the learner has answered in this life of the node
	watching bool   // a Changed is under way
	dirty    bool   // the load has changed since
}

// Init makes *n a node of the engine. The node's own stream starts at rng; own is its value of the algorithm, or nil
// where the group's is shared.
func (e *Engine) Init(n *Node, id NodeID, cfg *Config, rng rand.PCG, own Scheduler) {
	if cfg.eng != nil && cfg.eng != e {
		panic("core: a Config belongs to one engine")
	}
	s := own
	if s == nil {
		s = cfg.Scheduler
	}
	faces := facesOf(s)
	if cfg.eng != nil && cfg.faces != faces {
		panic("core: nodes that share a Config run one algorithm")
	}
	cfg.eng, cfg.faces, cfg.placed = e, faces, e.topo.Holders != nil
	*n = Node{cfg: cfg, id: id, rng: rng}
	if own != nil || cfg.Types > 1 || cfg.Discipline > LIFO || cfg.faces&(faceWatcher|faceRememberer) != 0 {
		n.more()
	}
	n.adopt(own)
}

// adopt makes s the node's own value of the algorithm; nil: it stays what it is.
func (n *Node) adopt(s Scheduler) {
	if s != nil {
		n.more().own = s
		if f := facesOf(s); f != n.cfg.faces {
			own := *n.cfg
			own.faces = f
			n.cfg = &own
		}
	}
	if r, ok := n.scheduler().(Rememberer); ok {
		n.x.memory.limit = r.Remember()
	}
}

func (n *Node) more() *extra {
	if n.x == nil {
		n.x = &extra{}
		if n.cfg.Types > 1 {
			n.x.counts = make([]int32, 2*n.cfg.Types)
		}
	}
	return n.x
}

// Attach tells the engine where its nodes are: at returns nil for a node that lives elsewhere.
func (e *Engine) Attach(at func(NodeID) *Node) { e.nodes = at }

func (n *Node) scheduler() Scheduler {
	if n.x != nil && n.x.own != nil {
		return n.x.own
	}
	return n.cfg.Scheduler
}

// deciderOf is the algorithm that decides about t.
func (n *Node) deciderOf(t *Task) Scheduler {
	if t.flags&flagSteered != 0 {
		return n.cfg.Alternatives[t.trip.by-1]
	}
	return n.scheduler()
}

// ID returns the node's number.
func (n *Node) ID() NodeID { return n.id }

// Load returns the node's load as counted now.
func (n *Node) Load() Load { return n.load() }

func (n *Node) load() Load {
	c := n.cfg
	return Load{Running: n.running, Queued: n.queued, Capacity: Capacity{Slots: c.Slots, Room: c.Room, Speed: c.Speed}}
}

func (n *Node) loadOf(t TaskType) (running, queued int) {
	if n.x == nil || n.x.counts == nil {
		if t == 0 {
			return int(n.running), int(n.queued)
		}
		return 0, 0
	}
	if int(t) >= n.cfg.Types {
		return 0, 0
	}
	return int(n.x.counts[2*t]), int(n.x.counts[2*t+1])
}

// The inputs.

// Boot starts the algorithm's Start. It is the first input of a node.
func (n *Node) Boot(now Time) {
	e := n.enter(now)
	if n.cfg.faces&faceStarter != 0 {
		e.begin(n, activityStart, nil)
	}
	if n.cfg.faces&faceWatcher != 0 {
		n.x.dirty = true
	}
	n.leave()
}

// Submit brings a task of the node's own clients. The caller has filled in ID, Type, Demand, Priority and Deadline.
func (n *Node) Submit(now Time, t *Task) {
	n.enter(now)
	n.arrive(t)
	n.leave()
}

// Deliver brings a message of another node. The task that it carries now belongs to this node.
func (n *Node) Deliver(now Time, m *Msg) {
	e := n.enter(now)
	if n.down {
		e.FreeChain(m.Task)
		return
	}
	if n.cfg.faces&faceRememberer != 0 && m.Load.Slots >= 0 {
		n.x.memory.put(memo{peer: m.From, at: now, load: m.Load})
	}
	switch m.Kind {
	case MsgProbe:
		r := e.message(MsgReply, n, m.From)
		r.Token, r.Item = m.Token, m.Item
		e.host.Send(r)
		return
	case MsgReply:
		if a := e.activityOf(m.Token); a != nil && a.replied(m) {
			e.host.Disarm(n.id, m.Token)
			n.resume(a)
		}
	case MsgAsk:
		from, k, item := m.From, m.Token, m.Item
		note := n.receive(from, m.Note)
		r := e.message(MsgReply, n, from)
		r.Token, r.Item, r.Note = k, item, note
		e.host.Send(r)
	case MsgTell:
		n.receive(m.From, m.Note)
	case MsgPull:
		n.handOver(m)
	case MsgHandover:
		n.takeOver(m)
	case MsgForward:
		n.accept(m.Task, m)
	case MsgAnswer:
		n.answered(m.Token, m.Task, m.Outcome)
	case MsgStarted:
		n.replicaStarted(m)
	case MsgCancel:
		n.cancelCopy(m)
	}
	n.leave()
}

// Fire says that the instant of an Arm has come.
func (n *Node) Fire(now Time, k Token) {
	e := n.enter(now)
	if a := e.activityOf(k); a != nil {
		n.resume(a)
	} else if t := e.taskOf(k); t != nil {
		switch t.state {
		case stateWaiting:
			n.unqueue(t)
			n.end(t, Expired)
		case stateForwarded, stateReplicated:
			n.unanswered(t)
		}
	}
	n.leave()
}

// Finish says that the execution of t has ended.
func (n *Node) Finish(now Time, t *Task) {
	n.enter(now)
	t.Timing.Executing += now.Sub(t.since)
	t.since = now
	n.running--
	n.count(t.Type, -1, 0)
	n.end(t, Completed)
	n.drain()
	n.leave()
}

// Answer brings the learner's answer to an Act.
func (n *Node) Answer(now Time, k Token, act Action, err error) {
	e := n.enter(now)
	if a := e.activityOf(k); a != nil && a.wait == waitAction {
		a.action, a.err = act, err
		n.resume(a)
	}
	n.leave()
}

// Cancel ends the task with this ID that entered here: the client is gone. It looks for it among all tasks of the engine.
func (n *Node) Cancel(now Time, id TaskID) {
	e := n.enter(now)
	var found *Task
	e.Tasks(func(t *Task) {
		if n.tookIn(t, id) {
			found = t
		}
	})
	if found != nil {
		n.abandon(found, LostClientGone)
	}
	n.leave()
}

// CancelSlot is Cancel for a host that knows the Slot of the task: it looks nowhere else.
func (n *Node) CancelSlot(now Time, id TaskID, slot int) {
	e := n.enter(now)
	if t := e.at(uint32(slot)); t != nil && n.tookIn(t, id) {
		n.abandon(t, LostClientGone)
	}
	n.leave()
}

// tookIn reports whether t is the task with this ID that entered here.
func (n *Node) tookIn(t *Task, id TaskID) bool {
	return t.ID == id && t.node == n.id && !t.foreign() && t.flags&flagReplica == 0 && t.state > stateNew
}

// Configure changes the node while it works; the change takes effect at once. Tasks that run or wait stay, also
// where they are now more than the bound.
func (n *Node) Configure(now Time, c Change) {
	n.enter(now)
	if c.Scheduler != nil {
		n.kill(activityStart)
		n.adopt(c.Scheduler)
		n.x.watching = false
		n.changed()
	}
	if c.Slots != nil || c.Room != nil {
		own := *n.cfg
		n.cfg = &own
		if c.Slots != nil {
			own.Slots = *c.Slots
		}
		if c.Room != nil {
			own.Room = *c.Room
		}
		n.drain()
		n.changed()
	}
	if c.Forwarding != nil {
		own := *n.cfg
		own.Forwarding = *c.Forwarding
		n.cfg = &own
	}
	if c.Peers != nil {
		n.more().peers = append(make([]NodeID, 0, len(*c.Peers)), *c.Peers...)
	}
	if c.Functions != nil {
		n.takeStock(c.Functions)
	}
	if c.Scheduler != nil && n.cfg.faces&faceStarter != 0 && !n.down {
		n.cfg.eng.begin(n, activityStart, nil)
	}
	n.leave()
}

// Crash takes the node down: everything that it held is lost, and its decisions end where they are suspended. Tasks
// that entered here are Done as LostNodeDown; those of other nodes go unanswered.
func (n *Node) Crash(now Time) {
	e := n.enter(now)
	if n.down {
		return
	}
	n.down = true
	n.kill(activitySchedule)
	e.Tasks(func(t *Task) {
		if t.node != n.id || t.state <= stateNew {
			return
		}
		if t.state == stateRunning {
			e.host.Stop(n.id, t)
		}
		t.gen++ // timers and answers that are under way belong to nobody
		if t.foreign() || t.flags&flagReplica != 0 {
			e.Free(t)
			return
		}
		t.state = stateNew
		n.done(t, LostNodeDown)
	})
	n.running, n.queued, n.head, n.tail = 0, 0, nil, nil
	if x := n.x; x != nil {
		x.heap, x.replicas, x.watching, x.dirty, x.lessons = x.heap[:0], x.replicas[:0], false, false, 0
		x.memory.forget()
		for i := range x.counts {
			x.counts[i] = 0
		}
	}
	e.settle()
}

// kill ends the node's activities of this kind and of those after it.
func (n *Node) kill(from activityKind) {
	e := n.cfg.eng
	for _, a := range e.activities {
		if a.node == n && (a.state == activitySuspended || a.state == activityReady) && a.kind >= from {
			a.kill()
		}
	}
}

// Restart brings a crashed node back, empty, with a new value of the algorithm (nil: the one that it had, with all that
// it kept). A node that is up is left alone.
func (n *Node) Restart(now Time, own Scheduler) {
	n.enter(now)
	if !n.down {
		return
	}
	n.down = false
	n.adopt(own)
	n.Boot(now)
}

func (n *Node) enter(now Time) *Engine {
	e := n.cfg.eng
	if now < e.now {
		panic(fmt.Sprintf("core: time goes back from %v to %v", e.now, now))
	}
	e.now = now
	e.source.pcg = &n.rng
	return e
}

// leave ends an input.
func (n *Node) leave() {
	if n.cfg.faces&faceWatcher != 0 {
		n.watch()
	}
	n.cfg.eng.settle()
}

// watch tells the Watcher that the load has changed.
func (n *Node) watch() {
	if !n.x.dirty || n.x.watching || n.down {
		return
	}
	n.x.dirty, n.x.watching = false, true
	n.cfg.eng.begin(n, activityChanged, nil)
}

// changed notes that the load is another one.
func (n *Node) changed() {
	if n.cfg.faces&faceWatcher != 0 {
		n.x.dirty = true
	}
}

func (n *Node) count(t TaskType, running, queued int32) {
	if n.x != nil && n.x.counts != nil && int(t) < n.cfg.Types {
		n.x.counts[2*t] += running
		n.x.counts[2*t+1] += queued
	}
	n.changed()
}

// receive calls the algorithm's Receive.
func (n *Node) receive(from NodeID, note Note) (answer Note) {
	if n.cfg.faces&faceReceiver == 0 {
		return Note{}
	}
	returned := false
	defer n.caught(0, &returned)
	answer = n.scheduler().(Receiver).Receive(n.view(), from, note)
	returned = true
	return answer
}

// caught makes a Fault of a panic or of runtime.Goexit. It is deferred around what an algorithm does on the driver's own
// stack.
func (n *Node) caught(t TaskID, returned *bool) {
	if *returned {
		return
	}
	e := n.cfg.eng
	f := &Fault{Node: n.id, Task: t, Now: e.now, Cause: recover(), Stack: debug.Stack()}
	if f.Cause == nil {
		f.Cause = calledGoexit
	}
	e.host.Fault(f)
}

// view is the face that code which may not suspend sees of this node.
func (n *Node) view() *activity {
	v := &n.cfg.eng.passive
	v.node = n
	return v
}
