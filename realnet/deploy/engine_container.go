package deploy

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/p2pfaas/p2pfaas/realnet/image"
)

// pack packs a directory for containers. Whoever runs in one may read it, and, where there is one, a token beside it.
func pack(dir, token string) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	files := os.DirFS(dir)
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || name == ".":
			return err
		case d.IsDir():
			return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755})
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	})
	if err == nil && token != "" {
		err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: tokenName, Mode: 0o400, Uid: image.UID, Gid: image.UID, Size: int64(len(token))})
		if err == nil {
			_, err = io.WriteString(w, token)
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("packing the files of the plan: %w", err)
	}
	return b.Bytes(), nil
}

// Change is what had to be done to make a part of a plan true.
type Change string

// The changes.
const (
	Untouched Change = "untouched"
	Started   Change = "started" // it had stopped
	Created   Change = "created"
	Replaced  Change = "replaced" // it was another
)

// errNoNetwork says that a network is not there.
var errNoNetwork = errors.New("there is no such network")

// network makes a network of a plan true.
func (e *Engine) network(ctx context.Context, p *Plan, n *Network) (Change, error) {
	what := "the network " + n.Name
	subnet, err := netip.ParsePrefix(n.Subnet)
	if err != nil {
		return "", e.wrong(what, err)
	}
	change := Created
	switch same, err := e.findNetwork(ctx, p, n, subnet); {
	case errors.Is(err, errNoNetwork):
	case err != nil:
		return "", e.wrong(what, err)
	case same:
		return Untouched, nil
	default:
		change = Replaced
		if err := e.removeNetwork(ctx, p, n.Name); err != nil {
			return "", err
		}
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), making)
	defer done()
	_, err = e.client.NetworkCreate(ctx, n.Name, client.NetworkCreateOptions{Driver: "bridge",
		IPAM:   &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnet}}},
		Labels: map[string]string{LabelDeployment: p.Name}})
	if err != nil && strings.Contains(err.Error(), "overlap") {
		err = fmt.Errorf("%w: another network there has addresses of %s: choose others with --subnet", err, subnet)
	}
	return change, e.wrong(what, err)
}

// findNetwork reports whether a network of a deployment has the subnet of the plan.
func (e *Engine) findNetwork(ctx context.Context, p *Plan, n *Network, subnet netip.Prefix) (same bool, err error) {
	found, err := e.client.NetworkInspect(ctx, n.Name, client.NetworkInspectOptions{})
	switch {
	case cerrdefs.IsNotFound(err):
		return false, errNoNetwork
	case err != nil:
		return false, err
	case found.Network.Labels[LabelDeployment] != p.Name:
		return false, fmt.Errorf("there is one of this name that is not of the deployment %s: remove it there (docker network rm %s), "+
			"or give the deployment another name", p.Name, n.Name)
	}
	return len(found.Network.IPAM.Config) == 1 && found.Network.IPAM.Config[0].Subnet == subnet, nil
}

// hasNetwork reports whether a network is as planned, or is yet to be made.
func (e *Engine) hasNetwork(ctx context.Context, p *Plan, n *Network) (bool, error) {
	subnet, err := netip.ParsePrefix(n.Subnet)
	if err != nil {
		return false, err
	}
	same, err := e.findNetwork(ctx, p, n, subnet)
	if errors.Is(err, errNoNetwork) {
		return true, nil
	}
	return same, e.wrong("the network "+n.Name, err)
}

// removeNetwork removes a network of a deployment with the containers that are in it, also those that have stopped: they could not
// start any more.
func (e *Engine) removeNetwork(ctx context.Context, p *Plan, name string) error {
	in, err := e.client.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: of(p.Name).Add("network", name)})
	if err != nil {
		return e.wrong("listing containers", err)
	}
	for _, c := range in.Items {
		if err := e.remove(ctx, c.ID, false); err != nil {
			return err
		}
	}
	if _, err = e.client.NetworkRemove(ctx, name, client.NetworkRemoveOptions{}); cerrdefs.IsNotFound(err) {
		return nil
	}
	return e.wrong("removing the network "+name, err)
}

