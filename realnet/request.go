package realnet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// A request that a node has in hand, its client's or a peer's, from its arrival to its answer.

// taskKey is what tells the tasks of a node apart.
type taskKey struct {
	from  core.NodeID // NoNode: a client's
	token core.Token  // of this node's for a task that came, of its engine for one that leaves
	copy  uint8
	id    core.TaskID // of a client's
}

// keyOf is the key of the request that t belongs to: a replica that a node executes for itself belongs to its own.
func (n *Node) keyOf(t *core.Task) taskKey {
	from, token := t.Forwarder()
	for from == n.self() {
		if t = n.mailbox.engine.Held(token); t == nil {
			return taskKey{from: core.NoNode, id: ^core.TaskID(0)}
		}
		from, token = t.Forwarder()
	}
	if from == core.NoNode {
		return taskKey{from: core.NoNode, id: t.ID}
	}
	return taskKey{from: from, token: token, copy: t.Copy}
}

// request is a request that this node has in hand, its client's or a peer's.
type request struct {
	key    taskKey
	theirs core.Token // what the peer knows it by, whose task it is
	call   call
	// function is core.TaskValue's: the node's number for the name.
	function uint16
	tracing  string // id that the client gave it, or the node that sent it
	id       string // of it in the logs of all nodes
	number   uint64
	label    string        // of the algorithm that decides about it
	spans    *requestSpans // nil: it is not traced

	// Written by the mailbox's goroutine, or by what it starts; read when done is closed.
	arrived time.Time
	base    core.Timing   // when it came
	decided time.Duration // after its arrival; 0: nobody decided
	probing time.Duration
	outcome core.Outcome
	lesson  *core.Lesson
	report  *wire.TaskReport // of a client's request
	past    past             // what the node remembers of it
	task    *core.TaskValue  // of a peer's, as it ended
	load    core.Load        // of this node then
	ended   time.Time
	done    chan struct{}

	mu        sync.Mutex
	answer    *answer // of the function, here or at the end of the path
	refusal   *answer // of the peer, where that is what the task came to: in place of the function's
	execution time.Duration
	peer      string     // address of who got it last
	path      []wire.Hop // the nodes beyond this one, the executing one first
	err       error      // why there is no answer
	lost      bool       // the answer to a peer is, on an emulated link
}

// longestID bounds the id of a request in a log, in bytes.
const longestID = 128

// name gives a request the id that it has in logs: that which it came with or, where it has none, one of this node's.
func (n *Node) name(r *request) {
	if r.id = r.tracing; r.id == "" {
		r.id = fmt.Sprintf("%s-%x-%d", n.Identity().ID, n.began.UnixMilli(), n.named.Add(1))
	}
	r.id = r.id[:min(len(r.id), longestID)]
}

// sentID is the tracing id that it leaves with.
func (r *request) sentID() string { return cmp.Or(r.tracing, r.id) }

func logs(level slog.Level) bool { return slog.Default().Enabled(context.Background(), level) }

// log writes a line about a request, without what was asked and answered.
func (n *Node) log(level slog.Level, text string, r *request, more ...any) {
	if logs(level) {
		slog.Log(context.Background(), level, text,
			append([]any{"request", r.id, "node", n.Identity().ID, "function", r.call.function}, more...)...)
	}
}

// note writes what has become known of a request, unless it has ended.
func (r *request) note(write func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.done:
	default:
		write()
	}
}

// weigh counts the answer to a request that has ended among the bodies in hand, until it is let go: its client may take it slowly. Where that
// would be too much, there is no answer but that.
func (n *Node) weigh(r *request) (letGo func()) {
	a := r.said()
	if a == nil {
		return func() {}
	}
	length := int64(len(a.body))
	if f := n.bodies.take(length); f != nil {
		r.answer, r.refusal, r.err = nil, nil, f
		return func() {}
	}
	return func() { n.bodies.give(length) }
}

// failed notes why a peer has no answer of the function, and what it said in place of one. Where a replica has been answered,
// that stands.
func (r *request) failed(path []wire.Hop, err error, refusal *answer) {
	r.note(func() {
		if r.answer == nil {
			r.path, r.err, r.refusal = path, err, refusal
		}
	})
}

// said is what the function said or, where the task came to no more than a peer's refusal, the peer; nil: neither did.
func (r *request) said() *answer {
	if r.outcome == core.Completed && r.answer != nil {
		return r.answer
	}
	return r.refusal
}

// newCall is what a client asks for.
func (n *Node) newCall(function string, h *http.Request, content io.Reader, length int64) call {
	c := call{function: function, method: h.Method, query: h.URL.RawQuery, header: http.Header{}, length: length,
		body: newBody(content, n.options.Limits.Body, &n.bodies)}
	wire.CopyHeader(c.header, h.Header)
	return c
}

