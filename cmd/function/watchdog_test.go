package function

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet"
)

// asProgram makes the binary of these tests one of the programs that they make functions: os.Args says how it behaves.
const asProgram = "P2PFAAS_TEST_AS_PROGRAM"

func init() {
	if os.Getenv(asProgram) != "" {
		time.AfterFunc(5*time.Minute, func() { os.Exit(1) }) // whatever becomes of its test
		program(os.Args[1])
	}
}

// program never returns.
func program(how string) {
	switch how {
	case "dies":
		fmt.Println("it was")
		fmt.Fprintln(os.Stderr, "it has no licence")
		os.Exit(7)
	case "serves":
		http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			w.Header().Set("X-Said", r.Header.Get("X-Call-Id"))
			w.Header().Set("X-Forwarded", r.Header.Get("X-Forwarded-For"))
			q := r.URL.Query()
			if d, err := time.ParseDuration(q.Get("sleep")); err == nil {
				select {
				case <-time.After(d):
				case <-r.Context().Done():
				}
			}
			if s, err := strconv.Atoi(q.Get("status")); err == nil {
				w.WriteHeader(s)
			}
			if q.Has("die") {
				fmt.Println("goodbye")
				os.Exit(3)
			}
			fmt.Fprintf(w, "%s %s %s %d", r.Method, r.URL.Path, r.Host, len(text))
		})
		panic(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
	}
	panic("how?")
}

// lines is a log that may be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// watchdogOf reads options from variables, in the form NAME=VALUE.
func watchdogOf(t *testing.T, variables []string, command ...string) WatchdogOptions {
	t.Helper()
	o, err := ReadWatchdog(func(name string) string {
		for _, v := range variables {
			if value, is := strings.CutPrefix(v, name+"="); is {
				return value
			}
		}
		return ""
	}, command)
	if err != nil {
		t.Fatal(err)
	}
	o.MaxAnswer, o.Log = 8<<20, &lines{}
	return o
}

