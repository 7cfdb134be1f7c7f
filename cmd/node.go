package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/membership"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/watch"
)

func newNode() *cobra.Command {
	var f nodeFlags
	c := &cobra.Command{
		Use:   "node",
		Short: "run a real node: its scheduler, its discovery and its learner",
		Long: `node runs the services of one node until it is interrupted: the scheduler, which takes requests of clients and of
peers, the discovery, which knows what machines there are, and the learner, all on the wire of the first P2PFaaS. What runs
is finished first. Peers are given, or found by the node's own discovery (--init-servers), or asked of another one. A
function is a URL, or a process that the node starts, or one of the sample functions (p2pfaas function).

Each setting is a flag or, where that is not given, a variable (P2PFAAS_NODE_MAX_BODY is --max-body) or, where that is empty,
a key of the file of --config (max-body: 1MB). The variables of the first P2PFaaS are read like those of the flags.`,
		Example: `  p2pfaas node --function hello=sleep:50ms
  p2pfaas node --bind 127.0.0.1 --peers 127.0.0.2 --function-url http://127.0.0.1:8080/
  p2pfaas node --bind 192.168.1.7 --data /var/lib/p2pfaas --init-servers 192.168.1.1
  p2pfaas node --services learner --bind 127.0.0.1`,
		Args: wants(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.add(c)
	return c
}

// ofFlags makes the node what the flags say.
func (f *nodeFlags) ofFlags() error {
	seed, err := f.seedNumber()
	for _, name := range []string{"set", "select", "duration", "replications", "replication", "number", "cluster", "faults"} {
		if f.isSet(name) {
			err = errors.Join(err, fmt.Errorf("%s is about a node of a scenario: give --scenario, or leave it out", f.source(name)))
		}
	}
	backend, err2 := f.backend(seed)
	forwarding := core.Forwarding{OnRefusal: f.onRefusal, OnFailure: f.onFailure, ProbeTimeout: f.timeouts.probe,
		AnswerTimeout: f.timeouts.answer}
	scheduler, err3 := realnet.ParseDescriptor(f.scheduler, forwarding)
	if err3 != nil {
		err3 = fmt.Errorf("%s: %w", f.source("scheduler"), err3)
	}
	f.node = &realnet.NodeOptions{Identity: realnet.Identity{ID: f.id}, Slots: f.slots, Room: f.queue, Queue: true, Types: f.types,
		Scheduler: scheduler, Forwarding: forwarding,
		Backend: backend,
		Stream:  *random.Stream(seed, 0, random.Algorithm, f.place())}
	if f.slots == 0 && f.runs("scheduler") {
		slog.Warn("the node has no slots: what its algorithm does not forward is refused or, in the waiting room, waits until a client "+
			"configures some", "from", f.source("slots"))
	}
	if f.ip != "" {
		at := realnet.Place{IP: f.ip, Scheduler: f.ports.scheduler}
		f.node.Identity = realnet.Identity{ID: cmp.Or(f.id, "p2pfaas-"+at.Address()), IP: at.Address()}
	}
	return errors.Join(err, err2, err3)
}

// place is a number of this node's own, without a scenario by its address: nodes that have all settings in common, the seed too,
// do not draw alike.
func (f *nodeFlags) place() int {
	if f.point != nil {
		return f.number
	}
	h := fnv.New32a()
	fmt.Fprintf(h, "%s %d", f.ip, f.ports.scheduler)
	return int(h.Sum32() >> 1)
}

// ofScenario makes the node what the scenario says.
func (f *nodeFlags) ofScenario(c *cobra.Command) error {
	var problems []error
	for _, name := range []string{"slots", "queue", "scheduler", "task-types", "function-keep-alive", "function-url", "function-port", "openfaas",
		"learner", "on-refusal", "on-failure", "probe-timeout", "answer-timeout"} {
		if f.isSet(name) {
			problems = append(problems, fmt.Errorf("%s is the scenario's to say: use --set, or leave --scenario out", f.source(name)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.functions)) {
		if f.functions[name].URL == "" {
			problems = append(problems, fmt.Errorf("%s is the scenario's to say, but for where a function is: write %s=http://..., or leave "+
				"--scenario out", f.source("function"), name))
		}
	}
	if f.data != "" {
		problems = append(problems, fmt.Errorf("%s keeps what clients configure, which would take the place of what the scenario says: "+
			"leave one of the two out", f.source("data")))
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	_, points, err := f.scenarioFlags.scenario(c, f.scenario, true)
	if err != nil {
		return err
	}
	if len(points) != 1 {
		return fmt.Errorf("the scenario has %d points: choose one with --select", len(points))
	}
	f.point = points[0].Scenario
	if !f.isSet("function-timeout") { // as in simulation
		f.timeouts.function = 0
	}
	switch err := realnet.CheckScenario(f.point); {
	case err != nil:
		return err
	case len(f.point.Faults) > 0 && !f.faults:
		return errors.New("faults: a node makes those of its scenario only with --faults: add it, or leave them out (--set faults=[])")
	case len(f.point.Faults) == 0 && f.faults:
		return fmt.Errorf("%s: the scenario has no faults: leave it out", f.source("faults"))
	}
	o, err := realnet.ScenarioNode(f.point, f.replication, core.NodeID(f.number), f.cluster)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", f.source("cluster"), f.source("number"), err)
	}
	own := realnet.Place{IP: f.bind, Scheduler: f.ports.scheduler}
	if at := f.cluster[f.number]; !net.ParseIP(f.bind).IsUnspecified() && at != own.Address() && at != own.Dial() {
		return fmt.Errorf("%s %d: that is %s in --cluster, and this node is to be at %s: correct one of --number, --bind and --scheduler-port",
			f.source("number"), f.number, at, own.Address())
	}
	if err := f.checkPlaces(); err != nil {
		return err
	}
	if _, asks := f.ownLearner(); asks && f.runs("scheduler") && !f.runs("learner") {
		return fmt.Errorf("%s %s: the algorithm of the scenario, %s, asks the learner of its node: have it in --services, or say where another one is "+
			"(--set learner.external=...)", f.source("services"), f.flags.Lookup("services").Value, f.point.Scheduler.Spec.Name())
	}
	o.Backend = realnet.Backend{Functions: map[string]realnet.Function{}}
	for i := range f.point.Functions {
		x := &f.point.Functions[i]
		if !x.On(core.NodeID(f.number), &f.point.Cluster) {
			continue
		}
		if given, is := f.functions[x.Name]; is {
			o.Backend.Functions[x.Name] = realnet.Function{URL: given.URL}
			continue
		}
		var more []string
		if x.Backend.Kind == "sleep" || x.Backend.Kind == "loop" {
			more = []string{"--scenario", f.scenario, "--select", f.pick, "--function", x.Name,
				"--speed", fmt.Sprint(o.Speed), "--seed", functionSeed(f.point.Seed, f.replication, f.number, x.Name)}
			for _, s := range f.set {
				more = append(more, "--set", s)
			}
		}
		b, err := backendFunction(&x.Backend, more...)
		if err != nil {
			return err
		}
		if x.ColdStart != nil {
			b.OnDemand, b.KeepAlive = true, x.ColdStart.KeepAlive
		}
		o.Backend.Functions[x.Name] = b
	}
	o.Identity.ID = cmp.Or(f.id, o.Identity.ID)
	if f.faults && f.number < f.point.Cluster.Nodes() { // the cloud nothing befalls
		o.Faults = realnet.NewFaults(f.point, f.replication, core.NodeID(f.number), f.cluster)
	}
	f.node = &o
	return nil
}

// checkPlaces reports a --function beside a scenario that does not say where a function of this node is.
func (f *nodeFlags) checkPlaces() error {
	var names []string
	for i := range f.point.Functions {
		names = append(names, f.point.Functions[i].Name)
	}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(f.functions)) {
		i := slices.Index(names, name)
		switch {
		case i < 0:
			problems = append(problems, fmt.Errorf("%s %s: the scenario has no such function, but %s", f.source("function"), name,
				strings.Join(names, ", ")))
		case !f.point.Functions[i].On(core.NodeID(f.number), &f.point.Cluster):
			problems = append(problems, fmt.Errorf("%s %s: the scenario does not place it on node %d: leave it out", f.source("function"),
				name, f.number))
		}
	}
	return errors.Join(problems...)
}

// ownLearner is what the learner of this node is made of.
func (f *nodeFlags) ownLearner() (realnet.LearnerServiceOptions, bool) {
	if f.point != nil {
		o, ok := realnet.ScenarioLearner(f.point, f.replication, core.NodeID(f.number))
		return o, ok
	}
	seed, _ := f.seedNumber() // it has been checked
	streams := func(replication int) rand.PCG { return *random.Stream(seed, replication, random.Learner, f.place()) }
	return realnet.LearnerServiceOptions{Config: learner.Default(), Data: f.data, Stream: streams(0), Streams: streams}, true
}

// runningNode is a node with its servers.
type runningNode struct {
	flags   *nodeFlags
	notes   io.Writer
	servers []*http.Server
	serving sync.WaitGroup
	failed  chan error
}

func (f *nodeFlags) run(c *cobra.Command) error {
	if err := f.check(c); err != nil {
		return input(err)
	}
	defer f.startLog()()
	r := &runningNode{flags: f, notes: c.ErrOrStderr(), failed: make(chan error, 5)}
	return r.run(c.Context())
}

// startLog has the process log as the settings say, until what it returns is called.
func (f *nodeFlags) startLog() (end func()) {
	before := slog.SetLogLoggerLevel(slog.Level(f.logs.level))
	if f.logs.format == "text" {
		return func() { slog.SetLogLoggerLevel(before) }
	}
	was, to, flags := slog.Default(), log.Writer(), log.Flags()
	slog.SetDefault(slog.New(slog.NewJSONHandler(to, &slog.HandlerOptions{Level: slog.Level(f.logs.level)})))
	return func() {
		slog.SetDefault(was)
		log.SetOutput(to) // which the other default has taken
		log.SetFlags(flags)
		slog.SetLogLoggerLevel(before)
	}
}

// note says what people read while a node starts.
func (r *runningNode) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); r.flags.logs.format == "json" {
		slog.Info(text)
	} else {
		fmt.Fprintln(r.notes, text)
	}
}

func (r *runningNode) run(ctx context.Context) (err error) {
	f := r.flags
	var own realnet.Learner
	defer func() { err = errors.Join(err, r.stop()) }()
	if f.ip != f.bind && f.ip != "" && f.discovery == "" {
		r.note("known by the address %s, of %s", f.node.Identity.IP, f.iface)
	}
	if wrong := f.known.CheckCertificate(f.ip, time.Now()); wrong != nil {
		slog.Warn("the certificate of this node will not do: make another one with p2pfaas certs", "file", f.tls.certificate, "error", wrong)
	}
	if f.node.Faults != nil {
		slog.Warn("whoever may configure this node may have faults of the scenario lie on it, as --faults says: it is for experiments alone")
	}
	if f.ports.pprof > 0 {
		if err := r.serve("profile", "pprof-port", realnet.ProfileHandler(f.known)); err != nil {
			return input(err)
		}
	}
	if o, has := f.ownLearner(); has && f.runs("learner") {
		o.Program, o.Credentials, o.Faults = version(), f.known, f.node.Faults
		l, err := realnet.OpenLearner(o)
		if err != nil {
			return input(err)
		}
		defer l.Close()
		own = l
		if err := r.serve("learner", "learner-port", l.Handler()); err != nil {
			return input(err)
		}
		if err := r.serve("learner's websocket", "websocket-port", l.Websocket()); err != nil {
			return input(err)
		}
	}
	var n *realnet.Node
	following, stop := context.WithCancel(ctx)
	defer stop()
	var follower sync.WaitGroup
	if f.runs("scheduler") {
		if o, has := f.remoteLearner(); has && own == nil {
			l := realnet.NewRemoteLearner(o)
			defer l.Close()
			own = l
		}
		if f.traces.URL != "" {
			f.traces.Program = version()
			traces, wrong := realnet.OpenTraces(f.traces)
			if wrong != nil {
				return input(wrong)
			}
			defer func() {
				grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				defer cancel()
				err = errors.Join(err, traces.Close(grace))
			}()
			f.node.Traces = traces
		}
		feed, wrong := watch.NewFeed(watch.Options{Addresses: []string{f.own()}, Credentials: f.known})
		if wrong != nil {
			return wrong
		}
		defer feed.Close()
		if n, wrong = f.open(own, feed); wrong != nil {
			return input(wrong)
		}
		defer func() {
			stop()
			follower.Wait()
			grace, cancel := context.WithTimeout(context.Background(), f.timeouts.grace)
			defer cancel()
			e := n.Shutdown(grace)
			if errors.Is(e, context.DeadlineExceeded) {
				e = fmt.Errorf("functions were still running after %v, and were cut off: %w", f.timeouts.grace, e)
			}
			err = errors.Join(err, e)
		}()
		if err := r.serve("scheduler", "scheduler-port", n.SchedulerHandler()); err != nil {
			return input(err)
		}
	}
	var discovery *realnet.DiscoveryService
	if f.runs("discovery") {
		if discovery, err = f.openDiscovery(); err != nil {
			return input(f.cannotListen("discovery-port", err))
		}
		defer func() { err = errors.Join(err, discovery.Close()) }()
		if err := r.serve("discovery", "discovery-port", discovery.Handler()); err != nil {
			return input(err)
		}
	}
	if n != nil {
		switch {
		case len(f.peers) > 0:
			n.SetPeers(f.peers)
		case f.discovery != "":
			follower.Go(func() { n.FollowDiscovery(following, f.discovery) })
		case discovery != nil && (len(f.init) > 0 || len(f.cluster) == 0):
			n.Follow(discovery)
		default:
			n.SetPeers(f.cluster)
		}
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-r.failed:
		return err
	}
}

// openDiscovery makes the discovery service.
func (f *nodeFlags) openDiscovery() (*realnet.DiscoveryService, error) {
	bind, err := netip.ParseAddr(f.bind)
	if err != nil {
		return nil, err
	}
	if f.ip == "" {
		slog.Warn("the interface has no address: discovery waits until a client configures its machine_ip", "iface", f.iface)
	}
	seed, _ := f.seedNumber() // it has been checked
	if f.point != nil {
		seed = f.point.Seed
	}
	return realnet.OpenDiscovery(realnet.DiscoveryOptions{Identity: realnet.Identity{ID: f.node.Identity.ID, IP: f.ip},
		Bind: bind, Port: f.ports.discovery, SchedulerPort: f.ports.scheduler, Data: f.data, Kept: f.kept, Group: f.group, InitServers: f.init,
		PollTime: f.poll.time, PollTimeout: f.poll.timeout, DeadPolls: f.deadPolls, Membership: membership.DefaultOptions(0), Program: version(), Credentials: f.known,
		Faults: f.node.Faults,
		Stream: *random.Stream(seed, f.replication, random.Membership, f.place())})
}

// kept tells of what a client configured, and --data has kept, in the place of a setting: loudly where somebody gave that.
func (f *nodeFlags) kept(k realnet.KeptSetting) {
	setting := k.Setting
	if setting == "bind" && f.callFrom() == nil {
		setting = "iface" // what says the address
	}
	level, own := slog.LevelInfo, "the default, "+k.Own
	if f.isSet(setting) {
		level, own = slog.LevelWarn, f.source(setting)+" "+k.Own
	}
	slog.Log(context.Background(), level, "what a client configured has been kept, and takes the place of a setting: configure it anew, "+
		"or delete the file", "file", k.File, k.Setting, k.Kept, "instead of", own)
}

// addressOf is the first IPv4 address of an interface, or its first one; empty: it has none.
func addressOf(iface string) string {
	i, err := net.InterfaceByName(iface)
	if err != nil {
		return ""
	}
	addresses, err := i.Addrs()
	if err != nil {
		return ""
	}
	first := ""
	for _, a := range addresses {
		n, ok := a.(*net.IPNet)
		if !ok || n.IP.IsLinkLocalUnicast() {
			continue
		}
		if n.IP.To4() != nil {
			return n.IP.String()
		}
		if first == "" {
			first = n.IP.String()
		}
	}
	return first
}

// remoteLearner says where a learner in another process is.
func (f *nodeFlags) remoteLearner() (o realnet.LearnerOptions, ok bool) {
	if f.point != nil {
		l := f.point.Learner
		if !l.Asks() || l.External == nil || f.number >= f.point.Cluster.Nodes() {
			return o, false
		}
		act, train := l.External.Of(core.NodeID(f.number))
		return realnet.LearnerOptions{Act: act, Train: train, Timeout: l.External.Timeout}, true
	}
	return realnet.LearnerOptions{Act: "ws://" + net.JoinHostPort(f.learner, strconv.Itoa(f.ports.websocket)),
		Train: "http://" + net.JoinHostPort(f.learner, strconv.Itoa(f.ports.learner)), Credentials: f.known}, f.learner != ""
}

// callFrom is the address to call peers from; nil: any of the machine's.
func (f *nodeFlags) callFrom() net.IP {
	if ip := net.ParseIP(f.bind); !ip.IsUnspecified() {
		return ip
	}
	return nil
}

// own is where this process reaches its own scheduler service.
func (f *nodeFlags) own() string {
	host := cmp.Or(f.ip, f.bind)
	if net.ParseIP(host).IsUnspecified() { // the interface has no address yet
		host = "localhost"
	}
	return net.JoinHostPort(host, strconv.Itoa(f.ports.scheduler))
}

// open makes the node.
func (f *nodeFlags) open(l realnet.Learner, feed *watch.Feed) (*realnet.Node, error) {
	o := *f.node
	o.Bind, o.Port, o.Data, o.Kept = f.callFrom(), f.ports.scheduler, f.data, f.kept
	o.Limits = realnet.Limits{Body: int64(f.most.body), Bodies: int64(f.most.bodies), Requests: f.most.requests}
	o.Backend.Timeout, o.Backend.Start, o.Backend.MaxAnswer = f.timeouts.function, f.timeouts.start, int64(f.most.answer)
	o.Development, o.Record, o.Program, o.Credentials = f.development, f.record, version(), f.known
	o.Learner, o.Feed = l, feed
	return realnet.OpenNode(o)
}

// serve starts a service; flag says its port.
func (r *runningNode) serve(name, flag string, h http.Handler) error {
	f := r.flags
	limits := realnet.ServerLimits{Connections: f.most.connections, Header: int(f.most.header),
		HeaderTimeout: f.timeouts.header, IdleTimeout: f.timeouts.idle}
	l, err := limits.Listen(net.JoinHostPort(f.bind, f.flags.Lookup(flag).Value.String()), f.known)
	if err != nil {
		return f.cannotListen(flag, fmt.Errorf("the %s cannot listen: %w", name, err))
	}
	s := limits.Server(h)
	r.servers = append(r.servers, s)
	r.note("%s on %s", name, l.Addr())
	r.serving.Go(func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			r.failed <- fmt.Errorf("the %s has ended: %w", name, err)
		}
	})
	return nil
}

// cannotListen says what to do where a service has no socket; flag says its port. Other errors it leaves as they are.
func (f *nodeFlags) cannotListen(flag string, err error) error {
	const each = "each node of an address needs --scheduler-port, --discovery-port, --learner-port and --websocket-port of its own"
	switch loopback := net.ParseIP(f.bind).IsLoopback(); {
	case errors.Is(err, syscall.EADDRNOTAVAIL) && loopback:
		return fmt.Errorf("%s %s: it is no address of this machine, which has no loopback address but 127.0.0.1: bind that; %s",
			f.source("bind"), f.bind, each)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s %s: it is no address of this machine", f.source("bind"), f.bind)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s %s: the port is taken on %s: is another node running here? %s", f.source(flag), f.flags.Lookup(flag).Value,
			f.bind, each)
	}
	return err
}

// stop closes the servers, when what they served has been answered.
func (r *runningNode) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var problems []error
	for _, s := range r.servers {
		if err := s.Shutdown(ctx); err != nil {
			problems = append(problems, s.Close())
		}
	}
	r.serving.Wait()
	return errors.Join(problems...)
}
