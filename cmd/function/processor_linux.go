package function

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// processorTime is how long this thread has had a processor. The call does not block, so Go's scheduler is not told of it: otherwise
// it would look after this thread all the time, at a cost that grows with the number of processes.
func processorTime() time.Duration {
	var t unix.Timespec
	if _, _, err := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_THREAD_CPUTIME_ID, uintptr(unsafe.Pointer(&t)), 0); err != 0 {
		panic(fmt.Sprintf("function: the kernel does not tell a thread's processor time: %v", err))
	}
	return time.Duration(t.Nano())
}
