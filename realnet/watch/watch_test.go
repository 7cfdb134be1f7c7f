package watch

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/membership"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/realnet"
)

// within waits until something is so.
func within(t *testing.T, what string, so func() bool) {
	t.Helper()
	for began := time.Now(); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func newWatcher(t *testing.T, o Options) *Watcher {
	t.Helper()
	o.Patience = 20 * time.Second // a busy machine
	w, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// find is the node of an address.
func (c *Cluster) find(t *testing.T, address string) *Node {
	t.Helper()
	i := slices.IndexFunc(c.Nodes, func(n Node) bool { return n.Address == address })
	if i < 0 {
		t.Fatalf("there is no node %s among %d", address, len(c.Nodes))
	}
	return &c.Nodes[i]
}

// told is a node that says what a test tells it to.
type told struct {
	server *httptest.Server

	asked, asking, most atomic.Int32 // times, now, and at once

	mu     sync.Mutex
	answer func(w http.ResponseWriter, r *http.Request)
}

func newTold(t *testing.T) *told {
	x := &told{}
	x.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.asked.Add(1)
		if now := x.asking.Add(1); now > x.most.Load() {
			x.most.Store(now)
		}
		defer x.asking.Add(-1)
		x.mu.Lock()
		answer := x.answer
		x.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(x.server.Close)
	return x
}

func (x *told) address() string { return strings.TrimPrefix(x.server.URL, "http://") }

func (x *told) does(answer func(w http.ResponseWriter, r *http.Request)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.answer = answer
}

func (x *told) says(s realnet.Status) {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	x.does(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/monitoring/node" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(text)
	})
}

// What is to be thought of a node, by whether it answers and what others believe.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		what    string
		answers bool
		before  State
		b       Believed
		want    State
	}{
		{"it answers, and nobody has a failure detector", true, "", Believed{}, Alive},
		{"it answers, and all think well of it", true, Alive, Believed{Alive: 3}, Alive},
		{"it answers, and one suspects it", true, Alive, Believed{Alive: 2, Suspect: 1}, Suspect},
		{"it answers who looks, and nobody else", true, Alive, Believed{Dead: 3}, Suspect},
		{"it has said goodbye, and finishes what it has", true, Alive, Believed{Left: 3}, Left},
		{"it is back, and some have not heard of it", true, Dead, Believed{Alive: 1, Dead: 2}, Suspect},
		{"nobody has a failure detector", false, Alive, Believed{}, Unreachable},
		{"the others see it", false, Alive, Believed{Alive: 3}, Unreachable},
		{"one suspects it", false, Alive, Believed{Alive: 2, Suspect: 1}, Suspect},
		{"some know already", false, Suspect, Believed{Alive: 1, Dead: 2}, Suspect},
		{"all know", false, Suspect, Believed{Dead: 3}, Dead},
		{"it has said goodbye", false, Alive, Believed{Left: 3}, Left},
		{"some heard its goodbye", false, Alive, Believed{Left: 2, Dead: 1}, Dead},
		{"it is forgotten", false, Dead, Believed{}, Dead},
		{"it left, and is forgotten", false, Left, Believed{}, Left},
	} {
		x := node{state: c.before}
		if !c.answers {
			x.err = io.EOF
		}
		if got := x.judge(c.b); got != c.want {
			t.Errorf("%s: %s, not %s", c.what, got, c.want)
		}
	}
}

