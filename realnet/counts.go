package realnet

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/p2pfaas/p2pfaas/core"
)

// What a node has counted, as /monitoring/node has it for those who look at the whole cluster (package watch): the metrics
// (metrics.go), summed where a look needs no more, and who forwards to whom, which is no label of theirs.

// Counts are of the time since the node began, and only grow.
type Counts struct {
	Arrived   int64                  `json:"arrived"`   // requests of clients, the refused ones included
	Refused   int64                  `json:"refused"`   // of these, those that were not taken in hand: malformed, too large, one too many
	Outcomes  map[core.Outcome]int64 `json:"outcomes"`  // of those that have ended
	Faulty    int64                  `json:"faulty"`    // of the completed ones, those whose function answered an error, a status of 400 or more
	Forwarded map[string]int64       `json:"forwarded"` // tasks that were sent to peers, by the peers' addresses
	Received  int64                  `json:"received"`  // tasks of peers that have ended
	Executed  int64                  `json:"executed"`  // executions that have ended
	Probes    int64                  `json:"probes"`    // questions to peers
}

// LatencyBucket counts requests that took about so long: 2.2 % more, or less, at most. Buckets without requests are left out.
type LatencyBucket struct {
	Around float64 `json:"around_s"` // seconds
	Count  int64   `json:"count"`
}

func (n *Node) counts() Counts {
	m := n.metrics
	c := Counts{Arrived: int64(n.number.Load()), Outcomes: map[core.Outcome]int64{}, Forwarded: n.peers.forwarded()}
	each(m.requests, func(x *dto.Metric) {
		var o core.Outcome
		if err := o.UnmarshalText([]byte(label(x, "outcome"))); err != nil {
			panic(err) // the label is written from an outcome
		}
		c.Outcomes[o] += int64(x.GetHistogram().GetSampleCount())
	})
	each(m.refused, func(x *dto.Metric) { c.Refused += int64(x.GetCounter().GetValue()) })
	each(m.faulty, func(x *dto.Metric) { c.Faulty += int64(x.GetCounter().GetValue()) })
	each(m.received, func(x *dto.Metric) { c.Received += int64(x.GetCounter().GetValue()) })
	each(m.executions, func(x *dto.Metric) { c.Executed += int64(x.GetHistogram().GetSampleCount()) })
	each(m.probes, func(x *dto.Metric) { c.Probes += int64(x.GetCounter().GetValue()) })
	return c
}

// forwarded are the tasks that were sent to each peer.
func (p *peers) forwarded() map[string]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string]int64{}
	for id, x := range p.known {
		if sent := x.tasks.Load(); sent > 0 && id != p.stranger {
			all[p.addresses[id]] = sent
		}
	}
	return all
}

// latency is that of completed requests, by function.
func (m *nodeMetrics) latency() map[string][]LatencyBucket {
	all := map[string][]LatencyBucket{}
	each(m.requests, func(x *dto.Metric) {
		if label(x, "outcome") == core.Completed.String() {
			all[label(x, "function")] = buckets(x.GetHistogram())
		}
	})
	return all
}

// buckets are those of a native histogram of the library, whose bucket i goes from 2^((i-1)/2^schema) to 2^(i/2^schema).
func buckets(h *dto.Histogram) []LatencyBucket {
	var all []LatencyBucket
	if below := h.GetZeroCount(); below > 0 {
		all = append(all, LatencyBucket{Around: h.GetZeroThreshold(), Count: int64(below)})
	}
	i, k, count := int32(0), 0, int64(0)
	for _, span := range h.GetPositiveSpan() {
		i += span.GetOffset()
		for range span.GetLength() {
			if count += h.GetPositiveDelta()[k]; count > 0 {
				all = append(all, LatencyBucket{Around: math.Exp2(math.Ldexp(float64(i)-.5, -int(h.GetSchema()))), Count: count})
			}
			i++
			k++
		}
	}
	return all
}

// each calls do for the series of a collector.
func each(c prometheus.Collector, do func(*dto.Metric)) {
	series := make(chan prometheus.Metric, 64)
	go func() {
		defer close(series)
		c.Collect(series)
	}()
	for s := range series {
		var m dto.Metric
		if err := s.Write(&m); err != nil {
			panic(err) // the library's own metrics write themselves
		}
		do(&m)
	}
}

// label is the value of a label.
func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
