package scenarios

import (
	"io/fs"
	"math"
	"reflect"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// distributionDoc is a time that may be random. A duration by itself is a constant.
type distributionDoc struct {
	Kind          choice     `key:"distribution" kind:"true"`
	Mean          *duration  `key:"mean"`
	Shift         *duration  `key:"shift"`
	Phases        *count     `key:"phases" min:"1" max:"100000"`
	SCV           *real      `key:"scv" over:"0" max:"1e6"`
	Probabilities []share    `key:"probabilities"`
	Means         []duration `key:"means" over:"0"`
	Shape         *real      `key:"shape" min:"0.01" max:"1000"`
	Min           *duration  `key:"min"`
	Max           *duration  `key:"max" over:"0"`
	Values        []duration `key:"values"`
	Weights       []real     `key:"weights"`
	File          *dataFile  `key:"file"`
	Unit          choice     `key:"unit" default:"s" oneof:"ns us ms s min h d"`
}

func (distributionDoc) variants() []variant {
	return []variant{
		{"deterministic", "mean", ""},
		{"exponential", "mean", ""},
		{"shifted-exponential", "mean shift", ""},
		{"erlang", "mean phases", ""},
		{"hyperexponential", "", "mean scv probabilities means"},
		{"lognormal", "mean scv", ""},
		{"gamma", "mean shape", ""},
		{"weibull", "mean shape", ""},
		{"pareto", "shape min max", ""},
		{"uniform", "min max", ""},
		{"empirical", "", "values weights file unit"},
	}
}

func (*distributionDoc) expand(n *yaml.Node) *yaml.Node {
	return expansion(n, "distribution", "deterministic", "mean", n.Value)
}

func (*distributionDoc) short() *jsonschema.Schema { return durations.schema() }

// expansion is a mapping of keys to scalars, at the place of n; values equal to that of n are written as n is.
func expansion(n *yaml.Node, pairs ...string) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: n.Line, Column: n.Column}
	for i := 0; i < len(pairs); i += 2 {
		k, v := *n, *n
		k.Value, k.Tag, k.Style = pairs[i], "!!str", 0
		if v.Value = pairs[i+1]; v.Value != n.Value {
			v.Tag, v.Style = "!!str", 0
		}
		m.Content = append(m.Content, &k, &v)
	}
	return m
}

// resolve returns the distribution, in seconds. Where it is wrong the problem is noted, and a stand-in returned.
func (doc *distributionDoc) resolve(b *builder) random.Dist {
	if b.sound(doc) {
		doc.check(b)
	}
	if !b.sound(doc) {
		return random.NewConstant(1)
	}
	switch doc.Kind {
	case "exponential":
		return random.NewExponential(doc.Mean.seconds())
	case "shifted-exponential":
		return random.NewShiftedExponential(doc.Shift.seconds(), doc.Mean.seconds()-doc.Shift.seconds())
	case "erlang":
		return random.NewErlang(int(*doc.Phases), doc.Mean.seconds())
	case "hyperexponential":
		if doc.Means == nil {
			return random.NewBalancedHyperexponential(doc.Mean.seconds(), float64(*doc.SCV))
		}
		var probs, means []float64
		for i := range doc.Means {
			probs, means = append(probs, float64(doc.Probabilities[i])), append(means, doc.Means[i].seconds())
		}
		return random.NewHyperexponential(probs, means)
	case "lognormal":
		return random.NewLognormal(doc.Mean.seconds(), float64(*doc.SCV))
	case "gamma":
		return random.NewGamma(float64(*doc.Shape), doc.Mean.seconds())
	case "weibull":
		return random.NewWeibull(float64(*doc.Shape), doc.Mean.seconds())
	case "pareto":
		return random.NewBoundedPareto(float64(*doc.Shape), doc.Min.seconds(), doc.Max.seconds())
	case "uniform":
		return random.NewUniform(doc.Min.seconds(), doc.Max.seconds())
	case "empirical":
		return doc.empirical(b)
	}
	return random.NewConstant(doc.Mean.seconds())
}

