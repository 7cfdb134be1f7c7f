package realnet

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet/processor"
)

// A cluster of processes on this machine.

// Place is where the services of a node listen.
type Place struct {
	IP                                       string
	Scheduler, Discovery, Learner, Websocket int // ports
}

// Address of the node's scheduler service, with its port where that is not the standard one: how peers know the node.
func (p Place) Address() string {
	if p.Scheduler == SchedulerPort {
		return p.IP
	}
	return p.Dial()
}

// Dial is the address of the node's scheduler service, with its port.
func (p Place) Dial() string { return net.JoinHostPort(p.IP, strconv.Itoa(p.Scheduler)) }

// DiscoveryAddress is that of the node's discovery service, with its port where that is not the standard one.
func (p Place) DiscoveryAddress() string {
	if p.Discovery == DiscoveryPort {
		return p.IP
	}
	return net.JoinHostPort(p.IP, strconv.Itoa(p.Discovery))
}

// LearnerURL is that of the node's learner.
func (p Place) LearnerURL() string {
	return "http://" + net.JoinHostPort(p.IP, strconv.Itoa(p.Learner))
}

// Ports of the nodes that share an address: node i's are in a block of ten from shiftedPorts+10i on. They end where the ports
// begin that systems give to clients.
const (
	shiftedPorts = 20_000
	perAddress   = (32_760 - shiftedPorts) / 10
)

// SharedPlaces are places for n nodes that share an address: the first has the standard ports.
func SharedPlaces(ip string, n int) ([]Place, error) {
	if n > perAddress {
		return nil, fmt.Errorf("%s has ports for %d nodes, not for %d", ip, perAddress, n)
	}
	places := make([]Place, n)
	for i := range places {
		first := shiftedPorts + 10*i
		places[i] = Place{ip, first, first + 1, first + 2, first + 3}
	}
	if n > 0 {
		places[0] = Place{ip, SchedulerPort, DiscoveryPort, LearnerPort, WebsocketPort}
	}
	return places, nil
}

// LoopbackPlaces are places for n nodes on this machine: with the standard ports on 127.0.0.1, 127.0.0.2 and so on or,
// where the system has 127.0.0.1 alone (macOS), places that share it. A place that is taken is an error.
func LoopbackPlaces(first string, n int) ([]Place, error) {
	ip := net.ParseIP(first).To4()
	if ip == nil || ip[0] != 127 {
		return nil, fmt.Errorf("%s is no loopback address: write one like 127.0.0.1", first)
	}
	base := int(ip[1])<<16 | int(ip[2])<<8 | int(ip[3])
	if base+n > 1<<24-1 {
		return nil, fmt.Errorf("there are no %d addresses from %s on", n, first)
	}
	places := make([]Place, n)
	for i := range places {
		k := base + i
		at := net.IPv4(127, byte(k>>16), byte(k>>8), byte(k)).String()
		places[i] = Place{at, SchedulerPort, DiscoveryPort, LearnerPort, WebsocketPort}
	}
	if n > 1 && !mayBind(places[n-1].IP) {
		var err error
		if places, err = SharedPlaces(places[0].IP, n); err != nil {
			return nil, fmt.Errorf("this system has one loopback address: %w", err)
		}
	}
	var problem error
	taken := 0
	for _, p := range places {
		for _, port := range []int{p.Scheduler, p.Discovery, p.Learner, p.Websocket} {
			if err := isFree(p.IP, port); err != nil {
				taken++
				problem = cmp.Or(problem, err)
			}
		}
	}
	if taken > 0 {
		return nil, fmt.Errorf("%d of %d ports are taken: is another cluster running? The first: %w", taken, 4*n, problem)
	}
	return places, nil
}

