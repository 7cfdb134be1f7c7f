package deploy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet"
)

// Functions that come and go while a deployment runs.

// AddFunction makes a container for a function of a node, from an image that the engine has or gets, waits until it answers, and tells the node,
// which tells its peers. Where the node had the function in a container, that ends when the node calls the new one. It returns what
// the node says, and the container's cold start.
func (d *Deployment) AddFunction(ctx context.Context, e *Engine, n *Node, function string, from FunctionImage) (s realnet.FunctionStatus,
	cold time.Duration, err error) {
	c, err := d.newContainer(n, function, from.Tag)
	if err != nil {
		return s, 0, err
	}
	m := &machineDeployment{hostsDeployment: &hostsDeployment{plan: d.Plan}, engine: e, others: []*FunctionImage{&from}}
	if err := m.getOthers(ctx); err != nil {
		return s, 0, err
	}
	began := time.Now()
	id, change, err := e.prepare(ctx, d.Plan, c)
	if err != nil {
		return s, 0, err
	}
	if id, err = e.make(ctx, d.Plan, c, nil, id, change); err == nil {
		if err = e.AwaitAnswer(ctx, c, id, Patience); err == nil {
			cold = time.Since(began)
			s, err = realnet.DeployFunction(ctx, e.nodes, n.Place.Dial(), function, "http://"+c.Address+":8080/")
		}
	}
	if err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), making)
		defer cancel()
		return s, cold, errors.Join(err, e.removeNamed(undo, d.Name, c.Name))
	}
	before := slices.Clone(n.Containers)
	n.Containers = append(slices.DeleteFunc(n.Containers, func(o Container) bool { return o.Role == RoleFunction && o.Function == function }), *c)
	for i := range before {
		if o := &before[i]; o.Role == RoleFunction && o.Function == function {
			err = errors.Join(err, e.removeNamed(ctx, d.Name, o.Name))
		}
	}
	return s, cold, err
}

// RemoveFunction takes a function away from a node, and ends its container where it has one. It returns what the node has left.
func (d *Deployment) RemoveFunction(ctx context.Context, e *Engine, n *Node, function string) ([]realnet.FunctionStatus, error) {
	if err := realnet.RemoveFunction(ctx, e.nodes, n.Place.Dial(), function); err != nil {
		return nil, err
	}
	var problems []error
	n.Containers = slices.DeleteFunc(n.Containers, func(c Container) bool {
		if c.Role != RoleFunction || c.Function != function {
			return false
		}
		err := e.removeNamed(ctx, d.Name, c.Name)
		problems = append(problems, err)
		return err == nil
	})
	left, err := realnet.AskFunctions(ctx, e.nodes, n.Place.Dial())
	return left, errors.Join(append(problems, err)...)
}

// strays are the functions of its plan that a node does not have, or not where the plan says, and those that it has beyond the plan, of what it
// has: it may have been told otherwise while it ran.
func (n *Node) strays(has []realnet.FunctionStatus) (astray, extra []string) {
	for _, name := range n.Functions {
		if !slices.ContainsFunc(has, func(s realnet.FunctionStatus) bool { return s.Name == name && s.URL == n.url(name) }) {
			astray = append(astray, name)
		}
	}
	for _, s := range has {
		if s.Name != "*" && !slices.Contains(n.Functions, s.Name) {
			extra = append(extra, s.Name)
		}
	}
	return astray, extra
}

// url is where the node calls a function by its plan; empty: in a process of its own.
func (n *Node) url(function string) string {
	for _, c := range n.Containers {
		if c.Role == RoleFunction && c.Function == function {
			return "http://" + c.Address + ":8080/"
		}
	}
	return n.URLs[function]
}

// settle has a node have the functions of its plan, where the plan says, and no others. It starts no processes.
func (e *Engine) settle(ctx context.Context, n *Node) error {
	has, err := realnet.AskFunctions(ctx, e.nodes, n.Place.Dial())
	if err != nil {
		return err
	}
	astray, extra := n.strays(has)
	for _, name := range astray {
		if _, err := realnet.DeployFunction(ctx, e.nodes, n.Place.Dial(), name, n.url(name)); err != nil {
			return fmt.Errorf("telling it where %s is: %w", name, err)
		}
	}
	for _, name := range extra {
		if err := realnet.RemoveFunction(ctx, e.nodes, n.Place.Dial(), name); err != nil {
			return fmt.Errorf("taking %s away from it: %w", name, err)
		}
	}
	return nil
}

// newContainer is one for a function of a node, with a name and an address that nobody has.
func (d *Deployment) newContainer(n *Node, function, tag string) (*Container, error) {
	at := slices.IndexFunc(d.Plan.Networks, func(w Network) bool { return w.Host == n.Host })
	if at < 0 {
		return nil, errors.New("the deployment has no network for containers")
	}
	network := d.Plan.Networks[at]
	c := &Container{Role: RoleFunction, Node: n.Number, Function: function, Image: tag, Network: network.Name, Limits: n.Containers[0].Limits}
	subnet, err := netip.ParsePrefix(network.Subnet)
	if err != nil {
		return nil, err
	}
	names, last := map[string]bool{}, nth(subnet, firstAddress-1)
	for i := range d.Plan.Nodes {
		for _, o := range d.Plan.Nodes[i].Containers {
			names[o.Name] = true
			if a, err := netip.ParseAddr(o.Address); err == nil && subnet.Contains(a) && last.Less(a) {
				last = a
			}
		}
	}
	if last = last.Next(); !subnet.Contains(last.Next()) {
		return nil, fmt.Errorf("the subnet %s has no address left: deploy anew with a larger --subnet", subnet)
	}
	c.Address = last.String()
	c.Health = "http://" + c.Address + ":8080/healthz"
	for i := 1; c.Name == "" || names[c.Name]; i++ { // never a name of a scenario's plan: those have no dots
		c.Name = fmt.Sprintf("%s-%s.%d", n.Containers[0].Name, function, i)
	}
	return c, nil
}

// removeNamed removes a container of a deployment, if it is there.
func (e *Engine) removeNamed(ctx context.Context, deployment, name string) error {
	list, err := e.List(ctx, deployment)
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.Name == name {
			return e.remove(ctx, s.ID, true)
		}
	}
	return nil
}
