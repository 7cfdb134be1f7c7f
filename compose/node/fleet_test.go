package node

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/deploy"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

const fleet = `
name: fleet
duration: 10s
cluster: {nodes: 3, slots: 2, queue: 5}
functions: [{name: work, service: 20ms}]
workload: {rate: 1/s}
scheduler: {name: JSQ, d: 1, max_hops: 1}
`

// manifest is what this test takes of a DaemonSet.
type manifest struct {
	Spec struct {
		Template struct {
			Spec struct {
				Functions []container `yaml:"initContainers"`
				Nodes     []container `yaml:"containers"`
			} `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

type container struct {
	Image string   `yaml:"image"`
	Args  []string `yaml:"args"`
}

// Nodes with the settings that the manifests for Kubernetes give them, in pods that containers stand for, find each other by the name of
// the discovery service, execute, and meet a machine that comes later.
func TestFleet(t *testing.T) {
	repository, run := load(t)
	s := scenariotest.One(t, fleet)
	network := netip.MustParsePrefix("172.27.91.0/24")
	places, err := deploy.BridgePlaces(network, 3)
	if err != nil {
		t.Fatal(err)
	}
	p, err := deploy.New(deploy.Options{Name: "fleet", Scenario: s, Places: places, Subnets: []netip.Prefix{network},
		Tag:     func(int, string) string { return "" },
		Command: func(int, map[string]string) []string { return nil },
		FunctionCommand: func(int, *scenarios.Function) []string {
			return []string{"function", "sleep", "--bind", "0.0.0.0", "--service", "20ms"}
		}})
	if err != nil {
		t.Fatal(err)
	}
	all, err := p.Kubernetes(deploy.Fleet{Scenario: s, Files: map[string][]byte{"scenario.yaml": []byte(fleet)},
		Image: func(kind string) string { return repository + "/" + kind + ":" + run }, Token: fleetToken})
	if err != nil {
		t.Fatal(err)
	}
	var set manifest
	if err := yaml.Unmarshal(all["30-nodes.yaml"], &set); err != nil {
		t.Fatal(err)
	}
	function, node := set.Spec.Template.Spec.Functions[0], set.Spec.Template.Spec.Nodes[0]

	name := repository + "-" + run
	command(t, nil, "docker", "network", "create", "--subnet", network.String(), name)
	t.Cleanup(func() { command(t, nil, "docker", "network", "rm", name) })
	secrets := t.TempDir()
	if err := errors.Join(os.Chmod(secrets, 0o755), os.WriteFile(filepath.Join(secrets, "token"), []byte(fleetToken), 0o444)); err != nil {
		t.Fatal(err)
	}
	start := func(ip string) {
		hard := []string{"docker", "run", "-d", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"}
		// As in a pod, functions are there first, and share their network with the node.
		first := command(t, nil, slices.Concat(hard, []string{"--network", name, "--ip", ip, "--network-alias", "discovery.p2pfaas-fleet.svc", function.Image},
			function.Args)...)
		t.Cleanup(func() { command(t, nil, "docker", "rm", "-f", "-v", first) })
		second := command(t, nil, slices.Concat(hard, []string{"--network", "container:" + first, "-v", "/data", "-v", secrets + ":/secrets:ro", "-e", "P2PFAAS_NODE_BIND=" + ip, node.Image},
			node.Args)...)
		t.Cleanup(func() { command(t, nil, "docker", "rm", "-f", "-v", second) })
	}
	var at []string
	for i, x := range append(places, realnet.Place{IP: "172.27.91.99"}) {
		start(x.IP)
		if at = append(at, x.IP); i < 2 {
			continue // what comes then is three machines, and one more
		}
		for _, ip := range at {
			get(t, "GET", "http://"+ip+":19000/list", func(said string) bool { return strings.Count(said, "alive") == len(at)-1 })
			get(t, "POST", "http://"+ip+":18080/function/work", func(said string) bool { return strings.HasPrefix(said, "200 ") })
			get(t, "GET", "http://"+ip+":18080/configuration/scheduler", func(said string) bool { return strings.Contains(said, `"named":{"d":1,`) })
		}
	}
}

// fleetToken is what the machines of the fleet know each other by.
const fleetToken = "0123456789abcdef0123456789abcdef"

// get asks until status and answer, or why there is none, are as wanted: a machine that has just come is not ready yet.
func get(t *testing.T, method, url string, good func(said string) bool) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		r, err := http.NewRequest(method, url, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+fleetToken)
		status, text, _, err := answer(r)
		said := fmt.Sprint(status, " ", text)
		if err != nil {
			said = err.Error()
		}
		if good(said) {
			return
		}
		if time.Since(began) > patience {
			t.Fatalf("%s says %s", url, said)
		}
	}
}
