package cmd_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/cmd"
	"github.com/p2pfaas/p2pfaas/results"
)

// grayPicture is a JPEG without a face.
func grayPicture(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 64, 48)), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sweptFunction is a scenario whose function f is not the same in all points.
const sweptFunction = `
duration: 1s
cluster: {nodes: 1}
functions: [{name: f, service: 2ms, backend: sleep}, {name: same, service: 3ms, backend: sleep}]
workload: {rate: 1/s}
scheduler: {name: NoScheduler}
sweep: {functions.f.service: [2ms, 4ms], functions.f.reply: [1B, 3kB]}
`

// The functions as commands: they say where they are, serve, finish what runs and end.
func TestFunction(t *testing.T) {
	swept := filepath.Join(t.TempDir(), "swept.yaml")
	if err := os.WriteFile(swept, []byte(sweptFunction), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		args []string
		path string
		body []byte
		says string
	}{
		{[]string{"sleep", "--service", "30ms", "--speed", "3"}, "", nil, "executed for 10ms"},
		{[]string{"sleep", "--scenario", "quickstart", "--function", "face-detect", "--set", "functions.face-detect.service=2ms"}, "", nil, "executed for 2ms"},
		{[]string{"sleep", "--scenario", swept, "--select", "functions.f.service=4ms,functions.f.reply=1B", "--function", "f"}, "", nil, "executed for 4ms"},
		{[]string{"sleep", "--scenario", swept, "--function", "same"}, "", nil, "executed for 3ms"},
		{[]string{"loop"}, "?service=3ms", nil, "executed for 3ms"},
		{[]string{"face-detect"}, "", grayPicture(t), `{"width":64,"height":48,"faces":[]}`},
		{[]string{"watchdog", "--", "cat"}, "", []byte("hello"), "hello"},
	} {
		ctx, stop := context.WithCancel(context.Background())
		var running sync.WaitGroup
		o := &output{}
		running.Go(func() {
			args := append([]string{"function"}, append([]string{x.args[0], "--port", "0"}, x.args[1:]...)...)
			if status := cmd.Run(ctx, args, io.Discard, o); status != 0 {
				t.Errorf("%v: exit status %d: %s", args, status, o)
			}
		})
		a, err := http.Post(said(t, o, `(http://\S+)`)+x.path, "", bytes.NewReader(x.body))
		if err != nil {
			t.Fatalf("%v: %v", x.args, err)
		}
		text, err := io.ReadAll(a.Body)
		a.Body.Close()
		if err != nil || a.StatusCode != 200 || strings.TrimSpace(string(text)) != x.says {
			t.Errorf("%v: %s %q, want %q (%v)", x.args, a.Status, text, x.says, err)
		}
		stop()
		running.Wait()
	}
}

// A sample function of a scenario takes as long as the scenario wants, others take what --max says.
func TestFunctionMax(t *testing.T) {
	for _, x := range []struct {
		args []string
		says string // empty: it works
	}{
		{[]string{"--scenario", "quickstart", "--function", "face-detect"}, ""},
		{[]string{"--scenario", "quickstart", "--function", "face-detect", "--max", "1h"}, "a service time of 2h0m0s is longer than 1h0m0s"},
		{nil, "a service time of 2h0m0s is longer than 1h0m0s"},
	} {
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		o := &output{}
		running.Go(func() { cmd.Run(ctx, append([]string{"function", "sleep", "--port", "0"}, x.args...), io.Discard, o) })
		client, text := &http.Client{}, ""
		if x.says == "" {
			client.Timeout = 300 * time.Millisecond // it sleeps on
		}
		a, err := client.Get(said(t, o, `(http://\S+)\n`) + "?service=2h")
		if err == nil {
			b, _ := io.ReadAll(a.Body)
			a.Body.Close()
			text = strings.TrimSpace(string(b))
		}
		if text != x.says || (err == nil) == (x.says == "") {
			t.Errorf("%v: %q, %v; want %q", x.args, text, err, x.says)
		}
		stop()
		running.Wait()
	}
}

