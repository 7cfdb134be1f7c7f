package simnet_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/simnet"
)

// on simulates the first replication of a world after its scenario was changed, and returns all records, by ID.
func (w world) on(t *testing.T, change func(*scenarios.Scenario)) (*results.Replication, map[core.TaskID]results.Record) {
	t.Helper()
	s := w.points(t)[0].Scenario
	change(s)
	all := map[core.TaskID]results.Record{}
	one, err := simnet.New(s, 0, simnet.Options{Each: func(r *results.Record) { all[r.ID] = *r }})
	if err != nil {
		t.Fatal(err)
	}
	r, err := one.Run(func() bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	return r, all
}

// laptop has all nodes of a scenario, and functions that compute.
func laptop(cores int) func(*scenarios.Scenario) {
	return func(s *scenarios.Scenario) {
		h := scenarios.Host{Name: "laptop", Cores: cores, Load: true}
		for i := range s.Cluster.Nodes() {
			h.Nodes = append(h.Nodes, core.NodeID(i))
		}
		s.Hosts = []scenarios.Host{h}
		for i := range s.Functions {
			s.Functions[i].CPU = 1
		}
	}
}

// A machine with one node is that node with processor sharing, task by task.
func TestMachineIsProcessorSharing(t *testing.T) {
	w := small.with(func(w *world) { w.cluster = "nodes: 1, slots: 5, queue: 3" })
	_, shared := w.with(func(w *world) { w.cluster += ", service_mode: processor-sharing, cores: 2" }).
		on(t, func(*scenarios.Scenario) {})
	_, hosted := w.on(t, laptop(2))
	if len(shared) < 500 || len(shared) != len(hosted) {
		t.Fatalf("%d and %d requests", len(shared), len(hosted))
	}
	for id, a := range shared {
		b := hosted[id]
		if a.Outcome != b.Outcome || (a.Latency-b.Latency).Abs() > time.Microsecond {
			t.Fatalf("request %d: %v after %v with processor sharing, %v after %v on a machine", id, a.Outcome, a.Latency, b.Outcome, b.Latency)
		}
	}
}

// Nodes of one machine share its cores: without limit of slots they are one M/G/1 with processor sharing, whose mean sojourn
// time is S/(1-rho) for any distribution of the service time (Kleinrock, Queueing Systems, vol. 2, 1976, section 4.4).
func TestMachineOfManyNodes(t *testing.T) {
	for name, service := range map[string]string{"deterministic": "100ms", "hyperexponential": "{distribution: hyperexponential, mean: 100ms, scv: 4}"} {
		w := world{length: "seed: 3, duration: 4000s, warmup: 100s, replications: 1", cluster: "nodes: 6, slots: unlimited",
			functions: "{name: f, service: " + service + "}", workload: "rate: 1/s", scheduler: "name: NoScheduler"}
		r, _ := w.on(t, laptop(1))
		mean, _ := r.Tally.Metric("latency.mean")
		if want := 0.1 / (1 - 0.6); math.Abs(mean-want) > 0.05*want {
			t.Errorf("%s: mean sojourn time %.4g s, in theory %.4g s", name, mean, want)
		}
	}
}

// What computes for half of its service time has half of it slowed.
func TestMachineSharesWhatComputes(t *testing.T) {
	w := world{length: "seed: 3, duration: 10s, warmup: 0s, replications: 1", cluster: "nodes: 2, slots: unlimited",
		functions: "{name: f, service: 1s}", workload: "arrivals: deterministic, phase: aligned, rate: 0.2/s", scheduler: "name: NoScheduler"}
	for _, c := range []struct {
		cpu  float64
		want time.Duration
	}{{0, time.Second}, {0.5, 1500 * time.Millisecond}, {1, 2 * time.Second}} {
		_, all := w.on(t, func(s *scenarios.Scenario) {
			laptop(1)(s)
			s.Functions[0].CPU = c.cpu
		})
		if len(all) < 2 {
			t.Fatalf("%d requests", len(all))
		}
		for id, r := range all {
			if (r.Latency - c.want).Abs() > 10 {
				t.Errorf("cpu %g: request %d took %v, want %v", c.cpu, id, r.Latency, c.want)
			}
		}
	}
	_, all := w.on(t, laptop(2))
	for id, r := range all {
		if r.Latency != time.Second {
			t.Errorf("two cores for two executions: request %d took %v", id, r.Latency)
		}
	}
}

// A cost of each kind is found in its part, whole, where no machine is shared.
func TestCosts(t *testing.T) {
	cost := func(ms time.Duration) scenarios.Cost {
		return scenarios.Cost{Time: scenarios.Spread{ms * time.Millisecond}}
	}
	w := world{length: "seed: 3, duration: 100s, warmup: 0s, replications: 1", cluster: "nodes: 3, slots: unlimited, links: {latency: 100ms}",
		functions: "{name: f, service: 1s}", workload: "rate: 0.1/s", scheduler: "name: JSQ, d: 2"}
	_, all := w.on(t, func(s *scenarios.Scenario) {
		s.Calibration = &scenarios.Calibration{Costs: scenarios.Costs{Client: scenarios.Cost{Time: scenarios.Spread{2 * time.Millisecond, 8 * time.Millisecond}}, Probe: cost(6), Forward: cost(5), Return: cost(3), Call: cost(2)},
			Functions: map[string]scenarios.CalibratedFunction{"f": {Stretch: 1.1, Call: cost(7), Nodes: []float64{1, 1, 2}}}}
	})
	forwarded, slow := 0, 0
	for id, r := range all {
		executing, client := 1107*time.Millisecond, 2*time.Millisecond
		if r.Client > client { // both ways are of one value
			client = 8 * time.Millisecond
			slow++
		}
		if r.Executor == 2 {
			executing = 2207 * time.Millisecond
		}
		way, back := time.Duration(0), time.Duration(0)
		if r.Hops > 0 {
			forwarded++
			way, back = 105*time.Millisecond, 103*time.Millisecond
		}
		for _, part := range []struct {
			name      string
			got, want time.Duration
		}{{"client", r.Client, client}, {"forwarding", r.Timing.Forwarding, way}, {"returning", r.Timing.Returning, back},
			{"executing", r.Timing.Executing, executing}, {"all", r.Latency, r.Client + r.Timing.Total()}} {
			if (part.got - part.want).Abs() > 10 {
				t.Errorf("request %d: %s takes %v, want %v", id, part.name, part.got, part.want)
			}
		}
		if r.Probes > 0 && (r.Timing.Probing-206*time.Millisecond).Abs() > 10 {
			t.Errorf("request %d: probing takes %v", id, r.Timing.Probing)
		}
	}
	if forwarded < 10 || slow < len(all)/4 || slow > len(all)*3/4 {
		t.Errorf("%d requests were forwarded, and %d of %d had the slower client", forwarded, slow, len(all))
	}
}

// The processor time of costs goes first, and what computes shares what it leaves: of exponential service times the mean is that
// of two priorities with preemption, S2/(1-r1) + (l1 E[S1^2] + l2 E[S2^2])/2 / ((1-r1)(1-r1-r2)), whatever the order among equals
// (Kleinrock, Queueing Systems, vol. 2, 1976, section 3.6).
func TestCostsLoadTheMachine(t *testing.T) {
	w := world{length: "seed: 3, duration: 4000s, warmup: 100s, replications: 1", cluster: "nodes: 6, slots: unlimited",
		functions: "{name: f, service: {distribution: exponential, mean: 50ms}}", workload: "rate: 1/s", scheduler: "name: NoScheduler"}
	r, _ := w.on(t, func(s *scenarios.Scenario) {
		laptop(1)(s)
		s.Client.Link.Latency = random.NewExponential(5) // a request meets the costs of others, not its own
		s.Calibration = &scenarios.Calibration{Costs: scenarios.Costs{Client: scenarios.Cost{Time: scenarios.Spread{50 * time.Millisecond}, CPU: 50 * time.Millisecond}}}
	})
	mean, _ := r.Tally.Metric("executing.mean")
	costs := 12 * 0.025 * 0.025 // there and back, 25 ms each
	executions := 6 * 2 * 0.05 * 0.05
	if want := 0.05/0.7 + (costs+executions)/2/(0.7*0.4); math.Abs(mean-want) > 0.08*want {
		t.Errorf("an execution takes %.4g s, in theory %.4g s", mean, want)
	}
}

// Executions that are given up leave the machine.
func TestMachineStops(t *testing.T) {
	w := small.scheduled("name: Redundancy, d: 2, cancel: completion").with(func(w *world) { w.workload = "rate: 0.2/s" })
	_, all := w.on(t, laptop(1)) // a load of 0.8 and, where nothing is cancelled, of 1.6
	for id, r := range all {
		if r.Outcome == core.Completed && r.Timing.Executing > 60*time.Second {
			t.Errorf("request %d executed for %v: what was cancelled goes on", id, r.Timing.Executing)
		}
	}
	if len(all) < 300 {
		t.Errorf("%d requests", len(all))
	}
}

// Executions that were measured to lose something when two are at once lose it in simulation, and those in between in proportion; of
// more than there are cores it counts what eight take more than four, which is a ninth longer than without loss.
func TestMachineYields(t *testing.T) {
	for at, want := range map[int]time.Duration{1: 1000, 2: 1250, 3: 1837, 5: 2941, 8: 4444, 10: 5556} { // milliseconds, on two cores
		w := world{length: "seed: 3, duration: 10s, warmup: 0s, replications: 1", cluster: fmt.Sprintf("nodes: %d, slots: unlimited", at),
			functions: "{name: f, service: 1s}", workload: "arrivals: deterministic, phase: aligned, rate: 0.15/s", scheduler: "name: NoScheduler"}
		_, all := w.on(t, func(s *scenarios.Scenario) {
			laptop(2)(s)
			s.Calibration = &scenarios.Calibration{Cores: 2, Functions: map[string]scenarios.CalibratedFunction{"f": {Stretch: 1, CPU: 1,
				Slowdown: []scenarios.Slowdown{{AtOnce: 1, Factor: 1, Model: 1}, {AtOnce: 2, Factor: 1.25, Model: 1},
					{AtOnce: 4, Factor: 2.5, Model: 2}, {AtOnce: 8, Factor: 2.5 + 2/0.9, Model: 4}}}}}
		})
		for id, r := range all {
			if (r.Latency - want*time.Millisecond).Abs() > 10*time.Millisecond {
				t.Errorf("%d at once: request %d took %v, want %v", at, id, r.Latency, want*time.Millisecond)
			}
		}
		if len(all) != at {
			t.Errorf("%d requests at %d nodes", len(all), at)
		}
	}
}

// Of a function that computes for half of its time, all that executions at once lose is lost in that half.
func TestMachineYieldsOfHalf(t *testing.T) {
	w := world{length: "seed: 3, duration: 10s, warmup: 0s, replications: 1", cluster: "nodes: 2, slots: unlimited",
		functions: "{name: f, service: 1s}", workload: "arrivals: deterministic, phase: aligned, rate: 0.15/s", scheduler: "name: NoScheduler"}
	for _, factor := range []float64{1.25, 0.9} { // less than the model is no gain
		_, all := w.on(t, func(s *scenarios.Scenario) {
			laptop(2)(s)
			s.Functions[0].CPU = 0.5
			s.Calibration = &scenarios.Calibration{Cores: 2, Functions: map[string]scenarios.CalibratedFunction{"f": {Stretch: 1, CPU: 0.5,
				Slowdown: []scenarios.Slowdown{{AtOnce: 1, Factor: 1, Model: 1}, {AtOnce: 2, Factor: factor, Model: 1}}}}}
		})
		want := time.Duration(max(1, factor) * 1e9)
		for id, r := range all {
			if (r.Latency - want).Abs() > 10*time.Millisecond {
				t.Errorf("factor %v: request %d took %v, want %v", factor, id, r.Latency, want)
			}
		}
		if len(all) != 2 {
			t.Errorf("%d requests", len(all))
		}
	}
}

// A host that executes a function for all nodes does not for the cloud, which has cores of its own.
func TestMachineIsNotTheCloud(t *testing.T) {
	w := world{length: "seed: 3, duration: 10s, warmup: 0s, replications: 1", cluster: "nodes: 2, slots: 1, cloud: {link: {latency: 5ms}}",
		functions: "{name: f, service: 1s}", workload: "arrivals: deterministic, phase: aligned, rate: 0.15/s", scheduler: "name: CloudOffload, threshold: 0"}
	_, all := w.on(t, func(s *scenarios.Scenario) {
		s.Hosts = []scenarios.Host{{Name: "server", Cores: 1, Functions: []core.TaskType{0}}}
		s.Functions[0].CPU = 1
	})
	for id, r := range all {
		if r.Executor != 2 || r.Timing.Executing != time.Second {
			t.Errorf("request %d executed for %v at node %d, want 1s in the cloud", id, r.Timing.Executing, r.Executor)
		}
	}
	if len(all) != 2 {
		t.Errorf("%d requests", len(all))
	}
}

// The load of the cluster is that of its nodes: of the cloud nobody asks it, in reality.
func TestLoadIsNotTheClouds(t *testing.T) {
	w := world{length: "seed: 3, duration: 100s, warmup: 0s, replications: 1", cluster: "nodes: 2, slots: 1, cloud: {link: {latency: 5ms}}",
		functions: "{name: f, service: 1s}", workload: "rate: 1/s", scheduler: "name: CloudOffload, threshold: 0"}
	s := w.replicate(t, 0, simnet.Options{}).Series
	if !slices.Equal(s.Nodes, []core.NodeID{0, 1}) || len(s.PerNode) != 2 || slices.Max(s.Mean) > 0 {
		t.Errorf("the loads of nodes %v have a mean of up to %g, where everything is executed in the cloud", s.Nodes, slices.Max(s.Mean))
	}
}
