package realnet

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// Transport takes messages to other nodes.
type Transport interface {
	// Send takes p to the node p.To: later an input of its mailbox, or nothing. It never blocks.
	Send(p core.Parcel)
}

// MailboxOptions are what a node is made of.
type MailboxOptions struct {
	ID        core.NodeID
	Config    core.Config // without its Scheduler
	Topology  *core.Topology
	Stream    rand.PCG       // the node's own (random.Algorithm)
	Scheduler core.Scheduler // this node's own value; nil: every task executes where it arrives
	Name      string         // of the scheduler, for the log: its Descriptor, as JSON
	Record    *Recorder      // takes the log; it is this mailbox's from now on. Nil: there is none
	Learner   Learner        // answers Env.Act; nil: there is none
	Transport Transport

	// Alternatives are the names of Config.Alternatives, for the log.
	Alternatives []string
	// Execute begins the execution of t: what it returns runs on a goroutine of its own, until it ends or its context
	// does, and returns how long the cold start took that it began with; 0: it began warm. Execute is called on the
	// mailbox's goroutine and must not block. Nil: to execute is to sleep for the demand.
	Execute func(t *core.Task) func(context.Context) (cold time.Duration)
	// Decided sees every decision when it is made, on the mailbox's goroutine; nil: nobody does.
	Decided func(now core.Time, t *core.Task, v core.Verdict)

	// Done takes the outcome of a task that entered here; t is reused when it returns. It is called on the mailbox's
	// goroutine and must not block. Nil: nobody does.
	Done func(now core.Time, t *core.Task, o core.Outcome)
	// Fault takes a mistake of the algorithm, in the same way. The task has failed, the node goes on. Nil: it is
	// logged by slog.
	Fault func(*core.Fault)
}

// Mailbox is a node with the goroutine that drives it.
type Mailbox struct {
	options MailboxOptions
	began   time.Time

	mu     sync.Mutex
	inputs []core.Input
	taken  uint64 // inputs, in all
	posted uint64
	passed *sync.Cond // taken has grown, or the mailbox has ended
	closed bool
	wake   chan struct{} // holds one: there may be inputs
	ended  chan struct{} // closed when the goroutine has ended

	// The goroutine's own.
	load       atomic.Uint64 // after the last input: running, queued
	slots      atomic.Int32
	engine     *core.Engine
	node       core.Node
	did        []core.Effect // about the input that is applied, where it is recorded
	inOrder    bool          // the goroutine ends because the mailbox was closed
	timers     map[core.Token]*time.Timer
	executions map[core.Token]context.CancelFunc
	helpers    sync.WaitGroup  // executions, questions to the learner, and timers that were not stopped
	life       context.Context // ends with the mailbox
	die        context.CancelFunc
}

// OpenMailbox starts a node: its first input is the boot. Close ends it.
func OpenMailbox(o MailboxOptions) *Mailbox {
	m := newMailbox(o)
	m.start()
	return m
}

// newMailbox makes a node that nobody drives yet: whom it calls may know it before it begins.
func newMailbox(o MailboxOptions) *Mailbox {
	if o.Fault == nil {
		o.Fault = func(f *core.Fault) { slog.Error("the algorithm made a mistake", "fault", f) }
	}
	m := &Mailbox{options: o, began: time.Now(), wake: make(chan struct{}, 1), ended: make(chan struct{}),
		timers: make(map[core.Token]*time.Timer), executions: make(map[core.Token]context.CancelFunc)}
	m.passed = sync.NewCond(&m.mu)
	m.life, m.die = context.WithCancel(context.Background())
	m.engine = core.NewEngine(m, o.Topology)
	m.engine.Init(&m.node, o.ID, &m.options.Config, o.Stream, o.Scheduler)
	m.engine.Attach(func(id core.NodeID) *core.Node {
		if id == o.ID {
			return &m.node
		}
		return nil
	})
	if o.Decided != nil {
		m.engine.OnVerdict = func(now core.Time, _ core.NodeID, t *core.Task, v core.Verdict) { o.Decided(now, t, v) }
	}
	m.show()
	if o.Record != nil {
		origin := m.node.Record(func(x core.Effect) { m.did = append(m.did, x) }, o.Name, o.Alternatives...)
		origin.Learner = o.Learner != nil
		o.Record.begin(origin, m.began)
	}
	return m
}

func (m *Mailbox) start() {
	m.Post(core.Input{Kind: core.InputBoot})
	go m.run()
}

// Now is the time at this node, for the deadline of a task that is about to be submitted.
func (m *Mailbox) Now() core.Time { return core.Time(time.Since(m.began)) }

// Post gives the node an input. In.At does not matter: the mailbox stamps the input when it takes it. What it refers to
// may not be altered any more. What is posted to a closed mailbox is lost, as at a node that is gone.
func (m *Mailbox) Post(in core.Input) {
	m.mu.Lock()
	if !m.closed {
		m.inputs = append(m.inputs, in)
		m.posted++
	}
	m.mu.Unlock()
	m.rouse()
}

// sync returns when the node has taken all that was posted before, or has ended.
func (m *Mailbox) sync() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for all := m.posted; m.taken < all && !m.closed; {
		m.passed.Wait()
	}
}

