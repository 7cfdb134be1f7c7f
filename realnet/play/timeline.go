// Package play makes of the records of a run what a node tells of its cluster (package watch), instant by instant, so that the same
// page (package ui) shows a running cluster, a run of real nodes that is over, and a simulation.
//
// A record says when a request was sent, and how long each part of its way took, one after the other: at its entry node the
// decision, with the questions to peers; the way to the node that executed it; there the waiting and the execution; the way back. The
// sum of those that wait or execute at a node at an instant is its load. Where a request was in between, if it made several hops, no
// record says: it is drawn as one forward from its entry node to its executor, who is said to have had it while it waited. Half of
// what the client's own link took is taken to be before the arrival.
package play

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/watch"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

const (
	mostNodes     = 1024 // that a page can show
	points        = 240  // of the time line, in charts
	windows       = 100  // of rates, in the run
	shortestFrame = 200 * time.Millisecond
	longestFrame  = 5 * time.Second
	toldRequests  = 100
)

// Timeline is one replication of a point, as it went.
type Timeline struct {
	Name  string // of the run
	World string // sim or real
	Label string // of the point
	From  core.Time
	To    core.Time

	began     time.Time
	scheduler string
	names     []string // of the nodes
	slots     []int    // 0: without limit
	room      []int
	requests  []request     // in the order of their arrivals
	longest   time.Duration // of a request, from its arrival to its end
	faults    []occurrence  // in the order of their beginnings
}

// request is a record.
type request struct {
	id                int64
	arrival           core.Time // at its entry node
	node, executor    core.NodeID
	function, outcome string
	hops, probes      int32
	retries           int32
	took              time.Duration // until its end, at the entry node
	latency           time.Duration // as its client saw it
	cold              time.Duration
	parts             core.Timing
	rewarded          bool
	reward            float64
}

func (r *request) reached() core.Time {
	return r.arrival.Add(r.parts.Scheduling + r.parts.Probing + r.parts.Forwarding)
}
func (r *request) started() core.Time  { return r.reached().Add(r.parts.Waiting) }
func (r *request) finished() core.Time { return r.started().Add(r.parts.Executing) }
func (r *request) ended() core.Time    { return r.arrival.Add(r.took) }
func (r *request) forwarded() bool     { return r.executor >= 0 && r.executor != r.node }

// occurrence is a fault from its beginning to its end.
type occurrence struct {
	kind  scenarios.FaultKind
	name  string // what the page calls it: "crash of 3"
	label string // what it calls it beside the node
	nodes []core.NodeID
	from  core.Time
	to    core.Time // core.Never: to the end
}

// New makes the time line of a replication of a point; s is the scenario of that point.
func New(r *results.Run, p *results.Point, replication int, s *scenarios.Scenario) (*Timeline, error) {
	rep := p.Replication(replication)
	if rep == nil {
		return nil, fmt.Errorf("%s has no replication %d: write one of 0 to %d", r.Label(p), replication, p.Wanted-1)
	}
	t := &Timeline{Name: r.Name, World: r.World, Label: r.Label(p), From: core.Time(s.Warmup), To: core.Time(s.Duration), began: r.Started, scheduler: p.Scheduler}
	if n := s.Cluster.Nodes(); n > mostNodes {
		return nil, fmt.Errorf("%s has %d nodes, and a page can show %d", r.Label(p), n, mostNodes)
	}
	limit := func(n int) int {
		if n >= scenarios.Unlimited {
			return 0
		}
		return n
	}
	for i := range s.Cluster.Nodes() {
		g := s.Cluster.GroupOf(core.NodeID(i))
		t.add(strconv.Itoa(i), limit(g.Slots), limit(g.Queue))
	}
	if c := s.Cluster.Cloud; c != nil {
		t.add("cloud", limit(c.Slots), 0)
	}
	for row, err := range results.ReadRows(r.Requests()) {
		if err != nil {
			return nil, err
		}
		if int(row.Point) == p.Index && int(row.Replication) == replication {
			if int(max(row.Node, row.Executor)) >= len(t.names) || row.Node < 0 {
				return nil, fmt.Errorf("%s: request %d was at a node that the scenario does not have", r.Requests(), row.ID)
			}
			t.requests = append(t.requests, newRequest(&row))
		}
	}
	if len(t.requests) == 0 {
		return nil, fmt.Errorf("%s, replication %d: there are no records, so that there is nothing to show", r.Label(p), replication)
	}
	slices.SortFunc(t.requests, func(a, b request) int { return cmp.Or(cmp.Compare(a.arrival, b.arrival), cmp.Compare(a.id, b.id)) })
	for i := range t.requests {
		t.longest = max(t.longest, t.requests[i].took, t.requests[i].finished().Sub(t.requests[i].arrival))
	}
	t.befall(s, replication)
	return t, nil
}

func (t *Timeline) add(name string, slots, room int) {
	t.names, t.slots, t.room = append(t.names, name), append(t.slots, slots), append(t.room, room)
}

