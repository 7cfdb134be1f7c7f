package simnet_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/sched"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/simnet"
)

// befallen is w with faults, and with the scheduler's timeouts.
func (w world) befallen(faults ...string) world {
	w.length += ", faults: [" + strings.Join(faults, ", ") + "]"
	w.scheduler += ", probe_timeout: 1s, answer_timeout: 10s"
	return w
}

// outcomes counts how requests ended.
func outcomes(records []results.Record) map[core.Outcome]int {
	n := map[core.Outcome]int{}
	for i := range records {
		n[records[i].Outcome]++
	}
	return n
}

// calm is four nodes on which a request waits for nobody.
var calm = world{
	length:    "seed: 7, duration: 1000s, warmup: 0s",
	cluster:   "nodes: 4, slots: unlimited, links: {latency: 10ms}",
	functions: "{name: f, service: 100ms}",
	workload:  "rate: 1/s",
	scheduler: "name: NoScheduler",
}

// TestCrash: where nobody cooperates, exactly those requests are lost that a node has when it goes down, and those that come while it is
// down, at once.
func TestCrash(t *testing.T) {
	t.Parallel()
	const from, to = core.Time(200 * time.Second), core.Time(500 * time.Second)
	down, busy := 0, 0
	for _, r := range calm.befallen("{kind: crash, nodes: [1, 3], at: 200s, for: 300s}").records(t) {
		want, latency := core.Completed, 100*time.Millisecond
		switch hit := r.Node == 1 || r.Node == 3; {
		case hit && r.Arrival >= from && r.Arrival < to:
			want, latency = core.LostNodeDown, 0
			down++
		case hit && r.Arrival < from && r.Arrival.Add(latency) > from:
			want, latency = core.LostNodeDown, from.Sub(r.Arrival)
			busy++
		}
		if r.Outcome != want || r.Latency != latency {
			t.Fatalf("%v at node %d: %v after %v, want %v after %v", r.Arrival, r.Node, r.Outcome, r.Latency, want, latency)
		}
	}
	if down < 500 {
		t.Errorf("%d requests came to nodes that were down, %d were there", down, busy)
	}
}

// TestPeersLearnOfCrash: a connection to a node that is down is refused, so that a forward comes back after the way there and back; and
// within ten seconds it is nobody's neighbour any more, until it is back.
func TestPeersLearnOfCrash(t *testing.T) {
	t.Parallel()
	two := calm.scheduled("name: ForwardScheduler, on_failure: fail").with(func(w *world) {
		w.cluster, w.workload = strings.Replace(w.cluster, "nodes: 4", "nodes: 2", 1), "rate: 10/s"
	})
	refused, alone, back := 0, 0, 0
	for _, r := range two.befallen("{kind: crash, nodes: [1], at: 200s, for: 300s}").records(t) {
		if r.Node != 0 {
			continue
		}
		switch at := r.Arrival.Seconds(); {
		case at > 200 && at < 203:
			if refused++; r.Outcome != core.LostNodeDown || r.Latency != 20*time.Millisecond {
				t.Fatalf("a forward to a node that is down: %v after %v", r.Outcome, r.Latency)
			}
		case at > 210 && at < 500:
			if alone++; r.Outcome != core.Completed || r.Latency != 100*time.Millisecond {
				t.Fatalf("a request of a node without neighbours: %v after %v", r.Outcome, r.Latency)
			}
		case at > 510:
			if back++; r.Outcome != core.Completed || r.Executor != 1 {
				t.Fatalf("a forward to a node that is back: %v at node %d", r.Outcome, r.Executor)
			}
		}
	}
	if refused < 10 || alone < 1000 || back < 1000 {
		t.Errorf("%d requests were refused, %d came to a node without neighbours, %d when there was one again", refused, alone, back)
	}
	// What asks before it forwards stays where somebody is.
	asks := small.scheduled("name: PowerOfNScheduler, fanout: 1, threshold: 1").with(func(w *world) {
		w.cluster, w.functions = "nodes: 2, slots: 2, queue: unlimited, links: {latency: 10ms}", strings.Replace(w.functions, "1s", "100ms", 1)
		w.workload = "rate: 12/s"
	}).befallen("{kind: crash, nodes: [1], at: 100s, for: 390s}")
	asked := 0
	for _, r := range asks.records(t) {
		if r.Node == 0 && r.Arrival > core.Time(101*time.Second) && r.Arrival < core.Time(450*time.Second) {
			if r.Outcome != core.Completed || r.Executor != 0 {
				t.Fatalf("%+v", r)
			}
			if r.Probes > 0 {
				if asked++; r.Timing.Probing != 20*time.Millisecond || r.Arrival > core.Time(110*time.Second) {
					t.Fatalf("a refused probe of %v took %v", r.Arrival, r.Timing.Probing)
				}
			}
		}
	}
	if asked < 10 {
		t.Errorf("%d requests had the node asked that is down", asked)
	}
}

// TestPause: what a node executes stands still, and what comes waits, until the node goes on; nothing is lost.
func TestPause(t *testing.T) {
	t.Parallel()
	const from, to = core.Time(200 * time.Second), core.Time(230 * time.Second)
	waited, stood := 0, 0
	for _, r := range calm.with(func(w *world) { w.workload = "rate: 20/s" }).befallen(
		"{kind: pause, nodes: [1], at: 200s, for: 30s}").records(t) {
		want := 100 * time.Millisecond
		switch {
		case r.Node == 1 && r.Arrival >= from && r.Arrival < to:
			want += to.Sub(r.Arrival)
			waited++
		case r.Node == 1 && r.Arrival < from && r.Arrival.Add(want) > from:
			want += to.Sub(from)
			stood++
		}
		if r.Outcome != core.Completed || r.Latency < want || r.Latency > want+2 {
			t.Fatalf("%v at node %d: %v after %v, want %v", r.Arrival, r.Node, r.Outcome, r.Latency, want)
		}
	}
	if waited < 500 || stood == 0 {
		t.Errorf("%d requests waited, %d stood still", waited, stood)
	}
}

