package realnet

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// scraped are the metrics of a service.
type scraped struct {
	t        *testing.T
	families map[string]*dto.MetricFamily
}

func scrape(t *testing.T, url string) scraped {
	t.Helper()
	status, text, header := fetch(t, "GET", url+"/metrics", "")
	if status != 200 || !strings.HasPrefix(header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%d %v: %s", status, header, text)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return scraped{t, families}
}

// sum adds up what a metric says, the counts of a histogram or summary, over all labels but those given, in pairs.
func (s scraped) sum(name string, labels ...string) float64 {
	all := 0.0
	for _, m := range s.families[name].GetMetric() {
		has := map[string]string{}
		for _, l := range m.GetLabel() {
			has[l.GetName()] = l.GetValue()
		}
		matches := true
		for i := 0; i < len(labels); i += 2 {
			matches = matches && has[labels[i]] == labels[i+1]
		}
		if matches {
			all += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount()+m.GetSummary().GetSampleCount())
		}
	}
	return all
}

// seconds adds up the seconds of a histogram.
func (s scraped) seconds(name string) (all float64) {
	for _, m := range s.families[name].GetMetric() {
		all += m.GetHistogram().GetSampleSum()
	}
	return all
}

// values are those of a label.
func (s scraped) values(name, label string) []string {
	found := map[string]bool{}
	for _, m := range s.families[name].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == label {
				found[l.GetValue()] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func (s scraped) is(want float64, name string, labels ...string) {
	s.t.Helper()
	if got := s.sum(name, labels...); got != want || s.families[name] == nil {
		s.t.Errorf("%s%v is %v, want %v", name, labels, got, want)
	}
}

// lint has Prometheus' own linter look at the names, units and types, and sees that nothing grows with what a client says.
func lint(t *testing.T, r *prometheus.Registry) {
	t.Helper()
	problems, err := testutil.GatherAndLint(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	bounded := []string{"action", "code", "executor", "function", "goversion", "outcome", "part", "quantile", "reason", "result",
		"service", "state", "status", "version"}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if _, ok := slices.BinarySearch(bounded, l.GetName()); !ok && strings.HasPrefix(f.GetName(), "p2pfaas_") {
					t.Errorf("%s has the label %s, which may have any number of values", f.GetName(), l.GetName())
				}
			}
		}
	}
}

