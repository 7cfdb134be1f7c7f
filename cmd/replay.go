package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet"
)

func newReplay() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "replay DIR",
		Short: "repeat what real nodes recorded, and compare every decision",
		Long: `replay gives the inputs that a node recorded (--record of node and of run) to a fresh node in this process, which opens
no socket, and compares all that it does with all that the recorded one did: every verdict, message, timer, execution and
outcome. DIR is a directory of logs, of one node or of a whole run, or a single log.

The exit status is 0 if all are equal, 1 if one differs: the first difference is printed; 2 if a log cannot be read. A log
without an end, as that of a node that was killed, is compared as far as it goes, and called incomplete; one that is empty
is named. Nodes of a
cluster whose logs are not beside those of the others are named.`,
		Example: `  p2pfaas run quickstart --record --out runs/mine && p2pfaas replay runs/mine
  p2pfaas node --bind 192.168.1.7 --record /var/log/p2pfaas
  p2pfaas replay /var/log/p2pfaas --json`,
		Args: wants(1, 1, "a directory of logs, or one log"),
		RunE: func(c *cobra.Command, args []string) error {
			r := replays{ctx: c.Context(), out: c.OutOrStdout(), notes: c.ErrOrStderr()}
			return r.run(args[0], asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// replays are the logs of an invocation, and what became of them.
type replays struct {
	ctx   context.Context
	out   io.Writer
	notes io.Writer
	bar   *progressbar.ProgressBar // of the bytes of the logs
	logs  []replayed
}

// replayed is a log and what became of it.
type replayed struct {
	path string
	size int64
	*realnet.Replayed
	err error
}

func (r *replays) run(dir string, asJSON bool) error {
	if err := r.all(dir); err != nil {
		return err
	}
	show := r.text
	if asJSON {
		show = r.json
	}
	if err := show(); err != nil {
		return err
	}
	return r.verdict()
}

// all replays every log.
func (r *replays) all(dir string) error {
	if err := r.find(dir); err != nil {
		return input(err)
	}
	r.startBar()
	for i := range r.logs {
		l := &r.logs[i]
		l.Replayed, l.err = r.replay(l.path)
		if err := r.ctx.Err(); err != nil {
			return err
		}
	}
	if r.bar != nil {
		_ = r.bar.Finish() // a bar that cannot be drawn is no reason to stop
	}
	return nil
}

// find looks for the logs.
func (r *replays) find(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path != dir && !strings.HasSuffix(path, realnet.RecordSuffix) {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		r.logs = append(r.logs, replayed{path: path, size: info.Size()})
		return nil
	})
	if err == nil && len(r.logs) == 0 {
		err = fmt.Errorf("%s has no logs, whose names end with %s: record some with p2pfaas node --record or p2pfaas run --record",
			dir, realnet.RecordSuffix)
	}
	return err
}

func (r *replays) startBar() {
	if !terminal(r.notes) {
		return
	}
	bytes := int64(0)
	for i := range r.logs {
		bytes += r.logs[i].size
	}
	r.bar = progressbar.NewOptions64(bytes, progressbar.OptionSetWriter(r.notes), progressbar.OptionSetWidth(30),
		progressbar.OptionSetDescription("replaying"), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetPredictTime(true), progressbar.OptionShowBytes(true), progressbar.OptionClearOnFinish())
}

// replay replays a log.
func (r *replays) replay(path string) (*realnet.Replayed, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return realnet.Replay(watchedReader{file, r})
}

// watchedReader tells how much was read, and ends when the command does.
type watchedReader struct {
	io.Reader
	replays *replays
}

func (w watchedReader) Read(p []byte) (int, error) {
	if err := w.replays.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.Reader.Read(p)
	if w.replays.bar != nil {
		_ = w.replays.bar.Add(n)
	}
	return n, err
}

// verdict is the error that the command ends with.
func (r *replays) verdict() error {
	differ, bad, empty := 0, 0, 0
	for i := range r.logs {
		switch l := &r.logs[i]; {
		case l.differs():
			differ++
		case l.empty():
			empty++
		case l.err != nil:
			bad++
		}
	}
	switch {
	case differ > 0:
		return fmt.Errorf("%d of %s did otherwise in the replay", differ, count(len(r.logs), "node"))
	case bad > 0:
		return input(fmt.Errorf("%d of %s cannot be read to its end", bad, count(len(r.logs), "log")))
	case empty == len(r.logs):
		return input(fmt.Errorf("nothing is compared: %w", realnet.ErrEmptyLog))
	}
	return nil
}

func (l *replayed) differs() bool { return l.Replayed != nil && l.Difference != nil }

// empty reports whether there is nothing to compare, which is no difference.
func (l *replayed) empty() bool { return errors.Is(l.err, realnet.ErrEmptyLog) }

// result is what became of the log, in a word or two.
func (l *replayed) result() string {
	switch {
	case l.differs():
		return "differs"
	case l.empty():
		return "empty"
	case l.err != nil:
		return "cannot be read"
	case l.Incomplete != "":
		return "equal, incomplete"
	}
	return "equal"
}

// absent is a node whose log is not beside those of others of its cluster.
type absent struct {
	Dir     string      `json:"dir"`
	Node    core.NodeID `json:"node"`
	Address string      `json:"address,omitempty"`
	told    *replayed   // by this log
}

// missing looks for such nodes where a directory has logs of several: a log that is alone was given, or lies, without the
// others on purpose.
func (r *replays) missing() (all []absent) {
	there := map[string]map[core.NodeID]bool{} // by directory
	for i := range r.logs {
		l := &r.logs[i]
		dir := filepath.Dir(l.path)
		if there[dir] == nil {
			there[dir] = map[core.NodeID]bool{}
		}
		if id := l.number(); id != core.NoNode {
			there[dir][id] = true
		}
	}
	for i := range r.logs {
		l := &r.logs[i]
		dir := filepath.Dir(l.path)
		if l.Replayed == nil || len(there[dir]) < 2 {
			continue
		}
		for id := range core.NodeID(len(l.Machines)) {
			if (int(id) < l.Nodes || id == l.Cloud) && !there[dir][id] {
				there[dir][id] = true // it is told once
				all = append(all, absent{dir, id, l.Machines[id], l})
			}
		}
	}
	return all
}

// number is that of the node; of a log without a header, what its name says.
func (l *replayed) number() core.NodeID {
	if l.Replayed != nil {
		return l.Node
	}
	id := core.NoNode
	_, _ = fmt.Sscanf(filepath.Base(l.path), "node-%d", &id) // it may have another name
	return id
}

// text prints a table, and what is to be said about single logs.
func (r *replays) text() error {
	t := table.NewWriter()
	t.SetStyle(plain)
	t.AppendHeader(table.Row{"log", "node", "scheduler", "duration", "inputs", "verdicts", "effects", "result"})
	var inputs, verdicts, effects, incomplete int
	var said strings.Builder
	for i := range r.logs {
		l := &r.logs[i]
		row := table.Row{l.path, "", "", "", "", "", "", l.result()}
		if x := l.Replayed; x != nil {
			inputs, verdicts, effects = inputs+x.Inputs, verdicts+x.Verdicts, effects+x.Effects
			row = table.Row{l.path, l.name(x.Node), x.Scheduler, time.Duration(x.Until).Round(time.Millisecond), x.Inputs, x.Verdicts,
				x.Effects, l.result()}
			if x.Incomplete != "" {
				incomplete++
			}
		}
		if l.empty() {
			incomplete++
		}
		t.AppendRow(row)
		l.say(&said)
	}
	missing := r.missing()
	for i, m := range missing {
		if i == 0 || m.Dir != missing[i-1].Dir {
			said.WriteByte('\n')
		}
		fmt.Fprintf(&said, "%s: no log of node %s\n", m.Dir, m.told.name(m.Node))
	}
	_, err := fmt.Fprintf(r.out, "%s\n%s\n%s, %s, %s, %s compared", printable(t.Render()), printable(said.String()), count(len(r.logs), "log"),
		count(inputs, "input"), count(verdicts, "verdict"), count(effects, "effect"))
	if err == nil && r.verdict() == nil {
		_, err = fmt.Fprint(r.out, ": all equal")
	}
	if err == nil && incomplete > 0 {
		_, err = fmt.Fprintf(r.out, "; %s incomplete", count(incomplete, "log"))
	}
	if err == nil && len(missing) > 0 {
		_, err = fmt.Fprintf(r.out, "; %s missing", count(len(missing), "log"))
	}
	if err == nil {
		_, err = fmt.Fprintln(r.out)
	}
	return err
}

// printable is text without what could make a terminal do something: a log may come from anybody.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if c == '\n' || unicode.IsPrint(c) {
			return c
		}
		return unicode.ReplacementChar
	}, text)
}

