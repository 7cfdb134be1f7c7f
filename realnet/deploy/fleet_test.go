package deploy

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

const equal = `
name: equal
seed: 7
duration: 10s
cluster: {nodes: 3, slots: 2, queue: 5, limits: {cpus: 0.5, memory: 64MiB}}
functions:
  - {name: resize, service: 10ms}
  - {name: faces, service: 10ms, backend: face-detect}
  - {name: hello, service: 20ms, backend: {kind: image, image: "registry.example/hello:1"}}
  - {name: far, service: 5ms, backend: {kind: url, url: "http://192.0.2.1:8080/?$(x)"}}
workload: {rate: 1/s}
scheduler: {name: JSQ, d: 2, max_hops: 2, at_hop_limit: lose}
`

// fleetOf is a scenario's plan, and what manifests need besides.
func fleetOf(t *testing.T, text string) (*Plan, Fleet) {
	t.Helper()
	o := options(t, text)
	o.FunctionCommand = func(_ int, f *scenarios.Function) []string {
		words := []string{"function", f.Backend.Kind, "--bind", "0.0.0.0"}
		if f.Backend.Kind == "sleep" {
			words = append(words, "--scenario", "/scenario/scenario.yaml", "--function", f.Name)
		}
		return words
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p, Fleet{Scenario: o.Scenario, Files: map[string][]byte{"scenario.yaml": []byte("name: equal\n"), "traces/day.csv": {1, 0xff}},
		Image: func(kind string) string { return "registry.example/p2pfaas/" + kind + ":1" }, Token: "a token that the nodes share"}
}

// golden compares files with those of a directory.
func golden(t *testing.T, dir string, got map[string][]byte) {
	t.Helper()
	dir = filepath.Join("testdata", dir)
	if *update {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		for name, text := range got {
			path := filepath.Join(dir, filepath.FromSlash(name))
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, text, 0o666)); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if want[filepath.ToSlash(name)] = true; !bytes.Equal(text, got[filepath.ToSlash(name)]) {
			t.Errorf("%s is\n%s\nwant\n%s", name, got[filepath.ToSlash(name)], text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range got {
		if !want[name] {
			t.Errorf("%s is not among the golden files", name)
		}
	}
}

// decode reads a document with no other fields than those of a type.
func decode[T any](t *testing.T, text []byte) (d T) {
	t.Helper()
	r := yaml.NewDecoder(bytes.NewReader(text))
	r.KnownFields(true)
	if err := r.Decode(&d); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if err := r.Decode(new(any)); !errors.Is(err, io.EOF) {
		t.Fatalf("there is a second document: %v", err)
	}
	return d
}

// The manifests for Kubernetes agree with each other: the service and the set select the pods, every volume that is mounted is there, nobody
// has the port of another.
func TestKubernetes(t *testing.T) {
	p, f := fleetOf(t, equal)
	all, err := p.Kubernetes(f)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "kubernetes", all)
	namespace := decode[kubeObject](t, all["00-namespace.yaml"])
	config := decode[kubeConfigMap](t, all["10-scenario.yaml"])
	secret := decode[kubeSecret](t, all[SecretManifest])
	service := decode[kubeService](t, all["20-discovery.yaml"])
	set := decode[kubeDaemonSet](t, all["30-nodes.yaml"])
	for object, want := range map[*kubeObject]string{&namespace: "v1 Namespace", &config.kubeObject: "v1 ConfigMap", &secret.kubeObject: "v1 Secret", &service.kubeObject: "v1 Service",
		&set.kubeObject: "apps/v1 DaemonSet"} {
		if got := object.APIVersion + " " + object.Kind; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if object != &namespace && object.Metadata.Namespace != namespace.Metadata.Name {
			t.Errorf("the %s is in the namespace %q", want, object.Metadata.Namespace)
		}
	}
	labels := set.Spec.Template.Metadata.Labels
	for name, selector := range map[string]map[string]string{"service": service.Spec.Selector, "set": set.Spec.Selector.MatchLabels} {
		for k, v := range selector {
			if len(selector) == 0 || labels[k] != v {
				t.Errorf("the %s selects %v, and pods have %v", name, selector, labels)
			}
		}
	}
	pod := set.Spec.Template.Spec
	volumes := map[string]bool{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = true
		kinds := 0
		for _, is := range []bool{v.EmptyDir != nil, v.ConfigMap != nil, v.Secret != nil} {
			if is {
				kinds++
			}
		}
		if kinds != 1 || v.Secret != nil && (v.Secret.SecretName != secret.Metadata.Name || secret.StringData["token"] != f.Token) {
			t.Errorf("the volume %s is not of one kind, or its secret another one: %+v", v.Name, v.Secret)
		}
		if v.ConfigMap == nil {
			continue
		}
		if v.ConfigMap.Name != config.Metadata.Name || len(v.ConfigMap.Items) != len(config.Data)+len(config.BinaryData) {
			t.Errorf("the volume is %+v of %s", v.ConfigMap, config.Metadata.Name)
		}
		for _, i := range v.ConfigMap.Items {
			if config.Data[i.Key] == "" && config.BinaryData[i.Key] == "" {
				t.Errorf("there is no key %s for %s", i.Key, i.Path)
			}
		}
	}
	if config.BinaryData["file-1"] != "Af8=" {
		t.Errorf("what is no text is %q", config.BinaryData)
	}
	ports, names := map[string]string{}, map[string]bool{}
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		if names[c.Name] || !kubeName.MatchString(c.Name) {
			t.Errorf("two containers are called %s", c.Name)
		}
		names[c.Name] = true
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("%s mounts %s, which is not there", c.Name, m.Name)
			}
		}
		for _, x := range c.Ports {
			at := x.Protocol + " " + string(rune(x.ContainerPort))
			if other := ports[at]; other != "" || x.HostPort != x.ContainerPort || len(x.Name) > 15 {
				t.Errorf("%s has %+v, and so has %q", c.Name, x, other)
			}
			ports[at] = c.Name
		}
		if c.SecurityContext.AllowPrivilegeEscalation || !reflect.DeepEqual(c.SecurityContext.Capabilities, map[string][]string{"drop": {"ALL"}}) {
			t.Errorf("%s may %+v", c.Name, c.SecurityContext)
		}
		if !reflect.DeepEqual(c.Resources.Limits, map[string]string{"cpu": "500m", "memory": "67108864"}) {
			t.Errorf("%s has %v", c.Name, c.Resources)
		}
	}
	if len(names) != 4 || pod.TerminationGracePeriod <= 30 {
		t.Errorf("containers %v, grace %d s", names, pod.TerminationGracePeriod)
	}
	if !reflect.DeepEqual(flagsOf(pod.Containers[0].Args)["--init-servers"], []string{service.Metadata.Name + "." + service.Metadata.Namespace + ".svc"}) {
		t.Errorf("the nodes find each other by %q", pod.Containers[0].Args)
	}
	for name, text := range all {
		if name != SecretManifest && bytes.Contains(text, []byte(f.Token)) {
			t.Errorf("%s shows the token", name)
		}
	}
	for _, c := range pod.InitContainers {
		for _, m := range c.VolumeMounts {
			if m.Name == kubeToken {
				t.Errorf("the function %s has the token", c.Name)
			}
		}
	}
	checkFleetNode(t, f, pod.Containers[0].Args)
}

