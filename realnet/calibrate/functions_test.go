package calibrate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

// measured are the factors of nodes of a speed, for a function that takes as long as it is told but on one node, where it takes longer, from
// the requests of a calibration whose machines are quick but for that; and what is remarked.
func measured(t *testing.T, o Options, nodes int, speed, slow float64) (factors []float64, remarks []string) {
	t.Helper()
	text := fmt.Sprintf("name: some\nduration: 10s\ncluster: {nodes: %d, speed: %v}\nfunctions: [{name: work, service: 40ms}]\n"+
		"workload: {rate: 1/s}\nscheduler: {name: NoScheduler}\n", nodes, speed)
	s := scenariotest.One(t, text)
	o.Scenario, o.Seed, o.Cores, o.Entries = s, 9001, 1, nodes
	o.Warn = func(remark string) { remarks = append(remarks, remark) }
	m, err := newMeasurement(o)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	f := m.functions[0]
	for _, p := range m.blocks(f) {
		for _, a := range p.tasks {
			takes := float64(a.Demand) / speed
			if a.Node == 1 {
				takes *= slow
			}
			p.records = append(p.records, results.Record{Outcome: core.Completed, Executor: a.Node, Demand: a.Demand,
				Timing: core.Timing{Executing: time.Duration(takes + 2e5*r.ExpFloat64())}})
		}
		f.phases = append(f.phases, p)
	}
	if err := m.timesOf(f); err != nil {
		t.Fatal(err)
	}
	return f.result.Nodes, remarks
}

// A node that is slow is found among many, and where all are fast or slow by what the scenario says. It is said where too little is known of some.
func TestFactorsOfManyNodes(t *testing.T) {
	for _, c := range []struct {
		nodes int
		speed float64
	}{{4, 1}, {4, 8}, {4, 0.25}, {8, 1}, {9, 1}, {24, 1}, {30, 8}} {
		factors, remarks := measured(t, Options{}, c.nodes, c.speed, 1.5)
		if len(factors) != c.nodes || math.Abs(factors[1]-1.5) > 0.1 || factors[0] != 1 || len(remarks) > 0 {
			t.Errorf("of %d nodes of speed %v the factors are %v; remarks %q", c.nodes, c.speed, factors, remarks)
		}
	}
	factors, remarks := measured(t, Options{Requests: 320}, 12, 1, 1.5)
	if factors != nil || len(remarks) != 1 || !strings.Contains(remarks[0], "the nodes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 are slower than others for the function work is not known") ||
		!strings.Contains(remarks[0], "--requests 640") {
		t.Errorf("of 320 requests to 12 nodes the factors are %v; remarks %q", factors, remarks)
	}
}

// Each entry gets as many requests as any other, in no order of their own.
func TestTurns(t *testing.T) {
	m := measurement{}
	f := function{entries: []core.NodeID{3, 5, 7, 9}}
	r := rand.New(rand.NewPCG(1, 2))
	var rounds [][]core.NodeID
	for range 30 {
		var round []core.NodeID
		for range f.entries {
			round = append(round, m.anywhere(&f, 1, r, 0).Node)
		}
		rounds = append(rounds, round)
		if !slices.Equal(slices.Sorted(slices.Values(round)), f.entries) {
			t.Errorf("a round is %v", round)
		}
	}
	if !slices.ContainsFunc(rounds, func(r []core.NodeID) bool { return !slices.Equal(r, rounds[0]) }) {
		t.Errorf("all rounds are %v", rounds[0])
	}
}
