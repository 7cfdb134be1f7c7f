package function

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// processorTime is how long this thread has had a processor.
func processorTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(fmt.Sprintf("function: the kernel does not tell a thread's processor time: %v", err))
	}
	return time.Duration(t.Nano())
}
