package simnet

import (
	"math/rand/v2"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// access is the link between the clients and their node.
type access struct {
	none     bool
	link     *scenarios.Link
	rand     *rand.Rand
	world    *World
	waiting  slab[request] // requests on the way up; index = evArrive's ref
	inside   []request     // requests that are in the cluster, by task slot
	entering request       // the one that is being submitted
}

// request is what the client's side of a request knows.
type request struct {
	scenarios.Arrival
	id       core.TaskID
	up, down time.Duration // on the client's link, and what the client costs
	cost     int           // which of its costs the client has, both ways
	unheard  bool          // the answer gets lost there
}

func (a *access) init(w *World) {
	l := &w.scenario.Client.Link
	c, constant := l.Latency.(random.Constant)
	a.none = w.costs == nil && (l.Latency == nil || constant && c.Mean() == 0 && l.Jitter == nil && l.Bandwidth == 0 && l.Loss == 0)
	a.link, a.world = l, w
	a.rand = rand.New(random.Stream(w.scenario.Seed, w.replication, random.Network, -1))
}

// send draws the way up and the way back at once, so that they do not depend on the algorithm.
func (a *access) send(x *scenarios.Arrival, id core.TaskID) {
	w := a.world
	f := &w.scenario.Functions[x.Type]
	up, lostUp := a.transit(f.Payload)
	down, lostDown := a.transit(f.Reply)
	cost := w.drawCost(x.Node, w.clientSpread())
	up += w.clientCost(x.Node, cost)
	if lostUp {
		w.lostOnAccess(&request{Arrival: *x, id: id, up: up, down: down})
		return
	}
	i := a.waiting.put(request{Arrival: *x, id: id, up: up, down: down, cost: cost, unheard: lostDown})
	w.calendar.push(w.now.Add(up), evArrive, x.Node, i, 0)
}

func (a *access) transit(bytes int) (time.Duration, bool) {
	l := a.link
	lost := l.Loss > 0 && a.rand.Float64() < l.Loss
	d := time.Duration(0)
	if l.Latency != nil {
		d = random.Duration(l.Latency, a.rand)
	}
	if l.Jitter != nil {
		d += random.Duration(l.Jitter, a.rand)
	}
	if l.Bandwidth > 0 {
		d += random.Seconds(float64(bytes) / l.Bandwidth)
	}
	return max(0, d), lost
}

// entered brings a request to its entry node.
func (w *World) entered(i uint32) {
	a := &w.access
	a.entering = a.waiting.take(i)
	w.submit(&a.entering.Arrival, a.entering.id)
}

// enter remembers the request behind a task.
func (a *access) enter(t *core.Task) {
	for t.Slot() >= len(a.inside) {
		a.inside = append(a.inside, request{})
	}
	a.inside[t.Slot()] = a.entering
}
