package sched

import (
	"math"
	"math/rand/v2"
	"sort"

	"github.com/p2pfaas/p2pfaas/core"
)

// What several algorithms do alike when they choose among peers.

// maxAlternatives bounds how many peers beside the chosen one a verdict names, for on_failure: next.
const maxAlternatives = 3

// scratch is a list of peers that is written anew by each use, and never needed after the decision has been suspended.
type scratch struct{ peers []core.NodeID }

func (s *scratch) list(n int) []core.NodeID {
	if cap(s.peers) < n {
		s.peers = make([]core.NodeID, n)
	}
	return s.peers[:n]
}

// drawn returns k of the neighbours, drawn with replacement; of the neighbours and the node itself with self.
func (s *scratch) drawn(env core.Env, k int, self bool) []core.NodeID {
	nb, r := env.Neighbours(), env.Rand()
	n := nb.Len()
	all := n
	if self {
		all++
	}
	if all == 0 {
		return nil
	}
	peers := s.list(k)
	for i := range peers {
		if j := r.IntN(all); j < n {
			peers[i] = nb.At(j)
		} else {
			peers[i] = env.Self()
		}
	}
	return peers
}

// forward gives the task to the first of n ranked replies, and names the others as alternatives.
func (s *scratch) forward(env core.Env, replies []core.Reply, n int) core.Verdict {
	switch {
	case replies[0].Peer == env.Self():
		return core.Execute()
	case n == 1:
		return core.Forward(replies[0].Peer)
	}
	peers := s.list(n)
	for i := range peers {
		peers[i] = replies[i].Peer
	}
	return core.Forward(peers[0], peers[1:]...)
}

// total is the load that a peer answered, as a score.
func total(r *core.Reply) float64 { return float64(r.Load.Total()) }

// give forwards to a peer, or executes where the peer is the node itself.
func give(env core.Env, p core.NodeID) core.Verdict {
	if p == env.Self() {
		return core.Execute()
	}
	return core.Forward(p)
}

// below counts the neighbours whose number is less than p.
func below(nb core.Neighbours, p core.NodeID) int {
	return sort.Search(nb.Len(), func(i int) bool { return nb.At(i) >= p })
}

// own updates the node's own load where it is among the replies: it may have changed while the peers answered.
func own(env core.Env, replies []core.Reply) {
	for i := range replies {
		if replies[i].Peer == env.Self() {
			replies[i].Load = env.Load()
		}
	}
}

// answered is the number that a peer's Receive answered, as a score.
func answered(r *core.Reply) float64 { return float64(r.Note.Int) }

// bound limits the scores of those that may be chosen: below score or, with equal, at most score.
type bound struct {
	score float64
	equal bool
}

// noBound lets every score be chosen.
var noBound = bound{math.Inf(1), true}

// rank moves the replies of least score to the front, in ascending order, those that score alike in random order: the
// best ones within the bound, at most so many. It returns their number. Peers that did not answer are passed over.
func rank(r *rand.Rand, replies []core.Reply, most int, b bound, score func(*core.Reply) float64) int {
	most = min(most, len(replies))
	for k := range most {
		best, at, ties := b.score, -1, 0
		for i := k; i < len(replies); i++ {
			if replies[i].Err != nil {
				continue
			}
			switch s := score(&replies[i]); {
			case s < best || s == best && at < 0 && b.equal:
				best, at, ties = s, i, 1
			case s == best && at >= 0:
				ties++
				if r.IntN(ties) == 0 {
					at = i
				}
			}
		}
		if at < 0 {
			return k
		}
		replies[k], replies[at] = replies[at], replies[k]
	}
	return most
}
