package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// The settings of a node. docs/guide/real-nodes.md has a table of them.

// nodeFlags are the settings of a node, whatever they come from.
type nodeFlags struct {
	config   string
	bind     string
	data     string
	services []string
	ports    struct{ scheduler, discovery, learner, websocket, function, pprof int }
	id       string
	group    string
	iface    string

	slots     int
	queue     int
	scheduler string
	types     int
	onRefusal core.Fallback
	onFailure core.Fallback

	functions   functionsFlag
	functionURL string
	openfaas    struct{ url, secrets string }

	peers     []string
	discovery string
	init      []string
	poll      struct{ time, timeout time.Duration }
	deadPolls int
	learner   string

	timeouts struct{ function, start, keepAlive, probe, answer, header, idle, grace time.Duration }
	most     struct {
		body, bodies, answer, header bytesFlag
		requests, connections        int
	}

	credentialFlags
	insecure bool

	record      string
	traces      realnet.TraceOptions
	development bool
	faults      bool
	logs        struct {
		level  logLevel
		format string
	}

	// Of a node of a scenario's cluster.
	scenarioFlags
	scenario    string
	replication int
	number      int
	cluster     []string

	flags   *pflag.FlagSet
	sources map[string]string    // where the value of a flag comes from
	ip      string               // that the node is known by; empty: discovery will say
	point   *scenarios.Scenario  // what these say; nil: there is no scenario
	node    *realnet.NodeOptions // what the node is made of
	known   *realnet.Credentials // nil: nothing is asked of callers
}

