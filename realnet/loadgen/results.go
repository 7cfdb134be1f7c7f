package loadgen

import (
	"cmp"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// What the load generator counts: the same figures as a simulation's.

const (
	loadSamples = 200                    // of a run
	sampleEvery = 100 * time.Millisecond // at least between two
	watchedMost = 64                     // nodes whose loads are kept one by one
	reasonsMost = 32                     // reasons of losses
)

// counting is what becomes of a replication's requests.
type counting struct {
	scenario *scenarios.Scenario
	each     func(*results.Record)
	every    time.Duration

	mu      sync.Mutex
	formula learner.Reward
	answer  learner.Answer
	result  results.Replication
	window  *results.Window
	nodes   []nodeCount // the cloud last
	bins    []loadBin
	late    *results.Punctuality
	sampled int // loads
	lottery *rand.Rand
	wanted  int
	seen    int
	faulty  []results.Faulty
	losses  []results.Loss
}

// nodeCount is what one node did in the measured part.
type nodeCount struct {
	arrivals, executed uint64
	busy               time.Duration
	sent               int64 // bytes
}

// loadBin is what happened between two samples.
type loadBin struct {
	arrived, ended, completed, dropped int
	latency                            time.Duration
	reward                             float64
}

// SampleInterval is the time between two looks at the loads of the nodes in a run of that duration.
func SampleInterval(run time.Duration) time.Duration { return max(sampleEvery, run/loadSamples) }

func newCounting(o *Options) *counting {
	s := o.Scenario
	c := &counting{scenario: s, each: o.Each, every: cmp.Or(o.Every, SampleInterval(s.Duration)), wanted: o.Sample,
		late:    results.NewPunctuality(),
		lottery: rand.New(random.Stream(s.Seed, o.Replication, random.Records, 0))}
	var names []string
	for i := range s.Functions {
		names = append(names, s.Functions[i].Name)
	}
	r := &c.result
	batches := 0
	if s.Replications == 1 && s.Precision == nil {
		batches = results.Batches // in place of replications
	}
	c.window = results.NewWindow(core.Time(s.Warmup), core.Time(s.Duration), batches, names...)
	r.Index, r.Measured, r.Tally, r.Batches = o.Replication, s.Duration-s.Warmup, c.window.Tally, c.window.Batches
	c.nodes = make([]nodeCount, s.Cluster.Nodes()+1)
	c.bins = make([]loadBin, c.samples())
	r.Series = &results.Series{Every: c.every}
	watched := min(s.Cluster.Nodes(), watchedMost)
	for i := range watched {
		r.Series.Nodes = append(r.Series.Nodes, core.NodeID(i*s.Cluster.Nodes()/watched))
	}
	r.Series.PerNode = make([][]int32, watched)
	if s.Learner != nil {
		c.formula = s.Learner.Reward
	}
	return c
}

func (c *counting) samples() int { return max(1, int(c.scenario.Duration/c.every)) }

// bin is where something at an instant of the run is counted.
func (c *counting) bin(at time.Duration) *loadBin {
	return &c.bins[max(0, min(len(c.bins)-1, int(at/c.every)))]
}

// born takes a request that this generator is to send into the digest of the schedule: shares of it have their own.
func (c *counting) born(a *scenarios.Arrival) { c.result.Requests = a.Fold(c.result.Requests) }

// left counts a request that leaves.
func (c *counting) left(a *scenarios.Arrival) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.result.Jobs++
	c.result.Submitted++
	c.bin(time.Duration(a.At)).arrived++
}

// add counts a request that has ended, with the status of its answer and what is remarkable about that, which a fault may explain, and
// returns what there is to teach its learner; nil: nothing.
func (c *counting) add(r *results.Record, lesson *wire.LessonReport, status int, remark string, byFault bool) *learner.Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reward(r, lesson)
	c.result.Ended++
	c.late.Add(r.Late)
	b := c.bin(time.Duration(r.Arrival) + r.Latency)
	b.ended++
	b.reward += r.Reward
	if r.Outcome == core.Completed {
		b.completed++
		b.latency += r.Latency
	} else {
		b.dropped++
	}
	c.execution(r)
	if c.window.Add(r) {
		c.measured(r)
		c.remark(r, status, remark, byFault)
	}
	if lesson == nil {
		return nil
	}
	return &learner.Entry{EID: lesson.EID, State: lesson.State, Action: lesson.Action, Reward: r.Reward}
}

