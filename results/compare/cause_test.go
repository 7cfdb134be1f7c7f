package compare

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
)

// cluster is a small simulation that makes up the records of a run: nodes with slots and a queue, which probe one peer where
// they have a threshold or more, and forward there if it has less.
type cluster struct {
	nodes, slots, queue, threshold int
	rate                           float64 // arrivals per second, of all
	requests                       int
	service                        float64 // mean demand, exponential; times in seconds
	constant                       bool    // demands are all equal
	stretch, call                  float64 // an execution takes stretch times the demand, and a call
	link, client, late             float64 // one way; both ways
	noise                          float64 // mean of what each part takes longer, by chance
	unknown                        bool    // nobody knows the demand
	slow                           int     // 1-based: that node has one slot less
	arrivals, luck                 uint64  // seeds
	cold                           float64 // one in ten executions begins with a cold start so long
	local                          bool    // nothing is forwarded
}

// usual is a cluster at a load of 0.75, as a simulation has it.
func usual() cluster {
	return cluster{nodes: 6, slots: 4, queue: 4, threshold: 3, rate: 180, requests: 3000, service: 0.1, stretch: 1, call: 0.001, link: 0.002,
		client: 0.001, arrivals: 1, luck: 1}
}

// event is what happens at an instant.
type event struct {
	at    float64
	order int
	do    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	*e = (*e)[:last]
	return x
}

func (c cluster) run() *sample {
	arrivals, luck := rand.New(rand.NewPCG(c.arrivals, 1)), rand.New(rand.NewPCG(c.luck, 2))
	var due events
	now, order := 0.0, 0
	after := func(d float64, do func()) {
		order++
		heap.Push(&due, event{now + d, order, do})
	}
	ns := func(seconds float64) int64 { return int64(math.Round(seconds * 1e9)) }
	more := func() float64 {
		if c.noise == 0 {
			return 0
		}
		return c.noise * luck.ExpFloat64()
	}
	running, queues := make([]int, c.nodes), make([][]func(), c.nodes)
	load := func(n int) int { return running[n] + len(queues[n]) }
	slots := func(n int) int {
		if n+1 == c.slow {
			return c.slots - 1
		}
		return c.slots
	}
	list := make([]request, c.requests)
	at := 0.0
	for i := range list {
		r := &list[i]
		at += arrivals.ExpFloat64() / c.rate
		entry, demand := arrivals.IntN(c.nodes), c.service*arrivals.ExpFloat64()
		if c.constant {
			demand = c.service
		}
		*r = request{id: int64(i), node: int32(entry), executor: -1, arrival: ns(at), late: ns(c.late * (0.5 + luck.Float64())), outcome: core.NoRoom}
		if !c.unknown {
			r.demand = ns(demand)
		}
		up, down := c.client/2+more()/2, c.client/2+more()/2
		part := func(k int, seconds float64) float64 { // takes so long
			r.parts[k] += ns(seconds)
			return seconds
		}
		part(client, up+down)
		r.parts[client] += r.late
		admit := func(n int) {
			execute := func() {
				r.executor, r.outcome = int32(n), core.Completed
				time := c.stretch*demand + c.call + more()
				if c.cold > 0 && luck.IntN(10) == 0 {
					r.cold, r.coldStart = true, ns(c.cold)
					time += c.cold
				}
				part(executing, time)
				if r.hops > 0 {
					part(returning, c.link+more())
				}
				after(time, func() {
					running[n]--
					if len(queues[n]) > 0 {
						next := queues[n][0]
						queues[n] = queues[n][1:]
						next()
					}
				})
			}
			switch since := now; {
			case running[n] < slots(n):
				running[n]++
				execute()
			case len(queues[n]) < c.queue:
				queues[n] = append(queues[n], func() {
					running[n]++
					part(waiting, now-since)
					execute()
				})
			}
		}
		after(at+float64(r.late)*1e-9+up, func() {
			if c.local || load(entry) < c.threshold {
				admit(entry)
				return
			}
			peer := (entry + 1 + luck.IntN(c.nodes-1)) % c.nodes
			r.probes = 1
			after(part(probing, 2*c.link+more()), func() {
				if load(peer) >= load(entry) {
					admit(entry)
					return
				}
				r.hops = 1
				after(part(forwarding, c.link+more()), func() { admit(peer) })
			})
		})
	}
	for len(due) > 0 {
		e := heap.Pop(&due).(event)
		now = e.at
		e.do()
	}
	for i := range list {
		r := &list[i]
		if !r.completed() {
			r.hops = 0
		}
		for _, p := range r.parts {
			r.latency += p
		}
	}
	return sampleOf(list)
}

