package cmd_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/cmd"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

// asProgram makes the binary of these tests the program itself, for commands that start it.
const asProgram = "P2PFAAS_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		cmd.Main()
	}
	if err := os.Setenv(asProgram, "1"); err != nil {
		panic(err)
	}
	// Tests that are parallel wait for real nodes, and hardly compute: more run at a time than there are processors.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

const threeNodes = `
name: three
duration: 2s
replications: 1
cluster: {nodes: 3, slots: 2, queue: 2}
functions: [{name: f, service: {distribution: exponential, mean: 20ms}, payload: 1kB, deadline: 100ms}]
workload: {rate: 40/s}
scheduler: {name: PowerOfNScheduler, fanout: 1, threshold: 1}
sweep:
  scheduler:
    - {name: NoScheduler}
    - {name: PowerOfNScheduler, fanout: 1, threshold: 1}
`

// A scenario on three processes: the same requests as in simulation, with the same demands, and a directory of the same
// format. Settings of nodes in the environment are not for those of a scenario.
func TestRun(t *testing.T) {
	t.Setenv("P2PFAAS_NODE_SLOTS", "many")
	t.Setenv("P2PFAAS_POLL_TIME", "never")
	dir := t.TempDir()
	scenario := filepath.Join(dir, "three.yaml")
	if err := os.WriteFile(scenario, []byte(threeNodes), 0o666); err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	for world, args := range map[string][]string{
		"sim":  {"sim", scenario},
		"real": {"run", scenario, "--first-address", "127.77.0.1", "--records", "all"},
	} {
		args = append(args, "--out", filepath.Join(dir, world))
		if status := cmd.Run(context.Background(), args, &out, &said); status != 0 {
			t.Fatalf("%v: exit status %d: %s", args, status, said.String())
		}
	}
	sim, err := results.Open(filepath.Join(dir, "sim"))
	if err != nil {
		t.Fatal(err)
	}
	real, err := results.Open(filepath.Join(dir, "real"))
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range real.Points {
		r, s := p.Replications[0], sim.Points[i].Replications[0]
		if r.Requests != s.Requests || r.Requests == 0 {
			t.Errorf("point %d: the digest of the requests is %x, in simulation %x", i, r.Requests, s.Requests)
		}
		if r.Submitted != s.Submitted || r.Ended != r.Submitted {
			t.Errorf("point %d: %d requests submitted, %d ended, %d in simulation", i, r.Submitted, r.Ended, s.Submitted)
		}
		if lost, _ := r.Metric("lost_rate"); lost != 0 {
			t.Errorf("point %d: %v of the requests are lost", i, lost)
		}
	}
	// Nodes that are slower ask more often: what a probe and a forward are in messages is the same.
	for world, r := range map[string]*results.Run{"sim": sim, "real": real} {
		metric := func(name string) float64 {
			x, _ := r.Points[1].Replications[0].Metric(name)
			return x
		}
		talk, asked := metric("messages_per_request"), metric("probes_per_request")+metric("hops.mean")+metric("retry_rate")
		if each := talk / asked; !(each > 1.5 && each < 2.5) {
			t.Errorf("%s: %v messages for a request, and %v probes and forwards, each of which is two", world, talk, asked)
		}
	}
	if moved, _ := real.Points[1].Replications[0].Metric("forwarded_share"); moved == 0 {
		t.Error("no request was forwarded")
	}
	rows := 0
	var stretch []float64 // of long executions, in whose time what calls take is little
	for row, err := range results.ReadRows(real.Requests()) {
		if err != nil {
			t.Fatal(err)
		}
		rows++
		parts := row.ClientNS + row.SchedulingNS + row.ProbingNS + row.ForwardingNS + row.WaitingNS + row.ExecutingNS + row.ReturningNS
		if row.Completed() && (parts != row.LatencyNS || row.ClientNS < 0 || row.Executor < 0) {
			t.Errorf("request %d: its parts sum to %d of %d ns, client %d, executor %d", row.ID, parts, row.LatencyNS, row.ClientNS, row.Executor)
		}
		if row.Completed() && row.DemandNS > int64(20*time.Millisecond) {
			stretch = append(stretch, float64(row.ExecutingNS)/float64(row.DemandNS))
		}
	}
	if rows == 0 {
		t.Error("there are no records")
	}
	// Executions take as long as the simulated ones, and where the machine is busy some do.
	slices.Sort(stretch)
	if n := len(stretch); n < 20 || stretch[0] < 1 || stretch[n/10] > 1.5 {
		t.Errorf("executions take %v of their demands", stretch)
	}
	page, err := os.ReadFile(real.Report())
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"reality", "Load generator"} {
		if !strings.Contains(string(page), words) {
			t.Errorf("the report does not say %q", words)
		}
	}
}

