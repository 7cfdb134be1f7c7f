package realnet

//lint:file-ignore SA1019 the library keeps this path for its users; the code is that of github.com/coder/websocket

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nhooyr.io/websocket"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/core/sched"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

// A machine that stands still for a while has links all the same.
func init() { linkPatience = time.Minute }

// mesh is a cluster whose nodes have numbers and addresses of their own, as those of a scenario have.
type mesh struct {
	*nodes
	addresses []string
	function  *httptest.Server

	mu    sync.Mutex
	paths map[string]int // requests between nodes, by the first two parts of their path
}

// openMesh opens so many nodes; edit changes what node i is made of.
func openMesh(t *testing.T, count int, f http.HandlerFunc, edit func(i int, o *NodeOptions)) *mesh {
	t.Helper()
	m := &mesh{nodes: &nodes{t: t}, paths: map[string]int{}, function: httptest.NewServer(f)}
	t.Cleanup(m.function.Close)
	var listeners []net.Listener
	for i := range count {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:0", i+2))
		if err != nil {
			t.Skip("this system has one loopback address")
		}
		listeners = append(listeners, l)
		m.addresses = append(m.addresses, l.Addr().String())
	}
	for i, l := range listeners {
		o := NodeOptions{Identity: Identity{ID: fmt.Sprintf("node-%d", i), IP: m.addresses[i]}, Number: core.NodeID(i),
			Cluster: m.addresses, Bind: l.Addr().(*net.TCPAddr).IP, Slots: 2, Room: 4, Queue: true,
			Backend: Backend{URL: m.function.URL}, Scheduler: DefaultScheduler(), Stream: *random.Stream(1, 0, random.Algorithm, i),
			Forwarding: core.Forwarding{ProbeTimeout: 20 * time.Second, AnswerTimeout: time.Minute}} // a busy machine answers, too
		if edit != nil {
			edit(i, &o)
		}
		n, err := OpenNode(o)
		if err != nil {
			t.Fatal(err)
		}
		h := n.SchedulerHandler()
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("User-Agent") == wire.UserAgentNode {
				m.mu.Lock()
				m.paths[strings.Join(strings.SplitN(r.URL.Path, "/", 4)[1:3], "/")]++
				m.mu.Unlock()
			}
			h.ServeHTTP(w, r)
		}))
		s.Listener.Close()
		s.Listener = l
		s.Start()
		m.nodes.nodes, m.servers = append(m.nodes.nodes, n), append(m.servers, s)
		t.Cleanup(func() { m.stop(i) })
	}
	for _, n := range m.nodes.nodes {
		n.SetPeers(m.addresses)
	}
	return m
}

// stop ends node i; twice does no harm.
func (m *mesh) stop(i int) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := m.nodes.nodes[i].Shutdown(ctx); err != nil {
		m.t.Errorf("node %d does not end: %v", i, err)
	}
	m.servers[i].Close()
}

// between are the requests between nodes so far, by route.
func (m *mesh) between() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.paths)
}

var forwardAll = Descriptor{Name: "ForwardScheduler", Parameters: []string{"1"}}

