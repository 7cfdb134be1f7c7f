package sched

import (
	"math"
	"slices"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// LatencyLevelling gives the tasks that arrive at a node to the node itself and to up to Routes peers, in shares that
// move towards the faster ones until all are equally fast. A node's latency is the mean time that tasks spend there, as
// Little's law gives it for each Period: the mean number of tasks over the rate of completions. Every Period a node
// asks its peers for theirs and adds the round trip. Then each route loses a share of Step * latency / mean, the mean
// being the usual one of its own traffic, and what all have lost is given back in equal parts. Where this comes to
// rest, all routes in use have the same latency and no other has less: a Wardrop equilibrium.
//
//	Period   time between two changes of the shares (default 1s); it should see many completions
//	Step     how far the shares go towards the faster routes in one period (default 0.01)
//	Routes   peers considered, at most (default 16)
//	Explore  least share of all routes together, so that none is forgotten (default 0.01)
//
// A peer that does not answer loses its share; one that has measured nothing yet counts as neither fast nor slow.
//
// Source: Proietti Mattia and Beraldi, MSWiM 2022, 10.1145/3551659.3559048; with Pietrabissa, IEEE TSC 16(5), 2023,
// 10.1109/TSC.2023.3265883. The changes of the shares are those of Nagurney and Zhang, Projected dynamical systems and
// variational inequalities with applications, 1996.
type LatencyLevelling struct {
	Period  time.Duration `param:"period" min:"1us" doc:"time between two changes of the shares"`
	Step    float64       `param:"step" min:"0" max:"1" doc:"how far they go towards the faster routes at once"`
	Routes  int           `param:"routes" unit:"peers" min:"1" max:"255" doc:"peers considered, at most"`
	Explore float64       `param:"explore" min:"0.0001" max:"1" doc:"least share of all routes together"`

	meter   meter
	routes  []route // the first is the node itself
	usual   float64 // mean latency of the own traffic, smoothed over periods: seconds
	scratch scratch
}

// route is where a share of the traffic goes.
type route struct {
	peer    core.NodeID
	fixed   bool // by the projection that is being computed
	share   float64
	latency float64 // seconds; 0 = not measured yet, infinite = the peer does not answer
}

// noteLatency asks for the latency of a node.
const noteLatency = 1

// Start implements core.Starter: it moves the shares.
func (s *LatencyLevelling) Start(env core.Env) {
	s.routes = append(s.routes[:0], route{peer: env.Self(), share: 1})
	for {
		s.connect(env)
		env.Sleep(s.Period)
		s.measure(env)
		s.level()
	}
}

// measure ends a period, and asks for the latencies of all routes.
func (s *LatencyLevelling) measure(env core.Env) {
	s.meter.close(env)
	peers := s.scratch.list(len(s.routes) - 1)
	for i := range peers {
		peers[i] = s.routes[i+1].peer
	}
	replies := env.Ask(core.Note{Kind: noteLatency}, peers...)
	s.routes[0].latency = s.meter.latency
	for i := range replies {
		r := &replies[i]
		switch l := &s.routes[i+1].latency; {
		case r.Err != nil:
			*l = math.Inf(1)
		case r.Note.Float > 0:
			*l = r.Note.Float + r.RTT.Seconds()
		default:
			*l = 0
		}
	}
}

// connect drops the routes to peers that have ceased to be neighbours, and adds others where there are too few.
func (s *LatencyLevelling) connect(env core.Env) {
	nb := env.Neighbours()
	s.routes = slices.DeleteFunc(s.routes, func(r route) bool { return !nb.Has(r.peer) })
	if want := 1 + min(s.Routes, nb.Len()); len(s.routes) < want {
		for _, p := range nb.Sample(s.Routes) {
			known := slices.ContainsFunc(s.routes, func(r route) bool { return r.peer == p })
			if !known && len(s.routes) < want {
				s.routes = append(s.routes, route{peer: p})
			}
		}
	}
	s.project()
}

// level moves the shares against the latencies.
func (s *LatencyLevelling) level() {
	weighted, weight := 0.0, 0.0
	for _, r := range s.routes {
		if r.measured() {
			weighted += float64(r.share * r.latency)
			weight += r.share
		}
	}
	if weight > 0 {
		mean := weighted / weight
		if s.usual == 0 {
			s.usual = mean
		}
		// The denominator is not the mean of this period: it has the noise of the routes with the largest shares,
		// which would look faster than they are.
		step := s.Step / s.usual
		for i := range s.routes {
			if r := &s.routes[i]; r.measured() {
				r.share -= float64(step * r.latency)
			} else {
				r.share -= float64(step * mean)
			}
		}
		s.usual += float64(0.1 * (mean - s.usual))
	}
	s.project()
}

func (r *route) measured() bool { return r.latency > 0 && !math.IsInf(r.latency, 1) }

// project makes the shares add up to 1 with the smallest change: all get the same more, but for unreachable peers,
// which get nothing, and those that would fall below the least share, which get that.
func (s *LatencyLevelling) project() {
	least := s.Explore / float64(len(s.routes))
	for i := range s.routes {
		r := &s.routes[i]
		r.fixed = math.IsInf(r.latency, 1)
		if r.fixed {
			r.share = 0
		}
	}
	for fixed := true; fixed; {
		fixed = false
		rest, open := 1.0, 0
		for _, r := range s.routes {
			rest -= r.share
			if !r.fixed {
				open++
			}
		}
		more := rest / float64(open)
		for i := range s.routes {
			if r := &s.routes[i]; !r.fixed && r.share+more < least {
				r.share, r.fixed, fixed = least, true, true
			}
		}
		for i := range s.routes {
			if r := &s.routes[i]; !r.fixed && !fixed {
				r.share += more
			}
		}
	}
}

// Schedule implements core.Scheduler.
func (s *LatencyLevelling) Schedule(env core.Env, _ *core.Task) core.Verdict {
	u := env.Rand().Float64()
	to := env.Self()
	for _, r := range s.routes {
		if r.share == 0 {
			continue
		}
		to = r.peer
		if u -= r.share; u < 0 {
			break
		}
	}
	return give(env, to)
}

// Changed implements core.Watcher.
func (s *LatencyLevelling) Changed(env core.Env) { s.meter.see(env) }

// Receive implements core.Receiver: it answers the latency.
func (s *LatencyLevelling) Receive(core.View, core.NodeID, core.Note) core.Note {
	return core.Note{Kind: noteLatency, Float: s.meter.latency}
}

// meter measures the latency of a node by Little's law.
type meter struct {
	last    core.Time // when the load last changed
	load    int
	area    float64 // the load integrated over the period: task seconds
	done    int     // completions in the period
	latency float64 // of the last period that said something, in seconds; 0 = none did
}

// see notes that the load is what it is from now on.
func (m *meter) see(v core.View) {
	now, load := v.Now(), v.Load().Total()
	m.area += float64(float64(m.load) * now.Sub(m.last).Seconds())
	m.done += max(0, m.load-load)
	m.last, m.load = now, load
}

// close ends a period. One in which nothing completed shows that the latency is at least that of tasks that were there
// all the time; one without any task says nothing.
func (m *meter) close(v core.View) {
	m.see(v)
	switch {
	case m.done > 0:
		m.latency = m.area / float64(m.done)
	case m.load > 0:
		m.latency = max(m.latency, m.area/float64(m.load))
	}
	m.area, m.done = 0, 0
}

func init() {
	Register(Entry{
		Name:    "LatencyLevelling",
		Summary: "divide the traffic among the node and its peers so that all become equally fast",
		Doc: "Each node moves shares of its own traffic from slower to faster routes, itself included, until no route that " +
			"is used could be left for a faster one: the Wardrop equilibrium, close to the optimal split and without any " +
			"decision that asks. It suits steady traffic and unequal nodes, and follows changes within a hundred periods. " +
			"Where many nodes move much at once they all run after the same fast one, and it gets slow: at high load, or " +
			"with long periods, take a smaller step. It costs two messages per route and period.",
		Source: "Proietti Mattia and Beraldi, MSWiM 2022, 10.1145/3551659.3559048, and with Pietrabissa, IEEE TSC 16(5), " +
			"2023, 10.1109/TSC.2023.3265883; Nagurney and Zhang, Projected dynamical systems, 1996",
		New: func() core.Scheduler {
			return &LatencyLevelling{Period: time.Second, Step: 0.01, Routes: 16, Explore: 0.01}
		},
	})
}
