package function

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet"
)

// A program as a function, as OpenFaaS's of-watchdog makes it one: the variables, paths and headers are those that
// https://github.com/openfaas/of-watchdog documents.

// The modes of a watchdog.
const (
	Streaming   = "streaming"   // a process per request; what it writes is the answer, as it writes it
	Serializing = "serializing" // a process per request; what it has written is the answer, if it ends well
	HTTP        = "http"        // one process that serves HTTP; requests are passed on to it
)

var watchdogModes = []string{Streaming, Serializing, HTTP}

// WatchdogOptions are what a watchdog is made of.
type WatchdogOptions struct {
	Mode        string
	Command     []string      // the process
	Upstream    *url.URL      // where that of HTTP serves
	Exec        time.Duration // that a request may take; 0: as long as its client waits
	Read        time.Duration // for a client to send the body of a request; 0: as long as it takes
	Write       time.Duration // for a client to take the answer, from its beginning; 0: as long as it takes
	Health      time.Duration // between two questions after the watchdog's health by whoever sends it requests
	MaxInflight int           // requests at once; 0: any number
	MaxAnswer   int64         // bytes of an answer, of Serializing
	ContentType string        // of the answers, but of HTTP
	ReadyPath   string        // path of the process that says whether it is ready; empty: the watchdog says
	Prefix      bool          // lines of the log say when they were written, and where
	Log         io.Writer     // takes what processes write, but for answers
}

// ReadWatchdog reads the options from variables, and reports all that is wrong with them. A command comes before the
// variable fprocess.
func ReadWatchdog(variable func(string) string, command []string) (WatchdogOptions, error) {
	first := func(names ...string) (name, value string) {
		for _, name := range names {
			if value := variable(name); value != "" {
				return name, value
			}
		}
		return names[0], ""
	}
	var problems []error
	wrong := func(name, value, say string) {
		problems = append(problems, fmt.Errorf("the variable %s is %q: %s", name, value, say))
	}
	span := func(name string, otherwise time.Duration) time.Duration {
		text := variable(name)
		if text == "" {
			return otherwise
		}
		d, err := time.ParseDuration(text)
		if _, plain := strconv.Atoi(text); plain == nil {
			d, err = time.ParseDuration(text + "s")
		}
		if err != nil || d < 0 {
			wrong(name, text, "write a duration, as in 10s, or a number of seconds")
		}
		return d
	}
	truth := func(name string, otherwise bool) bool {
		switch text := variable(name); text {
		case "":
			return otherwise
		case "true", "1":
			return true
		case "false", "0":
			return false
		default:
			wrong(name, text, "write true or false")
			return otherwise
		}
	}
	o := WatchdogOptions{Mode: variable("mode"), Command: command, Exec: span("exec_timeout", 10*time.Second),
		Read: span("read_timeout", 10*time.Second), Write: span("write_timeout", 10*time.Second), Health: span("healthcheck_interval", 0),
		ContentType: variable("content_type"), ReadyPath: variable("ready_path"), Prefix: truth("prefix_logs", true)}
	switch {
	case o.Mode == "":
		o.Mode = Streaming
	case !slices.Contains(watchdogModes, o.Mode):
		wrong("mode", o.Mode, "there are "+strings.Join(watchdogModes, ", "))
	}
	if len(o.Command) == 0 {
		_, text := first("fprocess", "function_process")
		o.Command = strings.Fields(text)
	}
	if len(o.Command) == 0 {
		problems = append(problems, errors.New("there is no program: write it after --, as in -- cat, or in the variable fprocess"))
	}
	if name, text := first("upstream_url", "http_upstream_url"); o.Mode == HTTP {
		if text == "" {
			text = "http://127.0.0.1:5000"
		}
		u, err := url.Parse(text)
		if o.Upstream = u; err != nil || u.Scheme != "http" || u.Hostname() == "" {
			wrong(name, text, "write the URL where the process serves HTTP, as in http://127.0.0.1:5000")
		}
	}
	if text := variable("max_inflight"); text != "" {
		var err error
		if o.MaxInflight, err = strconv.Atoi(text); err != nil || o.MaxInflight < 0 {
			wrong("max_inflight", text, "write a number from 0, which is no limit")
		}
	}
	if o.ContentType == "" {
		o.ContentType = "application/octet-stream"
	}
	if truth("jwt_auth", false) {
		wrong("jwt_auth", variable("jwt_auth"), "this watchdog lets everybody in: leave the variable out, and let nobody reach it who may not")
	}
	return o, errors.Join(problems...)
}

