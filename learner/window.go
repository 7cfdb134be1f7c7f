package learner

import "math"

// Entry is what a client sends back to the learner of the node that it called: the decision as the answer told it, and
// what it was worth.
type Entry struct {
	EID    uint64    // the progressive number of the decision at its node
	State  []float64 // in which it was made
	Action int
	Reward float64
}

// window brings entries into the order of their decisions. Entries come out of order, twice, or never. It holds them
// from the first one that has not been trained on, and gives them out in runs of consecutive numbers: of at least size
// entries, so that training comes in batches; or of fewer, where the one after them is given up. That happens when
// patience entries have come that were decided after it: what is held is bounded, and one gap does not wait for another.
//
// An entry has its place in a ring by its number, so that it costs O(1), amortised.
type window struct {
	size     int
	patience int
	capacity int
	lossy    bool // v1's mistake: a run is taken out with its last entry, from which nothing is learned

	next    uint64 // number of the first one held, or awaited
	begun   bool   // an entry has come
	settled bool   // and what was there to begin with has been given out
	kept    bool   // the one at next has been given out, as the last of a run: it still lacks its successor
	run     int    // how many from next on are there, without a gap
	pending int    // how many are there
	slots   []slot // by number modulo the length, a power of two

	strays  []uint64 // numbers of entries far from the window: of a scheduler that began anew?
	entries counts
}

type slot struct {
	Entry
	there bool
}

// counts are what became of the entries.
type counts struct {
	Received   uint64 `json:"received"`
	Duplicates uint64 `json:"duplicates"` // of one that is held
	Late       uint64 `json:"late"`       // trained on already, or given up
	Missing    uint64 `json:"missing"`    // given up: they had not come
	Strays     uint64 `json:"strays"`     // too far from the window
	Highest    uint64 `json:"highest"`    // number received
}

func newWindow(size, patience, capacity int) *window {
	return &window{size: size, patience: patience, capacity: capacity, slots: make([]slot, 16)}
}

func (w *window) at(eid uint64) *slot { return &w.slots[eid&uint64(len(w.slots)-1)] }

// add takes an entry and calls out for each run that is complete by that: out gets the entries in order, of which the
// first may be the last one of the run before (again), and whether the next run goes on with the last one. What it gets
// is valid until it returns.
func (w *window) add(e Entry, out func(run func(i int) *Entry, n int, again, goesOn bool)) {
	w.entries.Received++
	w.entries.Highest = max(w.entries.Highest, e.EID)
	if !w.begun {
		// The numbers before the first one that comes may be on their way.
		w.begun = true
		w.next = e.EID - min(e.EID, uint64(w.patience))
	}
	behind, ahead := w.next > e.EID, e.EID >= w.next && e.EID-w.next >= uint64(w.capacity)
	if behind && w.next-e.EID <= uint64(w.capacity) {
		w.entries.Late++
		return
	}
	if behind || ahead {
		if !w.stray(e.EID, out) {
			return
		}
	}
	w.strays = w.strays[:0]
	w.insert(e)
	w.flush(out)
}

// insert puts e into its place.
func (w *window) insert(e Entry) {
	for e.EID-w.next >= uint64(len(w.slots)) {
		w.grow()
	}
	s := w.at(e.EID)
	if s.there {
		w.entries.Duplicates++
		return
	}
	s.EID, s.Action, s.Reward, s.there = e.EID, e.Action, e.Reward, true
	s.State = append(s.State[:0], e.State...)
	w.pending++
	w.extend()
}

// extend counts the run at next.
func (w *window) extend() {
	for w.run < len(w.slots) {
		if s := w.at(w.next + uint64(w.run)); !s.there || s.EID != w.next+uint64(w.run) {
			return
		}
		w.run++
	}
}

func (w *window) grow() {
	old := w.slots
	w.slots = make([]slot, 2*len(old))
	for i := range old {
		if old[i].there {
			*w.at(old[i].EID) = old[i]
		}
	}
}

// flush gives out what is ready.
func (w *window) flush(out func(func(int) *Entry, int, bool, bool)) {
	for {
		switch {
		case w.run >= w.size && w.run > 0 && !(w.kept && w.run == 1):
			w.give(w.run, w.lossy, out)
		case w.pending-w.run >= w.patience, w.begins():
			w.skip(out)
		default:
			return
		}
	}
}

// begins reports whether the first entries are there, as many as make a run, though others before them might yet come.
func (w *window) begins() bool {
	size := max(2, w.size)
	if w.settled || w.run > 0 || w.pending < size {
		return false
	}
	first := w.next
	for !w.at(first).there {
		first++
	}
	for i := range size {
		if s := w.at(first + uint64(i)); !s.there || s.EID != first+uint64(i) {
			return false
		}
	}
	return true
}

// give gives out the run of n at next. The last of them stays, for the one after it, unless it is the last of all.
func (w *window) give(n int, last bool, out func(func(int) *Entry, int, bool, bool)) {
	first := w.next
	out(func(i int) *Entry { return &w.at(first + uint64(i)).Entry }, n, w.kept, !last)
	gone := n - 1
	if last {
		gone = n
	}
	for i := range gone {
		w.at(first + uint64(i)).there = false
	}
	w.next += uint64(gone)
	w.run -= gone
	w.pending -= gone
	w.kept, w.settled = !last, true
}

// skip gives up what is missing after the run, and the successor of the run's last.
func (w *window) skip(out func(func(int) *Entry, int, bool, bool)) {
	if w.run > 0 {
		w.give(w.run, true, out)
	}
	w.kept = false
	for w.pending > 0 && !(w.at(w.next).there && w.at(w.next).EID == w.next) {
		w.next++
		if w.settled {
			w.entries.Missing++
		}
	}
	w.settled = true
	w.run = 0
	w.extend()
}

// stray deals with a number far from the window. One of them may be anybody's; when as many have come as make a run,
// all near to one another, the scheduler counts anew, and the window moves there. It reports whether it did.
func (w *window) stray(eid uint64, out func(func(int) *Entry, int, bool, bool)) bool {
	w.entries.Strays++
	if n := len(w.strays); n > 0 {
		first := w.strays[0]
		if max(first, eid)-min(first, eid) > uint64(w.capacity)/2 {
			w.strays = w.strays[:0]
		}
	}
	w.strays = append(w.strays, eid)
	if len(w.strays) < max(2, w.size) {
		return false
	}
	w.finish(out)
	lowest := uint64(math.MaxUint64)
	for _, s := range w.strays {
		lowest = min(lowest, s)
	}
	w.next = lowest
	return true
}

// finish gives out all that is there, gaps or not.
func (w *window) finish(out func(func(int) *Entry, int, bool, bool)) {
	for w.pending > 0 {
		w.skip(out)
	}
}
