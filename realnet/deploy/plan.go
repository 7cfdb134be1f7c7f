package deploy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"strconv"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet"
)

// Plan is what a deployment consists of. It is data: a target makes it true.
type Plan struct {
	Name     string                    `json:"name"`
	Networks []Network                 `json:"networks,omitempty"` // that the deployment makes for itself
	Nodes    []Node                    `json:"nodes"`              // by number, the cloud last
	Files    fs.FS                     `json:"-"`                  // what the nodes read, the scenario and what it names; they find it at FilesDir
	Images   map[string]FunctionSource `json:"-"`                  // where images come from that are not this program, by tag
}

// FilesDir is where the nodes find the plan's files.
const FilesDir = "/scenario"

// Network is a bridge of a machine, where functions (and with the compose target nodes) have fixed addresses.
type Network struct {
	Name   string `json:"name"`
	Host   int    `json:"host"`   // index of the machine
	Subnet string `json:"subnet"` // as 172.31.77.0/24
}

// Node is a node with its functions.
type Node struct {
	Number     int           `json:"number"`
	Host       int           `json:"host"` // index of the machine
	Place      realnet.Place `json:"place"`
	Containers []Container   `json:"containers"` // the node's own first
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
	Name     string            `json:"name"`
	Role     Role              `json:"role"`
	Node     int               `json:"node"`               // its number
	Function string            `json:"function,omitempty"` // of a RoleFunction
	Image    string            `json:"image"`              // tag
	Command  []string          `json:"command,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	Files    bool              `json:"files,omitempty"`   // it reads the plan's files
	Network  string            `json:"network,omitempty"` // name; empty: it shares the machine's
	Address  string            `json:"address,omitempty"` // in that network
	Health   string            `json:"health,omitempty"`  // URL that it answers when it is ready, with whatever status, as the machine calls it
	Limits   Limits            `json:"limits"`
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
	LabelPlan       = "p2pfaas.plan" // Container.Hash
)

// Hash identifies what a container is made of, the files that it reads included: where it is equal, nothing need be changed.
func (c *Container) Hash(files string) string {
	if !c.Files {
		files = ""
	}
	text, err := json.Marshal(struct {
		*Container
		Content string
	}{c, files})
	if err != nil {
		panic(err) // it is made of strings and numbers
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// Labels of a container.
func (p *Plan) Labels(c *Container, files string) map[string]string {
	l := map[string]string{LabelDeployment: p.Name, LabelNode: strconv.Itoa(c.Node), LabelRole: string(c.Role), LabelPlan: c.Hash(files)}
	if c.Function != "" {
		l[LabelFunction] = c.Function
	}
	return l
}

// FunctionSource is where the image of a function comes from: one of the three.
type FunctionSource struct {
	Tag string // the engine has it, or can pull it
	Tar string // file that `docker save` wrote
	Dir string // directory with a Dockerfile
}

// Patience bounds how long a container may take until it is ready.
const Patience = 30 * time.Second
