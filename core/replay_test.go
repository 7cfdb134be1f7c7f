package core_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// probing asks two peers, now and then sleeps first or asks the learner, and goes to the less loaded; it depends on
// the stream, on the answers, on the clock and on its state.
type probing struct{ told int64 }

func (s *probing) Schedule(env core.Env, t *core.Task) core.Verdict {
	switch env.Rand().IntN(8) {
	case 0:
		env.Sleep(time.Duration(1+s.told) * time.Millisecond)
	case 1:
		if _, err := env.Act([]float64{1}); err != nil {
			return core.Reject(core.Rejected)
		}
	case 2:
		return core.Replicate(core.CancelOnStart, env.Neighbours().SampleAll(2)...)
	}
	if t.Hops > 0 {
		return core.Execute()
	}
	least, best := env.Load().Total(), env.Self()
	for _, r := range env.Probe(env.Neighbours().Sample(2)...) {
		if r.Err == nil && r.Load.Total() < least {
			least, best = r.Load.Total(), r.Peer
		}
	}
	if best == env.Self() {
		return core.Execute()
	}
	return core.Forward(best, env.Neighbours().Sample(1)...)
}

func (s *probing) Receive(_ core.View, _ core.NodeID, n core.Note) core.Note {
	s.told = n.Int
	return n
}

// executing decides nothing.
type executing struct{}

func (executing) Schedule(core.Env, *core.Task) core.Verdict { return core.Execute() }

func build(name string) (core.Scheduler, error) {
	switch name {
	case "probing":
		return &probing{}, nil
	case "executing":
		return executing{}, nil
	}
	return nil, errors.New("unknown")
}

// recorder is the world around node 0: peers that answer by chance, sometimes not at all, after a while.
type recorder struct {
	engine *core.Engine
	node   core.Node
	log    *core.Log
	rand   *rand.Rand
	due    []core.Input // sorted by At, equal ones in order of coming
	done   [core.NumOutcomes]int
}

func (h *recorder) after(d time.Duration, in core.Input) {
	in.At = h.engine.Now().Add(d)
	i, _ := slices.BinarySearchFunc(h.due, in.At+1, func(x core.Input, at core.Time) int { return int(x.At - at) })
	h.due = slices.Insert(h.due, i, in)
}

func (h *recorder) Send(m *core.Msg) {
	p := h.engine.Pack(m)
	r := core.Parcel{From: p.To, To: p.From, Item: p.Item, Token: p.Token, Transit: time.Microsecond,
		Load: core.Load{Running: h.rand.Int32N(3), Queued: h.rand.Int32N(2), Capacity: core.Capacity{Slots: 2, Room: 4, Speed: 1}}}
	switch p.Kind {
	case core.MsgProbe:
		r.Kind = core.MsgReply
	case core.MsgForward:
		r.Kind, r.Outcome, r.Tasks = core.MsgAnswer, core.Completed, p.Tasks
		r.Token = p.Tasks[0].Trip.Token
		if h.rand.IntN(3) == 0 {
			r.Outcome = core.NoRoom
		}
	default:
		return
	}
	if h.rand.IntN(10) > 0 {
		h.after(time.Duration(h.rand.IntN(8_000_000)), core.Input{Kind: core.InputDeliver, Message: &r})
	}
}

func (h *recorder) Arm(_ core.NodeID, at core.Time, k core.Token) {
	h.after(at.Sub(h.engine.Now()), core.Input{Kind: core.InputFire, Token: k})
}

func (h *recorder) Start(_ core.NodeID, t *core.Task) {
	h.after(t.Demand, core.Input{Kind: core.InputFinish, Token: t.Token(), Cold: h.rand.IntN(2) == 0})
}

func (h *recorder) Act(_ core.NodeID, k core.Token, _ []float64) (core.Action, bool, error) {
	in := core.Input{Kind: core.InputAnswer, Token: k, Action: core.Action{Index: 1}}
	if h.rand.IntN(2) == 0 {
		in.Error = "too slow"
	}
	h.after(time.Millisecond, in)
	return core.Action{}, false, nil
}

func (h *recorder) Disarm(core.NodeID, core.Token)                   {}
func (h *recorder) Stop(core.NodeID, *core.Task)                     {}
func (h *recorder) Done(_ core.NodeID, _ *core.Task, o core.Outcome) { h.done[o]++ }
func (h *recorder) Fault(*core.Fault)                                {} // decided before the peers changed

