package play

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/watch"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

const second = core.Time(time.Second)

// example has two nodes with a slot each. Request 0 is executed at its entry, 1 waits for it there, 2 goes to node 1, which
// crashes later, and 3 is rejected.
func example() *Timeline {
	t := &Timeline{Name: "example", World: "sim", From: 0, To: 10 * second, began: time.Unix(1000, 0), longest: 5 * time.Second}
	t.add("0", 1, 4)
	t.add("1", 1, 0)
	s := time.Second
	t.requests = []request{
		{id: 0, arrival: 1 * second, executor: 0, outcome: "completed", took: 2 * s, latency: 2 * s, parts: core.Timing{Executing: 2 * s}},
		{id: 1, arrival: 2 * second, executor: 0, outcome: "completed", took: 3 * s, latency: 3 * s, parts: core.Timing{Waiting: s, Executing: 2 * s}},
		{id: 2, arrival: 2 * second, executor: 1, probes: 1, hops: 1, outcome: "completed", took: 4 * s, latency: 4 * s, rewarded: true, reward: .5,
			parts: core.Timing{Probing: s, Forwarding: s, Executing: s, Returning: s}},
		{id: 3, arrival: 3 * second, node: 1, executor: core.NoNode, outcome: "rejected"},
	}
	t.faults = []occurrence{{kind: scenarios.Crash, name: "crash of 1", label: "crash", nodes: []core.NodeID{1}, from: 7 * second, to: 9 * second},
		{kind: scenarios.Loss, name: "loss between 0 and 1", label: "loss", from: 8 * second, to: core.Never}}
	return t
}

// What is said of an instant is what the records say of it.
func TestAt(t *testing.T) {
	x := example()
	for _, c := range []struct {
		at                        float64
		running0, queued0, in0    int
		running1                  int
		completed, rejected, sent float64 // in the second before
		p50                       float64
	}{
		{at: 0.5},
		{at: 1.5, running0: 1, in0: 1},
		{at: 2.5, running0: 1, queued0: 1, in0: 3},
		{at: 3.5, running0: 1, in0: 2, completed: 1, rejected: 1, p50: 2},
		{at: 4.5, running0: 1, in0: 2, running1: 1, sent: 1},
		{at: 5.5, in0: 1, completed: 1, p50: 3},
		{at: 6.5, completed: 1, p50: 4},
	} {
		f := x.frame(core.Time(c.at*1e9), time.Second)
		a, b := &f.Nodes[0], &f.Nodes[1]
		if a.Running != c.running0 || a.Queued != c.queued0 || a.Requests != c.in0 || b.Running != c.running1 || b.Queued != 0 {
			t.Errorf("at %g s node 0 has %d running, %d waiting, %d in hand, node 1 %d running", c.at, a.Running, a.Queued, a.Requests, b.Running)
		}
		if r := &f.Rates; r.Completed != c.completed || r.Rejected != c.rejected || r.Forwarded != c.sent || b.Rates.Received != c.sent || r.Lost+r.Expired != 0 {
			t.Errorf("at %g s: %+v", c.at, *r)
		}
		if (f.Latency == nil) != (c.p50 == 0) || f.Latency != nil && f.Latency.P50 != c.p50 {
			t.Errorf("at %g s the latency is %+v", c.at, f.Latency)
		}
		if (c.sent > 0) != slices.Equal(f.Forwards, []watch.Forward{{From: "0", To: "1", Rate: 1}}) || f.States.Alive != 2 {
			t.Errorf("at %g s: %+v, %+v", c.at, f.Forwards, f.States)
		}
	}
	if f := x.frame(core.Time(65e8), time.Second); f.Nodes[0].Learner == nil || f.Nodes[0].Learner.Mean != .5 || f.Nodes[1].Learner != nil {
		t.Errorf("the reward is told as %+v", f.Nodes[0].Learner)
	}
}

// A node that has crashed is dead while the fault lies on it, and then back.
func TestFaults(t *testing.T) {
	x := example()
	for _, c := range []struct {
		at     core.Time
		state  watch.State
		faults string
	}{{7*second - 1, watch.Alive, ""}, {7 * second, watch.Dead, "crash of 1"}, {8 * second, watch.Dead, "crash of 1, loss between 0 and 1"},
		{9 * second, watch.Alive, "loss between 0 and 1"}} {
		f := x.At(c.at)
		var names []string
		for _, o := range f.Faults {
			names = append(names, o.Name)
		}
		if n := &f.Nodes[1]; n.State != c.state || strings.Join(names, ", ") != c.faults || (n.Error != "") != (c.state == watch.Dead) ||
			f.States.Alive+f.States.Dead != 2 {
			t.Errorf("at %v node 1 is %s %q, and there are the faults %q", c.at, n.State, n.Error, names)
		}
	}
}

// The charts of the whole run count each request once.
func TestSource(t *testing.T) {
	x := example()
	s := x.Source()
	step := (s.To - s.From) / points
	completed, rejected, with := 0.0, 0.0, 0
	for _, p := range s.Points {
		completed += p.Completed * step
		rejected += p.Rejected * step
		if p.P50 != nil {
			with++
		}
	}
	if len(s.Points) != points || s.Points[points-1].At != 10 || math.Abs(completed-3) > 1e-6 || math.Abs(rejected-1) > 1e-6 || with != 3 {
		t.Errorf("%d points, the last at %v, %g completed and %g rejected, %d with a latency", len(s.Points), s.Points[points-1].At, completed, rejected, with)
	}
	if len(s.Faults) != 2 || s.Faults[0].Until == nil || *s.Faults[0].Until != 9 || s.Faults[1].Until != nil {
		t.Errorf("the faults are %+v", s.Faults)
	}
}

// Requests are told of as nodes tell of them, once they have ended.
func TestRequests(t *testing.T) {
	h := example().Handler()
	ask := func(query string) (status int, told watch.Requests) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ui/requests?"+query, nil))
		if w.Code == http.StatusOK {
			if err := json.Unmarshal(w.Body.Bytes(), &told); err != nil {
				t.Fatal(err)
			}
		}
		return w.Code, told
	}
	_, told := ask("at=5.5")
	var ids []string
	for _, r := range told.Requests {
		ids = append(ids, r.Request)
	}
	if !slices.Equal(ids, []string{"1", "0", "3"}) && !slices.Equal(ids, []string{"1", "3", "0"}) {
		t.Errorf("at 5.5 s these have ended: %v", ids)
	}
	_, told = ask("at=1&request=2")
	if len(told.Requests) != 2 {
		t.Fatalf("of request 2 is told %+v", told)
	}
	a, b := told.Requests[0], told.Requests[1]
	if a.Node != "0" || a.From != "" || a.Executor != "1" || !slices.Equal(a.Sent, []string{"1"}) || a.Took != 4*time.Second || a.Decided != time.Second ||
		b.Node != "1" || b.From != "0" || b.Parts.Executing != time.Second || b.Parts.Probing != 0 {
		t.Errorf("of request 2 is told %+v", told)
	}
	for _, query := range []string{"", "at=x", "at=-1", "at=11", "at=NaN"} {
		if status, _ := ask(query); status != http.StatusBadRequest {
			t.Errorf("%q is answered %d", query, status)
		}
	}
}