func newRequest(row *results.Row) request {
	half := time.Duration(row.ClientNS) / 2
	return request{id: row.ID, arrival: core.Time(row.ArrivalNS).Add(half), node: core.NodeID(row.Node), executor: core.NodeID(row.Executor),
		function: row.Function, outcome: row.Outcome, hops: row.Hops, probes: row.Probes, retries: row.Retries,
		took: time.Duration(row.LatencyNS - row.ClientNS), latency: time.Duration(row.LatencyNS), cold: time.Duration(row.ColdStartNS),
		parts: core.Timing{Scheduling: time.Duration(row.SchedulingNS), Probing: time.Duration(row.ProbingNS), Forwarding: time.Duration(row.ForwardingNS),
			Waiting: time.Duration(row.WaitingNS), Executing: time.Duration(row.ExecutingNS), Returning: time.Duration(row.ReturningNS)},
		rewarded: row.Rewarded, reward: row.Reward}
}

// befall takes the faults from the plan that both worlds carry out.
func (t *Timeline) befall(s *scenarios.Scenario, replication int) {
	open := map[int]int{} // index in faults, by that of the fault
	for _, e := range s.FaultPlan(replication) {
		if !e.Begin {
			t.faults[open[e.Fault]].to = e.At
			continue
		}
		if e.At == core.Never {
			continue // on a load: only the run itself knew
		}
		f := &s.Faults[e.Fault]
		open[e.Fault] = len(t.faults)
		o := occurrence{kind: f.Kind, label: string(f.Kind), nodes: e.Nodes, from: e.At, to: core.Never}
		if f.Kind == scenarios.Slow {
			o.label = fmt.Sprintf("slow ×%.3g", f.Factor)
		}
		o.name = o.label + " of " + t.list(e.Nodes)
		if e.Nodes == nil {
			o.name = fmt.Sprintf("%s between %s and %s", o.label, t.list(f.Between[0]), t.list(f.Between[1]))
		}
		t.faults = append(t.faults, o)
	}
}

