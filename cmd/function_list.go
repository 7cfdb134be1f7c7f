package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/deploy"
)

func newFunctionList() *cobra.Command {
	f := nodesFlags{}
	c := &cobra.Command{
		Use:   "list",
		Short: "list the functions that running nodes have",
		Long: `list asks running nodes which functions they have, where these are, and since when. The name * is any function that has no
place of its own.`,
		Example: `  p2pfaas function list --hosts 10.0.0.1,10.0.0.2
  p2pfaas function list --deployment quickstart --node 0,1`,
		Args: wants(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return f.each(c, func(ctx context.Context, n *askedNode) ([]realnet.FunctionStatus, error) {
				return realnet.AskFunctions(ctx, n.client, n.at)
			})
		},
	}
	f.add(c)
	return c
}

// nodesFlags are the flags of what is asked of running nodes.
type nodesFlags struct {
	deploymentFlags
	credentialFlags
	deployed string
	numbers  []int
	hosts    []string
	port     int
	timeout  time.Duration
	json     bool

	of      *deploy.Deployment // nil: the nodes are those of --hosts
	engines []*deploy.Engine   // of its machines; nil: it has no containers
}

// askedNode is one of them.
type askedNode struct {
	name   string // as the user knows it
	at     string // IP:port of its scheduler
	client *http.Client
	node   *deploy.Node // of a deployment
}

func (f *nodesFlags) add(c *cobra.Command) {
	fl := c.Flags()
	f.deploymentFlags.add(c)
	f.credentialFlags.add(fl)
	fl.StringVar(&f.deployed, "deployment", "", "instead of --hosts: the nodes of this deployment")
	fl.IntSliceVar(&f.numbers, "node", nil, "numbers of its nodes (default all)")
	fl.StringSliceVar(&f.hosts, "hosts", nil, "addresses of the nodes: IP, or IP:port")
	fl.IntVar(&f.port, "scheduler-port", realnet.SchedulerPort, "port of nodes whose address has none")
	fl.DurationVar(&f.timeout, "timeout", time.Minute, "time that a node has to answer, that of making its container and the image included")
	fl.BoolVar(&f.json, "json", false, "print JSON")
}

// asked is what a node answered.
type asked struct {
	Node      string                   `json:"node"`
	Functions []realnet.FunctionStatus `json:"functions,omitempty"`
	Error     string                   `json:"error,omitempty"`
}

// each asks all nodes at once and prints what they answer. The error says which of them failed, and why.
func (f *nodesFlags) each(c *cobra.Command, ask func(ctx context.Context, n *askedNode) ([]realnet.FunctionStatus, error)) error {
	nodes, err := f.nodes(c.Context())
	if err != nil {
		return input(err)
	}
	defer deploy.CloseAll(f.engines)
	all, problems := make([]asked, len(nodes)), make([]error, len(nodes))
	var asking sync.WaitGroup
	for i := range nodes {
		n := &nodes[i]
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(c.Context(), f.timeout)
			defer cancel()
			functions, err := ask(ctx, n)
			all[i] = asked{Node: n.name, Functions: functions}
			if err != nil {
				all[i].Error, problems[i] = err.Error(), fmt.Errorf("node %s: %w", n.name, err)
			}
		})
	}
	asking.Wait()
	if f.json {
		enc := json.NewEncoder(c.OutOrStdout())
		enc.SetIndent("", "  ")
		err = enc.Encode(all)
	} else {
		err = listFunctions(c.OutOrStdout(), all)
	}
	return errors.Join(append(problems, err)...)
}

// nodes are those that are asked.
func (f *nodesFlags) nodes(ctx context.Context) ([]askedNode, error) {
	if f.deployed == "" {
		return f.ofHosts()
	}
	if len(f.hosts) > 0 {
		return nil, errors.New("--deployment and --hosts both say which nodes: leave one out")
	}
	d, err := deploy.Open(f.dir, f.deployed)
	if err != nil {
		return nil, err
	}
	shown, err := f.credentials(d)
	if err != nil {
		return nil, err
	}
	if f.of = d; d.Target != deploy.TargetLocal {
		if f.engines, err = enginesOf(ctx, d); err != nil {
			return nil, err
		}
		show(f.engines, shown)
	}
	direct := directly(shown)
	var nodes []askedNode
	for i := range d.Plan.Nodes {
		n := &d.Plan.Nodes[i]
		if len(f.numbers) > 0 && !slices.Contains(f.numbers, n.Number) {
			continue
		}
		x := askedNode{strconv.Itoa(n.Number), n.Place.Dial(), direct, n}
		if f.engines != nil {
			x.client = f.engines[n.Host].Nodes()
		}
		nodes = append(nodes, x)
	}
	for _, n := range f.numbers {
		if n < 0 || n >= len(d.Plan.Nodes) {
			return nil, fmt.Errorf("--node %d: the deployment has the nodes 0 to %d", n, len(d.Plan.Nodes)-1)
		}
	}
	return nodes, nil
}

// ofHosts are the nodes of --hosts.
func (f *nodesFlags) ofHosts() (nodes []askedNode, err error) {
	var problems []error
	if len(f.hosts) == 0 {
		problems = append(problems, errors.New("which nodes? Give their addresses, as in --hosts 10.0.0.1,10.0.0.2, or --deployment"))
	}
	if len(f.numbers) > 0 {
		problems = append(problems, errors.New("--node is about nodes of a deployment: give --deployment, or leave it out"))
	}
	if f.port < 1 || f.port > 1<<16-1 || f.timeout <= 0 {
		problems = append(problems, fmt.Errorf("--scheduler-port %d, --timeout %v: write a port, and a time above 0", f.port, f.timeout))
	}
	shown, err := f.credentials(nil)
	problems = append(problems, err)
	direct := directly(shown)
	all, err := nodeAddresses(f.hosts, slices.Repeat([]string{"--hosts"}, len(f.hosts)), f.port)
	problems = append(problems, err)
	for i, at := range all {
		nodes = append(nodes, askedNode{name: f.hosts[i], at: at, client: direct})
	}
	return nodes, errors.Join(problems...)
}

// listFunctions prints a row for each function of each node that has answered.
func listFunctions(w io.Writer, all []asked) error {
	t := table.NewWriter()
	t.SetStyle(plain)
	t.AppendHeader(table.Row{"node", "function", "where", "since", "ready after"})
	for _, a := range all {
		for _, x := range a.Functions {
			where, ready := x.URL, ""
			if len(x.Process) > 0 {
				where = strings.Join(x.Process, " ")
			}
			if x.Ready > 0 {
				ready = time.Duration(x.Ready * 1e9).Round(10 * time.Microsecond).String()
			}
			t.AppendRow(table.Row{a.Node, x.Name, where, x.Since.Local().Format(time.DateTime), ready})
		}
		if len(a.Functions) == 0 && a.Error == "" {
			t.AppendRow(table.Row{a.Node, "(none)"})
		}
	}
	if t.Length() == 0 {
		return nil
	}
	_, err := fmt.Fprintln(w, t.Render())
	return err
}
