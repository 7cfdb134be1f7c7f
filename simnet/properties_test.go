package simnet_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/sched"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/simnet"
)

// These are relations between runs, or within one, that hold whatever the numbers are: no table of expected values is
// needed. Where two runs must do the same task by task, their records are equal; where they are equal in distribution
// alone, their replications are compared by the standard error of the difference.

// world is a scenario with what a test says replaced.
type world struct {
	length    string // top level
	cluster   string
	functions string
	workload  string
	scheduler string
}

// small is four nodes with two slots and three places to wait, overloaded a little.
var small = world{
	length:    "seed: 7, duration: 500s, warmup: 0s, replications: 8",
	cluster:   "nodes: 4, slots: 2, queue: 3",
	functions: "{name: f, service: {distribution: exponential, mean: 1s}}",
	workload:  "rate: 1.9/s",
	scheduler: "name: NoScheduler",
}

func (w world) with(change func(*world)) world {
	change(&w)
	return w
}

func (w world) scheduled(scheduler string) world {
	w.scheduler = scheduler
	return w
}

func (w world) points(t *testing.T) []scenarios.Point {
	t.Helper()
	text := fmt.Sprintf("{%s, cluster: {%s}, functions: [%s], workload: {%s}, scheduler: {%s}}", w.length, w.cluster,
		w.functions, w.workload, w.scheduler)
	f, err := scenarios.Parse("property.yaml", []byte(text), fstest.MapFS{})
	if err != nil {
		t.Fatal(err)
	}
	points, err := f.Points()
	if err != nil {
		t.Fatal(err)
	}
	return points
}

