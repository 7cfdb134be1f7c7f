package realnet

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// function is what the nodes of these tests run: it says what it was asked, and does what the body tells it.
func function(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Function", "mirror")
	w.Header().Set(headerHops, "99") // it may not say that
	w.Header().Set("Content-Type", "text/x-mirror")
	command, argument, _ := strings.Cut(string(text), " ")
	switch command {
	case "status":
		var status int
		fmt.Sscan(argument, &status)
		w.WriteHeader(status)
	case "sleep":
		d, _ := time.ParseDuration(argument)
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
	}
	fmt.Fprintf(w, "%s %s %s %q %q", r.Method, r.URL.RawQuery, text, r.Header.Get("X-Client"), r.Header.Get(headerTracing))
}

// net of nodes, each with its scheduler service on loopback.
type nodes struct {
	t       *testing.T
	nodes   []*Node
	servers []*httptest.Server
}

func openNodes(t *testing.T, count int, o NodeOptions) *nodes {
	t.Helper()
	f := httptest.NewServer(http.HandlerFunc(function))
	t.Cleanup(f.Close)
	if o.Backend.URL == "" {
		o.Backend.URL = f.URL
	}
	if o.Slots == 0 {
		o.Slots, o.Room, o.Queue = 4, 4, true
	}
	if o.Scheduler.Name == "" {
		o.Scheduler = DefaultScheduler()
	}
	if o.Forwarding.ProbeTimeout == 0 {
		o.Forwarding.ProbeTimeout = 500 * time.Millisecond
	}
	c := &nodes{t: t}
	for i := range count {
		o.Identity = Identity{ID: fmt.Sprintf("node-%d", i), IP: fmt.Sprintf("127.0.0.%d", i+1)}
		n, err := OpenNode(o)
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewServer(n.SchedulerHandler())
		c.nodes, c.servers = append(c.nodes, n), append(c.servers, s)
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if err := n.Shutdown(ctx); err != nil {
				t.Errorf("shutdown: %v", err)
			}
			s.Close()
		})
	}
	for i, n := range c.nodes {
		var others []string
		for k, s := range c.servers {
			if k != i {
				others = append(others, strings.TrimPrefix(s.URL, "http://"))
			}
		}
		n.SetPeers(others)
	}
	return c
}

// reply is an answer as a client sees it.
type reply struct {
	status int
	header http.Header
	body   string
}

func (c *nodes) ask(i int, method, path, content string, header ...string) reply {
	c.t.Helper()
	r, err := http.NewRequest(method, c.servers[i].URL+path, strings.NewReader(content))
	if err != nil {
		c.t.Fatal(err)
	}
	for k := 0; k < len(header); k += 2 {
		r.Header.Set(header[k], header[k+1])
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Error(err)
		return reply{header: http.Header{}}
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		c.t.Error(err)
	}
	return reply{a.StatusCode, a.Header, string(text)}
}

