package cmd

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/p2pfaas/p2pfaas/learner"
)

// knowledge is what a learner has learned, as its file tells.
type knowledge struct {
	weights *learner.Weights
	learner *learner.Learner // that expects what the file says
	actions []string
	rows    []row // of a table or a bandit
}

// row is what is expected in a state.
type row struct {
	state  []float64
	key    string    // in place of it, with v1's keys
	values []float64 // by action, NaN where one was never tried; nil: nothing is known
	pulls  []float64 // of a bandit
	ranked []int     // actions of which something is known, the best first
	ties   int       // how many of them are equally good
	margin float64   // of the best over the second; NaN where there is none
}

func readKnowledge(path string) (*knowledge, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	w, err := learner.ReadWeights(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	k := &knowledge{weights: w, actions: w.Config.Names}
	sure := *w
	sure.Config.Bandit.C = 0 // what LinUCB predicts, without the width of its confidence
	if k.learner, err = learner.NewFrom(&sure, rand.PCG{}); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if k.actions == nil {
		for a := range w.Config.Actions {
			k.actions = append(k.actions, fmt.Sprintf("action %d", a))
		}
	}
	if k.tabular() {
		k.readRows()
	}
	return k, nil
}

// bandit reports whether there are statistics of each action.
func (k *knowledge) bandit() bool {
	return slices.Contains([]string{"sample-average", "ucb1", "thompson"}, k.weights.Config.Algorithm)
}

// stateless reports whether the state does not matter.
func (k *knowledge) stateless() bool { return k.bandit() && !k.weights.Config.Bandit.PerState }

// tabular reports whether there is a list of states.
func (k *knowledge) tabular() bool {
	return k.bandit() || k.weights.Config.Algorithm != "linucb" && k.weights.Config.Function.Kind == "table"
}

// readRows makes the rows of the states. The learner has brought the numbers of the file into rows of the right length.
func (k *knowledge) readRows() {
	w := k.learner.Weights()
	for i, values := range w.Values {
		r := row{values: slices.Clone(values)}
		switch {
		case i < len(w.States):
			r.state = w.States[i]
		case i < len(w.Keys):
			r.key = w.Keys[i]
		}
		for a := range values {
			if w.Second != nil { // double Q-learning expects the mean of both
				r.values[a] = (values[a] + w.Second[i][a]) / 2
			}
			if w.Pulls != nil && w.Pulls[i][a] == 0 {
				r.values[a] = math.NaN()
			}
		}
		if w.Pulls != nil {
			r.pulls = w.Pulls[i]
		}
		k.judge(&r)
		k.rows = append(k.rows, r)
	}
}

// judge ranks the actions of a row.
func (k *knowledge) judge(r *row) {
	r.ranked, r.ties, r.margin = nil, 0, math.NaN()
	for a, v := range r.values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) { // values that have left all bounds are no knowledge
			r.ranked = append(r.ranked, a)
		}
	}
	slices.SortStableFunc(r.ranked, func(a, b int) int { return cmp.Compare(r.values[b], r.values[a]) })
	for _, a := range r.ranked {
		if r.values[a] == r.value() {
			r.ties++
		}
	}
	if k.weights.Config.V1.LowestAction { // it is the one that is chosen
		r.ties = min(r.ties, 1)
	}
	if len(r.ranked) > 1 {
		r.margin = r.value() - r.values[r.ranked[1]]
	}
}

// value is that of the best action.
func (r *row) value() float64 {
	if len(r.ranked) == 0 {
		return math.NaN()
	}
	return r.values[r.ranked[0]]
}

// orders are those in which states are listed. How often each was visited, a file does not tell.
var (
	orders = map[string]func(a, b row) int{
		"state": func(a, b row) int {
			return cmp.Or(slices.Compare(a.state, b.state), cmp.Compare(len(a.key), len(b.key)), cmp.Compare(a.key, b.key))
		},
		"value": func(a, b row) int { return cmp.Compare(b.value(), a.value()) },
		"seen":  func(a, b row) int { return 0 },
	}
	orderNames = []string{"state", "value", "seen"}
)

// dimNames are the names of the numbers of a state; those without one are numbered.
func (k *knowledge) dimNames() []string {
	names := make([]string, len(k.weights.Config.Dims))
	for i, d := range k.weights.Config.Dims {
		names[i] = cmp.Or(d.Name, strconv.Itoa(i))
	}
	return names
}

// stateNames are the columns of the states that are listed.
func (k *knowledge) stateNames() []string {
	switch names := k.dimNames(); {
	case k.stateless():
		return nil
	case len(k.rows) > 0 && k.rows[0].state == nil:
		return []string{"key"}
	case len(names) > 0:
		return names
	}
	longest := 0
	for _, r := range k.rows {
		longest = max(longest, len(r.state))
	}
	names := make([]string, longest)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}

// stateCells are the numbers of a row's state, as many as there are columns.
func (r *row) stateCells(columns int) []string {
	cells := make([]string, columns)
	for i, x := range r.state {
		cells[i] = strconv.FormatFloat(x, 'g', -1, 64)
	}
	if r.key != "" {
		cells[0] = r.key
	}
	return cells
}

