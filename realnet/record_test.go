package realnet

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// recorded are the lines of a log.
func recorded(t testing.TB, path string) []string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(strings.Lines(string(text)))
}

// Nodes under all that may happen to them: clients that steer and that hang up, another K, Q and scheduler while tasks
// run, a node that dies with tasks of its own and of others in hand. What each decided replays.
func TestRecordReplays(t *testing.T) {
	record := t.TempDir()
	m := openMesh(t, 3, function, func(i int, o *NodeOptions) {
		o.Record = record
		o.Scheduler = Descriptor{Name: "PowerOfNSchedulerTau", Parameters: []string{"2", "1", "true", "1", "2ms"}}
		if i == 1 {
			o.Scheduler = Descriptor{Name: "WorkStealing", Named: map[string]any{"retry": "5ms"}}
		}
		o.Forwarding.ProbeTimeout, o.Forwarding.AnswerTimeout = time.Second, time.Second
	})
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	statuses := map[int]int{}
	var clients sync.WaitGroup
	ask := func(node, i int) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if i%7 == 3 {
			time.AfterFunc(3*time.Millisecond, cancel) // it hangs up
		}
		r, err := http.NewRequestWithContext(ctx, "POST", m.servers[node].URL+"/function/f", strings.NewReader("sleep 8ms"))
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set(wire.HeaderTaskType, fmt.Sprint(i%2))
		if s := i % 9; s < len(steering) {
			r.Header.Set(steering[s].header, "1")
		}
		a, err := client.Do(r)
		status := 0
		if err == nil {
			status = a.StatusCode
			_, _ = io.Copy(io.Discard, a.Body)
			a.Body.Close()
		}
		mu.Lock()
		defer mu.Unlock()
		statuses[status]++
	}
	hangs, hangUp := context.WithCancel(t.Context()) // one at least does so while its task executes, be the machine so busy that others do before
	defer hangUp()
	clients.Go(func() {
		r, err := http.NewRequestWithContext(hangs, "POST", m.servers[0].URL+"/function/f", strings.NewReader("sleep 5m"))
		if err != nil {
			t.Error(err)
			return
		}
		if a, err := client.Do(r); err == nil {
			a.Body.Close()
			t.Errorf("a client that hangs up is answered: %s", a.Status)
		}
	})
	eventually(t, "its task executes", func() bool { return m.nodes.nodes[0].Status().Running == 1 })
	hangUp()
	clients.Wait()
	// Node 2 dies with this one in hand, be the others so slow that it has none of theirs then.
	clients.Go(func() { m.ask(2, "POST", "/function/f", "sleep 5m", wire.HeaderBypass, "1") })
	eventually(t, "its task executes", func() bool { return m.nodes.nodes[2].Status().Running == 1 })
	const each = 250
	for node := range 3 {
		clients.Go(func() {
			var open sync.WaitGroup
			for i := range each {
				open.Go(func() { ask(node, i) })
				time.Sleep(2 * time.Millisecond)
				switch {
				case node == 0 && i == each/5:
					m.ask(0, "POST", "/configuration", `{"parallel_running_functions_max":1,"queue_length_max":1}`)
				case node == 0 && i == 2*each/5:
					m.ask(0, "POST", "/configuration/scheduler", `{"name":"ForwardScheduler","parameters":["2"]}`)
				case node == 1 && i == 3*each/5:
					m.ask(1, "POST", "/configuration/scheduler", `{"name":"Redundancy","named":{"d":2}}`)
				case node == 2 && i == 4*each/5: // it dies, and the others must know
					ctx, cancel := context.WithCancel(t.Context())
					cancel()
					if err := m.nodes.nodes[2].Shutdown(ctx); !errors.Is(err, context.Canceled) {
						t.Errorf("killed: %v", err)
					}
				}
			}
			open.Wait()
		})
	}
	clients.Wait()
	if n := statuses[0] + statuses[200] + statuses[500] + statuses[503]; n != 3*each || statuses[200] == 0 || statuses[0] == 0 ||
		statuses[503] == 0 {
		t.Errorf("answers by status: %v, want %d of all kinds", statuses, 3*each)
	}
	for i := range 2 {
		m.stop(i)
	}
	var kinds []core.InputKind
	verdicts := 0
	for i := range 3 {
		path := filepath.Join(record, fmt.Sprintf("node-%d%s", i, RecordSuffix))
		verdicts += replayWhole(t, path).Verdicts
		r := &recordReader{}
		for _, l := range recorded(t, path) {
			r.lines = bufio.NewReader(strings.NewReader(l))
			if line, err := r.next(); err == nil && line.Input != nil && !slices.Contains(kinds, line.Input.Kind) {
				kinds = append(kinds, line.Input.Kind)
			}
		}
	}
	if verdicts < each {
		t.Errorf("%d verdicts are replayed", verdicts)
	}
	for _, k := range []core.InputKind{core.InputBoot, core.InputSubmit, core.InputDeliver, core.InputFire, core.InputFinish,
		core.InputCancel, core.InputConfigure, core.InputCrash} {
		if !slices.Contains(kinds, k) {
			t.Errorf("there was no input of the kind %v: the test does not show that it replays", k)
		}
	}
}

