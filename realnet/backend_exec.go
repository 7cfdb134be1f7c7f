package realnet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Functions whose process the node itself starts.

// patience is what the process of a function is given.
type patience struct {
	start time.Duration // until it must answer
	end   time.Duration // to end when it is told to
	pause time.Duration // from its death to its restart, at first; doubled each time
}

const mostPause = time.Minute

const firstStarts = 3 // of a process that dies before it answers, each with another port

const mostRegaining = 4 // processes of a function that may compute on, of requests that nobody waits for

const (
	functionLine = 64 << 10               // bytes of a line that a process writes to the log
	lastWords    = 200 * time.Millisecond // for the log to take what a process that has ended had written
)

// instance is the process of a function. It is started again when it dies, but for one of a pool.
type instance struct {
	patience
	name    string
	command []string
	pooled  bool
	number  int                    // among those of its pool, from 0
	url     atomic.Pointer[string] // nil: it does not run
	life    context.Context
	die     context.CancelFunc
	ended   chan struct{}
}

// startInstance starts the process of a function and waits until it answers. Where ctx ends first, so does the process.
func startInstance(ctx context.Context, name string, command []string, p patience) (*instance, error) {
	i := &instance{patience: p, name: name, command: command, ended: make(chan struct{})}
	return i, i.open(ctx)
}

func (i *instance) open(ctx context.Context) error {
	i.life, i.die = context.WithCancel(context.Background())
	first := make(chan error, 1)
	go i.keep(first)
	var err error
	select {
	case err = <-first:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		i.close()
		return fmt.Errorf("function %s: %w", i.name, err)
	}
	return nil
}

func (i *instance) close() {
	i.die()
	<-i.ended
}

// at is where the process listens.
func (i *instance) at() (string, error) {
	if u := i.url.Load(); u != nil {
		return *u, nil
	}
	return "", fmt.Errorf("the process of function %s has ended, and is being started again", i.name)
}

// keep keeps the process running. Linux ends it with the thread that started it, which is therefore this one's own.
func (i *instance) keep(first chan<- error) {
	defer close(i.ended)
	runtime.LockOSThread()
	pause := i.pause
	for starts := 1; ; starts++ {
		began := time.Now()
		err := i.once(first)
		started := i.url.Swap(nil) != nil
		switch {
		case i.life.Err() != nil:
			return // who started it knows
		case first == nil || started:
		case starts < firstStarts && errors.As(err, new(*deathError)):
			slog.Warn("the process of a function has ended before it answered, and is started again: its port may have become another program's",
				"function", i.name, "error", err)
			continue
		default:
			first <- err
			return
		}
		if i.pooled {
			slog.Warn("a process of a function has ended", "function", i.name, "error", err)
			return
		}
		first = nil
		if time.Since(began) > time.Minute {
			pause = i.pause
		}
		slog.Error("the process of a function has ended, and is started again", "function", i.name, "in", pause, "error", err)
		select {
		case <-time.After(pause):
		case <-i.life.Done():
			return
		}
		pause = min(2*pause, mostPause)
	}
}

// once runs the process until it ends. It tells answered when it has answered.
func (i *instance) once(answered chan<- error) error {
	port, err := givenPorts.give()
	if err != nil {
		return err
	}
	defer givenPorts.back(port)
	words := make([]string, len(i.command))
	fill := strings.NewReplacer("{port}", strconv.Itoa(port), "{instance}", strconv.Itoa(i.number))
	for k, w := range i.command {
		words[k] = fill.Replace(w)
	}
	c := exec.Command(words[0], words[1:]...)
	c.Env = slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, TokenVariable+"=") }) // it is none of its business
	c.Env = append(c.Env, "PORT="+strconv.Itoa(port))
	OwnGroup(c, syscall.SIGTERM)
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	c.Stdout, c.Stderr = in, in
	began := time.Now()
	err = c.Start()
	in.Close() // the process has its own
	if err != nil {
		out.Close()
		return fmt.Errorf("%s cannot be started: %w", words[0], err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		i.log(out)
	}()
	died := make(chan error, 1)
	go func() {
		err := c.Wait()
		KillGroup(c) // what it has left behind
		select {
		case <-read:
		case <-time.After(lastWords): // what has left the group, too, has its output still open
			out.Close()
			<-read
		}
		died <- err
	}()
	url := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) + "/"
	healthy, stop := context.WithTimeout(i.life, i.start)
	defer stop()
	err = i.awaitHealth(healthy, url, died)
	if err == nil {
		slog.Info("a function has started", "function", i.name, "url", url, "after", time.Since(began).Round(time.Millisecond))
		i.url.Store(&url)
		if answered != nil {
			answered <- nil
		}
		select {
		case err = <-died:
			return errOr(err, errors.New("exit status 0"))
		case <-i.life.Done():
		}
	} else if d := new(deathError); errors.As(err, &d) {
		return d
	}
	_ = syscall.Kill(-c.Process.Pid, syscall.SIGTERM) // where that fails, it has ended
	select {
	case <-died:
	case <-time.After(i.end):
		KillGroup(c)
		<-died
	}
	return err
}