// submits adds tasks of clients and of peers, notes, a change of the slots, of the peers and of the scheduler, a
// client that hangs up, a crash and a restart.
func (h *recorder) submits(n int) {
	slots, few := int32(1), []core.NodeID{1, 2}
	for i := range n {
		at := time.Duration(i) * time.Millisecond
		v := core.TaskValue{ID: core.TaskID(i), Demand: time.Duration(h.rand.IntN(4_000_000)), Deadline: core.Never}
		switch {
		case i == n/4:
			h.after(at, core.Input{Kind: core.InputConfigure, Slots: &slots, Peers: &few})
		case i == n/3:
			h.after(at, core.Input{Kind: core.InputCrash})
		case i == n/3+5:
			h.after(at, core.Input{Kind: core.InputRestart, Scheduler: "probing", Own: &probing{}})
		case i == 4*n/5:
			h.after(at, core.Input{Kind: core.InputConfigure, Scheduler: "executing", Own: executing{}})
		case i%11 == 0:
			h.after(at, core.Input{Kind: core.InputDeliver, Message: &core.Parcel{Kind: core.MsgTell, From: 2,
				Note: core.Note{Int: int64(i % 5), Float: math.Inf(1)}}})
		case i%7 == 0:
			v.Hops, v.Trip = 1, &core.TripValue{From: 3, Token: core.Token(i), Executor: core.NoNode,
				Visited: []core.NodeID{3}}
			h.after(at, core.Input{Kind: core.InputDeliver, Message: &core.Parcel{Kind: core.MsgForward, From: 3,
				Tasks: []core.TaskValue{v}}})
		default:
			h.after(at, core.Input{Kind: core.InputSubmit, Task: &v})
			if i%13 == 0 {
				h.after(at+500*time.Microsecond, core.Input{Kind: core.InputCancel, ID: v.ID})
			}
		}
	}
}

// recorded runs n milliseconds of a node and returns its log.
func recorded(t *testing.T, n int) *core.Log {
	t.Helper()
	h := &recorder{rand: rand.New(rand.NewPCG(7, 7))}
	h.engine = core.NewEngine(h, &core.Topology{Nodes: 5, Cloud: core.NoNode})
	defer h.engine.Close()
	cfg := &core.Config{Slots: 2, Room: 4, Speed: 1, Forwarding: core.Forwarding{MaxHops: 2,
		OnFailure: core.FallbackNext, ProbeTimeout: 4 * time.Millisecond, AnswerTimeout: 20 * time.Millisecond}}
	h.engine.Init(&h.node, 0, cfg, *rand.NewPCG(1, 2), &probing{})
	h.log = h.node.Record("probing")
	h.log.Learner = true
	h.after(0, core.Input{Kind: core.InputBoot})
	h.submits(n)
	for len(h.due) > 0 {
		in := h.due[0]
		h.due = h.due[1:]
		h.log.Add(in)
		h.node.Apply(in)
	}
	if h.engine.InUse() != 0 {
		t.Fatalf("%d tasks are left; ended: %v", h.engine.InUse(), h.done)
	}
	for _, o := range []core.Outcome{core.Completed, core.Rejected, core.LostNodeDown} {
		if h.done[o] == 0 {
			t.Fatalf("the recording has no task that ended as %v: %v", o, h.done)
		}
	}
	return h.log
}

func TestReplayRecorded(t *testing.T) {
	l := recorded(t, 600)
	kinds := map[string]int{}
	for _, d := range l.Decisions {
		kinds[strings.Fields(d.Verdict)[0]]++
	}
	for _, k := range []string{"execute", "forward", "replicate", "reject:"} {
		if kinds[k] < 10 {
			t.Errorf("%d verdicts of kind %q, want at least 10: %v", kinds[k], k, kinds)
		}
	}
	if err := core.Replay(l, build); err != nil {
		t.Error(err)
	}
}

func TestLogRoundTrip(t *testing.T) {
	l := recorded(t, 200)
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	var m core.Log
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	if err := core.Replay(&m, build); err != nil {
		t.Error(err)
	}
	for i := range l.Inputs {
		l.Inputs[i].Own = nil // known by its name
	}
	if !reflect.DeepEqual(l, &m) {
		t.Error("the log read is not the log written")
	}
}