// say says what is not as it should be.
func (l *replayed) say(w *strings.Builder) {
	if l.err != nil {
		fmt.Fprintf(w, "\n%s: %v\n", l.path, l.err)
		if x := l.Replayed; x != nil {
			fmt.Fprintf(w, "  the %s before that are equal\n", count(x.Inputs, "input"))
			l.sayPrograms(w)
		}
		return
	}
	if l.Incomplete != "" {
		fmt.Fprintf(w, "\n%s: the log is incomplete: %s\n", l.path, l.Incomplete)
	}
	d := l.Difference
	if d == nil {
		return
	}
	fmt.Fprintf(w, "\n%s: the first difference: line %d, input %d at %v: %v\n", l.path, l.Line, d.Index, d.Input.At, l.input())
	fmt.Fprintf(w, "  recorded: %s\n  replayed: %s\n", l.effect(d.Recorded), l.effect(d.Replayed))
	l.sayPrograms(w)
}

// sayPrograms says by what the log was recorded and replayed, where these are not the same: it may be why.
func (l *replayed) sayPrograms(w *strings.Builder) {
	if v := version(); l.Program != v || l.Arch != runtime.GOARCH {
		fmt.Fprintf(w, "  recorded by p2pfaas %s on %s, replayed by %s on %s\n", l.Program, l.Arch, v, runtime.GOARCH)
	}
}

