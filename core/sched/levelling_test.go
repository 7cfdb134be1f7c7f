package sched

import (
	"math"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

// TestLevellingReachesWardrop has one node divide a Poisson stream among M/M/1 nodes, itself the first, whose latencies
// follow its shares at once. At rest, the nodes in use have equal latencies 1/(mu - lambda) and the others are slower.
func TestLevellingReachesWardrop(t *testing.T) {
	for _, c := range []struct {
		total  float64
		mu     []float64
		lambda []float64 // Wardrop's, by hand: mu - lambda is the same for all in use
	}{
		{3, []float64{4, 2, 1}, []float64{2.5, 0.5, 0}},
		{3, []float64{1, 2, 4}, []float64{0, 0.5, 2.5}},
		{5, []float64{1, 2, 4}, []float64{1. / 3, 4. / 3, 10. / 3}},
		{6, []float64{1, 1, 1, 1, 2, 2}, []float64{2. / 3, 2. / 3, 2. / 3, 2. / 3, 5. / 3, 5. / 3}},
		{0.5, []float64{1}, []float64{0.5}},
	} {
		s := with(t, "LatencyLevelling", params{"explore": 0.0001}).(*LatencyLevelling)
		latency := func(i int) float64 {
			share := 0.0
			for _, r := range s.routes {
				if int(r.peer) == i {
					share = r.share
				}
			}
			if free := c.mu[i] - float64(c.total*share); free > 0.01 {
				return 1 / free
			}
			return 100
		}
		w := coretest.NewScript(0, make([]int, len(c.mu))...)
		for i := range w.Peers {
			p := &w.Peers[i]
			p.Answer = func(core.Note) core.Note { return core.Note{Float: latency(int(p.ID))} }
		}
		w.Naps, w.Meanwhile = 2000, func(*coretest.Script) { s.meter.latency = latency(0) }
		w.Run(s.Start)
		for _, r := range s.routes {
			if got := float64(c.total * r.share); math.Abs(got-c.lambda[r.peer]) > 2e-3 {
				t.Errorf("mu %v, total %v: node %d has rate %.4f, want %.4f", c.mu, c.total, r.peer, got, c.lambda[r.peer])
			}
		}
	}
}

func TestLevellingSplitsByShares(t *testing.T) {
	w := coretest.NewScript(0, 0, 0, 0, 0)
	s := with(t, "LatencyLevelling", nil).(*LatencyLevelling)
	wantShares(t, shares(t, 100, 4, s, w), 1, 0, 0, 0) // before it has begun
	s.routes = []route{{peer: 0, share: .4}, {peer: 3, share: 0}, {peer: 1, share: .6}}
	wantShares(t, shares(t, 20000, 4, s, w), .4, .6, 0, 0)
}

func TestLevellingAndPeersThatDoNotAnswer(t *testing.T) {
	answer := func(l float64) func(core.Note) core.Note {
		return func(core.Note) core.Note { return core.Note{Float: l} }
	}
	share := func(s *LatencyLevelling, p core.NodeID) float64 {
		for _, r := range s.routes {
			if r.peer == p {
				return r.share
			}
		}
		return -1
	}
	w := coretest.NewScript(0, 0, 0, 0)
	w.Peer(1).Answer, w.Peer(2).Answer = answer(1), answer(0) // 2 has measured nothing
	s := with(t, "LatencyLevelling", params{"explore": 0.03, "step": 0.1}).(*LatencyLevelling)
	s.meter.latency = 2
	w.Naps = 200
	w.Run(s.Start)
	if a, b := share(s, 1), share(s, 2); a < .5 || b < .01 || math.Abs(share(s, 0)-.01) > 1e-9 {
		t.Errorf("shares %v; want most for the faster peer, the least for the slower node itself", s.routes)
	}
	w.Peer(1).Err = core.ErrNoAnswer
	w.Peer(2).Answer, w.Peer(2).RTT = answer(3), time.Second
	s.measure(w)
	s.level()
	if l := s.routes[1].latency; s.routes[1].peer == 2 && l != 4 || s.routes[2].peer == 2 && s.routes[2].latency != 4 {
		t.Errorf("the routes are %v, want 3 s and 1 s of round trip for peer 2", s.routes)
	}
	if a := share(s, 1); a != 0 {
		t.Errorf("a peer that does not answer has %v", a)
	}
	w.Peers = w.Peers[1:] // it leaves
	s.connect(w)
	if a, sum := share(s, 1), share(s, 0)+share(s, 2); a != -1 || math.Abs(sum-1) > 1e-12 {
		t.Errorf("a peer that left has %v, the others together %v", a, sum)
	}
}

func TestMeter(t *testing.T) {
	w := coretest.NewScript(0, 0)
	var m meter
	step := func(at time.Duration, load int) {
		w.Clock, w.Own = core.Time(at), coretest.Loaded(load)
		m.see(w)
	}
	end := func(at time.Duration) float64 {
		w.Clock = core.Time(at)
		m.close(w)
		return m.latency
	}
	if got := end(time.Second); got != 0 {
		t.Errorf("an idle period measures %v", got)
	}
	// Two tasks from 2 s to 5 s and from 3 s to 7 s: they spent 3 s and 4 s.
	step(2*time.Second, 1)
	step(3*time.Second, 2)
	step(5*time.Second, 1)
	step(7*time.Second, 0)
	if got := end(10 * time.Second); got != 3.5 {
		t.Errorf("the mean latency is %v, want 3.5", got)
	}
	if got := end(20 * time.Second); got != 3.5 {
		t.Errorf("after an idle period it is %v, want 3.5 still", got)
	}
	// One task that stays over two periods: the latency is at least what it has been there.
	step(21*time.Second, 1)
	if got := end(25 * time.Second); got != 4 {
		t.Errorf("a task that has been there for 4 s makes the latency %v", got)
	}
	step(26*time.Second, 2)
	step(26*time.Second, 1) // at once
	if got := end(30 * time.Second); got != 5 {
		t.Errorf("the period of 5 s with one completion measures %v", got)
	}
}

func TestProjectOnShares(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		gloss          string
		shares, delays []float64
		want           []float64
	}{
		{"as they are", []float64{.5, .3, .2}, []float64{1, 1, 1}, []float64{.5, .3, .2}},
		{"the same more for all", []float64{.2, 0, -.1}, []float64{1, 1, 1}, []float64{.5, .3, .2}},
		{"the least share", []float64{.98, .01, .01}, []float64{1, 1, 1}, []float64{.8, .1, .1}},
		{"far below", []float64{.5, .6, -2}, []float64{1, 1, 1}, []float64{.4, .5, .1}},
		{"unreachable", []float64{.4, .3, .3}, []float64{1, inf, 1}, []float64{.55, 0, .45}},
		{"all but itself unreachable", []float64{.4, .3, .3}, []float64{0, inf, inf}, []float64{1, 0, 0}},
	} {
		s := LatencyLevelling{Explore: 0.3}
		for i := range c.shares {
			s.routes = append(s.routes, route{peer: core.NodeID(i), share: c.shares[i], latency: c.delays[i]})
		}
		s.project()
		for i, r := range s.routes {
			if math.Abs(r.share-c.want[i]) > 1e-12 {
				t.Errorf("%s: route %d has %v, want %v", c.gloss, i, r.share, c.want[i])
			}
		}
	}
}

// A node that is restarted with the value that it had begins anew.
func TestLatencyLevellingRestarted(t *testing.T) {
	values := []core.Scheduler{with(t, "LatencyLevelling", params{"period": "10ms"}),
		with(t, "LatencyLevelling", params{"period": "10ms"})}
	w := coretest.NewWorld(t, coretest.Setup{Nodes: 2, Slots: 1, Room: 50, Latency: time.Millisecond,
		Forwarding: core.Forwarding{MaxHops: 1, ProbeTimeout: time.Second, AnswerTimeout: time.Second},
		Scheduler:  func(n core.NodeID) core.Scheduler { return values[n] }}, 1)
	const ms = core.Time(time.Millisecond)
	w.Crash(100*ms, 0)
	w.Restart(101*ms, 0)
	w.Submit(300*ms, 0, coretest.Request{Service: time.Millisecond})
	w.Run()
	if routes := values[0].(*LatencyLevelling).routes; len(routes) != 2 || routes[0].peer != 0 || routes[1].peer != 1 {
		t.Errorf("routes %+v", routes)
	}
}
