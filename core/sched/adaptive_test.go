package sched

import (
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestAdaptiveThreshold(t *testing.T) {
	decide := func(s *AdaptiveThreshold, own, peer, times int) {
		w := coretest.NewScript(0, own, peer)
		w.Own.Slots, w.Own.Room = 2, 3
		for range times {
			s.Schedule(w, task())
		}
	}
	for _, c := range []struct {
		gloss string
		f     func(s *AdaptiveThreshold)
		want  int
	}{
		{"before the window is full", func(s *AdaptiveThreshold) { decide(s, 4, 1, 9) }, 2},
		{"probes that succeed lower it", func(s *AdaptiveThreshold) { decide(s, 4, 1, 10) }, 1},
		{"to 0 at least", func(s *AdaptiveThreshold) { decide(s, 4, 1, 50) }, 0},
		{"probes in vain raise it", func(s *AdaptiveThreshold) { decide(s, 4, 4, 10) }, 3},
		{"to K+Q at most", func(s *AdaptiveThreshold) { decide(s, 9, 9, 100) }, 5},
		{"decisions below it do not count", func(s *AdaptiveThreshold) { decide(s, 1, 0, 100) }, 2},
		{"some of each leave it", func(s *AdaptiveThreshold) { decide(s, 4, 1, 5); decide(s, 4, 4, 5) }, 2},
		{"the share that counts", func(s *AdaptiveThreshold) { decide(s, 4, 1, 6); decide(s, 4, 4, 4) }, 1},
		{"on the other side", func(s *AdaptiveThreshold) { decide(s, 4, 1, 2); decide(s, 4, 4, 8) }, 3},
		{"a window begins anew", func(s *AdaptiveThreshold) { decide(s, 4, 1, 10); decide(s, 4, 4, 10) }, 2},
	} {
		s := with(t, "AdaptiveThreshold", params{"window": 10}).(*AdaptiveThreshold)
		c.f(s)
		if got := s.Threshold + s.change; got != c.want {
			t.Errorf("%s: the threshold is %d, want %d", c.gloss, got, c.want)
		}
	}
	s := with(t, "AdaptiveThreshold", params{"fanout": 2})
	wantVerdict(t, s.Schedule(coretest.NewScript(0, 2, 1, 0), task()), core.Forward(2, 1))
	wantVerdict(t, s.Schedule(coretest.NewScript(0, 1, 0, 0), task()), core.Execute())
	if _, err := Parse("AdaptiveThreshold", params{"low": 0.7}); err == nil {
		t.Error("low above high was accepted")
	}
}
