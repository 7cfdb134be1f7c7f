package realnet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// A task that leaves, and its answer: forward is on the side of the node that sends it, peerTask (peer_task.go) on that of
// the peer.

// forward is a task on its way to a peer and back.
type forward struct {
	peers   *peers
	to      core.NodeID
	request *request
	back    core.Parcel     // the answer; its task takes what the peer says
	task    *core.TaskValue // back's
	load    core.Load       // of this node
	heard   core.Load       // of the peer, when it answered
	mark    *handoverMark   // nil: nobody has pulled it
	held    time.Duration   // by the emulated link
	key     taskKey
	ctx     context.Context
	cancel  context.CancelFunc
	span    trace.Span
	left    bool // it has passed the emulated link
}

// forward takes the task of a MsgForward, or those of a MsgHandover, to a peer and brings the answers. They are one message:
// an emulated link holds them, or loses them, together.
func (p *peers) forward(m *core.Parcel) {
	var leaving []*forward
	bytes := int64(0)
	for i := range m.Tasks {
		f := p.depart(m, &m.Tasks[i])
		if f == nil {
			continue
		}
		leaving = append(leaving, f)
		p.peer(m.To).tasks.Add(1)
		if bytes >= 0 && f.request.call.length >= 0 {
			bytes += f.request.call.length
		} else {
			bytes = -1
		}
	}
	how := once
	if m.Kind == core.MsgHandover {
		how |= answers
		for i, f := range leaving {
			f.mark = &handoverMark{m.Token, i, len(leaving)}
		}
	}
	if len(leaving) == 0 {
		if m.Kind == core.MsgHandover {
			m.Tasks = nil
			p.say(*m)
		} else {
			p.lost.Add(1)
		}
		return
	}
	passed := p.links.pass(m.To, bytes, how, func(held time.Duration) {
		for _, f := range leaving {
			p.mu.Lock()
			f.held, f.left = held, true
			p.mu.Unlock()
			p.work.Go(f.carry)
		}
	})
	if !passed {
		p.lost.Add(1)
		for _, f := range leaving {
			p.node.metrics.forwards.WithLabelValues(core.LostNoAnswer.String()).Inc()
			f.end()
		}
	}
}

// depart prepares the way of a task; nil: its client has gone.
func (p *peers) depart(m *core.Parcel, t *core.TaskValue) *forward {
	f := &forward{peers: p, to: m.To, load: m.Load, key: taskKey{from: m.To, token: t.Trip.Token, copy: t.Copy},
		back: core.Parcel{Kind: core.MsgAnswer, From: m.To, To: m.From, Token: t.Trip.Token, Load: unknown,
			Tasks: []core.TaskValue{*t}}}
	f.task = &f.back.Tasks[0]
	if held := p.node.mailbox.engine.Held(t.Trip.Token); held != nil {
		f.request = p.node.find(p.node.keyOf(held))
	}
	if f.request == nil {
		f.back.Outcome = core.LostClientGone
		p.post(f.back)
		return nil
	}
	f.request.note(func() { f.request.peer, f.request.past.sent = p.address(m.To), appendPeer(f.request.past.sent, m.To) })
	f.ctx, f.cancel = context.WithCancel(p.life)
	f.ctx, f.span = p.node.spans.forwards(f.ctx, f.request, p.address(m.To))
	p.mu.Lock()
	p.outgoing[f.key] = f // before there can be a MsgCancel
	p.mu.Unlock()
	return f
}

// longestUnheard is how long a task may take at a peer that never hears of its cancellation: the answer may be lost as well, and
// the connection would stay.
const longestUnheard = time.Minute

// cancel gives up an outgoing task: its connection is closed, by which the peer knows. It does not hear of it where the
// cancellation is lost on the emulated link, or overtakes the task there: it would not know what to drop.
func (p *peers) cancel(k taskKey, lost bool) {
	p.mu.Lock()
	f := p.outgoing[k]
	unheard := f != nil && (lost || !f.left)
	p.mu.Unlock()
	switch {
	case unheard:
		time.AfterFunc(longestUnheard, f.end)
	case f != nil:
		f.end()
	}
}

