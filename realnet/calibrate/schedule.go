package calibrate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/realnet/loadgen"
	"github.com/p2pfaas/p2pfaas/realnet/processor"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// phase is a part of an experiment whose requests and processor time are known by themselves.
type phase struct {
	tasks  []scenarios.Arrival // At counts from its beginning
	length time.Duration       // until all have long been answered
	busy   bool                // they keep the cores busy, which delays this process, too

	begin   time.Duration
	records []results.Record // of the tasks that were answered, in the order of their ends
	used    processor.Usage  // within the length
}

// Around the phases of an experiment.
const (
	lead  = 50 * time.Millisecond // for the generator's questions to the nodes, before the first
	pause = 40 * time.Millisecond // between two, in which the functions are looked for
	tail  = 30 * time.Millisecond // beyond what the last request of a phase takes
)

// spaced are n tasks at a distance: gaps are uniform between half and one and a half times the mean one. each says of a task
// where it goes and what it wants.
func (m *measurement) spaced(n int, gap time.Duration, each func(a *scenarios.Arrival, r *rand.Rand)) phase {
	m.drawn++
	r := rand.New(random.Stream(m.Seed, m.drawn, random.Arrivals, 0))
	p := phase{tasks: make([]scenarios.Arrival, n)}
	at, longest := time.Duration(0), time.Duration(0)
	for i := range p.tasks {
		p.tasks[i].At = core.Time(at)
		each(&p.tasks[i], r)
		longest = max(longest, m.expected(&p.tasks[i]))
		at += time.Duration((0.5 + random.Unit(r)) * float64(gap))
	}
	p.length = at + longest + tail
	return p
}

// run sends the tasks of phases, one after the other, with the scheduler and the slots that the nodes have; every is the time
// between two looks at their loads, 0 that there are none.
func (m *measurement) run(ctx context.Context, every time.Duration, phases ...*phase) error {
	at := lead
	var tasks []scenarios.Arrival
	for _, p := range phases {
		at += pause
		p.begin = at
		for _, a := range p.tasks {
			a.At = a.At.Add(p.begin)
			tasks = append(tasks, a)
		}
		at += p.length
	}
	s := m.scenario
	s.Duration, s.Workload = at+pause, scenarios.Workload{Process: scenarios.Recorded, Trace: scenarios.NewTrace(tasks)}
	if every == 0 {
		every = s.Duration
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var reading sync.WaitGroup
	o := loadgen.Options{Scenario: &s, Targets: m.Cluster.Targets, Credentials: m.Cluster.Credentials, Cloud: m.Cluster.Cloud, Payloads: m.Payloads, Timeout: m.Timeout,
		Every: every, Each: func(r *results.Record) {
			for _, p := range phases {
				if since := time.Duration(r.Arrival) - p.begin; since >= 0 && since < p.length {
					p.records = append(p.records, *r)
				}
			}
		}}
	if m.processes != nil {
		o.Begun = func(start time.Time) {
			reading.Go(func() {
				if err := m.watch(ctx, start, phases); err != nil {
					cancel(err)
				}
			})
		}
	}
	got, err := loadgen.Generate(ctx, o)
	reading.Wait()
	if why := context.Cause(ctx); why != nil && err != nil {
		err = why
	}
	if err != nil {
		return err
	}
	m.sent += len(tasks)
	for _, p := range phases {
		for i := range p.records {
			if p.records[i].Timing.Waiting > 0 {
				m.waited++
			}
		}
	}
	if !slices.ContainsFunc(phases, func(p *phase) bool { return p.busy }) {
		m.late = max(m.late, got.Reality.Sent.Sure)
	}
	var problems []error
	for _, f := range got.Reality.Faulty {
		problems = append(problems, fmt.Errorf("the function %s answers with the status %d: %s: send it what it wants, with a payload",
			f.Function, f.Status, f.Said))
	}
	for _, l := range got.Reality.Losses {
		problems = append(problems, fmt.Errorf("%d requests were lost (%v): %s", l.Count, l.Outcome, l.Reason))
	}
	return errors.Join(problems...)
}

// watch reads the processor time at the ends of phases.
func (m *measurement) watch(ctx context.Context, start time.Time, phases []*phase) error {
	for _, p := range phases {
		begin := start.Add(p.begin)
		if m.clock.Sleep(ctx, begin.Add(-pause/2)) != nil {
			return nil // the run says why
		}
		if err := m.processes.Find(ctx); err != nil {
			return err
		}
		var readings [2]processor.Usage
		var machine [2]time.Duration
		for i, at := range []time.Time{begin, begin.Add(p.length)} {
			if m.clock.Sleep(ctx, at) != nil {
				return nil
			}
			var err error
			if readings[i], err = m.processes.Read(); err != nil {
				return err
			}
			if machine[i], err = processor.MachineTime(); err != nil {
				return err
			}
		}
		p.used = readings[1].Minus(readings[0])
		m.others += max(0, machine[1]-machine[0]-p.used.Total())
		m.watched += p.length
	}
	return nil
}

// good are the records of requests that were executed at once, by functions that were there.
func (p *phase) good() (kept []results.Record) {
	for _, r := range p.records {
		if r.Outcome == core.Completed && !r.Cold && r.Timing.Waiting == 0 {
			kept = append(kept, r)
		}
	}
	return kept
}
