package simnet

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// Learner is what a node asks for actions and what its clients train: a *learner.Learner, or one outside the process.
type Learner interface {
	Act(state []float64) (core.Action, error)
	Train(learner.Entry) error
}

// batchLearner takes the entries of a message at once: a learner outside the process.
type batchLearner interface {
	TrainBatch([]learner.Entry) error
}

// learning is what learns in a world, and the way there: what a decision waits for, and what a client sends back.
type learning struct {
	spec      *scenarios.Learner
	formula   learner.Reward // this world's own: it keeps scratch space
	nodes     []Learner      // nil where the algorithm asks nobody
	learned   func(core.NodeID, *learner.Learner) error
	inference *streams
	way       *streams // of entries

	answers slab[answer]
	letters slab[letter]
	open    []letter // by node: what its clients have not sent yet
	spare   []letter // for reuse
	entry   learner.Entry
	seen    learner.Answer
}

// answer is what a learner has answered, on its way to the node.
type answer struct {
	token  core.Token
	action core.Action
	err    error
}

// letter is a message with entries.
type letter []learner.Entry

// newLearning makes the nodes' learners.
func (w *World) newLearning(o Options) error {
	spec := w.scenario.Learner
	if spec == nil {
		return nil
	}
	l := &learning{spec: spec, formula: spec.Reward, learned: o.Learned}
	w.learning = l
	if err := l.formula.Compile(); err != nil {
		return err
	}
	if !spec.Asks() {
		return nil
	}
	n := w.scenario.Cluster.Nodes()
	l.inference, l.way = newStreams(w, random.Inference), newStreams(w, random.Entries)
	l.open = make([]letter, n)
	l.nodes = make([]Learner, n)
	for i := range l.nodes {
		var err error
		if spec.External != nil {
			if o.Learner == nil {
				return fmt.Errorf("the scenario has a learner outside the process, and nothing connects to it here")
			}
			l.nodes[i], err = o.Learner(core.NodeID(i))
		} else {
			l.nodes[i], err = newLearner(w, i)
		}
		if err != nil {
			return fmt.Errorf("the learner of node %d: %w", i, err)
		}
	}
	return nil
}

func newLearner(w *World, node int) (Learner, error) {
	spec := w.scenario.Learner
	l, err := learner.New(spec.Config, *random.Stream(w.scenario.Seed, w.replication, random.Learner, node))
	if err == nil && len(spec.Weights) > 0 {
		err = l.Load(spec.Weights[min(node, len(spec.Weights)-1)])
	}
	if err == nil && !spec.Train {
		l.Freeze()
	}
	return l, err
}

func (l *learning) asks() bool { return l != nil && l.nodes != nil }

// Act implements core.Host. The learner decides when it is asked; its answer takes the time of an inference.
func (w *World) Act(n core.NodeID, k core.Token, state []float64) (core.Action, bool, error) {
	l := w.learning
	if !l.asks() || int(n) >= len(l.nodes) {
		return core.Action{}, true, core.ErrNoActor
	}
	if w.unreachable(n) {
		return core.Action{}, true, errLearnerDown
	}
	a, err := l.nodes[n].Act(state)
	if err == nil && a.Index >= l.spec.Config.Actions {
		err = fmt.Errorf("the learner of node %d chooses action %d: there are 0 to %d", n, a.Index, l.spec.Config.Actions-1)
	}
	if err != nil && w.err == nil {
		w.err = err // a simulation does not go on with a learner that is not there
	}
	if l.spec.Inference == nil && w.costs == nil {
		return a, true, err
	}
	d := w.actCost(n)
	if l.spec.Inference != nil {
		d += random.Duration(l.spec.Inference, l.inference.of(int(n)))
	}
	w.calendar.push(w.now.Add(d), evAnswer, n, l.answers.put(answer{k, a, err}), 0)
	return core.Action{}, false, nil
}

// unreachable reports whether the learner of a node can be reached by nobody. It is in the node's process, unless it is
// outside of all.
func (w *World) unreachable(n core.NodeID) bool {
	f := w.faults
	return f != nil && (f.lies(n, scenarios.LearnerDown) > 0 || w.learning.spec.External == nil && f.down(n))
}

// forget has the learner of a node begin anew, where that was in the process which is gone.
func (w *World) forget(n core.NodeID) {
	l := w.learning
	if !l.asks() || l.spec.External != nil {
		return
	}
	var err error
	if l.nodes[n], err = newLearner(w, int(n)); err != nil {
		panic(fmt.Sprintf("simnet: a learner that could be made cannot be made again: %v", err))
	}
}

