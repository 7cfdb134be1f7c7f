package results

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/p2pfaas/p2pfaas/core"
)

// Row is a record as files have it: a line of requests.csv, a row of requests.parquet. The columns are the same in
// both and in both worlds; the struct tags are their names.
type Row struct {
	Point        int32   `parquet:"point" doc:"index of the setting: joins with summary.csv"`
	Scheduler    string  `parquet:"scheduler,dict" doc:"label of the scheduler"`
	Replication  int32   `parquet:"replication" doc:"index of the independent run"`
	ID           int64   `parquet:"id,delta" doc:"number of the request, in order of arrival within its replication"`
	Node         int32   `parquet:"node" doc:"node that the client called"`
	Function     string  `parquet:"function,dict" doc:"name of the function"`
	ArrivalNS    int64   `parquet:"arrival_ns" doc:"when the request was meant to leave its client, since the run began"`
	LateNS       int64   `parquet:"late_ns" doc:"how much later it left: the load generator's lateness, part of client_ns; 0 in simulation"`
	Outcome      string  `parquet:"outcome,dict" doc:"how it ended: completed, rejected, no-room, no-function, expired, lost-..."`
	Executor     int32   `parquet:"executor" doc:"node that executed it; -1 = none"`
	Hops         int32   `parquet:"hops" doc:"forwards"`
	Probes       int32   `parquet:"probes" doc:"peers probed or asked on its behalf"`
	Retries      int32   `parquet:"retries" doc:"forwards that were refused or not answered"`
	Cold         bool    `parquet:"cold" doc:"the execution began with a cold start"`
	ColdStartNS  int64   `parquet:"cold_start_ns" doc:"how long that took, part of executing_ns; 0 where there was none"`
	DemandNS     int64   `parquet:"demand_ns" doc:"service demand on a node of speed 1; 0 = not known"`
	LatencyNS    int64   `parquet:"latency_ns" doc:"as the client saw it: the sum of the seven parts that follow"`
	ClientNS     int64   `parquet:"client_ns" doc:"on the client's own link, both ways; in reality, all that its node does not see"`
	SchedulingNS int64   `parquet:"scheduling_ns" doc:"in decisions, probing not counted"`
	ProbingNS    int64   `parquet:"probing_ns" doc:"waiting for the answers of probed peers"`
	ForwardingNS int64   `parquet:"forwarding_ns" doc:"on the way to the executing node, failed attempts included"`
	WaitingNS    int64   `parquet:"waiting_ns" doc:"in waiting rooms"`
	ExecutingNS  int64   `parquet:"executing_ns" doc:"in a slot"`
	ReturningNS  int64   `parquet:"returning_ns" doc:"the answer's way back between nodes"`
	DeadlineNS   int64   `parquet:"deadline_ns" doc:"wanted latency; 0 = none"`
	EnergyJ      float64 `parquet:"energy_j" doc:"joules above idle that the request cost"`
	Rewarded     bool    `parquet:"rewarded" doc:"the scenario says what an answer is worth to a learner"`
	Reward       float64 `parquet:"reward" doc:"that; 0 where it does not"`
}

// newRow is r as files have it.
func newRow(p *Point, functions []string, r *Record) Row {
	t := &r.Timing
	return Row{Point: int32(p.Index), Scheduler: p.Scheduler, Replication: int32(r.Replication), ID: int64(r.ID),
		Node: int32(r.Node), Function: functions[r.Function], ArrivalNS: int64(r.Arrival), LateNS: int64(r.Late), Outcome: r.Outcome.String(),
		Executor: int32(r.Executor), Hops: int32(r.Hops), Probes: int32(r.Probes), Retries: int32(r.Retries), Cold: r.Cold, ColdStartNS: int64(r.ColdStart),
		DemandNS: int64(r.Demand), LatencyNS: int64(r.Latency), ClientNS: int64(r.Client),
		SchedulingNS: int64(t.Scheduling), ProbingNS: int64(t.Probing), ForwardingNS: int64(t.Forwarding),
		WaitingNS: int64(t.Waiting), ExecutingNS: int64(t.Executing), ReturningNS: int64(t.Returning),
		DeadlineNS: int64(r.Deadline), EnergyJ: r.EnergyJ, Rewarded: r.Rewarded, Reward: r.Reward}
}

// Completed reports whether the request was executed and answered.
func (r *Row) Completed() bool { return r.Outcome == core.Completed.String() }

// Format is how records are stored.
type Format string

// The formats of records.
const (
	Parquet Format = "parquet"
	CSV     Format = "csv"
)

// rowWriter writes rows to a file that takes its name when it is complete.
type rowWriter struct {
	file  *atomicFile
	write func(Row) error // by value: an address would be one allocation per record
	close func() error

	parquet *parquet.GenericWriter[Row] // nil: the file is CSV
}

// rowGroup bounds what a writer of Parquet holds in memory, about 10 MB.
const rowGroup = 64 * 1024

