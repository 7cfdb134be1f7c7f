package core_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

// quietHost lets everything be: its tasks run for ever.
type quietHost struct {
	engine *core.Engine
	sent   []core.Parcel
}

func (h *quietHost) Send(m *core.Msg) { h.sent = append(h.sent, h.engine.Pack(m)) }

func (*quietHost) Arm(core.NodeID, core.Time, core.Token)     {}
func (*quietHost) Disarm(core.NodeID, core.Token)             {}
func (*quietHost) Start(core.NodeID, *core.Task)              {}
func (*quietHost) Stop(core.NodeID, *core.Task)               {}
func (*quietHost) Done(core.NodeID, *core.Task, core.Outcome) {}
func (*quietHost) Fault(f *core.Fault)                        { panic(f) }
func (*quietHost) Act(core.NodeID, core.Token, []float64) (core.Action, bool, error) {
	return core.Action{}, true, core.ErrNoActor
}

// A client may have a task decided by another algorithm than the node's; the log says so, and replays.
func TestAlternatives(t *testing.T) {
	forward := coretest.Func(func(env core.Env, _ *core.Task) core.Verdict { return core.Forward(1) })
	reject := coretest.Func(func(core.Env, *core.Task) core.Verdict { return core.Reject(core.Rejected) })
	algorithms := map[string]core.Scheduler{"local": coretest.Func(coretest.Local), "forward": forward, "reject": reject}
	build := func(name string) (core.Scheduler, error) {
		if s := algorithms[name]; s != nil {
			return s, nil
		}
		return nil, errors.New("unknown")
	}
	h := &quietHost{}
	e := core.NewEngine(h, &core.Topology{Nodes: 2, Cloud: core.NoNode})
	defer e.Close()
	h.engine = e
	var n core.Node
	cfg := &core.Config{Slots: 9, Speed: 1, Alternatives: []core.Scheduler{forward, reject}}
	cfg.Forwarding.MaxHops = 1
	e.Init(&n, 0, cfg, rand.PCG{}, algorithms["local"])
	e.Attach(func(core.NodeID) *core.Node { return &n })
	log := record(&n, "local", "forward", "reject")
	give := func(in core.Input) { log.give(&n, in) }
	for by := range uint8(3) {
		give(core.Input{Kind: core.InputSubmit, Task: &core.TaskValue{ID: core.TaskID(by), By: by, Deadline: core.Never}})
	}
	// With no hop left, the forward executes here.
	give(core.Input{Kind: core.InputConfigure, Forwarding: &core.Forwarding{}})
	give(core.Input{Kind: core.InputSubmit, Task: &core.TaskValue{ID: 3, By: 1, Deadline: core.Never}})
	want := []string{"execute", "forward to 1", "reject: rejected", "forward to 1"}
	verdicts := log.verdicts()
	for i, d := range verdicts {
		if d.Text != want[i] {
			t.Errorf("decision %d: %s, want %s", i, d.Text, want[i])
		}
	}
	if l := n.Load(); len(verdicts) != 4 || len(h.sent) != 1 || l.Running != 2 {
		t.Errorf("%d decisions, %d messages, %d running, want 4, 1 and 2", len(verdicts), len(h.sent), l.Running)
	}
	read := log.copy(t)
	if err := read.replay(build); err != nil {
		t.Error(err)
	}
	read.Origin.Alternatives = read.Origin.Alternatives[:1]
	if err := read.replay(build); err == nil || !strings.Contains(err.Error(), "alternative 2 is to decide, of 1") {
		t.Errorf("a log that lacks an alternative: %v", err)
	}
}
