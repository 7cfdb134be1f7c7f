package compose

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

// steady is a load that no node needs help with, and half of which it sends away all the same.
const steady = `
duration: %gs
warmup: 0s
cluster: {nodes: %d, slots: 4, queue: 100}
functions: [{name: work, service: {distribution: exponential, mean: 40ms}}]
workload: {arrivals: poisson, rate: 8/s}
scheduler: {name: Random, probability: 0.5}
`

// steadyFor is that load for so long.
func steadyFor(t *testing.T, length time.Duration, nodes int) *scenarios.Scenario {
	t.Helper()
	return scenariotest.One(t, fmt.Sprintf(steady, length.Seconds(), nodes))
}

// eager makes nodes forward half of their requests. Where the machine that has all of them stumbles, there is room.
var eager = []string{"--scheduler", "Random probability=0.5", "--queue", "100", "--answer-timeout", "5s"}

// A node is killed, paused or cut off under load. Its peers notice, and complete all requests of their own: what it does not answer they
// execute themselves. It comes back, and completes all of its own again.
func TestFaults(t *testing.T) {
	const victim = 2
	for _, fault := range []struct {
		name       string
		begin, end func(context.Context, *machine) error
		loses      bool // requests that are sent to it meanwhile; otherwise they wait for it
	}{
		{"killed", func(ctx context.Context, m *machine) error {
			_, err := docker.ContainerKill(ctx, m.ID, client.ContainerKillOptions{Signal: "KILL"})
			return err
		}, func(ctx context.Context, m *machine) error { return m.Start(ctx) }, true},
		{"paused", func(ctx context.Context, m *machine) error {
			_, err := docker.ContainerPause(ctx, m.ID, client.ContainerPauseOptions{})
			return err
		}, func(ctx context.Context, m *machine) error {
			_, err := docker.ContainerUnpause(ctx, m.ID, client.ContainerUnpauseOptions{})
			return err
		}, false},
		{"cut off", func(ctx context.Context, m *machine) error { return m.disconnect(ctx, m.network) },
			func(ctx context.Context, m *machine) error { return m.connect(ctx, m.network, m.address) }, true},
	} {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			c := startNodes(t, 4, eager...)
			v := c.nodes[victim]
			l := c.load(t, steadyFor(t, 16*time.Second, len(c.nodes)))
			l.sleep(2 * time.Second)
			from := l.since()
			if err := fault.begin(t.Context(), v); err != nil {
				t.Fatal(err)
			}
			noticed := meet(t, []*machine{c.nodes[0], c.nodes[1], c.nodes[3]})
			l.sleep(from + 10*time.Second)
			if err := fault.end(t.Context(), v); err != nil {
				t.Fatal(err)
			}
			back := meet(t, c.nodes)
			until := l.since()
			t.Logf("noticed after %v, back after %v", noticed.Round(time.Millisecond), back.Round(time.Millisecond))
			hit, others := split(l.wait(), func(r *results.Record) bool { return r.Node == victim && overlaps(r, from, until) })
			lost, served := split(hit, func(r *results.Record) bool { return r.Outcome.Lost() })
			l.only("lost by it while it was away", lost, core.LostNodeDown, core.LostNoAnswer)
			l.only("its own that waited for it", served, core.Completed)
			if fault.loses != (len(lost) > 0) {
				t.Errorf("it lost %d requests", len(lost))
			}
			l.only("all others", others, core.Completed)
			l = c.load(t, steadyFor(t, 12*time.Second, len(c.nodes))) // its peers give it 36 requests, more or less
			after := l.wait()
			l.only("all that came when it was back", after, core.Completed)
			own, forwarded := 0, 0
			for _, r := range after {
				if r.Node == victim {
					own++
				} else if r.Executor == victim {
					forwarded++
				}
			}
			if own < 10 || forwarded < 10 {
				t.Errorf("after it was back, it completed %d requests of its clients and %d of its peers", own, forwarded)
			}
		})
	}
}

// disconnect takes a machine out of a network.
func (m *machine) disconnect(ctx context.Context, b *bridge) error {
	_, err := docker.NetworkDisconnect(ctx, b.ID, client.NetworkDisconnectOptions{Container: m.ID, Force: true})
	return err
}

// connect gives a machine an address in a network.
func (m *machine) connect(ctx context.Context, b *bridge, address string) error {
	_, err := docker.NetworkConnect(ctx, b.ID, client.NetworkConnectOptions{Container: m.ID, EndpointConfig: b.endpoint(address)})
	return err
}

// overlaps reports whether a request was under way between two instants.
func overlaps(r *results.Record, from, until time.Duration) bool {
	return time.Duration(r.Arrival) < until && time.Duration(r.Arrival)+r.Latency > from
}

// All nodes are restarted, one after the other, under load. A node that is told to end finishes what it has, and tells its peers: but for
// what clients send to a node that ends or is down, all requests complete.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	c := startNodes(t, 4, eager...)
	for length := 30 * time.Second; !rolled(t, c, length); length *= 3 { // on a busy machine restarts take long
		if length > bound {
			t.Fatalf("the restarts took as long as a load of %v", length)
		}
	}
}

// rolled restarts all nodes under a load of so long, and reports whether that was long enough.
func rolled(t *testing.T, c *cluster, length time.Duration) bool {
	t.Helper()
	l := c.load(t, steadyFor(t, length, len(c.nodes)))
	l.sleep(2 * time.Second)
	type span struct{ stopped, down, up time.Duration }
	spans := make([]span, len(c.nodes))
	grace := time.Minute
	for i, m := range c.nodes {
		s := &spans[i]
		s.stopped = l.since()
		if err := m.Stop(t.Context(), &grace); err != nil {
			t.Fatal(err)
		}
		s.down = l.since()
		if state, err := m.State(t.Context()); err != nil || state.ExitCode != 0 {
			t.Errorf("node %d ended with %+v, %v", i, state, err)
		}
		others := append(append([]*machine{}, c.nodes[:i]...), c.nodes[i+1:]...)
		noticed := meet(t, others)
		if err := m.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		back := meet(t, c.nodes)
		s.up = l.since()
		t.Logf("node %d ended within %v, its peers knew after %v more, it was back after %v", i, (s.down - s.stopped).Round(time.Millisecond),
			noticed.Round(time.Millisecond), back.Round(time.Millisecond))
	}
	under := l.since() < length-2*time.Second
	hit, others := split(l.wait(), func(r *results.Record) bool { return overlaps(r, spans[r.Node].stopped, spans[r.Node].up) })
	l.only("sent to a node that was down, or ended", hit, core.Completed, core.LostNodeDown, core.LostNoAnswer, core.NoRoom)
	for _, x := range l.result.Reality.Losses {
		if x.Outcome == core.NoRoom && x.Reason != "The node is shutting down" {
			t.Errorf("%d requests found no room: %s", x.Count, x.Reason)
		}
	}
	l.only("all others", others, core.Completed)
	return under
}
