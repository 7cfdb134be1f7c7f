package cmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/cmd"
	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet"
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

// patience is how long is waited for what comes at once on an idle machine. A busy one is slow; what does not come is told all the same.
const patience = time.Minute

// givenPorts are those that a test of this process has been given.
var givenPorts sync.Map

// freePorts are ports of loopback where nobody listens. They are below those that systems give to whoever wants any: nobody is given one
// before the test listens there.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range 1000 {
		port := 20000 + rand.IntN(12000)
		if _, given := givenPorts.LoadOrStore(port, true); given {
			continue
		}
		l, err := net.Listen("tcp4", fmt.Sprintf(":%d", port)) // on all addresses
		if err != nil {
			continue
		}
		defer l.Close()
		if ports = append(ports, port); len(ports) == n {
			return ports
		}
	}
	t.Fatalf("of %d ports that are wanted %d are free", n, len(ports))
	return nil
}

// Two nodes as processes would run them: one forwards to the other, and both end in good order, with what runs.
func TestNode(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	held, release, runs := make(chan struct{}), make(chan struct{}), make(chan struct{})
	function := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.RawQuery {
		case "hold":
			close(held)
			<-release
		case "last":
			close(runs)
			<-ctx.Done()
		}
		time.Sleep(50 * time.Millisecond)
		fmt.Fprint(w, "done")
	}))
	defer function.Close()
	ports := freePorts(t, 5)
	a, b := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
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
				if time.Since(begun) > patience {
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
		text, _ := get("http://" + b + "/function/f?last")
		last <- text
	}()
	<-runs
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
		{[]string{"--function", "f=http://user:secret@127.0.0.1/"}, "is no URL of a function"},
		{[]string{"--function", "f=http://127.0.0.1/#part"}, "is no URL of a function"},
		{[]string{"--services", "discoverer"}, "write some of scheduler, discovery, learner"},
		{[]string{"--dead-polls", "0"}, "--dead-polls 0"},
		{[]string{"--services", "scheduler", "--init-servers", "127.0.0.1"}, "have it in --services"},
		{[]string{"--services", "discovery", "--init-servers", "192.168.1"}, "write an IP address, or one with a port, or a host name"},
		{[]string{"--slots", "-1", "--task-types", "0"}, "--task-types 0"},
		{[]string{"--peers", "127.0.0.2", "--discovery", "http://127.0.0.1:19000"}, "leave one out"},
		{[]string{"--services", "scheduler", "--scheduler", "PowerOfM 1"}, "PowerOfNScheduler"},
		{[]string{"--services", "scheduler", "--scheduler-port", port}, "--scheduler-port " + port + ": the port is taken on 127.0.0.1: is another node running here?"},
		{[]string{"--services", "discovery", "--discovery-port", port}, "--discovery-port " + port + ": the port is taken on 127.0.0.1: is another node"},
		{[]string{"--learner-port", port, "--websocket-port", port}, "--learner-port " + port + ": the port is taken"},
		{[]string{"--bind", "192.0.2.1", "--insecure", "--function", "f=http://127.0.0.1:1/"}, "--bind 192.0.2.1: it is no address of this machine\n"},
		{[]string{"--services", "discovery", "--bind", "192.0.2.1", "--insecure"}, "--bind 192.0.2.1: it is no address of this machine\n"},
		{[]string{"--services", "scheduler", "--function-keep-alive", "-1s"}, "--function-keep-alive -1s: write 0 or more"},
		{[]string{"--services", "scheduler", "--function-keep-alive", "1s", "--function", "f=http://127.0.0.1:1/"},
			"--function-keep-alive 1s: it is for functions whose processes the node starts, and there are none"},
		{[]string{"--slot", "3"}, "unknown flag: --slot: see \"p2pfaas node --help\"; did you mean --slots?"},
		{[]string{"--scenario", "quickstart", "--select", "scheduler=NoScheduler", "--set", "cluster.nodes=3"}, "--cluster and --number: node 0 of 0 " +
			"addresses: the scenario has 3 nodes: give an address for each, and the number of this one, from 0 to 2"},
		{[]string{"more"}, "no arguments"},
	} {
		said := &output{}
		if status := cmd.Run(context.Background(), append([]string{"node"}, x.args...), io.Discard, said); status != 2 ||
			!strings.Contains(said.String(), x.says) {
			t.Errorf("%v: exit status %d, %q; want 2 and %q", x.args, status, said, x.says)
		}
		if strings.HasPrefix(x.says, "--b") && strings.Count(said.String(), "\n") != 1 {
			t.Errorf("%v: it is not said once: %s", x.args, said)
		}
	}
}

