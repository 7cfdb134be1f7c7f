package sched

import (
	"math"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// expected is the mean time in seconds that a task spends at a node that has load l when it comes, mean being the mean
// service time in seconds on a node of speed 1: it waits until enough tasks have left for a slot to be free, and then
// executes. Exact for exponential service times.
func expected(l core.Load, mean float64) float64 {
	if l.Slots <= 0 {
		return math.Inf(1)
	}
	speed := float64(l.Speed)
	if speed <= 0 {
		speed = 1
	}
	service := mean / speed
	leave := max(0, l.Total()+1-int(l.Slots))
	return service + float64(float64(leave)*service)/float64(l.Slots)
}

// meanService is the mean service time in seconds of tasks like t: the parameter where it is given, or what the node
// knows; 0 = unknown.
func meanService(v core.View, t *core.Task, given time.Duration) float64 {
	if given > 0 {
		return given.Seconds()
	}
	return v.MeanService(t.Type).Seconds()
}
