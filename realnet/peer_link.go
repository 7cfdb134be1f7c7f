package realnet

//lint:file-ignore SA1019 the library keeps this path for its users; the code is that of github.com/coder/websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"nhooyr.io/websocket"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// Links: a persistent websocket between two nodes of this project, for all messages without a task. Either side opens
// it when it has something to say and there is none; where both do so at once there are two, and both are read. A node
// that refuses the handshake is one of the first P2PFaaS.

// linkProtocol is the websocket's subprotocol: another version of the messages is another name.
const linkProtocol = "p2pfaas.peer.1"

// linkPatience is for a connection, for a handshake, and for a message to leave. A test has more.
var linkPatience = 2 * time.Second

const (
	pingEvery    = 5 * time.Second       // how often a link is measured, and found out to be dead
	shortLife    = time.Second           // of a link that its peer closed at once: it is not opened again at once
	askV1Again   = time.Minute           // after which a v1 node is asked once more for a link
	shortestBack = 50 * time.Millisecond // off from a peer that could not be reached; it doubles
	longestBack  = 2 * time.Second
	messagesHeld = 1024 // that wait for a link; further ones are lost
)

// peer is another node, and the links with it.
type peer struct {
	peers *peers
	id    core.NodeID
	half  atomic.Int64 // nanoseconds that a message takes, as measured last
	tasks atomic.Int64 // that were sent to it

	announcing sync.Mutex // one inventory after the other is written
	told       bool       // that this node does not have any function; under announcing

	mu       sync.Mutex
	out      []*core.Parcel  // that wait to be written
	writing  bool            // there is a goroutine that writes them
	dialled  *websocket.Conn // by this node; nil: there is none
	accepted *websocket.Conn // from the peer's own IP
	opened   time.Time       // when the last one was
	dialling chan struct{}   // closed when a handshake has ended; nil: none is under way
	v1       bool

	listening []*websocket.Conn // links where the peer wants to hear what this node has
	said      *inventory        // what it has itself; nil: it has not said

	failed error     // of the last handshake
	until  time.Time // before it there is no other handshake
	back   time.Duration
}

// peer returns the peer of that number.
func (p *peers) peer(id core.NodeID) *peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.known[id]
	if x == nil {
		x = &peer{peers: p, id: id}
		p.known[id] = x
	}
	return x
}

// transit is what a message from a peer takes; 0 where there has been no link with it.
func (p *peers) transit(from core.NodeID) time.Duration {
	p.mu.Lock()
	x := p.known[from]
	p.mu.Unlock()
	if x == nil {
		return 0
	}
	return x.transit()
}

// post has a message sent, in order. It does not block: too many are lost, as on a network.
func (x *peer) post(m *core.Parcel) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.out) >= messagesHeld {
		x.peers.lost.Add(1)
		return
	}
	x.out = append(x.out, m)
	if !x.writing {
		x.writing = true
		x.peers.work.Go(x.write)
	}
}

// write sends what was posted, until there is nothing left.
func (x *peer) write() {
	p := x.peers
	var buffer []byte
	var messages []*core.Parcel
	for {
		clear(messages)
		x.mu.Lock()
		messages, x.out = x.out, messages[:0]
		x.writing = len(messages) > 0 && p.life.Err() == nil
		more := x.writing
		x.mu.Unlock()
		if !more {
			return
		}
		for _, m := range messages {
			buffer = x.send(m, buffer)
		}
	}
}

// send sends a message; the buffer is its own.
func (x *peer) send(m *core.Parcel, buffer []byte) []byte {
	p := x.peers
	c, err := x.link(p.life)
	switch {
	case err != nil:
		p.unreachable(m)
	case c == nil:
		p.sendV1(m)
	default:
		if buffer = appendMessage(buffer[:0], m); m.Kind == core.MsgReply || m.Kind == core.MsgHandover {
			buffer = p.node.options.Faults.garbage(buffer)
		}
		ctx, cancel := context.WithTimeout(p.life, linkPatience)
		err := c.Write(ctx, websocket.MessageBinary, buffer)
		cancel()
		if err != nil {
			x.broken(c, err)
			p.unreachable(m)
		}
	}
	return buffer
}

