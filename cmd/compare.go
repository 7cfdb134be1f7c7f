package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/realnet/calibrate"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/results/compare"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// compareFlags are the flags of compare.
type compareFlags struct {
	runFlags
	real        []string
	calibration string
	repeat      int
	margins     []string
}

func newCompare() *cobra.Command {
	var f compareFlags
	c := &cobra.Command{
		Use:   "compare SCENARIO | RUN_A RUN_B",
		Short: "how far simulation and reality are apart, and why",
		Long: `compare SCENARIO calibrates the simulator on real nodes of this machine, runs the scenario on real nodes, simulates the same
requests, and writes a report: both distributions of latency on each other, the difference of each metric with an interval
and a verdict, where the time went on each side, and what explains the gap. The calibration is over before the run begins,
and sends other requests.

With two directories of runs (their records complete: --records all) it compares these: B with the reference A, simulation with
reality, reality with reality, or simulation with simulation.

A verdict is that of an equivalence test: equivalent where the 90 % interval of the difference lies within the margin,
different where it lies outside, undecided otherwise. It rests on the requests of this one real run; --repeat 2 shows
how much real runs differ from each other. The exit status is 1 if a difference, as it is estimated and whatever its
interval, is beyond a margin that was given, or what a node recorded is not repeated by its replay.`,
		Example: `  p2pfaas compare fidelity
  p2pfaas compare quickstart --duration 30s --margin p95=5% --margin drop_rate=1pp
  p2pfaas compare my.yaml --repeat 2                    # how repeatable is reality?
  p2pfaas compare my.yaml --real runs/pis --calibration pis.yaml
  p2pfaas compare runs/monday runs/tuesday --json`,
		Args:              wants(1, 2, "one scenario, or the directories of two runs"),
		ValidArgsFunction: completeScenario,
		RunE:              func(c *cobra.Command, args []string) error { return f.run(c, args) },
	}
	f.scenarioFlags.add(c)
	f.outputFlags.add(c)
	fl := c.Flags()
	fl.Lookup("records").Hidden = true // all of them
	fl.StringArrayVar(&f.margins, "margin", nil, "how far a metric may be off: --margin p95=5%, --margin drop_rate=1pp; may be repeated")
	fl.StringArrayVar(&f.real, "real", nil, "compare with this run, of run or load, instead of a new one; a second one is taken for its repetition")
	fl.StringVar(&f.calibration, "calibration", "", "simulate with this calibration instead of a new one")
	fl.IntVar(&f.repeat, "repeat", 1, "times that the scenario is run on real nodes: the first is compared with the second, too")
	fl.StringVar(&f.first, "first-address", "127.0.0.1", "loopback address of the first node; the others have the next ones")
	fl.BoolVar(&f.record, "record", false, "log every input of every node, and verify by replay that each decision is repeated")
	addPayloads(c, &f.payloads, &f.timeout)
	return c
}

func (f *compareFlags) run(c *cobra.Command, args []string) error {
	stated, err := compare.ParseMargins(f.margins...)
	if len(args) == 2 {
		for _, name := range []string{"real", "calibration", "repeat", "record", "seed", "duration", "replications", "set", "select",
			"first-address", "payload", "request-timeout", "format"} {
			if c.Flags().Changed(name) {
				err = errors.Join(err, fmt.Errorf("--%s is for a scenario, and these are two runs: leave it out", name))
			}
		}
	}
	if len(f.real) > 0 && f.calibration != "" {
		for _, name := range []string{"first-address", "payload", "request-timeout"} {
			if c.Flags().Changed(name) {
				err = errors.Join(err, fmt.Errorf("--%s is for real nodes, and --real and --calibration have what they did: leave it out", name))
			}
		}
	}
	switch {
	case c.Flags().Changed("records"):
		err = errors.Join(err, errors.New("--records: a comparison needs all of them: leave it out"))
	case f.repeat < 1 || f.repeat > 2:
		err = errors.Join(err, fmt.Errorf("--repeat %d: write 1, or 2 to see how far reality is from itself", f.repeat))
	case len(f.real) > 2:
		err = errors.Join(err, errors.New("--real: give one run, or two of the same scenario"))
	case len(f.real) > 0 && c.Flags().Changed("repeat"):
		err = errors.Join(err, errors.New("--repeat runs the scenario, and --real has it run already: leave one out"))
	case len(f.real) > 0 && f.record:
		err = errors.Join(err, errors.New("--record records a run, and --real has one: leave one out (its logs are found)"))
	}
	if err != nil {
		return input(err)
	}
	f.records = string(results.All)
	x := &comparison{flags: f, out: c.OutOrStdout(), notes: c.ErrOrStderr(), options: compare.Options{Margins: compare.Margins(stated...)}}
	if len(args) == 2 {
		return x.runs(c.Context(), args[0], args[1])
	}
	return x.scenario(c, args[0])
}

