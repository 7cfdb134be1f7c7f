package compare

import (
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// Comparison is that of run B with run A, the reference: reality, where one of the two is a simulation.
type Comparison struct {
	A, B    Side
	Margins []Margin
	Points  []Point
	// Unmatched are the labels of points that only one run has, with which: "JSQ (only in B)".
	Unmatched []string
	Notes     []string // what a reader has to know: that the algorithms' code differs, say
	// What only some comparisons have; the command that makes them fills it in.
	Floor       *Comparison   // A with a repetition of A: how far reality is from itself
	Replays     []Replay      // of the logs that nodes recorded
	Sensitivity []Sensitivity // of B's metrics to what was calibrated
	Calibration *Provenance   // of the calibration that B was simulated with
}

// Side is one of the two runs.
type Side struct {
	Name, World, Dir, Host, Version, Algorithms string
	Seed                                        uint64
	Started                                     time.Time
}

// Margin is how far a metric of B may be from A's.
type Margin struct {
	Metric   string // as in the summary: latency.p95
	Value    float64
	Relative bool // Value is a share of A's; otherwise in the metric's unit
	Default  bool // nobody stated it: it gives a verdict, and fails nothing
}

// Point is a setting that both runs have.
type Point struct {
	Label     string // of the setting and its scheduler
	Scheduler string
	Values    []string // of the swept keys
	Paired    bool     // both sides ran the same tasks: differences are taken task by task
	// Replications are the indices of those of B that its figures are of: all or, where paired, those that A has too.
	Replications []int
	RequestsA    int // measured, with a record
	RequestsB    int
	Common       int // tasks that both have; 0 where not paired
	Block        int // length of a block of the bootstrap, in requests; median over replications
	Metrics      []Metric
	Parts        []Part
	Distances    []Distance
	Decisions    *Decisions // nil: not paired
	Nodes        []Node
	Quantiles    []Quantile // of the latency of completed requests, for the curves: ascending
	Load         *Load      // over time; nil: a run has none
	Causes       []Cause    // what explains the gap, the largest first; empty: nothing that can be told
	Notes        []string   // why it is not paired, say
}

// Metric is a figure of both sides and their difference, B minus A, with its 90 % interval.
type Metric struct {
	Name       string // latency.mean, latency.p50 ... latency.p99.9, drop_rate, forwarded_share, ...
	Unit       string // s, or empty: a share or a number, as results.Unit says
	A, B       float64
	Difference float64
	Lo, Hi     float64 // NaN: there is no interval
	Margin     float64 // in the metric's unit; NaN: none is stated
	Verdict    Verdict // empty where no margin is stated
}

// Verdict of an equivalence test.
type Verdict string

// The verdicts.
const (
	Equivalent Verdict = "equivalent" // the interval lies within the margin
	Different  Verdict = "different"  // the interval lies outside of the margin
	Undecided  Verdict = "undecided"  // the interval crosses the margin
)

// Part of the mean latency of completed requests, in seconds.
type Part struct {
	Name       string // client, scheduling, probing, forwarding, waiting, executing, returning
	A, B       float64
	Difference float64
	Lo, Hi     float64
}

// Distance between the two distributions of latency, with its 90 % interval.
type Distance struct {
	Name   string // Kolmogorov-Smirnov: greatest difference of the two distribution functions; Anderson-Darling; Wasserstein (s)
	Value  float64
	Lo, Hi float64
	Chance float64 // what the distance of two samples of one distribution exceeds in 5 % of the cases; NaN: not known
}

// Decisions is how often both sides did the same with the same task.
type Decisions struct {
	Outcome  float64 // share of equal outcomes
	Executor float64 // of those that both completed: the same node
	Hops     float64 // as many hops
}

// Node is what one node did on each side, in the measured part.
type Node struct {
	ID           core.NodeID
	ExecutedA    float64 // completed executions per second
	ExecutedB    float64
	UtilisationA float64
	UtilisationB float64
}

// Quantile of a share of the requests, in seconds.
type Quantile struct{ Share, A, B float64 }

// Load over time: mean load of the nodes, running and waiting, at equal distances.
type Load struct {
	Every time.Duration
	A, B  []float64
	Nodes []NodeLoad
}

// NodeLoad is the load of one node over time, on both sides.
type NodeLoad struct {
	ID   core.NodeID
	A, B []float64
}

// Cause of a gap: a quantity that both sides have otherwise, where waiting plays no role.
type Cause struct {
	// Component says what differs: ServiceCause and so on.
	Component string
	Function  string // of a service time or a call; empty: of all
	Part      string // of a link: forwarding, returning, probing (a round of it); empty: each message, one way
	Says      string // for a person: "an execution of work takes 1.20 times as long in B"
	Unit      string // of A and B: s, 1/s, or empty
	A, B      float64
	Lo, Hi    float64 // of the ratio B/A or, where Absolute, of the difference; 99 %, since many quantities are looked at
	Absolute  bool
	// Nodes are those that differ, of slots and a queue; nil: all that can be judged.
	Nodes []core.NodeID
	// Direct is what the cause adds to the difference of the mean latencies by itself, in seconds, without what waiting makes
	// of it; NaN: its effect is all in the waiting.
	Direct float64
	// Explains is the part of each metric's difference that goes away when B is simulated again with A's value; empty: that
	// was not done.
	Explains []Explained
}

// Explained is how the difference of a metric changes when a cause is put right.
type Explained struct {
	Metric        string
	Before, After float64 // B minus A
}

// Replay is a recorded node, replayed.
type Replay struct {
	Log      string
	Node     core.NodeID
	Inputs   int
	Verdicts int
	Equal    bool
	Says     string // where not
}

// Sensitivity is how a metric of the simulation moves when a calibrated parameter is changed by Change.
type Sensitivity struct {
	Point     string  // its label
	Parameter string  // costs.client, functions.work.cpu, cluster.links.latency
	Change    float64 // 0.1: ten per cent more
	Metric    string
	Effect    float64 // relative change of the metric; of a share, its difference; NaN: none that can be told
}

// Provenance says where a calibration comes from.
type Provenance struct {
	File, Host, Target string
	At                 time.Time
	Seed               uint64
	Requests           int
	Notes              []string // that cast doubt on it
}