// The routes one by one, on one node (wire page, sections 1.2 to 1.9).
func TestWireScheduler(t *testing.T) {
	c := openNodes(t, 1, NodeOptions{Limits: Limits{Body: 1000}})
	for _, x := range []struct {
		method, path, body string
		header             []string
		status             int
		says               string            // its body contains this
		headers            map[string]string // "": it has none
	}{
		{"GET", "/", "", nil, 200, `{"name":"p2pfaas-scheduler","version":"0.3.0b","version_commit":"xxx"}`, map[string]string{"Content-Type": "text/plain; charset=utf-8"}},
		{"POST", "/", "", nil, 200, `"p2pfaas-scheduler"`, nil},
		{"DELETE", "/", "", nil, 405, "", nil},
		{"GET", "/nowhere", "", nil, 404, "404", nil},
		{"GET", "/peer/function/f", "", nil, 405, "", nil},
		{"GET", "/configuration", "", nil, 200, `{"parallel_running_functions_max":4,"queue_length_max":4,"queue_enabled":true}`, nil},
		{"GET", "/configuration/scheduler", "", nil, 200, `{"name":"PowerOfNScheduler","parameters":["1","2","true","1"]}`, nil},
		{"GET", "/monitoring/load", "", nil, 200, "", map[string]string{headerLoad: "0", headerMaxLoad: "4", headerQueueLength: "0"}},
		{"POST", "/function/f", "hello", []string{headerTracing, "n1t2", "X-Client", "me"}, 200, `POST  hello "me" ""`,
			map[string]string{headerVersion: "0.3.0b", headerScheduler: "PowerOfNScheduler(1, 2, true, 1)", "X-Function": "mirror",
				"Content-Type": "text/x-mirror", headerHops: "", headerExternally: "", headerProbings: ""}},
		{"GET", "/function/f.g-h?a=b", "", nil, 200, `GET a=b  "" ""`, nil},
		{"POST", "/function/f", "status 404", nil, 404, "status 404", map[string]string{headerExternally: ""}},
		{"POST", "/function/f", "status 201", nil, 201, "status 201", nil},
		{"POST", "/function/f", "", []string{headerBypass, "yes"}, 200, "", map[string]string{headerScheduler: "NoScheduler"}},
		{"POST", "/function/f", "", []string{headerForward, "yes"}, 200, "", map[string]string{headerScheduler: "ForwardScheduler(1)"}},
		{"POST", "/function/f", "", []string{headerReject, "yes"}, 503, `{"code":401,"message":"Job has been deliberately rejected"}`,
			map[string]string{headerScheduler: "RejectScheduler", headerVersion: "0.3.0b", "Content-Type": "application/json", headerTotals: ""}},
		{"POST", "/function/f", "", []string{headerReject, "yes", headerBypass, "yes"}, 200, "", nil},
		{"POST", "/function/..%2Fetc", "", nil, 404, "", nil},
		{"POST", "/function/a:1", "", nil, 400, `"code":100`, nil},
		{"POST", "/function/f", strings.Repeat("x", 1001), nil, 413, `"code":408`, nil},
		{"POST", "/peer/function/f", `{}`, nil, 500, `"code":1`, nil},
		{"POST", "/peer/function/f", `{`, []string{"User-Agent", "Machine"}, 400, `"code":4`, nil},
		{"POST", "/peer/function/f", `{"hops":1,"payload":"aGk=","content_type":"text/plain","peers_list":null,"headers":null}`,
			[]string{"User-Agent", "Machine"}, 200, `"status_code":200`, nil},
		{"POST", "/configuration", `{"queue_length_max":"x"}`, nil, 500, `"code":1`, nil},
		{"POST", "/configuration", `{"parallel_running_functions_max":-1}`, nil, 500, `"code":1`, nil},
		{"POST", "/configuration", `{"parallel_running_functions_max":2,"queue_enabled":false}`, nil, 200, "", nil},
		{"GET", "/configuration", "", nil, 200, `{"parallel_running_functions_max":2,"queue_length_max":4,"queue_enabled":false}`, nil},
		{"POST", "/configuration/scheduler", `{"name":"NoSuch","parameters":[]}`, nil, 500, "Bad passed parameters for scheduler", nil},
		{"POST", "/configuration/scheduler", `{"name":"PowerOfNScheduler","parameters":["1"]}`, nil, 500, `"code":1`, nil},
		{"POST", "/configuration/scheduler", `{`, nil, 400, `"code":4`, nil},
		{"POST", "/configuration/scheduler", `{"name":"NoScheduler","parameters":["true","and more"]}`, nil, 200, "", nil},
		{"GET", "/configuration/scheduler", "", nil, 200, `{"name":"NoScheduler","parameters":["true"]}`, nil},
		{"POST", "/configuration/scheduler", `{"name":"RoundRobinWithMasterScheduler","parameters":["false","127.0.0.9","true"]}`, nil, 200, "", nil},
		{"GET", "/configuration/scheduler", "", nil, 200, `["false","127.0.0.9","true"]`, nil},
	} {
		r := c.ask(0, x.method, x.path, x.body, x.header...)
		what := fmt.Sprintf("%s %s %.40s %v", x.method, x.path, x.body, x.header)
		if r.status != x.status || !strings.Contains(r.body, x.says) {
			t.Errorf("%s: %d %q, want %d with %q", what, r.status, r.body, x.status, x.says)
		}
		if x.status == 405 && r.body != "" {
			t.Errorf("%s: body %q, want none", what, r.body)
		}
		for name, want := range x.headers {
			if got := r.header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", what, name, got, want)
			}
		}
	}
}

