package simnet

import (
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

// Power of two choices with threshold 2 at load 0.9, 10 ms per message: independent simulators agree on a mean sojourn
// time of 2.73 and 38 % forwarded at N = 100.
func TestPowerOfTwo(t *testing.T) {
	w, err := New(powerOfTwo(t, 100, 5000*time.Second), 0, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.Run(never)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		metric    string
		low, high float64
	}{{"latency.mean", 2.69, 2.77}, {"forwarded_share", 0.375, 0.385}, {"drop_rate", 0, 1e-4}, {"probing.mean", 0.0143, 0.0155}} {
		if v, ok := r.Tally.Metric(c.metric); !ok || v < c.low || v > c.high {
			t.Errorf("%s = %v (%v), want it between %v and %v", c.metric, v, ok, c.low, c.high)
		}
	}
	if perJob := float64(r.Events) / float64(r.Jobs); perJob < 4.2 || perJob > 4.3 {
		t.Errorf("%.3f events per job, want 4.25", perJob)
	}
	if r.InFlight != 0 || r.Submitted != r.Ended {
		t.Errorf("%d submitted, %d ended, %d in flight", r.Submitted, r.Ended, r.InFlight)
	}
}

// replicate runs one replication of a scenario given as text.
func replicate(t *testing.T, text string) *results.Replication {
	t.Helper()
	s := scenariotest.One(t, text)
	w, err := New(s, 0, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.Run(never)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Half of the requests get lost on the way up; of the others, which execute, half of the answers get lost.
func TestLossOnTheClientsLink(t *testing.T) {
	r := replicate(t, `
duration: 20000s
warmup: 0s
replications: 1
cluster: {nodes: 1, slots: 1}
functions: [{name: f, service: {distribution: exponential, mean: 1s}}]
workload: {rate: 0.5/s}
client: {link: {loss: 0.5}}
scheduler: {name: NoScheduler}
`)
	if u, _ := r.Metric("utilisation"); u < 0.24 || u > 0.26 {
		t.Errorf("utilisation %v, want 0.25", u)
	}
	if d, _ := r.Metric("drop_rate"); d < 0.73 || d > 0.77 {
		t.Errorf("drop rate %v, want 0.75", d)
	}
}

// A slot that is busy when the run ends was busy.
func TestUnfinishedExecutionsCount(t *testing.T) {
	r := replicate(t, `
duration: 100s
warmup: 0s
replications: 1
cluster: {nodes: 1, slots: 1, queue: 0}
functions: [{name: f, service: 1000s}]
workload: {rate: 10/s}
scheduler: {name: NoScheduler}
`)
	if u, _ := r.Metric("utilisation"); u < 0.95 {
		t.Errorf("utilisation %v, want nearly 1", u)
	}
	if r.InFlight != 1 {
		t.Errorf("%d in flight, want 1", r.InFlight)
	}
}

// An instance that was given up while it started is not warm; one that was cancelled at work is.
func TestCancelledColdStart(t *testing.T) {
	s := powerOfTwo(t, 1, time.Second)
	s.Functions[0].ColdStart = &scenarios.ColdStart{Time: random.NewConstant(1), KeepAlive: time.Hour}
	w, err := New(s, 0, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for warm, want := range []int{0, 1} {
		w.cold.idle[0] = w.cold.idle[0][:0]
		if warm == 1 {
			w.cold.finish(w, 0, 0)
		}
		task := w.engine.NewTask()
		w.Start(0, task)
		w.Stop(0, task)
		w.engine.Free(task)
		if n := len(w.cold.idle[0]); n != want {
			t.Errorf("%d warm instances before, %d after", warm, n)
		}
	}
}

// Of two timeouts that fall due at one instant the longer was set first, and fires first.
func TestOrderOfTimeouts(t *testing.T) {
	for _, f := range []core.Forwarding{{ProbeTimeout: time.Second, AnswerTimeout: 3 * time.Second},
		{ProbeTimeout: 3 * time.Second, AnswerTimeout: time.Second}} {
		s := powerOfTwo(t, 1, 10*time.Second)
		s.Workload.Rate = 1e-9
		s.Scheduler.Forwarding = f
		w, err := New(s, 0, Options{})
		if err != nil {
			t.Fatal(err)
		}
		early, late := w.engine.NewTask(), w.engine.NewTask() // no node waits for them: they are told apart by the rings
		w.Arm(0, core.Time(3*time.Second), early.Token())
		w.now = core.Time(2 * time.Second)
		w.Arm(0, core.Time(3*time.Second), late.Token())
		if last := &w.timeouts[len(w.timeouts)-1]; last.ring.front().token != early.Token() {
			t.Errorf("%+v: the timeout that was set later comes first", f)
		}
	}
}

// What one node draws does not change what another one will.
func TestStreamsOfNodes(t *testing.T) {
	w, err := New(powerOfTwo(t, 2, time.Second), 0, Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, b := newStreams(w, random.Network), newStreams(w, random.Network)
	a.of(0).Uint64()
	if x, y, z := a.of(1).Uint64(), b.of(1).Uint64(), b.of(0).Uint64(); x != y || y == z {
		t.Errorf("node 1 draws %x or %x, node 0 %x", x, y, z)
	}
}

// What a cold start took is told of each execution that began with one, of those at peers too, and is part of the time in
// the slot.
func TestColdStartsAreTold(t *testing.T) {
	s := scenariotest.One(t, `
duration: 1000s
warmup: 0s
replications: 1
cluster: {nodes: 4, slots: 2, queue: 4}
functions: [{name: f, service: 1s, cold_start: {time: {distribution: uniform, min: 2s, max: 3s}, keep_alive: 5s}}]
workload: {rate: 0.2/s}
scheduler: {name: PowerOfNScheduler, fanout: 1, threshold: 1}
`)
	kinds := map[[2]bool]int{}
	w, err := New(s, 0, Options{Each: func(r *results.Record) {
		kinds[[2]bool{r.Cold, r.Hops > 0}]++
		if s := r.ColdStart.Seconds(); r.Cold && (s < 2 || s > 3) || !r.Cold && s != 0 || r.Timing.Executing != r.Demand+r.ColdStart {
			t.Errorf("request %d: cold %v, a start of %v s, %+v", r.ID, r.Cold, s, r.Timing)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.Run(never)
	if err != nil {
		t.Fatal(err)
	}
	if len(kinds) != 4 {
		t.Errorf("cold or not, forwarded or not: %v", kinds)
	}
	if m, _ := r.Metric("cold_start.mean"); m < 2.3 || m > 2.7 {
		t.Errorf("cold starts take %v s on average, want 2.5", m)
	}
}