// What a function is asked, and what it answers, is the same here and at a peer: method, query, headers and body, and
// status, headers and body.
func TestPeersCarryCalls(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	m := openMesh(t, 2, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		mu.Lock()
		asked = append(asked, fmt.Sprintf("%s %s %v %v %q", r.Method, r.URL.RawQuery, r.Header, r.TransferEncoding, text))
		mu.Unlock()
		w.Header()["X-Twice"] = []string{"a", "b"}
		w.Header().Set("Location", "/elsewhere")
		w.Header().Set(wire.HeaderPeerAnswer, `{"outcome":"rejected"}`)
		w.WriteHeader(map[string]int{"": 200, "a=1&a=2%20": 302, "a#b=%23": 203, "teapot": 418, "fail": 503}[r.URL.RawQuery])
		_, _ = w.Write(append([]byte{0, 255, '\n'}, text...))
	}, func(_ int, o *NodeOptions) { o.Scheduler = forwardAll })
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, x := range []struct {
		method, query, body string
		status              int
	}{{"POST", "", "\x00\xff binary", 200}, {"GET", "a=1&a=2%20", "", 302}, {"POST", "teapot", strings.Repeat("long ", 1<<18), 418},
		{"GET", "a#b=%23", "", 203},
		{"POST", "fail", "x", 503}} {
		var answers [2]string
		for k, how := range []string{wire.HeaderBypass, "X-Other"} {
			r, err := http.NewRequest(x.method, m.servers[0].URL+"/function/f", struct{ io.Reader }{strings.NewReader(x.body)})
			if err != nil {
				t.Fatal(err)
			}
			r.URL.RawQuery = x.query
			if x.body == "" {
				r.Body = nil
			}
			for name, v := range map[string]string{how: "1", "X-Client": "me", "User-Agent": "a client", "Cookie": "c=1",
				"Content-Type": "image/x", "Authorization": "Bearer b"} {
				r.Header.Set(name, v)
			}
			a, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(a.Body)
			a.Body.Close()
			if moved := a.Header.Get(wire.HeaderExternallyExecuted) == "True"; moved != (k == 1) || a.StatusCode != x.status {
				t.Errorf("%s %s: at a peer %v, status %d, want %v and %d: %.200s", x.method, x.query, moved, a.StatusCode, k == 1, x.status, text)
			}
			for name := range a.Header {
				if wire.IsFrameworkHeader(name) || name == "Date" {
					delete(a.Header, name)
				}
			}
			answers[k] = fmt.Sprintf("%d %v %q", a.StatusCode, a.Header, text)
		}
		if answers[0] != answers[1] {
			t.Errorf("%s %s: here\n%.300s, at a peer\n%.300s", x.method, x.query, answers[0], answers[1])
		}
		mu.Lock()
		asked[0] = strings.Replace(asked[0], "X-Other", wire.HeaderBypass, 1)
		here, there := asked[0], strings.Replace(asked[1], " X-Other:[1]", "", 1)
		if asked = nil; here != there {
			t.Errorf("%s %s: the function here is asked\n%.300s, at a peer\n%.300s", x.method, x.query, here, there)
		}
		mu.Unlock()
	}
	if paths := m.between(); paths["peer/task"] != 5 || paths["peer/link"] != 1 || len(paths) != 2 {
		t.Errorf("requests between the nodes: %v, want five tasks on one link", paths)
	}
}

// A body that is too long is the client's fault: it is told so, no peer is taken for one that is down, and nothing else is tried.
func TestPeersAreNotBlamedForBodies(t *testing.T) {
	for _, scheduler := range []Descriptor{forwardAll, {Name: "Redundancy", Named: map[string]any{"d": 3}}} {
		m := openMesh(t, 3, function, func(i int, o *NodeOptions) {
			o.Functions, o.Holders = []string{"f"}, [][]core.NodeID{{1, 2}}
			o.Scheduler, o.Forwarding.OnFailure = scheduler, core.FallbackNext
			if i == 0 {
				o.Limits.Body = 1000
			}
		})
		long := struct{ io.Reader }{strings.NewReader(strings.Repeat("x", 5000))} // nobody says how long
		a, err := http.Post(m.servers[0].URL+"/function/f", "", long)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		n := m.nodes.nodes[0]
		past := n.PastRequests("", 1)
		if s := n.Status().Messages; a.StatusCode != 413 || s.Lost != 0 || len(past) != 1 || past[0].Outcome != core.LostClientGone.String() || past[0].Retries != 0 {
			t.Errorf("%v: %s, %+v, %+v", scheduler, a.Status, s, past)
		}
	}
}

