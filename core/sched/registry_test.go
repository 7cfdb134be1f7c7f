package sched

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

func TestParse(t *testing.T) {
	s, err := Parse("PowerOfNSchedulerTau", map[string]any{"fanout": 3, "threshold": 0.0, "tau": "200ms", "strict": false})
	if err != nil {
		t.Fatal(err)
	}
	got := s.New().(*PowerOfNSchedulerTau)
	want := &PowerOfNSchedulerTau{Tau: 200 * time.Millisecond,
		PowerOfNScheduler: PowerOfNScheduler{Fanout: 3, Threshold: 0, Loss: "none", Pick: "least", Strict: false}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if s.New() == s.New() {
		t.Error("New returned the same value twice")
	}
	const text = "PowerOfNSchedulerTau(fanout=3, threshold=0, loss=none, pick=least, strict=false, " +
		"replacement=false, tau=200ms)"
	if s.String() != text {
		t.Errorf("String is %s, want %s", s, text)
	}
	named := make(map[string]any)
	for _, p := range s.Params() {
		named[p.Name] = p.Value
		if given := strings.Contains("fanout threshold tau strict", p.Name); p.Default == given {
			t.Errorf("%s: Default is %v", p.Name, p.Default)
		}
	}
	again, err := Parse(s.Name(), named)
	if err != nil || again.String() != text {
		t.Errorf("parsing Params gives %v, %v", again, err)
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct {
		gloss, name string
		named       map[string]any
		want        []string // a piece of each of the joined errors
	}{
		{"unknown scheduler, misspelt", "PowerOfNSchedular", nil,
			[]string{`unknown scheduler "PowerOfNSchedular": did you mean PowerOfNScheduler?`}},
		{"unknown scheduler, like none", "Fastest", nil,
			[]string{`unknown scheduler "Fastest": use one of ` + strings.Join(Names(), ", ")}},
		{"other case is another name", "jsq", nil, []string{"did you mean JSQ?"}},
		{"unknown parameter, nearest first", "PowerOfNScheduler", map[string]any{"fan_out": 1},
			[]string{"PowerOfNScheduler: fan_out: unknown parameter: use fanout, "}},
		{"no parameters at all", "RejectScheduler", map[string]any{"loss": true}, []string{"the algorithm has none"}},
		{"fraction for a count", "PowerOfNScheduler", map[string]any{"fanout": 1.5}, []string{"whole number, is 1.5"}},
		{"text for a count", "PowerOfNScheduler", map[string]any{"fanout": "two"}, []string{`whole number, is "two"`}},
		{"out of range", "PowerOfNScheduler", map[string]any{"fanout": 0}, []string{"must be at least 1, is 0"}},
		{"out of range above", "PowerOfNScheduler", map[string]any{"fanout": 70000}, []string{"at most 65535, is 70000"}},
		{"huge", "PowerOfNScheduler", map[string]any{"fanout": uint64(1 << 63)}, []string{"too large"}},
		{"number for a truth", "NoScheduler", map[string]any{"loss": 1}, []string{"must be true or false, is 1"}},
		{"no unit", "PowerOfNSchedulerTau", map[string]any{"tau": 200}, []string{"tau: needs a unit"}},
		{"no unit in a string", "PowerOfNSchedulerTau", map[string]any{"tau": "200"}, []string{"tau: needs a unit"}},
		{"unknown unit", "PowerOfNSchedulerTau", map[string]any{"tau": "2 apples"}, []string{"must be a duration"}},
		{"negative duration", "PowerOfNSchedulerTau", map[string]any{"tau": "-1s"}, []string{"must be at least 0s, is -1s"}},
		{"unknown word", "PowerOfNScheduler", map[string]any{"pick": "leest"},
			[]string{`must be one of least, random-not-more-loaded, is "leest"`}},
		{"all at once", "PowerOfNScheduler", map[string]any{"fanout": nil, "threshold": -1, "loss": "yes", "z": 0, "a": 0},
			[]string{"fanout: must be a whole number, is nothing", "threshold: must be at least 0", "loss: must be one of none, enforce, announce",
				"a: unknown", "z: unknown"}},
	} {
		t.Run(c.gloss, func(t *testing.T) {
			s, err := Parse(c.name, c.named)
			if err == nil {
				t.Fatalf("got %v, want an error", s)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(c.want) {
				t.Fatalf("got %d errors, want %d: %v", len(lines), len(c.want), err)
			}
			for i, want := range c.want {
				if !strings.Contains(lines[i], want) {
					t.Errorf("error %d is %q, want it to contain %q", i, lines[i], want)
				}
			}
		})
	}
}

func TestParamErrorsCanBeTakenApart(t *testing.T) {
	_, err := Parse("PowerOfNScheduler", map[string]any{"fanout": 0, "loss": 3})
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%T cannot be taken apart", err)
	}
	var params []string
	for _, e := range joined.Unwrap() {
		var p *ParamError
		if errors.As(e, &p) {
			params = append(params, p.Param)
		}
	}
	if !reflect.DeepEqual(params, []string{"fanout", "loss"}) {
		t.Errorf("got %v", params)
	}
}

func TestParsePositional(t *testing.T) {
	for _, c := range []struct {
		name   string
		params []string
		hops   int // 0: the list has none
		full   string
	}{
		{"PowerOfNScheduler", []string{"1", "2", "true", "1"}, 1, "PowerOfNScheduler(1, 2, true, 1)"},
		{"PowerOfNScheduler", []string{"3", "0", "false", "4", "ignored"}, 4, "PowerOfNScheduler(3, 0, false, 4)"},
		{"PowerOfNScheduler", []string{"1", "2", "true", "0"}, 1, "PowerOfNScheduler(1, 2, true, 1)"},
		{"PowerOfNSchedulerTau", []string{"1", "2", "true", "1", "0.2s"}, 1, "PowerOfNSchedulerTau(1, 2, true, 1, 200ms)"},
		{"PowerOfNSchedulerTau", []string{"1", "2", "true", "1", "1.5s"}, 1, "PowerOfNSchedulerTau(1, 2, true, 1, 1500ms)"},
		{"NoScheduler", []string{"true"}, 0, "NoScheduler"},
		{"ForwardScheduler", []string{"2"}, 2, "ForwardScheduler(2)"},
		{"RejectScheduler", nil, 0, "RejectScheduler"},
	} {
		s, common, err := ParsePositional(c.name, c.params)
		if err != nil {
			t.Errorf("%s %q: %v", c.name, c.params, err)
			continue
		}
		if common.MaxHops != c.hops || common.HasMaxHops != (c.hops > 0) {
			t.Errorf("%s %q: %+v, want %d hops", c.name, c.params, common, c.hops)
		}
		if full := s.FullName(common.MaxHops); full != c.full {
			t.Errorf("%s %q: full name %s, want %s", c.name, c.params, full, c.full)
		}
	}
}

func TestParsePositionalErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		params []string
		want   string
	}{
		{"PowerOfNScheduler", []string{"1", "2", "true"}, "wants 4 parameters (fanout, threshold, loss, max_hops), has 3"},
		{"PowerOfNScheduler", []string{"1", "2.5", "true", "1"}, `threshold: must be a whole number, is "2.5"`},
		{"PowerOfNScheduler", []string{"-1", "2", "true", "1"}, "fanout: must be at least 1"},
		{"PowerOfNScheduler", []string{"1", "2", "perhaps", "1"}, `loss: must be true or false, is "perhaps"`},
		{"PowerOfNScheduler", []string{"1", "2", "true", "256"}, "max_hops: must be a whole number from 0 to 255"},
		{"PowerOfNSchedulerTau", []string{"1", "2", "true", "1", "200"}, "tau: needs a unit"},
		{"Power", nil, "unknown scheduler"},
		{"JSQ", []string{"3"}, "JSQ: has no list of parameters: give them by name: d, replacement"},
	} {
		if _, _, err := ParsePositional(c.name, c.params); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: %v, want %q", c.name, c.params, err, c.want)
		}
	}
}

