package core_test

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

// FuzzNode lets algorithms that do anything at random run on 2 to 4 nodes over a network that delays, reorders, loses
// and doubles messages, while clients hang up and nodes crash and change their mind. The invariants are those of the
// World; whatever happens twice happens in the same way.
func FuzzNode(f *testing.F) {
	f.Add([]byte("0000000000"))
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		data := make([]byte, header+3*r.IntN(80))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < header {
			return
		}
		first := play(t, data)
		if second := play(t, data); !reflect.DeepEqual(first, second) {
			t.Errorf("the same input gave %v and then %v", first, second)
		}
	})
}

// FuzzReplay gives a node inputs that no host would: a log may come from anybody. Whatever its tokens, messages and tasks
// say, a replay ends without a panic.
func FuzzReplay(f *testing.F) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		data := make([]byte, 12*r.IntN(200))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(data)
	}
	build := func(name string) (core.Scheduler, error) {
		if name == "hostile" {
			return &hostile{}, nil
		}
		return build(name)
	}
	rng, err := rand.NewPCG(1, 1).MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l := &recording{Origin: &core.Origin{Node: 0, Config: core.Config{Slots: 1, Room: 3, Speed: 1, Abandon: true, Types: 2,
			Forwarding: core.Forwarding{MaxHops: 2, OnFailure: core.FallbackNext, ProbeTimeout: 9, AnswerTimeout: 99}},
			Topology: core.Topology{Nodes: 4, Cloud: core.NoNode}, Scheduler: "hostile", Alternatives: []string{"executing"},
			RNG: rng, Learner: true, Draws: true}}
		if len(data) > 0 {
			l.Origin.Config.Discipline = core.Discipline(data[0] % 5)
		}
		l.Steps = []core.Step{{Input: core.Input{Kind: core.InputBoot}, Partial: true}}
		for ; len(data) >= 12 && len(l.Steps) < 500; data = data[12:] {
			in := wildInput(data)
			in.At = core.Time(len(l.Steps))
			l.Steps = append(l.Steps, core.Step{Input: in, Partial: true}) // whatever the node does
		}
		if err := l.replay(build); err != nil {
			t.Error(err)
		}
	})
}

// wildInput reads an input from 12 bytes, mostly nonsense.
func wildInput(b []byte) core.Input {
	// Slots and generations of tokens are small.
	token := core.Token(b[1]>>7)<<63 | core.Token(b[1]%8)<<32 | core.Token(b[2]%16)
	node := core.NodeID(b[3] % 5)
	task := core.TaskValue{ID: core.TaskID(b[4] % 16), Type: core.TaskType(b[4] % 3), Priority: int16(int8(b[5])), Demand: time.Duration(int8(b[6])),
		Deadline: core.Time(int8(b[7])), Hops: b[8] % 4, Copy: b[8] % 5}
	if b[7]%2 == 0 {
		task.Deadline = core.Never
	}
	in := core.Input{Kind: core.InputSubmit + core.InputKind(b[0]%16), Token: token, ID: task.ID, Cold: time.Duration(int8(b[5])),
		Action: core.Action{Index: int(int8(b[6])), Epsilon: math.NaN()}}
	if b[7]%4 == 0 {
		in.Error = core.ErrNoAnswer.Error()
	}
	slots, room := int32(b[10]%4), int32(b[11]%4)
	switch {
	case in.Kind == core.InputSubmit:
		task.By, task.Function = b[9]%2, uint16(b[9]/2%4)
		in.Task = &task
	case in.Kind == core.InputConfigure && b[9]%4 == 0:
		in.Scheduler = []string{"hostile", "probing", "executing"}[b[10]%3]
	case in.Kind == core.InputConfigure && b[9]%8 == 2:
		in.Functions = []core.Inventory{{Node: core.NodeID(b[10] % 3), Functions: []core.FunctionID{core.FunctionID(b[11] % 3)}}}
	case in.Kind == core.InputConfigure && b[9]%4 == 1:
		in.Peers = &[]core.NodeID{core.NodeID(b[10] % 3), 3 + core.NodeID(b[11])}
	case in.Kind == core.InputConfigure:
		in.Slots, in.Room = &slots, &room
	case in.Kind == core.InputDeliver || in.Kind > core.InputRestart:
		in.Kind = core.InputDeliver
		task.Flags = b[11]
		task.Trip = &core.TripValue{From: node, Token: token, Executor: core.NodeID(b[10]%6) - 1, Visited: []core.NodeID{node, 3}}
		in.Message = &core.Parcel{Kind: core.MsgKind(b[9] % 10), Outcome: core.Outcome(b[10] % core.NumOutcomes), From: node, Item: int32(int8(b[6])) % 8,
			Token: token, Load: core.Load{Running: int32(int8(b[10])), Capacity: core.Capacity{Slots: slots - 1, Speed: float32(math.NaN())}},
			Note: core.Note{Int: int64(int8(b[8]))}, Transit: time.Duration(int8(b[5]))}
		switch in.Message.Kind {
		case core.MsgForward, core.MsgAnswer:
			in.Message.Tasks = []core.TaskValue{task}
		case core.MsgHandover:
			in.Message.Tasks = slices.Repeat([]core.TaskValue{task}, int(b[8]%4))
		}
	}
	return in
}

