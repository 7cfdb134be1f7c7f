package simnet

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// reference is the obvious queue: a slice, sorted by time, equal times in order of entry.
type reference struct{ items []event }

func (r *reference) push(e event) {
	i := sort.Search(len(r.items), func(i int) bool { return r.items[i].at > e.at })
	r.items = append(r.items, event{})
	copy(r.items[i+1:], r.items[i:])
	r.items[i] = e
}

func (r *reference) pop(limit core.Time) (event, bool) {
	if len(r.items) == 0 || r.items[0].at > limit {
		return event{}, false
	}
	e := r.items[0]
	r.items = r.items[1:]
	return e, true
}

// drive plays a script against both queues. Each byte pair is an operation and its size.
func drive(script []byte) error {
	c, r := newCalendar(), &reference{}
	var now core.Time
	id := uint64(0)
	check := func(limit core.Time) (bool, error) {
		want, ok := r.pop(limit)
		got := c.pop(limit)
		if (got != nil) != ok {
			return false, fmt.Errorf("at %v, limit %v: calendar has an event: %v, reference: %v", now, limit, got != nil, ok)
		}
		if !ok {
			if limit < core.Never-1 {
				now = max(now, limit)
			}
			return false, nil
		}
		if got.at != want.at || got.aux != want.aux {
			return false, fmt.Errorf("at %v: got event %d of %v, want %d of %v", now, got.aux, got.at, want.aux, want.at)
		}
		now = got.at
		return true, nil
	}
	for len(script) >= 2 {
		op, size := script[0], core.Time(script[1])
		script = script[2:]
		switch op % 8 {
		case 0, 1, 2: // one event, at a distance of any magnitude
			id++
			at := now + size<<(op/8)
			c.push(at, evTimer, 0, 0, id)
			r.push(event{at: at, aux: id})
		case 3: // many at one instant
			for range size {
				id++
				c.push(now+5, evTimer, 0, 0, id)
				r.push(event{at: now + 5, aux: id})
			}
		case 4, 5, 6:
			for range size {
				if ok, err := check(core.Never - 1); err != nil || !ok {
					if err != nil {
						return err
					}
					break
				}
			}
		case 7:
			if _, err := check(now + size<<(op/8)); err != nil {
				return err
			}
		}
	}
	for {
		if ok, err := check(core.Never - 1); err != nil || !ok {
			return err
		}
	}
}

func FuzzCalendar(f *testing.F) {
	f.Add([]byte{0, 1, 8, 2, 255, 3, 4, 2, 3, 9, 7, 4, 4, 200})
	f.Fuzz(func(t *testing.T, script []byte) {
		if err := drive(script); err != nil {
			t.Error(err)
		}
	})
}

// The hold model: a constant number of events, each popped one replaced. Long enough for many layouts.
func TestCalendarAgainstReference(t *testing.T) {
	for _, pending := range []int{1, 3, 100, 5000} {
		r := rand.New(rand.NewPCG(1, uint64(pending)))
		c, ref := newCalendar(), &reference{}
		id := uint64(0)
		push := func(now core.Time) {
			id++
			d := core.Time(r.ExpFloat64() * 1e6)
			switch r.IntN(20) {
			case 0:
				d = 0
			case 1:
				d *= 10_000
			case 2:
				d = 1000
			}
			c.push(now+d, evTimer, 0, 0, id)
			ref.push(event{at: now + d, aux: id})
		}
		for range pending {
			push(0)
		}
		for range 100_000 {
			want, _ := ref.pop(core.Never - 1)
			got := c.pop(core.Never - 1)
			if got == nil || got.at != want.at || got.aux != want.aux {
				t.Fatalf("pending %d: got %+v, want %+v", pending, got, want)
			}
			push(want.at)
		}
	}
}

