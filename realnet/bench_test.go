package realnet

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// What a node costs beside the function itself: the same small function called directly, through a node,
// through two, and through one that sends traces.
func BenchmarkCall(b *testing.B) {
	function := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "done") }))
	defer function.Close()
	var traces trace.TracerProvider
	var asked *Credentials
	open := func(scheduler string, parameters ...string) string {
		n, err := OpenNode(NodeOptions{Credentials: asked, Slots: 4, Room: 4, Queue: true, Backend: Backend{URL: function.URL}, Traces: traces,
			Scheduler: Descriptor{Name: scheduler, Parameters: parameters}})
		if err != nil {
			b.Fatal(err)
		}
		s := httptest.NewServer(n.SchedulerHandler())
		b.Cleanup(func() {
			s.Close()
			if err := n.Shutdown(b.Context()); err != nil {
				b.Log(err) // the context of a benchmark ends before its cleanup
			}
		})
		if scheduler == "ForwardScheduler" {
			peer, err := OpenNode(NodeOptions{Credentials: asked, Slots: 4, Backend: Backend{URL: function.URL}, Scheduler: DefaultScheduler()})
			if err != nil {
				b.Fatal(err)
			}
			p := httptest.NewServer(peer.SchedulerHandler())
			n.SetPeers([]string{strings.TrimPrefix(p.URL, "http://")})
			b.Cleanup(func() { p.Close(); _ = peer.Shutdown(b.Context()) })
		}
		return s.URL + "/function/f"
	}
	type called struct{ name, url string }
	calls := []called{{"direct", function.URL}, {"local", open("NoScheduler", "true")}, {"forwarded", open("ForwardScheduler", "1")}}
	traces = sdk.NewTracerProvider(sdk.WithBatcher(tracetest.NewNoopExporter()))
	calls = append(calls, called{"local/traced", open("NoScheduler", "true")})
	traces, asked = nil, testCredentials(b, testToken)
	calls = append(calls, called{"local/token", open("NoScheduler", "true")}, called{"forwarded/token", open("ForwardScheduler", "1")})
	for _, x := range calls {
		b.Run(x.name, func(b *testing.B) {
			for b.Loop() {
				a, err := http.Post(x.url, "text/plain", strings.NewReader("hello"))
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, a.Body)
				a.Body.Close()
				if a.StatusCode != http.StatusOK {
					b.Fatal(a.Status)
				}
			}
		})
	}
}

// What it costs to count a request of a client when it has ended, on the goroutine of its handler, and a probe, on the mailbox's.
func BenchmarkMetrics(b *testing.B) {
	n, err := OpenNode(NodeOptions{Slots: 1, Backend: Backend{URL: "http://127.0.0.1:9"}, Scheduler: DefaultScheduler()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := n.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
	})
	r := &request{call: call{function: "f"}, outcome: core.Completed, answer: &answer{status: http.StatusOK}, report: &wire.TaskReport{}}
	b.Run("request", func(b *testing.B) {
		for b.Loop() {
			n.metrics.ended(r)
		}
	})
	b.Run("probe", func(b *testing.B) {
		for b.Loop() {
			n.metrics.probes.Inc()
		}
	})
	b.Run("scrape", func(b *testing.B) {
		for b.Loop() {
			if _, err := n.metrics.registry.Gather(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// What it costs to let a caller in: without credentials, and with a token that is right.
func BenchmarkAccess(b *testing.B) {
	for name, c := range map[string]*Credentials{"open": nil, "token": testCredentials(b, testToken)} {
		s := newRoutes(c)
		s.handle(toWatch, "GET", "/", (&Node{}).hello)
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest("GET", "/", nil)
			for b.Loop() {
				r.Header["Authorization"] = []string{"Bearer " + testToken} // it is taken away
				w := httptest.NewRecorder()
				if s.ServeHTTP(w, r); w.Code != http.StatusOK {
					b.Fatal(w.Code)
				}
			}
		})
	}
}