// What a node counts is what was sent to it, at both ends of a forward.
func TestMetricsCount(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	m := openMesh(t, 2, func(w http.ResponseWriter, r *http.Request) {
		switch text, _ := io.ReadAll(r.Body); string(text) {
		case "fast":
			time.Sleep(5 * time.Millisecond)
		case "missing":
			w.WriteHeader(http.StatusNotFound)
		case "slow":
			entered <- struct{}{}
			<-leave
		}
	}, func(i int, o *NodeOptions) {
		o.Program, o.Slots, o.Room = "v9", 1, 1+i
		if i == 0 {
			o.Scheduler = forwardAll
		}
	})
	leaving := sync.OnceFunc(func() { close(leave) })
	t.Cleanup(leaving) // before the nodes, which wait for what is in hand
	const requests = 20
	for range requests {
		if r := m.ask(0, "POST", "/function/f", "fast"); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	for range 3 {
		m.ask(0, "POST", "/function/made-up", "missing")
	}
	if r := m.ask(0, "POST", "/function/f", "", wire.HeaderDemand, "much"); r.status != 400 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if r := m.ask(0, "POST", "/function/f", "", wire.HeaderReject, "true"); r.status != 503 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	first, second := scrape(t, m.servers[0].URL), scrape(t, m.servers[1].URL)
	const took, part, ran = "p2pfaas_request_duration_seconds", "p2pfaas_request_part_duration_seconds", "p2pfaas_execution_duration_seconds"
	first.is(requests, took, "function", "f", "outcome", "completed")
	first.is(3, took, "function", otherLabel, "outcome", "completed")
	first.is(1, took, "outcome", "rejected")
	first.is(requests+4, took)
	for _, p := range []string{"scheduling", "probing", "forwarding", "waiting", "executing", "returning"} {
		first.is(requests+3, part, "part", p)
	}
	if all, parts := first.seconds(took), first.seconds(part); !(parts >= requests*0.005 && parts <= all) {
		t.Errorf("the requests took %v s, their parts %v s, and their functions 5 ms each at least", all, parts)
	}
	first.is(1, "p2pfaas_requests_refused_total", "status", "400")
	first.is(requests+3, "p2pfaas_forwards_total", "outcome", "completed")
	first.is(requests+3, "p2pfaas_forwards_total")
	first.is(0, "p2pfaas_request_retries_total")
	first.is(1, "p2pfaas_peers")
	first.is(1, "p2pfaas_build_info", "version", "v9", "service", "scheduler")
	second.is(requests+3, "p2pfaas_tasks_received_total", "outcome", "completed")
	second.is(requests, ran, "function", "f", "executor", "url", "result", "answered")
	second.is(requests+3, ran)
	second.is(1, "p2pfaas_slots")
	second.is(2, "p2pfaas_queue_capacity")
	if got := second.sum(took); got != 0 {
		t.Errorf("the second node had %v requests of clients, and there were none", got)
	}
	sent, received := first.sum("p2pfaas_messages_sent_total"), first.sum("p2pfaas_messages_received_total")
	if status := m.nodes.nodes[0].Status().Messages; sent != float64(status.Sent) || received != float64(status.Received) || sent < requests+3 {
		t.Errorf("%v messages sent and %v received; the status says %+v", sent, received, status)
	}
	if first.families["go_goroutines"] == nil {
		t.Error("there is nothing of Go's runtime")
	}

	var open sync.WaitGroup
	for range 2 {
		open.Go(func() { m.ask(0, "POST", "/function/f", "slow") })
	}
	<-entered // one runs, the other waits
	eventually(t, "the second request waits", func() bool { _, queued, _ := m.nodes.nodes[1].mailbox.Load(); return queued == 1 })
	first, second = scrape(t, m.servers[0].URL), scrape(t, m.servers[1].URL)
	first.is(2, "p2pfaas_requests_in_flight")
	first.is(0, "p2pfaas_tasks_running")
	second.is(2, "p2pfaas_requests_in_flight")
	second.is(1, "p2pfaas_tasks_running")
	second.is(1, "p2pfaas_queue_length")
	go func() { <-entered }()
	leaving()
	open.Wait()
	first = scrape(t, m.servers[0].URL)
	first.is(0, "p2pfaas_requests_in_flight")
	first.is(requests+2, took, "function", "f", "outcome", "completed")
	for _, n := range m.nodes.nodes {
		lint(t, n.metrics.registry)
	}
}

// Each probe is counted where it is sent, answered or not.
func TestMetricsOfProbes(t *testing.T) {
	m := openMesh(t, 3, function, func(_ int, o *NodeOptions) {
		o.Scheduler = Descriptor{Name: "PowerOfNScheduler", Named: map[string]any{"fanout": 2, "threshold": 0}}
	})
	const requests = 10
	probed := func() {
		t.Helper()
		for range requests {
			if r := m.ask(0, "POST", "/function/f", ""); r.status != 200 {
				t.Fatalf("%d %s", r.status, r.body)
			}
		}
	}
	probed()
	s := scrape(t, m.servers[0].URL)
	s.is(2*requests, "p2pfaas_probes_sent_total")
	s.is(2*requests, "p2pfaas_probes_answered_total")
	s.is(0, "p2pfaas_probes_failed_total")
	m.stop(2)
	probed()
	s = scrape(t, m.servers[0].URL)
	s.is(4*requests, "p2pfaas_probes_sent_total")
	if answered, failed := s.sum("p2pfaas_probes_answered_total"), s.sum("p2pfaas_probes_failed_total"); answered+failed != 4*requests ||
		failed == 0 || failed > requests {
		t.Errorf("of %d probes %v were answered, %v failed; one of two peers has gone for half of them", 4*requests, answered, failed)
	}
}

// Whatever names clients make up, they have one label; and so have the functions beyond the first ones.
func TestMetricsAreBounded(t *testing.T) {
	if validFunction(otherLabel) {
		t.Fatalf("%s may be a function", otherLabel)
	}
	c := openNodes(t, 1, NodeOptions{})
	const took = "p2pfaas_request_duration_seconds"
	for i := range 100 {
		c.ask(0, "POST", fmt.Sprintf("/function/made-up-%d", i), "status 404")
	}
	s := scrape(t, c.servers[0].URL)
	if got := s.values(took, "function"); !slices.Equal(got, []string{otherLabel}) {
		t.Errorf("made-up functions have the labels %q", got)
	}
	for i := range mostFunctionLabels + 10 {
		c.ask(0, "POST", fmt.Sprintf("/function/f%d", i), "")
	}
	s = scrape(t, c.servers[0].URL)
	for _, name := range []string{took, "p2pfaas_request_part_duration_seconds", "p2pfaas_execution_duration_seconds"} {
		if got := s.values(name, "function"); len(got) != mostFunctionLabels+1 {
			t.Errorf("%s has %d functions, want %d and one for the others", name, len(got), mostFunctionLabels)
		}
	}
	s.is(110+mostFunctionLabels, took)
	s.is(110, took, "function", otherLabel)
}

// An execution that began cold, one that did not, and one whose function fails.
func TestMetricsOfExecutions(t *testing.T) {
	c := openNodes(t, 1, NodeOptions{Backend: onDemand(t, time.Minute, "serves", "{port}", "{instance}"), Slots: 1, Room: 1, Queue: true})
	for range 3 {
		if r := c.ask(0, "POST", "/function/f", ""); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	s := scrape(t, c.servers[0].URL)
	s.is(3, "p2pfaas_execution_duration_seconds", "executor", "on-demand", "result", "answered")
	s.is(1, "p2pfaas_cold_start_duration_seconds", "function", "f")
	if cold, all := s.seconds("p2pfaas_cold_start_duration_seconds"), s.seconds("p2pfaas_execution_duration_seconds"); !(cold > 0 && cold < all) {
		t.Errorf("of %v s of executions %v s were the cold start", all, cold)
	}
	lint(t, c.nodes[0].metrics.registry)

	c = openNodes(t, 1, NodeOptions{Backend: Backend{URL: "http://127.0.0.1:1"}}) // where nobody is
	c.ask(0, "POST", "/function/f", "")
	s = scrape(t, c.servers[0].URL)
	s.is(1, "p2pfaas_execution_duration_seconds", "executor", "url", "result", "failed")
	s.is(1, "p2pfaas_request_duration_seconds", "outcome", core.LostNoAnswer.String())
}

// Machines come into a state, are counted there, and leave it.
func TestMetricsOfDiscovery(t *testing.T) {
	var ips = []string{"127.93.0.1", "127.93.0.2", "127.93.0.3"}
	var all []*discoveryAt
	for _, ip := range ips {
		d := startDiscovery(t, listenAt(t, ip), func(o *DiscoveryOptions) { o.InitServers = ips[:1] })
		all = append(all, d)
	}
	defer all[0].end()
	defer all[1].end()
	within(t, "all know all", func() bool { return lists(all[0], ips[1:]...)() && lists(all[1], ips[0], ips[2])() })
	var s scraped
	alive := func(n float64) func() bool { // on a busy machine one may be suspected for a while
		return func() bool {
			s = scrape(t, all[0].server.URL)
			return s.sum("p2pfaas_membership_members", "state", "alive") == n
		}
	}
	within(t, "two are alive", alive(2))
	s.is(2, "p2pfaas_membership_members")
	s.is(0, "p2pfaas_membership_datagrams_malformed_total")
	if became := s.sum("p2pfaas_membership_transitions_total", "state", "alive"); became < 2 {
		t.Errorf("two machines became alive in %v transitions", became)
	}
	all[2].end()
	within(t, "who says goodbye leaves", lists(all[0], ips[1]))
	c, err := net.Dial("udp", all[0].conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("nonsense")); err != nil {
		t.Fatal(err)
	}
	within(t, "nonsense is counted", func() bool { return all[0].Malformed() == 1 })
	within(t, "one is alive", alive(1))
	s.is(1, "p2pfaas_membership_transitions_total", "state", "left")
	s.is(1, "p2pfaas_membership_datagrams_malformed_total")
	if sent, received := s.sum("p2pfaas_membership_datagrams_sent_total"), s.sum("p2pfaas_membership_datagrams_received_total"); sent < 2 || received < 3 {
		t.Errorf("%v datagrams sent, %v received", sent, received)
	}
	lint(t, all[0].metrics.registry)
}

// A learner tells what it was asked, what it was told and how it fares, and forgets that when it is reset.
func TestMetricsOfLearner(t *testing.T) {
	l, url := openLearner(t, "")
	for range 30 {
		if _, err := l.Act(context.Background(), []float64{1}); err != nil {
			t.Fatal(err)
		}
	}
	const rewards = 40
	sum := 0.0
	for i := range rewards {
		sum += float64(i%3) - 1.5
		if err := l.Train(context.Background(), learner.Entry{EID: uint64(i), State: []float64{1}, Reward: float64(i%3) - 1.5}); err != nil {
			t.Fatal(err)
		}
	}
	s, stats := scrape(t, url), l.Stats()
	s.is(30, "p2pfaas_learner_actions_total")
	s.is(rewards, "p2pfaas_learner_reward")
	if got := s.families["p2pfaas_learner_reward"].GetMetric()[0].GetSummary().GetSampleSum(); math.Abs(got-sum) > 1e-9 {
		t.Errorf("the rewards are %v, want %v", got, sum)
	}
	if stats.Trained == 0 || stats.Epsilon == 0 {
		t.Fatalf("the learner has not learned: %+v", stats)
	}
	s.is(float64(stats.Trained), "p2pfaas_learner_trainings_total")
	s.is(float64(stats.Pending), "p2pfaas_learner_pending_entries")
	s.is(stats.Epsilon, "p2pfaas_learner_epsilon")
	s.is(stats.AverageReward, "p2pfaas_learner_average_reward")
	s.is(1, "p2pfaas_learner_states")
	if err := l.Train(context.Background(), learner.Entry{EID: 0, State: []float64{1}}); err != nil {
		t.Fatal(err)
	}
	scrape(t, url).is(1, "p2pfaas_learner_entries_dropped_total", "reason", "late")
	lint(t, l.metrics.registry)
	fetch(t, "GET", url+"/learner/reset", "")
	scrape(t, url).is(0, "p2pfaas_learner_reward")
	for i := range 3 * mostActionLabels {
		l.metrics.chose(i)
	}
	if got := scrape(t, url).values("p2pfaas_learner_actions_total", "action"); len(got) != mostActionLabels+1 {
		t.Errorf("there are %d actions, want %d and one for the others", len(got), mostActionLabels)
	}
}

// The guide has every metric, and none that is not there.
func TestMetricsAreInTheGuide(t *testing.T) {
	guide, err := os.ReadFile("../docs/guide/watching.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(guide), "| of the scheduler")
	text, _, _ = strings.Cut(text, "Some questions")
	written := map[string]bool{}
	for _, name := range regexp.MustCompile("`(p2pfaas_[a-z_]+)`").FindAllStringSubmatch(text, -1) {
		written[name[1]] = true
	}
	l, _ := openLearner(t, "")
	d := startDiscovery(t, listenAt(t, "127.93.0.4"), nil)
	defer d.end()
	fqName := regexp.MustCompile(`fqName: "(p2pfaas_[a-z_]+)"`)
	there := map[string]bool{}
	for _, r := range []*prometheus.Registry{openNodes(t, 1, NodeOptions{}).nodes[0].metrics.registry, d.metrics.registry, l.metrics.registry} {
		descs := make(chan *prometheus.Desc)
		go func() { r.Describe(descs); close(descs) }()
		for x := range descs {
			if name := fqName.FindStringSubmatch(x.String()); name != nil {
				there[name[1]] = true
			}
		}
	}
	if !maps.Equal(written, there) {
		t.Errorf("the guide has %q\nthere are %q", slices.Sorted(maps.Keys(written)), slices.Sorted(maps.Keys(there)))
	}
}
