package results

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/p2pfaas/p2pfaas/core"
)

//go:embed report.html
var reportText string

//go:embed report.css
var styleText string

// Stylesheet is the style of all reports: light or dark as the reader's system is, and fit for print.
func Stylesheet() template.CSS { return template.CSS(styleText) } //nolint:gosec // it is ours

var reportTemplate = template.Must(template.New("report").Parse(reportText))

// Report is the path of the run's report.
func (r *Run) Report() string { return filepath.Join(r.Dir, reportFile) }

// Render writes what follows from the stored replications and records: summary.csv, the figures, report.html.
func (r *Run) Render() error {
	f, err := createAtomic(filepath.Join(r.Dir, summaryFile))
	if err != nil {
		return err
	}
	if err := f.finish(WriteSummary(f, r)); err != nil {
		return err
	}
	figures := Figures(r)
	if err := os.MkdirAll(filepath.Join(r.Dir, plotsDir), 0o755); err != nil {
		return err
	}
	for _, fig := range figures {
		if err := fig.Save(filepath.Join(r.Dir, plotsDir, fig.Name+".svg")); err != nil {
			return err
		}
	}
	if f, err = createAtomic(r.Report()); err != nil {
		return err
	}
	return f.finish(WriteReport(f, r, figures))
}

// WriteReport writes a page that holds the run's figures and tables and needs nothing else.
func WriteReport(w io.Writer, r *Run, figures []*Figure) error {
	p := page{Run: r, Warnings: r.reportWarnings(), Digest: r.digest(), Command: commandLine(r.Command),
		Started: r.Started.Format("2 January 2006, 15:04:05 MST"), Confidence: fmt.Sprintf("%.0f %%", 100*Confidence),
		Note: capital(r.tableNote()), Metrics: Definitions}
	p.Replications, p.Jobs, p.Wall = r.work()
	p.Summary = toTable(Summarise(r, r.reportMetrics()...).print())
	var err error
	if p.Figures, err = inline(figures); err != nil {
		return err
	}
	if p.Differences, p.Unpaired, err = r.differences(); err != nil {
		return err
	}
	cases, labels, where := r.detail()
	p.Where = where
	if len(r.Functions()) > 1 {
		p.Functions = functionTable(cases, labels, r.Functions())
	}
	p.Faults, p.Befell = faultTable(cases, labels), r.Befell(befellLines, befellOccurrences)
	if p.Records, p.Kept, err = r.describeRecords(cases, labels); err != nil {
		return err
	}
	return reportTemplate.Execute(w, p)
}

// page is what the template shows.
type page struct {
	*Run
	Warnings     []string
	Digest       string
	Command      string
	Started      string
	Confidence   string
	Note         string
	Replications int
	Jobs         string
	Wall         string
	Figures      []inlineFigure
	Summary      htmlTable
	Differences  htmlTable
	Unpaired     string // which of the differences are not of all replications
	Functions    htmlTable
	Faults       htmlTable
	Befell       []string // by replication
	Records      htmlTable
	Kept         string
	Where        string // setting of the detailed tables
	Metrics      []Definition
}

// Style is that of all reports.
func (page) Style() template.CSS { return Stylesheet() }

// ScenarioText is the scenario file.
func (p page) ScenarioText() string { return string(p.Run.Scenario) }

// htmlTable is a table of the report.
type htmlTable struct {
	Header []string
	Keys   int // leading columns that name the row
	Rows   [][]string
}

// Head reports whether column i names the row.
func (t htmlTable) Head(i int) bool { return i < t.Keys }

func toTable(p printed) htmlTable {
	t := htmlTable{Keys: p.keys, Rows: p.rows}
	for i, name := range p.header {
		t.Header = append(t.Header, Scale{Unit: p.units[i]}.Label(name))
	}
	return t
}

// reportMetrics are those of the report's table; summary.csv has all.
func (r *Run) reportMetrics() []string {
	metrics := []string{"latency.mean", "latency.p50", "latency.p95", "latency.p99", "drop_rate", "deadline_share",
		"forwarded_share", "utilisation", "fairness", "messages_per_request"}
	if slices.ContainsFunc(r.means(r.Points, "energy"), func(joules float64) bool { return joules > 0 }) {
		metrics = append(metrics, "energy_per_completed")
	}
	if r.rewarded() {
		metrics = append(metrics, "reward.mean")
	}
	return metrics
}

