package scenarios

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

const plain = `duration: 100s
cluster: {nodes: 4}
functions:
  - {name: f, service: {distribution: exponential, mean: 1s}}
  - {name: g, service: 2s}
workload: {rate: 1/s}
scheduler: {name: NoScheduler}
`

func parse(t testing.TB, text string) *File {
	t.Helper()
	f, err := Parse("test.yaml", []byte(text), fstest.MapFS{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func pointsOf(t testing.TB, f *File) []Point {
	t.Helper()
	ps, err := f.Points()
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

// values is the points' values, one line per point.
func values(ps []Point) string {
	var b strings.Builder
	for _, p := range ps {
		b.WriteString(strings.Join(p.Values, " ") + "\n")
	}
	return b.String()
}

func TestWithoutASweepThereIsOnePoint(t *testing.T) {
	f := parse(t, plain)
	ps := pointsOf(t, f)
	if len(ps) != 1 || len(f.Swept()) != 0 || len(ps[0].Values) != 0 || ps[0].Scenario.Name != "test" {
		t.Errorf("points %+v, swept %v", ps, f.Swept())
	}
}

func TestTheLastKeyChangesFastest(t *testing.T) {
	f := parse(t, plain+`
sweep:
  workload.rate: {from: 0.1/s, to: 0.3/s, step: 0.1/s}
  zip:
    cluster.slots: [1, 4]
    functions.f.service.mean: [1s, 250ms]
  cluster.queue: [unlimited, 0]
`)
	if got := strings.Join(f.Swept(), " "); got != "workload.rate cluster.slots functions.f.service.mean cluster.queue" {
		t.Errorf("swept are %s", got)
	}
	ps := pointsOf(t, f)
	want := `0.1/s 1 1s unlimited
0.1/s 1 1s 0
0.1/s 4 250ms unlimited
0.1/s 4 250ms 0
0.2/s 1 1s unlimited
0.2/s 1 1s 0
0.2/s 4 250ms unlimited
0.2/s 4 250ms 0
0.3/s 1 1s unlimited
0.3/s 1 1s 0
0.3/s 4 250ms unlimited
0.3/s 4 250ms 0
`
	if got := values(ps); got != want {
		t.Errorf("points are\n%s", got)
	}
	s := ps[6].Scenario
	g := s.Cluster.Groups[0]
	if ps[6].Index != 6 || s.Workload.Rate != 0.2 || g.Slots != 4 || g.Queue != Unlimited ||
		s.Functions[0].Service.Mean() != 0.25 {
		t.Errorf("point 6 is %+v", s)
	}
}

func TestRanges(t *testing.T) {
	for text, want := range map[string]string{
		"{from: 1, to: 1000, points: 4, scale: log}": "1 10 100 1000",
		"{from: 1, to: 4, points: 4}":                "1 2 3 4",
		"{from: 1, to: 10, step: 4}":                 "1 5 9",
		"[3, 1]":                                     "3 1",
	} {
		f := parse(t, plain+"\nsweep: {cluster.slots: "+text+"}\n")
		if got := strings.Join(strings.Fields(values(pointsOf(t, f))), " "); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
}

func TestSweptSchedulersAreToldApart(t *testing.T) {
	f := parse(t, strings.Replace(plain, "scheduler: {name: NoScheduler}\n", "", 1)+`
sweep:
  scheduler:
    - {name: NoScheduler}
    - {name: PowerOfNScheduler, fanout: 1, threshold: 2}
    - {name: PowerOfNScheduler, fanout: 1, threshold: 3, on_failure: next}
    - {name: PowerOfNScheduler, parameters: ["2", "2", "true", "1"]}
    - {name: JSQ}
`)
	ps := pointsOf(t, f)
	for i, want := range []string{"NoScheduler",
		"PowerOfNScheduler(fanout=1, threshold=2, loss=none, on_failure=execute)",
		"PowerOfNScheduler(fanout=1, threshold=3, loss=none, on_failure=next)",
		"PowerOfNScheduler(fanout=2, threshold=2, loss=announce, on_failure=execute)", "JSQ"} {
		if got := ps[i].Scenario.Scheduler.Label; got != want || ps[i].Values[0] != want {
			t.Errorf("scheduler %d is %q with the value %q, want %q", i, got, ps[i].Values[0], want)
		}
	}
	if fw := ps[2].Scenario.Scheduler.Forwarding; fw.OnFailure != core.FallbackNext || fw.MaxHops != 1 {
		t.Errorf("forwarding of point 2 is %+v", fw)
	}
	one, err := f.Select(ps, "scheduler="+ps[2].Values[0])
	if err != nil || len(one) != 1 || one[0].Index != 2 {
		t.Errorf("Select gave %v, %v", one, err)
	}
}

func TestASweptPartOfASweptBlock(t *testing.T) {
	f := parse(t, plain+`
sweep:
  scheduler.threshold: [1, 5]
  scheduler: [{name: PowerOfNScheduler}, {name: LLg}]
`)
	ps := pointsOf(t, f)
	if got := ps[3].Scenario.Scheduler.Spec.String(); len(ps) != 4 || !strings.HasPrefix(got, "LLg") ||
		!strings.Contains(got, "threshold=5") {
		t.Errorf("point 3 of %d has %s", len(ps), got)
	}
	_, err := Parse("test.yaml", []byte(plain+`
sweep:
  scheduler.threshold: [1, 5]
  scheduler: [{name: PowerOfNScheduler}, {name: NoScheduler}]
`), fstest.MapFS{})
	if err == nil || !strings.Contains(err.Error(), `scheduler has no key "threshold"`) {
		t.Errorf("NoScheduler has no threshold: %v", err)
	}
}

func TestSelect(t *testing.T) {
	f := parse(t, plain+"\nsweep:\n  workload.rate: [1/s, 2/s]\n  cluster.slots: [1, 2, 4]\n")
	ps := pointsOf(t, f)
	for expr, want := range map[string]string{
		"4":                                 "2/s 2\n",
		"workload.rate=2/s":                 "2/s 1\n2/s 2\n2/s 4\n",
		"cluster.slots=4,workload.rate=1/s": "1/s 4\n",
	} {
		got, err := f.Select(ps, expr)
		if err != nil || values(got) != want {
			t.Errorf("Select(%s) is %q, %v", expr, values(got), err)
		}
	}
	for expr, want := range map[string]string{
		"6":                 "from 0 to 5",
		"cluster.slot=4":    "did you mean cluster.slots?",
		"cluster.slots=3":   `cluster.slots has no value "3"`,
		"workload.rate":     "is not a swept key with a value",
		"workload.rate=2/m": "did you mean 2/s?",
	} {
		if _, err := f.Select(ps, expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Select(%s): %v, want %s", expr, err, want)
		}
	}
}

func TestSet(t *testing.T) {
	f := parse(t, plain+"\nsweep:\n  workload.rate: [1/s, 2/s]\n  zip: {cluster.slots: [1, 2], cluster.queue: [3, 4]}\n")
	for _, s := range [][2]string{
		{"cluster.nodes", "7"},
		{"cluster.topology", "{kind: ring}"},
		{"cluster.links.latency.mean", "5ms"}, // below a scalar that is not there
		{"functions.g.deadline", "1s"},
		{"functions.0.priority", "3"},
		{"workload.rate", "5/s"}, // no longer swept
		{"scheduler", "{name: PowerOfNScheduler}"},
		{"scheduler.threshold", "4"},
		{"sweep.seed", "[8, 9]"},
		{"sweep.cluster.slots", "[5, 6]"},
	} {
		if err := f.Set(s[0], s[1]); err != nil {
			t.Fatal(err)
		}
	}
	ps := pointsOf(t, f)
	if got := values(ps); got != "5 3 8\n5 3 9\n6 4 8\n6 4 9\n" {
		t.Errorf("points are\n%s", got)
	}
	s := ps[3].Scenario
	if s.Cluster.Nodes() != 7 || s.Cluster.Topology.Kind != "ring" || s.Cluster.Links.Default.Latency.Mean() != 0.005 ||
		s.Functions[1].Deadline != time.Second || s.Functions[0].Priority != 3 || s.Workload.Rate != 5 || s.Seed != 9 ||
		!strings.Contains(s.Scheduler.Spec.String(), "threshold=4") {
		t.Errorf("the scenario is %+v", s)
	}
}

func TestSetIsAsStrictAsTheFile(t *testing.T) {
	for _, c := range [][3]string{
		{"cluster.nods", "7", `--set cluster.nods=7: cluster has no key "nods": did you mean nodes?`},
		{"cluster.nodes", "4.5", "--set cluster.nodes=4.5: cluster.nodes: 4.5 is not a whole number: write 4 or 5"},
		{"cluster.nodes", "", "--set cluster.nodes=: there is no value: write KEY=VALUE"},
		{"workload.rate", "[1/s", "--set workload.rate=[1/s:1: not valid YAML"},
		{"functions.h.payload", "1kB", `functions has no entry "h": write one of f, g`},
		{"scheduler.threshold", "1", `scheduler has no key "threshold"`},
		{"sweep", "{scheduler: [{name: NoScheduler}, {name: NoSchedule}]}", `"NoSchedule" is not a scheduler: did you mean NoScheduler?`},
		{"sweep.scheduler", "[{name: NoScheduler}, {name: NoSchedule}]", `"NoSchedule" is not a scheduler: did you mean NoScheduler?`},
		{"sweep.cluster.slot", "[1]", `--set sweep.cluster.slot=[1]: sweep: cluster has no key "slot": did you mean slots?`},
		{"sweep.workload.rate", "[1/s, 2]", "workload.rate.per_node: 2 has no unit"},
	} {
		f := parse(t, plain)
		err := f.Set(c[0], c[1])
		if err == nil {
			_, err = f.Points()
		}
		if err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("Set(%s, %s): %v, want %s", c[0], c[1], err, c[2])
		}
	}
	f := parse(t, plain+"\nsweep:\n  scheduler: [{name: JSQ}, {name: NoScheduler}]\n")
	if err := f.Set("scheduler.d", "3"); err == nil || !strings.Contains(err.Error(), "scheduler is swept") {
		t.Errorf("setting a part of a swept block: %v", err)
	}
}

func TestSetDurationScalesTheWarmup(t *testing.T) {
	for _, c := range []struct {
		warmup string
		want   time.Duration
	}{{"warmup: 20s\n", 2 * time.Second}, {"warmup: 30%\n", 3 * time.Second}, {"", time.Second}} {
		f := parse(t, plain+c.warmup)
		if err := f.SetDuration(10 * time.Second); err != nil {
			t.Fatal(err)
		}
		if s := pointsOf(t, f)[0].Scenario; s.Duration != 10*time.Second || s.Warmup != c.want {
			t.Errorf("%q: duration %v, warm-up %v, want %v", c.warmup, s.Duration, s.Warmup, c.want)
		}
	}
}

// Reading a resolved scenario gives the same points, and resolving it again the same text.
func TestResolvedIsAFixedPoint(t *testing.T) {
	for _, name := range Library() {
		f, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		first := f.Resolved()
		g, err := Parse("resolved.yaml", first, library)
		if err != nil {
			t.Errorf("%s: the resolved scenario is refused: %v\n%s", name, err, first)
			continue
		}
		if second := g.Resolved(); !bytes.Equal(first, second) {
			t.Errorf("%s resolves to\n%s\nand that to\n%s", name, first, second)
		}
		a, b := pointsOf(t, f), pointsOf(t, g)
		for i := range a {
			x, y := a[i].Scenario, b[i].Scenario
			if x.Scheduler.Label != y.Scheduler.Label || x.Scheduler.Spec.String() != y.Scheduler.Spec.String() ||
				x.ExpectedTasks() != y.ExpectedTasks() || x.Warmup != y.Warmup || x.Name != y.Name {
				t.Errorf("%s: point %d is %+v, resolved and read again %+v", name, i, x, y)
			}
		}
	}
}

func TestResolvedHasTheDigestsOfDataFiles(t *testing.T) {
	f, err := Load("city-day")
	if err != nil {
		t.Fatal(err)
	}
	text := string(f.Resolved())
	if strings.Count(text, "sha256: ") != 1 {
		t.Fatalf("the digest of the curves is not in\n%s", text)
	}
	i := strings.Index(text, "sha256: ") + len("sha256: ")
	other := text[:i] + strings.Repeat("ab", 32) + text[i+64:]
	if _, err := Parse("x.yaml", []byte(other), library); err == nil ||
		!strings.Contains(err.Error(), "has another digest") {
		t.Errorf("with another digest: %v", err)
	}
}

// The points of a stored run may be some of a sweep: they are selected by their own indices.
func TestSelectPointsOfRun(t *testing.T) {
	points := []Point{{Index: 2, Values: []string{"2/s", "JSQ"}}, {Index: 3, Values: []string{"3/s", "JSQ"}}, {Index: 7, Values: []string{"3/s", "JIQ"}}}
	swept := []string{"workload.rate", "scheduler"}
	for expr, want := range map[string]string{"2": "2", "7": "7", "workload.rate=3/s": "3 7", "scheduler=JIQ,workload.rate=3/s": "7"} {
		var got []string
		found, err := SelectPoints(swept, points, expr)
		for _, p := range found {
			got = append(got, fmt.Sprint(p.Index))
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("--select %s: %v, %v, want %s", expr, got, err, want)
		}
	}
	for expr, says := range map[string]string{"0": "one of 2, 3, 7", "rate=3/s": "workload.rate", "scheduler=JSK": "JSQ",
		"scheduler=JIQ,workload.rate=2/s": "no point has all of these values"} {
		if _, err := SelectPoints(swept, points, expr); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("--select %s: %v", expr, err)
		}
	}
	if _, err := SelectPoints(swept, points[:2], "1"); err == nil || !strings.Contains(err.Error(), "a number from 2 to 3") {
		t.Error(err)
	}
}
