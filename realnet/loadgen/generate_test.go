package loadgen_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/loadgen"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// A function that redirects its caller does not get the generator's token, and its answer is what is counted.
func TestTheTokenFollowsNoRedirection(t *testing.T) {
	shown := make(chan string, 100)
	evil := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { shown <- r.Header.Get("Authorization") }))
	defer evil.Close()
	redirecting := httptest.NewServer(http.RedirectHandler(evil.URL, http.StatusFound))
	defer redirecting.Close()
	credentials, err := realnet.NewCredentials(strings.Repeat("token", 8))
	if err != nil {
		t.Fatal(err)
	}
	f, err := scenarios.Parse("test.yaml", []byte("{duration: 200ms, cluster: {nodes: 1, slots: 2, queue: 4}, "+
		"functions: [{name: f, service: 1ms}], workload: {rate: 50/s}, scheduler: {name: NoScheduler}}"), fstest.MapFS{})
	if err != nil {
		t.Fatal(err)
	}
	points, err := f.Points()
	if err != nil {
		t.Fatal(err)
	}
	o, err := realnet.ScenarioNode(points[0].Scenario, 0, 0, []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	o.Credentials, o.Backend = credentials, realnet.Backend{URL: redirecting.URL}
	node, err := realnet.OpenNode(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(node.SchedulerHandler())
	defer func() {
		server.Close()
		if err := node.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	r, err := loadgen.Generate(t.Context(), loadgen.Options{Credentials: credentials, Scenario: points[0].Scenario,
		Targets: []loadgen.Target{{Scheduler: server.Listener.Addr().String()}}})
	if err != nil {
		t.Fatal(err)
	}
	if done, _ := r.Metric("completed"); done == 0 {
		t.Error("nothing is completed")
	}
	if len(shown) > 0 {
		t.Errorf("another server is called, and shown %q", <-shown)
	}
}
