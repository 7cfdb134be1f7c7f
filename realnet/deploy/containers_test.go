package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

const engineSocket = "/var/run/docker.sock"

// realEngine is that of this machine, where containers may be tested.
func realEngine(t *testing.T) *Engine {
	t.Helper()
	if os.Getenv("P2PFAAS_CONTAINERS") != "1" {
		t.Skip("it wants an engine: make containers")
	}
	e, err := ThisMachine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// rack is a hosts file with three hosts, which are this machine: one behind OpenSSH's daemon, where there is one.
func rack(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "hosts:\n")
	for i := range 3 {
		host, key := newKey(t), newKey(t)
		name, address := "somebody", ""
		if _, err := os.Stat("/usr/sbin/sshd"); i == 0 && err == nil {
			me, err := user.Current()
			if err != nil {
				t.Fatal(err)
			}
			name, address = me.Username, startOpenSSH(t, host, key)
		} else {
			d := &sshDaemon{host: host, client: key, sockets: map[string]string{engineSocket: engineSocket}}
			address = d.start(t).address
		}
		_, port, _ := net.SplitHostPort(address)
		fmt.Fprintf(&b, "  - {name: host-%d, host: 127.0.0.1, port: %s, user: %s, key: %s, known_hosts: %s, nodes: 2, bind: 127.0.81.%d, labels: {row: %d}}\n",
			i, port, name, key.path, know(t, address, host.signer.PublicKey()), i+1, i)
	}
	path := filepath.Join(t.TempDir(), "hosts.yaml")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const sixNodes = `
name: six
duration: 10s
cluster: {nodes: 6, slots: 2, queue: 2}
functions:
  - {name: f, service: 20ms}
workload: {rate: 5/s}
scheduler: {name: PowerOfNScheduler, fanout: 1, threshold: 1}
`

// command runs the program.
type command struct {
	program, dir string
}

func (c command) start(ctx context.Context, args ...string) (*exec.Cmd, *bytes.Buffer) {
	p := exec.CommandContext(ctx, c.program, args...)
	p.Dir = c.dir
	var said bytes.Buffer
	p.Stderr = &said
	return p, &said
}

func (c command) run(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	p, said := c.start(t.Context(), args...)
	began := time.Now()
	out, err := p.Output()
	t.Logf("p2pfaas %s: %v", strings.Join(args, " "), time.Since(began).Round(time.Millisecond))
	if err != nil {
		t.Fatalf("p2pfaas %s: %v\n%s", strings.Join(args, " "), err, said)
	}
	return string(out), said.String()
}

// states are the containers of a deployment by name.
func states(t *testing.T, e *Engine, deployment string) map[string]ContainerState {
	t.Helper()
	list, err := e.List(t.Context(), deployment)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]ContainerState{}
	for _, s := range list {
		all[s.Name] = s
	}
	return all
}

