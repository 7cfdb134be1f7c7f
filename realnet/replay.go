package realnet

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// Replay of a log that record.go wrote. A log may come from anybody: what it says is checked before it is believed, and no
// more of it than one step is in memory.

// Replayed is what became of a log.
type Replayed struct {
	Node      core.NodeID
	Identity  Identity
	Program   string    // version of the program that recorded
	Arch      string    // GOARCH of the machine that recorded
	Started   time.Time // 0 of the node's clock, by its wall clock
	Scheduler string    // the first one, as answers announce it

	Inputs, Verdicts, Effects int // that were compared; verdicts are among the effects
	Until                     core.Time
	Incomplete                string // why the log is not whole; empty: it is

	Difference *core.Difference // the first one; nil: there is none
	Line       int              // of the input that makes the difference
	Machines   []string         // addresses by number, as far as the log was read
	Nodes      int              // of the cluster: they have the first numbers
	Cloud      core.NodeID      // NoNode: there is none
}

// Replay drives a fresh node with a log and compares what it does with what is recorded, up to the first difference. It
// opens no socket. The error says what is wrong with the log and where; what was compared before that is returned with it,
// unless the log has no header.
func Replay(from io.Reader) (*Replayed, error) {
	lines, err := linesOf(from)
	if err != nil {
		return nil, err
	}
	return replayLines(lines)
}

// ErrEmptyLog is what is wrong with a log of which nothing has come to the disk.
var ErrEmptyLog = errors.New("the log is empty: the node was killed before its first second was over, or its disk was full from the beginning")

// linesOf are the lines of a log.
func linesOf(from io.Reader) (io.Reader, error) {
	lines, err := gzip.NewReader(from)
	switch {
	case errors.Is(err, io.EOF):
		return nil, ErrEmptyLog
	case err != nil:
		return nil, fmt.Errorf("this is no log of a node: %w", err)
	}
	return lines, nil
}

// replayLines is Replay of what is not compressed.
func replayLines(from io.Reader) (*Replayed, error) {
	r := &recordReader{lines: bufio.NewReaderSize(from, 1<<16)}
	h, err := r.header()
	if err != nil {
		return nil, err
	}
	r.done = Replayed{Node: h.Origin.Node, Identity: h.Identity, Program: h.Program, Arch: h.Arch, Started: h.Started,
		Nodes: h.Origin.Topology.Nodes, Cloud: h.Origin.Topology.Cloud}
	err = core.Replay(h.Origin, r.steps, r.build)
	r.done.Machines = r.machines
	if errors.As(err, &r.done.Difference) {
		r.done.Line = r.at
		return &r.done, nil
	}
	if err != nil && err != r.broken {
		err = fmt.Errorf("line %d: %w", r.at, err)
	}
	return &r.done, err
}

// Limits of what is read.
const (
	longestLine = 16 << 20 // bytes
	mostEffects = 1 << 18  // of one input
	longestStep = 64 << 20 // bytes of its lines
	mostNames   = 64 << 20 // bytes of all addresses and names
)

// recordReader reads a log.
type recordReader struct {
	lines     *bufio.Reader
	text      []byte // of the line
	line      int    // its number
	machines  []string
	functions []string
	named     int // bytes of the machines and the functions
	count     recordEnd
	size      int // bytes of the lines of the last input and its effects

	at     int        // the line where the step begins that is replayed
	ahead  *core.Step // the step after it, whose first line has been read
	over   bool       // there are no more lines
	whole  bool       // the last one was the end
	broken error      // what is wrong with them
	done   Replayed
}

// errBreaksOff is where the file ends before the log does.
var errBreaksOff = errors.New("it breaks off: the node was killed, or still runs")

// next reads a line and what it says.
func (r *recordReader) next() (*recordLine, error) {
	if err := r.fetch(); err != nil {
		return nil, err
	}
	return r.parse()
}

// fetch reads a line.
func (r *recordReader) fetch() error {
	r.text = r.text[:0]
	for {
		part, err := r.lines.ReadSlice('\n')
		r.text = append(r.text, part...)
		if len(r.text) > longestLine {
			return fmt.Errorf("line %d is longer than %d bytes", r.line+1, longestLine)
		}
		if err == nil {
			r.line++
			return nil
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return errBreaksOff
		default:
			return fmt.Errorf("after line %d the log is damaged: %w", r.line, err)
		}
	}
}

