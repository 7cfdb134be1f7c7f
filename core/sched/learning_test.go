package sched

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

// learning is LearningScheduler as a scenario makes it.
func learning(t *testing.T, params map[string]any) *LearningScheduler {
	t.Helper()
	spec, err := Parse("LearningScheduler", params)
	if err != nil {
		t.Fatal(err)
	}
	return spec.New().(*LearningScheduler)
}

// answering is a script of node 1 of four, whose learner gives one answer; asked are the states that it was told.
func answering(index int, err error) (s *coretest.Script, asked *[][]float64) {
	s, asked = coretest.NewScript(1, 3, 5, 0, 7), new([][]float64)
	s.Learner = func(state []float64) (core.Action, error) {
		*asked = append(*asked, slices.Clone(state))
		return core.Action{Index: index}, err
	}
	return s, asked
}

// The actions are those of the first P2PFaaS, by their index.
func TestLearningActions(t *testing.T) {
	for i, want := range []string{"reject: rejected", "execute", "forward to 2", "forward to 0", "forward to 2", "forward to 3",
		"execute"} {
		s, asked := answering(i, nil)
		for p := range s.Peers { // whichever is probed has less
			s.Peers[p].Load = coretest.Loaded(0)
		}
		s.Peers = slices.DeleteFunc(s.Peers, func(p coretest.Peer) bool { return i == 2 && p.ID != 2 })
		v := learning(t, nil).Schedule(s, &core.Task{})
		if v.String() != want || len(*asked) != 1 || !slices.Equal((*asked)[0], []float64{0, 1, 4}) {
			t.Errorf("action %d: %v in state %v, want %s", i, v, *asked, want)
		}
	}
	s, _ := answering(2, nil) // every peer has as much as here, or more
	for p := range s.Peers {
		s.Peers[p].Load = coretest.Loaded(5)
	}
	if v := learning(t, nil).Schedule(s, &core.Task{}); v.String() != "execute" {
		t.Errorf("probing in vain: %v", v)
	}
}

// placed is a script of which only node 3 has the task's function beside the node itself.
type placed struct{ *coretest.Script }

func (p placed) Neighbours() core.Neighbours {
	s := *p.Script
	s.Peers = slices.DeleteFunc(slices.Clone(s.Peers), func(p coretest.Peer) bool { return p.ID != 3 })
	return s.Neighbours()
}

// A neighbour's action is its own whatever functions it has; who has not got the task's is not probed.
func TestLearningPlaced(t *testing.T) {
	for i, want := range []string{"reject: rejected", "execute", "forward to 3", "forward to 0", "forward to 2", "forward to 3"} {
		s, _ := answering(i, nil)
		s.Peer(3).Load = coretest.Loaded(0)
		if v := learning(t, nil).Schedule(placed{s}, &core.Task{}); v.String() != want {
			t.Errorf("action %d: %v, want %s", i, v, want)
		}
	}
}

// Where the learner does not answer, the task falls back as configured; a task that another node sent is not asked about.
func TestLearningFallback(t *testing.T) {
	for fallback, want := range map[string]string{"local": "execute", "reject": "reject: rejected", "probe": "forward to 2"} {
		s, _ := answering(3, errors.New("down"))
		s.Peers = slices.DeleteFunc(s.Peers, func(p coretest.Peer) bool { return p.ID != 2 })
		s.Peers[0].Load = coretest.Loaded(0)
		if v := learning(t, map[string]any{"fallback": fallback}).Schedule(s, &core.Task{}); v.String() != want {
			t.Errorf("%s: %v", fallback, v)
		}
	}
	s, asked := answering(3, nil)
	if v := learning(t, nil).Schedule(s, &core.Task{Hops: 1}); v.String() != "execute" || len(*asked) > 0 {
		t.Errorf("a task that was forwarded: %v, asked in %v", v, *asked)
	}
}

// A neighbour keeps its action while others come and go.
func TestLearningSeats(t *testing.T) {
	l := learning(t, map[string]any{"neighbours": 4, "actions": []string{"neighbours"}})
	at := func(i int, peers ...core.NodeID) string {
		s, _ := answering(i, nil)
		s.Peers = nil
		for _, p := range peers {
			s.Peers = append(s.Peers, coretest.Peer{ID: p})
		}
		return l.Schedule(s, &core.Task{}).String()
	}
	for _, c := range []struct {
		i     int
		peers []core.NodeID
		want  string
	}{
		{1, []core.NodeID{0, 5, 9}, "forward to 5"},
		{2, []core.NodeID{0, 3, 9}, "forward to 9"}, // 5 has left, 3 has come
		{1, []core.NodeID{0, 3, 9}, "execute"},      // 5's seat is kept
		{3, []core.NodeID{0, 3, 9}, "forward to 3"},
		{1, []core.NodeID{0, 3, 5, 9}, "forward to 5"},
		{3, []core.NodeID{0, 1, 3, 5, 9}, "forward to 3"}, // no seat is left for 1
	} {
		if got := at(c.i, c.peers...); got != c.want {
			t.Errorf("neighbour %d among %v: %s, want %s", c.i, c.peers, got, c.want)
		}
	}
}

