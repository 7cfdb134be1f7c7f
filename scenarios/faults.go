package scenarios

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
)

// faultDoc is a kind of fault, whom it befalls, when, and for how long.
type faultDoc struct {
	Kind   choice    `key:"kind" kind:"true"`
	Nodes  *nodeSet  `key:"nodes"`
	Random *count    `key:"random" min:"1"`
	At     *duration `key:"at"`
	Every  *duration `key:"every" over:"0"`
	When   *whenDoc  `key:"when"`
	For    *duration `key:"for" over:"0"`

	Between     []nodeSet        `key:"between"`
	OneWay      boolean          `key:"one_way" default:"false"`
	Factor      *real            `key:"factor" over:"1" max:"1e6"`
	Probability *share           `key:"probability" over:"0"`
	Latency     *distributionDoc `key:"latency"`
	Functions   []label          `key:"functions"`
	Status      count            `key:"status" default:"500" min:"400" max:"599"`
	By          *shift           `key:"by" eg:"-1h"`
}

// whenDoc is the condition on which a fault begins.
type whenDoc struct {
	Arrivals *count `key:"arrivals" min:"1"`
	Load     *count `key:"load" min:"1"`
}

func (faultDoc) variants() []variant {
	return []variant{
		{string(Crash), "", ""},
		{string(Pause), "", ""},
		{string(Slow), "factor", ""},
		{string(Partition), "", "between one_way"},
		{string(Loss), "probability", "between one_way"},
		{string(Delay), "latency", "between one_way"},
		{string(Reorder), "probability latency", "between one_way"},
		{string(Duplicate), "probability", "between one_way"},
		{string(Garbage), "", ""},
		{string(SlowAnswers), "latency", ""},
		{string(FunctionFails), "probability", "functions status"},
		{string(FunctionHangs), "", "functions"},
		{string(LearnerDown), "", ""},
		{string(FullDisk), "", ""},
		{string(ClockStep), "by", ""},
	}
}

// FaultKind is what a fault does.
type FaultKind string

// The kinds of faults of nodes, and those of links.
const (
	Crash         FaultKind = "crash"          // the node is gone with all that it held, what its learner learned too, and comes back empty
	Pause         FaultKind = "pause"          // the node and its functions stand still, and go on
	Slow          FaultKind = "slow"           // executions take Factor times as long
	Garbage       FaultKind = "garbage"        // nobody can use what the node answers to its peers
	SlowAnswers   FaultKind = "slow-answers"   // what the node answers to its peers leaves later by Latency
	FunctionFails FaultKind = "function-fails" // an execution ends with Status in the place of an answer, with Probability
	FunctionHangs FaultKind = "function-hangs" // an execution that begins does not end
	LearnerDown   FaultKind = "learner-down"   // the node's learner does not answer, and learns nothing
	FullDisk      FaultKind = "full-disk"      // the node can write nothing to its disk; no decision depends on it
	ClockStep     FaultKind = "clock-step"     // the node's wall clock is off by By; no decision depends on it

	Partition FaultKind = "partition" // no message arrives
	Loss      FaultKind = "loss"      // a message is lost with Probability
	Delay     FaultKind = "delay"     // a message takes longer by Latency
	Reorder   FaultKind = "reorder"   // a message takes longer by Latency with Probability, so that later ones overtake it
	Duplicate FaultKind = "duplicate" // a message arrives twice with Probability
)

// FaultForm says how a kind of fault is written, beyond whom it befalls and when.
type FaultForm struct {
	Kind     FaultKind
	Required []string // keys
	Optional []string // keys; those of links have between
}

// FaultForms are those of all kinds.
func FaultForms() []FaultForm {
	var forms []FaultForm
	for _, v := range (faultDoc{}).variants() {
		forms = append(forms, FaultForm{Kind: FaultKind(v.name), Required: strings.Fields(v.need), Optional: strings.Fields(v.may)})
	}
	return forms
}

