package scenarios

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// Point is one setting of the sweep; a file without a sweep has one.
type Point struct {
	Index    int
	Values   []string // of the swept keys, as the file writes them, in the order of File.Swept
	Scenario *Scenario
}

// pointLimit bounds a sweep.
const pointLimit = 10_000

// axis is one dimension of the grid: a key with its values, or several keys that change together.
type axis struct {
	zipped bool
	keys   []*yaml.Node
	values [][]*yaml.Node // by key, then by step
	labels [][]string
}

func (a *axis) steps() int { return len(a.values[0]) }

// rangeDoc is an arithmetic or geometric sequence of numbers with a unit.
type rangeDoc struct {
	From   text   `key:"from"`
	To     text   `key:"to"`
	Step   *text  `key:"step"`
	Points *count `key:"points" min:"2" max:"10000"`
	Scale  choice `key:"scale" default:"linear" oneof:"linear log"`
}

// Swept are the swept keys, in the order of the file; the last changes fastest.
func (f *File) Swept() []string {
	keys := []string{}
	for _, n := range f.sweptNodes() {
		keys = append(keys, n.Value)
	}
	return keys
}

// sweptNodes are the keys of the sweep, those zipped among them.
func (f *File) sweptNodes() (keys []*yaml.Node) {
	if f.sweep == nil {
		return nil
	}
	for i := 0; i+1 < len(f.sweep.Content) && f.sweep.Kind == yaml.MappingNode; i += 2 {
		k, v := f.sweep.Content[i], f.sweep.Content[i+1]
		if k.Value != "zip" {
			keys = append(keys, k)
			continue
		}
		for j := 0; j+1 < len(v.Content) && v.Kind == yaml.MappingNode; j += 2 {
			keys = append(keys, v.Content[j])
		}
	}
	return keys
}

// sweeps reports whether a key is swept.
func (f *File) sweeps(key string) bool {
	return slices.ContainsFunc(f.sweptNodes(), func(n *yaml.Node) bool { return n.Value == key })
}

// remove takes a key out of a mapping.
func remove(m *yaml.Node, key string) {
	for i := 0; m != nil && i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			m.Content = append(m.Content[:i:i], m.Content[i+2:]...)
			return
		}
	}
}

// Points are the settings of the sweep, the last key changing fastest, each resolved into its scenario. The error is of
// type Problems.
func (f *File) Points() ([]Point, error) { return f.points(true) }

// points checks all points; where connect is true it returns them, with the graphs of their topologies.
func (f *File) points(connect bool) ([]Point, error) {
	base := f.builder(false)
	base.lenient = f.sweptKeys()
	var doc document
	base.object(f.root, reflect.ValueOf(&doc).Elem(), "")
	axes := f.axes(base)
	total := 1
	for _, a := range axes {
		if total *= a.steps(); total > pointLimit {
			base.bad(f.sweep, "sweep", "the sweep has more than %d points: write fewer values", pointLimit)
			break
		}
	}
	problems := base.problems
	if len(problems) > 0 {
		// What is wrong only in a point would repeat what is wrong in all; where nothing is swept there is no such.
		if len(f.sweptKeys()) == 0 {
			b := f.builder(connect)
			b.resolve(f.root)
			problems = b.problems
		}
		return nil, problems.err()
	}
	var points []Point
	for i := range total {
		p, found := f.point(i, axes, connect)
		if connect {
			points = append(points, p)
		}
		if problems = append(problems, found...); len(problems) > 100 {
			break
		}
	}
	if err := problems.err(); err != nil {
		return nil, err
	}
	return points, nil
}

// point resolves one point of the grid.
func (f *File) point(index int, axes []axis, connect bool) (Point, Problems) {
	p := Point{Index: index}
	root := clone(f.root)
	b := f.builder(connect)
	type setting struct {
		key   string
		value *yaml.Node
	}
	var settings []setting
	scheduler := ""
	rest := index
	for i := len(axes) - 1; i >= 0; i-- {
		a := &axes[i]
		step := rest % a.steps()
		rest /= a.steps()
		for k := len(a.keys) - 1; k >= 0; k-- {
			settings = append(settings, setting{a.keys[k].Value, a.values[k][step]})
			p.Values = append(p.Values, a.labels[k][step])
			if a.keys[k].Value == "scheduler" {
				scheduler = a.labels[k][step]
			}
		}
	}
	slices.Reverse(p.Values)
	// A block before its parts: scheduler before scheduler.threshold.
	slices.SortStableFunc(settings, func(s, t setting) int { return len(s.key) - len(t.key) })
	for _, s := range settings {
		if err := f.assign(root, s.key, clone(s.value)); err != nil {
			b.bad(s.value, "sweep."+s.key, "%v", err)
		}
	}
	p.Scenario = b.resolve(root)
	if scheduler != "" {
		p.Scenario.Scheduler.Label = scheduler
	}
	return p, b.problems
}

