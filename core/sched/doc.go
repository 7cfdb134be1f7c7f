// Package sched holds the scheduling algorithms, one per file, and the registry that the scenario reader, the command
// line and the real nodes find them in.
//
// An algorithm is a struct that implements core.Scheduler. Its parameters are its exported fields, described by their
// tags; the value that its Entry's New returns carries the defaults:
//
//	type Coin struct {
//		Heads float64 `param:"heads" min:"0" max:"1" doc:"probability that a task stays here"`
//	}
//
//	func init() {
//		sched.Register(sched.Entry{
//			Name:      "Coin",
//			Summary:   "keep the task with a given probability, otherwise forward it to a random peer",
//			Doc:       "...",
//			Source:    "...",
//			Stateless: true,
//			New:       func() core.Scheduler { return &Coin{Heads: 0.5} },
//		})
//	}
//
// That is all: it is then known by its name in scenario files, in the tool's listing, and to the tests of this package.
// A type may also have the optional faces of core (Starter, Watcher, Receiver, Observer, Rememberer) and
//
//	Validate() error    // do the parameters agree with each other?
//	Check(World) error  // do they fit the cluster?
//	In(World)           // sets those that are left to the cluster
//
// # Tags
//
//	param       name in scenario files, in snake case
//	doc         meaning
//	unit        what it counts ("tasks", "peers"); durations need none
//	min, max    bounds, inclusive; for a duration with their unit
//	oneof       allowed words of a string, separated by |
//	positional  of oneof: the flag, true or false, that each word was in the first P2PFaaS's list of parameters
//	required    "true": there is no default
//
// Fields may be bool, int, float64, time.Duration, string and []string (both with oneof), core.NodeID and [][]float64.
//
// # Rules for algorithms
//
// A decision that calls Probe, Ask, Pull, Sleep or Act is suspended, and the node takes other decisions meanwhile: what
// was read before the call, the own load above all, may be out of date after it. A Reply with Err says nothing about
// its peer's load. Hop limits, refusals and timeouts are the engine's business. Nothing is allocated per decision.
package sched