// A watchdog that is told to end says so for as long as it is asked after its health, and finishes what runs. Who does not ask in that time,
// since the machine is busy, has another one that says so for longer.
func TestWatchdogEnds(t *testing.T) {
	for interval := 300 * time.Millisecond; !watchdogEnds(t, interval); interval *= 5 {
		if interval > patience {
			t.Fatalf("in %v it did not say that it ends", interval)
		}
	}
}

// watchdogEnds reports whether a watchdog that is told to end says so, for an interval.
func watchdogEnds(t *testing.T, interval time.Duration) (saysSo bool) {
	t.Helper()
	for name, value := range map[string]time.Duration{"healthcheck_interval": interval, "read_timeout": 2 * patience, "exec_timeout": 2 * patience} {
		t.Setenv(name, value.String())
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	o := &output{}
	status := make(chan int, 1)
	go func() {
		status <- cmd.Run(ctx, []string{"function", "watchdog", "--port", "0", "--", "sh", "-c", "echo begun >&2; cat"}, io.Discard, o)
	}()
	url := said(t, o, `(http://\S+)`)
	health := func() int {
		a, err := http.Get(url + "_/health")
		if err != nil {
			return 0
		}
		a.Body.Close()
		return a.StatusCode
	}
	if h := health(); h != 200 {
		t.Errorf("its health: %d", h)
	}
	answered := make(chan string)
	body, toBody := io.Pipe() // it runs until its input ends
	go func() {
		a, err := http.Post(url, "", body)
		if err != nil {
			answered <- err.Error()
			return
		}
		defer a.Body.Close()
		text, _ := io.ReadAll(a.Body)
		answered <- string(text)
	}()
	said(t, o, `(begun)`)
	stop()
	eventually(t, "nobody is let in any more", func() bool {
		h := health()
		saysSo = saysSo || h == 503
		return h == 0
	})
	fmt.Fprint(toBody, "hello")
	toBody.Close()
	if text := <-answered; text != "hello" {
		t.Errorf("what ran is answered with %q", text)
	}
	if s := <-status; s != 0 {
		t.Errorf("exit status %d: %s", s, o)
	}
	return saysSo
}

// eventually waits until it is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("in vain was waited until %s", what)
		}
	}
}

// said waits until o matches, and returns what it has in parentheses.
func said(t *testing.T, o *output, pattern string) string {
	t.Helper()
	for began := time.Now(); time.Since(began) < patience; time.Sleep(time.Millisecond) {
		if m := regexp.MustCompile(pattern).FindStringSubmatch(o.String()); m != nil {
			return m[1]
		}
	}
	t.Fatalf("it does not say %s: %s", pattern, o)
	return ""
}

func kill(t *testing.T, pid string, s syscall.Signal) error {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	return syscall.Kill(n, s)
}

// A watchdog whose process ends does not outlive it, and says why.
func TestWatchdogProcessDies(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("mode", "http")
	t.Setenv("upstream_url", fmt.Sprintf("http://127.0.0.1:%d", freePorts(t, 1)[0]))
	o, status := &output{}, make(chan int, 1)
	go func() {
		status <- cmd.Run(t.Context(), []string{"function", "watchdog", "--port", "0", "--", "sh", "-c", `echo "process $$" >&2; exec "$0" function sleep`, self},
			io.Discard, o)
	}()
	said(t, o, `function on (http://127.0.0.1:\d+/)\n`) // the watchdog, which is there when the process is
	if err := kill(t, said(t, o, `process (\d+)`), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case s := <-status:
		if s != 1 || !strings.Contains(o.String(), "the process of the function has ended: signal: killed") {
			t.Errorf("exit status %d: %s", s, o)
		}
	case <-time.After(patience):
		t.Errorf("it goes on: %s", o)
	}
}

// A client that does not take its answer is waited for as long as write_timeout says, not longer.
func TestWatchdogWriteTimeout(t *testing.T) {
	t.Setenv("write_timeout", "200ms")
	t.Setenv("exec_timeout", "0")
	o := &output{}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		cmd.Run(ctx, []string{"function", "watchdog", "--port", "0", "--", "sh", "-c", `echo "process $$" >&2; exec cat /dev/zero`}, io.Discard, o)
	})
	defer running.Wait()
	defer stop()
	a, err := http.Get(said(t, o, `(http://\S+)\n`))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	pid, began := said(t, o, `process (\d+)`), time.Now()
	for kill(t, pid, 0) == nil {
		if time.Sleep(10 * time.Millisecond); time.Since(began) > 8*time.Second { // other services wait for 10 s
			t.Fatalf("the process of an answer that nobody takes runs on: %s", o)
		}
	}
}