// nodeAt is a scheduler that runs as p2pfaas node.
type nodeAt struct {
	url    string
	said   *output
	end    func() int // with its exit status
	status int        // that it should end with
}

// startNode starts a scheduler with these arguments, and waits until it answers. It ends with the test, if not before.
func startNode(t *testing.T, args ...string) *nodeAt {
	t.Helper()
	return startNodeAt(t, freePorts(t, 1)[0], args...)
}

// startNodeAt is startNode with a port that others know already.
func startNodeAt(t *testing.T, at int, args ...string) *nodeAt {
	t.Helper()
	port := fmt.Sprint(at)
	n := &nodeAt{url: "http://127.0.0.1:" + port, said: &output{}}
	ctx, stop := context.WithCancel(context.Background())
	status := make(chan int, 1)
	go func() {
		args = append([]string{"node", "--services", "scheduler", "--scheduler-port", port}, args...)
		status <- cmd.Run(ctx, args, io.Discard, n.said)
	}()
	n.end = sync.OnceValue(func() int {
		stop()
		return <-status
	})
	t.Cleanup(func() {
		if s := n.end(); s != n.status {
			t.Errorf("%v: exit status %d, want %d: %s", args, s, n.status, n.said)
		}
	})
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if r, _ := n.ask("GET", "/", ""); r != nil {
			return n
		}
		select {
		case s := <-status:
			status <- s
			t.Fatalf("%v: exit status %d: %s", args, s, n.said)
		default:
		}
		if time.Since(begun) > patience {
			t.Fatalf("%v: no answer: %s", args, n.said)
		}
	}
}

