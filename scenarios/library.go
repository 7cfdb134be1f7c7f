package scenarios

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed *.yaml data
var library embed.FS

// Library names the scenarios that come with the program; Load reads them by these names.
func Library() []string {
	entries, err := library.ReadDir(".")
	if err != nil {
		panic(err) // it is embedded
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".yaml"); ok {
			names = append(names, name)
		}
	}
	return names
}

// Source is the text of a scenario of the library.
func Source(name string) ([]byte, error) { return library.ReadFile(name + ".yaml") }

// libraryDir is the directory of the library. An absolute path leads out of it: it is that of a file of the user, who has Set it.
type libraryDir struct{}

func (libraryDir) Open(name string) (fs.File, error) {
	if filepath.IsAbs(name) {
		return os.Open(name)
	}
	return library.Open(name)
}

// inLibrary finds the file of the library that a path means, by its last element.
func inLibrary(path string) (string, bool) {
	name := strings.TrimSuffix(filepath.Base(path), ".yaml")
	if dir := filepath.Dir(path); dir != "." && filepath.Base(dir) != "scenarios" || !slices.Contains(Library(), name) {
		return "", false
	}
	return name + ".yaml", true
}
