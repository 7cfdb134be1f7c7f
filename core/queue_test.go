package core_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

// job is a request as the model of a queue sees it.
type job struct {
	coretest.Request
	arrives, leaves core.Time // leaves: the client hangs up
	outcome         core.Outcome
	end             core.Time
}

// before are the disciplines, ties apart.
var before = map[core.Discipline]func(a, b *job) int{
	core.FIFO:             func(a, b *job) int { return 0 },
	core.LIFO:             func(a, b *job) int { return cmp.Compare(b.arrives, a.arrives) },
	core.ByPriority:       func(a, b *job) int { return cmp.Compare(a.Priority, b.Priority) },
	core.EarliestDeadline: func(a, b *job) int { return cmp.Compare(a.deadline(), b.deadline()) },
	core.ShortestJob:      func(a, b *job) int { return cmp.Compare(a.Service, b.Service) },
}

func (j *job) deadline() core.Time {
	if j.Budget == 0 {
		return core.Never
	}
	return j.arrives.Add(j.Budget)
}

// model serves the jobs, in order of arrival, at one slot with room for all: whenever it is free it sorts what waits.
func model(jobs []job, d core.Discipline, abandon bool) {
	var waiting []*job
	now, next := core.Time(0), 0
	for {
		if len(waiting) == 0 {
			if next == len(jobs) {
				return
			}
			now = max(now, jobs[next].arrives)
		}
		for ; next < len(jobs) && jobs[next].arrives <= now; next++ {
			waiting = append(waiting, &jobs[next])
		}
		waiting = slices.DeleteFunc(waiting, func(j *job) bool {
			due := core.Never
			if abandon && j.arrives < now { // who finds the slot free does not wait
				due = j.deadline()
			}
			switch {
			case due <= j.leaves && due <= now:
				j.outcome, j.end = core.Expired, due
			case j.leaves <= now:
				j.outcome, j.end = core.LostClientGone, j.leaves
			}
			return j.outcome != core.InFlight
		})
		if len(waiting) == 0 {
			continue
		}
		slices.SortStableFunc(waiting, before[d])
		j := waiting[0]
		waiting = waiting[1:]
		slices.SortFunc(waiting, func(a, b *job) int { return cmp.Compare(a.arrives, b.arrives) })
		now = now.Add(j.Service)
		j.outcome, j.end = core.Completed, now
		if j.leaves < now {
			now = j.leaves
			j.outcome, j.end = core.LostClientGone, now
		}
	}
}

// The waiting room serves in the order that sorting gives, whoever leaves it meanwhile.
func TestDisciplines(t *testing.T) {
	for d := core.FIFO; d <= core.ShortestJob; d++ {
		for seed := range uint64(60) {
			t.Run(fmt.Sprintf("%d/%d", d, seed), func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, uint64(d)))
				abandon := r.IntN(2) == 0
				w := coretest.NewWorld(t, coretest.Setup{Nodes: 1, Slots: 1, Room: 1 << 20, Discipline: d,
					Abandon: abandon, Scheduler: coretest.Everywhere(coretest.Local)}, 1)
				// Instants differ in their remainders, so that nothing happens at the same time.
				jobs := make([]job, 1+r.IntN(150))
				now := core.Time(0)
				for i := range jobs {
					now += core.Time(r.IntN(12))*ms + 1000
					j := &jobs[i]
					j.arrives, j.leaves = now, core.Never
					j.Service = time.Duration(1+r.IntN(20)) * time.Millisecond
					j.Priority = int16(r.IntN(4) - 1)
					if r.IntN(2) == 0 {
						j.Budget = time.Duration(1+r.IntN(200))*time.Millisecond + 7
					}
					w.Submit(j.arrives, 0, j.Request)
					if r.IntN(5) == 0 {
						j.leaves = now + core.Time(r.IntN(200))*ms + 13
						w.Cancel(j.leaves, 0, i)
					}
				}
				model(jobs, d, abandon)
				for i, got := range w.Run() {
					j := &jobs[i]
					if end := j.arrives.Add(got.Latency); got.Outcome != j.outcome || end != j.end {
						t.Fatalf("job %d of %d: %v at %v, want %v at %v", i, len(jobs), got.Outcome, end, j.outcome, j.end)
					}
				}
			})
		}
	}
}
