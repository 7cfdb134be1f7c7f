package results

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// The files of a run's directory; doc.go says what they hold.
const (
	runFile      = "run.json"
	scenarioFile = "scenario.yaml"
	summaryFile  = "summary.csv"
	reportFile   = "report.html"
	plotsDir     = "plots"
	partsDir     = "replications"
	partName     = "p%04d-r%03d" // point, replication; more digits where they need them
	partPattern  = "p%d-r%d"     // reads partName: widths would be limits
)

// DefaultDir makes the directory where a run is stored unless its user says otherwise: runs/NAME-TIME or, where there is one
// already, runs/NAME-TIME-2 and so on.
func DefaultDir(name string, started time.Time) (string, error) {
	first := filepath.Join("runs", name+"-"+started.Format("20060102-150405"))
	if err := os.MkdirAll("runs", 0o755); err != nil {
		return "", fmt.Errorf("the directory of the results: %w", err)
	}
	for dir, i := first, 2; ; dir, i = fmt.Sprintf("%s-%d", first, i), i+1 {
		switch err := os.Mkdir(dir, 0o755); {
		case err == nil:
			return dir, nil
		case !errors.Is(err, fs.ErrExist):
			return "", fmt.Errorf("the directory of the results: %w", err)
		}
	}
}

// ErrNotEmpty says that the directory of a new run holds something.
var ErrNotEmpty = errors.New("it is not empty: give --out another directory")

// manifest is run.json.
type manifest struct {
	Name       string       `json:"name"`
	World      string       `json:"world"`
	State      State        `json:"state"`
	Missing    []missing    `json:"missing,omitempty"`
	Seed       uint64       `json:"seed"`
	Digest     string       `json:"digest,omitempty"` // real runs have none
	Version    string       `json:"version"`
	Algorithms string       `json:"algorithms,omitempty"`
	Host       string       `json:"host"`
	Command    []string     `json:"command"`
	Started    time.Time    `json:"started"`
	Swept      []string     `json:"swept"`
	Records    Keep         `json:"records"`
	Points     []pointState `json:"points"`
	Notes      []string     `json:"notes,omitempty"` // see Run.Warnings and Run.Sparse
	Metrics    []Definition `json:"metrics"`
	Columns    []Column     `json:"record_columns"`
	Scenario   string       `json:"scenario"`
	Origin     string       `json:"origin,omitempty"`
}

// missing says what an interrupted run lacks.
type missing struct {
	Point        int    `json:"point"`
	Label        string `json:"label"`
	Replications []int  `json:"replications"`
}

type pointState struct {
	*Point
	Digests []string `json:"digests,omitempty"` // of its replications, where the run has a digest
}

func (r *Run) manifest() manifest {
	m := manifest{Name: r.Name, World: r.World, State: r.State, Seed: r.Seed, Digest: r.digest(),
		Version: r.Version, Algorithms: r.Algorithms, Host: r.Host, Command: r.Command, Started: r.Started, Swept: r.Swept, Records: r.Keep,
		Notes: r.reportWarnings(), Metrics: Definitions, Columns: Columns, Scenario: string(r.Scenario), Origin: r.Origin}
	for _, p := range r.Points {
		if lacks := p.Missing(); len(lacks) > 0 {
			m.Missing = append(m.Missing, missing{p.Index, r.Label(p), lacks})
		}
		s := pointState{Point: p}
		for _, rep := range p.Replications {
			if r.World == "sim" {
				s.Digests = append(s.Digests, formatDigest(rep.Digest))
			}
		}
		m.Points = append(m.Points, s)
	}
	return m
}

func (m *manifest) run(dir string) *Run {
	r := &Run{Name: m.Name, Scenario: []byte(m.Scenario), Origin: m.Origin, Seed: m.Seed, Command: m.Command, Version: m.Version, Algorithms: m.Algorithms,
		Host: m.Host, World: m.World, Started: m.Started, Swept: m.Swept, Keep: m.Records, Dir: dir, State: m.State}
	for _, p := range m.Points {
		r.Points = append(r.Points, p.Point)
	}
	return r
}

// Writer stores a run as it comes. Its methods may be called by several goroutines.
type Writer struct {
	run *Run
	mu  sync.Mutex
}

// Create makes the directory of a new run, which must not exist or be empty. Run.Keep says which records to store.
// From then on the directory is readable, whatever happens.
func Create(dir string, run *Run) (*Writer, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the directory of the results: %w", err)
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("%s: %w", dir, ErrNotEmpty)
	}
	if err := os.MkdirAll(filepath.Join(dir, partsDir), 0o755); err != nil {
		return nil, fmt.Errorf("the directory of the results: %w", err)
	}
	run.Dir, run.State = dir, Running
	w := &Writer{run: run}
	if err := WriteFile(filepath.Join(dir, scenarioFile), run.Scenario); err != nil {
		return nil, err
	}
	return w, w.writeManifest()
}