// point compares two clusters.
func point(a, b cluster) Point {
	o := Options{Resamples: fewestResamples}
	if err := o.complete(); err != nil {
		panic(err)
	}
	return o.compare(align(a.run(), b.run(), names{"work"}), rand.New(rand.NewPCG(1, 1)))
}

func components(p Point) (list []string) {
	for _, c := range p.Causes {
		list = append(list, c.Component)
	}
	return list
}

// Each cause alone is named, with its size, and nothing else is: against the noise of a real machine too, and where the two
// sides did not have the same tasks.
func TestOneCause(t *testing.T) {
	for _, c := range []struct {
		name      string
		change    func(*cluster)
		component string
		a, b      float64 // of the cause
		tolerance float64
		absolute  bool
		unpaired  bool // it is seen there too
	}{
		{"service time", func(c *cluster) { c.stretch = 1.2 }, ServiceCause, 0.1, 0.12, 0.05, false, true},
		{"shorter service time", func(c *cluster) { c.stretch = 0.95 }, ServiceCause, 0.1, 0.095, 0.05, false, true},
		{"another mean demand", func(c *cluster) { c.service = 0.08 }, ServiceCause, 0.1, 0.08, 0.05, false, true},
		{"cost of a call", func(c *cluster) { c.call = 0.004 }, CallCause, 0.001, 0.004, 0.1, true, true},
		{"no link", func(c *cluster) { c.link = 0 }, LinkCause, 0.002, 0, 0.15, true, true},
		{"longer link", func(c *cluster) { c.link = 0.005 }, LinkCause, 0.002, 0.005, 0.15, true, true},
		{"a slot less", func(c *cluster) { c.slots = 3 }, SlotsCause, 4, 3, 0, true, true},
		{"a slot more", func(c *cluster) { c.slots = 5 }, SlotsCause, 4, 5, 0, true, true},
		{"client", func(c *cluster) { c.client = 0.005 }, ClientCause, 0.001, 0.005, 0.25, true, true},
		{"late generator", func(c *cluster) { c.late = 0.003 }, ArrivalsCause, 0, 0.003, 0.05, true, true},
		{"cold starts", func(c *cluster) { c.cold = 0.1 }, ColdCause, 0, 0.01, 0.2, true, true},
	} {
		for _, noise := range []float64{0, 0.0005} {
			for _, paired := range []bool{true, false} {
				if !paired && !c.unpaired {
					continue
				}
				a, b := usual(), usual()
				a.noise, b.noise, b.luck = noise, noise, 2
				if !paired {
					b.arrivals = 2
				}
				c.change(&b)
				p := point(a, b)
				name := fmt.Sprintf("%s, noise %g, paired %t", c.name, noise, paired)
				if p.Paired != paired {
					t.Errorf("%s: paired %t", name, p.Paired)
				}
				if got := components(p); !slices.Equal(got, []string{c.component}) {
					t.Errorf("%s: causes are %v, want %s: %+v", name, got, c.component, p.Causes)
					continue
				}
				got := p.Causes[0]
				tolerance := c.tolerance * max(c.a, c.b)
				if !paired && !c.absolute {
					tolerance *= 2
				}
				if math.Abs(got.A-c.a)-3*noise > tolerance || math.Abs(got.B-c.b)-3*noise > tolerance || got.Absolute != c.absolute {
					t.Errorf("%s: %g and %g, want %g and %g", name, got.A, got.B, c.a, c.b)
				}
				truth := c.b - c.a
				if !c.absolute {
					truth = c.b / c.a
				}
				if slack := 0.02 * math.Abs(truth); paired && (got.Lo > truth+slack || got.Hi < truth-slack) {
					t.Errorf("%s: the interval %g to %g is not about %g", name, got.Lo, got.Hi, truth)
				}
			}
		}
	}
}

