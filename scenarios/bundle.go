package scenarios

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// A scenario that is to be read elsewhere takes the files along that it names.

// BundleFile is the name of the scenario in a bundle.
const BundleFile = "scenario.yaml"

// Bundle is the scenario as resolved, under the name BundleFile, and every file that it reads: their contents by their
// paths, none of which leads out of the bundle's directory. Reading it there gives the same points. It is to be called
// after Points.
func (f *File) Bundle() (map[string][]byte, error) {
	doc, missing := f.resolved()
	doc.Real = nil // what it says has been applied, or is not wanted
	leave(reflect.ValueOf(doc).Elem())
	bundle := map[string][]byte{BundleFile: f.encode(doc, missing, func(v reflect.Value) {
		f.digest(v)
		leave(v)
	})}
	for _, name := range slices.Sorted(maps.Keys(f.cache.opened)) {
		text, err := fs.ReadFile(f.dir, name)
		if err != nil {
			return nil, fmt.Errorf("a file of the scenario: %w", err)
		}
		bundle[bundled(name)] = text
	}
	return bundle, nil
}

// leave gives every path of a document the place that its file has in a bundle.
func leave(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			leave(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			leave(v.Index(i))
		}
	case reflect.Struct:
		switch s := v.Addr().Interface().(type) {
		case *dataFile:
			s.Path = text(bundled(string(s.Path)))
			return
		case *calibrationFileDoc:
			s.Path = text(bundled(string(s.Path)))
			return
		case *learnerDoc:
			if s.Weights != nil {
				w := text(bundled(string(*s.Weights)))
				s.Weights = &w
			}
		}
		for _, member := range fieldsOf(v.Type()) {
			leave(v.FieldByIndex(member.index))
		}
	}
}

// bundled is where a bundle has the file of a path that may lead out of the scenario's directory.
func bundled(name string) string {
	parts := strings.Split(path.Clean(filepath.ToSlash(name)), "/")
	for i, p := range parts {
		switch {
		case p == "..":
			parts[i] = "_above"
		case p == "" && i == 0:
			parts[i] = "_root"
		}
	}
	return path.Join(parts...)
}
