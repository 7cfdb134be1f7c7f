package scenarios

import (
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
)

// nodeLimit bounds the size of a cluster.
const nodeLimit = 10_000_000

type clusterDoc struct {
	Nodes      *count      `key:"nodes" min:"1" max:"10000000"`
	Groups     []groupDoc  `key:"groups"`
	Slots      bound       `key:"slots" default:"1" min:"1"`
	Queue      bound       `key:"queue" default:"unlimited"`
	Speed      real        `key:"speed" default:"1" over:"0" max:"1e6"`
	Discipline choice      `key:"discipline" default:"fifo" oneof:"fifo lifo priority deadline shortest"`
	Service    choice      `key:"service_mode" default:"slots" oneof:"slots processor-sharing preemptive-priority preemptive-lifo preemptive-shortest"`
	Cores      *count      `key:"cores" min:"1"`
	Abandon    boolean     `key:"abandon" default:"false"`
	Power      powerDoc    `key:"power" default:"{}"`
	Limits     limitsDoc   `key:"limits" default:"{}"`
	Topology   topologyDoc `key:"topology" default:"full-mesh"`
	Links      linksDoc    `key:"links" default:"{}"`
	Cloud      *cloudDoc   `key:"cloud"`
}

type groupDoc struct {
	Name       label      `key:"name"`
	Nodes      count      `key:"nodes" min:"1" max:"10000000"`
	Slots      *bound     `key:"slots" min:"1"`
	Queue      *bound     `key:"queue"`
	Speed      *real      `key:"speed" over:"0" max:"1e6"`
	Discipline *choice    `key:"discipline" oneof:"fifo lifo priority deadline shortest"`
	Service    *choice    `key:"service_mode" oneof:"slots processor-sharing preemptive-priority preemptive-lifo preemptive-shortest"`
	Cores      *count     `key:"cores" min:"1"`
	Abandon    *boolean   `key:"abandon"`
	Power      *powerDoc  `key:"power"`
	Limits     *limitsDoc `key:"limits"`
}

// limitsDoc is what the containers of a node may use.
type limitsDoc struct {
	CPUs   *real   `key:"cpus" over:"0" max:"1024"`
	Memory *memory `key:"memory" min:"6291456"`
}

func (l *limitsDoc) resolve() (r Limits) {
	if l.CPUs != nil {
		r.CPUs = float64(*l.CPUs)
	}
	if l.Memory != nil {
		r.MemoryBytes = int64(*l.Memory)
	}
	return r
}

type powerDoc struct {
	Idle watts         `key:"idle" default:"0W"`
	Busy watts         `key:"busy" default:"0W"`
	Sent joulesPerByte `key:"sent" default:"0J/B"`
}

func (p *powerDoc) resolve() Power {
	return Power{IdleWatts: float64(p.Idle), BusyWatts: float64(p.Busy), JoulesPerByte: float64(p.Sent)}
}

type linkDoc struct {
	Latency   distributionDoc  `key:"latency" default:"0s"`
	Jitter    *distributionDoc `key:"jitter"`
	Bandwidth *bandwidth       `key:"bandwidth" over:"0"`
	Loss      share            `key:"loss" default:"0"`
}

func (l *linkDoc) resolve(b *builder) Link {
	r := Link{Latency: l.Latency.resolve(b), Loss: float64(l.Loss)}
	if l.Jitter != nil {
		if r.Jitter = l.Jitter.resolve(b); zero(r.Jitter) {
			r.Jitter = nil
		}
	}
	if l.Bandwidth != nil {
		r.Bandwidth = float64(*l.Bandwidth)
	}
	return r
}

// linksDoc is a linkDoc with what only links between nodes have. (Embedding it keeps one list of the common keys.)
type linksDoc struct {
	linkDoc
	Matrix      *matrixDoc      `key:"latency_matrix"`
	Coordinates *coordinatesDoc `key:"coordinates"`
}

type matrixDoc struct {
	File dataFile `key:"file"`
	Unit choice   `key:"unit" default:"ms" oneof:"ns us ms s min h d"`
}

type coordinatesDoc struct {
	File  dataFile `key:"file"`
	PerKm duration `key:"per_km" default:"5us"`
}

type cloudDoc struct {
	Slots bound    `key:"slots" default:"unlimited" min:"1"`
	Speed real     `key:"speed" default:"1" over:"0" max:"1e6"`
	Link  linkDoc  `key:"link"`
	Power powerDoc `key:"power" default:"{}"`
}

func (c *clusterDoc) cloudLink() *linkDoc {
	if c.Cloud == nil {
		return nil
	}
	return &c.Cloud.Link
}

var disciplines = map[choice]core.Discipline{"fifo": core.FIFO, "lifo": core.LIFO, "priority": core.ByPriority,
	"deadline": core.EarliestDeadline, "shortest": core.ShortestJob}

var serviceModes = map[choice]ServiceMode{"slots": DedicatedSlots, "processor-sharing": ProcessorSharing,
	"preemptive-priority": PreemptivePriority, "preemptive-lifo": PreemptiveLIFO, "preemptive-shortest": PreemptiveShortest}

