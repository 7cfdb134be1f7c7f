package cmd

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// The functions of a node: what it calls, and what it starts itself.

// nodeFunction is a function as a user describes it.
type nodeFunction struct {
	scenarios.Backend
	service string // time of a sleep or a loop whose request does not say it; empty: none
}

// functionsFlag are functions by name; * is any other.
type functionsFlag map[string]nodeFunction

// String implements pflag.Value.
func (f functionsFlag) String() string { return strings.Join(slices.Sorted(maps.Keys(f)), ",") }

// Type implements pflag.Value.
func (f functionsFlag) Type() string { return "function" }

// Set implements pflag.Value.
func (f functionsFlag) Set(text string) error {
	name, what, _ := strings.Cut(text, "=")
	kind, rest, more := strings.Cut(what, ":")
	x := nodeFunction{Backend: scenarios.Backend{Kind: kind}}
	var err error
	switch {
	case kind == "http", kind == "https":
		x.Kind, x.URL, err = "url", what, realnet.CheckFunctionURL(what, "{function}")
	case kind == "exec" && strings.TrimSpace(rest) != "":
		x.Command = strings.Fields(rest)
	case kind == "face-detect" && !more:
	case (kind == "sleep" || kind == "loop") && more:
		x.service = rest
		_, err = scenarios.ParseDistribution("the service time of "+name, rest)
	case kind == "sleep", kind == "loop":
	default:
		err = errors.New("write NAME=URL, or NAME=exec:COMMAND, NAME=sleep:50ms, NAME=loop:50ms, NAME=face-detect")
	}
	if err != nil {
		return err
	}
	return f.add(name, x)
}

func (f functionsFlag) add(name string, x nodeFunction) error {
	if _, twice := f[name]; twice {
		return fmt.Errorf("the function %s is given twice: leave one out", name)
	}
	f[name] = x
	return nil
}

// backendFunction is what a node calls or starts for a function; more are arguments of a sample function.
func backendFunction(b *scenarios.Backend, more ...string) (realnet.Function, error) {
	switch b.Kind {
	case "sleep", "loop", "face-detect":
		self, err := os.Executable()
		if b.Kind != "face-detect" {
			more = append(more, "--instance", "{instance}")
		}
		return realnet.Function{Command: append([]string{self, "function", b.Kind, "--port", "{port}"}, more...)}, err
	}
	if b.Kind == "image" {
		return realnet.Function{}, fmt.Errorf("a function of the scenario is the image %s: --function NAME=URL says where its container is", b.Image)
	}
	return realnet.Function{URL: b.URL, Command: b.Command}, nil
}

// functionSeed is the seed of a sample function of a node: no two of them draw alike, and each draws the same whenever all settings are the same.
func functionSeed(seed uint64, replication, node int, name string) string {
	h := fnv.New64a()
	_, _ = io.WriteString(h, name)
	return strconv.FormatUint(random.Key(seed, replication, random.Demand, node, h.Sum64()), 10)
}

// backend is what runs the functions of a node without a scenario.
func (f *nodeFlags) backend(seed uint64) (realnet.Backend, error) {
	b := realnet.Backend{Functions: map[string]realnet.Function{}}
	if len(f.functions) == 0 || f.isSet("function-url") || f.isSet("function-port") {
		b.URL = strings.ReplaceAll(f.functionURL, "{port}", strconv.Itoa(f.ports.function))
	}
	var problems []error
	started := 0 // functions with processes that come and go
	for name, x := range f.functions {
		var more []string
		if x.Kind != "face-detect" {
			more = append(more, "--seed", functionSeed(seed, 0, f.place(), name))
		}
		if x.service != "" {
			more = append(more, "--service", x.service)
		}
		g, err := backendFunction(&x.Backend, more...)
		if g.KeepAlive = f.timeouts.keepAlive; len(g.Command) > 0 && g.KeepAlive > 0 {
			g.OnDemand = true
			started++
		}
		b.Functions[name] = g
		problems = append(problems, err)
	}
	if f.timeouts.keepAlive > 0 && started == 0 {
		problems = append(problems, fmt.Errorf("%s %v: it is for functions whose processes the node starts, and there are none: give one with "+
			"--function, or leave it out", f.source("function-keep-alive"), f.timeouts.keepAlive))
	}
	if f.openfaas.url != "" {
		b.OpenFaaS = &realnet.OpenFaaS{URL: f.openfaas.url}
		var err error
		var found bool
		b.OpenFaaS.User, b.OpenFaaS.Password, found, err = realnet.OpenFaaSSecrets(f.openfaas.secrets)
		if err == nil && !found && f.isSet("openfaas-secrets") {
			err = fmt.Errorf("%s %s: there are no files basic-auth-user and basic-auth-password", f.source("openfaas-secrets"),
				f.openfaas.secrets)
		}
		problems = append(problems, err)
		if !found && err == nil {
			slog.Warn("OpenFaaS is asked without a password", "secrets", f.openfaas.secrets)
		}
	}
	return b, errors.Join(problems...)
}