// ask sends a request on a connection of its own; nil: there was no answer.
func (n *nodeAt) ask(method, path, content string, header ...string) (*http.Response, string) {
	r, err := http.NewRequest(method, n.url+path, strings.NewReader(content))
	if err != nil {
		return nil, err.Error()
	}
	for k := 0; k < len(header); k += 2 {
		r.Header.Set(header[k], header[k+1])
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	a, err := c.Do(r)
	if err != nil {
		return nil, err.Error()
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		return nil, err.Error()
	}
	return a, string(text)
}

// answers checks the status and a part of the answer.
func (n *nodeAt) answers(t *testing.T, status int, part, method, path, content string, header ...string) *http.Response {
	t.Helper()
	r, text := n.ask(method, path, content, header...)
	if r == nil || r.StatusCode != status || !strings.Contains(text, part) {
		t.Errorf("%s %s: %v %.200q, want %d and %q", method, path, r, text, status, part)
	}
	return r
}

// Functions of the node's own: sample ones, commands, URLs, those of OpenFaaS, and any other.
func TestNodeFunctions(t *testing.T) {
	var asked sync.Map
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		asked.Store(r.URL.Path, user+":"+password)
		fmt.Fprint(w, r.URL.Path)
	}))
	defer elsewhere.Close()
	address := strings.TrimPrefix(elsewhere.URL, "http://")
	host, port, _ := strings.Cut(address, ":")
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"node.yaml": "function: {wait: 'sleep:3ms', listed: [" + self + ", function, loop, --port, '{port}', --service, 2ms]}",
		"none.yaml": "function: {'bad name': sleep}", "basic-auth-user": "admin\n", "basic-auth-password": "secret\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	n := startNode(t, "--function", "s=sleep:{distribution: uniform, min: 1ms, max: 2ms}", "--function", "l=loop:1ms",
		"--function", "faces=face-detect", "--function", "c=exec:"+self+" function sleep --port {port} --service 1ms",
		"--function", "u="+elsewhere.URL+"/mine", "--function", "*="+elsewhere.URL+"/any/{function}")
	n.answers(t, 200, "executed for 1", "GET", "/function/s", "")
	n.answers(t, 200, "executed for 1", "GET", "/function/l", "")
	n.answers(t, 200, "executed for 1ms", "GET", "/function/c", "")
	n.answers(t, 400, "picture", "POST", "/function/faces", "no picture")
	n.answers(t, 200, "/mine", "GET", "/function/u", "")
	n.answers(t, 200, "/any/other", "GET", "/function/other", "")

	n = startNode(t, "--config", filepath.Join(dir, "node.yaml"), "--function-url", "http://{function}:{port}/at", "--function-port", port)
	n.answers(t, 200, "executed for 3ms", "GET", "/function/wait", "")
	n.answers(t, 200, "executed for 2", "GET", "/function/listed", "")
	n.answers(t, 200, "/at", "GET", "/function/"+host, "")

	logged := &output{}
	log.SetOutput(logged)
	defer log.SetOutput(os.Stderr)
	const keep = time.Second
	n = startNode(t, "--function", "s=sleep:{distribution: uniform, min: 1ms, max: 9ms}", "--function", "u="+elsewhere.URL, "--function-keep-alive",
		keep.String())
	drawn := map[string]bool{} // by processes of their own
	for k := range 2 {
		if k > 0 { // until the first process has ended
			at := said(t, logged, `a function has started function=s url=http://(\S+)/`)
			eventually(t, "nobody listens at "+at, func() bool {
				c, err := net.Dial("tcp", at)
				return err != nil || c.Close() != nil
			})
		}
		began := time.Now()
		r := n.answers(t, 200, "executed for ", "GET", "/function/s", "")
		if r.Header.Get("X-P2pfaas-Timing-Cold-Start-Seconds") == "" {
			t.Errorf("no process has been there for it, and the answer does not say so: %v", r.Header)
		}
		drawn[r.Header.Get("X-Service-Seconds")] = true
		if r = n.answers(t, 200, "executed for ", "GET", "/function/s", ""); r.Header.Get("X-P2pfaas-Timing-Cold-Start-Seconds") != "" &&
			time.Since(began) < keep {
			t.Errorf("the process is there, and the answer says otherwise: %v", r.Header)
		}
		n.answers(t, 200, "", "GET", "/function/u", "")
	}
	if len(drawn) != 2 {
		t.Errorf("two processes draw the same times: %v", drawn)
	}

	t.Setenv("P2PFAAS_OPENFAAS_ENABLED", "true")
	t.Setenv("P2PFAAS_OPENFAAS_HOST", host)
	t.Setenv("P2PFAAS_OPENFAAS_PORT", port)
	n = startNode(t, "--openfaas-secrets", dir, "--function", "s=sleep")
	n.answers(t, 200, "/function/f", "GET", "/function/f", "")
	n.answers(t, 200, "executed", "GET", "/function/s?service=1ms", "")
	if who, _ := asked.Load("/function/f"); who != "admin:secret" {
		t.Errorf("OpenFaaS was asked by %v", who)
	}
	if status, _, said := command(t, "node", "--config", filepath.Join(dir, "none.yaml")); status != 2 || !strings.Contains(said, `function "bad name"`) {
		t.Errorf("a bad name of a function: exit status %d, %s", status, said)
	}
}

