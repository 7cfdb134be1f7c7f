package simnet

import (
	"math/rand/v2"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// streams are the random streams of one purpose, one per node, behind one generator. What one node draws does not
// change what another one will.
type streams struct {
	rand   *rand.Rand
	source random.Source
	pcg    []rand.PCG
}

func newStreams(w *World, purpose string) *streams {
	s := &streams{pcg: make([]rand.PCG, len(w.nodes))}
	for i := range s.pcg {
		s.pcg[i] = *random.Stream(w.scenario.Seed, w.replication, purpose, i)
	}
	s.rand = rand.New(&s.source)
	return s
}

// of is the generator at the stream of node n, until the next call.
func (s *streams) of(n int) *rand.Rand {
	s.source.PCG = &s.pcg[n]
	return s.rand
}
