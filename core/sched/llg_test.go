package sched

import (
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestLLg(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		gloss      string
		named      params
		mean       time.Duration
		own, peer  int
		speed      [2]float32
		rtt        time.Duration
		want       core.Verdict
		neverAsked bool
	}{
		{"below the threshold", params{"threshold": 3}, 100 * ms, 2, 0, [2]float32{1, 1}, 0, core.Execute(), true},
		{"equal nodes, no link: as loads", nil, 100 * ms, 3, 2, [2]float32{1, 1}, 0, core.Forward(1), false},
		{"equal delay stays", nil, 100 * ms, 3, 3, [2]float32{1, 1}, 0, core.Execute(), false},
		{"the link eats the gain", nil, 100 * ms, 3, 2, [2]float32{1, 1}, 100 * ms, core.Execute(), false},
		{"most of it", nil, 100 * ms, 3, 2, [2]float32{1, 1}, 99 * ms, core.Forward(1), false},
		{"an idle but slow peer", nil, 100 * ms, 2, 0, [2]float32{1, 0.25}, 0, core.Execute(), false},
		{"a fast one with more tasks", nil, 100 * ms, 2, 3, [2]float32{1, 2}, 0, core.Forward(1), false},
		{"unknown mean: loads and speeds", nil, 0, 3, 2, [2]float32{1, 1}, time.Hour, core.Forward(1), false},
		{"the parameter is the mean", params{"service": "50ms"}, 100 * ms, 3, 2, [2]float32{1, 1}, 60 * ms, core.Execute(),
			false},
	} {
		t.Run(c.gloss, func(t *testing.T) {
			w := coretest.NewScript(0, c.own, c.peer)
			w.Mean, w.Own.Speed, w.Peers[0].Load.Speed, w.Peers[0].RTT = c.mean, c.speed[0], c.speed[1], c.rtt
			wantVerdict(t, with(t, "LLg", c.named).Schedule(w, task()), c.want)
			if (len(w.Asked) == 0) != c.neverAsked {
				t.Errorf("asked %v", w.Asked)
			}
		})
	}
}
