package realnet

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// function is what the nodes of these tests run: it says what it was asked, and does what the body tells it.
func function(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Function", "mirror")
	w.Header().Set(wire.HeaderHops, "99") // it may not say that
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
	fmt.Fprintf(w, "%s %s %s %q %q", r.Method, r.URL.RawQuery, text, r.Header.Get("X-Client"), r.Header.Get(wire.HeaderTracing))
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
		o.Forwarding.ProbeTimeout = 20 * time.Second // so that a busy machine answers: who wants none has less
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
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
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

// gated is a function that answers when it is opened, not before.
func gated(t *testing.T) (url string, open func()) {
	t.Helper()
	gate := make(chan struct{})
	f := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-gate:
		case <-r.Context().Done():
		}
	}))
	open = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(func() { open(); f.Close() })
	return f.URL, open
}

// crowd has so many clients call a gated function at once, opens it when so many of them have been refused for want of room, and counts the
// answers by status.
func (c *nodes) crowd(clients, refused int, open func()) map[int]int {
	c.t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	by := map[int]int{}
	for range clients {
		all.Go(func() {
			r := c.ask(0, "POST", "/function/f", "")
			mu.Lock()
			defer mu.Unlock()
			if by[r.status]++; r.status != 200 && r.body != `{"code":400,"message":"Job cannot be scheduled: "}` {
				c.t.Errorf("%d %q", r.status, r.body)
			}
		})
	}
	eventually(c.t, "those without room are refused", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return by[500] >= refused
	})
	open()
	all.Wait()
	return by
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

// Where an algorithm has ended the goroutine of its node, what is in hand has an answer, and what is new is refused.
func TestNodeOutlivesItsMailbox(t *testing.T) {
	c := openNodes(t, 1, NodeOptions{})
	waiting := make(chan reply)
	go func() { waiting <- c.ask(0, "POST", "/function/f", "sleep 1m") }()
	eventually(t, "an execution", func() bool { return c.nodes[0].Status().Running == 1 })
	c.nodes[0].mailbox.Close()
	if r := <-waiting; r.status != 500 || !strings.Contains(r.body, "has ended the node") {
		t.Errorf("in hand: %d %s", r.status, r.body)
	}
	if r := c.ask(0, "POST", "/function/f", ""); r.status != 503 {
		t.Errorf("afterwards: %d %s", r.status, r.body)
	}
}

// A node that cannot be opened leaves nothing behind.
func TestNodeThatDoesNotOpen(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, edit := range []func(*NodeOptions){
		func(o *NodeOptions) { o.Scheduler = Descriptor{Name: "None"} },
		func(o *NodeOptions) { o.Backend.Functions = map[string]Function{"a/b": {}} },
		func(o *NodeOptions) { o.Record = "/dev/null/none" },
	} {
		o := NodeOptions{Slots: 1, Scheduler: DefaultScheduler(), Network: networkOf(t, "{latency: 1ms}")}
		edit(&o)
		if _, err := OpenNode(o); err == nil {
			t.Error("it opens")
		}
	}
	eventually(t, "the goroutines end", func() bool { return runtime.NumGoroutine() <= before })
}

