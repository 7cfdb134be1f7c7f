package realnet

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// networkOf is that of a cluster of three nodes, as a scenario's cluster.links says it.
func networkOf(t *testing.T, links string) *scenarios.Network {
	t.Helper()
	text := "{duration: 1s, cluster: {nodes: 3, slots: 1, links: " + links + "}, functions: [{name: f, service: 1ms}], " +
		"workload: {rate: 1/s}, scheduler: {name: NoScheduler, probe_timeout: 1s, answer_timeout: 1s}}"
	f, err := scenarios.Parse("test.yaml", []byte(text), fstest.MapFS{"m.csv": {Data: []byte("0,2,2\n2,0,2\n2,2,0\n")}})
	if err != nil {
		t.Fatal(err)
	}
	points, err := f.Points()
	if err != nil {
		t.Fatal(err)
	}
	return points[0].Scenario.Cluster.Network()
}

// A message passes when it is time, never before, or is lost; what was achieved is counted.
func TestLinksPass(t *testing.T) {
	const each = 200
	l := newLinks(&NodeOptions{Network: networkOf(t, "{latency: 5ms, bandwidth: 8Mbit/s, loss: 50%}"), Seed: 1})
	defer l.close()
	var passed sync.WaitGroup
	lost := 0
	for range each {
		sent := time.Now()
		passed.Add(1)
		if !l.pass(1, 1000, once, func(held time.Duration) {
			if took := time.Since(sent); held < 6*time.Millisecond || took < held {
				t.Errorf("held for %v and there after %v, want 5 ms and another for 1000 bytes", held, took)
			}
			passed.Done()
		}) {
			lost++
			passed.Done()
		}
	}
	passed.Wait()
	s := l.status()
	if late := s.Late.Lateness(); late.Count != uint64(each-lost) || s.Lost != uint64(lost) || s.Unknown != 0 {
		t.Errorf("%d held and %d lost, want %d and %d; %d unknown", late.Count, s.Lost, each-lost, lost, s.Unknown)
	}
	if lost < each/4 || lost > each*3/4 {
		t.Errorf("%d of %d messages lost, want about half", lost, each)
	}
}

// What the emulation cannot know it counts, and says.
func TestLinksUnknown(t *testing.T) {
	for _, x := range []struct {
		links string
		to    core.NodeID
		bytes int64
		want  uint64
	}{
		{"{latency_matrix: {file: m.csv}}", 1, -1, 0},
		{"{latency_matrix: {file: m.csv}}", 3, 0, 1},
		{"{latency: 1ms}", 3, -1, 0},
		{"{latency: 1ms, bandwidth: 1Gbit/s}", 1, -1, 1},
	} {
		l := newLinks(&NodeOptions{Network: networkOf(t, x.links)})
		passed := make(chan struct{})
		l.pass(x.to, x.bytes, once, func(time.Duration) { close(passed) })
		<-passed
		if got := l.status().Unknown; got != x.want {
			t.Errorf("%s, %d bytes to node %d: %d unknown, want %d", x.links, x.bytes, x.to, got, x.want)
		}
		l.close()
	}
}

// Where there is nothing to emulate, nothing is held, nor told.
func TestLinksNone(t *testing.T) {
	for _, network := range []*scenarios.Network{nil, networkOf(t, "{latency: 0s}")} {
		l := newLinks(&NodeOptions{Network: network})
		passed := false
		l.pass(1, -1, once, func(held time.Duration) { passed = held == 0 })
		l.measured(time.Second)
		l.close()
		if !passed || l.status() != nil {
			t.Errorf("passed at once: %v, status %v", passed, l.status())
		}
	}
}

