package compose

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go/log"

	"github.com/p2pfaas/p2pfaas/realnet/image"
)

const (
	wanted      = "P2PFAAS_CONTAINERS"     // 1: the tests are to run
	runVariable = "P2PFAAS_CONTAINERS_RUN" // name of the run, in the process that runs the tests
	label       = "p2pfaas.test"           // of all that a run makes: its name
	repository  = "p2pfaas-test"           // of a run's images
)

// The engine, and the name of this run.
var (
	docker  *client.Client
	runName = os.Getenv(runVariable)

	program  string        // that the tests run
	deployed *image.Images // of it
)

func TestMain(m *testing.M) {
	switch {
	case runName != "":
		os.Exit(run(m))
	case os.Getenv(wanted) == "1":
		os.Exit(supervise())
	default:
		fmt.Println("skipped: tests with containers want an engine, and run by: make containers")
	}
}

// connect finds the engine, and does not wait for its answer for ever.
func connect() (*client.Client, error) {
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("%s=1: the tests call containers by their addresses, which works on Linux alone", wanted)
	}
	c, err := client.New(client.FromEnv)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := c.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return nil, fmt.Errorf("%s=1, and no engine answers: start one, or leave the variable out: %w", wanted, err)
	}
	return c, nil
}

// supervise runs the tests in a process of their own: whatever ends that, a panic or a timeout, what it made is removed.
func supervise() (status int) {
	failed := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var err error
	if docker, err = connect(); err != nil {
		return failed(err)
	}
	defer docker.Close()
	if _, err := sweep(isGone); err != nil {
		return failed(fmt.Errorf("removing what earlier runs have left: %w", err))
	}
	runName = newRunName()
	defer func() {
		left, err := sweep(isOwn)
		if len(left) > 0 && status == 0 {
			err = errors.Join(err, fmt.Errorf("the tests have left behind: %s", strings.Join(left, ", ")))
		}
		again, err2 := sweep(isOwn)
		if len(again) > 0 {
			err2 = errors.Join(err2, fmt.Errorf("there is still: %s", strings.Join(again, ", ")))
		}
		if err = errors.Join(err, err2); err != nil {
			status = failed(err)
		}
	}()
	self, err := os.Executable()
	if err != nil {
		return failed(err)
	}
	c := exec.Command(self, os.Args[1:]...)
	// Ryuk, testcontainers' own way to remove things, is an image that would be pulled.
	c.Env = append(os.Environ(), runVariable+"="+runName, "TESTCONTAINERS_RYUK_DISABLED=true")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if _, err = c.StdinPipe(); err != nil { // it ends with this process
		return failed(err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	if err = c.Start(); err != nil {
		return failed(err)
	}
	go func() {
		<-signals
		_ = c.Process.Kill() // where that fails, it has ended
	}()
	if err = c.Wait(); err != nil {
		return failed(fmt.Errorf("the tests ended with %w", err))
	}
	return 0
}

// run packs the program, and runs the tests.
func run(m *testing.M) int {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1) // nobody supervises any more
	}()
	log.SetDefault(log.NewNoopLogger())
	dir, err := os.MkdirTemp("", "p2pfaas")
	if err == nil {
		program = filepath.Join(dir, "p2pfaas")
		err = load()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer docker.Close()
	status := m.Run()
	if err := errors.Join(os.RemoveAll(dir), removeDeployed()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

// removeDeployed removes the images that the program has made of itself.
func removeDeployed() error {
	var problems []error
	for _, kind := range image.Kinds() {
		_, err := docker.ImageRemove(context.Background(), deployed.Tag(kind), client.ImageRemoveOptions{Force: true})
		if !errdefs.IsNotFound(err) {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// tag is the image of a kind.
func tag(kind string) string { return repository + "/" + kind + ":" + runName }

// load builds the program and gives the engine its images.
func load() (err error) {
	if docker, err = connect(); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-trimpath", "-o", program, "../cmd/p2pfaas")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, text)
	}
	images, err := image.New(image.Program{Platform: image.Own(), Path: program})
	if err != nil {
		return err
	}
	deployed = images
	r, w := io.Pipe()
	go func() {
		w.CloseWithError(images.Write(w, map[string]string{tag(image.Node): image.Node, tag(image.Sleep): image.Sleep}))
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	said, err := docker.ImageLoad(ctx, r)
	if err != nil {
		return fmt.Errorf("loading the images: %w", err)
	}
	defer said.Close()
	text, err := io.ReadAll(said)
	if err != nil {
		return fmt.Errorf("loading the images: %w", err)
	}
	for _, kind := range []string{image.Node, image.Sleep} {
		if _, err := docker.ImageInspect(ctx, tag(kind)); err != nil {
			return fmt.Errorf("the image %s has not been loaded: %w: %s", tag(kind), err, text)
		}
	}
	return nil
}

// longest is how long a run may take.
const longest = time.Hour

// newRunName says who runs, where and since when.
func newRunName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	host = regexp.MustCompile("[^A-Za-z0-9]+").ReplaceAllString(host, "-")
	return fmt.Sprintf("%d.%d.%s", os.Getpid(), time.Now().Unix(), host)
}

func isOwn(run string) bool { return run == runName }

// isGone reports whether a run has ended. Of one on another host that shares the engine, only its age says so.
func isGone(run string) bool {
	var pid int
	var began int64
	var host string
	if _, err := fmt.Sscanf(run, "%d.%d.%s", &pid, &began, &host); err != nil || time.Since(time.Unix(began, 0)) > longest {
		return true
	}
	here := strings.HasSuffix(newRunName(), "."+host)
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return here && (err != nil || strings.Contains(string(state), ") Z ")) // a zombie has ended, too
}

// sweep removes what runs have made, and returns what was not to be expected: all but images.
func sweep(of func(run string) bool) (found []string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	labelled := make(client.Filters).Add("label", label)
	var problems []error
	removed := func(err error) {
		if err != nil && !errdefs.IsNotFound(err) { // another run may sweep, too
			problems = append(problems, err)
		}
	}
	containers, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: labelled})
	problems = append(problems, err)
	for _, c := range containers.Items {
		if of(c.Labels[label]) {
			found = append(found, fmt.Sprintf("container %s (%s)", c.Names, c.Command))
			_, err := docker.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			removed(err)
		}
	}
	networks, err := docker.NetworkList(ctx, client.NetworkListOptions{Filters: labelled})
	problems = append(problems, err)
	for _, n := range networks.Items {
		if of(n.Labels[label]) {
			found = append(found, "network "+n.Name)
			_, err := docker.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
			removed(err)
		}
	}
	volumes, err := docker.VolumeList(ctx, client.VolumeListOptions{Filters: labelled})
	problems = append(problems, err)
	for _, v := range volumes.Items {
		if of(v.Labels[label]) {
			found = append(found, "volume "+v.Name)
			_, err := docker.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true})
			removed(err)
		}
	}
	images, err := docker.ImageList(ctx, client.ImageListOptions{Filters: make(client.Filters).Add("reference", repository+"/*")})
	problems = append(problems, err)
	for _, i := range images.Items {
		for _, t := range i.RepoTags {
			if _, run, _ := strings.Cut(t, ":"); of(run) {
				_, err := docker.ImageRemove(ctx, t, client.ImageRemoveOptions{})
				removed(err)
			}
		}
	}
	return found, errors.Join(problems...)
}

// Which runs have ended is told by their names.
func TestRunNames(t *testing.T) {
	if isGone(newRunName()) {
		t.Error("this run has gone")
	}
	_, rest, _ := strings.Cut(newRunName(), ".")
	ended := exec.Command("go", "version")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		fmt.Sprintf("%d.%s", ended.Process.Pid, rest):                                  true,
		fmt.Sprintf("%d.%d.elsewhere", ended.Process.Pid, time.Now().Unix()):           false,
		fmt.Sprintf("%d.%d.elsewhere", os.Getpid(), time.Now().Add(-2*longest).Unix()): true,
		"nonsense": true,
	} {
		if got := isGone(name); got != want {
			t.Errorf("the run %s: gone %t, want %t", name, got, want)
		}
	}
}