// Fault is an entry of a scenario's list of faults.
type Fault struct {
	Kind   FaultKind
	Nodes  []core.NodeID // that it befalls, or on whose links to all others it lies; ascending; nil: Random, or Between
	Random int           // so many nodes, drawn anew each time; 0: Nodes, or Between
	// Between has two sets of nodes, each ascending, on whose links the fault lies; nil: Nodes, or Random.
	Between [][]core.NodeID
	OneWay  bool // from the first set to the second alone, or from the nodes to all others

	At    time.Duration // of its beginning, where Every is 0 and When nothing
	When  Condition     // on which it begins, once in a replication
	Every time.Duration // mean time from the end of one occurrence, or the beginning of the run, to the next; exponential
	For   time.Duration // 0: to the end of the run

	Factor      float64         // of Slow
	Probability float64         // of Loss, Reorder, Duplicate and FunctionFails
	Latency     random.Dist     // of Delay, Reorder and SlowAnswers, in seconds
	Functions   []core.TaskType // of FunctionFails and FunctionHangs; nil: all
	Status      int             // of FunctionFails: the HTTP status that the function answers
	By          time.Duration   // of ClockStep; negative: back
}

// Condition is what begins a fault that begins at no given time; one of the two is more than 0.
type Condition struct {
	Arrivals int // the request of this number, from 1, has arrived
	Load     int // one of the fault's nodes, which it then befalls alone, has so many requests running and waiting
}

// String says what the fault is, whom it befalls and when, for people.
func (f *Fault) String() string {
	when := ""
	switch {
	case f.Every > 0:
		when = fmt.Sprintf(" every %s", duration(f.Every))
	case f.When.Arrivals > 0:
		when = fmt.Sprintf(" after arrival %d", f.When.Arrivals)
	case f.When.Load > 0:
		when = fmt.Sprintf(" at a load of %d", f.When.Load)
	default:
		when = fmt.Sprintf(" at %s", duration(f.At))
	}
	return string(f.Kind) + " " + f.Whom() + when + f.lasting()
}

// Upon says the same of one occurrence, which befalls these nodes (FaultEvent.Nodes), but for the instant.
func (f *Fault) Upon(nodes []core.NodeID) string {
	x := *f
	x.Nodes, x.Random = nodes, 0
	return string(x.Kind) + " " + x.Whom() + x.lasting()
}

// Whom says whom the fault befalls, for people.
func (f *Fault) Whom() string {
	way := "of"
	if f.OneWay {
		way = "from"
	}
	switch {
	case f.Between != nil && f.OneWay:
		return fmt.Sprintf("from %s to %s", listed(f.Between[0]), listed(f.Between[1]))
	case f.Between != nil:
		return fmt.Sprintf("between %s and %s", listed(f.Between[0]), listed(f.Between[1]))
	case f.Random > 1:
		return fmt.Sprintf("%s %d random nodes", way, f.Random)
	case f.Random > 0:
		return way + " a random node"
	case len(f.Nodes) > 1:
		return fmt.Sprintf("%s nodes %s", way, listed(f.Nodes))
	}
	return fmt.Sprintf("%s node %s", way, listed(f.Nodes))
}

// both are the nodes of both sets, on whose links a fault lies.
func (f *Fault) both() []core.NodeID {
	return slices.DeleteFunc(slices.Clone(f.Between[0]), func(n core.NodeID) bool {
		_, is := slices.BinarySearch(f.Between[1], n)
		return !is
	})
}

// lasting says for how long, where the fault ends before the run does.
func (f *Fault) lasting() string {
	if f.For == 0 {
		return ""
	}
	return fmt.Sprintf(" for %s", duration(f.For))
}

// listedMost is how many numbers and ranges are written of many nodes.
const listedMost = 12

// listed writes ascending numbers as ranges, as a scenario has them, and says how many more there are.
func listed(nodes []core.NodeID) string {
	var all []string
	for i := 0; i < len(nodes); {
		if len(all) == listedMost {
			return fmt.Sprintf("%s and %d more", strings.Join(all, ", "), len(nodes)-i)
		}
		r := nodeRange{int(nodes[i]), int(nodes[i])}
		for i++; i < len(nodes) && int(nodes[i]) == r.last+1; i++ {
			r.last++
		}
		all = append(all, r.String())
	}
	return strings.Join(all, ", ")
}

// Loses reports whether requests may be lost by the fault, and not only fare otherwise.
func (f *Fault) Loses() bool {
	return !slices.Contains([]FaultKind{Duplicate, LearnerDown, FullDisk, ClockStep}, f.Kind)
}

// OfLinks reports whether the fault lies on links.
func (f *Fault) OfLinks() bool {
	return slices.Contains([]FaultKind{Partition, Loss, Delay, Reorder, Duplicate}, f.Kind)
}

// Of reports whether the fault concerns a function.
func (f *Fault) Of(t core.TaskType) bool {
	return f.Functions == nil || slices.Contains(f.Functions, t)
}

