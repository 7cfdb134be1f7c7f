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

// recording is a log in memory.
type recording struct {
	Origin *core.Origin
	Steps  []core.Step
}

// record begins the log of n.
func record(n *core.Node, scheduler string, alternatives ...string) *recording {
	l := &recording{}
	l.Origin = n.Record(func(x core.Effect) {
		s := &l.Steps[len(l.Steps)-1]
		s.Effects = append(s.Effects, x)
	}, scheduler, alternatives...)
	return l
}

// give has n do something, and notes what.
func (l *recording) give(n *core.Node, in core.Input) {
	l.Steps = append(l.Steps, core.Step{Input: in})
	n.Apply(in)
}

// verdicts are those of the log, in order.
func (l *recording) verdicts() (vs []core.Effect) {
	for _, s := range l.Steps {
		for _, x := range s.Effects {
			if x.Kind == core.EffectVerdict {
				vs = append(vs, x)
			}
		}
	}
	return vs
}

func (l *recording) replay(build func(string) (core.Scheduler, error)) error {
	return core.Replay(l.Origin, func(yield func(*core.Step, error) bool) {
		for i := range l.Steps {
			if !yield(&l.Steps[i], nil) {
				return
			}
		}
	}, build)
}

// copy is the log, written and read.
func (l *recording) copy(t *testing.T) *recording {
	t.Helper()
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	c := &recording{}
	if err := json.Unmarshal(text, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// recorder is the world around node 0: peers that answer by chance, sometimes not at all, after a while.
type recorder struct {
	engine *core.Engine
	node   core.Node
	log    *recording
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
	h.after(t.Demand, core.Input{Kind: core.InputFinish, Token: t.Token(), Cold: time.Duration(h.rand.IntN(2))})
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

// submits adds tasks of clients and of peers, notes, a change of the slots, of the peers, of the scheduler and of who has
// which function, a client that hangs up, a crash and a restart.
func (h *recorder) submits(n int) {
	slots, few := int32(1), []core.NodeID{1, 2}
	for i := range n {
		at := time.Duration(i) * time.Millisecond
		v := core.TaskValue{ID: core.TaskID(i), Function: uint16(i % 3), Demand: time.Duration(h.rand.IntN(4_000_000)), Deadline: core.Never}
		switch {
		case i == n/4:
			h.after(at, core.Input{Kind: core.InputConfigure, Slots: &slots, Peers: &few})
		case i == n/2:
			h.after(at, core.Input{Kind: core.InputConfigure, Functions: []core.Inventory{{Node: 0, Functions: []core.FunctionID{0}},
				{Node: 1, Functions: []core.FunctionID{1}}, {Node: 2, Any: true}}})
		case i == 2*n/3:
			h.after(at, core.Input{Kind: core.InputConfigure, Functions: []core.Inventory{{Node: 0, Functions: []core.FunctionID{1}}, {Node: 2}}})
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
func recorded(t *testing.T, n int) *recording {
	t.Helper()
	h := &recorder{rand: rand.New(rand.NewPCG(7, 7))}
	h.engine = core.NewEngine(h, &core.Topology{Nodes: 5, Cloud: core.NoNode})
	defer h.engine.Close()
	cfg := &core.Config{Slots: 2, Room: 4, Speed: 1, Forwarding: core.Forwarding{MaxHops: 2,
		OnFailure: core.FallbackNext, ProbeTimeout: 4 * time.Millisecond, AnswerTimeout: 20 * time.Millisecond}}
	cfg.CopyDemand = func(*core.Task, int) time.Duration { return time.Duration(h.rand.IntN(4_000_000)) }
	h.engine.Init(&h.node, 0, cfg, *rand.NewPCG(1, 2), &probing{})
	h.log = record(&h.node, "probing")
	h.log.Origin.Learner = true
	h.after(0, core.Input{Kind: core.InputBoot})
	h.submits(n)
	for len(h.due) > 0 {
		in := h.due[0]
		h.due = h.due[1:]
		h.log.give(&h.node, in)
	}
	if h.engine.InUse() != 0 {
		t.Fatalf("%d tasks are left; ended: %v", h.engine.InUse(), h.done)
	}
	for _, o := range []core.Outcome{core.Completed, core.Rejected, core.LostNodeDown, core.NoFunction} {
		if h.done[o] == 0 {
			t.Fatalf("the recording has no task that ended as %v: %v", o, h.done)
		}
	}
	return h.log
}

func TestReplayRecorded(t *testing.T) {
	l := recorded(t, 600)
	kinds := map[string]int{}
	for _, s := range l.Steps {
		for _, x := range s.Effects {
			kinds[x.Kind.String()]++
			if x.Kind == core.EffectVerdict {
				kinds[strings.Fields(x.Text)[0]]++
			}
		}
	}
	for _, k := range []string{"execute", "forward", "replicate", "reject:", "send", "arm", "disarm", "start", "act", "done", "draw"} {
		if kinds[k] < 10 {
			t.Errorf("%d effects of kind %q, want at least 10: %v", kinds[k], k, kinds)
		}
	}
	if err := l.replay(build); err != nil {
		t.Error(err)
	}
}

// A log may end anywhere: after an input, or in the middle of what the node did about it.
func TestReplayOfAPart(t *testing.T) {
	l := recorded(t, 200)
	for i := 1; i < len(l.Steps); i += 7 {
		part := &recording{l.Origin, slices.Clone(l.Steps[:i])}
		last := &part.Steps[i-1]
		last.Effects, last.Partial = last.Effects[:len(last.Effects)/2], true
		if err := part.replay(build); err != nil {
			t.Errorf("%d steps: %v", i, err)
		}
	}
}

func TestLogRoundTrip(t *testing.T) {
	l := recorded(t, 200)
	m := l.copy(t)
	if err := m.replay(build); err != nil {
		t.Error(err)
	}
	for i := range l.Steps {
		l.Steps[i].Input.Own = nil // known by its name
	}
	if !reflect.DeepEqual(l, m) {
		t.Error("the log read is not the log written")
	}
}

// JSON has no number for these floats, and no exact one for these integers in most readers.
func TestExtremeValuesRoundTrip(t *testing.T) {
	type values struct {
		Load   core.Load
		Note   core.Note
		Action core.Action
		Token  core.Token
		At     core.Time
	}
	inf, nan := math.Inf(-1), math.NaN()
	in := values{core.Load{Running: -1, Capacity: core.Capacity{Slots: math.MaxInt32, Speed: float32(inf)}},
		core.Note{Kind: math.MaxUint32, Int: math.MinInt64, Float: nan}, core.Action{Index: -7, Epsilon: nan},
		math.MaxUint64, math.MaxInt64}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out values
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	if !math.IsNaN(out.Note.Float) || !math.IsNaN(out.Action.Epsilon) {
		t.Errorf("read %+v", out)
	}
	in.Note.Float, in.Action.Epsilon, out.Note.Float, out.Action.Epsilon = 0, 0, 0, 0
	if in != out {
		t.Errorf("read %+v, want %+v", out, in)
	}
	// What a field leaves out where it is zero is no negative zero.
	text, err = json.Marshal(core.Parcel{Note: core.Note{Float: math.Copysign(0, -1)}})
	var p core.Parcel
	if err = errors.Join(err, json.Unmarshal(text, &p)); err != nil || !math.Signbit(p.Note.Float) {
		t.Errorf("a negative zero comes back as %v from %s, %v", p.Note.Float, text, err)
	}
	for _, bad := range []string{`{"Load":"1 2 3 4"}`, `{"Load":"1 2 3 4 x"}`, `{"Load":"1 2 3 4294967296 1"}`, `{"Note":"1 2"}`,
		`{"Note":"-1 2 3"}`, `{"Action":"1"}`, `{"Action":"a 1"}`} {
		if err := json.Unmarshal([]byte(bad), &out); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
}

// byHand is a log that a person can follow: the first task finds the node empty; the second asks peers 1 and 2, of
// whom 2 answers that it is idle.
func byHand(t *testing.T) *recording {
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
	probe := func(peer core.NodeID, item int32) core.Effect {
		return core.Effect{Kind: core.EffectSend, Message: core.MsgProbe, Peer: peer, Token: 1, Item: item}
	}
	const execution, forward = 1<<63 | 1, 1<<63 | 1<<32 | 1
	return &recording{&core.Origin{
		Config:    core.Config{Slots: 1, Room: 9, Speed: 1, Forwarding: core.Forwarding{MaxHops: 1}},
		Topology:  core.Topology{Nodes: 3, Cloud: core.NoNode},
		Scheduler: "least", RNG: rng}, []core.Step{
		{Input: core.Input{Kind: core.InputBoot}},
		{Input: core.Input{Kind: core.InputSubmit, At: 1 * ms, Task: task(10)}, Effects: []core.Effect{
			{Kind: core.EffectVerdict, Task: 10, Text: "execute"}, {Kind: core.EffectStart, Task: 10, Token: execution}}},
		{Input: core.Input{Kind: core.InputSubmit, At: 2 * ms, Task: task(11)}, Effects: []core.Effect{probe(1, 0), probe(2, 1)}},
		{Input: core.Input{Kind: core.InputDeliver, At: 3 * ms, Message: reply(1, 0, 1)}},
		{Input: core.Input{Kind: core.InputDeliver, At: 4 * ms, Message: reply(2, 1, 0)}, Effects: []core.Effect{
			{Kind: core.EffectDisarm, Token: 1}, {Kind: core.EffectVerdict, Task: 11, Peer: 2, Text: "forward to 2"},
			{Kind: core.EffectSend, Message: core.MsgForward, Peer: 2, Task: 11, Token: forward}}},
	}}
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
	if err := byHand(t).replay(leastOnly); err != nil {
		t.Error(err)
	}
}

func TestReplayTampered(t *testing.T) {
	ms := core.Time(time.Millisecond)
	for _, c := range []struct {
		name   string
		tamper func(o *core.Origin, s []core.Step) []core.Step
		want   string // in the error
	}{
		{"a verdict", func(_ *core.Origin, s []core.Step) []core.Step {
			s[1].Effects[0].Text = "forward to 3"
			return s
		}, "input 1 at 1ms, submit of task 10: recorded task 10: forward to 3; replayed task 10: execute"},
		{"a load", func(_ *core.Origin, s []core.Step) []core.Step {
			s[4].Input.Message.Load.Running = 1
			return s
		}, "input 4 at 4ms, deliver of reply from 2: recorded task 11: forward to 2; replayed task 11: execute"},
		{"an answer is another input", func(_ *core.Origin, s []core.Step) []core.Step {
			s[4].Input = core.Input{Kind: core.InputFire, At: 4 * ms}
			return s
		}, "input 4 at 4ms, fire: recorded disarm a timer (token 0x1); replayed nothing"},
		{"an input is missing", func(_ *core.Origin, s []core.Step) []core.Step {
			return slices.Delete(s, 2, 3)
		}, "input 3 at 4ms, deliver of reply from 2: recorded disarm a timer (token 0x1); replayed nothing"},
		{"an effect is missing", func(_ *core.Origin, s []core.Step) []core.Step {
			s[1].Effects = s[1].Effects[:1]
			return s
		}, "input 1 at 1ms, submit of task 10: recorded nothing; replayed start task 10"},
		{"another task", func(_ *core.Origin, s []core.Step) []core.Step {
			s[1].Input.Task.ID = 12
			return s
		}, "submit of task 12: recorded task 10: execute; replayed task 12: execute"},
		{"an effect too many", func(_ *core.Origin, s []core.Step) []core.Step {
			s[3].Effects = []core.Effect{{Kind: core.EffectFault}}
			return s
		}, "recorded fault in task 0; replayed nothing"},
		{"time goes back", func(_ *core.Origin, s []core.Step) []core.Step {
			s[3].Input.At = 0
			return s
		}, "time goes back from 2ms to 0s"},
		{"time begins before the beginning", func(_ *core.Origin, s []core.Step) []core.Step {
			s[0].Input.At = -1
			return s
		}, "time goes back from 0s to -1ns"},
		{"a second boot", func(_ *core.Origin, s []core.Step) []core.Step {
			s[2].Input.Kind = core.InputBoot
			return s
		}, "a node boots once"},
		{"a wild kind", func(_ *core.Origin, s []core.Step) []core.Step {
			s[2].Input.Kind = 77
			return s
		}, "unknown kind 77"},
		{"no task", func(_ *core.Origin, s []core.Step) []core.Step {
			s[1].Input.Task = nil
			return s
		}, "a submit needs a Task"},
		{"a flag of the engine's", func(_ *core.Origin, s []core.Step) []core.Step {
			s[1].Input.Task.Flags = 255
			return s
		}, "a submit needs a Task"},
		{"an alternative", func(_ *core.Origin, s []core.Step) []core.Step {
			s[1].Input.Task.By = 2
			return s
		}, "alternative 2 is to decide, of 0"},
		{"no message", func(_ *core.Origin, s []core.Step) []core.Step {
			s[3].Input.Message = nil
			return s
		}, "a deliver needs a Message"},
		{"a wild message", func(_ *core.Origin, s []core.Step) []core.Step {
			s[3].Input.Message.Kind = 77
			return s
		}, "unknown kind 77"},
		{"an answer to no question", func(_ *core.Origin, s []core.Step) []core.Step {
			s[4].Input.Message.Item = -1
			return s
		}, "recorded disarm a timer (token 0x1); replayed nothing"},
		{"a message from nowhere", func(_ *core.Origin, s []core.Step) []core.Step {
			s[3].Input.Message.From = core.NoNode
			return s
		}, `message "reply" comes from -1`},
		{"a wild outcome", func(_ *core.Origin, s []core.Step) []core.Step {
			s[3].Input.Message.Outcome = 77
			return s
		}, "unknown outcome 77"},
		{"no task in a forward", func(_ *core.Origin, s []core.Step) []core.Step {
			s[3].Input.Message.Kind = core.MsgForward
			return s
		}, `message "forward" with 0 tasks`},
		{"no trip", func(_ *core.Origin, s []core.Step) []core.Step {
			s[3].Input.Message = &core.Parcel{Kind: core.MsgHandover, Tasks: []core.TaskValue{{ID: 4}}}
			return s
		}, "task 4 has no Trip"},
		{"peers", func(_ *core.Origin, s []core.Step) []core.Step {
			s[3].Input = core.Input{Kind: core.InputConfigure, At: 3 * ms, Peers: &[]core.NodeID{2, 2}}
			return s
		}, "the peers are not ascending: 2 comes after 2"},
		{"slots", func(_ *core.Origin, s []core.Step) []core.Step {
			less := int32(-1)
			s[3].Input = core.Input{Kind: core.InputConfigure, At: 3 * ms, Slots: &less}
			return s
		}, "-1 Slots"},
		{"hops", func(_ *core.Origin, s []core.Step) []core.Step {
			s[3].Input = core.Input{Kind: core.InputConfigure, At: 3 * ms, Forwarding: &core.Forwarding{MaxHops: 256}}
			return s
		}, "out of its bounds"},
		{"another scheduler", func(_ *core.Origin, s []core.Step) []core.Step {
			s[3].Input = core.Input{Kind: core.InputConfigure, At: 3 * ms, Scheduler: "most"}
			return s
		}, `input 3 at 3ms, configure: scheduler "most": unknown`},
		{"the scheduler", func(o *core.Origin, s []core.Step) []core.Step {
			o.Scheduler = "most"
			return s
		}, `scheduler "most": unknown`},
		{"the stream", func(o *core.Origin, s []core.Step) []core.Step {
			o.RNG = nil
			return s
		}, "RNG"},
		{"the node", func(o *core.Origin, s []core.Step) []core.Step {
			o.Node = -2
			return s
		}, "node -2 of 3"},
		{"the types", func(o *core.Origin, s []core.Step) []core.Step {
			o.Config.Types = 1 << 40
			return s
		}, "out of their bounds"},
		{"the discipline", func(o *core.Origin, s []core.Step) []core.Step {
			o.Config.Discipline = 99
			return s
		}, "out of their bounds"},
		{"the topology", func(o *core.Origin, s []core.Step) []core.Step {
			o.Topology.Offsets = []uint32{0, 1, 2, 9}
			return s
		}, "Offsets do not fit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := byHand(t)
			l.Steps = c.tamper(l.Origin, l.Steps)
			err := l.replay(leastOnly)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// What the iterator says ends the replay.
func TestReplayEndsWithItsSteps(t *testing.T) {
	l, broken := byHand(t), errors.New("broken")
	err := core.Replay(l.Origin, func(yield func(*core.Step, error) bool) {
		_ = yield(&l.Steps[0], nil) && yield(nil, broken)
	}, leastOnly)
	if err != broken {
		t.Errorf("got %v, want %v", err, broken)
	}
}

func TestReplayNoticesAnotherStream(t *testing.T) {
	l := recorded(t, 200)
	l.Origin.RNG[len(l.Origin.RNG)-1] ^= 1
	if l.replay(build) == nil {
		t.Error("a log replays with another stream than it was recorded with")
	}
}

func TestKindText(t *testing.T) {
	var x core.EffectKind
	if err := x.UnmarshalText([]byte("verdikt")); err == nil || !strings.Contains(err.Error(), "verdict") {
		t.Errorf("got %v, want an error that lists the kinds", err)
	}
	var k core.InputKind
	if err := k.UnmarshalText([]byte("sumbit")); err == nil || !strings.Contains(err.Error(), "submit") {
		t.Errorf("got %v, want an error that lists the kinds", err)
	}
}