// list names nodes.
func (t *Timeline) list(nodes []core.NodeID) string {
	const few = 6
	if len(nodes) >= len(t.names) {
		return "all"
	}
	var names []string
	for _, n := range nodes[:min(len(nodes), few)] {
		names = append(names, t.names[n])
	}
	if more := len(nodes) - few; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// Frame is a snapshot of a run.
type Frame struct {
	watch.Cluster
	Faults []Fault `json:"faults"` // that there are at this instant
}

// Fault is one that lies on nodes, or on links.
type Fault struct {
	Name  string   `json:"name"`
	Label string   `json:"label"` // the same without whom it befalls
	Nodes []string `json:"nodes"` // addresses; none: it lies between two sets of nodes
}

// At is the cluster at an instant, with rates over what went before.
func (t *Timeline) At(at core.Time) Frame {
	window := min(max(t.To.Sub(t.From)/windows, shortestFrame), longestFrame)
	return t.frame(at, window)
}

// frame is the same with rates over a window.
func (t *Timeline) frame(at core.Time, window time.Duration) Frame {
	since := max(t.From, at.Add(-window))
	per := 1 / max(at.Sub(since), time.Millisecond).Seconds()
	f := Frame{Cluster: watch.Cluster{At: t.instant(at), Window: at.Sub(since).Seconds(), Nodes: make([]watch.Node, len(t.names)), Forwards: []watch.Forward{}},
		Faults: []Fault{}}
	for i := range f.Nodes {
		f.Nodes[i] = watch.Node{Address: t.names[i], ID: "node " + t.names[i], State: watch.Alive, Since: t.instant(0), Slots: t.slots[i], Room: t.room[i],
			Label: t.scheduler, Functions: []watch.Function{}}
	}
	took, forwards := make([][]time.Duration, len(t.names)), map[[2]core.NodeID]int{}
	rewards, rewarded := make([]float64, len(t.names)), make([]int, len(t.names))
	in := func(x core.Time) bool { return x > since && x <= at }
	for _, r := range t.between(since.Add(-t.longest), at) {
		entry := &f.Nodes[r.node]
		if in(r.arrival) {
			entry.Rates.Arrived += per
			entry.Rates.Probes += per * float64(r.probes)
		}
		if r.arrival <= at && at < r.ended() {
			entry.Requests++
		}
		if x := r.executor; x >= 0 {
			executor := &f.Nodes[x]
			if r.forwarded() && in(r.reached()) {
				forwards[[2]core.NodeID{r.node, x}]++
				entry.Rates.Forwarded += per
				executor.Rates.Received += per
			}
			if r.reached() <= at && at < r.started() {
				executor.Queued++
			}
			if r.started() <= at && at < r.finished() {
				executor.Running++
			}
			if in(r.finished()) {
				executor.Rates.Executed += per
			}
		}
		if in(r.ended()) {
			t.end(r, &entry.Rates, per)
			if r.outcome == core.Completed.String() {
				took[r.node] = append(took[r.node], r.latency)
			}
			if r.rewarded {
				rewards[r.node] += r.reward
				rewarded[r.node]++
			}
		}
	}
	all := slices.Concat(took...)
	f.Latency = latency(all)
	for i := range f.Nodes {
		n := &f.Nodes[i]
		n.Latency = latency(took[i])
		if k := rewarded[i]; k > 0 {
			n.Learner = &watch.Learner{Reward: rewards[i] * per, Mean: rewards[i] / float64(k)}
		}
		f.Rates.Add(&n.Rates)
	}
	for i := range t.names {
		for k := range t.names {
			if n := forwards[[2]core.NodeID{core.NodeID(i), core.NodeID(k)}]; n > 0 {
				f.Forwards = append(f.Forwards, watch.Forward{From: t.names[i], To: t.names[k], Rate: float64(n) * per})
			}
		}
	}
	t.lie(&f, at)
	for i := range f.Nodes {
		f.States.Count(f.Nodes[i].State)
	}
	return f
}

// end counts a request that has ended.
func (t *Timeline) end(r *request, rates *watch.Rates, per float64) {
	switch {
	case r.outcome == core.Completed.String():
		rates.Completed += per
	case r.outcome == core.Expired.String():
		rates.Expired += per
	case strings.HasPrefix(r.outcome, "lost-"):
		rates.Lost += per
	default:
		rates.Rejected += per
	}
}

// lie puts the faults of an instant on the nodes.
func (t *Timeline) lie(f *Frame, at core.Time) {
	for _, o := range t.faults {
		if at < o.from || at >= o.to {
			continue
		}
		told := Fault{Name: o.name, Label: o.label, Nodes: []string{}}
		for _, id := range o.nodes {
			told.Nodes = append(told.Nodes, t.names[id])
			if n := &f.Nodes[id]; o.kind == scenarios.Crash {
				n.State, n.Since, n.Error = watch.Dead, t.instant(o.from), "it has crashed"
				n.Running, n.Queued, n.Requests = 0, 0, 0
			}
		}
		f.Faults = append(f.Faults, told)
	}
}

// between are the requests that arrived then.
func (t *Timeline) between(from, to core.Time) (found []*request) {
	i, _ := slices.BinarySearchFunc(t.requests, from, func(r request, at core.Time) int { return cmp.Compare(r.arrival, at) })
	for ; i < len(t.requests) && t.requests[i].arrival <= to; i++ {
		found = append(found, &t.requests[i])
	}
	return found
}

func (t *Timeline) instant(at core.Time) time.Time { return t.began.Add(time.Duration(at)).UTC() }

// latency is nil where there were no requests.
func latency(took []time.Duration) *watch.Latency {
	if len(took) == 0 {
		return nil
	}
	slices.Sort(took)
	quantile := func(percent int) float64 { return took[(len(took)*percent+99)/100-1].Seconds() } // of nearest rank
	return &watch.Latency{Count: int64(len(took)), P50: quantile(50), P95: quantile(95), P99: quantile(99)}
}

// Requests are those that have ended by an instant, the last ones first or, where an id is given, all that nodes would tell of it.
func (t *Timeline) Requests(at core.Time, id string) watch.Requests {
	told := watch.Requests{Requests: []realnet.PastRequest{}, Silent: []string{}}
	if id != "" {
		i := slices.IndexFunc(t.requests, func(r request) bool { return strconv.FormatInt(r.id, 10) == id })
		if i >= 0 {
			told.Requests = t.told(&t.requests[i])
		}
		return told
	}
	var last []*request
	for i := len(t.requests) - 1; i >= 0 && t.requests[i].arrival >= at.Add(-t.longest-longestFrame); i-- {
		if r := &t.requests[i]; r.ended() <= at {
			last = append(last, r)
		}
	}
	slices.SortStableFunc(last, func(a, b *request) int { return cmp.Compare(b.ended(), a.ended()) })
	for _, r := range last[:min(len(last), toldRequests)] {
		told.Requests = append(told.Requests, t.told(r)[0])
	}
	return told
}

// told is what the nodes would tell of a request: its entry node and, where that is another one, the one that executed it.
func (t *Timeline) told(r *request) []realnet.PastRequest {
	p := &r.parts
	entry := realnet.PastRequest{Request: strconv.FormatInt(r.id, 10), Node: t.names[r.node], Function: r.function, Arrived: t.instant(r.arrival), Took: r.took,
		Outcome: r.outcome, Decided: p.Scheduling + p.Probing, Hops: int(r.hops), Probes: int(r.probes), Retries: int(r.retries), Cold: r.cold,
		Parts: realnet.PastParts{Scheduling: p.Scheduling, Probing: p.Probing, Forwarding: p.Forwarding, Waiting: p.Waiting, Executing: p.Executing, Returning: p.Returning}}
	if r.executor < 0 {
		return []realnet.PastRequest{entry}
	}
	entry.Executor = t.names[r.executor]
	if !r.forwarded() {
		return []realnet.PastRequest{entry}
	}
	entry.Sent = []string{entry.Executor}
	there := entry
	there.Node, there.From, there.Sent, there.Decided, there.Probes = entry.Executor, entry.Node, nil, 0, 0
	there.Took, there.Arrived = p.Waiting+p.Executing, t.instant(r.reached())
	there.Parts = realnet.PastParts{Waiting: p.Waiting, Executing: p.Executing}
	return []realnet.PastRequest{entry, there}
}
