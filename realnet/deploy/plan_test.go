package deploy

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

var update = flag.Bool("update", false, "write the golden files anew")

const planned = `
name: planned
duration: 10s
cluster:
  limits: {cpus: 0.5}
  groups:
    - {name: small, nodes: 2, limits: {memory: 64MiB}}
    - {name: large, nodes: 1}
  cloud: {link: {latency: 20ms}}
functions:
  - {name: resize, service: 10ms}
  - {name: hello, service: 20ms, placement: {nodes: [0, 2]}, backend: {kind: image, image: "example/hello:1"}}
  - {name: far, service: 5ms, backend: {kind: url, url: "http://192.0.2.1:8080/"}}
workload: {rate: 1/s}
scheduler: {name: NoScheduler}
`

func options(t *testing.T, text string) Options {
	t.Helper()
	s := scenariotest.One(t, text)
	all := s.Cluster.Nodes()
	if s.Cluster.Cloud != nil {
		all++
	}
	subnet := netip.MustParsePrefix("10.213.7.0/24")
	places, err := BridgePlaces(subnet, all)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Name: "test", Scenario: s, Files: "/files", Content: "abc", Base: "testdata", Places: places, Subnets: []netip.Prefix{subnet},
		Tag: func(_ int, kind string) string { return "p2pfaas/" + kind + ":1" },
		Command: func(i int, functions map[string]string) []string {
			return []string{"node", "--number", fmt.Sprint(i), fmt.Sprint(functions)}
		},
		FunctionCommand: func(i int, f *scenarios.Function) []string { return []string{"function", f.Backend.Kind} }}
}

// A plan as a compose file, with everything that a container is given.
func TestComposeGolden(t *testing.T) {
	p, err := New(options(t, planned))
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Compose()
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "compose.yaml")
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o777), os.WriteFile(golden, got, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the compose file is\n%s\nwant\n%s", got, want)
	}
	var read composeFile
	d := yaml.NewDecoder(bytes.NewReader(got))
	d.KnownFields(true)
	if err := d.Decode(&read); err != nil {
		t.Error(err)
	}
	again, err := New(options(t, planned))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := again.Compose(); err != nil || !bytes.Equal(text, got) {
		t.Errorf("the second file of a scenario is another one: %v", err)
	}
}

// Nobody has an address twice, and all are in the network.
func TestAddresses(t *testing.T) {
	o := options(t, planned)
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, n := range p.Nodes {
		for _, c := range n.Containers {
			a, err := netip.ParseAddr(c.Address)
			if err != nil || !o.Subnets[0].Contains(a) {
				t.Errorf("%s has the address %q", c.Name, c.Address)
			}
			if other := seen[c.Address]; other != "" {
				t.Errorf("%s and %s have the address %s", c.Name, other, c.Address)
			}
			seen[c.Address] = c.Name
		}
	}
	if len(seen) != 11 { // the second node does not have hello
		t.Errorf("there are %d containers, want four nodes and seven functions", len(seen))
	}
	o.Subnets[0] = netip.MustParsePrefix("10.213.7.0/28")
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), "too small") {
		t.Errorf("a subnet of 16 addresses: %v", err)
	}
	if _, err := BridgePlaces(netip.MustParsePrefix("10.213.7.0/28"), 7); err == nil {
		t.Error("seven nodes from .10 on are in a subnet of 16")
	}
	for name, containers := range map[string]int{"a": 1, "quickstart": 24, "large": 600} {
		s := DefaultSubnet(name, 0, containers)
		if s != s.Masked() || 1<<(32-s.Bits()) < containers+20 || !netip.MustParsePrefix("10.213.0.0/16").Contains(s.Addr()) {
			t.Errorf("%d containers get %s", containers, s)
		}
	}
	a, err1 := PartOf(netip.MustParsePrefix("10.50.0.0/16"), 0, 3)
	b, err2 := PartOf(netip.MustParsePrefix("10.50.0.0/16"), 2, 3)
	if err1 != nil || err2 != nil || a.String() != "10.50.0.0/18" || b.String() != "10.50.128.0/18" {
		t.Errorf("parts of a subnet are %v, %v; %v, %v", a, b, err1, err2)
	}
}

// The hash of a container changes with what it is made of, and with the files that it reads.
func TestHash(t *testing.T) {
	p, err := New(options(t, planned))
	if err != nil {
		t.Fatal(err)
	}
	node, hello := &p.Nodes[0].Containers[0], &p.Nodes[0].Containers[2]
	if hello.Function != "hello" {
		t.Fatalf("the second function is %q", hello.Function)
	}
	before := []string{p.Hash(node), p.Hash(hello)}
	p.Content = "another"
	if p.Hash(node) == before[0] || p.Hash(hello) != before[1] {
		t.Error("other files: the node must change, a function of somebody else's image must not")
	}
	hello.Limits.CPUs = 2
	if p.Hash(hello) == before[1] {
		t.Error("another limit changes nothing")
	}
}

