package results

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Summary is the table of a run: a row per point, an interval per metric.
type Summary struct {
	Keys    []string // the swept keys; "scheduler" always among them
	Metrics []string
	Rows    []SummaryRow
}

// SummaryRow is the summary of one point.
type SummaryRow struct {
	Point        int
	Values       []string // of Summary.Keys
	Replications int
	Intervals    []Interval // of Summary.Metrics
}

// Summarise makes the summary of a run, with intervals at Confidence; no metrics means all that the run has.
func Summarise(r *Run, metrics ...string) *Summary {
	if len(metrics) == 0 {
		metrics = r.Metrics()
	}
	s := &Summary{Keys: slices.Clone(r.Swept), Metrics: metrics}
	if !slices.Contains(s.Keys, schedulerKey) {
		s.Keys = append(s.Keys, schedulerKey)
	}
	for _, p := range r.Points {
		row := SummaryRow{Point: p.Index, Replications: len(p.Replications)}
		for _, key := range s.Keys {
			row.Values = append(row.Values, r.Value(p, key))
		}
		for _, m := range metrics {
			row.Intervals = append(row.Intervals, p.Interval(m, Confidence))
		}
		s.Rows = append(s.Rows, row)
	}
	return s
}

// The columns of summary.csv beside keys and metrics.
const (
	pointColumn        = "point"
	replicationsColumn = "replications"
	intervalColumn     = "interval"
	loSuffix, hiSuffix = "_lo", "_hi"
)

// WriteSummary writes summary.csv: per point its index, the swept keys, the scheduler, the number of replications,
// where the intervals come from, and for every metric three columns, M, M_lo and M_hi. A cell is empty where there
// is no value. Times are in seconds, shares between 0 and 1.
func WriteSummary(w io.Writer, r *Run) error {
	s := Summarise(r)
	line := append([]string{pointColumn}, s.Keys...)
	line = append(line, replicationsColumn, intervalColumn)
	for _, m := range s.Metrics {
		line = append(line, m, m+loSuffix, m+hiSuffix)
	}
	c := csv.NewWriter(w)
	if err := c.Write(line); err != nil {
		return err
	}
	for _, row := range s.Rows {
		line = append(line[:0], strconv.Itoa(row.Point))
		line = append(line, row.Values...)
		line = append(line, strconv.Itoa(row.Replications), string(row.method()))
		for _, i := range row.Intervals {
			line = append(line, formatCell(i.Mean), formatCell(i.Lo()), formatCell(i.Hi()))
		}
		if err := c.Write(line); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// method is where the row's intervals come from.
func (r *SummaryRow) method() Method {
	for _, i := range r.Intervals {
		if i.Method != NoInterval {
			return i.Method
		}
	}
	return NoInterval
}

func formatCell(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	return strconv.FormatFloat(v, 'g', 9, 64)
}

// ReadSummary reads what WriteSummary wrote. The number under the intervals is not in the file: Interval.N is 0.
func ReadSummary(r io.Reader) (*Summary, error) {
	lines, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("summary: %w", err)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("summary: it is empty")
	}
	header := lines[0]
	n := slices.Index(header, replicationsColumn)
	if n < 1 || header[0] != pointColumn || len(header) < n+2 || (len(header)-n-2)%3 != 0 {
		return nil, fmt.Errorf("summary: the columns are not those of a summary: %s", strings.Join(header, ","))
	}
	s := &Summary{Keys: header[1:n]}
	for i := n + 2; i < len(header); i += 3 {
		s.Metrics = append(s.Metrics, header[i])
	}
	for i, line := range lines[1:] {
		row, err := parseSummaryRow(line, n)
		if err != nil {
			return nil, fmt.Errorf("summary: line %d: %w", i+2, err)
		}
		s.Rows = append(s.Rows, row)
	}
	return s, nil
}

// parseSummaryRow reads a line whose column n is the number of replications.
func parseSummaryRow(line []string, n int) (row SummaryRow, err error) {
	if row.Point, err = strconv.Atoi(line[0]); err != nil {
		return row, err
	}
	row.Values = line[1:n]
	if row.Replications, err = strconv.Atoi(line[n]); err != nil {
		return row, err
	}
	for c := n + 2; c < len(line); c += 3 {
		var v [3]float64
		for k, cell := range line[c : c+3] {
			v[k] = math.NaN()
			if cell == "" {
				continue
			}
			if v[k], err = strconv.ParseFloat(cell, 64); err != nil {
				return row, err
			}
		}
		i := Interval{Mean: v[0], Half: (v[2] - v[1]) / 2, Method: Method(line[n+1])}
		if math.IsNaN(i.Half) {
			i.Method = NoInterval
		}
		row.Intervals = append(row.Intervals, i)
	}
	return row, nil
}

// ColdStarts is how many of the measured executions began with a cold start, and how long those took on average, in
// words; empty where none did.
func (r *Run) ColdStarts() string {
	cold, executed, took := uint64(0), uint64(0), 0.0
	for _, p := range r.Points {
		for _, rep := range p.Replications {
			s := rep.Tally.total()
			cold, executed, took = cold+s.Cold, executed+s.Executed, took+s.ColdStart.seconds()
		}
	}
	if cold == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d executions began with one, which took %s on average", cold, executed,
		brief(time.Duration(took/float64(cold)*1e9)))
}
