package scenarios

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
)

// faulted is the plain scenario, whose run takes so long, with faults.
func faulted(t *testing.T, duration, faults string) *Scenario {
	t.Helper()
	text := strings.Replace(plain, "NoScheduler", "NoScheduler, probe_timeout: 1s, answer_timeout: 1s", 1)
	text = strings.Replace(text, "100s", duration, 1)
	f := parse(t, text+"faults: "+faults+"\n")
	shown := parse(t, string(f.Resolved()))
	if string(shown.Resolved()) != string(f.Resolved()) {
		t.Fatalf("%s is shown as\n%s", faults, f.Resolved())
	}
	s := pointsOf(t, f)[0].Scenario
	if again := pointsOf(t, shown)[0].Scenario; !reflect.DeepEqual(again.Faults, s.Faults) {
		t.Fatalf("%s is shown as %+v", faults, again.Faults)
	}
	return s
}

func TestFaults(t *testing.T) {
	for text, want := range map[string]Fault{
		"{kind: crash, nodes: [3, 0-1, 1], at: 20s, for: 5s}":              {Kind: Crash, Nodes: []core.NodeID{0, 1, 3}, At: 20 * time.Second, For: 5 * time.Second},
		"{kind: pause, random: 2, every: 1min, for: 5s}":                   {Kind: Pause, Random: 2, Every: time.Minute, For: 5 * time.Second},
		"{kind: slow, nodes: all, factor: 2.5, at: 0s}":                    {Kind: Slow, Nodes: []core.NodeID{0, 1, 2, 3}, Factor: 2.5},
		"{kind: partition, between: [[0, 1], all], at: 1s}":                {Kind: Partition, Between: [][]core.NodeID{{0, 1}, {0, 1, 2, 3}}, At: time.Second},
		"{kind: loss, nodes: [2], one_way: true, probability: 5%, at: 1s}": {Kind: Loss, Nodes: []core.NodeID{2}, OneWay: true, Probability: 0.05, At: time.Second},
		"{kind: delay, random: 1, latency: 30ms, at: 1s}":                  {Kind: Delay, Random: 1, Latency: random.NewConstant(0.03), At: time.Second},
		"{kind: reorder, nodes: [0], probability: 0.5, latency: {distribution: exponential, mean: 1s}, at: 1s}": {Kind: Reorder,
			Nodes: []core.NodeID{0}, Probability: 0.5, Latency: random.NewExponential(1), At: time.Second},
		"{kind: garbage, nodes: [0], at: 1s}": {Kind: Garbage, Nodes: []core.NodeID{0}, At: time.Second},
		"{kind: function-fails, nodes: [0], probability: 1, functions: [g], at: 1s}": {Kind: FunctionFails, Nodes: []core.NodeID{0}, Probability: 1,
			Functions: []core.TaskType{1}, Status: 500, At: time.Second},
		"{kind: function-fails, nodes: [0], probability: 1, status: 404, at: 1s}": {Kind: FunctionFails, Nodes: []core.NodeID{0}, Probability: 1,
			Status: 404, At: time.Second},
		"{kind: function-hangs, random: 1, at: 1s}":                         {Kind: FunctionHangs, Random: 1, At: time.Second},
		"{kind: duplicate, between: [[0], [1]], probability: 10%, at: 1s}":  {Kind: Duplicate, Between: [][]core.NodeID{{0}, {1}}, Probability: 0.1, At: time.Second},
		"{kind: slow-answers, nodes: [1], latency: 2s, at: 1s}":             {Kind: SlowAnswers, Nodes: []core.NodeID{1}, Latency: random.NewConstant(2), At: time.Second},
		"{kind: full-disk, random: 2, when: {arrivals: 7}}":                 {Kind: FullDisk, Random: 2, When: Condition{Arrivals: 7}},
		"{kind: clock-step, nodes: [1], by: -1h, when: {load: 3}, for: 5s}": {Kind: ClockStep, Nodes: []core.NodeID{1}, By: -time.Hour, When: Condition{Load: 3}, For: 5 * time.Second},
		"{kind: clock-step, nodes: [1], by: 90s, at: 1s}":                   {Kind: ClockStep, Nodes: []core.NodeID{1}, By: 90 * time.Second, At: time.Second},
		"{kind: partition, nodes: all, when: {load: 3}}":                    {Kind: Partition, Nodes: []core.NodeID{0, 1, 2, 3}, When: Condition{Load: 3}},
	} {
		s := faulted(t, "100s", "["+text+"]")
		if !reflect.DeepEqual(s.Faults, []Fault{want}) {
			t.Errorf("%s: %+v, want %+v", text, s.Faults, want)
		}
		if s.Client.Timeout != time.Minute {
			t.Errorf("%s: clients wait for %v", text, s.Client.Timeout)
		}
	}
	for _, none := range []string{"", "faults: []\n"} {
		if s := pointsOf(t, parse(t, none+plain))[0].Scenario; s.Faults != nil || s.Client.Timeout != 0 {
			t.Errorf("without faults: %+v, clients that wait for %v", s.Faults, s.Client.Timeout)
		}
	}
}

