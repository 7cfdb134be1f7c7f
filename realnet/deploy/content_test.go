package deploy

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// What an engine gets of a directory makes its tag: files, links in it, and what a link that stands for it leads to.
func TestTagOfADirectory(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) error { return os.WriteFile(in(name), []byte(text), 0o666) }
	if err := errors.Join(os.Mkdir(in("f"), 0o777), os.Symlink("f", in("link")), write("f/Dockerfile", "FROM scratch\n"), write("f/one", "1")); err != nil {
		t.Fatal(err)
	}
	tags := map[string]string{}
	for _, change := range []struct {
		what string
		do   func() error
	}{
		{"nothing", func() error { return nil }},
		{"a file", func() error { return write("f/one", "2") }},
		{"a new link", func() error { return os.Symlink("one", in("f/which")) }},
		{"a link that leads elsewhere", func() error { return errors.Join(os.Remove(in("f/which")), os.Symlink("two", in("f/which"))) }},
		{"a link of another name", func() error { return os.Rename(in("f/which"), in("f/what")) }},
	} {
		if err := change.do(); err != nil {
			t.Fatal(err)
		}
		i, err := ImageOf("d", "f", "./f", dir)
		linked, other := ImageOf("d", "f", "./link", dir)
		if err := errors.Join(err, other); err != nil {
			t.Fatal(err)
		}
		if before, is := tags[i.Tag]; is {
			t.Errorf("after %s the tag is that after %s", change.what, before)
		}
		tags[i.Tag] = change.what
		if linked != i {
			t.Errorf("after %s, by a link it is %+v, and %+v by itself", change.what, linked, i)
		}
	}
}
