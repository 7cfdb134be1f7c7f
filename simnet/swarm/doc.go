// Package swarm looks for runs in which what must always hold does not: it draws a scenario from each of many seeds,
// simulates it, and checks the invariants after every event (docs/adr/0017).
//
//	f, err := swarm.Seed(4711)       // nil: every invariant holds
//	small, _ := swarm.Shrink(f)      // the smallest scenario that it finds in which the same invariant fails
//	v, events, err := swarm.Replay(scenario, 30) // of all replications, up to one that fails
//
// # What is drawn
//
// Draw makes a document as people write it, whose scenario is one like any other: from 1 to 40 nodes in up to two
// groups, topology, links, cloud, queues and service modes, functions with placement and cold starts, arrivals below
// saturation and above, impatient clients, the algorithms that are registered with parameters by what these say of
// themselves, a learner, and faults of the kinds that scenarios know (scenarios.FaultForms). A seed draws the same on
// every machine, until one of these lists changes. What does not fit together is found by the scenario's own rules, and
// drawn again.
//
// # What is checked
//
// The constants of Invariant say it. A checker is a simnet.Observer: it stands between the nodes and the world, keeps
// its own books of what begins and ends, and compares them after every event with what nodes count and with the tasks
// that there are. In a simulation all nodes have one clock, so that time which does not go back in the world does not
// at a node. Clients of runs without faults may wait for ever, so that a request which never ends is seen. Memberships
// are looked at when settled time has passed since the last fault that they may notice.
//
// That each invariant finds what it is for is tested with deliberately broken sources (make mutants).
package swarm
