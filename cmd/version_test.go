package cmd

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	revision := debug.BuildSetting{Key: "vcs.revision", Value: commit}
	clean, dirty := debug.BuildSetting{Key: "vcs.modified", Value: "false"}, debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	for _, c := range []struct {
		module   string
		settings []debug.BuildSetting
		want     string
	}{
		{"v1.2.3", []debug.BuildSetting{revision, dirty}, "v1.2.3"}, // the go command says itself that it is dirty
		{"(devel)", []debug.BuildSetting{revision, clean}, "0123456789ab"},
		{"(devel)", []debug.BuildSetting{dirty, revision}, "0123456789ab+dirty"},
		{"", []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}}, "abc"},
		{"(devel)", nil, "unknown"},
		{"", nil, "unknown"},
	} {
		info := &debug.BuildInfo{Main: debug.Module{Version: c.module}, Settings: c.settings}
		if got := versionOf(info); got != c.want {
			t.Errorf("module %q, %v: %q, want %q", c.module, c.settings, got, c.want)
		}
	}
}

// The hash of the algorithms is that of their sources, wherever these are: another line makes another hash, a test does not.
func TestAlgorithms(t *testing.T) {
	if err := sameAlgorithms("../core", "../learner"); err != nil {
		t.Error(err)
	}
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS("../core")); err != nil {
		t.Fatal(err)
	}
	change := func(name string) {
		t.Helper()
		path := filepath.Join(copied, name)
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, append(text, '\n'), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	change("sched/jsq_test.go")
	change("coretest/world.go") // not part of the program
	if err := sameAlgorithms(copied, "../learner"); err != nil {
		t.Error(err)
	}
	change("sched/jsq.go")
	if err := sameAlgorithms(copied, "../learner"); err == nil || !strings.Contains(err.Error(), copied) {
		t.Errorf("another algorithm: %v", err)
	}
	if h := algorithms(); len(h) != 12 || bringsAlgorithms() {
		t.Errorf("the hash is %q, algorithms of others: %v", h, bringsAlgorithms())
	}
}
