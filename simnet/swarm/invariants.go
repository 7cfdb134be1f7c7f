package swarm

import (
	"fmt"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/simnet"
)

// Invariant is something that holds at every instant of every run.
type Invariant string

// The invariants.
const (
	Conservation Invariant = "conservation" // arrived = ended + in the system: on the way to a node, lost there with a client that waits, or with one
	OneOutcome   Invariant = "one-outcome"  // a request ends once, and its task does; when it has ended, its task is gone
	Bounds       Invariant = "bounds"       // 0 <= running <= K and 0 <= waiting <= Q, and running is how many tasks execute
	Hops         Invariant = "hops"         // no task makes more hops than max_hops, and it counts all that it makes
	Dead         Invariant = "dead"         // a node that is down does nothing, and what it did not finish is not completed
	Membership   Invariant = "membership"   // settled time after the last fault, who lives holds exactly those who live to be there
	Window       Invariant = "window"       // a learner's window holds no more than it may, and nothing when it is flushed at the end
	Time         Invariant = "time"         // it does not go back, and the parts of a task's time are those of its latency
	Determinism  Invariant = "determinism"  // the same run twice gives the same digest
	Sound        Invariant = "sound"        // no panic, and no error of the algorithm or the run
)

// Invariants are all there are.
var Invariants = []Invariant{Conservation, OneOutcome, Bounds, Hops, Dead, Membership, Window, Time, Determinism, Sound}

// Violation is a run in which an invariant does not hold.
type Violation struct {
	Invariant   Invariant
	Replication int
	At          core.Time
	Node        core.NodeID // NoNode: it is of no single one
	Text        string
}

// Error implements error.
func (v *Violation) Error() string {
	where := ""
	if v.Node != core.NoNode {
		where = fmt.Sprintf(", node %d", v.Node)
	}
	if v.Replication > 0 { // what is drawn has no other than the first
		where += fmt.Sprintf(" in replication %d", v.Replication)
	}
	return fmt.Sprintf("%s at %v%s: %s", v.Invariant, v.At, where, v.Text)
}

// settled bounds the time from the end of the last fault to lists that are right. A suspicion that begins at the last
// moment ends after 6 s (SuspectMax). A node asks one of those that it holds dead every 4 s (8 periods); where all are,
// as after a partition that left it alone, the first answer brings it back to all others, and their lists to it page by
// page; those that are really down are asked in vain, and come with the lists: it suspects them in its turn, 6 s more.
// The rounds are drawn, so that no time is certain (docs/adr/0017).
const settled = 40 * time.Second

// checker is the observer of one run.
type checker struct {
	world    *simnet.World
	scenario *scenarios.Scenario
	nodes    int // with the cloud
	hops     int // of a task, at most

	broken *Violation // the first one

	ended    int
	outcomes []core.Outcome // by request
	done     map[core.TaskID]bool
	started  map[execution]int // executions that have begun and not ended
	at       []int             // of these, how many on a node
	executed map[execution]bool
	running  []int     // by node, as the tasks say
	down     []bool    // at the last event
	change   core.Time // when faults that matter to membership were last seen to lie or to change
	looked   bool      // at memberships
	pending  int       // entries that a learner's window may hold
}

// execution is of a task on a node.
type execution struct {
	task core.TaskID
	node core.NodeID
}

func newChecker(s *scenarios.Scenario) *checker {
	n := s.Cluster.Nodes()
	if s.Cluster.Cloud != nil {
		n++
	}
	c := &checker{scenario: s, nodes: n, hops: s.Scheduler.Forwarding.MaxHops, done: map[core.TaskID]bool{},
		started: map[execution]int{}, executed: map[execution]bool{}, at: make([]int, n), running: make([]int, n), down: make([]bool, n)}
	if s.Learner.Asks() {
		c.pending = s.Learner.Config.Patience + s.Learner.Config.Window
	}
	return c
}

// options make a world be watched by c.
func (c *checker) options() simnet.Options {
	return simnet.Options{Learned: c.learned, Observer: func(w *simnet.World) simnet.Observer {
		c.world = w
		return c
	}}
}

// wrong notes the first violation, which ends the run at the end of the event.
func (c *checker) wrong(i Invariant, n core.NodeID, format string, args ...any) {
	if c.broken == nil {
		c.broken = &Violation{Invariant: i, At: c.world.Now(), Node: n, Text: fmt.Sprintf(format, args...)}
	}
}

// Host implements simnet.Observer.
func (c *checker) Host(world core.Host) core.Host {
	return hostOf{world, c}
}