// measured counts a request that arrived in the measured part.
func (c *counting) measured(r *results.Record) {
	c.nodes[r.Node].arrivals++
	if c.each != nil {
		c.each(r)
	}
	if c.wanted == 0 {
		return
	}
	c.seen++ // Vitter's algorithm R, ACM TOMS 11(1), 1985
	if kept := &c.result.Records; len(*kept) < c.wanted {
		*kept = append(*kept, *r)
	} else if i := c.lottery.IntN(c.seen); i < c.wanted {
		(*kept)[i] = *r
	}
}

// remark counts answers that are errors of a function, and why requests were lost.
func (c *counting) remark(r *results.Record, status int, remark string, byFault bool) {
	switch {
	case r.Outcome == core.Completed && status >= http.StatusBadRequest:
		f := results.Faulty{Function: c.scenario.Functions[r.Function].Name, Status: status, Said: remark}
		i := slices.IndexFunc(c.faulty, func(x results.Faulty) bool { return x.Function == f.Function && x.Status == status })
		if i < 0 {
			i = len(c.faulty)
			c.faulty = append(c.faulty, f)
		}
		c.faulty[i].Count++
	case r.Outcome.Lost() || r.Outcome != core.Completed && remark != "":
		remark = cmp.Or(remark, "no reason was given")
		same := func(x results.Loss) bool { return x.Outcome == r.Outcome && x.Reason == remark && x.ByFault == byFault }
		i := slices.IndexFunc(c.losses, same)
		if i < 0 && len(c.losses) >= reasonsMost {
			remark = results.OtherReasons
			i = slices.IndexFunc(c.losses, same)
		}
		if i < 0 {
			i = len(c.losses)
			c.losses = append(c.losses, results.Loss{Outcome: r.Outcome, Reason: remark, ByFault: byFault})
		}
		l := &c.losses[i]
		l.Count++
		if k, known := slices.BinarySearch(l.Nodes, r.Node); !known {
			l.Nodes = slices.Insert(l.Nodes, k, r.Node)
		}
	}
}

// execution accounts for the slot that a request took, as far as that fell into the measured part. It ended when the
// answer began its way back.
func (c *counting) execution(r *results.Record) {
	if r.Executor == core.NoNode || r.Outcome != core.Completed {
		return
	}
	s := c.scenario
	n := &c.nodes[r.Executor]
	end := time.Duration(r.Arrival) + r.Latency - r.Timing.Returning
	if end >= s.Warmup && end < s.Duration {
		n.executed++
	}
	if from, to := max(end-r.Timing.Executing, s.Warmup), min(end, s.Duration); to > from {
		n.busy += to - from
	}
	if f := &s.Functions[r.Function]; r.Hops+r.Retries > 0 && end >= s.Warmup && end < s.Duration { // messages leave about then
		c.nodes[r.Node].sent += int64((r.Hops + r.Retries) * f.Payload)
		n.sent += int64(r.Hops * f.Reply)
	}
}

// energy is what a request cost above the idle power of the nodes, by the scenario's model of them.
func (c *counting) energy(r *results.Record) float64 {
	busy := 0.0
	if r.Executor != core.NoNode {
		busy = c.power(r.Executor).BusyWatts
	}
	f := &c.scenario.Functions[r.Function]
	return r.Energy(busy, c.power(r.Node).JoulesPerByte, f.Payload, f.Reply)
}

func (c *counting) power(n core.NodeID) scenarios.Power {
	if g := c.scenario.Cluster.GroupOf(n); g != nil {
		return g.Power
	}
	return c.scenario.Cluster.Cloud.Power
}

