// Package loadgen is the clients of a scenario, on real nodes: an open-loop generator, which sends each request when it is due, whatever has become of
// those before.
//
// Generate sends the requests and counts what becomes of them (load.go, request.go, results.go). Before the first one it looks whether the nodes are what
// the scenario says (check.go); Configure makes them so where they are to be (configure.go). It looks at their loads and counts meanwhile (nodes.go), teaches their
// learners, and has the faults of the scenario begin and end (faults.go); what befalls a node inside, the node does to itself (package realnet).
package loadgen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/precise"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// Target is a node that is called.
type Target struct {
	Scheduler string // address of its scheduler service, IP:PORT
	Learner   string // URL of the HTTP service of its own learner, http://IP:PORT; empty: it has none
}

// Share is a part of a schedule, for several generators that know nothing of each other: of every Of requests, that with
// the number Index. The zero Share is everything.
type Share struct{ Index, Of int }

// String is the share as its flag has it, counted from 1; empty where it is everything.
func (s Share) String() string {
	if s.Of <= 1 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index+1, s.Of)
}

// has reports whether a request is in the share.
func (s Share) has(id core.TaskID) bool { return s.Of <= 1 || int(id%core.TaskID(s.Of)) == s.Index }

// Options are what a load generator sends, and where.
type Options struct {
	Scenario    *scenarios.Scenario
	Replication int
	Targets     []Target             // by node, without the cloud
	Credentials *realnet.Credentials // shown to the nodes; nil: they ask for none
	Cloud       string               // address of the cloud's scheduler service, where there is one: nobody calls it
	Share       Share
	Start       time.Time // of the schedule; zero: now
	// Payloads are bodies of requests, by the name of their function, to be sent in turn; a function without any gets as
	// many bytes as the scenario says.
	Payloads map[string][][]byte
	Timeout  time.Duration         // of a request, from when it is due, after which it is lost; 0: the scenario's client.timeout or, where there is none, 1 min
	Every    time.Duration         // between two looks at the loads of the nodes; 0: SampleInterval
	Sample   int                   // how many requests to keep as Replication.Records, drawn uniformly
	Each     func(*results.Record) // takes every measured request when it has ended; nil: nobody does
	Begun    func(start time.Time) // told when the schedule begins, before it does; nil: nobody is
	Progress func(requests int)    // told by how many requests the run has advanced; nil: nobody is
	Machines Machines              // for the scenario's faults; nil: it has none
}

// maxUnderWay bounds the requests that wait for their answers at once: more than any node has in hand. A test has fewer.
var maxUnderWay = 1 << 16

// leadTime is how long before its start a schedule is begun, where nobody says when that is.
const leadTime = 50 * time.Millisecond

// load is a run of the generator.
type load struct {
	Options
	start    time.Time
	clock    *precise.Clock
	http     *http.Client
	urls     [][]string // by node and function
	filler   [][]byte   // by function
	numbers  map[string]core.NodeID
	count    *counting
	teachers []*teacher // by node; nil: nobody teaches
	slots    chan struct{}
	work     sync.WaitGroup
	// befalling has faults occur; nil: there are none.
	befalling *befalling
}