// flagsOf are the values of flags in arguments.
func flagsOf(words []string) map[string][]string {
	flags := map[string][]string{}
	for i := 1; i+1 < len(words); i += 2 {
		flags[words[i]] = append(flags[words[i]], words[i+1])
	}
	return flags
}

// checkFleetNode checks that the plain settings of a node say what the scenario says.
func checkFleetNode(t *testing.T, f Fleet, words []string) {
	t.Helper()
	flags := flagsOf(words)
	d, err := realnet.ParseDescriptor(flags["--scheduler"][0], core.Forwarding{})
	if err != nil || d.Forwarding == nil || *d.Forwarding != f.Scenario.Scheduler.Forwarding || d.Name != "JSQ" || d.Named["d"] != 2.0 {
		t.Errorf("the scheduler is %s, %v", d, err)
	}
	for flag, want := range map[string][]string{"--slots": {"2"}, "--queue": {"5"}, "--task-types": {"4"}, "--seed": {"7"},
		"--function": {"resize=http://127.0.0.1:19100/", "faces=http://127.0.0.1:19101/", "hello=http://127.0.0.1:8080/", "far=http://192.0.2.1:8080/?$$(x)"}} {
		if !slices.Equal(flags[flag], want) {
			t.Errorf("%s is %q, want %q", flag, flags[flag], want)
		}
	}
}

func TestBalena(t *testing.T) {
	p, f := fleetOf(t, equal)
	f.InitServers = []string{"192.0.2.10", "first.example"}
	all, err := p.Balena(f)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "balena", all)
	file := decode[balenaFile](t, all["docker-compose.yml"])
	if got := slices.Sorted(maps.Keys(file.Services)); !slices.Equal(got, []string{"function-faces", "function-hello", "function-resize", "node"}) {
		t.Errorf("services %q", got)
	}
	for name, s := range file.Services {
		if (s.Image == "") == (s.Build == "") || s.NetworkMode != "host" || s.CPUQuota != 50_000 || s.MemLimit != "67108864b" {
			t.Errorf("%s is %+v", name, s)
		}
		if s.Build != "" && all[filepath.ToSlash(filepath.Join(s.Build, "Dockerfile"))] == nil {
			t.Errorf("%s is built in %s, which has no Dockerfile", name, s.Build)
		}
		for _, v := range s.Volumes {
			volume, _, _ := strings.Cut(v, ":")
			if _, there := file.Volumes[volume]; !there {
				t.Errorf("%s mounts %s, which is not there", name, v)
			}
		}
	}
	checkFleetNode(t, f, file.Services["node"].Command)

	// Without addresses, the fleet's variable is to say them.
	f.InitServers = nil
	all, err = p.Balena(f)
	if text := string(all["docker-compose.yml"]); err != nil || strings.Contains(text, "--init-servers") || !strings.Contains(text, "P2PFAAS_NODE_INIT_SERVERS") {
		t.Errorf("%v\n%s", err, text)
	}
	// A function with a Dockerfile of its own is built from it.
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	p, f = fleetOf(t, strings.Replace(equal, "registry.example/hello:1", dir, 1))
	if all, err = p.Balena(f); err != nil {
		t.Fatal(err)
	}
	if s := decode[balenaFile](t, all["docker-compose.yml"]).Services["function-hello"]; s.Build != "./build/hello" || s.Image != "" {
		t.Errorf("it is %+v", s)
	}
	if _, err := p.Kubernetes(f); err == nil || !strings.Contains(err.Error(), "push it to one") {
		t.Errorf("Kubernetes builds a directory: %v", err)
	}
}