const (
	watchdogLine = 64 << 10               // bytes of a line of the log; longer ones come in pieces
	afterwards   = 200 * time.Millisecond // for what a process that has ended had written, where others keep its output open
)

// Watchdog makes a program a function. It serves its function at every path but the health's.
type Watchdog struct {
	WatchdogOptions
	function http.Handler
	inflight atomic.Int64
	draining atomic.Bool
	logging  sync.Mutex
	errors   *watchdogLog  // what processes write to stderr
	output   *watchdogLog  // and to stdout, of HTTP
	server   *exec.Cmd     // the process of HTTP
	ended    chan struct{} // is closed when it has ended
	death    error         // how it ended
}

// OpenWatchdog starts a watchdog. In mode HTTP that is to start the process and to wait until it takes connections, as
// long as ctx. Close ends it.
func OpenWatchdog(ctx context.Context, o WatchdogOptions) (_ *Watchdog, err error) {
	d := &Watchdog{WatchdogOptions: o, ended: make(chan struct{})}
	if d.errors, err = d.openLog("stderr: "); err != nil {
		return nil, err
	}
	d.function = http.HandlerFunc(d.fork)
	if o.Mode != HTTP {
		if _, err := exec.LookPath(o.Command[0]); err != nil {
			d.errors.close()
			return nil, fmt.Errorf("the program of the function cannot be started: %w", err)
		}
		return d, nil
	}
	d.function = d.proxy()
	if d.output, err = d.openLog("stdout: "); err != nil {
		d.errors.close()
		return nil, err
	}
	if err := d.serve(ctx); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Ended is closed when the process of mode HTTP has ended.
func (d *Watchdog) Ended() <-chan struct{} { return d.ended }

// Death is how it ended, once Ended is closed.
func (d *Watchdog) Death() error { return d.death }

// Drain has the watchdog say that it is not well, so that it gets no more requests.
func (d *Watchdog) Drain() { d.draining.Store(true) }

// Close ends what is left of the processes.
func (d *Watchdog) Close() {
	if d.server != nil && d.server.Process != nil {
		_ = syscall.Kill(-d.server.Process.Pid, syscall.SIGTERM) // where that fails, it has ended
		select {
		case <-d.ended:
		case <-time.After(2 * time.Second):
			realnet.KillGroup(d.server)
			<-d.ended
		}
	}
	d.errors.close()
	if d.output != nil {
		d.output.close()
	}
}

// ServeHTTP implements http.Handler.
func (d *Watchdog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	connection := http.NewResponseController(w)  // no server of ours lacks what it does
	_ = connection.EnableFullDuplex()            // a function may answer before it has read all
	_ = connection.SetWriteDeadline(time.Time{}) // that of the request before
	switch r.URL.Path {
	case "/_/health", "/healthz": // the latter is where nodes ask
		d.health(w, r, false)
		return
	case "/_/ready":
		if d.ReadyPath == "" || d.draining.Load() {
			d.health(w, r, true)
			return
		}
		r.URL.Path, r.URL.RawPath = d.ReadyPath, ""
	}
	defer d.inflight.Add(-1)
	if n := d.inflight.Add(1); d.MaxInflight > 0 && n > int64(d.MaxInflight) {
		http.Error(w, fmt.Sprintf("the function has %d requests in hand, and takes no more", d.MaxInflight), http.StatusTooManyRequests)
		return
	}
	if d.Read > 0 && r.ContentLength != 0 {
		b := &timelyBody{ReadCloser: r.Body, connection: connection, deadline: time.Now().Add(d.Read)}
		_ = connection.SetReadDeadline(b.deadline)
		r.Body = b
	}
	d.function.ServeHTTP(w, r)
}

// timelyBody is a body that has to come in time. When it has, there is no deadline any more: net/http goes on reading, to
// know whether the client is still there.
type timelyBody struct {
	io.ReadCloser
	connection *http.ResponseController
	deadline   time.Time
	whole      atomic.Bool
}

// Read implements io.Reader.
func (b *timelyBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.whole.Store(true)
		_ = b.connection.SetReadDeadline(time.Time{})
	}
	return n, err
}

