package problem

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/p2pfaas/p2pfaas/core/spelling"
)

// tables are the problems by name, with what reads their parameters.
var tables = []struct {
	name string
	read func(p *params) Problem
}{
	{"ACCESS", func(p *params) Problem {
		prios := p.floats("prios")
		return &AccessControl{Servers: p.int("servers"), PFree: p.float("p_free"), Priorities: prios,
			Probabilities: p.probabilities("probs", len(prios)), SameStep: p.bool("assigned_can_free_same_step")}
	}},
	{"CLIFF", func(p *params) Problem {
		p.errs = append(p.errs, probability("eps", optional(p, "eps", p.float, 0)))
		return &Cliff{}
	}},
	{"DEADMDP", func(p *params) Problem {
		return &Deadline{Lambda: p.float("lam"), Mu: p.float("mu"), Places: p.int("K"), Limit: p.float("D"),
			Cloud: p.float("r_cloud")}
	}},
	{"LAIROB", func(p *params) Problem { return &Bernoulli{Arms: p.floats("arms")} }},
	{"MOUNTAINCAR", func(*params) Problem { return &MountainCar{} }},
	{"NAOR", func(p *params) Problem {
		n := &Naor{Lambda: p.float("lam"), Mu: p.float("mu"), Reward: p.float("R"), Cost: p.float("C")}
		otherwise := 0 // without a cost there is no bound
		if n.Cost > 0 {
			otherwise = max(1, 2*n.Individual())
		}
		n.Places = optional(p, "K", p.int, otherwise)
		return n
	}},
	{"RW5", func(p *params) Problem { return &RandomWalk{States: optional(p, "states", p.int, 5)} }},
	{"TB", func(p *params) Problem { return &Testbed{Arms: p.int("k")} }},
	{"TWONODE", func(p *params) Problem {
		return &TwoNodes{Lambda: [2]float64{p.float("lam1"), p.float("lam2")}, Mu: [2]float64{p.float("mu1"), p.float("mu2")},
			Places: p.int("K"), Reward: p.float("R"), Cost: p.float("h"), Forward: p.float("f")}
	}},
	{"WINDY", func(p *params) Problem {
		return &Windy{Rows: optional(p, "rows", p.int, 7), Wind: p.digits("wind"), Start: p.cell("start"), Goal: p.cell("goal"),
			Moves: optional(p, "moves", p.int, 4)}
	}},
}

// Tables are the names that Parse knows.
func Tables() []string {
	var names []string
	for _, t := range tables {
		names = append(names, t.name)
	}
	return names
}

// Parse returns the problem of a table, with parameters written name=value;name=value. The names are those in the
// comments of the problems' fields. The following may be left out:
//
//	NAOR   K        2·Individual(), at least 1, where C > 0: the optimum does not depend on it
//	RW5    states   5
//	WINDY  rows     7
//	       moves    4
//	CLIFF  eps      the exploration for which figures are given: the problem is the same for all
//
// An error says all that is wrong with the parameters.
func Parse(table, text string) (Problem, error) {
	for _, t := range tables {
		if t.name != table {
			continue
		}
		p := newParams(text)
		problem := t.read(p)
		p.leftover()
		err := all(p.errs...)
		if err == nil {
			err = problem.Validate()
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", table, err)
		}
		return problem, nil
	}
	return nil, fmt.Errorf("there is no problem %q; there are %s", table,
		strings.Join(spelling.Nearest(table, Tables()), ", "))
}

// params are the parameters of a problem, as they are read. Reading one that is missing or malformed notes an error.
type params struct {
	names, values []string
	known         []string // those that the problem has
	errs          []error
}

func newParams(text string) *params {
	p := &params{}
	if text == "" {
		return p
	}
	for part := range strings.SplitSeq(text, ";") {
		name, value, ok := strings.Cut(part, "=")
		switch {
		case !ok:
			p.errs = append(p.errs, fmt.Errorf("%q is not name=value", part))
			continue
		case slices.Contains(p.names, name):
			p.errs = append(p.errs, fmt.Errorf("%s is given twice", name))
		}
		p.names, p.values = append(p.names, name), append(p.values, value)
	}
	return p
}

// leftover notes those parameters for which nobody has asked.
func (p *params) leftover() {
	for _, name := range p.names {
		switch {
		case slices.Contains(p.known, name):
		case len(p.known) == 0:
			p.errs = append(p.errs, fmt.Errorf("there is no parameter %q; there are none", name))
		default:
			p.errs = append(p.errs, fmt.Errorf("there is no parameter %q; there are %s", name,
				strings.Join(spelling.Nearest(name, p.known), ", ")))
		}
	}
}

