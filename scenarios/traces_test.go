package scenarios

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// withWorkload resolves a scenario of four nodes and the functions f and g with another workload.
func withWorkload(t testing.TB, workload string, files fstest.MapFS) *Scenario {
	t.Helper()
	text := strings.Replace(plain, "workload: {rate: 1/s}", "workload: "+workload, 1)
	f, err := Parse("test.yaml", []byte(text), files)
	if err != nil {
		t.Fatal(err)
	}
	return pointsOf(t, f)[0].Scenario
}

func TestReplay(t *testing.T) {
	files := fstest.MapFS{"r.csv": {Data: []byte(`time,node,function,demand,deadline
1000,3,g,20,0
2500,0,f,30,500
2500,1,f,0,500
9000,2,g,1,1
200000,0,f,1,1
`)}}
	s := withWorkload(t, "{arrivals: replay, trace: {file: r.csv, unit: ms, from: 2s, speedup: 2}}", files)
	got := collect(t, s, 0)
	ms := core.Time(time.Millisecond)
	want := []Arrival{
		{At: 250 * ms, Node: 0, Type: 0, Demand: 30 * time.Millisecond, Deadline: 500 * time.Millisecond},
		{At: 250 * ms, Node: 1, Type: 0, Demand: 0, Deadline: 500 * time.Millisecond},
		{At: 3500 * ms, Node: 2, Type: 1, Demand: time.Millisecond, Deadline: time.Millisecond},
		{At: 99000 * ms, Node: 0, Type: 0, Demand: time.Millisecond, Deadline: time.Millisecond},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if s.ExpectedTasks() != 4 {
		t.Errorf("ExpectedTasks is %v", s.ExpectedTasks())
	}
}

// What a trace does not say is drawn.
func TestReplayOfTimesAlone(t *testing.T) {
	var csv strings.Builder
	csv.WriteString("time\n")
	for i := range 8000 {
		fmt.Fprintf(&csv, "%g\n", float64(i)/100)
	}
	s := withWorkload(t, "{arrivals: replay, trace: {file: r.csv}}", fstest.MapFS{"r.csv": {Data: []byte(csv.String())}})
	first, second := collect(t, s, 0), collect(t, s, 1)
	if len(first) != 8000 || first[17].At != core.Time(170*time.Millisecond) {
		t.Fatalf("%d arrivals", len(first))
	}
	for node, k := range perNode(first, 4) {
		within(t, fmt.Sprint("node ", node), k, 2000)
	}
	demand, types, differ := 0.0, 0, 0
	for i, x := range first {
		types += int(x.Type)
		if x.Type == 0 {
			demand += x.Demand.Seconds()
		}
		if x.Node != second[i].Node {
			differ++
		}
	}
	within(t, "second function", types, 4000)
	if mean := demand / float64(8000-types); math.Abs(mean-1) > 0.06 {
		t.Errorf("mean demand %v, want 1", mean)
	}
	if differ < 5000 {
		t.Errorf("two replications agree in all but %d nodes", differ)
	}
}

func TestAzure2021(t *testing.T) {
	files := fstest.MapFS{"a.txt": {Data: []byte(`app,func,end_timestamp,duration
A,x,10.5,0.5
A,x,12,1
B,y,13,9
A,x,14,0
B,y,20,1
C,z,21,1
A,x,500,1
`)}}
	// Within the window: x begins at 10, 11, 14; y at 4 and 19; z at 20. Rank 0 is x, 1 is y, 2 is z.
	s := withWorkload(t, "{arrivals: azure-2021, trace: {file: a.txt, from: 1s}}", files)
	want := ""
	for _, x := range collect(t, s, 0) {
		want += fmt.Sprintf("%v@%d/%d:%v ", time.Duration(x.At), x.Node, x.Type, x.Demand)
	}
	if want != "3s@1/1:9s 9s@0/0:500ms 10s@0/0:1s 13s@0/0:0s 18s@1/1:1s 19s@2/0:1s " {
		t.Errorf("arrivals are %s", want)
	}
	s = withWorkload(t, "{arrivals: azure-2021, trace: {file: a.txt, top: 1, demand: function, place: random}}", files)
	all := collect(t, s, 0)
	if len(all) != 3 || all[0].Type != 0 || all[0].Demand == 500*time.Millisecond {
		t.Errorf("the most invoked function gives %v", all)
	}
}

func azure2019(rows ...string) fstest.MapFS {
	var csv strings.Builder
	csv.WriteString("HashOwner,HashApp,HashFunction,Trigger")
	for m := range minutesPerDay {
		fmt.Fprintf(&csv, ",%d", m+1)
	}
	for _, r := range rows {
		counts := strings.Repeat(",0", minutesPerDay)
		csv.WriteString("\n" + r + counts)
	}
	text := csv.String()
	return fstest.MapFS{"d.csv": {Data: []byte(text + "\n")}}
}

func TestAzure2019(t *testing.T) {
	files := azure2019("o,a,rare,http", "o,a,busy,timer", "o,b,never,queue")
	rows := strings.Split(string(files["d.csv"].Data), "\n")
	set := func(row, minute, n int) {
		cells := strings.Split(rows[row], ",")
		cells[3+minute] = fmt.Sprint(n)
		rows[row] = strings.Join(cells, ",")
	}
	set(1, 61, 10)
	set(2, 61, 3000)
	set(2, 62, 6000)
	set(2, 300, 7)
	files["d.csv"].Data = []byte(strings.Join(rows, "\n"))
	// 100 s from the middle of minute 61 on: half of its invocations, and all of minute 62.
	s := withWorkload(t, "{arrivals: azure-2019, trace: {file: d.csv, from: 3630s}}", files)
	all := collect(t, s, 0)
	busy := [2]int{}
	for _, x := range all {
		if int(x.Node) != int(x.Type) { // rank 0 enters at node 0 and plays f, rank 1 at node 1 and plays g
			t.Fatalf("an arrival is %+v", x)
		}
		switch {
		case x.Type == 0 && x.At < core.Time(30*time.Second):
			busy[0]++
		case x.Type == 0:
			busy[1]++
		}
	}
	within(t, "busy function in its first half minute", busy[0], 1500)
	if busy[1] != 6000 {
		t.Errorf("%d in the second minute, want 6000", busy[1])
	}
	// 20 s at three times the speed are the same minute.
	s = withWorkload(t, "{arrivals: azure-2019, trace: {file: d.csv, from: 1h, speedup: 3, place: random, top: 1}}", files)
	s.Duration = 20 * time.Second
	within(t, "arrivals at three times the speed", len(collect(t, s, 0)), 3000)
	for node, k := range perNode(collect(t, s, 0), 4) {
		within(t, fmt.Sprint("node ", node), k, 750)
	}
}

func TestCurvesFromFiles(t *testing.T) {
	files := fstest.MapFS{
		"n0.csv": {Data: []byte("# one\n0;0,5\n1;1,0\n")},
		"n1.csv": {Data: []byte("# two\n0;0,0\n1;0,0\n")},
	}
	s := withWorkload(t, `{curve: {file: {path: "n{node}.csv", separator: semicolon, decimal: comma, comment: "#"},
  repeat: 2, min: 1/s, max: 5/s, period: 100s, start: 25s}}`, files)
	if len(s.Workload.Curves) != 2 {
		t.Fatalf("%d curves", len(s.Workload.Curves))
	}
	// Values 0.5 at 0 s and 1 at 50 s: rates 3 and 5; a run begins at 25 s.
	for at, want := range map[time.Duration]float64{
		0: 4, 25 * time.Second: 5, 50 * time.Second: 4, 75 * time.Second: 3, 100 * time.Second: 4} {
		if got := s.Workload.Curves[0].Rate(core.Time(at)); math.Abs(got-want) > 1e-12 {
			t.Errorf("rate at %v is %v, want %v", at, got, want)
		}
	}
	if e := s.ExpectedTasks(); math.Abs(e-2*(400+100)) > 1e-9 {
		t.Errorf("ExpectedTasks is %v", e)
	}
	files["r.csv"] = &fstest.MapFile{Data: []byte("hour,calls\n0,60\n1,120\n")}
	s = withWorkload(t, "{curve: {file: {path: r.csv, header: true}, unit: /min, period: 2h}}", files)
	if got := s.Workload.Curves[0].Rate(core.Time(time.Hour)); got != 2 {
		t.Errorf("rate is %v, want 2", got)
	}
}

// The recorded data of the first P2PFaaS, where P2PFAAS_DATA names the directory that has it.
func TestRecordedData(t *testing.T) {
	dir := os.Getenv("P2PFAAS_DATA")
	if dir == "" {
		t.Skip("P2PFAAS_DATA is not set")
	}
	f, err := Load("city-day")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Set("workload.curve.file", "{path: \""+dir+"/traffic/traffic_node_{node}.csv\"}"); err != nil {
		t.Fatal(err)
	}
	f.dir = diskDir(".")
	ps := pointsOf(t, f)
	// Their values have the mean 0.410619, as 12 nodes at 1.8/s for a day.
	if e := ps[0].Scenario.ExpectedTasks(); math.Abs(e-12*0.410619*1.8*86400) > 1 {
		t.Errorf("%v tasks", e)
	}
	for file, dialect := range map[string]string{
		"bench_pigo-face-detect_k10_mi3_poisson_delay.txt": `separator: space, comment: "#"`,
		"bench_pigo-face-detect_k20_mi3_poisson_delay.txt": `separator: space, comment: "#", decimal: comma`,
	} {
		g := parse(t, plain)
		g.dir = diskDir(".")
		path := dir + "/delay/" + file
		service := func(how string) string {
			return fmt.Sprintf("{distribution: empirical, file: {path: %q, %s}}", path, how)
		}
		if err := g.Set("functions.f.service", service(dialect)); err != nil {
			t.Fatal(err)
		}
		if m := pointsOf(t, g)[0].Scenario.Functions[0].Service.Mean(); m < 0.4 || m > 5 {
			t.Errorf("%s: mean %v", file, m)
		}
		if err := g.Set("functions.f.service", service(`separator: space`)); err != nil {
			t.Fatal(err)
		}
		if _, err := g.Points(); err == nil {
			t.Errorf("%s is read without being told how", file)
		} else {
			t.Log(err)
		}
	}
}

// What a trace does not say of a task in an empty cell is drawn as if it had no such column; the rest is as it says.
func TestReplayOfEmptyCells(t *testing.T) {
	const rows = 4000
	var csv strings.Builder
	csv.WriteString("time,node,function,demand,deadline\n")
	for i := range rows {
		fmt.Fprintf(&csv, "%d.5,%s\n", i, []string{"2,f,,", ",,0.25,", "3,g,0.5,0", " , ,,0.125"}[i%4])
	}
	text := strings.Replace(plain, "duration: 100s", "duration: 4000s", 1)
	text = strings.Replace(text, "workload: {rate: 1/s}", "workload: {arrivals: replay, trace: {file: r.csv}}", 1)
	f, err := Parse("test.yaml", []byte(text), fstest.MapFS{"r.csv": {Data: []byte(csv.String())}})
	if err != nil {
		t.Fatal(err)
	}
	all := collect(t, pointsOf(t, f)[0].Scenario, 0)
	if len(all) != rows {
		t.Fatalf("%d arrivals", len(all))
	}
	nodes, demand := 0, 0.0
	for i, x := range all {
		switch i % 4 {
		case 0:
			demand += x.Demand.Seconds() / (rows / 4)
			if x.Node != 2 || x.Type != 0 {
				t.Fatalf("task %d is %+v", i, x)
			}
		case 1:
			nodes += int(x.Node)
			if x.Demand != 250*time.Millisecond {
				t.Fatalf("task %d is %+v", i, x)
			}
		case 2:
			if x.Node != 3 || x.Type != 1 || x.Demand != 500*time.Millisecond || x.Deadline != 0 {
				t.Fatalf("task %d is %+v", i, x)
			}
		case 3:
			if x.Deadline != 125*time.Millisecond {
				t.Fatalf("task %d is %+v", i, x)
			}
		}
	}
	if mean := float64(nodes) / (rows / 4); math.Abs(mean-1.5) > 0.15 || math.Abs(demand-1) > 0.15 {
		t.Errorf("drawn are nodes with a mean of %v and demands with a mean of %v", mean, demand)
	}
}

// A written trace is read as the same tasks, to the nanosecond, however late.
func TestWriteTrace(t *testing.T) {
	tasks := []TraceTask{
		{0, 0, "f", 0, 0},
		{1, 3, "g", 1, 2},
		{1, 2, "g", 123456789, 987654321},
		{core.Time(100*time.Hour) + 333333333, 1, "f", 3*time.Second + 7, 100 * time.Hour},
	}
	for i := range 2000 { // decimals that no float has
		at := core.Time(200*time.Hour) + core.Time(i)*core.Time(time.Second)/7*11
		tasks = append(tasks, TraceTask{at, core.NodeID(i % 4), "f", time.Duration(i) * 1000003, time.Duration(i)})
	}
	var csv strings.Builder
	if err := WriteTrace(&csv, tasks); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(plain, "duration: 100s", "duration: 250h", 1)
	text = strings.Replace(text, "workload: {rate: 1/s}", "workload: {arrivals: replay, trace: {file: r.csv}}", 1)
	f, err := Parse("test.yaml", []byte(text), fstest.MapFS{"r.csv": {Data: []byte(csv.String())}})
	if err != nil {
		t.Fatal(err)
	}
	all := collect(t, pointsOf(t, f)[0].Scenario, 0)
	if len(all) != len(tasks) {
		t.Fatalf("%d arrivals of %d tasks", len(all), len(tasks))
	}
	for i, x := range all {
		w := tasks[i]
		if want := (Arrival{At: w.At, Node: w.Node, Type: core.TaskType(w.Function[0] - 'f'), Demand: w.Demand, Deadline: w.Deadline}); x != want {
			t.Fatalf("task %d is %+v, want %+v", i, x, want)
		}
	}
	csv.Reset()
	if err := WriteTrace(&csv, []TraceTask{{5e8, core.NoNode, "", -1, -1}}); err != nil || csv.String() != "time,node,function,demand,deadline\n0.500000000,,,,\n" {
		t.Errorf("what is not known is written as %q, %v", csv.String(), err)
	}
	for _, c := range []struct {
		tasks []TraceTask
		says  string
	}{
		{[]TraceTask{{At: 5}, {At: 4}}, "sort the tasks by time"},
		{[]TraceTask{{Function: "a,b"}}, `"a,b" can be no function`},
	} {
		if err := WriteTrace(&csv, c.tasks); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v", c.tasks, err)
		}
	}
}

// A workload of given tasks yields just these.
func TestNewTrace(t *testing.T) {
	want := []Arrival{{At: 1, Demand: 5, Deadline: 9, Node: 1, Type: 1}, {At: 7, Demand: 1, Node: 0}, {At: 7, Demand: 2, Node: 1}}
	s := withWorkload(t, "{rate: 1/s}", nil)
	s.Workload = Workload{Process: Recorded, Trace: NewTrace(want)}
	var got []Arrival
	arrivals := s.Arrivals(0)
	for a := (Arrival{}); arrivals.Next(&a); {
		got = append(got, a)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if n := s.ExpectedTasks(); n != 3 {
		t.Errorf("%v tasks are expected", n)
	}
}
