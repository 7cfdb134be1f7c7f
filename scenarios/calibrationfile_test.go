package scenarios

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// calibrated is a calibration with all that one can have; no values stand for 0 in the timer.
func calibrated() *Calibration {
	return &Calibration{
		Measured: Measured{At: time.Date(2026, 11, 28, 19, 0, 0, 123456789, time.UTC), Host: "linux/amd64, 2 × \"cores\"",
			Version: "v0.5.0: 1a2b3c", Scenario: "fidelity", Target: "local", Seed: math.MaxUint64, Requests: 5000},
		Cores: 2,
		Link:  Spread{0, 1, 123456, 123456, 1234567890},
		Costs: Costs{
			Client:  Cost{Time: Spread{400 * time.Microsecond, 512345}, CPU: 350 * time.Microsecond},
			Probe:   Cost{Time: Spread{300 * time.Microsecond}, CPU: 1},
			Forward: Cost{CPU: 250 * time.Microsecond},
			Return:  Cost{Time: Spread{time.Millisecond}},
			Call:    Cost{Time: Spread{2 * time.Minute}, CPU: time.Second},
			Act:     Cost{CPU: 3},
		},
		Idle: 0.0125,
		Functions: map[string]CalibratedFunction{
			"work": {Stretch: 1.002, Call: Cost{Time: Spread{time.Microsecond, 999999999}, CPU: 12345}, CPU: 0.98,
				Slowdown: []Slowdown{{1, 1, 1}, {2, 1.01, 1}, {4, 2.0300000000000002, 1.96}}},
			"face-detect": {Stretch: 1, CPU: 1. / 3, Service: Spread{78 * time.Millisecond, 80123456 * time.Nanosecond},
				Fits: []Fit{{"{distribution: lognormal, mean: 80ms, scv: 0.3}", -1234.5678901234567, 0.012, 0.4},
					{"80ms", 7e-300, 0.3, 0}},
				Nodes: []float64{1, 1.02}},
		},
	}
}

