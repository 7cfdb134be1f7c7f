package realnet

import (
	"os/exec"
	"syscall"
)

// OwnGroup gives a process a group of its own, so that Ctrl-C reaches the parent alone. Where that is killed, the process gets the
// signal orphaned.
func OwnGroup(c *exec.Cmd, orphaned syscall.Signal) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: orphaned}
}

// KillGroup ends a process with what it has started.
func KillGroup(c *exec.Cmd) { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
