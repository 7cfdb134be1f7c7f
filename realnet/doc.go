// Package realnet is the world on the wall clock: the same core.Node that simnet drives from an event queue is driven
// here by a goroutine of its own.
//
// # What there is
//
// A Mailbox is one core.Engine with one core.Node and the one goroutine that drives them. Others post inputs; the
// mailbox takes them one at a time, stamps each with the time of its own monotonic clock, records it where it was
// asked to, and applies it. Timers post when they fall due. An execution is a goroutine that sleeps for the task's
// demand, divided by the node's speed, and posts its end, unless Options.Execute says what to run instead. Env.Act asks
// the Learner of the Options, in this process or outside, on a goroutine of its own; its answer is an
// input. Without one it gives core.ErrNoActor.
//
// Memory is the transport: it carries messages between mailboxes of one process, each after the latency of its link,
// in order on each link, without loss, and copies tasks from engine to engine as values.
//
// RemoteLearner is the client of a learner outside the process, by websocket and HTTP, in the way of the first P2PFaaS.
//
// Node is a node with its scheduler service: v1's routes (scheduler.go, configuration.go), requests in hand (request.go),
// functions over HTTP or in processes that it starts, with itself or on demand (backend.go, backend_exec.go), and its peers (peers.go): messages on
// websocket links (peer_link.go, peer_message.go), tasks as raw requests that leave (peer_forward.go) and come
// (peer_task.go), v1 nodes in their way (peer_v1.go), all of it held or lost as the links of a scenario say (links.go). A request of a client is an input of the mailbox, what the engine decides comes back
// through the Host, and the answer is written when the outcome has come. Names and shapes of the wire are in wire.go.
//
// What functions a node has changes while it runs (functions.go), and its peers hear of it on their links (peer_functions.go).
//
// A Recorder writes the log of a mailbox (record.go); Replay gives it to a fresh node and compares (replay.go).
//
// The discovery service (discovery_service.go) keeps the list of machines: over UDP with core/membership
// (discovery_swim.go), and with v1's polls (discovery_v1.go). FollowDiscovery is a scheduler that asks one.
// LearnerService serves a learner to nodes and clients.
//
// Package image, below, packs the program into container images, and package deploy brings a scenario's cluster to where it runs.
//
// Generate is the open-loop load generator (load.go and the files beside it); StartLocal runs a cluster of processes on this
// machine (local.go); ScenarioNode says what a scenario means for a node (scenario.go).
//
// # Concurrency
//
// Post, Now and Memory.Send may be called from any goroutine, and never block: the mailbox is unbounded, so that a
// node that posts to itself, or two that post to each other, cannot wait for one another. Scheduler, engine and node
// belong to the mailbox's goroutine, on which the functions of Options are called too.
//
// # Time
//
// Each mailbox counts from its own beginning. An instant of one node means nothing to another: a deadline travels as
// what is left of it, and the receiver learns how long a message was on its way from the transport (Parcel.Transit,
// here the latency of the link). What the machine adds to that, the wake-up of a goroutine mostly, lands in
// Timing.Returning.
package realnet