// What a client learns about a request that a peer executed (wire page, section 1.4).
func TestWireForwarded(t *testing.T) {
	c := openNodes(t, 2, NodeOptions{Scheduler: Descriptor{Name: "ForwardScheduler", Parameters: []string{"1"}}})
	r := c.ask(0, "POST", "/function/f", "hello", headerTracing, "n0t1")
	for name, want := range map[string]string{headerScheduler: "ForwardScheduler(1)", headerExternally: "True", headerHops: "1",
		headerPeersIP: `["127.0.0.1","127.0.0.2"]`, headerPeersID: `["node-0","node-1"]`} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if r.status != 200 || !strings.HasPrefix(r.body, "POST  hello") {
		t.Errorf("%d %q", r.status, r.body)
	}
	for _, name := range []string{headerTotals, headerSchedulings, headerProbings} {
		var list []float64
		if err := json.Unmarshal([]byte(r.header.Get(name)), &list); err != nil || len(list) != 2 {
			t.Errorf("%s is %q, want a list of two: %v", name, r.header.Get(name), err)
		} else if name == headerTotals && !(list[0] > list[1] && list[1] > 0) {
			t.Errorf("totals %v: the entry node's must be the longer", list)
		}
	}
	if r := c.ask(0, "POST", "/function/f", "status 404"); r.status != 404 || r.header.Get(headerHops) != "1" {
		t.Errorf("a status of a function at a peer: %d with %s hops, want 404 with 1", r.status, r.header.Get(headerHops))
	}
}

// A peer that refuses, of this project and of v1: as v1 does, the entry node passes the refusal on, with the way that the
// task went; or it falls back.
func TestWireRefused(t *testing.T) {
	v1 := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/peer/function/") {
			http.NotFound(w, r)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, `{"peers_list":[{"machine_id":"old","machine_ip":"10.0.0.9","timings":{"total_time":0.001}}],`+
			`"body":%q,"status_code":503}`, base64.StdEncoding.EncodeToString([]byte(`{"code":401,"message":"not today"}`)))
	}))
	defer v1.Close()
	full := openNodes(t, 1, NodeOptions{Slots: 1, Queue: false, Scheduler: Descriptor{Name: "NoScheduler", Parameters: []string{"true"}}})
	occupied, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		r, _ := http.NewRequestWithContext(occupied, "POST", full.servers[0].URL+"/function/f", strings.NewReader("sleep 1m"))
		if a, err := http.DefaultClient.Do(r); err == nil {
			a.Body.Close()
		}
	}()
	eventually(t, "an execution at the peer", func() bool { return full.nodes[0].Status().Running == 1 })
	for _, peer := range []struct {
		url, body, ip string
		status        int
	}{
		{full.servers[0].URL, `{"code":400,"message":"Job cannot be scheduled: "}`, `["127.0.0.1","127.0.0.1"]`, 500},
		{v1.URL, `{"code":401,"message":"not today"}`, `["127.0.0.1","10.0.0.9"]`, 503},
	} {
		for _, fallback := range []core.Fallback{core.FallbackFail, core.FallbackExecute} {
			c := openNodes(t, 1, NodeOptions{Scheduler: forwardAll, Forwarding: core.Forwarding{OnRefusal: core.FallbackFail - fallback}})
			r := c.ask(0, "POST", "/configuration/scheduler", fmt.Sprintf(
				`{"name":"ForwardScheduler","named":{},"forwarding":{"max_hops":1,"on_refusal":%q}}`, fallback))
			if r.status != 200 {
				t.Fatalf("%d %s", r.status, r.body)
			}
			c.nodes[0].SetPeers([]string{strings.TrimPrefix(peer.url, "http://")})
			r = c.ask(0, "POST", "/function/f", "hello")
			if fallback == core.FallbackExecute {
				if r.status != 200 || r.header.Get(headerExternally) != "" || r.header.Get(headerHops) != "" {
					t.Errorf("%s, executed here: %d %q %v", peer.url, r.status, r.body, r.header)
				}
				continue
			}
			if r.status != peer.status || r.body != peer.body || r.header.Get(headerExternally) != "True" ||
				r.header.Get(headerHops) != "1" || r.header.Get(headerPeersIP) != peer.ip {
				t.Errorf("%s, passed on: %d %q %v", peer.url, r.status, r.body, r.header)
			}
			var totals []float64
			if err := json.Unmarshal([]byte(r.header.Get(headerTotals)), &totals); err != nil || len(totals) != 2 {
				t.Errorf("%s is %q, want a list of two: %v", headerTotals, r.header.Get(headerTotals), err)
			}
		}
	}
}

