package scenarios

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/core/spelling"
)

// File is a scenario file: a scenario with a sweep over some of its keys, hence one Scenario per Point.
type File struct {
	name    string     // as the user wrote it
	root    *yaml.Node // but for the sweep
	sweep   *yaml.Node // nil: none
	dir     fs.FS      // of the data files
	origins []string   // of nodes from the command line; a node's Line is -1-index
	cache   cache
}

// cache is what the points of a file have in common.
type cache struct {
	kept    map[string]kept   // contents of data files
	digests map[string]digest // of data files, by path; "" where one path stands for different files
	graphs  map[string]*graph
	shared  map[string]any  // what was made of data files
	opened  map[string]bool // paths of files that were read
}

func newCache() cache {
	return cache{kept: map[string]kept{}, digests: map[string]digest{}, graphs: map[string]*graph{}, shared: map[string]any{}, opened: map[string]bool{}}
}

// sum is the digest of a data file; told where it was not read.
func (c *cache) sum(path text, told *digest) *digest {
	if d := c.digests[string(path)]; d != "" {
		return &d
	}
	return told
}

// inCommon makes a value that the points of a file have in common once. It is known by all that it depends on: what it
// is for, and the part of the document that describes it.
func inCommon[T any](b *builder, purpose string, doc any, make func() T, args ...any) T {
	key := fmt.Sprint(purpose, args, string(writeYAML(encodeValue(reflect.ValueOf(doc)))))
	if v, ok := b.shared[key]; ok {
		return v.(T)
	}
	before := len(b.problems)
	v := make()
	if len(b.problems) == before {
		b.shared[key] = v
	}
	return v
}

// absent reports whether there is no file at path. A directory is none: one with results may well be called as the scenario is.
func absent(path string) bool {
	info, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir()
}

// Load reads the scenario file at path, and the data files that it names. Where there is no such file, path may be the
// name of a scenario of the library, such as lambda-sweep or scenarios/lambda-sweep.yaml. The error is of type Problems
// where the file could be read.
func Load(path string) (*File, error) {
	if name, ok := inLibrary(path); ok && absent(path) {
		data, err := library.ReadFile(name)
		if err != nil {
			return nil, err
		}
		return Parse(path, data, libraryDir{})
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if meant := spelling.Meant(path, Library()); meant != "" {
			return nil, fmt.Errorf("%w; did you mean %s?", err, meant)
		}
		return nil, fmt.Errorf("%w; the library has %s", err, strings.Join(Library(), ", "))
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 16*fileLimit))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return Parse(path, data, diskDir(filepath.Dir(path)))
}

// LoadFrom reads a scenario from data as Load would at path: that is where its data files are. A run stores its
// scenario elsewhere than these.
func LoadFrom(path string, data []byte) (*File, error) {
	if _, ok := inLibrary(path); ok && absent(path) {
		return Parse(path, data, libraryDir{})
	}
	return Parse(path, data, diskDir(filepath.Dir(path)))
}

// Origin is where the file is, wherever the process goes: an absolute path, or the name of a scenario of the library.
func (f *File) Origin() (string, error) {
	if _, ours := f.dir.(libraryDir); ours {
		return f.name, nil
	}
	path, err := filepath.Abs(f.name)
	if err != nil {
		return "", fmt.Errorf("where is the scenario? %w", err)
	}
	return path, nil
}

// diskDir is a directory from which paths may lead elsewhere: a user names data files as in a shell.
type diskDir string

func (d diskDir) Open(name string) (fs.File, error) {
	if filepath.IsAbs(name) {
		return os.Open(name)
	}
	return os.Open(filepath.Join(string(d), name))
}

// Parse reads a scenario from data. Its problems bear the given name; its data files are opened in dir.
func Parse(name string, data []byte, dir fs.FS) (*File, error) {
	root, problems := parseYAML(name, data, aScenario)
	if len(problems) > 0 {
		return nil, problems.err()
	}
	f := &File{name: name, root: root, dir: dir, cache: newCache()}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == "sweep" {
			if f.sweep != nil {
				return nil, Problems{{File: name, Line: root.Content[i].Line, Column: root.Content[i].Column,
					Message: `the key "sweep" is given twice: leave one out`}}
			}
			f.sweep = root.Content[i+1]
			remove(root, "sweep")
			i -= 2
		}
	}
	if _, err := f.points(false); err != nil {
		return nil, err
	}
	return f, nil
}

// Name is the name of the experiment.
func (f *File) Name() string {
	if n := child(f.root, "name"); n != nil && labels.MatchString(n.Value) {
		return n.Value
	}
	base := strings.TrimSuffix(filepath.Base(f.name), filepath.Ext(f.name))
	base = strings.Trim(unfit.ReplaceAllString(base, "-"), "-")
	if base == "" {
		return "scenario"
	}
	return base
}

var unfit = regexp.MustCompile(`[^A-Za-z0-9_]+`)

