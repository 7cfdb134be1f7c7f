package scenarios

import (
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/google/jsonschema-go/jsonschema"
	"gopkg.in/yaml.v3"
)

// field is a key of the format. The format is described once, by Go structs whose fields have the tags
//
//	key:"slots"           the key's name in the file
//	default:"1"           its value where the file has none; without it required, unless a pointer or a list
//	need:"true"           required, although it is a list
//	oneof:"fifo lifo"     the values of a choice
//	kind:"true"           a choice that decides which of the other keys apply: see varied
//	min, max, over        bounds of a number, in base units; over is exclusive
//	eg:"8/s"              an example, where the type does not give one
//	empty:"true"          a list may have no entries, which is as if the key were not there
//
// and by docs. From them come the strict decoding, the encoding of a resolved scenario, the JSON schema, and the keys
// that a sweep or --set may name.
type field struct {
	index    []int
	key      string
	doc      string
	fallback string
	has      bool       // a fallback
	standard *yaml.Node // the fallback as a file would say it, at no place
	required bool
	kind     bool
	oneOf    []string
	only     []string // kinds to which the key belongs; nil: all
	needed   []string // kinds that require it
	min, max string
	over     string
	example  string
	empty    bool // a list that may have no entries
}

// varied is a struct of several kinds.
type varied interface{ variants() []variant }

// variant is a kind, with the keys that it needs and those that it may have. Keys that no variant names belong to all.
type variant struct{ name, need, may string }

// knownFields has the fields of the structs that were met, by type.
var knownFields sync.Map

// fieldsOf returns the described fields of a struct, those of embedded structs among them. It is not to be changed.
func fieldsOf(t reflect.Type) []field {
	if fs, ok := knownFields.Load(t); ok {
		return fs.([]field)
	}
	var fs []field
	for _, sf := range reflect.VisibleFields(t) {
		if sf.Tag.Get("key") != "" {
			fs = append(fs, readField(t, sf))
		}
	}
	if v, ok := reflect.Zero(t).Interface().(varied); ok {
		vary(fs, v.variants())
	}
	knownFields.Store(t, fs)
	return fs
}

func readField(t reflect.Type, sf reflect.StructField) field {
	tag := sf.Tag
	f := field{index: sf.Index, key: tag.Get("key"), kind: tag.Get("kind") != "", oneOf: strings.Fields(tag.Get("oneof")),
		min: tag.Get("min"), max: tag.Get("max"), over: tag.Get("over"), example: tag.Get("eg"), empty: tag.Get("empty") != ""}
	owner := t
	if len(sf.Index) > 1 {
		owner = t.FieldByIndex(sf.Index[:len(sf.Index)-1]).Type
	}
	f.doc = docs[structName(owner)+"."+f.key]
	if f.fallback, f.has = tag.Lookup("default"); f.has {
		f.standard = parseFallback(f.fallback)
	}
	switch sf.Type.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		f.required = tag.Get("need") != ""
	default:
		f.required = !f.has
	}
	return f
}

func structName(t reflect.Type) string { return strings.TrimSuffix(t.Name(), "Doc") }

func parseFallback(s string) *yaml.Node {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(s), &doc); err != nil {
		panic(err) // a tag of our own
	}
	move(doc.Content[0], 0, 0)
	return doc.Content[0]
}

// vary notes to which kinds the fields belong.
func vary(fs []field, kinds []variant) {
	for i := range fs {
		f := &fs[i]
		for _, k := range kinds {
			if f.kind {
				f.oneOf = append(f.oneOf, k.name)
			}
			if need := slices.Contains(strings.Fields(k.need), f.key); need {
				f.needed = append(f.needed, k.name)
				f.only = append(f.only, k.name)
			} else if slices.Contains(strings.Fields(k.may), f.key) {
				f.only = append(f.only, k.name)
			}
		}
	}
}

// applies reports whether the field belongs to the given kind of its struct.
func (f *field) applies(kind string) bool { return f.only == nil || slices.Contains(f.only, kind) }

// choice is one of a field's oneof values.
type choice string

// shorthand is a struct that a file may write as a scalar.
type shorthand interface {
	// expand returns the mapping that the scalar n stands for.
	expand(n *yaml.Node) *yaml.Node
	// short is the JSON schema of that scalar.
	short() *jsonschema.Schema
}

// custom decodes and encodes itself.
type custom interface {
	decode(d *decoder, n *yaml.Node, path string)
	encode() *yaml.Node
}
