package core

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Logs and their replay.

// Origin is what a node is before its first input. With its inputs it makes everything that the node does. It is plain
// data for encoding/json.
type Origin struct {
	Node     NodeID
	Config   Config // without its functions and algorithms
	Topology Topology
	// Scheduler names the algorithm, as the reader of the log must build it; empty: none. Alternatives are the names of
	// Config.Alternatives, in their order.
	Scheduler    string   `json:",omitempty"`
	Alternatives []string `json:",omitempty"`
	RNG          []byte   // state of the node's stream (rand.PCG)
	Learner      bool     `json:",omitempty"` // Host.Act left the answer to an InputAnswer; otherwise there was no learner
	Draws        bool     `json:",omitempty"` // there was a Config.CopyDemand: what it drew is in the log (EffectDraw)
}

// Step is an input of a log, and what the node did about it, in that order.
type Step struct {
	Input   Input
	Effects []Effect
	Partial bool // the log ends here: there may have been more effects
}

// Record begins the log of n, the only node of its engine, between Engine.Init and the first input: from then on did
// takes what n does. Its host notes each input before it gives it to Apply, Packs every message at once in Send, and
// calls SetCold nowhere itself. scheduler names the algorithm, alternatives those of the Config; Origin.Learner is the
// host's to set.
func (n *Node) Record(did func(Effect), scheduler string, alternatives ...string) *Origin {
	e := n.cfg.eng
	rng, err := n.rng.MarshalBinary()
	if err != nil {
		panic(fmt.Sprintf("core: the state of a PCG has no binary form: %v", err))
	}
	o := &Origin{Node: n.id, Config: *n.cfg, Topology: *e.topo, Scheduler: scheduler, Alternatives: alternatives, RNG: rng,
		Draws: n.cfg.CopyDemand != nil}
	o.Config.Scheduler, o.Config.Alternatives, o.Config.CopyDemand = nil, nil, nil
	o.Config.eng, o.Config.faces = nil, 0
	e.host = &witness{e.host, did}
	before := e.OnVerdict
	e.OnVerdict = func(now Time, id NodeID, t *Task, v Verdict) {
		did(Effect{Kind: EffectVerdict, Task: t.ID, Copy: t.Copy, Peer: v.peer, Text: v.detail()})
		if before != nil {
			before(now, id, t, v)
		}
	}
	if draw := n.cfg.CopyDemand; draw != nil {
		n.cfg.CopyDemand = func(t *Task, i int) time.Duration {
			d := draw(t, i)
			did(Effect{Kind: EffectDraw, Task: t.ID, Copy: uint8(i), Demand: d})
			return d
		}
	}
	return o
}

// detail is String with all that the verdict says.
func (v Verdict) detail() string {
	switch {
	case v.kind == verdictForward && len(v.peers) > 0:
		return fmt.Sprintf("%v, else %d", v, v.peers)
	case v.kind == verdictReplicate && CancelAt(v.how) == CancelOnStart:
		return v.String() + ", cancelled on start"
	}
	return v.String()
}

// check reports what a log that comes from a file may not begin with.
func (o *Origin) check() error {
	c, t := &o.Config, &o.Topology
	if o.Node < 0 || t.Nodes < 0 || t.Nodes > math.MaxInt32 || t.Cloud < NoNode {
		return fmt.Errorf("node %d of %d, cloud %d: no such nodes are possible", o.Node, t.Nodes, t.Cloud)
	}
	if c.Slots < 0 || c.Room < 0 || c.Types < 0 || c.Types > math.MaxUint16+1 || c.Discipline > ShortestJob {
		return fmt.Errorf("Config: %d Slots, %d places of Room, %d Types, Discipline %d: out of their bounds",
			c.Slots, c.Room, c.Types, c.Discipline)
	}
	if len(o.Alternatives) > math.MaxUint8 {
		return fmt.Errorf("%d Alternatives: %d are possible", len(o.Alternatives), math.MaxUint8)
	}
	if t.Offsets != nil {
		if len(t.Offsets) != t.Nodes+1 || !slices.IsSorted(t.Offsets) || int(t.Offsets[t.Nodes]) != len(t.Edges) {
			return errors.New("Topology: the Offsets do not fit the Nodes and the Edges")
		}
	}
	for f, holders := range t.Holders {
		if !slices.IsSorted(holders) || len(holders) > 0 && holders[0] < 0 {
			return fmt.Errorf("Topology: the Holders of function %d are not ascending", f)
		}
	}
	return c.Forwarding.Check()
}

// Difference is the first thing that a replayed node did otherwise than the recorded one.
type Difference struct {
	Index              int // of the input
	Input              Input
	Recorded, Replayed *Effect // nil: nothing
}

// Error implements error.
func (d *Difference) Error() string {
	said := func(x *Effect) string {
		if x == nil {
			return "nothing"
		}
		return x.String()
	}
	return fmt.Sprintf("input %d at %v, %v: recorded %s; replayed %s", d.Index, d.Input.At, &d.Input, said(d.Recorded),
		said(d.Replayed))
}