// TestPausedNodesDecideNothing: what comes to a node that stands still is forwarded when it goes on.
func TestPausedNodesDecideNothing(t *testing.T) {
	t.Parallel()
	n := 0
	for _, r := range calm.scheduled("name: ForwardScheduler").befallen("{kind: pause, nodes: [1], at: 200s, for: 2s}").with(func(w *world) {
		w.workload = "rate: 20/s"
	}).records(t) {
		if r.Node == 1 && r.Arrival > core.Time(200*time.Second) && r.Arrival < core.Time(202*time.Second) {
			if want := core.Time(202*time.Second).Sub(r.Arrival) + 120*time.Millisecond; r.Executor == 1 || r.Latency != want {
				t.Fatalf("%v: executed by node %d after %v, want %v", r.Arrival, r.Executor, r.Latency, want)
			}
			n++
		}
	}
	if n < 10 {
		t.Errorf("%d requests waited", n)
	}
}

// TestRestartedNodesKnowNobody: what a node knew before it went down is gone, its peers and its warm instances.
func TestRestartedNodesKnowNobody(t *testing.T) {
	t.Parallel()
	w := calm.scheduled("name: ForwardScheduler, on_failure: fail").with(func(w *world) {
		w.cluster = "nodes: 2, slots: unlimited, links: {latency: 10ms}"
		w.functions = "{name: f, service: 100ms, cold_start: {time: 500ms, keep_alive: 1h}}"
	}).befallen("{kind: crash, nodes: [1], at: 100s, for: 50s}", "{kind: crash, nodes: [0], at: 120s, for: 200s}")
	alone := 0
	for _, r := range w.records(t) {
		if r.Node == 1 && r.Arrival > core.Time(150*time.Second) && r.Arrival < core.Time(320*time.Second) {
			if alone++; r.Outcome != core.Completed || r.Executor != 1 || alone == 1 && !r.Cold {
				t.Fatalf("%v: %v at node %d, cold: %v", r.Arrival, r.Outcome, r.Executor, r.Cold)
			}
		}
	}
	if alone < 100 {
		t.Errorf("%d requests of a node whose only peer is down", alone)
	}
}

// student counts what it is asked and told.
type student struct{ asked, told int }

func (s *student) Act([]float64) (core.Action, error) { s.asked++; return core.Action{Index: 1}, nil }
func (s *student) Train(learner.Entry) error          { s.told++; return nil }

// TestLearnersThatAreDownHearNothing: neither questions nor what clients send.
func TestLearnersThatAreDownHearNothing(t *testing.T) {
	t.Parallel()
	for entries, unsent := range map[string]int{"{}": 0, "{batch: 3, delay: 100ms}": 2} {
		w := small.scheduled("name: LearningScheduler").befallen("{kind: learner-down, nodes: [0, 1], at: 0s}", "{kind: learner-down, nodes: [2], at: 250s}")
		w.length = strings.Replace(w.length, "replications: 8", "replications: 1", 1) +
			", learner: {external: {act: 'ws://127.91.0.1:1/{node}'}, entries: " + entries + "}"
		var x [4]student
		w.replicate(t, 0, simnet.Options{Learner: func(n core.NodeID) (simnet.Learner, error) { return &x[n], nil }})
		none := student{}
		if x[0] != none || x[1] != none || x[3].told < 500 || x[3].asked < 500 || 3*x[2].told > 2*x[3].told || 3*x[2].told < x[3].told {
			t.Errorf("entries: %s: %+v", entries, x)
		}
		// Of what was asked, the requests that were under way when the learner went down are not told of.
		if x[3].asked-x[3].told > unsent || x[2].asked-x[2].told <= unsent {
			t.Errorf("entries: %s: two that are down, one that is for the second half, and one that is up: %+v", entries, x)
		}
	}
}

// TestClientsTeachWhatTheyHear: every answer brings an entry, that of a function which failed and of a peer which was out of reach too. Where the
// node that was called has crashed, or its client gave up or lost the answer, nobody has heard what there is to teach.
func TestClientsTeachWhatTheyHear(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		length  string
		fault   string
		lost    core.Outcome
		unheard func(r *results.Record) bool
	}{
		{"", "{kind: function-fails, nodes: all, at: 0s, probability: 50%, status: 500}", core.LostNoAnswer, func(*results.Record) bool { return false }},
		{"", "{kind: garbage, nodes: [1], at: 0s}", core.LostNodeDown, func(*results.Record) bool { return false }},
		{"", "{kind: crash, nodes: [1], at: 250s}", core.LostNodeDown,
			func(r *results.Record) bool { return r.Node == 1 && r.Outcome == core.LostNodeDown }},
		{", client: {timeout: 2s}", "{kind: clock-step, by: 1h, nodes: all, at: 0s}", core.LostNoAnswer,
			func(r *results.Record) bool { return r.Outcome == core.LostNoAnswer }},
		{", client: {link: {loss: 30%}}", "{kind: clock-step, by: 1h, nodes: all, at: 0s}", core.LostNoAnswer,
			func(r *results.Record) bool { return r.Outcome == core.LostNoAnswer }},
	} {
		w := small.scheduled("name: LearningScheduler, actions: [local, neighbours], on_failure: fail").befallen(x.fault)
		w.length = strings.Replace(w.length, "replications: 8", "replications: 1", 1) + x.length +
			", learner: {external: {act: 'ws://127.91.0.1:1/{node}'}}"
		var nodes [4]student
		heard, lost := [4]int{}, 0
		w.replicate(t, 0, simnet.Options{Learner: func(n core.NodeID) (simnet.Learner, error) { return &nodes[n], nil },
			Each: func(r *results.Record) {
				if r.Outcome == x.lost {
					lost++
				}
				if !x.unheard(r) {
					heard[r.Node]++
				}
			}})
		for n := range nodes {
			if nodes[n].told != heard[n] || lost < 20 {
				t.Errorf("%s%s: node %d: %d answers were heard, and the learner was told of %d; %d requests are %v", x.fault, x.length, n, heard[n],
					nodes[n].told, lost, x.lost)
			}
		}
	}
}

