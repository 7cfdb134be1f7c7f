package realnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// asFunction makes the binary of these tests one of the functions that they start: os.Args says how it behaves.
const asFunction = "P2PFAAS_TEST_AS_FUNCTION"

func init() {
	if os.Getenv(asFunction) != "" {
		processOfFunction(os.Args[1:])
	}
}

// processOfFunction never returns.
func processOfFunction(args []string) {
	time.AfterFunc(5*time.Minute, func() { os.Exit(1) }) // whatever becomes of its test
	port := os.Getenv("PORT")
	instance := ""
	child := exec.Command(os.Args[0], "child")
	switch args[0] {
	case "dies":
		fmt.Println("it has no licence")
		os.Exit(1)
	case "robbed":
		if _, err := http.Get(args[1] + "?port=" + port); err != nil { // where somebody may take it
			panic(err)
		}
	case "silent", "child":
		select {}
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
	case "forsaken":
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no longer of the group
		child.Stdout = os.Stdout
	case "late":
		time.Sleep(time.Second)
	case "serves":
		if port != args[1] {
			panic("{port} is " + args[1] + ", PORT is " + port)
		}
		if len(args) > 2 {
			instance = args[2]
		}
	}
	if err := child.Start(); err != nil {
		panic(err)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if d, err := time.ParseDuration(r.URL.Query().Get("sleep")); err == nil {
			select {
			case <-time.After(d):
			case <-r.Context().Done():
			}
		}
		if dir := r.URL.Query().Get("until"); dir != "" { // it says there that it has begun, and ends when it is told there, or its client goes
			if err := os.WriteFile(filepath.Join(dir, "begun"), nil, 0o666); err != nil {
				panic(err)
			}
			for !exists(filepath.Join(dir, "end")) && r.Context().Err() == nil {
				time.Sleep(time.Millisecond)
			}
		}
		w.Header().Set("X-Instance", instance)
		fmt.Fprintf(w, "%d %d", os.Getpid(), child.Process.Pid)
	})
	http.HandleFunc("/healthz", http.NotFound) // that it answers is enough
	http.HandleFunc("/die", func(http.ResponseWriter, *http.Request) { os.Exit(3) })
	h := http.Handler(http.DefaultServeMux)
	if args[0] == "stolid" { // one request after the other, whoever waits for it
		var one sync.Mutex
		h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			one.Lock()
			defer one.Unlock()
			http.DefaultServeMux.ServeHTTP(w, r.WithContext(context.Background()))
		})
	}
	panic(http.ListenAndServe(net.JoinHostPort("127.0.0.1", port), h))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func functionCommand(t *testing.T, words ...string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(asFunction, "1")
	return append([]string{self}, words...)
}

// eventually waits until it is so, on however busy a machine.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("in vain was waited until %s", what)
		}
	}
}

// rendezvous lets nobody pass before so many have come. Who waits in vain passes in the end, so that the test can say what is wrong.
func rendezvous(n int32) (pass func()) {
	var came atomic.Int32
	all := make(chan struct{})
	return func() {
		if came.Add(1) == n {
			close(all)
		}
		select {
		case <-all:
		case <-time.After(20 * time.Second):
		}
	}
}

// ended reports whether a process is no more, or waits for nothing but to be buried by init.
func ended(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

// processesAt are those of a function at a URL.
func processesAt(t *testing.T, url string) (own, child int) {
	t.Helper()
	a, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return processes(t, string(text))
}

// processes are what a function that serves says: its own, and its child's.
func processes(t *testing.T, text string) (own, child int) {
	t.Helper()
	if _, err := fmt.Sscanf(text, "%d %d", &own, &child); err != nil {
		t.Fatalf("the function says %q: %v", text, err)
	}
	return own, child
}

// runs reports whether the stack of a goroutine says so.
func runs(t *testing.T, what string) bool {
	t.Helper()
	var text strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&text, 2); err != nil {
		t.Error(err)
	}
	return strings.Contains(text.String(), what)
}

// noInstance fails where goroutines of instances are left.
func noInstance(t *testing.T) {
	t.Helper()
	eventually(t, "all goroutines of the instances have ended", func() bool { return !runs(t, "realnet.(*instance)") })
}

// A node starts the process of a function, calls it, and ends it with all that it has started.
func TestExec(t *testing.T) {
	command := functionCommand(t, "serves", "{port}")
	c := openNodes(t, 1, NodeOptions{Backend: Backend{Functions: map[string]Function{"f": {Command: command}}, Start: time.Minute}})
	own, child := processes(t, c.ask(0, "POST", "/function/f", "").body)
	if ended(own) || ended(child) {
		t.Errorf("the processes %d and %d have ended while the node runs", own, child)
	}
	if err := c.nodes[0].Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !ended(own) {
		t.Errorf("process %d is left when the node has ended", own)
	}
	eventually(t, fmt.Sprintf("process %d has ended, which the function had started", child), func() bool { return ended(child) })
	noInstance(t)
}

