package core

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Inputs as values: what a mailbox queues, a log keeps and a replay feeds back.

// InputKind says which of a node's inputs an Input is.
type InputKind uint8

const (
	InputBoot      InputKind = iota // Node.Boot
	InputSubmit                     // Node.Submit: Task
	InputDeliver                    // Node.Deliver: Message
	InputFire                       // Node.Fire: Token
	InputFinish                     // Node.Finish: Token of the execution, Cold
	InputAnswer                     // Node.Answer: Token, Action, Error
	InputCancel                     // Node.Cancel: ID
	InputConfigure                  // Node.Configure: Slots, Room, Peers, Functions, Scheduler
	InputCrash                      // Node.Crash
	InputRestart                    // Node.Restart: Scheduler
	numInputKinds
)

var inputNames = [numInputKinds]string{"boot", "submit", "deliver", "fire", "finish", "answer", "cancel", "configure",
	"crash", "restart"}

// String returns the kind's name as logs spell it.
func (k InputKind) String() string { return word(inputNames[:], k) }

// MarshalText implements encoding.TextMarshaler.
func (k InputKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *InputKind) UnmarshalText(text []byte) error {
	return unmarshalWord("kind of input", inputNames[:], text, k)
}

// Input is any input of a node, as a value that shares nothing with an engine: it may be queued, sent to another
// goroutine, written and read. Which fields count depends on Kind. Apply does not alter what the pointers refer to.
type Input struct {
	Kind    InputKind
	At      Time
	Token   Token      `json:",omitzero"`
	Task    *TaskValue `json:",omitzero"`
	Message *Parcel    `json:",omitzero"`
	// Cold is how long the cold start took that the execution began with; 0: it began warm.
	Cold       time.Duration `json:",omitzero"`
	ID         TaskID        `json:",omitzero"`
	Action     Action        `json:",omitzero"`
	Error      string        `json:",omitzero"` // of the learner; empty: none
	Slots      *int32        `json:",omitzero"`
	Room       *int32        `json:",omitzero"`
	Peers      *[]NodeID     `json:",omitzero"` // ascending
	Functions  []Inventory   `json:",omitempty"`
	Forwarding *Forwarding   `json:",omitzero"`
	// Scheduler names the node's new value of the algorithm, as a log's reader must build it again; Own is the value.
	Scheduler string    `json:",omitzero"`
	Own       Scheduler `json:"-"`
}

// TaskValue is a task outside an engine. Of a task that a client submits, ID, Type, Demand, Priority and Deadline
// count (Never = no deadline).
type TaskValue struct {
	ID       TaskID
	Type     TaskType      `json:",omitzero"`
	Priority int16         `json:",omitzero"`
	Demand   time.Duration `json:",omitzero"`
	Deadline Time          // submitted: an instant at the node; travelling: what was left of it when it was sent
	Hops     uint8         `json:",omitzero"`
	Copy     uint8         `json:",omitzero"`
	By       uint8         `json:",omitzero"` // submitted: Config.Alternatives[By-1] decides about it; 0: the scheduler
	Function uint16        `json:",omitzero"` // FunctionID of its function plus 1; 0: its Type is that
	Flags    uint8         `json:",omitzero"` // the engine's
	Probes   uint16        `json:",omitzero"`
	Retries  uint16        `json:",omitzero"`
	Timing   Timing        `json:",omitzero"`
	Trip     *TripValue    `json:",omitzero"` // nil: it enters here
}

// TripValue is what only a task on its travels has.
type TripValue struct {
	From     NodeID   // the forwarder
	Token    Token    // what the forwarder knows it by
	Executor NodeID   // NoNode: it was not executed
	Visited  []NodeID // nodes that held it, its entry node first
	// ColdStart is Task.ColdStart.
	ColdStart time.Duration `json:",omitzero"`
}

// Parcel is a Msg with its tasks as values: a message that can leave its engine, for another goroutine or another
// process.
type Parcel struct {
	Kind     MsgKind
	Outcome  Outcome `json:",omitzero"`
	From, To NodeID
	Item     int32 `json:",omitzero"`
	Token    Token `json:",omitzero"`
	Load     Load
	Note     Note          `json:",omitzero"`
	Transit  time.Duration `json:",omitzero"`
	Tasks    []TaskValue   `json:",omitempty"`
}

