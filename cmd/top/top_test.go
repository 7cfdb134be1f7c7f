package top

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/watch"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares a screen with that of a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; if that is meant, run go test -update and read the difference:\n%s", file, got)
	}
}

// noon is when all snapshots are of.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)

// clusterOf is a cluster of so many nodes, of which some have trouble where there are enough.
func clusterOf(nodes int) *watch.Cluster {
	c := &watch.Cluster{At: noon, Window: 5, Latency: &watch.Latency{Count: 100, P50: .31, P95: .98, P99: 1.24}}
	began := noon.Add(-time.Hour)
	at := func(i int) string { return fmt.Sprintf("127.0.0.%d", i+1) }
	for i := range nodes {
		n := watch.Node{Address: at(i), ID: "p2pfaas-" + at(i), State: watch.Alive, Since: began, Began: &began, Slots: 4, Room: 4,
			Running: i % 5, Queued: max(0, i%7-3), Requests: i, Peers: nodes - 1, Label: "PowerOfNScheduler(1, 2, true, 1)",
			Scheduler: &realnet.Descriptor{}, Believed: watch.Believed{Alive: nodes - 1},
			Latency: &watch.Latency{Count: 10, P50: .2, P95: float64(1+i*37%11) / 10, P99: 2}}
		n.Functions = []watch.Function{{Name: "face-detect", Completed: 2, Latency: n.Latency}}
		n.Rates = watch.Rates{Arrived: float64(i) * 1.3, Completed: float64(i), Rejected: float64(i) * .2, Forwarded: float64(i%3) / 2, Received: .5,
			Executed: 3, Probes: 4}
		switch i {
		case 2:
			n.State, n.Since, n.Error, n.Believed = watch.Dead, noon.Add(-72*time.Second), "connect: connection refused", watch.Believed{Dead: nodes - 1}
		case 5:
			n.State, n.Since, n.Believed = watch.Suspect, noon.Add(-2*time.Second), watch.Believed{Alive: nodes - 2, Suspect: 1}
		case 7:
			n.State, n.Since, n.Error = watch.Unreachable, noon.Add(-3*time.Second), "no answer within 1s"
		case 8:
			n.State, n.Since, n.Error, n.Believed = watch.Left, noon.Add(-3*time.Hour), "connect: connection refused", watch.Believed{Left: nodes - 1}
		}
		if n.Error != "" {
			n.Slots, n.Room, n.Running, n.Queued, n.Requests, n.Peers, n.Rates, n.Latency, n.Functions = 0, 0, 0, 0, 0, 0, watch.Rates{}, nil, nil
		}
		switch n.State {
		case watch.Alive:
			c.States.Alive++
		case watch.Suspect:
			c.States.Suspect++
		case watch.Dead:
			c.States.Dead++
		case watch.Left:
			c.States.Left++
		case watch.Unreachable:
			c.States.Unreachable++
		}
		for k := range i % 3 {
			c.Forwards = append(c.Forwards, watch.Forward{From: at(i), To: at((i + 1 + k) % nodes), Rate: .25 + float64(k)})
		}
		c.Rates.Arrived += n.Rates.Arrived
		c.Rates.Completed += n.Rates.Completed
		c.Rates.Rejected += n.Rates.Rejected
		c.Rates.Forwarded += n.Rates.Forwarded
		c.Rates.Probes += n.Rates.Probes
		c.Nodes = append(c.Nodes, n)
	}
	return c
}

// screen is what a Model shows, without styles.
func screen(m Model) string {
	var lines []string
	for l := range strings.SplitSeq(ansi.Strip(m.View().Content), "\n") {
		lines = append(lines, strings.TrimRight(l, " "))
	}
	return strings.Join(lines, "\n") + "\n"
}

// do gives a Model messages; a string is a key.
func do(t *testing.T, m Model, messages ...any) Model {
	t.Helper()
	for _, msg := range messages {
		if k, is := msg.(string); is {
			msg = keys[k]
		}
		next, _ := m.Update(msg)
		m = next.(Model)
	}
	return m
}

