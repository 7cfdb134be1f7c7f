package theory

import (
	"embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

//go:embed values/*.csv
var embedded embed.FS

// Case is a model with its parameters, and what is known about it exactly.
type Case struct {
	ID     string // "MM1-P005"
	Table  string // "MM1": the cases that are simulated and measured in the same way
	Model  string // for a person
	Params string // "lam=0.8;mu=1": mu is the service rate, lam the arrival rate per node
	Values []Value
}

// Value is one known number.
type Value struct {
	Metric string
	Value  float64
	Kind   string // "closed" (formula or recursion), "numeric" (exact model, solved), "meanfield" (limit of many nodes)
	Source string // where it comes from
}

// value returns the number of that name.
func (c *Case) value(metric string) (float64, bool) {
	for i := range c.Values {
		if c.Values[i].Metric == metric {
			return c.Values[i].Value, true
		}
	}
	return 0, false
}

// Cases are the cases that come with the program, in a fixed order.
func Cases() []Case {
	var all []Case
	for _, name := range []string{"queueing", "meanfield", "refined_ll", "finiteN"} {
		f, err := embedded.Open("values/" + name + ".csv")
		if err != nil {
			panic(err) // it is embedded
		}
		cases, err := Read(f)
		if err != nil {
			panic(err)
		}
		all = append(all, cases...)
	}
	return append(all, smallRooms()...)
}

var header = []string{"case_id", "table", "model", "params", "metric", "value", "kind", "source"}

// Read reads cases from a CSV file with the columns case_id, table, model, params, metric, value, kind and source, one
// row per value. Rows of one case follow each other. The error joins all problems.
func Read(r io.Reader) ([]Case, error) {
	rows := csv.NewReader(r)
	first, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("reading the header: %w", err)
	}
	if !slices.Equal(first, header) {
		return nil, fmt.Errorf("line 1: the columns are %s: write %s", strings.Join(first, ","), strings.Join(header, ","))
	}
	var cases []Case
	var problems []error
	for {
		row, err := rows.Read()
		if err == io.EOF {
			if len(cases) == 0 {
				return nil, errors.New("there are no cases: write one value per line, below the header")
			}
			return cases, errors.Join(problems...)
		}
		if err != nil {
			return nil, err
		}
		line, _ := rows.FieldPos(0)
		v, err := strconv.ParseFloat(row[5], 64)
		switch {
		case err != nil || math.IsNaN(v) || math.IsInf(v, 0):
			problems = append(problems, fmt.Errorf("line %d: the value %q of %s is not a number", line, row[5], row[0]))
		case tables[row[1]] == nil:
			problems = append(problems, fmt.Errorf("line %d: there is no table %q: write one of %s", line, row[1],
				strings.Join(Tables(), ", ")))
		}
		if n := len(cases); n == 0 || cases[n-1].ID != row[0] {
			cases = append(cases, Case{ID: row[0], Table: row[1], Model: row[2], Params: row[3]})
		}
		c := &cases[len(cases)-1]
		if c.Table != row[1] || c.Params != row[3] {
			problems = append(problems, fmt.Errorf("line %d: %s is of another table or has other parameters than above: "+
				"give it a case_id of its own", line, c.ID))
		}
		c.Values = append(c.Values, Value{row[4], v, row[6], row[7]})
	}
}