func commandLine(args []string) string {
	var words []string
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\n'\"\\$`*?[]{}()<>|&;#~!") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// work is what the run consists of, in words.
func (r *Run) work() (replications int, jobs, wall string) {
	n, seconds := uint64(0), 0.0
	for _, p := range r.Points {
		for _, rep := range p.Replications {
			replications++
			n += rep.Jobs
			seconds += rep.WallTime.Seconds()
		}
	}
	sc := ScaleOf("s", seconds)
	return replications, grouped(n), Significant(seconds*sc.Factor, 3) + " " + sc.Unit
}

// grouped writes 1234567 as 1 234 567, with thin spaces.
func grouped(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// inlineFigure is a figure within the page.
type inlineFigure struct {
	Name, Caption string
	SVG           template.HTML
}

func inline(figures []*Figure) (all []inlineFigure, err error) {
	for _, f := range figures {
		svg, err := f.Inline()
		if err != nil {
			return nil, err
		}
		all = append(all, inlineFigure{f.Name, f.Caption, svg})
	}
	return all, nil
}

// Inline is the figure for a place within a page, with its caption for those who do not see it.
func (f *Figure) Inline() (template.HTML, error) {
	var b bytes.Buffer
	if err := f.WriteTo(&b, "svg"); err != nil {
		return "", err
	}
	_, svg, _ := bytes.Cut(b.Bytes(), []byte("<svg "))
	open := fmt.Sprintf(`<svg role="img" aria-label="%s" `, template.HTMLEscapeString(f.Caption))
	return template.HTML(open + string(svg)), nil //nolint:gosec // the drawing library escapes the texts in it
}

// comparedMetrics are those in which the report compares schedulers.
func (r *Run) comparedMetrics() []string {
	metrics := []string{"latency.mean", "latency.p95", "drop_rate", "messages_per_request"}
	if r.rewarded() {
		metrics = append(metrics, "deadline_share", "reward.mean")
	}
	return metrics
}

// differences compares the schedulers with the first one, and says which of the differences are not of all replications.
func (r *Run) differences() (t htmlTable, unpaired string, err error) {
	compared := r.comparedMetrics()
	all, err := CompareSchedulers(r, compared...)
	if err != nil || len(all) == 0 {
		return t, "", err
	}
	var lacking []string
	for _, w := range all[0].Where {
		key, _, _ := strings.Cut(w, " = ")
		t.Header = append(t.Header, key)
	}
	t.Header = append(t.Header, schedulerKey, "against")
	t.Keys = len(t.Header)
	scales := map[string]Scale{}
	for _, m := range compared {
		top := 0.0
		for _, d := range all {
			if d.Metric == m {
				top = max(top, positive(math.Abs(d.Mean)))
			}
		}
		scales[m] = ScaleOf(Unit(m), top)
		t.Header = append(t.Header, scales[m].Label(Title(m)))
	}
	for row := range slices.Chunk(all, len(compared)) {
		var cells []string
		for _, w := range row[0].Where {
			_, value, _ := strings.Cut(w, " = ")
			cells = append(cells, value)
		}
		cells = append(cells, row[0].B, row[0].A)
		for _, d := range row {
			cells = append(cells, d.format(scales[d.Metric]))
		}
		t.Rows = append(t.Rows, cells)
		if i := slices.IndexFunc(row, func(d Difference) bool { return d.Partial() }); i >= 0 {
			d := &row[i]
			lacking = append(lacking, fmt.Sprintf("%d at %s (which has %d, and %s %d)", d.N, strings.Join(append(slices.Clone(d.Where), d.B), ", "),
				d.Replications[1], d.A, d.Replications[0]))
		}
	}
	return t, listed(lacking, "; ", func(s string) string { return s }), nil
}

// format writes a difference: "-31 ± 4 (-8 %)", and "≈" before one whose interval contains 0.
func (d *Difference) format(sc Scale) string {
	s := sc.format(d.Interval)
	if d.Mean > 0 {
		s = "+" + s
	}
	s = strings.Replace(s, "-", "\u2212", 1)
	if r := d.Relative(); !math.IsNaN(r) && !math.IsInf(r, 0) {
		s += strings.Replace(fmt.Sprintf(" (%+.0f %%)", 100*r), "-", "\u2212", 1)
	}
	if !math.IsNaN(d.Half) && !d.Clear() {
		s = "≈ " + s
	}
	return s
}

// functionTable is a row per case and function.
func functionTable(cases []*Point, labels, functions []string) htmlTable {
	metrics := []string{"requests", "latency.mean", "latency.p95", "waiting.mean", "drop_rate", "deadline_share",
		"forwarded_share"}
	s := &Summary{Keys: []string{"case", "function"}, Metrics: metrics}
	for i, p := range cases {
		for _, f := range functions {
			row := SummaryRow{Values: []string{labels[i], f}}
			for _, m := range metrics {
				row.Intervals = append(row.Intervals, p.Interval(m+"["+f+"]", Confidence))
			}
			s.Rows = append(s.Rows, row)
		}
	}
	return toTable(s.print())
}

// What a report has of the faults that occurred.
const (
	befellLines       = 20
	befellOccurrences = 20
)

// faultTable is a row per case and fault: how often it occurred in a replication, and when first, in the mean of those where it did.
func faultTable(cases []*Point, labels []string) htmlTable {
	t := htmlTable{Header: []string{"case", "fault", "times per replication", "first (s)"}, Keys: 2}
	for k, p := range cases {
		var faults []FaultCount
		if len(p.Replications) > 0 {
			faults = p.Replications[0].Faults
		}
		for i, f := range faults {
			times, first, in := 0, 0.0, 0
			for _, r := range p.Replications {
				if x := r.Faults[i]; x.Times > 0 {
					times, first, in = times+x.Times, first+x.First.Seconds(), in+1
				}
			}
			row := []string{labels[k], f.Fault, Significant(float64(times)/float64(len(p.Replications)), 3), "never"}
			if in > 0 {
				row[3] = Significant(first/float64(in), 3)
			}
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

// describeRecords describes the latencies of the stored records of the cases; kept says in words which are stored.
func (r *Run) describeRecords(cases []*Point, labels []string) (t htmlTable, kept string, err error) {
	switch r.Keep.Mode {
	case Sample:
		kept = "a uniform sample of each replication's requests"
	case All:
		kept = "all requests of the measured part"
	}
	if kept == "" || !exists(r.Requests()) {
		return t, "", nil
	}
	values := map[int]*reservoir{}
	for _, p := range cases {
		values[p.Index] = &reservoir{}
	}
	for row, err := range ReadRows(r.Requests()) {
		if err != nil {
			return t, "", err
		}
		if v := values[int(row.Point)]; v != nil && row.Outcome == core.Completed.String() {
			v.add(float64(row.LatencyNS) / 1e9)
		}
	}
	top := 0.0
	descriptions := make([]Description, len(cases))
	for i, p := range cases {
		descriptions[i] = Describe(values[p.Index].kept)
		top = max(top, positive(descriptions[i].Q3))
	}
	sc := ScaleOf("s", top)
	t.Keys = 1
	t.Header = []string{"case", "records"}
	for _, name := range []string{"mean", "standard deviation", "least", "first quartile", "median", "third quartile",
		"95th percentile", "99th percentile", "longest"} {
		t.Header = append(t.Header, sc.Label(name))
	}
	for i, d := range descriptions {
		row := []string{labels[i], grouped(uint64(values[cases[i].Index].seen))}
		for _, v := range []float64{d.Mean, d.Std, d.Min, d.Q1, d.Median, d.Q3, d.P95, d.P99, d.Max} {
			row = append(row, Significant(v*sc.Factor, 4))
		}
		t.Rows = append(t.Rows, row)
	}
	return t, kept, nil
}

// SchedulerList is the run's schedulers in one line.
func (p page) SchedulerList() string {
	labels := p.Run.Schedulers()
	if len(labels) > maxLines {
		labels = append(slices.Clone(labels[:maxLines]), fmt.Sprintf("and %d more", len(labels)-maxLines))
	}
	return strings.Join(labels, " · ")
}
