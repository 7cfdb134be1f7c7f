// Measure runs the failure detector of core/membership through its campaign, and exits with 1 where a bound is broken.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/p2pfaas/p2pfaas/simnet/membership"
)

func main() {
	c := membership.Campaign{}
	flag.IntVar(&c.Nodes, "nodes", 100, "of a cluster")
	flag.IntVar(&c.Seeds, "seeds", 1000, "clusters")
	flag.Uint64Var(&c.Seed, "seed", 1, "of the first cluster")
	flag.DurationVar(&c.Duration, "duration", time.Hour, "virtual, of each cluster")
	flag.Float64Var(&c.Net.Loss, "loss", 0.05, "share of the messages that get lost")
	flag.DurationVar(&c.Net.MinLatency, "min-latency", time.Millisecond, "one way")
	flag.DurationVar(&c.Net.MaxLatency, "max-latency", 20*time.Millisecond, "one way")
	flag.IntVar(&c.Workers, "workers", runtime.GOMAXPROCS(0), "clusters at a time")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "measure: %q: only flags are understood\n", flag.Arg(0))
		os.Exit(2)
	}
	spoke := time.Now()
	c.Progress = func(done int) {
		if time.Since(spoke) > 30*time.Second {
			spoke = time.Now()
			fmt.Fprintf(os.Stderr, "%d of %d clusters\n", done, c.Seeds)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	began := time.Now()
	f, err := c.Run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(2)
	}
	fmt.Printf("%d clusters of %d nodes for %v at %g %% loss and %v to %v one way, in %v\n\n", c.Seeds, c.Nodes, c.Duration,
		100*c.Net.Loss, c.Net.MinLatency, c.Net.MaxLatency, time.Since(began).Round(time.Second))
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\tmeasured\tbound\t")
	broken := 0
	for _, v := range f.Verdicts() {
		verdict := "ok"
		if !v.OK {
			verdict = "BROKEN"
			broken++
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", v.What, v.Value, v.Bound, verdict)
	}
	w.Flush()
	if broken > 0 {
		fmt.Printf("\nclusters with a false death, by seed: %v\n", f.FalseSeeds)
		os.Exit(1)
	}
}