// late reports whether the body of r has not come in time. For net/http its client has gone then.
func late(r *http.Request) bool {
	b, ok := r.Body.(*timelyBody)
	return ok && !b.whole.Load() && !time.Now().Before(b.deadline)
}

// health says whether the function is there and, where that is asked, whether it takes a request now.
func (d *Watchdog) health(w http.ResponseWriter, r *http.Request, ready bool) {
	switch {
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "ask with GET", http.StatusMethodNotAllowed)
	case d.draining.Load():
		http.Error(w, "the function is about to end", http.StatusServiceUnavailable)
	case ready && d.MaxInflight > 0 && d.inflight.Load() >= int64(d.MaxInflight):
		http.Error(w, "the function has as many requests in hand as it takes", http.StatusTooManyRequests)
	default:
		fmt.Fprintln(w, "OK")
	}
}

// failure is why a request has no answer of the function.
type failure struct {
	status int
	says   string
}

// Error implements error.
func (f *failure) Error() string { return f.says }

// causeOf is why the context of a request has ended; nil: it has not.
func (d *Watchdog) causeOf(ctx context.Context, r *http.Request) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, context.Canceled) && late(r) {
		return &failure{http.StatusRequestTimeout, fmt.Sprintf("the body of the request has not come within %v (read_timeout)", d.Read)}
	}
	return cause
}

// limited is the context of a request, bounded by the time that it may take.
func (d *Watchdog) limited(r *http.Request) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(r.Context())
	if d.Exec == 0 {
		return ctx, cancel
	}
	limited, stop := context.WithTimeoutCause(ctx, d.Exec,
		&failure{http.StatusGatewayTimeout, fmt.Sprintf("the function has not answered within %v (exec_timeout)", d.Exec)})
	return limited, func(cause error) {
		cancel(cause)
		stop()
	}
}

// begin is called before the first byte of an answer.
func (d *Watchdog) begin(w http.ResponseWriter) {
	if d.Write > 0 {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d.Write))
	}
}

// fail answers with why there is no answer.
func (d *Watchdog) fail(w http.ResponseWriter, err error, otherwise int) {
	if f := (*failure)(nil); errors.As(err, &f) {
		otherwise = f.status
	}
	w.Header().Set("Connection", "close") // of the body something may be left, which nobody reads
	d.begin(w)
	http.Error(w, err.Error(), otherwise)
}

const durationHeader = "X-Duration-Seconds"

func took(began time.Time) string {
	return strconv.FormatFloat(time.Since(began).Seconds(), 'f', 6, 64)
}

// A process per request.