// A queue that is longer or shorter by one place is found by who found no room, or by how many a node never holds.
func TestQueue(t *testing.T) {
	for _, local := range []bool{true, false} {
		for _, queue := range []int{3, 5} {
			a, b := usual(), usual()
			a.rate, b.rate, a.local, b.local = 230, 230, local, local
			b.queue, b.luck = queue, 2
			p := point(a, b)
			if len(p.Causes) != 1 || p.Causes[0].Component != QueueCause || p.Causes[0].B-p.Causes[0].A != float64(queue-4) {
				t.Errorf("local %t, queue %d in place of 4: causes are %+v", local, queue, p.Causes)
			}
		}
	}
}

// Without a queue nobody waits; what nodes hold are their slots.
func TestSlotsWithoutQueue(t *testing.T) {
	a, b := usual(), usual()
	a.queue, b.queue, a.local, b.local, b.slots = 0, 0, true, true, 3
	p := point(a, b)
	if len(p.Causes) != 1 || p.Causes[0].Component != SlotsCause || p.Causes[0].A != 4 || p.Causes[0].B != 3 {
		t.Errorf("causes are %+v", p.Causes)
	}
}

// One node that is other than all others is found.
func TestOneNode(t *testing.T) {
	a, b := usual(), usual()
	a.local, b.local, b.slow = true, true, 3
	a.noise, b.noise = 0.0005, 0.0005
	p := point(a, b)
	const want = "1 of 6 nodes, node 2, is to execute at most 4 requests at once in A, at most 3 in B"
	if len(p.Causes) != 1 || p.Causes[0].Says != want {
		t.Errorf("causes are %+v, want %s", p.Causes, want)
	}
}

// Two causes at once are both named.
func TestTwoCauses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*cluster)
		want   []string
	}{
		{"service time and link", func(c *cluster) { c.stretch, c.link = 0.8, 0.006 }, []string{LinkCause, ServiceCause}},
		{"service time and call", func(c *cluster) { c.stretch, c.call = 1.1, 0.006 }, []string{CallCause, ServiceCause}},
		{"slots and service time", func(c *cluster) { c.slots, c.stretch = 5, 1.1 }, []string{ServiceCause, SlotsCause}},
		{"slots and link", func(c *cluster) { c.slots, c.link = 3, 0 }, []string{LinkCause, SlotsCause}},
		{"slots and queue", func(c *cluster) { c.slots, c.queue, c.local, c.rate = 3, 3, true, 160 }, []string{QueueCause, SlotsCause}},
		{"client and call", func(c *cluster) { c.client, c.call = 0.004, 0 }, []string{CallCause, ClientCause}},
	} {
		a, b := usual(), usual()
		a.noise, b.noise, b.luck = 0.0003, 0.0003, 2
		c.change(&b)
		a.local, a.rate = b.local, b.rate
		p := point(a, b)
		if got := components(p); !slices.Equal(slices.Sorted(slices.Values(got)), c.want) {
			t.Errorf("%s: causes are %v: %+v", c.name, got, p.Causes)
		}
	}
}

// What explains most comes first: slots, through the waiting, before a link that is a little longer.
func TestRanked(t *testing.T) {
	a, b := usual(), usual()
	b.slots, b.link = 3, 0.004
	if p := point(a, b); !slices.Equal(components(p), []string{SlotsCause, LinkCause}) {
		t.Errorf("causes are %+v", p.Causes)
	}
	b.slots, b.stretch, b.client = 4, 1.05, 0.002
	if p := point(a, b); !slices.Equal(components(p), []string{ServiceCause, LinkCause, ClientCause}) {
		t.Errorf("causes are %+v", p.Causes)
	}
}

