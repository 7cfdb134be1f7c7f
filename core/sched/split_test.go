package sched

import (
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestProbabilisticSplit(t *testing.T) {
	matrix := []any{[]any{0.5, 0.2, 0.3}, []any{0, 1, 0}, []any{0.25, 0.75, 0.0}}
	s := with(t, "ProbabilisticSplit", params{"matrix": matrix})
	for i, want := range [][]float64{{.5, .2, .3}, {0, 1, 0}, {.25, .75, 0}} {
		w := coretest.NewScript(0, 0, 0, 0)
		if i > 0 {
			w = coretest.NewScript(2, 0, 0, 0)
			w.ID = 2
		}
		if i == 1 {
			w = coretest.NewScript(1, 0, 0, 0)
		}
		wantShares(t, shares(t, 20000, 3, s, w), want...)
	}
	one := with(t, "ProbabilisticSplit", params{"matrix": []any{[]any{0.5, 0.2, 0.3}}})
	wantShares(t, shares(t, 20000, 3, one, coretest.NewScript(2, 0, 0, 0)), .5, .2, .3)
}

func TestProbabilisticSplitErrors(t *testing.T) {
	for _, c := range []struct {
		gloss  string
		matrix any
		want   string
	}{
		{"not given", nil, "matrix: must be a list of rows"},
		{"no list", 3, "matrix: must be a list of rows"},
		{"empty", []any{}, "matrix: must be a list of rows"},
		{"a row that is none", []any{[]any{1}, 2}, "row 1 must be a list of numbers, is 2"},
		{"a cell that is none", []any{[]any{"x", 1}}, `row 0, column 0 must be a number, is "x"`},
		{"a negative cell", []any{[]any{-0.5, 1.5}}, "row 0, column 0 must be at least 0, is -0.5"},
		{"the sum", []any{[]any{0.5, 0.4}}, "row 0 must add up to 1, is 0.9"},
		{"the length", []any{[]any{0.5, 0.5}, []any{1}}, "row 1 has 1 columns, row 0 has 2"},
	} {
		_, err := Parse("ProbabilisticSplit", params{"matrix": c.matrix})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.gloss, err, c.want)
		}
	}
	if _, err := Parse("ProbabilisticSplit", nil); err == nil || !strings.Contains(err.Error(), "matrix: is required") {
		t.Errorf("without a matrix: %v", err)
	}
}

func TestProbabilisticSplitCheck(t *testing.T) {
	parse := func(rows ...any) Spec {
		s, err := Parse("ProbabilisticSplit", params{"matrix": rows})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	row := []any{0.5, 0.5, 0.0}
	for _, c := range []struct {
		gloss string
		s     Spec
		w     World
		ok    bool
	}{
		{"square", parse(row, row, row), World{Nodes: 3}, true},
		{"one row for all", parse(row), World{Nodes: 3}, true},
		{"with the cloud", parse(row, row), World{Nodes: 2, Cloud: true}, true},
		{"no cloud there", parse(row, row), World{Nodes: 2}, false},
		{"too few rows", parse(row, row), World{Nodes: 3}, false},
		{"too few columns", parse(row), World{Nodes: 4}, false},
		{"to neighbours", parse(row, row, row), World{Nodes: 3, Linked: ring(3)}, true},
		{"to no neighbour", parse([]any{0.5, 0.0, 0.5, 0.0}), World{Nodes: 4, Linked: ring(4)}, false},
		{"to the cloud", parse([]any{0.0, 0.0, 0.0, 0.0, 1.0}), World{Nodes: 4, Cloud: true, Linked: ring(4)}, true},
	} {
		if err := c.s.Check(c.w); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.gloss, err)
		}
	}
}