// openWatchdog serves a program as a function.
func openWatchdog(t *testing.T, o WatchdogOptions) (*Watchdog, string) {
	t.Helper()
	d, err := OpenWatchdog(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(d)
	t.Cleanup(func() {
		s.Close()
		d.Close()
	})
	return d, s.URL
}

// serving are the options of a program that serves HTTP.
func serving(t *testing.T, variables ...string) WatchdogOptions {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv(asProgram, "1")
	return watchdogOf(t, append(variables, "mode=http", "upstream_url=http://"+l.Addr().String()), os.Args[0], "serves")
}

// behindNode is the URL of a function at a real node that calls it at a URL.
func behindNode(t *testing.T, function string) string {
	t.Helper()
	n, err := realnet.OpenNode(realnet.NodeOptions{Identity: realnet.Identity{ID: "node", IP: "127.0.0.1"}, Slots: 200, Room: 10, Queue: true,
		Scheduler: realnet.DefaultScheduler(), Backend: realnet.Backend{URL: function}})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(n.SchedulerHandler())
	t.Cleanup(func() {
		if err := n.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return s.URL + "/function/f"
}

// In each mode the function gets what a client of a real node says, and the client what the function says.
func TestWatchdogBehindNode(t *testing.T) {
	const script = `printf '%s %s %s %s %s %s\n' "$Http_Method" "$Http_Path" "$Http_Query" "$Http_X_Call_Id" "$Http_Content_Length" "$(wc -c | tr -d ' ')"`
	for _, mode := range []string{Streaming, Serializing} {
		o := watchdogOf(t, []string{"mode=" + mode, "content_type=text/x-mine"}, "sh", "-c", script)
		_, direct := openWatchdog(t, o)
		a, text, _ := ask(t, behindNode(t, direct)+"?q=1&r=2", "POST", "hello", "X-Call-Id", "c 7")
		if want := "POST / q=1&r=2 c 7 5 5\n"; a.StatusCode != 200 || text != want || a.Header.Get("Content-Type") != "text/x-mine" {
			t.Errorf("%s: %s %q of %s, want %q", mode, a.Status, text, a.Header.Get("Content-Type"), want)
		}
		a, text, _ = ask(t, direct+"/a/b", "DELETE", "")
		if want := "DELETE /a/b   0 0\n"; a.StatusCode != 200 || text != want {
			t.Errorf("%s: %s %q, want %q", mode, a.Status, text, want)
		}
		took := a.Header.Get("X-Duration-Seconds") + a.Trailer.Get("X-Duration-Seconds")
		if s, err := strconv.ParseFloat(took, 64); err != nil || !(s > 0 && s < 10) {
			t.Errorf("%s: it says that it took %q", mode, took)
		}
	}
	_, direct := openWatchdog(t, serving(t))
	node := behindNode(t, direct)
	for _, status := range []int{200, 201, 404, 418, 503} {
		a, text, _ := ask(t, fmt.Sprint(node, "?status=", status), "POST", "hello", "X-Call-Id", "c7", "X-Forwarded-For", "10.1.2.3")
		if a.StatusCode != status || text != "POST / "+strings.TrimPrefix(direct, "http://")+" 5" || a.Header.Get("X-Said") != "c7" ||
			a.Header.Get("X-Forwarded") != "10.1.2.3" || a.Header.Get("X-Duration-Seconds") == "" {
			t.Errorf("status %d: %s %q with %v", status, a.Status, text, a.Header)
		}
	}
}

// A large body goes through and comes back as it is, and so do a hundred at once, however long that takes.
func TestWatchdogLoad(t *testing.T) {
	patient := []string{"read_timeout=1m", "write_timeout=1m", "exec_timeout=1m"}
	large := strings.Repeat("0123456789abcdef", 4<<20/16)
	for _, mode := range []string{Streaming, Serializing} {
		_, direct := openWatchdog(t, watchdogOf(t, append(patient, "mode="+mode), "cat"))
		node := behindNode(t, direct)
		if a, text, _ := ask(t, node, "POST", large); a.StatusCode != 200 || text != large {
			t.Errorf("%s: %s with %d bytes, want %d", mode, a.Status, len(text), len(large))
		}
		concurrently(t, mode, node, func(i int) string { return fmt.Sprint("request ", i) }, func(i int) string { return fmt.Sprint("request ", i) })
	}
	_, direct := openWatchdog(t, serving(t, patient...))
	node := behindNode(t, direct)
	if a, text, _ := ask(t, node, "POST", large); a.StatusCode != 200 || !strings.HasSuffix(text, fmt.Sprint(" ", len(large))) {
		t.Errorf("http: %s %q", a.Status, text)
	}
	host := strings.TrimPrefix(direct, "http://")
	concurrently(t, HTTP, node, func(i int) string { return strings.Repeat("x", i) }, func(i int) string { return fmt.Sprint("POST / ", host, " ", i) })
}

func concurrently(t *testing.T, mode, url string, content, want func(int) string) {
	t.Helper()
	var asking sync.WaitGroup
	for i := range 100 {
		asking.Go(func() {
			a, err := http.Post(url, "", strings.NewReader(content(i)))
			if err != nil {
				t.Error(err)
				return
			}
			defer a.Body.Close()
			if text, err := io.ReadAll(a.Body); err != nil || a.StatusCode != 200 || string(text) != want(i) {
				t.Errorf("%s, request %d: %s %q (%v), want %q", mode, i, a.Status, text, err, want(i))
			}
		})
	}
	asking.Wait()
}

// What takes too long is ended, with all that it has started, and the client is told.
func TestWatchdogTimeout(t *testing.T) {
	for _, mode := range []string{Streaming, Serializing} {
		var child, own int
		for limit := 300 * time.Millisecond; child == 0; limit *= 5 { // on a busy machine a process may have no time to begin in
			log := &lines{}
			o := watchdogOf(t, []string{"mode=" + mode, "exec_timeout=" + limit.String(), "prefix_logs=false"}, "sh", "-c", "sleep 100 & echo $! $$ >&2; wait")
			o.Log = log
			_, direct := openWatchdog(t, o)
			a, text, took := ask(t, behindNode(t, direct), "POST", "")
			if a.StatusCode != 504 || !strings.Contains(text, fmt.Sprintf("within %v (exec_timeout)", limit)) || took > limit+30*time.Second {
				t.Errorf("%s: %s %q after %v", mode, a.Status, text, took)
			}
			if _, err := fmt.Sscan(log.String(), &child, &own); err != nil && limit > 5*time.Second {
				t.Fatalf("%s: the process says %q: %v", mode, log, err)
			}
		}
		for _, pid := range []int{child, own} {
			eventually(t, fmt.Sprintf("%s: process %d has ended", mode, pid), func() bool { return ended(pid) })
		}
	}
	_, direct := openWatchdog(t, serving(t, "exec_timeout=200ms"))
	if a, text, took := ask(t, behindNode(t, direct)+"?sleep=100s", "POST", ""); a.StatusCode != 504 || took > 30*time.Second {
		t.Errorf("http: %s %q after %v", a.Status, text, took)
	}
	eventually(t, "the process answers in time", func() bool {
		a, _, _ := ask(t, direct, "GET", "")
		return a.StatusCode == 200
	})
}

// eventually waits until it is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("in vain was waited until %s", what)
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

// A process that ends with an error: serializing says so; streaming has given its answer.
func TestWatchdogExitStatus(t *testing.T) {
	for mode, want := range map[string]struct {
		status int
		says   string
	}{Streaming: {200, "half"}, Serializing: {500, "exit status 3\n"}} {
		_, direct := openWatchdog(t, watchdogOf(t, []string{"mode=" + mode}, "sh", "-c", "printf half; exit 3"))
		if a, text, _ := ask(t, direct, "POST", ""); a.StatusCode != want.status || text != want.says {
			t.Errorf("%s: %s %q, want %+v", mode, a.Status, text, want)
		}
	}
}

// A process that a signal has ended has not answered, or not to the end.
func TestWatchdogKilled(t *testing.T) {
	for _, mode := range []string{Streaming, Serializing} {
		_, direct := openWatchdog(t, watchdogOf(t, []string{"mode=" + mode}, "sh", "-c", "kill -9 $$"))
		if a, text, _ := ask(t, direct, "POST", ""); a.StatusCode != 500 || text != "signal: killed\n" {
			t.Errorf("%s: %s %q", mode, a.Status, text)
		}
	}
	_, direct := openWatchdog(t, watchdogOf(t, nil, "sh", "-c", "echo half; kill -9 $$"))
	a, err := http.Post(direct, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if text, err := io.ReadAll(a.Body); err == nil {
		t.Errorf("half of an answer is taken for one: %s %q", a.Status, text)
	}
}

// An answer comes while the process still runs.
func TestWatchdogStreams(t *testing.T) {
	_, direct := openWatchdog(t, watchdogOf(t, nil, "sh", "-c", "echo first; read line; echo $line"))
	body, toBody := io.Pipe()
	a, err := http.Post(direct, "", body)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	got := make([]byte, 6)
	if _, err := io.ReadFull(a.Body, got); err != nil || string(got) != "first\n" {
		t.Fatalf("%q: %v", got, err)
	}
	go func() {
		fmt.Fprintln(toBody, "second")
		toBody.Close()
	}()
	if rest, err := io.ReadAll(a.Body); err != nil || string(rest) != "second\n" {
		t.Errorf("%q: %v", rest, err)
	}
}

// A client that goes away takes its process with it, whether it has sent all of its body or not.
func TestWatchdogClientGone(t *testing.T) {
	log := &lines{}
	o := watchdogOf(t, []string{"exec_timeout=0", "read_timeout=0", "prefix_logs=0"}, "sh", "-c", "echo $$ >&2; sleep 100")
	o.Log = log
	_, direct := openWatchdog(t, o)
	for i, length := range []int{4, 10} {
		c, err := net.Dial("tcp", strings.TrimPrefix(direct, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: f\r\nContent-Length: %d\r\n\r\nsome", length)
		eventually(t, "the process runs", func() bool { return strings.Count(log.String(), "\n") > i })
		pid, err := strconv.Atoi(strings.Fields(log.String())[i])
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		eventually(t, fmt.Sprintf("process %d has ended, of a client that has sent 4 of %d bytes", pid, length), func() bool { return ended(pid) })
	}
}

// A client that is slow with its body is told so.
func TestWatchdogReadTimeout(t *testing.T) {
	for _, o := range []WatchdogOptions{watchdogOf(t, []string{"read_timeout=100ms"}, "cat"),
		watchdogOf(t, []string{"read_timeout=100ms", "mode=serializing"}, "cat"), serving(t, "read_timeout=100ms")} {
		_, direct := openWatchdog(t, o)
		c, err := net.Dial("tcp", strings.TrimPrefix(direct, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 10\r\n\r\n12345")
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		text, err := io.ReadAll(c)
		// What cat has already said is an answer, which then breaks off.
		if o.Mode != Streaming && (err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 408 ")) ||
			o.Mode == Streaming && (err != nil || strings.HasSuffix(string(text), "0\r\n\r\n")) {
			t.Errorf("%s: %q, %v", o.Mode, text, err)
		}
		eventually(t, o.Mode+": a body comes in time", func() bool {
			a, _, _ := ask(t, direct, "POST", "x")
			return a.StatusCode == 200
		})
	}
}

// An execution may take longer than its client may take to send the body and to take the answer, also on a connection
// that is kept. A client that is late since the machine is busy has more time for all of that.
func TestWatchdogTimesAreApart(t *testing.T) {
	for _, mode := range []string{Streaming, Serializing, HTTP} {
		for limit := 150 * time.Millisecond; ; limit *= 5 {
			variables := []string{"read_timeout=" + limit.String(), "write_timeout=" + limit.String(), "mode=" + mode}
			o := watchdogOf(t, variables, "sh", "-c", fmt.Sprintf("sleep %g; cat", 2*limit.Seconds()))
			if mode == HTTP {
				o = serving(t, variables[:2]...)
			}
			_, direct := openWatchdog(t, o)
			var said []string
			for range 2 {
				if a, text, _ := ask(t, fmt.Sprint(direct, "?sleep=", 2*limit), "POST", "x"); a.StatusCode != 200 || text == "" {
					said = append(said, fmt.Sprintf("%s %q", a.Status, text))
				}
			}
			if len(said) == 0 {
				break
			}
			if limit > 3*time.Second { // and twice that is not too long for exec_timeout
				t.Errorf("%s: %q", mode, said)
				break
			}
		}
	}
}

// What no process should be told is not told it, and headers cannot pass for what the watchdog says.
func TestWatchdogEnvironment(t *testing.T) {
	_, direct := openWatchdog(t, watchdogOf(t, []string{"mode=serializing"}, "env"))
	_, text, _ := ask(t, direct+"/a?b=c", "PUT", "x", "X_Call_Id", "spelt", "X-Call-Id", "good", "Method", "PATCH", "Query", "z", "Proxy", "http://evil/",
		"Bad$Name", "v")
	for _, want := range []string{"Http_X_Call_Id=good", "Http_Method=PUT", "Http_Path=/a", "Http_Query=b=c", "Http_Content_Length=1",
		"Http_ContentLength=1", "Http_Host=" + strings.TrimPrefix(direct, "http://")} {
		if strings.Count(text, want+"\n") != 1 {
			t.Errorf("%q is not there once:\n%s", want, text)
		}
	}
	for _, not := range []string{"spelt", "PATCH", "Http_Query=z", "evil", "Bad"} {
		if strings.Contains(text, not) {
			t.Errorf("%q is there:\n%s", not, text)
		}
	}
	if a, said, _ := ask(t, direct+"/a%00b", "GET", ""); a.StatusCode != 400 {
		t.Errorf("a path with a byte 0: %s %q", a.Status, said)
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(direct, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: f\r\nX-Bad: a\x00b\r\n\r\n")
	got := make([]byte, 12)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "HTTP/1.1 400" {
		t.Errorf("a header with a byte 0: %q, %v", got, err)
	}
	if a, said, _ := ask(t, direct, "GET", "", "X-Long", strings.Repeat("x", 200<<10)); a.StatusCode != 431 {
		t.Errorf("a header that no variable can hold: %s %.80q", a.Status, said)
	}
}

// The watchdog takes as many requests as it may, and no longer answer than it may keep; health and readiness say so.
func TestWatchdogLimits(t *testing.T) {
	d, direct := openWatchdog(t, watchdogOf(t, []string{"max_inflight=1"}, "cat"))
	body, toBody := io.Pipe()
	done := make(chan int)
	go func() {
		a, err := http.Post(direct, "", body)
		if err != nil {
			t.Error(err)
			a = &http.Response{Body: http.NoBody}
		}
		a.Body.Close()
		done <- a.StatusCode
	}()
	eventually(t, "the function is busy", func() bool { return d.inflight.Load() == 1 })
	for path, want := range map[string]int{"/": 429, "/_/ready": 429, "/_/health": 200, "/healthz": 200} {
		if a, text, _ := ask(t, direct+path, "GET", ""); a.StatusCode != want {
			t.Errorf("%s: %s %q, want %d", path, a.Status, text, want)
		}
	}
	toBody.Close()
	if s := <-done; s != 200 {
		t.Errorf("the request that was there first: %d", s)
	}
	eventually(t, "the function is free", func() bool { return d.inflight.Load() == 0 })
	for path, want := range map[string]int{"/": 200, "/_/ready": 200} {
		if a, _, _ := ask(t, direct+path, "GET", ""); a.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, a.Status, want)
		}
	}
	if a, _, _ := ask(t, direct+"/_/health", "POST", ""); a.StatusCode != 405 {
		t.Errorf("its health is answered to POST with %s", a.Status)
	}
	d.Drain()
	for _, path := range []string{"/_/ready", "/_/health"} {
		if a, _, _ := ask(t, direct+path, "GET", ""); a.StatusCode != 503 {
			t.Errorf("%s, when it is about to end: %s", path, a.Status)
		}
	}
	o := watchdogOf(t, []string{"mode=serializing"}, "cat")
	o.MaxAnswer = 1000
	_, direct = openWatchdog(t, o)
	if a, text, _ := ask(t, direct, "POST", strings.Repeat("x", 1001)); a.StatusCode != 500 || !strings.Contains(text, "longer than 1000 bytes") {
		t.Errorf("a long answer: %s %q", a.Status, text)
	}
	_, direct = openWatchdog(t, serving(t, "ready_path=/am/i"))
	if a, text, _ := ask(t, direct+"/_/ready", "GET", ""); a.StatusCode != 200 || !strings.HasPrefix(text, "GET /am/i ") {
		t.Errorf("with a path of its own: %s %q", a.Status, text)
	}
}

// What a process leaves behind is ended; what has left its group does not hold up the answer.
func TestWatchdogLeftBehind(t *testing.T) {
	_, direct := openWatchdog(t, watchdogOf(t, nil, "sh", "-c", "sleep 100 & echo $!"))
	_, text, took := ask(t, direct, "POST", "")
	pid, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || took > 30*time.Second {
		t.Fatalf("%q after %v: %v", text, took, err)
	}
	eventually(t, fmt.Sprintf("process %d has ended", pid), func() bool { return ended(pid) })
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip("this machine has no command setsid: the package util-linux brings it")
	}
	_, direct = openWatchdog(t, watchdogOf(t, nil, "sh", "-c", "setsid sleep 100 & echo $!"))
	_, text, took = ask(t, direct, "POST", "")
	if pid, err = strconv.Atoi(strings.TrimSpace(text)); err != nil || took > 30*time.Second {
		t.Fatalf("%q after %v: %v", text, took, err)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL) // it may not have left in time
}

// A process that does not come up, or ends, says why.
func TestWatchdogDeath(t *testing.T) {
	o := serving(t)
	o.Command = []string{os.Args[0], "dies"}
	_, err := OpenWatchdog(t.Context(), o)
	if err == nil {
		t.Fatal("it opens")
	}
	for _, words := range []string{"exit status 7", "it was", "it has no licence"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%q does not say %q", err, words)
		}
	}
	if _, err := OpenWatchdog(t.Context(), watchdogOf(t, nil, "/no/such/program")); err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("a program that is not there: %v", err)
	}
	d, direct := openWatchdog(t, serving(t))
	if a, _, _ := ask(t, direct+"?die", "POST", ""); a.StatusCode != 502 {
		t.Errorf("the request by which it dies: %s", a.Status)
	}
	<-d.Ended()
	if err := d.Death(); !strings.Contains(err.Error(), "exit status 3; it said last: goodbye") {
		t.Errorf("its death: %v", err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	o = serving(t)
	o.Upstream = &url.URL{Scheme: "http", Host: taken.Addr().String()}
	if _, err := OpenWatchdog(t.Context(), o); err == nil || !strings.Contains(err.Error(), "somebody else serves at") {
		t.Errorf("where somebody else serves: %v", err)
	}
}

// Lines of the log have a prefix, or none.
func TestWatchdogLog(t *testing.T) {
	for prefix, want := range map[string]string{"true": " stderr: said\n", "false": "said\n"} {
		log := &lines{}
		o := watchdogOf(t, []string{"prefix_logs=" + prefix}, "sh", "-c", "echo said >&2")
		o.Log = log
		_, direct := openWatchdog(t, o)
		ask(t, direct, "GET", "")
		eventually(t, "the line is there", func() bool { return strings.HasSuffix(log.String(), want) })
		if prefix == "false" && log.String() != want {
			t.Errorf("%q", log)
		}
	}
}

// All that is wrong with the variables is said at once.
func TestWatchdogVariables(t *testing.T) {
	_, err := ReadWatchdog(func(name string) string {
		return map[string]string{"mode": "static", "exec_timeout": "soon", "max_inflight": "-1", "prefix_logs": "perhaps", "jwt_auth": "true"}[name]
	}, nil)
	if err == nil {
		t.Fatal("they are taken")
	}
	for _, words := range []string{`mode is "static": there are streaming, serializing, http`, `exec_timeout is "soon"`, `max_inflight is "-1"`,
		`prefix_logs is "perhaps"`, "jwt_auth", "there is no program"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%q does not say %q", err, words)
		}
	}
	o := watchdogOf(t, []string{"fprocess=wc -c", "exec_timeout=7", "read_timeout=1m", "write_timeout=0"})
	if o.Mode != Streaming || strings.Join(o.Command, "|") != "wc|-c" || o.Exec != 7*time.Second || o.Read != time.Minute || o.Write != 0 {
		t.Errorf("%+v", o)
	}
	if o = watchdogOf(t, []string{"fprocess=wc -c"}, "cat"); o.Command[0] != "cat" {
		t.Errorf("%+v", o)
	}
}
