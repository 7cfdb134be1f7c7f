package loadgen

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// The faults of a scenario on real nodes: the plan is that of the simulation, carried out by the clock of the load generator. What happens
// inside a node the node does itself (package realnet, faults.go), when it is told what lies on it.

// Machines does to nodes, by number, what they cannot do to themselves. Different nodes may be asked for at once.
type Machines interface {
	Crash(ctx context.Context, node int) error   // it is gone, with what it executes and without a word
	Restart(ctx context.Context, node int) error // it is started as it was at first; it need not be ready
	Pause(ctx context.Context, node int) error   // it stands still, with what it executes
	Resume(ctx context.Context, node int) error  // it goes on
}

// How long nodes are given.
const (
	restartPatience  = 30 * time.Second // to answer when they have been started again
	wordsPatience    = time.Second / 2  // to say how they are before they crash, which waits for it
	tellPatience     = 10 * time.Second // to take what lies on them
	recoveryPatience = 60 * time.Second // to know each other and to serve, when all faults are over
	tryPatience      = 5 * time.Second  // for one answer of those that are waited for
	askAgain         = 50 * time.Millisecond
	settlePatience   = realnet.PeerKeptIdle + 5*time.Second // to let go of what they had for that, but no more than settleShare of the run
	settleShare      = 0.25
)

// befalling has faults begin and end on the nodes of a run.
type befalling struct {
	load    *load
	plan    []scenarios.FaultEvent // sorted; what a load begins is added when it does
	loads   []scenarios.FaultEvent // that a load begins, and that has not been there yet
	lying   []scenarios.FaultEvent
	counts  []results.FaultCount
	victims []*victim
	work    sync.WaitGroup
	failed  context.CancelCauseFunc // of the run

	mu       sync.Mutex // guards what follows
	late     *results.Punctuality
	restarts *results.Punctuality
}

// victim is a node that faults may befall: its goroutine makes what lies on it what is to lie on it.
type victim struct {
	of   *befalling
	node int
	kick chan struct{} // holds one: something is to change; closed when nothing will any more

	mu     sync.Mutex
	lying  []realnet.Lying  // that are to lie on it
	due    time.Time        // since when something of that has been to change; zero: nothing has
	own    trouble          // by what lies on itself
	links  trouble          // by what lies on links, its own or not
	born   time.Time        // when this life of it began; zero: before the run
	past   []life           // that have ended by a crash
	before *results.NodeUse // what it used when this life of it was warm, a warm-up after it had begun; nil: it is not known

	down   bool
	paused bool            // some of it may stand still
	told   []realnet.Lying // by the process that runs; nil: nothing
}

// trouble is whether something lies that may lose requests, and until when something did.
type trouble struct {
	lies bool
	past time.Time
}

// set says whether something lies now.
func (x *trouble) set(lies bool) {
	if x.lies && !lies {
		x.past = time.Now()
	}
	x.lies = lies
}

// since reports whether something has lain at an instant or after it.
func (x *trouble) since(t time.Time) bool { return x.lies || x.past.After(t) }

// life is one of a node's that has ended.
type life struct {
	born, died time.Time
	said       *realnet.Status // of itself, in the end; nil: nothing
}

// newBefalling is nil where the scenario has no faults.
func newBefalling(l *load, failed context.CancelCauseFunc) *befalling {
	s := l.Scenario
	if len(s.Faults) == 0 {
		return nil
	}
	b := &befalling{load: l, plan: s.FaultPlan(l.Replication), failed: failed, late: results.NewPunctuality(), restarts: results.NewPunctuality()}
	if i := slices.IndexFunc(b.plan, func(e scenarios.FaultEvent) bool { return e.At == core.Never }); i >= 0 {
		b.plan, b.loads = b.plan[:i:i], b.plan[i:]
	}
	for i := range s.Faults {
		b.counts = append(b.counts, results.FaultCount{Fault: s.Faults[i].String()})
	}
	for i := range l.Targets {
		b.victims = append(b.victims, &victim{of: b, node: i, kick: make(chan struct{}, 1)})
	}
	return b
}

