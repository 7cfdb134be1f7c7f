package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"

	"github.com/p2pfaas/p2pfaas/realnet"
)

// Engine is the container engine of a machine. Its errors name the machine.
type Engine struct {
	Name     string // of the machine
	Platform string // of its images, as linux/arm/v7

	client     *client.Client
	labels     map[string]string // of the machine's containers, beside the plan's
	connection *connection       // nil: it is this machine's
	dial       func(ctx context.Context, network, address string) (net.Conn, error)
	http       *http.Client // calls as the machine does
	nodes      *http.Client // the same, and shows the deployment's credentials
}

const (
	oldestAPI      = "1.41" // of Docker 20.10
	enginePatience = 10 * time.Second
	// making bounds calls that make something. They are not interrupted: nobody would know what they have made.
	making = time.Minute
)

// Connect reaches the engine of a machine over SSH.
func Connect(ctx context.Context, m *Machine) (*Engine, error) {
	s, err := openSSH(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	e := &Engine{Name: m.Name, connection: s, labels: map[string]string{LabelHost: m.Name}}
	for k, v := range m.Labels {
		e.labels[LabelHost+"."+k] = v
	}
	if err := e.reach(ctx, s.dialSocket, m.Architecture); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// reach finds the engine behind a dialer of its socket.
func (e *Engine) reach(ctx context.Context, dial func(ctx context.Context, network, address string) (net.Conn, error), architecture string) error {
	ctx, cancel := context.WithTimeout(ctx, enginePatience)
	defer cancel()
	first, err := dial(ctx, "", "") // its error is not a client's, which would hide it
	if err != nil {
		return e.wrong("the engine", err)
	}
	_ = first.Close()
	// The host is of no use to this dialer, and keeps proxies of the environment away.
	c, err := client.New(client.WithHost(client.DefaultDockerHost), client.WithDialContext(dial))
	if err != nil {
		return err
	}
	e.client = c
	e.callWith(e.connection.dial)
	if err := e.identify(ctx); err != nil {
		return err
	}
	if platform := "linux/" + architecture; architecture != "" && platform != e.Platform {
		return fmt.Errorf("%s: the hosts file says architecture: %s, and its engine says %s: correct the hosts file, or the host", e.Name, architecture,
			strings.TrimPrefix(e.Platform, "linux/"))
	}
	return nil
}

func (e *Engine) callWith(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	e.dial = dial
	e.Show(nil)
	e.http = e.nodes
}

// Show has nodes, and nobody else, be shown credentials.
func (e *Engine) Show(c *realnet.Credentials) {
	e.nodes = c.Client(&http.Transport{DialContext: e.dial})
}

// ThisMachine reaches the engine of this machine, the one that $DOCKER_HOST says.
func ThisMachine(ctx context.Context) (*Engine, error) {
	if strings.HasPrefix(os.Getenv("DOCKER_HOST"), "ssh://") {
		return nil, errors.New("$DOCKER_HOST is a machine that is reached over SSH: write it into a hosts file")
	}
	c, err := client.New(client.FromEnv)
	if err != nil {
		return nil, fmt.Errorf("$DOCKER_HOST or the variables beside it: %w", err)
	}
	e := &Engine{Name: "this machine", client: c}
	e.callWith(new(net.Dialer).DialContext)
	ctx, cancel := context.WithTimeout(ctx, enginePatience)
	defer cancel()
	if err := e.identify(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// identify finds out whether the engine will do, and for which platform its images are.
func (e *Engine) identify(ctx context.Context) error {
	ping, err := e.client.Ping(ctx, client.PingOptions{})
	if err != nil {
		if e.connection == nil && client.IsErrConnectionFailed(err) {
			err = fmt.Errorf("%w: start Docker, or let $DOCKER_HOST say where it is", err)
		}
		return e.wrong("the engine does not answer", err)
	}
	if versions.LessThan(ping.APIVersion, oldestAPI) {
		return fmt.Errorf("%s: its engine has version %q of the API, and %s is needed: install Docker 20.10 or a later one there", e.Name,
			ping.APIVersion, oldestAPI)
	}
	if _, err := e.client.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return e.wrong("agreeing on a version of the API", err)
	}
	v, err := e.client.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return e.wrong("asking for the engine's version", err)
	}
	if v.Os != "linux" {
		return fmt.Errorf("%s: its engine runs containers of %s, and not of Linux: switch it over, or take another", e.Name, v.Os)
	}
	e.Platform = v.Os + "/" + v.Arch
	if v.Arch == "arm" { // of which there are several
		info, err := e.client.Info(ctx, client.InfoOptions{})
		if err != nil {
			return e.wrong("asking for the engine's architecture", err)
		}
		e.Platform += "/v7"
		if strings.HasPrefix(info.Info.Architecture, "armv6") {
			return fmt.Errorf("%s: its processor is an %s, and arm/v7 is the least: take another", e.Name, info.Info.Architecture)
		}
	}
	return nil
}

// wrong says at which machine and with what something went wrong, and what to do where that is known.
func (e *Engine) wrong(what string, err error) error {
	if err == nil {
		return nil
	}
	if e.connection != nil && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)) {
		if broken := e.connection.broken(err); broken != nil {
			err = broken
		}
	}
	if strings.Contains(err.Error(), "no space left on device") {
		err = fmt.Errorf("its disk is full: make room there, for example with docker system df and docker image prune: %w", err)
	}
	return fmt.Errorf("%s: %s: %w", e.Name, what, err)
}

// Close ends the connections to the engine.
func (e *Engine) Close() error {
	if e.http != nil {
		e.http.CloseIdleConnections()
		e.nodes.CloseIdleConnections()
	}
	var err error
	if e.client != nil {
		err = e.client.Close()
	}
	if e.connection != nil {
		err = errors.Join(err, e.connection.close())
	}
	return err
}

// Nodes calls nodes as the machine does.
func (e *Engine) Nodes() *http.Client { return e.nodes }