// What a node does around its algorithm comes with an algorithm whose parameters have names, and is checked. What is left out
// is as the node's settings say, and as many hops as the algorithm needs.
func TestForwardingOfDescriptor(t *testing.T) {
	own := core.Forwarding{MaxHops: 7, AtLimit: core.LimitExecute, OnRefusal: core.FallbackFail, OnFailure: core.FallbackFail,
		ProbeTimeout: time.Second, AnswerTimeout: time.Minute}
	data := t.TempDir()
	c := openNodes(t, 1, NodeOptions{Forwarding: own, Data: data})
	at := "/configuration/scheduler"
	for _, x := range []struct{ text, says string }{
		{`{"name":"ForwardScheduler","named":{},"forwarding":{"max_hops":256}}`, "max_hops is from 0 to 255"},
		{`{"name":"ForwardScheduler","named":{},"forwarding":{"on_refusal":"perhaps"}}`, "use one of execute, next, fail"},
		{`{"name":"ForwardScheduler","named":{},"forwarding":{"max_hop":1}}`, `forwarding: the key \"max_hop\" is not known: use max_hops, `},
		{`{"name":"ForwardScheduler","parameters":["1"],"forwarding":{"max_hops":2}}`, "forwarding stands with named parameters alone"},
	} {
		if r := c.ask(0, "POST", at, x.text); r.status < 400 || !strings.Contains(r.body, x.says) {
			t.Errorf("%s: %d %s, want %s", x.text, r.status, r.body, x.says)
		}
	}
	with := func(edit func(*core.Forwarding)) core.Forwarding {
		f := own
		f.MaxHops = 1
		edit(&f)
		return f
	}
	for text, want := range map[string]core.Forwarding{
		`{"name":"ForwardScheduler","named":{}}`:                                    with(func(*core.Forwarding) {}),
		`{"name":"ForwardScheduler","named":{},"forwarding":null}`:                  with(func(*core.Forwarding) {}),
		`{"name":"ForwardScheduler","named":{},"forwarding":{"on_refusal":"next"}}`: with(func(f *core.Forwarding) { f.OnRefusal = core.FallbackNext }),
		`{"name":"RoundRobinWithMasterScheduler","named":{"master":"10.0.0.1"},"forwarding":{"answer_timeout_ns":0}}`: with(func(f *core.Forwarding) {
			f.MaxHops, f.AnswerTimeout = 3, 0
		}),
		`{"name":"ForwardScheduler","named":{},"forwarding":{"max_hops":3,"at_hop_limit":"lose","on_failure":"execute","probe_timeout_ns":1}}`: with(
			func(f *core.Forwarding) {
				f.MaxHops, f.AtLimit, f.OnFailure, f.ProbeTimeout = 3, core.LimitLose, core.FallbackExecute, 1
			}),
	} {
		if r := c.ask(0, "POST", at, text); r.status != 200 {
			t.Errorf("%s: %d %s", text, r.status, r.body)
		}
		if got := c.nodes[0].currentForwarding(); got != want {
			t.Errorf("%s: forwarding is %+v, want %+v", text, got, want)
		}
	}
	// What the node does by itself has to go with the algorithm, too.
	loses := openNodes(t, 1, NodeOptions{Forwarding: core.Forwarding{MaxHops: 7, AtLimit: core.LimitLose}, Scheduler: Descriptor{Name: "NoScheduler", Named: map[string]any{}}})
	if r := loses.ask(0, "POST", at, `{"name":"ForwardScheduler","named":{}}`); r.status < 400 || !strings.Contains(r.body, "lose with max_hops 1") {
		t.Errorf("a node that loses at the limit takes one hop: %d %s", r.status, r.body)
	}
	// A file that somebody has written is read in the same way.
	kept := `{"name":"ForwardScheduler","named":{},"forwarding":{"on_refusal":"next"}}`
	if err := os.WriteFile(filepath.Join(data, schedulerFile), []byte(kept), 0o666); err != nil {
		t.Fatal(err)
	}
	again := openNodes(t, 1, NodeOptions{Forwarding: own, Data: data,
		Scheduler: Descriptor{Name: "JSQ", Named: map[string]any{"d": 3}}}) // of which nothing is left
	if got, want := again.nodes[0].currentForwarding(), with(func(f *core.Forwarding) { f.OnRefusal = core.FallbackNext }); got != want {
		t.Errorf("with %s: forwarding is %+v, want %+v", kept, got, want)
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
			if r := c.ask(0, "POST", "/function/f", "hello"); r.status != 200 || r.header.Get(wire.HeaderExternallyExecuted) != "" {
				t.Errorf("%s, request %d: %d %q, want 200 from this node", scheduler.Name, i, r.status, r.body)
			}
		}
	}
}

