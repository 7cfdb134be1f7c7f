package cmd_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A module of a user's own registers an algorithm and gets the whole tool.
func TestOwnModule(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds a module")
	}
	binary := filepath.Join(t.TempDir(), "example")
	build := exec.Command("go", "build", "-ldflags", "-s", "-o", binary, ".") // linked in half the time, without tables for debuggers
	build.Dir = filepath.Join("..", "docs", "example")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(binary, "schedulers", "KeepOrPass").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "fanout") {
		t.Errorf("schedulers KeepOrPass: %v\n%s", err, out)
	}
	sim := exec.Command(binary, "sim", "two-choices.yaml", "--duration", "5s", "--out", filepath.Join(t.TempDir(), "run"))
	sim.Dir = build.Dir
	if out, err := sim.CombinedOutput(); err != nil || !strings.Contains(string(out), "KeepOrPass") {
		t.Errorf("sim: %v\n%s", err, out)
	}
}