// run carries out the plan until ctx ends, and then ends what lies on nodes, also where the run is interrupted. What goes wrong fails the run.
func (b *befalling) run(ctx context.Context) {
	for _, v := range b.victims {
		b.work.Go(func() { v.live(ctx) })
	}
	look := time.NewTicker(sampleEvery)
	defer look.Stop()
	for ctx.Err() == nil {
		next := time.NewTimer(time.Hour) // where the plan is over, nothing
		if len(b.plan) > 0 {
			next.Reset(time.Until(b.load.start.Add(time.Duration(b.plan[0].At))))
		}
		select {
		case <-ctx.Done():
		case <-next.C:
		case <-look.C:
			if len(b.loads) > 0 {
				b.look(ctx)
			}
		}
		next.Stop()
		for len(b.plan) > 0 && time.Since(b.load.start) >= time.Duration(b.plan[0].At) {
			e := b.plan[0]
			b.plan = b.plan[1:]
			b.change(e)
		}
	}
	b.lying = nil
	b.tell(time.Now())
	for _, v := range b.victims {
		close(v.kick)
	}
	b.work.Wait()
}

// change carries out an event of the plan.
func (b *befalling) change(e scenarios.FaultEvent) {
	if e.Begin {
		b.lying = append(b.lying, e)
		b.counts[e.Fault].Begins(time.Duration(e.At), b.load.Scenario.Faults[e.Fault].Upon(e.Nodes))
	} else { // an entry lies on something once at a time
		b.lying = slices.DeleteFunc(b.lying, func(x scenarios.FaultEvent) bool { return x.Fault == e.Fault })
	}
	b.tell(b.load.start.Add(time.Duration(e.At)))
}

// tell has each node have what is to lie on it since an instant: what befalls itself, and what lies on links.
func (b *befalling) tell(since time.Time) {
	s := b.load.Scenario
	for _, v := range b.victims {
		lying := []realnet.Lying{}
		for _, e := range b.lying {
			f := &s.Faults[e.Fault]
			if slices.Contains(e.Nodes, core.NodeID(v.node)) || f.OfLinks() {
				lying = append(lying, realnet.Lying{Fault: e.Fault, Kind: f.Kind, Nodes: e.Nodes})
			}
		}
		v.mu.Lock()
		same := slices.EqualFunc(v.lying, lying, realnet.Lying.Equal)
		if v.lying = lying; !same {
			v.due = since
		}
		own, links := v.troubles()
		v.own.set(v.own.lies || own) // it ends when the node is as it is to be
		v.links.set(v.links.lies || links)
		v.mu.Unlock()
		if !same {
			select {
			case v.kick <- struct{}{}:
			default: // it has been told already
			}
		}
	}
}

// troubles says whether something is to lie on the node, and on links, that may lose requests.
func (v *victim) troubles() (own, links bool) {
	for _, l := range v.lying {
		if f := &v.of.load.Scenario.Faults[l.Fault]; f.Loses() {
			own, links = own || !f.OfLinks(), links || f.OfLinks()
		}
	}
	return own, links
}

// explain reports whether faults explain that a request was lost that was due at an instant: something has lain since then on the node that it was
// sent to or, where that forwarded it, or nobody answered in time, so that where it was is not known, anywhere.
func (b *befalling) explain(r *results.Record, due time.Time, late bool) bool {
	if b == nil {
		return false
	}
	anywhere := late || r.Hops+r.Retries > 0 || r.Timing.Forwarding > 0
	return slices.ContainsFunc(b.victims, func(v *victim) bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.own.since(due) && (anywhere || v.node == int(r.Node)) || v.links.since(due) && anywhere
	})
}