// fork executes a request in a process of its own.
func (d *Watchdog) fork(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	if strings.ContainsRune(r.URL.Path, 0) {
		http.Error(w, "the path has a byte 0, which no variable can hold", http.StatusBadRequest)
		return
	}
	ctx, cancel := d.limited(r)
	defer cancel(nil)
	a := &forkedAnswer{watchdog: d, to: w}
	err := d.execute(ctx, cancel, r, a)
	if errors.Is(err, context.Canceled) {
		panic(http.ErrAbortHandler) // nobody listens
	}
	if e := (*exec.ExitError)(nil); errors.As(err, &e) {
		slog.Warn("a process of the function has ended with an error", "path", r.URL.Path, "error", err)
		if d.Mode == Streaming && e.Exited() { // not by a signal
			err = nil // what it has written is the answer
		}
	}
	if err != nil {
		if a.begun {
			panic(http.ErrAbortHandler) // so that the client knows that the answer is not whole
		}
		w.Header().Set(durationHeader, took(began))
		d.fail(w, err, http.StatusInternalServerError)
		return
	}
	w.Header().Set(durationHeader, took(began)) // where the answer has begun: a trailer
	if !a.begun {
		w.Header().Set("Content-Type", d.ContentType)
		w.Header().Set("Content-Length", strconv.Itoa(a.kept.Len()))
		d.begin(w)
		_, _ = w.Write(a.kept.Bytes()) // where that fails, the client has gone
	}
}

// forkedAnswer takes what a process writes.
type forkedAnswer struct {
	watchdog *Watchdog
	to       http.ResponseWriter
	begun    bool
	kept     bytes.Buffer // of Serializing
}

// Write implements io.Writer.
func (a *forkedAnswer) Write(p []byte) (int, error) {
	d := a.watchdog
	if d.Mode == Serializing {
		if int64(a.kept.Len()+len(p)) > d.MaxAnswer {
			return 0, &failure{http.StatusInternalServerError, fmt.Sprintf("the answer of the function is longer than %d bytes", d.MaxAnswer)}
		}
		return a.kept.Write(p)
	}
	if !a.begun {
		a.begun = true
		a.to.Header().Set("Content-Type", d.ContentType)
		a.to.Header().Set("Trailer", durationHeader)
		d.begin(a.to)
	}
	n, err := a.to.Write(p)
	if err == nil {
		err = http.NewResponseController(a.to).Flush()
	}
	return n, err
}

// execute runs the process of a request, and returns when it has ended with all that it has started. kill ends it before;
// then the error is why.
func (d *Watchdog) execute(ctx context.Context, kill context.CancelCauseFunc, r *http.Request, answer *forkedAnswer) error {
	in, toIn, err := os.Pipe()
	if err != nil {
		return err
	}
	fromOut, out, err := os.Pipe()
	if err != nil {
		return errors.Join(err, in.Close(), toIn.Close())
	}
	defer fromOut.Close()
	c := exec.Command(d.Command[0], d.Command[1:]...)
	c.Stdin, c.Stdout, c.Stderr, c.Env = in, out, d.errors.in, forkEnvironment(r)
	realnet.OwnGroup(c, syscall.SIGKILL)
	err = c.Start()
	in.Close()
	out.Close()
	if err != nil {
		toIn.Close()
		if errors.Is(err, syscall.E2BIG) {
			return &failure{http.StatusRequestHeaderFieldsTooLarge, "the headers of the request are longer than variables of a process may be"}
		}
		return fmt.Errorf("the process of the function cannot be started: %w", err)
	}
	fed := make(chan struct{})
	go func() {
		defer toIn.Close() // after fed: most processes end by that
		defer close(fed)
		if _, err := io.Copy(toIn, r.Body); err != nil && !errors.Is(err, syscall.EPIPE) { // not all processes read all of it
			kill(&failure{http.StatusBadRequest, fmt.Sprintf("the body of the request breaks off: %v", err)})
		}
	}()
	unwatch := context.AfterFunc(ctx, func() { realnet.KillGroup(c) })
	p := &forkedOutput{file: fromOut}
	ended := make(chan error, 1)
	go func() {
		err := c.Wait()
		realnet.KillGroup(c) // what it has left behind
		reapGroup(c)
		p.end()
		ended <- err
	}()
	if _, err = io.Copy(answer, p); err != nil {
		kill(err)
	}
	err = <-ended
	unwatch()
	if cause := d.causeOf(ctx, r); cause != nil {
		err = cause
	}
	select {
	case <-fed:
	default: // for what is left of the body nobody waits, and the connection is of no further use
		answer.to.Header().Set("Connection", "close")
		_ = http.NewResponseController(answer.to).SetReadDeadline(time.Now())
		_ = toIn.SetWriteDeadline(time.Now()) // what has left the group may have the other end
		<-fed
	}
	return err
}

