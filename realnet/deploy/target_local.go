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
	"sync"
	"syscall"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet"
)

// The target local: processes that go on when the command that started them has ended.

// Process is that of a node.
type Process struct {
	PID int    `json:"pid"`
	Log string `json:"log"`
}

// processGrace is how long a process has to end in good order.
const processGrace = 40 * time.Second

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
	return bytes.Contains(args, []byte(d.ScenarioDir()))
}

// StartLocal starts those nodes that do not run, with these commands, and waits until each is ready. It returns how many it started.
func (d *Deployment) StartLocal(ctx context.Context, command func(n *Node) []string, env []string) (started int, err error) {
	if err := os.MkdirAll(filepath.Join(d.Dir, logsName), 0o777); err != nil {
		return 0, err
	}
	if len(d.Processes) != len(d.Plan.Nodes) {
		d.Processes = make([]Process, len(d.Plan.Nodes))
	}
	for i := range d.Plan.Nodes {
		if d.Runs(d.Processes[i]) {
			continue
		}
		p, err := startDetached(command(&d.Plan.Nodes[i]), env, filepath.Join(d.Dir, logsName, fmt.Sprintf("node-%d.log", i)))
		if err != nil {
			return started, fmt.Errorf("node %d cannot be started: %w", i, err)
		}
		started++
		d.Processes[i] = p
		if err := d.Save(); err != nil { // so that it can be ended, whatever comes
			return started, err
		}
	}
	return started, d.awaitLocal(ctx)
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
	return Process{c.Process.Pid, log}, nil
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
func (d *Deployment) StopLocal() (ended int, err error) {
	var left []Process
	for _, p := range d.Processes {
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