// Each limit acts.
func TestNodeLimits(t *testing.T) {
	entered, leave := make(chan struct{}, 10), make(chan struct{})
	function := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch r.URL.RawQuery {
		case "long":
			fmt.Fprint(w, strings.Repeat("x", 2000))
		case "hang":
			<-r.Context().Done()
		case "wait":
			entered <- struct{}{}
			select {
			case <-leave:
			case <-r.Context().Done():
			}
		}
	}))
	defer function.Close()
	at := []string{"--function-url", function.URL}
	with := func(args ...string) []string { return append(at[:len(at):len(at)], args...) }

	n := startNode(t, with("--max-body", "1kB", "--max-answer", "1kB", "--max-header", "1kB", "--idle-timeout", "100ms")...)
	n.answers(t, 200, "", "POST", "/function/f", strings.Repeat("x", 1000))
	n.answers(t, 413, "408", "POST", "/function/f", strings.Repeat("x", 1001))
	n.answers(t, 500, "", "GET", "/function/f?long", "")
	startNode(t, with("--function-timeout", "100ms")...).answers(t, 500, "", "GET", "/function/f?hang", "")
	hurried := startNode(t, with("--header-timeout", "100ms")...) // which a busy client does not keep up with
	for limit, x := range map[string]struct {
		*nodeAt
		request, answer string
	}{
		"header-timeout": {hurried, "GET / HTTP/1.1\r\n", ""},
		"idle-timeout":   {n, "GET / HTTP/1.1\r\nHost: n\r\n\r\n", "HTTP/1.1 200"},
		"max-header":     {n, "GET / HTTP/1.1\r\nHost: n\r\nX-Long: " + strings.Repeat("x", 6000), "HTTP/1.1 431"},
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(x.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, x.request)
		if err := c.SetReadDeadline(time.Now().Add(8 * time.Second)); err != nil { // less than any default
			t.Fatal(err)
		}
		text, err := io.ReadAll(c)
		if errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(string(text), x.answer) {
			t.Errorf("--%s: %q, %v; want %q and the end of the connection", limit, text, err, x.answer)
		}
	}

	n = startNode(t, with("--max-requests", "1")...)
	first := make(chan struct{})
	go func() {
		defer close(first)
		n.answers(t, 200, "", "GET", "/function/f?wait", "")
	}()
	<-entered
	n.answers(t, 503, "409", "GET", "/function/f", "")
	leave <- struct{}{}
	<-first
	n.answers(t, 200, "", "GET", "/function/f", "")

	n = startNode(t, with("--max-connections", "1")...)
	c, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: n\r\n\r\n")
	if _, err := c.Read(make([]byte, 1)); err != nil { // it is accepted
		t.Fatal(err)
	}
	second := make(chan struct{})
	go func() {
		defer close(second)
		n.answers(t, 200, "", "GET", "/", "")
	}()
	select {
	case <-second:
		t.Error("--max-connections 1: a second one is served")
	case <-time.After(100 * time.Millisecond):
	}
	c.Close()
	<-second

	n = startNode(t, with("--grace", "50ms")...)
	go n.ask("GET", "/function/f?wait", "")
	<-entered
	if n.status = 1; n.end() != 1 || !strings.Contains(n.said.String(), "still running after 50ms") {
		t.Errorf("--grace: %s", n.said)
	}
	said := &output{}
	args := []string{"node", "--services", "scheduler", "--function", "f=exec:sleep 60", "--function-start-timeout", "50ms"}
	if status := cmd.Run(t.Context(), args, io.Discard, said); status != 2 || !strings.Contains(said.String(), "within 50ms") {
		t.Errorf("--function-start-timeout: exit status %d, %s", status, said)
	}
}

// A node that starts without a place to wait gets places when a client says how many.
func TestNodeQueueLater(t *testing.T) {
	entered, leave := make(chan struct{}, 4), make(chan struct{})
	function := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-leave
	}))
	defer function.Close()
	n := startNode(t, "--function-url", function.URL, "--slots", "1", "--queue", "0", "--scheduler", "NoScheduler false")
	n.answers(t, 200, `{"parallel_running_functions_max":1,"queue_length_max":0,"queue_enabled":true}`, "GET", "/configuration", "")
	var clients sync.WaitGroup
	clients.Go(func() { n.answers(t, 200, "", "GET", "/function/f", "") })
	<-entered
	n.answers(t, 500, "cannot be scheduled", "GET", "/function/f", "")
	n.answers(t, 200, "", "POST", "/configuration", `{"queue_length_max":3}`)
	for range 3 {
		clients.Go(func() { n.answers(t, 200, "", "GET", "/function/f", "") })
	}
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		r, _ := n.ask("GET", "/monitoring/load", "")
		if r != nil && r.Header.Get("X-P2pfog-Queue-Length") == "3" {
			break
		}
		if time.Since(begun) > patience {
			t.Error("there are no three that wait")
			break
		}
	}
	close(leave)
	clients.Wait()
}

