package cmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/cmd"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/results/compare"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

// fourNodes is busy enough for a slot less to be seen, and short.
const fourNodes = `
name: four
duration: 9s
warmup: 1s
replications: 1
records: all
cluster: {nodes: 4, slots: 3, queue: 3, links: {latency: 10ms}}
functions: [{name: work, service: {distribution: exponential, mean: 100ms}, payload: 1kB}]
workload: {rate: 22/s}
scheduler: {name: PowerOfNScheduler, fanout: 1, threshold: 1}
`

// compared runs the command and returns what it wrote.
func compared(t *testing.T, out string, args ...string) (status int, c *compare.Comparison, table string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = cmd.Run(context.Background(), append([]string{"compare", "--out", out}, args...), &stdout, &stderr)
	text, err := os.ReadFile(filepath.Join(out, "compare.json"))
	if err != nil {
		t.Fatalf("compare %v: exit status %d: %s", args, status, stderr.String())
	}
	c = &compare.Comparison{}
	if err := json.Unmarshal(text, c); err != nil {
		t.Fatal(err)
	}
	return status, c, stdout.String()
}

// One scenario in both worlds: calibrated before, on other requests; then the simulation made wrong in one thing at a time, which
// the report finds and names. A machine that is too busy for that scenario has a slower one.
func TestCompare(t *testing.T) {
	patiently(t, func(slower int) error { return bothWorlds(t, slower) })
}

