package realnet

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// A scheduler as a person writes it: nothing of it is dropped.
func TestParseDescriptor(t *testing.T) {
	for _, x := range []struct{ text, want string }{
		{"JSQ", `{"name":"JSQ","parameters":null}`},
		{"PowerOfNScheduler", `{"name":"PowerOfNScheduler","parameters":null,"named":{}}`}, // as in a scenario
		{"LearningScheduler", `{"name":"LearningScheduler","parameters":null,"named":{}}`},
		{"RejectScheduler", `{"name":"RejectScheduler","parameters":null}`},
		{"JSQ d=3 replacement=true", `{"name":"JSQ","parameters":null,"named":{"d":3,"replacement":true}}`},
		{" PowerOfNScheduler  1 2 true 1 ", `{"name":"PowerOfNScheduler","parameters":["1","2","true","1"]}`},
		{"PowerOfNSchedulerTau tau=200ms", `{"name":"PowerOfNSchedulerTau","parameters":null,"named":{"tau":"200ms"}}`},
		{"RoundRobinWithMasterScheduler false 10.0.0.1 true", `{"name":"RoundRobinWithMasterScheduler","parameters":["false","10.0.0.1","true"]}`},
		{"LearningScheduler state=[type,queued] fallback=probe", `{"name":"LearningScheduler","parameters":null,"named":{"fallback":"probe","state":["type","queued"]}}`},
	} {
		if d, err := ParseDescriptor(x.text, core.Forwarding{}); err != nil || d.String() != x.want {
			t.Errorf("%q is %s, %v; want %s", x.text, d, err, x.want)
		}
	}
	for _, x := range []struct{ text, says string }{
		{" ", "write the name of an algorithm"},
		{"jsq", "did you mean JSQ?"},
		{"JSQ 3", "JSQ: has no list of parameters: give them by name: d, replacement"},
		{"JSQ dd=3", "JSQ: dd: unknown parameter: use d, replacement"},
		{"JSQ d=three", `JSQ: d: must be a whole number, is "three"`},
		{"JSQ d=", `JSQ: d: must be a whole number, is nothing`},
		{"JSQ d=[1, 2]", "JSQ: d=[1,: write a value, a list like [a,b] without spaces"},
		{"JSQ d=2 d=3", "JSQ: d is given twice"},
		{"PowerOfNScheduler 1 2 true 1 7", "PowerOfNScheduler: wants 4 parameters (fanout, threshold, loss, max_hops), has 5"},
		{"PowerOfNScheduler 1 2 true", "PowerOfNScheduler: wants 4 parameters (fanout, threshold, loss, max_hops), has 3"},
		{"PowerOfNScheduler fanout=2 2", "PowerOfNScheduler: 2 stands beside parameters with names: give all by name: fanout, threshold, "},
		{"RejectScheduler 1", "RejectScheduler: has no parameters: leave 1 out"},
	} {
		if d, err := ParseDescriptor(x.text, core.Forwarding{}); err == nil || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%q is %s, %v; want an error with %q", x.text, d, err, x.says)
		}
	}
}

// A scheduler as programs write it comes back as it is, with what the node's settings say where its forwarding says nothing.
func TestParseJSONDescriptor(t *testing.T) {
	own := core.Forwarding{OnRefusal: core.FallbackNext, ProbeTimeout: time.Second}
	whole := Descriptor{Name: "JSQ", Named: map[string]any{"d": 3.0}, Forwarding: &core.Forwarding{MaxHops: 2, AtLimit: core.LimitLose}}
	for text, want := range map[string]string{
		whole.String(): whole.String(),
		`{"name":"JSQ","named":{"d":3},"forwarding":{"max_hops":2}}`: `{"name":"JSQ","parameters":null,"named":{"d":3},"forwarding":{"max_hops":2,` +
			`"at_hop_limit":"execute","on_refusal":"next","on_failure":"execute","probe_timeout_ns":1000000000,"answer_timeout_ns":0}}`,
		` {"name":"ForwardScheduler","parameters":["1"]}`: `{"name":"ForwardScheduler","parameters":["1"]}`,
	} {
		if d, err := ParseDescriptor(text, own); err != nil || d.String() != want {
			t.Errorf("%s is %s, %v; want %s", text, d, err, want)
		}
	}
	for text, says := range map[string]string{
		`{"name":"JSQ","d":3}`:                                   `unknown field "d"`,
		`{"name":"JSQ","named":{},"forwarding":{"hops":2}}`:      `unknown field "hops"`,
		`{"name":"JSQ"} x`:                                       "invalid character",
		`{"name":"JSQ"`:                                          "unexpected",
		`{"name":"jsq","named":{}}`:                              "did you mean JSQ?",
		`{"name":"JSQ","named":{"d":"three"}}`:                   "must be a whole number",
		`{"name":"JSQ","named":{},"forwarding":{"max_hops":-1}}`: "out of its bounds",
	} {
		if d, err := ParseDescriptor(text, own); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s is %s, %v; want an error with %q", text, d, err, says)
		}
	}
}

