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
where both faced the same requests (the same seed and workload): replications that only one of them has are left out.`,
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
				if len(metrics) == 0 {
					metrics = compared
				}
				for i, r := range runs {
					for _, says := range r.Sparse(metrics...) {
						fmt.Fprintf(c.ErrOrStderr(), "note: of %s: %s\n", "AB"[i:i+1], says)
					}
				}
				return compareRuns(w, runs[0], runs[1], metrics, asJSON)
			}
			if err := runs[0].Render(); err != nil {
				return err
			}
			if asJSON {
				return results.WriteJSON(w, runs[0], metrics...)
			}
			if err := results.Table(w, runs[0], colours(w), metrics...); err != nil {
				return err
			}
			notes := c.ErrOrStderr()
			fmt.Fprintln(notes)
			tellFaults(notes, runs[0])
			noteSparse(notes, runs[0], metrics...)
			_, err := fmt.Fprintf(notes, "report: %s\n", runs[0].Report())
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringSliceVar(&metrics, "metrics", nil, "metrics to print (default: the usual ones)")
	return c
}

// noteSparse warns of percentiles among the metrics that are shown which rest on few requests.
func noteSparse(notes io.Writer, r *results.Run, metrics ...string) {
	for _, says := range r.Sparse(metrics...) {
		fmt.Fprintf(notes, "note: %s\n", says)
	}
}

// tellFaults says how the faults of a run went on real nodes, and of the first ones whom they befell, and when.
func tellFaults(w io.Writer, r *results.Run) {
	if said := r.Befallen(); said != "" {
		fmt.Fprintf(w, "faults: %s\n", said)
	}
	if said := r.Befell(3, 5); said != nil {
		fmt.Fprintf(w, "what befell whom, and when it began (the report has more):\n  %s\n", strings.Join(said, "\n  "))
	}
}

// compared are the metrics of a comparison unless its user names others.
var compared = []string{"latency.mean", "latency.p95", "drop_rate", "forwarded_share", "messages_per_request"}

func compareRuns(w io.Writer, a, b *results.Run, metrics []string, asJSON bool) error {
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
		difference := orDash("%+.4g", d.Mean)
		if !math.IsNaN(d.Half) {
			difference += fmt.Sprintf(" ± %.2g", d.Half)
		}
		if d.Clear() {
			difference += " *"
		}
		t.AppendRow(table.Row{strings.Join(d.Where, ", "), d.Metric, orDash("%.6g", d.Base), difference,
			orDash("%+.2f %%", 100*d.Relative())})
	}
	notes := []string{t.Render(), ""}
	for _, n := range []struct {
		says  string
		holds func(results.Difference) bool
	}{
		{"* the 95 % interval of the difference does not contain 0",
			func(d results.Difference) bool { return !math.IsNaN(d.Half) }},
		{"without ±: " + results.ErrTooFew.Error(), func(d results.Difference) bool { return math.IsNaN(d.Half) }},
		{"paired differences: both runs faced the same requests", func(d results.Difference) bool { return d.Paired }},
		{"differences of independent runs: they faced different requests (Welch's interval)",
			func(d results.Difference) bool { return !d.Paired }},
	} {
		if slices.ContainsFunc(differences, n.holds) {
			notes = append(notes, n.says)
		}
	}
	var last *results.Difference // that was told to be partial
	for i := range differences {
		d := &differences[i]
		if !d.Partial() {
			continue
		}
		what := strings.Join(d.Where, ", ")
		switch same := last != nil && slices.Equal(last.Where, d.Where); {
		case same && last.N == d.N: // metrics of one setting, mostly
			continue
		case same:
			what += ", " + d.Metric
		default:
			last = d
		}
		notes = append(notes, fmt.Sprintf("%s: A and B - A are of the %s that both runs have, with a value in both: A has %d, B has %d", what,
			count(d.N, "replication"), d.Replications[0], d.Replications[1]))
	}
	for _, u := range unmatched {
		notes = append(notes, "not compared: "+u)
	}
	_, err = fmt.Fprintln(w, strings.Join(notes, "\n"))
	return err
}

// orDash formats a number, and writes "-" where there is none.
func orDash(format string, v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "-"
	}
	return fmt.Sprintf(format, v)
}
