package deploy

import (
	"context"
	"errors"
	"fmt"

	"github.com/moby/moby/client"

	"github.com/p2pfaas/p2pfaas/realnet/loadgen"
)

// machines are the nodes of a deployment in containers of one engine, for faults of its scenario.
type machines struct {
	engine *Engine
	plan   *Plan
}

// Machines does to the nodes of a plan, which run in containers of the engine, what faults of its scenario are: of a node that crashes the containers of
// its functions stay, to which nobody else speaks; one that stands still does so with them.
func (e *Engine) Machines(p *Plan) loadgen.Machines { return &machines{e, p} }

// Crash implements loadgen.Machines.
func (m *machines) Crash(ctx context.Context, node int) error {
	c := m.plan.Nodes[node].Containers[0].Name
	_, err := m.engine.client.ContainerKill(ctx, c, client.ContainerKillOptions{Signal: "SIGKILL"})
	return m.engine.wrong("killing the container "+c, err)
}

// Restart implements loadgen.Machines.
func (m *machines) Restart(ctx context.Context, node int) error {
	c := &m.plan.Nodes[node].Containers[0]
	return m.engine.start(ctx, c, c.Name)
}

// Pause implements loadgen.Machines.
func (m *machines) Pause(ctx context.Context, node int) error {
	return m.each(ctx, node, "pausing", true, func(name string) error {
		_, err := m.engine.client.ContainerPause(ctx, name, client.ContainerPauseOptions{})
		return err
	})
}

// Resume implements loadgen.Machines.
func (m *machines) Resume(ctx context.Context, node int) error {
	return m.each(ctx, node, "resuming", false, func(name string) error {
		_, err := m.engine.client.ContainerUnpause(ctx, name, client.ContainerUnpauseOptions{})
		return err
	})
}

// each pauses or resumes all containers of a node, whatever happens with one of them. One that was so before is as it is to be: the engine
// refuses that, and not always in the same words.
func (m *machines) each(ctx context.Context, node int, doing string, paused bool, do func(name string) error) error {
	var problems []error
	for i := range m.plan.Nodes[node].Containers {
		name := m.plan.Nodes[node].Containers[i].Name
		err := do(name)
		if err != nil {
			found, ierr := m.engine.client.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
			if ierr == nil && found.Container.State != nil && found.Container.State.Paused == paused {
				err = nil
			}
		}
		problems = append(problems, m.engine.wrong(fmt.Sprintf("%s the container %s", doing, name), err))
	}
	return errors.Join(problems...)
}
