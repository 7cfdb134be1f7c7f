package scenarios

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
)

// Trace is a recorded workload: the tasks themselves, or how many there were per minute.
type Trace struct {
	tasksAt []recorded // in order of time, as seconds of the run
	minutes [][]tally  // counts from the beginning of the window on
	offset  float64    // seconds of the first minute that lie before the window
	speedup float64
	// anywhere: the invocations of a minute enter at random nodes; otherwise those of a function enter at one.
	anywhere bool
}

// NewTrace is a trace of these tasks, which are in order of time.
func NewTrace(tasks []Arrival) *Trace {
	t := &Trace{speedup: 1, tasksAt: make([]recorded, len(tasks))}
	for i := range tasks {
		a := &tasks[i]
		t.tasksAt[i] = recorded{at: a.At, demand: a.Demand, deadline: a.Deadline, node: a.Node, typ: int32(a.Type)}
	}
	return t
}

// recorded is one task of a trace; -1 and NoNode stand for what the trace does not say.
type recorded struct {
	at               core.Time
	demand, deadline time.Duration
	node             core.NodeID
	typ              int32
}

// tally is how often a function was invoked in a minute.
type tally struct{ rank, count int32 }

const unsaid = -1

type traceDoc struct {
	File    dataFile `key:"file"`
	From    duration `key:"from" default:"0s"`
	Speedup real     `key:"speedup" default:"1" over:"0" max:"1e9"`
	Unit    *choice  `key:"unit" oneof:"ns us ms s min h d"`
	Demand  *choice  `key:"demand" oneof:"trace function"`
	Top     *count   `key:"top" min:"1"`
	Place   *choice  `key:"place" oneof:"function random"`
}

func (doc *traceDoc) resolve(b *builder, s *Scenario, format string) *Trace {
	t := &Trace{speedup: float64(doc.Speedup), anywhere: or(doc.Place, "function") == "random"}
	azure := format != "replay"
	switch {
	case !b.sound(doc):
		return t
	case !azure && (doc.Top != nil || doc.Place != nil):
		b.wrong(doc, "top and place belong to the Azure traces: leave them out")
	case azure && doc.Unit != nil:
		b.wrong(doc.Unit, "the unit of an Azure trace is fixed: leave it out")
	case format == "azure-2019" && doc.Demand != nil:
		b.wrong(doc.Demand, "this trace has no demands: leave the key out")
	}
	if !b.sound(doc) || s.Cluster.Nodes() == 0 || len(s.Functions) == 0 || s.Duration == 0 {
		return t
	}
	doc.File.Header = true
	r := &traceReader{b: b, doc: doc, s: s, from: doc.From.seconds(),
		to: doc.From.seconds() + float64(s.Duration.Seconds()*t.speedup), names: map[string]int{}}
	args := []any{s.Duration, doc.From, doc.Speedup, or(doc.Unit, ""), or(doc.Demand, ""), or(doc.Top, 0),
		or(doc.Place, ""), s.Cluster.Nodes(), s.FunctionNames()}
	switch format {
	case "replay":
		t.tasksAt = keep(b, &doc.File, format, r.replay, args...)
	case "azure-2021":
		t.tasksAt = keep(b, &doc.File, format, r.azure2021, args...)
	case "azure-2019":
		t.minutes = keep(b, &doc.File, format, r.azure2019, args...)
		t.offset = r.from - float64(60*math.Floor(r.from/60))
	}
	if b.sound(doc) && t.tasks(s) == 0 {
		b.wrong(doc, "the trace has no task in this window: change from, speedup, or the duration")
	}
	return t
}

// traceReader reads a window of a trace.
type traceReader struct {
	b        *builder
	doc      *traceDoc
	s        *Scenario
	from, to float64        // the window, in seconds of the trace
	names    map[string]int // functions of an Azure trace, in order of appearance
	calls    []int          // in the window, by function
}

// inWindow converts seconds of the trace into a time of the run.
func (r *traceReader) inWindow(seconds float64) (core.Time, bool) {
	if seconds < r.from || seconds >= r.to {
		return 0, false
	}
	return core.Time(random.Seconds((seconds - r.from) / float64(r.doc.Speedup))), true
}

// replay reads the columns time and, where they are there, node, function, demand, deadline.
func (r *traceReader) replay() (tasks []recorded, sums []string) {
	unit := durations.seconds(string(or(r.doc.Unit, "s")))
	var at [5]int
	last := math.Inf(-1)
	sum := r.b.read(&r.doc.File, string(r.doc.File.Path), func(t *table) {
		if len(t.header) > 0 && math.IsInf(last, -1) && !r.columns(t, &at) {
			return
		}
		seconds, ok := r.time(t, at[0], unit)
		if !ok {
			return
		}
		if seconds < last {
			t.bad(at[0]+1, "the time goes back: sort the file by time")
			return
		}
		last = seconds
		x := recorded{demand: unsaid, deadline: unsaid, node: core.NoNode, typ: unsaid}
		if r.fields(t, &at, unit, &x) {
			if x.at, ok = r.inWindow(seconds); ok {
				tasks = append(tasks, x)
			}
		}
	})
	return tasks, []string{sum}
}

