// Command flood measures what a node does that holds thousands of connections and gets ten times the requests that it can serve:
// how fast it rejects, what it goes on serving, and how soon it is itself again. Run it with make flood.
//
// The node is a process of its own, with four slots for a function that sleeps for 20 ms: 200 requests per second. Requests come as a
// Poisson process whatever becomes of them, each on the connection that has been idle for longest, and their times count from when
// they were due.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet/precise"
)

const (
	service  = 20 * time.Millisecond
	slots    = 4
	capacity = float64(slots) / 0.02 // requests per second

	mostRejection = 20 * time.Millisecond // 99 of 100 rejections
	leastServed   = 0.95                  // in the flood, of what is served where half as many requests again come as can be served
	mostRecovery  = 2 * time.Second
	window        = 200 * time.Millisecond // in which a node is looked at that recovers
)

func main() {
	node := flag.String("node", "./p2pfaas", "the program")
	address := flag.String("address", "127.0.0.1:18080", "of the node's scheduler, on loopback")
	connections := flag.Int("connections", 10_000, "open connections")
	times := flag.Float64("times", 10, "requests in the flood, in multiples of the capacity")
	long := flag.Duration("time", 15*time.Second, "length of the flood")
	flag.Parse()
	if err := run(*node, *address, *connections, *times, *long); err != nil {
		fmt.Fprintln(os.Stderr, "flood:", err)
		os.Exit(1)
	}
}

func run(program, address string, connections int, times float64, long time.Duration) (err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	node := exec.Command(program, "node", "--bind", host, "--scheduler-port", port, "--services", "scheduler", "--peers", "",
		"--slots", strconv.Itoa(slots), "--queue", "4", "--scheduler", "NoScheduler false", "--function", "f=sleep:"+service.String(),
		"--max-connections", strconv.Itoa(connections+100), "--log-level", "error")
	node.Stderr = os.Stderr
	if err := node.Start(); err != nil {
		return fmt.Errorf("starting the node: %w", err)
	}
	defer func() {
		err = errors.Join(err, node.Process.Signal(syscall.SIGTERM), node.Wait())
	}()
	c := &clients{address: address, clock: precise.New(), rand: rand.New(rand.NewPCG(1, 1))}
	defer c.clock.Close()
	if err := c.connect(connections); err != nil {
		return err
	}
	defer c.close()
	fmt.Printf("%d connections are open; the node can serve %.0f requests/s\n\n", connections, capacity)

	ordinary := capacity / 2
	at := time.Now()
	before := c.send(at, ordinary, 4*time.Second)
	full := c.send(at.Add(4*time.Second), capacity*1.5, 4*time.Second)
	flood := c.send(at.Add(8*time.Second), capacity*times, long)
	after := c.send(at.Add(8*time.Second+long), ordinary, 4*time.Second) // what is left of the flood is still there
	for _, p := range []*phase{before, full, flood, after} {
		p.open.Wait()
	}
	fmt.Printf("%-8s%10s%12s%12s%14s%14s%16s%16s\n", "", "requests", "answered/s", "rejected/s", "answer p50", "answer p99", "rejection p50", "rejection p99")
	for _, x := range []struct {
		name string
		sent []sent
	}{{"before", before.sent}, {"full", full.sent}, {"flood", flood.sent}, {"after", after.sent}} {
		show(x.name, x.sent)
	}
	normal := settled(before.sent, after.sent) + window
	memory, err := peak(node.Process.Pid)
	if err != nil {
		return err
	}
	fmt.Printf("\nnormal again within %v of the end of the flood; the node's peak memory is %d MB\n", normal, memory>>20)
	return judge(full.sent, flood.sent, normal)
}

// judge reports which bounds were not kept.
func judge(full, flood []sent, normal time.Duration) error {
	var problems []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	ok, no, span := split(flood)
	wrong(len(ok)+len(no) < len(flood), "%d requests of %d were not answered", len(flood)-len(ok)-len(no), len(flood))
	wrong(quantile(no, 0.99) >= mostRejection, "99 %% of the rejections within %v: at most %v", quantile(no, 0.99), mostRejection)
	served := float64(len(ok)) / span.Seconds()
	ok, _, span = split(full)
	can := float64(len(ok)) / span.Seconds()
	wrong(served < leastServed*can, "%.0f requests/s were served: at least %.0f", served, leastServed*can)
	wrong(normal > mostRecovery, "normal again after %v: at most %v", normal, mostRecovery)
	return errors.Join(problems...)
}

// sent is a request and what became of it.
type sent struct {
	due    time.Duration // from the begin of its phase
	took   time.Duration
	status int // 0: it was not answered
}

