package scenarios

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// Process is the law by which tasks arrive.
type Process uint8

const (
	Poisson       Process = iota // independent of each other
	Deterministic                // equal gaps
	Renewal                      // independent gaps of the distribution Gap
	MMPP                         // Markov-modulated Poisson: the rate jumps between States
	Recorded                     // a Trace
)

// Workload is where the tasks come from. Its zero value but for Rate is a Poisson process at every node.
type Workload struct {
	Process    Process
	Rate       float64       // arrivals per second at each node
	GroupRates []float64     // instead of Rate, arrivals per second at each node of a group; nil: Rate
	Gap        random.Dist   // Renewal: the gaps, scaled so that their mean is 1/rate
	Aligned    bool          // Deterministic: all nodes begin together, one gap after 0; otherwise each at a random phase
	MinGap     time.Duration // Poisson: a node's gaps below this are drawn again, which lowers the rate
	Curves     []*Curve      // instead of Rate: the rate of node i is Curves[i % len(Curves)]
	States     []State       // MMPP
	Trace      *Trace        // Recorded
}

// State is one state of a Markov-modulated Poisson process.
type State struct {
	Rate float64       // arrivals per second at a node in this state
	Stay time.Duration // mean of the exponential time that a node spends in it
	Next []float64     // probability of each state to follow; 0 for itself
}

// rate is the arrival rate of each node of group g, for the processes that have a constant one.
func (w *Workload) rate(g int) float64 {
	if w.GroupRates != nil {
		return w.GroupRates[g]
	}
	return w.Rate
}

// stationary is the share of time that a modulated process spends in each state: the solution of the balance
// equations of its embedded chain, weighted by the mean stays.
func (w *Workload) stationary() []float64 {
	n := len(w.States)
	// pi·(P-I) = 0 with the last equation replaced by sum(pi) = 1; Gaussian elimination with pivoting.
	m := make([][]float64, n)
	for i := range m {
		m[i] = make([]float64, n+1)
		for j := range n {
			m[i][j] = w.States[j].Next[i]
		}
		m[i][i]--
	}
	for j := range n + 1 {
		m[n-1][j] = 1
	}
	for c := range n {
		best := c
		for i := c + 1; i < n; i++ {
			if math.Abs(m[i][c]) > math.Abs(m[best][c]) {
				best = i
			}
		}
		m[c], m[best] = m[best], m[c]
		for i := range n {
			if i == c || m[i][c] == 0 {
				continue
			}
			f := m[i][c] / m[c][c]
			for j := c; j <= n; j++ {
				m[i][j] -= float64(f * m[c][j])
			}
		}
	}
	share := make([]float64, n)
	total := 0.0
	for i := range n {
		share[i] = float64(max(0, m[i][n]/m[i][i]) * w.States[i].Stay.Seconds())
		total += share[i]
	}
	for i := range share {
		share[i] /= total
	}
	return share
}

// ExpectedTasks is the mean number of tasks that arrive in one run.
func (s *Scenario) ExpectedTasks() float64 {
	w := &s.Workload
	nodes := s.Cluster.Nodes()
	total := 0.0
	switch {
	case w.Process == Recorded:
		return w.Trace.tasks(s)
	case w.Curves != nil:
		for i, c := range w.Curves {
			k := nodes / len(w.Curves)
			if i < nodes%len(w.Curves) {
				k++
			}
			total += float64(float64(k) * c.expected(s.Duration))
		}
		return total
	case w.Process == MMPP:
		for i, share := range w.stationary() {
			total += float64(share * w.States[i].Rate * float64(nodes))
		}
	default:
		for g := range s.Cluster.Groups {
			r := w.rate(g)
			if w.MinGap > 0 && r > 0 {
				r = 1 / (w.MinGap.Seconds() + 1/r)
			}
			total += float64(r * float64(s.Cluster.Groups[g].Nodes))
		}
	}
	return total * s.Duration.Seconds()
}

type workloadDoc struct {
	Arrivals choice           `key:"arrivals" kind:"true" default:"poisson"`
	Rate     *rateDoc         `key:"rate"`
	Curve    *curveDoc        `key:"curve"`
	Gap      *distributionDoc `key:"gap"`
	MinGap   *duration        `key:"min_gap"`
	Phase    choice           `key:"phase" default:"random" oneof:"random aligned"`
	States   []stateDoc       `key:"states"`
	Trace    *traceDoc        `key:"trace"`
}

func (workloadDoc) variants() []variant {
	return []variant{
		{"poisson", "", "rate curve min_gap"},
		{"deterministic", "", "rate curve phase"},
		{"renewal", "gap", "rate curve"},
		{"mmpp", "states", ""},
		{"replay", "trace", ""},
		{"azure-2019", "trace", ""},
		{"azure-2021", "trace", ""},
	}
}

// rateDoc is a rate at each node. A rate by itself is one.
type rateDoc struct {
	PerNode *rate           `key:"per_node"`
	Total   *rate           `key:"total"`
	Groups  map[string]rate `key:"groups"`
}

