package deploy

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet"
)

// fakeHost is a machine with a fake engine.
func fakeHost(t *testing.T, name string, answers map[string]http.HandlerFunc) (*Engine, *fakeEngine) {
	t.Helper()
	f := goodEngine(t)
	f.answers = answers
	m := goodDaemon(t, f).machine(t)
	m.Name = name
	e, err := connect(t, m)
	if err != nil {
		t.Fatal(err)
	}
	return e, f
}

// A full disk says so, wherever it is found.
func TestFullDisk(t *testing.T) {
	const full = "write /blobs/sha256/0: no space left on device"
	open := func([]string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("an image")), nil }
	e, f := fakeHost(t, "pi", nil)
	for name, answer := range map[string]http.HandlerFunc{
		"refused":   refuse(http.StatusInternalServerError, "Error processing tar file(exit status 1): "+full),
		"in stream": give(`{"stream":"loading"}{"errorDetail":{"message":"` + full + `"},"error":"` + full + `"}`),
	} {
		f.answers = map[string]http.HandlerFunc{"POST /images/load": answer}
		_, err := e.Load(t.Context(), []string{"p/x:1"}, open)
		t.Log(name)
		fails(t, err, "loading p/x:1", "its disk is full", "docker image prune", full)
	}
	f.answers = map[string]http.HandlerFunc{"POST /containers/create": refuse(http.StatusInternalServerError, "mkdir /var/lib/docker/x: no space left on device")}
	_, err := e.create(t.Context(), &Plan{Name: "x"}, &Container{Name: "x-node-0", Image: "p/x:1"})
	fails(t, err, "creating the container x-node-0", "its disk is full")
}

// Only images that are missing are loaded, and only such as the machine runs.
func TestLoad(t *testing.T) {
	there := map[string]bool{"p/a:1": true}
	architecture, loads := "arm64", 0
	answers := map[string]http.HandlerFunc{"POST /images/load": func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if loads++; string(text) == "p/b:1,p/c:1" {
			there["p/b:1"], there["p/c:1"] = true, true
		}
		give(`{"stream":"Loaded image: p/b:1\n"}`)(w, r)
	}}
	for _, tag := range []string{"p/a:1", "p/b:1", "p/c:1", "p/d:1"} {
		answers["GET /images/"+tag+"/json"] = func(w http.ResponseWriter, r *http.Request) {
			if !there[tag] {
				refuse(http.StatusNotFound, "No such image")(w, r)
				return
			}
			reply(w, http.StatusOK, map[string]string{"Id": "sha256:0", "Os": "linux", "Architecture": architecture})
		}
	}
	e, _ := fakeHost(t, "pi", answers)
	open := func(missing []string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(strings.Join(missing, ","))), nil
	}
	tags := []string{"p/a:1", "p/b:1", "p/c:1"}
	if got, err := e.Load(t.Context(), tags, open); err != nil || !slices.Equal(got, tags[1:]) {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := e.Load(t.Context(), tags, open); err != nil || len(got) > 0 || loads != 1 {
		t.Errorf("the second time got %q, %v, in %d loads", got, err, loads)
	}
	_, err := e.Load(t.Context(), []string{"p/d:1"}, open)
	fails(t, err, "has read something else", "Loaded image: p/b:1")
	there["p/c:1"], there["p/b:1"], architecture = false, false, "amd64"
	_, err = e.Load(t.Context(), tags, open)
	fails(t, err, "the architecture linux/amd64, and the machine's is linux/arm64")
	_, err = e.Load(t.Context(), []string{"p/d:1"}, func([]string) (io.ReadCloser, error) { return nil, errors.New("nothing is packed") })
	fails(t, err, "nothing is packed")
}