// TestClientsGiveUp: a node that never goes on answers nobody, and every client gives up after the time that the scenario says.
func TestClientsGiveUp(t *testing.T) {
	t.Parallel()
	w := calm.befallen("{kind: pause, nodes: [1], at: 200s}")
	w.length += ", client: {timeout: 20s}"
	n := 0
	for _, r := range w.records(t) {
		lost := r.Node == 1 && r.Arrival.Add(100*time.Millisecond) > core.Time(200*time.Second)
		if lost {
			n++
		}
		if lost != (r.Outcome == core.LostNoAnswer) || lost && r.Latency != 20*time.Second {
			t.Fatalf("%v at node %d: %v after %v", r.Arrival, r.Node, r.Outcome, r.Latency)
		}
	}
	if n < 500 {
		t.Errorf("%d clients gave up", n)
	}
	// Without faults, too: an execution whose client is gone is stopped.
	w = calm.with(func(w *world) { w.functions = "{name: f, service: 3s}" })
	w.length += ", client: {timeout: 2s}"
	for _, r := range w.records(t) {
		if r.Outcome != core.LostNoAnswer || r.Latency != 2*time.Second {
			t.Fatalf("%v after %v", r.Outcome, r.Latency)
		}
	}
	if busy, _ := w.replicate(t, 0, simnet.Options{}).Metric("completed_share"); busy > 0 {
		t.Errorf("%g of the requests completed", busy)
	}
}

// TestLearnersOutsideDoNotStandStill: they are told what is under way to them when their node stops.
func TestLearnersOutsideDoNotStandStill(t *testing.T) {
	t.Parallel()
	w := calm.scheduled("name: LearningScheduler").befallen("{kind: pause, nodes: [1], at: 500s}")
	w.length += ", replications: 1, learner: {external: {act: 'ws://127.91.0.1:1/{node}'}, entries: {delay: 50s}}"
	var x [4]student
	w.replicate(t, 0, simnet.Options{Learner: func(n core.NodeID) (simnet.Learner, error) { return &x[n], nil }})
	if untold := x[1].asked - x[1].told; x[1].told < 400 || untold > 5 {
		t.Errorf("of %d requests the learner of the node that stands still is not told of %d", x[1].asked, untold)
	}
}

// A client whose request or answer is lost on its own link waits as long as every other one that hears nothing.
func TestClientsGiveUpOnTheirLinks(t *testing.T) {
	t.Parallel()
	w := calm
	w.length += ", client: {timeout: 20s, link: {loss: 0.3}}"
	lost := 0
	for _, r := range w.records(t) {
		if r.Outcome == core.LostNoAnswer {
			lost++
		}
		if (r.Outcome == core.LostNoAnswer) != (r.Latency == 20*time.Second) {
			t.Fatalf("request %d: %v after %v", r.ID, r.Outcome, r.Latency)
		}
	}
	if lost < 500 {
		t.Errorf("%d requests were lost", lost)
	}
}

// TestSlow: executions that take twice as long make the load of an M/M/1 queue twice as high: T = 2s/(1-0.8).
func TestSlow(t *testing.T) {
	t.Parallel()
	w := world{"seed: 3, duration: 12000s, warmup: 1000s, replications: 8", "nodes: 4",
		"{name: f, service: {distribution: exponential, mean: 1s}}", "rate: 0.4/s", "name: NoScheduler"}
	w = w.befallen("{kind: slow, nodes: all, factor: 2, at: 0s}")
	w.length += ", client: {timeout: 1h}"
	near(t, "T of slow nodes", w.replications(t, "latency.mean"), 10)
	near(t, "the utilisation of slow nodes", w.replications(t, "utilisation"), 0.8)
	// An execution that is slow for a part of its time takes longer by that part; two faults multiply.
	n := 0
	for _, r := range calm.with(func(w *world) { w.functions, w.workload = "{name: f, service: 40s}", "rate: 2/s" }).befallen(
		"{kind: slow, nodes: [0], factor: 2, at: 200s, for: 20s}", "{kind: slow, nodes: [0], factor: 1.5, at: 210s, for: 10s}").records(t) {
		work := func(until core.Time) float64 {
			in := func(a, b float64) float64 { return max(0, min(b, until.Seconds())-max(a, r.Arrival.Seconds())) }
			return in(0, 200) + in(200, 210)/2 + in(210, 220)/3 + in(220, 2000)
		}
		if r.Node == 0 && math.Abs(work(r.Arrival.Add(r.Latency))-40) > 1e-6 || r.Node != 0 && r.Latency != 40*time.Second {
			t.Fatalf("%v at node %d took %v", r.Arrival, r.Node, r.Latency)
		}
		if r.Node == 0 && r.Latency > 40*time.Second {
			n++
		}
	}
	if n < 50 {
		t.Errorf("%d executions were slow", n)
	}
}

