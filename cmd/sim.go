package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/simnet"
)

// simFlags are the flags of sim.
type simFlags struct {
	scenarioFlags
	outputFlags
	resume  bool
	trace   string
	workers int
}

func newSim() *cobra.Command {
	var f simFlags
	c := &cobra.Command{
		Use:   "sim SCENARIO",
		Short: "simulate a scenario file, or one of the library by its name",
		Long: `sim simulates every point of a scenario's sweep, prints a table and writes a directory with the records, the
summary, the figures and a report. Ctrl-C leaves a readable directory; --resume completes it.`,
		Example: `  p2pfaas sim scenarios/lambda-sweep.yaml
  p2pfaas sim lambda-sweep --set cluster.nodes=100 --replications 20
  p2pfaas sim my.yaml --select workload.rate=8/s,scheduler=NoScheduler --records all
  p2pfaas sim my.yaml --select 3 --duration 10s --trace -`,
		Args:              wants(1, 1, "one scenario"),
		ValidArgsFunction: completeScenario,
		RunE:              func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	f.scenarioFlags.add(c)
	f.outputFlags.add(c)
	fl := c.Flags()
	fl.BoolVar(&f.resume, "resume", false, "complete the interrupted run in --out")
	fl.StringVar(&f.trace, "trace", "", "write one line per event of the first replication to this file, - for the output; needs one point")
	fl.IntVar(&f.workers, "workers", runtime.GOMAXPROCS(0), "replications at a time")
	return c
}

func (f *simFlags) run(c *cobra.Command, path string) error {
	file, points, err := f.scenario(c, path, false)
	if err != nil {
		return input(err)
	}
	keep, err := f.keep(points)
	if err != nil {
		return input(err)
	}
	switch {
	case f.trace != "" && len(points) != 1:
		return input(fmt.Errorf("--trace wants one point, and the sweep has %d: choose one with --select", len(points)))
	case f.trace == "-" && f.json:
		return input(errors.New("--trace - and --json both write to the output: trace to a file"))
	case f.resume && f.out == "":
		return input(errors.New("--resume wants --out: the directory of the run to complete"))
	case f.workers < 1:
		return input(fmt.Errorf("--workers %d: at least one replication must run at a time", f.workers))
	}
	return newSimulation(f, file, points, keep, c.OutOrStdout(), c.ErrOrStderr()).run(c.Context())
}

// host says what machine this is, in a word that a report may show.
func host() string {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	return fmt.Sprintf("%s (%s/%s, %d cores, %s)", name, runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
}

func newSimulation(f *simFlags, file *scenarios.File, points []scenarios.Point, keep results.Keep, out, notes io.Writer) *simulation {
	return &simulation{flags: f, points: points, result: newRun(file, points, "sim", keep), out: out, notes: notes,
		streams: map[key]*results.Stream{}, earlier: map[key]*results.Replication{}}
}

// simulation is one invocation of sim.
type simulation struct {
	flags     *simFlags
	points    []scenarios.Point
	result    *results.Run
	writer    *results.Writer
	out       io.Writer // what was asked for
	notes     io.Writer // what is said about it
	tracer    io.Writer
	traceFile *os.File                     // nil: none, or the output
	earlier   map[key]*results.Replication // of the run that is resumed
	bar       *progressbar.ProgressBar     // nil: plain lines

	mu       sync.Mutex
	streams  map[key]*results.Stream
	broken   error // a stream could not be opened
	expected int64 // requests
	sample   int   // records of each replication, where a sample is kept
	done     int64
	jobs     uint64 // of the replications that this process ran
	events   uint64
	began    time.Time
	took     time.Duration // to simulate and to store, without figures and report
	spoke    time.Time     // when the last plain line was written
}

type key struct{ point, replication int }

func (s *simulation) run(ctx context.Context) error {
	if err := s.openTrace(); err != nil {
		return input(err)
	}
	defer s.closeTrace()
	if err := s.open(); err != nil {
		return input(err)
	}
	s.announce()
	s.startProgress()
	workers := s.flags.workers
	for _, p := range s.points {
		if l := p.Scenario.Learner; l.Asks() && l.External != nil {
			workers = 1 // two points that ask one learner at once would not do the same again
		}
	}
	options := func(point, replication int) simnet.Options { return s.options(ctx, point, replication) }
	batch := simnet.Batch{Points: s.points, Workers: workers, Options: options, Have: s.have, Done: s.save,
		Enough: s.enough, Progress: s.progress}
	err := batch.Run(ctx)
	s.took = time.Since(s.began)
	s.endProgress()
	s.discardStreams()
	if err != nil && !errors.Is(err, simnet.ErrInterrupted) {
		return err
	}
	if ferr := s.writer.Finish(); ferr != nil {
		return errors.Join(err, ferr)
	}
	if err != nil {
		return fmt.Errorf("%w: %s has what was finished; --resume --out %s completes it", err, s.result.Dir, s.result.Dir)
	}
	return s.report()
}

// announce says how much there is to do. The time is measured, not guessed: a short piece of a point is run.
func (s *simulation) announce() {
	requests, replications, left := 0.0, 0, 0
	least := ""
	for i, p := range s.points {
		if p.Scenario.Precision != nil {
			least = "at least "
		}
		for r := range p.Scenario.Replications {
			replications++
			if s.have(i, r) == nil {
				left++
				requests += p.Scenario.ExpectedTasks()
			}
		}
	}
	s.expected = int64(requests)
	s.sample = sampleOf(replications)
	fmt.Fprintf(s.notes, "%s: %s, %s", s.result.Name, count(len(s.points), "point"),
		least+count(replications, "replication"))
	if left < replications {
		fmt.Fprintf(s.notes, ", %d of them done earlier", replications-left)
	}
	if left > 0 {
		fmt.Fprintf(s.notes, ", about %s requests", quantity(requests))
		if speed := pilot(s.points[len(s.points)/2].Scenario); speed > 0 {
			workers := float64(min(s.flags.workers, left, runtime.NumCPU()))
			fmt.Fprintf(s.notes, "; about %v to simulate",
				time.Duration(requests/speed/workers*1e9).Round(100*time.Millisecond))
		}
	}
	fmt.Fprintln(s.notes)
}

// pilot measures how many requests per second of a scenario a core simulates; 0 where that cannot be said.
func pilot(s *scenarios.Scenario) float64 {
	const wanted = 20_000
	short := *s
	if tasks := s.ExpectedTasks(); tasks > wanted {
		short.Duration = time.Duration(float64(s.Duration) * wanted / tasks)
		short.Warmup = 0
	}
	began := time.Now()
	w, err := simnet.New(&short, 0, simnet.Options{})
	if err != nil {
		return 0
	}
	r, err := w.Run(func() bool { return time.Since(began) > time.Second })
	if err != nil || r.Jobs == 0 {
		return 0
	}
	return float64(r.Jobs) / time.Since(began).Seconds()
}

func (s *simulation) open() (err error) {
	dir := s.flags.out
	if dir == "" {
		if dir, err = results.DefaultDir(s.result.Name, time.Now()); err != nil {
			return err
		}
	}
	if s.flags.resume {
		s.writer, err = results.Resume(dir, s.result)
		for i, p := range s.result.Points {
			for _, r := range p.Replications {
				s.earlier[key{i, r.Index}] = r
			}
		}
	} else {
		s.writer, err = results.Create(dir, s.result)
		if errors.Is(err, results.ErrNotEmpty) {
			err = fmt.Errorf("%w, or --resume to complete the run in it", err)
		}
	}
	return err
}

func (s *simulation) options(ctx context.Context, point, replication int) simnet.Options {
	var o simnet.Options
	switch s.result.Keep.Mode {
	case results.Sample:
		o.Sample = s.sample
	case results.All:
		o.Each = s.stream(point, replication)
	}
	if s.flags.trace != "" && replication == 0 {
		o.Trace = s.tracer
	}
	if l := s.points[point].Scenario.Learner; l.Asks() && l.External != nil {
		o.Learner = remoteLearner(ctx, l.External)
	}
	if replication == 0 && s.points[point].Scenario.Learner.Asks() {
		o.Learned = func(n core.NodeID, l *learner.Learner) error { return s.keepWeights(point, n, l) }
	}
	return o
}

// remoteLearner connects a node to its learner outside the process.
func remoteLearner(ctx context.Context, e *scenarios.External) func(core.NodeID) (simnet.Learner, error) {
	return func(n core.NodeID) (simnet.Learner, error) {
		act, train := e.Of(n)
		l, err := realnet.DialLearner(ctx, realnet.LearnerOptions{Act: act, Train: train, Timeout: e.Timeout, Connections: 1})
		if err != nil {
			return nil, err
		}
		return &remote{l, ctx}, nil
	}
}

// remote is a simnet.Learner outside the process: the simulation waits for it in real time.
type remote struct {
	*realnet.RemoteLearner
	ctx context.Context
}

func (r *remote) Act(state []float64) (core.Action, error) { return r.RemoteLearner.Act(r.ctx, state) }
func (r *remote) Train(e learner.Entry) error              { return r.RemoteLearner.Train(r.ctx, e) }
func (r *remote) TrainBatch(entries []learner.Entry) error {
	return r.RemoteLearner.Train(r.ctx, entries...)
}

// weightsKept is how many nodes of a point have their weights written.
const weightsKept = 64

// keepWeights writes what the learner of a node has learned in the first replication of a point.
func (s *simulation) keepWeights(point int, n core.NodeID, l *learner.Learner) error {
	if n >= weightsKept {
		return nil
	}
	dir := filepath.Join(s.result.Dir, "learner", fmt.Sprintf("point-%d", s.points[point].Index))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("writing weights: %w", err)
	}
	f, err := os.Create(filepath.Join(dir, fmt.Sprintf("node-%d.json", n)))
	if err != nil {
		return fmt.Errorf("writing weights: %w", err)
	}
	return errors.Join(l.Weights().Write(f), f.Close())
}

func (s *simulation) openTrace() error {
	switch s.flags.trace {
	case "":
	case "-":
		s.tracer = s.out
	default:
		file, err := os.Create(s.flags.trace)
		if err != nil {
			return fmt.Errorf("--trace: %w", err)
		}
		s.tracer, s.traceFile = file, file
	}
	return nil
}

// closeTrace ends the file of the trace. Its world has written and checked it already.
func (s *simulation) closeTrace() {
	if s.traceFile != nil {
		s.traceFile.Close()
	}
}

// stream returns what takes the records of a replication.
func (s *simulation) stream(point, replication int) func(*results.Record) {
	var names []string
	for _, f := range s.points[point].Scenario.Functions {
		names = append(names, f.Name)
	}
	stream, err := s.writer.Stream(s.result.Points[point], replication, names)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.broken = errors.Join(s.broken, err)
		return nil
	}
	s.streams[key{point, replication}] = stream
	return stream.Add
}

