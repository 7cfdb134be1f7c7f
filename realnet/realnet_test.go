package realnet

import (
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/core/sched"
)

// outcome is what a client hears.
type outcome struct {
	now      core.Time
	latency  time.Duration
	timing   core.Timing
	entry    core.NodeID
	executor core.NodeID
	how      core.Outcome
}

// cluster is a full mesh in this process, all of whose links have one latency.
type cluster struct {
	t         testing.TB
	nodes     []*Mailbox
	transport *Memory
	arrived   sync.WaitGroup // submitted and not ended
	replayed  []*Replayed    // by node, when it has been closed

	mu       sync.Mutex
	outcomes map[core.TaskID]outcome
	faults   int
}

const latency = 2 * time.Millisecond

// config are nodes with so many slots and places.
func config(slots, room int32) core.Config {
	return core.Config{Slots: slots, Room: room, Speed: 1, Forwarding: core.Forwarding{MaxHops: 1,
		ProbeTimeout: 50 * time.Millisecond, AnswerTimeout: time.Minute}}
}

// withDefaults is an algorithm of the registry with its defaults but for the threshold, where it has one.
func withDefaults(name string) Descriptor {
	named := map[string]any{}
	if name == "PowerOfNScheduler" {
		named["threshold"] = 1
	}
	return Descriptor{Name: name, Named: named}
}

func buildScheduler(name string) (core.Scheduler, error) {
	a, err := withDefaults(name).algorithm(nil)
	if err != nil {
		return nil, err
	}
	return a.spec.New(), nil
}

func newCluster(t testing.TB, n int, cfg core.Config, name string) *cluster {
	t.Helper()
	c := &cluster{t: t, outcomes: make(map[core.TaskID]outcome)}
	c.transport = NewMemory(func(_, _ core.NodeID) time.Duration { return latency })
	topo := &core.Topology{Nodes: n, Cloud: core.NoNode}
	dir := t.TempDir()
	for i := range n {
		log, err := OpenRecorder(RecorderOptions{Dir: dir, Number: core.NodeID(i), Machines: make([]string, n)})
		if err != nil {
			t.Fatal(err)
		}
		own, err := buildScheduler(name)
		if err != nil {
			t.Fatal(err)
		}
		m := OpenMailbox(MailboxOptions{ID: core.NodeID(i), Config: cfg, Topology: topo, Scheduler: own, Name: withDefaults(name).String(), Record: log,
			Stream: *random.Stream(1, 0, random.Algorithm, i), Transport: c.transport, Done: c.done,
			Fault: func(*core.Fault) {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.faults++
			}})
		c.transport.Connect(m)
		c.nodes = append(c.nodes, m)
	}
	return c
}

func (c *cluster) done(now core.Time, k *core.Task, o core.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, twice := c.outcomes[k.ID]; twice {
		c.t.Errorf("task %d ended twice", k.ID)
		return
	}
	c.outcomes[k.ID] = outcome{now, now.Sub(k.Arrived), k.Timing, k.Entry(), k.Executor(), o}
	c.arrived.Done()
}

// replayFile replays a log.
func replayFile(t testing.TB, path string) (*Replayed, error) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	return Replay(file)
}

// replayWhole replays a log that must be whole, and equal.
func replayWhole(t testing.TB, path string) *Replayed {
	t.Helper()
	r, err := replayFile(t, path)
	switch {
	case err != nil:
		t.Error(err)
		return &Replayed{}
	case r.Difference != nil:
		t.Errorf("%s, line %d: %v", path, r.Line, r.Difference)
	case r.Incomplete != "":
		t.Errorf("%s is incomplete: %s", path, r.Incomplete)
	}
	return r
}

func (c *cluster) submit(node int, id core.TaskID, demand time.Duration) {
	c.arrived.Add(1)
	c.nodes[node].Post(core.Input{Kind: core.InputSubmit,
		Task: &core.TaskValue{ID: id, Demand: demand, Deadline: core.Never}})
}

// close ends everything and replays what each node recorded.
func (c *cluster) close() {
	c.t.Helper()
	for _, m := range c.nodes {
		m.Close()
	}
	c.transport.Close()
	for _, m := range c.nodes {
		c.replayed = append(c.replayed, replayWhole(c.t, m.options.Record.path))
	}
}

// load posts requests from a goroutine per node, of which the first gets the most, and waits until all have ended.
func (c *cluster) load(requests int, mean time.Duration) {
	var clients sync.WaitGroup
	for i := range c.nodes {
		clients.Go(func() {
			r := rand.New(random.Stream(1, 0, random.Arrivals, i))
			for j := range requests >> i {
				time.Sleep(time.Duration(r.ExpFloat64() * float64(mean)))
				c.submit(i, core.TaskID(j*len(c.nodes)+i), time.Duration(r.ExpFloat64()*float64(mean)))
			}
		})
	}
	clients.Wait()
	c.arrived.Wait()
}

