// Package precise waits for instants, far more exactly than package time does: a timer of the Go runtime fires up to a
// millisecond late on an idle machine, a wait here some tens of microseconds (BenchmarkOvershoot).
//
// A Clock is one goroutine on a thread of its own. On Linux it sleeps in the kernel to the nanosecond that it asked for
// (ppoll, timer slack 1 ns), and a new wait that ends sooner wakes it. Elsewhere it waits with a timer of the runtime for
// most of the time, and yields in a loop for the last two milliseconds.
package precise

import (
	"container/heap"
	"context"
	"errors"
	"runtime"
	"sync"
	"time"
)

// ErrClosed says that the clock was closed during a wait.
var ErrClosed = errors.New("precise: the clock was closed")

// Clock waits for instants. It may be used by any number of goroutines.
type Clock struct {
	mu     sync.Mutex
	waits  waits
	closed bool
	ended  chan struct{}
	alarm  alarm
}

// New starts a clock. Close ends it.
func New() *Clock {
	c := &Clock{ended: make(chan struct{})}
	ready := make(chan struct{})
	go c.run(ready)
	<-ready
	return c
}

// Sleep returns when the instant has come, never before, or when ctx ends or the clock is closed: then with an error.
func (c *Clock) Sleep(ctx context.Context, until time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	due := make(chan struct{})
	w := c.add(until, func() { close(due) })
	if w == nil {
		return ErrClosed
	}
	select {
	case <-due:
		return nil
	case <-ctx.Done():
		c.remove(w)
		return ctx.Err()
	case <-c.ended:
		select {
		case <-due:
			return nil
		default:
			return ErrClosed
		}
	}
}

// After calls f when the instant has come, on the clock's goroutine: f must not block, nor use the clock's Close. Stop
// takes that back, and reports whether it was in time. On a closed clock f is never called.
func (c *Clock) After(until time.Time, f func()) (stop func() bool) {
	w := c.add(until, f)
	return func() bool { return w != nil && c.remove(w) }
}

// Close ends the clock. Waits end with ErrClosed; functions that have not been called are not.
func (c *Clock) Close() {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		c.alarm.ring() // before the clock can know: then it closes the alarm, whose descriptor may soon be another's
	}
	c.mu.Unlock()
	<-c.ended
}

// add is nil on a closed clock.
func (c *Clock) add(until time.Time, f func()) *wait {
	w := &wait{at: until, due: f}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	heap.Push(&c.waits, w)
	if w.index == 0 {
		c.alarm.ring()
	}
	return w
}

func (c *Clock) remove(w *wait) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.index < 0 {
		return false
	}
	heap.Remove(&c.waits, w.index)
	return true
}

// run is the clock's goroutine. Its thread is not given back: it has another timer slack than others.
func (c *Clock) run(ready chan struct{}) {
	runtime.LockOSThread()
	defer close(c.ended)
	c.alarm.open()
	defer c.alarm.close()
	close(ready)
	var due []*wait
	for {
		c.mu.Lock()
		now := time.Now()
		for len(c.waits) > 0 && !c.waits[0].at.After(now) {
			due = append(due, heap.Pop(&c.waits).(*wait))
		}
		next := time.Duration(-1) // nothing to wait for
		if len(c.waits) > 0 {
			next = c.waits[0].at.Sub(now)
		}
		closed := c.closed
		c.mu.Unlock()
		for i, w := range due {
			if !closed {
				w.due()
			}
			due[i] = nil
		}
		switch {
		case closed:
			return
		case len(due) == 0:
			c.alarm.wait(next)
		}
		due = due[:0]
	}
}

// wait is somebody who waits.
type wait struct {
	at    time.Time
	due   func()
	index int // in the heap; -1: no more
}

// waits are a heap, the soonest first.
type waits []*wait

func (w waits) Len() int           { return len(w) }
func (w waits) Less(i, j int) bool { return w[i].at.Before(w[j].at) }
func (w waits) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].index, w[j].index = i, j
}

func (w *waits) Push(x any) {
	x.(*wait).index = len(*w)
	*w = append(*w, x.(*wait))
}

func (w *waits) Pop() any {
	last := len(*w) - 1
	x := (*w)[last]
	(*w)[last] = nil
	*w = (*w)[:last]
	x.index = -1
	return x
}