// Probes travel on one link however many there are, and bring what a load of v1 does not say.
func TestPeersProbeOnLinks(t *testing.T) {
	m := openMesh(t, 3, function, func(i int, o *NodeOptions) {
		o.Scheduler = Descriptor{Name: "PowerOfNScheduler", Named: map[string]any{"fanout": 2, "threshold": 0}}
		o.Slots = 3 + i
	})
	for range 20 {
		if r := m.ask(0, "POST", "/function/f", ""); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	paths := m.between()
	if paths["peer/link"] != 2 || paths["monitoring/load"] != 0 {
		t.Errorf("requests between the nodes: %v, want two handshakes and no v1 probe", paths)
	}
	if sent := m.nodes.nodes[0].Status().Messages.Sent; sent < 40 {
		t.Errorf("%d messages sent, want 40 probes at least", sent)
	}
}

// The cloud is nobody's neighbour, as in simulation, be it in every list of discovery: who gets there chose it.
func TestCloudIsNoNeighbour(t *testing.T) {
	m := openMesh(t, 3, function, func(_ int, o *NodeOptions) {
		o.Scheduler, o.Cloud = forwardAll, o.Cluster[2]
	})
	if got := m.nodes.nodes[0].mailbox.options.Topology; got.Nodes != 2 || got.Cloud != 2 {
		t.Errorf("a cluster of %d nodes, the cloud is %d, want 2 and 2", got.Nodes, got.Cloud)
	}
	for i, want := range [][]string{{m.addresses[1]}, {m.addresses[0]}, {m.addresses[0], m.addresses[1]}} {
		if got := m.nodes.nodes[i].Status().Peers; !slices.Equal(got, want) {
			t.Errorf("node %d has the neighbours %v, want %v", i, got, want)
		}
	}
	for range 20 {
		r := m.ask(0, "POST", "/function/f", "")
		if at := reportOf(t, r).Executor; r.status != 200 || at != m.addresses[1] {
			t.Fatalf("%d %s, executed at %s, want %s", r.status, r.body, at, m.addresses[1])
		}
	}
}

// Every algorithm on four real nodes: each request has one answer with a documented status, and what each node decided
// replays.
func TestEveryAlgorithmOnRealNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("every algorithm for a second")
	}
	left := 0
	for _, name := range sched.Names() {
		named := map[string]any{}
		if name == "PowerOfNScheduler" {
			named["threshold"] = 1
		}
		spec, err := sched.Parse(name, named)
		if err != nil {
			left++ // it has parameters without a default
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			record := t.TempDir()
			m := openMesh(t, 4, function, func(i int, o *NodeOptions) {
				o.Record = record
				o.Slots, o.Room = 2, 3
				o.MeanService = []time.Duration{5 * time.Millisecond}
				o.Forwarding.MaxHops = 2
				o.Scheduler = DescriptorOf(spec, o.Forwarding, o.Cluster)
			})
			status := map[int]int{}
			var mu sync.Mutex
			var clients sync.WaitGroup
			for k := range 60 {
				clients.Go(func() {
					time.Sleep(time.Duration(k/6) * 5 * time.Millisecond) // in bursts: some find no room
					r := m.ask(k%2, "POST", "/function/f", "sleep 5ms", wire.HeaderDeadline, "5")
					mu.Lock()
					defer mu.Unlock()
					if status[r.status]++; r.status == 200 && !strings.Contains(r.body, "sleep 5ms") {
						t.Errorf("the body is not this request's: %q", r.body)
					}
				})
			}
			clients.Wait()
			// 200: executed; 503: rejected; 500: no room, or the last hop.
			if n := status[200] + status[503] + status[500]; n != 60 || status[200] == 0 && name != "RejectScheduler" {
				t.Errorf("answers by status: %v", status)
			}
			for i := range m.nodes.nodes {
				n := m.nodes.nodes[i]
				eventually(t, "no request in hand", func() bool { return n.Status().Requests == 0 })
				m.stop(i)
				if running, queued, _ := n.mailbox.Load(); running != 0 || queued != 0 {
					t.Errorf("node %d has %d running and %d waiting at the end", i, running, queued)
				}
			}
			logs, err := filepath.Glob(filepath.Join(record, "*"))
			if err != nil || len(logs) != 4 {
				t.Errorf("%d logs, %v", len(logs), err)
			}
			for _, path := range logs {
				replayWhole(t, path)
			}
		})
	}
	if left > len(sched.Names())/3 {
		t.Errorf("%d algorithms were left out", left)
	}
}

