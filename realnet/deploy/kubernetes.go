package deploy

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/image"
)

// The manifests of a plan for Kubernetes. The fields are those of its API, as far as they are used: its module is large for that.
// The golden files decode strictly into the types of k8s.io/api v0.37.

type kubeMeta struct {
	Name        string            `yaml:"name,omitempty"`
	Namespace   string            `yaml:"namespace,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

type kubeObject struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   kubeMeta `yaml:"metadata"`
}

type kubeConfigMap struct {
	kubeObject `yaml:",inline"`
	Data       map[string]string `yaml:"data,omitempty"`
	BinaryData map[string]string `yaml:"binaryData,omitempty"` // in base64
}

type kubeSecret struct {
	kubeObject `yaml:",inline"`
	Type       string            `yaml:"type"`
	StringData map[string]string `yaml:"stringData"`
}

type kubeService struct {
	kubeObject `yaml:",inline"`
	Spec       struct {
		ClusterIP       string            `yaml:"clusterIP"`
		PublishNotReady bool              `yaml:"publishNotReadyAddresses"`
		Selector        map[string]string `yaml:"selector"`
		Ports           []kubeServicePort `yaml:"ports"`
	} `yaml:"spec"`
}

type kubeServicePort struct {
	Name     string `yaml:"name"`
	Port     int    `yaml:"port"`
	Protocol string `yaml:"protocol"`
}

type kubeDaemonSet struct {
	kubeObject `yaml:",inline"`
	Spec       struct {
		Selector       kubeSelector `yaml:"selector"`
		UpdateStrategy kubeUpdate   `yaml:"updateStrategy"`
		Template       struct {
			Metadata kubeMeta `yaml:"metadata"`
			Spec     kubePod  `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

type kubeSelector struct {
	MatchLabels map[string]string `yaml:"matchLabels"`
}

type kubeUpdate struct {
	Type          string            `yaml:"type"`
	RollingUpdate map[string]string `yaml:"rollingUpdate"`
}

type kubePod struct {
	HostNetwork            bool              `yaml:"hostNetwork"`
	DNSPolicy              string            `yaml:"dnsPolicy"`
	EnableServiceLinks     bool              `yaml:"enableServiceLinks"`
	AutomountToken         bool              `yaml:"automountServiceAccountToken"`
	TerminationGracePeriod int               `yaml:"terminationGracePeriodSeconds"`
	NodeSelector           map[string]string `yaml:"nodeSelector"`
	SecurityContext        kubePodSecurity   `yaml:"securityContext"`
	InitContainers         []kubeContainer   `yaml:"initContainers,omitempty"`
	Containers             []kubeContainer   `yaml:"containers"`
	Volumes                []kubeVolume      `yaml:"volumes"`
}

type kubePodSecurity struct {
	RunAsNonRoot bool              `yaml:"runAsNonRoot"`
	RunAsUser    int               `yaml:"runAsUser"`
	RunAsGroup   int               `yaml:"runAsGroup"`
	FSGroup      int               `yaml:"fsGroup"`
	Seccomp      map[string]string `yaml:"seccompProfile,flow"`
}

type kubeContainer struct {
	Name            string        `yaml:"name"`
	Image           string        `yaml:"image"`
	RestartPolicy   string        `yaml:"restartPolicy,omitempty"`
	Args            []string      `yaml:"args,omitempty"`
	Env             []kubeEnv     `yaml:"env,omitempty"`
	Ports           []kubePort    `yaml:"ports"`
	Resources       kubeResources `yaml:"resources,omitempty"`
	SecurityContext kubeSecurity  `yaml:"securityContext"`
	StartupProbe    *kubeProbe    `yaml:"startupProbe,omitempty"`
	ReadinessProbe  *kubeProbe    `yaml:"readinessProbe,omitempty"`
	LivenessProbe   *kubeProbe    `yaml:"livenessProbe,omitempty"`
	VolumeMounts    []kubeMount   `yaml:"volumeMounts,omitempty"`
}

type kubeEnv struct {
	Name      string `yaml:"name"`
	ValueFrom struct {
		FieldRef struct {
			FieldPath string `yaml:"fieldPath"`
		} `yaml:"fieldRef"`
	} `yaml:"valueFrom"`
}

type kubePort struct {
	Name          string `yaml:"name"`
	ContainerPort int    `yaml:"containerPort"`
	HostPort      int    `yaml:"hostPort"`
	Protocol      string `yaml:"protocol"`
}

type kubeResources struct {
	Requests map[string]string `yaml:"requests,omitempty"`
	Limits   map[string]string `yaml:"limits,omitempty"`
}

type kubeSecurity struct {
	AllowPrivilegeEscalation bool                `yaml:"allowPrivilegeEscalation"`
	ReadOnlyRootFilesystem   bool                `yaml:"readOnlyRootFilesystem"`
	Capabilities             map[string][]string `yaml:"capabilities,flow"`
}

type kubeProbe struct {
	HTTPGet          *kubeHTTPGet        `yaml:"httpGet,omitempty"`
	TCPSocket        map[string]int      `yaml:"tcpSocket,omitempty"`
	Exec             map[string][]string `yaml:"exec,omitempty,flow"`
	PeriodSeconds    int                 `yaml:"periodSeconds"`
	TimeoutSeconds   int                 `yaml:"timeoutSeconds"`
	FailureThreshold int                 `yaml:"failureThreshold"`
}

type kubeHTTPGet struct {
	Host string `yaml:"host,omitempty"`
	Path string `yaml:"path"`
	Port int    `yaml:"port"`
}

type kubeMount struct {
	Name      string `yaml:"name"`
	MountPath string `yaml:"mountPath"`
	ReadOnly  bool   `yaml:"readOnly,omitempty"`
}

type kubeVolume struct {
	Name      string            `yaml:"name"`
	EmptyDir  *kubeEmptyDir     `yaml:"emptyDir,omitempty"`
	ConfigMap *kubeConfigVolume `yaml:"configMap,omitempty"`
	Secret    *kubeSecretVolume `yaml:"secret,omitempty"`
}

type kubeEmptyDir struct {
	SizeLimit string `yaml:"sizeLimit"`
}

type kubeConfigVolume struct {
	Name  string         `yaml:"name"`
	Items []kubeKeyPaths `yaml:"items"`
}

type kubeSecretVolume struct {
	SecretName  string `yaml:"secretName"`
	DefaultMode int    `yaml:"defaultMode"`
}

type kubeKeyPaths struct {
	Key  string `yaml:"key"`
	Path string `yaml:"path"`
}

// Names of what a namespace has; each deployment has one of its own.
const (
	kubeNodes     = "nodes"
	kubeDiscovery = "discovery"
	kubeScenario  = "scenario"
	kubeToken     = "token"
)

// SecretManifest is the manifest with the token: nobody but its user may read it.
const SecretManifest = "15-token.yaml"

// kubeName is what containers, namespaces and labels may be called: a label of RFC 1123.
var kubeName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// mostConfigMap bounds the bytes of a ConfigMap.
const mostConfigMap = 1 << 20

// Kubernetes writes the plan as manifests, by the names of their files, in the order in which kubectl apply -f is to take them. They want
// Kubernetes 1.29, which ends functions after the node that calls them. What a DaemonSet cannot express is refused by name.
func (p *Plan) Kubernetes(f Fleet) (map[string][]byte, error) {
	functions, node, err := p.fleet(f)
	problems := []error{err}
	if !kubeName.MatchString(p.project()) {
		problems = append(problems, fmt.Errorf("the name %q of the deployment is part of names of Kubernetes: write small letters, digits and - (--name)", p.Name))
	}
	for i := range functions {
		if x := &functions[i]; !kubeName.MatchString(x.Function) || x.Function == string(RoleNode) {
			problems = append(problems, fmt.Errorf("functions.%s: Kubernetes names a container by it: write small letters, digits and -, and not %s", x.Function, RoleNode))
		}
	}
	for _, i := range p.Images {
		if i.Tar != "" || i.Dir != "" {
			problems = append(problems, fmt.Errorf("the image %s is made from %s, and a cluster pulls images from a registry: push it to one, and give its tag",
				i.Tag, i.Tar+i.Dir))
		}
	}
	reads := slices.ContainsFunc(functions, func(x fleetFunction) bool { return x.Files })
	config, items, err := p.kubeConfigMap(f.Files)
	if reads {
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	write := func(name, comment string, document any) {
		text, err := manifest("# "+comment+" (Written by p2pfaas.)\n", document)
		problems = append(problems, err)
		all[name] = text
	}
	namespace := kubeObject{"v1", "Namespace", kubeMeta{Name: p.project(), Labels: p.kubeLabels()}}
	namespace.Metadata.Labels["pod-security.kubernetes.io/enforce"] = "privileged"
	write("00-namespace.yaml", "Nodes share the network of their machines, which only this level of pod security allows.", namespace)
	if reads {
		write("10-scenario.yaml", "What sample functions read.", config)
	}
	secret := kubeSecret{kubeObject: p.kubeObject("v1", "Secret", kubeToken), Type: "Opaque", StringData: map[string]string{tokenName: f.Token}}
	write(SecretManifest, "The token that nodes know each other by: whoever has it may do everything with them. Keep this file as you keep a key.", secret)
	service := kubeService{kubeObject: p.kubeObject("v1", "Service", kubeDiscovery)}
	service.Spec.ClusterIP, service.Spec.PublishNotReady, service.Spec.Selector = "None", true, p.kubeLabels()
	for _, x := range nodePorts {
		if x.port == realnet.DiscoveryPort {
			service.Spec.Ports = append(service.Spec.Ports, kubeServicePort{x.name, x.port, x.protocol})
		}
	}
	write("20-discovery.yaml", "The name by which nodes find each other: the addresses of all, ready or not.", service)
	set := kubeDaemonSet{kubeObject: p.kubeObject("apps/v1", "DaemonSet", kubeNodes)}
	set.Spec.Selector.MatchLabels = p.kubeLabels()
	// All at once: a cluster of two configurations is none that was planned.
	set.Spec.UpdateStrategy = kubeUpdate{"RollingUpdate", map[string]string{"maxUnavailable": "100%"}}
	set.Spec.Template.Metadata = kubeMeta{Labels: p.kubeLabels(), Annotations: map[string]string{LabelPlan: p.Content}}
	set.Spec.Template.Spec = p.kubePod(f, functions, node, items)
	write("30-nodes.yaml", fmt.Sprintf("A node with its functions on each machine that has the label: kubectl label node MACHINE %s=%s\n"+
		"# The scenario has %d nodes: label so many.", LabelDeployment, p.Name, len(p.Nodes)), set)
	return all, errors.Join(problems...)
}

// kubeLabels are those of a deployment's pods and objects.
func (p *Plan) kubeLabels() map[string]string {
	return map[string]string{"app.kubernetes.io/name": "p2pfaas", "app.kubernetes.io/instance": p.Name}
}

func (p *Plan) kubeObject(version, kind, name string) kubeObject {
	return kubeObject{version, kind, kubeMeta{Name: name, Namespace: p.project(), Labels: p.kubeLabels()}}
}

// kubeConfigMap has the files; items say which key is which path, since keys have no slashes.
func (p *Plan) kubeConfigMap(files map[string][]byte) (m kubeConfigMap, items []kubeKeyPaths, err error) {
	m = kubeConfigMap{kubeObject: p.kubeObject("v1", "ConfigMap", kubeScenario), Data: map[string]string{}, BinaryData: map[string]string{}}
	size := 0
	for i, path := range slices.Sorted(maps.Keys(files)) {
		key := "file-" + strconv.Itoa(i)
		if text := files[path]; utf8.Valid(text) {
			m.Data[key] = string(text)
		} else {
			m.BinaryData[key] = base64.StdEncoding.EncodeToString(text)
		}
		items = append(items, kubeKeyPaths{key, path})
		size += len(key) + len(files[path])
	}
	if size > mostConfigMap {
		err = fmt.Errorf("the scenario's files have %d bytes, and a ConfigMap of Kubernetes holds %d: give functions a service time without "+
			"a file, shorten the traces, or use --target hosts", size, mostConfigMap)
	}
	return m, items, err
}

func (p *Plan) kubePod(f Fleet, functions []fleetFunction, node []string, items []kubeKeyPaths) kubePod {
	s := kubePod{HostNetwork: true, DNSPolicy: "ClusterFirstWithHostNet", TerminationGracePeriod: stopGrace,
		NodeSelector:    map[string]string{"kubernetes.io/os": "linux", LabelDeployment: p.Name},
		SecurityContext: kubePodSecurity{true, uid, uid, uid, map[string]string{"type": "RuntimeDefault"}},
		Volumes:         []kubeVolume{{Name: "data", EmptyDir: &kubeEmptyDir{"64Mi"}}, {Name: "tmp", EmptyDir: &kubeEmptyDir{"64Mi"}}}}
	security := kubeSecurity{false, true, map[string][]string{"drop": {"ALL"}}}
	reads := false
	for i := range functions {
		x := &functions[i]
		// A sidecar: it is there before the node, and ends after it has given its functions the time to finish.
		c := kubeContainer{Name: x.Function, Image: x.image(f), RestartPolicy: "Always", Args: x.command,
			Ports:     []kubePort{{fmt.Sprintf("function-%d", i), x.port, x.port, "TCP"}},
			Resources: kubeLimits(x.Limits), SecurityContext: security}
		probe := kubeProbe{TCPSocket: map[string]int{"port": x.port}}
		if x.Own {
			probe = kubeProbe{HTTPGet: &kubeHTTPGet{"127.0.0.1", "/healthz", x.port}}
			c.VolumeMounts = append(c.VolumeMounts, kubeMount{"tmp", "/tmp", false})
		} else {
			c.SecurityContext.ReadOnlyRootFilesystem = false // it may need to write
		}
		c.StartupProbe, c.LivenessProbe = probe.every(1, 60), probe.every(30, 3)
		if x.Files {
			c.VolumeMounts, reads = append(c.VolumeMounts, kubeMount{kubeScenario, FilesDir, true}), true
		}
		s.InitContainers = append(s.InitContainers, c)
	}
	own := &p.Nodes[0].Containers[0]
	c := kubeContainer{Name: string(RoleNode), Image: f.Image(image.Node), Resources: kubeLimits(own.Limits), SecurityContext: security,
		Args:         append(node, "--token-file", MountedToken, "--init-servers", strings.Join([]string{kubeDiscovery, p.project(), "svc"}, ".")),
		VolumeMounts: []kubeMount{{"data", "/data", false}, {"tmp", "/tmp", false}, {kubeToken, path.Dir(MountedToken), true}}}
	bind := kubeEnv{Name: "P2PFAAS_NODE_BIND"}
	bind.ValueFrom.FieldRef.FieldPath = "status.hostIP"
	c.Env = []kubeEnv{bind}
	for _, x := range nodePorts {
		c.Ports = append(c.Ports, kubePort{x.name, x.port, x.port, x.protocol})
	}
	alive := kubeProbe{Exec: map[string][]string{"command": {"/p2pfaas", "health"}}} // the kubelet has no token
	c.StartupProbe, c.ReadinessProbe, c.LivenessProbe = alive.every(1, 60), alive.every(10, 1), alive.every(30, 3)
	s.Containers = []kubeContainer{c}
	s.Volumes = append(s.Volumes, kubeVolume{Name: kubeToken, Secret: &kubeSecretVolume{kubeToken, 0o440}})
	if reads {
		s.Volumes = append(s.Volumes, kubeVolume{Name: kubeScenario, ConfigMap: &kubeConfigVolume{kubeScenario, items}})
	}
	return s
}

// every is the probe at a period in seconds, which fails after so many failures.
func (k kubeProbe) every(seconds, failures int) *kubeProbe {
	k.PeriodSeconds, k.TimeoutSeconds, k.FailureThreshold = seconds, min(seconds, 5), failures
	return &k
}

// kubeLimits are limits that are requested, too: the machine is to have what the plan says.
func kubeLimits(l Limits) (r kubeResources) {
	q := map[string]string{}
	if l.CPUs > 0 {
		q["cpu"] = strconv.Itoa(max(1, int(l.CPUs*1000+0.5))) + "m"
	}
	if l.MemoryBytes > 0 {
		q["memory"] = strconv.FormatInt(l.MemoryBytes, 10)
	}
	if len(q) > 0 {
		r.Requests, r.Limits = maps.Clone(q), q
	}
	return r
}
