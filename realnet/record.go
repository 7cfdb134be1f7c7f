package realnet

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// The log of a node on disk: every input, and what the node did about it. docs/adr/0012-record-and-replay.md says why it
// is as it is; replay.go reads it.

// RecordSuffix is how the names of logs end.
const RecordSuffix = ".record.jsonl.gz"

// The format of a log. A reader refuses other versions.
const (
	recordFormat  = "p2pfaas record"
	recordVersion = 2
	recordOldest  = 1 // the oldest version that is read: it has no functions
)

// recordLine is a line of a log. Exactly one field is set.
type recordLine struct {
	Header  *recordHeader `json:"header,omitempty"`  // the first line
	Machine *numbered     `json:"machine,omitempty"` // has a number from here on
	// Function is one that has a number from here on; since version 2.
	Function *named       `json:"function,omitempty"`
	Input    *core.Input  `json:"input,omitempty"`
	Did      *core.Effect `json:"did,omitempty"`     // about the input before
	Stopped  string       `json:"stopped,omitempty"` // the last line, where the recording ended before the node did: why
	End      *recordEnd   `json:"end,omitempty"`     // the last line of a log that is whole
}

// recordHeader is all that a replay must know before the first input.
type recordHeader struct {
	Format   string    `json:"format"`
	Version  int       `json:"version"`
	Program  string    `json:"program,omitempty"` // version of the program
	Arch     string    `json:"arch"`              // GOARCH
	Started  time.Time `json:"started"`           // 0 of the node's clock, by the wall clock
	Identity Identity  `json:"identity"`
	Machines []string  `json:"machines"` // addresses by number; empty: that of no known machine
	// Functions are the names by number; since version 2.
	Functions []string     `json:"functions,omitempty"`
	Origin    *core.Origin `json:"origin"`
}

// numbered is an address that has got a number.
type numbered struct {
	Number  core.NodeID `json:"number"`
	Address string      `json:"address"`
}

// named is a function that has got a number.
type named struct {
	Number core.FunctionID `json:"number"`
	Name   string          `json:"name"`
}

// recordEnd counts what the log has.
type recordEnd struct {
	Inputs  int `json:"inputs"`
	Effects int `json:"effects"`
}

// Limits of the writer.
const (
	recordBuffer = 1 << 16     // lines, or bundles of them, that wait to be written
	recordFlush  = time.Second // what is older is on disk
)

var errRecordBehind = fmt.Errorf("the disk was too slow: %d entries were waiting to be written", recordBuffer)

// Recorder writes the log of a node. What it is told it queues, without ever waiting for the disk; a goroutine writes. Where
// the queue is full, or the disk is, the recording ends, loudly, and the node goes on.
type Recorder struct {
	path   string
	header recordHeader
	queue  chan recordEntry
	quit   chan struct{} // closed when nothing is queued any more
	ended  chan struct{} // closed when the goroutine has ended

	stopped atomic.Bool
	mu      sync.Mutex
	why     error // the recording ended early
}

// recordEntry is what is queued: one of the fields.
type recordEntry struct {
	header  *recordHeader
	machine *numbered
	named   *named
	input   *core.Input
	effects []core.Effect
}

// RecorderOptions say where the log goes, and what its header says.
type RecorderOptions struct {
	Dir      string
	Program  string // version of the program
	Identity Identity
	Number   core.NodeID // of the node
	Machines []string    // addresses by number; the log has no other numbers, but for those that Recorder.Met tells
	// Functions are names by number; Recorder.Named tells of others.
	Functions []string
	Faults    *Faults // that may fill the disk; nil: nothing does
}

// OpenRecorder creates the log of a node: node-NUMBER in the directory or, where that is there (the node ran before),
// node-NUMBER.2 and so on.
func OpenRecorder(o RecorderOptions) (*Recorder, error) {
	if err := os.MkdirAll(o.Dir, 0o777); err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	var file *os.File
	for life := 1; file == nil; life++ {
		name := fmt.Sprintf("node-%d", o.Number)
		if life > 1 {
			name += fmt.Sprintf(".%d", life)
		}
		var err error
		file, err = os.OpenFile(filepath.Join(o.Dir, name+RecordSuffix), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("recording: %w", err)
		}
	}
	r := &Recorder{path: file.Name(), queue: make(chan recordEntry, recordBuffer), quit: make(chan struct{}), ended: make(chan struct{}),
		header: recordHeader{Format: recordFormat, Version: recordVersion, Program: o.Program, Arch: runtime.GOARCH,
			Identity: o.Identity, Machines: o.Machines, Functions: o.Functions}}
	go r.run(&faultyDisk{file, o.Faults})
	return r, nil
}