func TestFaultsInWords(t *testing.T) {
	for text, want := range map[string]string{
		"{kind: crash, nodes: [3, 0-1], at: 20s, for: 5s}":                    "crash of nodes 0-1, 3 at 20s for 5s",
		"{kind: pause, random: 2, every: 1min, for: 5s}":                      "pause of 2 random nodes every 60s for 5s",
		"{kind: partition, between: [[0, 1], all], at: 1s}":                   "partition between 0-1 and 0-3 at 1s",
		"{kind: partition, between: [[0], [1]], one_way: true, at: 1s}":       "partition from 0 to 1 at 1s",
		"{kind: delay, nodes: [2], one_way: true, latency: 1s, at: 1s}":       "delay from node 2 at 1s",
		"{kind: full-disk, nodes: all, when: {arrivals: 7}}":                  "full-disk of nodes 0-3 after arrival 7",
		"{kind: slow-answers, nodes: [1], latency: 1s, when: {load: 3}}":      "slow-answers of node 1 at a load of 3",
		"{kind: duplicate, random: 1, one_way: true, probability: 1, at: 0s}": "duplicate from a random node at 0s",
	} {
		if got := faulted(t, "100s", "["+text+"]").Faults[0].String(); got != want {
			t.Errorf("%s is %q in words, want %q", text, got, want)
		}
	}
	many := make([]core.NodeID, 100)
	for i := range many {
		many[i] = core.NodeID(2 * i)
	}
	for text, want := range map[string]string{
		"{kind: crash, random: 1, every: 1min, for: 5s}":           "crash of node 2 for 5s",
		"{kind: crash, nodes: all, when: {load: 3}}":               "crash of node 2",
		"{kind: partition, between: [[0, 1], [2, 3]], at: 1s}":     "partition between 0-1 and 2-3",
		"{kind: loss, random: 3, probability: 1, at: 1s, for: 1s}": "loss of nodes 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22 and 88 more for 1s",
	} {
		f := faulted(t, "100s", "["+text+"]").Faults[0]
		nodes := []core.NodeID{2}
		if f.Kind == Loss {
			nodes = many
		}
		if got := f.Upon(nodes); got != want {
			t.Errorf("an occurrence of %s is %q in words, want %q", text, got, want)
		}
	}
}

// No node may be on both sides of a partition (testdata/bad), unless one side is everybody; other faults may lie on the links among some.
func TestPartitionsHaveTwoSides(t *testing.T) {
	for _, fine := range []string{"{kind: partition, between: [[0], [1-2]], at: 1s}", "{kind: partition, between: [[1], all], at: 1s}",
		"{kind: partition, between: [all, all], at: 1s}", "{kind: loss, between: [[0, 1], [1-2]], probability: 1, at: 1s}"} {
		faulted(t, "100s", "["+fine+"]")
	}
}

