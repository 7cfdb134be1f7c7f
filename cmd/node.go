package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/membership"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// nodeFlags are the flags of node.
type nodeFlags struct {
	bind      string
	data      string
	services  []string
	ports     struct{ scheduler, discovery, learner, websocket int }
	id        string
	slots     int
	queue     int
	scheduler string
	types     int
	functions string
	peers     []string
	discovery string
	init      []string
	group     string
	iface     string
	poll      struct{ time, timeout time.Duration }
	deadPolls int
	learner   string
	maxBody   int64
	timeout   time.Duration
	grace     time.Duration
	probe     time.Duration
	answer    time.Duration
	record    string

	// Of a node of a scenario's cluster.
	scenarioFlags
	scenario    string
	replication int
	number      int
	cluster     []string

	point *scenarios.Scenario // what these say; nil: there is no scenario
	own   *realnet.NodeOptions
}

// environment gives flags the values of the first P2PFaaS's variables, where these are set.
var environment = []struct{ variable, flag string }{
	{"P2PFAAS_DATA_PATH", "data"},
	{"P2PFAAS_LISTENING_HOST", "bind"},
	{"P2PFAAS_LISTENING_PORT", "discovery-port"},
	{"P2PFAAS_INIT_SERVERS", "init-servers"},
	{"P2PFAAS_DEFAULT_IFACE", "iface"},
	{"P2PFAAS_POLL_TIME", "poll-time"},
	{"P2PFAAS_POLL_TIMEOUT", "poll-timeout"},
	{"P2PFAAS_MACHINE_DEAD_POLLS_THRESHOLD", "dead-polls"},
}

