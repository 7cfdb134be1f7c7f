package cmd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/play"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// playFlags are the flags of play.
type playFlags struct {
	address     string
	pick        string
	replication int
}

func newPlay() *cobra.Command {
	var f playFlags
	c := &cobra.Command{
		Use:   "play DIR",
		Short: "show a run on the page that nodes have at /ui/, with a time line to play it",
		Long: `play serves the page that shows a cluster, on this machine, for a run that is over: loads, forwards, latency, faults, and where each
request has been, at any instant of its time line. DIR is the directory of a run on real nodes, or of a simulation, that kept all
records (one point, or --records all): one point of it, and one replication.`,
		Example: `  p2pfaas sim quickstart --out runs/quick --select 0 && p2pfaas play runs/quick
  p2pfaas play runs/sweep --select workload.rate=8/s,scheduler=JSQ --replication 2`,
		Args: wants(1, 1, "the directory of a run"),
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	fl := c.Flags()
	fl.StringVar(&f.address, "address", "127.0.0.1:0", "where to serve the page, IP:PORT; whoever reaches it sees the run. Port 0: a free one")
	fl.StringVar(&f.pick, "select", "", "the one point of a run that has several: an index, or KEY=VALUE,... of swept keys")
	fl.IntVar(&f.replication, "replication", 0, "replication of the point")
	return c
}

func (f *playFlags) run(c *cobra.Command, dir string) error {
	t, err := f.timeline(dir)
	if err != nil {
		return input(err)
	}
	limits := realnet.DefaultServerLimits()
	listener, err := limits.Listen(f.address, nil)
	if err != nil {
		return input(fmt.Errorf("--address: %w", err))
	}
	server := limits.Server(realnet.WithoutRebinding(t.Handler()))
	context.AfterFunc(c.Context(), func() { _ = server.Close() }) // nothing is lost by it
	if _, err := fmt.Fprintf(c.OutOrStdout(), "http://%s/ui/ shows %s: %s, from %v to %v. Ctrl-C ends it.\n", shown(listener.Addr()), dir, t.Label, t.From, t.To); err != nil {
		return errors.Join(err, server.Close())
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// shown is where a browser of this machine finds what listens.
func shown(a net.Addr) string {
	if at, ok := a.(*net.TCPAddr); ok && at.IP.IsUnspecified() {
		return (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: at.Port}).String()
	}
	return a.String()
}

func (f *playFlags) timeline(dir string) (*play.Timeline, error) {
	r, err := results.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := whole(r, "the page"); err != nil {
		return nil, err
	}
	p, err := onePoint(r, f.pick, "the page")
	if err != nil {
		return nil, err
	}
	file, err := scenarios.LoadFrom(r.Origin, r.Scenario)
	if err != nil {
		return nil, err
	}
	all, err := file.Points()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(x scenarios.Point) bool { return x.Index == p.Index })
	if i < 0 {
		return nil, fmt.Errorf("%s: its scenario has no point %d", dir, p.Index)
	}
	return play.New(r, p, f.replication, all[i].Scenario)
}
