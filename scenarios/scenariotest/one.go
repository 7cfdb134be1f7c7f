package scenariotest

import (
	"io/fs"
	"os"
	"testing"

	"github.com/p2pfaas/p2pfaas/scenarios"
)

// One is the scenario of a text that has no sweep. Its data files are found by their paths, from the test's directory.
func One(t testing.TB, text string) *scenarios.Scenario {
	t.Helper()
	f, err := scenarios.Parse("test.yaml", []byte(text), disk{})
	if err != nil {
		t.Fatal(err)
	}
	points, err := f.Points()
	if err != nil {
		t.Fatal(err)
	}
	if len(points) != 1 {
		t.Fatalf("the scenario has %d points, not one", len(points))
	}
	return points[0].Scenario
}

type disk struct{}

func (disk) Open(name string) (fs.File, error) { return os.Open(name) }
