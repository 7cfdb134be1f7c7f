package deploy

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/core/sched"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/image"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// A fleet is machines that something else manages: a Kubernetes cluster, balena. They all get the same, so that a machine does not know
// which node of the scenario it is, nor who the others are: its node has plain settings, and finds the others by discovery.

// Fleet is what manifests of a fleet need besides the plan.
type Fleet struct {
	Scenario *scenarios.Scenario // of the plan
	Files    map[string][]byte   // the plan's, by their paths (scenarios.File.Bundle)
	// Image is where machines pull this program's image of a kind from: a reference with a registry that they reach.
	Image func(kind string) string
	// InitServers are where nodes of balena find the first others; empty: the fleet's variable P2PFAAS_NODE_INIT_SERVERS says. Nodes of
	// Kubernetes ask its names.
	InitServers []string
	Token       string // that the nodes share
}

// Ports of functions, which share the machine's network with their node.
const (
	imagePort    = 8080  // of an image of somebody else, which knows no other
	functionPort = 19100 // the first of the others
)

// fleetFunction is a function of each machine.
type fleetFunction struct {
	*Container
	kind    string
	command []string
	port    int
}

// fleet returns the functions of each machine and the arguments of its node. What machines that are all alike cannot do is refused, all at
// once.
func (p *Plan) fleet(f Fleet) (functions []fleetFunction, node []string, err error) {
	var problems []error
	refuseBut := func(is bool, what, why, but string) {
		if is {
			problems = append(problems, fmt.Errorf("%s: %s: %s, or deploy to machines that you name (p2pfaas deploy --hosts)", what, why, but))
		}
	}
	refuse := func(is bool, what, why string) { refuseBut(is, what, why, "leave it out (--set)") }
	s := f.Scenario
	c := &s.Cluster
	refuse(!c.Topology.FullMesh(), "cluster.topology", "the machines of a fleet are a full mesh, since none knows which node it is")
	refuse(len(c.Groups) > 1, "cluster.groups", "the machines of a fleet are all alike")
	refuse(c.Cloud != nil, "cluster.cloud", "no machine of a fleet is another than the rest")
	mesh := scenarios.Cluster{Links: c.Links}
	latency, constant := mesh.Network().Constant()
	refuse(!constant || latency > 0, "cluster.links", "a machine of a fleet does not know which links are its own, and emulates none")
	g := &c.Groups[0]
	refuse(g.Speed != 1, "cluster.speed", "the nodes of a fleet are as fast as their machines")
	refuse(g.Discipline != core.FIFO, "cluster.discipline", "the nodes of a fleet serve in the order of arrival")
	refuse(g.Abandon, "cluster.abandon", "tasks that wait at nodes of a fleet do not leave")
	refuse(s.Learner.Asks(), "learner", "the learners of a fleet have their own defaults, and not the scenario's parameters")
	entry, err := sched.Lookup(s.Scheduler.Spec.Name())
	problems = append(problems, err)
	mean := time.Duration(0)
	for i := range s.Functions {
		x := &s.Functions[i]
		mean += random.Seconds(x.Share * x.Service.Mean())
		obeys := x.Backend.Kind == "sleep" || x.Backend.Kind == "loop" // takes as long as its node says
		refuseBut(entry.Replicates && obeys && x.Replicas == scenarios.ReplicasIID && x.Service.Var() > 0, "functions."+x.Name+".replicas: iid",
			"a node of a fleet does not know what to draw, and sends copies that take as long as each other",
			fmt.Sprintf("write same (--set functions.%s.replicas=same)", x.Name))
	}
	for _, x := range s.Scheduler.Spec.Params() {
		refuseBut(x.Name == "service" && x.Value == time.Duration(0).String(), "scheduler.service: 0s",
			"a node of a fleet does not know how long functions take", fmt.Sprintf("write the mean of all (--set scheduler.service=%v)", mean))
		for _, parameter := range entry.Parameters() {
			refuse(parameter.Name == x.Name && parameter.Type == sched.Node, "scheduler."+x.Name, "it is a node, and no machine of a fleet has a number")
		}
	}
	own := map[string]bool{}
	for _, x := range p.Nodes[0].Containers {
		own[x.Function] = true
	}
	for i := range p.Nodes[1:] {
		var differ []string
		there := map[string]bool{}
		for _, x := range p.Nodes[1+i].Containers {
			there[x.Function] = true
		}
		for k := range s.Functions {
			if name := s.Functions[k].Name; own[name] != there[name] {
				differ = append(differ, name)
			}
		}
		if differ != nil && c.Cloud == nil {
			refuse(true, fmt.Sprintf("the places of %q", differ), "every machine of a fleet has every function")
			break
		}
	}
	problems = append(problems, checkFleetImages(s))
	if err := errors.Join(problems...); err != nil {
		return nil, nil, err
	}
	var cluster []string
	for _, n := range p.Nodes {
		cluster = append(cluster, n.Place.Address())
	}
	o, err := realnet.ScenarioNode(s, 0, 0, cluster)
	if err != nil {
		return nil, nil, err
	}
	node = []string{"node", "--data", "/data", "--scheduler", o.Scheduler.String(), "--slots", strconv.Itoa(o.Slots),
		"--queue", strconv.Itoa(o.Room), "--task-types", strconv.Itoa(max(1, o.Types)), "--seed", strconv.FormatUint(s.Seed, 10)}
	port := functionPort
	for i := range s.Functions {
		x := &s.Functions[i]
		if x.Backend.Kind == "url" {
			node = append(node, "--function", x.Name+"="+x.Backend.URL)
			continue
		}
		at := slices.IndexFunc(p.Nodes[0].Containers, func(c Container) bool { return c.Function == x.Name })
		if at < 0 {
			return nil, nil, fmt.Errorf("the plan has no container of the function %s: it is of another scenario", x.Name)
		}
		function := fleetFunction{Container: &p.Nodes[0].Containers[at], kind: x.Backend.Kind, port: imagePort}
		if function.Own {
			function.port = port
			function.command = onLoopback(function.Command, port)
			port++
		}
		functions = append(functions, function)
		node = append(node, "--function", fmt.Sprintf("%s=http://127.0.0.1:%d/", x.Name, function.port))
	}
	escape(node)
	return functions, node, nil
}