// Event implements simnet.Observer.
func (c *checker) Event(next core.Time) error {
	if now := c.world.Now(); next < now {
		c.wrong(Time, core.NoNode, "the next event is due at %v", next)
	}
	c.tasks(next)
	c.loads()
	c.windows()
	c.membership()
	if c.broken != nil {
		return c.broken
	}
	return nil
}

// tasks counts what is in the system until the next event.
func (c *checker) tasks(next core.Time) {
	w := c.world
	for len(c.outcomes) < w.Arrived() {
		c.outcomes = append(c.outcomes, core.InFlight)
	}
	clear(c.running)
	inside := 0
	count := func(id core.TaskID) {
		if c.outcomes[id] == core.InFlight {
			inside++
		}
	}
	w.Tasks(func(t *core.Task) {
		if n, runs := t.Executing(); runs {
			c.running[n]++
		}
		if n, _ := t.Forwarder(); n == core.NoNode {
			count(t.ID)
			// A client that gives up has its node told at that instant, and a decision ends before its task.
			if o, at := c.outcomes[t.ID], t.Entry(); o != core.InFlight && next > w.Now() && !t.Deciding() && !w.Paused(at) {
				c.wrong(OneOutcome, at, "request %d has ended as %v, and its task is there", t.ID, o)
			}
		}
	})
	w.Underway(count)
	if a := w.Arrived(); a != c.ended+inside {
		c.wrong(Conservation, core.NoNode, "%d requests arrived, %d have ended, %d are in the system", a, c.ended, inside)
	}
}

// windows looks at what learners have not learned from.
func (c *checker) windows() {
	for i := range c.nodes {
		if is := c.world.Pending(core.NodeID(i)); is > c.pending {
			c.wrong(Window, core.NodeID(i), "%d entries wait to be learned from, %d may", is, c.pending)
		}
	}
}

// loads looks at what nodes have in hand.
func (c *checker) loads() {
	for i := range c.nodes {
		n := core.NodeID(i)
		l := c.world.Load(n)
		switch {
		case l.Running < 0 || l.Running > l.Slots:
			c.wrong(Bounds, n, "%d tasks run in %d slots", l.Running, l.Slots)
		case l.Queued < 0 || l.Queued > l.Room:
			c.wrong(Bounds, n, "%d tasks wait, there is room for %d", l.Queued, l.Room)
		case int(l.Running) != c.running[i]:
			c.wrong(Bounds, n, "it counts %d running tasks, and %d execute there", l.Running, c.running[i])
		}
		down := c.world.Down(n)
		if down && (l.Running > 0 || l.Queued > 0 || c.at[i] > 0) {
			c.wrong(Dead, n, "it is down with %d running and %d waiting tasks, and %d executions that nobody stopped", l.Running, l.Queued, c.at[i])
		}
		if down != c.down[i] {
			c.down[i], c.change = down, c.world.Now()
		}
	}
}

// membership compares the lists of those who live with who lives.
func (c *checker) membership() {
	w := c.world
	if w.Silent() {
		c.change = w.Now()
	}
	if w.Now().Sub(c.change) < settled {
		return
	}
	for i := range c.scenario.Cluster.Nodes() {
		list := w.Members(core.NodeID(i))
		if list == nil || c.down[i] {
			continue
		}
		c.looked = true
		for k, has := range list {
			if k != i && has == c.down[k] {
				state := map[bool]string{false: "lives", true: "is down"}
				c.wrong(Membership, core.NodeID(i), "%v after the last fault it does not know that node %d %s", w.Now().Sub(c.change), k, state[c.down[k]])
				return
			}
		}
	}
}

// Ended implements simnet.Observer.
func (c *checker) Ended(r *results.Record) {
	for len(c.outcomes) < c.world.Arrived() {
		c.outcomes = append(c.outcomes, core.InFlight)
	}
	switch {
	case int(r.ID) >= len(c.outcomes):
		c.wrong(OneOutcome, r.Node, "request %d ends and never arrived", r.ID)
		return
	case r.Outcome == core.InFlight:
		c.wrong(OneOutcome, r.Node, "request %d ends in flight", r.ID)
	case c.outcomes[r.ID] != core.InFlight:
		c.wrong(OneOutcome, r.Node, "request %d ends as %v, after it ended as %v", r.ID, r.Outcome, c.outcomes[r.ID])
		return
	case r.Hops > c.hops:
		c.wrong(Hops, r.Node, "request %d made %d hops of %d", r.ID, r.Hops, c.hops)
	case r.Latency < 0:
		c.wrong(Time, r.Node, "request %d took %v", r.ID, r.Latency)
	}
	c.outcomes[r.ID] = r.Outcome
	c.ended++
}

