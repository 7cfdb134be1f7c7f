package cmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/p2pfaas/p2pfaas/cmd"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// p2pfaas runs the command in a directory of its own.
func p2pfaas(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = cmd.Run(t.Context(), args, &out, &errs)
	return status, out.String(), errs.String()
}

const small = `
name: small
seed: 7
duration: 20s
warmup: 2s
replications: 3
cluster: {nodes: 4, slots: 2, queue: 2, links: {latency: 2ms}}
functions:
  - {name: f, service: {distribution: exponential, mean: 200ms}}
workload: {rate: 8/s}
scheduler: {name: NoScheduler}
sweep:
  scheduler:
    - {name: NoScheduler}
    - {name: PowerOfNScheduler, fanout: 1, threshold: 2}
`

// workspace makes a directory with the small scenario and goes there.
func workspace(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("small.yaml", []byte(small), 0o644); err != nil {
		t.Fatal(err)
	}
}

var digest = regexp.MustCompile(`digest ([0-9a-f]{16})`)

func digestOf(t *testing.T, stderr string) string {
	t.Helper()
	m := digest.FindStringSubmatch(stderr)
	if m == nil {
		t.Fatalf("no digest in %q", stderr)
	}
	return m[1]
}

func TestSim(t *testing.T) {
	workspace(t)
	status, out, errs := p2pfaas(t, "sim", "small.yaml", "--out", "run")
	if status != 0 {
		t.Fatalf("status %d: %s", status, errs)
	}
	for _, want := range []string{"PowerOfNScheduler", "latency.mean", "drop_rate", "±"} {
		if !strings.Contains(out, want) {
			t.Errorf("the table has no %q:\n%s", want, out)
		}
	}
	if strings.ContainsAny(out+errs, "\x1b\r") {
		t.Errorf("colours or a progress bar in what is no terminal:\n%q\n%q", out, errs)
	}
	for _, file := range []string{"report.html", "run.json", "summary.csv", "requests.parquet", "scenario.yaml", "plots"} {
		if _, err := os.Stat(filepath.Join("run", file)); err != nil {
			t.Error(err)
		}
	}
	first := digestOf(t, errs)
	if _, _, errs = p2pfaas(t, "sim", "small.yaml", "--out", "again", "--workers", "1", "--records", "none"); digestOf(t, errs) != first {
		t.Errorf("another digest on one core: %s", errs)
	}
	if _, _, errs = p2pfaas(t, "sim", "small.yaml", "--out", "other", "--seed", "8"); digestOf(t, errs) == first {
		t.Error("the same digest with another seed")
	}
	if status, _, errs = p2pfaas(t, "sim", "small.yaml", "--out", "run"); status != 2 {
		t.Errorf("a second run into the same directory: status %d, %s", status, errs)
	}
	status, out, errs = p2pfaas(t, "report", "run", "other")
	if status != 0 || !strings.Contains(out, "latency.mean") {
		t.Errorf("comparison: status %d, %s\n%s", status, errs, out)
	}
	status, out, errs = p2pfaas(t, "plot", "run", "--x", "scheduler", "--y", "latency.mean", "--out", "f.svg")
	if status != 0 || !strings.Contains(out, "f.svg") {
		t.Errorf("plot: status %d, %s\n%s", status, errs, out)
	}
}

func TestSimJSON(t *testing.T) {
	workspace(t)
	status, out, errs := p2pfaas(t, "sim", "small.yaml", "--json", "--select", "1", "--duration", "10s")
	if status != 0 {
		t.Fatalf("status %d: %s", status, errs)
	}
	var v struct {
		Name   string
		Points []struct{ Scheduler string }
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatal(err)
	}
	if v.Name != "small" || len(v.Points) != 1 || v.Points[0].Scheduler != "PowerOfNScheduler" {
		t.Errorf("got %+v", v)
	}
	if runs, _ := filepath.Glob("runs/small-*/report.html"); len(runs) != 1 {
		t.Errorf("the default directory: %v", runs)
	}
}