// A failing build shows the end of what it said; what .dockerignore names stays here.
func TestBuild(t *testing.T) {
	dir := t.TempDir()
	e, f := fakeHost(t, "pi", nil)
	_, err := e.Build(t.Context(), "p/f:1", dir)
	fails(t, err, "building the image p/f:1 from "+dir, "Dockerfile")
	for name, text := range map[string]string{"Dockerfile": "FROM scratch\n", ".dockerignore": "# none\nsecret\nDockerfile\n", "secret": "x", "data": "y"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var sent []string
	f.answers = map[string]http.HandlerFunc{"POST /build": func(w http.ResponseWriter, r *http.Request) {
		for content := tar.NewReader(r.Body); ; {
			h, err := content.Next()
			if err != nil {
				break
			}
			sent = append(sent, h.Name)
		}
		give(`{"stream":"Step 1/2 : FROM scratch\n"}{"stream":"make: no rule\n"}{"errorDetail":{"message":"returned a non-zero code: 2"}}`)(w, r)
	}}
	_, err = e.Build(t.Context(), "p/f:1", dir)
	fails(t, err, "returned a non-zero code: 2", "make: no rule")
	slices.Sort(sent)
	if want := []string{".dockerignore", "Dockerfile", "data"}; !slices.Equal(sent, want) {
		t.Errorf("the engine got %q, want %q", sent, want)
	}
	f.answers = map[string]http.HandlerFunc{"POST /images/create": refuse(http.StatusNotFound, "pull access denied")}
	_, err = e.Pull(t.Context(), "p/f:1")
	fails(t, err, "pulling the image p/f:1", "pull access denied", "docker save")
}

// smallPlan has a function and a node on each of some machines.
func smallPlan(t *testing.T, machines int) *Plan {
	t.Helper()
	p := &Plan{Name: "x", Files: t.TempDir()}
	for i := range machines {
		network := fmt.Sprintf("p2pfaas-x-%d", i)
		p.Networks = append(p.Networks, Network{network, i, fmt.Sprintf("172.29.%d.0/24", i)})
		node := fmt.Sprintf("x-node-%d", i)
		p.Nodes = append(p.Nodes, Node{Number: i, Host: i, Place: realnet.Place{IP: "127.0.0.1", Scheduler: 1},
			Containers: []Container{{Name: node, Role: RoleNode, Node: i, Image: "p/node:1", Own: true},
				{Name: node + "-f", Role: RoleFunction, Node: i, Image: "p/f:1", Own: true, Network: network}}})
	}
	return p
}

// ofHost are answers of an engine that remembers its network.
func ofHost(more map[string]http.HandlerFunc) map[string]http.HandlerFunc {
	var mu = make(chan struct{}, 1)
	networks := map[string]map[string]any{}
	locked := func(f http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			mu <- struct{}{}
			defer func() { <-mu }()
			f(w, r)
		}
	}
	a := map[string]http.HandlerFunc{
		"GET /images/p/node:1/json": give(map[string]string{"Os": "linux", "Architecture": "arm64"}),
		"GET /images/p/f:1/json":    give(map[string]string{"Os": "linux", "Architecture": "arm64"}),
		"POST /networks/create": locked(func(w http.ResponseWriter, r *http.Request) {
			n := map[string]any{}
			_ = json.NewDecoder(r.Body).Decode(&n)
			networks[n["Name"].(string)] = n
			reply(w, http.StatusCreated, map[string]string{"Id": "1"})
		}),
		"GET /networks": locked(func(w http.ResponseWriter, _ *http.Request) {
			list := []map[string]any{}
			for _, n := range networks {
				list = append(list, n)
			}
			reply(w, http.StatusOK, list)
		}),
	}
	for i := range 3 {
		name := fmt.Sprintf("p2pfaas-x-%d", i)
		a["DELETE /networks/"+name] = locked(func(w http.ResponseWriter, _ *http.Request) {
			delete(networks, name)
			w.WriteHeader(http.StatusNoContent)
		})
	}
	for call, f := range more {
		a[call] = f
	}
	return a
}

