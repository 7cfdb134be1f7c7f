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
