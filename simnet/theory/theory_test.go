package theory

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

// raceDetector is whether it is on: everything takes ten times as long then.
var raceDetector bool

// TestFastSubset simulates cases of every table. It takes half a minute on two cores, and is left out with -short.
func TestFastSubset(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("it takes half a minute, or ten times as long with the race detector")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // the worlds are small, and collected too often otherwise
	rows, err := Run(context.Background(), Options{Fast: true, Workers: runtime.GOMAXPROCS(0)})
	if err != nil {
		t.Fatal(err)
	}
	ok := map[string]int{}
	for _, r := range rows {
		switch r.Verdict {
		case OK:
			ok[r.Table]++
		case Fail:
			t.Errorf("%s %s %s: expected %.6g, measured %.6g, allowed +-%.3g\n%s", r.Case, r.Variant, r.Metric, r.Expected,
				r.Measured, r.Allowed, r.Scenario)
		}
	}
	for _, name := range Tables() {
		if ok[name] == 0 && name != "NHPP" {
			t.Errorf("the fast subset has nothing of %s", name)
		}
	}
}

// oneOf is a case that comes with the program.
func oneOf(t *testing.T, id string) Case {
	t.Helper()
	cases := Cases()
	i := slices.IndexFunc(cases, func(c Case) bool { return c.ID == id })
	if i < 0 {
		t.Fatalf("there is no case %s", id)
	}
	return cases[i]
}

func verdicts(t *testing.T, o Options) map[string]Verdict {
	t.Helper()
	o.Fast, o.Workers = true, 2
	rows, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]Verdict{}
	for _, r := range rows {
		if all[r.Metric] != Fail {
			all[r.Metric] = r.Verdict
		}
	}
	return all
}

// TestWrongIsSeen: values that are a little off fail, and so does a simulator of another model.
func TestWrongIsSeen(t *testing.T) {
	right := oneOf(t, "GIM1K-P005") // E4/M/1/4
	for metric, verdict := range verdicts(t, Options{Cases: []Case{right}}) {
		if verdict != OK {
			t.Errorf("%s: %s", metric, verdict)
		}
	}
	biased := oneOf(t, "GIM1K-P005")
	for i := range biased.Values {
		biased.Values[i].Value *= 1.06
	}
	for metric, verdict := range verdicts(t, Options{Cases: []Case{biased}}) {
		if verdict != Fail {
			t.Errorf("%s is 6 %% off: %s", metric, verdict)
		}
	}
	for _, wrong := range []string{"A=E/3/1.111111111;mu=1;K=4", "A=E/4/1.111111111;mu=1;K=5", "A=E/4/1.05;mu=1;K=4",
		"A=E/4/1.111111111;mu=0.95;K=4"} {
		other := oneOf(t, "GIM1K-P005")
		other.Params = wrong
		if got := verdicts(t, Options{Cases: []Case{other}}); got["T"] != Fail && got["PB"] != Fail {
			t.Errorf("%s passes for %s: %v", wrong, right.Params, got)
		}
	}
}

func TestJudge(t *testing.T) {
	around := func(mean, deviation float64) []float64 {
		return []float64{mean - deviation, mean + deviation, mean - deviation, mean + deviation}
	}
	for _, c := range []struct {
		gloss    string
		values   []float64
		expected float64
		share    bool
		want     Verdict
	}{
		{"exact", around(2, 0), 2, false, OK},
		{"0.4 % off, without an error", around(2.008, 0), 2, false, OK},
		{"0.6 % off, without an error", around(2.012, 0), 2, false, Fail},
		{"0.6 % off, within the error", around(2.012, 0.01), 2, false, OK},
		{"below", around(1.98, 0), 2, false, Fail},
		{"rare and never seen", around(0, 0), 5e-4, true, OK},
		{"rare and seen too often", around(6e-4, 0), 5e-4, true, Fail},
		{"never seen, but no share", around(0, 0), 5e-4, false, Fail},
		{"not so rare and never seen", around(0, 0), 2e-3, true, Fail},
		{"0, as it ought to be", around(0, 0), 0, false, OK},
		{"not a number", around(math.NaN(), 0), 2, false, Fail},
	} {
		var r Row
		r.Expected = c.expected
		if r.judge(c.values, c.share, 1); r.Verdict != c.want {
			t.Errorf("%s: %s: %+v", c.gloss, r.Verdict, r)
		}
	}
}

