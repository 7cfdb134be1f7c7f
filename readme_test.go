package p2pfaas_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

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
	for _, link := range regexp.MustCompile(`(?:\]\(|src=")([^)"h][^)"]*)`).FindAllStringSubmatch(string(readme), -1) {
		if _, err := os.Stat(link[1]); err != nil {
			t.Errorf("the README refers to a file that is not there: %v", err)
		}
	}
}
