package sched

import (
	"errors"

	"github.com/p2pfaas/p2pfaas/core"
)

// CloudOffload hands over to the cloud what the edge has no room for. A task that finds fewer than Threshold tasks here
// stays. Otherwise Fanout random peers are probed, and the least loaded gets the task if it has fewer than Threshold
// (ties at random); if there is none, the task goes to the cloud.
//
//	Threshold  load below which a node takes tasks (default 4)
//	Fanout     peers probed before the cloud is used (default 0: none)
//
// Source: the vertical offloading of Russo Russo, Mannucci, Cardellini and Lo Presti, Serverledge, PerCom 2023.
type CloudOffload struct {
	Threshold int `param:"threshold" unit:"tasks" min:"0" doc:"load below which a node takes tasks"`
	Fanout    int `param:"fanout" unit:"peers" min:"0" max:"65535" doc:"peers probed before the cloud is used"`

	scratch scratch
}

// Check reports a cluster without a cloud.
func (s *CloudOffload) Check(w World) error {
	if !w.Cloud {
		return errors.New("the cluster has no cloud to offload to")
	}
	return nil
}

// Schedule implements core.Scheduler.
func (s *CloudOffload) Schedule(env core.Env, _ *core.Task) core.Verdict {
	if env.Load().Total() < s.Threshold {
		return core.Execute()
	}
	if s.Fanout > 0 {
		replies := env.Probe(env.Neighbours().Sample(s.Fanout)...)
		n := rank(env.Rand(), replies, 1+maxAlternatives, bound{score: float64(s.Threshold)}, total)
		if n > 0 {
			return s.scratch.forward(env, replies, n)
		}
	}
	if cloud, ok := env.Cloud(); ok {
		return core.Forward(cloud)
	}
	return core.Execute()
}

func init() {
	Register(Entry{
		Name:    "CloudOffload",
		Summary: "stay below a threshold, else go to a probed peer below it, else to the cloud",
		Doc: "The edge first, then the cloud: a node keeps tasks up to a threshold and sends the rest to the far node " +
			"without limit, after asking a few peers if fanout says so. Nothing is refused for lack of room; what does " +
			"not fit pays the way to the cloud and back.",
		Source:    "Russo Russo, Mannucci, Cardellini and Lo Presti, Serverledge, PerCom 2023: vertical offloading",
		Stateless: true,
		New:       func() core.Scheduler { return &CloudOffload{Threshold: 4} },
	})
}
