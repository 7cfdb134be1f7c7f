package core

import (
	"fmt"
	"strconv"
	"time"
)

// What a node does about its inputs, as values: for logs, and for their comparison with a replay.

// EffectKind says what a node did.
type EffectKind uint8

const (
	EffectVerdict EffectKind = iota // a decision: Task, Copy, Peer of a forward; Text is the verdict
	EffectSend                      // Host.Send: Message, Peer, Token, Item, Outcome, Task, Copy; Text is its note
	EffectArm                       // Host.Arm: Token, At
	EffectDisarm                    // Host.Disarm: Token
	EffectStart                     // Host.Start: Task, Copy, Token of the execution
	EffectStop                      // Host.Stop: Task, Copy
	EffectAct                       // Host.Act: Token; Text is the state
	EffectDone                      // Host.Done: Task, Outcome, Timing
	EffectFault                     // Host.Fault: Task
	EffectDraw                      // Config.CopyDemand: Task, Copy, Demand as it was drawn
	numEffectKinds
)

var effectNames = [numEffectKinds]string{"verdict", "send", "arm", "disarm", "start", "stop", "act", "done", "fault",
	"draw"}

// String returns the kind's name as logs spell it.
func (k EffectKind) String() string { return word(effectNames[:], k) }

// MarshalText implements encoding.TextMarshaler.
func (k EffectKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *EffectKind) UnmarshalText(text []byte) error {
	return unmarshalWord("kind of effect", effectNames[:], text, k)
}

// Effect is one thing that a node did: a decision, or a call of its Host. Which fields count depends on Kind. Effects are
// compared with ==.
type Effect struct {
	Kind    EffectKind
	Task    TaskID        `json:",omitzero"`
	Copy    uint8         `json:",omitzero"`
	Token   Token         `json:",omitzero"`
	At      Time          `json:",omitzero"`
	Message MsgKind       `json:",omitzero"`
	Peer    NodeID        `json:",omitzero"`
	Item    int32         `json:",omitzero"`
	Outcome Outcome       `json:",omitzero"`
	Demand  time.Duration `json:",omitzero"`
	Timing  Timing        `json:",omitzero"`
	Text    string        `json:",omitzero"`
}

// String describes the effect with all that can differ.
func (x Effect) String() string {
	task := fmt.Sprintf("task %d", x.Task)
	if x.Copy > 0 {
		task = fmt.Sprintf("copy %d of %s", x.Copy, task)
	}
	switch x.Kind {
	case EffectVerdict:
		return task + ": " + x.Text
	case EffectSend:
		s := fmt.Sprintf("send %v to %d (token %#x, item %d)", x.Message, x.Peer, x.Token, x.Item)
		switch {
		case x.Message == MsgForward:
			s += ": " + task
		case x.Message == MsgAnswer:
			s += ": " + task + " " + x.Outcome.String()
		case x.Text != "":
			s += ": note " + x.Text
		}
		return s
	case EffectArm:
		return fmt.Sprintf("arm a timer for %v (token %#x)", x.At, x.Token)
	case EffectDisarm:
		return fmt.Sprintf("disarm a timer (token %#x)", x.Token)
	case EffectStart:
		return fmt.Sprintf("start %s (token %#x)", task, x.Token)
	case EffectStop:
		return "stop " + task
	case EffectAct:
		return fmt.Sprintf("ask the learner about [%s] (token %#x)", x.Text, x.Token)
	case EffectDone:
		return fmt.Sprintf("end %s: %v, %+v", task, x.Outcome, x.Timing)
	case EffectFault:
		return "fault in " + task
	case EffectDraw:
		return fmt.Sprintf("draw the demand of %s: %v", task, x.Demand)
	}
	return "unknown effect"
}

// witness is a Host that tells did what its node has it do.
type witness struct {
	Host
	did func(Effect)
}

func (w *witness) Send(m *Msg) {
	x := Effect{Kind: EffectSend, Message: m.Kind, Peer: m.To, Token: m.Token, Item: m.Item, Outcome: m.Outcome}
	switch m.Kind {
	case MsgForward:
		x.Token = m.Task.trip.fromToken
		x.Task, x.Copy = m.Task.ID, m.Task.Copy
	case MsgAnswer:
		x.Task, x.Copy = m.Task.ID, m.Task.Copy
	case MsgAsk, MsgTell, MsgReply, MsgPull:
		x.Text = m.Note.text()
	case MsgHandover:
		x.Text = chain(m.Task)
	}
	w.did(x)
	w.Host.Send(m)
}

// chain names the tasks of a MsgHandover.
func chain(t *Task) string {
	var b []byte
	for ; t != nil; t = t.next {
		if b != nil {
			b = append(b, ' ')
		}
		b = strconv.AppendUint(b, uint64(t.ID), 10)
	}
	return string(b)
}

func (w *witness) Arm(n NodeID, at Time, k Token) {
	w.did(Effect{Kind: EffectArm, Token: k, At: at})
	w.Host.Arm(n, at, k)
}

func (w *witness) Disarm(n NodeID, k Token) {
	w.did(Effect{Kind: EffectDisarm, Token: k})
	w.Host.Disarm(n, k)
}

func (w *witness) Start(n NodeID, t *Task) {
	w.did(Effect{Kind: EffectStart, Task: t.ID, Copy: t.Copy, Token: t.Token()})
	w.Host.Start(n, t)
}

func (w *witness) Stop(n NodeID, t *Task) {
	w.did(Effect{Kind: EffectStop, Task: t.ID, Copy: t.Copy})
	w.Host.Stop(n, t)
}

func (w *witness) Act(n NodeID, k Token, state []float64) (Action, bool, error) {
	var b []byte
	for i, x := range state {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendFloat(b, x, 'g', -1, 64)
	}
	w.did(Effect{Kind: EffectAct, Token: k, Text: string(b)})
	return w.Host.Act(n, k, state)
}

func (w *witness) Done(n NodeID, t *Task, o Outcome) {
	w.did(Effect{Kind: EffectDone, Task: t.ID, Outcome: o, Timing: t.Timing})
	w.Host.Done(n, t, o)
}

func (w *witness) Fault(f *Fault) {
	w.did(Effect{Kind: EffectFault, Task: f.Task})
	w.Host.Fault(f)
}
