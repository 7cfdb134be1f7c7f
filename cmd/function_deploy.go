package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/deploy"
)

func newFunctionDeploy() *cobra.Command {
	f := nodesFlags{}
	c := &cobra.Command{
		Use:   "deploy NAME=URL|IMAGE",
		Short: "give running nodes a function",
		Long: `deploy tells running nodes that they have a function, and where it is served by HTTP; a node that has it already calls it there
from now on. The node waits until it answers. Then its peers know that it has the function.

Nodes of a deployment in containers are given a container each, where the function is an image: a tag, a tar (./f.tar) or a directory
with a Dockerfile (./f). How long it took from the container's creation to its first answer is printed, as is how long the node
waited. A node that is restarted has what its scenario says; so has a deployment that is deployed anew.`,
		Example: `  p2pfaas function deploy face-detect=http://10.0.0.9:8080/ --hosts 10.0.0.1,10.0.0.2
  p2pfaas function deploy hello=./hello --deployment quickstart --node 0,1`,
		Args: wants(1, 1, "a function and what it is, NAME=URL or NAME=IMAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			name, what, is := strings.Cut(args[0], "=")
			if !is || name == "" || what == "" {
				return input(errors.New("write NAME=URL, as face-detect=http://10.0.0.9:8080/, or NAME=IMAGE"))
			}
			if strings.HasPrefix(what, "http://") || strings.HasPrefix(what, "https://") {
				if err := realnet.CheckFunctionURL(what); err != nil {
					return input(fmt.Errorf("%s: %w", args[0], err))
				}
				return f.each(c, func(ctx context.Context, n *askedNode) ([]realnet.FunctionStatus, error) {
					s, err := realnet.DeployFunction(ctx, n.client, n.at, name, what)
					if err != nil {
						return nil, err
					}
					return []realnet.FunctionStatus{s}, nil
				})
			}
			return f.deployImage(c, name, what)
		},
	}
	f.add(c)
	return c
}

// deployImage gives nodes of a deployment containers for a function.
func (f *nodesFlags) deployImage(c *cobra.Command, name, what string) error {
	if f.deployed == "" {
		return input(fmt.Errorf("%s is no URL, and an image is for the nodes of a deployment: give --deployment", what))
	}
	from, err := deploy.ImageOf(f.deployed, name, what, ".")
	if err != nil {
		return input(err)
	}
	release, err := deploy.Lock(f.dir, f.deployed)
	if err != nil {
		return input(err)
	}
	defer release()
	var one sync.Mutex // addresses and names are given one after the other
	err = f.each(c, func(_ context.Context, n *askedNode) ([]realnet.FunctionStatus, error) {
		if f.engines == nil {
			return nil, errors.New("the deployment is of the target local, which has no containers: give the URL of something that serves the function")
		}
		one.Lock()
		defer one.Unlock()
		ctx, cancel := context.WithTimeout(c.Context(), f.timeout) // it counts from this node's turn
		defer cancel()
		s, cold, err := f.of.AddFunction(ctx, f.engines[n.node.Host], n.node, name, from)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(c.ErrOrStderr(), "node %s: cold start of %s %v\n", n.name, name, cold.Round(time.Millisecond))
		return []realnet.FunctionStatus{s}, nil
	})
	return errors.Join(err, f.keep())
}

// keep remembers what has become of the deployment.
func (f *nodesFlags) keep() error {
	if f.of == nil {
		return nil
	}
	return f.of.Save()
}
