package core

import (
	"errors"
	"time"
)

// Errors of a Reply.
var (
	ErrNoAnswer = errors.New("the peer did not answer in time")
	ErrNoPeer   = errors.New("the peer cannot be reached")
	ErrNotPeer  = errors.New("the node is not a neighbour")
	ErrNoActor  = errors.New("the node has no learner")
)

// Token names something that waits: a suspended activity, a forwarded task, a deadline. A token whose wait is over is
// dead; whatever arrives for it is dropped.
type Token uint64

// MsgKind is what a message between nodes asks or tells.
type MsgKind uint8

const (
	MsgProbe    MsgKind = iota // what is your load? Answered by MsgReply
	MsgAsk                     // a Note for Receive; answered by MsgReply
	MsgReply                   // Load, and the Note that Receive returned
	MsgTell                    // a Note, one way
	MsgPull                    // hand over tasks: Note.Int at most, while the load exceeds Item; answered by MsgHandover
	MsgHandover                // a chain of tasks
	MsgForward                 // a task, answered by MsgAnswer
	MsgAnswer                  // how the task ended
	MsgStarted                 // replica Item began to execute
	MsgCancel                  // replica Item (or the task) is not wanted any more
	numMsgKinds
)

var msgNames = [numMsgKinds]string{"probe", "ask", "reply", "tell", "pull", "handover", "forward", "answer", "started",
	"cancel"}

// String returns the kind's name as traces spell it.
func (k MsgKind) String() string {
	if int(k) < len(msgNames) {
		return msgNames[k]
	}
	return "unknown"
}

// Msg is a message between two nodes. The sender's engine reuses it: a host copies what it keeps.
type Msg struct {
	Kind     MsgKind
	Outcome  Outcome // MsgAnswer; MsgReply, MsgHandover: LostNodeDown, where the host knows that no answer will come
	From, To NodeID
	Item     int32         // which question, which replica, which load (see the kinds)
	Token    Token         // of the node that waits for the answer; the answer carries it back
	Load     Load          // of the sender, when it sent; Slots < 0: it did not say
	Note     Note          // MsgAsk, MsgTell, MsgReply to an Ask; MsgPull's limits; MsgCancel: where in an engine that both share; otherwise meaningless
	Task     *Task         // MsgForward, MsgAnswer; MsgHandover: the first of a chain (see Next)
	Transit  time.Duration // set by the receiving host: the time on the way, as it knows or estimates it
}

// Next is the task after t in the chain of a MsgHandover.
func (t *Task) Next() *Task { return t.next }

// Host is the world under the nodes of one engine: the project's transport interface.
type Host interface {
	// Send takes m to the node m.To: later its Deliver, or nothing. It never blocks, and m.Task changes hands: where
	// the message is lost, or leaves the process, the host frees the task (Engine.FreeChain). A message with a task is
	// delivered once at most: whoever gets a forward executes it. One without a task may come twice.
	Send(m *Msg)
	// Arm asks for Fire(token) at the instant at; Disarm takes that back. Firing a dead token does no harm.
	Arm(n NodeID, at Time, k Token)
	Disarm(n NodeID, k Token)
	// Start executes t: exactly one Finish follows, unless Stop is called or the node crashes.
	Start(n NodeID, t *Task)
	Stop(n NodeID, t *Task)
	// Act asks the learner of n. Where it answers at once it returns true; otherwise Answer follows.
	Act(n NodeID, k Token, state []float64) (Action, bool, error)
	// Done hands over the outcome of a task at its entry node; t is reused when Done returns.
	Done(n NodeID, t *Task, o Outcome)
	// Fault reports a mistake of an algorithm: a panic with its stack, a verdict that cannot be carried out.
	Fault(f *Fault)
}
