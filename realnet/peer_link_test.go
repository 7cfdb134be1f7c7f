package realnet

//lint:file-ignore SA1019 the library keeps this path for its users; the code is that of github.com/coder/websocket

import (
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nhooyr.io/websocket"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// probing asks one peer for each decision.
var probing = Descriptor{Name: "PowerOfNScheduler", Named: map[string]any{"fanout": 1, "threshold": 0}}

// servePeer serves what is to be taken for a node.
func servePeer(t *testing.T, h http.HandlerFunc) (address string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// said takes what is logged from now on.
func said(t *testing.T) func() string {
	t.Helper()
	var mu sync.Mutex
	var text bytes.Buffer
	log.SetOutput(writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return text.Write(p)
	}))
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return text.String()
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// Who does not know the route is a v1 node; who refuses this node is served as one, and that is told. Any other refusal is told,
// too, and is a failure.
func TestLinkRefused(t *testing.T) {
	said := said(t)
	for _, x := range []struct {
		status   int
		v1, told bool
	}{{404, true, false}, {405, true, false}, {400, true, true}, {403, true, true}, {429, false, true}, {500, false, true}} {
		var asked atomic.Int32 // in v1's way
		m := openMesh(t, 1, function, func(_ int, o *NodeOptions) { o.Scheduler = probing })
		m.nodes.nodes[0].SetPeers([]string{servePeer(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/monitoring/load" {
				asked.Add(1)
			}
			http.Error(w, "because "+http.StatusText(x.status), x.status)
		})})
		if r := m.ask(0, "POST", "/function/f", ""); r.status != 200 || (asked.Load() == 1) != x.v1 {
			t.Errorf("a handshake refused with %d: %d, asked %d times in v1's way, want it so: %v", x.status, r.status, asked.Load(), x.v1)
		}
		if told := strings.Contains(said(), "because "+http.StatusText(x.status)); told != x.told {
			t.Errorf("a handshake refused with %d: told %v in %s", x.status, told, said())
		}
	}
}

// A peer that closes its links in order, each time at once, is not asked for another one at once.
func TestLinkClosedAtOnce(t *testing.T) {
	var opened atomic.Int32
	address := servePeer(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{linkProtocol}})
		if err != nil {
			return
		}
		opened.Add(1)
		_ = c.Close(websocket.StatusGoingAway, "later")
	})
	m := openMesh(t, 1, function, func(_ int, o *NodeOptions) {
		o.Scheduler, o.Forwarding.ProbeTimeout = probing, 20*time.Millisecond
	})
	m.nodes.nodes[0].SetPeers([]string{address})
	began := time.Now()
	eventually(t, "four links were opened", func() bool {
		if r := m.ask(0, "POST", "/function/f", ""); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
		return opened.Load() >= 4
	})
	if took, least := time.Since(began), (1+2+4)*shortestBack; took < least {
		t.Errorf("four links were opened within %v, want pauses of %v in all", took, least)
	}
}

// Who calls from elsewhere in a peer's name may be the peer. It is heard, but nothing is sent there, and the peer keeps its
// link.
func TestLinkFromElsewhere(t *testing.T) {
	m := openMesh(t, 2, function, func(_ int, o *NodeOptions) { o.Scheduler = probing })
	ask := func() int64 {
		t.Helper()
		before := m.nodes.nodes[1].Status().Messages.Received
		if r := m.ask(0, "POST", "/function/f", ""); r.status != 200 {
			t.Errorf("%d %s", r.status, r.body)
		}
		return m.nodes.nodes[1].Status().Messages.Received - before
	}
	stranger := func() *websocket.Conn {
		t.Helper()
		c, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(m.servers[0].URL, "http")+"/peer/link", &websocket.DialOptions{
			Subprotocols: []string{linkProtocol}, HTTPHeader: http.Header{"User-Agent": {wire.UserAgentNode}, wire.HeaderPeer: {m.addresses[1]}}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := stranger(); true { // before there is a link
		defer c.CloseNow()
	}
	for range 2 {
		if got := ask(); got == 0 {
			t.Error("the peer was not probed: the stranger was")
		}
		c := stranger()
		defer c.CloseNow()
		if err := c.Write(t.Context(), websocket.MessageBinary, appendMessage(nil, &core.Parcel{Kind: core.MsgTell, Load: unknown})); err != nil {
			t.Error(err)
		}
	}
	if paths := m.between(); paths["peer/link"] != 4 {
		t.Errorf("%d handshakes, want the three of the stranger and one", paths["peer/link"])
	}
	eventually(t, "the stranger was heard", func() bool { return m.nodes.nodes[0].Status().Messages.Received >= 4 })
}

// Whoever claims to be one costs neither goroutines nor numbers that others need.
func TestStrangersCostLittle(t *testing.T) {
	m := openMesh(t, 1, function, nil)
	p := m.nodes.nodes[0].peers
	for i := range 50 {
		r, err := http.NewRequest("POST", m.servers[0].URL+"/peer/task/f", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("User-Agent", wire.UserAgentNode)
		r.Header.Set(wire.HeaderPeer, net.JoinHostPort("127.0.0.1", strconv.Itoa(200+i)))
		r.Header.Set(wire.HeaderPeerTask, `{"token":1,"id":1,"hops":1,"visited":[]}`)
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(a.Body)
		if a.Body.Close(); a.StatusCode != 200 {
			t.Fatalf("%s %s", a.Status, text)
		}
	}
	if n := len(p.known); n != 0 {
		t.Errorf("%d peers are kept, to none of which anything was to be said", n)
	}
	for i := range mostNamed + 10 {
		p.named(net.JoinHostPort("10.0.0.1", strconv.Itoa(1+i)))
	}
	if id := p.named("10.0.0.2"); id != p.stranger {
		t.Errorf("the machine named after %d others has the number %d", mostNamed, id)
	}
	m.nodes.nodes[0].SetPeers([]string{"10.0.0.3"})
	if got := m.nodes.nodes[0].Status().Peers; len(got) != 1 || got[0] != "10.0.0.3" {
		t.Errorf("the peers are %v: there was no number left for the one that the node is told", got)
	}
}