// prepare says what has to be done to make a container of a plan true, and removes one that is not as it should be. Where one carries
// the labels that it would get, the plan's hash among them, it is as it should be.
func (e *Engine) prepare(ctx context.Context, p *Plan, c *Container) (id string, _ Change, err error) {
	what := "the container " + c.Name
	found, err := e.client.ContainerInspect(ctx, c.Name, client.ContainerInspectOptions{})
	switch {
	case cerrdefs.IsNotFound(err):
		return "", Created, nil
	case err != nil:
		return "", "", e.wrong(what, err)
	case found.Container.Config.Labels[LabelDeployment] != p.Name:
		return "", "", e.wrong(what, fmt.Errorf("there is one of this name that is not of the deployment %s: remove it there (docker rm -f %s), "+
			"or give the deployment another name", p.Name, c.Name))
	}
	same, err := e.same(ctx, &found.Container, c, e.labelled(p, c))
	if err != nil {
		return "", "", err
	}
	switch s := found.Container.State; {
	case same && s.Running && !s.Paused:
		return found.Container.ID, Untouched, nil
	case same && s.Status == container.StateExited:
		return found.Container.ID, Started, nil
	}
	// What was created, and not started, may lack its files.
	return "", Replaced, e.remove(ctx, found.Container.ID, false)
}

// make does what is to be done, and returns the container's ID.
func (e *Engine) make(ctx context.Context, p *Plan, c *Container, files []byte, id string, change Change) (_ string, err error) {
	switch change {
	case Untouched:
		return id, nil
	case Started:
		return id, e.start(ctx, c, id)
	}
	if id, err = e.create(ctx, p, c); err != nil {
		return "", err
	}
	if c.Files {
		_, err := e.client.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: FilesDir, Content: bytes.NewReader(files)})
		if err != nil {
			return "", e.wrong("copying files into the container "+c.Name, err)
		}
	}
	return id, e.start(ctx, c, id)
}

// labelled are the labels of a container on this machine.
func (e *Engine) labelled(p *Plan, c *Container) map[string]string {
	labels := p.Labels(c)
	maps.Copy(labels, e.labels)
	return labels
}

// same reports whether a container is what it would become.
func (e *Engine) same(ctx context.Context, found *container.InspectResponse, c *Container, labels map[string]string) (bool, error) {
	for k, v := range labels {
		if found.Config.Labels[k] != v {
			return false, nil
		}
	}
	// A tag may have got another image since.
	image, err := e.client.ImageInspect(ctx, c.Image)
	if cerrdefs.IsNotFound(err) {
		return true, nil
	}
	return err == nil && image.ID == found.Image, e.wrong("looking at the image "+c.Image, err)
}

func (e *Engine) create(ctx context.Context, p *Plan, c *Container) (string, error) {
	limit, grace := int64(pidsLimit), stopGrace
	config := &container.Config{Image: c.Image, Cmd: c.Command, Labels: e.labelled(p, c), StopTimeout: &grace}
	host := &container.HostConfig{
		NetworkMode: "host", CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges"},
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyUnlessStopped},
		LogConfig:     container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": logSize, "max-file": logFiles}},
		Resources: container.Resources{NanoCPUs: int64(c.Limits.CPUs * 1e9), Memory: c.Limits.MemoryBytes, MemorySwap: c.Limits.MemoryBytes,
			PidsLimit: &limit},
	}
	if c.Own { // an image of somebody else may need to write, and has a user and a check of its own or none
		config.User = image.User
		host.ReadonlyRootfs, host.Tmpfs = true, map[string]string{"/tmp": "rw,nosuid,nodev,size=64m,mode=1777"}
		config.Healthcheck = &container.HealthConfig{Test: []string{"CMD", "/p2pfaas", "health", c.Health}, Interval: time.Minute,
			Timeout: 5 * time.Second, Retries: 3}
	}
	if c.Files {
		// The engine copies nothing into a read-only root, but into a volume. The volume is the container's alone, so that no other
		// reads it while it is written.
		host.Mounts = []mount.Mount{{Type: mount.TypeVolume, Source: volume(c), Target: FilesDir,
			VolumeOptions: &mount.VolumeOptions{NoCopy: true, Labels: map[string]string{LabelDeployment: p.Name}}}}
	}
	var networks *network.NetworkingConfig
	if c.Network != "" {
		host.NetworkMode = container.NetworkMode(c.Network)
		at := &network.EndpointSettings{}
		if c.Address != "" {
			address, err := netip.ParseAddr(c.Address)
			if err != nil {
				return "", e.wrong("the container "+c.Name, err)
			}
			at.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: address}
		}
		networks = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{c.Network: at}}
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), making)
	defer done()
	made, err := e.client.ContainerCreate(ctx, client.ContainerCreateOptions{Name: c.Name, Config: config, HostConfig: host, NetworkingConfig: networks})
	for _, w := range made.Warnings {
		if c.Limits.MemoryBytes > 0 && strings.Contains(w, "memory limit capabilities") { // it is an error only where it is asked for
			err = fmt.Errorf("the engine would not keep to the limit of memory: %s Switch it on there (a Raspberry Pi needs cgroup_enable=memory "+
				"in cmdline.txt), or leave the limit out", w)
		}
	}
	if err != nil && made.ID != "" {
		_, removed := e.client.ContainerRemove(ctx, made.ID, client.ContainerRemoveOptions{Force: true})
		err = errors.Join(err, removed)
	}
	return made.ID, e.wrong("creating the container "+c.Name, err)
}