// deathError says that a process ended before it answered.
type deathError struct{ cause error }

func (e *deathError) Error() string { return fmt.Sprintf("it ended before it answered: %v", e.cause) }

// awaitHealth waits until a function answers at /healthz, with whatever status: then it serves HTTP. What answers where the process has
// died is another program, which has its port.
func (i *instance) awaitHealth(ctx context.Context, url string, died <-chan error) error {
	dead := func(err error) error { return &deathError{errOr(err, errors.New("exit status 0"))} }
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for began := time.Now(); ; {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"healthz", nil)
		if err != nil {
			return err
		}
		if a, err := client.Do(r); err == nil {
			a.Body.Close()
			select {
			case err := <-died:
				return dead(err)
			default:
				return nil
			}
		}
		select {
		case err := <-died:
			return dead(err)
		case <-ctx.Done():
			return fmt.Errorf("it does not answer at %s within %v: it must serve HTTP on the port of {port} or $PORT", url, i.start)
		case <-time.After(min(max(time.Since(began)/20, time.Millisecond), 10*time.Millisecond)): // a cold start is measured to 5 %
		}
	}
}

// pool are the processes of a function that come and go, as instances of a function do in simulation: each executes one
// request at a time; a request takes the one that became idle last or, where all are busy or starting, has one started, which
// is its cold start; and one that has been idle for long enough is ended.
type pool struct {
	patience
	name    string
	command []string
	keep    time.Duration

	mu     sync.Mutex
	idle   []*idleInstance // the longest first
	starts int
	closed bool
	life   context.Context
	die    context.CancelFunc
	ending sync.WaitGroup

	regaining int // processes that are to be idle again

	// After a start that failed: none is tried before, and how long after the next failure, and why.
	again time.Time
	wait  time.Duration
	why   error
}

// idleInstance is an instance that waits for a request, or for its end.
type idleInstance struct {
	*instance
	end *time.Timer
}

// newPool makes the pool of a function, without any process.
func newPool(name string, command []string, p patience, keep time.Duration) (*pool, error) {
	if _, err := exec.LookPath(command[0]); err != nil {
		return nil, fmt.Errorf("function %s: %s cannot be started: %w", name, command[0], err)
	}
	x := &pool{patience: p, name: name, command: command, keep: keep, wait: p.pause}
	x.life, x.die = context.WithCancel(context.Background())
	return x, nil
}

// take is a process for a request, to be given back. cold is how long its start took; 0: it was there.
func (p *pool) take(ctx context.Context) (i *instance, cold time.Duration, err error) {
	i, number, err := p.warm()
	if i != nil || err != nil {
		return i, 0, err
	}
	began := time.Now()
	i = &instance{patience: p.patience, name: p.name, command: p.command, pooled: true, number: number, ended: make(chan struct{})}
	err = i.open(ctx)
	cold = max(1, time.Since(began))
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		p.wait = p.pause
		return i, cold, nil
	case ctx.Err() == nil && !time.Now().Before(p.again): // one of several that fail at once counts
		p.again, p.why = time.Now().Add(p.wait), err
		slog.Error("a process of a function cannot be started, and is not tried again before", "function", p.name, "in", p.wait, "error", err)
		p.wait = min(2*p.wait, mostPause)
	}
	return nil, cold, err
}

