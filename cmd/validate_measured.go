package cmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/simnet/theory"
)

// measuredFlags are the flags of validate measured.
type measuredFlags struct {
	theory.Options
	decimal string
	places  int
	json    bool
	all     bool
	plot    string
}

func newValidateMeasured() *cobra.Command {
	var f measuredFlags
	c := &cobra.Command{
		Use:   "measured FILE...",
		Short: "predict measured delays of a real function with M/M/1/K",
		Long: `measured holds M/M/1/K against mean delays of a function that were measured at one node under Poisson arrivals, as the first
P2PFaaS published some. A file has a comment line, as in "# pigo-face-detect k10 mi3 linux" (function, places of the node, its
nominal service rate per second), and rows "rate delay" in requests per second and seconds.

The service rate is fitted to the half of the rows with the lower rates, by least squares of the logarithms: relative errors count
alike, since a mean delay is off by a share of itself. The other half is predicted, with the formula and with the simulator,
which runs a node of one slot and K-1 places to wait in 16 replications per row. Errors are predicted/measured - 1. They have in them
what is wrong with the model and the noise of the measurement; their mean, the bias, is the systematic part.`,
		Example: `  p2pfaas validate measured bench_pigo-face-detect_k10_mi3_poisson_delay.txt --plot delay.svg
  p2pfaas validate measured bench_pigo-face-detect_k20_mi3_poisson_delay.txt --decimal comma
  p2pfaas validate measured mine.txt --places 4 --json`,
		Args: wants(1, 1<<20, "files of measured delays"),
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args) },
	}
	fl := c.Flags()
	fl.StringVar(&f.decimal, "decimal", "point", "sign of decimals in the files: point or comma")
	fl.IntVar(&f.places, "places", 0, "K, requests that a node holds, the one that runs included (default: as the comment says)")
	fl.StringVar(&f.plot, "plot", "", "draw the one FILE and its predictions into this file: .svg, .pdf or .png")
	fl.Uint64Var(&f.Seed, "seed", 0, "added to the seeds of the simulations")
	fl.IntVar(&f.Workers, "workers", runtime.GOMAXPROCS(0), "replications at a time")
	fl.BoolVar(&f.json, "json", false, "print JSON, with every row and its scenario")
	fl.BoolVar(&f.all, "all", false, "print every row")
	completeFlag(c, "decimal", "point", "comma")
	return c
}

// prediction is that of a file.
type prediction struct {
	File string `json:"file"`
	*theory.Prediction
}

func (f *measuredFlags) run(c *cobra.Command, files []string) error {
	var problems []error
	if f.decimal != "point" && f.decimal != "comma" {
		problems = append(problems, fmt.Errorf("--decimal %s: write point or comma", f.decimal))
	}
	if f.Workers < 1 {
		problems = append(problems, fmt.Errorf("--workers %d: at least one replication must run at a time", f.Workers))
	}
	if f.plot != "" && len(files) > 1 {
		problems = append(problems, errors.New("--plot draws one file: give one"))
	}
	if c.Flags().Changed("places") && f.places < 1 {
		problems = append(problems, fmt.Errorf("--places %d: at least one, that of the request which runs", f.places))
	}
	if err := errors.Join(problems...); err != nil {
		return input(err)
	}
	read := make([]*theory.Delays, len(files))
	for i, path := range files {
		var err error
		if read[i], err = f.read(path); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", path, err))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return input(err)
	}
	all := make([]prediction, len(files))
	for i, d := range read {
		finish := validateProgress(c.ErrOrStderr(), &f.Options)
		p, err := theory.Predict(c.Context(), d, d.Places, f.Options)
		finish()
		if err != nil {
			if wrong := (*theory.InputError)(nil); errors.As(err, &wrong) {
				err = input(err)
			}
			return fmt.Errorf("%s: %w", files[i], err)
		}
		all[i] = prediction{files[i], p}
	}
	if f.plot != "" {
		if err := all[0].figure().Save(f.plot); err != nil {
			return input(err)
		}
	}
	if f.json {
		return encode(c.OutOrStdout(), all)
	}
	for i := range all {
		if i > 0 {
			if _, err := fmt.Fprintln(c.OutOrStdout()); err != nil {
				return err
			}
		}
		if err := all[i].print(c.OutOrStdout(), f.all); err != nil {
			return err
		}
	}
	return nil
}