// The nodes that run starts are as the scenario says, with a topology and a cloud too, and say so.
func TestRunNodesAreTheScenarios(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ring := filepath.Join(dir, "ring.yaml")
	text := "{name: ring, duration: 1s, warmup: 0s, replications: 1, cluster: {nodes: 4, slots: 2, queue: 2, topology: ring, " +
		"cloud: {link: {latency: 5ms}}}, functions: [{name: f, service: 5ms}], workload: {rate: 10/s}, " +
		"scheduler: {name: PowerOfNScheduler, fanout: 1, threshold: 1}}"
	if err := os.WriteFile(ring, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	for i, scenario := range [][]string{{ring}, {"quickstart", "--select", "scheduler=PowerOfNScheduler"}} {
		var out, said bytes.Buffer
		to := filepath.Join(dir, fmt.Sprint(i))
		args := slices.Concat([]string{"run"}, scenario, []string{"--duration", "1s", "--first-address", "127.79.1.1", "--out", to})
		if status := cmd.Run(t.Context(), args, &out, &said); status != 0 {
			t.Fatalf("%v: exit status %d: %s", args, status, said.String())
		}
		r, err := results.Open(to)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range r.Points {
			if u := p.Replications[0].Reality.Unlike; len(u) > 0 {
				t.Errorf("%s: the nodes are not as the scenario says: %+v", r.Label(p), u)
			}
		}
	}
}

const coldStarts = `
name: cold
duration: 3s
warmup: 0s
replications: 1
cluster: {nodes: 2, slots: 2, queue: 1000} # a busy machine takes its time
functions: [{name: f, service: 20ms, cold_start: {time: 30ms, keep_alive: 100ms}}]
workload: {rate: 5/s}
scheduler: {name: PowerOfNScheduler, fanout: 1, threshold: 1}
`

// A scenario with cold starts on real nodes: they are in the records, in the summary and among the notes; and what the nodes
// recorded replays. Where the machine stands still for most of the scenario, no process has the time to end: then it is a slower one.
func TestRunColdStarts(t *testing.T) {
	t.Parallel()
	patiently(t, func(slower int) error { return ranCold(t, slower) })
}

// ranCold returns how many executions began with a cold start where these are not those of processes that ended and others that were started.
func ranCold(t *testing.T, slower int) error {
	t.Helper()
	dir := t.TempDir()
	scenario, to := filepath.Join(dir, "cold.yaml"), filepath.Join(dir, "out")
	if err := os.WriteFile(scenario, []byte(scenariotest.Slower(coldStarts, slower)), 0o666); err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	if status := cmd.Run(t.Context(), []string{"run", scenario, "--record", "--first-address", "127.77.1.1", "--out", to}, &out, &said); status != 0 {
		t.Fatalf("exit status %d: %s", status, said.String())
	}
	r, err := results.Open(to)
	if err != nil {
		t.Fatal(err)
	}
	rep := r.Points[0].Replications[0]
	share, _ := rep.Metric("cold_share")
	mean, _ := rep.Metric("cold_start.mean")
	requests, _ := rep.Metric("requests")
	if lost, _ := rep.Metric("drop_rate"); !(mean > 0.001 && mean < 60) || lost > 0 {
		t.Errorf("cold starts took %v s, and %v were lost", mean, lost)
	}
	if !strings.Contains(said.String(), "executions began with one, which took ") {
		t.Errorf("it says %s", said.String())
	}
	cold := 0
	for row, err := range results.ReadRows(filepath.Join(to, "requests.parquet")) {
		if err != nil {
			t.Fatal(err)
		}
		if row.Cold {
			cold++
		}
		if row.Cold != (row.ColdStartNS > 0) || row.ColdStartNS > row.ExecutingNS {
			t.Errorf("request %d: cold %v, %d of %d ns", row.ID, row.Cold, row.ColdStartNS, row.ExecutingNS)
		}
	}
	if cold == 0 || math.Abs(float64(cold)-share*requests) > 0.5 {
		t.Errorf("%d records have a cold start, and %v of %v requests", cold, share, requests)
	}
	said.Reset()
	if status := cmd.Run(t.Context(), []string{"replay", to}, &said, &said); status != 0 || !strings.Contains(said.String(), ": all equal\n") {
		t.Errorf("replay: exit status %d: %s", status, said.String())
	}
	if cold <= 4 || share >= 1 { // there are four slots: processes have ended, and others have been started
		return fmt.Errorf("%d of %v requests had a cold start", cold, requests)
	}
	return nil
}

// What real nodes cannot do is refused by name, before anything starts.
func TestRunRefuses(t *testing.T) {
	for _, x := range []struct{ set, says string }{
		{"cluster.service_mode=processor-sharing", "cluster.service_mode"},
		{"client.link.latency=5ms", "client.link"},
		{"functions.f.payload=65MiB", "functions.f.payload: real nodes take no more than 64MiB"},
		{"functions.f.reply=65MiB", "functions.f.reply: real nodes take no more than 64MiB"},
		{"functions.f.cold_start={time: 1s, keep_alive: 1min}", "functions.f.cold_start: real nodes do not start what is at a URL"},
	} {
		dir := t.TempDir()
		scenario := filepath.Join(dir, "three.yaml")
		if err := os.WriteFile(scenario, []byte(threeNodes), 0o666); err != nil {
			t.Fatal(err)
		}
		var out, said bytes.Buffer
		args := []string{"run", scenario, "--set", x.set, "--set", "functions.f.backend={kind: url, url: 'http://127.0.0.1:1/'}",
			"--out", filepath.Join(dir, "out")}
		if status := cmd.Run(context.Background(), args, &out, &said); status != 2 || strings.Count(said.String(), x.says) != 1 {
			t.Errorf("%s: exit status %d, %s", x.set, status, said.String())
		}
		if _, err := os.Stat(filepath.Join(dir, "out")); err == nil {
			t.Errorf("%s: a directory was written", x.set)
		}
	}
}

// A first address that is none of this machine's own is an error before anything starts.
func TestRunFirstAddress(t *testing.T) {
	for _, a := range []string{"192.168.1.1", "localhost", "::1"} {
		said := &output{}
		if status := cmd.Run(t.Context(), []string{"run", "quickstart", "--first-address", a}, said, said); status != 2 ||
			!strings.Contains(said.String(), "--first-address "+a+": write a loopback address") {
			t.Errorf("%s: exit status %d: %s", a, status, said)
		}
	}
}

// Ports that are taken are told in a line, with what to do.
func TestRunPortsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.84.0.2:18080")
	if err != nil {
		t.Skip("this system has one loopback address")
	}
	defer l.Close()
	var out, said bytes.Buffer
	status := cmd.Run(context.Background(), []string{"run", "quickstart", "--select", "0", "--duration", "1s", "--first-address", "127.84.0.1",
		"--out", filepath.Join(t.TempDir(), "out")}, &out, &said)
	if status != 1 || !strings.Contains(said.String(), "1 of 48 ports are taken") || !strings.Contains(said.String(), "--first-address") {
		t.Errorf("exit status %d: %s", status, said.String())
	}
}

