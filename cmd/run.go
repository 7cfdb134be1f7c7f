package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/loadgen"
	"github.com/p2pfaas/p2pfaas/realnet/processor"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/simnet"
)

// runFlags are the flags of run.
type runFlags struct {
	scenarioFlags
	outputFlags
	first    string
	payloads []string
	timeout  time.Duration
	record   bool
}

func newRunReal() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run SCENARIO",
		Short: "run a scenario on real nodes on this machine",
		Long: `run starts the nodes of a scenario as processes on this machine, node 0 on 127.0.0.1, node 1 on 127.0.0.2 and
so on, with the standard ports, lets them find each other, sends the scenario's requests when they are due, and writes
the same directory as sim does. Each point and each replication has fresh nodes. What the nodes execute are the
functions' back ends (functions.NAME.backend; by default one that waits for exactly as long as the simulated task
takes).`,
		Example: `  p2pfaas run quickstart
  p2pfaas run scenarios/quickstart.yaml --select scheduler=NoScheduler --duration 10s`,
		Args:              wants(1, 1, "one scenario"),
		ValidArgsFunction: completeScenario,
		RunE:              func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	f.scenarioFlags.add(c)
	f.outputFlags.add(c)
	fl := c.Flags()
	fl.StringVar(&f.first, "first-address", "127.0.0.1", "loopback address of the first node; the others have the next ones")
	fl.BoolVar(&f.record, "record", false, "log every input of every node in the directory record of the results, for p2pfaas replay")
	addPayloads(c, &f.payloads, &f.timeout)
	return c
}

// addPayloads adds the flags about single requests, which load has too.
func addPayloads(c *cobra.Command, payloads *[]string, timeout *time.Duration) {
	c.Flags().StringArrayVar(payloads, "payload", nil, "send this file with requests of a function: --payload FUNCTION=FILE; with several, they take turns")
	c.Flags().DurationVar(timeout, "request-timeout", 0, "an answer that is not there by then is lost (default the scenario's client.timeout or, without, 1m)")
}

// readPayloads reads the files of --payload.
func readPayloads(s *scenarios.Scenario, given []string) (map[string][][]byte, error) {
	payloads := map[string][][]byte{}
	var problems []error
	for _, p := range given {
		name, path, ok := strings.Cut(p, "=")
		if !ok || !slices.ContainsFunc(s.Functions, func(f scenarios.Function) bool { return f.Name == name }) {
			problems = append(problems, fmt.Errorf("--payload %s: write FUNCTION=FILE with a function of the scenario", p))
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			problems = append(problems, fmt.Errorf("--payload %s: %w", p, err))
		}
		payloads[name] = append(payloads[name], content)
	}
	for _, f := range s.Functions {
		if f.Backend.Kind == "face-detect" && len(payloads[f.Name]) == 0 {
			problems = append(problems, fmt.Errorf("the function %s looks for faces, and no picture is given: "+
				"add --payload %s=PICTURE.jpg", f.Name, f.Name))
		}
	}
	return payloads, errors.Join(problems...)
}

func (f *runFlags) run(c *cobra.Command, path string) error {
	r, err := f.prepare(c, path)
	if err != nil {
		return err
	}
	return r.run(c.Context(), f.out, r.replication)
}