// reward says what the answer to a request was worth.
func (c *counting) reward(r *results.Record, lesson *wire.LessonReport) {
	if r.Rewarded = c.scenario.Learner != nil; !r.Rewarded {
		return
	}
	action := -1
	if lesson != nil {
		action = lesson.Action
	}
	r.Answer(&c.answer, c.scenario.Functions[r.Function].Name, action)
	x, err := c.formula.Of(&c.answer)
	if err != nil {
		slog.Error("the reward of a request cannot be said", "request", r.ID, "error", err)
	}
	r.Reward = x
}

// sample takes the loads of the nodes at the end of bin i.
func (c *counting) sample(i int, loads []int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.result.Series
	total := 0
	for _, l := range loads {
		total += int(l)
	}
	s.Mean = append(s.Mean, float64(total)/float64(len(loads)))
	for k, id := range s.Nodes {
		s.PerNode[k] = append(s.PerNode[k], loads[id])
	}
	c.sampled = i + 1
}

// finish puts the results together; the spells are what the nodes said at the ends of the measured part, and reality is what
// else is known about the run.
func (c *counting) finish(wall time.Duration, spells []spell, reality *results.Reality) (*results.Replication, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &c.result
	if r.Submitted != r.Ended {
		return nil, fmt.Errorf("%d requests were sent, and %d have ended", r.Submitted, r.Ended)
	}
	r.WallTime, r.Events = wall, r.Ended
	r.Reality = reality
	reality.Faulty, reality.Losses = c.faulty, c.losses
	reality.Sent, reality.Links = c.late.Lateness(), linksOf(c.scenario.Cluster.Network(), spells)
	messages, silent := messagesOf(spells)
	r.Messages, reality.Silent = messages, reality.Silent+silent
	for i := range c.bins[:c.sampled] {
		b := &c.bins[i]
		s := r.Series
		s.Rate = append(s.Rate, float64(b.arrived)/c.every.Seconds())
		s.Latency = append(s.Latency, ratio(b.latency.Seconds(), b.completed))
		s.Dropped = append(s.Dropped, ratio(float64(b.dropped), b.ended))
		if c.scenario.Learner != nil {
			s.Reward = append(s.Reward, ratio(b.reward, b.ended))
		}
	}
	c.nodeStats()
	slices.SortFunc(r.Records, func(a, b results.Record) int { return int(a.ID) - int(b.ID) })
	c.window.Pack()
	return r, nil
}

// ratio is NaN where there is nothing to divide by.
func ratio(sum float64, n int) float64 {
	if n == 0 {
		return math.NaN()
	}
	return sum / float64(n)
}

func (c *counting) nodeStats() {
	id := 0
	add := func(name string, nodes, slots int, speed float64, p scenarios.Power) {
		sum := results.NodeStat{Name: name, Nodes: nodes, Slots: slots, Speed: speed}
		if slots >= scenarios.Unlimited {
			sum.Slots = 0
		}
		for k := range nodes {
			n := &c.nodes[id]
			id++
			one := results.NodeStat{Name: fmt.Sprintf("%s-%d", name, k), Nodes: 1, Slots: sum.Slots, Speed: speed,
				Arrivals: n.arrivals, Executed: n.executed, Busy: n.busy, EnergyJ: p.IdleWatts*c.result.Measured.Seconds() +
					p.BusyWatts*n.busy.Seconds() + p.JoulesPerByte*float64(n.sent)}
			c.result.Nodes = append(c.result.Nodes, one)
			sum.Arrivals += one.Arrivals
			sum.Executed += one.Executed
			sum.Busy += one.Busy
			sum.EnergyJ += one.EnergyJ
		}
		c.result.Groups = append(c.result.Groups, sum)
	}
	for i := range c.scenario.Cluster.Groups {
		g := &c.scenario.Cluster.Groups[i]
		add(g.Name, g.Nodes, g.Slots, g.Speed, g.Power)
	}
	if k := c.scenario.Cluster.Cloud; k != nil {
		add("cloud", 1, k.Slots, k.Speed, k.Power)
	}
}
