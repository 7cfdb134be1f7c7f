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
	// point gets the replications that its scenario says.
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
	target  int                    // replications wanted, as far as is known
	started int                    //
	done    []*results.Replication // by index; nil where it is not finished
	prefix  int                    // the first so many are finished
	closed  bool                   // no more are wanted
}

// take returns the next replication to run; ok is false when there is none left.
func (s *schedule) take() (point, replication int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil {
		best := -1
		for i := range s.state {
			p := &s.state[i]
			if !p.closed && p.started < p.target && (best < 0 || p.started < s.state[best].started) {
				best = i
			}
		}
		if best >= 0 {
			p := &s.state[best]
			p.started++
			p.done = append(p.done, nil)
			s.busy++
			return best, p.started - 1, true
		}
		if s.busy == 0 {
			break
		}
		s.wake.Wait() // what is running may show that more are needed
	}
	return 0, 0, false
}

func (s *schedule) work(ctx context.Context) {
	for {
		point, replication, ok := s.take()
		if !ok {
			return
		}
		r, err := s.one(ctx, point, replication)
		if err == nil && s.batch.Done != nil {
			err = s.batch.Done(point, r)
		}
		s.finish(point, r, err)
	}
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
		if w, err = New(b.Points[point].Scenario, replication, o); err != nil {
			return
		}
		w.progress = b.Progress
		r, err = w.Run(func() bool { return ctx.Err() != nil })
	}()
	<-returned
	if err == errEnded && w.err != nil {
		err = w.err
	}
	if err != nil && !errors.Is(err, ErrInterrupted) {
		err = fmt.Errorf("point %d: %w", point, err)
	}
	return r, err
}

// finish files a result and decides, by the longest prefix of replications, whether the point needs more.
func (s *schedule) finish(point int, r *results.Replication, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.wake.Broadcast()
	s.busy--
	if err != nil {
		if s.err == nil || errors.Is(s.err, ErrInterrupted) {
			s.err = err
		}
		return
	}
	p := &s.state[point]
	p.done[r.Index] = r
	for p.prefix < len(p.done) && p.done[p.prefix] != nil {
		p.prefix++
	}
	precision := s.batch.Points[point].Scenario.Precision
	if precision == nil || s.batch.Enough == nil || p.prefix < p.target {
		return
	}
	if s.batch.Enough(point, p.done[:p.prefix]) || p.target >= precision.Replications {
		p.closed = true
		return
	}
	p.target++
}