func mayBind(ip string) bool {
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func isFree(ip string, port int) error {
	l, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return l.Close()
}

// LocalOptions are what a cluster of processes is made of.
type LocalOptions struct {
	Places   []Place
	Command  func(node int) []string // program and arguments
	Env      []string                // environment; nil: that of this process
	Logs     string                  // directory of what the processes say
	Ready    func(node int) int      // how many peers the node must know to be ready
	Patience time.Duration           // for all to be ready; 0: 30 s
	Grace    time.Duration           // to finish what runs when it ends; 0: 10 s
}

// Local is a cluster of processes. Different nodes may be crashed, started, paused and resumed at once.
type Local struct {
	options LocalOptions
	nodes   []*process
	starts  chan func() // on the thread that lives as long as the processes

	mu      sync.Mutex // guards what follows
	killed  processor.Killed
	unknown error // what of the killed
}

// process is a node.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
	err   error // when ended is closed
	told  bool  // that it has ended
}

// StartLocal starts the processes of a cluster and waits until each is ready. Where one is not, all are ended again.
func StartLocal(ctx context.Context, o LocalOptions) (*Local, error) {
	if o.Patience == 0 {
		o.Patience = 30 * time.Second
	}
	if o.Grace == 0 {
		o.Grace = 10 * time.Second
	}
	if err := os.MkdirAll(o.Logs, 0o777); err != nil {
		return nil, err
	}
	l := &Local{options: o, starts: make(chan func())}
	go l.parent()
	for i := range o.Places {
		p, err := l.begin(i, os.O_TRUNC)
		if err != nil {
			return nil, errors.Join(err, l.Stop())
		}
		l.nodes = append(l.nodes, p)
	}
	if err := l.ready(ctx); err != nil {
		_ = l.Stop() // how they end, whom nobody waited for, is no news
		return nil, err
	}
	return l, nil
}

// parent starts the processes. Linux ends them with the thread that started them, so that thread must not end before.
func (l *Local) parent() {
	runtime.LockOSThread()
	for start := range l.starts {
		start()
	}
}

// begin starts the process of a node.
func (l *Local) begin(i, log int) (p *process, err error) {
	started := make(chan struct{})
	l.starts <- func() {
		p, err = l.start(i, log)
		close(started)
	}
	if <-started; err != nil {
		return nil, fmt.Errorf("node %d cannot be started: %w", i, err)
	}
	return p, nil
}

// start is begin on the thread of parent; log says what becomes of a log that is there.
func (l *Local) start(i, log int) (*process, error) {
	p := &process{log: filepath.Join(l.options.Logs, fmt.Sprintf("node-%d.log", i)), ended: make(chan struct{})}
	file, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|log, 0o666)
	if err != nil {
		return nil, err
	}
	defer file.Close() // the process has its own
	words := l.options.Command(i)
	p.cmd = exec.Command(words[0], words[1:]...)
	p.cmd.Env = l.options.Env
	p.cmd.Stdout, p.cmd.Stderr = file, file
	OwnGroup(p.cmd, syscall.SIGTERM)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// ready waits until all nodes know their peers.
func (l *Local) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.options.Patience)
	defer cancel()
	problems := make([]error, len(l.nodes))
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	var waiting sync.WaitGroup
	for i := range l.nodes {
		waiting.Go(func() {
			if problems[i] = l.await(ctx, client, i); problems[i] != nil {
				cancel() // the others are not waited for
			}
		})
	}
	waiting.Wait()
	givenUp := func(err error) bool { return errors.Is(err, context.Canceled) }
	if why := slices.DeleteFunc(slices.Clone(problems), func(err error) bool { return err == nil || givenUp(err) }); len(why) > 0 {
		return errors.Join(why...)
	}
	if slices.ContainsFunc(problems, givenUp) {
		return context.Canceled
	}
	return nil
}

func (l *Local) await(ctx context.Context, client *http.Client, i int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	node, ended := l.nodes[i], errors.New("the process has ended")
	go func() {
		select {
		case <-node.ended:
			cancel(ended)
		case <-ctx.Done():
		}
	}()
	err := AwaitPeers(ctx, client, l.options.Places[i].Dial(), l.options.Ready(i))
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, ended):
		node.told = true
		return fmt.Errorf("node %d has ended: %w: %s", i, errOr(node.err, errors.New("without an error")), lastLines(node.log))
	}
	return fmt.Errorf("node %d is not ready after %v: %w: %s", i, l.options.Patience, err, lastLines(node.log))
}

