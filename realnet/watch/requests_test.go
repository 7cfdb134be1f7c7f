package watch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core/sched"
	"github.com/p2pfaas/p2pfaas/realnet"
)

// openFeed serves a feed of nodes.
func openFeed(t *testing.T, addresses ...string) string {
	t.Helper()
	f, err := NewFeed(Options{Addresses: addresses, Interval: 50 * time.Millisecond, Patience: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

// fetch asks for JSON.
func fetch(t *testing.T, method, url, body string, to any) (status int, text string) {
	t.Helper()
	q, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	said, err := io.ReadAll(a.Body)
	if err == nil && a.StatusCode == http.StatusOK {
		err = json.Unmarshal(said, to)
	}
	if err != nil {
		t.Fatalf("%s: %v", said, err)
	}
	return a.StatusCode, string(bytes.TrimSpace(said))
}

// What all nodes remember is asked of one; who does not answer is named.
func TestFeedGathersRequests(t *testing.T) {
	nodes := openCluster(t, 2)
	gone := newTold(t)
	feed := openFeed(t, nodes[0].address, nodes[1].address, gone.address())
	gone.server.Close()
	for i, n := range nodes {
		q, err := http.NewRequest(http.MethodPost, "http://"+n.address+"/function/f", nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("X-P2pfaas-Scheduler-Task-Tracing-Id", fmt.Sprintf("request-%d", i))
		a, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
	}
	var told Requests
	within(t, "both requests are told of", func() bool {
		fetch(t, "GET", feed+"/ui/requests", "", &told)
		return len(told.Requests) == 2
	})
	if told.Requests[0].Request != "request-1" || told.Requests[1].Request != "request-0" || !slices.Equal(told.Silent, []string{gone.address()}) {
		t.Errorf("%+v", told)
	}
	if fetch(t, "GET", feed+"/ui/requests?request=request-0", "", &told); len(told.Requests) != 1 || told.Requests[0].Node != nodes[0].address {
		t.Errorf("of request-0: %+v", told)
	}
	if fetch(t, "GET", feed+"/ui/requests?request=nobody", "", &told); told.Requests == nil || len(told.Requests) != 0 {
		t.Errorf("of no request: %+v", told)
	}
}

// However many pages ask for the last requests, each node is asked once in an interval; who looks for one request has them asked.
func TestPagesShareTheLastRequests(t *testing.T) {
	var asked, found atomic.Int32
	n := newTold(t)
	n.does(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/monitoring/node":
			_ = json.NewEncoder(w).Encode(realnet.Status{ID: "n", IP: n.address()})
		case r.URL.Query().Get("request") != "":
			found.Add(1)
			fmt.Fprint(w, "[]")
		default:
			asked.Add(1)
			time.Sleep(50 * time.Millisecond)
			fmt.Fprint(w, `[{"request": "a"}]`)
		}
	})
	f, err := NewFeed(Options{Addresses: []string{n.address()}, Interval: time.Hour, Patience: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	var pages sync.WaitGroup
	for range 20 {
		pages.Go(func() {
			var told Requests
			if fetch(t, "GET", s.URL+"/ui/requests", "", &told); len(told.Requests) != 1 {
				t.Errorf("%+v", told)
			}
		})
	}
	pages.Wait()
	for range 2 {
		fetch(t, "GET", s.URL+"/ui/requests?request=a", "", &Requests{})
	}
	if asked.Load() != 1 || found.Load() != 2 {
		t.Errorf("the last requests are asked for %d times, a request %d times", asked.Load(), found.Load())
	}
}

// Where no look at the nodes comes to anything, who asks for the last requests is told so: those that come later wait for it.
func TestLastRequestsAreNotWaitedForForever(t *testing.T) {
	n := newTold(t)
	n.does(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	f, err := NewFeed(Options{Addresses: []string{n.address()}, Interval: time.Millisecond, Patience: 50 * time.Millisecond}) // looks last longer than a Watcher that nobody reads
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	w := httptest.NewRecorder()
	f.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/ui/requests", nil))
	if said := w.Body.String(); w.Code != http.StatusServiceUnavailable || !strings.Contains(said, "the nodes have not been looked at within 101ms") {
		t.Errorf("%d %s", w.Code, said)
	}
}

// A change goes to the nodes that are meant; what cannot be is said before anything is changed, and no address is called
// that the cluster does not tell of.
func TestFeedChangesNodes(t *testing.T) {
	nodes := openCluster(t, 2)
	stranger := newTold(t)
	feed := openFeed(t, nodes[0].address, nodes[1].address)
	for _, x := range []struct{ body, says string }{
		{`{`, "unexpected end"},
		{`{}`, "nothing is to be changed"},
		{`{"scheduler": "NoSuchScheduler"}`, "unknown scheduler"},
		{`{"scheduler": "JSQ q=3"}`, "q"},
		{`{"slots": 3, "nodes": ["` + stranger.address() + `"]}`, "no node of this cluster"},
		{`{"slots": 3, "nodes": ["` + nodes[0].address + `", "` + stranger.address() + `"]}`, "nothing is changed"},
	} {
		if status, said := fetch(t, "POST", feed+"/ui/configuration", x.body, nil); status != http.StatusBadRequest || !strings.Contains(said, x.says) {
			t.Errorf("%s: %d %s", x.body, status, said)
		}
	}
	if stranger.asked.Load() != 0 {
		t.Error("a stranger was asked")
	}
	if s := nodes[0].Status(); s.Slots != 1 {
		t.Errorf("a change that was refused has been made: %d slots", s.Slots)
	}
	var done struct{ Nodes []Changed }
	if fetch(t, "POST", feed+"/ui/configuration", `{"scheduler": "NoScheduler", "slots": 3, "queue": 0}`, &done); len(done.Nodes) != 2 || done.Nodes[0].Error != "" || done.Nodes[1].Error != "" {
		t.Errorf("%+v", done)
	}
	fetch(t, "POST", feed+"/ui/configuration", `{"slots": 5, "nodes": ["`+nodes[1].address+`"]}`, &done)
	within(t, "the nodes have it", func() bool {
		a, b := nodes[0].Status(), nodes[1].Status()
		return a.Slots == 3 && b.Slots == 5 && a.Room == 0 && b.Room == 0 && a.Scheduler.Name == "NoScheduler" && b.Scheduler.Name == "NoScheduler"
	})
	if fetch(t, "POST", feed+"/ui/configuration", `{"slots": -1}`, &done); len(done.Nodes) != 2 || !strings.Contains(done.Nodes[0].Error, "write numbers from 0") {
		t.Errorf("%+v", done)
	}
}

// All algorithms are listed, with what can be said of their parameters.
func TestFeedListsAlgorithms(t *testing.T) {
	var all []Algorithm
	if fetch(t, "GET", openFeed(t, "127.0.0.1:1")+"/ui/schedulers", "", &all); len(all) != len(sched.Names()) {
		t.Fatalf("%d algorithms", len(all))
	}
	i := slices.IndexFunc(all, func(a Algorithm) bool { return a.Name == "PowerOfNScheduler" })
	if a := all[i]; len(a.Parameters) < 2 || a.Parameters[0].Name != "fanout" || a.Parameters[0].Type != "integer" || a.Parameters[0].Min != "1" || a.Positional[0] != "fanout" ||
		a.MaxHops != 1 || !slices.Equal(a.Parameters[2].Flags, []string{"false", "true", "true"}) {
		t.Errorf("%+v", a)
	}
}

// What a person writes becomes JSON; JSON goes on as it came, since each node fills in by itself what that leaves out.
func TestChangeOfScheduler(t *testing.T) {
	const whole = `{"name":"JSQ","named":{"d":3},"forwarding":{"on_refusal":"next"}}`
	for text, want := range map[string]string{"JSQ d=3": `{"name":"JSQ","parameters":null,"named":{"d":3}}`, whole: whole} {
		c := Change{Scheduler: text}
		if got, err := c.understood(); err != nil || string(got.Scheduler) != want {
			t.Errorf("%s is sent as %s, %v; want %s", text, got.Scheduler, err, want)
		}
	}
}
