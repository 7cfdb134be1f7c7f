package realnet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/sched"
	"github.com/p2pfaas/p2pfaas/core/spelling"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// What the configuration routes of the scheduler service change, and where it is kept.

// settings are the body of /configuration.
type settings struct {
	Slots int  `json:"parallel_running_functions_max"`
	Room  int  `json:"queue_length_max"`
	Queue bool `json:"queue_enabled"`
}

// room is Q: a closed waiting room has no places.
func (s *settings) room() int32 {
	if !s.Queue {
		return 0
	}
	return int32(s.Room)
}

// mostSlots bounds K and Q.
const mostSlots = 1 << 30

func (s *settings) check() error {
	if s.Slots < 0 || s.Slots > mostSlots || s.Room < 0 || s.Room > mostSlots {
		return fmt.Errorf("parallel_running_functions_max is %d and queue_length_max is %d: write numbers from 0 to %d",
			s.Slots, s.Room, mostSlots)
	}
	return nil
}

// Descriptor names a scheduler as v1 does: with the strings of its parameters, in their order. Algorithms that v1 does
// not know have their parameters by name.
type Descriptor struct {
	Name       string         `json:"name"`
	Parameters []string       `json:"parameters"`
	Named      map[string]any `json:"named,omitzero"`
	// Forwarding stands with Named alone. Nil: as the node's settings say, with as many hops as the rule needs.
	Forwarding *core.Forwarding `json:"forwarding,omitempty"`
}

// String is the descriptor as JSON: what a log calls the scheduler.
func (d Descriptor) String() string {
	b, err := json.Marshal(d)
	if err != nil {
		panic(fmt.Sprintf("realnet: a descriptor has no JSON: %v", err))
	}
	return string(b)
}

// sentDescriptor is a descriptor that a client sends, or that is kept. What its forwarding leaves out is as own, the settings
// of the node, and the algorithm say, so that the descriptor has all of it.
type sentDescriptor struct {
	Descriptor
	own core.Forwarding
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *sentDescriptor) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &d.Descriptor); err != nil || d.Forwarding == nil {
		return err
	}
	f := d.own
	if entry, err := sched.Lookup(d.Name); err == nil { // otherwise that is said when it is looked up for its parameters
		f.MaxHops = entry.MaxHops
	}
	complete, err := json.Marshal(f)
	if err != nil {
		return err
	}
	var known map[string]any
	var said struct {
		Forwarding map[string]json.RawMessage `json:"forwarding"`
	}
	if err := errors.Join(json.Unmarshal(complete, &known), json.Unmarshal(text, &said)); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(said.Forwarding)) {
		if known[key] == nil {
			return fmt.Errorf("forwarding: the key %.80q is not known: use %s", key,
				strings.Join(spelling.Nearest(key, slices.Sorted(maps.Keys(known))), ", "))
		}
	}
	d.Forwarding = &f
	return json.Unmarshal(text, &d.Descriptor) // over what is left out
}

// DefaultScheduler is v1's.
func DefaultScheduler() Descriptor {
	return Descriptor{Name: "PowerOfNScheduler", Parameters: []string{"1", "2", "true", "1"}}
}

// algorithm is a descriptor that has been understood.
type algorithm struct {
	descriptor Descriptor // as the wire has it: a machine is its address
	inside     Descriptor // the same with the node's numbers for the machines
	spec       sched.Spec
	maxHops    int
	label      string // as the answers announce it
}