// What is wrong with a log is said with its place, and a decision that is not the recorded one is found.
func TestRecordDamaged(t *testing.T) {
	record := t.TempDir()
	m := openMesh(t, 2, function, func(_ int, o *NodeOptions) {
		o.Record, o.Scheduler, o.Program = record, forwardAll, "v3.2.1"
	})
	for range 3 {
		if r := m.ask(0, "POST", "/function/f", "x"); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	m.stop(0)
	path := filepath.Join(record, "node-0"+RecordSuffix)
	lines := recorded(t, path)
	first := func(what string) int {
		i := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, what) })
		if i < 0 {
			t.Fatalf("the log has no %s", what)
		}
		return i
	}
	verdict := first(`"verdict"`)
	with := func(edit func(lines []string) []string) string {
		return strings.Join(edit(slices.Clone(lines)), "")
	}
	for _, x := range []struct {
		name, text string
		err        string // of the log
		line       int    // of the input that makes a difference; 0: there is none
		incomplete bool
	}{
		{name: "whole", text: with(func(l []string) []string { return l })},
		{name: "another verdict", line: verdict, text: with(func(l []string) []string {
			l[verdict] = strings.Replace(l[verdict], "forward", "execute", 1)
			return l
		})},
		{name: "one thing less", line: verdict, text: with(func(l []string) []string { return slices.Delete(l, verdict, verdict+1) })},
		{name: "another scheduler", line: verdict, text: with(func(l []string) []string {
			l[0] = strings.Replace(l[0], "ForwardScheduler", "RejectScheduler", 1)
			l[0] = strings.Replace(l[0], `[\"1\"]`, `[]`, 1)
			return l
		})},
		{name: "cut between lines", incomplete: true, text: strings.Join(lines[:len(lines)-2], "")},
		{name: "cut in a line", incomplete: true, text: strings.Join(lines[:verdict+1], "") + lines[verdict+1][:5]},
		{name: "a line in the middle", err: fmt.Sprintf("line %d is none of a log", verdict+1), text: with(func(l []string) []string {
			return slices.Insert(l, verdict, "what is this?\n")
		})},
		{name: "an unknown key", err: fmt.Sprintf("line %d is none of a log", verdict+1), text: with(func(l []string) []string {
			return slices.Insert(l, verdict, `{"input":{},"more":1}`+"\n")
		})},
		{name: "a stray bracket", err: fmt.Sprintf("line %d is none of a log: something follows", verdict+1),
			text: with(func(l []string) []string {
				l[verdict] = strings.TrimSpace(l[verdict]) + "}\n"
				return l
			})},
		{name: "two values in a line", err: fmt.Sprintf("line %d is none of a log: something follows", verdict+1),
			text: with(func(l []string) []string {
				l[verdict] = strings.TrimSpace(l[verdict]) + l[verdict]
				return l
			})},
		{name: "space after a value", text: with(func(l []string) []string {
			l[verdict] = strings.TrimSpace(l[verdict]) + " \t\r\n"
			return l
		})},
		{name: "lost lines before the end", err: "should have", text: with(func(l []string) []string {
			last := len(l) - 1
			for !strings.HasPrefix(l[last], `{"input"`) {
				last--
			}
			return slices.Delete(l, last, len(l)-1)
		})},
		{name: "lines after the end", err: "is not the last one", text: with(func(l []string) []string { return append(l, l[1]) })},
		{name: "a second header", err: "a second header", text: with(func(l []string) []string { return slices.Insert(l, 1, l[0]) })},
		{name: "a node without a number", err: "the machines have numbers below", text: with(func(l []string) []string {
			i := first(`"deliver"`)
			l[i] = strings.Replace(l[i], `"From":1`, `"From":77`, 1)
			return l
		})},
		{name: "another version", err: "version 7 of the format, and this program reads versions 1 to 2: replay it with p2pfaas v3.2.1",
			text: with(func(l []string) []string {
				l[0] = strings.Replace(l[0], `"version":2`, `"version":7,"more":{"of":"this"}`, 1)
				return l
			})},
		{name: "the version before", text: with(func(l []string) []string {
			l[0] = strings.Replace(l[0], `"version":2`, `"version":1`, 1)
			return l
		})},
		{name: "a function", text: with(func(l []string) []string {
			return slices.Insert(l, verdict+1, `{"function":{"number":0,"name":"g"}}`+"\n")
		})},
		{name: "a function out of turn", err: `function "g" has the number 1: the next one is 0`, text: with(func(l []string) []string {
			return slices.Insert(l, verdict+1, `{"function":{"number":1,"name":"g"}}`+"\n")
		})},
		{name: "what a stranger has", err: "node 77: the machines have numbers below", text: with(func(l []string) []string {
			i := first(`"Peers":`)
			l[i] = strings.Replace(l[i], `"Peers":`, `"Functions":[{"Node":77}],"Peers":`, 1)
			return l
		})},
		{name: "an unknown key in the header", err: `unknown field "Colour"; p2pfaas v3.2.1 wrote it`,
			text: with(func(l []string) []string {
				l[0] = strings.Replace(l[0], `"Slots":`, `"Colour":1,"Slots":`, 1)
				return l
			})},
		{name: "another format", err: `its format is not "p2pfaas record"`, text: with(func(l []string) []string {
			l[0] = strings.Replace(l[0], recordFormat, "p2pfaas recording", 1)
			return l
		})},
		{name: "no header", err: "no log of a node", text: strings.Join(lines[1:], "")},
	} {
		t.Run(x.name, func(t *testing.T) {
			r, err := replayLines(strings.NewReader(x.text))
			switch {
			case x.err != "":
				if err == nil || !strings.Contains(err.Error(), x.err) {
					t.Errorf("error %v, want one with %q", err, x.err)
				}
			case err != nil:
				t.Error(err)
			case x.line > 0:
				if r.Difference == nil || r.Line != x.line {
					t.Errorf("the difference is %v in line %d, want one in line %d", r.Difference, r.Line, x.line)
				}
			case r.Difference != nil || (r.Incomplete != "") != x.incomplete:
				t.Errorf("difference %v, incomplete %q; want none, and incomplete %v", r.Difference, r.Incomplete, x.incomplete)
			case x.incomplete && r.Inputs == 0:
				t.Error("nothing was compared")
			}
		})
	}
	// The same of the compressed file: a killed node's breaks off, and other files are none.
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := Replay(bytes.NewReader(file[:len(file)-20])); err != nil || r.Incomplete == "" || r.Difference != nil {
		t.Errorf("of a file that breaks off: %+v, %v", r, err)
	}
	for text, want := range map[string]string{"": "empty", "junk": "no log of a node", "this is no log of anything": "no log of a node"} {
		if _, err := Replay(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("of %q: %v, want %q", text, err, want)
		}
	}
}

