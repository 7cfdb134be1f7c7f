package realnet

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// Tasks between nodes of this project: the client's own request, with its method, query, headers and body as they are,
// to /peer/task/{function}; what the scheduler must know stands in framework headers (docs/wire/peers.md). The answer is
// the function's, with what became of the task in a header again.

// peerTask is a task that travels.
type peerTask struct {
	Token    core.Token    `json:"token"` // what the sender knows it by
	ID       core.TaskID   `json:"id"`
	Type     core.TaskType `json:"type,omitempty"`
	Priority int16         `json:"priority,omitempty"`
	Demand   time.Duration `json:"demand_ns,omitempty"`
	Deadline *core.Time    `json:"deadline_ns,omitempty"` // what was left of it when it was sent; nil: there is none
	Hops     uint8         `json:"hops"`
	Copy     uint8         `json:"copy,omitempty"`
	Flags    uint8         `json:"flags,omitempty"` // core.Travelling
	Probes   uint16        `json:"probes,omitempty"`
	Retries  uint16        `json:"retries,omitempty"`
	Timing   core.Timing   `json:"timing_ns"`
	Visited  []string      `json:"visited"`           // addresses of the nodes that held it, its entry node first
	Held     time.Duration `json:"held_ns,omitempty"` // by the emulated link
	Load     *peerLoad     `json:"load,omitempty"`    // of the sender
	Handover *handoverMark `json:"handover,omitempty"`
}

// handoverMark says that the receiver asked for the task, and how many come with it.
type handoverMark struct {
	Token core.Token `json:"token"` // of the receiver's Pull
	Index int        `json:"index"`
	Count int        `json:"count"`
}

// peerAnswer is what became of it. Where Outcome is not completed, or the function did not answer, the body is a Failure.
type peerAnswer struct {
	Outcome  core.Outcome  `json:"outcome"`
	Answered bool          `json:"answered"`           // the body is the function's
	Executor string        `json:"executor,omitempty"` // address
	Demand   time.Duration `json:"demand_ns,omitempty"`
	Cold     time.Duration `json:"cold_start_ns,omitempty"` // that the execution began with
	Hops     uint8         `json:"hops"`
	Flags    uint8         `json:"flags,omitempty"`
	Probes   uint16        `json:"probes,omitempty"`
	Retries  uint16        `json:"retries,omitempty"`
	Timing   core.Timing   `json:"timing_ns"`
	Load     *peerLoad     `json:"load,omitempty"` // of the node that answers
	Path     []wire.Hop    `json:"path"`           // the executing node first
}

// peerLoad is a core.Load.
type peerLoad struct {
	Running int32   `json:"running"`
	Queued  int32   `json:"queued"`
	Slots   int32   `json:"slots"`
	Room    int32   `json:"room"`
	Speed   float32 `json:"speed"`
}

func newPeerLoad(l core.Load) *peerLoad {
	if l.Slots < 0 {
		return nil
	}
	return &peerLoad{l.Running, l.Queued, l.Slots, l.Room, l.Speed}
}

// load is the load that a peer told; nonsense is none.
func (l *peerLoad) load() core.Load {
	if l == nil || min(l.Running, l.Queued, l.Slots, l.Room) < 0 || !validSpeed(l.Speed) {
		return unknown
	}
	return core.Load{Running: l.Running, Queued: l.Queued, Capacity: core.Capacity{Slots: l.Slots, Room: l.Room, Speed: l.Speed}}
}

// A task that comes.