func clone(n *yaml.Node) *yaml.Node {
	c := *n
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, x := range n.Content {
		c.Content[i] = clone(x)
	}
	return &c
}

// axes reads the sweep.
func (f *File) axes(b *builder) (axes []axis) {
	if f.sweep == nil {
		return nil
	}
	if f.sweep.Kind != yaml.MappingNode {
		b.bad(f.sweep, "sweep", "found %s where keys with lists belong: write workload.rate: [1/s, 2/s], for example",
			nodeKind(f.sweep))
		return nil
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(f.sweep.Content); i += 2 {
		k, v := f.sweep.Content[i], f.sweep.Content[i+1]
		a := axis{}
		if k.Value == "zip" {
			a = f.zip(b, v, seen)
		} else {
			f.sweepKey(b, &a, k, v, seen)
		}
		if len(a.keys) > 0 {
			axes = append(axes, a)
		}
	}
	return axes
}

// zip reads keys whose lists are walked together.
func (f *File) zip(b *builder, v *yaml.Node, seen map[string]bool) axis {
	a := axis{zipped: true}
	if v.Kind != yaml.MappingNode || len(v.Content) < 4 {
		b.bad(v, "sweep.zip", "two keys or more with lists of one length belong here: write zip: {a: [1, 2], b: [3, 4]}")
		return axis{}
	}
	for i := 0; i+1 < len(v.Content); i += 2 {
		f.sweepKey(b, &a, v.Content[i], v.Content[i+1], seen)
	}
	for i := 1; i < len(a.keys); i++ {
		if len(a.values[i]) != len(a.values[0]) {
			b.bad(a.keys[i], "sweep.zip", "%s has %d values, %s has %d: zipped lists have one length, add or remove values",
				a.keys[i].Value, len(a.values[i]), a.keys[0].Value, len(a.values[0]))
			return axis{}
		}
	}
	return a
}

// unswept are the keys over which a sweep makes no sense.
var unswept = []string{"name", "description", "replications", "precision", "sweep"}

// sweepKey adds a key and its values to an axis.
func (f *File) sweepKey(b *builder, a *axis, k, v *yaml.Node, seen map[string]bool) {
	here := "sweep." + k.Value
	if slices.Contains(unswept, strings.Split(k.Value, ".")[0]) {
		b.bad(k, here, "this key is not swept: it is one for the whole experiment")
		return
	}
	if seen[k.Value] {
		b.bad(k, here, "the key is swept twice: leave one out")
		return
	}
	seen[k.Value] = true
	root := clone(f.root)
	if f.sweeps("scheduler") {
		remove(root, "scheduler") // its keys are those of the swept ones
	}
	if _, err := find(root, k.Value); err != nil {
		b.bad(k, "sweep", "%v", err)
		return
	}
	values := f.sweepValues(b, v, here)
	if len(values) == 0 {
		return
	}
	var labels []string
	if k.Value == "scheduler" {
		labels = f.schedulerLabels(b, values)
	} else {
		for _, n := range values {
			labels = append(labels, inline(n))
		}
	}
	known := make(map[string]bool, len(labels))
	for i, l := range labels {
		if known[l] {
			b.bad(values[i], here, "%s is given twice: leave one out", short(l))
			return
		}
		known[l] = true
	}
	a.keys, a.values, a.labels = append(a.keys, k), append(a.values, values), append(a.labels, labels)
}

func (f *File) sweepValues(b *builder, v *yaml.Node, here string) []*yaml.Node {
	switch {
	case v.Kind == yaml.SequenceNode && len(v.Content) > 0 && len(v.Content) <= pointLimit:
		return v.Content
	case v.Kind == yaml.MappingNode:
		return b.sequence(v, here)
	}
	b.bad(v, here, "1 to %d values belong here: write [a, b, ...] or {from: a, to: b, step: c}", pointLimit)
	return nil
}

// sequence makes the values of a range.
func (b *builder) sequence(n *yaml.Node, here string) (values []*yaml.Node) {
	var r rangeDoc
	before := len(b.problems)
	b.object(n, reflect.ValueOf(&r).Elem(), here)
	if len(b.problems) > before {
		return nil
	}
	from, unit, ok := b.quantity(&r.From, "")
	to, _, also := b.quantity(&r.To, unit)
	switch {
	case !ok || !also:
		return nil
	case (r.Step == nil) == (r.Points == nil):
		b.bad(n, here, "a range has a step or a number of points: write one of the two keys")
		return nil
	case to <= from:
		b.wrong(&r.To, "%s is not more than %s: a range goes up", r.To, r.From)
		return nil
	}
	var k int
	var at func(i int) float64
	switch {
	case r.Step != nil:
		step, _, ok := b.quantity(r.Step, unit)
		if !ok || step <= 0 || (to-from)/step >= pointLimit {
			b.wrong(r.Step, "%s does not step from %s to %s: write a larger one with the same unit", *r.Step, r.From, r.To)
			return nil
		}
		k = int(math.Floor((to-from)/step+1e-9)) + 1
		at = func(i int) float64 { return from + float64(step*float64(i)) }
	case r.Scale == "log":
		if from <= 0 {
			b.wrong(&r.From, "a logarithmic range begins above 0: write more")
			return nil
		}
		k = int(*r.Points)
		at = func(i int) float64 { return from * random.Pow(to/from, float64(i)/float64(k-1)) }
	default:
		k = int(*r.Points)
		at = func(i int) float64 { return from + float64((to-from)*float64(i))/float64(k-1) }
	}
	for i := range k {
		// Twelve digits: 0.1 + 0.2 is 0.3.
		x, err := strconv.ParseFloat(strconv.FormatFloat(at(i), 'g', 12, 64), 64)
		if err != nil {
			panic(err)
		}
		v := &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.FormatFloat(x, 'f', -1, 64) + unit,
			Line: n.Line, Column: n.Column}
		values = append(values, v)
	}
	return values
}

