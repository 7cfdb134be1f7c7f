package compose

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet/image"
)

// The engine makes of the Dockerfile, with a program that is there in the place of the stage that builds one, what it makes of the images
// that the program writes of itself: the same configuration, and the same files with the same owners.
func TestDockerfile(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "image", "p2pfaas")
	engine(t, nil, append(os.Environ(), "CGO_ENABLED=0"), "go", "build", "-trimpath", "-o", program, "../cmd/p2pfaas")
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, stages, found := strings.Cut(string(text), "\nFROM scratch AS program\n")
	if !found {
		t.Fatal("there is no stage program after the one that builds it")
	}
	stages = "FROM scratch AS program\n" + strings.ReplaceAll(stages, "--from=source ", "")
	err = errors.Join(os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(stages), 0o666), os.MkdirAll(filepath.Join(dir, "owned", "data"), 0o755),
		os.Mkdir(filepath.Join(dir, "image", "tmp"), 0o777), os.Chmod(filepath.Join(dir, "image", "tmp"), 0o777|os.ModeSticky))
	if err != nil {
		t.Fatal(err)
	}
	images, err := image.New(image.Program{Platform: image.Own(), Path: program})
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]string{}
	for _, kind := range image.Kinds() {
		written[fmt.Sprintf("p2pfaas-dockerfile-test/%s-written:%d", kind, os.Getpid())] = kind
	}
	var all bytes.Buffer
	if err := images.Write(&all, written); err != nil {
		t.Fatal(err)
	}
	engine(t, &all, nil, "docker", "load")
	for tag, kind := range written {
		built := strings.Replace(tag, "-written", "-built", 1)
		engine(t, nil, nil, "docker", "build", "-q", "--target", kind, "-t", built, dir)
		t.Cleanup(func() {
			if text, err := exec.Command("docker", "image", "rm", "-f", tag, built).CombinedOutput(); err != nil {
				t.Errorf("removing images: %v: %s", err, text)
			}
		})
		if got, want := configuration(t, built), configuration(t, tag); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is built as\n%v\nand written as\n%v", kind, got, want)
		}
	}
	tag := fmt.Sprintf("p2pfaas-dockerfile-test/%s-written:%d", image.Node, os.Getpid())
	if got, want := entries(t, strings.Replace(tag, "-written", "-built", 1)), entries(t, tag); !reflect.DeepEqual(got, want) {
		t.Errorf("the files are built as\n%v\nand written as\n%v", got, want)
	}
}

// engine runs a program, and returns what it says.
func engine(t *testing.T, in io.Reader, env []string, words ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // an engine that hangs is to be told of
	defer cancel()
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	var problems bytes.Buffer
	c.Stdin, c.Env, c.Stderr = in, env, &problems
	text, err := c.Output()
	if err != nil {
		t.Fatalf("%q: %v: %s%s", words, err, text, problems.Bytes())
	}
	return text
}

// configuration is what an image says of its containers.
func configuration(t *testing.T, tag string) map[string]any {
	t.Helper()
	var c map[string]any
	if err := json.Unmarshal(engine(t, nil, nil, "docker", "image", "inspect", "-f", "{{json .Config}}", tag), &c); err != nil {
		t.Fatal(err)
	}
	of := map[string]any{}
	for _, key := range []string{"User", "ExposedPorts", "Env", "Cmd", "Healthcheck", "WorkingDir", "Entrypoint", "Labels"} {
		of[key] = c[key]
	}
	return of
}

// entries are the files in the layers of an image, with mode, owner and length.
func entries(t *testing.T, tag string) map[string]string {
	t.Helper()
	of := map[string]string{}
	saved := tar.NewReader(bytes.NewReader(engine(t, nil, nil, "docker", "save", tag)))
	for {
		h, err := saved.Next()
		if err == io.EOF {
			return of
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(h.Name, "/layer.tar") {
			continue
		}
		for layer := tar.NewReader(saved); ; {
			h, err := layer.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			of[strings.Trim(h.Name, "/")] = fmt.Sprintf("%c %o %d:%d %d", h.Typeflag, h.Mode&0o7777, h.Uid, h.Gid, h.Size)
		}
	}
}
