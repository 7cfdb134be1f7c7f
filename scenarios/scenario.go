package scenarios

import (
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/core/sched"
)

// Scenario is one experiment, resolved: every default filled in, every unit converted, no sweep left. Point makes
// them from a file.
type Scenario struct {
	Name         string
	Description  string
	Seed         uint64
	Duration     time.Duration // measured part included: warm-up + measurement
	Warmup       time.Duration // results before it are dropped
	Replications int
	Precision    *Precision // nil: exactly Replications runs
	Records      string     // requests to record: none, sample, all; auto: a sample in a sweep, else all
	Cluster      Cluster
	Functions    []Function // index = core.TaskType
	Workload     Workload
	Client       Client
	Scheduler    Scheduler
	Learner      *Learner     // nil: nothing learns, and nothing has a reward
	Faults       []Fault      // nil: all goes well
	Hosts        []Host       // machines whose cores are shared; nil: everything has cores of its own
	Calibration  *Calibration // what the machines cost; nil: nothing. Points of one file have it in common
}

// GroupOf returns the group of a node that is not the cloud.
func (c *Cluster) GroupOf(n core.NodeID) *Group {
	for i := range c.Groups {
		g := &c.Groups[i]
		if int(n) < g.Nodes {
			return g
		}
		n -= core.NodeID(g.Nodes)
	}
	return nil
}

// Neighbours are those of a node; nil in a full mesh, where everybody is.
func (t *Topology) Neighbours(n core.NodeID) []core.NodeID {
	if t.FullMesh() {
		return nil
	}
	return t.Edges[t.Offsets[n]:t.Offsets[n+1]]
}

// Precision is a sequential stopping rule: replications run until the interval of Metric is narrow enough.
type Precision struct {
	Metric       string  // as in the summary: "latency.mean", "drop_rate", ...
	Relative     float64 // half-width of the interval over the estimate
	Confidence   float64 // 0.95
	Replications int     // never more than this many
}

// Cluster is the nodes and the network between them. Nodes are numbered group by group, the cloud last.
type Cluster struct {
	Groups   []Group
	Topology Topology
	Links    Links
	Cloud    *Cloud // nil: none
}

// Nodes is the number of nodes, the cloud not counted.
func (c *Cluster) Nodes() int {
	n := 0
	for i := range c.Groups {
		n += c.Groups[i].Nodes
	}
	return n
}

// Group is a number of equal nodes.
type Group struct {
	Name       string
	Nodes      int
	Slots      int     // K: tasks executing at once
	Queue      int     // Q: places in the waiting room, 0 = none; Unlimited = no bound
	Speed      float64 // service time = demand / speed
	Discipline core.Discipline
	Service    ServiceMode
	Cores      int  // processor sharing and preemption: the running tasks share this many
	Abandon    bool // a waiting task leaves when its deadline has passed
	Power      Power
	Limits     Limits
}

// Limits are what each of a node's containers may use, where it runs in containers; the simulation does not know them.
type Limits struct {
	CPUs        float64 // cores; 0: all
	MemoryBytes int64   // 0: all
}

// Unlimited is the bound of a waiting room or of slots without one.
const Unlimited = 1 << 30

// ServiceMode is how the slots of a node share its processor.
type ServiceMode uint8

const (
	DedicatedSlots     ServiceMode = iota // each slot runs at the node's speed
	ProcessorSharing                      // n running tasks share Cores: each runs at speed * min(1, cores/n)
	PreemptivePriority                    // the Cores most urgent running tasks have the node's speed, the others wait
	PreemptiveLIFO                        // those that began last (LCFS-PR)
	PreemptiveShortest                    // those with the least work left (SRPT)
)

// Power is the electrical model of a node.
type Power struct {
	IdleWatts     float64 // always
	BusyWatts     float64 // more per busy slot
	JoulesPerByte float64 // sent to peers and back
}

