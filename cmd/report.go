package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/results"
)

func newReport() *cobra.Command {
	var asJSON bool
	var metrics []string
	c := &cobra.Command{
		Use:   "report DIR [DIR]",
		Short: "write the report of a run anew and print its table, or compare two runs",
		Long: `report writes summary, figures and report.html of a run's directory anew, complete or not, and prints the table.

With two directories it compares them, setting by setting: B minus A with a confidence interval, paired by replication
where both faced the same requests (the same seed and workload).`,
		Args: wants(1, 2, "the directory of a run, or of two"),
		RunE: func(c *cobra.Command, args []string) error {
			var runs []*results.Run
			for _, dir := range args {
				r, err := results.Open(dir)
				if err != nil {
					return input(err)
				}
				runs = append(runs, r)
			}
			w := c.OutOrStdout()
			for _, r := range runs {
				for _, metric := range metrics {
					if err := results.CheckMetric(metric, r.Functions()); err != nil {
						return input(fmt.Errorf("--metrics: %w", err))
					}
				}
			}
			if len(runs) == 2 {
				return compareRuns(w, runs[0], runs[1], metrics, asJSON)
			}
			if err := runs[0].Render(); err != nil {
				return err
			}
			if asJSON {
				return results.WriteJSON(w, runs[0], metrics...)
			}
			results.Table(w, runs[0], colours(w), metrics...)
			_, err := fmt.Fprintf(c.ErrOrStderr(), "\nreport: %s\n", runs[0].Report())
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringSliceVar(&metrics, "metrics", nil, "metrics to print (default: the usual ones)")
	return c
}

// compared are the metrics of a comparison unless its user names others.
var compared = []string{"latency.mean", "latency.p95", "drop_rate", "forwarded_share", "messages_per_request"}

func compareRuns(w io.Writer, a, b *results.Run, metrics []string, asJSON bool) error {
	if len(metrics) == 0 {
		metrics = compared
	}
	differences, unmatched, err := results.CompareRuns(a, b, metrics...)
	if err != nil {
		return input(err)
	}
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(struct {
			Differences []results.Difference `json:"differences"`
			Unmatched   []string             `json:"unmatched"` // points that only one of the runs has
		}{differences, unmatched})
	}
	t := table.NewWriter()
	t.SetStyle(plain)
	t.AppendHeader(table.Row{"setting", "metric", "A", "B - A", "relative"})
	for i := range differences {
		d := &differences[i]
		relative := "-"
		if r := d.Relative(); !math.IsNaN(r) && !math.IsInf(r, 0) {
			relative = fmt.Sprintf("%+.2f %%", 100*r)
		}
		clear := ""
		if d.Clear() {
			clear = " *"
		}
		t.AppendRow(table.Row{strings.Join(d.Where, ", "), d.Metric, fmt.Sprintf("%.6g", d.Base),
			fmt.Sprintf("%+.4g ± %.2g%s", d.Mean, d.Half, clear), relative})
	}
	fmt.Fprintln(w, t.Render())
	fmt.Fprintln(w, "\n* the 95 % interval of the difference does not contain 0")
	if slices.ContainsFunc(differences, func(d results.Difference) bool { return d.Paired }) {
		fmt.Fprintln(w, "paired differences: both runs faced the same requests")
	}
	if slices.ContainsFunc(differences, func(d results.Difference) bool { return !d.Paired }) {
		fmt.Fprintln(w, "differences of independent runs: they faced different requests (Welch's interval)")
	}
	for _, u := range unmatched {
		fmt.Fprintln(w, "not compared:", u)
	}
	return nil
}