// Weakness 7: every status but 2xx is the same 500, and 2xx is 200; Content-Type and, from a peer, headers are lost; the
// function is always asked by POST, without query and headers. Here the two of them hear each other, wherever that is.
func TestWeakness7(t *testing.T) {
	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		status, _ := strconv.Atoi(r.URL.Query().Get("status"))
		w.Header().Set("Content-Type", "image/x-face")
		w.Header().Set("X-Faces", "3")
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		if status != http.StatusNoContent {
			fmt.Fprintf(w, "%s %s %s %s %q", r.Method, r.URL.RawQuery, r.Header.Get("X-Client"), r.Header.Get("Accept"), text)
		}
	}))
	defer f.Close()
	http.DefaultClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	defer func() { http.DefaultClient.CheckRedirect = nil }()
	c := openNodes(t, 2, NodeOptions{Scheduler: forwardAll, Backend: Backend{URL: f.URL}})
	for where, how := range map[string]string{"": wire.HeaderBypass, "1": "X-Any"} {
		for _, x := range []struct {
			method string
			status int
			body   string
		}{
			{"GET", 200, ""}, {"POST", 200, "hello"}, {"POST", 201, "hello"}, {"POST", 204, "hello"}, {"GET", 302, ""},
			{"POST", 400, ""}, {"POST", 404, "hello"}, {"GET", 418, ""}, {"POST", 500, "hello"}, {"POST", 503, ""},
		} {
			query := fmt.Sprintf("status=%d&a=b%%20c", x.status)
			r := c.ask(0, x.method, "/function/f?"+query, x.body, how, "x", "X-Client", "me", "Accept", "image/*")
			want := fmt.Sprintf("%s %s me image/* %q", x.method, query, x.body)
			if x.status == http.StatusNoContent {
				want = ""
			}
			if r.status != x.status || r.body != want || r.header.Get(wire.HeaderHops) != where || r.header.Get("X-Faces") != "3" ||
				r.header.Get("Content-Type") != "image/x-face" || r.header.Get("Location") != "/elsewhere" {
				t.Errorf("%s, status %d, %q hops: %d %q %v, want %q", x.method, x.status, where, r.status, r.body, r.header, want)
			}
		}
	}
	v := startV1Node(t, 201, v1Answer(201, "made"))
	c.nodes[0].SetPeers([]string{v.address()})
	if r := c.ask(0, "POST", "/function/f", "hello"); r.status != 201 || r.body != "made" || r.header.Get(wire.HeaderHops) != "1" {
		t.Errorf("a status that a v1 node passes on: %d %q", r.status, r.body)
	}
}

