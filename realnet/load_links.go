package realnet

import (
	"context"
	"sync"
	"time"

	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// What the nodes' emulated links achieved during a run of the load generator.

// askLinks asks every node what its links have achieved since it began, the cloud last; nil where it emulates none, or
// does not say.
func (l *load) askLinks(ctx context.Context) []*LinkStatus {
	var addresses []string
	for _, t := range l.Targets {
		addresses = append(addresses, t.Scheduler)
	}
	if l.Scenario.Cluster.Cloud != nil {
		addresses = append(addresses, l.Cloud)
	}
	said := make([]*LinkStatus, len(addresses))
	var asking sync.WaitGroup
	for i, a := range addresses {
		if a == "" {
			continue // nobody knows where the cloud is
		}
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			s, err := AskStatus(ctx, l.http, a)
			if x := s.Links; err == nil && x != nil && x.Late != nil && x.Own != nil {
				said[i] = x
			}
		})
	}
	asking.Wait()
	return said
}

// linksOf is what the nodes' links achieved between two times; nil where there are none and are to be none.
func linksOf(network *scenarios.Network, before, after []*LinkStatus) *results.Links {
	wanted := ""
	if latency, constant := network.Constant(); !constant || latency > 0 {
		wanted = network.String()
	}
	all := &results.Links{}
	late, own := results.NewPunctuality(), results.NewPunctuality()
	emulated := wanted != ""
	for i, a := range after {
		if a == nil {
			if wanted != "" {
				all.Others++
			}
			continue
		}
		emulated = true
		if a.Network != wanted {
			all.Others++
		}
		own.Merge(a.Own) // of all times: a node makes few connections
		since, lost, unknown := a.Late, a.Lost, a.Unknown
		if b := before[i]; b != nil {
			if s, same := a.Late.Since(b.Late); same && lost >= b.Lost && unknown >= b.Unknown {
				since, lost, unknown = s, lost-b.Lost, unknown-b.Unknown
			} // otherwise it is another process by now, which began within the run
		}
		late.Merge(since)
		all.Lost += lost
		all.Unknown += unknown
	}
	if !emulated {
		return nil
	}
	all.Lateness, all.Own = late.Lateness(), own.Lateness()
	return all
}