func TestSimTrace(t *testing.T) {
	workspace(t)
	args := []string{"sim", "small.yaml", "--select", "1", "--duration", "5s", "--trace", "trace.txt", "--out"}
	if status, _, errs := p2pfaas(t, append(args, "a")...); status != 0 {
		t.Fatal(errs)
	}
	first, err := os.ReadFile("trace.txt")
	if err != nil {
		t.Fatal(err)
	}
	if status, _, errs := p2pfaas(t, append(args, "b")...); status != 0 {
		t.Fatal(errs)
	}
	second, _ := os.ReadFile("trace.txt")
	if len(first) == 0 || !bytes.Equal(first, second) {
		t.Error("the same seed gives another trace, or none")
	}
	for _, want := range []string{"arrive", "decide", "probe to", "forward to", "execute", "done"} {
		if !bytes.Contains(first, []byte(want)) {
			t.Errorf("no %q in the trace", want)
		}
	}
}

// An interrupted run leaves a readable directory; --resume completes it to what it would have been.
func TestInterruptAndResume(t *testing.T) {
	workspace(t)
	_, _, errs := p2pfaas(t, "sim", "small.yaml", "--out", "whole")
	want := digestOf(t, errs)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, notes bytes.Buffer
	if status := cmd.Run(ctx, []string{"sim", "small.yaml", "--out", "part"}, &out, &notes); status != 130 {
		t.Fatalf("status %d: %s", status, notes.String())
	}
	if !strings.Contains(notes.String(), "--resume") {
		t.Errorf("no word of --resume: %s", notes.String())
	}
	if status, table, errs := p2pfaas(t, "report", "part"); status != 0 || !strings.Contains(table, "missing") {
		t.Errorf("report of an interrupted run: %d, %s\n%s", status, errs, table)
	}
	status, _, errs := p2pfaas(t, "sim", "small.yaml", "--out", "part", "--resume")
	if status != 0 || digestOf(t, errs) != want {
		t.Errorf("resumed: status %d, want digest %s: %s", status, want, errs)
	}
	a, _ := os.ReadFile("whole/summary.csv")
	b, _ := os.ReadFile("part/summary.csv")
	if len(a) == 0 || !bytes.Equal(a, b) {
		t.Error("the resumed run has another summary")
	}
	before, _ := os.ReadFile("part/run.json")
	status, table, errs := p2pfaas(t, "sim", "small.yaml", "--out", "part", "--resume")
	if !strings.Contains(errs, "6 of them done earlier") || strings.Contains(errs, "requests/s") {
		t.Errorf("nothing was left to simulate: %s", errs)
	}
	if after, _ := os.ReadFile("part/run.json"); status != 0 || table == "" || !bytes.Equal(before, after) {
		t.Errorf("a complete run, resumed: status %d, %s", status, errs)
	}
}

// The scenario says which requests are recorded, and the flag overrides it.
func TestRecordsOfScenario(t *testing.T) {
	workspace(t)
	for dir, c := range map[string]struct {
		args    []string
		records bool
	}{"none": {[]string{"--set", "records=none"}, false}, "all": {[]string{"--set", "records=none", "--records", "all"}, true}} {
		if status, _, errs := p2pfaas(t, append([]string{"sim", "small.yaml", "--out", dir}, c.args...)...); status != 0 {
			t.Fatal(errs)
		}
		if _, err := os.Stat(dir + "/requests.parquet"); (err == nil) != c.records {
			t.Errorf("%v: %v", c.args, err)
		}
	}
}

