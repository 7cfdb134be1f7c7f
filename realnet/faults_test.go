package realnet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

// faultyScenario has a fault of each kind that a node does to itself; their indices are those of the list.
const faultyScenario = `
name: faulty
duration: 100s
cluster: {nodes: 3}
functions: [{name: f, service: 1s}, {name: g, service: 1s}]
workload: {rate: 1/s}
scheduler: {name: NoScheduler, probe_timeout: 1s, answer_timeout: 1s}
learner: {}
faults:
  - {kind: slow, factor: 4, nodes: [1], at: 1s}
  - {kind: slow, factor: 2, nodes: [1], at: 1s}
  - {kind: function-hangs, functions: [g], nodes: [1], at: 1s}
  - {kind: function-fails, functions: [f], probability: 100%, status: 503, nodes: [1], at: 1s}
  - {kind: garbage, nodes: [1], at: 1s}
  - {kind: learner-down, nodes: [1], at: 1s}
  - {kind: full-disk, nodes: [1], at: 1s}
  - {kind: clock-step, by: -1h, nodes: [1], at: 1s}
  - {kind: partition, between: [[1], [2]], one_way: true, at: 1s}
  - {kind: delay, latency: 70ms, nodes: [1], at: 1s}
  - {kind: duplicate, probability: 100%, nodes: [1], at: 1s}
  - {kind: slow-answers, latency: 300ms, nodes: [1], at: 1s}
  - {kind: crash, nodes: [1], at: 1s}
`

// faultyNode is what befalls node 1 of that scenario.
func faultyNode(t *testing.T) *Faults {
	t.Helper()
	return NewFaults(scenariotest.One(t, faultyScenario), 0, 1, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"})
}

// lie has these faults lie on node 1, and no others.
func lie(t *testing.T, f *Faults, faults ...int) {
	t.Helper()
	var lying []Lying
	for _, i := range faults {
		l := Lying{Fault: i, Kind: f.scenario.Faults[i].Kind}
		if f.scenario.Faults[i].Between == nil {
			l.Nodes = []core.NodeID{1}
		}
		lying = append(lying, l)
	}
	if err := f.set(lying); err != nil {
		t.Fatal(err)
	}
}

// An execution is work that is left: it takes longer while the node is slow, whenever that begins and ends, and factors multiply.
func TestSlowExecutions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := faultyNode(t)
		go func() {
			for _, x := range []struct {
				after  time.Duration
				faults []int
			}{{500 * time.Millisecond, []int{0}}, {time.Second, []int{0, 1}}, {time.Second, nil}} {
				time.Sleep(x.after)
				lie(t, f, x.faults...)
			}
		}()
		began := time.Now()
		_, _, err := f.execute(t.Context(), 0, 0, func() (*answer, time.Duration, error) {
			time.Sleep(time.Second)
			return &answer{status: http.StatusOK}, 0, nil
		})
		// 0.5 s at full speed, 1 s at a quarter, 1 s at an eighth, and 0.125 s.
		if took := time.Since(began); err != nil || took.Round(time.Microsecond) != 2625*time.Millisecond {
			t.Errorf("a second of work takes %v (%v)", took, err)
		}
	})
}

func TestFaultyFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := faultyNode(t)
		lie(t, f, 2, 3)
		run := func() (*answer, time.Duration, error) { return &answer{status: http.StatusOK}, 7, nil }
		_, cold, err := f.execute(t.Context(), 0, 0, run)
		failed := new(wire.Failure)
		if !errors.As(err, &failed) || failed.Status() != http.StatusServiceUnavailable || cold != 7 {
			t.Errorf("the function that fails: %v, cold %v", err, cold)
		}
		began := time.Now()
		if _, _, err := f.execute(t.Context(), 1, time.Minute, run); !errors.Is(err, errHangs) || time.Since(began) != time.Minute {
			t.Errorf("the function that hangs: %v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := f.execute(ctx, 1, 0, run); !errors.Is(err, errHangs) || time.Since(began) != time.Minute+time.Second {
			t.Errorf("one that is given up: %v after %v", err, time.Since(began))
		}
		lie(t, f)
		for typ := range core.TaskType(2) {
			if a, _, err := f.execute(t.Context(), typ, 0, run); err != nil || a.status != http.StatusOK {
				t.Errorf("afterwards: %v", err)
			}
		}
	})
}

