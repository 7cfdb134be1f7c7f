package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/realnet/deploy"
)

// logsFlags are the flags of deploy logs.
type logsFlags struct {
	deploymentFlags
	nodes    []int
	function string
	follow   bool
	since    time.Duration
}

func newDeployLogs() *cobra.Command {
	var f logsFlags
	c := &cobra.Command{
		Use:   "logs [NAME]",
		Short: "print what the nodes and functions of a deployment say",
		Long: `logs prints what nodes, and with --function functions, have written, each line after the name of who wrote it. Without a name it
is about the only deployment that there is.`,
		Example: `  p2pfaas deploy logs --node 3 --follow
  p2pfaas deploy logs quickstart --function face-detect`,
		Args: wants(0, 1, "the name of a deployment"),
		RunE: func(c *cobra.Command, args []string) error {
			d, err := deploy.Open(f.dir, first(args))
			if err != nil {
				return input(err)
			}
			return f.run(c.Context(), c.OutOrStdout(), d)
		},
	}
	f.add(c)
	fl := c.Flags()
	fl.IntSliceVar(&f.nodes, "node", nil, "numbers of the nodes (default all)")
	fl.StringVar(&f.function, "function", "", "of this function of theirs, instead of the nodes")
	fl.BoolVarP(&f.follow, "follow", "f", false, "go on with what comes, until interrupted")
	fl.DurationVar(&f.since, "since", 0, "what was written in the last 10m, for example (default all)")
	return c
}

func (f *logsFlags) run(ctx context.Context, w io.Writer, d *deploy.Deployment) error {
	var nodes []*deploy.Node
	for i := range d.Plan.Nodes {
		nodes = append(nodes, &d.Plan.Nodes[i])
	}
	if len(f.nodes) > 0 {
		nodes = nil
		for _, n := range f.nodes {
			if n < 0 || n >= len(d.Plan.Nodes) {
				return input(fmt.Errorf("--node %d: the deployment has the nodes 0 to %d", n, len(d.Plan.Nodes)-1))
			}
			nodes = append(nodes, &d.Plan.Nodes[n])
		}
	}
	if d.Target == deploy.TargetLocal {
		return f.ofProcesses(w, d, nodes)
	}
	engines, unreached := enginesOf(ctx, d)
	defer deploy.CloseAll(engines)
	var since time.Time
	if f.since > 0 {
		since = time.Now().Add(-f.since)
	}
	out := &namedLines{w: w}
	var reading sync.WaitGroup
	var mu sync.Mutex
	problems := []error{unreached}
	found := false
	for _, n := range nodes {
		if engines[n.Host] == nil {
			found = true // and the error says so
			continue
		}
		for k := range n.Containers {
			c := &n.Containers[k]
			if c.Function != f.function {
				continue
			}
			found = true
			reading.Go(func() {
				from := out.from(c.Name)
				err := engines[n.Host].Logs(ctx, c.Name, since, f.follow, from, from)
				from.end()
				if err != nil && ctx.Err() == nil {
					mu.Lock()
					defer mu.Unlock()
					problems = append(problems, err)
				}
			})
		}
	}
	reading.Wait()
	if !found {
		return input(fmt.Errorf("--function %s: these nodes have no container of that name", f.function))
	}
	return errors.Join(problems...)
}

// ofProcesses prints the logs of processes.
func (f *logsFlags) ofProcesses(w io.Writer, d *deploy.Deployment, nodes []*deploy.Node) error {
	if f.function != "" || f.follow || f.since != 0 {
		return input(fmt.Errorf("the target local has a file for each node, %s and so on: read these", d.Processes[0].Log))
	}
	out := &namedLines{w: w}
	for _, n := range nodes {
		text, err := os.ReadFile(d.Processes[n.Number].Log)
		if err != nil {
			return err
		}
		from := out.from(fmt.Sprintf("%s-node-%d", d.Name, n.Number))
		if _, err := from.Write(text); err != nil {
			return err
		}
		from.end()
	}
	return nil
}

// namedLines are those of several writers, each whole.
type namedLines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *namedLines) from(name string) *linesFrom { return &linesFrom{namedLines: l, name: name} }

// linesFrom are those of one writer.
type linesFrom struct {
	*namedLines
	name string
	part []byte // of a line that is not whole yet
}

// Write implements io.Writer.
func (l *linesFrom) Write(text []byte) (int, error) {
	l.part = append(l.part, text...)
	for {
		line, rest, whole := bytes.Cut(l.part, []byte("\n"))
		if !whole {
			return len(text), nil
		}
		l.part = rest
		l.mu.Lock()
		_, err := fmt.Fprintf(l.w, "%s | %s\n", l.name, bytes.TrimRight(line, "\r"))
		l.mu.Unlock()
		if err != nil {
			return 0, err
		}
	}
}

// end writes what has no end.
func (l *linesFrom) end() {
	if len(l.part) > 0 {
		_, _ = l.Write([]byte("\n")) // who follows has seen the error
	}
}
