package deploy

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"

	"gopkg.in/yaml.v3"
)

// The compose file of a plan. It has what compose 1.27 and later and docker compose read alike: no version, and no name, which is given
// on the command line.

type composeFile struct {
	Services map[string]composeService `yaml:"services"`
	Networks map[string]composeNetwork `yaml:"networks"`
}

type composeService struct {
	Image         string                    `yaml:"image"`
	ContainerName string                    `yaml:"container_name"`
	Command       []string                  `yaml:"command,omitempty,flow"`
	Networks      map[string]composeAddress `yaml:"networks"`
	Volumes       []string                  `yaml:"volumes,omitempty"`
	CPUs          float64                   `yaml:"cpus,omitempty"`
	MemLimit      string                    `yaml:"mem_limit,omitempty"`
	PidsLimit     int                       `yaml:"pids_limit"`
	Restart       string                    `yaml:"restart"`
	StopGrace     string                    `yaml:"stop_grace_period"`
	ReadOnly      bool                      `yaml:"read_only,omitempty"`
	Tmpfs         []string                  `yaml:"tmpfs,omitempty,flow"`
	CapDrop       []string                  `yaml:"cap_drop,flow"`
	SecurityOpt   []string                  `yaml:"security_opt,flow"`
	Healthcheck   *composeHealth            `yaml:"healthcheck,omitempty"`
	Logging       composeLogging            `yaml:"logging"`
	Labels        map[string]string         `yaml:"labels"`
}

type composeAddress struct {
	Address string `yaml:"ipv4_address"`
}

type composeHealth struct {
	Test     []string `yaml:"test,flow"`
	Interval string   `yaml:"interval"`
	Timeout  string   `yaml:"timeout"`
	Retries  int      `yaml:"retries"`
}

type composeLogging struct {
	Driver  string            `yaml:"driver"`
	Options map[string]string `yaml:"options,flow"`
}

type composeNetwork struct {
	Name   string            `yaml:"name"`
	Labels map[string]string `yaml:"labels"`
	IPAM   struct {
		Config []map[string]string `yaml:"config,flow"`
	} `yaml:"ipam"`
}

// Bounds of every container.
const (
	pidsLimit = 1024
	logSize   = "10m"
	logFiles  = "3"
	stopGrace = 35 // seconds: the 30 that a node gives running functions, and a little
)

// Compose writes the plan as a compose file. It belongs into the directory that Plan.Files is in.
func (p *Plan) Compose() ([]byte, error) {
	f := composeFile{Services: map[string]composeService{}, Networks: map[string]composeNetwork{}}
	const cluster = "cluster"
	if len(p.Networks) != 1 {
		return nil, fmt.Errorf("a compose file is of one machine, and the plan has %d networks", len(p.Networks))
	}
	n := composeNetwork{Name: p.Networks[0].Name, Labels: map[string]string{LabelDeployment: p.Name}}
	n.IPAM.Config = []map[string]string{{"subnet": p.Networks[0].Subnet}}
	f.Networks[cluster] = n
	for i := range p.Nodes {
		for k := range p.Nodes[i].Containers {
			c := &p.Nodes[i].Containers[k]
			s := composeService{Image: c.Image, ContainerName: c.Name, Command: c.Command,
				Networks: map[string]composeAddress{cluster: {c.Address}}, CPUs: c.Limits.CPUs, PidsLimit: pidsLimit, Restart: "unless-stopped",
				StopGrace: fmt.Sprintf("%ds", stopGrace), CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges:true"},
				Logging: composeLogging{"json-file", map[string]string{"max-size": logSize, "max-file": logFiles}}, Labels: p.Labels(c)}
			if c.Limits.MemoryBytes > 0 {
				s.MemLimit = strconv.FormatInt(c.Limits.MemoryBytes, 10) + "b"
			}
			if c.Own { // an image of somebody else may need to write, and has a check of its own or none
				s.ReadOnly, s.Tmpfs = true, []string{"/tmp"}
				s.Healthcheck = &composeHealth{[]string{"CMD", "/p2pfaas", "health", c.Health}, "60s", "5s", 3}
			}
			if c.Files {
				s.Volumes = []string{"./" + filepath.Base(p.Files) + ":" + FilesDir + ":ro"}
			}
			if c.Role == RoleNode && p.TokenFile != "" {
				s.Volumes = append(s.Volumes, "./"+secretsName+"/"+tokenName+":"+p.TokenFile+":ro")
			}
			f.Services[serviceName(c)] = s
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Written by p2pfaas deploy, which writes it anew. To use it by hand: docker compose -p %s up -d\n", p.project())
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(f); err != nil {
		return nil, err
	}
	err := e.Close() // writes what it still has
	return b.Bytes(), err
}

// project is the name of the plan's compose project.
func (p *Plan) project() string { return "p2pfaas-" + p.Name }

// serviceName is that of a container within its deployment.
func serviceName(c *Container) string {
	name := "node-" + strconv.Itoa(c.Node)
	if c.Role == RoleFunction {
		name += "-" + c.Function
	}
	return name
}