// have is the replication of an earlier run, for --resume.
func (s *simulation) have(point, replication int) *results.Replication {
	return s.earlier[key{point, replication}]
}

// save stores a finished replication.
func (s *simulation) save(point int, r *results.Replication) error {
	s.mu.Lock()
	k := key{point, r.Index}
	stream, broken, stored := s.streams[k], s.broken, s.earlier[k] != nil
	delete(s.streams, k)
	if !stored {
		s.jobs += r.Jobs
		s.events += r.Events
	}
	s.mu.Unlock()
	if broken != nil || stored {
		return broken
	}
	if stream != nil {
		if err := stream.Close(); err != nil {
			return err
		}
	}
	return s.writer.Save(s.result.Points[point], r)
}

// discardStreams drops the records of replications that were not finished.
func (s *simulation) discardStreams() {
	for _, stream := range s.streams {
		stream.Discard()
	}
}

// enough is the scenario's stopping rule.
func (s *simulation) enough(point int, done []*results.Replication) bool {
	p := s.points[point].Scenario.Precision
	_, ok := results.Enough(&results.Point{Replications: done}, p.Metric, p.Relative, p.Confidence)
	if !ok && len(done) < p.Replications {
		s.mu.Lock()
		s.result.Points[point].Wanted = len(done) + 1
		s.mu.Unlock()
	}
	return ok
}

