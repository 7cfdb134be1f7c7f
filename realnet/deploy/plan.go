package deploy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/image"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// Plan is what a deployment consists of. It is data: a target makes it true.
type Plan struct {
	Name     string          `json:"name"`
	Networks []Network       `json:"networks,omitempty"` // that the deployment makes for itself
	Nodes    []Node          `json:"nodes"`              // by number, the cloud last
	Images   []FunctionImage `json:"images,omitempty"`   // that are not this program's
	// Files is a directory that nodes and functions read at FilesDir: the scenario, and what it names. Content identifies what is in it.
	Files   string `json:"files"`
	Content string `json:"content"`
	// TokenFile is where nodes find the token that they share, and Token identifies it: it is not the token.
	TokenFile string `json:"token_file,omitempty"`
	Token     string `json:"token,omitempty"`
}

// FilesDir is where containers find the plan's files.
const FilesDir = "/scenario"

// Network is a bridge of a machine, where functions (and with the compose target nodes) have fixed addresses.
type Network struct {
	Name   string `json:"name"`
	Host   int    `json:"host"`   // index of the machine
	Subnet string `json:"subnet"` // as 10.213.7.0/24
}

// Node is a node with its functions.
type Node struct {
	Number     int               `json:"number"`
	Host       int               `json:"host"` // index of the machine
	Place      realnet.Place     `json:"place"`
	Peers      int               `json:"peers"`          // that it must know to be ready
	Functions  []string          `json:"functions"`      // that it has, in containers, in its own processes or elsewhere
	URLs       map[string]string `json:"urls,omitempty"` // of those that are elsewhere
	Containers []Container       `json:"containers"`     // the node's own first
}

// Role is what a container is for.
type Role string

// The roles.
const (
	RoleNode     Role = "node"
	RoleFunction Role = "function"
)

// Container is one, whatever engine runs it.
type Container struct {
	Name     string   `json:"name"`
	Role     Role     `json:"role"`
	Node     int      `json:"node"`               // its number
	Function string   `json:"function,omitempty"` // of a RoleFunction
	Image    string   `json:"image"`              // tag
	Own      bool     `json:"own,omitempty"`      // the image is this program
	Command  []string `json:"command,omitempty"`
	Files    bool     `json:"files,omitempty"`   // it reads the plan's files
	Network  string   `json:"network,omitempty"` // name; empty: it shares the machine's
	Address  string   `json:"address,omitempty"` // in that network
	Health   string   `json:"health,omitempty"`  // URL that it answers when it is ready, with whatever status, as the machine calls it
	Limits   Limits   `json:"limits"`
}

// Limits are what a container may use.
type Limits struct {
	CPUs        float64 `json:"cpus,omitempty"`         // cores; 0: all
	MemoryBytes int64   `json:"memory_bytes,omitempty"` // 0: all
}

// Labels that containers, networks and images of a deployment carry.
const (
	LabelDeployment = "p2pfaas.deployment"
	LabelNode       = "p2pfaas.node"
	LabelRole       = "p2pfaas.role"
	LabelFunction   = "p2pfaas.function"
	LabelPlan       = "p2pfaas.plan" // Plan.Hash
	LabelHost       = "p2pfaas.host" // name of the machine, where it is one of a hosts file; its labels are below it
)

