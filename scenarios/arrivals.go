package scenarios

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
)

// Arrival is one task as the workload makes it. All of it is drawn when it is born, from streams that nothing else
// draws from: every algorithm of a sweep faces the same tasks.
type Arrival struct {
	At       core.Time     // when the client sends it
	Demand   time.Duration // service demand on a node of speed 1
	Deadline time.Duration // relative to At; 0 = none
	Node     core.NodeID   // the node that the client calls
	Type     core.TaskType // index of its function
}

// Fold takes the task into a digest of what all algorithms of a sweep face alike, in both worlds.
func (a *Arrival) Fold(digest uint64) uint64 {
	return random.Fold(digest, uint64(a.At)^uint64(a.Node)<<40^uint64(a.Type)<<32, uint64(a.Demand))
}

// Arrivals yields the tasks of one run in order of time. It is not safe for concurrent use.
type Arrivals struct {
	end       core.Time
	feed      feed
	functions []draw
	upTo      []float64  // cumulative shares of the functions; nil: one function
	demand    *rand.Rand // of demands and deadlines, in order of arrival
}

// draw is what is drawn per task of a function.
type draw struct {
	service      random.Dist
	deadline     time.Duration
	deadlineDist random.Dist
}

// feed yields when and where tasks arrive, and the parts that a trace knows; the rest stays unsaid.
type feed interface {
	next(a *Arrivals, out *Arrival) bool
}

// Arrivals returns the tasks of one replication. Scaling the rate of a workload scales the gaps between them and
// leaves their demands as they are.
func (s *Scenario) Arrivals(replication int) *Arrivals {
	a := &Arrivals{
		end:    core.Time(s.Duration),
		demand: rand.New(random.Stream(s.Seed, replication, random.Demand, 0)),
	}
	sum := 0.0
	for i := range s.Functions {
		f := &s.Functions[i]
		a.functions = append(a.functions, draw{f.Service, f.Deadline, f.DeadlineDist})
		if len(s.Functions) > 1 {
			sum += f.Share
			a.upTo = append(a.upTo, sum)
		}
	}
	switch w := &s.Workload; {
	case w.Process == Recorded:
		a.feed = w.Trace.feed(s, replication)
	case w.Process == Poisson && w.MinGap == 0 && w.Curves == nil && len(s.Cluster.Groups) == 1:
		a.feed = newPoissonFeed(s, replication)
	default:
		a.feed = newSources(s, replication)
	}
	return a
}

// Next sets out to the next task and reports whether there is one before the end of the run.
func (a *Arrivals) Next(out *Arrival) bool {
	*out = Arrival{Demand: unsaid, Deadline: unsaid}
	if !a.feed.next(a, out) || out.At >= a.end {
		return false
	}
	d := &a.functions[out.Type]
	if out.Demand == unsaid {
		out.Demand = random.Seconds(d.service.Sample(a.demand))
	}
	switch {
	case out.Deadline != unsaid:
	case d.deadlineDist != nil:
		out.Deadline = random.Duration(d.deadlineDist, a.demand)
	default:
		out.Deadline = d.deadline
	}
	return true
}

// task draws the function of a task.
func (a *Arrivals) task(r *rand.Rand) core.TaskType {
	if a.upTo == nil {
		return 0
	}
	u := float64(random.Unit(r) * a.upTo[len(a.upTo)-1])
	i := 0
	for i < len(a.upTo)-1 && u >= a.upTo[i] {
		i++
	}
	return core.TaskType(i)
}

// below is uniform on 0..n-1; for n far below 2^64 its bias is beyond measure.
func below(r *rand.Rand, n uint64) uint64 {
	hi, _ := bits.Mul64(r.Uint64(), n)
	return hi
}

// poissonFeed is the superposition of equal Poisson processes, one per node: a Poisson process of the summed rate, each
// of whose arrivals belongs to a node drawn uniformly. A million nodes need no state each.
type poissonFeed struct {
	at    float64 // ns
	mean  float64 // gap, ns
	nodes uint64
	rand  *rand.Rand
}

func newPoissonFeed(s *Scenario, replication int) *poissonFeed {
	n := s.Cluster.Groups[0].Nodes
	return &poissonFeed{
		mean:  1e9 / float64(float64(n)*s.Workload.rate(0)), // +Inf: never
		nodes: uint64(n),
		rand:  rand.New(random.Stream(s.Seed, replication, random.Arrivals, 0)),
	}
}

func (p *poissonFeed) next(a *Arrivals, out *Arrival) bool {
	p.at += float64(p.mean * random.Exp1(p.rand))
	if !(p.at < math.MaxInt64) {
		return false
	}
	out.At = core.Time(p.at)
	out.Node = core.NodeID(below(p.rand, p.nodes))
	out.Type = a.task(p.rand)
	return true
}

