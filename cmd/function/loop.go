package function

import (
	"net/http"
	"runtime"
	"time"
)

// Loop is a function that computes: it takes so much time of a processor, which is more on the clock where more of them run
// than there are processors.
func Loop(o Options) http.Handler {
	return newTimed(o, func(r *http.Request, d time.Duration) error {
		runtime.LockOSThread() // whose time is measured
		defer runtime.UnlockOSThread()
		for end := processorTime() + d; processorTime() < end; {
			if err := r.Context().Err(); err != nil {
				return err
			}
			burn()
		}
		return nil
	})
}

// burn computes for some microseconds.
func burn() {
	x := uint64(1)
	for range 5000 {
		x = x*6364136223846793005 + 1442695040888963407
	}
	runtime.KeepAlive(x)
}
