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
	"github.com/p2pfaas/p2pfaas/realnet/loadgen"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// loadFlags are the flags of load.
type loadFlags struct {
	scenarioFlags
	outputFlags
	deploymentFlags
	credentialFlags
	deployed  string
	hosts     []string
	hostsFile string
	ports     struct{ scheduler, learner int }
	share     string
	at        string
	configure bool
	payloads  []string
	timeout   time.Duration

	targets []loadgen.Target
	cloud   string   // address of the cloud's scheduler; empty: there is none
	known   []string // addresses by which the nodes know each other
	part    loadgen.Share
	start   time.Time
	of      *deploy.Deployment   // nil: the nodes are somebody's
	shown   *realnet.Credentials // to the nodes; nil: nothing is
	missing string               // name of the deployment that was looked for and is not there
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
	f.credentialFlags.add(fl)
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
	var err error
	f.shown, err = f.credentials(f.of)
	problems = append(problems, err)
	if f.of != nil {
		f.takeDeployment()
	} else {
		unread = f.readTargets(wrong)
	}
	problems = append(problems, f.checkLearners(points))
	for _, p := range points {
		if f.of != nil && f.of.Target == deploy.TargetCompose || len(f.hosts) == 0 {
			break
		}
		where := "the nodes of --hosts"
		if f.of != nil {
			where = "the nodes of the target " + string(f.of.Target)
		}
		if err := realnet.RefuseFaults(p.Scenario, where); err != nil {
			problems = append(problems, err)
			break
		}
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
		or := ""
		if n := len(f.hosts) - (wanted - nodes); n > 0 && len(cluster.Groups) == 1 && cluster.Groups[0].Name == "nodes" { // else it has groups
			or = fmt.Sprintf(", or let the scenario have as many nodes (--set cluster.nodes=%d)", n)
		}
		wrong("--hosts: the scenario has %d nodes%s, and %s given: give %d%s", nodes, also, addresses(len(f.hosts)), wanted, or)
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
	f.part = loadgen.Share{Index: i - 1, Of: n}
	if s, l := f.ports.scheduler, f.ports.learner; !isPort(strconv.Itoa(s)) || !isPort(strconv.Itoa(l)) {
		wrong("--scheduler-port %d, --learner-port %d: write ports, from 1 to 65535", s, l)
	}
	if n > 1 && slices.ContainsFunc(points, func(p scenarios.Point) bool { return len(p.Scenario.Faults) > 0 }) {
		wrong("--share %s: each of the machines would make all faults of the scenario: send the load from one, or deploy the scenario anew without faults, by --set 'faults=[]'", f.share)
	}
	if f.at != "" {
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
func (f *loadFlags) readTargets(wrong func(string, ...any)) (unread bool) {
	where := slices.Repeat([]string{"--hosts"}, len(f.hosts))
	if f.hostsFile != "" {
		hosts, lines, err := readHosts(f.hostsFile)
		if err != nil {
			unread = true
			wrong("%w", err)
		}
		f.hosts, where = append(f.hosts, hosts...), append(where, lines...)
	}
	schedulers, err := nodeAddresses(f.hosts, where, f.ports.scheduler)
	if err != nil {
		wrong("%w", err)
	}
	for i, at := range schedulers {
		host, _, _ := net.SplitHostPort(at) // where it is none, that has been said
		f.targets = append(f.targets, loadgen.Target{Scheduler: at, Learner: "http://" + net.JoinHostPort(host, strconv.Itoa(f.ports.learner))})
		f.known = append(f.known, f.hosts[i])
	}
	return unread
}

// nodeAddresses are the addresses, IP:port, of schedulers that a user names by IP, or by IP:port where the port is not that one; where says for each
// who names it, for the error.
func nodeAddresses(hosts, where []string, port int) (all []string, err error) {
	var problems []error
	for i, h := range hosts {
		host, own, err := net.SplitHostPort(h)
		if err != nil {
			host, own = h, strconv.Itoa(port)
		}
		at := net.JoinHostPort(host, own)
		switch {
		case net.ParseIP(host) == nil || err == nil && !isPort(own):
			problems = append(problems, fmt.Errorf("%s: %q is no address of a node: write an IP, or IP:port, as 10.0.0.1 or 10.0.0.1:%d", where[i], h,
				realnet.SchedulerPort))
		case slices.Contains(all, at):
			problems = append(problems, fmt.Errorf("%s: the address %s is given twice: each node has its own", where[i], at))
		}
		all = append(all, at)
	}
	return all, errors.Join(problems...)
}

// takeDeployment finds the nodes of a deployment.
func (f *loadFlags) takeDeployment() {
	for _, n := range f.of.Plan.Nodes {
		f.targets = append(f.targets, loadgen.Target{Scheduler: n.Place.Dial(), Learner: n.Place.LearnerURL()})
		f.known, f.hosts = append(f.known, n.Place.Address()), append(f.hosts, n.Place.Address())
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

// checkLearners refuses points whose algorithm asks another learner than the nodes have: that with which they were deployed or, whoever started them,
// one for all points.
func (f *loadFlags) checkLearners(points []scenarios.Point) error {
	nodes, what := points, "choose one of the two with --select"
	if f.of != nil {
		_, all, err := readPoints(filepath.Join(f.of.ScenarioDir(), scenarios.BundleFile), nil, "", false, nil)
		if err != nil {
			return err
		}
		if nodes, err = f.ofDeployed(all); err != nil {
			return err
		}
		what = "repeat p2pfaas deploy for that, with --set or --select"
	}
	var problems []error
	told := map[string]bool{}
	for _, p := range points {
		if err := realnet.CheckLearner(p.Scenario, started(nodes).Scenario); err != nil && !told[err.Error()] {
			told[err.Error()] = true
			problems = append(problems, fmt.Errorf("%w: %s", err, what))
		}
	}
	return errors.Join(problems...)
}

// ofDeployed are those of a scenario's points that were chosen when it was deployed.
func (f *loadFlags) ofDeployed(points []scenarios.Point) ([]scenarios.Point, error) {
	if len(f.of.Points) == 0 {
		return points, nil
	}
	points = slices.DeleteFunc(points, func(p scenarios.Point) bool { return !slices.Contains(f.of.Points, p.Index) })
	if len(points) == 0 {
		return nil, fmt.Errorf("the deployment %s is of the points %v of the scenario alone, and --set leaves none of them: choose a point with --select",
			f.of.Name, f.of.Points)
	}
	return points, nil
}

// isPort reports whether a text is a port.
func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// addresses says how many are given.
func addresses(n int) string {
	if n == 1 {
		return "1 address is"
	}
	return fmt.Sprintf("%d addresses are", n)
}

// readHosts reads v1's file of hosts, and returns where each of them stands.
func readHosts(path string) (hosts, where []string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("--hosts-file: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line != "" {
			hosts, where = append(hosts, line), append(where, fmt.Sprintf("--hosts-file: %s:%d", path, n))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, nil, fmt.Errorf("--hosts-file %s: %w", path, err)
	}
	return hosts, where, nil
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
	if f.of != nil && f.pick == "" {
		if points, err = f.ofDeployed(points); err != nil {
			return input(err)
		}
	}
	keep, err := f.keep(points)
	if err != nil {
		return input(err)
	}
	payloads, err := readPayloads(points[0].Scenario, f.payloads)
	if err = errors.Join(err, f.check(points)); err != nil {
		return input(err)
	}
	var machines loadgen.Machines
	if len(points[0].Scenario.Faults) > 0 {
		e, err := deploy.ThisMachine(c.Context())
		if err != nil {
			return input(err)
		}
		defer e.Close()
		machines = e.Machines(f.of.Plan)
	}
	if err := loadgen.Ready(c.Context(), loadgen.Options{Scenario: points[0].Scenario, Targets: f.targets, Credentials: f.shown}); err != nil {
		if unreached := (*loadgen.UnreachedError)(nil); !errors.As(err, &unreached) {
			return err
		}
		return fmt.Errorf("%w\nthe load goes to nodes that run already (p2pfaas node, p2pfaas deploy), each at the address of its scheduler, "+
			"with the token of their cluster where they have one (--token-file)", err)
	}
	r := &real{payloads: payloads, timeout: f.timeout, notes: c.ErrOrStderr(), out: c.OutOrStdout(), json: f.json,
		points: points, result: newRun(file, points, "real", keep)}
	return r.run(c.Context(), f.out, func(ctx context.Context, point, replication int) (*results.Replication, error) {
		if f.configure {
			if err := loadgen.Configure(ctx, points[point].Scenario, replication, f.targets, f.known, f.shown); err != nil {
				return nil, err
			}
		}
		return r.load(ctx, point, replication, loadgen.Options{Targets: f.targets, Credentials: f.shown, Cloud: f.cloud, Share: f.part,
			Start: f.start, Machines: machines})
	})
}
