package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/p2pfaas/p2pfaas/core/spelling"
	"github.com/p2pfaas/p2pfaas/simnet"
)

// Main runs the command line and ends the process. A program that adds algorithms of its own hands over their source, embedded,
// so that the hash of its algorithms includes them (docs/example).
func Main(algorithms ...fs.FS) {
	added = algorithms
	// Ctrl-C once ends a run in good order; twice ends the process.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(Run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Run runs the command line and returns the exit status.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, simnet.ErrInterrupted), errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, err)
		return 130
	}
	fmt.Fprintln(stderr, "p2pfaas:", err)
	var bad inputError
	if errors.As(err, &bad) {
		return 2
	}
	return 1
}

// inputError is a mistake of the user's.
type inputError struct{ error }

func (e inputError) Unwrap() error { return e.error }

// input marks err as a mistake of the user's; nil stays nil.
func input(err error) error {
	if err == nil {
		return nil
	}
	return inputError{err}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "p2pfaas",
		Short: "a testbed for decentralised scheduling of FaaS requests among fog and edge nodes",
		Long: `p2pfaas tries scheduling algorithms of fog and edge nodes: each node decides by itself, for every request, whether
to run it here, to forward it to a peer, or to reject it.

  p2pfaas sim scenarios/lambda-sweep.yaml     simulate a scenario; a table and a report come out
  p2pfaas run quickstart                      the same on real nodes, on this machine
  p2pfaas compare quickstart                  how far the two are apart, and why
  p2pfaas load quickstart --hosts 10.0.0.1,..  or on nodes that run already
  p2pfaas deploy quickstart                   or in containers, here or on machines that are reached over SSH
  p2pfaas node --bind 127.0.0.1               a real node, with the services of the first P2PFaaS
  p2pfaas top                                 watch the nodes of a cluster
  p2pfaas schedulers                          the algorithms that there are
  p2pfaas scenario check my.yaml              is my scenario right?`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noSuchCommand,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetVersionTemplate("{{.Name}} version {{.Version}}, algorithms " + algorithms() + "\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		err = fmt.Errorf("%w: see %q", err, c.CommandPath()+" --help")
		var unknown *pflag.NotExistError
		if errors.As(err, &unknown) {
			var flags []string
			c.Flags().VisitAll(func(f *pflag.Flag) { flags = append(flags, f.Name) })
			if meant := spelling.Meant(unknown.GetSpecifiedName(), flags); meant != "" {
				err = fmt.Errorf("%w; did you mean --%s?", err, meant)
			}
		}
		return input(err)
	})
	root.AddCommand(newSim(), newRunReal(), newCompare(), newCalibrate(), newLoad(), newNode(), newCerts(), newReplay(), newPlay(), newTrace(), newFunction(), newScenario(),
		newSchedulers(), newReport(), newPlot(), newLearner(), newValidate(), newSwarm(), newDeploy(), newImage(), newHealth(), newTop())
	return root
}

// completeFlag offers the values of a flag to the shell.
func completeFlag(c *cobra.Command, name string, values ...string) {
	err := c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // there is no such flag
	}
}

// noSuchCommand is for commands that have subcommands and no arguments.
func noSuchCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("there is no command %q: see %q", c.CommandPath()+" "+args[0], c.CommandPath()+" --help")
	var commands []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			commands = append(commands, sub.Name())
		}
	}
	if meant := spelling.Meant(args[0], commands); meant != "" {
		err = fmt.Errorf("%w; did you mean %q?", err, c.CommandPath()+" "+meant)
	}
	return input(err)
}

// wants checks the number of arguments, and says what they should be.
func wants(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return input(fmt.Errorf("%s wants %s, not %s: see %q", c.CommandPath(), what, count(len(args), "argument"),
				c.CommandPath()+" --help"))
		}
		return nil
	}
}

// terminal reports whether w is one: then there may be a progress bar and colours.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colours reports whether w takes colours (https://no-color.org).
func colours(w io.Writer) bool {
	return terminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