// The errors of all machines are reported, and nothing is left on any.
func TestFailedDeploymentIsUndone(t *testing.T) {
	full := refuse(http.StatusInternalServerError, "no space left on device")
	a, fa := fakeHost(t, "a", ofHost(map[string]http.HandlerFunc{"POST /containers/create": full}))
	b, fb := fakeHost(t, "b", ofHost(map[string]http.HandlerFunc{"GET /images/p/f:1/json": refuse(http.StatusNotFound, "No such image"),
		"POST /images/load": full}))
	c, fc := fakeHost(t, "c", ofHost(map[string]http.HandlerFunc{"POST /containers/create": refuse(http.StatusConflict, "invalid IP address")}))
	var steps []Progress
	images := func(tags []string, _ string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(strings.Join(tags, ","))), nil
	}
	reports, err := Hosts(t.Context(), smallPlan(t, 3), []*Engine{a, b, c},
		HostsOptions{Images: images, Progress: func(p Progress) { steps = append(steps, p) }})
	if err == nil {
		t.Fatal("there is no error")
	}
	for _, w := range []string{"a: creating the container x-node-0-f: its disk is full", "b: loading p/f:1: its disk is full",
		"c: creating the container x-node-2-f: Error response from daemon: invalid IP address"} {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
	for i, f := range []*fakeEngine{fa, fb, fc} {
		made, removed := f.count("POST /networks/create"), f.count(fmt.Sprintf("DELETE /networks/p2pfaas-x-%d", i))
		if reports[i].Undone == nil || made != removed || (made == 0) != (i == 1) {
			t.Errorf("host %s: %d networks were made and %d removed: %+v", reports[i].Host, made, removed, reports[i].Undone)
		}
	}
	if !slices.Contains(steps, Progress{"a", "created the network p2pfaas-x-0", 2, 5}) {
		t.Errorf("the steps were %v", steps)
	}
}

// What was there before stays, whatever comes.
func TestFailedDeploymentOfBeforeStays(t *testing.T) {
	e, f := fakeHost(t, "a", ofHost(map[string]http.HandlerFunc{"POST /containers/create": refuse(http.StatusConflict, "no"),
		"GET /networks": give([]map[string]any{{"Name": "p2pfaas-x-0", "Labels": map[string]string{LabelDeployment: "x"}}}),
		"GET /networks/p2pfaas-x-0": give(map[string]any{"Name": "p2pfaas-x-0", "Labels": map[string]string{LabelDeployment: "x"},
			"IPAM": map[string]any{"Config": []map[string]string{{"Subnet": "172.29.0.0/24"}}}})}))
	reports, err := Hosts(t.Context(), smallPlan(t, 1), []*Engine{e}, HostsOptions{})
	if err == nil || reports[0].Undone != nil || f.count("DELETE /networks/p2pfaas-x-0") > 0 || f.count("POST /networks/create") > 0 {
		t.Errorf("the error is %v, the report %+v", err, reports[0])
	}
}

// An interrupted deployment is undone, too, after the call that makes something has ended.
func TestInterruptedDeploymentIsUndone(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	made := false
	e, f := fakeHost(t, "a", ofHost(map[string]http.HandlerFunc{"POST /containers/create": func(w http.ResponseWriter, r *http.Request) {
		interrupt()
		time.Sleep(50 * time.Millisecond)
		made = true
		reply(w, http.StatusCreated, map[string]string{"Id": "1"})
	}}))
	f.answers["GET /containers/json"] = func(w http.ResponseWriter, r *http.Request) {
		if ctx.Err() != nil && !made {
			t.Error("it was undone while something was made")
		}
		reply(w, http.StatusOK, []string{})
	}
	reports, err := Hosts(ctx, smallPlan(t, 1), []*Engine{e}, HostsOptions{})
	if !errors.Is(err, context.Canceled) || reports[0].Undone == nil || !slices.Equal(reports[0].Undone.Networks, []string{"p2pfaas-x-0"}) {
		t.Errorf("the error is %v, the report %+v", err, reports[0])
	}
}

