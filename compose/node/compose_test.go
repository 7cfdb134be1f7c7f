package node

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/core/membership"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/image"
)

// The keys of a compose file that this one has.
type file struct {
	Container yaml.Node          `yaml:"x-container"`
	Health    yaml.Node          `yaml:"x-health"`
	Services  map[string]service `yaml:"services"`
	Volumes   map[string]any     `yaml:"volumes"`
}

type service struct {
	Image       string            `yaml:"image"`
	Hostname    string            `yaml:"hostname"`
	Command     []string          `yaml:"command"`
	DependsOn   []string          `yaml:"depends_on"`
	Environment map[string]string `yaml:"environment"`
	Ports       []string          `yaml:"ports"`
	Volumes     []string          `yaml:"volumes"`
	Restart     string            `yaml:"restart"`
	User        string            `yaml:"user"`
	ReadOnly    bool              `yaml:"read_only"`
	Tmpfs       []string          `yaml:"tmpfs"`
	CapDrop     []string          `yaml:"cap_drop"`
	SecurityOpt []string          `yaml:"security_opt"`
	PidsLimit   int               `yaml:"pids_limit"`
	StopGrace   string            `yaml:"stop_grace_period"`
	Logging     struct {
		Driver  string            `yaml:"driver"`
		Options map[string]string `yaml:"options"`
	} `yaml:"logging"`
	Healthcheck struct {
		Test        []string `yaml:"test"`
		Interval    string   `yaml:"interval"`
		Timeout     string   `yaml:"timeout"`
		StartPeriod string   `yaml:"start_period"`
		Retries     int      `yaml:"retries"`
	} `yaml:"healthcheck"`
}

// The file has the services, ports and variables of the first P2PFaaS, and no container may more than it needs.
func TestFile(t *testing.T) {
	text, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var f file
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil {
		t.Fatal(err)
	}
	const at = "${P2PFAAS_PUBLISH:-0.0.0.0}:"
	for name, want := range map[string]struct {
		ports       []string
		environment map[string]string
	}{
		"scheduler": {[]string{at + "18080:18080"}, map[string]string{"P2PFAAS_DATA_PATH": "/data", "P2PFAAS_DEV_ENV": "production",
			"P2PFAAS_SERVICE_DISCOVERY_HOST": "discovery", "P2PFAAS_SERVICE_DISCOVERY_PORT": "19000", "P2PFAAS_SERVICE_LEARNING_HOST": "learner",
			"P2PFAAS_SERVICE_LEARNING_PORT": "19020"}},
		"discovery": {[]string{at + "19000:19000", at + "19000:19000/udp"}, map[string]string{"P2PFAAS_DATA_PATH": "/data", "P2PFAAS_DEV_ENV": "production",
			"P2PFAAS_LISTENING_HOST": "0.0.0.0", "P2PFAAS_LISTENING_PORT": "19000", "P2PFAAS_DEFAULT_IFACE": "eth0"}},
		"learner": {[]string{at + "19020:19020", at + "8765:8765"}, map[string]string{"P2PFAAS_DIR_DATA": "/data",
			"P2PFAAS_RUNNING_ENVIRONMENT": "production", "P2PFAAS_LISTENING_HOST": "0.0.0.0", "P2PFAAS_LISTENING_PORT": "19020"}},
	} {
		s := f.Services[name]
		if !slices.Equal(s.Ports, want.ports) || !slices.Equal(s.Volumes, []string{"data:/data"}) ||
			len(s.Command) < 3 || !slices.Equal(s.Command[:3], []string{"node", "--services", name}) {
			t.Errorf("%s has the ports %q, the volumes %q and the command %q", name, s.Ports, s.Volumes, s.Command)
		}
		for variable, value := range want.environment {
			if s.Environment[variable] != value {
				t.Errorf("%s of %s is %q, want %q", variable, name, s.Environment[variable], value)
			}
		}
	}
	if hello := f.Services["hello"]; hello.Hostname != "hello" || len(hello.Ports) > 0 || len(f.Services) != 4 {
		t.Errorf("there are %d services, and the function is %+v", len(f.Services), hello)
	}
	for name, s := range f.Services {
		kind := image.Node
		if name == "hello" {
			kind = image.Sleep
		}
		grace, err := time.ParseDuration(s.StopGrace)
		if s.Image != "${P2PFAAS_REPOSITORY:-p2pfaas}/"+kind+":${P2PFAAS_TAG:-latest}" || s.User != image.User || !s.ReadOnly || s.Restart != "unless-stopped" ||
			!slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) ||
			len(s.Healthcheck.Test) != 4 || s.Healthcheck.Test[2] != "health" || grace <= 30*time.Second || err != nil {
			t.Errorf("%s is %+v", name, s)
		}
	}
}

