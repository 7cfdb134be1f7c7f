package realnet

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strconv"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/core/sched"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// What a scenario says about real nodes.

// CheckScenario refuses, by name, what a scenario asks for and real nodes cannot do.
func CheckScenario(s *scenarios.Scenario) error {
	var problems []error
	refuse := func(is bool, format string, args ...any) {
		if is {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	for i := range s.Cluster.Groups {
		g := &s.Cluster.Groups[i]
		refuse(g.Service != scenarios.DedicatedSlots, "cluster.service_mode of the group %s: real nodes run each function in "+
			"a slot of its own, and the machine shares its cores among them: leave the key out, or simulate", g.Name)
	}
	for i := range s.Functions {
		f := &s.Functions[i]
		refuse(f.ColdStart != nil && f.Backend.Kind == "url", "functions.%s.cold_start: real nodes do not start what is at a URL: "+
			"leave the key out, or simulate", f.Name)
		for _, x := range []struct {
			key   string
			bytes int
		}{{"payload", f.Payload}, {"reply", f.Reply}} {
			refuse(x.bytes > MostBody, "functions.%s.%s: real nodes take no more than %s: write less, or simulate", f.Name, x.key, scenarios.FormatBytes(MostBody))
		}
		refuse(!validFunction(f.Name), "functions.%s: this name cannot stand in a URL: write letters, digits, - and _", f.Name)
	}
	l := &s.Client.Link
	refuse(l.Latency != nil && l.Latency.Mean() > 0 || l.Jitter != nil || l.Bandwidth > 0 || l.Loss > 0,
		"client.link: real clients have the link that they have: leave the key out, or simulate")
	return errors.Join(problems...)
}

// RefuseFaults refuses faults where nobody can make them; where says which nodes these are.
func RefuseFaults(s *scenarios.Scenario, where string) error {
	if len(s.Faults) == 0 {
		return nil
	}
	more := ""
	if n := len(s.Faults); n > 1 {
		more = fmt.Sprintf(", and %d more", n-1)
	}
	return fmt.Errorf("faults (%v%s): nothing here can crash or pause %s: run the scenario on nodes of this machine (p2pfaas run), or deploy it in "+
		"containers (p2pfaas deploy --target compose) and load those; or leave the faults out (--set faults=[])", &s.Faults[0], more, where)
}

// CheckProcesses refuses, by name, what a scenario asks for and nodes cannot do that start their functions themselves.
func CheckProcesses(s *scenarios.Scenario) error {
	var problems []error
	for i := range s.Functions {
		if f := &s.Functions[i]; f.Backend.Kind == "image" {
			problems = append(problems, fmt.Errorf("functions.%s.backend: an image runs in a container: p2pfaas deploy, with --target compose or hosts, "+
				"or choose another back end (--set functions.%s.backend=sleep)", f.Name, f.Name))
		}
	}
	return errors.Join(problems...)
}

// ScenarioNode returns what node number of a scenario's cluster is made of, where the addresses of the cluster are these,
// by number, the cloud's last. What is missing are its functions, its learner, its directory and its ports.
func ScenarioNode(s *scenarios.Scenario, replication int, number core.NodeID, cluster []string) (NodeOptions, error) {
	nodes := s.Cluster.Nodes()
	wanted, cloud := nodes, ""
	if s.Cluster.Cloud != nil {
		wanted, cloud = nodes+1, " and a cloud, the last"
	}
	if len(cluster) != wanted || number < 0 || int(number) >= wanted {
		return NodeOptions{}, fmt.Errorf("node %d of %d addresses: the scenario has %d nodes%s: give an address for each, and the "+
			"number of this one, from 0 to %d", number, len(cluster), nodes, cloud, wanted-1)
	}
	if err := CheckScenario(s); err != nil {
		return NodeOptions{}, err
	}
	o := NodeOptions{Identity: Identity{ID: "p2pfaas-" + cluster[number], IP: cluster[number]}, Number: number,
		Cluster: cluster, Queue: true, Types: len(s.Functions), Holders: s.Holders(), Forwarding: s.Scheduler.Forwarding,
		Network: s.Cluster.Network(), Seed: s.Seed, Replication: replication,
		Stream: *random.Stream(s.Seed, replication, random.Algorithm, int(number))}
	for i := range s.Functions {
		o.Functions = append(o.Functions, s.Functions[i].Name)
		o.MeanService = append(o.MeanService, s.Functions[i].MeanService)
	}
	o.CopyDemand = func(t *core.Task, i int) time.Duration {
		// Each node numbers its own requests: copies of different nodes' must not be alike.
		id := core.TaskID(uint64(number)<<40 ^ uint64(t.ID))
		return s.CopyDemand(replication, id, t.Type, i, t.Demand)
	}
	if wanted > nodes {
		o.Cloud = cluster[nodes]
	}
	if int(number) == nodes { // it executes what it gets
		o.Slots, o.Speed = s.Cluster.Cloud.Slots, s.Cluster.Cloud.Speed
		o.Scheduler = Descriptor{Name: "NoScheduler", Parameters: []string{"false"}}
		o.Neighbours = []core.NodeID{}
		return o, nil
	}
	g := s.Cluster.GroupOf(number)
	o.Slots, o.Room, o.Speed, o.Discipline, o.Abandon = g.Slots, g.Queue, g.Speed, g.Discipline, g.Abandon
	o.Neighbours = s.Cluster.Topology.Neighbours(number)
	o.Scheduler = DescriptorOf(s.Scheduler.Spec, s.Scheduler.Forwarding, cluster)
	if s.Learner.Asks() {
		o.Inference = s.Learner.Inference
	}
	return o, nil
}

// ScenarioPeers is how many peers node number of a scenario's cluster knows when it is ready. The cloud knows none.
func ScenarioPeers(s *scenarios.Scenario, number core.NodeID) int {
	nodes := s.Cluster.Nodes()
	switch {
	case int(number) >= nodes:
		return 0
	case s.Cluster.Topology.FullMesh():
		return nodes - 1
	}
	return len(s.Cluster.Topology.Neighbours(number))
}

// ScenarioLearner returns what the learner of a node is made of; ok is false where the scenario's algorithm asks none, or
// one that is elsewhere.
func ScenarioLearner(s *scenarios.Scenario, replication int, number core.NodeID) (o LearnerServiceOptions, ok bool) {
	l := s.Learner
	if !l.Asks() || l.External != nil || int(number) >= s.Cluster.Nodes() {
		return o, false
	}
	streams := func(replication int) rand.PCG {
		return *random.Stream(s.Seed, replication, random.Learner, int(number))
	}
	o = LearnerServiceOptions{Config: l.Config, Frozen: !l.Train, Stream: streams(replication), Streams: streams}
	if len(l.Weights) > 0 {
		o.Weights = l.Weights[min(int(number), len(l.Weights)-1)]
	}
	return o, true
}

// CheckLearner refuses a scenario whose algorithm asks a learner other than that of nodes which were started as those of another scenario: they keep
// theirs for as long as they run, whatever algorithm they are given.
func CheckLearner(s, started *scenarios.Scenario) error {
	wanted, has := s.Learner, started.Learner
	switch {
	case !wanted.Asks():
		return nil
	case !has.Asks():
		return fmt.Errorf("scheduler %s: it asks a learner, and the nodes are started without one, for %s", s.Scheduler.Label, started.Scheduler.Label)
	case !reflect.DeepEqual(wanted.Config, has.Config) || wanted.Train != has.Train || !reflect.DeepEqual(wanted.Weights, has.Weights) ||
		!reflect.DeepEqual(wanted.Inference, has.Inference) || !reflect.DeepEqual(wanted.External, has.External):
		return fmt.Errorf("scheduler %s: it asks a learner other than the one that the nodes are started with, for %s", s.Scheduler.Label,
			started.Scheduler.Label)
	}
	return nil
}

// DescriptorOf is how the wire names an algorithm with all its parameters: a parameter that is a node is its address.
func DescriptorOf(spec sched.Spec, f core.Forwarding, cluster []string) Descriptor {
	d := Descriptor{Name: spec.Name(), Parameters: spec.Positional(f.MaxHops), Named: map[string]any{}, Forwarding: &f}
	entry, err := sched.Lookup(spec.Name())
	if err != nil {
		panic(fmt.Sprintf("realnet: a scenario's algorithm is not registered: %v", err))
	}
	nodes := map[string]bool{}
	for _, p := range entry.Parameters() {
		nodes[p.Name] = p.Type == sched.Node
	}
	for _, p := range spec.Params() {
		d.Named[p.Name] = p.Value
		if n, ok := p.Value.(int); ok && nodes[p.Name] && n < len(cluster) {
			d.Named[p.Name] = cluster[n]
		}
	}
	for i, name := range entry.Positional {
		if n, err := strconv.Atoi(d.Parameters[i]); err == nil && nodes[name] && n < len(cluster) {
			d.Parameters[i] = cluster[n]
		}
	}
	return d
}
