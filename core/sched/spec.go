package sched

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/spelling"
)

// Spec is an algorithm with its parameters: a recipe for as many independent values of it as there are nodes. The zero
// Spec is no algorithm. A Spec does not change and may be shared.
type Spec struct {
	entry *Entry
	set   core.Scheduler // holds the parameters; never called
}

// ParamValue is a parameter and what it was set to.
type ParamValue struct {
	Name    string
	Value   any  // bool, int, float64, string (durations with unit) or [][]float64, as Parse takes it
	Default bool // it has its default value
}

// Common is what a list of v1's parameters says beyond the algorithm itself.
type Common struct {
	MaxHops    int
	HasMaxHops bool // false: the list does not say
}

// Parse returns the algorithm of that name with these parameters; the others have their defaults. Values are of the
// types that decoding YAML or JSON into an any gives. The error joins all problems, a *ParamError for each parameter
// that is unknown, of the wrong kind or out of range.
func Parse(name string, named map[string]any) (Spec, error) {
	e, err := lookup(name)
	if err != nil {
		return Spec{}, err
	}
	s := Spec{entry: e, set: e.New()}
	var problems []error
	for i := range e.fields {
		f := &e.fields[i]
		v, given := named[f.Name]
		switch {
		case given:
			problems = s.put(f, problems, func() (reflect.Value, error) { return f.decode(v) })
		case f.Required:
			problems = append(problems, &ParamError{e.Name, f.Name, errors.New("is required: " + f.Doc)})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(named)) {
		if e.field(key) == nil {
			problems = append(problems, &ParamError{e.Name, key, e.unknown(key)})
		}
	}
	return s.checked(problems)
}

func (e *Entry) unknown(key string) error {
	if len(e.fields) == 0 {
		return errors.New("unknown parameter: the algorithm has none")
	}
	return fmt.Errorf("unknown parameter: use %s", strings.Join(spelling.Nearest(key, e.names()), ", "))
}

// names are those of the parameters.
func (e *Entry) names() []string {
	names := make([]string, len(e.fields))
	for i := range e.fields {
		names[i] = e.fields[i].Name
	}
	return names
}

// ParsePositional returns the algorithm of that name with v1's parameters: strings, in the order that its Entry gives.
// As in v1, too few of them are an error and those beyond the last are ignored. v1 limits the hops of tasks that
// come from a peer, not of those of clients, so that its 0 and 1 mean the same; both are 1 here.
func ParsePositional(name string, params []string) (Spec, Common, error) {
	e, err := lookup(name)
	if err != nil {
		return Spec{}, Common{}, err
	}
	if e.Positional == nil {
		return Spec{}, Common{}, fmt.Errorf("%s: has no list of parameters: give them by name: %s", name, strings.Join(e.names(), ", "))
	}
	if len(params) < len(e.Positional) {
		return Spec{}, Common{}, fmt.Errorf("%s: wants %d parameters (%s), has %d",
			name, len(e.Positional), strings.Join(e.Positional, ", "), len(params))
	}
	s := Spec{entry: e, set: e.New()}
	var c Common
	var problems []error
	for i, p := range e.Positional {
		if p == "max_hops" {
			n, err := strconv.ParseUint(params[i], 10, 8)
			if err != nil {
				err = fmt.Errorf("must be a whole number from 0 to 255, is %q", params[i])
				problems = append(problems, &ParamError{e.Name, p, err})
			}
			c = Common{MaxHops: max(1, int(n)), HasMaxHops: true}
			continue
		}
		f := e.field(p)
		problems = s.put(f, problems, func() (reflect.Value, error) { return f.decodeString(params[i]) })
	}
	s, err = s.checked(problems)
	return s, c, err
}

// put sets a parameter to what decode returns, or adds what is wrong to the problems.
func (s Spec) put(f *field, problems []error, decode func() (reflect.Value, error)) []error {
	v, err := decode()
	if err != nil {
		return append(problems, &ParamError{s.entry.Name, f.Name, err})
	}
	reflect.ValueOf(s.set).Elem().FieldByIndex(f.index).Set(v)
	return problems
}

// checked has the algorithm check its parameters against each other, once they are right one by one.
func (s Spec) checked(problems []error) (Spec, error) {
	if v, ok := s.set.(interface{ Validate() error }); ok && len(problems) == 0 {
		if err := v.Validate(); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", s.entry.Name, err))
		}
	}
	if len(problems) > 0 {
		return Spec{}, errors.Join(problems...)
	}
	return s, nil
}

