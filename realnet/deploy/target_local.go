package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet"
)

// The target local: processes that go on when the command that started them has ended.

// Process is that of a node.
type Process struct {
	PID  int    `json:"pid"`
	Log  string `json:"log"`
	Made string `json:"made"` // what it was made of: program, arguments
}

// processGrace is how long a process has to end in good order.
const processGrace = 40 * time.Second

// answering is how long a process has to say which functions it has.
const answering = 5 * time.Second

// Runs reports whether the process is there: it, and not another one that has its number now, which the path of the deployment's
// scenario in its arguments tells.
func (d *Deployment) Runs(p Process) bool {
	if p.PID == 0 {
		return false
	}
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
	if err != nil {
		args, _ = exec.Command("ps", "-o", "args=", "-p", fmt.Sprint(p.PID)).Output() // where that fails, there is none
	}
	return bytes.Contains(args, []byte(filepath.Join(d.Dir, scenarioName)+"-"))
}

// StartLocal starts those nodes that do not run, that were made of another program or with other arguments, or that have been told of other
// functions since, and waits until each is ready. program identifies the program.
func (d *Deployment) StartLocal(ctx context.Context, program string, command func(n *Node) []string, env []string) error {
	if err := os.MkdirAll(filepath.Join(d.Dir, logsName), 0o777); err != nil {
		return err
	}
	made := make([]string, len(d.Plan.Nodes))
	var keep, end []Process
	for i := range d.Plan.Nodes {
		made[i] = fmt.Sprintf("%s %q", program, command(&d.Plan.Nodes[i]))
	}
	for i, p := range d.Processes {
		if i < len(made) && p.Made == made[i] && d.Runs(p) && settled(ctx, &d.Plan.Nodes[i]) {
			keep = append(keep, p)
		} else {
			end = append(end, p)
		}
	}
	if err := ctx.Err(); err != nil { // nobody could answer
		return err
	}
	if _, err := d.stop(end); err != nil {
		return err
	}
	d.Processes = make([]Process, len(made))
	for i := range made {
		if k := slices.IndexFunc(keep, func(p Process) bool { return p.Made == made[i] }); k >= 0 {
			d.Processes[i] = keep[k]
		}
	}
	for i := range made {
		if d.Processes[i].PID != 0 {
			continue
		}
		p, err := startDetached(command(&d.Plan.Nodes[i]), env, filepath.Join(d.Dir, logsName, fmt.Sprintf("node-%d.log", i)))
		if err != nil {
			return fmt.Errorf("node %d cannot be started: %w", i, err)
		}
		p.Made = made[i]
		d.Processes[i] = p
		if err := d.Save(); err != nil { // so that it can be ended, whatever comes
			return err
		}
	}
	return d.awaitLocal(ctx)
}

// settled reports whether a node answers, and has the functions of its plan and no others. One that has not is started anew: nobody else can
// give it back a function that it ran itself.
func settled(ctx context.Context, n *Node) bool {
	ctx, cancel := context.WithTimeout(ctx, answering)
	defer cancel()
	has, err := realnet.AskFunctions(ctx, http.DefaultClient, n.Place.Dial())
	astray, extra := n.strays(has)
	return err == nil && len(astray)+len(extra) == 0
}

func startDetached(words, env []string, log string) (Process, error) {
	file, err := os.Create(log)
	if err != nil {
		return Process{}, err
	}
	defer file.Close() // the process has its own
	c := exec.Command(words[0], words[1:]...)
	c.Env, c.Stdout, c.Stderr = env, file, file
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return Process{}, err
	}
	go func() { _ = c.Wait() }() // while this process lives, a dead child is to be gone
	return Process{PID: c.Process.Pid, Log: log}, nil
}

func (d *Deployment) awaitLocal(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	problems := make([]error, len(d.Plan.Nodes))
	var waiting sync.WaitGroup
	for i := range d.Plan.Nodes {
		n := &d.Plan.Nodes[i]
		waiting.Go(func() {
			alive, stop := context.WithCancelCause(ctx)
			defer stop(nil)
			go func() {
				for alive.Err() == nil {
					if !d.Runs(d.Processes[i]) {
						stop(errors.New("it has ended"))
					}
					time.Sleep(50 * time.Millisecond)
				}
			}()
			if err := realnet.AwaitPeers(alive, client, n.Place.Dial(), n.Peers); err != nil {
				problems[i] = fmt.Errorf("node %d is not ready: %w; %s", n.Number, err, logEnding(d.Processes[i].Log))
			}
		})
	}
	waiting.Wait()
	return errors.Join(problems...)
}

// logEnding is what a log ends with.
func logEnding(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return path + " ends with:\n" + ending(string(text), 3)
}

// StopLocal ends all processes: asked first, so that they finish what runs, then without asking. It returns how many it ended.
func (d *Deployment) StopLocal() (ended int, err error) { return d.stop(d.Processes) }

func (d *Deployment) stop(processes []Process) (ended int, err error) {
	var left []Process
	for _, p := range processes {
		if d.Runs(p) {
			left = append(left, p)
			err = errors.Join(err, gone(syscall.Kill(p.PID, syscall.SIGTERM)))
		}
	}
	ended = len(left)
	for late := time.Now().Add(processGrace); len(left) > 0 && time.Now().Before(late); time.Sleep(50 * time.Millisecond) {
		still := left[:0]
		for _, p := range left {
			if d.Runs(p) {
				still = append(still, p)
			}
		}
		left = still
	}
	for _, p := range left {
		err = errors.Join(err, gone(syscall.Kill(p.PID, syscall.SIGKILL)))
	}
	return ended, err
}

// gone is an error but for a process that has ended by itself.
func gone(err error) error {
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}
