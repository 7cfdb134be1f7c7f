package cmd_test

import (
	"os"
	"strings"
	"testing"
)

func TestSwarm(t *testing.T) {
	t.Chdir(t.TempDir())
	status, out, errs := p2pfaas(t, "swarm", "--seeds", "40-49")
	if status != 0 || !strings.Contains(out, "10 seeds: every invariant holds") || !strings.Contains(errs, "seeds/s") {
		t.Errorf("status %d\n%s\n%s", status, out, errs)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--seeds", "9-3"}, "write 17, or 1-1000"},
		{[]string{"--seeds", "-1"}, "write 17, or 1-1000"},
		{[]string{"--seeds", "1", "--workers", "0"}, "--workers 0"},
		{[]string{"--seeds", "1", "--events", "0"}, "--events 0"},
		{[]string{"--draw", "x"}, "is no seed"},
		{[]string{"--replay", "nothing.yaml"}, "no such file"},
		{[]string{"--replay", "lambda-sweep"}, "wants one point"},
		{[]string{"--replay", "quickstart", "--seeds", "1"}, "wants one of"},
		{[]string{"--draw", "7", "--events", "5"}, "--events says nothing to --draw"},
		{[]string{"--draw", "7", "--out", "x"}, "--out says nothing to --draw"},
		{[]string{"--draw", "7", "--workers", "2"}, "--workers says nothing to --draw"},
		{[]string{"--replay", "quickstart", "--out", "x"}, "--out says nothing to --replay"},
		{[]string{"--replay", "quickstart", "--workers", "2"}, "--workers says nothing to --replay"},
		{nil, "wants one of"},
	} {
		if status, _, errs := p2pfaas(t, append([]string{"swarm"}, c.args...)...); status != 2 || !strings.Contains(errs, c.says) {
			t.Errorf("%v: status %d, %s; want %q", c.args, status, errs, c.says)
		}
	}
}

// TestSwarmScenario: what a seed draws is a scenario like any other, and can be watched by itself.
func TestSwarmScenario(t *testing.T) {
	t.Chdir(t.TempDir())
	status, drawn, errs := p2pfaas(t, "swarm", "--draw", "7")
	if status != 0 {
		t.Fatal(errs)
	}
	if err := os.WriteFile("seven.yaml", []byte(drawn), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := p2pfaas(t, "sim", "seven.yaml", "--out", "run"); status != 0 {
		t.Errorf("sim: status %d, %s", status, errs)
	}
	status, out, errs := p2pfaas(t, "swarm", "--replay", "seven.yaml", "--events", "5")
	if lines := strings.Count(out, "\n"); status != 0 || lines != 6 || !strings.Contains(out, "every invariant holds") {
		t.Errorf("replay: status %d, %d lines, %s%s", status, lines, out, errs)
	}
	if status, out, errs = p2pfaas(t, "swarm", "--replay", infinite(t), "--events", "5"); status != 1 || !strings.Contains(errs, "in replication 2: ") || !strings.Contains(out, " done ") {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
}

// infinite writes a scenario of which the replications with requests end with an error, since its rewards are infinite: the third is the first of these.
func infinite(t *testing.T) (path string) {
	t.Helper()
	const text = `
seed: 3
duration: 2s
replications: 5
cluster: {nodes: 2}
functions: [{name: f, service: 100ms}]
workload: {rate: 0.1/s}
scheduler: {name: LearningScheduler}
learner: {reward: {kind: formula, formula: "1 / (hops - hops)"}}
`
	if err := os.WriteFile("infinite.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "infinite.yaml"
}