// look begins what a load of a node begins.
func (b *befalling) look(ctx context.Context) {
	s := b.load.Scenario
	if time.Since(b.load.start) >= s.Duration {
		b.loads = nil
		return
	}
	loads := b.load.askLoads(ctx, sampleEvery)
	b.loads = slices.DeleteFunc(b.loads, func(e scenarios.FaultEvent) bool {
		for _, n := range e.Nodes {
			if int(loads[n]) < s.Faults[e.Fault].When.Load {
				continue
			}
			for _, x := range s.Occurs(e, core.Time(time.Since(b.load.start)), n) {
				i, _ := slices.BinarySearchFunc(b.plan, x, func(a, b scenarios.FaultEvent) int { return cmp.Compare(a.At, b.At) })
				b.plan = slices.Insert(b.plan, i, x)
			}
			return true
		}
		return false
	})
}

// live changes what lies on the node, until nothing will change any more: then what failed before is tried again. Nodes are brought back also when
// ctx has ended, which is when the run does.
func (v *victim) live(ctx context.Context) {
	for range v.kick {
		v.change(ctx)
	}
	v.change(ctx)
}

// change makes what lies on the node what is to lie on it. Where that fails, so does the run.
func (v *victim) change(ctx context.Context) {
	done, err := false, error(nil)
	for !done && err == nil {
		done, err = v.step(ctx)
	}
	if err != nil {
		v.of.failed(fmt.Errorf("a fault of the scenario at node %d at %s: %w", v.node, v.of.load.Targets[v.node].Scheduler, err))
	}
}

// step changes one thing; done, where there is nothing to change.
func (v *victim) step(run context.Context) (done bool, err error) {
	ctx := context.WithoutCancel(run)
	v.mu.Lock()
	due := v.due
	lying := slices.Clone(v.lying)
	v.mu.Unlock()
	lies := func(kind scenarios.FaultKind) bool {
		return slices.ContainsFunc(lying, func(l realnet.Lying) bool { return l.Kind == kind })
	}
	inside := slices.DeleteFunc(slices.Clone(lying), func(l realnet.Lying) bool { return l.Kind == scenarios.Crash || l.Kind == scenarios.Pause })
	machines := v.of.load.Machines
	switch {
	case v.paused && (lies(scenarios.Crash) || !lies(scenarios.Pause)): // before it crashes, too: its functions do not end with it everywhere
		if err = machines.Resume(ctx, v.node); err == nil {
			v.paused = false
		}
	case lies(scenarios.Crash) && !v.down:
		said := v.of.load.askNode(ctx, v.of.load.Targets[v.node].Scheduler, wordsPatience)
		if err = machines.Crash(ctx, v.node); err == nil {
			v.down, v.told = true, nil
			v.mu.Lock()
			v.past, v.before = append(v.past, life{v.born, time.Now(), said}), nil
			v.mu.Unlock()
		}
	case !lies(scenarios.Crash) && v.down:
		if err = v.restart(ctx); err == nil {
			v.of.note(v.of.restarts, due)
			v.down = false
			v.mu.Lock()
			v.born = time.Now()
			v.mu.Unlock()
			v.of.work.Go(func() { v.measure(run, v.of.load.Scenario.Warmup) }) // as at first: links and what is pooled are there
		}
	case v.down:
		done = true
	case !v.paused && !slices.EqualFunc(v.told, inside, realnet.Lying.Equal):
		if err = v.tell(ctx, inside); err == nil {
			v.told = inside
		}
	case !v.paused && lies(scenarios.Pause):
		v.paused = true // also where that fails half-way
		err = machines.Pause(ctx, v.node)
	default:
		done = true
	}
	if done {
		v.changed(due, lying)
	}
	return done, err
}

// changed notes that all is as it was to be since an instant, when this was to lie.
func (v *victim) changed(due time.Time, lying []realnet.Lying) {
	v.mu.Lock()
	defer v.mu.Unlock()
	own, links := v.troubles()
	if v.due.Equal(due) && slices.EqualFunc(v.lying, lying, realnet.Lying.Equal) { // two events may be at one instant
		v.due = time.Time{}
		v.own.set(own)
		v.links.set(links)
	}
	if !due.IsZero() {
		v.of.note(v.of.late, due)
	}
}

