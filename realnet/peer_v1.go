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

	"github.com/p2pfaas/p2pfaas/core"
)

// Peers of the first P2PFaaS: a probe is a GET of the load, a forward a POST whose answer is that of the task. They
// understand nothing else.

// sendV1 sends a message to a v1 node.
func (p *peers) sendV1(m *core.Parcel) {
	if m.Kind != core.MsgProbe {
		slog.Debug("a v1 node does not understand a message", "kind", m.Kind, "peer", p.address(m.To))
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
	load, err := askLoad(ctx, p.http, p.url(m.To, "/monitoring/load"), agentMachine)
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
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer))
	if answer.StatusCode != http.StatusOK {
		return core.Load{}, fmt.Errorf("it answers %s", answer.Status)
	}
	var l core.Load
	l.Speed = 1
	for _, f := range []struct {
		header string
		to     *int32
	}{{headerLoad, &l.Running}, {headerQueueLength, &l.Queued}, {headerMaxLoad, &l.Slots}} {
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
	text, err := json.Marshal(peerRequest{Request: r.number, Tracing: r.tracing, Function: r.call.function,
		Hops: int(f.task.Hops), Payload: payload, ContentType: r.call.header.Get("Content-Type")})
	if err != nil {
		return 0, err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url(f.to, "/peer/function/"+r.call.function), bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	q.Header.Set("User-Agent", agentMachine)
	q.Header.Set("Content-Type", contentTypeJSON)
	if r.tracing != "" {
		q.Header.Set(headerTracing, r.tracing)
	}
	// Base64 takes four bytes for three; the rest of the JSON is small.
	response, text, err := p.do(q, p.node.options.Backend.MaxAnswer*4/3+maxConfiguration)
	if err != nil {
		return 0, err
	}
	var a peerResponse
	if err := json.Unmarshal(text, &a); err != nil {
		return 0, fmt.Errorf("its answer of status %d and %d bytes is none of a node: %w", response.StatusCode, len(text), err)
	}
	return f.understand(&a)
}

// understand reads what a peer answered.
func (f *forward) understand(a *peerResponse) (core.Outcome, error) {
	r, t := f.request, f.task
	if a.Status < 200 || a.Status > 599 || len(a.Peers) == 0 {
		return 0, fmt.Errorf("its answer has the status code %d and %d peers", a.Status, len(a.Peers))
	}
	var said Failure
	if a.Status >= 500 && json.Unmarshal(a.Body, &said) == nil {
		switch said.Code {
		case codeRejected, codeAction, codeRecipient:
			return f.refused(core.Rejected, a.Peers, a.Status, a.Body), nil
		case codeNoRoom, codeUnavailable, codeHopLimit:
			return f.refused(core.NoRoom, a.Peers, a.Status, a.Body), nil
		case codeExpired:
			return f.refused(core.Expired, a.Peers, a.Status, a.Body), nil
		case codeForward, codePeerNil: // it has lost the task itself
			return f.refused(core.LostNodeDown, a.Peers, a.Status, a.Body), nil
		}
	}
	for i, h := range a.Peers { // the executing one first
		scheduling, probing := duration(h.Timings.Scheduling), duration(h.Timings.Probing)
		t.Timing.Probing += probing
		t.Timing.Scheduling += max(0, scheduling-probing)
		if i == 0 {
			execution := duration(h.Timings.Execution)
			t.Timing.Executing += execution
			t.Timing.Waiting += max(0, duration(h.Timings.Total)-max(scheduling, probing)-execution)
		}
	}
	at := f.to
	if further := len(a.Peers) - 1; further > 0 {
		at = f.peers.named(a.Peers[0].IP)
		t.Hops += uint8(min(further, math.MaxUint8-int(t.Hops)))
	}
	t.Ran(at)
	if said.Code == codeGeneric { // its function did not answer
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
	refuse := func(f *Failure) { c.Data(f.status(), contentTypeJSON, f.body()) }
	if c.GetHeader("User-Agent") != agentMachine {
		refuse(explained(codeGeneric, "only nodes may call this"))
		return
	}
	var q peerRequest
	limit := n.options.Limits.Body*4/3 + maxConfiguration
	text, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, limit))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		// Who still sends hears nothing of an answer when the connection ends: some more is read for it.
		_, _ = io.CopyN(io.Discard, c.Request.Body, max(limit, 16<<20))
		f := failure(codeTooLarge, "The body of the request is longer than %d bytes", limit)
		n.answerPeer(c, f.status(), f.body(), nil, n.own(&request{}))
		return
	}
	if err == nil {
		err = json.Unmarshal(text, &q)
	}
	if err == nil && (q.Hops < 0 || q.Hops > 255) {
		err = fmt.Errorf("hops is %d: write a number from 0 to 255", q.Hops)
	}
	if err != nil {
		refuse(explained(codeInput, "%v", err))
		return
	}
	from := n.peers.caller(remoteIP(c.Request))
	token := n.peers.token()
	r := &request{key: taskKey{from: from, token: token}, number: q.Request, tracing: q.Tracing}
	if f := n.begin(c, r, bytes.NewReader(q.Payload), int64(len(q.Payload))); f != nil {
		n.peers.hold(c.Request.Context(), from)
		n.answerPeer(c, f.status(), f.body(), nil, n.own(r))
		return
	}
	r.call.method, r.call.query, r.call.header = http.MethodPost, "", http.Header{}
	if q.ContentType != "" {
		r.call.header.Set("Content-Type", q.ContentType)
	}
	task := core.TaskValue{ID: core.TaskID(q.Request), Function: r.function, Deadline: core.Never, Hops: uint8(max(1, q.Hops)),
		Trip: &core.TripValue{From: from, Token: token, Executor: core.NoNode, Visited: []core.NodeID{from}}}
	n.peers.deliver(core.Parcel{Kind: core.MsgForward, From: from, Load: unknown, Tasks: []core.TaskValue{task}})
	select {
	case <-r.done:
	case <-c.Request.Context().Done():
		n.peers.deliver(core.Parcel{Kind: core.MsgCancel, From: from, Token: token, Item: -1, Load: unknown})
		n.release(c, r)
		panic(http.ErrAbortHandler) // nobody listens
	}
	n.release(c, r)
	said := r.said()
	if said == nil {
		f := n.failureOf(r)
		if r.outcome == core.NoFunction { // what a v1 node takes for a refusal
			f = &Failure{codeNoRoom, "Job cannot be scheduled: ", f.Reason}
		}
		said = f.answer()
	}
	n.answerPeer(c, said.status, said.body, r.path, n.own(r))
}

// answerPeer answers as a v1 node does. Its peer ends where there is no JSON: a status that has no body is 200, as are all
// that say success.
func (n *Node) answerPeer(c *gin.Context, status int, content []byte, path []hop, own hop) {
	if status < 300 || status == http.StatusNotModified {
		status = http.StatusOK
	}
	c.JSON(status, peerResponse{Peers: append(path[:len(path):len(path)], own), Body: content, Status: status})
}
