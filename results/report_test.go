package results

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTableGolden(t *testing.T) {
	var b bytes.Buffer
	Table(&b, exact(), false, "latency.mean", "latency.p95", "drop_rate", "requests")
	golden(t, "table.txt", b.String())
	if strings.ContainsAny(b.String(), "\x1b│") {
		t.Error("a pipe gets colours or frames")
	}
	b.Reset()
	Table(&b, small.filled(), true, "latency.mean")
	if !strings.Contains(b.String(), "\x1b[") {
		t.Error("a terminal gets no colours")
	}
}

func TestFormatInterval(t *testing.T) {
	ms := Scale{"ms", 1e3}
	for _, c := range []struct {
		mean, half float64
		want       string
	}{
		{0.3123, 0.0041, "312 ± 4"}, {0.3123, 0.0014, "312.3 ± 1.4"}, {0.3123, 0.000023, "312.30 ± 0.02"},
		{0.3123, 0.23, "312 ± 230"}, {0.3123, math.NaN(), "312.3"}, {math.NaN(), math.NaN(), "-"}, {0, 0, "0 ± 0"},
		{2, 0, "2000 ± 0"}, {0.00001234, math.NaN(), "0.01234"}, {1e-9, math.NaN(), "1e-06"},
		{12345.678, math.NaN(), "1.235e+07"},
		{0.1, 1e-15, "100.000000000 ± 0.000000000"},
	} {
		if got := ms.format(Interval{Mean: c.mean, Half: c.half}); got != c.want {
			t.Errorf("%v ± %v is %q, want %q", c.mean, c.half, got, c.want)
		}
	}
}

func TestWriteJSON(t *testing.T) {
	r := small.filled()
	r.State = Complete
	var b bytes.Buffer
	if err := WriteJSON(&b, r, "latency.mean", "drop_rate"); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Seed   uint64
		Digest string
		State  string
		Points []struct {
			Scheduler string
			Settings  map[string]string
			Metrics   map[string]struct {
				Mean, Lo, Hi float64
				N            int
			}
		}
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	p := got.Points[3]
	want := r.Points[3].Interval("latency.mean", Confidence)
	if got.Seed != 7 || got.Digest != formatDigest(r.Digest()) || got.State != "complete" || p.Scheduler != "JSQ(2)" ||
		p.Settings["workload.rate"] != "8/s" || len(p.Metrics) != 2 || p.Metrics["latency.mean"].Mean != want.Mean ||
		p.Metrics["latency.mean"].Lo != want.Lo() || p.Metrics["latency.mean"].N != 3 {
		t.Errorf("%+v", got)
	}
}

