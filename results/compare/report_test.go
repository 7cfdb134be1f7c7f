package compare

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/p2pfaas/p2pfaas/results"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test ./results/compare -update rewrites it. Got:\n%s", name, got)
	}
}

func written(t *testing.T, write func(io.Writer, *Comparison) error, c *Comparison) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, c); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// parsedPage is what a browser makes of a report.
type parsedPage struct {
	text     string
	ids      []string
	refers   []string // href and src
	tags     map[string]int
	opened   int // details that are unfolded
	labelled int // drawings with an alternative text
}

func parsed(t *testing.T, page string) *parsedPage {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	p := &parsedPage{tags: map[string]int{}}
	var b strings.Builder
	for n := range root.Descendants() {
		switch n.Type {
		case html.TextNode:
			b.WriteString(n.Data)
		case html.ElementNode:
			p.tags[n.Data]++
			for _, a := range n.Attr {
				switch {
				case a.Key == "id":
					p.ids = append(p.ids, a.Val)
				case a.Key == "href" || a.Key == "src":
					p.refers = append(p.refers, a.Val)
				case a.Key == "open":
					p.opened++
				case n.Data == "svg" && a.Key == "aria-label" && a.Val != "":
					p.labelled++
				case strings.HasPrefix(a.Key, "on"):
					t.Errorf("%s has %s", n.Data, a.Key)
				}
			}
		}
	}
	p.text = b.String()
	return p
}

// checkPage checks what every page has to be: self-contained, without a script, with links that lead somewhere.
func checkPage(t *testing.T, what, page string, c *Comparison) *parsedPage {
	t.Helper()
	p := parsed(t, page)
	var plots []string
	for _, f := range Figures(c) {
		plots = append(plots, "plots/"+f.Name+".svg")
	}
	for _, ref := range p.refers {
		switch {
		case strings.HasPrefix(ref, "#"):
			if !slices.Contains(p.ids, ref[1:]) {
				t.Errorf("%s: a link leads to %s, which is nowhere", what, ref)
			}
		case ref != "compare.json" && !slices.Contains(plots, ref) && !strings.HasPrefix(ref, "data:image/png;"):
			t.Errorf("%s: the page refers to %s", what, ref)
		}
	}
	for _, never := range []string{"script", "link", "iframe", "object"} {
		if p.tags[never] > 0 {
			t.Errorf("%s: the page has %s", what, never)
		}
	}
	slices.Sort(p.ids)
	for i := range p.ids[1:] {
		if p.ids[i] == p.ids[i+1] && !strings.HasPrefix(p.ids[i], "clip") {
			t.Errorf("%s: two elements are called %s", what, p.ids[i])
		}
	}
	if p.labelled != len(plots) {
		t.Errorf("%s: %d of %d drawings have an alternative text", what, p.labelled, len(plots))
	}
	for _, never := range []string{"@import", "url(http", "significan", "%!", "ZgotmplZ", "NaN"} {
		if strings.Contains(pictures.ReplaceAllString(page, ""), never) {
			t.Errorf("%s: the page has %q", what, never)
		}
	}
	return p
}

