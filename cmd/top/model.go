// Package top is the screen of p2pfaas top: a cluster in a terminal, from 80 columns on. What it shows is a function of a
// watch.Cluster and of the keys that were pressed (model.go), drawn as lines of text (screen.go) that read the same without colours.
package top

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/p2pfaas/p2pfaas/realnet/watch"
)

// mostEvents is how many of the last changes are remembered.
const mostEvents = 100

// Model is the screen. It is a tea.Model that takes a *watch.Cluster as a message.
type Model struct {
	width, height int
	cluster       *watch.Cluster // nil: nothing has been seen yet
	newer         *watch.Cluster // has come in the pause; nil: none
	paused        bool
	page          page
	order         int    // of orders
	chosen        string // address of the node that the cursor is on
	first         int    // of the rows that are shown
	events        []string
}

// page is what the screen shows.
type page uint8

const (
	table page = iota
	details
	help
)

// New is a screen that has seen nothing yet.
func New() Model { return Model{width: 80, height: 24} }

// Init implements tea.Model.
func (m Model) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (m Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case *watch.Cluster:
		if m.paused {
			m.newer = msg
		} else {
			m = m.see(msg)
		}
	case tea.KeyPressMsg:
		return m.press(msg.String())
	}
	return m.scrolled(), nil
}

// see shows a snapshot, and notes what has changed since the one before.
func (m Model) see(c *watch.Cluster) Model {
	m.events = slices.Clone(m.events)
	if m.cluster != nil {
		m.events = append(m.events, changes(m.cluster, c)...)
		m.events = m.events[max(0, len(m.events)-mostEvents):]
	}
	m.cluster = c
	if m.chosen == "" && len(c.Nodes) > 0 {
		m.chosen = m.rows()[0].Address
	}
	return m
}

// changes says what has happened between two snapshots.
func changes(before, after *watch.Cluster) (events []string) {
	known := map[string]*watch.Node{}
	for i := range before.Nodes {
		known[before.Nodes[i].Address] = &before.Nodes[i]
	}
	for i := range after.Nodes {
		n := &after.Nodes[i]
		was := known[n.Address]
		say := func(format string, args ...any) {
			events = append(events, fmt.Sprintf("%s  %s %s", clock(after.At), n.Address, fmt.Sprintf(format, args...)))
		}
		switch {
		case was == nil:
			say("is new: %s", stateWord(n.State))
			continue
		case was.State != n.State && n.State == watch.Unreachable:
			say("does not reply: %s", clean(n.Error))
		case was.State != n.State && n.Error != "":
			say("is %s: %s", stateWord(n.State), clean(n.Error))
		case was.State != n.State:
			say("is %s again, and was %s", stateWord(n.State), stateWord(was.State))
		}
		if was.Restarts != n.Restarts {
			say("has been started again")
		}
		if was.Label != n.Label && was.Label != "" {
			say("has another algorithm: %s", clean(n.Label))
		}
	}
	return events
}

// press does what a key asks for.
func (m Model) press(key string) (tea.Model, tea.Cmd) {
	switch key {
	case "q", "ctrl+c":
		return m, tea.Quit
	case "ctrl+z":
		return m, tea.Suspend
	case "space":
		if m.paused = !m.paused; !m.paused && m.newer != nil {
			m = m.see(m.newer)
			m.newer = nil
		}
	case "?":
		m.page = toggled(m.page, help)
	case "enter":
		if m.page = toggled(m.page, details); m.chosen == "" {
			m.page = table
		}
	case "esc":
		m.page = table
	case "s":
		m.order = (m.order + 1) % len(orders)
	case "up", "k":
		m = m.move(-1)
	case "down", "j":
		m = m.move(1)
	case "pgup":
		m = m.move(-m.room())
	case "pgdown":
		m = m.move(m.room())
	case "home", "g":
		m = m.move(-len(m.rows()))
	case "end", "G":
		m = m.move(len(m.rows()))
	}
	return m.scrolled(), nil
}

func toggled(now, wanted page) page {
	if now == wanted {
		return table
	}
	return wanted
}

// move moves the cursor so many rows down.
func (m Model) move(by int) Model {
	if rows := m.rows(); len(rows) > 0 {
		m.chosen = rows[min(max(0, m.place(rows)+by), len(rows)-1)].Address
	}
	return m
}

// place is the row that the cursor is on.
func (m Model) place(rows []*watch.Node) int {
	return max(0, slices.IndexFunc(rows, func(n *watch.Node) bool { return n.Address == m.chosen }))
}

// scrolled has the row of the cursor be among those that are shown.
func (m Model) scrolled() Model {
	rows := m.rows()
	at, room := m.place(rows), m.room()
	m.first = min(m.first, at)
	m.first = max(m.first, at-room+1)
	m.first = max(0, min(m.first, len(rows)-room))
	return m
}

// order is one of the nodes' rows.
type order struct {
	name  string
	value func(n *watch.Node) float64 // the largest first; where it is equal, by address. Nil: by address alone
}

var orders = []order{
	{name: "address"},
	{"trouble", func(n *watch.Node) float64 { return float64(slices.Index(trouble, n.State)) }},
	{"load", func(n *watch.Node) float64 { return float64(n.Running+n.Queued) / float64(max(1, n.Slots)) }},
	{"clients", func(n *watch.Node) float64 { return n.Rates.Arrived }},
	{"failures", func(n *watch.Node) float64 { return max(0, share(n.Rates.Failed())) }},
	{"p95", func(n *watch.Node) float64 {
		if n.Latency == nil {
			return 0
		}
		return n.Latency.P95
	}},
}

// trouble are the states of nodes, the worst last.
var trouble = []watch.State{watch.Alive, watch.Left, watch.Suspect, watch.Unreachable, watch.Dead}

// rows are the nodes in the order that was chosen.
func (m Model) rows() []*watch.Node {
	if m.cluster == nil {
		return nil
	}
	rows := make([]*watch.Node, len(m.cluster.Nodes))
	for i := range rows {
		rows[i] = &m.cluster.Nodes[i]
	}
	if value := orders[m.order].value; value != nil {
		slices.SortStableFunc(rows, func(a, b *watch.Node) int {
			x, y := value(a), value(b)
			switch {
			case x > y:
				return -1
			case x < y:
				return 1
			}
			return 0
		})
	}
	return rows
}

// View implements tea.Model.
func (m Model) View() tea.View {
	v := tea.NewView(strings.Join(m.lines(), "\n"))
	v.AltScreen = true
	v.WindowTitle = "p2pfaas top"
	return v
}