// Hash identifies what a container is made of, the files and the token that it reads included: where it is equal, nothing need be changed.
func (p *Plan) Hash(c *Container) string {
	content := ""
	if c.Files {
		content = p.Content
	}
	if c.Role == RoleNode {
		content += p.Token
	}
	text, err := json.Marshal(struct {
		*Container
		Content string
	}{c, content})
	if err != nil {
		panic(err) // it is made of strings and numbers
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// Labels of a container.
func (p *Plan) Labels(c *Container) map[string]string {
	l := map[string]string{LabelDeployment: p.Name, LabelNode: strconv.Itoa(c.Node), LabelRole: string(c.Role), LabelPlan: p.Hash(c)}
	if c.Function != "" {
		l[LabelFunction] = c.Function
	}
	return l
}

// FunctionImage is an image that is not this program's, and where it comes from: the engine has Tag, or can pull it, unless one of the others
// is given.
type FunctionImage struct {
	Tag string `json:"tag"`
	Tar string `json:"tar,omitempty"` // file that docker save wrote
	// Loads is the tag in that file; the image gets Tag, which names what is in the file, beside it.
	Loads string `json:"loads,omitempty"`
	Dir   string `json:"dir,omitempty"` // directory with a Dockerfile
}

// Patience bounds how long a container may take until it is ready.
const Patience = 30 * time.Second

// Options are what a plan is made of.
type Options struct {
	Name     string
	Scenario *scenarios.Scenario
	Files    string // see Plan
	Content  string // see Plan
	Token    string // that nodes share; empty: they have none
	// TokenFile is where they find it.
	TokenFile string
	// Base is the directory that paths of function images are relative to: the scenario's.
	Base string
	// Places of the nodes, the cloud last, and the machines that they are on, by index; Hosts nil: all on one.
	Places []realnet.Place
	Hosts  []int
	// Subnets are the networks of functions, one for each machine.
	Subnets []netip.Prefix
	// Shared says that nodes share their machine's network; otherwise they are in its subnet, at their places.
	Shared bool
	// Tag is that of this program's image of a kind on a machine.
	Tag func(host int, kind string) string
	// Command is that of a node, where its functions are at these URLs.
	Command func(node int, functions map[string]string) []string
	// FunctionCommand is that of a sample function.
	FunctionCommand func(node int, f *scenarios.Function) []string
}

// New makes a plan.
func New(o Options) (*Plan, error) {
	if err := checkName(o.Name); err != nil {
		return nil, err
	}
	s := o.Scenario
	nodes := s.Cluster.Nodes()
	p := &Plan{Name: o.Name, Files: o.Files, Content: o.Content}
	if o.Token != "" {
		p.TokenFile, p.Token = o.TokenFile, identify(o.Token)
	}
	for h, subnet := range o.Subnets {
		p.Networks = append(p.Networks, Network{networkName(o.Name, h, len(o.Subnets)), h, subnet.String()})
	}
	images, err := functionImages(o)
	if err != nil {
		return nil, err
	}
	given := make([]netip.Addr, len(o.Subnets)) // the last address that somebody got
	for h, subnet := range o.Subnets {
		given[h] = nth(subnet, firstAddress-1)
		if !o.Shared {
			given[h] = nth(subnet, firstAddress-1+len(o.Places))
		}
	}
	next := func(h int) (string, error) {
		if given[h] = given[h].Next(); !o.Subnets[h].Contains(given[h]) || !o.Subnets[h].Contains(given[h].Next()) {
			return "", fmt.Errorf("the subnet %s is too small for the containers of its machine: give a larger one", o.Subnets[h])
		}
		return given[h].String(), nil
	}
	for i, place := range o.Places {
		n := Node{Number: i, Place: place, Peers: realnet.ScenarioPeers(s, core.NodeID(i))}
		if o.Hosts != nil {
			n.Host = o.Hosts[i]
		}
		limits := Limits{}
		if i < nodes {
			limits = Limits(s.Cluster.GroupOf(core.NodeID(i)).Limits)
		}
		own := Container{Name: fmt.Sprintf("%s-node-%d", o.Name, i), Role: RoleNode, Node: i, Image: o.Tag(n.Host, image.Node), Own: true, Files: true,
			Health: "http://" + place.Dial() + "/monitoring/node", Limits: limits}
		if !o.Shared {
			own.Network, own.Address = p.Networks[n.Host].Name, place.IP
		}
		n.Containers = []Container{own}
		urls := map[string]string{}
		for k := range s.Functions {
			f := &s.Functions[k]
			if !f.On(core.NodeID(i), &s.Cluster) {
				continue
			}
			n.has(f)
			c := Container{Name: own.Name + "-" + f.Name, Role: RoleFunction, Node: i, Function: f.Name, Network: p.Networks[n.Host].Name,
				Limits: limits}
			switch kind := f.Backend.Kind; kind {
			case "url":
				continue
			case "image":
				c.Image = images[f.Name].Tag
			default:
				c.Image, c.Own, c.Files = o.Tag(n.Host, kind), true, kind != image.FaceDetect
				c.Command = o.FunctionCommand(i, f)
			}
			if c.Address, err = next(n.Host); err != nil {
				return nil, err
			}
			urls[f.Name] = "http://" + c.Address + ":8080/"
			c.Health = urls[f.Name] + "healthz"
			n.Containers = append(n.Containers, c)
		}
		n.Containers[0].Command = o.Command(i, urls)
		if p.TokenFile != "" {
			n.Containers[0].Command = append(n.Containers[0].Command, "--token-file", p.TokenFile)
		}
		p.Nodes = append(p.Nodes, n)
	}
	for _, f := range s.Functions {
		if i, ok := images[f.Name]; ok {
			p.Images = append(p.Images, i)
		}
	}
	return p, nil
}

// has notes a function of the node.
func (n *Node) has(f *scenarios.Function) {
	n.Functions = append(n.Functions, f.Name)
	if f.Backend.Kind == "url" {
		if n.URLs == nil {
			n.URLs = map[string]string{}
		}
		n.URLs[f.Name] = f.Backend.URL
	}
}

// firstAddress is the first of a subnet that containers get; the ones before are the network's, its gateway's, and a few to spare.
const firstAddress = 10

// BridgePlaces are places with the standard ports for n nodes in a subnet, and the rest of the subnet's addresses for functions behind them.
func BridgePlaces(subnet netip.Prefix, n int) (places []realnet.Place, err error) {
	for i := range n {
		at := nth(subnet, firstAddress+i)
		if !subnet.Contains(at) {
			return nil, fmt.Errorf("the subnet %s is too small for %d nodes: give a larger one", subnet, n)
		}
		places = append(places, realnet.Place{IP: at.String(), Scheduler: realnet.SchedulerPort, Discovery: realnet.DiscoveryPort,
			Learner: realnet.LearnerPort, Websocket: realnet.WebsocketPort})
	}
	return places, nil
}

// nth is an address of a subnet, by number.
func nth(subnet netip.Prefix, n int) netip.Addr {
	a := subnet.Masked().Addr().As4()
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])+uint32(n))
	return netip.AddrFrom4(a)
}