// parse is what the line says.
func (r *recordReader) parse() (*recordLine, error) {
	var l recordLine
	d := json.NewDecoder(bytes.NewReader(r.text))
	d.DisallowUnknownFields()
	err := d.Decode(&l)
	if err == nil && l.parts() != 1 {
		err = errors.New("it is not one of header, machine, function, input, did, stopped, end")
	}
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) { // More is false before a stray bracket
			err = errors.New("something follows its JSON value")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("line %d is none of a log: %w", r.line, err)
	}
	return &l, nil
}

// parts is how many fields are set.
func (l *recordLine) parts() (n int) {
	for _, is := range []bool{l.Header != nil, l.Machine != nil, l.Function != nil, l.Input != nil, l.Did != nil, l.Stopped != "", l.End != nil} {
		if is {
			n++
		}
	}
	return n
}

// header reads the first line: first what each version says in the same way, as others may say more.
func (r *recordReader) header() (*recordHeader, error) {
	r.at = 1
	if err := r.fetch(); err != nil {
		return nil, err
	}
	var said struct {
		Header struct {
			Format, Program string
			Version         int
		}
	}
	err := json.Unmarshal(r.text, &said)
	if err == nil && said.Header.Format != recordFormat {
		err = fmt.Errorf("its format is not %q", recordFormat)
	}
	if err != nil {
		return nil, fmt.Errorf("line 1 is no header: this is no log of a node: %w", err)
	}
	program := cmp.Or(said.Header.Program, "unknown")
	if v := said.Header.Version; v < recordOldest || v > recordVersion {
		return nil, fmt.Errorf("line 1: the log has version %d of the format, and this program reads versions %d to %d: replay it "+
			"with p2pfaas %s, which wrote it", v, recordOldest, recordVersion, program)
	}
	l, err := r.parse()
	if err != nil {
		return nil, fmt.Errorf("%w; p2pfaas %s wrote it", err, program)
	}
	h := l.Header
	if h == nil || h.Origin == nil {
		return nil, errors.New("line 1 is no header, or has no origin: this is no log of a node")
	}
	for _, a := range h.Machines {
		if err := r.meet(core.NodeID(len(r.machines)), a); err != nil {
			return nil, fmt.Errorf("line 1: %w", err)
		}
	}
	for _, name := range h.Functions {
		if err := r.name(core.FunctionID(len(r.functions)), name); err != nil {
			return nil, fmt.Errorf("line 1: %w", err)
		}
	}
	o := h.Origin
	if o.Topology.Nodes > len(r.machines) {
		return nil, fmt.Errorf("line 1: a cluster of %d nodes, of which %d have addresses", o.Topology.Nodes, len(r.machines))
	}
	err = r.known(append(slices.Clone(o.Topology.Edges), o.Node, o.Topology.Cloud)...)
	for _, holders := range o.Topology.Holders {
		err = cmp.Or(err, r.known(holders...))
	}
	if err != nil {
		return nil, fmt.Errorf("line 1: %w", err)
	}
	return h, nil
}

// meet takes note of a number.
func (r *recordReader) meet(number core.NodeID, address string) error {
	if int(number) != len(r.machines) {
		return fmt.Errorf("machine %q has the number %d: the next one is %d", address, number, len(r.machines))
	}
	r.machines = append(r.machines, address)
	return r.keep(address)
}

// name takes note of the number of a function.
func (r *recordReader) name(number core.FunctionID, name string) error {
	if int(number) != len(r.functions) {
		return fmt.Errorf("function %q has the number %d: the next one is %d", name, number, len(r.functions))
	}
	r.functions = append(r.functions, name)
	return r.keep(name)
}

// keep bounds what is kept of names.
func (r *recordReader) keep(name string) error {
	if r.named += 16 + len(name); r.named > mostNames {
		return fmt.Errorf("the addresses of the machines and the names of the functions take more than %d bytes", mostNames)
	}
	return nil
}

// known reports a number that no machine has.
func (r *recordReader) known(ids ...core.NodeID) error {
	for _, id := range ids {
		if id < core.NoNode || int(id) >= len(r.machines) {
			return fmt.Errorf("node %d: the machines have numbers below %d", id, len(r.machines))
		}
	}
	return nil
}

