package compose

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/image"
	"github.com/p2pfaas/p2pfaas/realnet/loadgen"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// bridge is a network of one test. Its address .1 is this machine's.
type bridge struct {
	*testcontainers.DockerNetwork
	subnet netip.Prefix
}

// newBridge makes a network in a subnet that no other network of the engine has. Nothing leads out of an internal one.
func newBridge(t *testing.T, internal bool) *bridge {
	t.Helper()
	var problems error
	for _, i := range rand.Perm(256)[:32] { // of another run, a network may come and go in between
		b := &bridge{subnet: netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 28, byte(i), 0}), 24)}
		options := []tcnetwork.NetworkCustomizer{tcnetwork.WithLabels(map[string]string{label: runName}),
			tcnetwork.WithIPAM(&network.IPAM{Config: []network.IPAMConfig{{Subnet: b.subnet}}})}
		if internal {
			options = append(options, tcnetwork.WithInternal())
		}
		var err error
		if b.DockerNetwork, err = tcnetwork.New(t.Context(), options...); err == nil {
			t.Cleanup(func() {
				if err := b.Remove(context.Background()); err != nil {
					t.Error(err)
				}
			})
			return b
		}
		problems = errors.Join(problems, err)
	}
	t.Fatal(problems)
	return nil
}

// at is an address of the network.
func (b *bridge) at(number int) string {
	a := b.subnet.Addr().As4()
	a[3] = byte(number)
	return netip.AddrFrom4(a).String()
}

// endpoint is the network as a container that has an address in it joins it.
func (b *bridge) endpoint(address string) *network.EndpointSettings {
	return &network.EndpointSettings{NetworkID: b.ID, IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr(address)}}
}

// machine is a container with a fixed address.
type machine struct {
	*testcontainers.DockerContainer
	network *bridge
	address string
}

// spec is what a container is made of. All of them have a root that is not written to, and no capabilities.
type spec struct {
	image   string
	command []string
	file    []byte                  // at scenarioFile, where there is one
	data    bool                    // it has a volume at /data
	alias   string                  // its name in the network
	modify  func(*container.Config) // changes the rest; nil: nothing
}

const scenarioFile = "/data/scenario.yaml"

// start starts a container.
func start(t *testing.T, b *bridge, address string, s spec) (*machine, error) {
	var host *container.HostConfig
	volumes := slices.Collect(func(yield func(mount.Mount) bool) {
		if s.data || s.file != nil {
			yield(mount.Mount{Type: mount.TypeVolume, Target: "/data",
				VolumeOptions: &mount.VolumeOptions{Labels: map[string]string{label: runName}}})
		}
	})
	hooks := testcontainers.ContainerLifecycleHooks{
		PreCreates: []testcontainers.ContainerRequestHook{func(context.Context, testcontainers.ContainerRequest) error {
			host.PortBindings = nil // testcontainers would publish what the image exposes
			return nil
		}},
		PostCreates: []testcontainers.ContainerHook{func(ctx context.Context, c testcontainers.Container) error {
			if s.file == nil {
				return nil
			}
			return copyTo(ctx, c.GetContainerID(), scenarioFile, s.file)
		}},
	}
	c, err := testcontainers.Run(t.Context(), s.image, testcontainers.WithCmd(s.command...),
		testcontainers.WithLabels(map[string]string{label: runName}), tcnetwork.WithNetwork([]string{s.alias}, b.DockerNetwork),
		testcontainers.WithEndpointSettingsModifier(func(all map[string]*network.EndpointSettings) {
			all[b.Name].IPAMConfig = b.endpoint(address).IPAMConfig
		}),
		testcontainers.WithHostConfigModifier(func(h *container.HostConfig) {
			host = h
			h.ReadonlyRootfs, h.CapDrop, h.SecurityOpt = true, []string{"ALL"}, []string{"no-new-privileges"}
			h.Mounts = append(h.Mounts, volumes...)
		}),
		testcontainers.WithConfigModifier(func(c *container.Config) {
			if s.modify != nil {
				s.modify(c)
			}
		}),
		testcontainers.WithAdditionalLifecycleHooks(hooks))
	m := &machine{c, b, address}
	if c != nil {
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("%s said at last: %s", address, m.said())
			}
			_, err := docker.ContainerRemove(context.Background(), c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			if err != nil {
				t.Errorf("removing %s: %v", address, err)
			}
		})
	}
	if err != nil {
		return nil, fmt.Errorf("%s, %q: %w", address, s.command, err)
	}
	return m, nil
}

