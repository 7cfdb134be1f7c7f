package scenarios

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/sched"
)

// schedulerDoc is an algorithm's block: the keys that all have, and the algorithm's own parameters beside them.
type schedulerDoc struct {
	keys schedulerKeys
	spec sched.Spec
	hops int
}

// schedulerKeys are sched.CommonKeys.
type schedulerKeys struct {
	Name          text      `key:"name"`
	Label         *label    `key:"label"`
	Parameters    []text    `key:"parameters"`
	MaxHops       *count    `key:"max_hops" max:"255"`
	OnFailure     choice    `key:"on_failure" default:"execute" oneof:"execute next fail"`
	OnRefusal     *choice   `key:"on_refusal" oneof:"execute next fail"`
	AtHopLimit    choice    `key:"at_hop_limit" default:"execute" oneof:"execute lose"`
	ProbeTimeout  *duration `key:"probe_timeout" over:"0"`
	AnswerTimeout *duration `key:"answer_timeout" over:"0"`
}

var fallbacks = map[choice]core.Fallback{"execute": core.FallbackExecute, "next": core.FallbackNext,
	"fail": core.FallbackFail}

var limits = map[choice]core.AtHopLimit{"execute": core.LimitExecute, "lose": core.LimitLose}

func (s *schedulerDoc) decode(d *decoder, n *yaml.Node, path string) {
	if n.Kind != yaml.MappingNode {
		d.bad(n, path, "found %s where a scheduler belongs: write {name: NoScheduler}, for example", nodeKind(n))
		return
	}
	common, own := s.separate(n)
	before := len(d.problems)
	d.object(common, reflect.ValueOf(&s.keys).Elem(), path)
	if s.keys.Name == "" || len(d.problems) > before && d.unsound[join(path, "name")] {
		return
	}
	name := child(n, "name")
	entry, err := sched.Lookup(string(s.keys.Name))
	if err != nil {
		d.bad(name, join(path, "name"), "%q is not a scheduler: %s", short(name.Value), suggest(name.Value, sched.Names()))
		return
	}
	if list := child(n, "parameters"); list != nil {
		s.positional(d, list, own, path)
	} else {
		s.named(d, entry, name, own, path)
	}
}

// separate splits the block into the keys that every algorithm has and the others.
func (s *schedulerDoc) separate(n *yaml.Node) (common *yaml.Node, own []*yaml.Node) {
	shared := *n
	shared.Content = nil
	for i := 0; i+1 < len(n.Content); i += 2 {
		if slices.Contains(sched.CommonKeys, n.Content[i].Value) {
			shared.Content = append(shared.Content, n.Content[i], n.Content[i+1])
		} else {
			own = append(own, n.Content[i], n.Content[i+1])
		}
	}
	return &shared, own
}

// named parses the algorithm's own parameters.
func (s *schedulerDoc) named(d *decoder, entry sched.Entry, name *yaml.Node, own []*yaml.Node, path string) {
	types := map[string]sched.ParamType{}
	known := slices.Clone(sched.CommonKeys)
	for _, p := range entry.Parameters() {
		types[p.Name] = p.Type
		known = append(known, p.Name)
	}
	values, places := map[string]any{}, map[string]*yaml.Node{}
	before := len(d.problems)
	for i := 0; i < len(own); i += 2 {
		k, v := own[i], own[i+1]
		switch {
		case types[k.Value] == "":
			d.bad(k, path, "%s has no parameter %q: %s", entry.Name, short(k.Value), suggest(k.Value, known))
			continue
		case places[k.Value] != nil:
			d.bad(k, path, "the key %q is given twice, first in line %d: leave one out", k.Value, places[k.Value].Line)
			continue
		}
		places[k.Value] = v
		if x, err := plainValue(v, types[k.Value]); err != nil {
			d.bad(v, join(path, k.Value), "%v", err)
		} else {
			values[k.Value] = x
		}
	}
	if len(d.problems) > before {
		return
	}
	spec, err := sched.Parse(entry.Name, values)
	s.spec, s.hops = spec, spec.MaxHops()
	s.report(d, err, name, places, path)
}

