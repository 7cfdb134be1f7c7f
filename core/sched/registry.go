package sched

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/spelling"
)

// Entry describes an algorithm to the registry.
type Entry struct {
	Name    string // as scenario files spell it: letters and digits
	Summary string // the rule in one line
	Doc     string // the rule in full, when it is good, what it costs
	Source  string // the paper or system that it comes from

	// Positional is the order of v1's string parameters; nil: the algorithm has no such form. It may name parameters
	// of the algorithm and "max_hops".
	Positional []string
	// Bare says that v1 announces the algorithm without its parameters.
	Bare bool
	// MaxHops is how many forwards of a task the rule itself needs, the default of max_hops; 0 means 1.
	MaxHops int
	// Stateless says that one value may serve all the nodes of an engine: what it keeps between two calls is
	// scratch space at most.
	Stateless bool
	// Replicates says that decisions may be core.Replicate.
	Replicates bool
	// New returns a pointer to a struct that holds the defaults.
	New func() core.Scheduler

	fields []field
}

// World is what an algorithm's Check may know about the cluster.
type World struct {
	Nodes   int  // numbered from 0, the cloud not counted
	Cloud   bool // there is a cloud, with the number Nodes
	MaxHops int  // forwards of one task, at most
	Types   int  // task types
	Slots   int  // K of the node that has the most
	Room    int  // Q of the node that has the most
	// Linked reports whether a may forward to b; nil: everybody may to everybody, or who may is not known.
	Linked func(a, b core.NodeID) bool
}

// CommonKeys are what every algorithm has in a scenario file: the engine's business, not the algorithm's, none of whose
// parameters is called so.
var CommonKeys = []string{"name", "label", "parameters", "max_hops", "on_failure", "on_refusal", "at_hop_limit", "probe_timeout",
	"answer_timeout"}

// entries is sorted by name. It is written by Register alone, before main begins.
var entries []*Entry

// Register makes an algorithm known. It is called from init functions, and panics where the entry is malformed or its
// name is taken.
func Register(e Entry) {
	if err := e.prepare(); err != nil {
		panic(fmt.Sprintf("sched: cannot register %q: %v", e.Name, err))
	}
	i, taken := find(e.Name)
	if taken {
		panic(fmt.Sprintf("sched: %q is registered twice", e.Name))
	}
	entries = slices.Insert(entries, i, &e)
}

func find(name string) (int, bool) {
	return slices.BinarySearchFunc(entries, name, func(e *Entry, s string) int { return strings.Compare(e.Name, s) })
}

// Names returns the names of all algorithms, sorted.
func Names() []string {
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name
	}
	return names
}

// Lookup returns the entry of an algorithm. Its error names the one that was meant or, where none is near, all.
func Lookup(name string) (Entry, error) {
	e, err := lookup(name)
	if err != nil {
		return Entry{}, err
	}
	return *e, nil
}

func lookup(name string) (*Entry, error) {
	i, ok := find(name)
	if !ok {
		if meant := spelling.Meant(name, Names()); meant != "" {
			return nil, fmt.Errorf("unknown scheduler %q: did you mean %s?", name, meant)
		}
		return nil, fmt.Errorf("unknown scheduler %q: use one of %s", name, strings.Join(Names(), ", "))
	}
	return entries[i], nil
}

// Parameters describes the algorithm's parameters, in the order of its fields.
func (e Entry) Parameters() []Param {
	ps := make([]Param, len(e.fields))
	for i := range e.fields {
		ps[i] = e.fields[i].Param
	}
	return ps
}

// prepare checks the entry and reads the tags of its struct.
func (e *Entry) prepare() error {
	if e.Name == "" || strings.Trim(e.Name, letters+strings.ToLower(letters)+"0123456789") != "" {
		return errors.New("the name is not of letters and digits")
	}
	if e.Summary == "" || e.Doc == "" || e.Source == "" || e.New == nil {
		return errors.New("an entry needs Summary, Doc, Source and New")
	}
	v := reflect.ValueOf(e.New())
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return errors.New("the result of New must be a pointer to a struct")
	}
	fields, err := fieldsOf(v.Elem())
	if err != nil {
		return err
	}
	e.fields = fields
	for _, name := range e.Positional {
		if name != "max_hops" && e.field(name) == nil {
			return fmt.Errorf("no parameter %q to give a position", name)
		}
	}
	e.MaxHops = max(1, e.MaxHops)
	return nil
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

func (e *Entry) field(name string) *field {
	for i := range e.fields {
		if e.fields[i].Name == name {
			return &e.fields[i]
		}
	}
	return nil
}
