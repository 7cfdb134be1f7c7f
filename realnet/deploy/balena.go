package deploy

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/image"
)

// The files of a plan for a fleet of balena, whose devices all run one compose file, in the version 2.1 that its engine takes: without
// bind mounts, so that functions with files are built.

type balenaFile struct {
	Version  string                   `yaml:"version"`
	Services map[string]balenaService `yaml:"services"`
	Volumes  map[string]struct{}      `yaml:"volumes"`
}

type balenaService struct {
	Image       string            `yaml:"image,omitempty"`
	Build       string            `yaml:"build,omitempty"`
	Command     []string          `yaml:"command,omitempty,flow"`
	Environment map[string]string `yaml:"environment,omitempty"`
	NetworkMode string            `yaml:"network_mode"`
	Volumes     []string          `yaml:"volumes,omitempty"`
	CPUQuota    int               `yaml:"cpu_quota,omitempty"` // microseconds of 100,000
	MemLimit    string            `yaml:"mem_limit,omitempty"`
	Restart     string            `yaml:"restart"`
	StopGrace   string            `yaml:"stop_grace_period"`
	ReadOnly    bool              `yaml:"read_only,omitempty"`
	Tmpfs       []string          `yaml:"tmpfs,omitempty,flow"`
	CapDrop     []string          `yaml:"cap_drop,flow"`
	SecurityOpt []string          `yaml:"security_opt,flow"`
	Healthcheck *composeHealth    `yaml:"healthcheck,omitempty"`
	Labels      map[string]string `yaml:"labels"`
}

// balenaBuild is the directory that functions which read the scenario are built in.
const balenaBuild = "functions"

// Balena writes the plan as the files of a directory for balena push, by their paths. A function that comes as a directory with a Dockerfile
// is built from there: the caller copies it to build/FUNCTION. What equal devices cannot do is refused by name.
func (p *Plan) Balena(f Fleet) (map[string][]byte, error) {
	functions, node, err := p.fleet(f)
	problems := []error{err}
	built := map[string]bool{} // by tag
	for _, i := range p.Images {
		if built[i.Tag] = i.Dir != ""; i.Tar != "" {
			problems = append(problems, fmt.Errorf("the image %s is in the file %s, which balena cannot take: push it to a registry and give its tag, or "+
				"give a directory with a Dockerfile", i.Tag, i.Tar))
		}
	}
	for _, a := range f.InitServers {
		problems = append(problems, realnet.CheckInitServer(a))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	file := balenaFile{Version: "2.1", Services: map[string]balenaService{}, Volumes: map[string]struct{}{"data": {}}}
	service := func(c *Container) balenaService {
		s := balenaService{NetworkMode: "host", CPUQuota: int(c.Limits.CPUs * 100_000), Restart: "always",
			StopGrace: strconv.Itoa(stopGrace) + "s", CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges"},
			// The old containers run until the new ones are there, and end before these start: both want the same ports.
			Labels: map[string]string{"io.balena.update.strategy": "download-then-kill", LabelDeployment: p.Name, LabelRole: string(c.Role)}}
		if c.Limits.MemoryBytes > 0 {
			s.MemLimit = strconv.FormatInt(c.Limits.MemoryBytes, 10) + "b"
		}
		if c.Own {
			s.ReadOnly, s.Tmpfs = true, []string{"/tmp"}
		}
		return s
	}
	own := service(&p.Nodes[0].Containers[0])
	own.Image, own.Volumes, own.Command = f.Image(image.Node), []string{"data:/data"}, append(node, "--bind", "0.0.0.0")
	if len(f.InitServers) > 0 {
		own.Command = append(own.Command, "--init-servers", strings.Join(f.InitServers, ","))
	}
	own.Healthcheck = &composeHealth{[]string{"CMD", "/p2pfaas", "health"}, "60s", "5s", 3}
	file.Services[string(RoleNode)] = own
	for i := range functions {
		x := &functions[i]
		s := service(x.Container)
		s.Command, s.Image, s.Labels[LabelFunction] = x.command, x.image(f), x.Function
		switch {
		case x.Files:
			s.Image, s.Build = "", "./"+balenaBuild
			all[balenaBuild+"/Dockerfile"] = []byte("# The sample functions, with the scenario that they read.\nFROM " + x.image(f) +
				"\nCOPY --chown=" + image.User + " scenario " + FilesDir + "\n")
			for name, text := range f.Files {
				all[path.Join(balenaBuild, "scenario", filepath.ToSlash(name))] = text
			}
		case built[x.Image]:
			s.Image, s.Build = "", "./build/"+x.Function
		}
		if x.Own {
			s.Healthcheck = &composeHealth{[]string{"CMD", "/p2pfaas", "health", fmt.Sprintf("http://127.0.0.1:%d/healthz", x.port)}, "60s", "5s", 3}
		}
		name := "function-" + strings.ToLower(x.Function)
		if _, twice := file.Services[name]; twice {
			problems = append(problems, fmt.Errorf("functions.%s: another function differs in capitals alone, and services of balena have none: rename one", x.Function))
		}
		file.Services[name] = s
	}
	comment := "# A node with its functions on every device of a fleet: balena push FLEET, in this directory. (Written by p2pfaas.)\n" +
		"# A device whose address is not that of eth0 needs the variable P2PFAAS_NODE_IFACE, as wlan0.\n"
	if len(f.InitServers) == 0 {
		comment += "# The fleet needs the variable P2PFAAS_NODE_INIT_SERVERS: addresses of some of its devices, by which the others find them.\n"
	}
	comment += "# The fleet needs the token that its nodes know each other by, once: balena env set " + realnet.TokenVariable + " \"$(cat " + tokenName + ")\" --fleet FLEET\n"
	text, err := manifest(comment, file)
	all["docker-compose.yml"] = text
	return all, errors.Join(append(problems, err)...)
}
