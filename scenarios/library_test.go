package scenarios

import (
	"os"
	"strings"
	"testing"
)

func TestTheLibraryResolves(t *testing.T) {
	want := strings.Fields("bench-power-of-two campaign city-day fanout-sweep faults fidelity-loop fidelity heterogeneous lambda-sweep learner-latency learning-city mm1k " +
		"overload percom-2022 quickstart tcc-2020 threshold-sweep")
	if got := Library(); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the library has %v, want %v", got, want)
	}
	for _, name := range Library() {
		f, err := Load(name)
		if err != nil {
			t.Error(err)
			continue
		}
		points, err := f.Points()
		if err != nil {
			t.Error(err)
			continue
		}
		jobs := 0.0
		for _, p := range points {
			jobs += p.Scenario.ExpectedTasks() * float64(p.Scenario.Replications)
		}
		t.Logf("%-20s %3d points, %5.1f million jobs", name, len(points), jobs/1e6)
		if jobs > 80e6 {
			t.Errorf("%s: %.0f jobs are more than a minute's work of two cores", name, jobs)
		}
		if name == "lambda-sweep" && jobs > 10e6 {
			t.Errorf("lambda-sweep has %.0f jobs: more than the ten seconds that the README promises", jobs)
		}
		text, err := Source(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"# " + name + ": ", "# Question  ", "# Source    ",
			"# Expect    ", "\nname: " + name + "\n"} {
			if !strings.Contains(string(text), part) {
				t.Errorf("%s.yaml has no %q", name, part)
			}
		}
	}
}

// A directory of results that is called as a scenario of the library is not taken for it.
func TestLibraryBesideADirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("campaign", 0o777); err != nil {
		t.Fatal(err)
	}
	f, err := Load("campaign")
	if err != nil {
		t.Fatal(err)
	}
	if at, err := f.Origin(); err != nil || at != "campaign" {
		t.Errorf("the scenario is at %q, %v", at, err)
	}
	if _, err := Load("."); err == nil {
		t.Error("a directory is taken for a scenario")
	}
}
