package image

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A relative cache is one of the working directory, wherever the sources are.
func TestBuildFromSourcesElsewhere(t *testing.T) {
	sources := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(sources, "go.mod"), []byte("module example.org/small\n"), 0o666),
		os.WriteFile(filepath.Join(sources, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o666)); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	b := Builder{Dir: sources, Cache: "programs"}
	path, err := b.compile(t.Context(), Own(), "example.org/small", "example.org/small")
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckProgram(Program{Own(), path}); err != nil {
		t.Error(err)
	}
	if in, err := filepath.Glob("programs/p2pfaas-linux-*"); err != nil || len(in) != 1 {
		t.Errorf("in the cache are %q, %v", in, err)
	}
}
