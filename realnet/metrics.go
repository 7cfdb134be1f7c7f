package realnet

import (
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/membership"
)

// What the services say of themselves to Prometheus at /metrics. Each has a registry of its own, so that several nodes live
// in one process. Requests are counted on the goroutines of their handlers, the node's state is read when somebody asks: the
// mailbox does no more for it than to add to a few counters. What the labels are is in docs/guide/watching.md.

const (
	// mostFunctionLabels is how many functions have metrics of their own; the others share otherLabel.
	mostFunctionLabels = 64
	// mostActionLabels is the same for the actions of a learner.
	mostActionLabels = 64
	// otherLabel can be no name of a function.
	otherLabel = "(other)"
	// cancelledLabel is in place of an outcome where nobody waits for one any more.
	cancelledLabel = "cancelled"
	// scrapes are answered at once; further ones are refused.
	scrapes = 4
)

// latencyBuckets are in seconds: from what a node itself takes to the minute after which forwards are given up.
var latencyBuckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// latencyFactor is between one boundary and the next of the native histograms, which Prometheus may scrape in place of the
// buckets above, and which /monitoring/node has. The next power of two of the eighth root, or a finer one, is taken: 2^(1/16).
const latencyFactor = 1.05

// newRegistry is that of a service, with what is the same in all; program is the version of the program.
func newRegistry(service, program string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "p2pfaas_build_info", Help: "1; which service this is, of which version of the program.",
		ConstLabels: prometheus.Labels{"service": service, "version": program, "goversion": runtime.Version()}})
	build.Set(1)
	r.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// getMetrics is the route of a registry.
func getMetrics(r *prometheus.Registry) gin.HandlerFunc {
	return gin.WrapH(promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: scrapes}))
}

// counter registers a counter.
func counter(r *prometheus.Registry, name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	r.MustRegister(c)
	return c
}

// counters registers counters that labels tell apart.
func counters(r *prometheus.Registry, name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	r.MustRegister(c)
	return c
}

// latencies registers histograms of seconds.
func latencies(r *prometheus.Registry, name, help string, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: latencyBuckets,
		NativeHistogramBucketFactor: latencyFactor}, labels)
	r.MustRegister(h)
	return h
}

// labels are the names that have metrics of their own, the first ones that earned them.
type labels struct {
	mu    sync.RWMutex
	names map[string]bool
}

