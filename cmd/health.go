package cmd

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/realnet"
)

func newHealth() *cobra.Command {
	var patience time.Duration
	var credentials credentialFlags
	c := &cobra.Command{
		Use:   "health [URL]",
		Short: "ask a node or a function whether it answers: for health checks of containers",
		Long: fmt.Sprintf(`health asks a URL once, and ends with status 0 where it is answered with a status below 500: without credentials, too, since a refusal is
an answer. Where no URL is given it is that of the scheduler at the address of the variable P2PFAAS_NODE_BIND or, without that, at
http://127.0.0.1:%d/. It is the health check of the images, which have no shell and no curl.`, realnet.SchedulerPort),
		Args: wants(0, 1, "one URL"),
		RunE: func(c *cobra.Command, args []string) error {
			url := "http://" + net.JoinHostPort(cmp.Or(os.Getenv(variable("bind")), "127.0.0.1"), strconv.Itoa(realnet.SchedulerPort)) + "/"
			if len(args) > 0 {
				url = args[0]
			}
			shown, err := credentials.read()
			if err != nil {
				return input(err)
			}
			ctx, cancel := context.WithTimeout(c.Context(), patience)
			defer cancel()
			q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return input(err)
			}
			a, err := directly(shown).Do(q)
			if err != nil {
				return err
			}
			defer a.Body.Close()
			if a.StatusCode >= http.StatusInternalServerError {
				return fmt.Errorf("%s answers %s", url, a.Status)
			}
			return nil
		},
	}
	credentials.add(c.Flags())
	c.Flags().DurationVar(&patience, "timeout", 4*time.Second, "how long to wait for the answer")
	return c
}
