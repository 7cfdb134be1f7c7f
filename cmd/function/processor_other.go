//go:build !linux

package function

import "time"

var began = time.Now()

// processorTime is the time on the clock: what a thread has had of the processor is not told everywhere, so that waiting
// for one counts as computing.
func processorTime() time.Duration { return time.Since(began) }