// Weakness 9: peers are drawn with replacement, and the task goes to any that has no more than here; asking as many as
// there are goes wrong; what has changed since a probe is not seen; the list of peers is fetched for every decision.
func TestWeakness9(t *testing.T) {
	c := openNodes(t, 1, NodeOptions{Slots: 8})
	var peers []*v1Node
	var addresses []string
	for _, load := range []string{"3", "1", "4"} {
		v := startV1Node(t, 200, v1Answer(200, "done"))
		v.load[0] = load
		peers, addresses = append(peers, v), append(addresses, v.address())
	}
	var lists atomic.Int32
	discovery := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/configuration" {
			fmt.Fprint(w, `{"machine_ip":"127.0.0.1","machine_id":"node-0"}`)
			return
		}
		lists.Add(1)
		fmt.Fprintf(w, `[{"ip":%q},{"ip":%q},{"ip":%q}]`, addresses[0], addresses[1], addresses[2])
	}))
	defer discovery.Close()
	began := time.Now()
	following, stop := context.WithCancel(context.Background())
	var followed sync.WaitGroup
	followed.Go(func() { c.nodes[0].FollowDiscovery(following, discovery.URL) })
	defer followed.Wait()
	defer stop()
	eventually(t, "the peers are known", func() bool { return len(c.nodes[0].Status().Peers) == 3 })
	for range 4 {
		defer c.occupy(0)()
	}
	asked := func(i int) int {
		peers[i].mu.Lock()
		defer peers[i].mu.Unlock()
		return len(peers[i].probes)
	}
	decisions := 0
	for _, x := range []struct{ fanout, distinct int }{{1, 1}, {2, 2}, {3, 3}, {5, 3}} {
		scheduler := fmt.Sprintf(`{"name":"PowerOfNScheduler","parameters":["%d","0","true","1"]}`, x.fanout)
		if r := c.ask(0, "POST", "/configuration/scheduler", scheduler); r.status != 200 {
			t.Fatal(r)
		}
		for range 20 {
			decisions++
			before := [3]int{asked(0), asked(1), asked(2)}
			to := [3]int{len(peers[0].forwards), len(peers[1].forwards), len(peers[2].forwards)}
			if r := c.ask(0, "POST", "/function/f", ""); r.status != 200 {
				t.Fatal(r)
			}
			probed, best, chosen := 0, -1, -1
			for i := range peers {
				n := asked(i) - before[i]
				if n > 1 {
					t.Errorf("fan-out %d: a peer is probed %d times for one decision", x.fanout, n)
				}
				if probed += n; n > 0 && peers[i].load[0] != "4" && (best < 0 || peers[i].load[0] < peers[best].load[0]) {
					best = i
				}
				if len(peers[i].forwards) > to[i] {
					chosen = i
				}
			}
			if probed != x.distinct || chosen != best {
				t.Errorf("fan-out %d: %d peers are probed, and %d gets the task; %d has least, if less than here", x.fanout, probed, chosen, best)
			}
		}
	}
	if n, most := int(lists.Load()), int(time.Since(began)/askDiscoveryEvery)+2; n > most {
		t.Errorf("the list was fetched %d times for %d decisions, at most %d are for the time that has passed", n, decisions, most)
	}

	// A peer that had room when it was probed, and has none when the task comes, costs the task nothing but the way.
	full := startV1Node(t, 500, v1Answer(500, `{"code":400,"message":"Job cannot be scheduled: "}`))
	for fallback, hops := range map[core.Fallback]string{core.FallbackExecute: "", core.FallbackNext: "1"} {
		n := openNodes(t, 1, NodeOptions{Forwarding: core.Forwarding{OnRefusal: fallback},
			Scheduler: Descriptor{Name: "PowerOfNScheduler", Parameters: []string{"2", "0", "true", "1"}}})
		n.nodes[0].SetPeers([]string{full.address(), peers[1].address()})
		defer n.occupy(0)()
		defer n.occupy(0)()
		before := len(full.forwards)
		if r := n.ask(0, "POST", "/function/f", ""); r.status != 200 || r.header.Get(wire.HeaderHops) != hops || len(full.forwards) != before+1 {
			t.Errorf("fallback %d: %d after %q hops, want 200 after %q", fallback, r.status, r.header.Get(wire.HeaderHops), hops)
		}
	}
}

