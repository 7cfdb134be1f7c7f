package sched

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// LearningScheduler asks the learner of its node. It tells it the State and does what the answer says, an index into
// Actions; a neighbour keeps its index while others come and go, whatever functions it has: one that lacks the task's
// refuses it. Tasks that were forwarded here execute here: their client learns with the node that it called.
//
//	State       what the learner is told (default type, running, queued: v1's)
//	Actions     what it may choose (default reject, local, probe, neighbours: v1's)
//	TaskTypes   task types that are told apart; 0 = as many as there are functions (default)
//	Neighbours  neighbours with an action of their own; 0 = all (default)
//	Fallback    what becomes of a task where the learner does not answer: local (default), reject, or probe (and
//	            forward, as the action)
//
// State:
//
//	type     the task's type: a category
//	running  tasks of each type that execute here
//	queued   tasks of each type that wait here
//	load     all of them
//	heard    the last load heard of each neighbour, -1 where none was: any message tells its sender's
//	hour     the hour of the day, 0 to 24, the run beginning at midnight; on real nodes the node, which in a deployment was before
//	latency  how late tasks were that were decided here: latency over deadline, a mean that forgets (1/8)
//	slack    time until the task's deadline over its mean service time; 20 at most, and where it has none
//
// Actions:
//
//	reject      refuse it
//	local       execute it here
//	probe       ask one random neighbour for its load, and forward if that is less than the own one
//	neighbours  forward to a neighbour: one action for each
//	cloud       forward to the cloud
//
// Source: LearningScheduler of P2PFaaS v1; Proietti Mattia and Beraldi, PerCom Workshops 2022 and IEEE TCCN 2024.
type LearningScheduler struct {
	State      []string `param:"state" oneof:"type|running|queued|load|heard|hour|latency|slack" doc:"what the learner is told"`
	Actions    []string `param:"actions" oneof:"reject|local|probe|neighbours|cloud" doc:"what the learner may choose"`
	TaskTypes  int      `param:"task_types" unit:"types" min:"0" max:"4096" doc:"task types that are told apart; 0 = as many as there are functions"`
	Neighbours int      `param:"neighbours" unit:"neighbours" min:"0" max:"4000" doc:"neighbours with an action of their own; 0 = all"`
	Fallback   string   `param:"fallback" oneof:"local|reject|probe" doc:"what becomes of a task where the learner does not answer"`

	seats    []core.NodeID // neighbours by index; who has left keeps the seat
	lateness float64
	scratch  []float64
}

// slackMost bounds the slack that a learner is told.
const slackMost = 20

// Dim is one number of the state that a learner is told.
type Dim struct {
	Name     string
	Lo, Hi   float64 // what it is expected to be
	Category bool    // it tells things apart that have no order
}

// Learning is the face of an algorithm that asks the learner of its node (core.Env.Act).
type Learning interface {
	// Learns returns the numbers of the state and the names of the actions, in a cluster.
	Learns(World) (state []Dim, actions []string)
}

// Learns implements Learning.
func (s *LearningScheduler) Learns(w World) (state []Dim, actions []string) {
	load := float64(min(w.Slots+w.Room, 1<<20))
	each := func(name string, n int, d Dim) {
		for i := range n {
			d.Name = fmt.Sprintf("%s %d", name, i)
			state = append(state, d)
		}
	}
	types, peers := s.typesIn(w), s.seatsIn(w)
	for _, f := range s.State {
		switch f {
		case "type":
			state = append(state, Dim{Name: f, Hi: float64(types - 1), Category: true})
		case "running":
			each(f, types, Dim{Hi: float64(min(w.Slots, 1<<20))})
		case "queued":
			each(f, types, Dim{Hi: float64(min(w.Room, 1<<20))})
		case "load":
			state = append(state, Dim{Name: f, Hi: load})
		case "heard":
			each(f, peers, Dim{Lo: -1, Hi: load})
		case "hour":
			state = append(state, Dim{Name: f, Hi: 24})
		case "latency":
			state = append(state, Dim{Name: f, Hi: 2})
		case "slack":
			state = append(state, Dim{Name: f, Hi: slackMost})
		}
	}
	for _, a := range s.Actions {
		if a != "neighbours" {
			actions = append(actions, a)
			continue
		}
		for i := range peers {
			actions = append(actions, fmt.Sprintf("neighbour %d", i))
		}
	}
	return state, actions
}

