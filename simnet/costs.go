package simnet

import (
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// costs are what the parts of a request cost on real nodes, as a calibration says (docs/adr/0015).
type costs struct {
	scenarios.Costs
	calls     []scenarios.Cost               // by function
	functions []scenarios.CalibratedFunction // by function; Stretch is never 0
	streams   *streams                       // by node; those of the clients are their nodes'
}

// newCosts is nil where nothing is calibrated.
func newCosts(w *World) *costs {
	c := w.scenario.Calibration
	if c == nil {
		return nil
	}
	x := &costs{Costs: c.Costs, streams: newStreams(w, random.Costs)}
	for i := range w.scenario.Functions {
		f, known := c.Functions[w.scenario.Functions[i].Name]
		call := f.Call
		if !known {
			f.Stretch, call = 1, c.Costs.Call
		}
		x.functions, x.calls = append(x.functions, f), append(x.calls, call)
	}
	return x
}

// drawCost draws which of the values of a spread a part of a request at node n takes.
func (w *World) drawCost(n core.NodeID, s scenarios.Spread) int {
	if len(s) == 0 {
		return 0
	}
	return w.costs.streams.of(int(n)).IntN(len(s))
}

// spend returns how long a cost takes that begins now: the value of its spread with the index drawn, half of it on each of the
// machines a and b, where nil is a machine with cores to spare. Other jobs of these machines slow it, and its processor time is
// a load for them. share is below 1 for one way, there or back, of what was measured as a whole.
func (w *World) spend(cost *scenarios.Cost, drawn int, share float64, a, b *machine) time.Duration {
	d := time.Duration(0)
	if len(cost.Time) > 0 {
		d = time.Duration(float64(cost.Time[drawn]) * share)
	}
	busy := time.Duration(float64(cost.CPU) * share)
	if a == b {
		return d + a.spend(d, busy)
	}
	return d + a.spend(d/2, busy/2) + b.spend(d/2, busy/2)
}

// spend has the machine do what a cost of d on the clock takes of its cores, and returns for how much longer it takes
// since other requests are on their way; nil has cores to spare. As much as d goes first, since somebody waits for it;
// the rest goes on with all else.
func (m *machine) spend(d, busy time.Duration) time.Duration {
	if m == nil || busy <= 0 {
		return 0
	}
	awaited, slow := min(busy, d), m.slow()
	if awaited > 0 {
		m.run(&m.first, work{}, awaited)
	}
	if busy > awaited {
		m.run(&m.others, work{}, busy-awaited)
	}
	return time.Duration(float64(awaited) * (slow - 1))
}

// messageCost is what a message takes beyond its link.
func (w *World) messageCost(m *core.Msg) time.Duration {
	from, to := w.machines.at(m.From), w.machines.at(m.To)
	switch m.Kind {
	case core.MsgForward, core.MsgHandover:
		return w.cost(m.From, &w.costs.Forward, 1, from, to)
	case core.MsgAnswer:
		return w.cost(m.From, &w.costs.Return, 1, from, to)
	}
	return w.cost(m.From, &w.costs.Probe, 0.5, from, to) // one way of a round: the two are drawn by themselves
}

// cost draws and spends a cost of a request at node n.
func (w *World) cost(n core.NodeID, cost *scenarios.Cost, share float64, a, b *machine) time.Duration {
	return w.spend(cost, w.drawCost(n, cost.Time), share, a, b)
}

// clientSpread is what the ways between clients and nodes take, both together.
func (w *World) clientSpread() scenarios.Spread {
	if w.costs == nil {
		return nil
	}
	return w.costs.Client.Time
}

// clientCost is what one way takes between a client and its node, of a request that has drawn its cost for both.
func (w *World) clientCost(n core.NodeID, drawn int) time.Duration {
	if w.costs == nil {
		return 0
	}
	var load *machine
	if w.machines != nil {
		load = w.machines.load
	}
	return w.spend(&w.costs.Client, drawn, 0.5, load, w.machines.at(n))
}

// actCost is what a question to the learner of a node takes.
func (w *World) actCost(n core.NodeID) time.Duration {
	if w.costs == nil {
		return 0
	}
	return w.cost(n, &w.costs.Act, 1, w.machines.at(n), w.machines.at(n))
}

// service is how long a function executes on a node, and what the call takes beyond that.
func (w *World) service(n core.NodeID, t *core.Task, d time.Duration) (service, call time.Duration) {
	c := w.costs
	if c == nil {
		return d, 0
	}
	f := &c.functions[t.Type]
	service = time.Duration(float64(d) * f.Stretch)
	if int(n) < len(f.Nodes) {
		service = time.Duration(float64(service) * f.Nodes[n])
	}
	return service, w.cost(n, &c.calls[t.Type], 1, w.machines.at(n), w.machines.of(n, t.Type))
}
