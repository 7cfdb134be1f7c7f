package realnet

//lint:file-ignore SA1019 the library keeps this path for its users; the code is that of github.com/coder/websocket

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nhooyr.io/websocket"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// having makes node i of a mesh one that has these functions alone, each at the given place.
func having(at func() string, names ...[]string) func(i int, o *NodeOptions) {
	return func(i int, o *NodeOptions) {
		o.Backend = Backend{Functions: map[string]Function{}}
		for _, name := range names[i] {
			o.Backend.Functions[name] = Function{URL: at()}
		}
	}
}

// served is the URL of a function that answers a text.
func served(t *testing.T, text string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }))
	t.Cleanup(s.Close)
	return s.URL
}

// known waits until node i knows that the peers have what is said of them, by their numbers.
func (m *mesh) known(i int, want map[core.NodeID]inventory) {
	m.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for id, v := range want {
		x := m.nodes.nodes[i].peers.peer(id)
		for {
			x.mu.Lock()
			is := x.said != nil && x.said.equal(&v)
			x.mu.Unlock()
			if is {
				break
			}
			if time.Now().After(deadline) {
				m.t.Fatalf("node %d does not hear that node %d has %+v", i, id, v)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	m.nodes.nodes[i].mailbox.sync()
}

// A node executes what it has, sends on what a peer has, and answers 404 where nobody has it; to a peer it is a refusal.
func TestFunctionsApart(t *testing.T) {
	at := served(t, "here")
	m := openMesh(t, 3, function, having(func() string { return at }, []string{"f"}, []string{"g"}, []string{"f", "g"}))
	m.known(0, map[core.NodeID]inventory{1: {names: []string{"g"}}, 2: {names: []string{"f", "g"}}})
	m.known(1, map[core.NodeID]inventory{0: {names: []string{"f"}}, 2: {names: []string{"f", "g"}}})
	for i, c := range []struct {
		node int
		name string
		away bool
	}{{0, "f", false}, {0, "g", true}, {1, "g", false}, {1, "f", true}} {
		a := m.ask(c.node, "POST", "/function/"+c.name, "x")
		if a.status != 200 || a.body != "here" || (a.header.Get(wire.HeaderHops) == "1") != c.away {
			t.Errorf("call %d: %d %q, hops %q, forwarded: %t", i, a.status, a.body, a.header.Get(wire.HeaderHops), c.away)
		}
	}
	a := m.ask(0, "POST", "/function/h", "x")
	var f wire.Failure
	if err := json.Unmarshal([]byte(a.body), &f); err != nil || a.status != 404 || f.Code != wire.CodeNotFound ||
		f.Message != "Not Found" || !strings.Contains(f.Reason, "function h is not at this node") {
		t.Errorf("a function that nobody has: %d %s", a.status, a.body)
	}
	var report wire.TaskReport
	if err := json.Unmarshal([]byte(a.header.Get(wire.HeaderTask)), &report); err != nil || report.Outcome != "no-function" {
		t.Errorf("the report says %q: %v", a.header.Get(wire.HeaderTask), err)
	}
	// Who means this very node hears that it has not.
	if a := m.ask(0, "POST", "/function/g", "x", wire.HeaderBypass, "x"); a.status != 404 {
		t.Errorf("bypassing the scheduler: %d %s", a.status, a.body)
	}
	// A v1 node hears what it takes for a refusal.
	a = m.ask(0, "POST", "/peer/function/g", `{"function_name":"g","hops":1}`, "User-Agent", wire.UserAgentNode)
	var v1 wire.PeerResponse
	if err := json.Unmarshal([]byte(a.body), &v1); err != nil || v1.Status != 500 || !strings.Contains(string(v1.Body), `"code":400`) ||
		!strings.Contains(string(v1.Body), "function g is not at this node") {
		t.Errorf("a v1 node hears %d %s: %v", a.status, v1.Body, err)
	}
}

// What a node has is put there and taken away by its routes, strictly.
func TestFunctionRoutes(t *testing.T) {
	at := served(t, "f")
	m := openMesh(t, 1, function, func(_ int, o *NodeOptions) {
		o.Backend = Backend{Functions: map[string]Function{"own": {URL: at}}, Start: time.Minute}
	})
	list := func() (all []FunctionStatus) {
		t.Helper()
		all, err := AskFunctions(context.Background(), http.DefaultClient, strings.TrimPrefix(m.servers[0].URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if said := m.nodes.nodes[0].Status().Functions; len(said) != len(all) {
			t.Errorf("the status says %v, the list %v", said, all)
		}
		return all
	}
	if all := list(); len(all) != 1 || all[0].Name != "own" || all[0].URL != at || time.Since(all[0].Since) > time.Minute {
		t.Errorf("at first there is %+v", all)
	}
	for _, c := range []struct {
		method, name, body string
		status             int
		says               string
	}{
		{"PUT", "f", `{"url": "` + at + `"}`, 200, `"ready_seconds":`},
		{"PUT", "f", `{"url": "` + at + `/again"}`, 200, `/again`},
		{"PUT", "g", `{"url": "exec:rm"}`, 400, "is no URL of a function"},
		{"PUT", "g", `{"url": "file:///etc/passwd"}`, 400, "is no URL of a function"},
		{"PUT", "g", `{"url": "http://user:secret@127.0.0.1/"}`, 400, "is no URL of a function"},
		{"PUT", "g", `{"command": ["rm"]}`, 400, `unknown field \"command\"`},
		{"PUT", "g", `{"url": "` + at + `"} {}`, 400, "something follows"},
		{"PUT", "g", `{}`, 400, "is no URL of a function"},
		{"PUT", "g", ``, 400, "EOF"},
		{"PUT", "*", `{"url": "` + at + `"}`, 400, "can be no name"},
		{"DELETE", "g", "", 404, `no function \"g\" of its own`},
		{"DELETE", "own", "", 200, ""},
		{"GET", "f", "", 405, ""},
	} {
		a := m.ask(0, c.method, "/functions/"+c.name, c.body)
		if says := strings.ReplaceAll(a.body, `\\`, `\`); a.status != c.status || !strings.Contains(says, c.says) {
			t.Errorf("%s %s %s: %d %s, want %d and %q", c.method, c.name, c.body, a.status, a.body, c.status, c.says)
		}
	}
	if all := list(); len(all) != 1 || all[0].Name != "f" || all[0].URL != at+"/again" || all[0].Ready <= 0 {
		t.Errorf("in the end there is %+v", all)
	}
	if a := m.ask(0, "POST", "/function/own", ""); a.status != 404 {
		t.Errorf("a function that was taken away: %d %s", a.status, a.body)
	}
	hasty := openNodes(t, 1, NodeOptions{Backend: Backend{Functions: map[string]Function{"own": {URL: at}}, Start: 200 * time.Millisecond}})
	if a := hasty.ask(0, "PUT", "/functions/g", `{"url": "http://127.0.0.1:1/"}`); a.status != 500 ||
		!strings.Contains(a.body, "nothing answers at http://127.0.0.1:1/ within 200ms") {
		t.Errorf("a place where nobody is: %d %s", a.status, a.body)
	}
}

// A node that has any function has it still where one with a place of its own loses that.
func TestAnyFunction(t *testing.T) {
	at := served(t, "own")
	c := openNodes(t, 1, NodeOptions{})
	if a := c.ask(0, "PUT", "/functions/f", `{"url": "`+at+`"}`); a.status != 200 {
		t.Fatal(a.body)
	}
	if a := c.ask(0, "POST", "/function/f", ""); a.body != "own" {
		t.Errorf("at its own place: %q", a.body)
	}
	if a := c.ask(0, "DELETE", "/functions/f", ""); a.status != 200 {
		t.Fatal(a.body)
	}
	if a := c.ask(0, "POST", "/function/f", ""); a.status != 200 || a.body == "own" {
		t.Errorf("without: %d %q", a.status, a.body)
	}
	all := c.nodes[0].options.Backend.status(time.Now())
	if len(all) != 1 || all[0].Name != "*" {
		t.Errorf("the list is %+v", all)
	}
}

// A function moves from node to node while clients call it, of all three nodes, as fast as they can: no request fails, and
// what the nodes did is in their logs.
func TestFunctionMovesUnderLoad(t *testing.T) {
	dir := t.TempDir()
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(3 * time.Millisecond)
		fmt.Fprint(w, "f")
	}))
	t.Cleanup(slow.Close)
	apart := having(func() string { return slow.URL }, []string{"f"}, nil, nil)
	m := openMesh(t, 3, function, func(i int, o *NodeOptions) {
		apart(i, o)
		o.Slots, o.Room, o.Record = 2, 100, dir
	})
	for i := range 3 {
		for k, v := range []inventory{{names: []string{"f"}}, {}, {}} {
			if k != i {
				m.known(i, map[core.NodeID]inventory{core.NodeID(k): v})
			}
		}
	}
	var calling sync.WaitGroup
	var stop atomic.Bool
	var calls, failed atomic.Int64
	defer calling.Wait()
	defer stop.Store(true)
	for i := range 6 {
		calling.Go(func() {
			for !stop.Load() {
				calls.Add(1)
				if a := m.ask(i%3, "POST", "/function/f", "x"); a.status != 200 {
					failed.Add(1)
					t.Errorf("at node %d: %d %s", i%3, a.status, a.body)
					return
				}
			}
		})
	}
	for move := range 12 {
		from, to := move%3, (move+1)%3
		enough := calls.Load() + 30
		eventually(t, "there have been more calls", func() bool { return calls.Load() >= enough || failed.Load() > 0 })
		if a := m.ask(to, "PUT", "/functions/f", `{"url": "`+slow.URL+`"}`); a.status != 200 {
			t.Fatalf("node %d does not take it: %s", to, a.body)
		}
		if a := m.ask(from, "DELETE", "/functions/f", ""); a.status != 200 {
			t.Fatalf("node %d does not give it up: %s", from, a.body)
		}
	}
	stop.Store(true)
	calling.Wait()
	t.Logf("%d calls, %d failed", calls.Load(), failed.Load())
	for i := range 3 {
		m.stop(i)
		file, err := os.Open(filepath.Join(dir, fmt.Sprintf("node-%d%s", i, RecordSuffix)))
		if err != nil {
			t.Fatal(err)
		}
		if r, err := Replay(file); err != nil || r.Difference != nil || r.Verdicts == 0 {
			t.Errorf("the log of node %d: %v, %+v", i, err, r)
		}
		file.Close()
	}
}

// How long a function took until it answered is its own time, not that of a change before it.
func TestReadyIsOfTheFunction(t *testing.T) {
	answered := make(chan bool, 1)
	f := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { answered <- true }))
	defer f.Close()
	n := openNodes(t, 1, NodeOptions{}).nodes[0]
	for change := 100 * time.Millisecond; ; change *= 4 { // a busy machine may take so long to hear an answer
		n.deploying.Lock()
		go func() {
			<-answered
			time.Sleep(change)
			n.deploying.Unlock()
		}()
		s, err := n.Deploy(t.Context(), "f", f.URL)
		if err == nil && s.Ready > 0 && s.Ready < change.Seconds() {
			break
		}
		if err != nil || s.Ready <= 0 || change > 20*time.Second {
			t.Fatalf("beside a change that takes %v: %+v, %v", change, s, err)
		}
	}
}

// The process of a function that is taken away ends when its last call has.
func TestRemovedProcessEnds(t *testing.T) {
	d := &deployments{byName: map[string]*deployment{}}
	life, die := context.WithCancel(context.Background())
	i := &instance{life: life, die: die, ended: make(chan struct{})}
	go func() {
		<-life.Done()
		close(i.ended)
	}()
	d.put("f", &deployment{name: "f", instance: i})
	x := d.take("f")
	d.put("f", nil)
	if life.Err() != nil {
		t.Error("the process is ended while it is called")
	}
	if d.take("f") != nil {
		t.Error("a function that is taken away is called")
	}
	d.release(x)
	d.ending.Wait()
	if life.Err() == nil {
		t.Error("the process goes on")
	}
}

// What a node says of its functions is read exactly as it was written, and nothing else is.
func TestInventoryMessage(t *testing.T) {
	many := inventory{}
	for i := range mostFunctions {
		many.names = append(many.names, fmt.Sprintf("%s%04d", strings.Repeat("a", longestName-4), i))
	}
	for _, v := range []inventory{{}, {any: true}, {names: []string{"a", "face-detect", "z.9_"}}, {any: true, names: []string{"x"}}, many} {
		b := appendInventory(nil, &v)
		got, err := parseInventory(b)
		if err != nil || !got.equal(&v) || len(b) > maxFunctions {
			t.Errorf("%d names come back as %d, in %d bytes: %v", len(v.names), len(got.names), len(b), err)
		}
		for cut := range min(len(b), 40) {
			if _, err := parseInventory(b[:cut]); err == nil {
				t.Errorf("%d bytes of %d are read", cut, len(b))
			}
		}
		if _, err := parseInventory(append(slices.Clone(b), 0)); err == nil {
			t.Error("a byte too much is read")
		}
	}
	for _, bad := range []string{"\x40\x02\x00", "\x41\x00\x00", "\x40\x00\x02\x01b\x01a", "\x40\x00\x02\x01a\x01a", "\x40\x00\x01\x00",
		"\x40\x00\x01\x01/", "\x40\x00\xff\xff\x7f", "\x40\x00\x01\xff\x7f"} {
		if v, err := parseInventory([]byte(bad)); err == nil {
			t.Errorf("%q is read as %+v", bad, v)
		}
	}
}

func FuzzInventory(f *testing.F) {
	f.Add(appendInventory(nil, &inventory{names: []string{"a", "b"}}))
	f.Add([]byte("\x40\x01\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parseInventory(b)
		if err != nil {
			return
		}
		if again, err := parseInventory(appendInventory(nil, &v)); err != nil || !again.equal(&v) {
			t.Errorf("%q: %+v and then %+v, %v", b, v, again, err)
		}
	})
}

// A node that says nothing of its functions is taken to have all, also where one before it at its place said otherwise; one that
// says what is none loses its link.
func TestSilentPeerHasEverything(t *testing.T) {
	speaks, says := atomic.Bool{}, atomic.Value{}
	says.Store(appendInventory(nil, &inventory{names: []string{"other"}}))
	speaks.Store(true)
	links := make(chan *websocket.Conn, 9)
	address := servePeer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/peer/link" {
			http.Error(w, "", http.StatusTeapot)
			return
		}
		if r.Header.Get(wire.HeaderPeerFunctions) != functionsSpoken {
			t.Errorf("%s is %q", wire.HeaderPeerFunctions, r.Header.Get(wire.HeaderPeerFunctions))
		}
		speaks := speaks.Load() // on this link
		if speaks {
			w.Header().Set(wire.HeaderPeerFunctions, functionsSpoken)
		}
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{linkProtocol}})
		if err != nil {
			return
		}
		if speaks {
			_ = c.Write(r.Context(), websocket.MessageBinary, says.Load().([]byte))
		}
		links <- c
		for {
			_, text, err := c.Read(context.Background())
			if err != nil {
				return
			}
			if len(text) > 0 && text[0] == kindFunctions != speaks {
				t.Errorf("the peer hears %q; listens: %t", text, speaks)
			}
		}
	})
	m := openMesh(t, 1, function, having(func() string { return "http://127.0.0.1:1/" }, []string{"mine"}))
	n := m.nodes.nodes[0]
	n.SetPeers([]string{address})
	id := n.numberOf(address)
	m.known(0, map[core.NodeID]inventory{id: {names: []string{"other"}}})
	if a := m.ask(0, "GET", "/function/f", ""); a.status != 404 {
		t.Errorf("a function that the peer has not got: %d %s", a.status, a.body)
	}
	speaks.Store(false)
	_ = (<-links).CloseNow()
	eventually(t, "there is another link", func() bool { n.SetPeers([]string{address}); return len(links) > 0 })
	m.known(0, map[core.NodeID]inventory{id: {any: true}})
	if a := m.ask(0, "GET", "/function/f", ""); a.status == 404 {
		t.Errorf("a function that the peer may have: %d %s", a.status, a.body)
	}
}

// The names that peers say are bounded.
func TestFunctionNamesAreBounded(t *testing.T) {
	f := newFunctionNames([]string{"a", "b"})
	for i := range mostFunctionNames + 10 {
		f.number(fmt.Sprint("f", i))
	}
	if len(f.names) != mostFunctionNames || f.number("a") != 0 || f.find("b") != 1 || f.find("more") != unheardOf || f.number("more") != unheardOf {
		t.Errorf("%d names, a is %d", len(f.names), f.number("a"))
	}
	in := f.input(3, &inventory{names: []string{"b", "more", "a"}})
	if v := in.Functions[0]; v.Node != 3 || v.Any || !slices.Equal(v.Functions, []core.FunctionID{0, 1}) {
		t.Errorf("the input is %+v", v)
	}
}