// project is the file as a compose project, with images of this program.
type project struct {
	t       *testing.T
	program []string // the compose program, and the project
	env     []string
}

// subnet is of the project's network, whose first address is the machine's.
const subnet = "172.27.90.0/24"

// load gives the engine images of this program, and returns what their names begin with, and their tag.
func load(t *testing.T) (repository, run string) {
	t.Helper()
	if os.Getenv("P2PFAAS_CONTAINERS") != "1" {
		t.Skip("it wants an engine: make containers")
	}
	repository, run = "p2pfaas-"+strings.ToLower(t.Name()), strconv.Itoa(os.Getpid())
	program := filepath.Join(t.TempDir(), "p2pfaas")
	command(t, append(os.Environ(), "CGO_ENABLED=0"), "go", "build", "-trimpath", "-o", program, "../../cmd/p2pfaas")
	images, err := image.New(image.Program{Platform: image.Own(), Path: program})
	if err != nil {
		t.Fatal(err)
	}
	tags := map[string]string{}
	for _, kind := range []string{image.Node, image.Sleep} {
		tag := repository + "/" + kind + ":" + run
		tags[tag] = kind
		t.Cleanup(func() { command(t, nil, "docker", "image", "rm", tag) })
	}
	var tar bytes.Buffer
	if err := images.Write(&tar, tags); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("docker", "load")
	c.Stdin = &tar
	if text, err := c.CombinedOutput(); err != nil {
		t.Fatalf("docker load: %v: %s", err, text)
	}
	return repository, run
}

func open(t *testing.T) *project {
	t.Helper()
	repository, run := load(t)
	// What others have on this machine must not be in the way: a network and an address of its own.
	override := filepath.Join(t.TempDir(), "test.yaml")
	changes := "networks: {default: {ipam: {config: [{subnet: " + subnet + "}]}}}\nservices:\n"
	for _, name := range []string{"scheduler", "discovery", "learner", "hello"} {
		changes += "  " + name + ": {healthcheck: {interval: 1s}}\n"
	}
	if err := os.WriteFile(override, []byte(changes), 0o666); err != nil {
		t.Fatal(err)
	}
	p := &project{t: t, program: []string{"docker", "compose"},
		env: append(os.Environ(), "P2PFAAS_REPOSITORY="+repository, "P2PFAAS_TAG="+run, "P2PFAAS_PUBLISH=127.27.90.1")}
	if exec.Command("docker", "compose", "version").Run() != nil {
		p.program = []string{"docker-compose"}
	}
	p.program = append(p.program, "-p", repository+"-"+run, "-f", "compose.yaml", "-f", override)
	t.Cleanup(func() { p.compose("down", "-v", "-t", "5") })
	return p
}

func command(t *testing.T, env []string, words ...string) string {
	t.Helper()
	c := exec.Command(words[0], words[1:]...)
	c.Env = env
	text, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v: %s", words, err, text)
	}
	return strings.TrimSpace(string(text))
}

func (p *project) compose(words ...string) string {
	p.t.Helper()
	return command(p.t, p.env, append(slices.Clone(p.program), words...)...)
}

// patience is how long is waited for what takes seconds on a quiet machine.
const patience = 3 * time.Minute

