package coretest

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// Script is a core.Env for tests of one algorithm at one node: the loads of the peers and what they answer are written
// down beforehand, and what the algorithm did is recorded. Calls that would suspend return at once, after Meanwhile.
type Script struct {
	ID    core.NodeID
	Own   core.Load
	Peers []Peer // the neighbours, in ascending order of ID
	Clock core.Time
	Mean  time.Duration // mean service time of every task type; 0 = unknown
	Far   core.NodeID   // the cloud; NoNode = none
	// Answer is the node's own Receive, for an Ask that includes the node itself.
	Answer func(core.Note) core.Note

	// Learner answers Act; nil: there is no learner.
	Learner func(state []float64) (core.Action, error)
	// Meanwhile runs during each call that suspends: there the own load may change, and other decisions begin.
	Meanwhile func(*Script)
	// Naps is how many calls of Sleep return. The next one ends what Run runs.
	Naps int

	Asked []core.NodeID   // peers probed, asked or pulled from, in order
	Told  []Told          // calls of Tell
	Slept []time.Duration // calls of Sleep that returned

	rand    *rand.Rand
	sample  []core.NodeID
	replies []core.Reply
}

// Peer is a neighbour as a Script plays it.
type Peer struct {
	ID     core.NodeID
	Load   core.Load
	RTT    time.Duration
	Err    error                     // what asking it gives, instead of an answer
	Answer func(core.Note) core.Note // its Receive; nil: it has none
	Heard  core.Time                 // when its load was last heard of
}

// Told is a note that was told.
type Told struct {
	To   core.NodeID
	Note core.Note
}

// Loaded is the load of a node with one slot and ample room that has n tasks in hand.
func Loaded(n int) core.Load {
	return core.Load{Running: int32(min(n, 1)), Queued: int32(max(0, n-1)), Capacity: core.Capacity{Slots: 1, Room: 1 << 20, Speed: 1}}
}

// NewScript returns node id of a full mesh with so many tasks at each node, id itself included. There is no cloud.
func NewScript(id core.NodeID, tasks ...int) *Script {
	s := &Script{ID: id, Own: Loaded(tasks[id]), Far: core.NoNode, rand: rand.New(rand.NewPCG(1, uint64(id)))}
	for i, n := range tasks {
		if core.NodeID(i) != id {
			s.Peers = append(s.Peers, Peer{ID: core.NodeID(i), Load: Loaded(n)})
		}
	}
	return s
}

// Peer returns neighbour id.
func (s *Script) Peer(id core.NodeID) *Peer {
	for i := range s.Peers {
		if s.Peers[i].ID == id {
			return &s.Peers[i]
		}
	}
	return nil
}

// errEnough ends a loop that would sleep for ever.
var errEnough = errors.New("no naps left")

// Run calls f, which may loop around Sleep: it ends when the naps are used up.
func (s *Script) Run(f func(core.Env)) {
	defer func() {
		if r := recover(); r != nil && r != errEnough {
			panic(r)
		}
	}()
	f(s)
}

// The View.

// Now implements core.View.
func (s *Script) Now() core.Time { return s.Clock }

// Rand implements core.View.
func (s *Script) Rand() *rand.Rand { return s.rand }

// Self implements core.View.
func (s *Script) Self() core.NodeID { return s.ID }

// Load implements core.View.
func (s *Script) Load() core.Load { return s.Own }

// LoadOf implements core.View: all tasks are of type 0.
func (s *Script) LoadOf(t core.TaskType) (running, queued int) {
	if t != 0 {
		return 0, 0
	}
	return int(s.Own.Running), int(s.Own.Queued)
}

// Types implements core.View.
func (s *Script) Types() int { return 1 }

// MeanService implements core.View.
func (s *Script) MeanService(core.TaskType) time.Duration { return s.Mean }

// Neighbours implements core.View.
func (s *Script) Neighbours() core.Neighbours { return (*neighbours)(s) }

// AllNeighbours implements core.View: all have every function.
func (s *Script) AllNeighbours() core.Neighbours { return (*neighbours)(s) }

