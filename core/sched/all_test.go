package sched

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// required are values for parameters without a default.
var required = map[string]params{
	"ProbabilisticSplit": {"matrix": []any{[]any{0.5, 0.5}}},
}

// variants are further settings that the tests of this file try.
var variants = map[string][]params{
	"AdaptiveThreshold":    {{"fanout": 3}},
	"CloudOffload":         {{"fanout": 3}},
	"DeadlinePowerOfD":     {{"d": 4, "service": "1us", "otherwise": "reject"}},
	"ForwardScheduler":     {{"alternatives": 2}},
	"JIQ":                  {{"dispatchers": 1}, {"choices": 2}},
	"JSQ":                  {{"d": 4}, {"d": 3, "replacement": true}, {"d": 1}},
	"JSQAll":               {{"ties": "local"}, {"period": "1s"}},
	"LLg":                  {{"fanout": 4, "service": "1s"}},
	"PowerOfNScheduler":    {{"fanout": 4}, {"fanout": 3, "replacement": true}, {"fanout": 4, "pick": pickNotMoreLoaded}},
	"PowerOfNSchedulerTau": {{"fanout": 4, "tau": "1us"}},
	"Random":               {{"include_self": false, "probability": 0.5, "alternatives": 2}},
	"RandomWalk":           {{"revisit": false}},
	"Redundancy":           {{"d": 3, "cancel": "start"}},
	"RoundRobin":           {{"include_self": false}},
	"StaleJSQ":             {{"d": 4, "epochs": "exponential"}},
	"WorkStealing":         {{"retry": "1s"}},
}

// each runs f with every algorithm, in its default form and in the variants.
func each(t *testing.T, f func(t *testing.T, e Entry, s Spec)) {
	for _, name := range Names() {
		for _, named := range append([]params{required[name]}, variants[name]...) {
			s, err := Parse(name, named)
			if err != nil {
				t.Fatal(err)
			}
			t.Run(s.String(), func(t *testing.T) { f(t, *s.entry, s) })
		}
	}
}

// TestListing pins what the tool lists: the names, rules and parameters of all algorithms.
func TestListing(t *testing.T) {
	var b strings.Builder
	for _, name := range Names() {
		e, _ := Lookup(name)
		if reflect.TypeOf(e.New()).Elem().PkgPath() != reflect.TypeFor[Entry]().PkgPath() {
			continue // the example's
		}
		fmt.Fprintf(&b, "%s: %s\n", e.Name, e.Summary)
		for _, p := range e.Parameters() {
			def := p.Default
			if p.Required {
				def = "required"
			}
			fmt.Fprintf(&b, "\t%s %s %s(%s) [%s..%s] %s: %s\n", p.Name, p.Type, p.Unit, def, p.Min, p.Max,
				strings.Join(p.Choices, "|"), p.Doc)
		}
	}
	const file = "testdata/listing.golden"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != string(want) {
		t.Errorf("the listing has changed; if that is meant, run go test -update and read the difference\n%s", got)
	}
}

func TestEntriesReadWell(t *testing.T) {
	each(t, func(t *testing.T, e Entry, s Spec) {
		if len(e.Summary) > 115 || strings.HasSuffix(e.Summary, ".") {
			t.Errorf("the summary is not one line without a full stop: %q", e.Summary)
		}
		if !strings.HasSuffix(e.Doc, ".") || len(e.Doc) < 80 {
			t.Errorf("the doc is not a few sentences: %q", e.Doc)
		}
		if s.String() == "" || s.FullName(1) == "" || s.Name() != e.Name || s.MaxHops() < 1 {
			t.Errorf("the spec is incomplete: %+v", s)
		}
		if err := s.Check(World{Nodes: 2, Cloud: true, MaxHops: 3}); err != nil {
			t.Errorf("the defaults do not suit two nodes: %v", err)
		}
	})
}

// TestStatelessHaveNoState looks at the fields: parameters and scratch space are all that may be there.
func TestStatelessHaveNoState(t *testing.T) {
	each(t, func(t *testing.T, e Entry, s Spec) {
		state := false
		for _, f := range reflect.VisibleFields(reflect.TypeOf(s.New()).Elem()) {
			if !f.IsExported() && f.Type != reflect.TypeFor[scratch]() && f.Type != reflect.TypeFor[[]core.NodeID]() {
				state = true
			}
		}
		if state == e.Stateless {
			t.Errorf("Stateless is %v, but the fields say %v", e.Stateless, !state)
		}
	})
}

// worlds are the smallest ones, idle and overloaded, with peers that answer and peers that do not.
func worlds() []*coretest.Script {
	var ws []*coretest.Script
	for _, tasks := range [][]int{{0}, {7}, {0, 0}, {7, 0}, {0, 7}, {7, 7}, {7, 0, 3, 9, 7}} {
		for _, down := range []bool{false, true} {
			w := coretest.NewScript(0, tasks...)
			w.Naps = 3
			for i := range w.Peers {
				if down {
					w.Peers[i].Err, w.Peers[i].Load = core.ErrNoAnswer, core.Load{}
				}
			}
			ws = append(ws, w)
		}
	}
	return ws
}

