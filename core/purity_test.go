package core_test

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Core, what is under it, and learner are pure: they start no goroutine, read no clock, draw from no generator that they
// were not given, do no I/O, and their results do not depend on the order of a map. Tests may range over a map, and read and write their golden files.
func TestPurity(t *testing.T) {
	l := &lint{fset: token.NewFileSet()}
	l.importer = importer.ForCompiler(l.fset, "source", nil)
	dirs := []string{"."}
	for _, pattern := range []string{"*", "../learner", "../learner/*"} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, more...)
	}
	checked := 0
	for _, dir := range dirs {
		n, err := l.dir(dir)
		if err != nil {
			t.Fatal(err)
		}
		checked += n
	}
	if checked < 40 {
		t.Errorf("only %d files were found", checked)
	}
	for _, p := range l.problems {
		t.Error(p)
	}
}

// The lint finds what it looks for.
func TestLint(t *testing.T) {
	l := &lint{fset: token.NewFileSet()}
	l.importer = importer.ForCompiler(l.fset, "source", nil)
	f, err := parser.ParseFile(l.fset, "impure.go", `package impure

import (
	"log/slog"
	"maps"
	clock "time"
	"math/rand/v2"
	"slices"
)

type named map[int]int

func f(c chan int, m named) (n int) {
	go slog.Info("")
	c <- 1
	n = <-c
	select {}
	for range c {
	}
	for range m {
	}
	for range maps.Keys(m) {
	}
	for range slices.Sorted(maps.Keys(m)) {
	}
	for range slices.Values([]int{1}) {
	}
	clock.Sleep(clock.Second)
	_ = clock.Now
	close(c)
	return n + rand.IntN(3) + rand.New(rand.NewPCG(1, 2)).IntN(3)
}
`, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	l.file(f)
	l.maps([]*ast.File{f})
	slices.Sort(l.problems)
	want := []string{
		`impure.go:13:10: a channel`,
		`impure.go:14:2: a go statement`,
		`impure.go:15:2: a send on a channel`,
		`impure.go:16:6: a receive from a channel`,
		`impure.go:17:2: a select statement`,
		`impure.go:18:12: a range over a channel`,
		`impure.go:20:12: a range over a map`,
		`impure.go:22:12: maps.Keys without slices.Sorted around it`,
		`impure.go:28:2: time.Sleep: of package time, only what durations need`,
		`impure.go:29:6: time.Now: of package time, only what durations need`,
		`impure.go:31:13: rand.IntN: draw from the generator that you were given`,
		`impure.go:4:2: imports log/slog`,
	}
	if !slices.Equal(l.problems, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(l.problems, "\n"), strings.Join(want, "\n"))
	}
}

// lint collects what is not pure.
type lint struct {
	fset     *token.FileSet
	importer types.Importer
	problems []string
}

func (l *lint) report(n ast.Node, format string, args ...any) {
	p := l.fset.Position(n.Pos())
	l.problems = append(l.problems, fmt.Sprintf("%s:%d:%d: ", p.Filename, p.Line, p.Column)+fmt.Sprintf(format, args...))
}

// dir checks the package in a directory, and returns how many files it has.
func (l *lint) dir(dir string) (int, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return 0, err
	}
	var code []*ast.File
	for _, name := range names {
		f, err := parser.ParseFile(l.fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return 0, err
		}
		l.file(f)
		if !strings.HasSuffix(name, "_test.go") && filepath.Base(dir) != "coretest" {
			code = append(code, f)
		}
	}
	l.maps(code)
	return len(names), nil
}

// forbidden are the packages that do what only a host may; the packages under them count too.
var forbidden = []string{"os", "net", "log", "sync", "syscall", "context", "math/rand", "crypto/rand", "unique", "weak"}

// allowed are the only names of a package that may be used.
var allowed = map[string][]string{
	"time": {"Duration", "Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour", "ParseDuration"},
	// What makes a generator; the functions that draw use the global one.
	"math/rand/v2": {"New", "NewPCG", "PCG", "Rand", "Source", "NewZipf", "Zipf"},
}

var why = map[string]string{
	"time":         "of package time, only what durations need",
	"math/rand/v2": "draw from the generator that you were given",
}

// file checks what can be seen in the syntax.
func (l *lint) file(f *ast.File) {
	paths := map[string]string{} // by the name in this file
	for _, i := range f.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		name := strings.TrimSuffix(path.Base(p), "/v2")
		if p == "math/rand/v2" {
			name = "rand"
		}
		if i.Name != nil {
			name = i.Name.Name
		}
		paths[name] = p
		test := strings.HasSuffix(l.fset.Position(f.Pos()).Filename, "_test.go")
		for _, bad := range forbidden {
			if bad == "os" && test {
				continue
			}
			if (p == bad || strings.HasPrefix(p, bad+"/")) && p != "math/rand/v2" {
				l.report(i, "imports %s", p)
			}
		}
	}
	sorted := map[ast.Expr]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			l.report(n, "a go statement")
		case *ast.SelectStmt:
			l.report(n, "a select statement")
		case *ast.ChanType:
			l.report(n, "a channel")
		case *ast.SendStmt:
			l.report(n, "a send on a channel")
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				l.report(n, "a receive from a channel")
			}
		case *ast.CallExpr:
			if s, p := qualified(n.Fun, paths); p == "slices" && strings.HasPrefix(s, "Sorted") {
				sorted[n.Args[0]] = true
			} else if p == "maps" && (s == "Keys" || s == "Values" || s == "All") && !sorted[n] {
				l.report(n, "maps.%s without slices.Sorted around it", s)
			}
		case *ast.SelectorExpr:
			s, p := qualified(n, paths)
			if ok := allowed[p]; ok != nil && !slices.Contains(ok, s) {
				l.report(n, "%s.%s: %s", path.Base(strings.TrimSuffix(p, "/v2")), s, why[p])
			}
		}
		return true
	})
}

// qualified resolves package.Name.
func qualified(e ast.Expr, paths map[string]string) (name, path string) {
	if s, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := s.X.(*ast.Ident); ok {
			return s.Sel.Name, paths[x.Name]
		}
	}
	return "", ""
}

// maps checks what needs types: over what the files of a package range.
func (l *lint) maps(files []*ast.File) {
	if len(files) == 0 {
		return
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	c := types.Config{Importer: l.importer, Error: func(err error) { l.problems = append(l.problems, err.Error()) }}
	_, _ = c.Check(files[0].Name.Name, l.fset, files, info)
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			if r, ok := n.(*ast.RangeStmt); ok && info.TypeOf(r.X) != nil {
				switch info.TypeOf(r.X).Underlying().(type) {
				case *types.Map:
					l.report(r.X, "a range over a map")
				case *types.Chan:
					l.report(r.X, "a range over a channel")
				}
			}
			return true
		})
	}
}