// learned looks at a learner when the run has ended.
func (c *checker) learned(n core.NodeID, l *learner.Learner) error {
	l.Flush()
	if is := l.Stats().Pending; is != 0 {
		c.wrong(Window, n, "%d entries wait when all there are have been learned from", is)
	}
	if c.broken != nil {
		return c.broken
	}
	return nil
}

// hostOf is the world as the nodes see it, with a checker in between.
type hostOf struct {
	core.Host
	*checker
}

// alive notes what a node does while it is down.
func (c *checker) alive(n core.NodeID, does string) {
	if c.world.Down(n) {
		c.wrong(Dead, n, "it is down, and %s", does)
	}
}

// Send implements core.Host.
func (h hostOf) Send(m *core.Msg) {
	h.alive(m.From, "sends a message")
	switch m.Kind {
	case core.MsgForward, core.MsgHandover:
		for t := m.Task; t != nil; t = t.Next() {
			h.hop(m.From, t)
		}
	case core.MsgAnswer:
		if m.Outcome == core.Completed && m.Task.Executor() == m.From {
			h.finished(m.From, m.Task)
		}
	}
	h.Host.Send(m)
}

// hop checks a task that leaves a node.
func (c *checker) hop(n core.NodeID, t *core.Task) {
	if int(t.Hops) > c.hops {
		c.wrong(Hops, n, "task %d leaves for hop %d of %d", t.ID, t.Hops, c.hops)
	}
	if int(t.Hops) != len(t.Visited()) {
		c.wrong(Hops, n, "task %d has made %d hops, and was at %v", t.ID, t.Hops, t.Visited())
	}
}

// finished notes that a node has executed a task to the end. It may say so again, where the task had been there before
// it came back to be executed.
func (c *checker) finished(n core.NodeID, t *core.Task) {
	x := execution{t.ID, n}
	switch {
	case c.started[x] == 0 && c.executed[x]:
		return
	case c.started[x] == 0:
		c.wrong(Dead, n, "task %d is completed, and no execution of it has gone on until now", t.ID)
		return
	}
	c.ceases(x)
	c.executed[x] = true
}

func (c *checker) ceases(x execution) {
	c.at[x.node]--
	if c.started[x]--; c.started[x] == 0 {
		delete(c.started, x)
	}
}

// Arm implements core.Host.
func (h hostOf) Arm(n core.NodeID, at core.Time, k core.Token) {
	h.alive(n, "sets a timer")
	if at < h.world.Now() {
		h.wrong(Time, n, "it sets a timer for %v", at)
	}
	h.Host.Arm(n, at, k)
}

// Start implements core.Host.
func (h hostOf) Start(n core.NodeID, t *core.Task) {
	h.alive(n, "executes")
	h.started[execution{t.ID, n}]++
	h.at[n]++
	h.Host.Start(n, t)
}

// Stop implements core.Host.
func (h hostOf) Stop(n core.NodeID, t *core.Task) {
	h.ceases(execution{t.ID, n})
	h.Host.Stop(n, t)
}

// Act implements core.Host.
func (h hostOf) Act(n core.NodeID, k core.Token, state []float64) (core.Action, bool, error) {
	h.alive(n, "asks its learner")
	return h.Host.Act(n, k, state)
}

// Done implements core.Host.
func (h hostOf) Done(n core.NodeID, t *core.Task, o core.Outcome) {
	switch {
	case h.done[t.ID]:
		h.wrong(OneOutcome, n, "task %d ends twice, now as %v", t.ID, o)
	case h.world.Down(n) && o != core.LostNodeDown:
		h.wrong(Dead, n, "it is down, and task %d ends there as %v", t.ID, o)
	case int(t.Hops) > h.hops:
		h.wrong(Hops, n, "task %d ends after %d hops of %d", t.ID, t.Hops, h.hops)
	}
	h.done[t.ID] = true
	if o == core.Completed {
		if t.Executor() == n {
			h.finished(n, t)
		} else if !h.executed[execution{t.ID, t.Executor()}] {
			h.wrong(Dead, n, "task %d is completed, and node %d has not executed it to the end", t.ID, t.Executor())
		}
	}
	h.times(n, t, o)
	h.Host.Done(n, t, o)
}

// times checks where the time of a task went that has ended.
func (c *checker) times(n core.NodeID, t *core.Task, o core.Outcome) {
	x := &t.Timing
	if min(x.Scheduling, x.Probing, x.Forwarding, x.Waiting, x.Executing, x.Returning) < 0 {
		c.wrong(Time, n, "a part of the time of task %d is negative: %+v", t.ID, *x)
	}
	if took := c.world.Now().Sub(t.Arrived); o == core.Completed && x.Total() != took {
		c.wrong(Time, n, "task %d took %v, and the parts of its time are %v: %+v", t.ID, took, x.Total(), *x)
	}
}
