package realnet

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	collect "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// tree is a trace as text: each span with its kind, its error and its attributes that are named, below the one that it is in.
func tree(spans tracetest.SpanStubs, attributes ...string) string {
	slices.SortStableFunc(spans, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	var b strings.Builder
	var below func(id trace.SpanID, depth int)
	below = func(id trace.SpanID, depth int) {
		for _, s := range spans {
			if s.Parent.SpanID() != id {
				continue
			}
			b.WriteString(strings.Repeat("  ", depth) + s.Name)
			for _, name := range attributes {
				for _, a := range s.Attributes {
					if string(a.Key) == "p2pfaas."+name {
						b.WriteString(" " + a.Value.String())
					}
				}
			}
			if s.Status.Description != "" {
				b.WriteString(": " + s.Status.Description)
			}
			b.WriteString("\n")
			below(s.SpanContext.SpanID(), depth+1)
		}
	}
	for _, s := range spans { // that are in none of them
		known := false
		for _, o := range spans {
			known = known || o.SpanContext.SpanID() == s.Parent.SpanID()
		}
		if !known {
			below(s.Parent.SpanID(), 0)
			break
		}
	}
	return b.String()
}

// A request that goes to a peer is one trace: that of its client, and its function's.
func TestSpansOfARequest(t *testing.T) {
	made := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(made))
	var mu sync.Mutex
	seen := ""
	f := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = r.Header.Get("Traceparent")
	}))
	defer f.Close()
	o := NodeOptions{Slots: 1, Room: 1, Queue: true, Traces: provider, Scheduler: Descriptor{Name: "PowerOfNScheduler", Parameters: []string{"1", "0", "true", "1"}}}
	o.Backend.URL = f.URL
	c := openNodes(t, 2, o)
	const client = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, x := range []struct {
		what   string
		header []string
		want   string
	}{
		{"executed where it came", []string{wire.HeaderBypass, "true"}, `request completed
  scheduling NoScheduler execute
  wait
  execution
`},
		{"forwarded", []string{wire.HeaderForward, "true"}, `request completed
  scheduling ForwardScheduler(1) forward to 2
  forward completed
    task of a peer completed
      wait
      execution
`},
		{"rejected", []string{wire.HeaderReject, "true"}, `request rejected: rejected
  scheduling RejectScheduler reject: rejected
`},
	} {
		made.Reset()
		c.ask(0, http.MethodGet, "/function/f", "", append(x.header, "Traceparent", client)...)
		within(t, "the spans are there", func() bool { return len(made.GetSpans()) >= strings.Count(x.want, "\n") })
		spans := made.GetSpans()
		if got := tree(spans, "scheduler", "verdict", "outcome"); got != x.want {
			t.Errorf("%s: the trace is\n%swant\n%s", x.what, got, x.want)
		}
		for _, s := range spans {
			if s.SpanContext.TraceID().String() != client[3:35] {
				t.Errorf("%s: %s is in the trace %s", x.what, s.Name, s.SpanContext.TraceID())
			}
			if s.EndTime.Before(s.StartTime) {
				t.Errorf("%s: %s ends before it begins", x.what, s.Name)
			}
			if s.Name == "execution" && !strings.Contains(seen, s.SpanContext.SpanID().String()) {
				t.Errorf("%s: the function was told %s, not %s", x.what, seen, s.SpanContext.SpanID())
			}
		}
	}
}