// A far event must not draw today after it: what comes before it has to find buckets.
func TestCalendarWithAFarEvent(t *testing.T) {
	c := newCalendar()
	far := core.Time(1) << 44
	c.push(far, evTimer, 0, 0, 0)
	if c.pop(1e9) != nil {
		t.Fatal("an event after the limit")
	}
	for i := range 10_000 {
		c.push(core.Time(1e9+i*1000), evTimer, 0, 0, uint64(i+1))
	}
	if len(c.today) > 1000 {
		t.Errorf("%d events in today", len(c.today))
	}
	for i := range 10_000 {
		if e := c.pop(far); e == nil || e.aux != uint64(i+1) {
			t.Fatalf("event %d: %+v", i, e)
		}
	}
}

// A burst after a quiet time: buckets as wide as the quiet needs would hold all of it, and today would be a long list.
func TestCalendarWithABurst(t *testing.T) {
	c := newCalendar()
	now := core.Time(0)
	for range 2 * reviewPeriod {
		c.push(now+1e9, evTimer, 0, 0, 0)
		now = c.pop(core.Never - 1).at
	}
	r, ref := rand.New(rand.NewPCG(1, 1)), &reference{}
	longest := 0
	for id := range uint64(100_000) {
		at := now + core.Time(r.IntN(1e6))
		c.push(at, evTimer, 0, 0, id)
		ref.push(event{at: at, aux: id})
		longest = max(longest, len(c.today)-c.first)
		if len(ref.items) > 2000 {
			want, _ := ref.pop(core.Never)
			if e := c.pop(core.Never - 1); e == nil || e.at != want.at || e.aux != want.aux {
				t.Fatalf("event %d: %+v, want %+v", id, e, want)
			}
			now = want.at
		}
	}
	if longest > 2*crowd {
		t.Errorf("%d events in today", longest)
	}
}

// Many events of one instant: timers of all nodes set at the start. Neither to take them out nor to add to them may cost
// the square of their number, which would be hundreds of times what as many events of different instants cost.
func TestCalendarOfOneInstant(t *testing.T) {
	const n = 300_000
	took := func(at, again func(i int) core.Time) time.Duration {
		began := time.Now()
		c := newCalendar()
		for i := range n {
			c.push(at(i), evTimer, core.NodeID(i), 0, 0)
		}
		for i := range n {
			if e := c.pop(core.Never - 1); e == nil || e.node != core.NodeID(i) {
				t.Fatalf("event %d: %+v", i, e)
			}
			c.push(again(i), evTimer, core.NodeID(i), 0, 0)
		}
		for last := core.Time(0); c.size > 0 || c.first < len(c.today); {
			e := c.pop(core.Never - 1)
			if e == nil || e.at < last {
				t.Fatalf("after %v: %+v", last, e)
			}
			last = e.at
		}
		return time.Since(began)
	}
	apart := took(func(i int) core.Time { return core.Time(1e9 + i*1e3) }, func(i int) core.Time { return core.Time(2e9 + i*1e3) })
	for tries := 1; ; tries++ { // the machine may stand still in one of them
		together := took(func(int) core.Time { return 1e9 }, func(i int) core.Time { return core.Time(1e9 + 1e6 + i%1000) })
		if together <= 50*apart {
			break
		}
		if tries == 3 {
			t.Fatalf("events of one instant took %v, of different ones %v", together, apart)
		}
	}
}

// A chain of one pending event in a bucket that a quiet time made wide leaves nothing behind.
func TestCalendarKeepsNoPast(t *testing.T) {
	c := newCalendar()
	c.push(0, evTimer, 0, 0, 0)
	for i := range 100_000 {
		gap := core.Time(1e9)
		if i >= 2*reviewPeriod {
			gap = 1e3
		}
		c.push(c.pop(core.Never-1).at+gap, evTimer, 0, 0, 0)
	}
	if cap(c.today) > 1000 {
		t.Errorf("room for %d events, and one is pending", cap(c.today))
	}
}
