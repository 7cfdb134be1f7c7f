package scenarios

import (
	"bytes"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// encoder is the inverse of decoder.
type encoder struct {
	missing map[any]bool // addresses of values that the file leaves to the sweep
}

// encodeValue encodes a value that is complete.
func encodeValue(v reflect.Value) *yaml.Node { return (&encoder{}).value(v) }

// value returns the node that decodes to v, every default written out; nil for what is not there.
func (e *encoder) value(v reflect.Value) *yaml.Node {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	if v.CanAddr() {
		if e.missing[v.Addr().Interface()] {
			return nil
		}
		switch x := v.Addr().Interface().(type) {
		case custom:
			return x.encode()
		case scalar:
			return encodeScalar(x)
		}
	}
	switch v.Kind() {
	case reflect.String: // a choice
		return textNode(v.String())
	case reflect.Struct:
		return e.object(v)
	case reflect.Slice:
		if v.Len() == 0 {
			return nil
		}
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			n.Content = append(n.Content, e.value(v.Index(i)))
		}
		if n.Content[0].Kind == yaml.ScalarNode {
			n.Style = yaml.FlowStyle
		}
		return n
	case reflect.Map:
		return e.dictionary(v)
	}
	panic("scenarios: cannot encode a " + v.Type().String())
}

func encodeScalar(x scalar) *yaml.Node {
	s := x.String()
	if t := x.schema().Type; t == "integer" || t == "number" || t == "boolean" || s == "unlimited" {
		return &yaml.Node{Kind: yaml.ScalarNode, Value: s}
	}
	switch x.(type) {
	case *bound, *share, *busy, *nodeRange, *instant:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: s}
	}
	return textNode(s)
}

func textNode(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	if strings.ContainsAny(s, "\n\r") || strings.TrimSpace(s) != s {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func (e *encoder) object(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	kind := ""
	fields := fieldsOf(v.Type())
	for i := range fields {
		if fields[i].kind {
			kind = v.FieldByIndex(fields[i].index).String()
		}
	}
	for i := range fields {
		f := &fields[i]
		if !f.applies(kind) {
			continue
		}
		if c := e.value(v.FieldByIndex(f.index)); c != nil && !(c.Kind == yaml.MappingNode && len(c.Content) == 0) {
			n.Content = append(n.Content, textNode(f.key), c)
		}
	}
	if x, ok := v.Addr().Interface().(shorthand); ok && len(n.Content) > 0 {
		if last := n.Content[len(n.Content)-1]; last.Kind == yaml.ScalarNode && inline(x.expand(last)) == inline(n) {
			return last
		}
	}
	return n
}

func (e *encoder) dictionary(v reflect.Value) *yaml.Node {
	if v.Len() == 0 {
		return nil
	}
	n := &yaml.Node{Kind: yaml.MappingNode}
	keys := make([]string, 0, v.Len())
	for _, k := range v.MapKeys() {
		keys = append(keys, k.String())
	}
	slices.Sort(keys)
	for _, k := range keys {
		x := reflect.New(v.Type().Elem()).Elem()
		x.Set(v.MapIndex(reflect.ValueOf(k)))
		n.Content = append(n.Content, textNode(k), e.value(x))
	}
	return n
}

// writeYAML formats a node as a file.
func writeYAML(n *yaml.Node) []byte {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(n); err != nil {
		panic(err) // a node of our own making
	}
	e.Close()
	return b.Bytes()
}