// add makes the flags.
func (f *nodeFlags) add(c *cobra.Command) {
	f.functions = functionsFlag{}
	limits := realnet.DefaultServerLimits()
	f.most.body, f.most.bodies, f.most.answer, f.most.header = realnet.MostBody, 512<<20, realnet.MostBody, bytesFlag(limits.Header)
	f.flags = c.Flags()
	fl := f.flags
	fl.StringVar(&f.config, "config", "", "`file` with settings, in YAML: keys are the names of the flags")
	fl.StringVar(&f.bind, "bind", "127.0.0.1", "IP address to listen on, and to be known by")
	fl.StringVar(&f.data, "data", "", "directory of the configuration that clients change (default: it is not kept)")
	fl.StringSliceVar(&f.services, "services", []string{"scheduler", "discovery", "learner"},
		"services to run: scheduler, discovery, learner; by default not those that --discovery and --learner name elsewhere")
	fl.IntVar(&f.ports.scheduler, "scheduler-port", realnet.SchedulerPort, "port of the scheduler")
	fl.IntVar(&f.ports.discovery, "discovery-port", realnet.DiscoveryPort, "port of the discovery, TCP and UDP")
	fl.IntVar(&f.ports.learner, "learner-port", realnet.LearnerPort, "port of the learner, here or elsewhere")
	fl.IntVar(&f.ports.websocket, "websocket-port", realnet.WebsocketPort, "port of the learner's websocket, here or elsewhere")
	fl.StringVar(&f.id, "id", "", "name of the machine (default p2pfaas-ADDRESS)")
	fl.StringVar(&f.group, "group", "", "name of the group of machines that discovery announces")
	fl.StringVar(&f.iface, "iface", "eth0", "interface whose address is the node's, where --bind is 0.0.0.0 or ::")

	fl.IntVar(&f.slots, "slots", 4, "K: functions that run at once")
	fl.IntVar(&f.queue, "queue", 4, "Q: places in the waiting room; 0 = none")
	v1 := realnet.DefaultScheduler()
	fl.StringVar(&f.scheduler, "scheduler", strings.Join(append([]string{v1.Name}, v1.Parameters...), " "), "algorithm, and its parameters: as v1 orders them, "+
		"or by name, as in \"JSQ d=3\" (p2pfaas schedulers NAME lists them); or JSON, as clients configure it")
	fl.IntVar(&f.types, "task-types", 16, "task types that are counted apart: as many as a LearningScheduler that clients configure may ask for")

	fl.TextVar(&f.onRefusal, "on-refusal", core.FallbackFail, "of a task that a peer refuses: fail (the client gets the refusal, as "+
		"from v1), execute (here) or next (try another peer, where the algorithm names several)")
	fl.TextVar(&f.onFailure, "on-failure", core.FallbackExecute, "of a task that a peer does not answer: execute (here), "+
		"next (try another peer, where the algorithm names several) or fail")

	fl.Var(f.functions, "function", "a function and where it is, `NAME=WHAT`: a URL, exec:COMMAND, sleep:TIME, loop:TIME or face-detect; "+
		"the name * is any other; may be repeated. With --scenario: a URL of one of its functions")
	fl.StringVar(&f.functionURL, "function-url", "http://{function}:{port}/", "where functions are called that no --function names; "+
		"{function} is their name. Not given: the node has those of --function alone, where there are any")
	fl.IntVar(&f.ports.function, "function-port", 8080, "{port} in --function-url")
	fl.StringVar(&f.openfaas.url, "openfaas", "", "URL of an OpenFaaS gateway that has the other functions, instead of --function-url")
	fl.StringVar(&f.openfaas.secrets, "openfaas-secrets", "/run/secrets", "directory of its basic-auth-user and basic-auth-password")
	fl.DurationVar(&f.timeouts.function, "function-timeout", 30*time.Second, "time that a function has; 0, as by default with "+
		"--scenario: as long as its client waits")
	fl.DurationVar(&f.timeouts.start, "function-start-timeout", 10*time.Second, "time that the process of a function has until it answers")
	fl.DurationVar(&f.timeouts.keepAlive, "function-keep-alive", 0, "a process of a function is started when a request needs it, and ended when "+
		"it has been idle for so long; 0: it is started with the node, and kept for ever")

	fl.StringSliceVar(&f.peers, "peers", nil, "addresses of the peers: IP, or IP:port where the port is not 18080")
	fl.StringVar(&f.discovery, "discovery", "", "URL of the discovery service that knows the peers")
	fl.StringSliceVar(&f.init, "init-servers", nil, "addresses of discovery services to find the others by: IP or IP:port, or a host name, "+
		"which is looked up at every round (--poll-time)")
	fl.DurationVar(&f.poll.time, "poll-time", 2*time.Second, "time between two polls of a machine of the first P2PFaaS, and between two lookups of host names")
	fl.DurationVar(&f.poll.timeout, "poll-timeout", time.Second, "time that a polled machine has")
	fl.IntVar(&f.deadPolls, "dead-polls", 3, "polls in vain after which a machine of the first P2PFaaS is dead")
	fl.DurationVar(&f.timeouts.probe, "probe-timeout", 500*time.Millisecond, "time that a probed peer has; 0: without end")
	fl.DurationVar(&f.timeouts.answer, "answer-timeout", time.Minute, "time that a peer has to answer a forwarded task; 0: without end")
	fl.StringVar(&f.learner, "learner", "", "host of the learner, where it runs elsewhere")

	fl.Var(&f.most.body, "max-body", "longest body of a request; what is longer is refused with 413")
	fl.Var(&f.most.bodies, "max-bodies", "bytes of bodies of the requests in hand, and of answers that clients are taking; more are refused with 503")
	fl.Var(&f.most.answer, "max-answer", "longest answer of a function")
	fl.Var(&f.most.header, "max-header", "longest header of a request, to within 4 kB; what is longer is refused with 431")
	fl.IntVar(&f.most.requests, "max-requests", 16384, "requests in hand at once, those of peers included; more are refused with 503")
	fl.IntVar(&f.most.connections, "max-connections", limits.Connections, "connections of a service at once; more wait to be accepted")
	fl.DurationVar(&f.timeouts.header, "header-timeout", limits.HeaderTimeout, "time that a client has to send the header of a request")
	fl.DurationVar(&f.timeouts.idle, "idle-timeout", limits.IdleTimeout, "time after which a connection without a request is closed")
	fl.DurationVar(&f.timeouts.grace, "grace", 30*time.Second, "time that running functions have when the node is told to end")

	f.credentialFlags.add(fl)
	fl.BoolVar(&f.insecure, "insecure", false, "let whoever reaches the node do everything, as the first P2PFaaS does, on an address that is no loopback one")

	fl.StringVar(&f.record, "record", "", "directory to log every input of the scheduler in, for p2pfaas replay (default: there is no log)")
	fl.TextVar(&f.logs.level, "log-level", logLevel(slog.LevelInfo), "least level that is logged: debug (every decision and request, and what becomes "+
		"of messages and machines), info, warn or error")
	fl.StringVar(&f.logs.format, "log-format", "text", "of the log: text, or json, with an object on each line")
	fl.StringVar(&f.traces.URL, "otlp", "", "collector to send OpenTelemetry traces of requests to by OTLP over HTTP, as http://127.0.0.1:4318 (default: there are none)")
	fl.Float64Var(&f.traces.Share, "otlp-share", 1, "share of the traces that begin at this node, 0 to 1; those that clients began are followed as they say")
	fl.BoolVar(&f.development, "development", false, "serve v1's routes for trying a node out, /dev/...")
	fl.BoolVar(&f.faults, "faults", false, "have whoever may configure the node make the faults of the scenario lie on this node: for p2pfaas run and load alone")
	fl.IntVar(&f.ports.pprof, "pprof-port", 0, "port to profile the process at, /debug/pprof/; 0: none")

	fl.StringVar(&f.scenario, "scenario", "", "be a node of this scenario's cluster; --set, --seed and so on change it, --select names one point")
	fl.IntVar(&f.replication, "replication", 0, "index of the scenario's replication")
	fl.IntVar(&f.number, "number", 0, "number of the node in the scenario's cluster")
	fl.StringSliceVar(&f.cluster, "cluster", nil, "addresses of all its nodes by number, the cloud last: IP, or IP:port")
	f.scenarioFlags.add(c)
	completeFlag(c, "log-level", "debug", "info", "warn", "error")
	completeFlag(c, "log-format", "text", "json")
	completeFlag(c, "services", "scheduler", "discovery", "learner")
}