// comparison is one invocation of compare.
type comparison struct {
	flags   *compareFlags
	out     io.Writer
	notes   io.Writer
	options compare.Options
	dir     string
}

// runs compares two runs that exist.
func (x *comparison) runs(ctx context.Context, first, second string) error {
	var opened [2]*results.Run
	var problems []error
	for i, dir := range []string{first, second} {
		r, err := results.Open(dir)
		problems = append(problems, err)
		opened[i] = r
	}
	if err := errors.Join(problems...); err != nil {
		return input(err)
	}
	if err := x.open(opened[0].Name + "-compare"); err != nil {
		return input(err)
	}
	m, err := modelOf(opened[1])
	if err != nil {
		fmt.Fprintf(x.notes, "note: causes are not put right in a simulation: %v\n", err)
	}
	c, err := x.compare(ctx, opened[0], opened[1], m)
	if err != nil {
		return err
	}
	if m != nil && m.points[0].Scenario.Calibration != nil {
		k := m.points[0].Scenario.Calibration
		if opened[0].World == "real" {
			if err := independent(k, opened[0]); err != nil {
				c.Notes = append(c.Notes, capitalised(err.Error())+".")
			}
		}
		c.Calibration = provenance(k, "")
	}
	return x.report(c)
}

// early finds what would be wrong later, before minutes are spent; all problems at once.
func (x *comparison) early(c *cobra.Command, path string, file *scenarios.File, points []scenarios.Point, given *scenarios.Calibration) error {
	f := x.flags
	var problems []error
	for _, key := range file.Swept() {
		if key == "calibration" || key == "hosts" || strings.HasPrefix(key, "hosts.") {
			problems = append(problems, fmt.Errorf("%s is swept, and a comparison says itself what is calibrated and what shares a machine: "+
				"simulate the sweep by itself (p2pfaas sim --records all), and compare two runs", key))
		}
	}
	for _, dir := range f.real {
		r, err := results.Open(dir)
		if err == nil && r.World != "real" {
			err = fmt.Errorf("--real %s is a simulation: write p2pfaas compare RUN_A RUN_B to compare two runs, whatever they are", dir)
		}
		if seed := points[0].Scenario.Seed; err == nil && r.Seed != seed {
			err = fmt.Errorf("--real %s was run with the seed %d, and the scenario has %d, that is, other requests: add --seed %d", dir, r.Seed, seed, r.Seed)
		}
		if err == nil && r.Keep.Mode != results.All {
			err = fmt.Errorf("--real %s has records of some of its requests, and a comparison needs them all: repeat it with --records all", dir)
		}
		if err == nil && given != nil {
			err = independent(given, r)
		}
		problems = append(problems, err)
	}
	if len(f.real) == 0 {
		_, err := f.prepare(c, path)
		problems = append(problems, err)
	}
	if given != nil && given.Measured.Seed == points[0].Scenario.Seed {
		problems = append(problems, fmt.Errorf("--calibration %s was made with the scenario's seed %d, so that it may have met the same requests: "+
			"calibrate with another --seed", f.calibration, given.Measured.Seed))
	}
	if points[0].Scenario.Calibration != nil {
		fmt.Fprintln(x.notes, "note: the scenario's own calibration is not used: give it with --calibration for that")
	}
	return errors.Join(problems...)
}

