package scenarios

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"testing/fstest"
)

// everything is what the scenario with every section of the format needs.
func everything(t testing.TB) fstest.MapFS {
	t.Helper()
	calibration, err := os.ReadFile(calibrationText)
	if err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{"x.csv": {Data: []byte("0,1\n1,2\n")}, "calibration.yaml": {Data: calibration}}
}

func TestEverySectionIsAccepted(t *testing.T) {
	data, err := os.ReadFile("testdata/good/everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse("everything.yaml", data, everything(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pointsOf(t, f) {
		if s := p.Scenario; len(s.Hosts) != 2 || s.Functions[0].CPU != 0.125 || s.Functions[1].CPU != 0 || s.Calibration.Cores != 2 {
			t.Errorf("point %d has %+v", p.Index, s)
		}
	}
}

// FuzzScenario: reading never panics, and what is accepted resolves to a text that is accepted and resolves to itself.
func FuzzScenario(f *testing.F) {
	for _, name := range Library() {
		text, err := Source(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, pattern := range []string{"testdata/bad/*.yaml", "testdata/good/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	dir := everything(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4<<10 {
			return
		}
		file, err := Parse("fuzz.yaml", data, dir)
		if err != nil {
			if len(err.Error()) < 10 {
				t.Errorf("an error says %q", err)
			}
			return
		}
		first := file.Resolved()
		again, err := Parse("resolved.yaml", first, dir)
		if err != nil {
			t.Fatalf("the resolved scenario is refused: %v\n%s", err, first)
		}
		if second := again.Resolved(); !bytes.Equal(first, second) {
			t.Fatalf("resolved to\n%s\nand that to\n%s", first, second)
		}
	})
}

// FuzzSet: what --set gives, whatever it is, is refused in words or makes points.
func FuzzSet(f *testing.F) {
	for _, c := range [][2]string{{"cluster.nodes", "7"}, {"workload.rate", "[1/s"}, {"sweep", "{scheduler: [{name: NoSchedule}, {name: JSQ}]}"},
		{"sweep.workload.rate", "{from: 1/s, to: 3/s, step: 1/s}"}, {"functions.f.service", "{distribution: exponential, mean: 1s}"},
		{"faults", "[{kind: crash, nodes: 1, at: 1s, for: 1s}]"}, {"learner", "{algorithm: sarsa}"}, {"scheduler", "{name: JSQ, d: 2}"}} {
		f.Add(c[0], c[1])
	}
	dir := everything(f)
	f.Fuzz(func(t *testing.T, key, value string) {
		if len(key)+len(value) > 1<<10 {
			return
		}
		file, err := Parse("plain.yaml", []byte(plain), dir)
		if err != nil {
			t.Fatal(err)
		}
		if file.Set(key, value) == nil {
			_, _ = file.Points()
		}
	})
}

// FuzzCalibration: reading never panics, and what is accepted is written as a text that is read to the same.
func FuzzCalibration(f *testing.F) {
	for _, path := range []string{calibrationText, "testdata/bad/calibrations/two-nodes.yaml", "testdata/bad/calibrations/wrong.yaml"} {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4<<10 {
			return
		}
		c, err := parseCalibration("fuzz.yaml", data)
		if err != nil {
			if len(err.Error()) < 10 {
				t.Errorf("an error says %q", err)
			}
			return
		}
		text := written(t, c)
		if again, err := parseCalibration("written.yaml", text); err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%v: written as\n%s\nand read as\n%+v, not\n%+v", err, text, again, c)
		}
	})
}
