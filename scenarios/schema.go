package scenarios

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/p2pfaas/p2pfaas/core/sched"
)

// Schema is the JSON Schema (draft 2020-12) of a scenario file, for editors. It knows the keys, the units and the
// algorithms that are registered; what depends on several keys, or on data files, it does not know.
func Schema() []byte {
	w := schemaWriter{defs: map[string]*jsonschema.Schema{}}
	root := w.object(reflect.TypeFor[document]())
	root.Schema = "https://json-schema.org/draft/2020-12/schema"
	root.Title = "P2PFaaS scenario"
	root.Properties["sweep"] = w.sweep()
	root.PropertyOrder = append(root.PropertyOrder, "sweep")
	// What is missing may be given by the sweep.
	root.If = &jsonschema.Schema{Not: &jsonschema.Schema{Required: []string{"sweep"}}}
	root.Then = &jsonschema.Schema{Required: root.Required}
	root.Required = nil
	root.Defs = w.defs
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(err) // a schema of our own making
	}
	return append(out, '\n')
}

// schemaWriter collects the schemas of the structs, one definition each.
type schemaWriter struct{ defs map[string]*jsonschema.Schema }

// described is a type that knows its own schema.
type described interface{ schema() *jsonschema.Schema }

// never is the schema that nothing meets.
func never() *jsonschema.Schema { return &jsonschema.Schema{Not: &jsonschema.Schema{}} }

func (w *schemaWriter) value(t reflect.Type, f *field) *jsonschema.Schema {
	t = elem(t)
	v := reflect.New(t)
	switch x := v.Interface().(type) {
	case *schedulerDoc:
		return w.scheduler()
	case described:
		return bounded(x.schema(), f)
	case *choice:
		return enum(f.oneOf)
	}
	switch t.Kind() {
	case reflect.Slice:
		list := &jsonschema.Schema{Type: "array", Items: w.value(t.Elem(), f)}
		if !f.empty {
			list.MinItems = jsonschema.Ptr(1)
		}
		return list
	case reflect.Map:
		return &jsonschema.Schema{Type: "object", AdditionalProperties: w.value(t.Elem(), f),
			MinProperties: jsonschema.Ptr(1)}
	}
	return w.reference(t)
}

func enum(words []string) *jsonschema.Schema {
	s := &jsonschema.Schema{}
	for _, word := range words {
		s.Enum = append(s.Enum, word)
	}
	return s
}

// bounded adds the bounds of a field to the schema of a number without unit.
func bounded(s *jsonschema.Schema, f *field) *jsonschema.Schema {
	for _, either := range s.AnyOf {
		bounded(either, f)
	}
	if s.Type != "integer" && s.Type != "number" {
		return s
	}
	for tag, to := range map[string]**float64{f.min: &s.Minimum, f.max: &s.Maximum, f.over: &s.ExclusiveMinimum} {
		if tag != "" {
			*to = jsonschema.Ptr(parseBound(tag))
		}
	}
	return s
}

// reference is the schema of a struct: a reference to its definition, or what stands for it in short.
func (w *schemaWriter) reference(t reflect.Type) *jsonschema.Schema {
	name := structName(t)
	if w.defs[name] == nil {
		w.defs[name] = &jsonschema.Schema{} // it may contain itself
		w.defs[name] = w.object(t)
	}
	ref := &jsonschema.Schema{Ref: "#/$defs/" + name}
	if x, ok := reflect.New(t).Interface().(shorthand); ok {
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{x.short(), ref}}
	}
	return ref
}