// byHand is a log that a person can follow: the first task finds the node empty; the second asks peers 1 and 2, of
// whom 2 answers that it is idle.
func byHand(t *testing.T) *core.Log {
	t.Helper()
	rng, err := rand.NewPCG(1, 1).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	task := func(id core.TaskID) *core.TaskValue { return &core.TaskValue{ID: id, Deadline: core.Never} }
	reply := func(peer core.NodeID, item, running int32) *core.Parcel {
		return &core.Parcel{Kind: core.MsgReply, From: peer, Token: 1, Item: item,
			Load: core.Load{Running: running, Capacity: core.Capacity{Slots: 1}}}
	}
	ms := core.Time(time.Millisecond)
	return &core.Log{
		Config:    core.Config{Slots: 1, Room: 9, Speed: 1, Forwarding: core.Forwarding{MaxHops: 1}},
		Topology:  core.Topology{Nodes: 3, Cloud: core.NoNode},
		Scheduler: "least", RNG: rng,
		Inputs: []core.Input{
			{Kind: core.InputBoot},
			{Kind: core.InputSubmit, At: 1 * ms, Task: task(10)},
			{Kind: core.InputSubmit, At: 2 * ms, Task: task(11)},
			{Kind: core.InputDeliver, At: 3 * ms, Message: reply(1, 0, 1)},
			{Kind: core.InputDeliver, At: 4 * ms, Message: reply(2, 1, 0)},
		},
		Decisions: []core.Decision{{1, 10, "execute"}, {4, 11, "forward to 2"}},
	}
}

// least is JSQ over all peers, without chance.
type least struct{}

func (least) Schedule(env core.Env, _ *core.Task) core.Verdict {
	if env.Load().Total() == 0 {
		return core.Execute()
	}
	for _, r := range env.Probe(1, 2) {
		if r.Err == nil && r.Load.Total() < env.Load().Total() {
			return core.Forward(r.Peer)
		}
	}
	return core.Execute()
}

func leastOnly(name string) (core.Scheduler, error) {
	if name != "least" {
		return nil, errors.New("unknown")
	}
	return least{}, nil
}

func TestReplayByHand(t *testing.T) {
	if err := core.Replay(byHand(t), leastOnly); err != nil {
		t.Error(err)
	}
}

func TestReplayTampered(t *testing.T) {
	for _, c := range []struct {
		name   string
		tamper func(l *core.Log)
		want   string // in the error
	}{
		{"a verdict", func(l *core.Log) { l.Decisions[0].Verdict = "forward to 3" },
			"input 1 at 1ms, task 10: recorded forward to 3, replayed execute"},
		{"a load", func(l *core.Log) { l.Inputs[4].Message.Load.Running = 1 },
			"input 4 at 4ms, task 11: recorded forward to 2, replayed execute"},
		{"an answer is missing", func(l *core.Log) { l.Inputs[4] = core.Input{Kind: core.InputFire, At: 4e6} },
			"input 4 at 4ms, task 11: recorded forward to 2, replayed nothing"},
		{"a verdict is missing", func(l *core.Log) { l.Decisions = l.Decisions[1:] },
			"input 1 at 1ms, task 10: recorded nothing, replayed execute"},
		{"another task", func(l *core.Log) { l.Inputs[1].Task.ID = 12 },
			"task 12: recorded execute for task 10, replayed execute"},
		{"one verdict too many", func(l *core.Log) {
			l.Decisions = append(l.Decisions, core.Decision{Input: 9, Verdict: "execute"})
		}, "decision 2 belongs to input 9"},
		{"time goes back", func(l *core.Log) { l.Inputs[3].At = 0 }, "time goes back from 2ms to 0s"},
		{"no task", func(l *core.Log) { l.Inputs[1].Task = nil }, "a submit needs a Task"},
		{"no message", func(l *core.Log) { l.Inputs[3].Message = nil }, "a deliver needs a Message"},
		{"no task in a forward", func(l *core.Log) { l.Inputs[3].Message.Kind = core.MsgForward },
			`message "forward" with 0 tasks`},
		{"no trip", func(l *core.Log) {
			l.Inputs[3].Message = &core.Parcel{Kind: core.MsgHandover, Tasks: []core.TaskValue{{ID: 4}}}
		}, "task 4 has no Trip"},
		{"a scheduler", func(l *core.Log) { l.Scheduler = "most" }, `scheduler "most": unknown`},
		{"the stream", func(l *core.Log) { l.RNG = nil }, "RNG"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := byHand(t)
			c.tamper(l)
			err := core.Replay(l, leastOnly)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestReplayNoticesAnotherStream(t *testing.T) {
	l := recorded(t, 200)
	l.RNG[len(l.RNG)-1] ^= 1
	if core.Replay(l, build) == nil {
		t.Error("a log replays with another stream than it was recorded with")
	}
}

func TestInputKindText(t *testing.T) {
	var k core.InputKind
	if err := k.UnmarshalText([]byte("sumbit")); err == nil || !strings.Contains(err.Error(), "submit") {
		t.Errorf("got %v, want an error that lists the kinds", err)
	}
}