// Set gives a key of the file another value, both as in --set KEY=VALUE: a dotted key such as workload.rate or
// functions.face-detect.deadline, and its value in YAML. A key that is swept becomes fixed; sweep.KEY=[...] sets what
// is swept. The values are checked by Points.
func (f *File) Set(key, value string) error {
	origin := "--set " + short(key+"="+value)
	if strings.TrimSpace(value) == "" {
		return Problems{{File: origin, Message: "there is no value: write KEY=VALUE"}}
	}
	v, problems := parseYAML(origin, []byte(value), aScenario)
	if len(problems) == 1 && v != nil && v.Kind != yaml.MappingNode {
		problems = nil // any value will do here
	}
	if len(problems) > 0 {
		return problems.err()
	}
	f.origins = append(f.origins, origin)
	move(v, -len(f.origins), 0)
	if key == "sweep" {
		f.sweep = v
		return nil
	}
	if swept, ok := strings.CutPrefix(key, "sweep."); ok {
		return f.setSwept(swept, v)
	}
	if err := f.unsweep(key); err != nil {
		return err
	}
	if err := f.assign(f.root, key, v); err != nil {
		return Problems{{File: origin, Message: err.Error()}}
	}
	return nil
}

// SetDuration changes the duration of a run. A warm-up that is not a percentage is scaled along.
func (f *File) SetDuration(d time.Duration) error {
	var doc document
	b := f.builder(false)
	b.lenient = f.sweptKeys()
	b.object(f.root, reflect.ValueOf(&doc).Elem(), "")
	if err := f.Set("duration", duration(d).String()); err != nil {
		return err
	}
	if !doc.Warmup.relative && doc.Duration > 0 {
		scaled := duration(float64(doc.Warmup.of) * (float64(d) / float64(doc.Duration)))
		return f.Set("warmup", scaled.String())
	}
	return nil
}

// SetReal applies what the file says for runs on real nodes, but for what has been Set.
func (f *File) SetReal() error {
	var doc document
	b := f.builder(false)
	b.lenient = f.sweptKeys()
	b.object(f.root, reflect.ValueOf(&doc).Elem(), "")
	var problems []error
	if r := doc.Real; r != nil {
		if r.Duration != nil && !f.given("duration") {
			problems = append(problems, f.SetDuration(time.Duration(*r.Duration)))
		}
		if r.Replications != nil && !f.given("replications") {
			problems = append(problems, f.Set("replications", r.Replications.String()))
		}
	}
	return errors.Join(problems...)
}

// given reports whether a key at the top of the file has been Set.
func (f *File) given(key string) bool {
	n := child(f.root, key)
	return n != nil && n.Line < 0
}

// builder is a decoder that resolves too: it has the data files.
type builder struct {
	*decoder
	*cache
	name    string
	dir     fs.FS
	connect bool // make the graphs of the topologies
}

func (f *File) builder(connect bool) *builder {
	d := newDecoder(f.name)
	d.origins = f.origins
	return &builder{decoder: d, cache: &f.cache, name: f.Name(), dir: f.dir, connect: connect}
}

// resolve decodes and resolves one point.
func (b *builder) resolve(root *yaml.Node) *Scenario {
	var doc document
	v := reflect.ValueOf(&doc).Elem()
	b.note(v, root, "")
	b.object(root, v, "")
	return doc.resolve(b)
}

// Resolved is the scenario file with every default written out, every shorthand expanded and the digest of every data
// file. Reading it gives the same points, and the same Resolved. It is to be called after Points.
func (f *File) Resolved() []byte {
	doc, missing := f.resolved()
	return f.encode(doc, missing, f.digest)
}

// resolved is the document that Resolved writes, and the values that it leaves to the sweep.
func (f *File) resolved() (*document, map[any]bool) {
	var doc document
	b := f.builder(false)
	b.lenient = f.sweptKeys()
	b.object(f.root, reflect.ValueOf(&doc).Elem(), "")
	name := label(f.Name())
	doc.Name = &name
	f.digest(reflect.ValueOf(&doc).Elem())
	return &doc, b.missing
}

// encode writes a document and the sweep, whose values are finished before.
func (f *File) encode(doc *document, missing map[any]bool, finish func(reflect.Value)) []byte {
	e := encoder{missing: missing}
	n := e.object(reflect.ValueOf(doc).Elem())
	if s := f.encodeSweep(finish); s != nil {
		n.Content = append(n.Content, textNode("sweep"), s)
	}
	return writeYAML(n)
}

// digest notes the digests of the data files in every source of a document.
func (f *File) digest(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			f.digest(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			f.digest(v.Index(i))
		}
	case reflect.Struct:
		switch s := v.Addr().Interface().(type) {
		case *dataFile:
			s.SHA256 = f.cache.sum(s.Path, s.SHA256)
			return
		case *calibrationFileDoc:
			s.SHA256 = f.cache.sum(s.Path, s.SHA256)
			return
		}
		for _, member := range fieldsOf(v.Type()) {
			f.digest(v.FieldByIndex(member.index))
		}
	}
}
