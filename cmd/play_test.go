package cmd_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/cmd"
	"github.com/p2pfaas/p2pfaas/realnet/play"
)

const played = `name: played
duration: 10s
warmup: 2s
replications: 2
cluster: {nodes: 3, slots: 2, queue: 1, links: {latency: 2ms}}
functions:
  - {name: f, service: {distribution: exponential, mean: 200ms}}
workload: {rate: 8/s}
scheduler: {name: PowerOfNScheduler, fanout: 1, threshold: 1, probe_timeout: 1s, answer_timeout: 1s}
faults:
  - {kind: crash, nodes: [1], at: 4s, for: 2s}
`

// A simulation is played from the directory that it has written.
func TestPlay(t *testing.T) {
	x := &tracing{t, t.TempDir()}
	x.write("played.yaml", played)
	x.do(0, "sim", x.path("played.yaml"), "--out", x.path("run"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, to := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- cmd.Run(ctx, []string{"play", x.path("run"), "--replication", "1"}, to, io.Discard)
		to.Close()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.Contains(line, "/ui/ shows ") {
		t.Fatalf("%q: %v", line, err)
	}
	at, _, _ := strings.Cut(line, " ")
	for path, want := range map[string]string{"": "<title>P2PFaaS</title>", "main.js": "import", "source": `"kind":"run"`} {
		if got := get(t, at+path); !strings.Contains(got, want) {
			t.Errorf("%s%s has no %q: %.200s", at, path, want, got)
		}
	}
	var f play.Frame
	if err := json.Unmarshal([]byte(get(t, at+"cluster?at=5")), &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Nodes) != 3 || f.States.Alive != 2 || f.Nodes[1].State != "dead" || f.Rates.Arrived <= 0 || len(f.Faults) != 1 {
		t.Errorf("at 5 s: %+v", f)
	}
	cancel()
	if status := <-ended; status != 0 {
		t.Errorf("it ends with %d", status)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	a, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s %v", url, a.Status, text, err)
	}
	return string(text)
}

// What cannot be played is said, with what to do.
func TestPlayRefuses(t *testing.T) {
	x := &tracing{t, t.TempDir()}
	x.write("played.yaml", played+"sweep:\n  workload.rate: [4/s, 8/s]\n")
	x.do(0, "sim", x.path("played.yaml"), "--out", x.path("sample"), "--duration", "8s")
	x.do(0, "sim", x.path("played.yaml"), "--out", x.path("all"), "--records", "all", "--duration", "8s")
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{x.path("none")}, "it is not the directory of a run"},
		{[]string{x.path("sample")}, "run it again with --records all"},
		{[]string{x.path("all")}, "choose one with --select"},
		{[]string{x.path("all"), "--select", "0", "--replication", "2"}, "no replication 2"},
		{[]string{x.path("all"), "--select", "0", "--address", "nowhere"}, "--address"},
	} {
		if _, said := x.do(2, append([]string{"play"}, c.args...)...); !strings.Contains(said, c.says) {
			t.Errorf("%v says %q", c.args, said)
		}
	}
}