// Where nobody knows the demand, or all demands are equal, a service time is told by its mean.
func TestServiceTimeWithoutDemand(t *testing.T) {
	for _, c := range []struct {
		name      string
		change    func(*cluster)
		tolerance float64
	}{
		{"demand unknown", func(c *cluster) { c.unknown = true }, 0.001},
		{"demand unknown, other tasks", func(c *cluster) {
			c.unknown = true
			c.arrivals += c.luck // another seed on each side
		}, 0.1},
		{"equal demands", func(c *cluster) { c.constant = true }, 0.001},
	} {
		a, b := usual(), usual()
		b.luck, a.call, b.call, b.stretch = 2, 0, 0, 1.2
		c.change(&a)
		c.change(&b)
		p := point(a, b)
		if len(p.Causes) != 1 || p.Causes[0].Component != ServiceCause || math.Abs(p.Causes[0].B/p.Causes[0].A-1.2) > c.tolerance {
			t.Errorf("%s: causes are %+v", c.name, p.Causes)
		}
	}
}

// Few executions that a machine held up for long bend no line.
func TestOutliers(t *testing.T) {
	a, b := usual(), usual()
	a.noise, b.noise = 0.0003, 0.0003
	x, y := a.run(), b.run()
	for i := range y.replications[0].requests {
		if r := &y.replications[0].requests[i]; i%200 == 7 && r.completed() {
			r.parts[executing] += 5e8
			r.latency += 5e8
		}
	}
	o := Options{Resamples: fewestResamples, Margins: DefaultMargins()}
	if p := o.compare(align(x, y, names{"work"}), rand.New(rand.NewPCG(1, 1))); len(p.Causes) > 0 {
		t.Errorf("causes are %+v", p.Causes)
	}
}

func TestArrivals(t *testing.T) {
	a, b := usual(), usual()
	a.rate, b.rate, b.arrivals = 120, 140, 2
	p := point(a, b)
	if len(p.Causes) != 1 || p.Causes[0].Component != ArrivalsCause || math.Abs(p.Causes[0].A-120) > 6 || math.Abs(p.Causes[0].B-140) > 7 {
		t.Errorf("causes are %+v", p.Causes)
	}
}

// Decisions are named where nothing else is.
func TestDecisionsAsCause(t *testing.T) {
	a, b := usual(), usual()
	b.threshold = 2
	const probes = "0.902 peers are probed for a request in B, 0.698 in A, and nothing else that is looked at differs"
	if p := point(a, b); len(p.Causes) != 1 || p.Causes[0].Component != DecisionsCause || p.Causes[0].Says != probes {
		t.Errorf("causes are %+v", p.Causes)
	}
	b.threshold = 10
	const forwards = "0 % of the requests are forwarded in B, 33.7 % in A, and nothing else that is looked at differs"
	if p := point(a, b); len(p.Causes) != 1 || p.Causes[0].Component != DecisionsCause || p.Causes[0].Says != forwards {
		t.Errorf("causes are %+v", p.Causes)
	}
	b.threshold = 2
	b.stretch = 1.1
	if p := point(a, b); !slices.Equal(components(p), []string{ServiceCause}) {
		t.Errorf("with a longer service time causes are %+v", p.Causes)
	}
}

