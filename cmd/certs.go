package cmd

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/realnet"
)

func newCerts() *cobra.Command {
	var hosts []string
	var days int
	c := &cobra.Command{
		Use:   "certs DIR",
		Short: "make the certificates and the token that nodes know each other by",
		Long: `certs makes an authority of certificates in a directory, a certificate for each --host, one for clients, which load and the other commands
show, and a token. Where the directory has an authority already, it makes what is missing: further hosts may be added later.

A node needs ca.pem, HOST.pem, HOST.key and token; who runs the cluster ca.pem, client.pem, client.key and token. Nobody needs ca.key but
this command: keep it where no node is. All keys, and the token, are readable by you alone.`,
		Example: `  p2pfaas certs certs --host 10.0.0.1 --host 10.0.0.2
  p2pfaas node --bind 10.0.0.1 --token-file certs/token --tls-cert certs/10.0.0.1.pem --tls-key certs/10.0.0.1.key --tls-ca certs/ca.pem
  p2pfaas load my.yaml --hosts 10.0.0.1,10.0.0.2 --token-file certs/token --tls-cert certs/client.pem --tls-key certs/client.key --tls-ca certs/ca.pem`,
		Args: wants(1, 1, "a directory"),
		RunE: func(c *cobra.Command, args []string) error {
			if days < 1 || days > 3650 {
				return input(fmt.Errorf("--days %d: write a number from 1 to 3650", days))
			}
			made, err := realnet.MakeCertificates(args[0], hosts, time.Duration(days)*24*time.Hour)
			for _, name := range made {
				fmt.Fprintln(c.OutOrStdout(), "made", name)
			}
			if err == nil && len(made) == 0 {
				fmt.Fprintln(c.OutOrStdout(), "everything is there already: give further hosts, or remove what is to be made anew")
			}
			return input(err)
		},
	}
	c.Flags().StringSliceVar(&hosts, "host", nil, "address of a node, as others call it: an IP, or a name; may be repeated")
	c.Flags().IntVar(&days, "days", 365, "how long the certificates of nodes and clients are good")
	return c
}