// note counts how late something is that was due.
func (b *befalling) note(in *results.Punctuality, due time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	in.Add(time.Since(due))
}

// restart starts the node again, and waits until it answers.
func (v *victim) restart(ctx context.Context) error {
	l := v.of.load
	if err := l.Machines.Restart(ctx, v.node); err != nil {
		return err
	}
	return again(ctx, restartPatience, func(ctx context.Context) error {
		_, err := realnet.AskStatus(ctx, l.http, l.Targets[v.node].Scheduler)
		return err
	})
}

// measure asks the node what it uses, when a warm-up is over and it knows its peers; where it does not say it, or is another one by then, that is
// missing in the results. ctx ends when the run does.
func (v *victim) measure(ctx context.Context, warmup time.Duration) {
	v.mu.Lock()
	lives := len(v.past)
	v.mu.Unlock()
	l := v.of.load
	if l.clock.Sleep(ctx, time.Now().Add(warmup)) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, recoveryPatience)
	defer cancel()
	address := l.Targets[v.node].Scheduler
	var use *results.NodeUse
	err := realnet.AwaitPeers(ctx, l.http, address, realnet.ScenarioPeers(l.Scenario, core.NodeID(v.node)))
	if err == nil {
		err = again(ctx, recoveryPatience, func(ctx context.Context) (err error) {
			use, err = askUse(ctx, l.http, address)
			return err
		})
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if err == nil && len(v.past) == lives {
		v.before = use
	}
}

// measure asks all nodes what they use.
func (b *befalling) measure(ctx context.Context) {
	var asking sync.WaitGroup
	for _, v := range b.victims {
		asking.Go(func() { v.measure(ctx, 0) })
	}
	asking.Wait()
}

// tell has the node know what lies on it.
func (v *victim) tell(ctx context.Context, lying []realnet.Lying) error {
	text, err := json.Marshal(lying)
	if err != nil {
		return err
	}
	l := v.of.load
	return again(ctx, tellPatience, func(ctx context.Context) error {
		q, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+l.Targets[v.node].Scheduler+"/dev/faults", bytes.NewReader(text))
		if err != nil {
			return err
		}
		return realnet.ExpectOK(l.http, q)
	})
}

// again tries until it succeeds, or patience or ctx ends.
func again(ctx context.Context, patience time.Duration, try func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		bounded, done := context.WithTimeout(ctx, tryPatience)
		err := try(bounded)
		done()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
			return fmt.Errorf("in vain within %v: %w", patience, err)
		}
	}
}

// spells are those of all nodes: what they said at the end of the warm-up and after the run, and what lives that have ended in between said in their
// end. silent is how many of these said nothing.
func (b *befalling) spells(before, after []*realnet.Status) (all []spell, silent int) {
	l := b.load
	from, to := l.start.Add(l.Scenario.Warmup), l.start.Add(l.Scenario.Duration)
	for i := range after {
		if i >= len(b.victims) { // the cloud
			all = append(all, spell{before[i], after[i]})
			continue
		}
		v := b.victims[i]
		for _, x := range append(v.past, life{born: v.born, said: after[i]}) {
			s := spell{before[i], x.said}
			if x.born.After(from) {
				s.before = &realnet.Status{} // all that it said is of the measured part
			}
			switch died := !x.died.IsZero(); {
			case died && x.died.Before(from) || x.born.After(to): // it is of none of it
			case died && x.said == nil:
				silent++
			default:
				all = append(all, s)
			}
		}
	}
	return all, silent
}

// After the faults.

