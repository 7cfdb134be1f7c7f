package cmd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/cmd"
	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

// campaign is the library's in short: four nodes, and a fault of each kind at given times.
const campaign = `
name: campaign
duration: 14s
warmup: 1s
replications: 1
cluster: {nodes: 4, slots: 4, queue: 8, links: {latency: 2ms}}
functions: [{name: f, service: {distribution: exponential, mean: 50ms}, payload: 1kB, backend: sleep}]
workload: {rate: 8/s}
client: {timeout: 1500ms}
scheduler: {name: LearningScheduler, fallback: probe, probe_timeout: 200ms, answer_timeout: 1s}
learner: {}
faults:
  - {kind: crash, nodes: [1], at: 2s, for: 2s}
  - {kind: pause, nodes: [2], at: 3s, for: 2s}
  - {kind: partition, nodes: [0], at: 5s, for: 1s}
  - {kind: loss, between: [all, all], probability: 20%, at: 6s, for: 1s}
  - {kind: delay, nodes: [3], latency: 50ms, at: 6s, for: 1s}
  - {kind: reorder, between: [all, all], probability: 20%, latency: 50ms, at: 6s, for: 1s}
  - {kind: duplicate, between: [all, all], probability: 50%, at: 6s, for: 2s}
  - {kind: garbage, nodes: [3], at: 7s, for: 2s}
  - {kind: slow-answers, nodes: [0], latency: 300ms, at: 7s, for: 2s}
  - {kind: function-fails, nodes: [1], probability: 100%, status: 503, at: 8s, for: 1s}
  - {kind: function-hangs, nodes: [2], at: 9s, for: 1s}
  - {kind: learner-down, nodes: all, at: 9s, for: 2s}
  - {kind: slow, nodes: [0], factor: 3, at: 10s, for: 2s}
  - {kind: full-disk, nodes: [3], at: 10s}
  - {kind: clock-step, nodes: [3], by: -1h, at: 10s}
  - {kind: crash, nodes: [0], when: {arrivals: 380}, for: 500ms}
  - {kind: pause, random: 4, when: {load: 2}, for: 100ms}
`

// patiently tries what a machine that is busy may spoil: as it is, and then slower. once returns what was spoilt.
func patiently(t *testing.T, once func(slower int) error) {
	t.Helper()
	var err error
	for _, slower := range []int{1, 4, 4} {
		if err = once(slower); err == nil {
			return
		}
		t.Logf("%d times slower: %v", slower, err)
	}
	t.Error(err)
}

// A cluster of processes comes out of whatever befalls it: each request has one outcome, what is lost is about what is lost in simulation, and
// in the end all nodes know each other, serve, and use no more than before. A machine that is too busy for the campaign has a slower one.
func TestCampaign(t *testing.T) {
	t.Parallel()
	patiently(t, func(slower int) error { return befallen(t, slower) })
}

// befallen returns what went otherwise than it was to, as it may where the machine was too busy.
func befallen(t *testing.T, slower int) error {
	t.Helper()
	dir := t.TempDir()
	scenario := filepath.Join(dir, "campaign.yaml")
	if err := os.WriteFile(scenario, []byte(scenariotest.Slower(campaign, slower)), 0o666); err != nil {
		t.Fatal(err)
	}
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	runs := map[string]*results.Run{}
	var out, said bytes.Buffer
	for world, args := range map[string][]string{
		"sim":  {"sim", scenario, "--records", "all"},
		"real": {"run", scenario, "--first-address", "127.91.3.1", "--records", "all", "--record"},
	} {
		to := filepath.Join(dir, world)
		status := cmd.Run(context.Background(), append(args, "--out", to), &out, &said)
		if status != 0 {
			return fmt.Errorf("%v: exit status %d: %s", args, status, said.String())
		}
		var err error
		if runs[world], err = results.Open(to); err != nil {
			t.Fatal(err)
		}
	}
	real, sim := runs["real"].Points[0].Replications[0], runs["sim"].Points[0].Replications[0]
	if real.Requests != sim.Requests || real.Submitted != real.Ended || real.Submitted != sim.Submitted {
		t.Errorf("%d requests (digest %x), of which %d ended; in simulation %d (%x)", real.Submitted, real.Requests, real.Ended, sim.Submitted, sim.Requests)
	}
	failed, _ := real.Metric("drop_rate")
	expected, _ := sim.Metric("drop_rate")
	if math.Abs(failed-expected) > 0.1 { // it's busy here: the campaign itself is what is compared
		wrong("%.1f %% of the requests failed, in simulation %.1f %%", 100*failed, 100*expected)
	}
	f := real.Reality.Faults
	if f == nil {
		t.Fatal("it is not said how the faults went")
	}
	if len(f.Unrecovered) > 0 || f.Late.Count == 0 || f.Restarts.Count != 2 || len(f.Nodes)+f.Unmeasured != 4 || len(f.Nodes) == 0 {
		wrong("the faults went so: %+v", f)
	}
	for _, n := range f.Nodes {
		if n.Before.Goroutines < 10 || n.After.Goroutines > n.Before.Goroutines+40 || n.Before.MemoryBytes < 1e6 {
			wrong("node %d began with %+v and ended with %+v", n.Node, n.Before, n.After)
		}
	}
	if strings.Contains(said.String(), "is not known") {
		wrong("what else the machine did is not known: %s", said.String())
	}
	crash := fmt.Sprintf("%d s crash of node 1 for %ds", 2*slower, 2*slower)
	if len(real.Reality.Gone) > 0 || !strings.Contains(said.String(), "all nodes knew each other and served") ||
		!strings.Contains(said.String(), "; they explain ") || !strings.Contains(said.String(), crash) {
		wrong("the run says: %s", said.String())
	}
	for i, c := range real.Faults {
		if s := sim.Faults[i]; c.Times != s.Times || c.First != s.First && !strings.Contains(c.Fault, "load") {
			wrong("%s: %d times, first at %v; in simulation %d times, at %v", c.Fault, c.Times, c.First, sim.Faults[i].Times, sim.Faults[i].First)
		}
	}
	problems = append(problems, afflicted(t, runs["real"], slower))

	logs := filepath.Join(runs["real"].Dir, "record", "point-0-replication-0")
	for _, life := range []string{"node-1.record.jsonl.gz", "node-1.2.record.jsonl.gz"} {
		if _, err := os.Stat(filepath.Join(logs, life)); err != nil {
			wrong("%w", err)
		}
	}
	log, err := os.ReadFile(filepath.Join(runs["real"].Dir, "log", "point-0-replication-0", "node-3.log"))
	if err != nil || strings.Count(string(log), "no space left on device, by a fault of the scenario") != 1 {
		wrong("the log of the node with the full disk: %v: %s", err, log)
	}
	var stdout bytes.Buffer
	if status := cmd.Run(context.Background(), []string{"replay", "--json", filepath.Join(runs["real"].Dir, "record")}, &stdout, &said); status != 0 {
		t.Errorf("what the nodes decided is not repeated: %s", said.String())
	}
	return errors.Join(problems...)
}

