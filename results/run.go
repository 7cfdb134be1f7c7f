package results

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// Run is everything that one invocation produced: a point per setting of the sweep, replications per point.
type Run struct {
	Name       string
	Scenario   []byte // the scenario file as resolved, YAML
	Origin     string // where that lies, beside the data files that it names: an absolute path, or a name of the library
	Seed       uint64
	Command    []string
	Version    string
	Algorithms string // hash of the algorithms' code, whatever the architecture; empty: not known
	Host       string
	World      string // "sim" or "real"
	Started    time.Time
	Swept      []string // the swept keys, in order; "scheduler" among them
	Points     []*Point
	Keep       Keep   // which records are kept, and how
	Dir        string // where the run is stored; "" = nowhere
	State      State
}

// Keep says which records a run keeps.
type Keep struct {
	Mode   Mode   `json:"mode"`
	Format Format `json:"format"`
}

// Mode is how many records are kept.
type Mode string

// The modes of keeping records.
const (
	None   Mode = "none"
	Sample Mode = "sample" // a uniform sample of each replication's
	All    Mode = "all"
)

// State is how far a run came.
type State string

// The states of a run.
const (
	Running     State = "running" // or killed
	Complete    State = "complete"
	Interrupted State = "interrupted"
)

// Point is one setting of the sweep.
type Point struct {
	Index        int            `json:"index"`
	Values       []string       `json:"values"`    // of the swept keys, as the file writes them, in the order of Run.Swept
	Scheduler    string         `json:"scheduler"` // label
	Wanted       int            `json:"wanted"`    // replications asked for; what is not there yet is missing
	Replications []*Replication `json:"-"`         // in ascending order of Index
}

// Replication is one independent run of a point.
type Replication struct {
	Index     int           `json:"index"`
	Measured  time.Duration `json:"measured_ns"` // length of the measured part: duration without warm-up
	Tally     *Tally        `json:"tally"`       // over the requests that arrived in the measured part
	Batches   []*Tally      `json:"batches,omitempty"`
	Nodes     []NodeStat    `json:"nodes,omitempty"`  // per node, the cloud last; above 1024 nodes, empty
	Groups    []NodeStat    `json:"groups,omitempty"` // per node group, summed
	Series    *Series       `json:"series,omitempty"` // load over time
	Records   []Record      `json:"-"`                // all, or a uniform sample of at most so many
	Digest    uint64        `json:"-"`                // over every input delivered to a node; of a real run 0
	Events    uint64        `json:"events"`           // processed, warm-up included
	Jobs      uint64        `json:"jobs"`             // submitted, warm-up included
	Requests  uint64        `json:"requests,string"`  // digest over when, where and with which demand; 0: none
	Messages  uint64        `json:"messages"`         // sent between nodes in the measured part, of any kind
	WallTime  time.Duration `json:"wall_ns"`
	Reality   *Reality      `json:"reality,omitempty"` // of a real run
	InFlight  int           `json:"in_flight"`         // tasks that had not ended when the run did
	Submitted uint64        `json:"submitted"`         // whole run: Submitted = Ended + InFlight
	Ended     uint64        `json:"ended"`
}

// NodeStat is what one node, or one group of nodes, did in the measured part.
type NodeStat struct {
	Name     string        `json:"name"`
	Nodes    int           `json:"nodes"`           // 1, or the group's size
	Slots    int           `json:"slots"`           // per node; 0 = without limit (the cloud)
	Speed    float64       `json:"speed,omitempty"` // an execution takes demand/speed; 0: not known, as of runs of older programs
	Arrivals uint64        `json:"arrivals"`        // from its own clients
	Executed uint64        `json:"executed"`        // tasks that completed execution here
	Busy     time.Duration `json:"busy_ns"`         // sum over slots
	EnergyJ  float64       `json:"energy_j"`        // idle power included
}

// Series is the load sampled at equal intervals over the whole run, warm-up included, of at most 64 nodes.
type Series struct {
	Every   time.Duration `json:"every_ns"`
	Nodes   []core.NodeID `json:"nodes"`    // which nodes
	Mean    []float64     `json:"mean"`     // per sample: mean load (running + queued) over all nodes
	PerNode [][]int32     `json:"per_node"` // [node][sample] load
	Rate    []float64     `json:"rate"`     // per interval: arrivals per second, whole cluster
	Latency []float64     `json:"latency"`  // per interval: mean latency (s) of those that completed in it; NaN = none
	Dropped []float64     `json:"dropped"`  // per interval: share of the ended that did not complete; NaN = none
	Reward  []float64     `json:"reward"`   // per interval: mean reward of the ended; NaN = none, nil = no reward is defined
}