// Generate sends the requests of a scenario when they are due, whatever has become of those before (an open loop), and
// returns what became of them. The schedule is that of the simulation: the same requests at the same instants, with the
// same demands. Latency counts from the instant at which a request was meant to leave. Where ctx ends first, so does the
// run, with an error.
func Generate(ctx context.Context, o Options) (*results.Replication, error) {
	s := o.Scenario
	if len(o.Targets) != s.Cluster.Nodes() {
		return nil, fmt.Errorf("the scenario has %d nodes, and %d are given: give one address for each", s.Cluster.Nodes(),
			len(o.Targets))
	}
	if len(s.Faults) > 0 && o.Machines == nil {
		return nil, errors.New("the scenario has faults, and nothing here can make them")
	}
	o.Timeout = cmp.Or(o.Timeout, s.Client.Timeout, time.Minute)
	l := &load{Options: o, clock: precise.New(), slots: make(chan struct{}, maxUnderWay),
		http: o.Credentials.Client(&http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			MaxIdleConnsPerHost: 1024, IdleConnTimeout: 90 * time.Second, DisableCompression: true})}
	defer l.clock.Close()
	defer l.http.CloseIdleConnections()
	l.address()
	if err := l.ready(ctx); err != nil {
		return nil, err
	}
	reality := &results.Reality{Share: l.Share.String(), Unlike: l.compare(ctx)}
	if l.start = o.Start; l.start.IsZero() {
		l.start = time.Now().Add(leadTime)
	} else if time.Now().After(l.start) {
		return nil, fmt.Errorf("the schedule was to begin at %v, which has passed", l.start)
	}
	if err := l.hire(); err != nil {
		return nil, err
	}
	if l.Begun != nil {
		l.Begun(l.start)
	}
	l.count = newCounting(&o)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	watching, stop := context.WithCancel(ctx)
	var sampling, watch sync.WaitGroup
	sampling.Go(func() { l.sampleLoads(ctx) })
	if l.befalling = newBefalling(l, fail); l.befalling != nil {
		watch.Go(func() { l.befalling.run(watching) })
	}
	before := make([]*realnet.Status, len(l.Targets)+1)
	watch.Go(func() {
		if l.clock.Sleep(watching, l.start.Add(s.Warmup)) != nil {
			return
		}
		before = l.askNodes(watching)
		if l.befalling != nil {
			l.befalling.measure(watching)
		}
	})
	err := l.send(ctx)
	if err != nil {
		fail(err) // nobody wants the answers any more
	}
	l.work.Wait()
	wall := time.Since(l.start)
	if err == nil {
		err = l.clock.Sleep(ctx, l.start.Add(s.Duration)) // there are loads, and faults, until then, as in simulation
	}
	stop()
	sampling.Wait()
	watch.Wait()
	l.dismiss(ctx)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	after := l.askNodes(ctx)
	said := spells(before, after)
	if b := l.befalling; b != nil {
		said, reality.Silent = b.spells(before, after)
		reality.Faults, l.count.result.Faults = b.recovered(ctx), b.counts
	}
	for i, err := range l.reach(ctx) {
		if err != nil {
			reality.Gone = append(reality.Gone, results.Address{Node: core.NodeID(i), Address: l.Targets[i].Scheduler})
		}
	}
	return l.count.finish(wall, said, reality)
}

// address prepares what the requests have in common.
func (l *load) address() {
	l.numbers = map[string]core.NodeID{}
	for i, t := range l.Targets {
		l.numbers[realnet.CanonicalAddress(t.Scheduler)] = core.NodeID(i)
		var urls []string
		for _, f := range l.Scenario.Functions {
			urls = append(urls, "http://"+t.Scheduler+"/function/"+f.Name)
		}
		l.urls = append(l.urls, urls)
	}
	if l.Cloud != "" {
		l.numbers[realnet.CanonicalAddress(l.Cloud)] = core.NodeID(len(l.Targets))
	}
	for _, f := range l.Scenario.Functions {
		l.filler = append(l.filler, make([]byte, f.Payload))
	}
}

// payload is the body of a request.
func (l *load) payload(a *scenarios.Arrival, id core.TaskID) []byte {
	if p := l.Payloads[l.Scenario.Functions[a.Type].Name]; len(p) > 0 {
		return p[int(id)%len(p)]
	}
	return l.filler[a.Type]
}

// Ready asks the nodes whether the load may be sent to them. The error names those that do not answer, each with an UnreachedError, and those that
// lack a function which the scenario places on them: each request for that would fail.
func Ready(ctx context.Context, o Options) error {
	l := &load{Options: o, http: o.Credentials.Client(&http.Transport{})}
	defer l.http.CloseIdleConnections()
	return l.ready(ctx)
}

func (l *load) ready(ctx context.Context) error {
	err := errors.Join(l.reach(ctx)...)
	if err == nil {
		err = errors.Join(l.lack(ctx)...)
	}
	return cmp.Or(ctx.Err(), err) // whom nobody waits for has not failed to answer
}