// Who decides about the task of a peer stands in its span, as with a request.
func TestSpansOfATaskOfAPeer(t *testing.T) {
	made := tracetest.NewInMemoryExporter()
	c := openNodes(t, 1, NodeOptions{Slots: 1, Room: 1, Queue: true, Traces: sdk.NewTracerProvider(sdk.WithSyncer(made)),
		Scheduler: Descriptor{Name: "PowerOfNScheduler", Parameters: []string{"1", "0", "true", "2"}}})
	const want = "scheduling PowerOfNScheduler(1, 0, true, 2) execute\n"
	for _, x := range []struct {
		what, path, content string
		header              []string
	}{
		{"of this project", "/peer/task/f", "", []string{wire.HeaderPeer, "127.0.0.1:18083",
			wire.HeaderPeerTask, `{"token":1,"id":1,"hops":1,"timing_ns":{},"visited":["127.0.0.1:18083"]}`}},
		{"of the first P2PFaaS", "/peer/function/f", `{"function_name":"f","hops":1}`, nil},
	} {
		made.Reset()
		a := c.ask(0, http.MethodPost, x.path, x.content, append(x.header, "User-Agent", wire.UserAgentNode)...)
		if got := tree(made.GetSpans(), "scheduler", "verdict"); !strings.Contains(got, want) {
			t.Errorf("a peer %s is answered %d %s, and the trace is\n%swant in it\n%s", x.what, a.status, a.body, got, want)
		}
	}
}

// Each question to a peer is a span, with what it said or that it said nothing.
func TestSpansOfProbes(t *testing.T) {
	made := tracetest.NewInMemoryExporter()
	o := NodeOptions{Slots: 1, Room: 1, Queue: true, Traces: sdk.NewTracerProvider(sdk.WithSyncer(made)),
		Scheduler: Descriptor{Name: "PowerOfNScheduler", Parameters: []string{"2", "0", "true", "1"}}}
	c := openNodes(t, 3, o)
	ask := func() map[string]int {
		made.Reset()
		c.ask(0, http.MethodGet, "/function/f", "")
		counts := map[string]int{}
		for _, s := range made.GetSpans() {
			if s.Name == "probe" {
				counts[s.Status.Description]++
			}
		}
		return counts
	}
	if got := ask(); got[""] != 2 || len(got) != 1 {
		t.Errorf("two peers that answer: %v", got)
	}
	c.nodes[0].SetPeers([]string{strings.TrimPrefix(c.servers[1].URL, "http://"), "127.0.0.1:1"})
	within(t, "one of two peers does not answer", func() bool {
		got := ask()
		return got[""] == 1 && got["the peer cannot be reached"]+got["no answer in time"] == 1
	})
	n := c.nodes[0].spans
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.probes) != 0 {
		t.Errorf("%d spans of questions are open", len(n.probes))
	}
}

// What a collector is sent is OTLP; one that is not there is told of once, and when it is back.
func TestTracesReachACollector(t *testing.T) {
	log := said(t)
	got := make(chan string, 100)
	ready := make(chan bool, 100)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if len(ready) == 0 {
			w.WriteHeader(http.StatusBadRequest)
			got <- "refused"
			return
		}
		var q collect.ExportTraceServiceRequest
		if err := proto.Unmarshal(text, &q); err != nil {
			t.Error(err)
		}
		for _, s := range q.ResourceSpans {
			for _, s := range s.ScopeSpans {
				for _, s := range s.Spans {
					got <- r.URL.Path + " " + s.Name
				}
			}
		}
	}))
	defer collector.Close()
	traces, err := OpenTraces(TraceOptions{URL: collector.URL, Share: 1, Program: "v9"})
	if err != nil {
		t.Fatal(err)
	}
	c := openNodes(t, 1, NodeOptions{Traces: traces})
	send := func(want string) {
		c.ask(0, http.MethodGet, "/function/f", "", wire.HeaderReject, "true")
		if err := traces.ForceFlush(context.Background()); err != nil {
			t.Fatal(err)
		}
		if s := <-got; s != want {
			t.Errorf("the collector has got %q, want %q", s, want)
		}
	}
	send("refused")
	send("refused")
	ready <- true
	send("/v1/traces scheduling")
	if err := traces.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log(), "spans are dropped"); n != 1 || !strings.Contains(log(), "the collector takes spans again") {
		t.Errorf("the log says %d times that spans are dropped: %s", n, log())
	}
	for _, o := range []TraceOptions{{URL: "127.0.0.1:4318", Share: 1}, {URL: "http://127.0.0.1:4318", Share: 1.1}, {URL: "grpc://127.0.0.1", Share: 1}} {
		if _, err := OpenTraces(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