// forkedOutput is what a process writes to stdout. It ends when all have closed that who have it, or a little after the
// process: what left its group may have it still, but is not it.
type forkedOutput struct {
	file *os.File
	dead atomic.Bool
}

func (p *forkedOutput) end() {
	p.dead.Store(true)
	p.extend()
}

func (p *forkedOutput) extend() { _ = p.file.SetReadDeadline(time.Now().Add(afterwards)) } // pipes have one

// Read implements io.Reader.
func (p *forkedOutput) Read(b []byte) (int, error) {
	if p.dead.Load() {
		p.extend() // the client may have been slow to take what was before
	}
	n, err := p.file.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = io.EOF
	}
	return n, err
}

// reapGroup buries what is left of a killed group where this process is its parent now, as process 1 of a container is.
func reapGroup(c *exec.Cmd) {
	for {
		if _, err := syscall.Wait4(-c.Process.Pid, nil, 0, nil); err != nil && !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}

// forkEnvironment is the environment of a process for a request. No header can take the place of what the watchdog says:
// exec takes the last value of a name.
func forkEnvironment(r *http.Request) []string {
	env := os.Environ()
	for name, values := range r.Header {
		// An underscore would be another spelling of a dash; Http_Proxy means something else to programs (httpoxy).
		if strings.IndexFunc(name, notPlain) < 0 && name != "Proxy" {
			env = append(env, "Http_"+strings.ReplaceAll(name, "-", "_")+"="+strings.Join(values, ", "))
		}
	}
	length := ""
	if r.ContentLength >= 0 {
		length = strconv.FormatInt(r.ContentLength, 10)
	}
	return append(env, "Http_Method="+r.Method, "Http_Path="+r.URL.Path, "Http_Query="+r.URL.RawQuery, "Http_Host="+r.Host,
		"Http_Content_Length="+length, "Http_ContentLength="+length, "Http_Transfer_Encoding="+strings.Join(r.TransferEncoding, ", "))
}

func notPlain(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-')
}

// One process that serves HTTP.

// serve starts the process and waits until it takes connections.
func (d *Watchdog) serve(ctx context.Context) error {
	port := d.Upstream.Port()
	if port == "" {
		port = "80"
	}
	at := net.JoinHostPort(d.Upstream.Hostname(), port)
	if l, err := net.DialTimeout("tcp", at, time.Second); err == nil {
		l.Close()
		return fmt.Errorf("somebody else serves at %s: write another address, where the process listens, in the variable upstream_url", at)
	}
	c := exec.Command(d.Command[0], d.Command[1:]...)
	c.Env = append(os.Environ(), "PORT="+port) // that of the watchdog would not do
	c.Stdout, c.Stderr = d.output.in, d.errors.in
	realnet.OwnGroup(c, syscall.SIGKILL)
	if err := c.Start(); err != nil {
		return fmt.Errorf("the program of the function cannot be started: %w", err)
	}
	d.server = c
	go func() {
		err := c.Wait()
		if err == nil {
			err = errors.New("exit status 0")
		}
		realnet.KillGroup(c)
		reapGroup(c)
		d.death = fmt.Errorf("the process of the function has ended: %w%s", err, d.lastWords())
		close(d.ended)
	}()
	tell := time.NewTicker(10 * time.Second)
	defer tell.Stop()
	for dialer := (net.Dialer{Timeout: time.Second}); ; {
		if l, err := dialer.DialContext(ctx, "tcp", at); err == nil {
			return l.Close()
		}
		select {
		case <-d.ended:
			return d.death
		case <-ctx.Done():
			return ctx.Err()
		case <-tell.C:
			slog.Warn("the process of the function does not listen yet", "at", at)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// lastWords are what the process wrote last.
func (d *Watchdog) lastWords() string {
	time.Sleep(afterwards / 4) // for the logs to take them
	said := slices.Concat(d.output.last(), d.errors.last())
	if len(said) == 0 {
		return ""
	}
	return "; it said last: " + strings.Join(said, " | ")
}

// proxy passes requests on to the process.
func (d *Watchdog) proxy() http.Handler {
	type request struct { // as it came; also the key of the context that has it
		*http.Request
		began time.Time
	}
	of := func(r *http.Request) request { return r.Context().Value(request{}).(request) }
	p := &httputil.ReverseProxy{
		FlushInterval: -1,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Second, DisableCompression: true},
		Rewrite: func(q *httputil.ProxyRequest) {
			q.SetURL(d.Upstream)
			q.Out.Host = q.In.Host
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				if said := q.In.Header[name]; said != nil {
					q.Out.Header[name] = said
				}
			}
			if q.Out.Body == nil {
				q.Out.Body = io.NopCloser(strings.NewReader("")) // nil could be repeated, and the function run twice
			}
		},
		ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
	p.ModifyResponse = func(a *http.Response) error {
		a.Header.Set(durationHeader, took(of(a.Request).began))
		return nil
	}
	p.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
		if cause := d.causeOf(r.Context(), of(r).Request); cause != nil {
			err = cause
		} else {
			err = fmt.Errorf("calling the process of the function: %w", err)
		}
		w.Header().Set(durationHeader, took(of(r).began))
		d.fail(w, err, http.StatusBadGateway)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := d.limited(r)
		defer cancel(nil)
		p.ServeHTTP(&proxiedAnswer{ResponseWriter: w, watchdog: d}, r.WithContext(context.WithValue(ctx, request{}, request{r, time.Now()})))
	})
}

// proxiedAnswer notes when an answer begins.
type proxiedAnswer struct {
	http.ResponseWriter
	watchdog *Watchdog
}

// WriteHeader implements http.ResponseWriter.
func (a *proxiedAnswer) WriteHeader(status int) {
	a.watchdog.begin(a.ResponseWriter)
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (a *proxiedAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// What processes say.

// watchdogLog takes the lines that processes write to one of their outputs.
type watchdogLog struct {
	in, out *os.File // of a pipe: processes write to in themselves
	mu      sync.Mutex
	lines   []string // the last ones
}

func (d *Watchdog) openLog(where string) (*watchdogLog, error) {
	l := &watchdogLog{}
	var err error
	if l.out, l.in, err = os.Pipe(); err != nil {
		return nil, err
	}
	go func() {
		lines := bufio.NewReaderSize(l.out, watchdogLine)
		for {
			line, _, err := lines.ReadLine()
			if err != nil {
				return
			}
			l.keep(string(line))
			prefix := ""
			if d.Prefix {
				prefix = time.Now().Format("2006/01/02 15:04:05 ") + where
			}
			d.logging.Lock()
			fmt.Fprintf(d.Log, "%s%s\n", prefix, line)
			d.logging.Unlock()
		}
	}()
	return l, nil
}

func (l *watchdogLog) keep(line string) {
	const most, longest = 3, 500
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line[:min(len(line), longest)])
	l.lines = l.lines[max(0, len(l.lines)-most):]
}

func (l *watchdogLog) last() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

// close ends the log: processes that outlive their watchdog have none.
func (l *watchdogLog) close() {
	l.in.Close()
	_ = l.out.SetReadDeadline(time.Now().Add(afterwards / 4)) // for what is still in it
}
