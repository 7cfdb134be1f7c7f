package core_test

import (
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

const ms = core.Time(time.Millisecond)

// The world's own arithmetic: a task that is forwarded and waits takes as long as its parts say.
func TestWorld(t *testing.T) {
	s := coretest.Setup{Nodes: 2, Slots: 1, Room: 1, Latency: 5 * time.Millisecond,
		Forwarding: core.Forwarding{MaxHops: 1},
		Scheduler:  coretest.Everywhere(func(core.Env, *core.Task) core.Verdict { return core.Forward(1) })}
	w := coretest.NewWorld(t, s, 1)
	w.Submit(10*ms, 1, coretest.Request{Service: 100 * time.Millisecond})
	i := w.Submit(20*ms, 0, coretest.Request{Service: 30 * time.Millisecond})
	got := w.Run()[i]
	want := coretest.Result{Outcome: core.Completed, Executor: 1, Hops: 1, Latency: 125 * time.Millisecond,
		Timing: core.Timing{Forwarding: 5 * time.Millisecond, Waiting: 85 * time.Millisecond,
			Executing: 30 * time.Millisecond, Returning: 5 * time.Millisecond}}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
