//go:build !linux

package precise

import (
	"runtime"
	"time"
)

// spin is how long before an instant the clock begins to watch the time.
const spin = 2 * time.Millisecond

// alarm is what the clock's goroutine sleeps on.
type alarm struct {
	bell chan struct{} // holds one
}

func (a *alarm) open()  { a.bell = make(chan struct{}, 1) }
func (a *alarm) close() {}

// ring ends a wait, or the next one.
func (a *alarm) ring() {
	select {
	case a.bell <- struct{}{}:
	default:
	}
}

// wait returns after d, or when somebody rings; d < 0: when somebody rings.
func (a *alarm) wait(d time.Duration) {
	if d < 0 {
		<-a.bell
		return
	}
	until := time.Now().Add(d)
	if d > spin {
		timer := time.NewTimer(d - spin)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-a.bell:
		}
		return // the clock looks, and waits on
	}
	for time.Now().Before(until) {
		select {
		case <-a.bell:
			return
		default:
			runtime.Gosched()
		}
	}
}
