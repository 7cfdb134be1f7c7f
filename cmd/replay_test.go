package cmd_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/cmd"
	"github.com/p2pfaas/p2pfaas/realnet"
)

// What the nodes of a run recorded replays; a changed decision is found, and printed.
func TestReplay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	scenario, out := filepath.Join(dir, "three.yaml"), filepath.Join(dir, "out")
	if err := os.WriteFile(scenario, []byte(threeNodes), 0o666); err != nil {
		t.Fatal(err)
	}
	program := func(args ...string) (status int, said string) {
		var out, notes bytes.Buffer
		status = cmd.Run(context.Background(), args, &out, &notes)
		return status, out.String() + notes.String()
	}
	if status, said := program("run", scenario, "--select", "scheduler=PowerOfNScheduler", "--first-address", "127.81.0.1",
		"--record", "--out", out); status != 0 {
		t.Fatalf("run: exit status %d: %s", status, said)
	}
	status, said := program("replay", out)
	if status != 0 || !strings.Contains(said, "3 logs, ") || !strings.Contains(said, ": all equal\n") {
		t.Errorf("replay: exit status %d: %s", status, said)
	}
	logs, err := filepath.Glob(filepath.Join(out, "*", "*", "*"+realnet.RecordSuffix))
	if err != nil || len(logs) != 3 {
		t.Fatalf("logs %v, %v", logs, err)
	}
	if status, said = program("replay", logs[1]); status != 0 || strings.Contains(said, "no log of") {
		t.Errorf("replay of one log: exit status %d: %s", status, said)
	}
	away := filepath.Join(dir, filepath.Base(logs[2]))
	if err := os.Rename(logs[2], away); err != nil {
		t.Fatal(err)
	}
	status, said = program("replay", out)
	if status != 0 || !strings.Contains(said, filepath.Dir(logs[2])+": no log of node 2 (127.81.0.3)\n") ||
		!strings.Contains(said, ": all equal; 1 log missing\n") {
		t.Errorf("replay where a log is missing: exit status %d: %s", status, said)
	}
	status, said = program("replay", out, "--json")
	var lacks struct {
		Equal, Whole bool
		Missing      []struct {
			Dir, Address string
			Node         int
		}
	}
	if err := json.Unmarshal([]byte(said), &lacks); err != nil || status != 0 || !lacks.Equal || lacks.Whole || len(lacks.Missing) != 1 ||
		lacks.Missing[0].Dir != filepath.Dir(logs[2]) || lacks.Missing[0].Node != 2 || lacks.Missing[0].Address != "127.81.0.3" {
		t.Errorf("replay --json where a log is missing: exit status %d, %v: %s", status, err, said)
	}
	if status, said = program("replay", dir); status != 0 || strings.Count(said, "no log of") != 1 { // away is alone where it is
		t.Errorf("replay of logs in two directories: exit status %d: %s", status, said)
	}
	if err := os.Rename(away, logs[2]); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(logs[2])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(logs[2], 0); err != nil {
		t.Fatal(err)
	}
	if status, said = program("replay", out); status != 0 || !strings.Contains(said, logs[2]+": the log is empty: the node was killed") ||
		!strings.Contains(said, ": all equal; 1 log incomplete\n") {
		t.Errorf("replay where a log is empty: exit status %d: %s", status, said)
	}
	if status, said = program("replay", logs[2]); status != 2 || !strings.Contains(said, "nothing is compared: ") {
		t.Errorf("replay of an empty log: exit status %d: %s", status, said)
	}
	if err := os.WriteFile(logs[2], whole, 0o666); err != nil {
		t.Fatal(err)
	}
	// By another program, and a line that is none of a log; the log of a node that has none of its lines is not missing.
	change(t, logs[0], `"program":"`, `"program":"v0.0.1-\u001b[31m`)
	change(t, logs[0], `{"did":{"Kind":"verdict"`, `{"did":{"Kind":"verdict","More":1`)
	if err := os.Truncate(logs[2], 0); err != nil {
		t.Fatal(err)
	}
	status, said = program("replay", out)
	if status != 2 || !strings.Contains(said, "before that are equal\n  recorded by p2pfaas v0.0.1-") ||
		strings.Contains(said, "no log of node") || strings.Contains(said, "\x1b") {
		t.Errorf("replay of a log that cannot be read: exit status %d: %s", status, said)
	}
	change(t, logs[1], `"Text":"forward to 0"`, `"Text":"forward to 2"`, `"Text":"forward to 2"`, `"Text":"forward to 0"`)
	status, said = program("replay", out)
	for _, words := range []string{"the first difference: line ", "recorded: ", "replayed: ", "1 of 3 nodes did otherwise"} {
		if status != 1 || !strings.Contains(said, words) {
			t.Errorf("replay of a changed log: exit status %d, and no %q: %s", status, words, said)
		}
	}
	status, said = program("replay", logs[1], "--json")
	var told struct {
		Equal bool
		Logs  []struct {
			Result     string
			Difference struct{ Line int }
		}
	}
	if err := json.NewDecoder(strings.NewReader(said)).Decode(&told); err != nil || status != 1 || told.Equal || len(told.Logs) != 1 ||
		told.Logs[0].Result != "differs" || told.Logs[0].Difference.Line == 0 {
		t.Errorf("replay --json of a changed log: exit status %d, %v: %s", status, err, said)
	}
	if err := os.Truncate(logs[0], 200); err != nil {
		t.Fatal(err)
	}
	if status, said = program("replay", logs[0]); status != 0 && status != 2 || strings.Contains(said, "all equal\n") {
		t.Errorf("replay of a log that breaks off: exit status %d: %s", status, said)
	}
	for what, words := range map[string]string{dir + "/nowhere": "no such file", t.TempDir(): "p2pfaas run --record", scenario: "no log of a node"} {
		if status, said := program("replay", what); status != 2 || !strings.Contains(said, words) {
			t.Errorf("replay %s: exit status %d: %s", what, status, said)
		}
	}
}

// change replaces the first of the texts, given in pairs, that a log has.
func change(t *testing.T, path string, pairs ...string) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	for ; len(pairs) > 0; pairs = pairs[2:] {
		if changed := bytes.Replace(text, []byte(pairs[0]), []byte(pairs[1]), 1); !bytes.Equal(changed, text) {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			_, _ = w.Write(changed)
			_ = w.Close()
			if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("%s has nothing to be changed: %.300s", path, text)
}
