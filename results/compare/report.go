package compare

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/p2pfaas/p2pfaas/results"
)

//go:embed report.html
var reportText string

var reportTemplate = template.Must(template.New("comparison").Parse(reportText))

// What Save writes into its directory.
const (
	ReportFile   = "report.html"
	JSONFile     = "compare.json"
	MarkdownFile = "compare.md"
	PlotsDir     = "plots"
)

// Save writes a comparison into a directory, which it makes: report.html, compare.json, compare.md, and the figures of the
// report as plots/*.svg.
func Save(dir string, c *Comparison) error {
	if err := os.MkdirAll(filepath.Join(dir, PlotsDir), 0o755); err != nil {
		return fmt.Errorf("the comparison: %w", err)
	}
	for _, f := range Figures(c) {
		if err := f.Save(filepath.Join(dir, PlotsDir, f.Name+".svg")); err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", JSONFile, err)
	}
	if err := results.WriteFile(filepath.Join(dir, JSONFile), append(data, '\n')); err != nil {
		return err
	}
	for _, f := range []struct {
		name  string
		write func(io.Writer, *Comparison) error
	}{{MarkdownFile, WriteMarkdown}, {ReportFile, WriteReport}} {
		var b bytes.Buffer
		if err := f.write(&b, c); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if err := results.WriteFile(filepath.Join(dir, f.name), b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// WriteReport writes a page that holds all of a comparison and needs nothing else.
func WriteReport(w io.Writer, c *Comparison) error {
	a, b := c.sideNames()
	p := reportPage{Style: results.Stylesheet(), Title: c.heading(), Headline: c.headline(), A: a, B: b, Warnings: c.warnings(),
		Facts: c.facts(), Sides: c.sidesSheet(), Overview: c.overviewSheet(), RestsOn: c.restsOn(), Floor: c.floorSays(), Sensitivity: c.sensitivitySheet(),
		Replays: c.replaysSheet(), Replayed: c.replaysSay(), Calibration: c.calibrationSheet(), Version: c.B.Version}
	var err error
	if p.Figures, err = drawings(c.overview()); err != nil {
		return err
	}
	for i := range c.Points {
		s, err := c.section(i)
		if err != nil {
			return err
		}
		p.Points = append(p.Points, s)
	}
	return reportTemplate.Execute(w, p)
}

// reportPage is what the template shows.
type reportPage struct {
	Style           template.CSS
	Title, Headline string
	A, B            string
	Warnings        []string
	Facts           [][2]string
	Sides           sheet
	Overview        sheet
	RestsOn, Floor  string
	Figures         []drawing
	Points          []section
	Sensitivity     sheet
	Replays         sheet
	Replayed        string
	Calibration     sheet
	Version         string
}

// openPoints is how many points a page shows without folding them.
const openPoints = 3

// Open reports whether the points are shown unfolded.
func (p reportPage) Open() bool { return len(p.Points) <= openPoints }

// sheet is a table of the page.
type sheet struct {
	Header []string
	Keys   int // leading columns that name the row
	Rows   [][]cell
}

// Head reports whether column i names the row.
func (s sheet) Head(i int) bool { return i < s.Keys }

// cell is one of a sheet.
type cell struct {
	Text    string
	Link    string // where the text leads to
	Code    bool
	Then    string  // a second line
	Verdict Verdict // beneath it
	Soft    string  // a last line, less prominent
}

// Symbol is that of the verdict.
func (c cell) Symbol() string { return c.Verdict.symbol() }

func texts(list ...string) (row []cell) {
	for _, t := range list {
		row = append(row, cell{Text: t})
	}
	return row
}

// drawing is a figure within the page.
type drawing struct {
	Name, Caption string
	SVG           template.HTML
}

func drawings(figures []*results.Figure) (all []drawing, err error) {
	for _, f := range figures {
		svg, err := f.Inline()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		all = append(all, drawing{f.Name, f.Caption, svg})
	}
	return all, nil
}

// warnings are what is to be known before believing a comparison.
func (c *Comparison) warnings() []string {
	a, b := c.sideNames()
	list := slices.Clone(c.Notes)
	said := slices.ContainsFunc(list, func(note string) bool { return strings.Contains(note, "algorithms") })
	if c.A.Algorithms != c.B.Algorithms && !said {
		list = append(list, fmt.Sprintf("The code of the algorithms is not the same in %s and in %s: what differs may be the algorithm.",
			a, b))
	}
	if c.A.Version != c.B.Version {
		list = append(list, fmt.Sprintf("The versions of the program differ: %s in %s, %s in %s.", c.A.Version, a, c.B.Version, b))
	}
	for i := range c.Points {
		p := &c.Points[i]
		if m := p.metric("latency.mean"); m != nil {
			for _, side := range []struct {
				name string
				mean float64
			}{{a, m.A}, {b, m.B}} {
				if math.IsNaN(side.mean) {
					list = append(list, fmt.Sprintf("No request completed in %s at %s.", side.name, p.Label))
				}
			}
		}
	}
	if p := c.Calibration; p != nil && p.Host != "" && c.A.Host != "" && p.Host != c.A.Host {
		list = append(list, fmt.Sprintf("The calibration was measured on another machine (%s) than %s (%s).", p.Host, a, c.A.Host))
	}
	if p := c.Calibration; p != nil {
		for _, note := range p.Notes {
			list = append(list, "When the calibration was measured: "+note+".")
		}
	}
	list = append(list, c.doubts()...)
	if n := len(c.Replays) - equalReplays(c.Replays); n > 0 {
		list = append(list, fmt.Sprintf("%d of %d recorded nodes decided otherwise when replayed.", n, len(c.Replays)))
	}
	if len(c.Unmatched) > 0 {
		list = append(list, "Not compared: "+c.named(strings.Join(c.Unmatched, "; "))+".")
	}
	return list
}

func equalReplays(replays []Replay) (n int) {
	for _, r := range replays {
		if r.Equal {
			n++
		}
	}
	return n
}

// facts are what the page says of the comparison in short.
func (c *Comparison) facts() [][2]string {
	paired, requestsA, requestsB := 0, 0, 0
	for _, p := range c.Points {
		requestsA, requestsB = requestsA+p.RequestsA, requestsB+p.RequestsB
		if p.Paired {
			paired++
		}
	}
	a, b := c.sideNames()
	list := [][2]string{
		{"Points", fmt.Sprint(len(c.Points))},
		{"Requests", fmt.Sprintf("%d in %s, %d in %s", requestsA, a, requestsB, b)},
		{"Same tasks on both sides", fmt.Sprintf("%d of %s", paired, counted(len(c.Points), "point", "points"))},
	}
	if len(c.Margins) > 0 {
		list = append(list, [2]string{"Margins", c.marginsText()})
	}
	return list
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format("2 January 2006, 15:04:05 MST")
}

// sidesSheet sets the two sides beside each other.
func (c *Comparison) sidesSheet() sheet {
	a, b := c.sideNames()
	s := sheet{Header: []string{"", "A: " + a, "B: " + b}, Keys: 1}
	world := map[string]string{"sim": "simulation", "real": "reality"}
	for _, row := range []struct {
		name string
		a, b string
		code bool
		warn string // where they differ
	}{
		{"world", world[c.A.World], world[c.B.World], false, ""},
		{"run", c.A.Name, c.B.Name, false, ""},
		{"directory", c.A.Dir, c.B.Dir, true, ""},
		{"machine", c.A.Host, c.B.Host, false, ""},
		{"version", c.A.Version, c.B.Version, false, "not the same"},
		{"algorithms", c.A.Algorithms, c.B.Algorithms, true, "not the same"},
		{"seed", fmt.Sprint(c.A.Seed), fmt.Sprint(c.B.Seed), true, "not the same"},
		{"started", when(c.A.Started), when(c.B.Started), false, ""},
	} {
		first, second := cell{Text: row.a, Code: row.code}, cell{Text: row.b, Code: row.code}
		if row.a != row.b {
			second.Soft = row.warn
		}
		s.Rows = append(s.Rows, []cell{{Text: row.name}, first, second})
	}
	return s
}

// overviewSheet has a row per point, with its main metrics.
func (c *Comparison) overviewSheet() sheet {
	s := sheet{Header: []string{"point", "verdict"}, Keys: 1}
	columns := c.columns()
	for _, metric := range columns {
		s.Header = append(s.Header, shortTitle(metric))
	}
	for i := range c.Points {
		p := &c.Points[i]
		row := []cell{{Text: p.Label, Link: fmt.Sprintf("#point-%d", i+1)}, {Verdict: p.verdict()}}
		f := c.floorOf(p)
		for _, metric := range columns {
			m := p.metric(metric)
			if m == nil {
				row = append(row, cell{Text: "-"})
				continue
			}
			r := m.reading()
			x := cell{Text: withUnit(r.A+" → "+r.B, r.Unit), Then: strings.TrimSpace(r.Difference + " " + r.Interval), Verdict: m.Verdict}
			if f != nil {
				if g := f.metric(metric); g != nil {
					r := g.reading()
					x.Soft = strings.TrimSpace("floor " + r.Difference + " " + r.Interval)
				}
			}
			row = append(row, x)
		}
		s.Rows = append(s.Rows, row)
	}
	return s
}

// floorSays says what the floor is, and how large; empty where there is none.
func (c *Comparison) floorSays() string {
	if c.Floor == nil {
		return ""
	}
	a, _ := c.sideNames()
	var off []float64
	for i := range c.Floor.Points {
		if m := c.Floor.Points[i].metric("latency.mean"); m != nil && m.A > 0 && !math.IsNaN(m.Difference) {
			off = append(off, 100*math.Abs(m.Difference)/m.A)
		}
	}
	if len(off) == 0 {
		return ""
	}
	slices.Sort(off)
	return fmt.Sprintf("The floor is how repeatable %s is: run again (%s), its mean latency differs by %.1f %% (median of %s; at most "+
		"%.1f %%).", a, c.Floor.B.Dir, off[len(off)/2], counted(len(off), "point", "points"), off[len(off)-1])
}

// restsOn says what verdicts rest on, and so do not know: how a real run differs from the next one, or replications of a simulation
// from each other.
func (c *Comparison) restsOn() string {
	runs := "this one real run"
	switch {
	case c.A.World != "real" && c.B.World != "real" && !slices.ContainsFunc(c.Points, func(p Point) bool { return len(p.Replications) > 1 }):
		return ""
	case c.A.World != "real" && c.B.World != "real":
		return "Intervals and verdicts rest on requests within replications. Where replications may settle differently, as learners do, " +
			"p2pfaas report RUN_A RUN_B has intervals over replications."
	case c.A.World == c.B.World:
		runs = "these two real runs"
	}
	shows := "nothing in them shows"
	switch {
	case c.Floor != nil:
		shows = "the floor, of one repetition, shows"
	case c.A.World != c.B.World:
		shows = "p2pfaas compare SCENARIO --repeat 2 shows"
	}
	return fmt.Sprintf("Intervals and verdicts rest on the requests of %s; %s how much real runs differ from each other.", runs, shows)
}

// doubts are the points at which the repetition of A is so far from it that a verdict need not hold for the next run.
func (c *Comparison) doubts() (list []string) {
	a, b := c.sideNames()
	for _, kind := range []struct {
		says  string
		holds func(m *Metric, again float64) bool
	}{
		{fmt.Sprintf("Run again, %s is further from itself than the margin, so that verdicts may be others in the next run", a),
			func(m *Metric, again float64) bool { return again > m.Margin }},
		{fmt.Sprintf("Run again, %s is further from itself than %s is from it, so that what is not equivalent there need not be for %s", a, b, b),
			func(m *Metric, again float64) bool {
				return again <= m.Margin && again > math.Abs(m.Difference) && m.Verdict != Equivalent
			}},
	} {
		var where []string
		for i := range c.Points {
			p := &c.Points[i]
			var metrics []string
			if f := c.floorOf(p); f != nil {
				for k := range p.Metrics {
					m := &p.Metrics[k]
					if g := f.metric(m.Name); g != nil && m.Verdict != "" && kind.holds(m, math.Abs(g.Difference)) {
						metrics = append(metrics, shortTitle(m.Name)+" "+g.reading().Difference)
					}
				}
			}
			if len(metrics) > 0 {
				where = append(where, p.Label+" ("+strings.Join(metrics, ", ")+")")
			}
		}
		if n := len(where) - namedPoints; n > 0 {
			where = append(where[:namedPoints], "and at "+counted(n, "point more", "points more"))
		}
		if len(where) > 0 {
			list = append(list, kind.says+": "+strings.Join(where, "; ")+".")
		}
	}
	return list
}

// section is a point of the page.
type section struct {
	ID, Label string
	Verdict   Verdict
	Says      string
	Notes     []string
	Metrics   sheet
	Gap       string
	Causes    sheet
	Explained []string
	Parts     sheet
	Decisions string
	Distances sheet
	Nodes     sheet
	Figures   []drawing
}

// Symbol is that of the verdict.
func (s section) Symbol() string { return s.Verdict.symbol() }

// ManyNodes reports whether the table of nodes is folded.
func (s section) ManyNodes() bool { return len(s.Nodes.Rows) > 12 }

func (c *Comparison) section(i int) (section, error) {
	p := &c.Points[i]
	a, b := c.sideNames()
	s := section{ID: fmt.Sprintf("point-%d", i+1), Label: p.Label, Verdict: p.verdict(), Says: c.requestsSay(p), Notes: p.Notes,
		Metrics: c.metricsSheet(p), Gap: p.gap(), Causes: c.causesSheet(p), Parts: partsSheet(p, a, b), Distances: distancesSheet(p),
		Nodes: nodesSheet(p, a, b)}
	for k := range p.Causes {
		if text := p.Causes[k].explained(); text != "" {
			s.Explained = append(s.Explained, capital(c.named(p.Causes[k].Says))+". "+text)
		}
	}
	if d := p.Decisions; d != nil {
		s.Decisions = fmt.Sprintf("Of %d tasks that both sides had, %s ended alike. Of those that both completed, %s were executed by the "+
			"same node, and %s took as many hops.", p.Common, share(d.Outcome), share(d.Executor), share(d.Hops))
	}
	var err error
	s.Figures, err = drawings(c.figuresOf(i))
	return s, err
}

func share(v float64) string { return withUnit(results.Significant(100*v, 3), "%") }

func capital(s string) string {
	letters := []rune(s)
	if len(letters) == 0 {
		return s
	}
	return strings.ToUpper(string(letters[:1])) + string(letters[1:])
}

// requestsSay says what a point's numbers rest on.
func (c *Comparison) requestsSay(p *Point) string {
	a, b := c.sideNames()
	text := fmt.Sprintf("%d requests in %s, %d in %s", p.RequestsA, a, p.RequestsB, b)
	if p.Paired {
		text += fmt.Sprintf("; %d tasks are the same, and compared one by one", p.Common)
	} else {
		text += "; the tasks are not the same, so the two are independent samples"
	}
	if p.Block > 0 {
		text += fmt.Sprintf("; blocks of %s", counted(p.Block, "request", "requests"))
	}
	return text + "."
}

func (c *Comparison) metricsSheet(p *Point) sheet {
	a, b := c.sideNames()
	s := sheet{Header: []string{"metric", "unit", a, b, "difference", "90 % interval", "margin", "verdict"}, Keys: 1}
	f := c.floorOf(p)
	if f != nil {
		s.Header = append(s.Header, "floor", "90 % interval")
	}
	for i := range p.Metrics {
		m := &p.Metrics[i]
		r := m.reading()
		row := append(texts(r.Name, r.Unit, r.A, r.B, r.Difference, r.Interval, r.Margin), cell{Verdict: m.Verdict})
		if f != nil {
			var again reading
			if g := f.metric(m.Name); g != nil {
				again = g.reading()
			}
			row = append(row, texts(again.Difference, again.Interval)...)
		}
		s.Rows = append(s.Rows, row)
	}
	return s
}

// causesSheet lists the causes, the largest first.
func (c *Comparison) causesSheet(p *Point) sheet {
	a, b := c.sideNames()
	s := sheet{Header: []string{"what differs", "component", a, b, "99 % interval", "adds to the mean latency by itself"}, Keys: 1}
	for i := range p.Causes {
		x := &p.Causes[i]
		first, second, unit := beside(x.A, x.B, x.Unit)
		component := x.Component
		if x.Function != "" {
			component += " of " + x.Function
		}
		if x.Part != "" {
			component += ", " + x.Part
		}
		span := ""
		switch {
		case math.IsNaN(x.Lo) || math.IsNaN(x.Hi):
		case x.Absolute:
			sc := results.ScaleOf(x.Unit, max(math.Abs(x.Lo), math.Abs(x.Hi)))
			span = strings.TrimSpace(interval(x.Lo, x.Hi, sc.Factor) + " " + sc.Unit)
		default:
			span = fmt.Sprintf("%s to %s times", results.Significant(x.Lo, 4), results.Significant(x.Hi, 4))
		}
		s.Rows = append(s.Rows, texts(c.named(x.Says), component, withUnit(first, unit), withUnit(second, unit), span, x.direct()))
	}
	return s
}

func partsSheet(p *Point, a, b string) sheet {
	s := sheet{Header: []string{"part of the mean latency", a, b, "difference", "90 % interval"}, Keys: 1}
	for _, x := range p.Parts {
		first, second, unit := beside(x.A, x.B, "s")
		sc := results.ScaleOf("s", max(math.Abs(orZero(x.Difference)), math.Abs(orZero(x.Lo)), math.Abs(orZero(x.Hi))))
		s.Rows = append(s.Rows, texts(x.Name, withUnit(first, unit), withUnit(second, unit),
			withUnit(signed(x.Difference*sc.Factor), sc.Unit), interval(x.Lo, x.Hi, sc.Factor)))
	}
	return s
}

func distancesSheet(p *Point) sheet {
	s := sheet{Header: []string{"distance of the distributions", "value", "90 % interval", "by chance"}, Keys: 1}
	for _, d := range p.Distances {
		span := ""
		if !math.IsNaN(d.Lo) && !math.IsNaN(d.Hi) {
			span = "[" + results.Significant(d.Lo, 3) + ", " + results.Significant(d.Hi, 3) + "]"
		}
		s.Rows = append(s.Rows, texts(d.Name, results.Significant(d.Value, 3), span, results.Significant(d.Chance, 3)))
	}
	return s
}

func nodesSheet(p *Point, a, b string) sheet {
	s := sheet{Header: []string{"node", "executed in " + a + " (1/s)", "executed in " + b + " (1/s)", "utilisation in " + a + " (%)",
		"utilisation in " + b + " (%)"}, Keys: 1}
	for _, n := range p.Nodes {
		s.Rows = append(s.Rows, texts(fmt.Sprint(n.ID), results.Significant(n.ExecutedA, 4), results.Significant(n.ExecutedB, 4),
			results.Significant(100*n.UtilisationA, 3), results.Significant(100*n.UtilisationB, 3)))
	}
	return s
}

// sensitivitySheet has a row per point and parameter, and a column per metric; parameters that move nothing are left out.
func (c *Comparison) sensitivitySheet() sheet {
	s := sheet{Header: []string{"point", "parameter", "changed by"}, Keys: 3}
	var metrics []string
	type key struct {
		point, parameter string
		change           float64
	}
	var keys []key
	for _, x := range c.Sensitivity {
		if !slices.Contains(metrics, x.Metric) {
			metrics = append(metrics, x.Metric)
			s.Header = append(s.Header, shortTitle(x.Metric))
		}
		if k := (key{x.Point, x.Parameter, x.Change}); !math.IsNaN(x.Effect) && !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	for _, k := range keys {
		row := texts(k.point, k.parameter, fmt.Sprintf("%+g %%", 100*k.change))
		for _, metric := range metrics {
			text := "-"
			for _, x := range c.Sensitivity {
				if x.Point != k.point || x.Parameter != k.parameter || x.Change != k.change || x.Metric != metric {
					continue
				}
				unit := "%"
				if results.Unit(metric) == "share" {
					unit = "pp"
				}
				if !math.IsNaN(x.Effect) {
					text = withUnit(signed(100*x.Effect), unit)
				}
			}
			row = append(row, cell{Text: text})
		}
		s.Rows = append(s.Rows, row)
	}
	return s
}

func (c *Comparison) replaysSheet() sheet {
	s := sheet{Header: []string{"node", "log", "inputs", "verdicts", "outcome"}, Keys: 1}
	for _, r := range c.Replays {
		outcome := "equal"
		if !r.Equal {
			outcome = "not equal: " + r.Says
		}
		row := texts(fmt.Sprint(r.Node), r.Log, fmt.Sprint(r.Inputs), fmt.Sprint(r.Verdicts), outcome)
		row[1].Code = true
		s.Rows = append(s.Rows, row)
	}
	return s
}

// replaysSay sums the replays up; empty where there is none.
func (c *Comparison) replaysSay() string {
	if len(c.Replays) == 0 {
		return ""
	}
	verdicts := 0
	for _, r := range c.Replays {
		verdicts += r.Verdicts
	}
	n := equalReplays(c.Replays)
	return fmt.Sprintf("%s replayed, %d of them with the same verdicts throughout; %d verdicts in all.",
		counted(len(c.Replays), "recorded node was", "recorded nodes were"), n, verdicts)
}

func (c *Comparison) calibrationSheet() sheet {
	p := c.Calibration
	if p == nil {
		return sheet{}
	}
	s := sheet{Header: []string{"", ""}, Keys: 1}
	for _, row := range [][2]string{{"file", p.File}, {"measured", when(p.At)}, {"machine", p.Host}, {"target", p.Target},
		{"seed", fmt.Sprint(p.Seed)}, {"requests sent for it", fmt.Sprint(p.Requests)}} {
		s.Rows = append(s.Rows, texts(row[0], row[1]))
	}
	return s
}
