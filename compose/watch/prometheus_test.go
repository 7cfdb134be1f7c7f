package watch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/cmd"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// The files, and the metrics, as a real Prometheus reads them: make prometheus.

// asProgram makes the binary of these tests the program itself, for commands that start it.
const asProgram = "P2PFAAS_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		cmd.Main()
	}
	if err := os.Setenv(asProgram, "1"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// interval is that of scrapes, in place of the committed one, for a test that is to end soon.
const interval = time.Second

// prometheus is one that runs.
type prometheus struct {
	t   *testing.T
	dir string // what its container has at /etc/prometheus
	url string
}

// openPrometheus starts one as compose.yaml does: the same command, on the files that are mounted. They say what is committed, but for
// the interval, the paths, and what change makes of them.
func openPrometheus(t *testing.T, change *strings.Replacer, flags ...string) *prometheus {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	const inside, data, committed = "/etc/prometheus", "=/prometheus", "scrape_interval: 5s"
	root := t.TempDir()
	p := &prometheus{t: t, dir: root + inside, url: "http://" + address}
	here := strings.NewReplacer(inside+"/", p.dir+"/", data, "="+root+"/data", "127.0.0.1:9090", address, committed, "scrape_interval: "+interval.String())
	var c struct {
		Services map[string]struct{ Command, Volumes []string }
	}
	read(t, "compose.yaml", &c)
	for _, v := range c.Services["prometheus"].Volumes {
		parts := strings.Split(v, ":")
		if !strings.HasPrefix(parts[1], inside+"/") {
			continue // its data
		}
		from := filepath.Clean(parts[0])
		if err := filepath.WalkDir(from, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			to := root + parts[1] + strings.TrimPrefix(file, from)
			if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
				return err
			}
			return os.WriteFile(to, []byte(here.Replace(change.Replace(string(text)))), 0o666)
		}); err != nil {
			t.Fatal(err)
		}
	}
	promtool(t, "", "check", "config", "--lint-fatal", p.dir+"/prometheus.yml")
	var log bytes.Buffer
	run := exec.CommandContext(t.Context(), "prometheus", flags...)
	for _, word := range c.Services["prometheus"].Command {
		run.Args = append(run.Args, here.Replace(word))
	}
	run.Stdout, run.Stderr = &log, &log
	run.Cancel = func() error { return run.Process.Signal(os.Interrupt) }
	run.WaitDelay = 10 * time.Second
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Wait() // it was interrupted
		complains := regexp.MustCompile(`(?i)level=(warn|error).*component="scrape manager"`)
		if complains.Match(log.Bytes()) || t.Failed() {
			t.Errorf("Prometheus says\n%s", &log)
		}
	})
	p.within("it is ready", func() bool {
		r, err := http.Get(p.url + "/-/ready")
		if err == nil {
			r.Body.Close()
		}
		return err == nil && r.StatusCode == http.StatusOK
	})
	return p
}

func wantPrometheus(t *testing.T) {
	if os.Getenv("P2PFAAS_PROMETHEUS") != "1" {
		t.Skip("it runs Prometheus, which not every machine has: make prometheus does, and so does CI")
	}
}

// promtool has Prometheus' own tool look at something.
func promtool(t *testing.T, text string, args ...string) {
	t.Helper()
	c := exec.Command("promtool", args...)
	c.Stdin = strings.NewReader(text)
	if said, err := c.CombinedOutput(); err != nil || bytes.Contains(said, []byte("WARN")) {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, said)
	}
}

// within waits until something is so, which takes seconds on a quiet machine.
func (p *prometheus) within(what string, so func() bool) {
	p.t.Helper()
	const bound = 3 * time.Minute
	for began := time.Now(); !so(); time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > bound {
			p.t.Fatalf("not within %v: %s", bound, what)
		}
	}
}

// get asks the API.
func (p *prometheus) get(route string, parameters url.Values, into any) error {
	r, err := http.Get(p.url + "/api/v1/" + route + "?" + parameters.Encode())
	if err != nil {
		return err
	}
	defer r.Body.Close()
	var answer struct {
		Status, Error   string
		Warnings, Infos []string
		Data            json.RawMessage
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" || len(answer.Warnings)+len(answer.Infos) > 0 {
		return fmt.Errorf("%s %s %q %q", answer.Status, answer.Error, answer.Warnings, answer.Infos)
	}
	return json.Unmarshal(answer.Data, into)
}