// recovered waits, when all faults are over, until the cluster is as before, and says how it went.
func (b *befalling) recovered(ctx context.Context) *results.Faults {
	l, began := b.load, time.Now()
	f := &results.Faults{Late: b.late.Lateness(), Restarts: b.restarts.Lateness()}
	bounded, cancel := context.WithTimeout(ctx, recoveryPatience)
	defer cancel()
	problems := make([]error, len(l.Targets))
	var waiting sync.WaitGroup
	for i := range l.Targets {
		waiting.Go(func() {
			if err := realnet.AwaitPeers(bounded, l.http, l.Targets[i].Scheduler, realnet.ScenarioPeers(l.Scenario, core.NodeID(i))); err != nil {
				problems[i] = fmt.Errorf("node %d: %w", i, err)
			} else if err := l.serves(bounded, i); err != nil {
				problems[i] = fmt.Errorf("node %d does not serve: %w", i, err)
			}
		})
	}
	waiting.Wait()
	f.Recovery = time.Since(began)
	for _, err := range problems {
		if err != nil {
			f.Unrecovered = append(f.Unrecovered, err.Error())
		}
	}
	before := make([]*results.NodeUse, len(l.Targets))
	for i, v := range b.victims {
		before[i] = v.before
	}
	after := l.settle(ctx, before)
	for i := range l.Targets {
		if before[i] != nil && after[i] != nil {
			f.Nodes = append(f.Nodes, results.NodeUses{Node: core.NodeID(i), Before: *before[i], After: *after[i]})
		} else {
			f.Unmeasured++
		}
	}
	return f
}

// serves waits until a node answers a request otherwise than that it is lost.
func (l *load) serves(ctx context.Context, node int) error {
	f := slices.IndexFunc(l.Scenario.Functions, func(f scenarios.Function) bool { return f.On(core.NodeID(node), &l.Scenario.Cluster) })
	a := scenarios.Arrival{Node: core.NodeID(node), Type: core.TaskType(max(0, f)), Demand: time.Millisecond}
	return again(ctx, recoveryPatience, func(ctx context.Context) error {
		said, err := l.ask(ctx, &a, 0, time.Now())
		if err == nil && outcomeOf(said.report.Outcome).Lost() {
			err = errors.New(said.report.Outcome)
		}
		return err
	})
}

// settle waits for a while until no node has more goroutines than before, and returns what the nodes use. Connections that nobody uses any more
// are what they have more, mostly: they are closed after realnet.PeerKeptIdle.
func (l *load) settle(ctx context.Context, before []*results.NodeUse) []*results.NodeUse {
	l.http.CloseIdleConnections()
	patience := min(settlePatience, time.Duration(settleShare*float64(l.Scenario.Duration)))
	for began := time.Now(); ; {
		after := l.askUse(ctx, tellPatience)
		more := false
		for i, b := range before {
			more = more || b != nil && after[i] != nil && after[i].Goroutines > b.Goroutines
		}
		if !more || time.Since(began) > patience || ctx.Err() != nil {
			return after
		}
		time.Sleep(4 * askAgain)
	}
}

// askUse asks every node what it uses, until it says it; nil where one does not within patience.
func (l *load) askUse(ctx context.Context, patience time.Duration) []*results.NodeUse {
	all := make([]*results.NodeUse, len(l.Targets))
	var asking sync.WaitGroup
	for i, t := range l.Targets {
		asking.Go(func() {
			_ = again(ctx, patience, func(ctx context.Context) (err error) { // that one is missing is said
				all[i], err = askUse(ctx, l.http, t.Scheduler)
				return err
			})
		})
	}
	asking.Wait()
	return all
}

// askUse asks the node whose scheduler service is at address, IP:PORT, what it uses.
func askUse(ctx context.Context, client *http.Client, address string) (*results.NodeUse, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	a, err := client.Do(q)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(a.Body)
	if err != nil {
		return nil, err
	}
	gauge := func(name string) float64 {
		for _, m := range families[name].GetMetric() {
			return m.GetGauge().GetValue()
		}
		return 0
	}
	return &results.NodeUse{Goroutines: int(gauge("go_goroutines")), MemoryBytes: int64(gauge("process_resident_memory_bytes"))}, nil
}
