package realnet

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What a node costs beside the function itself: the same small function called directly, through a node, and through two.
func BenchmarkCall(b *testing.B) {
	function := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "done") }))
	defer function.Close()
	open := func(scheduler string, parameters ...string) string {
		n, err := OpenNode(NodeOptions{Slots: 4, Room: 4, Queue: true, Backend: Backend{URL: function.URL},
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
			peer, err := OpenNode(NodeOptions{Slots: 4, Backend: Backend{URL: function.URL}, Scheduler: DefaultScheduler()})
			if err != nil {
				b.Fatal(err)
			}
			p := httptest.NewServer(peer.SchedulerHandler())
			n.SetPeers([]string{strings.TrimPrefix(p.URL, "http://")})
			b.Cleanup(func() { p.Close(); _ = peer.Shutdown(b.Context()) })
		}
		return s.URL + "/function/f"
	}
	for _, x := range []struct{ name, url string }{
		{"direct", function.URL}, {"local", open("NoScheduler", "true")}, {"forwarded", open("ForwardScheduler", "1")},
	} {
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
