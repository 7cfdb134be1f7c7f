package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"

	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/simnet"
)

// Check simulates a replication of a scenario and returns the first violation; nil: every invariant holds. With twice
// it is simulated again, which must do the same. The trace may be nil. The error is that ctx has ended.
func Check(ctx context.Context, s *scenarios.Scenario, replication int, twice bool, trace io.Writer) (*Violation, error) {
	first, v, err := watched(ctx, s, replication, trace)
	if v == nil && err == nil && twice {
		v, err = repeated(ctx, s, replication, first)
	}
	if v != nil {
		v.Replication = replication
	}
	return v, err
}

// repeated is the violation of a simulation that does not do again what it did.
func repeated(ctx context.Context, s *scenarios.Scenario, replication int, first *results.Replication) (*Violation, error) {
	second, v, err := watched(ctx, s, replication, nil)
	if v == nil && err == nil && (second.Digest != first.Digest || second.Events != first.Events) {
		v = &Violation{Invariant: Determinism, At: core.Time(s.Duration), Node: core.NoNode, Text: fmt.Sprintf("%d events have the digest %016x, and then %d have %016x",
			first.Events, first.Digest, second.Events, second.Digest)}
	}
	return v, err
}

// watched is one simulation.
func watched(ctx context.Context, s *scenarios.Scenario, replication int, trace io.Writer) (r *results.Replication, v *Violation, err error) {
	all := *s
	all.Warmup, all.Replications = all.Duration, 2 // nothing is measured, also not by batches: that takes as long as all the rest
	s = &all
	c := newChecker(s)
	defer func() {
		if cause := recover(); cause != nil {
			r, v, err = nil, c.sound(fmt.Sprintf("panic: %v\n%s", cause, debug.Stack())), nil
		}
	}()
	o := c.options()
	o.Trace = trace
	w, err := simnet.New(s, replication, o)
	if err != nil {
		return nil, c.sound(err.Error()), nil
	}
	r, err = w.Run(func() bool { return ctx.Err() != nil })
	switch {
	case errors.Is(err, simnet.ErrInterrupted):
		return nil, nil, err
	case err != nil:
		return nil, c.sound(err.Error()), nil
	}
	return r, c.broken, nil
}

// sound is what is wrong with a run that did not come to its end: what was seen before it, where something was.
func (c *checker) sound(text string) *Violation {
	if c.broken == nil {
		c.wrong(Sound, core.NoNode, "%s", text)
	}
	return c.broken
}

// every is of how many seeds one is simulated twice.
const every = 10

// Failure is a seed whose run violates an invariant.
type Failure struct {
	Seed      uint64
	Document  *yaml.Node
	Violation *Violation
}

// Swarm simulates the scenarios of many seeds.
type Swarm struct {
	First, Last uint64
	Workers     int
	// Done is told of each seed that is through, one at a time: the failure, or nil. Where it returns false the swarm ends.
	Done func(seed uint64, f *Failure) bool
}

// Run runs the swarm until every seed is through, Done has had enough, or ctx ends.
func (s *Swarm) Run(ctx context.Context) error {
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	var mu sync.Mutex
	var wrong error
	next := s.First
	take := func() (uint64, bool) {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil || wrong != nil || next > s.Last {
			return 0, false
		}
		next++
		return next - 1, true
	}
	var workers sync.WaitGroup
	for range s.Workers {
		workers.Go(func() {
			for seed, ok := take(); ok; seed, ok = take() {
				f, err := Seed(ctx, seed)
				mu.Lock()
				switch {
				case ctx.Err() != nil:
				case err != nil:
					wrong = errors.Join(wrong, err)
				case !s.Done(seed, f):
					enough()
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return wrong
}

// Seed draws the scenario of a seed and simulates it; nil: every invariant holds. Every tenth is simulated twice.
func Seed(ctx context.Context, seed uint64) (*Failure, error) {
	doc, s, err := Draw(seed)
	if err != nil {
		return nil, err
	}
	v, err := Check(ctx, s, 0, seed%every == 0, nil)
	if v == nil || err != nil {
		return nil, err
	}
	return &Failure{seed, doc, v}, nil
}
