package top

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/charmbracelet/x/ansi"

	"github.com/p2pfaas/p2pfaas/realnet/watch"
)

// Styles add to what the words and signs say already.
var (
	strong   = ansi.NewStyle().Bold()
	faint    = ansi.NewStyle().Faint()
	cursor   = ansi.NewStyle().Reverse(true)
	alarming = ansi.NewStyle().Bold().ForegroundColor(ansi.Red)
	doubtful = ansi.NewStyle().Bold().ForegroundColor(ansi.Yellow)
)

// wide is from how many columns on there is room for more of them.
const wide = 110

// Text is a cluster as plain text, with all its nodes.
func Text(c *watch.Cluster, width int) string {
	m := New()
	m.width = width
	m = m.see(c)
	lines := append(m.head(), m.columns())
	for _, n := range m.rows() {
		lines = append(lines, m.row(n))
	}
	for i, l := range lines {
		lines[i] = strings.TrimRight(ansi.Strip(l), " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// lines are the screen.
func (m Model) lines() []string {
	var body []string
	switch {
	case m.page == help:
		body = helpLines
	case m.cluster == nil:
		body = []string{"", "  looking for the nodes ..."}
	case m.page == details:
		body = m.details()
	default:
		body = m.table()
	}
	body = body[:min(len(body), max(0, m.height-1))]
	for len(body) < m.height-1 {
		body = append(body, "")
	}
	all := append(slices.Clone(body), m.foot())
	for i, l := range all {
		all[i] = ansi.Truncate(l, m.width, "")
	}
	return all
}

// eventLines is how many of the last changes are below the nodes.
func (m Model) eventLines() int { return min(4, max(1, m.height/8)) }

// room is how many nodes the table has lines for.
func (m Model) room() int {
	if m.cluster == nil {
		return 1
	}
	return max(1, m.height-len(m.head())-1-m.eventLines()-1)
}

func (m Model) table() []string {
	lines := append(m.head(), strong.Styled(m.columns()))
	rows, room := m.rows(), m.room()
	for i := m.first; i < m.first+room; i++ {
		switch {
		case i >= len(rows):
			lines = append(lines, "")
		case rows[i].Address == m.chosen:
			lines = append(lines, cursor.Styled(ansi.Strip(">"+pad(m.row(rows[i])[1:], m.width-1))))
		default:
			lines = append(lines, m.row(rows[i]))
		}
	}
	n := m.eventLines()
	last := m.events[max(0, len(m.events)-n):]
	for range n - len(last) {
		lines = append(lines, "")
	}
	for _, e := range last {
		lines = append(lines, faint.Styled(" "+e))
	}
	return lines
}

// head are the lines about the whole cluster.
func (m Model) head() []string {
	c := m.cluster
	s := &c.States
	var states []string
	for _, x := range []struct {
		count int
		state watch.State
	}{{s.Alive, watch.Alive}, {s.Suspect, watch.Suspect}, {s.Dead, watch.Dead}, {s.Unreachable, watch.Unreachable}, {s.Left, watch.Left}} {
		if x.count > 0 {
			states = append(states, fmt.Sprintf("%d %s", x.count, stateWord(x.state)))
		}
	}
	nodes := fmt.Sprintf("p2pfaas  %s: %s", count(len(c.Nodes), "node"), strings.Join(states, ", "))
	if c.LeftOut > 0 {
		nodes += fmt.Sprintf(", %d more not looked at", c.LeftOut)
	}
	when := clock(c.At)
	if m.paused {
		when = "PAUSED at " + when
	}
	r := &c.Rates
	running, slots, queued, room := 0, 0, 0, 0
	for i := range c.Nodes {
		n := &c.Nodes[i]
		running, slots, queued, room = running+n.Running, slots+n.Slots, queued+n.Queued, room+n.Room
	}
	took := "latency -"
	if l := c.Latency; l != nil {
		took = fmt.Sprintf("p50 %s  p95 %s  p99 %s", took3(l.P50), took3(l.P95), took3(l.P99))
	}
	lines := []string{
		strong.Styled(pad(nodes, m.width-len(when)-2) + "  " + when),
		fmt.Sprintf("in %s/s  done %s/s  ", rate(r.Arrived), rate(r.Completed)) + failures(r),
		fmt.Sprintf("%s  forwards %s/s  probes %s/s", took, rate(r.Forwarded), rate(r.Probes)),
		fmt.Sprintf("run %d/%d  wait %d/%d  %s", running, slots, queued, room, m.algorithms()),
	}
	if l := learners(c); l != "" {
		lines = append(lines, l)
	}
	return lines
}

// manyFail is the share of failed requests from which on the screen says so aloud.
const manyFail = .01

// share is one that may be NaN, of nothing: -1.
func share(x float64) float64 {
	if math.IsNaN(x) {
		return -1
	}
	return x
}

// failures say how many requests of clients fail, and how, the most frequent way first.
func failures(r *watch.Rates) string {
	failed := share(r.Failed())
	if failed <= 0 {
		return "failed " + percent(failed)
	}
	type way struct {
		name string
		rate float64
	}
	ways := []way{{"rejected", r.Rejected}, {"expired", r.Expired}, {"lost", r.Lost}, {"errors", r.Faulty}}
	slices.SortStableFunc(ways, func(a, b way) int { return cmp.Compare(b.rate, a.rate) })
	var parts []string
	for _, w := range ways {
		if w.rate > 0 {
			parts = append(parts, w.name+" "+rate(w.rate)+"/s")
		}
	}
	why := ": " + strings.Join(parts, ", ")
	if failed < manyFail {
		return "failed " + percent(failed) + why
	}
	return alarming.Styled("! FAILED "+percent(failed)) + why
}

// percent is a share in at most four characters; - of nothing.
func percent(share float64) string {
	switch {
	case share < 0:
		return "-"
	case share == 0:
		return "0%"
	case share < .0005:
		return "<.1%"
	case share < .0095:
		return fmt.Sprintf("%.1f%%", 100*share)
	}
	return fmt.Sprintf("%.0f%%", 100*share)
}

// failed is the share of the requests of a node's clients that failed, as its column has it.
func failed(r *watch.Rates) string {
	x := share(r.Failed())
	if x < manyFail {
		return fmt.Sprintf(" %*s", numberWidth, percent(x))
	}
	return " " + alarming.Styled(fmt.Sprintf("%*s", numberWidth, "!"+percent(x)))
}

// algorithms are those of the nodes.
func (m Model) algorithms() string {
	counts := map[string]int{}
	var names []string
	for i := range m.cluster.Nodes {
		if l := m.cluster.Nodes[i].Label; l != "" {
			if counts[l]++; counts[l] == 1 {
				names = append(names, l)
			}
		}
	}
	switch len(names) {
	case 0:
		return "algorithm not known"
	case 1:
		return "algorithm " + clean(names[0])
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(counts[b], counts[a]) })
	var parts []string
	for _, l := range names {
		parts = append(parts, fmt.Sprintf("%d x %s", counts[l], clean(l)))
	}
	return "algorithms " + strings.Join(parts, ", ")
}

// learners sums the learners of all nodes up; empty: there are none.
func learners(c *watch.Cluster) string {
	var all watch.Learner
	n, least, most, own := 0, math.Inf(1), math.Inf(-1), false
	for i := range c.Nodes {
		if l := c.Nodes[i].Learner; l != nil {
			n++
			least, most = min(least, l.Epsilon), max(most, l.Epsilon)
			all.Actions += l.Actions
			all.Failed += l.Failed
			all.Reward += l.Reward
			all.Trained += l.Trained
			all.Pending += l.Pending
			own = own || l.Own
		}
	}
	if n == 0 || all.Actions+all.Failed == 0 && all.Trained == 0 {
		return ""
	}
	eps := fmt.Sprintf("%.3g", least)
	if least != most {
		eps += fmt.Sprintf("..%.3g", most)
	}
	line := fmt.Sprintf("%s: epsilon %s", count(n, "learner"), eps)
	if all.Failed > 0 {
		line += fmt.Sprintf("  NO ANSWER %s/s", rate(all.Failed))
	}
	line += fmt.Sprintf("  actions %s/s", rate(all.Actions))
	if own {
		line += fmt.Sprintf("  reward %s/s  trained %s/s  pending %d", signed(all.Reward), rate(all.Trained), all.Pending)
	}
	return line
}

// The columns of the table, in characters.
const (
	stateWidth   = 8
	numberWidth  = 5
	latencyWidth = 6
)

// nodeWidth is that of the column of addresses.
func (m Model) nodeWidth() int {
	widest, most := len("NODE"), 15
	if m.width >= wide {
		most = 24
	}
	for i := range m.cluster.Nodes {
		widest = max(widest, len(m.cluster.Nodes[i].Address))
	}
	return min(widest, most)
}

func (m Model) barWidth() int {
	if m.width >= wide {
		return 24
	}
	return 16
}

// columns is the line above the nodes; it is the legend of the bars, too.
func (m Model) columns() string {
	l := " " + pad("NODE", m.nodeWidth()) + " " + pad("STATE", stateWidth) + " " + pad("#run +wait .free", m.barWidth())
	numbers := []string{"IN/S", "PEERS", "FWD/S", "FAIL"}
	if m.width >= wide {
		numbers = []string{"RUN", "WAIT", "IN/S", "PEERS", "FWD/S", "DONE", "DROP", "ERROR", "FAIL"}
	}
	for _, n := range numbers {
		l += fmt.Sprintf(" %*s", numberWidth, n)
	}
	return l + fmt.Sprintf(" %*s ", latencyWidth, "P95") + "SENDS TO"
}

// row is a node's line.
func (m Model) row(n *watch.Node) string {
	address := n.Address
	if w := m.nodeWidth(); len(address) > w {
		address = "~" + address[len(address)-w+1:]
	}
	line := " " + pad(address, m.nodeWidth()) + " " + styled(n.State, pad(stateWord(n.State), stateWidth)) + " "
	if n.Error != "" {
		why := fmt.Sprintf("for %s: %s", ago(m.cluster.At.Sub(n.Since)), clean(n.Error))
		return line + why
	}
	line += pad(bar(n, m.barWidth()), m.barWidth())
	r := &n.Rates
	numbers := []string{rate(r.Arrived), rate(r.Received), rate(r.Forwarded)}
	if m.width >= wide {
		numbers = []string{fmt.Sprintf("%d/%d", n.Running, n.Slots), fmt.Sprintf("%d/%d", n.Queued, n.Room), rate(r.Arrived), rate(r.Received),
			rate(r.Forwarded), rate(r.Completed), rate(r.Dropped()), rate(r.Faulty)}
	}
	for _, x := range numbers {
		line += fmt.Sprintf(" %*s", numberWidth, x)
	}
	line += failed(r)
	p95 := "-"
	if n.Latency != nil {
		p95 = took3(n.Latency.P95)
	}
	line += fmt.Sprintf(" %*s ", latencyWidth, p95)
	return line + m.targets(n.Address, m.width-ansi.StringWidth(line))
}

// targets are the nodes that one forwards to, the most frequent first, as many as there is room for.
func (m Model) targets(from string, room int) string {
	cut := shared(m.cluster)
	text := ""
	for _, f := range sortedForwards(m.cluster, func(f *watch.Forward) bool { return f.From == from }) {
		next := short(f.To, cut) + "=" + rate(f.Rate)
		if f.Rate >= 1 {
			next = fmt.Sprintf("%s=%.0f", short(f.To, cut), f.Rate)
		}
		if text != "" {
			next = " " + next
		}
		if len(text)+len(next) > room {
			break
		}
		text += next
	}
	return text
}

// sortedForwards are some of the forwards, the most frequent first.
func sortedForwards(c *watch.Cluster, which func(f *watch.Forward) bool) (some []watch.Forward) {
	for i := range c.Forwards {
		if which(&c.Forwards[i]) {
			some = append(some, c.Forwards[i])
		}
	}
	slices.SortStableFunc(some, func(a, b watch.Forward) int { return cmp.Compare(b.Rate, a.Rate) })
	return some
}

// shared is what all addresses begin with, up to a dot or a colon that the rest begins with.
func shared(c *watch.Cluster) string {
	if len(c.Nodes) < 2 {
		return ""
	}
	common := c.Nodes[0].Address
	for i := range c.Nodes {
		for !strings.HasPrefix(c.Nodes[i].Address, common) {
			common = common[:len(common)-1]
		}
	}
	return common[:max(0, strings.LastIndexAny(common, ".:"))]
}

func short(address, cut string) string { return strings.TrimPrefix(address, cut) }

// bar draws the load: slots, and behind a stroke the waiting room. A character is a task or, where there are more, a share.
func bar(n *watch.Node, width int) string {
	room := max(n.Room, n.Queued) // a v1 node does not say how many may wait
	slots, places := n.Slots, room
	if all := n.Slots + room; all+1 > width {
		slots = min(max(1, int(math.Round(float64((width-1)*n.Slots)/float64(all)))), width-2)
		places = width - 1 - slots
		if room == 0 {
			slots, places = width, 0
		}
	}
	text := fill('#', n.Running, n.Slots, slots)
	if room > 0 {
		text += "|" + fill('+', n.Queued, room, places)
	}
	return text
}

// fill draws some of all in so many characters: one at least where there is one, and all only where there are all.
func fill(sign rune, some, all, characters int) string {
	full := 0
	if all > 0 {
		full = int(math.Round(float64(some*characters) / float64(all)))
	}
	if some > 0 {
		full = max(full, 1)
	}
	if some < all {
		full = min(full, characters-1)
	}
	full = min(max(0, full), characters)
	return strings.Repeat(string(sign), full) + strings.Repeat(".", characters-full)
}

// details are the lines about the node that the cursor is on.
func (m Model) details() []string {
	rows := m.rows()
	n := rows[m.place(rows)]
	c := m.cluster
	lines := []string{strong.Styled(fmt.Sprintf("%s  %s", n.Address, clean(n.ID))), "",
		fmt.Sprintf("  %s %s since %s, for %s", key("state"), styled(n.State, stateWord(n.State)), clock(n.Since), ago(c.At.Sub(n.Since)))}
	add := func(name, format string, args ...any) {
		lines = append(lines, "  "+key(name)+" "+fmt.Sprintf(format, args...))
	}
	if n.Error != "" {
		add("no answer", "%s", clean(n.Error))
	}
	if b := n.Believed; b != (watch.Believed{}) {
		var opinions []string
		for _, x := range []struct {
			count int
			state watch.State
		}{{b.Alive, watch.Alive}, {b.Suspect, watch.Suspect}, {b.Dead, watch.Dead}, {b.Left, watch.Left}} {
			if x.count > 0 {
				opinions = append(opinions, fmt.Sprintf("%s to %d", stateWord(x.state), x.count))
			}
		}
		add("to others", "%s", strings.Join(opinions, ", "))
	}
	if n.V1 {
		add("kind", "a node of the first P2PFaaS, which says its load alone")
	}
	if n.Began != nil {
		add("began", "%s; restarts seen: %d", n.Began.Local().Format(time.DateTime), n.Restarts)
		add("algorithm", "%s", clean(n.Label))
	}
	if n.Error == "" {
		add("load", "%s  %d of %d slots run, %d of %d places wait", bar(n, 24), n.Running, n.Slots, n.Queued, n.Room)
		add("", "%s in hand, %s", count(n.Requests, "request"), count(n.Peers, "peer"))
	}
	r := &n.Rates
	add("clients", "in %s/s  done %s/s  rejected %s/s  expired %s/s  lost %s/s", rate(r.Arrived), rate(r.Completed), rate(r.Rejected),
		rate(r.Expired), rate(r.Lost))
	add("", "%s", failures(r))
	add("peers", "received %s/s  forwarded %s/s  probes %s/s; executed here %s/s", rate(r.Received), rate(r.Forwarded), rate(r.Probes), rate(r.Executed))
	if l := n.Latency; l != nil {
		add("latency", "p50 %s  p95 %s  p99 %s, of %s", took3(l.P50), took3(l.P95), took3(l.P99), count(int(l.Count), "request"))
	}
	cut := shared(c)
	list := func(name string, some []watch.Forward, who func(f *watch.Forward) string) {
		var parts []string
		for i := range some {
			parts = append(parts, fmt.Sprintf("%s %s/s", short(who(&some[i]), cut), rate(some[i].Rate)))
		}
		if len(parts) > 0 {
			add(name, "%s", strings.Join(parts, "  "))
		}
	}
	list("sends to", sortedForwards(c, func(f *watch.Forward) bool { return f.From == n.Address }), func(f *watch.Forward) string { return f.To })
	list("gets from", sortedForwards(c, func(f *watch.Forward) bool { return f.To == n.Address }), func(f *watch.Forward) string { return f.From })
	if l := n.Learner; l != nil {
		add("learner", "epsilon %.3g  actions %s/s  not answered %s/s", l.Epsilon, rate(l.Actions), rate(l.Failed))
		if l.Own {
			mean := ""
			if l.Entries > 0 {
				mean = fmt.Sprintf(", %s on average", signed(l.Mean))
			}
			add("", "reward %s/s%s  trained %s/s  pending %d", signed(l.Reward), mean, rate(l.Trained), l.Pending)
		}
		if l.Error != "" {
			add("", "it does not answer: %s", clean(l.Error))
		}
	}
	if len(n.Functions) > 0 {
		lines = append(lines, "", strong.Styled("  "+pad("FUNCTION", 24)+"  DONE/S    P50    P95    P99"))
		for _, f := range n.Functions {
			lines = append(lines, fmt.Sprintf("  %s  %6s %6s %6s %6s", pad(clean(f.Name), 24), rate(f.Completed), took3(f.Latency.P50),
				took3(f.Latency.P95), took3(f.Latency.P99)))
		}
	}
	return lines
}

// key is the name of a line of details.
func key(name string) string { return pad(name, 10) }

var helpLines = []string{
	strong.Styled("p2pfaas top"), "",
	"  up, down, page up, page down, home, end: choose a node",
	"  enter   all about it; up and down go to the next one",
	"  s       another order: trouble, load, clients, failures or p95, largest first",
	"  space   pause, and go on",
	"  q       end", "",
	"  STATE    alive     it answers, and the other nodes hold it for alive",
	"           SUSPECT   it is doubted: it is being asked, or some cannot see it",
	"           DEAD      it does not answer, and the other nodes hold it for dead",
	"           no reply  it does not answer us; the other nodes say nothing",
	"           left      it has said goodbye",
	"  #+.      a sign is a task: # runs in a slot, + waits behind the |, . is free",
	"  IN/S     requests of clients a second",
	"  PEERS    tasks a second that came from peers",
	"  FWD/S    tasks a second that it sent to peers; SENDS TO says whom:",
	"           .2=3 is three a second, to the node whose address ends so",
	"  DONE     its clients' completed requests a second; ERROR: of these, where the",
	"           function answered one; DROP: not completed (from 110 columns on)",
	"  FAIL     share of its clients' requests that are DROP or ERROR, ! from 1 % on",
	"  P95      95 % of its clients' completed requests took less",
	"  Rates and latencies are of the last five looks.",
}

// foot is the last line.
func (m Model) foot() string {
	if m.page != table {
		return faint.Styled("q quit  esc back  up/down another node  space pause")
	}
	text := "q quit  enter details  s sort: " + orders[m.order].name + "  space pause  ? help"
	if rows := len(m.rows()); rows > m.room() {
		where := fmt.Sprintf("%d-%d of %d", m.first+1, min(rows, m.first+m.room()), rows)
		text = pad(text, m.width-len(where)-1) + " " + where
	}
	return faint.Styled(text)
}

// stateWord is a state as the screen says it: what is wrong stands out without a colour.
func stateWord(s watch.State) string {
	switch s {
	case watch.Suspect, watch.Dead:
		return strings.ToUpper(string(s))
	case watch.Unreachable:
		return "no reply"
	}
	return string(s)
}

func styled(s watch.State, text string) string {
	switch s {
	case watch.Dead, watch.Unreachable:
		return alarming.Styled(text)
	case watch.Suspect:
		return doubtful.Styled(text)
	}
	return text
}

// pad makes a text as wide as it is to be, and cuts it where it is wider.
func pad(text string, width int) string {
	text = ansi.Truncate(text, max(0, width), "~")
	return text + strings.Repeat(" ", max(0, width-ansi.StringWidth(text)))
}

// clean is text of a node without what a terminal would obey.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

// rate is a number of at most five characters, with two or three digits.
func rate(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x < .095:
		return fmt.Sprintf("%.2f", x)
	case x < 9.95:
		return fmt.Sprintf("%.1f", x)
	case x < 9999.5:
		return fmt.Sprintf("%.0f", x)
	case x < 999_500:
		return fmt.Sprintf("%.0fk", x/1e3)
	}
	return fmt.Sprintf("%.0fM", x/1e6)
}

func signed(x float64) string {
	if x < 0 {
		return "-" + rate(-x)
	}
	return rate(x)
}

// took3 is a time in seconds with three digits.
func took3(seconds float64) string {
	switch {
	case seconds < .9995e-3:
		return fmt.Sprintf("%.0fus", seconds*1e6)
	case seconds < 9.995e-3:
		return fmt.Sprintf("%.2fms", seconds*1e3)
	case seconds < .9995:
		return fmt.Sprintf("%.0fms", seconds*1e3)
	case seconds < 9.995:
		return fmt.Sprintf("%.2fs", seconds)
	case seconds < 99.95:
		return fmt.Sprintf("%.1fs", seconds)
	}
	return fmt.Sprintf("%.0fs", seconds)
}

// ago is how long something has been so.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// clock is the time of day here.
func clock(t time.Time) string { return t.Local().Format(time.TimeOnly) }
