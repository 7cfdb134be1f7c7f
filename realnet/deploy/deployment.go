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

	"github.com/p2pfaas/p2pfaas/realnet"
)

// Target is where a deployment is.
type Target string

// The targets.
const (
	TargetLocal   Target = "local"   // processes of this machine
	TargetCompose Target = "compose" // containers of this machine
	TargetHosts   Target = "hosts"   // containers of machines that are reached over SSH
)

// Deployment is what this machine remembers of one, in a directory of its own.
type Deployment struct {
	Name       string      `json:"name"`
	Target     Target      `json:"target"`
	Scenario   string      `json:"scenario"`         // as its user named it
	Points     []int       `json:"points,omitempty"` // of the scenario, that were chosen; empty: all
	Version    string      `json:"version"`
	Algorithms string      `json:"algorithms"`
	Deployed   time.Time   `json:"deployed"`
	Content    string      `json:"content"`            // of the files that the nodes read
	Source     string      `json:"source"`             // the same of the scenario as its user wrote it, without flags
	Machines   []Machine   `json:"machines,omitempty"` // of the target hosts, by index
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

// NoteColdStarts takes note of the cold starts of functions that were made, and returns them.
func (d *Deployment) NoteColdStarts(reports []HostReport) (fresh []ColdStart) {
	starts, known := map[string]time.Duration{}, map[ColdStart]time.Duration{}
	for _, s := range d.ColdStarts {
		known[ColdStart{s.Node, s.Function, 0}] = s.Time
	}
	d.ColdStarts = nil
	for _, r := range reports {
		for _, c := range r.Containers {
			if c.ColdStart > 0 {
				starts[c.Name] = c.ColdStart
			}
		}
	}
	for i := range d.Plan.Nodes {
		for _, c := range d.Plan.Nodes[i].Containers {
			s := ColdStart{c.Node, c.Function, starts[c.Name]}
			if s.Time > 0 {
				fresh = append(fresh, s)
			} else {
				s.Time = known[s]
			}
			if s.Time > 0 {
				d.ColdStarts = append(d.ColdStarts, s)
			}
		}
	}
	return fresh
}

// Files of a deployment's directory.
const (
	stateFile    = "deployment.json"
	composeName  = "compose.yaml"
	scenarioName = "scenario"
	logsName     = "log"
	secretsName  = "secrets"
	tokenName    = "token"
)

// NewDeployment is one of which nothing is known yet. root is the directory of all.
func NewDeployment(root, name string, target Target) (*Deployment, error) {
	dir, err := filepath.Abs(filepath.Join(root, name))
	return &Deployment{Name: name, Target: target, Dir: dir}, err
}

// ScenarioDir is where a deployment keeps the files of its plan, by what is in them: containers have the directory mounted, and processes
// read it when they start.
func (d *Deployment) ScenarioDir() string { return filepath.Join(d.Dir, scenarioName+"-"+d.Content) }

// Save writes what is known, whole or not at all.
func (d *Deployment) Save() error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return realnet.WriteWhole(filepath.Join(d.Dir, stateFile), append(text, '\n'))
}

// WriteFiles writes the scenario's files into a directory of their own. Those of before stay until Tidy.
func (d *Deployment) WriteFiles(files map[string][]byte) error {
	d.Content = ContentOf(files)
	if _, err := os.Stat(d.ScenarioDir()); err == nil {
		return nil // it got its name when it was complete
	}
	fresh := filepath.Join(d.Dir, ".new")
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(fresh, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, text, 0o644)); err != nil {
			return err
		}
	}
	return os.Rename(fresh, d.ScenarioDir())
}

// Tidy removes files of scenarios of before.
func (d *Deployment) Tidy() error {
	entries, err := os.ReadDir(d.Dir)
	for _, e := range entries {
		path := filepath.Join(d.Dir, e.Name())
		if strings.HasPrefix(e.Name(), scenarioName+"-") && path != d.ScenarioDir() {
			err = errors.Join(err, os.RemoveAll(path))
		}
	}
	return err
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
	d, err := NewDeployment(root, name, "")
	if err != nil {
		return nil, err
	}
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
