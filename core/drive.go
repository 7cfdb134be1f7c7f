package core

import (
	"iter"
	"runtime"
)

// Who runs when. An input only notes which activities it wakes; they run when it has ended, so that no algorithm is
// ever called from within an input. The loop that makes inputs and runs activities is not bound to a goroutine: a
// decision runs on the stack of the loop, and when it suspends it keeps that stack, and the loop goes on on another
// one. So a decision that does not suspend costs no switch, and one that does costs two. Coroutines that the loop
// would resume, and that would hand back to it, cost two and four (docs/adr/0008-the-loop-travels.md).

// lane is a place where exactly one goroutine waits. Swapping exchanges it for the running one. It is a coroutine of
// iter.Pull, whose two directions alternate; which goroutine uses them does not matter to it.
type lane struct {
	next  func() (struct{}, bool)
	yield func(struct{}) bool
	back  bool // the next swap is a yield
	ended bool // its goroutine has returned
}

// swap returns when another goroutine swaps with the caller.
func (l *lane) swap() {
	if l.back = !l.back; l.back {
		l.next()
	} else {
		l.yield(struct{}{})
	}
}

// rest takes a lane where a goroutine waits to go on with the loop.
func (e *Engine) rest() *lane {
	if k := len(e.lanes); k > 0 {
		l := e.lanes[k-1] // last in, first out: the warmest stack first
		e.lanes = e.lanes[:k-1]
		return l
	}
	l := &lane{}
	l.next, _ = iter.Pull(func(yield func(struct{}) bool) {
		l.yield = yield
		for !e.closed {
			e.loop()
		}
		l.ended = true
	})
	return l
}

// Drive makes steps until one reports false. A step gives nodes their inputs; what these wake runs before the next
// step. Outside of Drive each input runs at its own end what it wakes, which is slower.
func (e *Engine) Drive(step func() bool) {
	e.step, e.driven = step, true
	defer func() { e.driven = false }()
	e.away()
}

// settle runs what the last input woke.
func (e *Engine) settle() {
	if e.ready != nil && !e.driven {
		e.away()
	}
}

// away lets the loop run until it comes home to the caller.
func (e *Engine) away() {
	e.home = e.rest()
	e.home.swap()
	switch b := e.broken; b.how {
	case brokenPanic:
		e.broken = broken{}
		panic(b.cause)
	case brokenGoexit:
		e.broken = broken{}
		runtime.Goexit()
	}
}

// broken is how the loop came to its end, where a step or the host ended it: the goroutine that called Drive, or gave
// an input, ends in the same way.
type broken struct {
	how   brokenHow
	cause any
}

type brokenHow uint8

const (
	brokenNot brokenHow = iota
	brokenPanic
	brokenGoexit
)

// loop runs what is ready and makes steps. It returns when something panicked, and when the engine closes.
func (e *Engine) loop() {
	returned := false
	defer func() {
		if !returned {
			e.unwound(recover())
		}
	}()
	for !e.closed {
		switch a := e.ready; {
		case a == nil:
			// After the last step there may still be something ready.
			if e.step != nil && e.step() {
				continue
			}
			if e.step = nil; e.ready == nil {
				e.idleAt(e.home)
			}
		case a.lane != nil:
			e.ready = a.next
			e.source.pcg = &a.node.rng
			l := a.lane
			a.lane = nil
			e.idleAt(l) // a goes on there
		case a.dead:
			e.ready = a.next
			e.conclude(a, nil)
		default:
			e.ready, e.active = a.next, a
			e.source.pcg = &a.node.rng
			var v Verdict
			if a.kind == activitySchedule {
				v = a.node.deciderOf(a.task).Schedule(a, a.task)
			} else {
				a.serve()
			}
			e.conclude(a, &v)
		}
	}
	returned = true
}

// idleAt changes places with who waits in l, and waits there until the loop is to go on.
func (e *Engine) idleAt(l *lane) {
	e.lanes = append(e.lanes, l)
	l.swap()
}

// unwound deals with what ended a loop in passing: a mistake of an algorithm is a Fault, and the loop goes on.
// Anything else is taken home. cause nil: runtime.Goexit, after which this goroutine can do nothing but exit, and is
// left behind instead, for ever.
func (e *Engine) unwound(cause any) {
	if a := e.active; a != nil {
		e.failed(a, cause)
		if cause == nil {
			e.abandon()
		}
		return
	}
	e.step = nil
	if cause != nil {
		e.broken = broken{brokenPanic, cause}
		return
	}
	e.broken = broken{how: brokenGoexit}
	e.abandon()
}

// abandon leaves the goroutine of the caller behind: the loop goes on elsewhere, and it never returns.
func (e *Engine) abandon() {
	for l := e.rest(); ; l = e.home {
		l.swap() // comes back where a goroutine has ended that it changed places with
	}
}

// Close ends every activity, and every goroutine but those of algorithms that called runtime.Goexit or recovered from
// their end without end. The engine cannot be driven afterwards.
func (e *Engine) Close() {
	for _, a := range e.activities {
		if a.state == activitySuspended || a.state == activityReady {
			a.kill()
		}
	}
	e.settle()
	e.closed = true
	for len(e.lanes) > 0 {
		l := e.lanes[len(e.lanes)-1]
		e.lanes = e.lanes[:len(e.lanes)-1]
		if !l.ended {
			e.home = l
			l.swap()
		}
	}
	e.activities, e.idle = nil, nil
}
