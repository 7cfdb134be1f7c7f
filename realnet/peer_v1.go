package realnet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"
	"golang.org/x/net/http/httpguts"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// Peers of the first P2PFaaS: a probe is a GET of the load, a forward a POST whose answer is that of the task. They
// understand nothing else.

// sendV1 sends a message to a v1 node.
func (p *peers) sendV1(m *core.Parcel) {
	if m.Kind != core.MsgProbe {
		slog.Debug("a v1 node does not understand a message", "kind", m.Kind.String(), "peer", p.address(m.To))
		p.unreachable(m)
		return
	}
	p.work.Go(func() { p.probe(m) })
}

// probe asks a peer for its load. A peer that answers nonsense has not answered.
func (p *peers) probe(m *core.Parcel) {
	ctx := p.life
	if d := p.node.currentForwarding().ProbeTimeout; d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	load, err := askLoad(ctx, p.http, p.url(m.To, "/monitoring/load"), wire.UserAgentNode)
	if err != nil {
		slog.Debug("a peer does not tell its load", "peer", p.address(m.To), "error", err)
		p.unreachable(m)
		return
	}
	p.deliver(core.Parcel{Kind: core.MsgReply, From: m.To, To: m.From, Token: m.Token, Item: m.Item, Load: load})
}

// askLoad asks a node for its load in v1's way; agent is agentMachine where a node asks, whose links are emulated.
func askLoad(ctx context.Context, client *http.Client, url, agent string) (core.Load, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return core.Load{}, err
	}
	r.Header.Set("User-Agent", agent)
	answer, err := client.Do(r)
	if err != nil {
		return core.Load{}, err
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer)) // it matters only where there is no load
	if answer.StatusCode != http.StatusOK {
		return core.Load{}, wire.Unexpected("it", answer, text)
	}
	var l core.Load
	l.Speed = 1
	for _, f := range []struct {
		header string
		to     *int32
	}{{wire.HeaderLoad, &l.Running}, {wire.HeaderQueueLength, &l.Queued}, {wire.HeaderMaxLoad, &l.Slots}} {
		x, err := strconv.ParseInt(answer.Header.Get(f.header), 10, 32)
		if err != nil || x < 0 {
			return core.Load{}, fmt.Errorf("its header %s is %q", f.header, answer.Header.Get(f.header))
		}
		*f.to = int32(x)
	}
	return l, nil
}

