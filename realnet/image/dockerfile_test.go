package image

import (
	"encoding/json"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// dockerfile reads the configurations of the stages of a Dockerfile that is as plain as ours: what is written otherwise is an error.
func dockerfile(t *testing.T, text string) map[string]v1.Config {
	t.Helper()
	stages := map[string]v1.Config{}
	name, c := "", v1.Config{}
	list := func(text string) (words []string) {
		if err := json.Unmarshal([]byte(text), &words); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return words
	}
	for _, line := range strings.Split(strings.ReplaceAll(text, "\\\n", " "), "\n") {
		what, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case what == "" || what[0] == '#' || what == "ARG" || what == "RUN" || what == "COPY":
		case what == "FROM":
			words := strings.Fields(rest)
			c, name = stages[words[len(words)-3]], words[len(words)-1]
			c.ExposedPorts, c.Labels = map[string]struct{}{}, map[string]string{}
			for k, v := range stages[words[len(words)-3]].Labels {
				c.Labels[k] = v
			}
		case what == "ENV":
			c.Env = append(c.Env, rest)
		case what == "WORKDIR":
			c.WorkingDir = rest
		case what == "USER":
			c.User = rest
		case what == "LABEL":
			key, value, _ := strings.Cut(rest, "=")
			value, err := strconv.Unquote(value)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			c.Labels[key] = value
		case what == "ENTRYPOINT":
			c.Entrypoint = list(rest)
		case what == "CMD":
			c.Cmd = list(rest)
		case what == "EXPOSE":
			for _, p := range strings.Fields(rest) {
				c.ExposedPorts[p] = struct{}{}
			}
		case what == "HEALTHCHECK":
			options, command, _ := strings.Cut(rest, " CMD ")
			h := &v1.HealthConfig{Test: append([]string{"CMD"}, list(command)...)}
			for _, o := range strings.Fields(options) {
				key, value, _ := strings.Cut(o, "=")
				if key == "--retries" {
					h.Retries, _ = strconv.Atoi(value)
					continue
				}
				d, err := time.ParseDuration(value)
				at := map[string]*time.Duration{"--interval": &h.Interval, "--timeout": &h.Timeout, "--start-period": &h.StartPeriod}[key]
				if err != nil || at == nil {
					t.Fatalf("%s: %v", o, err)
				}
				*at = d
			}
			c.Healthcheck = h
		default:
			t.Fatalf("%s: this test does not know it", line)
		}
		stages[name] = c
	}
	return stages
}

// Images that are built from source are those that the program makes of itself.
func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile("../../compose/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages := dockerfile(t, string(text))
	if len(stages) != 3+len(Kinds()) { // what is before the first, the sources, and what all have
		t.Errorf("there are %d stages", len(stages))
	}
	i := images(t, "program", Own())
	for _, kind := range Kinds() {
		m, err := i.image(kind)
		if err != nil {
			t.Fatal(err)
		}
		c, err := m.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if got := stages[kind]; !reflect.DeepEqual(got, c.Config) {
			t.Errorf("the target %s is\n%+v, %+v\nand the image is\n%+v, %+v", kind, got, got.Healthcheck, c.Config, c.Config.Healthcheck)
		}
	}
}
