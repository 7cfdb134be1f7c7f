package results

import (
	"fmt"
	"slices"
	"time"
)

// Reality is how far a real run was off what it was to be. A simulation has none.
type Reality struct {
	Sent  Lateness `json:"sent"`            // requests, when they left the load generator
	Links Lateness `json:"links,omitempty"` // messages on emulated links, when they arrived
}

// Lateness is how much later than meant things happened.
type Lateness struct {
	Count uint64        `json:"count"`
	P50   time.Duration `json:"p50_ns"`
	P99   time.Duration `json:"p99_ns"`
	Max   time.Duration `json:"max_ns"`
}

// NewLateness describes durations, which it sorts. Percentiles are of nearest rank.
func NewLateness(late []time.Duration) Lateness {
	if len(late) == 0 {
		return Lateness{}
	}
	slices.Sort(late)
	rank := func(percent int) time.Duration { return late[(len(late)*percent+99)/100-1] }
	return Lateness{uint64(len(late)), rank(50), rank(99), late[len(late)-1]}
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
	round := func(d time.Duration) string {
		sc := scaleOf("s", d.Seconds())
		return significant(d.Seconds()*sc.factor, 2) + " " + sc.unit
	}
	return fmt.Sprintf("half %s late, 99 %% at most %s, the latest %s (worst replication)", round(l.P50), round(l.P99), round(l.Max))
}

func sent(r *Reality) Lateness  { return r.Sent }
func links(r *Reality) Lateness { return r.Links }

// Sent is how punctual the load generator was, in words; empty in a simulation.
func (r *Run) Sent() string { return r.punctuality(sent) }

// Links is how punctual emulated links were, in words; empty where there were none.
func (r *Run) Links() string { return r.punctuality(links) }

// late reports whether in some replication of a point more than 1 % were later than is tolerated.
func late(of func(*Reality) Lateness) func(*Point) bool {
	return func(p *Point) bool {
		return slices.ContainsFunc(p.Replications, func(r *Replication) bool {
			return r.Reality != nil && of(r.Reality).P99 > r.tolerated()
		})
	}
}