// resolveFaults makes the faults of a scenario whose cluster, functions, hosts, scheduler and learner are resolved.
func resolveFaults(b *builder, docs []faultDoc, s *Scenario) []Fault {
	if len(docs) == 0 || s.Cluster.Nodes() == 0 || len(s.Functions) == 0 {
		return nil
	}
	faults := make([]Fault, 0, len(docs))
	for i := range docs {
		if d := &docs[i]; b.sound(d) {
			faults = append(faults, d.resolve(b, s))
		}
	}
	return faults
}

func (d *faultDoc) resolve(b *builder, s *Scenario) Fault {
	f := Fault{Kind: FaultKind(d.Kind), OneWay: bool(d.OneWay)}
	d.time(b, s, &f)
	d.target(b, s, &f)
	if d.Factor != nil {
		f.Factor = float64(*d.Factor)
	}
	if d.Probability != nil {
		f.Probability = float64(*d.Probability)
	}
	if d.Latency != nil {
		f.Latency = d.Latency.resolve(b)
	}
	if f.Kind == FunctionFails {
		f.Status = int(d.Status)
	}
	if d.By != nil {
		f.By = time.Duration(*d.By)
	}
	for i := range d.Functions {
		name := &d.Functions[i]
		if at := slices.Index(s.FunctionNames(), string(*name)); at >= 0 {
			f.Functions = append(f.Functions, core.TaskType(at))
		} else {
			b.wrong(name, "there is no function %s: %s", *name, suggest(string(*name), s.FunctionNames()))
		}
	}
	if f.Kind == LearnerDown && s.Learner == nil {
		b.wrong(&d.Kind, "there is no learner: write learner: {}, or leave the fault out")
	}
	w := &s.Scheduler.Forwarding
	if slices.Contains([]FaultKind{Crash, Pause, Garbage, FunctionHangs, Partition, Loss}, f.Kind) && (w.ProbeTimeout == 0 || w.AnswerTimeout == 0) {
		b.wrong(&d.Kind, "with %s there are messages that nobody answers, but the scheduler waits for ever: "+
			"write scheduler.probe_timeout and scheduler.answer_timeout, like 1s and 30s", d.Kind)
	}
	if (f.Kind == Pause || f.Kind == Slow) && s.Hosts != nil {
		b.wrong(&d.Kind, "%s changes how fast a node executes, which on hosts the machines decide: leave out the fault, or hosts", d.Kind)
	}
	return f
}

// target says whom the fault befalls.
func (d *faultDoc) target(b *builder, s *Scenario, f *Fault) {
	given := 0
	for _, is := range []bool{d.Nodes != nil, d.Random != nil, d.Between != nil} {
		if is {
			given++
		}
	}
	targets := "nodes or random"
	if f.OfLinks() {
		targets = "nodes, random or between"
	}
	total := s.Cluster.Nodes()
	everybody := f.OfLinks() && f.When.Load == 0
	const nolinks = "the fault lies on links between these nodes and all others, of which there are none: write between: [all, all]"
	switch {
	case given == 0:
		b.wrong(d, "the fault has no target: write %s", targets)
	case given > 1:
		b.wrong(d, "more than one key says what the target of the fault is: write %s alone", targets)
	case d.Nodes != nil:
		f.Nodes = d.Nodes.resolve(b, total)
		if everybody && len(f.Nodes) == total {
			b.wrong(d.Nodes, nolinks)
		}
	case d.Random != nil:
		f.Random = int(*d.Random)
		if f.Random > total {
			b.wrong(d.Random, "there are no %d nodes: write %d or less", f.Random, total)
		} else if everybody && f.Random == total {
			b.wrong(d.Random, nolinks)
		}
	case f.When.Load > 0:
		b.wrong(&d.Between, "the load of a node begins the fault, which befalls that node: write nodes or random instead")
	case len(d.Between) != 2:
		b.wrong(&d.Between, "the links between two sets of nodes are meant, and here are %d: write two, like [[0-3], [4, 5]]", len(d.Between))
	default:
		for i := range d.Between {
			f.Between = append(f.Between, d.Between[i].resolve(b, total))
		}
		whole := len(f.Between[0]) == total || len(f.Between[1]) == total
		if both := f.both(); f.OneWay && slices.Equal(f.Between[0], f.Between[1]) {
			b.wrong(&d.OneWay, "from these nodes to the same ones is both ways: write two sets that differ, or leave one_way out")
		} else if f.Kind == Partition && !whole && len(both) > 0 {
			b.wrong(&d.Between, "both sides of the partition have %s: leave that out of one, or write all for a side, which cuts every link of the other one's nodes",
				listed(both))
		}
	}
}

