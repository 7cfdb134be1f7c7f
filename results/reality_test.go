package results

import (
	"strings"
	"testing"
	"time"
)

// realPoint is a point of one real replication whose requests took 100 ms.
func realPoint(reality Reality) *Point {
	p := pointOf(100)
	for range Batches {
		b := NewTally("f")
		b.Add(completed(0, 100*ms))
		p.Replications[0].Batches = append(p.Replications[0].Batches, b)
	}
	p.Replications[0].Reality = &reality
	return p
}

// notes are the warnings of a run of these points.
func notes(points ...*Point) string {
	return strings.Join((&Run{World: "real", Points: points}).Warnings(), "\n")
}

// The generator is called late where more than 1 % of the requests were, and that is no luck: one of few is no reason.
func TestLateVerdict(t *testing.T) {
	for _, x := range []struct {
		requests, late int
		is             bool
	}{
		{36, 1, false}, {36, 4, false}, {36, 5, true}, {4, 4, false}, {5, 5, true}, {500, 9, false}, {500, 10, true},
		{10_000, 100, false}, {10_000, 117, false}, {10_000, 118, true}, {1_000_000, 10_500, true},
	} {
		of := NewPunctuality()
		for i := range x.requests {
			if i < x.late {
				of.Add(20 * ms) // 2 ms are tolerated
			} else {
				of.Add(100 * time.Microsecond)
			}
		}
		for what, r := range map[string]Reality{"generator was late": {Sent: of.Lateness()},
			"links were late": {Links: &Links{Lateness: of.Lateness()}}} {
			if is := strings.Contains(notes(realPoint(r)), what); is != x.is {
				t.Errorf("%d of %d late: %s: %v", x.late, x.requests, what, is)
			}
		}
	}
}