// Rates and quantiles are differences of counters.
func TestRates(t *testing.T) {
	counts := func(arrived, completed, noRoom, lost, expired, forwarded int64) realnet.Counts {
		return realnet.Counts{Arrived: arrived, Refused: 2, Faulty: completed / 2, Forwarded: map[string]int64{"10.0.0.2": forwarded}, Received: 7, Executed: 9, Probes: 4,
			Outcomes: map[core.Outcome]int64{core.Completed: completed, core.NoRoom: noRoom, core.LostNodeDown: lost, core.Expired: expired}}
	}
	began := time.Now()
	x := node{address: "10.0.0.1", samples: []sample{
		{began, counts(100, 50, 3, 1, 1, 5), map[string][]realnet.LatencyBucket{"a": {{Around: .1, Count: 50}}},
			&realnet.LearnerStatus{Answered: 10, Learned: &learner.Stats{Trained: 10, Rewards: 100}}},
		{began.Add(10 * time.Second), counts(200, 130, 13, 2, 6, 25), map[string][]realnet.LatencyBucket{
			"a": {{Around: .1, Count: 110}}, "b": {{Around: .2, Count: 19}, {Around: 3, Count: 1}}},
			&realnet.LearnerStatus{Answered: 30, Failed: 5, Epsilon: .25, Learned: &learner.Stats{Trained: 20, Rewards: 80, Pending: 3}}},
	}}
	x.samples[1].learner.Learned.Entries.Received = 20
	var n Node
	all := tally{}
	x.rates(&n, all)
	if want := (Rates{Arrived: 10, Completed: 8, Rejected: 1, Expired: .5, Lost: .1, Faulty: 4, Forwarded: 2}); n.Rates != want {
		t.Errorf("%+v, not %+v", n.Rates, want)
	}
	if got := n.Rates.Failed(); math.Abs(got-5.6/9.6) > 1e-9 || !math.IsNaN(new(Rates).Failed()) {
		t.Errorf("a share of %g failed, and %g of nothing", got, new(Rates).Failed())
	}
	if got := (&Rates{Completed: 1, Faulty: 2}).Failed(); got != 1 { // one completed between the counts
		t.Errorf("a share of %g failed", got)
	}
	if want := (Latency{Count: 80, P50: .1, P95: .2, P99: 3}); *n.Latency != want || *all.latency() != want {
		t.Errorf("%+v and %+v, not %+v", *n.Latency, *all.latency(), want)
	}
	if want := (Latency{Count: 20, P50: .2, P95: .2, P99: 3}); len(n.Functions) != 2 || *n.Functions[1].Latency != want || n.Functions[1].Completed != 2 {
		t.Errorf("%+v", n.Functions)
	}
	if want := (Learner{Epsilon: .25, Actions: 2, Failed: .5, Own: true, Trained: 1, Entries: 2, Reward: -2, Mean: -1, Pending: 3}); *n.Learner != want {
		t.Errorf("%+v, not %+v", *n.Learner, want)
	}
	if f := x.forwards(); len(f) != 1 || f[0] != (Forward{"10.0.0.1", "10.0.0.2", 2}) {
		t.Errorf("%+v", f)
	}
	x.samples[0].learner.Learned.Rewards, x.samples[1].learner.Learned.Rewards = -1.7e308, 1.7e308
	if x.rates(&n, all); n.Learner.Reward != 0 || n.Learner.Mean != 0 || n.Learner.Entries != 0 || n.Learner.Trained != 1 {
		t.Errorf("rewards whose difference is no number: %+v", *n.Learner)
	}
	x.samples[0].learner = nil
	if x.rates(&n, all); *n.Learner != (Learner{Epsilon: .25}) {
		t.Errorf("a learner that was not there before: %+v", *n.Learner)
	}
}

