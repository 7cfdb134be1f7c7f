package realnet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/p2pfaas/p2pfaas/core"
)

// peers is the Transport between nodes, in v1's way: a probe is a GET of the load, a forward a POST whose answer is the
// answer of the task.
type peers struct {
	node *Node
	port int
	http *http.Client
	life context.Context
	die  context.CancelFunc
	work sync.WaitGroup

	mu        sync.Mutex
	numbers   map[string]core.NodeID
	addresses []string // by number
	self      core.NodeID
	stranger  core.NodeID // all callers that are no known machine: they are told apart by their tasks
	outgoing  map[taskKey]context.CancelFunc
	next      core.Token // what the tasks of v1 peers are known by, which have no token

	met func(core.NodeID, string) // takes each new number before it is used; nil: nobody does
}

// newPeers numbers the machines of a cluster by their places, and leaves one for this node itself.
func newPeers(n *Node, port int, self core.NodeID, cluster []string) *peers {
	p := &peers{node: n, port: port, numbers: map[string]core.NodeID{},
		addresses: append(make([]string, 0, len(cluster)+1), cluster...),
		outgoing:  map[taskKey]context.CancelFunc{},
		http: &http.Client{Transport: &http.Transport{DialContext: dialFrom(n, 2*time.Second),
			MaxIdleConns: 4096, MaxIdleConnsPerHost: 64, IdleConnTimeout: 90 * time.Second}}}
	for int(self) >= len(p.addresses) {
		p.addresses = append(p.addresses, "")
	}
	p.self, p.stranger = self, core.NodeID(len(p.addresses))
	p.addresses = append(p.addresses, "")
	for i, a := range p.addresses {
		if a != "" {
			p.numbers[a] = core.NodeID(i)
		}
	}
	p.life, p.die = context.WithCancel(context.Background())
	return p
}

// dialFrom connects from the node's own address, where that is one of this machine: by it peers know who calls.
func dialFrom(n *Node, patience time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: patience}
	if n != nil && n.options.Bind != nil {
		d.LocalAddr = &net.TCPAddr{IP: n.options.Bind}
	}
	return d.DialContext
}

func (p *peers) close() {
	p.die()
	p.work.Wait()
	p.http.CloseIdleConnections()
}

// number is the node's own number of the machine at an address.
func (p *peers) number(address string) core.NodeID {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, known := p.numbers[address]
	if !known {
		id = core.NodeID(len(p.addresses))
		p.numbers[address] = id
		p.addresses = append(p.addresses, address)
		if p.met != nil {
			p.met(id, address)
		}
	}
	return id
}

// caller is the number of the machine that calls from an IP. The table does not grow by it.
func (p *peers) caller(ip string) core.NodeID {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id, known := p.numbers[ip]; known && id != p.self {
		return id
	}
	return p.stranger
}

func (p *peers) address(id core.NodeID) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id < 0 || int(id) >= len(p.addresses) {
		return ""
	}
	return p.addresses[id]
}

func (p *peers) url(id core.NodeID, path string) string {
	a := p.address(id)
	if !strings.Contains(a, ":") {
		a = net.JoinHostPort(a, strconv.Itoa(p.port))
	}
	return "http://" + a + path
}

// unknown is the load of a node that did not say what it is.
var unknown = core.Load{Capacity: core.Capacity{Slots: -1}}

// Send implements Transport. It is called on the mailbox's goroutine.
func (p *peers) Send(m core.Parcel) {
	switch m.Kind {
	case core.MsgProbe:
		p.work.Go(func() { p.probe(m) })
	case core.MsgForward:
		p.forward(m)
	case core.MsgAnswer:
		t := &m.Tasks[0]
		p.node.finish(taskKey{from: m.To, token: m.Token, copy: t.Copy}, m.Outcome)
	case core.MsgCancel:
		k := taskKey{from: m.To, token: m.Token, copy: uint8(max(0, m.Item))}
		p.mu.Lock()
		cancel := p.outgoing[k]
		p.mu.Unlock()
		if cancel != nil {
			cancel()
		}
	default:
		slog.Debug("a message that v1's peers do not understand is not sent", "kind", m.Kind, "to", p.address(m.To))
	}
}

