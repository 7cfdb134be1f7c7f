package loadgen

import (
	"context"
	"sync"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// What the nodes say of themselves before and after the measured part of a run.

// askNodes asks every node how it is, the cloud last; nil where one does not say.
func (l *load) askNodes(ctx context.Context) []*realnet.Status {
	var addresses []string
	for _, t := range l.Targets {
		addresses = append(addresses, t.Scheduler)
	}
	if l.Scenario.Cluster.Cloud != nil {
		addresses = append(addresses, l.Cloud)
	}
	said := make([]*realnet.Status, len(addresses))
	var asking sync.WaitGroup
	for i, a := range addresses {
		if a == "" {
			continue // nobody knows where the cloud is
		}
		asking.Go(func() { said[i] = l.askNode(ctx, a, 5*time.Second) })
	}
	asking.Wait()
	return said
}

// askNode asks the node at an address how it is; nil where it does not say.
func (l *load) askNode(ctx context.Context, address string, patience time.Duration) *realnet.Status {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := realnet.AskStatus(ctx, l.http, address)
	if x := s.Links; err != nil || x != nil && (x.Late == nil || x.Own == nil) {
		return nil
	}
	return &s
}

// spell is what a node said of itself at two times; nil: nothing.
type spell struct{ before, after *realnet.Status }

// spells are those of nodes that nothing has befallen.
func spells(before, after []*realnet.Status) (all []spell) {
	for i := range after {
		all = append(all, spell{before[i], after[i]})
	}
	return all
}

// messagesOf is how many messages the nodes sent in the spells; silent are those of which that is not known.
func messagesOf(spells []spell) (sent uint64, silent int) {
	for _, s := range spells {
		a, b := s.after, s.before
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

// linksOf is what the nodes' links achieved in the spells; nil where there are none and are to be none.
func linksOf(network *scenarios.Network, spells []spell) *results.Links {
	wanted := ""
	if latency, constant := network.Constant(); !constant || latency > 0 {
		wanted = network.String()
	}
	all := &results.Links{}
	late, own := results.NewPunctuality(), results.NewPunctuality()
	emulated := wanted != ""
	for _, s := range spells {
		a, b := linksAt(s.after), linksAt(s.before)
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
func linksAt(s *realnet.Status) *realnet.LinkStatus {
	if s == nil {
		return nil
	}
	return s.Links
}