// Weakness 8: K changes at run time, and Q = 0 lets nobody wait.
func TestWeakness8(t *testing.T) {
	function, open := gated(t)
	c := openNodes(t, 1, NodeOptions{Scheduler: Descriptor{Name: "NoScheduler", Parameters: []string{"false"}}, Backend: Backend{URL: function}})
	if r := c.ask(0, "POST", "/configuration", `{"parallel_running_functions_max":6,"queue_length_max":0}`); r.status != 200 {
		t.Fatal(r)
	}
	if by := c.crowd(10, 4, open); by[200] != 6 || by[500] != 4 {
		t.Errorf("answers by status: %v, want 6 of 200 and 4 of 500", by)
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
	eventually(t, "the request executes", func() bool { running, _, _ := c.nodes[0].mailbox.Load(); return running == 1 })
	if r := c.ask(0, "POST", "/function/f", ""); r.status != 500 {
		t.Errorf("while the slot is taken: %d", r.status)
	}
	cancel()
	<-gone
	eventually(t, "the slot of a client that is gone is free", func() bool { return c.ask(0, "POST", "/function/f", "").status == 200 })
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
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil { // the node's patience with bodies ends before
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
	if r.status != 200 || r.header.Get(wire.HeaderHops) != "2" {
		t.Errorf("%d with %s hops, want 200 with 2", r.status, r.header.Get(wire.HeaderHops))
	}
}

// Weakness 6: a peer that refuses, or whose function fails, drops the connection. Here it answers.
func TestWeakness6(t *testing.T) {
	forward := Descriptor{Name: "ForwardScheduler", Parameters: []string{"1"}}
	c := openNodes(t, 2, NodeOptions{Scheduler: forward})
	c.ask(1, "POST", "/configuration", `{"parallel_running_functions_max":0,"queue_length_max":0}`)
	if r := c.ask(0, "POST", "/function/f", "hello"); r.status != 200 || r.header.Get(wire.HeaderExternallyExecuted) != "" {
		t.Errorf("the peer has no room: %d %q, want 200 from this node", r.status, r.body)
	}
	down := openNodes(t, 2, NodeOptions{Scheduler: forward, Backend: Backend{URL: "http://127.0.0.1:1"}})
	for range 3 {
		if r := down.ask(0, "POST", "/function/f", "hello"); r.status != 500 || !strings.Contains(r.body, `"code":1,`) {
			t.Errorf("the function cannot be called: %d %q, want 500 and code 1", r.status, r.body)
		}
	}
}

// Weakness 10: whether there is a slot is asked before, and apart from, taking it. Here exactly K run and Q wait, however
// many come at once.
func TestWeakness10(t *testing.T) {
	const slots, clients = 3, 40
	for _, room := range []int{0, 2} {
		var running, most atomic.Int32
		var gate atomic.Pointer[chan struct{}]
		f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for now := running.Add(1); ; {
				if m := most.Load(); now <= m || most.CompareAndSwap(m, now) {
					break
				}
			}
			<-*gate.Load()
			running.Add(-1)
		}))
		defer f.Close()
		c := openNodes(t, 1, NodeOptions{Slots: slots, Room: room, Queue: room > 0, Backend: Backend{URL: f.URL}})
		for range 5 {
			open := make(chan struct{})
			gate.Store(&open)
			var ended sync.WaitGroup
			var served, refused atomic.Int32
			for range clients {
				ended.Go(func() {
					switch r := c.ask(0, "POST", "/function/f", ""); r.status {
					case 200:
						served.Add(1)
					case 500:
						refused.Add(1)
					default:
						t.Errorf("%d %q", r.status, r.body)
					}
				})
			}
			eventually(t, "those without room are refused", func() bool { return int(refused.Load()) >= clients-slots-room })
			running, queued, _ := c.nodes[0].mailbox.Load()
			if int(running) != slots || int(queued) != room {
				t.Errorf("%d run and %d wait, want %d and %d", running, queued, slots, room)
			}
			close(open)
			if ended.Wait(); int(served.Load()) != slots+room || int(most.Load()) > slots {
				t.Errorf("%d were served, want %d; %d ran at once", served.Load(), slots+room, most.Load())
			}
		}
	}
}

// Weakness 10: counters, configuration, scheduler and list of peers are shared without a lock. Here requests go on while
// all of them change; go test -race sees that nothing is touched by two at once.
func TestWeakness10Races(t *testing.T) {
	c := openNodes(t, 3, NodeOptions{})
	var addresses []string
	for _, s := range c.servers {
		addresses = append(addresses, strings.TrimPrefix(s.URL, "http://"))
	}
	var clients, others sync.WaitGroup
	stop := make(chan struct{})
	again := func(do func(i int)) {
		others.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					do(i)
				}
			}
		})
	}
	expect := func(i int, method, path, body string) {
		if r := c.ask(i, method, path, body); r.status != 200 {
			t.Errorf("%s %s %s: %d %q", method, path, body, r.status, r.body)
		}
	}
	schedulers := []string{`{"name":"PowerOfNScheduler","parameters":["2","0","true","1"]}`, `{"name":"ForwardScheduler","parameters":["1"]}`,
		`{"name":"NoScheduler","parameters":["false"]}`}
	again(func(i int) {
		expect(0, "POST", "/configuration", fmt.Sprintf(`{"parallel_running_functions_max":%d,"queue_length_max":%d}`, 1+i%4, i%3))
	})
	again(func(i int) { expect(0, "POST", "/configuration/scheduler", schedulers[i%3]) })
	again(func(i int) { c.nodes[0].SetPeers(addresses[1 : 2+i%2]) })
	again(func(i int) { c.nodes[0].Rename(Identity{ID: fmt.Sprint("node-", i), IP: "127.0.0.1"}) })
	again(func(i int) {
		for _, path := range []string{"/configuration", "/configuration/scheduler", "/monitoring/load", "/monitoring/node"} {
			expect(i%3, "GET", path, "")
		}
	})
	for k := range 60 {
		clients.Go(func() {
			r := c.ask(k%3, "POST", "/function/f", "sleep 5ms")
			if r.status != 200 && r.body != `{"code":400,"message":"Job cannot be scheduled: "}` {
				t.Errorf("%d %q", r.status, r.body)
			}
		})
		time.Sleep(2 * time.Millisecond)
	}
	clients.Wait()
	close(stop)
	others.Wait()
	expect(0, "POST", "/configuration", `{"parallel_running_functions_max":4,"queue_length_max":4}`)
	eventually(t, "nothing is left in hand", func() bool {
		r := c.ask(0, "GET", "/monitoring/load", "")
		return r.header.Get(wire.HeaderLoad) == "0" && r.header.Get(wire.HeaderQueueLength) == "0"
	})
}