// What lies on links holds, loses and doubles messages beyond what the network does, and slow answers are late.
func TestFaultyLinks(t *testing.T) {
	f := faultyNode(t)
	l := newLinks(&NodeOptions{Number: 1, Faults: f})
	defer l.close()
	if l.status() != nil {
		t.Error("links of a scenario are emulated that has none")
	}
	passes := func(to core.NodeID, how travel) (times int, held time.Duration, passed bool) {
		done := make(chan time.Duration, 2)
		passed = l.pass(to, 0, how, func(held time.Duration) { done <- held })
		if passed {
			held = <-done
			times++
		}
		select {
		case <-done:
			times++
		case <-time.After(150 * time.Millisecond):
		}
		return times, held, passed
	}
	for _, x := range []struct {
		faults []int
		to     core.NodeID
		how    travel
		times  int
		least  time.Duration
	}{
		{nil, 0, 0, 1, 0},
		{[]int{8}, 0, 0, 1, 0},
		{[]int{8}, 2, 0, 0, 0},
		{[]int{9}, 0, 0, 1, 70 * time.Millisecond},
		{[]int{10}, 0, 0, 2, 0},
		{[]int{10}, 0, once, 1, 0},
		{[]int{9, 11}, 0, once, 1, 70 * time.Millisecond},
		{[]int{9, 11}, 0, once | answers, 1, 370 * time.Millisecond},
	} {
		lie(t, f, x.faults...)
		times, held, passed := passes(x.to, x.how)
		if times != x.times || held < x.least || passed != (times > 0) || x.least == 0 && held != 0 {
			t.Errorf("%v, to node %d: a message arrives %d times, after %v", x.faults, x.to, times, held)
		}
	}
	lie(t, f, 8)
	written := 0
	for _, a := range []string{"10.0.0.1", "10.0.0.3", "10.0.0.3:18080", "10.9.9.9"} {
		f.carry(a, func() { written++ })
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := f.delay(ctx, "10.0.0.3"); written != 2 || err == nil || f.delay(t.Context(), "10.0.0.1") != nil {
		t.Errorf("%d of 4 datagrams are written, a poll across the partition ends with %v", written, err)
	}
}

// A full disk ends the log of a node, and that is said once; the node goes on, and has ended in good order.
func TestFullDisk(t *testing.T) {
	f := faultyNode(t)
	log := said(t)
	o := NodeOptions{Number: 1, Slots: 1, Types: 1, Scheduler: Descriptor{Name: "NoScheduler", Parameters: []string{"true"}},
		Backend: Backend{URL: "http://127.0.0.1:1/"}, Record: t.TempDir(), Faults: f}
	n, err := OpenNode(o)
	if err != nil {
		t.Fatal(err)
	}
	lie(t, f, 6)
	if said := log(); !strings.Contains(said, `faults="[full-disk of node 1]"`) {
		t.Errorf("the log says of what lies on the node: %s", said)
	}
	h := n.SchedulerHandler()
	for range 3 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/function/f", nil))
		time.Sleep(recordFlush / 2)
	}
	eventually(t, "the log ends", func() bool { return n.mailbox.options.Record.Err() != nil })
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/monitoring/load", nil)); w.Code != http.StatusOK {
		t.Errorf("the node answers %d", w.Code)
	}
	why := n.mailbox.options.Record.Err()
	if err := n.Shutdown(t.Context()); err != nil || !errors.Is(why, syscall.ENOSPC) {
		t.Errorf("the node ends with %v, and its log with %v", err, why)
	}
	if said := log(); strings.Count(said, "the recording has ended") != 1 {
		t.Errorf("the log says: %s", said)
	}
}

// What is told as a node's faults is refused where it is not its scenario's.
func TestPutFaults(t *testing.T) {
	f := faultyNode(t)
	n, err := OpenNode(NodeOptions{Number: 1, Slots: 1, Types: 1, Scheduler: Descriptor{Name: "NoScheduler", Parameters: []string{"true"}},
		Backend: Backend{URL: "http://127.0.0.1:1/"}, Faults: f})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Shutdown(t.Context())
	put := func(n *Node, body string) (int, string) {
		w := httptest.NewRecorder()
		n.SchedulerHandler().ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/dev/faults", strings.NewReader(body)))
		return w.Code, w.Body.String()
	}
	for body, want := range map[string]string{
		`[{"fault":4,"kind":"garbage","nodes":[1]}]`:     "",
		`[{"fault":4,"kind":"slow","nodes":[1]}]`:        "the node's scenario has no such fault",
		`[{"fault":99,"kind":"slow","nodes":[1]}]`:       "the node's scenario has no such fault",
		`[{"fault":12,"kind":"crash","nodes":[1]}]`:      "a node does not do that to itself",
		`[{"fault":4,"kind":"garbage","nodes":[2,1]}]`:   "ascending",
		`[{"fault":4,"kind":"garbage","nodes":[1,1]}]`:   "ascending",
		`[{"fault":4,"kind":"garbage","nodes":[-1]}]`:    "ascending",
		`[{"fault":4,"kind":"garbage","nodes":[0,3]}]`:   "ascending",
		`[{"fault":4,"kind":"garbage","nodes":[0,1,2]}]`: "",
		`{"fault":4}`: "cannot unmarshal",
	} {
		code, said := put(n, body)
		if (code == http.StatusOK) != (want == "") || !strings.Contains(said, want) {
			t.Errorf("%s: %d, %s", body, code, said)
		}
	}
	put(n, `[{"fault":4,"kind":"garbage","nodes":[1]},{"fault":5,"kind":"learner-down","nodes":[1]},{"fault":7,"kind":"clock-step","nodes":[1]}]`)
	answer := []byte(`{"outcome":"completed"}`)
	var read peerAnswer
	if err := json.Unmarshal(f.garbage(answer), &read); err == nil || !f.learnerDown() {
		t.Errorf("%s is an answer, and the learner down: %v", answer, f.learnerDown())
	}
	if _, err := parseMessage(f.garbage(appendMessage(nil, &core.Parcel{Kind: core.MsgReply}))); err == nil {
		t.Error("garbage is a message")
	}
	if at := time.Now(); f.wall(at).Sub(at) != -time.Hour {
		t.Errorf("the wall clock is off by %v", f.wall(at).Sub(at))
	}
	if put(n, `[]`); !bytes.Equal(f.garbage(answer), answer) || f.learnerDown() {
		t.Error("faults that are over are there still")
	}
	healthy, err := OpenNode(NodeOptions{Slots: 1, Types: 1, Scheduler: Descriptor{Name: "NoScheduler", Parameters: []string{"true"}},
		Backend: Backend{URL: "http://127.0.0.1:1/"}})
	if err != nil {
		t.Fatal(err)
	}
	defer healthy.Shutdown(t.Context())
	if code, _ := put(healthy, `[]`); code != http.StatusNotFound {
		t.Errorf("a node that takes no faults answers %d", code)
	}
}