func TestReport(t *testing.T) {
	c := madeUp()
	p := checkPage(t, "made up", written(t, WriteReport, c), c)
	if p.opened != 0 {
		t.Error("fifteen points are not folded")
	}
	wants := []string{
		"fidelity: simulation compared with reality", c.headline(), "5f2c9a0e", "runs/fidelity-20300506-073001", "6 May 2030, 07:30:01 UTC",
		"15 of 15 points", "drop rate ±1 pp", "343.9 → 388.6 ms", "+13.0 % [+10.2, +15.8]", "floor +0.30 %", "The floor is how repeatable reality is",
		"rest on the requests of this one real run; the floor, of one repetition, shows",
		"6000 tasks are the same", "An execution of work takes 1.08 times as long in simulation. With it put right", "closes 85 % of it",
		"1.07 to 1.09 times", "waiting accounts for", "Kolmogorov-Smirnov", "By chance", "98.4 % ended alike", "utilisation in simulation (%)",
		"functions.work.cpu", "+10 %", "record/node-1.log", "16711 verdicts", "calibration.yaml", "1234", "4200", "block bootstrap", "undecided",
	}
	for _, m := range c.Points[14].Metrics {
		r := m.reading()
		wants = append(wants, r.Name, r.A, r.B, r.Difference, r.Interval)
	}
	for _, x := range c.Points[14].Parts {
		wants = append(wants, x.Name)
	}
	for _, want := range wants {
		if !strings.Contains(p.text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(p.text, "Before you believe it") {
		t.Error("the page warns of nothing")
	}

	c.Points = c.Points[12:]
	if p := checkPage(t, "three points", written(t, WriteReport, c), c); p.opened != 3 {
		t.Errorf("%d of 3 points are unfolded", p.opened)
	}
}

func TestReportWarns(t *testing.T) {
	for want, change := range map[string]func(*Comparison){
		"what differs may be the algorithm":                   func(c *Comparison) { c.B.Algorithms = "77aa" },
		"The versions of the program differ":                  func(c *Comparison) { c.B.Version = "v2.0.1" },
		"measured on another machine (rpi)":                   func(c *Comparison) { c.Calibration.Host = "rpi" },
		"1 of 2 recorded nodes decided otherwise":             func(c *Comparison) { c.Replays[1].Equal, c.Replays[1].Says = false, "verdict 3" },
		"Not compared: JSQ (only in simulation).":             func(c *Comparison) { c.Unmatched = []string{"JSQ (only in B)"} },
		"Run A is not complete.":                              func(c *Comparison) { c.Notes = []string{"Run A is not complete."} },
		"No request completed in simulation at workload.load": func(c *Comparison) { c.Points = strange()["nothing completed in B"].Points },
	} {
		c := madeUp()
		c.Points = c.Points[:1]
		change(c)
		if p := parsed(t, written(t, WriteReport, c)); !strings.Contains(p.text, "Before you believe it") || !strings.Contains(p.text, want) {
			t.Errorf("the page does not warn: %s", want)
		}
		for what, text := range map[string]string{"the summary": written(t, WriteMarkdown, c), "the table": plainTable(t, c)} {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not warn: %s", what, want)
			}
		}
	}
	c := madeUp()
	c.Points, c.B.Algorithms, c.Notes = c.Points[:1], "77aa", []string{"The code of the algorithms is not the same in both runs."}
	if n := len(c.warnings()); n != 1 {
		t.Errorf("%d warnings of one thing", n)
	}
}

func TestReportOfTheStrange(t *testing.T) {
	for what, c := range strange() {
		p := checkPage(t, what, written(t, WriteReport, c), c)
		switch what {
		case "64 nodes":
			if p.tags["details"] != 2 || !strings.Contains(p.text, "64 nodes") {
				t.Error("a table of 64 nodes is not folded")
			}
		case "empty":
			if !strings.Contains(p.text, "The runs have no point in common") {
				t.Error("a page of nothing does not say so")
			}
		}
		for _, text := range []string{written(t, WriteMarkdown, c), plainTable(t, c)} {
			if strings.Contains(text, "NaN") || strings.Contains(text, "%!") || strings.Contains(text, "Inf") {
				t.Errorf("%s:\n%s", what, text)
			}
		}
	}
}

// hostile puts a text in the place of every other, but of fields with these names.
func hostile(c *Comparison, text string, except ...string) {
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if name := v.Type().Field(i).Name; v.Field(i).CanSet() && !slices.Contains(except, name) {
					walk(v.Field(i))
				}
			}
		case reflect.String:
			v.SetString(text)
		}
	}
	walk(reflect.ValueOf(c).Elem())
}

// Names come from files that anyone may have written.
func TestHostileNames(t *testing.T) {
	const bad = "<script>alert(\"1\")</script>&'|`*_[x](http://example.com) @all %d\x1b[31m\n# x"
	for _, except := range [][]string{nil, {"Metric", "Metrics", "Parts"}} {
		c := madeUp()
		c.Points, c.Floor.Points = c.Points[13:], c.Floor.Points[13:]
		hostile(c, bad, except...)
		c.B.Name += "2" // so that the sides are called by their names
		page := written(t, WriteReport, c)
		p := checkPage(t, "hostile", page, c)
		if !strings.Contains(p.text, `<script>alert("1")</script>&'`) || p.tags["script"] > 0 {
			t.Error("the name is not shown as it is")
		}
		text := plainTable(t, c)
		if strings.Contains(text, "\x1b") {
			t.Error("a name steers the terminal")
		}
		summary := written(t, WriteMarkdown, c)
		if strings.Contains(summary, "<script") || strings.Contains(summary, "@all") || strings.Contains(summary, "\n# x") ||
			strings.Contains(strings.ReplaceAll(summary, `\[x\]`, ""), "[x](") {
			t.Errorf("a name became part of the summary:\n%s", summary)
		}
		checkMarkdownTable(t, summary, 2)
	}
}