// copyTo writes a file into a volume of a container that has not begun yet. (What testcontainers has for that unpacks into the root, which
// an engine does not do where that is not written to.)
func copyTo(ctx context.Context, id, file string, content []byte) error {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{Name: path.Base(file), Mode: 0o644, Size: int64(len(content))})
	_, err2 := w.Write(content)
	if err := errors.Join(err, err2, w.Close()); err != nil {
		return err
	}
	_, err = docker.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: path.Dir(file), Content: &b})
	return err
}

// said are the last lines of a container's log.
func (m *machine) said() string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r, err := docker.ContainerLogs(ctx, m.ID, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: "8"})
	if err != nil {
		return err.Error()
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := stdcopy.StdCopy(&b, &b, r); err != nil {
		return err.Error()
	}
	return b.String()
}

// dial is the address of a machine's scheduler.
func (m *machine) dial() string {
	return realnet.Place{IP: m.address, Scheduler: realnet.SchedulerPort}.Dial()
}

// cluster is a set of nodes.
type cluster struct {
	nodes []*machine
	cloud *machine // nil: there is none
}

// addresses are those of the nodes, the cloud's last.
func (c *cluster) addresses() (all []string) {
	for _, m := range c.nodes {
		all = append(all, m.address)
	}
	if c.cloud != nil {
		all = append(all, c.cloud.address)
	}
	return all
}

// startAll starts containers, some at a time, and returns them in order.
func startAll(t *testing.T, n int, one func(i int) (*machine, error)) []*machine {
	t.Helper()
	machines, problems := make([]*machine, n), make([]error, n)
	var starting sync.WaitGroup
	places := make(chan struct{}, 4)
	for i := range n {
		starting.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			machines[i], problems[i] = one(i)
		})
	}
	starting.Wait()
	if err := errors.Join(problems...); err != nil {
		t.Fatal(err)
	}
	return machines
}

// startNodes starts n nodes, each with a container of its own for the function work.
func startNodes(t *testing.T, n int, flags ...string) *cluster {
	t.Helper()
	b := newBridge(t, false)
	function := func(i int) string { return b.at(100 + i) }
	startAll(t, n, func(i int) (*machine, error) { return start(t, b, function(i), spec{image: tag(image.Sleep)}) })
	c := &cluster{nodes: startAll(t, n, func(i int) (*machine, error) {
		return start(t, b, b.at(10+i), spec{image: tag(image.Node), command: slices.Concat([]string{"node", "--bind", "0.0.0.0", "--insecure",
			"--init-servers", b.at(10), "--function", "work=http://" + function(i) + ":8080/"}, flags)})
	})}
	meet(t, c.nodes)
	return c
}

// startScenario starts the nodes of a scenario, and its cloud.
func startScenario(t *testing.T, s *scenarios.Scenario, file []byte) *cluster {
	t.Helper()
	b := newBridge(t, false)
	n := s.Cluster.Nodes()
	if s.Cluster.Cloud != nil {
		n++
	}
	var all []string
	for i := range n {
		all = append(all, b.at(10+i))
	}
	machines := startAll(t, n, func(i int) (*machine, error) {
		return start(t, b, all[i], spec{image: tag(image.Node), file: file, command: []string{"node", "--scenario", scenarioFile,
			"--cluster", strings.Join(all, ","), "--number", fmt.Sprint(i), "--bind", "0.0.0.0", "--insecure", "--init-servers", all[0]}})
	})
	c := &cluster{nodes: machines[:s.Cluster.Nodes()]}
	if s.Cluster.Cloud != nil {
		c.cloud = machines[n-1]
	}
	meet(t, c.nodes)
	return c
}

// bound is how long is waited for what takes seconds on a quiet machine. A busy one is slow; what does not come is told all the same.
const bound = 3 * time.Minute

// meet waits until each of some nodes knows these, and no other.
func meet(t *testing.T, nodes []*machine) time.Duration {
	t.Helper()
	return await(t, bound, func() error {
		for i, m := range nodes {
			var others []string
			for _, o := range slices.Delete(slices.Clone(nodes), i, i+1) {
				others = append(others, o.address)
			}
			if err := m.knows(others); err != nil {
				return err
			}
		}
		return nil
	})
}

// knows reports where a node knows other peers than these.
func (m *machine) knows(others []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s, err := realnet.AskStatus(ctx, http.DefaultClient, m.dial())
	if err != nil {
		return err
	}
	slices.Sort(s.Peers)
	if slices.Sort(others); !slices.Equal(s.Peers, others) {
		return fmt.Errorf("%s knows %q, not %q", m.address, s.Peers, others)
	}
	return nil
}

