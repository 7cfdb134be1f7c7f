package realnet

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// What a client may say of its request beyond v1 reaches the task and, as a service time, the function; what became of
// the task comes back exactly.
func TestTaskHeaders(t *testing.T) {
	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(wire.HeaderTask, "spoofed")
		fmt.Fprintf(w, "%s %q", r.Header.Get(wire.HeaderService), r.Header.Get(wire.HeaderDemand))
	}))
	defer f.Close()
	c := openNodes(t, 1, NodeOptions{Speed: 2, Discipline: core.EarliestDeadline, Abandon: true, Backend: Backend{URL: f.URL}})
	r := c.ask(0, "GET", "/function/f", "", wire.HeaderDemand, "0.25", wire.HeaderDeadline, "60", wire.HeaderPriority, "3", wire.HeaderTaskType, "0")
	if r.status != 200 || r.body != `0.125000000 ""` {
		t.Errorf("%d: %s", r.status, r.body)
	}
	report := reportOf(t, r)
	if report.Outcome != "completed" || report.Executor != "127.0.0.1" || report.Timing.Executing <= 0 || report.Lesson != nil {
		t.Errorf("report: %+v", report)
	}
	if r := c.ask(0, "GET", "/function/f", ""); r.body != ` ""` {
		t.Errorf("a function whose demand nobody knows is told %q", r.body)
	}
	for _, x := range [][2]string{{wire.HeaderDemand, "-1"}, {wire.HeaderDemand, "NaN"}, {wire.HeaderDemand, "1e300"}, {wire.HeaderDeadline, "soon"},
		{wire.HeaderPriority, "-1"}, {wire.HeaderPriority, "40000"}, {wire.HeaderPriority, "1.5"}} {
		if r := c.ask(0, "GET", "/function/f", "", x[0], x[1]); r.status != http.StatusBadRequest {
			t.Errorf("%s: %s is answered with %d: %s", x[0], x[1], r.status, r.body)
		}
	}
}

// reportOf is what the node says of a request.
func reportOf(t *testing.T, r reply) (report wire.TaskReport) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.header.Get(wire.HeaderTask)), &report); err != nil {
		t.Fatalf("%d %s: %s is %q: %v", r.status, r.body, wire.HeaderTask, r.header.Get(wire.HeaderTask), err)
	}
	return report
}

// A waiting task whose deadline passes is answered, as the scenario says.
func TestAbandonReal(t *testing.T) {
	c := openNodes(t, 1, NodeOptions{Slots: 1, Room: 4, Queue: true, Abandon: true})
	end := c.hold(0)
	r := c.ask(0, "POST", "/function/f", "", wire.HeaderDeadline, "0.02")
	report := reportOf(t, r)
	if r.status != http.StatusGatewayTimeout || report.Outcome != "expired" {
		t.Errorf("%d %s: %+v", r.status, r.body, report)
	}
	if r := end(); r.status != 200 {
		t.Errorf("the running one is answered with %d", r.status)
	}
}

// The nodes of a cluster have the numbers of their places, and forward to their neighbours alone.
func TestClusterNumbers(t *testing.T) {
	n, err := OpenNode(NodeOptions{Identity: Identity{IP: "10.0.0.2"}, Number: 1, Cloud: "10.0.0.9",
		Cluster: []string{"10.0.0.1", "10.0.0.2", "10.0.0.3:18081", "10.0.0.9"}, Neighbours: []core.NodeID{0, 1, 2},
		Slots: 1, Scheduler: Descriptor{Name: "RoundRobinWithMasterScheduler", Parameters: []string{"false", "10.0.0.3:18081", "true"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Shutdown(t.Context())
	for i, a := range n.options.Cluster {
		if n.numberOf(a) != core.NodeID(i) || n.addressOf(core.NodeID(i)) != a {
			t.Errorf("%s has the number %d, number %d the address %s", a, n.numberOf(a), i, n.addressOf(core.NodeID(i)))
		}
	}
	if id := n.numberOf("10.0.0.3"); id == 2 {
		t.Error("10.0.0.3 on the standard port is taken for 10.0.0.3:18081")
	}
	if id := n.numberOf("10.0.0.1:18080"); id != 0 {
		t.Errorf("10.0.0.1:18080 has the number %d, not that of 10.0.0.1", id)
	}
	if id := n.numberOf("10.0.0.77"); id != 6 {
		t.Errorf("a machine that is met later has the number %d, want 6, after that of strangers and of 10.0.0.3", id)
	}
}

// A task of a caller from the node's own address, as when all nodes of a machine call from 127.0.0.1, is no task of its
// own; callers nobody knows do not make the table of machines grow.
func TestCallersWithoutNumber(t *testing.T) {
	c := openNodes(t, 1, NodeOptions{Cluster: []string{"127.0.0.1", "127.0.0.2"}})
	before := len(c.nodes[0].peers.addresses)
	for range 5 {
		r := c.ask(0, "POST", "/peer/function/f", `{"service_id_request":1,"function_name":"f","hops":1}`, "User-Agent", wire.UserAgentNode)
		if r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	if after := len(c.nodes[0].peers.addresses); after != before {
		t.Errorf("%d machines, %d before", after, before)
	}
}