// open makes the directory of the results.
func (x *comparison) open(name string) (err error) {
	if x.dir = x.flags.out; x.dir == "" {
		if x.dir, err = results.DefaultDir(name, time.Now()); err != nil {
			return err
		}
	}
	if entries, err := os.ReadDir(x.dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s: %w", x.dir, results.ErrNotEmpty)
	}
	return os.MkdirAll(x.dir, 0o777)
}

// scenario calibrates, runs, simulates, and compares.
func (x *comparison) scenario(c *cobra.Command, path string) error {
	f, ctx := x.flags, c.Context()
	file, points, err := f.scenario(c, path, true)
	if err != nil {
		return input(err)
	}
	var given *scenarios.Calibration
	if f.calibration != "" {
		if given, err = scenarios.ReadCalibration(f.calibration); err != nil {
			return input(err)
		}
	}
	if err := x.early(c, path, file, points, given); err != nil {
		return input(err)
	}
	if err := x.open(file.Name() + "-compare"); err != nil {
		return input(err)
	}
	calibration, err := x.calibration(ctx, given, file, points)
	if err != nil {
		return err
	}
	m, err := x.model(file, calibration) // what is wrong with it is told before the run
	if err != nil {
		return err
	}
	real, err := x.reality(c, path, 0)
	if err != nil {
		return err
	}
	late := independent(calibration, real)
	if late != nil && (len(f.real) == 0 || given != nil) {
		return input(late)
	}
	simulated, err := x.simulate(ctx, m)
	if err != nil {
		return err
	}
	if f.pick != "" { // the run that was given may have others
		for _, p := range simulated.Points {
			x.options.Points = append(x.options.Points, simulated.Label(p))
		}
	}
	result, err := x.compare(ctx, real, simulated, m)
	if err != nil {
		return err
	}
	result.Calibration = provenance(calibration, filepath.Join(x.dir, calibrationFile))
	if late != nil {
		result.Notes = append(result.Notes, capitalised(late.Error())+".")
	}
	if max(f.repeat, len(f.real)) > 1 {
		again, err := x.reality(c, path, 1)
		if err != nil {
			return err
		}
		fmt.Fprintln(x.notes, "comparing reality with itself")
		if result.Floor, err = compare.Runs(real, again, x.options); err != nil {
			return err
		}
	}
	return x.report(result)
}

// independent is an error where a calibration may know the run that it serves to predict: it was made after that began, or with its seed.
func independent(k *scenarios.Calibration, run *results.Run) error {
	switch {
	case k.Measured.Seed == run.Seed:
		return fmt.Errorf("the calibration was made with the seed %d of the run %s, so that it may have met the same requests: calibrate with another --seed",
			run.Seed, run.Dir)
	case k.Measured.At.After(run.Started):
		return fmt.Errorf("the calibration is of %v, after the run %s began (%v): a prediction needs one from before that", k.Measured.At.Format(time.RFC3339),
			run.Dir, run.Started.Format(time.RFC3339))
	}
	return nil
}

func provenance(k *scenarios.Calibration, file string) *compare.Provenance {
	m := &k.Measured
	return &compare.Provenance{File: file, Host: m.Host, Target: m.Target, At: m.At, Seed: m.Seed, Requests: m.Requests, Notes: m.Notes}
}