// peerTask serves a node of this project that sends a task.
func (n *Node) peerTask(c *gin.Context) {
	p := n.peers
	refuse := func(status int, f *wire.Failure) { c.Data(status, wire.ContentTypeJSON, f.Body()) }
	from := p.announced(c.Request)
	if from == core.NoNode {
		refuse(http.StatusForbidden, wire.NewV1Failure(wire.CodeGeneric, "%s does not say a peer's address that is its own", wire.HeaderPeer))
		return
	}
	head, task, err := p.parseTask(c.GetHeader(wire.HeaderPeerTask), from)
	if err != nil {
		refuse(http.StatusBadRequest, wire.NewV1Failure(wire.CodeInput, "%s: %v", wire.HeaderPeerTask, err))
		return
	}
	r := &request{key: taskKey{from: from, token: task.Trip.Token, copy: task.Copy}, theirs: head.Token, number: uint64(task.ID),
		tracing: c.GetHeader(wire.HeaderTracing), label: n.label(), base: task.Timing}
	n.name(r)
	n.spans.arrived(r, c.Request.Header, "task of a peer")
	agent := c.Request.Header[wire.HeaderPeerAgent]
	c.Request.Header.Del("User-Agent")
	if f := n.begin(c, r, c.Request.Body, c.Request.ContentLength); f != nil {
		n.spans.refused(r, f)
		p.hold(c.Request.Context(), from)
		o := core.NoRoom
		if n.isClosing() { // the peer goes on as when this node has gone
			o = core.LostNodeDown
		}
		n.metrics.received.WithLabelValues(o.String()).Inc()
		n.answerTask(c, peerAnswer{Outcome: o, Hops: task.Hops, Probes: task.Probes, Retries: task.Retries, Timing: task.Timing,
			Path: []wire.Hop{n.own(r)}}, f.Status(), f.Body(), nil)
		return
	}
	if len(agent) > 0 {
		r.call.header["User-Agent"] = agent
	}
	task.Function = r.function
	m := core.Parcel{Kind: core.MsgForward, From: from, To: p.self, Load: head.Load.load(), Tasks: []core.TaskValue{*task},
		Transit: head.Held + p.transit(from)}
	if head.Handover != nil {
		p.handedOver(m, head.Handover)
	} else {
		p.deliver(m)
	}
	n.awaitTask(c, r, task)
	defer n.weigh(r)()
	a := peerAnswer{Outcome: r.outcome, Hops: task.Hops, Probes: task.Probes, Retries: task.Retries, Timing: task.Timing,
		Answered: r.outcome == core.Completed && r.answer != nil}
	if t := r.task; t != nil {
		a.Load = newPeerLoad(r.load)
		a.Demand, a.Hops, a.Flags, a.Probes, a.Retries, a.Timing = t.Demand, t.Hops, t.Flags&core.Travelling, t.Probes, t.Retries, t.Timing
		a.Cold = t.Trip.ColdStart
		if t.Trip.Executor != core.NoNode {
			a.Executor = n.addressOf(t.Trip.Executor)
		}
	}
	a.Path = append(r.path[:len(r.path):len(r.path)], n.own(r))
	said := r.said()
	if said == nil {
		said = refusal(n.failureOf(r))
	}
	n.answerTask(c, a, said.status, said.body, said.header)
}

// awaitTask waits until the task of a peer has ended, and lets go of its request. Where the peer gives it up, it ends here, too.
func (n *Node) awaitTask(c *gin.Context, r *request, task *core.TaskValue) {
	select {
	case <-r.done:
	case <-c.Request.Context().Done():
		n.peers.deliver(core.Parcel{Kind: core.MsgCancel, From: r.key.from, To: n.peers.self, Token: r.key.token, Item: task.Copied(), Load: unknown})
		n.metrics.received.WithLabelValues(cancelledLabel).Inc()
		n.finish(r.key, core.LostClientGone)
		n.release(c, r)
		panic(http.ErrAbortHandler) // nobody listens
	}
	n.metrics.received.WithLabelValues(r.outcome.String()).Inc()
	n.release(c, r)
}

func (n *Node) answerTask(c *gin.Context, a peerAnswer, status int, content []byte, header http.Header) {
	text, err := json.Marshal(a)
	if err != nil {
		panic(fmt.Sprintf("realnet: the answer to a peer has no JSON: %v", err))
	}
	h := c.Writer.Header()
	for name, values := range header {
		h[name] = values
	}
	h.Set(wire.HeaderPeerAnswer, string(n.options.Faults.garbage(text)))
	h.Set("Content-Length", fmt.Sprint(len(content)))
	c.Status(status)
	c.Writer.WriteHeaderNow()
	_, _ = c.Writer.Write(content) // where it fails, the peer has gone
}