// Resume goes on with the run in dir: it loads the replications that are finished into run, whose points say what is
// wanted. A run that is complete is left as it is. The scenario, the seed, the version and the records kept must be
// those of the directory, so that the completed run is bit for bit the one that was never interrupted.
func Resume(dir string, run *Run) (*Writer, error) {
	old, err := Open(dir)
	if err != nil {
		return nil, err
	}
	var differ []error
	check := func(what string, same bool, then, now any) {
		if !same {
			differ = append(differ, fmt.Errorf("%s: the run has another %s (%v) than is given now (%v): run anew, "+
				"or resume with what it began with", dir, what, then, now))
		}
	}
	check("seed", old.Seed == run.Seed, old.Seed, run.Seed)
	check("version of the program", old.Version == run.Version, old.Version, run.Version)
	check("code of the algorithms", old.Algorithms == run.Algorithms, old.Algorithms, run.Algorithms)
	check("choice of --records and --format", old.Keep == run.Keep, old.Keep, run.Keep)
	if string(old.Scenario) != string(run.Scenario) || len(old.Points) != len(run.Points) {
		differ = append(differ, fmt.Errorf("%s: the run has another scenario than is given now: run anew, or give %s",
			dir, filepath.Join(dir, scenarioFile)))
	}
	if err := errors.Join(differ...); err != nil {
		return nil, err
	}
	for i, p := range old.Points {
		run.Points[i].Replications = p.Replications
	}
	run.Dir, run.State, run.Started, run.Command = dir, old.State, old.Started, old.Command
	w := &Writer{run: run}
	if run.State == Complete {
		return w, nil
	}
	run.State = Running
	return w, w.writeManifest()
}

func (w *Writer) writeManifest() error {
	data, err := json.MarshalIndent(w.run.manifest(), "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", runFile, err)
	}
	return WriteFile(filepath.Join(w.run.Dir, runFile), append(data, '\n'))
}

// part is the path of a file of one replication.
func (r *Run) part(p *Point, index int, suffix string) string {
	return filepath.Join(r.Dir, partsDir, fmt.Sprintf(partName, p.Index, index)+suffix)
}

func (r *Run) records(p *Point, index int) string {
	return r.part(p, index, "."+string(r.Keep.partFormat()))
}

// partFormat is the format of the records of one replication until the run ends. Samples are many small files, and to
// read one in Parquet takes longer than the rest of the replication.
func (k Keep) partFormat() Format {
	if k.Mode == Sample {
		return CSV
	}
	return k.Format
}

// Requests is the path of the run's records.
func (r *Run) Requests() string { return filepath.Join(r.Dir, "requests."+string(r.Keep.Format)) }