// TestQuantile: 3 standard errors for one comparison; more for more, and with few replications.
func TestQuantile(t *testing.T) {
	for _, c := range []struct {
		comparisons   int
		freedom, want float64
	}{{1, 1e6, 3}, {1, 31, 3.261}, {1000, 1e6, 4.692}, {1000, 31, 5.7235}} {
		if q := quantile(c.comparisons, c.freedom); math.Abs(q-c.want) > 0.001 {
			t.Errorf("%d comparisons, %g degrees of freedom: %.4f, want %.3f", c.comparisons, c.freedom, q, c.want)
		}
	}
}

// TestEveryValue: everything that the tables have is measured or left out for a reason, and every scenario is one.
func TestEveryValue(t *testing.T) {
	p, err := newPlan(Options{Traffic: traffic(t, 0.5)})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range p.rows {
		seen[r.Case+" "+r.Metric] = true
		if (r.Reason == "") == (r.Verdict == Skipped) || (r.Scenario == "") != (r.Verdict == Skipped) {
			t.Errorf("%+v", r)
		}
	}
	values := 0
	for _, c := range Cases() {
		for _, v := range c.Values {
			values++
			if !seen[c.ID+" "+v.Metric] {
				t.Errorf("%s %s is missing", c.ID, v.Metric)
			}
		}
	}
	t.Logf("%d values, %d comparisons, %d scenarios", values, p.comparisons, len(p.experiments))
	for _, id := range quick {
		oneOf(t, id)
	}
	for i := range Exceptions {
		e := &Exceptions[i]
		if e.Tables != "NHPP" && !slices.ContainsFunc(p.rows, func(r Row) bool { return r.Reason == e.Reason }) {
			t.Errorf("nothing is left out because: %s", e.Reason)
		}
	}
}

