package random

import (
	"math/bits"
	"math/rand/v2"
)

// Purposes of the streams of a run.
const (
	Arrivals    = "arrivals"    // when and where tasks come in, and of which type
	Environment = "environment" // the states of a modulated workload
	Demand      = "demand"      // how long they execute, and their deadlines
	Network     = "network"     // latency, jitter, loss
	Algorithm   = "algorithm"   // what View.Rand gives to a scheduler
	Learner     = "learner"     // exploration
	ColdStart   = "cold-start"  // how long new instances take to start
	Faults      = "faults"      // when faults begin, and whom they befall
	Disturbance = "disturbance" // what becomes of messages on links that faults lie on
	Failure     = "failure"     // which executions fail
	Topology    = "topology"    // random graphs
	Placement   = "placement"   // which nodes have a function
	Inference   = "inference"   // how long a learner takes to answer
	Membership  = "membership"  // the failure detector's choices
	Gossip      = "gossip"      // what becomes of the failure detector's messages
	Entries     = "entries"     // how long what a client teaches is on its way, and whether it gets lost
	Costs       = "costs"       // what the parts of a request cost, as a calibration says
	Records     = "records"     // which requests are recorded
)

// Stream returns the stream of a purpose and a node in one replication of an experiment. Equal keys give equal
// streams, different keys independent ones. Where a purpose has one stream for all nodes, node is 0.
func Stream(seed uint64, replication int, purpose string, node int) *rand.PCG {
	a, b := key(seed, replication, purpose, node)
	return rand.NewPCG(a, b)
}

// Key hashes a stream's key and one more number into 64 bits: for values that must not depend on the order in which
// they are drawn.
func Key(seed uint64, replication int, purpose string, node int, item uint64) uint64 {
	a, b := key(seed, replication, purpose, node)
	return Mix(a ^ Mix(b+item))
}

func key(seed uint64, replication int, purpose string, node int) (a, b uint64) {
	const prime = 1099511628211
	h := uint64(14695981039346656037) // FNV-1a
	for i := range len(purpose) {
		h = (h ^ uint64(purpose[i])) * prime
	}
	for _, w := range [...]uint64{seed, uint64(replication), uint64(node)} {
		h = Mix(h + golden + w)
	}
	return Mix(h + golden), Mix(h ^ golden)
}

const golden = 0x9e3779b97f4a7c15

// Mix is the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014, variant 13 of Stafford): a bijection.
func Mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Fold takes two more words into a digest. Of its two multiplications only the second needs the digest so far: the processor
// does the first one ahead.
func Fold(digest, a, b uint64) uint64 {
	x := a * golden
	x ^= x>>29 ^ b
	return bits.RotateLeft64((digest^x)*0xbf58476d1ce4e5b9, 29)
}

// Source is a rand.Source that draws from one of many streams: that where PCG points.
type Source struct{ PCG *rand.PCG }

// Uint64 implements rand.Source.
func (s *Source) Uint64() uint64 { return s.PCG.Uint64() }
