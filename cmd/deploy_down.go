package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/deploy"
)

func newDeployDown() *cobra.Command {
	var f deploymentFlags
	var images bool
	c := &cobra.Command{
		Use:   "down [NAME]",
		Short: "end a deployment, and remove all that belongs to it",
		Long: `down ends the nodes and functions of a deployment, and removes its containers, networks and volumes, which their labels tell, and
what is remembered of it. Images stay, for the next time, unless --images says otherwise. Without a name it is about the only deployment that there is.`,
		Args: wants(0, 1, "the name of a deployment"),
		RunE: func(c *cobra.Command, args []string) error {
			d, err := deploy.Open(f.dir, first(args))
			if err == nil {
				release, err := deploy.Lock(f.dir, d.Name)
				if err != nil {
					return input(err)
				}
				defer release()
			}
			if errors.Is(err, deploy.ErrNone) && len(args) == 1 {
				return takeDownUnknown(c.Context(), args[0], err, c.ErrOrStderr())
			} else if err != nil {
				return input(err)
			}
			return takeDown(c.Context(), d, images, true, c.ErrOrStderr())
		},
	}
	f.add(c)
	c.Flags().BoolVar(&images, "images", false, "remove images, too, that were brought to the machines, but for those that others use")
	return c
}

// takeDown removes all that belongs to a deployment, its images if it is said. Politely, what runs may be finished.
func takeDown(ctx context.Context, d *deploy.Deployment, images, politely bool, notes io.Writer) error {
	if d.Target == deploy.TargetLocal {
		if images {
			return input(fmt.Errorf("--images: %s is made of processes, and has none: leave it out", d.Name))
		}
		n, err := d.StopLocal()
		if err != nil {
			return err
		}
		fmt.Fprintf(notes, "ended: %d processes\n", n)
		return d.Forget()
	}
	engines, unreached := enginesOf(ctx, d)
	defer deploy.CloseAll(engines)
	removed, err := deploy.UndoAll(ctx, d.Name, engines, politely)
	err = errors.Join(unreached, err)
	fmt.Fprintf(notes, "removed: %s, %s, %s\n", count(len(removed.Containers), "container"), count(len(removed.Networks), "network"),
		count(len(removed.Volumes), "volume"))
	if err != nil {
		return fmt.Errorf("%w; repeat p2pfaas deploy down %s", err, d.Name)
	}
	if images {
		if err := removeImages(ctx, d, engines, notes); err != nil {
			return fmt.Errorf("%w; repeat p2pfaas deploy down %s --images", err, d.Name)
		}
	}
	return d.Forget()
}

// takeDownUnknown removes what this machine's engine has of a deployment that is not remembered here.
func takeDownUnknown(ctx context.Context, name string, unknown error, notes io.Writer) error {
	e, err := deploy.ThisMachine(ctx)
	if err != nil {
		return input(errors.Join(unknown, err))
	}
	defer deploy.CloseAll([]*deploy.Engine{e})
	removed, err := deploy.UndoAll(ctx, name, []*deploy.Engine{e}, true)
	if n := len(removed.Containers) + len(removed.Networks) + len(removed.Volumes); n == 0 && err == nil {
		return input(fmt.Errorf("%w, and the engine of this machine has nothing of that name: --deployments says where it is remembered", unknown))
	}
	fmt.Fprintf(notes, "removed: %s, %s, %s\n", count(len(removed.Containers), "container"), count(len(removed.Networks), "network"),
		count(len(removed.Volumes), "volume"))
	return err
}

// removeImages removes the images of a deployment from its machines.
func removeImages(ctx context.Context, d *deploy.Deployment, engines []*deploy.Engine, notes io.Writer) error {
	var problems []error
	n := 0
	for _, e := range engines { // all have been reached
		removed, err := e.RemoveImages(ctx, d.Plan)
		problems = append(problems, err)
		n += len(removed)
	}
	fmt.Fprintf(notes, "removed: %s\n", count(n, "image"))
	return errors.Join(problems...)
}

// enginesOf are the engines of a deployment's machines; nil are those that the error says could not be reached.
func enginesOf(ctx context.Context, d *deploy.Deployment) ([]*deploy.Engine, error) {
	if d.Target == deploy.TargetCompose {
		e, err := deploy.ThisMachine(ctx)
		return []*deploy.Engine{e}, err
	}
	return deploy.ConnectAll(ctx, d.Machines)
}

// show has the nodes of a deployment be shown credentials.
func show(engines []*deploy.Engine, c *realnet.Credentials) {
	for _, e := range engines {
		if e != nil {
			e.Show(c)
		}
	}
}
