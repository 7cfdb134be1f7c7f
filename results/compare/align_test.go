package compare

import (
	"slices"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
)

// tasks are n tasks of two functions.
func tasks(n int) []request {
	list := make([]request, n)
	for i := range list {
		list[i] = request{id: int64(i + 100), node: int32(i % 5), executor: int32(i % 5), function: int32(i % 2), arrival: int64(i) * 1e6,
			demand: int64(1e6 + i*997), latency: 1e6, outcome: core.Completed}
	}
	return list
}

func sampleOf(replications ...[]request) *sample {
	s := &sample{}
	for i, r := range replications {
		s.replications = append(s.replications, replication{index: i, requests: r})
	}
	return s
}

func TestAlign(t *testing.T) {
	const n = 400
	change := func(every int, what func(*request)) []request {
		list := tasks(n)
		for i := range list {
			if i%every == 0 {
				what(&list[i])
			}
		}
		return list
	}
	for name, c := range map[string]struct {
		b      []request
		paired bool
		common int
		note   string
	}{
		"the same":                {tasks(n), true, n, ""},
		"the last are missing":    {tasks(n)[:n*9/10], true, n * 9 / 10, "360 tasks are the same on both sides, of 400 in A and 360 in B."},
		"the first are missing":   {tasks(n)[n/10:], true, n * 9 / 10, "360 tasks"},
		"few differ":              {change(200, func(r *request) { r.arrival++ }), true, n - 2, ""},
		"other arrivals":          {change(1, func(r *request) { r.arrival++ }), false, 0, "they differ in arrival"},
		"one in ten elsewhere":    {change(10, func(r *request) { r.node++ }), false, 0, "only 90 % of the tasks are the same on both sides; the others differ in entry node."},
		"another function":        {change(2, func(r *request) { r.function = 1 }), false, 0, "only 50 %"},
		"another demand":          {change(3, func(r *request) { r.demand += r.arrival/1000 + 5000 }), false, 0, "differ in demand"},
		"demand is not known":     {change(1, func(r *request) { r.demand = 0 }), true, n, ""},
		"demand of one times 1.2": {change(2, func(r *request) { r.demand = (r.demand*12 + 5) / 10 }), true, n, "The tasks of work are the same but for their demand, which is 1.2 times as long in B"},
		"other numbers":           {change(1, func(r *request) { r.id += n }), false, 0, "differ in their numbers"},
		"outcomes may differ":     {change(1, func(r *request) { r.outcome, r.executor = core.NoRoom, -1 }), true, n, ""},
	} {
		p := align(sampleOf(tasks(n)), sampleOf(c.b), names{"work", "echo"})
		if p.paired != c.paired || p.common != c.common {
			t.Errorf("%s: paired %t with %d in common; want %t with %d", name, p.paired, p.common, c.paired, c.common)
		}
		if notes := strings.Join(p.notes, "\n"); !strings.Contains(notes, c.note) || c.note == "" && notes != "" {
			t.Errorf("%s: %q, want %q", name, notes, c.note)
		}
		if p.a.requests() != n || p.b.requests() != len(c.b) {
			t.Errorf("%s: %d and %d requests are left of %d and %d", name, p.a.requests(), p.b.requests(), n, len(c.b))
		}
		if len(p.a.at) == 0 || p.paired != slices.Equal(p.a.spans, p.b.spans) && p.paired {
			t.Errorf("%s: spans %v and %v", name, p.a.spans, p.b.spans)
		}
		for i, r := range p.a.at {
			if s := p.b.at; p.paired && r != nil && s[i] != nil && r.id != s[i].id {
				t.Fatalf("%s: task %d is paired with task %d", name, r.id, s[i].id)
			}
		}
	}
}

// Replications are paired by their index; those that one side lacks are left out, and that is said.
func TestAlignReplications(t *testing.T) {
	a, b := sampleOf(tasks(200), tasks(300), tasks(400)), sampleOf(tasks(300), tasks(400))
	b.replications[0].index, b.replications[1].index = 1, 2
	p := align(a, b, names{"work", "echo"})
	if !p.paired || p.common != 700 || len(p.a.spans) != 2 || !slices.Contains(p.notes, "What is compared is of the replications that both sides have, 2 of the 3 in A and of the 2 in B.") {
		t.Errorf("paired %t, %d in common, %v, %q", p.paired, p.common, p.a.spans, p.notes)
	}
	b.replications[0].index, b.replications[1].index = 7, 8
	if p := align(a, b, names{"work", "echo"}); p.paired || len(p.a.spans) != 3 || len(p.b.spans) != 2 {
		t.Errorf("no replication in common: paired %t, %v, %v", p.paired, p.a.spans, p.b.spans)
	}
}

func TestDecisions(t *testing.T) {
	b := tasks(100)
	for i := range b {
		switch {
		case i < 10:
			b[i].outcome, b[i].executor = core.NoRoom, -1
		case i < 30:
			b[i].executor, b[i].hops = b[i].executor+1, 1
		case i < 40:
			b[i].hops = 2
		}
	}
	d := decisionsOf(align(sampleOf(tasks(100)), sampleOf(b), names{"work", "echo"}))
	if d == nil || *d != (Decisions{Outcome: 0.9, Executor: 70. / 90, Hops: 60. / 90}) {
		t.Errorf("decisions are %+v", d)
	}
	b[0].arrival, b[1].arrival, b[2].arrival = 5, 5, 5
	if d := decisionsOf(align(sampleOf(tasks(100)), sampleOf(b), names{"work", "echo"})); d != nil {
		t.Errorf("decisions of tasks that are not paired: %+v", d)
	}
}
