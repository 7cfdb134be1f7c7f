package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/deploy"
	"github.com/p2pfaas/p2pfaas/realnet/image"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/simnet"
)

// deployFlags are the flags of deploy.
type deployFlags struct {
	scenarioFlags
	programFlags
	deploymentFlags
	target string
	hosts  string
	name   string
	subnet string
	first  string

	file      *scenarios.File
	points    []scenarios.Point
	point     *scenarios.Point  // whose nodes are started
	inventory *deploy.Inventory // of the target hosts
	platforms []image.Platform  // of the machines, by index
	images    []*image.Images   // for them
	token     string            // that the nodes share
	undone    bool              // the target hosts has undone what it made
}

// deploymentFlags say where deployments are remembered.
type deploymentFlags struct{ dir string }

func (f *deploymentFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.dir, "deployments", "deployments", "directory where deployments are remembered")
}

func newDeploy() *cobra.Command {
	var f deployFlags
	c := &cobra.Command{
		Use:   "deploy SCENARIO",
		Short: "bring a scenario's nodes and functions to where they run, and keep them there",
		Long: `deploy starts the nodes of a scenario with their functions, and leaves them running: in containers on this machine
(--target compose, the default), in containers on machines that are reached over SSH (--hosts FILE), or as processes of this
machine (--target local). p2pfaas load drives them; p2pfaas deploy status, logs and down are about them.

It may be repeated: what is as it should be is left alone, what has changed, is missing or has stopped is made anew. What is deployed is
this program, in images that it makes itself.

Of a scenario with a sweep the nodes are those of the first point or, where some algorithm asks a learner, of the first such point; load
configures them for each point, where that can be done, which is for the scheduler, the slots, the queue, and the workload.`,
		Example: `  p2pfaas deploy quickstart
  p2pfaas load quickstart
  p2pfaas deploy down
  p2pfaas deploy my.yaml --hosts pis.yaml --set cluster.nodes=8`,
		Args:              wants(1, 1, "one scenario"),
		ValidArgsFunction: completeScenario,
		RunE:              func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	f.scenarioFlags.add(c)
	f.programFlags.add(c)
	f.deploymentFlags.add(c)
	fl := c.Flags()
	fl.StringVar(&f.target, "target", "", strings.Join(targets, ", ")+" (default compose; hosts where --hosts is given)")
	fl.StringVar(&f.hosts, "hosts", "", "`file` with the machines of the target hosts")
	fl.StringVar(&f.name, "name", "", "name of the deployment (default the scenario's)")
	fl.StringVar(&f.subnet, "subnet", "", "addresses of containers, as 10.50.0.0/24 (default one of 10.213.0.0/16)")
	fl.StringVar(&f.first, "first-address", "127.0.0.1", "loopback address of the first node of the target local; the others have the next ones")
	completeFlag(c, "target", targets...)
	c.AddCommand(newDeployStatus(), newDeployLogs(), newDeployDown(), newDeployManifests())
	return c
}

// targets are where a deployment may be.
var targets = []string{string(deploy.TargetLocal), string(deploy.TargetCompose), string(deploy.TargetHosts)}

// configurable are the keys that load can change on running nodes: these, and what is below them.
var configurable = []string{"scheduler", "cluster.slots", "cluster.queue", "workload"}

// check reads the flags and the scenario; all problems at once.
func (f *deployFlags) check(c *cobra.Command, path string) error {
	var err error
	if f.file, f.points, err = f.scenario(c, path, true); err != nil {
		return err
	}
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	switch {
	case f.target == "" && f.hosts != "":
		f.target = string(deploy.TargetHosts)
	case f.target == "":
		f.target = string(deploy.TargetCompose)
	case !slices.Contains(targets, f.target):
		wrong("--target %s: write one of %s", f.target, strings.Join(targets, ", "))
	}
	switch is := f.target == string(deploy.TargetHosts); {
	case is && f.hosts == "":
		wrong("--target hosts needs the file of the hosts: add --hosts FILE")
	case !is && f.hosts != "":
		wrong("--hosts is for the target hosts, and this is %s: leave one of the two out", f.target)
	case is:
		path, err := filepath.Abs(f.hosts) // paths in it are remembered
		if err == nil {
			f.inventory, err = deploy.LoadInventory(c.Context(), path)
		}
		problems = append(problems, err)
	}
	if f.name == "" {
		f.name = strings.ToLower(f.file.Name())
	}
	if f.subnet != "" {
		p, err := netip.ParsePrefix(f.subnet)
		if err != nil || !p.Addr().Is4() || p != p.Masked() || p.Addr().IsLoopback() || p.Addr().IsMulticast() || p.Addr().IsUnspecified() {
			wrong("--subnet %s: write a network of IPv4, as 10.50.0.0/24", f.subnet)
		}
	}
	if f.target == string(deploy.TargetLocal) && f.subnet != "" {
		wrong("--subnet is for containers, and the target local has none: leave it out")
	}
	if f.target != string(deploy.TargetLocal) && c.Flags().Changed("first-address") {
		wrong("--first-address is for the target local: leave it out")
	}
	told := map[string]bool{}
	for _, p := range f.points {
		refused := realnet.CheckScenario(p.Scenario)
		if f.target != string(deploy.TargetCompose) {
			refused = errors.Join(refused, realnet.RefuseFaults(p.Scenario, "the nodes of the target "+f.target))
		}
		if f.target == string(deploy.TargetLocal) {
			refused = errors.Join(refused, realnet.CheckProcesses(p.Scenario))
		}
		if refused != nil && !told[refused.Error()] {
			told[refused.Error()] = true
			problems = append(problems, refused)
		}
	}
	f.point = started(f.points)
	for _, p := range f.points {
		if err := realnet.CheckLearner(p.Scenario, f.point.Scenario); err != nil && !told[err.Error()] {
			told[err.Error()] = true
			wrong("%w: choose one of the two with --select, or p2pfaas run the scenario, which starts nodes for each point", err)
		}
	}
	for i, key := range f.file.Swept() {
		others := slices.ContainsFunc(f.points, func(p scenarios.Point) bool { return p.Values[i] != f.points[0].Values[i] })
		if others && !slices.ContainsFunc(configurable, func(k string) bool { return key == k || strings.HasPrefix(key, k+".") }) {
			wrong("%s is swept, and running nodes cannot be given another one: choose one with --select, or p2pfaas run the scenario, which starts "+
				"nodes for each point", key)
		}
	}
	return errors.Join(problems...)
}

func (f *deployFlags) run(c *cobra.Command, path string) error {
	if err := f.check(c, path); err != nil {
		return input(err)
	}
	release, err := deploy.Lock(f.dir, f.name)
	if err != nil {
		return input(err)
	}
	defer release()
	d, before, err := f.deployment(path)
	if err != nil {
		return input(err)
	}
	files, err := f.file.Bundle()
	if err != nil {
		return input(err)
	}
	if d.Source, err = sourceOf(path); err != nil {
		return input(err)
	}
	if err := d.WriteFiles(files); err != nil {
		return err
	}
	notes := c.ErrOrStderr()
	began := time.Now()
	fresh, err := f.up(c, d, before)
	if err != nil {
		return f.failed(c.Context(), d, before, err, notes)
	}
	d.Deployed = time.Now().UTC().Truncate(time.Second)
	if err := errors.Join(d.Save(), d.Tidy()); err != nil {
		return err
	}
	load := "p2pfaas load " + path
	if f.name != strings.ToLower(f.file.Name()) {
		load += " --deployment " + f.name
	}
	fmt.Fprintf(notes, "%s: %s ready after %.1f s%s\nnext: %s; p2pfaas deploy status, logs or down %s\n", d.Name,
		count(len(d.Plan.Nodes), "node"), time.Since(began).Seconds(), coldStarts(fresh), load, d.Name)
	f.warn(notes, path)
	return nil
}

// deployment is the one of the flags' name, and whether it was there before.
func (f *deployFlags) deployment(path string) (d *deploy.Deployment, before bool, err error) {
	d, err = deploy.Open(f.dir, f.name)
	switch {
	case errors.Is(err, deploy.ErrNone):
		if d, err = deploy.NewDeployment(f.dir, f.name, deploy.Target(f.target)); err != nil {
			return nil, false, err
		}
	case err != nil:
		return nil, false, err
	case d.Target != deploy.Target(f.target):
		return nil, false, fmt.Errorf("the deployment %s is of the target %s: take it down first (p2pfaas deploy down %s), or give another --name",
			f.name, d.Target, f.name)
	default:
		before = true
	}
	d.Scenario, d.Version, d.Algorithms, d.Points = path, version(), algorithms(), nil
	if f.pick != "" {
		for _, p := range f.points {
			d.Points = append(d.Points, p.Index)
		}
	}
	return d, before, err
}

// failed leaves a deployment that was there before as far as it came, and undoes one that was not.
func (f *deployFlags) failed(ctx context.Context, d *deploy.Deployment, before bool, why error, notes io.Writer) error {
	if ctx.Err() != nil {
		why = simnet.ErrInterrupted // and not what it broke off
	}
	if before {
		return fmt.Errorf("%w; what was there before is left as it is now: repeat p2pfaas deploy to go on, or p2pfaas deploy down %s", why, d.Name)
	}
	if _, err := deploy.Open(f.dir, d.Name); errors.Is(err, deploy.ErrNone) { // nothing was made
		return errors.Join(why, d.Forget())
	}
	if f.undone {
		fmt.Fprintln(notes, "what had been made was taken down")
		return errors.Join(why, d.Forget())
	}
	fmt.Fprintln(notes, "taking down what has been made")
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	return errors.Join(why, takeDown(undo, d, false, false, notes))
}

// coldStarts says how long functions took to be there.
func coldStarts(all []deploy.ColdStart) string {
	if len(all) == 0 {
		return ""
	}
	sum := time.Duration(0)
	for _, s := range all {
		sum += s.Time
	}
	return fmt.Sprintf("; cold start of a function %v, from the creation of its container to its first answer (mean of %d)",
		(sum / time.Duration(len(all))).Round(time.Millisecond), len(all))
}

// warn says where nothing was simulated with the algorithms that are deployed.
func (f *deployFlags) warn(notes io.Writer, path string) {
	if found, err := results.Simulated("runs", algorithms()); err != nil {
		fmt.Fprintf(notes, "note: whether these algorithms (%s) have been simulated is not known: %v\n", algorithms(), err)
	} else if !found {
		fmt.Fprintf(notes, "note: no simulation in runs/ was made with these algorithms (%s), so that there is nothing to compare with yet: "+
			"p2pfaas sim %s\n", algorithms(), path)
	}
}

// sourceOf identifies a scenario as its user wrote it, without what flags make of it.
func sourceOf(path string) (string, error) {
	file, err := scenarios.Load(path)
	if err != nil {
		return "", err
	}
	if _, err := file.Points(); err != nil {
		return "", err
	}
	files, err := file.Bundle()
	return deploy.ContentOf(files), err
}

// up makes the deployment true. It returns the cold starts that there were.
func (f *deployFlags) up(c *cobra.Command, d *deploy.Deployment, before bool) ([]deploy.ColdStart, error) {
	ctx, notes := c.Context(), c.ErrOrStderr()
	if d.Target == deploy.TargetLocal {
		return nil, f.upLocal(ctx, d)
	}
	engines, err := f.engines(ctx, d)
	if err != nil {
		return nil, err
	}
	defer deploy.CloseAll(engines)
	for _, e := range engines {
		list, err := e.List(ctx, d.Name)
		if err != nil {
			return nil, err
		}
		if len(list) > 0 && !before {
			return nil, input(fmt.Errorf("%s has a deployment %s already, which is not remembered in %s: take it down where it is (p2pfaas deploy down "+
				"%s --deployments DIRECTORY), or give another --name", e.Name, d.Name, f.dir, d.Name))
		}
	}
	if err := f.pack(c, engines); err != nil {
		return nil, err
	}
	if f.token, err = d.Token(); err != nil {
		return nil, input(fmt.Errorf("the token of the nodes: %w", err))
	}
	tag := func(machine int, kind string) string { return f.images[machine].Tag(kind) }
	if d.Plan, err = f.plan(d, tag); err != nil {
		return nil, input(err)
	}
	shown, err := d.Credentials()
	if err != nil {
		return nil, input(err)
	}
	show(engines, shown)
	if err := d.Save(); err != nil { // so that it can be taken down, whatever comes
		return nil, err
	}
	o := deploy.HostsOptions{Images: f.open, Token: f.token, Progress: progressOf(notes)}
	var reports []deploy.HostReport
	if d.Target == deploy.TargetCompose {
		reports, err = d.ComposeUp(ctx, engines[0], o)
	} else {
		reports, err = deploy.Hosts(ctx, d.Plan, engines, o)
		f.undone = len(reports) > 0 && !slices.ContainsFunc(reports, func(r deploy.HostReport) bool { return r.Undone == nil })
	}
	return d.NoteColdStarts(reports), err
}

// progressOf shows the steps of a deployment: a line for each or, in a terminal, the last one.
func progressOf(w io.Writer) func(deploy.Progress) {
	if !terminal(w) {
		return func(p deploy.Progress) {
			if !strings.HasPrefix(p.Step, string(deploy.Untouched)) {
				fmt.Fprintf(w, "%s: %d of %d, %s\n", p.Host, p.Done, p.Total, p.Step)
			}
		}
	}
	steps := map[string]deploy.Progress{}
	return func(p deploy.Progress) {
		steps[p.Host] = p
		done, total := 0, 0
		for _, s := range steps {
			done, total = done+s.Done, total+s.Total
		}
		fmt.Fprintf(w, "\r\x1b[K%d of %d: %s, %s", done, total, p.Host, p.Step)
		if done == total {
			fmt.Fprint(w, "\r\x1b[K")
		}
	}
}

// engines are those of the deployment's machines.
func (f *deployFlags) engines(ctx context.Context, d *deploy.Deployment) ([]*deploy.Engine, error) {
	if d.Target == deploy.TargetCompose {
		e, err := deploy.ThisMachine(ctx)
		return []*deploy.Engine{e}, err
	}
	for _, old := range d.Machines {
		if !slices.ContainsFunc(f.inventory.Machines, func(m deploy.Machine) bool { return m.Name == old.Name }) {
			return nil, input(fmt.Errorf("%s: the host %s has nodes of the deployment %s, and is no longer in the file: take the deployment down with "+
				"the file as it was, or put the host back", f.hosts, old.Name, d.Name))
		}
	}
	engines, err := deploy.ConnectAll(ctx, f.inventory.Machines)
	if err != nil {
		deploy.CloseAll(engines)
		return nil, err
	}
	d.Machines = f.inventory.Machines
	return engines, nil
}

// pack makes the images for the platforms of the engines.
func (f *deployFlags) pack(c *cobra.Command, engines []*deploy.Engine) error {
	var wanted []image.Platform
	for _, e := range engines {
		p, err := image.ParsePlatform(e.Platform)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
		f.platforms = append(f.platforms, p)
		if !slices.Contains(wanted, p) {
			wanted = append(wanted, p)
		}
	}
	packed, err := f.programFlags.images(c, wanted, filepath.Join(f.dir, ".programs"))
	if err != nil {
		return err
	}
	for _, p := range f.platforms {
		f.images = append(f.images, packed[slices.Index(wanted, p)])
	}
	return nil
}

// open gives images of this program for a platform, as docker save would.
func (f *deployFlags) open(tags []string, platform string) (io.ReadCloser, error) {
	p, err := image.ParsePlatform(platform)
	if err != nil {
		return nil, err
	}
	i := f.images[slices.Index(f.platforms, p)]
	names := map[string]string{}
	for _, kind := range image.Kinds() {
		if tag := i.Tag(kind); slices.Contains(tags, tag) {
			names[tag] = kind
		}
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(i.Write(w, names)) }()
	return r, nil
}

// started chooses the point whose nodes are started for all of them: the first one or, since nodes that run can be given another algorithm but no
// learner, the first whose algorithm asks one.
func started(points []scenarios.Point) *scenarios.Point {
	i := slices.IndexFunc(points, func(p scenarios.Point) bool { return p.Scenario.Learner.Asks() })
	return &points[max(0, i)]
}

// plan makes the plan of a deployment in containers, of images with these tags.
func (f *deployFlags) plan(d *deploy.Deployment, tag func(machine int, kind string) string) (*deploy.Plan, error) {
	s := f.point.Scenario
	all := s.Cluster.Nodes()
	if s.Cluster.Cloud != nil {
		all++
	}
	var err error
	o := deploy.Options{Name: d.Name, Scenario: s, Files: d.ScenarioDir(), Content: d.Content, Base: filepath.Dir(d.Scenario), Tag: tag,
		Token: f.token, TokenFile: deploy.MountedToken}
	machines, containers := 1, all*(1+len(s.Functions))
	if d.Target == deploy.TargetHosts {
		places, err := f.inventory.Layout(all)
		if err != nil {
			return nil, err
		}
		o.Shared, o.TokenFile, machines = true, deploy.CopiedToken, len(f.inventory.Machines)
		for _, at := range places {
			o.Places, o.Hosts = append(o.Places, at.Place), append(o.Hosts, at.Machine)
		}
	}
	for h := range machines {
		subnet := deploy.DefaultSubnet(d.Name, h, containers)
		if f.subnet != "" {
			if subnet, err = deploy.PartOf(netip.MustParsePrefix(f.subnet), h, machines); err != nil {
				return nil, err
			}
		}
		o.Subnets = append(o.Subnets, subnet)
	}
	if !o.Shared {
		if o.Places, err = deploy.BridgePlaces(o.Subnets[0], all); err != nil {
			return nil, err
		}
	}
	o.Command = func(i int, functions map[string]string) []string {
		return nodeCommand(deploy.FilesDir+"/"+scenarios.BundleFile, f.point, i, o.Places, functions)
	}
	o.FunctionCommand = func(i int, x *scenarios.Function) []string {
		words := []string{"function", x.Backend.Kind, "--bind", "0.0.0.0"}
		if x.Backend.Kind == image.FaceDetect {
			return words
		}
		speed := 1.0
		if i < s.Cluster.Nodes() {
			speed = s.Cluster.GroupOf(core.NodeID(i)).Speed
		} else {
			speed = s.Cluster.Cloud.Speed
		}
		return append(words, "--scenario", deploy.FilesDir+"/"+scenarios.BundleFile, "--select", strconv.Itoa(f.point.Index), "--function", x.Name,
			"--speed", fmt.Sprint(speed), "--seed", functionSeed(s.Seed, 0, i, x.Name))
	}
	return deploy.New(o)
}

// nodeCommand are the arguments of node i of a cluster at these places, whose functions are at these URLs.
func nodeCommand(scenario string, point *scenarios.Point, i int, places []realnet.Place, functions map[string]string) []string {
	var addresses []string
	for _, p := range places {
		addresses = append(addresses, p.Address())
	}
	at := places[i]
	words := []string{"node", "--scenario", scenario, "--select", strconv.Itoa(point.Index), "--number", strconv.Itoa(i),
		"--cluster", strings.Join(addresses, ","), "--bind", at.IP, "--init-servers", initServers(point.Scenario, places)}
	if len(point.Scenario.Faults) > 0 {
		words = append(words, "--faults")
	}
	for _, port := range []struct {
		flag           string
		port, standard int
	}{
		{"--scheduler-port", at.Scheduler, realnet.SchedulerPort},
		{"--discovery-port", at.Discovery, realnet.DiscoveryPort},
		{"--learner-port", at.Learner, realnet.LearnerPort},
		{"--websocket-port", at.Websocket, realnet.WebsocketPort},
	} {
		if port.port != port.standard {
			words = append(words, port.flag, strconv.Itoa(port.port))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		words = append(words, "--function", name+"="+functions[name])
	}
	return words
}

// upLocal makes a deployment of processes true.
func (f *deployFlags) upLocal(ctx context.Context, d *deploy.Deployment) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	program, err := deploy.FileHash(self)
	if err != nil {
		return err
	}
	s := f.point.Scenario
	all := s.Cluster.Nodes()
	if s.Cluster.Cloud != nil {
		all++
	}
	var places []realnet.Place
	if d.Plan != nil && len(d.Plan.Nodes) == all && d.Plan.Nodes[0].Place.IP == f.first {
		for _, n := range d.Plan.Nodes {
			places = append(places, n.Place)
		}
	} else {
		if _, err := d.StopLocal(); err != nil { // its addresses are others
			return err
		}
		if places, err = realnet.LoopbackPlaces(f.first, all); err != nil {
			return err
		}
	}
	d.Plan = deploy.Processes(d.Name, s, places, d.Content)
	scenario := filepath.Join(d.ScenarioDir(), scenarios.BundleFile)
	return d.StartLocal(ctx, program, func(n *deploy.Node) []string {
		return append([]string{self}, nodeCommand(scenario, f.point, n.Number, places, nil)...)
	}, slices.DeleteFunc(os.Environ(), isNodeVariable))
}