func (p *peers) deliver(m core.Parcel) {
	p.node.mailbox.Post(core.Input{Kind: core.InputDeliver, Message: &m})
}

// probe asks a peer for its load. A peer that answers nonsense has not answered.
func (p *peers) probe(m core.Parcel) {
	ctx := p.life
	if d := p.node.options.Forwarding.ProbeTimeout; d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	load, err := askLoad(ctx, p.http, p.url(m.To, "/monitoring/load"))
	if err != nil {
		slog.Debug("a peer does not tell its load", "peer", p.address(m.To), "error", err)
		return
	}
	p.deliver(core.Parcel{Kind: core.MsgReply, From: m.To, To: m.From, Token: m.Token, Item: m.Item, Load: load})
}

// askLoad asks a node for its load in v1's way.
func askLoad(ctx context.Context, client *http.Client, url string) (core.Load, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return core.Load{}, err
	}
	r.Header.Set("User-Agent", agentMachine)
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

// forward takes a task to a peer and brings the answer.
func (p *peers) forward(m core.Parcel) {
	t := m.Tasks[0]
	back := core.Parcel{Kind: core.MsgAnswer, From: m.To, To: m.From, Token: t.Trip.Token, Load: unknown}
	var r *request
	if held := p.node.mailbox.engine.Held(t.Trip.Token); held != nil {
		r = p.node.find(p.node.keyOf(held))
	}
	if r == nil {
		back.Outcome, back.Tasks = core.LostClientGone, []core.TaskValue{t}
		p.deliver(back)
		return
	}
	ctx, cancel := context.WithCancel(p.life)
	k := taskKey{from: m.To, token: t.Trip.Token, copy: t.Copy}
	p.mu.Lock()
	p.outgoing[k] = cancel
	p.mu.Unlock()
	p.work.Go(func() {
		defer func() {
			cancel()
			p.mu.Lock()
			delete(p.outgoing, k)
			p.mu.Unlock()
		}()
		outcome, err := p.call(ctx, m.To, r, &t)
		if ctx.Err() != nil {
			return // nobody waits for it
		}
		if err != nil {
			outcome = core.LostNodeDown
			slog.Warn("a peer cannot be reached, or answers nonsense", "peer", p.address(m.To), "error", err)
			r.note(func() { r.err, r.path = err, []hop{{IP: p.address(m.To)}} })
		}
		back.Outcome, back.Tasks = outcome, []core.TaskValue{t}
		p.deliver(back)
	})
}

// call posts a task to a peer, and notes in r what the function answered and in t how long it took.
func (p *peers) call(ctx context.Context, id core.NodeID, r *request, t *core.TaskValue) (core.Outcome, error) {
	payload, err := io.ReadAll(r.call.body.reader())
	if err != nil {
		if errors.Is(err, errTooLarge) {
			return 0, failure(codeTooLarge, "The body of the request is longer than %d bytes", r.call.body.limit)
		}
		return 0, err
	}
	text, err := json.Marshal(peerRequest{Request: r.number, Tracing: r.tracing, Function: r.call.function,
		Hops: int(t.Hops), Payload: payload, ContentType: r.call.header.Get("Content-Type")})
	if err != nil {
		return 0, err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url(id, "/peer/function/"+r.call.function), bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	q.Header.Set("User-Agent", agentMachine)
	q.Header.Set("Content-Type", contentTypeJSON)
	if r.tracing != "" {
		q.Header.Set(headerTracing, r.tracing)
	}
	response, err := p.http.Do(q)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	// Base64 takes four bytes for three; the rest of the JSON is small.
	limit := p.node.options.Backend.MaxAnswer*4/3 + maxConfiguration
	text, err = io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return 0, err
	}
	var a peerResponse
	if err := json.Unmarshal(text, &a); err != nil || int64(len(text)) > limit {
		return 0, fmt.Errorf("its answer of status %d and %d bytes is none of a node: %w", response.StatusCode, len(text), err)
	}
	return p.understand(id, r, t, &a)
}

