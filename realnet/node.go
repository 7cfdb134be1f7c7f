package realnet

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/core/sched"
	"github.com/p2pfaas/p2pfaas/realnet/precise"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// Identity is how a node is called on the wire. The address of a scheduler service is its IP, or IP:port where the port is
// not 18080.
type Identity struct {
	ID string // machine_id
	IP string // machine_ip: address of its scheduler service
}

// MostBody is how long a request and the answer of a function may be where nothing else is said, in bytes.
const MostBody = 64 << 20

// Limits bound what the network may ask of a node.
type Limits struct {
	Body     int64 // of a request, bytes; 0: MostBody
	Bodies   int64 // of the requests in hand together, bytes; 0: 512 MiB
	Requests int   // in hand at once, those of peers included; 0: 16384
}

// NodeOptions are what a node with its scheduler service is made of.
type NodeOptions struct {
	Identity Identity
	// Number is the node's own among Cluster, the addresses of the nodes that have numbers from the beginning; machines
	// that are met later get the numbers after these. Nil: this node is 0, and knows nobody.
	Number  core.NodeID
	Cluster []string
	// Neighbours are those of Cluster that may be peers of this node at all, ascending; nil: whoever is there.
	Neighbours []core.NodeID
	Cloud      string // address of the far node without limit, the last of Cluster if it is there; empty: none
	Bind       net.IP // address to call peers from; nil: any of the machine's

	Slots       int             // K
	Room        int             // Q
	Queue       bool            // the waiting room is open: v1's queue_enabled, which no Room changes
	Types       int             // task types that are told apart
	Speed       float64         // an execution takes demand/speed; 0: 1
	Discipline  core.Discipline // of the waiting room
	Abandon     bool            // a waiting task leaves when its deadline has passed
	MeanService []time.Duration // by task type, on a node of speed 1; nil: not known
	// CopyDemand is core.Config's: the demand of replicas, where tasks say theirs.
	CopyDemand func(t *core.Task, i int) time.Duration

	Data       string            // directory of what the configuration routes change; empty: it is not kept
	Kept       func(KeptSetting) // told, while the node opens, of what in Data takes the place of these options; nil: nobody is
	Scheduler  Descriptor
	Forwarding core.Forwarding // MaxHops follows the scheduler
	Backend    Backend
	// Functions are those of a scenario by task type, and Holders the nodes that have them, as core.Topology says it. Nil: there
	// is no scenario; whoever says nothing else is taken to have any function.
	Functions []string
	Holders   [][]core.NodeID
	Port      int // of the node's own scheduler service; 0: 18080
	// Credentials are asked of callers, and shown to peers; nil: everybody may do everything.
	Credentials *Credentials
	Limits      Limits
	Learner     Learner
	Inference   random.Dist          // seconds that an action waits for beyond what the Learner takes; nil: none
	Stream      rand.PCG             // the algorithm's
	Record      string               // directory for the log of every input; empty: there is none
	Program     string               // version of the program, which the log tells
	Traces      trace.TracerProvider // takes the spans of requests; nil: there are none
	// Feed serves looks at the whole cluster at /ui/cluster and /ui/events (package watch); nil: nobody does.
	Feed http.Handler
	// Development serves v1's routes for trying a node out, /dev/...
	Development bool

	// Network is emulated: messages to peers are held, or lost, as it says. Nil: they take what the real network takes.
	Network *scenarios.Network
	// Faults are what befalls the node, and whoever reaches its scheduler service may say so. Nil: nothing does.
	Faults *Faults
	// Seed and Replication are the scenario's, for the streams of what is emulated.
	Seed        uint64
	Replication int
}

// Node is a node with its scheduler service: requests of clients and peers become inputs of its core.Node, and what that
// decides becomes calls of functions and of peers.
type Node struct {
	options NodeOptions
	mailbox *Mailbox
	peers   *peers
	clock   *precise.Clock  // nil: nothing waits
	learner *watchedLearner // nil: there is none
	metrics *nodeMetrics
	spans   *spans // nil: there are none
	began   time.Time
	number  atomic.Uint64 // of requests, as v1's R#
	// discovery is that of this process; nil: the node does not follow it.
	discovery atomic.Pointer[DiscoveryService]
	named     atomic.Uint64 // requests that came without an id

	bodies      memory // of the requests in hand
	functions   *functionNames
	past        pastRequests
	configuring sync.Mutex // one change of the configuration after the other; it may take as long as the disk does
	deploying   sync.Mutex // one change of what the node has after the other

	mu         sync.Mutex
	requests   map[taskKey]*request
	settings   settings
	scheduler  algorithm
	identity   Identity
	neighbours []string // addresses, as the node was told last
	inventory  inventory
	closing    bool
	empty      chan struct{} // closed when closing and no request is left
}

func (n *Node) self() core.NodeID { return n.mailbox.options.ID }

