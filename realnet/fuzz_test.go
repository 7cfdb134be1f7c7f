package realnet

//lint:file-ignore SA1019 the library keeps this path for its users; the code is that of github.com/coder/websocket

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"nhooyr.io/websocket"

	"github.com/p2pfaas/p2pfaas/core/membership"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

// Whatever a client sends to a service, it is answered, or its connection ends, and neither takes more memory than what
// was sent gives reason for.

// Memory that one request may take: of the node, and for each byte that was sent.
const (
	perRequest = 2 << 20
	perByte    = 256
)

// allocated is how many bytes the process has allocated until now.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// frugal fails where f takes more memory than n bytes of input give reason for. What runs beside it is counted, too: once
// is no proof.
func frugal(t *testing.T, n int, f func()) {
	t.Helper()
	taken := uint64(0)
	for range 3 {
		before := allocated()
		f()
		if taken = allocated() - before; taken <= perRequest+perByte*uint64(n) {
			return
		}
	}
	t.Errorf("%d bytes of input take %d bytes of memory", n, taken)
}

// only reaches one address.
func only(address string) http.RoundTripper {
	return &http.Transport{DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
		if to != address {
			return nil, fmt.Errorf("%s is not reached from here", to)
		}
		return new(net.Dialer).DialContext(ctx, network, to)
	}}
}

// serveRaw has a handler serve a request as it comes over the wire, whose client waits for 20 ms. The head is without the
// empty line that ends it, and the length of the body is added to it, unless it says its own.
func serveRaw(t *testing.T, h http.Handler, head, body string) {
	t.Helper()
	if !strings.Contains(head, "Content-Length") {
		head += fmt.Sprintf("\r\nContent-Length: %d", len(body))
	}
	sent := head + "\r\nHost: 127.0.0.1\r\n\r\n" + body
	frugal(t, len(sent), func() { serveWire(t, h, sent) })
}

func serveWire(t *testing.T, h http.Handler, sent string) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(sent)))
	if err != nil {
		return // net/http refuses it before any handler
	}
	r.RemoteAddr = "127.0.0.9:4000"
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	w := httptest.NewRecorder()
	func() {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // it is the value itself
				panic(p)
			}
		}()
		h.ServeHTTP(w, r.WithContext(ctx))
	}()
	if w.Code < 200 || w.Code > 599 {
		t.Errorf("the answer to %q has the status %d", sent, w.Code)
	}
	for name, values := range w.Header() {
		for _, v := range values {
			if strings.ContainsAny(name+v, "\r\n\x00") {
				t.Errorf("the answer to %q has the header %q: %q", sent, name, v)
			}
		}
	}
	if strings.HasPrefix(w.Header().Get("Content-Type"), wire.ContentTypeJSON) && w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
		t.Errorf("the answer to %q is no JSON: %q", sent, w.Body)
	}
}

func FuzzSchedulerService(f *testing.F) {
	for _, line := range []string{
		"GET /function/f HTTP/1.1\r\nX-P2pfaas-Demand: 0.001\r\nX-P2pfaas-Deadline: 0.1\r\nX-P2pfaas-Priority: 3\r\nX-P2pfaas-Task-Type: 1.0",
		"POST /function/f HTTP/1.1\r\nX-P2pfaas-Scheduler-Bypass: true\r\nContent-Length: 0",
		"POST /peer/function/f HTTP/1.1\r\nContent-Type: application/json",
		"POST /peer/task/f HTTP/1.1\r\nX-P2pfaas-Task: {\"token\":1,\"id\":2,\"hops\":1}",
		"GET /peer/link HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
		"PUT /functions/f HTTP/1.1\r\nContent-Type: application/json",
		"DELETE /functions/..%2ff HTTP/1.1",
		"GET /monitoring/load HTTP/1.1\r\nUser-Agent: Machine",
		"POST /configuration HTTP/1.1\r\nContent-Type: application/json",
		"POST /configuration/scheduler HTTP/1.1\r\nContent-Type: application/json",
		"POST /system/functions HTTP/1.1\r\nContent-Type: application/json",
		"POST /system/scale-function/f HTTP/1.1\r\nContent-Type: application/json",
		"PUT /dev/faults HTTP/1.1\r\nContent-Type: application/json",
	} {
		for _, body := range []string{"", `{"parallel_running_functions_max":4,"queue_length_max":4,"queue_enabled":true}`,
			`{"name":"PowerOfNScheduler","parameters":["1","2","true","1"]}`, `{"url":"http://127.0.0.1:1/"}`, `{"service":"f","replicas":1}`,
			`[{"fault":4,"kind":"garbage","nodes":[0,1]},{"fault":0,"kind":"slow","nodes":[1]}]`, `[{"fault":8,"kind":"partition"}]`} {
			f.Add(line, body)
		}
	}
	answer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("done")) }))
	f.Cleanup(answer.Close)
	o := NodeOptions{Slots: 2, Room: 2, Queue: true, Scheduler: DefaultScheduler(), Identity: Identity{ID: "node-0", IP: "127.0.0.1"}}
	o.Backend.URL = answer.URL
	o.Faults = NewFaults(scenariotest.One(f, faultyScenario), 0, 1, []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"})
	o.Forwarding.ProbeTimeout = 5 * time.Millisecond
	n, err := OpenNode(o)
	if err != nil {
		f.Fatal(err)
	}
	n.options.Backend.http = &http.Client{Transport: only(answer.Listener.Addr().String())}
	f.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = n.Shutdown(ctx)
	})
	h := n.SchedulerHandler()
	f.Fuzz(func(t *testing.T, head, body string) { serveRaw(t, h, head, body) })
}

