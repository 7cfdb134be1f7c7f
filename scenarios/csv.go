package scenarios

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"gopkg.in/yaml.v3"
)

// dataFile names a data file and says how to read it: comma-separated numbers with a decimal point, unless told
// otherwise. A path by itself is a source.
type dataFile struct {
	Path      text    `key:"path"`
	Separator choice  `key:"separator" default:"comma" oneof:"comma semicolon tab space"`
	Decimal   choice  `key:"decimal" default:"point" oneof:"point comma"`
	Header    boolean `key:"header" default:"false"`
	Comment   *text   `key:"comment"`
	Column    *label  `key:"column"`
	SHA256    *digest `key:"sha256"`
}

func (*dataFile) expand(n *yaml.Node) *yaml.Node { return expansion(n, "path", n.Value) }
func (*dataFile) short() *jsonschema.Schema      { return text("").schema() }

// table reads the rows of a source one by one.
type table struct {
	b       *builder
	src     *dataFile
	path    string
	scanner *bufio.Scanner
	file    fs.File
	hash    hash.Hash
	header  []string
	cells   []string // of the current row
	line    int
	width   int
	failed  bool
}

const (
	dataLineLimit = 1 << 20
	dataFileLimit = 1 << 30
)

// open begins to read a file of src; path is src.Path or one of the files of its pattern. It returns nil where that
// fails, after noting why.
func (b *builder) open(src *dataFile, path string) *table {
	f, err := b.dir.Open(path)
	if err != nil {
		b.wrong(&src.Path, "cannot open the data file %s: %v: write a path relative to the scenario", short(path), cause(err))
		return nil
	}
	if st, err := f.Stat(); err == nil && (st.IsDir() || st.Size() > dataFileLimit) {
		f.Close()
		b.wrong(&src.Path, "%s is a directory or larger than 1 GiB: write the path of a smaller file", short(path))
		return nil
	}
	b.opened[path] = true
	t := &table{b: b, src: src, path: path, file: f, hash: sha256.New()}
	t.scanner = bufio.NewScanner(io.TeeReader(f, t.hash))
	t.scanner.Buffer(nil, dataLineLimit)
	if src.Header {
		if !t.next() {
			if !t.failed {
				t.bad(0, "the file has no header: write the names of the columns in its first line")
			}
			return nil
		}
		t.header = append([]string(nil), t.cells...)
	}
	return t
}

// shown is the path of a data file as a message writes it.
func (b *builder) shown(path string) string {
	if d, ok := b.dir.(diskDir); ok && !filepath.IsAbs(path) {
		return filepath.Join(string(d), path)
	}
	return path
}

func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// bad notes a problem in the current line; column counts from 1, 0 is the whole line.
func (t *table) bad(column int, format string, args ...any) {
	t.failed = true
	t.b.taint(t.b.at[t.src].path)
	what := fmt.Sprintf(format, args...)
	if column > 0 {
		what = fmt.Sprintf("column %d: %s", column, what)
	}
	t.b.problems = append(t.b.problems,
		Problem{File: t.b.shown(t.path), Line: max(1, t.line), Key: t.b.at[t.src].path, Message: what})
}

// next reads a row. It is false at the end, and after a problem.
func (t *table) next() bool {
	if t.failed {
		return false
	}
	for t.scanner.Scan() {
		t.line++
		line := strings.TrimSuffix(t.scanner.Text(), "\r")
		if t.src.Comment != nil && *t.src.Comment != "" && strings.HasPrefix(line, string(*t.src.Comment)) {
			continue
		}
		t.cells = t.split(line)
		switch {
		case strings.TrimSpace(line) == "":
			t.bad(0, "the line is empty: delete it")
			return false
		case t.width == 0:
			t.width = len(t.cells)
		case len(t.cells) != t.width:
			t.bad(0, "the row has %d columns, those above have %d: make them equal, or tell separator:", len(t.cells), t.width)
			return false
		}
		return true
	}
	if err := t.scanner.Err(); err != nil {
		t.line++
		t.bad(0, "cannot read the line: %v", err)
	}
	return false
}

func (t *table) split(line string) []string {
	switch t.src.Separator {
	case "space":
		return strings.Fields(line)
	case "semicolon":
		return strings.Split(line, ";")
	case "tab":
		return strings.Split(line, "\t")
	}
	return strings.Split(line, ",")
}

// close ends the reading, and reports whether all went well. The digest is right only where the file was read to its
// end.
func (t *table) close() bool {
	if !t.failed {
		if _, err := io.Copy(t.hash, t.file); err != nil {
			t.bad(0, "cannot read: %v", err)
		}
	}
	t.file.Close()
	return !t.failed
}

func (t *table) sum() string { return hex.EncodeToString(t.hash.Sum(nil)) }

