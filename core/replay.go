package core

import (
	"errors"
	"fmt"
	"math/rand/v2"
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
	InputConfigure                  // Node.Configure: Slots, Room, Peers, Scheduler
	InputCrash                      // Node.Crash
	InputRestart                    // Node.Restart: Scheduler
	numInputKinds
)

var inputNames = [numInputKinds]string{"boot", "submit", "deliver", "fire", "finish", "answer", "cancel", "configure",
	"crash", "restart"}

// String returns the kind's name as logs spell it.
func (k InputKind) String() string {
	if int(k) < len(inputNames) {
		return inputNames[k]
	}
	return "unknown"
}

// MarshalText implements encoding.TextMarshaler.
func (k InputKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *InputKind) UnmarshalText(text []byte) error {
	for i, name := range inputNames {
		if string(text) == name {
			*k = InputKind(i)
			return nil
		}
	}
	return fmt.Errorf("unknown kind of input %q: use %s", text, strings.Join(inputNames[:], ", "))
}

// Input is any input of a node, as a value that shares nothing with an engine: it may be queued, sent to another
// goroutine, written and read. Which fields count depends on Kind. Apply does not alter what the pointers refer to.
type Input struct {
	Kind       InputKind
	At         Time
	Token      Token       `json:",omitzero"`
	Task       *TaskValue  `json:",omitzero"`
	Message    *Parcel     `json:",omitzero"`
	Cold       bool        `json:",omitzero"` // the execution began with a cold start
	ID         TaskID      `json:",omitzero"`
	Action     Action      `json:",omitzero"`
	Error      string      `json:",omitzero"` // of the learner; empty: none
	Slots      *int32      `json:",omitzero"`
	Room       *int32      `json:",omitzero"`
	Peers      *[]NodeID   `json:",omitzero"` // ascending
	Forwarding *Forwarding `json:",omitzero"`
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
		v.Trip = &TripValue{From: p.from, Token: p.fromToken, Executor: t.Executor(),
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
	if v.Trip != nil {
		p := e.tripOf(t)
		p.from, p.fromToken, p.executor = v.Trip.From, v.Trip.Token, v.Trip.Executor
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
		if in.Cold {
			t.SetCold()
		}
		n.Finish(in.At, t)
	case InputAnswer:
		n.Answer(in.At, in.Token, in.Action, learnerError(in.Error))
	case InputCancel:
		n.Cancel(in.At, in.ID)
	case InputConfigure:
		n.Configure(in.At, Change{Slots: in.Slots, Room: in.Room, Peers: in.Peers,
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

// check reports what would make Apply panic: a log may come from a file. last is the instant of the input before.
func (in *Input) check(last Time) error {
	switch {
	case in.Kind >= numInputKinds:
		return fmt.Errorf("unknown kind %d", in.Kind)
	case in.At < last:
		return fmt.Errorf("time goes back from %v to %v", last, in.At)
	case in.Kind == InputSubmit && (in.Task == nil || in.Task.Trip != nil):
		return errors.New("a submit needs a Task without a Trip")
	case in.Kind == InputDeliver && in.Message == nil:
		return errors.New("a deliver needs a Message")
	case in.Kind == InputDeliver:
		return in.Message.check()
	}
	return nil
}

// steered reports an alternative that is not there.
func (in *Input) steered(alternatives int) error {
	if t := in.Task; in.Kind == InputSubmit && t != nil && int(t.By) > alternatives {
		return fmt.Errorf("alternative %d is to decide, of %d", t.By, alternatives)
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
	if len(p.Tasks) < least || len(p.Tasks) > most {
		return fmt.Errorf("message %q with %d tasks: between %d and %d are possible", p.Kind, len(p.Tasks), least, most)
	}
	for i := range p.Tasks {
		if p.Tasks[i].Trip == nil {
			return fmt.Errorf("message %q: task %d has no Trip", p.Kind, p.Tasks[i].ID)
		}
	}
	return nil
}

// MarshalText implements encoding.TextMarshaler: "kind int float". JSON has no number for an infinite Float.
func (n Note) MarshalText() ([]byte, error) {
	b := strconv.AppendUint(nil, uint64(n.Kind), 10)
	b = strconv.AppendInt(append(b, ' '), n.Int, 10)
	return strconv.AppendFloat(append(b, ' '), n.Float, 'g', -1, 64), nil
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

// Logs and their replay.

// Log is all that a node was given, and what it decided. It is plain data for encoding/json. An engine with one node
// issues the same tokens to the same inputs, so a log replays anywhere.
type Log struct {
	Node      NodeID
	Config    Config // without its Scheduler
	Topology  Topology
	Scheduler string // names the algorithm, as the log's reader must build it; empty: none
	// Alternatives are the names of Config.Alternatives, in their order.
	Alternatives []string `json:",omitempty"`
	RNG          []byte   // state of the node's stream before its first input (rand.PCG)
	Learner      bool     // Host.Act left the answer to an InputAnswer; otherwise there was no learner
	Inputs       []Input
	Decisions    []Decision
}

// Decision is a verdict as a log keeps it.
type Decision struct {
	Input   int // index of the input that brought it about
	Task    TaskID
	Verdict string
}

// Record begins the log of n, the only node of its engine, between Engine.Init and the first input. Its host calls
// Log.Add for each input before it gives it to Apply, Packs every message at once in Send, and calls SetCold nowhere
// itself; verdicts come by themselves. scheduler names the algorithm, alternatives
// those of the Config.
func (n *Node) Record(scheduler string, alternatives ...string) *Log {
	e := n.cfg.eng
	rng, err := n.rng.MarshalBinary()
	if err != nil {
		panic(fmt.Sprintf("core: the state of a PCG has no binary form: %v", err))
	}
	l := &Log{Node: n.id, Config: *n.cfg, Topology: *e.topo, Scheduler: scheduler, RNG: rng,
		Alternatives: alternatives}
	l.Config.Scheduler, l.Config.Alternatives, l.Config.eng, l.Config.faces = nil, nil, nil, 0
	before := e.OnVerdict
	e.OnVerdict = func(now Time, id NodeID, t *Task, v Verdict) {
		l.Decisions = append(l.Decisions, Decision{len(l.Inputs) - 1, t.ID, v.detail()})
		if before != nil {
			before(now, id, t, v)
		}
	}
	return l
}

// Add appends an input.
func (l *Log) Add(in Input) {
	if in.Peers != nil { // never a nil slice: JSON would make it a nil pointer, which means no change
		peers := append([]NodeID{}, *in.Peers...)
		in.Peers = &peers
	}
	l.Inputs = append(l.Inputs, in)
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

// Replay drives a fresh node with the inputs of l and compares its verdicts. It returns the first difference, or what
// is wrong with the log: Config and Topology are taken as they are, inputs are checked. build makes a scheduler of its
// name, for each name that the log has.
func Replay(l *Log, build func(name string) (Scheduler, error)) error {
	var rng rand.PCG
	if err := rng.UnmarshalBinary(l.RNG); err != nil {
		return fmt.Errorf("replaying the log of node %d: RNG: %w", l.Node, err)
	}
	own, err := builder(build).of(l.Scheduler)
	if err != nil {
		return fmt.Errorf("replaying the log of node %d: %w", l.Node, err)
	}
	cfg, topo := l.Config, l.Topology
	for _, name := range l.Alternatives {
		a, err := builder(build).of(name)
		if err != nil {
			return fmt.Errorf("replaying the log of node %d: %w", l.Node, err)
		}
		cfg.Alternatives = append(cfg.Alternatives, a)
	}
	h := &silentHost{learner: l.Learner}
	h.engine = NewEngine(h, &topo)
	defer h.engine.Close()
	var n Node
	h.engine.Init(&n, l.Node, &cfg, rng, own)
	h.engine.Attach(func(id NodeID) *Node {
		if id == l.Node {
			return &n
		}
		return nil
	})
	c := comparison{log: l}
	h.engine.OnVerdict = c.verdict
	last := Time(0)
	for i := range l.Inputs {
		in := l.Inputs[i]
		if err := errors.Join(in.check(last), in.steered(len(cfg.Alternatives))); err != nil {
			return fmt.Errorf("input %d at %v: %s: %w", i, in.At, in.Kind, err)
		}
		if in.Own, err = builder(build).of(in.Scheduler); err != nil {
			return fmt.Errorf("input %d at %v: %w", i, in.At, err)
		}
		c.input, last = i, in.At
		n.Apply(in)
		if c.ended(); c.difference != nil {
			return c.difference
		}
	}
	if c.next < len(l.Decisions) {
		d := l.Decisions[c.next]
		return fmt.Errorf("decision %d belongs to input %d, which is not there or is an earlier one", c.next, d.Input)
	}
	return nil
}

type builder func(string) (Scheduler, error)

// of returns nil for the empty name.
func (b builder) of(name string) (Scheduler, error) {
	if name == "" {
		return nil, nil
	}
	s, err := b(name)
	if err != nil {
		return nil, fmt.Errorf("scheduler %q: %w", name, err)
	}
	return s, nil
}

// comparison holds the verdicts of a replay against those of its log.
type comparison struct {
	log        *Log
	input      int // being applied
	next       int // index of the decision that must come next
	difference error
}

// verdict is the engine's OnVerdict.
func (c *comparison) verdict(_ Time, _ NodeID, t *Task, v Verdict) {
	if c.difference != nil {
		return
	}
	recorded := "nothing"
	if c.due() {
		d := c.log.Decisions[c.next]
		c.next++
		if d == (Decision{c.input, t.ID, v.detail()}) {
			return
		}
		recorded = d.Verdict
		if d.Task != t.ID {
			recorded = fmt.Sprintf("%s for task %d", d.Verdict, d.Task)
		}
	}
	c.differ(t.ID, recorded, v.detail())
}

// ended is called when the input has been applied.
func (c *comparison) ended() {
	if c.difference == nil && c.due() {
		d := c.log.Decisions[c.next]
		c.differ(d.Task, d.Verdict, "nothing")
	}
}

// due reports whether the log has one more verdict of this input.
func (c *comparison) due() bool {
	return c.next < len(c.log.Decisions) && c.log.Decisions[c.next].Input == c.input
}

func (c *comparison) differ(id TaskID, recorded, replayed string) {
	c.difference = fmt.Errorf("input %d at %v, task %d: recorded %s, replayed %s",
		c.input, c.log.Inputs[c.input].At, id, recorded, replayed)
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