// of is the label of a name. Clients may ask for any name: it is earned by one that is known, or that a function answered to.
func (l *labels) of(name string, earned bool) string {
	l.mu.RLock()
	has := l.names[name]
	l.mu.RUnlock()
	if has {
		return name
	}
	if !earned {
		return otherLabel
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.names[name] && len(l.names) >= mostFunctionLabels {
		return otherLabel
	}
	l.names[name] = true
	return name
}

// nodeMetrics are those of a scheduler service.
type nodeMetrics struct {
	registry   *prometheus.Registry
	node       *Node
	functions  labels
	requests   *prometheus.HistogramVec
	parts      *prometheus.HistogramVec
	executions *prometheus.HistogramVec
	coldStarts *prometheus.HistogramVec
	refused    *prometheus.CounterVec
	faulty     *prometheus.CounterVec
	forwards   *prometheus.CounterVec
	received   *prometheus.CounterVec

	retries, probes, probesFailed, probesAnswered prometheus.Counter
}

func newNodeMetrics(n *Node) *nodeMetrics {
	r := newRegistry("scheduler", n.options.Program)
	m := &nodeMetrics{registry: r, node: n, functions: labels{names: map[string]bool{}},
		requests: latencies(r, "p2pfaas_request_duration_seconds",
			"Requests of clients that the node took in hand, from their arrival to their answer.", "function", "outcome"),
		parts: latencies(r, "p2pfaas_request_part_duration_seconds",
			"What the time of completed requests of clients was spent on, wherever on their way.", "function", "part"),
		executions: latencies(r, "p2pfaas_execution_duration_seconds",
			"Executions at this node, of peers' tasks too, with the cold starts that they began with.", "function", "executor", "result"),
		coldStarts: latencies(r, "p2pfaas_cold_start_duration_seconds", "Cold starts at this node.", "function"),
		refused: counters(r, "p2pfaas_requests_refused_total",
			"Requests of clients that were not taken in hand: malformed, too large, or one too many.", "status"),
		faulty: counters(r, "p2pfaas_function_errors_total",
			"Requests of clients that were completed, and whose function answered an error, a status of 400 or more.", "function"),
		forwards: counters(r, "p2pfaas_forwards_total", "Tasks sent to peers, by what became of them there.", "outcome"),
		received: counters(r, "p2pfaas_tasks_received_total", "Tasks that came from peers, by what the peers were told.", "outcome"),
		retries: counter(r, "p2pfaas_request_retries_total",
			"Forwards of clients' requests that were refused or not answered, after which something else was tried, wherever on their way."),
		probes:         counter(r, "p2pfaas_probes_sent_total", "Questions to peers before a decision."),
		probesAnswered: counter(r, "p2pfaas_probes_answered_total", "Answers of peers to questions, those that came too late included."),
		probesFailed:   counter(r, "p2pfaas_probes_failed_total", "Questions to peers that could not be reached, or that an emulated link lost."),
	}
	r.MustRegister(m)
	return m
}

// ended counts a client's request that has ended.
func (m *nodeMetrics) ended(r *request) {
	outcome := r.outcome
	if outcome == core.Completed && r.answer == nil {
		outcome = core.LostNoAnswer // of its function
	}
	function := m.functions.of(r.call.function, m.earned(r.call.function, r.answer))
	m.requests.WithLabelValues(function, outcome.String()).Observe(r.ended.Sub(r.arrived).Seconds())
	if outcome == core.Completed && r.answer.status >= http.StatusBadRequest {
		m.faulty.WithLabelValues(function).Inc()
	}
	if r.report == nil {
		return
	}
	m.retries.Add(float64(r.report.Retries))
	if outcome != core.Completed {
		return
	}
	t := &r.report.Timing
	for _, x := range [...]struct {
		part string
		took time.Duration
	}{{"scheduling", t.Scheduling}, {"probing", t.Probing}, {"forwarding", t.Forwarding}, {"waiting", t.Waiting},
		{"executing", t.Executing}, {"returning", t.Returning}} {
		m.parts.WithLabelValues(function, x.part).Observe(x.took.Seconds())
	}
}

// earned says whether the name of a function is more than what a client made up.
func (m *nodeMetrics) earned(name string, a *answer) bool {
	return a != nil && a.status < 400 || m.node.functions.find(name) != unheardOf
}

// executed counts an execution at this node.
func (m *nodeMetrics) executed(name, executor, result string, a *answer, took, cold time.Duration) {
	function := m.functions.of(name, m.earned(name, a))
	m.executions.WithLabelValues(function, executor, result).Observe(took.Seconds())
	if cold > 0 {
		m.coldStarts.WithLabelValues(function).Observe(cold.Seconds())
	}
}

// kind names how an execution at a place is done.
func (b *Backend) kind(at *deployment) string {
	switch {
	case at == nil && b.OpenFaaS != nil:
		return "openfaas"
	case at == nil || at.pool == nil && at.instance == nil:
		return "url"
	case at.pool != nil:
		return "on-demand"
	}
	return "process"
}

func isQuestion(k core.MsgKind) bool { return k == core.MsgProbe || k == core.MsgAsk }

// What is read when somebody asks.
var (
	descRequests  = prometheus.NewDesc("p2pfaas_requests_in_flight", "Requests in hand, those of peers included.", nil, nil)
	descRunning   = prometheus.NewDesc("p2pfaas_tasks_running", "Slots in use.", nil, nil)
	descQueued    = prometheus.NewDesc("p2pfaas_queue_length", "Tasks in the waiting room.", nil, nil)
	descSlots     = prometheus.NewDesc("p2pfaas_slots", "Slots, K.", nil, nil)
	descRoom      = prometheus.NewDesc("p2pfaas_queue_capacity", "Places in the waiting room, Q; 0 where it is closed.", nil, nil)
	descPeers     = prometheus.NewDesc("p2pfaas_peers", "Neighbours that the node may forward to.", nil, nil)
	descSent      = prometheus.NewDesc("p2pfaas_messages_sent_total", "Messages to peers, tasks and answers included.", nil, nil)
	descReceived  = prometheus.NewDesc("p2pfaas_messages_received_total", "Messages from peers, tasks and answers included.", nil, nil)
	descLost      = prometheus.NewDesc("p2pfaas_messages_lost_total", "Messages of those sent that nobody took, or that an emulated link lost.", nil, nil)
	descDrawn     = prometheus.NewDesc("p2pfaas_link_messages_lost_total", "Messages that the emulated links lost, as was drawn.", nil, nil)
	descQuestions = prometheus.NewDesc("p2pfaas_learner_questions_total", "Questions to the node's learner.", []string{"result"}, nil)
)

// Describe implements prometheus.Collector.
func (m *nodeMetrics) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descRequests, descRunning, descQueued, descSlots, descRoom, descPeers, descSent, descReceived,
		descLost, descDrawn, descQuestions} {
		c <- d
	}
}

