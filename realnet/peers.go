package realnet

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
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

// PeerKeptIdle is how long a connection to a peer is kept that nobody uses.
const PeerKeptIdle = 90 * time.Second

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
		http: n.options.Credentials.Client(&http.Transport{DialContext: dialFrom(n, linkPatience), DisableCompression: true,
			MaxIdleConns: 4096, MaxIdleConnsPerHost: 256, IdleConnTimeout: PeerKeptIdle})}
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
	address = CanonicalAddress(address)
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

// CanonicalAddress is how machines are known: by their IP where the scheduler service has the standard port.
func CanonicalAddress(address string) string {
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
	at, err := parseAddress(r.Header.Get(wire.HeaderPeer), SchedulerPort)
	a := addressText(at, SchedulerPort)
	if r.Header.Get("User-Agent") != wire.UserAgentNode || err != nil || a == p.node.address() {
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
	if isQuestion(m.Kind) {
		p.node.metrics.probes.Inc()
		p.node.asks(&m)
	}
	switch m.Kind {
	case core.MsgForward, core.MsgHandover:
		p.forward(&m)
	case core.MsgAnswer:
		p.answer(&m)
	case core.MsgCancel:
		k := taskKey{from: m.To, token: m.Token, copy: uint8(max(0, m.Item))}
		if !p.links.pass(m.To, 0, 0, func(time.Duration) { p.cancel(k, false) }) {
			p.lost.Add(1)
			p.cancel(k, true)
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
	if m.Kind == core.MsgReply {
		p.node.metrics.probesAnswered.Inc()
	}
	p.node.spans.told(&m)
	p.post(m)
}

// say sends a message without a task.
func (p *peers) say(m core.Parcel) {
	how := travel(0)
	if m.Kind == core.MsgReply || m.Kind == core.MsgHandover {
		how = answers
	}
	passed := p.links.pass(m.To, 0, how, func(held time.Duration) {
		one := m
		one.Transit = held
		p.peer(m.To).post(&one)
	})
	if !passed {
		p.lost.Add(1)
		if isQuestion(m.Kind) {
			p.node.metrics.probesFailed.Inc()
		}
	}
}

func (p *peers) post(m core.Parcel) {
	p.node.mailbox.Post(core.Input{Kind: core.InputDeliver, Message: &m})
}

// unreachable says that there will be no answer to m.
func (p *peers) unreachable(m *core.Parcel) {
	p.lost.Add(1)
	if isQuestion(m.Kind) {
		p.node.metrics.probesFailed.Inc()
	}
	back := core.Parcel{From: m.To, To: m.From, Token: m.Token, Item: m.Item, Outcome: core.LostNodeDown, Load: unknown}
	switch m.Kind {
	case core.MsgProbe, core.MsgAsk:
		back.Kind = core.MsgReply
	case core.MsgPull:
		back.Kind = core.MsgHandover
	default:
		return
	}
	p.node.spans.told(&back)
	p.post(back)
}

// hold returns when the answer to a peer that asks by HTTP has passed the link to it. Where it is lost, the peer hears
// nothing until it gives up.
func (p *peers) hold(ctx context.Context, to core.NodeID) {
	passed := make(chan struct{})
	if !p.links.pass(to, 0, once|answers, func(time.Duration) { close(passed) }) {
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
