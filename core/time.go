package core

import "time"

// Time is an instant. In simulation it is virtual: nanoseconds since the run began, the same at all nodes. In reality it is the
// node's own monotonic clock, since that node began: no two nodes' Times are ever subtracted from each other.
type Time int64

// Never is later than every instant a run can reach.
const Never Time = 1<<63 - 1

// Add returns the instant d after t, saturating at Never.
func (t Time) Add(d time.Duration) Time {
	s := t + Time(d)
	if d > 0 && s < t {
		return Never
	}
	return s
}

// Sub returns the duration t-u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Seconds returns t in seconds.
func (t Time) Seconds() float64 { return float64(t) / 1e9 }

// String formats t as a duration since the run began.
func (t Time) String() string {
	if t == Never {
		return "never"
	}
	return time.Duration(t).String()
}