// A node that comes to say nothing, or nonsense, keeps its place and since when; a restart begins its rates anew.
func TestNodesThatChange(t *testing.T) {
	began := time.Now()
	a, b := newTold(t), newTold(t)
	aSays := func(members ...realnet.Member) {
		a.says(realnet.Status{ID: "a", IP: a.address(), Began: began, Peers: []string{b.address()}, Members: members})
	}
	bSays := func(began time.Time, arrived int64) {
		b.says(realnet.Status{ID: "b", IP: b.address(), Began: began, Slots: 4, Running: 3, Counts: realnet.Counts{Arrived: arrived}})
	}
	w := newWatcher(t, Options{Addresses: []string{a.address()}})
	look := func() (*Cluster, *Node) {
		c := w.Look(t.Context())
		return c, c.find(t, b.address())
	}

	aSays()
	bSays(began, 5)
	if c, n := look(); n.State != Alive || n.Running != 3 || n.ID != "b" || c.States.Alive != 2 || c.Window != 0 {
		t.Errorf("at first: %+v, %+v", n, c)
	}
	bSays(began, 9)
	if c, n := look(); n.Rates.Arrived <= 0 || c.Rates.Arrived != n.Rates.Arrived || c.Window <= 0 {
		t.Errorf("four have arrived: %+v", n)
	}
	bSays(began.Add(time.Second), 2)
	if _, n := look(); n.Restarts != 1 || n.Rates.Arrived != 0 || !n.Began.Equal(began.Add(time.Second)) {
		t.Errorf("a restart: %+v", n)
	}
	b.does(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "]") })
	_, mad := look()
	if mad.State != Unreachable || !strings.Contains(mad.Error, "JSON") || mad.ID != "b" || mad.Running != 0 {
		t.Errorf("nonsense: %+v", mad)
	}
	if c, n := look(); !n.Since.Equal(mad.Since) || c.States.Unreachable != 1 {
		t.Errorf("nonsense again: %+v", n)
	}
	aSays(realnet.Member{Address: b.address(), State: "dead"})
	if _, n := look(); n.State != Dead || n.Believed != (Believed{Dead: 1}) || !n.Since.After(mad.Since) {
		t.Errorf("the other one knows: %+v", n)
	}
	b.server.Close()
	if _, n := look(); n.State != Dead || !strings.Contains(n.Error, "refused") {
		t.Errorf("nobody listens: %+v", n)
	}
}

// What a node has done while it could not be asked is in no rate: that is over the window.
func TestRatesAfterSilence(t *testing.T) {
	a := newTold(t)
	w := newWatcher(t, Options{Addresses: []string{a.address()}, Window: 2})
	look := func(arrived int64) float64 {
		if a.says(realnet.Status{ID: "a", IP: a.address(), Counts: realnet.Counts{Arrived: arrived}}); arrived < 0 {
			a.does(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "]") })
		}
		return w.Look(t.Context()).Nodes[0].Rates.Arrived
	}
	for i, x := range []struct {
		arrived int64
		counts  bool // there are two looks in the window to tell a rate by
	}{{0, false}, {5, true}, {-1, false}, {9, true}, {-1, false}, {-1, false}, {-1, false}, {1000, false}, {1001, true}} {
		if rate := look(x.arrived); (rate > 0) != x.counts {
			t.Errorf("look %d: %g arrivals a second", i, rate)
		}
	}
}

// A node of the first P2PFaaS says its load, and nothing else.
func TestV1Node(t *testing.T) {
	v1 := newTold(t)
	v1.does(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/monitoring/load" {
			http.NotFound(w, r)
			return
		}
		for header, value := range map[string]string{"X-P2pfaas-Load": "2", "X-P2pfaas-Maxload": "8", "X-P2pfog-Queue-Length": "1"} {
			w.Header().Set(header, value)
		}
	})
	w := newWatcher(t, Options{Addresses: []string{v1.address()}})
	w.Look(t.Context())
	n := w.Look(t.Context()).Nodes[0]
	if n.State != Alive || !n.V1 || n.Running != 2 || n.Slots != 8 || n.Queued != 1 || n.Began != nil || n.Rates != (Rates{}) {
		t.Errorf("%+v", n)
	}
}