// end gives the task up, or ends its being under way.
func (f *forward) end() {
	f.cancel()
	f.peers.node.spans.forwarded(f)
	f.peers.mu.Lock()
	defer f.peers.mu.Unlock()
	if f.peers.outgoing[f.key] == f { // it has not been sent again
		delete(f.peers.outgoing, f.key)
	}
}

// carry takes the task to the peer, and delivers what comes back.
func (f *forward) carry() {
	defer f.end()
	p := f.peers
	outcome, err := f.run(f.ctx)
	sent := p.node.metrics.forwards
	if f.ctx.Err() != nil {
		sent.WithLabelValues(cancelledLabel).Inc()
		return // nobody waits for it
	}
	f.back.Load = f.heard
	if f.back.Outcome = outcome; err == nil {
		f.span.SetAttributes(attribute.String("p2pfaas.outcome", outcome.String()))
		sent.WithLabelValues(outcome.String()).Inc()
		p.deliver(f.back)
		return
	}
	if wrong := f.request.call.body.wrong.Load(); wrong != nil { // what the client sends no peer can take, and none is to blame
		f.span.SetStatus(codes.Error, wrong.Error())
		f.request.failed(nil, wrong, nil)
		f.back.Outcome = core.LostClientGone
		sent.WithLabelValues(f.back.Outcome.String()).Inc()
		p.post(f.back)
		return
	}
	if !errors.Is(err, core.ErrNoPeer) { // the link has said so, once
		p.node.log(slog.LevelWarn, "a peer does not take a task, or answers nonsense", f.request, "peer", p.address(f.to), "error", err)
	}
	f.span.SetStatus(codes.Error, err.Error())
	f.request.failed([]wire.Hop{{IP: p.address(f.to)}}, err, nil)
	if f.mark == nil || f.mark.Index == 0 { // a handover is one message
		p.lost.Add(1)
	}
	f.back.Outcome = core.LostNodeDown
	sent.WithLabelValues(f.back.Outcome.String()).Inc()
	p.post(f.back)
}

// run takes the task to the peer, in the peer's way.
func (f *forward) run(ctx context.Context) (core.Outcome, error) {
	f.heard = unknown
	switch c, err := f.peers.peer(f.to).link(ctx); {
	case err != nil:
		return 0, fmt.Errorf("%w: %w", core.ErrNoPeer, err)
	case c == nil:
		return f.sendV1(ctx)
	}
	return f.send(ctx)
}

// refused notes what the peer answered in place of a function, and returns the outcome. Where that ends the task, and nothing
// else is tried, the client is to read what the peer said.
func (f *forward) refused(o core.Outcome, path []wire.Hop, status int, text []byte) core.Outcome {
	ends, now := true, f.peers.node.currentForwarding()
	switch o { // what core falls back from
	case core.NoRoom, core.Rejected, core.NoFunction:
		ends = now.OnRefusal == core.FallbackFail && f.mark == nil
	case core.LostNodeDown:
		ends = now.OnFailure == core.FallbackFail && f.mark == nil
	}
	var refusal *answer
	if ends {
		refusal = &answer{status: status, body: text}
	}
	f.request.failed(path, nil, refusal)
	return o
}

// send takes the task to a node of this project.
func (f *forward) send(ctx context.Context) (core.Outcome, error) {
	p, r, t := f.peers, f.request, f.task
	head := peerTask{Token: t.Trip.Token, ID: t.ID, Type: t.Type, Priority: t.Priority, Demand: t.Demand, Hops: t.Hops,
		Copy: t.Copy, Flags: t.Flags & core.Travelling, Probes: t.Probes, Retries: t.Retries, Timing: t.Timing,
		Held: f.held, Load: newPeerLoad(f.load), Handover: f.mark}
	if t.Deadline != core.Never {
		head.Deadline = &t.Deadline
	}
	for _, id := range t.Trip.Visited {
		head.Visited = append(head.Visited, p.node.addressOf(id))
	}
	text, err := json.Marshal(head)
	if err != nil {
		return 0, err
	}
	q, err := http.NewRequestWithContext(ctx, r.call.method, p.url(f.to, "/peer/task/"+r.call.function), nil)
	if err != nil {
		return 0, err
	}
	q.URL.RawQuery = r.call.query
	r.call.load(q)
	wire.CopyHeader(q.Header, r.call.header)
	if agent := q.Header.Values("User-Agent"); len(agent) > 0 {
		q.Header[wire.HeaderPeerAgent] = agent
	}
	carryTrace(ctx, q.Header)
	q.Header.Set("User-Agent", wire.UserAgentNode)
	q.Header.Set(wire.HeaderPeer, p.node.address())
	if f.mark != nil { // the answer to a pull
		text = p.node.options.Faults.garbage(text)
	}
	q.Header.Set(wire.HeaderPeerTask, string(text))
	q.Header.Set(wire.HeaderTracing, r.sentID())
	response, text, err := p.do(q, p.node.options.Backend.MaxAnswer)
	if err != nil {
		return 0, err
	}
	return f.ended(response, text)
}

