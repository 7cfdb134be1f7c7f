package sched

import (
	"math"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestStaleJSQGoesByWhatIsPosted(t *testing.T) {
	s := with(t, "StaleJSQ", params{"d": 3}).(*StaleJSQ)
	w := coretest.NewScript(0, 4, 0, 9)
	w.Answer = func(n core.Note) core.Note { return s.Receive(w, 0, n) }
	post := func(n int64) func(core.Note) core.Note { return func(core.Note) core.Note { return core.Note{Int: n} } }
	w.Peer(1).Answer, w.Peer(2).Answer = post(5), post(3) // the idle peer 1 posted 5

	if got := s.Receive(w, 1, core.Note{}); got.Int != 0 {
		t.Errorf("before its first epoch it answers %d, want 0", got.Int)
	}
	wantShares(t, shares(t, 100, 3, s, w), 1, 0, 0) // the own node has 0 posted, not 4
	w.Run(s.Start)
	if got := s.Receive(w, 1, core.Note{}); got.Int != 4 {
		t.Errorf("it answers %d, want 4", got.Int)
	}
	w.Own = coretest.Loaded(0)
	wantShares(t, shares(t, 100, 3, s, w), 0, 0, 1)
	w.Peer(2).Answer = post(4)
	wantShares(t, shares(t, 20000, 3, s, w), .5, 0, .5)
}

func TestStaleJSQEpochs(t *testing.T) {
	w := coretest.NewScript(0, 0)
	w.Naps, w.Clock = 3, core.Time(2500*time.Millisecond)
	w.Run(with(t, "StaleJSQ", params{"period": "1s"}).(*StaleJSQ).Start)
	if w.Slept[0] != 500*time.Millisecond || w.Slept[1] != time.Second || w.Slept[2] != time.Second {
		t.Errorf("slept %v, want to the next multiples of the period", w.Slept)
	}

	w = coretest.NewScript(0, 0)
	w.Naps = 10000
	w.Run(with(t, "StaleJSQ", params{"period": "2s", "epochs": "exponential"}).(*StaleJSQ).Start)
	sum, square := 0.0, 0.0
	for _, d := range w.Slept {
		sum += d.Seconds()
		square += d.Seconds() * d.Seconds()
	}
	mean := sum / 10000
	if math.Abs(mean-2) > 0.1 || math.Abs(square/10000/mean/mean-2) > 0.2 {
		t.Errorf("gaps of mean %v and second moment %v, want exponential ones of mean 2", mean, square/10000)
	}
}
