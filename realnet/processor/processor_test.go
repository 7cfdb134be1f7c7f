package processor

import (
	"math"
	"os"
	"os/exec"
	"testing"
	"time"
)

// The processor time of a process is what it computed; that of its children counts when they have ended.
func TestProcessorTime(t *testing.T) {
	pid := os.Getpid()
	before, err := processorTime(pid)
	if err != nil {
		t.Fatal(err)
	}
	x := 1.0
	for began := time.Now(); time.Since(began) < 50*time.Millisecond; {
		x = math.Sqrt(x + 1)
	}
	after, err := processorTime(pid)
	if used := after - before; err != nil || used <= 0 || used > 10*time.Second {
		t.Errorf("a loop of 50 ms used %v, %v, %v", used, err, x)
	}
	c := exec.Command("sleep", "60")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	p := Processes{Nodes: []int{pid}}
	if err := p.Find(t.Context()); err != nil {
		t.Error(err)
	}
	if len(p.functions) != 1 || p.functions[0] != c.Process.Pid {
		t.Errorf("the children are %v, want %d", p.functions, c.Process.Pid)
	}
	if err := c.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = c.Wait() // it was killed
	if _, err := p.Read(); err == nil {
		t.Error("the processor time of a process that has ended is known")
	}
}

// A watch says how many cores other programs keep busy: a child of this process is none of them, unless nobody says so.
func TestWatch(t *testing.T) {
	c := exec.Command("sh", "-c", "while :; do :; done")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = c.Process.Kill()
		_ = c.Wait() // it was killed
	}()
	var cores [2]float64 // in the same time: whatever else the machine does is in both
	var ends [2]func() (float64, error)
	began := time.Now()
	for i, p := range []Processes{{}, {Nodes: []int{c.Process.Pid}}} {
		var err error
		if ends[i], err = p.Watch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	const used = 300 * time.Millisecond
	computes(t, c.Process.Pid, used)
	for i, end := range ends {
		var err error
		if cores[i], err = end(); err != nil {
			t.Fatal(err)
		}
	}
	least := used.Seconds() / time.Since(began).Seconds() / 2
	if cores[0] < least {
		t.Errorf("beside a program that computes, others keep %.2f cores busy, want %.2f at least", cores[0], least)
	}
	if own := cores[0] - cores[1]; own < least {
		t.Errorf("as a program of ours it makes a difference of %.2f cores, want %.2f at least", own, least)
	}
}

// computes waits until a process has used so much more processor time, however busy the machine.
func computes(t *testing.T, pid int, more time.Duration) {
	t.Helper()
	before, err := processorTime(pid)
	for now, began := before, time.Now(); err == nil && now-before < more; now, err = processorTime(pid) {
		if time.Since(began) > time.Minute {
			t.Fatalf("process %d has used %v in a minute", pid, now-before)
		}
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A watch goes on where a node is killed with its function, and another one takes its place: what they used is known, when it is read before.
func TestWatchKilled(t *testing.T) {
	start := func(script string) *exec.Cmd {
		c := exec.Command("sh", "-c", script)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	node := start("(while :; do :; done) & wait")
	function := func() []int {
		for {
			below, err := Descendants(t.Context(), node.Process.Pid)
			if err != nil {
				t.Fatal(err)
			}
			if len(below) > 0 {
				return below
			}
		}
	}()
	p := Processes{Nodes: []int{node.Process.Pid}}
	var ends [2]func() (float64, error)
	for i := range ends {
		var err error
		if ends[i], err = p.Watch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	computes(t, function[0], 20*time.Millisecond)
	var killed Killed
	if err := killed.Add(node.Process.Pid, function); err != nil || killed.used < 10*time.Millisecond {
		t.Errorf("a function that has computed for 20 ms has used %v, %v", killed.used, err)
	}
	for _, pid := range append(function, node.Process.Pid) {
		if x, err := os.FindProcess(pid); err != nil || x.Kill() != nil {
			t.Errorf("process %d cannot be killed: %v", pid, err)
		}
	}
	_ = node.Wait() // it was killed
	again := start("sleep 60 & wait")
	defer func() {
		below, _ := Descendants(t.Context(), again.Process.Pid)
		for _, pid := range append(below, again.Process.Pid) {
			if x, err := os.FindProcess(pid); err == nil {
				_ = x.Kill()
			}
		}
		_ = again.Wait() // it was killed
	}()
	p.Nodes = []int{again.Process.Pid}
	if cores, err := ends[0](); err == nil {
		t.Errorf("a function has ended, and others kept %.2f cores busy", cores)
	}
	p.Killed = killed
	if cores, err := ends[1](); err != nil {
		t.Errorf("a node was killed with its function: others kept %.2f cores busy, %v", cores, err)
	}
}