// PartOf is part i of n equal ones of a subnet.
func PartOf(subnet netip.Prefix, i, n int) (netip.Prefix, error) {
	bits := subnet.Bits()
	for 1<<(bits-subnet.Bits()) < n {
		bits++
	}
	if bits > 28 {
		return netip.Prefix{}, fmt.Errorf("the subnet %s is too small for %d machines: give a larger one", subnet, n)
	}
	return netip.PrefixFrom(nth(subnet, i<<(32-bits)), bits), nil
}

// Processes is the plan of a deployment without containers, whose nodes run the functions themselves.
func Processes(name string, s *scenarios.Scenario, places []realnet.Place, content string) *Plan {
	p := &Plan{Name: name, Content: content}
	for i, place := range places {
		n := Node{Number: i, Place: place, Peers: realnet.ScenarioPeers(s, core.NodeID(i))}
		for k := range s.Functions {
			if f := &s.Functions[k]; f.On(core.NodeID(i), &s.Cluster) {
				n.has(f)
			}
		}
		p.Nodes = append(p.Nodes, n)
	}
	return p
}

// DefaultSubnet is a subnet of 10.213.0.0/16 for so many containers of machine host: one that a deployment of another name rarely has.
func DefaultSubnet(name string, host, containers int) netip.Prefix {
	bits := 24
	for 1<<(32-bits) < containers+2*firstAddress && bits > 16 {
		bits--
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	index := (int(h.Sum32()) + host) & (1<<(bits-16) - 1)
	return netip.PrefixFrom(nth(netip.MustParsePrefix("10.213.0.0/16"), index<<(32-bits)), bits)
}

func networkName(deployment string, host, hosts int) string {
	if hosts == 1 {
		return "p2pfaas-" + deployment
	}
	return fmt.Sprintf("p2pfaas-%s.%d", deployment, host)
}

// checkName refuses what cannot be part of the names of containers and directories.
func checkName(name string) error {
	ok := name != "" && len(name) <= 40
	inside := false // a word
	for _, c := range []byte(name) {
		separates := c == '-' || c == '_'
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || inside && separates)
		inside = !separates
	}
	if !ok || !inside {
		return fmt.Errorf("the name %q of the deployment: write words of small letters and digits with - or _ between them, at most 40 signs (--name)", name)
	}
	return nil
}

// functionImages are the images of functions that are not this program's, by function.
func functionImages(o Options) (map[string]FunctionImage, error) {
	images := map[string]FunctionImage{}
	var problems []error
	for _, f := range o.Scenario.Functions {
		if f.ColdStart != nil {
			problems = append(problems, fmt.Errorf("functions.%s.cold_start: a container stays when it is not used: leave the key out, or deploy "+
				"processes (--target local)", f.Name))
		}
		switch b := f.Backend; b.Kind {
		case "exec":
			problems = append(problems, fmt.Errorf("functions.%s.backend: the command of exec is a program of this machine, and containers do not "+
				"have it: put it into an image (backend: {kind: image, image: NAME:TAG}; p2pfaas function watchdog makes a function of a program)", f.Name))
		case "image":
			i, err := ImageOf(o.Name, f.Name, b.Image, o.Base)
			problems = append(problems, err)
			images[f.Name] = i
		}
	}
	return images, errors.Join(problems...)
}

// functionName is what may be part of the names of containers and images.
var functionName = regexp.MustCompile(`^[A-Za-z0-9]+([_-][A-Za-z0-9]+)*$`)

// ImageOf says where the image of a function comes from: a path that begins with . or / is that of a tar or of a directory with a Dockerfile,
// anything else a tag.
func ImageOf(deployment, function, text, base string) (FunctionImage, error) {
	if !functionName.MatchString(function) {
		return FunctionImage{}, fmt.Errorf("the name %q of the function: write letters and digits, with - or _ between them", function)
	}
	if !strings.HasPrefix(text, ".") && !filepath.IsAbs(text) {
		return FunctionImage{Tag: text}, nil
	}
	path := text
	if !filepath.IsAbs(path) {
		path = filepath.Join(base, path)
	}
	path, err := filepath.EvalSymlinks(path) // of a link to a directory nothing else would be read
	if err != nil {
		return FunctionImage{}, fmt.Errorf("functions.%s.backend.image: %w", function, err)
	}
	content, dir, err := contentOf(path)
	if err != nil {
		return FunctionImage{}, fmt.Errorf("functions.%s.backend.image: %w", function, err)
	}
	i := FunctionImage{Tag: fmt.Sprintf("p2pfaas-%s/%s:%s", deployment, strings.ToLower(function), content), Dir: path}
	if !dir {
		tag, err := tagOf(path)
		if err != nil {
			return FunctionImage{}, fmt.Errorf("functions.%s.backend.image: %w", function, err)
		}
		i.Dir, i.Tar, i.Loads = "", path, tag
	}
	return i, nil
}
