package realnet

//lint:file-ignore SA1019 the library keeps this path for its users; the code is that of github.com/coder/websocket

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"

	"nhooyr.io/websocket"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// What nodes tell each other about their functions, on their links (docs/wire/peers.md). It is no message of the algorithm: an
// emulated link neither holds nor loses it.

// functionsSpoken is the version of this, in headerPeerFunctions of a handshake's request and of its answer.
const functionsSpoken = "1"

const (
	// kindFunctions is the first byte of the message; kinds of core.Msg are below it.
	kindFunctions = 64
	// longestName is that of a function, in bytes.
	longestName = 253
	// maxFunctions bounds the message, in bytes.
	maxFunctions = 16 + mostFunctions*(longestName+2)
)

// What an inventory says, as bits.
const hasAny = 1

// appendInventory appends what a node has.
func appendInventory(b []byte, v *inventory) []byte {
	flags := byte(0)
	if v.any {
		flags |= hasAny
	}
	b = append(b, kindFunctions, flags)
	b = binary.AppendUvarint(b, uint64(len(v.names)))
	for _, name := range v.names {
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
	}
	return b
}

// parseInventory reads it whole.
func parseInventory(b []byte) (v inventory, err error) {
	r := reader{left: b}
	kind, flags := r.byte(), r.byte()
	v.any = flags&hasAny != 0
	for range r.unsigned(mostFunctions) {
		n := int(r.unsigned(longestName))
		if r.broken = r.broken || len(r.left) < n; r.broken {
			break
		}
		name := string(r.left[:n])
		r.left = r.left[n:]
		if !validFunction(name) || len(v.names) > 0 && name <= v.names[len(v.names)-1] {
			return v, fmt.Errorf("%.80q is no name of a function, or not in its place", name)
		}
		v.names = append(v.names, name)
	}
	if r.broken || len(r.left) > 0 || kind != kindFunctions || flags > hasAny {
		return v, errors.New("it is cut off, or has too much, or a number is out of bounds")
	}
	return v, nil
}

// speaksFunctions reports whether the other side of a handshake understands and sends inventories.
func speaksFunctions(h http.Header) bool { return h.Get(wire.HeaderPeerFunctions) == functionsSpoken }

// greet opens links to peers, so that they hear what this node has before it has anything else to say.
func (p *peers) greet(ids []core.NodeID) {
	for _, id := range ids {
		x := p.peer(id)
		if p.enter() {
			go func() {
				defer p.work.Done()
				_, _ = x.link(p.life) // a peer that is not there yet opens one itself, or hears it with the first message
			}()
		}
	}
}

// announce tells all peers that listen what this node has, and returns when they have taken it or do not answer: who then takes a
// function from another node knows that these look for it here.
func (p *peers) announce() {
	p.mu.Lock()
	known := make([]*peer, 0, len(p.known))
	for _, x := range p.known {
		known = append(known, x)
	}
	p.mu.Unlock()
	var telling sync.WaitGroup
	for _, x := range known {
		telling.Go(x.announce)
	}
	telling.Wait()
}

// announce tells the peer, on each link where it listens: one inventory after the other, and each what is true when it is
// written, so that the last one is right. Who has any function says so only to whom it has said otherwise.
func (x *peer) announce() {
	x.announcing.Lock()
	defer x.announcing.Unlock()
	x.mu.Lock()
	listening := slices.Clone(x.listening)
	x.mu.Unlock()
	for _, c := range listening {
		v := x.peers.node.has()
		if x.told = x.told || !v.any; !x.told {
			return
		}
		if err := x.tell(c, &v); err != nil {
			x.broken(c, err)
		}
	}
}

// tell writes what this node has. The answer to a ping comes from who has read what was written before it.
func (x *peer) tell(c *websocket.Conn, v *inventory) error {
	ctx, cancel := context.WithTimeout(x.peers.life, linkPatience)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageBinary, appendInventory(nil, v)); err != nil {
		return err
	}
	if err := c.Ping(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil // whether a silent peer is dead is found out elsewhere
}

// begin begins a link: a peer that listens is told what this node has; one that does not has every function, as far as
// anybody knows, whatever a program that ran there before has said.
func (x *peer) begin(c *websocket.Conn, listens bool) {
	if !listens {
		x.forget()
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if c == x.dialled || c == x.accepted { // on others nothing is sent
		x.listening = append(x.listening, c)
		x.peers.work.Go(x.announce)
	}
}

// end forgets a link.
func (x *peer) end(c *websocket.Conn) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.listening = slices.DeleteFunc(x.listening, func(d *websocket.Conn) bool { return d == c })
}

// has takes what the peer says that it has.
func (x *peer) has(v inventory) {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := x.peers.node
	if x.said != nil && x.said.equal(&v) || x.said == nil && v.any && n.options.Holders == nil {
		return // that is known
	}
	x.said = &v
	slog.Info("a peer says what functions it has", "peer", x.peers.address(x.id), "any", v.any, "functions", v.names)
	n.mailbox.Post(n.functions.input(x.id, &v))
}

// forget takes the peer for one that has said nothing.
func (x *peer) forget() {
	x.mu.Lock()
	said := x.said != nil && !x.said.any
	x.mu.Unlock()
	if said {
		x.has(inventory{any: true})
	}
}