// logLevel is one of the named levels of slog, in small letters.
type logLevel slog.Level

// MarshalText implements encoding.TextMarshaler.
func (l logLevel) MarshalText() ([]byte, error) {
	return []byte(strings.ToLower(slog.Level(l).String())), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *logLevel) UnmarshalText(text []byte) error {
	for _, x := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if strings.EqualFold(x.String(), string(text)) {
			*l = logLevel(x)
			return nil
		}
	}
	return errors.New("write debug, info, warn or error")
}

// source is where the value of a flag comes from, as an error names it.
func (f *nodeFlags) source(flag string) string { return cmp.Or(f.sources[flag], "--"+flag) }

// isSet reports whether a flag, a variable or the file says what a setting is.
func (f *nodeFlags) isSet(flag string) bool { return f.flags.Changed(flag) }

func (f *nodeFlags) runs(service string) bool { return slices.Contains(f.services, service) }

// read gives the settings their values.
func (f *nodeFlags) read() []error {
	s := newSources(f.flags)
	for _, name := range []string{"services", "discovery", "learner"} {
		s.give(name)
	}
	if !f.isSet("services") {
		f.services = slices.DeleteFunc(f.services, func(name string) bool {
			return name == "discovery" && f.discovery != "" || name == "learner" && f.learner != ""
		})
	}
	switch {
	case f.runs("discovery"):
		s.listening = "discovery-port"
	case f.runs("learner"):
		s.listening = "learner-port"
	}
	f.flags.VisitAll(func(fl *pflag.Flag) { s.give(fl.Name) })
	f.sources = s.named
	return s.problems
}

