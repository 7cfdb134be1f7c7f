package scenarios

import (
	"reflect"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
)

func TestHosts(t *testing.T) {
	for text, want := range map[string][]Host{
		"[{name: laptop, cores: 2, nodes: all, load: true}]": {{Name: "laptop", Cores: 2, Nodes: []core.NodeID{0, 1, 2, 3}, Load: true}},
		"[{name: a, cores: 1, nodes: [3, 0-1, 1]}, {name: b, cores: 4, functions: [g, f], nodes: [2]}]": {
			{Name: "a", Cores: 1, Nodes: []core.NodeID{0, 1, 3}},
			{Name: "b", Cores: 4, Nodes: []core.NodeID{2}, Functions: []core.TaskType{0, 1}}},
		"[{name: generator, cores: 1, load: true}, {name: server, cores: 1, functions: [g]}]": {
			{Name: "generator", Cores: 1, Load: true}, {Name: "server", Cores: 1, Functions: []core.TaskType{1}}},
	} {
		f := parse(t, plain)
		if err := f.Set("hosts", text); err != nil {
			t.Fatal(err)
		}
		if got := pointsOf(t, f)[0].Scenario.Hosts; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
		shown := parse(t, string(f.Resolved()))
		if got := pointsOf(t, shown)[0].Scenario.Hosts; !reflect.DeepEqual(got, want) || string(shown.Resolved()) != string(f.Resolved()) {
			t.Errorf("%s: shown as\n%s", text, f.Resolved())
		}
	}
	if s := pointsOf(t, parse(t, plain))[0].Scenario; s.Hosts != nil {
		t.Errorf("nobody said that there are the hosts %+v", s.Hosts)
	}
}

func TestHostsAreSetAndSwept(t *testing.T) {
	f := parse(t, plain+"hosts: [{name: laptop, cores: 2, nodes: all}]\nsweep: {hosts.laptop.cores: [1, 2], hosts.laptop.load: [false, true]}\n")
	if err := f.Set("hosts.laptop.nodes", "[0-2]"); err != nil {
		t.Fatal(err)
	}
	ps := pointsOf(t, f)
	if h := ps[3].Scenario.Hosts[0]; len(ps) != 4 || h.Cores != 2 || !h.Load || len(h.Nodes) != 3 || ps[0].Scenario.Hosts[0].Load {
		t.Errorf("point 3 of %d has %+v", len(ps), h)
	}
	// A cluster that shrinks leaves no node on the host that it has not.
	if err := f.Set("sweep.cluster.nodes", "[2, 3]"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Points(); err == nil ||
		!strings.Contains(err.Error(), "hosts.laptop.nodes.0: there is no node 2: the cluster has nodes 0 to 1, write one of them") {
		t.Errorf("two nodes only: %v", err)
	}
}
