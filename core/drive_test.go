package core_test

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

// sleepers is a node whose decisions sleep for as long as their task's Type says in milliseconds.
func sleepers(order *[]core.TaskID) *handHost {
	return newHandHost(&core.Topology{Nodes: 1, Cloud: core.NoNode}, &core.Config{Slots: 100},
		coretest.Everywhere(func(env core.Env, t *core.Task) core.Verdict {
			if t.Type > 0 {
				env.Sleep(time.Duration(t.Type) * time.Millisecond)
			}
			*order = append(*order, t.ID)
			return core.Execute()
		}))
}

func (h *handHost) submitType(now core.Time, id core.TaskID, sleep core.TaskType) {
	t := h.engine.NewTask()
	t.ID, t.Type = id, sleep
	h.nodes[0].Submit(now, t)
}

// What a step wakes runs before the next step, whatever stack it is on; what the last one wakes, before Drive returns.
func TestDrive(t *testing.T) {
	var order []core.TaskID
	h := sleepers(&order)
	defer h.engine.Close()
	steps := []func(){
		func() { h.submitType(0, 0, 2) },
		func() { h.submitType(0, 1, 1) },
		func() { h.submitType(0, 2, 0) },
		func() { h.nodes[0].Fire(1*ms, h.armed[1]) },
		func() { h.submitType(1*ms, 3, 0); h.submitType(1*ms, 4, 3); h.submitType(1*ms, 5, 0) },
		func() { h.nodes[0].Fire(2*ms, h.armed[0]) },
		func() { h.nodes[0].Fire(4*ms, h.armed[2]) },
	}
	ended := []int{0, 0, 1, 2, 4, 5}
	i := 0
	h.engine.Drive(func() bool {
		if i > 0 && len(order) != ended[i-1] {
			t.Errorf("after step %d, %v have ended", i-1, order)
		}
		steps[i]()
		i++
		return i < len(steps)
	})
	if want := []core.TaskID{2, 1, 3, 5, 0, 4}; !slices.Equal(order, want) {
		t.Errorf("decided in the order %v, want %v", order, want)
	}
}

// A panic and a Goexit (here SkipNow's) of a step end who called Drive. The engine can still be given inputs and closed,
// and leaves nothing behind but the one goroutine that cannot be ended.
func TestDriveBreaks(t *testing.T) {
	for name, left := range map[string]int{"panic": 0, "goexit": 1} {
		before := runtime.NumGoroutine()
		var order []core.TaskID
		var cause any
		h := sleepers(&order)
		skipped := false
		t.Run(name, func(t *testing.T) {
			defer func() { skipped, cause = t.Skipped(), recover() }()
			h.engine.Drive(func() bool {
				h.submitType(0, 0, 1)
				switch {
				case len(h.armed) < 2:
				case name == "panic":
					panic(name)
				default:
					t.SkipNow()
				}
				return true
			})
			t.Error("Drive has returned")
		})
		if skipped != (name == "goexit") || (cause == "panic") != (name == "panic") {
			t.Errorf("%s: skipped %v, panicked with %v", name, skipped, cause)
		}
		h.nodes[0].Fire(1*ms, h.armed[1])
		if len(order) != 1 {
			t.Errorf("%s: %d decisions have gone on after Drive, want 1", name, len(order))
		}
		h.engine.Close()
		wantGoroutines(t, before+left)
	}
}

// Close ends every goroutine, however lanes and goroutines were mixed up.
func TestCloseEndsAll(t *testing.T) {
	before := runtime.NumGoroutine()
	var order []core.TaskID
	h := sleepers(&order)
	i := 0
	h.engine.Drive(func() bool {
		switch {
		case i%3 < 2:
			h.submitType(core.Time(i), core.TaskID(i), 1)
		case i%2 == 0:
			h.nodes[0].Fire(core.Time(i), h.armed[i/3])
		default:
			h.nodes[0].Fire(core.Time(i), h.armed[len(h.armed)-1-i/4])
		}
		i++
		return i < 100
	})
	if n := runtime.NumGoroutine() - before; len(order) < 20 || n < 20 {
		t.Fatalf("%d decisions have ended and there are %d goroutines: not what was to be tried", len(order), n)
	}
	h.engine.Close()
	wantGoroutines(t, before)
}

// wantGoroutines waits until there are no more than so many: some may be about to exit, of the tests before too. It tries for seconds, and has
// no clock to say so.
func wantGoroutines(t *testing.T, want int) {
	t.Helper()
	for range 30_000_000 {
		if runtime.NumGoroutine() <= want {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("%d goroutines, want %d at most", runtime.NumGoroutine(), want)
}

// A decision of a crashed node asks nobody and tells nobody while it unwinds.
func TestDeadAsksNobody(t *testing.T) {
	for name, ask := range map[string]func(core.Env){
		"probe": func(env core.Env) { env.Probe(1) },
		"ask":   func(env core.Env) { env.Ask(core.Note{}, 1) },
		"pull":  func(env core.Env) { _, _ = env.Pull(1, 1, 0) },
		"tell":  func(env core.Env) { env.Tell(1, core.Note{}) },
		"sleep": func(env core.Env) { env.Sleep(time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHandHost(&core.Topology{Nodes: 2, Cloud: core.NoNode}, &core.Config{Slots: 1},
				coretest.Everywhere(func(env core.Env, _ *core.Task) core.Verdict {
					defer ask(env)
					env.Sleep(time.Second)
					return core.Execute()
				}))
			defer h.engine.Close()
			h.submit(0)
			h.nodes[0].Crash(ms)
			h.wantDone(t, core.LostNodeDown)
			if len(h.sent) > 0 || len(h.armed) != 1 || len(h.faults) > 0 {
				t.Errorf("sent %v, armed %v, faults %v", h.sent, h.armed, h.faults)
			}
		})
	}
}