// pageOf parses a report and gives its text, and the addresses that it refers to.
func pageOf(t *testing.T, page string) (text string, refers []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var b strings.Builder
	for {
		token, err := d.Token()
		if err == io.EOF {
			return b.String(), refers
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := token.(type) {
		case xml.CharData:
			b.Write(x)
		case xml.StartElement:
			for _, a := range x.Attr {
				if a.Name.Local == "href" || a.Name.Local == "src" {
					refers = append(refers, a.Value)
				}
			}
		}
	}
}

func TestReport(t *testing.T) {
	r := small.stored(t, Keep{Sample, Parquet})
	page := read(t, r.Report())
	text, refers := pageOf(t, page)
	for _, want := range []string{"lambda-sweep", formatDigest(r.Digest()), "v2.0.0", "linux/amd64, 2 cores",
		"p2pfaas sim scenarios/lambda-sweep.yaml", "JSQ(2)", "Fewer than 5 replications", "latency.p95",
		"forwarded_share (%)",
		"3 independent replications", "6 May 2030", "face-detect",
		"third quartile (ms)", "a uniform sample", "Jain's index"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	for _, ref := range refers {
		if !strings.HasPrefix(ref, "#") && !strings.HasPrefix(ref, "data:image/png;") && !exists(filepath.Join(r.Dir, ref)) {
			t.Errorf("the report refers to %s", ref)
		}
	}
	for _, never := range []string{"<script", "@import", "url("} {
		if strings.Contains(page, never) {
			t.Errorf("the report has %s", never)
		}
	}
}

func TestReportOfFaults(t *testing.T) {
	r := small.filled()
	for _, p := range r.Points {
		for i, rep := range p.Replications {
			rep.Faults = []FaultCount{{Fault: "crash of nodes 1-2 at 20s"}, {Fault: "pause of a random node"}, {Fault: "slow of node 4 at a load of 9"}}
			rep.Faults[0].Begins(20*time.Second, "crash of nodes 1-2")
			for k := range 2 + i {
				rep.Faults[1].Begins(time.Duration(10*k+i)*time.Second, fmt.Sprintf("pause of node %d", k))
			}
		}
	}
	var b bytes.Buffer
	if err := WriteReport(&b, r, Figures(r)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"crash of nodes 1-2 at 20s</th><td>1</td><td>20</td>", "pause of a random node</th><td>3</td><td>1</td>",
		"slow of node 4 at a load of 9</th><td>0</td><td>never</td>",
		"<li>replication 1: 1 s pause of node 0; 11 s pause of node 1; 20 s crash of nodes 1-2; 21 s pause of node 2</li>"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	want := []string{"replication 0: 0 s pause of node 0; 10 s pause of node 1; and 1 more",
		"replication 1: 1 s pause of node 0; 11 s pause of node 1; and 2 more", "and 1 more"}
	if said := r.Befell(2, 2); !slices.Equal(said, want) {
		t.Errorf("%q, want %q", said, want)
	}
	for _, rep := range r.Points[3].Replications {
		rep.Faults = rep.Faults[:1]
	}
	if said := r.Befell(2, 2); said[1] != "replication 0 at workload.rate = 8/s, JSQ(2): 20 s crash of nodes 1-2" {
		t.Errorf("where points differ: %q", said)
	}
	for _, p := range r.Points {
		for _, rep := range p.Replications {
			rep.Faults = rep.Faults[:1]
		}
	}
	if said := r.Befell(2, 2); !slices.Equal(said, []string{"every replication: 20 s crash of nodes 1-2"}) {
		t.Errorf("where nothing is drawn: %q", said)
	}
	for _, rep := range r.Points[3].Replications {
		rep.Faults = nil
	}
	if said := r.Befell(9, 2); !strings.HasPrefix(said[0], "replication 0 at ") {
		t.Errorf("where a point has no faults: %q", said)
	}
	often := FaultCount{}
	for k := range 3 * occurrencesKept {
		often.Begins(time.Duration(k)*time.Second, "pause of node 1")
	}
	if said := (&Replication{Faults: []FaultCount{often}}).befell(1000); often.Times != 3*occurrencesKept || len(often.Occurred) != occurrencesKept ||
		!strings.HasSuffix(said, fmt.Sprintf("; and %d more", 2*occurrencesKept)) {
		t.Errorf("of a fault that occurs often: %s", said)
	}
	b.Reset()
	if err := WriteReport(&b, small.filled(), nil); err != nil || strings.Contains(b.String(), "#faults") {
		t.Errorf("a report without faults speaks of them (%v)", err)
	}
}

// Names come from a file that anyone may have written.
func TestReportEscapes(t *testing.T) {
	const bad = `<script>alert("1")</script>&'`
	f := small
	f.schedulers = []string{bad, "JSQ"}
	r := f.filled()
	r.Name, r.Host, r.Command, r.Scenario = bad, bad, []string{bad}, []byte(bad)
	var b bytes.Buffer
	if err := WriteReport(&b, r, Figures(r)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "<script") {
		t.Error("a name became part of the page")
	}
	if text, _ := pageOf(t, b.String()); !strings.Contains(text, bad) {
		t.Error("the name is not shown as it is")
	}
}

func TestReportOfInterruptedRun(t *testing.T) {
	r := small.run()
	w, err := Create(t.TempDir(), r)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(); err != nil { // nothing finished before the interruption
		t.Fatal(err)
	}
	small.save(t, w, r, func(p *Point, i int) bool { return p.Index == 3 && i < 2 })
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	text, _ := pageOf(t, read(t, r.Report()))
	if !strings.Contains(text, "16 replications are missing") || !strings.Contains(text, "interrupted") {
		t.Error("the report does not say what is missing")
	}
	var b bytes.Buffer
	if err := Table(&b, r, false); err != nil || !strings.Contains(b.String(), "16 replications are missing") {
		t.Errorf("the table does not say what is missing:\n%s", b.String())
	}
}

func TestCommandLine(t *testing.T) {
	got := commandLine([]string{"p2pfaas", "sim", "a.yaml", "--set", "x=[1, 2]", "it's", ""})
	if want := `p2pfaas sim a.yaml --set 'x=[1, 2]' 'it'\''s' ''`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A warning is given where it holds, and only there.
func TestWarnings(t *testing.T) {
	good := func() *Point {
		p := pointOf(100, 101, 99, 100, 100)
		for _, rep := range p.Replications {
			for range 499 { // five are beyond the 99th percentile
				rep.Tally.Add(completed(0, 100*ms))
			}
			rep.Submitted = 1000
			rep.Series = &Series{Every: 10 * ms, Mean: slices.Repeat([]float64{3}, 110), Rate: slices.Repeat([]float64{8}, 110)}
			rep.Groups = []NodeStat{{Nodes: 1, Slots: 1, Busy: 900 * ms}}
		}
		return p
	}
	if w := (&Run{Points: []*Point{good()}}).Warnings(); len(w) != 0 {
		t.Errorf("of a good run: %q", w)
	}
	each := func(f func(*Replication)) func(*Point) {
		return func(p *Point) {
			for _, rep := range p.Replications {
				f(rep)
			}
		}
	}
	ramp := each(func(r *Replication) {
		for i := range r.Series.Mean {
			r.Series.Mean[i] = float64(i)
		}
	})
	batched := func(requests, step int) func(*Point) {
		return func(p *Point) {
			p.Replications, p.Wanted = p.Replications[:1], 1
			for i := range Batches {
				b := NewTally("f")
				for range requests {
					b.Add(completed(0, time.Duration(100+i*step%Batches)*ms))
				}
				p.Replications[0].Batches = append(p.Replications[0].Batches, b)
			}
		}
	}
	for want, spoil := range map[string]func(*Point){
		"2 replications are missing": func(p *Point) { p.Wanted = 7 },
		"Only one replication":       func(p *Point) { p.Replications, p.Wanted = p.Replications[:1], 1 },
		"Fewer than 5":               func(p *Point) { p.Replications, p.Wanted = p.Replications[:2], 2 },
		"still growing":              ramp,
		"Utilisation of 98 %":        each(func(r *Replication) { r.Groups[0].Busy = 990 * ms }),
		"had not ended":              each(func(r *Replication) { r.InFlight = 20 }),
		"In some replications no":    func(p *Point) { p.Replications[1].Tally = NewTally("f") },
		"No request completed":       each(func(r *Replication) { r.Tally = NewTally("f") }),
		"beyond latency.p99 (499 completed, 500 are wanted). ": func(p *Point) {
			p.Replications[2].Tally = NewTally("f")
			for range 499 {
				p.Replications[2].Tally.Add(completed(0, 100*ms))
			}
		},
		"could not be": func(p *Point) { p.Replications[1].Tally.Add(completed(0, -time.Second)) },
		"batch means":  batched(500, 1),
		"On average fewer than 5 requests of a batch are beyond latency.p99 (499 completed, 500 are wanted), so": batched(499, 7),
	} {
		bad := good()
		spoil(bad)
		all := (&Run{Points: []*Point{good(), bad}}).reportWarnings()
		if len(all) != 1 || !strings.Contains(all[0], want) {
			t.Errorf("%s: %q", want, all)
		}
	}
	spoiled := good()
	ramp(spoiled)
	each(func(r *Replication) {
		for i := range r.Series.Rate {
			r.Series.Rate[i] = float64(i)
		}
	})(spoiled)
	if w := (&Run{Points: []*Point{spoiled}}).Warnings(); len(w) != 0 {
		t.Errorf("the load grew with the arrivals: %q", w)
	}
}

// What is warned of are the percentiles that are shown, with what they lack and where.
func TestSparse(t *testing.T) {
	r := small.filled() // 200 requests in each replication, of two functions
	for _, c := range []struct {
		metrics []string
		want    string
	}{
		{nil, ""}, // the table has the 95th percentile
		{[]string{"latency.mean", "latency.p50", "waiting.p96", "latency.p100", "latency.max"}, ""},
		{[]string{"latency.p98", "latency.p2", "latency.p99[echo]"}, "beyond latency.p98 (161 completed, 250 are wanted), latency.p2 (161 completed, 250 are wanted), latency.p99[echo] (83 completed, 500 are wanted). "},
		{[]string{"latency.p99.9"}, "Fewer than 5 requests of a replication are beyond latency.p99.9 (161 completed, 5000 are wanted). "},
	} {
		got := r.Sparse(c.metrics...)
		if len(got) != min(1, len(c.want)) || !strings.Contains(strings.Join(got, ""), c.want) {
			t.Errorf("%q: %q, want %q", c.metrics, got, c.want)
		}
	}
	if got := (&Run{Points: []*Point{pointOf(100)}}).Sparse("latency.p99.9"); !strings.Contains(got[0], "5000 are wanted") || !Reaches(5000, 99.9/100.) {
		t.Errorf("of 5000: %q", got)
	}
	if w := r.reportWarnings(); !slices.ContainsFunc(w, func(s string) bool {
		return strings.Contains(s, "latency.p99 (") && strings.Contains(s, "latency.p95[echo] (")
	}) {
		t.Errorf("the report has the 99th percentile: %q", w)
	}
}

func TestCompareSchedulers(t *testing.T) {
	all, err := CompareSchedulers(small.filled(), "latency.mean", "drop_rate")
	if err != nil || len(all) != 6 {
		t.Fatalf("%d differences, %v", len(all), err)
	}
	r := small.filled()
	d := all[4] // at 12/s, mean latency
	want, _ := Paired(r.Points[4], r.Points[5], "latency.mean", Confidence)
	if d.A != "NoScheduler" || d.B != "JSQ(2)" ||
		d.Where[0] != "workload.rate = 12/s" || d.Interval != want.Interval || !d.Paired ||
		!near(d.Relative(), d.Mean/r.Points[4].Interval("latency.mean", Confidence).Mean, 1e-12) {
		t.Errorf("%+v", d)
	}
	if _, err := CompareSchedulers(small.filled(), "nonsense"); err == nil {
		t.Error("a metric that is not known")
	}
	single := small
	single.replications = 1
	if all, err := CompareSchedulers(single.filled(), "latency.mean"); err != nil || !math.IsNaN(all[0].Half) {
		t.Errorf("of one replication: %+v, %v", all, err)
	}
}

// Where algorithms have unlike numbers of replications, the report says of how many the differences are.
func TestReportOfUnlikeReplications(t *testing.T) {
	r := small.filled()
	r.Points[1].Replications = r.Points[1].Replications[:2]
	_, says, err := r.differences()
	if want := "2 at workload.rate = 4/s, JSQ(2) (which has 2, and NoScheduler 3)"; err != nil || says != want {
		t.Errorf("%q, %v; want %q", says, err, want)
	}
}

func TestDifferenceJSON(t *testing.T) {
	d := Difference{A: "x", B: "y", Where: []string{"rate = 8/s"}, Metric: "drop_rate", Interval: Interval{1, 2, 3, FromReplications}}
	got, err := json.Marshal([]Difference{d})
	want := `[{"a":"x","b":"y","where":["rate = 8/s"],"metric":"drop_rate","a_mean":0,"difference":` +
		`{"mean":1,"lo":-1,"hi":3,"n":3,"method":"replications"},"relative":null,"paired":false,"replications":[0,0]}]`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
}

func TestCompareRuns(t *testing.T) {
	a, b := small.filled(), small.filled()
	b.Points = b.Points[1:]
	all, unmatched, err := CompareRuns(a, b, "latency.mean")
	if err != nil || len(all) != 5 || !all[0].Paired || all[0].Mean != 0 || all[0].Half != 0 {
		t.Errorf("a run with itself: %+v, %v", all, err)
	}
	if !slices.Equal(unmatched, []string{"workload.rate = 4/s, NoScheduler (only in the first)"}) {
		t.Errorf("unmatched: %q", unmatched)
	}
	p := b.Points[0]
	p.Replications = slices.Delete(slices.Clone(p.Replications), 1, 2)
	if all, _, err = CompareRuns(a, b, "latency.mean"); err != nil || !all[0].Paired || all[0].N != 2 || !all[0].Partial() || all[1].Partial() {
		t.Errorf("with a run that lacks a replication: %+v, %v", all[0], err)
	}
	for _, p := range b.Points {
		for _, r := range p.Replications {
			r.Requests++
		}
	}
	all, _, err = CompareRuns(a, b, "latency.mean")
	if err != nil || all[0].Paired || !(all[0].Half > 0) || all[0].Clear() {
		t.Errorf("with other requests: %+v, %v", all[0], err)
	}
	if _, _, err = CompareRuns(a, b, "nonsense"); err == nil || errors.Is(err, ErrTooFew) {
		t.Errorf("a metric that is not known: %v", err)
	}
}