// A cluster comes up on three hosts, stays as it is, is repaired, and goes.
func TestHostsWithContainers(t *testing.T) {
	e := realEngine(t)
	name := "hosts-test-" + strconv.Itoa(os.Getpid())
	c := command{filepath.Join(t.TempDir(), "p2pfaas"), t.TempDir()}
	build := exec.Command("go", "build", "-o", c.program, "../../cmd/p2pfaas")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "six.yaml"), []byte(sixNodes), 0o600); err != nil {
		t.Fatal(err)
	}
	var images []string
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := e.Undo(ctx, name, false); err != nil {
			t.Error(err)
		}
		for _, tag := range images {
			if _, err := e.client.ImageRemove(ctx, tag, client.ImageRemoveOptions{PruneChildren: true}); err != nil && !cerrdefs.IsNotFound(err) {
				t.Error(err)
			}
		}
	})
	deploy := []string{"deploy", "six.yaml", "--hosts", rack(t), "--name", name, "--subnet", "172.29.16.0/20"}

	_, said := c.run(t, deploy...)
	t.Log(said)
	first := states(t, e, name)
	if len(first) != 12 {
		t.Fatalf("there are %d containers, want 12", len(first))
	}
	for _, s := range first {
		if s.State != "running" || s.Host != fmt.Sprintf("host-%d", s.Node/2) {
			t.Errorf("%s is %s on %s", s.Name, s.State, s.Host)
		}
	}
	images = []string{first[name+"-node-0"].Image, first[name+"-node-0-f"].Image}
	checkSettings(t, e, first[name+"-node-3"], first[name+"-node-3-f"])

	out, _ := c.run(t, "deploy", "status", name, "--json")
	var status struct {
		Ill   int
		Nodes []struct {
			Address string
			Peers   int
		}
	}
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		t.Fatal(err)
	}
	if status.Ill != 0 || len(status.Nodes) != 6 || status.Nodes[3].Address != "127.0.81.2:20010" || status.Nodes[3].Peers != 5 {
		t.Errorf("the status is %s", out)
	}
	answer, err := http.Post("http://127.0.81.3:18080/function/f", "", nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("a request is answered with %v, %v", answer, err)
	} else {
		answer.Body.Close()
	}

	// Its log is followed until nobody wants it any more.
	ctx, stop := context.WithCancel(t.Context())
	log := writer(func(text []byte) {
		if bytes.Contains(text, []byte("scheduler on 127.0.81.2:20010")) {
			stop()
		}
	})
	if err := e.Logs(ctx, name+"-node-3", time.Time{}, true, log, log); err != nil || ctx.Err() == nil {
		t.Errorf("the log was not followed: %v", err)
	}
	stop()

	// Again: nothing changes.
	_, said = c.run(t, deploy...)
	if again := states(t, e, name); !sameIDs(first, again) || strings.Contains(said, "created") || strings.Contains(said, "replaced") {
		t.Errorf("the second time containers were made: %s", said)
	}

	// A node that was killed is started again, and no other.
	victim := name + "-node-4"
	if _, err := e.client.ContainerKill(t.Context(), victim, client.ContainerKillOptions{Signal: "KILL"}); err != nil {
		t.Fatal(err)
	}
	_, said = c.run(t, deploy...)
	if again := states(t, e, name); !sameIDs(first, again) || again[victim].State != "running" || strings.Count(said, "started") != 1 {
		t.Errorf("a node was killed: %s", said)
	}
	// One that is gone, and one that was not started, are made anew, and no other.
	for _, c := range []string{name + "-node-5", name + "-node-0-f"} {
		if err := e.remove(t.Context(), c, false); err != nil {
			t.Fatal(err)
		}
	}
	_, said = c.run(t, deploy...)
	again := states(t, e, name)
	for n, s := range again {
		made := n == name+"-node-5" || n == name+"-node-0-f"
		if (s.ID != first[n].ID) != made {
			t.Errorf("%s was made anew: %v, want %v", n, s.ID != first[n].ID, made)
		}
	}
	if strings.Count(said, "created "+name) != 2 {
		t.Errorf("two containers were gone: %s", said)
	}

	// Fewer nodes: the others go, and those that stay are told.
	_, said = c.run(t, append(deploy, "--set", "cluster.nodes=3")...)
	if fewer := states(t, e, name); len(fewer) != 6 || fewer[name+"-node-2-f"].State != "running" {
		t.Errorf("there are %d containers, want 6: %s", len(fewer), said)
	}

	if _, said = c.run(t, "deploy", "down", name, "--images"); !strings.Contains(said, "removed: 6 containers, 3 networks, 6 volumes") ||
		!strings.Contains(said, "removed: 2 images") {
		t.Errorf("down says %s", said)
	}
	nothingLeft(t, e, name)
	for _, tag := range images {
		if has, err := e.Has(t.Context(), tag); has || err != nil {
			t.Errorf("the image %s is still there, %v", tag, err)
		}
	}

	// An interrupted one that was not there before leaves nothing.
	p, heard := c.start(t.Context(), deploy...)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	for len(states(t, e, name)) < 2 {
		time.Sleep(10 * time.Millisecond)
	}
	if err := p.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err == nil {
		t.Error("it ended as if nothing had happened")
	}
	t.Log(heard)
	nothingLeft(t, e, name)
}

type writer func([]byte)

func (w writer) Write(text []byte) (int, error) {
	w(text)
	return len(text), nil
}

func sameIDs(a, b map[string]ContainerState) bool {
	for n, s := range a {
		if b[n].ID != s.ID {
			return false
		}
	}
	return len(a) == len(b)
}

