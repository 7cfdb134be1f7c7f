// Package random is the chance of an experiment: named streams, distributions, and the elementary functions that
// both need, such that a seed gives the same numbers on every machine.
//
// # Streams
//
// Every use of chance draws from a stream of its own, keyed by (seed, replication, purpose, node). So the arrivals of
// a run do not change when its algorithm draws more often, and two algorithms of a sweep face the same tasks.
//
//	r := rand.New(random.Stream(seed, replication, random.Arrivals, node))
//
// A stream is a PCG-DXSM of math/rand/v2: 16 bytes of state, so that a million nodes have one each.
//
// # Distributions
//
// A Dist is immutable and holds no stream; it may be shared. Parameters and samples are plain numbers, seconds where
// they are times (see Duration). A constructor panics where a parameter is outside its domain: whoever reads
// parameters from a person checks them first.
//
// # Portability
//
// math.Exp and math.Log have assembly of their own on some architectures, and a product followed by a sum is fused
// into one operation on arm64. Exp, Log, Pow and Sin2Pi of this package are plain Go in which each product is rounded
// by an explicit conversion, so a laptop and a Raspberry Pi agree to the last bit. They are within 2 units in the
// last place of the true value; Pow within 3·(1 + abs(y·log x)).
package random
