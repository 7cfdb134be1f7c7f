package sched

import (
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestPowerOfNTau(t *testing.T) {
	running, queued := coretest.Loaded(1), coretest.Loaded(5)
	running.Running, running.Slots = 3, 4
	queued.Slots = 4 // one running, four queued
	for _, c := range []struct {
		gloss string
		own   core.Load
		rtt   time.Duration
		want  core.Verdict
		slept []time.Duration
	}{
		{"queued tasks do not count", queued, 0, core.Execute(), nil},
		{"it sleeps for what is missing of tau", running, 30 * time.Millisecond, core.Forward(1),
			[]time.Duration{170 * time.Millisecond}},
		{"probing took longer than tau", running, time.Second, core.Forward(1), nil},
	} {
		t.Run(c.gloss, func(t *testing.T) {
			w := coretest.NewScript(0, 0, 2)
			w.Own, w.Naps = c.own, 1
			probed := false
			w.Meanwhile = func(w *coretest.Script) {
				if !probed {
					probed = true
					w.Clock = w.Clock.Add(c.rtt)
				}
			}
			s := with(t, "PowerOfNSchedulerTau", params{"tau": "200ms"})
			wantVerdict(t, s.Schedule(w, task()), c.want)
			if len(w.Slept) != len(c.slept) || len(w.Slept) > 0 && w.Slept[0] != c.slept[0] {
				t.Errorf("slept %v, want %v", w.Slept, c.slept)
			}
		})
	}
}
