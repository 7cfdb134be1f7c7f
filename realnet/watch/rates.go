package watch

import (
	"maps"
	"math"
	"slices"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet"
)

// What the differences of counters say.

// rates writes the rates of a node that has been looked at twice, and adds its requests to all.
func (x *node) rates(n *Node, all tally) {
	first, last, seconds := x.window()
	per := func(before, after int64) float64 { return float64(after-before) / seconds }
	a, b := &first.counts, &last.counts
	r := &n.Rates
	r.Arrived, r.Received = per(a.Arrived, b.Arrived), per(a.Received, b.Received)
	r.Executed, r.Probes = per(a.Executed, b.Executed), per(a.Probes, b.Probes)
	r.Rejected, r.Faulty = per(a.Refused, b.Refused), per(a.Faulty, b.Faulty)
	for o, count := range b.Outcomes {
		rate := per(a.Outcomes[o], count)
		switch {
		case o == core.Completed:
			r.Completed += rate
		case o == core.Expired:
			r.Expired += rate
		case o.Lost():
			r.Lost += rate
		default:
			r.Rejected += rate
		}
	}
	for to, count := range b.Forwarded {
		r.Forwarded += per(a.Forwarded[to], count)
	}
	own := tally{}
	for _, name := range slices.Sorted(maps.Keys(last.latency)) {
		f := tally{}
		f.add(last.latency[name], 1)
		f.add(first.latency[name], -1)
		if l := f.latency(); l != nil {
			n.Functions = append(n.Functions, Function{Name: name, Completed: float64(l.Count) / seconds, Latency: l})
		}
		own.merge(f)
	}
	all.merge(own)
	n.Latency = own.latency()
	if last.learner != nil {
		n.Learner = newLearner(first.learner, last.learner, seconds)
	}
}

// window is what rates are over.
func (x *node) window() (first, last *sample, seconds float64) {
	first, last = &x.samples[0], &x.samples[len(x.samples)-1]
	return first, last, last.at.Sub(first.at).Seconds()
}

// forwards are the tasks that the node sent, by where to.
func (x *node) forwards() (all []Forward) {
	first, last, seconds := x.window()
	for _, to := range slices.SortedFunc(maps.Keys(last.counts.Forwarded), byAddress) {
		if sent := last.counts.Forwarded[to] - first.counts.Forwarded[to]; sent > 0 {
			all = append(all, Forward{From: x.address, To: to, Rate: float64(sent) / seconds})
		}
	}
	return all
}

// newLearner is what the learner of a node did between two looks. A node may say what it likes: at the first, that it had none.
func newLearner(before, after *realnet.LearnerStatus, seconds float64) *Learner {
	l := &Learner{Epsilon: after.Epsilon, Error: after.Error}
	if before == nil {
		return l
	}
	per := func(before, after uint64) float64 { return float64(after-before) / seconds }
	l.Actions, l.Failed = per(before.Answered, after.Answered), per(before.Failed, after.Failed)
	a, b := before.Learned, after.Learned
	if a == nil || b == nil {
		return l
	}
	l.Own, l.Pending = true, b.Pending
	if b.Trained < a.Trained || b.Entries.Received < a.Entries.Received {
		return l // it has been reset
	}
	l.Trained = per(a.Trained, b.Trained)
	rate := (b.Rewards - a.Rewards) / seconds
	if math.IsInf(rate, 0) {
		return l // JSON has no such number
	}
	l.Reward, l.Entries = rate, per(a.Entries.Received, b.Entries.Received)
	if entries := b.Entries.Received - a.Entries.Received; entries > 0 {
		l.Mean = (b.Rewards - a.Rewards) / float64(entries)
	}
	return l
}

// tally counts requests by how many seconds they took.
type tally map[float64]int64

func (t tally) add(buckets []realnet.LatencyBucket, sign int64) {
	for _, b := range buckets {
		t[b.Around] += sign * b.Count
	}
}

func (t tally) merge(s tally) {
	for took, count := range s {
		t[took] += count
	}
}

// latency is nil where there were no requests.
func (t tally) latency() *Latency {
	took := slices.Sorted(maps.Keys(t))
	l := &Latency{}
	for _, x := range took {
		l.Count += t[x]
	}
	if l.Count == 0 {
		return nil
	}
	for _, q := range []struct {
		of float64
		to *float64
	}{{.5, &l.P50}, {.95, &l.P95}, {.99, &l.P99}} {
		left := int64(math.Ceil(q.of * float64(l.Count)))
		for _, x := range took {
			if left -= t[x]; left <= 0 {
				*q.to = x
				break
			}
		}
	}
	return l
}
