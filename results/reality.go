package results

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/p2pfaas/p2pfaas/core"
)

// Reality is how far a real run was off what it was to be. A simulation has none.
type Reality struct {
	Sent  Lateness `json:"sent"`            // requests, when they left the load generator
	Links *Links   `json:"links,omitempty"` // emulated between nodes; nil: there were to be none
	// Silent are nodes of which is not known how many messages they sent: those of the first P2PFaaS do not say it, others may have crashed before
	// they did.
	Silent int `json:"silent,omitempty"`
	// Share is the part of the schedule that this generator sent, as in 2/3, where others sent the rest; "": all.
	Share string `json:"share,omitempty"`
	// Unlike is what nodes had, when the run began, otherwise than the scenario says.
	Unlike []Unlike `json:"unlike,omitempty"`
	// Measured requests whose answers have to be known before the figures are believed.
	Faulty []Faulty `json:"faulty,omitempty"`
	Losses []Loss   `json:"losses,omitempty"`
	// Others is how many cores the other programs of the machine kept busy during the run, where all nodes were processes of it; the
	// machine of a virtual one may have taken them, too.
	Others float64 `json:"others,omitempty"`
	// Gone are nodes that answered before the run, and not at its end.
	Gone []Address `json:"gone,omitempty"`
	// Faults is how those of the scenario were carried out; nil: it has none.
	Faults *Faults `json:"faults,omitempty"`
}

// Faults is how a real run carried out the faults of its scenario, and how the cluster came out of them.
type Faults struct {
	Late        Lateness      `json:"late"`                  // what was to begin or end on a node
	Restarts    Lateness      `json:"restarts"`              // nodes that were started again after a crash, when they answered
	Recovery    time.Duration `json:"recovery_ns"`           // from the end of the last fault until all nodes knew their peers, and served
	Unrecovered []string      `json:"unrecovered,omitempty"` // what had not come back, in words
	Nodes       []NodeUses    `json:"nodes"`
	Unmeasured  int           `json:"unmeasured,omitempty"` // nodes that did not say what they use
}

// NodeUse is what the process of a node uses.
type NodeUse struct {
	Goroutines  int   `json:"goroutines"`
	MemoryBytes int64 `json:"memory_bytes"` // resident
}

// NodeUses is what that of one node used when it had warmed up, also where it had been started again, and when the cluster had recovered and
// connections that nobody used any more had been closed.
type NodeUses struct {
	Node   core.NodeID `json:"node"`
	Before NodeUse     `json:"before"`
	After  NodeUse     `json:"after"`
}

// Bounds of what a node may use in the end: so many times what it did, and so much more, which a node with other connections may.
const (
	useFactor       = 2
	moreGoroutines  = 50
	moreMemoryBytes = 64 << 20
)

// grown reports whether the node used more in the end than may be.
func (u *NodeUses) grown() bool {
	return u.After.Goroutines > useFactor*u.Before.Goroutines+moreGoroutines || u.After.MemoryBytes > useFactor*u.Before.MemoryBytes+moreMemoryBytes
}

// Unlike is a setting that nodes have otherwise than the scenario says, or of which they say nothing.
type Unlike struct {
	What  string        `json:"what"`
	Nodes []core.NodeID `json:"nodes"` // ascending
	Has   string        `json:"has"`   // each of them; the first, where these are Neighbours. Empty: they do not say
	Wants string        `json:"wants"` // the scenario; of the first, where these are Neighbours
}

// Neighbours is the setting that each node has its own of.
const Neighbours = "neighbours"

// Faulty counts the answers of a function with an HTTP status of 400 or more. These requests have completed.
type Faulty struct {
	Function string `json:"function"`
	Status   int    `json:"status"`
	Count    uint64 `json:"count"`
	Said     string `json:"said"` // the beginning of the first one's body
}

// Loss counts requests that were lost, or turned away without a decision of an algorithm, for one reason.
type Loss struct {
	Outcome core.Outcome  `json:"outcome"`
	Reason  string        `json:"reason"` // the first words of the node's or, where it did not answer, of the client
	Count   uint64        `json:"count"`
	Nodes   []core.NodeID `json:"nodes"` // that the requests were sent to, ascending
	// ByFault: a fault of the scenario explains it.
	ByFault bool `json:"by_fault,omitempty"`
}

// OtherReasons is the reason of losses beyond as many reasons as are kept.
const OtherReasons = "other reasons"

// Address is where a node is.
type Address struct {
	Node    core.NodeID `json:"node"`
	Address string      `json:"address"`
}

// Links is what became of the messages on emulated links, over all nodes.
type Links struct {
	Lateness          // of messages that were held back, when they were let go
	Own      Lateness `json:"own"`     // what the real network adds, one way: half of what a connection took to be made
	Lost     uint64   `json:"lost"`    // messages, as was drawn
	Unknown  uint64   `json:"unknown"` // messages of whose link or length nothing is known
	Others   int      `json:"others"`  // nodes that do not emulate the scenario's links, or do not say so
	Unlike   int      `json:"unlike"`  // those of them that emulate other links
}

// Lateness is how much later than meant things happened.
type Lateness struct {
	Count uint64        `json:"count"`
	P50   time.Duration `json:"p50_ns"`
	P99   time.Duration `json:"p99_ns"`
	Max   time.Duration `json:"max_ns"`
	// Sure is what more than 1 % exceeded, luck aside: the lower end of the 95 % interval of P99, which at least fewestLate
	// reached; 0 where so few were counted that there is none.
	Sure time.Duration `json:"sure_ns"`
}

// fewestLate are no chance events of a busy machine, as one may be.
const fewestLate = 5

