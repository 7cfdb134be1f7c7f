package theory

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// params are the parameters of a case. Reading one that is missing or malformed notes a problem and returns 1.
type params struct {
	of       *Case
	values   map[string]string
	traffic  string          // folder of the curves
	read     map[string]bool // which of them were asked for
	problems []error
}

func newParams(c *Case) *params {
	p := &params{of: c, values: map[string]string{}, read: map[string]bool{}}
	for part := range strings.SplitSeq(c.Params, ";") {
		if name, value, ok := strings.Cut(part, "="); ok {
			p.values[name] = value
		} else {
			p.wrong("params", part, "name=value")
		}
	}
	return p
}

func (p *params) wrong(name, value, want string) {
	p.problems = append(p.problems, fmt.Errorf("%s: %s is %q: write %s", p.of.ID, name, value, want))
}

// err joins the problems. A parameter that nobody has asked for is one: it would change the model.
func (p *params) err() error {
	for _, name := range slices.Sorted(maps.Keys(p.values)) {
		if !p.read[name] {
			p.problems = append(p.problems, fmt.Errorf("%s: the table %s has no parameter %s", p.of.ID, p.of.Table, name))
			p.read[name] = true
		}
	}
	return errors.Join(p.problems...)
}

func (p *params) text(name string) string {
	v, ok := p.values[name]
	p.read[name] = true
	if !ok {
		p.problems = append(p.problems, fmt.Errorf("%s: the parameter %s is missing", p.of.ID, name))
	}
	return v
}

func (p *params) number(name, text string) float64 {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0) || math.IsInf(v, 0) {
		p.wrong(name, text, "a number of 0 or more")
		return 1
	}
	return v
}

func (p *params) float(name string) float64 { return p.number(name, p.text(name)) }

// positive is a number above 0.
func (p *params) positive(name string) float64 {
	v := p.float(name)
	if v == 0 {
		p.wrong(name, p.values[name], "a number above 0")
		return 1
	}
	return v
}

// floats are numbers separated by slashes.
func (p *params) floats(name string) []float64 {
	var vs []float64
	for part := range strings.SplitSeq(p.text(name), "/") {
		vs = append(vs, p.number(name, part))
	}
	return vs
}

func (p *params) int(name string) int {
	v := p.float(name)
	if v != math.Trunc(v) || v > 1e6 {
		p.wrong(name, p.values[name], "a whole number up to 1000000")
		return 1
	}
	return int(v)
}

// given is a value of the case that its scenario needs.
func (p *params) given(metric string) float64 {
	v, ok := p.of.value(metric)
	if !ok {
		p.problems = append(p.problems, fmt.Errorf("%s: the value %s is missing", p.of.ID, metric))
	}
	return v
}

// law is a distribution of service times or gaps.
type law struct {
	yaml string
	mean float64
	scv  float64 // squared coefficient of variation
}

func (p *params) law(name string) law { return p.parseLaw(name, p.text(name)) }

// parseLaw reads D/mean, M/mean, E/phases/mean, H2/mean/scv (two phases with balanced means), LN/mean/cv, U/min/max or
// SE/shift/rate (a shift plus an exponential of that rate).
func (p *params) parseLaw(name, text string) law {
	kind, rest, _ := strings.Cut(text, "/")
	var a []float64
	for part := range strings.SplitSeq(rest, "/") {
		a = append(a, p.number(name, part))
	}
	if len(a) != map[string]int{"D": 1, "M": 1, "E": 2, "H2": 2, "LN": 2, "U": 2, "SE": 2}[kind] {
		p.wrong(name, text, "D/mean, M/mean, E/phases/mean, H2/mean/scv, LN/mean/cv, U/min/max or SE/shift/rate")
		return constant(1)
	}
	switch kind {
	case "M":
		return exponential(a[0])
	case "E":
		return law{distribution("erlang", "phases", plain(a[0]), "mean", seconds(a[1])), a[1], 1 / a[0]}
	case "H2":
		return law{distribution("hyperexponential", "mean", seconds(a[0]), "scv", plain(a[1])), a[0], a[1]}
	case "LN":
		return law{distribution("lognormal", "mean", seconds(a[0]), "scv", plain(a[1]*a[1])), a[0], a[1] * a[1]}
	case "U":
		mean := (a[0] + a[1]) / 2
		return law{distribution("uniform", "min", seconds(a[0]), "max", seconds(a[1])), mean,
			(a[1] - a[0]) * (a[1] - a[0]) / (12 * mean * mean)}
	case "SE":
		mean := a[0] + 1/a[1]
		return law{distribution("shifted-exponential", "shift", seconds(a[0]), "mean", seconds(mean)), mean,
			1 / (a[1] * a[1] * mean * mean)}
	}
	return constant(a[0])
}

func constant(mean float64) law { return law{seconds(mean), mean, 0} }
func exponential(mean float64) law {
	return law{distribution("exponential", "mean", seconds(mean)), mean, 1}
}

// distribution writes a distribution of a scenario file.
func distribution(kind string, pairs ...string) string {
	var b strings.Builder
	b.WriteString("{distribution: " + kind)
	for i := 0; i < len(pairs); i += 2 {
		b.WriteString(", " + pairs[i] + ": " + pairs[i+1])
	}
	return b.String() + "}"
}

func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// seconds writes a duration, to the nanosecond.
func seconds(v float64) string {
	return plain(float64(time.Duration(math.Round(v*1e9)))/1e9) + "s"
}

func perSecond(v float64) string { return plain(v) + "/s" }