// What a point has learned is under the index that it has in the sweep, as its records are.
func TestWeightsOfSelectedPoint(t *testing.T) {
	workspace(t)
	if status, _, errs := p2pfaas(t, "sim", "small.yaml", "--select", "1", "--duration", "5s", "--replications", "1", "--out", "learned",
		"--set", "sweep={scheduler: [{name: NoScheduler}, {name: LearningScheduler, state: [load], actions: [local, reject]}]}",
		"--set", "learner={algorithm: sarsa}"); status != 0 {
		t.Fatal(errs)
	}
	if points, err := filepath.Glob("learned/learner/*"); err != nil || len(points) != 1 || filepath.Base(points[0]) != "point-1" {
		t.Errorf("%v, %v", points, err)
	}
}

// Two runs are compared in pairs where they faced the same requests, whatever else they differ in.
func TestCompareTwoRuns(t *testing.T) {
	workspace(t)
	for dir, set := range map[string]string{"a": "cluster.slots=2", "b": "cluster.slots=3", "c": "workload.rate=9/s"} {
		if status, _, errs := p2pfaas(t, "sim", "small.yaml", "--format", "csv", "--set", set, "--out", dir); status != 0 {
			t.Fatal(errs)
		}
		if _, err := os.Stat(dir + "/requests.csv"); err != nil {
			t.Error(err)
		}
	}
	for other, want := range map[string]string{"b": "both runs faced the same requests", "c": "different requests"} {
		if status, out, errs := p2pfaas(t, "report", "a", other); status != 0 || !strings.Contains(out, want) {
			t.Errorf("a and %s: status %d, %s%s", other, status, out, errs)
		}
	}
	for _, args := range [][]string{{"a"}, {"a", "b"}} {
		status, _, errs := p2pfaas(t, append([]string{"report", "--metrics", "latency.maen"}, args...)...)
		if status != 2 || !strings.Contains(errs, "latency.mean") {
			t.Errorf("report %v of an unknown metric: status %d, %s", args, status, errs)
		}
	}
}

// Whoever asks for a percentile that the replications do not have is told so, and nobody else.
func TestSparsePercentiles(t *testing.T) {
	workspace(t)
	if status, _, errs := p2pfaas(t, "sim", "small.yaml", "--out", "a"); status != 0 {
		t.Fatal(errs)
	}
	for _, args := range []string{"report a --metrics", "report a a --metrics", "plot a --y"} {
		for metric, warned := range map[string]bool{"latency.p99.9": true, "latency.mean": false} {
			status, _, errs := p2pfaas(t, append(strings.Fields(args), metric)...)
			if status != 0 || strings.Contains(errs, "are beyond latency.p99.9 (") != warned {
				t.Errorf("%s %s: status %d, %s", args, metric, status, errs)
			}
		}
	}
}

// Of one replication each there is a difference, and no interval; scripts get lists where there is nothing to list.
func TestCompareWithoutInterval(t *testing.T) {
	workspace(t)
	for dir, slots := range map[string]string{"a": "2", "b": "3"} {
		if status, _, errs := p2pfaas(t, "sim", "small.yaml", "--select", "0", "--replications", "1", "--duration", "5s",
			"--set", "cluster.slots="+slots, "--out", dir); status != 0 {
			t.Fatal(errs)
		}
	}
	status, out, errs := p2pfaas(t, "report", "a", "b")
	if status != 0 || strings.Contains(out, "NaN") || !strings.Contains(out, "at least two replications") {
		t.Errorf("status %d, %s\n%s", status, errs, out)
	}
	if _, out, _ = p2pfaas(t, "report", "a", "b", "--json"); !strings.Contains(out, `"unmatched": []`) {
		t.Errorf("JSON: %s", out)
	}
}

// broken takes nothing: a full disk.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// Output that is lost is not passed over.
func TestBrokenOutput(t *testing.T) {
	workspace(t)
	for _, args := range [][]string{{"sim", "small.yaml", "--out", "run"}, {"report", "run"}, {"report", "run", "run"}, {"schedulers"},
		{"schedulers", "JSQ"}, {"scenario", "list"}, {"scenario", "check", "small.yaml"}, {"validate", "--fast", "--select", "MM1-P005"}} {
		var notes bytes.Buffer
		if status := cmd.Run(t.Context(), args, broken{}, &notes); status != 1 {
			t.Errorf("%v: status %d, %s", args, status, notes.String())
		}
	}
}

