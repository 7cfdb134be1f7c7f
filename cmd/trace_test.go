package cmd_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/cmd"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/results"
)

// tracing has a directory, and what a command says there.
type tracing struct {
	*testing.T
	dir string
}

func (t *tracing) path(name string) string { return filepath.Join(t.dir, name) }

func (t *tracing) write(name, text string) {
	t.Helper()
	if err := os.WriteFile(t.path(name), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func (t *tracing) read(name string) string {
	t.Helper()
	text, err := os.ReadFile(t.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// do runs a command, which is to end with a status.
func (t *tracing) do(status int, args ...string) (out, said string) {
	t.Helper()
	var o, e bytes.Buffer
	if got := cmd.Run(context.Background(), args, &o, &e); got != status {
		t.Fatalf("%v: exit status %d, want %d: %s%s", args, got, status, o.String(), e.String())
	}
	return o.String(), e.String()
}

// rows are the records of a run.
func (t *tracing) rows(run string) (rows []results.Row) {
	t.Helper()
	r, err := results.Open(t.path(run))
	if err != nil {
		t.Fatal(err)
	}
	for row, err := range results.ReadRows(r.Requests()) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b results.Row) int { return int(a.ID - b.ID) })
	if len(rows) == 0 {
		t.Fatalf("%s has no records", run)
	}
	return rows
}

// trace are the rows of a trace, but for the names of the columns.
func (t *tracing) trace(name string) [][]string {
	t.Helper()
	all, err := csv.NewReader(strings.NewReader(t.read(name))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(all[0], ",") != "time,node,function,demand,deadline" {
		t.Fatalf("%s has the columns %v", name, all[0])
	}
	return all[1:]
}

const (
	tracedRest = `
cluster:
  groups: [{name: slow, nodes: 2, slots: 1, queue: 1}, {name: fast, nodes: 1, slots: 1, queue: 1, speed: 2}]
  links: {latency: {distribution: exponential, mean: 1ms}}
functions:
  - {name: f, service: {distribution: exponential, mean: 20ms}, deadline: {distribution: uniform, min: 40ms, max: 90ms}, share: 0.7}
  - {name: g, service: 7ms, share: 0.3}
scheduler: {name: PowerOfNScheduler, fanout: 1, threshold: 1}
`
	traced   = "name: traced\nseed: 9\nduration: 2s\nwarmup: 0s\nreplications: 2\nworkload: {rate: 40/s}" + tracedRest
	replayed = "name: replayed\nseed: 9\nduration: 2s\nwarmup: 0s\nreplications: 1\nworkload: {arrivals: replay, trace: {file: trace.csv}}" + tracedRest
)

// A simulated run whose trace is simulated repeats itself, request by request and to the nanosecond: what was drawn comes from the
// trace, and what the algorithm draws is of its own stream.
func TestTraceOfSimulation(t *testing.T) {
	w := &tracing{t, t.TempDir()}
	w.write("traced.yaml", traced)
	w.write("replayed.yaml", replayed)
	w.do(0, "sim", w.path("traced.yaml"), "--out", w.path("first"))
	_, said := w.do(0, "trace", w.path("first"), "--out", w.path("trace.csv"))
	for _, words := range []string{"note: this is replication 0 of 2", "replay: workload: {arrivals: replay, trace: {file: " + w.path("trace.csv") + "}}"} {
		if !strings.Contains(said, words) {
			t.Errorf("it does not say %q: %s", words, said)
		}
	}
	w.do(0, "sim", w.path("replayed.yaml"), "--out", w.path("second"))
	first := slices.DeleteFunc(w.rows("first"), func(r results.Row) bool { return r.Replication > 0 })
	second := w.rows("second")
	if !slices.Equal(first, second) {
		t.Errorf("of %d and %d requests not all are equal", len(first), len(second))
	}
	if !slices.ContainsFunc(first, func(r results.Row) bool { return r.Hops > 0 && r.WaitingNS > 0 }) ||
		!slices.ContainsFunc(first, func(r results.Row) bool { return !r.Completed() }) {
		t.Error("no request was forwarded and waited, or none was dropped: that all are equal shows little")
	}
	a, err := results.Open(w.path("first"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := results.Open(w.path("second"))
	if err != nil {
		t.Fatal(err)
	}
	if x, y := a.Points[0].Replications[0], b.Points[0].Replications[0]; x.Requests != y.Requests || x.Digest != y.Digest {
		t.Errorf("the digests of the requests are %x and %x, of the runs %x and %x", x.Requests, y.Requests, x.Digest, y.Digest)
	}
	// The output in place of a file; the other replication is another trace.
	if out, _ := w.do(0, "trace", w.path("first"), "--replication", "0"); out != w.read("trace.csv") {
		t.Errorf("the output is %.200s", out)
	}
	if out, _ := w.do(0, "trace", w.path("first"), "--replication", "1"); out == w.read("trace.csv") {
		t.Error("both replications have one trace")
	}
	// Executions took demand/speed: demands are found again, but for what the clock rounds.
	w.do(0, "trace", w.path("first"), "--executed", "--out", w.path("executed.csv"))
	told := w.trace("trace.csv")
	for i, row := range w.trace("executed.csv") {
		x, _ := strconv.ParseFloat(row[3], 64)
		y, _ := strconv.ParseFloat(told[i][3], 64)
		if math.Abs(x-y) > 3e-9 || !slices.Equal(row[:3], told[i][:3]) {
			t.Fatalf("request %d is %v, by what was executed %v", i, told[i], row)
		}
	}
	// After a warm-up the trace begins late, and has the run's times.
	w.do(0, "sim", w.path("traced.yaml"), "--set", "warmup=500ms", "--replications", "1", "--out", w.path("warm"))
	_, said = w.do(0, "trace", w.path("warm"), "--out", w.path("warm.csv"))
	rows, tasks := w.rows("warm"), w.trace("warm.csv")
	if len(rows) != len(tasks) || len(tasks) >= len(told) || tasks[0][0] < "0.5" || !slices.EqualFunc(tasks, told[len(told)-len(tasks):], slices.Equal) {
		t.Errorf("%d records, %d tasks; the first is %v", len(rows), len(tasks), tasks[0])
	}
	if want := fmt.Sprintf("%d of the run's %d requests have no record: they came before the warm-up's end\n", len(told)-len(tasks), len(told)); !strings.Contains(said, want) {
		t.Errorf("it does not say %q: %s", want, said)
	}
}

// Through both worlds and back: real nodes are sent what was simulated, and their trace, of their records and of their logs, is that
// of the simulation.
func TestTraceOfRealNodes(t *testing.T) {
	t.Parallel()
	w := &tracing{t, t.TempDir()}
	w.write("traced.yaml", traced)
	w.write("replayed.yaml", replayed)
	w.do(0, "sim", w.path("traced.yaml"), "--replications", "1", "--out", w.path("sim"))
	w.do(0, "trace", w.path("sim"), "--out", w.path("trace.csv"))
	w.do(0, "run", w.path("replayed.yaml"), "--first-address", "127.83.2.1", "--record", "--out", w.path("real"))
	_, said := w.do(0, "trace", w.path("real"), "--out", w.path("real.csv"))
	if !strings.Contains(said, "demands are those that clients told: --executed") {
		t.Errorf("it says %s", said)
	}
	if w.read("real.csv") != w.read("trace.csv") {
		t.Errorf("the trace of the real run is not that which it was sent: %.300s", w.read("real.csv"))
	}
	w.do(0, "trace", w.path("real"), "--actual", "--executed", "--out", w.path("actual.csv"))
	told, actual := w.trace("trace.csv"), w.trace("actual.csv")
	number := func(cell string) float64 {
		x, err := strconv.ParseFloat(cell, 64)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	demand := func(tasks [][]string) (sum float64) {
		for _, row := range tasks {
			sum += number(row[3])
		}
		return sum
	}
	if len(actual) != len(told) || number(actual[0][0]) < number(told[0][0]) {
		t.Fatalf("%d requests, %d left; the first of them %v, meant was %v", len(told), len(actual), actual[0], told[0])
	}
	if a, b := demand(actual), demand(told); a < b {
		t.Errorf("executions took %v s of %v s", a, b)
	}
	w.do(0, "trace", w.path("real"), "--actual", "--out", w.path("left.csv"))
	sent := w.trace("left.csv")
	var stretch []float64 // of long executions: where the machine is busy, some take as long as they are to
	for i, row := range sent {
		if d := number(row[3]); d > 0.02 {
			stretch = append(stretch, number(actual[i][3])/d)
		}
	}
	slices.Sort(stretch)
	if n := len(stretch); n < 20 || stretch[0] < 0.999 || stretch[n/10] > 1.5 {
		t.Errorf("executions take %v of their demands", stretch)
	}
	// The logs have the same requests, each node's in its order, about as far apart as they left.
	logs := filepath.Join("real", "record", "point-0-replication-0")
	_, said = w.do(0, "trace", w.path(logs), "--out", w.path("logs.csv"))
	if !strings.Contains(said, "note: time 0 is 20") || strings.Contains(said, "demand") || strings.Contains(said, "numbers") {
		t.Errorf("of logs it says %s", said)
	}
	logged := w.trace("logs.csv")
	if len(logged) != len(told) || number(logged[0][0]) != 0 {
		t.Fatalf("%d requests are logged of %d; the first is %v", len(logged), len(told), logged[0])
	}
	key := func(r []string) string { return strings.Join(r[1:4], ",") } // node, function, demand: equal for few
	order := func(a, b []string) int { return strings.Compare(key(a), key(b)) }
	slices.SortStableFunc(told, order)
	slices.SortStableFunc(sent, order)
	slices.SortStableFunc(logged, order)
	var gaps []float64
	for i, r := range logged {
		if key(r) != key(told[i]) {
			t.Fatalf("request %v is logged as %v", told[i], r)
		}
		if left, whole := number(r[4]), number(told[i][4]); left > whole || (left == 0) != (whole == 0) {
			t.Fatalf("request %v is logged with a deadline of %v", told[i], r[4])
		}
		gaps = append(gaps, number(sent[i][0])-number(r[0]))
	}
	slices.Sort(gaps)
	if n := len(gaps); gaps[n*9/10]-gaps[n*6/10] > 0.2 { // of 2 s: generous, and of the faster half, since the machine may be busy
		t.Errorf("the times of the logs are off by %v to %v s", gaps[n*6/10], gaps[n*9/10])
	}
	w.do(0, "trace", w.path(logs), "--executed", "--out", w.path("logged.csv"))
	if a, b := demand(w.trace("logged.csv")), demand(actual); math.Abs(a/b-1) > 1e-3 {
		t.Errorf("by the logs executions took %v s, by the records %v s", a, b)
	}
	// Nodes that do not know each other's numbers get some; without the log of a node, nobody knows its speed.
	paths, err := filepath.Glob(filepath.Join(w.path(logs), "*"+realnet.RecordSuffix))
	if err != nil || len(paths) != 3 {
		t.Fatalf("logs %v, %v", paths, err)
	}
	change(t, paths[2], `"Node":2`, `"Node":1`)
	if _, said := w.do(0, "trace", w.path(logs), "--out", w.path("renumbered.csv")); !strings.Contains(said, "node 0 is 127.83.2.1, 1 is 127.83.2.2, 2 is 127.83.2.3\n") ||
		w.read("renumbered.csv") != w.read("logs.csv") {
		t.Errorf("of nodes without numbers: %s", said)
	}
	if err := os.Mkdir(w.path("elsewhere"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(paths[2], filepath.Join(w.path("elsewhere"), "last"+realnet.RecordSuffix)); err != nil {
		t.Fatal(err)
	}
	if _, said := w.do(2, "trace", w.path(logs), "--executed"); !strings.Contains(said, "there are no logs of 127.83.2.3 (") {
		t.Errorf("without the log of a node: %s", said)
	}
	one, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	w.write(filepath.Join("elsewhere", "first"+realnet.RecordSuffix), string(one))
	if err := os.Remove(filepath.Join(w.path("real"), "run.json")); err != nil {
		t.Fatal(err)
	}
	if _, said := w.do(2, "trace", w.dir); !strings.Contains(said, "node 0 (127.83.2.1) has logs in ") || !strings.Contains(said, "these are two runs") {
		t.Errorf("of two runs: %s", said)
	}
	if err := os.Truncate(paths[1], 500); err != nil {
		t.Fatal(err)
	}
	change(t, paths[0], `{"input":{"Kind":"boot"`, `{"input":{"Kind":"boot","More":1`)
	if _, said := w.do(2, "trace", w.path(logs)); !strings.Contains(said, paths[0]+": line ") || !strings.Contains(said, "is none of a log") {
		t.Errorf("of a damaged log: %s", said)
	}
}

// What has no trace is refused, with what to do.
func TestTraceRefuses(t *testing.T) {
	w := &tracing{t, t.TempDir()}
	w.write("traced.yaml", traced+"sweep: {workload.rate: [10/s, 20/s]}\n")
	w.do(0, "sim", w.path("traced.yaml"), "--out", w.path("all"), "--records", "all", "--format", "csv")
	w.do(0, "sim", w.path("traced.yaml"), "--out", w.path("sample"))
	w.do(0, "sim", w.path("traced.yaml"), "--out", w.path("none"), "--records", "none")
	out, _ := w.do(0, "trace", w.path("all"), "--select", "workload.rate=20/s", "--replication", "1")
	if same, _ := w.do(0, "trace", w.path("all"), "--select", "1", "--replication", "1"); same != out || strings.Count(out, "\n") < 50 {
		t.Errorf("the point by its index is %.200s\nand by its key %.200s", same, out)
	}
	killed := strings.Replace(w.read("sample/run.json"), `"mode": "sample"`, `"mode": "all"`, 1)
	if err := os.MkdirAll(w.path("killed/replications"), 0o777); err != nil {
		t.Fatal(err)
	}
	w.write("killed/run.json", strings.Replace(killed, `"state": "complete"`, `"state": "running"`, 1))
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{"sample"}, []string{"kept a sample of its records", "--records all"}},
		{[]string{"none"}, []string{"kept no records", "--records all"}},
		{[]string{"killed"}, []string{"is not complete"}},
		{[]string{"all"}, []string{"these are 2", "--select"}},
		{[]string{"all", "--select", "2"}, []string{"a number from 0 to 1"}},
		{[]string{"all", "--select", "workload.rate=30/s"}, []string{"20/s"}},
		{[]string{"all", "--select", "1", "--replication", "2"}, []string{"--replication 2", "one of 0, 1"}},
		{[]string{"all", "--select", "1", "--actual"}, []string{"--actual", "leave it out"}},
		{[]string{"", "--select", "1"}, []string{"--select: ", "is not the directory of a run"}},
		{[]string{""}, []string{"has no logs", "p2pfaas run --record", "run.json"}},
		{[]string{"nowhere"}, []string{"no such file"}},
		{[]string{"all", "--select", "1", "--out", w.path("nowhere/trace.csv")}, []string{"--out: "}},
	} {
		c.args[0] = w.path(c.args[0])
		_, said := w.do(2, append([]string{"trace"}, c.args...)...)
		for _, words := range c.says {
			if !strings.Contains(said, words) {
				t.Errorf("%v: it does not say %q: %s", c.args, words, said)
			}
		}
	}
	// A run of a program that did not keep the speeds of the nodes.
	change(t, w.path("all/replications/p0001-r001.json.gz"), `"name":"slow","nodes":2,"slots":1,"speed":1`, `"name":"slow","nodes":2,"slots":1`)
	if _, said := w.do(2, "trace", w.path("all"), "--select", "1", "--replication", "1", "--executed"); !strings.Contains(said, "--executed needs the speeds of the nodes") {
		t.Errorf("without speeds: %s", said)
	}
}