// check looks at what 3 nodes made of a load.
func (c *cluster) check(want int) {
	c.t.Helper()
	if len(c.outcomes) != want || c.faults > 0 {
		c.t.Errorf("%d tasks ended, with %d faults, want %d and none", len(c.outcomes), c.faults, want)
	}
	moved := 0
	for id, o := range c.outcomes {
		if o.how != core.Completed {
			c.t.Errorf("task %d ended as %v", id, o.how)
		}
		if o.timing.Total() != o.latency {
			c.t.Errorf("task %d: the parts of its time %+v add up to %v, its latency is %v",
				id, o.timing, o.timing.Total(), o.latency)
		}
		if o.executor != o.entry {
			moved++
			if o.timing.Forwarding < latency || o.timing.Returning < latency {
				c.t.Errorf("task %d went from %d to %d in %v and back in %v, the link has %v",
					id, o.entry, o.executor, o.timing.Forwarding, o.timing.Returning, latency)
			}
		}
	}
	if moved < want/20 || moved > want*19/20 {
		c.t.Errorf("%d of %d tasks were executed at a peer", moved, want)
	}
	for i, r := range c.replayed {
		if r.Verdicts < 50 {
			c.t.Errorf("node %d decided %d times", i, r.Verdicts)
		}
	}
}

// The clock of a synctest bubble is the fake one: the goroutines are real, and the bubble fails where one is left.
func TestPowerOfN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, config(1, 1000), "PowerOfNScheduler")
		c.load(400, 10*time.Millisecond)
		c.close()
		c.check(400 + 200 + 100)
	})
}

func TestPowerOfNOnTheWallClock(t *testing.T) {
	before := runtime.NumGoroutine()
	cfg := config(1, 1000)
	cfg.Forwarding.ProbeTimeout = time.Minute // the machine may be busy
	c := newCluster(t, 3, cfg, "PowerOfNScheduler")
	c.load(400, time.Millisecond)
	c.close()
	c.check(400 + 200 + 100)
	eventually(t, "the goroutines end", func() bool { return runtime.NumGoroutine() <= before })
}

// Whatever an algorithm uses of its Env, and whatever of its state outlives a call, its decisions replay. The cluster
// is overloaded at times, and node 2 crashes and comes back.
func TestEveryAlgorithmReplays(t *testing.T) {
	required := 0
	for _, name := range sched.Names() {
		if _, err := buildScheduler(name); err != nil {
			required++ // it has parameters without a default
			continue
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config(2, 4)
				cfg.MeanService = []time.Duration{10 * time.Millisecond}
				cfg.Forwarding.MaxHops, cfg.Forwarding.OnFailure = 2, core.FallbackNext
				cfg.Forwarding.AnswerTimeout = 100 * time.Millisecond
				c := newCluster(t, 4, cfg, name)
				time.AfterFunc(300*time.Millisecond, func() { c.nodes[2].Post(core.Input{Kind: core.InputCrash}) })
				time.AfterFunc(400*time.Millisecond, func() {
					own, _ := buildScheduler(name)
					c.nodes[2].Post(core.Input{Kind: core.InputRestart, Scheduler: withDefaults(name).String(), Own: own})
				})
				c.load(300, 6*time.Millisecond)
				c.close()
				if c.faults > 0 || c.replayed[0].Verdicts < 250 {
					t.Errorf("%d faults, %d decisions", c.faults, c.replayed[0].Verdicts)
				}
			})
		})
	}
	if required > len(sched.Names())/3 {
		t.Errorf("%d algorithms were left out", required)
	}
}

// The times of a forwarded task are exact where the clock is.
func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(1, 0)
		cfg.Speed = 2
		c := newCluster(t, 2, cfg, "PowerOfNScheduler")
		c.submit(0, 1, 100*time.Millisecond)
		synctest.Wait()
		c.submit(0, 2, 40*time.Millisecond)
		c.arrived.Wait()
		c.close()
		want := core.Timing{Probing: 2 * latency, Forwarding: latency, Executing: 20 * time.Millisecond, Returning: latency}
		if o := c.outcomes[2]; o.timing != want || o.executor != 1 {
			t.Errorf("the second task: %+v at node %d, want %+v at node 1", o.timing, o.executor, want)
		}
		if o := c.outcomes[1]; o.timing != (core.Timing{Executing: 50 * time.Millisecond}) || o.executor != 0 {
			t.Errorf("the first task: %+v at node %d, want 50ms of execution at node 0", o.timing, o.executor)
		}
	})
}

