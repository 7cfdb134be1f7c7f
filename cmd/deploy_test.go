package cmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/p2pfaas/p2pfaas/cmd"
	"github.com/p2pfaas/p2pfaas/realnet/deploy"
	"github.com/p2pfaas/p2pfaas/results"
)

// deployment is one of processes, from a directory of its own.
type deployment struct {
	t   *testing.T
	dir string
}

// do runs a command, and returns what it said.
func (d *deployment) do(status int, args ...string) (out, said string) {
	d.t.Helper()
	var o, s bytes.Buffer
	if got := cmd.Run(context.Background(), append(args, "--deployments", filepath.Join(d.dir, "deployments")), &o, &s); got != status {
		d.t.Fatalf("%q ends with status %d, want %d:\n%s%s", args, got, status, &o, &s)
	}
	return o.String(), s.String()
}

type processes struct {
	Processes []struct{ PID int }
	Plan      struct{ Content string }
}

func (d *deployment) state() (s processes) {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, "deployments", "three", "deployment.json"))
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

// Processes are deployed, driven by load, repaired where one has died, replaced where the scenario has changed, and ended.
func TestDeployLocal(t *testing.T) {
	t.Parallel()
	d := &deployment{t, t.TempDir()}
	scenario := filepath.Join(d.dir, "three.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(scenario, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(threeNodes)
	up := []string{"deploy", scenario, "--target", "local", "--first-address", "127.78.0.1"}
	_, said := d.do(0, up...)
	t.Cleanup(func() {
		cmd.Run(context.Background(), []string{"deploy", "down", "three", "--deployments", filepath.Join(d.dir, "deployments")}, &bytes.Buffer{}, &bytes.Buffer{})
	})
	if !strings.Contains(said, "no simulation in runs/") || !strings.Contains(said, "3 nodes ready") {
		t.Errorf("it says %s", said)
	}
	first := d.state()
	if _, said := d.do(0, up...); !strings.Contains(said, "ready") || d.state().Processes[0] != first.Processes[0] {
		t.Errorf("deployed again, it says %s, and the processes are %v, before %v", said, d.state(), first)
	}
	run := filepath.Join(d.dir, "run")
	d.do(0, "load", scenario, "--out", run, "--records", "all")
	r, err := results.Open(run)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Points) != 2 || len(r.Points[1].Replications) != 1 || r.Algorithms == "" {
		t.Fatalf("the run has %d points", len(r.Points))
	}
	for i, p := range r.Points {
		rep := p.Replications[0]
		if len(rep.Reality.Unlike) > 0 || rep.Ended < 150 {
			t.Errorf("point %d: %d requests; nodes that are not as they should be: %+v", i, rep.Ended, rep.Reality.Unlike)
		}
	}

	if err := syscall.Kill(first.Processes[1].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node that was killed has ended", func() bool { return syscall.Kill(first.Processes[1].PID, 0) != nil })
	out, said := d.do(1, "deploy", "status", "--json")
	var status struct {
		Ill   int
		Nodes []struct{ State string }
	}
	if err := json.Unmarshal([]byte(out), &status); err != nil || status.Ill < 1 || status.Nodes[1].State != "ended" {
		t.Errorf("a node was killed, and the status is %s%s, %v", out, said, err)
	}
	release, err := deploy.Lock(filepath.Join(d.dir, "deployments"), "three")
	if err != nil {
		t.Fatal(err)
	}
	if _, said := d.do(2, up...); !strings.Contains(said, "being changed by another p2pfaas") {
		t.Errorf("while somebody else deploys, it says %s", said)
	}
	release()
	d.do(0, up...)
	second := d.state()
	if second.Processes[0] != first.Processes[0] || second.Processes[2] != first.Processes[2] || second.Processes[1] == first.Processes[1] {
		t.Errorf("a node was killed: the processes are %v, before %v", second, first)
	}
	if out, _ := d.do(0, "deploy", "status"); !strings.Contains(out, "running") {
		t.Errorf("the status is %s", out)
	}
	if out, _ := d.do(0, "deploy", "logs", "--node", "1"); !strings.Contains(out, "three-node-1 | scheduler on 127.78.0.2:18080") {
		t.Errorf("the log is %s", out)
	}

	write(strings.Replace(threeNodes, "mean: 20ms", "mean: 10ms", 1))
	d.do(0, up...)
	if third := d.state(); third.Processes[0] == second.Processes[0] || third.Plan.Content == second.Plan.Content {
		t.Errorf("another scenario: the processes are %v, before %v", third, second)
	}
	last := d.state()
	d.do(0, "deploy", "down")
	for i, p := range last.Processes {
		eventually(t, fmt.Sprintf("node %d has ended", i), func() bool { return syscall.Kill(p.PID, 0) != nil })
	}
	if left, err := filepath.Glob(filepath.Join(d.dir, "deployments", "[^.]*")); err != nil || len(left) > 0 {
		t.Errorf("remembered are %v, %v", left, err)
	}
	if _, said := d.do(2, "deploy", "status"); !strings.Contains(said, "p2pfaas deploy SCENARIO makes one") {
		t.Errorf("without a deployment, status says %s", said)
	}
}

// What function deploy and remove did is undone by deploying again: those nodes are started anew, and no others.
func TestDeployLocalUndoesFunctions(t *testing.T) {
	t.Parallel()
	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "elsewhere") }))
	t.Cleanup(f.Close)
	d := &deployment{t, t.TempDir()}
	scenario := filepath.Join(d.dir, "three.yaml")
	text := fmt.Sprintf(`
name: three
duration: 2s
cluster: {nodes: 5, slots: 2, queue: 2}
functions: [{name: f, service: 1ms, placement: {nodes: [0, 1, 2, 3]}}, {name: far, service: 1ms, backend: {kind: url, url: "%s/?far"}}]
workload: {rate: 40/s}
scheduler: {name: NoScheduler}
`, f.URL)
	if err := os.WriteFile(scenario, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	up := []string{"deploy", scenario, "--target", "local", "--first-address", "127.95.0.1"}
	d.do(0, up...)
	t.Cleanup(func() {
		cmd.Run(context.Background(), []string{"deploy", "down", "three", "--deployments", filepath.Join(d.dir, "deployments")}, &bytes.Buffer{}, &bytes.Buffer{})
	})
	type node struct {
		Node      string
		Functions []struct {
			Name, URL string
			Process   []string
		}
	}
	list := func() (nodes []node) {
		t.Helper()
		out, _ := d.do(0, "function", "list", "--deployment", "three", "--json")
		if err := json.Unmarshal([]byte(out), &nodes); err != nil {
			t.Fatal(err)
		}
		return nodes
	}
	before, first := d.state(), list()
	d.do(0, "function", "remove", "f", "--deployment", "three", "--node", "0")
	d.do(0, "function", "deploy", "f="+f.URL, "--deployment", "three", "--node", "1")
	d.do(0, "function", "deploy", "far="+f.URL, "--deployment", "three", "--node", "2")
	d.do(0, "function", "deploy", "f="+f.URL, "--deployment", "three", "--node", "4")
	for range 2 {
		d.do(0, up...)
		if again := list(); !reflect.DeepEqual(again, first) {
			t.Errorf("deployed again, the nodes have\n%+v\nbefore\n%+v", again, first)
		}
	}
	for i, p := range d.state().Processes {
		if i == 3 != (p == before.Processes[i]) {
			t.Errorf("the process of node %d is %d, before %d", i, p, before.Processes[i])
		}
	}
}

