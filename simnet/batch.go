package simnet

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// Batch is a number of replications of the points of a sweep, to be run on several cores. Each is a world of its own
// on one goroutine, so what comes out does not depend on how many run at once.
type Batch struct {
	Points  []scenarios.Point
	Workers int
	// Options says what a replication does besides simulating; nil: nothing.
	Options func(point, replication int) Options

	// Have returns the replication where an earlier run has it already, and nil where it is to be run.
	Have func(point, replication int) *results.Replication
	// Done takes a finished replication, in order of completion. It is called from several goroutines.
	Done func(point int, r *results.Replication) error
	// Enough says, by the replications of a point with the indices 0 to n-1, whether it needs no more. Nil: each
	// point gets the replications that its scenario says. A worker without anything else to do begins replications that
	// may turn out not to be needed; Done does not see those.
	Enough func(point int, replications []*results.Replication) bool
	// Progress is told by how many requests the batch has advanced. It is called from several goroutines.
	Progress func(jobs int)
}

// Run runs the batch. When ctx is cancelled it stops and returns ErrInterrupted; what was Done by then is done.
func (b *Batch) Run(ctx context.Context) error {
	s := &schedule{batch: b, state: make([]pointState, len(b.Points))}
	s.wake = sync.NewCond(&s.mu)
	for i := range b.Points {
		s.state[i].target = b.Points[i].Scenario.Replications
	}
	var workers sync.WaitGroup
	for range max(1, b.Workers) {
		workers.Go(func() { s.work(ctx) })
	}
	workers.Wait()
	return s.err
}

var errEnded = errors.New("the goroutine of the world has ended")

// schedule hands out replications: the first one of every point, then the second, and so on, so that an interrupted
// sweep has something of every point.
type schedule struct {
	batch *Batch
	mu    sync.Mutex
	wake  *sync.Cond
	state []pointState
	busy  int
	err   error
}

type pointState struct {
	target  int // replications wanted, as far as is known
	started int
	done    []finishable // by index
	closed  bool         // no more are wanted
}

// finishable is a replication that has been started.
type finishable struct {
	result *results.Replication // nil: not finished
	err    error                // it went wrong, which matters if it is wanted
	given  bool                 // to Batch.Done
}

// take returns the next replication to run; ok is false when there is none left.
func (s *schedule) take() (point, replication int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil {
		if i := s.next(); i >= 0 {
			p := &s.state[i]
			p.started++
			p.done = append(p.done, finishable{})
			s.busy++
			return i, p.started - 1, true
		}
		if s.busy == 0 {
			break
		}
		s.wake.Wait() // what is running may show that more are needed
	}
	return 0, 0, false
}

// next is the point with the fewest replications of those that want more, or else one that may want more soon; -1 where
// there is none.
func (s *schedule) next() int {
	best, likely := -1, -1
	for i := range s.state {
		p := &s.state[i]
		switch {
		case p.closed:
		case p.started < p.target:
			if best < 0 || p.started < s.state[best].started {
				best = i
			}
		case p.started < s.most(i):
			if likely < 0 || p.started-p.target < s.state[likely].started-s.state[likely].target {
				likely = i
			}
		}
	}
	if best < 0 {
		return likely
	}
	return best
}

// most is up to how many replications of a point may be begun before it is known that they are wanted.
func (s *schedule) most(point int) int {
	p := s.precision(point)
	if p == nil {
		return 0
	}
	return min(p.Replications, s.state[point].target+s.batch.Workers-1)
}

// precision is the stopping rule of a point; nil: none.
func (s *schedule) precision(point int) *scenarios.Precision {
	if s.batch.Enough == nil {
		return nil
	}
	return s.batch.Points[point].Scenario.Precision
}

func (s *schedule) work(ctx context.Context) {
	for {
		point, replication, ok := s.take()
		if !ok {
			return
		}
		r, err := s.one(ctx, point, replication)
		for _, r := range s.finish(point, replication, r, err) {
			if s.batch.Done == nil {
				break
			}
			if err := s.batch.Done(point, r); err != nil {
				s.fail(err)
			}
		}
	}
}

func (s *schedule) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed(err)
}

// failed is fail for those that hold the lock.
func (s *schedule) failed(err error) {
	if s.err == nil || errors.Is(s.err, ErrInterrupted) {
		s.err = err
	}
}

// unwanted reports whether a replication has turned out not to be needed.
func (s *schedule) unwanted(point, replication int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &s.state[point]
	return p.closed && replication >= p.target
}

// one runs a replication, or takes it from an earlier run. A scheduler that calls runtime.Goexit ends the goroutine of
// its world; that is an error, not a hang.
func (s *schedule) one(ctx context.Context, point, replication int) (r *results.Replication, err error) {
	b := s.batch
	if b.Have != nil {
		if r = b.Have(point, replication); r != nil {
			return r, nil
		}
	}
	if ctx.Err() != nil {
		return nil, ErrInterrupted
	}
	var o Options
	if b.Options != nil {
		o = b.Options(point, replication)
	}
	returned := make(chan struct{})
	var w *World
	err = errEnded
	go func() {
		defer close(returned)
		world, wrong := New(b.Points[point].Scenario, replication, o)
		if wrong != nil {
			err = wrong
			return
		}
		w = world
		w.progress = b.Progress
		r, err = w.Run(func() bool { return ctx.Err() != nil || s.unwanted(point, replication) })
	}()
	<-returned
	if err == errEnded && w != nil && w.err != nil {
		err = w.err
	}
	if err != nil && !errors.Is(err, ErrInterrupted) {
		err = fmt.Errorf("point %d: %w", b.Points[point].Index, err)
	}
	return r, err
}

// finish files a result, decides by the longest prefix of replications whether the point needs more, and returns those
// that are wanted and that nobody was given yet.
func (s *schedule) finish(point, index int, r *results.Replication, err error) (wanted []*results.Replication) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.wake.Broadcast()
	s.busy--
	p := &s.state[point]
	p.done[index].result, p.done[index].err = r, err
	for precision := s.precision(point); precision != nil && !p.closed; {
		prefix := p.prefix()
		if prefix == nil {
			break
		}
		p.closed = s.batch.Enough(point, prefix) || p.target >= precision.Replications
		if !p.closed {
			p.target++
		}
	}
	for i := range p.done[:min(p.target, len(p.done))] {
		d := &p.done[i]
		if d.err != nil {
			s.failed(d.err)
		}
		if d.result != nil && !d.given {
			d.given = true
			wanted = append(wanted, d.result)
		}
	}
	return wanted
}

// prefix are the replications up to the target; nil where one of them is not finished.
func (p *pointState) prefix() []*results.Replication {
	if len(p.done) < p.target {
		return nil
	}
	prefix := make([]*results.Replication, p.target)
	for i := range prefix {
		if prefix[i] = p.done[i].result; prefix[i] == nil {
			return nil
		}
	}
	return prefix
}
