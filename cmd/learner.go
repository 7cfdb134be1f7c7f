package cmd

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
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
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/core/spelling"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/results"
)

func newLearner() *cobra.Command {
	c := &cobra.Command{
		Use:   "learner",
		Short: "look at what a learner has learned",
		Long: `learner looks at what a learner has learned: the actions that it prefers in each state, and what it expects of them.
A simulation writes that to DIR/learner/point-N/node-N.json, for the first 64 nodes of each point.`,
		Args: noSuchCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newLearnerShow(), newLearnerExport())
	return c
}

func newLearnerShow() *cobra.Command {
	var p planeFlags
	var asJSON bool
	var sortBy, out string
	var limit int
	c := &cobra.Command{
		Use:   "show FILE",
		Short: "print the best action of each state and its value, or draw a map of two numbers of the state",
		Long: `show prints what a learner is, and the states of its table: the best action, its margin over the second best, and the
values of the actions. A dash is an action that was never tried, as far as the file tells (that of a bandit does).
Values of UCB1, LinUCB and Thompson sampling are means: without what makes them explore.

With --x and --y (or --x alone) it prints the best action over two numbers of the state, the others fixed; with --out
it draws that, and the value of the best action beside it. So it does with tiles, linear functions and networks, which
have no list of states: over their first two numbers, if not told otherwise. A number whose bounds are whole and at most
64 apart has a cell for each whole number, others have 40 cells, or as many as --cells says. Of a table, a cell has the
mean of the states that were seen in it.`,
		Example: `  p2pfaas learner show runs/learning-city-20260101-120000/learner/point-6/node-0.json
  p2pfaas learner show node-0.json --x "running 0" --y "queued 0" --at type=1 --out policy.pdf`,
		Args:              wants(1, 1, "one file of weights"),
		ValidArgsFunction: completeWeights,
		RunE: func(c *cobra.Command, args []string) error {
			order, ok := orders[sortBy]
			switch {
			case !ok:
				return input(fmt.Errorf("--sort %s: use %s", sortBy, strings.Join(spelling.Nearest(sortBy, orderNames), ", ")))
			case limit < 0:
				return input(fmt.Errorf("--limit %d: use 0 for all rows, or more", limit))
			}
			k, err := readKnowledge(args[0])
			if err != nil {
				return input(err)
			}
			var m *plane
			if p.given() || !k.tabular() {
				if m, err = k.plane(&p); err != nil {
					return input(fmt.Errorf("%s: %w", args[0], err))
				}
			} else if out != "" {
				return input(errors.New("--out draws a map: say with --x and --y what of"))
			}
			w := c.OutOrStdout()
			if out != "" {
				if err := m.picture().Figure("policy", m.caption()).Save(out); err != nil {
					return input(err)
				}
			}
			switch {
			case asJSON:
				return k.writeJSON(w, m)
			case out != "":
				_, err = fmt.Fprintf(w, "%s\n%s\n", out, m.caption())
				return err
			}
			if err := k.describe(w); err != nil {
				return err
			}
			if m != nil {
				return m.print(w)
			}
			slices.SortStableFunc(k.rows, order)
			return k.list(w, limit)
		},
	}
	p.add(c)
	f := c.Flags()
	f.StringVar(&out, "out", "", "draw the map into a file: .svg, .pdf or .png")
	f.IntVar(&limit, "limit", 40, "states to print; 0 = all")
	f.StringVar(&sortBy, "sort", "state", "order of the states: by their numbers (state), best first (value), or as first seen (seen)")
	f.BoolVar(&asJSON, "json", false, "print JSON, with all states")
	completeFlag(c, "sort", orderNames...)
	return c
}