// checkSettings looks whether containers may do only what they need.
func checkSettings(t *testing.T, e *Engine, node, function ContainerState) {
	t.Helper()
	for _, s := range []ContainerState{node, function} {
		found, err := e.client.ContainerInspect(t.Context(), s.ID, client.ContainerInspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		c := found.Container
		if h := c.HostConfig; c.Config.User != "65532:65532" || !h.ReadonlyRootfs || !slices.Equal(h.CapDrop, []string{"ALL"}) ||
			!slices.Equal(h.SecurityOpt, []string{"no-new-privileges"}) || *h.PidsLimit != pidsLimit ||
			h.LogConfig.Config["max-size"] != logSize || h.RestartPolicy.Name != container.RestartPolicyUnlessStopped {
			t.Errorf("%s has the settings %+v %+v", s.Name, c.Config, h)
		}
		if want := s.Role == RoleNode; (c.HostConfig.NetworkMode == "host") != want || c.Config.Labels[LabelHost+".row"] != "1" {
			t.Errorf("%s has the network %s and the labels %v", s.Name, c.HostConfig.NetworkMode, c.Config.Labels)
		}
	}
}

func nothingLeft(t *testing.T, e *Engine, name string) {
	t.Helper()
	if there, err := e.has(t.Context(), name); there || err != nil {
		t.Errorf("there is something left (%v): %v", err, states(t, e, name))
	}
	volumes, err := e.client.VolumeList(t.Context(), client.VolumeListOptions{Filters: of(name)})
	if err != nil || len(volumes.Items) > 0 {
		t.Errorf("there are volumes left (%v): %v", err, volumes.Items)
	}
}

// A container that does not come up says why, with the end of its log; logs are those of the container.
func TestContainerThatFails(t *testing.T) {
	e := realEngine(t)
	name := "hosts-fail-" + strconv.Itoa(os.Getpid())
	p := &Plan{Name: name, Files: t.TempDir()}
	tag := "p2pfaas-test/" + name + ":1"
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := e.Undo(ctx, name, false); err != nil {
			t.Error(err)
		}
		if _, err := e.client.ImageRemove(ctx, tag, client.ImageRemoveOptions{PruneChildren: true}); err != nil && !cerrdefs.IsNotFound(err) {
			t.Error(err)
		}
	})
	// The image is built by the engine from a directory with a program.
	dir := t.TempDir()
	for file, text := range map[string]string{"go.mod": "module f\n", "f.go": failingProgram,
		"Dockerfile": "FROM scratch\nCOPY f /f\nENTRYPOINT [\"/f\"]\n", ".dockerignore": "*.go\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-o", "f", ".")
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if made, err := e.Build(t.Context(), tag, dir); !made || err != nil {
		t.Fatal(made, err)
	}
	if made, err := e.Build(t.Context(), tag, dir); made || err != nil {
		t.Errorf("it was built again: %v", err)
	}
	c := &Container{Name: name + "-f", Role: RoleFunction, Function: "f", Image: tag, Health: "http://127.0.0.1:1/"}
	id, err := e.make(t.Context(), p, c, nil, "", Created)
	if err != nil {
		t.Fatal(err)
	}
	err = e.AwaitAnswer(t.Context(), c, id, 3*time.Minute)
	if err == nil || !strings.Contains(err.Error(), "it has stopped") || !strings.Contains(err.Error(), "; its log ends with:") || !strings.Contains(err.Error(), "no such luck") {
		t.Errorf("got %v", err)
	}
	var out, errors bytes.Buffer
	if err := e.Logs(t.Context(), c.Name, time.Time{}, false, &out, &errors); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "here I am\n") || !strings.HasPrefix(errors.String(), "no such luck\n") {
		t.Errorf("the logs are %q and %q", out.String(), errors.String())
	}
	if err := e.Logs(t.Context(), c.Name, time.Now().Add(time.Hour), false, io.Discard, &errors); err != nil {
		t.Error(err)
	}
}

const failingProgram = `package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Println("here I am")
	fmt.Fprintln(os.Stderr, "no such luck")
	os.Exit(3)
}
`