// mostTasks is how many tasks a replayed node may have in hand: a log may come from anybody.
const mostTasks = 1 << 16

// Replay drives a fresh node with the steps of a log, one at a time, and compares what it does. It returns the first
// *Difference, or what is wrong with the log, or what steps says. build makes a scheduler of its name, for each name that
// the log has.
func Replay(o *Origin, steps iter.Seq2[*Step, error], build func(name string) (Scheduler, error)) error {
	r := replay{build: build, host: silentHost{learner: o.Learner}}
	if err := r.begin(o); err != nil {
		return err
	}
	defer r.host.engine.Close()
	last, i, booted := Time(0), 0, false
	for s, err := range steps {
		if err != nil {
			return err
		}
		in := s.Input
		switch err = in.check(len(o.Alternatives)); {
		case err != nil:
		case in.At < last:
			err = fmt.Errorf("time goes back from %v to %v", last, in.At)
		case in.Kind == InputBoot && booted:
			err = errors.New("a node boots once")
		default:
			in.Own, err = r.scheduler(in.Scheduler)
		}
		booted = booted || in.Kind == InputBoot
		if err != nil {
			return fmt.Errorf("input %d at %v, %v: %w", i, in.At, &in, err)
		}
		if d := r.step(in, s); d != nil {
			d.Index = i
			return d
		}
		if tasks := r.host.engine.InUse(); tasks > mostTasks {
			return fmt.Errorf("input %d at %v: the node has %d tasks in hand: %d are possible", i, in.At, tasks, mostTasks)
		}
		last, i = in.At, i+1
	}
	return nil
}

// replay is a node that is driven by a log.
type replay struct {
	build    func(string) (Scheduler, error)
	host     silentHost
	node     Node
	recorded []Effect // by the input that is applied
	did      []Effect
}

// begin makes the node.
func (r *replay) begin(o *Origin) error {
	if err := o.check(); err != nil {
		return err
	}
	var rng rand.PCG
	if err := rng.UnmarshalBinary(o.RNG); err != nil {
		return fmt.Errorf("RNG: %w", err)
	}
	own, err := r.scheduler(o.Scheduler)
	if err != nil {
		return err
	}
	cfg, topo := o.Config, o.Topology
	for _, name := range o.Alternatives {
		a, err := r.scheduler(name)
		if err != nil {
			return err
		}
		cfg.Alternatives = append(cfg.Alternatives, a)
	}
	if o.Draws {
		cfg.CopyDemand = r.draw
	}
	e := NewEngine(&r.host, &topo)
	r.host.engine = e
	e.Init(&r.node, o.Node, &cfg, rng, own)
	e.Attach(func(id NodeID) *Node {
		if id == o.Node {
			return &r.node
		}
		return nil
	})
	r.node.Record(func(x Effect) { r.did = append(r.did, x) }, o.Scheduler)
	return nil
}

// scheduler returns nil for the empty name.
func (r *replay) scheduler(name string) (Scheduler, error) {
	if name == "" {
		return nil, nil
	}
	s, err := r.build(name)
	if err != nil {
		return nil, fmt.Errorf("scheduler %q: %w", name, err)
	}
	return s, nil
}

// draw is Config.CopyDemand: it gives what was drawn when the log was recorded.
func (r *replay) draw(t *Task, i int) time.Duration {
	if next := len(r.did); next < len(r.recorded) {
		x := &r.recorded[next]
		if x.Kind == EffectDraw && x.Task == t.ID && int(x.Copy) == i {
			return x.Demand
		}
	}
	return t.Demand
}

// step applies an input and compares what follows.
func (r *replay) step(in Input, s *Step) *Difference {
	r.recorded, r.did = s.Effects, r.did[:0]
	r.node.Apply(in)
	for i := range max(len(r.recorded), len(r.did)) {
		d := Difference{Input: in}
		if i < len(r.recorded) {
			d.Recorded = &r.recorded[i]
		} else if s.Partial {
			break
		}
		if i < len(r.did) {
			d.Replayed = &r.did[i]
		}
		if d.Recorded == nil || d.Replayed == nil || *d.Recorded != *d.Replayed {
			return &d
		}
	}
	return nil
}

// silentHost does nothing: what would follow is in the log.
type silentHost struct {
	engine  *Engine
	learner bool
}

func (h *silentHost) Send(m *Msg)                 { h.engine.FreeChain(m.Task) }
func (h *silentHost) Arm(NodeID, Time, Token)     {}
func (h *silentHost) Disarm(NodeID, Token)        {}
func (h *silentHost) Start(NodeID, *Task)         {}
func (h *silentHost) Stop(NodeID, *Task)          {}
func (h *silentHost) Done(NodeID, *Task, Outcome) {}
func (h *silentHost) Fault(*Fault)                {}

func (h *silentHost) Act(NodeID, Token, []float64) (Action, bool, error) {
	if h.learner {
		return Action{}, false, nil
	}
	return Action{}, true, ErrNoActor
}
