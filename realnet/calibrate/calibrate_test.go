package calibrate_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/calibrate"
	"github.com/p2pfaas/p2pfaas/realnet/loadgen"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

const twoNodes = `
name: two
duration: 10s
seed: 7
cluster: {nodes: 2, slots: 1, queue: 1, links: {latency: 50ms}}
functions:
  - {name: told, service: 4ms, payload: 1kB}
  - {name: other, service: 3ms, backend: {kind: url, url: "http://127.0.0.1:1/"}}
workload: {rate: 10/s}
scheduler: {name: PowerOfNScheduler, fanout: 1, threshold: 1}
`

// open opens the nodes of a scenario in this process, with functions that sleep: told as long as the node says, other for 1 ms.
func open(t *testing.T, s *scenarios.Scenario) (c calibrate.Cluster) {
	t.Helper()
	sleeps := func(demand func(*http.Request) time.Duration) string {
		f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			time.Sleep(demand(r))
		}))
		t.Cleanup(f.Close)
		return f.URL
	}
	functions := map[string]realnet.Function{
		"told": {URL: sleeps(func(r *http.Request) time.Duration {
			seconds, err := strconv.ParseFloat(r.Header.Get(wire.HeaderService), 64)
			if err != nil {
				t.Errorf("the demand is %q", r.Header.Get(wire.HeaderService))
			}
			return time.Duration(seconds * 1e9)
		})},
		"other": {URL: sleeps(func(*http.Request) time.Duration { return time.Millisecond })},
	}
	var listeners []net.Listener
	for range s.Cluster.Nodes() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
		c.Known = append(c.Known, l.Addr().String())
		c.Targets = append(c.Targets, loadgen.Target{Scheduler: l.Addr().String()})
	}
	for i, l := range listeners {
		o, err := realnet.ScenarioNode(s, 0, core.NodeID(i), c.Known)
		if err != nil {
			t.Fatal(err)
		}
		o.Port, o.Backend = l.Addr().(*net.TCPAddr).Port, realnet.Backend{Functions: functions, MaxAnswer: 1 << 20}
		n, err := realnet.OpenNode(o)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: n.SchedulerHandler()}
		go func() { _ = server.Serve(l) }() // it ends with an error when it is closed
		t.Cleanup(func() {
			_ = server.Close()
			if err := n.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
				t.Error(err)
			}
		})
		n.SetPeers(c.Known)
	}
	return c
}

