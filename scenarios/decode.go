package scenarios

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// decoder turns nodes into values and collects every problem on the way.
type decoder struct {
	file     string
	origins  []string // of nodes from the command line: a node's Line is -1-index
	problems Problems
	at       map[any]place   // by address of the decoded value
	unsound  map[string]bool // paths at or below which there is a problem
	missing  map[any]bool    // addresses of values that were not there
	lenient  map[string]bool // keys that need not be there, because a sweep gives them
}

func newDecoder(file string) *decoder {
	return &decoder{file: file, missing: map[any]bool{}, at: map[any]place{}, unsound: map[string]bool{}}
}

type place struct {
	node *yaml.Node
	path string
}

// bad notes a problem at a node.
func (d *decoder) bad(n *yaml.Node, path, format string, args ...any) {
	p := Problem{File: d.file, Line: n.Line, Column: n.Column, Key: path, Message: fmt.Sprintf(format, args...)}
	if n.Line < 0 {
		p.File, p.Line, p.Column = d.origins[-1-n.Line], 0, 0
	}
	d.problems = append(d.problems, p)
	d.taint(path)
}

// taint marks a path, and those above it, as unsound.
func (d *decoder) taint(path string) {
	for ; path != ""; path = path[:max(0, strings.LastIndexByte(path, '.'))] {
		d.unsound[path] = true
	}
}

// sound reports whether a value was decoded, without a problem in it or a part of it, given its address.
func (d *decoder) sound(ptr any) bool {
	p, ok := d.at[ptr]
	return ok && !d.unsound[p.path]
}

// wrong notes a problem with a decoded value, given its address. What was not decoded has a problem already.
func (d *decoder) wrong(ptr any, format string, args ...any) {
	p, ok := d.at[ptr]
	if !ok && len(d.problems) > 0 {
		return
	}
	if !ok {
		panic(fmt.Sprintf("scenarios: no place is known of a %T", ptr))
	}
	d.bad(p.node, p.path, format, args...)
}

func (d *decoder) note(v reflect.Value, n *yaml.Node, path string) {
	d.at[v.Addr().Interface()] = place{n, path}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// value decodes n into v, which is addressable. f is the field that holds it, for its bounds.
func (d *decoder) value(n *yaml.Node, v reflect.Value, f *field, path string) {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		d.note(v, n, path)
		d.value(n, v.Elem(), f, path)
		return
	}
	d.note(v, n, path)
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Style == 0 {
		d.bad(n, path, "the key has no value: write one after the colon, or leave the key out")
		return
	}
	switch x := v.Addr().Interface().(type) {
	case *string: // in files that are no scenarios
		if len(f.oneOf) > 0 {
			d.choice(n, (*choice)(x), f, path)
		} else {
			d.scalar(n, (*text)(x), f, path)
		}
		return
	case *int:
		d.scalar(n, (*count)(x), f, path)
		return
	case custom:
		x.decode(d, n, path)
		return
	case scalar:
		d.scalar(n, x, f, path)
		return
	case *choice:
		d.choice(n, x, f, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.object(n, v, path)
	case reflect.Slice:
		d.list(n, v, f, path)
	case reflect.Map:
		d.dictionary(n, v, f, path)
	default:
		panic("scenarios: cannot decode a " + v.Type().String())
	}
}

func (d *decoder) choice(n *yaml.Node, x *choice, f *field, path string) {
	if d.isScalar(n, path) && !slices.Contains(f.oneOf, n.Value) {
		d.bad(n, path, "%q is not known here: %s", short(n.Value), suggest(n.Value, f.oneOf))
		return
	}
	*x = choice(n.Value)
}

func (d *decoder) isScalar(n *yaml.Node, path string) bool {
	if n.Kind != yaml.ScalarNode {
		d.bad(n, path, "found %s where a single value belongs: write one value", nodeKind(n))
		return false
	}
	return true
}

func nodeKind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}

func (d *decoder) scalar(n *yaml.Node, x scalar, f *field, path string) {
	if !d.isScalar(n, path) {
		return
	}
	if err := x.parse(n); err != nil {
		d.bad(n, path, "%v", err)
		return
	}
	m, ok := reflect.ValueOf(x).Elem().Interface().(magnitude)
	if !ok {
		return
	}
	switch v := m.magnitude(); {
	case f.over != "" && v <= parseBound(f.over):
		d.bad(n, path, "%s is not more than %s: write more", short(n.Value), f.over)
	case f.min != "" && v < parseBound(f.min):
		d.bad(n, path, "%s is less than %s: write %s or more", short(n.Value), f.min, f.min)
	case f.max != "" && v > parseBound(f.max):
		d.bad(n, path, "%s is more than %s: write %s or less", short(n.Value), f.max, f.max)
	}
}

func parseBound(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(err)
	}
	return v
}