// Where nothing differs, nothing is named: on the same tasks and on others, with and without noise.
func TestNoCause(t *testing.T) {
	alarms, points := 0, 0
	for seed := range uint64(24) {
		a := usual()
		a.requests, a.arrivals, a.luck, a.local = 2000, 2*seed, 2*seed, seed%3 == 0
		if seed%2 == 0 {
			a.noise = 0.001
		}
		if seed%4 > 1 {
			a.rate = 225
		}
		b := a
		b.luck++
		same := point(a, b)
		b.arrivals++
		other := point(a, b)
		for _, p := range []Point{same, other} {
			points++
			if len(p.Causes) > 0 {
				alarms++
				t.Logf("seed %d, paired %t: %+v", seed, p.Paired, p.Causes)
			}
		}
	}
	if alarms > points/20 {
		t.Errorf("%d of %d comparisons of equal clusters name a cause", alarms, points)
	}
}

// Of two functions, the one whose executions take longer is named.
func TestFunctions(t *testing.T) {
	a, b := usual(), usual()
	a.noise, b.noise = 0.0003, 0.0003
	x, y := a.run(), b.run()
	for k, s := range []*sample{x, y} {
		for i := range s.replications[0].requests {
			r := &s.replications[0].requests[i]
			r.function = int32(i % 2)
			if more := r.parts[executing] * 3 / 10; k == 1 && r.function == 1 && r.completed() {
				r.parts[executing] += more
				r.latency += more
			}
		}
	}
	o := Options{Resamples: fewestResamples, Margins: DefaultMargins()}
	p := o.compare(align(x, y, names{"work", "echo"}), rand.New(rand.NewPCG(1, 1)))
	if len(p.Causes) != 1 || p.Causes[0].Says != "an execution of echo takes 1.3 times as long in B" || p.Causes[0].Function != "echo" ||
		math.Abs(p.Causes[0].Direct-p.Parts[executing].Difference) > 0.0005 {
		t.Errorf("causes are %+v, executing %+v", p.Causes, p.Parts[executing])
	}
}

// Sides that use nodes of different speeds otherwise have equal standardised means; a node that one side does not use is left out.
func TestStandardise(t *testing.T) {
	made := func(counts ...int) *track {
		tr := &track{}
		for n, count := range counts {
			for range count {
				tr.at = append(tr.at, &request{executor: int32(n), latency: int64(n + 1)})
			}
		}
		tr.spans = []span{{0, len(tr.at)}}
		return tr
	}
	mean := func(tr *track, weight func(*request) float64) float64 {
		w := once(tr.spans)
		one := func(*request) float64 { return 1 }
		return w.sum(weighted(tr, weight, func(r *request) float64 { return float64(r.latency) })) / w.sum(weighted(tr, weight, one))
	}
	node := func(r *request) (int32, bool) { return r.executor, true }
	p := &pair{a: made(50, 50), b: made(20, 80)}
	a, b := standardise(p, node)
	if x, y := mean(p.a, a), mean(p.b, b); math.Abs(x-1.5) > 1e-12 || math.Abs(y-1.5) > 1e-12 {
		t.Errorf("means are %g and %g, want 1.5", x, y)
	}
	p = &pair{a: made(50, 50, 30), b: made(20, 80)}
	a, b = standardise(p, node)
	if x, y := mean(p.a, a), mean(p.b, b); math.Abs(x-1.5) > 1e-12 || math.Abs(y-1.5) > 1e-12 {
		t.Errorf("with a third node of A alone, means are %g and %g, want 1.5", x, y)
	}
	p = &pair{a: made(2, 4), b: made(2, 2)}
	a, b = standardise(p, node)
	if x, y := mean(p.a, a), mean(p.b, b); math.Abs(x-10./6) > 1e-12 || y != 1.5 {
		t.Errorf("of few, means are %g and %g, want 1.667 and 1.5", x, y)
	}
}

// BenchmarkCompare is what a point of 30 000 requests takes, with 1000 resamples.
func BenchmarkCompare(b *testing.B) {
	x := usual()
	x.requests, x.noise = 30000, 0.0005
	y := x
	y.luck, y.link = 2, 0.004
	p := align(x.run(), y.run(), names{"work"})
	o := Options{}
	if err := o.complete(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		o.compare(p, rand.New(rand.NewPCG(1, 1)))
	}
}
