package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/realnet"
)

func newFunctionDeploy() *cobra.Command {
	f := nodesFlags{}
	c := &cobra.Command{
		Use:   "deploy NAME=URL",
		Short: "give running nodes a function that is served somewhere",
		Long: `deploy tells running nodes that they have a function, and where it is served by HTTP; a node that has it already calls it there
from now on. The node waits until it answers. Then its peers know that it has the function.`,
		Example: `  p2pfaas function deploy face-detect=http://10.0.0.9:8080/ --hosts 10.0.0.1,10.0.0.2`,
		Args:    wants(1, 1, "a function and where it is, NAME=URL"),
		RunE: func(c *cobra.Command, args []string) error {
			name, at, is := strings.Cut(args[0], "=")
			if !is || name == "" {
				return input(errors.New("write NAME=URL, as face-detect=http://10.0.0.9:8080/"))
			}
			if err := checkFunctionURL(at); err != nil {
				return input(fmt.Errorf("%s: %w", args[0], err))
			}
			return f.each(c, func(ctx context.Context, node string) ([]realnet.FunctionStatus, error) {
				s, err := realnet.DeployFunction(ctx, f.client, node, name, at)
				if err != nil {
					return nil, err
				}
				return []realnet.FunctionStatus{s}, nil
			})
		},
	}
	f.add(c)
	return c
}
