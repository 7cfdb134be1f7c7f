package scenarios

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
)

// Network says what becomes of the messages between the nodes of a cluster, in simulation and in the emulation of real
// nodes alike: latency, jitter, transmission time and loss. Each message has the link to itself; there is no queue on it.
type Network struct {
	links *Links
	cloud core.NodeID // NoNode: none
	far   *Link       // to the cloud and from it
}

// Network is that between the cluster's nodes.
func (c *Cluster) Network() *Network {
	n := &Network{links: &c.Links, cloud: core.NoNode}
	if c.Cloud != nil {
		n.cloud, n.far = core.NodeID(c.Nodes()), &c.Cloud.Link
	}
	return n
}

// Constant returns the latency of every message, where all have the same and none gets lost.
func (n *Network) Constant() (latency time.Duration, ok bool) {
	l := &n.links.Default
	c, constant := l.Latency.(random.Constant)
	if !constant || l.Jitter != nil || l.Bandwidth != 0 || l.Loss != 0 || n.far != nil || n.links.Latency != nil ||
		n.links.Position != nil {
		return 0, false
	}
	return random.Seconds(c.Mean()), true
}

// Has reports whether the scenario says what the link between two nodes is: of nodes outside its cluster, a matrix or
// coordinates say nothing.
func (n *Network) Has(from, to core.NodeID) bool {
	if n.links.Latency == nil && n.links.Position == nil || n.isFar(from, to) {
		return true
	}
	nodes := core.NodeID(max(len(n.links.Latency), len(n.links.Position)))
	return from >= 0 && from < nodes && to >= 0 && to < nodes
}

// Weighs reports whether it matters how long messages between two nodes are.
func (n *Network) Weighs(from, to core.NodeID) bool { return n.link(from, to).Bandwidth > 0 }

func (n *Network) link(from, to core.NodeID) *Link {
	if n.isFar(from, to) {
		return n.far
	}
	return &n.links.Default
}

func (n *Network) isFar(from, to core.NodeID) bool {
	return n.cloud != core.NoNode && (from == n.cloud || to == n.cloud)
}

// Transit draws how long a message of so many bytes is on its way; lost where it does not arrive. The network must have
// the link, and r be at the sender's stream (random.Network).
func (n *Network) Transit(from, to core.NodeID, bytes int, r *rand.Rand) (d time.Duration, lost bool) {
	l := n.link(from, to)
	if l.Loss > 0 && r.Float64() < l.Loss {
		return 0, true
	}
	switch {
	case l == n.far:
		d = random.Duration(l.Latency, r)
	case n.links.Latency != nil:
		d = n.links.Latency[from][to]
	case n.links.Position != nil:
		d = n.distance(from, to)
	default:
		d = random.Duration(l.Latency, r)
	}
	if l.Jitter != nil {
		d += random.Duration(l.Jitter, r)
	}
	if l.Bandwidth > 0 && bytes > 0 {
		d += random.Seconds(float64(bytes) / l.Bandwidth)
	}
	return max(0, d), false
}

func (n *Network) distance(from, to core.NodeID) time.Duration {
	a, b := n.links.Position[from], n.links.Position[to]
	x, y := a[0]-b[0], a[1]-b[1]
	km := math.Sqrt(float64(x*x) + float64(y*y))
	return random.Seconds(float64(km * n.links.PerKm.Seconds()))
}

// String describes the network: networks that it describes otherwise are not the same.
func (n *Network) String() string {
	l := n.links
	var b strings.Builder
	switch {
	case l.Latency != nil:
		h := fnv.New64a()
		for _, row := range l.Latency {
			fmt.Fprintln(h, row)
		}
		fmt.Fprintf(&b, "latency matrix %016x", h.Sum64())
	case l.Position != nil:
		h := fnv.New64a()
		fmt.Fprintln(h, l.Position)
		fmt.Fprintf(&b, "coordinates %016x, %v per km", h.Sum64(), l.PerKm)
	default:
		fmt.Fprintf(&b, "latency %v", l.Default.Latency)
	}
	l.Default.describe(&b)
	if n.far != nil {
		fmt.Fprintf(&b, "; cloud: latency %v", n.far.Latency)
		n.far.describe(&b)
	}
	return b.String()
}

// describe says what a link has beyond its latency.
func (l *Link) describe(b *strings.Builder) {
	if l.Jitter != nil {
		fmt.Fprintf(b, ", jitter %v", l.Jitter)
	}
	if l.Bandwidth > 0 {
		fmt.Fprintf(b, ", bandwidth %g B/s", l.Bandwidth)
	}
	if l.Loss > 0 {
		fmt.Fprintf(b, ", loss %g", l.Loss)
	}
}