// Check reports what in the parameters does not fit the cluster.
func (s Spec) Check(w World) error {
	if c, ok := s.set.(interface{ Check(World) error }); ok {
		if err := c.Check(w); err != nil {
			return fmt.Errorf("%s: %w", s.entry.Name, err)
		}
	}
	return nil
}

// In returns the algorithm as it is in a cluster that it fits: what its parameters leave to the cluster is said.
func (s Spec) In(w World) Spec {
	x, ok := s.New().(interface{ In(World) })
	if !ok {
		return s
	}
	x.In(w)
	return Spec{entry: s.entry, set: x.(core.Scheduler)}
}

// New returns a fresh value of the algorithm, which shares nothing with any other.
func (s Spec) New() core.Scheduler {
	if s.entry == nil {
		return nil
	}
	fresh := s.entry.New()
	to, from := reflect.ValueOf(fresh).Elem(), reflect.ValueOf(s.set).Elem()
	for i := range s.entry.fields {
		k := s.entry.fields[i].index
		to.FieldByIndex(k).Set(from.FieldByIndex(k)) // a matrix is shared, but never written
	}
	return fresh
}

// Name returns the algorithm's name; "" for the zero Spec.
func (s Spec) Name() string {
	if s.entry == nil {
		return ""
	}
	return s.entry.Name
}

// Stateless reports whether one value may serve all the nodes of an engine.
func (s Spec) Stateless() bool { return s.entry == nil || s.entry.Stateless }

// MaxHops returns how many forwards of a task the rule needs: the default of max_hops.
func (s Spec) MaxHops() int {
	if s.entry == nil {
		return 1
	}
	return s.entry.MaxHops
}

// Params returns the parameters in the order of the algorithm's fields.
func (s Spec) Params() []ParamValue {
	if s.entry == nil {
		return nil
	}
	ps := make([]ParamValue, len(s.entry.fields))
	for i := range ps {
		f := &s.entry.fields[i]
		v := s.value(f)
		ps[i] = ParamValue{Name: f.Name, Value: plain(v), Default: !f.Required && text(v) == f.Default}
	}
	return ps
}

func (s Spec) value(f *field) reflect.Value {
	return reflect.ValueOf(s.set).Elem().FieldByIndex(f.index)
}

// String returns the canonical form, as "Random(probability=1, include_self=true)": all parameters, in order.
func (s Spec) String() string {
	if s.entry == nil || len(s.entry.fields) == 0 {
		return s.Name()
	}
	parts := make([]string, len(s.entry.fields))
	for i := range parts {
		f := &s.entry.fields[i]
		parts[i] = f.Name + "=" + text(s.value(f))
	}
	return s.entry.Name + "(" + strings.Join(parts, ", ") + ")"
}

// Positional returns the parameters as v1's strings, or nil where the algorithm has no such form.
func (s Spec) Positional(maxHops int) []string {
	if s.entry == nil || s.entry.Positional == nil {
		return nil
	}
	params := make([]string, len(s.entry.Positional))
	for i, p := range s.entry.Positional {
		if p == "max_hops" {
			params[i] = strconv.Itoa(maxHops)
			continue
		}
		f := s.entry.field(p)
		v := s.value(f)
		params[i] = text(v)
		if f.Flags != nil {
			params[i] = f.Flags[slices.Index(f.Choices, params[i])]
		}
		if d, ok := v.Interface().(time.Duration); ok && d%time.Millisecond == 0 {
			params[i] = strconv.FormatInt(d.Milliseconds(), 10) + "ms" // as v1 spells it, also above 1s
		}
	}
	return params
}

// FullName returns the name under which v1 announces its algorithms, as "PowerOfNScheduler(1, 2, true, 1)"; for the
// others it is String.
func (s Spec) FullName(maxHops int) string {
	if s.entry == nil || s.entry.Positional == nil {
		return s.String()
	}
	if s.entry.Bare || len(s.entry.Positional) == 0 {
		return s.entry.Name
	}
	return s.entry.Name + "(" + strings.Join(s.Positional(maxHops), ", ") + ")"
}