// A node that hangs takes no longer than a look may.
func TestNodeThatHangs(t *testing.T) {
	a, b := newTold(t), newTold(t)
	a.says(realnet.Status{ID: "a", IP: a.address(), Peers: []string{b.address()}})
	b.does(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	w, err := New(Options{Addresses: []string{a.address()}, Patience: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var c *Cluster
	within(t, "the node that does not hang has told of the other", func() bool { c = w.Look(t.Context()); return len(c.Nodes) == 2 })
	if n := c.find(t, b.address()); n.State != Unreachable || n.Error != "no answer within 500ms" {
		t.Errorf("%+v", n)
	}
}

// A node is known by the address that it calls itself, and called at the one that was given; what is no address is said.
func TestAddresses(t *testing.T) {
	a := newTold(t)
	a.says(realnet.Status{ID: "a", IP: "10.0.0.7", Members: []realnet.Member{{Address: "10.0.0.7", State: "alive"}}})
	w := newWatcher(t, Options{Addresses: []string{a.address()}})
	for range 2 {
		if c := w.Look(t.Context()); len(c.Nodes) != 1 || c.Nodes[0].Address != "10.0.0.7" || c.Nodes[0].State != Alive {
			t.Fatalf("%+v", c.Nodes)
		}
	}
	both := newWatcher(t, Options{Addresses: []string{a.address(), "localhost" + a.address()[len("127.0.0.1"):]}})
	if c := both.Look(t.Context()); len(c.Nodes) != 1 || c.Nodes[0].Address != "10.0.0.7" {
		t.Errorf("two addresses of a node: %+v", c.Nodes)
	}
	for _, bad := range []string{"", "10.0.0.1:0", "10.0.0.1:http", "10.0.0.1:70000", "a b", "a/b", "x@y", "http://10.0.0.1", ":80"} {
		if _, err := New(Options{Addresses: []string{"10.0.0.1", bad}}); err == nil || !strings.Contains(err.Error(), "is no address") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("a watcher of nothing")
	}
	got := []string{"10.0.0.10", "10.0.0.9:20000", "10.0.0.9", "pi", "10.0.0.9:8000"}
	slices.SortFunc(got, byAddress)
	if want := []string{"10.0.0.9:8000", "10.0.0.9", "10.0.0.9:20000", "10.0.0.10", "pi"}; !slices.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
}

// Nodes that others tell of are bounded.
func TestTooManyNodes(t *testing.T) {
	a := newTold(t)
	s := realnet.Status{ID: "a", IP: a.address()}
	for i := range mostNodes + 10 {
		s.Peers = append(s.Peers, fmt.Sprintf("127.0.0.1:%d", i+1))
	}
	a.says(s)
	w, err := New(Options{Addresses: []string{a.address()}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.told(&node{said: &s})
	w.told(&node{said: &s}) // as another one tells of the same
	if len(w.nodes) != mostNodes || len(w.left) != 11 {
		t.Errorf("%d nodes, %d left out", len(w.nodes), len(w.left))
	}
}

// running is a node with its discovery, in this process.
type running struct {
	*realnet.Node
	address   string
	discovery *realnet.DiscoveryService
	server    *httptest.Server
}

// openCluster starts nodes that find each other. The functions of all are the same, which takes 10 ms.
func openCluster(t *testing.T, count int) []*running {
	t.Helper()
	function := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(10 * time.Millisecond) }))
	t.Cleanup(function.Close)
	var all []*running
	var first string
	for i := range count {
		scheduler, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at := netip.MustParseAddrPort(scheduler.Addr().String())
		x := &running{address: at.String()}
		if x.Node, err = realnet.OpenNode(realnet.NodeOptions{Identity: realnet.Identity{ID: fmt.Sprintf("node-%d", i), IP: x.address},
			Port: int(at.Port()), Slots: 1, Room: 2, Queue: true, Scheduler: realnet.DefaultScheduler(),
			Forwarding: core.Forwarding{ProbeTimeout: 20 * time.Second}, Backend: realnet.Backend{URL: function.URL}}); err != nil {
			t.Fatal(err)
		}
		discovery, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		o := realnet.DiscoveryOptions{Identity: realnet.Identity{IP: "127.0.0.1"}, Bind: at.Addr(), SchedulerPort: int(at.Port()),
			Port:       int(netip.MustParseAddrPort(discovery.Addr().String()).Port()),
			Membership: membership.DefaultOptions(0), Stream: *random.Stream(1, 0, random.Membership, i)}
		if first == "" {
			first = discovery.Addr().String()
		} else {
			o.InitServers = []string{first}
		}
		if x.discovery, err = realnet.OpenDiscovery(o); err != nil {
			t.Fatal(err)
		}
		x.Follow(x.discovery)
		x.server = serve(t, scheduler, x.SchedulerHandler())
		serve(t, discovery, x.discovery.Handler())
		t.Cleanup(func() {
			_ = x.discovery.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_ = x.Shutdown(ctx)
		})
		all = append(all, x)
	}
	return all
}

func serve(t *testing.T, l net.Listener, h http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// From one node all are found; what clients ask is seen, and who has gone.
func TestRealNodes(t *testing.T) {
	nodes := openCluster(t, 3)
	w := newWatcher(t, Options{Addresses: []string{nodes[0].address}, Window: 1000})
	var c *Cluster
	within(t, "all three are found, and hold each other for alive", func() bool {
		c = w.Look(t.Context())
		return len(c.Nodes) == 3 && !slices.ContainsFunc(c.Nodes, func(n Node) bool { return n.Believed.Alive != 2 || n.State != Alive })
	})
	const requests = 60
	var asking sync.WaitGroup
	for i := range requests { // of node 0 alone, more than it has slots for
		asking.Go(func() {
			time.Sleep(time.Duration(i) * 5 * time.Millisecond)
			a, err := http.Get(nodes[0].server.URL + "/function/hello")
			if err != nil {
				t.Error(err)
				return
			}
			a.Body.Close()
		})
	}
	asking.Wait()
	c = w.Look(t.Context())
	at := c.find(t, nodes[0].address)
	r := at.Rates
	in := func(address string, rate float64) int { // the window of the node's rates
		_, _, seconds := w.nodes[address].window()
		return int(math.Round(rate * seconds))
	}
	if got := in(at.Address, r.Arrived); got != requests || c.Window <= 0 {
		t.Errorf("%v requests have arrived within %v s, not %d: %+v", got, c.Window, requests, r)
	}
	if sum := r.Completed + r.Dropped(); sum < r.Arrived*.999 || sum > r.Arrived*1.001 {
		t.Errorf("%v/s have ended, of %v/s: %+v", sum, r.Arrived, r)
	}
	if l := at.Latency; l == nil || l.P50 < .009 || l.P99 < l.P50 || len(at.Functions) != 1 || at.Functions[0].Name != "hello" {
		t.Errorf("%+v, %+v", at.Latency, at.Functions)
	}
	if at.Slots != 1 || at.Room != 2 || !strings.HasPrefix(at.Label, "PowerOfNScheduler(") || at.Peers != 2 {
		t.Errorf("%+v", at)
	}
	received, sent := 0, 0
	for i := range c.Nodes {
		received += in(c.Nodes[i].Address, c.Nodes[i].Rates.Received)
	}
	for _, f := range c.Forwards {
		if sent += in(f.From, f.Rate); f.From != at.Address || f.To == f.From {
			t.Errorf("%+v", f)
		}
	}
	if sent == 0 || received != sent {
		t.Errorf("%d were forwarded, and %d received: %+v", sent, received, c.Forwards)
	}

	nodes[2].server.CloseClientConnections()
	nodes[2].server.Close() // its discovery does not know; on a busy machine one of the others may suspect it for a while
	within(t, "it does not answer, and the others see it", func() bool {
		n := w.Look(t.Context()).find(t, nodes[2].address)
		return n.State == Unreachable && n.Error != ""
	})
	if err := nodes[2].discovery.Close(); err != nil {
		t.Error(err)
	}
	within(t, "it has left", func() bool { return w.Look(t.Context()).find(t, nodes[2].address).State == Left })
}

// All readers of a feed share one watcher, which runs only while somebody reads.
func TestFeed(t *testing.T) {
	a := newTold(t)
	a.says(realnet.Status{ID: "a", IP: a.address(), Label: "JSQ"})
	f, err := NewFeed(Options{Addresses: []string{a.address()}, Interval: 20 * time.Millisecond, Patience: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o := realnet.NodeOptions{Identity: realnet.Identity{ID: "b", IP: "10.0.0.1"}, Scheduler: realnet.DefaultScheduler(), Feed: f}
	n, err := realnet.OpenNode(o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.Shutdown(t.Context()) }()
	s := httptest.NewServer(n.SchedulerHandler())
	defer s.Close()
	time.Sleep(100 * time.Millisecond)
	if a.asked.Load() > 0 {
		t.Error("it looks, and nobody reads")
	}
	read := func(text []byte) Cluster {
		t.Helper()
		var c Cluster
		if err := json.Unmarshal(text, &c); err != nil || len(c.Nodes) != 1 || c.Nodes[0].Label != "JSQ" {
			t.Fatalf("%v: %s", err, text)
		}
		return c
	}
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			r, err := http.Get(s.URL + "/ui/events")
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Body.Close()
			if kind := r.Header.Get("Content-Type"); kind != "text/event-stream" {
				t.Error(kind)
			}
			var last Cluster
			for lines, events := bufio.NewScanner(r.Body), 0; events < 5 && lines.Scan(); {
				if data, is := strings.CutPrefix(lines.Text(), "data: "); is {
					var c Cluster
					if err := json.Unmarshal([]byte(data), &c); err != nil || !c.At.After(last.At) {
						t.Errorf("%v: %s", err, data)
					}
					last = c
					events++
				}
			}
			if last.Window == 0 {
				t.Error("five events have not come")
			}
		})
	}
	readers.Wait()
	if most := a.most.Load(); most != 1 {
		t.Errorf("%d looks at once: three readers do not share them", most)
	}
	r, err := http.Get(s.URL + "/ui/cluster")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	read(text)
	within(t, "the watcher ends", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.stop == nil && f.readers == 0
	})
	r2, err := http.Get(s.URL + "/ui/cluster") // it begins again
	if err != nil {
		t.Fatal(err)
	}
	defer r2.Body.Close()
	if text, err = io.ReadAll(r2.Body); err != nil {
		t.Fatal(err)
	}
	read(text)
	open, err := http.Get(s.URL + "/ui/events")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Body.Close()
	f.Close()
	if _, err := io.Copy(io.Discard, open.Body); err != nil { // it ends, with the feed
		t.Error(err)
	}
}

// Who begins to look during an incident is told since when it lasts, as far as others know.
func TestSinceBeforeTheFirstLook(t *testing.T) {
	now := time.Now()
	w := &Watcher{looks: []time.Time{now}, nodes: map[string]*node{
		"10.0.0.1": {address: "10.0.0.1", said: &realnet.Status{IP: "10.0.0.1", Members: []realnet.Member{{Address: "10.0.0.2", State: "dead", For: time.Minute}}}},
		"10.0.0.2": {address: "10.0.0.2", err: errors.New("connection refused")}}}
	n := w.cluster(now).Nodes[1]
	if n.State != Dead || !n.Since.Equal(now.Add(-time.Minute)) {
		t.Errorf("it is %s since %v", n.State, now.Sub(n.Since))
	}
	n = w.cluster(now.Add(time.Second)).Nodes[1]
	if !n.Since.Equal(now.Add(-time.Minute)) {
		t.Errorf("a second later, since %v", now.Sub(n.Since))
	}
}
