package realnet

import (
	"os/exec"
	"syscall"
)

// ownGroup gives a process a group of its own, so that Ctrl-C reaches the parent alone, and ends it where that is killed.
func ownGroup(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// killGroup ends a process with what it has started.
func killGroup(c *exec.Cmd) { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