// hostile uses all of its Env.
type hostile struct{ probing }

func (h *hostile) Schedule(env core.Env, t *core.Task) core.Verdict {
	switch p := env.Neighbours().Sample(3); env.Rand().IntN(8) {
	case 0:
		_, _ = env.Pull(1, 3, 0)
	case 1:
		env.Ask(core.Note{Int: 1}, p...)
	case 2:
		env.Tell(2, core.Note{})
	case 3:
		return core.Replicate(core.CancelAt(env.Rand().IntN(2)), env.Neighbours().SampleAll(3)...)
	case 4:
		panic("a mistake")
	}
	return h.probing.Schedule(env, t)
}

func (h *hostile) Start(env core.Env) {
	for {
		env.Sleep(5)
		_, _ = env.Pull(2, 1, 1)
	}
}

func (h *hostile) Changed(env core.Env)                        { env.Probe(env.Neighbours().Sample(1)...) }
func (h *hostile) Observe(core.View, *core.Task, core.Outcome) { h.told++ }
func (h *hostile) Remember() int                               { return 2 }

// header is how many bytes say what the world is like; three more each say what happens.
const header = 10

func play(t *testing.T, data []byte) []coretest.Result {
	b := data[:header]
	timeouts := []time.Duration{0, 20 * time.Millisecond, 70 * time.Millisecond, 300 * time.Millisecond}
	s := coretest.Setup{Nodes: 2 + int(b[0]%3), Slots: int32(b[1] % 3), Room: int32(b[1] / 3 % 4), Types: int(b[2] % 4),
		Discipline: core.Discipline(b[2] / 4 % 5), Abandon: b[2]&128 != 0,
		Forwarding: core.Forwarding{MaxHops: int(b[3] % 4), AtLimit: core.AtHopLimit(b[3] / 4 % 2),
			OnRefusal: core.Fallback(b[4] / 3 % 3), OnFailure: core.Fallback(b[4] % 3), ProbeTimeout: timeouts[b[5]%4], AnswerTimeout: timeouts[b[5]/4%4]}}
	if b[6]&2 != 0 { // functions are here and there
		s.Holders = make([][]core.NodeID, max(1, s.Types))
		for f := range s.Holders {
			s.Holders[f] = holders(b[6]>>(2+f), s.Nodes)
		}
	}
	s.Scheduler = func(core.NodeID) core.Scheduler {
		return &chaos{tb: t, nodes: s.Nodes, types: max(1, s.Types), wild: b[6]&1 != 0}
	}
	w := coretest.NewWorld(t, s, uint64(b[7]))
	r := rand.New(rand.NewPCG(uint64(b[7]), 7))
	w.Latency = func(*core.Msg) time.Duration { return time.Duration(r.IntN(1+int(b[8]%64))) * time.Millisecond }
	if b[9]&15 != 0 {
		w.Lose = func(*core.Msg) bool { return r.IntN(64) < int(b[9]&15) }
	}
	if b[9]&128 != 0 {
		w.Twice = func(*core.Msg) bool { return r.IntN(4) == 0 }
	}
	script(w, &s, data[header:])
	results := w.Run()
	if w.Ends() {
		for i, r := range results {
			if r.Outcome == core.InFlight {
				t.Errorf("request %d has not ended", i)
			}
		}
	}
	return results
}