// volume is the name of the one with a container's files.
func volume(c *Container) string { return c.Name + "-files" }

func (e *Engine) start(ctx context.Context, c *Container, id string) error {
	_, err := e.client.ContainerStart(ctx, id, client.ContainerStartOptions{})
	return e.wrong("starting the container "+c.Name, err)
}

// remove removes a container and the volumes of its own, also where it is gone already. Politely, it may finish what runs.
func (e *Engine) remove(ctx context.Context, id string, politely bool) error {
	found, err := e.client.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return e.wrong("the container "+id, err)
	}
	what := "removing the container " + strings.TrimPrefix(found.Container.Name, "/")
	if politely && found.Container.State.Running {
		if _, err := e.client.ContainerStop(ctx, id, client.ContainerStopOptions{}); err != nil && !cerrdefs.IsNotFound(err) {
			return e.wrong(what, err)
		}
	}
	_, err = e.client.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if cerrdefs.IsConflict(err) { // somebody else is removing it
		gone := e.client.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionRemoved})
		select {
		case <-gone.Result:
			err = nil
		case err = <-gone.Error:
		}
	}
	if err != nil && !cerrdefs.IsNotFound(err) {
		return e.wrong(what, err)
	}
	for _, m := range found.Container.Mounts {
		if m.Type != mount.TypeVolume {
			continue
		}
		if _, err := e.client.VolumeRemove(ctx, m.Name, client.VolumeRemoveOptions{}); err != nil && !cerrdefs.IsNotFound(err) {
			return e.wrong("removing the volume "+m.Name, err)
		}
	}
	return nil
}

// watched calls f with a context that also ends when the container stops, or is started again by the engine: then the error has
// the end of its log.
func (e *Engine) watched(ctx context.Context, name, id string, f func(context.Context) error) error {
	first, err := e.client.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return e.wrong("the container "+name, err)
	}
	stopped := errors.New("it has stopped")
	inner, cancel := context.WithCancelCause(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() {
		ticker := time.NewTicker(250 * time.Millisecond)
		defer ticker.Stop()
		for {
			now, err := e.client.ContainerInspect(inner, id, client.ContainerInspectOptions{})
			switch {
			case err != nil:
			case !now.Container.State.Running || now.Container.State.Restarting:
				cancel(fmt.Errorf("%w (exit code %d)", stopped, now.Container.State.ExitCode))
				return
			case now.Container.RestartCount > first.Container.RestartCount: // its exit code is forgotten
				cancel(fmt.Errorf("%w, and was started again", stopped))
				return
			}
			select {
			case <-inner.Done():
				return
			case <-ticker.C:
			}
		}
	})
	err = f(inner)
	cancel(nil)
	watcher.Wait()
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if cause := context.Cause(inner); errors.Is(cause, stopped) {
		err = cause
	}
	late, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer done()
	if log := e.lastWords(late, id); log != "" {
		err = fmt.Errorf("%w; its log ends with:\n%s", err, log)
	}
	return e.wrong("the container "+name, err)
}

