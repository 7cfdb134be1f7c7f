package image

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func images(t *testing.T, program string, p Platform) *Images {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	i, err := New(Program{p, path})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func write(t *testing.T, i *Images) []byte {
	t.Helper()
	var b bytes.Buffer
	names := map[string]string{}
	for _, kind := range Kinds() {
		names[i.Tag(kind)] = kind
	}
	if err := i.Write(&b, names); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The same program makes the same bytes, another one another tag.
func TestReproducible(t *testing.T) {
	p := Platform{Arch: "amd64"}
	one, two := images(t, "program", p), images(t, "program", p)
	if !bytes.Equal(write(t, one), write(t, two)) {
		t.Error("two tars of one program differ")
	}
	if other := images(t, "another", p); other.ID == one.ID {
		t.Error("two programs have one tag")
	}
}

// A layer is a whole tar: its end, two empty blocks, is there.
func TestLayerEnds(t *testing.T) {
	content, err := layerOf([]byte("program"))
	if err != nil || !bytes.HasSuffix(content, make([]byte, 1024)) {
		t.Errorf("%d bytes without the end of a tar, %v", len(content), err)
	}
}

// All kinds share the layer, run as nobody, and have a health check.
func TestTar(t *testing.T) {
	i := images(t, "program", Platform{"arm", "v7"})
	path := filepath.Join(t.TempDir(), "images.tar")
	if err := os.WriteFile(path, write(t, i), 0o666); err != nil {
		t.Fatal(err)
	}
	m, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(path) })
	if err != nil || len(m) != len(Kinds()) {
		t.Fatalf("%d images, %v", len(m), err)
	}
	for _, d := range m {
		if len(d.Layers) != 1 || d.Layers[0] != m[0].Layers[0] {
			t.Errorf("%q has the layers %q, %q has %q", d.RepoTags, d.Layers, m[0].RepoTags, m[0].Layers)
		}
	}
	for _, kind := range Kinds() {
		image, err := i.image(kind)
		if err != nil {
			t.Fatal(err)
		}
		c, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if c.Config.User != "65532:65532" || c.Config.Healthcheck == nil || c.Architecture != "arm" || c.Variant != "v7" || c.OS != "linux" {
			t.Errorf("%s: %+v", kind, c)
		}
	}
	if _, err := i.image("nonsense"); err == nil {
		t.Error("an image of no kind is made")
	}
}

// The layout has an index for each kind, with an image for each platform.
func TestLayout(t *testing.T) {
	dir := t.TempDir()
	var all []*Images
	for _, p := range Platforms() {
		all = append(all, images(t, "program of "+p.String(), p))
	}
	if err := Layout(dir, all, "test"); err != nil {
		t.Fatal(err)
	}
	root, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := root.IndexManifest()
	if err != nil || len(m.Manifests) != len(Kinds()) {
		t.Fatalf("%+v, %v", m, err)
	}
	for _, d := range m.Manifests {
		index, err := root.ImageIndex(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		of, err := index.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, x := range of.Manifests {
			seen[Platform{x.Platform.Architecture, x.Platform.Variant}.String()] = true
		}
		for _, p := range Platforms() {
			if !seen[p.String()] {
				t.Errorf("%s lacks %s", d.Annotations, p)
			}
		}
	}
}

func TestParsePlatform(t *testing.T) {
	for text, want := range map[string]string{"amd64": "amd64", "linux/arm64": "arm64", "aarch64": "arm64", "linux/arm/v7": "arm/v7",
		"armv7l": "arm/v7", "x86_64": "amd64"} {
		if p, err := ParsePlatform(text); err != nil || p.String() != want {
			t.Errorf("%s: %v, %v", text, p, err)
		}
	}
	if _, err := ParsePlatform("riscv64"); err == nil {
		t.Error("riscv64 is taken")
	}
}

// What is no static program for the platform is refused before it is packed.
func TestCheckProgram(t *testing.T) {
	for _, own := range []bool{true, false} {
		env := "CGO_ENABLED=0"
		if !own {
			env = "GOARCH=arm64"
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "program")
		build := exec.Command("go", "build", "-o", path, filepath.Join(dir, "main.go"))
		build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", env, "CGO_ENABLED=0")
		if said, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		err := CheckProgram(Program{Platform{Arch: "amd64"}, path})
		if own != (err == nil) || err != nil && !strings.Contains(err.Error(), "not for amd64") {
			t.Errorf("%s: %v", env, err)
		}
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := CheckProgram(Program{Own(), text}); err == nil || !strings.Contains(err.Error(), "no program for Linux") {
		t.Errorf("a script: %v", err)
	}
}