// parseTask reads what a peer says of a task that it sends.
func (p *peers) parseTask(text string, from core.NodeID) (*peerTask, *core.TaskValue, error) {
	var h peerTask
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		return nil, nil, err
	}
	const longest = math.MaxInt64 / 4
	deadline := core.Never
	if h.Deadline != nil {
		deadline = *h.Deadline
	}
	if h.Demand < 0 || h.Demand > longest || deadline != core.Never && (deadline < -longest || deadline > longest) ||
		h.Held < 0 || h.Held > maxTransit || h.Hops == 0 || len(h.Visited) > math.MaxUint8 || !laterThan(core.Timing{}, h.Timing) {
		return nil, nil, errors.New("a number is out of bounds")
	}
	if m := h.Handover; m != nil && (m.Count < 1 || m.Count > mostHandedOver || m.Index < 0 || m.Index >= m.Count) {
		return nil, nil, fmt.Errorf("task %d of a handover of %d", m.Index, m.Count)
	}
	t := core.TaskValue{ID: h.ID, Type: h.Type, Priority: h.Priority, Demand: h.Demand, Deadline: deadline, Hops: h.Hops,
		Copy: h.Copy, Flags: h.Flags & core.Travelling, Probes: h.Probes, Retries: h.Retries, Timing: h.Timing,
		Trip: &core.TripValue{From: from, Token: p.token(), Executor: core.NoNode}}
	for _, a := range h.Visited {
		t.Trip.Visited = append(t.Trip.Visited, p.named(a))
	}
	return &h, &t, nil
}

// token is what this node knows the next task of another one by. Tokens of engines have the highest bit.
func (p *peers) token() core.Token { return core.Token(p.tokens.Add(1)) }

// answer ends a task of a peer when the answer has passed the link, or when it is lost on it: its handler does the rest.
func (p *peers) answer(m *core.Parcel) {
	t := &m.Tasks[0]
	k := taskKey{from: m.To, token: m.Token, copy: t.Copy}
	r := p.node.find(k)
	if r == nil {
		return
	}
	bytes := int64(0)
	r.note(func() {
		r.task, r.load, r.ended = t, m.Load, time.Now()
		if m.Outcome == core.Completed && r.answer != nil {
			bytes = int64(len(r.answer.body))
		}
	})
	if !p.links.pass(m.To, bytes, once|answers, func(time.Duration) { p.node.finish(k, m.Outcome) }) {
		r.note(func() { r.lost = true })
		p.node.finish(k, m.Outcome)
	}
}

// Tasks that a peer has pulled: each travels as a forward, and what the algorithm of the peer waits for is there when
// the last of them is.

const (
	mostHandedOver   = 1 << 16
	handoverPatience = 250 * time.Millisecond // with a task that does not come
)

// handover are pulled tasks that arrive.
type handover struct {
	parcel core.Parcel
	tasks  map[int]core.TaskValue // that have come, by index
	timer  *time.Timer
}

// handedOver takes one of the tasks of a handover, and delivers them when all have come, or have had the time to.
func (p *peers) handedOver(m core.Parcel, mark *handoverMark) {
	k := taskKey{from: m.From, token: mark.Token}
	task := m.Tasks[0]
	m.Kind, m.Token, m.Tasks = core.MsgHandover, mark.Token, nil
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.handovers[k]
	if h == nil {
		h = &handover{parcel: m, tasks: map[int]core.TaskValue{}}
		h.timer = time.AfterFunc(handoverPatience, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.completed(k, h)
		})
		p.handovers[k] = h
	}
	if _, twice := h.tasks[mark.Index]; twice {
		m.Tasks = []core.TaskValue{task} // it belongs to another one: nobody waits for that any more
		p.deliver(m)
		return
	}
	if h.tasks[mark.Index] = task; len(h.tasks) >= mark.Count {
		h.timer.Stop()
		p.completed(k, h)
	}
}

// completed delivers a handover, once. p.mu is held.
func (p *peers) completed(k taskKey, h *handover) {
	if p.handovers[k] != h {
		return
	}
	delete(p.handovers, k)
	for _, i := range slices.Sorted(maps.Keys(h.tasks)) {
		h.parcel.Tasks = append(h.parcel.Tasks, h.tasks[i])
	}
	p.deliver(h.parcel)
}
