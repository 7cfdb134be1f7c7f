package scenarios

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/core/sched"
)

var update = flag.Bool("update", false, "write the messages of the bad scenarios anew")

// message has a file, a line, and a colon or a comma before what to write instead.
var message = regexp.MustCompile(`^[^:]+:\d+(:\d+)?: .+[:,;] .+`)

// Every file under testdata/bad is refused, with the messages in the file of the same name beside it.
func TestBadScenariosAreRefused(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d bad scenarios, want 40 or more (%v)", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			f, err := Load(path)
			if err == nil {
				_, err = f.Points()
			}
			if err == nil {
				t.Fatal("the scenario is accepted")
			}
			got := strings.ReplaceAll(err.Error(), "testdata/bad/", "") + "\n"
			got = strings.ReplaceAll(got, strings.Join(sched.Names(), ", "), "SCHEDULERS")
			golden := strings.TrimSuffix(path, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%swant\n%s", got, want)
			}
			for line := range strings.Lines(got) {
				if !message.MatchString(line) {
					t.Errorf("the message has no file, no line or no advice: %s", line)
				}
			}
		})
	}
}

func TestLongLinesAndLargeFilesAreRefused(t *testing.T) {
	long := append([]byte("duration: 100s\ndescription: "), bytes.Repeat([]byte("x"), 10<<20)...)
	large := append([]byte("duration: 100s\n"), bytes.Repeat([]byte("# a comment\n"), 1<<18)...)
	deep := append([]byte("cluster: "), bytes.Repeat([]byte("["), 50_000)...)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"long line":  {long, "x.yaml:2:1: the line is 10485773 bytes long, the limit is 65536: put data into a CSV file"},
		"large file": {large, "x.yaml:262145:1: the file has 3145743 bytes, the limit is 1048576: put data into CSV files"},
		"deep":       {deep, "x.yaml:1: not valid YAML: exceeded max depth of 10000: check the indentation"},
	} {
		if _, err := Parse("x.yaml", c.data, library); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %.200v, want %s", name, err, c.want)
		}
	}
}