// sendV1 posts the task to a v1 node, and notes what the function answered and how long it took.
func (f *forward) sendV1(ctx context.Context) (core.Outcome, error) {
	p, r := f.peers, f.request
	f.task.Timing.Forwarding += f.held
	payload, err := r.call.body.whole()
	if err != nil {
		return 0, err
	}
	text, err := json.Marshal(wire.PeerRequest{Request: r.number, Tracing: r.sentID(), Function: r.call.function,
		Hops: int(f.task.Hops), Payload: payload, ContentType: r.call.header.Get("Content-Type")})
	if err != nil {
		return 0, err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url(f.to, "/peer/function/"+r.call.function), bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	carryTrace(ctx, q.Header)
	q.Header.Set("User-Agent", wire.UserAgentNode)
	q.Header.Set("Content-Type", wire.ContentTypeJSON)
	q.Header.Set(wire.HeaderTracing, r.sentID())
	// Base64 takes four bytes for three; the rest of the JSON is small.
	response, text, err := p.do(q, p.node.options.Backend.MaxAnswer*4/3+maxConfiguration)
	if err != nil {
		return 0, err
	}
	var a wire.PeerResponse
	if err := json.Unmarshal(text, &a); err != nil {
		return 0, fmt.Errorf("its answer of status %d and %d bytes is none of a node: %w", response.StatusCode, len(text), err)
	}
	return f.understand(&a)
}

// understand reads what a peer answered.
func (f *forward) understand(a *wire.PeerResponse) (core.Outcome, error) {
	r, t := f.request, f.task
	if a.Status < 200 || a.Status > 599 || len(a.Peers) == 0 {
		return 0, fmt.Errorf("its answer has the status code %d and %d peers", a.Status, len(a.Peers))
	}
	var said wire.Failure
	if a.Status >= 500 && json.Unmarshal(a.Body, &said) == nil {
		switch said.Code {
		case wire.CodeRejected, wire.CodeAction, wire.CodeRecipient:
			return f.refused(core.Rejected, a.Peers, a.Status, a.Body), nil
		case wire.CodeNoRoom, wire.CodeUnavailable, wire.CodeHopLimit:
			return f.refused(core.NoRoom, a.Peers, a.Status, a.Body), nil
		case wire.CodeExpired:
			return f.refused(core.Expired, a.Peers, a.Status, a.Body), nil
		case wire.CodeForward, wire.CodePeerNil: // it has lost the task itself
			return f.refused(core.LostNodeDown, a.Peers, a.Status, a.Body), nil
		}
	}
	for i, h := range a.Peers { // the executing one first
		scheduling, probing := wire.DurationOf(h.Timings.Scheduling), wire.DurationOf(h.Timings.Probing)
		t.Timing.Probing += probing
		t.Timing.Scheduling += max(0, scheduling-probing)
		if i == 0 {
			execution := wire.DurationOf(h.Timings.Execution)
			t.Timing.Executing += execution
			t.Timing.Waiting += max(0, wire.DurationOf(h.Timings.Total)-max(scheduling, probing)-execution)
		}
	}
	at := f.to
	if further := len(a.Peers) - 1; further > 0 {
		at = f.peers.named(a.Peers[0].IP)
		t.Hops += uint8(min(further, math.MaxUint8-int(t.Hops)))
	}
	t.Ran(at)
	if said.Code == wire.CodeGeneric { // its function did not answer
		return f.refused(core.Completed, a.Peers, a.Status, a.Body), nil
	}
	// v1 does not carry the headers of the function.
	r.note(func() {
		r.answer = &answer{status: a.Status, header: http.Header{}, body: a.Body}
		r.err, r.path = nil, a.Peers
	})
	return core.Completed, nil
}

// peerFunction serves a v1 peer that forwards a task.
func (n *Node) peerFunction(c *gin.Context) {
	refuse := func(f *wire.Failure) { c.Data(f.Status(), wire.ContentTypeJSON, f.Body()) }
	if c.GetHeader("User-Agent") != wire.UserAgentNode {
		refuse(wire.NewV1Failure(wire.CodeGeneric, "only nodes may call this"))
		return
	}
	q, err := n.readPeerRequest(c.Request)
	if f := new(wire.Failure); errors.As(err, &f) {
		// Who still sends hears nothing of an answer when the connection ends: some more is read for it.
		_, _ = io.CopyN(io.Discard, c.Request.Body, max(n.mostPeerRequest(), 16<<20))
		n.metrics.received.WithLabelValues(core.NoRoom.String()).Inc()
		n.answerPeer(c, f.Status(), f.Body(), nil, n.own(&request{}))
		return
	}
	if err != nil {
		refuse(wire.NewV1Failure(wire.CodeInput, "%v", err))
		return
	}
	defer n.bodies.give(int64(len(q.Payload)))
	from := n.peers.caller(remoteIP(c.Request))
	token := n.peers.token()
	r := &request{key: taskKey{from: from, token: token}, number: q.Request, tracing: q.Tracing, label: n.label()}
	n.name(r)
	n.spans.arrived(r, c.Request.Header, "task of a peer")
	if f := n.begin(c, r, bytes.NewReader(q.Payload), int64(len(q.Payload))); f != nil {
		n.spans.refused(r, f)
		n.metrics.received.WithLabelValues(core.NoRoom.String()).Inc()
		n.peers.hold(c.Request.Context(), from)
		n.answerPeer(c, f.Status(), f.Body(), nil, n.own(r))
		return
	}
	r.call.method, r.call.query, r.call.header = http.MethodPost, "", http.Header{}
	if q.ContentType != "" {
		r.call.header.Set("Content-Type", q.ContentType)
	}
	task := core.TaskValue{ID: core.TaskID(q.Request), Function: r.function, Deadline: core.Never, Hops: uint8(max(1, q.Hops)),
		Trip: &core.TripValue{From: from, Token: token, Executor: core.NoNode, Visited: []core.NodeID{from}}}
	n.peers.deliver(core.Parcel{Kind: core.MsgForward, From: from, Load: unknown, Tasks: []core.TaskValue{task}})
	n.awaitTask(c, r, &task)
	defer n.weigh(r)()
	said := r.said()
	if said == nil {
		f := n.failureOf(r)
		if r.outcome == core.NoFunction { // what a v1 node takes for a refusal
			f = &wire.Failure{Code: wire.CodeNoRoom, Message: "Job cannot be scheduled: ", Reason: f.Reason}
		}
		said = refusal(f)
	}
	n.answerPeer(c, said.status, said.body, r.path, n.own(r))
}

// mostPeerRequest bounds the JSON of a task, in bytes: base64 takes four for three, and the rest is small.
func (n *Node) mostPeerRequest() int64 { return n.options.Limits.Body*4/3 + maxConfiguration }

// readPeerRequest reads the JSON of a task. It counts among the bodies in hand until it has been read, then what it carries does, until
// it is given back: a request's body, which is read from that, counts by itself.
func (n *Node) readPeerRequest(h *http.Request) (q wire.PeerRequest, err error) {
	if f := n.tooMuch(h.ContentLength, n.mostPeerRequest()); f != nil {
		return q, f
	}
	b := newBody(h.Body, n.mostPeerRequest(), &n.bodies)
	defer b.abandon(func() {}) // nobody else reads it
	text, err := b.whole()
	if err == nil {
		err = json.Unmarshal(text, &q)
	}
	if err == nil && (q.Hops < 0 || q.Hops > 255) {
		err = fmt.Errorf("hops is %d: write a number from 0 to 255", q.Hops)
	}
	for _, value := range []string{q.Tracing, q.ContentType} { // JSON may hold what would end a header, and begin another one
		if err == nil && !httpguts.ValidHeaderFieldValue(value) {
			err = fmt.Errorf("%.80q cannot stand in a header", value)
		}
	}
	if err == nil {
		if f := n.bodies.take(int64(len(q.Payload))); f != nil {
			err = f
		}
	}
	return q, err
}

// answerPeer answers as a v1 node does. Its peer ends where there is no JSON: a status that has no body is 200, as are all
// that say success.
func (n *Node) answerPeer(c *gin.Context, status int, content []byte, path []wire.Hop, own wire.Hop) {
	if status < 300 || status == http.StatusNotModified {
		status = http.StatusOK
	}
	c.JSON(status, wire.PeerResponse{Peers: append(path[:len(path):len(path)], own), Body: content, Status: status})
}
