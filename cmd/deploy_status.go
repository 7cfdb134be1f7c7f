package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/deploy"
)

func newDeployStatus() *cobra.Command {
	var f deploymentFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "status [NAME]",
		Short: "say how the nodes of a deployment are, and where",
		Long: `status asks the nodes of a deployment, and the engines that run them, how they are. It ends with status 1 where one is not
well. Without a name it is about the only deployment that there is.`,
		Args: wants(0, 1, "the name of a deployment"),
		RunE: func(c *cobra.Command, args []string) error {
			d, err := deploy.Open(f.dir, first(args))
			if err != nil {
				return input(err)
			}
			s, err := statusOf(c.Context(), d)
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(c.OutOrStdout())
				e.SetIndent("", "  ")
				err = e.Encode(s)
			} else {
				s.print(c.OutOrStdout())
			}
			if err == nil && s.Ill > 0 {
				err = errors.Join(s.unreached, fmt.Errorf("%d of %s are not well: p2pfaas deploy, as before, makes them anew", s.Ill, count(len(s.Nodes), "node")))
			}
			return err
		},
	}
	f.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// first is the first argument, if there is one.
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// deploymentStatus is how a deployment is.
type deploymentStatus struct {
	Name       string        `json:"name"`
	Target     deploy.Target `json:"target"`
	Scenario   string        `json:"scenario"`
	Deployed   time.Time     `json:"deployed"`
	Version    string        `json:"version"`
	Algorithms string        `json:"algorithms"`
	Ill        int           `json:"ill"`
	Nodes      []nodeStatus  `json:"nodes"`

	unreached error // machines
}

// nodeStatus is how a node is.
type nodeStatus struct {
	Number     int              `json:"number"`
	Machine    string           `json:"machine,omitempty"`
	Address    string           `json:"address"`
	State      string           `json:"state"` // of its container, or process
	Well       bool             `json:"well"`
	Problem    string           `json:"problem,omitempty"`
	Peers      int              `json:"peers"`
	WantsPeers int              `json:"wants_peers"`
	Load       string           `json:"load,omitempty"`
	Functions  []functionStatus `json:"functions,omitempty"`
	Said       *realnet.Status  `json:"said,omitempty"`
}

// functionStatus is how a function's container is.
type functionStatus struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	State   string `json:"state"`
}

// statusOf asks everybody.
func statusOf(ctx context.Context, d *deploy.Deployment) (*deploymentStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	s := &deploymentStatus{Name: d.Name, Target: d.Target, Scenario: d.Scenario, Deployed: d.Deployed, Version: d.Version, Algorithms: d.Algorithms}
	shown, err := d.Credentials()
	if err != nil {
		return nil, err
	}
	states := map[string]string{} // by container
	var engines []*deploy.Engine
	var unreached error
	if d.Target != deploy.TargetLocal {
		engines, unreached = enginesOf(ctx, d)
		defer deploy.CloseAll(engines)
		for i, e := range engines {
			if e == nil {
				continue
			}
			found, err := e.List(ctx, d.Name)
			if err != nil {
				unreached, engines[i] = errors.Join(unreached, err), nil
				defer deploy.CloseAll([]*deploy.Engine{e})
				continue
			}
			for _, x := range found {
				states[x.Name] = x.State
			}
		}
	}
	show(engines, shown)
	direct := directly(shown)
	s.Nodes = make([]nodeStatus, len(d.Plan.Nodes))
	var asking sync.WaitGroup
	for i := range d.Plan.Nodes {
		n := &d.Plan.Nodes[i]
		asking.Go(func() {
			x := nodeStatus{Number: n.Number, Address: n.Place.Dial(), WantsPeers: n.Peers, State: "running"}
			client := direct
			switch {
			case engines != nil && engines[n.Host] == nil:
				x.Machine, x.State, x.Problem = machineName(d, n.Host), "unknown", "its machine was not reached"
			case engines != nil:
				e := engines[n.Host]
				x.Machine, client = e.Name, e.Nodes()
				x.State = stateOf(states, n.Containers[0].Name)
				for _, c := range n.Containers[1:] {
					f := functionStatus{c.Function, c.Address, stateOf(states, c.Name)}
					x.Functions = append(x.Functions, f)
					if f.State != "running" {
						x.Problem = fmt.Sprintf("the function %s is %s", f.Name, f.State)
					}
				}
			case !d.Runs(d.Processes[i]):
				x.State = "ended"
			}
			if x.State == "running" {
				x.ask(ctx, client)
			} else if x.Problem == "" {
				x.Problem = "it is " + x.State
			}
			s.Nodes[i] = x
		})
	}
	asking.Wait()
	for _, n := range s.Nodes {
		if !n.Well {
			s.Ill++
		}
	}
	s.unreached = unreached
	return s, nil
}

// directly calls nodes without a proxy: they are near.
func directly(c *realnet.Credentials) *http.Client {
	return c.Client(&http.Transport{})
}

func machineName(d *deploy.Deployment, machine int) string {
	if machine < len(d.Machines) {
		return d.Machines[machine].Name
	}
	return "this machine"
}

func stateOf(states map[string]string, container string) string {
	if s, ok := states[container]; ok {
		return s
	}
	return "missing"
}

// ask asks the node itself.
func (n *nodeStatus) ask(ctx context.Context, client *http.Client) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	said, err := realnet.AskStatus(ctx, client, n.Address)
	if err != nil {
		n.Problem = err.Error()
		return
	}
	n.Said, n.Peers = &said, len(said.Peers)
	n.Load = fmt.Sprintf("%d+%d of %d", said.Running, said.Queued, said.Slots)
	if n.Problem == "" && n.Peers < n.WantsPeers {
		n.Problem = fmt.Sprintf("it knows %d peers of %d", n.Peers, n.WantsPeers)
	}
	n.Well = n.Problem == "" && n.State == "running"
}

func (s *deploymentStatus) print(w io.Writer) {
	when := "never finished"
	if !s.Deployed.IsZero() {
		when = "deployed " + s.Deployed.Local().Format(time.DateTime)
	}
	fmt.Fprintf(w, "%s: %s, target %s, %s by version %s, algorithms %s\n", s.Name, s.Scenario, s.Target, when, s.Version, s.Algorithms)
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	header := table.Row{"node", "address", "state", "peers", "load", "functions", "note"}
	if s.Target == deploy.TargetHosts {
		header = append(table.Row{"machine"}, header...)
	}
	t.AppendHeader(header)
	for _, n := range s.Nodes {
		var functions []string
		for _, f := range n.Functions {
			functions = append(functions, f.Name+" "+f.State)
		}
		row := table.Row{n.Number, n.Address, n.State, n.Peers, n.Load, strings.Join(functions, ", "), n.Problem}
		if s.Target == deploy.TargetHosts {
			row = append(table.Row{n.Machine}, row...)
		}
		t.AppendRow(row)
	}
	t.Render()
}
