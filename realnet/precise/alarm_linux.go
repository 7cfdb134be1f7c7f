package precise

import (
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// alarm is what the clock's thread sleeps on.
type alarm struct {
	fd int // an eventfd
}

// open is called on the clock's thread.
func (a *alarm) open() {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		panic(fmt.Sprintf("precise: the kernel has no more eventfd for this process: %v", err))
	}
	a.fd = fd
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // without it waits are 50 us longer
}

func (a *alarm) close() { _ = unix.Close(a.fd) }

// ring ends a wait, or the next one.
func (a *alarm) ring() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(a.fd, one[:]) // it fails where it has been rung often already
}

// wait returns after d, or when somebody rings; d < 0: when somebody rings.
func (a *alarm) wait(d time.Duration) {
	var timeout *unix.Timespec
	if d >= 0 {
		t := unix.NsecToTimespec(int64(d))
		timeout = &t
	}
	fds := []unix.PollFd{{Fd: int32(a.fd), Events: unix.POLLIN}}
	if n, _ := unix.Ppoll(fds, timeout, nil); n > 0 { // interrupted: the clock looks, and waits on
		var count [8]byte
		_, _ = unix.Read(a.fd, count[:])
	}
}
