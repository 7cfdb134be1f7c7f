package swarm

import (
	"fmt"
	"slices"
	"time"

	"gopkg.in/yaml.v3"
)

// Documents are trees of YAML: what is drawn is written as it is, and what is shrunk is the document, not what it means.

// node is a value of a document: a string, a number, a truth, a duration, or a node.
func node(v any) *yaml.Node {
	switch x := v.(type) {
	case *yaml.Node:
		return x
	case time.Duration:
		return node(fmt.Sprintf("%gms", float64(x.Nanoseconds())/1e6))
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v)}
}

func list(items ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, x := range items {
		n.Content = append(n.Content, node(x))
	}
	return n
}

// mapping has keys and values in turn.
func mapping(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i < len(pairs); i += 2 {
		add(n, pairs[i].(string), pairs[i+1])
	}
	return n
}

func add(n *yaml.Node, key string, v any) { n.Content = append(n.Content, node(key), node(v)) }

// at is the value of a key of a mapping; nil: there is none.
func at(n *yaml.Node, key string) *yaml.Node {
	for i := 0; n != nil && n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// set gives a key that is there another value.
func set(n *yaml.Node, key string, v any) { *at(n, key) = *node(v) }

// flow writes what lies below the keys at the top on one line, and lists of mappings with a line for each.
func flow(doc *yaml.Node) {
	for i := 1; i < len(doc.Content); i += 2 {
		lines := []*yaml.Node{doc.Content[i]}
		if doc.Content[i].Kind == yaml.SequenceNode {
			lines = doc.Content[i].Content
		}
		for _, n := range lines {
			n.Style = yaml.FlowStyle
		}
	}
}

func clone(n *yaml.Node) *yaml.Node {
	c := *n
	c.Content = slices.Clone(n.Content)
	for i := range c.Content {
		c.Content[i] = clone(c.Content[i])
	}
	return &c
}