// What is wrong with a command line is said in one line, with status 2, and nothing is written.
func TestBadInput(t *testing.T) {
	workspace(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"simm"}, "did you mean"},
		{[]string{"nod"}, `did you mean "p2pfaas node"?`},
		{[]string{"sim"}, "one scenario"},
		{[]string{"sim", "small.yaml", "--fo"}, "--help"},
		{[]string{"sim", "nowhere.yaml"}, "lambda-sweep"},
		{[]string{"sim", "small.yaml", "--set", "workload.rat=5/s"}, "did you mean"},
		{[]string{"sim", "small.yaml", "--set", "nothing"}, "KEY=VALUE"},
		{[]string{"sim", "small.yaml", "--select", "7"}, "from 0 to 1"},
		{[]string{"sim", "small.yaml", "--records", "some"}, "none, sample, all or auto"},
		{[]string{"sim", "small.yaml", "--format", "xml"}, "parquet or csv"},
		{[]string{"sim", "small.yaml", "--trace", "-"}, "--select"},
		{[]string{"sim", "small.yaml", "--resume"}, "--out"},
		{[]string{"sim", "small.yaml", "--workers", "0"}, "at least one"},
		{[]string{"sim", "small.yaml", "--seed", "x"}, "seed"},
		{[]string{"sim", "small.yaml", "--duration", "-5s"}, "duration"},
		{[]string{"schedulers", "PowerOfN"}, "PowerOfNScheduler"},
		{[]string{"scenario", "check", "nowhere.yaml"}, "nowhere.yaml"},
		{[]string{"scenario", "check", "nowhere.yaml", "quickstart", "nobody.yaml"}, "mistakes in nowhere.yaml, nobody.yaml"},
		{[]string{"report", "."}, "run.json"},
		{[]string{"plot", "."}, "run.json"},
	} {
		status, _, errs := p2pfaas(t, c.args...)
		if status != 2 || !strings.Contains(errs, c.want) {
			t.Errorf("%v: status %d, want 2 and %q in:\n%s", c.args, status, c.want, errs)
		}
	}
	if entries, _ := os.ReadDir("."); len(entries) != 1 {
		t.Errorf("bad input left files behind: %v", entries)
	}
}

func TestScenarioCommands(t *testing.T) {
	workspace(t)
	for _, name := range scenarios.Library() {
		if status, _, errs := p2pfaas(t, "scenario", "check", name); status != 0 {
			t.Errorf("%s: %s", name, errs)
		}
	}
	_, shown, _ := p2pfaas(t, "scenario", "show", "small.yaml")
	if err := os.WriteFile("shown.yaml", []byte(shown), 0o644); err != nil {
		t.Fatal(err)
	}
	if status, out, errs := p2pfaas(t, "scenario", "check", "shown.yaml"); status != 0 {
		t.Errorf("what show prints is no scenario: %s%s", out, errs)
	}
	if _, out, _ := p2pfaas(t, "scenario", "schema"); !json.Valid([]byte(out)) {
		t.Error("the schema is no JSON")
	}
}

// The metrics of a stopping rule are those of a summary, but for what grows with the length of the run.
func TestMetricsOfStoppingRule(t *testing.T) {
	grow := []string{"requests", "completed", "latency.max", "waiting.max"}
	var want []string
	for _, d := range results.Definitions {
		if !slices.Contains(grow, d.Name) {
			want = append(want, d.Name)
		}
	}
	if !slices.Equal(scenarios.Metrics, want) {
		t.Errorf("a stopping rule may have %v, a summary has %v", scenarios.Metrics, want)
	}
}

