package compose

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/sched"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/loadgen"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

// uneven is a cluster of which four nodes have as much to do as they can, and eight have time.
const uneven = `
duration: 2s
warmup: 0s
cluster:
  slots: 2
  queue: 100
  cloud: {slots: 100, link: {latency: 10ms}}
  groups: [{name: hot, nodes: 4}, {name: cool, nodes: 8}]
functions: [{name: work, service: {distribution: exponential, mean: 50ms}, deadline: 200ms}]
workload: {arrivals: poisson, rate: {groups: {hot: 40/s, cool: 4/s}}}
learner: {}
scheduler: {name: %s}
`

// Every registered algorithm runs on twelve nodes and a cloud, which are configured anew for each, as scripts and `p2pfaas load --configure`
// do it. All requests complete, but for those that an algorithm refuses, and some are executed elsewhere, but for those algorithms that
// never send one away.
func TestAlgorithms(t *testing.T) {
	t.Parallel()
	row := "[" + strings.Repeat("0.0833, ", 11) + "0.0837]"
	// What an algorithm needs beside its defaults to be seen at work in two seconds.
	parameters := map[string]string{
		"ProbabilisticSplit": "matrix: [" + strings.Repeat(row+", ", 11) + row + "]", // it is required
		"LatencyLevelling":   "period: 50ms, step: 0.2",
	}
	stays := []string{"NoScheduler", "RejectScheduler"}
	node := fmt.Sprintf(uneven, "LearningScheduler")
	c := startScenario(t, scenariotest.One(t, node), []byte(node))
	for _, name := range sched.Names() {
		t.Run(name, func(t *testing.T) {
			spec := name
			if p := parameters[name]; p != "" {
				spec += ", " + p
			}
			s := scenariotest.One(t, fmt.Sprintf(uneven, spec))
			var targets []loadgen.Target
			for _, m := range c.nodes {
				targets = append(targets, loadgen.Target{Scheduler: m.dial()})
			}
			if err := loadgen.Configure(t.Context(), s, 0, targets, c.addresses(), nil); err != nil {
				t.Fatal(err)
			}
			l := c.load(t, s)
			records := l.wait()
			if len(l.result.Reality.Unlike) > 0 {
				t.Errorf("the nodes are not what they were configured to be: %+v", l.result.Reality.Unlike)
			}
			away, _ := split(records, func(r *results.Record) bool { return r.Executor != core.NoNode && r.Executor != r.Node })
			t.Logf("%d of %d requests were executed elsewhere", len(away), len(records))
			if stay := slices.Contains(stays, name); stay != (len(away) == 0) {
				t.Errorf("%d of %d requests were executed elsewhere", len(away), len(records))
			}
			switch name {
			case "RejectScheduler":
				l.only("all", records, core.Rejected)
			case "LearningScheduler": // to refuse is one of its actions
				l.only("all", records, core.Completed, core.Rejected)
			case "RoundRobinWithMasterScheduler":
				master, others := split(records, func(r *results.Record) bool { return r.Node == 0 })
				l.only("sent to the master", master, core.NoRoom) // v1's answer: the job cannot be scheduled
				l.only("sent to others", others, core.Completed)
			default:
				l.only("all", records, core.Completed)
			}
		})
	}
}

const learning = `
duration: 6s
warmup: 0s
cluster: {nodes: 3, slots: 2, queue: 10}
functions: [{name: work, service: {distribution: exponential, mean: 40ms}, deadline: 1s}]
workload: {arrivals: poisson, rate: 30/s}
learner: {window_size: 5, epsilon_min: 0.05, epsilon_decay: 0.99}
scheduler: {name: LearningScheduler}
`

// Nodes ask their learners, and the clients tell these what the decisions were worth: each request is decided and learned from once, the
// table fills, and fewer actions are left to chance.
func TestLearning(t *testing.T) {
	t.Parallel()
	s := scenariotest.One(t, learning)
	c := startScenario(t, s, []byte(learning))
	ask := func(m *machine) (weights struct{ Table [][]float64 }, stats struct {
		Inferences int
		Pending    int `json:"pending_entries"`
		Trained    int `json:"trained_items"`
		Epsilon    float64
	}) {
		t.Helper()
		url := realnet.Place{IP: m.address, Learner: realnet.LearnerPort}.LearnerURL()
		askJSON(t, url+"/learner/weights", &weights)
		askJSON(t, url+"/learner/stats", &stats)
		return weights, stats
	}
	for i, m := range c.nodes {
		if w, st := ask(m); len(w.Table) > 0 || st.Inferences > 0 || st.Trained > 0 || st.Epsilon != 0.9 {
			t.Errorf("node %d knows something at first: %+v, %+v", i, w, st)
		}
	}
	l := c.load(t, s)
	records := l.wait()
	l.only("all", records, core.Completed, core.Rejected, core.NoRoom)
	for i, m := range c.nodes {
		own, _ := split(records, func(r *results.Record) bool { return int(r.Node) == i })
		w, st := ask(m)
		t.Logf("node %d: %d requests, %d states, %+v", i, len(own), len(w.Table), st)
		if st.Inferences != len(own) || st.Trained+st.Pending != len(own) || st.Pending >= 5 {
			t.Errorf("node %d had %d requests, and its learner says %+v", i, len(own), st)
		}
		if want := max(0.05, 0.9*math.Pow(0.99, float64(st.Inferences))); math.Abs(st.Epsilon-want) > 0.01 || st.Epsilon > 0.5 {
			t.Errorf("node %d: epsilon is %v after %d decisions, want %v", i, st.Epsilon, st.Inferences, want)
		}
		changed := slices.ContainsFunc(w.Table, func(row []float64) bool {
			return slices.ContainsFunc(row, func(x float64) bool { return x != 0 })
		})
		if !changed || len(w.Table) < 2 {
			t.Errorf("node %d has learned nothing: %v", i, w.Table)
		}
	}
	rewarded, _ := split(records, func(r *results.Record) bool { return r.Reward > 0 })
	if len(rewarded) == 0 || len(rewarded) == len(records) {
		t.Errorf("%d of %d requests were worth something", len(rewarded), len(records))
	}
}