func (c *clusterDoc) resolve(b *builder, s *Scenario) Cluster {
	r := Cluster{}
	switch {
	case c.Nodes == nil && c.Groups == nil:
		if b.sound(c) {
			b.wrong(c, "the cluster has no nodes: write nodes: 12, or groups: with a name and nodes each")
		}
	case c.Nodes != nil && c.Groups != nil:
		b.wrong(c.Nodes, "the cluster has nodes and groups: leave one of the keys out")
	case c.Nodes != nil:
		r.Groups = []Group{c.group(b, &groupDoc{Name: "nodes", Nodes: *c.Nodes})}
	}
	seen := map[label]bool{}
	for i := range c.Groups {
		g := &c.Groups[i]
		if seen[g.Name] {
			b.wrong(&g.Name, "two groups are called %s: give them different names", g.Name)
		}
		seen[g.Name] = true
		r.Groups = append(r.Groups, c.group(b, g))
	}
	nodes := r.Nodes()
	if nodes > nodeLimit {
		b.wrong(c, "the cluster has %d nodes: write %d at most", nodes, nodeLimit)
		nodes = 0
	}
	r.Topology = c.Topology.resolve(b, s.Seed, nodes)
	r.Links = c.Links.resolve(b, nodes)
	if c.Cloud != nil {
		r.Cloud = &Cloud{Slots: int(c.Cloud.Slots), Speed: float64(c.Cloud.Speed), Link: c.Cloud.Link.resolve(b),
			Power: c.Cloud.Power.resolve()}
	}
	return r
}

// group fills in from the cluster what a group does not say.
func (c *clusterDoc) group(b *builder, g *groupDoc) Group {
	r := Group{
		Name:       string(g.Name),
		Nodes:      int(g.Nodes),
		Slots:      int(or(g.Slots, c.Slots)),
		Queue:      int(or(g.Queue, c.Queue)),
		Speed:      float64(or(g.Speed, c.Speed)),
		Discipline: disciplines[or(g.Discipline, c.Discipline)],
		Service:    serviceModes[or(g.Service, c.Service)],
		Abandon:    bool(or(g.Abandon, c.Abandon)),
		Power:      (&c.Power).resolve(),
		Limits:     c.Limits.resolve(),
	}
	if g.Limits != nil {
		r.Limits = g.Limits.resolve()
	}
	if g.Power != nil {
		r.Power = g.Power.resolve()
	}
	cores := g.Cores
	if cores == nil {
		cores = c.Cores
	}
	switch {
	case r.Service != DedicatedSlots && cores == nil:
		r.Cores = 1
	case r.Service != DedicatedSlots:
		r.Cores = int(*cores)
	case g.Cores != nil || c.Cores != nil && c.Groups == nil:
		b.wrong(cores, "cores belong to service modes that share them: leave them out, or write "+
			"service_mode: processor-sharing, for example")
	}
	return r
}

func or[T any](p *T, otherwise T) T {
	if p != nil {
		return *p
	}
	return otherwise
}

func (l *linksDoc) resolve(b *builder, nodes int) Links {
	r := Links{Default: l.linkDoc.resolve(b)}
	switch {
	case l.Matrix != nil && l.Coordinates != nil:
		b.wrong(l.Matrix, "the latency comes from a matrix and from coordinates: leave one of the keys out")
	case (l.Matrix != nil || l.Coordinates != nil) && !zero(r.Default.Latency):
		b.wrong(&l.Latency, "the latency is given, and comes from a file too: leave one of the keys out")
	case l.Matrix != nil:
		r.Latency = l.Matrix.resolve(b, nodes)
	case l.Coordinates != nil:
		r.PerKm = time.Duration(l.Coordinates.PerKm)
		r.Position = l.Coordinates.resolve(b, nodes)
	}
	return r
}

func (m *matrixDoc) resolve(b *builder, nodes int) [][]time.Duration {
	if !b.sound(m) {
		return nil
	}
	unit := durations.seconds(string(m.Unit))
	rows := keep(b, &m.File, "matrix", func() (rows [][]time.Duration, sums []string) {
		sum := b.read(&m.File, string(m.File.Path), func(t *table) {
			row := make([]time.Duration, len(t.cells))
			for i := range row {
				v, ok := t.number(i)
				if ok && v < 0 {
					t.bad(i+1, "the latency %g is negative: write 0 or more", v)
				}
				row[i] = random.Seconds(max(0, v*unit))
			}
			rows = append(rows, row)
		})
		return rows, []string{sum}
	}, m.Unit)
	if b.sound(m) && nodes > 0 && (len(rows) != nodes || len(rows[0]) != nodes) {
		b.wrong(&m.File, "%s has %d rows and %d columns, the cluster has %d nodes: make them equal", m.File.Path, len(rows),
			len(rows[0]), nodes)
	}
	return rows
}

func (c *coordinatesDoc) resolve(b *builder, nodes int) [][2]float64 {
	if !b.sound(c) {
		return nil
	}
	points := keep(b, &c.File, "coordinates", func() (points [][2]float64, sums []string) {
		sum := b.read(&c.File, string(c.File.Path), func(t *table) {
			if len(t.cells) != 2 {
				t.bad(0, "the row has %d columns: write x and y, in kilometres", len(t.cells))
				return
			}
			x, _ := t.number(0)
			y, _ := t.number(1)
			points = append(points, [2]float64{x, y})
		})
		return points, []string{sum}
	})
	if b.sound(c) && nodes > 0 && len(points) != nodes {
		b.wrong(&c.File, "%s has %d rows, the cluster has %d nodes: make them equal", c.File.Path, len(points), nodes)
	}
	return points
}