func newLearnerExport() *cobra.Command {
	var p planeFlags
	var format string
	c := &cobra.Command{
		Use:   "export FILE",
		Short: "write what a learner expects of each action in each state, as CSV or JSON",
		Long: `export writes a row for each state and action: the numbers of the state, the action, its value and, of a bandit, how
often it was tried. States are those of the table, in the order in which they were seen; with --x and --y, and for what
has no table, they are the cells of the map that show draws.`,
		Example:           `  p2pfaas learner export node-0.json --format csv > values.csv`,
		Args:              wants(1, 1, "one file of weights"),
		ValidArgsFunction: completeWeights,
		RunE: func(c *cobra.Command, args []string) error {
			write, ok := map[string]func(*knowledge, io.Writer) error{"csv": (*knowledge).exportCSV,
				"json": (*knowledge).exportJSON}[format]
			if !ok {
				return input(fmt.Errorf("--format %s: use csv or json", format))
			}
			k, err := readKnowledge(args[0])
			if err != nil {
				return input(err)
			}
			if p.given() || !k.tabular() {
				m, err := k.plane(&p)
				if err != nil {
					return input(fmt.Errorf("%s: %w", args[0], err))
				}
				k.rows = m.known()
			}
			return write(k, c.OutOrStdout())
		},
	}
	p.add(c)
	c.Flags().StringVar(&format, "format", "csv", "csv or json")
	completeFlag(c, "format", "csv", "json")
	return c
}

// planeFlags say what a map is of.
type planeFlags struct {
	x, y  string
	at    []string
	cells int
}

func (p *planeFlags) add(c *cobra.Command) {
	// Of flags of one letter, cobra completes the short form alone.
	c.Flags().StringVarP(&p.x, "x", "x", "", "number of the state on the horizontal axis of a map")
	c.Flags().StringVarP(&p.y, "y", "y", "", "number of the state on the vertical axis")
	c.Flags().StringArrayVar(&p.at, "at", nil, "value of another number, as in --at type=1 (default: 0, or the bound nearest to it)")
	c.Flags().IntVar(&p.cells, "cells", 0, "cells on each axis (default: one for each whole number, otherwise 40)")
	for _, name := range []string{"x", "y", "at"} {
		err := c.RegisterFlagCompletionFunc(name, func(_ *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			if len(args) == 1 {
				if k, err := readKnowledge(args[0]); err == nil {
					names = k.dimNames()
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		})
		if err != nil {
			panic(err) // there is no such flag
		}
	}
}

func (p *planeFlags) given() bool { return p.x != "" || p.y != "" || len(p.at) > 0 }

func completeWeights(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"json"}, cobra.ShellCompDirectiveFilterFileExt
}

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

// plane is the part of the states that a map shows.
type plane struct {
	*knowledge
	grid  results.Map // its axes and titles
	x, y  int         // which numbers of the state they are; y is -1 where there is one axis only
	at    []float64   // a state: what the other numbers are
	cells []row       // from the lowest y, those of the lowest x first
}

func (k *knowledge) plane(p *planeFlags) (*plane, error) {
	m := &plane{knowledge: k, at: make([]float64, len(k.weights.Config.Dims))}
	m.grid.Titles = [2]string{"best action", "its value"}
	if k.bandit() || k.weights.Config.Algorithm == "linucb" {
		m.grid.Titles[1] = "its mean reward"
	}
	switch {
	case k.stateless():
		return nil, errors.New("this learner looks at no state: there is no map of what it knows")
	case len(m.at) == 0:
		return nil, errors.New("the file does not name the numbers of the state (dims): there is no map without their names and bounds")
	}
	if err := m.choose(p); err != nil {
		return nil, err
	}
	if err := m.fix(p.at); err != nil {
		return nil, err
	}
	var err error
	if m.grid.X, err = m.axis(m.x, p.cells); err != nil {
		return nil, fmt.Errorf("--x: %w", err)
	}
	m.grid.Y = results.Axis{Lo: -0.5, Hi: 0.5, Cells: 1, Whole: true}
	if m.y >= 0 {
		if m.grid.Y, err = m.axis(m.y, p.cells); err != nil {
			return nil, fmt.Errorf("--y: %w", err)
		}
	}
	return m, m.fill()
}

// choose takes the axes from the flags. The first two numbers that may differ are the default, categories after others.
func (m *plane) choose(p *planeFlags) (err error) {
	if p.cells < 0 || p.cells > maxCells {
		return fmt.Errorf("--cells %d: use 1 to %d", p.cells, maxCells)
	}
	m.x, m.y = -1, -1
	if p.x == "" && p.y == "" {
		var numbers, categories []int
		for i, d := range m.weights.Config.Dims {
			switch {
			case d.Hi <= d.Lo:
			case d.Category:
				categories = append(categories, i)
			default:
				numbers = append(numbers, i)
			}
		}
		axes := append(numbers, categories...)
		switch len(axes) {
		case 0:
			m.x = 0
		case 1:
			m.x = axes[0]
		default:
			m.x, m.y = axes[0], axes[1]
		}
		return nil
	}
	if p.x == "" {
		return errors.New("--y without --x: say what is on the horizontal axis")
	}
	if m.x, err = m.dim(p.x); err != nil {
		return fmt.Errorf("--x: %w", err)
	}
	if p.y == "" {
		return nil
	}
	if m.y, err = m.dim(p.y); err != nil {
		return fmt.Errorf("--y: %w", err)
	}
	if m.x == m.y {
		return fmt.Errorf("--x and --y are both %q: use two numbers of the state, or --x alone", p.x)
	}
	return nil
}

// dim is the index of a number of the state.
func (m *plane) dim(name string) (int, error) {
	names := m.dimNames()
	if i := slices.Index(names, name); i >= 0 {
		return i, nil
	}
	near := spelling.Nearest(name, names)
	return 0, fmt.Errorf("the state has no number %q: use %s", name, strings.Join(near[:min(6, len(near))], ", "))
}

// fix takes from --at what the other numbers are.
func (m *plane) fix(at []string) error {
	for i, d := range m.weights.Config.Dims {
		if d.Hi > d.Lo {
			m.at[i] = min(d.Hi, max(d.Lo, 0))
		}
	}
	for _, text := range at {
		name, value, ok := strings.Cut(text, "=")
		x, err := strconv.ParseFloat(value, 64)
		if !ok || err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("--at %s: write NAME=NUMBER, as in --at type=1", text)
		}
		i, err := m.dim(name)
		if err != nil {
			return fmt.Errorf("--at %s: %w", text, err)
		}
		if i == m.x || i == m.y {
			return fmt.Errorf("--at %s: %s is an axis of the map", text, name)
		}
		if d := m.weights.Config.Dims[i]; !m.tabular() && (d.Hi > d.Lo || d.Category) && (x < d.Lo || x > d.Hi) {
			return fmt.Errorf("--at %s: %s is between %g and %g", text, name, d.Lo, d.Hi)
		}
		m.at[i] = x
	}
	return nil
}