// Work that a node pulls comes with its requests.
func TestPeersHandOver(t *testing.T) {
	pass := rendezvous(2) // a node executes one at a time: the other one has pulled the second
	m := openMesh(t, 2, func(w http.ResponseWriter, r *http.Request) { pass(); function(w, r) }, func(i int, o *NodeOptions) {
		o.Slots, o.Room = 1, 20
		o.Scheduler = Descriptor{Name: "WorkStealing", Named: map[string]any{"retry": "5ms", "batch": 2}}
	})
	var clients sync.WaitGroup
	var there atomic.Int32
	for k := range 20 {
		clients.Go(func() {
			r := m.ask(0, "POST", fmt.Sprintf("/function/f?k=%d", k), "sleep 20ms")
			if want := fmt.Sprintf("POST k=%d sleep 20ms", k); r.status != 200 || !strings.HasPrefix(r.body, want) {
				t.Errorf("%d %q, want 200 %q", r.status, r.body, want)
			}
			if r.header.Get(wire.HeaderExternallyExecuted) == "True" {
				there.Add(1)
			}
		})
	}
	clients.Wait()
	if there.Load() == 0 {
		t.Error("nothing was pulled")
	}
}

// A handover is one message: an emulated link holds all its tasks together, however many.
func TestPeersHandOverOnLinks(t *testing.T) {
	network := networkOf(t, "{latency: {distribution: uniform, min: 1ms, max: 20ms}}")
	pass := rendezvous(11)
	m := openMesh(t, 2, func(http.ResponseWriter, *http.Request) { pass() }, func(i int, o *NodeOptions) {
		o.Slots, o.Room = 1, 30
		o.Scheduler = Descriptor{Name: "NoScheduler", Parameters: []string{"false"}}
		if i == 1 {
			o.Slots = 30
			o.Scheduler = Descriptor{Name: "WorkStealing", Named: map[string]any{"retry": "50ms", "batch": 5000}}
		} else {
			o.Network = network
		}
	})
	var clients sync.WaitGroup
	for range 21 {
		clients.Go(func() {
			if r := m.ask(0, "POST", "/function/f", ""); r.status != 200 {
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
	clients.Wait()
	if s := m.nodes.nodes[0].Status(); s.Links.Late.Lateness().Count > uint64(s.Messages.Sent) {
		t.Errorf("%d messages held by the emulated link, and %d sent", s.Links.Late.Lateness().Count, s.Messages.Sent)
	}
	if there := m.between()["peer/task"]; there < 10 {
		t.Errorf("%d tasks were handed over, want ten at least: so many executed beside the one at home", there)
	}
}

// A cancellation that overtakes its task on an emulated link finds nothing at the peer, which executes what then comes, as in
// simulation. (Of a body that has not come to its end before its client went, there is nothing that could be executed.)
func TestCancelOvertakesTask(t *testing.T) {
	const asked = 20
	delay := NewFaults(scenariotest.One(t, `
cluster: {nodes: 2, slots: 1}
functions: [{name: f, service: 1ms}]
workload: {rate: 1/s}
scheduler: {name: NoScheduler, probe_timeout: 1s, answer_timeout: 1s}
duration: 10s
faults: [{kind: delay, latency: 5s, nodes: [0], at: 1s}] # long enough for a busy machine to cancel all tasks meanwhile
`), 0, 0, nil)
	if err := delay.set([]Lying{{Kind: scenarios.Delay, Nodes: []core.NodeID{0}}}); err != nil {
		t.Fatal(err)
	}
	var begun atomic.Int32
	m := openMesh(t, 2, func(http.ResponseWriter, *http.Request) { begun.Add(1) }, func(i int, o *NodeOptions) {
		o.Scheduler, o.Slots, o.Room = forwardAll, asked, asked // so that the peer refuses nothing
		if i == 0 {
			o.Faults = delay
		}
	})
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	var clients sync.WaitGroup
	for k := range asked {
		clients.Go(func() {
			r, err := http.NewRequestWithContext(ctx, []string{"GET", "POST"}[k%2], m.servers[0].URL+"/function/f", nil)
			if err != nil {
				t.Error(err)
				return
			}
			if a, err := http.DefaultClient.Do(r); err == nil {
				a.Body.Close()
				t.Errorf("a client is answered %s before it hangs up", a.Status)
			}
		})
	}
	n := m.nodes.nodes[0]
	eventually(t, "all tasks have left", func() bool {
		n.peers.mu.Lock()
		defer n.peers.mu.Unlock()
		return len(n.peers.outgoing) == asked
	})
	n.mailbox.sync()
	if err := delay.set(nil); err != nil { // what leaves from now on is there at once
		t.Fatal(err)
	}
	hangUp()
	clients.Wait()
	eventually(t, "no cancellation is on its way", func() bool { return n.Status().Requests == 0 })
	if begun.Load() > 0 {
		t.Error("a task was there before its cancellation: that did not overtake it")
	}
	eventually(t, "the peer executes what comes", func() bool { return begun.Load() == asked })
}

// A peer that has no place for another request says so without taking from the task what it has cost so far.
func TestPeerRefusesAtTheDoor(t *testing.T) {
	m := openMesh(t, 2, function, func(i int, o *NodeOptions) {
		o.Scheduler = probing
		o.Forwarding.OnRefusal, o.Forwarding.OnFailure = core.FallbackExecute, core.FallbackFail
		if i == 1 {
			o.Limits.Requests = 1
		} else {
			o.Slots = 3
		}
	})
	defer m.occupy(0)()
	defer m.occupy(0)()
	defer m.occupy(1)()
	r := m.ask(0, "POST", "/function/f", "x")
	if got := reportOf(t, r); r.status != 200 || got.Probes != 1 || got.Retries != 1 || got.Timing.Probing <= 0 || got.Hops != 0 {
		t.Errorf("%d %s: %+v, want it executed here after a probe and a retry", r.status, r.body, got)
	}
}

// A peer that shuts down, and has requests in hand yet, is one that is gone to a node that has not heard of it: as one, it refuses nothing.
func TestPeerShutsDown(t *testing.T) {
	m := openMesh(t, 2, function, func(_ int, o *NodeOptions) {
		o.Scheduler = forwardAll
		o.Forwarding.OnRefusal, o.Forwarding.OnFailure = core.FallbackFail, core.FallbackExecute
	})
	defer m.occupy(1)()
	m.nodes.nodes[1].refuse()
	r := m.ask(0, "POST", "/function/f", "x")
	if got := reportOf(t, r); r.status != 200 || got.Retries != 1 || got.Hops != 0 || got.Executor != m.addresses[0] {
		t.Errorf("%d %s: %+v, want it executed here after a retry", r.status, r.body, got)
	}
	if r := m.ask(1, "POST", "/function/f", "x"); r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, "shutting down") {
		t.Errorf("its own client is told %d %s", r.status, r.body)
	}
}

// What each node on the way says it took for probing is its own time.
func TestProbingOfEachNode(t *testing.T) {
	const way = 30 * time.Millisecond
	m := openMesh(t, 3, function, func(i int, o *NodeOptions) {
		o.Scheduler = Descriptor{Name: "ForwardScheduler", Parameters: []string{"2"}}
		if i == 0 {
			o.Scheduler = Descriptor{Name: "PowerOfNScheduler", Named: map[string]any{"fanout": 1, "threshold": 0}}
			o.Network = networkOf(t, "{latency: 30ms}")
		}
		o.Neighbours = [][]core.NodeID{{1}, {2}, {}}[i]
	})
	free := m.occupy(0)
	r := m.ask(0, "POST", "/function/f", "x")
	free()
	var own []float64
	if err := json.Unmarshal([]byte(r.header.Get(wire.HeaderProbingTimes)), &own); err != nil || len(own) < 2 || own[0] < way.Seconds() || own[1] > way.Seconds()/2 {
		t.Errorf("%d %s: probing %s, want 30 ms at the first node alone", r.status, r.body, r.header.Get(wire.HeaderProbingTimes))
	}
}

// A peer that has been started again numbers its tasks anew: they are told from those that it sent before.
func TestPeerStartsAnew(t *testing.T) {
	pass := rendezvous(2) // both are in hand at once
	m := openMesh(t, 2, func(w http.ResponseWriter, r *http.Request) { pass(); function(w, r) }, nil)
	var both sync.WaitGroup
	for _, body := range []string{"one", "another"} {
		both.Go(func() {
			r := m.ask(0, "POST", "/peer/task/f", body, "User-Agent", wire.UserAgentNode, wire.HeaderPeer, m.addresses[1],
				wire.HeaderPeerTask, fmt.Sprintf(`{"token":%d,"id":1,"hops":1,"visited":[%q]}`, uint64(1)<<63+1, m.addresses[1]))
			if r.status != 200 || !strings.Contains(r.body, body) {
				t.Errorf("%d %s, want an answer to %s", r.status, r.body, body)
			}
		})
	}
	both.Wait()
}

// A peer that says less than the task had when it was sent answers nonsense.
func TestAnswerThatGoesBack(t *testing.T) {
	m := openMesh(t, 1, function, nil)
	for _, x := range []struct {
		answer string
		fine   bool
	}{
		{`{"outcome":"no-room","probes":2,"retries":1}`, true},
		{`{"outcome":"no-room","probes":1,"retries":1}`, false},
		{`{"outcome":"no-room","probes":2}`, false},
	} {
		f := &forward{peers: m.nodes.nodes[0].peers, request: &request{done: make(chan struct{})},
			task: &core.TaskValue{Probes: 2, Retries: 1, Trip: &core.TripValue{}}}
		_, err := f.ended(&http.Response{StatusCode: 500, Header: http.Header{wire.HeaderPeerAnswer: {x.answer}}}, []byte(`{"code":400}`))
		if (err == nil) != x.fine {
			t.Errorf("%s: %v, want it taken: %v", x.answer, err, x.fine)
		}
	}
}

// Of the copies of a task one answers, and the others end.
func TestPeersReplicate(t *testing.T) {
	for _, cancel := range []string{"completion", "start"} {
		t.Run(cancel, func(t *testing.T) {
			var begun, cut atomic.Int32
			m := openMesh(t, 3, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if begun.Add(1) == 1 {
					return
				}
				select {
				case <-r.Context().Done():
					cut.Add(1)
				case <-time.After(2 * time.Minute):
				}
			}, func(i int, o *NodeOptions) {
				o.Slots = 1
				o.Scheduler = Descriptor{Name: "Redundancy", Named: map[string]any{"d": 3, "cancel": cancel}}
			})
			began := time.Now()
			if r := m.ask(0, "POST", "/function/f", "x"); r.status != 200 {
				t.Fatalf("%d %q", r.status, r.body)
			}
			if d := time.Since(began); d > 30*time.Second { // half of what is waited for a peer
				t.Errorf("the answer took %v", d)
			}
			eventually(t, "the copies end", func() bool {
				for _, n := range m.nodes.nodes {
					if running, queued, _ := n.mailbox.Load(); running+queued > 0 || n.Status().Requests > 0 {
						return false
					}
				}
				return begun.Load()-1 == cut.Load()
			})
		})
	}
}

// A peer that was there and is gone costs nothing but the attempt, and is used again when it is back.
func TestPeersComeAndGo(t *testing.T) {
	m := openMesh(t, 2, function, func(_ int, o *NodeOptions) { o.Scheduler = forwardAll })
	moved := func() bool {
		r := m.ask(0, "POST", "/function/f", "x")
		if r.status != 200 {
			t.Errorf("%d %q", r.status, r.body)
		}
		return r.header.Get(wire.HeaderExternallyExecuted) == "True"
	}
	for range 10 {
		if !moved() {
			t.Error("not executed at the peer")
		}
	}
	n := m.nodes.nodes[1]
	m.stop(1)
	began := time.Now()
	for range 10 {
		if moved() {
			t.Error("executed at a peer that is not there")
		}
	}
	if d := time.Since(began); d >= 20*time.Second {
		t.Errorf("ten requests took %v while the peer was down: each waited for it", d)
	}
	again, err := OpenNode(n.options)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", m.addresses[1])
	if err != nil {
		t.Fatal(err)
	}
	back := &httptest.Server{Listener: l, Config: &http.Server{Handler: again.SchedulerHandler()}}
	back.Start()
	m.nodes.nodes[1], m.servers[1] = again, back
	eventually(t, "executed at the peer again", moved)
}

// A peer that speaks nonsense, on its link or about a task, costs a bounded wait, and is no node without load.
func TestPeersNonsense(t *testing.T) {
	var mode atomic.Value // string
	mode.Store("")
	evil := servePeer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		how := mode.Load().(string)
		if r.URL.Path != "/peer/link" {
			w.Header().Set(wire.HeaderPeerAnswer, how)
			fmt.Fprint(w, "nonsense")
			return
		}
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{linkProtocol}})
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			_, text, err := c.Read(r.Context())
			if err != nil {
				return
			}
			switch how {
			case "silence":
			case "text":
				_ = c.Write(r.Context(), websocket.MessageText, []byte("load 0"))
			case "long":
				_ = c.Write(r.Context(), websocket.MessageBinary, make([]byte, 10_000))
			default: // the question itself
				_ = c.Write(r.Context(), websocket.MessageBinary, bytes.Repeat(text, 2))
			}
		}
	})
	m := openMesh(t, 1, function, func(_ int, o *NodeOptions) {
		o.Forwarding.ProbeTimeout, o.Forwarding.AnswerTimeout = 100*time.Millisecond, time.Second
		o.Scheduler = Descriptor{Name: "PowerOfNScheduler", Named: map[string]any{"fanout": 1, "threshold": 0}}
	})
	m.nodes.nodes[0].SetPeers([]string{evil})
	ask := func(what string) {
		t.Helper()
		began := time.Now()
		r := m.ask(0, "POST", "/function/f", "x")
		if r.status != 200 || r.header.Get(wire.HeaderExternallyExecuted) != "" {
			t.Errorf("%s: %d %q, executed at the peer: %q", what, r.status, r.body, r.header.Get(wire.HeaderExternallyExecuted))
		}
		if d := time.Since(began); d > 20*time.Second {
			t.Errorf("%s: it took %v", what, d)
		}
	}
	for _, how := range []string{"silence", "text", "long", "twice"} {
		mode.Store(how)
		for range 3 {
			ask(how)
		}
	}
	mode.Store("silence") // the handshake is right, the answers to tasks are not
	m.ask(0, "POST", "/configuration/scheduler", `{"name":"ForwardScheduler","parameters":["1"]}`)
	for _, answer := range []string{"", "{", `{"outcome":"completed","answered":true}`, `{"outcome":"in-flight","answered":true,"path":[{}]}`,
		`{"outcome":"completed","answered":true,"path":[{}],"timing_ns":{"Executing":-1}}`, `{"outcome":"no-room"}`, `{"outcome":"great"}`} {
		mode.Store(answer)
		ask(answer)
	}
}

