package realnet

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// onDemand is a backend whose function f has processes on demand.
func onDemand(t *testing.T, keep time.Duration, words ...string) Backend {
	t.Helper()
	return Backend{Functions: map[string]Function{"f": {Command: functionCommand(t, words...), OnDemand: true, KeepAlive: keep}}, Start: time.Minute}
}

// coldStart is what an answer says of the start that its execution began with; 0: it began warm.
func coldStart(t *testing.T, r reply) time.Duration {
	t.Helper()
	var report wire.TaskReport
	if err := json.Unmarshal([]byte(r.header.Get(wire.HeaderTask)), &report); err != nil {
		t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	said := r.header.Get(wire.HeaderColdStart)
	if !report.Cold {
		if said != "" || report.ColdStart != 0 {
			t.Errorf("a warm execution began with a start of %q s, %v", said, report.ColdStart)
		}
		return 0
	}
	if said != wire.FormatSeconds(report.ColdStart) || report.ColdStart <= 0 || report.ColdStart > report.Timing.Executing {
		t.Errorf("a start of %q s (%v) of %+v", said, report.ColdStart, report.Timing)
	}
	return report.ColdStart
}

// counts are how many processes a pool has started, and how many of them are idle.
func counts(p *pool) (starts, idle int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.starts, len(p.idle)
}

// poolOf has the processes of function f at a node.
func poolOf(n *Node) *pool { return n.options.Backend.deployed.byName["f"].pool }

// abandon asks for what is not answered, and hangs up when something is so.
func abandon(t *testing.T, url string, when func() bool) {
	t.Helper()
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	r, err := http.NewRequestWithContext(ctx, "POST", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for !when() && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		hangUp()
	}()
	if _, err := http.DefaultClient.Do(r); err == nil {
		t.Fatal("it is answered")
	}
}

// until has a function say that it has begun, and end when it is told to.
func until(t *testing.T) (query string, begun func() bool, end func()) {
	t.Helper()
	dir := t.TempDir()
	return "?until=" + url.QueryEscape(dir), func() bool { return exists(filepath.Join(dir, "begun")) }, func() {
		if err := os.WriteFile(filepath.Join(dir, "end"), nil, 0o666); err != nil {
			t.Error(err)
		}
	}
}

// The first request starts a process, the next one finds it, and those that come at once have one each, as many as may execute: as in
// simulation.
func TestColdStart(t *testing.T) {
	c := openNodes(t, 1, NodeOptions{Backend: onDemand(t, time.Hour, "serves", "{port}"), Slots: 3, Room: 10, Queue: true})
	ask := func(query string) (pid int, cold bool) {
		r := c.ask(0, "POST", "/function/f"+query, "")
		pid, _ = processes(t, r.body)
		return pid, coldStart(t, r) > 0
	}
	first, cold := ask("")
	if !cold {
		t.Error("the first execution begins warm")
	}
	if second, cold := ask(""); second != first || cold {
		t.Errorf("the second one is of process %d, cold: %v, want %d, which is there", second, cold, first)
	}
	query, _, end := until(t)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer end()
	pids, colds := make([]int, 6), make([]bool, 6) // two for each slot
	for i := range pids {
		asking.Go(func() { pids[i], colds[i] = ask(query) })
	}
	eventually(t, "three have a process, and three wait", func() bool {
		starts, idle := counts(poolOf(c.nodes[0]))
		return starts == 3 && idle == 0 && c.nodes[0].Status().Queued == 3
	})
	end()
	asking.Wait()
	count := 0
	for _, cold := range colds {
		if cold {
			count++
		}
	}
	slices.Sort(pids)
	if pids = slices.Compact(pids); count != 2 || len(pids) != 3 || !slices.Contains(pids, first) {
		t.Errorf("%d cold starts, processes %d: want 2 besides %d", count, pids, first)
	}
	if err := c.nodes[0].Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if !ended(pid) {
			t.Errorf("process %d is left when the node has ended", pid)
		}
	}
	noInstance(t)
}