const (
	maxCells   = 400 // on a side of a map
	manyCells  = 40  // unless its numbers are whole
	mostWholes = 64  // how far apart whole numbers may be to have a cell each
)

// axis divides a number of the state into cells: within its bounds or, where a table has none that are near each other,
// as far as states were seen.
func (m *plane) axis(i, cells int) (results.Axis, error) {
	d := m.weights.Config.Dims[i]
	lo, hi, bounded := d.Lo, d.Hi, d.Hi > d.Lo || d.Category
	whole := lo == math.Trunc(lo) && hi == math.Trunc(hi)
	if seen := m.seen(i); len(seen) > 0 {
		whole = whole && !slices.ContainsFunc(seen, func(x float64) bool { return x != math.Trunc(x) })
		if !bounded || whole && hi-lo > mostWholes {
			lo, hi, bounded = slices.Min(seen), slices.Max(seen), true
		}
	}
	a := results.Axis{Label: m.dimNames()[i], Lo: lo, Hi: hi, Cells: manyCells}
	switch {
	case !bounded:
		return a, fmt.Errorf("the bounds of %s are not known: the file has none", a.Label)
	case d.Category, whole && hi-lo <= mostWholes && cells == 0:
		a.Whole, a.Lo, a.Hi, a.Cells = true, lo-0.5, hi+0.5, int(hi-lo)+1
	case lo == hi:
		a.Lo, a.Hi, a.Cells = lo-0.5, hi+0.5, 1
	case cells > 0:
		a.Cells = cells
	}
	return a, nil
}