// What deploy cannot do is refused before anything is made, all at once.
func TestDeployRefuses(t *testing.T) {
	d := &deployment{t, t.TempDir()}
	scenario := filepath.Join(d.dir, "three.yaml")
	text := strings.Replace(threeNodes, "  scheduler:\n", "  cluster.links.latency: [1ms, 2ms]\n  scheduler:\n", 1)
	if err := os.WriteFile(scenario, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{scenario}, []string{"cluster.links.latency is swept", "--select"}},
		{[]string{scenario, "--target", "moon", "--subnet", "10.0.0.1/8"}, []string{"--target moon: write one of", "--subnet 10.0.0.1/8: write a network"}},
		{[]string{scenario, "--target", "hosts"}, []string{"add --hosts FILE"}},
		{[]string{scenario, "--hosts", "nowhere.yaml"}, []string{"nowhere.yaml"}},
		{[]string{scenario, "--target", "local", "--hosts", "nowhere.yaml"}, []string{"--hosts is for the target hosts"}},
		{[]string{scenario, "--target", "local", "--select", "0", "--subnet", "10.0.0.0/8"}, []string{"--subnet is for containers"}},
		{[]string{"learning-city", "--target", "local"}, []string{"scheduler learner-v1-state: it asks a learner other than the one that the nodes are started with, " +
			"for learner: choose one of the two with --select"}},
		{[]string{"quickstart", "--target", "compose", "--first-address", "127.0.0.9"}, []string{"--first-address is for the target local"}},
		{[]string{scenario, "--target", "local", "--select", "0", "--set", "functions.f.backend={kind: image, image: x:1}"},
			[]string{"functions.f.backend: an image runs in a container"}},
	} {
		_, said := d.do(2, append([]string{"deploy"}, c.args...)...)
		for _, want := range c.says {
			if !strings.Contains(said, want) {
				t.Errorf("deploy %q says %q, without %q", c.args, said, want)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(d.dir, "deployments")); err == nil {
		t.Error("something was made")
	}
}

// Manifests are written for each system, with the directories of functions that balena builds.
func TestDeployManifests(t *testing.T) {
	dir := t.TempDir()
	scenario := filepath.Join(dir, "three.yaml")
	text := strings.Replace(threeNodes, "payload: 1kB,", "payload: 1kB, backend: {kind: image, image: ./f},", 1)
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "f"), 0o777), os.WriteFile(scenario, []byte(text), 0o666),
		os.WriteFile(filepath.Join(dir, "f", "Dockerfile"), []byte("FROM scratch\n"), 0o666)); err != nil {
		t.Fatal(err)
	}
	for system, wants := range map[string][]string{
		"compose": {"compose.yaml", "scenario-*/scenario.yaml"},
		"balena":  {"docker-compose.yml", "build/f/Dockerfile"},
	} {
		out := filepath.Join(dir, system)
		var said bytes.Buffer
		if status := cmd.Run(context.Background(), []string{"deploy", "manifests", scenario, "--for", system, "--out", out}, &said, &said); status != 0 {
			t.Errorf("%s: status %d, %s", system, status, &said)
			continue
		}
		for _, want := range wants {
			if found, err := filepath.Glob(filepath.Join(out, want)); err != nil || len(found) != 1 {
				t.Errorf("%s: %s is %q, %v", system, want, found, err)
			}
		}
	}
	// Of a sweep, nodes and functions are those of the point that is chosen.
	swept, out := filepath.Join(dir, "swept.yaml"), filepath.Join(dir, "chosen")
	if err := os.WriteFile(swept, []byte(sweptFunction), 0o666); err != nil {
		t.Fatal(err)
	}
	status, _, said := command(t, "deploy", "manifests", swept, "--for", "compose", "--select", "3", "--out", out)
	made, err := os.ReadFile(filepath.Join(out, "compose.yaml"))
	if n := len(regexp.MustCompile(`--select\W+3\W`).FindAll(made, -1)); err != nil || n != 3 {
		t.Errorf("%d %s: %d of 3 commands choose the point 3, %v:\n%s", status, said, n, err, made)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--for", "kubernetes", "--out", filepath.Join(dir, "k")}, "push it to one"}, // a directory
		{[]string{"--for", "swarm", "--out", filepath.Join(dir, "s")}, "--for swarm: write one of compose, kubernetes, balena"},
		{[]string{"--for", "compose", "--out", dir}, "it is there already"},
		{[]string{"--for", "compose", "--image", "x", "--out", filepath.Join(dir, "x")}, "write {kind}"},
	} {
		var said bytes.Buffer
		status := cmd.Run(context.Background(), append([]string{"deploy", "manifests", scenario}, c.args...), &said, &said)
		if status != 2 || !strings.Contains(said.String(), c.says) {
			t.Errorf("%q: status %d, %s, want %q", c.args, status, &said, c.says)
		}
	}
}