// Met notes that a machine has got a number, before that is used in an input. It may be called from any goroutine.
func (r *Recorder) Met(number core.NodeID, address string) {
	r.put(recordEntry{machine: &numbered{number, address}})
}

// Named notes that a function has got a number, as Met does for a machine.
func (r *Recorder) Named(number core.FunctionID, name string) {
	r.put(recordEntry{named: &named{number, name}})
}

// begin writes the header; the node's clock began at an instant by which its inputs have their times.
func (r *Recorder) begin(o *core.Origin, began time.Time) {
	r.header.Origin, r.header.Started = o, began.UTC()
	r.put(recordEntry{header: &r.header})
}

// input notes an input before it is applied. What it refers to may not be altered any more.
func (r *Recorder) input(in core.Input) {
	if in.Peers != nil { // never a nil slice: JSON would make it a nil pointer, which means no change
		peers := append([]core.NodeID{}, *in.Peers...)
		in.Peers = &peers
	}
	r.put(recordEntry{input: &in})
}

// effects notes what the node did about the last input.
func (r *Recorder) effects(did []core.Effect) {
	if len(did) > 0 {
		r.put(recordEntry{effects: slices.Clone(did)})
	}
}

func (r *Recorder) put(e recordEntry) {
	if r.stopped.Load() {
		return
	}
	select {
	case r.queue <- e:
	default:
		r.stop(errRecordBehind)
	}
}

// stop ends the recording; why is nil where the node has ended.
func (r *Recorder) stop(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if why != nil && r.why == nil {
		r.why = why
		slog.Error("the recording has ended, and is incomplete; the node goes on", "log", r.path, "error", why)
	}
	if !r.stopped.Swap(true) {
		close(r.quit)
	}
}

// close ends the log and returns when it is on disk. why is nil where the node ended in good order.
func (r *Recorder) close(why error) {
	r.stop(why)
	<-r.ended
}

// Err is why the recording has ended early; nil where it has not.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.why != nil {
		return fmt.Errorf("the recording %s is incomplete: %w", r.path, r.why)
	}
	return nil
}

// run is the goroutine.
func (r *Recorder) run(file io.WriteCloser) {
	defer close(r.ended)
	w := newRecordWriter(file)
	err := r.write(w)
	if err == nil {
		r.mu.Lock()
		why := r.why
		r.mu.Unlock()
		err = w.finish(why)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		r.stop(err)
	}
}

// write writes what is queued until there is no more.
func (r *Recorder) write(w *recordWriter) error {
	tick := time.NewTicker(recordFlush)
	defer tick.Stop()
	for {
		var err error
		select {
		case e := <-r.queue:
			err = w.entry(&e)
		case <-tick.C:
			err = w.flush()
		case <-r.quit:
			for {
				select {
				case e := <-r.queue:
					if err := w.entry(&e); err != nil {
						return err
					}
				default:
					return nil
				}
			}
		}
		if err != nil {
			return err
		}
	}
}

// recordWriter makes lines of entries.
type recordWriter struct {
	buffer *bufio.Writer
	gzip   *gzip.Writer
	json   *json.Encoder
	count  recordEnd
	fresh  bool // something was written since the last flush
}

func newRecordWriter(to io.Writer) *recordWriter {
	w := &recordWriter{buffer: bufio.NewWriterSize(to, 1<<16)}
	w.gzip, _ = gzip.NewWriterLevel(w.buffer, gzip.BestSpeed) // the level is a valid one
	w.json = json.NewEncoder(w.gzip)
	w.json.SetEscapeHTML(false)
	return w
}

func (w *recordWriter) entry(e *recordEntry) error {
	w.fresh = true
	switch {
	case e.header != nil:
		return w.json.Encode(recordLine{Header: e.header})
	case e.machine != nil:
		return w.json.Encode(recordLine{Machine: e.machine})
	case e.named != nil:
		return w.json.Encode(recordLine{Function: e.named})
	case e.input != nil:
		w.count.Inputs++
		return w.json.Encode(recordLine{Input: e.input})
	}
	w.count.Effects += len(e.effects)
	for i := range e.effects {
		if err := w.json.Encode(recordLine{Did: &e.effects[i]}); err != nil {
			return err
		}
	}
	return nil
}

// flush brings what there is to the disk, so that a node that is killed leaves it.
func (w *recordWriter) flush() error {
	if !w.fresh {
		return nil
	}
	w.fresh = false
	return errors.Join(w.gzip.Flush(), w.buffer.Flush())
}

// finish writes the last line.
func (w *recordWriter) finish(why error) error {
	last := recordLine{End: &w.count}
	if why != nil {
		last = recordLine{Stopped: why.Error()}
	}
	return errors.Join(w.json.Encode(last), w.gzip.Close(), w.buffer.Flush())
}