// number is the number in column i, from 0.
func (t *table) number(i int) (float64, bool) {
	s := strings.TrimSpace(t.cells[i])
	plain := s
	if t.src.Decimal == "comma" {
		plain = strings.Replace(s, ",", ".", 1)
		if strings.Contains(s, ".") {
			plain = "" // a point would be for thousands
		}
	}
	v, err := strconv.ParseFloat(plain, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || number.FindString(plain) != plain {
		advice := "write one like 0.5"
		switch {
		case strings.Contains(s, ",") && t.src.Decimal == "point":
			advice = "if the file has decimal commas, say decimal: comma"
		case t.line == 1 && !bool(t.src.Header):
			advice = "if the line names the columns, say header: true; if it is a comment, say comment:"
		case strings.ContainsAny(s, " \t;"):
			advice = "if it separates columns otherwise, say separator:"
		}
		t.bad(i+1, "%q is not a number: %s", short(s), advice)
		return 0, false
	}
	return v, true
}

// find is the index of a column by its name in the header.
func (t *table) find(name string) int {
	for i, h := range t.header {
		if strings.TrimSpace(h) == name {
			return i
		}
	}
	return -1
}

// chosen is the index of the source's column in the first row, from 0.
func (t *table) chosen() (int, bool) {
	if t.src.Column == nil {
		return len(t.cells) - 1, true
	}
	name := string(*t.src.Column)
	if i := t.find(name); i >= 0 {
		return i, true
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 1 && i <= len(t.cells) {
		return i - 1, true
	}
	if t.header != nil {
		t.b.wrong(t.src.Column, "%s has no column %q: %s", t.path, name, suggest(name, t.header))
	} else {
		t.b.wrong(t.src.Column, "%s has no column %q: write a number from 1 to %d", t.path, name, len(t.cells))
	}
	return 0, false
}

// read opens a file of src, calls row for each of its rows, and returns its digest; "" where something is wrong. What
// it reads need not be read again (see builder.keep).
func (b *builder) read(src *dataFile, path string, row func(t *table)) string {
	t := b.open(src, path)
	if t == nil {
		return ""
	}
	for t.next() {
		row(t)
	}
	if t.line == 0 && !t.failed {
		t.bad(0, "the file is empty: write rows")
	}
	if !t.close() {
		return ""
	}
	return t.sum()
}

// column reads the chosen column of a file of one.
func (b *builder) column(src *dataFile) []float64 {
	return b.columns(src, []string{string(src.Path)})[0]
}

// columns reads the chosen column of each of the files that make up a source.
func (b *builder) columns(src *dataFile, paths []string) [][]float64 {
	all := keep(b, src, "columns", func() (out [][]float64, sums []string) {
		for _, path := range paths {
			var values []float64
			at := -1
			sum := b.read(src, path, func(t *table) {
				if at < 0 {
					var ok bool
					if at, ok = t.chosen(); !ok {
						t.failed = true
						return
					}
				}
				if v, ok := t.number(at); ok {
					values = append(values, v)
				}
			})
			out, sums = append(out, values), append(sums, sum)
			if sum == "" {
				break
			}
		}
		return out, sums
	})
	for len(all) < len(paths) {
		all = append(all, nil)
	}
	return all
}

// kept is what was read from a source.
type kept struct {
	value any
	sum   digest
}

// keep reads a source once per File, however many points use it, and checks its digest. What was read is known
// by the source, what it was read for, and the other arguments of the reading.
func keep[T any](b *builder, src *dataFile, purpose string, read func() (T, []string), args ...any) T {
	told := *src
	told.SHA256 = nil
	key := fmt.Sprint(purpose, args, string(writeYAML(encodeValue(reflect.ValueOf(&told)))))
	k, ok := b.kept[key]
	if !ok {
		before := len(b.problems)
		v, sums := read()
		k = kept{value: v}
		if len(b.problems) == before {
			k.sum = digest(strings.Join(sums, ""))
			if len(sums) > 1 {
				h := sha256.Sum256([]byte(k.sum))
				k.sum = digest(hex.EncodeToString(h[:]))
			}
			b.kept[key] = k
		}
	}
	if k.sum == "" {
		return k.value.(T)
	}
	if src.SHA256 != nil && *src.SHA256 != k.sum {
		b.wrong(src.SHA256, "%s has another digest, %s: use the file that it was, or leave sha256 out", src.Path, k.sum)
	}
	if other, ok := b.digests[string(src.Path)]; ok && other != k.sum {
		b.digests[string(src.Path)] = "" // a pattern that stands for more files in one point than in another
	} else {
		b.digests[string(src.Path)] = k.sum
	}
	return k.value.(T)
}