func (w *schemaWriter) object(t reflect.Type) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{}, AdditionalProperties: never()}
	fields := fieldsOf(t)
	for i := range fields {
		f := &fields[i]
		p := w.value(t.FieldByIndex(f.index).Type, f)
		if p.Ref == "" && f.doc != "" {
			p.Description = strings.TrimSpace(f.doc)
		}
		if f.has && !strings.HasPrefix(f.fallback, "{") && p.Ref == "" {
			p.Description = strings.TrimSpace(p.Description + " (default: " + f.fallback + ")")
		}
		s.Properties[f.key] = p
		s.PropertyOrder = append(s.PropertyOrder, f.key)
		if f.required && f.only == nil {
			s.Required = append(s.Required, f.key)
		}
	}
	for i := range fields {
		if fields[i].kind {
			s.AllOf = kinds(&fields[i], fields)
		}
	}
	return s
}

// kinds says, per kind of a struct, which keys it needs and which do not belong to it.
func kinds(kind *field, fields []field) (rules []*jsonschema.Schema) {
	for _, k := range kind.oneOf {
		then := &jsonschema.Schema{Properties: map[string]*jsonschema.Schema{}}
		for i := range fields {
			f := &fields[i]
			if slices.Contains(f.needed, k) {
				then.Required = append(then.Required, f.key)
			}
			if !f.applies(k) {
				then.Properties[f.key] = never()
			}
		}
		rules = append(rules, &jsonschema.Schema{If: constant(kind.key, k), Then: then})
	}
	return rules
}

// constant is the condition that a key has a value.
func constant(key, value string) *jsonschema.Schema {
	return &jsonschema.Schema{Required: []string{key},
		Properties: map[string]*jsonschema.Schema{key: {Const: jsonschema.Ptr[any](value)}}}
}

// scheduler knows the parameters of every registered algorithm.
func (w *schemaWriter) scheduler() *jsonschema.Schema {
	if w.defs["scheduler"] == nil {
		s := w.object(reflect.TypeFor[schedulerKeys]())
		s.AdditionalProperties = nil
		s.Properties["name"] = enum(sched.Names())
		common := s.PropertyOrder
		for _, name := range sched.Names() {
			e, err := sched.Lookup(name)
			if err != nil {
				panic(err)
			}
			then := &jsonschema.Schema{Properties: map[string]*jsonschema.Schema{}}
			keys := slices.Clone(common)
			for _, p := range e.Parameters() {
				keys = append(keys, p.Name)
				then.Properties[p.Name] = paramSchema(p)
			}
			then.PropertyNames = enum(keys)
			s.AllOf = append(s.AllOf, &jsonschema.Schema{If: constant("name", name), Then: then})
		}
		w.defs["scheduler"] = s
	}
	return &jsonschema.Schema{Ref: "#/$defs/scheduler"}
}

func paramSchema(p sched.Param) *jsonschema.Schema {
	s := &jsonschema.Schema{Description: p.Doc}
	switch p.Type {
	case sched.Boolean:
		s.Type = "boolean"
	case sched.Integer, sched.Node:
		s.Type = "integer"
	case sched.Number:
		s.Type = "number"
	case sched.Duration:
		s = durations.schema()
		s.Description = p.Doc
	case sched.Choice:
		s.Enum = enum(p.Choices).Enum
	case sched.Words:
		s.Type, s.Items, s.UniqueItems = "array", enum(p.Choices), true
	case sched.Matrix:
		s.Type = "array"
	}
	if p.Default != "" {
		s.Description += " (default: " + p.Default + ")"
	}
	return s
}

// sweep does not look into the values: what they are depends on the key.
func (w *schemaWriter) sweep() *jsonschema.Schema {
	values := &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
		{Type: "array", MinItems: jsonschema.Ptr(1)},
		w.reference(reflect.TypeFor[rangeDoc]()),
	}}
	return &jsonschema.Schema{
		Type:                 "object",
		Description:          "a grid: dotted keys with a list of values each, or a range; the last key changes fastest",
		AdditionalProperties: values,
		Properties: map[string]*jsonschema.Schema{"zip": {Type: "object", AdditionalProperties: values,
			MinProperties: jsonschema.Ptr(2), Description: "keys whose lists of one length are walked together"}},
	}
}