// await waits until something is so, and returns how long that took.
func await(t *testing.T, most time.Duration, so func() error) time.Duration {
	t.Helper()
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		err := so()
		took := time.Since(began)
		if err == nil {
			return took
		}
		if took > most {
			t.Fatalf("after %v: %v", took.Round(time.Millisecond), err)
		}
	}
}

// loading is a load under way.
type loading struct {
	t       *testing.T
	began   time.Time
	ended   chan struct{}
	result  *results.Replication
	records []results.Record
	err     error
}

// load begins to send the requests of a scenario.
func (c *cluster) load(t *testing.T, s *scenarios.Scenario) *loading {
	l := &loading{t: t, ended: make(chan struct{})}
	begins := make(chan time.Time, 1)
	o := loadgen.Options{Scenario: s, Timeout: time.Minute, Begun: func(at time.Time) { begins <- at },
		Each: func(r *results.Record) { l.records = append(l.records, *r) }}
	for _, m := range c.nodes {
		target := loadgen.Target{Scheduler: m.dial()}
		if s.Learner.Asks() {
			target.Learner = realnet.Place{IP: m.address, Learner: realnet.LearnerPort}.LearnerURL()
		}
		o.Targets = append(o.Targets, target)
	}
	if c.cloud != nil {
		o.Cloud = c.cloud.dial()
	}
	go func() {
		defer close(l.ended)
		l.result, l.err = loadgen.Generate(t.Context(), o)
	}()
	select {
	case l.began = <-begins:
	case <-l.ended: // with an error
	}
	return l
}

// since is the instant of the load's schedule that it is now.
func (l *loading) since() time.Duration { return time.Since(l.began) }

// sleep waits until an instant of the schedule.
func (l *loading) sleep(until time.Duration) { time.Sleep(until - l.since()) }

// wait waits for the end of the load. Each request of the schedule must have ended once, in one of the documented ways.
func (l *loading) wait() []results.Record {
	l.t.Helper()
	if <-l.ended; l.err != nil {
		l.t.Fatal(l.err)
	}
	ids := map[core.TaskID]bool{}
	for i := range l.records {
		r := &l.records[i]
		if ids[r.ID] = true; r.Outcome <= core.InFlight || r.Outcome >= core.NumOutcomes {
			l.t.Errorf("request %d of node %d has the outcome %v", r.ID, r.Node, r.Outcome)
		}
	}
	if n := int(l.result.Submitted); n == 0 || len(l.records) != n || len(ids) != n || int(l.result.Ended) != n {
		l.t.Errorf("of %d requests %d ended: %d records of %d", n, l.result.Ended, len(l.records), len(ids))
	}
	return l.records
}

// outcomes counts them, for errors and logs.
func outcomes(records []results.Record) string {
	counts := map[string]int{}
	for i := range records {
		counts[records[i].Outcome.String()]++
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		words = append(words, fmt.Sprintf("%d %s", counts[name], name))
	}
	return strings.Join(words, ", ")
}

// only wants that some requests have one of some outcomes.
func (l *loading) only(what string, records []results.Record, allowed ...core.Outcome) {
	l.t.Helper()
	l.t.Logf("%s: %s", what, outcomes(records))
	if slices.ContainsFunc(records, func(r results.Record) bool { return !slices.Contains(allowed, r.Outcome) }) {
		l.t.Errorf("%s: %s; allowed: %v; losses: %+v", what, outcomes(records), allowed, l.result.Reality.Losses)
	}
}

// split divides requests in two.
func split(records []results.Record, first func(r *results.Record) bool) (in, out []results.Record) {
	for i := range records {
		if first(&records[i]) {
			in = append(in, records[i])
		} else {
			out = append(out, records[i])
		}
	}
	return in, out
}

// call makes a request, and returns the status, the body and the headers of its answer.
func call(ctx context.Context, method, url, body string, header ...string) (int, string, http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", nil, err
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", nil, err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	return a.StatusCode, string(text), a.Header, err
}

// askJSON reads what a URL answers.
func askJSON(t *testing.T, url string, to any) {
	t.Helper()
	status, text, _, err := call(t.Context(), http.MethodGet, url, "")
	if err == nil {
		err = json.Unmarshal([]byte(text), to)
	}
	if err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d %.300s: %v", url, status, text, err)
	}
}
