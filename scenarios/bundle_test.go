package scenarios

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// A bundle gives the same points in another place, also where the scenario names files outside of its directory.
func TestBundle(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("traces/traffic_0.csv", "0.1\n0.5\n")
	write("traces/traffic_1.csv", "0.4\n0.2\n")
	write("own/latency.csv", "0,3\n3,0\n")
	write("measured/calibration.yaml", string(written(t, calibrated())))
	write("measured/again/calibration.yaml", string(written(t, calibrated()))+"# again\n")
	write("own/my.yaml", `name: my
duration: 10s
cluster:
  nodes: 2
  links: {latency_matrix: {file: latency.csv}}
functions: [{name: f, service: 10ms}]
workload: {curve: {file: "../traces/traffic_{node}.csv", min: 1/s, max: 9/s, period: 10s}}
scheduler: {name: NoScheduler}
calibration: ../measured/calibration.yaml
sweep: {cluster.slots: [1, 2], calibration: [../measured/calibration.yaml, ../measured/again/calibration.yaml]}
`)
	f, err := Load(filepath.Join(dir, "own/my.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	points, err := f.Points()
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := f.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	there := t.TempDir()
	for name, text := range bundle {
		if !filepath.IsLocal(name) {
			t.Errorf("%s leads out of the bundle", name)
		}
		path := filepath.Join(there, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(dir); err != nil { // nothing is read from there any more
		t.Fatal(err)
	}
	g, err := Load(filepath.Join(there, BundleFile))
	if err != nil {
		t.Fatalf("%v\n%s", err, bundle[BundleFile])
	}
	again, err := g.Points()
	if err != nil {
		t.Fatalf("%v\n%s", err, bundle[BundleFile])
	}
	if len(again) != len(points) || len(bundle) != 6 {
		t.Fatalf("%d points, %d there; files %d", len(points), len(again), len(bundle))
	}
	for i := range points {
		a, b := points[i].Scenario, again[i].Scenario
		if a.ExpectedTasks() != b.ExpectedTasks() || a.Cluster.Links.Latency[0][1] != b.Cluster.Links.Latency[0][1] ||
			a.Cluster.Groups[0].Slots != b.Cluster.Groups[0].Slots || !reflect.DeepEqual(a.Calibration, b.Calibration) {
			t.Errorf("point %d is another one", i)
		}
	}
}

// A scenario that is stored elsewhere is read as if it lay where it came from, the library included.
func TestLoadFrom(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "of-weights.yaml")
	if err := os.WriteFile(filepath.Join(dir, "r.csv"), []byte("time\n0.5\n1.5\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(plain, "workload: {rate: 1/s}", "workload: {arrivals: replay, trace: {file: r.csv}}", 1)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{path, "fidelity"} {
		f, err := Load(from)
		if err != nil {
			t.Fatal(err)
		}
		origin, err := f.Origin()
		if err != nil {
			t.Fatal(err)
		}
		t.Chdir(t.TempDir())
		g, err := LoadFrom(origin, f.Resolved())
		if err != nil {
			t.Fatalf("%s from %s: %v", from, origin, err)
		}
		if a, b := pointsOf(t, f), pointsOf(t, g); len(a) != len(b) || a[0].Scenario.ExpectedTasks() != b[0].Scenario.ExpectedTasks() {
			t.Errorf("%s: other points are read from %s", from, origin)
		}
	}
}