func TestFunctionBadInput(t *testing.T) {
	swept := filepath.Join(t.TempDir(), "swept.yaml")
	if err := os.WriteFile(swept, []byte(sweptFunction), 0o666); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PORT", "nowhere")
	for _, x := range []struct {
		args []string
		says []string
	}{
		{[]string{"slep"}, []string{`did you mean "p2pfaas function sleep"?`}},
		{[]string{"sleep", "more"}, []string{"no arguments"}},
		{[]string{"sleep"}, []string{`the variable PORT is "nowhere"`}},
		{[]string{"loop", "--speed", "0", "--max", "0s", "--service", "3"}, []string{"--speed 0", "--max 0s", "3 has no unit"}},
		{[]string{"sleep", "--service", "{distribution: exponential}"}, []string{"mean"}},
		{[]string{"sleep", "--service", "3ms", "--scenario", "quickstart"}, []string{"leave one out"}},
		{[]string{"sleep", "--scenario", "quickstart", "--function", "g"}, []string{`the scenario has ["face-detect"]`}},
		{[]string{"sleep", "--scenario", swept, "--function", "f"}, []string{"not the same in all of its 4 points: choose one with --select"}},
		{[]string{"sleep", "--port", "70000"}, []string{"cannot listen"}},
		{[]string{"face-detect", "--max-pixels", "0"}, []string{"--max-pixels 0"}},
		{[]string{"face-detect", "--max-body", "3"}, []string{"3 has no unit"}},
		{[]string{"face-detect", "--max-body", "0B"}, []string{"--max-body 0B"}},
		{[]string{"watchdog", "--max-answer", "0B"}, []string{`PORT is "nowhere"`, "there is no program", "--max-answer 0B"}},
		{[]string{"watchdog", "cat"}, []string{"write p2pfaas function watchdog -- cat"}},
	} {
		said := &output{}
		status := cmd.Run(context.Background(), append([]string{"function"}, x.args...), io.Discard, said)
		if status != 2 {
			t.Errorf("%v: exit status %d: %s", x.args, status, said)
		}
		for _, words := range x.says {
			if !strings.Contains(said.String(), words) {
				t.Errorf("%v: %q does not say %q", x.args, said, words)
			}
		}
	}
}

// A scenario whose function looks for faces runs on real nodes with a picture, and without one is refused.
func TestRunFaceDetect(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	scenario, picture := filepath.Join(dir, "faces.yaml"), filepath.Join(dir, "picture.jpg")
	for path, content := range map[string][]byte{picture: grayPicture(t), scenario: []byte(`
name: faces
duration: 1s
replications: 1
cluster: {nodes: 2, slots: 2, queue: 2}
functions: [{name: f, service: 1ms, backend: face-detect}]
workload: {rate: 20/s}
scheduler: {name: PowerOfNScheduler, fanout: 1, threshold: 1}
`)} {
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"run", scenario, "--first-address", "127.79.2.1", "--out", filepath.Join(dir, "out")}
	var said bytes.Buffer
	if status := cmd.Run(context.Background(), args, io.Discard, &said); status != 2 || !strings.Contains(said.String(), "add --payload f=PICTURE.jpg") {
		t.Errorf("without a picture: exit status %d: %s", status, said.String())
	}
	if status := cmd.Run(context.Background(), append(args, "--payload", "f="+picture), io.Discard, &said); status != 0 {
		t.Fatalf("exit status %d: %s", status, said.String())
	}
	r, err := results.Open(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	rep := r.Points[0].Replications[0]
	if lost, _ := rep.Metric("lost_rate"); rep.Ended == 0 || rep.Ended != rep.Submitted || lost != 0 {
		t.Errorf("%d requests, %d ended, %v lost", rep.Submitted, rep.Ended, lost)
	}
}
