package cmd_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/cmd"
)

// output collects what a command writes while it runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// freePorts are ports of loopback where nobody listens.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports
}

// Two nodes as processes would run them: one forwards to the other, and both end in good order, with what runs.
func TestNode(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	function := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "hold" {
			close(held)
			<-release
		}
		time.Sleep(50 * time.Millisecond)
		fmt.Fprint(w, "done")
	}))
	defer function.Close()
	ports := freePorts(t, 5)
	a, b := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var running sync.WaitGroup
	start := func(args ...string) *output {
		said := &output{}
		running.Go(func() {
			args = append([]string{"node", "--function-url", function.URL}, args...)
			if status := cmd.Run(ctx, args, io.Discard, said); status != 0 {
				t.Errorf("%v: exit status %d: %s", args, status, said)
			}
		})
		return said
	}
	start("--services", "scheduler", "--scheduler-port", fmt.Sprint(ports[0]), "--scheduler", "ForwardScheduler 1", "--peers", b)
	start("--scheduler-port", fmt.Sprint(ports[1]), "--learner-port", fmt.Sprint(ports[2]), "--websocket-port", fmt.Sprint(ports[3]),
		"--discovery-port", fmt.Sprint(ports[4]))
	get := func(url string) (string, http.Header) {
		for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			r, err := http.Get(url)
			if err != nil {
				if time.Since(begun) > 10*time.Second {
					t.Fatal(err)
				}
				continue
			}
			defer r.Body.Close()
			text, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			return string(text), r.Header
		}
	}
	get("http://" + b + "/")
	if text, header := get("http://" + a + "/function/f"); text != "done" || header.Get("X-P2pfaas-Hops") != "1" {
		t.Errorf("%q after %q hops, want done after 1", text, header.Get("X-P2pfaas-Hops"))
	}
	if text, _ := get(fmt.Sprintf("http://127.0.0.1:%d/learner/parameters", ports[2])); !strings.Contains(text, "actions_n") {
		t.Errorf("the learner answers %q", text)
	}
	// A LearningScheduler that a script configures finds the types of tasks counted apart.
	configure := func(name, parameter string) {
		text := fmt.Sprintf(`{"name":%q,"parameters":[%q]}`, name, parameter)
		r, err := http.Post("http://"+b+"/configuration/scheduler", "application/json", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != 200 {
			t.Errorf("%s: %s", text, r.Status)
		}
	}
	configure("LearningScheduler", "2")
	typed, err := http.NewRequest("GET", "http://"+b+"/function/f?hold", nil)
	if err != nil {
		t.Fatal(err)
	}
	typed.Header.Set("X-P2pfaas-Scheduler-Learning-Task-Type", "1")
	typed.Header.Set("X-P2pfaas-Scheduler-Bypass", "x")
	running.Go(func() {
		if r, err := http.DefaultClient.Do(typed); err == nil {
			r.Body.Close()
		}
	})
	<-held
	if _, header := get("http://" + b + "/function/f"); header.Get("X-P2pfaas-Scheduler-Learning-State") != "0.000000,0.000000,1.000000,0.000000,0.000000" {
		t.Errorf("with a task of type 1 the state is %q", header.Get("X-P2pfaas-Scheduler-Learning-State"))
	}
	close(release)
	configure("NoScheduler", "false")
	last := make(chan string)
	go func() {
		text, _ := get("http://" + b + "/function/f")
		last <- text
	}()
	time.Sleep(20 * time.Millisecond)
	stop()
	if text := <-last; text != "done" {
		t.Errorf("what ran when the node was told to end was answered %q", text)
	}
	running.Wait()
}

func TestNodeBadInput(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := fmt.Sprint(taken.Addr().(*net.TCPAddr).Port)
	for _, x := range []struct {
		args []string
		says string
	}{
		{[]string{"--bind", "localhost"}, "write an IP address"},
		{[]string{"--services", "discoverer"}, "write some of scheduler, discovery, learner"},
		{[]string{"--dead-polls", "0"}, "--dead-polls 0"},
		{[]string{"--services", "scheduler", "--init-servers", "127.0.0.1"}, "have it in --services"},
		{[]string{"--services", "discovery", "--init-servers", "nobody"}, "write an IP address, or one with a port"},
		{[]string{"--slots", "-1", "--task-types", "0"}, "--task-types 0"},
		{[]string{"--peers", "127.0.0.2", "--discovery", "http://127.0.0.1:19000"}, "leave one out"},
		{[]string{"--services", "scheduler", "--scheduler", "PowerOfM 1"}, "PowerOfNScheduler"},
		{[]string{"--services", "scheduler", "--scheduler-port", port}, "is another node running here?"},
		{[]string{"more"}, "no arguments"},
	} {
		said := &output{}
		if status := cmd.Run(context.Background(), append([]string{"node"}, x.args...), io.Discard, said); status != 2 ||
			!strings.Contains(said.String(), x.says) {
			t.Errorf("%v: exit status %d, %q; want 2 and %q", x.args, status, said, x.says)
		}
	}
}
