package cmd_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/cmd"
)

// command runs a command and returns its exit status and what it printed, and said beside that.
func command(t *testing.T, args ...string) (status int, printed, said string) {
	t.Helper()
	out, errors := &output{}, &output{}
	status = cmd.Run(t.Context(), args, out, errors)
	return status, out.String(), errors.String()
}

// Functions of running nodes are listed, deployed and removed; a node that fails is named, and the others do what they are told.
func TestFunctionsOfNodes(t *testing.T) {
	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "executed") }))
	t.Cleanup(f.Close)
	one := startNode(t, "--function", "own="+f.URL)
	two := startNode(t, "--function-url", f.URL)
	at := func(n *nodeAt) string { return strings.TrimPrefix(n.url, "http://") }
	both := at(one) + "," + at(two)
	one.answers(t, 404, `"code":3`, "GET", "/function/f", "")

	status, printed, said := command(t, "function", "deploy", "f="+f.URL+"/f", "--hosts", both)
	if status != 0 || strings.Count(printed, f.URL+"/f") != 2 || said != "" {
		t.Errorf("deploy: %d\n%s%s", status, printed, said)
	}
	one.answers(t, 200, "executed", "GET", "/function/f", "")
	status, printed, said = command(t, "function", "list", "--hosts", both)
	if rows := strings.Split(strings.TrimSpace(printed), "\n"); status != 0 || len(rows) != 5 || said != "" ||
		!strings.Contains(rows[1], " f ") || !strings.Contains(rows[2], " own ") || !strings.Contains(rows[4], " * ") {
		t.Errorf("list: %d\n%s%s", status, printed, said)
	}
	dead := "127.0.0.1:" + fmt.Sprint(freePorts(t, 1)[0])
	status, printed, said = command(t, "function", "remove", "own", "--hosts", both+","+dead, "--json")
	var all []struct {
		Node, Error string
		Functions   []struct{ Name, URL string }
	}
	if err := json.Unmarshal([]byte(printed), &all); err != nil || status != 1 || len(all) != 3 || all[0].Error != "" ||
		len(all[0].Functions) != 1 || all[0].Functions[0].Name != "f" || !strings.Contains(all[1].Error, `no function "own" of its own`) ||
		!strings.Contains(all[2].Error, "refused") {
		t.Errorf("remove: %d, %v\n%s", status, err, printed)
	}
	if strings.Count(said, "node 127.") != 2 || !strings.Contains(said, "node "+dead+": ") {
		t.Errorf("remove says %q", said)
	}
	one.answers(t, 404, `"code":3`, "GET", "/function/own", "")

	for _, c := range []struct{ args, says string }{
		{"list", "which nodes? Give their addresses"},
		{"list --hosts x,127.0.0.1,127.0.0.1", `--hosts: "x" is no address of a node`},
		{"list --hosts 127.0.0.1:99999", `--hosts: "127.0.0.1:99999" is no address of a node`},
		{"list --hosts 127.0.0.1,127.0.0.1", "is given twice"},
		{"list --hosts 127.0.0.1 --timeout 0s", "write a port, and a time above 0"},
		{"deploy f --hosts 127.0.0.1", "write NAME=URL"},
		{"deploy f=exec:rm --hosts 127.0.0.1", "is no URL"},
		{"deploy --hosts 127.0.0.1", "NAME=URL"},
		{"remove --hosts 127.0.0.1", "the name of a function"},
	} {
		if status, _, said := command(t, append([]string{"function"}, strings.Fields(c.args)...)...); status != 2 || !strings.Contains(said, c.says) {
			t.Errorf("%s: %d %q, want 2 and %q", c.args, status, said, c.says)
		}
	}
}

// A node of a scenario has what is placed on it, from where --function says, and starts nothing else.
func TestNodeOfAPlacedScenario(t *testing.T) {
	t.Parallel()
	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "elsewhere") }))
	t.Cleanup(f.Close)
	ports := freePorts(t, 2)
	cluster := fmt.Sprintf("127.0.0.1:%d,127.0.0.1:%d", ports[0], ports[1])
	scenario := filepath.Join(t.TempDir(), "placed.yaml")
	text := `duration: 10s
cluster: {nodes: 2}
functions:
  - {name: f, service: 1ms, placement: {nodes: [0]}, backend: {kind: exec, command: [/does/not/exist]}}
  - {name: g, service: 1ms, placement: {nodes: [1]}}
workload: {rate: 1/s}
scheduler: {name: NoScheduler, probe_timeout: 1s, answer_timeout: 50s}
`
	if err := os.WriteFile(scenario, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	args := func(i int, more ...string) []string {
		return append([]string{"--scenario", scenario, "--cluster", cluster, "--number", fmt.Sprint(i)}, more...)
	}
	zero := startNodeAt(t, ports[0], args(0, "--function", "f="+f.URL)...)
	one := startNodeAt(t, ports[1], args(1)...) // it does not try to start f
	zero.answers(t, 200, "elsewhere", "GET", "/function/f", "")
	eventually(t, "one reaches zero, and zero one", func() bool {
		r, _ := one.ask("GET", "/function/f", "")
		return r != nil && r.StatusCode == 200
	})
	one.answers(t, 200, "elsewhere", "GET", "/function/f", "")
	zero.answers(t, 200, "executed", "GET", "/function/g", "")
	one.answers(t, 200, `"name":"g","process"`, "GET", "/functions", "")
	zero.answers(t, 404, "function h is not at this node", "GET", "/function/h", "")

	// A load says that a node has another function by now.
	if status, _, said := command(t, "function", "deploy", "g="+f.URL, "--hosts", strings.TrimPrefix(zero.url, "http://")); status != 0 {
		t.Error(said)
	}
	status, printed, said := command(t, "load", scenario, "--hosts", cluster, "--duration", "300ms", "--out", filepath.Join(t.TempDir(), "out"))
	if all := printed + said; status != 0 || !strings.Contains(all, "functions of node 0: f, g, in the scenario f") ||
		strings.Contains(all, "functions of node 1") {
		t.Errorf("load: %d\n%s", status, all)
	}

	status, _, said = command(t, append([]string{"node", "--services", "scheduler", "--scheduler-port", fmt.Sprint(ports[0])},
		args(0, "--function", "g="+f.URL, "--function", "x="+f.URL)...)...)
	if status != 2 || !strings.Contains(said, "--function g: the scenario does not place it on node 0") ||
		!strings.Contains(said, "--function x: the scenario has no such function, but f, g") {
		t.Errorf("functions of others: %d %s", status, said)
	}
}

// The function of a node of one point of a sweep is that of the point.
func TestNodeOfAPointHasItsFunction(t *testing.T) {
	scenario := filepath.Join(t.TempDir(), "swept.yaml")
	if err := os.WriteFile(scenario, []byte(sweptFunction), 0o666); err != nil {
		t.Fatal(err)
	}
	port := freePorts(t, 1)[0]
	n := startNodeAt(t, port, "--scenario", scenario, "--select", "functions.f.service=4ms,functions.f.reply=3kB", "--cluster",
		fmt.Sprintf("127.0.0.1:%d", port), "--number", "0")
	n.answers(t, 200, strings.Repeat("\x00", 2900), "POST", "/function/f", "")
}