// time says when the fault begins and ends.
func (d *faultDoc) time(b *builder, s *Scenario, f *Fault) {
	if d.For != nil {
		f.For = time.Duration(*d.For)
	}
	given := 0
	for _, is := range []bool{d.At != nil, d.Every != nil, d.When != nil} {
		if is {
			given++
		}
	}
	switch {
	case given == 0:
		b.wrong(d, "the fault never begins: write at, every or when")
	case given > 1:
		b.wrong(d, "more than one key says when the fault begins: write at, every or when alone")
	case d.At != nil:
		if f.At = time.Duration(*d.At); f.At >= s.Duration && s.Duration > 0 {
			b.wrong(d.At, "the fault begins when the run of %s is over: write less", duration(s.Duration))
		}
	case d.When != nil:
		d.condition(b, s, f)
	default:
		f.Every = time.Duration(*d.Every)
		if d.For == nil {
			b.wrong(d, "the fault begins again and again, and never ends: write for")
		} else if n := float64(s.Duration) / float64(f.Every+f.For); n > faultLimit {
			b.wrong(d.Every, "the fault occurs about %.3g times in a run: write more", n)
		}
	}
}

// condition says on what the fault begins.
func (d *faultDoc) condition(b *builder, s *Scenario, f *Fault) {
	switch w := d.When; {
	case (w.Arrivals == nil) == (w.Load == nil):
		b.wrong(w, "one condition begins the fault: write {arrivals: 100} or {load: 5}, for example")
	case w.Arrivals != nil:
		f.When.Arrivals = int(*w.Arrivals)
	default:
		f.When.Load = int(*w.Load)
		most := int64(0)
		for i := range s.Cluster.Groups {
			g := &s.Cluster.Groups[i]
			most = max(most, int64(g.Slots)+int64(g.Queue))
		}
		if int64(f.When.Load) > most {
			b.wrong(w.Load, "no node ever has %d requests: with slots and queue there is room for %d, write less", f.When.Load, most)
		}
	}
}

// faultLimit bounds how often a fault occurs.
const faultLimit = 1e6

// FaultEvent is the beginning or the end of an occurrence of a fault.
type FaultEvent struct {
	At    core.Time     // Never: when the load of one of Nodes meets the fault's condition (Occurs)
	Fault int           // index in Scenario.Faults
	Begin bool          // otherwise it ends
	Nodes []core.NodeID // that it befalls, ascending; where they were drawn, the beginning and the end have the same. Nil: Between says it
}

// FaultPlan returns when the faults of a replication begin and end, and at which nodes, in order of time. Faults begin within
// the duration of the run, and may end after it. Each entry of the scenario draws from a stream of its own (random.Faults), so
// that none changes when another one does. Faults that begin on a load come last in the plan: only the run can say whether they
// begin, and when.
func (s *Scenario) FaultPlan(replication int) []FaultEvent {
	var plan []FaultEvent
	for i := range s.Faults {
		f := &s.Faults[i]
		r := rand.New(random.Stream(s.Seed, replication, random.Faults, i))
		at := core.Time(f.At)
		if f.When.Arrivals > 0 {
			at = s.afterArrival(replication, f.When.Arrivals)
		}
		for {
			if f.Every > 0 {
				at = at.Add(random.Duration(random.NewExponential(f.Every.Seconds()), r))
			}
			if at >= core.Time(s.Duration) {
				break
			}
			nodes := f.Nodes
			if f.Random > 0 {
				nodes = drawn(r, f.Random, s.Cluster.Nodes())
				slices.Sort(nodes)
			}
			e := FaultEvent{At: at, Fault: i, Begin: true, Nodes: nodes}
			if f.When.Load > 0 {
				e.At = core.Never
				plan = append(plan, e)
				break
			}
			plan = append(plan, s.occurs(e)...)
			if f.Every == 0 {
				break
			}
			at = at.Add(f.For)
		}
	}
	slices.SortStableFunc(plan, func(a, b FaultEvent) int { return cmp.Compare(a.At, b.At) })
	return plan
}

// afterArrival is the instant when the request of a number, from 1, has just arrived; Never where there are not so many.
func (s *Scenario) afterArrival(replication, number int) core.Time {
	arrivals := s.Arrivals(replication)
	var a Arrival
	for range number {
		if !arrivals.Next(&a) {
			return core.Never
		}
	}
	return a.At + 1
}

