package cmd

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/results"
)

func newPlot() *cobra.Command {
	var x, y, by, out string
	c := &cobra.Command{
		Use:   "plot DIR",
		Short: "draw a metric of a run against a swept key, one line per value of another",
		Example: `  p2pfaas plot runs/lambda-sweep-20260101-120000 --x workload.rate --y latency.p95 --by scheduler
  p2pfaas plot runs/lambda-sweep-20260101-120000 --x workload.rate --y drop_rate --out figure.pdf`,
		Args: wants(1, 1, "the directory of a run"),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := results.Open(args[0])
			if err != nil {
				return input(err)
			}
			if out == "" {
				out = filepath.Join(args[0], "plots", strings.Trim(y+"-"+x, "-")+".svg")
			}
			if err := results.PlotXY(r, x, y, by, out); err != nil {
				return input(err)
			}
			noteSparse(c.ErrOrStderr(), r, x, y)
			_, err = fmt.Fprintln(c.OutOrStdout(), out)
			return err
		},
	}
	c.Flags().StringVar(&x, "x", "", "swept key on the horizontal axis (default: the first one with numbers)")
	c.Flags().StringVar(&y, "y", "latency.mean", "metric on the vertical axis")
	c.Flags().StringVar(&by, "by", "", "swept key that makes the lines (default: whatever else is swept)")
	c.Flags().StringVar(&out, "out", "", "file to write: .svg, .pdf or .png (default: within DIR)")
	return c
}
