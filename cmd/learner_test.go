package cmd_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/learner"
)

// learnerOf is a learner of two numbers and three actions.
func learnerOf(algorithm, function string) learner.Config {
	c := learner.Default()
	c.Algorithm, c.Function.Kind = algorithm, function
	c.Actions, c.Names = 3, []string{"reject", "local", "neighbour 0"}
	c.Dims = []learner.Dim{{Name: "running", Hi: 2}, {Name: "queued", Hi: 2}, {Name: "type", Hi: 1, Category: true}}
	c.Alpha, c.Beta, c.Window = 0.5, 0.5, 1
	return c
}

// weightsOf trains a learner on a few entries and writes its weights; it returns the file.
func weightsOf(t *testing.T, c learner.Config) string {
	t.Helper()
	l, err := learner.New(c, *rand.NewPCG(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range []learner.Entry{
		{State: []float64{0, 0, 0}, Action: 1, Reward: 1},
		{State: []float64{1, 0, 0}, Action: 1, Reward: 1},
		{State: []float64{2, 1, 0}, Action: 2, Reward: 1},
		{State: []float64{2, 2, 1}, Action: 0, Reward: 0},
		{State: []float64{1, 0, 0}, Action: 2, Reward: -1},
		{State: []float64{0, 1, 0}, Action: 0, Reward: 0},
		{State: []float64{0, 0, 0}, Action: 1, Reward: 1},
	} {
		e.EID = uint64(i)
		if len(c.Dims) == 0 {
			e.State = e.State[:2]
		}
		if err := l.Train(e); err != nil {
			t.Fatal(err)
		}
	}
	l.Flush()
	path := filepath.Join(t.TempDir(), "node-0.json")
	var b bytes.Buffer
	if err := l.Weights().Write(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// show runs p2pfaas learner, which must succeed, and returns what it prints without blanks at the ends of lines.
func show(t *testing.T, args ...string) string {
	t.Helper()
	status, out, errs := p2pfaas(t, append([]string{"learner"}, args...)...)
	if status != 0 {
		t.Fatalf("learner %q: status %d, %s", args, status, errs)
	}
	lines := strings.Split(out, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// after is what show prints without its first lines, which tell what the learner is.
func after(t *testing.T, s string) string {
	t.Helper()
	_, rest, ok := strings.Cut(s, "\n\n")
	if !ok {
		t.Fatalf("there is one paragraph only: %q", s)
	}
	return rest
}

func TestLearnerShow(t *testing.T) {
	file := weightsOf(t, learnerOf("sarsa", "table"))
	got := show(t, "show", file, "--limit", "3")
	want := ` algorithm       sarsa
 function        table
 actions         reject, local, neighbour 0
 state           running, queued, type
 decisions       0
 trained on      6 entries
 average reward  0.109375
 epsilon         0.9
 states          5

 running  queued  type  best    margin  reject  local  neighbour 0
 0        0       0     local   0.5     0       0.5    0
 0        1       0     reject  0.3906  0.3906  0      0
 1        0       0     local   0.25    0       0.25   -0.7188

and 2 states more: --limit 0 prints all
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	got = after(t, show(t, "show", file, "--limit", "2", "--sort", "value"))
	if !strings.Contains(got, "\n 0        0 ") || !strings.Contains(got, "\n 0        1 ") {
		t.Errorf("the best states are not first:\n%s", got)
	}
}

func TestLearnerTextMap(t *testing.T) {
	file := weightsOf(t, learnerOf("sarsa", "table"))
	got := after(t, show(t, "show", file, "--x", "running", "--y", "queued"))
	want := `Best action over running and queued, where type = 0.

queued
2  . . .
1  r . 0
0  l l .
   0   2  running

r reject   l local   0 neighbour 0   . never seen   its value: 0.125 to 0.5
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	// Of states that have no cell of their own, a cell has the mean: 0.5 and 0.25.
	got = after(t, show(t, "show", file, "--x", "running", "--cells", "1"))
	if !strings.Contains(got, "its value: 0.375 to 0.375") {
		t.Errorf("one cell:\n%s", got)
	}
}

func TestLearnerBandits(t *testing.T) {
	c := learnerOf("ucb1", "table")
	got := after(t, show(t, "show", weightsOf(t, c)))
	want := ` action       mean reward  tried
 reject       0                2
 local        1                3
 neighbour 0  0                2

best: local, margin 1
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	c.Bandit.PerState = true
	got = after(t, show(t, "show", weightsOf(t, c), "--sort", "seen"))
	for _, want := range []string{
		" running  queued  type  best         margin  tried  reject  local  neighbour 0\n",
		" 0        0       0     local        -       2      -       1      -\n",
		" 1        0       0     local        2       2      -       1      -1\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// The shell is offered the numbers of the state.
func TestLearnerCompletion(t *testing.T) {
	file := weightsOf(t, learnerOf("sarsa", "table"))
	for _, flag := range []string{"--x", "--y", "--at"} {
		if _, out, _ := p2pfaas(t, "__complete", "learner", "show", file, flag, ""); !strings.HasPrefix(out, "running\nqueued\ntype\n") {
			t.Errorf("%s completes to %q", flag, out)
		}
	}
}

// Actions of the same value are no choice, unless the learner takes the lowest one of them.
func TestLearnerTies(t *testing.T) {
	c := learnerOf("sarsa", "table")
	c.Function.Initial, c.Alpha = 1, 1e-300
	if got := show(t, "show", weightsOf(t, c)); !strings.Contains(got, "3 equal  0 ") {
		t.Errorf("equal values:\n%s", got)
	}
	c.V1.LowestAction = true
	if got := show(t, "show", weightsOf(t, c)); !strings.Contains(got, "reject  0 ") {
		t.Errorf("equal values, the lowest action:\n%s", got)
	}
}

// With v1's keys there are no states, but the cells of a map are found by their keys.
func TestLearnerKeys(t *testing.T) {
	c := learnerOf("sarsa", "table")
	c.V1.StateKey = true
	file := weightsOf(t, c)
	if got := show(t, "show", file); !strings.Contains(got, "\n key ") || !strings.Contains(got, "\n 210 ") {
		t.Errorf("states:\n%s", got)
	}
	if got := show(t, "show", file, "--x", "running", "--y", "queued"); !strings.Contains(got, "\n0  l l .\n") {
		t.Errorf("map:\n%s", got)
	}
	if status, _, errs := p2pfaas(t, "learner", "show", file, "--x", "running", "--at", "queued=9"); status != 2 {
		t.Errorf("keys that were never seen: status %d, %s", status, errs)
	}
}

// Every kind of learner has something to show and to export.
func TestLearnerKinds(t *testing.T) {
	for _, k := range [][2]string{{"sarsa", "tiles"}, {"q-learning", "linear"}, {"linucb", "linear"}, {"linucb", "table"},
		{"thompson", "table"}, {"sample-average", "table"}, {"expected-sarsa", "tiles"}} {
		file := weightsOf(t, learnerOf(k[0], k[1]))
		if got := show(t, "show", file); !strings.Contains(got, k[0]) || strings.Contains(got, "NaN") {
			t.Errorf("%v:\n%s", k, got)
		}
		for _, format := range []string{"csv", "json"} {
			if got := show(t, "export", file, "--format", format); !strings.Contains(got, "neighbour 0") || strings.Contains(got, "NaN") {
				t.Errorf("%v as %s:\n%s", k, format, got)
			}
		}
	}
}

// What has no list of states is shown over a grid, with the values that the learner itself has.
func TestLearnerGrid(t *testing.T) {
	c := learnerOf("sarsa", "tiles")
	c.Dims[1].Hi = 2.5
	file := weightsOf(t, c)
	rows, err := csv.NewReader(strings.NewReader(show(t, "export", file))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if n := 1 + 3*40*3; len(rows) != n { // running has 3 whole numbers, queued 40 cells
		t.Errorf("%d rows, want %d", len(rows), n)
	}
	if got, want := strings.Join(rows[0], ","), "running,queued,type,action,value"; got != want {
		t.Errorf("header %s", got)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := learner.ReadWeights(f)
	if err != nil {
		t.Fatal(err)
	}
	l, err := learner.NewFrom(w, rand.PCG{})
	if err != nil {
		t.Fatal(err)
	}
	var state [3]float64
	for _, r := range rows[1:] {
		for i := range state {
			if state[i], err = strconv.ParseFloat(r[i], 64); err != nil {
				t.Fatal(err)
			}
		}
		q, err := l.Values(state[:])
		if err != nil {
			t.Fatal(err)
		}
		a := slices.Index(c.Names, r[3])
		if v, err := strconv.ParseFloat(r[4], 64); err != nil || v != q[a] {
			t.Errorf("row %q: the learner expects %g", r, q[a])
		}
	}
	for _, line := range strings.Split(show(t, "show", file, "--x", "queued", "--y", "type"), "\n") {
		if len(line) > 80 {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
}

func TestLearnerJSON(t *testing.T) {
	c := learnerOf("ucb1", "table")
	c.Bandit.PerState = true
	file := weightsOf(t, c)
	var v struct {
		Algorithm string
		Actions   []string
		Dims      []learner.Dim
		Map       *struct{ X, Y string }
		Rows      []struct {
			State  []float64
			Best   []string
			Margin *float64
			Values []*float64
			Pulls  []float64
		}
	}
	if err := json.Unmarshal([]byte(show(t, "show", file, "--json", "--limit", "1")), &v); err != nil {
		t.Fatal(err)
	}
	if v.Algorithm != "ucb1" || len(v.Actions) != 3 || len(v.Dims) != 3 || len(v.Rows) != 5 || v.Map != nil {
		t.Fatalf("got %+v", v)
	}
	if r := v.Rows[0]; r.Best[0] != "local" || r.Margin != nil || r.Values[0] != nil || *r.Values[1] != 1 || r.Pulls[1] != 2 {
		t.Errorf("the first row is %+v", r)
	}
	if err := json.Unmarshal([]byte(show(t, "show", file, "--json", "--x", "running", "--y", "queued")), &v); err != nil {
		t.Fatal(err)
	}
	if v.Map == nil || v.Map.X != "running" || len(v.Rows) != 4 {
		t.Errorf("map: %+v", v)
	}
	var rows []struct {
		Action string
		Value  *float64
		Tried  float64
	}
	if err := json.Unmarshal([]byte(show(t, "export", file, "--format", "json")), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 15 || rows[1].Action != "local" || *rows[1].Value != 1 || rows[1].Tried != 2 || rows[0].Value != nil {
		t.Errorf("exported: %+v", rows)
	}
}

func TestLearnerFigure(t *testing.T) {
	file := weightsOf(t, learnerOf("sarsa", "table"))
	for _, name := range []string{"map.png", "map.svg", "map.pdf"} {
		path := filepath.Join(t.TempDir(), name)
		got := show(t, "show", file, "--x", "running", "--y", "queued", "--out", path)
		if !strings.HasPrefix(got, path+"\nBest action over running and queued, where type = 0.") {
			t.Errorf("it says %q", got)
		}
		drawn, err := os.ReadFile(path)
		if err != nil || len(drawn) < 1000 {
			t.Errorf("%s: %d bytes, %v", name, len(drawn), err)
		}
		if filepath.Ext(name) == ".png" {
			if _, err := png.Decode(bytes.NewReader(drawn)); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestLearnerMistakes(t *testing.T) {
	file := weightsOf(t, learnerOf("sarsa", "table"))
	tiles := weightsOf(t, learnerOf("sarsa", "tiles"))
	bandit := weightsOf(t, learnerOf("ucb1", "table"))
	nameless := learnerOf("sarsa", "table")
	nameless.Dims = nil
	unnamed := weightsOf(t, nameless)
	unbounded := learnerOf("sarsa", "linear")
	unbounded.Dims[1].Hi = 0
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	altered := func(old, replacement string) string {
		path := filepath.Join(t.TempDir(), "altered.json")
		if err := os.WriteFile(path, bytes.Replace(whole, []byte(old), []byte(replacement), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cut, few := altered(string(whole[len(whole)/2:]), ""), altered("[2,1,0],", "")
	elsewhere := altered("[[0,0,0],[1,0,0]", "[[0,0,1],[1,0,1]")
	for _, c := range []struct {
		want string
		args []string
	}{
		{"use running, queued, type", []string{"show", file, "--x", "runing", "--y", "queued"}},
		{"use queued, ", []string{"show", file, "--x", "running", "--y", "queud"}},
		{"use type, ", []string{"show", file, "--x", "running", "--at", "typ=1"}},
		{"write NAME=NUMBER", []string{"show", file, "--x", "running", "--at", "type"}},
		{"write NAME=NUMBER", []string{"show", file, "--x", "running", "--at", "type=one"}},
		{"is an axis", []string{"show", file, "--x", "running", "--at", "running=1"}},
		{"are both", []string{"show", file, "--x", "running", "--y", "running"}},
		{"--y without --x", []string{"show", file, "--y", "running"}},
		{"leave out --at", []string{"show", file, "--x", "running", "--y", "queued", "--at", "type=4"}},
		{`try --at "queued=1"`, []string{"show", elsewhere, "--x", "running"}},
		{"between 0 and 1", []string{"show", tiles, "--at", "type=2"}},
		{"looks at no state", []string{"show", bandit, "--x", "running"}},
		{"does not name", []string{"show", unnamed, "--x", "0"}},
		{"bounds of queued are not known", []string{"show", weightsOf(t, unbounded), "--x", "running", "--y", "queued"}},
		{"it is cut", []string{"show", cut}},
		{"it is cut", []string{"export", cut}},
		{"numbers in", []string{"show", few}},
		{"no such file", []string{"show", "nothing.json"}},
		{"--x and --y", []string{"show", file, "--out", "map.svg"}},
		{"svg, pdf or png", []string{"show", file, "--x", "running", "--out", "map.gif"}},
		{"use value", []string{"show", file, "--sort", "valu"}},
		{"--limit -1", []string{"show", file, "--limit", "-1"}},
		{"--cells 1000", []string{"show", tiles, "--cells", "1000"}},
		{"csv or json", []string{"export", file, "--format", "xml"}},
		{"one file", []string{"show"}},
		{"there is no command", []string{"shw"}},
	} {
		status, out, errs := p2pfaas(t, append([]string{"learner"}, c.args...)...)
		if status != 2 || !strings.Contains(errs, c.want) || out != "" {
			t.Errorf("learner %q: status %d, %q, want %q", c.args, status, errs, c.want)
		}
	}
	if got := show(t, "show", unnamed); !strings.Contains(got, "\n 0  1  best ") {
		t.Errorf("numbers without names:\n%s", got)
	}
}
