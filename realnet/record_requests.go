package realnet

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// The requests of clients in a log that record.go wrote: they make a workload that can be repeated.

// LoggedRequests are the requests of the clients of one node.
type LoggedRequests struct {
	Node       core.NodeID
	Identity   Identity
	Started    time.Time // 0 of the node's clock, by the wall clock of its machine
	Machines   []string  // addresses by number
	Speed      float64   // of the node
	Requests   []LoggedRequest
	Incomplete string // why the log is not whole; empty: it is
}

// LoggedRequest is a request of a client, as the log of its entry node has it.
type LoggedRequest struct {
	At       core.Time     // on the node's clock
	Function string        // empty: the log does not know the name
	Demand   time.Duration // as the client told it; 0: it did not
	Deadline time.Duration // what was left of it at At, at least 1 ns; 0: there is none
	Executor core.NodeID   // core.NoNode: it did not complete
	Executed time.Duration // in a slot, without the cold start
}

// ReadRequests reads the requests of clients in a log, without a replay of it. The error says what is wrong with the log, and where.
func ReadRequests(from io.Reader) (*LoggedRequests, error) {
	lines, err := linesOf(from)
	if err != nil {
		return nil, err
	}
	r := &recordReader{lines: bufio.NewReaderSize(lines, 1<<16)}
	h, err := r.header()
	if err != nil {
		return nil, err
	}
	found := &LoggedRequests{Node: h.Origin.Node, Identity: h.Identity, Started: h.Started, Speed: float64(h.Origin.Config.Speed)}
	open := map[core.TaskID]int{} // index in Requests
	last := core.Time(0)
	for s, err := range r.steps {
		if err != nil {
			return nil, err
		}
		if s.Input.At < last {
			err = fmt.Errorf("time goes back from %v to %v", last, s.Input.At)
		} else {
			err = found.step(s, open, r.functions)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", r.at, err)
		}
		last = s.Input.At
	}
	found.Machines, found.Incomplete = r.machines, r.done.Incomplete
	return found, nil
}

// step takes from a step of the log the request that it brings, and those that complete with it.
func (l *LoggedRequests) step(s *core.Step, open map[core.TaskID]int, functions []string) error {
	in := &s.Input
	if in.Kind == core.InputSubmit {
		if in.Task == nil {
			return errors.New("a submit without a task")
		}
		open[in.Task.ID] = len(l.Requests)
		l.Requests = append(l.Requests, newLoggedRequest(in, functions))
	}
	for i := range s.Effects {
		done := &s.Effects[i]
		if done.Kind != core.EffectDone {
			continue
		}
		at, known := open[done.Task]
		if !known {
			return fmt.Errorf("task %d ends at %v, and has not begun", done.Task, in.At)
		}
		delete(open, done.Task)
		if done.Outcome != core.Completed {
			continue
		}
		executor, cold := l.Node, in.Cold
		if m := in.Message; m != nil && len(m.Tasks) > 0 && m.Tasks[0].Trip != nil { // a peer's answer
			executor, cold = m.Tasks[0].Trip.Executor, m.Tasks[0].Trip.ColdStart
		}
		r := &l.Requests[at]
		r.Executor, r.Executed = executor, max(0, done.Timing.Executing-cold)
	}
	return nil
}

func newLoggedRequest(in *core.Input, functions []string) LoggedRequest {
	r := LoggedRequest{At: in.At, Demand: in.Task.Demand, Executor: core.NoNode}
	if f := int(in.Task.Function) - 1; f >= 0 && f < len(functions) {
		r.Function = functions[f]
	}
	if in.Task.Deadline != core.Never {
		r.Deadline = max(1, in.Task.Deadline.Sub(in.At)) // it may have passed
	}
	return r
}