// Cloud is a far node without limit that an algorithm may forward to; no client calls it.
type Cloud struct {
	Slots int // Unlimited by default
	Speed float64
	Link  Link
	Power Power
}

// Topology says which nodes are neighbours.
type Topology struct {
	// Kind is full-mesh, ring, line, star, grid, torus, tree, k-regular, erdos-renyi, watts-strogatz, barabasi-albert or
	// edges.
	Kind string
	// Adjacency of every kind but full-mesh, in compressed rows: the neighbours of i are
	// Edges[Offsets[i]:Offsets[i+1]], ascending.
	Offsets []uint32
	Edges   []core.NodeID
}

// FullMesh reports whether everybody is everybody's neighbour; there is no list then.
func (t *Topology) FullMesh() bool { return t.Kind == "full-mesh" }

// Links is the network between nodes.
type Links struct {
	Default  Link
	Latency  [][]time.Duration // matrix, one way, row = from; nil: Default.Latency
	Position [][2]float64      // coordinates in kilometres; with PerKm they give the latency; nil: none
	PerKm    time.Duration
}

// Link is one direction of a link.
type Link struct {
	Latency   random.Dist // seconds, one way
	Jitter    random.Dist // seconds, added to the latency; nil: none
	Bandwidth float64     // bytes per second; 0 = without limit
	Loss      float64     // probability that a message is lost
}

// Client is the link between the clients and the node of their entry, and their patience.
type Client struct {
	Link    Link          // zero Latency: the client sits on the node
	Timeout time.Duration // a request that is not answered by then is lost; 0: simulated clients wait for ever, real ones a minute
}

// FunctionNames are the names of the functions, in their order.
func (s *Scenario) FunctionNames() []string {
	names := make([]string, len(s.Functions))
	for i := range s.Functions {
		names[i] = s.Functions[i].Name
	}
	return names
}

// Function is something that requests run.
type Function struct {
	Name         string
	Service      random.Dist   // demand in seconds on a node of speed 1: what was measured of it, where a calibration has that
	MeanService  time.Duration // as the scenario says it: what algorithms are told, in both worlds
	Payload      int           // bytes with the request
	Reply        int           // bytes with the answer
	Deadline     time.Duration // relative to the arrival; 0 = none; the mean where it is drawn
	DeadlineDist random.Dist   // seconds, where the deadline is drawn per request; nil: Deadline
	Priority     int           // 0 is the most urgent
	Share        float64       // of the workload's mix; the shares sum to 1
	ColdStart    *ColdStart    // nil: instances are always warm
	Replicas     ReplicaDemand
	Nodes        []core.NodeID // that have it, ascending; nil: all
	CPU          float64       // share of the service time during which a core is busy; matters where Hosts share cores
	Backend      Backend
}

// Backend is what real nodes execute where a simulation has a service time alone.
type Backend struct {
	// Kind is sleep (wait for the demand) or loop (compute for so long), face-detect (the payload is a picture, and the
	// demand what it takes), exec (a process that serves HTTP, which each node starts), url (whatever serves HTTP there) or image (a
	// container that serves HTTP on port 8080, one for each node).
	Kind    string
	Command []string // exec: with {port} where the port goes that it is to listen on
	URL     string   // url
	Image   string   // image: a tag, or the path, relative to the scenario, of a tar or of a directory with a Dockerfile
}

// ReplicaDemand says how the demands of the copies of one task relate.
type ReplicaDemand uint8

const (
	ReplicasIID  ReplicaDemand = iota // independent draws, as theory assumes
	ReplicasSame                      // the same demand on every node
)

// ColdStart is the cost of the first execution after an instance was shut down.
type ColdStart struct {
	Time      random.Dist   // seconds, start-up of an instance
	KeepAlive time.Duration // an idle instance is kept for so long
}

// Scheduler is the algorithm of a point of the experiment, with what the engine does around it.
type Scheduler struct {
	Label      string // in tables and plots: the name with the parameters that differ within the sweep
	Spec       sched.Spec
	Forwarding core.Forwarding
}