// TestLossOfForwards: where a message is lost with probability p, a forward fails with 1-(1-p)^2: it or its answer is.
func TestLossOfForwards(t *testing.T) {
	t.Parallel()
	w := calm.scheduled("name: ForwardScheduler, on_failure: fail").with(func(w *world) { w.workload = "rate: 10/s" })
	records := w.befallen("{kind: loss, between: [all, all], probability: 10%, at: 0s}").records(t)
	n := outcomes(records)
	all, want := float64(len(records)), 1-0.9*0.9
	if failed := float64(n[core.LostNoAnswer]); math.Abs(failed/all-want) > 5*math.Sqrt(want*(1-want)/all) || n[core.Completed]+n[core.LostNoAnswer] != len(records) {
		t.Errorf("%v of %g forwards, want a share of %g lost", n, all, want)
	}
}

// TestDelay: a forward and its answer take longer by the delay each, while it lies on their links.
func TestDelay(t *testing.T) {
	t.Parallel()
	late := 0
	for _, r := range calm.scheduled("name: ForwardScheduler").befallen(
		"{kind: delay, between: [all, all], latency: 50ms, at: 300s, for: 200s}").records(t) {
		want := 120 * time.Millisecond
		switch {
		case r.Arrival < core.Time(299*time.Second) || r.Arrival > core.Time(500*time.Second):
		case r.Arrival > core.Time(300*time.Second) && r.Arrival < core.Time(499*time.Second):
			want += 100 * time.Millisecond
			late++
		default:
			continue
		}
		if r.Outcome != core.Completed || r.Latency != want {
			t.Fatalf("%v: %v after %v, want %v", r.Arrival, r.Outcome, r.Latency, want)
		}
	}
	if late < 100 {
		t.Errorf("%d forwards were late", late)
	}
}

// TestPartitionHeals: no forward crosses it. Within ten seconds the sides have forgotten each other, and go on by themselves; when it has
// healed, they find each other again. A node that stands still for a second stays a neighbour.
func TestPartitionHeals(t *testing.T) {
	t.Parallel()
	failed, inside, across := 0, 0, 0
	for _, r := range calm.scheduled("name: ForwardScheduler, on_failure: fail").with(func(w *world) { w.workload = "rate: 10/s" }).befallen(
		"{kind: partition, nodes: [0, 1], at: 300s, for: 300s}", "{kind: pause, nodes: [3], at: 100s, for: 1s}").records(t) {
		at, crosses := r.Arrival.Seconds(), (r.Executor < 2) != (r.Node < 2)
		if r.Outcome != core.Completed && (r.Outcome != core.LostNoAnswer || r.Latency != 10*time.Second || at < 299 || at > 310) ||
			r.Outcome == core.Completed && crosses && at > 300 && at < 600 {
			t.Fatalf("%v from node %d to %d: %v after %v", r.Arrival, r.Node, r.Executor, r.Outcome, r.Latency)
		}
		switch {
		case at > 300 && at < 310 && r.Outcome == core.LostNoAnswer:
			failed++
		case at > 310 && at < 600:
			inside++
		case at > 630 && crosses:
			across++
		}
	}
	if failed < 50 || inside < 5000 || across < 5000 {
		t.Errorf("%d forwards failed, %d within a side came through, and %d across when it had healed", failed, inside, across)
	}
}

// TestFaultsThatOverlap: a node is down, or stands still, until the last of its faults ends.
func TestFaultsThatOverlap(t *testing.T) {
	t.Parallel()
	w := calm.befallen("{kind: crash, nodes: [0], at: 100s, for: 100s}", "{kind: crash, nodes: [0, 1], at: 150s, for: 100s}",
		"{kind: pause, nodes: [2], at: 100s, for: 30s}", "{kind: pause, nodes: [2], at: 110s, for: 30s}",
		"{kind: pause, nodes: [3], at: 300s, for: 30s}", "{kind: crash, nodes: [3], at: 310s, for: 10s}")
	hit := map[core.NodeID]int{}
	for _, r := range w.records(t) {
		at, want, latency := r.Arrival.Seconds(), core.Completed, 0.1
		switch {
		case r.Node == 0 && at >= 99.9 && at < 250:
			want, latency = core.LostNodeDown, max(0, 100-at)
		case r.Node == 1 && at >= 149.9 && at < 250:
			want, latency = core.LostNodeDown, max(0, 150-at)
		case r.Node == 2 && at >= 99.9 && at < 140:
			latency = 140 - max(at, 100) + 0.1 - max(0, 100-at)
			if at < 100 {
				latency = 40.1
			}
		case r.Node == 3 && at >= 299.9 && at < 310: // what waited is refused when the process dies
			want, latency = core.LostNodeDown, 310-at
		case r.Node == 3 && at >= 310 && at < 320:
			want, latency = core.LostNodeDown, 0
		case r.Node == 3 && at >= 320 && at < 330:
			latency = 330 - at + 0.1
		}
		if r.Outcome != want || math.Abs(r.Latency.Seconds()-latency) > 1e-6 {
			t.Fatalf("%v at node %d: %v after %v, want %v after %gs", r.Arrival, r.Node, r.Outcome, r.Latency, want, latency)
		}
		if want != core.Completed || latency > 0.1 {
			hit[r.Node]++
		}
	}
	if len(hit) != 4 {
		t.Errorf("%v", hit)
	}
}

// TestFailingFunctions: an execution fails with the probability of the fault, takes as long as others, and its client has no answer.
func TestFailingFunctions(t *testing.T) {
	t.Parallel()
	w := calm.scheduled("name: ForwardScheduler").with(func(w *world) {
		w.functions += ", {name: g, service: 100ms}"
		w.workload = "rate: 10/s"
	})
	failed, n := 0.0, 0.0
	for _, r := range w.befallen("{kind: function-fails, functions: [g], nodes: [1, 2], probability: 30%, at: 500s}").records(t) {
		hit := r.Function == 1 && (r.Executor == 1 || r.Executor == 2) && r.Arrival > core.Time(500*time.Second)
		if r.Latency != 120*time.Millisecond || !hit && r.Outcome != core.Completed &&
			(r.Arrival < core.Time(499*time.Second) || r.Arrival > core.Time(500*time.Second)) {
			t.Fatalf("%v at node %d: %v after %v", r.Arrival, r.Executor, r.Outcome, r.Latency)
		}
		if hit {
			n++
			if r.Outcome == core.LostNoAnswer {
				failed++
			}
		}
	}
	if n < 1000 || math.Abs(failed-0.3*n) > 5*math.Sqrt(n*0.3*0.7) {
		t.Errorf("%g of %g executions failed", failed, n)
	}
}