func newRowWriter(path string, format Format) (*rowWriter, error) {
	f, err := createAtomic(path)
	if err != nil {
		return nil, err
	}
	w := &rowWriter{file: f}
	if format == CSV {
		w.useCSV()
		return w, nil
	}
	pw := parquet.NewGenericWriter[Row](f, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(rowGroup))
	rows := make([]Row, 0, 1024)
	flush := func() error {
		_, err := pw.Write(rows)
		rows = rows[:0]
		return err
	}
	w.write = func(r Row) error {
		if rows = append(rows, r); len(rows) < cap(rows) {
			return nil
		}
		return flush()
	}
	w.close = func() error { return errors.Join(flush(), pw.Close()) }
	w.parquet = pw
	return w, nil
}

// append adds the rows of a file. The files that one writer takes are all of one format, and nothing else was written.
func (w *rowWriter) append(path string) error {
	if w.parquet != nil && !isCSV(path) {
		return w.appendParquet(path)
	}
	for row, err := range ReadRows(path) {
		if err != nil {
			return err
		}
		if err := w.write(row); err != nil {
			return err
		}
	}
	return nil
}

// appendParquet adds rows without taking them apart in between. Large groups are copied as they are stored, many times
// faster; small ones are gathered, since a group costs room and there may be no more than 32,767 in a file.
func (w *rowWriter) appendParquet(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	file, err := openParquet(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, group := range file.RowGroups() {
		if group.NumRows() >= rowGroup/2 {
			_, err = w.parquet.WriteRowGroup(group)
		} else {
			rows := group.Rows()
			_, err = parquet.CopyRows(w.parquet, rows)
			err = errors.Join(err, rows.Close())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func (w *rowWriter) useCSV() {
	cw := csv.NewWriter(w.file)
	line := header()
	first := cw.Write(line) // the writer keeps its error
	var row Row
	w.write = func(r Row) error {
		row = r
		row.format(line)
		return cw.Write(line)
	}
	w.close = func() error {
		cw.Flush()
		return errors.Join(first, cw.Error())
	}
}

// finish gives the file its name, or removes it where err says that it is not complete.
func (w *rowWriter) finish(err error) error {
	err = errors.Join(err, w.close())
	return w.file.finish(err)
}

// Column is a column of the records.
type Column struct {
	Name    string `json:"name"`
	Meaning string `json:"meaning"`
}

// Columns are those of the records, in order.
var Columns = func() (columns []Column) {
	for f := range reflect.TypeFor[Row]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("parquet"), ",")
		columns = append(columns, Column{name, f.Tag.Get("doc")})
	}
	return columns
}()

func header() []string {
	names := make([]string, len(Columns))
	for i, c := range Columns {
		names[i] = c.Name
	}
	return names
}

// format writes the row into the cells of a line of CSV.
func (r *Row) format(line []string) {
	v := reflect.ValueOf(r).Elem()
	for i := range line {
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			line[i] = f.String()
		case reflect.Bool:
			line[i] = strconv.FormatBool(f.Bool())
		case reflect.Float64:
			line[i] = strconv.FormatFloat(f.Float(), 'g', -1, 64)
		default:
			line[i] = strconv.FormatInt(f.Int(), 10)
		}
	}
}

// parse reads the row from the cells of a line of CSV.
func (r *Row) parse(line []string) error {
	v := reflect.ValueOf(r).Elem()
	var problems []error
	for i, cell := range line {
		var err error
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString(strings.Clone(cell))
		case reflect.Bool:
			var b bool
			b, err = strconv.ParseBool(cell)
			f.SetBool(b)
		case reflect.Float64:
			var x float64
			x, err = strconv.ParseFloat(cell, 64)
			f.SetFloat(x)
		default:
			var n int64
			n, err = strconv.ParseInt(cell, 10, f.Type().Bits())
			f.SetInt(n)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("column %s: %w", Columns[i].Name, err))
		}
	}
	return errors.Join(problems...)
}

// ReadRows reads the records of a file, one after the other. It ends with the first error.
func ReadRows(path string) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Row{}, err)
			return
		}
		defer f.Close()
		read := readParquet
		if isCSV(path) {
			read = readCSV
		}
		if err := read(f, yield); err != nil {
			yield(Row{}, fmt.Errorf("%s: %w", path, err))
		}
	}
}

func isCSV(path string) bool { return strings.EqualFold(filepath.Ext(path), ".csv") }

var errColumns = errors.New("its columns are not those of the records of a run")

func readCSV(f *os.File, yield func(Row, error) bool) error {
	r := csv.NewReader(f)
	r.ReuseRecord = true
	names, err := r.Read()
	if err != nil {
		return err
	}
	if !slices.Equal(names, header()) {
		return errColumns
	}
	for {
		line, err := r.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var row Row
		if err := row.parse(line); err != nil {
			n, _ := r.FieldPos(0)
			return fmt.Errorf("line %d: %w", n, err)
		}
		if !yield(row, nil) {
			return nil
		}
	}
}

// openParquet opens a file of records and checks its columns.
func openParquet(f *os.File) (*parquet.File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err == nil && !parquet.EqualNodes(parquet.SchemaOf(Row{}), file.Schema()) {
		err = errColumns
	}
	return file, err
}

func readParquet(f *os.File, yield func(Row, error) bool) error {
	file, err := openParquet(f)
	if err != nil {
		return err
	}
	r := parquet.NewGenericReader[Row](file)
	defer r.Close()
	rows := make([]Row, 1024)
	for {
		n, err := r.Read(rows)
		for _, row := range rows[:n] {
			if !yield(row, nil) {
				return nil
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
