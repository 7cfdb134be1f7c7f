package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/cmd/top"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/watch"
)

// plainWidth is that of the snapshot as text.
const plainWidth = 120

// leastInterval keeps looks from being a load of their own.
const leastInterval = 100 * time.Millisecond

type topFlags struct {
	credentialFlags
	interval   time.Duration
	once, json bool
}

func newTop() *cobra.Command {
	var f topFlags
	own := net.JoinHostPort("127.0.0.1", strconv.Itoa(realnet.SchedulerPort))
	c := &cobra.Command{
		Use:   "top [ADDRESS]...",
		Short: "watch a running cluster: load, rates, latency, who forwards to whom, who has gone",
		Long: fmt.Sprintf(`top asks the node at ADDRESS, %s where none is given, finds the others by what that says of them, and asks all of
them at every interval. The screen has a line for each node, and fits into 80 columns; ? explains it. Further addresses are of
nodes that the first ones do not know.

Where the output is no terminal, and with --once, it prints one snapshot, after two looks: rates are differences.`, own),
		Example: `  p2pfaas top
  p2pfaas top 192.168.1.7
  p2pfaas top --once 127.0.0.2
  p2pfaas top --json | jq '.nodes[] | {address, state, running}'`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{own}
			}
			return f.run(c, args)
		},
	}
	fl := c.Flags()
	f.credentialFlags.add(fl)
	fl.DurationVar(&f.interval, "interval", time.Second, "time between two looks")
	fl.BoolVar(&f.once, "once", false, "print one snapshot and end")
	fl.BoolVar(&f.json, "json", false, "print a snapshot as a line of JSON at every interval")
	return c
}

func (f *topFlags) run(c *cobra.Command, addresses []string) error {
	shown, err := f.credentialFlags.read()
	w, err2 := watch.New(watch.Options{Addresses: addresses, Interval: f.interval, Credentials: shown})
	err = errors.Join(err, err2)
	if f.interval < leastInterval {
		err = errors.Join(err, fmt.Errorf("--interval %v: write %v or more", f.interval, leastInterval))
	}
	if err != nil {
		return input(err)
	}
	defer w.Close()
	first, err := f.reach(c.Context(), w)
	if err != nil {
		return err
	}
	switch {
	case f.json:
		return f.lines(c, w)
	case f.once || !terminal(c.OutOrStdout()) || !terminal(os.Stdin):
		s, err := f.second(c.Context(), w)
		if err != nil {
			return err
		}
		_, err = fmt.Fprint(c.OutOrStdout(), top.Text(s, plainWidth))
		return err
	}
	return f.screen(c, w, first)
}

// reach looks once: where no node answers there is nothing to watch.
func (f *topFlags) reach(ctx context.Context, w *watch.Watcher) (*watch.Cluster, error) {
	s := w.Look(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var why []string
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if n.Error == "" {
			return s, nil
		}
		why = append(why, fmt.Sprintf("%s: %s", n.Address, n.Error))
	}
	return nil, fmt.Errorf("there is no node to watch: %s: give the address of one that runs, with the port of its scheduler where that is "+
		"not %d, and the token where it wants one", strings.Join(why, "; "), realnet.SchedulerPort)
}

// second waits for an interval and looks again.
func (f *topFlags) second(ctx context.Context, w *watch.Watcher) (*watch.Cluster, error) {
	select {
	case <-time.After(f.interval):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s := w.Look(ctx)
	return s, ctx.Err()
}

// lines prints snapshots as JSON.
func (f *topFlags) lines(c *cobra.Command, w *watch.Watcher) error {
	out := json.NewEncoder(c.OutOrStdout())
	for {
		s, err := f.second(c.Context(), w)
		switch {
		case err != nil && !f.once:
			return nil // it was told to end
		case err != nil:
			return err
		}
		if err := out.Encode(s); err != nil || f.once {
			return err
		}
	}
}

// screen shows the cluster until somebody has seen enough.
func (f *topFlags) screen(c *cobra.Command, w *watch.Watcher, first *watch.Cluster) error {
	ctx, stop := context.WithCancel(c.Context())
	p := tea.NewProgram(top.New(), tea.WithContext(ctx), tea.WithInput(os.Stdin), tea.WithOutput(c.OutOrStdout()),
		tea.WithoutSignalHandler())
	looking := make(chan struct{})
	go func() {
		defer close(looking)
		p.Send(first)
		w.Run(ctx, func(s *watch.Cluster) { p.Send(s) })
	}()
	_, err := p.Run()
	stop()
	<-looking
	if c.Context().Err() != nil {
		return nil // it was told to end
	}
	return err
}