func (*rateDoc) expand(n *yaml.Node) *yaml.Node { return expansion(n, "per_node", n.Value) }
func (*rateDoc) short() *jsonschema.Schema      { return rates.schema() }

type stateDoc struct {
	Rate rate     `key:"rate"`
	Stay duration `key:"stay" over:"0"`
	Next []share  `key:"next"`
}

type curveDoc struct {
	Period   duration   `key:"period" over:"0"`
	Start    duration   `key:"start" default:"0s"`
	Points   []pointDoc `key:"points"`
	Sinusoid *sinusDoc  `key:"sinusoid"`
	File     *dataFile  `key:"file"`
	Min      *rate      `key:"min"`
	Max      *rate      `key:"max"`
	Unit     *choice    `key:"unit" oneof:"/s /min /h"`
	Repeat   *count     `key:"repeat" min:"1"`
}

type pointDoc struct {
	At   duration `key:"at"`
	Rate rate     `key:"rate"`
}

type sinusDoc struct {
	Mean      rate `key:"mean" over:"0"`
	Amplitude rate `key:"amplitude"`
}

func (doc *workloadDoc) resolve(b *builder, s *Scenario) Workload {
	w := Workload{MinGap: time.Duration(or(doc.MinGap, 0)), Aligned: doc.Phase == "aligned"}
	if !b.sound(&doc.Arrivals) {
		return w
	}
	switch doc.Arrivals {
	case "deterministic":
		w.Process = Deterministic
	case "renewal":
		w.Process = Renewal
		if doc.Gap != nil {
			if w.Gap = doc.Gap.resolve(b); zero(w.Gap) {
				b.wrong(doc.Gap, "the gaps are all 0s: write a longer one")
			}
		}
	case "mmpp":
		w.Process = MMPP
		w.States = doc.states(b)
	case "replay", "azure-2019", "azure-2021":
		w.Process = Recorded
		if doc.Trace != nil {
			w.Trace = doc.Trace.resolve(b, s, string(doc.Arrivals))
		}
	}
	switch {
	case w.Process == MMPP || w.Process == Recorded:
	case doc.Rate != nil && doc.Curve != nil:
		b.wrong(doc.Curve, "the workload has a rate and a curve: leave one of the keys out")
	case doc.Curve != nil:
		w.Curves = doc.Curve.resolve(b, s.Cluster.Nodes())
		if w.MinGap > 0 {
			b.wrong(doc.MinGap, "a least gap does not go with a curve: leave one of the keys out")
		}
	case doc.Rate != nil:
		doc.Rate.resolve(b, s, &w)
	case w.Process == Renewal && w.Gap != nil:
		w.Rate = 1 / w.Gap.Mean()
	case b.sound(doc):
		b.wrong(doc, "the workload has no rate: write rate: 8/s, or a curve")
	}
	return w
}

func (r *rateDoc) resolve(b *builder, s *Scenario, w *Workload) {
	given := 0
	for _, is := range []bool{r.PerNode != nil, r.Total != nil, r.Groups != nil} {
		if is {
			given++
		}
	}
	switch {
	case !b.sound(r):
	case given != 1:
		b.wrong(r, "the rate has %d of the keys per_node, total, groups: write exactly one", given)
	case r.PerNode != nil:
		w.Rate = float64(*r.PerNode)
	case r.Total != nil:
		w.Rate = float64(*r.Total) / float64(max(1, s.Cluster.Nodes()))
	default:
		r.byGroup(b, s, w)
	}
}

func (r *rateDoc) byGroup(b *builder, s *Scenario, w *Workload) {
	var names []string
	for _, g := range s.Cluster.Groups {
		names = append(names, g.Name)
		x, ok := r.Groups[g.Name]
		if !ok {
			b.wrong(&r.Groups, "group %s has no rate: write %s: 0/s if nobody calls it", g.Name, g.Name)
		}
		w.GroupRates = append(w.GroupRates, float64(x))
	}
	for name := range r.Groups {
		if !slices.Contains(names, name) {
			b.wrong(&r.Groups, "there is no group %s: %s", name, suggest(name, names))
		}
	}
}

func (doc *workloadDoc) states(b *builder) []State {
	n := len(doc.States)
	if !b.sound(&doc.States) {
		return nil
	}
	if n < 2 || n > 64 {
		b.wrong(&doc.States, "there are %d states: write 2 to 64", n)
		return nil
	}
	var states []State
	for i := range doc.States {
		d := &doc.States[i]
		st := State{Rate: float64(d.Rate), Stay: time.Duration(d.Stay), Next: make([]float64, n)}
		switch {
		case d.Next == nil:
			for j := range n {
				if j != i {
					st.Next[j] = 1 / float64(n-1)
				}
			}
		case len(d.Next) != n || sum(d.Next) < 1-1e-6 || sum(d.Next) > 1+1e-6 || d.Next[i] != 0:
			b.wrong(&d.Next, "write one probability for each of the %d states, 0 for the state itself, with the sum 1", n)
		default:
			for j, p := range d.Next {
				st.Next[j] = float64(p)
			}
		}
		states = append(states, st)
	}
	if b.sound(&doc.States) && !mixing(states) {
		b.wrong(&doc.States, "some state is never reached from another: change next")
		return nil
	}
	return states
}

