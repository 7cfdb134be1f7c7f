package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/scenarios"
)

func newScenario() *cobra.Command {
	c := &cobra.Command{Use: "scenario", Short: "check, show and describe scenario files", Args: noSuchCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	check := &cobra.Command{
		Use:   "check FILE...",
		Short: "say whether scenario files are right, and what to write instead where they are not",
		Args:  wants(1, 1<<20, "scenario files"),

		ValidArgsFunction: completeScenario,
		RunE: func(c *cobra.Command, args []string) error {
			var bad []string
			for _, path := range args {
				points, err := checked(path)
				if err != nil {
					fmt.Fprintln(c.ErrOrStderr(), err)
					bad = append(bad, path)
					continue
				}
				if _, err := fmt.Fprintf(c.OutOrStdout(), "%s: right, %s\n", path, count(len(points), "point")); err != nil {
					return err
				}
			}
			if len(bad) > 0 {
				return input(fmt.Errorf("there are mistakes in %s", strings.Join(bad, ", ")))
			}
			return nil
		},
	}
	var set []string
	show := &cobra.Command{
		Use:   "show FILE",
		Short: "print a scenario as resolved: every default filled in, every unit written out",
		Args:  wants(1, 1, "one scenario file"),

		ValidArgsFunction: completeScenario,
		RunE: func(c *cobra.Command, args []string) error {
			f, err := load(args[0], set)
			if err != nil {
				return input(err)
			}
			_, err = c.OutOrStdout().Write(f.Resolved())
			return err
		},
	}
	show.Flags().StringArrayVar(&set, "set", nil, "give a key another value, as in --set workload.rate=5/s")
	schema := &cobra.Command{
		Use:   "schema",
		Short: "print the JSON Schema of scenario files, for editors",
		Args:  wants(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(scenarios.Schema())
			return err
		},
	}
	list := &cobra.Command{
		Use:   "list",
		Short: "list the scenarios of the library, which every command takes by name",
		Args:  wants(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), strings.Join(scenarios.Library(), "\n"))
			return err
		},
	}
	c.AddCommand(check, show, schema, list)
	return c
}

// load reads a scenario and applies the --set flags.
func load(path string, set []string) (*scenarios.File, error) {
	f, err := scenarios.Load(path)
	if err != nil {
		return nil, err
	}
	for _, s := range set {
		key, value, err := keyValue(s)
		if err != nil {
			return nil, err
		}
		if err := f.Set(key, value); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func checked(path string) ([]scenarios.Point, error) {
	f, err := scenarios.Load(path)
	if err != nil {
		return nil, err
	}
	return f.Points()
}

// completeScenario offers the library's names to the shell, which offers files besides.
func completeScenario(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return scenarios.Library(), cobra.ShellCompDirectiveDefault
}