// finite is a comparison without a number that JSON lacks.
func finite() *Comparison {
	c := madeUp()
	c.Floor, c.Points = nil, c.Points[:1]
	c.Points[0].Metrics = slices.DeleteFunc(c.Points[0].Metrics, func(m Metric) bool { return m.Verdict == "" })
	return c
}

func TestSave(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	c := finite()
	if err := Save(dir, c); err != nil {
		t.Fatal(err)
	}
	for _, f := range Figures(c) {
		data, err := os.ReadFile(filepath.Join(dir, PlotsDir, f.Name+".svg"))
		if err != nil || string(data) != drawnSVG(t, f) {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
	for name, want := range map[string]string{ReportFile: written(t, WriteReport, c), MarkdownFile: written(t, WriteMarkdown, c),
		JSONFile: `"runs/fidelity-20300506-070809"`} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(data), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := results.WriteFile(file, nil); err != nil {
		t.Fatal(err)
	}
	if err := Save(file, c); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("into a file: %v", err)
	}
}

// What a repetition of the reference says of the verdicts: where it is beyond the margin, any of them is doubtful; where it is only
// further off than the simulation, those that are not equivalent.
func TestDoubts(t *testing.T) {
	c := madeUp()
	if d := c.doubts(); len(d) != 0 {
		t.Fatalf("the repetition is near: %q", d)
	}
	again := func(i int, off float64) {
		m := c.Floor.Points[i].metric("latency.mean")
		m.Difference, m.B = off*m.A, (1+off)*m.A
	}
	again(0, -0.06)   // equivalent, repeated beyond the margin
	again(1, 0.02)    // equivalent, repeated within it
	again(11, -0.048) // undecided at +4.5 %
	again(14, 0.04)   // different at +13 %
	d := c.doubts()
	if len(d) != 2 || !strings.Contains(d[0], "than the margin") || !strings.HasSuffix(d[0], ": "+c.Points[0].Label+" (mean latency \u22126.0 %).") ||
		!strings.Contains(d[1], "than simulation is from it") || !strings.HasSuffix(d[1], ": "+c.Points[11].Label+" (mean latency \u22124.8 %).") {
		t.Errorf("%q", d)
	}
	for i := range c.Points {
		again(i, 0.06)
	}
	if d := c.doubts(); len(d) != 1 || strings.Count(d[0], "mean latency") != namedPoints || !strings.HasSuffix(d[0], "and at 12 points more.") {
		t.Errorf("%q", d)
	}
	if text := plainTable(t, c); !strings.Contains(text, "Note: Run again, reality is further from itself than the margin") {
		t.Errorf("the table does not say so:\n%s", text)
	}
}

// Which runs the verdicts are of, and where their variation is to be seen.
func TestRestsOn(t *testing.T) {
	for _, c := range []struct {
		worlds       [2]string
		floor        *Comparison
		replications []int
		want         string
	}{
		{[2]string{"sim", "sim"}, nil, []int{0}, ""},
		{[2]string{"sim", "sim"}, nil, []int{0, 1}, "rest on requests within replications"},
		{[2]string{"real", "sim"}, nil, nil, "this one real run; p2pfaas compare SCENARIO --repeat 2 shows"},
		{[2]string{"real", "sim"}, &Comparison{}, nil, "; the floor, of one repetition, shows"},
		{[2]string{"real", "real"}, nil, nil, "these two real runs; nothing in them shows"},
	} {
		got := (&Comparison{A: Side{World: c.worlds[0]}, B: Side{World: c.worlds[1]}, Floor: c.floor, Points: []Point{{Replications: c.replications}}}).restsOn()
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%v: %q, want %q", c.worlds, got, c.want)
		}
	}
}