// What a node does around its algorithm comes with an algorithm whose parameters have names, and is checked.
func TestForwardingOfDescriptor(t *testing.T) {
	c := openNodes(t, 1, NodeOptions{})
	for text, status := range map[string]int{
		`{"name":"ForwardScheduler","named":{},"forwarding":{"max_hops":2,"on_failure":"next","probe_timeout_ns":1000}}`: 200,
		`{"name":"ForwardScheduler","named":{},"forwarding":{"max_hops":256}}`:                                           500,
		`{"name":"ForwardScheduler","named":{},"forwarding":{"on_refusal":"perhaps"}}`:                                   400,
		`{"name":"ForwardScheduler","parameters":["1"],"forwarding":{"max_hops":2}}`:                                     500,
	} {
		if r := c.ask(0, "POST", "/configuration/scheduler", text); r.status != status {
			t.Errorf("%s: %d %s, want %d", text, r.status, r.body, status)
		}
	}
	want := core.Forwarding{MaxHops: 2, OnFailure: core.FallbackNext, ProbeTimeout: 1000}
	if got := c.nodes[0].currentForwarding(); got != want {
		t.Errorf("forwarding is %+v, want %+v", got, want)
	}
}

// Weakness 1 of v1: a dead peer attracts requests, and they are lost. Weakness 4: one bad answer of a peer ends the
// node. Here both cost a wait, and the task executes at home.
func TestWeakness1And4(t *testing.T) {
	garbage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "<html>502 Bad Gateway</html>")
	}))
	defer garbage.Close()
	for _, scheduler := range []Descriptor{
		{Name: "PowerOfNScheduler", Parameters: []string{"2", "0", "true", "1"}},
		{Name: "ForwardScheduler", Parameters: []string{"1"}},
	} {
		c := openNodes(t, 1, NodeOptions{Scheduler: scheduler, Forwarding: core.Forwarding{ProbeTimeout: 50 * time.Millisecond}})
		c.nodes[0].SetPeers([]string{"127.0.0.1:1", strings.TrimPrefix(garbage.URL, "http://")})
		for i := range 8 {
			if r := c.ask(0, "POST", "/function/f", "hello"); r.status != 200 || r.header.Get(headerExternally) != "" {
				t.Errorf("%s, request %d: %d %q, want 200 from this node", scheduler.Name, i, r.status, r.body)
			}
		}
	}
}