func (m *Mailbox) rouse() {
	select {
	case m.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Close ends the node where it stands, and returns when all its goroutines have ended. Tasks in hand get no outcome;
// core.InputCrash gives them one. It must not be called from the node's own Done or Fault.
func (m *Mailbox) Close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.rouse()
	<-m.ended
}

// run is the goroutine.
func (m *Mailbox) run() {
	defer m.end()
	var batch []core.Input
	for {
		m.mu.Lock()
		m.taken += uint64(len(batch))
		m.passed.Broadcast()
		batch, m.inputs = m.inputs, batch[:0]
		closed := m.closed
		m.mu.Unlock()
		if closed {
			m.inOrder = true
			return
		}
		if len(batch) == 0 {
			<-m.wake
		}
		for _, in := range batch {
			m.take(in)
		}
		clear(batch)
	}
}

// take stamps an input, records it and applies it.
func (m *Mailbox) take(in core.Input) {
	in.At = m.Now()
	switch in.Kind {
	case core.InputFire:
		delete(m.timers, in.Token)
	case core.InputFinish:
		delete(m.executions, in.Token)
	}
	log := m.options.Record
	if log == nil {
		m.node.Apply(in)
		m.show()
		return
	}
	log.input(in)
	m.did = m.did[:0]
	m.node.Apply(in)
	m.show()
	log.effects(m.did)
}

// show makes the load known to other goroutines.
func (m *Mailbox) show() {
	l := m.node.Load()
	m.load.Store(uint64(uint32(l.Running))<<32 | uint64(uint32(l.Queued)))
	m.slots.Store(l.Slots)
}

// Load is the node's load after its last input: running, queued and slots.
func (m *Mailbox) Load() (running, queued, slots int32) {
	l := m.load.Load()
	return int32(l >> 32), int32(uint32(l)), m.slots.Load()
}

// end stops what is under way. An algorithm that calls runtime.Goexit ends the goroutine too; then the node is gone.
func (m *Mailbox) end() {
	m.mu.Lock()
	m.closed = true
	m.passed.Broadcast()
	m.mu.Unlock()
	m.die()
	for k := range m.timers {
		m.Disarm(m.options.ID, k)
	}
	m.helpers.Wait()
	m.engine.Close()
	if log := m.options.Record; log != nil {
		var why error
		if !m.inOrder {
			why = errors.New("the node's goroutine has ended in the middle of an input")
		}
		log.close(why)
	}
	close(m.ended)
}

// The core.Host.

// Send implements core.Host.
func (m *Mailbox) Send(msg *core.Msg) { m.options.Transport.Send(m.engine.Pack(msg)) }

// Arm implements core.Host.
func (m *Mailbox) Arm(_ core.NodeID, at core.Time, k core.Token) {
	m.helpers.Add(1)
	m.timers[k] = time.AfterFunc(at.Sub(m.Now()), func() {
		defer m.helpers.Done()
		m.Post(core.Input{Kind: core.InputFire, Token: k})
	})
}

// Disarm implements core.Host.
func (m *Mailbox) Disarm(_ core.NodeID, k core.Token) {
	if t := m.timers[k]; t != nil {
		if t.Stop() {
			m.helpers.Done()
		}
		delete(m.timers, k)
	}
}

// Start implements core.Host.
func (m *Mailbox) Start(_ core.NodeID, t *core.Task) {
	k := t.Token()
	execute := m.options.Execute
	if execute == nil {
		execute = m.sleep
	}
	run := execute(t)
	ctx, stop := context.WithCancel(m.life)
	m.executions[k] = stop
	m.helpers.Go(func() {
		defer stop()
		if cold := run(ctx); ctx.Err() == nil {
			m.Post(core.Input{Kind: core.InputFinish, Token: k, Cold: cold})
		}
	})
}

// sleep is the execution of a task where there are no functions.
func (m *Mailbox) sleep(t *core.Task) func(context.Context) time.Duration {
	service := time.Duration(float64(t.Demand) / float64(m.options.Config.Speed))
	return func(ctx context.Context) time.Duration {
		timer := time.NewTimer(service)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		return 0
	}
}

// Stop implements core.Host.
func (m *Mailbox) Stop(_ core.NodeID, t *core.Task) {
	k := t.Token()
	if stop := m.executions[k]; stop != nil {
		stop()
		delete(m.executions, k)
	}
}

// Act implements core.Host. The answer is an input, so that a log has it.
func (m *Mailbox) Act(_ core.NodeID, k core.Token, state []float64) (core.Action, bool, error) {
	l := m.options.Learner
	if l == nil {
		return core.Action{}, true, core.ErrNoActor
	}
	asked := slices.Clone(state)
	m.helpers.Go(func() {
		in := core.Input{Kind: core.InputAnswer, Token: k}
		a, err := l.Act(m.life, asked)
		if in.Action = a; err != nil {
			in.Error = err.Error()
		}
		m.Post(in)
	})
	return core.Action{}, false, nil
}

// Done implements core.Host.
func (m *Mailbox) Done(_ core.NodeID, t *core.Task, o core.Outcome) {
	if m.options.Done != nil {
		m.options.Done(m.engine.Now(), t, o)
	}
}

// Fault implements core.Host.
func (m *Mailbox) Fault(f *core.Fault) { m.options.Fault(f) }
