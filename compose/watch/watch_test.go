// Package watch tests the files by which Prometheus and Grafana watch nodes: without either and, by make prometheus, with the first.
package watch

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func read(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		if filepath.Ext(file) == ".json" {
			err = json.Unmarshal(text, into)
		} else {
			err = yaml.Unmarshal(text, into)
		}
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// The panels ask for metrics that there are: those of the guide, which a test of realnet compares with the services.
func TestDashboard(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guide/watching.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, name := range regexp.MustCompile("`(p2pfaas_[a-z_]+)`").FindAllStringSubmatch(string(guide), -1) {
		known[name[1]] = true
		if strings.HasSuffix(name[1], "_duration_seconds") {
			known[name[1]+"_bucket"] = true
		}
		if strings.HasSuffix(name[1], "_duration_seconds") || name[1] == "p2pfaas_learner_reward" {
			known[name[1]+"_sum"], known[name[1]+"_count"] = true, true
			delete(known, name[1]) // it has no value of its own
		}
	}
	type source struct{ UID string }
	var sources struct{ Datasources []source }
	read(t, "grafana/provisioning/datasources/prometheus.yaml", &sources)
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct {
				Datasource source
				Expr       string
			}
		}
	}
	read(t, "grafana/dashboards/p2pfaas.json", &board)
	if len(board.Panels) == 0 || len(sources.Datasources) != 1 {
		t.Fatalf("%d panels, %d sources", len(board.Panels), len(sources.Datasources))
	}
	for _, p := range board.Panels {
		if len(p.Targets) == 0 {
			t.Errorf("%s asks for nothing", p.Title)
		}
		for _, x := range p.Targets {
			names := regexp.MustCompile(`p2pfaas_[a-z_]+`).FindAllString(x.Expr, -1)
			if len(names) == 0 || x.Datasource != sources.Datasources[0] {
				t.Errorf("%s: %q asks %q", p.Title, x.Expr, x.Datasource.UID)
			}
			for _, name := range names {
				if !known[name] {
					t.Errorf("%s: there is no metric %s", p.Title, name)
				}
			}
			if strings.Count(x.Expr, "(") != strings.Count(x.Expr, ")") || strings.Count(x.Expr, "{") != strings.Count(x.Expr, "}") {
				t.Errorf("%s: the brackets of %s", p.Title, x.Expr)
			}
		}
	}
}

// What the containers mount is here, what Prometheus reads is mounted, and neither is reached from elsewhere.
func TestCompose(t *testing.T) {
	var c struct {
		Services map[string]struct {
			Command     []string
			Environment map[string]string
			Volumes     []string
		}
		Volumes map[string]any
	}
	read(t, "compose.yaml", &c)
	inside := map[string]bool{}
	for name, s := range c.Services {
		for _, v := range s.Volumes {
			parts := strings.Split(v, ":")
			inside[parts[1]] = true
			if _, own := c.Volumes[parts[0]]; own {
				continue
			}
			if _, err := os.Stat(parts[0]); err != nil || len(parts) != 3 || parts[2] != "ro" {
				t.Errorf("%s mounts %s: %v", name, v, err)
			}
		}
	}
	var p struct {
		Global struct {
			Interval string `yaml:"scrape_interval"`
		}
		Scrape []struct {
			Files []struct{ Files []string } `yaml:"file_sd_configs"`
		} `yaml:"scrape_configs"`
	}
	read(t, "prometheus.yml", &p)
	if len(p.Scrape) != 1 || len(p.Scrape[0].Files) != 1 || !inside[filepath.Dir(p.Scrape[0].Files[0].Files[0])] {
		t.Errorf("Prometheus reads %+v, and has %v", p.Scrape, inside)
	}
	var sources struct {
		Datasources []struct {
			Data struct {
				Interval string `yaml:"timeInterval"`
			} `yaml:"jsonData"`
		}
	}
	read(t, "grafana/provisioning/datasources/prometheus.yaml", &sources)
	if len(sources.Datasources) != 1 || sources.Datasources[0].Data.Interval != p.Global.Interval || p.Global.Interval == "" {
		t.Errorf("Grafana takes rates over intervals of %+v, Prometheus scrapes every %s", sources, p.Global.Interval)
	}
	var providers struct {
		Providers []struct{ Options struct{ Path string } }
	}
	read(t, "grafana/provisioning/dashboards/p2pfaas.yaml", &providers)
	if len(providers.Providers) != 1 || !inside[providers.Providers[0].Options.Path] {
		t.Errorf("Grafana looks for dashboards in %+v, and has %v", providers, inside)
	}
	if at := strings.Join(c.Services["prometheus"].Command, " "); !strings.Contains(at, "--web.listen-address=127.0.0.1:9090") ||
		c.Services["grafana"].Environment["GF_SERVER_HTTP_ADDR"] != "127.0.0.1" {
		t.Errorf("Prometheus or Grafana are open to others: %+v", c.Services)
	}
	var nodes []struct {
		Targets []string
		Labels  map[string]string
	}
	read(t, "nodes/nodes.yml", &nodes)
	for _, n := range nodes {
		if len(n.Targets) != 3 || n.Labels["node"] == "" {
			t.Errorf("%+v: want three services of a node with a name", n)
		}
	}
}
