package simnet

import (
	"math/rand/v2"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/results"
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

	open map[core.TaskID]call // those whose clients wait; nil where these wait for ever
}

// call is a request as its client knows it.
type call struct {
	scenarios.Arrival
	entry uint32 // slot of its task, plus 1; 0: it has not come to its node
	lost  bool   // on the way there
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
	patient := w.scenario.Client.Timeout == 0
	if !patient {
		a.open = map[core.TaskID]call{}
	}
	a.none = w.costs == nil && patient && (l.Latency == nil || constant && c.Mean() == 0 && l.Jitter == nil && l.Bandwidth == 0 && l.Loss == 0)
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
	if a.open != nil {
		a.open[id] = call{Arrival: *x, lost: lostUp}
		w.calendar.push(w.now.Add(w.scenario.Client.Timeout), evGiveUp, x.Node, 0, uint64(id))
	}
	if lostUp {
		if a.open == nil { // nobody waits for it: it ends at once
			w.lost(x, id, 0)
		}
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
	if a.open != nil {
		if _, waits := a.open[a.entering.id]; !waits {
			return // the client gave up before its node took the request
		}
	}
	a.entering.up = w.now.Sub(a.entering.At) // more than it was, where the node stood still
	w.submit(&a.entering.Arrival, a.entering.id)
}

// enter remembers the request behind a task.
func (a *access) enter(t *core.Task) {
	for t.Slot() >= len(a.inside) {
		a.inside = append(a.inside, request{})
	}
	a.inside[t.Slot()] = a.entering
	if x, waits := a.open[t.ID]; waits {
		x.entry = uint32(t.Slot()) + 1
		a.open[t.ID] = x
	}
}

// Done implements core.Host: a task has ended at its entry node.
func (w *World) Done(n core.NodeID, t *core.Task, o core.Outcome) {
	w.ended++
	if w.trace != nil {
		w.trace.done(n, t, o)
	}
	if w.access.open != nil {
		if _, waits := w.access.open[t.ID]; !waits {
			return // it was counted when its client gave up
		}
		delete(w.access.open, t.ID)
	}
	r := &w.one
	// Every field, one by one: a literal is built elsewhere and copied, which takes twice as long.
	r.Replication, r.ID, r.Node, r.Function = w.replication, t.ID, n, t.Type
	r.Outcome, r.Executor, r.Cold, r.ColdStart = o, t.Executor(), t.Cold(), t.ColdStart()
	r.Hops, r.Probes, r.Retries = int(t.Hops), int(t.Probes), int(t.Retries)
	r.Arrival, r.Latency, r.Client, r.Deadline = t.Arrived, w.now.Sub(t.Arrived), 0, w.deadline(t)
	r.Demand, r.Timing = t.Demand, t.Timing
	if w.faults != nil && w.faults.unanswered(t) && o == core.Completed {
		r.Outcome = core.LostNoAnswer
	}
	heard := w.faults == nil || !w.faults.down(n) // an answer, whatever it says: a node that has crashed gives none
	if !w.access.none {
		q := &w.access.inside[t.Slot()]
		r.Arrival, r.Client = q.At, q.up+q.down+w.clientCost(n, q.cost)
		r.Latency += r.Client
		d := w.scenario.Client.Timeout
		late := d > 0 && (q.unheard || r.Latency > d) // the client gives up when the answer is lost or on its way
		if late {
			r.Latency = d
		}
		if late || q.unheard {
			r.Outcome, heard = core.LostNoAnswer, false
		}
	}
	r.EnergyJ = w.energy(r)
	l := t.Lesson()
	w.reward(r, l)
	if l != nil && heard && w.learning.asks() {
		w.teach(n, t, l)
	}
	w.record(r)
}

// lost ends a request whose client has had no answer after so long.
func (w *World) lost(x *scenarios.Arrival, id core.TaskID, after time.Duration) {
	w.one = results.Record{Replication: w.replication, ID: id, Node: x.Node, Function: x.Type, Arrival: x.At,
		Outcome: core.LostNoAnswer, Executor: core.NoNode, Demand: x.Demand, Deadline: x.Deadline, Latency: after}
	w.reward(&w.one, nil)
	w.record(&w.one)
}

// giveUp ends the request of a client that has waited long enough, and tells its node, when that takes inputs, where the
// request has come there.
func (w *World) giveUp(e event) {
	id := core.TaskID(e.aux)
	if x, waits := w.access.open[id]; waits {
		delete(w.access.open, id)
		w.lost(&x.Arrival, id, w.scenario.Client.Timeout)
		e.ref = x.entry
	}
	if e.ref == 0 || w.faults != nil && w.faults.hold(&e) {
		return
	}
	w.fold(inputCancel, e.node, uint64(id))
	w.nodes[e.node].CancelSlot(w.now, id, int(e.ref-1))
}

func (w *World) deadline(t *core.Task) time.Duration {
	if t.Deadline == core.Never {
		return 0
	}
	if !w.access.none {
		return w.access.inside[t.Slot()].Deadline
	}
	return t.Budget()
}

// energy is what a request cost above the idle power of the nodes.
func (w *World) energy(r *results.Record) float64 {
	if w.powerless {
		return 0
	}
	busy := 0.0
	if r.Executor != core.NoNode {
		busy = w.groupOf(r.Executor).power.BusyWatts
	}
	f := &w.scenario.Functions[r.Function]
	return r.Energy(busy, w.groupOf(r.Node).power.JoulesPerByte, f.Payload, f.Reply)
}