// bothWorlds returns what was not found, and could not be where the machine was too busy.
func bothWorlds(t *testing.T, slower int) error {
	t.Helper()
	dir := t.TempDir()
	scenario := filepath.Join(dir, "four.yaml")
	if err := os.WriteFile(scenario, []byte(scenariotest.Slower(fourNodes, slower)), 0o666); err != nil {
		t.Fatal(err)
	}
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	first, calibration := filepath.Join(dir, "first"), filepath.Join(dir, "quick.yaml")
	var said bytes.Buffer
	if status := cmd.Run(context.Background(), []string{"calibrate", scenario, "--first-address", "127.83.1.1", "--requests", "205",
		"--duration", fmt.Sprintf("%ds", slower), "--out", calibration}, &said, &said); status != 0 {
		return errors.New(said.String())
	}
	before, err := os.ReadFile(calibration)
	if err != nil {
		t.Fatal(err)
	}
	_, c, table := compared(t, first, scenario, "--first-address", "127.83.1.1", "--record", "--calibration", calibration)
	if len(c.Points) != 1 || !c.Points[0].Paired {
		t.Fatalf("the point is not paired: %+v", c.Points)
	}
	if c.Points[0].Common < 500 {
		return fmt.Errorf("%d requests completed in both worlds", c.Points[0].Common)
	}
	if !strings.Contains(table, "p95") {
		t.Errorf("the table is %q", table)
	}
	if len(c.Replays) != 4 || slices.ContainsFunc(c.Replays, func(r compare.Replay) bool { return !r.Equal || r.Verdicts < 100 }) {
		t.Errorf("the recorded nodes: %+v", c.Replays)
	}
	for _, file := range []string{"report.html", "compare.md", "calibration.yaml", "real/report.html", "sim/report.html"} {
		if info, err := os.Stat(filepath.Join(first, file)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", file, err)
		}
	}
	independent(t, first)
	if simulated, err := os.ReadFile(filepath.Join(first, "scenario", "scenario.yaml")); err != nil || !strings.Contains(string(simulated), "timeout: 60s") {
		t.Errorf("simulated clients do not give up as real ones do: %v: %s", err, simulated)
	}
	if after, err := os.ReadFile(calibration); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the comparison has changed the calibration: %v", err)
	}

	t.Run("a run that is not of these requests", func(t *testing.T) {
		for want, args := range map[string][]string{
			"is a simulation: write p2pfaas compare": {"--real", filepath.Join(first, "sim")},
			"and the scenario has 4":                 {"--real", filepath.Join(first, "real"), "--seed", "4"},
			"--payload is for real nodes":            {"--real", filepath.Join(first, "real"), "--calibration", calibration, "--payload", "work=nowhere"},
		} {
			var said bytes.Buffer
			args = append([]string{"compare", scenario, "--out", filepath.Join(dir, "refused")}, args...)
			if status := cmd.Run(context.Background(), args, &said, &said); status != 2 || !strings.Contains(said.String(), want) {
				t.Errorf("%v: exit status %d: %s", args, status, said.String())
			}
		}
	})
	t.Run("one point of a run", func(t *testing.T) {
		two := filepath.Join(dir, "two")
		sweep := []string{"--set", "sweep={scheduler: [{name: NoScheduler}, {name: Random}]}", "--set", "duration=2s"}
		var said bytes.Buffer
		if status := cmd.Run(context.Background(), append([]string{"run", scenario, "--first-address", "127.83.1.1", "--records", "all", "--out", two},
			sweep...), &said, &said); status != 0 {
			t.Fatal(said.String())
		}
		args := append([]string{scenario, "--real", two, "--calibration", calibration, "--select", "1", "--margin", "mean=100000%"}, sweep...)
		if status, c, _ := compared(t, filepath.Join(dir, "one-of-two"), args...); status != 0 || len(c.Points) != 1 || len(c.Unmatched) != 0 {
			t.Errorf("exit status %d, %d points, unmatched %q", status, len(c.Points), c.Unmatched)
		}
	})
	t.Run("a calibration that may know the run", func(t *testing.T) {
		late := filepath.Join(dir, "late.yaml")
		changed(t, calibration, late, func(k *scenarios.Calibration) { k.Measured.At = time.Now().UTC().Add(time.Hour).Round(0) })
		for want, args := range map[string][]string{
			"so that it may have met the same requests": {"--seed", "9001", "--calibration", calibration},
			"a prediction needs one from before that":   {"--real", filepath.Join(first, "real"), "--calibration", late},
		} {
			var said bytes.Buffer
			args = append([]string{"compare", scenario, "--out", filepath.Join(dir, "refused")}, args...)
			if status := cmd.Run(context.Background(), args, &said, &said); status != 2 || !strings.Contains(said.String(), want) {
				t.Errorf("%v: exit status %d: %s", args, status, said.String())
			}
		}
	})
	changed(t, filepath.Join(first, "calibration.yaml"), filepath.Join(first, "wrong.yaml"), func(k *scenarios.Calibration) {
		for name, f := range k.Functions {
			f.Stretch *= 1.2
			k.Functions[name] = f
		}
	})
	for name, wrongly := range map[string]struct {
		set       string
		component string
		says      string
	}{
		"service time": {"calibration=../wrong.yaml", "service-time", "work"},
		// Other demands: the requests are not the same any more.
		"demand":     {fmt.Sprintf("functions.work.service.mean=%dms", 120*slower), "service-time", "work"},
		"link delay": {"cluster.links.latency=0s", "link", ""},
		"slots":      {"cluster.slots=2", "slots", "3"},
	} {
		model := filepath.Join(first, "scenario", "scenario.yaml")
		sim, out := filepath.Join(dir, name+"-sim"), filepath.Join(dir, name)
		var said bytes.Buffer
		if status := cmd.Run(context.Background(), []string{"sim", model, "--set", wrongly.set, "--out", sim}, &said, &said); status != 0 {
			t.Fatal(said.String())
		}
		_, c, _ := compared(t, out, filepath.Join(first, "real"), sim)
		p := &c.Points[0]
		if len(p.Causes) == 0 || p.Causes[0].Component != wrongly.component {
			wrong("with %s the causes are %+v", wrongly.set, p.Causes)
			continue
		}
		if !strings.Contains(p.Causes[0].Says, wrongly.says) {
			t.Errorf("the cause is %q, without %q", p.Causes[0].Says, wrongly.says)
		}
		// Put right, most of the gap is gone.
		i := slices.IndexFunc(p.Causes[0].Explains, func(e compare.Explained) bool { return e.Metric == "latency.mean" })
		if i < 0 {
			t.Fatalf("%s: the cause was not put right", name)
		}
		if e := p.Causes[0].Explains[i]; math.Abs(e.After) > 0.5*math.Abs(e.Before) {
			wrong("%s: put right, %v s of the gap of %v s are left", name, e.After, e.Before)
		}
		page, err := os.ReadFile(filepath.Join(out, "compare.md"))
		words := strings.NewReplacer(" in A", " in reality", " in B", " in simulation").Replace(p.Causes[0].Says[1:]) // it begins a sentence
		if err != nil || !strings.Contains(string(page), words) {
			t.Errorf("the summary does not name the cause: %v: %s", err, page)
		}
	}
	for margin, want := range map[string]int{"mean=100000%": 0, "mean=0.0001%": 1} {
		out := filepath.Join(dir, "margin"+margin)
		if status, _, _ := compared(t, out, filepath.Join(first, "real"), filepath.Join(first, "sim"), "--margin", margin); status != want {
			t.Errorf("--margin %s: exit status %d, want %d", margin, status, want)
		}
	}
	return errors.Join(problems...)
}

