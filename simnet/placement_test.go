package simnet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/sched"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

// TestEveryAlgorithmPlaced runs every registered algorithm where functions are on some of the nodes: every request is
// executed by a node that has its function, or by the cloud, and where there is a way to one none is lost for the lack of it.
func TestEveryAlgorithmPlaced(t *testing.T) {
	for _, name := range sched.Names() {
		if strings.HasPrefix(name, "test") {
			continue // those that tests register, to see them fail
		}
		for topology, cloud := range map[string]string{"full-mesh": "cloud: {link: {latency: 50ms}}", "line": ""} {
			if topology == "line" && (name == "CloudOffload" || required[name] != "") {
				continue // they need a cloud, or all nodes as neighbours
			}
			t.Run(name+"/"+topology, func(t *testing.T) {
				s := scenariotest.One(t, fmt.Sprintf(`
duration: 100s
cluster: {nodes: 4, slots: 2, queue: 3, links: {latency: 5ms}, topology: %s, %s}
functions:
  - {name: f, service: {distribution: exponential, mean: 300ms}, placement: {nodes: [1, 3]}}
  - {name: g, service: {distribution: exponential, mean: 300ms}, placement: {nodes: [3]}}
  - {name: h, service: {distribution: exponential, mean: 300ms}}
workload: {arrivals: poisson, rate: 4/s}
scheduler: {name: %s, probe_timeout: 1s, answer_timeout: 20s, %s}
learner: {inference: 1ms}
`, topology, cloud, name, required[name]))
				ended := map[core.Outcome]int{}
				w, err := New(s, 0, Options{Each: func(r *results.Record) {
					ended[r.Outcome]++
					if r.Executor != core.NoNode && !s.Functions[r.Function].On(r.Executor, &s.Cluster) {
						t.Errorf("node %d executed %s, which it has not", r.Executor, s.Functions[r.Function].Name)
					}
				}})
				if err != nil {
					t.Fatal(err)
				}
				r, err := w.Run(never)
				if err != nil {
					t.Fatal(err)
				}
				if r.InFlight != 0 {
					t.Errorf("%d requests have not ended", r.InFlight)
				}
				t.Log(ended)
				if name == "RejectScheduler" {
					return
				}
				if far := topology == "line"; far != (ended[core.NoFunction] > 0) || ended[core.Completed] == 0 {
					t.Errorf("%d requests completed, %d found no function; nodes without a way to one: %t", ended[core.Completed],
						ended[core.NoFunction], far)
				}
			})
		}
	}
}
