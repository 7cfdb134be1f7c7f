package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet"
)

// HostsOptions are what making a plan true on machines needs beside the plan.
type HostsOptions struct {
	// Images opens this program's images of these tags for a platform like linux/arm/v7, in the format of docker save. Machines
	// call it at once.
	Images   func(tags []string, platform string) (io.ReadCloser, error)
	Token    string         // of the nodes, which find it at the plan's TokenFile; empty: they have none
	Progress func(Progress) // called one at a time; nil: nobody
	Patience time.Duration  // for a container to answer, and then for all nodes to know their peers; 0: Patience
}

// Progress is a step that was made, or has begun.
type Progress struct {
	Host        string
	Step        string // what was done, as "created sweep-node-3", or has begun, where it may take a while
	Done, Total int    // steps of this host
}

// HostReport is what happened on a machine.
type HostReport struct {
	Host       string            `json:"host"`
	Images     []string          `json:"images,omitempty"`     // that it did not have
	Removed    []string          `json:"removed,omitempty"`    // containers and networks that the plan does not have any more
	Containers []ContainerReport `json:"containers,omitempty"` // in order of the plan
	Undone     *Removed          `json:"undone,omitempty"`     // since the deployment failed; nil: it was not
}

// ContainerReport is what happened to a container.
type ContainerReport struct {
	Name   string `json:"name"`
	ID     string `json:"id"`
	Change Change `json:"change"`
	// ColdStart is how long a function took from the creation of its container, of an image that the machine had, to its first
	// answer, as this machine saw it, while others of its machine may have been made, too; 0: it was there before, or is no function.
	ColdStart time.Duration `json:"cold_start_ns,omitempty"`
}

// atOnce bounds how many containers of a machine are made or removed at once.
const atOnce = 4

// inParallel calls f with 0 to n-1, not more than most at once.
func inParallel(n, most int, f func(i int)) {
	var running sync.WaitGroup
	turn := make(chan struct{}, most)
	for i := range n {
		turn <- struct{}{}
		running.Go(func() {
			defer func() { <-turn }()
			f(i)
		})
	}
	running.Wait()
}

// Hosts makes a plan true on the machines whose engines these are, by the plan's indices, and waits until all nodes know their
// peers. What is true already stays as it is. The error has what failed on every machine. A deployment that was not there before
// is undone where it fails or is interrupted; another stays as far as it came, and the next call goes on.
func Hosts(ctx context.Context, p *Plan, engines []*Engine, o HostsOptions) ([]HostReport, error) {
	if o.Patience == 0 {
		o.Patience = Patience
	}
	files, err := pack(p.Files, "")
	if err != nil {
		return nil, err
	}
	ofNodes, err := pack(p.Files, o.Token)
	if err != nil {
		return nil, err
	}
	d := &hostsDeployment{plan: p, files: map[Role][]byte{RoleFunction: files, RoleNode: ofNodes}, options: o, machines: make([]*machineDeployment, len(engines))}
	for i, e := range engines {
		d.machines[i] = &machineDeployment{hostsDeployment: d, engine: e, index: i, report: HostReport{Host: e.Name}}
		d.machines[i].outline()
	}
	for i := range p.Nodes {
		if at := p.Nodes[i].Host; at < 0 || at >= len(engines) {
			return nil, fmt.Errorf("node %d is to be on host %d, and there are %d", p.Nodes[i].Number, at, len(engines))
		}
	}
	before := make([]bool, len(engines))
	if err := d.each(func(m *machineDeployment) error {
		var err error
		before[m.index], err = m.engine.has(ctx, p.Name)
		return err
	}); err != nil {
		return nil, err
	}
	err = d.each(func(m *machineDeployment) error { return m.deploy(ctx) })
	if err == nil { // no node becomes ready before those of all machines run
		err = d.each(func(m *machineDeployment) error { return m.ready(ctx) })
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil && !slices.Contains(before, true) {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*making)
		defer cancel()
		if undone := d.each(func(m *machineDeployment) error {
			r, err := m.engine.Undo(late, p.Name, false)
			if err == nil {
				m.report.Undone = &r
			}
			return err
		}); undone != nil {
			err = errors.Join(err, fmt.Errorf("undoing the deployment: %w", undone))
		}
	}
	reports := make([]HostReport, len(engines))
	for i, m := range d.machines {
		reports[i] = m.report
	}
	return reports, err
}

