package compose

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptrace"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go/exec"

	"github.com/p2pfaas/p2pfaas/realnet/image"
)

// A container runs as nobody, without capabilities, and writes nowhere but in /data.
func TestUnprivileged(t *testing.T) {
	t.Parallel()
	b := newBridge(t, false)
	m, err := start(t, b, b.at(10), spec{image: tag(image.Node), data: true,
		command: []string{"node", "--bind", "0.0.0.0", "--insecure", "--data", "/data", "--function", "work=sleep:1ms"}})
	if err != nil {
		t.Fatal(err)
	}
	m.answers(t)
	i, err := m.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// What the kernel says of the process, which is one of this machine's.
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", i.State.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	says := map[string]string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		says[name] = strings.Join(strings.Fields(value), " ")
	}
	none := "0000000000000000"
	for name, want := range map[string]string{"Uid": "65532 65532 65532 65532", "Gid": "65532 65532 65532 65532",
		"CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none, "NoNewPrivs": "1"} {
		if says[name] != want {
			t.Errorf("%s of the process is %q, want %q", name, says[name], want)
		}
	}
	// What clients configure is kept in the volume, over the life of the process.
	configuration := `{"parallel_running_functions_max":7,"queue_length_max":3,"queue_enabled":true}`
	if status, text, _, err := call(t.Context(), "POST", "http://"+m.dial()+"/configuration", configuration); err != nil || status != 200 {
		t.Fatal(status, text, err)
	}
	grace := time.Minute
	if err := errors.Join(m.Stop(t.Context(), &grace), m.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	m.answers(t)
	if _, text, _, err := call(t.Context(), "GET", "http://"+m.dial()+"/configuration", ""); err != nil || text != configuration {
		t.Errorf("after a restart the configuration is %s, %v", text, err)
	}
	for dir, want := range map[string]int{"/data/run": 0, "/run": 2, "/tmp/run": 2} {
		status, said, err := m.Exec(t.Context(), []string{"/p2pfaas", "sim", "quickstart", "--select", "scheduler=NoScheduler",
			"--duration", "1s", "--replications", "1", "--out", dir}, exec.Multiplexed())
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(said)
		if err != nil {
			t.Fatal(err)
		}
		if status != want || want != 0 && !bytes.Contains(text, []byte("read-only file system")) {
			t.Errorf("writing %s ends with %d, want %d: %s", dir, status, want, text)
		}
	}
}

// answers waits until a node does.
func (m *machine) answers(t *testing.T) {
	t.Helper()
	await(t, bound, func() error {
		status, text, _, err := call(t.Context(), "GET", "http://"+m.dial()+"/", "")
		if err == nil && status != 200 {
			err = fmt.Errorf("%d %s", status, text)
		}
		return err
	})
}

// suspicious is what a secret would be called.
var suspicious = regexp.MustCompile(`(?i)secret|token|passw|credential|private|api.?key|auth`)

// An image is the program and two empty directories; neither it nor a container has anything of the environment that it was made in.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{image.Node, image.Sleep} {
		i, err := docker.ImageInspect(t.Context(), tag(kind))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s has %.1f MB", kind, float64(i.Size)/1e6)
		if i.Size > 100e6 || i.Size < 1e6 {
			t.Errorf("%s has %d bytes", kind, i.Size)
		}
		if i.Config.User != "65532:65532" || !slices.Equal(i.Config.Env, []string{"PATH=/"}) || len(i.RootFS.Layers) != 1 ||
			!slices.Equal(i.Config.Entrypoint, []string{"/p2pfaas"}) {
			t.Errorf("%s: user %q, environment %q, entry point %q, layers %q", kind, i.Config.User, i.Config.Env, i.Config.Entrypoint, i.RootFS.Layers)
		}
		history, err := docker.ImageHistory(t.Context(), tag(kind))
		if err != nil {
			t.Fatal(err)
		}
		said, err := json.Marshal([]any{i.Config, history.Items})
		if err != nil {
			t.Fatal(err)
		}
		if found := suspicious.Find(said); found != nil || len(history.Items) != 1 {
			t.Errorf("%s speaks of %q: %s", kind, found, said)
		}
		if names := contents(t, tag(kind)); !slices.Equal(names, []string{"data/", "p2pfaas", "tmp/"}) {
			t.Errorf("%s has %q in it", kind, names)
		}
	}
	b := newBridge(t, false)
	m, err := start(t, b, b.at(10), spec{image: tag(image.Node)})
	if err != nil {
		t.Fatal(err)
	}
	i, err := m.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(i.Config.Env, []string{"PATH=/"}) || len(i.Mounts) != 0 || len(i.HostConfig.Binds) != 0 || len(i.HostConfig.PortBindings) != 0 {
		t.Errorf("the container has the environment %q, mounts %v and ports %v", i.Config.Env, i.Mounts, i.HostConfig.PortBindings)
	}
}

