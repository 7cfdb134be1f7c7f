package core

// Lesson is a decision that the node's learner made: what its client must know to tell the learner what it was worth.
type Lesson struct {
	// EID numbers the lessons of a node's life, which ends when it crashes, from 0, in the order of the answers of its learner.
	EID    uint64
	State  []float64
	Action Action
}

// Lesson is the last one about t at the node that its client called; nil where there was none. It is valid until t is
// used again.
func (t *Task) Lesson() *Lesson {
	if p := t.trip; p != nil && p.asked {
		return p.lesson
	}
	return nil
}

// lessonOf is where the lesson about t is kept.
func (e *Engine) lessonOf(t *Task) *Lesson {
	p := e.tripOf(t)
	if p.lesson == nil {
		p.lesson = &Lesson{}
	}
	return p.lesson
}

// keep copies a state: while its decision waits for the learner, the algorithm may write that of another one.
func (l *Lesson) keep(state []float64) { l.State = append(l.State[:0], state...) }

// learned notes what the learner has answered about t.
func (n *Node) learned(t *Task, a Action) {
	l, x := n.cfg.eng.lessonOf(t), n.more()
	l.EID, l.Action, t.trip.asked = x.lessons, a, true
	x.lessons++
}