// Pack turns m into a value and gives its tasks back to the table.
func (e *Engine) Pack(m *Msg) Parcel {
	p := Parcel{Kind: m.Kind, Outcome: m.Outcome, From: m.From, To: m.To, Item: m.Item, Token: m.Token, Load: m.Load,
		Transit: m.Transit}
	switch m.Kind {
	case MsgAsk, MsgTell, MsgReply, MsgPull:
		p.Note = m.Note
	}
	for t := m.Task; t != nil; t = t.next {
		p.Tasks = append(p.Tasks, t.value())
	}
	e.FreeChain(m.Task)
	return p
}

// Travelling are the Flags of a task that mean something to another node.
const Travelling = uint8(flagCold | flagDirect | flagReplica | flagNotifyStart | flagRan)

// Copied is the Item of the MsgCancel that takes v back from the node that it was sent to.
func (v *TaskValue) Copied() int32 {
	if taskFlags(v.Flags)&flagReplica != 0 {
		return int32(v.Copy)
	}
	return wholeTask
}

// Ran notes that v was executed at that node, where the host learns it from a peer that has no TaskValue.
func (v *TaskValue) Ran(at NodeID) {
	v.Flags |= uint8(flagRan)
	v.Trip.Executor = at
}

// value copies t.
func (t *Task) value() TaskValue {
	v := TaskValue{ID: t.ID, Type: t.Type, Priority: t.Priority, Demand: t.Demand, Deadline: t.Deadline, Hops: t.Hops,
		Copy: t.Copy, Flags: uint8(t.flags), Probes: t.Probes, Retries: t.Retries, Timing: t.Timing}
	if p := t.trip; p != nil {
		v.Function = p.function
		v.Trip = &TripValue{From: p.from, Token: p.fromToken, Executor: t.Executor(), ColdStart: p.coldStart,
			Visited: append([]NodeID(nil), p.visited...)}
	}
	return v
}

// newTask makes a task of v.
func (e *Engine) newTask(v *TaskValue) *Task {
	t := e.NewTask()
	t.ID, t.Type, t.Priority, t.Demand, t.Deadline, t.Hops = v.ID, v.Type, v.Priority, v.Demand, v.Deadline, v.Hops
	t.Copy, t.flags, t.Probes, t.Retries, t.Timing = v.Copy, taskFlags(v.Flags)&^flagSteered, v.Probes, v.Retries, v.Timing
	if v.By > 0 {
		t.flags |= flagSteered
		e.tripOf(t).by = v.By
	}
	if v.Function > 0 {
		e.tripOf(t).function = v.Function
	}
	if v.Trip != nil {
		p := e.tripOf(t)
		p.from, p.fromToken, p.executor, p.coldStart = v.Trip.From, v.Trip.Token, v.Trip.Executor, v.Trip.ColdStart
		p.visited = append(p.visited, v.Trip.Visited...)
	}
	return t
}

// unpack makes a message of p.
func (e *Engine) unpack(p *Parcel) Msg {
	m := Msg{Kind: p.Kind, Outcome: p.Outcome, From: p.From, To: p.To, Item: p.Item, Token: p.Token, Load: p.Load,
		Note: p.Note, Transit: p.Transit}
	for i := len(p.Tasks) - 1; i >= 0; i-- {
		t := e.newTask(&p.Tasks[i])
		t.next = m.Task
		m.Task = t
	}
	return m
}

// Apply drives the node by a value. It is the one way in for hosts that queue inputs, and for a replay; a simulator
// that drives nodes directly calls the methods instead.
func (n *Node) Apply(in Input) {
	e := n.cfg.eng
	switch in.Kind {
	case InputBoot:
		n.Boot(in.At)
	case InputSubmit:
		n.Submit(in.At, e.newTask(in.Task))
	case InputDeliver:
		m := e.unpack(in.Message)
		n.Deliver(in.At, &m)
	case InputFire:
		n.Fire(in.At, in.Token)
	case InputFinish:
		t := e.Executing(in.Token)
		if t == nil {
			return // stopped meanwhile
		}
		if in.Cold > 0 {
			e.SetCold(t, in.Cold)
		}
		n.Finish(in.At, t)
	case InputAnswer:
		n.Answer(in.At, in.Token, in.Action, learnerError(in.Error))
	case InputCancel:
		n.Cancel(in.At, in.ID)
	case InputConfigure:
		n.Configure(in.At, Change{Slots: in.Slots, Room: in.Room, Peers: in.Peers, Functions: in.Functions,
			Forwarding: in.Forwarding, Scheduler: in.Own})
	case InputCrash:
		n.Crash(in.At)
	case InputRestart:
		n.Restart(in.At, in.Own)
	default:
		panic(fmt.Sprintf("core: input of unknown kind %d", in.Kind))
	}
}