// plainEvery is how often a line tells the progress where no bar can be drawn.
const plainEvery = 10 * time.Second

func (s *simulation) startProgress() {
	s.began = time.Now()
	s.spoke = s.began
	if terminal(s.notes) && s.flags.trace != "-" {
		s.bar = progressbar.NewOptions64(s.expected, progressbar.OptionSetWriter(s.notes),
			progressbar.OptionSetDescription("simulating"), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(true), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("requests"), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetWidth(30), progressbar.OptionEnableColorCodes(false))
	}
}

// progress takes note that so many requests more have been simulated.
func (s *simulation) progress(requests int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done += int64(requests)
	if s.bar != nil {
		// The number expected is a mean: the bar must not end before the run does.
		if s.done >= s.expected {
			s.expected = s.done + 1
			s.bar.ChangeMax64(s.expected)
		}
		_ = s.bar.Set64(s.done) // a bar that cannot be drawn is no reason to stop
		return
	}
	if time.Since(s.spoke) >= plainEvery {
		s.spoke = time.Now()
		share := min(1, float64(s.done)/float64(max(1, s.expected)))
		left := time.Duration(float64(time.Since(s.began)) * (1 - share) / max(share, 1e-9))
		fmt.Fprintf(s.notes, "%3.0f %%, %s requests, about %v left\n", 100*share, quantity(float64(s.done)),
			left.Round(time.Second))
	}
}