// A process that is idle for long enough is ended, and the next one has another number.
func TestColdStartAgain(t *testing.T) {
	c := openNodes(t, 1, NodeOptions{Backend: onDemand(t, 50*time.Millisecond, "serves", "{port}", "{instance}"), Slots: 1, Room: 1, Queue: true})
	before := 0
	for k := range 2 {
		r := c.ask(0, "POST", "/function/f", "")
		pid, _ := processes(t, r.body)
		if number := r.header.Get("X-Instance"); coldStart(t, r) == 0 || pid == before || number != strconv.Itoa(k) {
			t.Errorf("request %d: process %d with the number %s, before it %d, %v", k, pid, number, before, r.header)
		}
		eventually(t, fmt.Sprintf("process %d has ended", pid), func() bool { return ended(pid) })
		before = pid
	}
}

// The process that became idle last is taken first, and one that has died while it was idle is not.
func TestColdStartOrder(t *testing.T) {
	p, err := newPool("f", functionCommand(t, "serves", "{port}"), patience{start: time.Minute, end: time.Second, pause: time.Hour}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	defer noInstance(t)
	defer p.close()
	var taken [3]*instance
	for k := range taken {
		var cold time.Duration
		if taken[k], cold, err = p.take(t.Context()); err != nil || cold == 0 {
			t.Fatalf("process %d: cold start %v, %v", k, cold, err)
		}
	}
	for _, i := range taken {
		p.give(i, true)
	}
	url, err := taken[1].at()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.Get(url + "die"); err == nil {
		t.Fatal("the function answers while it dies")
	}
	eventually(t, "the death is noticed", func() bool { _, err = taken[1].at(); return err != nil })
	for _, want := range []*instance{taken[2], taken[0]} {
		if i, cold, err := p.take(t.Context()); i != want || cold != 0 || err != nil {
			t.Fatalf("not the one that became idle last: cold start %v, %v", cold, err)
		}
	}
	p.give(taken[2], true)
	p.give(taken[0], false) // it is of no use any more
	if i, _, _ := p.take(t.Context()); i != taken[2] {
		t.Error("one that was given back as no good is taken")
	}
	p.give(taken[2], true)
}

// A start that fails fails its request, and none is tried for a while.
func TestColdStartFails(t *testing.T) {
	c := openNodes(t, 1, NodeOptions{Backend: onDemand(t, time.Minute, "dies"), Slots: 1, Room: 1, Queue: true})
	poolOf(c.nodes[0]).wait = time.Hour // longer than the next request takes to come
	for k, want := range []string{"it ended before it answered: exit status 1", "no process is started within "} {
		r := c.ask(0, "POST", "/function/f", "")
		var f wire.Failure
		if err := json.Unmarshal([]byte(r.body), &f); err != nil || r.status != 500 || f.Code != wire.CodeGeneric || !strings.Contains(f.Reason, want) ||
			!strings.Contains(f.Reason, "exit status 1") {
			t.Errorf("request %d: %d %s, want %q", k, r.status, r.body, want)
		}
	}
	if s := c.nodes[0].Status(); s.Running != 0 {
		t.Errorf("%d executions run", s.Running)
	}
	_, err := OpenNode(NodeOptions{Slots: 1, Scheduler: DefaultScheduler(), Backend: Backend{Functions: map[string]Function{
		"f": {Command: []string{"/no/such/program"}, OnDemand: true}}}})
	if err == nil || !strings.Contains(err.Error(), "function f: /no/such/program cannot be started") {
		t.Errorf("a program that is not there: %v", err)
	}
}

// A process that is given up while it starts ends; one that is given up at work is warm.
func TestColdStartGivenUp(t *testing.T) {
	c := openNodes(t, 1, NodeOptions{Backend: onDemand(t, time.Hour, "late"), Slots: 1, Room: 1, Queue: true})
	p, at := poolOf(c.nodes[0]), c.servers[0].URL+"/function/f"
	slotIsFree := func() bool { return c.nodes[0].Status().Running == 0 }
	abandon(t, at+"?sleep=1m", func() bool { starts, _ := counts(p); return starts == 1 })
	eventually(t, "the slot is free", slotIsFree)
	noInstance(t)
	if _, n := counts(p); n != 0 {
		t.Errorf("%d processes are idle", n)
	}
	r := c.ask(0, "POST", "/function/f", "")
	own, _ := processes(t, r.body)
	if cold := coldStart(t, r); cold < time.Second {
		t.Errorf("a cold start of %v, and it takes a second", cold)
	}
	query, begun, _ := until(t)
	abandon(t, at+query, begun)
	eventually(t, "the slot is free", slotIsFree)
	eventually(t, "the process is idle again", func() bool { _, idle := counts(p); return idle == 1 })
	r = c.ask(0, "POST", "/function/f", "")
	if again, _ := processes(t, r.body); again != own || coldStart(t, r) != 0 {
		t.Errorf("process %d, want %d, which is warm", again, own)
	}
}

// A process whose client gives up, or sends too much, is warm again when it has done: until then others do not wait for it.
func TestColdStartRegained(t *testing.T) {
	o := NodeOptions{Backend: onDemand(t, time.Hour, "stolid"), Slots: 2, Room: 1, Queue: true}
	o.Limits.Body = 1000
	c := openNodes(t, 1, o)
	own, _ := processes(t, c.ask(0, "POST", "/function/f", "").body)
	query, begun, end := until(t)
	abandon(t, c.servers[0].URL+"/function/f"+query, begun)
	idle := func() int { _, idle := counts(poolOf(c.nodes[0])); return idle }
	waited := time.AfterFunc(20*time.Second, end) // for what must not be waited for
	if other, _ := processes(t, c.ask(0, "POST", "/function/f", "").body); other == own {
		t.Error("a request waits until the process has computed what nobody wants any more")
	}
	if waited.Stop() {
		end()
	}
	eventually(t, "both are idle", func() bool { return idle() == 2 })
	warm, _ := processes(t, c.ask(0, "POST", "/function/f", "").body)
	a, err := http.Post(c.servers[0].URL+"/function/f", "", struct{ io.Reader }{strings.NewReader(strings.Repeat("x", 5000))}) // nobody says how long
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	eventually(t, "it is idle again", func() bool { return idle() == 2 })
	if again, _ := processes(t, c.ask(0, "POST", "/function/f", "").body); a.StatusCode != 413 || again != warm {
		t.Errorf("%s, and process %d is warm, want %d", a.Status, again, warm)
	}
}

// However many clients give up, few processes are waited for that compute on: the others are ended.
func TestColdStartRegainsFew(t *testing.T) {
	p, err := newPool("f", functionCommand(t), patience{start: time.Minute}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	done := make(chan struct{})
	computes := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-done:
		case <-r.Context().Done():
		}
	}))
	defer computes.Close()
	url := computes.URL + "/"
	var dead atomic.Int32
	regain := func(n int) {
		for range n {
			i := &instance{die: func() { dead.Add(1) }, ended: make(chan struct{})}
			close(i.ended)
			i.url.Store(&url)
			p.regain(i)
		}
	}
	count := func() (idle, regaining int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.idle), p.regaining
	}
	regain(mostRegaining + 2)
	eventually(t, "two are ended", func() bool { return dead.Load() == 2 })
	if idle, regaining := count(); idle != 0 || regaining != mostRegaining {
		t.Errorf("%d processes are idle, %d are waited for, want 0 and %d", idle, regaining, mostRegaining)
	}
	close(done)
	eventually(t, "the others are idle", func() bool { idle, regaining := count(); return idle == mostRegaining && regaining == 0 })
	regain(1)
	eventually(t, "one more is", func() bool { idle, _ := count(); return idle == mostRegaining+1 })
	if n := dead.Load(); n != 2 {
		t.Errorf("%d are ended, want 2", n)
	}
}

// The node that a client called says what the start at another one took; and what nodes did about all of this replays.
func TestColdStartOfPeer(t *testing.T) {
	dir := t.TempDir()
	backend := onDemand(t, time.Minute, "serves", "{port}")
	m := openMesh(t, 2, function, func(i int, o *NodeOptions) {
		o.Backend, o.Record = backend, dir
		if i == 0 {
			o.Scheduler = forwardAll
		}
	})
	for k, cold := range []bool{true, false} {
		r := m.ask(0, "POST", "/function/f", "")
		if r.status != 200 || r.header.Get(wire.HeaderExternallyExecuted) != "True" || coldStart(t, r) > 0 != cold {
			t.Errorf("request %d: %d %s, %v", k, r.status, r.body, r.header)
		}
	}
	for i := range 2 {
		m.stop(i)
	}
	starts := 0
	for _, n := range m.nodes.nodes {
		path := n.mailbox.options.Record.path
		for _, line := range recorded(t, path) {
			if strings.Contains(line, `"Cold":`) {
				starts++
			}
		}
		replayWhole(t, path)
	}
	if starts != 1 {
		t.Errorf("%d executions of the logs began with a cold start, want 1", starts)
	}
}