func (s *LearningScheduler) typesIn(w World) int {
	if s.TaskTypes > 0 {
		return s.TaskTypes
	}
	return max(1, w.Types)
}

func (s *LearningScheduler) seatsIn(w World) int {
	if s.Neighbours > 0 {
		return s.Neighbours
	}
	return w.Nodes - 1
}

// Check reports what does not fit the cluster.
func (s *LearningScheduler) Check(w World) error {
	var problems []error
	if len(s.State) == 0 || len(s.Actions) == 0 {
		problems = append(problems, errors.New("state and actions must name something"))
	}
	if n := s.seatsIn(w); n > 4000 {
		problems = append(problems, fmt.Errorf("each of %d neighbours would have an action: write neighbours, with a lower number", n))
	}
	if slices.Contains(s.Actions, "cloud") && !w.Cloud {
		problems = append(problems, errors.New("the action cloud needs a cloud in the cluster"))
	}
	return errors.Join(problems...)
}

// In gives each of the other nodes a seat, whoever is there at the first decision: the numbers of the state and of the
// actions stay what the learner was made for.
func (s *LearningScheduler) In(w World) { s.Neighbours = s.seatsIn(w) }

// Remember implements core.Rememberer.
func (s *LearningScheduler) Remember() int {
	if slices.Contains(s.State, "heard") {
		return max(s.Neighbours, 64)
	}
	return 0
}

// Observe implements core.Observer.
func (s *LearningScheduler) Observe(v core.View, t *core.Task, _ core.Outcome) {
	if b := t.Budget(); b > 0 {
		late := min(2, v.Now().Sub(t.Arrived).Seconds()/b.Seconds())
		s.lateness += float64((late - s.lateness) / 8)
	}
}

// Schedule implements core.Scheduler.
func (s *LearningScheduler) Schedule(env core.Env, t *core.Task) core.Verdict {
	if t.Hops > 0 {
		return core.Execute()
	}
	s.seat(env)
	a, err := env.Act(s.state(env, t))
	if err != nil {
		switch s.Fallback {
		case "reject":
			return core.Reject(core.Rejected)
		case "probe":
			return s.probe(env)
		}
		return core.Execute()
	}
	return s.act(env, a.Index)
}

// act carries out an action by its index.
func (s *LearningScheduler) act(env core.Env, i int) core.Verdict {
	for k, a := range s.Actions {
		if a == "neighbours" {
			if s.Neighbours == 0 && k == len(s.Actions)-1 && !slices.Contains(s.State, "heard") {
				s.take(env, i+1) // who has come since the first decision: it shifts nothing
			}
			if n := s.seatsOf(env); i >= n {
				i -= n
				continue
			}
			if i < len(s.seats) && env.AllNeighbours().Has(s.seats[i]) {
				return core.Forward(s.seats[i])
			}
			return core.Execute() // the seat of a neighbour that has left, or has not come yet
		}
		if i > 0 {
			i--
			continue
		}
		switch a {
		case "reject":
			return core.Reject(core.Rejected)
		case "probe":
			return s.probe(env)
		case "cloud":
			if c, ok := env.Cloud(); ok {
				return core.Forward(c)
			}
		}
		return core.Execute()
	}
	return core.Execute()
}

func (s *LearningScheduler) seatsOf(env core.Env) int {
	if s.Neighbours > 0 {
		return s.Neighbours
	}
	return len(s.seats)
}

