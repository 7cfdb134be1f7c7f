package image

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// Platform is what a program runs on.
type Platform struct {
	Arch    string // as Go names it: amd64, arm64, arm
	Variant string // of arm: v7
}

// Platforms are those that images are made for.
func Platforms() []Platform { return []Platform{{"amd64", ""}, {"arm64", ""}, {"arm", "v7"}} }

// Own is the platform of the running program; a 32-bit arm is taken for v7.
func Own() Platform {
	p := Platform{Arch: runtime.GOARCH}
	if p.Arch == "arm" {
		p.Variant = "v7"
	}
	return p
}

// String is the platform as users write it: amd64, arm64, arm/v7.
func (p Platform) String() string {
	if p.Variant == "" {
		return p.Arch
	}
	return p.Arch + "/" + p.Variant
}

// ParsePlatform reads a platform, with or without linux/ before it. Names that machines have for themselves are taken, too.
func ParsePlatform(text string) (Platform, error) {
	var p Platform
	switch strings.TrimPrefix(text, "linux/") {
	case "amd64", "x86_64":
		p = Platform{Arch: "amd64"}
	case "arm64", "arm64/v8", "aarch64":
		p = Platform{Arch: "arm64"}
	case "arm/v7", "armv7", "armv7l", "arm":
		p = Platform{Arch: "arm", Variant: "v7"}
	default:
		return p, fmt.Errorf("the platform %q: write amd64, arm64 or arm/v7", text)
	}
	return p, nil
}

// Program is a static program for a platform.
type Program struct {
	Platform Platform
	Path     string
}

// Builder finds or builds the program for other platforms.
type Builder struct {
	// Dir is the module whose main package the running program was built from; empty: the module around the working directory.
	Dir string
	// Flags go to the linker, to stamp the version.
	Flags []string
	// Check sees the directory of the module's packages core and learner before something is built from it: whether they are what
	// the running program was built from.
	Check func(core, learner string) error
	// Cache is where programs are put that are built.
	Cache string
}

// Program returns the running program itself, where it is one for the platform and needs no other file, and builds one otherwise.
func (b *Builder) Program(ctx context.Context, p Platform) (Program, error) {
	self, err := os.Executable()
	if err != nil {
		return Program{}, err
	}
	if runtime.GOOS == "linux" && p == Own() && static(self) {
		return Program{p, self}, nil
	}
	path, err := b.build(ctx, p)
	if err != nil {
		return Program{}, fmt.Errorf("the program for %s: %w", p, err)
	}
	return Program{p, path}, nil
}

// CheckProgram reports what is wrong with a program that was built elsewhere.
func CheckProgram(p Program) error {
	f, err := elf.Open(p.Path)
	if err != nil {
		return fmt.Errorf("%s is no program for Linux: %w", p.Path, err)
	}
	defer f.Close()
	if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "arm": elf.EM_ARM}[p.Platform.Arch]; f.Machine != want {
		return fmt.Errorf("%s is a program for %v, not for %s", p.Path, f.Machine, p.Platform)
	}
	if !static(p.Path) {
		return fmt.Errorf("%s needs libraries, which an image does not have: build it with CGO_ENABLED=0", p.Path)
	}
	return nil
}

// static reports whether a program needs no loader and no library.
func static(path string) bool {
	f, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}

// build builds the main package of the running program.
func (b *Builder) build(ctx context.Context, p Platform) (string, error) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", errors.New("the running program does not say what it was built from: build it with the go command")
	}
	return b.compile(ctx, p, info.Main.Path, info.Path)
}

// compile builds a main package of a module.
func (b *Builder) compile(ctx context.Context, p Platform, module, main string) (string, error) {
	dirs, err := b.find(ctx, module, main)
	if err != nil {
		return "", err
	}
	if b.Check != nil {
		if err := b.Check(dirs.core, dirs.learner); err != nil {
			return "", err
		}
	}
	cache, err := filepath.Abs(b.Cache) // the go command runs in Dir
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(cache, 0o777); err != nil {
		return "", err
	}
	out := filepath.Join(cache, "p2pfaas-linux-"+strings.ReplaceAll(p.String(), "/", "-"))
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", strings.Join(append([]string{"-s", "-w"}, b.Flags...), " "),
		"-o", out, main}
	c := exec.CommandContext(ctx, "go", args...)
	c.Dir = b.Dir
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+p.Arch, "GOARM="+strings.TrimPrefix(p.Variant, "v"))
	if text, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(text))
	}
	return out, nil
}

// found are the directories of what a program is built from.
type found struct{ core, learner string }

// find makes sure that the sources are there.
func (b *Builder) find(ctx context.Context, module, main string) (f found, err error) {
	c := exec.CommandContext(ctx, "go", "list", "-json=ImportPath,Dir,Module", "-deps", main)
	c.Dir = b.Dir
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	var problems bytes.Buffer
	c.Stderr = &problems
	text, err := c.Output()
	if err != nil {
		return f, fmt.Errorf("it is built from the sources of %s, and they are not found: run this in a checkout of them (--sources), with "+
			"the go command, or with a static program (CGO_ENABLED=0 go build), or give one (--program): %w: %s", module, err, bytes.TrimSpace(problems.Bytes()))
	}
	for d := json.NewDecoder(bytes.NewReader(text)); d.More(); {
		var p struct{ ImportPath, Dir string }
		if err := d.Decode(&p); err != nil {
			return f, fmt.Errorf("go list: %w", err)
		}
		switch {
		case strings.HasSuffix(p.ImportPath, "p2pfaas/core"):
			f.core = p.Dir
		case strings.HasSuffix(p.ImportPath, "p2pfaas/learner"):
			f.learner = p.Dir
		}
	}
	return f, nil
}