// What cannot be in containers is refused by name, all of it.
func TestPlanRefuses(t *testing.T) {
	text := strings.Replace(planned, `{kind: image, image: "example/hello:1"}`, "{kind: exec, command: [./hello, '{port}']}", 1)
	text = strings.Replace(text, `{kind: url, url: "http://192.0.2.1:8080/"}`, "{kind: image, image: ./nowhere}", 1)
	text = strings.Replace(text, "service: 10ms", "service: 10ms, cold_start: {time: 1s, keep_alive: 10s}", 1)
	_, err := New(options(t, text))
	if err == nil || !strings.Contains(err.Error(), "functions.resize.cold_start: a container stays") || !strings.Contains(err.Error(), "functions.hello.backend: the command of exec") || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("got %v", err)
	}
	o := options(t, planned)
	for _, name := range []string{"", "Upper", "a b", "-a", "a-", "a__b", "../a", strings.Repeat("a", 41)} {
		o.Name = name
		if _, err := New(o); err == nil {
			t.Errorf("the name %q is taken", name)
		}
	}
}

// A deployment is remembered, and its scenario's files have a directory of their own as long as they do not change.
func TestRemember(t *testing.T) {
	root := t.TempDir()
	d, err := NewDeployment(root, "a", TargetLocal)
	if err != nil {
		t.Fatal(err)
	}
	d.Plan = &Plan{Name: "a"}
	write := func(files map[string][]byte) (dir string) {
		t.Helper()
		if err := d.WriteFiles(files); err != nil {
			t.Fatal(err)
		}
		return d.ScenarioDir()
	}
	one := write(map[string][]byte{"scenario.yaml": []byte("x"), "data/t.csv": []byte("1")})
	st, err := os.Stat(one)
	if err != nil {
		t.Fatal(err)
	}
	again := write(map[string][]byte{"scenario.yaml": []byte("x"), "data/t.csv": []byte("1")})
	if now, err := os.Stat(again); err != nil || !os.SameFile(st, now) {
		t.Error("the same files have another directory, which containers do not see")
	}
	other := write(map[string][]byte{"scenario.yaml": []byte("y")})
	if text, err := os.ReadFile(filepath.Join(other, "scenario.yaml")); err != nil || string(text) != "y" || other == one {
		t.Errorf("other files are %s in %s, %v", text, other, err)
	}
	if _, err := os.Stat(filepath.Join(one, "data", "t.csv")); err != nil {
		t.Errorf("files that containers may have mounted are gone: %v", err)
	}
	if err := d.Tidy(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(one); err == nil {
		t.Error("files of before are still there")
	}
	if _, err := Open(root, "a"); !errors.Is(err, ErrNone) {
		t.Errorf("nothing is saved: %v", err)
	}
	if err := d.Save(); err != nil {
		t.Fatal(err)
	}
	if only, err := Open(root, ""); err != nil || only.Name != "a" || only.Dir != d.Dir {
		t.Errorf("%+v, %v", only, err)
	}
	t.Chdir(root)
	if only, err := Open(".", "a"); err != nil || only.Dir != d.Dir {
		t.Errorf("by another path its directory is %+v, %v", only, err)
	}
	b, err := NewDeployment(root, "b", TargetLocal)
	if err := errors.Join(err, os.MkdirAll(b.Dir, 0o777), b.Save()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(root, ""); err == nil || !strings.Contains(err.Error(), "name one of a, b") {
		t.Errorf("two deployments: %v", err)
	}
	if err := d.Forget(); err != nil {
		t.Fatal(err)
	}
	if names, err := Names(root); err != nil || !slices.Equal(names, []string{"b"}) {
		t.Errorf("left are %q, %v", names, err)
	}
	if _, err := Open(root, "../b"); err == nil {
		t.Error("a name leads out of the directory")
	}
}

// Only one at a time changes a deployment.
func TestLock(t *testing.T) {
	root := t.TempDir()
	release, err := Lock(root, "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(root, "a"); err == nil {
		t.Error("two have the lock")
	}
	if other, err := Lock(root, "b"); err != nil {
		t.Errorf("of another one: %v", err)
	} else {
		other()
	}
	release()
	again, err := Lock(root, "a")
	if err != nil {
		t.Fatal(err)
	}
	again()
	if _, err := Lock(root, "../a"); err == nil {
		t.Error("a name leads out of the directory")
	}
}

// Processes of another deployment, or of nobody, are not taken for one's own.
func TestRuns(t *testing.T) {
	d, err := NewDeployment(t.TempDir(), "a", TargetLocal)
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{0, 1, os.Getpid(), 1 << 30} {
		if d.Runs(Process{PID: pid}) {
			t.Errorf("process %d is taken for a node's", pid)
		}
	}
}