// boot gives an algorithm what the engine gives it before the first task.
func boot(s core.Scheduler, w *coretest.Script) {
	if x, ok := s.(core.Starter); ok {
		w.Run(x.Start)
	}
	if x, ok := s.(core.Watcher); ok {
		w.Run(x.Changed)
	}
}

func TestEveryAlgorithmDecides(t *testing.T) {
	each(t, func(t *testing.T, e Entry, s Spec) {
		replicates := false
		for _, w := range worlds() {
			a := s.New()
			boot(a, w)
			for _, task := range []*core.Task{task(), fromPeer(1), {Deadline: 1}} {
				v := a.Schedule(w, task)
				if v.String() == "no verdict" {
					t.Errorf("no verdict at load %d among %d peers", w.Own.Total(), len(w.Peers))
				}
				replicates = replicates || strings.HasPrefix(v.String(), "replicate")
				if strings.HasPrefix(v.String(), "forward") {
					if p := target(t, v, w.ID); w.Peer(p) == nil && e.Name != "ProbabilisticSplit" && p != 0 {
						t.Errorf("%s, but the neighbours are %v", v, w.Peers)
					}
				}
			}
		}
		if replicates != e.Replicates {
			t.Errorf("Replicates is %v, and whether a decision was so is %v", e.Replicates, replicates)
		}
	})
}

// A peer that does not answer must not look idle: v1 lost tasks to dead nodes that way.
func TestSilentPeersAreNoCandidates(t *testing.T) {
	each(t, func(t *testing.T, e Entry, s Spec) {
		if e.Name == "JBT" {
			t.Skip("it asks for the threshold's sake, and forwards to anybody")
		}
		a := s.New()
		w := coretest.NewScript(0, 7, 0, 0, 0)
		w.Naps = 1
		for i := range w.Peers {
			w.Peers[i].Err, w.Peers[i].Load = core.ErrNoAnswer, core.Load{}
		}
		boot(a, w)
		for range 50 {
			w.Naps = 1
			v := a.Schedule(w, &core.Task{Deadline: 1})
			if strings.HasPrefix(v.String(), "forward") && slices.Contains(w.Asked, target(t, v, 0)) {
				t.Fatalf("%s, which was asked and did not answer", v)
			}
		}
	})
}

// While a decision waits for answers, others begin and end at the same node: they must not disturb it.
func TestSuspendedDecisionsAreIndependent(t *testing.T) {
	each(t, func(t *testing.T, e Entry, s Spec) {
		if !e.Stateless {
			t.Skip("its decisions depend on each other")
		}
		verdicts := func(meanwhile func(*coretest.Script, core.Scheduler)) (vs []string) {
			a := s.New()
			w := coretest.NewScript(0, 5, 3, 1, 4, 1, 0)
			w.Meanwhile, w.Naps = func(w *coretest.Script) { meanwhile(w, a) }, 100
			for range 30 {
				vs = append(vs, fmt.Sprintf("%#v", a.Schedule(w, &core.Task{Deadline: 1})))
			}
			return vs
		}
		alone := verdicts(func(*coretest.Script, core.Scheduler) {})
		other := coretest.NewScript(0, 9, 0, 8, 8, 8, 8)
		other.Naps = 100
		among := verdicts(func(_ *coretest.Script, a core.Scheduler) { a.Schedule(other, task()) })
		if !reflect.DeepEqual(alone, among) {
			t.Errorf("decisions differ:\n%v\n%v", alone, among)
		}
	})
}

func TestDecisionsDoNotAllocate(t *testing.T) {
	each(t, func(t *testing.T, e Entry, s Spec) {
		a := s.New()
		w := coretest.NewScript(0, 6, 5, 4, 3, 4, 3)
		w.Naps = 1
		boot(a, w)
		receiver, _ := a.(core.Receiver)
		watcher, _ := a.(core.Watcher)
		tasks := []*core.Task{task(), {Deadline: 1}}
		n := testing.AllocsPerRun(200, func() {
			w.Asked, w.Told, w.Slept, w.Naps = w.Asked[:0], w.Told[:0], w.Slept[:0], 9
			for _, k := range tasks {
				a.Schedule(w, k)
			}
			if receiver != nil {
				receiver.Receive(w, 2, core.Note{Kind: 1})
			}
			if watcher != nil {
				watcher.Changed(w)
			}
		})
		if n > 0 {
			t.Errorf("%v allocations per decision", n)
		}
	})
}

// The zero Spec is what a cluster without an algorithm has.
func TestZeroSpec(t *testing.T) {
	var s Spec
	if s.New() != nil || s.Name() != "" || s.String() != "" || s.Params() != nil || !s.Stateless() || s.MaxHops() != 1 {
		t.Errorf("got %v", s)
	}
	if _, err := Lookup("nobody"); err == nil || errors.Unwrap(err) != nil {
		t.Errorf("got %v", err)
	}
}

func BenchmarkSchedule(b *testing.B) {
	for _, name := range Names() {
		s, err := Parse(name, required[name])
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			a := s.New()
			w := coretest.NewScript(0, 6, 5, 4, 3, 4, 3)
			w.Naps = 1
			boot(a, w)
			k := task()
			b.ReportAllocs()
			for b.Loop() {
				w.Asked, w.Told = w.Asked[:0], w.Told[:0]
				a.Schedule(w, k)
			}
		})
	}
}
