package simnet

import (
	"slices"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// timeouts are timers of one duration: they fall due in the order in which they were set. Most are dead by then, and
// cost no place in the calendar.
type timeouts struct {
	after time.Duration
	due   core.Time // of the front, or earlier: dead ones are dropped when it has come
	ring  ring[timeout]
}

type timeout struct {
	at    core.Time
	token core.Token
	node  core.NodeID
}

// Arm implements core.Host.
func (w *World) Arm(n core.NodeID, at core.Time, k core.Token) {
	after := at.Sub(w.now)
	for i := range w.timeouts {
		if q := &w.timeouts[i]; q.after == after {
			if q.ring.empty() {
				q.due = at
			}
			*q.ring.push() = timeout{at: at, token: k, node: n}
			return
		}
	}
	w.calendar.push(at, evTimer, n, 0, uint64(k))
}

// Disarm implements core.Host. Firing a dead token does no harm, so there is nothing to take back.
func (w *World) Disarm(core.NodeID, core.Token) {}

// live drops the dead timeouts in front, those of later instants too, and reports whether one is left.
func (w *World) live(q *timeouts) bool {
	for !q.ring.empty() {
		if f := q.ring.front(); w.engine.Live(f.token) {
			q.due = f.at
			return true
		}
		q.ring.drop()
	}
	q.due = core.Never
	return false
}

// take removes the front.
func (q *timeouts) take() timeout {
	f := *q.ring.front()
	q.ring.drop()
	return f
}

// newTimeouts makes a ring for each of the scenario's timeouts, the longest last: of those due at one instant it is the
// longest that was set first, and step takes the last one that is due.
func (w *World) newTimeouts() {
	f := w.scenario.Scheduler.Forwarding
	after := []time.Duration{f.ProbeTimeout, f.AnswerTimeout}
	slices.Sort(after)
	for _, d := range slices.Compact(after) {
		if d > 0 {
			w.timeouts = append(w.timeouts, timeouts{after: d, due: core.Never})
		}
	}
}