// OpenNode starts a node. Close ends it.
func OpenNode(o NodeOptions) (_ *Node, err error) {
	if o.Port == 0 {
		o.Port = SchedulerPort
	}
	o.Identity.IP = CanonicalAddress(o.Identity.IP)
	o.Cluster = slices.Clone(o.Cluster)
	for i, a := range o.Cluster {
		o.Cluster[i] = CanonicalAddress(a)
	}
	if o.Limits.Body == 0 {
		o.Limits.Body = MostBody
	}
	if o.Limits.Bodies == 0 {
		o.Limits.Bodies = 512 << 20
	}
	if o.Limits.Requests == 0 {
		o.Limits.Requests = 16384
	}
	if o.Backend.MaxAnswer == 0 {
		o.Backend.MaxAnswer = MostBody
	}
	if o.Speed == 0 {
		o.Speed = 1
	}
	n := &Node{options: o, began: time.Now(), functions: newFunctionNames(o.Functions), requests: make(map[taskKey]*request), empty: make(chan struct{})}
	n.bodies.most = o.Limits.Bodies
	n.identity = o.Identity
	n.spans = newSpans(n, o.Traces)
	n.peers = newPeers(n, o.Number, o.Cluster)
	defer func() {
		if err != nil {
			n.peers.close()
		}
	}()
	n.settings = settings{Slots: o.Slots, Room: o.Room, Queue: o.Queue}
	wanted := o.Scheduler
	if err := n.load(&wanted); err != nil {
		return nil, err
	}
	a, err := n.algorithm(wanted)
	if err != nil {
		return nil, err
	}
	n.scheduler = a
	cfg := core.Config{Slots: int32(n.settings.Slots), Room: n.settings.room(), Speed: float32(o.Speed), Types: o.Types,
		Discipline: o.Discipline, Abandon: o.Abandon, MeanService: o.MeanService, CopyDemand: o.CopyDemand,
		Forwarding: n.forwarding(a)}
	topology := &core.Topology{Nodes: max(1, len(o.Cluster)), Cloud: core.NoNode, Holders: o.Holders}
	if o.Cloud != "" {
		topology.Cloud = n.peers.number(o.Cloud, mostPeers)
		if int(topology.Cloud) < len(o.Cluster) {
			topology.Nodes-- // it is none of them
		}
	}
	var names []string
	for _, s := range steering {
		spec, _, err := sched.ParsePositional(s.name, s.parameters)
		if err != nil {
			return nil, err
		}
		cfg.Alternatives = append(cfg.Alternatives, spec.New())
		names = append(names, Descriptor{Name: s.name, Parameters: s.parameters}.String())
	}
	if err := n.options.Backend.open(); err != nil {
		return nil, err
	}
	var log *Recorder
	if o.Record != "" {
		if log, err = OpenRecorder(RecorderOptions{Dir: o.Record, Program: o.Program, Identity: o.Identity, Number: o.Number,
			Machines: slices.Clone(n.peers.addresses), Functions: slices.Clone(n.functions.names), Faults: o.Faults}); err != nil {
			n.options.Backend.close()
			return nil, err
		}
		n.peers.met, n.functions.met = log.Met, log.Named
	}
	if o.Learner != nil {
		n.learner = &watchedLearner{Learner: o.Learner, faults: o.Faults}
		o.Learner = n.learner
	}
	if o.Inference != nil && o.Learner != nil {
		n.clock = precise.New()
		o.Learner = &delayedLearner{Learner: o.Learner, clock: n.clock, delay: o.Inference,
			rand: rand.New(random.Stream(o.Seed, o.Replication, random.Inference, int(o.Number)))}
	}
	n.mailbox = newMailbox(MailboxOptions{ID: o.Number, Config: cfg, Alternatives: names, Topology: topology, Stream: o.Stream,
		Scheduler: a.spec.New(), Name: a.inside.String(), Record: log, Learner: o.Learner,
		Transport: n.peers, Execute: n.execute, Decided: n.decided, Done: n.done})
	n.metrics = newNodeMetrics(n)
	n.inventory = n.options.Backend.inventory("")
	if !n.inventory.any {
		n.mailbox.Post(n.functions.input(n.self(), &n.inventory))
	}
	n.SetPeers(nil)
	n.mailbox.start()
	go n.outlive()
	return n, nil
}

// outlive ends what is in hand when the mailbox has ended. In good order nothing is; an algorithm that ends its goroutine
// (runtime.Goexit) leaves all of it.
func (n *Node) outlive() {
	<-n.mailbox.ended
	n.refuse()
	n.fail(errors.New("the node's algorithm has ended the node"), func(taskKey) bool { return true })
}

// refuse has the node take no more requests; empty is closed when the last one that is in hand has ended.
func (n *Node) refuse() {
	n.mu.Lock()
	defer n.mu.Unlock()
	first := !n.closing
	n.closing = true
	if first && len(n.requests) == 0 {
		close(n.empty)
	}
}

// isClosing reports whether the node takes no more requests.
func (n *Node) isClosing() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.closing
}

