package results

import (
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/learner"
)

// What a request cost, and what its client knows of it, is said alike of both worlds.
func TestRecordSaysWhatItWasWorth(t *testing.T) {
	r := Record{Node: 1, Function: 2, Outcome: core.Completed, Executor: 3, Hops: 2, Retries: 1, Latency: 3 * time.Second, Deadline: 2 * time.Second,
		Timing: core.Timing{Executing: 1500 * time.Millisecond}}
	if j := r.Energy(4, 0.001, 100, 10); j != 4*1.5+(3*100+2*10)*0.001 {
		t.Errorf("it cost %g J", j)
	}
	r.EnergyJ = 7
	want := learner.Answer{Completed: true, Forwarded: true, Latency: 3, Deadline: 2, Energy: 7, Hops: 2, Type: 2, Function: "f", Action: 5}
	var a learner.Answer
	if r.Answer(&a, "f", 5); a != want {
		t.Errorf("its client knows %+v, want %+v", a, want)
	}
	r.Executor, r.Outcome = core.NoNode, core.NoRoom
	want.Completed, want.Forwarded, want.Rejected, want.Action = false, false, true, -1
	if r.Answer(&a, "f", -1); a != want {
		t.Errorf("the client of one that was refused knows %+v, want %+v", a, want)
	}
}