// split are the times of answers and of rejections, and how long the phase was.
func split(all []sent) (answered, rejected []time.Duration, span time.Duration) {
	for _, x := range all {
		span = max(span, x.due)
		switch {
		case x.status == http.StatusOK:
			answered = append(answered, x.took)
		case x.status != 0:
			rejected = append(rejected, x.took)
		}
	}
	return answered, rejected, span
}

func show(name string, all []sent) {
	ok, no, span := split(all)
	fmt.Printf("%-8s%10d%12.1f%12.1f%14v%14v%16v%16v\n", name, len(all), float64(len(ok))/span.Seconds(), float64(len(no))/span.Seconds(),
		quantile(ok, 0.5), quantile(ok, 0.99), quantile(no, 0.5), quantile(no, 0.99))
}

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[int(q*float64(len(d)-1))].Round(10 * time.Microsecond)
}

// settled is when the node was itself again: from then on, in every fifth of a second, half of the answers take no longer than a
// quarter more than half of them did before the flood, and at most one request in ten is rejected beyond the share that was then.
func settled(before, after []sent) time.Duration {
	ok, no, _ := split(before)
	most := quantile(ok, 0.5) * 5 / 4
	share := 0.1 + float64(len(no))/float64(len(before))
	last := time.Duration(0)
	for at := time.Duration(0); at < 4*time.Second; at += window {
		var in []sent
		for _, x := range after {
			if x.due >= at && x.due < at+window {
				in = append(in, x)
			}
		}
		ok, _, _ := split(in)
		if quantile(ok, 0.5) > most || float64(len(in)-len(ok)) > share*float64(len(in)) {
			last = at + window
		}
	}
	return last
}

// clients hold the connections.
type clients struct {
	address string
	clock   *precise.Clock
	rand    *rand.Rand
	idle    chan *connection
}

type connection struct {
	net.Conn
	answers *bufio.Reader
}

func (c *clients) connect(n int) error {
	c.idle = make(chan *connection, n)
	for deadline := time.Now().Add(time.Minute); len(c.idle) < n; {
		x, err := net.DialTimeout("tcp", c.address, 5*time.Second)
		switch {
		case err == nil:
			one := &connection{x, bufio.NewReaderSize(x, 1024)}
			if s := one.ask("/"); s != http.StatusOK { // who asks nothing at all is cut off as a slow client
				return fmt.Errorf("connection %d: the node answers with the status %d", len(c.idle)+1, s)
			}
			c.idle <- one
		case len(c.idle) > 0 || time.Now().After(deadline):
			return fmt.Errorf("connection %d: %w", len(c.idle)+1, err)
		default:
			time.Sleep(20 * time.Millisecond) // the node is about to listen
		}
	}
	return nil
}

func (c *clients) close() {
	for len(c.idle) > 0 {
		(<-c.idle).Close()
	}
}

// phase is a part of the measurement, with the requests that were due in it.
type phase struct {
	open sync.WaitGroup // of those that are not answered yet
	mu   sync.Mutex
	sent []sent
}

// send sends requests at a rate for as long as a phase lasts that begins at an instant, and does not wait for their answers.
func (c *clients) send(began time.Time, rate float64, long time.Duration) *phase {
	p := &phase{}
	for due := time.Duration(0); ; {
		due += time.Duration(c.rand.ExpFloat64() / rate * float64(time.Second))
		if due >= long {
			break
		}
		if err := c.clock.Sleep(context.Background(), began.Add(due)); err != nil {
			panic(err) // the context has no end, and the clock is closed after this
		}
		p.open.Go(func() {
			x := sent{due: due}
			conn := <-c.idle
			x.status = conn.ask("/function/f")
			x.took = time.Since(began) - due
			c.idle <- conn
			p.mu.Lock()
			defer p.mu.Unlock()
			p.sent = append(p.sent, x)
		})
	}
	return p
}

// ask sends a request and returns the status of the answer; 0: there is none.
func (c *connection) ask(path string) int {
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return 0
	}
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: node\r\n\r\n"); err != nil {
		return 0
	}
	a, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		return 0
	}
	defer a.Body.Close()
	if _, err := io.Copy(io.Discard, a.Body); err != nil {
		return 0
	}
	return a.StatusCode
}

// peak is the most memory that a process has had resident, in bytes.
func peak(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("the node's memory: %w", err)
	}
	var kb int64
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kb); err == nil {
			return kb << 10, nil
		}
	}
	return 0, errors.New("the node's memory: there is no VmHWM")
}
