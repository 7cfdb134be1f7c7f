package cmd_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/scenarios"
)

// looping has a sweep, links and a warm-up that are nothing to a calibration.
const looping = `
name: looping
seed: 3
duration: 10s
cluster: {nodes: 2, slots: 1, queue: 1, links: {latency: 100ms, jitter: {distribution: exponential, mean: 1ms}}}
functions: [{name: work, service: {distribution: exponential, mean: 4ms}, payload: 1kB, backend: loop}]
workload: {rate: 8/s}
scheduler: {name: NoScheduler}
sweep:
  cluster.links.latency: [100ms, 200ms]
  scheduler: [{name: NoScheduler}, {name: JSQ, d: 1}]
`

// Nodes of a scenario are started, measured and ended: what comes out is plausible, within generous bounds, since the machine may
// be busy. One that is too busy for that has more time; and where it is too busy all the time, the command is to say each time that other programs
// spoil what it measures.
func TestCalibrate(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("looping.yaml", []byte(looping), 0o666); err != nil {
		t.Fatal(err)
	}
	told := 0
	patiently(t, func(slower int) error {
		said, err := calibrated(t, time.Duration(slower)*700*time.Millisecond)
		if err != nil && strings.Contains(said, "other programs kept") {
			if told++; told == 3 {
				return nil
			}
		}
		return err
	})
}

// calibrated measures in experiments of a duration, and returns what the command says, and what is not plausible.
func calibrated(t *testing.T, duration time.Duration) (said string, implausible error) {
	t.Helper()
	began := time.Now()
	status, out, said := p2pfaas(t, "calibrate", "looping.yaml", "--first-address", "127.78.1.1", "--requests", "205",
		"--duration", duration.String(), "--json", "--out", "new.yaml")
	if status != 0 {
		return said, fmt.Errorf("exit status %d: %s", status, said)
	}
	var c scenarios.Calibration
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		t.Fatal(err)
	}
	if m := c.Measured; m.Scenario != "looping" || m.Target != "local" || m.Seed != 9001 || m.Requests < 800 ||
		m.At.Before(began.Add(-time.Second)) || c.Cores != runtime.NumCPU() {
		t.Errorf("it was measured: %+v, on %d cores", m, c.Cores)
	}
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	for what, x := range map[string]scenarios.Cost{"client": c.Costs.Client, "probe": c.Costs.Probe, "return": c.Costs.Return,
		"call": c.Costs.Call} {
		if len(x.Time) != 100 || x.Time.Mean() <= 0 || x.Time[50] > 50*time.Millisecond { // if links held them, 100 ms at least
			wrong("%s: %d values with the mean %v and the median %v", what, len(x.Time), x.Time.Mean(), x.Time[50])
		}
	}
	work := c.Functions["work"]
	if work.Stretch < 0.9 || work.Stretch > 20 || len(work.Service) > 0 || len(work.Slowdown) != 4 {
		wrong("the function: %+v", work)
	}
	if runtime.GOOS == "linux" { // elsewhere the clocks of processes may be too coarse for so little
		if c.Costs.Client.CPU < 0 || c.Costs.Client.CPU > 20*time.Millisecond || c.Idle < 0 || c.Idle > 0.5 {
			wrong("processor time of a client's way is %v, of an idle node %v", c.Costs.Client.CPU, c.Idle)
		}
		demand := 4 * time.Millisecond
		computes := time.Duration(work.CPU*work.Stretch*float64(demand)) + work.Call.CPU
		if all := computes + c.Costs.Client.CPU; computes < demand*8/10 || all < demand || all > 5*demand {
			wrong("a function that computes for %v uses %v, and the client's way %v", demand, computes, c.Costs.Client.CPU)
		}
	}
	last := work.Slowdown[len(work.Slowdown)-1]
	// Beside other programs one by itself is slow already.
	if few := float64(last.AtOnce) / float64(c.Cores); few > 1.5 && !strings.Contains(said, "other programs kept") {
		if last.Model < 1+0.7*(few-1) {
			wrong("by the model %d at once on %d cores take %.2f times as long", last.AtOnce, c.Cores, last.Model)
		}
		if last.Factor < 1+0.4*(few-1) {
			wrong("%d at once on %d cores take %.2f times as long", last.AtOnce, c.Cores, last.Factor)
		}
	}
	if text, err := os.ReadFile("new.yaml"); err != nil || len(text) < 1000 {
		t.Errorf("the file has %d bytes, %v", len(text), err)
	}
	if left, err := filepath.Glob("new.yaml.*"); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	for _, words := range []string{"starting 2 nodes", "measuring idle nodes", "calibration: new.yaml"} {
		if !strings.Contains(said, words) {
			t.Errorf("it does not say %q but %s", words, said)
		}
	}
	return said, errors.Join(problems...)
}

// What cannot be is refused before anything starts.
func TestCalibrateRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("looping.yaml", []byte(looping), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--seed", "3"}, "--seed 3 is the scenario's own"},
		{[]string{"--requests", "100", "--nodes", "-1"}, "--requests 100: write 200 at least"},
		{[]string{"--requests", "100", "--nodes", "3"}, "--nodes 3: the scenario has 2"},
		{[]string{"--first-address", "10.0.0.1"}, "--first-address 10.0.0.1: write a loopback address"},
		{[]string{"--duration", "-1s"}, "--duration -1s"},
		{[]string{"--deployment", "mine"}, "there is no such deployment"},
		{[]string{"--deployment", "mine", "--first-address", "127.1.0.1"}, "--first-address is for fresh nodes"},
		{[]string{"--payload", "f=x"}, "--payload f=x: write FUNCTION=FILE"},
		{[]string{"--set", "functions.work.backend={kind: image, image: x}"}, "an image runs in a container"},
	} {
		status, _, said := p2pfaas(t, append([]string{"calibrate", "looping.yaml"}, c.args...)...)
		if status != 2 || !strings.Contains(said, c.says) || strings.Contains(said, "starting") {
			t.Errorf("%v: exit status %d: %s", c.args, status, said)
		}
	}
}