// Weakness 8: K changes at run time, and Q = 0 lets nobody wait.
func TestWeakness8(t *testing.T) {
	c := openNodes(t, 1, NodeOptions{Scheduler: Descriptor{Name: "NoScheduler", Parameters: []string{"false"}}})
	if r := c.ask(0, "POST", "/configuration", `{"parallel_running_functions_max":6,"queue_length_max":0}`); r.status != 200 {
		t.Fatal(r)
	}
	var mu sync.Mutex
	count := map[int]int{}
	var clients sync.WaitGroup
	for range 10 {
		clients.Go(func() {
			r := c.ask(0, "POST", "/function/f", "sleep 500ms")
			mu.Lock()
			defer mu.Unlock()
			count[r.status]++
			if r.status == 500 && r.body != `{"code":400,"message":"Job cannot be scheduled: "}` {
				t.Errorf("a request without room: %q", r.body)
			}
		})
	}
	clients.Wait()
	if count[200] != 6 || count[500] != 4 {
		t.Errorf("answers by status: %v, want 6 of 200 and 4 of 500", count)
	}
}

// Weakness 18: nothing is cancelled. Here the place of a client that goes away is free at once.
func TestWeakness18(t *testing.T) {
	c := openNodes(t, 1, NodeOptions{Slots: 1, Scheduler: Descriptor{Name: "NoScheduler", Parameters: []string{"true"}}})
	ctx, cancel := context.WithCancel(context.Background())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		r, _ := http.NewRequestWithContext(ctx, "POST", c.servers[0].URL+"/function/f", strings.NewReader("sleep 1h"))
		if a, err := http.DefaultClient.Do(r); err == nil {
			a.Body.Close()
			t.Errorf("the request was answered: %s", a.Status)
		}
	}()
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		if running, _, _ := c.nodes[0].mailbox.Load(); running == 1 {
			break
		}
		if time.Since(begun) > 5*time.Second {
			t.Fatal("the request does not execute")
		}
	}
	if r := c.ask(0, "POST", "/function/f", ""); r.status != 500 {
		t.Errorf("while the slot is taken: %d", r.status)
	}
	cancel()
	<-gone
	for begun := time.Now(); c.ask(0, "POST", "/function/f", "").status != 200; time.Sleep(time.Millisecond) {
		if time.Since(begun) > 5*time.Second {
			t.Fatal("the slot of a client that is gone stays taken")
		}
	}
}

// A client that announces a body and never sends it is answered all the same, as soon as the function has answered.
func TestSilentClient(t *testing.T) {
	function := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // otherwise its own server waits for the body
		fmt.Fprint(w, "enough")
	}))
	defer function.Close()
	c := openNodes(t, 1, NodeOptions{Backend: Backend{URL: function.URL}})
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.servers[0].URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "POST /function/f HTTP/1.1\r\nHost: f\r\nContent-Length: 10\r\n\r\n12345")
	a, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if text, err := io.ReadAll(a.Body); a.StatusCode != 200 || string(text) != "enough" || err != nil {
		t.Errorf("%s, %q, %v", a.Status, text, err)
	}
}

// Weakness 5: the hops of a task are bounded, whatever the parameters say.
func TestWeakness5(t *testing.T) {
	c := openNodes(t, 3, NodeOptions{Scheduler: Descriptor{Name: "ForwardScheduler", Parameters: []string{"2"}}})
	r := c.ask(0, "POST", "/function/f", "hello")
	if r.status != 200 || r.header.Get(headerHops) != "2" {
		t.Errorf("%d with %s hops, want 200 with 2", r.status, r.header.Get(headerHops))
	}
}

// What the configuration routes change outlives the node.
func TestConfigurationIsKept(t *testing.T) {
	o := NodeOptions{Data: t.TempDir()}
	c := openNodes(t, 1, o)
	c.ask(0, "POST", "/configuration", `{"queue_length_max":7}`)
	c.ask(0, "POST", "/configuration/scheduler", `{"name":"ForwardScheduler","parameters":["1"]}`)
	again := openNodes(t, 1, o)
	for path, want := range map[string]string{"/configuration": `"queue_length_max":7`, "/configuration/scheduler": "ForwardScheduler"} {
		if r := again.ask(0, "GET", path, ""); !strings.Contains(r.body, want) {
			t.Errorf("%s: %s, want %s", path, r.body, want)
		}
	}
}

