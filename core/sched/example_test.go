package sched_test

import (
	"fmt"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
	"github.com/p2pfaas/p2pfaas/core/sched"
)

// MostFree keeps a task while a slot is free here; otherwise the task goes to that one of Fanout random peers which has
// most free slots, if any has.
type MostFree struct {
	Fanout int `param:"fanout" unit:"peers" min:"1" doc:"peers that are probed"`
}

// Schedule is ordinary blocking code: while Probe waits, the node goes on with other tasks.
func (s *MostFree) Schedule(env core.Env, t *core.Task) core.Verdict {
	if env.Load().Free() > 0 {
		return core.Execute()
	}
	best, free := env.Self(), 0
	for _, r := range env.Probe(env.Neighbours().Sample(s.Fanout)...) {
		if r.Err == nil && r.Load.Free() > free {
			best, free = r.Peer, r.Load.Free()
		}
	}
	return core.Forward(best) // to itself: execute here
}

func init() {
	sched.Register(sched.Entry{
		Name:      "MostFree",
		Summary:   "keep the task while a slot is free, else go to the probed peer with most free slots",
		Doc:       "An example: it probes when no slot is free here, and goes to where most are, if any are.",
		Source:    "the guide of this project",
		Stateless: true,
		New:       func() core.Scheduler { return &MostFree{Fanout: 2} },
	})
}

// A new algorithm is a struct with its parameters, one method, and its registration. It is then known by its name in
// scenario files and in the tool, with its parameters checked and documented.
func Example() {
	spec, err := sched.Parse("MostFree", map[string]any{"fanout": 3})
	fmt.Println(spec, err)
	_, err = sched.Parse("MostFree", map[string]any{"fan_out": 3})
	fmt.Println(err)

	// A script plays the rest of the world: this node has 4 tasks, its peers have 2, 0 and 1, each in one slot.
	env := coretest.NewScript(0, 4, 2, 0, 1)
	env.Peer(2).Err = core.ErrNoAnswer
	fmt.Println(spec.New().Schedule(env, &core.Task{}))
	env.Peer(2).Err = nil
	fmt.Println(spec.New().Schedule(env, &core.Task{}))
	// Output:
	// MostFree(fanout=3) <nil>
	// MostFree: fan_out: unknown parameter: use fanout
	// forward to 0
	// forward to 2
}