// ParseDescriptor reads a scheduler as a person writes it: its name, and its parameters either as v1 orders them,
// "ForwardScheduler 1", or by name, "JSQ d=3", with values as in YAML. Other than on the wire, none too many are ignored.
// Programs write it as on the wire, in JSON, which says all that String does; what its forwarding leaves out is as own.
func ParseDescriptor(text string, own core.Forwarding) (d Descriptor, err error) {
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		strict := json.NewDecoder(strings.NewReader(text))
		strict.DisallowUnknownFields()
		sent := sentDescriptor{own: own}
		if err := errors.Join(strict.Decode(&d), json.Unmarshal([]byte(text), &sent)); err != nil {
			return d, fmt.Errorf("it is no JSON with name, named or parameters, and forwarding: %w", err)
		}
		_, err = sent.algorithm(func(string) (core.NodeID, error) { return 0, nil })
		return sent.Descriptor, err
	}
	words := strings.Fields(text)
	if len(words) == 0 {
		return d, errors.New("write the name of an algorithm and its parameters, as in JSQ d=3")
	}
	d.Name = words[0]
	entry, err := sched.Lookup(d.Name)
	if err != nil {
		return d, err
	}
	if len(words) == 1 && len(entry.Positional) > 0 {
		d.Named = map[string]any{} // with the defaults of a scenario: a list would have all of them
	}
	for _, word := range words[1:] {
		name, value, named := strings.Cut(word, "=")
		if !named {
			d.Parameters = append(d.Parameters, word)
			continue
		}
		if d.Named == nil {
			d.Named = map[string]any{}
		}
		if _, twice := d.Named[name]; twice {
			return d, fmt.Errorf("%s: %s is given twice: leave one out", d.Name, name)
		}
		var v any
		if err := yaml.Unmarshal([]byte(value), &v); err != nil {
			return d, fmt.Errorf("%s: %s: write a value, a list like [a,b] without spaces: %w", d.Name, word, err)
		}
		d.Named[name] = v
	}
	switch {
	case d.Named != nil && d.Parameters != nil:
		var names []string
		for _, p := range entry.Parameters() {
			names = append(names, p.Name)
		}
		return d, fmt.Errorf("%s: %s stands beside parameters with names: give all by name: %s", d.Name, d.Parameters[0],
			strings.Join(names, ", "))
	case entry.Positional != nil && len(entry.Parameters()) == 0 && d.Parameters != nil:
		return d, fmt.Errorf("%s: has no parameters: leave %s out", d.Name, d.Parameters[0])
	case entry.Positional != nil && len(d.Parameters) > len(entry.Positional):
		return d, fmt.Errorf("%s: wants %d parameters (%s), has %d", d.Name, len(entry.Positional),
			strings.Join(entry.Positional, ", "), len(d.Parameters))
	}
	_, err = d.algorithm(func(string) (core.NodeID, error) { return 0, nil })
	return d, err
}

// Spec is the algorithm that the descriptor names, with its parameters, and how often it may pass a task on. number knows the nodes.
func (d Descriptor) Spec(number func(address string) (core.NodeID, error)) (spec sched.Spec, maxHops int, err error) {
	a, err := d.algorithm(number)
	return a.spec, a.maxHops, err
}

