// Command example is the p2pfaas tool with an algorithm of its own: a module that registers one gets everything else.
//
//	go run . sim two-choices.yaml
package main

import (
	"embed"

	"github.com/p2pfaas/p2pfaas/cmd"
	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/sched"
)

// KeepOrPass keeps a task while there is a free slot. Otherwise it probes peers and passes the task to the first one
// that has a free slot.
type KeepOrPass struct {
	Fanout int `param:"fanout" unit:"peers" min:"1" doc:"peers that are probed when no slot is free"`
}

// Schedule implements core.Scheduler.
func (s *KeepOrPass) Schedule(env core.Env, t *core.Task) core.Verdict {
	if env.Load().Free() > 0 {
		return core.Execute()
	}
	for _, r := range env.Probe(env.Neighbours().Sample(s.Fanout)...) {
		if r.Err == nil && r.Load.Free() > 0 {
			return core.Forward(r.Peer)
		}
	}
	return core.Execute()
}

func init() {
	sched.Register(sched.Entry{
		Name:      "KeepOrPass",
		Summary:   "keep a task while a slot is free, else pass it to the first probed peer with a free one",
		Doc:       "Probes only when it must; never looks at waiting rooms.",
		Source:    "the guide of this project",
		Stateless: true,
		New:       func() core.Scheduler { return &KeepOrPass{Fanout: 2} },
	})
}

//go:embed *.go
var source embed.FS

func main() { cmd.Main(source) }