func (p *params) has(name string) bool { return slices.Contains(p.names, name) }

func (p *params) text(name string) string {
	p.known = append(p.known, name)
	i := slices.Index(p.names, name)
	if i < 0 {
		p.errs = append(p.errs, fmt.Errorf("%s is missing", name))
		return ""
	}
	return p.values[i]
}

// parsed returns what parse makes of a parameter; where it cannot, the zero value.
func parsed[T any](p *params, name, want string, parse func(string) (T, error)) (x T) {
	if text := p.text(name); p.has(name) {
		var err error
		if x, err = parse(text); err != nil {
			p.errs = append(p.errs, fmt.Errorf("%s is %q; it must be %s", name, text, want))
		}
	}
	return x
}

func (p *params) float(name string) float64 { return parsed(p, name, "a number", parseFloat) }

func (p *params) int(name string) int { return parsed(p, name, "a whole number", strconv.Atoi) }

// bool is a parameter that is 0 or 1.
func (p *params) bool(name string) bool {
	return parsed(p, name, "0 or 1", func(s string) (bool, error) {
		if s != "0" && s != "1" {
			return false, strconv.ErrSyntax
		}
		return s == "1", nil
	})
}

// optional reads a parameter that may be left out.
func optional[T any](p *params, name string, read func(name string) T, otherwise T) T {
	if !p.has(name) {
		p.known = append(p.known, name)
		return otherwise
	}
	return read(name)
}

// floats are numbers separated by slashes.
func (p *params) floats(name string) []float64 {
	return parsed(p, name, "numbers separated by slashes", parseFloats)
}

// probabilities are n numbers, or "uniform".
func (p *params) probabilities(name string, n int) []float64 {
	return parsed(p, name, "uniform, or probabilities separated by slashes", func(s string) ([]float64, error) {
		if s == "uniform" {
			return slices.Repeat([]float64{1 / float64(n)}, n), nil
		}
		return parseFloats(s)
	})
}

// digits are numbers of one digit each.
func (p *params) digits(name string) []int {
	return parsed(p, name, "a digit for each column", func(s string) ([]int, error) {
		var ds []int
		for _, c := range s {
			if c < '0' || c > '9' {
				return nil, strconv.ErrSyntax
			}
			ds = append(ds, int(c-'0'))
		}
		return ds, nil
	})
}

// cell is a row and a column.
func (p *params) cell(name string) Cell {
	return parsed(p, name, "row,column", func(s string) (Cell, error) {
		row, col, _ := strings.Cut(s, ",")
		r, err := strconv.Atoi(row)
		c, err2 := strconv.Atoi(col)
		return Cell{r, c}, errors.Join(err, err2)
	})
}

func parseFloat(s string) (float64, error) {
	x, err := strconv.ParseFloat(s, 64)
	if math.IsNaN(x) || math.IsInf(x, 0) {
		err = strconv.ErrRange
	}
	return x, err
}

func parseFloats(s string) ([]float64, error) {
	var xs []float64
	for part := range strings.SplitSeq(s, "/") {
		x, err := parseFloat(part)
		if err != nil {
			return nil, err
		}
		xs = append(xs, x)
	}
	return xs, nil
}

// check is an error unless ok.
func check(ok bool, name string, value any, want string) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%s is %v; it must be %s", name, value, want)
}

func finite(name string, x float64) error {
	return check(!math.IsNaN(x) && !math.IsInf(x, 0), name, x, "a number")
}

func positive(name string, x float64) error {
	return check(x > 0 && !math.IsInf(x, 0), name, x, "a number above 0")
}

func nonNegative(name string, x float64) error {
	return check(x >= 0 && !math.IsInf(x, 0), name, x, "a number of 0 or more")
}

func probability(name string, x float64) error {
	return check(x >= 0 && x <= 1, name, x, "between 0 and 1")
}

// count is an error unless 1 <= n <= most.
func count(name string, n, most int) error {
	return check(n >= 1 && n <= most, name, n, fmt.Sprintf("between 1 and %d", most))
}

// all makes one error of those that are not nil.
func all(errs ...error) error {
	var texts []string
	for _, err := range errs {
		if err != nil {
			texts = append(texts, err.Error())
		}
	}
	if texts == nil {
		return nil
	}
	return errors.New(strings.Join(texts, "; "))
}