// algorithm reads a descriptor. A parameter that is a node is a machine's address, which number gives its number.
func (d Descriptor) algorithm(number func(address string) (core.NodeID, error)) (algorithm, error) {
	a := algorithm{descriptor: d, inside: d}
	entry, err := sched.Lookup(d.Name)
	if err != nil {
		return a, err
	}
	nodes := map[string]bool{}
	for _, p := range entry.Parameters() {
		nodes[p.Name] = p.Type == sched.Node
	}
	if d.Named != nil || entry.Positional == nil && len(d.Parameters) == 0 {
		a.inside.Named = maps.Clone(d.Named)
		for _, name := range slices.Sorted(maps.Keys(d.Named)) {
			if address, ok := d.Named[name].(string); ok && nodes[name] {
				id, err := number(address)
				if err != nil {
					return a, err
				}
				a.inside.Named[name] = int(id)
			}
		}
		if a.spec, err = sched.Parse(d.Name, a.inside.Named); err != nil {
			return a, err
		}
		if a.maxHops = a.spec.MaxHops(); d.Forwarding != nil {
			if err := d.Forwarding.Check(); err != nil {
				return a, err
			}
			a.maxHops = d.Forwarding.MaxHops
		}
		a.label = a.spec.FullName(a.maxHops)
		a.descriptor.Parameters = a.spec.Positional(a.maxHops) // whatever stood beside the names, for a v1 node
		for i, name := range entry.Positional {
			if address, ok := d.Named[name].(string); ok && nodes[name] {
				a.descriptor.Parameters[i] = address
			}
		}
		return a, nil
	}
	a.inside.Parameters = slices.Clone(d.Parameters)
	for i, name := range entry.Positional {
		if nodes[name] && i < len(d.Parameters) {
			id, err := number(d.Parameters[i])
			if err != nil {
				return a, err
			}
			a.inside.Parameters[i] = fmt.Sprint(id)
		}
	}
	spec, common, err := sched.ParsePositional(d.Name, a.inside.Parameters)
	if err != nil {
		return a, err
	}
	if d.Forwarding != nil {
		return a, fmt.Errorf("forwarding stands with named parameters alone: %s has a list", d.Name)
	}
	a.spec, a.maxHops = spec, spec.MaxHops()
	if common.HasMaxHops {
		a.maxHops = common.MaxHops
	}
	// As v1, the node repeats what it has understood: 0.2s is 200ms. Addresses, and a limit of no hops, are as they came.
	a.descriptor.Parameters = spec.Positional(a.maxHops)
	for i, name := range entry.Positional {
		if nodes[name] || name == "max_hops" {
			a.descriptor.Parameters[i] = d.Parameters[i]
		}
	}
	a.inside.Parameters = a.inside.Parameters[:len(entry.Positional)]
	a.label = d.Name
	if !entry.Bare && len(entry.Positional) > 0 {
		a.label += "(" + strings.Join(a.descriptor.Parameters, ", ") + ")"
	}
	return a, nil
}

// algorithm reads a descriptor of the wire. With it, what the node does around an algorithm has to make sense.
func (n *Node) algorithm(d Descriptor) (algorithm, error) {
	a, err := d.algorithm(func(address string) (core.NodeID, error) {
		id := n.numberOf(address)
		if id == n.peers.stranger {
			return id, fmt.Errorf("there is no number for %s: the node knows as many machines as it can, %d", address, mostPeers)
		}
		return id, nil
	})
	if err == nil {
		around := n.forwarding(a)
		err = around.Check()
	}
	return a, err
}

// address is where peers reach this node.
func (n *Node) address() string {
	if o := &n.options; int(o.Number) < len(o.Cluster) {
		return o.Cluster[o.Number]
	}
	return n.Identity().IP
}

// numberOf is the number of the machine with that address, this one included.
func (n *Node) numberOf(address string) core.NodeID {
	if n.is(address) {
		return n.options.Number
	}
	return n.peers.number(address, mostPeers)
}

// is reports whether this node has that address.
func (n *Node) is(address string) bool {
	address = CanonicalAddress(address)
	return address == n.Identity().IP || address == n.address()
}

// addressOf is the address of the machine with that number, this one included; empty where there is none.
func (n *Node) addressOf(id core.NodeID) string {
	if id == n.options.Number {
		return n.Identity().IP
	}
	return n.peers.address(id)
}

// forwarding is what the engine does around an algorithm.
func (n *Node) forwarding(a algorithm) core.Forwarding {
	f := n.options.Forwarding
	if own := a.descriptor.Forwarding; own != nil {
		f = *own
	}
	f.MaxHops = a.maxHops
	return f
}

// currentForwarding is that of the algorithm which the node has now.
func (n *Node) currentForwarding() core.Forwarding {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.forwarding(n.scheduler)
}

// The files of the configuration.
const (
	settingsFile  = "p2p_faas-scheduler.json"
	schedulerFile = "p2p_faas-scheduler-config.json"
)

// KeptSetting is one that a client configured in an earlier life of the node, where it takes the place of what the options
// say.
type KeptSetting struct {
	File      string
	Setting   string // by the name that it has among the settings of p2pfaas node
	Kept, Own string
}