// A sweep removes all that a run has left: a container that runs, its volume, its network, and its images.
func TestSweep(t *testing.T) {
	ctx, run := t.Context(), fmt.Sprintf("%d.1.nowhere", os.Getpid())
	labels := map[string]string{label: run}
	_, err := docker.NetworkCreate(ctx, "p2pfaas-test-"+run, client.NetworkCreateOptions{Labels: labels, Driver: "bridge"})
	if err != nil {
		t.Fatal(err)
	}
	name := repository + "/" + image.Sleep + ":" + run
	if _, err := docker.ImageTag(ctx, client.ImageTagOptions{Source: tag(image.Sleep), Target: name}); err != nil {
		t.Error(err)
	}
	c, err := docker.ContainerCreate(ctx, client.ContainerCreateOptions{Config: &container.Config{Image: name, Labels: labels},
		HostConfig: &container.HostConfig{NetworkMode: container.NetworkMode("p2pfaas-test-" + run), Mounts: []mount.Mount{
			{Type: mount.TypeVolume, Source: "p2pfaas-test-" + run, Target: "/data", VolumeOptions: &mount.VolumeOptions{Labels: labels}}}}})
	if err == nil {
		_, err = docker.ContainerStart(ctx, c.ID, client.ContainerStartOptions{})
	}
	if err != nil {
		t.Error(err)
	}
	if found, err := sweep(func(r string) bool { return r == run }); len(found) != 3 || err != nil {
		t.Errorf("found %q, %v", found, err)
	}
	if _, err := docker.ImageInspect(ctx, name); !errdefs.IsNotFound(err) {
		t.Errorf("the image is still there: %v", err)
	}
	if found, err := sweep(func(r string) bool { return r == run }); len(found) != 0 || err != nil {
		t.Errorf("there is still %q, %v", found, err)
	}
}
