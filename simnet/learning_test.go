package simnet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

// city is a small cluster in which staying is good only at nodes 0 and 1: the others are slow.
const city = `
name: learning
seed: 1
duration: 1500s
warmup: 500s
replications: 1
cluster:
  slots: 2
  queue: 3
  links: {latency: 1ms}
  groups:
    - {name: fast, nodes: 2, speed: 4}
    - {name: slow, nodes: 2, speed: 0.5}
functions:
  - {name: a, service: {distribution: exponential, mean: 100ms}, deadline: 250ms}
  - {name: b, service: {distribution: exponential, mean: 50ms}, deadline: 150ms}
workload: {arrivals: poisson, rate: 6/s}
scheduler: {name: %s}
learner: {algorithm: q-learning, alpha: 0.05, epsilon_min: 0.01, %s}
`

// replicateLearning runs the city and returns the nodes' learners too.
func replicateLearning(t *testing.T, scheduler, more string) (*results.Replication, []*learner.Learner) {
	t.Helper()
	s := scenariotest.One(t, fmt.Sprintf(city, scheduler, more))
	var learned []*learner.Learner
	w, err := New(s, 0, Options{Sample: 1000,
		Learned: func(_ core.NodeID, l *learner.Learner) error { learned = append(learned, l); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.Run(never)
	if err != nil {
		t.Fatal(err)
	}
	return r, learned
}

func metric(t *testing.T, r *results.Replication, name string) float64 {
	t.Helper()
	x, ok := r.Tally.Metric(name)
	if !ok {
		t.Fatalf("no metric %s", name)
	}
	return x
}

// Nodes learn to send tasks away from where they are late, and do better than rules that know loads alone.
func TestLearningPays(t *testing.T) {
	learned, learners := replicateLearning(t, "LearningScheduler, state: [type, load], actions: [local, neighbours]", "")
	fixed, _ := replicateLearning(t, "PowerOfNScheduler", "")
	alone, _ := replicateLearning(t, "NoScheduler", "")
	l, f, a := metric(t, learned, "reward.mean"), metric(t, fixed, "reward.mean"), metric(t, alone, "reward.mean")
	t.Logf("in time: %.3f of the learners, %.3f of PowerOfN, %.3f alone", l, f, a)
	if l < f+0.1 || l < 0.85 {
		t.Errorf("learners have %.3f in time, PowerOfN %.3f", l, f)
	}
	if d := metric(t, learned, "deadline_share"); d != l {
		t.Errorf("the reward is %g, the share in time %g", l, d)
	}
	for n, x := range learners {
		s := x.Stats()
		if s.Decisions < 8000 || s.Entries.Missing > 0 || float64(s.Trained) < 0.999*float64(s.Entries.Received)-20 {
			t.Errorf("node %d: %+v", n, s)
		}
	}
	if len(learners) != 4 {
		t.Errorf("%d learners", len(learners))
	}
}

// The same run has the same learners, whatever else there is; another seed has others.
func TestLearningIsDeterministic(t *testing.T) {
	const way = "inference: {distribution: exponential, mean: 3ms}, entries: {delay: {distribution: exponential, mean: 50ms}, loss: 0.05, batch: 3}"
	digest := func(more string) (uint64, string) {
		r, learners := replicateLearning(t, "LearningScheduler", more)
		var b strings.Builder
		for _, l := range learners {
			if err := l.Weights().Write(&b); err != nil {
				t.Fatal(err)
			}
		}
		return r.Digest, b.String()
	}
	d, w := digest(way)
	if again, same := digest(way); again != d || same != w {
		t.Error("a second run differs")
	}
	if other, _ := digest(way + ", gamma: 0.5, average_reward: false"); other == d {
		t.Error("another discount does the same")
	}
}

// Entries get lost and come late and in batches: at most 1 % of the others are not learned from, by 1 % of losses.
func TestEntriesGetLost(t *testing.T) {
	_, learners := replicateLearning(t, "LearningScheduler",
		"entries: {delay: {distribution: exponential, mean: 200ms}, loss: 0.01, batch: 1}")
	for n, l := range learners {
		s := l.Stats()
		lost := s.Decisions - s.Entries.Received
		if lost == 0 || s.Entries.Missing == 0 || float64(s.Trained) < 0.98*float64(s.Entries.Received)-120 {
			t.Errorf("node %d: %d of %d entries lost; %+v", n, lost, s.Decisions, s)
		}
	}
}

// An answer of the learner takes its time, which is time in the decision.
func TestInferenceTakesTime(t *testing.T) {
	r, _ := replicateLearning(t, "LearningScheduler, actions: [local]", "inference: 7ms")
	if m := metric(t, r, "scheduling.mean"); m < 0.00699 || m > 0.00701 {
		t.Errorf("decisions take %g s", m)
	}
}

// What was learned can be started from: frozen, the nodes do as well as they did in the end, and learn nothing.
func TestWarmStart(t *testing.T) {
	const scheduler = "LearningScheduler, state: [type, load], actions: [local, neighbours]"
	r, learners := replicateLearning(t, scheduler, "")
	dir := t.TempDir()
	for n, l := range learners {
		file, err := os.Create(filepath.Join(dir, fmt.Sprintf("node-%d.json", n)))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(l.Weights().Write(file), file.Close()); err != nil {
			t.Fatal(err)
		}
	}
	frozen, after := replicateLearning(t, scheduler, "train: false, weights: "+dir)
	for n, l := range after {
		if s := l.Stats(); s.Trained > 0 || s.Decisions == 0 {
			t.Errorf("the frozen learner of node %d: %+v", n, s)
		}
	}
	if l, f := metric(t, r, "reward.mean"), metric(t, frozen, "reward.mean"); f < l-0.002 {
		t.Errorf("learning has %.4f in time, what it has learned %.4f", l, f)
	}
	one, _ := replicateLearning(t, scheduler, "train: false, weights: "+filepath.Join(dir, "node-2.json"))
	if one.Digest == frozen.Digest {
		t.Error("one file for all nodes does the same as one for each")
	}
}

// Rewards count for every algorithm, by formula too; a reward that is no number ends the run with an error.
func TestRewardOfRun(t *testing.T) {
	r, _ := replicateLearning(t, "NoScheduler", `reward: {kind: formula, formula: "completed ? 3 : -1", weights: [1, 2]}`)
	drop, all := metric(t, r, "drop_rate"), metric(t, r, "reward.mean")
	if want := 1.5 * (3 - 4*drop); all < want-0.1 || all > want+0.1 {
		t.Errorf("the mean reward is %.3f, with %.3f dropped", all, drop)
	}
	s := scenariotest.One(t, fmt.Sprintf(city, "LearningScheduler",
		`reward: {kind: formula, formula: "1 / (hops * 0.0)"}`))
	w, err := New(s, 0, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Run(never); err == nil || !strings.Contains(err.Error(), "not a finite number") {
		t.Errorf("an infinite reward: %v", err)
	}
}

// liar answers what is no action, or nothing at all.
type liar struct{ err error }

func (l liar) Act([]float64) (core.Action, error) { return core.Action{Index: 99}, l.err }
func (l liar) Train(learner.Entry) error          { return nil }

// A simulation ends where a learner outside the process answers what is no action, or fails.
func TestLearnerLies(t *testing.T) {
	s := scenariotest.One(t, fmt.Sprintf(city, "LearningScheduler",
		`external: {act: "ws://127.0.0.1:1/{node}"}`))
	for says, l := range map[string]liar{"chooses action 99": {}, "is down": {errors.New("it is down")}} {
		w, err := New(s, 0, Options{Learner: func(core.NodeID) (Learner, error) { return l, nil }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Run(never); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want an error that says %q: %v", says, err)
		}
	}
	if _, err := New(s, 0, Options{}); err == nil {
		t.Error("nobody connects to the learner, and the world is made")
	}
}