// TestHangingFunctions: what hangs keeps its slot until its client gives up; then the node works as before.
func TestHangingFunctions(t *testing.T) {
	t.Parallel()
	w := calm.with(func(w *world) { w.cluster = "nodes: 4, slots: 1, queue: 100" }).befallen("{kind: function-hangs, nodes: [1], at: 100s, for: 10s}")
	w.length += ", client: {timeout: 20s}"
	lost := 0
	for _, r := range w.records(t) {
		if r.Outcome == core.LostNoAnswer && r.Latency == 20*time.Second && r.Node == 1 {
			if lost++; r.Arrival < core.Time(99*time.Second) || r.Arrival > core.Time(120*time.Second) {
				t.Fatalf("a request of %v is lost", r.Arrival)
			}
		} else if r.Outcome != core.Completed {
			t.Fatalf("%v at node %d: %v after %v", r.Arrival, r.Node, r.Outcome, r.Latency)
		}
	}
	if lost == 0 {
		t.Error("nothing hangs")
	}
}

// TestGarbage: who cannot use an answer goes on as if the peer were gone.
func TestGarbage(t *testing.T) {
	t.Parallel()
	n := 0
	for _, r := range calm.with(func(w *world) { w.cluster = "nodes: 2, slots: unlimited, links: {latency: 10ms}" }).scheduled(
		"name: ForwardScheduler, on_failure: fail").befallen("{kind: garbage, nodes: [1], at: 0s}").records(t) {
		want := core.Completed
		if r.Node == 0 {
			want = core.LostNodeDown
			n++
		}
		if r.Outcome != want || r.Latency != 120*time.Millisecond {
			t.Fatalf("a request of node %d: %v after %v", r.Node, r.Outcome, r.Latency)
		}
	}
	if n < 500 {
		t.Errorf("%d answers were garbage", n)
	}
	asked := 0
	for _, r := range small.scheduled("name: PowerOfNScheduler, fanout: 3, threshold: 0").befallen("{kind: garbage, nodes: [1], at: 0s}").records(t) {
		if r.Executor == 1 && r.Node != 1 {
			t.Fatalf("%+v was forwarded to a node whose load nobody knows", r)
		}
		asked += r.Probes
	}
	if asked == 0 {
		t.Error("nobody asked")
	}
}

// hearsay has a task executed at node 1 where the node has heard the load of node 1, or has an answer to the probe.
type hearsay struct{}

func init() {
	sched.Register(sched.Entry{Name: "Hearsay", Summary: "go by what was heard", Doc: "Go by what was heard.", Source: "a test", Stateless: true,
		New: func() core.Scheduler { return &hearsay{} }})
}

func (*hearsay) Remember() int { return 1 }

func (*hearsay) Schedule(env core.Env, _ *core.Task) core.Verdict {
	if env.Self() == 1 {
		return core.Execute()
	}
	r := env.Probe(1)[0]
	if _, _, heard := env.Heard(1); heard || r.Err == nil {
		return core.Forward(1)
	}
	return core.Execute()
}

// TestGarbageTellsNoLoad: a load that nobody can read is not a load of zero, and nothing to remember (docs/adr/0010).
func TestGarbageTellsNoLoad(t *testing.T) {
	t.Parallel()
	elsewhere := map[bool]int{}
	for _, r := range calm.scheduled("name: Hearsay").befallen("{kind: garbage, nodes: [1], at: 0s, for: 500s}").records(t) {
		if spoilt := r.Arrival < core.Time(499*time.Second); r.Node != 1 && (spoilt || r.Arrival > core.Time(500*time.Second)) {
			if elsewhere[spoilt]++; spoilt == (r.Executor == 1) || r.Retries > 0 {
				t.Fatalf("%v: executed by node %d after %d forwards in vain, with garbage for an answer: %v", r.Arrival, r.Executor, r.Retries, spoilt)
			}
		}
	}
	if elsewhere[true] < 500 || elsewhere[false] < 500 {
		t.Errorf("%v", elsewhere)
	}
}

// TestSlowAnswers: of what a node sends, only its answers are late: to probes, and those that bring results back.
func TestSlowAnswers(t *testing.T) {
	t.Parallel()
	late := 0
	for _, r := range calm.scheduled("name: Hearsay").befallen("{kind: slow-answers, nodes: [1], latency: 300ms, at: 0s, for: 500s}",
		"{kind: slow-answers, nodes: [0], latency: 300ms, at: 0s}").records(t) {
		probing, returning := 20*time.Millisecond, 10*time.Millisecond
		switch {
		case r.Node == 1:
			probing, returning = 0, 0
		case r.Arrival < core.Time(499*time.Second):
			probing, returning = probing+300*time.Millisecond, returning+300*time.Millisecond
			late++
		case r.Arrival < core.Time(500*time.Second):
			continue
		}
		if r.Outcome != core.Completed || r.Timing.Probing != probing || r.Timing.Returning != returning {
			t.Fatalf("%v at node %d: %+v", r.Arrival, r.Node, r)
		}
	}
	if late < 500 {
		t.Errorf("%d requests were late", late)
	}
}