func FuzzDiscoveryService(f *testing.F) {
	for _, line := range []string{
		"GET /list HTTP/1.1\r\nUser-Agent: Machine\r\nX-P2pfaas-Machine-Ip: 127.0.0.2\r\nX-P2pfaas-Machine-Id: a\r\nX-P2pfaas-Machine-Group-Name: g",
		"POST /configuration HTTP/1.1\r\nContent-Type: application/json", "GET /configuration HTTP/1.1", "GET /reset HTTP/1.1", "GET /metrics HTTP/1.1",
	} {
		f.Add(line, "")
		f.Add(line, `{"machine_id":"a","machine_ip":"127.0.0.1","machine_group_name":"g","init_servers":["127.0.0.2:1","127.0.0.3"]}`)
	}
	at := netip.MustParseAddr("127.0.0.1")                                   // whoever is bound to it reaches no other machine
	free, err := net.ListenPacket("udp", netip.AddrPortFrom(at, 0).String()) // each process that fuzzes has a port of its own
	if err != nil {
		f.Fatal(err)
	}
	port := free.LocalAddr().(*net.UDPAddr).Port
	free.Close()
	s, err := OpenDiscovery(DiscoveryOptions{Identity: Identity{IP: at.String()}, Bind: at, Port: port, Group: "g", Membership: membership.DefaultOptions(0),
		Stream: *random.Stream(1, 0, random.Membership, 0),
		Resolve: func(context.Context, string, string) ([]netip.Addr, error) {
			return nil, errors.New("there are no names here")
		}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	s.client = &http.Client{Transport: only("")}
	h := s.Handler()
	f.Fuzz(func(t *testing.T, head, body string) { serveRaw(t, h, head, body) })
}

func FuzzLearnerService(f *testing.F) {
	entry := "X-P2pfaas-Learning-Eid: 1\r\nX-P2pfaas-Learning-State: 0.0,1.0\r\nX-P2pfaas-Learning-Action: 1.0\r\nX-P2pfaas-Learning-Reward: -1"
	for _, line := range []string{"GET /act", "GET /train", "POST /train_batch", "POST /learner/parameters", "GET /learner/weights", "GET /learner/file",
		"GET /learner/stats", "GET /learner/reset"} {
		for _, body := range []string{"", `[{"eid":"2","state":"0,1","action":1,"reward":"0.5"}]`, `{"actions_n":3,"alpha":0.1,"window_size":2}`} {
			f.Add(line+" HTTP/1.1\r\nContent-Type: application/json\r\n"+entry, body)
		}
	}
	s, err := OpenLearner(LearnerServiceOptions{Config: learner.Default(), Stream: *random.Stream(1, 0, random.Learner, 0)})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.Close)
	h := s.Handler()
	f.Fuzz(func(t *testing.T, head, body string) { serveRaw(t, h, head, body) })
}

// FuzzLearnerWebsocket sends frames to a learner: a state is answered, and what is none ends the connection.
func FuzzLearnerWebsocket(f *testing.F) {
	f.Add([]byte("[0,1]"), true)
	f.Add([]byte("[0,null,1e999]"), false)
	f.Add([]byte("[[]]"), true)
	s, err := OpenLearner(LearnerServiceOptions{Config: learner.Default(), Stream: *random.Stream(1, 0, random.Learner, 0)})
	if err != nil {
		f.Fatal(err)
	}
	server := httptest.NewServer(s.Websocket())
	f.Cleanup(func() { s.Close(); server.Close() })
	var c *websocket.Conn
	f.Fuzz(func(t *testing.T, frame []byte, text bool) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if c == nil {
			if c, _, err = websocket.Dial(ctx, server.URL, nil); err != nil {
				t.Fatal(err)
			}
		}
		kind := websocket.MessageBinary
		if text {
			kind = websocket.MessageText
		}
		frugal(t, len(frame), func() {
			if c == nil {
				return // it has ended
			}
			if err := c.Write(ctx, kind, frame); err != nil {
				t.Fatal(err)
			}
			_, answer, err := c.Read(ctx)
			var action, epsilon float64
			switch n, _ := fmt.Sscanf(string(answer), "%f,%f", &action, &epsilon); {
			case ctx.Err() != nil:
				t.Errorf("no answer to %q", frame)
			case err != nil:
				_ = c.CloseNow()
				c = nil
			case n != 2 || !(action >= 0 && epsilon >= 0 && epsilon <= 1):
				t.Errorf("%q is answered with %q", frame, answer)
			}
		})
	})
}
