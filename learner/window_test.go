package learner

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// feed is a window with what it gave out.
type feed struct {
	*window
	tb    testing.TB
	pairs map[uint64]int // transitions from an entry to the next, by the number of the first
	given map[uint64]int
	last  uint64 // of the run before
	goes  bool   // it goes on
}

func newFeed(tb testing.TB, size, patience, capacity int) *feed {
	return &feed{window: newWindow(size, patience, capacity), tb: tb, pairs: map[uint64]int{}, given: map[uint64]int{}}
}

func (f *feed) add(e Entry) { f.window.add(e, f.out) }

// out checks a run: consecutive, with the entries that were put in, beginning where the last one ended if it goes on.
func (f *feed) out(run func(int) *Entry, n int, again, goesOn bool) {
	first := run(0).EID
	if again != f.goes || again && first != f.last {
		f.tb.Errorf("a run begins at %d, again: %v, after one that ended at %d and goes on: %v", first, again, f.last, f.goes)
	}
	for i := range n {
		e := run(i)
		if e.EID != first+uint64(i) || len(e.State) != 1 || e.State[0] != float64(e.EID) || e.Reward != -float64(e.EID) {
			f.tb.Errorf("entry %d of a run from %d is %+v", i, first, *e)
		}
		if i > 0 {
			f.pairs[e.EID-1]++
		}
		if i > 0 || !again {
			f.given[e.EID]++
		}
	}
	f.last, f.goes = first+uint64(n)-1, goesOn
}

func entry(eid uint64) Entry {
	return Entry{EID: eid, State: []float64{float64(eid)}, Reward: -float64(eid)}
}

// shuffled puts each of n numbers up to so many places later.
func shuffled(r *rand.Rand, n, by int) []uint64 {
	late := make([][]uint64, n+by+1)
	for i := range n {
		k := i + r.IntN(by+1)
		late[k] = append(late[k], uint64(i))
	}
	var order []uint64
	for _, l := range late {
		order = append(order, l...)
	}
	return order
}

// In any order, nothing is lost and nothing comes twice.
func TestWindowOrder(t *testing.T) {
	const n = 5000
	for _, by := range []int{0, 1, 7, 60} {
		f := newFeed(t, 5, 100, 1000)
		for _, eid := range shuffled(rand.New(rand.NewPCG(1, uint64(by))), n, by) {
			f.add(entry(eid))
		}
		f.finish(f.out)
		if len(f.pairs) != n-1 || len(f.given) != n || f.entries.Late+f.entries.Missing+f.entries.Duplicates > 0 || f.pending > 0 {
			t.Errorf("out of order by %d: %d transitions and %d entries of %d; %+v", by, len(f.pairs), len(f.given), n, f.entries)
		}
		for eid, k := range f.pairs {
			if k != 1 {
				t.Fatalf("transition %d comes %d times", eid, k)
			}
		}
	}
}

// With 1 % and 5 % of the entries missing, 98 % and 90 % of the others are learned from, and the window does not fill.
func TestWindowLoss(t *testing.T) {
	const n = 20_000
	for _, c := range []struct{ loss, share float64 }{{0, 0.9999}, {0.01, 0.98}, {0.05, 0.9}, {0.3, 0.69}} {
		r := rand.New(rand.NewPCG(2, 0))
		f := newFeed(t, 10, 100, 10_000)
		kept, most := 0, 0
		for _, eid := range shuffled(r, n, 20) {
			if r.Float64() < c.loss {
				continue
			}
			kept++
			f.add(entry(eid))
			most = max(most, f.pending)
		}
		if share := float64(len(f.pairs)) / float64(kept-f.pending); share < c.share || f.pending > 200 || most > 250 {
			t.Errorf("loss %g: %.4f of the others are learned from; %d are held, at most %d", c.loss, share, f.pending, most)
		}
	}
}

// Training waits for a full window, and the last entry of one is the first of the next.
func TestWindowSize(t *testing.T) {
	f := newFeed(t, 4, 100, 1000)
	for eid, want := range []int{0, 0, 0, 3, 3, 3, 6, 6} {
		f.add(entry(uint64(eid)))
		if len(f.pairs) != want {
			t.Errorf("after entry %d, %d transitions were given out, want %d", eid, len(f.pairs), want)
		}
	}
	f = newFeed(t, 4, 100, 1000)
	f.lossy = true
	for eid := range uint64(8) {
		f.add(entry(eid))
	}
	if len(f.pairs) != 6 || f.pairs[3] != 0 {
		t.Errorf("v1's window gave out %v", f.pairs)
	}
}

