package cmd

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// The flags that the commands share which run scenarios, in either world.

// scenarioFlags say which points of a scenario file are run, and what is otherwise than in the file.
type scenarioFlags struct {
	seed         string
	duration     time.Duration
	replications int
	set          []string
	pick         string
}

func (f *scenarioFlags) add(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVar(&f.seed, "seed", "", "seed instead of the scenario's")
	fl.DurationVar(&f.duration, "duration", 0, "duration instead of the scenario's; the warm-up is scaled with it")
	fl.IntVar(&f.replications, "replications", 0, "replications instead of the scenario's")
	fl.StringArrayVar(&f.set, "set", nil, "give a key another value: --set KEY=VALUE, as in --set workload.rate=5/s; may be repeated")
	fl.StringVar(&f.pick, "select", "", "run some points alone: an index, or KEY=VALUE,... of swept keys")
}

// keyValue splits an argument of --set.
func keyValue(s string) (key, value string, err error) {
	key, value, ok := strings.Cut(s, "=")
	if !ok || key == "" {
		return "", "", fmt.Errorf("--set %s: write KEY=VALUE, as in --set workload.rate=5/s", s)
	}
	return key, value, nil
}

// scenario loads the file and applies the flags. Where it is to be run on real nodes, what the file says for these comes
// before the flags.
func (f *scenarioFlags) scenario(c *cobra.Command, path string, real bool) (*scenarios.File, []scenarios.Point, error) {
	return readPoints(path, f.set, f.pick, real, func(file *scenarios.File) (err error) {
		if c.Flags().Changed("seed") {
			err = errors.Join(err, file.Set("seed", f.seed))
		}
		if c.Flags().Changed("replications") {
			err = errors.Join(err, file.Set("replications", fmt.Sprint(f.replications)))
		}
		if c.Flags().Changed("duration") {
			err = errors.Join(err, file.SetDuration(f.duration))
		}
		return err
	})
}

// readPoints loads a scenario with what --set, and change, make otherwise, and returns its points, or those that --select picks.
func readPoints(path string, set []string, pick string, real bool, change func(*scenarios.File) error) (*scenarios.File, []scenarios.Point, error) {
	file, err := load(path, set)
	if err != nil {
		return nil, nil, err
	}
	if real {
		err = errors.Join(err, file.SetReal())
	}
	if change != nil {
		err = errors.Join(err, change(file))
	}
	if err != nil {
		return nil, nil, err
	}
	points, err := file.Points()
	if err == nil && pick != "" {
		points, err = file.Select(points, pick)
	}
	return file, points, err
}

// given are the flags as arguments, for a process that is to read the same scenario.
func (f *scenarioFlags) given(c *cobra.Command) (args []string) {
	for _, name := range []string{"seed", "replications", "duration"} {
		if fl := c.Flags().Lookup(name); fl.Changed {
			args = append(args, "--"+name, fl.Value.String())
		}
	}
	for _, s := range f.set {
		args = append(args, "--set", s)
	}
	return args
}

// outputFlags say what becomes of the results.
type outputFlags struct {
	out     string
	records string
	format  string
	json    bool
}

func (f *outputFlags) add(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVar(&f.out, "out", "", "directory to write to (default runs/NAME-TIME)")
	fl.StringVar(&f.format, "format", "parquet", "format of the records: parquet or csv")
	fl.StringVar(&f.records, "records", "", "requests to record instead of the scenario's: none, sample, all, auto")
	fl.BoolVar(&f.json, "json", false, "print the summary as JSON")
	completeFlag(c, "records", "none", "sample", "all", "auto")
	completeFlag(c, "format", "parquet", "csv")
}

// sampledRecords is about how many records a sweep keeps, in equal parts of its replications; leastRecords is how many
// of each replication at least.
const (
	sampledRecords = 100_000
	leastRecords   = 100
)

// sampleOf is how many records each of so many replications keeps, where a sample is kept.
func sampleOf(replications int) int { return max(leastRecords, sampledRecords/max(1, replications)) }

func (f *outputFlags) keep(points []scenarios.Point) (results.Keep, error) {
	k := results.Keep{Mode: results.Mode(f.records), Format: results.Format(f.format)}
	if k.Format != results.Parquet && k.Format != results.CSV {
		return k, fmt.Errorf("--format %s: write parquet or csv", f.format)
	}
	if f.records == "" {
		k.Mode = results.Mode(points[0].Scenario.Records)
	}
	switch k.Mode {
	case results.None, results.Sample, results.All:
	case "auto":
		k.Mode = results.All
		if len(points) > 1 {
			k.Mode = results.Sample
		}
	default:
		return k, fmt.Errorf("--records %s: write none, sample, all or auto", f.records)
	}
	return k, nil
}

// newRun is the run that these points make, in either world.
func newRun(file *scenarios.File, points []scenarios.Point, world string, keep results.Keep) *results.Run {
	r := &results.Run{Name: file.Name(), Scenario: file.Resolved(), Seed: points[0].Scenario.Seed, Command: os.Args,
		Version: version(), Algorithms: algorithms(), Host: host(), World: world, Started: time.Now().UTC().Truncate(time.Second), Swept: file.Swept(),
		Keep: keep}
	if origin, err := file.Origin(); err == nil { // otherwise there is no working directory any more, and nobody finds it
		r.Origin = origin
	}
	for _, p := range points {
		r.Points = append(r.Points, &results.Point{Index: p.Index, Values: p.Values,
			Scheduler: p.Scenario.Scheduler.Label, Wanted: p.Scenario.Replications})
	}
	return r
}

// bytesFlag is a number of bytes, with a unit.
type bytesFlag int64

// String implements pflag.Value.
func (b bytesFlag) String() string { return scenarios.FormatBytes(int64(b)) }

// Type implements pflag.Value.
func (b bytesFlag) Type() string { return "bytes" }

// Set implements pflag.Value.
func (b *bytesFlag) Set(text string) error {
	n, err := scenarios.ParseBytes(text)
	if err == nil {
		*b = bytesFlag(n)
	}
	return err
}