// check reports numbers in an input that no machine has.
func (r *recordReader) check(in *core.Input) error {
	var problems []error
	if in.Peers != nil {
		problems = append(problems, r.known(*in.Peers...))
	}
	for i := range in.Functions {
		problems = append(problems, r.known(in.Functions[i].Node))
	}
	if m := in.Message; m != nil {
		problems = append(problems, r.known(m.From, m.To))
		for i := range m.Tasks {
			if t := m.Tasks[i].Trip; t != nil {
				problems = append(problems, r.known(t.From, t.Executor), r.known(t.Visited...))
			}
		}
	}
	return errors.Join(problems...)
}

// steps yields the log step by step.
func (r *recordReader) steps(yield func(*core.Step, error) bool) {
	for {
		s, err := r.step()
		if s == nil && err == nil || !yield(s, err) || err != nil {
			return
		}
		r.done.Inputs++
		r.done.Effects += len(s.Effects)
		for i := range s.Effects {
			if s.Effects[i].Kind == core.EffectVerdict {
				r.done.Verdicts++
			}
		}
		r.done.Until = s.Input.At
	}
}

// step reads a step; it is nil at the end. What is wrong with the log comes after the steps before it.
func (r *recordReader) step() (*core.Step, error) {
	s := r.ahead
	r.ahead, r.at = nil, r.line
	for !r.over {
		switch begun, err := r.read(s); {
		case err != nil:
			r.broken, r.over = err, true
		case begun == nil:
		case s == nil:
			s, r.at = begun, r.line
		default:
			r.ahead = begun
			return s, nil
		}
	}
	if s == nil {
		return nil, r.broken
	}
	s.Partial = !r.whole
	return s, nil
}

// read reads a line, which belongs to s or begins another step.
func (r *recordReader) read(s *core.Step) (begun *core.Step, err error) {
	l, err := r.next()
	switch {
	case errors.Is(err, errBreaksOff):
		r.over, r.done.Incomplete = true, err.Error()
		return nil, nil
	case err != nil:
		return nil, err
	case l.Input != nil:
		r.count.Inputs++
		r.size = len(r.text)
		begun, err = &core.Step{Input: *l.Input}, r.check(l.Input)
	case l.Did != nil && s == nil:
		err = errors.New("an effect without an input")
	case l.Did != nil && len(s.Effects) == mostEffects:
		err = fmt.Errorf("more than %d effects of one input", mostEffects)
	case l.Did != nil && r.size+len(r.text) > longestStep:
		err = fmt.Errorf("an input and its effects are longer than %d bytes", longestStep)
	case l.Did != nil:
		r.count.Effects++
		r.size += len(r.text)
		s.Effects = append(s.Effects, *l.Did)
	case l.Machine != nil:
		err = r.meet(l.Machine.Number, l.Machine.Address)
	case l.Function != nil:
		err = r.name(l.Function.Number, l.Function.Name)
	case l.Stopped != "":
		r.over, r.done.Incomplete = true, l.Stopped
		return nil, r.last()
	case l.End != nil:
		r.over, r.whole = true, true
		if *l.End == r.count {
			return nil, r.last()
		}
		err = fmt.Errorf("the log has %d inputs and %d effects, and should have %d and %d", r.count.Inputs, r.count.Effects,
			l.End.Inputs, l.End.Effects)
	default:
		err = errors.New("a second header")
	}
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", r.line, err)
	}
	return begun, nil
}

// last reports what follows the last line.
func (r *recordReader) last() error {
	last := r.line
	if _, err := r.next(); !errors.Is(err, errBreaksOff) || len(r.text) > 0 {
		return errors.Join(fmt.Errorf("line %d is not the last one, as it says", last), err)
	}
	return nil
}

// build makes an algorithm of its name: a descriptor with numbers for the machines.
func (r *recordReader) build(name string) (core.Scheduler, error) {
	var d Descriptor
	if err := json.Unmarshal([]byte(name), &d); err != nil {
		return nil, err
	}
	a, err := d.algorithm(func(number string) (core.NodeID, error) {
		id, err := strconv.ParseInt(number, 10, 32)
		if err != nil {
			return 0, err
		}
		return core.NodeID(id), r.known(core.NodeID(id))
	})
	if err != nil {
		return nil, err
	}
	if r.done.Scheduler == "" {
		r.done.Scheduler = a.label
	}
	return a.spec.New(), nil
}