var replayColumns = [5]string{"time", "node", "function", "demand", "deadline"}

func (r *traceReader) columns(t *table, at *[5]int) bool {
	for i, name := range replayColumns {
		at[i] = t.find(name)
	}
	for i, h := range t.header {
		if !slices.Contains(replayColumns[:], strings.TrimSpace(h)) {
			t.line = 1
			t.bad(i+1, "the column %q is not known: %s", short(h), suggest(strings.TrimSpace(h), replayColumns[:]))
			return false
		}
	}
	if at[0] < 0 {
		t.line = 1
		t.bad(0, "there is no column time: name the columns in the first line, as time,node,function")
		return false
	}
	return true
}

// time is a number of time units that is not negative, in seconds.
func (r *traceReader) time(t *table, column int, unit float64) (float64, bool) {
	v, ok := t.number(column)
	if ok && v < 0 {
		t.bad(column+1, "%g is negative: a time is 0 or more", v)
		return 0, false
	}
	return float64(v * unit), ok
}

// fields reads what the trace says of a task: an empty cell says nothing, as a column that is not there.
func (r *traceReader) fields(t *table, at *[5]int, unit float64, x *recorded) bool {
	says := func(column int) bool { return column >= 0 && strings.TrimSpace(t.cells[column]) != "" }
	if c := at[1]; says(c) {
		v, ok := t.number(c)
		if n := r.s.Cluster.Nodes(); ok && (v != math.Trunc(v) || v < 0 || v >= float64(n)) {
			t.bad(c+1, "%g is not a node: write a whole number from 0 to %d", v, n-1)
		}
		x.node = core.NodeID(v)
	}
	if c := at[2]; says(c) {
		name := strings.TrimSpace(t.cells[c])
		x.typ = int32(slices.Index(r.s.FunctionNames(), name))
		if x.typ < 0 {
			t.bad(c+1, "%q is not a function of the scenario: %s", short(name), suggest(name, r.s.FunctionNames()))
		}
	}
	if c := at[3]; says(c) && or(r.doc.Demand, "trace") == "trace" {
		v, _ := r.time(t, c, unit)
		x.demand = random.Seconds(v)
	}
	if c := at[4]; says(c) {
		v, _ := r.time(t, c, unit)
		x.deadline = random.Seconds(v)
	}
	return !t.failed
}

// function numbers the functions of an Azure trace and counts their invocations.
func (r *traceReader) function(name string, calls int) int32 {
	i, ok := r.names[name]
	if !ok {
		i = len(r.names)
		r.names[name] = i
		r.calls = append(r.calls, 0)
	}
	r.calls[i] += calls
	return int32(i)
}

// ranks gives each function of the trace its rank by invocations, from 0; -1 where it is not among the top.
func (r *traceReader) ranks() []int32 {
	order := make([]int32, len(r.calls))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(r.calls[b], r.calls[a]) })
	ranks := make([]int32, len(order))
	top := or(r.doc.Top, count(len(order)))
	for rank, i := range order {
		ranks[i] = int32(rank)
		if rank >= int(top) {
			ranks[i] = unsaid
		}
	}
	return ranks
}

// play is the node and the function of the scenario that stand for the function of a rank.
func (r *traceReader) play(rank int32) (core.NodeID, int32) {
	typ := rank % int32(len(r.s.Functions))
	if or(r.doc.Place, "function") == "random" {
		return core.NoNode, typ
	}
	return core.NodeID(int(rank) % r.s.Cluster.Nodes()), typ
}

// expect checks the published columns of a trace.
func (r *traceReader) expect(t *table, names ...string) bool {
	for i, name := range names {
		if t.find(name) != i {
			t.line = 1
			t.bad(i+1, "the column is not %s: use the trace as published, with the columns %s", name, strings.Join(names, ","))
			return false
		}
	}
	return true
}

// azure2021 reads AzureFunctionsInvocationTraceForTwoWeeksJan2021.txt: one row per invocation, in seconds. An
// invocation began its duration before its end.
func (r *traceReader) azure2021() (tasks []recorded, sums []string) {
	first := true
	sum := r.b.read(&r.doc.File, string(r.doc.File.Path), func(t *table) {
		if first && !r.expect(t, "app", "func", "end_timestamp", "duration") {
			return
		}
		first = false
		end, ok := r.time(t, 2, 1)
		d, also := r.time(t, 3, 1)
		if !ok || !also {
			return
		}
		if at, in := r.inWindow(end - d); in {
			x := recorded{at: at, demand: random.Seconds(d), deadline: unsaid, typ: r.function(t.cells[0]+"/"+t.cells[1], 1)}
			if or(r.doc.Demand, "trace") == "function" {
				x.demand = unsaid
			}
			tasks = append(tasks, x)
		}
	})
	ranks := r.ranks()
	kept := tasks[:0]
	for _, x := range tasks {
		if rank := ranks[x.typ]; rank >= 0 {
			x.node, x.typ = r.play(rank)
			kept = append(kept, x)
		}
	}
	slices.SortStableFunc(kept, func(a, b recorded) int { return cmp.Compare(a.at, b.at) })
	return kept, []string{sum}
}