// name is a node's number with its address.
func (l *replayed) name(id core.NodeID) string {
	s := fmt.Sprint(id)
	if id == l.Node && l.Identity.IP != "" {
		return s + " (" + l.Identity.IP + ")"
	}
	if id >= 0 && int(id) < len(l.Machines) && l.Machines[id] != "" {
		return s + " (" + l.Machines[id] + ")"
	}
	return s
}

// input describes the input that makes the difference.
func (l *replayed) input() string {
	in := &l.Difference.Input
	s := in.String()
	if in.Message != nil {
		s += fmt.Sprintf(", which is node %s", l.name(in.Message.From))
	}
	return s
}

// effect describes one side of the difference.
func (l *replayed) effect(x *core.Effect) string {
	if x == nil {
		return "nothing"
	}
	s := x.String()
	if x.Kind == core.EffectSend || x.Kind == core.EffectVerdict && strings.HasPrefix(x.Text, "forward") {
		s += fmt.Sprintf("; to node %s", l.name(x.Peer))
	}
	return s
}

// jsonReplay is a log in the output of --json.
type jsonReplay struct {
	Path       string          `json:"path"`
	Result     string          `json:"result"` // equal, differs, empty, bad
	Error      string          `json:"error,omitempty"`
	Incomplete string          `json:"incomplete,omitempty"`
	Difference *jsonDifference `json:"difference,omitempty"`
	Node       core.NodeID     `json:"node"`
	ID         string          `json:"id,omitempty"`
	Address    string          `json:"address,omitempty"`
	Scheduler  string          `json:"scheduler,omitempty"`
	Program    string          `json:"program,omitempty"`
	Arch       string          `json:"arch,omitempty"`
	Started    time.Time       `json:"started,omitzero"`
	Duration   core.Time       `json:"duration_ns"`
	Inputs     int             `json:"inputs"`
	Verdicts   int             `json:"verdicts"`
	Effects    int             `json:"effects"`
}

// jsonDifference is the first one; null is nothing.
type jsonDifference struct {
	Line     int          `json:"line"`
	Index    int          `json:"index"` // of the input
	Input    core.Input   `json:"input"`
	Recorded *core.Effect `json:"recorded"`
	Replayed *core.Effect `json:"replayed"`
	Text     string       `json:"text"`
}

func (r *replays) json() error {
	out := struct {
		Equal   bool         `json:"equal"`
		Whole   bool         `json:"whole"` // none is incomplete or missing
		Program string       `json:"program"`
		Arch    string       `json:"arch"`
		Missing []absent     `json:"missing,omitempty"`
		Logs    []jsonReplay `json:"logs"`
	}{Equal: r.verdict() == nil, Program: version(), Arch: runtime.GOARCH, Missing: r.missing()}
	out.Whole = len(out.Missing) == 0
	for i := range r.logs {
		l := &r.logs[i]
		j := jsonReplay{Path: l.path, Result: "equal"}
		if l.err != nil {
			j.Result, j.Error = "bad", l.err.Error()
		}
		if l.empty() {
			j.Result = "empty"
		}
		if x := l.Replayed; x != nil {
			j.Incomplete, j.Node, j.ID, j.Address = x.Incomplete, x.Node, x.Identity.ID, x.Identity.IP
			j.Scheduler, j.Program, j.Arch, j.Started = x.Scheduler, x.Program, x.Arch, x.Started
			j.Duration, j.Inputs, j.Verdicts, j.Effects = x.Until, x.Inputs, x.Verdicts, x.Effects
			if d := x.Difference; d != nil {
				j.Result = "differs"
				j.Difference = &jsonDifference{x.Line, d.Index, d.Input, d.Recorded, d.Replayed, d.Error()}
			}
		}
		out.Whole = out.Whole && l.err == nil && j.Incomplete == ""
		out.Logs = append(out.Logs, j)
	}
	return encode(r.out, out)
}
