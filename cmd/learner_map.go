package cmd

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/p2pfaas/p2pfaas/core/spelling"
	"github.com/p2pfaas/p2pfaas/results"
)

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