// TestDuplicates: where every message arrives twice, each request executes once for all that; and of the two the first counts, so that a
// message which is late half of the time is late a quarter of the time.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	const all = "{kind: duplicate, between: [all, all], probability: 1, at: 0s}"
	for _, scheduler := range []string{"ForwardScheduler", "PowerOfNScheduler, fanout: 2, threshold: 0", "WorkStealing", "JIQ", "LeastLoadedGossip, period: 1s"} {
		w := calm.with(func(w *world) {
			w.cluster, w.workload = "nodes: 4, slots: 1, links: {latency: 10ms}", "rate: {groups: {busy: 8/s, idle: 1/s}}"
			w.cluster = strings.Replace(w.cluster, "nodes: 4", "groups: [{name: busy, nodes: 2}, {name: idle, nodes: 2}]", 1)
		}).scheduled("name: " + scheduler).befallen(all)
		r := w.replicate(t, 0, simnet.Options{Each: func(r *results.Record) {
			if r.Outcome != core.Completed {
				t.Fatalf("%s: %+v", scheduler, r)
			}
		}})
		executed, elsewhere := uint64(0), uint64(0)
		for _, n := range r.Nodes {
			executed += n.Executed
			elsewhere += max(n.Executed, n.Arrivals) - n.Executed
		}
		// What ends when no requests arrive any more is not counted.
		if executed > r.Jobs || executed+20 < r.Jobs || elsewhere == 0 {
			t.Errorf("%s: %d requests were executed %d times, %d of them at a peer", scheduler, r.Jobs, executed, elsewhere)
		}
	}
	records := calm.scheduled("name: ForwardScheduler").with(func(w *world) { w.workload = "rate: 5/s" }).befallen(all,
		"{kind: reorder, between: [all, all], probability: 50%, latency: 1s, at: 0s}").records(t)
	late, n := map[time.Duration]float64{}, float64(len(records))
	for _, r := range records {
		late[r.Latency-120*time.Millisecond]++
	}
	for d, want := range map[time.Duration]float64{0: 9. / 16, time.Second: 6. / 16, 2 * time.Second: 1. / 16} {
		if math.Abs(late[d]-want*n) > 5*math.Sqrt(want*(1-want)*n) {
			t.Errorf("%g of %g forwards are late by %v, want a share of %g", late[d], n, d, want)
		}
	}
}

// TestDisksAndClocksDecideNothing: no decision depends on them, so what is recorded of each request is what it is without.
func TestDisksAndClocksDecideNothing(t *testing.T) {
	t.Parallel()
	w := small.scheduled("name: PowerOfNScheduler, fanout: 2, threshold: 1")
	healthy := w.befallen("{kind: learner-down, nodes: [0], at: 1s}")
	ill := w.befallen("{kind: learner-down, nodes: [0], at: 1s}", "{kind: full-disk, nodes: all, at: 100s, for: 100s}", "{kind: clock-step, by: -1h, random: 2, every: 20s, for: 10s}")
	for _, x := range []*world{&healthy, &ill} {
		x.length += ", learner: {}"
	}
	var trace strings.Builder
	counts := ill.replicate(t, 0, simnet.Options{}).Faults
	if c := counts[1]; c.Fault != "full-disk of nodes 0-3 at 100s for 100s" || c.Times != 1 || c.First != 100*time.Second || counts[2].Times < 5 {
		t.Errorf("it is reported as %+v", counts)
	}
	a := healthy.records(t)
	if b := ill.records(t); !slices.Equal(a, b) {
		t.Error("requests have another fate")
	}
	ill.replicate(t, 0, simnet.Options{Trace: &trace})
	for _, line := range []string{"full-disk begins", "full-disk ends", "clock-step begins", "clock-step ends"} {
		if !strings.Contains(trace.String(), line) {
			t.Errorf("%q is not in the trace", line)
		}
	}
}

// TestTraceOfLinks: what lies between two sets of nodes has a line of its own, which is no node's.
func TestTraceOfLinks(t *testing.T) {
	t.Parallel()
	var trace strings.Builder
	w := small.befallen("{kind: partition, between: [[0, 1], [2]], at: 1s, for: 1s}", "{kind: delay, between: [[1], [0]], one_way: true, latency: 1ms, at: 3s}")
	w.replicate(t, 0, simnet.Options{Trace: &trace})
	for _, line := range []string{
		"  1.000000000  -            fault              partition between 0-1 and 2 begins\n",
		"  2.000000000  -            fault              partition between 0-1 and 2 ends\n",
		"  3.000000000  -            fault              delay from 1 to 0 begins\n",
	} {
		if strings.Count(trace.String(), line) != 1 {
			t.Errorf("%q is not in the trace, once", line)
		}
	}
}

// TestConditions: a fault begins when the request of a number has arrived, and when a node has so many, which it then befalls alone; once.
func TestConditions(t *testing.T) {
	t.Parallel()
	const number = 1000
	records := calm.with(func(w *world) { w.cluster = "nodes: 4, slots: 1, links: {latency: 10ms}" }).befallen(
		fmt.Sprintf("{kind: crash, nodes: all, when: {arrivals: %d}, for: 2s}", number)).records(t)
	begin := records[number-1].Arrival
	for i, r := range records {
		down := i >= number && r.Arrival < begin.Add(2*time.Second)
		if i == number-1 && (r.Outcome != core.LostNodeDown || r.Latency != 1) { // it is there when the fault begins
			t.Errorf("request %d: %v after %v", number, r.Outcome, r.Latency)
		} else if r.Arrival > begin && down != (r.Outcome == core.LostNodeDown) {
			t.Fatalf("%v, %v after the fault began: %v", r.Arrival, r.Arrival.Sub(begin), r.Outcome)
		}
	}

	// Only node 2 is asked for more than it can do, and nodes 0 and 3 alone are not.
	w := world{length: "seed: 3, duration: 1000s, warmup: 0s", cluster: "groups: [{name: a, nodes: 2}, {name: busy, nodes: 1}, {name: b, nodes: 1}]",
		functions: "{name: f, service: 1s}", workload: "rate: {groups: {a: 0.4/s, busy: 0.9/s, b: 0.4/s}}", scheduler: "name: NoScheduler"}
	w = w.befallen("{kind: crash, nodes: [0, 2, 3], when: {load: 6}, for: 20s}", "{kind: pause, random: 4, when: {load: 1000}}")
	down := map[core.NodeID][]core.Time{}
	present := map[core.Time]int{} // by when they were lost
	for _, r := range w.records(t) {
		if r.Outcome != core.Completed {
			down[r.Node] = append(down[r.Node], r.Arrival)
			if r.Latency > 0 {
				present[r.Arrival.Add(r.Latency)]++
			}
		}
	}
	// It begins at the instant when the sixth request is there, which is lost with the five before it.
	if lost := down[2]; len(down) != 1 || len(present) != 1 || present[lost[5]] != 5 || lost[len(lost)-1].Sub(lost[5]) > 20*time.Second {
		t.Errorf("so many requests were there when the fault began: %v; lost: %v", present, down)
	}
}

