//go:build !linux

package processor

import (
	"fmt"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

// knowsEnded says whether processorTime of a process has what its children used that have ended.
const knowsEnded = false

// processorTime is how long a process has had processors, as exactly as the system says it.
func processorTime(pid int) (time.Duration, error) {
	p, err := process.NewProcess(int32(pid))
	if err != nil {
		return 0, fmt.Errorf("reading the processor time of process %d: %w", pid, err)
	}
	t, err := p.Times()
	if err != nil {
		return 0, fmt.Errorf("reading the processor time of process %d: %w", pid, err)
	}
	return time.Duration((t.User + t.System) * float64(time.Second)), nil
}
