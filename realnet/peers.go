package realnet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// peers is the Transport between nodes. A message without a task travels on a link (peer_link.go), a task on an HTTP
// connection of its own whose answer is that of the task (peer_task.go); v1 nodes are served in their way (peer_v1.go).
type peers struct {
	node  *Node
	links *links // emulated
	http  *http.Client
	life  context.Context
	die   context.CancelFunc
	work  sync.WaitGroup

	sent, received, lost atomic.Int64 // messages

	mu        sync.Mutex
	closed    bool
	numbers   map[string]core.NodeID
	addresses []string // by number
	self      core.NodeID
	stranger  core.NodeID // all callers that are no known machine: they are told apart by their tasks
	known     map[core.NodeID]*peer
	outgoing  map[taskKey]*forward
	handovers map[taskKey]*handover

	// tokens are what this node itself knows the tasks of others by: v1 peers have none, and those of a peer that has been
	// started again come anew.
	tokens atomic.Uint64

	met func(core.NodeID, string) // takes each new number before it is used; nil: nobody does
}

// Bounds of the numbers that a node gives out. What other nodes name leaves room for what this one is told.
const (
	mostPeers = 1 << 16
	mostNamed = 1 << 15
)

// newPeers numbers the machines of a cluster by their places, and leaves one for this node itself.
func newPeers(n *Node, self core.NodeID, cluster []string) *peers {
	p := &peers{node: n, links: newLinks(&n.options), numbers: map[string]core.NodeID{},
		addresses: append(make([]string, 0, len(cluster)+1), cluster...), known: map[core.NodeID]*peer{},
		outgoing: map[taskKey]*forward{}, handovers: map[taskKey]*handover{},
		http: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{DialContext: dialFrom(n, 2*time.Second), DisableCompression: true,
				MaxIdleConns: 4096, MaxIdleConnsPerHost: 256, IdleConnTimeout: 90 * time.Second}}}
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
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.die()
	p.links.close() // what it lets go adds to the work
	p.work.Wait()
	p.http.CloseIdleConnections()
}

// enter adds to what close waits for, unless it has begun.
func (p *peers) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.work.Add(1)
	}
	return !p.closed
}

// number is the node's own number of the machine at an address; stranger, where it would be a new one and the table has so
// many.
func (p *peers) number(address string, most int) core.NodeID {
	address = canonical(address)
	p.mu.Lock()
	defer p.mu.Unlock()
	id, known := p.numbers[address]
	switch {
	case known:
		return id
	case len(p.addresses) >= most:
		return p.stranger
	}
	id = core.NodeID(len(p.addresses))
	p.numbers[address] = id
	p.addresses = append(p.addresses, address)
	if p.met != nil {
		p.met(id, address)
	}
	return id
}

// named is the number of a machine that a peer names.
func (p *peers) named(address string) core.NodeID {
	switch _, err := parseAddress(address, SchedulerPort); {
	case err != nil:
		return p.stranger
	case p.node.is(address):
		return p.self
	}
	return p.number(address, mostNamed)
}