// Collect implements prometheus.Collector. It locks what requests lock, for as long as it takes to read a few numbers.
func (m *nodeMetrics) Collect(c chan<- prometheus.Metric) {
	n := m.node
	running, queued, slots := n.mailbox.Load()
	n.mu.Lock()
	requests, peers, room := len(n.requests), len(n.neighbours), n.settings.room()
	n.mu.Unlock()
	gauge := func(d *prometheus.Desc, x float64) { c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, x) }
	count := func(d *prometheus.Desc, x float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, x, labels...)
	}
	gauge(descRequests, float64(requests))
	gauge(descRunning, float64(running))
	gauge(descQueued, float64(queued))
	gauge(descSlots, float64(slots))
	gauge(descRoom, float64(room))
	gauge(descPeers, float64(peers))
	count(descSent, float64(n.peers.sent.Load()))
	count(descReceived, float64(n.peers.received.Load()))
	count(descLost, float64(n.peers.lost.Load()))
	if l := n.peers.links; l != nil {
		l.mu.Lock()
		lost := l.lost
		l.mu.Unlock()
		count(descDrawn, float64(lost))
	}
	if l := n.learner.said(); l != nil {
		count(descQuestions, float64(l.Answered), "answered")
		count(descQuestions, float64(l.Failed), "failed")
	}
}

// discoveryMetrics are those of a discovery service.
type discoveryMetrics struct {
	registry    *prometheus.Registry
	service     *DiscoveryService
	transitions [membership.Left + 1]prometheus.Counter // by the state that a machine came into

	sent, received prometheus.Counter // datagrams
}

func newDiscoveryMetrics(s *DiscoveryService) *discoveryMetrics {
	r := newRegistry("discovery", s.options.Program)
	m := &discoveryMetrics{registry: r, service: s,
		sent:     counter(r, "p2pfaas_membership_datagrams_sent_total", "Datagrams to other machines."),
		received: counter(r, "p2pfaas_membership_datagrams_received_total", "Datagrams that came, malformed ones included.")}
	transitions := counters(r, "p2pfaas_membership_transitions_total", "Machines that came into a state, as this one sees it.", "state")
	for i := range m.transitions {
		m.transitions[i] = transitions.WithLabelValues(membership.State(i).String())
	}
	r.MustRegister(m)
	return m
}

var (
	descMembers = prometheus.NewDesc("p2pfaas_membership_members", "Machines that this one knows, itself not counted, by what it believes of them.",
		[]string{"state"}, nil)
	descMalformed = prometheus.NewDesc("p2pfaas_membership_datagrams_malformed_total", "Datagrams that made no sense.", nil, nil)
)

// Describe implements prometheus.Collector.
func (m *discoveryMetrics) Describe(c chan<- *prometheus.Desc) {
	c <- descMembers
	c <- descMalformed
}

