package cmd_test

import (
	"bytes"
	"context"
	"image"
	"image/jpeg"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
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

// The functions as commands: they say where they are, serve, finish what runs and end.
func TestFunction(t *testing.T) {
	for _, x := range []struct {
		args []string
		path string
		body []byte
		says string
	}{
		{[]string{"sleep", "--service", "30ms", "--speed", "3"}, "", nil, "executed for 10ms"},
		{[]string{"sleep", "--scenario", "quickstart", "--function", "face-detect", "--set", "functions.face-detect.service=2ms"}, "", nil, "executed for 2ms"},
		{[]string{"loop"}, "?service=3ms", nil, "executed for 3ms"},
		{[]string{"face-detect"}, "", grayPicture(t), `{"width":64,"height":48,"faces":[]}`},
		{[]string{"watchdog", "--", "cat"}, "", []byte("hello"), "hello"},
	} {
		ctx, stop := context.WithCancel(context.Background())
		var running sync.WaitGroup
		said := &output{}
		running.Go(func() {
			args := append([]string{"function"}, append([]string{x.args[0], "--port", "0"}, x.args[1:]...)...)
			if status := cmd.Run(ctx, args, io.Discard, said); status != 0 {
				t.Errorf("%v: exit status %d: %s", args, status, said)
			}
		})
		at := regexp.MustCompile(`http://\S+`)
		url := ""
		for began := time.Now(); url == "" && time.Since(began) < 10*time.Second; time.Sleep(time.Millisecond) {
			url = at.FindString(said.String())
		}
		a, err := http.Post(url+x.path, "", bytes.NewReader(x.body))
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

// A watchdog that is told to end says so for as long as it is asked after its health, and finishes what runs.
func TestWatchdogEnds(t *testing.T) {
	t.Setenv("healthcheck_interval", "300ms")
	ctx, stop := context.WithCancel(context.Background())
	said := &output{}
	status := make(chan int)
	go func() {
		status <- cmd.Run(ctx, []string{"function", "watchdog", "--port", "0", "--", "sh", "-c", "echo begun >&2; sleep 0.6; cat"}, io.Discard, said)
	}()
	eventually := func(what string, is func() bool) {
		t.Helper()
		for began := time.Now(); !is(); time.Sleep(time.Millisecond) {
			if time.Since(began) > 10*time.Second {
				t.Fatalf("in vain was waited until %s: %s", what, said)
			}
		}
	}
	at := regexp.MustCompile(`http://\S+`)
	eventually("it serves", func() bool { return at.FindString(said.String()) != "" })
	url := at.FindString(said.String())
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
	go func() {
		a, err := http.Post(url, "", strings.NewReader("hello"))
		if err != nil {
			answered <- err.Error()
			return
		}
		defer a.Body.Close()
		text, _ := io.ReadAll(a.Body)
		answered <- string(text)
	}()
	eventually("the process runs", func() bool { return strings.Contains(said.String(), "begun") })
	stop()
	eventually("it says that it ends", func() bool { return health() == 503 })
	eventually("nobody is let in any more", func() bool { return health() == 0 })
	if text := <-answered; text != "hello" {
		t.Errorf("what ran is answered with %q", text)
	}
	if s := <-status; s != 0 {
		t.Errorf("exit status %d: %s", s, said)
	}
}

func TestFunctionBadInput(t *testing.T) {
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
	args := []string{"run", scenario, "--first-address", "127.79.0.1", "--out", filepath.Join(dir, "out")}
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