// report notes each of sched's problems at the parameter that it is about.
func (s *schedulerDoc) report(d *decoder, err error, name *yaml.Node, places map[string]*yaml.Node, path string) {
	if err == nil {
		return
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			s.report(d, e, name, places, path)
		}
		return
	}
	var p *sched.ParamError
	if !errors.As(err, &p) {
		d.bad(name, path, "%v", err)
		return
	}
	here := join(path, p.Param)
	switch v := places[p.Param]; {
	case v != nil:
		d.bad(v, here, "%s: %v", p.Scheduler, p.Err)
	case d.lenient[here]:
		d.taint(here)
	default:
		d.bad(name, here, "%s: %v", p.Scheduler, p.Err)
	}
}

func (s *schedulerDoc) positional(d *decoder, list *yaml.Node, own []*yaml.Node, path string) {
	for i := 0; i < len(own); i += 2 {
		d.bad(own[i], path, "%q stands beside a list of parameters: give all by name, or all in the list", own[i].Value)
	}
	words := make([]string, len(s.keys.Parameters))
	for i, p := range s.keys.Parameters {
		words[i] = string(p)
	}
	spec, common, err := sched.ParsePositional(string(s.keys.Name), words)
	places := map[string]*yaml.Node{}
	if entry, known := sched.Lookup(string(s.keys.Name)); known == nil {
		for i, p := range entry.Positional {
			if i < len(list.Content) {
				places[p] = list.Content[i]
			}
		}
	}
	s.report(d, err, list, places, join(path, "parameters"))
	s.spec, s.hops = spec, spec.MaxHops()
	if common.HasMaxHops {
		s.hops = common.MaxHops
		if s.keys.MaxHops != nil {
			d.wrong(s.keys.MaxHops, "the list of parameters says it too: leave one out")
		}
	}
}

// plainValue converts a node for sched.Parse. Durations are read as everywhere in a scenario.
func plainValue(n *yaml.Node, t sched.ParamType) (any, error) {
	switch n.Kind {
	case yaml.SequenceNode:
		if len(n.Content) > listLimit {
			return nil, fmt.Errorf("the list has %d entries: write %d at most", len(n.Content), listLimit)
		}
		list := make([]any, len(n.Content))
		for i, c := range n.Content {
			x, err := plainValue(c, "")
			if err != nil {
				return nil, err
			}
			list[i] = x
		}
		return list, nil
	case yaml.MappingNode:
		return nil, errors.New("found a mapping where a parameter belongs: write one value")
	}
	if t == sched.Duration {
		var d duration
		err := d.parse(n)
		return time.Duration(d).String(), err
	}
	if _, err := unquoted(n); err != nil {
		return n.Value, nil
	}
	if n.Value == "true" || n.Value == "false" {
		return n.Value == "true", nil
	}
	if wholeNumber.MatchString(n.Value) {
		if v, err := strconv.Atoi(n.Value); err == nil {
			return v, nil
		}
	}
	if number.FindString(n.Value) == n.Value {
		if v, err := strconv.ParseFloat(n.Value, 64); err == nil {
			return v, nil
		}
	}
	return n.Value, nil
}

// encode writes every parameter by its name.
func (s *schedulerDoc) encode() *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	put := func(key string, v *yaml.Node) {
		if v != nil {
			n.Content = append(n.Content, textNode(key), v)
		}
	}
	put("name", textNode(string(s.keys.Name)))
	if s.keys.Label != nil {
		put("label", textNode(string(*s.keys.Label)))
	}
	for _, p := range s.spec.Params() {
		put(p.Name, paramNode(p.Value))
	}
	hops := count(s.hops)
	if s.keys.MaxHops != nil {
		hops = *s.keys.MaxHops
	}
	put("max_hops", encodeScalar(&hops))
	put("on_failure", textNode(string(s.keys.OnFailure)))
	put("on_refusal", encodeValue(reflect.ValueOf(s.keys.OnRefusal)))
	put("at_hop_limit", textNode(string(s.keys.AtHopLimit)))
	put("probe_timeout", encodeValue(reflect.ValueOf(s.keys.ProbeTimeout)))
	put("answer_timeout", encodeValue(reflect.ValueOf(s.keys.AnswerTimeout)))
	return n
}