// sources is every other workload: a heap of sources, each the arrivals of one node or of a run of equal nodes.
type sources struct {
	heap  []pending // 4-ary, least first
	all   []source
	law   law
	rand  *rand.Rand // draws from the stream of the current source
	state random.Source
}

type pending struct {
	at  float64 // ns
	src int32
}

type source struct {
	pcg          rand.PCG
	first, nodes int32
}

// law says when a source's next task arrives.
type law interface {
	// next returns the time of the arrival after at, in ns, of source i, which is never before at; +Inf: none.
	next(i int, at float64, r *rand.Rand) float64
}

func newSources(s *Scenario, replication int) *sources {
	w := &s.Workload
	x := &sources{}
	x.rand = rand.New(&x.state)
	x.cut(s, replication)
	x.law = w.law(s, replication, x.all)
	for i := range x.all {
		x.state.PCG = &x.all[i].pcg
		if at := x.law.next(i, 0, x.rand); at < math.MaxInt64 {
			x.heap = append(x.heap, pending{at, int32(i)})
		}
	}
	for i := len(x.heap) / 4; i >= 0; i-- {
		x.sift(i)
	}
	return x
}

// cut makes one source per node, or one per group where a superposition does.
func (x *sources) cut(s *Scenario, replication int) {
	w := &s.Workload
	merge := w.Process == Poisson && w.MinGap == 0 && len(w.Curves) <= 1
	first := 0
	for g := range s.Cluster.Groups {
		n := s.Cluster.Groups[g].Nodes
		step := 1
		if merge {
			step = n
		}
		for i := 0; i < n; i += step {
			pcg := random.Stream(s.Seed, replication, random.Arrivals, first+i)
			x.all = append(x.all, source{pcg: *pcg, first: int32(first + i), nodes: int32(step)})
		}
		first += n
	}
}

func (x *sources) next(a *Arrivals, out *Arrival) bool {
	if len(x.heap) == 0 {
		return false
	}
	top := x.heap[0]
	src := &x.all[top.src]
	x.state.PCG = &src.pcg
	out.At = core.Time(top.at)
	out.Node = core.NodeID(src.first)
	if src.nodes > 1 {
		out.Node += core.NodeID(below(x.rand, uint64(src.nodes)))
	}
	out.Type = a.task(x.rand)
	top.at = x.law.next(int(top.src), top.at, x.rand)
	if top.at < math.MaxInt64 {
		x.heap[0] = top
	} else {
		last := len(x.heap) - 1
		x.heap[0] = x.heap[last]
		x.heap = x.heap[:last]
	}
	x.sift(0)
	return true
}

// earlier is a total order: equal times go by the source's number.
func (p pending) earlier(q pending) bool { return p.at < q.at || p.at == q.at && p.src < q.src }