// Weakness 12: RejectScheduler cannot be set, and no algorithm while anything runs.
func TestWeakness12(t *testing.T) {
	c := openNodes(t, 1, NodeOptions{})
	end := c.hold(0)
	if r := c.ask(0, "POST", "/configuration/scheduler", `{"name":"RejectScheduler","parameters":[]}`); r.status != 200 {
		t.Errorf("RejectScheduler: %d %q", r.status, r.body)
	}
	if r := c.ask(0, "POST", "/function/f", ""); r.status != 503 {
		t.Errorf("under RejectScheduler: %d", r.status)
	}
	if r := end(); r.status != 200 {
		t.Errorf("what ran when the scheduler was changed: %d %q", r.status, r.body)
	}
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
		end := c.hold(0)
		second := make(chan reply, 1)
		go func() { second <- c.ask(0, "POST", "/function/f", "") }()
		eventually(t, "a second task waits, or is answered", func() bool {
			_, queued, _ := c.nodes[0].mailbox.Load()
			return queued == 1 || len(second) == 1
		})
		end()
		if r := <-second; r.status != x.second || r.header.Get(wire.HeaderScheduler) != x.announced {
			t.Errorf("%s: a second task is answered with %d by %q, want %d by %q", x.scheduler, r.status,
				r.header.Get(wire.HeaderScheduler), x.second, x.announced)
		}
	}
}

// A disk that takes nothing is not the client's mistake.
func TestConfigureOnAFullDisk(t *testing.T) {
	data := t.TempDir()
	c := openNodes(t, 1, NodeOptions{Data: data})
	if err := os.Mkdir(filepath.Join(data, schedulerFile+".new"), 0o777); err != nil {
		t.Fatal(err)
	}
	r := c.ask(0, "POST", "/configuration/scheduler", `{"name":"NoScheduler","parameters":["true"]}`)
	if r.status != 500 || strings.Contains(r.body, "Bad passed") || !strings.Contains(r.body, "cannot be kept") {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// A disk that takes its time keeps the configuration waiting, and nobody else.
func TestConfigureOnASlowDisk(t *testing.T) {
	data := t.TempDir()
	c := openNodes(t, 1, NodeOptions{Data: data})
	// Writing to a pipe that nobody reads waits as a disk does that has gone to sleep.
	pipe := filepath.Join(data, settingsFile+".new")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	configured := make(chan reply)
	go func() { configured <- c.ask(0, "POST", "/configuration", `{"queue_length_max":7}`) }()
	eventually(t, "it is being configured", func() bool {
		free := c.nodes[0].configuring.TryLock()
		if free {
			c.nodes[0].configuring.Unlock()
		}
		return !free
	})
	if r := c.ask(0, "POST", "/function/f", ""); r.status != 200 {
		t.Errorf("meanwhile: %d %s", r.status, r.body)
	}
	reader, err := os.Open(pipe)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if r := <-configured; r.status != 200 || !strings.Contains(c.ask(0, "GET", "/configuration", "").body, `"queue_length_max":7`) {
		t.Errorf("%d %s", r.status, r.body)
	}
}