func capitalised(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// calibrationFile is the name of the calibration in the directory of a comparison.
const calibrationFile = "calibration.yaml"

// calibration is the one that was given, or a new one, of which the directory has a copy.
func (x *comparison) calibration(ctx context.Context, k *scenarios.Calibration, file *scenarios.File, points []scenarios.Point) (*scenarios.Calibration, error) {
	if k == nil {
		var err error
		f := x.flags
		o := calibrate.Options{Seed: calibrationSeed, Timeout: f.timeout}
		if o.Seed == points[0].Scenario.Seed {
			o.Seed++
		}
		if o.Payloads, err = readPayloads(points[0].Scenario, f.payloads); err != nil {
			return nil, input(err)
		}
		if k, err = calibrateLocal(ctx, file, points, f.first, o, x.notes); err != nil {
			return nil, err
		}
	}
	return k, writeCalibration(filepath.Join(x.dir, calibrationFile), k)
}

// reality runs the scenario on real nodes, for the first or the second time, or opens the run that was given.
func (x *comparison) reality(c *cobra.Command, path string, time int) (*results.Run, error) {
	f := x.flags
	if len(f.real) > 0 {
		r, err := results.Open(f.real[time])
		return r, input(err)
	}
	flags := f.runFlags
	flags.out = filepath.Join(x.dir, []string{"real", "real-again"}[time])
	r, err := flags.prepare(c, path)
	if err != nil {
		return nil, err
	}
	r.out, r.json = io.Discard, false
	if err := r.run(c.Context(), flags.out, r.replication); err != nil {
		return nil, err
	}
	return results.Open(flags.out)
}

// model is a scenario file as it is simulated: with the calibration and, where everything ran on this machine, with that as its host.
type model struct {
	file   *scenarios.File
	points []scenarios.Point
}

// modelDir is where the directory of a comparison has the scenario that is simulated.
const modelDir = "scenario"

func (x *comparison) model(file *scenarios.File, k *scenarios.Calibration) (*model, error) {
	bundle, err := file.Bundle()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(x.dir, modelDir)
	if err := writeBundle(dir, bundle); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, scenarios.BundleFile)
	m := &model{}
	if m.file, err = scenarios.Load(path); err != nil {
		return nil, err
	}
	if err := m.file.Set("calibration", filepath.Join("..", calibrationFile)); err != nil {
		return nil, err
	}
	points, err := m.file.Points()
	if err != nil {
		return nil, err
	}
	// On hosts the machines decide how fast a node executes, which these faults do as well.
	own := slices.ContainsFunc(points, func(p scenarios.Point) bool {
		return slices.ContainsFunc(p.Scenario.Faults, func(f scenarios.Fault) bool { return f.Kind == scenarios.Pause || f.Kind == scenarios.Slow })
	})
	switch shared := len(points[0].Scenario.Hosts) > 0; {
	case own:
		fmt.Fprintln(x.notes, "note: with faults of the kinds pause and slow, all nodes are simulated with cores of their own, whatever machine they share")
	case len(x.flags.real) == 0: // they all ran here, whatever the scenario says of other machines
		if err := m.file.Set("hosts", fmt.Sprintf("[{name: this-machine, cores: %d, nodes: all, load: true}]", runtime.NumCPU())); err != nil {
			return nil, err
		}
		if shared {
			fmt.Fprintln(x.notes, "note: the nodes ran on this machine, so that it stands in place of the scenario's hosts")
		}
	case !shared:
		fmt.Fprintf(x.notes, "note: the scenario has no hosts, so that all nodes are simulated with cores of their own: say which share a machine; all, "+
			"as in --set 'hosts=[{name: here, cores: %d, nodes: all, load: true}]'\n", runtime.NumCPU())
	}
	if err := x.patience(m.file, points); err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, m.file.Resolved(), 0o666); err != nil {
		return nil, err
	}
	return m, m.choose(x.flags.pick)
}

// patience has simulated clients wait as long as real ones (loadgen.Options.Timeout), who by default do not wait for ever.
func (x *comparison) patience(file *scenarios.File, points []scenarios.Point) error {
	waits := x.flags.timeout
	if waits == 0 && slices.ContainsFunc(points, func(p scenarios.Point) bool { return p.Scenario.Client.Timeout == 0 }) {
		waits = time.Minute
	}
	if waits == 0 || slices.ContainsFunc(file.Swept(), func(key string) bool { return key == "client" || key == "client.timeout" }) {
		return nil
	}
	return file.Set("client.timeout", fmt.Sprintf("%dns", waits))
}

// choose takes the points that are compared.
func (m *model) choose(pick string) (err error) {
	if m.points, err = m.file.Points(); err == nil && pick != "" {
		m.points, err = m.file.Select(m.points, pick)
	}
	return err
}

// outside reports whether a learner decides that is no part of a simulation.
func (m *model) outside() bool {
	return slices.ContainsFunc(m.points, func(p scenarios.Point) bool { l := p.Scenario.Learner; return l.Asks() && l.External != nil })
}

