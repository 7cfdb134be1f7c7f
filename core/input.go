package core

import (
	"errors"
	"fmt"
	"slices"
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
