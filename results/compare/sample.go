package compare

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/results"
)

// The parts of a latency, in the order in which a request passes them. They add up to it.
const (
	client = iota
	scheduling
	probing
	forwarding
	waiting
	executing
	returning
	numParts
)

var partNames = [numParts]string{"client", "scheduling", "probing", "forwarding", "waiting", "executing", "returning"}

// request is what is compared of a record. Durations are in nanoseconds.
type request struct {
	id                    int64
	node, executor        int32
	function              int32 // index in names
	hops, probes, retries int32
	outcome               core.Outcome
	cold                  bool
	arrival, late, demand int64
	latency, coldStart    int64
	parts                 [numParts]int64
}

func (r *request) completed() bool { return r.outcome == core.Completed }

// before is how long after its arrival the request came to where it waits, or was refused: what the client's link and the
// generator's lateness took on the way there, of which only the sum of both ways is known, and is halved.
func (r *request) before() int64 {
	way := r.late + (r.parts[client]-r.late)/2
	return way + r.parts[scheduling] + r.parts[probing] + r.parts[forwarding]
}

// names numbers the functions of both runs.
type names []string

func (n *names) number(name string) int32 {
	i := slices.Index(*n, name)
	if i < 0 {
		i = len(*n)
		*n = append(*n, strings.Clone(name))
	}
	return int32(i)
}

// sample is one side of a point.
type sample struct{ replications []replication }

type replication struct {
	index    int
	measured time.Duration
	requests []request // in order of arrival
}

// read reads the records of some points of a run, by their index.
func read(run *results.Run, points []*results.Point, functions *names) (map[int]*sample, error) {
	if run.Keep.Mode != results.All {
		return nil, fmt.Errorf("%s has records of %s of its requests, and a comparison needs them all: run it again with --records all",
			run.Dir, amount(run.Keep.Mode))
	}
	of := map[int]*sample{}
	for _, p := range points {
		s := &sample{}
		for _, r := range p.Replications {
			s.replications = append(s.replications, replication{index: r.Index, measured: r.Measured})
		}
		of[p.Index] = s
	}
	for row, err := range results.ReadRows(run.Requests()) {
		if err != nil {
			return nil, fmt.Errorf("the records of %s: %w", run.Dir, err)
		}
		s := of[int(row.Point)]
		if s == nil {
			continue
		}
		i := slices.IndexFunc(s.replications, func(r replication) bool { return r.index == int(row.Replication) })
		if i < 0 {
			return nil, fmt.Errorf("%s has a record of replication %d of point %d, which the run does not have: run it again",
				run.Requests(), row.Replication, row.Point)
		}
		r, err := newRequest(&row, functions)
		if err != nil {
			return nil, fmt.Errorf("%s: replication %d, request %d: %w", run.Requests(), row.Replication, row.ID, err)
		}
		s.replications[i].requests = append(s.replications[i].requests, r)
	}
	for _, p := range points {
		for i, r := range of[p.Index].replications {
			slices.SortFunc(r.requests, func(a, b request) int { return cmp.Compare(a.id, b.id) })
			if want, _ := p.Replications[i].Metric("requests"); int(want) != len(r.requests) {
				return nil, fmt.Errorf("%s has %d records of replication %d of point %d, in which %.0f requests ended: run it again",
					run.Requests(), len(r.requests), r.index, p.Index, want)
			}
		}
	}
	return of, nil
}

func amount(m results.Mode) string {
	if m == results.Sample {
		return "a sample"
	}
	return "none"
}

func newRequest(row *results.Row, functions *names) (request, error) {
	r := request{id: row.ID, node: row.Node, executor: row.Executor, function: functions.number(row.Function), hops: row.Hops,
		probes: row.Probes, retries: row.Retries, cold: row.Cold, arrival: row.ArrivalNS, late: row.LateNS, demand: row.DemandNS,
		latency: row.LatencyNS, coldStart: row.ColdStartNS,
		parts: [numParts]int64{row.ClientNS, row.SchedulingNS, row.ProbingNS, row.ForwardingNS, row.WaitingNS, row.ExecutingNS,
			row.ReturningNS}}
	return r, r.outcome.UnmarshalText([]byte(row.Outcome))
}

// track is one side of a point, laid out for resampling: its requests in order of arrival, one replication after the other.
type track struct {
	at    []*request // nil: only the other side has that task
	spans []span     // the replications
}

// span is a stretch of a track.
type span struct{ from, to int }

func (s span) len() int { return s.to - s.from }

// newTrack lays out a sample by itself.
func newTrack(s *sample) *track {
	t := &track{}
	for i := range s.replications {
		from := len(t.at)
		for k := range s.replications[i].requests {
			t.at = append(t.at, &s.replications[i].requests[k])
		}
		t.spans = append(t.spans, span{from, len(t.at)})
	}
	return t
}

// requests is how many there are.
func (t *track) requests() int {
	n := 0
	for _, r := range t.at {
		if r != nil {
			n++
		}
	}
	return n
}