// Identity is how the node is called.
func (n *Node) Identity() Identity {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.identity
}

// Rename gives the node another identity: discovery knows it.
func (n *Node) Rename(i Identity) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.identity = i
}

// SetPeers makes the machines at these addresses the node's neighbours, as far as they may be: the cloud is nobody's.
func (n *Node) SetPeers(addresses []string) {
	ids := make([]core.NodeID, 0, len(addresses))
	for _, a := range addresses {
		id := n.numberOf(a)
		if id == n.peers.stranger {
			slog.Error("a peer is left out: the node knows as many machines as it can", "peer", a, "machines", mostPeers)
			continue
		}
		_, may := slices.BinarySearch(n.options.Neighbours, id)
		if id != n.self() && id != n.mailbox.options.Topology.Cloud && (may || n.options.Neighbours == nil) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	neighbours := make([]string, len(ids))
	for i, id := range ids {
		neighbours[i] = n.addressOf(id)
	}
	n.mu.Lock()
	n.neighbours = neighbours
	n.mu.Unlock()
	n.mailbox.Post(core.Input{Kind: core.InputConfigure, Peers: &ids})
	if !n.has().any {
		n.peers.greet(ids)
	}
}

// Shutdown lets what is in hand come to its end, refuses what is new, and closes the node; where ctx ends first, what
// is left is answered as lost. An error is that of ctx, or says that the node's log is incomplete, but for a disk that a fault filled.
func (n *Node) Shutdown(ctx context.Context) error {
	n.refuse()
	var err error
	select {
	case <-n.empty:
	case <-ctx.Done():
		err = ctx.Err()
		n.mailbox.Post(core.Input{Kind: core.InputCrash})
		// The requests of clients end by the crash; of those of peers a node that has crashed says nothing.
		n.fail(errors.New("the node has shut down"), func(k taskKey) bool { return k.from != core.NoNode })
		<-n.empty
	}
	n.mailbox.Close()
	n.peers.close()
	n.options.Backend.close()
	if n.clock != nil {
		n.clock.Close()
	}
	if log := n.mailbox.options.Record; log != nil && !errors.Is(log.Err(), errFullDisk) {
		err = errors.Join(err, log.Err())
	}
	return err
}

// On the mailbox's goroutine.

func (n *Node) decided(_ core.Time, t *core.Task, v core.Verdict) {
	r := n.find(n.keyOf(t))
	if r == nil {
		return
	}
	if logs(slog.LevelDebug) {
		peers := []string{}
		for _, id := range v.To() {
			peers = append(peers, n.addressOf(id))
		}
		n.log(slog.LevelDebug, "a task is decided about", r, "task", t.ID, "verdict", v.String(), "peers", peers)
	}
	n.spans.decided(r, r.label, v)
	r.note(func() {
		r.probing = t.Timing.Probing - r.base.Probing
		r.decided = max(1, time.Since(r.arrived))
		r.past.verdict = verb(v)
	})
}

func (n *Node) done(_ core.Time, t *core.Task, o core.Outcome) {
	k := n.keyOf(t)
	if r := n.find(k); r != nil {
		if l := t.Lesson(); l != nil {
			r.lesson = &core.Lesson{EID: l.EID, State: slices.Clone(l.State), Action: l.Action}
		}
		r.report = wire.NewTaskReport(t, o, n.addressOf(t.Executor()))
	}
	n.finish(k, o)
}

// execute calls the function of a task.
func (n *Node) execute(t *core.Task) func(context.Context) time.Duration {
	r := n.find(n.keyOf(t))
	if r == nil {
		return func(context.Context) time.Duration { return 0 } // its client has gone
	}
	service := time.Duration(float64(t.Demand) / n.options.Speed)
	b := &n.options.Backend
	at := b.deployed.take(r.call.function) // where it is at this instant, be it taken away while it executes
	execution := n.spans.executes(r)
	typ := t.Type
	return func(ctx context.Context) time.Duration {
		defer b.deployed.release(at)
		ctx, span := execution(ctx)
		defer span.End()
		began := time.Now()
		a, cold, err := n.options.Faults.execute(ctx, typ, b.Timeout, func() (*answer, time.Duration, error) { return b.run(ctx, at, &r.call, service) })
		took := time.Since(began)
		if ctx.Err() != nil {
			n.metrics.executed(r.call.function, b.kind(at), cancelledLabel, a, took, cold)
			return cold // nobody waits for it any more
		}
		result := "answered"
		if err != nil {
			result = "failed"
			span.SetStatus(codes.Error, err.Error())
			n.log(slog.LevelWarn, "a function failed", r, "error", err)
		}
		n.metrics.executed(r.call.function, b.kind(at), result, a, took, cold)
		r.note(func() {
			if err == nil || r.answer == nil { // otherwise a replica has been answered
				r.answer, r.err, r.execution, r.path, r.refusal = a, err, took, nil, nil
			}
		})
		return cold
	}
}
