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
	"strconv"
	"strings"
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

const (
	functionLine = 64 << 10               // bytes of a line that a process writes to the log
	lastWords    = 200 * time.Millisecond // for the log to take what a process that has ended had written
)

// instance is the process of a function. It is started again when it dies.
type instance struct {
	patience
	name    string
	command []string
	url     atomic.Pointer[string] // nil: it does not run
	life    context.Context
	die     context.CancelFunc
	ended   chan struct{}
}

// startInstance starts the process of a function and waits until it answers.
func startInstance(name string, command []string, p patience) (*instance, error) {
	i := &instance{patience: p, name: name, command: command, ended: make(chan struct{})}
	i.life, i.die = context.WithCancel(context.Background())
	first := make(chan error, 1)
	go i.keep(first)
	if err := <-first; err != nil {
		i.close()
		return nil, fmt.Errorf("function %s: %w", name, err)
	}
	return i, nil
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
	for {
		began := time.Now()
		err := i.once(first)
		started := i.url.Swap(nil) != nil
		if i.life.Err() != nil || first != nil && !started {
			return // who started it has been told
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
		pause = min(2*pause, time.Minute)
	}
}

// once runs the process until it ends. What it says to first is whether it has answered.
func (i *instance) once(first chan<- error) (err error) {
	tell := func(err error) {
		if first != nil {
			first <- err
			first = nil
		}
	}
	defer func() { tell(err) }()
	port, err := freePort()
	if err != nil {
		return err
	}
	words := make([]string, len(i.command))
	for k, w := range i.command {
		words[k] = strings.ReplaceAll(w, "{port}", strconv.Itoa(port))
	}
	c := exec.Command(words[0], words[1:]...)
	c.Env = append(os.Environ(), "PORT="+strconv.Itoa(port))
	ownGroup(c)
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
		killGroup(c) // what it has left behind
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
		tell(nil)
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
		killGroup(c)
		<-died
	}
	return err
}

// deathError says that a process ended before it answered.
type deathError struct{ cause error }

func (e *deathError) Error() string { return fmt.Sprintf("it ended before it answered: %v", e.cause) }

// awaitHealth waits until a function answers at /healthz, with whatever status: then it serves HTTP.
func (i *instance) awaitHealth(ctx context.Context, url string, died <-chan error) error {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"healthz", nil)
		if err != nil {
			return err
		}
		if a, err := client.Do(r); err == nil {
			a.Body.Close()
			return nil
		}
		select {
		case err := <-died:
			return &deathError{errOr(err, errors.New("exit status 0"))}
		case <-ctx.Done():
			return fmt.Errorf("it does not answer at %s within %v: it must serve HTTP on the port of {port} or $PORT", url, i.start)
		case <-time.After(10 * time.Millisecond):
		}
	}
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

// freePort is a port of loopback where nobody listens.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