// occurs are the beginning of a fault and, where it has one, its end.
func (s *Scenario) occurs(begin FaultEvent) []FaultEvent {
	events := []FaultEvent{begin}
	if d := s.Faults[begin.Fault].For; d > 0 {
		events = append(events, FaultEvent{At: begin.At.Add(d), Fault: begin.Fault, Nodes: begin.Nodes})
	}
	return events
}

// Occurs returns what becomes of an event of the plan that waits for a load (At is Never) at the instant when node n
// has that load: the beginning of the fault, which befalls that node alone, and its end. It is for the run to see to it
// that this happens once.
func (s *Scenario) Occurs(e FaultEvent, at core.Time, n core.NodeID) []FaultEvent {
	e.At, e.Nodes = at, []core.NodeID{n}
	return s.occurs(e)
}

// Disturbances are what faults do to messages at an instant: those that lie on links, and nodes that are slow to
// answer. They add up: a message passes where none loses it, and takes longer by the delays of all.
type Disturbances struct {
	faults []Fault
	lying  []FaultEvent
}

// Disturbances returns those of a scenario where no fault has begun.
func (s *Scenario) Disturbances() *Disturbances { return &Disturbances{faults: s.Faults} }

// Change carries out an event of the plan, where it is about messages.
func (d *Disturbances) Change(e FaultEvent) {
	switch f := &d.faults[e.Fault]; {
	case !f.OfLinks() && f.Kind != SlowAnswers:
	case e.Begin:
		d.lying = append(d.lying, e)
	default: // an entry lies on links once at a time
		d.lying = slices.DeleteFunc(d.lying, func(x FaultEvent) bool { return x.Fault == e.Fault })
	}
}

// OfLinks reports whether some lie on links.
func (d *Disturbances) OfLinks() bool {
	return slices.ContainsFunc(d.lying, func(e FaultEvent) bool { return d.faults[e.Fault].OfLinks() })
}

// Transit says what becomes of a message on its way, beyond what Network.Transit does: it takes longer by more, or is
// lost. r is at the sender's stream (random.Disturbance).
func (d *Disturbances) Transit(from, to core.NodeID, r *rand.Rand) (more time.Duration, lost bool) {
	for i := range d.lying {
		e := &d.lying[i]
		f := &d.faults[e.Fault]
		if !f.on(e.Nodes, from, to) {
			continue
		}
		switch f.Kind {
		case Partition:
			return 0, true
		case Loss:
			if r.Float64() < f.Probability {
				return 0, true
			}
		case Delay:
			more += random.Duration(f.Latency, r)
		case Reorder:
			if r.Float64() < f.Probability {
				more += random.Duration(f.Latency, r)
			}
		}
	}
	return more, false
}

// Twice says whether a message arrives twice: each of the two then is under way by itself. r as for Transit, and drawn
// from before it.
func (d *Disturbances) Twice(from, to core.NodeID, r *rand.Rand) bool {
	twice := false
	for i := range d.lying {
		e := &d.lying[i]
		if f := &d.faults[e.Fault]; f.Kind == Duplicate && f.on(e.Nodes, from, to) && r.Float64() < f.Probability {
			twice = true
		}
	}
	return twice
}

// Hesitation is how much later an answer of a node to a peer leaves: to a probe, a question or a pull, or the result of
// a forward. r as for Transit.
func (d *Disturbances) Hesitation(from core.NodeID, r *rand.Rand) (more time.Duration) {
	for i := range d.lying {
		e := &d.lying[i]
		if f := &d.faults[e.Fault]; f.Kind == SlowAnswers {
			if _, is := slices.BinarySearch(e.Nodes, from); is {
				more += random.Duration(f.Latency, r)
			}
		}
	}
	return more
}

// on reports whether the fault lies on the link between two nodes.
func (f *Fault) on(nodes []core.NodeID, from, to core.NodeID) bool {
	in := func(set []core.NodeID, n core.NodeID) bool {
		_, is := slices.BinarySearch(set, n)
		return is
	}
	if f.Between != nil {
		a, b := f.Between[0], f.Between[1]
		return in(a, from) && in(b, to) || !f.OneWay && in(b, from) && in(a, to)
	}
	a, b := in(nodes, from), in(nodes, to)
	return a && !b || !f.OneWay && b && !a
}