// quantity takes the number and the unit of a range's bound apart; the unit must be the given one, unless that is "".
func (b *builder) quantity(s *text, unit string) (float64, string, bool) {
	m := number.FindString(string(*s))
	x, err := strconv.ParseFloat(m, 64)
	is := strings.TrimSpace(string(*s)[len(m):])
	switch {
	case err != nil || x < 0:
		b.wrong(s, "%q is not a number of 0 or more: write one, with the unit of the key", short(string(*s)))
	case unit != "" && is != unit:
		b.wrong(s, "%q has another unit than from, %s: write the same", short(string(*s)), unit)
	default:
		return x, is, true
	}
	return 0, "", false
}

// schedulerLabels decodes the blocks of a swept scheduler, to tell them apart.
func (f *File) schedulerLabels(b *builder, values []*yaml.Node) []string {
	docs := make([]*schedulerDoc, len(values))
	for i, n := range values {
		docs[i] = &schedulerDoc{}
		d := newDecoder(f.name) // the points report what is wrong in the block
		d.origins, d.lenient = f.origins, b.lenient
		docs[i].decode(d, n, "scheduler")
	}
	return distinguish(docs)
}

// Select returns the points that expr names: an index, or swept keys with values, as in
// workload.rate=8/s,scheduler=NoScheduler.
func (f *File) Select(points []Point, expr string) ([]Point, error) {
	return SelectPoints(f.Swept(), points, expr)
}

// SelectPoints is File.Select where the points are those of a stored run: it has the swept keys, and of each point Index and
// Values.
func SelectPoints(swept []string, points []Point, expr string) ([]Point, error) {
	if index, err := strconv.Atoi(expr); err == nil {
		i := slices.IndexFunc(points, func(p Point) bool { return p.Index == index })
		if i < 0 {
			return nil, fmt.Errorf("--select %s: there is no such point: write %s", expr, indices(points))
		}
		return points[i : i+1], nil
	}
	selected := slices.Clone(points)
	for _, part := range splitOutside(expr) {
		key, value, ok := strings.Cut(part, "=")
		i := slices.Index(swept, key)
		if !ok || i < 0 {
			return nil, fmt.Errorf("--select %s: %q is not a swept key with a value: %s", expr, part, suggest(key, swept))
		}
		var known []string
		for _, p := range points {
			if !slices.Contains(known, p.Values[i]) {
				known = append(known, p.Values[i])
			}
		}
		if !slices.Contains(known, value) {
			return nil, fmt.Errorf("--select %s: %s has no value %q: %s", expr, key, value, suggest(value, known))
		}
		selected = slices.DeleteFunc(selected, func(p Point) bool { return p.Values[i] != value })
	}
	if len(selected) == 0 { // keys that are zipped
		return nil, fmt.Errorf("--select %s: no point has all of these values: leave some out, or write an index", expr)
	}
	return selected, nil
}

