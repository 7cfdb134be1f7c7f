// Package core is what a task, a node and a decision are. It does no I/O: the same code runs in the simulator and on
// real machines, and an algorithm that was written for one runs in the other.
//
// # Model
//
// A cluster has nodes, numbered from 0, and perhaps a cloud. A client calls one node, the entry node of its request;
// the request is a Task there. The node's Scheduler decides what becomes of it, and its decision is a value, a
// Verdict: Execute here, Forward to a peer, Replicate to several, Reject. The engine carries it out, with everything
// that is the same for all algorithms: hops and their limit, slots (K) and the waiting room (Q), timeouts, what
// happens on refusal or silence (Forwarding), and the accounting of time. In the end every task has exactly one
// Outcome, which its entry node hands to the host.
//
// A Node is a state machine. Engine is what the nodes of one loop share: a simulation has one engine for all of its
// nodes, a real node has one for itself. Host is the world under an engine: it carries messages, keeps timers and
// executes tasks. Packages simnet and realnet have one each.
//
// # Inputs
//
// A node is driven one input at a time, by one goroutine:
//
//	Boot       first of all: Starter.Start begins
//	Submit     a client calls
//	Deliver    a message of another node
//	Fire       the instant of a Host.Arm has come
//	Finish     an execution has ended
//	Answer     the learner's answer to a Host.Act
//	Cancel     the client is gone
//	Configure  other slots, room, peers, functions or algorithm
//	Crash      everything in hand is lost; what arrives until the Restart is dropped
//	Restart    empty, as after Boot; a node that is up is left alone
//
// Each says what time it is. Time does not go back within an engine, and it stands still during an input. Within an
// input the node calls its Host, never the other way round: a host that has something to say at once says it in the
// next input.
//
// An input notes which activities of algorithms it wakes; they run when it has ended, and have run when the method
// returns. A host that makes many inputs lets Engine.Drive call it for the next one instead: then they run between two
// inputs, and decisions that do not suspend cost no switch of stacks.
//
// Input is the value form of all of these, and Apply the one way in for hosts that queue inputs. A simulator calls
// the methods directly and saves the copies.
//
// # What a host promises
//
//   - None of its methods blocks.
//   - Send: the message becomes a Deliver at its destination, or gets lost. One without tasks may also come twice.
//     The Msg is the engine's and is used again: copy it. Its tasks change hands; where it is lost, or leaves the
//     engine, they are freed (FreeChain, or Pack). The receiving host sets Msg.Transit to the time on the way, as it
//     knows or estimates it.
//   - Arm: one Fire at that instant or soon after; none, or a dead one, after Disarm.
//   - Start: one Finish when the execution is over, unless Stop or a crash comes first. A host refers to an execution
//     by Task.Token, as it is in Start; Engine.Executing gives the task back, or nil where it has been stopped.
//   - Act: an answer at once, or an Answer later.
//   - Done: the outcome of a task that entered here. The task is reused when Done returns.
//   - Fault: a mistake of the algorithm, with the stack of its panic. A simulation aborts; a real node has failed that
//     task and goes on.
//
// # Coroutines
//
// An algorithm is ordinary blocking code. Env.Probe, Ask, Pull, Sleep and Act suspend it: it keeps its stack, while another
// stack takes the next inputs (coroutines of iter.Pull: drive.go). When the answers, or the timeout, have
// come, that input resumes the decision. Between the two the node may have done anything else: read Load again after a
// call that suspends. Peers may have left, too: a forward to one of them is a failure (on_failure).
//
// Nothing runs at the same time as anything else, so algorithms need no locks, and interleaving happens at the calls
// that suspend and nowhere else, in both worlds. Stacks are pooled, last in first out. When a node crashes, its
// suspended decisions are resumed once and unwind by a panic of core's own, from which an algorithm must not recover.
// Observe and Receive get a View: they cannot suspend.
//
// # Placement
//
// A task executes only where its function is. Who has what is in the Topology, which all nodes share, or what a node
// has been told since (Change.Functions); the cloud has every function. During a decision the neighbours are those that
// have the function of the task. A task that is to execute where its function is not goes to one of them, drawn from
// the node's own stream; where that cannot be, it ends as NoFunction, a refusal. A task whose function is taken away
// while it waits goes on in the same way. docs/adr/0014-placement.md says why.
//
// # Ownership of tasks
//
// A *Task lies in the table of its engine, belongs to one node at a time, and is used again after its end. A host
// gets it from NewTask and gives it away with Submit. A forwarder keeps its task and sends a copy, which comes back
// in the answer; the copy's deadline is relative while it travels, because no two nodes have the same clock. Between
// engines, copies travel as values (Parcel).
//
//	          +----------------- Reject ---------------------+
//	          |                                              v
//	new --> deciding --> forwarded, replicated -- answer --> end --> free
//	  \       |               |                              ^
//	   \      | Execute       | refused, silent: Fallback    |
//	    \     v               v                              |
//	     +--> a free slot? a place to wait? -- no: NoRoom ---+
//	             |               |                           |
//	             |               v                           |
//	             |            waiting -- deadline, cancel ---+
//	             v               |                           |
//	          running <----------+ next in turn              |
//	             |                                           |
//	             +------------------ Finish -----------------+
//
// The short cut from new is for tasks that nobody decides about: replicas, tasks handed over to a Pull, tasks at the
// hop limit, and nodes without an algorithm. A task that waits may be pulled; then it is forwarded. The end is
// Host.Done at the entry node, and a MsgAnswer to the forwarder everywhere else.
//
// # Tokens
//
// Whatever waits has a Token: a suspended activity, a forwarded task, a deadline, an execution. It is a slot in a
// table and a generation, and what it named is over as soon as the generation moves on. So late answers, duplicates,
// timers that could not be taken back and executions from before a crash find a dead token and do no harm; no list of
// them is kept. Tokens are meaningful to the node that issued them and travel through others unchanged.
//
// # Determinism
//
// An engine that gets the same inputs does the same: it reads no clock, starts no goroutine, ranges over no map, and
// draws only from the streams that its nodes were given. An algorithm keeps to the same rules; chance is View.Rand and
// time is View.Now. Floating-point results are equal on every architecture as long as a product that is added to
// something is written float64(a*b) and package core/random serves for logarithms and exponentials.
//
// A log is the Origin of a node, its inputs, and the Effects of each: decisions, and calls of the Host. Replay drives a
// fresh node with it and reports the first effect that differs: a decision made on a Raspberry Pi can be repeated, and
// debugged, on a laptop. Neither side of it holds more of the log than one Step.
//
// # Where the time of a task goes
//
// Every task carries one stamp. What ends a phase adds the time since the stamp to the part of Timing that the phase
// belongs to, and moves the stamp. For a completed task at its entry node therefore exactly
//
//	Scheduling + Probing + Forwarding + Waiting + Executing + Returning = end - arrival
//
// in integer nanoseconds, over any number of hops, failed attempts and retries. No part is the difference of two
// machines' clocks: a forwarder measures how long the answer took, the peer reports how long the task was in its hands
// and on the way there, and the rest is Returning.
package core
