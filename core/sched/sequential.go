package sched

import "github.com/p2pfaas/p2pfaas/core"

// SequentialProbing probes one random peer after the other. A task that finds fewer than Threshold tasks here stays.
// Otherwise up to Fanout random peers are probed in turn, and the first that has fewer than Threshold tasks gets it. If
// there is none the task goes to the cloud, where Cloud allows it and there is one, or stays. It stays as well if the
// own load falls below Threshold while peers are asked.
//
//	Fanout     peers probed, at most (default 2)
//	Threshold  load below which a node takes tasks (default 2)
//	Cloud      hand over to the cloud what no peer takes (default false)
//
// Source: Beraldi and Alnuweiri, Sequential randomization load balancing for fog, SoftCOM 2018,
// 10.23919/SOFTCOM.2018.8555797; the threshold policy of Eager, Lazowska and Zahorjan, IEEE TSE 12(5), 1986.
type SequentialProbing struct {
	Fanout    int  `param:"fanout" unit:"peers" min:"1" max:"65535" doc:"peers that are probed, at most"`
	Threshold int  `param:"threshold" unit:"tasks" min:"1" doc:"load below which a node takes tasks"`
	Cloud     bool `param:"cloud" doc:"hand over to the cloud what no peer takes"`
}

// Schedule implements core.Scheduler.
func (s *SequentialProbing) Schedule(env core.Env, _ *core.Task) core.Verdict {
	if env.Load().Total() < s.Threshold {
		return core.Execute()
	}
	peers := env.Neighbours().Sample(s.Fanout)
	for i := range peers {
		r := &env.Probe(peers[i : i+1]...)[0]
		switch {
		case env.Load().Total() < s.Threshold:
			return core.Execute()
		case r.Err == nil && r.Load.Total() < s.Threshold:
			return core.Forward(r.Peer)
		}
	}
	if cloud, ok := env.Cloud(); ok && s.Cloud {
		return core.Forward(cloud)
	}
	return core.Execute()
}

func init() {
	Register(Entry{
		Name:    "SequentialProbing",
		Summary: "stay below a threshold, else probe peers one by one and go to the first that is below it",
		Doc: "As PowerOfNScheduler, but peers are asked one at a time and the first below the threshold is taken, so " +
			"that at moderate load hardly more than one probe is needed. The price is delay: every peer that refuses " +
			"costs another round trip before the task can start.",
		Source: "Beraldi and Alnuweiri, SoftCOM 2018, 10.23919/SOFTCOM.2018.8555797; Eager, Lazowska and Zahorjan, " +
			"IEEE TSE 12(5), 1986",
		Stateless: true,
		New:       func() core.Scheduler { return &SequentialProbing{Fanout: 2, Threshold: 2} },
	})
}