// register takes a request in hand.
func (n *Node) register(r *request) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.closing:
		return wire.NewFailure(wire.CodeUnavailable, "The node is shutting down")
	case len(n.requests) >= n.options.Limits.Requests:
		return wire.NewFailure(wire.CodeUnavailable, "The node has %d requests in hand, and takes no more", len(n.requests))
	}
	r.done = make(chan struct{})
	r.arrived = time.Now()
	n.requests[r.key] = r
	return nil
}

func (n *Node) find(k taskKey) *request {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.requests[k]
}

// finish ends a request, once.
func (n *Node) finish(k taskKey, o core.Outcome) {
	r := n.find(k)
	if r == nil {
		return
	}
	r.note(func() {
		if r.outcome = o; r.ended.IsZero() { // no answer is on an emulated link
			r.ended = time.Now()
		}
		level := slog.LevelDebug
		if o.Lost() && o != core.LostClientGone {
			level = slog.LevelWarn
		}
		n.log(level, "a request has ended", r, "outcome", o)
		n.spans.ended(r)
		n.remember(r)
		close(r.done)
	})
}

// fail ends requests.
func (n *Node) fail(cause error, which func(taskKey) bool) {
	n.mu.Lock()
	var open []*request
	for k, r := range n.requests {
		if which(k) {
			open = append(open, r)
		}
	}
	n.mu.Unlock()
	for _, r := range open {
		r.note(func() { r.err = cause })
		n.finish(r.key, core.LostNodeDown)
	}
}

// release lets go of a request that has ended, before its answer is written: what is left of its body is not waited for.
// Where the answer is lost on an emulated link it aborts the handler, when the peer has given up.
func (n *Node) release(c *gin.Context, r *request) {
	n.mu.Lock()
	delete(n.requests, r.key)
	if n.closing && len(n.requests) == 0 {
		close(n.empty)
	}
	n.mu.Unlock()
	defer func() {
		good := r.call.body.abandon(func() {
			b, ok := c.Request.Body.(*patientBody)
			if !ok {
				return // it comes from memory
			}
			if err := b.interrupt(); err != nil {
				slog.Error("a client's connection cannot be interrupted", "error", err)
			}
		})
		if !good && r.call.length != 0 {
			// Above all an interrupted connection, by whose context all its later requests would be cancelled.
			c.Header("Connection", "close")
		}
	}()
	r.mu.Lock()
	lost := r.lost
	r.mu.Unlock()
	if lost { // before the body is interrupted: by that the peer would hear something
		n.peers.lose(c.Request.Context())
	}
}

// own is this node's part in the path of a request that has ended.
func (n *Node) own(r *request) wire.Hop {
	me := n.Identity()
	h := wire.Hop{ID: me.ID, IP: me.IP}
	h.Timings.Total, h.Timings.Scheduling = wire.SecondsOf(r.ended.Sub(r.arrived)), wire.SecondsOf(r.decided)
	if r.probing > 0 || len(r.path) > 0 {
		h.Timings.Probing = wire.SecondsOf(r.probing)
	}
	if len(r.path) == 0 && (r.answer != nil || r.err != nil) {
		h.Timings.Execution = wire.SecondsOf(r.execution)
	}
	return h
}

// failureOf is why a request has no answer of its function.
func (n *Node) failureOf(r *request) *wire.Failure {
	var known *wire.Failure
	switch {
	case errors.As(r.err, &known):
		return known
	case r.outcome == core.Rejected:
		return wire.NewFailure(wire.CodeRejected, "Job has been deliberately rejected")
	case r.outcome == core.NoRoom:
		return wire.NewFailure(wire.CodeNoRoom, "Job cannot be scheduled: ")
	case r.outcome == core.NoFunction:
		return wire.NewV1Failure(wire.CodeNotFound, "function %s is not at this node, nor at one that it may forward the request to", r.call.function)
	case r.outcome == core.Expired:
		return wire.NewFailure(wire.CodeExpired, "Job cannot be scheduled: its deadline has passed while it waited")
	case r.outcome == core.LostHopLimit:
		return wire.NewFailure(wire.CodeHopLimit, "Job cannot be scheduled: it has made as many hops as it may")
	case r.outcome == core.LostNoAnswer || r.outcome == core.LostNodeDown && len(r.path) > 0:
		return wire.NewFailure(wire.CodeForward, "Job cannot be forwarded to neighbor %s: %v", r.peer, errOf(r))
	}
	if r.outcome == core.Completed { // its function did not answer
		f := wire.NewFailure(wire.CodeGeneric, "[R#%d,T%s] jobResult.Response is nil", r.number, r.tracing)
		f.Reason = errOf(r).Error()
		return f
	}
	return wire.NewFailure(wire.CodeGeneric, "[R#%d,T%s] Cannot schedule the service request: %v", r.number, r.tracing, errOf(r))
}

func errOf(r *request) error {
	if r.err != nil {
		return r.err
	}
	return errors.New(r.outcome.String())
}

// refusal is a failure as an answer.
func refusal(f *wire.Failure) *answer {
	return &answer{status: f.Status(), header: http.Header{"Content-Type": {wire.ContentTypeJSON}}, body: f.Body()}
}