// What clients configured, and --data kept, comes before what flags, variables and the file say: the node tells that once.
func TestNodeKept(t *testing.T) {
	data := t.TempDir()
	for name, text := range map[string]string{
		"p2p_faas-scheduler.json":        `{"parallel_running_functions_max":2,"queue_length_max":9,"queue_enabled":false}`,
		"p2p_faas-scheduler-config.json": `{"name":"ForwardScheduler","named":{},"forwarding":{"on_refusal":"next","probe_timeout_ns":3000000}}`,
		"p2p_faas-discovery.json":        `{"machine_ip":"127.0.0.1","machine_id":"kept","init_servers":[]}`,
	} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	said := &output{}
	log.SetOutput(said)
	defer log.SetOutput(os.Stderr)
	t.Setenv("P2PFAAS_NODE_PROBE_TIMEOUT", "7ms")
	n := startNode(t, "--services", "scheduler,discovery", "--discovery-port", fmt.Sprint(freePorts(t, 1)[0]), "--function", "f=sleep:1ms",
		"--data", data, "--slots", "7", "--id", "mine", "--group", "g")
	n.answers(t, 200, `"parallel_running_functions_max":2`, "GET", "/configuration", "")
	n.end()
	for _, want := range []string{
		`WARN what a client configured has been kept, and takes the place of a setting: configure it anew, or delete the file file=` +
			data + `/p2p_faas-scheduler.json slots=2 "instead of"="--slots 7"`,
		`p2p_faas-scheduler.json queue=0 "instead of"="the default, 4"`,
		`p2p_faas-scheduler-config.json scheduler="{\"name\":\"ForwardScheduler\",`, `p2p_faas-scheduler-config.json on-refusal=next "instead of"="the default, fail"`,
		`probe-timeout=3ms "instead of"="P2PFAAS_NODE_PROBE_TIMEOUT 7ms"`, `p2p_faas-discovery.json id=kept "instead of"="--id mine"`,
	} {
		if strings.Count(said.String(), want) != 1 {
			t.Errorf("it is not told once that %s:\n%s", want, said)
		}
	}
	if warned, told := strings.Count(said.String(), "WARN what a client"), strings.Count(said.String(), "what a client"); warned != 3 || told != 6 {
		t.Errorf("%d warnings of %d, want 3 of 6:\n%s", warned, told, said)
	}
}

// What a node says of itself when it starts: the address that it is known by where it listens on all, and that it has no slots.
func TestNodeStart(t *testing.T) {
	said := &output{}
	log.SetOutput(said)
	defer log.SetOutput(os.Stderr)
	function := []string{"--function", "f=http://127.0.0.1:1/"}
	n := startNode(t, append(function, "--bind", "0.0.0.0", "--insecure", "--iface", loopback(t), "--slots", "0", "--queue", "0")...)
	if port := n.url[strings.LastIndex(n.url, ":"):]; !strings.Contains(n.said.String(), "known by the address 127.0.0.1"+port+", of ") {
		t.Errorf("a node that listens on all addresses says: %s", n.said)
	}
	if !strings.Contains(said.String(), "WARN the node has no slots: what its algorithm does not forward is refused") {
		t.Errorf("a node without slots says: %s", said)
	}
	before := said.String()
	n = startNode(t, function...)
	if strings.Contains(n.said.String(), "known by") || strings.Contains(strings.TrimPrefix(said.String(), before), "no slots") {
		t.Errorf("an ordinary node says: %s %s", n.said, said)
	}
}

// Nodes that have all settings in common but where they are have learners that explore apart.
func TestNodesExploreApart(t *testing.T) {
	var explored []string
	for range 2 {
		ports := freePorts(t, 2)
		n := startNode(t, "--services", "scheduler,learner", "--function", "f=http://127.0.0.1:1/", "--seed", "7",
			"--learner-port", fmt.Sprint(ports[0]), "--websocket-port", fmt.Sprint(ports[1]))
		r, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d/learner/parameters", ports[0]), "application/json", strings.NewReader(`{"actions_n":9}`))
		if err != nil || r.StatusCode != 200 {
			t.Fatal(r, err)
		}
		r.Body.Close()
		l, err := realnet.DialLearner(t.Context(), realnet.LearnerOptions{Act: fmt.Sprintf("ws://127.0.0.1:%d", ports[1]), Timeout: patience})
		if err != nil {
			t.Fatal(err)
		}
		actions := ""
		for range 30 {
			a, err := l.Act(t.Context(), []float64{0})
			if err != nil {
				t.Fatal(err)
			}
			actions += fmt.Sprint(a.Index)
		}
		_ = l.Close()
		explored = append(explored, actions)
		n.end()
	}
	if explored[0] == explored[1] {
		t.Errorf("both choose %s", explored[0])
	}
}