// learnerError is the error that an algorithm sees; those that it may compare with keep their identity.
func learnerError(text string) error {
	switch text {
	case "":
		return nil
	case ErrNoActor.Error():
		return ErrNoActor
	case ErrNoAnswer.Error():
		return ErrNoAnswer
	}
	return errors.New(text)
}

// String says what the input is, in short.
func (in *Input) String() string {
	switch {
	case in.Kind == InputSubmit && in.Task != nil:
		return fmt.Sprintf("%v of task %d", in.Kind, in.Task.ID)
	case in.Kind == InputDeliver && in.Message != nil:
		return fmt.Sprintf("%v of %v from %d", in.Kind, in.Message.Kind, in.Message.From)
	case in.Kind == InputCancel:
		return fmt.Sprintf("%v of task %d", in.Kind, in.ID)
	}
	return in.Kind.String()
}

// check reports what would make Apply panic, or mean nothing: a log may come from a file.
func (in *Input) check(alternatives int) error {
	switch in.Kind {
	case InputSubmit:
		t := in.Task
		if t == nil || t.Trip != nil || t.Flags != 0 {
			return errors.New("a submit needs a Task without Trip and Flags")
		}
		return t.check(alternatives)
	case InputDeliver:
		if in.Message == nil {
			return errors.New("a deliver needs a Message")
		}
		return in.Message.check()
	case InputConfigure:
		return in.checkChange()
	}
	if in.Kind >= numInputKinds {
		return fmt.Errorf("unknown kind %d", in.Kind)
	}
	return nil
}

func (in *Input) checkChange() error {
	for _, x := range []*int32{in.Slots, in.Room} {
		if x != nil && *x < 0 {
			return fmt.Errorf("%d Slots or places of Room: at least 0 are possible", *x)
		}
	}
	if in.Forwarding != nil {
		if err := in.Forwarding.Check(); err != nil {
			return err
		}
	}
	for i := range in.Functions {
		if v := &in.Functions[i]; v.Node < 0 || !slices.IsSorted(v.Functions) {
			return fmt.Errorf("what node %d has: no such node is possible, or the functions are not ascending", v.Node)
		}
	}
	if in.Peers != nil {
		last := NoNode
		for _, p := range *in.Peers {
			if p <= last {
				return fmt.Errorf("the peers are not ascending: %d comes after %d", p, last)
			}
			last = p
		}
	}
	return nil
}

func (v *TaskValue) check(alternatives int) error {
	if int(v.By) > alternatives {
		return fmt.Errorf("alternative %d is to decide, of %d", v.By, alternatives)
	}
	return nil
}

func (p *Parcel) check() error {
	least, most := 0, 0
	switch p.Kind {
	case MsgForward, MsgAnswer:
		least, most = 1, 1
	case MsgHandover:
		most = len(p.Tasks)
	}
	if p.Kind >= numMsgKinds {
		return fmt.Errorf("message of unknown kind %d", p.Kind)
	}
	if p.From < 0 {
		return fmt.Errorf("message %q comes from %d, which is no node", p.Kind, p.From)
	}
	if p.Outcome >= NumOutcomes {
		return fmt.Errorf("message %q has the unknown outcome %d", p.Kind, p.Outcome)
	}
	if len(p.Tasks) < least || len(p.Tasks) > most {
		return fmt.Errorf("message %q with %d tasks: between %d and %d are possible", p.Kind, len(p.Tasks), least, most)
	}
	for i := range p.Tasks {
		t := &p.Tasks[i]
		if t.Trip == nil || t.Trip.From < 0 {
			return fmt.Errorf("message %q: task %d has no Trip, or one that comes from nowhere", p.Kind, t.ID)
		}
		if err := t.check(0); err != nil {
			return fmt.Errorf("message %q: task %d: %w", p.Kind, t.ID, err)
		}
	}
	return nil
}

// JSON has no number for an infinite float, or for one that is none: what has floats is written as words.