// What a log may make a replay keep of one step has a bound, which the step before does not count for.
func TestRecordLongStep(t *testing.T) {
	long := strings.Repeat("x", longestStep/5)
	input := `{"input":{"Kind":"answer","Error":"` + long + `"}}` + "\n"
	did := `{"did":{"Kind":"act","Text":"` + long + `"}}` + "\n"
	var lines []io.Reader
	for _, l := range []string{input, did, did, did, input, did, did, did, did} {
		lines = append(lines, strings.NewReader(l))
	}
	r := &recordReader{lines: bufio.NewReader(io.MultiReader(lines...))}
	for i := range 2 {
		if s, err := r.step(); err != nil || len(s.Effects) != 3 {
			t.Fatalf("step %d: %v, want one with 3 effects", i, err)
		}
	}
	want := fmt.Sprintf("line 9: an input and its effects are longer than %d bytes", longestStep)
	if _, err := r.step(); err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}

// fullDisk takes so many bytes.
type fullDisk struct{ room int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.room -= len(p); d.room < 0 {
		return 0, errors.New("no space left on device")
	}
	return len(p), nil
}

func (d *fullDisk) Close() error { return nil }

// A disk that is full ends the recording, not the node, and whoever ends the node is told.
func TestRecordDiskFull(t *testing.T) {
	r := &Recorder{path: "there", queue: make(chan recordEntry, 8), quit: make(chan struct{}), ended: make(chan struct{})}
	go r.run(&fullDisk{room: 1000})
	eventually(t, "the disk is full", func() bool {
		r.input(core.Input{Kind: core.InputCancel, ID: core.TaskID(time.Now().UnixNano())})
		return r.Err() != nil
	})
	r.input(core.Input{Kind: core.InputCancel}) // nobody waits for it
	r.close(nil)
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "the recording there is incomplete") {
		t.Error(err)
	}
}