// traffic is a folder with curves of one value.
func traffic(t *testing.T, level float64) string {
	t.Helper()
	dir := t.TempDir()
	text := ""
	for i := range 96 {
		text += fmt.Sprintf("%d,%g\n", i, level)
	}
	for i := range 12 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("traffic_node_%d.csv", i)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestCurves: a level curve makes M/M/1/K, that soon forgets that it began empty.
func TestCurves(t *testing.T) {
	const params = "node=3;max_load=20;period_s=600;horizon_s=1800;mu=8;c=1;K=10"
	c := Case{ID: "X", Table: "NHPP", Params: params, Values: []Value{
		{"exp_arrivals", 8 * 1800, "", ""}, {"PB", 1. / 11, "", ""}, {"L_timeavg", 5, "", ""}, {"T_little", 5.5 / 8, "", ""},
		{"exp_blocked", 8 * 1800. / 11, "", ""}}}
	for metric, verdict := range verdicts(t, Options{Cases: []Case{c}, Traffic: traffic(t, 0.4)}) {
		if verdict != OK {
			t.Errorf("%s: %s", metric, verdict)
		}
	}
	for metric, verdict := range verdicts(t, Options{Cases: []Case{c}}) {
		if verdict != Skipped {
			t.Errorf("%s without the folder: %s", metric, verdict)
		}
	}
}

// TestLimit: the fixed point is that of the tables.
func TestLimit(t *testing.T) {
	for _, c := range Cases() {
		if c.Table != "LLF" && c.ID != "LLS-P025" && c.ID != "LLS-P073" && c.ID != "LLP-P055" {
			continue
		}
		p := newParams(&c)
		l := newLimit(p.float("lam"), p.int("c"), p.int("K"), p.int("F"), p.int("T"))
		for name, got := range l.values() {
			if want := p.given(name); math.Abs(got-want) > 1e-7*(1+want) {
				t.Errorf("%s %s is %.10g, want %.10g", c.ID, name, got, want)
			}
		}
	}
}

// TestLaws: the mean and the variability that decide how long to simulate are those of what is simulated.
func TestLaws(t *testing.T) {
	for _, text := range []string{"D/0.7", "M/0.5", "E/4/1.2", "H2/1.5/4", "LN/1/2", "U/0.5/2", "SE/0.01/0.9081735621"} {
		p := newParams(&Case{Params: "S=" + text})
		l := p.law("S")
		m := queue(0.1, l, 1, 0)
		s := scenariotest.One(t, m.body(fast, 0))
		d := s.Functions[0].Service
		if math.Abs(d.Mean()-l.mean) > 1e-9 || math.Abs(random.SCV(d)-l.scv) > 1e-7 {
			t.Errorf("%s: mean %g and scv %g, but %g and %g are simulated", text, l.mean, l.scv, d.Mean(), random.SCV(d))
		}
	}
}

func TestExponentialSteps(t *testing.T) {
	sum, square := 0.0, 0.0
	for i := range linkSteps {
		x := exponentialStep(i, linkSteps)
		sum += x / linkSteps
		square += x * x / linkSteps
	}
	if math.Abs(sum-1) > 1e-12 || square < 1.97 || square > 2 {
		t.Errorf("the moments are %g and %g, want 1 and nearly 2", sum, square)
	}
}

func TestBadCases(t *testing.T) {
	const head = "case_id,table,model,params,metric,value,kind,source\n"
	for text, want := range map[string]string{
		"a,b\n":                              "the columns are a,b",
		head + "X,MM1,m,lam=1,T,one,k,s\n":   `line 2: the value "one" of X is not a number`,
		head + "X,MM2,m,lam=1,T,1,k,s\n":     `line 2: there is no table "MM2"`,
		head + "X,MM1,m,lam=1,T,NaN,k,s\n":   "is not a number",
		head + "X,MM1,m,lam=1,T,1,k\n":       "wrong number of fields",
		head + "X,MM1,m,\"lam=1,T,1,k,s\n":   "quote",
		head + "X,MM1,m,lam=0.5;mu=1,T,,,\n": "is not a number",
		head:                                 "there are no cases",
		head + "X,MM1,m,lam=0.3;mu=1,T,1,k,s\nX,MM1,m,lam=0.4;mu=1,L,1,k,s\n": "line 3: X is of another table or has other",
	} {
		if _, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	for params, want := range map[string]string{
		"lam=0.5":          "the parameter mu is missing",
		"lam=0;mu=1":       `lam is "0": write a number above 0`,
		"lam=x;mu=1":       `lam is "x"`,
		"lam=-1;mu=1":      `lam is "-1"`,
		"lam=0.5;mu=1;x":   `params is "x": write name=value`,
		"lam=0.5;mu=1;c=2": `X: the table MM1 has no parameter c`,
	} {
		c := Case{ID: "X", Table: "MM1", Params: params, Values: []Value{{Metric: "T"}}}
		_, err := Run(context.Background(), Options{Cases: []Case{c}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", params, err, want)
		}
	}
	c := Case{ID: "X", Table: "MM1", Params: "lam=0.5;mu=1", Values: []Value{{Metric: "TT"}}}
	_, err := Run(context.Background(), Options{Cases: []Case{c}})
	if err == nil || !strings.Contains(err.Error(), "X: nothing measures TT") {
		t.Error(err)
	}
	for pattern, want := range map[string]string{
		"MM9*": `"MM9*" matches no table`, "MM1,MMCQ": `"MMCQ" matches no table and no case: the nearest are MMC, `,
		"MM1-P05": "the nearest are MM1, MM1-P005, ", "MM1,": `"" matches no`, "[": "is not a pattern",
	} {
		_, err := Run(context.Background(), Options{Select: pattern})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", pattern, err, want)
		}
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, Options{Select: "MM1-P005", Workers: 2}); err != context.Canceled {
		t.Error(err)
	}
}

// TestScenarios: what is printed for a case can be run as it is.
func TestScenarios(t *testing.T) {
	c := oneOf(t, "MG1-P011")
	texts, err := c.Scenarios()
	if err != nil || len(texts) != 2 {
		t.Fatal(texts, err)
	}
	for i, want := range []string{"slots: 1}", "service_mode: processor-sharing}"} {
		if !strings.HasPrefix(texts[i], "name: MG1-P011\n") || !strings.Contains(texts[i], want) {
			t.Errorf("%s\nhas no %s", texts[i], want)
		}
	}
}

func TestTotals(t *testing.T) {
	got := Totals([]Row{{Case: "A1", Table: "A", Verdict: OK, Error: 1, Measured: 3},
		{Case: "A1", Table: "A", Verdict: Skipped}, {Case: "B1", Table: "B", Verdict: Fail, Error: 1, Measured: 1}, {Case: "A2", Table: "A", Verdict: OK}})
	want := []Total{{"A", 2, 2, 0, 1, 0.5}, {"B", 1, 0, 1, 0, 0}, {"", 3, 2, 1, 1, 1. / 3}}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