func (s *simulation) endProgress() {
	if s.bar != nil {
		_ = s.bar.Finish()
	}
}

// report prints what came out.
func (s *simulation) report() error {
	if s.flags.json {
		return results.WriteJSON(s.out, s.result)
	}
	if s.flags.trace != "-" {
		if err := results.Table(s.out, s.result, colours(s.out)); err != nil {
			return err
		}
	}
	fmt.Fprintln(s.notes)
	if s.jobs > 0 {
		fmt.Fprintf(s.notes, "%s requests, %s events in %v: %s requests/s, %s events/s; peak memory %d MiB\n",
			quantity(float64(s.jobs)), quantity(float64(s.events)), s.took.Round(time.Millisecond),
			quantity(float64(s.jobs)/s.took.Seconds()), quantity(float64(s.events)/s.took.Seconds()), peakMiB())
	}
	if said := s.result.ColdStarts(); said != "" {
		fmt.Fprintf(s.notes, "cold starts: %s\n", said)
	}
	tellFaults(s.notes, s.result)
	noteSparse(s.notes, s.result)
	fmt.Fprintf(s.notes, "digest %016x\nreport: %s\n", s.result.Digest(), s.result.Report())
	return nil
}

// peakMiB is the most memory that this process has had from the system.
func peakMiB() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys >> 20
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// quantity is a large number in three digits.
func quantity(x float64) string {
	for _, u := range []struct {
		factor float64
		name   string
	}{{1e9, " G"}, {1e6, " M"}, {1e3, " k"}} {
		if x >= u.factor {
			return fmt.Sprintf("%.3g%s", x/u.factor, u.name)
		}
	}
	return fmt.Sprintf("%.0f", x)
}