// do sends a request to a peer and reads its answer to the end, which may have so many bytes.
func (p *peers) do(q *http.Request, most int64) (*http.Response, []byte, error) {
	response, err := p.http.Do(q)
	if err = withoutQuery(err); err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("its answer is longer than %d bytes", most)
	}
	return response, text, err
}

// ended reads what a node of this project answered.
func (f *forward) ended(response *http.Response, text []byte) (core.Outcome, error) {
	p, r, t := f.peers, f.request, f.task
	var a peerAnswer
	if err := json.Unmarshal([]byte(response.Header.Get(wire.HeaderPeerAnswer)), &a); err != nil {
		return 0, fmt.Errorf("its answer %s has no %s: %w", response.Status, wire.HeaderPeerAnswer, err)
	}
	outcome := a.Outcome
	switch {
	case outcome == core.InFlight:
		return 0, fmt.Errorf("%s says no outcome", wire.HeaderPeerAnswer)
	case a.Probes < t.Probes || a.Retries < t.Retries:
		return 0, fmt.Errorf("%s says %d probes and %d retries, and there were %d and %d when the task was sent", wire.HeaderPeerAnswer,
			a.Probes, a.Retries, t.Probes, t.Retries)
	case a.Answered && !validStatus(response.StatusCode):
		return 0, fmt.Errorf("its function answers with the status %d", response.StatusCode)
	}
	if !a.Answered {
		var refused wire.Failure
		if err := json.Unmarshal(text, &refused); err != nil || refused.Code == 0 {
			return 0, fmt.Errorf("its answer %s of %d bytes does not say why the task failed: %w", response.Status, len(text), err)
		}
	}
	if outcome == core.Completed || outcome == core.Expired {
		if a.Demand < 0 || a.Cold < 0 || !laterThan(t.Timing, a.Timing) || len(a.Path) == 0 {
			return 0, fmt.Errorf("%s has times that cannot be, or no path", wire.HeaderPeerAnswer)
		}
		t.Timing, t.Hops, t.Demand, t.Trip.ColdStart = a.Timing, a.Hops, a.Demand, a.Cold
		t.Flags = t.Flags&^core.Travelling | a.Flags&core.Travelling
		if a.Executor != "" {
			t.Trip.Executor = p.named(a.Executor)
		}
	}
	t.Probes, t.Retries = a.Probes, a.Retries
	f.heard = a.Load.load()
	if !a.Answered {
		return f.refused(outcome, a.Path, response.StatusCode, text), nil
	}
	r.note(func() {
		r.answer = &answer{status: response.StatusCode, header: http.Header{}, body: text}
		wire.CopyHeader(r.answer.header, response.Header)
		r.path, r.err = a.Path, nil
	})
	return outcome, nil
}

// laterThan reports whether a task that had these times may have those now.
func laterThan(before, after core.Timing) bool {
	const day = 24 * time.Hour
	for _, x := range [][2]time.Duration{{before.Scheduling, after.Scheduling}, {before.Probing, after.Probing},
		{before.Forwarding, after.Forwarding}, {before.Waiting, after.Waiting}, {before.Executing, after.Executing},
		{before.Returning, after.Returning}} {
		if x[1] < x[0] || x[1]-x[0] > day {
			return false
		}
	}
	return true
}
