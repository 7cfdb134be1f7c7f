package scenarios

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

const (
	fileLimit = 1 << 20
	lineLimit = 1 << 16
)

// aScenario is what to write in a file.
const aScenario = "a scenario (p2pfaas scenario show lambda-sweep prints one)"

// ParseKeys reads a file of keys and values that is no scenario, as strictly as one: what says what belongs in it. It
// returns the values of the known keys, also beside an error, which is of type Problems.
func ParseKeys(file string, data []byte, what string, known []string) (map[string]*yaml.Node, error) {
	root, problems := parseYAML(file, data, what)
	if len(problems) > 0 {
		return nil, problems.err()
	}
	d := newDecoder(file)
	return d.keys(root, known, ""), d.problems.err()
}

// Reading is a file that is no scenario, read as strictly as one. It knows where its values stand.
type Reading struct{ d *decoder }

// Read reads such a file into the struct at v: what says what belongs in it. Fields are of type string or int, structs, and
// pointers, slices and maps of those. Their tags are a scenario's: key, default, min, max, oneof, eg (how an error shows a
// missing one), and need for a slice that must be there; a pointer need not be.
func Read(file string, data []byte, what string, v any) *Reading {
	root, problems := parseYAML(file, data, what)
	r := &Reading{newDecoder(file)}
	if r.d.problems = problems; len(problems) == 0 {
		r.d.value(root, reflect.ValueOf(v).Elem(), &field{}, "")
	}
	return r
}

// Wrong notes a problem with a value that was read, given its address.
func (r *Reading) Wrong(ptr any, format string, args ...any) { r.d.wrong(ptr, format, args...) }

// Sound reports whether a value was given, or has a default, and has no problem yet, given its address.
func (r *Reading) Sound(ptr any) bool { return r.d.sound(ptr) }

// Err are all problems, of type Problems, or nil.
func (r *Reading) Err() error { return r.d.problems.err() }

// parseYAML reads the one document of a file. It refuses what a scenario has no use for: anchors, aliases, tags.
func parseYAML(file string, data []byte, what string) (*yaml.Node, Problems) {
	d := newDecoder(file)
	if d.characters(data); len(d.problems) > 0 {
		return nil, d.problems
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF):
		d.problems = Problems{{File: file, Line: 1, Column: 1,
			Message: "the file is empty: write " + what}}
		return nil, d.problems
	case err != nil:
		return nil, Problems{syntaxProblem(file, err)}
	}
	if err := dec.Decode(&second); err == nil {
		d.bad(&second, "", "a second document begins here: write one per file")
	} else if !errors.Is(err, io.EOF) {
		d.problems = append(d.problems, syntaxProblem(file, err))
	}
	root := doc.Content[0]
	d.plain(root)
	if len(d.problems) == 0 && root.Kind != yaml.MappingNode {
		d.bad(root, "", "found %s where keys and values belong: write %s", nodeKind(root), what)
	}
	return root, d.problems
}

// characters checks the text before the YAML parser, whose own messages do not say where.
func (d *decoder) characters(data []byte) {
	line := 0
	for rest := data; len(rest) > 0 && len(d.problems) < 20; {
		line++
		text := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			text, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		text = bytes.TrimSuffix(text, []byte("\r"))
		at := &yaml.Node{Line: line, Column: 1}
		if len(text) > lineLimit {
			d.bad(at, "", "the line is %d bytes long, the limit is %d: put data into a CSV file", len(text), lineLimit)
			continue
		}
		if !utf8.Valid(text) {
			d.bad(at, "", "the line is not UTF-8: save the file in that encoding")
			continue
		}
		indent := len(text) - len(bytes.TrimLeft(text, " \t"))
		at.Column = 0
		for i, c := range string(text) {
			at.Column++
			if c == '\t' && i < indent {
				d.bad(at, "", "a tab indents the line: write spaces")
				break
			}
			if c < ' ' && c != '\t' || c == 0x7f || c >= 0x80 && c < 0xa0 ||
				c == 0xfeff && line+i > 1 || c >= 0xfffe && c <= 0xffff {
				d.bad(at, "", "the character %U does not belong here: delete it", c)
				break
			}
		}
	}
	if len(data) > fileLimit && len(d.problems) == 0 {
		d.bad(&yaml.Node{Line: line, Column: 1}, "", "the file has %d bytes, the limit is %d: put data into CSV files",
			len(data), fileLimit)
	}
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

func syntaxProblem(file string, err error) Problem {
	p := Problem{File: file, Line: 1, Message: err.Error()}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		if m[1] != "" {
			p.Line, _ = strconv.Atoi(m[1])
		}
		p.Message = "not valid YAML: " + m[2] + ": check the indentation, colons, brackets and quotes here and above"
	}
	return p
}

// plain complains about anchors, aliases and tags.
func (d *decoder) plain(n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		d.bad(n, "", "*%s is an alias: write the value itself", n.Value)
		return
	case n.Anchor != "":
		d.bad(n, "", "&%s is an anchor: write the value where it is needed, without one", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0:
		d.bad(n, "", "%s is a tag: leave it out", n.Tag)
	}
	for _, c := range n.Content {
		d.plain(c)
	}
}