// link returns a link to the peer, which it opens where there is none; nil: the peer is a v1 node.
func (x *peer) link(ctx context.Context) (*websocket.Conn, error) {
	for {
		x.mu.Lock()
		waiting := time.Now().Before(x.until)
		switch {
		case x.dialled != nil:
			defer x.mu.Unlock()
			return x.dialled, nil
		case x.accepted != nil:
			defer x.mu.Unlock()
			return x.accepted, nil
		case waiting && x.v1:
			defer x.mu.Unlock()
			return nil, nil
		case waiting:
			defer x.mu.Unlock()
			return nil, x.failed
		case x.dialling == nil:
			x.dialling = make(chan struct{})
			x.peers.work.Go(x.dial)
		}
		ended := x.dialling
		x.mu.Unlock()
		select {
		case <-ended:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// dial opens a link and reads it until it breaks.
func (x *peer) dial() {
	p := x.peers
	ctx, cancel := context.WithTimeout(p.life, linkPatience)
	defer cancel()
	c, response, err := websocket.Dial(ctx, "ws"+p.url(x.id, "/peer/link")[len("http"):], &websocket.DialOptions{
		HTTPClient: p.http, Subprotocols: []string{linkProtocol},
		HTTPHeader: http.Header{"User-Agent": {wire.UserAgentNode}, wire.HeaderPeer: {p.node.address()},
			wire.HeaderPeerFunctions: {functionsSpoken}}})
	v1 := false
	switch {
	case err == nil && c.Subprotocol() != linkProtocol:
		_ = c.Close(websocket.StatusProtocolError, "the subprotocol is "+linkProtocol)
		v1, err = true, fmt.Errorf("it does not speak %s", linkProtocol)
	case err != nil && response != nil:
		text, _ := io.ReadAll(response.Body) // the library has kept its beginning
		err = wire.Unexpected("it", response, text)
		switch response.StatusCode {
		case http.StatusNotFound, http.StatusMethodNotAllowed:
			v1 = true
		case http.StatusBadRequest, http.StatusForbidden: // it knows the route, and not this node, or not what it speaks
			v1 = true
			slog.Warn("a peer refuses a link, and is served as a v1 node", "peer", p.address(x.id), "error", err)
		}
	}
	x.mu.Lock()
	close(x.dialling)
	x.dialling = nil
	switch {
	case err == nil:
		x.dialled, x.opened, x.v1, x.failed = c, time.Now(), false, nil
	case v1:
		x.v1, x.until = true, time.Now().Add(askV1Again)
	default:
		x.backOff(err)
	}
	x.mu.Unlock()
	switch {
	case err == nil:
		x.read(c, speaksFunctions(response.Header))
	case v1:
		x.forget()
	}
}

// backOff leaves the peer alone for a while. x.mu is held.
func (x *peer) backOff(why error) {
	if x.failed == nil && x.peers.life.Err() == nil {
		slog.Warn("there is no link to a peer", "peer", x.peers.address(x.id), "error", why)
	}
	x.v1, x.failed = false, why
	x.back = min(max(2*x.back, shortestBack), longestBack)
	x.until = time.Now().Add(x.back)
}

// broken gives up a link.
func (x *peer) broken(c *websocket.Conn, why error) {
	_ = c.CloseNow()
	x.mu.Lock()
	defer x.mu.Unlock()
	switch c {
	case x.dialled:
		x.dialled = nil
	case x.accepted:
		x.accepted = nil
	default:
		return // it has been given up before
	}
	if x.dialled != nil || x.accepted != nil {
		return // there is another one
	}
	status := websocket.CloseStatus(why)
	inOrder := status == websocket.StatusNormalClosure || status == websocket.StatusGoingAway || errors.Is(why, io.EOF)
	if time.Since(x.opened) > shortLife {
		x.back = 0
		if inOrder {
			slog.Debug("a peer has closed its link", "peer", x.peers.address(x.id))
			return
		}
	}
	x.backOff(why)
}

// read delivers what comes, until the link breaks.
func (x *peer) read(c *websocket.Conn, functions bool) {
	p := x.peers
	c.SetReadLimit(maxMessage)
	if functions {
		c.SetReadLimit(maxFunctions)
	}
	x.begin(c, functions)
	defer x.end(c)
	ctx, cancel := context.WithCancel(p.life)
	defer cancel()
	p.work.Go(func() { x.measure(ctx, c, functions) })
	for {
		kind, text, err := c.Read(ctx)
		if err != nil {
			x.broken(c, err)
			return
		}
		if functions && kind == websocket.MessageBinary && len(text) > 0 && text[0] == kindFunctions {
			var v inventory
			if v, err = parseInventory(text); err == nil {
				x.has(v)
				continue
			}
		}
		var m core.Parcel
		if err == nil {
			m, err = parseMessage(text)
		}
		if kind != websocket.MessageBinary || err != nil {
			slog.Warn("a peer sends what is no message", "peer", p.address(x.id), "error", err, "message", fmt.Sprintf("%.40x", text))
			_ = c.Close(websocket.StatusUnsupportedData, "this is no message of "+linkProtocol)
			x.broken(c, errors.New("the peer sent what is no message"))
			return
		}
		m.From, m.To = x.id, p.self
		m.Transit += x.transit()
		p.deliver(m)
	}
}

// transit is half of what a round trip takes: a clock tells no more about the way of one message.
func (x *peer) transit() time.Duration { return time.Duration(x.half.Load()) }

// measure times a round trip now and then. A link that does not come back from it is dead.
func (x *peer) measure(ctx context.Context, c *websocket.Conn, functions bool) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		bounded, cancel := context.WithTimeout(ctx, pingEvery)
		began := time.Now()
		err := c.Ping(bounded)
		cancel()
		if err != nil { // reading c says any other reason
			if ctx.Err() == nil && errors.Is(bounded.Err(), context.DeadlineExceeded) {
				x.broken(c, fmt.Errorf("the peer does not answer a ping within %v: %w", pingEvery, err))
			}
			return
		}
		half := time.Since(began) / 2
		x.half.Store(int64(half))
		x.peers.links.measured(half)
		if functions {
			x.announce() // again: whatever went wrong is put right
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// peerLink serves a node that opens a link.
func (n *Node) peerLink(c *gin.Context) {
	p := n.peers
	from := p.announced(c.Request)
	if from == core.NoNode || from == p.stranger { // nobody knows where to answer a stranger: it may ask in v1's way
		c.String(http.StatusForbidden, "%s does not say a peer's address that is its own\n", wire.HeaderPeer)
		return
	}
	if !slices.Contains(c.Request.Header.Values("Sec-Websocket-Protocol"), linkProtocol) {
		c.String(http.StatusBadRequest, "the subprotocol is %s\n", linkProtocol)
		return
	}
	if !p.enter() {
		c.Status(http.StatusServiceUnavailable)
		return
	}
	defer p.work.Done()
	c.Header(wire.HeaderPeerFunctions, functionsSpoken)
	conn, err := websocket.Accept(c.Writer, c.Request, &websocket.AcceptOptions{Subprotocols: []string{linkProtocol}})
	if err != nil {
		return // the library has answered
	}
	x := p.peer(from)
	functions := speaksFunctions(c.Request.Header)
	if at, err := parseAddress(p.address(from), SchedulerPort); err == nil && at.Addr().String() == remoteIP(c.Request) {
		x.accept(conn) // otherwise it may be somebody else: it is read, and nothing is sent to it
	}
	x.read(conn, functions)
}

// accept takes a link that the peer has opened for what is sent to it, too.
func (x *peer) accept(c *websocket.Conn) {
	x.mu.Lock()
	before := x.accepted
	x.accepted, x.opened, x.v1, x.failed, x.until = c, time.Now(), false, nil, time.Time{}
	x.mu.Unlock()
	if before != nil {
		_ = before.CloseNow() // the peer would not open another one if it still had that
	}
}