// lateEnough is how many of n have to be late before more than 1 % are, luck aside: the fewest that would be late with a
// probability below 5 % if 1 % were. No fewer than fewestLate.
func lateEnough(n int) int {
	chance := distuv.Binomial{N: float64(n), P: 0.01}
	return fewestLate + sort.Search(n, func(k int) bool { return chance.CDF(float64(fewestLate+k-1)) >= Confidence })
}

// Punctuality counts how much later than meant things happen, each within one in a hundred. As JSON it has a few
// kilobytes at most.
type Punctuality struct{ late histogram }

const punctualityDigits = 2

// NewPunctuality returns a count of nothing.
func NewPunctuality() *Punctuality { return &Punctuality{histogram{digits: punctualityDigits}} }

// Add counts something that happened so much later than meant; what was early is counted as in time.
func (p *Punctuality) Add(late time.Duration) { p.late.add(int64(max(0, late))) }

// Merge adds what q has counted.
func (p *Punctuality) Merge(q *Punctuality) { p.late.merge(&q.late) }

// Since returns what p has counted since it was as earlier is; ok is false where it never was.
func (p *Punctuality) Since(earlier *Punctuality) (since *Punctuality, ok bool) {
	h, ok := p.late.minus(&earlier.late)
	return &Punctuality{h}, ok
}

// Lateness describes what was counted. Percentiles are of nearest rank.
func (p *Punctuality) Lateness() Lateness {
	if p.late.empty() {
		return Lateness{}
	}
	n := p.late.live().TotalCount()
	l := Lateness{Count: uint64(n), P50: time.Duration(p.late.percentile(50)), P99: time.Duration(p.late.percentile(99)),
		Max: time.Duration(p.late.max)}
	if k := int64(lateEnough(int(n))); k <= n {
		l.Sure = time.Duration(p.late.percentile(100 * float64(n-k+1) / float64(n)))
	}
	return l
}

// MarshalJSON implements json.Marshaler.
func (p *Punctuality) MarshalJSON() ([]byte, error) { return p.late.MarshalJSON() }

// UnmarshalJSON implements json.Unmarshaler.
func (p *Punctuality) UnmarshalJSON(data []byte) error {
	err := p.late.UnmarshalJSON(data)
	if err == nil && p.late.digits != punctualityDigits {
		err = fmt.Errorf("punctuality: counted to %d digits, not %d", p.late.digits, punctualityDigits)
	}
	return err
}

// tolerated is how late the latest 1 % may be before it matters: the more, the longer what is measured takes.
func (r *Replication) tolerated() time.Duration {
	mean, _ := r.Metric("latency.mean")
	return max(time.Millisecond, time.Duration(0.02*mean*1e9))
}

// worst is the lateness of the replication with the greatest 99th percentile; ok is false in a simulation.
func (r *Run) worst(of func(*Reality) Lateness) (worst Lateness, ok bool) {
	for _, p := range r.Points {
		for _, rep := range p.Replications {
			if rep.Reality == nil {
				continue
			}
			if l := of(rep.Reality); l.Count > 0 && (!ok || l.P99 > worst.P99) {
				worst, ok = l, true
			}
		}
	}
	return worst, ok
}

// punctuality says in words how late things were in the worst replication; empty where nothing was to be in time.
func (r *Run) punctuality(of func(*Reality) Lateness) string {
	l, ok := r.worst(of)
	if !ok {
		return ""
	}
	return fmt.Sprintf("half %s late, 99 %% at most %s, the latest %s (worst replication)", brief(l.P50), brief(l.P99), brief(l.Max))
}

// brief writes a duration with two digits and a fitting unit.
func brief(d time.Duration) string {
	sc := ScaleOf("s", d.Seconds())
	return Significant(d.Seconds()*sc.Factor, 2) + " " + sc.Unit
}

func sent(r *Reality) Lateness { return r.Sent }

func links(r *Reality) Lateness {
	if r.Links == nil {
		return Lateness{}
	}
	return r.Links.Lateness
}

func ownDelay(r *Reality) Lateness {
	if r.Links == nil {
		return Lateness{}
	}
	return r.Links.Own
}

// Sent is how punctual the load generator was, in words; empty in a simulation.
func (r *Run) Sent() string { return r.punctuality(sent) }

// Links is how punctual emulated links were, in words, and what the real network adds to them, which they do not take
// back; empty where there were none.
func (r *Run) Links() string {
	said := r.punctuality(links)
	if own, ok := r.worst(ownDelay); ok && said != "" {
		said += fmt.Sprintf("; the real network adds %s", brief(own.P50))
	}
	return said
}

// late reports whether in some replication of a point more than 1 % were later than is tolerated, luck aside.
func late(of func(*Reality) Lateness) func(*Point) bool {
	return func(p *Point) bool {
		return slices.ContainsFunc(p.Replications, func(r *Replication) bool {
			return r.Reality != nil && of(r.Reality).Sure > r.tolerated()
		})
	}
}

// someLinks reports whether that is so of the links in some replication of a point.
func someLinks(is func(*Links) bool) func(*Point) bool {
	return func(p *Point) bool {
		return slices.ContainsFunc(p.Replications, func(r *Replication) bool {
			return r.Reality != nil && r.Reality.Links != nil && is(r.Reality.Links)
		})
	}
}

// partial reports whether in some replication of a point others sent the rest of the requests.
func partial(p *Point) bool { return slices.ContainsFunc(p.Replications, (*Replication).partial) }

func (r *Replication) partial() bool { return r.Reality != nil && r.Reality.Share != "" }