// function is what the learner keeps its values in.
func (k *knowledge) function() string {
	switch {
	case k.stateless():
		return "one mean for each action"
	case k.bandit():
		return "a mean for each state and action"
	case k.weights.Config.Algorithm == "linucb":
		return "linear"
	}
	return k.weights.Config.Function.Kind
}

// describe prints what the learner is.
func (k *knowledge) describe(w io.Writer) error {
	c := &k.weights.Config
	t := table.NewWriter()
	t.SetStyle(plain)
	say := func(what, format string, args ...any) { t.AppendRow(table.Row{what, fmt.Sprintf(format, args...)}) }
	say("algorithm", "%s", c.Algorithm)
	say("function", "%s", k.function())
	say("actions", "%s", lines(k.actions, ", ", 62))
	if names := k.dimNames(); len(names) > 0 && !k.stateless() {
		say("state", "%s", lines(names, ", ", 62))
	}
	say("decisions", "%d", k.weights.Decisions)
	say("trained on", "%d entries", k.weights.Trained)
	if c.Average && !k.bandit() && c.Algorithm != "linucb" {
		say("average reward", "%.6g", k.weights.AverageReward)
	}
	if c.Policy.Kind == "softmax" {
		say("temperature", "%.6g", k.weights.Epsilon)
	} else {
		say("epsilon", "%.6g", k.weights.Epsilon)
	}
	if k.tabular() && !k.stateless() {
		say("states", "%d", len(k.rows))
	}
	_, err := fmt.Fprintf(w, "%s\n\n", t.Render())
	return err
}

// lines joins names into lines that are broken between them.
func lines(names []string, separator string, width int) string {
	var done []string
	line := ""
	for i, name := range names {
		if i < len(names)-1 {
			name += separator
		}
		if line != "" && utf8.RuneCountInString(line+strings.TrimRight(name, " ")) > width {
			done, line = append(done, strings.TrimRight(line, " ")), ""
		}
		line += name
	}
	return strings.Join(append(done, line), "\n")
}

// maxColumns is how many actions have a column each; of more, the best three are named.
const maxColumns = 8

// list prints the states.
func (k *knowledge) list(w io.Writer, limit int) error {
	if k.stateless() {
		return k.listActions(w)
	}
	if limit == 0 {
		limit = len(k.rows)
	}
	names := k.stateNames()
	header := append(slices.Clone(names), "best", "margin")
	if k.bandit() {
		header = append(header, "tried")
	}
	if len(k.actions) <= maxColumns {
		header = append(header, k.actions...)
	} else {
		header = append(header, "the best three")
	}
	t := table.NewWriter()
	t.SetStyle(plain)
	t.AppendHeader(tableRow(header))
	for _, r := range k.rows[:min(limit, len(k.rows))] {
		cells := append(r.stateCells(len(names)), k.bestOf(&r), orDash("%.4g", r.margin))
		if k.bandit() {
			cells = append(cells, fmt.Sprint(sum(r.pulls)))
		}
		if len(k.actions) <= maxColumns {
			for _, v := range r.values {
				cells = append(cells, orDash("%.4g", v))
			}
		} else {
			cells = append(cells, k.threeOf(&r))
		}
		t.AppendRow(tableRow(cells))
	}
	if _, err := fmt.Fprintln(w, t.Render()); err != nil {
		return err
	}
	if more := len(k.rows) - limit; more > 0 {
		_, err := fmt.Fprintf(w, "\nand %s more: --limit 0 prints all\n", count(more, "state"))
		return err
	}
	return nil
}

// listActions prints what a bandit knows for whom the state does not matter.
func (k *knowledge) listActions(w io.Writer) error {
	r := &k.rows[0]
	t := table.NewWriter()
	t.SetStyle(plain)
	t.AppendHeader(table.Row{"action", "mean reward", "tried"})
	for a, name := range k.actions {
		t.AppendRow(table.Row{name, orDash("%.6g", r.values[a]), r.pulls[a]})
	}
	_, err := fmt.Fprintf(w, "%s\n\nbest: %s, margin %s\n", t.Render(), k.bestOf(r), orDash("%.4g", r.margin))
	return err
}

// bestOf names the best action, or says how many are equal.
func (k *knowledge) bestOf(r *row) string {
	switch r.ties {
	case 0:
		return "-"
	case 1:
		return k.actions[r.ranked[0]]
	}
	return fmt.Sprintf("%d equal", r.ties)
}

// threeOf names the three best actions with their values.
func (k *knowledge) threeOf(r *row) string {
	var three []string
	for _, a := range r.ranked[:min(3, len(r.ranked))] {
		three = append(three, fmt.Sprintf("%s %.4g", k.actions[a], r.values[a]))
	}
	return strings.Join(three, ", ")
}

func tableRow(cells []string) table.Row {
	r := make(table.Row, len(cells))
	for i, c := range cells {
		r[i] = c
	}
	return r
}

func sum(xs []float64) (total float64) {
	for _, x := range xs {
		total += x
	}
	return total
}
