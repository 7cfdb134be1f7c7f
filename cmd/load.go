package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/deploy"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// loadFlags are the flags of load.
type loadFlags struct {
	scenarioFlags
	outputFlags
	deploymentFlags
	deployed  string
	hosts     []string
	hostsFile string
	ports     struct{ scheduler, learner int }
	share     string
	at        string
	configure bool
	payloads  []string
	timeout   time.Duration

	targets []realnet.Target
	cloud   string   // address of the cloud's scheduler; empty: there is none
	known   []string // addresses by which the nodes know each other
	part    realnet.Share
	start   time.Time
	of      *deploy.Deployment // nil: the nodes are somebody's
	missing string             // name of the deployment that was looked for and is not there
}

func newLoad() *cobra.Command {
	var f loadFlags
	c := &cobra.Command{
		Use:   "load SCENARIO",
		Short: "send a scenario's requests to nodes that run already",
		Long: `load sends the requests of a scenario when they are due, whatever has become of those before, to nodes that run
already, and writes the same directory as sim and run do. The schedule is that of the simulation. Nodes of the first
P2PFaaS will do.

Where neither --hosts nor --hosts-file says where the nodes are, they are those of the deployment of the scenario's name
(p2pfaas deploy), or of --deployment. They are configured for each point, then, and their learners begin anew.

Several machines share the load without knowing of each other: each is given another --share of the same schedule, and
the same instant to begin --at.`,
		Example: `  p2pfaas deploy quickstart && p2pfaas load quickstart
  p2pfaas load quickstart --select scheduler=NoScheduler --hosts 127.0.0.1,127.0.0.2
  p2pfaas load my.yaml --hosts-file hosts.txt --configure
  p2pfaas load my.yaml --hosts-file hosts.txt --share 1/3 --at 2030-01-31T12:00:00Z`,
		Args:              wants(1, 1, "one scenario"),
		ValidArgsFunction: completeScenario,
		RunE:              func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	f.scenarioFlags.add(c)
	f.outputFlags.add(c)
	f.deploymentFlags.add(c)
	fl := c.Flags()
	fl.StringVar(&f.deployed, "deployment", "", "name of the deployment whose nodes these are (default the scenario's)")
	fl.StringSliceVar(&f.hosts, "hosts", nil, "addresses of the nodes, by number, the cloud last: IP, or IP:port")
	fl.StringVar(&f.hostsFile, "hosts-file", "", "file with these addresses, one on each line; # begins a comment")
	fl.IntVar(&f.ports.scheduler, "scheduler-port", realnet.SchedulerPort, "port of nodes whose address has none")
	fl.IntVar(&f.ports.learner, "learner-port", realnet.LearnerPort, "port of the nodes' learners")
	fl.StringVar(&f.share, "share", "1/1", "which part of the schedule to send: 2/3 is the second of three")
	fl.StringVar(&f.at, "at", "", "when the schedule begins, as 2030-01-31T12:00:00Z (default: at once)")
	fl.BoolVar(&f.configure, "configure", false, "give the nodes the scheduler, the slots and the queue of each point before it is run (default for those of a deployment)")
	addPayloads(c, &f.payloads, &f.timeout)
	return c
}

// check reads the flags; all problems at once.
func (f *loadFlags) check(points []scenarios.Point) error {
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	unread := false
	if f.of != nil {
		f.takeDeployment(points)
	} else {
		unread = f.readTargets(points, wrong)
	}
	cluster := &points[0].Scenario.Cluster
	nodes, wanted, also := cluster.Nodes(), cluster.Nodes(), ""
	if cluster.Cloud != nil {
		wanted, also = nodes+1, " and a cloud, which comes last"
	}
	switch {
	case unread:
	case len(f.hosts) == 0:
		wrong("where are the nodes? There is no deployment %s in %s: start one with p2pfaas deploy, name another with --deployment, or give "+
			"--hosts, or --hosts-file, with one address for each: the scenario has %d%s", f.missing, f.dir, nodes, also)
	case len(f.hosts) != wanted:
		wrong("the scenario has %d nodes%s, and --hosts and --hosts-file name %d: give %d addresses, or change cluster.nodes by --set",
			nodes, also, len(f.hosts), wanted)
	case len(f.targets) > nodes:
		f.cloud, f.targets = f.targets[nodes].Scheduler, f.targets[:nodes]
	}
	if len(points) > 1 && !f.configure && len(f.hosts) > 0 {
		wrong("the scenario has %d points, and the nodes run one: choose it with --select, or let --configure change the nodes", len(points))
	}
	if f.configure && cluster.Cloud != nil && f.of == nil {
		wrong("--configure does not configure a cloud: leave it out, and start the nodes with p2pfaas node --scenario")
	}
	index, of, ok := strings.Cut(f.share, "/")
	i, err1 := strconv.Atoi(index)
	n, err2 := strconv.Atoi(of)
	if !ok || err1 != nil || err2 != nil || i < 1 || i > n {
		wrong("--share %s: write the part and of how many, as in --share 2/3", f.share)
	}
	f.part = realnet.Share{Index: i - 1, Of: n}
	if f.at != "" {
		var err error
		if f.start, err = time.Parse(time.RFC3339, f.at); err != nil {
			wrong("--at %s: write an instant, as in --at 2030-01-31T12:00:00Z", f.at)
		} else if f.start.Before(time.Now()) {
			wrong("--at %s: it has passed", f.at)
		}
		if len(points) > 1 || points[0].Scenario.Replications > 1 {
			wrong("--at begins one run: choose a point with --select, and --replications 1")
		}
	}
	return errors.Join(problems...)
}

// readTargets finds the nodes of --hosts and --hosts-file. It reports whether that could not be read.
func (f *loadFlags) readTargets(points []scenarios.Point, wrong func(string, ...any)) (unread bool) {
	if f.hostsFile != "" {
		hosts, err := readHosts(f.hostsFile)
		if err != nil {
			unread = true
			wrong("%w", err)
		}
		f.hosts = append(f.hosts, hosts...)
	}
	for _, h := range f.hosts {
		host, port, err := net.SplitHostPort(h)
		if err != nil {
			host, port = h, strconv.Itoa(f.ports.scheduler)
		}
		if net.ParseIP(host) == nil {
			wrong("the address %q is none: write an IP, or IP:port", h)
			continue
		}
		t := realnet.Target{Scheduler: net.JoinHostPort(host, port)}
		if slices.ContainsFunc(f.targets, func(o realnet.Target) bool { return o.Scheduler == t.Scheduler }) {
			wrong("the address %s is given twice: each node has its own", t.Scheduler)
		}
		if points[0].Scenario.Learner.Asks() {
			t.Learner = "http://" + net.JoinHostPort(host, strconv.Itoa(f.ports.learner))
		}
		f.targets = append(f.targets, t)
		f.known = append(f.known, h)
	}
	return unread
}

// takeDeployment finds the nodes of a deployment.
func (f *loadFlags) takeDeployment(points []scenarios.Point) {
	for _, n := range f.of.Plan.Nodes {
		t := realnet.Target{Scheduler: n.Place.Dial()}
		if l := points[0].Scenario.Learner; l.Asks() && l.External == nil {
			t.Learner = n.Place.LearnerURL()
		}
		f.targets, f.known, f.hosts = append(f.targets, t), append(f.known, n.Place.Address()), append(f.hosts, n.Place.Address())
	}
}

// ofDeployment finds the deployment that the load is for, where the flags do not say where the nodes are: its scenario is the one to read.
func (f *loadFlags) ofDeployment(c *cobra.Command, path string) (string, error) {
	given := len(f.hosts) > 0 || f.hostsFile != ""
	if given && f.deployed != "" {
		return path, errors.New("--deployment and --hosts both say where the nodes are: leave one out")
	}
	if given {
		return path, nil
	}
	name := f.deployed
	if name == "" {
		file, err := scenarios.Load(path)
		if err != nil {
			return path, err
		}
		name = strings.ToLower(file.Name())
	}
	d, err := deploy.Open(f.dir, name)
	if errors.Is(err, deploy.ErrNone) && f.deployed == "" {
		f.missing = name // and so are the nodes
		return path, nil
	}
	if err != nil {
		return path, err
	}
	var problems []error
	if source, err := sourceOf(path); err != nil || source != d.Source {
		problems = append(problems, err, fmt.Errorf("%s is not what was deployed as %s: repeat p2pfaas deploy, which changes what has changed",
			path, d.Name))
	}
	for _, s := range f.set {
		key, _, err := keyValue(s)
		if err == nil && !slices.ContainsFunc(configurable, func(k string) bool { return key == k || strings.HasPrefix(key, k+".") }) {
			err = fmt.Errorf("--set %s: the nodes of a deployment cannot be given that: deploy anew with it", s)
		}
		problems = append(problems, err)
	}
	f.of = d
	if !c.Flags().Changed("configure") {
		f.configure = true
	}
	fmt.Fprintf(c.ErrOrStderr(), "the deployment %s, target %s\n", d.Name, d.Target)
	return filepath.Join(d.ScenarioDir(), scenarios.BundleFile), errors.Join(problems...)
}

// readHosts reads v1's file of hosts.
func readHosts(path string) (hosts []string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--hosts-file: %w", err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); err = lines.Err() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line != "" {
			hosts = append(hosts, line)
		}
	}
	return hosts, err
}