// A client that hangs up, a deadline, a crash with a task in hand, a peer that does not answer, a restart.
func TestLosses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(1, 5)
		cfg.Abandon = true
		c := newCluster(t, 2, cfg, "PowerOfNScheduler")
		long := time.Hour
		c.submit(0, 1, long)
		synctest.Wait()
		c.nodes[0].Post(core.Input{Kind: core.InputCancel, ID: 1})
		c.submit(1, 2, long)
		synctest.Wait()
		c.submit(0, 3, long)
		synctest.Wait()
		c.arrived.Add(1)
		c.nodes[1].Post(core.Input{Kind: core.InputSubmit, Task: &core.TaskValue{ID: 4, Demand: long,
			Deadline: c.nodes[1].Now().Add(time.Second)}})
		time.Sleep(2 * time.Second)
		c.nodes[1].Post(core.Input{Kind: core.InputCrash})
		synctest.Wait()
		if n := len(c.nodes[1].executions); n > 0 {
			t.Errorf("%d executions go on after the crash of their node", n)
		}
		c.submit(0, 5, time.Millisecond) // node 1 gives no answer
		c.submit(1, 6, long)             // nor to its clients
		time.Sleep(time.Second)
		c.nodes[0].Post(core.Input{Kind: core.InputCancel, ID: 3})
		own, _ := buildScheduler("PowerOfNScheduler")
		c.nodes[1].Post(core.Input{Kind: core.InputRestart,
			Scheduler: withDefaults("PowerOfNScheduler").String(), Own: own})
		c.submit(1, 7, time.Millisecond)
		c.arrived.Wait()
		c.close()
		for id, want := range map[core.TaskID]core.Outcome{1: core.LostClientGone, 2: core.LostNodeDown,
			3: core.LostClientGone, 4: core.Expired, 5: core.Completed, 6: core.LostNodeDown, 7: core.Completed} {
			if got := c.outcomes[id].how; got != want {
				t.Errorf("task %d ended as %v, want %v", id, got, want)
			}
		}
		if p := c.outcomes[5].timing.Probing; p != 50*time.Millisecond {
			t.Errorf("the probe of a node that is down took %v, want the timeout of 50ms", p)
		}
	})
}

// A node that posts to itself from its own goroutine, more than any channel would hold, goes on; and an
// execution does not keep it from being closed.
func TestPostToOneself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const posts = 100_000
		var m *Mailbox
		var fired int
		all := make(chan struct{})
		m = OpenMailbox(MailboxOptions{Config: config(1, 0), Topology: &core.Topology{Nodes: 1, Cloud: core.NoNode},
			Done: func(_ core.Time, _ *core.Task, _ core.Outcome) {
				if fired++; fired == 1 {
					for range posts {
						m.Post(core.Input{Kind: core.InputSubmit, Task: &core.TaskValue{Deadline: core.Never}})
					}
				}
				if fired == 1+posts {
					close(all)
				}
			}})
		m.Post(core.Input{Kind: core.InputSubmit, Task: &core.TaskValue{Deadline: core.Never}})
		<-all
		m.Post(core.Input{Kind: core.InputSubmit, Task: &core.TaskValue{Demand: time.Hour, Deadline: core.Never}})
		synctest.Wait()
		m.Close()
		if now := m.Now(); now > core.Time(time.Minute) {
			t.Errorf("Close waited for an execution, until %v", now)
		}
		m.Post(core.Input{Kind: core.InputBoot})
	})
}

// careless panics now and then.
type careless struct{}

func (careless) Schedule(_ core.Env, t *core.Task) core.Verdict {
	if t.ID == 1 {
		panic("careless")
	}
	return core.Execute()
}

// An algorithm's panic fails its task, not the node.
func TestFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan core.Outcome, 2)
		faults := make(chan *core.Fault, 2)
		m := OpenMailbox(MailboxOptions{Config: config(1, 0), Topology: &core.Topology{Nodes: 1, Cloud: core.NoNode},
			Scheduler: careless{}, Done: func(_ core.Time, _ *core.Task, o core.Outcome) { ended <- o },
			Fault: func(f *core.Fault) { faults <- f }})
		defer m.Close()
		for id := range core.TaskID(2) {
			m.Post(core.Input{Kind: core.InputSubmit, Task: &core.TaskValue{ID: 1 - id, Deadline: core.Never}})
		}
		if first, second := <-ended, <-ended; first != core.Rejected || second != core.Completed {
			t.Errorf("the tasks ended as %v and %v", first, second)
		}
		if f := <-faults; f.Cause != "careless" || f.Task != 1 {
			t.Errorf("the fault is %v of task %d", f.Cause, f.Task)
		}
	})
}