func written(t testing.TB, c *Calibration) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestACalibrationIsReadAsItIsWritten(t *testing.T) {
	for name, c := range map[string]*Calibration{"full": calibrated(), "least": {
		Measured: Measured{Scenario: "x", Target: "nodes", Requests: 1}, Cores: 1}, "doubtful": {
		Measured: Measured{Scenario: "x", Target: "nodes", Requests: 1, Notes: []string{"others kept 0.5 of 2 cores busy: end them", `a #, and "it"`}},
		Cores:    1}} {
		path := filepath.Join(t.TempDir(), "calibration.yaml")
		first := written(t, c)
		if err := os.WriteFile(path, first, 0o666); err != nil {
			t.Fatal(err)
		}
		again, err := ReadCalibration(path)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, first)
			continue
		}
		if !reflect.DeepEqual(again, c) {
			t.Errorf("%s: read\n%+v, want\n%+v", name, again, c)
		}
		if second := written(t, again); !bytes.Equal(first, second) {
			t.Errorf("%s: written\n%s\nand then\n%s", name, first, second)
		}
	}
	if _, err := ReadCalibration("nowhere.yaml"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// The time is the same in another zone.
func TestACalibrationIsInUTC(t *testing.T) {
	c := calibrated()
	c.Measured.At = c.Measured.At.In(time.FixedZone("", 3600))
	if text := written(t, c); !bytes.Equal(text, written(t, calibrated())) {
		t.Errorf("written\n%s", text)
	}
}

const calibrationText = "testdata/calibration.yaml"

// What is written is for people too: its golden file.
func TestTheTextOfACalibration(t *testing.T) {
	got := written(t, calibrated())
	if *update {
		if err := os.WriteFile(calibrationText, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(calibrationText)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestCalibrationsAreReadStrictly(t *testing.T) {
	text := string(written(t, calibrated()))
	for _, c := range []struct {
		old, new string
		want     string // all problems
	}{
		{"cores: 2", "core: 2", "c.yaml:2:1: cores: the key is missing: write cores: 4, for example\n" +
			`c.yaml:10:1: the key "core" is not known here: did you mean cores? (known: measured, cores, timer, link, costs, functions, idle)`},
		{"cores: 2", "cores: 0", "c.yaml:10:8: cores: 0 is less than 1: write 1 or more"},
		{"timer:\n  times: []", "timer: {}", "c.yaml:11:8: timer.times: the key is missing: write times: [50us, 60us], for example"},
		{"[0s, 1ns, ", "[0s, 1, ", "c.yaml:14:15: link.times.1: 1 has no unit: write a duration with one of ns us ms s min h d, like 200ms"},
		{"[0s, 1ns, ", "[0s, 1h, ", "c.yaml:14:19: link.times.2: 123456ns comes after 1h: write the times in ascending order"},
		{"[0s, 1ns, ", "[-1s, 1ns, ", "c.yaml:14:11: link.times.0: -1s is negative: write a duration of 0 or more"},
		{"times: [0s, 1ns, 123456ns, 123456ns, 1234567890ns]", "times: 3s",
			"c.yaml:14:10: link.times: found a single value where a list of times belongs: write [50us, 60us], or [] for none"},
		{"at: 2026-11-28T19:00:00.123456789Z", "at: yesterday",
			`c.yaml:3:7: measured.at: "yesterday" is not a time: write one like 2026-11-28T19:00:00Z`},
		{"target: local", "target: here",
			`c.yaml:7:11: measured.target: "here" is not known here: write one of local, compose, hosts, nodes`},
		{"seed: 18446744073709551615", "seed: -1",
			"c.yaml:8:9: measured.seed: -1 is negative: write a whole number of 0 or more"},
		{"requests: 5000", "requests: 5e3",
			"c.yaml:9:13: measured.requests: 5e3 is not written as a whole number: write digits only, like 4"},
		{"stretch: 1.002", "stretch: 0", "c.yaml:47:14: functions.work.stretch: 0 is not more than 0: write more"},
		{"cpu: 0.98", "cpu: 120%", "c.yaml:48:10: functions.work.cpu: 120% is more than 1: write a number from 0 to 1, or 0% to 100%"},
		{"stretch: 1.002\n    cpu: 0.98", "stretch: .nan\n    cpu: 98", // several at once
			`c.yaml:47:14: functions.work.stretch: ".nan" is not a number: write one, like 1.5, without a unit` + "\n" +
				"c.yaml:48:10: functions.work.cpu: 98 is more than 1: write a number from 0 to 1, or 0% to 100%"},
		{"{at_once: 2,", "{at_once: 1,", "c.yaml:54:19: functions.work.slowdown.1.at_once: 1 comes after 1: write each number once, in ascending order"},
		{"factor: 1.01,", "factor: 0,", "c.yaml:54:30: functions.work.slowdown.1.factor: 0 is not more than 0: write more"},
		{"aic: 7e-300", "aic: -2e3", "c.yaml:44:35: functions.face-detect.fits.1.aic: -2000 comes after -1234.5678901234567: " +
			"write the best fit first, the one with the least aic"},
		{"aic: 7e-300", "aic: .inf", `c.yaml:44:35: functions.face-detect.fits.1.aic: ".inf" is not a number: write one, like -1.5, without a unit`},
		{"distribution: 80ms", "distribution: 80",
			"c.yaml:44:24: functions.face-detect.fits.1.distribution: this is no distribution: 80 has no unit: write a duration " +
				"with one of ns us ms s min h d, like 200ms"},
		{"distribution: 80ms", `distribution: "{distribution: empirical, file: /dev/zero}"`,
			"c.yaml:44:24: functions.face-detect.fits.1.distribution: this is no distribution: cannot open the data file /dev/zero: " +
				"file does not exist: write a path relative to the scenario"},
		{"nodes: [1, 1.02]", "nodes: [1, 0]", "c.yaml:45:16: functions.face-detect.nodes.1: 0 is not more than 0: write more"},
		{"\n  work:", "\n  work here:", `c.yaml:46:3: functions: "work here" is not a name: write letters, digits, - and _ only`},
		{"    call:\n      cpu: 12345ns\n      times: [1us, 999999999ns]\n", "",
			"c.yaml:47:5: functions.work.call: the key is missing: write call: {cpu: 350us, times: [400us, 500us]}, for example"},
	} {
		if strings.Count(text, c.old) != 1 {
			t.Fatalf("%q is not once in\n%s", c.old, text)
		}
		_, err := parseCalibration("c.yaml", []byte(strings.Replace(text, c.old, c.new, 1)))
		var problems Problems
		if !errors.As(err, &problems) || err.Error() != c.want {
			t.Errorf("%s:\n%v, want\n%s", c.new, err, c.want)
		}
	}
	long := "cores: 2\nlink: {times: [" + strings.Repeat("1s, ", spreadLimit) + "1s]}\n"
	if _, err := parseCalibration("c.yaml", []byte(long)); err == nil ||
		!strings.Contains(err.Error(), "c.yaml:2:15: link.times: there are 1001 times: write 1000 at most") {
		t.Errorf("a long list: %v", err)
	}
	if _, err := parseCalibration("c.yaml", []byte("[]")); err == nil ||
		!strings.Contains(err.Error(), "write a calibration (p2pfaas calibrate makes one)") {
		t.Errorf("a list: %v", err)
	}
}

// What could not be read is not written.
func TestWriteRefusesWhatIsWrong(t *testing.T) {
	for want, spoil := range map[string]func(c *Calibration){
		"link.times.1: 1ns comes after 2ns":                  func(c *Calibration) { c.Link = Spread{2, 1} },
		"costs.probe.cpu: -5ns is negative":                  func(c *Calibration) { c.Costs.Probe.CPU = -5 },
		"measured.target: \"\" is not known here":            func(c *Calibration) { c.Measured.Target = "" },
		"functions.f.stretch: \"NaN\" is not a number":       func(c *Calibration) { c.Functions["f"] = CalibratedFunction{Stretch: math.NaN()} },
		"functions.f.stretch: 0 is not more than 0":          func(c *Calibration) { c.Functions["f"] = CalibratedFunction{} },
		"functions: \"f g\" is not a name":                   func(c *Calibration) { c.Functions["f g"] = CalibratedFunction{Stretch: 1} },
		"functions.f.nodes.0: \"+Inf\" is not a number":      func(c *Calibration) { c.Functions["f"] = CalibratedFunction{Stretch: 1, Nodes: []float64{math.Inf(1)}} },
		"functions.f.fits.0.distribution: this is no distri": func(c *Calibration) { c.Functions["f"] = CalibratedFunction{Stretch: 1, Fits: []Fit{{}}} },
	} {
		c := calibrated()
		spoil(c)
		var b bytes.Buffer
		if err := c.Write(&b); err == nil || b.Len() > 0 || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s; %d bytes are written", err, want, b.Len())
		}
	}
}

// busyWork is a scenario with functions of every source of their cpu.
const busyWork = `duration: 100s
cluster: {nodes: 2}
functions:
  - {name: sleeps, service: 1s}
  - {name: work, service: 1s, backend: loop}
  - {name: face-detect, service: 1s, backend: face-detect}
  - {name: known, service: 1s, backend: loop, cpu: 25%}
workload: {rate: 1/s}
scheduler: {name: NoScheduler}
`

func disk(t testing.TB) fstest.MapFS {
	return fstest.MapFS{"cal.yaml": {Data: written(t, calibrated())}}
}

func cpus(s *Scenario) (cpus []float64) {
	for _, f := range s.Functions {
		cpus = append(cpus, f.CPU)
	}
	return cpus
}

// A calibration says what a function's cpu is, unless the scenario does; without both it is what the backend means.
func TestTheCPUOfFunctions(t *testing.T) {
	f, err := Parse("test.yaml", []byte(busyWork), disk(t))
	if err != nil {
		t.Fatal(err)
	}
	s := pointsOf(t, f)[0].Scenario
	without := s
	if got, want := cpus(s), []float64{0, 1, 1, 0.25}; !reflect.DeepEqual(got, want) || s.Calibration != nil {
		t.Errorf("without a calibration %v, want %v", got, want)
	}
	if err := f.Set("calibration", "cal.yaml"); err != nil {
		t.Fatal(err)
	}
	s = pointsOf(t, f)[0].Scenario
	if got, want := cpus(s), []float64{0, 0.98, 1. / 3, 0.25}; !reflect.DeepEqual(got, want) {
		t.Errorf("with a calibration %v, want %v", got, want)
	}
	if !reflect.DeepEqual(s.Calibration, calibrated()) {
		t.Errorf("the calibration is %+v", s.Calibration)
	}
	for i := range s.Functions { // real nodes do not know what was measured
		if told, plain := s.Functions[i].MeanService, without.Functions[i].MeanService; told != plain {
			t.Errorf("algorithms are told that %s takes %v, and %v without a calibration", s.Functions[i].Name, told, plain)
		}
	}
	if measured := s.Functions[2].Service.Mean(); measured == without.Functions[2].Service.Mean() {
		t.Errorf("the service time of %s is not what was measured: %v", s.Functions[2].Name, measured)
	}
	for value, want := range map[string]float64{"50%": 0.5, "0": 0, "auto": 0.98} {
		if err := f.Set("functions.work.cpu", value); err != nil {
			t.Fatal(err)
		}
		if got := pointsOf(t, f)[0].Scenario.Functions[1].CPU; got != want {
			t.Errorf("cpu: %s is %v, want %v", value, got, want)
		}
	}
}

// A resolved scenario takes another calibration and another backend as the scenario would.
func TestAResolvedScenarioWithACalibration(t *testing.T) {
	files := disk(t)
	f, err := Parse("test.yaml", []byte(busyWork+
		"hosts: [{name: laptop, cores: 2, functions: [work], load: true}, {name: pi, cores: 4, nodes: [0-1], functions: [sleeps]}]\n"), files)
	if err != nil {
		t.Fatal(err)
	}
	before := pointsOf(t, parse(t, string(f.Resolved())))[0].Scenario
	if err := f.Set("calibration", "cal.yaml"); err != nil {
		t.Fatal(err)
	}
	s := pointsOf(t, f)[0].Scenario
	text := f.Resolved()
	for _, want := range []string{"\ncalibration:\n  path: cal.yaml\n  sha256: ", "\n    cpu: auto\n", "\n    cpu: 0.25\n",
		"\nhosts:\n  - name: laptop\n    cores: 2\n    functions: [work]\n    load: true\n  - name: pi\n    cores: 4\n    nodes: [0-1]\n"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	if v, err := asJSON(t, text); err != nil || resolvedSchema(t).Validate(v) != nil {
		t.Errorf("the schema refuses\n%s", text)
	}
	g := readAgain(t, f, files)
	again := pointsOf(t, g)[0].Scenario
	if !reflect.DeepEqual(again.Hosts, s.Hosts) || !reflect.DeepEqual(again.Calibration, s.Calibration) ||
		!reflect.DeepEqual(cpus(again), cpus(s)) || !reflect.DeepEqual(before.Hosts, s.Hosts) {
		t.Errorf("the scenario is %+v, resolved and read again %+v", s, again)
	}
	if second := g.Resolved(); !bytes.Equal(text, second) {
		t.Errorf("resolved to\n%s\nand that to\n%s", text, second)
	}
	if err := g.Set("functions.work.backend", "sleep"); err != nil {
		t.Fatal(err)
	}
	if err := g.Set("calibration", "other.yaml"); err != nil {
		t.Fatal(err)
	}
	other := calibrated()
	other.Functions = nil
	files["other.yaml"] = &fstest.MapFile{Data: written(t, other)}
	if got, want := cpus(pointsOf(t, g)[0].Scenario), []float64{0, 0, 1, 0.25}; !reflect.DeepEqual(got, want) {
		t.Errorf("with another calibration %v, want %v", got, want)
	}
	files["cal.yaml"].Data = append(files["cal.yaml"].Data, "# changed\n"...)
	if _, err := Parse("resolved.yaml", text, files); err == nil || !strings.Contains(err.Error(), "has another digest") {
		t.Errorf("with a changed calibration: %v", err)
	}
}

func TestCalibrationsAreSwept(t *testing.T) {
	files := disk(t)
	other := calibrated()
	other.Link = Spread{5}
	files["other.yaml"] = &fstest.MapFile{Data: written(t, other)}
	f, err := Parse("test.yaml", []byte(busyWork+`
hosts: [{name: laptop, cores: 2, nodes: all}]
sweep:
  calibration: [cal.yaml, other.yaml]
  hosts.laptop.cores: [1, 4]
  functions.work.cpu: [auto, 10%]
`), files)
	if err != nil {
		t.Fatal(err)
	}
	ps := pointsOf(t, f)
	if got, want := values(ps[4:7]), "other.yaml 1 auto\nother.yaml 1 10%\nother.yaml 4 auto\n"; len(ps) != 8 || got != want {
		t.Fatalf("%d points, some are\n%s", len(ps), got)
	}
	for _, at := range []*File{f, readAgain(t, f, files)} {
		s := pointsOf(t, at)[7].Scenario
		if s.Hosts[0].Cores != 4 || s.Functions[1].CPU != 0.1 || len(s.Calibration.Link) != 1 {
			t.Errorf("the last point has the hosts %+v, cpu %v, link %v", s.Hosts, s.Functions[1].CPU, s.Calibration.Link)
		}
	}
	if n := bytes.Count(f.Resolved(), []byte("sha256: ")); n != 2 {
		t.Errorf("%d digests, want 2, in\n%s", n, f.Resolved())
	}
	files["cal.yaml"].Data = []byte("cores: 2\n")
	_, err = Parse("test.yaml", []byte(busyWork+"sweep: {calibration: [cal.yaml], seed: [1, 2, 3]}\n"), files)
	if problems := (Problems{}); !errors.As(err, &problems) || len(problems) != 4 {
		t.Errorf("four keys are missing, for all points: %v", err)
	}
}

// readAgain reads what a file resolves to.
func readAgain(t *testing.T, f *File, files fs.FS) *File {
	t.Helper()
	g, err := Parse("resolved.yaml", f.Resolved(), files)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// A scenario of the library takes a calibration from the disk, by its absolute path.
func TestTheLibraryTakesACalibration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cal.yaml")
	if err := os.WriteFile(path, written(t, calibrated()), 0o666); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	f, err := Load("quickstart")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range [][2]string{{"calibration", path}, {"hosts", "[{name: laptop, cores: 2, nodes: all, load: true}]"}, {"cluster.nodes", "2"}} {
		if err := f.Set(s[0], s[1]); err != nil {
			t.Fatal(err)
		}
	}
	s := pointsOf(t, f)[0].Scenario
	if len(s.Hosts) != 1 || len(s.Hosts[0].Nodes) != 2 || s.Calibration == nil || s.Functions[0].CPU != 1./3 {
		t.Errorf("the hosts are %+v, the calibration %+v", s.Hosts, s.Calibration)
	}
	if err := f.Set("calibration", "nowhere.yaml"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Points(); err == nil || !strings.HasPrefix(err.Error(), "--set calibration=nowhere.yaml: calibration.path: cannot read "+
		"the calibration nowhere.yaml: file does not exist: write the path, relative to the scenario, ") {
		t.Errorf("a calibration that is not there: %v", err)
	}
}