// afflicted looks at what became of requests while something lay on a node.
func afflicted(t *testing.T, r *results.Run, slower int) error {
	t.Helper()
	down, asleep, broken := map[string]int{}, 0, map[string]int{}
	for row, err := range results.ReadRows(r.Requests()) {
		if err != nil {
			t.Fatal(err)
		}
		left, outcome := time.Duration(row.ArrivalNS+row.LateNS)/time.Duration(slower), row.Outcome
		within := func(from, to float64) bool { return left.Seconds() > from && left.Seconds() < to }
		switch {
		case row.Node == 1 && within(3, 3.9): // it has been killed for a second
			down[outcome]++
		case row.Node == 2 && within(3.5, 4) && row.LatencyNS > int64(slower)*int64(900*time.Millisecond):
			asleep++
		case row.Executor == 1 && within(8.2, 8.9):
			broken[outcome]++
		}
	}
	var problems []error
	if lost := down[core.LostNodeDown.String()]; lost == 0 || len(down) != 1 {
		problems = append(problems, fmt.Errorf("requests to a node that was killed: %v", down))
	}
	if asleep == 0 {
		problems = append(problems, errors.New("no request waited for a node that stood still"))
	}
	if len(broken) > 0 && broken[core.LostNoAnswer.String()] == 0 { // those that took long completed when it was over
		problems = append(problems, fmt.Errorf("requests whose function failed: %v", broken))
	}
	text, err := os.ReadFile(r.Report())
	if err != nil || !bytes.Contains(text, []byte("On the nodes half began or ended")) {
		t.Errorf("the report does not say how faults went (%v)", err)
	}
	return errors.Join(problems...)
}

// Where nobody can make faults they are refused by name, with what to do.
func TestFaultsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	scenario := filepath.Join(dir, "campaign.yaml")
	if err := os.WriteFile(scenario, []byte(campaign), 0o666); err != nil {
		t.Fatal(err)
	}
	hosts := filepath.Join(dir, "hosts.yaml")
	if err := os.WriteFile(hosts, []byte("hosts: [{name: a, address: 127.91.4.1, user: nobody}]\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"each of the machines would make all faults": {"load", scenario, "--share", "1/2", "--hosts",
			"127.91.4.1,127.91.4.2,127.91.4.3,127.91.4.4"},
		"nothing here can crash or pause the nodes of --hosts":       {"load", scenario, "--hosts", "127.91.4.1,127.91.4.2,127.91.4.3,127.91.4.4"},
		"nothing here can crash or pause the nodes of the target lo": {"deploy", scenario, "--target", "local", "--deployments", dir},
		"nothing here can crash or pause the nodes of the target ho": {"deploy", scenario, "--hosts", hosts, "--deployments", dir},
		"nothing here can crash or pause what manifests are for":     {"deploy", "manifests", scenario, "--for", "kubernetes", "--out", dir + "/out"},
		"a node makes those of its scenario only with --faults":      {"node", "--scenario", scenario, "--cluster", "127.0.0.1,127.0.0.2,127.0.0.3,127.0.0.4"},
		"the scenario has no faults": {"node", "--scenario", scenario, "--set", "faults=[]", "--faults", "--cluster",
			"127.0.0.1,127.0.0.2,127.0.0.3,127.0.0.4"},
		"--faults is about a node of a scenario": {"node", "--faults"},
	} {
		var out, said bytes.Buffer
		if status := cmd.Run(context.Background(), args, &out, &said); status != 2 || !strings.Contains(said.String(), want) {
			t.Errorf("%v: exit status %d: %s", args, status, said.String())
		}
	}
}
