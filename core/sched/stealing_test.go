package sched

import (
	"math"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestStealingWhenACompletionLeavesASlotFree(t *testing.T) {
	for _, c := range []struct {
		gloss         string
		named         params
		before, after int
		victim        int
		asked, got    int
	}{
		{"it empties, the victim has enough", params{}, 1, 0, 2, 1, 1},
		{"the victim has too few", params{}, 1, 0, 1, 1, 0},
		{"there is another task to execute", params{}, 2, 1, 5, 0, 0},
		{"a task came", params{}, 0, 1, 5, 0, 0},
		{"idle from the beginning", params{}, 0, 0, 5, 0, 0},
		{"not on this occasion", params{"on_empty": false, "retry": "1s"}, 1, 0, 5, 0, 0},
		{"a higher threshold", params{"threshold": 4}, 1, 0, 4, 1, 1},
		{"not reached", params{"threshold": 4}, 1, 0, 3, 1, 0},
		{"a batch", params{"batch": 3}, 1, 0, 9, 1, 3},
		{"never below the threshold less one", params{"batch": 9, "threshold": 3}, 1, 0, 5, 1, 3},
	} {
		w := coretest.NewScript(0, c.before, c.victim)
		s := with(t, "WorkStealing", c.named).(*WorkStealing)
		s.Changed(w)
		w.Own = coretest.Loaded(c.after)
		s.Changed(w)
		if got := w.Own.Total() - c.after; len(w.Asked) != c.asked || got != c.got {
			t.Errorf("%s: asked %d times and got %d tasks, want %d and %d", c.gloss, len(w.Asked), got, c.asked, c.got)
		}
	}
}

func TestStealingWithMoreSlots(t *testing.T) {
	w := coretest.NewScript(0, 0, 9)
	w.Own = core.Load{Running: 4, Capacity: core.Capacity{Slots: 4, Room: 4}}
	s := with(t, "WorkStealing", nil).(*WorkStealing)
	s.Changed(w)
	w.Own.Running = 3 // others run on, but there is a slot
	s.Changed(w)
	if w.Own.Total() != 4 {
		t.Errorf("it has %d tasks, want 4", w.Own.Total())
	}
}

func TestStealingRetries(t *testing.T) {
	w := coretest.NewScript(0, 0, 1)
	w.Naps = 10000
	s := with(t, "WorkStealing", params{"retry": "2s"}).(*WorkStealing)
	w.Run(s.Start)
	if len(w.Asked) != 10000 {
		t.Errorf("an idle node asked %d times in 10000 gaps", len(w.Asked))
	}
	if mean := float64(w.Clock) / 1e9 / 10000; math.Abs(mean-2) > 0.1 {
		t.Errorf("the mean gap is %v s, want 2", mean)
	}
	w.Own, w.Asked, w.Naps = coretest.Loaded(1), nil, 100
	w.Run(s.Start)
	if len(w.Asked) > 0 {
		t.Errorf("a busy node asked %d times", len(w.Asked))
	}
	w.Naps = 3
	w.Run(with(t, "WorkStealing", nil).(*WorkStealing).Start) // without retry it does not sleep at all
	if w.Naps != 3 {
		t.Error("without retry it has a clock")
	}
}

// Two attempts at once would bring two tasks for one slot.
func TestStealingOneAtATime(t *testing.T) {
	w := coretest.NewScript(0, 1, 9, 9)
	s := with(t, "WorkStealing", nil).(*WorkStealing)
	s.Changed(w)
	w.Own = coretest.Loaded(0)
	w.Meanwhile = func(w *coretest.Script) {
		w.Meanwhile = nil
		s.steal(w)
	}
	s.Changed(w)
	if w.Own.Total() != 1 {
		t.Errorf("it has %d tasks, want 1", w.Own.Total())
	}
	if s.stealing {
		t.Error("it takes itself to be stealing still")
	}
}

func TestStealingAlone(t *testing.T) {
	w := coretest.NewScript(0, 1)
	s := with(t, "WorkStealing", nil).(*WorkStealing)
	s.Changed(w)
	w.Own = coretest.Loaded(0)
	s.Changed(w)
	wantVerdict(t, s.Schedule(w, task()), core.Execute())
	if _, err := Parse("WorkStealing", params{"on_empty": false}); err == nil {
		t.Error("a node that never steals was accepted")
	}
}

// A node that crashed while it asked for tasks asks again when it is restarted with the value that it had.
func TestStealingRestarted(t *testing.T) {
	values := []core.Scheduler{with(t, "WorkStealing", params{"retry": "10ms"}), with(t, "WorkStealing", params{})}
	stolen := 0
	w := coretest.NewWorld(t, coretest.Setup{Nodes: 2, Slots: 1, Room: 50, Latency: 5 * time.Millisecond,
		Forwarding: core.Forwarding{MaxHops: 1, ProbeTimeout: time.Second, AnswerTimeout: time.Second},
		Scheduler:  func(n core.NodeID) core.Scheduler { return values[n] }}, 1)
	const ms = core.Time(time.Millisecond)
	for at := 50 * ms; at < 250*ms; at += 7 * ms { // at some of these instants it is asking
		w.Crash(at, 0)
		w.Restart(at+ms, 0)
	}
	for range 10 {
		w.Submit(300*ms, 1, coretest.Request{Service: 50 * time.Millisecond})
	}
	for _, r := range w.Run() {
		if r.Executor == 0 {
			stolen++
		}
	}
	if stolen == 0 {
		t.Error("nothing is stolen after the restart")
	}
}
