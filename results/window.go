package results

import "github.com/p2pfaas/p2pfaas/core"

// Window is the measured part of a replication. Both worlds count in it the requests that arrive in it, whenever they end, and the
// completions in it, whenever their requests arrived: when more comes than can be executed, what is left at the end is executed
// after it, and is no throughput.
type Window struct {
	from, to core.Time
	Tally    *Tally
	Batches  []*Tally // of equal length, in place of replications; nil: there are several
}

// NewWindow makes the window of a run's instants from until to, for functions named in the order of their core.TaskType.
func NewWindow(from, to core.Time, batches int, functions ...string) *Window {
	w := &Window{from: from, to: to, Tally: NewTally(functions...)}
	for range batches {
		w.Batches = append(w.Batches, NewTally(functions...))
	}
	return w
}

// Add counts a request that has ended, and reports whether it arrived in the window.
func (w *Window) Add(r *Record) bool {
	if done := r.Arrival.Add(r.Latency); r.Outcome == core.Completed && w.from <= done && done < w.to {
		w.Tally.complete(r)
		if w.Batches != nil {
			w.batch(done).complete(r)
		}
	}
	if r.Arrival < w.from {
		return false
	}
	w.Tally.Add(r)
	if w.Batches != nil {
		w.batch(r.Arrival).Add(r)
	}
	return true
}

// batch is that of an instant.
func (w *Window) batch(at core.Time) *Tally {
	n := len(w.Batches)
	return w.Batches[min(n-1, int(float64(at-w.from)/float64(w.to-w.from)*float64(n)))]
}

// Pack packs the tallies, which are complete.
func (w *Window) Pack() {
	w.Tally.Pack()
	for _, b := range w.Batches {
		b.Pack()
	}
}
