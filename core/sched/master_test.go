package sched

import (
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestRoundRobinWithMaster(t *testing.T) {
	s := with(t, "RoundRobinWithMasterScheduler", params{"master": 1, "loss": "enforce"})
	master, slave := coretest.NewScript(1, 5, 5, 5), coretest.NewScript(2, 0, 0, 0)
	full := coretest.NewScript(2, 0, 0, 5)
	for _, c := range []struct {
		gloss string
		env   core.Env
		hops  uint8
		want  core.Verdict
	}{
		{"a client's task goes to the master", slave, 0, core.Forward(1)},
		{"which refuses its own clients' tasks", master, 0, core.Reject(core.NoRoom)},
		{"deals out", master, 1, core.Forward(0)},
		{"in turn", master, 1, core.Forward(2)},
		{"and around", master, 1, core.Forward(0)},
		{"where the task stays", slave, 2, core.Execute()},
		{"unless there is no slot and loss", full, 2, core.Reject(core.NoRoom)},
		{"a master without peers has nobody", coretest.NewScript(1, 0, 0), 0, core.Reject(core.NoRoom)},
	} {
		if got := s.Schedule(c.env, fromPeer(c.hops)); got.String() != c.want.String() {
			t.Errorf("%s: %s, want %s", c.gloss, got, c.want)
		}
	}
}

// v1 configures each node by itself: flag of the master, its address, loss.
func TestRoundRobinWithMasterByV1sParameters(t *testing.T) {
	master, _, err := ParsePositional("RoundRobinWithMasterScheduler", []string{"true", "0", "true"})
	if err != nil {
		t.Fatal(err)
	}
	slave, common, err := ParsePositional("RoundRobinWithMasterScheduler", []string{"false", "2", "true"})
	if err != nil || common.HasMaxHops || slave.MaxHops() < 2 {
		t.Fatalf("%+v, %d hops, %v", common, slave.MaxHops(), err)
	}
	wantVerdict(t, master.New().Schedule(coretest.NewScript(2, 0, 0, 0), fromPeer(1)), core.Forward(0))
	wantVerdict(t, slave.New().Schedule(coretest.NewScript(0, 0, 0, 0), task()), core.Forward(2))
	if _, _, err := ParsePositional("RoundRobinWithMasterScheduler", []string{"false", "10.0.0.1", "true"}); err == nil {
		t.Error("an address was taken for a node")
	}
}

// ring links node n with n-1 and n+1.
func ring(nodes int) func(a, b core.NodeID) bool {
	return func(a, b core.NodeID) bool { d := int(a-b+core.NodeID(nodes)) % nodes; return d == 1 || d == nodes-1 }
}

func TestRoundRobinWithMasterCheck(t *testing.T) {
	s, err := Parse("RoundRobinWithMasterScheduler", params{"master": 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		w    World
		want string
	}{
		{World{Nodes: 3, MaxHops: 2}, "master is node 3"},
		{World{Nodes: 4, MaxHops: 1}, "max_hops must be at least 2"},
		{World{Nodes: 4, MaxHops: 2, Linked: ring(4)}, "no neighbour of node 1"},
	} {
		if err := s.Check(c.w); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.w, err, c.want)
		}
	}
}