func TestFaultPlan(t *testing.T) {
	s := faulted(t, "100s", "[{kind: crash, nodes: [1], at: 20s, for: 90s}, {kind: pause, nodes: [0, 2], at: 5s}, "+
		"{kind: partition, between: [[0], [1]], at: 20s, for: 1s}]")
	at := func(s float64) core.Time { return core.Time(s * 1e9) }
	one, two := []core.NodeID{1}, []core.NodeID{0, 2}
	want := []FaultEvent{{at(5), 1, true, two}, {at(20), 0, true, one}, {at(20), 2, true, nil}, {at(21), 2, false, nil}, {at(110), 0, false, one}}
	if got := s.FaultPlan(0); !reflect.DeepEqual(got, want) {
		t.Errorf("the plan is\n%+v, want\n%+v", got, want)
	}
}

// What begins on a condition is in the plan before the run: after an arrival at its instant, on a load with whom it may befall.
func TestFaultPlansHaveConditions(t *testing.T) {
	s := faulted(t, "100s", "[{kind: crash, random: 2, when: {load: 3}, for: 5s}, {kind: pause, nodes: [1], when: {arrivals: 20}, for: 5s}, "+
		"{kind: pause, nodes: [1], when: {arrivals: 100000}}]")
	arrivals := s.Arrivals(2)
	var a Arrival
	for range 20 {
		arrivals.Next(&a)
	}
	plan := s.FaultPlan(2)
	want := []FaultEvent{{a.At + 1, 1, true, []core.NodeID{1}}, {a.At.Add(5*time.Second) + 1, 1, false, []core.NodeID{1}},
		{core.Never, 0, true, plan[len(plan)-1].Nodes}}
	if !reflect.DeepEqual(plan, want) || len(plan[2].Nodes) != 2 {
		t.Errorf("the plan is\n%+v, want\n%+v", plan, want)
	}
	node := plan[2].Nodes[1:]
	if got, want := s.Occurs(plan[2], 7e9, node[0]), []FaultEvent{{7e9, 0, true, node}, {12e9, 0, false, node}}; !reflect.DeepEqual(got, want) {
		t.Errorf("at 7s it is\n%+v, want\n%+v", got, want)
	}
}

// What is drawn depends on the seed, the replication and the entry, and on nothing else; the gaps and the nodes have their laws.
func TestFaultPlansAreDrawn(t *testing.T) {
	const entry = "{kind: crash, random: 2, every: 40s, for: 10s}"
	s := faulted(t, "100h", "["+entry+"]")
	plan := s.FaultPlan(3)
	if !reflect.DeepEqual(plan, s.FaultPlan(3)) || reflect.DeepEqual(plan, s.FaultPlan(4)) {
		t.Error("the plan of a replication is not its own")
	}
	more := faulted(t, "100h", "["+entry+", {kind: pause, random: 1, every: 7s, for: 1s}]").FaultPlan(3)
	if more = slices.DeleteFunc(more, func(e FaultEvent) bool { return e.Fault == 1 }); !reflect.DeepEqual(more, plan) {
		t.Error("one more entry changes the others")
	}
	if s.Seed++; reflect.DeepEqual(plan, s.FaultPlan(3)) {
		t.Error("the plan does not depend on the seed")
	}
	befallen, down, last := map[core.NodeID]int{}, time.Duration(0), core.Time(0)
	for i := 0; i+1 < len(plan); i += 2 {
		a, b := plan[i], plan[i+1]
		if !a.Begin || b.Begin || b.At.Sub(a.At) != 10*time.Second || a.At <= last || len(a.Nodes) != 2 || a.Nodes[0] >= a.Nodes[1] ||
			!slices.Equal(a.Nodes, b.Nodes) {
			t.Fatalf("%+v, %+v", a, b)
		}
		for _, n := range a.Nodes {
			befallen[n]++
		}
		down, last = down+b.At.Sub(a.At), b.At
	}
	n := float64(len(plan) / 2)
	if share := down.Seconds() / last.Seconds(); math.Abs(share-0.2) > 5*0.2*0.8/math.Sqrt(n) {
		t.Errorf("somebody is down for %g of the time, want 10s/(40s+10s)", share)
	}
	for id := range core.NodeID(4) {
		if math.Abs(float64(befallen[id])-n/2) > 5*math.Sqrt(n/4) {
			t.Errorf("node %d goes down %d times of %g", id, befallen[id], n)
		}
	}
}