// warm is the process that became idle last; nil: one is to be started, which has a number then, or, with an error, may not
// be yet.
func (p *pool) warm() (i *instance, number int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k := len(p.idle) - 1; k >= 0; k-- {
		x := p.idle[k]
		p.idle = p.idle[:k]
		x.end.Stop() // where it is too late for that, expire does not find it
		if _, err := x.at(); err == nil {
			return x.instance, 0, nil
		}
		p.ending.Go(x.close) // it has died
	}
	if wait := time.Until(p.again); wait > 0 {
		return nil, 0, fmt.Errorf("no process is started within %v: %w", wait.Round(time.Millisecond), p.why)
	}
	p.starts++
	return nil, p.starts - 1, nil
}

// give takes a process back. One that is not good any more is ended.
func (p *pool) give(i *instance, good bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !good || p.closed {
		p.ending.Go(i.close)
		return
	}
	x := &idleInstance{instance: i}
	x.end = time.AfterFunc(p.keep, func() { p.expire(x) })
	p.idle = append(p.idle, x)
}

// regain takes a process back whose request ended for its client's reasons, and which may compute on. It is idle when it answers
// again, as at its start: one that executes one request after the other does when it is done. Where that takes longer than a start
// may, it is ended; so it is at once where mostRegaining are waited for already: their slots are free, and those who give up
// would have ever more processes started.
func (p *pool) regain(i *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.regaining == mostRegaining {
		p.ending.Go(i.close)
		return
	}
	p.regaining++
	p.ending.Go(func() {
		ctx, cancel := context.WithTimeout(p.life, p.start)
		defer cancel()
		url, err := i.at()
		if err == nil {
			err = i.awaitHealth(ctx, url, nil)
		}
		p.mu.Lock()
		p.regaining--
		p.mu.Unlock()
		p.give(i, err == nil)
	})
}

// expire ends a process that has been idle for long enough.
func (p *pool) expire(x *idleInstance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := slices.Index(p.idle, x); k >= 0 {
		p.idle = slices.Delete(p.idle, k, k+1)
		p.ending.Go(x.close)
	}
}

// close ends what is idle, when no request has any process.
func (p *pool) close() {
	p.die()
	p.mu.Lock()
	p.closed = true
	for _, x := range p.idle {
		x.end.Stop()
		p.ending.Go(x.close)
	}
	p.idle = nil
	p.mu.Unlock()
	p.ending.Wait()
}

// log writes what the process says to the node's log.
func (i *instance) log(out io.ReadCloser) {
	defer out.Close()
	lines := bufio.NewReaderSize(out, functionLine)
	for {
		line, _, err := lines.ReadLine() // longer ones in pieces
		if err != nil {
			return
		}
		slog.Info("a function says", "function", i.name, "line", string(line))
	}
}

// ports are those of loopback that this process has given to those of functions. Each must be let go before who gets it can listen there, and
// until then anybody may take it, and answer in the function's place. So no two functions of this process get the same, and all get those that
// Linux gives to nobody who asks for any port, as long as there are such; one after the other, so that processes that begin at different ones
// stay apart.
type ports struct {
	mu    sync.Mutex
	given map[int]bool
	next  int
}

const (
	quietPorts = 61_000 // from there on they are beyond net.ipv4.ip_local_port_range
	quietTries = 100    // then any is good
)

// Nodes of one machine that are started together have process ids that are close together: their ports are not.
var givenPorts = ports{given: map[int]bool{}, next: 37 * os.Getpid()}

// give is a port where nobody listens, and which nobody else is given until it is back.
func (p *ports) give() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for tries := 0; ; tries++ {
		wanted := 0 // any
		if tries < quietTries {
			wanted = quietPorts + p.next%(1<<16-quietPorts)
			p.next++
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(wanted)))
		switch {
		case err == nil:
			defer l.Close() // when another one has been found
			if port := l.Addr().(*net.TCPAddr).Port; !p.given[port] {
				p.given[port] = true
				return port, nil
			}
		case wanted == 0:
			return 0, err
		}
	}
}

func (p *ports) back(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.given, port)
}