// What GET says of the scheduler is what decides, whatever stood in the list beside names; a list where the algorithm has
// none is refused.
func TestSchedulerIsTold(t *testing.T) {
	c := openNodes(t, 1, NodeOptions{})
	at := "/configuration/scheduler"
	for _, x := range []struct{ posted, announced, told string }{
		{`{"name":"JSQ","parameters":[],"named":{"d":3}}`, "JSQ(d=3, replacement=false)", `{"name":"JSQ","parameters":[],"named":{"d":3}}`},
		{`{"name":"JSQ","parameters":["4"],"named":{"d":3}}`, "JSQ(d=3, replacement=false)", `{"name":"JSQ","parameters":[],"named":{"d":3}}`},
		{`{"name":"PowerOfNScheduler","parameters":["9","9","true","9"],"named":{"fanout":2}}`, "PowerOfNScheduler(2, 2, false, 1)",
			`{"name":"PowerOfNScheduler","parameters":["2","2","false","1"],"named":{"fanout":2}}`},
		{`{"name":"RoundRobinWithMasterScheduler","named":{"master":"10.0.0.1"}}`, "RoundRobinWithMasterScheduler(false, ",
			`{"name":"RoundRobinWithMasterScheduler","parameters":["false","10.0.0.1","false"],"named":{"master":"10.0.0.1"}}`},
	} {
		if r := c.ask(0, "POST", at, x.posted); r.status != 200 {
			t.Errorf("%s: %d %s", x.posted, r.status, r.body)
			continue
		}
		if told := c.ask(0, "GET", at, "").body; told != x.told {
			t.Errorf("%s is told as %s, want %s", x.posted, told, x.told)
		}
		if r := c.ask(0, "POST", "/function/f", ""); !strings.HasPrefix(r.header.Get(wire.HeaderScheduler), x.announced) {
			t.Errorf("%s is announced as %s, want %s", x.posted, r.header.Get(wire.HeaderScheduler), x.announced)
		}
	}
	before := c.ask(0, "GET", at, "").body
	var f wire.Failure
	r := c.ask(0, "POST", at, `{"name":"JSQ","parameters":["3"]}`)
	if err := json.Unmarshal([]byte(r.body), &f); err != nil || r.status != 500 || f.Code != 1 ||
		f.Message != "Bad passed parameters for scheduler" || !strings.Contains(f.Reason, "give them by name: d, replacement") {
		t.Errorf("a list for JSQ: %d %s", r.status, r.body)
	}
	if after := c.ask(0, "GET", at, "").body; after != before {
		t.Errorf("a scheduler that was refused is told: %s", after)
	}
}

// A file is written whole, in the place of what was there, or nothing is left of the attempt.
func TestWriteWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, text := range []string{"long before", "now"} {
		if err := WriteWhole(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%q, %v; want %q", got, err, text)
		}
	}
	taken := filepath.Join(dir, "directory")
	if err := os.Mkdir(taken, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := WriteWhole(taken, nil); err == nil {
		t.Error("a directory is written over")
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.new")); err != nil || left != nil {
		t.Errorf("%s is left, %v", left, err)
	}
}