// mixing reports whether every state is reached from every other.
func mixing(states []State) bool {
	for from := range states {
		seen := make([]bool, len(states))
		seen[from] = true
		reached := []int{from}
		for len(reached) > 0 {
			i := reached[len(reached)-1]
			reached = reached[:len(reached)-1]
			for j, p := range states[i].Next {
				if p > 0 && !seen[j] {
					seen[j] = true
					reached = append(reached, j)
				}
			}
		}
		if slices.Contains(seen, false) {
			return false
		}
	}
	return true
}

func (c *curveDoc) resolve(b *builder, nodes int) []*Curve {
	given := 0
	for _, is := range []bool{c.Points != nil, c.Sinusoid != nil, c.File != nil} {
		if is {
			given++
		}
	}
	scaled := c.Min != nil || c.Max != nil || c.Unit != nil
	switch {
	case !b.sound(c):
		return nil
	case given != 1:
		b.wrong(c, "the curve has %d of the keys points, sinusoid, file: write exactly one", given)
	case c.File != nil:
		return inCommon(b, "curves", c, func() []*Curve { return c.files(b, nodes) }, nodes)
	case scaled || c.Repeat != nil:
		b.wrong(c, "the keys min, max, unit and repeat belong to a file: leave them out")
	case c.Sinusoid != nil:
		s := c.Sinusoid
		if s.Amplitude > s.Mean {
			b.wrong(&s.Amplitude, "the amplitude %s is more than the mean %s, so that the rate falls below 0: write less",
				s.Amplitude, s.Mean)
			return nil
		}
		return []*Curve{NewSinusoid(float64(s.Mean), float64(s.Amplitude), time.Duration(c.Period), time.Duration(c.Start))}
	default:
		return c.points(b)
	}
	return nil
}

func (c *curveDoc) points(b *builder) []*Curve {
	var points []CurvePoint
	for i := range c.Points {
		p := &c.Points[i]
		switch {
		case i == 0 && p.At != 0:
			b.wrong(&p.At, "the first point is at %s: let the curve begin at 0s", p.At)
		case i > 0 && p.At < c.Points[i-1].At:
			b.wrong(&p.At, "the point at %s comes after that at %s: write them in order", p.At, c.Points[i-1].At)
		case p.At >= c.Period:
			b.wrong(&p.At, "the point at %s is not within the period of %s: the curve repeats then, from the first point",
				p.At, c.Period)
		}
		points = append(points, CurvePoint{time.Duration(p.At), float64(p.Rate)})
	}
	if !b.sound(c) {
		return nil
	}
	return []*Curve{NewCurve(points, time.Duration(c.Period), time.Duration(c.Start))}
}

// files makes one curve per file of values.
func (c *curveDoc) files(b *builder, nodes int) []*Curve {
	if (c.Unit != nil) == (c.Min != nil && c.Max != nil) || c.Unit != nil && (c.Min != nil || c.Max != nil) {
		b.wrong(c, "the values of the file need a scale: write min and max, the rates for 0 and 1, or the unit of the values")
		return nil
	}
	paths := []string{string(c.File.Path)}
	if strings.Contains(paths[0], "{node}") {
		pattern := paths[0]
		paths = nil
		n := int(or(c.Repeat, count(nodes)))
		if n > 10_000 {
			b.wrong(c.File, "%d nodes have a file each: write repeat: 12, for example, to use the same files again", n)
			return nil
		}
		for i := range n {
			paths = append(paths, strings.ReplaceAll(pattern, "{node}", strconv.Itoa(i)))
		}
	} else if c.Repeat != nil {
		b.wrong(c.Repeat, "repeat belongs to a path with {node} in it: leave it out")
	}
	lo, width := 0.0, 1.0
	if c.Unit != nil {
		width = rates.units[slices.IndexFunc(rates.units, func(u unit) bool { return u.name == string(*c.Unit) })].factor
	} else {
		lo, width = float64(*c.Min), float64(*c.Max)-float64(*c.Min)
	}
	var curves []*Curve
	for i, values := range b.columns(c.File, paths) {
		points := make([]CurvePoint, len(values))
		for j, v := range values {
			at := random.Seconds(float64(float64(c.Period)/1e9*float64(j)) / float64(len(values)))
			points[j] = CurvePoint{at, lo + float64(width*v)}
			if r := points[j].Rate; !(r >= 0 && r <= rates.limit) {
				b.wrong(c.File, "value %d of %s, %g, makes a rate of %g/s: correct the file, or min and max", j+1, paths[i], v, r)
				return nil
			}
		}
		if len(points) > 0 {
			curves = append(curves, NewCurve(points, time.Duration(c.Period), time.Duration(c.Start)))
		}
	}
	if !b.sound(c) {
		return nil
	}
	return curves
}