// UnreachedError says that a node does not answer.
type UnreachedError struct {
	Node    int
	Address string // of its scheduler
	Cause   error
}

func (e *UnreachedError) Error() string {
	return fmt.Sprintf("node %d at %s: %v", e.Node, e.Address, e.Cause)
}

// reach asks every node for its load, and returns what is wrong with those that do not answer, by node.
func (l *load) reach(ctx context.Context) []error {
	problems := make([]error, len(l.Targets))
	var asking sync.WaitGroup
	for i, t := range l.Targets {
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			if _, err := realnet.AskLoad(ctx, l.http, t.Scheduler); err != nil {
				problems[i] = &UnreachedError{i, t.Scheduler, shortened(err)}
			}
		})
	}
	asking.Wait()
	return problems
}

// send is the open loop.
func (l *load) send(ctx context.Context) error {
	arrivals := l.Scenario.Arrivals(l.Replication)
	var a scenarios.Arrival
	told := 0
	for id := core.TaskID(0); arrivals.Next(&a); id++ {
		if !l.Share.has(id) {
			continue
		}
		l.count.born(&a)
		due := l.start.Add(time.Duration(a.At))
		if l.Progress != nil && (told == 1000 || time.Until(due) > 100*time.Millisecond) {
			l.Progress(told)
			told = 0
		}
		told++
		if err := l.clock.Sleep(ctx, due); err != nil {
			return err
		}
		select {
		case l.slots <- struct{}{}:
		default:
			return fmt.Errorf("%d requests wait for their answers, and more are not kept: send fewer (workload.rate), give the nodes more slots or a shorter "+
				"queue (cluster.slots, cluster.queue), or have clients give up sooner (client.timeout, --request-timeout)", cap(l.slots))
		}
		l.count.left(&a)
		l.work.Add(1)
		go func(a scenarios.Arrival) {
			defer func() {
				<-l.slots
				l.work.Done()
			}()
			l.request(ctx, &a, id, due)
		}(a)
	}
	if l.Progress != nil {
		l.Progress(told)
	}
	return nil
}

// sampleLoads looks at the loads of the nodes at equal intervals, until the scenario's duration is over.
func (l *load) sampleLoads(ctx context.Context) {
	loads := make([]int32, len(l.Targets))
	for i := range l.count.samples() {
		if l.clock.Sleep(ctx, l.start.Add(time.Duration(i+1)*l.count.every)) != nil {
			return
		}
		for n, load := range l.askLoads(ctx, min(l.count.every, tryPatience)) {
			if load >= 0 { // otherwise it is what it was
				loads[n] = load
			}
		}
		l.count.sample(i, loads)
	}
}

// askLoads are the loads of the nodes, of which each has so long to say it; -1 where one does not.
func (l *load) askLoads(ctx context.Context, patience time.Duration) []int32 {
	loads := make([]int32, len(l.Targets))
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var asking sync.WaitGroup
	for n, t := range l.Targets {
		asking.Go(func() {
			loads[n] = -1
			if load, err := realnet.AskLoad(ctx, l.http, t.Scheduler); err == nil {
				loads[n] = int32(load.Total())
			}
		})
	}
	asking.Wait()
	return loads
}

// hire makes the teachers of the nodes' learners.
func (l *load) hire() error {
	spec := l.Scenario.Learner
	if spec == nil {
		return nil
	}
	formula := spec.Reward
	if err := formula.Compile(); err != nil {
		return err
	}
	for i := range l.Targets {
		o, taught, err := l.learnerOf(i)
		if err != nil {
			return err
		}
		if taught {
			l.teachers = append(l.teachers, newTeacher(l, i, o))
		}
	}
	return nil
}