// indices says which indices points have.
func indices(points []Point) string {
	first, last := points[0].Index, points[len(points)-1].Index
	if last-first == len(points)-1 {
		return fmt.Sprintf("a number from %d to %d", first, last)
	}
	all := make([]string, len(points))
	for i, p := range points {
		all[i] = strconv.Itoa(p.Index)
	}
	return "one of " + strings.Join(all, ", ")
}

// splitOutside splits at commas that are not within brackets.
func splitOutside(s string) (parts []string) {
	depth, from := 0, 0
	for i, c := range s {
		switch c {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, s[from:i])
				from = i + 1
			}
		}
	}
	return append(parts, s[from:])
}

// setSwept gives a swept key other values, or sweeps one more.
func (f *File) setSwept(key string, v *yaml.Node) error {
	if f.sweep == nil || f.sweep.Kind != yaml.MappingNode {
		f.sweep = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: v.Line}
	}
	zip := child(f.sweep, "zip")
	for _, m := range []*yaml.Node{f.sweep, zip} {
		for i := 0; m != nil && i+1 < len(m.Content); i += 2 {
			if m.Content[i].Value == key {
				m.Content[i+1] = v
				return nil
			}
		}
	}
	k := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key, Line: v.Line}
	f.sweep.Content = append(f.sweep.Content, k, v)
	return nil
}

// unsweep takes a key out of the sweep, because it was given one value.
func (f *File) unsweep(key string) error {
	for _, n := range f.sweptNodes() {
		if strings.HasPrefix(key, n.Value+".") {
			return Problems{{File: f.origins[len(f.origins)-1],
				Message: fmt.Sprintf("%s is swept, with its own %s: set %s as a whole, or sweep.%s", n.Value,
					strings.TrimPrefix(key, n.Value+"."), n.Value, n.Value)}}
		}
	}
	if f.sweep == nil {
		return nil
	}
	remove(f.sweep, key)
	if zip := child(f.sweep, "zip"); zip != nil {
		if remove(zip, key); len(zip.Content) == 2 { // one is left: an axis of its own
			f.sweep.Content = append(f.sweep.Content, zip.Content...)
			remove(f.sweep, "zip")
		}
	}
	return nil
}

// encodeSweep writes the sweep out: lists of resolved values.
func (f *File) encodeSweep(finish func(reflect.Value)) *yaml.Node {
	b := f.builder(false)
	b.lenient = f.sweptKeys()
	out := &yaml.Node{Kind: yaml.MappingNode}
	for _, a := range f.axes(b) {
		m := out
		if a.zipped {
			m = &yaml.Node{Kind: yaml.MappingNode}
			out.Content = append(out.Content, textNode("zip"), m)
		}
		for k, key := range a.keys {
			list := &yaml.Node{Kind: yaml.SequenceNode}
			for _, v := range a.values[k] {
				list.Content = append(list.Content, f.encodeSwept(key.Value, v, finish))
			}
			if list.Content[0].Kind == yaml.ScalarNode {
				list.Style = yaml.FlowStyle
			}
			m.Content = append(m.Content, textNode(key.Value), list)
		}
	}
	if len(out.Content) == 0 {
		return nil
	}
	return out
}

// encodeSwept resolves one value of a swept key.
func (f *File) encodeSwept(key string, n *yaml.Node, finish func(reflect.Value)) *yaml.Node {
	s, err := find(clone(f.root), key)
	if err != nil {
		panic(err) // axes has checked it
	}
	if strings.HasPrefix(key, "scheduler.") {
		return n // a parameter: what it is depends on the algorithm
	}
	v := reflect.New(s.typ)
	b := f.builder(false)
	b.lenient = f.sweptKeys()
	b.value(n, v.Elem(), s.field, key)
	finish(v.Elem())
	return (&encoder{missing: b.missing}).value(v.Elem())
}
