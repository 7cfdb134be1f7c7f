package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/calibrate"
	"github.com/p2pfaas/p2pfaas/realnet/deploy"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// calibrationSeed is that of the experiments, where nobody says another.
const calibrationSeed = 9001

// calibrateFlags are the flags of calibrate.
type calibrateFlags struct {
	deploymentFlags
	set      []string
	pick     string
	deployed string
	out      string
	first    string
	cores    int
	payloads []string
	json     bool
	options  calibrate.Options
}

func newCalibrate() *cobra.Command {
	f := calibrateFlags{}
	c := &cobra.Command{
		Use:   "calibrate SCENARIO",
		Short: "measure what real nodes cost, for a simulation of them",
		Long: `calibrate measures real nodes by experiments of its own, in about a minute, and writes a file that a scenario includes with
calibration: FILE. It starts the scenario's nodes on this machine, as run does, or measures those of a --deployment.

What is measured is what each part of a request costs where nothing is to be waited for, in time and in processor time, what
the functions take, and how they slow each other. No request of the scenario is sent, and the seed is another one. Of a
scenario with a sweep the nodes are those of the first point or, where some algorithm asks a learner, of the first such point.

Leave the machine alone meanwhile.`,
		Example: `  p2pfaas calibrate quickstart
  p2pfaas calibrate my.yaml --out pis.yaml --deployment my --cores 4
  p2pfaas sim my.yaml --set calibration=calibration.yaml   # beside my.yaml`,
		Args:              wants(1, 1, "one scenario"),
		ValidArgsFunction: completeScenario,
		RunE:              func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	f.deploymentFlags.add(c)
	fl, o := c.Flags(), &f.options
	fl.StringVar(&f.out, "out", "calibration.yaml", "`file` to write; one that is there is replaced")
	fl.StringVar(&f.deployed, "deployment", "", "measure the nodes of this deployment, instead of fresh ones on this machine")
	fl.StringVar(&f.first, "first-address", "127.0.0.1", "loopback address of the first node; the others have the next ones")
	fl.Uint64Var(&o.Seed, "seed", calibrationSeed, "seed of the experiments; the scenario's own is refused")
	fl.IntVar(&o.Entries, "nodes", 0, "nodes to send requests to, the first ones (default 4 at most, all of a deployment on hosts)")
	fl.IntVar(&o.Requests, "requests", 0, fmt.Sprintf("requests of an experiment, %d at least (default %d or, without --duration, 50 for each of --nodes, "+
		"2000 at most)", calibrate.LeastRequests, calibrate.DefaultRequests))
	fl.DurationVar(&o.Duration, "duration", 0, "duration of an experiment (default as long as low load takes, from 6.4s on)")
	fl.IntVar(&f.cores, "cores", 0, "cores of each machine that nodes are on (default those of this one; needed for a deployment on hosts)")
	fl.StringArrayVar(&f.set, "set", nil, "give a key another value: --set KEY=VALUE, as in --set cluster.nodes=5; may be repeated")
	fl.StringVar(&f.pick, "select", "", "measure the nodes of some points alone: an index, or KEY=VALUE,... of swept keys")
	fl.BoolVar(&f.json, "json", false, "print the calibration as JSON, times in nanoseconds")
	addPayloads(c, &f.payloads, &o.Timeout)
	return c
}

func (f *calibrateFlags) run(c *cobra.Command, path string) error {
	l := loadFlags{scenarioFlags: scenarioFlags{set: f.set}, deploymentFlags: f.deploymentFlags, deployed: f.deployed}
	var err error
	if f.deployed != "" {
		if c.Flags().Changed("first-address") {
			err = errors.New("--first-address is for fresh nodes, and these are of a deployment: leave it out")
		}
		var wrong error
		path, wrong = l.ofDeployment(c, path)
		if err = errors.Join(err, wrong); err != nil {
			return input(err)
		}
	}
	file, points, err := readPoints(path, f.set, f.pick, l.of == nil, nil)
	if err != nil {
		return input(err)
	}
	o := f.options
	o.Payloads, err = readPayloads(points[0].Scenario, f.payloads)
	if err = errors.Join(err, f.check(points[0].Scenario)); err != nil {
		return input(err)
	}
	if dir, err := os.Stat(filepath.Dir(f.out)); err != nil || !dir.IsDir() {
		return input(fmt.Errorf("--out %s: there is no directory %s", f.out, filepath.Dir(f.out)))
	}
	notes := c.ErrOrStderr()
	var k *scenarios.Calibration
	if l.of == nil {
		o.Cores = f.cores
		k, err = calibrateLocal(c.Context(), file, points, f.first, o, notes)
	} else {
		k, err = f.calibrateDeployment(c.Context(), &l, points, o, notes)
	}
	if err != nil {
		return err
	}
	if err := writeCalibration(f.out, k); err != nil {
		return err
	}
	if f.json {
		err = encode(c.OutOrStdout(), k)
	} else {
		err = calibrationTable(c.OutOrStdout(), k)
	}
	fmt.Fprintf(notes, "calibration: %s\n", f.out)
	return err
}

// check reads the flags; all problems at once.
func (f *calibrateFlags) check(s *scenarios.Scenario) error {
	var problems []error
	wrong := func(is bool, format string, args ...any) {
		if is {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	o, nodes := &f.options, s.Cluster.Nodes()
	wrong(o.Seed == s.Seed, "--seed %d is the scenario's own, whose requests are not to be met: choose another one", o.Seed)
	wrong(o.Requests != 0 && o.Requests < calibrate.LeastRequests, "--requests %d: write %d at least, which make a distribution", o.Requests, calibrate.LeastRequests)
	wrong(o.Entries < 0 || o.Entries > nodes, "--nodes %d: the scenario has %d", o.Entries, nodes)
	wrong(o.Duration < 0, "--duration %v: write more than 0", o.Duration)
	wrong(f.cores < 0, "--cores %d: write more than 0", f.cores)
	wrong(!isLoopback(f.first), "--first-address %s: write a loopback address, as 127.1.0.1", f.first)
	return errors.Join(problems...)
}

// calibrateLocal measures the nodes of a scenario on fresh processes of this machine, from a loopback address on, whose links hold
// nothing. It says on notes what it does, and what casts doubt on the result. Of the options, the scenario, the cluster and what
// scenarios.Measured wants are its own.
func calibrateLocal(ctx context.Context, file *scenarios.File, points []scenarios.Point, first string, o calibrate.Options,
	notes io.Writer) (_ *scenarios.Calibration, err error) {
	p := started(points)
	if err := errors.Join(realnet.CheckScenario(p.Scenario), realnet.CheckProcesses(p.Scenario)); err != nil {
		return nil, input(err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "p2pfaas-calibrate-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "scenario", scenarios.BundleFile)
	if p, err = bareNodes(file, p, path); err != nil {
		return nil, err
	}
	fmt.Fprintf(notes, "starting %s\n", count(p.Scenario.Cluster.Nodes(), "node"))
	cluster, to, known, err := startNodes(ctx, p.Scenario, first, filepath.Join(dir, "log"),
		func(i int, places []realnet.Place, _ []string) []string {
			return append([]string{self}, nodeCommand(path, p, i, places, nil)...)
		})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, cluster.Ended(), cluster.Stop()) }()
	o.Scenario, o.Target = p.Scenario, string(deploy.TargetLocal)
	o.Cluster = calibrate.Cluster{Targets: to.Targets, Cloud: to.Cloud, Known: known, Processes: cluster.Processes()}
	return measure(ctx, o, notes)
}

// bareNodes writes the scenario of a point to a file, with what it names beside it, so that its nodes have links that hold nothing
// and functions that stay warm, and nothing befalls them. It returns the point of that file.
func bareNodes(file *scenarios.File, p *scenarios.Point, path string) (*scenarios.Point, error) {
	bundle, err := file.Bundle()
	if err != nil {
		return nil, err
	}
	if err := writeBundle(filepath.Dir(path), bundle); err != nil {
		return nil, err
	}
	bare, err := scenarios.Load(path)
	if err != nil {
		return nil, err
	}
	var problems []error
	set := func(key, value string) { problems = append(problems, bare.Set(key, value)) }
	var kept []string // values of keys that are swept still
	for i, key := range file.Swept() {
		if key == "faults" || strings.HasPrefix(key, "faults.") || key == "cluster.links" || strings.HasPrefix(key, "cluster.links.") || strings.HasPrefix(key, "cluster.cloud.link") ||
			key == "learner.inference" || strings.HasSuffix(key, ".cold_start.keep_alive") {
			set(key, p.Values[i])
		} else {
			kept = append(kept, p.Values[i])
		}
	}
	const none = "{latency: 0s}"
	set("cluster.links", none)
	if len(p.Scenario.Faults) > 0 { // what healthy nodes cost is measured
		set("faults", "[]")
	}
	if p.Scenario.Cluster.Cloud != nil {
		set("cluster.cloud.link", none)
	}
	for _, f := range p.Scenario.Functions {
		if f.ColdStart != nil {
			set("functions."+f.Name+".cold_start.keep_alive", "1h")
		}
	}
	if l := p.Scenario.Learner; l.Asks() && l.Inference != nil {
		set("learner.inference", "0s")
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	points, err := bare.Points()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(points, func(x scenarios.Point) bool { return slices.Equal(x.Values, kept) })
	if i < 0 {
		return nil, fmt.Errorf("the point %v is not among those of the scenario without links", p.Values)
	}
	return &points[i], os.WriteFile(path, bare.Resolved(), 0o666)
}

// writeBundle writes the files of a scenario to a directory.
func writeBundle(dir string, bundle map[string][]byte) error {
	for name, text := range bundle {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o777), os.WriteFile(at, text, 0o666)); err != nil {
			return err
		}
	}
	return nil
}

// calibrateDeployment measures the nodes of a deployment.
func (f *calibrateFlags) calibrateDeployment(ctx context.Context, l *loadFlags, points []scenarios.Point, o calibrate.Options,
	notes io.Writer) (*scenarios.Calibration, error) {
	o.Cores = f.cores
	if f.pick == "" {
		var err error
		if points, err = l.ofDeployed(points); err != nil {
			return nil, input(err)
		}
	}
	s := started(points).Scenario
	if err := l.checkLearners(points); err != nil {
		return nil, input(err)
	}
	nodes := s.Cluster.Nodes()
	if l.of.Target == deploy.TargetHosts {
		if o.Cores == 0 {
			return nil, input(errors.New("the nodes are on other machines: say with --cores how many cores each has"))
		}
		if o.Entries == 0 {
			o.Entries = nodes // machines may differ
		}
	}
	l.takeDeployment()
	o.Scenario, o.Target = s, string(l.of.Target)
	shown, err := l.of.Credentials()
	if err != nil {
		return nil, input(err)
	}
	o.Cluster = calibrate.Cluster{Targets: l.targets, Credentials: shown, Known: l.known}
	if len(l.targets) > nodes {
		o.Cluster.Targets, o.Cluster.Cloud = l.targets[:nodes], l.targets[nodes].Scheduler
	}
	for i, x := range l.of.Processes {
		if !l.of.Runs(x) {
			return nil, input(fmt.Errorf("node %d of the deployment %s does not run: repeat p2pfaas deploy", i, l.of.Name))
		}
		if i < nodes {
			o.Cluster.Processes = append(o.Cluster.Processes, x.PID)
		}
	}
	return measure(ctx, o, notes)
}

// measure measures nodes that run.
func measure(ctx context.Context, o calibrate.Options, notes io.Writer) (*scenarios.Calibration, error) {
	if o.Cores == 0 {
		o.Cores = runtime.NumCPU()
	}
	o.Host, o.Version = host(), version()
	o.Progress = func(what string) { fmt.Fprintf(notes, "measuring %s\n", what) }
	o.Warn = func(remark string) { fmt.Fprintf(notes, "note: %s\n", remark) }
	return calibrate.Measure(ctx, o)
}

// writeCalibration writes a calibration whole, or not at all.
func writeCalibration(path string, k *scenarios.Calibration) error {
	var b bytes.Buffer
	err := k.Write(&b)
	if err == nil {
		err = realnet.WriteWhole(path, b.Bytes())
	}
	if err != nil {
		return fmt.Errorf("writing the calibration: %w", err)
	}
	return nil
}

// calibrationTable prints what was measured.
func calibrationTable(w io.Writer, k *scenarios.Calibration) error {
	var b strings.Builder
	t := table.NewWriter()
	t.SetStyle(plain)
	t.AppendHeader(table.Row{"milliseconds", "mean", "p50", "p99", "processor"})
	var right []table.ColumnConfig
	for i := 2; i <= 5; i++ {
		right = append(right, table.ColumnConfig{Number: i, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(right)
	row := func(name string, s scenarios.Spread, processor string) {
		if n := len(s); n > 0 {
			t.AppendRow(table.Row{name, millis(s.Mean()), millis(s[n/2]), millis(s[n*99/100]), processor})
		}
	}
	cost := func(name string, c scenarios.Cost) { row(name, c.Time, millis(c.CPU)) }
	cost("client, there and back", k.Costs.Client)
	cost("probe", k.Costs.Probe)
	cost("forward", k.Costs.Forward)
	cost("return", k.Costs.Return)
	cost("asking a learner", k.Costs.Act)
	names := slices.Sorted(maps.Keys(k.Functions))
	for _, name := range names {
		f := k.Functions[name]
		cost("call of "+name, f.Call)
		row("service of "+name, f.Service, millis(time.Duration(f.CPU*float64(f.Service.Mean()))))
	}
	row("timer, too late", k.Timer, "")
	row("bare network, there and back", k.Link, "")
	fmt.Fprintf(&b, "%s\n\nAn idle node keeps %.4f of %d cores busy.\n", t.Render(), k.Idle, k.Cores)
	for _, name := range names {
		f := k.Functions[name]
		fmt.Fprintf(&b, "\n%s: keeps a core busy for %.3f of its service time", name, f.CPU)
		if len(f.Service) == 0 {
			fmt.Fprintf(&b, ", which is %.4f of the demand", f.Stretch)
		}
		fmt.Fprintln(&b)
		for _, x := range f.Fits {
			fmt.Fprintf(&b, "  AIC %9.1f  KS %.3f  p %.3f  %s\n", x.AIC, x.KS, x.P, x.Distribution)
		}
		for i, x := range f.Nodes {
			if x != 1 {
				fmt.Fprintf(&b, "  node %d takes %.3f times as long\n", i, x)
			}
		}
		for _, x := range f.Slowdown {
			fmt.Fprintf(&b, "  %2d at once take %.2f times as long, by the model %.2f\n", x.AtOnce, x.Factor, x.Model)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func millis(d time.Duration) string { return fmt.Sprintf("%.3f", float64(d)/1e6) }
