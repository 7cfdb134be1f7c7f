package results

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// headline are the metrics of a table unless its user names others.
var headline = []string{"latency.mean", "latency.p95", "drop_rate", "forwarded_share", "utilisation"}

func (r *Run) tableMetrics() []string {
	if r.rewarded() {
		return append(slices.Clone(headline), "deadline_share", "reward.mean")
	}
	return headline
}

// printed is a table of a summary in words: a column per key and per metric, in one unit each.
type printed struct {
	header []string
	units  []string // of the columns; "" = none
	rows   [][]string
	keys   int // how many of the columns are keys
}

// print puts a summary into words.
func (s *Summary) print() printed {
	t := printed{header: append(slices.Clone(s.Keys), s.Metrics...), units: make([]string, len(s.Keys)), keys: len(s.Keys)}
	scales := make([]Scale, len(s.Metrics))
	for k, m := range s.Metrics {
		top := 0.0
		for _, row := range s.Rows {
			top = max(top, positive(row.Intervals[k].Mean))
		}
		scales[k] = ScaleOf(Unit(m), top)
		t.units = append(t.units, scales[k].Unit)
	}
	for _, row := range s.Rows {
		cells := slices.Clone(row.Values)
		for k, i := range row.Intervals {
			cells = append(cells, scales[k].format(i))
		}
		t.rows = append(t.rows, cells)
	}
	return t
}

// positive is v, or 0 where it is negative or NaN.
func positive(v float64) float64 {
	if v > 0 {
		return v
	}
	return 0
}

// format writes an interval as "312 ± 4", in the scale's unit: the half-width with one digit that says something (two
// where the first is 1), the mean with as many decimals.
func (s Scale) format(i Interval) string {
	mean, half := i.Mean*s.Factor, i.Half*s.Factor
	switch {
	case math.IsNaN(mean):
		return "-"
	case math.IsNaN(half):
		return Significant(mean, 4)
	case half == 0:
		return Significant(mean, 6) + " ± 0"
	}
	decimals := decimalsOf(half)
	return strconv.FormatFloat(mean, 'f', decimals, 64) + " ± " + strconv.FormatFloat(half, 'f', decimals, 64)
}

// decimalsOf is how many decimals a half-width deserves.
func decimalsOf(half float64) int {
	exponent := math.Floor(math.Log10(half))
	decimals := -int(exponent)
	if half/math.Pow(10, exponent) < 2 {
		decimals++
	}
	return min(max(0, decimals), 9)
}

