package core

import (
	"time"
)

type (
	// NodeID numbers the nodes of a cluster from 0. A host maps it to a name or an address.
	NodeID int32
	// TaskID numbers the requests of a run in order of arrival. Copies of a task keep its ID.
	TaskID uint64
	// TaskType is the kind of a task: the index of its function in the scenario (on the wire: v1's learning task type).
	TaskType uint16
	// FunctionID numbers the functions of a cluster, as Topology.Holders does. In a scenario it is the TaskType; where
	// clients say types that mean something else, as those of v1 do, the host numbers the functions by their names.
	FunctionID uint16
)

// NoNode is the absence of a node.
const NoNode NodeID = -1

// Task is one request to run a function, as one node sees it. A *Task belongs to exactly one node at a time; a
// message carries a copy. Algorithms read the exported fields and methods; only the engine and the host write.
//
// A Task is two cache lines; what only tasks need that travel is apart.
type Task struct {
	ID       TaskID
	Arrived  Time          // at this node
	Demand   time.Duration // service demand on a node of speed 1; 0 where the host does not know it (reality)
	Deadline Time          // instant at this node by which the answer is wanted; Never = none
	since    Time          // when the part of Timing that runs now began
	next     *Task         // link of the queue, chain or free list that holds the task
	slot     uint32        // index in the engine's table
	node     NodeID        // who holds it
	Type     TaskType
	Priority int16 // 0 is the most urgent class
	Hops     uint8 // forwards so far
	Copy     uint8 // replica number; 0 = the original
	state    taskState
	flags    taskFlags

	Timing  Timing
	trip    *trip  // nil: it has not left its entry node
	gen     uint32 // of the last token issued for this task
	Probes  uint16 // peers probed or asked on its behalf
	Retries uint16 // forwards that were refused or not answered, and fell back
}

// trip is what a task has with it that travels, or that waits for a copy of itself, or that began cold.
type trip struct {
	fromToken Token     // what the forwarder knows the task by
	from      NodeID    // the forwarder; NoNode at the entry
	target    NodeID    // the peer that has it now
	copy      uint32    // slot of what it has, where that peer is of this engine
	executor  NodeID    // where it was executed, if at a peer
	function  uint16    // number of its function plus 1; 0: its Type says it
	pending   int16     // replicas that have not ended
	outcome   Outcome   // of the replicas that have ended without completing
	pulled    bool      // the target asked for it
	asked     bool      // lesson counts
	by        uint8     // who decides about it: see TaskValue.By
	winner    int32     // replica that the others were cancelled for; -1 = none yet
	targets   []NodeID  // peers left to try, or the peers that hold the replicas
	visited   []NodeID  // nodes that held it before this one, entry first
	few       [4]NodeID // where visited begins
	next      *trip     // free list
	coldStart time.Duration
	lesson    *Lesson // kept for reuse; nil: never used
}

// Cold reports whether the execution began with a cold start.
func (t *Task) Cold() bool { return t.flags&flagCold != 0 }

// ColdStart is how long the start took that the execution began with, which is part of Timing.Executing; 0: it began warm.
func (t *Task) ColdStart() time.Duration {
	if t.trip == nil {
		return 0
	}
	return t.trip.coldStart
}

// Function is what t runs.
func (t *Task) Function() FunctionID {
	if t.trip != nil && t.trip.function > 0 {
		return FunctionID(t.trip.function - 1)
	}
	return FunctionID(t.Type)
}

// Since is when the phase began that t is in: while it executes, when its execution began.
func (t *Task) Since() Time { return t.since }

// Token is the last one that was issued for t: in Host.Start, that of the execution (see Engine.Executing).
func (t *Task) Token() Token { return taskToken | Token(t.slot)<<32 | Token(t.gen) }

// Slot is the task's index in the engine's table; small, and reused when the task has ended.
func (t *Task) Slot() int { return int(t.slot) }

// Executor is the node that executes or executed t; NoNode where it did not come to that.
func (t *Task) Executor() NodeID {
	switch {
	case t.flags&flagRan == 0:
		return NoNode
	case t.trip != nil && t.trip.executor != NoNode:
		return t.trip.executor
	}
	return t.node
}

