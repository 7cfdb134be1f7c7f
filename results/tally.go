package results

import (
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// Tally accumulates the requests of one replication as they end; both worlds feed it. It holds counts, exact sums and
// histograms per function, and no request. Only one goroutine may use it at a time.
type Tally struct {
	functions []string
	by        []sums
	done      []uint64 // completed in the measured part, whenever they arrived; nil: not known, as of runs of older programs
	all       *sums    // over all functions; nil = not up to date. With one function it is &by[0]
}

// fineFunctions is the number of functions up to which histograms have three significant digits (about 200 kB each);
// beyond, two (about 25 kB).
const fineFunctions = 16

// NewTally makes the tally of a scenario's functions, named in the order of their core.TaskType.
func NewTally(functions ...string) *Tally {
	t := &Tally{functions: slices.Clone(functions), by: make([]sums, len(functions)),
		done: make([]uint64, len(functions))}
	for i := range t.by {
		t.by[i].setDigits(t.digits())
	}
	return t
}

func (t *Tally) digits() int {
	if len(t.functions) > fineFunctions {
		return 2
	}
	return 3
}

// Functions are the names of the functions, in the order of their core.TaskType.
func (t *Tally) Functions() []string { return t.functions }

// Add counts a request that has ended. It allocates nothing but a histogram's growth.
func (t *Tally) Add(r *Record) {
	t.all = nil
	t.by[r.Function].add(r)
}

// complete counts a request that completed in the measured part.
func (t *Tally) complete(r *Record) { t.done[r.Function]++ }

// sums is what is counted of one function, or of all. Latency and the parts of Timing are of completed requests.
type sums struct {
	Outcomes  [core.NumOutcomes]uint64 `json:"outcomes"`
	Latencies histogram                `json:"latency"`
	Waitings  histogram                `json:"waiting"`
	Latency   nanos                    `json:"latency_ns"`
	Squares   float64                  `json:"latency_squares_s2"`
	Client    nanos                    `json:"client_ns"`

	Scheduling nanos `json:"scheduling_ns"`
	Probing    nanos `json:"probing_ns"`
	Forwarding nanos `json:"forwarding_ns"`
	Waiting    nanos `json:"waiting_ns"`
	Executing  nanos `json:"executing_ns"`
	Returning  nanos `json:"returning_ns"`
	ColdStart  nanos `json:"cold_start_ns"` // of all executions that began with one

	InTime    uint64  `json:"in_time"`   // completed within their deadlines
	Executed  uint64  `json:"executed"`  // came to execution, whatever became of them
	Forwarded uint64  `json:"forwarded"` // came to execution at another node than their entry
	Cold      uint64  `json:"cold"`      // began with a cold start
	Probed    uint64  `json:"probed"`    // had a peer probed on their behalf
	Probes    uint64  `json:"probes"`
	Hops      uint64  `json:"hops"`
	Retries   uint64  `json:"retries"`
	EnergyJ   float64 `json:"energy_j"`
	Rewards   float64 `json:"rewards,omitempty"`
	Rewarded  uint64  `json:"rewarded,omitempty"` // had a reward
}

func (s *sums) setDigits(n int) { s.Latencies.digits, s.Waitings.digits = n, n }

func (s *sums) add(r *Record) {
	s.Outcomes[r.Outcome]++
	s.Probes += uint64(r.Probes)
	s.Hops += uint64(r.Hops)
	s.Retries += uint64(r.Retries)
	s.EnergyJ += r.EnergyJ
	if r.Rewarded {
		s.Rewards += r.Reward
		s.Rewarded++
	}
	if r.Probes > 0 {
		s.Probed++
	}
	if r.Executor != core.NoNode {
		s.Executed++
		if r.Executor != r.Node {
			s.Forwarded++
		}
		if r.Cold {
			s.Cold++
			s.ColdStart.add(r.ColdStart)
		}
	}
	if r.Outcome == core.Completed {
		s.addCompleted(r)
	}
}

func (s *sums) addCompleted(r *Record) {
	if r.InTime() {
		s.InTime++
	}
	s.Latencies.add(int64(r.Latency))
	s.Waitings.add(int64(r.Timing.Waiting))
	seconds := float64(r.Latency) * 1e-9
	s.Squares += float64(seconds * seconds)
	s.Latency.add(r.Latency)
	s.Client.add(r.Client)
	t := &r.Timing
	s.Scheduling.add(t.Scheduling)
	s.Probing.add(t.Probing)
	s.Forwarding.add(t.Forwarding)
	s.Waiting.add(t.Waiting)
	s.Executing.add(t.Executing)
	s.Returning.add(t.Returning)
}

// merge adds what o has counted.
func (s *sums) merge(o *sums) {
	for i := range s.Outcomes {
		s.Outcomes[i] += o.Outcomes[i]
	}
	s.Latencies.merge(&o.Latencies)
	s.Waitings.merge(&o.Waitings)
	s.Squares += o.Squares
	s.EnergyJ += o.EnergyJ
	s.Rewards += o.Rewards
	for i, n := range s.durations() {
		n.merge(*o.durations()[i])
	}
	for i, n := range s.counts() {
		*n += *o.counts()[i]
	}
}

func (s *sums) durations() []*nanos {
	return []*nanos{&s.Latency, &s.Client, &s.Scheduling, &s.Probing, &s.Forwarding, &s.Waiting,
		&s.Executing, &s.Returning, &s.ColdStart}
}

func (s *sums) counts() []*uint64 {
	return []*uint64{&s.InTime, &s.Executed, &s.Forwarded, &s.Cold, &s.Probed, &s.Probes, &s.Hops, &s.Retries,
		&s.Rewarded}
}

// requests is the number of requests that ended.
func (s *sums) requests() uint64 {
	n := uint64(0)
	for _, c := range s.Outcomes {
		n += c
	}
	return n
}

func (s *sums) completed() uint64 { return s.Outcomes[core.Completed] }

func (s *sums) lost() uint64 {
	n := uint64(0)
	for o, c := range s.Outcomes {
		if core.Outcome(o).Lost() {
			n += c
		}
	}
	return n
}

// std is the standard deviation of the latency in seconds.
func (s *sums) std() float64 {
	n := float64(s.completed())
	mean := s.Latency.seconds() / n
	return math.Sqrt(max(0, s.Squares/n-float64(mean*mean)))
}

// total are the sums over all functions.
func (t *Tally) total() *sums {
	if t.all == nil {
		if len(t.by) == 1 {
			t.all = &t.by[0]
			return t.all
		}
		t.all = &sums{}
		t.all.setDigits(t.digits())
		for i := range t.by {
			t.all.merge(&t.by[i])
		}
	}
	return t.all
}

// of finds the sums that a metric's name means, and the name without its function.
func (t *Tally) of(name string) (s *sums, base string, ok bool) {
	base, function, ok := cutFunction(name)
	if !ok {
		return t.total(), name, true
	}
	i := slices.Index(t.functions, function)
	if i < 0 {
		return nil, "", false
	}
	return &t.by[i], base, true
}

// completions is how many requests completed in the measured part, of all functions or of the one that a metric's name has; NaN where
// that is not known.
func (t *Tally) completions(name string) float64 {
	if t.done == nil {
		return math.NaN()
	}
	_, function, per := cutFunction(name)
	sum := uint64(0)
	for i, n := range t.done {
		if !per || t.functions[i] == function {
			sum += n
		}
	}
	return float64(sum)
}

// cutFunction takes "latency.mean[face-detect]" apart.
func cutFunction(name string) (base, function string, ok bool) {
	base, rest, ok := strings.Cut(name, "[")
	function, closed := strings.CutSuffix(rest, "]")
	return base, function, ok && closed
}

// Metric returns one of Metrics by name, and false where there is none of that name. It is NaN where it is not
// defined: a mean over nothing. Besides those of the list, any percentile serves: latency.p75, waiting.p99.99.
func (t *Tally) Metric(name string) (float64, bool) {
	s, base, ok := t.of(name)
	if !ok {
		return 0, false
	}
	if m, ok := tallyMetrics[base]; ok {
		return m(s), true
	}
	return s.percentile(base)
}

// percentile reads names like latency.p95.
func (s *sums) percentile(name string) (float64, bool) {
	of, p, ok := percentileOf(name)
	if !ok {
		return 0, false
	}
	h := &s.Latencies
	if of == "waiting" {
		h = &s.Waitings
	}
	return s.ofCompleted(h.percentile(p)), true
}

// percentileOf says of which time latency.p95 is which percentile.
func percentileOf(name string) (of string, p float64, ok bool) {
	of, digits, ok := strings.Cut(name, ".p")
	p, err := strconv.ParseFloat(digits, 64)
	return of, p, ok && err == nil && p > 0 && p <= 100 && (of == "latency" || of == "waiting")
}

// ofCompleted is ns in seconds; NaN where nothing completed.
func (s *sums) ofCompleted(ns int64) float64 {
	if s.completed() == 0 {
		return math.NaN()
	}
	return float64(ns) / 1e9
}

// tallyMetrics are the metrics that a tally knows without more (see Definitions for what they mean).
var tallyMetrics = map[string]func(*sums) float64{
	"requests":           func(s *sums) float64 { return float64(s.requests()) },
	"completed":          func(s *sums) float64 { return float64(s.completed()) },
	"latency.mean":       func(s *sums) float64 { return s.mean(s.Latency) },
	"latency.std":        (*sums).std,
	"latency.max":        func(s *sums) float64 { return s.ofCompleted(s.Latencies.max) },
	"waiting.mean":       func(s *sums) float64 { return s.mean(s.Waiting) },
	"waiting.max":        func(s *sums) float64 { return s.ofCompleted(s.Waitings.max) },
	"executing.mean":     func(s *sums) float64 { return s.mean(s.Executing) },
	"scheduling.mean":    func(s *sums) float64 { return s.mean(s.Scheduling) },
	"probing.mean":       func(s *sums) float64 { return s.mean(s.Probing) },
	"forwarding.mean":    func(s *sums) float64 { return s.mean(s.Forwarding) },
	"returning.mean":     func(s *sums) float64 { return s.mean(s.Returning) },
	"client.mean":        func(s *sums) float64 { return s.mean(s.Client) },
	"drop_rate":          func(s *sums) float64 { return s.share(s.requests() - s.completed()) },
	"rejected_rate":      func(s *sums) float64 { return s.share(s.Outcomes[core.Rejected]) },
	"no_room_rate":       func(s *sums) float64 { return s.share(s.Outcomes[core.NoRoom]) },
	"no_function_rate":   func(s *sums) float64 { return s.share(s.Outcomes[core.NoFunction]) },
	"expired_rate":       func(s *sums) float64 { return s.share(s.Outcomes[core.Expired]) },
	"lost_rate":          func(s *sums) float64 { return s.share(s.lost()) },
	"deadline_share":     func(s *sums) float64 { return s.share(s.InTime) },
	"forwarded_share":    func(s *sums) float64 { return s.share(s.Forwarded) },
	"probing_share":      func(s *sums) float64 { return s.share(s.Probed) },
	"probes_per_request": func(s *sums) float64 { return s.share(s.Probes) },
	"retry_rate":         func(s *sums) float64 { return s.share(s.Retries) },
	"hops.mean":          func(s *sums) float64 { return s.share(s.Hops) },
	"cold_share":         func(s *sums) float64 { return float64(s.Cold) / float64(s.Executed) },
	"cold_start.mean":    func(s *sums) float64 { return s.ColdStart.seconds() / float64(s.Cold) },
	"reward.mean":        func(s *sums) float64 { return s.Rewards / float64(s.Rewarded) },
	"energy_per_request": func(s *sums) float64 { return s.EnergyJ / float64(s.requests()) },
}

func (s *sums) mean(n nanos) float64 { return n.seconds() / float64(s.completed()) }

func (s *sums) share(n uint64) float64 { return float64(n) / float64(s.requests()) }

// Clamped is how many durations could not be and were counted as the nearest that can.
func (t *Tally) Clamped() uint64 { return t.total().Latencies.clamped + t.total().Waitings.clamped }

// Outcome is how many requests ended so.
func (t *Tally) Outcome(o core.Outcome) uint64 { return t.total().Outcomes[o] }

// Pack shrinks a tally that is complete from some hundred kilobytes to a few; it goes on working, slower.
func (t *Tally) Pack() {
	t.total().pack()
	for i := range t.by {
		t.by[i].pack()
	}
}

func (s *sums) pack() {
	s.Latencies.pack()
	s.Waitings.pack()
}

// Step is a point of a distribution: Share of the durations are at most Value.
type Step struct {
	Value time.Duration
	Share float64
}

// LatencyCDF is the empirical distribution of the latency of the completed requests, over all tallies together;
// nil where nothing completed.
func LatencyCDF(tallies ...*Tally) []Step {
	if len(tallies) == 0 {
		return nil
	}
	h := histogram{digits: tallies[0].digits()}
	for _, t := range tallies {
		h.merge(&t.total().Latencies)
	}
	if h.empty() {
		return nil
	}
	total := h.live().TotalCount()
	steps := []Step{{time.Duration(h.min), 0}}
	count := int64(0)
	for _, bar := range h.live().Distribution() {
		if bar.Count > 0 {
			count += bar.Count
			steps = append(steps, Step{time.Duration(min(bar.To, h.max)), float64(count) / float64(total)})
		}
	}
	return steps
}

type tallyState struct {
	Functions []string `json:"functions"`
	By        []sums   `json:"by_function"`
	Done      []uint64 `json:"completions"`
}

// MarshalJSON implements json.Marshaler: the whole state, exactly.
func (t *Tally) MarshalJSON() ([]byte, error) {
	return json.Marshal(tallyState{t.functions, t.by, t.done})
}

// UnmarshalJSON implements json.Unmarshaler; the tally comes packed.
func (t *Tally) UnmarshalJSON(data []byte) error {
	var s tallyState
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	if len(s.By) != len(s.Functions) || s.Done != nil && len(s.Done) != len(s.Functions) {
		return fmt.Errorf("tally: %d functions, sums of %d, completions of %d", len(s.Functions), len(s.By), len(s.Done))
	}
	*t = Tally{functions: s.Functions, by: s.By, done: s.Done}
	t.Pack()
	return nil
}

// nanos is an exact sum of durations. 64 bits are not enough: a million nodes with nine tasks each fill them in 17
// minutes.
type nanos struct {
	high int64
	low  uint64
}

func (n *nanos) add(d time.Duration) {
	low, carry := bits.Add64(n.low, uint64(d), 0)
	n.low, n.high = low, n.high+int64(d)>>63+int64(carry)
}

func (n *nanos) merge(o nanos) {
	low, carry := bits.Add64(n.low, o.low, 0)
	n.low, n.high = low, n.high+o.high+int64(carry)
}

func (n nanos) seconds() float64 {
	if n.high == int64(n.low)>>63 {
		return float64(int64(n.low)) / 1e9
	}
	return (float64(float64(n.high)*(1<<64)) + float64(n.low)) / 1e9
}

// MarshalJSON implements json.Marshaler.
func (n nanos) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "[%d,%d]", n.high, n.low), nil }

// UnmarshalJSON implements json.Unmarshaler.
func (n *nanos) UnmarshalJSON(data []byte) error {
	if _, err := fmt.Sscanf(string(data), "[%d,%d]", &n.high, &n.low); err != nil {
		return fmt.Errorf("sum of durations: %q is not [high,low]: %w", data, err)
	}
	return nil
}
