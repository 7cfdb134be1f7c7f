package sched

import (
	"errors"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// WorkStealing executes tasks where they arrive, and has nodes without enough work fetch some: a node with a free slot
// asks a random peer (the victim), which hands over waiting tasks if it has at least Threshold tasks.
//
//	OnEmpty    a node asks when a completion leaves a slot free (default true)
//	Retry      while a slot is free a node asks at exponential gaps with this mean (default 0s: never)
//	Threshold  load that a victim must have, running and queued (default 2)
//	Batch      tasks that a victim hands over, at most; its load never falls below Threshold - 1 (default 1)
//
// Source: Blumofe and Leiserson, Scheduling multithreaded computations by work stealing, J. ACM 46(5), 1999;
// Mitzenmacher, Analyses of load stealing models based on differential equations, SPAA 1998.
type WorkStealing struct {
	OnEmpty   bool          `param:"on_empty" doc:"ask when a completion leaves a slot free"`
	Retry     time.Duration `param:"retry" min:"0s" doc:"mean gap between asking while a slot is free; 0s = never"`
	Threshold int           `param:"threshold" unit:"tasks" min:"1" doc:"least load of a victim"`
	Batch     int           `param:"batch" unit:"tasks" min:"1" doc:"most that a victim hands over"`

	before   int // the load as it was last seen
	stealing bool
}

// Validate reports a node that never asks.
func (s *WorkStealing) Validate() error {
	if !s.OnEmpty && s.Retry == 0 {
		return errors.New("nobody ever steals with on_empty: false and retry: 0s")
	}
	return nil
}

// Schedule implements core.Scheduler.
func (s *WorkStealing) Schedule(core.Env, *core.Task) core.Verdict { return core.Execute() }

// Changed implements core.Watcher.
func (s *WorkStealing) Changed(env core.Env) {
	load := env.Load().Total()
	completed := load < s.before
	s.before = load
	if completed && s.OnEmpty {
		s.steal(env)
	}
}

// Start implements core.Starter. Its clock runs while the node has work, too: as exponential gaps have no memory, that
// makes no difference.
func (s *WorkStealing) Start(env core.Env) {
	for s.Retry > 0 {
		env.Sleep(exponential(env, s.Retry))
		s.steal(env)
	}
}

// steal asks a random peer for tasks if there is a slot for them.
func (s *WorkStealing) steal(env core.Env) {
	victim := env.Neighbours().Sample(1)
	if s.stealing || env.Load().Free() == 0 || len(victim) == 0 {
		return
	}
	s.stealing = true
	defer func() { s.stealing = false }()       // also where the node crashes meanwhile
	env.Pull(victim[0], s.Batch, s.Threshold-1) // no answer is no task
}

func init() {
	Register(Entry{
		Name:    "WorkStealing",
		Summary: "execute where tasks arrive; nodes with a free slot take waiting tasks from random peers",
		Doc: "Receiver-initiated sharing: no task is asked about when it arrives, but a node that runs out of work " +
			"asks a random peer, once or at random gaps, and takes waiting tasks over from one that has enough. The " +
			"messages are sent by nodes that have nothing else to do, fewest at high load, when most attempts succeed. " +
			"At low load tasks wait behind each other although others are free, unless retry is short.",
		Source: "Blumofe and Leiserson, J. ACM 46(5), 1999; Mitzenmacher, Analyses of load stealing models based on " +
			"differential equations, SPAA 1998",
		New: func() core.Scheduler { return &WorkStealing{OnEmpty: true, Threshold: 2, Batch: 1} },
	})
}