func (doc *distributionDoc) check(b *builder) {
	if doc.Mean != nil && *doc.Mean == 0 && doc.Kind != "deterministic" {
		b.wrong(doc.Mean, "the mean of %s is 0s: write more, or 0s without a distribution", doc.Kind)
	}
	switch doc.Kind {
	case "shifted-exponential":
		if *doc.Shift >= *doc.Mean {
			b.wrong(doc.Shift, "the shift of %s is not below the mean of %s, which includes it: write less", doc.Shift, doc.Mean)
		}
	case "hyperexponential":
		doc.checkHyperexponential(b)
	case "pareto", "uniform":
		if *doc.Min >= *doc.Max {
			b.wrong(doc.Max, "max is %s, not more than min, %s: write more", doc.Max, doc.Min)
		}
		if doc.Kind == "pareto" && *doc.Min == 0 {
			b.wrong(doc.Min, "a Pareto distribution begins above 0s: write more")
		}
	case "empirical":
		switch {
		case (doc.File == nil) == (doc.Values == nil):
			b.wrong(doc, "an empirical distribution has values or a file: write one of the two keys")
		case doc.Weights != nil && len(doc.Weights) != len(doc.Values):
			b.wrong(&doc.Weights, "%d weights for %d values: write as many", len(doc.Weights), len(doc.Values))
		case doc.Weights != nil && sum(doc.Weights) == 0:
			b.wrong(&doc.Weights, "all weights are 0: write one that is more")
		}
	}
}

func (doc *distributionDoc) checkHyperexponential(b *builder) {
	switch {
	case doc.Means == nil && doc.Probabilities == nil:
		if doc.Mean == nil || doc.SCV == nil {
			b.wrong(doc, "hyperexponential needs mean and scv, or probabilities and means: write two of them")
		} else if *doc.SCV < 1 {
			b.wrong(doc.SCV, "a hyperexponential distribution has scv >= 1, not %s: write more, or use erlang", doc.SCV)
		}
	case doc.Mean != nil || doc.SCV != nil:
		b.wrong(doc, "hyperexponential has mean and scv, or probabilities and means, not both: leave two of them out")
	case len(doc.Means) != len(doc.Probabilities):
		b.wrong(doc, "%d probabilities for %d means: write as many", len(doc.Probabilities), len(doc.Means))
	case math.Abs(sum(doc.Probabilities)-1) > 1e-9:
		b.wrong(&doc.Probabilities, "the probabilities sum to %g: write ones that sum to 1", sum(doc.Probabilities))
	}
}

func sum[T ~float64](xs []T) float64 {
	s := 0.0
	for _, x := range xs {
		s += float64(x)
	}
	return s
}

func (doc *distributionDoc) empirical(b *builder) random.Dist {
	if doc.File != nil {
		return inCommon(b, "empirical", doc, func() random.Dist { return doc.fromFile(b) })
	}
	var values, weights []float64
	for _, v := range doc.Values {
		values = append(values, v.seconds())
	}
	for _, w := range doc.Weights {
		weights = append(weights, float64(w))
	}
	return random.NewEmpirical(values, weights)
}

// fromFile is the empirical distribution of a column of a file.
func (doc *distributionDoc) fromFile(b *builder) random.Dist {
	values := slices.Clone(b.column(doc.File)) // the original serves others too
	unit := durations.seconds(string(doc.Unit))
	for i := range values {
		if values[i] < 0 {
			b.wrong(doc.File, "value %d is negative: a duration is 0 or more", i+1)
			return random.NewConstant(1)
		}
		values[i] = float64(values[i] * unit)
	}
	if len(values) == 0 {
		return random.NewConstant(1)
	}
	return random.NewEmpirical(values, nil)
}

// zero reports whether d is always 0.
func zero(d random.Dist) bool { return d.Mean() == 0 && d.Var() == 0 }

// ParseDistribution reads a distribution as a function's service time stands in a scenario file: 300ms, or
// {distribution: exponential, mean: 300ms}. It is in seconds; what names the text in errors. Data files are found from
// the working directory.
func ParseDistribution(what, text string) (random.Dist, error) {
	return parseDistribution(what, text, diskDir("."))
}

// parseDistribution is ParseDistribution with the data files of dir.
func parseDistribution(what, text string, dir fs.FS) (random.Dist, error) {
	root, problems := parseYAML(what, []byte("service: "+text), "a distribution")
	if len(problems) > 0 {
		return nil, problems.err()
	}
	f := &File{name: what, root: root, dir: dir, cache: newCache()}
	b := f.builder(false)
	var doc struct {
		Service distributionDoc `key:"service"`
	}
	b.object(root, reflect.ValueOf(&doc).Elem(), "")
	d := doc.Service.resolve(b)
	if len(b.problems) > 0 {
		return nil, b.problems.err()
	}
	return d, nil
}