const minutesPerDay = 1440

// azure2019 reads a day of invocations_per_function_md: a row per function, a column per minute.
func (r *traceReader) azure2019() (minutes [][]tally, sums []string) {
	begin := int(r.from / 60)
	end := min(minutesPerDay, int(math.Ceil(r.to/60)))
	minutes = make([][]tally, max(0, end-begin))
	names := []string{"HashOwner", "HashApp", "HashFunction", "Trigger"}
	for m := range minutesPerDay {
		names = append(names, strconv.Itoa(m+1))
	}
	first := true
	sum := r.b.read(&r.doc.File, string(r.doc.File.Path), func(t *table) {
		if first && !r.expect(t, names...) {
			return
		}
		first = false
		f := r.function(strings.Join(t.cells[:3], "/"), 0)
		for m := begin; m < end; m++ {
			n, err := strconv.ParseUint(t.cells[4+m], 10, 31)
			if err != nil {
				t.bad(5+m, "%q is not a number of invocations: write a whole number", short(t.cells[4+m]))
				return
			}
			if n > 0 {
				r.calls[f] += int(n)
				minutes[m-begin] = append(minutes[m-begin], tally{f, int32(n)})
			}
		}
	})
	ranks := r.ranks()
	for m, list := range minutes {
		kept := list[:0]
		for _, x := range list {
			if x.rank = ranks[x.rank]; x.rank >= 0 {
				kept = append(kept, x)
			}
		}
		minutes[m] = kept
	}
	return minutes, []string{sum}
}

// tasks is the number of tasks of a run.
func (t *Trace) tasks(s *Scenario) float64 {
	n := len(t.tasksAt)
	for _, list := range t.minutes {
		for _, x := range list {
			n += int(x.count)
		}
	}
	return float64(n)
}

func (t *Trace) feed(s *Scenario, replication int) feed {
	r := rand.New(random.Stream(s.Seed, replication, random.Arrivals, 0))
	if t.minutes == nil {
		return &replayFeed{tasks: t.tasksAt, rand: r, nodes: uint64(s.Cluster.Nodes())}
	}
	return &minuteFeed{trace: t, rand: r, nodes: s.Cluster.Nodes(), functions: len(s.Functions)}
}

// replayFeed yields the tasks of a trace, and draws what it does not say.
type replayFeed struct {
	tasks []recorded
	rand  *rand.Rand
	nodes uint64
}

func (f *replayFeed) next(a *Arrivals, out *Arrival) bool {
	if len(f.tasks) == 0 {
		return false
	}
	x := &f.tasks[0]
	f.tasks = f.tasks[1:]
	*out = Arrival{At: x.at, Demand: x.demand, Deadline: x.deadline, Node: x.node, Type: core.TaskType(x.typ)}
	if x.node == core.NoNode {
		out.Node = core.NodeID(below(f.rand, f.nodes))
	}
	if x.typ == unsaid {
		out.Type = a.task(f.rand)
	}
	return true
}

// minuteFeed puts the invocations of each minute at random instants within it.
type minuteFeed struct {
	trace     *Trace
	rand      *rand.Rand
	minute    int
	buffer    []recorded
	pending   []recorded // what is left of buffer
	nodes     int
	functions int
}

func (f *minuteFeed) next(_ *Arrivals, out *Arrival) bool {
	for len(f.pending) == 0 {
		if f.minute == len(f.trace.minutes) {
			return false
		}
		f.fill()
	}
	x := &f.pending[0]
	f.pending = f.pending[1:]
	*out = Arrival{At: x.at, Demand: unsaid, Deadline: unsaid, Node: x.node, Type: core.TaskType(x.typ)}
	return true
}

// fill draws the next minute. What lies before the window is drawn too, and dropped.
func (f *minuteFeed) fill() {
	t := f.trace
	f.buffer = f.buffer[:0]
	for _, x := range t.minutes[f.minute] {
		for range x.count {
			seconds := float64(60*(float64(f.minute)+random.Unit(f.rand))) - t.offset
			node := core.NodeID(int(x.rank) % f.nodes)
			if t.anywhere {
				node = core.NodeID(below(f.rand, uint64(f.nodes)))
			}
			if seconds >= 0 {
				f.buffer = append(f.buffer, recorded{at: core.Time(random.Seconds(seconds / t.speedup)), node: node,
					typ: x.rank % int32(f.functions)})
			}
		}
	}
	slices.SortStableFunc(f.buffer, func(a, b recorded) int { return cmp.Compare(a.at, b.at) })
	f.pending = f.buffer
	f.minute++
}