// Who calls in another's name, or without one, is refused.
func TestPeersAnnounceThemselves(t *testing.T) {
	m := openMesh(t, 2, function, nil)
	for _, x := range []struct {
		announced string
		status    int
	}{{"", 403}, {"nonsense", 403}, {m.addresses[0], 403}, {"10.0.0.1", 403}, {m.addresses[1], 400}, {"127.0.0.1:1", 400}} {
		r := m.ask(0, "POST", "/peer/task/f", "x", "User-Agent", wire.UserAgentNode, wire.HeaderPeer, x.announced)
		if r.status != x.status {
			t.Errorf("announced as %q: %d %q, want %d", x.announced, r.status, r.body, x.status)
		}
	}
	if r := m.ask(0, "POST", "/peer/task/f", "x", wire.HeaderPeer, m.addresses[1]); r.status != 403 {
		t.Errorf("a client: %d, want 403", r.status)
	}
	if r := m.ask(0, "GET", "/peer/link", "", "User-Agent", wire.UserAgentNode, wire.HeaderPeer, m.addresses[1]); r.status != 400 {
		t.Errorf("no subprotocol: %d, want 400", r.status)
	}
}

// A client that hangs up takes its task back, wherever it waits, with a body that nobody has read.
func TestClientGoneWhileWaiting(t *testing.T) {
	for at, d := range []Descriptor{{Name: "NoScheduler", Parameters: []string{"false"}}, forwardAll} {
		release := make(chan struct{})
		let := sync.OnceFunc(func() { close(release) })
		defer let()
		var begun atomic.Int32
		m := openMesh(t, 2, func(w http.ResponseWriter, r *http.Request) {
			begun.Add(1)
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}, func(_ int, o *NodeOptions) { o.Slots, o.Scheduler = 1, d })
		var clients sync.WaitGroup
		clients.Go(func() { m.ask(0, "POST", "/function/f", "x") })
		eventually(t, "one runs", func() bool { return begun.Load() == 1 })
		ctx, hangUp := context.WithCancel(t.Context())
		clients.Go(func() {
			r, err := http.NewRequestWithContext(ctx, "POST", m.servers[0].URL+"/function/f", strings.NewReader(strings.Repeat("body ", 1000)))
			if err != nil {
				t.Error(err)
				return
			}
			if a, err := http.DefaultClient.Do(r); err == nil {
				text, _ := io.ReadAll(a.Body)
				a.Body.Close()
				t.Errorf("%s: it was answered: %s %s", d.Name, a.Status, text)
			}
		})
		queued := func() int32 { _, q, _ := m.nodes.nodes[at].mailbox.Load(); return q }
		eventually(t, "one waits", func() bool { return queued() == 1 })
		hangUp()
		eventually(t, "nobody waits", func() bool { return queued() == 0 })
		let()
		clients.Wait()
	}
}