// prepare reads the flags and the scenario; all problems at once.
func (f *runFlags) prepare(c *cobra.Command, path string) (*realRun, error) {
	file, points, err := f.scenario(c, path, true)
	if err != nil {
		return nil, input(err)
	}
	keep, err := f.keep(points)
	if err != nil {
		return nil, input(err)
	}
	payloads, err := readPayloads(points[0].Scenario, f.payloads)
	if !isLoopback(f.first) {
		err = errors.Join(err, fmt.Errorf("--first-address %s: write a loopback address, as 127.1.0.1", f.first))
	}
	told := map[string]bool{} // points have most in common
	for _, p := range points {
		refused := errors.Join(realnet.CheckScenario(p.Scenario), realnet.CheckProcesses(p.Scenario))
		if refused != nil && !told[refused.Error()] {
			told[refused.Error()] = true
			err = errors.Join(err, refused)
		}
	}
	if err != nil {
		return nil, input(err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return &realRun{real: real{payloads: payloads, timeout: f.timeout, notes: c.ErrOrStderr(), out: c.OutOrStdout(), json: f.json,
		points: points, result: newRun(file, points, "real", keep), recorded: f.record}, flags: f, self: self, path: path, given: f.given(c)}, nil
}

// isLoopback reports whether a text is a loopback address of IPv4.
func isLoopback(text string) bool {
	ip := net.ParseIP(text).To4()
	return ip != nil && ip.IsLoopback()
}

// real is a run of points on real nodes, whoever started them.
type real struct {
	payloads map[string][][]byte
	timeout  time.Duration
	notes    io.Writer
	out      io.Writer
	json     bool
	points   []scenarios.Point
	result   *results.Run
	writer   *results.Writer
	bar      *progressbar.ProgressBar
	done     int
	expected int
	recorded bool // the nodes log their inputs
}

// run runs every replication of every point, one after the other, and stores what comes out.
func (r *real) run(ctx context.Context, dir string, one func(ctx context.Context, point, replication int) (*results.Replication, error)) error {
	var err error
	if dir == "" {
		if dir, err = results.DefaultDir(r.result.Name, time.Now()); err != nil {
			return err
		}
	}
	if r.writer, err = results.Create(dir, r.result); err != nil {
		return input(err)
	}
	r.announce()
	err = r.all(ctx, one)
	if r.bar != nil {
		_ = r.bar.Finish() // a bar that cannot be drawn is no reason to stop
	}
	if err != nil && ctx.Err() != nil {
		err = simnet.ErrInterrupted // and not what it broke off
	}
	if ferr := r.writer.Finish(); ferr != nil {
		return errors.Join(err, ferr)
	}
	switch finished := slices.ContainsFunc(r.result.Points, func(p *results.Point) bool { return len(p.Replications) > 0 }); {
	case err != nil && !finished:
		return fmt.Errorf("%w; nothing was finished", err)
	case errors.Is(err, simnet.ErrInterrupted):
		return fmt.Errorf("%w: %s has what was finished", err, dir)
	case err != nil:
		return fmt.Errorf("%w; %s has what was finished before", err, dir)
	}
	return r.report()
}

// all runs the first replication of every point, then the second, and so on, so that an interrupted run has something of
// every point.
func (r *real) all(ctx context.Context, one func(ctx context.Context, point, replication int) (*results.Replication, error)) error {
	for replication := 0; ; replication++ {
		left := false
		for i, p := range r.points {
			if !r.wants(i, p.Scenario, replication) {
				continue
			}
			left = true
			rep, err := one(ctx, i, replication)
			if err != nil {
				return fmt.Errorf("%s, replication %d: %w", r.result.Label(r.result.Points[i]), replication, err)
			}
			if err := r.writer.Save(r.result.Points[i], rep); err != nil {
				return err
			}
		}
		if !left {
			return nil
		}
	}
}

// wants reports whether a point wants that replication: the scenario says how many, or when they are enough.
func (r *real) wants(point int, s *scenarios.Scenario, replication int) bool {
	if replication < s.Replications {
		return true
	}
	p := r.result.Points[point]
	if s.Precision == nil || replication >= s.Precision.Replications {
		return false
	}
	_, enough := results.Enough(p, s.Precision.Metric, s.Precision.Relative, s.Precision.Confidence)
	if !enough {
		p.Wanted = replication + 1
	}
	return !enough
}

func (r *real) announce() {
	fills := func(f scenarios.Fault) bool { return f.Kind == scenarios.FullDisk }
	if !r.recorded && slices.ContainsFunc(r.points, func(p scenarios.Point) bool { return slices.ContainsFunc(p.Scenario.Faults, fills) }) {
		fmt.Fprintf(r.notes, "note: the fault full-disk does nothing here: nodes of a scenario write only what they record, and that takes p2pfaas run --record\n")
	}
	requests, replications, length := 0.0, 0, time.Duration(0)
	for _, p := range r.points {
		replications += p.Scenario.Replications
		requests += p.Scenario.ExpectedTasks() * float64(p.Scenario.Replications)
		length += p.Scenario.Duration * time.Duration(p.Scenario.Replications)
	}
	r.expected = int(requests)
	fmt.Fprintf(r.notes, "%s: %s, %s, about %s requests; %v and a little more\n", r.result.Name, count(len(r.points), "point"),
		count(replications, "replication"), quantity(requests), length)
	if terminal(r.notes) {
		r.bar = progressbar.NewOptions(r.expected, progressbar.OptionSetWriter(r.notes),
			progressbar.OptionSetDescription("running"), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(true), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetWidth(30), progressbar.OptionEnableColorCodes(false))
	}
}

// progress takes note that so many requests more have been sent.
func (r *real) progress(requests int) {
	r.done += requests
	if r.bar == nil {
		return
	}
	if r.done >= r.expected { // the number expected is a mean
		r.expected = r.done + 1
		r.bar.ChangeMax(r.expected)
	}
	_ = r.bar.Set(r.done)
}

// load sends the requests of a replication.
func (r *real) load(ctx context.Context, point, replication int, o loadgen.Options) (*results.Replication, error) {
	s := r.points[point].Scenario
	o.Scenario, o.Replication, o.Payloads, o.Timeout, o.Progress = s, replication, r.payloads, r.timeout, r.progress
	var stream *results.Stream
	switch r.result.Keep.Mode {
	case results.Sample:
		replications := 0
		for _, p := range r.points {
			replications += p.Scenario.Replications
		}
		o.Sample = sampleOf(replications)
	case results.All:
		var names []string
		for _, f := range s.Functions {
			names = append(names, f.Name)
		}
		var err error
		if stream, err = r.writer.Stream(r.result.Points[point], replication, names); err != nil {
			return nil, err
		}
		o.Each = stream.Add
	}
	rep, err := loadgen.Generate(ctx, o)
	if stream == nil {
		return rep, err
	}
	if err != nil {
		stream.Discard()
		return nil, err
	}
	return rep, stream.Close()
}

// report prints what came out.
func (r *real) report() error {
	if err := r.print(); err != nil || !r.result.Unanswered() {
		return err
	}
	return fmt.Errorf("no request was answered: %s says why", r.result.Report())
}

func (r *real) print() error {
	if r.json {
		return results.WriteJSON(r.out, r.result)
	}
	if err := results.Table(r.out, r.result, colours(r.out)); err != nil {
		return err
	}
	fmt.Fprintln(r.notes)
	if said := r.result.Sent(); said != "" {
		fmt.Fprintf(r.notes, "load generator: %s\n", said)
	}
	if said := r.result.ColdStarts(); said != "" {
		fmt.Fprintf(r.notes, "cold starts: %s\n", said)
	}
	if said := r.result.Links(); said != "" {
		fmt.Fprintf(r.notes, "emulated links: %s\n", said)
	}
	tellFaults(r.notes, r.result)
	for _, w := range r.result.Warnings() {
		fmt.Fprintf(r.notes, "note: %s\n", w)
	}
	noteSparse(r.notes, r.result) // of the percentiles of the table
	fmt.Fprintf(r.notes, "report: %s\n", r.result.Report())
	return nil
}

// realRun is one invocation of run.
type realRun struct {
	real
	flags *runFlags
	self  string // the program, which the nodes run too
	path  string // of the scenario
	given []string
}

// replication starts the nodes of a point, sends a replication's requests, and ends the nodes.
func (r *realRun) replication(ctx context.Context, point, replication int) (_ *results.Replication, err error) {
	p := &r.points[point]
	s := p.Scenario
	cluster, o, _, err := startNodes(ctx, s, r.flags.first, filepath.Join(r.result.Dir, "log", processes(p, replication)),
		func(i int, places []realnet.Place, addresses []string) []string {
			return r.command(p, replication, i, places, addresses)
		})
	if err != nil {
		return nil, err
	}
	o.Machines = cluster
	defer func() {
		err = errors.Join(err, cluster.Ended(), cluster.Stop())
	}()
	own := processor.Processes{Nodes: cluster.Processes()}
	others, unknown := own.Watch(ctx)
	rep, err := r.load(ctx, point, replication, o)
	if err == nil && unknown == nil {
		own.Nodes = cluster.Processes()
		if own.Killed, unknown = cluster.Killed(); unknown == nil {
			rep.Reality.Others, unknown = others()
		}
	}
	if unknown != nil && err == nil {
		fmt.Fprintf(r.notes, "note: how busy other programs kept the machine is not known: %v\n", unknown)
	}
	if err == nil && replication == 0 {
		err = r.keepWeights(ctx, p, o.Targets)
	}
	return rep, err
}

// startNodes starts the nodes of a scenario as processes of this machine, from a loopback address on. It returns where they are, as
// the load generator is to know it, and the addresses by which they know each other.
func startNodes(ctx context.Context, s *scenarios.Scenario, first, logs string,
	command func(i int, places []realnet.Place, addresses []string) []string) (cluster *realnet.Local, o loadgen.Options, addresses []string, err error) {
	nodes := s.Cluster.Nodes()
	all := nodes
	if s.Cluster.Cloud != nil {
		all++
	}
	places, err := realnet.LoopbackPlaces(first, all)
	if err != nil {
		return nil, o, nil, fmt.Errorf("%w; --first-address 127.1.0.1, for example, takes other addresses", err)
	}
	addresses = make([]string, all)
	for i := range places {
		addresses[i] = places[i].Address()
	}
	cluster, err = realnet.StartLocal(ctx, realnet.LocalOptions{Places: places, Logs: logs,
		Command: func(i int) []string { return command(i, places, addresses) },
		Env:     slices.DeleteFunc(os.Environ(), isNodeVariable), // the scenario says what the nodes are
		Ready:   func(i int) int { return realnet.ScenarioPeers(s, core.NodeID(i)) }})
	if err != nil {
		return nil, o, nil, err
	}
	for _, place := range places[:nodes] {
		o.Targets = append(o.Targets, loadgen.Target{Scheduler: place.Dial(), Learner: place.LearnerURL()})
	}
	if all > nodes {
		o.Cloud = places[nodes].Dial()
	}
	return cluster, o, addresses, nil
}

// processes is the directory of what the processes of a replication write.
func processes(p *scenarios.Point, replication int) string {
	return fmt.Sprintf("point-%d-replication-%d", p.Index, replication)
}

// command starts node i.
func (r *realRun) command(p *scenarios.Point, replication, i int, places []realnet.Place, addresses []string) []string {
	at := &places[i]
	words := []string{r.self, "node", "--scenario", r.path, "--select", strconv.Itoa(p.Index),
		"--replication", strconv.Itoa(replication), "--number", strconv.Itoa(i), "--cluster", strings.Join(addresses, ","),
		"--bind", at.IP, "--scheduler-port", strconv.Itoa(at.Scheduler),
		"--discovery-port", strconv.Itoa(at.Discovery), "--init-servers", initServers(p.Scenario, places),
		"--learner-port", strconv.Itoa(at.Learner), "--websocket-port", strconv.Itoa(at.Websocket)}
	if len(p.Scenario.Faults) > 0 {
		words = append(words, "--faults")
	}
	if r.flags.record {
		words = append(words, "--record", filepath.Join(r.result.Dir, "record", processes(p, replication)))
	}
	return append(words, r.given...)
}

// initServers are the addresses of the discovery services by which a node finds the others: the first node's or, where that may be down
// when another one comes back, everybody's.
func initServers(s *scenarios.Scenario, places []realnet.Place) string {
	if len(s.Faults) == 0 {
		places = places[:1]
	}
	var all []string
	for _, p := range places {
		all = append(all, p.DiscoveryAddress())
	}
	return strings.Join(all, ",")
}

// keepWeights writes what the learners of the nodes have learned.
func (r *realRun) keepWeights(ctx context.Context, p *scenarios.Point, targets []loadgen.Target) error {
	if !p.Scenario.Learner.Asks() || p.Scenario.Learner.External != nil {
		return nil
	}
	dir := filepath.Join(r.result.Dir, "learner", fmt.Sprintf("point-%d", p.Index))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("writing weights: %w", err)
	}
	for i, t := range targets[:min(len(targets), weightsKept)] {
		if err := loadgen.FetchWeights(ctx, t.Learner, filepath.Join(dir, fmt.Sprintf("node-%d.json", i))); err != nil {
			return err
		}
	}
	return nil
}
