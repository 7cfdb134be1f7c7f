package realnet

import (
	"context"
	"sync"
	"time"

	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// What the nodes say of themselves before and after the measured part of a run.

// askNodes asks every node how it is, the cloud last; nil where one does not say.
func (l *load) askNodes(ctx context.Context) []*Status {
	var addresses []string
	for _, t := range l.Targets {
		addresses = append(addresses, t.Scheduler)
	}
	if l.Scenario.Cluster.Cloud != nil {
		addresses = append(addresses, l.Cloud)
	}
	said := make([]*Status, len(addresses))
	var asking sync.WaitGroup
	for i, a := range addresses {
		if a == "" {
			continue // nobody knows where the cloud is
		}
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			s, err := AskStatus(ctx, l.http, a)
			if x := s.Links; err == nil && (x == nil || x.Late != nil && x.Own != nil) {
				said[i] = &s
			}
		})
	}
	asking.Wait()
	return said
}

// messagesOf is how many messages the nodes sent between two times; silent are those that do not say.
func messagesOf(before, after []*Status) (sent uint64, silent int) {
	for i, a := range after {
		b := before[i]
		if a == nil || b == nil {
			silent++
			continue
		}
		since := a.Messages.Sent
		if since >= b.Messages.Sent { // otherwise it is another process by now, which began within the run
			since -= b.Messages.Sent
		}
		sent += uint64(max(0, since))
	}
	return sent, silent
}

// linksOf is what the nodes' links achieved between two times; nil where there are none and are to be none.
func linksOf(network *scenarios.Network, before, after []*Status) *results.Links {
	wanted := ""
	if latency, constant := network.Constant(); !constant || latency > 0 {
		wanted = network.String()
	}
	all := &results.Links{}
	late, own := results.NewPunctuality(), results.NewPunctuality()
	emulated := wanted != ""
	for i := range after {
		a, b := linksAt(after[i]), linksAt(before[i])
		if a == nil {
			if wanted != "" {
				all.Others++
			}
			continue
		}
		emulated = true
		if a.Network != wanted {
			all.Others++
			all.Unlike++
		}
		own.Merge(a.Own) // of all times: a node is measured now and then
		since, lost, unknown := a.Late, a.Lost, a.Unknown
		if b != nil {
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

// linksAt are those of a node that said how it was.
func linksAt(s *Status) *LinkStatus {
	if s == nil {
		return nil
	}
	return s.Links
}
