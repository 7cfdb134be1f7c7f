package loadgen_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/loadgen"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

// oneNode is a scenario of one node with more keys.
func oneNode(t *testing.T, more string) *scenarios.Scenario {
	t.Helper()
	return scenariotest.One(t, "{cluster: {nodes: 1, slots: 2, queue: 4}, "+
		"functions: [{name: f, service: 1ms}], workload: {rate: 50/s}, "+more+"}")
}

// start starts that node with a function at a URL, and returns its address.
func start(t *testing.T, s *scenarios.Scenario, credentials *realnet.Credentials, function string) string {
	t.Helper()
	o, err := realnet.ScenarioNode(s, 0, 0, []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	o.Credentials, o.Backend = credentials, realnet.Backend{URL: function}
	if l := s.Learner; l.Asks() && l.External != nil {
		act, _ := l.External.Of(0)
		asked := realnet.NewRemoteLearner(realnet.LearnerOptions{Act: act, Timeout: l.External.Timeout})
		t.Cleanup(func() { _ = asked.Close() })
		o.Learner = asked
	}
	node, err := realnet.OpenNode(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(node.SchedulerHandler())
	t.Cleanup(func() {
		server.Close()
		if err := node.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return server.Listener.Addr().String()
}

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
	s := oneNode(t, "duration: 200ms, scheduler: {name: NoScheduler}")
	at := start(t, s, credentials, redirecting.URL)
	r, err := loadgen.Generate(t.Context(), loadgen.Options{Credentials: credentials, Scenario: s, Targets: []loadgen.Target{{Scheduler: at}}})
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

// The loads of nodes are looked at until the duration of the scenario is over, though the last request was answered long before: the mean load is that
// of the measured part.
func TestARunLastsAsLongAsItsScenario(t *testing.T) {
	begun, looked, answered := make(chan struct{}), make(chan struct{}), make(chan struct{})
	function := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(begun); <-looked }))
	defer function.Close()
	look := sync.OnceFunc(func() { close(looked) })
	defer look()
	s := oneNode(t, "duration: 1s, warmup: 800ms, scheduler: {name: NoScheduler}")
	s.Workload = scenarios.Workload{Process: scenarios.Recorded, Trace: scenarios.NewTrace([]scenarios.Arrival{{Demand: time.Second}})}
	node := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: start(t, s, nil, function.URL)})
	var running atomic.Bool
	// However late a look is, the first one finds the request there, and those behind it do not: each waits for that, as long as it may.
	watched := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/monitoring/load" || !running.Load() {
			if node.ServeHTTP(w, r); r.URL.Path == "/function/f" {
				close(answered)
			}
			return
		}
		select {
		case <-begun:
		case <-r.Context().Done():
			return
		}
		select {
		case <-looked:
			select {
			case <-answered:
			case <-r.Context().Done():
			}
		default:
		}
		node.ServeHTTP(w, r)
		look()
	}))
	defer watched.Close()
	r, err := loadgen.Generate(t.Context(), loadgen.Options{Scenario: s, Targets: []loadgen.Target{{Scheduler: watched.Listener.Addr().String()}},
		Begun: func(time.Time) { running.Store(true) }})
	if err != nil {
		t.Fatal(err)
	}
	mean, _ := r.Metric("load.mean")
	if n := len(r.Series.Mean); n != 10 || mean != 0 || !slices.Contains(r.Series.Mean, 1) {
		t.Errorf("%d samples of 10 in a second; the load is %g when the request was long over; %v", n, mean, r.Series.Mean)
	}
}

// A learner outside of all nodes is told what its decisions were worth, as in simulation, and shown no credentials. It is its own node's: the generator
// says where that is not known.
func TestExternalLearnersAreTaught(t *testing.T) {
	function := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer function.Close()
	outside, err := realnet.OpenLearner(realnet.LearnerServiceOptions{Config: learner.Default()})
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	asked := httptest.NewServer(outside.Websocket())
	defer asked.Close()
	var shown, taken atomic.Int32
	routes := outside.Handler()
	told := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			shown.Add(1)
		}
		if r.URL.Path == "/0/train_batch" {
			taken.Add(1)
		}
		http.StripPrefix("/0", routes).ServeHTTP(w, r)
	}))
	defer told.Close()
	credentials, err := realnet.NewCredentials(strings.Repeat("token", 8))
	if err != nil {
		t.Fatal(err)
	}
	const length = "duration: 1s, warmup: 0s, replications: 1, scheduler: {name: LearningScheduler, state: [load], actions: [local, reject]}, "
	s := oneNode(t, length+"learner: {external: {act: 'ws"+strings.TrimPrefix(asked.URL, "http")+"', train: '"+told.URL+"/{node}', timeout: 60s}}")
	r, err := loadgen.Generate(t.Context(), loadgen.Options{Credentials: credentials, Scenario: s,
		Targets: []loadgen.Target{{Scheduler: start(t, s, credentials, function.URL), Learner: "http://127.91.0.1:1"}}})
	if err != nil {
		t.Fatal(err)
	}
	if n := outside.Stats().Entries.Received; r.Ended == 0 || uint64(n) != r.Ended || taken.Load() == 0 || shown.Load() > 0 {
		t.Errorf("%d requests ended, the learner took %d entries in %d messages, and %d of these showed it a token", r.Ended, n, taken.Load(), shown.Load())
	}

	s = oneNode(t, length+"learner: {}")
	_, err = loadgen.Generate(t.Context(), loadgen.Options{Scenario: s, Targets: []loadgen.Target{{Scheduler: start(t, s, nil, function.URL)}}})
	if err == nil || !strings.Contains(err.Error(), "nobody says where that of node 0") {
		t.Errorf("nobody knows where the learner is: %v", err)
	}
}