// lastWords are the last lines of a container's log; empty where it is not to be had.
func (e *Engine) lastWords(ctx context.Context, id string) string {
	r, err := e.client.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: "5"})
	if err != nil {
		return ""
	}
	defer r.Close()
	var b bytes.Buffer
	_, _ = stdcopy.StdCopy(&b, &b, r) // what has come will do
	return strings.TrimSpace(b.String())
}

// AwaitAnswer waits until a container answers its URL, with whatever status, as its machine calls it. Where the time is up before, or
// it stops, the error has the end of its log.
func (e *Engine) AwaitAnswer(ctx context.Context, c *Container, id string, patience time.Duration) error {
	if c.Health == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return e.watched(ctx, c.Name, id, func(ctx context.Context) error {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		lacks := errors.New("no answer")
		for {
			err := e.answers(ctx, c.Health)
			if err == nil {
				return nil
			}
			if ctx.Err() == nil {
				lacks = err
			}
			select {
			case <-ctx.Done():
				if why := context.Cause(ctx); !errors.Is(why, context.DeadlineExceeded) {
					return why
				}
				return fmt.Errorf("%s does not answer after %v: %w", c.Health, patience, lacks)
			case <-ticker.C:
			}
		}
	})
}

func (e *Engine) answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := e.http.Do(r)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20)) // so that the connection serves again
	return answer.Body.Close()
}

// ContainerState is a container of a deployment, as its engine sees it.
type ContainerState struct {
	Name     string `json:"name"`
	ID       string `json:"id"`
	Role     Role   `json:"role"`
	Node     int    `json:"node"`
	Function string `json:"function,omitempty"`
	Image    string `json:"image"`
	State    string `json:"state"`          // created, running, paused, restarting, removing, exited, dead
	Status   string `json:"status"`         // the same for people: since when
	Plan     string `json:"plan"`           // Plan.Hash of what it was made of
	Host     string `json:"host,omitempty"` // LabelHost
}

// List are the containers of a deployment, those that have stopped among them, by node, the node's own first.
func (e *Engine) List(ctx context.Context, deployment string) ([]ContainerState, error) {
	found, err := e.client.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: of(deployment)})
	if err != nil {
		return nil, e.wrong("listing containers", err)
	}
	var list []ContainerState
	for _, c := range found.Items {
		s := ContainerState{ID: c.ID, Role: Role(c.Labels[LabelRole]), Function: c.Labels[LabelFunction], Image: c.Image, State: string(c.State),
			Status: c.Status, Plan: c.Labels[LabelPlan], Host: c.Labels[LabelHost]}
		if len(c.Names) > 0 {
			s.Name = strings.TrimPrefix(c.Names[0], "/")
		}
		if s.Node, err = strconv.Atoi(c.Labels[LabelNode]); err != nil {
			return nil, e.wrong("the container "+s.Name, fmt.Errorf("its label %s is no number: %w", LabelNode, err))
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b ContainerState) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), -cmp.Compare(a.Role, b.Role), strings.Compare(a.Name, b.Name))
	})
	return list, nil
}

// created is when a container was, by the engine's clock.
func (e *Engine) created(ctx context.Context, id string) (time.Time, error) {
	found, err := e.client.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return time.Time{}, e.wrong("looking at a container", err)
	}
	t, err := time.Parse(time.RFC3339Nano, found.Container.Created)
	return t, e.wrong("looking at a container", err)
}

// of is the filter for what is of a deployment.
func of(deployment string) client.Filters {
	return make(client.Filters).Add("label", LabelDeployment+"="+deployment)
}

