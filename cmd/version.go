package cmd

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io/fs"
	"path"
	"reflect"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/sched"
	"github.com/p2pfaas/p2pfaas/learner"
)

// What program this is: its version, and the algorithms that it carries.

// added is the source of algorithms that a program of another module brings; Main sets it once.
var added []fs.FS

// built is the version of a program that was built where the go command cannot tell it: set by the linker.
var built string

// version is what the program was built from, as far as the build tells.
func version() string {
	if built != "" {
		return built
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return unknownVersion
	}
	return versionOf(info)
}

const unknownVersion = "unknown"

// versionOf is the version of the main module, or else the commit that was built, if either is known.
func versionOf(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	v, dirty := unknownVersion, ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	return v + dirty
}

// algorithms identifies the code of the algorithms, the engine under them and the learners, on any architecture. Where the
// program has algorithms whose source it does not carry, that is said: two such programs cannot be told apart.
var algorithms = sync.OnceValue(func() string {
	h, err := hashSources(append([]fs.FS{core.Source(), learner.Source()}, added...)...)
	if err != nil {
		panic(err) // they are in the program
	}
	if len(added) == 0 && bringsAlgorithms() {
		return h + "+unknown"
	}
	return h
})

// hashSources hashes Go code, tests left out.
func hashSources(sources ...fs.FS) (string, error) {
	h := sha256.New()
	for i, s := range sources {
		fmt.Fprintf(h, "source %d\n", i)
		if err := hashFiles(h, s); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:6]), nil
}

func hashFiles(h hash.Hash, s fs.FS) error {
	return fs.WalkDir(s, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(s, name)
		fmt.Fprintf(h, "%s %d\n%s", name, len(text), text)
		return err
	})
}

// bringsAlgorithms reports whether an algorithm is registered that is none of core/sched.
func bringsAlgorithms() bool {
	own := reflect.TypeFor[sched.Entry]().PkgPath()
	for _, name := range sched.Names() {
		e, err := sched.Lookup(name)
		if err == nil && reflect.TypeOf(e.New()).Elem().PkgPath() != own {
			return true
		}
	}
	return false
}