// keptIn tells of a setting in a file, where the options say another.
func keptIn(told func(KeptSetting), dir, file, setting, kept, own string) {
	if told != nil && kept != own {
		told(KeptSetting{filepath.Join(dir, file), setting, kept, own})
	}
}

// load reads what was kept.
func (n *Node) load(wanted *Descriptor) error {
	o := &n.options
	if o.Data == "" {
		return nil
	}
	own, kept := n.settings, sentDescriptor{own: o.Forwarding}
	err := errors.Join(readJSON(filepath.Join(o.Data, settingsFile), &n.settings),
		readJSON(filepath.Join(o.Data, schedulerFile), &kept))
	if err != nil {
		return fmt.Errorf("reading the configuration: correct or delete the file: %w", err)
	}
	if err := n.settings.check(); err != nil {
		return err
	}
	keptIn(o.Kept, o.Data, settingsFile, "slots", fmt.Sprint(n.settings.Slots), fmt.Sprint(own.Slots))
	keptIn(o.Kept, o.Data, settingsFile, "queue", fmt.Sprint(n.settings.room()), fmt.Sprint(own.room()))
	if kept.Name == "" {
		return nil
	}
	around := kept.Forwarding
	kept.Forwarding = nil
	keptIn(o.Kept, o.Data, schedulerFile, "scheduler", kept.Descriptor.String(), wanted.String())
	if kept.Forwarding = around; around != nil {
		for _, x := range []struct {
			setting   string
			kept, own any
		}{
			{"on-refusal", around.OnRefusal, o.Forwarding.OnRefusal}, {"on-failure", around.OnFailure, o.Forwarding.OnFailure},
			{"probe-timeout", around.ProbeTimeout, o.Forwarding.ProbeTimeout},
			{"answer-timeout", around.AnswerTimeout, o.Forwarding.AnswerTimeout},
		} {
			keptIn(o.Kept, o.Data, schedulerFile, x.setting, fmt.Sprint(x.kept), fmt.Sprint(x.own))
		}
	}
	*wanted = kept.Descriptor
	return nil
}

func readJSON(path string, to any) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, to)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// keep writes a file of the configuration, whole or not at all.
func (n *Node) keep(name string, value any) error {
	if n.options.Data == "" {
		return nil
	}
	return writeJSON(filepath.Join(n.options.Data, name), value)
}

// writeJSON writes a file as WriteWhole does.
func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return WriteWhole(path, append(text, '\n'))
}

// WriteWhole writes a file so that it is never there in part, be it that the machine loses its power.
func WriteWhole(path string, text []byte) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		if err = f.Sync(); errors.Is(err, syscall.EINVAL) {
			err = nil // what has no disk below cannot
		}
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// configure changes K, Q and whether there is a queue.
func (n *Node) configure(text []byte) error {
	n.configuring.Lock()
	defer n.configuring.Unlock()
	n.mu.Lock()
	s := n.settings
	n.mu.Unlock()
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	if err := n.keep(settingsFile, s); err != nil {
		return err
	}
	n.mu.Lock()
	n.settings = s
	n.mu.Unlock()
	slots, room := int32(s.Slots), s.room()
	n.mailbox.Post(core.Input{Kind: core.InputConfigure, Slots: &slots, Room: &room})
	return nil
}

// reschedule gives the node another algorithm, while it works.
func (n *Node) reschedule(d Descriptor) error {
	a, err := n.algorithm(d)
	if err != nil {
		return err
	}
	n.configuring.Lock()
	defer n.configuring.Unlock()
	if err := n.keep(schedulerFile, a.descriptor); err != nil {
		return wire.NewV1Failure(wire.CodeGeneric, "the scheduler cannot be kept: %v", err)
	}
	n.mu.Lock()
	n.scheduler = a
	n.mu.Unlock()
	f := n.forwarding(a)
	n.mailbox.Post(core.Input{Kind: core.InputConfigure, Scheduler: a.inside.String(), Own: a.spec.New(), Forwarding: &f})
	return nil
}