// Cloud implements core.View.
func (s *Script) Cloud() (core.NodeID, bool) { return s.Far, s.Far != core.NoNode }

// Heard implements core.View.
func (s *Script) Heard(p core.NodeID) (core.Load, core.Time, bool) {
	if q := s.Peer(p); q != nil {
		return q.Load, q.Heard, true
	}
	return core.Load{}, 0, false
}

// Tell implements core.View.
func (s *Script) Tell(p core.NodeID, n core.Note) { s.Told = append(s.Told, Told{p, n}) }

// The rest of the Env.

func (s *Script) suspend() {
	if s.Meanwhile != nil {
		s.Meanwhile(s)
	}
}

// Probe implements core.Env.
func (s *Script) Probe(peers ...core.NodeID) []core.Reply { return s.question(core.Note{}, peers) }

// Ask implements core.Env.
func (s *Script) Ask(n core.Note, peers ...core.NodeID) []core.Reply { return s.question(n, peers) }

func (s *Script) question(n core.Note, peers []core.NodeID) []core.Reply {
	s.replies = s.replies[:0]
	for _, p := range peers {
		r := core.Reply{Peer: p, Err: core.ErrNotPeer}
		q := s.Peer(p)
		switch {
		case p == s.ID:
			r.Load, r.Err = s.Own, nil
			if s.Answer != nil {
				r.Note = s.Answer(n)
			}
		case q != nil && q.Err != nil:
			r.Err = q.Err
		case q != nil:
			r.Load, r.RTT, r.Err = q.Load, q.RTT, nil
			if q.Answer != nil {
				r.Note = q.Answer(n)
			}
		}
		s.replies = append(s.replies, r)
		s.Asked = append(s.Asked, p)
	}
	s.suspend()
	return s.replies
}

// Pull implements core.Env: what the peer hands over begins to execute here, or waits.
func (s *Script) Pull(p core.NodeID, most, above int) (int, error) {
	s.Asked = append(s.Asked, p)
	s.suspend()
	q := s.Peer(p)
	if q == nil {
		return 0, core.ErrNotPeer
	}
	if q.Err != nil {
		return 0, q.Err
	}
	count := 0
	for ; count < most && q.Load.Queued > 0 && q.Load.Total() > above; count++ {
		q.Load.Queued--
		if s.Own.Free() > 0 {
			s.Own.Running++
		} else {
			s.Own.Queued++
		}
	}
	return count, nil
}

// Sleep implements core.Env: the clock goes on.
func (s *Script) Sleep(d time.Duration) {
	if s.Naps == 0 {
		panic(errEnough)
	}
	s.Naps--
	s.Slept = append(s.Slept, d)
	s.Clock = s.Clock.Add(d)
	s.suspend()
}

// Act implements core.Env.
func (s *Script) Act(state []float64) (core.Action, error) {
	s.suspend()
	if s.Learner == nil {
		return core.Action{}, core.ErrNoActor
	}
	return s.Learner(state)
}

// neighbours are a script's peers.
type neighbours Script

func (b *neighbours) Len() int { return len(b.Peers) }

func (b *neighbours) At(i int) core.NodeID { return b.Peers[i].ID }

func (b *neighbours) Has(p core.NodeID) bool { return p == b.ID || (*Script)(b).Peer(p) != nil }

func (b *neighbours) Sample(k int) []core.NodeID {
	b.sample = b.sample[:0]
	return b.draw(k)
}

func (b *neighbours) SampleAll(k int) []core.NodeID {
	b.sample = append(b.sample[:0], b.ID)
	return b.draw(k)
}

// draw adds the peers to the sample, shuffles it and returns the first k.
func (b *neighbours) draw(k int) []core.NodeID {
	for i := range b.Peers {
		b.sample = append(b.sample, b.Peers[i].ID)
	}
	for i := range b.sample {
		j := b.rand.IntN(i + 1)
		b.sample[i], b.sample[j] = b.sample[j], b.sample[i]
	}
	return b.sample[:min(k, len(b.sample))]
}