// seen are the values of a number in the states of a table.
func (m *plane) seen(i int) (values []float64) {
	for _, r := range m.rows {
		if r.state != nil {
			values = append(values, r.state[i])
		}
	}
	return values
}

// fill finds out what is known of each cell.
func (m *plane) fill() error {
	m.cells = make([]row, m.grid.X.Cells*m.grid.Y.Cells)
	for i := range m.cells {
		m.cells[i].state = slices.Clone(m.at)
		m.cells[i].state[m.x] = m.grid.X.Center(i % m.grid.X.Cells)
		if m.y >= 0 {
			m.cells[i].state[m.y] = m.grid.Y.Center(i / m.grid.X.Cells)
		}
	}
	switch {
	case !m.tabular():
		for i := range m.cells {
			values, err := m.learner.Values(m.cells[i].state)
			if err != nil {
				return err
			}
			m.cells[i].values = slices.Clone(values)
		}
	case m.weights.Keys != nil:
		m.fillKeys()
	default:
		m.fillStates()
	}
	for i := range m.cells {
		m.judge(&m.cells[i])
	}
	if len(m.known()) == 0 {
		return m.nothing()
	}
	return nil
}

// fillStates gives each cell the mean of the states in it.
func (m *plane) fillStates() {
	counts := make([][]float64, len(m.cells)) // of the states, by cell and action
	for _, r := range m.rows {
		i := m.cellOf(r.state)
		if i < 0 {
			continue
		}
		at := &m.cells[i]
		if at.values == nil {
			at.values, counts[i] = make([]float64, len(r.values)), make([]float64, len(r.values))
			if r.pulls != nil {
				at.pulls = make([]float64, len(r.values))
			}
		}
		for a, v := range r.values {
			if !math.IsNaN(v) {
				at.values[a] += v
				counts[i][a]++
			}
			if r.pulls != nil {
				at.pulls[a] += r.pulls[a]
			}
		}
	}
	for i, n := range counts {
		for a := range n {
			m.cells[i].values[a] /= n[a] // not a number where none was tried
		}
	}
}

// fillKeys looks states up by v1's keys, which are their whole parts, written one after the other.
func (m *plane) fillKeys() {
	rows := make(map[string]*row, len(m.rows))
	for i := range m.rows {
		rows[m.rows[i].key] = &m.rows[i]
	}
	for i := range m.cells {
		var key []byte
		for _, x := range m.cells[i].state {
			key = strconv.AppendInt(key, int64(x), 10)
		}
		if r := rows[string(key)]; r != nil {
			m.cells[i].values, m.cells[i].pulls = r.values, r.pulls
		}
	}
}

// cellOf is the one that a state lies in, -1 where it is not in the plane.
func (m *plane) cellOf(s []float64) int {
	x, y := m.grid.X.Cell(s[m.x]), 0
	if m.y >= 0 {
		y = m.grid.Y.Cell(s[m.y])
	}
	for i, v := range s {
		if i != m.x && i != m.y && v != m.at[i] {
			return -1
		}
	}
	if x < 0 || y < 0 {
		return -1
	}
	return y*m.grid.X.Cells + x
}

// known are the cells of which something is known.
func (m *plane) known() (rows []row) {
	for _, r := range m.cells {
		if r.values != nil {
			rows = append(rows, r)
		}
	}
	return rows
}

// nothing is the error of a plane in which no state was seen; it names the one with the most.
func (m *plane) nothing() error {
	if len(m.rows) == 0 {
		return errors.New("no state was ever seen: there is nothing to draw")
	}
	err := fmt.Errorf("none of the %s that were seen has %s", count(len(m.rows), "state"), m.fixed())
	planes, most := map[string]int{}, ""
	for _, r := range m.rows {
		if r.state == nil {
			return fmt.Errorf("%w: choose others with --at", err)
		}
		where := ""
		for i, name := range m.dimNames() {
			if i != m.x && i != m.y && r.state[i] != 0 {
				where += fmt.Sprintf(" --at %q", fmt.Sprintf("%s=%g", name, r.state[i]))
			}
		}
		planes[where]++
		if n := planes[where]; n > planes[most] || n == planes[most] && where < most {
			most = where
		}
	}
	if most == "" {
		return fmt.Errorf("%w: leave out --at", err)
	}
	return fmt.Errorf("%w: try%s", err, most)
}