// targets waits until it has so many of them, and how each is, is one of some words.
func (p *prometheus) targets(count int, health ...string) {
	p.t.Helper()
	var all struct {
		ActiveTargets []struct{ ScrapeURL, Health, LastError string }
	}
	p.t.Cleanup(func() {
		if p.t.Failed() {
			p.t.Logf("of %d targets there were %+v", count, all)
		}
	})
	p.within(fmt.Sprintf("%d targets are %q", count, health), func() bool {
		if err := p.get("targets", nil, &all); err != nil {
			p.t.Fatal(err)
		}
		for _, x := range all.ActiveTargets {
			if !slices.Contains(health, x.Health) {
				return false
			}
		}
		return len(all.ActiveTargets) == count
	})
}

// series is what an expression says over time.
type series struct {
	Metric map[string]string
	Values []reading
}

// reading is an instant with a number.
type reading struct{ value float64 }

// UnmarshalJSON implements json.Unmarshaler.
func (r *reading) UnmarshalJSON(text []byte) (err error) {
	var pair [2]any
	if err := json.Unmarshal(text, &pair); err != nil {
		return err
	}
	number, _ := pair[1].(string)
	r.value, err = strconv.ParseFloat(number, 64)
	return err
}

// ask asks what an expression says since an instant. The error tells of one that says nothing: no number that is none of NaN, Inf and 0.
// For the last one, load and faults must be such that there is something to see.
func (p *prometheus) ask(since time.Time, query string) ([]series, error) {
	var answer struct{ Result []series }
	if err := p.get("query_range", url.Values{"query": {query}, "step": {interval.String()},
		"start": {fmt.Sprint(since.Unix())}, "end": {fmt.Sprint(time.Now().Unix())}}, &answer); err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	if !slices.ContainsFunc(answer.Result, func(s series) bool {
		return slices.ContainsFunc(s.Values, func(r reading) bool { return r.value != 0 && !math.IsNaN(r.value) && !math.IsInf(r.value, 0) })
	}) {
		return nil, fmt.Errorf("%s says nothing: %v", query, answer.Result)
	}
	return answer.Result, nil
}

// busy is a cluster in which there is something of all that the dashboard shows. Its load is such that one scrape in three finds a queue.
const busy = `
name: busy
duration: 20s
warmup: 0s
replications: 1
cluster: {nodes: 3, slots: 2, queue: 2}
functions:
  - {name: often, service: {distribution: exponential, mean: 100ms}, deadline: 300ms, share: 70%}
  - {name: seldom, service: 50ms, deadline: 300ms, share: 20%, cold_start: {time: 100ms, keep_alive: 200ms}}
  - {name: broken, service: 1ms, deadline: 300ms, share: 10%, backend: {kind: url, url: URL}}
workload: {rate: 24/s}
client: {timeout: 5s}
scheduler: {name: LearningScheduler, fallback: probe, probe_timeout: 100ms, answer_timeout: 2s}
learner: {}
faults:
  - {kind: crash, nodes: [2], at: 10s, for: 4s}
`

// Of a cluster under load, every query of the dashboard and of the guide says something, and nobody complains of the metrics.
func TestQueries(t *testing.T) {
	wantPrometheus(t)
	const first, third = "127.97.0.", "127.97.0.3"
	p := openPrometheus(t, strings.NewReplacer("127.0.0.", first))
	began := time.Now()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	t.Cleanup(broken.Close)
	scenario, out := filepath.Join(t.TempDir(), "busy.yaml"), filepath.Join(t.TempDir(), "run")
	if err := os.WriteFile(scenario, []byte(strings.ReplaceAll(busy, "URL", broken.URL)), 0o666); err != nil {
		t.Fatal(err)
	}
	// A node that is told of later is watched as well.
	p.targets(6, "unknown", "down")
	more := fmt.Sprintf("- targets: [%q, %q, %q]\n  labels: {node: %[1]q}\n", third+":18080", third+":19000", third+":19020")
	if err := os.WriteFile(p.dir+"/nodes/more.yml", []byte(more), 0o666); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	ended := make(chan struct{})
	running.Go(func() {
		defer close(ended)
		var said bytes.Buffer
		if status := cmd.Run(t.Context(), []string{"run", scenario, "--first-address", first + "1", "--out", out}, &said, &said); status != 0 {
			t.Errorf("run: exit status %d: %s", status, &said)
		}
	})
	p.targets(9, "up") // before or after the crash
	var metrics []string
	for _, port := range []string{"18080", "19000", "19020"} {
		metrics = append(metrics, fetch(t, "http://"+first+"1:"+port+"/metrics")) // while it runs
	}
	for _, text := range metrics {
		promtool(t, text, "check", "metrics")
	}
	for over := false; !over; { // requests that a node does not take in hand
		malformed, err := http.NewRequest("GET", "http://"+first+"1:18080/function/often", nil)
		if err != nil {
			t.Fatal(err)
		}
		malformed.Header.Set(wire.HeaderDemand, "much")
		if r, err := http.DefaultClient.Do(malformed); err == nil { // it is ended by the run
			r.Body.Close()
		}
		select {
		case <-ended:
			over = true
		case <-time.After(interval / 2):
		}
	}

	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	read(t, "grafana/dashboards/p2pfaas.json", &board)
	// What Grafana makes of its variable where a point of a graph is not wider than an interval.
	rate := strings.NewReplacer("$__rate_interval", (4 * interval).String())
	for _, panel := range board.Panels {
		for _, x := range panel.Targets {
			legends := map[string]bool{}
			says, err := p.ask(began, rate.Replace(x.Expr))
			if err != nil {
				t.Error(err)
			}
			for _, s := range says {
				legend := regexp.MustCompile(`{{(\w+)}}`).ReplaceAllStringFunc(x.LegendFormat, func(label string) string {
					value := s.Metric[strings.Trim(label, "{}")]
					if value == "" {
						t.Errorf("%s: %s: %v has no label %s for its legend", panel.Title, x.Expr, s.Metric, label)
					}
					return value
				})
				if legends[legend] {
					t.Errorf("%s: %s: two lines are called %s", panel.Title, x.Expr, legend)
				}
				legends[legend] = true
			}
		}
	}
	for _, query := range examples(t, "Some questions to Prometheus:") {
		if _, err := p.ask(began, query); err != nil {
			t.Error(err)
		}
	}
}

