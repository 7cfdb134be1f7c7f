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
	} {
		ctx, stop := context.WithCancel(context.Background())
		var running sync.WaitGroup
		said := &output{}
		running.Go(func() {
			args := append([]string{"function"}, append(x.args, "--port", "0")...)
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