// object decodes a mapping into a struct.
func (d *decoder) object(n *yaml.Node, v reflect.Value, path string) {
	if s, ok := v.Addr().Interface().(shorthand); ok && n.Kind == yaml.ScalarNode {
		n = s.expand(n)
	}
	if n.Kind != yaml.MappingNode {
		d.bad(n, path, "found %s where a mapping belongs: write keys and values", nodeKind(n))
		return
	}
	fields := fieldsOf(v.Type())
	known := make([]string, len(fields))
	for i := range fields {
		known[i] = fields[i].key
	}
	given := d.keys(n, known, path)
	kind := ""
	for i := range fields { // the kind first: the rest depends on it
		if f := &fields[i]; f.kind {
			before := len(d.problems)
			d.member(n, given[f.key], v.FieldByIndex(f.index), f, kind, path)
			if kind = v.FieldByIndex(f.index).String(); len(d.problems) > before {
				return
			}
		}
	}
	for i := range fields {
		if f := &fields[i]; !f.kind {
			d.member(n, given[f.key], v.FieldByIndex(f.index), f, kind, path)
		}
	}
}

// keys returns the nodes of a mapping by key, and complains about unknown and repeated ones.
func (d *decoder) keys(n *yaml.Node, known []string, path string) map[string]*yaml.Node {
	given := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		switch {
		case k.Kind != yaml.ScalarNode || !slices.Contains(known, k.Value):
			d.bad(k, path, "the key %q is not known here: %s", short(k.Value), suggest(k.Value, known))
		case given[k.Value] != nil:
			d.bad(k, path, "the key %q is given twice, first in line %d: leave one out", k.Value, given[k.Value].Line)
		default:
			given[k.Value] = n.Content[i+1]
		}
	}
	return given
}

// member decodes one field of a struct, or gives it its default.
func (d *decoder) member(parent, n *yaml.Node, v reflect.Value, f *field, kind, path string) {
	here := join(path, f.key)
	switch {
	case n != nil && !f.applies(kind):
		d.bad(n, here, "the key does not belong to %s, only to %s: leave it out", kind, strings.Join(f.only, ", "))
	case n != nil:
		d.value(n, v, f, here)
	case !f.applies(kind):
	case f.has:
		d.fallback(parent, v, f, here)
	case !f.required && !slices.Contains(f.needed, kind):
	case d.lenient[here]:
		d.note(v, parent, here)
		d.taint(here)
		d.missing[v.Addr().Interface()] = true
	case slices.Contains(f.needed, kind):
		d.bad(parent, here, "%s needs this key: %s", kind, hint(f, v.Type()))
	default:
		d.bad(parent, here, "the key is missing: %s", hint(f, v.Type()))
	}
}

// hint says how a missing key is written.
func hint(f *field, t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if len(f.oneOf) > 0 {
		return fmt.Sprintf("write %s: and one of %s", f.key, strings.Join(f.oneOf, ", "))
	}
	example := f.example
	switch reflect.Zero(t).Interface().(type) {
	case duration, distributionDoc:
		example = cmp.Or(example, durations.example)
	case rate:
		example = rates.example
	case count:
		example = "4"
	case real:
		example = "1.5"
	case share:
		example = "0.5"
	case label:
		example = "NAME"
	case dataFile:
		example = "FILE.csv"
	}
	return fmt.Sprintf("write %s: %s, for example", f.key, example)
}

func (d *decoder) fallback(parent *yaml.Node, v reflect.Value, f *field, path string) {
	n := clone(f.standard)
	move(n, parent.Line, parent.Column)
	d.value(n, v, f, path)
}

func move(n *yaml.Node, line, column int) {
	n.Line, n.Column = line, column
	for _, c := range n.Content {
		move(c, line, column)
	}
}

// listLimit bounds the lists of a file; longer ones belong into a CSV file.
const listLimit = 10_000

func (d *decoder) list(n *yaml.Node, v reflect.Value, f *field, path string) {
	if n.Kind != yaml.SequenceNode {
		d.bad(n, path, "found %s where a list belongs: write [a, b, ...]", nodeKind(n))
		return
	}
	if len(n.Content) == 0 && !f.empty || len(n.Content) > listLimit {
		d.bad(n, path, "the list has %d entries: write 1 to %d", len(n.Content), listLimit)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, c := range n.Content {
		d.value(c, v.Index(i), f, join(path, element(c, i)))
	}
}

// element is how a dotted key names an entry of a list: by its name where it has one, otherwise by its index.
func element(n *yaml.Node, i int) string {
	if name := child(n, "name"); name != nil && labels.MatchString(name.Value) {
		return name.Value
	}
	return strconv.Itoa(i)
}

// child is the value of a key of a mapping, or nil.
func child(n *yaml.Node, key string) *yaml.Node {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return n.Content[i+1]
			}
		}
	}
	return nil
}

func (d *decoder) dictionary(n *yaml.Node, v reflect.Value, f *field, path string) {
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		d.bad(n, path, "found %s where names with values belong: write {a: ..., b: ...}", nodeKind(n))
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(n.Content)/2))
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode || !labels.MatchString(k.Value) {
			d.bad(k, path, "%q is not a name: write letters, digits, - and _ only", short(k.Value))
			continue
		}
		key := reflect.ValueOf(k.Value)
		if v.MapIndex(key).IsValid() {
			d.bad(k, path, "%q is given twice: leave one out", k.Value)
			continue
		}
		e := reflect.New(v.Type().Elem())
		d.value(n.Content[i+1], e.Elem(), f, join(path, k.Value))
		v.SetMapIndex(key, e.Elem())
	}
}
