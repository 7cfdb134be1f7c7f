package realnet

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// The log of an entry node has the requests of its clients, in order, with what they said and where and for how long they were
// executed; those of peers are none.
func TestReadRequests(t *testing.T) {
	record := t.TempDir()
	m := openMesh(t, 2, function, func(i int, o *NodeOptions) {
		o.Record, o.Functions, o.Types = record, []string{"f", "g"}, 2
		if i == 0 {
			o.Scheduler = forwardAll
		}
	})
	ask := func(node int, path string, headers ...string) int {
		r, err := http.NewRequest("POST", m.servers[node].URL+path, strings.NewReader("sleep 20ms"))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		return a.StatusCode
	}
	began := time.Now()
	for _, x := range []struct {
		path    string
		headers []string
		status  int
	}{
		{"/function/f", []string{wire.HeaderDemand, "0.25"}, 200},
		{"/function/g", []string{wire.HeaderDeadline, "7"}, 200},
		{"/function/nobody-knows", nil, 200},
		{"/function/f", []string{wire.HeaderReject, "1"}, 503},
		{"/function/g", []string{wire.HeaderBypass, "1"}, 200},
	} {
		if status := ask(0, x.path, x.headers...); status != x.status {
			t.Fatalf("%s %v: status %d", x.path, x.headers, status)
		}
	}
	m.stop(0)
	m.stop(1)
	open := func(node int) *LoggedRequests {
		file, err := os.Open(filepath.Join(record, fmt.Sprintf("node-%d%s", node, RecordSuffix)))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		l, err := ReadRequests(file)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if l := open(1); len(l.Requests) != 0 || l.Node != 1 || l.Identity.IP != m.addresses[1] {
		t.Errorf("what came from the peer alone is %+v", l)
	}
	l := open(0)
	if l.Node != 0 || l.Identity.IP != m.addresses[0] || l.Speed != 1 || l.Incomplete != "" || len(l.Machines) < 2 || l.Machines[1] != m.addresses[1] {
		t.Errorf("the log says %+v", l)
	}
	want := []LoggedRequest{
		{Function: "f", Demand: 250 * time.Millisecond, Executor: 1},
		{Function: "g", Executor: 1, Deadline: 7 * time.Second},
		{Executor: 1},
		{Function: "f", Executor: core.NoNode},
		{Function: "g", Executor: 0},
	}
	if len(l.Requests) != len(want) {
		t.Fatalf("the log has %d requests", len(l.Requests))
	}
	if zero := m.nodes.nodes[0].mailbox.began; !l.Started.Equal(zero.Round(0)) { // without the monotonic reading
		t.Errorf("the node's clock began at %v, by its log at %v", zero, l.Started)
	}
	last := began
	for i, r := range l.Requests {
		at := l.Started.Add(time.Duration(r.At))
		if at.Before(last.Add(-5*time.Millisecond)) || at.After(time.Now()) {
			t.Errorf("request %d came at %v, the one before, or the test, at %v", i, at, last)
		}
		last = at
		if w := want[i]; r.Function != w.Function || r.Demand != w.Demand || r.Executor != w.Executor ||
			r.Deadline > w.Deadline || r.Deadline < w.Deadline-time.Since(began) || (r.Executor == core.NoNode) != (r.Executed == 0) {
			t.Errorf("request %d is %+v, want %+v", i, r, w)
		}
		if r.Executor != core.NoNode && (r.Executed < 20*time.Millisecond || r.Executed > time.Since(began)) {
			t.Errorf("request %d was executed for %v", i, r.Executed)
		}
	}
	// What is wrong is said with its place; what breaks off is read as far as it goes.
	lines := recorded(t, filepath.Join(record, "node-0"+RecordSuffix))
	read := func(lines ...string) (*LoggedRequests, error) {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(strings.Join(lines, ""))) // into memory
		_ = z.Close()
		return ReadRequests(&b)
	}
	if short, err := read(lines[:len(lines)-1]...); err != nil || short.Incomplete == "" || len(short.Requests) != len(want) {
		t.Errorf("of a log that breaks off: %+v, %v", short, err)
	}
	did := `{"did":{"Kind":"done","Task":77}}` + "\n"
	for says, lines := range map[string][]string{
		"line 2: time goes back from 0s to -5ns":    {lines[0], `{"input":{"Kind":"boot","At":-5}}` + "\n"},
		"line 2: a submit without a task":           {lines[0], `{"input":{"Kind":"submit","At":5}}` + "\n"},
		"line 2: task 77 ends at 5ns, and has not":  {lines[0], `{"input":{"Kind":"boot","At":5}}` + "\n", did},
		"line 3 is none of a log":                   {lines[0], lines[1], "no line\n"},
		"line 1 is no header: this is no log of a ": lines[1:],
	} {
		if _, err := read(lines...); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; it should say %q", err, says)
		}
	}
}

// A cold start is no part of what an execution took, here and at a peer; a deadline that has passed is one nevertheless.
func TestLoggedRequest(t *testing.T) {
	l := &LoggedRequests{Node: 4}
	open := map[core.TaskID]int{}
	task := func(id core.TaskID) *core.TaskValue {
		return &core.TaskValue{ID: id, Deadline: core.Time(90), Function: 2}
	}
	done := func(id core.TaskID, o core.Outcome) []core.Effect {
		return []core.Effect{{Kind: core.EffectDone, Task: id, Outcome: o, Timing: core.Timing{Executing: 50, Waiting: 1000}}}
	}
	trip := &core.TripValue{Executor: 6, ColdStart: 30}
	for _, s := range []core.Step{
		{Input: core.Input{Kind: core.InputSubmit, At: 100, Task: task(1)}},
		{Input: core.Input{Kind: core.InputSubmit, At: 101, Task: task(2)}},
		{Input: core.Input{Kind: core.InputFinish, At: 150, Cold: 20}, Effects: done(1, core.Completed)},
		{Input: core.Input{Kind: core.InputDeliver, At: 160, Message: &core.Parcel{Kind: core.MsgAnswer,
			Tasks: []core.TaskValue{{ID: 2, Trip: trip}}}}, Effects: done(2, core.Completed)},
		{Input: core.Input{Kind: core.InputSubmit, At: 170, Task: task(3)}, Effects: done(3, core.NoRoom)},
	} {
		if err := l.step(&s, open, []string{"f", "g"}); err != nil {
			t.Fatal(err)
		}
	}
	want := []LoggedRequest{{100, "g", 0, 1, 4, 30}, {101, "g", 0, 1, 6, 20}, {170, "g", 0, 1, core.NoNode, 0}}
	if fmt.Sprint(l.Requests) != fmt.Sprint(want) || len(open) > 0 {
		t.Errorf("%+v, want %+v; open are %v", l.Requests, want, open)
	}
}
