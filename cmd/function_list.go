package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/realnet"
)

func newFunctionList() *cobra.Command {
	f := nodesFlags{}
	c := &cobra.Command{
		Use:   "list",
		Short: "list the functions that running nodes have",
		Long: `list asks running nodes which functions they have, where these are, and since when. The name * is any function that has no
place of its own.`,
		Example: `  p2pfaas function list --hosts 10.0.0.1,10.0.0.2`,
		Args:    wants(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return f.each(c, func(ctx context.Context, at string) ([]realnet.FunctionStatus, error) {
				return realnet.AskFunctions(ctx, f.client, at)
			})
		},
	}
	f.add(c)
	return c
}

// nodesFlags are the flags of what is asked of running nodes.
type nodesFlags struct {
	hosts   []string
	port    int
	timeout time.Duration
	json    bool
	client  *http.Client
}

func (f *nodesFlags) add(c *cobra.Command) {
	fl := c.Flags()
	fl.StringSliceVar(&f.hosts, "hosts", nil, "addresses of the nodes: IP, or IP:port")
	fl.IntVar(&f.port, "scheduler-port", realnet.SchedulerPort, "port of nodes whose address has none")
	fl.DurationVar(&f.timeout, "timeout", time.Minute, "time that a node has to answer")
	fl.BoolVar(&f.json, "json", false, "print JSON")
	f.client = &http.Client{Transport: &http.Transport{}}
}

// asked is what a node answered.
type asked struct {
	Node      string                   `json:"node"`
	Functions []realnet.FunctionStatus `json:"functions,omitempty"`
	Error     string                   `json:"error,omitempty"`
}

// each asks all nodes at once and prints what they answer. The error says which of them failed, and why.
func (f *nodesFlags) each(c *cobra.Command, ask func(ctx context.Context, at string) ([]realnet.FunctionStatus, error)) error {
	nodes, err := f.addresses()
	if err != nil {
		return input(err)
	}
	defer f.client.CloseIdleConnections()
	all, problems := make([]asked, len(nodes)), make([]error, len(nodes))
	var asking sync.WaitGroup
	for i, at := range nodes {
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(c.Context(), f.timeout)
			defer cancel()
			functions, err := ask(ctx, at)
			all[i] = asked{Node: f.hosts[i], Functions: functions}
			if err != nil {
				all[i].Error, problems[i] = err.Error(), fmt.Errorf("node %s: %w", f.hosts[i], err)
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

// addresses are where the schedulers of the nodes are.
func (f *nodesFlags) addresses() (nodes []string, err error) {
	var problems []error
	if len(f.hosts) == 0 {
		problems = append(problems, errors.New("which nodes? Give their addresses, as in --hosts 10.0.0.1,10.0.0.2"))
	}
	if f.port < 1 || f.port > 1<<16-1 || f.timeout <= 0 {
		problems = append(problems, fmt.Errorf("--scheduler-port %d, --timeout %v: write a port, and a time above 0", f.port, f.timeout))
	}
	for _, h := range f.hosts {
		host, port, err := net.SplitHostPort(h)
		if err != nil {
			host, port = h, strconv.Itoa(f.port)
		}
		at := net.JoinHostPort(host, port)
		switch {
		case net.ParseIP(host) == nil:
			problems = append(problems, fmt.Errorf("--hosts: the address %q is none: write an IP, or IP:port", h))
		case slices.Contains(nodes, at):
			problems = append(problems, fmt.Errorf("--hosts: the address %s is given twice: leave one out", h))
		}
		nodes = append(nodes, at)
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