// What machines that are all alike cannot do is refused by name, all at once.
func TestFleetRefuses(t *testing.T) {
	with := func(of ...string) string { return strings.NewReplacer(of...).Replace(equal) }
	for text, says := range map[string][]string{
		with("nodes: 3", "nodes: 3, topology: ring, links: {latency: 5ms}, speed: 2, discipline: lifo, abandon: true, cloud: {link: {latency: 20ms}}"): {
			"cluster.topology: ", "cluster.speed: ", "cluster.discipline: ", "cluster.abandon: ", "cluster.cloud: ", "cluster.links: ", "p2pfaas deploy --hosts"},
		with("nodes: 3", "nodes: 3, links: {latency: 5ms}"):                                                        {"cluster.links: "},
		with("nodes: 3", "nodes: 3, links: {bandwidth: 1Mbit/s}"):                                                  {"cluster.links: "},
		with("nodes: 3,", "groups: [{name: a, nodes: 1}, {name: b, nodes: 1}],"):                                   {"cluster.groups: "},
		with("backend: face-detect", `backend: {kind: image, image: "x:1"}`):                                       {`functions ["faces" "hello"]`, "port 8080"},
		with("name: JSQ, d: 2, max_hops: 2, at_hop_limit: lose", "name: RoundRobinWithMasterScheduler, master: 1"): {"scheduler.master: "},
		with("name: JSQ, d: 2, max_hops: 2, at_hop_limit: lose", "name: LLg"):                                      {"scheduler.service: 0s: ", "--set scheduler.service=11.25ms"},
		with("name: JSQ, d: 2, max_hops: 2, at_hop_limit: lose", "name: Redundancy", "service: 10ms}", "service: {distribution: exponential, mean: 10ms}}"): {
			"functions.resize.replicas: iid: ", "--set functions.resize.replicas=same"},
	} {
		p, f := fleetOf(t, text)
		for _, write := range []func(Fleet) (map[string][]byte, error){p.Kubernetes, p.Balena} {
			_, err := write(f)
			for _, say := range says {
				if err == nil || !strings.Contains(err.Error(), say) {
					t.Errorf("%s\nis refused with\n%v\nwant %q", text, err, say)
				}
			}
		}
	}

	// What they then can do.
	for _, text := range []string{
		with("name: JSQ, d: 2, max_hops: 2, at_hop_limit: lose", "name: LLg, service: 11.25ms"),
		with("name: JSQ, d: 2, max_hops: 2, at_hop_limit: lose", "name: Redundancy", "service: 10ms}", "service: {distribution: exponential, mean: 10ms}, replicas: same}"),
		with("name: JSQ, d: 2, max_hops: 2, at_hop_limit: lose", "name: Redundancy"), // all take the same time
		with("service: 10ms}", "service: {distribution: exponential, mean: 10ms}}"),  // there are no copies
	} {
		p, f := fleetOf(t, text)
		if _, err := p.Kubernetes(f); err != nil {
			t.Errorf("%s\nis refused with\n%v", text, err)
		}
	}

	// Functions that not every node has.
	p, f := fleetOf(t, equal)
	p.Nodes[1].Containers = p.Nodes[1].Containers[:2]
	if _, err := p.Kubernetes(f); err == nil || !strings.Contains(err.Error(), `the places of ["faces" "hello"]`) {
		t.Errorf("a placement: %v", err)
	}

	p, f = fleetOf(t, equal)
	f.Files["big.csv"] = make([]byte, 1<<20)
	if _, err := p.Kubernetes(f); err == nil || !strings.Contains(err.Error(), "a ConfigMap of Kubernetes holds 1048576") {
		t.Errorf("a megabyte and more: %v", err)
	}
	p, f = fleetOf(t, strings.Replace(equal, "name: resize", "name: Re_size", 1))
	if _, err := p.Kubernetes(f); err == nil || !strings.Contains(err.Error(), "functions.Re_size: ") {
		t.Errorf("a name that is none: %v", err)
	}
	p.Name = "my_name"
	if _, err := p.Kubernetes(f); err == nil || !strings.Contains(err.Error(), `"my_name"`) {
		t.Errorf("a name that is none: %v", err)
	}
}