// canonical is how machines are known: by their IP where the scheduler service has the standard port.
func canonical(address string) string {
	at, err := parseAddress(address, SchedulerPort)
	if err != nil {
		return address
	}
	return addressText(at, SchedulerPort)
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

// announced is the number of a node of this project that calls, as its headers say; NoNode where that cannot be: the
// address is not the one that it calls from, nor a peer's that this node was told of.
func (p *peers) announced(r *http.Request) core.NodeID {
	at, err := parseAddress(r.Header.Get(headerPeer), SchedulerPort)
	a := addressText(at, SchedulerPort)
	if r.Header.Get("User-Agent") != agentMachine || err != nil || a == p.node.address() {
		return core.NoNode
	}
	p.mu.Lock()
	id, known := p.numbers[a]
	p.mu.Unlock()
	switch {
	case known && id != p.self:
		return id
	case !known && at.Addr().String() == remoteIP(r):
		return p.number(a, mostNamed)
	}
	return core.NoNode
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
	if _, _, err := net.SplitHostPort(a); err != nil {
		a = net.JoinHostPort(a, strconv.Itoa(SchedulerPort))
	}
	return "http://" + a + path
}

// unknown is the load of a node that did not say what it is.
var unknown = core.Load{Capacity: core.Capacity{Slots: -1}}

// Send implements Transport. It is called on the mailbox's goroutine.
func (p *peers) Send(m core.Parcel) {
	p.sent.Add(1)
	switch m.Kind {
	case core.MsgForward, core.MsgHandover:
		p.forward(&m)
	case core.MsgAnswer:
		p.answer(&m)
	case core.MsgCancel:
		k := taskKey{from: m.To, token: m.Token, copy: uint8(max(0, m.Item))}
		if !p.links.pass(m.To, 0, func(time.Duration) { p.cancel(k) }) {
			p.lost.Add(1)
		}
	case core.MsgStarted:
		if r := p.node.find(taskKey{from: m.To, token: m.Token, copy: uint8(m.Item)}); r != nil {
			m.Token = r.theirs
			p.say(m)
		}
	default:
		p.say(m)
	}
}

// deliver gives the node a message that came.
func (p *peers) deliver(m core.Parcel) {
	p.received.Add(1)
	p.post(m)
}

// say sends a message without a task.
func (p *peers) say(m core.Parcel) {
	passed := p.links.pass(m.To, 0, func(held time.Duration) {
		m.Transit = held
		p.peer(m.To).post(&m)
	})
	if !passed {
		p.lost.Add(1)
	}
}

func (p *peers) post(m core.Parcel) {
	p.node.mailbox.Post(core.Input{Kind: core.InputDeliver, Message: &m})
}

// unreachable says that there will be no answer to m.
func (p *peers) unreachable(m *core.Parcel) {
	p.lost.Add(1)
	back := core.Parcel{From: m.To, To: m.From, Token: m.Token, Item: m.Item, Outcome: core.LostNodeDown, Load: unknown}
	switch m.Kind {
	case core.MsgProbe, core.MsgAsk:
		back.Kind = core.MsgReply
	case core.MsgPull:
		back.Kind = core.MsgHandover
	default:
		return
	}
	p.post(back)
}

// Tasks that leave.

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
		if bytes >= 0 && f.request.call.length >= 0 {
			bytes += f.request.call.length
		} else {
			bytes = -1
		}
	}
	if m.Kind == core.MsgHandover {
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
	passed := p.links.pass(m.To, bytes, func(held time.Duration) {
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
	f.request.note(func() { f.request.peer = p.address(m.To) })
	f.ctx, f.cancel = context.WithCancel(p.life)
	p.mu.Lock()
	p.outgoing[f.key] = f // before there can be a MsgCancel
	p.mu.Unlock()
	return f
}

// hold returns when the answer to a peer that asks by HTTP has passed the link to it. Where it is lost, the peer hears
// nothing until it gives up.
func (p *peers) hold(ctx context.Context, to core.NodeID) {
	passed := make(chan struct{})
	if !p.links.pass(to, 0, func(time.Duration) { close(passed) }) {
		p.lose(ctx)
	}
	select {
	case <-passed:
	case <-ctx.Done():
	case <-p.life.Done():
		panic(http.ErrAbortHandler)
	}
}

// lose aborts the handler of a peer's request whose answer is lost, when the peer gives up, or this node ends.
func (p *peers) lose(ctx context.Context) {
	p.lost.Add(1)
	select {
	case <-ctx.Done():
	case <-p.life.Done():
	}
	panic(http.ErrAbortHandler)
}

// cancel gives up an outgoing task: its connection is closed, by which the peer knows. One that is still on the emulated
// link has been overtaken: the peer would not know what it is to drop.
func (p *peers) cancel(k taskKey) {
	p.mu.Lock()
	f := p.outgoing[k]
	ahead := f != nil && f.left
	p.mu.Unlock()
	if ahead {
		f.end()
	}
}

// end gives the task up, or ends its being under way.
func (f *forward) end() {
	f.cancel()
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
	if f.ctx.Err() != nil {
		return // nobody waits for it
	}
	f.back.Load = f.heard
	if f.back.Outcome = outcome; err == nil {
		p.deliver(f.back)
		return
	}
	if !errors.Is(err, core.ErrNoPeer) { // the link has said so, once
		slog.Warn("a peer does not take a task, or answers nonsense", "peer", p.address(f.to), "error", err)
	}
	f.request.failed([]hop{{IP: p.address(f.to)}}, err, nil)
	p.lost.Add(1)
	f.back.Outcome = core.LostNodeDown
	p.post(f.back)
}

// refused notes what the peer answered in place of a function, and returns the outcome. Where that ends the task, and nothing
// else is tried, the client is to read what the peer said.
func (f *forward) refused(o core.Outcome, path []hop, status int, text []byte) core.Outcome {
	ends, now := true, f.peers.node.currentForwarding()
	switch o { // what core falls back from
	case core.NoRoom, core.Rejected:
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