// contents are the names in the layers of an image.
func contents(t *testing.T, tag string) (names []string) {
	t.Helper()
	r, err := docker.ImageSave(t.Context(), []string{tag})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	each := func(r io.Reader, do func(name string, r io.Reader)) {
		for t1 := tar.NewReader(r); ; {
			h, err := t1.Next()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			do(h.Name, t1)
		}
	}
	each(r, func(name string, r io.Reader) {
		if strings.HasSuffix(name, "layer.tar") {
			each(r, func(name string, _ io.Reader) { names = append(names, name) })
		}
	})
	return names
}

// The engine's health check finds a node and a function well, and a node that does not schedule ill.
func TestHealth(t *testing.T) {
	t.Parallel()
	b := newBridge(t, false)
	often := func(c *container.Config) {
		i, err := docker.ImageInspect(context.Background(), c.Image)
		if err != nil || i.Config.Healthcheck == nil {
			t.Errorf("%s has no health check: %v", c.Image, err)
			return
		}
		h := *i.Config.Healthcheck // its own test, more often
		h.Interval, h.StartPeriod, h.Retries = time.Second, time.Millisecond, 2
		c.Healthcheck = &h
		c.Env = append(c.Env, "P2PFAAS_TOKEN=0123456789abcdef0123456789abcdef") // which a node wants where others reach it; its health is no secret
	}
	for i, of := range []struct {
		kind    string
		command []string
		want    container.HealthStatus
	}{
		{image.Node, nil, container.Healthy}, // the image's own command
		{image.Sleep, nil, container.Healthy},
		{image.Node, []string{"node", "--bind", "0.0.0.0", "--services", "discovery"}, container.Unhealthy},
	} {
		m, err := start(t, b, b.at(10+i), spec{image: tag(of.kind), command: of.command, modify: often})
		if err != nil {
			t.Fatal(err)
		}
		took := await(t, bound, func() error {
			s, err := m.State(t.Context())
			if err == nil && (s.Health == nil || s.Health.Status != of.want) {
				err = fmt.Errorf("%s %q is not %s: %+v", of.kind, of.command, of.want, s.Health)
			}
			return err
		})
		t.Logf("%s %q was %s after %v", of.kind, of.command, of.want, took.Round(100*time.Millisecond))
	}
}

// A node or a function that the engine tells to end answers what it has in hand, and ends in good order soon after that: well within the engine's grace.
func TestStop(t *testing.T) {
	t.Parallel()
	b := newBridge(t, false)
	m, err := start(t, b, b.at(10), spec{image: tag(image.Node), command: []string{"node", "--bind", "0.0.0.0", "--insecure", "--function", "work=sleep:5s"}})
	if err != nil {
		t.Fatal(err)
	}
	m.answers(t)
	f, err := start(t, b, b.at(11), spec{image: tag(image.Sleep), command: []string{"function", "sleep", "--bind", "0.0.0.0", "--service", "5s"}})
	if err != nil {
		t.Fatal(err)
	}
	function := "http://" + f.address + ":8080/"
	await(t, bound, func() error {
		_, _, _, err := call(t.Context(), "GET", function+"healthz", "")
		return err
	})
	for url, c := range map[string]*machine{"http://" + m.dial() + "/function/work": m, function: f} {
		type answer struct {
			at  time.Time
			err error
		}
		sent, answered := make(chan bool, 2), make(chan answer, 1)
		go func() {
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { sent <- true }})
			status, text, _, err := call(ctx, "POST", url, "x")
			if err == nil && status != 200 {
				err = fmt.Errorf("%d %s", status, text)
			}
			answered <- answer{time.Now(), err}
		}()
		select {
		case <-sent:
			time.Sleep(500 * time.Millisecond)
		case a := <-answered:
			t.Fatalf("%s: %v", url, a.err)
		}
		grace := 60 // seconds: a busy machine may need more than the engine's 10
		if _, err := docker.ContainerStop(t.Context(), c.ID, client.ContainerStopOptions{Timeout: &grace}); err != nil {
			t.Fatal(err)
		}
		ended := time.Now()
		a := <-answered
		if a.err != nil {
			t.Errorf("%s: a request in hand was not answered: %v", url, a.err)
		}
		s, err := c.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		took := ended.Sub(a.at)
		t.Logf("%s ended %v after its answer", url, took.Round(time.Millisecond))
		if s.ExitCode != 0 || s.OOMKilled || took > 20*time.Second { // a node that waited for nothing would for half a minute
			t.Errorf("%s ended %v after its answer with %d", url, took, s.ExitCode)
		}
	}
}
