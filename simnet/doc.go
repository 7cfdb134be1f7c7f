// Package simnet is the world on a virtual clock: it drives the core.Nodes of a cluster, a hundred or a million, from
// one event queue, with the network, the executions and the clients around them.
//
// # A world
//
// New builds the world of one replication of a scenario, Run simulates it and returns what was counted. It is one
// goroutine from beginning to end. A Batch runs the replications of a sweep's points, one world each, on all cores;
// what comes out does not depend on how many there are. With a stopping rule (precision) cores that have nothing else
// to do begin replications in advance, and those that turn out not to be needed are dropped.
//
// A World is the core.Host of its nodes: what the core asks for in Send, Arm, Start and Done becomes events here, and
// events become the inputs of nodes. No decision is taken in this package.
//
// # Time
//
// What is due at one instant is processed in this order: executions that end, with all else that the calendar holds;
// messages; timeouts; arrivals; within each, first come first served (docs/adr/0002). A Sleep is the calendar's, but one
// that is exactly as long as a timeout of the scenario counts among the timeouts. Messages are the calendar's, too, where links
// are not all of one constant latency, and where there are costs or faults, and so are requests on clients' links: these go
// among the executions that end, in the order in which they were scheduled. A run ends when the scenario's duration
// is over and every request has ended, or, where one does not end, when the duration is over once more.
//
// # The network
//
// A message is on its way for the latency of its link, plus jitter, plus its bytes over the bandwidth; it gets lost
// with the link's probability. Each message has the link to itself: there is no queue in front of it, so a bandwidth
// delays but does not congest. A forward carries the function's payload, an answer its reply; probes and notes have no
// bytes of their own, since a latency includes a header's.
//
// A client is one more link away from its node where the scenario says so. A request that is lost on it never reaches
// the node, and ends at once or, where its client has a timeout, after that; where the answer is lost, the node has done the
// work and the request still counts as lost.
//
// # Executions
//
// A node executes in dedicated slots, or shares its cores among all running tasks (processor sharing), or gives them
// to the most urgent ones (preemptive resume). The demand of a request is drawn when it arrives, that of a replica
// when the replica is made; a node of speed s takes demand/s. A cold start adds its time, where no instance of the
// function has been idle for less than the keep-alive; an instance whose first execution is cancelled is given up.
//
// # Machines and costs
//
// Where the scenario has hosts, what computes on one shares its cores, whichever node it is of (machine.go). Where it
// has a calibration, each part of a request takes what was measured of it, in time and in processor time (costs.go;
// docs/adr/0015). Without both, a message costs a node nothing, and every node has cores of its own.
//
// # Faults
//
// faults.go carries out what goes wrong by the scenario's plan (docs/adr/0016). A node that is down refuses: its
// clients learn it at once, and a peer that probes it or forwards to it after the way there and back; what it had of
// its peers goes unanswered. It comes back without neighbours, with a new value of the algorithm and no warm instance.
// One that stands still takes no input until it goes on, then all in order; what it executes goes on where it was, and
// slots that stand still count as busy. What becomes of a message is decided when it is sent. Each node runs the
// failure detector of real nodes (peers.go), on the same links; the neighbours of a node are those of the scenario that
// it holds to be there. At the beginning everybody knows everybody, as when a real run begins. In a large world there
// is no detector, and neighbours stay what they are. Clients that have waited for the scenario's timeout give up, and
// their node is told so.
//
// # What is counted
//
// Requests that arrive after the warm-up, when they end: see package results for the metrics. Requests are counted by
// arrival, so that the ones still under way at the end of the duration are waited for. Throughput and energy_per_completed are of the
// completions between the warm-up and the end, whenever their requests arrived. Utilisation and energy cover
// the part of each execution that lies between the warm-up and the end of the duration. Tasks are conserved, submitted
// = ended + in flight, and no node holds more than it may: that is checked four times per run and at its end (where there
// are more than 4096 nodes, at 4096 of them), and a violation is an error of the run.
//
// # Large worlds
//
// A full mesh has no list of neighbours, a node of the cluster is 64 bytes, and above 1024 nodes no statistics are
// kept per node, only per group. Most of what an event touches is then in no cache, so that the world asks for it some
// events ahead (package prefetch).
package simnet
