package compare

import (
	"os"
	"path/filepath"
	"testing"
)

// With FIGURES=DIR, they are there as PNG, to be looked at.
func TestFigures(t *testing.T) {
	c := madeUp()
	all := Figures(c)
	for _, f := range all {
		if dir := os.Getenv("FIGURES"); dir != "" {
			if err := f.Save(filepath.Join(dir, f.Name+".png")); err != nil {
				t.Fatal(err)
			}
		}
	}
}