// seat gives neighbours that are new a seat each, the first time all of them in the order of their numbers.
func (s *LearningScheduler) seat(env core.Env) {
	if !slices.Contains(s.Actions, "neighbours") && !slices.Contains(s.State, "heard") {
		return
	}
	switch {
	case s.Neighbours > 0:
		s.take(env, s.Neighbours)
	case len(s.seats) == 0:
		s.take(env, env.AllNeighbours().Len())
	}
}

// take gives neighbours without a seat one, until there are so many.
func (s *LearningScheduler) take(env core.Env, most int) {
	if len(s.seats) >= most {
		return
	}
	nb := env.AllNeighbours()
	for i := 0; i < nb.Len() && len(s.seats) < most; i++ {
		if p := nb.At(i); !slices.Contains(s.seats, p) {
			s.seats = append(s.seats, p)
		}
	}
}

func (s *LearningScheduler) probe(env core.Env) core.Verdict {
	r := env.Probe(env.Neighbours().Sample(1)...)
	if len(r) == 1 && r[0].Err == nil && r[0].Load.Total() < env.Load().Total() {
		return core.Forward(r[0].Peer)
	}
	return core.Execute()
}

// state is what the learner is told; valid until the next decision.
func (s *LearningScheduler) state(env core.Env, t *core.Task) []float64 {
	x := s.scratch[:0]
	types := env.Types()
	if s.TaskTypes > 0 {
		types = s.TaskTypes
	}
	for _, f := range s.State {
		switch f {
		case "type":
			x = append(x, float64(min(int(t.Type), types-1)))
		case "running", "queued":
			for k := range types {
				running, queued := env.LoadOf(core.TaskType(k))
				if f == "running" {
					x = append(x, float64(running))
				} else {
					x = append(x, float64(queued))
				}
			}
		case "load":
			x = append(x, float64(env.Load().Total()))
		case "heard":
			x = s.heard(env, x)
		case "hour":
			x = append(x, math.Mod(float64(env.Now())/float64(time.Hour), 24))
		case "latency":
			x = append(x, s.lateness)
		case "slack":
			x = append(x, slack(env, t))
		}
	}
	s.scratch = x
	return x
}

func (s *LearningScheduler) heard(env core.Env, x []float64) []float64 {
	for i := range s.seatsOf(env) {
		known := -1.0
		if i < len(s.seats) {
			if l, _, ok := env.Heard(s.seats[i]); ok {
				known = float64(l.Total())
			}
		}
		x = append(x, known)
	}
	return x
}

func slack(env core.Env, t *core.Task) float64 {
	mean := env.MeanService(t.Type)
	if t.Deadline == core.Never || mean <= 0 {
		return slackMost
	}
	return min(slackMost, max(0, float64(t.Deadline.Sub(env.Now()))/float64(mean)))
}

func init() {
	Register(Entry{
		Name:    "LearningScheduler",
		Summary: "ask the node's learner: reject, execute here, probe and forward, or forward to a neighbour",
		Doc: "The learner of the node is told a state and answers with an action; what it answers was worth, the client " +
			"tells it afterwards (the block learner of a scenario). The numbers of the state and the actions are chosen " +
			"here; by default they are those of the first P2PFaaS. A neighbour keeps its action while others come and go. " +
			"It costs the time that the learner takes to answer, for every task.",
		Source: "P2PFaaS v1; Proietti Mattia and Beraldi, PerCom Workshops 2022, 10.1109/PerComWorkshops53856.2022.9767498, " +
			"and IEEE TCCN 10(4) 2024, 10.1109/TCCN.2024.3378219",
		Positional: []string{"task_types"},
		New: func() core.Scheduler {
			return &LearningScheduler{State: []string{"type", "running", "queued"},
				Actions: []string{"reject", "local", "probe", "neighbours"}, Fallback: "local"}
		},
	})
}