// hostsDeployment is one call of Hosts.
type hostsDeployment struct {
	plan     *Plan
	files    map[Role][]byte // that containers get
	options  HostsOptions
	machines []*machineDeployment
	mu       sync.Mutex // of progress
}

// each calls f for all machines at once, and returns all errors, in order of the machines.
func (d *hostsDeployment) each(f func(*machineDeployment) error) error {
	problems := make([]error, len(d.machines))
	inParallel(len(d.machines), len(d.machines), func(i int) { problems[i] = f(d.machines[i]) })
	return errors.Join(problems...)
}

// machineDeployment is the part of a machine.
type machineDeployment struct {
	*hostsDeployment
	engine      *Engine
	index       int
	own         []string         // tags of this program's images
	others      []*FunctionImage // images
	networks    []*Network
	containers  []*Container // in order of the plan
	done, total int
	report      HostReport
}

// outline collects the machine's part of the plan.
func (m *machineDeployment) outline() {
	for i := range m.plan.Networks {
		if n := &m.plan.Networks[i]; n.Host == m.index {
			m.networks = append(m.networks, n)
		}
	}
	for i := range m.plan.Nodes {
		if m.plan.Nodes[i].Host != m.index {
			continue
		}
		for j := range m.plan.Nodes[i].Containers {
			c := &m.plan.Nodes[i].Containers[j]
			m.containers = append(m.containers, c)
			if c.Own && !slices.Contains(m.own, c.Image) {
				m.own = append(m.own, c.Image)
			}
		}
	}
	for i := range m.plan.Images {
		from := &m.plan.Images[i]
		if slices.ContainsFunc(m.containers, func(c *Container) bool { return !c.Own && c.Image == from.Tag }) && !slices.ContainsFunc(m.others,
			func(o *FunctionImage) bool { return o.Tag == from.Tag }) {
			m.others = append(m.others, from)
		}
	}
	m.report.Containers = make([]ContainerReport, len(m.containers))
	for i, c := range m.containers {
		m.report.Containers[i].Name = c.Name
	}
	// A node's container is made, and later it is ready.
	m.total = 1 + len(m.others) + len(m.networks) + len(m.containers)
	for _, c := range m.containers {
		if c.Role == RoleNode {
			m.total++
		}
	}
}

// step tells that a step was made.
func (m *machineDeployment) step(format string, args ...any) { m.tell(1, format, args...) }

// begin tells of what may take a while.
func (m *machineDeployment) begin(format string, args ...any) { m.tell(0, format, args...) }

func (m *machineDeployment) tell(steps int, format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += steps
	if m.options.Progress != nil {
		m.options.Progress(Progress{m.engine.Name, fmt.Sprintf(format, args...), m.done, m.total})
	}
}

// deploy makes the machine's part of the plan true: first what others need.
func (m *machineDeployment) deploy(ctx context.Context) error {
	if err := m.getImages(ctx); err != nil {
		return err
	}
	if err := m.removeOthers(ctx); err != nil {
		return err
	}
	for _, n := range m.networks {
		change, err := m.engine.network(ctx, m.plan, n)
		if err != nil {
			return err
		}
		m.step("%s the network %s", change, n.Name)
	}
	// What is to be replaced goes first: it may have the address or the ports of another.
	problems := make([]error, len(m.containers))
	inParallel(len(m.containers), atOnce, func(i int) {
		r := &m.report.Containers[i]
		r.ID, r.Change, problems[i] = m.engine.prepare(ctx, m.plan, m.containers[i])
	})
	if err := errors.Join(problems...); err != nil {
		return err
	}
	for _, role := range []Role{RoleFunction, RoleNode} {
		inParallel(len(m.containers), atOnce, func(i int) {
			if m.containers[i].Role == role && ctx.Err() == nil {
				problems[i] = m.deployContainer(ctx, i)
			}
		})
		if err := errors.Join(append(problems, ctx.Err())...); err != nil {
			return err
		}
	}
	return nil
}