// TestConditionOnOne: a load is seen as soon as the decision has made it, also where the request would be the only one of its node.
func TestConditionOnOne(t *testing.T) {
	t.Parallel()
	for _, client := range []string{"", ", client: {timeout: 30s}"} {
		w := calm.befallen("{kind: crash, nodes: all, when: {load: 1}, for: 2s}")
		w.length += client
		if r := w.records(t)[0]; r.Outcome != core.LostNodeDown || r.Latency != 0 {
			t.Errorf("the first request, whose client is {%s}: %v after %v", client, r.Outcome, r.Latency)
		}
	}
}

// TestReorder: a message is late with the probability of the fault.
func TestReorder(t *testing.T) {
	t.Parallel()
	late := map[time.Duration]float64{}
	records := calm.scheduled("name: ForwardScheduler").with(func(w *world) { w.workload = "rate: 5/s" }).befallen(
		"{kind: reorder, between: [all, all], probability: 20%, latency: 1s, at: 0s}").records(t)
	for _, r := range records {
		late[r.Latency-120*time.Millisecond]++
	}
	n := float64(len(records))
	for d, want := range map[time.Duration]float64{0: 0.64, time.Second: 0.32, 2 * time.Second: 0.04} {
		if math.Abs(late[d]-want*n) > 5*math.Sqrt(want*(1-want)*n) {
			t.Errorf("%g of %g forwards are late by %v, want a share of %g", late[d], n, d, want)
		}
	}
}

// TestLearnerDown: while it is down, the algorithm does what it does without an answer; then it learns on.
func TestLearnerDown(t *testing.T) {
	t.Parallel()
	away, before, after := 0, 0, 0
	w := small.scheduled("name: LearningScheduler, fallback: reject").befallen("{kind: learner-down, nodes: [0, 1], at: 100s, for: 200s}")
	w.length += ", learner: {}"
	for _, r := range w.records(t) {
		down := r.Node < 2 && r.Arrival > core.Time(100*time.Second) && r.Arrival < core.Time(300*time.Second)
		switch {
		case down && (r.Outcome != core.Rejected || r.Latency > 0):
			t.Fatalf("%v at node %d: %v", r.Arrival, r.Node, r.Outcome)
		case down:
			away++
		case r.Outcome == core.Completed && r.Arrival < core.Time(100*time.Second):
			before++
		case r.Outcome == core.Completed && r.Arrival > core.Time(300*time.Second) && r.Node < 2:
			after++
		}
	}
	if away < 300 || before < 300 || after < 300 {
		t.Errorf("%d requests before, %d without a learner, %d after", before, away, after)
	}
}

// TestLearnersCrash: a learner is in its node's process. What it has learned is lost with that, and so is what clients send it before it is back.
func TestLearnersCrash(t *testing.T) {
	t.Parallel()
	w := small.scheduled("name: LearningScheduler").befallen("{kind: crash, nodes: [0], at: 100s, for: 300s}", "{kind: crash, nodes: [1], at: 450s}")
	w.length += ", learner: {entries: {delay: 1s}}"
	back := map[core.NodeID]uint64{}
	stats := map[core.NodeID]learner.Stats{}
	w.replicate(t, 0, simnet.Options{
		Each: func(r *results.Record) {
			if r.Outcome == core.Completed && r.Arrival > core.Time(400*time.Second) {
				back[r.Node]++
			}
		},
		Learned: func(n core.NodeID, l *learner.Learner) error { stats[n] = l.Stats(); return nil },
	})
	if s := stats[0]; s.Decisions < back[0] || s.Decisions > back[0]+back[0]/2 || s.Entries.Received == 0 || s.Entries.Received > s.Decisions || s.Entries.Highest >= s.Decisions {
		t.Errorf("%d requests completed since the node is back, and its learner has %+v", back[0], s)
	}
	if s := stats[1]; s != (learner.Stats{Epsilon: s.Epsilon}) {
		t.Errorf("the learner of a node that is down has %+v", s)
	}
	if s := stats[2]; s.Decisions < 2*back[2] {
		t.Errorf("the learner of a node that did not crash has %+v", s)
	}
}

// TestLearnersHearOfNobody: a learner that is told what was heard of peers is asked on, after its node has come back and knows nobody, and where not
// everybody is a neighbour.
func TestLearnersHearOfNobody(t *testing.T) {
	t.Parallel()
	w := small.scheduled("name: LearningScheduler, state: [heard, load]").befallen("{kind: crash, nodes: [0, 1], at: 100s, for: 10s}")
	w.length += ", learner: {}"
	w.cluster += ", topology: ring"
	after := 0
	for _, r := range w.records(t) {
		if r.Node < 2 && r.Outcome == core.Completed && r.Arrival > core.Time(110*time.Second) {
			after++
		}
	}
	if after < 300 {
		t.Errorf("%d requests of those nodes completed when they were back", after)
	}
}

