package cmd_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/cmd"
	"github.com/p2pfaas/p2pfaas/results"
)

// Two generators share a schedule on nodes that run already; one of them configures the nodes.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	scenario := filepath.Join(dir, "three.yaml")
	if err := os.WriteFile(scenario, []byte(threeNodes), 0o666); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	hosts := "# the nodes\n"
	var all []string
	for i := range 3 {
		all = append(all, fmt.Sprintf("127.78.0.%d", i+1))
		hosts += all[i] + "\n"
	}
	for i, a := range all {
		running.Go(func() {
			said := &output{}
			args := []string{"node", "--bind", a, "--number", fmt.Sprint(i), "--cluster", strings.Join(all, ","), "--scenario", scenario, "--select", "0"}
			if status := cmd.Run(ctx, args, io.Discard, said); status != 0 {
				t.Errorf("%v: exit status %d: %s", args, status, said)
			}
		})
	}
	for _, a := range all {
		for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
			r, err := http.Get("http://" + a + ":18080/")
			if err == nil {
				r.Body.Close()
				break
			}
			if time.Since(begun) > 20*time.Second {
				t.Fatal(err)
			}
		}
	}
	file := filepath.Join(dir, "hosts.txt")
	if err := os.WriteFile(file, []byte(hosts), 0o666); err != nil {
		t.Fatal(err)
	}
	load := func(out string, args ...string) *results.Run {
		t.Helper()
		var table, said bytes.Buffer
		args = append([]string{"load", scenario, "--hosts-file", file, "--duration", "1s", "--out", filepath.Join(dir, out)}, args...)
		if status := cmd.Run(ctx, args, &table, &said); status != 0 {
			t.Errorf("%v: exit status %d: %s", args, status, said.String())
			return nil
		}
		r, err := results.Open(filepath.Join(dir, out))
		if err != nil {
			t.Error(err)
		}
		return r
	}
	at := time.Now().Add(2 * time.Second).UTC().Truncate(time.Second).Add(time.Second).Format(time.RFC3339)
	parts := make([]*results.Run, 2)
	var sharing sync.WaitGroup
	for i := range parts {
		sharing.Go(func() {
			parts[i] = load(fmt.Sprintf("part-%d", i), "--select", "0", "--share", fmt.Sprintf("%d/2", i+1), "--at", at)
		})
	}
	sharing.Wait()
	whole := load("whole", "--configure")
	if t.Failed() {
		return
	}
	a, b, w := parts[0].Points[0].Replications[0], parts[1].Points[0].Replications[0], whole.Points[0].Replications[0]
	if a.Submitted+b.Submitted != w.Submitted || a.Submitted == 0 || b.Submitted == 0 || a.Requests != w.Requests {
		t.Errorf("the parts have %d and %d requests, the whole %d", a.Submitted, b.Submitted, w.Submitted)
	}
	if r, err := http.Get("http://" + all[0] + ":18080/configuration/scheduler"); err != nil {
		t.Error(err)
	} else if text, _ := io.ReadAll(r.Body); !strings.Contains(string(text), "PowerOfNScheduler") {
		t.Errorf("after --configure the scheduler is %s", text)
	}
}

func TestLoadBadInput(t *testing.T) {
	for _, x := range []struct {
		args []string
		says string
	}{
		{[]string{"--hosts", "127.0.0.1,nowhere"}, `"nowhere" is none`},
		{[]string{"--hosts", "127.0.0.1"}, "give one address for each"},
		{[]string{"--hosts", "127.0.0.1"}, "--configure change the nodes"},
		{[]string{"--share", "3/2"}, "--share 2/3"},
		{[]string{"--at", "noon"}, "--at 2030-01-31T12:00:00Z"},
		{[]string{"--payload", "g=picture.jpg"}, "with a function of the scenario"},
		{[]string{"--hosts-file", "missing.txt"}, "--hosts-file"},
	} {
		said := &output{}
		args := append([]string{"load", "quickstart"}, x.args...)
		if status := cmd.Run(context.Background(), args, io.Discard, said); status != 2 || !strings.Contains(said.String(), x.says) {
			t.Errorf("%v: exit status %d, %q; want 2 and %q", x.args, status, said, x.says)
		}
	}
}
