package cmd

import (
	"runtime/debug"
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
