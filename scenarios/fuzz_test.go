package scenarios

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
)

// FuzzScenario: reading never panics, and what is accepted resolves to a text that is accepted and resolves to itself.
func FuzzScenario(f *testing.F) {
	for _, name := range Library() {
		text, err := Source(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, pattern := range []string{"testdata/bad/*.yaml", "testdata/good/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4<<10 {
			return
		}
		dir := fstest.MapFS{"x.csv": {Data: []byte("0,1\n1,2\n")}}
		file, err := Parse("fuzz.yaml", data, dir)
		if err != nil {
			if len(err.Error()) < 10 {
				t.Errorf("an error says %q", err)
			}
			return
		}
		first := file.Resolved()
		again, err := Parse("resolved.yaml", first, dir)
		if err != nil {
			t.Fatalf("the resolved scenario is refused: %v\n%s", err, first)
		}
		if second := again.Resolved(); !bytes.Equal(first, second) {
			t.Fatalf("resolved to\n%s\nand that to\n%s", first, second)
		}
	})
}