// The links of a scenario between two nodes: a probe takes two ways, a task and its answer one each, and the times that
// the task tells are those.
func TestLinksBetweenNodes(t *testing.T) {
	network := networkOf(t, "{latency: 30ms}")
	m := openMesh(t, 2, function, func(_ int, o *NodeOptions) {
		o.Network = network
		o.Scheduler = Descriptor{Name: "PowerOfNScheduler", Named: map[string]any{"fanout": 1, "threshold": 0}}
	})
	occupied, cancel := context.WithCancel(t.Context()) // node 0 is fuller than its peer
	defer cancel()
	go func() {
		r, _ := http.NewRequestWithContext(occupied, "POST", m.servers[0].URL+"/function/f", strings.NewReader("sleep 1m"))
		r.Header.Set(wire.HeaderBypass, "1")
		if a, err := http.DefaultClient.Do(r); err == nil {
			a.Body.Close()
		}
	}()
	eventually(t, "an execution at node 0", func() bool { return m.nodes.nodes[0].Status().Running == 1 })
	states := func() (messages int, held uint64) {
		for _, n := range m.nodes.nodes {
			s := n.Status()
			if s.Links.Network != network.String() || s.Links.Lost != 0 {
				t.Errorf("a node says of its links: %+v", s.Links)
			}
			messages += int(s.Messages.Sent)
			held += s.Links.Late.Lateness().Count
		}
		return messages, held
	}
	messagesBefore, heldBefore := states()
	const asked = 5
	ping := func() time.Duration { return m.nodes.nodes[1].peers.transit(0) }
	for range asked {
		pinged := ping()
		began := time.Now()
		r := m.ask(0, "POST", "/function/f", "x")
		took := time.Since(began)
		report := reportOf(t, r)
		if r.status != 200 || report.Hops != 1 {
			t.Fatalf("%d %s, %d hops, want an answer of the peer", r.status, r.body, report.Hops)
		}
		const way = 30 * time.Millisecond
		got := report.Timing
		pinged = max(pinged, ping()) // what a ping took too long, on a busy machine, is taken for the way there, and is missing on the way back
		if got.Probing < 2*way || got.Forwarding < way || got.Returning < way-pinged || got.Forwarding+got.Returning < 2*way || took < 4*way {
			t.Errorf("%+v in %v, want 30 ms for each way; of the real network a ping said %v", got, took, pinged)
		}
	}
	if messages, held := states(); messages-messagesBefore != asked*4 || held-heldBefore != asked*4 {
		t.Errorf("%d messages, and %d held; want %d of both", messages-messagesBefore, held-heldBefore, asked*4)
	}
}

// A message that is lost is silence, not a refusal: who waits for it waits for its timeout, and then falls back.
func TestLinksLose(t *testing.T) {
	forward := Descriptor{Name: "ForwardScheduler", Named: map[string]any{}}
	for _, x := range []struct {
		name      string
		loser     int // node whose messages are lost
		scheduler Descriptor
		status    int
		outcome   string
	}{
		{"a probe", 0, Descriptor{Name: "PowerOfNScheduler", Named: map[string]any{"fanout": 1, "threshold": 0}}, 200, "completed"},
		{"its reply", 1, Descriptor{Name: "PowerOfNScheduler", Named: map[string]any{"fanout": 1, "threshold": 0}}, 200, "completed"},
		{"a task", 0, forward, 500, core.LostNoAnswer.String()},
		{"its answer", 1, forward, 500, core.LostNoAnswer.String()},
	} {
		t.Run(x.name, func(t *testing.T) {
			m := openMesh(t, 2, function, func(i int, o *NodeOptions) {
				if o.Scheduler = x.scheduler; i == x.loser {
					o.Network = networkOf(t, "{latency: 1ms, loss: 100%}")
				}
			})
			// Where who asks gives up before its peer answers, as on a busy machine, there is no answer to lose: it asks again, with more patience.
			patience := 200 * time.Millisecond
			eventually(t, "the message is counted as lost", func() bool {
				patience *= 2
				d := x.scheduler
				d.Forwarding = &core.Forwarding{MaxHops: 1, ProbeTimeout: patience, AnswerTimeout: patience, OnFailure: core.FallbackFail}
				if r := m.ask(0, "POST", "/configuration/scheduler", d.String()); r.status != 200 {
					t.Fatalf("%d %s", r.status, r.body)
				}
				began := time.Now()
				r := m.ask(0, "POST", "/function/f", strings.Repeat("x", 2<<20)) // longer than what is read ahead
				if took := time.Since(began); r.status != x.status || reportOf(t, r).Outcome != x.outcome || took < patience {
					t.Errorf("%d %s after %v: %s, want %d %s and no answer before %v", r.status, reportOf(t, r).Outcome, took, r.body,
						x.status, x.outcome, patience)
				}
				s := m.nodes.nodes[x.loser].Status()
				return s.Messages.Lost >= 1 && s.Links.Lost == uint64(s.Messages.Lost) && m.nodes.nodes[1-x.loser].Status().Messages.Lost == 0
			})
			eventually(t, "no request in hand", func() bool {
				return m.nodes.nodes[0].Status().Requests+m.nodes.nodes[1].Status().Requests == 0
			})
		})
	}
}
