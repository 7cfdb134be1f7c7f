package core

import (
	"errors"
	"fmt"
	"time"
)

// Discipline orders the waiting room.
type Discipline uint8

const (
	FIFO             Discipline = iota // first in, first out
	LIFO                               // last in, first out
	ByPriority                         // lowest Task.Priority first, FIFO within a class; running tasks are not pre-empted
	EarliestDeadline                   // earliest Task.Deadline first, FIFO among equals
	ShortestJob                        // least Task.Demand first, FIFO among equals
)

// Fallback says what a node does when a peer refuses a forward or does not answer it.
type Fallback uint8

const (
	FallbackExecute Fallback = iota // execute here
	FallbackNext                    // try the next peer of the verdict, execute here when there is none left
	FallbackFail                    // the peer's refusal, or the silence, is the task's outcome
)

var fallbackNames = [...]string{"execute", "next", "fail"}

// String is the fallback as scenarios spell it.
func (f Fallback) String() string { return word(fallbackNames[:], f) }

// MarshalText implements encoding.TextMarshaler.
func (f Fallback) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *Fallback) UnmarshalText(text []byte) error {
	return unmarshalWord("fallback", fallbackNames[:], text, f)
}

// AtHopLimit says what becomes of a task that may not be forwarded any more.
type AtHopLimit uint8

const (
	LimitExecute AtHopLimit = iota // it executes, without Schedule being called
	LimitLose                      // it is lost, whatever the fallback: nobody refused it. With MaxHops 1 that is every forward
)

var limitNames = [...]string{"execute", "lose"}

// String is what becomes of the task, as scenarios spell it.
func (l AtHopLimit) String() string { return word(limitNames[:], l) }

// MarshalText implements encoding.TextMarshaler.
func (l AtHopLimit) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *AtHopLimit) UnmarshalText(text []byte) error {
	return unmarshalWord("hop limit", limitNames[:], text, l)
}

// Forwarding is what the engine does around every algorithm.
type Forwarding struct {
	MaxHops       int           `json:"max_hops"`          // forwards of one task, at most; 0..255
	AtLimit       AtHopLimit    `json:"at_hop_limit"`      //
	OnRefusal     Fallback      `json:"on_refusal"`        // where a peer refuses
	OnFailure     Fallback      `json:"on_failure"`        // where a peer does not answer, or cannot be reached
	ProbeTimeout  time.Duration `json:"probe_timeout_ns"`  // a Probe, Ask or Pull that is not answered by then has failed; 0 = wait for ever
	AnswerTimeout time.Duration `json:"answer_timeout_ns"` // a forward that is not answered by then has failed; 0 = wait for ever
}

// Check reports what is out of its bounds.
func (f *Forwarding) Check() error {
	if f.MaxHops < 0 || f.MaxHops > 255 || f.AtLimit > LimitLose || f.OnRefusal > FallbackFail || f.OnFailure > FallbackFail ||
		f.ProbeTimeout < 0 || f.AnswerTimeout < 0 {
		return fmt.Errorf("forwarding with max_hops %d, probe_timeout %v and answer_timeout %v is out of its bounds: max_hops is from 0 to 255, and no timeout is negative",
			f.MaxHops, f.ProbeTimeout, f.AnswerTimeout)
	}
	if f.MaxHops == 1 && f.AtLimit == LimitLose {
		return errors.New("lose with max_hops 1 loses every task that is forwarded, at its first hop: write execute, or a larger max_hops")
	}
	return nil
}

// Config is what the nodes of a group have in common. Nodes share the value; a node whose slots, room or scheduler
// change gets its own copy.
type Config struct {
	Slots       int32   // K
	Room        int32   // Q
	Speed       float32 // relative to a node of speed 1
	Discipline  Discipline
	Abandon     bool // a waiting task leaves when its deadline has passed
	Types       int  // task types to count apart; 0 and 1 = one
	Forwarding  Forwarding
	MeanService []time.Duration // by task type, on a node of speed 1; may be nil
	// CopyDemand draws the demand of replica i > 0 of a task. Nil: all have that of the task, as where nobody knows it
	// before it has been executed. A log has what it drew.
	CopyDemand func(t *Task, i int) time.Duration `json:"-"`
	// Alternatives may decide about single tasks in place of the scheduler, where the client wants it (TaskValue.By).
	// They keep no state between calls and have none of the optional faces.
	Alternatives []Scheduler `json:"-"`
	// Scheduler is shared by all nodes of the group where it keeps no state between calls; a node that was given
	// its own value (Engine.Init) uses that. Nil: every task executes where it arrives (the cloud).
	Scheduler Scheduler `json:"-"`

	eng    *Engine
	faces  faces
	placed bool // not every node has every function, as far as the node knows
}

// faces are the optional interfaces that the group's scheduler has, looked up once.
type faces uint8

const (
	faceStarter faces = 1 << iota
	faceWatcher
	faceReceiver
	faceObserver
	faceRememberer
)

func facesOf(s Scheduler) (f faces) {
	if _, ok := s.(Starter); ok {
		f |= faceStarter
	}
	if _, ok := s.(Watcher); ok {
		f |= faceWatcher
	}
	if _, ok := s.(Receiver); ok {
		f |= faceReceiver
	}
	if _, ok := s.(Observer); ok {
		f |= faceObserver
	}
	if _, ok := s.(Rememberer); ok {
		f |= faceRememberer
	}
	return f
}

// Change is what Configure alters; nil fields stay as they are.
type Change struct {
	Slots *int32
	Room  *int32
	Peers *[]NodeID // ascending
	// Functions is what this node, or others, have from now on. Waiting tasks whose function the node has no longer leave
	// as new ones would; those that execute stay.
	Functions []Inventory
	// Forwarding is what the engine does around the new scheduler; nil: what it did around the old one.
	Forwarding *Forwarding
	Scheduler  Scheduler // the node's own value; decisions under way end under the old one, its Start and Changed at once
}