// What somebody else made under the same name is not touched.
func TestNamesOfOthers(t *testing.T) {
	e, f := fakeHost(t, "pi", map[string]http.HandlerFunc{
		"GET /networks/n":        give(map[string]any{"Name": "n", "Labels": map[string]string{LabelDeployment: "another"}}),
		"GET /containers/c/json": give(map[string]any{"Id": "1", "State": map[string]any{"Running": true}, "Config": map[string]any{}})})
	p := &Plan{Name: "x"}
	_, err := e.network(t.Context(), p, &Network{Name: "n", Subnet: "172.29.0.0/24"})
	fails(t, err, "not of the deployment x", "docker network rm n")
	_, _, err = e.prepare(t.Context(), p, &Container{Name: "c"})
	fails(t, err, "not of the deployment x", "docker rm -f c")
	f.answers["GET /networks/n"] = refuse(http.StatusNotFound, "none")
	f.answers["POST /networks/create"] = refuse(http.StatusForbidden, "Pool overlaps with other one on this address space")
	_, err = e.network(t.Context(), p, &Network{Name: "n", Subnet: "172.29.0.0/24"})
	fails(t, err, "choose others with --subnet")
}

// A container is what its labels, its image and its state say.
func TestPrepare(t *testing.T) {
	p := &Plan{Name: "x", Files: t.TempDir()}
	c := &Container{Name: "x-node-0", Role: RoleNode, Image: "p/node:1", Own: true}
	e, f := fakeHost(t, "pi", nil)
	for _, k := range []struct {
		what, state, image string
		other              map[string]string // labels
		want               Change
	}{
		{"as it should be", "running", "sha256:1", nil, Untouched},
		{"stopped", "exited", "sha256:1", nil, Started},
		{"without its files, maybe", "created", "sha256:1", nil, Replaced},
		{"paused", "paused", "sha256:1", nil, Replaced},
		{"of another plan", "running", "sha256:1", map[string]string{LabelPlan: "0"}, Replaced},
		{"of another host", "exited", "sha256:1", map[string]string{LabelHost: "other"}, Replaced},
		{"of an image of before", "running", "sha256:0", nil, Replaced},
		{"of nobody", "", "", nil, Created},
	} {
		labels := e.labelled(p, c)
		for name, value := range k.other {
			labels[name] = value
		}
		f.answers = map[string]http.HandlerFunc{"GET /images/p/node:1/json": give(map[string]string{"Id": "sha256:1"})}
		removed := 0
		if k.state != "" {
			f.answers["GET /containers/x-node-0/json"] = give(map[string]any{"Id": "1", "Name": "/x-node-0", "Image": k.image,
				"State":  map[string]any{"Status": k.state, "Running": k.state == "running" || k.state == "paused", "Paused": k.state == "paused"},
				"Config": map[string]any{"Labels": labels}})
			f.answers["GET /containers/1/json"] = f.answers["GET /containers/x-node-0/json"]
			f.answers["DELETE /containers/1"] = func(w http.ResponseWriter, _ *http.Request) {
				removed++
				w.WriteHeader(http.StatusNoContent)
			}
		}
		id, got, err := e.prepare(t.Context(), p, c)
		if err != nil || got != k.want || (removed == 1) != (got == Replaced) || (id == "1") != (got == Untouched || got == Started) {
			t.Errorf("one %s: %s, %d removed, ID %q, %v", k.what, got, removed, id, err)
		}
	}
}

