package p2pfaas_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/p2pfaas/p2pfaas"

// mayImport says which directories of the module the code of a directory may import, the packages under it included.
// What is not listed may import nothing of the module.
var mayImport = map[string][]string{
	"core":      {"core"},
	"learner":   {"learner", "core"},
	"scenarios": {"scenarios", "core", "learner"},
	"results":   {"results", "core", "learner"},
	"simnet":    {"simnet", "core", "learner", "scenarios", "results"},
	"realnet":   {"realnet", "core", "learner", "scenarios", "results"},
	"cmd":       {"cmd", "core", "learner", "scenarios", "results", "simnet", "realnet"},
	"yardstick": {},
	// The examples, the tests at the root and those of the cluster look at the module as its users do.
	"docs":    {"cmd", "core", "learner", "scenarios", "results", "simnet", "realnet"},
	"compose": {"cmd", "core", "learner", "scenarios", "results", "simnet", "realnet"},
	".":       {"cmd", "core", "learner", "scenarios", "results", "simnet", "realnet"},
}

// Who may import whom: core nothing of ours, not even what lies under it; the two worlds never each other; cmd
// everything, and nobody cmd but its users. Tests keep the rules too, but for core's, which run core in the hosts of coretest.
func TestImports(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "runs") {
			return filepath.SkipDir
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range f.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if problem := wrongImport(filepath.ToSlash(name), p); problem != "" {
				t.Errorf("%s %s", name, problem)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Errorf("only %d files were found", files)
	}
}

// wrongImport says what is wrong with a file that imports p; nothing where it is empty.
func wrongImport(file, p string) string {
	dir := "."
	if i := strings.LastIndexByte(file, '/'); i >= 0 {
		dir = file[:i]
	}
	top, _, _ := strings.Cut(dir, "/")
	test := strings.HasSuffix(file, "_test.go")
	what, ours := strings.CutPrefix(p, module+"/")
	first, _, _ := strings.Cut(p, "/")
	if !ours {
		// A host outside the standard library has a dot in its name. Core and learner are built for every machine; the
		// language of a learner's rewards is pure Go too.
		if (top == "core" || top == "learner") && strings.Contains(first, ".") && p != module &&
			!(top == "learner" && strings.HasPrefix(p, "github.com/expr-lang/expr")) {
			return fmt.Sprintf("imports %s: %s needs the standard library only", p, top)
		}
		return ""
	}
	target, _, _ := strings.Cut(what, "/")
	rules, known := mayImport[top]
	switch {
	case !known:
		return fmt.Sprintf("is in a directory that has no rule for imports: give %q one", top)
	case what == "core/coretest" && !test && dir != "core/coretest":
		return "imports core/coretest, which is for tests"
	case dir == "core" && !test:
		return fmt.Sprintf("imports %s: core imports nothing of ours", what)
	case !slices.Contains(rules, target):
		return fmt.Sprintf("imports %s: %s may import %s", what, top, strings.Join(rules, ", "))
	}
	return ""
}

// The rules reject what they are for.
func TestImportRules(t *testing.T) {
	for _, c := range []struct {
		file, path string
		wrong      bool
	}{
		{"core/node.go", module + "/core/random", true},
		{"core/node_test.go", module + "/core/coretest", false},
		{"core/node.go", "math/rand/v2", false},
		{"core/sched/x.go", module + "/core", false},
		{"core/sched/x.go", module + "/core/coretest", true},
		{"core/sched/x.go", module + "/scenarios", true},
		{"core/sched/x_test.go", module + "/simnet", true},
		{"learner/x.go", "gonum.org/v1/gonum/mat", true},
		{"simnet/x.go", "gonum.org/v1/gonum/mat", false},
		{"simnet/x.go", module + "/realnet", true},
		{"realnet/x_test.go", module + "/simnet", true},
		{"realnet/x.go", module + "/core", false},
		{"scenarios/x.go", module + "/results", true},
		{"results/x.go", module + "/scenarios", true},
		{"simnet/theory/x.go", module + "/cmd", true},
		{"readme_test.go", module + "/cmd", false},
		{"cmd/x.go", module + "/realnet", false},
		{"helpers/x.go", module + "/core", true},
	} {
		if got := wrongImport(c.file, c.path); (got != "") != c.wrong {
			t.Errorf("%s importing %s: %q, want an objection: %t", c.file, c.path, got, c.wrong)
		}
	}
}
