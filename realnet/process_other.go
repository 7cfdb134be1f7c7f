//go:build !linux

package realnet

import (
	"os/exec"
	"syscall"
)

// OwnGroup gives a process a group of its own, so that Ctrl-C reaches the parent alone. Only Linux tells it of the parent's death.
func OwnGroup(c *exec.Cmd, _ syscall.Signal) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// KillGroup ends a process with what it has started.
func KillGroup(c *exec.Cmd) { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