// What a node waits for its peers: it executes a task itself when the peer's time is over.
func TestNodePeerTimeouts(t *testing.T) {
	function := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer function.Close()
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hangs.Close()
	mute, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	n := startNode(t, "--function-url", function.URL, "--peers", mute.Addr().String(), "--probe-timeout", "700ms",
		"--scheduler", "PowerOfNScheduler 1 0 true 1")
	r := n.answers(t, 200, "", "GET", "/function/f", "")
	var task struct {
		Timing  core.Timing
		Retries int
	}
	text := r.Header.Get("X-P2pfaas-Task")
	if err := json.Unmarshal([]byte(text), &task); err != nil || task.Timing.Probing < 700*time.Millisecond {
		t.Errorf("--probe-timeout 700ms: %s, %v", text, err)
	}
	p := startNode(t, "--function-url", hangs.URL)
	n = startNode(t, "--function-url", function.URL, "--peers", strings.TrimPrefix(p.url, "http://"), "--answer-timeout", "100ms",
		"--scheduler", "ForwardScheduler 1")
	r = n.answers(t, 200, "", "GET", "/function/f", "") // before the client gives up
	text = r.Header.Get("X-P2pfaas-Task")
	if err := json.Unmarshal([]byte(text), &task); err != nil || task.Retries != 1 || r.Header.Get("X-P2pfaas-Hops") != "" {
		t.Errorf("--answer-timeout 100ms: executed after %q hops, with %s, %v", r.Header.Get("X-P2pfaas-Hops"), text, err)
	}
}

// What a node serves for those who look into it.
func TestNodeInsight(t *testing.T) {
	profile := fmt.Sprint(freePorts(t, 1)[0])
	said := &output{}
	log.SetOutput(said)
	defer log.SetOutput(os.Stderr)
	n := startNode(t, "--function", "f=sleep:1ms", "--development", "--log-level", "debug", "--pprof-port", profile)
	n.answers(t, 200, "OK", "GET", "/dev/http/get", "")
	n.answers(t, 200, "", "GET", "/function/f", "", "X-P2pfaas-Service-Tracing-Id", "trace")
	if !strings.Contains(said.String(), "a request has ended") {
		t.Errorf("--log-level debug: the log is %s", said)
	}
	(&nodeAt{url: "http://127.0.0.1:" + profile}).answers(t, 200, "goroutine", "GET", "/debug/pprof/", "")
	n.end()
	n = startNode(t, "--function", "f=sleep:1ms")
	n.answers(t, 404, "", "GET", "/dev/http/get", "")
	before := said.String()
	n.answers(t, 200, "", "GET", "/function/f", "")
	if more := strings.TrimPrefix(said.String(), before); strings.Contains(more, "a request has ended") {
		t.Errorf("without --log-level: the log is %s", more)
	}
}

// With --otlp what a node was asked is at the collector when the node has ended; without it, no collector is spoken to.
func TestNodeTraces(t *testing.T) {
	var got atomic.Int64
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/traces" && r.ContentLength > 0 {
			got.Add(1)
		}
	}))
	defer collector.Close()
	n := startNode(t, "--function", "f=sleep:1ms", "--otlp", collector.URL)
	n.answers(t, 200, "", "GET", "/function/f", "")
	n.end()
	if got.Load() == 0 {
		t.Error("--otlp: the collector has got nothing")
	}
	got.Store(0)
	n = startNode(t, "--function", "f=sleep:1ms", "--otlp", collector.URL, "--otlp-share", "0")
	n.answers(t, 200, "", "GET", "/function/f", "")
	n.end()
	if got.Load() != 0 {
		t.Error("--otlp-share 0: the collector has got something")
	}
	for _, x := range [][]string{{"--otlp", "127.0.0.1:4318"}, {"--otlp-share", "0.5"}, {"--otlp", collector.URL, "--services", "learner"},
		{"--otlp", collector.URL, "--otlp-share", "2"}} {
		status, _, said := p2pfaas(t, append([]string{"node", "--bind", "127.0.0.1"}, x...)...)
		if status != 2 || !strings.Contains(said, "otlp") {
			t.Errorf("%v: exit status %d, %s", x, status, said)
		}
	}
}