// errLearnerDown is what an algorithm sees of a learner that does not answer.
var errLearnerDown = errors.New("the learner cannot be reached")

// answer brings an answer to its node.
func (w *World) answer(n core.NodeID, i uint32) {
	a := w.learning.answers.take(i)
	w.fold(inputAnswer, n, uint64(a.token)^uint64(a.action.Index)<<48)
	w.nodes[n].Answer(w.now, a.token, a.action, a.err)
}

// reward says what the answer to a request was worth.
func (w *World) reward(r *results.Record, lesson *core.Lesson) {
	l := w.learning
	if r.Rewarded = l != nil; !r.Rewarded {
		return
	}
	action := -1
	if lesson != nil {
		action = lesson.Action.Index
	}
	r.Answer(&l.seen, w.scenario.Functions[r.Function].Name, action)
	x, err := l.formula.Of(&l.seen)
	if err != nil && w.err == nil {
		w.err = err
	}
	r.Reward = x
}

// teach has the client of a task that has ended send what it was worth to the learner of its node. The client knows
// that when the answer has come down its link.
func (w *World) teach(n core.NodeID, t *core.Task, lesson *core.Lesson) {
	l := w.learning
	l.entry = learner.Entry{EID: lesson.EID, State: lesson.State, Action: lesson.Action.Index, Reward: w.one.Reward}
	down := core.Time(0)
	if !w.access.none {
		down = core.Time(w.access.inside[t.Slot()].down)
	}
	if l.spec.Delay == nil && l.spec.Loss == 0 && l.spec.Batch == 1 && down == 0 {
		if !w.unreachable(n) {
			w.train(n, l.entry)
		}
		return
	}
	l.open[n] = l.append(l.open[n], &l.entry)
	if len(l.open[n]) < l.spec.Batch {
		return
	}
	full := l.open[n]
	l.open[n] = nil
	r01 := l.way.of(int(n))
	if l.spec.Loss > 0 && r01.Float64() < l.spec.Loss {
		l.spare = append(l.spare, full[:0])
		return
	}
	at := w.now + down
	if l.spec.Delay != nil {
		at = at.Add(random.Duration(l.spec.Delay, r01))
	}
	w.calendar.push(at, evEntries, n, l.letters.put(full), 0)
}

// append copies an entry, whose state belongs to its task, behind the others of a letter.
func (l *learning) append(to letter, e *learner.Entry) letter {
	if k := len(l.spare); to == nil && k > 0 {
		to, l.spare = l.spare[k-1], l.spare[:k-1]
	}
	if len(to) == cap(to) {
		to = append(to, learner.Entry{})
	} else {
		to = to[:len(to)+1]
	}
	d := &to[len(to)-1]
	d.EID, d.Action, d.Reward = e.EID, e.Action, e.Reward
	d.State = append(d.State[:0], e.State...)
	return to
}

// entries brings a letter to the learner of its node.
func (w *World) entries(n core.NodeID, i uint32) {
	l := w.learning
	full := l.letters.take(i)
	if w.unreachable(n) {
		l.spare = append(l.spare, full[:0])
		return
	}
	if b, ok := l.nodes[n].(batchLearner); ok {
		for k := range full {
			w.foldEntry(n, &full[k])
		}
		if err := b.TrainBatch(full); err != nil && w.err == nil {
			w.err = err
		}
	} else {
		for k := range full {
			w.train(n, full[k])
		}
	}
	l.spare = append(l.spare, full[:0])
}

func (w *World) train(n core.NodeID, e learner.Entry) {
	w.foldEntry(n, &e)
	if err := w.learning.nodes[n].Train(e); err != nil && w.err == nil {
		w.err = err
	}
}

func (w *World) foldEntry(n core.NodeID, e *learner.Entry) {
	w.fold(inputEntry, n, e.EID^uint64(e.Action)<<48^math.Float64bits(e.Reward))
}

// close ends the connections to learners outside the process.
func (l *learning) close() {
	if !l.asks() {
		return
	}
	for _, x := range l.nodes {
		if c, ok := x.(io.Closer); ok {
			_ = c.Close() // what mattered was answered
		}
	}
}

// end hands over what was learned.
func (l *learning) end() error {
	if !l.asks() || l.learned == nil {
		return nil
	}
	for n, x := range l.nodes {
		if own, ok := x.(*learner.Learner); ok {
			if err := l.learned(core.NodeID(n), own); err != nil {
				return fmt.Errorf("the learner of node %d: %w", n, err)
			}
		}
	}
	return nil
}