// check reads the settings, and reports what is wrong with them, all at once.
func (f *nodeFlags) check(c *cobra.Command) error {
	problems := f.read()
	wrong := func(is bool, flag, say string) {
		if is {
			problems = append(problems, fmt.Errorf("%s %s: %s", f.source(flag), f.flags.Lookup(flag).Value, say))
		}
	}
	wrong(net.ParseIP(f.bind) == nil, "bind", "write an IP address, as in --bind 127.0.0.1")
	wrong(len(f.services) == 0 || slices.ContainsFunc(f.services, func(s string) bool {
		return s != "scheduler" && s != "discovery" && s != "learner"
	}), "services", "write some of scheduler, discovery, learner")
	wrong(f.logs.format != "text" && f.logs.format != "json", "log-format", "write text or json")
	within := func(least, most int64, say string, flags ...string) {
		for _, flag := range flags {
			n := reflect.ValueOf(f.flags.Lookup(flag).Value).Elem().Int() // of a number, a time, bytes
			wrong(n < least || n > most, flag, say)
		}
	}
	within(1, 1<<16-1, "write a number from 1 to 65535", "scheduler-port", "discovery-port", "learner-port", "websocket-port",
		"function-port")
	within(0, 1<<16-1, "write a number from 1 to 65535, or 0 for none", "pprof-port")
	within(1, 4096, "write a number from 1 to 4096", "task-types")
	within(0, 1<<30, "write a number from 0 to 2^30", "slots", "queue")
	within(1, math.MaxInt64, "write more than 0", "dead-polls", "poll-time", "poll-timeout", "function-start-timeout", "max-body",
		"max-bodies", "max-answer", "max-header", "max-requests", "max-connections", "header-timeout", "idle-timeout")
	wrong(f.most.body > f.most.bodies, "max-body", fmt.Sprintf("--max-bodies, for all requests in hand, is %v: write no more, or raise that", f.most.bodies))
	within(0, math.MaxInt64, "write 0 or more", "function-timeout", "function-keep-alive", "probe-timeout", "answer-timeout", "grace")
	wrong(slices.ContainsFunc(f.peers, isNoAddress), "peers", "write an IP address, or one with a port, for each")
	wrong(slices.ContainsFunc(f.init, func(a string) bool { return realnet.CheckInitServer(a) != nil }), "init-servers",
		"write an IP address, or one with a port, or a host name, for each")
	wrong(slices.ContainsFunc(f.cluster, isNoAddress), "cluster", "write an IP address, or one with a port, for each")
	wrong(f.discovery != "" && isNoURL(f.discovery), "discovery", "write a URL, as http://192.168.1.7:19000")
	wrong(strings.ContainsAny(f.learner, "/[] ") || strings.Contains(f.learner, ":") && net.ParseIP(f.learner) == nil, "learner",
		"write a host, as 192.168.1.7: its ports are --learner-port and --websocket-port")
	wrong(f.openfaas.url != "" && isNoURL(f.openfaas.url), "openfaas", "write a URL, as http://192.168.1.7:8080")
	if err := realnet.CheckFunctionURL(f.functionURL, "{function}", "{port}"); err != nil {
		wrong(true, "function-url", err.Error())
	}
	wrong(f.isSet("function-port") && !f.isSet("openfaas") && !strings.Contains(f.functionURL, "{port}"), "function-port",
		"there is no {port} in "+f.functionURL)
	wrong(len(f.init) > 0 && !f.runs("discovery"), "init-servers", "they are for the node's own discovery: have it in --services")
	wrong(f.record != "" && !f.runs("scheduler"), "record", "it logs the scheduler's inputs: have it in --services")
	wrong(f.traces.URL != "" && !f.runs("scheduler"), "otlp", "traces are the scheduler's: have it in --services")
	wrong(f.isSet("otlp-share") && f.traces.URL == "", "otlp-share", "there are no traces without --otlp")
	if f.traces.URL != "" {
		if err := f.traces.Check(); err != nil {
			wrong(true, "otlp", err.Error())
		}
	}
	for _, x := range []struct{ a, b, say string }{
		{"peers", "discovery", "both say who the peers are"},
		{"function-url", "openfaas", "both say where functions are"},
		{"function-port", "openfaas", "both say where functions are"},
	} {
		if f.isSet(x.a) && f.isSet(x.b) {
			problems = append(problems, fmt.Errorf("%s and %s %s: leave one out", f.source(x.a), f.source(x.b), x.say))
		}
	}
	for _, service := range []string{"discovery", "learner"} {
		wrong(f.isSet("services") && f.isSet(service) && f.runs("scheduler") && f.runs(service), service,
			"it runs here too, as "+f.source("services")+" says: leave one out")
	}
	problems = append(problems, f.checkCredentials())
	if f.data != "" {
		problems = append(problems, os.MkdirAll(f.data, 0o777))
	}
	if f.ip = f.bind; net.ParseIP(f.bind).IsUnspecified() {
		f.ip = addressOf(f.iface)
	}
	wrong(f.ip == "" && len(f.peers) > 0, "iface", "it has no address that peers could know the node by: name another one, or --bind one")
	var err error
	if f.scenario != "" {
		err = f.ofScenario(c)
	} else {
		err = f.ofFlags()
	}
	return errors.Join(append(problems, err)...)
}

// checkCredentials reads what is asked of callers, and refuses to let everybody do everything from elsewhere unasked.
func (f *nodeFlags) checkCredentials() (err error) {
	if f.known, err = f.credentialFlags.read(); err != nil {
		return err
	}
	ip := net.ParseIP(f.bind)
	switch {
	case f.known != nil && f.insecure:
		return fmt.Errorf("%s lets everybody do everything, and there is a token or a certificate: leave one out", f.source("insecure"))
	case ip == nil || ip.IsLoopback(): // the first is complained about
		return nil
	case f.insecure:
		slog.Warn("whoever reaches this node may do everything: configure, reset and train it, and be its peer", "from", f.source("insecure"), "bind", f.bind)
		return nil
	case f.known == nil:
		return fmt.Errorf("%s %s: others than this machine reach the node there, and could do everything: give it a token that its cluster shares (--token-file "+
			"FILE, made by: openssl rand -hex 32; or the variable %s), or certificates (p2pfaas certs), or, in a network where everybody is trusted, "+
			"as the first P2PFaaS wants it, --insecure", f.source("bind"), f.bind, realnet.TokenVariable)
	case !f.known.Token() && f.runs("discovery"):
		return fmt.Errorf("%s: messages of the discovery travel by UDP, which certificates do not protect: give it a token as well (--token-file; "+
			"p2pfaas certs has made one), or leave discovery out of --services", f.source("bind"))
	}
	return nil
}

func isNoAddress(text string) bool {
	_, err1 := netip.ParseAddr(text)
	_, err2 := netip.ParseAddrPort(text)
	return err1 != nil && err2 != nil
}

func isNoURL(text string) bool {
	u, err := url.Parse(text)
	return err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == ""
}

// seedNumber is the seed of a node without a scenario.
func (f *nodeFlags) seedNumber() (uint64, error) {
	if f.scenarioFlags.seed == "" {
		return 1, nil
	}
	n, err := strconv.ParseUint(f.scenarioFlags.seed, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s %s: write a whole number from 0", f.source("seed"), f.scenarioFlags.seed)
	}
	return n, nil
}
