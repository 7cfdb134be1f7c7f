package realnet

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// A request has one id in the logs of all nodes that it comes to: the client's or, where it says none, its entry node's, which
// it is told. No log has what was asked or answered.
func TestRequestIsFollowed(t *testing.T) {
	log := said(t)
	defer slog.SetLogLoggerLevel(slog.SetLogLoggerLevel(slog.LevelDebug))
	m := openMesh(t, 2, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("a-secret-answer")) },
		func(i int, o *NodeOptions) {
			if i == 0 {
				o.Scheduler = forwardAll
			}
		})
	seen := map[string]bool{}
	for _, mine := range []string{"mine", "", "", strings.Repeat("x", 2*longestID)} {
		var header []string
		if mine != "" {
			header = []string{wire.HeaderTracing, mine}
		}
		r := m.ask(0, "POST", "/function/f", "a-secret-question", header...)
		id := r.header.Get(wire.HeaderTracing)
		if r.status != 200 || id == "" || mine != "" && id != mine || seen[id] {
			t.Fatalf("%d %s: the id is %q, the client said %q", r.status, r.body, id, mine)
		}
		seen[id] = true
		id = id[:min(len(id), longestID)]
		var found []string
		for line := range strings.Lines(log()) {
			if _, about, ok := strings.Cut(line, " request="+id+" "); ok {
				_, what, _ := strings.Cut(line, "DEBUG ")
				what, _, _ = strings.Cut(what, " request=")
				about = strings.TrimSuffix(about, "\n")
				if i := strings.Index(about, " task="); i >= 0 { // whose numbers are not the point
					about = about[:i] + about[strings.Index(about, " verdict="):]
				}
				found = append(found, what+": "+about)
			}
		}
		want := []string{ // after one hop nobody decides any more
			`a task is decided about: node=node-0 function=f verdict="forward to 1" peers=[` + m.addresses[1] + `]`,
			`a request has ended: node=node-1 function=f outcome=completed`,
			`a request has ended: node=node-0 function=f outcome=completed`,
		}
		if !slices.Equal(found, want) {
			t.Errorf("of %q the logs say\n%s\nwant\n%s", id, strings.Join(found, "\n"), strings.Join(want, "\n"))
		}
	}
	if strings.Contains(log(), "secret") {
		t.Error("a log has what was asked, or answered")
	}
}

// What fails is told where nobody asked for more, with the id of the request.
func TestFailureHasID(t *testing.T) {
	log := said(t)
	m := openMesh(t, 2, function, func(i int, o *NodeOptions) {
		if o.Backend.URL = "http://127.93.0.1:9"; i == 0 {
			o.Scheduler, o.Forwarding.OnFailure = forwardAll, core.FallbackFail
		}
	})
	m.ask(0, "POST", "/function/f?a=secret", "a-secret-question", wire.HeaderTracing, "one")
	m.stop(1)
	m.ask(0, "POST", "/function/f?a=secret", "a-secret-question", wire.HeaderTracing, "two")
	for _, want := range []string{"WARN a function failed request=one node=node-1 function=f error=",
		"WARN a request has ended request=two node=node-0 function=f outcome=lost-node-down"} {
		if !strings.Contains(log(), want) {
			t.Errorf("there is no %q in\n%s", want, log())
		}
	}
	if strings.Contains(log(), "secret") || strings.Contains(log(), "DEBUG") {
		t.Errorf("the log says too much:\n%s", log())
	}
}
