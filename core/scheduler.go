package core

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Scheduler is the algorithm. Each node has its own value, called one step at a time: no algorithm needs a lock.
type Scheduler interface {
	// Schedule decides what becomes of t at this node. It is ordinary blocking code: env.Probe suspends the
	// decision and the node goes on with its next input, so the load may have changed when Probe returns.
	Schedule(env Env, t *Task) Verdict
}

// Load is what a node has in hand, exactly as counted at one instant.
type Load struct {
	Running int32 // executing in slots
	Queued  int32 // in the waiting room
	Capacity
}

// Capacity is what a node can take in hand.
type Capacity struct {
	Slots int32   // K
	Room  int32   // Q, the places of the waiting room
	Speed float32 // relative to a node of speed 1
}

// Total is the load as the field counts it: running plus queued.
func (l Load) Total() int { return int(l.Running) + int(l.Queued) }

// Free is the number of free slots.
func (l Load) Free() int { return int(max(0, l.Slots-l.Running)) }

// Note is a message between the algorithms of two nodes; its meaning is theirs.
type Note struct {
	Kind  uint32
	Int   int64
	Float float64
}

// Reply is one peer's answer to a Probe or an Ask.
type Reply struct {
	Peer NodeID
	Load Load          // of the peer, when it answered
	Note Note          // Ask only
	RTT  time.Duration // from the question to its answer
	Err  error         // ErrNoAnswer, ErrNoPeer or ErrNotPeer; Load is zero then and means nothing
}

// View is what code that may not suspend sees.
type View interface {
	Now() Time                             // fixed during one input
	Rand() *rand.Rand                      // this node's own stream, never the workload's
	Self() NodeID                          //
	Load() Load                            // this node's, at this instant
	LoadOf(TaskType) (running, queued int) // of one task type
	Types() int                            // task types that the node tells apart
	MeanService(TaskType) time.Duration    // mean service time on a node of speed 1; 0 = unknown
	Neighbours() Neighbours                // in a decision those that have the task's function; otherwise all
	AllNeighbours() Neighbours             // whatever functions they have
	Cloud() (NodeID, bool)                 // the far node without limit, where the cluster has one
	Heard(p NodeID) (Load, Time, bool)     // last load known of p and when it was learned (see Rememberer)
	Tell(p NodeID, n Note)                 // one way, to a neighbour's Receive; nothing where the peer has left
}

// Env is all that a decision may see or ask. Its own calls suspend.
type Env interface {
	View
	// Probe asks peers for their load, in parallel, and returns one Reply per peer, in the order given, when all
	// have answered or timed out. The slice is valid until the next Probe or Ask of the same activity.
	Probe(peers ...NodeID) []Reply
	// Ask sends n to the peers' Receive, in parallel, and returns their answers as Probe does.
	Ask(n Note, peers ...NodeID) []Reply
	// Pull asks p to hand over up to max of its waiting tasks while its load stays above the number given; they
	// execute here. It returns how many came.
	Pull(p NodeID, max, above int) (int, error)
	// Sleep suspends for d.
	Sleep(d time.Duration)
	// Act asks the node's learner for an action.
	Act(state []float64) (Action, error)
}

// Action is a learner's answer.
type Action struct {
	Index   int     // the action chosen
	Epsilon float64 // exploration rate at that moment
}

// Optional faces of a Scheduler: activity that no arriving task causes.
type (
	// Starter runs at boot, and again after a restart; loops with Sleep.
	Starter interface{ Start(Env) }
	// Watcher is told that the own load changed. Calls never overlap; changes during one coalesce into the next.
	Watcher interface{ Changed(Env) }
	// Receiver takes Tell and Ask; what it returns goes back to an Ask.
	Receiver interface {
		Receive(v View, from NodeID, n Note) Note
	}
	// Observer sees how the tasks ended that this node decided about.
	Observer interface {
		Observe(v View, t *Task, o Outcome)
	}
	// Rememberer makes the node keep the last load of up to so many peers (the longest unheard goes first): every message
	// tells its sender's.
	Rememberer interface{ Remember() int }
)

// Neighbours are the peers that a node may forward to, the cloud not included, as they were when View.Neighbours was called.
// A full mesh of a million nodes costs nothing: there is no list, or one that all nodes share.
type Neighbours interface {
	Len() int
	// At returns the i-th neighbour, 0 <= i < Len, in ascending order of NodeID.
	At(i int) NodeID
	// Has reports whether p is one of those that SampleAll draws from; the neighbours may have changed since p was heard of.
	Has(p NodeID) bool
	// Sample returns k distinct neighbours drawn uniformly (all of them where k >= Len, in random order). The
	// slice is valid until the next Sample of the same activity.
	Sample(k int) []NodeID
	// SampleAll is Sample over the neighbours and the node itself, which is left out where it lacks the function that they
	// have. For k > 0 it is never empty: where nobody has the function, it is the node itself.
	SampleAll(k int) []NodeID
}

// Verdict is a decision as a value. The engine carries it out.
type Verdict struct {
	kind  verdictKind
	how   uint8 // of a replicate its CancelAt, of a reject its Outcome: with one field more, it is kept in memory
	peer  NodeID
	peers []NodeID
}

type verdictKind uint8

const (
	verdictNone verdictKind = iota
	verdictExecute
	verdictForward
	verdictReplicate
	verdictReject
)

// CancelAt says when the other replicas of a task are cancelled.
type CancelAt uint8

const (
	CancelOnCompletion CancelAt = iota // when the first completes
	CancelOnStart                      // when the first begins to execute
)

// Execute runs the task here: in a slot, or in the waiting room, or refused for lack of room. Where its function is not
// here, the task goes to one of the neighbours that have it, drawn uniformly, or to the cloud where none does.
func Execute() Verdict { return Verdict{kind: verdictExecute} }

// Forward sends the task to peer, and on refusal or silence to the next ones in turn, where the scenario's fallback
// says "next". Forwarding to the own node is Execute; a peer that lacks the function has refused.
func Forward(peer NodeID, next ...NodeID) Verdict {
	return Verdict{kind: verdictForward, peer: peer, peers: next}
}

// Replicate sends a copy to each of the peers, among which may be the own node; the first to start or to complete
// cancels the others. Nodes that lack the function get none.
func Replicate(at CancelAt, peers ...NodeID) Verdict {
	return Verdict{kind: verdictReplicate, how: uint8(at), peers: peers}
}

// Reject refuses the task; reason is Rejected (deliberately) or NoRoom.
func Reject(reason Outcome) Verdict { return Verdict{kind: verdictReject, how: uint8(reason)} }

// To are the peers that the task goes to: the first one of a forward, all of a replicate; nil: none.
func (v Verdict) To() []NodeID {
	switch v.kind {
	case verdictForward:
		return []NodeID{v.peer}
	case verdictReplicate:
		return v.peers
	}
	return nil
}

// String describes the verdict as traces spell it.
func (v Verdict) String() string {
	switch v.kind {
	case verdictExecute:
		return "execute"
	case verdictForward:
		return fmt.Sprintf("forward to %d", v.peer)
	case verdictReplicate:
		return fmt.Sprintf("replicate to %d", v.peers)
	case verdictReject:
		return "reject: " + Outcome(v.how).String()
	}
	return "no verdict"
}