func (x *sources) sift(i int) {
	h := x.heap
	if i >= len(h) {
		return
	}
	e := h[i]
	for {
		c := 4*i + 1
		if c >= len(h) {
			break
		}
		least := c
		for k := c + 1; k < min(c+4, len(h)); k++ {
			if h[k].earlier(h[least]) {
				least = k
			}
		}
		if !h[least].earlier(e) {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = e
}

func (w *Workload) law(s *Scenario, replication int, all []source) law {
	gap := w.Gap
	if gap == nil {
		gap = random.NewExponential(1)
	}
	if w.Process == Deterministic {
		gap = random.NewConstant(1)
	}
	switch {
	case w.Curves != nil:
		return newCurveLaw(w, gap, all)
	case w.Process == MMPP:
		return newModulatedLaw(s, replication)
	}
	l := &renewalLaw{gap: gap, scale: make([]float64, len(all)), floor: float64(w.MinGap),
		phases: w.Process == Deterministic && !w.Aligned}
	i := 0
	for g := range s.Cluster.Groups {
		end := all[i].first + int32(s.Cluster.Groups[g].Nodes)
		for ; i < len(all) && all[i].first < end; i++ {
			l.scale[i] = 1e9 / float64(float64(w.rate(g)*float64(all[i].nodes))*gap.Mean())
		}
	}
	return l
}

// renewalLaw has independent gaps of one distribution.
type renewalLaw struct {
	gap    random.Dist
	scale  []float64 // by source: ns per unit of gap
	floor  float64   // ns
	phases bool      // the first gap is a random part of one: see Workload.Aligned
}

func (l *renewalLaw) next(i int, at float64, r *rand.Rand) float64 {
	if math.IsInf(l.scale[i], 1) {
		return l.scale[i] // rate 0
	}
	if l.phases && at == 0 {
		return float64(l.scale[i] * random.Unit(r))
	}
	// An exponential gap that is drawn until it exceeds the floor is the floor plus an exponential.
	return at + l.floor + float64(l.scale[i]*l.gap.Sample(r))
}

// curveLaw has gaps that are independent in operational time, the expected arrivals so far (see Curve).
type curveLaw struct {
	gap    random.Dist
	scale  []float64 // by source: operational time of a curve per unit of gap
	curves []*Curve
	at     []position
	phases bool // the first gap is a random part of one: see Workload.Aligned
}

func newCurveLaw(w *Workload, gap random.Dist, all []source) *curveLaw {
	l := &curveLaw{gap: gap, scale: make([]float64, len(all)), curves: w.Curves, at: make([]position, len(all)),
		phases: w.Process == Deterministic && !w.Aligned}
	for i := range all {
		l.scale[i] = 1 / float64(gap.Mean()*float64(all[i].nodes))
		l.at[i].within = l.curve(i).begun
	}
	return l
}

func (l *curveLaw) curve(i int) *Curve { return l.curves[i%len(l.curves)] }

func (l *curveLaw) next(i int, at float64, r *rand.Rand) float64 {
	c := l.curve(i)
	if c.perTurn <= 0 {
		return math.Inf(1)
	}
	gap := float64(l.scale[i] * l.gap.Sample(r))
	if l.phases && at == 0 {
		gap = float64(gap * random.Unit(r))
	}
	return max(at, c.after(&l.at[i], gap)) // the inversion is exact but for rounding
}

// modulatedLaw is a Poisson process whose rate jumps. The states have a stream of their own, so that scaling the
// rates leaves them as they are.
type modulatedLaw struct {
	states  []State
	follow  []random.Empirical // by state: the state after it
	at      []modulated
	rand    *rand.Rand
	current random.Source
	end     float64 // of the run, ns
}

type modulated struct {
	pcg   rand.PCG
	until float64 // ns: end of the stay
	state int32
}

func newModulatedLaw(s *Scenario, replication int) *modulatedLaw {
	states := s.Workload.States
	l := &modulatedLaw{states: states, at: make([]modulated, s.Cluster.Nodes()), end: float64(s.Duration)}
	l.rand = rand.New(&l.current)
	index := make([]float64, len(states))
	for i := range states {
		index[i] = float64(i)
	}
	for i := range states {
		l.follow = append(l.follow, random.NewEmpirical(index, states[i].Next))
	}
	begin := random.NewEmpirical(index, s.Workload.stationary())
	for i := range l.at {
		m := &l.at[i]
		m.pcg = *random.Stream(s.Seed, replication, random.Environment, i)
		l.current.PCG = &m.pcg
		m.state = int32(begin.Index(l.rand))
		m.until = l.stay(m)
	}
	return l
}

func (l *modulatedLaw) stay(m *modulated) float64 {
	return float64(float64(l.states[m.state].Stay) * random.Exp1(l.rand))
}

func (l *modulatedLaw) next(i int, at float64, r *rand.Rand) float64 {
	m := &l.at[i]
	left := random.Exp1(r) // expected arrivals until the next one
	for {
		if at >= l.end {
			return math.Inf(1)
		}
		rate := l.states[m.state].Rate / 1e9
		if room := float64(rate * (m.until - at)); room > left {
			return at + left/rate
		} else {
			left -= room
		}
		at = m.until
		l.current.PCG = &m.pcg
		m.state = int32(l.follow[m.state].Index(l.rand))
		m.until = at + l.stay(m)
	}
}

// scratch is a generator for one draw.
type scratch struct {
	pcg  rand.PCG
	rand *rand.Rand
}

var scratches = sync.Pool{New: func() any {
	s := &scratch{}
	s.rand = rand.New(&s.pcg)
	return s
}}

// CopyDemand returns the service demand of a copy of a task: a function of (seed, replication, task, copy), so that it
// does not depend on when or where the copy starts. Copy 0 is the original. It may be called concurrently.
func (s *Scenario) CopyDemand(replication int, id core.TaskID, typ core.TaskType, copy int,
	original time.Duration) time.Duration {
	f := &s.Functions[typ]
	if copy == 0 || f.Replicas == ReplicasSame {
		return original
	}
	x := scratches.Get().(*scratch)
	defer scratches.Put(x)
	x.pcg.Seed(random.Key(s.Seed, replication, random.Demand, copy, uint64(id)), uint64(id))
	return random.Duration(f.Service, x.rand)
}