// IsZero reports whether n says nothing: a negative zero does, to whoever looks at its sign. It is left out where n is written.
func (n Note) IsZero() bool { return n.Kind == 0 && n.Int == 0 && math.Float64bits(n.Float) == 0 }

// MarshalText implements encoding.TextMarshaler: "kind int float".
func (n Note) MarshalText() ([]byte, error) { return []byte(n.text()), nil }

func (n Note) text() string {
	b := strconv.AppendUint(nil, uint64(n.Kind), 10)
	b = strconv.AppendInt(append(b, ' '), n.Int, 10)
	return string(strconv.AppendFloat(append(b, ' '), n.Float, 'g', -1, 64))
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *Note) UnmarshalText(text []byte) error {
	parts := strings.Split(string(text), " ")
	if len(parts) != 3 {
		return fmt.Errorf("note %q: want \"kind int float\"", text)
	}
	kind, err1 := strconv.ParseUint(parts[0], 10, 32)
	number, err2 := strconv.ParseInt(parts[1], 10, 64)
	float, err3 := strconv.ParseFloat(parts[2], 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return fmt.Errorf("note %q: %w", text, err)
	}
	*n = Note{uint32(kind), number, float}
	return nil
}

// MarshalText implements encoding.TextMarshaler: "running queued slots room speed".
func (l Load) MarshalText() ([]byte, error) {
	var b []byte
	for _, x := range [...]int32{l.Running, l.Queued, l.Slots, l.Room} {
		b = append(strconv.AppendInt(b, int64(x), 10), ' ')
	}
	return strconv.AppendFloat(b, float64(l.Speed), 'g', -1, 32), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Load) UnmarshalText(text []byte) error {
	parts := strings.Split(string(text), " ")
	if len(parts) != 5 {
		return fmt.Errorf("load %q: want \"running queued slots room speed\"", text)
	}
	var counts [4]int32
	var problems []error
	for i := range counts {
		x, err := strconv.ParseInt(parts[i], 10, 32)
		counts[i], problems = int32(x), append(problems, err)
	}
	speed, err := strconv.ParseFloat(parts[4], 32)
	if err := errors.Join(append(problems, err)...); err != nil {
		return fmt.Errorf("load %q: %w", text, err)
	}
	*l = Load{counts[0], counts[1], Capacity{counts[2], counts[3], float32(speed)}}
	return nil
}

// MarshalText implements encoding.TextMarshaler: "index epsilon".
func (a Action) MarshalText() ([]byte, error) {
	return strconv.AppendFloat(append(strconv.AppendInt(nil, int64(a.Index), 10), ' '), a.Epsilon, 'g', -1, 64), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Action) UnmarshalText(text []byte) error {
	index, epsilon, _ := strings.Cut(string(text), " ")
	i, err1 := strconv.Atoi(index)
	e, err2 := strconv.ParseFloat(epsilon, 64)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("action %q: want \"index epsilon\": %w", text, err)
	}
	*a = Action{i, e}
	return nil
}

// Logs and their replay.

// Origin is what a node is before its first input. With its inputs it makes everything that the node does. It is plain
// data for encoding/json.
type Origin struct {
	Node     NodeID
	Config   Config // without its functions and algorithms
	Topology Topology
	// Scheduler names the algorithm, as the reader of the log must build it; empty: none. Alternatives are the names of
	// Config.Alternatives, in their order.
	Scheduler    string   `json:",omitempty"`
	Alternatives []string `json:",omitempty"`
	RNG          []byte   // state of the node's stream (rand.PCG)
	Learner      bool     `json:",omitempty"` // Host.Act left the answer to an InputAnswer; otherwise there was no learner
	Draws        bool     `json:",omitempty"` // there was a Config.CopyDemand: what it drew is in the log (EffectDraw)
}

// Step is an input of a log, and what the node did about it, in that order.
type Step struct {
	Input   Input
	Effects []Effect
	Partial bool // the log ends here: there may have been more effects
}

