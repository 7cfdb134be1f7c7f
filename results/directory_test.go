package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

func summaryOf(t *testing.T, r *Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteSummary(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func rows(t *testing.T, path string) (all []Row) {
	t.Helper()
	for row, err := range ReadRows(path) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, row)
	}
	return all
}

func TestDirectoryRoundTrip(t *testing.T) {
	for _, format := range []Format{Parquet, CSV} {
		r := small.stored(t, Keep{Sample, format})
		got, err := Open(r.Dir)
		if err != nil {
			t.Fatal(err)
		}
		if got.State != Complete || got.Name != r.Name || string(got.Scenario) != string(r.Scenario) || got.Seed != 7 ||
			!slices.Equal(got.Command, r.Command) || !got.Started.Equal(r.Started) || got.Keep != r.Keep ||
			got.Digest() != r.Digest() {
			t.Errorf("read %+v", got)
		}
		want := summaryOf(t, small.filled())
		if summaryOf(t, r) != want || summaryOf(t, got) != want || read(t, r.Dir, "summary.csv") != want {
			t.Error("the summary of the stored run is another")
		}
		all := rows(t, r.Requests())
		if len(all) != 6*3*40 {
			t.Errorf("%d records", len(all))
		}
		first := small.replication(r, r.Points[0], 0).Records[0]
		if want := newRow(r.Points[0], []string{"face-detect", "echo"}, &first); all[0] != want {
			t.Errorf("first record\n%+v, want\n%+v", all[0], want)
		}
		ordered := slices.IsSortedFunc(all, func(a, b Row) int {
			return slices.Compare([]int64{int64(a.Point), int64(a.Replication), a.ID},
				[]int64{int64(b.Point), int64(b.Replication), b.ID})
		})
		if !ordered {
			t.Error("the records are out of order")
		}
		for _, name := range files(t, filepath.Join(r.Dir, "replications")) {
			if !strings.HasSuffix(name, ".json.gz") {
				t.Errorf("%s is left over", name)
			}
		}
	}
}

// An interrupted run is readable and says what is missing; resumed, it is the run that was never interrupted.
func TestInterruptAndResume(t *testing.T) {
	whole := small.stored(t, Keep{Sample, CSV})
	r := small.run()
	r.Keep = Keep{Sample, CSV}
	dir := filepath.Join(t.TempDir(), "a[b]", "run")
	w, err := Create(dir, r)
	if err != nil {
		t.Fatal(err)
	}
	if killed, err := Open(dir); err != nil || killed.State != Running || len(killed.Points[0].Missing()) != 3 {
		t.Errorf("just begun: %+v, %v", killed, err)
	}
	small.save(t, w, r, func(p *Point, i int) bool { return p.Index != 2 && (p.Index+i)%2 == 0 })
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	var m manifest
	if err := json.Unmarshal([]byte(read(t, dir, "run.json")), &m); err != nil {
		t.Fatal(err)
	}
	want := missing{2, "workload.rate = 8/s, NoScheduler", []int{0, 1, 2}}
	if m.State != Interrupted || len(m.Missing) != 6 || !reflect.DeepEqual(m.Missing[2], want) {
		t.Errorf("%s, missing %+v", m.State, m.Missing)
	}
	half, err := Open(dir)
	if err != nil || half.State != Interrupted || len(half.Points[0].Replications) != 2 {
		t.Fatalf("interrupted: %+v, %v", half, err)
	}
	if n := len(rows(t, half.Requests())); n != 8*40-40 {
		t.Errorf("interrupted: %d records", n)
	}

	again := small.run()
	again.Keep = r.Keep
	again.Command = []string{"p2pfaas", "sim", "--resume", dir}
	if w, err = Resume(dir, again); err != nil {
		t.Fatal(err)
	}
	made := 0
	small.save(t, w, again, func(*Point, int) bool { made++; return true })
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	if made != 11 {
		t.Errorf("%d replications were made again, 11 were missing", made)
	}
	for _, name := range []string{"summary.csv", "requests.csv", "run.json", "scenario.yaml"} {
		if read(t, dir, name) != read(t, whole.Dir, name) {
			t.Errorf("%s differs from that of the run that was not interrupted", name)
		}
	}
	if !slices.Equal(files(t, filepath.Join(dir, "replications")), files(t, filepath.Join(whole.Dir, "replications"))) {
		t.Error("other replications than those of the run that was not interrupted")
	}
}