func TestDisturbances(t *testing.T) {
	type link struct{ from, to core.NodeID }
	for text, cut := range map[string][]link{
		"{kind: partition, nodes: [0, 1], at: 0s, for: 1s}":                      {{0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 0}, {2, 1}, {3, 0}, {3, 1}},
		"{kind: partition, nodes: [0], one_way: true, at: 0s, for: 1s}":          {{0, 1}, {0, 2}, {0, 3}},
		"{kind: partition, between: [[0], [2, 3]], at: 0s, for: 1s}":             {{0, 2}, {0, 3}, {2, 0}, {3, 0}},
		"{kind: partition, between: [[3], all], one_way: true, at: 0s, for: 1s}": {{3, 0}, {3, 1}, {3, 2}},
		"{kind: crash, nodes: [0], at: 0s, for: 1s}":                             nil,
	} {
		s := faulted(t, "100s", "["+text+"]")
		plan, d := s.FaultPlan(0), s.Disturbances()
		for i := range 3 {
			if i > 0 {
				d.Change(plan[i-1])
			}
			for from := range core.NodeID(4) {
				for to := range core.NodeID(4) {
					if from == to {
						continue
					}
					if _, lost := d.Transit(from, to, nil); lost != (i == 1 && slices.Contains(cut, link{from, to})) {
						t.Errorf("%s, after %d events: from %d to %d lost: %v", text, i, from, to, lost)
					}
				}
			}
		}
	}
	// They add up.
	s := faulted(t, "100s", "[{kind: delay, nodes: [0], latency: 5ms, at: 0s}, {kind: delay, nodes: [1], latency: 20ms, at: 0s}, "+
		"{kind: loss, nodes: [2], probability: 50%, at: 0s}, {kind: loss, between: [[2], [3]], probability: 50%, at: 0s}]")
	d := s.Disturbances()
	for _, e := range s.FaultPlan(0) {
		d.Change(e)
	}
	if more, lost := d.Transit(0, 1, nil); more != 25*ms || lost {
		t.Errorf("two delays are %v, lost: %v", more, lost)
	}
	r, lost := rand.New(random.Stream(1, 0, random.Disturbance, 2)), 0
	for range 10000 {
		if _, gone := d.Transit(2, 3, r); gone {
			lost++
		}
	}
	if math.Abs(float64(lost)-7500) > 5*math.Sqrt(10000*0.75*0.25) {
		t.Errorf("two losses of a half lose %d of 10000", lost)
	}
	s = faulted(t, "100s", "[{kind: duplicate, nodes: [2], one_way: true, probability: 50%, at: 0s}, {kind: duplicate, between: [[2], [3]], probability: 50%, at: 0s}, "+
		"{kind: slow-answers, nodes: [0, 1], latency: 5ms, at: 0s}, {kind: slow-answers, nodes: [1], latency: 20ms, at: 0s}]")
	d = s.Disturbances()
	for _, e := range s.FaultPlan(0) {
		d.Change(e)
	}
	twice := 0
	for range 10000 {
		if d.Twice(2, 3, r) {
			twice++
		}
	}
	if math.Abs(float64(twice)-7500) > 5*math.Sqrt(10000*0.75*0.25) || d.Twice(0, 2, r) {
		t.Errorf("two duplications of a half double %d of 10000", twice)
	}
	if !d.OfLinks() {
		t.Error("duplicates lie on no link")
	}
	for _, e := range s.FaultPlan(0) {
		if e.Begin = false; e.Fault < 2 {
			d.Change(e)
		}
	}
	if d.OfLinks() {
		t.Error("slow answers lie on links")
	}
	for n, want := range []time.Duration{5 * ms, 25 * ms, 0} {
		if got := d.Hesitation(core.NodeID(n), r); got != want {
			t.Errorf("an answer of node %d leaves later by %v, want %v", n, got, want)
		}
	}
	if more, lost := d.Transit(1, 2, r); more > 0 || lost {
		t.Errorf("what is no answer is late by %v, lost: %v", more, lost)
	}
}