// Nodes that somebody else runs are measured without their processes: times are known, processor time is not, which is said.
// Emulated links are not among the costs, and the nodes have their own settings in the end.
func TestMeasure(t *testing.T) {
	s := scenariotest.One(t, twoNodes)
	cluster := open(t, s)
	var remarks []string
	var c *scenarios.Calibration
	for duration := 1500 * time.Millisecond; ; duration *= 4 { // a busy machine needs more time, which some steps say and others show
		remarks = nil
		var err error
		c, err = calibrate.Measure(t.Context(), calibrate.Options{Scenario: s, Cluster: cluster, Seed: 8, Requests: 210,
			Duration: duration, Cores: 2, Host: "here", Version: "v0", Target: "nodes",
			Warn: func(remark string) { remarks = append(remarks, remark) }})
		if err == nil && !overloaded(c) {
			break
		}
		if duration > 20*time.Second {
			t.Fatalf("with %v for an experiment: %+v, %v", duration, c, err)
		}
		t.Logf("with %v for an experiment: %v", duration, err)
	}
	if m := c.Measured; m.Host != "here" || m.Version != "v0" || m.Scenario != "two" || m.Target != "nodes" || m.Seed != 8 ||
		m.Requests < 5*210 || time.Since(m.At) > time.Minute {
		t.Errorf("it was measured: %+v", m)
	}
	least := func(what string, s scenarios.Spread, least time.Duration) {
		if len(s) != 100 || s.Mean() < least {
			t.Errorf("%s: %d values with the mean %v, which is to be %v at least", what, len(s), s.Mean(), least)
		}
	}
	least("timer", c.Timer, 1)
	least("link", c.Link, 1)
	least("client", c.Costs.Client.Time, 10*time.Microsecond)
	least("probe", c.Costs.Probe.Time, 10*time.Microsecond)
	least("forward", c.Costs.Forward.Time, 0)
	least("return", c.Costs.Return.Time, 10*time.Microsecond)
	least("call", c.Costs.Call.Time, 10*time.Microsecond)
	told, other := c.Functions["told"], c.Functions["other"]
	if told.Stretch < 0.5 || len(told.Service) > 0 || len(told.Fits) > 0 {
		t.Errorf("the function that is told its demand: %+v", told)
	}
	least("the call of told", told.Call.Time, 10*time.Microsecond)
	least("the service of other", other.Service, time.Millisecond)
	if other.Stretch != 1 || len(other.Call.Time) > 0 || len(other.Fits) < 4 {
		t.Errorf("the function that nobody tells its demand: %+v", other)
	}
	for i, f := range other.Fits {
		if d, err := scenarios.ParseDistribution("it", f.Distribution); err != nil || d.Mean() < 0.001 || i > 0 && f.AIC < other.Fits[i-1].AIC {
			t.Errorf("fit %d is %+v, %v", i, f, err)
		}
	}
	for _, f := range []scenarios.CalibratedFunction{told, other} {
		if n := len(f.Slowdown); n != 4 || f.Slowdown[0].AtOnce != 1 || f.Slowdown[3].AtOnce != 8 || f.Slowdown[0].Factor != 1 {
			t.Errorf("the slowdown is %+v", f.Slowdown)
		}
	}
	if c.Idle != 0 || c.Costs.Client.CPU != 0 || c.Costs.Probe.CPU != 0 || c.Costs.Call.CPU != 0 || told.Call.CPU != 0 {
		t.Errorf("the processor time of unknown processes: %+v", c)
	}
	if said := strings.Join(remarks, "\n"); !strings.Contains(said, "the processes of the nodes are not on this machine") {
		t.Errorf("it remarks %q", said)
	}
	if !slices.Equal(c.Measured.Notes, remarks) {
		t.Errorf("the calibration says %q, and it remarked %q", c.Measured.Notes, remarks)
	}
	for i, target := range cluster.Targets {
		status, err := realnet.AskStatus(t.Context(), http.DefaultClient, target.Scheduler)
		if err != nil || status.Slots != 1 {
			t.Errorf("node %d has %d slots in the end, %v", i, status.Slots, err)
		}
	}
}

// overloaded reports whether a time is longer than on a machine that keeps up, which has half of the 100 ms that links delay a probe, a forward and
// its return.
func overloaded(c *scenarios.Calibration) bool {
	told, other := c.Functions["told"], c.Functions["other"]
	for _, s := range []scenarios.Spread{c.Timer, c.Link, c.Costs.Client.Time, c.Costs.Probe.Time, c.Costs.Forward.Time, c.Costs.Return.Time, c.Costs.Call.Time,
		told.Call.Time, other.Service} {
		if len(s) == 100 && s[50] > 50*time.Millisecond {
			return true
		}
	}
	return told.Stretch > 5
}

// What cannot be measured is refused, all of it at once.
func TestMeasureRefuses(t *testing.T) {
	s := scenariotest.One(t, strings.Replace(twoNodes, "latency: 50ms", "latency: 50ms, jitter: {distribution: exponential, mean: 1ms}", 1))
	_, err := calibrate.Measure(t.Context(), calibrate.Options{Scenario: s, Seed: 7, Requests: 10, Entries: 3})
	for _, want := range []string{"the seed 7 is the scenario's own", "10 requests for an experiment", "0 cores", "requests for 3 nodes of 2",
		"differ from message to message"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %q in it", err, want)
		}
	}
}

// An experiment that is too short for a function is refused with what it needs.
func TestMeasureSaysHowLongItTakes(t *testing.T) {
	s := scenariotest.One(t, twoNodes)
	s.Functions = s.Functions[1:]
	_, err := calibrate.Measure(t.Context(), calibrate.Options{Scenario: s, Cluster: open(t, s), Seed: 8, Cores: 2, Duration: 300 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "measuring the function other: it takes ") ||
		!strings.Contains(err.Error(), "give the experiments more time") {
		t.Errorf("320 requests of 1 ms within 300 ms: %v", err)
	}
}