// The names of replications grow with their indices; none is left out when the run is opened again.
func TestManyReplicationsAndPoints(t *testing.T) {
	r := &Run{Name: "large", Keep: Keep{None, Parquet}}
	r.Points = []*Point{{Index: 9}, {Index: 12_345}}
	w, err := Create(t.TempDir(), r)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Points {
		for _, i := range []int{7, 1000, 12_345} {
			if err := w.Save(p, &Replication{Index: i, Tally: NewTally("f")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	again, err := Open(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range again.Points {
		for _, i := range []int{7, 1000, 12_345} {
			if p.Replication(i) == nil {
				t.Errorf("replication %d of point %d is lost", i, p.Index)
			}
		}
	}
}

func TestResumeRefusesAnotherExperiment(t *testing.T) {
	dir := small.stored(t, Keep{None, CSV}).Dir
	for what, change := range map[string]func(*Run){
		"seed":     func(r *Run) { r.Seed++ },
		"version":  func(r *Run) { r.Version = "v3" },
		"records":  func(r *Run) { r.Keep.Mode = All },
		"scenario": func(r *Run) { r.Scenario = append(r.Scenario, "x: 1\n"...) },
	} {
		r := small.run()
		r.Keep = Keep{None, CSV}
		change(r)
		if _, err := Resume(dir, r); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("another %s: %v", what, err)
		}
	}
}

func TestCreateRefusesWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(dir, small.run()); err == nil || !strings.Contains(err.Error(), "--out") {
		t.Errorf("into a directory with a thesis: %v", err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "run.json") {
		t.Errorf("a directory without a run: %v", err)
	}
}

func TestOpenReportsBrokenReplication(t *testing.T) {
	r := small.stored(t, Keep{None, CSV})
	path := filepath.Join(r.Dir, "replications", "p0001-r002.json.gz")
	if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(r.Dir); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a broken replication: %v", err)
	}
	if exists(r.Requests()) {
		t.Error("records were written though none were wanted")
	}
}

// Records can be streamed while a replication runs; what is not closed leaves nothing.
func TestStream(t *testing.T) {
	r := small.run()
	r.Keep = Keep{All, Parquet}
	w, err := Create(t.TempDir(), r)
	if err != nil {
		t.Fatal(err)
	}
	p := r.Points[0]
	p.Wanted = 1
	r.Points = r.Points[:1]
	rep := small.replication(r, p, 0)
	rep.Records = nil
	s, err := w.Stream(p, 0, []string{"f"})
	if err != nil {
		t.Fatal(err)
	}
	const many = rowGroup + 1000
	for i := range many {
		s.Add(&Record{ID: core.TaskID(i), Latency: time.Duration(i)})
	}
	if len(files(t, filepath.Join(r.Dir, "replications"))) != 1 || exists(r.records(p, 0)) {
		t.Error("the records have their name before they are complete")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Save(p, rep); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	if all := rows(t, r.Requests()); len(all) != many || all[many-1].LatencyNS != many-1 {
		t.Errorf("%d records", len(all))
	}
}

func TestReadRowsRefuses(t *testing.T) {
	dir := t.TempDir()
	good := strings.Join(header(), ",") + "\n"
	line := strings.Repeat("1,", len(Columns)-1) + "1\n"
	for name, c := range map[string]struct{ content, want string }{
		"columns.csv":    {"a,b\n1,2\n", "columns"},
		"empty.csv":      {"", "EOF"},
		"number.csv":     {good + line + strings.Replace(line, "1", "x", 1), "line 3: column point"},
		"short.csv":      {good + "1,2\n", "fields"},
		"broken.parquet": {"PAR1", "parquet"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		var last error
		for _, err := range ReadRows(path) {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), c.want) || !strings.Contains(last.Error(), name) {
			t.Errorf("%s: %v", name, last)
		}
	}
}

func BenchmarkSave(b *testing.B) {
	f := fixture{rates: []float64{8}, schedulers: []string{"JSQ"}, replications: 1, requests: 5000, nodes: 12}
	r := f.run()
	w, err := Create(b.TempDir(), r)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		rep := f.replication(r, r.Points[0], 1)
		b.StartTimer()
		if err := w.Save(r.Points[0], rep); err != nil {
			b.Fatal(err)
		}
	}
}

// Records of large parts are copied and those of small ones gathered; they come out whole and in order, in few groups.
func TestJoinRecords(t *testing.T) {
	r := small.run()
	r.Points, r.Keep = r.Points[:1], Keep{All, Parquet}
	w, err := Create(t.TempDir(), r)
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	n := 0
	for i, size := range []int{10, 20, rowGroup + 100, 30, rowGroup/2 + 1, 0, 40} {
		s, err := w.Stream(r.Points[0], i, []string{"f"})
		if err != nil {
			t.Fatal(err)
		}
		for range size {
			s.Add(&Record{ID: core.TaskID(n), Replication: i, Latency: time.Duration(n * n), Outcome: core.Outcome(n % 3)})
			n++
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, r.records(r.Points[0], i))
	}
	if err := r.joinRecords(parts); err != nil {
		t.Fatal(err)
	}
	all := rows(t, r.Requests())
	if len(all) != n {
		t.Fatalf("%d records of %d", len(all), n)
	}
	for i, row := range all {
		if row.ID != int64(i) || row.LatencyNS != int64(i*i) || row.Function != "f" ||
			row.Outcome != core.Outcome(i%3).String() {
			t.Fatalf("record %d is %+v", i, row)
		}
	}
	f, err := os.Open(r.Requests())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	file, err := openParquet(f)
	if err != nil || len(file.RowGroups()) != 5 { // 30 gathered, 65 536, 130 gathered, 32 769, 40
		t.Errorf("%d groups, %v", len(file.RowGroups()), err)
	}
}

// BenchmarkRecords is what a request costs to record: once as it ends, once when the run's records become one file.
func BenchmarkRecords(b *testing.B) {
	f := small
	f.requests = 50_000
	r := f.run()
	r.Points = r.Points[:1]
	r.Keep = Keep{All, Parquet}
	w, err := Create(b.TempDir(), r)
	if err != nil {
		b.Fatal(err)
	}
	records := f.replication(r, r.Points[0], 0).Records
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		s, err := w.Stream(r.Points[0], 0, []string{"face-detect", "echo"})
		if err != nil {
			b.Fatal(err)
		}
		for range 10 {
			for i := range records {
				s.Add(&records[i])
			}
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		if err := r.joinRecords([]string{r.records(r.Points[0], 0)}); err != nil {
			b.Fatal(err)
		}
		n += 10 * len(records)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
	b.ReportMetric(0, "ns/op")
}

// Whether algorithms have been simulated is told by the runs of a directory: by simulations, with their hash.
func TestSimulated(t *testing.T) {
	dir := t.TempDir()
	if found, err := Simulated(dir, "a"); found || err != nil {
		t.Errorf("no runs: %v, %v", found, err)
	}
	for name, text := range map[string]string{"one": `{"world": "real", "algorithms": "a"}`, "two": `{"world": "sim", "algorithms": "b"}`, "three": `{`} {
		if err := errors.Join(os.Mkdir(filepath.Join(dir, name), 0o777), os.WriteFile(filepath.Join(dir, name, "run.json"), []byte(text), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	for algorithms, want := range map[string]bool{"a": false, "b": true, "": false} {
		if found, err := Simulated(dir, algorithms); found != want || err != nil {
			t.Errorf("%q: %v, %v", algorithms, found, err)
		}
	}
}
