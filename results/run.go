package results

import (
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// Run is everything that one invocation produced: a point per setting of the sweep, replications per point.
type Run struct {
	Name     string
	Scenario []byte // the scenario file as resolved, YAML
	Seed     uint64
	Command  []string
	Version  string
	Host     string
	World    string // "sim" or "real"
	Started  time.Time
	Swept    []string // the swept keys, in order; "scheduler" among them
	Points   []*Point
}

// Point is one setting of the sweep.
type Point struct {
	Index        int
	Values       []string // of the swept keys, as the file writes them, in the order of Run.Swept
	Scheduler    string   // label
	Replications []*Replication
}

// Replication is one independent run of a point.
type Replication struct {
	Index            int
	Measured         time.Duration // length of the measured part: duration without warm-up
	Tally            *Tally        // over the requests that arrived in the measured part
	Nodes            []NodeStat    // per node; the cloud last. Above 1024 nodes: empty, and Groups tells
	Groups           []NodeStat    // per node group, summed
	Series           *Series       // load over time
	Records          []Record      // all, or a uniform sample of at most so many
	Digest           uint64        // over every input delivered to a node
	Events           uint64        // processed, warm-up included
	Jobs             uint64        // submitted, warm-up included
	WallTime         time.Duration
	InFlight         int    // tasks that had not ended when the run did
	Submitted, Ended uint64 // whole run: Submitted = Ended + InFlight
}

// NodeStat is what one node, or one group of nodes, did in the measured part.
type NodeStat struct {
	Name     string
	Nodes    int           // 1, or the group's size
	Slots    int           // per node
	Arrivals uint64        // from its own clients
	Executed uint64        // tasks that completed execution here
	Busy     time.Duration // sum over slots
	EnergyJ  float64       // idle power included
}

// Series is the load sampled at equal intervals over the whole run, warm-up included, of at most 64 nodes.
type Series struct {
	Every   time.Duration
	Nodes   []core.NodeID // which nodes
	Mean    []float64     // per sample: mean load (running + queued) over all nodes
	PerNode [][]int32     // [node][sample] load
	Rate    []float64     // per interval: arrivals per second, whole cluster
	Latency []float64     // per interval: mean latency in seconds of the requests that completed in it; NaN = none
	Dropped []float64     // per interval: share of the ended requests that did not complete; NaN = none
}