// The algorithms of this test are malformed in one way each.
type (
	untagged struct{ core.Scheduler } // an embedded interface is no parameter
	noTag    struct {
		RejectScheduler
		Rate int
	}
	noDoc struct {
		RejectScheduler
		Rate int `param:"rate" unit:"tasks"`
	}
	noUnit struct {
		RejectScheduler
		Rate int `param:"rate" doc:"x"`
	}
	badType struct {
		RejectScheduler
		Rate int8 `param:"rate" unit:"tasks" doc:"x"`
	}
	badDefault struct {
		RejectScheduler
		Rate int `param:"rate" unit:"tasks" min:"1" doc:"x"`
	}
	badBound struct {
		RejectScheduler
		Rate time.Duration `param:"rate" min:"1" doc:"x"`
	}
	common struct {
		RejectScheduler
		Refusal int `param:"on_refusal" unit:"hops" doc:"x"`
	}
	twice struct {
		RejectScheduler
		A int `param:"a" unit:"tasks" doc:"x"`
		B int `param:"a" unit:"tasks" doc:"x"`
	}
	freeString struct {
		RejectScheduler
		A string `param:"a" doc:"x"`
	}
)

func TestRegisterRefusesWhatIsMalformed(t *testing.T) {
	for _, c := range []struct {
		want string
		e    Entry
	}{
		{"registered twice", Entry{Name: "NoScheduler"}},
		{"letters and digits", Entry{Name: "no scheduler"}},
		{"letters and digits", Entry{}},
		{"pointer to a struct", Entry{New: func() core.Scheduler { return untagged{} }}},
		{"needs a tag `param`", Entry{New: func() core.Scheduler { return &noTag{} }}},
		{"needs a tag `doc`", Entry{New: func() core.Scheduler { return &noDoc{} }}},
		{"needs a tag `unit`", Entry{New: func() core.Scheduler { return &noUnit{} }}},
		{"cannot be a int8", Entry{New: func() core.Scheduler { return &badType{} }}},
		{"default: must be at least 1", Entry{New: func() core.Scheduler { return &badDefault{} }}},
		{"bound", Entry{New: func() core.Scheduler { return &badBound{} }}},
		{"key of every algorithm", Entry{New: func() core.Scheduler { return &common{} }}},
		{"two parameters", Entry{New: func() core.Scheduler { return &twice{} }}},
		{"oneof", Entry{New: func() core.Scheduler { return &freeString{} }}},
		{"no parameter \"x\"", Entry{Positional: []string{"x"}}},
	} {
		e := c.e
		if e.Name == "" && c.want != "letters and digits" {
			e.Name = "Test"
		}
		e.Summary, e.Doc, e.Source = "s", "d", "s"
		if e.New == nil {
			e.New = func() core.Scheduler { return &RejectScheduler{} }
		}
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.Contains(r.(string), c.want) {
					t.Errorf("got %v, want a panic with %q", r, c.want)
				}
			}()
			Register(e)
		}()
	}
}