// Nothing is left of a cluster that has worked.
func TestPeersLeaveNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("cluster", func(t *testing.T) {
		m := openMesh(t, 3, function, func(_ int, o *NodeOptions) {
			o.Scheduler = Descriptor{Name: "PowerOfNScheduler", Named: map[string]any{"fanout": 2, "threshold": 0}}
		})
		for i := range 9 {
			m.ask(i%3, "POST", "/function/f", "x")
		}
	})
	http.DefaultClient.CloseIdleConnections()
	eventually(t, "the goroutines end", func() bool {
		if runtime.NumGoroutine() <= before {
			return true
		}
		http.DefaultClient.CloseIdleConnections()
		return false
	})
}

// Messages survive their encoding, and nothing else is one.
func TestMessages(t *testing.T) {
	load := core.Load{Running: 3, Queued: 1 << 20, Capacity: core.Capacity{Slots: 0, Room: 5, Speed: 0.25}}
	for _, m := range []core.Parcel{
		{Kind: core.MsgProbe, Token: 1<<63 + 5, Item: 2, Load: load, Transit: time.Millisecond},
		{Kind: core.MsgReply, Token: 7, Item: -1, Load: load},
		{Kind: core.MsgTell, Load: unknown, Note: core.Note{Kind: 9, Int: -1 << 63, Float: -0.5}},
		{Kind: core.MsgHandover, Load: unknown},
		{Kind: core.MsgAsk, Load: unknown, Note: core.Note{Float: math.Copysign(0, -1)}},
	} {
		b := appendMessage(nil, &m)
		got, err := parseMessage(b)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(m) {
			t.Errorf("%v comes back as %v, %v", m, got, err)
		}
		for n := range b {
			if _, err := parseMessage(b[:n]); err == nil {
				t.Errorf("%x is read as a message, cut off after %d bytes", b, n)
			}
		}
		if _, err := parseMessage(append(slices.Clone(b), 0)); err == nil {
			t.Errorf("%x is read as a message, with a byte too much", b)
		}
	}
	for _, k := range []core.MsgKind{core.MsgForward, core.MsgAnswer, core.MsgCancel, 200} {
		if _, err := parseMessage(appendMessage(nil, &core.Parcel{Kind: k, Load: unknown})); err == nil {
			t.Errorf("a %v is read from a link", k)
		}
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(appendMessage(nil, &core.Parcel{Kind: core.MsgAsk, Token: 300, Load: core.Load{Capacity: core.Capacity{Speed: 1}}, Note: core.Note{Int: 1}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMessage(b)
		if err != nil {
			return
		}
		again, err := parseMessage(appendMessage(nil, &m))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(m) {
			t.Errorf("%x: %v comes back as %v, %v", b, m, again, err)
		}
	})
}

func FuzzPeerTask(f *testing.F) {
	f.Add(`{"token":1,"id":2,"hops":1,"visited":["10.0.0.1"],"deadline_ns":5,"handover":{"token":1,"index":0,"count":2}}`)
	n := &Node{}
	n.peers = newPeers(n, 0, []string{"127.0.0.1", "10.0.0.1"})
	p := n.peers
	f.Fuzz(func(t *testing.T, text string) {
		h, task, err := p.parseTask(text, 1)
		if err != nil {
			return
		}
		if task.Trip.From != 1 || task.Hops == 0 || task.Flags&^core.Travelling != 0 || h.Held < 0 || len(task.Trip.Visited) > 255 {
			t.Errorf("%s is read as %+v", text, task)
		}
	})
}