// Logs copies what a container says from some time on (the zero time: from the beginning) and, where it is to be followed, until it
// ends or the context does.
func (e *Engine) Logs(ctx context.Context, name string, since time.Time, follow bool, stdout, stderr io.Writer) error {
	o := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: follow}
	if !since.IsZero() {
		o.Since = since.Format(time.RFC3339Nano)
	}
	r, err := e.client.ContainerLogs(ctx, name, o)
	if err != nil {
		return e.wrong("the log of "+name, err)
	}
	defer r.Close()
	if _, err = stdcopy.StdCopy(stdout, stderr, r); ctx.Err() != nil {
		return nil // it was to end
	}
	return e.wrong("the log of "+name, err)
}

// Removed is what an engine has no longer.
type Removed struct {
	Containers []string `json:"containers,omitempty"`
	Networks   []string `json:"networks,omitempty"`
	Volumes    []string `json:"volumes,omitempty"`
}

// Undo removes all that has the label of a deployment. Politely, what runs may be finished. The error says all that could not be
// removed. Images stay.
func (e *Engine) Undo(ctx context.Context, deployment string, politely bool) (r Removed, err error) {
	containers, err := e.List(ctx, deployment)
	if err != nil {
		return r, err
	}
	// Containers take their volumes with them; others may be left.
	volumes, err := e.client.VolumeList(ctx, client.VolumeListOptions{Filters: of(deployment)})
	if err != nil {
		return r, e.wrong("listing volumes", err)
	}
	var mu sync.Mutex
	var problems []error
	gone := func(list *[]string, name string, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			problems = append(problems, err)
			return
		}
		*list = append(*list, name)
	}
	inParallel(len(containers), atOnce, func(i int) {
		gone(&r.Containers, containers[i].Name, e.remove(ctx, containers[i].ID, politely))
	})
	slices.Sort(r.Containers)
	networks, err := e.networksOf(ctx, deployment)
	if err != nil {
		problems = append(problems, err)
	}
	for _, name := range networks {
		_, err := e.client.NetworkRemove(ctx, name, client.NetworkRemoveOptions{})
		if cerrdefs.IsNotFound(err) {
			continue
		}
		gone(&r.Networks, name, e.wrong("removing the network "+name, err))
	}
	for _, v := range volumes.Items {
		_, err := e.client.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{})
		if cerrdefs.IsNotFound(err) {
			err = nil
		}
		gone(&r.Volumes, v.Name, e.wrong("removing the volume "+v.Name, err))
	}
	return r, errors.Join(problems...)
}

// RemoveImages removes the images of a plan that were loaded or built for it, but for those that something else uses, and returns their tags.
func (e *Engine) RemoveImages(ctx context.Context, p *Plan) (removed []string, err error) {
	var tags []string
	for i := range p.Nodes {
		for _, c := range p.Nodes[i].Containers {
			if c.Own {
				tags = append(tags, c.Image)
			}
		}
	}
	for _, i := range p.Images {
		if i.Dir != "" || i.Tar != "" {
			tags = append(tags, i.Tag)
		}
	}
	slices.Sort(tags)
	var problems []error
	for _, tag := range slices.Compact(tags) {
		switch _, err := e.client.ImageRemove(ctx, tag, client.ImageRemoveOptions{PruneChildren: true}); {
		case err == nil:
			removed = append(removed, tag)
		case !cerrdefs.IsNotFound(err) && !cerrdefs.IsConflict(err):
			problems = append(problems, e.wrong("removing the image "+tag, err))
		}
	}
	return removed, errors.Join(problems...)
}

// networksOf are the names of the networks of a deployment.
func (e *Engine) networksOf(ctx context.Context, deployment string) (names []string, err error) {
	found, err := e.client.NetworkList(ctx, client.NetworkListOptions{Filters: of(deployment)})
	for _, n := range found.Items {
		names = append(names, n.Name)
	}
	slices.Sort(names)
	return names, e.wrong("listing networks", err)
}

// has reports whether there is anything of a deployment. A volume is there only beside its container, or as what an undoing left.
func (e *Engine) has(ctx context.Context, deployment string) (bool, error) {
	containers, err := e.client.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: of(deployment)})
	if err != nil {
		return false, e.wrong("listing containers", err)
	}
	networks, err := e.networksOf(ctx, deployment)
	return len(containers.Items)+len(networks) > 0, err
}