// holders are the nodes whose bit is set.
func holders(bits byte, nodes int) []core.NodeID {
	ids := []core.NodeID{}
	for n := range core.NodeID(nodes) {
		if bits>>n&1 != 0 {
			ids = append(ids, n)
		}
	}
	return ids
}

// script reads what happens: a kind, a node, and how much later than the last one.
func script(w *coretest.World, s *coretest.Setup, data []byte) {
	now, requests := core.Time(0), 0
	entry := map[int]core.NodeID{}
	for ; len(data) >= 3 && requests < 1000; data = data[3:] {
		kind, n, arg := data[0]%16, core.NodeID(int(data[1])%s.Nodes), int32(data[1])/8
		now += core.Time(data[2]%32) * ms
		switch kind {
		default:
			r := coretest.Request{Service: time.Duration(data[2]) * time.Millisecond / 2, Priority: int16(arg % 3),
				Type: core.TaskType(int(arg) % max(1, s.Types))}
			if arg%2 == 0 {
				r.Budget = time.Duration(arg) * 8 * time.Millisecond
			}
			entry[w.Submit(now, n, r)] = n
			requests++
		case 10, 11:
			if requests > 0 {
				i := int(arg) % requests
				w.Cancel(now, entry[i], i)
			}
		case 12:
			k, q := arg%4, arg/4%4
			w.Configure(now, n, core.Change{Slots: &k, Room: &q})
		case 13:
			c := core.Change{Scheduler: s.Scheduler(n)}
			switch arg % 4 {
			case 0:
				c = core.Change{Peers: &[]core.NodeID{(n + 1) % core.NodeID(s.Nodes)}}
			case 2: // what it has, or believes that a peer has
				v := core.Inventory{Node: (n + core.NodeID(arg/4%2)) % core.NodeID(s.Nodes), Any: arg/8%4 == 0}
				for f := range core.FunctionID(4) {
					if data[2]>>f&1 != 0 {
						v.Functions = append(v.Functions, f)
					}
				}
				c = core.Change{Functions: []core.Inventory{v}}
			}
			w.Configure(now, n, c)
		case 14:
			w.Crash(now, n)
		case 15:
			w.Restart(now, n)
		}
	}
	one := int32(1) // or what waits would wait for ever
	for n := range s.Nodes {
		w.Configure(now, core.NodeID(n), core.Change{Slots: &one})
	}
}

// chaos does what the faces of an algorithm allow, at random.
type chaos struct {
	tb           testing.TB
	nodes, types int
	wild         bool // makes mistakes too
	watching     bool
}

func (c *chaos) Remember() int { return 2 }

// peers draws up to three nodes, oneself and strangers included where it is wild.
func (c *chaos) peers(env core.Env) []core.NodeID {
	if !c.wild || env.Rand().IntN(4) > 0 {
		if env.Rand().IntN(4) == 0 {
			return env.Neighbours().SampleAll(1 + env.Rand().IntN(3))
		}
		return env.Neighbours().Sample(1 + env.Rand().IntN(3))
	}
	ps := make([]core.NodeID, env.Rand().IntN(4))
	for i := range ps {
		ps[i] = core.NodeID(env.Rand().IntN(c.nodes+1)) - core.NodeID(env.Rand().IntN(2))
	}
	return ps
}