// learnerOf says how to reach the learner of a node, where its clients are to teach it: the node's own, unless that is frozen, or one outside of all
// nodes, where the scenario says how to tell that.
func (l *load) learnerOf(node int) (o realnet.LearnerOptions, taught bool, err error) {
	spec, t := l.Scenario.Learner, &l.Targets[node]
	switch e := spec.External; {
	case !spec.Asks():
	case e != nil:
		_, o.Train = e.Of(core.NodeID(node))
		o.Timeout = e.Timeout // and no credentials: it is no node's
	case !spec.Train:
	case t.Learner == "":
		return o, false, fmt.Errorf("the scenario's algorithm asks a learner, and nobody says where that of node %d at %s is", node, t.Scheduler)
	default:
		o = realnet.LearnerOptions{Train: t.Learner, Timeout: l.Timeout, Credentials: l.Credentials}
	}
	return o, o.Train != "", nil
}

// dismiss has all teachers send at once what they still have, and waits for them as long as for a request. Where ctx has ended, they
// send nothing more.
func (l *load) dismiss(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, l.Timeout)
	defer cancel()
	var leaving sync.WaitGroup
	for _, t := range l.teachers {
		leaving.Go(func() { t.close(ctx) })
	}
	leaving.Wait()
}

// teacher sends to the learner of one node what its decisions were worth, as the scenario's entries go.
type teacher struct {
	load *load
	way  *way
	to   *realnet.RemoteLearner

	mu   sync.Mutex
	open []learner.Entry // not sent yet
	work sync.WaitGroup
}

func newTeacher(l *load, node int, o realnet.LearnerOptions) *teacher {
	return &teacher{load: l, way: newWay(l.Scenario, l.Replication, node), to: realnet.NewRemoteLearner(o)}
}

// way is that of entries from the clients of a node to its learner.
type way struct {
	spec *scenarios.Learner
	rand *rand.Rand
}

func newWay(s *scenarios.Scenario, replication, node int) *way {
	return &way{s.Learner, rand.New(random.Stream(s.Seed, replication, random.Entries, node))}
}

// draw says how long the next message takes, and whether it gets lost.
func (w *way) draw() (delay time.Duration, lost bool) {
	if w.spec.Loss > 0 && w.rand.Float64() < w.spec.Loss {
		return 0, true
	}
	if w.spec.Delay != nil {
		delay = random.Duration(w.spec.Delay, w.rand)
	}
	return delay, false
}

// teach takes an entry, and sends it when there are as many as go in one message.
func (t *teacher) teach(ctx context.Context, e learner.Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open = append(t.open, e)
	if len(t.open) < t.load.Scenario.Learner.Batch {
		return
	}
	full := t.open
	t.open = nil
	delay, lost := t.way.draw()
	if lost {
		return
	}
	t.work.Go(func() {
		if delay > 0 && t.load.clock.Sleep(ctx, time.Now().Add(delay)) != nil {
			return
		}
		t.train(ctx, full)
	})
}

// train tells the learner. That faults keep it from hearing it is as in simulation.
func (t *teacher) train(ctx context.Context, entries []learner.Entry) {
	if err := t.to.Train(ctx, entries...); err != nil {
		level := slog.LevelWarn
		if len(t.load.Scenario.Faults) > 0 {
			level = slog.LevelDebug
		}
		slog.Log(ctx, level, "a learner was not told what its decisions were worth", "entries", len(entries), "error", err)
	}
}

// close sends what is left, unlike v1's client, and waits until all has been sent.
func (t *teacher) close(ctx context.Context) {
	t.mu.Lock()
	left := t.open
	t.open = nil
	t.mu.Unlock()
	if len(left) > 0 && ctx.Err() == nil {
		t.train(ctx, left)
	}
	t.work.Wait()
	_ = t.to.Close() // it returns no error
}

// FetchWeights writes what the learner at url has learned to a file.
func FetchWeights(ctx context.Context, url, path string) error {
	var w learner.Weights
	if err := realnet.GetJSON(ctx, http.DefaultClient, url+"/learner/file", &w); err != nil {
		return fmt.Errorf("fetching weights: %w", err)
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("writing weights: %w", err)
	}
	return errors.Join(w.Write(f), f.Close())
}