func paramNode(v any) *yaml.Node {
	switch x := v.(type) {
	case string:
		if d, err := time.ParseDuration(x); err == nil {
			x = duration(d).String()
		}
		return textNode(x)
	case []string:
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, w := range x {
			list.Content = append(list.Content, textNode(w))
		}
		return list
	case [][]float64:
		rows := &yaml.Node{Kind: yaml.SequenceNode}
		for _, r := range x {
			row := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
			for _, c := range r {
				row.Content = append(row.Content, paramNode(c))
			}
			rows.Content = append(rows.Content, row)
		}
		return rows
	case float64:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: real(x).String()}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v)}
}

func (s *schedulerDoc) resolve(b *builder, cluster *Cluster, types int) Scheduler {
	if !b.sound(s) {
		return Scheduler{}
	}
	r := Scheduler{Label: s.spec.Name(), Spec: s.spec}
	r.Forwarding = core.Forwarding{MaxHops: s.hops, AtLimit: limits[s.keys.AtHopLimit],
		OnRefusal: fallbacks[or(s.keys.OnRefusal, s.keys.OnFailure)], OnFailure: fallbacks[s.keys.OnFailure],
		ProbeTimeout:  time.Duration(or(s.keys.ProbeTimeout, 0)),
		AnswerTimeout: time.Duration(or(s.keys.AnswerTimeout, 0))}
	if s.keys.MaxHops != nil {
		r.Forwarding.MaxHops = int(*s.keys.MaxHops)
	}
	if err := r.Forwarding.Check(); err != nil {
		b.wrong(&s.keys.AtHopLimit, "%v", err)
	}
	if n := cluster.Nodes(); n > 0 {
		w := worldOf(cluster, r.Forwarding.MaxHops, types)
		if err := s.spec.Check(w); err != nil {
			b.wrong(s, "%v: change the parameters or the cluster", err)
		} else {
			r.Spec = s.spec.In(w)
		}
	}
	return r
}

// worldOf is what an algorithm may know about the cluster.
func worldOf(c *Cluster, maxHops, types int) sched.World {
	w := sched.World{Nodes: c.Nodes(), Cloud: c.Cloud != nil, MaxHops: maxHops, Types: types}
	for i := range c.Groups {
		w.Slots, w.Room = max(w.Slots, c.Groups[i].Slots), max(w.Room, c.Groups[i].Queue)
	}
	if t := &c.Topology; t.Offsets != nil {
		w.Linked = func(a, b core.NodeID) bool { return slices.Contains(t.Neighbours(a), b) }
	}
	return w
}

// distinguish gives the schedulers of a sweep labels that tell them apart: the name, and the parameters in which
// those of one name differ.
func distinguish(docs []*schedulerDoc) []string {
	labels := make([]string, len(docs))
	for i, s := range docs {
		var parts []string
		for _, p := range s.settings() {
			for _, other := range docs {
				if other.keys.Name == s.keys.Name && other.setting(p[0]) != p[1] {
					parts = append(parts, p[0]+"="+p[1])
					break
				}
			}
		}
		if s.keys.Label != nil {
			labels[i] = string(*s.keys.Label)
			continue
		}
		labels[i] = string(s.keys.Name)
		if len(parts) > 0 {
			labels[i] += "(" + strings.Join(parts, ", ") + ")"
		}
	}
	return labels
}

// settings are the keys and values of the resolved block, the name left out.
func (s *schedulerDoc) settings() [][2]string {
	n := s.encode()
	var out [][2]string
	for i := 2; i+1 < len(n.Content); i += 2 {
		out = append(out, [2]string{n.Content[i].Value, inline(n.Content[i+1])})
	}
	return out
}

func (s *schedulerDoc) setting(key string) string {
	for _, p := range s.settings() {
		if p[0] == key {
			return p[1]
		}
	}
	return ""
}

// inline is a node on one line.
func inline(n *yaml.Node) string {
	var parts []string
	switch n.Kind {
	case yaml.SequenceNode:
		for _, c := range n.Content {
			parts = append(parts, inline(c))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			parts = append(parts, n.Content[i].Value+": "+inline(n.Content[i+1]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return n.Value
}