func (f *loadFlags) run(c *cobra.Command, path string) error {
	path, err := f.ofDeployment(c, path)
	if err != nil {
		return input(err)
	}
	file, points, err := f.scenario(c, path, f.of == nil)
	if err != nil {
		return input(err)
	}
	if f.of != nil && f.pick == "" && len(f.of.Points) > 0 {
		points = slices.DeleteFunc(points, func(p scenarios.Point) bool { return !slices.Contains(f.of.Points, p.Index) })
	}
	keep, err := f.keep(points)
	if err != nil {
		return input(err)
	}
	payloads, err := readPayloads(points[0].Scenario, f.payloads)
	if err = errors.Join(err, f.check(points)); err != nil {
		return input(err)
	}
	r := &real{payloads: payloads, timeout: f.timeout, notes: c.ErrOrStderr(), out: c.OutOrStdout(), json: f.json,
		points: points, result: newRun(file, points, "real", keep)}
	return r.run(c.Context(), f.out, func(ctx context.Context, point, replication int) (*results.Replication, error) {
		if f.configure {
			if err := realnet.Configure(ctx, points[point].Scenario, f.targets, f.known); err != nil {
				return nil, err
			}
		}
		return r.load(ctx, point, replication, realnet.LoadOptions{Targets: f.targets, Cloud: f.cloud, Share: f.part,
			Start: f.start})
	})
}