func (m *machineDeployment) getImages(ctx context.Context) error {
	got, err := m.engine.Load(ctx, m.own, func(missing []string) (io.ReadCloser, error) {
		m.begin("loading the images of this program")
		return m.options.Images(missing, m.engine.Platform)
	})
	if err == nil {
		m.step("has the images of this program")
	}
	m.report.Images = got
	return errors.Join(err, m.getOthers(ctx))
}

// getOthers gets the images that are not this program's.
func (m *machineDeployment) getOthers(ctx context.Context) error {
	var problems []error
	for _, from := range m.others {
		var got bool
		var err error
		m.begin("getting the image %s", from.Tag)
		switch {
		case from.Dir != "":
			got, err = m.engine.Build(ctx, from.Tag, from.Dir)
		case from.Tar != "":
			got, err = m.engine.LoadAs(ctx, from.Tag, from.Loads, func() (io.ReadCloser, error) { return os.Open(from.Tar) })
		default:
			got, err = m.engine.Pull(ctx, from.Tag)
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if got {
			m.report.Images = append(m.report.Images, from.Tag)
		}
		m.step("has the image %s", from.Tag)
	}
	return errors.Join(problems...)
}

// removeOthers removes containers and networks that an earlier plan of this name had.
func (m *machineDeployment) removeOthers(ctx context.Context) error {
	list, err := m.engine.List(ctx, m.plan.Name)
	if err != nil {
		return err
	}
	var problems []error
	for _, s := range list {
		if slices.ContainsFunc(m.machines, func(o *machineDeployment) bool { return o.wants(s, o == m) }) {
			continue
		}
		if err := m.engine.remove(ctx, s.ID, true); err != nil {
			problems = append(problems, err)
			continue
		}
		m.report.Removed = append(m.report.Removed, s.Name)
	}
	networks, err := m.engine.networksOf(ctx, m.plan.Name)
	if err != nil {
		return errors.Join(append(problems, err)...)
	}
	for _, name := range networks {
		if slices.ContainsFunc(m.plan.Networks, func(n Network) bool { return n.Name == name }) {
			continue
		}
		if err := m.engine.removeNetwork(ctx, m.plan, name); err != nil {
			problems = append(problems, err)
			continue
		}
		m.report.Removed = append(m.report.Removed, name)
	}
	return errors.Join(problems...)
}

// wants reports whether the machine is to have a container: one of its engine or, as two hosts may be one machine, one that was
// made for it.
func (m *machineDeployment) wants(s ContainerState, its bool) bool {
	return (its || s.Host == m.engine.Name) && slices.ContainsFunc(m.containers, func(c *Container) bool { return c.Name == s.Name })
}

func (m *machineDeployment) deployContainer(ctx context.Context, i int) error {
	c, r := m.containers[i], &m.report.Containers[i]
	began := time.Now()
	var err error
	if r.ID, err = m.engine.make(ctx, m.plan, c, m.files[c.Role], r.ID, r.Change); err != nil {
		return err
	}
	if err := m.engine.AwaitAnswer(ctx, c, r.ID, m.options.Patience); err != nil {
		return err
	}
	if c.Role == RoleFunction && c.Health != "" && (r.Change == Created || r.Change == Replaced) {
		r.ColdStart = time.Since(began)
	}
	m.step("%s %s", r.Change, c.Name)
	return nil
}

// ready waits until the machine's nodes know their peers.
func (m *machineDeployment) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.options.Patience)
	defer cancel()
	problems := make([]error, len(m.containers))
	inParallel(len(m.containers), len(m.containers), func(i int) {
		c := m.containers[i]
		if c.Role != RoleNode {
			return
		}
		at := slices.IndexFunc(m.plan.Nodes, func(n Node) bool { return n.Number == c.Node })
		problems[i] = m.engine.watched(ctx, c.Name, m.report.Containers[i].ID, func(ctx context.Context) error {
			n := &m.plan.Nodes[at]
			if err := realnet.AwaitPeers(ctx, m.engine.nodes, n.Place.Dial(), n.Peers); err != nil {
				return err
			}
			return m.engine.settle(ctx, n)
		})
		if problems[i] == nil {
			m.step("node %d is ready", c.Node)
		}
	})
	return errors.Join(problems...)
}
