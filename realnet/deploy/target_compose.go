package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet"
)

// The target compose: the file is what runs, so that its user may go on with it by hand.

// composeProgram finds docker compose, or docker-compose.
func composeProgram(ctx context.Context) ([]string, error) {
	for _, words := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if exec.CommandContext(ctx, words[0], append(words[1:], "version")...).Run() == nil {
			return words, nil
		}
	}
	return nil, errors.New("there is neither docker compose nor docker-compose: install one of them, or deploy with --target local")
}

// ComposeUp makes the plan of a deployment true on this machine: it writes the compose file, has the compose program do what it says, and
// waits until all nodes know their peers. What is as it should be, compose leaves alone.
func (d *Deployment) ComposeUp(ctx context.Context, e *Engine, o HostsOptions) ([]HostReport, error) {
	if o.Patience == 0 {
		o.Patience = Patience
	}
	m := &machineDeployment{hostsDeployment: &hostsDeployment{plan: d.Plan, options: o}, engine: e, report: HostReport{Host: e.Name}}
	m.machines = []*machineDeployment{m}
	m.outline()
	report := func(err error) ([]HostReport, error) { return []HostReport{m.report}, err }
	if err := m.getImages(ctx); err != nil {
		return report(err)
	}
	if err := m.removeOthers(ctx); err != nil {
		return report(err)
	}
	if err := m.removeMoved(ctx); err != nil {
		return report(err)
	}
	before, err := e.List(ctx, d.Name)
	if err != nil {
		return report(err)
	}
	running, end := context.WithCancel(ctx)
	composing := make(chan error, 1)
	go func() {
		defer close(composing)
		composing <- d.compose(running)
	}()
	err = m.watch(ctx, before, composing)
	end()
	for range composing { // what it has begun to make is made before anybody undoes it
	}
	if err != nil {
		e.awaitQuiet(context.WithoutCancel(ctx), d.Name)
		return report(err)
	}
	for _, n := range m.networks {
		m.step("has the network %s", n.Name)
	}
	return report(m.ready(ctx))
}

// How long an engine makes nothing more before that is believed, and how many looks are taken at most.
const (
	lookEvery  = 250 * time.Millisecond
	looksAlike = 6
	mostLooks  = 60
)

// awaitQuiet returns when an engine makes no more containers of a deployment: what it was asked for it goes on making when
// whoever asked has gone. Where that cannot be told, who undoes the deployment says why.
func (e *Engine) awaitQuiet(ctx context.Context, name string) {
	before, alike := -1, 0
	for range mostLooks {
		now, err := e.List(ctx, name)
		if err != nil {
			return
		}
		if len(now) == before {
			alike++
		} else {
			before, alike = len(now), 0
		}
		if alike == looksAlike {
			return
		}
		time.Sleep(lookEvery)
	}
}

// removeMoved removes networks whose addresses are others now, with the containers in them: compose does not.
func (m *machineDeployment) removeMoved(ctx context.Context) error {
	for _, n := range m.networks {
		same, err := m.engine.hasNetwork(ctx, m.plan, n)
		if err == nil && !same {
			err = m.engine.removeNetwork(ctx, m.plan, n.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// watch waits for each container from when compose has started it, so that its cold start is its own and not that of the others.
func (m *machineDeployment) watch(ctx context.Context, before []ContainerState, composing <-chan error) error {
	problems := make([]error, len(m.containers))
	seen := make([]bool, len(m.containers))
	var waiting sync.WaitGroup
	var composed error
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for ended := false; ; {
		now, err := m.engine.List(ctx, m.plan.Name)
		if err != nil {
			composed = errors.Join(composed, err)
			break
		}
		for _, s := range now {
			i := slices.IndexFunc(m.containers, func(c *Container) bool { return c.Name == s.Name })
			old := slices.ContainsFunc(before, func(b ContainerState) bool { return b.ID == s.ID })
			if i < 0 || seen[i] || s.State != "running" || old && !ended { // an old one may yet be replaced
				continue
			}
			seen[i] = true
			waiting.Go(func() { problems[i] = m.composed(ctx, i, before, s.ID) })
		}
		if ended {
			break
		}
		select {
		case composed = <-composing:
			ended = true
		case <-ticker.C:
		}
	}
	waiting.Wait()
	for i, c := range m.containers {
		if !seen[i] && composed == nil {
			problems[i] = fmt.Errorf("compose has not started the container %s", c.Name)
		}
	}
	if composed != nil {
		return composed
	}
	return errors.Join(problems...)
}

// composed waits for a container that compose has started, and notes what has become of it.
func (m *machineDeployment) composed(ctx context.Context, i int, before []ContainerState, id string) error {
	c, r := m.containers[i], &m.report.Containers[i]
	r.ID, r.Change = id, Created
	if k := slices.IndexFunc(before, func(s ContainerState) bool { return s.Name == c.Name }); k >= 0 {
		switch same := before[k].ID == id; {
		case same && before[k].State == "running":
			r.Change = Untouched
		case same:
			r.Change = Started
		default:
			r.Change = Replaced
		}
	}
	if err := m.engine.AwaitAnswer(ctx, c, id, m.options.Patience); err != nil {
		return err
	}
	if c.Role == RoleFunction && (r.Change == Created || r.Change == Replaced) {
		created, err := m.engine.created(ctx, id)
		if err != nil {
			return err
		}
		r.ColdStart = time.Since(created)
	}
	m.step("%s %s", r.Change, c.Name)
	return nil
}

// compose writes the compose file, and runs the compose program.
func (d *Deployment) compose(ctx context.Context) error {
	text, err := d.Plan.Compose()
	if err != nil {
		return err
	}
	path := filepath.Join(d.Dir, composeName)
	if err := realnet.WriteWhole(path, text); err != nil {
		return err
	}
	words, err := composeProgram(ctx)
	if err != nil {
		return err
	}
	words = append(words, "--project-name", d.Plan.project(), "--file", composeName, "up", "--detach", "--remove-orphans")
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	c.Dir = d.Dir
	c.Env = append(os.Environ(), "COMPOSE_PARALLEL_LIMIT=32", "COMPOSE_HTTP_TIMEOUT=120")
	// Whoever interrupts this program interrupts what runs in its terminal, too: compose is told by this program alone.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 20 * time.Second
	out, err := c.CombinedOutput()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && bytes.Contains(out, []byte("overlaps")) {
		err = fmt.Errorf("%w: another network here has addresses of %s: choose others with --subnet", err, d.Plan.Networks[0].Subnet)
	}
	if err != nil {
		return fmt.Errorf("%s (in %s): %w\n%s", strings.Join(words, " "), d.Dir, err, ending(string(bytes.TrimSpace(out)), 12))
	}
	return nil
}