// modelOf is the scenario that a simulated run was made of.
func modelOf(r *results.Run) (*model, error) {
	if r.World != "sim" {
		return nil, fmt.Errorf("%s is no simulation", r.Dir)
	}
	m := &model{}
	var err error
	if m.file, err = scenarios.LoadFrom(r.Origin, r.Scenario); err != nil {
		return nil, err
	}
	return m, m.choose("")
}

// simulate simulates the points of a model.
func (x *comparison) simulate(ctx context.Context, m *model) (*results.Run, error) {
	dir := filepath.Join(x.dir, "sim")
	flags := &simFlags{outputFlags: x.flags.outputFlags, workers: runtime.GOMAXPROCS(0)}
	flags.out, flags.json = dir, false
	s := newSimulation(flags, m.file, m.points, results.Keep{Mode: results.All, Format: results.Format(flags.format)}, io.Discard, x.notes)
	if err := s.run(ctx); err != nil {
		return nil, err
	}
	return results.Open(dir)
}

// compare compares two runs, and explains by m what B's simulation can explain; nil: nothing.
func (x *comparison) compare(ctx context.Context, a, b *results.Run, m *model) (*compare.Comparison, error) {
	fmt.Fprintln(x.notes, "comparing")
	c, err := compare.Runs(a, b, x.options)
	if err != nil {
		return nil, input(err)
	}
	if m != nil && m.outside() {
		fmt.Fprintln(x.notes, "note: the learner is outside the process, so that causes are not put right and the sensitivity is not known")
		m = nil
	}
	if m != nil {
		if err := explain(ctx, c, m); err != nil {
			return nil, err
		}
		if c.Sensitivity, err = sensitivity(ctx, c, m); err != nil {
			return nil, err
		}
	}
	for _, r := range []*results.Run{a, b} {
		replays, err := x.replay(ctx, r)
		if err != nil {
			return nil, err
		}
		c.Replays = append(c.Replays, replays...)
	}
	return c, nil
}

// replay verifies what the nodes of a run recorded.
func (x *comparison) replay(ctx context.Context, r *results.Run) ([]compare.Replay, error) {
	dir := filepath.Join(r.Dir, "record")
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	fmt.Fprintf(x.notes, "replaying what the nodes of %s recorded\n", r.Dir)
	logs := replays{ctx: ctx, out: io.Discard, notes: x.notes}
	if err := logs.all(dir); err != nil {
		return nil, err
	}
	var all []compare.Replay
	for i := range logs.logs {
		l := &logs.logs[i]
		one := compare.Replay{Log: l.path, Node: l.number(), Equal: !l.differs() && (l.err == nil || l.empty())}
		if l.Replayed != nil {
			one.Inputs, one.Verdicts = l.Inputs, l.Verdicts
		}
		if l.empty() {
			fmt.Fprintf(x.notes, "note: %s: %v\n", l.path, l.err)
		}
		if !one.Equal {
			one.Says = l.result()
		}
		all = append(all, one)
	}
	return all, nil
}

// report writes and prints what came out.
func (x *comparison) report(c *compare.Comparison) error {
	if err := compare.Save(x.dir, c); err != nil {
		return err
	}
	if x.flags.json {
		if err := encode(x.out, c); err != nil {
			return err
		}
	} else if err := compare.Table(x.out, c, colours(x.out)); err != nil {
		return err
	}
	fmt.Fprintf(x.notes, "\nreport: %s\n", filepath.Join(x.dir, "report.html"))
	var beyond []error
	for _, e := range c.Exceeded() {
		beyond = append(beyond, errors.New(e.String()))
	}
	if len(x.flags.margins) > 0 {
		for _, label := range c.Unmatched {
			beyond = append(beyond, fmt.Errorf("%s: not compared, so that its margins are not kept", label))
		}
	}
	if i := slices.IndexFunc(c.Replays, func(r compare.Replay) bool { return !r.Equal }); i >= 0 {
		beyond = append(beyond, fmt.Errorf("%s: %s", c.Replays[i].Log, c.Replays[i].Says))
	}
	return errors.Join(beyond...)
}