// Duplicates, old entries, and numbers that nobody issued lose nothing of the others.
func TestWindowFlood(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 0))
	f := newFeed(t, 5, 50, 1000)
	const n = 5000
	for eid := range uint64(n) {
		f.add(entry(eid))
		for range 5 {
			switch r.IntN(3) {
			case 0:
				f.add(entry(eid - min(eid, uint64(r.IntN(3)))))
			case 1:
				f.add(entry(r.Uint64() >> 2))
			case 2:
				f.add(entry(uint64(r.IntN(int(eid) + 1))))
			}
		}
	}
	f.finish(f.out)
	for eid := range uint64(n - 1) {
		if f.pairs[eid] != 1 {
			t.Fatalf("transition %d was given out %d times; %+v", eid, f.pairs[eid], f.entries)
		}
	}
}

// A scheduler that counts anew is followed, and so is a learner that begins late.
func TestWindowRestart(t *testing.T) {
	f := newFeed(t, 5, 100, 1000)
	for _, from := range []uint64{1 << 40, 0, 1 << 20} {
		before := len(f.pairs)
		for i := range uint64(2000) {
			f.add(entry(from + i))
		}
		if got := len(f.pairs) - before; got < 1980 {
			t.Errorf("of 2000 entries from %d, %d were learned from; %+v", from, got, f.entries)
		}
	}
}

// The first entries that make a run are the beginning, whatever their numbers: training does not wait for others before
// them, unless those come meanwhile.
func TestWindowBegins(t *testing.T) {
	for _, c := range []struct {
		order []uint64
		pairs int
	}{
		{[]uint64{0, 1, 2, 3, 4}, 4},
		{[]uint64{1, 2, 3, 4}, 0},
		{[]uint64{1, 2, 3, 4, 5}, 4},
		{[]uint64{147, 146, 145, 149, 148}, 4},
		{[]uint64{3, 4, 5, 0, 1, 2}, 5},
		{[]uint64{3, 4, 6, 7, 8}, 0},
		{[]uint64{3, 4, 6, 7, 8, 5}, 5},
	} {
		f := newFeed(t, 5, 100, 1000)
		for _, eid := range c.order {
			f.add(entry(eid))
		}
		if len(f.pairs) != c.pairs {
			t.Errorf("of the entries %v, %d were learned from, want %d", c.order, len(f.pairs), c.pairs)
		}
	}
}

// FuzzWindow feeds a window whatever comes: it gives out consecutive runs of what was put in, none of it twice, and
// holds no more than its bounds.
func FuzzWindow(f *testing.F) {
	f.Add([]byte{5, 20, 0, 0, 0, 1, 0, 2, 0, 3, 0, 3, 0, 9})
	f.Add([]byte{1, 3, 255, 255, 0, 1, 0, 0, 128, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 2 {
			return
		}
		size, patience := 1+int(data[0]%16), 1+int(data[1]%50)
		w := newFeed(t, size, patience, 200)
		seen := map[uint64]bool{}
		for data = data[2:]; len(data) >= 2; data = data[2:] {
			eid := uint64(binary.LittleEndian.Uint16(data))
			if data[0]&7 == 7 {
				eid <<= 40
			}
			seen[eid] = true
			w.add(entry(eid))
			if w.pending-w.run >= patience+1 || w.pending > 200+size {
				t.Fatalf("%d entries are held, %d of them in a run", w.pending, w.run)
			}
		}
		w.finish(w.out)
		if w.pending != 0 {
			t.Errorf("%d entries are left", w.pending)
		}
		for eid := range w.given {
			if !seen[eid] {
				t.Errorf("entry %d was never put in", eid)
			}
		}
	})
}

func BenchmarkWindow(b *testing.B) {
	w := newWindow(10, 100, 10_000)
	state := make([]float64, 5)
	order := shuffled(rand.New(rand.NewPCG(1, 1)), 1<<16, 20)
	b.ReportAllocs()
	for i := range b.N {
		w.add(Entry{EID: order[i&0xffff] + uint64(i)&^0xffff, State: state}, func(func(int) *Entry, int, bool, bool) {})
	}
}
