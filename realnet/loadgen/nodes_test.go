package loadgen

import (
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

func networkOf(t *testing.T, links string) *scenarios.Network {
	t.Helper()
	return scenariotest.One(t, "{duration: 1s, cluster: {nodes: 2, slots: 1, links: "+links+"}, functions: [{name: f, service: 1ms}], "+
		"workload: {rate: 1/s}, scheduler: {name: NoScheduler}}").Cluster.Network()
}

// linked is what a node says of the links that it emulates.
func linked(network *scenarios.Network, held int, lost uint64) *realnet.Status {
	s := &realnet.LinkStatus{Network: network.String(), Late: results.NewPunctuality(), Own: results.NewPunctuality(), Lost: lost}
	for range held {
		s.Late.Add(time.Microsecond)
	}
	return &realnet.Status{Links: s}
}

// What was late in a run is told by the difference of two states of a node; a node that began anew within it has its own.
func TestLinksOf(t *testing.T) {
	network := networkOf(t, "{latency: 1ms}")
	silent := &realnet.Status{}
	for _, x := range []struct {
		before, after *realnet.Status
		count, lost   uint64
	}{
		{linked(network, 10, 3), linked(network, 25, 4), 15, 1},
		{linked(network, 10, 3), linked(network, 4, 1), 4, 1},
		{silent, linked(network, 4, 1), 4, 1},
		{nil, linked(network, 4, 1), 4, 1},
	} {
		got := linksOf(network, []spell{{x.before, x.after}})
		if got.Count != x.count || got.Lost != x.lost || got.Others != 0 {
			t.Errorf("%d held, %d lost, %d have others; want %d, %d and none", got.Count, got.Lost, got.Others, x.count, x.lost)
		}
	}
	one := linked(network, 1, 0)
	if others := linksOf(networkOf(t, "{latency: 31ms}"), []spell{{one, one}, {one, one}}); others.Others != 2 || others.Unlike != 2 {
		t.Errorf("%+v, want two nodes that emulate other links", others)
	}
	if others := linksOf(network, []spell{{}}); others.Others != 1 || others.Unlike != 0 {
		t.Errorf("%+v, want one node that does not emulate them", others)
	}
	if none := linksOf(networkOf(t, "{latency: 0s}"), []spell{{}}); none != nil {
		t.Errorf("%+v where there are to be no links", none)
	}
}

func TestMessagesOf(t *testing.T) {
	at := func(sent int64) *realnet.Status { return &realnet.Status{Messages: realnet.Messages{Sent: sent}} }
	for _, x := range []struct {
		before, after []*realnet.Status
		sent          uint64
		silent        int
	}{
		{[]*realnet.Status{at(5), at(1)}, []*realnet.Status{at(9), at(4)}, 7, 0},
		{[]*realnet.Status{at(5), at(1)}, []*realnet.Status{at(2), at(4)}, 5, 0}, // the first has been started again
		{[]*realnet.Status{at(5), at(1)}, []*realnet.Status{at(9), nil}, 4, 1},
		{[]*realnet.Status{nil}, []*realnet.Status{at(9)}, 0, 1},
	} {
		if sent, silent := messagesOf(spells(x.before, x.after)); sent != x.sent || silent != x.silent {
			t.Errorf("%d messages, %d nodes do not say; want %d and %d", sent, silent, x.sent, x.silent)
		}
	}
}
