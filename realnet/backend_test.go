package realnet

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// A function runs once for a request, also where its connection dies under what net/http would repeat.
func TestFunctionRunsOnce(t *testing.T) {
	for _, where := range []string{wire.HeaderBypass, wire.HeaderForward} {
		for _, x := range []struct{ method, body, key string }{{"GET", "", "X-No-Key"}, {"GET", "body", "X-No-Key"}, {"POST", "body", "X-No-Key"},
			{"POST", "", "Idempotency-Key"}, {"POST", "body", "Idempotency-Key"}, {"POST", "body", "X-Idempotency-Key"}} {
			var ran atomic.Int32
			m := openMesh(t, 2, func(w http.ResponseWriter, r *http.Request) {
				if ran.Add(1) == 1 {
					return // the connection is kept for the next request
				}
				c, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				c.Close()
			}, nil)
			for want := range int32(3) {
				r := m.ask(0, x.method, "/function/f", x.body, where, "1", x.key, "1")
				if ran.Load() != want+1 || (r.status == 200) != (want == 0) {
					t.Errorf("%v with %s: request %d: %d %s, and the function has run %d times", x, where, want, r.status, r.body, ran.Load())
				}
			}
		}
	}
}

// The same between nodes: a peer that breaks off has perhaps executed the task, which then runs here, as configured, but not
// there again.
func TestPeerTakesTaskOnce(t *testing.T) {
	var taken atomic.Int32
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := openMesh(t, 1, function, func(_ int, o *NodeOptions) { o.Scheduler = forwardAll })
	peer, err := OpenNode(NodeOptions{Identity: Identity{ID: "peer", IP: l.Addr().String()}, Slots: 1, Scheduler: DefaultScheduler(),
		Backend: Backend{URL: m.function.URL}})
	if err != nil {
		t.Fatal(err)
	}
	h := peer.SchedulerHandler()
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/peer/task/") && taken.Add(1) > 1 {
			panic(http.ErrAbortHandler)
		}
		h.ServeHTTP(w, r)
	})}}
	s.Start()
	defer func() {
		if err := peer.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		s.Close()
	}()
	m.nodes.nodes[0].SetPeers([]string{l.Addr().String()})
	for want := range int32(3) {
		r := m.ask(0, "GET", "/function/f", "")
		if moved := r.header.Get(wire.HeaderExternallyExecuted) == "True"; taken.Load() != want+1 || r.status != 200 || moved != (want == 0) {
			t.Errorf("request %d: %d %s, at the peer %v, which was called %d times", want, r.status, r.body, moved, taken.Load())
		}
	}
	if s := m.nodes.nodes[0].Status().Messages; s.Sent != 3 || s.Received != 1 || s.Lost != 2 {
		t.Errorf("%+v, want 3 sent, 1 received, 2 lost", s)
	}
}

// A status that HTTP does not have for an answer is no answer, and costs the request, not the node.
func TestFunctionStatus(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var status atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(time.Minute))
			_, _ = c.Read(make([]byte, 4096))
			fmt.Fprintf(c, "HTTP/1.1 %03d Whatever\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status.Load())
			c.Close()
		}
	}()
	c := openNodes(t, 1, NodeOptions{Backend: Backend{URL: "http://" + l.Addr().String()}})
	for s, want := range map[int32]int{0: 500, 99: 500, 101: 500, 200: 200, 599: 599, 999: 999} {
		status.Store(s)
		if r := c.ask(0, "GET", "/function/f", ""); r.status != want {
			t.Errorf("the function answers %03d: %d %s, want %d", s, r.status, r.body, want)
		}
	}
}

// Who asks for a function that does not exist is told so; that its node is down is not what became of the request.
func TestNoSuchFunction(t *testing.T) {
	c := openNodes(t, 1, NodeOptions{Backend: Backend{URL: "http://{function}:8080/",
		Functions: map[string]Function{"described": {URL: "http://elsewhere/"}}}})
	c.nodes[0].options.Backend.http.Transport = &http.Transport{DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
		host, _, _ := net.SplitHostPort(address)
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}}
	for function, reason := range map[string]string{"nofunc": "there is no function nofunc: ", "described": "calling function described: "} {
		r := c.ask(0, "POST", "/function/"+function, "")
		var f wire.Failure
		if err := json.Unmarshal([]byte(r.body), &f); err != nil || r.status != 500 || f.Code != wire.CodeGeneric ||
			!strings.HasPrefix(f.Reason, reason) || !strings.Contains(f.Reason, "no such host") {
			t.Errorf("%s: %d %s, want the reason %s", function, r.status, r.body, reason)
		}
		if task := r.header.Get(wire.HeaderTask); !strings.Contains(task, `"outcome":"lost-no-answer"`) {
			t.Errorf("%s: the task is %s", function, task)
		}
	}
}