func (w world) replicate(t *testing.T, index int, o simnet.Options) *results.Replication {
	t.Helper()
	one, err := simnet.New(w.points(t)[0].Scenario, index, o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := one.Run(func() bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// records are all requests of the first replication.
func (w world) records(t *testing.T) []results.Record {
	t.Helper()
	var all []results.Record
	w.replicate(t, 0, simnet.Options{Each: func(r *results.Record) { all = append(all, *r) }})
	slices.SortFunc(all, func(a, b results.Record) int { return int(a.ID) - int(b.ID) })
	if len(all) < 1000 {
		t.Fatalf("%d requests say little", len(all))
	}
	return all
}

// replications are the values of a metric, by replication.
func (w world) replications(t *testing.T, metric string) []float64 {
	t.Helper()
	values := make([]float64, w.points(t)[0].Scenario.Replications)
	for i := range values {
		v, ok := w.replicate(t, i, simnet.Options{}).Metric(metric)
		if !ok {
			t.Fatalf("there is no metric %s", metric)
		}
		values[i] = v
	}
	return values
}

// sameTasks fails unless every task of a fares as the task of the same number of b.
func sameTasks(t *testing.T, a, b world) {
	t.Helper()
	x, y := a.records(t), b.records(t)
	if len(x) != len(y) {
		t.Fatalf("%d requests and %d", len(x), len(y))
	}
	for i := range x {
		if !reflect.DeepEqual(x[i], y[i]) {
			t.Fatalf("request %d differs:\n%+v\n%+v", x[i].ID, x[i], y[i])
		}
	}
}

// near fails where the mean of values is further than 5 standard errors from want: once in more than 500 with 7 degrees
// of freedom, and the seed is fixed.
func near(t *testing.T, what string, values []float64, want float64) {
	t.Helper()
	mean, deviation := stat.MeanStdDev(values, nil)
	if e := deviation / math.Sqrt(float64(len(values))); !(math.Abs(mean-want) <= 5*e+1e-12) {
		t.Errorf("%s is %g +- %g, want %g", what, mean, e, want)
	}
}

// alike fails where a and b differ in the mean of a metric by more than 5 standard errors.
func alike(t *testing.T, a, b world, metrics ...string) {
	t.Helper()
	for _, metric := range metrics {
		x, y := a.replications(t, metric), b.replications(t, metric)
		difference := make([]float64, len(x))
		for i := range x {
			difference[i] = y[i] - x[i]
		}
		near(t, "the difference of "+metric, difference, 0)
	}
}

func TestJSQ1IsRandom(t *testing.T) {
	t.Parallel()
	sameTasks(t, small.scheduled("name: JSQ, d: 1"), small.scheduled("name: Random"))
}

func TestRedundancy1IsRandom(t *testing.T) {
	t.Parallel()
	sameTasks(t, small.scheduled("name: Redundancy, d: 1"), small.scheduled("name: Random"))
}

func TestJSQOfAllIsLeastConnections(t *testing.T) {
	t.Parallel()
	alike(t, small.scheduled("name: JSQ, d: 4"), small.scheduled("name: JSQAll, ties: random"), "latency.mean", "drop_rate",
		"forwarded_share")
}

// TestThresholdBeyondRoom: with K places and T = K+1 no node ever asks.
func TestThresholdBeyondRoom(t *testing.T) {
	t.Parallel()
	sameTasks(t, small.scheduled("name: PowerOfNScheduler, fanout: 2, threshold: 6"), small)
	asks := small.scheduled("name: PowerOfNScheduler, fanout: 2, threshold: 5").records(t)
	if !slices.ContainsFunc(asks, func(r results.Record) bool { return r.Probes > 0 }) {
		t.Error("nobody asks with T = K either: the test says nothing")
	}
}

// TestProbingAllIsJSQ: LL(N-1,0) is JSQ in which the own node wins ties. Between two nodes there are no others.
func TestProbingAllIsJSQ(t *testing.T) {
	t.Parallel()
	two := small.with(func(w *world) { w.cluster = "nodes: 2, slots: 2, queue: 3" })
	sameTasks(t, two.scheduled("name: PowerOfNScheduler, fanout: 1, threshold: 0"), two.scheduled("name: JSQAll, ties: local"))
	alike(t, small.scheduled("name: PowerOfNScheduler, fanout: 3, threshold: 0"), small.scheduled("name: JSQAll, ties: local"),
		"latency.mean", "drop_rate", "forwarded_share")
}

func TestRoundRobinOfOneIsAlone(t *testing.T) {
	t.Parallel()
	one := small.with(func(w *world) { w.cluster = "nodes: 1, slots: 2, queue: 3" })
	one.length = "seed: 7, duration: 2000s, warmup: 0s"
	sameTasks(t, one.scheduled("name: RoundRobin"), one)
}

func TestEqualDeadlinesAreFirstComeFirstServed(t *testing.T) {
	t.Parallel()
	due := small.with(func(w *world) { w.functions = strings.Replace(w.functions, "}}", "}, deadline: 3s}", 1) })
	sameTasks(t, due, due.with(func(w *world) { w.cluster += ", discipline: deadline" }))
}

// TestInsensitive: with processor sharing and with the last one first, preemptive, E[S]/(1-rho) whatever the law.
func TestInsensitive(t *testing.T) {
	t.Parallel()
	for _, law := range []string{"1s", "{distribution: exponential, mean: 1s}", "{distribution: lognormal, mean: 1s, scv: 2}",
		"{distribution: hyperexponential, mean: 1s, scv: 4}", "{distribution: uniform, min: 0s, max: 2s}"} {
		for _, mode := range []string{"processor-sharing", "preemptive-lifo"} {
			w := world{"seed: 3, duration: 12000s, warmup: 1000s, replications: 8",
				"nodes: 4, slots: unlimited, service_mode: " + mode, "{name: f, service: " + law + "}", "rate: 0.6/s",
				"name: NoScheduler"}
			near(t, "T with "+mode+" and services "+law, w.replications(t, "latency.mean"), 2.5)
		}
	}
}

// TestUnitsOfTime: k times as many arrivals and k times as fast services divide all times by k and leave shares as they
// are. The tasks are the same, so that even the sample path is, but for the rounding to nanoseconds.
func TestUnitsOfTime(t *testing.T) {
	t.Parallel()
	slow := small.scheduled("name: PowerOfNScheduler, fanout: 1, threshold: 2")
	quick := slow.with(func(w *world) {
		w.length = strings.Replace(w.length, "500s", "50s", 1)
		w.functions = strings.Replace(w.functions, "1s", "100ms", 1)
		w.workload = "rate: 19/s"
	})
	a, b := slow.replicate(t, 0, simnet.Options{}), quick.replicate(t, 0, simnet.Options{})
	for metric, factor := range map[string]float64{"latency.mean": 10, "latency.std": 10, "waiting.mean": 10, "drop_rate": 1,
		"forwarded_share": 1, "requests": 1, "utilisation": 1, "throughput": 0.1} {
		x, _ := a.Metric(metric)
		y, _ := b.Metric(metric)
		if math.Abs(x/y/factor-1) > 1e-6 {
			t.Errorf("%s is %g and %g, want a quotient of %g", metric, x, y, factor)
		}
	}
}

// witness is an algorithm that does nothing, or what LL(1,1) does, and measures the load of its node for itself.
type witness struct {
	Share bool `param:"share" doc:"forward as LL(1,1) does"`

	id   core.NodeID
	last core.Time
	load int
	area float64 // load integrated over time: task seconds
	seen []int   // by arriving tasks
}

var witnesses struct {
	sync.Mutex
	all map[*witness]bool
}

func init() {
	sched.Register(sched.Entry{Name: "Witness", Summary: "measure the load", Doc: "Measure the load.", Source: "a test",
		New: func() core.Scheduler { return &witness{} }})
}

func (w *witness) Start(env core.Env) {
	w.id = env.Self()
	witnesses.Lock()
	defer witnesses.Unlock()
	if witnesses.all != nil {
		witnesses.all[w] = true
	}
}

func (w *witness) Changed(env core.Env) {
	w.area += float64(w.load) * env.Now().Sub(w.last).Seconds()
	w.last, w.load = env.Now(), env.Load().Total()
}

func (w *witness) Schedule(env core.Env, _ *core.Task) core.Verdict {
	w.seen = append(w.seen, env.Load().Total())
	if !w.Share || env.Load().Total() < 1 {
		return core.Execute()
	}
	if r := env.Probe(env.Neighbours().Sample(1)...)[0]; r.Err == nil && r.Load.Total() < env.Load().Total() {
		return core.Forward(r.Peer)
	}
	return core.Execute()
}

// observed runs the first replication of w with a witness at every node.
func (w world) observed(t *testing.T, share bool) (nodes []*witness, records []results.Record) {
	t.Helper()
	witnesses.Lock()
	witnesses.all = map[*witness]bool{}
	witnesses.Unlock()
	records = w.scheduled(fmt.Sprintf("name: Witness, share: %v", share)).records(t)
	witnesses.Lock()
	defer witnesses.Unlock()
	for n := range witnesses.all {
		nodes = append(nodes, n)
	}
	witnesses.all = nil
	slices.SortFunc(nodes, func(a, b *witness) int { return int(a.id - b.id) })
	return nodes, records
}

// TestLittle: the time integral of the load, as the algorithm sees it, is the sum of the times that tasks spend there, as
// the records have it: L = lambda*T without an error, as every run begins and ends empty; of each node and of all.
func TestLittle(t *testing.T) {
	for _, share := range []bool{false, true} {
		nodes, records := small.observed(t, share)
		spent, all, forwarded := make([]float64, len(nodes)), 0.0, 0
		for i := range records {
			r := &records[i]
			if r.Executor != core.NoNode {
				spent[r.Executor] += (r.Timing.Waiting + r.Timing.Executing).Seconds()
			}
			if r.Executor != r.Node && r.Executor != core.NoNode {
				forwarded++
			}
			all += r.Latency.Seconds()
		}
		total := 0.0
		for i, n := range nodes {
			total += n.area
			if math.Abs(n.area/spent[i]-1) > 1e-9 {
				t.Errorf("node %d: %g task seconds by its load, %g by its tasks", i, n.area, spent[i])
			}
		}
		if math.Abs(total/all-1) > 1e-9 {
			t.Errorf("%g task seconds by the loads, %g by the tasks", total, all)
		}
		if share != (forwarded > 100) {
			t.Errorf("%d tasks were forwarded", forwarded)
		}
	}
}

// TestPASTA: Poisson arrivals see time averages; arrivals at equal gaps see less.
func TestPASTA(t *testing.T) {
	for _, c := range []struct {
		workload string
		same     bool
	}{{"rate: 0.8/s", true}, {"arrivals: deterministic, rate: 0.8/s", false}} {
		w := small.with(func(w *world) {
			w.cluster, w.workload = "nodes: 40, slots: 1", c.workload
			w.length = "seed: 5, duration: 2000s, warmup: 0s"
		})
		nodes, _ := w.observed(t, false)
		differences, average := make([]float64, len(nodes)), 0.0
		for i, n := range nodes {
			sum := 0
			for _, l := range n.seen {
				sum += l
			}
			average += n.area / n.last.Seconds() / float64(len(nodes))
			differences[i] = float64(sum)/float64(len(n.seen)) - n.area/n.last.Seconds()
		}
		if c.same {
			near(t, "what arrivals see beyond the average", differences, 0)
		} else if d := stat.Mean(differences, nil); d > -0.1*average {
			t.Errorf("arrivals at equal gaps see %g more than the average of %g", d, average)
		}
	}
}

// TestFlowsAreConserved: whatever happens to requests, each ends exactly once.
func TestFlowsAreConserved(t *testing.T) {
	t.Parallel()
	w := world{"seed: 2, duration: 300s, warmup: 0s", "nodes: 5, slots: 1, queue: 3, abandon: true, links: {latency: 50ms, loss: 0.02}",
		"{name: f, service: {distribution: exponential, mean: 1s}, deadline: 2s}", "rate: 1.5/s",
		"name: PowerOfNScheduler, fanout: 2, threshold: 1, on_failure: fail, probe_timeout: 200ms, answer_timeout: 5s"}
	r := w.replicate(t, 0, simnet.Options{})
	sum, kinds := uint64(0), 0
	for o := range core.Outcome(core.NumOutcomes) {
		if n := r.Tally.Outcome(o); n > 0 {
			sum += n
			kinds++
		}
	}
	if r.Submitted != r.Ended+uint64(r.InFlight) || r.InFlight != 0 || sum != r.Ended || r.Jobs != r.Submitted {
		t.Errorf("%d requests: %d submitted, %d ended, %d in flight, %d counted", r.Jobs, r.Submitted, r.Ended, r.InFlight, sum)
	}
	if kinds < 4 {
		t.Errorf("requests ended in %d ways alone", kinds)
	}
}

// TestUtilisation: lambda_eff*E[S]/c, with the requests that were accepted and the time that they took.
func TestUtilisation(t *testing.T) {
	t.Parallel()
	w := small.with(func(w *world) {
		w.cluster = "nodes: 4, slots: 3, queue: 2"
		w.functions = "{name: f, service: {distribution: erlang, phases: 3, mean: 500ms}}"
		w.workload = "rate: 6/s"
	})
	differences := make([]float64, 8)
	for i := range differences {
		r := w.replicate(t, i, simnet.Options{})
		busy, _ := r.Metric("utilisation")
		accepted, _ := r.Metric("throughput")
		differences[i] = busy - accepted/4*0.5/3
		if busy < 0.8 || busy > 0.95 {
			t.Errorf("the utilisation is %g", busy)
		}
	}
	near(t, "utilisation beyond lambda*E[S]/c", differences, 0)
}

// TestOverload: where twice as much comes as can be executed, c*mu is, whatever is executed when no more comes, and each
// completion costs what all nodes draw in a second over c*mu.
func TestOverload(t *testing.T) {
	t.Parallel()
	w := small.with(func(w *world) {
		w.length = "seed: 7, duration: 500s, warmup: 50s, replications: 8"
		w.cluster = "nodes: 4, slots: 2, queue: unlimited, power: {idle: 3W, busy: 5W}"
		w.workload = "rate: 4/s"
	})
	near(t, "throughput", w.replications(t, "throughput"), 8)
	near(t, "energy_per_completed", w.replications(t, "energy_per_completed"), (4*3+8*5)/8.)
}

// TestNumbersOfNodesDoNotMatter: what happens to a kind of node does not depend on which numbers its nodes have.
func TestNumbersOfNodesDoNotMatter(t *testing.T) {
	t.Parallel()
	mixed := func(groups ...string) world {
		return small.with(func(w *world) {
			w.cluster = "slots: 1, queue: 5, groups: [" + strings.Join(groups, ", ") + "]"
			w.workload = "rate: {groups: {calm: 0.5/s, busy: 1.3/s}}"
			w.scheduler = "name: PowerOfNScheduler, fanout: 2, threshold: 1"
		})
	}
	a := mixed("{name: calm, nodes: 3}", "{name: busy, nodes: 2, speed: 1.5}")
	b := mixed("{name: busy, nodes: 2, speed: 1.5}", "{name: calm, nodes: 3}")
	alike(t, a, b, "latency.mean", "drop_rate", "forwarded_share", "utilisation")
}

// TestNoDelayIsNoNetwork: links that carry messages one by one, in no time, are as good as none at all.
func TestNoDelayIsNoNetwork(t *testing.T) {
	t.Parallel()
	near := small.scheduled("name: PowerOfNScheduler, fanout: 2, threshold: 1")
	far := near.with(func(w *world) { w.cluster += ", links: {latency: 0s, bandwidth: 1GB/s}" })
	sameTasks(t, near, far)
}

// TestSameSeedSameTrace: the same scenario, seed and program do the same, to the byte, however many cores there are.
func TestSameSeedSameTrace(t *testing.T) {
	w := small.with(func(w *world) {
		w.cluster += ", links: {latency: {distribution: exponential, mean: 20ms}, loss: 0.01}"
		w.scheduler = "name: PowerOfNScheduler, fanout: 2, threshold: 1, probe_timeout: 1s, answer_timeout: 10s"
	})
	var first, second bytes.Buffer
	a := w.replicate(t, 0, simnet.Options{Trace: &first})
	b := w.replicate(t, 0, simnet.Options{Trace: &second})
	if first.Len() < 1e6 || !bytes.Equal(first.Bytes(), second.Bytes()) || a.Digest != b.Digest {
		t.Errorf("two runs differ: traces of %d and %d bytes, digests %x and %x", first.Len(), second.Len(), a.Digest, b.Digest)
	}
	if c := w.replicate(t, 0, simnet.Options{}); c.Digest != a.Digest {
		t.Error("tracing changes the run")
	}
	other := w.with(func(w *world) { w.length = strings.Replace(w.length, "seed: 7", "seed: 8", 1) })
	if c := other.replicate(t, 0, simnet.Options{}); c.Digest == a.Digest {
		t.Error("another seed has the same digest")
	}
	if c := w.replicate(t, 1, simnet.Options{}); c.Digest == a.Digest {
		t.Error("another replication has the same digest")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	digests := map[int][8]uint64{}
	for _, cores := range []int{1, 2} {
		runtime.GOMAXPROCS(cores)
		var mu sync.Mutex
		var got [8]uint64
		batch := simnet.Batch{Points: w.points(t), Workers: cores, Done: func(_ int, r *results.Replication) error {
			mu.Lock()
			defer mu.Unlock()
			got[r.Index] = r.Digest
			return nil
		}}
		if err := batch.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		digests[cores] = got
	}
	if digests[1] != digests[2] || digests[1][0] != a.Digest {
		t.Errorf("the digests on one core and on two are %x and %x", digests[1], digests[2])
	}
}

// TestForwardingTakesTime: a task that is forwarded over a link of delay d takes its service and d at least.
func TestForwardingTakesTime(t *testing.T) {
	t.Parallel()
	const d = 200 * time.Millisecond
	w := small.with(func(w *world) {
		w.cluster += ", links: {latency: 200ms}"
		w.scheduler = "name: PowerOfNScheduler, fanout: 2, threshold: 1"
	})
	n, latency, demand := 0, time.Duration(0), time.Duration(0)
	for _, r := range w.records(t) {
		if r.Outcome != core.Completed || r.Executor == r.Node {
			continue
		}
		if r.Latency < r.Demand+2*d {
			t.Fatalf("it takes less than its service, there and back: %+v", r)
		}
		n++
		latency += r.Latency
		demand += r.Demand
	}
	if n < 500 || latency < demand+time.Duration(n)*d {
		t.Errorf("%d tasks forwarded, of %v and demands of %v", n, latency, demand)
	}
}

// TestRunGoesOn: what nodes do by themselves is measured to the end of the duration, whether or not a request is left.
func TestRunGoesOn(t *testing.T) {
	t.Parallel()
	w := small.scheduled("name: LeastLoadedGossip, period: 1s")
	w.length = "seed: 7, duration: 1000s, warmup: 0s, replications: 1"
	w.cluster += ", links: {latency: 1ms}"
	for _, rate := range []string{"rate: 1/s", "rate: 0.001/s"} {
		w.workload = rate
		r := w.replicate(t, 0, simnet.Options{})
		if n := len(r.Series.Mean); r.Messages < 3900 || n != 200 {
			t.Errorf("%s: %d messages, %d samples", rate, r.Messages, n)
		}
	}
}

// TestHopsOfLost: a task that ends at a peer tells how far it came.
func TestHopsOfLost(t *testing.T) {
	t.Parallel()
	w := small.scheduled("name: ForwardScheduler, max_hops: 2, at_hop_limit: lose, on_failure: fail")
	for _, r := range w.records(t) {
		if r.Outcome != core.LostHopLimit || r.Hops != 2 {
			t.Fatalf("%v after %d hops", r.Outcome, r.Hops)
		}
	}
}