// A value of one's own is judged like those of the program; what cannot be planned is the user's mistake.
func TestValidate(t *testing.T) {
	cases := filepath.Join(t.TempDir(), "own.csv")
	text := "case_id,table,model,params,metric,value,kind,source\n" +
		"MINE-1,MM1,M/M/1,lam=0.3;mu=1,T,%s,closed,1/(mu-lam)\n"
	for value, want := range map[string]int{"1.428571": 0, "1.6": 1} {
		if err := os.WriteFile(cases, []byte(strings.Replace(text, "%s", value, 1)), 0o666); err != nil {
			t.Fatal(err)
		}
		status, out, errs := p2pfaas(t, "validate", "--values", cases, "--fast")
		if status != want || !strings.Contains(out, "MINE-1") {
			t.Errorf("T = %s: status %d, %s%s", value, status, out, errs)
		}
	}
	for _, args := range [][]string{{"--select", "NOTHING"}, {"--select", "MM1,NOTHING"}, {"--workers", "0"},
		{"--values", "/nowhere.csv"}} {
		if status, _, errs := p2pfaas(t, append([]string{"validate"}, args...)...); status != 2 || errs == "" {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
}

func TestInterruptedValidation(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, notes bytes.Buffer
	if status := cmd.Run(ctx, []string{"validate", "--select", "MM1-P005"}, &out, &notes); status != 130 || out.Len() > 0 {
		t.Errorf("status %d: %s%s", status, out.String(), notes.String())
	}
}

// The shell offers scenarios, algorithms and the values of flags.
func TestCompletion(t *testing.T) {
	for want, args := range map[string][]string{
		"lambda-sweep": {"sim", "lam"}, "PowerOfNScheduler": {"schedulers", "Pow"}, "parquet": {"sim", "--format", ""},
	} {
		if status, out, errs := p2pfaas(t, append([]string{"__complete"}, args...)...); status != 0 || !strings.Contains(out, want) {
			t.Errorf("%v: status %d, %s%s", args, status, out, errs)
		}
	}
}

// A learner in Python takes part in a simulation, which does the same again.
func TestExternalLearner(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 on this machine")
	}
	file := filepath.Join(t.TempDir(), "external.yaml")
	run := func() (digest string) {
		c := exec.Command(python, "../docs/external-learner/learner.py", "--port", "0", "--train-port", "0", "--actions", "3")
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Process.Kill(); _ = c.Wait() }()
		var act, train string
		if _, err := fmt.Fscan(out, &act, &train); err != nil {
			t.Fatal(err)
		}
		scenario := fmt.Sprintf(`
duration: 20s
replications: 1
cluster: {nodes: 1, slots: 2, queue: 2}
functions: [{name: f, service: {distribution: exponential, mean: 100ms}, deadline: 200ms}]
workload: {arrivals: poisson, rate: 20/s}
learner: {external: {act: %q, train: %q}, inference: 2ms, entries: {batch: 4, delay: 10ms}}
scheduler: {name: LearningScheduler, actions: [reject, local, probe]}
`, act, train)
		if err := os.WriteFile(file, []byte(scenario), 0o600); err != nil {
			t.Fatal(err)
		}
		status, stdout, stderr := p2pfaas(t, "sim", file, "--out", filepath.Join(t.TempDir(), "run"))
		if status != 0 {
			t.Fatalf("status %d: %s", status, stderr)
		}
		_, digest, _ = strings.Cut(stdout+stderr, "digest ")
		digest, _, _ = strings.Cut(digest, "\n")
		return digest
	}
	first, second := run(), run()
	if first == "" || first != second {
		t.Errorf("the digests are %q and %q", first, second)
	}
	status, _, stderr := p2pfaas(t, "sim", file, "--out", filepath.Join(t.TempDir(), "run")) // it is gone by now
	if status == 0 || !strings.Contains(stderr, "does not answer") {
		t.Errorf("without a learner: status %d, %s", status, stderr)
	}
}