func errOr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// lastLines are the last ones of a log, for an error that names it.
func lastLines(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return fmt.Sprintf("%s ends with: %s", path, bytes.Join(lines[max(0, len(lines)-3):], []byte(" | ")))
}

// Crash implements Machines: the process of node i is ended without being asked, with those that it has started.
func (l *Local) Crash(ctx context.Context, i int) error {
	p := l.nodes[i]
	select {
	case <-p.ended:
		return fmt.Errorf("its process has ended by itself: %w", errOr(p.err, errors.New("without an error")))
	default:
	}
	pid := p.cmd.Process.Pid
	functions, err := signalTree(ctx, pid, syscall.SIGSTOP)
	l.mu.Lock()
	l.unknown = cmp.Or(l.unknown, l.killed.Add(pid, functions))
	l.mu.Unlock()
	_, kerr := signalTree(ctx, pid, syscall.SIGKILL)
	<-p.ended
	p.told = true
	return errors.Join(err, kerr)
}

// Restart implements Machines: node i is started as it was at first, unless it has been already and did not answer yet.
func (l *Local) Restart(_ context.Context, i int) error {
	select {
	case <-l.nodes[i].ended:
	default:
		return nil
	}
	p, err := l.begin(i, os.O_APPEND)
	if err == nil {
		l.nodes[i] = p
	}
	return err
}

// Pause implements Machines: the process of node i and those that it has started stand still.
func (l *Local) Pause(ctx context.Context, i int) error {
	_, err := signalTree(ctx, l.nodes[i].cmd.Process.Pid, syscall.SIGSTOP)
	return err
}

// Resume implements Machines: they go on.
func (l *Local) Resume(ctx context.Context, i int) error {
	_, err := signalTree(ctx, l.nodes[i].cmd.Process.Pid, syscall.SIGCONT)
	return err
}

// signalTree sends a signal to a process first, so that it starts no others, and then to those that it has started, which it returns.
func signalTree(ctx context.Context, pid int, s syscall.Signal) (below []int, err error) {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return nil, err
	}
	below, err = processor.Descendants(ctx, pid)
	for _, x := range below {
		_ = syscall.Kill(x, s) // where that fails, it has ended
	}
	return below, errors.Join(err, syscall.Kill(pid, s))
}

// Processes are those of the nodes, by number, by the identifiers that the system knows them by.
func (l *Local) Processes() []int {
	all := make([]int, len(l.nodes))
	for i, p := range l.nodes {
		all[i] = p.cmd.Process.Pid
	}
	return all
}

// Killed are those that have been killed until now, with what they used.
func (l *Local) Killed() (processor.Killed, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.killed, l.unknown
}

// Ended reports nodes that have ended although nobody told them to.
func (l *Local) Ended() error {
	var problems []error
	for i, p := range l.nodes {
		select {
		case <-p.ended:
			if p.told {
				continue
			}
			p.told = true
			problems = append(problems, fmt.Errorf("node %d has ended during the run: %w: %s", i,
				errOr(p.err, errors.New("without an error")), lastLines(p.log)))
		default:
		}
	}
	return errors.Join(problems...)
}

// Stop ends all processes, once: asked first, so that they finish what runs, then without asking. It reports those that did not
// end in good order, but for what has been told before.
func (l *Local) Stop() error {
	for _, p := range l.nodes {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // where that fails, it has ended
		_ = p.cmd.Process.Signal(syscall.SIGCONT) // a fault may have stopped it
	}
	late := time.After(l.options.Grace)
	var problems []error
	for i, p := range l.nodes {
		select {
		case <-p.ended:
		case <-late:
			KillGroup(p.cmd)
			<-p.ended
			late = time.After(0)
			problems = append(problems, fmt.Errorf("node %d did not end within %v, and was killed: %s", i, l.options.Grace,
				lastLines(p.log)))
			continue
		}
		if p.err != nil && !p.told {
			problems = append(problems, fmt.Errorf("node %d ended with an error: %w: %s", i, p.err, lastLines(p.log)))
		}
	}
	l.nodes = nil
	close(l.starts)
	return errors.Join(problems...)
}
