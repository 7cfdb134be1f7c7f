package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/simnet"
	"github.com/p2pfaas/p2pfaas/simnet/swarm"
)

// swarmFlags are the flags of swarm.
type swarmFlags struct {
	seeds   string
	draw    string
	replay  string
	out     string
	workers int
	events  int
}

func newSwarm() *cobra.Command {
	var f swarmFlags
	c := &cobra.Command{
		Use:   "swarm",
		Short: "simulate what thousands of seeds draw, and check what must always hold",
		Long: `swarm draws a whole scenario from each seed (cluster, topology, algorithm, load, learner, faults), simulates it, and checks after
every event what must hold in any run: requests are conserved and end once, nodes hold no more than they may, hops are bounded, the dead
do nothing, time does not go back; that those who live find each other again after the last fault, that learners' windows are bounded,
and, of every tenth seed, that the run can be repeated exactly.

A seed that fails is made as small as it goes, written as swarm-SEED.yaml, and its last events are printed. It is a scenario like any
other, for "p2pfaas sim" too. The exit status is 1 if a seed fails.`,
		Example: `  p2pfaas swarm --seeds 1-100000
  p2pfaas swarm --seeds 4711
  p2pfaas swarm --draw 4711 > drawn.yaml
  p2pfaas swarm --replay swarm-4711.yaml --events 200`,
		Args: wants(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	fl := c.Flags()
	fl.StringVar(&f.seeds, "seeds", "", "a seed, or the first and the last one of several: 1-100000")
	fl.StringVar(&f.draw, "draw", "", "print the scenario of a seed, as it is drawn")
	fl.StringVar(&f.replay, "replay", "", "check this scenario, of one point, until a replication fails or all are through, and print the last events of that")
	fl.StringVar(&f.out, "out", ".", "directory of the scenarios of seeds that fail")
	fl.IntVar(&f.workers, "workers", runtime.GOMAXPROCS(0), "seeds at a time")
	fl.IntVar(&f.events, "events", 30, "last events that are printed of a run that fails")
	return c
}

func (f *swarmFlags) run(c *cobra.Command) error {
	wanted := 0
	for _, s := range []string{f.seeds, f.draw, f.replay} {
		if s != "" {
			wanted++
		}
	}
	switch {
	case wanted != 1:
		return input(errors.New("p2pfaas swarm wants one of --seeds 1-1000, --draw 17 and --replay FILE"))
	case f.workers < 1:
		return input(fmt.Errorf("--workers %d: at least one seed must run at a time", f.workers))
	case f.events < 1:
		return input(fmt.Errorf("--events %d: at least one event is the last", f.events))
	case f.draw != "":
		if err := without(c, "--draw, which runs nothing", "out", "workers", "events"); err != nil {
			return input(err)
		}
		return f.print(c.OutOrStdout())
	case f.replay != "":
		if err := without(c, "--replay, which runs one scenario and writes none", "out", "workers"); err != nil {
			return input(err)
		}
		return f.again(c.Context(), c.OutOrStdout())
	}
	first, last, err := seeds(f.seeds)
	if err != nil {
		return input(err)
	}
	return f.all(c.Context(), first, last, c.OutOrStdout(), c.ErrOrStderr())
}

// without refuses flags that mean nothing together with another one.
func without(c *cobra.Command, with string, flags ...string) (err error) {
	for _, name := range flags {
		if c.Flags().Changed(name) {
			err = errors.Join(err, fmt.Errorf("--%s says nothing to %s: leave it out", name, with))
		}
	}
	return err
}

// seeds reads a seed, or the first and the last one of several.
func seeds(s string) (first, last uint64, err error) {
	a, b, several := strings.Cut(s, "-")
	if !several {
		b = a
	}
	first, errA := strconv.ParseUint(a, 10, 63)
	last, errB := strconv.ParseUint(b, 10, 63)
	if errA != nil || errB != nil || first > last {
		return 0, 0, fmt.Errorf("--seeds %q is neither a seed nor the first and the last one of several: write 17, or 1-1000", s)
	}
	return first, last, nil
}

// print writes the scenario of a seed.
func (f *swarmFlags) print(out io.Writer) error {
	seed, err := strconv.ParseUint(f.draw, 10, 63)
	if err != nil {
		return input(fmt.Errorf("--draw %q is no seed: write a whole number from 0", f.draw))
	}
	doc, _, err := swarm.Draw(seed)
	if err != nil {
		return err
	}
	return write(out, doc)
}

func write(out io.Writer, doc *yaml.Node) error {
	e := yaml.NewEncoder(out)
	e.SetIndent(2)
	return errors.Join(e.Encode(doc), e.Close())
}

// again checks a scenario that was written.
func (f *swarmFlags) again(ctx context.Context, out io.Writer) error {
	points, err := checked(f.replay)
	switch {
	case err != nil:
		return input(err)
	case len(points) != 1:
		return input(fmt.Errorf("--replay wants one point, and the sweep of %s has %d: write one scenario", f.replay, len(points)))
	}
	v, err := f.trace(ctx, out, points[0].Scenario)
	switch {
	case err != nil:
		return err
	case v != nil:
		return fmt.Errorf("%s fails: %w", f.replay, v)
	}
	_, err = fmt.Fprintf(out, "%s: every invariant holds in %s\n", f.replay, count(points[0].Scenario.Replications, "replication"))
	return err
}

// trace checks a scenario and prints its last events.
func (f *swarmFlags) trace(ctx context.Context, out io.Writer, s *scenarios.Scenario) (*swarm.Violation, error) {
	v, events, err := swarm.Replay(ctx, s, f.events)
	if err == nil && len(events) > 0 {
		_, err = fmt.Fprintln(out, strings.Join(events, "\n"))
	}
	return v, err
}

// tooMany is of how many failing seeds a swarm has seen enough.
const tooMany = 10

// all runs a swarm.
func (f *swarmFlags) all(ctx context.Context, first, last uint64, out, notes io.Writer) error {
	began := time.Now()
	progress, finish := swarmProgress(notes, last-first+1)
	var done uint64
	var failed []string
	var wrong error
	s := swarm.Swarm{First: first, Last: last, Workers: f.workers, Done: func(seed uint64, failure *swarm.Failure) bool {
		done++
		progress(done)
		if failure != nil {
			failed = append(failed, strconv.FormatUint(seed, 10))
			wrong = f.failure(ctx, out, failure)
		}
		return wrong == nil && len(failed) < tooMany
	}}
	err := errors.Join(s.Run(ctx), wrong)
	finish()
	took := time.Since(began)
	fmt.Fprintf(notes, "%s in %v: %.0f seeds/s\n", count(int(done), "seed"), took.Round(time.Second), float64(done)/took.Seconds())
	switch {
	case err != nil:
		return err
	case len(failed) > 0:
		return fmt.Errorf("%s failed: %s", count(len(failed), "seed"), strings.Join(failed, ", "))
	case ctx.Err() != nil:
		return simnet.ErrInterrupted
	}
	_, err = fmt.Fprintf(out, "%s: every invariant holds\n", count(int(done), "seed"))
	return err
}

// failure shrinks what failed, writes it, and prints what happens in it.
func (f *swarmFlags) failure(ctx context.Context, out io.Writer, failure *swarm.Failure) error {
	if _, err := fmt.Fprintf(out, "seed %d fails: %v\n", failure.Seed, failure.Violation); err != nil {
		return err
	}
	small, runs := swarm.Shrink(ctx, failure)
	path := filepath.Join(f.out, fmt.Sprintf("swarm-%d.yaml", failure.Seed))
	var text bytes.Buffer
	if err := write(&text, small.Document); err != nil {
		return err
	}
	if err := errors.Join(os.MkdirAll(f.out, 0o777), os.WriteFile(path, text.Bytes(), 0o666)); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	fmt.Fprintf(out, "smallest in %s that fails: %s\n\n%s\n", count(runs, "run"), path, text.Bytes())
	points, err := checked(path)
	if err != nil {
		return err
	}
	v, err := f.trace(ctx, out, points[0].Scenario)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%v\nagain: p2pfaas swarm --replay %s\n\n", v, path)
	return err
}

// swarmProgress returns what is told how many seeds are through, and what ends the telling.
func swarmProgress(w io.Writer, seeds uint64) (progress func(done uint64), finish func()) {
	if terminal(w) {
		bar := progressbar.NewOptions64(int64(seeds), progressbar.OptionSetWriter(w), progressbar.OptionSetDescription("seeds"),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetPredictTime(true), progressbar.OptionShowCount(),
			progressbar.OptionShowIts(), progressbar.OptionSetItsString("seeds"), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetWidth(30), progressbar.OptionEnableColorCodes(false))
		return func(done uint64) { _ = bar.Set64(int64(done)) }, func() { _ = bar.Finish() }
	}
	began, spoke := time.Now(), time.Now()
	return func(done uint64) {
		if time.Since(spoke) >= plainEvery {
			spoke = time.Now()
			speed := float64(done) / time.Since(began).Seconds()
			left := time.Duration(float64(seeds-done) / speed * 1e9)
			fmt.Fprintf(w, "%d of %d seeds, %.0f seeds/s, about %v left\n", done, seeds, speed, left.Round(time.Second))
		}
	}, func() {}
}
