package scenarios

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/core/sched"
)

// spot is where a dotted key leads: into which type, and how to put a node there.
type spot struct {
	typ   reflect.Type
	field *field
	put   func(*yaml.Node)
}

// assign puts v at a dotted key below root.
func (f *File) assign(root *yaml.Node, key string, v *yaml.Node) error {
	s, err := find(root, key)
	if err != nil {
		return err
	}
	s.put(v)
	return nil
}

// find follows a dotted key below the root of a document. Mappings that are not there are made when a node is put.
func find(root *yaml.Node, key string) (spot, error) {
	s := spot{typ: reflect.TypeFor[document](), field: &field{}}
	at := root
	s.put = func(*yaml.Node) {}
	walked := ""
	for _, part := range strings.Split(key, ".") {
		var err error
		if s, at, err = s.step(at, part, walked); err != nil {
			return spot{}, err
		}
		walked = join(walked, part)
	}
	return s, nil
}

// step goes one part of a key further; at is the node there, nil where there is none yet.
func (s spot) step(at *yaml.Node, part, walked string) (spot, *yaml.Node, error) {
	t := s.typ
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var fields []field
	switch t.Kind() {
	case reflect.Slice:
		return s.entry(at, t, part, walked)
	case reflect.Map:
		if !labels.MatchString(part) {
			return s, nil, fmt.Errorf("%q below %s is not a name: write letters, digits, - and _ only", part, walked)
		}
		return s.into(at, part, t.Elem(), &field{})
	case reflect.Struct:
		if t == reflect.TypeFor[schedulerDoc]() {
			fields = schedulerFields(at)
		} else {
			fields = fieldsOf(t)
		}
	}
	var known []string
	for i := range fields {
		f := &fields[i]
		if known = append(known, f.key); f.key != part {
			continue
		}
		to := reflect.TypeFor[text]()
		if f.index != nil {
			to = t.FieldByIndex(f.index).Type
		}
		return s.into(at, part, to, f)
	}
	switch {
	case len(fields) == 0:
		return s, nil, fmt.Errorf("%s has no keys below it, and so no %s: write the key %s itself", walked, part, walked)
	case walked == "":
		return s, nil, fmt.Errorf("the key %q does not exist: %s", part, suggest(part, known))
	}
	return s, nil, fmt.Errorf("%s has no key %q: %s", walked, part, suggest(part, known))
}

// schedulerFields are the keys of a scheduler's block; where its algorithm is not known yet, those of all.
func schedulerFields(at *yaml.Node) []field {
	fields := slices.Clone(fieldsOf(reflect.TypeFor[schedulerKeys]()))
	for i := range fields {
		fields[i].index = nil
	}
	names := sched.Names()
	if at != nil {
		if n := child(at, "name"); n != nil && slices.Contains(names, n.Value) {
			names = []string{n.Value}
		}
	}
	seen := map[string]bool{}
	for _, name := range names {
		e, err := sched.Lookup(name)
		if err != nil {
			panic(err)
		}
		for _, p := range e.Parameters() {
			if !seen[p.Name] {
				fields = append(fields, field{key: p.Name})
			}
			seen[p.Name] = true
		}
	}
	return fields
}

// into goes to a key of a mapping.
func (s spot) into(at *yaml.Node, key string, t reflect.Type, f *field) (spot, *yaml.Node, error) {
	put := s.put
	if at == nil && s.field.has { // below what stands for the default
		at = clone(s.field.standard)
	}
	if at != nil && at.Kind == yaml.ScalarNode {
		if x, ok := reflect.New(elem(s.typ)).Interface().(shorthand); ok {
			at = x.expand(at)
			if at.Line != 0 {
				put(at)
			}
		} else {
			at = nil
		}
	}
	next := spot{typ: t, field: f, put: func(v *yaml.Node) {
		if at == nil || at.Kind != yaml.MappingNode {
			at = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		}
		if at.Line == 0 { // it was not there
			move(at, v.Line, v.Column)
			put(at)
		}
		for i := 0; i+1 < len(at.Content); i += 2 {
			if at.Content[i].Value == key {
				at.Content[i+1] = v
				return
			}
		}
		k := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key, Line: v.Line, Column: v.Column}
		at.Content = append(at.Content, k, v)
	}}
	if at == nil {
		return next, nil, nil
	}
	return next, child(at, key), nil
}

func elem(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// entry goes to an entry of a list, by its name or its index.
func (s spot) entry(at *yaml.Node, t reflect.Type, part, walked string) (spot, *yaml.Node, error) {
	if at == nil || at.Kind != yaml.SequenceNode || len(at.Content) == 0 {
		return s, nil, fmt.Errorf("the file has no list %s to take %q from: write the list first", walked, part)
	}
	var known []string
	for i, c := range at.Content {
		if name := element(c, i); name == part || strconv.Itoa(i) == part {
			return spot{typ: t.Elem(), field: s.field, put: func(v *yaml.Node) { at.Content[i] = v }}, c, nil
		}
		known = append(known, element(c, i))
	}
	return s, nil, fmt.Errorf("%s has no entry %q: %s", walked, part, suggest(part, known))
}

// sweptKeys are the dotted keys that the sweep gives, and those below them.
func (f *File) sweptKeys() map[string]bool {
	keys := map[string]bool{}
	for _, n := range f.sweptNodes() {
		keys[n.Value] = true
	}
	return keys
}