// learningNodes is a sweep whose first algorithm asks no learner.
const learningNodes = `
name: three
duration: 1s
warmup: 0s
replications: 1
cluster: {nodes: 3, slots: 2, queue: 2}
functions: [{name: f, service: 5ms, deadline: 50ms}]
workload: {rate: 40/s}
learner: {}
scheduler: {name: NoScheduler}
sweep:
  scheduler:
    - {name: NoScheduler}
    - {name: LearningScheduler, state: [load], actions: [local, neighbours]}
    - {name: PowerOfNScheduler}
`

// The nodes of a sweep have the learner that some of its points ask, and the clients of these points teach it. Another learner is refused.
func TestDeployedNodesLearn(t *testing.T) {
	t.Parallel()
	d := &deployment{t, t.TempDir()}
	scenario := filepath.Join(d.dir, "three.yaml")
	if err := os.WriteFile(scenario, []byte(learningNodes), 0o666); err != nil {
		t.Fatal(err)
	}
	d.do(0, "deploy", scenario, "--target", "local", "--first-address", "127.91.0.1")
	t.Cleanup(func() { d.do(0, "deploy", "down") })
	run := filepath.Join(d.dir, "run")
	_, said := d.do(0, "load", scenario, "--out", run)
	r, err := results.Open(run)
	if err != nil {
		t.Fatal(err)
	}
	taught := uint64(0)
	for i := 1; i <= 3; i++ {
		a, err := http.Get(fmt.Sprintf("http://127.91.0.%d:19020/learner/stats", i))
		if err != nil {
			t.Fatal(err)
		}
		var stats struct{ Entries struct{ Received uint64 } }
		err = json.NewDecoder(a.Body).Decode(&stats)
		a.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		taught += stats.Entries.Received
	}
	if n := r.Points[1].Replications[0].Ended; taught < 60 || taught != n {
		t.Errorf("%d requests ended where the nodes are to learn, and their learners were told of %d:\n%s", n, taught, said)
	}
	if _, said := d.do(2, "load", scenario, "--set", "scheduler={name: LearningScheduler, state: [type, load]}"); !strings.Contains(said,
		"scheduler LearningScheduler: it asks a learner other than the one that the nodes are started with") || !strings.Contains(said, "repeat p2pfaas deploy") {
		t.Errorf("another learner: %s", said)
	}
	d.do(0, "deploy", scenario, "--target", "local", "--first-address", "127.91.0.1", "--select", "2")
	if _, said := d.do(2, "load", scenario, "--select", "1"); !strings.Contains(said, "the nodes are started without one, for PowerOfNScheduler") {
		t.Errorf("nodes without a learner: %s", said)
	}
	if _, said := d.do(2, "load", scenario, "--set", "scheduler={name: NoScheduler}"); !strings.Contains(said, "of the points [2] of the scenario alone") {
		t.Errorf("a point that was not deployed: %s", said)
	}
}