// examples are the lines of code that follow some words of the guide, without comments.
func examples(t *testing.T, after string) (lines []string) {
	t.Helper()
	guide, err := os.ReadFile("../../docs/guide/watching.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(guide), after+"\n\n")
	for line := range strings.Lines(text) {
		code, is := strings.CutPrefix(line, "    ")
		if !is {
			break
		}
		if code[0] != '#' {
			lines = append(lines, strings.TrimRight(code, "\n"))
		}
	}
	if len(lines) == 0 {
		t.Fatalf("the guide has nothing after %q", after)
	}
	return lines
}

// The configuration of the guide.
func TestGuide(t *testing.T) {
	wantPrometheus(t)
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(file, []byte(strings.Join(examples(t, "A Prometheus that watches two nodes:"), "\n")), 0o666); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "check", "config", "--lint-fatal", file)
}

// Nodes that have a token, before a Prometheus that shows it, and that scrapes native histograms: these are what the guide says.
func TestTokenAndNativeHistograms(t *testing.T) {
	wantPrometheus(t)
	const first, secret = "127.97.1.", "0123456789abcdef0123456789abcdef"
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	for _, at := range []string{first + "1", first + "2"} {
		running.Go(func() {
			var said bytes.Buffer
			if status := cmd.Run(t.Context(), []string{"node", "--bind", at, "--token-file", token, "--function", "f=sleep:10ms"}, &said, &said); status != 0 {
				t.Errorf("node: exit status %d: %s", status, &said)
			}
		})
	}
	p := openPrometheus(t, strings.NewReplacer("127.0.0.", first, "# authorization:", "authorization:", "/etc/prometheus/token", token),
		"--enable-feature=native-histograms")
	began := time.Now()
	p.targets(6, "up")
	if r, err := http.Get("http://" + first + "1:18080/metrics"); err != nil || r.StatusCode != http.StatusUnauthorized {
		t.Errorf("without the token: %v, %v", r, err)
	}
	for _, query := range examples(t, "A native histogram is asked without `le`:") {
		p.within(query+" says something", func() bool {
			fetch(t, "http://"+first+"1:18080/function/f")
			_, err := p.ask(began, query)
			return err == nil
		})
	}
	var answer struct {
		Result []struct{ Histogram [2]json.RawMessage }
	}
	var histogram struct{ Buckets [][4]any } // a rule, two boundaries, a count
	if err := p.get("query", url.Values{"query": {"p2pfaas_request_duration_seconds"}}, &answer); err != nil || len(answer.Result) != 1 {
		t.Fatal(answer, err)
	}
	if err := json.Unmarshal(answer.Result[0].Histogram[1], &histogram); err != nil || len(histogram.Buckets) == 0 {
		t.Fatal(histogram, err)
	}
	for _, b := range histogram.Buckets {
		left, err := strconv.ParseFloat(b[1].(string), 64)
		right, err2 := strconv.ParseFloat(b[2].(string), 64)
		if apart := right/left - 1; err != nil || err2 != nil || math.Abs(apart-.044) > .0005 {
			t.Errorf("the boundaries of %v are %v apart", b, apart)
		}
	}
	if err := p.get("query", url.Values{"query": {"p2pfaas_request_duration_seconds_bucket"}}, &answer); err != nil || len(answer.Result) > 0 {
		t.Errorf("there are classic histograms, too: %v, %v", answer, err)
	}
}

// fetch is the text of a page.
func fetch(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v", url, r.Status, err)
	}
	return string(text)
}