// A log is never written over: a node that runs again gets another one.
func TestRecordAgain(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		n, err := OpenNode(NodeOptions{Identity: Identity{ID: "a", IP: "127.0.0.1"}, Slots: 1, Scheduler: DefaultScheduler(), Record: dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"node-0", "node-0.2"} {
		replayWhole(t, filepath.Join(dir, name+RecordSuffix))
	}
}

// FuzzRecord holds that no log makes a replay do more than read it: no panic, no endless loop. It begins with what nodes
// recorded under load.
func FuzzRecord(f *testing.F) {
	f.Add(`{"header":{"format":"p2pfaas record","version":1,"machines":["127.0.0.1"],"origin":{}}}` + "\n" + `{"input":{"Kind":"boot"}}` + "\n")
	for _, name := range []string{"PowerOfNScheduler", "WorkStealing", "Redundancy"} {
		c := newCluster(f, 3, config(1, 4), name)
		c.load(12, time.Millisecond)
		c.close()
		f.Add(strings.Join(recorded(f, c.nodes[0].options.Record.path), ""))
	}
	f.Fuzz(func(_ *testing.T, text string) {
		_, _ = replayLines(strings.NewReader(text))
	})
}

// BenchmarkRecord says how long the logs of three nodes are together, per request: where nobody probes, and where nodes do
// that are busy three quarters of the time, as those of the quickstart scenario.
func BenchmarkRecord(b *testing.B) {
	for _, name := range []string{"NoScheduler", "PowerOfNScheduler"} {
		b.Run(name, func(b *testing.B) {
			c := newCluster(b, 3, config(4, 4), name)
			var clients sync.WaitGroup
			for i, m := range c.nodes {
				clients.Go(func() {
					r := rand.New(random.Stream(1, 0, random.Arrivals, i))
					for j := range b.N {
						time.Sleep(time.Duration(r.ExpFloat64() * float64(2*time.Millisecond)))
						c.arrived.Add(1)
						m.Post(core.Input{Kind: core.InputSubmit, Task: &core.TaskValue{ID: core.TaskID(3*j + i),
							Demand: time.Duration(r.ExpFloat64() * float64(6*time.Millisecond)), Deadline: m.Now().Add(12 * time.Millisecond)}})
					}
				})
			}
			clients.Wait()
			c.arrived.Wait()
			c.close()
			size := int64(0)
			for _, m := range c.nodes {
				info, err := os.Stat(m.options.Record.path)
				if err != nil {
					b.Fatal(err)
				}
				size += info.Size()
			}
			b.ReportMetric(float64(size)/float64(len(c.outcomes)), "B/request")
			b.ReportMetric(0, "ns/op") // it is the time between two requests
		})
	}
}
