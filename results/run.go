package results

import (
	"cmp"
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
	Tally     *Tally        `json:"tally"`       // of the measured part: see Window
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
	Faults    []FaultCount  `json:"faults,omitempty"` // of the scenario, in its order
	WallTime  time.Duration `json:"wall_ns"`
	Reality   *Reality      `json:"reality,omitempty"` // of a real run
	InFlight  int           `json:"in_flight"`         // tasks that had not ended when the run did
	Submitted uint64        `json:"submitted"`         // whole run: Submitted = Ended + InFlight
	Ended     uint64        `json:"ended"`
}

// FaultCount says how often an entry of a scenario's faults occurred in a run, warm-up included.
type FaultCount struct {
	Fault string        `json:"fault"`    // what it is, whom it befalls and when, in words
	Times int           `json:"times"`    // that it began
	First time.Duration `json:"first_ns"` // from the beginning of the run to that of the fault, the first time; 0 where Times is
	// Occurred are the first of the occurrences, in order of time.
	Occurred []Occurrence `json:"occurred,omitempty"`
}

// Occurrence is one time that a fault began.
type Occurrence struct {
	At   time.Duration `json:"at_ns"` // since the beginning of the run
	What string        `json:"what"`  // what it is, whom it befalls and for how long, in words
}

// occurrencesKept bounds how many are kept of one fault in a replication.
const occurrencesKept = 50

// Begins counts an occurrence that begins so long after the run did.
func (f *FaultCount) Begins(at time.Duration, what string) {
	if f.Times == 0 {
		f.First = at
	}
	if f.Times++; f.Times <= occurrencesKept {
		f.Occurred = append(f.Occurred, Occurrence{at, what})
	}
}

// befell says what went wrong on purpose and when, no more of it than the first; empty where that is not known.
func (r *Replication) befell(most int) string {
	var all []Occurrence
	times := 0
	for i := range r.Faults {
		all = append(all, r.Faults[i].Occurred...)
		times += r.Faults[i].Times
	}
	slices.SortStableFunc(all, func(a, b Occurrence) int { return cmp.Compare(a.At, b.At) })
	var parts []string
	for _, o := range all[:min(len(all), most, occurrencesKept)] {
		parts = append(parts, fmt.Sprintf("%s s %s", Significant(o.At.Seconds(), 4), o.What))
	}
	if more := times - len(parts); more > 0 && parts != nil {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

// Befell says of each replication what faults befell whom, and when, in one line: no more lines than so many, and no more occurrences in each. Points are
// named where they differ; what is the same in all replications is said once.
func (r *Run) Befell(lines, occurrences int) (said []string) {
	var says []string
	same := true // each replication has one line, for all of its points, and always that
	for k := range r.replications() {
		var here []saying
		points := 0
		for _, p := range r.Points {
			if rep := p.Replication(k); rep != nil {
				points++
				if text := rep.befell(occurrences); text != "" {
					here = say(here, text, r.Label(p))
				}
			}
		}
		same = same && (points == 0 || len(here) == 1 && len(here[0].where) == points)
		for _, s := range here {
			where := fmt.Sprintf("replication %d", k)
			if len(s.where) < points {
				where += strings.TrimSuffix(strings.Replace(r.places(s.where), " At ", " at ", 1), ".")
			}
			says, said = append(says, s.says), append(said, where+": "+s.says)
		}
	}
	if len(slices.Compact(says)) == 1 && len(said) > 1 && same {
		return []string{"every replication: " + says[0]}
	}
	if more := len(said) - lines; more > 0 {
		said = append(said[:lines], fmt.Sprintf("and %d more", more))
	}
	return said
}

// replications is the number after the highest index of a replication.
func (r *Run) replications() (n int) {
	for _, p := range r.Points {
		if k := len(p.Replications); k > 0 {
			n = max(n, p.Replications[k-1].Index+1)
		}
	}
	return n
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

// Unanswered reports whether there were requests, and nobody answered any of them, were it by a refusal: all were lost, or their function was not there.
func (r *Run) Unanswered() bool {
	some := false
	for _, p := range r.Points {
		for _, rep := range p.Replications {
			t := rep.Tally.total()
			if t.requests() != t.lost()+t.Outcomes[core.NoFunction] {
				return false
			}
			some = some || t.requests() > 0
		}
	}
	return some
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

// digest is the run's digest in hexadecimal; empty of a real run, which has none.
func (r *Run) digest() string {
	if r.World != "sim" {
		return ""
	}
	return formatDigest(r.Digest())
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