// understand reads what a peer answered.
func (p *peers) understand(id core.NodeID, r *request, t *core.TaskValue, a *peerResponse) (core.Outcome, error) {
	if a.Status < 200 || a.Status > 599 || len(a.Peers) == 0 {
		return 0, fmt.Errorf("its answer has the status code %d and %d peers", a.Status, len(a.Peers))
	}
	var refused Failure
	if a.Status >= 500 && json.Unmarshal(a.Body, &refused) == nil {
		switch refused.Code {
		case codeRejected:
			return core.Rejected, nil
		case codeNoRoom, codeUnavailable, codeHopLimit:
			return core.NoRoom, nil
		case codeExpired:
			return core.Expired, nil
		}
	}
	last := a.Peers[0].Timings
	execution, scheduling, probing := duration(last.Execution), duration(last.Scheduling), duration(last.Probing)
	t.Timing.Executing += execution
	t.Timing.Probing += probing
	t.Timing.Scheduling += max(0, scheduling-probing)
	t.Timing.Waiting += max(0, duration(last.Total)-max(scheduling, probing)-execution)
	t.Ran(id)
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
		refuse(failure(codeGeneric, "Generic Error: only nodes may call this"))
		return
	}
	var q peerRequest
	limit := n.options.Limits.Body*4/3 + maxConfiguration
	text, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, limit))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		refuse(failure(codeTooLarge, "The body of the request is longer than %d bytes", limit))
		return
	}
	if err == nil {
		err = json.Unmarshal(text, &q)
	}
	if err != nil || q.Hops < 0 || q.Hops > 255 {
		refuse(failure(codeInput, "Passed input is not correct or malformed"))
		return
	}
	from := n.peers.caller(remoteIP(c.Request))
	n.peers.mu.Lock()
	n.peers.next++
	token := n.peers.next
	n.peers.mu.Unlock()
	r := &request{key: taskKey{from: from, token: token}, number: q.Request, tracing: q.Tracing}
	if f := n.begin(c, r, bytes.NewReader(q.Payload), int64(len(q.Payload))); f != nil {
		n.answerPeer(c, f.status(), f.body(), nil, n.own(r))
		return
	}
	r.call.method, r.call.query, r.call.header = http.MethodPost, "", http.Header{}
	if q.ContentType != "" {
		r.call.header.Set("Content-Type", q.ContentType)
	}
	task := core.TaskValue{ID: core.TaskID(q.Request), Deadline: core.Never, Hops: uint8(max(1, q.Hops)),
		Trip: &core.TripValue{From: from, Token: token, Executor: core.NoNode, Visited: []core.NodeID{from}}}
	n.peers.deliver(core.Parcel{Kind: core.MsgForward, From: from, Load: unknown, Tasks: []core.TaskValue{task}})
	select {
	case <-r.done:
	case <-c.Request.Context().Done():
		n.peers.deliver(core.Parcel{Kind: core.MsgCancel, From: from, Token: token, Item: -1, Load: unknown})
		n.release(c.Writer, r)
		return
	}
	n.release(c.Writer, r)
	if r.outcome != core.Completed || r.answer == nil {
		f := n.failureOf(r)
		n.answerPeer(c, f.status(), f.body(), r.path, n.own(r))
		return
	}
	n.answerPeer(c, r.answer.status, r.answer.body, r.path, n.own(r))
}

func (n *Node) answerPeer(c *gin.Context, status int, content []byte, path []hop, own hop) {
	c.JSON(status, peerResponse{Peers: append(path[:len(path):len(path)], own), Body: content, Status: status})
}
