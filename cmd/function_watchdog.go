package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/cmd/function"
	"github.com/p2pfaas/p2pfaas/realnet"
)

func newWatchdog() *cobra.Command {
	var at place
	maxAnswer := bytesFlag(64 << 20)
	c := &cobra.Command{
		Use:   "watchdog [-- COMMAND [ARG...]]",
		Short: "make a program a function, as OpenFaaS's of-watchdog does",
		Long: `watchdog makes a program a function that serves HTTP. What it does it reads from the variables of of-watchdog:

  fprocess              the program with its arguments, where no COMMAND is given
  mode                  streaming (the default): a process per request, which gets the body on its stdin, and whose stdout is
                        the answer; serializing: the same, answered when it has ended, with 500 where it ends with an error;
                        http: one process that serves HTTP
  upstream_url          where it does: http://127.0.0.1:5000
  exec_timeout          10s: time that a request may take; 0: as long as its client waits
  read_timeout          10s: time that a client has to send the body
  write_timeout         10s: time that it has to take the answer, from its beginning
  max_inflight          requests at once; more are refused with 429. 0, the default: any number
  port                  8080
  content_type          of answers, but in mode http: application/octet-stream
  prefix_logs           true: each line of the log says when it was written
  healthcheck_interval  0s: when it is told to end, it says at /_/health for so long that it will, before it takes no more
  ready_path            path of the program that /_/ready asks

The processes of requests read method, path and so on in variables: Http_Method, Http_Path, Http_Query, Http_Host,
Http_Content_Length, and Http_X_Call_Id for the header X-Call-Id.`,
		Example: `  p2pfaas function watchdog -- cat
  curl http://127.0.0.1:8080/ --data hello
  mode=http upstream_url=http://127.0.0.1:3000 p2pfaas function watchdog -- node server.js
  p2pfaas node --function 'wc=exec:p2pfaas function watchdog --port {port} -- wc -c'`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			o, err := function.ReadWatchdog(os.Getenv, args)
			if c.ArgsLenAtDash() != 0 && len(args) > 0 {
				err = errors.Join(err, fmt.Errorf("the program comes after --: write %s -- %s", c.CommandPath(), args[0]))
			}
			if maxAnswer < 1 {
				err = errors.Join(err, fmt.Errorf("--max-answer %v: write more than 0", maxAnswer))
			}
			port, err2 := watchdogPort(c, at.port)
			if err = errors.Join(err, err2); err != nil {
				return input(err)
			}
			o.MaxAnswer, o.Log, at.port = int64(maxAnswer), c.ErrOrStderr(), port
			return serveWatchdog(c, at, o)
		},
	}
	at.add(c)
	c.Flags().Lookup("port").Usage = "port to listen on, instead of that of the variables port and PORT; 0: any"
	c.Flags().Var(&maxAnswer, "max-answer", "longest answer in mode serializing")
	return c
}

// watchdogPort is the port that the flag says or, where it does not, a variable.
func watchdogPort(c *cobra.Command, flag int) (int, error) {
	for _, name := range []string{"port", "PORT"} {
		text := os.Getenv(name)
		if text == "" || c.Flags().Changed("port") {
			continue
		}
		port, err := strconv.Atoi(text)
		if err != nil {
			err = fmt.Errorf("the variable %s is %q: write a number", name, text)
		}
		return port, err
	}
	return flag, nil
}

// serveWatchdog serves the function until the command is interrupted, or its process ends.
func serveWatchdog(c *cobra.Command, at place, o function.WatchdogOptions) error {
	d, err := function.OpenWatchdog(c.Context(), o)
	if err != nil {
		return err
	}
	defer d.Close()
	limits := realnet.DefaultServerLimits()
	limits.TakeTimeout = -1 // the watchdog has its own
	s, failed, err := startFunction(c, at, limits, d)
	if err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	case <-d.Ended():
		return errors.Join(d.Death(), s.Close())
	case <-c.Context().Done():
	}
	d.Drain()
	time.Sleep(o.Health)
	grace := context.Background()
	if o.Exec > 0 { // nothing that runs takes longer
		var cancel context.CancelFunc
		grace, cancel = context.WithTimeout(grace, o.Exec+o.Write)
		defer cancel()
	}
	if err := s.Shutdown(grace); err != nil {
		return s.Close()
	}
	return nil
}
