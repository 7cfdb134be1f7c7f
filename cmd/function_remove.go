package cmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/deploy"
)

func newFunctionRemove() *cobra.Command {
	f := nodesFlags{}
	c := &cobra.Command{
		Use:   "remove NAME",
		Short: "take a function away from running nodes",
		Long: `remove takes a function away from running nodes. What executes there ends; what waits goes on to a node that has the function,
or is refused. Of a deployment, the function's container ends, too. It prints what the nodes have left.`,
		Example: `  p2pfaas function remove face-detect --hosts 10.0.0.1
  p2pfaas function remove face-detect --deployment quickstart --node 0,1`,
		Args: wants(1, 1, "the name of a function"),
		RunE: func(c *cobra.Command, args []string) error {
			if f.deployed != "" {
				release, err := deploy.Lock(f.dir, f.deployed)
				if err != nil {
					return input(err)
				}
				defer release()
			}
			return errors.Join(f.each(c, func(ctx context.Context, n *askedNode) ([]realnet.FunctionStatus, error) {
				if f.engines != nil {
					return f.of.RemoveFunction(ctx, f.engines[n.node.Host], n.node, args[0])
				}
				if err := realnet.RemoveFunction(ctx, n.client, n.at, args[0]); err != nil {
					return nil, err
				}
				return realnet.AskFunctions(ctx, n.client, n.at)
			}), f.keep())
		},
	}
	f.add(c)
	return c
}