// A container that the plan has on another host goes, unless that host is this machine, too; so does one that the plan does not have.
func TestContainersOfAnEarlierPlan(t *testing.T) {
	container := func(id, host string) map[string]any {
		return map[string]any{"Id": id, "Names": []string{"/" + id}, "Labels": map[string]string{LabelNode: "0", LabelHost: host}}
	}
	a, fa := fakeHost(t, "a", ofHost(nil))
	b, _ := fakeHost(t, "b", ofHost(nil))
	fa.answers["GET /containers/json"] = give([]any{container("x-node-0", "a"), container("x-node-1", "b"), container("x-node-1-f", "before"),
		container("x-node-2", "a")})
	var gone []string
	for _, id := range []string{"x-node-0", "x-node-1", "x-node-1-f", "x-node-2"} {
		fa.answers["GET /containers/"+id+"/json"] = give(map[string]any{"Id": id, "Name": "/" + id, "State": map[string]any{}})
		fa.answers["DELETE /containers/"+id] = func(w http.ResponseWriter, _ *http.Request) {
			gone = append(gone, id)
			w.WriteHeader(http.StatusNoContent)
		}
	}
	d := &hostsDeployment{plan: smallPlan(t, 2)}
	for i, e := range []*Engine{a, b} {
		d.machines = append(d.machines, &machineDeployment{hostsDeployment: d, engine: e, index: i})
		d.machines[i].outline()
	}
	if err := d.machines[0].removeOthers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"x-node-1-f", "x-node-2"}; !slices.Equal(gone, want) || !slices.Equal(d.machines[0].report.Removed, want) {
		t.Errorf("removed %q, reported %q, want %q", gone, d.machines[0].report.Removed, want)
	}
}

// A limit that an engine would not keep to is an error.
func TestLimitThatIsDiscarded(t *testing.T) {
	e, f := fakeHost(t, "pi", map[string]http.HandlerFunc{"POST /containers/create": give(map[string]any{"Id": "1", "Warnings": []string{
		"Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded."}})})
	c := &Container{Name: "x-node-0", Image: "p/node:1"}
	if _, err := e.create(t.Context(), &Plan{Name: "x"}, c); err != nil {
		t.Errorf("without a limit: %v", err)
	}
	c.Limits.MemoryBytes = 1 << 30
	_, err := e.create(t.Context(), &Plan{Name: "x"}, c)
	fails(t, err, "would not keep to the limit", "Limitation discarded", "cgroup_enable=memory")
	if f.count("POST /containers/create") != 2 {
		t.Error("it was not tried")
	}
}

// Images that were brought for a plan are removed when that is asked for, unless they are in use.
func TestRemoveImages(t *testing.T) {
	e, f := fakeHost(t, "pi", map[string]http.HandlerFunc{
		"DELETE /images/p/node:1": give([]any{}),
		"DELETE /images/p/f:1":    refuse(http.StatusConflict, "image is being used by running container"),
		"DELETE /images/t:1":      refuse(http.StatusInternalServerError, "no such luck")})
	p := smallPlan(t, 2)
	p.Images = []FunctionImage{{Tag: "pulled:1"}, {Tag: "t:1", Tar: "t.tar"}, {Tag: "gone:1", Dir: "f"}}
	removed, err := e.RemoveImages(t.Context(), p)
	fails(t, err, "removing the image t:1", "no such luck")
	if !slices.Equal(removed, []string{"p/node:1"}) || f.count("DELETE /images/pulled:1") > 0 {
		t.Errorf("removed %q", removed)
	}
}

// The engine of this machine is the one that $DOCKER_HOST says.
func TestThisMachine(t *testing.T) {
	f := goodEngine(t)
	t.Setenv("DOCKER_HOST", "unix://"+f.socket)
	e, err := ThisMachine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if e.Platform != "linux/arm64" {
		t.Errorf("the platform is %s", e.Platform)
	}
	for host, want := range map[string]string{"unix:///nowhere": "start Docker, or let $DOCKER_HOST say where it is", "ssh://pi": "hosts file",
		"nonsense": "$DOCKER_HOST"} {
		t.Setenv("DOCKER_HOST", host)
		if _, err := ThisMachine(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", host, err)
		}
	}
}