// Schedulers are the labels of the run's schedulers, in order of appearance.
func (r *Run) Schedulers() []string {
	var labels []string
	for _, p := range r.Points {
		if !slices.Contains(labels, p.Scheduler) {
			labels = append(labels, p.Scheduler)
		}
	}
	return labels
}

// Functions are the names of the run's functions, in the order of their core.TaskType; nil while nothing has ended.
func (r *Run) Functions() []string {
	for _, p := range r.Points {
		for _, rep := range p.Replications {
			return rep.Tally.Functions()
		}
	}
	return nil
}

// Digest folds the digests of all replications, in order of point and index.
func (r *Run) Digest() uint64 {
	h := fnv.New64a()
	for _, p := range r.Points {
		for _, rep := range p.Replications {
			fmt.Fprintf(h, "%d %d %016x\n", p.Index, rep.Index, rep.Digest)
		}
	}
	return h.Sum64()
}

// Missing are the indices of the replications that the point wants and has not.
func (p *Point) Missing() []int {
	var missing []int
	for i := range p.Wanted {
		if p.Replication(i) == nil {
			missing = append(missing, i)
		}
	}
	return missing
}

// Replication is the one of that index; nil where there is none.
func (p *Point) Replication(index int) *Replication {
	i, ok := slices.BinarySearchFunc(p.Replications, index, func(r *Replication, i int) int { return r.Index - i })
	if !ok {
		return nil
	}
	return p.Replications[i]
}

// Add puts a replication in its place by index, whenever it comes; it replaces an earlier one.
func (p *Point) Add(r *Replication) {
	i, ok := slices.BinarySearchFunc(p.Replications, r.Index, func(r *Replication, i int) int { return r.Index - i })
	if ok {
		p.Replications[i] = r
		return
	}
	p.Replications = slices.Insert(p.Replications, i, r)
}

// Value is the point's value of a swept key; "" where the key is not swept.
func (r *Run) Value(p *Point, key string) string {
	if i := slices.Index(r.Swept, key); i >= 0 {
		return p.Values[i]
	}
	if key == schedulerKey {
		return p.Scheduler
	}
	return ""
}

// schedulerKey is the swept key whose values are whole schedulers.
const schedulerKey = "scheduler"

// Label tells p from the other points: "workload.rate = 8/s, JSQ".
func (r *Run) Label(p *Point) string { return strings.Join(append(r.where(p), p.Scheduler), ", ") }

// MarshalJSON implements json.Marshaler: the digest in hexadecimal.
func (r *Replication) MarshalJSON() ([]byte, error) {
	type plain Replication
	return json.Marshal(struct {
		Digest string `json:"digest"`
		*plain
	}{formatDigest(r.Digest), (*plain)(r)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *Replication) UnmarshalJSON(data []byte) error {
	type plain Replication
	s := struct {
		Digest string `json:"digest"`
		*plain
	}{plain: (*plain)(r)}
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	d, err := strconv.ParseUint(s.Digest, 16, 64)
	if err != nil {
		return fmt.Errorf("digest: %w", err)
	}
	r.Digest = d
	return nil
}

func formatDigest(d uint64) string { return fmt.Sprintf("%016x", d) }

// floats are numbers of which some may be NaN: null in JSON.
type floats []float64

func (f floats) MarshalJSON() ([]byte, error) {
	out := []byte{'['}
	for i, v := range f {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendFloat(out, v)
	}
	return append(out, ']'), nil
}

func appendFloat(out []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(out, "null"...)
	}
	return strconv.AppendFloat(out, v, 'g', -1, 64)
}

func (f *floats) UnmarshalJSON(data []byte) error {
	var values []*float64
	if err := json.Unmarshal(data, &values); err != nil {
		return err
	}
	*f = make(floats, len(values))
	for i, v := range values {
		(*f)[i] = math.NaN()
		if v != nil {
			(*f)[i] = *v
		}
	}
	return nil
}

// seriesState shadows the fields of a Series that may hold NaN.
type seriesState struct {
	*plainSeries
	Latency floats `json:"latency"`
	Dropped floats `json:"dropped"`
	Reward  floats `json:"reward,omitempty"`
}

type plainSeries Series

// MarshalJSON implements json.Marshaler.
func (s *Series) MarshalJSON() ([]byte, error) {
	return json.Marshal(seriesState{(*plainSeries)(s), s.Latency, s.Dropped, s.Reward})
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Series) UnmarshalJSON(data []byte) error {
	state := seriesState{plainSeries: (*plainSeries)(s)}
	if err := json.Unmarshal(data, &state); err != nil {
		return err
	}
	s.Latency, s.Dropped, s.Reward = state.Latency, state.Dropped, state.Reward
	return nil
}