// Record begins the log of n, the only node of its engine, between Engine.Init and the first input: from then on did
// takes what n does. Its host notes each input before it gives it to Apply, Packs every message at once in Send, and
// calls SetCold nowhere itself. scheduler names the algorithm, alternatives those of the Config; Origin.Learner is the
// host's to set.
func (n *Node) Record(did func(Effect), scheduler string, alternatives ...string) *Origin {
	e := n.cfg.eng
	rng, err := n.rng.MarshalBinary()
	if err != nil {
		panic(fmt.Sprintf("core: the state of a PCG has no binary form: %v", err))
	}
	o := &Origin{Node: n.id, Config: *n.cfg, Topology: *e.topo, Scheduler: scheduler, Alternatives: alternatives, RNG: rng,
		Draws: n.cfg.CopyDemand != nil}
	o.Config.Scheduler, o.Config.Alternatives, o.Config.CopyDemand = nil, nil, nil
	o.Config.eng, o.Config.faces = nil, 0
	e.host = &witness{e.host, did}
	before := e.OnVerdict
	e.OnVerdict = func(now Time, id NodeID, t *Task, v Verdict) {
		did(Effect{Kind: EffectVerdict, Task: t.ID, Copy: t.Copy, Peer: v.peer, Text: v.detail()})
		if before != nil {
			before(now, id, t, v)
		}
	}
	if draw := n.cfg.CopyDemand; draw != nil {
		n.cfg.CopyDemand = func(t *Task, i int) time.Duration {
			d := draw(t, i)
			did(Effect{Kind: EffectDraw, Task: t.ID, Copy: uint8(i), Demand: d})
			return d
		}
	}
	return o
}

// detail is String with all that the verdict says.
func (v Verdict) detail() string {
	switch {
	case v.kind == verdictForward && len(v.peers) > 0:
		return fmt.Sprintf("%v, else %d", v, v.peers)
	case v.kind == verdictReplicate && CancelAt(v.how) == CancelOnStart:
		return v.String() + ", cancelled on start"
	}
	return v.String()
}

// check reports what a log that comes from a file may not begin with.
func (o *Origin) check() error {
	c, t := &o.Config, &o.Topology
	if o.Node < 0 || t.Nodes < 0 || t.Nodes > math.MaxInt32 || t.Cloud < NoNode {
		return fmt.Errorf("node %d of %d, cloud %d: no such nodes are possible", o.Node, t.Nodes, t.Cloud)
	}
	if c.Slots < 0 || c.Room < 0 || c.Types < 0 || c.Types > math.MaxUint16+1 || c.Discipline > ShortestJob {
		return fmt.Errorf("Config: %d Slots, %d places of Room, %d Types, Discipline %d: out of their bounds",
			c.Slots, c.Room, c.Types, c.Discipline)
	}
	if len(o.Alternatives) > math.MaxUint8 {
		return fmt.Errorf("%d Alternatives: %d are possible", len(o.Alternatives), math.MaxUint8)
	}
	if t.Offsets != nil {
		if len(t.Offsets) != t.Nodes+1 || !slices.IsSorted(t.Offsets) || int(t.Offsets[t.Nodes]) != len(t.Edges) {
			return errors.New("Topology: the Offsets do not fit the Nodes and the Edges")
		}
	}
	for f, holders := range t.Holders {
		if !slices.IsSorted(holders) || len(holders) > 0 && holders[0] < 0 {
			return fmt.Errorf("Topology: the Holders of function %d are not ascending", f)
		}
	}
	return c.Forwarding.Check()
}

// Difference is the first thing that a replayed node did otherwise than the recorded one.
type Difference struct {
	Index              int // of the input
	Input              Input
	Recorded, Replayed *Effect // nil: nothing
}

// Error implements error.
func (d *Difference) Error() string {
	said := func(x *Effect) string {
		if x == nil {
			return "nothing"
		}
		return x.String()
	}
	return fmt.Sprintf("input %d at %v, %v: recorded %s; replayed %s", d.Index, d.Input.At, &d.Input, said(d.Recorded),
		said(d.Replayed))
}

// mostTasks is how many tasks a replayed node may have in hand: a log may come from anybody.
const mostTasks = 1 << 16