func newNode() *cobra.Command {
	var f nodeFlags
	c := &cobra.Command{
		Use:   "node",
		Short: "run a real node: its scheduler, its discovery and its learner",
		Long: `node runs the services of one node until it is interrupted: the scheduler, which takes requests of clients and of
peers, the discovery, which knows what machines there are, and the learner, all on the wire of the first P2PFaaS. What runs
is finished first. Peers are given, or found by the node's own discovery (--init-servers), or asked of another one. A
function is whatever serves HTTP at --function-url.

Environment: P2PFAAS_DATA_PATH, P2PFAAS_LISTENING_HOST and _PORT (of discovery), P2PFAAS_INIT_SERVERS,
P2PFAAS_DEFAULT_IFACE, P2PFAAS_POLL_TIME and _TIMEOUT (seconds), P2PFAAS_MACHINE_DEAD_POLLS_THRESHOLD,
P2PFAAS_SERVICE_DISCOVERY_HOST and _PORT,
P2PFAAS_SERVICE_LEARNING_HOST, P2PFAAS_OPENFAAS_ENABLED, _HOST and _PORT; flags come first.`,
		Example: `  p2pfaas node --bind 127.0.0.1 --peers 127.0.0.2 --function-url http://127.0.0.1:8080/
  p2pfaas node --bind 192.168.1.7 --data /var/lib/p2pfaas --init-servers 192.168.1.1
  p2pfaas node --services learner --bind 127.0.0.1`,
		Args: wants(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	fl := c.Flags()
	fl.StringVar(&f.bind, "bind", "127.0.0.1", "IP address to listen on, and to be known by")
	fl.StringVar(&f.data, "data", "", "directory of the configuration that clients change (default: it is not kept)")
	fl.StringSliceVar(&f.services, "services", []string{"scheduler", "discovery", "learner"},
		"services to run: scheduler, discovery, learner (with --discovery: not discovery)")
	fl.IntVar(&f.ports.scheduler, "scheduler-port", 18080, "port of the scheduler, also that of peers without one")
	fl.IntVar(&f.ports.discovery, "discovery-port", 19000, "port of the discovery, TCP and UDP")
	fl.IntVar(&f.ports.learner, "learner-port", 19020, "port of the learner")
	fl.IntVar(&f.ports.websocket, "websocket-port", 8765, "port of the learner's websocket")
	fl.StringVar(&f.id, "id", "", "name of the machine (default p2pfaas-ADDRESS)")
	fl.IntVar(&f.slots, "slots", 4, "K: functions that run at once")
	fl.IntVar(&f.queue, "queue", 4, "Q: places in the waiting room; 0 = none")
	fl.StringVar(&f.scheduler, "scheduler", "PowerOfNScheduler 1 2 true 1", "name and parameters of the algorithm, as v1 orders them")
	fl.IntVar(&f.types, "task-types", 1, "task types that are counted apart")
	fl.StringVar(&f.functions, "function-url", "http://{function}:8080/", "where a function is called; {function} is its name")
	fl.StringSliceVar(&f.peers, "peers", nil, "addresses of the peers: IP, or IP:port")
	fl.StringVar(&f.discovery, "discovery", "", "URL of the discovery service that knows the peers")
	fl.StringSliceVar(&f.init, "init-servers", nil, "addresses of discovery services to find the others by: IP, or IP:port")
	fl.StringVar(&f.group, "group", "", "name of the group of machines that discovery announces")
	fl.StringVar(&f.iface, "iface", "eth0", "interface whose address is the node's, where --bind is 0.0.0.0 or ::")
	fl.DurationVar(&f.poll.time, "poll-time", 2*time.Second, "time between two polls of a machine of the first P2PFaaS")
	fl.DurationVar(&f.poll.timeout, "poll-timeout", time.Second, "time that a polled machine has")
	fl.IntVar(&f.deadPolls, "dead-polls", 3, "polls in vain after which a machine of the first P2PFaaS is dead")
	fl.StringVar(&f.learner, "learner", "", "host of the learner, where it runs elsewhere")
	fl.StringVar(&f.scenario, "scenario", "", "be a node of this scenario's cluster; --set, --seed and so on change it, --select names one point")
	fl.IntVar(&f.replication, "replication", 0, "index of the scenario's replication")
	fl.IntVar(&f.number, "number", 0, "number of the node in the scenario's cluster")
	fl.StringSliceVar(&f.cluster, "cluster", nil, "addresses of all its nodes by number, the cloud last: IP, or IP:port")
	f.scenarioFlags.add(c)
	fl.Int64Var(&f.maxBody, "max-body", 64<<20, "bytes that a request may have")
	fl.DurationVar(&f.timeout, "function-timeout", 30*time.Second, "time that a function has")
	fl.DurationVar(&f.grace, "grace", 30*time.Second, "time that running functions have when the node is told to end")
	fl.DurationVar(&f.probe, "probe-timeout", 500*time.Millisecond, "time that a probed peer has")
	fl.DurationVar(&f.answer, "answer-timeout", time.Minute, "time that a peer has to answer a forwarded task")
	fl.StringVar(&f.record, "record", "", "directory to log every input of the scheduler in, for p2pfaas replay (default: there is no log)")
	completeFlag(c, "services", "scheduler", "discovery", "learner")
	return c
}

// check reports what is wrong with the flags, all at once, after the environment has been read.
func (f *nodeFlags) check(c *cobra.Command) error {
	var problems []error
	for _, e := range environment {
		if v := os.Getenv(e.variable); v != "" && !c.Flags().Changed(e.flag) {
			if _, err := strconv.Atoi(v); err == nil && c.Flags().Lookup(e.flag).Value.Type() == "duration" {
				v += "s" // v1 writes seconds
			}
			if err := c.Flags().Set(e.flag, v); err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", e.variable, err))
			}
		}
	}
	address := func(host, port, standard string) string {
		if h := os.Getenv(host); h != "" {
			if p := os.Getenv(port); p != "" {
				standard = p
			}
			return net.JoinHostPort(h, standard)
		}
		return ""
	}
	if a := address("P2PFAAS_SERVICE_DISCOVERY_HOST", "P2PFAAS_SERVICE_DISCOVERY_PORT", "19000"); a != "" && f.discovery == "" {
		f.discovery = "http://" + a
	}
	if f.discovery != "" && !c.Flags().Changed("services") {
		f.services = []string{"scheduler", "learner"}
	}
	if f.learner == "" {
		f.learner = os.Getenv("P2PFAAS_SERVICE_LEARNING_HOST")
	}
	if on, _ := strconv.ParseBool(os.Getenv("P2PFAAS_OPENFAAS_ENABLED")); on && !c.Flags().Changed("function-url") {
		f.functions = "http://" + address("P2PFAAS_OPENFAAS_HOST", "P2PFAAS_OPENFAAS_PORT", "8080") + "/function/{function}"
	}
	wrong := func(is bool, format string, args ...any) {
		if is {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	wrong(net.ParseIP(f.bind) == nil, "--bind %s: write an IP address, as in --bind 127.0.0.1", f.bind)
	for _, s := range f.services {
		wrong(s != "scheduler" && s != "discovery" && s != "learner", "--services %s: write some of scheduler, discovery, learner", s)
	}
	wrong(len(f.services) == 0, "--services: write some of scheduler, discovery, learner")
	wrong(f.poll.time <= 0 || f.poll.timeout <= 0 || f.deadPolls < 1,
		"--poll-time %v --poll-timeout %v --dead-polls %d: write times above 0 and a number from 1", f.poll.time, f.poll.timeout, f.deadPolls)
	for _, p := range []int{f.ports.scheduler, f.ports.discovery, f.ports.learner, f.ports.websocket} {
		wrong(p < 1 || p > 65535, "port %d: write a number from 1 to 65535", p)
	}
	wrong(len(f.init) > 0 && !slices.Contains(f.services, "discovery"), "--init-servers are for the node's own discovery: have it in --services")
	wrong(f.slots < 0 || f.queue < 0, "--slots %d --queue %d: write numbers from 0", f.slots, f.queue)
	wrong(f.types < 1 || f.types > 4096, "--task-types %d: write a number from 1 to 4096", f.types)
	wrong(f.maxBody < 1, "--max-body %d: write a number of bytes", f.maxBody)
	wrong(f.record != "" && !slices.Contains(f.services, "scheduler"), "--record logs the scheduler's inputs: have it in --services")
	wrong(len(f.peers) > 0 && f.discovery != "", "--peers and --discovery both say who the peers are: leave one out")
	if f.data != "" {
		problems = append(problems, os.MkdirAll(f.data, 0o777))
	}
	if f.id == "" {
		f.id = "p2pfaas-" + f.bind
	}
	if f.scenario != "" {
		problems = append(problems, f.ofScenario(c))
	} else if _, err := f.seedNumber(); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// seedNumber is the seed of a node without a scenario.
func (f *nodeFlags) seedNumber() (uint64, error) {
	if f.scenarioFlags.seed == "" {
		return 1, nil
	}
	n, err := strconv.ParseUint(f.scenarioFlags.seed, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("--seed %s: write a whole number from 0", f.scenarioFlags.seed)
	}
	return n, nil
}

// ofScenario makes the node what the scenario says.
func (f *nodeFlags) ofScenario(c *cobra.Command) error {
	for _, name := range []string{"slots", "queue", "scheduler", "task-types", "function-url", "learner", "probe-timeout", "answer-timeout"} {
		if c.Flags().Changed(name) {
			return fmt.Errorf("--%s is the scenario's to say: use --set, or leave --scenario out", name)
		}
	}
	_, points, err := f.scenarioFlags.scenario(c, f.scenario, true)
	if err != nil {
		return err
	}
	if len(points) != 1 {
		return fmt.Errorf("the scenario has %d points: choose one with --select", len(points))
	}
	f.point = points[0].Scenario
	o, err := realnet.ScenarioNode(f.point, f.replication, core.NodeID(f.number), f.cluster)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	o.Backend = realnet.Backend{Functions: map[string]realnet.Function{}, Timeout: f.timeout}
	for i := range f.point.Functions {
		x := &f.point.Functions[i]
		o.Backend.Functions[x.Name] = realnet.Function{URL: x.Backend.URL, Command: x.Backend.Command}
		switch x.Backend.Kind {
		case "sleep", "loop":
			words := []string{self, "function", x.Backend.Kind, "--port", "{port}", "--scenario", f.scenario, "--function", x.Name,
				"--speed", fmt.Sprint(o.Speed), "--seed", fmt.Sprint(f.point.Seed + uint64(f.number))}
			for _, s := range f.set {
				words = append(words, "--set", s)
			}
			o.Backend.Functions[x.Name] = realnet.Function{Command: words}
		case "face-detect":
			o.Backend.Functions[x.Name] = realnet.Function{Command: []string{self, "function", "face-detect", "--port", "{port}"}}
		}
	}
	o.Data, o.Port, o.Limits = f.data, f.ports.scheduler, realnet.Limits{Body: f.maxBody}
	f.own = &o
	return nil
}

// ownLearner is what the learner of this node is made of.
func (f *nodeFlags) ownLearner() (realnet.LearnerServiceOptions, bool) {
	if f.point != nil {
		o, ok := realnet.ScenarioLearner(f.point, f.replication, core.NodeID(f.number))
		return o, ok
	}
	seed, _ := f.seedNumber() // it has been checked
	return realnet.LearnerServiceOptions{Config: learner.Default(), Data: f.data,
		Stream: *random.Stream(seed, 0, random.Learner, 0)}, true
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
	r := &runningNode{flags: f, notes: c.ErrOrStderr(), failed: make(chan error, 4)}
	return r.run(c.Context())
}

func (r *runningNode) run(ctx context.Context) (err error) {
	f := r.flags
	var own realnet.Learner
	defer func() { err = errors.Join(err, r.stop()) }()
	if o, has := f.ownLearner(); has && slices.Contains(f.services, "learner") {
		l, err := realnet.OpenLearner(o)
		if err != nil {
			return input(err)
		}
		defer l.Close()
		own = l
		err = errors.Join(r.serve("learner", f.ports.learner, l.Handler()),
			r.serve("learner's websocket", f.ports.websocket, l.Websocket()))
		if err != nil {
			return input(err)
		}
	}
	var n *realnet.Node
	following, stop := context.WithCancel(ctx)
	defer stop()
	var follower sync.WaitGroup
	if slices.Contains(f.services, "scheduler") {
		if o, has := f.remoteLearner(); has && own == nil {
			l := realnet.NewRemoteLearner(o)
			defer l.Close()
			own = l
		}
		var wrong error
		if n, wrong = f.open(own); wrong != nil {
			return input(wrong)
		}
		defer func() {
			stop()
			follower.Wait()
			grace, cancel := context.WithTimeout(context.Background(), f.grace)
			defer cancel()
			e := n.Shutdown(grace)
			if errors.Is(e, context.DeadlineExceeded) {
				e = fmt.Errorf("functions were still running after %v, and were cut off: %w", f.grace, e)
			}
			err = errors.Join(err, e)
		}()
		if err := r.serve("scheduler", f.ports.scheduler, n.SchedulerHandler()); err != nil {
			return input(err)
		}
	}
	var discovery *realnet.DiscoveryService
	if slices.Contains(f.services, "discovery") {
		if discovery, err = f.openDiscovery(); err != nil {
			return input(err)
		}
		defer func() { err = errors.Join(err, discovery.Close()) }()
		if err := r.serve("discovery", f.ports.discovery, discovery.Handler()); err != nil {
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
			discovery.Subscribe(func(me realnet.Identity, peers []string) {
				n.Rename(me)
				n.SetPeers(peers)
			})
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

// openDiscovery makes the discovery service of the flags.
func (f *nodeFlags) openDiscovery() (*realnet.DiscoveryService, error) {
	bind, err := netip.ParseAddr(f.bind)
	if err != nil {
		return nil, err
	}
	me := realnet.Identity{ID: f.id, IP: f.bind}
	if bind.IsUnspecified() {
		if me.IP = addressOf(f.iface); me.IP == "" {
			slog.Warn("the interface has no address: discovery waits until a client configures its machine_ip", "iface", f.iface)
		}
		if me.ID == "p2pfaas-"+f.bind {
			me.ID = "" // discovery makes one of the address
		}
	}
	if f.own != nil {
		me.ID = f.own.Identity.ID
	}
	seed, _ := f.seedNumber() // it has been checked
	if f.point != nil {
		seed = f.point.Seed
	}
	return realnet.OpenDiscovery(realnet.DiscoveryOptions{Identity: me, Bind: bind, Port: f.ports.discovery,
		SchedulerPort: f.ports.scheduler, Data: f.data, Group: f.group, InitServers: f.init, PollTime: f.poll.time,
		PollTimeout: f.poll.timeout, DeadPolls: f.deadPolls, Membership: membership.DefaultOptions(0),
		Stream: *random.Stream(seed, f.replication, random.Membership, f.number)})
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
		at := func(url string) string { return strings.ReplaceAll(url, "{node}", strconv.Itoa(f.number)) }
		return realnet.LearnerOptions{Act: at(l.External.Act), Train: at(l.External.Train), Timeout: l.External.Timeout}, true
	}
	return realnet.LearnerOptions{Act: "ws://" + net.JoinHostPort(f.learner, strconv.Itoa(f.ports.websocket)),
		Train: "http://" + net.JoinHostPort(f.learner, strconv.Itoa(f.ports.learner))}, f.learner != ""
}

// callFrom is the address to call peers from; nil: any of the machine's.
func (f *nodeFlags) callFrom() net.IP {
	if ip := net.ParseIP(f.bind); !ip.IsUnspecified() {
		return ip
	}
	return nil
}

// open makes the node of the flags.
func (f *nodeFlags) open(l realnet.Learner) (*realnet.Node, error) {
	if f.own != nil {
		o := *f.own
		o.Bind = f.callFrom()
		o.Record, o.Program = f.record, version()
		if o.Learner = l; l == nil {
			o.Inference = nil
		}
		return realnet.OpenNode(o)
	}
	words := strings.Fields(f.scheduler)
	if len(words) == 0 {
		return nil, errors.New("--scheduler: write the name of an algorithm and its parameters")
	}
	seed, _ := f.seedNumber() // it has been checked
	return realnet.OpenNode(realnet.NodeOptions{Identity: realnet.Identity{ID: f.id, IP: f.bind}, Slots: f.slots,
		Room: f.queue, Queue: f.queue > 0, Types: f.types, Data: f.data, Port: f.ports.scheduler, Learner: l,
		Bind:       f.callFrom(),
		Scheduler:  realnet.Descriptor{Name: words[0], Parameters: words[1:]},
		Forwarding: core.Forwarding{OnRefusal: core.FallbackFail, ProbeTimeout: f.probe, AnswerTimeout: f.answer},
		Backend:    realnet.Backend{URL: f.functions, Timeout: f.timeout},
		Limits:     realnet.Limits{Body: f.maxBody},
		Record:     f.record,
		Program:    version(),
		Stream:     *random.Stream(seed, 0, random.Algorithm, 0)})
}

// serve starts a service.
func (r *runningNode) serve(name string, port int, h http.Handler) error {
	l, err := net.Listen("tcp", net.JoinHostPort(r.flags.bind, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("the %s cannot listen: is another node running here? %w", name, err)
	}
	s := realnet.NewServer(h)
	r.servers = append(r.servers, s)
	fmt.Fprintf(r.notes, "%s on %s\n", name, l.Addr())
	r.serving.Go(func() {
		if err := s.Serve(realnet.Limited(l)); !errors.Is(err, http.ErrServerClosed) {
			r.failed <- fmt.Errorf("the %s has ended: %w", name, err)
		}
	})
	return nil
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
