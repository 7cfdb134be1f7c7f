package swarm

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/sched"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/simnet"
)

// TestSeeds is a small swarm. TestMutants runs it on broken sources, and reads what it says of the seeds that fail.
func TestSeeds(t *testing.T) {
	t.Parallel()
	failures := 0
	s := Swarm{First: 1, Last: 300, Workers: runtime.GOMAXPROCS(0), Done: func(seed uint64, f *Failure) bool {
		if f != nil {
			t.Errorf("seed %d fails: %v", seed, f.Violation)
			failures++
		}
		return failures < 10
	}}
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// TestMembershipsAreLookedAt: most runs with a membership are quiet for long enough.
func TestMembershipsAreLookedAt(t *testing.T) {
	t.Parallel()
	had, looked := 0, 0
	for seed := range uint64(40) {
		_, s, err := Draw(seed)
		if err != nil {
			t.Fatal(err)
		}
		c := newChecker(s)
		w, err := simnet.New(s, 0, c.options())
		if err != nil {
			t.Fatal(err)
		}
		if w.Members(0) == nil {
			continue
		}
		if _, err := w.Run(func() bool { return false }); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		had++
		if c.looked {
			looked++
		}
	}
	if looked < had/4 || looked == 0 {
		t.Errorf("in %d of %d runs memberships were looked at", looked, had)
	}
}

// TestDrawnScenarios: what is drawn is a document that scenarios read, and everything that there is gets its turn.
func TestDrawnScenarios(t *testing.T) {
	t.Parallel()
	algorithms, kinds := map[string]int{}, map[scenarios.FaultKind]int{}
	largest, smallest, loss, clouds, unlimited, patient := 0, 1000, 0, 0, 0, 0
	for seed := range uint64(400) {
		doc, s, err := Draw(seed)
		if err != nil {
			t.Fatal(err)
		}
		algorithms[s.Scheduler.Spec.Name()]++
		for i := range s.Faults {
			kinds[s.Faults[i].Kind]++
		}
		n := s.Cluster.Nodes()
		largest, smallest = max(largest, n), min(smallest, n)
		if s.Cluster.Links.Default.Loss > 0 {
			loss++
		}
		if s.Cluster.Cloud != nil {
			clouds++
		}
		if s.Cluster.Groups[0].Slots == scenarios.Unlimited {
			unlimited++
		}
		if s.Client.Timeout == 0 {
			patient++
		}
		if seed%100 == 0 {
			text, err := yaml.Marshal(doc)
			again, _, errAgain := Draw(seed)
			same, errSame := yaml.Marshal(again)
			if err != nil || errAgain != nil || errSame != nil || !bytes.Equal(text, same) {
				t.Errorf("seed %d draws %s, and then %s", seed, text, same)
			}
		}
	}
	if len(algorithms) != len(sched.Names()) || len(kinds) != len(scenarios.FaultForms()) {
		t.Errorf("not everything is drawn: %v of %v, %v of %v", algorithms, sched.Names(), kinds, scenarios.FaultForms())
	}
	if largest < 30 || smallest != 1 || min(loss, clouds, unlimited, patient) == 0 {
		t.Errorf("up to %d nodes, %d with loss, %d with a cloud, %d with slots for all, %d with clients who wait for ever", largest, loss, clouds, unlimited, patient)
	}
}

// TestKeysOfFaults: a new kind of fault with a new key is not forgotten.
func TestKeysOfFaults(t *testing.T) {
	t.Parallel()
	for _, form := range scenarios.FaultForms() {
		for _, key := range slices.Concat(form.Required, form.Optional) {
			if keysOfFaults[key] == nil && key != "between" {
				t.Errorf("nobody draws the key %s of faults of kind %s: add it to keysOfFaults", key, form.Kind)
			}
		}
	}
}

// TestShrink: what is left is what the failure needs.
func TestShrink(t *testing.T) {
	t.Parallel()
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(large), &root); err != nil {
		t.Fatal(err)
	}
	// It "fails" where node 1 or a later one crashes among three or more, and something has a deadline.
	fails := func(s *scenarios.Scenario) *Violation {
		deadline := slices.ContainsFunc(s.Functions, func(f scenarios.Function) bool { return f.Deadline > 0 })
		for i := range s.Faults {
			f := &s.Faults[i]
			if f.Kind == scenarios.Crash && f.Nodes != nil && f.Nodes[len(f.Nodes)-1] > 0 && s.Cluster.Nodes() >= 3 && deadline {
				return &Violation{Invariant: Hops, At: core.Time(f.At), Node: f.Nodes[0]}
			}
		}
		return nil
	}
	shrunk := func() string {
		small, runs := shrink(&Failure{5, clone(root.Content[0]), &Violation{Invariant: Hops, At: core.Time(4 * time.Second)}}, fails)
		if runs == 0 || runs > shrinkRuns {
			t.Errorf("%d runs", runs)
		}
		text, err := yaml.Marshal(small.Document)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	want := `name: large
seed: 5
duration: 3001ms
cluster: {nodes: 3}
functions:
    - {name: g, service: 200ms, deadline: 1s}
workload: {rate: 0.007/s}
scheduler: {name: Random, probe_timeout: 1s, answer_timeout: 2s}
faults:
    - {kind: crash, nodes: [2], at: 3s}
`
	for range 2 {
		if got := shrunk(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

const large = `
name: large
seed: 5
duration: 30s
warmup: 0s
cluster: {groups: [{name: a, nodes: 5}, {name: b, nodes: 4, slots: 2}], slots: 3, queue: 5, discipline: lifo, links: {latency: {distribution: exponential, mean: 5ms}}}
functions:
  - {name: f, service: 100ms, payload: 28kB}
  - {name: g, service: {distribution: lognormal, mean: 200ms, scv: 2}, deadline: 1s}
workload: {rate: 0.5/s}
client: {timeout: 5s}
scheduler: {name: Random, max_hops: 3, probe_timeout: 1s, answer_timeout: 2s}
faults:
  - {kind: slow, nodes: [1], factor: 2, at: 3s}
  - {kind: crash, nodes: [2, 5, 8], at: 3s, for: 5s}
  - {kind: pause, random: 2, at: 1s, for: 1s}
`

// TestShrinkStaysWithTheFailure: of panics and errors there are many, and numbers differ from run to run.
func TestShrinkStaysWithTheFailure(t *testing.T) {
	t.Parallel()
	index := &Violation{Invariant: Sound, Text: "panic: index out of range [5] with length 5\ngoroutine 7"}
	for text, want := range map[string]bool{"panic: index out of range [12] with length 3\ngoroutine 99": true, "panic: assignment to entry in nil map\ngoroutine 7": false} {
		if got := (&Violation{Invariant: Sound, Text: text}).like(index); got != want {
			t.Errorf("%q is like %q: %v", text, index.Text, got)
		}
	}
	if !(&Violation{Invariant: Hops, Text: "a"}).like(&Violation{Invariant: Hops, Text: "b"}) || (&Violation{Invariant: Hops}).like(index) {
		t.Error("other invariants are told apart by themselves")
	}
}

// TestInterrupted: a run ends with its context, and says nothing of the scenario.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if f, err := Seed(ctx, 1); f != nil || !errors.Is(err, simnet.ErrInterrupted) {
		t.Errorf("%v, %v", f, err)
	}
}

// TestReplay: a scenario of people's making is watched like a drawn one, and its last events are kept.
func TestReplay(t *testing.T) {
	t.Parallel()
	f, err := scenarios.Load("faults")
	if err != nil {
		t.Fatal(err)
	}
	points, err := f.Points()
	if err != nil {
		t.Fatal(err)
	}
	points[0].Scenario.Replications = 2
	v, events, err := Replay(t.Context(), points[0].Scenario, 12)
	if err != nil || v != nil || len(events) != 12 {
		t.Fatalf("%v, %v, %q", v, err, events)
	}
	one := *points[0].Scenario
	one.Replications = 1
	if _, first, err := Replay(t.Context(), &one, 12); err != nil || slices.Equal(first, events) {
		t.Errorf("the second replication was not watched: %v, %q", err, first)
	}
}
