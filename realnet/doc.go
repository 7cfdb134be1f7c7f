// Package realnet is the world on the wall clock: the same core.Node that simnet drives from an event queue is driven
// here by a goroutine of its own.
//
// # What there is
//
// The node without services:
//
//   - mailbox.go: a Mailbox is one core.Engine with one core.Node and the one goroutine that drives them. Others post inputs;
//     it takes them one at a time, stamps each with the time of its own monotonic clock, records it where it was asked to, and
//     applies it. Timers post when they fall due. An execution is a goroutine that sleeps for the task's demand, divided by the
//     node's speed, and posts its end, unless MailboxOptions.Execute says what to run instead. Env.Act asks the learner, on a
//     goroutine of its own; its answer is an input. Without one it gives core.ErrNoActor.
//   - memory.go: Memory is a transport between mailboxes of one process. It carries messages after the latency of their link, in
//     order, without loss, and copies tasks from engine to engine as values.
//   - record.go, replay.go, record_requests.go: a Recorder writes the log of a mailbox; Replay gives it to a fresh node and compares;
//     the requests of clients in it are a workload.
//
// Node, a node with its scheduler service. A request of a client is an input of the mailbox; what the engine decides comes back through
// the Host; the answer is written when the outcome has come:
//
//   - node.go, scenario.go, server.go: its life, what a scenario means for it, and the limits of its servers
//   - scheduler.go, development.go, configuration.go, change.go: v1's routes, what can be changed while it runs, and how others change it
//   - request.go, body.go: requests in hand, and bodies that are sent on while they come
//   - backend.go, backend_exec.go, functions.go, openfaas.go: functions over HTTP or in processes that it starts, with itself or on demand; they
//     come and go while it runs
//   - peers.go, peer_link.go, peer_message.go, peer_functions.go: its peers, and websocket links with them for messages without a task
//   - peer_forward.go, peer_task.go, peer_v1.go: tasks that leave and that come, as raw requests; v1 nodes in their way
//   - links.go, faults.go: what the links of a scenario hold back or lose; what befalls a node inside
//   - access.go, credentials.go, certificates.go: who may do what, decided where a route is registered, and what nodes know each other by
//   - metrics.go, spans.go, status.go, counts.go, past.go, profile.go: what it says to Prometheus and OpenTelemetry, and of itself;
//     requests that have ended
//
// Services beside it, and clusters of them:
//
//   - discovery_service.go, discovery_swim.go, discovery_v1.go, discovery_names.go: the list of machines, over UDP with core/membership, and with v1's
//     polls. discovery.go: FollowDiscovery is a scheduler that asks one.
//   - learner_service.go, learner.go: a learner for nodes and clients, and RemoteLearner, the client of one in another process
//   - local.go, process_*.go: StartLocal runs a cluster of processes on this machine
//
// Packages below: wire has the names and shapes of what is said over HTTP; loadgen generates the load of a scenario; calibrate measures what nodes
// cost; deploy brings a cluster to where it runs, and image packs the program for that; ui has the page at /ui/, watch what it asks for, of all
// nodes, and play the same of a run that is over; precise has timers, processor reads processor times.
//
// # Concurrency
//
// Post, Now and Memory.Send may be called from any goroutine, and never block: the mailbox is unbounded, so that a
// node that posts to itself, or two that post to each other, cannot wait for one another. Scheduler, engine and node
// belong to the mailbox's goroutine, on which the functions of MailboxOptions are called too.
//
// # Time
//
// Each mailbox counts from its own beginning. An instant of one node means nothing to another: a deadline travels as
// what is left of it, and the receiver learns how long a message was on its way from the transport (Parcel.Transit,
// here the latency of the link). What the machine adds to that, the wake-up of a goroutine mostly, lands in
// Timing.Returning.
package realnet