// Replay drives a fresh node with the steps of a log, one at a time, and compares what it does. It returns the first
// *Difference, or what is wrong with the log, or what steps says. build makes a scheduler of its name, for each name that
// the log has.
func Replay(o *Origin, steps iter.Seq2[*Step, error], build func(name string) (Scheduler, error)) error {
	r := replay{build: build, host: silentHost{learner: o.Learner}}
	if err := r.begin(o); err != nil {
		return err
	}
	defer r.host.engine.Close()
	last, i, booted := Time(0), 0, false
	for s, err := range steps {
		if err != nil {
			return err
		}
		in := s.Input
		switch err = in.check(len(o.Alternatives)); {
		case err != nil:
		case in.At < last:
			err = fmt.Errorf("time goes back from %v to %v", last, in.At)
		case in.Kind == InputBoot && booted:
			err = errors.New("a node boots once")
		default:
			in.Own, err = r.scheduler(in.Scheduler)
		}
		booted = booted || in.Kind == InputBoot
		if err != nil {
			return fmt.Errorf("input %d at %v, %v: %w", i, in.At, &in, err)
		}
		if d := r.step(in, s); d != nil {
			d.Index = i
			return d
		}
		if tasks := r.host.engine.InUse(); tasks > mostTasks {
			return fmt.Errorf("input %d at %v: the node has %d tasks in hand: %d are possible", i, in.At, tasks, mostTasks)
		}
		last, i = in.At, i+1
	}
	return nil
}

// replay is a node that is driven by a log.
type replay struct {
	build    func(string) (Scheduler, error)
	host     silentHost
	node     Node
	recorded []Effect // by the input that is applied
	did      []Effect
}

// begin makes the node.
func (r *replay) begin(o *Origin) error {
	if err := o.check(); err != nil {
		return err
	}
	var rng rand.PCG
	if err := rng.UnmarshalBinary(o.RNG); err != nil {
		return fmt.Errorf("RNG: %w", err)
	}
	own, err := r.scheduler(o.Scheduler)
	if err != nil {
		return err
	}
	cfg, topo := o.Config, o.Topology
	for _, name := range o.Alternatives {
		a, err := r.scheduler(name)
		if err != nil {
			return err
		}
		cfg.Alternatives = append(cfg.Alternatives, a)
	}
	if o.Draws {
		cfg.CopyDemand = r.draw
	}
	e := NewEngine(&r.host, &topo)
	r.host.engine = e
	e.Init(&r.node, o.Node, &cfg, rng, own)
	e.Attach(func(id NodeID) *Node {
		if id == o.Node {
			return &r.node
		}
		return nil
	})
	r.node.Record(func(x Effect) { r.did = append(r.did, x) }, o.Scheduler)
	return nil
}

// scheduler returns nil for the empty name.
func (r *replay) scheduler(name string) (Scheduler, error) {
	if name == "" {
		return nil, nil
	}
	s, err := r.build(name)
	if err != nil {
		return nil, fmt.Errorf("scheduler %q: %w", name, err)
	}
	return s, nil
}

// draw is Config.CopyDemand: it gives what was drawn when the log was recorded.
func (r *replay) draw(t *Task, i int) time.Duration {
	if next := len(r.did); next < len(r.recorded) {
		x := &r.recorded[next]
		if x.Kind == EffectDraw && x.Task == t.ID && int(x.Copy) == i {
			return x.Demand
		}
	}
	return t.Demand
}

// step applies an input and compares what follows.
func (r *replay) step(in Input, s *Step) *Difference {
	r.recorded, r.did = s.Effects, r.did[:0]
	r.node.Apply(in)
	for i := range max(len(r.recorded), len(r.did)) {
		d := Difference{Input: in}
		if i < len(r.recorded) {
			d.Recorded = &r.recorded[i]
		} else if s.Partial {
			break
		}
		if i < len(r.did) {
			d.Replayed = &r.did[i]
		}
		if d.Recorded == nil || d.Replayed == nil || *d.Recorded != *d.Replayed {
			return &d
		}
	}
	return nil
}

// silentHost does nothing: what would follow is in the log.
type silentHost struct {
	engine  *Engine
	learner bool
}

func (h *silentHost) Send(m *Msg)                 { h.engine.FreeChain(m.Task) }
func (h *silentHost) Arm(NodeID, Time, Token)     {}
func (h *silentHost) Disarm(NodeID, Token)        {}
func (h *silentHost) Start(NodeID, *Task)         {}
func (h *silentHost) Stop(NodeID, *Task)          {}
func (h *silentHost) Done(NodeID, *Task, Outcome) {}
func (h *silentHost) Fault(*Fault)                {}

func (h *silentHost) Act(NodeID, Token, []float64) (Action, bool, error) {
	if h.learner {
		return Action{}, false, nil
	}
	return Action{}, true, ErrNoActor
}