// Executing returns the node that holds t, and whether it executes t at this instant.
func (t *Task) Executing() (NodeID, bool) { return t.node, t.state == stateRunning }

// Deciding reports whether a decision about t is under way: whatever is to become of t waits for its end.
func (t *Task) Deciding() bool { return t.state == stateDeciding }

// Visited returns the nodes that held the task before this one, its entry node first. Read only.
func (t *Task) Visited() []NodeID {
	if t.trip == nil {
		return nil
	}
	return t.trip.visited
}

// Forwarder is the node that sent t here, and what it knows t by; NoNode at the entry. With t.Copy it tells t from all
// other tasks that this node got from others. A replica that a node executes itself has this node as its forwarder.
func (t *Task) Forwarder() (NodeID, Token) {
	if t.trip == nil {
		return NoNode, 0
	}
	return t.trip.from, t.trip.fromToken
}

// Entry is the node that the client called.
func (t *Task) Entry() NodeID {
	if v := t.Visited(); len(v) > 0 {
		return v[0]
	}
	return t.node
}

// Budget is the time from the arrival at this node to the deadline; 0 where there is none.
func (t *Task) Budget() time.Duration {
	if t.Deadline == Never {
		return 0
	}
	return t.Deadline.Sub(t.Arrived)
}

// foreign reports whether another node forwarded t here.
func (t *Task) foreign() bool { return t.trip != nil && t.trip.from != NoNode }

type taskState uint8

const (
	stateFree taskState = iota
	stateNew            // allocated, or travelling
	stateDeciding
	stateWaiting
	stateRunning
	stateForwarded // a peer has it
	stateReplicated
)

type taskFlags uint8

const (
	flagDecided   taskFlags = 1 << iota // this node's scheduler decided about it
	flagCold                            // began with a cold start
	flagCancelled                       // ends as soon as the decision is over
	flagDirect                          // executes here, without Schedule: it was pulled, or is a replica
	flagReplica
	flagNotifyStart // a replica whose forwarder wants to know when it starts
	flagRan         // execution began
	flagSteered     // trip.by decides about it
)

// Timing is where the time of a task went. The parts of a completed task add up to its latency at the entry node.
type Timing struct {
	Scheduling time.Duration // in decisions, probing not counted
	Probing    time.Duration // waiting for answers of peers that a decision asked
	Forwarding time.Duration // on the way to the node that executed it, failed attempts included
	Waiting    time.Duration // in waiting rooms
	Executing  time.Duration // in a slot
	Returning  time.Duration // the answer's way back along the path
}

// Total is the sum of the parts.
func (t Timing) Total() time.Duration {
	return t.Scheduling + t.Probing + t.Forwarding + t.Waiting + t.Executing + t.Returning
}

// Outcome is how a task ended: exactly one per task.
type Outcome uint8

const (
	InFlight       Outcome = iota // not ended yet
	Completed                     // executed, and the answer came back to the entry node
	Rejected                      // deliberately, by the algorithm
	NoRoom                        // no free slot and no place in the waiting room
	Expired                       // abandoned: its deadline passed while it waited
	LostNodeDown                  // the node that held it went down
	LostNoAnswer                  // a forward was never answered or, in reality, a function
	LostHopLimit                  // it reached the hop limit where it may not be executed
	LostClientGone                // the client hung up
	NoFunction                    // its function is not where it may execute
	NumOutcomes    = iota
)

var outcomeNames = [NumOutcomes]string{"in-flight", "completed", "rejected", "no-room", "expired",
	"lost-node-down", "lost-no-answer", "lost-hop-limit", "lost-client-gone", "no-function"}

// String returns the outcome's name as records and summaries spell it.
func (o Outcome) String() string { return word(outcomeNames[:], o) }

// MarshalText implements encoding.TextMarshaler.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Outcome) UnmarshalText(text []byte) error {
	return unmarshalWord("outcome", outcomeNames[:], text, o)
}

// Lost reports whether the task was lost, for whichever reason.
func (o Outcome) Lost() bool { return o >= LostNodeDown && o <= LostClientGone }
