package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// traceFlags are the flags of trace.
type traceFlags struct {
	out         string
	pick        string
	replication int
	actual      bool
	executed    bool
}

func newTrace() *cobra.Command {
	var f traceFlags
	c := &cobra.Command{
		Use:   "trace DIR",
		Short: "write the requests of a run, or of recorded nodes, as a trace that sim, run and load replay",
		Long: `trace writes when which request came to which node, for which function, with which demand and deadline, as a file for
workload: {arrivals: replay, trace: {file: trace.csv}}. Whatever runs that scenario, in either world, meets the same requests.

DIR is the directory of a run that kept all records (--records all, or one point): one point of it, and one replication. Times are
those of the run, and requests before its warm-up's end are not in records, so that its own scenario, with another workload, counts
the same requests. They begin to come to idle nodes.

Or DIR is a directory of logs of nodes (--record of node and of run), with all of their requests, whoever sent them. Time 0 is the
first request. Each log has its node's clock, and says when that began by the wall clock of its machine: nodes of one machine are
aligned exactly, those of several as far as the clocks of these agree.`,
		Example: `  p2pfaas run my.yaml --records all --out runs/real && p2pfaas trace runs/real --out trace.csv
  p2pfaas trace runs/sweep --select workload.rate=8/s,scheduler=JSQ --replication 2 > trace.csv
  p2pfaas trace runs/real/record/point-0-replication-0 --executed --out trace.csv`,
		Args: wants(1, 1, "the directory of a run, or of logs"),
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	fl := c.Flags()
	fl.StringVar(&f.out, "out", "", "file to write (default: the output)")
	fl.StringVar(&f.pick, "select", "", "the one point of a run that has several: an index, or KEY=VALUE,... of swept keys")
	fl.IntVar(&f.replication, "replication", 0, "replication of a run")
	fl.BoolVar(&f.actual, "actual", false, "of a real run: when requests left, in place of when they were meant to")
	fl.BoolVar(&f.executed, "executed", false, "demands are what executions took, in place of what clients told: for functions that take their own time")
	return c
}

func (f *traceFlags) run(c *cobra.Command, dir string) error {
	read := f.fromRun
	if _, err := os.Stat(filepath.Join(dir, "run.json")); errors.Is(err, fs.ErrNotExist) {
		read = f.fromLogs
		for _, name := range []string{"select", "replication", "actual"} {
			if c.Flags().Changed(name) {
				return input(fmt.Errorf("--%s: %s is not the directory of a run, and logs of nodes know nothing of that: leave it out", name, dir))
			}
		}
	}
	tasks, notes, err := read(dir)
	if err != nil {
		return input(err)
	}
	name := cmp.Or(f.out, "trace.csv")
	if err := f.write(c.OutOrStdout(), tasks); err != nil {
		return err
	}
	said := c.ErrOrStderr()
	first, last := tasks[0].At, tasks[len(tasks)-1].At
	fmt.Fprintf(said, "%s, the first at %v, the last at %v\n", count(len(tasks), "request"), first, last)
	for _, n := range notes {
		fmt.Fprintf(said, "note: %s\n", n)
	}
	fmt.Fprintf(said, "replay: workload: {arrivals: replay, trace: {file: %s}}\n", name)
	return nil
}

func (f *traceFlags) write(out io.Writer, tasks []scenarios.TraceTask) error {
	if f.out == "" {
		return scenarios.WriteTrace(out, tasks)
	}
	file, err := os.Create(f.out)
	if err != nil {
		return input(fmt.Errorf("--out: %w", err))
	}
	if err := errors.Join(scenarios.WriteTrace(file, tasks), file.Close()); err != nil {
		return errors.Join(fmt.Errorf("--out %s: %w", f.out, err), os.Remove(f.out)) // half a trace is none
	}
	return nil
}

// fromRun takes the requests from the records of a run.
func (f *traceFlags) fromRun(dir string) (tasks []scenarios.TraceTask, notes []string, err error) {
	r, err := results.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	if err := whole(r, "a trace"); err != nil {
		return nil, nil, err
	}
	switch {
	case f.actual && r.World == "sim":
		return nil, nil, fmt.Errorf("--actual: the requests of a simulation, as %s, leave when they are meant to: leave it out", dir)
	}
	p, err := onePoint(r, f.pick, "a trace")
	if err != nil {
		return nil, nil, err
	}
	rep := p.Replication(f.replication)
	if rep == nil {
		return nil, nil, fmt.Errorf("--replication %d: %s has none such: write one of %s", f.replication, r.Label(p), replications(p))
	}
	if f.executed && speedOf(rep, 0) == 0 {
		return nil, nil, fmt.Errorf("--executed needs the speeds of the nodes, and p2pfaas %s, which made %s, did not keep them: run it again", r.Version, dir)
	}
	var rows []results.Row
	for row, err := range results.ReadRows(r.Requests()) {
		if err != nil {
			return nil, nil, err
		}
		if int(row.Point) == p.Index && int(row.Replication) == f.replication {
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return nil, nil, fmt.Errorf("%s, replication %d: there are no records, so that there is no trace", r.Label(p), f.replication)
	}
	slices.SortFunc(rows, func(a, b results.Row) int { return cmp.Compare(a.ID, b.ID) }) // they are in order of their ends
	for i := range rows {
		tasks = append(tasks, f.task(&rows[i], rep))
	}
	slices.SortStableFunc(tasks, byTime)
	return tasks, f.notes(r, p, rep, len(rows)), nil
}

func byTime(a, b scenarios.TraceTask) int { return cmp.Compare(a.At, b.At) }

// task is a recorded request.
func (f *traceFlags) task(row *results.Row, of *results.Replication) scenarios.TraceTask {
	t := scenarios.TraceTask{At: core.Time(row.ArrivalNS), Node: core.NodeID(row.Node), Function: row.Function,
		Demand: time.Duration(row.DemandNS), Deadline: time.Duration(row.DeadlineNS)}
	if f.actual {
		t.At += core.Time(row.LateNS)
	}
	if f.executed && row.Completed() && row.Executor >= 0 {
		t.Demand = demandOf(time.Duration(row.ExecutingNS-row.ColdStartNS), speedOf(of, core.NodeID(row.Executor)))
	}
	if t.Demand == 0 {
		t.Demand = -1 // not known
	}
	return t
}

// demandOf is the demand of which the execution took so long on a node of that speed.
func demandOf(took time.Duration, speed float64) time.Duration {
	return random.Seconds(took.Seconds() * speed)
}

// whole says what a run lacks that what is made of it needs: all of its records.
func whole(r *results.Run, what string) error {
	switch {
	case r.Keep.Mode != results.All:
		kept := map[results.Mode]string{results.None: "no records", results.Sample: "a sample of its records"}[r.Keep.Mode]
		return fmt.Errorf("%s kept %s, and %s needs all: run it again with --records all", r.Dir, kept, what)
	case r.State == results.Running:
		return fmt.Errorf("%s is not complete: the run goes on, or was killed (p2pfaas sim --resume completes a simulation)", r.Dir)
	}
	return nil
}

// onePoint is the point that is wanted of a run.
func onePoint(r *results.Run, pick, what string) (*results.Point, error) {
	points := make([]scenarios.Point, len(r.Points))
	for i, p := range r.Points {
		points[i] = scenarios.Point{Index: p.Index, Values: p.Values}
	}
	if pick != "" {
		var err error
		if points, err = scenarios.SelectPoints(r.Swept, points, pick); err != nil {
			return nil, err
		}
	}
	if len(points) != 1 {
		return nil, fmt.Errorf("%s is of one point, and these are %d: choose one with --select", what, len(points))
	}
	i := slices.IndexFunc(r.Points, func(p *results.Point) bool { return p.Index == points[0].Index })
	return r.Points[i], nil
}

// replications are the indices of those that a point has.
func replications(p *results.Point) string {
	all := make([]string, len(p.Replications))
	for i, r := range p.Replications {
		all[i] = fmt.Sprint(r.Index)
	}
	return strings.Join(all, ", ")
}

// speedOf is that of a node in a replication; 0: the run does not say.
func speedOf(r *results.Replication, n core.NodeID) float64 {
	for i := range r.Groups {
		g := &r.Groups[i]
		if n < core.NodeID(g.Nodes) {
			return g.Speed
		}
		n -= core.NodeID(g.Nodes)
	}
	return 0
}

// notes say what is to be known of a trace of so many records.
func (f *traceFlags) notes(r *results.Run, p *results.Point, rep *results.Replication, records int) (notes []string) {
	if len(p.Replications) > 1 {
		notes = append(notes, fmt.Sprintf("this is replication %d of %d: --replication takes another one", f.replication, len(p.Replications)))
	}
	if left := int(rep.Submitted) - records; left > 0 {
		why := "they came before the warm-up's end"
		if rep.InFlight > 0 {
			why += fmt.Sprintf(", or are the %d that had not ended when the run did", rep.InFlight)
		}
		notes = append(notes, fmt.Sprintf("%d of the run's %d requests have no record: %s", left, rep.Submitted, why))
	}
	if rep.Reality != nil && rep.Reality.Share != "" {
		notes = append(notes, fmt.Sprintf("the run sent the share %s of its requests: the others are not here", rep.Reality.Share))
	}
	if r.World != "sim" && !f.executed {
		notes = append(notes, "demands are those that clients told: --executed writes what executions took, for functions that take their own time")
	}
	return append(notes, "times are the run's: its scenario, with this workload, counts the same requests")
}

// nodeLog is the log of a node.
type nodeLog struct {
	path string
	*realnet.LoggedRequests
}

// name is what tells the node from others: its address.
func (l *nodeLog) name() string { return cmp.Or(l.Identity.IP, l.Identity.ID) }

// fromLogs takes the requests from the logs of nodes.
func (f *traceFlags) fromLogs(dir string) (tasks []scenarios.TraceTask, notes []string, err error) {
	logs, err := readLogs(dir)
	if err != nil {
		return nil, nil, err
	}
	numbers, notes, err := numberNodes(logs)
	if err != nil {
		return nil, nil, err
	}
	speeds := map[string]float64{}
	var began time.Time // of the first request
	for i := range logs {
		l := &logs[i]
		speeds[l.name()] = l.Speed
		if len(l.Requests) > 0 {
			if at := l.Started.Add(time.Duration(l.Requests[0].At)); began.IsZero() || at.Before(began) {
				began = at
			}
		}
		if l.Incomplete != "" {
			notes = append(notes, fmt.Sprintf("%s is incomplete: %s", l.path, l.Incomplete))
		}
	}
	if began.IsZero() {
		return nil, nil, fmt.Errorf("%s has no request of a client: there is no trace", dir)
	}
	strangers := map[string]int{} // executions, by the machine
	nameless, unknown := 0, 0
	for i := range logs {
		l := &logs[i]
		for k := range l.Requests {
			x := &l.Requests[k]
			t := scenarios.TraceTask{At: core.Time(l.Started.Add(time.Duration(x.At)).Sub(began)), Node: numbers[l.name()],
				Function: x.Function, Demand: x.Demand, Deadline: x.Deadline}
			if f.executed && x.Executor != core.NoNode {
				name := l.name()
				if x.Executor != l.Node {
					name = l.Machines[x.Executor]
				}
				if speed, known := speeds[name]; known {
					t.Demand = demandOf(x.Executed, speed)
				} else {
					strangers[name]++
				}
			}
			if t.Demand == 0 {
				t.Demand = -1
				unknown++
			}
			if t.Function == "" {
				nameless++
			}
			tasks = append(tasks, t)
		}
	}
	if len(strangers) > 0 {
		var all []string
		for name, n := range strangers {
			all = append(all, fmt.Sprintf("%s (%s)", name, count(n, "execution")))
		}
		slices.Sort(all)
		return nil, nil, fmt.Errorf("--executed needs the speeds of all nodes that executed, and there are no logs of %s", strings.Join(all, ", "))
	}
	slices.SortStableFunc(tasks, byTime)
	if nameless > 0 {
		notes = append(notes, fmt.Sprintf("the logs do not know the function of %s: the cell is empty, and a replay draws it by the shares",
			count(nameless, "request")))
	}
	if unknown > 0 {
		more := " and were not executed"
		if !f.executed {
			more = ": --executed writes what executions took"
		}
		notes = append(notes, fmt.Sprintf("%s did not tell a demand%s: the cell is empty, and a replay draws it", count(unknown, "request"), more))
	}
	return tasks, append(notes, fmt.Sprintf("time 0 is %s by the wall clock; with warmup: 0s and a duration above the last time, a replay counts all",
		began.Format(time.RFC3339Nano))), nil
}

// readLogs reads the logs under a directory, in the order of their paths.
func readLogs(dir string) ([]nodeLog, error) {
	found := replays{}
	if err := found.find(dir); err != nil {
		return nil, fmt.Errorf("%w; of a run that kept its records give the directory with run.json", err)
	}
	logs := make([]nodeLog, len(found.logs))
	var problems []error
	for i := range logs {
		path := found.logs[i].path
		l, err := readLog(path)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", path, err))
		}
		logs[i] = nodeLog{path, l}
	}
	return logs, errors.Join(problems...)
}

func readLog(path string) (*realnet.LoggedRequests, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return realnet.ReadRequests(file)
}

// numberNodes gives each node its number: the recorded one or, where several have the same, as nodes that know each other by their
// addresses alone, the next one in the order of the logs. The lives of one node are in one directory: two directories are two runs.
func numberNodes(logs []nodeLog) (numbers map[string]core.NodeID, notes []string, err error) {
	numbers = map[string]core.NodeID{}
	taken, in := map[core.NodeID]string{}, map[string]string{}
	var names []string
	agree := true
	var problems []error
	for i := range logs {
		l := &logs[i]
		name, dir := l.name(), filepath.Dir(l.path)
		if other, known := in[name]; known && other != dir {
			problems = append(problems, fmt.Errorf("node %d (%s) has logs in %s and in %s: these are two runs; give one of the directories", l.Node,
				name, other, dir))
			continue
		} else if !known {
			in[name] = dir
			names = append(names, name)
		}
		number, numbered := numbers[name]
		other, used := taken[l.Node]
		agree = agree && (!numbered || number == l.Node) && (!used || other == name)
		numbers[name], taken[l.Node] = l.Node, name
	}
	if err := errors.Join(problems...); err != nil {
		return nil, nil, err
	}
	if agree {
		return numbers, nil, nil
	}
	said := make([]string, len(names))
	for i, name := range names {
		numbers[name] = core.NodeID(i)
		said[i] = fmt.Sprintf("%d is %s", i, name)
	}
	return numbers, []string{"the nodes had no numbers that tell them apart: node " + strings.Join(said, ", ")}, nil
}