// changed writes a calibration that is otherwise in something.
func changed(t *testing.T, from, to string, change func(*scenarios.Calibration)) {
	t.Helper()
	k, err := scenarios.ReadCalibration(from)
	if err != nil {
		t.Fatal(err)
	}
	change(k)
	file, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(k.Write(file), file.Close()); err != nil {
		t.Fatal(err)
	}
}

// independent checks that the calibration in a comparison's directory knows nothing of the run that it is compared with: it was
// over before that began, with another seed, and is the file that the simulation has read.
func independent(t *testing.T, dir string) {
	t.Helper()
	k, err := scenarios.ReadCalibration(filepath.Join(dir, "calibration.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	run, err := results.Open(filepath.Join(dir, "real"))
	if err != nil {
		t.Fatal(err)
	}
	if k.Measured.At.After(run.Started) {
		t.Errorf("the calibration is of %v, the run of %v", k.Measured.At, run.Started)
	}
	if k.Measured.Seed == run.Seed {
		t.Errorf("both have the seed %d", run.Seed)
	}
}

// Runs with unlike numbers of replications are compared in those that both have, and so is what is left when a cause is put right.
func TestCompareUnlikeReplications(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("four.yaml", []byte(fourNodes), 0o666); err != nil {
		t.Fatal(err)
	}
	for dir, with := range map[string][]string{"a": {"--replications", "2", "--set", "functions.work.service.mean=120ms"}, "b": {"--replications", "4"},
		"c": {"--replications", "3", "--set", "cluster.slots=2"}} {
		if status, _, errs := p2pfaas(t, slices.Concat([]string{"sim", "four.yaml", "--out", dir}, with)...); status != 0 {
			t.Fatal(errs)
		}
	}
	_, c, _ := compared(t, "ab", "a", "b")
	p := &c.Points[0]
	if !p.Paired || !slices.Equal(p.Replications, []int{0, 1}) || len(p.Causes) == 0 || p.Causes[0].Component != "service-time" {
		t.Fatalf("replications %v, notes %q, causes %+v", p.Replications, p.Notes, p.Causes)
	}
	for _, e := range p.Causes[0].Explains {
		if math.Abs(e.After) > 0.01*math.Abs(e.Before) {
			t.Errorf("put right, %v of the gap of %v in %s is left: it explains all of it", e.After, e.Before, e.Metric)
		}
	}
	status, out, errs := p2pfaas(t, "report", "b", "c")
	if want := "PowerOfNScheduler: A and B - A are of the 3 replications that both runs have, with a value in both: A has 4, B has 3\n"; status != 0 || strings.Count(out, want) != 1 {
		t.Errorf("status %d, %s%s; want %q once", status, errs, out, want)
	}
}