// ask asks a service of the node, until the answer is as wanted or patience has ended.
func (p *project) ask(method string, port int, path, body string, good func(status int, text string, h http.Header) bool) {
	p.t.Helper()
	var said string
	for began := time.Now(); time.Since(began) < patience; time.Sleep(100 * time.Millisecond) {
		r, err := http.NewRequest(method, fmt.Sprintf("http://127.27.90.1:%d%s", port, path), strings.NewReader(body))
		if err != nil {
			p.t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		status, text, h, err := answer(r)
		if said = fmt.Sprint(status, " ", text, " ", h, err); err == nil && good(status, text, h) {
			return
		}
	}
	p.t.Fatalf("%s %d%s %s: the last answer was %s", method, port, path, body, said)
}

// answer is what comes of a request.
func answer(r *http.Request) (status int, text string, h http.Header, err error) {
	a, err := (&http.Client{Timeout: 10 * time.Second}).Do(r)
	if err != nil {
		return 0, "", nil, err
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	return a.StatusCode, string(body), a.Header, err
}

func ok(status int, _ string, _ http.Header) bool { return status == 200 }

func says(want string) func(int, string, http.Header) bool {
	return func(status int, text string, _ http.Header) bool { return status == 200 && text == want }
}

// A node of containers answers the clients and scripts of the first P2PFaaS, and what they configured outlives the containers.
func TestNode(t *testing.T) {
	p := open(t)
	p.compose("up", "-d")
	p.ask("POST", 18080, "/function/hello", "x", func(status int, _ string, h http.Header) bool {
		return status == 200 && h.Get("X-P2pfaas-Timing-Execution-Time-Seconds") >= "0.05"
	})
	p.ask("GET", 18080, "/function/nobody", "", func(status int, text string, _ http.Header) bool {
		return status == 500 && strings.Contains(text, `"code":1`)
	})

	// As the configuration scripts do. The machine's address is the container's: this test, the other machine, is on its network.
	id := p.compose("ps", "-q", "discovery")
	ip := command(t, nil, "docker", "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", id)
	other := netip.MustParsePrefix(subnet).Addr().Next()
	const kq, scheduler = `{"parallel_running_functions_max":3,"queue_length_max":2,"queue_enabled":true}`, `{"name":"ForwardScheduler","parameters":["1"]}`
	machine := fmt.Sprintf(`{"machine_ip":%q,"machine_id":"m0","machine_group_name":"cluster00","init_servers":[%q]}`, ip, other)
	p.ask("GET", 19000, "/reset", "", ok)
	p.ask("POST", 19000, "/configuration", machine, ok)
	p.ask("POST", 18080, "/configuration", kq, ok)
	p.ask("POST", 18080, "/configuration/scheduler", scheduler, ok)
	p.ask("POST", 19020, "/learner/parameters", `{"actions_n":14}`, ok)

	d, err := realnet.OpenDiscovery(realnet.DiscoveryOptions{Identity: realnet.Identity{IP: other.String()}, Bind: other,
		Membership: membership.DefaultOptions(0), Stream: *random.Stream(1, 0, random.Membership, 0)})
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Addr: netip.AddrPortFrom(other, 19000).String(), Handler: d.Handler()}
	go func() { _ = s.ListenAndServe() }()
	defer func() {
		_ = s.Close()
		_ = d.Close()
	}()
	found := func(status int, text string, _ http.Header) bool {
		var list []struct{ IP string }
		return status == 200 && json.Unmarshal([]byte(text), &list) == nil && len(list) == 1 && list[0].IP == other.String()
	}
	p.ask("GET", 19000, "/list", "", found)
	isIt := func(m realnet.Member) bool { return m.Address == ip && m.State == membership.Alive.String() }
	for began := time.Now(); !slices.ContainsFunc(d.Members(), isIt); time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("the other machine knows %+v, want %s", d.Members(), ip)
		}
	}

	p.compose("down", "-t", "5")
	p.compose("up", "-d")
	p.ask("GET", 18080, "/configuration", "", says(kq))
	p.ask("GET", 18080, "/configuration/scheduler", "", says(scheduler))
	p.ask("GET", 19000, "/configuration", "", says(machine))
	p.ask("GET", 19020, "/learner/parameters", "", func(status int, text string, _ http.Header) bool {
		return status == 200 && strings.Contains(text, `"actions_n":14`)
	})
	for began := time.Now(); ; time.Sleep(time.Second) {
		states := command(t, nil, append([]string{"docker", "inspect", "-f", "{{.State.Health.Status}} {{.RestartCount}}"}, strings.Fields(p.compose("ps", "-q"))...)...)
		if strings.Count(states, "healthy 0") == 4 && !strings.Contains(states, "unhealthy") {
			break
		}
		if time.Since(began) > patience {
			t.Fatalf("the containers are\n%s", states)
		}
	}
}
