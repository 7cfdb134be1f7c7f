package processor

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit in which the kernel tells what ended children used (USER_HZ).
const tick = time.Second / 100

// knowsEnded says whether processorTime of a process has what its children used that have ended.
const knowsEnded = true

// processorTime is how long a process has had processors, to the nanosecond, by its clock (clock_getcpuclockid(3)), and how
// long its children had that have ended.
func processorTime(pid int) (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|2, &t); err != nil {
		return 0, fmt.Errorf("reading the processor time of process %d: %w", pid, err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the processor time of the children of process %d: %w", pid, err)
	}
	_, text, _ = bytes.Cut(text, []byte(") ")) // a name may have spaces
	fields := bytes.Fields(text)
	const userOfChildren, systemOfChildren = 16 - 3, 17 - 3 // proc(5) counts from 1, and two have been cut off
	children := 0
	for _, k := range []int{userOfChildren, systemOfChildren} {
		if k >= len(fields) {
			return 0, fmt.Errorf("/proc/%d/stat has %d fields after the name", pid, len(fields))
		}
		n, err := strconv.Atoi(string(fields[k]))
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		children += n
	}
	return time.Duration(t.Nano()) + time.Duration(children)*tick, nil
}