// Where all neighbours have an action, one that comes later gets the next, as far as the learner has actions for it.
func TestLearningSeatsGrow(t *testing.T) {
	for _, c := range []struct {
		params map[string]any
		late   string // what action 1 means when a second neighbour has come
	}{
		{map[string]any{"actions": []string{"neighbours"}}, "forward to 3"},
		{map[string]any{"actions": []string{"neighbours", "reject"}}, "reject: rejected"},
		{map[string]any{"actions": []string{"neighbours"}, "state": []string{"heard"}}, "execute"},
	} {
		l := learning(t, c.params)
		at := func(i int, peers ...core.NodeID) string {
			s, _ := answering(i, nil)
			s.Peers = nil
			for _, p := range peers {
				s.Peers = append(s.Peers, coretest.Peer{ID: p})
			}
			return l.Schedule(s, &core.Task{}).String()
		}
		if got := at(0, 5); got != "forward to 5" {
			t.Errorf("%v: the first neighbour: %s", c.params, got)
		}
		if got := at(1, 3, 5); got != c.late {
			t.Errorf("%v: action 1 with a second neighbour: %s, want %s", c.params, got, c.late)
		}
		if got := at(0, 3, 5); got != "forward to 5" {
			t.Errorf("%v: the first neighbour, later: %s", c.params, got)
		}
	}
}

// The state has as many numbers as Learns says, in that order.
func TestLearningState(t *testing.T) {
	all := []string{"type", "running", "queued", "load", "heard", "hour", "latency", "slack"}
	l := learning(t, map[string]any{"state": all})
	s, asked := answering(1, nil)
	s.Mean = 2 * time.Second
	s.Clock = core.Time(25*time.Hour + 30*time.Minute)
	late := &core.Task{Arrived: s.Clock - core.Time(3*time.Second), Deadline: s.Clock + core.Time(time.Second)}
	l.Observe(s, late, core.Completed) // took 3 s of 4
	task := &core.Task{Arrived: s.Clock, Deadline: s.Clock + core.Time(5*time.Second)}
	l.Schedule(s, task)
	want := []float64{0, 1, 4, 5, 3, 0, 7, 1.5, 0.75 / 8, 2.5}
	if !slices.Equal((*asked)[0], want) {
		t.Errorf("the state is %v, want %v", (*asked)[0], want)
	}
	dims, actions := l.Learns(World{Nodes: 4, Types: 1, Slots: 1, Room: 9})
	if len(dims) != len(want) || len(actions) != 6 {
		t.Fatalf("%d dimensions and the actions %v", len(dims), actions)
	}
	for i, d := range dims {
		if want[i] < d.Lo || want[i] > d.Hi {
			t.Errorf("%s is %g, outside of %g to %g", d.Name, want[i], d.Lo, d.Hi)
		}
	}
	if dims, actions = learning(t, nil).Learns(World{Nodes: 12, Types: 2, Slots: 4, Room: 4}); len(dims) != 5 || len(actions) != 14 {
		t.Errorf("the first P2PFaaS has 5 numbers and 14 actions for 12 nodes and 2 types, here %d and %d", len(dims), len(actions))
	}
}

// A node of a cluster that is back, and knows nobody yet, tells its learner as many numbers as before.
func TestLearningStateOfACluster(t *testing.T) {
	s, err := Parse("LearningScheduler", params{"state": []any{"heard", "load"}, "actions": []any{"neighbours", "local"}})
	if err != nil {
		t.Fatal(err)
	}
	w := World{Nodes: 5, Slots: 1}
	dims, actions := s.In(w).New().(Learning).Learns(w)
	for _, peers := range []int{0, 2, 4} {
		env := coretest.NewScript(0, make([]int, 1+peers)...)
		x := s.In(w).New().(*LearningScheduler)
		x.seat(env)
		if n := len(x.state(env, task())); n != len(dims) || n != 5 {
			t.Errorf("%d numbers with %d neighbours, the learner was made for %d", n, peers, len(dims))
		}
		if v := x.act(env, len(actions)-1).String(); v != core.Execute().String() {
			t.Errorf("the last action is local, and with %d neighbours it is: %s", peers, v)
		}
	}
}

// What does not fit is refused.
func TestLearningCheck(t *testing.T) {
	for _, params := range []map[string]any{
		{"state": []any{"type", "colour"}}, {"state": []any{"type", "type"}}, {"state": []any{}}, {"state": "type"},
		{"actions": []any{"local", 3}}, {"fallback": "cloud"},
	} {
		if _, err := Parse("LearningScheduler", params); err == nil {
			t.Errorf("%v: no error", params)
		}
	}
	for _, c := range []struct {
		params map[string]any
		w      World
		ok     bool
	}{
		{nil, World{Nodes: 12}, true}, {nil, World{Nodes: 100_000}, false},
		{map[string]any{"neighbours": 10}, World{Nodes: 100_000}, true},
		{map[string]any{"actions": []string{"local", "cloud"}}, World{Nodes: 2}, false},
		{map[string]any{"actions": []string{"local", "cloud"}}, World{Nodes: 2, Cloud: true}, true},
	} {
		if err := learning(t, c.params).Check(c.w); (err == nil) != c.ok {
			t.Errorf("%v in %+v: %v", c.params, c.w, err)
		}
	}
}