var keys = map[string]tea.KeyPressMsg{"up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEscape},
	"space": {Code: tea.KeySpace, Text: " "}, "s": {Code: 's', Text: "s"}, "?": {Code: '?', Text: "?"}, "q": {Code: 'q', Text: "q"},
	"pgdown": {Code: tea.KeyPgDown}, "pgup": {Code: tea.KeyPgUp}, "home": {Code: tea.KeyHome}, "end": {Code: tea.KeyEnd},
	"ctrl+c": {Code: 'c', Mod: tea.ModCtrl}}

func sized(width, height int) tea.WindowSizeMsg {
	return tea.WindowSizeMsg{Width: width, Height: height}
}

// What people see, line by line.
func TestScreens(t *testing.T) {
	for _, size := range []tea.WindowSizeMsg{sized(80, 24), sized(120, 40)} {
		for _, nodes := range []int{3, 12, 100} {
			name := fmt.Sprintf("%d-nodes-%dx%d", nodes, size.Width, size.Height)
			t.Run(name, func(t *testing.T) {
				m := do(t, New(), size, clusterOf(nodes))
				golden(t, name, screen(m))
				fits(t, m)
			})
		}
		name := fmt.Sprintf("%dx%d", size.Width, size.Height)
		m := do(t, New(), size)
		golden(t, "before-"+name, screen(m))
		m = do(t, m, clusterOf(12), "down", "enter")
		golden(t, "details-"+name, screen(m))
		golden(t, "details-dead-"+name, screen(do(t, m, "down")))
		m = do(t, m, "?")
		golden(t, "help-"+name, screen(m))
		fits(t, m)
	}
	golden(t, "text", Text(clusterOf(12), 120))
}

// fits checks that a screen has as many lines and columns as it may.
func fits(t *testing.T, m Model) {
	t.Helper()
	lines := strings.Split(m.View().Content, "\n")
	if len(lines) != m.height {
		t.Errorf("%d lines, and not %d", len(lines), m.height)
	}
	for i, l := range lines {
		if w := ansi.StringWidth(l); w > m.width {
			t.Errorf("line %d has %d columns: %q", i, w, ansi.Strip(l))
		}
	}
}

// However small the terminal is, and whatever nodes say, the screen fits into it and obeys nobody.
func TestOddScreens(t *testing.T) {
	hostile := clusterOf(12)
	n := &hostile.Nodes[0]
	n.ID, n.Label, n.Slots, n.Running, n.Room, n.Queued = "\x1b[2J\x07名前", "a\nb\x1b]0;x\x07", 1_000_000, 999_999, 3, 1
	n.Functions = append(n.Functions, watch.Function{Name: "f\r\x1b[H", Latency: &watch.Latency{}})
	hostile.Nodes[1].Error = "no\nanswer\x1b[31m"
	hostile.Nodes[3].V1, hostile.Nodes[3].Room, hostile.Nodes[3].Queued = true, 0, 400
	hostile.Nodes[4].Address = "[2001:db8:0000:1111:2222:3333:4444:5555]:18081"
	for _, c := range []*watch.Cluster{hostile, clusterOf(1), {At: noon}} {
		for width := 1; width < 130; width += 18 {
			for height := 1; height < 45; height += 11 {
				m := do(t, New(), sized(width, height), c)
				for _, k := range []string{"", "s", "end", "enter", "pgdown", "?", "esc", "space", "home"} {
					if k != "" {
						m = do(t, m, k)
					}
					fits(t, m)
					if text := ansi.Strip(m.View().Content); strings.ContainsAny(text, "\x1b\a\r") {
						t.Fatalf("a node's text gets through: %q", text)
					}
				}
			}
		}
	}
}

