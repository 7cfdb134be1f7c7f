package loadgen

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/precise"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

// notingMachines note what is done to nodes; what fails does so once.
type notingMachines struct {
	did   []string
	fails string
}

func (m *notingMachines) note(what string) error {
	m.did = append(m.did, what)
	if what == m.fails {
		m.fails = ""
		return errors.New("no luck")
	}
	return nil
}

func (m *notingMachines) Crash(context.Context, int) error   { return m.note("crash") }
func (m *notingMachines) Restart(context.Context, int) error { return m.note("restart") }
func (m *notingMachines) Pause(context.Context, int) error   { return m.note("pause") }
func (m *notingMachines) Resume(context.Context, int) error  { return m.note("resume") }

// A node goes on before it crashes, and stands still again when it is back where that still lies on it. Whatever fails half-way is undone, what
// could not be undone is tried once more in the end, and the run fails. What the node used before it crashed is forgotten.
func TestVictim(t *testing.T) {
	s := scenariotest.One(t, `
name: one
duration: 100s
cluster: {nodes: 1}
functions: [{name: f, service: 1s}]
workload: {rate: 1/s}
scheduler: {name: NoScheduler, probe_timeout: 1s, answer_timeout: 1s}
faults: [{kind: pause, nodes: [0], at: 1s}, {kind: crash, nodes: [0], at: 1s}]
`)
	n, err := realnet.OpenNode(realnet.NodeOptions{Slots: 1, Types: 1, Scheduler: realnet.Descriptor{Name: "NoScheduler", Parameters: []string{"true"}},
		Backend: realnet.Backend{URL: "http://127.0.0.1:1/"}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Shutdown(t.Context())
	server := httptest.NewServer(n.SchedulerHandler())
	defer server.Close()
	pause, crash := realnet.Lying{Kind: scenarios.Pause}, realnet.Lying{Kind: scenarios.Crash}
	for _, x := range []struct {
		fails string
		lying [][]realnet.Lying // one after the other; then the run ends
		want  string
		past  int // lives that have ended
	}{
		{"", [][]realnet.Lying{{pause}, {pause}, {}}, "pause resume", 0},
		{"", [][]realnet.Lying{{crash}, {crash}, {}}, "crash restart", 1},
		{"", [][]realnet.Lying{{pause}, {pause, crash}, {crash}, {}}, "pause resume crash restart", 1},
		{"", [][]realnet.Lying{{pause}, {pause, crash}, {pause}, {}}, "pause resume crash restart pause resume", 1},
		{"pause", [][]realnet.Lying{{pause}, {}}, "pause resume", 0},
		{"pause", [][]realnet.Lying{{pause}, {crash}, {}}, "pause resume crash restart", 1},
		{"resume", [][]realnet.Lying{{pause}, {}}, "pause resume resume", 0},
		{"restart", [][]realnet.Lying{{crash}, {}}, "crash restart restart", 1},
	} {
		var m *notingMachines
		var b *befalling
		var v *victim
		var why error
		for tries := 0; tries == 0 || tries < 5 && len(v.past) > 0 && v.past[0].said == nil; tries++ { // a busy node may not say in time how it is
			m = &notingMachines{fails: x.fails}
			l := &load{Options: Options{Scenario: s, Machines: m, Targets: []Target{{Scheduler: server.Listener.Addr().String()}}}, http: server.Client()}
			_, fail := context.WithCancelCause(t.Context())
			why = nil
			b = &befalling{load: l, late: results.NewPunctuality(), restarts: results.NewPunctuality(),
				failed: func(err error) { why = err; fail(err) }}
			v = &victim{of: b, kick: make(chan struct{}), before: &results.NodeUse{}}
			over, end := context.WithCancel(t.Context())
			end() // so that nothing is measured
			for _, lying := range x.lying {
				v.lying, v.due = lying, time.Now()
				v.change(over)
			}
			close(v.kick)
			v.live(over)
			b.work.Wait()
		}
		if did := strings.Join(m.did, " "); did != x.want || len(v.past) != x.past || (v.before == nil) != (x.past > 0) {
			t.Errorf("%v lie on a node, and %q fails: %s, %d lives have ended, before that: %v", x.lying, x.fails, did, len(v.past), v.before)
		}
		if x.past > 0 && (v.past[0].said == nil || v.past[0].died.IsZero() || !v.born.After(v.past[0].died)) {
			t.Errorf("%v lie on a node: its life before the crash was %+v, the next one began at %v", x.lying, v.past[0], v.born)
		}
		if own := v.own; own.lies {
			t.Errorf("%v have lain on a node, and it is still in trouble", x.lying)
		}
		if failed := why != nil; failed != (x.fails != "") {
			t.Errorf("%q fails, and the run with %v", x.fails, why)
		}
		if late := b.late.Lateness(); late.Count == 0 || late.Max > time.Minute {
			t.Errorf("%v: how late that was: %+v", x.lying, late)
		}
	}
	clock := precise.New()
	defer clock.Close()
	v := &victim{of: &befalling{load: &load{clock: clock, Options: Options{Scenario: s, Targets: []Target{{Scheduler: server.Listener.Addr().String()}}},
		http: server.Client()}}}
	v.measure(t.Context(), 0)
	if v.before == nil || v.before.Goroutines < 2 {
		t.Errorf("the node that is back uses %+v", v.before)
	}
}

// A fault explains that a request is lost where it lay at the time: on the node that the request was sent to, whatever became of it; elsewhere, if
// the request may have been there.
func TestFaultsExplainLosses(t *testing.T) {
	s := scenariotest.One(t, `
name: three
duration: 100s
cluster: {nodes: 3}
functions: [{name: f, service: 1s}]
workload: {rate: 1/s}
scheduler: {name: NoScheduler, probe_timeout: 1s, answer_timeout: 1s}
learner: {}
faults: [{kind: crash, nodes: [1], at: 1s}, {kind: partition, between: [[0], [2]], at: 1s}, {kind: learner-down, nodes: [1], at: 1s}]
`)
	crash, partition, learner := scenarios.FaultEvent{Nodes: []core.NodeID{1}}, scenarios.FaultEvent{Fault: 1}, scenarios.FaultEvent{Fault: 2, Nodes: []core.NodeID{1}}
	type events []scenarios.FaultEvent
	to := func(n core.NodeID) results.Record { return results.Record{Node: n, Outcome: core.LostNodeDown} }
	forwarded := to(0)
	forwarded.Hops = 1
	for _, x := range []struct {
		name string
		lies events
		r    results.Record
		late bool
		want bool
	}{
		{"nothing lies", nil, to(1), true, false},
		{"the node is down", events{crash}, to(1), false, true},
		{"another one is down", events{crash}, to(0), false, false},
		{"another one is down, to which it may have gone", events{crash}, forwarded, false, true},
		{"another one is down, and nobody answered in time", events{crash}, to(0), true, true},
		{"links part", events{partition}, to(0), false, false},
		{"links part on which it may have been", events{partition}, forwarded, false, true},
		{"the learner is down", events{learner}, to(1), true, false},
	} {
		b := &befalling{load: &load{Options: Options{Scenario: s}}, lying: x.lies, late: results.NewPunctuality()}
		for i := range 3 {
			b.victims = append(b.victims, &victim{of: b, node: i, kick: make(chan struct{}, 1)})
		}
		before := time.Now()
		b.tell(before)
		if got := b.explain(&x.r, before, x.late); got != x.want {
			t.Errorf("%s: that explains it: %t", x.name, got)
		}
		b.lying = nil
		over := time.Now()
		b.tell(over)
		if got := b.explain(&x.r, time.Now(), x.late); got != x.want {
			t.Errorf("%s, and is to be over, but is not yet: that explains it: %t", x.name, got)
		}
		for _, v := range b.victims {
			v.changed(v.due, v.lying)
		}
		if b.explain(&x.r, time.Now(), x.late) || b.explain(&x.r, over, x.late) != x.want {
			t.Errorf("%s, and is over: it explains what is due later, or not what was due before", x.name)
		}
	}
	// Of two events at one instant, a node that is as the first one has it is not yet as it is to be.
	v := &victim{of: &befalling{load: &load{Options: Options{Scenario: s}}, late: results.NewPunctuality()}, due: time.Now(), own: trouble{lies: true}}
	if v.changed(v.due, []realnet.Lying{{Kind: scenarios.Crash, Nodes: crash.Nodes}}); v.due.IsZero() || !v.own.lies {
		t.Errorf("a node that has crashed and is to be back is taken to be back: %+v, due %v", v.own, v.due)
	}
	if v.changed(v.due, nil); !v.due.IsZero() || v.own.lies {
		t.Errorf("it is back: %+v, due %v", v.own, v.due)
	}
	if (*befalling)(nil).explain(&forwarded, time.Now(), true) {
		t.Error("no faults explain something")
	}
}

// What a node has sent is the sum over its lives: what it said before it crashed, and in the end.
func TestSpellsOfLives(t *testing.T) {
	s := scenariotest.One(t, `
name: one
duration: 100s
warmup: 10s
cluster: {nodes: 1}
functions: [{name: f, service: 1s}]
workload: {rate: 1/s}
scheduler: {name: NoScheduler}
`)
	start := time.Now()
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * 1e9)) }
	said := func(sent int64) *realnet.Status { return &realnet.Status{Messages: realnet.Messages{Sent: sent}} }
	for name, x := range map[string]struct {
		before, after *realnet.Status
		born          time.Time
		past          []life
		sent          uint64
		silent        int
	}{
		"no crash":                      {said(10), said(25), time.Time{}, nil, 15, 0},
		"a crash in the warm-up":        {said(10), said(25), at(7), []life{{died: at(5), said: said(99)}}, 15, 0},
		"two crashes after it":          {said(10), said(25), at(80), []life{{died: at(50), said: said(40)}, {at(60), at(70), said(3)}}, 30 + 3 + 25, 0},
		"down when the warm-up ends":    {nil, said(25), at(11), []life{{died: at(5), said: said(99)}}, 25, 0},
		"it did not say before":         {said(10), said(25), at(80), []life{{died: at(50)}}, 25, 1},
		"it came back after the run":    {said(10), said(25), at(101), []life{{died: at(50), said: said(40)}}, 30, 0},
		"it did not say in the end":     {said(10), nil, at(80), []life{{died: at(50), said: said(40)}}, 30, 1},
		"it stood still in the warm-up": {nil, said(25), time.Time{}, nil, 0, 1},
	} {
		b := &befalling{load: &load{Options: Options{Scenario: s}, start: start}, victims: []*victim{{born: x.born, past: x.past}}}
		spells, silent := b.spells([]*realnet.Status{x.before}, []*realnet.Status{x.after})
		sent, more := messagesOf(spells)
		if sent != x.sent || silent+more != x.silent {
			t.Errorf("%s: %d messages, %d do not say; want %d and %d", name, sent, silent+more, x.sent, x.silent)
		}
	}
}
