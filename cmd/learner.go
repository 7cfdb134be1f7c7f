package cmd

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/core/spelling"
)

func newLearner() *cobra.Command {
	c := &cobra.Command{
		Use:   "learner",
		Short: "look at what a learner has learned, and validate learners",
		Long: `learner looks at what a learner has learned: the actions that it prefers in each state, and what it expects of them.
A simulation writes that to DIR/learner/point-N/node-N.json, for the first 64 nodes of each point.`,
		Args: noSuchCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newLearnerShow(), newLearnerExport(), newLearnerValidate())
	return c
}

func newLearnerShow() *cobra.Command {
	var p planeFlags
	var asJSON bool
	var sortBy, out string
	var limit int
	c := &cobra.Command{
		Use:   "show FILE",
		Short: "print the best action of each state and its value, or draw a map of two numbers of the state",
		Long: `show prints what a learner is, and the states of its table: the best action, its margin over the second best, and the
values of the actions. A dash is an action that was never tried, as far as the file tells (that of a bandit does).
Values of UCB1, LinUCB and Thompson sampling are means: without what makes them explore.

With --x and --y (or --x alone) it prints the best action over two numbers of the state, the others fixed; with --out
it draws that, and the value of the best action beside it. So it does with tiles, linear functions and networks, which
have no list of states: over their first two numbers, if not told otherwise. A number whose bounds are whole and at most
64 apart has a cell for each whole number, others have 40 cells, or as many as --cells says. Of a table, a cell has the
mean of the states that were seen in it.`,
		Example: `  p2pfaas learner show runs/learning-city-20260101-120000/learner/point-6/node-0.json
  p2pfaas learner show node-0.json --x "running 0" --y "queued 0" --at type=1 --out policy.pdf`,
		Args:              wants(1, 1, "one file of weights"),
		ValidArgsFunction: completeWeights,
		RunE: func(c *cobra.Command, args []string) error {
			order, ok := orders[sortBy]
			switch {
			case !ok:
				return input(fmt.Errorf("--sort %s: use %s", sortBy, strings.Join(spelling.Nearest(sortBy, orderNames), ", ")))
			case limit < 0:
				return input(fmt.Errorf("--limit %d: use 0 for all rows, or more", limit))
			}
			k, err := readKnowledge(args[0])
			if err != nil {
				return input(err)
			}
			var m *plane
			if p.given() || !k.tabular() {
				if m, err = k.plane(&p); err != nil {
					return input(fmt.Errorf("%s: %w", args[0], err))
				}
			} else if out != "" {
				return input(errors.New("--out draws a map: say with --x and --y what of"))
			}
			w := c.OutOrStdout()
			if out != "" {
				if err := m.picture().Figure("policy", m.caption()).Save(out); err != nil {
					return input(err)
				}
			}
			switch {
			case asJSON:
				return k.writeJSON(w, m)
			case out != "":
				_, err = fmt.Fprintf(w, "%s\n%s\n", out, m.caption())
				return err
			}
			if err := k.describe(w); err != nil {
				return err
			}
			if m != nil {
				return m.print(w)
			}
			slices.SortStableFunc(k.rows, order)
			return k.list(w, limit)
		},
	}
	p.add(c)
	f := c.Flags()
	f.StringVar(&out, "out", "", "draw the map into a file: .svg, .pdf or .png")
	f.IntVar(&limit, "limit", 40, "states to print; 0 = all")
	f.StringVar(&sortBy, "sort", "state", "order of the states: by their numbers (state), best first (value), or as first seen (seen)")
	f.BoolVar(&asJSON, "json", false, "print JSON, with all states")
	completeFlag(c, "sort", orderNames...)
	return c
}

func newLearnerExport() *cobra.Command {
	var p planeFlags
	var format string
	c := &cobra.Command{
		Use:   "export FILE",
		Short: "write what a learner expects of each action in each state, as CSV or JSON",
		Long: `export writes a row for each state and action: the numbers of the state, the action, its value and, of a bandit, how
often it was tried. States are those of the table, in the order in which they were seen; with --x and --y, and for what
has no table, they are the cells of the map that show draws.`,
		Example:           `  p2pfaas learner export node-0.json --format csv > values.csv`,
		Args:              wants(1, 1, "one file of weights"),
		ValidArgsFunction: completeWeights,
		RunE: func(c *cobra.Command, args []string) error {
			write, ok := map[string]func(*knowledge, io.Writer) error{"csv": (*knowledge).exportCSV,
				"json": (*knowledge).exportJSON}[format]
			if !ok {
				return input(fmt.Errorf("--format %s: use csv or json", format))
			}
			k, err := readKnowledge(args[0])
			if err != nil {
				return input(err)
			}
			if p.given() || !k.tabular() {
				m, err := k.plane(&p)
				if err != nil {
					return input(fmt.Errorf("%s: %w", args[0], err))
				}
				k.rows = m.known()
			}
			return write(k, c.OutOrStdout())
		},
	}
	p.add(c)
	c.Flags().StringVar(&format, "format", "csv", "csv or json")
	completeFlag(c, "format", "csv", "json")
	return c
}

// planeFlags say what a map is of.
type planeFlags struct {
	x, y  string
	at    []string
	cells int
}

func (p *planeFlags) add(c *cobra.Command) {
	// Of flags of one letter, cobra completes the short form alone.
	c.Flags().StringVarP(&p.x, "x", "x", "", "number of the state on the horizontal axis of a map")
	c.Flags().StringVarP(&p.y, "y", "y", "", "number of the state on the vertical axis")
	c.Flags().StringArrayVar(&p.at, "at", nil, "value of another number, as in --at type=1 (default: 0, or the bound nearest to it)")
	c.Flags().IntVar(&p.cells, "cells", 0, "cells on each axis (default: one for each whole number, otherwise 40)")
	for _, name := range []string{"x", "y", "at"} {
		err := c.RegisterFlagCompletionFunc(name, func(_ *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			if len(args) == 1 {
				if k, err := readKnowledge(args[0]); err == nil {
					names = k.dimNames()
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		})
		if err != nil {
			panic(err) // there is no such flag
		}
	}
}

func (p *planeFlags) given() bool { return p.x != "" || p.y != "" || len(p.at) > 0 }

func completeWeights(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"json"}, cobra.ShellCompDirectiveFilterFileExt
}
