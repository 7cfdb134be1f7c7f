package coretest

import (
	"errors"
	"runtime"
	"slices"

	"github.com/p2pfaas/p2pfaas/core"
)

// What a node does by itself.

func testAdmission(b *bench) {
	b.set(Setup{Nodes: 1, Slots: 2, Room: 3})
	for range 7 {
		b.submit(10, 0, 100)
	}
	b.play()
	var completed, refused int
	for _, r := range b.results {
		switch r.Outcome {
		case core.Completed:
			completed++
		case core.NoRoom:
			refused++
			b.near("latency of a refusal", r.Latency, 0)
		}
	}
	equal(b, "completed", completed, 5)
	equal(b, "refused", refused, 2)
}

// order submits four requests while another one executes, and checks the order in which they are served.
func order(b *bench, d core.Discipline, requests [4]Request, want ...int) {
	b.set(Setup{Nodes: 1, Slots: 1, Room: 9, Discipline: d})
	b.submit(10, 0, 100)
	for i, r := range requests {
		if r.Service == 0 {
			r.Service = 40 * ms
		}
		b.Submit(at(20+10*i), 0, r)
	}
	b.play()
	end := func(i int) core.Time {
		if i == 0 {
			return 0
		}
		return at(10 + 10*i).Add(b.results[i].Latency)
	}
	got := []int{1, 2, 3, 4}
	slices.SortFunc(got, func(i, j int) int { return int(end(i) - end(j)) })
	if !slices.Equal(got, want) {
		b.Errorf("served in the order %v, want %v", got, want)
	}
	for _, r := range b.results {
		equal(b, "outcome", r.Outcome, core.Completed)
	}
}

func testFIFO(b *bench) { order(b, core.FIFO, [4]Request{}, 1, 2, 3, 4) }

func testLIFO(b *bench) { order(b, core.LIFO, [4]Request{}, 4, 3, 2, 1) }

func testPriority(b *bench) {
	order(b, core.ByPriority, [4]Request{{Priority: 2}, {Priority: 0}, {Priority: 2}, {Priority: 0}}, 2, 4, 1, 3)
}

func testEarliestDeadline(b *bench) {
	order(b, core.EarliestDeadline, [4]Request{{}, {Budget: 900 * ms}, {Budget: 800 * ms}, {Budget: 950 * ms}}, 3, 2, 4, 1)
}

func testShortest(b *bench) {
	b.set(Setup{Nodes: 1, Slots: 1})
	if b.Limits().HidesDemand {
		b.Skip("the nodes of this host do not know how long an execution will take")
	}
	order(b, core.ShortestJob, [4]Request{{Service: 60 * ms}, {Service: 40 * ms}, {Service: 80 * ms}, {Service: 20 * ms}},
		4, 2, 1, 3)
}

func testAbandon(b *bench) {
	b.set(Setup{Nodes: 2, Slots: 1, Room: 9, Abandon: true, Forwarding: core.Forwarding{MaxHops: 1},
		Scheduler: Everywhere(func(core.Env, *core.Task) core.Verdict { return core.Forward(0) })})
	late := b.Submit(at(10), 0, Request{Service: 200 * ms, Budget: 100 * ms})
	waits := b.Submit(at(20), 0, Request{Service: 20 * ms, Budget: 100 * ms})
	patient := b.Submit(at(30), 0, Request{Service: 20 * ms})
	remote := b.Submit(at(40), 1, Request{Service: 20 * ms, Budget: 100 * ms})
	b.play()
	b.ended(late, core.Completed, 0, 200) // what executes is not abandoned
	b.ended(waits, core.Expired, core.NoNode, 100)
	b.near("waiting of the abandoned request", b.results[waits].Timing.Waiting, 100)
	b.ended(patient, core.Completed, 0, 200)
	b.ended(remote, core.Expired, core.NoNode, 105) // the deadline travels with the task
}

func testConfigure(b *bench) {
	b.set(Setup{Nodes: 1, Slots: 1, Room: 1})
	two, none := int32(2), int32(0)
	first := b.submit(10, 0, 200)
	second := b.submit(20, 0, 200)
	refused := b.submit(30, 0, 200)
	b.Configure(at(50), 0, core.Change{Slots: &two})
	third := b.submit(60, 0, 200)
	b.Configure(at(70), 0, core.Change{Room: &two})
	fourth := b.submit(80, 0, 200)
	b.Configure(at(90), 0, core.Change{Room: &none})
	late := b.submit(100, 0, 200)
	b.play()
	b.ended(first, core.Completed, 0, 200)
	b.ended(second, core.Completed, 0, 230) // from 50 to 250
	b.ended(refused, core.NoRoom, core.NoNode, 0)
	b.ended(third, core.Completed, 0, 350)  // from 210 to 410
	b.ended(fourth, core.Completed, 0, 370) // from 250 to 450
	b.ended(late, core.NoRoom, core.NoNode, 0)
}

