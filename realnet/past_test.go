package realnet

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// pastOf is what a node tells of past requests.
func (c *nodes) pastOf(i int, query string) (told []PastRequest) {
	c.t.Helper()
	r := c.ask(i, "GET", "/monitoring/requests"+query, "")
	if err := json.Unmarshal([]byte(r.body), &told); err != nil || r.status != http.StatusOK {
		c.t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return told
}

// Where a request has been can be asked of the nodes that had it: whom its entry node asked and sent it to, where it waited and
// was executed, and what that took. The nodes agree.
func TestPastOfARequest(t *testing.T) {
	m := openMesh(t, 2, function, func(i int, o *NodeOptions) {
		o.Slots, o.Room = 1, 1
		o.Scheduler = Descriptor{Name: "PowerOfNScheduler", Named: map[string]any{"fanout": 1, "threshold": 1}}
	})
	end := m.hold(0, wire.HeaderTracing, "long")
	m.ask(0, "POST", "/function/f", "sleep 20ms", wire.HeaderTracing, "mine")
	here, there := m.pastOf(0, "?request=mine"), m.pastOf(1, "?request=mine")
	if len(here) != 1 || len(there) != 1 {
		t.Fatalf("one node tells %+v, the other one %+v", here, there)
	}
	a, b := here[0], there[0]
	peer := []string{m.addresses[1]}
	if a.Node != m.addresses[0] || a.From != "" || a.Verdict != "forward" || !slices.Equal(a.Asked, peer) || !slices.Equal(a.Sent, peer) ||
		a.Executor != peer[0] || a.Outcome != "completed" || a.Function != "f" || a.Hops != 1 || a.Probes != 1 || a.Retries != 0 {
		t.Errorf("the entry node tells %+v", a)
	}
	if b.Node != peer[0] || b.From != m.addresses[0] || b.Verdict != "" || b.Sent != nil || b.Executor != peer[0] || b.Outcome != "completed" {
		t.Errorf("its peer tells %+v", b)
	}
	if b.Parts.Executing < 20*time.Millisecond || b.Parts.Executing != a.Parts.Executing || b.Parts.Probing != 0 || a.Parts.Probing <= 0 {
		t.Errorf("the entry node tells of the parts %+v, its peer %+v", a.Parts, b.Parts)
	}
	if sum := a.Parts.Scheduling + a.Parts.Probing + a.Parts.Forwarding + a.Parts.Waiting + a.Parts.Executing + a.Parts.Returning; a.Decided < a.Parts.Probing ||
		sum > a.Took || a.Took > time.Since(a.Arrived) {
		t.Errorf("%v in parts, decided after %v, took %v", sum, a.Decided, a.Took)
	}
	if end(); len(m.pastOf(0, "")) != 2 || m.pastOf(0, "")[0].Request != "long" {
		t.Errorf("in all, the entry node tells %+v", m.pastOf(0, ""))
	}
}

// A node remembers so many requests, the last ones, whatever became of them.
func TestPastIsBounded(t *testing.T) {
	var p pastRequests
	for i := range 2*mostPast + 3 {
		p.add(pastRequest{PastRequest: PastRequest{Hops: i}})
	}
	all := p.last(mostPast+1, func(*pastRequest) bool { return true })
	if len(all) != mostPast || all[0].Hops != 2*mostPast+2 || all[mostPast-1].Hops != mostPast+3 {
		t.Errorf("%d are left, from %d to %d", len(all), all[0].Hops, all[len(all)-1].Hops)
	}
	var peers []core.NodeID
	for i := range 2 * mostPastPeers {
		peers = appendPeer(peers, core.NodeID(i))
	}
	if len(peers) != mostPastPeers {
		t.Errorf("%d peers of one request", len(peers))
	}
	c := openNodes(t, 1, NodeOptions{Backend: Backend{URL: "http://127.96.0.1:9"}})
	for _, x := range [][2]string{{wire.HeaderReject, "rejected"}, {wire.HeaderBypass, "lost-no-answer"}} {
		c.ask(0, "POST", "/function/f", "", x[0], "true")
		if told := c.pastOf(0, "?most=1"); len(told) != 1 || told[0].Outcome != x[1] || told[0].Verdict == "" {
			t.Errorf("of a request that is %s: %+v", x[1], told)
		}
	}
	for _, most := range []string{"0", "x", fmt.Sprint(mostPast + 1)} {
		if r := c.ask(0, "GET", "/monitoring/requests?most="+most, ""); r.status != http.StatusBadRequest {
			t.Errorf("most=%s: %d %s", most, r.status, r.body)
		}
	}
}

// A task that a peer gives up has ended, too: it is remembered, and its span is there.
func TestPastOfATaskThatIsGivenUp(t *testing.T) {
	made := tracetest.NewInMemoryExporter()
	c := openNodes(t, 1, NodeOptions{Slots: 2, Traces: sdk.NewTracerProvider(sdk.WithSyncer(made))})
	for path, body := range map[string]string{"/peer/task/f": "sleep 1m", "/peer/function/f": `{"function":"f","payload":"c2xlZXAgMW0="}`} { // in base 64
		ctx, giveUp := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.servers[0].URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"User-Agent": wire.UserAgentNode, wire.HeaderPeer: "127.0.0.1:200", wire.HeaderPeerTask: `{"token":7,"hops":1}`, wire.HeaderTracing: path} {
			r.Header.Set(name, value)
		}
		go func() {
			for running := int32(0); running == 0; running, _, _ = c.nodes[0].mailbox.Load() {
				time.Sleep(time.Millisecond)
			}
			giveUp()
		}()
		if a, err := http.DefaultClient.Do(r); err == nil {
			a.Body.Close()
			t.Fatalf("%s: %s", path, a.Status)
		}
		eventually(t, path+" has ended", func() bool { return c.nodes[0].Status().Requests == 0 })
		eventually(t, "its slot is free", func() bool { running, _, _ := c.nodes[0].mailbox.Load(); return running == 0 })
	}
	for _, told := range c.pastOf(0, "") {
		if told.Outcome != core.LostClientGone.String() {
			t.Errorf("%+v", told)
		}
	}
	if n := len(c.pastOf(0, "")); n != 2 {
		t.Errorf("%d tasks are remembered, want 2", n)
	}
	if got := tree(made.GetSpans(), "outcome"); strings.Count(got, "task of a peer") != 2 {
		t.Errorf("the spans are\n%s", got)
	}
}
