package p2pfaas_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/realnet/deploy"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// What the README shows compiles and resolves: its Go is a part of an Example, its YAML a scenario.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("core/sched/example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```(go|yaml)\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	seen := map[string]bool{}
	for _, b := range blocks {
		seen[b[1]] = true
		switch b[1] {
		case "go":
			if !strings.Contains(string(example), b[2]) {
				t.Errorf("this is not in core/sched/example_test.go:\n%s", b[2])
			}
		case "yaml":
			f, err := scenarios.Parse("README.md", []byte(b[2]), os.DirFS("."))
			if err == nil {
				_, err = f.Points()
			}
			if err != nil {
				t.Error(err)
			}
		}
	}
	if !seen["go"] || !seen["yaml"] {
		t.Errorf("the README shows %v, and should show Go and YAML", seen)
	}
	links(t, "README.md")
}

// The pages of the guide refer to what is there. Their first YAML is a scenario, and what follows replaces keys of it; that of
// machines is a hosts file.
func TestGuide(t *testing.T) {
	pages, err := filepath.Glob("docs/guide/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	for _, page := range pages {
		var base map[string]any
		for _, b := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(links(t, page), -1) {
			if strings.Contains(b[1], "\nhosts:") {
				path := filepath.Join(t.TempDir(), "hosts.yaml")
				if err := os.WriteFile(path, []byte(b[1]), 0o666); err != nil {
					t.Fatal(err)
				}
				if _, err := deploy.LoadInventory(t.Context(), path); err != nil {
					t.Errorf("%s: %v", page, err)
				}
				continue
			}
			scenario := maps.Clone(base)
			if err := yaml.Unmarshal([]byte(b[1]), &scenario); err != nil {
				t.Fatalf("%s: %v\n%s", page, err, b[1])
			}
			if base == nil {
				base = scenario
			}
			text, err := yaml.Marshal(scenario)
			if err != nil {
				t.Fatal(err)
			}
			f, err := scenarios.Parse(page, text, os.DirFS("docs/guide"))
			if err == nil {
				_, err = f.Points()
			}
			if err != nil {
				t.Errorf("%v\n%s", err, b[1])
			}
		}
	}
}

// links reports links of a page to files that are not there. It returns the text.
func links(t *testing.T, page string) string {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range regexp.MustCompile(`(?:\]\(|src=")([^)"h#][^)"#]*)`).FindAllStringSubmatch(string(text), -1) {
		if _, err := os.Stat(filepath.Join(filepath.Dir(page), link[1])); err != nil {
			t.Errorf("%s refers to a file that is not there: %v", page, err)
		}
	}
	return string(text)
}