func testConfigureScheduler(b *bench) {
	reject := Func(func(core.Env, *core.Task) core.Verdict { return core.Reject(core.Rejected) })
	b.set(Setup{Nodes: 1, Slots: 1, Scheduler: Everywhere(func(env core.Env, _ *core.Task) core.Verdict {
		env.Sleep(50 * ms)
		return core.Execute()
	})})
	before := b.submit(10, 0, 20)
	b.Configure(at(30), 0, core.Change{Scheduler: reject})
	after := b.submit(40, 0, 20)
	b.play()
	b.ended(before, core.Completed, 0, 70) // a decision under way ends under the old algorithm
	b.near("time in the decision", b.results[before].Timing.Scheduling, 50)
	b.ended(after, core.Rejected, core.NoNode, 0)
}

func testCancel(b *bench) {
	b.set(Setup{Nodes: 2, Slots: 1, Room: 9, Forwarding: core.Forwarding{MaxHops: 1},
		Scheduler: Everywhere(func(env core.Env, t *core.Task) core.Verdict {
			if t.Priority == 1 {
				env.Sleep(100 * ms)
			}
			return core.Forward(1)
		})})
	decides := b.Submit(at(10), 1, Request{Service: 50 * ms, Priority: 1})
	remote := b.submit(10, 0, 300)
	waits := b.submit(30, 1, 50)
	queued := b.submit(50, 1, 50)
	b.Cancel(at(60), 1, decides)
	b.Cancel(at(70), 1, queued)
	b.Cancel(at(100), 0, remote)
	b.play()
	b.ended(remote, core.LostClientGone, core.NoNode, 90)
	b.ended(decides, core.LostClientGone, core.NoNode, 100) // when the decision is over
	b.ended(queued, core.LostClientGone, core.NoNode, 20)
	b.ended(waits, core.Completed, 1, 125) // from 105, when the peer hears of it
}

func testCrash(b *bench) {
	resumed, unwound := 0, 0
	b.set(Setup{Nodes: 2, Slots: 1, Room: 9, Forwarding: core.Forwarding{MaxHops: 1, AnswerTimeout: 150 * ms},
		Scheduler: func(id core.NodeID) core.Scheduler {
			return Func(func(env core.Env, t *core.Task) core.Verdict {
				if id == 0 {
					return core.Forward(1)
				}
				if t.Priority == 1 {
					defer func() { unwound++ }()
					env.Sleep(200 * ms)
					resumed++
				}
				return core.Execute()
			})
		}})
	runs := b.submit(10, 1, 200)
	remote := b.submit(20, 0, 100)
	decides := b.Submit(at(30), 1, Request{Service: 50 * ms, Priority: 1})
	b.Crash(at(60), 1)
	down := b.submit(80, 1, 50)
	b.Restart(at(120), 1)
	again := b.submit(140, 1, 50)
	b.play()
	b.ended(runs, core.LostNodeDown, b.results[runs].Executor, 50)
	b.ended(decides, core.LostNodeDown, core.NoNode, 30)
	b.ended(down, core.LostNodeDown, core.NoNode, 0)
	b.ended(again, core.Completed, 1, 50)
	equal(b, "outcome of what the crashed node held for another", b.results[remote].Outcome, core.Completed)
	equal(b, "its executor", b.results[remote].Executor, 0)
	equal(b, "decisions that went on after the crash", resumed, 0)
	equal(b, "decisions that the crash ended", unwound, 1)
}

// fault runs one request through an algorithm that makes a mistake, and then one through the fallen node.
func fault(b *bench, f Func) {
	b.set(Setup{Nodes: 2, Slots: 1, Room: 9, Forwarding: core.Forwarding{MaxHops: 1},
		Scheduler: Everywhere(func(env core.Env, t *core.Task) core.Verdict {
			if t.Priority == 0 {
				return core.Execute()
			}
			return f(env, t)
		})})
	good := b.submit(10, 1, 50)
	bad := b.Submit(at(20), 1, Request{Service: 50 * ms, Priority: 1})
	var next []int
	if !b.Limits().FaultEnds {
		for i := range 4 {
			next = append(next, b.submit(100+60*i, 1, 50))
		}
	}
	b.results = b.Cluster.Run()
	faults := b.Faults()
	if len(faults) != 1 {
		b.Fatalf("%d faults, want 1: %v", len(faults), faults)
	}
	equal(b, "node of the fault", faults[0].Node, 1)
	equal(b, "task of the fault", faults[0].Task, core.TaskID(bad))
	if b.Limits().FaultEnds {
		return
	}
	b.ended(bad, core.Rejected, core.NoNode, 0)
	for _, i := range append(next, good) {
		b.ended(i, core.Completed, 1, 50)
	}
}

func testPanic(b *bench) {
	oops := errors.New("oops")
	fault(b, func(core.Env, *core.Task) core.Verdict { panic(oops) })
	f := b.Faults()[0]
	if f.Cause != oops || f.Stack == nil {
		b.Errorf("cause %v, stack of %d bytes, want what it panicked with, and a stack", f.Cause, len(f.Stack))
	}
}

func testGoexit(b *bench) {
	fault(b, func(core.Env, *core.Task) core.Verdict {
		runtime.Goexit()
		return core.Execute()
	})
}

func testNoVerdict(b *bench) {
	fault(b, func(core.Env, *core.Task) core.Verdict { return core.Verdict{} })
}

func testStranger(b *bench) {
	fault(b, func(core.Env, *core.Task) core.Verdict { return core.Forward(7) })
}