// Weakness 6: a peer that refuses, or whose function fails, drops the connection. Here it answers.
func TestWeakness6(t *testing.T) {
	forward := Descriptor{Name: "ForwardScheduler", Parameters: []string{"1"}}
	c := openNodes(t, 2, NodeOptions{Scheduler: forward})
	c.ask(1, "POST", "/configuration", `{"parallel_running_functions_max":0,"queue_length_max":0}`)
	if r := c.ask(0, "POST", "/function/f", "hello"); r.status != 200 || r.header.Get(headerExternally) != "" {
		t.Errorf("the peer has no room: %d %q, want 200 from this node", r.status, r.body)
	}
	down := openNodes(t, 2, NodeOptions{Scheduler: forward, Backend: Backend{URL: "http://127.0.0.1:1"}})
	for range 3 {
		if r := down.ask(0, "POST", "/function/f", "hello"); r.status != 500 || !strings.Contains(r.body, `"code":1,`) {
			t.Errorf("the function cannot be called: %d %q, want 500 and code 1", r.status, r.body)
		}
	}
}

// Weakness 12: RejectScheduler cannot be set, and no algorithm while anything runs.
func TestWeakness12(t *testing.T) {
	c := openNodes(t, 1, NodeOptions{})
	var busy sync.WaitGroup
	busy.Go(func() {
		if r := c.ask(0, "POST", "/function/f", "sleep 300ms"); r.status != 200 {
			t.Errorf("what ran when the scheduler was changed: %d %q", r.status, r.body)
		}
	})
	for running := int32(0); running == 0; running, _, _ = c.nodes[0].mailbox.Load() {
		time.Sleep(time.Millisecond)
	}
	if r := c.ask(0, "POST", "/configuration/scheduler", `{"name":"RejectScheduler","parameters":[]}`); r.status != 200 {
		t.Errorf("RejectScheduler: %d %q", r.status, r.body)
	}
	if r := c.ask(0, "POST", "/function/f", ""); r.status != 503 {
		t.Errorf("under RejectScheduler: %d", r.status)
	}
	busy.Wait()
}

// Weakness 12: v1's flag loss is announced and acts nowhere. In v1's list it is inert here, too; by name it acts.
func TestWeakness12Loss(t *testing.T) {
	c := openNodes(t, 1, NodeOptions{Slots: 1, Room: 4, Queue: true})
	for _, x := range []struct {
		scheduler, announced string
		second               int
	}{
		{`{"name":"PowerOfNScheduler","parameters":["1","2","true","1"]}`, "PowerOfNScheduler(1, 2, true, 1)", 200},
		{`{"name":"PowerOfNScheduler","named":{"loss":"announce"}}`, "PowerOfNScheduler(1, 2, true, 1)", 200},
		{`{"name":"PowerOfNScheduler","named":{"loss":"enforce"}}`, "PowerOfNScheduler(1, 2, true, 1)", 500},
		{`{"name":"PowerOfNSchedulerTau","named":{"loss":"enforce"}}`, "PowerOfNSchedulerTau(1, 2, true, 1, 0ms)", 500},
	} {
		if r := c.ask(0, "POST", "/configuration/scheduler", x.scheduler); r.status != 200 {
			t.Fatalf("%s: %d %s", x.scheduler, r.status, r.body)
		}
		var busy sync.WaitGroup
		busy.Go(func() { c.ask(0, "POST", "/function/f", "sleep 100ms") })
		for running := int32(0); running == 0; running, _, _ = c.nodes[0].mailbox.Load() {
			time.Sleep(time.Millisecond)
		}
		if r := c.ask(0, "POST", "/function/f", ""); r.status != x.second || r.header.Get(headerScheduler) != x.announced {
			t.Errorf("%s: a second task is answered with %d by %q, want %d by %q", x.scheduler, r.status,
				r.header.Get(headerScheduler), x.second, x.announced)
		}
		busy.Wait()
	}
}