// fixed says what the other numbers of the state are.
func (m *plane) fixed() string {
	var parts []string
	zeros := 0
	for i, name := range m.dimNames() {
		if i == m.x || i == m.y {
			continue
		}
		if m.at[i] == 0 && len(m.at) > 8 {
			zeros++
			continue
		}
		parts = append(parts, fmt.Sprintf("%s = %g", name, m.at[i]))
	}
	if zeros > 0 {
		parts = append(parts, fmt.Sprintf("%s more = 0", count(zeros, "number")))
	}
	return strings.Join(parts, ", ")
}

// caption says what the map shows.
func (m *plane) caption() string {
	s := "Best action over " + m.grid.X.Label
	if m.y >= 0 {
		s += " and " + m.grid.Y.Label
	}
	if fixed := m.fixed(); fixed != "" {
		s += ", where " + fixed
	}
	return s + "."
}

// picture is the map as a figure has it.
func (m *plane) picture() *results.Map {
	p := m.grid
	p.Categories = m.actions
	for i := range m.cells {
		r := &m.cells[i]
		p.Values = append(p.Values, r.value())
		switch {
		case r.ties == 0:
			p.Of = append(p.Of, results.Unseen)
		case r.ties == 1:
			p.Of = append(p.Of, r.ranked[0])
		default:
			p.Of = append(p.Of, results.Tied)
		}
	}
	return &p
}

// symbols of actions in a map of letters: '?' for those after the last one.
const symbols = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// letters gives each action that occurs a symbol: the number at the end of its name or its first letter, if it is free.
func (m *plane) letters(occurs map[int]bool) map[int]byte {
	letters := map[int]byte{results.Unseen: '.', results.Tied: '='}
	taken := map[rune]bool{}
	for a, name := range m.actions {
		if !occurs[a] {
			continue
		}
		letters[a] = '?'
		for _, s := range name[strings.LastIndexByte(name, ' ')+1:] + name + symbols {
			if strings.ContainsRune(symbols, s) && !taken[s] {
				letters[a], taken[s] = byte(s), true
				break
			}
		}
	}
	return letters
}

// textWidth is that of a terminal.
const textWidth = 80

// print writes the map of the best actions in letters.
func (m *plane) print(w io.Writer) error {
	p := m.picture()
	occurs := map[int]bool{}
	for _, k := range p.Of {
		occurs[k] = true
	}
	letters := m.letters(occurs)
	labels, margin := make([]string, p.Y.Cells), 0
	for y := range labels {
		if m.y >= 0 {
			labels[y] = fmt.Sprintf("%.4g", p.Y.Center(y))
		}
		margin = max(margin, len(labels[y]))
	}
	gap := " "
	if margin+2+2*p.X.Cells > textWidth {
		gap = ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", text.WrapSoft(m.caption(), textWidth))
	if m.y >= 0 {
		fmt.Fprintln(&b, p.Y.Label)
	}
	for y := p.Y.Cells - 1; y >= 0; y-- {
		fmt.Fprintf(&b, "%*s ", margin, labels[y])
		for _, k := range p.Of[y*p.X.Cells : (y+1)*p.X.Cells] {
			fmt.Fprintf(&b, "%s%c", gap, letters[k])
		}
		b.WriteByte('\n')
	}
	lo, hi := fmt.Sprintf("%.4g", p.X.Center(0)), fmt.Sprintf("%.4g", p.X.Center(p.X.Cells-1))
	width := p.X.Cells*(1+len(gap)) - len(gap)
	fmt.Fprintf(&b, "%*s%s%s%*s  %s\n\n", margin+1, "", gap, lo, max(1+len(hi), width-len(lo)), hi, p.X.Label)
	var legend []string
	for a, name := range m.actions {
		if occurs[a] {
			legend = append(legend, fmt.Sprintf("%c %s", letters[a], name))
		}
	}
	if occurs[results.Tied] {
		legend = append(legend, "= several equal")
	}
	if occurs[results.Unseen] {
		legend = append(legend, ". never seen")
	}
	least, most := p.Range()
	legend = append(legend, fmt.Sprintf("%s: %.4g to %.4g", p.Titles[1], least, most))
	fmt.Fprintln(&b, lines(legend, "   ", textWidth))
	_, err := io.WriteString(w, b.String())
	return err
}

// maybe is a number that JSON has null for where there is none.
type maybe float64

// MarshalJSON implements json.Marshaler.
func (x maybe) MarshalJSON() ([]byte, error) {
	if v := float64(x); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return json.Marshal(v)
	}
	return []byte("null"), nil
}

func encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// writeJSON writes what show prints: the rows of the table, or those of a map that are known.
func (k *knowledge) writeJSON(w io.Writer, m *plane) error {
	type jsonRow struct {
		State  []float64 `json:"state"`
		Key    string    `json:"key,omitempty"`
		Best   []string  `json:"best"` // several, if they are equal
		Margin maybe     `json:"margin"`
		Values []maybe   `json:"values"`
		Pulls  []float64 `json:"pulls,omitempty"`
	}
	type jsonMap struct {
		X  string    `json:"x"`
		Y  string    `json:"y,omitempty"`
		At []float64 `json:"at"` // a state, of which x and y count for nothing
	}
	c := &k.weights.Config
	out := struct {
		Algorithm     string        `json:"algorithm"`
		Function      string        `json:"function"`
		Actions       []string      `json:"actions"`
		Dims          []learner.Dim `json:"dims"`
		Decisions     uint64        `json:"decisions"`
		Trained       uint64        `json:"trained"`
		AverageReward float64       `json:"average_reward"`
		Epsilon       float64       `json:"epsilon"`
		Map           *jsonMap      `json:"map,omitempty"`
		Rows          []jsonRow     `json:"rows"`
	}{c.Algorithm, k.function(), k.actions, c.Dims, k.weights.Decisions, k.weights.Trained, k.weights.AverageReward,
		k.weights.Epsilon, nil, []jsonRow{}}
	rows := k.rows
	if m != nil {
		out.Map = &jsonMap{m.grid.X.Label, m.grid.Y.Label, m.at}
		rows = m.known()
	}
	for _, r := range rows {
		j := jsonRow{r.state, r.key, []string{}, maybe(r.margin), maybes(r.values), r.pulls}
		for _, a := range r.ranked[:r.ties] {
			j.Best = append(j.Best, k.actions[a])
		}
		out.Rows = append(out.Rows, j)
	}
	return encode(w, out)
}

func maybes(values []float64) []maybe {
	out := make([]maybe, len(values))
	for i, v := range values {
		out[i] = maybe(v)
	}
	return out
}

func (k *knowledge) exportCSV(w io.Writer) error {
	names := k.stateNames()
	header := append(slices.Clone(names), "action", "value")
	if k.bandit() {
		header = append(header, "tried")
	}
	out := csv.NewWriter(w)
	_ = out.Write(header) // Error tells
	for _, r := range k.rows {
		for a, v := range r.values {
			value := ""
			if !math.IsNaN(v) {
				value = strconv.FormatFloat(v, 'g', -1, 64)
			}
			line := append(r.stateCells(len(names)), k.actions[a], value)
			if k.bandit() {
				line = append(line, fmt.Sprint(r.pulls[a]))
			}
			_ = out.Write(line)
		}
	}
	out.Flush()
	return out.Error()
}

func (k *knowledge) exportJSON(w io.Writer) error {
	type one struct {
		State  []float64 `json:"state"`
		Key    string    `json:"key,omitempty"`
		Action string    `json:"action"`
		Value  maybe     `json:"value"`
		Tried  *float64  `json:"tried,omitempty"`
	}
	all := []one{}
	for _, r := range k.rows {
		for a, v := range r.values {
			o := one{State: r.state, Key: r.key, Action: k.actions[a], Value: maybe(v)}
			if r.pulls != nil {
				o.Tried = &r.pulls[a]
			}
			all = append(all, o)
		}
	}
	return encode(w, all)
}