// The process of a function that dies is started again, each time later; until then its requests fail, and say why.
func TestExecRestart(t *testing.T) {
	const pause = 50 * time.Millisecond
	i, err := startInstance(context.Background(), "f", functionCommand(t, "serves", "{port}"), patience{start: time.Minute, end: time.Second, pause: pause})
	if err != nil {
		t.Fatal(err)
	}
	defer i.close()
	for k, pid := 0, 0; k < 3; k++ {
		url, err := i.at()
		if err != nil {
			t.Fatal(err)
		}
		own, _ := processesAt(t, url)
		if own == pid {
			t.Errorf("process %d still answers after its death", own)
		}
		pid = own
		told := time.Now()
		if _, err := http.Get(url + "die"); err == nil {
			t.Fatal("the function answers while it dies")
		}
		again := "" // it may be at once, where this goroutine does not get to look in between
		eventually(t, "the death is noticed", func() bool { again, err = i.at(); return err != nil || again != url })
		if err != nil && !strings.Contains(err.Error(), "is being started again") {
			t.Errorf("the function does not run, and the error is %v", err)
		}
		eventually(t, "the function runs again", func() bool { _, err = i.at(); return err == nil })
		if took, least := time.Since(told), pause<<k; took < least {
			t.Errorf("restart %d came after %v, want %v at least", k, took, least)
		}
	}
}

// What cannot be started is an error when the node opens, with all functions that cannot, and nothing is left behind.
func TestExecRefused(t *testing.T) {
	functions := map[string]Function{
		"dead":   {Command: functionCommand(t, "dies")},
		"silent": {Command: functionCommand(t, "silent")},
		"no":     {Command: []string{"/no/such/program"}},
		"well":   {Command: functionCommand(t, "serves", "{port}")},
	}
	// A busy machine may need more time to start those that do start.
	var err error
	start := time.Second
	for ; start < time.Minute; start *= 2 {
		_, err = OpenNode(NodeOptions{Slots: 1, Scheduler: DefaultScheduler(), Backend: Backend{Functions: functions, Start: start}})
		if err == nil {
			t.Fatal("the node opens")
		}
		if said := err.Error(); !strings.Contains(said, "function well") && !strings.Contains(said, "function dead: it does not answer") {
			break
		}
	}
	for _, words := range []string{"function dead: it ended before it answered: exit status 1",
		"function silent: it does not answer at http://127.0.0.1:", "within " + start.String(), "function no: /no/such/program cannot be started"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%q does not say %q", err, words)
		}
	}
	if strings.Contains(err.Error(), "function well") {
		t.Errorf("%q names a function that is well", err)
	}
	noInstance(t)
	self := strconv.Itoa(os.Getpid())
	eventually(t, "no process is left", func() bool {
		children, err := os.ReadFile("/proc/self/task/" + self + "/children")
		return err != nil || strings.TrimSpace(string(children)) == ""
	})
}

// A process whose port another program takes is started again with another one, although that other program answers in its place.
func TestExecPortTaken(t *testing.T) {
	log := said(t)
	thief := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for runs(t, "created by github.com/p2pfaas/p2pfaas/realnet.(*instance).once") && r.Context().Err() == nil {
			time.Sleep(time.Millisecond) // until who waits for the death of the process has told it
		}
	})}
	defer thief.Close()
	var asked atomic.Int32
	tempter := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == firstStarts {
			return
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", r.URL.Query().Get("port")))
		if err != nil {
			t.Error(err)
			return
		}
		go func() { _ = thief.Serve(l) }()
	}))
	defer tempter.Close()
	i, err := startInstance(t.Context(), "f", functionCommand(t, "robbed", tempter.URL), patience{start: time.Minute, end: time.Second, pause: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer i.close()
	url, err := i.at()
	if err != nil {
		t.Fatal(err)
	}
	processesAt(t, url)
	if n := strings.Count(log(), "its port may have become another program's"); n != firstStarts-1 {
		t.Errorf("the log says %d times that it is started again:\n%s", n, log())
	}
}

// No two functions are given one port, be it that neither listens there yet, nor one that others get who ask for any.
func TestExecPortsDiffer(t *testing.T) {
	p := ports{given: map[int]bool{}}
	for k := range 1000 {
		p.next -= k % 20 // some of them are found twice
		port, err := p.give()
		if err != nil {
			t.Fatal(err)
		}
		if len(p.given) != k+1 {
			t.Fatalf("port %d is given twice", port)
		}
		if port < quietPorts { // while most are free, with a hundred tries
			t.Errorf("port %d may be anybody's", port)
		}
	}
	for port := range p.given {
		p.back(port)
	}
	if len(p.given) != 0 {
		t.Errorf("%d ports never come back", len(p.given))
	}
}

// startFunction starts a function that behaves so, and has so long to end.
func startFunction(t *testing.T, how string, end time.Duration) (i *instance, own, child int) {
	t.Helper()
	i, err := startInstance(context.Background(), "f", functionCommand(t, how), patience{start: time.Minute, end: end, pause: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	url, err := i.at()
	if err != nil {
		t.Fatal(err)
	}
	own, child = processesAt(t, url)
	return i, own, child
}

// A process that leaves behind one that cannot be ended with it, and that holds its output open, is ended all the same.
func TestExecForsaken(t *testing.T) {
	i, own, child := startFunction(t, "forsaken", time.Second)
	began := time.Now()
	i.close()
	if took := time.Since(began); took > 30*time.Second || !ended(own) || ended(child) {
		t.Errorf("after %v the process has ended: %v, its child: %v", took, ended(own), ended(child))
	}
	if err := syscall.Kill(child, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}

// A process that does not end when it is told to is killed.
func TestExecStubborn(t *testing.T) {
	i, own, child := startFunction(t, "stubborn", 50*time.Millisecond)
	i.close()
	if !ended(own) {
		t.Errorf("process %d is left", own)
	}
	eventually(t, fmt.Sprintf("process %d has ended", child), func() bool { return ended(child) })
}
