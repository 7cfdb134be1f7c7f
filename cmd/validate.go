package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/simnet/theory"
)

func newValidate() *cobra.Command {
	o := theory.Options{}
	var asJSON, all bool
	var values string
	c := &cobra.Command{
		Use:   "validate",
		Short: "compare the simulator with exact values of queueing theory",
		Long: `validate simulates every case of theory that the project knows and compares: at most 60 minutes on two cores. A value
passes if it is off the exact one by no more than three standard errors, corrected for the number of comparisons (the
column ±), plus 0.5 %. The exit status is 1 if one fails.`,
		Example: `  p2pfaas validate --fast
  p2pfaas validate --select 'MM1,LLS-P0*'
  p2pfaas validate --values my.csv    # case_id,table,model,params,metric,value,kind,source
  p2pfaas validate measured delay.txt # measured delays of a real function, and M/M/1/K`,
		Args: wants(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Workers < 1 {
				return input(fmt.Errorf("--workers %d: at least one replication must run at a time", o.Workers))
			}
			if values != "" {
				var err error
				if o.Cases, err = readCases(values); err != nil {
					return input(err)
				}
			}
			began := time.Now()
			finish := validateProgress(c.ErrOrStderr(), &o)
			rows, err := theory.Run(c.Context(), o)
			finish()
			if wrong := (*theory.InputError)(nil); errors.As(err, &wrong) {
				return input(err)
			}
			if err != nil {
				return err
			}
			w := c.OutOrStdout()
			if asJSON {
				enc := json.NewEncoder(w)
				enc.SetIndent("", "  ")
				err = enc.Encode(rows)
			} else {
				err = validateTable(w, rows, all)
			}
			counts := map[theory.Verdict]int{}
			for _, r := range rows {
				counts[r.Verdict]++
			}
			fmt.Fprintf(c.ErrOrStderr(), "\n%d values agree, %d do not, %d were skipped; %v\n", counts[theory.OK],
				counts[theory.Fail], counts[theory.Skipped], time.Since(began).Round(time.Second))
			if err == nil && counts[theory.Fail] > 0 {
				err = fmt.Errorf("%s of theory missed", count(counts[theory.Fail], "value"))
			}
			return err
		},
	}
	fl := c.Flags()
	fl.StringVar(&o.Select, "select", "", "tables or cases to run: patterns such as MM1 or 'LLS-P0*', separated by commas")
	fl.StringVar(&values, "values", "", "CSV file with cases of your own, of the same tables, instead of those of the program")
	fl.BoolVar(&o.Fast, "fast", false, "short runs; without --select one case or two of every kind, under a minute")
	fl.StringVar(&o.Traffic, "traffic", "", "folder with traffic_node_0.csv and so on, for the cases that need them")
	fl.Uint64Var(&o.Seed, "seed", 0, "added to the seeds of the cases")
	fl.IntVar(&o.Workers, "workers", runtime.GOMAXPROCS(0), "replications at a time")
	fl.BoolVar(&asJSON, "json", false, "print JSON")
	fl.BoolVar(&all, "all", false, "print the values that were skipped too, with the reason")
	c.AddCommand(newValidateMeasured())
	return c
}

// readCases reads a file of cases.
func readCases(path string) ([]theory.Case, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--values: %w", err)
	}
	defer file.Close()
	cases, err := theory.Read(file)
	if err != nil {
		return nil, fmt.Errorf("--values %s: %w", path, err)
	}
	return cases, nil
}

// validateProgress makes o tell its progress, and returns what ends that.
func validateProgress(w io.Writer, o *theory.Options) func() {
	if terminal(w) {
		bar := progressbar.NewOptions64(1000, progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(30),
			progressbar.OptionSetDescription("validating"), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish())
		o.Progress = func(done, total float64) { _ = bar.Set(int(min(999, 1000*done/max(1, total)))) }
		return func() { _ = bar.Finish() }
	}
	var mu sync.Mutex
	spoke := time.Now()
	o.Progress = func(done, total float64) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(spoke) >= plainEvery {
			spoke = time.Now()
			fmt.Fprintf(w, "%3.0f %%\n", 100*done/max(1, total))
		}
	}
	return func() {}
}

func validateTable(w io.Writer, rows []theory.Row, all bool) error {
	t := table.NewWriter()
	t.SetStyle(plain)
	t.AppendHeader(table.Row{"case", "metric", "expected", "measured", "±", "off", "verdict"})
	for _, r := range rows {
		name := r.Case
		if r.Variant != "" {
			name += " " + r.Variant
		}
		if r.Verdict == theory.Skipped {
			if all {
				t.AppendRow(table.Row{name, r.Metric, number(r.Expected), "", "", "", "skipped: " + text.WrapSoft(r.Reason, 60)})
			}
			continue
		}
		off := ""
		if r.Expected != 0 {
			off = fmt.Sprintf("%+.2f %%", 100*(r.Measured/r.Expected-1))
		}
		t.AppendRow(table.Row{name, r.Metric, number(r.Expected), number(r.Measured), fmt.Sprintf("%.2g", r.Interval), off,
			r.Verdict})
	}
	_, err := fmt.Fprintln(w, t.Render())
	return err
}

func number(x float64) string { return fmt.Sprintf("%.6g", x) }