// Significant writes v with at most so many significant digits, and no exponent where it can be read without; "-" for
// NaN.
func Significant(v float64, digits int) string {
	if math.IsNaN(v) {
		return "-"
	}
	if a := math.Abs(v); a >= 1e6 || a > 0 && a < 1e-4 {
		return strconv.FormatFloat(v, 'g', digits, 64)
	}
	s := strconv.FormatFloat(v, 'f', max(0, digits-1-int(math.Floor(math.Log10(max(math.Abs(v), 1e-4))))), 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// Table prints the run's metrics, a row per point, with their intervals; with colours, framed for a terminal.
func Table(w io.Writer, r *Run, colours bool, metrics ...string) error {
	if len(metrics) == 0 {
		metrics = r.tableMetrics()
	}
	p := Summarise(r, metrics...).print()
	t := TextTable{Keys: p.keys, Rows: p.rows}
	for i, name := range p.header {
		if p.units[i] != "" {
			name += " [" + p.units[i] + "]"
		}
		t.Header = append(t.Header, name)
	}
	for i, row := range p.rows {
		if i > 0 && p.keys > 1 && row[0] != p.rows[i-1][0] && len(r.Schedulers()) > 1 {
			t.Breaks = append(t.Breaks, i)
		}
	}
	_, err := io.WriteString(w, t.Render(colours)+r.tableNote()+"\n")
	return err
}

// TextTable is a table for a terminal or a pipe.
type TextTable struct {
	Header []string
	Keys   int // leading columns that name the row; the others are aligned to the right
	Rows   [][]string
	Breaks []int // rows that a group begins with
}

// Render is the table in lines; with colours, framed for a terminal.
func (t *TextTable) Render(colours bool) string {
	w := table.NewWriter()
	style := table.Style{Name: "plain", Box: table.StyleBoxDefault, Options: table.OptionsNoBordersAndSeparators}
	if colours {
		style = table.StyleLight
		style.Options.SeparateColumns = false
		style.Color.Header = text.Colors{text.Bold}
	}
	style.Format = table.FormatOptions{Header: text.FormatDefault}
	w.SetStyle(style)
	var configs []table.ColumnConfig
	for i := t.Keys; i < len(t.Header); i++ {
		configs = append(configs, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	w.SetColumnConfigs(configs)
	w.AppendHeader(cells(t.Header))
	for i, row := range t.Rows {
		if colours && slices.Contains(t.Breaks, i) {
			w.AppendSeparator()
		}
		w.AppendRow(cells(row))
	}
	var b strings.Builder
	for line := range strings.SplitSeq(w.Render(), "\n") {
		fmt.Fprintln(&b, strings.TrimRight(line, " ")) // lines of a pipe do not end in spaces
	}
	return b.String()
}

func cells(texts []string) (row table.Row) {
	for _, s := range texts {
		row = append(row, s)
	}
	return row
}

// tableNote says what the intervals of a table are, and what is missing.
func (r *Run) tableNote() string {
	note := strings.TrimPrefix(r.caption(r.Points), "; ")
	note = strings.Replace(note, "mean and", "mean ± half-width of the", 1)
	if n := r.missing(); n > 0 {
		note += fmt.Sprintf("; %d replications are missing", n)
	}
	return note
}

// missing is how many replications are wanted and not there.
func (r *Run) missing() (n int) {
	for _, p := range r.Points {
		n += len(p.Missing())
	}
	return n
}

// pointJSON is a point as WriteJSON prints it.
type pointJSON struct {
	Index        int                 `json:"index"`
	Scheduler    string              `json:"scheduler"`
	Settings     map[string]string   `json:"settings"`
	Replications int                 `json:"replications"`
	Missing      int                 `json:"missing"`
	Metrics      map[string]Interval `json:"metrics"`
}

// WriteJSON prints the summary of a run for a script: its provenance, and per point every metric, or those that are
// named, with its interval, and what is to be known before believing them. Times are in seconds, shares between 0 and 1;
// null stands for no value.
func WriteJSON(w io.Writer, r *Run, metrics ...string) error {
	s := Summarise(r, metrics...)
	points := []pointJSON{}
	for i, row := range s.Rows {
		p := pointJSON{Index: row.Point, Scheduler: r.Points[i].Scheduler, Settings: map[string]string{},
			Replications: row.Replications, Missing: len(r.Points[i].Missing()), Metrics: map[string]Interval{}}
		for k, key := range s.Keys {
			p.Settings[key] = row.Values[k]
		}
		for k, m := range s.Metrics {
			p.Metrics[m] = row.Intervals[k]
		}
		points = append(points, p)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Name       string      `json:"name"`
		World      string      `json:"world"`
		State      State       `json:"state"`
		Seed       uint64      `json:"seed"`
		Digest     string      `json:"digest,omitempty"`
		Version    string      `json:"version"`
		Algorithms string      `json:"algorithms,omitempty"`
		Directory  string      `json:"directory"`
		Confidence float64     `json:"confidence"`
		Points     []pointJSON `json:"points"`
		Notes      []string    `json:"notes,omitempty"` // see Run.Warnings and Run.Sparse
	}{r.Name, r.World, r.State, r.Seed, r.digest(), r.Version, r.Algorithms, r.Dir, Confidence, points, append(r.Warnings(), r.Sparse(s.Metrics...)...)})
}
