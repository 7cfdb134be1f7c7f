package simnet

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/scenarios"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestLibraryDigests runs the beginning of the first and the last point of every scenario of the library. The digest of
// all inputs delivered to nodes is the same on every machine and in every process; where it changes, so do the results of
// everybody who runs the scenario, and the changelog must say so.
func TestLibraryDigests(t *testing.T) {
	var b strings.Builder
	for _, name := range scenarios.Library() {
		f, err := scenarios.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		points, err := f.Points()
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []int{0, len(points) - 1} {
			s := *points[i].Scenario
			const tasks = 5000
			if n := s.ExpectedTasks(); n > tasks {
				s.Duration = time.Duration(float64(s.Duration) * tasks / n)
				s.Warmup = s.Duration / 10
			}
			w, err := New(&s, 0, Options{})
			if err != nil {
				t.Fatal(err)
			}
			r, err := w.Run(never)
			if err != nil {
				t.Fatalf("%s, point %d: %v", name, i, err)
			}
			fmt.Fprintf(&b, "%-20s %3d %6d jobs %7d events %016x\n", name, i, r.Jobs, r.Events, r.Digest)
		}
	}
	golden := filepath.Join("testdata", "digests.txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(b.String(), "\n")
	for i, line := range strings.Split(string(want), "\n") {
		if i >= len(got) || got[i] != line {
			t.Errorf("line %d: got %q, want %q", i+1, got[min(i, len(got)-1)], line)
		}
	}
}