// A bar has all its characters only where all is taken, and one at least where something is.
func TestBar(t *testing.T) {
	for _, c := range []struct {
		slots, running, room, queued int
		want                         string
	}{
		{4, 0, 4, 0, "....|...."},
		{4, 3, 4, 0, "###.|...."},
		{4, 4, 4, 1, "####|+..."},
		{4, 4, 0, 0, "####"},
		{0, 0, 0, 0, ""},
		{8, 8, 7, 7, "########|+++++++"},
		{100, 1, 0, 0, "#..............."},
		{100, 99, 0, 0, "###############."},
		{100, 100, 100, 1, "########|+......"},
		{1, 1, 100, 100, "#|++++++++++++++"},
		{4, 4, 0, 2, "####|++"},
	} {
		n := watch.Node{Slots: c.slots, Running: c.running, Room: c.room, Queued: c.queued}
		if got := bar(&n, 16); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// Keys choose nodes, pages and orders; the cursor stays on its node whatever the order.
func TestKeys(t *testing.T) {
	m := do(t, New(), sized(80, 24), clusterOf(100))
	on := func(what, address string) {
		t.Helper()
		if m.chosen != address {
			t.Errorf("%s: on %s, not on %s", what, m.chosen, address)
		}
		if s := screen(m); m.page == table && !strings.Contains(s, "\n>"+address+" ") {
			t.Errorf("%s: the cursor is not seen:\n%s", what, s)
		}
	}
	on("at first", "127.0.0.1")
	m = do(t, m, "down", "down")
	on("two down", "127.0.0.3")
	m = do(t, m, "up", "up", "up")
	on("above the first", "127.0.0.1")
	m = do(t, m, "end")
	on("end", "127.0.0.100")
	m = do(t, m, "pgup")
	on("a page up", fmt.Sprintf("127.0.0.%d", 100-m.room()))
	m = do(t, m, "home", "pgdown")
	on("a page down", fmt.Sprintf("127.0.0.%d", 1+m.room()))
	m = do(t, m, "s")
	on("the order is another", fmt.Sprintf("127.0.0.%d", 1+m.room()))
	if m = do(t, m, "home"); m.chosen != "127.0.0.3" {
		t.Errorf("by trouble the dead one is the first: %s", m.chosen)
	}
	for range len(orders) - 1 {
		m = do(t, m, "s")
	}
	if m = do(t, m, "home"); m.chosen != "127.0.0.1" {
		t.Errorf("all orders round, the address is it: %s", m.chosen)
	}
	for page, keys := range map[page][]any{details: {"enter"}, help: {"enter", "?"}, table: {"enter", "enter"}} {
		if got := do(t, m, keys...).page; got != page {
			t.Errorf("%v: page %d", keys, got)
		}
	}
	if got := do(t, m, "?", "esc").page; got != table {
		t.Error("esc does not go back")
	}
	for _, k := range []string{"q", "ctrl+c"} {
		if _, quit := m.Update(keys[k]); quit == nil {
			t.Errorf("%s does not end it", k)
		} else if _, is := quit().(tea.QuitMsg); !is {
			t.Errorf("%s does not end it", k)
		}
	}
}

// That requests fail is seen at once, without colours: how many in all and at each node, and how.
func TestFailuresAreSeen(t *testing.T) {
	c := clusterOf(3)
	c.Rates = watch.Rates{Arrived: 100, Completed: 99.75, Lost: .25, Faulty: 47.5}
	c.Nodes[0].Rates = watch.Rates{Arrived: 50, Completed: 49.75, Lost: .25}
	c.Nodes[1].Rates = watch.Rates{Arrived: 50, Completed: 50, Faulty: 47.5}
	s := screen(do(t, New(), sized(80, 24), c, "s", "s", "s", "s", "home"))
	for _, want := range []string{"\nin 100/s  done 100/s  ! FAILED 48%: errors 48/s, lost 0.2/s\n", "\n>127.0.0.2 alive    #...|....           50     0     0  !95%  500ms",
		"\n 127.0.0.1 alive    ....|....           50     0     0  0.5%  100ms"} {
		if !strings.Contains(s, want) {
			t.Errorf("there is no %q in\n%s", want, s)
		}
	}
	for share, want := range map[float64]string{-1: "-", 0: "0%", .0001: "<.1%", .0049: "0.5%", .0099: "1%", .999: "100%", 1: "100%"} {
		if got := percent(share); got != want {
			t.Errorf("%g is %s, not %s", share, got, want)
		}
	}
}

// In a pause the picture stands still, and what has come is seen after it.
func TestPause(t *testing.T) {
	m := do(t, New(), sized(80, 24), clusterOf(3), "space")
	later := clusterOf(4)
	later.At = noon.Add(time.Minute)
	m = do(t, m, later)
	if s := screen(m); !strings.Contains(s, "PAUSED at 12:00:00") || strings.Contains(s, "127.0.0.4") {
		t.Errorf("in the pause:\n%s", s)
	}
	m = do(t, m, "space")
	if s := screen(m); !strings.Contains(s, "12:01:00") || !strings.Contains(s, "127.0.0.4 is new: alive") {
		t.Errorf("after it:\n%s", s)
	}
}

// What happens to nodes is said in words.
func TestChanges(t *testing.T) {
	before, after := clusterOf(3), clusterOf(3)
	before.Nodes[2].State = watch.Suspect
	before.Nodes[1].State = watch.Dead
	after.Nodes[1].Restarts = 1
	after.Nodes[0].Label = "JSQ(2)"
	got := strings.Join(changes(before, after), "\n")
	want := `12:00:00  127.0.0.1 has another algorithm: JSQ(2)
12:00:00  127.0.0.2 is alive again, and was DEAD
12:00:00  127.0.0.2 has been started again
12:00:00  127.0.0.3 is DEAD: connect: connection refused`
	if got != want {
		t.Errorf("%s", got)
	}
	if again := changes(after, after); len(again) > 0 {
		t.Errorf("%q", again)
	}
}

// Learners are summed up in one line, where they do something.
func TestLearners(t *testing.T) {
	c := clusterOf(3)
	if s := screen(do(t, New(), c)); strings.Contains(s, "learner") {
		t.Errorf("there are none:\n%s", s)
	}
	c.Nodes[0].Learner = &watch.Learner{Epsilon: .05, Actions: 12, Own: true, Trained: 10, Reward: -3, Pending: 4}
	c.Nodes[1].Learner = &watch.Learner{Epsilon: .125, Failed: 2}
	want := "2 learners: epsilon 0.05..0.125  NO ANSWER 2.0/s  actions 12/s  reward -3.0/s  trained 10/s  pending 4"
	if s := screen(do(t, New(), sized(120, 24), c)); !strings.Contains(s, want) {
		t.Errorf("not %s:\n%s", want, s)
	}
	// No entries have no mean.
	if s := screen(do(t, New(), c, "enter")); !strings.Contains(s, "reward -3.0/s  trained") {
		t.Errorf("there is a mean of no entries:\n%s", s)
	}
	c.Nodes[0].Learner.Entries, c.Nodes[0].Learner.Mean = 12, -.5
	if s := screen(do(t, New(), c, "enter")); !strings.Contains(s, "reward -3.0/s, -0.5 on average  trained") {
		t.Errorf("there is no mean:\n%s", s)
	}
}

// Numbers have so many characters and digits, whatever their size.
func TestNumbers(t *testing.T) {
	for x, want := range map[float64]string{0: "0", .012: "0.01", .0949: "0.09", .0951: "0.1", 9.94: "9.9", 9.96: "10", 9999.4: "9999", 9999.6: "10k",
		999_400: "999k", 1.2e7: "12M"} {
		if got := rate(x); got != want {
			t.Errorf("a rate of %v: %s, not %s", x, got, want)
		}
	}
	for x, want := range map[float64]string{.0000123: "12us", .00099: "990us", .00123: "1.23ms", .0999: "100ms", .9994: "999ms", .9996: "1.00s",
		12.34: "12.3s", 123.4: "123s"} {
		if got := took3(x); got != want {
			t.Errorf("a time of %v: %s, not %s", x, got, want)
		}
	}
}