// TestFaultsOfLargeWorlds: they befall nodes there as elsewhere, but who is down stays a neighbour.
func TestFaultsOfLargeWorlds(t *testing.T) {
	t.Parallel()
	w := world{"seed: 7, duration: 60s, warmup: 0s", "nodes: 1100, links: {latency: 10ms}, topology: ring, slots: unlimited", "{name: f, service: 100ms}",
		"rate: 0.3/s", "name: ForwardScheduler, on_failure: fail"}
	down := outcomes(w.befallen("{kind: crash, nodes: [0-549], at: 0s}", "{kind: pause, nodes: [600], at: 10s, for: 1s}").records(t))
	// Half of the entries are down, and of the others two have a neighbour that is.
	if n, all := down[core.LostNodeDown], down[core.LostNodeDown]+down[core.Completed]; n < all*45/100 || n > all*55/100 || down[core.LostNoAnswer] > 0 {
		t.Errorf("%v", down)
	}
	neighbour := 0
	for _, r := range w.befallen("{kind: crash, nodes: [0-549], at: 0s}").records(t) {
		if r.Node == 550 && r.Outcome == core.LostNodeDown && r.Arrival > core.Time(15*time.Second) {
			neighbour++
		}
	}
	if neighbour == 0 {
		t.Error("node 550 forwards nothing to node 549")
	}
}

// anyFault draws an entry of the list of faults of five nodes.
func anyFault(t *rapid.T) string {
	kind := rapid.SampledFrom([]string{"crash", "pause", "slow", "partition", "loss", "delay", "reorder", "duplicate",
		"garbage", "slow-answers", "function-fails", "function-hangs", "learner-down", "full-disk", "clock-step"}).Draw(t, "kind")
	target := rapid.SampledFrom([]string{"nodes: [0]", "nodes: [1-3]", "random: 1", "random: 3"}).Draw(t, "target")
	if slices.Contains([]string{"partition", "loss", "delay", "reorder", "duplicate"}, kind) {
		target = rapid.SampledFrom([]string{target, "between: [[0, 1], [2-4]]", "between: [all, all]", "one_way: true, nodes: [2]"}).Draw(t, "links")
	}
	more := map[string]string{"slow": ", factor: 3", "loss": ", probability: 30%", "delay": ", latency: {distribution: exponential, mean: 1s}",
		"reorder": ", probability: 30%, latency: 1s", "duplicate": ", probability: 30%", "slow-answers": ", latency: 400ms",
		"function-fails": ", probability: 0.5", "clock-step": ", by: -1h"}[kind]
	whens := []string{"at: %ds", "at: %ds, for: 20s", "every: %ds, for: 3s", "when: {arrivals: %d}, for: 10s"}
	if !strings.HasPrefix(target, "between") {
		whens = append(whens, "when: {load: 2}, for: %ds")
	}
	when := rapid.SampledFrom(whens).Draw(t, "when")
	return fmt.Sprintf("{kind: %s, %s%s, "+when+"}", kind, target, more, rapid.IntRange(1, 90).Draw(t, "seconds"))
}

// TestFaultsConserve: whatever befalls whom, each request ends once, and the same run does the same again.
func TestFaultsConserve(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		w := world{
			length:  "seed: 2, duration: 100s, warmup: 0s",
			cluster: rapid.SampledFrom([]string{"nodes: 5, queue: 3", "nodes: 5, slots: 2, abandon: true, links: {latency: 50ms, loss: 0.02}", "nodes: 5, slots: 4, service_mode: processor-sharing, cloud: {link: {latency: 40ms}}", "nodes: 5, queue: 2, discipline: deadline"}).Draw(r, "cluster"),
			functions: rapid.SampledFrom([]string{"{name: f, service: {distribution: exponential, mean: 1s}, deadline: 2s}",
				"{name: f, service: 1s, cold_start: {time: 500ms, keep_alive: 5s}}, {name: g, service: 300ms, placement: {nodes: [0, 2]}}"}).Draw(r, "functions"),
			workload: "rate: 1.5/s",
			scheduler: rapid.SampledFrom([]string{"name: NoScheduler", "name: PowerOfNScheduler, fanout: 2, threshold: 1", "name: ForwardScheduler, on_failure: fail",
				"name: Redundancy, d: 2", "name: RoundRobin", "name: LeastLoadedGossip, period: 1s", "name: JSQ, d: 2, on_failure: next", "name: LearningScheduler", "name: WorkStealing"}).Draw(r, "scheduler"),
		}.befallen(rapid.SliceOfN(rapid.Custom(anyFault), 1, 5).Draw(r, "faults")...)
		w.length += ", learner: {entries: {batch: 3, delay: 100ms}}, client: {timeout: 30s, link: {latency: 5ms, loss: 0.01}}"
		ended := map[core.TaskID]int{}
		run := func() *results.Replication {
			return w.replicate(t, 0, simnet.Options{Each: func(x *results.Record) { ended[x.ID]++ }})
		}
		a := run()
		for id, n := range ended {
			if n != 1 {
				r.Fatalf("request %d ended %d times", id, n)
			}
		}
		if a.InFlight != 0 || uint64(len(ended)) != a.Jobs {
			r.Fatalf("%d requests, %d of them ended, %d are in flight", a.Jobs, len(ended), a.InFlight)
		}
		if b := run(); b.Digest != a.Digest || b.Events != a.Events {
			r.Fatalf("%x after %d events, and then %x after %d", a.Digest, a.Events, b.Digest, b.Events)
		}
	})
}