// Save stores a finished replication and adds it to its point. It shrinks it to what summaries and figures need: the
// tally is packed, the records are in the file, and the load of single nodes is kept of a point's first replication.
func (w *Writer) Save(p *Point, r *Replication) error {
	if w.run.Keep.Mode != None && (len(r.Records) > 0 || !exists(w.run.records(p, r.Index))) {
		s, err := w.Stream(p, r.Index, r.Tally.Functions())
		if err != nil {
			return err
		}
		for i := range r.Records {
			s.Add(&r.Records[i])
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	r.Records = nil
	r.Tally.Pack()
	for _, t := range r.Batches {
		t.Pack()
	}
	if r.Series != nil {
		series := *r.Series // the host's may be part of something large, which it would keep from being collected
		if r.Index > 0 {
			series.Nodes, series.PerNode = nil, nil
		}
		r.Series = &series
	}
	if err := writeReplication(w.run.part(p, r.Index, ".json.gz"), r); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	p.Add(r)
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func writeReplication(path string, r *Replication) error {
	f, err := createAtomic(path)
	if err != nil {
		return err
	}
	z, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err == nil {
		err = json.NewEncoder(z).Encode(r)
	}
	return f.finish(errors.Join(err, z.Close()))
}

func readReplication(path string) (*Replication, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := &Replication{}
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err == nil {
		err = json.NewDecoder(z).Decode(r)
	}
	if err == nil && r.Tally == nil {
		err = errors.New("it has no tally")
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not a stored replication (remove it, and resume the run): %w", path, err)
	}
	return r, nil
}

// Stream takes the records of one replication as its requests end, so that no more than a few thousand are in memory.
type Stream struct {
	rows      *rowWriter
	point     *Point
	functions []string
	err       error
}

// Stream opens the stream of a replication's records; functions are the names of the scenario's. It is to be closed
// before the replication is saved. One goroutine uses it.
func (w *Writer) Stream(p *Point, index int, functions []string) (*Stream, error) {
	rows, err := newRowWriter(w.run.records(p, index), w.run.Keep.partFormat())
	if err != nil {
		return nil, err
	}
	return &Stream{rows: rows, point: p, functions: functions}, nil
}

// Add stores a record. An error is kept for Close.
func (s *Stream) Add(r *Record) {
	if s.err == nil {
		s.err = s.rows.write(newRow(s.point, s.functions, r))
	}
}

// Close ends the stream. Where something went wrong, no records are stored.
func (s *Stream) Close() error { return s.rows.finish(s.err) }

// Discard ends the stream of a replication that was not finished: no records are stored.
func (s *Stream) Discard() { _ = s.rows.finish(errDiscarded) }

var errDiscarded = errors.New("the replication was not finished")

// Finish writes what is made of the replications: the records in one file, the summary, the figures, the report. The
// run is complete if no wanted replication is missing; otherwise the directory says which are, and Resume goes on.
func (w *Writer) Finish() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.run
	if r.State == Complete {
		return nil // it was resumed, and nothing was missing
	}
	r.State = Complete
	for _, p := range r.Points {
		if len(p.Missing()) > 0 {
			r.State = Interrupted
		}
	}
	parts := r.recordParts()
	if err := r.joinRecords(parts); err != nil {
		return err
	}
	if err := r.Render(); err != nil {
		return err
	}
	if err := w.writeManifest(); err != nil || r.State != Complete {
		return err
	}
	for _, part := range parts { // last: a run that says that it is complete needs them no more
		if err := os.Remove(part); err != nil {
			return err
		}
	}
	return nil
}

// recordParts are the files with the records of the replications, in order of point and replication.
func (r *Run) recordParts() []string {
	var parts []string
	for _, p := range r.Points {
		for _, rep := range p.Replications {
			if r.Keep.Mode != None {
				parts = append(parts, r.records(p, rep.Index))
			}
		}
	}
	return parts
}

// joinRecords makes one file of the replications' records.
func (r *Run) joinRecords(parts []string) error {
	if r.Keep.Mode == None {
		return nil
	}
	out, err := newRowWriter(r.Requests(), r.Keep.Format)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if err = out.append(part); err != nil {
			break
		}
	}
	return out.finish(err)
}

// Open reads the directory of a run, complete or not. Points have the replications that are there.
func Open(dir string) (*Run, error) {
	data, err := os.ReadFile(filepath.Join(dir, runFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has no %s: it is not the directory of a run", dir, runFile)
	}
	if err != nil {
		return nil, err
	}
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, runFile), err)
	}
	run := m.run(dir)
	return run, run.load()
}

// load reads the replications that are there into their points.
func (r *Run) load() error {
	files, err := os.ReadDir(filepath.Join(r.Dir, partsDir))
	if err != nil {
		return err
	}
	points := map[int]*Point{}
	for _, p := range r.Points {
		points[p.Index] = p
	}
	for _, f := range files {
		var point, index int
		if _, err := fmt.Sscanf(f.Name(), partPattern+".json.gz", &point, &index); err != nil || points[point] == nil {
			continue
		}
		rep, err := readReplication(filepath.Join(r.Dir, partsDir, f.Name()))
		if err != nil {
			return err
		}
		points[point].Add(rep)
	}
	return nil
}

// WriteFile writes a file that takes its name when it is complete.
func WriteFile(path string, data []byte) error {
	f, err := createAtomic(path)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return f.finish(err)
}

// atomicFile is a file that takes its name when it is complete: who reads the directory finds the old one or the new
// one, and no half.
type atomicFile struct {
	*bufio.Writer
	file *os.File
	path string
}

func createAtomic(path string) (*atomicFile, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, fmt.Errorf("the results: %w", err)
	}
	return &atomicFile{bufio.NewWriter(f), f, path}, nil
}

// finish gives the file its name, or removes it where err or writing says that it is not complete.
func (f *atomicFile) finish(err error) error {
	err = errors.Join(err, f.Flush(), f.file.Chmod(0o644), f.file.Close())
	if err == nil {
		err = os.Rename(f.file.Name(), f.path)
	}
	if err != nil {
		os.Remove(f.file.Name())
		return fmt.Errorf("%s: %w", f.path, err)
	}
	return nil
}

// Simulated reports whether a directory of runs has a simulation that was made with these algorithms (Run.Algorithms).
func Simulated(dir, algorithms string) (bool, error) {
	runs, err := filepath.Glob(filepath.Join(dir, "*", runFile))
	if err != nil {
		return false, err
	}
	for _, path := range runs {
		text, err := os.ReadFile(path)
		if err != nil {
			return false, err
		}
		var m struct{ World, Algorithms string }
		if json.Unmarshal(text, &m) == nil && m.World == "sim" && m.Algorithms == algorithms { // a file that is none is no simulation
			return true, nil
		}
	}
	return false, nil
}