// look checks that the parts of the load are the load.
func (c *chaos) look(v core.View) {
	running, queued := 0, 0
	for k := range c.types + 5 {
		r, q := v.LoadOf(core.TaskType(k))
		if r < 0 || q < 0 {
			c.tb.Errorf("node %d has %d tasks of type %d running and %d waiting", v.Self(), r, k, q)
		}
		running, queued = running+r, queued+q
	}
	l := v.Load()
	if running != int(l.Running) || queued != int(l.Queued) || l.Running < 0 || l.Queued < 0 {
		c.tb.Errorf("node %d has the load %+v, by type %d running and %d waiting", v.Self(), l, running, queued)
	}
}

// fidget is a call that suspends, or a few.
func (c *chaos) fidget(env core.Env) {
	r := env.Rand()
	for range r.IntN(3) {
		switch ps := c.peers(env); r.IntN(6) {
		case 0, 1:
			for i, a := range env.Probe(ps...) {
				if a.Peer != ps[i] || a.Err != nil && a.Load != (core.Load{}) || a.Err == nil && a.Load.Speed != 1 {
					c.tb.Errorf("the reply of node %d is %+v", ps[i], a)
				}
			}
		case 2:
			for i, a := range env.Ask(core.Note{Kind: 1, Int: 5}, ps...) {
				if a.Peer != ps[i] || a.Err == nil && a.Note.Int != 6 {
					c.tb.Errorf("the answer of node %d is %+v", ps[i], a)
				}
			}
		case 3:
			env.Sleep(time.Duration(r.IntN(50)) * time.Millisecond)
		case 4:
			if len(ps) > 0 {
				n, err := env.Pull(ps[0], r.IntN(4), r.IntN(4)-1)
				if n < 0 || n > 3 || err != nil && n > 0 {
					c.tb.Errorf("a pull brought %d tasks and %v", n, err)
				}
			}
		case 5:
			for _, p := range ps {
				if p != env.Self() {
					env.Tell(max(0, p%core.NodeID(c.nodes)), core.Note{Kind: 2})
				}
			}
			if _, err := env.Act(nil); err == nil {
				c.tb.Error("a learner that is not there answers")
			}
		}
		c.look(env)
	}
}

func (c *chaos) Schedule(env core.Env, t *core.Task) core.Verdict {
	c.fidget(env)
	r := env.Rand()
	ps := c.peers(env)
	switch k := r.IntN(20); {
	case k < 6 || len(ps) == 0:
		return core.Execute()
	case k < 12:
		return core.Forward(ps[0], ps[1:]...)
	case k < 15:
		return core.Replicate(core.CancelOnCompletion, ps...)
	case k < 18:
		return core.Replicate(core.CancelOnStart, ps...)
	case k < 19 || !c.wild:
		return core.Reject(core.Outcome(r.IntN(core.NumOutcomes)))
	case r.IntN(2) == 0:
		panic("a mistake")
	}
	return core.Verdict{}
}

func (c *chaos) Start(env core.Env) {
	for range 3 {
		env.Sleep(40 * time.Millisecond)
		c.fidget(env)
	}
}

func (c *chaos) Changed(env core.Env) {
	if c.watching {
		c.tb.Errorf("Changed is called while it is under way")
	}
	c.watching = true
	defer func() { c.watching = false }()
	c.fidget(env)
}

func (c *chaos) Receive(v core.View, from core.NodeID, n core.Note) core.Note {
	c.look(v)
	v.Heard(from)
	n.Int++
	return n
}

func (c *chaos) Observe(v core.View, _ *core.Task, o core.Outcome) {
	if o == core.InFlight {
		c.tb.Error("a task has ended that is in flight")
	}
	c.look(v)
}
