package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/realnet"
)

func newFunctionRemove() *cobra.Command {
	f := nodesFlags{}
	c := &cobra.Command{
		Use:   "remove NAME",
		Short: "take a function away from running nodes",
		Long: `remove takes a function away from running nodes. What executes there ends; what waits goes on to a node that has the function,
or is refused. It prints what the nodes have left.`,
		Example: `  p2pfaas function remove face-detect --hosts 10.0.0.1`,
		Args:    wants(1, 1, "the name of a function"),
		RunE: func(c *cobra.Command, args []string) error {
			return f.each(c, func(ctx context.Context, node string) ([]realnet.FunctionStatus, error) {
				if err := realnet.RemoveFunction(ctx, f.client, node, args[0]); err != nil {
					return nil, err
				}
				return realnet.AskFunctions(ctx, f.client, node)
			})
		},
	}
	f.add(c)
	return c
}
