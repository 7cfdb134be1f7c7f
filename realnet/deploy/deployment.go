package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Target is where a deployment is.
type Target string

// The targets.
const (
	TargetLocal   Target = "local"   // processes of this machine
	TargetCompose Target = "compose" // containers of this machine
	TargetHosts   Target = "hosts"   // containers of machines that are reached over SSH
)

// Targets are all.
func Targets() []Target { return []Target{TargetLocal, TargetCompose, TargetHosts} }

// Deployment is what this machine remembers of one, in a directory of its own.
type Deployment struct {
	Name       string      `json:"name"`
	Target     Target      `json:"target"`
	Scenario   string      `json:"scenario"`         // as its user named it
	Points     []int       `json:"points,omitempty"` // of the scenario, that were chosen; empty: all
	Version    string      `json:"version"`
	Algorithms string      `json:"algorithms"`
	Deployed   time.Time   `json:"deployed"`
	HostsFile  string      `json:"hosts_file,omitempty"` // of the target hosts, absolute
	Machines   []string    `json:"machines,omitempty"`   // of the target hosts: their names, by index
	Plan       *Plan       `json:"plan"`
	Processes  []Process   `json:"processes,omitempty"`   // of the target local, by node
	ColdStarts []ColdStart `json:"cold_starts,omitempty"` // of function containers, when they were last made

	Dir string `json:"-"`
}

// ColdStart is how long a function's container took from its creation to its first answer.
type ColdStart struct {
	Node     int           `json:"node"`
	Function string        `json:"function"`
	Time     time.Duration `json:"time_ns"`
}

// NoteColdStarts takes note of the cold starts of functions that were made.
func (d *Deployment) NoteColdStarts(reports []HostReport) {
	starts := map[string]time.Duration{}
	for _, r := range reports {
		for _, c := range r.Containers {
			if c.ColdStart > 0 {
				starts[c.Name] = c.ColdStart
			}
		}
	}
	for i := range d.Plan.Nodes {
		for _, c := range d.Plan.Nodes[i].Containers {
			took := starts[c.Name]
			if took == 0 {
				continue
			}
			d.ColdStarts = append(slices.DeleteFunc(d.ColdStarts, func(s ColdStart) bool { return s.Node == c.Node && s.Function == c.Function }),
				ColdStart{c.Node, c.Function, took})
		}
	}
}

// Files of a deployment's directory.
const (
	stateFile    = "deployment.json"
	composeName  = "compose.yaml"
	scenarioName = "scenario"
	logsName     = "log"
)

// ScenarioDir is where a deployment keeps its scenario.
func (d *Deployment) ScenarioDir() string { return filepath.Join(d.Dir, scenarioName) }

// Save writes what is known, whole or not at all.
func (d *Deployment) Save() error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return writeWhole(filepath.Join(d.Dir, stateFile), append(text, '\n'))
}

// writeWhole writes a file so that it is never there in part.
func writeWhole(path string, text []byte) error {
	if err := os.WriteFile(path+".new", text, 0o666); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// WriteFiles writes the scenario's files into the deployment's directory, in the place of those that are there, and identifies them.
func (d *Deployment) WriteFiles(files map[string][]byte) (content string, err error) {
	content = ContentOf(files)
	mark := d.ScenarioDir() + "." + content // that they are there, whole
	if _, err := os.Stat(mark); err == nil {
		return content, nil // containers have the directory mounted
	}
	old, err := filepath.Glob(d.ScenarioDir() + "*")
	if err != nil {
		return "", err
	}
	for _, path := range old {
		if err := os.RemoveAll(path); err != nil {
			return "", err
		}
	}
	for name, text := range files {
		path := filepath.Join(d.ScenarioDir(), filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return "", err
		}
	}
	return content, os.WriteFile(mark, nil, 0o666)
}

// ErrNone says that there is no such deployment.
var ErrNone = errors.New("there is no such deployment")

// Open reads what is known of a deployment. root is the directory of all. Without a name it is the only one that there is.
func Open(root, name string) (*Deployment, error) {
	if name == "" {
		names, err := Names(root)
		switch {
		case err != nil:
			return nil, err
		case len(names) == 0:
			return nil, fmt.Errorf("%w: %s has none; p2pfaas deploy SCENARIO makes one", ErrNone, root)
		case len(names) > 1:
			return nil, fmt.Errorf("there are %d deployments: name one of %s", len(names), strings.Join(names, ", "))
		}
		name = names[0]
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	d := &Deployment{Dir: filepath.Join(root, name)}
	text, err := os.ReadFile(filepath.Join(d.Dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is not in %s", ErrNone, name, root)
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, d); err != nil {
		return nil, fmt.Errorf("%s: %w: remove the directory, after p2pfaas deploy down %s", filepath.Join(d.Dir, stateFile), err, name)
	}
	return d, nil
}

// Names are the deployments below a directory, sorted.
func Names(root string) (names []string, err error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(root, e.Name(), stateFile)); err == nil {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, err
}

// Lock keeps others from changing a deployment at the same time, until it is released or this process ends.
func Lock(root, name string) (release func(), err error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(root, 0o777); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(root, "."+name+".lock"), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("the deployment %s is being changed by another p2pfaas: wait until that has ended", name), file.Close())
	}
	return func() { _ = file.Close() }, nil // which releases it
}

// Forget removes what is known of a deployment that is no more.
func (d *Deployment) Forget() error { return os.RemoveAll(d.Dir) }
