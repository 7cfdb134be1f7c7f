package watch

import (
	"fmt"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet"
)

// Cluster is a snapshot of a cluster. Its JSON is what /ui/cluster and /ui/events serve, and what p2pfaas top --json prints.
type Cluster struct {
	At time.Time `json:"at"` // by the clock of who looks
	// Window is what rates and latencies are over: the time since the first of the last looks that Options.Window says.
	// 0: there was one look, and rates are 0.
	Window   float64   `json:"window_seconds"`
	States   States    `json:"states"`
	Rates    Rates     `json:"rates"`    // of all nodes
	Latency  *Latency  `json:"latency"`  // of all nodes; null: no request was completed in the window
	Nodes    []Node    `json:"nodes"`    // in the order of their addresses
	Forwards []Forward `json:"forwards"` // that there were in the window, in the order of From and To
	LeftOut  int       `json:"left_out"` // machines that are known and not looked at, since they are too many
}

// States says how many nodes are in each state.
type States struct {
	Alive       int `json:"alive"`
	Suspect     int `json:"suspect"`
	Dead        int `json:"dead"`
	Left        int `json:"left"`
	Unreachable int `json:"unreachable"`
}

// State is what is to be thought of a node.
type State string

// The states of a node.
const (
	Alive       State = "alive"       // it answers, and all who say what they believe hold it for alive
	Suspect     State = "suspect"     // it answers, and somebody does not hold it for alive; or it does not, and somebody suspects it
	Dead        State = "dead"        // it does not answer, and all who say what they believe hold it for dead
	Left        State = "left"        // it has said goodbye; it may still answer while it finishes what it has
	Unreachable State = "unreachable" // it does not answer who looks, and nobody says that it has trouble
)

// Node is one node. Of one that does not answer, the load is 0 and the rates are.
type Node struct {
	Address string    `json:"address"` // of its scheduler service: an IP, with the port where that is not 18080
	ID      string    `json:"id"`      // empty: it has never answered
	State   State     `json:"state"`
	Since   time.Time `json:"since"` // when it came into the state; where it was so at the first look, as far as others know
	Error   string    `json:"error"` // why it does not answer; empty: it does
	// Believed says how many other nodes hold it for what, of those that answer and have a failure detector.
	Believed Believed   `json:"believed"`
	Began    *time.Time `json:"began"`    // by the node's clock; null: it has never answered, or is of the first P2PFaaS
	Restarts int        `json:"restarts"` // that were seen
	V1       bool       `json:"v1"`       // it is of the first P2PFaaS, and says no more than its load

	Slots    int `json:"slots"`    // K
	Running  int `json:"running"`  // tasks in slots
	Queued   int `json:"queued"`   // tasks in the waiting room
	Room     int `json:"room"`     // places of the waiting room, Q
	Requests int `json:"requests"` // in hand, those of peers and those that are at peers included
	Peers    int `json:"peers"`    // that it may forward to

	Scheduler *realnet.Descriptor `json:"scheduler"` // null: it has never answered, or is of the first P2PFaaS
	Label     string              `json:"label"`     // the same as text
	Rates     Rates               `json:"rates"`
	Latency   *Latency            `json:"latency"` // of requests that clients sent to this node; null: none was completed in the window
	Functions []Function          `json:"functions"`
	Learner   *Learner            `json:"learner"` // null: it has none
}

// Believed counts opinions.
type Believed struct {
	Alive   int `json:"alive"`
	Suspect int `json:"suspect"`
	Dead    int `json:"dead"`
	Left    int `json:"left"`
}

// Rates are per second. Arrivals are those of clients; what comes from peers is received.
type Rates struct {
	Arrived   float64 `json:"arrived_per_second"`
	Completed float64 `json:"completed_per_second"`
	Rejected  float64 `json:"rejected_per_second"` // by an algorithm, for want of room or of the function, or not taken in hand
	Expired   float64 `json:"expired_per_second"`  // their deadline passed while they waited
	Lost      float64 `json:"lost_per_second"`     // a node went down, nobody answered, or the client hung up
	Faulty    float64 `json:"faulty_per_second"`   // of the completed ones, those whose function answered an error
	Forwarded float64 `json:"forwarded_per_second"`
	Received  float64 `json:"received_per_second"`
	Executed  float64 `json:"executed_per_second"`
	Probes    float64 `json:"probes_per_second"`
}

// Dropped is what was not completed.
func (r *Rates) Dropped() float64 { return r.Rejected + r.Expired + r.Lost }

// Failed is the share of what ended that its clients take for failed: not completed, or an error of the function. NaN: nothing ended. What is
// counted while the node is asked may be in one count and not yet in another.
func (r *Rates) Failed() float64 { return min(1, (r.Dropped()+r.Faulty)/(r.Dropped()+r.Completed)) }

// Add adds the rates of another node.
func (r *Rates) Add(s *Rates) {
	r.Arrived += s.Arrived
	r.Completed += s.Completed
	r.Rejected += s.Rejected
	r.Expired += s.Expired
	r.Lost += s.Lost
	r.Faulty += s.Faulty
	r.Forwarded += s.Forwarded
	r.Received += s.Received
	r.Executed += s.Executed
	r.Probes += s.Probes
}

// Latency of completed requests, from their arrival at the node to their answer. Quantiles are off by 2.2 % at most.
type Latency struct {
	Count int64   `json:"count"` // requests
	P50   float64 `json:"p50_seconds"`
	P95   float64 `json:"p95_seconds"`
	P99   float64 `json:"p99_seconds"`
}

// Function is a function of clients' requests at a node.
type Function struct {
	Name      string   `json:"name"`
	Completed float64  `json:"completed_per_second"`
	Latency   *Latency `json:"latency"`
}

// Forward is what one node sends to another.
type Forward struct {
	From string  `json:"from"` // address
	To   string  `json:"to"`
	Rate float64 `json:"per_second"` // tasks
}

// Learner is that of a node.
type Learner struct {
	// Epsilon is the share of actions chosen at random, or the temperature of softmax; 0 with softmax where the learner is not
	// in the node's own process.
	Epsilon float64 `json:"epsilon"`
	Actions float64 `json:"actions_per_second"`
	Failed  float64 `json:"failed_per_second"` // questions that were not answered
	Error   string  `json:"error"`             // why the last one was not; empty: it was
	// The rest is of a learner in the node's own process.
	Own     bool    `json:"own"`
	Trained float64 `json:"trained_per_second"`
	Entries float64 `json:"entries_per_second"` // whose rewards are known; 0: Reward and Mean say nothing
	Reward  float64 `json:"reward_per_second"`
	Mean    float64 `json:"reward_mean"` // of the entries of the window
	Pending int     `json:"pending"`     // entries that wait for earlier ones
}

// Count adds a node's state.
func (s *States) Count(x State) {
	switch x {
	case Alive:
		s.Alive++
	case Suspect:
		s.Suspect++
	case Dead:
		s.Dead++
	case Left:
		s.Left++
	case Unreachable:
		s.Unreachable++
	default:
		panic(fmt.Sprintf("watch: the state %q", x))
	}
}