// escape keeps Kubernetes and compose from reading a dollar as the name of a variable; both write it twice.
func escape(words []string) {
	for i := range words {
		words[i] = strings.ReplaceAll(words[i], "$", "$$")
	}
}

// onLoopback is the command of a sample function at a port that only its machine reaches.
func onLoopback(command []string, port int) []string {
	words := slices.Clone(command)
	if i := slices.Index(words, "--bind"); i >= 0 && i+1 < len(words) {
		words[i+1] = "127.0.0.1"
	}
	words = append(words, "--port", strconv.Itoa(port))
	escape(words)
	return words
}

// checkFleetImages refuses images that would want the same port.
func checkFleetImages(s *scenarios.Scenario) error {
	var images []string
	for i := range s.Functions {
		if s.Functions[i].Backend.Kind == "image" {
			images = append(images, s.Functions[i].Name)
		}
	}
	if len(images) < 2 {
		return nil
	}
	return fmt.Errorf("the functions %q are images of others, which all serve on port %d, and functions of a fleet share their machine's network: "+
		"leave one, or deploy to machines that you name (p2pfaas deploy --hosts)", images, imagePort)
}

// image of a function: this program's, or the one that its plan names.
func (x *fleetFunction) image(f Fleet) string {
	if x.Own {
		return f.Image(x.kind)
	}
	return x.Image
}

// nodePorts are those of a node: the standard ones.
var nodePorts = []struct {
	name, protocol string
	port           int
}{
	{"scheduler", "TCP", realnet.SchedulerPort},
	{"discovery", "TCP", realnet.DiscoveryPort},
	{"membership", "UDP", realnet.DiscoveryPort},
	{"learner", "TCP", realnet.LearnerPort},
	{"websocket", "TCP", realnet.WebsocketPort},
}

// uid is the user of this program's images.
const uid = image.UID

// manifest writes documents in YAML behind a comment.
func manifest(comment string, documents ...any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(comment)
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	for _, d := range documents {
		if err := e.Encode(d); err != nil {
			return nil, err
		}
	}
	err := e.Close() // writes what it still has
	return b.Bytes(), err
}