// What keeps nodes from starting is told once, and not that others were given up for it, nor that
// something was finished; a directory that is taken is told
// without the advice of another command.
func TestRunSaysOnce(t *testing.T) {
	dir := t.TempDir()
	scenario := filepath.Join(dir, "broken.yaml")
	text := "{name: broken, duration: 1s, warmup: 0s, replications: 1, cluster: {nodes: 3, slots: 2}, " +
		"functions: [{name: f, service: 5ms, backend: {kind: exec, command: [/nowhere/at/all]}}], workload: {rate: 10/s}, scheduler: {name: NoScheduler}}"
	if err := os.WriteFile(scenario, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	args := []string{"run", scenario, "--first-address", "127.85.0.1", "--out", filepath.Join(dir, "out")}
	if status := cmd.Run(t.Context(), args, &out, &said); status != 1 || !strings.Contains(said.String(), "log ends with") ||
		strings.Count(said.String(), "node-0.log ends with") > 1 || strings.Contains(said.String(), "not ready") ||
		strings.Contains(said.String(), "ended with an error") ||
		!strings.Contains(said.String(), "nothing was finished") || strings.Contains(said.String(), "has what was finished") {
		t.Errorf("exit status %d: %s", status, said.String())
	}
	said.Reset()
	if status := cmd.Run(t.Context(), args, &out, &said); status != 2 || !strings.Contains(said.String(), "it is not empty") ||
		strings.Contains(said.String(), "--resume") {
		t.Errorf("into a directory that is not empty: exit status %d: %s", status, said.String())
	}
	said.Reset()
	args[0] = "sim"
	args = append(args[:2], "--out", filepath.Join(dir, "out"))
	if status := cmd.Run(t.Context(), args, &out, &said); status != 2 || !strings.Contains(said.String(), "--resume") {
		t.Errorf("sim into a directory that is not empty: exit status %d: %s", status, said.String())
	}
}
