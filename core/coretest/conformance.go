package coretest

import (
	"fmt"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// Run is what every host of nodes must do. newCluster builds a cluster of the host under test; what it starts it ends
// with the test (testing.TB.Cleanup). Events of a script are at least 10 ms apart, so that a host on the wall clock
// keeps their order.
func Run(t *testing.T, newCluster func(testing.TB, Setup) Cluster) {
	for _, c := range []struct {
		name string
		test func(*bench)
	}{
		{"admits K+Q", testAdmission},
		{"order/fifo", testFIFO},
		{"order/lifo", testLIFO},
		{"order/priority", testPriority},
		{"order/earliest deadline", testEarliestDeadline},
		{"order/shortest", testShortest},
		{"abandons at the deadline", testAbandon},
		{"K and Q change at once", testConfigure},
		{"scheduler changes at once", testConfigureScheduler},
		{"client hangs up", testCancel},
		{"node crashes and restarts", testCrash},
		{"probe sees the load", testProbe},
		{"silent peer is an error", testSilentPeer},
		{"answer goes back along the path", testPath},
		{"hop limit/execute", testLimitExecute},
		{"hop limit/lose", testLimitLose},
		{"fallback/refusal", testRefusal},
		{"fallback/silence", testSilence},
		{"pull", testPull},
		{"replicate/on completion", testReplicateCompletion},
		{"replicate/on start", testReplicateStart},
		{"replicate/on start, one waits", testReplicateQueued},
		{"placement/neighbours have the function", testPlacedNeighbours},
		{"placement/execute where it is", testPlacedExecute},
		{"placement/nobody has it", testNoFunction},
		{"placement/refusal", testPlacedRefusal},
		{"placement/replicas", testPlacedReplicas},
		{"placement/pull", testPlacedPull},
		{"placement/functions come and go", testMovedFunction},
		{"tell and ask", testNotes},
		{"watcher's changes coalesce", testWatcher},
		{"starter sleeps", testStarter},
		{"panic is a fault", testPanic},
		{"goexit is a fault", testGoexit},
		{"no verdict is a fault", testNoVerdict},
		{"stranger is a fault", testStranger},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.test(&bench{T: t, build: newCluster})
		})
	}
}

const ms = time.Millisecond

// at is the instant so many milliseconds after the beginning.
func at(millis int) core.Time { return core.Time(millis) * core.Time(ms) }

// bench is a test with the cluster that it is about.
type bench struct {
	*testing.T
	Cluster
	build   func(testing.TB, Setup) Cluster
	results []Result
}

// set builds the cluster. Timeouts that s leaves open are 60 ms.
func (b *bench) set(s Setup) {
	if s.Scheduler == nil {
		s.Scheduler = Everywhere(Local)
	}
	s.Forwarding.ProbeTimeout = 60 * ms
	s.Latency = 5 * ms
	b.Cluster = b.build(b.T, s)
}

// submit has a client ask for so many milliseconds of service.
func (b *bench) submit(millis int, n core.NodeID, service int) int {
	return b.Submit(at(millis), n, Request{Service: time.Duration(service) * ms})
}

// slots changes K of node n, from the beginning.
func (b *bench) slots(n core.NodeID, k int32) { b.Configure(0, n, core.Change{Slots: &k}) }

// fill has node n refuse everything.
func (b *bench) fill(n core.NodeID) {
	b.Configure(0, n, core.Change{Slots: new(int32), Room: new(int32)})
}

func (b *bench) play() {
	b.results = b.Cluster.Run()
	if f := b.Faults(); len(f) > 0 {
		b.Errorf("unexpected fault: %v", f[0])
	}
}

// ended checks how request i ended, where it was executed, and how long it took in all.
func (b *bench) ended(i int, o core.Outcome, executor core.NodeID, latency int) {
	b.Helper()
	r := b.results[i]
	if r.Outcome != o || r.Executor != executor {
		b.Errorf("request %d: %v at node %d, want %v at %d", i, r.Outcome, r.Executor, o, executor)
	}
	b.near(fmt.Sprintf("latency of request %d", i), r.Latency, latency)
}

// near checks a duration against milliseconds.
func (b *bench) near(what string, d time.Duration, millis int) {
	b.Helper()
	if e := d - time.Duration(millis)*ms; max(e, -e) > b.Limits().Tolerance {
		b.Errorf("%s: %v, want %d ms", what, d, millis)
	}
}

// equal checks anything else.
func equal[T comparable](b *bench, what string, got, want T) {
	b.Helper()
	if got != want {
		b.Errorf("%s: %v, want %v", what, got, want)
	}
}