// read reads a file; its places are those that are to be taken.
func (f *measuredFlags) read(path string) (*theory.Delays, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	d, err := theory.ReadDelays(file, f.decimal == "comma")
	switch {
	case errors.Is(err, theory.ErrDecimal) && f.decimal == "comma":
		return nil, fmt.Errorf("%w\nif the decimals of the file have points, leave out --decimal comma", err)
	case errors.Is(err, theory.ErrDecimal):
		return nil, fmt.Errorf("%w\nif the decimals of the file have commas, write --decimal comma", err)
	case err != nil:
		return nil, err
	}
	if f.places > 0 {
		d.Places = f.places
	}
	if d.Places == 0 {
		return nil, errors.New(`no comment says how many places the node has: write --places K, or a first line as "# NAME k10 mi3"`)
	}
	return d, nil
}

// printedRows is about how many rows are printed, unless all are.
const printedRows = 20

func (p *prediction) print(w io.Writer, all bool) error {
	name := p.File
	if p.Function != "" {
		name += ": " + p.Function
	}
	step := 1
	if !all {
		step = max(1, (len(p.Rows)+printedRows-2)/(printedRows-1))
	}
	t := table.NewWriter()
	t.SetStyle(plain)
	t.AppendHeader(table.Row{"rate [1/s]", "measured [s]", "formula [s]", "off", "simulated [s]", "off", ""})
	for i := 0; i < len(p.Rows); i += step {
		r, half := &p.Rows[i], "predicted"
		if r.Fit {
			half = "fitted"
		}
		t.AppendRow(table.Row{number(r.Rate), number(r.Measured), fmt.Sprintf("%.4g", r.Formula), percent(r.Formula/r.Measured - 1),
			fmt.Sprintf("%.4g ± %.1g", r.Simulated, r.Interval), percent(r.Simulated/r.Measured - 1), half})
	}
	rows := count(len(p.Rows), "row")
	if step > 1 {
		rows += fmt.Sprintf(", of which every %dth", step)
	}
	s := table.NewWriter()
	s.SetStyle(plain)
	s.AppendHeader(table.Row{"rows", "by", "mean error", "bias", "spread", "worst", "too long"})
	for _, half := range []struct {
		name string
		of   *theory.Accuracy
	}{{"fitted", &p.Fit}, {"predicted", &p.Predicted}} {
		for _, by := range []struct {
			name string
			of   *theory.Errors
		}{{"formula", &half.of.Formula}, {"simulation", &half.of.Simulated}} {
			e := by.of
			s.AppendRow(table.Row{half.name, by.name, fmt.Sprintf("%.1f %%", 100*e.Mean), percent(e.Bias), fmt.Sprintf("%.1f %%", 100*e.Spread),
				fmt.Sprintf("%s at %s/s", percent(e.Worst), number(e.At)), fmt.Sprintf("%d of %d", e.Above, half.of.Rows)})
		}
	}
	nominal := ""
	if p.Nominal > 0 {
		nominal = fmt.Sprintf("; the nominal one is %.4g/s", p.Nominal)
	}
	_, err := fmt.Fprintf(w, "%s, K = %d, %s\n\n%s\n\nservice rate: %.4g/s, fitted to the %d rows below %.4g/s%s\n\n%s\n\n"+
		"mean error: of absolute values; bias: mean with the sign, the systematic part; spread: standard deviation around it\n"+
		"the 95 %% interval of the simulation contains the formula in %d of %d rows\n",
		name, p.Places, rows, t.Render(), p.Fitted, p.Fit.Rows, p.Split(), nominal, s.Render(), p.Agree, len(p.Rows))
	return err
}

func percent(x float64) string { return fmt.Sprintf("%+.1f %%", 100*x) }

// simulatedSpots is about how many simulated rows a figure shows: their intervals would hide each other.
const simulatedSpots = 20

// figure is the file with its predictions.
func (p *prediction) figure() *results.Figure {
	f := results.Prediction{X: "arrival rate (1/s)", Y: "mean delay (s)", Split: p.Split()}
	for i := range p.Rows {
		r := &p.Rows[i]
		f.Measured = append(f.Measured, results.Spot{X: r.Rate, Y: r.Measured})
		if i%((len(p.Rows)+simulatedSpots-1)/simulatedSpots) == 0 {
			f.Simulated = append(f.Simulated, results.Spot{X: r.Rate, Y: r.Simulated, Half: r.Interval})
		}
	}
	const steps = 400
	first, last := p.Rows[0].Rate, p.Rows[len(p.Rows)-1].Rate
	for i := range steps + 1 {
		x := first + (last-first)*float64(i)/steps
		f.Model = append(f.Model, results.Spot{X: x, Y: p.Formula(x)})
	}
	return f.Figure("delay", fmt.Sprintf("Mean delay of %s against the arrival rate, measured and as M/M/1/%d.", filepath.Base(p.File), p.Places))
}