// Collect implements prometheus.Collector.
func (m *discoveryMetrics) Collect(c chan<- prometheus.Metric) {
	var states [membership.Left + 1]int
	s := m.service
	s.mu.Lock()
	for i := 1; i < len(s.members); i++ {
		states[s.members[i].state]++ // a number that is free is in the state unknown
	}
	s.mu.Unlock()
	for state := membership.Alive; state <= membership.Left; state++ {
		c <- prometheus.MustNewConstMetric(descMembers, prometheus.GaugeValue, float64(states[state]), state.String())
	}
	c <- prometheus.MustNewConstMetric(descMalformed, prometheus.CounterValue, float64(s.Malformed()))
}

// learnerMetrics are those of a learner service.
type learnerMetrics struct {
	registry *prometheus.Registry
	service  *LearnerService
	actions  *prometheus.CounterVec
}

func newLearnerMetrics(s *LearnerService, program string) *learnerMetrics {
	r := newRegistry("learner", program)
	m := &learnerMetrics{registry: r, service: s,
		actions: counters(r, "p2pfaas_learner_actions_total", "Actions that were chosen.", "action")}
	r.MustRegister(m)
	return m
}

// chose counts an action.
func (m *learnerMetrics) chose(action int) {
	label := otherLabel
	if action < mostActionLabels {
		label = strconv.Itoa(action)
	}
	m.actions.WithLabelValues(label).Inc()
}

var (
	descReward = prometheus.NewDesc("p2pfaas_learner_reward", "Rewards of all entries that came; their sum may fall.", nil, nil)
	descMean   = prometheus.NewDesc("p2pfaas_learner_average_reward", "The average reward as it is learned; 0 where rewards are discounted.", nil, nil)
	descEps    = prometheus.NewDesc("p2pfaas_learner_epsilon", "Share of actions chosen at random, or the temperature of softmax.", nil, nil)
	descWait   = prometheus.NewDesc("p2pfaas_learner_pending_entries", "Entries that wait for earlier ones.", nil, nil)
	descRuns   = prometheus.NewDesc("p2pfaas_learner_episodes_total", "Runs of consecutive entries.", nil, nil)
	descStates = prometheus.NewDesc("p2pfaas_learner_states", "States that a table has rows for.", nil, nil)
	descTrain  = prometheus.NewDesc("p2pfaas_learner_trainings_total", "Entries that were learned from.", nil, nil)
	descDrop   = prometheus.NewDesc("p2pfaas_learner_entries_dropped_total", "Entries that were not learned from.", []string{"reason"}, nil)
)

// Describe implements prometheus.Collector.
func (m *learnerMetrics) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descReward, descMean, descEps, descWait, descRuns, descStates, descTrain, descDrop} {
		c <- d
	}
}

// Collect implements prometheus.Collector. A reset of the learner is one of its counters.
func (m *learnerMetrics) Collect(c chan<- prometheus.Metric) {
	s := m.service.Stats()
	c <- prometheus.MustNewConstSummary(descReward, s.Entries.Received, s.Rewards, nil)
	for _, x := range []struct {
		desc  *prometheus.Desc
		kind  prometheus.ValueType
		value float64
	}{{descMean, prometheus.GaugeValue, s.AverageReward}, {descEps, prometheus.GaugeValue, s.Epsilon},
		{descWait, prometheus.GaugeValue, float64(s.Pending)}, {descStates, prometheus.GaugeValue, float64(s.States)},
		{descRuns, prometheus.CounterValue, float64(s.Runs)}, {descTrain, prometheus.CounterValue, float64(s.Trained)}} {
		c <- prometheus.MustNewConstMetric(x.desc, x.kind, x.value)
	}
	for _, x := range []struct {
		reason string
		count  uint64
	}{{"duplicate", s.Entries.Duplicates}, {"late", s.Entries.Late}, {"missing", s.Entries.Missing}, {"stray", s.Entries.Strays}} {
		c <- prometheus.MustNewConstMetric(descDrop, prometheus.CounterValue, float64(x.count), x.reason)
	}
}