// Each line of a log in JSON is an object, from the first one on, and afterwards the log is as it was.
func TestNodeLogJSON(t *testing.T) {
	said := &output{}
	log.SetOutput(said)
	defer log.SetOutput(os.Stderr)
	n := startNode(t, "--function", "f=sleep:1ms", "--log-format", "json", "--log-level", "debug")
	n.answers(t, 200, "", "GET", "/function/f", "", "X-P2pfaas-Scheduler-Task-Tracing-Id", "mine")
	n.end()
	found := map[string]bool{}
	for line := range strings.Lines(said.String() + n.said.String()) {
		var x struct{ Time, Level, Msg, Request, Outcome string }
		if err := json.Unmarshal([]byte(line), &x); err != nil || x.Time == "" || x.Msg == "" {
			t.Errorf("%q: %v", line, err)
		}
		found[strings.Join([]string{x.Level, x.Msg, x.Request, x.Outcome}, "|")] = true
	}
	for _, want := range []string{"DEBUG|a task is decided about|mine|", "DEBUG|a request has ended|mine|completed"} {
		if !found[want] {
			t.Errorf("there is no %q in %s", want, said)
		}
	}
	slog.Info("as before")
	if !strings.HasSuffix(said.String(), " INFO as before\n") {
		t.Errorf("after the node the log says %s", said)
	}
	startNode(t, "--function", "f=sleep:1ms", "--log-level", "error").answers(t, 200, "", "GET", "/function/f", "")
	if strings.Contains(said.String(), " INFO a function has started") {
		t.Errorf("--log-level error: the log is %s", said)
	}
}

// Nodes on one address with ports of their own know each other by address and port, also where discovery is a process of its
// own, as the first P2PFaaS has it, and where a node listens on all addresses.
func TestNodeShiftedPorts(t *testing.T) {
	function := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "done") }))
	defer function.Close()
	ports := freePorts(t, 4)
	schedulers, discoveries := ports[:2], ports[2:]
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	start := func(args ...any) {
		words := []string{"node", "--function-url", function.URL, "--scheduler", "ForwardScheduler 1"}
		for _, a := range args {
			words = append(words, fmt.Sprint(a))
		}
		running.Go(func() {
			said := &output{}
			if status := cmd.Run(ctx, words, io.Discard, said); status != 0 {
				t.Errorf("%v: exit status %d: %s", words, status, said)
			}
		})
	}
	start("--services", "discovery", "--scheduler-port", schedulers[0], "--discovery-port", discoveries[0])
	start("--services", "scheduler", "--scheduler-port", schedulers[0], "--discovery", fmt.Sprintf("http://127.0.0.1:%d", discoveries[0]))
	start("--services", "scheduler,discovery", "--bind", "0.0.0.0", "--insecure", "--iface", loopback(t), "--scheduler-port", schedulers[1],
		"--discovery-port", discoveries[1], "--init-servers", fmt.Sprintf("127.0.0.1:%d", discoveries[0]))
	for i := range schedulers {
		n := &nodeAt{url: fmt.Sprintf("http://127.0.0.1:%d", schedulers[i])}
		want := fmt.Sprintf(`["127.0.0.1:%d","127.0.0.1:%d"]`, schedulers[i], schedulers[1-i])
		for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
			r, text := n.ask("GET", "/function/f", "")
			if r != nil && text == "done" && r.Header.Get("X-P2pfaas-Peers-List-Ip") == want {
				break
			}
			if time.Since(begun) > patience {
				_, status := n.ask("GET", "/monitoring/node", "")
				t.Fatalf("node %d: %v %q: %s; want the path %s", i, r, text, status, want)
			}
		}
	}
}

// loopback is the name of the loopback interface.
func loopback(t *testing.T) string {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			return i.Name
		}
	}
	t.Skip("there is no loopback interface")
	return ""
}
