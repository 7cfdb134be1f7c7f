// Package watch looks at a running cluster. A Watcher asks every node what it says of itself (/monitoring/node), at an interval,
// finds further nodes by what these say of others, and makes a Cluster of it: states, loads, rates, latencies, who forwards to
// whom. A Feed serves the same to browsers, from any node.
//
// Counters of nodes only grow, and a rate is the difference of two looks by the time between them; a node that has been started
// again counts from there. A node that does not answer keeps its place, and since when. The state of a node is put together from
// whether it answers, and what the failure detectors of those that answer believe of it.
package watch
